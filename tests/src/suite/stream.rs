//! Streams that were made or changed without a kernel, received by one: what it has then is what it should be.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zfsvol_core::name::DatasetName;
use zfsvol_core::nvlist::ByteOrder;
use zfsvol_core::property::PropertySet;
use zfsvol_core::stream::{
    Begin, BeginFlags, Compression, End, FileImage, FileKind, FileTree, Free, HeaderType, Object,
    ObjectType, Package, Record, STREAM_MAGIC, SendFlags, StreamFeatures, StreamName, StreamReader,
    StreamWriter, Write, ZvolImage, cut, decompress, drop_record, join, recompress, split,
    verify_bytes,
};
use zfsvol_core::zfs::{MountOptions, ReceiveOptions, SendOptions};
use zfsvol_core::{Bytes, Guid};

use crate::expect::{receive_all, send_all};
use crate::{Case, Need, World, case, command, expect, volume};

const SIZE: Bytes = Bytes::from_mib(2);

/// The blocks of the zvols here.
const BLOCK_BYTES: usize = 16 << 10;

/// The value of the property `compression`, and what blocks of it have for a number.
const COMPRESSIONS: [(&str, Compression); 6] = [
    ("lz4", Compression::LZ4),
    ("zstd", Compression::ZSTD),
    ("gzip-1", Compression::GZIP_1),
    ("gzip-9", Compression::GZIP_9),
    ("zle", Compression::ZLE),
    ("lzjb", Compression::LZJB),
];

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(what_is_recompressed_is_received_as_it_was),
        case(what_is_decompressed_is_received_as_it_was),
        case(files_are_the_same_once_their_stream_is_recompressed)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(the_files_of_a_stream_are_those_of_the_file_system)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(increments_joined_are_received_as_one_package)
            .needs(Need::RealModule)
            .needs(Need::Commands),
        case(a_package_split_is_received_stream_by_stream)
            .needs(Need::RealModule)
            .needs(Need::Commands),
        case(the_rest_of_a_stream_finishes_an_interrupted_receive),
        case(a_dropped_record_leaves_a_hole),
        case(a_stream_of_the_other_byte_order_is_received),
        case(a_stream_made_of_nothing_is_a_volume),
        case(a_disk_rebuilt_without_a_kernel_is_the_volume),
    ]
}

/// A zvol with noise, text and zeros in it.
fn source(world: &World, name: &str, compression: &str) -> DatasetName {
    let properties = PropertySet::new()
        .with("compression", compression)
        .and_then(|set| set.with("volblocksize", BLOCK_BYTES.to_string()))
        .expect("properties");
    let zvol = world.root().child(name).expect("a name");
    world.zfs().create_zvol(&zvol, SIZE, &properties).expect("a zvol");
    volume::write(world.zfs(), &zvol, 0, &volume::noise(1, 300_032));
    volume::write(world.zfs(), &zvol, 1 << 19, &text(1, 700_416));
    zvol
}

/// What every compression makes shorter: lines that differ, with runs of zeros.
fn text(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 200);
    let mut number = seed;
    while bytes.len() < length {
        bytes.extend(format!("line {number} of the text that is to be made shorter").bytes());
        bytes.extend([0; 70]);
        number += 1;
    }
    bytes.truncate(length);
    bytes
}

