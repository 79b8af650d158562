//! Frames: what two nodes send each other, in bytes. `docs/peer-protocol.md` is the whole of it in words.
//!
//! Each side begins with [`PREFACE`]; everything after is frames: a header of [`HEADER_BYTES`] and a body. The body of [`FrameKind::Data`] is a piece
//! of a send stream, that of every other kind an nvlist in XDR, or nothing.

use std::fmt;
use std::io::{self, Read};

use crate::error::{Error, ErrorKind, Result};
use crate::nvlist::{Encoding, Limits, NvList};

/// What "cannot" completes in errors of the protocol.
pub(super) const TALK: &str = "talk to the peer";

/// The first bytes of either side. A login message, a shell's prompt or another protocol is told by them before anything is taken for a frame.
pub const PREFACE: [u8; 8] = *b"zfsvolp\n";

/// The versions of the protocol that this library speaks, from oldest to newest.
pub const VERSIONS: std::ops::RangeInclusive<u64> = 1..=1;

/// Bytes of a frame's header: kind (2), zero (2), request (4), length of the body (4), each big-endian.
pub const HEADER_BYTES: usize = 12;

/// Most bytes of a Hello's body: what is read of somebody of whom nothing is known. Its fields take some 300.
pub const HELLO_BYTES_MAX: usize = 4 << 10;

/// Most bytes of the body of a request. Large are only the properties of a volume: this is some thousand of them, or five hundred of the longest.
pub const REQUEST_BYTES_MAX: usize = 4 << 20;

/// Most bytes of the body of an answer. Large is only the list of a volume's snapshots: this is some 200,000 with names of 50 bytes.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Most bytes of an error: [`FAILURES_MAX`] failures, each with a name and a reason.
pub const FAILED_BYTES_MAX: usize = 1 << 20;

/// Most bytes of the body of a frame with one or two numbers in it.
pub const SMALL_BYTES_MAX: usize = 256;

/// Most bytes of a piece of a stream that this library takes; it says so in its Hello.
pub const DATA_BYTES_MAX: usize = 1 << 20;

/// The least that a Hello may say of [`DATA_BYTES_MAX`]: a page. Less would be all header.
pub const DATA_BYTES_MIN: usize = 4 << 10;

/// Most bytes that a Credit may let be under way: no more is needed for 10 Gbit/s at 200 ms, and nobody needs to be ready to keep more.
pub const WINDOW_BYTES_MAX: u64 = 256 << 20;

/// How deep the lists in a body are nested below the outermost: an error, its failures, what keeps one busy, and one to grow.
pub const DEPTH_MAX: usize = 4;

/// Most pairs in the lists of a body: more than an error with [`FAILURES_MAX`] failures or a volume with every property has.
pub const PAIRS_MAX: usize = 16 << 10;

/// Most properties of a volume that go with a push: more than any dataset has.
pub const PROPERTIES_MAX: usize = 1024;

/// Most snapshots that other replicas may have, in a Finish: two each for more replicas than a volume has.
pub const OTHERS_MAX: usize = 1024;

/// Most failures in an error. Those left out are counted.
pub const FAILURES_MAX: usize = 512;

/// Most bytes of each text in an error. What is longer is cut.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Most names in what keeps a dataset busy. Those left out are not told.
pub const NAMES_MAX: usize = 64;

/// The shortest silence, in milliseconds, that a Hello may ask for: less would not outlast a busy machine.
pub const SILENCE_MS_MIN: u64 = 100;

/// The longest: an hour.
pub const SILENCE_MS_MAX: u64 = 3_600_000;

/// What a frame is. The numbers are the protocol's, and are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u16)]
pub enum FrameKind {
    /// Who one is and what one takes: the first frame of either side.
    Hello = 1,
    /// Nothing but that one is there.
    Alive = 2,
    /// The last frame of either side; with an error if there was one.
    Bye = 3,

    /// [`Peer::look`](super::Peer::look).
    Look = 16,
    /// [`Peer::receive`](super::Peer::receive). Data follows, as credit allows.
    Receive = 17,
    /// [`Peer::abort_receive`](super::Peer::abort_receive).
    AbortReceive = 18,
    /// [`Peer::finish`](super::Peer::finish).
    Finish = 19,
    /// [`Peer::accept`](super::Peer::accept).
    Accept = 20,
    /// [`Peer::settle`](super::Peer::settle).
    Settle = 21,

    /// A piece of the stream.
    Data = 32,
    /// The stream is over, and whole.
    End = 33,
    /// The request is to be given up.
    Cancel = 34,

