//! [`Step`]: one thing that is asked of both kernels. It prints as the Rust that makes it.

use std::fmt;

use zfsvol_core::kernel::Ioc;
use zfsvol_core::nvlist::{NvList, Value};

/// One thing that is asked of both kernels. In its names `R` stands for the pool.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// One ioctl, as it is.
    Ask(Request),
    /// A hold that ends with a handle.
    Keep {
        /// The snapshot.
        snapshot: String,
        /// The tag.
        tag: String,
        /// Which handle; opened when it is not open.
        handle: usize,
    },
    /// Closes a handle: what it holds is released.
    Close(usize),
    /// Writes to a zvol through its device.
    Write {
        /// The zvol.
        zvol: String,
        /// Where, in bytes.
        offset: u64,
        /// How much.
        bytes: usize,
        /// What: 0 for zeros, 1 for text, other numbers for noise.
        seed: u64,
    },
    /// Reads all of a zvol.
    Read(String),
    /// Sends, and keeps the stream.
    Send(Send),
    /// Sends what an interrupted receive lacks, and keeps the stream.
    Resume {
        /// The dataset with the token.
        of: String,
        /// Where the stream is kept.
        slot: usize,
    },
    /// Receives a stream that was kept.
    Receive(Receive),
    /// Throws away what an interrupted receive has saved.
    Abort(String),
    /// Snapshots a dataset and all below it.
    SnapshotTree(String, String),
    /// Destroys the snapshots of that name of a dataset and of all below it.
    DestroySnapshots(String, String),
    /// Destroys a dataset and all below it, by a channel program.
    DestroyTree(String),
    /// Lists a dataset and all below it, by channel programs.
    List(String),
}

/// One ioctl.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub(super) ioc: Ioc,
    pub(super) name: String,
    pub(super) input: Option<NvList>,
    pub(super) value: String,
    pub(super) cookie: u64,
    pub(super) objset_type: u64,
    pub(super) object: u64,
    pub(super) defer: bool,
}

/// A request without arguments.
pub fn ask(ioc: Ioc, name: impl Into<String>) -> Request {
    Request {
        ioc,
        name: name.into(),
        input: None,
        value: String::new(),
        cookie: 0,
        objset_type: 0,
        object: 0,
        defer: false,
    }
}

impl Request {
    /// With a list of arguments.
    #[must_use]
    pub fn input(mut self, input: NvList) -> Self {
        self.input = Some(input);
        self
    }

    /// With that text in `zc_value`.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    /// With that number in `zc_cookie`.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// With that number in `zc_objset_type`.
    #[must_use]
    pub fn objset_type(mut self, number: u64) -> Self {
        self.objset_type = number;
        self
    }

    /// With that number in `zc_obj`.
    #[must_use]
    pub fn object(mut self, number: u64) -> Self {
        self.object = number;
        self
    }

    /// Deferred, if it is a destroy.
    #[must_use]
    pub fn defer(mut self) -> Self {
        self.defer = true;
        self
    }
}

/// What to send.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Send {
    /// A snapshot, or a dataset.
    pub what: String,
    /// A snapshot or bookmark it starts from; empty for a full stream.
    pub since: String,
    /// The bits of `SendFlags`.
    pub flags: u32,
    /// A redaction bookmark; empty for none.
    pub redacted_by: String,
    /// Where the stream is kept.
    pub slot: usize,
}

/// What to receive, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Receive {
    /// Which of the streams that were kept.
    pub slot: usize,
    /// The snapshot it is to become.
    pub to: String,
    /// Takes the destination back.
    pub force: bool,
    /// Keeps what came if it ends too early.
    pub resumable: bool,
    /// The snapshot it is a clone of; empty for none.
    pub origin: String,
    /// Of 1,000 records how many are left out at the end, and of 312 bytes how many of the first of them come.
    pub cut: (u64, usize),
    /// Received properties.
    pub received: Vec<(String, String)>,
    /// Properties that are set.
    pub set: Vec<(String, String)>,
    /// The byte that a new key consists of.
    pub key: Option<u8>,
}

/// A list of these pairs.
pub fn list<const N: usize>(pairs: [(&str, Value); N]) -> NvList {
    pairs.into_iter().collect()
}

