//! [`RemotePeer`]: a node at the other end of a connection.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::failure;
use super::frame::{ANSWER_BYTES_MAX, Frame, FrameKind, TALK, WINDOW_BYTES_MAX, lost, violation};
use super::link::{Came, Link};
use super::message::{self, Credit, Request};
use super::session::{self, SILENCE};
use super::{Compared, Incoming, Offer, Peer, PeerVolume, Settled, Transport, VolumeId};
use crate::error::{Error, ErrorKind, Result};
use crate::nvlist::NvList;
use crate::volume::Control;
use crate::zfs::Worker;

/// How much of a stream is sent in one frame: what fits a processor's cache.
const PIECE_BYTES: usize = 128 << 10;

/// How long the peer may take to give up a stream that was cancelled: what it saved is then known to who looks next. After that the connection is closed.
const CANCEL_WAIT: Duration = Duration::from_secs(30);

/// How long it may take to answer another request that was cancelled. Nobody waits for the answer any more; it is only that the connection can be used again.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// How soon who waits for a connection notices that his job was cancelled.
const TICK: Duration = Duration::from_millis(50);

/// A node at the other end of a connection, which [`Node::serve`](crate::volume::Node::serve) answers.
///
/// A connection carries one request at a time: several pushes at once have one each, up to [`RemoteOptions::connections`]. A connection that was
/// lost is made anew with the next request; what was lost with it is an error, and to do it again is harmless.
///
/// Nothing waits for ever: a peer that is silent for [`RemoteOptions::silence`] is given up ([`ErrorKind::TimedOut`]), and a job that is
/// cancelled comes back within 30 seconds, whatever the peer does, and within a second where no stream is under way. Waited for are an offer, and in a
/// handoff what became of it: that must be known. A call of `connect` for a job that is cancelled ends by itself, in a thread of its own.
pub struct RemotePeer {
    me: Uuid,
    node: Uuid,
    options: RemoteOptions,
    connect: Connect,
    pool: Mutex<Pool>,
    /// A connection is free, or may be made.
    free: Condvar,
}

type Connect = Arc<dyn Fn() -> io::Result<Transport> + Send + Sync>;

#[derive(Default)]
struct Pool {
    idle: Vec<Session>,
    /// How many there are, in use or not.
    open: usize,
}

/// How to talk to a peer.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    silence: Duration,
    deadline: Option<Duration>,
    connections: usize,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        /// As many pushes as a pool does well at once.
        const CONNECTIONS: usize = 8;
        Self { silence: SILENCE, deadline: None, connections: CONNECTIONS }
    }
}

impl RemoteOptions {
    /// 8 connections, 30 seconds of silence, and no deadline.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// After how long without a byte the peer is given up: 0.1 seconds to an hour, 30 seconds by default. A peer that lives sends something three times as often,
    /// even while it does what it was asked to.
    #[must_use]
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = session::silence(silence);
        self
    }

    /// How long the peer may go on without doing anything that is seen: an answer, or taking a part of a stream. Without it, a peer that says that it lives may take
    /// as long as it wants; a full pool or a large destroy can take minutes.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How many connections there are at most, at least one: so many requests go on at once, and further ones wait.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most.max(1);
        self
    }
}

impl RemotePeer {
    /// Connects to a peer as the node `me`. `connect` is called for the first connection now, and later whenever another is needed; it says how
    /// the peer is reached: by a socket, through TLS, by starting `ssh`.
    ///
    /// # Errors
    /// - [`ErrorKind::Disconnected`]: `connect` failed, or the connection was lost.
    /// - [`ErrorKind::NotPermitted`]: the peer does not let this node connect.
    /// - [`ErrorKind::Unsupported`]: the two have no version of the protocol in common.
    /// - [`ErrorKind::TimedOut`], [`ErrorKind::Protocol`]: nobody is there who speaks it.
    pub fn connect(
        me: Uuid,
        options: &RemoteOptions,
        connect: impl Fn() -> io::Result<Transport> + Send + Sync + 'static,
    ) -> Result<Self> {
        let connect: Connect = Arc::new(connect);
        let first = Session::open(me, options, &connect, None)?;
        Ok(Self {
            me,
            node: first.node,
            options: options.clone(),
            connect,
            pool: Mutex::new(Pool { idle: vec![first], open: 1 }),
            free: Condvar::new(),
        })
    }

