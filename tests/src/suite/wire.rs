//! Nodes at the two ends of connections: everything that `push`, `takeover`, `unchanged`, `three`, `rollback`, `replica`, `told`, `damage` and `clock` do, and what only connections have: policies, frames that get lost, peers that stall.

use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use zfsvol_core::kernel::Access;
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::peer::{
    AllowAll, Direction, FrameKind, Incoming, KnownNodes, Offer, Pass, Policy, ReadOnly,
    RemoteOptions, Replicas, ServeOptions, Transport, VolumeId,
};
use zfsvol_core::volume::{
    Bandwidth, Control, Job, LocalPeer, Node, Ownership, Peer, PushOptions, Recovered, RemotePeer,
    Uuid, VolumeName, VolumeSpec, VolumeState,
};
use zfsvol_core::{Bytes, Error, ErrorKind};

use super::{clock, damage, push, replica, rollback, takeover, three, told, unchanged};
use crate::expect::refused;
use crate::peer::remote;
use crate::volume::noise;
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    let everything = [
        push::cases(),
        takeover::cases(),
        unchanged::cases(),
        three::cases(),
        rollback::cases(),
        replica::cases(),
        told::cases(),
        damage::cases(),
        clock::moves(),
    ];
    let everything = everything.into_iter().flatten().map(|case| case.over_connections("wire"));
    let mut cases = vec![
        case(who_may_only_look_pushes_nothing),
        case(replicas_are_taken_of_some_namespaces_only),
        case(a_push_under_another_name_is_asked_about_under_both),
        case(a_node_that_is_not_who_it_says_does_not_connect),
        case(an_error_there_is_the_same_here),
        case(properties_that_are_not_the_owner_s_to_set_are_refused),
        case(a_push_cut_after_any_frame_goes_on),
        case(a_handoff_cut_after_any_frame_is_recovered),
        case(a_push_cut_at_any_byte_goes_on),
        case(several_pushes_have_a_connection_each),
        case(a_push_through_a_slow_pool_keeps_to_the_window),
        case(a_push_to_a_peer_that_stalls_ends),
        case(a_push_that_is_cancelled_ends_there_too),
        case(a_push_that_waits_for_an_answer_is_cancelled_at_once),
        case(a_recovery_that_waits_for_an_answer_is_cancelled_at_once),
        case(a_node_that_stops_serving_ends_the_push),
        case(progress_is_seen_on_both_sides),
    ];
    cases.extend(everything);
    cases
}

const HERE: Uuid = Uuid::from_u128(0xa);
const THERE: Uuid = Uuid::from_u128(0xb);
const WAIT: Duration = Duration::from_secs(30);
/// How long what was lost with a connection may take to be given up there, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(120);
const MIB: usize = 1 << 20;
/// How long a peer that stalls takes for an answer.
const STALL: Duration = Duration::from_secs(6);

fn two(world: &World) -> (Node, Node) {
    let open = |root, id| Node::open(world.zfs().clone(), world.dataset(root), id).expect("a node");
    (open("here", HERE), open("there", THERE))
}

fn name(text: &str) -> VolumeName {
    text.parse().expect("a volume name")
}

/// A sparse block volume of 16 MiB with so much noise in it.
fn disk(node: &Node, volume: &str, bytes: usize) -> VolumeName {
    let name = name(volume);
    let plain = PropertySet::new().with("compression", "off").expect("a property");
    let spec = VolumeSpec::block(Bytes::from_mib(16)).sparse().properties(&plain);
    node.create(&name, &spec).expect("a volume");
    write(node, &name, &noise(1, bytes));
    name
}

fn write(node: &Node, volume: &VolumeName, data: &[u8]) {
    let device = node.open_device(volume, Access::ReadWrite, WAIT).expect("opened");
    device.write_all_at(data, 0).expect("written");
    device.flush().expect("flushed");
}

fn read(node: &Node, volume: &VolumeName, bytes: usize) -> Vec<u8> {
    let mut data = vec![0; bytes];
    let device = node.open_device(volume, Access::Read, WAIT).expect("opened");
    device.read_exact_at(&mut data, 0).expect("read");
    data
}

fn push(node: &Node, volume: &VolumeName, peer: &Arc<dyn Peer>) -> Result<Bytes, Error> {
    Ok(node.push(volume, peer, &PushOptions::new())?.wait()?.bytes)
}

