//! What a device says of the pool it is of.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use zfsvol_core::ErrorKind;
use zfsvol_core::label::{self, CONFIG_BYTES, CONFIG_OFFSET, Label, LabelError};

use crate::error::{Fault, zfsvol_error};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;

/// Reads the labels of a device or file, and gives the newest: `state` (string: `active`, `exported`, `destroyed`, `spare`, `cache`), `guid` (uint64: the device's own), `txg` (uint64), `pool` (nvlist, but for
/// spares and cache devices: `name` (string), `guid`, `top_guid` (uint64) and, if it was not exported, `host` (nvlist: `hostid` (uint64), `hostname` (string))), `config` (nvlist: all that the label says). NULL when there is none, or only of a pool that was never finished.
/// The descriptor stays the caller's, with its offset as it was. Asks no kernel.
///
/// Fails with `CORRUPT` (there are labels, and none that is whole), and with what reading fails with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_label_read(
    fd: i32,
    label: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(label)?;
        let mut device = File::from(caller.descriptor(fd)?);
        out.next(newest(&mut device)?.as_ref())?;
    })
}

fn newest(device: &mut File) -> Result<Option<Label>, Fault> {
    let bytes = size(device)?;
    let mut found = Vec::new();
    let mut damage = None;
    for offset in label::offsets(bytes).into_iter().flatten() {
        let mut config = vec![0; CONFIG_BYTES];
        device.read_exact_at(&mut config, offset + CONFIG_OFFSET)?;
        match Label::parse(&config, offset + CONFIG_OFFSET) {
            Ok(label) => found.push(label),
            Err(LabelError::Absent | LabelError::Unfinished) => {}
            Err(error) => damage = Some(error),
        }
    }
    match (Label::newest(found), damage) {
        (None, Some(damage)) => {
            let kind = ErrorKind::Corrupt.number();
            Err(Fault::new(kind, "read the label of the device", damage.to_string()))
        }
        (label, _) => Ok(label),
    }
}

/// How long it is: metadata does not say that of a block device.
fn size(device: &mut File) -> io::Result<u64> {
    let before = device.stream_position()?;
    let bytes = device.seek(SeekFrom::End(0))?;
    device.seek(SeekFrom::Start(before))?;
    Ok(bytes)
}