    /// The same over one connection that is there already. When it is lost, it is not made anew.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn over(me: Uuid, transport: Transport) -> Result<Self> {
        let one = Mutex::new(Some(transport));
        Self::connect(me, &RemoteOptions::new().connections(1), move || {
            let mut one = one.lock().unwrap_or_else(PoisonError::into_inner);
            one.take().ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotConnected, "it was lost, and there is no other")
            })
        })
    }

    fn call(&self, request: &Request, control: Option<&Control>) -> Result<NvList> {
        let mut taken = self.take(control)?;
        let outcome = taken.session.call(request, control);
        taken.give_back(outcome)
    }

    /// The peer, for who cannot be cancelled.
    fn unbound(&self) -> Within<'_> {
        Within { peer: self, job: None }
    }

    /// Pushes and offers come from the owner: this connection is that of one node.
    fn check_owner(&self, owner: Uuid) -> Result<()> {
        if owner == self.me {
            return Ok(());
        }
        let reason = format!("it is the node {owner}'s, and this is the node {}", self.me);
        Err(Error::new(ErrorKind::NotOwner, TALK, reason))
    }

    /// A connection that nobody else uses: an idle one, a new one, or the next that is free.
    fn take(&self, control: Option<&Control>) -> Result<Taken<'_>> {
        let mut pool = self.pool();
        loop {
            if control.is_some_and(Control::is_cancelled) {
                return Err(cancelled());
            }
            match pool.idle.pop() {
                Some(session) if !session.link.is_over() => {
                    return Ok(Taken { peer: self, session });
                }
                Some(_) => pool.open -= 1,
                None if pool.open < self.options.connections => break,
                None => {
                    let waited = self.free.wait_timeout(pool, TICK);
                    pool = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        pool.open += 1;
        drop(pool);
        let opened = Session::open(self.me, &self.options, &self.connect, control);
        let opened = opened.and_then(|session| {
            if session.node == self.node {
                return Ok(session);
            }
            let reason = format!("the node {} answers in place of {}", session.node, self.node);
            Err(violation(reason).with_help("connect to the node that was meant"))
        });
        match opened {
            Ok(session) => Ok(Taken { peer: self, session }),
            Err(error) => {
                self.put_back(None);
                Err(error)
            }
        }
    }

    /// Whether none of the connections is good for anything.
    #[cfg(test)]
    pub(super) fn is_lost(&self) -> bool {
        self.pool().idle.iter().all(|session| session.link.is_over())
    }

    fn put_back(&self, session: Option<Session>) {
        let mut pool = self.pool();
        match session {
            Some(session) => pool.idle.push(session),
            None => pool.open -= 1,
        }
        drop(pool);
        self.free.notify_one();
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer for RemotePeer {
    fn node(&self) -> Uuid {
        self.node
    }

    fn within<'a>(&'a self, job: &'a Control) -> Option<Box<dyn Peer + 'a>> {
        Some(Box::new(Within { peer: self, job: Some(job) }))
    }

    fn look(&self, volume: &VolumeId) -> Result<Option<PeerVolume>> {
        self.unbound().look(volume)
    }

    fn compare(&self, pushed: &Incoming) -> Result<Compared> {
        self.unbound().compare(pushed)
    }

    fn receive(&self, incoming: &Incoming, stream: &mut dyn Read, control: &Control) -> Result<()> {
        self.check_owner(incoming.owner)?;
        let mut taken = self.take(Some(control))?;
        let outcome = taken.session.push(&Request::Receive(incoming.clone()), stream, control);
        taken.give_back(outcome).map(drop)
    }

    fn abort_receive(&self, volume: &VolumeId) -> Result<()> {
        self.unbound().abort_receive(volume)
    }

    fn finish(&self, pushed: &Incoming, from: Uuid) -> Result<()> {
        self.unbound().finish(pushed, from)
    }

    fn accept(&self, offer: &Offer) -> Result<()> {
        self.unbound().accept(offer)
    }

    fn settle(&self, offer: &Offer) -> Result<Settled> {
        self.unbound().settle(offer)
    }
}

/// The peer, for a job that may be cancelled.
#[derive(Clone, Copy, Debug)]
struct Within<'a> {
    peer: &'a RemotePeer,
    job: Option<&'a Control>,
}

impl Within<'_> {
    fn call(&self, request: &Request) -> Result<NvList> {
        self.peer.call(request, self.job)
    }
}

impl Peer for Within<'_> {
    fn node(&self) -> Uuid {
        self.peer.node
    }

    fn look(&self, volume: &VolumeId) -> Result<Option<PeerVolume>> {
        message::decode_volume(&self.call(&Request::Look(volume.clone()))?)
    }

    fn compare(&self, pushed: &Incoming) -> Result<Compared> {
        self.peer.check_owner(pushed.owner)?;
        message::decode_compared(&self.call(&Request::Compare(pushed.clone()))?)
    }

    fn receive(&self, incoming: &Incoming, stream: &mut dyn Read, control: &Control) -> Result<()> {
        self.peer.receive(incoming, stream, control)
    }

    fn abort_receive(&self, volume: &VolumeId) -> Result<()> {
        self.call(&Request::AbortReceive(volume.clone())).map(drop)
    }

    fn finish(&self, pushed: &Incoming, from: Uuid) -> Result<()> {
        self.peer.check_owner(pushed.owner)?;
        self.peer.check_owner(from)?;
        self.call(&Request::Finish(pushed.clone())).map(drop)
    }

    fn accept(&self, offer: &Offer) -> Result<()> {
        // What became of it must be known, and is waited for, however the job ends.
        self.peer.check_owner(offer.from)?;
        self.peer.call(&Request::Accept(offer.clone()), None).map(drop)
    }

    fn settle(&self, offer: &Offer) -> Result<Settled> {
        // Who does not hear the answer asks again: the volume stays read-only until then.
        self.peer.check_owner(offer.from)?;
        message::decode_settled(&self.call(&Request::Settle(offer.clone()))?)
    }
}

