//! Pushes 1 GiB between two processes in two network namespaces, over a link that is cut three times, and checks that all of it arrives, and that what
//! had arrived was not sent again.
//!
//! `push_cut` needs root and `ip` of iproute2. Each node has a kernel of its own in its process. It starts itself as `push_cut serve ADDRESS` and
//! `push_cut push ADDRESS`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it says what it found")]
#![expect(clippy::disallowed_methods, reason = "it sets a network up and starts the two processes")]

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::hash::Hasher;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use zfsvol_core::embedded::Embedded;
use zfsvol_core::kernel::Access;
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::peer::{AllowAll, RemoteOptions, ServeOptions, Transport};
use zfsvol_core::volume::{Node, Peer, PushOptions, RemotePeer, Uuid, VolumeName, VolumeSpec};
use zfsvol_core::{Bytes, ErrorKind, Zfs};
use zfsvol_tests::volume::noise;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const SIZE: Bytes = Bytes::from_gib(1);
const PART: usize = 16 << 20;
const CUTS: u64 = 3;
/// After how long without a byte either side gives up; the link is down for longer.
const SILENCE: Duration = Duration::from_secs(2);
const DOWN: Duration = Duration::from_secs(6);
/// For everything.
const PATIENCE: Duration = Duration::from_secs(300);
const ADDRESS: &str = "10.77.0.2:7777";
const ONE: Uuid = Uuid::from_u128(1);
const TWO: Uuid = Uuid::from_u128(2);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => drive(),
        ["serve", address] => serve(address),
        ["push", address] => push(address),
        _ => Err("it takes no arguments".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts both sides, cuts the link between them three times, and compares what each has in the end.
fn drive() -> Outcome {
    let network = Network::make()?;
    let mut there = network.start(&network.two, &["serve", ADDRESS])?;
    let mut there_says = lines(&mut there)?;
    there_says.expect("listening")?;
    let mut here = network.start(&network.one, &["push", ADDRESS])?;
    let mut here_says = lines(&mut here)?;
    let content = here_says.expect("content")?;
    let mut cuts = 0;
    let sent = loop {
        let (what, how) = here_says.next()?;
        match what.as_str() {
            "sent" if cuts < CUTS && how.parse::<u64>()? > SIZE.get() / (CUTS + 1) * (cuts + 1) => {
                cuts += 1;
                println!("cut {cuts}: after {} of {SIZE}", Bytes::new(how.parse()?));
                network.cut_for(DOWN)?;
            }
            "sent" => {}
            "lost" => println!("       {how}"),
            "done" => break how.parse::<u64>()?,
            _ => return Err(format!("it said '{what} {how}'").into()),
        }
    };
    drop(there.stdin.take());
    let arrived = there_says.expect("content")?;
    here.wait()?;
    there.wait()?;
    let again = sent.saturating_sub(SIZE.get());
    println!(
        "arrived: {SIZE} through {cuts} cuts, {} sent in all, and all of it as it was written",
        Bytes::new(sent)
    );
    // What may be under way is a few MiB; the headers of the records are less than a thousandth.
    let most = CUTS * (16 << 20) + SIZE.get() / 500;
    match (cuts == CUTS, content == arrived, again <= most) {
        (true, true, true) => Ok(()),
        (false, _, _) => Err(format!("it was over after {cuts} cuts").into()),
        (_, false, _) => Err("what arrived is not what was written".into()),
        (_, _, false) => Err(format!("{again} bytes were sent again, and {most} may be").into()),
    }
}

/// Two network namespaces and a link between them; gone when it is dropped.
struct Network {
    one: String,
    two: String,
}

impl Network {
    fn make() -> Outcome<Self> {
        let pid = std::process::id();
        let network = Self { one: format!("zfsvol-1-{pid}"), two: format!("zfsvol-2-{pid}") };
        let (one, two) = (network.one.as_str(), network.two.as_str());
        for command in [
            vec!["netns", "add", one],
            vec!["netns", "add", two],
            vec![
                "-n", one, "link", "add", "link0", "type", "veth", "peer", "name", "link0",
                "netns", two,
            ],
            vec!["-n", one, "address", "add", "10.77.0.1/24", "dev", "link0"],
            vec!["-n", two, "address", "add", "10.77.0.2/24", "dev", "link0"],
            vec!["-n", one, "link", "set", "link0", "up"],
            vec!["-n", two, "link", "set", "link0", "up"],
        ] {
            ip(&command)?;
        }
        Ok(network)
    }

    fn start(&self, namespace: &str, arguments: &[&str]) -> Outcome<Child> {
        Ok(Command::new("ip")
            .args(["netns", "exec", namespace])
            .arg(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?)
    }

    fn cut_for(&self, time: Duration) -> Outcome {
        ip(&["-n", &self.one, "link", "set", "link0", "down"])?;
        thread::sleep(time);
        ip(&["-n", &self.one, "link", "set", "link0", "up"])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.one, &self.two] {
            // It may not be there yet.
            let _ = ip(&["netns", "delete", namespace]);
        }
    }
}

fn ip(arguments: &[&str]) -> Outcome {
    let status = Command::new("ip").args(arguments).status();
    let status = status.map_err(|error| format!("ip, of iproute2, cannot be run: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("ip {}: {status}", arguments.join(" ")).into())
    }
}

/// What a process says: lines of one word, and the rest.
struct Lines(io::Lines<BufReader<ChildStdout>>);

fn lines(child: &mut Child) -> Outcome<Lines> {
    Ok(Lines(BufReader::new(child.stdout.take().ok_or("its output is taken")?).lines()))
}

impl Lines {
    fn next(&mut self) -> Outcome<(String, String)> {
        let line = self.0.next().ok_or("a process ended early")??;
        let (what, how) = line.split_once(' ').unwrap_or((&line, ""));
        Ok((what.to_owned(), how.to_owned()))
    }

    fn expect(&mut self, wanted: &str) -> Outcome<String> {
        let (what, how) = self.next()?;
        if what == wanted {
            Ok(how)
        } else {
            Err(format!("it said '{what} {how}', not '{wanted}'").into())
        }
    }
}

fn node(id: Uuid) -> Outcome<Node> {
    let kernel = Embedded::builder().pool("tank", Bytes::from_gib(8)).build();
    Ok(Node::open(Zfs::new(kernel), "tank/volumes".parse()?, id)?)
}

/// Answers every connection until the input ends, then says what it has.
fn serve(address: &str) -> Outcome {
    let node = node(TWO)?;
    let listener = TcpListener::bind(address)?;
    println!("listening on {address}");
    let server = node.clone();
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let node = server.clone();
            thread::spawn(move || {
                let options = ServeOptions::new().silence(SILENCE);
                // A link that is cut is what this is about; the other side tells of it.
                Transport::tcp(socket).map(|transport| node.serve(transport, &AllowAll, &options))
            });
        }
    });
    io::stdin().read_to_end(&mut Vec::new())?;
    println!("content {}", content(&node, &"db".parse()?)?);
    Ok(())
}

