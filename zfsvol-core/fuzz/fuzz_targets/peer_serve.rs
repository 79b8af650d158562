//! Arbitrary bytes from a peer: every frame is answered or ends the connection with an error, and nothing hangs, whatever it asks for.
//!
//! Bytes that begin with 0 are taken as they are. Others are the bodies of frames whose heads are right, each with its kind, a request number and two bytes of
//! length before it, after a hello: what is behind the checks of the head is reached, too.

#![no_main]

use std::io::{self, Cursor, Write};
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use zfsvol_core::embedded::Embedded;
use zfsvol_core::nvlist::{Encoding, NvList};
use zfsvol_core::volume::peer::{AllowAll, ServeOptions, Transport};
use zfsvol_core::volume::{Node, Uuid};
use zfsvol_core::{Bytes, Zfs};

static NODE: LazyLock<Node> = LazyLock::new(|| {
    let kernel = Embedded::builder().pool("tank", Bytes::from_mib(64)).build();
    let root = "tank/volumes".parse().expect("a name");
    Node::open(Zfs::new(kernel), root, Uuid::from_u128(1)).expect("a node")
});

fuzz_target!(|bytes: &[u8]| {
    let Some((form, rest)) = bytes.split_first() else { return };
    let said = if *form == 0 { rest.to_vec() } else { framed(rest) };
    let options = ServeOptions::new().silence(Duration::from_secs(5));
    let transport = Transport::new(Cursor::new(said), Nowhere);
    if let Err(error) = NODE.serve(transport, &AllowAll, &options) {
        assert!(!error.to_string().is_empty());
    }
    NODE.list().expect("it goes on");
});

struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A preface and a hello, and then frames: each takes a byte for its kind, one for how far its request number is from the last, and two for the length of its body.
fn framed(mut bytes: &[u8]) -> Vec<u8> {
    const KINDS: [u16; 13] = [1, 2, 3, 16, 17, 18, 19, 20, 21, 32, 33, 34, 48];
    let mut said = b"zfsvolp\n".to_vec();
    said.extend(frame(1, 0, &hello()));
    let mut request = 1_u32;
    while let [kind, step, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (body, after) = rest.split_at(length);
        request = request.wrapping_add(u32::from(*step) % 3);
        let kind = KINDS[usize::from(*kind) % KINDS.len()];
        said.extend(frame(kind, if kind < 16 { 0 } else { request }, body));
        bytes = after;
    }
    said
}

fn frame(kind: u16, request: u32, body: &[u8]) -> Vec<u8> {
    let mut frame = kind.to_be_bytes().to_vec();
    frame.extend([0, 0]);
    frame.extend(request.to_be_bytes());
    frame.extend((body.len() as u32).to_be_bytes());
    frame.extend(body);
    frame
}

/// As `docs/peer-protocol.md` has it.
fn hello() -> Vec<u8> {
    let mut list = NvList::new();
    list.insert("version_min", 1_u64);
    list.insert("version_max", 1_u64);
    list.insert("node", "00000000-0000-0000-0000-000000000002");
    list.insert("software", "fuzz");
    list.insert("silence_ms", 5000_u64);
    list.insert("data_bytes_max", 4096_u64);
    list.encode(Encoding::Xdr).expect("it can be packed")
}