impl fmt::Debug for RemotePeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemotePeer")
            .field("me", &self.me)
            .field("node", &self.node)
            .field("options", &self.options)
            .field("open", &self.pool().open)
            .finish_non_exhaustive()
    }
}

/// A connection in use.
struct Taken<'a> {
    peer: &'a RemotePeer,
    session: Session,
}

impl Taken<'_> {
    /// Whatever the answer was, the connection is good for another request, unless there was none.
    fn give_back<T>(self, outcome: Outcome<T>) -> Result<T> {
        let Self { peer, session } = self;
        match outcome {
            Ok(answer) => {
                peer.put_back(Some(session));
                answer
            }
            Err(error) => {
                session::part(&session.link, Err(&error));
                peer.put_back(None);
                Err(error)
            }
        }
    }
}

/// What came of a request: an answer, good or bad, or the end of the connection.
type Outcome<T> = Result<Result<T>>;

/// A connection, past its hello.
struct Session {
    link: Link,
    node: Uuid,
    piece_bytes: usize,
    deadline: Option<Duration>,
    /// The number of the last request.
    last: u32,
}

/// A stream that is being sent.
#[derive(Default)]
struct Sending {
    credit: Credit,
    sent: u64,
    /// Nothing is left to send.
    ended: bool,
}

impl Sending {
    /// How much may be sent now.
    fn room(&self) -> u64 {
        if self.ended { 0 } else { self.credit.limit.saturating_sub(self.sent) }
    }

