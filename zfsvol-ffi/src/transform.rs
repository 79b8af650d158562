//! Streams made of streams, with no kernel: copied, (de)compressed, cut, filtered, taken apart and put together.

use std::ffi::c_void;
use std::io::{self, Read, Write};

use zfsvol_core::stream::{self, Compression, Package, StreamName, StreamReader, Verifier};

use crate::answer;
use crate::boundary::Caller;
use crate::error::{Fault, zfsvol_error};
use crate::handle::{Object, take_back};
use crate::io::{FromC, ToC, zfsvol_reader, zfsvol_writer};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::stream::told;
use crate::view::zfsvol_str;

/// Copies a stream through, verifying it on the way, as `tee` with a check. Both contexts are released in any case; `summary` can be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_copy(
    from: *const zfsvol_reader,
    to: *const zfsvol_writer,
    summary: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (mut reader, mut writer) = ends(caller, from, to)?;
        let out = caller.optional_out(summary)?;
        let mut verifier = Verifier::new();
        // As much as verifying reads at once.
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = match reader.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            let piece = buffer.get(..count).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            verifier.feed(piece)?;
            writer.write_all(piece)?;
        }
        out.list(&verifier.finish()?)?;
    })
}

/// Copies a stream with its blocks as they are uncompressed. Both contexts are released in any case.
///
/// Fails as `zfsvol_stream_verify`, and with what writing failed with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_decompress(
    from: *const zfsvol_reader,
    to: *const zfsvol_writer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (reader, writer) = ends(caller, from, to)?;
        stream::decompress(&mut StreamReader::new(reader), writer)?.flush()?;
    })
}

/// Copies a stream with its blocks compressed by that algorithm (`lz4`, `zle`, `gzip-6`, ...). Both contexts are released in any case.
///
/// Fails as `zfsvol_stream_decompress`, and with `INVALID` for an algorithm that there is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_recompress(
    from: *const zfsvol_reader,
    to: *const zfsvol_writer,
    compression: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (reader, writer) = ends(caller, from, to)?;
        let word = caller.text(compression)?;
        let compression =
            (0..=u8::MAX).map(Compression).find(|one| one.name() == Some(word)).ok_or_else(
                || Fault::invalid("compress with", "there is no such algorithm").with_target(word),
            )?;
        stream::recompress(&mut StreamReader::new(reader), writer, compression)?.flush()?;
    })
}

/// Copies a stream without the blocks that begin at `offset` of `object`; `dropped` is how many these were (NULL if that does not matter). Both contexts are released in any case.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_drop_record(
    from: *const zfsvol_reader,
    to: *const zfsvol_writer,
    object: u64,
    offset: u64,
    dropped: *mut u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (reader, writer) = ends(caller, from, to)?;
        let out = caller.optional_out(dropped)?;
        let count = stream::drop_record(&mut StreamReader::new(reader), writer, object, offset)?;
        out.set(count);
    })
}

/// Makes of a stream the rest that a resumed send would send: what finishes a receive that has got as far as `object` and `offset`, which a resume token names. Both contexts are released in any case.
///
/// Fails as `zfsvol_stream_decompress`, and with `INVALID` for a package.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_cut(
    from: *const zfsvol_reader,
    to: *const zfsvol_writer,
    object: u64,
    offset: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (reader, writer) = ends(caller, from, to)?;
        stream::cut(&mut StreamReader::new(reader), writer, object, offset)?.flush()?;
    })
}

