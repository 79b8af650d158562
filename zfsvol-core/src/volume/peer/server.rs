//! [`Node::serve`]: the other end of a [`RemotePeer`](super::RemotePeer).

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::failure;
use super::frame::{DATA_BYTES_MAX, Frame, FrameKind, TALK, WINDOW_BYTES_MAX, lost, violation};
use super::link::{Came, Link};
use super::message::{self, Credit, Hello, Request};
use super::session::{self, SILENCE};
use super::{Caller, Policy, Transport, Verdict, VolumeId};
use crate::error::{Error, ErrorKind, Result};
use crate::nvlist::NvList;
use crate::units::Bytes;
use crate::volume::{Control, Job, Node};

/// How to serve a connection.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    identity: String,
    silence: Duration,
    window: Bytes,
    control: Control,
}

impl Default for ServeOptions {
    fn default() -> Self {
        /// Enough for 100 MB/s at 40 ms; what a connection keeps at most while the pool is slower than the network.
        const WINDOW: Bytes = Bytes::from_mib(4);
        Self {
            identity: String::new(),
            silence: SILENCE,
            window: WINDOW,
            control: Control::default(),
        }
    }
}

impl ServeOptions {
    /// A caller without identity, 30 seconds of silence, and 4 MiB under way.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Who the transport found the caller to be: the policy is told.
    #[must_use]
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = identity.into();
        self
    }

    /// After how long without a byte the caller is given up: 0.1 seconds to an hour, 30 seconds by default.
    #[must_use]
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = session::silence(silence);
        self
    }

    /// How much of a stream may be under way, or wait to be written: 64 KiB to 256 MiB, 4 MiB by default. It bounds the memory that a connection takes,
    /// and its speed, to this much for each time to the other side and back.
    #[must_use]
    pub fn window(mut self, window: Bytes) -> Self {
        /// A few pieces; less would be waiting for credit all the time.
        const WINDOW_BYTES_MIN: u64 = 64 << 10;
        self.window = Bytes::new(window.get().clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX));
        self
    }

    /// What ends the connection from here, and tells how much came. It may be that of several connections.
    #[must_use]
    pub fn control(mut self, control: &Control) -> Self {
        self.control = control.clone();
        self
    }
}

/// What was served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// The node that called.
    pub caller: Uuid,
    /// How many requests it made.
    pub requests: u32,
    /// How much of streams came.
    pub received: Bytes,
}

impl Node {
    /// Serves one connection of a peer, until that ends it: does what is asked, and the policy permits. It takes the thread that calls it, and two more; each further
    /// connection of the same peer or another has a call of its own.
    ///
    /// What an interrupted push had brought is kept, so that the next one goes on there.
    ///
    /// # Errors
    /// Refusals are told to the caller and do not end the connection. What does:
    /// - [`ErrorKind::NotPermitted`]: the policy does not let it connect.
    /// - [`ErrorKind::Disconnected`]: the connection was lost. [`ErrorKind::TimedOut`]: the caller was silent for too long, or does not read.
    /// - [`ErrorKind::Protocol`]: the caller does not keep to the protocol. [`ErrorKind::Unsupported`]: it speaks other versions of it.
    /// - [`ErrorKind::Cancelled`]: by [`ServeOptions::control`].
    pub fn serve(
        &self,
        transport: Transport,
        policy: &dyn Policy,
        options: &ServeOptions,
    ) -> Result<Served> {
        let window = usize::try_from(options.window.get()).unwrap_or(DATA_BYTES_MAX);
        let link = Link::start(transport, options.silence, window + DATA_BYTES_MAX)?;
        let outcome = self.serve_link(&link, policy, options);
        session::part(&link, outcome.as_ref().map(drop));
        outcome
    }

    /// The same in a thread of its own, as a job: its progress says how much of streams came, and cancelling it ends the connection. It is the job that ends it
    /// then: [`ServeOptions::control`] is not looked at.
    ///
    /// # Errors
    /// No thread can be started. What [`Self::serve`] gives comes from [`Job::wait`].
    pub fn serve_in_background(
        &self,
        transport: Transport,
        policy: Arc<dyn Policy>,
        options: &ServeOptions,
    ) -> Result<Job<Served>> {
        let (node, options) = (self.clone(), options.clone());
        Job::start("serve the peer", move |control| {
            node.serve(transport, &*policy, &options.control(control))
        })
    }

