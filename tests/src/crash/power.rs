//! Power cuts: two nodes hand volumes to each other until the machine is gone; after it was started again, nothing that was written is missing.
//!
//! `tests/power-cut` runs both halves in a guest, and passes on what the first half had said to be written when it was killed.

use std::sync::Arc;
use std::time::Duration;

use zfsvol_core::kernel::Access;
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::{LocalPeer, Node, Peer, PushOptions, VolumeName, VolumeSpec};
use zfsvol_core::zfs::{Destroy, PoolSpec, VdevSpec};
use zfsvol_core::{Bytes, Error, PoolName, Zfs};

use super::stage::Side;

/// Each write goes to the next block, and around.
const BLOCK: u64 = 16 << 10;
const BLOCKS: u64 = 64;
/// How long a block device may take to appear.
const DEVICE_WAIT: Duration = Duration::from_secs(60);
/// So many of the snapshots that are the writes of a file system are kept.
const SNAPSHOTS: u64 = 8;

/// The two nodes, each on a pool of its own.
struct Nodes {
    nodes: [Node; 2],
    peers: [Arc<dyn Peer>; 2],
}

impl Nodes {
    fn open() -> Result<Self, Error> {
        let zfs = Zfs::open()?;
        let open = |side: Side| {
            let root = pool(side).root().child("node").expect("a name");
            Node::open(zfs.clone(), root, side.id())
        };
        let nodes = [open(Side::Here)?, open(Side::There)?];
        let peers = [0, 1]
            .map(|at: usize| -> Arc<dyn Peer> { Arc::new(LocalPeer::new(nodes[at].clone())) });
        Ok(Self { nodes, peers })
    }

    fn push(&self, owner: Side, volume: &VolumeName) -> Result<(), Error> {
        let peer = &self.peers[owner.other() as usize];
        self.nodes[owner as usize].push(volume, peer, &PushOptions::new())?.wait().map(drop)
    }

    fn handoff(&self, owner: Side, volume: &VolumeName) -> Result<(), Error> {
        let peer = &self.peers[owner.other() as usize];
        self.nodes[owner as usize].handoff(volume, peer, &PushOptions::new())?.wait().map(drop)
    }

    /// Whoever owns a volume, if anybody does.
    fn owner(&self, volume: &VolumeName) -> Result<Option<Side>, Error> {
        for side in Side::BOTH {
            let found = self.nodes[side as usize].get(volume)?;
            if found.is_some_and(|info| info.is_owned_by(side.id())) {
                return Ok(Some(side));
            }
        }
        Ok(None)
    }
}

/// Makes two pools of two empty disks, and hands volumes over and back until nobody is there any more. `say` is told each write that is on disk (`wrote
/// N`), and each step before it is begun (`step N`).
///
/// # Errors
/// Whatever fails: nothing should.
pub fn until_the_power_is_cut(disks: &[String; 2], say: impl Fn(&str)) -> Result<(), Error> {
    let zfs = Zfs::open()?;
    for side in Side::BOTH {
        let mut spec = PoolSpec::new([VdevSpec::single(&disks[side as usize])]);
        spec.root_properties.set("mountpoint", "none")?;
        zfs.create_pool(&pool(side), &spec)?;
    }
    let nodes = Nodes::open()?;
    let plain = PropertySet::new().with("compression", "off")?;
    let size = Bytes::new(BLOCKS * BLOCK);
    let here = &nodes.nodes[Side::Here as usize];
    here.create(&disk(), &VolumeSpec::block(size).sparse().properties(&plain))?;
    here.create(&files(), &VolumeSpec::file_system())?;
    let (mut owner, mut written, mut steps) = (Side::Here, 0, 0);
    let mut step = || {
        steps += 1;
        say(&format!("step {steps} "));
    };
    loop {
        for _ in 0..2 {
            step();
            write(&nodes.nodes[owner as usize], written)?;
            say(&format!("wrote {written} "));
            written += 1;
            for volume in [disk(), files()] {
                step();
                nodes.push(owner, &volume)?;
            }
        }
        step();
        write(&nodes.nodes[owner as usize], written)?;
        say(&format!("wrote {written} "));
        written += 1;
        for volume in [disk(), files()] {
            step();
            nodes.handoff(owner, &volume)?;
        }
        owner = owner.other();
    }
}