/// Verifies and receives it as the snapshot `s` of a new dataset.
fn received(world: &World, name: &str, bytes: &[u8]) -> DatasetName {
    let summary = verify_bytes(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    let dataset = world.root().child(name).expect("a name");
    let to = dataset.snapshot("s").expect("a name");
    let received = receive_all(world, &to, &ReceiveOptions::new(), bytes)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(received.begin.to_guid, summary.first.expect("a stream").to_guid);
    dataset
}

fn what_is_recompressed_is_received_as_it_was(world: &World) {
    let zvol = source(world, "source", "off");
    let plain = send_all(world, &volume::snapshot(world.zfs(), &zvol, "s"), &SendOptions::full());
    for (name, compression) in COMPRESSIONS {
        let packed = recompress(&mut StreamReader::from_bytes(&plain), Vec::new(), compression)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(packed.len() * 10 < plain.len() * 9, "{name}: {} of {}", packed.len(), plain.len());
        let copy = received(world, name, &packed);
        volume::assert_same(world.zfs(), &zvol, &copy);
    }
}

fn what_is_decompressed_is_received_as_it_was(world: &World) {
    for (name, compression) in COMPRESSIONS {
        let zvol = source(world, &format!("{name}-source"), name);
        let snapshot = volume::snapshot(world.zfs(), &zvol, "s");
        let packed = send_all(world, &snapshot, &SendOptions::full().flags(SendFlags::COMPRESS));
        let mut reader = StreamReader::from_bytes(&packed);
        let mut blocks = 0;
        while let Some(frame) = reader.next_frame().expect("a stream") {
            if let Record::Write(write) = frame.record {
                blocks += u32::from(write.compression == compression);
            }
        }
        assert!(blocks > 10, "{name}: only {blocks} blocks are compressed");
        let plain = decompress(&mut StreamReader::from_bytes(&packed), Vec::new())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(plain.len() > packed.len(), "{name}");
        let copy = received(world, &format!("{name}-copy"), &plain);
        volume::assert_same(world.zfs(), &zvol, &copy);
    }
}

/// Mounts a file system below the case's folder.
fn mounted(world: &World, dataset: &DatasetName) -> PathBuf {
    let path = world.scratch().join("mnt").join(dataset.as_str().replace('/', "-"));
    let mountpoint = PropertySet::new().with("mountpoint", path.to_str().expect("a path"));
    world.zfs().set_properties(dataset, &mountpoint.expect("a property")).expect("set");
    world.zfs().mount(dataset, &MountOptions::default()).expect("mounted");
    path
}

fn files_are_the_same_once_their_stream_is_recompressed(world: &World) {
    let files = expect::file_system(world, "files");
    let lz4 = PropertySet::new().with("compression", "lz4").expect("a property");
    world.zfs().set_properties(&files, &lz4).expect("set");
    let folder = mounted(world, &files);
    fs::create_dir(folder.join("folder")).expect("a folder");
    let contents = [
        ("small", text(1, 90)),
        ("folder/text", text(2, 400_000)),
        ("folder/noise", volume::noise(3, 200_000)),
        ("folder/empty", Vec::new()),
    ];
    for (name, content) in &contents {
        fs::write(folder.join(name), content).expect("written");
    }
    for number in 0..300 {
        fs::write(folder.join(format!("folder/one of many {number}")), "x").expect("written");
    }
    let snapshot = volume::snapshot(world.zfs(), &files, "s");
    // Embedded blocks stay as they are, whatever becomes of the others.
    let stream = send_all(
        world,
        &snapshot,
        &SendOptions::full().flags(SendFlags::COMPRESS | SendFlags::EMBED),
    );
    for (name, compression) in [("zstd", Compression::ZSTD), ("off", Compression::OFF)] {
        let changed = recompress(&mut StreamReader::from_bytes(&stream), Vec::new(), compression)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let copy = mounted(world, &received(world, name, &changed));
        for (file, content) in &contents {
            assert!(fs::read(copy.join(file)).expect("read") == *content, "{name}: {file}");
        }
        let many = fs::read_dir(copy.join("folder")).expect("a folder").count();
        assert_eq!(many, 303, "{name}");
    }
}

/// `path mode size` of everything below a folder, as the kernel says it.
fn listed(folder: &Path, below: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let metadata = fs::symlink_metadata(&path).expect("metadata");
        let name = path.strip_prefix(below).expect("below").display().to_string();
        let (mode, size) = (metadata.mode(), metadata.size());
        let (uid, links, time) = (metadata.uid(), metadata.nlink(), metadata.mtime());
        lines.push(format!("{name} {mode:o} {size} {uid} {links} {time}"));
        if metadata.is_dir() {
            listed(&path, below, lines);
        }
    }
}