    fn serve_link(
        &self,
        link: &Link,
        policy: &dyn Policy,
        options: &ServeOptions,
    ) -> Result<Served> {
        let say_hello = || session::say_hello(link, self.id(), options.silence);
        let node = match session::hear_hello(link, options.silence, Some(&options.control)) {
            Ok(Hello { node, .. }) => node,
            Err(error) => {
                // It sees by itself that it speaks other versions.
                if error.kind() == ErrorKind::Unsupported {
                    say_hello()?;
                }
                return Err(error);
            }
        };
        let caller = Caller::new(node, options.identity.as_str());
        if let Verdict::Refuse(reason) = policy.connect(&caller) {
            return Err(Error::new(ErrorKind::NotPermitted, "connect to the peer", reason));
        }
        say_hello()?;
        let mut server = Server {
            node: self,
            link,
            policy,
            options,
            caller,
            last: Flow::default(),
            received: Bytes::ZERO,
        };
        server.run()?;
        Ok(Served { caller: node, requests: server.last.request, received: server.received })
    }
}

/// The last word of a caller. One that was cancelled there is lost here: nobody here wanted it to end.
fn farewell(frame: &Frame, node: Uuid) -> Error {
    let said = session::farewell(frame, node);
    if said.kind() == ErrorKind::Cancelled { lost("the caller gave up") } else { said }
}

/// One connection, past its hello.
struct Server<'a> {
    node: &'a Node,
    link: &'a Link,
    policy: &'a dyn Policy,
    options: &'a ServeOptions,
    caller: Caller,
    last: Flow,
    received: Bytes,
}

/// The stream of a request: how much came, and how much may.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    request: u32,
    received: u64,
    limit: u64,
}

impl Flow {
    /// A piece came. It must not be more than was allowed.
    fn count(&mut self, bytes: usize) -> Result<()> {
        self.received = self.received.saturating_add(bytes as u64);
        if bytes == 0 {
            return Err(violation("a Data came with nothing in it"));
        }
        if self.received > self.limit {
            let Self { received, limit, .. } = *self;
            return Err(violation(format!("{received} bytes of a stream came, and {limit} may")));
        }
        Ok(())
    }
}

impl Server<'_> {
    fn run(&mut self) -> Result<()> {
        loop {
            let frame = match self.link.receive(None, Some(&self.options.control))? {
                Came::Frame(frame) => frame,
                Came::Late => continue,
                Came::Cancelled => return Err(stopped()),
            };
            match frame.kind {
                FrameKind::Bye if frame.body.is_empty() => return Ok(()),
                FrameKind::Bye => return Err(farewell(&frame, self.caller.node)),
                kind if kind.is_request() && frame.request > self.last.request => {
                    self.serve_request(&frame)?;
                }
                // What was under way when the stream was refused.
                FrameKind::Data if frame.request == self.last.request => {
                    self.last.count(frame.body.len())?;
                }
                FrameKind::End if frame.request == self.last.request => {}
                kind => {
                    let (request, last) = (frame.request, self.last.request);
                    let reason = format!("a {kind} of the request {request} came after {last}");
                    return Err(violation(reason));
                }
            }
        }
    }

    /// Does what is asked, and answers. An error is one that ends the connection.
    fn serve_request(&mut self, frame: &Frame) -> Result<()> {
        self.last = Flow { request: frame.request, ..Flow::default() };
        let control = Control::default();
        self.link.begin(frame.request, &control);
        self.options.control.watch_job(&control);
        let answer = match Request::decode(frame.kind, &frame.list()?, self.caller.node) {
            Err(error) if error.kind() == ErrorKind::Protocol => return Err(error),
            Err(error) => Err(error),
            Ok(request) => match self.ask(&request) {
                Ok(()) => self.work(request, &control)?,
                Err(refused) => Err(refused),
            },
        };
        self.link.end();
        let frame = answer
            .and_then(|answer| Frame::with_list(FrameKind::Answer, frame.request, &answer))
            .unwrap_or_else(|error| failure::frame(FrameKind::Failed, frame.request, &error));
        self.link.send(frame, None, None)
    }

    /// Asks the policy: about the name that the caller gives the volume, and about the one that it has here.
    fn ask(&self, request: &Request) -> Result<()> {
        let volume = request.volume();
        self.ask_about(request, volume)?;
        if !self.policy.depends_on_volume() {
            return Ok(());
        }
        match self.node.find(volume)? {
            Some(found) if found.name != volume.name => {
                self.ask_about(request, &VolumeId { id: volume.id, name: found.name })
            }
            _ => Ok(()),
        }
    }

    fn ask_about(&self, request: &Request, volume: &VolumeId) -> Result<()> {
        let action = request.action();
        match self.policy.permit(&self.caller, action, volume) {
            Verdict::Allow => Ok(()),
            Verdict::Refuse(reason) => {
                let error = Error::new(ErrorKind::NotPermitted, action.to_string(), reason);
                Err(error.with_target(volume.name.as_str()))
            }
        }
    }

    /// The answer, or the refusal; an error is one that ends the connection.
    fn work(&mut self, request: Request, control: &Control) -> Result<Result<NvList>> {
        let node = self.node;
        let nothing = |()| NvList::new();
        let answer = match request {
            Request::Look(volume) => {
                node.replica_look(&volume).map(|found| message::encode_volume(found.as_ref()))
            }
            Request::Compare(pushed) => {
                node.replica_compare(&pushed).map(|found| message::encode_compared(&found))
            }
            Request::Receive(incoming) => {
                let mut stream = Stream::new(self, control);
                let received = node.replica_receive(&incoming, &mut stream, control);
                let Stream { flow, fatal, .. } = stream;
                self.received = Bytes::new(self.received.get().saturating_add(flow.received));
                self.last = flow;
                if let Some(error) = fatal {
                    return Err(error);
                }
                received.map(nothing)
            }
            Request::AbortReceive(volume) => node.replica_abort_receive(&volume).map(nothing),
            Request::Finish(pushed) => node.replica_finish(&pushed, self.caller.node).map(nothing),
            Request::Accept(offer) => node.replica_accept(&offer).map(nothing),
            Request::Settle(offer) => node.replica_settle(&offer).map(message::encode_settled),
        };
        if self.options.control.is_cancelled() {
            return Err(stopped());
        }
        Ok(answer)
    }
}

