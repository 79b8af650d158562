//! [`Wire`]: the connection between the two nodes, on which any message can be lost.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zfsvol_core::volume::peer::{Compared, Incoming, Offer, PeerVolume, Settled, VolumeId};
use zfsvol_core::volume::{Control, LocalPeer, Node, Peer, Uuid};
use zfsvol_core::{Error, Zfs};

use super::mortal::{Life, lost};

/// What happens to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// A message is lost.
    Message {
        /// Which; the first is 0.
        nth: usize,
        /// The answer, after the request was carried out; else the request.
        answer: bool,
        /// And every one after it.
        for_good: bool,
    },
    /// A stream breaks off.
    Stream {
        /// In which message.
        nth: usize,
        /// After so many bytes.
        bytes: u64,
        /// Because of whom.
        who: Cut,
    },
}

/// Why a stream breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The connection is lost.
    Wire,
    /// The sending process dies.
    Sender,
    /// The receiving process dies.
    Receiver,
}

/// The connection. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    mishap: Option<Mishap>,
    is_cut: bool,
    is_past: bool,
    /// The messages so far, with how long the stream was where one came along.
    messages: Vec<Option<u64>>,
}

impl Wire {
    /// Counts messages from now on, and has something happen to one of them if that is given.
    pub(super) fn arm(&self, mishap: Option<Mishap>) {
        *self.state() = State { mishap, ..State::default() };
    }

    /// The messages since it was armed, with how long the stream was where one came along.
    pub(super) fn messages(&self) -> Vec<Option<u64>> {
        self.state().messages.clone()
    }

    /// Whether what was to happen did.
    pub(super) fn is_past(&self) -> bool {
        self.state().is_past
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node as the other one sees it.
pub(super) struct Link {
    wire: Wire,
    zfs: Zfs,
    caller: Life,
    callee: Life,
    inner: LocalPeer,
}

impl Link {
    /// `zfs` is any that lives.
    pub(super) fn new(wire: &Wire, zfs: &Zfs, caller: &Life, callee: (&Life, &Node)) -> Self {
        Self {
            wire: wire.clone(),
            zfs: zfs.clone(),
            caller: caller.clone(),
            callee: callee.0.clone(),
            inner: LocalPeer::new(callee.1.clone()),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let is_up = !self.wire.state().is_cut && !self.caller.is_over() && !self.callee.is_over();
        if is_up { Ok(()) } else { Err(lost(&self.zfs)) }
    }

    /// A request and its answer, either of which can be lost.
    fn call<T>(&self, carry_out: impl FnOnce(usize) -> Result<T, Error>) -> Result<T, Error> {
        self.check()?;
        let nth = {
            let mut state = self.wire.state();
            state.messages.push(None);
            state.messages.len() - 1
        };
        self.lose(nth, false)?;
        let outcome = carry_out(nth);
        self.lose(nth, true)?;
        self.check()?;
        outcome
    }

    fn lose(&self, nth: usize, answer: bool) -> Result<(), Error> {
        let mut state = self.wire.state();
        match state.mishap {
            Some(Mishap::Message { nth: at, answer: part, for_good })
                if (at, part) == (nth, answer) =>
            {
                state.is_cut = for_good;
                state.is_past = true;
                drop(state);
                Err(lost(&self.zfs))
            }
            _ => Ok(()),
        }
    }

    /// How much of the stream of a message passes, and what happens then.
    fn cut(&self, nth: usize) -> Option<(u64, Cut)> {
        match self.wire.state().mishap {
            Some(Mishap::Stream { nth: at, bytes, who }) if at == nth => Some((bytes, who)),
            _ => None,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("to", &self.inner).finish_non_exhaustive()
    }
}

impl Peer for Link {
    fn node(&self) -> Uuid {
        self.inner.node()
    }

    fn look(&self, volume: &VolumeId) -> Result<Option<PeerVolume>, Error> {
        self.call(|_| self.inner.look(volume))
    }

    fn compare(&self, pushed: &Incoming) -> Result<Compared, Error> {
        self.call(|_| self.inner.compare(pushed))
    }

    fn receive(
        &self,
        incoming: &Incoming,
        stream: &mut dyn Read,
        control: &Control,
    ) -> Result<(), Error> {
        self.call(|nth| {
            let mut carried = Carried { link: self, stream, bytes: 0, cut: self.cut(nth) };
            let outcome = self.inner.receive(incoming, &mut carried, control);
            let bytes = carried.bytes;
            if let Some(message) = self.wire.state().messages.get_mut(nth) {
                *message = Some(bytes);
            }
            outcome
        })
    }

    fn abort_receive(&self, volume: &VolumeId) -> Result<(), Error> {
        self.call(|_| self.inner.abort_receive(volume))
    }

    fn finish(&self, pushed: &Incoming, from: Uuid) -> Result<(), Error> {
        self.call(|_| self.inner.finish(pushed, from))
    }

    fn accept(&self, offer: &Offer) -> Result<(), Error> {
        self.call(|_| self.inner.accept(offer))
    }

    fn settle(&self, offer: &Offer) -> Result<Settled, Error> {
        self.call(|_| self.inner.settle(offer))
    }
}

/// A stream on its way.
struct Carried<'a> {
    link: &'a Link,
    stream: &'a mut dyn Read,
    bytes: u64,
    cut: Option<(u64, Cut)>,
}

impl Read for Carried<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.link.callee.is_over() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let left = self.cut.map_or(u64::MAX, |(bytes, _)| bytes.saturating_sub(self.bytes));
        if let (0, Some((_, who))) = (left, self.cut) {
            self.link.wire.state().is_past = true;
            match who {
                Cut::Wire => self.link.wire.state().is_cut = true,
                Cut::Sender => self.link.caller.end(),
                Cut::Receiver => self.link.callee.end(),
            }
            // Of a process that ended one sees the end of what it wrote, of a lost connection an error.
            let error = io::ErrorKind::ConnectionReset.into();
            return if who == Cut::Sender { Ok(0) } else { Err(error) };
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.stream.read(&mut buffer[..most]);
        if self.link.caller.is_over() {
            return Ok(0);
        }
        let bytes = read?;
        self.bytes += bytes as u64;
        Ok(bytes)
    }
}