/// The same, as the streams say it.
fn told(tree: &FileTree) -> Vec<String> {
    let mut lines = Vec::new();
    let told = tree.walk(|file| {
        let kind = match file.kind {
            FileKind::File => 0o100_000,
            FileKind::Directory => 0o040_000,
            FileKind::Link => 0o120_000,
            FileKind::Pipe => 0o010_000,
            other => panic!("{}: {other:?}", file.path.display()),
        };
        let (name, mode, size) = (file.path.display(), file.mode | kind, file.size);
        let (uid, links, time) = (file.uid, file.links, file.modified);
        lines.push(format!("{name} {mode:o} {size} {uid} {links} {time}"));
    });
    told.expect("listed");
    lines.sort();
    lines
}

fn the_files_of_a_stream_are_those_of_the_file_system(world: &World) {
    let files = expect::file_system(world, "files");
    let lz4 = PropertySet::new().with("compression", "lz4").expect("a property");
    world.zfs().set_properties(&files, &lz4).expect("set");
    let folder = mounted(world, &files);
    // Names of more than 49 bytes, and many of them: directories that are no longer one block.
    let long = "a name that is longer than what fits into a small table of names";
    fs::create_dir_all(folder.join("a/b").join(long)).expect("folders");
    for number in 0..600 {
        fs::write(folder.join(format!("a/{long} {number}")), [7; 600]).expect("written");
        fs::write(folder.join(format!("a/b/{number}")), "").expect("written");
    }
    fs::write(folder.join("data"), volume::noise(3, 300_000)).expect("written");
    std::os::unix::fs::symlink("a/b", folder.join("link")).expect("a link");
    fs::hard_link(folder.join("data"), folder.join("a/again")).expect("a name");
    let mode = fs::Permissions::from_mode(0o4751);
    fs::set_permissions(folder.join("data"), mode).expect("set");
    let mut tree = FileTree::new();
    let mut streams = Vec::new();
    let mut base = None;
    let flags = SendFlags::COMPRESS | SendFlags::EMBED | SendFlags::LARGE_BLOCK;
    for (step, name) in ["one", "two"].into_iter().enumerate() {
        if step == 1 {
            fs::remove_dir_all(folder.join("a/b")).expect("removed");
            fs::rename(folder.join("a"), folder.join("c")).expect("renamed");
            (0..500).for_each(|number| {
                fs::remove_file(folder.join(format!("c/{long} {number}"))).expect("removed");
            });
            let data = fs::File::options().write(true).open(folder.join("data")).expect("open");
            data.set_len(200_000).expect("cut");
        }
        let mut expected = Vec::new();
        listed(&folder, &folder, &mut expected);
        expected.sort();
        let snapshot = volume::snapshot(world.zfs(), &files, name);
        let options = base.map_or_else(SendOptions::full, SendOptions::since).flags(flags);
        let stream = send_all(world, &snapshot, &options);
        base = Some(snapshot);
        tree.apply(&mut StreamReader::from_bytes(&stream)).expect("applied");
        assert_eq!(told(&tree), expected, "{name}");
        streams.push(stream);
    }
    let (object, size) = tree.find("data").expect("looked").expect("found");
    let path = world.scratch().join("extracted");
    let file = fs::File::options().read(true).write(true).create_new(true).open(&path);
    let mut image = FileImage::new(file.expect("a file"), object);
    for stream in &streams {
        image.apply(&mut StreamReader::from_bytes(stream)).expect("applied");
    }
    image.finish(size).expect("finished");
    assert!(fs::read(path).expect("read") == fs::read(folder.join("data")).expect("read"));
}

