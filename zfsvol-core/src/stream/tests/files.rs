//! What files the streams of a file system hold: those that `tests/fixtures/stream/send` made.

use std::io::{Read as _, Seek as _};

use super::*;

/// `kind size path`, and where a link points.
fn list(tree: &FileTree) -> Vec<String> {
    let mut lines = Vec::new();
    tree.walk(|file| {
        let target = file.target.map(|target| format!(" -> {}", target.display()));
        let (kind, size, path) = (file.kind, file.size, file.path.display());
        lines.push(format!("{kind} {size} {path}{}", target.unwrap_or_default()));
    })
    .unwrap();
    lines
}

fn apply(tree: &mut FileTree, name: &str) {
    let stream = fixture(name);
    tree.apply(&mut StreamReader::from_bytes(&stream)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(tree.guid(), verify_bytes(&stream).unwrap().first.map(|begin| begin.to_guid));
}

fn data(object: (u64, u64), streams: &[String]) -> Vec<u8> {
    let (object, size) = object;
    let mut image = FileImage::new(tempfile::tempfile().unwrap(), object);
    for stream in streams {
        image.apply(&mut StreamReader::from_bytes(&fixture(stream))).unwrap();
    }
    let mut file = image.finish(size).unwrap();
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn text(length: usize) -> Vec<u8> {
    let mut text = b"some text that is the same in every line\n".repeat(length / 20);
    text.truncate(length);
    text
}

#[test]
fn the_files_of_a_stream_are_those_that_were_sent() {
    for release in ["2.1", "2.3", "2.4"] {
        let mut tree = FileTree::new();
        apply(&mut tree, &format!("{release}/full"));
        let expected =
            ["d 2 folder", "l 4 link -> text", "- 3000 noise", "- 409600 sparse", "- 5000 text"];
        assert_eq!(list(&tree), expected, "{release}");
        let full = [format!("{release}/full")];
        let text_file = tree.find("text").unwrap().unwrap();
        assert!(data(text_file, &full) == text(5000));
        let sparse = data(tree.find("/sparse").unwrap().unwrap(), &full);
        let mut expected = vec![0; 400 << 10];
        expected[300_000..300_003].copy_from_slice(b"end");
        assert!(sparse == expected);

        apply(&mut tree, &format!("{release}/incremental"));
        let expected = [
            "d 3 folder",
            "- 9000 folder/new",
            "l 4 link -> text",
            "- 140000 sparse",
            "- 700 text",
        ];
        assert_eq!(list(&tree), expected, "{release}");
        let both = [full[0].clone(), format!("{release}/incremental")];
        assert!(data(tree.find("text").unwrap().unwrap(), &both) == text(700));
        assert!(data(tree.find("sparse").unwrap().unwrap(), &both) == vec![0; 140_000]);
        assert_eq!(tree.find("noise").unwrap(), None);
        assert_eq!(tree.find("folder/new/none").unwrap(), None);
    }
}

#[test]
fn files_with_attributes_and_compressed_tables_are_listed() {
    for (name, expected) in [
        ("attributes", vec!["- 100 file", "d 2 folders"]),
        ("dnodes", vec!["- 100 1", "- 100 2", "- 100 3"]),
        ("embedded_compressed", vec!["- 800 file"]),
        ("compressed_gzip", vec!["- 70900 file"]),
        ("huge", vec!["- 2500000 file"]),
    ] {
        for release in ["2.1", "2.3", "2.4"] {
            let lz4 = name != "compressed_gzip" && name != "attributes" && name != "dnodes";
            if lz4 && !cfg!(feature = "compression") {
                continue;
            }
            let mut tree = FileTree::new();
            let stream = fixture(&format!("{release}/{name}"));
            match tree.apply(&mut StreamReader::from_bytes(&stream)) {
                Ok(()) => assert_eq!(list(&tree), expected, "{release}/{name}"),
                // Tables are compressed by lz4, whatever files are.
                Err(error) if cfg!(feature = "compression") => panic!("{name}: {error}"),
                Err(_) => {}
            }
        }
    }
}

#[test]
fn what_holds_no_files_is_told() {
    assert_eq!(FileTree::new().walk(|_| {}), Err(FileTreeError::Missing("root directory")));
    for name in ["2.3/volume", "2.3/raw", "2.3/redacted", "2.3/resumed"] {
        let stream = fixture(name);
        let error = FileTree::new().apply(&mut StreamReader::from_bytes(&stream)).unwrap_err();
        assert!(matches!(error.problem(), Problem::Unsupported(_)), "{name}: {error}");
    }
    let stream = fixture("2.3/incremental");
    let error = FileTree::new().apply(&mut StreamReader::from_bytes(&stream)).unwrap_err();
    assert!(matches!(error.problem(), Problem::Guid { .. }), "{error}");
    let mut tree = FileTree::with_limit(crate::Bytes::new(2000));
    let stream = fixture("2.3/full");
    let error = tree.apply(&mut StreamReader::from_bytes(&stream)).unwrap_err();
    assert!(error.to_string().ends_with("there are more files than the tree may keep"), "{error}");
}

/// Directories that are in themselves, and names that lead out: whoever makes a stream can make those too.
#[test]
fn a_tree_that_lies_ends() {
    let stream = fixture("2.3/full");
    let changed = |change: &dyn Fn(&mut [u8])| {
        let mut reader = StreamReader::from_bytes(&stream);
        let mut writer = StreamWriter::new(Vec::new());
        while let Some(frame) = reader.next_frame().unwrap() {
            let mut payload = frame.payload.to_vec();
            if matches!(frame.record, Record::Write(w) if w.object_type == ObjectType::DIRECTORY) {
                payload.chunks_exact_mut(64).skip(1).for_each(change);
            }
            writer.replace(&frame, frame.record, &payload).unwrap();
        }
        let mut tree = FileTree::new();
        tree.apply(&mut StreamReader::from_bytes(&writer.finish().unwrap())).unwrap();
        tree
    };
    let root = changed(&|_| {}).root().unwrap();
    let round = changed(&|entry| {
        if entry[14..].starts_with(b"folder\0") {
            entry[..6].copy_from_slice(&root.to_le_bytes()[..6]);
        }
    });
    assert_eq!(list(&round)[0], "d 7 folder");
    assert_eq!(list(&round).len(), 5);
    let out = changed(&|entry| {
        if entry[14..].starts_with(b"noise\0") {
            entry[14..20].copy_from_slice(b"../x\0\0");
        }
    });
    let error = out.walk(|_| {}).unwrap_err().to_string();
    assert!(error.ends_with("'../x', has a name that no file can have"), "{error}");
    let gone = changed(&|entry| {
        if entry[14..].starts_with(b"noise\0") {
            entry[..6].fill(0x77);
        }
    });
    assert!(gone.walk(|_| {}).unwrap_err().to_string().ends_with("'noise', is not there"));
}
