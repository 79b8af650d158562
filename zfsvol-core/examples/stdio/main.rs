//! Two nodes in two processes, over the standard input and output of one of them: as `ssh` would have it.
//!
//!     stdio [demo [--at PLACE]]                        both, on one machine: starts `stdio serve` itself
//!     stdio serve [--at PLACE]                         answers on standard input and output
//!     stdio push VOLUME [--at PLACE] -- COMMAND...     pushes a new volume to what COMMAND starts, and hands it over
//!
//! `stdio push shop:db -- ssh backup stdio serve --at zfs:tank/volumes` is the whole of a push to another machine: who may connect is for `ssh` to say, with
//! a forced command for each key. `PLACE` is `embedded:`, a kernel in the process that needs nothing, or `zfs:POOL/DATASET`.

#![expect(clippy::print_stderr, reason = "it tells what it does")]
#![expect(clippy::disallowed_methods, reason = "it starts the other process")]

#[path = "../pair/mod.rs"]
mod pair;

use std::env;
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Parser, Subcommand};
use pair::{Outcome, Place, move_a_volume, say, tell_content};
use zfsvol_core::volume::peer::{AllowAll, RemoteOptions, RemotePeer, ServeOptions, Transport};
use zfsvol_core::volume::{Peer, Uuid, VolumeName};

#[derive(Parser)]
#[command(about = "Two nodes over the standard input and output of a process")]
struct Arguments {
    #[command(subcommand)]
    command: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Push a volume to another process of this program, and hand it over
    Demo {
        /// embedded: or zfs:POOL/DATASET
        #[arg(long, default_value = "embedded:")]
        at: Place,
    },
    /// Answer on standard input and output
    Serve {
        /// embedded: or zfs:POOL/DATASET
        #[arg(long, default_value = "embedded:")]
        at: Place,
    },
    /// Push a new volume to what a command starts, and hand it over
    Push {
        volume: VolumeName,
        /// embedded: or zfs:POOL/DATASET
        #[arg(long, default_value = "embedded:")]
        at: Place,
        /// What to start
        #[arg(required = true, last = true)]
        command: Vec<String>,
    },
}

/// A node keeps its UUID; these have one each, so that a root can be used again.
const HERE: Uuid = Uuid::from_u128(0x6865_7265);
const THERE: Uuid = Uuid::from_u128(0x0074_6865_7265);

fn main() -> Outcome {
    match Arguments::parse().command.unwrap_or(What::Demo { at: Place::Embedded }) {
        What::Demo { at } => demo(&at),
        What::Serve { at } => serve(&at),
        What::Push { volume, at, command } => push(&volume, &at, command),
    }
}

fn demo(at: &Place) -> Outcome {
    let program = env::current_exe()?.to_str().ok_or("this program has an odd path")?.to_owned();
    let [here, there] = [at.below("here")?, at.below("there")?];
    let command = vec![program, "serve".to_owned(), "--at".to_owned(), there.to_string()];
    let done = push(&"demo:db".parse()?, &here, command);
    here.clean_up(HERE)?;
    there.clean_up(THERE)?;
    done
}

fn serve(at: &Place) -> Outcome {
    let node = at.open(THERE)?;
    // Nothing else may write there: what tells what happens uses standard error.
    let transport = Transport::new(io::stdin(), io::stdout());
    let served = node.serve(transport, &AllowAll, &ServeOptions::new().identity("ssh"))?;
    say("served", &format!("{} requests, {} received", served.requests, served.received));
    tell_content(&node)
}

fn push(volume: &VolumeName, at: &Place, command: Vec<String>) -> Outcome {
    let node = at.open(HERE)?;
    let child = Arc::new(Mutex::new(None));
    let started = Arc::clone(&child);
    let options = RemoteOptions::new().connections(1);
    let peer = RemotePeer::connect(node.id(), &options, move || start(&command, &started))?;
    let peer: Arc<dyn Peer> = Arc::new(peer);
    let done = move_a_volume(&node, &peer, volume);
    // It says goodbye; the other process then ends by itself.
    drop(peer);
    let running = child.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut running) = running {
        let status = running.wait()?;
        if !status.success() {
            return Err(format!("the other process ended with {status}").into());
        }
    }
    done
}

/// Starts the other process. Its input and output are the connection; it ends when they do.
fn start(command: &[String], started: &Mutex<Option<Child>>) -> io::Result<Transport> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (output, input) = (child.stdout.take(), child.stdin.take());
    let (Some(output), Some(input)) = (output, input) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    *started.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    Ok(Transport::new(output, input))
}
