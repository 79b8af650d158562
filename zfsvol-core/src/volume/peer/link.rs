//! [`Link`]: frames over a [`Transport`], with a thread for each direction, so that who uses it never waits for a byte longer than it wants to.
//!
//! The reading thread keeps what came until it is taken, and no more than the bound it is given. The writing thread sends what it is given, and that
//! this side is alive when there is nothing else. Whoever waits sees to the time: a silent or stuck peer is given up by the one who waits for it.

use std::collections::VecDeque;
use std::fmt;
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::frame::{Frame, FrameKind, HEADER_BYTES, PREFACE, TALK, broken, lost, read_preface};
use super::transport::{Close, Direction, FrameSeen, Pass, Transport, Watcher};
use crate::error::{Error, ErrorKind, Result};
use crate::volume::Control;
use crate::zfs::Worker;

/// How soon one who waits notices that it was cancelled, or that time is up.
const TICK: Duration = Duration::from_millis(50);

/// How long the last frame may take when a connection is closed.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// How long to listen for what the other side said before it hung up.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(1);

/// What may wait to be written: two pieces of a stream, so that one is read while the other is sent.
const OUTGOING_BYTES_MAX: usize = 256 << 10;

/// What a frame costs besides its body, so that many small ones are not cheap.
const FRAME_COST_BYTES: usize = 128;

/// One end of a connection.
pub(super) struct Link(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// For who uses the link: a frame came, there is room to send, or it is over.
    user: Condvar,
    /// For the writing thread.
    writer: Condvar,
    /// For the reading thread: there is room.
    reader: Condvar,
    close: Option<Close>,
    watcher: Watcher,
    /// Most bytes that are kept until they are taken.
    incoming_bytes_max: usize,
}

struct State {
    incoming: VecDeque<Frame>,
    incoming_bytes: usize,
    outgoing: VecDeque<Frame>,
    outgoing_bytes: usize,
    /// When the other side was last heard.
    heard: Instant,
    /// Since when a frame is being written.
    writing: Option<Instant>,
    /// After how long without a word the other side is given up.
    silence: Duration,
    /// How often it is told that this side is alive.
    alive_every: Duration,
    /// The request that is being worked on, and what ends that.
    current: Option<(u32, Control)>,
    /// The request that the other side gave up last.
    cancelled: u32,
    /// Nothing is sent after what waits.
    closing: bool,
    /// Why nothing can be sent any more, and since when. What the other side said before may still come.
    unsent: Option<(Error, Instant)>,
    /// Why it is over.
    over: Option<Error>,
    writer_ended: bool,
}

/// What came of waiting for a frame.
#[derive(Debug)]
pub(super) enum Came {
    Frame(Frame),
    /// The job was cancelled.
    Cancelled,
    /// The time was up.
    Late,
}