    /// How much of the stream was taken, and how much may be sent.
    Credit = 48,
    /// The request was done.
    Answer = 49,
    /// The request was not done, and why.
    Failed = 50,
}

impl FrameKind {
    /// Every kind, in the order of its number.
    pub const ALL: &'static [Self] = &[
        Self::Hello,
        Self::Alive,
        Self::Bye,
        Self::Look,
        Self::Receive,
        Self::AbortReceive,
        Self::Finish,
        Self::Accept,
        Self::Settle,
        Self::Data,
        Self::End,
        Self::Cancel,
        Self::Credit,
        Self::Answer,
        Self::Failed,
    ];

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The kind of that number. `None` for one of a later version.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.number() == number)
    }

    /// Most bytes of the body of such a frame.
    #[must_use]
    pub const fn body_bytes_max(self) -> usize {
        match self {
            Self::Hello => HELLO_BYTES_MAX,
            Self::Alive | Self::Cancel => 0,
            Self::Bye | Self::Failed => FAILED_BYTES_MAX,
            Self::Look
            | Self::Receive
            | Self::AbortReceive
            | Self::Finish
            | Self::Accept
            | Self::Settle => REQUEST_BYTES_MAX,
            Self::Data => DATA_BYTES_MAX,
            Self::End | Self::Credit => SMALL_BYTES_MAX,
            Self::Answer => ANSWER_BYTES_MAX,
        }
    }

    /// Whether it begins a request.
    #[must_use]
    pub const fn is_request(self) -> bool {
        matches!(
            self,
            Self::Look
                | Self::Receive
                | Self::AbortReceive
                | Self::Finish
                | Self::Accept
                | Self::Settle
        )
    }

    /// Whether it is about the connection, and so about no request.
    #[must_use]
    pub const fn is_of_connection(self) -> bool {
        matches!(self, Self::Hello | Self::Alive | Self::Bye)
    }
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: FrameKind,
    /// The request it is about, as its client numbers them: 1, 2, 3. 0 for the connection.
    pub request: u32,
    /// Bytes of the body.
    pub body_bytes: usize,
}

impl Header {
    /// Reads a header, and refuses what no frame has.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`]: a kind that is not known, a byte that is not zero, a body longer than frames of the kind have, or a request where there is
    /// none, and the other way round.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self> {
        let [k0, k1, zero0, zero1, r0, r1, r2, r3, l0, l1, l2, l3] = *bytes;
        let number = u16::from_be_bytes([k0, k1]);
        let Some(kind) = FrameKind::from_number(number) else {
            return Err(violation(format!("a frame of the unknown kind {number} came")));
        };
        if (zero0, zero1) != (0, 0) {
            return Err(violation(format!("the header of a {kind} has a byte set that is zero")));
        }
        let request = u32::from_be_bytes([r0, r1, r2, r3]);
        if kind.is_of_connection() != (request == 0) {
            return Err(violation(format!("a {kind} came for the request {request}")));
        }
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let most = kind.body_bytes_max();
        match usize::try_from(length) {
            Ok(body_bytes) if body_bytes <= most => Ok(Self { kind, request, body_bytes }),
            _ => Err(violation(format!(
                "a {kind} of {length} bytes came, and it has {most} at most"
            ))),
        }
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let [k0, k1] = self.kind.number().to_be_bytes();
        let [r0, r1, r2, r3] = self.request.to_be_bytes();
        let length = u32::try_from(self.body_bytes).unwrap_or(u32::MAX);
        let [l0, l1, l2, l3] = length.to_be_bytes();
        [k0, k1, 0, 0, r0, r1, r2, r3, l0, l1, l2, l3]
    }
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// The request it is about.
    pub request: u32,
    /// Its body.
    pub body: Vec<u8>,
}

impl Frame {
    /// A frame with nothing in its body.
    pub(super) fn empty(kind: FrameKind, request: u32) -> Self {
        Self { kind, request, body: Vec::new() }
    }

