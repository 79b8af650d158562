//! A push of many volumes, most of which have not changed, from one node to another in the same pool.

use std::fs;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use zfsvol_benches::{Job, Outcome};
use zfsvol_core::kernel::UnmountFlags;
use zfsvol_core::property::DatasetTypes;
use zfsvol_core::volume::{LocalPeer, Node, Peer, PushOptions, Uuid, VolumeName, VolumeSpec};
use zfsvol_core::zfs::{List, MountOptions};
use zfsvol_core::{DatasetName, SnapshotName, Zfs};

/// Two nodes, and volumes that both have.
pub(crate) fn prepare(zfs: &Zfs, job: &Job) -> Outcome<usize> {
    let (from, to) = nodes(zfs, job)?;
    job.each_at_once(|name| {
        let volume = volume(&name)?;
        from.create(&volume, &VolumeSpec::file_system())?;
        from.push(&volume, &to, &PushOptions::new())?.wait()?;
        Ok(())
    })
}

/// Brings every volume up to date.
pub(crate) fn push(zfs: &Zfs, job: &Job) -> Outcome<usize> {
    let (from, to) = nodes(zfs, job)?;
    job.each_at_once(|name| {
        from.push(&volume(&name)?, &to, &PushOptions::new())?.wait()?;
        Ok(())
    })
}

/// Releases what the nodes hold, so that all of it can be destroyed.
pub(crate) fn clean(zfs: &Zfs, job: &Job) -> Outcome<usize> {
    for name in zfs.list_names(&List::from(job.parent.parse()?).types(DatasetTypes::SNAPSHOT)) {
        let snapshot: SnapshotName = name?.as_str().parse()?;
        for hold in zfs.holds(&snapshot)? {
            zfs.release(&[(snapshot.clone(), hold.tag.as_str())])?;
        }
    }
    Ok(job.count)
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

fn nodes(zfs: &Zfs, job: &Job) -> Outcome<(Node, Arc<dyn Peer>)> {
    let open = |place: &str, id| -> Outcome<Node> {
        let root = format!("{}/{place}", job.parent).parse()?;
        Ok(Node::open(zfs.clone(), root, Uuid::from_u128(id))?)
    };
    Ok((open("one", 1)?, Arc::new(LocalPeer::new(open("two", 2)?))))
}

/// The volume that is called as the last part of a name.
fn volume(name: &str) -> Outcome<VolumeName> {
    Ok(name.rsplit('/').next().unwrap_or_default().parse()?)
}