impl Link {
    /// Starts the two threads. The other side is given up when it is silent for so long.
    pub(super) fn start(
        transport: Transport,
        silence: Duration,
        incoming_bytes_max: usize,
    ) -> Result<Self> {
        let Transport { reader, writer, close, watch } = transport;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                incoming: VecDeque::new(),
                incoming_bytes: 0,
                outgoing: VecDeque::new(),
                outgoing_bytes: 0,
                heard: Instant::now(),
                writing: None,
                silence,
                alive_every: silence,
                current: None,
                cancelled: 0,
                closing: false,
                unsent: None,
                over: None,
                writer_ended: false,
            }),
            user: Condvar::new(),
            writer: Condvar::new(),
            reader: Condvar::new(),
            close,
            watcher: Watcher::new(watch),
            incoming_bytes_max,
        });
        let this = Self(shared);
        let (writing, reading) = (Arc::clone(&this.0), Arc::clone(&this.0));
        let told = |error| Error::io(TALK, error);
        Worker::start("zfsvol-peer-tx", move || writing.write_all(writer)).map_err(told)?;
        Worker::start("zfsvol-peer-rx", move || reading.read_all(reader)).map_err(told)?;
        Ok(this)
    }

    /// Tells that this side is alive so often that the other, which waits so long, does not give it up.
    pub(super) fn keep_alive(&self, silence: Duration) {
        /// So that one that is late does no harm.
        const TIMES: u32 = 3;
        self.0.lock().alive_every = silence / TIMES;
        self.0.writer.notify_all();
    }

    /// Sends a frame, once there is room for it among those that wait: until then at most, or until the job is cancelled.
    pub(super) fn send(
        &self,
        frame: Frame,
        control: Option<&Control>,
        until: Option<Instant>,
    ) -> Result<()> {
        let cost = cost(&frame);
        let mut state = self.0.lock();
        loop {
            self.0.check(&mut state);
            let unsent = state.unsent.as_ref().map(|(error, _)| error);
            if let Some(error) = state.over.as_ref().or(unsent) {
                return Err(error.clone());
            }
            if state.closing {
                return Err(lost("the connection is closed"));
            }
            if state.outgoing_bytes == 0 || state.outgoing_bytes + cost <= OUTGOING_BYTES_MAX {
                state.outgoing_bytes += cost;
                state.outgoing.push_back(frame);
                self.0.writer.notify_all();
                return Ok(());
            }
            if control.is_some_and(Control::is_cancelled) {
                return Err(Error::new(ErrorKind::Cancelled, TALK, "it was cancelled"));
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                let reason = "the other side took nothing for as long as it may";
                return Err(Error::new(ErrorKind::TimedOut, TALK, reason));
            }
            state = wait(&self.0.user, state, TICK);
        }
    }

    /// Waits for a frame, until then, or until the job is cancelled.
    pub(super) fn receive(
        &self,
        until: Option<Instant>,
        control: Option<&Control>,
    ) -> Result<Came> {
        let mut state = self.0.lock();
        loop {
            if let Some(frame) = state.incoming.pop_front() {
                state.incoming_bytes = state.incoming_bytes.saturating_sub(cost(&frame));
                self.0.reader.notify_all();
                return Ok(Came::Frame(frame));
            }
            self.0.check(&mut state);
            if let Some(error) = &state.over {
                return Err(error.clone());
            }
            if control.is_some_and(Control::is_cancelled) {
                return Ok(Came::Cancelled);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Came::Late);
            }
            state = wait(&self.0.user, state, TICK);
        }
    }

    /// The request that is worked on from now on. Its control is cancelled when the other side gives it up, or is gone.
    pub(super) fn begin(&self, request: u32, control: &Control) {
        let mut state = self.0.lock();
        state.current = Some((request, control.clone()));
        let is_moot = state.cancelled == request || state.over.is_some();
        drop(state);
        if is_moot {
            control.cancel();
        }
    }

    /// The request is over.
    pub(super) fn end(&self) {
        self.0.lock().current = None;
    }

    /// Whether it can be used no more.
    pub(super) fn is_over(&self) -> bool {
        let mut state = self.0.lock();
        self.0.check(&mut state);
        state.over.is_some() || state.unsent.is_some() || state.closing
    }

    /// Sends what waits, and this, and ends the connection.
    pub(super) fn close(&self, last: Frame) {
        let mut state = self.0.lock();
        if state.over.is_none() && !state.closing {
            state.closing = true;
            state.outgoing.push_back(last);
            self.0.writer.notify_all();
            let until = Instant::now() + CLOSE_WAIT;
            while !state.writer_ended && state.over.is_none() && Instant::now() < until {
                state = wait(&self.0.user, state, TICK);
            }
        }
        drop(state);
        self.0.finish(lost("the connection is closed"));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.0.finish(lost("the connection is closed"));
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Link")
            .field("incoming_bytes", &state.incoming_bytes)
            .field("outgoing_bytes", &state.outgoing_bytes)
            .field("over", &state.over)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the other side up if it hung up, was silent, or did not read, for too long.
    fn check(&self, state: &mut State) {
        let hung_up = state.unsent.take_if(|(_, since)| since.elapsed() > LAST_WORDS_WAIT);
        if let Some((error, _)) = hung_up {
            state.over.get_or_insert(error);
            self.wake(state);
        }
        let silence = state.silence;
        let is_stuck = state.writing.is_some_and(|since| since.elapsed() > silence);
        if state.over.is_some() || !(is_stuck || state.heard.elapsed() > silence) {
            return;
        }
        let what = if is_stuck { "took nothing" } else { "was silent" };
        let reason = format!("the other side {what} for {} s", silence.as_secs_f32());
        state.over = Some(Error::new(ErrorKind::TimedOut, TALK, reason));
        self.wake(state);
    }

    /// It is over, unless it was already.
    fn finish(&self, error: Error) {
        let mut state = self.lock();
        state.over.get_or_insert(error);
        self.wake(&mut state);
        let current = state.current.take();
        drop(state);
        if let Some((_, control)) = current {
            control.cancel();
        }
    }

    fn wake(&self, state: &mut State) {
        // What waits to be sent is not sent any more; what came is still to be had.
        state.outgoing.clear();
        for one in [&self.user, &self.writer, &self.reader] {
            one.notify_all();
        }
        if let Some(close) = &self.close {
            close();
        }
    }

    fn write_all(&self, mut writer: Box<dyn Write + Send>) {
        let written = self.write_frames(&mut *writer);
        // Its end is seen at the other end, for streams that cannot be closed otherwise.
        drop(writer);
        let mut state = self.lock();
        state.writer_ended = true;
        state.unsent = written.err().map(|error| (error, Instant::now()));
        self.user.notify_all();
    }

    /// Until the link is over, or was closed and everything is sent.
    fn write_frames(&self, writer: &mut dyn Write) -> Result<()> {
        self.write(writer, &PREFACE)?;
        while let Some(frame) = self.next_outgoing() {
            let pass = self.see(Direction::Sent, &frame);
            if pass != Pass::Cut {
                self.write(writer, &frame.encode())?;
            }
            if pass != Pass::Go {
                self.finish(lost("the connection was cut"));
            }
        }
        Ok(())
    }

    fn write(&self, writer: &mut dyn Write, bytes: &[u8]) -> Result<()> {
        /// How much is written at once: what goes through the slowest line before the other side counts as stuck.
        const PIECE_BYTES: usize = 16 << 10;
        let mut written = Ok(());
        for piece in bytes.chunks(PIECE_BYTES) {
            self.lock().writing = Some(Instant::now());
            written = writer.write_all(piece);
            if written.is_err() {
                break;
            }
        }
        let written = written.and_then(|()| writer.flush());
        self.lock().writing = None;
        written.map_err(broken)
    }

    fn next_outgoing(&self) -> Option<Frame> {
        let mut state = self.lock();
        let idle_since = Instant::now();
        loop {
            if state.over.is_some() {
                return None;
            }
            if let Some(frame) = state.outgoing.pop_front() {
                state.outgoing_bytes = state.outgoing_bytes.saturating_sub(cost(&frame));
                self.user.notify_all();
                return Some(frame);
            }
            if state.closing {
                return None;
            }
            let left = state.alive_every.saturating_sub(idle_since.elapsed());
            if left.is_zero() {
                return Some(Frame::empty(FrameKind::Alive, 0));
            }
            state = wait(&self.writer, state, left);
        }
    }

    fn read_all(&self, mut reader: Box<dyn Read + Send>) {
        let read = self.read_frames(&mut *reader);
        drop(reader);
        self.finish(match read {
            Ok(()) => lost("the other side closed the connection"),
            Err(error) => error,
        });
    }

    /// Until the stream ends, or something else than a frame comes.
    fn read_frames(&self, reader: &mut dyn Read) -> Result<()> {
        let mut reader = Heard { reader, shared: self };
        read_preface(&mut reader)?;
        while let Some(frame) = Frame::read(&mut reader)? {
            let pass = self.see(Direction::Received, &frame);
            if pass == Pass::Cut {
                return Err(lost("the connection was cut"));
            }
            match frame.kind {
                FrameKind::Alive => {}
                FrameKind::Cancel => self.cancel(frame.request),
                _ => self.keep(frame)?,
            }
            if pass == Pass::CutAfter {
                return Err(lost("the connection was cut"));
            }
        }
        Ok(())
    }

    /// Overtakes what waits: who works on the request may be waiting for something else than frames.
    fn cancel(&self, request: u32) {
        let mut state = self.lock();
        state.cancelled = request;
        let current = state.current.clone();
        drop(state);
        match current {
            Some((current, control)) if current == request => control.cancel(),
            _ => {}
        }
    }

    /// Keeps a frame until it is taken; reads no further while there is no room.
    fn keep(&self, frame: Frame) -> Result<()> {
        let cost = cost(&frame);
        let mut state = self.lock();
        while state.incoming_bytes > 0 && state.incoming_bytes + cost > self.incoming_bytes_max {
            if let Some(error) = &state.over {
                return Err(error.clone());
            }
            state = wait(&self.reader, state, TICK);
            // It is we who do not listen.
            state.heard = Instant::now();
        }
        state.incoming_bytes += cost;
        state.incoming.push_back(frame);
        self.user.notify_all();
        Ok(())
    }

    fn see(&self, direction: Direction, frame: &Frame) -> Pass {
        let Frame { kind, request, body } = frame;
        let seen = FrameSeen { direction, kind: *kind, request: *request, body_bytes: body.len() };
        self.watcher.see(&seen)
    }
}