/// Pushes until it is done, however often the link is lost.
fn push(address: &str) -> Outcome {
    let node = node(ONE)?;
    let volume: VolumeName = "db".parse()?;
    let plain = PropertySet::new().with("compression", "off")?;
    node.create(&volume, &VolumeSpec::block(SIZE).properties(&plain))?;
    let device = node.open_device(&volume, Access::ReadWrite, SILENCE)?;
    for at in (0..SIZE.get()).step_by(PART) {
        device.write_all_at(&noise(at | 1, PART), at)?;
    }
    device.flush()?;
    println!("content {}", content(&node, &volume)?);

    let address: SocketAddr = address.parse()?;
    let connect = move || Transport::tcp(TcpStream::connect_timeout(&address, SILENCE)?);
    let options = RemoteOptions::new().silence(SILENCE);
    let peer: Arc<dyn Peer> = Arc::new(RemotePeer::connect(ONE, &options, connect)?);
    let (mut before, until) = (0, Instant::now() + PATIENCE);
    loop {
        let job = node.push(&volume, &peer, &PushOptions::new())?;
        while !job.wait_for(Duration::from_millis(2)) {
            println!("sent {}", before + job.progress().bytes.get());
        }
        before += job.progress().bytes.get();
        match job.wait() {
            Ok(_) => break,
            Err(error) if is_lost(error.kind()) && Instant::now() < until => {
                println!("lost {error}");
                thread::sleep(SILENCE);
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!("done {before}");
    Ok(())
}

/// What a connection that was lost is told by: at once, or when the other side has not noticed it yet.
fn is_lost(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Disconnected | ErrorKind::TimedOut | ErrorKind::InProgress)
}

fn content(node: &Node, volume: &VolumeName) -> Outcome<u64> {
    let device = node.open_device(volume, Access::Read, SILENCE)?;
    let (mut hasher, mut part) = (DefaultHasher::new(), vec![0; PART]);
    for at in (0..SIZE.get()).step_by(PART) {
        device.read_exact_at(&mut part, at)?;
        hasher.write(&part);
    }
    Ok(hasher.finish())
}
