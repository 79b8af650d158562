//! [`ReadOnly`]: a door through which nothing can be changed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::policy::{self, Effect};
use super::{
    Access, BlockDevice, Cmd, Errno, Handle, Host, Ioc, Kernel, Module, MountEntry, MountFlags,
    MountPoint, MountRequest, UnmountFlags,
};
use crate::name::DatasetName;
use crate::nvlist::{NvList, Value};

/// Lets through what only reads, and refuses everything else with `EROFS`, which becomes
/// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
///
/// It is a list of what is allowed: an ioctl that this library does not know is refused. Sending is reading, since it writes to the
/// caller's descriptor alone. Of channel programs those that do not ask for syncing context are allowed, where OpenZFS itself lets them look only;
/// of loading a key, trying it (`noop`). File systems can be mounted read-only, zvols opened for reading; mounting a file system can replay
/// its intent log, which writes what had been promised before.
///
/// The wrapper binds those who call through it. It is no sandbox: code of the same process can open `/dev/zfs` itself.
///
/// ```
/// # use std::sync::Arc;
/// # use zfsvol_core::kernel::{Cmd, Errno, Host, Ioc, Kernel, ReadOnly};
/// # fn example(kernel: Arc<dyn Kernel>) {
/// let door = ReadOnly::new(kernel);
/// assert_eq!(door.ioctl(Ioc::DESTROY, &mut Cmd::new("tank/a")), Err(Errno::EROFS));
/// # }
/// ```
#[derive(Debug)]
pub struct ReadOnly {
    inner: Arc<dyn Kernel>,
}

impl ReadOnly {
    /// A door to `inner` that only reads.
    pub fn new(inner: Arc<dyn Kernel>) -> Self {
        Self { inner }
    }

    fn host(&self) -> &dyn Host {
        self.inner.host()
    }
}

impl Kernel for ReadOnly {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        let Some(checked) = reads(ioc, cmd) else {
            let reason = format!("this door only reads, and {ioc} changes something");
            return Err(cmd.refuse(Errno::EROFS, reason));
        };
        let Checked::Input(packed) = checked else { return self.inner.ioctl(ioc, cmd) };
        let given = cmd.input.replace(packed);
        let outcome = self.inner.ioctl(ioc, cmd);
        cmd.input = given;
        outcome
    }

    fn host(&self) -> &dyn Host {
        self
    }
}

/// What a request that reads is passed on with.
enum Checked {
    AsItIs,
    /// The input as it was understood when it was checked, packed anew: bytes that another decoder could understand otherwise
    /// never reach it.
    Input(Vec<u8>),
}

/// Whether it only reads; `None` if not.
fn reads(ioc: Ioc, cmd: &Cmd) -> Option<Checked> {
    let input = || NvList::from_bytes(cmd.input.as_deref()?).ok();
    let holds = |input: &NvList, key: &str, value: &Value| {
        let mut found = input.iter().filter(|(name, _)| *name == key).peekable();
        found.peek().is_some() && found.all(|(_, each)| each == value)
    };
    let (key, value) = match policy::rule(ioc)?.effect {
        Effect::Reads => return Some(Checked::AsItIs),
        Effect::Changes => return None,
        Effect::ReadsIfFalse(key) => (key, Value::BooleanValue(false)),
        Effect::ReadsIfFlag(key) => (key, Value::Boolean),
    };
    let input = input().filter(|input| holds(input, key, &value))?;
    input.to_bytes().ok().map(Checked::Input)
}

impl Host for ReadOnly {
    fn module(&self) -> &Module {
        self.host().module()
    }

    fn handle(&self) -> Result<Handle, Errno> {
        self.host().handle()
    }

    fn mounts(&self) -> Result<Vec<MountEntry>, Errno> {
        self.host().mounts()
    }

    /// Mounts what is asked for read-only; changes no mount that is there.
    fn mount(&self, request: &MountRequest) -> Result<(), Errno> {
        // The options of the file system's own can say `rw` too; which of the two wins is not for a policy to depend on.
        let options_write =
            request.data.split(',').any(|option| matches!(option.trim(), "rw" | "remount"));
        if !request.flags.contains(MountFlags::READ_ONLY)
            || request.flags.contains(MountFlags::REMOUNT)
            || options_write
        {
            return Err(Errno::EROFS);
        }
        self.host().mount(request)
    }

    /// Unmounts what is mounted read-only.
    fn unmount(&self, path: &Path, flags: UnmountFlags) -> Result<(), Errno> {
        let mounts = self.host().mounts()?;
        // The last one covers those before it.
        match mounts.iter().rev().find(|mount| mount.path == path) {
            Some(mount) if !mount.is_read_only() => Err(Errno::EROFS),
            Some(_) => self.host().unmount(path, flags),
            None => Err(Errno::EINVAL),
        }
    }

    /// Makes no directory: it could be one in a dataset.
    fn prepare_mount_point(&self, request: &MountRequest) -> Result<MountPoint, Errno> {
        let mut request = request.clone();
        request.flags |= MountFlags::EXISTING_DIRECTORY;
        self.host().prepare_mount_point(&request)
    }

