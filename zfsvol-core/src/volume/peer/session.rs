//! What both ends do alike: say hello, and say goodbye.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::failure;
use super::frame::{Frame, FrameKind, TALK, lost, violation};
use super::link::{Came, Link};
use super::message::Hello;
use crate::error::{Error, ErrorKind, Result};
use crate::volume::Control;

/// After how long without a byte the other side is given up, unless it is said otherwise. The other side sends something three times as often.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// Says who this side is.
pub(super) fn say_hello(link: &Link, me: Uuid, silence: Duration) -> Result<()> {
    let hello = Hello::new(me, silence).encode();
    link.send(Frame::with_list(FrameKind::Hello, 0, &hello)?, None, None)
}

/// Hears who the other side is. It must not take longer than a silence, whatever comes meanwhile, nor when it is cancelled.
pub(super) fn hear_hello(
    link: &Link,
    silence: Duration,
    control: Option<&Control>,
) -> Result<Hello> {
    let frame = match link.receive(Some(Instant::now() + silence), control)? {
        Came::Frame(frame) => frame,
        Came::Cancelled => return Err(Error::new(ErrorKind::Cancelled, TALK, "it was cancelled")),
        Came::Late => {
            let reason = "the other side did not say who it is";
            return Err(Error::new(ErrorKind::TimedOut, TALK, reason));
        }
    };
    match frame.kind {
        FrameKind::Hello => {
            let hello = Hello::decode(&frame.list()?)?;
            link.keep_alive(hello.silence);
            Ok(hello)
        }
        FrameKind::Bye => Err(farewell(&frame, Uuid::nil())),
        other => Err(violation(format!("a {other} came where a Hello belongs"))),
    }
}

/// What a Bye says.
pub(super) fn farewell(frame: &Frame, node: Uuid) -> Error {
    if frame.body.is_empty() {
        return lost("the other side said goodbye");
    }
    let said = frame.list().and_then(|list| failure::decode(&list, node));
    said.unwrap_or_else(|error| error)
}

/// The Bye that says why.
pub(super) fn bye(why: Option<&Error>) -> Frame {
    match why {
        Some(error) => failure::frame(FrameKind::Bye, 0, error),
        None => Frame::empty(FrameKind::Bye, 0),
    }
}

/// Ends a connection that went wrong, or did not. The other side is told what it is to know: not that it cannot be reached.
pub(super) fn part(link: &Link, outcome: Result<(), &Error>) {
    let why = outcome.err().filter(|error| error.kind() != ErrorKind::Disconnected);
    link.close(bye(why));
}

/// A silence as a Hello may ask for.
pub(super) fn silence(wanted: Duration) -> Duration {
    use super::frame::{SILENCE_MS_MAX, SILENCE_MS_MIN};
    wanted.clamp(Duration::from_millis(SILENCE_MS_MIN), Duration::from_millis(SILENCE_MS_MAX))
}