impl Step {
    /// What is asked, in a word: differences of the same kind have the same.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Ask(request) => request.ioc.name(),
            Self::Keep { .. } => "hold",
            Self::Close(_) => "close",
            Self::Write { .. } => "write",
            Self::Read(_) => "read",
            Self::Send(_) => "send",
            Self::Resume { .. } => "resume",
            Self::Receive(_) => "receive",
            Self::Abort(_) => "abort",
            Self::SnapshotTree(..) => "snapshot tree",
            Self::DestroySnapshots(..) => "destroy snapshots",
            Self::DestroyTree(_) => "destroy tree",
            Self::List(_) => "list",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(request) => write!(f, "Step::Ask({request})"),
            Self::Keep { snapshot, tag, handle } => write!(
                f,
                "Step::Keep {{ snapshot: {snapshot:?}.into(), tag: {tag:?}.into(), handle: {handle} }}"
            ),
            Self::Close(handle) => write!(f, "Step::Close({handle})"),
            Self::Write { zvol, offset, bytes, seed } => write!(
                f,
                "Step::Write {{ zvol: {zvol:?}.into(), offset: {offset}, bytes: {bytes}, seed: {seed} }}"
            ),
            Self::Read(zvol) => write!(f, "Step::Read({zvol:?}.into())"),
            Self::Send(send) => write!(f, "Step::Send({send})"),
            Self::Resume { of, slot } => {
                write!(f, "Step::Resume {{ of: {of:?}.into(), slot: {slot} }}")
            }
            Self::Receive(receive) => write!(f, "Step::Receive({receive})"),
            Self::Abort(name) => write!(f, "Step::Abort({name:?}.into())"),
            Self::SnapshotTree(root, name) => {
                write!(f, "Step::SnapshotTree({root:?}.into(), {name:?}.into())")
            }
            Self::DestroySnapshots(root, name) => {
                write!(f, "Step::DestroySnapshots({root:?}.into(), {name:?}.into())")
            }
            Self::DestroyTree(root) => write!(f, "Step::DestroyTree({root:?}.into())"),
            Self::List(root) => write!(f, "Step::List({root:?}.into())"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ioc = self.ioc.name().trim_start_matches("ZFS_IOC_");
        write!(f, "ask(Ioc::{ioc}, {:?})", self.name)?;
        if let Some(input) = &self.input {
            write!(f, ".input({})", list_text(input))?;
        }
        if !self.value.is_empty() {
            write!(f, ".value({:?})", self.value)?;
        }
        if self.cookie != 0 {
            write!(f, ".cookie({})", self.cookie)?;
        }
        if self.objset_type != 0 {
            write!(f, ".objset_type({})", self.objset_type)?;
        }
        if self.object != 0 {
            write!(f, ".object({})", self.object)?;
        }
        if self.defer { f.write_str(".defer()") } else { Ok(()) }
    }
}

impl fmt::Display for Send {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Send {{ what: {:?}.into(), ", self.what)?;
        put_text(f, "since", &self.since)?;
        if self.flags != 0 {
            write!(f, "flags: {}, ", self.flags)?;
        }
        put_text(f, "redacted_by", &self.redacted_by)?;
        write!(f, "slot: {}, ..Send::default() }}", self.slot)
    }
}

impl fmt::Display for Receive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receive {{ slot: {}, to: {:?}.into(), ", self.slot, self.to)?;
        put_text(f, "origin", &self.origin)?;
        if self.force {
            f.write_str("force: true, ")?;
        }
        if self.resumable {
            f.write_str("resumable: true, ")?;
        }
        if self.cut != (0, 0) {
            write!(f, "cut: {:?}, ", self.cut)?;
        }
        for (name, pairs) in [("received", &self.received), ("set", &self.set)] {
            if !pairs.is_empty() {
                let pairs: Vec<String> = pairs
                    .iter()
                    .map(|(name, value)| format!("({name:?}.into(), {value:?}.into())"))
                    .collect();
                write!(f, "{name}: vec![{}], ", pairs.join(", "))?;
            }
        }
        if self.key.is_some() {
            write!(f, "key: {:?}, ", self.key)?;
        }
        f.write_str("..Receive::default() }")
    }
}

fn put_text(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    if text.is_empty() { Ok(()) } else { write!(f, "{name}: {text:?}.into(), ") }
}

/// The Rust that makes a list.
fn list_text(list: &NvList) -> String {
    let pairs: Vec<String> =
        list.iter().map(|(name, value)| format!("({name:?}, {})", value_text(value))).collect();
    format!("list([{}])", pairs.join(", "))
}

/// The Rust that makes a value.
fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => format!("Value::from({:?})", text.to_string_lossy()),
        Value::NvList(list) => format!("Value::NvList({})", list_text(list)),
        Value::Uint8Array(numbers) => format!("Value::Uint8Array(vec!{numbers:?})"),
        Value::Uint64Array(numbers) => format!("Value::Uint64Array(vec!{numbers:?})"),
        other => format!("Value::{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_prints_as_what_makes_it() {
        let snaps = list([("R/a@s", Value::Boolean)]);
        let step =
            Step::Ask(ask(Ioc::SNAPSHOT, "R").input(list([("snaps", Value::NvList(snaps))])));
        assert_eq!(
            step.to_string(),
            "Step::Ask(ask(Ioc::SNAPSHOT, \"R\").input(list([(\"snaps\", Value::NvList(list([(\"R/a@s\", Value::Boolean)])))])))"
        );
        let step = Step::Receive(Receive {
            slot: 1,
            to: "R/b@s".into(),
            cut: (100, 8),
            set: vec![("test:a".into(), "b".into())],
            ..Receive::default()
        });
        assert_eq!(
            step.to_string(),
            "Step::Receive(Receive { slot: 1, to: \"R/b@s\".into(), cut: (100, 8), set: vec![(\"test:a\".into(), \"b\".into())], ..Receive::default() })"
        );
    }
}
