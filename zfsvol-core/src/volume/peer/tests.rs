//! Both ends against somebody who keeps to nothing.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use uuid::Uuid;

use super::frame::{self, Frame, FrameKind, PREFACE, WINDOW_BYTES_MAX};
use super::message::{Credit, Hello, Request, encode_end};
use super::*;
use crate::embedded::Embedded;
use crate::error::{Error, ErrorKind, Result};
use crate::nvlist::NvList;
use crate::property::PropertySet;
use crate::units::{Bytes, Guid};
use crate::volume::{Node, PushOptions, VolumeSpec};
use crate::zfs::Zfs;

const ME: Uuid = Uuid::from_u128(0xa);
const THERE: Uuid = Uuid::from_u128(0xb);
/// Long enough for a busy machine, short enough to wait for.
const SILENCE: Duration = Duration::from_secs(20);

fn node(id: Uuid) -> Node {
    let zfs = Zfs::new(Embedded::builder().pool("tank", Bytes::from_gib(1)).build());
    Node::open(zfs, "tank/volumes".parse().unwrap(), id).unwrap()
}

fn volume() -> VolumeId {
    VolumeId { id: Uuid::from_u128(7), name: "db".parse().unwrap() }
}

fn hello(node: Uuid) -> Frame {
    let list = Hello::new(node, SILENCE).encode();
    Frame::with_list(FrameKind::Hello, 0, &list).unwrap()
}

fn request(number: u32, request: &Request) -> Frame {
    Frame::with_list(request.kind(), number, &request.encode()).unwrap()
}

fn receive(number: u32) -> Frame {
    let incoming = Incoming {
        volume: volume(),
        snapshot: "s".to_owned(),
        guid: Guid::new(1),
        owner: ME,
        epoch: 1,
        properties: PropertySet::new(),
        back_to: None,
        others: Vec::new(),
        ticket: None,
    };
    request(number, &Request::Receive(incoming))
}

fn data(number: u32, bytes: usize) -> Frame {
    Frame { kind: FrameKind::Data, request: number, body: vec![7; bytes] }
}

fn list(kind: FrameKind, number: u32, list: &NvList) -> Frame {
    Frame::with_list(kind, number, list).unwrap()
}

fn bytes(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::encode).collect()
}

/// Serves a connection with little patience; what is sent on the other end is up to the test.
fn served() -> (UnixStream, JoinHandle<Result<Served>>) {
    served_by(node(THERE))
}

fn served_by(there: Node) -> (UnixStream, JoinHandle<Result<Served>>) {
    let (near, far) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        let options = ServeOptions::new().silence(SILENCE).window(Bytes::from_kib(64));
        there.serve(Transport::unix(far).unwrap(), &AllowAll, &options)
    });
    (near, server)
}

/// Says this after a good preface and Hello, and hears how the server takes it: its frames, and its result.
fn say(frames: &[Frame]) -> (Vec<Frame>, Result<Served>) {
    let (mut near, server) = served();
    near.write_all(&PREFACE).unwrap();
    near.write_all(&hello(ME).encode()).unwrap();
    // It may hang up before it has heard everything.
    let _ = near.write_all(&bytes(frames));
    let _ = near.write_all(&session::bye(None).encode());
    let mut preface = [0; 8];
    near.read_exact(&mut preface).unwrap();
    let mut heard = Vec::new();
    while let Ok(Some(frame)) = Frame::read(&mut near) {
        heard.push(frame);
    }
    (heard, server.join().unwrap())
}

/// The last word of the server to somebody who does not keep to the protocol.
fn violation(frames: &[Frame]) -> String {
    let (heard, served) = say(frames);
    let error = served.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    let last = heard.last().unwrap();
    assert_eq!(last.kind, FrameKind::Bye);
    let told = session::farewell(last, THERE);
    assert_eq!((told.kind(), told.reason()), (error.kind(), error.reason()));
    error.reason().to_owned()
}

