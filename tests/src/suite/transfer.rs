//! Transfers: through descriptors of every kind, watched, cancelled, dropped, disconnected.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{ReceiveOptions, SendOptions, SendStream, Transfer};
use zfsvol_core::{Bytes, DatasetName, Error, ErrorKind, SnapshotName};

use crate::{Case, Need, World, case, volume};

/// More than the pipes between, so that a reader that stalls is noticed.
const SIZE: Bytes = Bytes::from_mib(8);

/// Long enough for the slowest guest, short enough to notice a hang.
const SOON: Duration = Duration::from_secs(30);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_stream_goes_through_a_file),
        case(a_stream_goes_through_a_file_opened_for_appending),
        case(a_stream_goes_through_a_pipe),
        case(a_stream_goes_through_unix_sockets),
        case(a_stream_goes_through_tcp),
        case(a_stream_goes_to_the_null_device),
        case(a_stream_goes_through_readers_and_writers),
        case(progress_grows_and_ends_at_the_length),
        case(cancelling_ends_a_send_whose_reader_stalls),
        case(cancelling_ends_a_read_that_waits),
        case(cancelling_ends_a_receive_whose_source_stalls),
        case(dropping_ends_a_transfer),
        case(a_reader_that_closes_early_is_disconnected),
        case(a_writer_that_fails_is_the_source_of_the_error),
        case(a_reader_that_fails_is_the_source_of_the_error),
        case(a_writer_that_panics_ends_the_transfer),
        case(a_source_that_ends_early_truncates_the_stream),
        case(a_descriptor_of_the_wrong_direction_is_refused),
        case(a_refused_receive_ends_the_send),
        case(transfers_run_at_the_same_time),
        case(nothing_is_leaked).needs(Need::RealModule),
    ]
}

fn source(world: &World) -> SnapshotName {
    let dataset = volume::filled(world, "source", SIZE);
    volume::snapshot(world.zfs(), &dataset, "one")
}

fn send(world: &World, snapshot: &SnapshotName) -> SendStream {
    world.zfs().send(snapshot, &SendOptions::full()).expect("a send")
}

fn copy(world: &World) -> SnapshotName {
    world.root().child("copy").and_then(|copy| copy.snapshot("one")).expect("a name")
}

/// Sends into one descriptor while another, its other end, is received from.
fn through(world: &World, write_end: impl Into<OwnedFd>, read_end: impl Into<OwnedFd>) {
    let snapshot = source(world);
    let receive = world.zfs().receive(&copy(world), &ReceiveOptions::new()).expect("a receive");
    let receiving = receive.read_from_fd(read_end).expect("a transfer");
    let sending = send(world, &snapshot).write_to_fd(write_end).expect("a transfer");
    let sent = sending.wait().expect("sent");
    let received = receiving.wait().expect("received");
    assert_eq!(sent.bytes, received.bytes);
    volume::assert_same(world.zfs(), &snapshot.dataset(), &copy(world).dataset());
}

/// Sends into a file, and receives it.
fn through_file(world: &World, file: File) {
    let path = world.scratch().join("stream");
    let snapshot = source(world);
    let sent = send(world, &snapshot).write_to_fd(file).expect("a transfer").wait().expect("sent");
    assert_eq!(std::fs::metadata(&path).expect("a file").len(), sent.bytes.get());
    let receive = world.zfs().receive(&copy(world), &ReceiveOptions::new()).expect("a receive");
    let file = File::open(&path).expect("opened");
    let received = receive.read_from_fd(file).expect("a transfer").wait().expect("received");
    assert_eq!(sent.bytes, received.bytes);
    volume::assert_same(world.zfs(), &snapshot.dataset(), &copy(world).dataset());
}

fn a_stream_goes_through_a_file(world: &World) {
    through_file(world, File::create(world.scratch().join("stream")).expect("created"));
}

/// Which splice(2) refuses.
fn a_stream_goes_through_a_file_opened_for_appending(world: &World) {
    let path = world.scratch().join("stream");
    through_file(world, File::options().create(true).append(true).open(path).expect("created"));
}

fn a_stream_goes_through_a_pipe(world: &World) {
    let (read_end, write_end) = nix::unistd::pipe().expect("a pipe");
    through(world, write_end, read_end);
}