/// The stream that comes with a Receive, as a reader.
struct Stream<'a> {
    link: &'a Link,
    options: &'a ServeOptions,
    control: &'a Control,
    flow: Flow,
    taken: u64,
    piece: Vec<u8>,
    /// How much of the piece was read.
    at: usize,
    ended: bool,
    /// What ends the connection too.
    fatal: Option<Error>,
}

impl<'a> Stream<'a> {
    fn new(server: &Server<'a>, control: &'a Control) -> Self {
        Self {
            link: server.link,
            options: server.options,
            control,
            flow: server.last,
            taken: 0,
            piece: Vec::new(),
            at: 0,
            ended: false,
            fatal: None,
        }
    }

    /// Waits for the next piece, or the end.
    fn next(&mut self) -> Result<()> {
        if self.control.is_cancelled() {
            return Err(given_up());
        }
        self.allow_more()?;
        let frame = match self.link.receive(None, Some(self.control))? {
            Came::Frame(frame) => frame,
            Came::Late | Came::Cancelled => return Err(given_up()),
        };
        match frame.kind {
            FrameKind::Data if frame.request == self.flow.request => {
                self.flow.count(frame.body.len())?;
                (self.piece, self.at) = (frame.body, 0);
                Ok(())
            }
            FrameKind::End if frame.request == self.flow.request => {
                let (said, came) = (message::decode_end(&frame.list()?)?, self.flow.received);
                if said != came {
                    let reason = format!("a stream of {said} bytes ended after {came}");
                    return Err(violation(reason));
                }
                self.ended = true;
                Ok(())
            }
            FrameKind::Bye => Err(farewell(&frame, Uuid::nil())),
            kind => Err(violation(format!("a {kind} came in the middle of a stream"))),
        }
    }

    /// Once half of what may be under way is used up.
    fn allow_more(&mut self) -> Result<()> {
        let window = self.options.window.get();
        if self.flow.limit.saturating_sub(self.taken) > window / 2 {
            return Ok(());
        }
        self.flow.limit = self.taken.saturating_add(window);
        let credit = Credit { taken: self.taken, limit: self.flow.limit };
        let frame = Frame::with_list(FrameKind::Credit, self.flow.request, &credit.encode())?;
        self.link.send(frame, Some(self.control), None)
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && !self.ended {
            if let Err(error) = self.next() {
                if error.kind() != ErrorKind::Cancelled {
                    self.fatal = Some(error.clone());
                }
                return Err(io::Error::other(error));
            }
        }
        let bytes = self.piece.get(self.at..).unwrap_or_default().read(buffer)?;
        self.at += bytes;
        self.taken = self.taken.saturating_add(bytes as u64);
        self.options.control.count(bytes);
        Ok(bytes)
    }
}

fn given_up() -> Error {
    Error::new(ErrorKind::Cancelled, TALK, "it was cancelled")
}

fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, TALK, "the node stopped serving")
}