/// Notes when something was heard: of a large frame on a slow line too.
struct Heard<'a> {
    reader: &'a mut dyn Read,
    shared: &'a Shared,
}

impl Read for Heard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.reader.read(buffer)?;
        self.shared.lock().heard = Instant::now();
        Ok(bytes)
    }
}

fn cost(frame: &Frame) -> usize {
    FRAME_COST_BYTES + HEADER_BYTES + frame.body.len()
}

fn wait<'a>(
    condition: &Condvar,
    state: MutexGuard<'a, State>,
    most: Duration,
) -> MutexGuard<'a, State> {
    condition.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SILENCE: Duration = Duration::from_secs(30);
    const ROOM: usize = 1 << 20;

    fn two() -> (Link, Link) {
        let (one, other) = Transport::pair().unwrap();
        let start = |transport| Link::start(transport, SILENCE, ROOM).unwrap();
        (start(one), start(other))
    }

    fn data(bytes: usize) -> Frame {
        Frame { kind: FrameKind::Data, request: 1, body: vec![7; bytes] }
    }

    fn frame(came: Result<Came>) -> Frame {
        match came.unwrap() {
            Came::Frame(frame) => frame,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frames_come_in_their_order_and_the_last_one_too() {
        let (one, other) = two();
        for bytes in 1..100 {
            one.send(data(bytes), None, None).unwrap();
        }
        one.close(Frame::empty(FrameKind::Bye, 0));
        assert!(one.is_over());
        for bytes in 1..100 {
            assert_eq!(frame(other.receive(None, None)).body.len(), bytes);
        }
        assert_eq!(frame(other.receive(None, None)).kind, FrameKind::Bye);
        let error = other.receive(None, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected);
    }

    #[test]
    fn who_does_not_take_what_came_stops_who_sends() {
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let (one, other) = Transport::pair().unwrap();
        let one = one.watch_frames(move |seen| {
            counted.fetch_add(seen.body_bytes, Ordering::Relaxed);
            Pass::Go
        });
        let one = Link::start(one, Duration::from_secs(2), ROOM).unwrap();
        let other = Link::start(other, SILENCE, ROOM).unwrap();
        other.keep_alive(Duration::from_secs(2));
        let error = loop {
            match one.send(data(64 << 10), None, None) {
                Ok(()) => assert!(sent.load(Ordering::Relaxed) < 8 * ROOM),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.reason().starts_with("the other side took nothing for"), "{error}");
    }

    #[test]
    fn a_silent_peer_is_given_up_and_a_living_one_is_not() {
        let (one, other) = Transport::pair().unwrap();
        let one = Link::start(one, Duration::from_millis(1500), ROOM).unwrap();
        let other = Link::start(other, SILENCE, ROOM).unwrap();
        other.keep_alive(Duration::from_millis(1500));
        let until = Instant::now() + Duration::from_secs(4);
        assert!(matches!(one.receive(Some(until), None), Ok(Came::Late)));
        other.keep_alive(SILENCE);
        let error = one.receive(None, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.reason().starts_with("the other side was silent for"), "{error}");
    }

    #[test]
    fn a_request_is_given_up_by_the_other_side_and_with_the_connection() {
        let (one, other) = two();
        let control = Control::default();
        other.begin(2, &control);
        one.send(Frame::empty(FrameKind::Cancel, 1), None, None).unwrap();
        one.send(data(1), None, None).unwrap();
        frame(other.receive(None, None));
        assert!(!control.is_cancelled());
        one.send(Frame::empty(FrameKind::Cancel, 2), None, None).unwrap();
        one.send(data(1), None, None).unwrap();
        frame(other.receive(None, None));
        assert!(control.is_cancelled());

        // What is given up before it is begun.
        let (early, late) = (Control::default(), Control::default());
        other.begin(2, &early);
        assert!(early.is_cancelled());
        other.begin(3, &late);
        drop(one);
        while !other.is_over() {
            std::thread::sleep(Duration::from_millis(1));
        }
        other.receive(None, None).unwrap_err();
        while !late.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_link_is_cut_before_or_after_a_frame() {
        for (pass, comes) in [(Pass::Cut, 1), (Pass::CutAfter, 2)] {
            let (one, other) = Transport::pair().unwrap();
            let mut count = 0;
            let one = one.watch_frames(move |_| {
                count += 1;
                if count == 2 { pass } else { Pass::Go }
            });
            let one = Link::start(one, SILENCE, ROOM).unwrap();
            let other = Link::start(other, SILENCE, ROOM).unwrap();
            for bytes in 1..=3 {
                let _ = one.send(data(bytes), None, None);
            }
            let mut came = 0;
            let error = loop {
                match other.receive(None, None) {
                    Ok(_) => came += 1,
                    Err(error) => break error,
                }
            };
            assert_eq!((came, error.kind()), (comes, ErrorKind::Disconnected));
            let error = one.receive(None, None).unwrap_err();
            assert_eq!(error.reason(), "the connection was cut");
        }
    }

    #[test]
    fn a_stream_that_fails_ends_it() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let link = Link::start(Transport::new(Failing, io::sink()), SILENCE, ROOM).unwrap();
        let error = link.receive(None, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        assert_eq!(error.reason(), "the connection broke: connection reset");
    }
}