fn a_stream_goes_through_unix_sockets(world: &World) {
    let (one, other) = UnixStream::pair().expect("sockets");
    through(world, one, other);
}

fn a_stream_goes_through_tcp(world: &World) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let one = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    let (other, _) = listener.accept().expect("accepted");
    through(world, one, other);
}

/// Which the kernel refuses to write to since Linux 5.10.
fn a_stream_goes_to_the_null_device(world: &World) {
    let null = File::options().write(true).open("/dev/null").expect("opened");
    let snapshot = source(world);
    let sent = send(world, &snapshot).write_to_fd(null).expect("a transfer").wait().expect("sent");
    assert!(sent.bytes > SIZE);
}

fn a_stream_goes_through_readers_and_writers(world: &World) {
    let snapshot = source(world);
    // That take and give less than they are asked.
    struct Slices<T>(T);
    impl<T: Write> Write for Slices<T> {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.write(&data[..data.len().min(10_000)])
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    impl<T: Read> Read for Slices<T> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(7000);
            self.0.read(&mut buffer[..length])
        }
    }
    let (one, other) = UnixStream::pair().expect("sockets");
    let receive = world.zfs().receive(&copy(world), &ReceiveOptions::new()).expect("a receive");
    let receiving = receive.read_from(Slices(other)).expect("a transfer");
    let sending = send(world, &snapshot).write_to(Slices(one)).expect("a transfer");
    let sent = sending.wait().expect("sent");
    assert_eq!(receiving.wait().expect("received").bytes, sent.bytes);
    volume::assert_same(world.zfs(), &snapshot.dataset(), &copy(world).dataset());
}

fn progress_grows_and_ends_at_the_length(world: &World) {
    let snapshot = source(world);
    let receive = world.zfs().receive(&copy(world), &ReceiveOptions::new()).expect("a receive");
    let transfer = send(world, &snapshot).receive_into(receive).expect("a transfer");
    let mut last = transfer.progress();
    while !transfer.wait_for(Duration::from_millis(1)) {
        let now = transfer.progress();
        assert!(now.bytes >= last.bytes, "{now:?} after {last:?}");
        last = now;
    }
    let last = transfer.progress();
    assert!(last.finished);
    assert_eq!(transfer.wait().expect("received").bytes, last.bytes);
}

/// Waits until nothing moves any more.
fn stalled<T>(transfer: &Transfer<T>) -> Bytes {
    let mut last = transfer.progress().bytes;
    loop {
        thread::sleep(Duration::from_millis(300));
        let now = transfer.progress().bytes;
        if now == last && now > Bytes::ZERO {
            return now;
        }
        last = now;
    }
}

/// Waits for the end of a transfer, which must come soon, and says how it went.
fn soon<T: std::fmt::Debug>(transfer: Transfer<T>) -> Error {
    let start = Instant::now();
    assert!(transfer.wait_for(SOON), "it hangs");
    let error = transfer.wait().expect_err("it cannot have been done");
    assert!(start.elapsed() < SOON);
    error
}

fn cancelling_ends_a_send_whose_reader_stalls(world: &World) {
    let snapshot = source(world);
    let (pipe_end, pipe) = nix::unistd::pipe().expect("a pipe");
    let (socket, socket_end) = UnixStream::pair().expect("sockets");
    for fd in [pipe, OwnedFd::from(socket)] {
        let transfer = send(world, &snapshot).write_to_fd(fd).expect("a transfer");
        assert!(stalled(&transfer) < SIZE);
        transfer.cancel();
        let error = soon(transfer);
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(error.to_string(), format!("cannot send '{snapshot}': it was cancelled"));
    }
    drop((pipe_end, socket_end));
    // The kernel's part is over too.
    world.zfs().destroy_snapshots(&[snapshot], zfsvol_core::zfs::Destroy::Now).expect("not in use");
}