#[test]
fn what_is_asked_in_turn_is_answered_in_turn() {
    let look = |number| request(number, &Request::Look(volume()));
    let (heard, served) = say(&[look(1), look(2), look(9)]);
    let kinds: Vec<(FrameKind, u32)> = heard.iter().map(|one| (one.kind, one.request)).collect();
    use FrameKind::{Answer, Bye};
    assert_eq!(kinds, [(FrameKind::Hello, 0), (Answer, 1), (Answer, 2), (Answer, 9), (Bye, 0)]);
    assert_eq!((served.unwrap().caller), ME);
}

#[test]
fn a_client_out_of_turn_is_refused() {
    let look = |number| request(number, &Request::Look(volume()));
    assert_eq!(violation(&[hello(ME)]), "a Hello of the request 0 came after 0");
    assert_eq!(violation(&[look(2), look(2)]), "a Look of the request 2 came after 2");
    assert_eq!(violation(&[look(2), look(1)]), "a Look of the request 1 came after 2");
    assert_eq!(violation(&[data(1, 1)]), "a Data of the request 1 came after 0");
    assert_eq!(violation(&[look(1), data(1, 1)]), "1 bytes of a stream came, and 0 may");
    let credit = list(FrameKind::Credit, 1, &Credit::default().encode());
    assert_eq!(violation(&[look(1), credit]), "a Credit of the request 1 came after 1");
    assert_eq!(violation(&[receive(1), look(2)]), "a Look came in the middle of a stream");
    assert_eq!(violation(&[receive(1), data(1, 0)]), "a Data came with nothing in it");
    assert_eq!(
        violation(&[receive(1), data(1, 65_537)]),
        "65537 bytes of a stream came, and 65536 may"
    );
    let end = list(FrameKind::End, 1, &encode_end(4));
    assert_eq!(violation(&[receive(1), data(1, 3), end]), "a stream of 4 bytes ended after 3");
}

#[test]
fn a_body_that_says_something_else_is_refused() {
    let empty = Frame::empty(FrameKind::Look, 1);
    assert!(violation(&[empty]).starts_with("a body that says something else:"));
    let noise = Frame { kind: FrameKind::Look, request: 1, body: vec![7; 100] };
    assert!(violation(&[noise]).starts_with("the body of a Look:"));
    let mut odd = Request::Look(volume()).encode();
    odd.insert("id", "{00000000-0000-0000-0000-000000000007}");
    assert_eq!(violation(&[list(FrameKind::Look, 1, &odd)]), "'id' is not a UUID");
    let mut odd = Request::Look(volume()).encode();
    odd.insert("properties", 1_u64);
    odd.insert("snapshot", "s").insert("guid", 1_u64).insert("epoch", 1_u64);
    assert_eq!(
        violation(&[list(FrameKind::Receive, 1, &odd)]),
        "the properties of a volume are no list"
    );
    let mut odd = Request::Look(volume()).encode();
    odd.insert("pushed", true);
    assert_eq!(violation(&[list(FrameKind::Look, 1, &odd)]), "what was pushed is no list");
    odd.insert("pushed", NvList::new());
    assert!(violation(&[list(FrameKind::Look, 1, &odd)]).starts_with("a body that says"));
}

#[test]
fn a_bad_name_is_an_answer_and_not_the_end() {
    let mut odd = Request::Look(volume()).encode();
    odd.insert("name", "../etc");
    let good = request(2, &Request::Look(volume()));
    let (heard, served) = say(&[list(FrameKind::Look, 1, &odd), good]);
    let kinds: Vec<FrameKind> = heard.iter().map(|one| one.kind).collect();
    assert_eq!(kinds[1..], [FrameKind::Failed, FrameKind::Answer, FrameKind::Bye]);
    let error = failure::decode(&heard[1].list().unwrap(), THERE).unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    served.unwrap();
}

#[test]
fn a_stream_that_is_none_is_refused_and_what_is_under_way_is_dropped() {
    let end = list(FrameKind::End, 1, &encode_end(60_000));
    let look = request(2, &Request::Look(volume()));
    let (heard, served) = say(&[receive(1), data(1, 30_000), data(1, 30_000), end, look]);
    let heard: Vec<Frame> = heard.into_iter().filter(|one| one.kind != FrameKind::Credit).collect();
    let kinds: Vec<FrameKind> = heard.iter().map(|one| one.kind).collect();
    assert_eq!(kinds[1..], [FrameKind::Failed, FrameKind::Answer, FrameKind::Bye], "{served:?}");
    let error = failure::decode(&heard[1].list().unwrap(), THERE).unwrap();
    assert_eq!(error.kind(), ErrorKind::StreamDamaged, "{error}");
    served.unwrap();
}

