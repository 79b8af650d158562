//! What this library reads of devices itself: their labels, and this host's identity.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Zfs;
use super::topology::{Check, device_error};
use crate::error::{ErrorKind, Result};
use crate::label::{self, CONFIG_BYTES, CONFIG_OFFSET, Label, LabelState};

/// Most entries of a directory that are looked at: far more than `/dev` has.
const ENTRIES_MAX: usize = 64 << 10;

/// A device and the label that was found on it.
#[derive(Clone, Debug)]
pub(crate) struct Labelled {
    pub(super) path: PathBuf,
    pub(crate) label: Label,
    /// How many of its four labels are good.
    pub(super) copies: usize,
}

/// The newest good label of a file or block device; `None` when there is none, or when it is neither.
pub(crate) fn read_label(path: &Path) -> io::Result<Option<Labelled>> {
    if !may_have_label(&std::fs::metadata(path)?) {
        return Ok(None);
    }
    // What the path names can have changed since: a FIFO must not block the open.
    let mut device = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !may_have_label(&device.metadata()?) {
        return Ok(None);
    }
    let Some(offsets) = label::offsets(device.seek(SeekFrom::End(0))?) else { return Ok(None) };
    let labels: Vec<Label> = offsets.iter().filter_map(|at| label_at(&device, *at)).collect();
    let newest = Label::newest(labels.iter().cloned());
    Ok(newest.map(|label| Labelled {
        path: path.to_owned(),
        copies: labels.iter().filter(|other| other.guid == label.guid).count(),
        label,
    }))
}

/// One that cannot be read counts as one that is not there: there are three more.
fn label_at(device: &File, offset: u64) -> Option<Label> {
    let mut bytes = vec![0; CONFIG_BYTES];
    let at = offset + CONFIG_OFFSET;
    device.read_exact_at(&mut bytes, at).ok()?;
    Label::parse(&bytes, at).ok()
}

fn may_have_label(metadata: &std::fs::Metadata) -> bool {
    metadata.is_file() || metadata.file_type().is_block_device()
}

/// The labels on `path`: a file, a device, or a directory of such, whose entries are looked at in the order of their names.
pub(super) fn find_labels(path: &Path) -> io::Result<Vec<Labelled>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(read_label(path)?.into_iter().collect());
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)?
        .take(ENTRIES_MAX)
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    entries.sort();
    // In a directory there is much that cannot be opened, and it says nothing about pools.
    Ok(entries.iter().filter_map(|entry| read_label(entry).ok().flatten()).collect())
}

/// What the kernel calls this host: zero if it has no identity. It writes it into labels, and only `multihost` needs one.
///
/// As OpenZFS 2.4 `lib/libspl/os/linux/gethostid.c` finds it.
pub(crate) fn hostid() -> u64 {
    let parameter = std::fs::read_to_string("/sys/module/spl/parameters/spl_hostid");
    let parameter = parameter.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    if parameter != 0 {
        return parameter;
    }
    let file = std::fs::read("/etc/hostid").unwrap_or_default();
    file.first_chunk::<4>().map_or(0, |bytes| u32::from_ne_bytes(*bytes).into())
}

impl Zfs {
    /// Refuses devices that a pool may still want, as `zpool create` without `-f` does.
    pub(super) fn check_unused<'a>(
        &self,
        devices: impl Iterator<Item = &'a Path>,
        check: Check<'_>,
    ) -> Result<()> {
        for device in devices {
            let found = read_label(device).map_err(|error| device_error(device, error, check))?;
            let Some(Labelled { label, .. }) = found else { continue };
            let Some(pool) = label.pool else { continue };
            let doing = match label.state {
                LabelState::Active if self.is_imported(check.operation, pool.guid)? => {
                    "which is imported".to_owned()
                }
                LabelState::Active => match pool.host {
                    Some((id, host)) => {
                        format!("which was last in use on the host '{host}' (hostid {id:x})")
                    }
                    None => "which may be in use elsewhere".to_owned(),
                },
                LabelState::Exported => "which is exported".to_owned(),
                _ => continue,
            };
            let reason = format!(
                "device '{}' is part of the pool '{}', {doing}",
                device.display(),
                pool.name.escape_debug()
            );
            return Err(check
                .operation
                .error(ErrorKind::Busy, check.target, reason)
                .with_help("import and destroy that pool, or force it to give the device up"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_device_has_no_label() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, vec![0; 2 << 20]).unwrap();
        assert!(read_label(&file).unwrap().is_none());
        assert!(read_label(Path::new("/dev/null")).unwrap().is_none());
        assert!(read_label(&directory.path().join("missing")).is_err());
        assert!(find_labels(directory.path()).unwrap().is_empty());
    }

    /// Opening a FIFO for reading waits for a writer.
    #[test]
    fn a_fifo_does_not_block_the_search() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(find_labels(directory.path()).unwrap().is_empty());
    }
}
