//! Streams of real OpenZFS, damaged streams, random streams.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::*;
use crate::nvlist::ByteOrder;

mod by_name;
mod content;
mod damage;
mod files;
mod fixtures;
mod package;
mod random;
mod transform;

/// The streams that OpenZFS sent, `tests/fixtures/stream`, by release and kind.
fn fixture_paths() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/stream");
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|path| fs::read_dir(path).unwrap());
    let mut paths: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "zfs"))
        // It has no end, and so is no whole stream.
        .filter(|path| path.file_stem().is_some_and(|name| name != "saved"))
        .collect();
    paths.sort();
    assert!(paths.len() > 30, "the fixtures are there");
    paths
}

fn fixture(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/stream");
    fs::read(root.join(name).with_extension("zfs")).unwrap()
}

/// The same stream from a machine of the other byte order; payloads stay, because what they are is not known here.
fn swapped(stream: &[u8]) -> Vec<u8> {
    let mut reader = StreamReader::from_bytes(stream);
    let mut writer = StreamWriter::new(Vec::new());
    while let Some(frame) = reader.next_frame().unwrap() {
        let header = frame.header.swapped();
        writer.copy(&Frame { header: &header, ..frame }).unwrap();
    }
    writer.finish().unwrap()
}

/// Hands out what it has in pieces of a few bytes.
struct Dribble<'a>(&'a [u8], usize);

impl io::Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 % 701 + 13;
        let length = self.1.min(self.0.len()).min(buffer.len());
        buffer[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}