/// Copies a stream without the records that `keep` refuses; what begins and ends it stays. The record is lent, and is as `zfsvol_records_next` gives it, without payload. Leaving out a record changes what is received: this is for
/// repairs. The contexts of reader and writer are released in any case.
///
/// Fails as `zfsvol_stream_decompress`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_filter(
    from: *const zfsvol_reader,
    to: *const zfsvol_writer,
    keep: Option<unsafe extern "C" fn(context: *mut c_void, record: *const zfsvol_nvlist) -> bool>,
    context: *mut c_void,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (reader, writer) = ends(caller, from, to)?;
        let keep = keep.ok_or_else(|| Fault::null("the function that keeps records"))?;
        let mut problem = None;
        let mut copied = stream::filter(&mut StreamReader::new(reader), writer, |frame| {
            let list = match told(frame, false) {
                Ok(list) => zfsvol_nvlist::give(list),
                Err(fault) => {
                    problem.get_or_insert(fault);
                    return true;
                }
            };
            // SAFETY: C gave the function for this context, and the record lives until it returns.
            let is_kept = unsafe { keep(context, list) };
            take_back(list);
            is_kept
        })?;
        if let Some(fault) = problem {
            return Err(fault);
        }
        copied.flush()?;
    })
}

/// Takes a package apart: `open` is called for each stream with its begin record (`fields` of `zfsvol_records_next`, lent), and fills in where that stream is to go; it returns 0, or an errno. A stream by itself is written as it is. `package` (NULL if it does not matter) gets what the
/// package says of its streams, as `zfs send` wrote it, or NULL if it says nothing. All contexts are released in any case.
///
/// Fails as `zfsvol_stream_decompress`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_split(
    from: *const zfsvol_reader,
    open: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            begin: *const zfsvol_nvlist,
            writer: *mut zfsvol_writer,
        ) -> i32,
    >,
    context: *mut c_void,
    package: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let reader = caller.reader(from)?;
        let out = caller.optional_out(package)?;
        let open = open.ok_or_else(|| Fault::null("the function that opens"))?;
        let found = stream::split(&mut StreamReader::new(reader), |begin| {
            let list = answer::list(begin).map_err(|fault| io::Error::other(fault.to_string()))?;
            let list = zfsvol_nvlist::give(list);
            let mut writer = zfsvol_writer::NONE;
            // SAFETY: C gave the function for this context; the record and the place live until it returns.
            let errno = unsafe { open(context, list, &raw mut writer) };
            take_back(list);
            match errno {
                0 => caller
                    .writer(&raw const writer)
                    .map_err(|fault| io::Error::other(fault.to_string())),
                errno => Err(io::Error::from_raw_os_error(errno)),
            }
        })?;
        out.give_optional(found.map(|package| package.to_list()));
    })
}

/// Puts streams together into one package, which `zfs receive` takes in one go, in the order in which they are to be received. `name` is the snapshot that the package is of. Increments of one dataset need no
/// `package`, which may be NULL; else it is one of `zfsvol_stream_split`. All contexts are released in any case.
///
/// Fails as `zfsvol_stream_decompress`; with `INVALID` when one of them is a package itself, the name is too long or `package` is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_join(
    streams: *const zfsvol_reader,
    count: usize,
    name: zfsvol_str,
    package: *const zfsvol_nvlist,
    to: *const zfsvol_writer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let writer = caller.writer(to);
        // All of them are taken before anything is looked at, so that each is released.
        let readers: Vec<Result<FromC, Fault>> =
            caller.array(streams, count)?.iter().map(|one| caller.reader(one)).collect();
        let readers: Vec<FromC> = readers.into_iter().collect::<Result<_, _>>()?;
        let writer = writer?;
        let package = match caller.get_optional(package)? {
            Some(list) => Some(Package::from_list(list).map_err(|error| {
                Fault::invalid("read what is in the package", error.to_string())
            })?),
            None => None,
        };
        let name = caller.text(name)?;
        let name = StreamName::new(name).ok_or_else(|| {
            Fault::invalid("name the package", "it is too long, or has a NUL").with_target(name)
        })?;
        stream::join(package.as_ref(), &name, readers, writer)?.flush()?;
    })
}

/// Both ends; the contexts of both are released whatever happens.
fn ends(
    caller: &Caller,
    from: *const zfsvol_reader,
    to: *const zfsvol_writer,
) -> Result<(FromC, ToC), Fault> {
    let (reader, writer) = (caller.reader(from), caller.writer(to));
    Ok((reader?, writer?))
}
