//! An [`Error`] on its way to the other side: the body of a `Failed`, and of a `Bye`.

use std::fmt;

use uuid::Uuid;

use super::frame::{FAILURES_MAX, Frame, FrameKind, NAMES_MAX, TEXT_BYTES_MAX};
use crate::error::{BusyReason, Error, ErrorKind, Failure, Result};
use crate::kernel::Errno;
use crate::nvlist::{NvList, Value};

/// The error's kind, by its number.
const KIND: &str = "kind";
const OPERATION: &str = "operation";
const TARGET: &str = "target";
/// How many more names than the target were refused as a whole.
const OTHERS: &str = "others";
const ERRNO: &str = "errno";
const REASON: &str = "reason";
const HELP: &str = "help";
const FAILURES: &str = "failures";
const FAILURES_OMITTED: &str = "failures_omitted";
const BUSY: &str = "busy";
/// Of a failure: whose it is.
const NAME: &str = "name";
/// What keeps it busy, in a word, and who.
const WHAT: &str = "what";
const NAMES: &str = "names";

/// Said by a node at the other end of a connection: the source of an error that came from there.
#[derive(Clone, Debug)]
pub(super) struct SaidBy {
    node: Uuid,
    message: String,
}

impl fmt::Display for SaidBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the node {} said: {}", self.node, self.message)
    }
}

impl std::error::Error for SaidBy {}

/// The list that says all of an error but its source.
pub(super) fn encode(error: &Error) -> NvList {
    let mut list = NvList::new();
    list.insert(KIND, u64::from(error.kind().number()));
    list.insert(OPERATION, text(error.operation()));
    if let Some(target) = error.target() {
        list.insert(TARGET, text(target));
    }
    if error.others() > 0 {
        list.insert(OTHERS, error.others() as u64);
    }
    if let Some(errno) = error.errno() {
        list.insert(ERRNO, i64::from(errno.0));
    }
    list.insert(REASON, text(error.reason()));
    if let Some(help) = error.help() {
        list.insert(HELP, text(help));
    }
    let all = error.failures();
    let failures: Vec<NvList> = all.iter().take(FAILURES_MAX).map(encode_failure).collect();
    let omitted = error.failures_omitted().saturating_add((all.len() - failures.len()) as u64);
    if !failures.is_empty() {
        list.insert(FAILURES, Value::NvListArray(failures));
    }
    if omitted > 0 {
        list.insert(FAILURES_OMITTED, omitted);
    }
    insert_busy(&mut list, error.busy(), NAMES_MAX);
    list
}

/// The frame that says it. Failures that are too long for one frame are left out, and counted.
pub(super) fn frame(kind: FrameKind, request: u32, error: &Error) -> Frame {
    let mut list = encode(error);
    if let Ok(frame) = Frame::with_list(kind, request, &list) {
        return frame;
    }
    list.remove(FAILURES);
    let omitted = error.failures_omitted().saturating_add(error.failures().len() as u64);
    list.insert(FAILURES_OMITTED, omitted);
    // What is left are texts of a bounded length.
    Frame::with_list(kind, request, &list).unwrap_or_else(|_| Frame::empty(kind, request))
}

/// The error that a list says, as `node` said it.
///
/// # Errors
/// [`ErrorKind::Protocol`]: the list says none.
pub(super) fn decode(list: &NvList, node: Uuid) -> Result<Error> {
    let kind = kind(list)?;
    let operation = cut(list.require_str(OPERATION).map_err(wrong)?);
    let reason = cut(list.require_str(REASON).map_err(wrong)?);
    let mut error = Error::new(kind, operation, reason);
    if let Some(target) = list.get_str(TARGET) {
        let others = list.get_u64(OTHERS).unwrap_or_default();
        error = error.with_targets(cut(target), usize::try_from(others).unwrap_or(usize::MAX));
    }
    if let Some(errno) = errno(list) {
        error = error.with_errno(errno);
    }
    if let Some(help) = list.get_str(HELP) {
        error = error.with_help(cut(help));
    }
    let failures = list.get_lists(FAILURES).unwrap_or_default();
    let decoded = failures.iter().take(FAILURES_MAX).map(decode_failure);
    let decoded = decoded.collect::<Result<Vec<_>>>()?;
    let left_out = (failures.len() - decoded.len()) as u64;
    let omitted = list.get_u64(FAILURES_OMITTED).unwrap_or_default().saturating_add(left_out);
    let error = error.with_failures(decoded, omitted).with_busy(busy(list));
    let message = error.to_string();
    Ok(error.with_source(SaidBy { node, message }))
}