/// Two snapshots of a zvol, and the streams that make them.
fn two_streams(world: &World) -> (DatasetName, [Vec<u8>; 2]) {
    let zfs = world.zfs();
    let zvol = source(world, "source", "lz4");
    let one = volume::snapshot(zfs, &zvol, "one");
    volume::write(zfs, &zvol, 1 << 20, &text(77, 200_704));
    volume::write(zfs, &zvol, 0, &[0; 4 * BLOCK_BYTES]);
    let two = volume::snapshot(zfs, &zvol, "two");
    let full = send_all(world, &one, &SendOptions::full());
    let increment = send_all(world, &two, &SendOptions::since(one));
    (zvol, [full, increment])
}

fn increments_joined_are_received_as_one_package(world: &World) {
    let (zvol, streams) = two_streams(world);
    let begins = streams
        .each_ref()
        .map(|stream| verify_bytes(stream).expect("a sound stream").first.expect("a stream"));
    let package = Package::of_increments(&begins).expect("each continues the one before");
    let name = StreamName::new(&format!("{zvol}@two")).expect("a name");
    let joined =
        join(Some(&package), &name, streams.iter().map(Vec::as_slice), Vec::new()).expect("joined");
    verify_bytes(&joined).expect("a sound package");
    let file = world.scratch().join("package");
    fs::write(&file, joined).expect("written");
    let copy = world.root().child("copy").expect("a name");
    let script = format!("zfs receive {copy} < {}", file.display());
    command::run("sh", &["-c", &script]);
    volume::assert_same(world.zfs(), &zvol, &copy);
    let names = command::zfs(&["list", "-H", "-o", "name", "-t", "snapshot", "-r", copy.as_str()]);
    assert_eq!(names, format!("{copy}@one\n{copy}@two"));
}

fn a_package_split_is_received_stream_by_stream(world: &World) {
    let zfs = world.zfs();
    let tree = expect::file_system(world, "tree");
    let (zvol, _) = two_streams(world);
    let inside = tree.child("disk").expect("a name");
    zfs.rename(&zvol, &inside).expect("renamed");
    for name in ["one", "two"] {
        volume::snapshot(zfs, &tree, name);
    }
    let file = world.scratch().join("package");
    let script = format!("zfs send -R {tree}@two > {}", file.display());
    command::run("sh", &["-c", &script]);
    let stream = fs::read(&file).expect("read");
    let mut parts = Vec::new();
    let package = split(&mut StreamReader::from_bytes(&stream), |begin| {
        let path = world.scratch().join(format!("part-{}", parts.len()));
        parts.push((begin.to_name.to_string(), path.clone()));
        fs::File::create(path)
    });
    let package = package.expect("taken apart").expect("a package that says what is in it");
    let names: Vec<_> = package.datasets.iter().map(|dataset| dataset.name.as_str()).collect();
    assert_eq!(names, [tree.as_str(), inside.as_str()]);
    assert_eq!(parts.len(), 4, "two snapshots of two datasets");
    for (name, path) in parts {
        let name = name.replace(tree.as_str(), &format!("{}/copy", world.root()));
        let bytes = fs::read(path).expect("read");
        let to = name.parse().expect("a snapshot");
        receive_all(world, &to, &ReceiveOptions::new(), &bytes).expect("received");
    }
    let copy = world.root().child("copy").and_then(|copy| copy.child("disk")).expect("a name");
    volume::assert_same(zfs, &inside, &copy);
}