fn cancelling_ends_a_read_that_waits(world: &World) {
    let snapshot = source(world);
    let mut stream = send(world, &snapshot);
    let handle = stream.cancel_handle();
    let canceller = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        handle.cancel();
    });
    // The reader is slower than the stream is long.
    let mut buffer = [0; 4096];
    let error = loop {
        match stream.read(&mut buffer) {
            Ok(0) => panic!("the end of a stream that was cancelled"),
            Ok(_) => thread::sleep(Duration::from_millis(1)),
            Err(error) => break error,
        }
    };
    canceller.join().expect("cancelled");
    let inside = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    assert_eq!(inside.map(Error::kind), Some(ErrorKind::Cancelled));
    let again = stream.read(&mut buffer).expect_err("it stays cancelled");
    assert_eq!(again.to_string(), error.to_string());
}

fn cancelling_ends_a_receive_whose_source_stalls(world: &World) {
    let snapshot = source(world);
    let mut bytes = Vec::new();
    send(world, &snapshot).read_to_end(&mut bytes).expect("all of it");
    for length in [0, 100, 400, bytes.len() / 2] {
        let (mut feed, source) = UnixStream::pair().expect("sockets");
        let receive = world.zfs().receive(&copy(world), &ReceiveOptions::new()).expect("a receive");
        let transfer = receive.read_from_fd(source).expect("a transfer");
        feed.write_all(&bytes[..length]).expect("written");
        thread::sleep(Duration::from_millis(100));
        transfer.cancel();
        let error = soon(transfer);
        assert_eq!(error.kind(), ErrorKind::Cancelled, "after {length} bytes: {error}");
        assert!(!world.zfs().exists(&copy(world).dataset()).expect("it can be asked"));
    }
}

fn dropping_ends_a_transfer(world: &World) {
    let snapshot = source(world);
    let (_open, write_end) = nix::unistd::pipe().expect("a pipe");
    let transfer = send(world, &snapshot).write_to_fd(write_end).expect("a transfer");
    stalled(&transfer);
    let start = Instant::now();
    drop(transfer);
    drop(send(world, &snapshot));
    let mut receive = world.zfs().receive(&copy(world), &ReceiveOptions::new()).expect("a receive");
    let mut some = vec![0; 1 << 20];
    send(world, &snapshot).read_exact(&mut some).expect("a part");
    receive.write_all(&some).expect("taken");
    drop(receive);
    assert!(start.elapsed() < SOON);
    while world.zfs().exists(&copy(world).dataset()).expect("it can be asked") {
        assert!(start.elapsed() < SOON, "what had come is still there");
        thread::sleep(Duration::from_millis(10));
    }
}

fn a_reader_that_closes_early_is_disconnected(world: &World) {
    let snapshot = source(world);
    let (pipe_end, pipe) = nix::unistd::pipe().expect("a pipe");
    let (socket_end, socket) = UnixStream::pair().expect("sockets");
    for (end, fd) in [(pipe_end, pipe), (socket_end.into(), socket.into())] {
        let transfer = send(world, &snapshot).write_to_fd(fd).expect("a transfer");
        let mut some = [0; 4096];
        File::from(end).read_exact(&mut some).expect("a part");
        let error = soon(transfer);
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        assert_eq!(
            error.to_string(),
            format!("cannot write the stream of '{snapshot}': the other end is closed (EPIPE)")
        );
    }
}

fn a_writer_that_fails_is_the_source_of_the_error(world: &World) {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("no more tape"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let snapshot = source(world);
    let error = soon(send(world, &snapshot).write_to(Full).expect("a transfer"));
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.to_string(), format!("cannot write the stream of '{snapshot}': no more tape"));
    let source = std::error::Error::source(&error).expect("what the writer said");
    assert_eq!(source.to_string(), "no more tape");
}

fn a_reader_that_fails_is_the_source_of_the_error(world: &World) {
    struct Torn<T>(T);
    impl<T: Read> Read for Torn<T> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("the tape is torn")),
                bytes => Ok(bytes),
            }
        }
    }
    let snapshot = source(world);
    let receive = world.zfs().receive(&copy(world), &ReceiveOptions::new()).expect("a receive");
    let part = send(world, &snapshot).take(1 << 20);
    let error = soon(receive.read_from(Torn(part)).expect("a transfer"));
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(
        error.to_string(),
        format!("cannot read the stream for '{}': the tape is torn", copy(world))
    );
    assert!(!world.zfs().exists(&copy(world).dataset()).expect("it can be asked"));
}