    fn take_credit(&mut self, new: Credit) -> Result<()> {
        let (known, sent) = (self.credit, self.sent);
        let grows = new.taken >= known.taken && new.limit >= known.limit;
        let is_sane = new.taken <= sent
            && new.limit.checked_sub(new.taken).is_some_and(|window| window <= WINDOW_BYTES_MAX);
        if !grows || !is_sane {
            let Credit { taken, limit } = new;
            let reason =
                format!("a Credit of {limit} came, with {taken} taken of {sent} bytes sent");
            return Err(violation(reason));
        }
        self.credit = new;
        Ok(())
    }
}

/// What is heard while a request is under way.
enum Heard {
    /// More may be sent.
    Room,
    /// The request is over.
    Over(Result<NvList>),
    /// The job was cancelled.
    Cancelled,
}

impl Session {
    fn open(
        me: Uuid,
        options: &RemoteOptions,
        connect: &Connect,
        control: Option<&Control>,
    ) -> Result<Self> {
        let transport = make(connect, control)?.map_err(|error| {
            let reason = format!("there is no connection: {error}");
            Error::new(ErrorKind::Disconnected, TALK, reason).with_source(error)
        })?;
        let link = Link::start(transport, options.silence, ANSWER_BYTES_MAX)?;
        let greeted = session::say_hello(&link, me, options.silence)
            .and_then(|()| session::hear_hello(&link, options.silence, control));
        match greeted {
            Ok(hello) => Ok(Self {
                link,
                node: hello.node,
                piece_bytes: hello.data_bytes_max.min(PIECE_BYTES),
                deadline: options.deadline,
                last: 0,
            }),
            Err(error) => {
                session::part(&link, Err(&error));
                Err(error)
            }
        }
    }

    fn call(&mut self, request: &Request, control: Option<&Control>) -> Outcome<NvList> {
        let number = self.begin(request)?;
        let mut nothing = Sending { ended: true, ..Sending::default() };
        loop {
            match self.hear(number, &mut nothing, control)? {
                Heard::Over(answer) => return Ok(answer),
                // Without a stream there is none.
                Heard::Room => {}
                Heard::Cancelled => {
                    return self.give_up(number, cancelled(), ANSWER_WAIT).map(Err);
                }
            }
        }
    }