fn the_rest_of_a_stream_finishes_an_interrupted_receive(world: &World) {
    let zfs = world.zfs();
    let (zvol, [full, increment]) = two_streams(world);
    let copy = world.root().child("copy").expect("a name");
    for (name, stream) in [("one", full), ("two", increment)] {
        let to = copy.snapshot(name).expect("a name");
        let resumable = ReceiveOptions::new().resumable();
        receive_all(world, &to, &resumable, &stream[..stream.len() / 2])
            .expect_err("it is cut off");
        let token = zfs.receive_token(&copy).expect("asked").expect("something is kept");
        let token: zfsvol_core::stream::ResumeToken = token.parse().expect("a token");
        assert!((token.object, token.offset) > (1, 0), "{token:?}");
        let rest =
            cut(&mut StreamReader::from_bytes(&stream), Vec::new(), token.object, token.offset);
        let rest = rest.expect("cut");
        let summary = verify_bytes(&rest).expect("a sound stream");
        let features = summary.first.expect("a stream").features();
        assert!(features.contains(StreamFeatures::RESUMING) && rest.len() < stream.len());
        receive_all(world, &to, &resumable, &rest).expect("the rest is received");
        assert_eq!(zfs.receive_token(&copy).expect("asked"), None);
    }
    volume::assert_same(zfs, &zvol, &copy);
}

fn a_dropped_record_leaves_a_hole(world: &World) {
    let zvol = source(world, "source", "off");
    let stream = send_all(world, &volume::snapshot(world.zfs(), &zvol, "s"), &SendOptions::full());
    let at = 5 * BLOCK_BYTES;
    let mut changed = Vec::new();
    let dropped = drop_record(&mut StreamReader::from_bytes(&stream), &mut changed, 1, at as u64);
    assert_eq!(dropped.expect("dropped"), 1);
    let copy = received(world, "copy", &changed);
    let mut expected = volume::content(world.zfs(), &zvol);
    assert!(expected[at..at + BLOCK_BYTES].iter().any(|byte| *byte != 0));
    expected[at..at + BLOCK_BYTES].fill(0);
    assert!(volume::content(world.zfs(), &copy) == expected, "one block is gone, and no other");
}

/// The stream of a zvol as a machine of the other byte order would send it. The blocks of a zvol have no byte order; the ZAP that says its
/// size has. OpenZFS 2.3 `module/zfs/zap.c`, `mzap_byteswap`.
fn swapped(stream: &[u8]) -> Vec<u8> {
    let mut reader = StreamReader::from_bytes(stream);
    let mut writer = StreamWriter::with_byte_order(Vec::new(), ByteOrder::Big);
    while let Some(frame) = reader.next_frame().expect("a stream") {
        let mut payload = frame.payload.to_vec();
        if matches!(frame.record, Record::Write(write) if write.object == 2) {
            let (head, entries) = payload.split_at_mut(64);
            [0..8, 8..16, 16..24].into_iter().for_each(|field| head[field].reverse());
            for entry in entries.chunks_exact_mut(64) {
                entry[..8].reverse();
                entry[8..12].reverse();
            }
        }
        writer.write(frame.record, &payload).expect("written");
    }
    writer.finish().expect("an end")
}

fn a_stream_of_the_other_byte_order_is_received(world: &World) {
    let zfs = world.zfs();
    let (zvol, streams) = two_streams(world);
    let copy = world.root().child("copy").expect("a name");
    for (name, stream) in ["one", "two"].into_iter().zip(&streams) {
        let stream = swapped(stream);
        assert!(verify_bytes(&stream).expect("a sound stream").big_endian);
        let to = copy.snapshot(name).expect("a name");
        let received = receive_all(world, &to, &ReceiveOptions::new(), &stream).expect("received");
        assert_eq!(received.begin.byte_order, ByteOrder::Big);
    }
    volume::assert_same(zfs, &zvol, &copy);
}

/// The ZAP of one block that says the size of a zvol. OpenZFS 2.3 `include/sys/zap_impl.h`, `mzap_phys_t`.
fn size_zap(size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..8].copy_from_slice(&((1_u64 << 63) + 3).to_le_bytes());
    block[8..16].copy_from_slice(&0x1234_5679_u64.to_le_bytes());
    block[64..72].copy_from_slice(&size.to_le_bytes());
    block[78..82].copy_from_slice(b"size");
    block
}