fn a_writer_that_panics_ends_the_transfer(world: &World) {
    struct Panics;
    impl Write for Panics {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("the writer's own")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let snapshot = source(world);
    let error = soon(send(world, &snapshot).write_to(Panics).expect("a transfer"));
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("the writer's own"), "{error}");
}

fn a_source_that_ends_early_truncates_the_stream(world: &World) {
    let snapshot = source(world);
    let receive = world.zfs().receive(&copy(world), &ReceiveOptions::new()).expect("a receive");
    let (feed, from) = UnixStream::pair().expect("sockets");
    let transfer = receive.read_from_fd(from).expect("a transfer");
    let mut part = send(world, &snapshot).take(3 << 20);
    io::copy(&mut part, &mut &feed).expect("written");
    drop(feed);
    assert_eq!(soon(transfer).kind(), ErrorKind::StreamTruncated);
}

fn a_descriptor_of_the_wrong_direction_is_refused(world: &World) {
    let snapshot = source(world);
    let path = world.scratch().join("file");
    std::fs::write(&path, "").expect("created");
    let error = soon(
        send(world, &snapshot).write_to_fd(File::open(&path).expect("opened")).expect("a transfer"),
    );
    assert_eq!(
        error.to_string(),
        format!(
            "cannot write the stream of '{snapshot}': the file descriptor cannot be used for it (EBADF)"
        )
    );
}

fn a_refused_receive_ends_the_send(world: &World) {
    let snapshot = source(world);
    volume::empty(world, "copy", SIZE);
    let receive = world.zfs().receive(&copy(world), &ReceiveOptions::new()).expect("a receive");
    let error = soon(send(world, &snapshot).receive_into(receive).expect("a transfer"));
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
}

fn transfers_run_at_the_same_time(world: &World) {
    const TRANSFERS: usize = 8;
    let zfs = world.zfs();
    let snapshot = source(world);
    let target = |index: usize| -> DatasetName {
        world.root().child(&format!("copy{index}")).expect("a name")
    };
    let transfers: Vec<_> = (0..TRANSFERS)
        .map(|index| {
            let to = target(index).snapshot("one").expect("a name");
            let receive = zfs.receive(&to, &ReceiveOptions::new()).expect("a receive");
            send(world, &snapshot).receive_into(receive).expect("a transfer")
        })
        .collect();
    let bytes: Vec<Bytes> =
        transfers.into_iter().map(|transfer| transfer.wait().expect("received").bytes).collect();
    assert!(bytes.iter().all(|length| *length == bytes[0]), "{bytes:?}");
    volume::assert_same(zfs, &snapshot.dataset(), &target(TRANSFERS - 1));
}

/// How many descriptors and threads this process has.
fn belongings() -> (usize, usize) {
    let count = |path| std::fs::read_dir(path).expect("a list").count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

fn nothing_is_leaked(world: &World) {
    let zfs = world.zfs();
    let snapshot = source(world);
    let before = belongings();
    for round in 0..10 {
        let (_open, write_end) = nix::unistd::pipe().expect("a pipe");
        let stalled = send(world, &snapshot).write_to_fd(write_end).expect("a transfer");
        let (early, write_end) = nix::unistd::pipe().expect("a pipe");
        drop(early);
        let disconnected = send(world, &snapshot).write_to_fd(write_end).expect("a transfer");
        let receive = zfs.receive(&copy(world), &ReceiveOptions::new()).expect("a receive");
        let (_feed, from) = UnixStream::pair().expect("sockets");
        let waiting = receive.read_from_fd(from).expect("a transfer");
        drop(send(world, &snapshot));
        zfs.send(&copy(world), &SendOptions::full()).expect_err("it does not exist");
        let unfinished = zfs.receive(&copy(world), &ReceiveOptions::new()).expect("a receive");
        if round % 2 == 0 {
            stalled.cancel();
            drop(stalled.wait());
            waiting.cancel();
            drop(waiting.wait());
        }
        drop(disconnected.wait());
        drop(unfinished);
    }
    // A thread that was joined is in the list for a moment.
    let start = Instant::now();
    while belongings() != before && start.elapsed() < SOON {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(belongings(), before, "descriptors and threads");
    let none = PropertySet::new();
    zfs.snapshot(&[snapshot.dataset().snapshot("two").expect("a name")], &none)
        .expect("not in use");
}
