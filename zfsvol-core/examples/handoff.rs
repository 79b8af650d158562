//! Two nodes and a volume that moves between them: created, written, pushed, handed over, taken over after a crash, put right, handed back. Each
//! step is checked by reading data back.
//!
//! `cargo run -p zfsvol-core --example handoff` needs nothing: each node has a kernel of its own in this process. As root, where OpenZFS is
//! loaded, `... --example handoff zfs: [FOLDER]` does the same with two pools in files in FOLDER (`/tmp` if none is given), and leaves
//! nothing behind.

#![expect(clippy::print_stdout, reason = "it tells what it does")]

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zfsvol_core::embedded::Embedded;
use zfsvol_core::kernel::Access;
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::{
    LocalPeer, Node, Peer, PushOptions, Pushed, Recovered, Uuid, VolumeName, VolumeSpec,
};
use zfsvol_core::zfs::{PoolSpec, VdevSpec};
use zfsvol_core::{Bytes, PoolName, Zfs};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The volume's size.
const SIZE: Bytes = Bytes::from_mib(64);
/// How much is written at once.
const PART: usize = 8 << 20;
/// How long a block device may take to appear.
const DEVICE_WAIT: Duration = Duration::from_secs(60);

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let uri = arguments.next().unwrap_or_else(|| "embedded:".to_owned());
    let folder = arguments.next().unwrap_or_else(|| "/tmp".to_owned());
    let mut pools = Pools::make(&uri, Path::new(&folder))?;
    let done = tell(&pools);
    pools.destroy()?;
    done
}

fn tell(pools: &Pools) -> Outcome {
    let node = |(zfs, pool): &(Zfs, PoolName)| -> Outcome<Node> {
        Ok(Node::open(zfs.clone(), pool.root().child("volumes")?, Uuid::new_v4())?)
    };
    let [one, two] = &pools.pools;
    let (one, two) = (node(one)?, node(two)?);
    println!(
        "OpenZFS {}: two nodes, '{}' and '{}'",
        one.zfs().module().version,
        one.root(),
        two.root()
    );
    let to_one: Arc<dyn Peer> = Arc::new(LocalPeer::new(one.clone()));
    let to_two: Arc<dyn Peer> = Arc::new(LocalPeer::new(two.clone()));
    let volume: VolumeName = "shop:db".parse()?;

    one.create(&volume, &VolumeSpec::block(SIZE).properties(&plain()?))?;
    say("create", &format!("the volume '{volume}', {SIZE}, on the first node"));
    write(&one, &volume, 0, 1)?;
    one.snapshot(&volume, "monday")?;
    say("snapshot", "'monday'");

    sent("push", &one.push(&volume, &to_two, &PushOptions::new())?.wait()?);
    check(&two, &volume, &[1])?;
    write(&one, &volume, 1, 2)?;
    sent("push", &one.push(&volume, &to_two, &PushOptions::new())?.wait()?);
    check(&two, &volume, &[1, 2])?;

    write(&one, &volume, 2, 3)?;
    sent("hand over", &one.handoff(&volume, &to_two, &PushOptions::new())?.wait()?);
    check(&two, &volume, &[1, 2, 3])?;
    owner(&one, &two, &volume)?;
    write(&two, &volume, 3, 4)?;
    sent("push", &two.push(&volume, &to_one, &PushOptions::new())?.wait()?);

    write(&two, &volume, 4, 5)?;
    say("crash", "the second node is gone, with what it had not pushed");
    let ownership = one.takeover(&volume)?;
    say("take over", &format!("on the first node, in epoch {}", ownership.epoch));
    check(&one, &volume, &[1, 2, 3, 4])?;
    write(&one, &volume, 4, 6)?;

    say("recover", "the second node is back, and asks the first");
    let Recovered::Superseded { set_aside: Some(aside) } = two.recover(&volume, &*to_one)? else {
        return Err("the second node still believes that it owns the volume".into());
    };
    say("", &format!("what it alone had is kept as '{aside}'"));
    check(&two, &aside, &[1, 2, 3, 4, 5])?;

    sent("hand back", &one.handoff(&volume, &to_two, &PushOptions::new())?.wait()?);
    check(&two, &volume, &[1, 2, 3, 4, 6])?;
    owner(&one, &two, &volume)?;
    for node in [&one, &two] {
        for volume in node.list()?.volumes {
            let state = format!("{} in epoch {}", volume.ownership.state, volume.ownership.epoch);
            say(
                "list",
                &format!(
                    "{:<50} {:>6}  {state}",
                    volume.dataset.to_string(),
                    volume.used.to_string()
                ),
            );
        }
    }
    Ok(())
}