    fn remove_mount_point(&self, _path: &Path, _flags: MountFlags) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn open_block(
        &self,
        zvol: &DatasetName,
        access: Access,
        wait: Duration,
    ) -> Result<Box<dyn BlockDevice>, Errno> {
        match access {
            Access::Read => self.host().open_block(zvol, access, wait),
            Access::ReadWrite => Err(Errno::EROFS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::stub::Stub;

    fn door() -> (Arc<Stub>, ReadOnly) {
        let stub = Arc::new(Stub::new(|_, _| Ok(())).with_mounts([
            MountEntry::new("tank/ro", "/ro", "ro,xattr"),
            MountEntry::new("tank/rw", "/rw", "rw,xattr"),
        ]));
        (stub.clone(), ReadOnly::new(stub))
    }

    fn cmd(input: &NvList) -> Cmd {
        let mut cmd = Cmd::new("tank");
        cmd.input = Some(input.to_bytes().unwrap());
        cmd
    }

    #[test]
    fn what_changes_never_reaches_the_kernel() {
        let (stub, door) = door();
        for ioc in [Ioc::SNAPSHOT, Ioc::HOLD, Ioc::POOL_EXPORT, Ioc::SET_PROP, Ioc::TMP_SNAPSHOT] {
            assert_eq!(door.ioctl(ioc, &mut Cmd::new("tank")), Err(Errno::EROFS), "{ioc}");
        }
        assert!(stub.calls().is_empty());
    }

    #[test]
    fn what_reads_goes_through_as_it_is() {
        let (stub, door) = door();
        for ioc in [Ioc::OBJSET_STATS, Ioc::SEND_NEW, Ioc::POOL_CONFIGS, Ioc::DATASET_LIST_NEXT] {
            assert_eq!(door.ioctl(ioc, &mut Cmd::new("tank")), Ok(()), "{ioc}");
        }
        assert_eq!(stub.calls().len(), 4);
        assert_eq!(stub.calls()[0], (Ioc::OBJSET_STATS, Cmd::new("tank")));
    }

    #[test]
    fn the_message_says_that_the_door_refuses() {
        let (_, door) = door();
        let mut cmd = Cmd::new("tank");
        door.ioctl(Ioc::DESTROY, &mut cmd).unwrap_err();
        assert_eq!(
            cmd.refusal(),
            Some("this door only reads, and ZFS_IOC_DESTROY changes something")
        );
    }

    #[test]
    fn only_programs_without_syncing_context_run() {
        let (stub, door) = door();
        let run = |input: &NvList| door.ioctl(Ioc::CHANNEL_PROGRAM, &mut cmd(input));
        let with = |value: Value| -> NvList {
            [("program", Value::from("return 1")), ("sync", value)].into_iter().collect()
        };
        assert_eq!(run(&with(Value::BooleanValue(false))), Ok(()));
        assert_eq!(run(&with(Value::BooleanValue(true))), Err(Errno::EROFS));
        assert_eq!(run(&with(Value::Boolean)), Err(Errno::EROFS));
        // The kernel's default is syncing context.
        assert_eq!(run(&[("program", "return 1")].into_iter().collect()), Err(Errno::EROFS));
        let mut twice = NvList::with_duplicates();
        twice.insert("sync", false).insert("sync", true);
        assert_eq!(run(&twice), Err(Errno::EROFS));
        let mut twice = NvList::with_duplicates();
        twice.insert("sync", true).insert("sync", false);
        assert_eq!(run(&twice), Err(Errno::EROFS));
        let mut garbage = Cmd::new("tank");
        garbage.input = Some(vec![0; 64]);
        assert_eq!(door.ioctl(Ioc::CHANNEL_PROGRAM, &mut garbage), Err(Errno::EROFS));
        assert_eq!(stub.calls().len(), 1);
    }

    /// Bytes behind the list are the kernel's to misread; they do not get there.
    #[test]
    fn a_checked_input_is_packed_anew() {
        let (stub, door) = door();
        let input: NvList = [("sync", false)].into_iter().collect();
        let mut cmd = cmd(&input);
        let packed = cmd.input.clone();
        door.ioctl(Ioc::CHANNEL_PROGRAM, &mut cmd).unwrap();
        assert_eq!(stub.calls()[0].1.input, packed);
        assert_eq!(cmd.input, packed);
    }

    #[test]
    fn a_key_can_be_tried_and_not_loaded() {
        let (_, door) = door();
        let list = |flag: &str| -> NvList { [(flag, Value::Boolean)].into_iter().collect() };
        assert_eq!(door.ioctl(Ioc::LOAD_KEY, &mut cmd(&list("noop"))), Ok(()));
        assert_eq!(door.ioctl(Ioc::LOAD_KEY, &mut cmd(&list("other"))), Err(Errno::EROFS));
    }

    #[test]
    fn mounts_and_devices_are_read_only() {
        let (stub, door) = door();
        let request = |flags, data: &str| {
            let mut request = MountRequest::new("tank/a", "/a");
            request.flags = flags;
            data.clone_into(&mut request.data);
            request
        };
        let host = Kernel::host(&door);
        assert_eq!(host.mount(&request(MountFlags::READ_ONLY, "xattr")), Ok(()));
        for (flags, data) in [
            (MountFlags::empty(), "ro"),
            (MountFlags::READ_ONLY, "xattr,rw"),
            (MountFlags::READ_ONLY | MountFlags::REMOUNT, ""),
        ] {
            assert_eq!(host.mount(&request(flags, data)), Err(Errno::EROFS), "{data}");
        }
        assert_eq!(stub.mount_requests().len(), 1);
        let none = UnmountFlags::empty();
        assert_eq!(host.unmount(Path::new("/ro"), none), Ok(()));
        assert_eq!(host.unmount(Path::new("/rw"), none), Err(Errno::EROFS));
        assert_eq!(host.unmount(Path::new("/"), none), Err(Errno::EINVAL));
        let zvol = "tank/z".parse().unwrap();
        let open = |access| host.open_block(&zvol, access, Duration::ZERO).unwrap_err();
        assert_eq!(open(Access::ReadWrite), Errno::EROFS);
        assert_eq!(open(Access::Read), Errno::ETIMEDOUT);
    }
}