fn encode_failure(failure: &Failure) -> NvList {
    /// Of each of many: enough for a message.
    const NAMES_OF_ONE_MAX: usize = 4;
    let mut list = NvList::new();
    list.insert(NAME, text(&failure.name));
    list.insert(KIND, u64::from(failure.kind.number()));
    list.insert(ERRNO, i64::from(failure.errno.0));
    list.insert(REASON, text(&failure.reason));
    insert_busy(&mut list, &failure.busy, NAMES_OF_ONE_MAX);
    list
}

fn decode_failure(list: &NvList) -> Result<Failure> {
    Ok(Failure {
        name: cut(list.require_str(NAME).map_err(wrong)?),
        kind: kind(list)?,
        errno: errno(list).unwrap_or(Errno(0)),
        reason: cut(list.require_str(REASON).map_err(wrong)?).into(),
        busy: busy(list),
    })
}

/// A kind of a later version is [`ErrorKind::Other`]; the words are the same.
fn kind(list: &NvList) -> Result<ErrorKind> {
    let number = list.require_u64(KIND).map_err(wrong)?;
    let known = u32::try_from(number).ok().and_then(ErrorKind::from_number);
    Ok(known.unwrap_or(ErrorKind::Other))
}

fn errno(list: &NvList) -> Option<Errno> {
    list.get_i64(ERRNO).and_then(|errno| i32::try_from(errno).ok()).map(Errno)
}

fn insert_busy(list: &mut NvList, busy: &[BusyReason], names_max: usize) {
    let lists: Vec<NvList> = busy.iter().map(|reason| encode_busy(reason, names_max)).collect();
    if !lists.is_empty() {
        list.insert(BUSY, Value::NvListArray(lists));
    }
}

fn encode_busy(reason: &BusyReason, names_max: usize) -> NvList {
    let one = |name: &String| vec![text(name)];
    let many = |names: &[String]| names.iter().take(names_max).map(|name| text(name)).collect();
    let (what, names): (&str, Vec<String>) = match reason {
        BusyReason::Holds(tags) => ("holds", many(tags)),
        BusyReason::Clones(names) => ("clones", many(names)),
        BusyReason::Children(names) => ("children", many(names)),
        BusyReason::Newer(names) => ("newer", many(names)),
        BusyReason::Mounted(paths) => ("mounted", many(paths)),
        // A token is long, and is cut: who wants it asks for the volume.
        BusyReason::ReceivePending(token) => ("receive_pending", one(token)),
        BusyReason::Receiving => ("receiving", Vec::new()),
        BusyReason::DeviceOpen(device) => ("device_open", one(device)),
    };
    let mut list = NvList::new();
    list.insert(WHAT, what);
    if !names.is_empty() {
        list.insert(NAMES, names);
    }
    list
}

/// What keeps it busy, as far as this version knows the words.
fn busy(list: &NvList) -> Vec<BusyReason> {
    /// One of each.
    const REASONS_MAX: usize = 8;
    let lists = list.get_lists(BUSY).unwrap_or_default();
    lists.iter().take(REASONS_MAX).filter_map(decode_busy).collect()
}

fn decode_busy(list: &NvList) -> Option<BusyReason> {
    let names = list.get_strs(NAMES).unwrap_or_default().iter().take(NAMES_MAX);
    let mut names: Vec<String> = names.map(|name| cut(&name.to_string_lossy())).collect();
    let reason = match list.get_str(WHAT)? {
        "holds" => BusyReason::Holds(names),
        "clones" => BusyReason::Clones(names),
        "children" => BusyReason::Children(names),
        "newer" => BusyReason::Newer(names),
        "mounted" => BusyReason::Mounted(names),
        "receive_pending" => BusyReason::ReceivePending(names.pop()?),
        "receiving" => BusyReason::Receiving,
        "device_open" => BusyReason::DeviceOpen(names.pop()?),
        _ => return None,
    };
    Some(reason)
}

