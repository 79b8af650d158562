//! Two nodes in two processes, over TCP with TLS, each with a certificate that the other checks. Who may connect is TLS's to say; which node somebody is, and what it may do, a
//! policy that is given the fingerprint of the certificate.
//!
//!     tls [demo [--at PLACE]]                                                  both, on one machine: starts `tls serve` itself
//!     tls certificates FOLDER NAME...                                          makes an authority, and a certificate for each node
//!     tls serve --certificates FOLDER --name NAME [--listen ADDRESS] [--at PLACE]
//!     tls push VOLUME ADDRESS --certificates FOLDER --name NAME --to NAME [--at PLACE]
//!
//! `PLACE` is `embedded:`, a kernel in the process that needs nothing, or `zfs:POOL/DATASET`.

#![expect(clippy::print_stderr, reason = "it tells what it does")]
#![expect(clippy::disallowed_methods, reason = "it starts the other process")]

mod certificates;
#[path = "../pair/mod.rs"]
mod pair;
mod stream;

use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::mem;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use clap::{Args, Parser, Subcommand};
use pair::{Outcome, Place, move_a_volume, say, tell_content};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use zfsvol_core::volume::peer::{
    AllowAll, KnownNodes, Policy, RemoteOptions, RemotePeer, ServeOptions, Transport,
};
use zfsvol_core::volume::{Node, Peer, VolumeName};

/// So many may be connected at the same time: several times what one node uses (`RemoteOptions::connections`).
const CONNECTIONS_MAX: usize = 64;

#[derive(Parser)]
#[command(about = "Two nodes over TCP with TLS")]
struct Arguments {
    #[command(subcommand)]
    command: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Push a volume to another process of this program, and hand it over; then try it as somebody else
    Demo {
        /// embedded: or zfs:POOL/DATASET
        #[arg(long, default_value = "embedded:")]
        at: Place,
    },
    /// Make an authority, and a certificate for each node
    Certificates {
        /// A folder that is not there yet
        folder: PathBuf,
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Answer whoever has a certificate, until standard input ends and everybody has gone
    Serve {
        #[command(flatten)]
        me: Me,
        /// Where to listen; port 0 is any that is free. The address is printed
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Push a new volume, and hand it over
    Push {
        volume: VolumeName,
        address: SocketAddr,
        #[command(flatten)]
        me: Me,
        /// Whom to push to: the name in its certificate
        #[arg(long)]
        to: String,
    },
}

#[derive(Args, Clone)]
struct Me {
    /// What `certificates` made
    #[arg(long)]
    certificates: PathBuf,
    /// Whose certificate to use
    #[arg(long)]
    name: String,
    /// embedded: or zfs:POOL/DATASET
    #[arg(long, default_value = "embedded:")]
    at: Place,
}

impl Me {
    fn open(&self) -> Outcome<Node> {
        self.at.open(certificates::node(&self.certificates, &self.name)?)
    }
}

fn main() -> Outcome {
    match Arguments::parse().command.unwrap_or(What::Demo { at: Place::Embedded }) {
        What::Demo { at } => demo(&at),
        What::Certificates { folder, names } => certificates::make(&folder, &names),
        What::Serve { me, listen } => serve(&me, listen),
        What::Push { volume, address, me, to } => push(&volume, address, &me, &to),
    }
}

fn serve(me: &Me, listen: SocketAddr) -> Outcome {
    let node = me.open()?;
    let config = certificates::server(&me.certificates, &me.name)?;
    let known = certificates::known(&me.certificates)?;
    // Each certificate is one node's; what a node may do, the policy inside says.
    let policy =
        KnownNodes::new(known.into_iter().map(|one| (one.fingerprint, one.node)), AllowAll);
    let listener = TcpListener::bind(listen)?;
    say("listening", &listener.local_addr()?.to_string());
    let answering = Arc::new(Mutex::new(Vec::new()));
    let (accepted, serving) = (Arc::clone(&answering), node.clone());
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let mut answering = accepted.lock().unwrap_or_else(PoisonError::into_inner);
            answering.retain(|one: &JoinHandle<()>| !one.is_finished());
            if answering.len() == CONNECTIONS_MAX {
                // The socket is closed: who wanted to connect may try again.
                continue;
            }
            let (node, policy, config) = (serving.clone(), policy.clone(), Arc::clone(&config));
            answering.push(thread::spawn(move || {
                if let Err(error) = answer(&node, socket, config, &policy) {
                    say("refused", &error.to_string());
                }
            }));
        }
    });
    io::stdin().read_to_end(&mut Vec::new())?;
    let answering = mem::take(&mut *answering.lock().unwrap_or_else(PoisonError::into_inner));
    for one in answering {
        one.join().map_err(|_| "a thread that answered panicked")?;
    }
    tell_content(&node)
}