fn a_stream_made_of_nothing_is_a_volume(world: &World) {
    let size = 16 * BLOCK_BYTES as u64;
    let to_guid = Guid::new(0x5eed_5eed_5eed);
    let object = |object, object_type, block_bytes| {
        let slots = 1;
        Record::Object(Object {
            object,
            object_type,
            block_bytes,
            slots,
            to_guid,
            ..Object::default()
        })
    };
    let write = |object, object_type, offset, logical_bytes| {
        Record::Write(Write {
            object,
            object_type,
            offset,
            logical_bytes,
            to_guid,
            ..Write::default()
        })
    };
    let mut begin = Begin {
        magic: STREAM_MAGIC,
        creation_time: 1_700_000_000,
        objset_type: 3,
        flags: BeginFlags::FREE_RECORDS,
        to_guid,
        to_name: StreamName::new("nowhere/disk@s").expect("a name"),
        ..Begin::default()
    };
    begin.set_version(HeaderType::Substream, StreamFeatures::empty());
    let (disk, properties) = (ObjectType::ZVOL, ObjectType::ZVOL_PROPERTIES);
    let (one, other) = (volume::noise(7, BLOCK_BYTES), volume::noise(8, BLOCK_BYTES));
    let block_bytes = BLOCK_BYTES as u64;
    let tail = Free { object: 1, offset: size, length: u64::MAX, to_guid };
    let mut writer = StreamWriter::with_byte_order(Vec::new(), ByteOrder::Little);
    for (record, payload) in [
        (Record::Begin(begin), &[][..]),
        (object(1, disk, 16 << 10), &[]),
        (Record::Free(tail), &[]),
        (write(1, disk, block_bytes, block_bytes), &one),
        (write(1, disk, size - block_bytes, block_bytes), &other),
        (object(2, properties, 512), &[]),
        (write(2, properties, 0, 512), &size_zap(size)),
        (Record::End(End { to_guid, ..End::default() }), &[]),
    ] {
        writer.write(&record, payload).expect("written");
    }
    let copy = received(world, "copy", &writer.finish().expect("an end"));
    let content = volume::content(world.zfs(), &copy);
    let mut expected = vec![0; content.len()];
    assert_eq!(content.len() as u64, size);
    expected[BLOCK_BYTES..2 * BLOCK_BYTES].copy_from_slice(&one);
    expected[15 * BLOCK_BYTES..].copy_from_slice(&other);
    assert!(content == expected);
}

fn a_disk_rebuilt_without_a_kernel_is_the_volume(world: &World) {
    let zfs = world.zfs();
    let zvol = source(world, "source", "lz4");
    let one = volume::snapshot(zfs, &zvol, "one");
    volume::write(zfs, &zvol, 1 << 20, &text(77, 200_704));
    volume::write(zfs, &zvol, 0, &[0; 4 * BLOCK_BYTES]);
    let smaller = PropertySet::new().with("volsize", "1572864").expect("a property");
    zfs.set_properties(&zvol, &smaller).expect("set");
    let two = volume::snapshot(zfs, &zvol, "two");
    let all = SendFlags::COMPRESS | SendFlags::EMBED | SendFlags::LARGE_BLOCK;
    for flags in [SendFlags::empty(), SendFlags::COMPRESS, all] {
        let path = world.scratch().join("disk");
        let disk =
            fs::File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let mut image = ZvolImage::new(disk.expect("a file"));
        let full = send_all(world, &one, &SendOptions::full().flags(flags));
        let increment = send_all(world, &two, &SendOptions::since(one.clone()).flags(flags));
        for stream in [full, increment] {
            image.apply(&mut StreamReader::from_bytes(&stream)).expect("rebuilt");
        }
        drop(image.into_disk());
        let rebuilt = fs::read(&path).expect("read");
        assert!(rebuilt == volume::content(zfs, &zvol), "{flags:?}: {} bytes", rebuilt.len());
    }
}