/// Where the two nodes are.
struct Pools {
    pools: [(Zfs, PoolName); 2],
    folder: Option<PathBuf>,
}

impl Pools {
    fn make(uri: &str, folder: &Path) -> Outcome<Self> {
        let names: [PoolName; 2] = ["zfsvol-one".parse()?, "zfsvol-two".parse()?];
        match uri {
            "embedded:" => {
                let kernel = |name: &PoolName| {
                    let size = Bytes::from_gib(1);
                    Zfs::new(Embedded::builder().pool(name.as_str(), size).build())
                };
                Ok(Self { pools: names.map(|name| (kernel(&name), name)), folder: None })
            }
            "zfs:" => {
                let zfs = Zfs::open()?;
                let folder = folder.join(format!("zfsvol-handoff-{}", std::process::id()));
                fs::create_dir(&folder)?;
                for name in &names {
                    let file = folder.join(name.as_str());
                    File::create_new(&file)?.set_len(Bytes::from_gib(1).get())?;
                    let mut spec = PoolSpec::new([VdevSpec::single(file)]);
                    spec.properties.set("cachefile", "none")?;
                    spec.root_properties.set("mountpoint", "none")?;
                    zfs.create_pool(name, &spec)?;
                }
                Ok(Self { pools: names.map(|name| (zfs.clone(), name)), folder: Some(folder) })
            }
            _ => Err(format!("'{uri}' is neither 'embedded:' nor 'zfs:'").into()),
        }
    }

    /// What was made in files is unmade; what was in the process goes with it.
    fn destroy(&mut self) -> Outcome {
        let Some(folder) = self.folder.take() else { return Ok(()) };
        for (zfs, pool) in &self.pools {
            zfs.destroy_pool(pool)?;
        }
        fs::remove_dir_all(folder)?;
        say("destroy", "both pools");
        Ok(())
    }
}

/// So that the sizes told are those of what was written.
fn plain() -> Outcome<PropertySet> {
    Ok(PropertySet::new().with("compression", "off")?)
}

/// Bytes that do not compress, another for each part.
fn noise(seed: u8) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(seed) + 1);
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(PART / 8).flatten().collect()
}

fn write(node: &Node, volume: &VolumeName, part: usize, seed: u8) -> Outcome {
    let device = node.open_device(volume, Access::ReadWrite, DEVICE_WAIT)?;
    device.write_all_at(&noise(seed), (part * PART) as u64)?;
    device.flush()?;
    say("write", &format!("{} to part {part}, on '{}'", Bytes::new(PART as u64), node.root()));
    Ok(())
}

/// Reads everything back.
fn check(node: &Node, volume: &VolumeName, seeds: &[u8]) -> Outcome {
    let device = node.open_device(volume, Access::Read, DEVICE_WAIT)?;
    let mut found = vec![0; PART];
    for (part, seed) in seeds.iter().enumerate() {
        device.read_exact_at(&mut found, (part * PART) as u64)?;
        if found != noise(*seed) {
            return Err(format!(
                "part {part} of '{volume}' on '{}' is not what was written",
                node.root()
            )
            .into());
        }
    }
    say(
        "read back",
        &format!("{} part(s) of '{volume}' on '{}': as written", seeds.len(), node.root()),
    );
    Ok(())
}

/// There is one owner, and the other cannot write.
fn owner(loser: &Node, owner: &Node, volume: &VolumeName) -> Outcome {
    for (node, owns) in [(loser, false), (owner, true)] {
        let info = node.get(volume)?.ok_or("the volume is gone")?;
        let read_only = node.zfs().properties(&info.dataset)?.text("readonly") == Some("on");
        if info.is_owned_by(node.id()) != owns || read_only == owns {
            return Err(format!(
                "'{}' should {}own '{volume}'",
                node.root(),
                if owns { "" } else { "not " }
            )
            .into());
        }
    }
    say("owner", &format!("is '{}', and '{}' cannot write", owner.root(), loser.root()));
    Ok(())
}

fn sent(what: &str, pushed: &Pushed) {
    say(what, &format!("{} in {} stream(s)", pushed.bytes, pushed.sent.len()));
}

fn say(what: &str, how: &str) {
    println!("{what:>11}  {how}");
}
