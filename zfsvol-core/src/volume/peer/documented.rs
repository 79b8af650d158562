//! Whether `docs/peer-protocol.md` says what the code does: its tables, and its example byte for byte.

use std::fmt::Write;
use std::time::Duration;

use uuid::Uuid;

use super::frame::{self, Frame, FrameKind, PREFACE};
use super::message::{self, Credit, Hello, Request};
use super::session;
use super::{Incoming, VolumeId, failure};
use crate::error::{Error, ErrorKind};
use crate::property::PropertySet;
use crate::units::Guid;

const PAGE: &str = include_str!("../../../../docs/peer-protocol.md");

const CLIENT: Uuid = Uuid::from_u128(0xa);
const SERVER: Uuid = Uuid::from_u128(0xb);

/// The cells of every row of every table.
fn rows() -> Vec<Vec<&'static str>> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn the_page_lists_every_frame() {
    for kind in FrameKind::ALL {
        let (number, name) = (kind.number().to_string(), kind.to_string());
        let most = kind.body_bytes_max().to_string();
        let of = if kind.is_of_connection() { "connection" } else { "request" };
        let found = rows().into_iter().any(|row| {
            matches!(row.as_slice(), [a, b, _, c, d, _] if (*a, *b, *c, *d) == (&number, &name, of, &most))
        });
        assert!(found, "| {number} | {name} | .. | {of} | {most} | .. | is missing");
    }
    let frames = rows().into_iter().filter(|row| row.len() == 6 && row[0].parse::<u16>().is_ok());
    assert_eq!(frames.count(), FrameKind::ALL.len());
}

#[test]
fn the_page_lists_every_limit() {
    let source = include_str!("frame.rs");
    let names: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
        .filter(|name| *name != "VERSIONS")
        .collect();
    let values: [(&str, u64); 19] = [
        ("PREFACE", PREFACE.len() as u64),
        ("HEADER_BYTES", frame::HEADER_BYTES as u64),
        ("HELLO_BYTES_MAX", frame::HELLO_BYTES_MAX as u64),
        ("REQUEST_BYTES_MAX", frame::REQUEST_BYTES_MAX as u64),
        ("ANSWER_BYTES_MAX", frame::ANSWER_BYTES_MAX as u64),
        ("FAILED_BYTES_MAX", frame::FAILED_BYTES_MAX as u64),
        ("SMALL_BYTES_MAX", frame::SMALL_BYTES_MAX as u64),
        ("DATA_BYTES_MAX", frame::DATA_BYTES_MAX as u64),
        ("DATA_BYTES_MIN", frame::DATA_BYTES_MIN as u64),
        ("WINDOW_BYTES_MAX", frame::WINDOW_BYTES_MAX),
        ("DEPTH_MAX", frame::DEPTH_MAX as u64),
        ("PAIRS_MAX", frame::PAIRS_MAX as u64),
        ("PROPERTIES_MAX", frame::PROPERTIES_MAX as u64),
        ("OTHERS_MAX", frame::OTHERS_MAX as u64),
        ("FAILURES_MAX", frame::FAILURES_MAX as u64),
        ("TEXT_BYTES_MAX", frame::TEXT_BYTES_MAX as u64),
        ("NAMES_MAX", frame::NAMES_MAX as u64),
        ("SILENCE_MS_MIN", frame::SILENCE_MS_MIN),
        ("SILENCE_MS_MAX", frame::SILENCE_MS_MAX),
    ];
    assert_eq!(names, values.map(|(name, _)| name), "a constant of `frame.rs` is not in this test");
    for (name, value) in values {
        let (name, value) = (format!("`{name}`"), value.to_string());
        let found = rows()
            .into_iter()
            .any(|row| row.first() == Some(&&*name) && row.get(1) == Some(&&*value));
        assert!(found, "| {name} | {value} | .. | is missing");
    }
}

#[test]
fn the_page_says_what_numbers_errors_have() {
    let numbers = [
        ErrorKind::InvalidName,
        ErrorKind::InvalidProperty,
        ErrorKind::NotOwner,
        ErrorKind::NotPermitted,
        ErrorKind::TooLarge,
        ErrorKind::Unsupported,
        ErrorKind::Disconnected,
        ErrorKind::Cancelled,
        ErrorKind::TimedOut,
        ErrorKind::Protocol,
    ];
    let table = PAGE.split("when it comes from the protocol itself").nth(1).unwrap();
    for kind in numbers {
        assert!(table.contains(&format!("\n| {} |", kind.number())), "{kind:?}");
    }
}

/// The bytes of a block, without what explains them.
fn block(name: &str) -> Vec<u8> {
    let start = format!("```hex {name}\n");
    let rest = PAGE.split_once(&start).unwrap_or_else(|| panic!("no block '{name}'")).1;
    let text = rest.split("```").next().unwrap();
    let digits = text.lines().flat_map(|line| line.split(';').next().unwrap().split_whitespace());
    digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
}

/// As the page shows them.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(16) {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let letters: String = line
            .iter()
            .map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' })
            .collect();
        writeln!(text, "{:<48}; {letters}", digits.join(" ")).unwrap();
    }
    text
}

#[cfg(target_endian = "little")]
#[test]
fn the_example_is_what_is_sent() {
    let hello = |node| {
        let hello =
            Hello { software: "example 1".to_owned(), ..Hello::new(node, Duration::from_secs(30)) };
        let frame = Frame::with_list(FrameKind::Hello, 0, &hello.encode()).unwrap();
        [PREFACE.to_vec(), frame.encode()].concat()
    };
    let volume = VolumeId { id: Uuid::from_u128(1), name: "shop:db".parse().unwrap() };
    let request = |number, request: &Request| {
        Frame::with_list(request.kind(), number, &request.encode()).unwrap().encode()
    };
    let list = |kind, list| Frame::with_list(kind, 2, &list).unwrap().encode();
    let incoming = Incoming {
        volume: volume.clone(),
        snapshot: "s".to_owned(),
        guid: Guid::new(0x0123_4567_89ab_cdef),
        owner: CLIENT,
        epoch: 1,
        properties: PropertySet::new().with("compression", "lz4").unwrap(),
        back_to: None,
        others: Vec::new(),
        ticket: None,
    };
    let error = Error::new(ErrorKind::StreamDamaged, "receive the volume", "it is no stream")
        .with_target("shop:db");
    let frames = [
        ("client-hello", hello(CLIENT)),
        ("server-hello", hello(SERVER)),
        ("look", request(1, &Request::Look(volume))),
        ("answer", Frame::empty(FrameKind::Answer, 1).encode()),
        ("receive", request(2, &Request::Receive(incoming))),
        ("credit", list(FrameKind::Credit, Credit { taken: 0, limit: 65_536 }.encode())),
        ("data", Frame { kind: FrameKind::Data, request: 2, body: b"abc".to_vec() }.encode()),
        ("end", list(FrameKind::End, message::encode_end(3))),
        ("failed", failure::frame(FrameKind::Failed, 2, &error).encode()),
        ("bye", session::bye(None).encode()),
    ];
    let wrong = frames.iter().filter(|(name, bytes)| block(name) != *bytes);
    let wrong: String = wrong
        .map(|(name, bytes)| format!("the block '{name}' should be\n{}", shown(bytes)))
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
}