#[test]
fn too_many_properties_are_refused() {
    let many: NvList =
        (0..=frame::PROPERTIES_MAX).map(|n| (format!("a:{n}"), "x".to_owned())).collect();
    let mut odd = receive(1).list().unwrap();
    odd.insert("properties", many);
    let (heard, _) = say(&[list(FrameKind::Receive, 1, &odd)]);
    let error = failure::decode(&heard[1].list().unwrap(), THERE).unwrap();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn a_cancel_that_overtakes_its_request_ends_it_and_an_old_one_nothing() {
    let look = request(1, &Request::Look(volume()));
    let old = Frame::empty(FrameKind::Cancel, 1);
    let (heard, served) = say(&[
        look,
        old,
        receive(2),
        Frame::empty(FrameKind::Cancel, 2),
        request(3, &Request::Look(volume())),
    ]);
    let kinds: Vec<(FrameKind, u32)> = heard
        .iter()
        .filter(|one| one.kind != FrameKind::Credit)
        .map(|one| (one.kind, one.request))
        .collect();
    assert_eq!(
        kinds[1..],
        [
            (FrameKind::Answer, 1),
            (FrameKind::Failed, 2),
            (FrameKind::Answer, 3),
            (FrameKind::Bye, 0)
        ],
        "{served:?}"
    );
    let failed = heard.iter().find(|one| one.kind == FrameKind::Failed).unwrap();
    let error = failure::decode(&failed.list().unwrap(), THERE).unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
}

#[test]
fn somebody_who_says_nothing_is_given_up() {
    let (_near, far) = UnixStream::pair().unwrap();
    let options = ServeOptions::new().silence(Duration::from_millis(150));
    let start = Instant::now();
    let served = node(THERE).serve(Transport::unix(far).unwrap(), &AllowAll, &options);
    assert_eq!(served.unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() < SILENCE);
}

#[test]
fn a_caller_that_was_cancelled_is_lost_and_nobody_cancelled_it_here() {
    let cancelled = Error::new(ErrorKind::Cancelled, "push the volume", "it was cancelled");
    let bye = || session::bye(Some(&cancelled));
    let look = request(1, &Request::Look(volume()));
    for frames in [vec![look, bye()], vec![receive(1), data(1, 100), bye()]] {
        let (_, served) = say(&frames);
        assert_eq!(served.unwrap_err().kind(), ErrorKind::Disconnected);
    }
}

#[test]
fn a_job_that_waits_for_a_connection_is_cancelled_at_once() {
    let (here, there) = (node(ME), node(THERE));
    let name = "db".parse().unwrap();
    here.create(&name, &VolumeSpec::block(Bytes::from_mib(1)).sparse()).unwrap();
    let (near, server) = served_by(there);
    let wire = near.try_clone().unwrap();
    let first = Mutex::new(Some(near));
    let (done, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    // The second never comes about, until the test is over.
    let peer = RemotePeer::connect(ME, &RemoteOptions::new(), move || {
        match first.lock().unwrap().take() {
            Some(near) => Transport::unix(near),
            None => {
                let _ = waits.lock().unwrap().recv();
                Err(io::Error::other("there is no second"))
            }
        }
    });
    let peer = Arc::new(peer.unwrap());
    wire.shutdown(Shutdown::Both).unwrap();
    while !peer.is_lost() {
        thread::sleep(Duration::from_millis(1));
    }
    let as_peer: Arc<dyn Peer> = Arc::clone(&peer) as _;
    let job = here.push(&name, &as_peer, &PushOptions::new()).unwrap();
    assert!(!job.wait_for(Duration::from_millis(300)));
    job.cancel();
    assert!(job.wait_for(Duration::from_secs(20)));
    assert_eq!(job.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    drop(done);
    assert_eq!(server.join().unwrap().unwrap_err().kind(), ErrorKind::Disconnected);
}

#[test]
fn serving_somebody_who_says_nothing_is_cancelled_at_once() {
    let (_near, far) = Transport::pair().unwrap();
    let job = node(THERE).serve_in_background(far, Arc::new(AllowAll), &ServeOptions::new());
    let job = job.unwrap();
    assert!(!job.wait_for(Duration::from_millis(20)));
    let began = Instant::now();
    job.cancel();
    assert_eq!(job.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(began.elapsed() < SILENCE / 2);
}

#[test]
fn somebody_who_says_it_byte_by_byte_for_ever_is_given_up() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let slow = thread::spawn(move || {
        let all = [PREFACE.to_vec(), hello(ME).encode()].concat();
        for byte in all {
            if near.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let options = ServeOptions::new().silence(Duration::from_millis(400));
    let served = node(THERE).serve(Transport::unix(far).unwrap(), &AllowAll, &options);
    assert_eq!(served.unwrap_err().kind(), ErrorKind::TimedOut);
    slow.join().unwrap();
}

#[test]
fn a_link_cut_after_any_byte_is_an_error_on_both_sides() {
    let frames = [hello(ME), request(1, &Request::Look(volume())), receive(2), data(2, 100)];
    let whole = [PREFACE.to_vec(), bytes(&frames)].concat();
    let there = node(THERE);
    for length in 0..whole.len() {
        let (mut near, server) = served_by(there.clone());
        near.write_all(&whole[..length]).unwrap();
        drop(near);
        let error = server.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{length}: {error}");
    }
}

/// A server that says this, whatever it is asked.
fn answering(frames: Vec<u8>) -> Transport {
    let (near, mut far) = UnixStream::pair().unwrap();
    thread::spawn(move || {
        let _ = far.write_all(&PREFACE);
        let _ = far.write_all(&frames);
        // Takes everything, so that nobody has to wait for it.
        let _ = io::copy(&mut far, &mut io::sink());
    });
    Transport::unix(near).unwrap()
}

/// Pushes 256 KiB to a server that says this after its Hello.
fn push_to(frames: &[Frame]) -> Error {
    let here = node(ME);
    let name = "db".parse().unwrap();
    let spec = VolumeSpec::block(Bytes::from_mib(1)).sparse();
    here.create(&name, &spec).unwrap();
    let frames = [vec![hello(THERE)], frames.to_vec()].concat();
    // What it has said is heard before it is found to say no more.
    let options = RemoteOptions::new().silence(Duration::from_secs(2)).connections(1);
    let transport = Mutex::new(Some(answering(bytes(&frames))));
    let connect =
        move || transport.lock().unwrap().take().ok_or_else(|| io::ErrorKind::NotConnected.into());
    let peer: Arc<dyn Peer> = Arc::new(RemotePeer::connect(ME, &options, connect).unwrap());
    here.push(&name, &peer, &PushOptions::new()).unwrap().wait().unwrap_err()
}

#[test]
fn a_server_out_of_turn_is_refused() {
    let credit =
        |number, taken, limit| list(FrameKind::Credit, number, &Credit { taken, limit }.encode());
    let nothing = || Frame::empty(FrameKind::Answer, 1);
    let window = WINDOW_BYTES_MAX;
    let cases = [
        (vec![hello(THERE)], "a Hello came for the request 0 in 1".to_owned()),
        (
            vec![Frame::empty(FrameKind::Answer, 2)],
            "a Answer came for the request 2 in 1".to_owned(),
        ),
        (vec![data(1, 1)], "a Data came from who answers".to_owned()),
        (
            vec![nothing(), Frame::empty(FrameKind::Answer, 2)],
            "a stream was answered before its end".to_owned(),
        ),
        (
            vec![nothing(), credit(2, 1, 100)],
            "a Credit of 100 came, with 1 taken of 0 bytes sent".to_owned(),
        ),
        (
            vec![nothing(), credit(2, 0, window + 1)],
            format!("a Credit of {} came, with 0 taken of 0 bytes sent", window + 1),
        ),
    ];
    for (frames, reason) in cases {
        let error = push_to(&frames);
        assert_eq!((error.kind(), error.reason()), (ErrorKind::Protocol, reason.as_str()));
    }
    let error = push_to(&[Frame::empty(FrameKind::Failed, 1)]);
    assert!(error.reason().starts_with("an error that says too little"), "{error}");
}

#[test]
fn an_answer_that_makes_no_sense_is_refused() {
    let wanted = volume();
    let good = NvList::from_iter([
        ("id", wanted.id.to_string()),
        ("owner", ME.to_string()),
        ("state", "replica".to_owned()),
    ]);
    let with = |change: &dyn Fn(&mut NvList)| {
        let mut volume = good.clone();
        volume.insert("epoch", 1_u64);
        change(&mut volume);
        let answer = NvList::from_iter([("volume", volume)]);
        let peer = RemotePeer::over(
            ME,
            answering(bytes(&[hello(THERE), list(FrameKind::Answer, 1, &answer)])),
        );
        peer.unwrap().look(&wanted)
    };
    assert!(with(&|_| {}).unwrap().is_some());
    let ticket = |ticket: u64| {
        let looked = with(&|volume| {
            volume.insert("ticket", ticket);
        });
        looked.unwrap().unwrap().ticket
    };
    assert_eq!((with(&|_| {}).unwrap().unwrap().ticket, ticket(7)), (None, Some(7)));
    let bad: [&dyn Fn(&mut NvList); 6] = [
        &|volume| drop(volume.remove("epoch")),
        &|volume| {
            volume.insert("ticket", "7");
        },
        &|volume| {
            volume.insert("state", "mine");
        },
        &|volume| {
            volume.insert("owner", "me");
        },
        &|volume| {
            volume.insert("snapshots", vec!["a".to_owned()]);
        },
        &|volume| {
            volume.insert("snapshots", vec!["a".repeat(300)]);
            volume.insert("guids", vec![1_u64]).insert("createtxgs", vec![1_u64]);
        },
    ];
    for change in bad {
        assert_eq!(with(change).unwrap_err().kind(), ErrorKind::Protocol);
    }
}

#[test]
fn who_does_not_compare_is_understood_and_who_says_nonsense_is_not() {
    let pushed = Incoming {
        volume: volume(),
        snapshot: "s".to_owned(),
        guid: Guid::new(1),
        owner: ME,
        epoch: 1,
        properties: PropertySet::new(),
        back_to: None,
        others: Vec::new(),
        ticket: None,
    };
    let asked = |answer: &NvList| {
        let frames = [hello(THERE), list(FrameKind::Answer, 1, answer)];
        RemotePeer::over(ME, answering(bytes(&frames))).unwrap().compare(&pushed)
    };
    assert_eq!(asked(&NvList::new()).unwrap(), Compared::Other(None));
    assert_eq!(asked(&NvList::from_iter([("same", true)])).unwrap(), Compared::Same);
    assert_eq!(asked(&NvList::from_iter([("same", false)])).unwrap(), Compared::Other(None));
    let error = asked(&NvList::from_iter([("same", 1_u64)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    // What is another's is not asked about.
    let other = Incoming { owner: THERE, ..pushed.clone() };
    let peer = RemotePeer::over(ME, answering(bytes(&[hello(THERE)]))).unwrap();
    assert_eq!(peer.compare(&other).unwrap_err().kind(), ErrorKind::NotOwner);
}

#[test]
fn a_peer_of_a_newer_version_is_understood_or_refused() {
    let says = |min: u64, max: u64| {
        let mut list = Hello::new(THERE, SILENCE).encode();
        list.insert("version_min", min).insert("version_max", max);
        list.insert("wings", "two");
        let hello = Frame::with_list(FrameKind::Hello, 0, &list).unwrap();
        RemotePeer::over(ME, answering(hello.encode())).map(|peer| peer.node())
    };
    assert_eq!(says(1, 7).unwrap(), THERE);
    let error = says(2, 7).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "cannot talk to the peer: it speaks the versions 2 to 7 of the protocol, and this side 1 to \
         1; update zfsvol here"
    );
    assert_eq!(says(0, 0).unwrap_err().help(), Some("update zfsvol there"));
    assert_eq!(says(7, 1).unwrap_err().kind(), ErrorKind::Unsupported);
    // Of a version that is not ours, nothing else is looked at.
    let only = NvList::from_iter([("version_min", 9_u64), ("version_max", 9)]);
    let hello = Frame::with_list(FrameKind::Hello, 0, &only).unwrap();
    let error = RemotePeer::over(ME, answering(hello.encode())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_hello_with_limits_that_are_none_is_refused() {
    let says = |name: &str, value: u64| {
        let mut list = Hello::new(THERE, SILENCE).encode();
        list.insert(name, value);
        let hello = Frame::with_list(FrameKind::Hello, 0, &list).unwrap();
        RemotePeer::over(ME, answering(hello.encode())).map(drop)
    };
    for (name, value) in [
        ("silence_ms", 0),
        ("silence_ms", 99),
        ("silence_ms", u64::MAX),
        ("data_bytes_max", 0),
        ("data_bytes_max", 4095),
        ("node", 7),
    ] {
        assert_eq!(says(name, value).unwrap_err().kind(), ErrorKind::Protocol, "{name} {value}");
    }
    says("data_bytes_max", u64::MAX).unwrap();
}

#[test]
fn a_lost_connection_is_made_anew_and_another_node_is_refused() {
    let there = node(THERE);
    let ids = Mutex::new(vec![Uuid::from_u128(0xc), THERE, THERE]);
    let connect = move || {
        let (near, far) = Transport::pair()?;
        let id = ids.lock().unwrap().pop().unwrap();
        let there = if id == THERE { there.clone() } else { node(id) };
        thread::spawn(move || {
            // One answer, and it is gone.
            let mut answers = 0;
            let far = far.watch_frames(move |seen| {
                answers += usize::from(seen.kind == FrameKind::Answer);
                if answers == 1 { Pass::CutAfter } else { Pass::Go }
            });
            there.serve(far, &AllowAll, &ServeOptions::new())
        });
        Ok(near)
    };
    let peer = RemotePeer::connect(ME, &RemoteOptions::new(), connect).unwrap();
    for _ in 0..2 {
        assert_eq!(peer.look(&volume()).unwrap(), None);
        while !peer.is_lost() {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let error = peer.look(&volume()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.reason().contains("answers in place of"), "{error}");
}

#[test]
fn one_connection_is_used_by_one_after_the_other() {
    let there = node(THERE);
    let (near, far) = Transport::pair().unwrap();
    let server = thread::spawn(move || there.serve(far, &AllowAll, &ServeOptions::new()));
    let peer = RemotePeer::over(ME, near).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(peer.look(&volume()).unwrap(), None);
                }
            });
        }
    });
    drop(peer);
    assert_eq!(server.join().unwrap().unwrap().requests, 80);
}

/// Frames of every kind, whose bodies are sometimes right.
fn any_frame() -> impl Strategy<Value = Frame> {
    let bodies = prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 0..64),
        Just(request(1, &Request::Look(volume())).body),
        Just(receive(1).body),
        Just(hello(ME).body),
        Just(list(FrameKind::End, 1, &encode_end(3)).body),
        Just(list(FrameKind::Credit, 1, &Credit { taken: 0, limit: 100 }.encode()).body),
    ];
    (0..FrameKind::ALL.len(), 1..4_u32, bodies).prop_map(|(kind, request, body)| {
        let kind = FrameKind::ALL[kind];
        let request = if kind.is_of_connection() { 0 } else { request };
        let most = kind.body_bytes_max().min(body.len());
        Frame { kind, request, body: body[..most].to_vec() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_frames_of_a_client_end_the_connection_or_are_answered(
        frames in proptest::collection::vec(any_frame(), 0..8)
    ) {
        let (heard, _) = say(&frames);
        prop_assert!(heard.len() < 32);
    }

    #[test]
    fn any_frames_of_a_server_end_the_push(frames in proptest::collection::vec(any_frame(), 0..8)) {
        let error = push_to(&frames);
        prop_assert!(!error.to_string().is_empty());
    }
}
