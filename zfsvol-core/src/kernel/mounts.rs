//! Mounts of a real host: `/proc/self/mountinfo`, `mount(2)` and `umount2(2)`.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MntFlags, MsFlags};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::host::{MountEntry, MountFlags, MountPoint, MountRequest, UnmountFlags};
use crate::errno::Errno;

/// Every ZFS mount in this process's mount namespace.
pub(super) fn list() -> Result<Vec<MountEntry>, Errno> {
    let table = std::fs::read("/proc/self/mountinfo")
        .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(table.split(|&byte| byte == b'\n').filter_map(entry).collect())
}

pub(super) fn mount(request: &MountRequest) -> Result<(), Errno> {
    if request.flags.contains(MountFlags::NO_SYMLINKS) {
        let directory = open_without_symlinks(&request.path)?;
        return mount_on(
            request,
            &Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()),
        );
    }
    mount_on(request, &request.path)
}

fn mount_on(request: &MountRequest, path: &Path) -> Result<(), Errno> {
    nix::mount::mount(
        Some(request.dataset.as_str()),
        path,
        Some("zfs"),
        ms_flags(request.flags),
        Some(request.data.as_str()),
    )
    .map_err(|errno| Errno(errno as i32))
}

pub(super) fn unmount(path: &Path, flags: UnmountFlags) -> Result<(), Errno> {
    let mut mnt = MntFlags::UMOUNT_NOFOLLOW;
    mnt.set(MntFlags::MNT_FORCE, flags.contains(UnmountFlags::FORCE));
    mnt.set(MntFlags::MNT_DETACH, flags.contains(UnmountFlags::DETACH));
    nix::mount::umount2(path, mnt).map_err(|errno| Errno(errno as i32))
}

/// Makes the directory if it is not there, and looks into it.
pub(super) fn prepare(request: &MountRequest) -> Result<MountPoint, Errno> {
    let create = !request.flags.contains(MountFlags::EXISTING_DIRECTORY);
    let entries = if request.flags.contains(MountFlags::NO_SYMLINKS) {
        let directory = create_without_symlinks(&request.path, create)?;
        read_dir(&Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()))
    } else {
        if create && std::fs::symlink_metadata(&request.path).is_err() {
            std::fs::create_dir_all(&request.path).map_err(|error| errno(&error))?;
        }
        read_dir(&request.path)
    };
    Ok(if entries?.next().is_none() { MountPoint::Empty } else { MountPoint::Filled })
}

/// Removes the directory if it is empty.
pub(super) fn remove(path: &Path, flags: MountFlags) -> Result<(), Errno> {
    if !flags.contains(MountFlags::NO_SYMLINKS) {
        return std::fs::remove_dir(path).map_err(|error| errno(&error));
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::EINVAL);
    };
    let parent = open_without_symlinks(parent)?;
    unlinkat(parent, name, UnlinkatFlags::RemoveDir).map_err(|errno| Errno(errno as i32))
}

fn read_dir(path: &Path) -> Result<std::fs::ReadDir, Errno> {
    std::fs::read_dir(path).map_err(|error| errno(&error))
}

fn errno(error: &std::io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::EIO))
}

/// Goes down the path one directory at a time, and makes those that are not there if it may.
fn create_without_symlinks(path: &Path, create: bool) -> Result<OwnedFd, Errno> {
    let mut directory = open_without_symlinks(Path::new("/"))?;
    for part in path.components() {
        let name = match part {
            Component::RootDir => continue,
            Component::Normal(name) => name,
            _ => return Err(Errno::EINVAL),
        };
        directory = match open_at(&directory, Path::new(name)) {
            Err(Errno::ENOENT) if create => {
                // Somebody else's is as good.
                match mkdirat(&directory, name, Mode::from_bits_truncate(0o755)) {
                    Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
                    Err(errno) => return Err(Errno(errno as i32)),
                }
                open_at(&directory, Path::new(name))?
            }
            other => other?,
        };
    }
    Ok(directory)
}

/// The directory itself, so that nothing on the way to it can be exchanged between the look and the mount.
fn open_without_symlinks(path: &Path) -> Result<OwnedFd, Errno> {
    open_at(AT_FDCWD, path)
}

fn open_at(directory: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    openat2(directory, path, how).map_err(|errno| Errno(errno as i32))
}

fn ms_flags(flags: MountFlags) -> MsFlags {
    [
        (MountFlags::READ_ONLY, MsFlags::MS_RDONLY),
        (MountFlags::NO_SUID, MsFlags::MS_NOSUID),
        (MountFlags::NO_DEV, MsFlags::MS_NODEV),
        (MountFlags::NO_EXEC, MsFlags::MS_NOEXEC),
        (MountFlags::NO_ATIME, MsFlags::MS_NOATIME),
        (MountFlags::RELATIME, MsFlags::MS_RELATIME),
        (MountFlags::REMOUNT, MsFlags::MS_REMOUNT),
        (MountFlags::STRICT_ATIME, MsFlags::MS_STRICTATIME),
        (MountFlags::MANDATORY_LOCKS, MsFlags::MS_MANDLOCK),
    ]
    .into_iter()
    .filter(|(flag, _)| flags.contains(*flag))
    .fold(MsFlags::empty(), |all, (_, ms)| all | ms)
}