/// At most [`TEXT_BYTES_MAX`] bytes of a text, whole characters, and no NUL: no string of a list has one.
pub(super) fn text(text: &str) -> String {
    cut(text).replace('\0', "\u{fffd}")
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

fn wrong(error: crate::nvlist::NvTypeError) -> Error {
    super::frame::violation(format!("an error that says too little: {error}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: Uuid = Uuid::from_u128(7);

    fn there_and_back(error: &Error) -> Error {
        let frame = Frame::with_list(FrameKind::Failed, 1, &encode(error)).unwrap();
        decode(&frame.list().unwrap(), NODE).unwrap()
    }

    fn failure(name: &str) -> Failure {
        Failure {
            name: name.to_owned(),
            kind: ErrorKind::Busy,
            errno: Errno::EBUSY,
            reason: "it is busy".into(),
            busy: vec![BusyReason::Holds(vec!["backup".to_owned()])],
        }
    }

    #[test]
    fn an_error_says_the_same_on_the_other_side() {
        let names = || vec!["a".to_owned(), "b".to_owned()];
        let busy = vec![
            BusyReason::Holds(names()),
            BusyReason::Clones(names()),
            BusyReason::Children(names()),
            BusyReason::Newer(names()),
            BusyReason::Mounted(names()),
            BusyReason::ReceivePending("1-2-3".to_owned()),
            BusyReason::Receiving,
            BusyReason::DeviceOpen("/dev/zd0".to_owned()),
        ];
        let plain = Error::new(ErrorKind::Busy, "destroy", "it is busy");
        let errors = [
            plain.clone(),
            plain.clone().with_targets("tank/a", 3).with_errno(Errno::EBUSY).with_help("wait"),
            plain.clone().with_target("tank/a").with_busy(busy),
            plain.with_failures(vec![failure("a@1"), failure("b@1")], 7),
        ];
        for error in errors {
            let told = there_and_back(&error);
            assert_eq!(told.to_string(), error.to_string());
            assert_eq!((told.kind(), told.errno()), (error.kind(), error.errno()));
            assert_eq!((told.failures(), told.busy()), (error.failures(), error.busy()));
            assert_eq!(told.failures_omitted(), error.failures_omitted());
            let source = std::error::Error::source(&told).unwrap().to_string();
            assert_eq!(source, format!("the node {NODE} said: {error}"));
        }
    }

    #[test]
    fn every_kind_gets_across() {
        for kind in ErrorKind::ALL {
            assert_eq!(there_and_back(&Error::new(*kind, "a", "b")).kind(), *kind);
        }
    }

    #[test]
    fn what_is_too_much_is_cut_and_counted() {
        let failures = (0..FAILURES_MAX + 10).map(|n| failure(&format!("{n}"))).collect();
        let error = Error::new(ErrorKind::Several, "destroy", "ü".repeat(TEXT_BYTES_MAX))
            .with_failures(failures, 5);
        let told = there_and_back(&error);
        assert_eq!((told.failures().len(), told.failures_omitted()), (FAILURES_MAX, 15));
        assert_eq!(told.reason(), "ü".repeat(TEXT_BYTES_MAX / 2));
        let nul = there_and_back(&Error::new(ErrorKind::Other, "a\0b", "c"));
        assert_eq!(nul.operation(), "a\u{fffd}b");
        let long = vec!["x".repeat(TEXT_BYTES_MAX); 10 * NAMES_MAX];
        let busy = vec![BusyReason::Children(long)];
        let told = there_and_back(&Error::new(ErrorKind::Busy, "a", "b").with_busy(busy));
        assert!(matches!(told.busy(), [BusyReason::Children(names)] if names.len() == NAMES_MAX));
    }

    #[test]
    fn a_kind_of_a_later_version_is_another_and_keeps_its_words() {
        let mut list = encode(&Error::new(ErrorKind::Busy, "fly", "it has no wings"));
        list.insert(KIND, 4_000_000_000_u64);
        let told = decode(&list, NODE).unwrap();
        assert_eq!(
            (told.kind(), told.to_string().as_str()),
            (ErrorKind::Other, "cannot fly: it has no wings")
        );
        list.remove(REASON);
        assert_eq!(decode(&list, NODE).unwrap_err().kind(), ErrorKind::Protocol);
    }
}
