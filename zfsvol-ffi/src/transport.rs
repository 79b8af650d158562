//! [`zfsvol_transport`]: the two byte streams that a connection to another node is made of.

use std::ffi::c_void;
use std::sync::Arc;

use zfsvol_core::volume::peer::{Direction, FrameSeen, Pass, Transport};

use crate::boundary::{Caller, Growing};
use crate::descriptors;
use crate::error::{Fault, zfsvol_error};
use crate::handle::{Object, Slot};
use crate::io::{Context, zfsvol_reader, zfsvol_writer};
use crate::status::zfsvol_status;

/// Two byte streams, one each way, with another node at the other end: a socket, TLS, the standard input and output of `ssh`. One call uses it up.
///
/// They must keep the order of the bytes, and lose none. Nothing is enciphered on them, and nobody is asked who they are: that is the transport's.
#[derive(Debug)]
pub struct zfsvol_transport {
    _private: [u8; 0],
}

impl Object for zfsvol_transport {
    type Value = Slot<Transport>;
    const NAME: &'static str = "zfsvol_transport";
}

/// Which way a frame goes: a `ZFSVOL_DIRECTION_...`.
pub type zfsvol_direction = u32;

/// From this side to the other.
pub const ZFSVOL_DIRECTION_SENT: zfsvol_direction = 0;
/// From the other side to this one.
pub const ZFSVOL_DIRECTION_RECEIVED: zfsvol_direction = 1;

/// A frame that is about to be sent, or has just come. Lent to a callback.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_frame {
    /// Which way it goes.
    pub direction: zfsvol_direction,
    /// What it is: the number of its kind in the peer protocol.
    pub kind: u32,
    /// The request it is about; 0 for the connection.
    pub request: u32,
    /// How many bytes its body has.
    pub body_bytes: u64,
}

/// What becomes of a frame: a `ZFSVOL_PASS_...`.
pub type zfsvol_pass = u32;

/// It goes on its way.
pub const ZFSVOL_PASS_GO: zfsvol_pass = 0;
/// It is lost, and the connection with it. So is it for any other number.
pub const ZFSVOL_PASS_CUT: zfsvol_pass = 1;
/// It goes on its way, and then the connection is lost.
pub const ZFSVOL_PASS_CUT_AFTER: zfsvol_pass = 2;

/// What is to be called for a connection. All zeros: nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_transport_options {
    /// `sizeof(zfsvol_transport_options)`.
    pub size: usize,
    /// Given to each callback.
    pub context: *mut c_void,
    /// Called when the connection is to end: reads and writes of callbacks that wait must return then, so shut the socket down, or end the program. Called more
    /// than once, and from any thread.
    pub close: Option<unsafe extern "C" fn(context: *mut c_void)>,
    /// Called for every frame but those that only say that one is there: before it is sent, and when it has come. One at a time. To trace a connection, or to see what
    /// becomes of it when it is cut there.
    pub on_frame: Option<
        unsafe extern "C" fn(context: *mut c_void, frame: *const zfsvol_frame) -> zfsvol_pass,
    >,
    /// Called once, when the context is no longer needed.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void)>,
}

// SAFETY: `repr(C)` with the size first; pointers, which zeros are too.
unsafe impl Growing for zfsvol_transport_options {
    const NAME: &'static str = "zfsvol_transport_options";
}

/// A connection over descriptors of any kind: it reads from one and writes to the other, or both to the same one, a socket. They are duplicated: the caller keeps its own, and closes
/// them. When the connection ends, sockets are shut down. The context in the options is released in any case, failure included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_transport_from_fds(
    read_fd: i32,
    write_fd: i32,
    options: *const zfsvol_transport_options,
    transport: *mut *mut zfsvol_transport,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let called = Called::of(caller, options)?;
        let out = caller.out(transport)?;
        let (reader, writer) = (caller.descriptor(read_fd)?, caller.descriptor(write_fd)?);
        let too = called.close();
        let transport = descriptors::transport(reader, writer, too)?;
        out.give(Slot::new(called.watch(transport)));
    })
}

/// A connection over callbacks, each of which is called from one thread at a time, and both at once. Without `close` in the options, a thread that waits in a callback waits until that returns. All
/// contexts are released in any case, failure included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_transport_from_callbacks(
    reader: *const zfsvol_reader,
    writer: *const zfsvol_writer,
    options: *const zfsvol_transport_options,
    transport: *mut *mut zfsvol_transport,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let called = Called::of(caller, options);
        let (reader, writer) = (caller.reader(reader), caller.writer(writer));
        let (called, reader, writer) = (called?, reader?, writer?);
        let out = caller.out(transport)?;
        let transport = Transport::new(reader, writer).on_close(called.close());
        out.give(Slot::new(called.watch(transport)));
    })
}

/// The two ends of one connection in this process: for tests, and for nodes of one process that are to talk as if they were not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_transport_pair(
    one: *mut *mut zfsvol_transport,
    other: *mut *mut zfsvol_transport,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (one, other) = (caller.out(one)?, caller.out(other)?);
        let (near, far) = Transport::pair()?;
        one.give(Slot::new(near));
        other.give(Slot::new(far));
    })
}

/// Frees a transport; one that was not used up is closed. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_transport_free(transport: *mut zfsvol_transport) {
    boundary!(or(), |caller| caller.free(transport)?);
}

/// The callbacks of the options, with their context.
struct Called {
    context: Arc<Context>,
    close: Option<unsafe extern "C" fn(context: *mut c_void)>,
    on_frame: Option<
        unsafe extern "C" fn(context: *mut c_void, frame: *const zfsvol_frame) -> zfsvol_pass,
    >,
}

impl Called {
    fn of(caller: &Caller, options: *const zfsvol_transport_options) -> Result<Self, Fault> {
        let given = caller.options(options)?;
        // Released from here on, whatever happens.
        let context = Arc::new(Context::new(given.context, given.release));
        Ok(Self { context, close: given.close, on_frame: given.on_frame })
    }

    /// What calls `close`, if there is such a function.
    fn close(&self) -> impl Fn() + Send + Sync + 'static {
        let (close, context) = (self.close, Arc::clone(&self.context));
        move || {
            if let Some(close) = close {
                // SAFETY: C gave the function for this context.
                unsafe { close(context.pointer()) }
            }
        }
    }

    /// Has frames shown, if there is a function for it.
    fn watch(self, transport: Transport) -> Transport {
        let Self { context, on_frame: Some(on_frame), .. } = self else { return transport };
        transport.watch_frames(move |seen| {
            let frame = shown(seen);
            // SAFETY: C gave the function for this context, and the frame lives until it returns.
            match unsafe { on_frame(context.pointer(), &raw const frame) } {
                ZFSVOL_PASS_GO => Pass::Go,
                ZFSVOL_PASS_CUT_AFTER => Pass::CutAfter,
                _ => Pass::Cut,
            }
        })
    }
}

fn shown(seen: &FrameSeen) -> zfsvol_frame {
    zfsvol_frame {
        direction: match seen.direction {
            Direction::Sent => ZFSVOL_DIRECTION_SENT,
            Direction::Received => ZFSVOL_DIRECTION_RECEIVED,
        },
        kind: u32::from(seen.kind.number()),
        request: seen.request,
        body_bytes: seen.body_bytes as u64,
    }
}