    /// Sends a stream with the request, as the peer takes it.
    fn push(
        &mut self,
        request: &Request,
        stream: &mut dyn Read,
        control: &Control,
    ) -> Outcome<NvList> {
        let number = self.begin(request)?;
        let mut sending = Sending::default();
        loop {
            match self.hear(number, &mut sending, Some(control))? {
                Heard::Room => {}
                Heard::Over(Ok(_)) => {
                    return Err(violation("a stream was answered before its end"));
                }
                Heard::Over(refused) => return Ok(refused),
                Heard::Cancelled => return self.give_up(number, cancelled(), CANCEL_WAIT).map(Err),
            }
            let room = usize::try_from(sending.room()).unwrap_or(usize::MAX);
            let mut body = vec![0; room.min(self.piece_bytes)];
            match stream.read(&mut body) {
                Ok(0) => break,
                Ok(bytes) => {
                    body.truncate(bytes);
                    sending.sent = sending.sent.saturating_add(bytes as u64);
                    let frame = Frame { kind: FrameKind::Data, request: number, body };
                    self.send(number, frame, Some(control))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.give_up(number, of_stream(error), CANCEL_WAIT).map(Err),
            }
        }
        let end = message::encode_end(sending.sent);
        self.send(number, Frame::with_list(FrameKind::End, number, &end)?, Some(control))?;
        sending.ended = true;
        loop {
            match self.hear(number, &mut sending, Some(control))? {
                Heard::Over(answer) => return Ok(answer),
                Heard::Room => {}
                Heard::Cancelled => return self.give_up(number, cancelled(), CANCEL_WAIT).map(Err),
            }
        }
    }

    fn begin(&mut self, request: &Request) -> Result<u32> {
        self.last = self.last.checked_add(1).ok_or_else(|| lost("it has carried all it can"))?;
        let frame = Frame::with_list(request.kind(), self.last, &request.encode())?;
        self.send(self.last, frame, None)?;
        Ok(self.last)
    }

    /// Sends a frame. Where that cannot be done, why is what the peer said last, if it said anything.
    fn send(&self, number: u32, frame: Frame, control: Option<&Control>) -> Result<()> {
        self.link.send(frame, control, self.until()).map_err(|error| {
            if error.kind() != ErrorKind::Disconnected {
                return error;
            }
            // The link is over soon.
            while let Ok(Came::Frame(frame)) = self.link.receive(None, None) {
                match self.answer(number, &frame) {
                    Ok(None | Some(Ok(_))) => {}
                    Ok(Some(Err(said))) | Err(said) => return said,
                }
            }
            error
        })
    }

    /// Hears what came, and waits while nothing may be sent.
    fn hear(&self, number: u32, sending: &mut Sending, control: Option<&Control>) -> Result<Heard> {
        let mut until = self.until();
        loop {
            let has_room = sending.room() > 0;
            let until_now = if has_room { Some(Instant::now()) } else { until };
            let frame = match self.link.receive(until_now, control)? {
                Came::Frame(frame) => frame,
                Came::Late if has_room => return Ok(Heard::Room),
                Came::Late => {
                    let seconds = self.deadline.unwrap_or_default().as_secs_f32();
                    let reason = format!("the peer did nothing for {seconds} s");
                    return Err(Error::new(ErrorKind::TimedOut, TALK, reason));
                }
                Came::Cancelled => return Ok(Heard::Cancelled),
            };
            match self.answer(number, &frame)? {
                Some(answer) => return Ok(Heard::Over(answer)),
                None => {
                    sending.take_credit(Credit::decode(&frame.list()?)?)?;
                    until = self.until();
                }
            }
        }
    }

    /// What ends a request. `None` for a Credit.
    fn answer(&self, number: u32, frame: &Frame) -> Result<Option<Result<NvList>>> {
        match frame.kind {
            FrameKind::Bye => Err(session::farewell(frame, self.node)),
            kind if frame.request != number => {
                let request = frame.request;
                Err(violation(format!("a {kind} came for the request {request} in {number}")))
            }
            FrameKind::Credit => Ok(None),
            FrameKind::Answer => Ok(Some(Ok(frame.list()?))),
            FrameKind::Failed => Ok(Some(Err(failure::decode(&frame.list()?, self.node)?))),
            other => Err(violation(format!("a {other} came from who answers"))),
        }
    }

    /// Has the peer give a request up, and waits until it has, or so long.
    fn give_up(&self, number: u32, why: Error, most: Duration) -> Result<Error> {
        let until = Instant::now() + most;
        self.link.send(Frame::empty(FrameKind::Cancel, number), None, Some(until))?;
        loop {
            let Came::Frame(frame) = self.link.receive(Some(until), None)? else {
                return Err(why);
            };
            if self.answer(number, &frame)?.is_some() {
                return Ok(why);
            }
        }
    }

    fn until(&self) -> Option<Instant> {
        self.deadline.and_then(|deadline| Instant::now().checked_add(deadline))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        session::part(&self.link, Ok(()));
    }
}

/// Makes a connection. For a job that may be cancelled in a thread of its own, which then is left to itself: nothing can end what `connect` waits for.
fn make(connect: &Connect, control: Option<&Control>) -> Result<io::Result<Transport>> {
    let Some(control) = control else { return Ok(connect()) };
    let connect = Arc::clone(connect);
    let worker = match Worker::start("zfsvol-connect", move || connect()) {
        Ok(worker) => worker,
        Err(error) => return Ok(Err(error)),
    };
    while !worker.wait_for(TICK) {
        if control.is_cancelled() {
            return Err(cancelled());
        }
    }
    Ok(worker.join().unwrap_or_else(|panic| Err(io::Error::other(panic))))
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, TALK, "it was cancelled")
}

/// What the stream could not be read for: an error of ours as it is.
fn of_stream(error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(ours) => ours.clone(),
        None => Error::io("read the stream", error),
    }
}
