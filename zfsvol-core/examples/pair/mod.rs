//! What the examples `tls` and `stdio` have in common: a node on a kernel of the user's choice, and a volume with known content.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use zfsvol_core::embedded::Embedded;
use zfsvol_core::kernel::Access;
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::peer::VolumeId;
use zfsvol_core::volume::{
    Node, NodeOptions, Peer, PushOptions, Uuid, VolumeEventKind, VolumeName, VolumeSpec,
};
use zfsvol_core::{Bytes, DatasetName, Zfs};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The volume's size.
const SIZE: Bytes = Bytes::from_mib(32);
/// How much is written at once.
const PART: usize = 4 << 20;
/// How long a block device may take to appear.
const DEVICE_WAIT: Duration = Duration::from_secs(60);

/// Where a node is: `embedded:`, a kernel in this process, or `zfs:tank/volumes`, on the OpenZFS of this machine.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Embedded,
    Zfs(DatasetName),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("embedded", "")) => Ok(Self::Embedded),
            Some(("zfs", dataset)) => {
                dataset.parse().map(Self::Zfs).map_err(|error| format!("{error}"))
            }
            _ => Err("neither 'embedded:' nor 'zfs:POOL/DATASET'".to_owned()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded:"),
            Self::Zfs(dataset) => write!(f, "zfs:{dataset}"),
        }
    }
}

impl Place {
    /// Another place for each name, so that two nodes of one machine are not in each other's way.
    pub(crate) fn below(&self, name: &str) -> Outcome<Self> {
        Ok(match self {
            Self::Embedded => Self::Embedded,
            Self::Zfs(dataset) => Self::Zfs(dataset.child(name)?),
        })
    }

    /// The node there, which tells what happens to its volumes on standard error: standard output may be the connection.
    pub(crate) fn open(&self, id: Uuid) -> Outcome<Node> {
        let (zfs, root) = match self {
            Self::Embedded => {
                let kernel = Embedded::builder().pool("tank", Bytes::from_gib(8)).build();
                (Zfs::new(kernel), "tank/volumes".parse()?)
            }
            Self::Zfs(root) => (Zfs::open()?, root.clone()),
        };
        let options = NodeOptions::new().on_event(|event| match &event.kind {
            VolumeEventKind::Received(snapshot) => {
                say("received", &format!("'{}', snapshot '{snapshot}'", event.volume));
            }
            VolumeEventKind::HandedOver { to } => {
                say("owner", &format!("of '{}' is the node {to}", event.volume));
            }
            _ => {}
        });
        Ok(Node::open_with(zfs, root, id, options)?)
    }

    /// Unmakes a node that was made on a pool that stays.
    pub(crate) fn clean_up(&self, id: Uuid) -> Outcome {
        let Self::Zfs(root) = self else { return Ok(()) };
        let node = Node::open(Zfs::open()?, root.clone(), id)?;
        for volume in node.list()?.volumes {
            if !volume.is_owned_by(id) {
                node.takeover(&volume.name)?;
            }
            node.destroy(&volume.name)?;
        }
        node.zfs().destroy_recursive(root)?;
        Ok(())
    }
}

/// Creates a volume, writes, pushes, writes more, and hands it over; checks what the peer says after each.
pub(crate) fn move_a_volume(node: &Node, peer: &Arc<dyn Peer>, volume: &VolumeName) -> Outcome {
    let plain = PropertySet::new().with("compression", "off")?;
    node.create(volume, &VolumeSpec::block(SIZE).sparse().properties(&plain))?;
    say("create", &format!("'{volume}', {SIZE}"));
    for part in 0..2 {
        write(node, volume, part)?;
        let pushed = node.push(volume, peer, &PushOptions::new())?.wait()?;
        say("push", &format!("{} to the node {}", pushed.bytes, peer.node()));
        check(node, peer, volume)?;
    }
    write(node, volume, 2)?;
    let sum = checksum(node, volume)?;
    let pushed = node.handoff(volume, peer, &PushOptions::new())?.wait()?;
    say("hand over", &format!("{} to the node {}", pushed.bytes, peer.node()));
    say("written", &format!("'{volume}' has the checksum {sum}"));
    let there = peer.look(&id(node, volume)?)?.ok_or("the peer has nothing of the volume")?;
    if there.ownership.owner != peer.node() {
        return Err("the peer does not own the volume".into());
    }
    Ok(())
}

/// What is in every volume that a node has and owns.
pub(crate) fn tell_content(node: &Node) -> Outcome {
    for volume in node.list()?.volumes {
        if volume.is_owned_by(node.id()) {
            let sum = checksum(node, &volume.name)?;
            say("read back", &format!("'{}' has the checksum {sum}", volume.name));
        }
    }
    Ok(())
}

fn id(node: &Node, volume: &VolumeName) -> Outcome<VolumeId> {
    let info = node.get(volume)?.ok_or("the volume is gone")?;
    Ok(VolumeId { id: info.ownership.id, name: volume.clone() })
}

/// The newest snapshot is the same on both sides: that of the same GUID.
fn check(node: &Node, peer: &Arc<dyn Peer>, volume: &VolumeName) -> Outcome {
    let there = peer.look(&id(node, volume)?)?.ok_or("the peer has nothing of the volume")?;
    let newest = there.snapshots.last().ok_or("the peer has no snapshot")?;
    let snapshot = node.dataset(volume)?.snapshot(&newest.name)?;
    let guid = node.zfs().property(&snapshot, "guid")?.and_then(|guid| guid.value.as_number());
    if guid != Some(newest.guid.get()) {
        return Err("the peer has another snapshot".into());
    }
    say("check", &format!("both have '{}', of GUID {}", newest.name, newest.guid));
    Ok(())
}

fn write(node: &Node, volume: &VolumeName, part: usize) -> Outcome {
    let device = node.open_device(volume, Access::ReadWrite, DEVICE_WAIT)?;
    device.write_all_at(&noise(part), (part * PART) as u64)?;
    device.flush()?;
    say("write", &format!("{} to part {part}", Bytes::new(PART as u64)));
    Ok(())
}

/// The first bytes of the SHA-256 of the parts that are written.
fn checksum(node: &Node, volume: &VolumeName) -> Outcome<String> {
    let device = node.open_device(volume, Access::Read, DEVICE_WAIT)?;
    let mut content = vec![0; 3 * PART];
    device.read_exact_at(&mut content, 0)?;
    let sum = Sha256::digest(&content);
    Ok(sum.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Bytes that do not compress, another for each part.
fn noise(part: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(part as u64 + 1);
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(PART / 8).flatten().collect()
}

pub(crate) fn say(what: &str, how: &str) {
    eprintln!("{what:>11}  {how}");
}