/// One connection.
fn answer(
    node: &Node,
    mut socket: TcpStream,
    config: Arc<ServerConfig>,
    policy: &dyn Policy,
) -> Outcome {
    let mut connection = Connection::from(ServerConnection::new(config)?);
    let certificate = stream::handshake(&mut connection, &mut socket)?;
    let identity = certificates::fingerprint(&certificate);
    let transport = stream::transport(connection, socket)?;
    let served = node.serve(transport, policy, &ServeOptions::new().identity(identity))?;
    say("served", &format!("{} requests, {} received", served.requests, served.received));
    Ok(())
}

fn connect(config: &Arc<ClientConfig>, address: SocketAddr, to: &str) -> io::Result<Transport> {
    let mut socket = TcpStream::connect(address)?;
    let name = ServerName::try_from(to.to_owned()).map_err(io::Error::other)?;
    let client = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut connection = Connection::from(client);
    stream::handshake(&mut connection, &mut socket)?;
    stream::transport(connection, socket)
}

fn push(volume: &VolumeName, address: SocketAddr, me: &Me, to: &str) -> Outcome {
    let node = me.open()?;
    move_a_volume(&node, &peer(&node, address, me, to)?, volume)
}

fn peer(node: &Node, address: SocketAddr, me: &Me, to: &str) -> Outcome<Arc<dyn Peer>> {
    let config = certificates::client(&me.certificates, &me.certificates, &me.name)?;
    let meant = certificates::node(&me.certificates, to)?;
    let to = to.to_owned();
    let connect = move || connect(&config, address, &to);
    let peer = RemotePeer::connect(node.id(), &RemoteOptions::new(), connect)?;
    // A certificate is one node's on this side, too.
    if peer.node() != meant {
        return Err(format!("the node {} answers in place of {meant}", peer.node()).into());
    }
    Ok(Arc::new(peer))
}

fn demo(at: &Place) -> Outcome {
    let folder = tempfile::tempdir()?;
    let certificates = folder.path().join("certificates");
    let names = ["here", "there", "other"].map(ToOwned::to_owned);
    certificates::make(&certificates, &names)?;
    let me = |name: &str| -> Outcome<Me> {
        let (certificates, name) = (certificates.clone(), name.to_owned());
        Ok(Me { at: at.below(&name)?, certificates, name })
    };
    let (here, there, other) = (me("here")?, me("there")?, me("other")?);

    let mut server = Command::new(env::current_exe()?)
        .args(["serve", "--name", &there.name, "--at", &there.at.to_string(), "--certificates"])
        .arg(&there.certificates)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let said = server.stderr.take().ok_or("the server says nothing")?;
    let mut said = BufReader::new(said).lines();
    let first = said.next().ok_or("the server did not start")??;
    let address = first.split_whitespace().last().unwrap_or_default().parse()?;
    // What the server says is told as its own.
    let told = thread::spawn(move || {
        said.map_while(Result::ok).for_each(|line| say("there:", line.trim_start()));
    });

    let done = push(&"demo:db".parse()?, address, &here, "there")
        .and_then(|()| refused(address, &here, &other, &certificates));
    // It ends when its input does.
    drop(server.stdin.take());
    let status = server.wait()?;
    told.join().map_err(|_| "who tells what the server says panicked")?;
    here.at.clean_up(certificates::node(&certificates, "here")?)?;
    there.at.clean_up(certificates::node(&certificates, "there")?)?;
    done?;
    if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
}

/// Two who are not let in: one with a certificate of its own that says to be another node, and one whose certificate somebody else's authority made.
fn refused(address: SocketAddr, here: &Me, other: &Me, folder: &Path) -> Outcome {
    let forged = certificates::node(folder, &here.name)?;
    let strange = folder.with_extension("strange");
    certificates::make(&strange, std::slice::from_ref(&here.name))?;
    for (own, name) in [(folder, &other.name), (&*strange, &here.name)] {
        let config = certificates::client(folder, own, name)?;
        let connect = move || connect(&config, address, "there");
        match RemotePeer::connect(forged, &RemoteOptions::new(), connect) {
            Err(error) => say("refused", &error.to_string()),
            Ok(_) => return Err("somebody was taken for another node".into()),
        }
    }
    Ok(())
}