/// Pushes until it is done: what a connection was lost in is given up there a little later.
fn push_again(node: &Node, volume: &VolumeName, peer: &Arc<dyn Peer>) -> Bytes {
    let until = Instant::now() + PATIENCE;
    loop {
        match push(node, volume, peer) {
            Ok(bytes) => return bytes,
            Err(error) => {
                // It was looked at before that was over, or it is not over yet.
                let is_late = matches!(
                    error.kind(),
                    ErrorKind::InProgress | ErrorKind::Busy | ErrorKind::ResumePending
                );
                assert!(is_late && Instant::now() < until, "{error}");
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// The same after a push over a connection that was cut. Where that went through, the connection was lost after its last answer, which only the next request
/// sees, and that one alone: it is one connection.
fn push_after(
    cut: &Result<Bytes, Error>,
    node: &Node,
    volume: &VolumeName,
    peer: &Arc<dyn Peer>,
) -> Bytes {
    if cut.is_ok() {
        match push(node, volume, peer) {
            Err(error) if error.kind() == ErrorKind::Disconnected => {}
            pushed => return pushed.expect("pushed"),
        }
    }
    push_again(node, volume, peer)
}

fn id(node: &Node, volume: &VolumeName) -> VolumeId {
    let info = node.get(volume).expect("looked at").expect("there");
    VolumeId { id: info.ownership.id, name: info.name }
}

/// With a policy at the peer, and nothing else.
fn with_policy(there: &Node, policy: impl Policy + Clone + 'static) -> Arc<dyn Peer> {
    remote(HERE, there, policy, &ServeOptions::new(), |near| near)
}

fn who_may_only_look_pushes_nothing(world: &World) {
    let (here, there) = two(world);
    let volume = disk(&here, "db", 1000);
    let peer = with_policy(&there, ReadOnly);
    let error = push(&here, &volume, &peer).expect_err("it is read-only");
    assert_eq!(error.kind(), ErrorKind::NotPermitted);
    assert_eq!(
        error.to_string(),
        "cannot push the volume 'db': this node is read-only to its peers"
    );
    assert_eq!(there.get(&volume).expect("looked at"), None);
    assert_eq!(peer.look(&id(&here, &volume)).expect("it may look"), None);
    refused(peer.abort_receive(&id(&here, &volume)), ErrorKind::NotPermitted);
}

fn replicas_are_taken_of_some_namespaces_only(world: &World) {
    let (here, there) = two(world);
    let (ours, other) = (disk(&here, "shop:db", 1000), disk(&here, "db", 1000));
    let peer = with_policy(&there, Replicas::of(["shop"]));
    push(&here, &ours, &peer).expect("pushed");
    refused(push(&here, &other, &peer), ErrorKind::NotPermitted);
    // The offer is refused, and known to be: the volume is as it was.
    let job = here.handoff(&ours, &peer, &PushOptions::new()).expect("a job");
    refused(job.wait(), ErrorKind::NotPermitted);
    assert!(here.get(&ours).expect("looked at").expect("there").is_owned_by(HERE));
    write(&here, &ours, b"mine");
    push(&here, &ours, &peer).expect("pushed");
}

fn a_push_under_another_name_is_asked_about_under_both(world: &World) {
    let (here, there) = two(world);
    let volume = disk(&here, "secret:db", 1000);
    push(&here, &volume, &with_policy(&there, AllowAll)).expect("pushed");
    let renamed = name("shop:db");
    here.rename(&volume, &renamed).expect("renamed");
    write(&here, &renamed, b"more");
    // Who may touch only what is in one namespace does not get at another by giving its volume a name in that.
    refused(
        push(&here, &renamed, &with_policy(&there, Replicas::of(["shop"]))),
        ErrorKind::NotPermitted,
    );
    assert!(there.get(&volume).expect("looked at").is_some());
    push(&here, &renamed, &with_policy(&there, Replicas::of(["shop", "secret"]))).expect("pushed");
    assert!(there.get(&renamed).expect("looked at").is_some());
}

fn a_node_that_is_not_who_it_says_does_not_connect(world: &World) {
    let (_, there) = two(world);
    let connect = |me: Uuid, identity: &str| {
        let (near, far) = Transport::pair().expect("sockets");
        let there = there.clone();
        let options = ServeOptions::new().identity(identity);
        let server = thread::spawn(move || {
            let policy = KnownNodes::new([("here.example", HERE)], AllowAll);
            there.serve(far, &policy, &options)
        });
        let peer = RemotePeer::over(me, near).map(drop);
        (peer, server.join().expect("no panic"))
    };
    let (peer, served) = connect(HERE, "here.example");
    peer.expect("connected");
    assert_eq!(served.expect("served").caller, HERE);
    for (me, identity) in [(THERE, "here.example"), (HERE, "there.example"), (HERE, "")] {
        let (peer, served) = connect(me, identity);
        refused(peer, ErrorKind::NotPermitted);
        refused(served, ErrorKind::NotPermitted);
    }
}

fn an_error_there_is_the_same_here(world: &World) {
    let (here, there) = two(world);
    let volume = disk(&here, "db", 1000);
    disk(&there, "db", 1000);
    let local: Arc<dyn Peer> = Arc::new(LocalPeer::new(there.clone()));
    let peer = with_policy(&there, AllowAll);
    let ask = |peer: &Arc<dyn Peer>| peer.look(&id(&here, &volume)).expect_err("another volume");
    let (near, far) = (ask(&local), ask(&peer));
    assert_eq!(far.to_string(), near.to_string());
    assert_eq!((far.kind(), far.target(), far.help()), (near.kind(), near.target(), near.help()));
    let source = std::error::Error::source(&far).expect("who said it").to_string();
    assert_eq!(source, format!("the node {THERE} said: {near}"));
    // The connection is as good as before.
    let other = disk(&here, "other", 1000);
    push(&here, &other, &peer).expect("pushed");
}

fn properties_that_are_not_the_owner_s_to_set_are_refused(world: &World) {
    let (here, there) = two(world);
    let volume = disk(&here, "db", 1000);
    let peer = with_policy(&there, AllowAll);
    push(&here, &volume, &peer).expect("pushed");
    let known = peer.look(&id(&here, &volume)).expect("looked at").expect("there");
    let newest = known.snapshots.last().expect("a snapshot").clone();
    let ours = [("readonly", "off"), ("mountpoint", "/etc"), ("zfsvol:owner", "me")];
    for (property, value) in ours {
        let properties = PropertySet::new().with(property, value).expect("a property");
        let incoming = Incoming {
            volume: id(&here, &volume),
            snapshot: newest.name.clone(),
            guid: newest.guid,
            owner: HERE,
            epoch: 1,
            properties,
            back_to: None,
            others: Vec::new(),
            ticket: None,
        };
        refused(peer.finish(&incoming, HERE), ErrorKind::NotPermitted);
    }
    // Nor does one node push, or hand over, what is another's.
    let offer = Offer {
        volume: id(&here, &volume),
        from: Uuid::from_u128(0xc),
        epoch: 9,
        snapshot: newest.guid,
    };
    refused(peer.accept(&offer), ErrorKind::NotOwner);
}

/// Cuts the first connection that gets so far at its n-th frame, on the side that asks.
fn cut_at(there: &Node, n: usize, pass: Pass, frames: &Arc<AtomicUsize>) -> Arc<dyn Peer> {
    let frames = Arc::clone(frames);
    remote(HERE, there, AllowAll, &ServeOptions::new(), move |near| {
        let frames = Arc::clone(&frames);
        near.watch_frames(move |_| {
            // Counted through all connections, so that only one is cut.
            if frames.fetch_add(1, Ordering::Relaxed) + 1 == n { pass } else { Pass::Go }
        })
    })
}

/// Every frame; some where a processor is emulated, for each of them takes seconds there.
fn step(world: &World) -> usize {
    if world.machine().is_emulated() { 3 } else { 1 }
}

fn a_push_cut_after_any_frame_goes_on(world: &World) {
    let (here, there) = two(world);
    for pass in [Pass::Cut, Pass::CutAfter] {
        // The two Hellos are there before there is a peer.
        for n in (3..).step_by(step(world)) {
            let volume = disk(&here, &format!("db-{pass:?}-{n}"), 200_000);
            let frames = Arc::default();
            let peer = cut_at(&there, n, pass, &frames);
            let cut = push(&here, &volume, &peer);
            let is_past = frames.swap(usize::MAX / 2, Ordering::Relaxed) < n;
            if let Err(error) = &cut {
                assert_eq!(error.kind(), ErrorKind::Disconnected, "{n}: {error}");
            }
            // After an answer a connection can be lost unnoticed: there is another for the next request.
            let is_noticed = cut.is_err() || is_past || pass == Pass::CutAfter;
            assert!(is_noticed || n > 5, "frame {n} is lost, and nobody noticed");
            push_after(&cut, &here, &volume, &peer);
            assert_eq!(read(&there, &volume, 200_000), noise(1, 200_000), "{pass:?} {n}");
            if is_past {
                assert!(n > 8, "a push of {n} frames only");
                break;
            }
        }
    }
}

fn a_handoff_cut_after_any_frame_is_recovered(world: &World) {
    let (here, there) = two(world);
    for pass in [Pass::Cut, Pass::CutAfter] {
        for n in (3..).step_by(step(world)) {
            let volume = disk(&here, &format!("db-{pass:?}-{n}"), 50_000);
            let frames = Arc::default();
            let peer = cut_at(&there, n, pass, &frames);
            let handed = here.handoff(&volume, &peer, &PushOptions::new()).expect("a job").wait();
            let is_past = frames.swap(usize::MAX / 2, Ordering::Relaxed) < n;
            assert_writers(&[&here, &there], &volume);
            let until = Instant::now() + PATIENCE;
            loop {
                // The server may still be at what it was asked when the connection was lost.
                match here.recover(&volume, &*peer) {
                    Ok(_) => break,
                    Err(error) => assert!(Instant::now() < until, "{n}: {error}"),
                }
            }
            assert_writers(&[&here, &there], &volume);
            let owner = here.get(&volume).expect("looked at").expect("there").ownership;
            if handed.is_ok() {
                assert_eq!(owner.owner, THERE);
            }
            if owner.owner == HERE {
                assert_eq!(owner.state, VolumeState::Owned);
                push_again(&here, &volume, &peer);
                here.handoff(&volume, &peer, &PushOptions::new())
                    .expect("a job")
                    .wait()
                    .expect("handed over");
            }
            assert!(there.get(&volume).expect("looked at").expect("there").is_owned_by(THERE));
            assert_eq!(here.recover(&volume, &*peer).expect("again"), Recovered::Nothing);
            assert_eq!(read(&there, &volume, 50_000), noise(1, 50_000), "{pass:?} {n}");
            if is_past {
                break;
            }
        }
    }
}

/// At most one of the nodes can write, and each that can is one that owns the volume. Both are said by one look at the dataset, also at one that is just being received:
/// the server may still be at what it was asked when the connection was lost.
fn assert_writers(nodes: &[&Node], volume: &VolumeName) {
    let writable = nodes.iter().filter(|node| {
        let dataset = node.dataset(volume).expect("a name");
        let properties = match node.zfs().properties(&dataset) {
            Err(error) if error.kind() == ErrorKind::NotFound => return false,
            found => found.expect("looked at"),
        };
        let is_writable = properties.text("readonly") == Some("off");
        // It has none before it says whose it is.
        let ownership = Ownership::read(&properties).expect("it makes sense");
        let is_owned =
            ownership.is_some_and(|one| one.owner == node.id() && one.state == VolumeState::Owned);
        assert_eq!(is_writable, is_owned, "'{dataset}'");
        is_writable
    });
    assert!(writable.count() <= 1, "two writers of '{volume}'");
}

/// A reader or writer that breaks after so many bytes.
struct Cut<T> {
    inner: T,
    left: Arc<AtomicU64>,
}

impl<T: io::Read> io::Read for Cut<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        let left = self.left.load(Ordering::Relaxed);
        if (bytes as u64) > left {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.left.store(left - bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

impl<T: io::Write> io::Write for Cut<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let bytes = self.inner.write(&buffer[..most])?;
        self.left.store(left - bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn a_push_cut_at_any_byte_goes_on(world: &World) {
    use std::os::unix::net::UnixStream;
    let (here, there) = two(world);
    let volume = disk(&here, "db", 300_000);
    // Bytes that may still go there, and come back; what is not cut has enough for all.
    let budgets = [0, 1, 7, 8, 19, 20, 21, 400, 1000, 2000, 5000, 70_000, 140_000, 280_000];
    for (n, budget) in budgets.into_iter().enumerate() {
        for cuts_writes in [true, false] {
            write(&here, &volume, &noise(n as u64 + 2, 300_000));
            let (to, from) =
                (Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicU64::new(u64::MAX)));
            if cuts_writes { &to } else { &from }.store(budget, Ordering::Relaxed);
            let (to_cut, from_cut, node) = (Arc::clone(&to), Arc::clone(&from), there.clone());
            let connect = move || {
                let (near, far) = UnixStream::pair()?;
                let (node, far) = (node.clone(), Transport::unix(far)?);
                thread::spawn(move || node.serve(far, &AllowAll, &ServeOptions::new()));
                let closer = near.try_clone()?;
                let reader = Cut { inner: near.try_clone()?, left: Arc::clone(&from_cut) };
                let writer = Cut { inner: near, left: Arc::clone(&to_cut) };
                Ok(Transport::new(reader, writer).on_close(move || {
                    let _ = closer.shutdown(std::net::Shutdown::Both);
                }))
            };
            let peer = match RemotePeer::connect(HERE, &RemoteOptions::new(), connect.clone()) {
                Ok(peer) => peer,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
                    to.store(u64::MAX, Ordering::Relaxed);
                    from.store(u64::MAX, Ordering::Relaxed);
                    RemotePeer::connect(HERE, &RemoteOptions::new(), connect).expect("connected")
                }
            };
            let peer: Arc<dyn Peer> = Arc::new(peer);
            let cut = push(&here, &volume, &peer);
            if let Err(error) = &cut {
                assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
            }
            to.store(u64::MAX, Ordering::Relaxed);
            from.store(u64::MAX, Ordering::Relaxed);
            push_after(&cut, &here, &volume, &peer);
            assert_eq!(read(&there, &volume, 300_000), noise(n as u64 + 2, 300_000));
        }
    }
}

fn several_pushes_have_a_connection_each(world: &World) {
    let (here, there) = two(world);
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&opened);
    let peer = remote(HERE, &there, AllowAll, &ServeOptions::new(), move |near| {
        counted.fetch_add(1, Ordering::Relaxed);
        near
    });
    let volumes: Vec<VolumeName> =
        (0..4).map(|n| disk(&here, &format!("db{n}"), 3 * MIB)).collect();
    let jobs: Vec<_> = volumes
        .iter()
        .map(|volume| {
            let slow = PushOptions::new().bandwidth(&Bandwidth::new(Bytes::from_mib(8)));
            here.push(volume, &peer, &slow).expect("a job")
        })
        .collect();
    for job in jobs {
        job.wait().expect("pushed");
    }
    for volume in &volumes {
        assert_eq!(read(&there, volume, 3 * MIB), noise(1, 3 * MIB));
    }
    let count = opened.load(Ordering::Relaxed);
    assert!((2..=4).contains(&count), "{count} connections for 4 pushes");
    // They are kept for the next.
    write(&here, &volumes[0], b"more");
    push(&here, &volumes[0], &peer).expect("pushed");
    assert_eq!(opened.load(Ordering::Relaxed), count);
}

fn a_push_through_a_slow_pool_keeps_to_the_window(world: &World) {
    let (here, there) = two(world);
    let volume = disk(&here, "db", 8 * MIB);
    let window = 256 << 10;
    let (sent, taken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (counted, there_taken) = (Arc::clone(&sent), Arc::clone(&taken));
    let control = Control::default();
    let options = ServeOptions::new().window(Bytes::new(window)).control(&control);
    let peer = remote(HERE, &there, AllowAll, &options, move |near| {
        let (counted, taken, control) =
            (Arc::clone(&counted), Arc::clone(&there_taken), control.clone());
        near.watch_frames(move |seen| {
            if seen.kind == FrameKind::Data && seen.direction == Direction::Sent {
                let sent = counted.fetch_add(seen.body_bytes as u64, Ordering::Relaxed)
                    + seen.body_bytes as u64;
                // The pool takes at most so much less than was sent.
                let under_way = sent - control.progress().bytes.get();
                taken.fetch_max(under_way, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(1));
            }
            Pass::Go
        })
    });
    push(&here, &volume, &peer).expect("pushed");
    assert!(sent.load(Ordering::Relaxed) > 8 << 20);
    let most = taken.load(Ordering::Relaxed);
    assert!(most <= window, "{most} bytes were under way, and {window} may");
    assert_eq!(read(&there, &volume, 8 * MIB), noise(1, 8 * MIB));
}

fn a_push_to_a_peer_that_stalls_ends(world: &World) {
    let (here, there) = two(world);
    let volume = disk(&here, "db", 4 * MIB);
    let (node, stalls) = (there.clone(), Arc::new(AtomicUsize::new(1)));
    let connect = move || {
        let (near, far) = Transport::pair()?;
        let (node, stalls) = (node.clone(), Arc::clone(&stalls));
        let far = far.watch_frames(move |seen| {
            let is_first = seen.kind == FrameKind::Data && stalls.swap(0, Ordering::Relaxed) == 1;
            if is_first {
                // Nothing is read any more, and nothing answered.
                thread::sleep(Duration::from_secs(2));
            }
            Pass::Go
        });
        thread::spawn(move || node.serve(far, &AllowAll, &ServeOptions::new()));
        Ok(near)
    };
    let options = RemoteOptions::new().deadline(Duration::from_millis(500));
    let peer = RemotePeer::connect(HERE, &options, connect).expect("connected");
    let peer: Arc<dyn Peer> = Arc::new(peer);
    let start = Instant::now();
    let error = push(&here, &volume, &peer).expect_err("it stalls");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    // A slow machine may need longer than that for what does not stall.
    push_again(&here, &volume, &with_policy(&there, AllowAll));
    assert_eq!(read(&there, &volume, 4 * MIB), noise(1, 4 * MIB));
}

fn a_push_that_is_cancelled_ends_there_too(world: &World) {
    let (here, there) = two(world);
    let volume = disk(&here, "db", 8 * MIB);
    let peer = with_policy(&there, AllowAll);
    let slow = PushOptions::new().bandwidth(&Bandwidth::new(Bytes::from_mib(2)));
    let job = here.push(&volume, &peer, &slow).expect("a job");
    while job.progress().bytes < Bytes::from_mib(1) {
        assert!(!job.wait_for(Duration::from_millis(5)), "{:?}", job.wait());
    }
    job.cancel();
    refused(job.wait(), ErrorKind::Cancelled);
    // Nothing is going on there any more by then: the next one need not wait, nor begin anew.
    let rest = push(&here, &volume, &peer).expect("pushed");
    assert!(rest < Bytes::from_mib(8), "{rest}");
    assert_eq!(read(&there, &volume, 8 * MIB), noise(1, 8 * MIB));
}

/// A peer who takes that long for the first answer of a kind, and says meanwhile that it lives. And who tells when it is asked.
fn stalling(there: &Node, kind: FrameKind) -> (Arc<dyn Peer>, mpsc::Receiver<()>) {
    let (node, stalls) = (there.clone(), Arc::new(AtomicUsize::new(1)));
    let (came, is_asked) = mpsc::channel();
    let connect = move || {
        let (near, far) = Transport::pair()?;
        let (node, stalls, came) = (node.clone(), Arc::clone(&stalls), came.clone());
        let far = far.watch_frames(move |seen| {
            let is_it = seen.kind == kind && seen.direction == Direction::Received;
            if is_it && stalls.swap(0, Ordering::Relaxed) == 1 {
                // Nobody may wait for it any more.
                let _ = came.send(());
                thread::sleep(STALL);
            }
            Pass::Go
        });
        thread::spawn(move || node.serve(far, &AllowAll, &ServeOptions::new()));
        Ok(near)
    };
    let peer = RemotePeer::connect(HERE, &RemoteOptions::new(), connect).expect("connected");
    (Arc::new(peer), is_asked)
}

/// Cancels a job once the peer is asked, and sees it end long before the answer.
fn cancelled_at_once<T: Debug>(job: Job<T>, is_asked: &mpsc::Receiver<()>, kind: FrameKind) {
    is_asked.recv_timeout(WAIT).expect("it is asked");
    let start = Instant::now();
    job.cancel();
    refused(job.wait(), ErrorKind::Cancelled);
    assert!(start.elapsed() < STALL / 2, "{kind}: {:?}", start.elapsed());
}

fn a_push_that_waits_for_an_answer_is_cancelled_at_once(world: &World) {
    let (here, there) = two(world);
    for kind in [FrameKind::Look, FrameKind::Finish] {
        let volume = disk(&here, &format!("db-{kind}"), 100_000);
        let (peer, is_asked) = stalling(&there, kind);
        let job = here.push(&volume, &peer, &PushOptions::new()).expect("a job");
        cancelled_at_once(job, &is_asked, kind);
        push_again(&here, &volume, &peer);
        assert_eq!(read(&there, &volume, 100_000), noise(1, 100_000), "{kind}");
    }
}

fn a_recovery_that_waits_for_an_answer_is_cancelled_at_once(world: &World) {
    let (here, there) = two(world);
    let expected =
        [(FrameKind::Look, Recovered::Nothing), (FrameKind::Settle, Recovered::TakenBack)];
    for (kind, recovered) in expected {
        let volume = disk(&here, &format!("db-{kind}"), 100_000);
        if kind == FrameKind::Settle {
            leave(&here, &volume, &there);
        }
        let before = here.get(&volume).expect("looked at");
        let (peer, is_asked) = stalling(&there, kind);
        let job = here.recover_in_background(&volume, &peer).expect("a job");
        cancelled_at_once(job, &is_asked, kind);
        assert_eq!(here.get(&volume).expect("looked at"), before, "{kind}");
        let job = here.recover_in_background(&volume, &peer).expect("a job");
        assert_eq!(job.wait().expect("recovered"), recovered);
        write(&here, &volume, &noise(2, 100_000));
    }
    let (peer, _) = stalling(&there, FrameKind::Look);
    let job = here.recover_in_background(&name("none"), &peer).expect("a job");
    refused(job.wait(), ErrorKind::NotFound);
}

/// Leaves a volume in the middle of being handed over: the offer is lost with the connection, and there is no other.
fn leave(here: &Node, volume: &VolumeName, there: &Node) {
    let (node, is_lost) = (there.clone(), Arc::new(AtomicBool::new(false)));
    let connect = move || {
        if is_lost.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = Transport::pair()?;
        let (node, is_lost) = (node.clone(), Arc::clone(&is_lost));
        thread::spawn(move || node.serve(far, &AllowAll, &ServeOptions::new()));
        Ok(near.watch_frames(move |seen| {
            let is_it = seen.kind == FrameKind::Accept;
            is_lost.fetch_or(is_it, Ordering::Relaxed);
            if is_it { Pass::Cut } else { Pass::Go }
        }))
    };
    let peer = RemotePeer::connect(HERE, &RemoteOptions::new(), connect).expect("connected");
    let peer: Arc<dyn Peer> = Arc::new(peer);
    let handoff = here.handoff(volume, &peer, &PushOptions::new()).expect("a job");
    handoff.wait().expect_err("lost");
    let info = here.get(volume).expect("looked at").expect("there");
    assert!(matches!(info.ownership.state, VolumeState::Leaving { .. }), "{info:?}");
}

fn a_node_that_stops_serving_ends_the_push(world: &World) {
    let (here, there) = two(world);
    let volume = disk(&here, "db", 8 * MIB);
    let control = Control::default();
    let options = ServeOptions::new().control(&control);
    let peer = remote(HERE, &there, AllowAll, &options, |near| near);
    let slow = PushOptions::new().bandwidth(&Bandwidth::new(Bytes::from_mib(2)));
    let job = here.push(&volume, &peer, &slow).expect("a job");
    while job.progress().bytes < Bytes::from_mib(1) {
        assert!(!job.wait_for(Duration::from_millis(5)), "{:?}", job.wait());
    }
    control.cancel();
    let error = job.wait().expect_err("it was stopped there");
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert_eq!(error.reason(), "the node stopped serving");
    push_again(&here, &volume, &with_policy(&there, AllowAll));
}

fn progress_is_seen_on_both_sides(world: &World) {
    let (here, there) = two(world);
    let volume = disk(&here, "db", 2 * MIB);
    let control = Control::default();
    let options = ServeOptions::new().control(&control);
    let peer = remote(HERE, &there, AllowAll, &options, |near| near);
    let job = here.push(&volume, &peer, &PushOptions::new()).expect("a job");
    let watched = job.control();
    let pushed = job.wait().expect("pushed");
    assert!(pushed.bytes > Bytes::from_mib(2));
    assert_eq!(watched.progress().bytes, pushed.bytes);
    assert!(watched.progress().total >= Bytes::from_mib(2));
    assert_eq!(control.progress().bytes, pushed.bytes);
}