    /// A frame with a list in its body.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`]: frames of the kind have less in them.
    pub(super) fn with_list(kind: FrameKind, request: u32, list: &NvList) -> Result<Self> {
        let body = if list.is_empty() { Vec::new() } else { list.encode(Encoding::Xdr)? };
        let most = kind.body_bytes_max();
        if body.len() > most {
            let reason = format!("a {kind} has {most} bytes at most, and this one {}", body.len());
            return Err(Error::new(ErrorKind::TooLarge, TALK, reason));
        }
        Ok(Self { kind, request, body })
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> Header {
        Header { kind: self.kind, request: self.request, body_bytes: self.body.len() }
    }

    /// Its bytes, as they are sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.body.len());
        bytes.extend_from_slice(&self.header().encode());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The list in its body; an empty one for an empty body.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`]: it is none, it is not XDR, or it is nested too deep or has too many pairs.
    pub fn list(&self) -> Result<NvList> {
        if self.body.is_empty() {
            return Ok(NvList::new());
        }
        let told = |what: String| violation(format!("the body of a {}: {what}", self.kind));
        match Encoding::of(&self.body) {
            Ok(Encoding::Xdr) => {}
            Ok(Encoding::Native(_)) => return Err(told("it is not XDR".to_owned())),
            Err(error) => return Err(told(error.to_string())),
        }
        let limits = Limits { depth: DEPTH_MAX, pairs: PAIRS_MAX, bytes: ANSWER_BYTES_MAX };
        NvList::from_bytes_with(&self.body, &limits).map_err(|error| told(error.to_string()))
    }

    /// Reads a frame. `None` at the end of the stream, when no byte of one came. Memory is taken as the bytes come, not as the header says.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] as [`Header::decode`]; [`ErrorKind::Disconnected`]: the stream ended within it, or cannot be read.
    pub fn read(reader: &mut dyn Read) -> Result<Option<Self>> {
        let mut header = [0; HEADER_BYTES];
        if fill(reader, &mut header)? == 0 {
            return Ok(None);
        }
        let Header { kind, request, body_bytes } = Header::decode(&header)?;
        let mut body = Vec::new();
        while body.len() < body_bytes {
            /// How much is made room for at once.
            const STEP_BYTES: usize = 128 << 10;
            let at = body.len();
            body.resize(body_bytes.min(at + STEP_BYTES), 0);
            let read = fill(reader, body.get_mut(at..).unwrap_or_default())?;
            if read == 0 {
                return Err(cut_off());
            }
        }
        Ok(Some(Self { kind, request, body }))
    }
}

/// Fills the buffer, or nothing of it: the stream ended before.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) if filled == 0 => return Ok(0),
            Ok(0) => return Err(cut_off()),
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
    }
    Ok(filled)
}

/// Reads the other side's preface.
pub(super) fn read_preface(reader: &mut dyn Read) -> Result<()> {
    let mut found = [0; PREFACE.len()];
    let mut filled = 0;
    // Byte by byte as they come, and given up with the first wrong one: who speaks something else may wait for us.
    while let Some(wanted) = PREFACE.get(filled) {
        let one = found.get_mut(filled..=filled).unwrap_or_default();
        if fill(reader, one)? == 0 {
            return Err(lost("the connection ended before the other side said what it is"));
        }
        let is_wrong = one.first() != Some(wanted);
        filled += 1;
        if is_wrong {
            let began = found.get(..filled).unwrap_or_default().escape_ascii();
            let reason =
                format!("the other side does not speak zfsvol's protocol: it began with '{began}'");
            return Err(
                violation(reason).with_help("see that nothing else writes to the connection")
            );
        }
    }
    Ok(())
}

/// Somebody does not keep to the protocol.
pub(super) fn violation(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::protocol(TALK, reason)
}

/// The connection is gone.
pub(super) fn lost(reason: &'static str) -> Error {
    Error::new(ErrorKind::Disconnected, TALK, reason)
}

fn cut_off() -> Error {
    lost("the connection ended in the middle of a frame")
}

/// The connection is gone, and the system says why.
pub(super) fn broken(error: io::Error) -> Error {
    let reason = format!("the connection broke: {error}");
    Error::new(ErrorKind::Disconnected, TALK, reason).with_source(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: FrameKind, request: u32, body: &[u8]) -> Frame {
        Frame { kind, request, body: body.to_vec() }
    }

    fn refusal(bytes: &[u8]) -> String {
        let error = Frame::read(&mut &*bytes).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Disconnected), "{error}");
        error.reason().to_owned()
    }

    #[test]
    fn kinds_are_listed_once_and_in_order() {
        assert!(FrameKind::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
        assert_eq!(FrameKind::ALL.len(), 15);
        assert!(FrameKind::ALL.iter().all(|kind| kind.body_bytes_max() <= ANSWER_BYTES_MAX));
    }

    #[test]
    fn what_is_written_is_read() {
        let frames = [frame(FrameKind::Data, 7, b"abc"), frame(FrameKind::Alive, 0, b"")];
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        let mut reader = &*bytes;
        for one in frames {
            assert_eq!(Frame::read(&mut reader).unwrap(), Some(one));
        }
        assert_eq!(Frame::read(&mut reader).unwrap(), None);
    }

    #[test]
    fn what_no_frame_has_is_refused() {
        assert_eq!(
            refusal(&[0, 99, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
            "a frame of the unknown kind 99 came"
        );
        assert_eq!(
            refusal(&[0, 32, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]),
            "the header of a Data has a byte set that is zero"
        );
        assert_eq!(
            refusal(&[0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            "a Data came for the request 0"
        );
        assert_eq!(
            refusal(&[0, 2, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0]),
            "a Alive came for the request 5"
        );
        assert_eq!(
            refusal(&[0, 32, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255]),
            "a Data of 4294967295 bytes came, and it has 1048576 at most"
        );
        for kind in FrameKind::ALL {
            let request = u32::from(!kind.is_of_connection());
            let body_bytes = kind.body_bytes_max() + 1;
            let header = Header { kind: *kind, request, body_bytes };
            assert!(Header::decode(&header.encode()).is_err(), "{kind}");
            let header = Header { body_bytes: kind.body_bytes_max(), ..header };
            assert_eq!(Header::decode(&header.encode()).unwrap(), header);
        }
    }

    #[test]
    fn a_frame_cut_anywhere_is_a_lost_connection() {
        let bytes = frame(FrameKind::Data, 1, &[7; 100]).encode();
        for length in 1..bytes.len() {
            let reason = refusal(&bytes[..length]);
            assert_eq!(reason, "the connection ended in the middle of a frame", "{length}");
        }
    }

    #[test]
    fn somebody_else_s_words_are_shown() {
        let error = read_preface(&mut &b"Welcome to Debian"[..]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot talk to the peer: the other side does not speak zfsvol's protocol: it began \
             with 'W'; see that nothing else writes to the connection"
        );
        let error = read_preface(&mut &b"zfsvolq\n"[..]).unwrap_err();
        assert!(error.reason().ends_with("it began with 'zfsvolq'"), "{error}");
        assert_eq!(read_preface(&mut &b"zfs"[..]).unwrap_err().kind(), ErrorKind::Disconnected);
        read_preface(&mut &PREFACE[..]).unwrap();
    }

    #[test]
    fn a_body_is_an_nvlist_in_xdr() {
        let list = NvList::from_iter([("a", 1_u64)]);
        let written = Frame::with_list(FrameKind::Look, 1, &list).unwrap();
        assert_eq!(written.list().unwrap(), list);
        assert_eq!(frame(FrameKind::Answer, 1, b"").list().unwrap(), NvList::new());
        let native = frame(FrameKind::Look, 1, &list.to_bytes().unwrap());
        assert_eq!(native.list().unwrap_err().reason(), "the body of a Look: it is not XDR");
        let mut deep = NvList::new();
        for _ in 0..=DEPTH_MAX {
            deep = NvList::from_iter([("deeper", deep)]);
        }
        let deep = Frame::with_list(FrameKind::Look, 1, &deep).unwrap();
        assert_eq!(deep.list().unwrap_err().kind(), ErrorKind::Protocol);
        let many: NvList = (0..=PAIRS_MAX).map(|n| (n.to_string(), 0_u64)).collect();
        let many = Frame::with_list(FrameKind::Look, 1, &many).unwrap();
        assert_eq!(many.list().unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[test]
    fn a_list_too_large_for_its_frame_is_not_sent() {
        let list = NvList::from_iter([("a", "x".repeat(SMALL_BYTES_MAX))]);
        let error = Frame::with_list(FrameKind::Credit, 1, &list).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_refused(bytes: Vec<u8>) {
            let mut reader = &*bytes;
            while let Ok(Some(frame)) = Frame::read(&mut reader) {
                let _ = frame.list();
                let again = Frame::read(&mut &*frame.encode()).unwrap();
                prop_assert_eq!(again, Some(frame));
            }
        }

        #[test]
        fn any_body_is_a_list_or_refused(kind in 0..15_usize, body: Vec<u8>) {
            let kind = FrameKind::ALL[kind];
            let mut xdr = vec![1, 1, 0, 0];
            xdr.extend(&body);
            for body in [body, xdr] {
                let _ = frame(kind, 1, &body).list();
            }
        }
    }
}