/// One line of mountinfo (proc(5)), if it is a ZFS mount:
/// `36 35 0:40 / /tank/a rw,noatime shared:1 - zfs tank/a rw,xattr,posixacl`.
fn entry(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|&byte| byte == b' ');
    let path = fields.nth(4)?;
    let options = fields.next()?;
    let mut behind = fields.skip_while(|field| *field != b"-").skip(1);
    if behind.next()? != b"zfs" {
        return None;
    }
    let dataset = behind.next()?;
    let own_options = behind.next().unwrap_or_default();
    Some(MountEntry::new(
        String::from_utf8_lossy(&unescape(dataset)),
        PathBuf::from(OsString::from_vec(unescape(path))),
        merge_options(options, own_options),
    ))
}

/// Options of the mount, then those of the file system that are not there yet; read-only in either is read-only.
fn merge_options(mount: &[u8], own: &[u8]) -> String {
    let (mount, own) = (String::from_utf8_lossy(mount), String::from_utf8_lossy(own));
    let read_only = mount.split(',').chain(own.split(',')).any(|option| option == "ro");
    let mut all = vec![if read_only { "ro" } else { "rw" }];
    for option in mount.split(',').chain(own.split(',')) {
        if !option.is_empty() && !matches!(option, "ro" | "rw") && !all.contains(&option) {
            all.push(option);
        }
    }
    all.join(",")
}

/// mountinfo writes space, tab, newline and backslash as three octal digits behind a backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, behind)) = rest.split_first() {
        let octal = behind.get(..3).filter(|_| byte == b'\\').and_then(|digits| {
            digits.iter().try_fold(0u32, |number, digit| {
                (b'0'..=b'7').contains(digit).then(|| number * 8 + u32::from(digit - b'0'))
            })
        });
        match octal.and_then(|number| u8::try_from(number).ok()) {
            Some(decoded) => {
                out.push(decoded);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = behind;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zfs_lines_are_read_and_others_passed_over() {
        let line = br"36 35 0:40 / /mnt/a\040b rw,nosuid,noatime shared:1 - zfs tank/a\040b rw,xattr,posixacl";
        assert_eq!(
            entry(line),
            Some(MountEntry::new("tank/a b", "/mnt/a b", "rw,nosuid,noatime,xattr,posixacl"))
        );
        assert_eq!(entry(b"22 1 8:1 / / rw - ext4 /dev/sda1 rw"), None);
        assert_eq!(entry(b""), None);
        assert_eq!(entry(b"36 35 0:40 / /x"), None);
    }

    #[test]
    fn a_symbolic_link_on_the_way_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(directory.path()).unwrap();
        std::fs::create_dir_all(real.join("a/b")).unwrap();
        std::os::unix::fs::symlink(real.join("a"), real.join("link")).unwrap();
        assert!(open_without_symlinks(&real.join("a/b")).is_ok());
        assert_eq!(open_without_symlinks(&real.join("link/b")).unwrap_err(), Errno::ELOOP);
        assert_eq!(open_without_symlinks(&real.join("link")).unwrap_err(), Errno::ELOOP);
        assert_eq!(open_without_symlinks(&real.join("none")).unwrap_err(), Errno::ENOENT);
    }

    #[test]
    fn directories_are_made_looked_into_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(directory.path()).unwrap();
        std::os::unix::fs::symlink("/tmp", real.join("link")).unwrap();
        for flags in [MountFlags::empty(), MountFlags::NO_SYMLINKS] {
            let request = |name: &str, more| {
                let mut request = MountRequest::new("tank/a", real.join(name));
                request.flags = flags | more;
                request
            };
            let none = MountFlags::empty();
            let existing = MountFlags::EXISTING_DIRECTORY;
            assert_eq!(prepare(&request("a/b", existing)), Err(Errno::ENOENT));
            assert_eq!(prepare(&request("a/b", none)), Ok(MountPoint::Empty));
            assert_eq!(prepare(&request("a/b", existing)), Ok(MountPoint::Empty));
            assert_eq!(prepare(&request("a", none)), Ok(MountPoint::Filled));
            assert_eq!(remove(&real.join("a"), flags), Err(Errno::ENOTEMPTY));
            assert_eq!(remove(&real.join("a/b"), flags), Ok(()));
            assert_eq!(remove(&real.join("a"), flags), Ok(()));
            std::fs::write(real.join("file"), "").unwrap();
            assert_eq!(prepare(&request("file", none)), Err(Errno::ENOTDIR));
        }
        let mut request = MountRequest::new("tank/a", real.join("link/zfsvol-test-none"));
        request.flags = MountFlags::NO_SYMLINKS;
        // openat2(2) says of a link that is wanted as a directory that it is none.
        assert!(matches!(prepare(&request), Err(Errno::ELOOP | Errno::ENOTDIR)));
    }

    #[test]
    fn read_only_in_either_place_is_read_only() {
        let entry = entry(b"36 35 0:40 / /a rw - zfs tank/a ro,xattr").unwrap();
        assert!(entry.is_read_only());
    }
}
