//! A push of many volumes, most of which have not changed, from one node to another in the same pool.

use std::fs;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use zfsvol_benches::{Job, Outcome};
use zfsvol_core::kernel::UnmountFlags;
use zfsvol_core::volume::{LocalPeer, Node, Peer, PushOptions, Uuid, VolumeName, VolumeSpec};
use zfsvol_core::zfs::MountOptions;
use zfsvol_core::{DatasetName, Zfs};

/// Two nodes, and volumes that both have.
pub(crate) fn prepare(zfs: &Zfs, job: &Job) -> Outcome<usize> {
    let (from, to) = nodes(zfs, job)?;
    job.each_at_once(|name| {
        let volume = volume(&name)?;
        from.create(&volume, &VolumeSpec::file_system())?;
        from.push(&volume, &to.peer, &PushOptions::new())?.wait()?;
        Ok(())
    })
}

/// Brings every volume up to date.
pub(crate) fn push(zfs: &Zfs, job: &Job) -> Outcome<usize> {
    let (from, to) = nodes(zfs, job)?;
    job.each_at_once(|name| {
        from.push(&volume(&name)?, &to.peer, &PushOptions::new())?.wait()?;
        Ok(())
    })
}

/// Destroys the volumes on both sides, with what they hold.
pub(crate) fn clean(zfs: &Zfs, job: &Job) -> Outcome<usize> {
    let (from, to) = nodes(zfs, job)?;
    job.each_at_once(|name| {
        let volume = volume(&name)?;
        to.node.destroy(&volume)?;
        from.destroy(&volume)?;
        Ok(())
    })
}

/// Writes something new to file systems, whoever made them.
pub(crate) fn write(zfs: &Zfs, job: &Job) -> Outcome<usize> {
    let folder = std::env::temp_dir().join("zfsvol-bench-mount");
    fs::create_dir_all(&folder)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    job.each(|name| {
        let name: DatasetName = name.parse()?;
        zfs.mount(&name, &MountOptions::at(&folder))?;
        fs::write(folder.join("note"), now.to_string().repeat(1_000))?;
        zfs.unmount(&name, UnmountFlags::empty())?;
        Ok(())
    })
}

struct To {
    node: Node,
    peer: Arc<dyn Peer>,
}

fn nodes(zfs: &Zfs, job: &Job) -> Outcome<(Node, To)> {
    let open = |place: &str, id| -> Outcome<Node> {
        let root = format!("{}/{place}", job.parent).parse()?;
        Ok(Node::open(zfs.clone(), root, Uuid::from_u128(id))?)
    };
    let node = open("two", 2)?;
    let peer = Arc::new(LocalPeer::new(node.clone()));
    Ok((open("one", 1)?, To { node, peer }))
}

/// The volume that is called as the last part of a name.
fn volume(name: &str) -> Outcome<VolumeName> {
    Ok(name.rsplit('/').next().unwrap_or_default().parse()?)
}