/// The pools are there again, and writes up to `written` were said to be on disk: recovers both nodes, and says what is wrong. Then everything goes on.
///
/// # Errors
/// What recovery, or going on after it, fails with.
pub fn after_the_power_was_cut(written: u64) -> Result<Vec<String>, Error> {
    let nodes = Nodes::open()?;
    let mut wrong = Vec::new();
    let order = if written % 2 == 0 { Side::BOTH } else { [Side::There, Side::Here] };
    wrong.extend(two_writers(&nodes)?);
    for side in order {
        for found in nodes.nodes[side as usize].list()?.volumes {
            let peer = &nodes.peers[side.other() as usize];
            nodes.nodes[side as usize].recover(&found.name, &**peer)?;
        }
        wrong.extend(two_writers(&nodes)?);
    }
    for volume in [disk(), files()] {
        let Some(owner) = nodes.owner(&volume)? else {
            wrong.push(format!("nobody owns '{volume}'"));
            continue;
        };
        wrong.extend(missing(&nodes.nodes[owner as usize], &volume, written)?);
        // Over and back, as if nothing had been.
        nodes.handoff(owner, &volume)?;
        wrong.extend(missing(&nodes.nodes[owner.other() as usize], &volume, written)?);
        nodes.handoff(owner.other(), &volume)?;
        wrong.extend(missing(&nodes.nodes[owner as usize], &volume, written)?);
    }
    Ok(wrong)
}

fn pool(side: Side) -> PoolName {
    let name = if side == Side::Here { "zfsvol-one" } else { "zfsvol-two" };
    name.parse().expect("a pool name")
}

fn disk() -> VolumeName {
    "disk".parse().expect("a volume name")
}

fn files() -> VolumeName {
    "files".parse().expect("a volume name")
}

/// A block, and a snapshot of the file system. Both are on disk when this returns.
fn write(node: &Node, write: u64) -> Result<(), Error> {
    let device = node.open_device(&disk(), Access::ReadWrite, DEVICE_WAIT)?;
    device.write_all_at(&block(write), write % BLOCKS * BLOCK).expect("written");
    device.flush().expect("flushed");
    drop(device);
    node.snapshot(&files(), &format!("write{write}"))?;
    if let Some(old) = write.checked_sub(SNAPSHOTS) {
        let old = node.dataset(&files())?.snapshot(&format!("write{old}"))?;
        // One that a push begins from stays.
        let _ = node.zfs().destroy_snapshots([&old], Destroy::Now);
    }
    Ok(())
}

fn block(write: u64) -> Vec<u8> {
    crate::volume::noise(write + 1, 4096)
}

/// Copies that can be written by who does not own them, or by two.
fn two_writers(nodes: &Nodes) -> Result<Vec<String>, Error> {
    let mut wrong = Vec::new();
    for volume in [disk(), files()] {
        let mut writers = 0;
        for node in &nodes.nodes {
            let Some(info) = node.get(&volume)? else { continue };
            if node.zfs().properties(&info.dataset)?.text("readonly") == Some("off") {
                writers += 1;
                if !info.is_owned_by(node.id()) {
                    wrong.push(format!("it can be written by who does not own it: {info:?}"));
                }
            }
        }
        if writers > 1 {
            wrong.push(format!("'{volume}' has {writers} writers"));
        }
    }
    Ok(wrong)
}

/// What was said to be written, and is not there.
fn missing(node: &Node, volume: &VolumeName, written: u64) -> Result<Vec<String>, Error> {
    let mut wrong = Vec::new();
    if *volume == files() {
        let names: Vec<String> = node.snapshots(volume)?.into_iter().map(|one| one.name).collect();
        // The one before may have been destroyed for one that was not told any more.
        for write in written.saturating_sub(SNAPSHOTS - 2)..=written {
            if !names.contains(&format!("write{write}")) {
                wrong.push(format!("snapshot {write} of '{volume}' is missing: {names:?}"));
            }
        }
        return Ok(wrong);
    }
    let device = node.open_device(volume, Access::Read, DEVICE_WAIT)?;
    let mut found = block(0);
    for write in (written + 1).saturating_sub(BLOCKS)..=written {
        device.read_exact_at(&mut found, write % BLOCKS * BLOCK).expect("read");
        // What was written next, and not told any more, may be there in its place.
        if found != block(write) && found != block(write + BLOCKS) {
            wrong.push(format!("block {write} of '{volume}' is missing"));
        }
    }
    Ok(wrong)
}
