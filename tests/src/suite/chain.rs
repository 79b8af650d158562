//! Chains of machines: streams from the kernel under test to one in this process and back, and from there to the kernel under test.
//!
//! On real OpenZFS these are the proof that a kernel in the process takes and makes genuine streams.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use zfsvol_core::embedded::{Embedded, Release};
use zfsvol_core::name::EntityName;
use zfsvol_core::property::PropertySet;
use zfsvol_core::stream::{ObjectType, Record, ResumeToken, SendFlags, StreamReader};
use zfsvol_core::zfs::{
    Account, Create, Key, KeyChange, MountOptions, Owner, OwnerKind, Quota, ReceiveOptions,
    SendOptions,
};
use zfsvol_core::{Bytes, DatasetName, ErrorKind, SnapshotName, Zfs};

use crate::{Case, Need, World, case, command, volume};

const SIZE: Bytes = Bytes::from_mib(4);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_volume_made_in_process_is_received_as_it_is),
        case(a_volume_goes_there_and_back),
        case(a_clone_and_an_increment_from_a_bookmark_go_there_and_back),
        case(an_interrupted_stream_is_resumed_in_either_direction),
        case(a_redacted_stream_made_in_process_is_received),
        case(the_same_writes_make_the_same_stream),
        case(a_file_system_made_in_process_is_received_and_used)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(a_file_system_goes_there_and_back).needs(Need::RealModule).needs(Need::Root),
        case(quotas_of_owners_go_there_and_back),
        case(quotas_of_more_owners_than_fit_into_a_block_are_read_where_they_come),
        case(an_encrypted_volume_goes_there_and_back_as_it_is),
        case(an_encrypted_volume_made_in_process_is_opened_and_written_here_and_comes_back),
        case(an_encrypted_volume_is_opened_and_written_in_process_and_comes_back),
        case(an_encrypted_volume_goes_from_a_bookmark_and_is_resumed_as_it_is),
        case(an_encrypted_clone_and_changed_keys_go_there_as_they_are),
        case(an_encrypted_file_system_is_opened_where_it_comes)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(the_zfs_command_reads_the_token_of_a_kernel_in_process).needs(Need::Commands),
    ]
}

/// A kernel in this process that is like the one under test, with a pool `other`.
fn other(world: &World) -> Zfs {
    let release = match world.release() {
        (2, 1 | 2) => Release::V2_1,
        (2, 3) => Release::V2_3,
        _ => Release::V2_4,
    };
    Zfs::new(Embedded::builder().release(release).pool("other", Bytes::from_gib(64)).build())
}

fn there(name: &str) -> DatasetName {
    format!("other/{name}").parse().expect("a name")
}

fn here(world: &World, name: &str) -> DatasetName {
    world.root().child(name).expect("a name")
}

fn at(dataset: &DatasetName, snapshot: &str) -> SnapshotName {
    dataset.snapshot(snapshot).expect("a name")
}

fn set(pairs: &[(&str, &str)]) -> PropertySet {
    pairs
        .iter()
        .fold(PropertySet::new(), |set, (name, value)| set.with(name, *value).expect("a property"))
}

/// Sends from one kernel and receives with the other.
fn transfer(
    from: &Zfs,
    snapshot: &SnapshotName,
    options: &SendOptions,
    to_kernel: &Zfs,
    to: &SnapshotName,
) {
    let receive = to_kernel.receive(to, &ReceiveOptions::new()).expect("a receive");
    let transfer = from.send(snapshot, options).expect("a send").receive_into(receive);
    transfer.expect("a transfer").wait().unwrap_or_else(|error| panic!("{snapshot}: {error}"));
}

/// The whole stream.
fn stream(zfs: &Zfs, snapshot: &SnapshotName, options: &SendOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    zfs.send(snapshot, options).expect("a send").read_to_end(&mut bytes).expect("a stream");
    bytes
}

#[track_caller]
fn assert_same((zfs, one): (&Zfs, &DatasetName), (other, copy): (&Zfs, &DatasetName)) {
    let (left, right) = (volume::content(zfs, one), volume::content(other, copy));
    assert!(left == right, "'{one}' and '{copy}' hold the same");
}

/// Text that compresses, noise that does not, and something so small that it fits into its block pointer; the rest are holes.
fn fill(zfs: &Zfs, zvol: &DatasetName, seed: u64) {
    let text = b"some text that is the same in every line\n".repeat(9000);
    volume::write(zfs, zvol, 0, &text);
    volume::write(zfs, zvol, 1 << 20, &volume::noise(seed, 600_000));
    volume::write(zfs, zvol, 3 << 20, &[7; 40]);
}

/// Flags, and properties of the volume they matter for.
fn kinds() -> Vec<(&'static str, SendFlags, PropertySet)> {
    let packed = SendFlags::COMPRESS | SendFlags::EMBED | SendFlags::LARGE_BLOCK;
    vec![
        ("plain", SendFlags::empty(), set(&[("compression", "off")])),
        ("lz4", packed, set(&[("compression", "lz4"), ("volblocksize", "64K")])),
        ("zstd", packed, set(&[("compression", "zstd"), ("volblocksize", "16K")])),
        ("gzip", SendFlags::COMPRESS, set(&[("compression", "gzip"), ("volblocksize", "8K")])),
        ("unpacked", SendFlags::empty(), set(&[("compression", "lz4"), ("volblocksize", "4K")])),
    ]
}

fn a_volume_made_in_process_is_received_as_it_is(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    for (name, flags, properties) in kinds() {
        let (source, copy) = (there(name), here(world, name));
        other.create_zvol(&source, SIZE, &properties).expect("a zvol");
        fill(&other, &source, 1);
        let one = volume::snapshot(&other, &source, "one");
        transfer(&other, &one, &SendOptions::full().flags(flags), zfs, &at(&copy, "one"));
        assert_same((&other, &source), (zfs, &copy));
        volume::write(&other, &source, 512 << 10, &volume::noise(2, 900_000));
        volume::write(&other, &source, 3 << 20, &[0; 65536]);
        let two = volume::snapshot(&other, &source, "two");
        let increment = SendOptions::since(one).flags(flags);
        transfer(&other, &two, &increment, zfs, &at(&copy, "two"));
        assert_same((&other, &source), (zfs, &copy));
    }
}

fn a_volume_goes_there_and_back(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    for (name, flags, properties) in kinds() {
        let (source, middle) = (here(world, name), there(name));
        let back = here(world, &format!("{name}-back"));
        zfs.create_zvol(&source, SIZE, &properties).expect("a zvol");
        fill(zfs, &source, 1);
        let one = volume::snapshot(zfs, &source, "one");
        volume::write(zfs, &source, 512 << 10, &volume::noise(2, 900_000));
        volume::write(zfs, &source, 3 << 20, &[0; 65536]);
        let two = volume::snapshot(zfs, &source, "two");
        let full = SendOptions::full().flags(flags);
        transfer(zfs, &one, &full, &other, &at(&middle, "one"));
        transfer(zfs, &two, &SendOptions::since(one).flags(flags), &other, &at(&middle, "two"));
        assert_same((zfs, &source), (&other, &middle));
        transfer(&other, &at(&middle, "one"), &full, zfs, &at(&back, "one"));
        let increment = SendOptions::since(at(&middle, "one")).flags(flags);
        transfer(&other, &at(&middle, "two"), &increment, zfs, &at(&back, "two"));
        assert_same((zfs, &source), (zfs, &back));
    }
}

fn a_clone_and_an_increment_from_a_bookmark_go_there_and_back(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    let source = volume::empty(world, "source", SIZE);
    fill(zfs, &source, 1);
    let one = volume::snapshot(zfs, &source, "one");
    transfer(zfs, &one, &SendOptions::full(), &other, &at(&there("v"), "one"));
    // A clone there, which comes back as a clone of what it was made of.
    let clone = there("clone");
    other.create_clone(&clone, &at(&there("v"), "one"), &PropertySet::new()).expect("a clone");
    volume::write(&other, &clone, 0, &volume::noise(5, 300_000));
    let changed = volume::snapshot(&other, &clone, "changed");
    let since = SendOptions::since(at(&there("v"), "one"));
    let mut receive = zfs
        .receive(&at(&here(world, "clone"), "changed"), &ReceiveOptions::new().origin(one.clone()))
        .expect("a receive");
    receive.write_all(&stream(&other, &changed, &since)).expect("taken");
    receive.finish().expect("received");
    assert_same((&other, &clone), (zfs, &here(world, "clone")));
    // An increment from a bookmark there.
    let mark = there("v").bookmark("one").expect("a name");
    other
        .bookmark(&[(mark.clone(), EntityName::from(at(&there("v"), "one")))])
        .expect("bookmarked");
    volume::write(&other, &there("v"), 2 << 20, &volume::noise(6, 500_000));
    let two = volume::snapshot(&other, &there("v"), "two");
    transfer(&other, &two, &SendOptions::since(mark), zfs, &at(&source, "two"));
    assert_same((&other, &there("v")), (zfs, &source));
}

/// Receives the beginning of a stream; answers the token of what is missing.
fn interrupt(zfs: &Zfs, to: &SnapshotName, part: &[u8]) -> ResumeToken {
    let options = ReceiveOptions::new().resumable();
    let mut receive = zfs.receive(to, &options).expect("a receive");
    receive.write_all(part).expect("taken");
    let error = receive.finish().expect_err("it ended too early");
    assert_eq!(error.kind(), ErrorKind::StreamTruncated, "{error}");
    let token = zfs.receive_token(&to.dataset()).expect("looked").expect("a token");
    token.parse().expect("a token that can be read")
}

fn resume(from: &Zfs, token: &ResumeToken, to_kernel: &Zfs, to: &SnapshotName) {
    let rest = from.send_resume(token, None).expect("the rest");
    let receive = to_kernel.receive(to, &ReceiveOptions::new().resumable()).expect("a receive");
    rest.receive_into(receive).expect("a transfer").wait().expect("received");
}

fn an_interrupted_stream_is_resumed_in_either_direction(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    let full = stream(zfs, &one, &SendOptions::full());
    let to = at(&there("copy"), "one");
    let token = interrupt(&other, &to, &full[..full.len() / 2]);
    assert!(token.bytes.get() > 1 << 20, "{token:?}");
    resume(zfs, &token, &other, &to);
    assert_same((zfs, &source), (&other, &there("copy")));
    // And back, in another place.
    let full = stream(&other, &to, &SendOptions::full());
    let back = at(&here(world, "back"), "one");
    let token = interrupt(zfs, &back, &full[..full.len() / 3]);
    resume(&other, &token, zfs, &back);
    assert_same((zfs, &source), (zfs, &here(world, "back")));
}

fn a_redacted_stream_made_in_process_is_received(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    let (source, clone) = (there("source"), there("public"));
    other.create_zvol(&source, SIZE, &PropertySet::new()).expect("a zvol");
    fill(&other, &source, 1);
    let one = volume::snapshot(&other, &source, "one");
    other.create_clone(&clone, &one, &PropertySet::new()).expect("a clone");
    volume::write(&other, &clone, 1 << 20, &vec![0; 600_000]);
    let public = volume::snapshot(&other, &clone, "public");
    let mark = source.bookmark("public").expect("a name");
    other.redact(&one, &mark, &[public]).expect("a redaction bookmark");
    let copy = here(world, "copy");
    let options = SendOptions::full().redacted_by(mark.clone());
    let redacted = stream(&other, &one, &options);
    assert!(redacted.len() < stream(&other, &one, &SendOptions::full()).len() - 500_000);
    transfer(&other, &one, &options, zfs, &at(&copy, "one"));
    // What was left out comes with an increment from the redaction bookmark.
    volume::write(&other, &source, 0, &volume::noise(8, 70_000));
    let two = volume::snapshot(&other, &source, "two");
    transfer(&other, &two, &SendOptions::since(mark), zfs, &at(&copy, "two"));
    // OpenZFS makes no device for what was redacted when it came, so it is looked at from the other side.
    let again = there("again");
    transfer(zfs, &at(&copy, "two"), &SendOptions::full(), &other, &at(&again, "two"));
    assert_same((&other, &source), (&other, &again));
}

/// What a stream says, but for what is another number each time: GUIDs, checksums, and the salt of the block with the size.
fn records(stream: &[u8]) -> Vec<String> {
    let mut reader = StreamReader::from_bytes(stream);
    let mut said = Vec::new();
    while let Some(frame) = reader.next_frame().expect("it is sound") {
        let text = match frame.record {
            Record::Begin(begin) => format!("BEGIN {:?} {:?}", begin.features(), begin.flags),
            Record::End(_) => "END".to_owned(),
            Record::Write(write) => {
                let data = if write.object == 1 { frame.payload } else { &[] };
                let (offset, length) = (write.offset, write.logical_bytes);
                let sum = data
                    .iter()
                    .fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
                let packed = write.compression;
                format!("WRITE {} {offset} {length} {packed} {sum:x}", write.object)
            }
            other => other.to_string(),
        };
        said.push(text);
    }
    said
}

fn the_same_writes_make_the_same_stream(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    let kinds = [
        ("off", set(&[("compression", "off"), ("volblocksize", "8K")])),
        ("gzip", set(&[("compression", "gzip-9"), ("volblocksize", "64K")])),
        ("large", set(&[("compression", "off"), ("volblocksize", "4K")])),
    ];
    for (name, properties) in kinds {
        // Large enough for two levels of indirect blocks, where blocks are small.
        let size = Bytes::from_mib(if name == "large" { 64 } else { 4 });
        let both = [(zfs, here(world, name)), (&other, there(name))];
        let streams = both.map(|(kernel, zvol)| {
            kernel.create_zvol(&zvol, size, &properties).expect("a zvol");
            fill(kernel, &zvol, 1);
            let one = volume::snapshot(kernel, &zvol, "one");
            volume::write(kernel, &zvol, (2 << 20) + 4096, &volume::noise(3, 40_960));
            volume::write(kernel, &zvol, 1 << 20, &[0; 65536]);
            volume::write(kernel, &zvol, size.get() - 65536, &volume::noise(4, 65536));
            let two = volume::snapshot(kernel, &zvol, "two");
            let full = stream(kernel, &two, &SendOptions::full());
            let increment = stream(kernel, &two, &SendOptions::since(one));
            let properties = kernel.properties(&two).expect("properties");
            let logical = properties.number("logicalreferenced").expect("a number");
            (records(&full), records(&increment), logical)
        });
        let [theirs, ours] = streams;
        // How well indirect blocks compress is reckoned; there are none to be compressed.
        let (logical, differs) = (theirs.2, theirs.2.abs_diff(ours.2));
        assert!(differs < logical / 50 + (16 << 10), "{name}: {logical} and {}", ours.2);
        assert_eq!(theirs.0, ours.0, "{name}, full");
        assert_eq!(theirs.1, ours.1, "{name}, increment");
    }
}

fn mounted(world: &World, dataset: &DatasetName) -> PathBuf {
    let path = world.scratch().join("mnt").join(dataset.as_str().replace('/', "-"));
    let path_text = path.to_str().expect("text");
    world.zfs().set_properties(dataset, &set(&[("mountpoint", path_text)])).expect("set");
    world.zfs().mount(dataset, &MountOptions::default()).expect("mounted");
    path
}

/// Everything below a folder: paths, kinds, lengths and contents.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder_now) = open.pop() {
        for entry in fs::read_dir(&folder_now).expect("a folder") {
            let path = entry.expect("an entry").path();
            let kind = fs::symlink_metadata(&path).expect("it is there");
            let name = path.strip_prefix(folder).expect("below it").display().to_string();
            if kind.is_dir() {
                found.push(format!("{name}/"));
                open.push(path);
            } else if kind.is_symlink() {
                found.push(format!("{name} -> {}", fs::read_link(&path).expect("read").display()));
            } else {
                let sum = fs::read(&path)
                    .expect("read")
                    .iter()
                    .fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
                found.push(format!("{name} {} {sum:x}", kind.len()));
            }
        }
    }
    found.sort();
    found
}

fn a_file_system_made_in_process_is_received_and_used(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    let source = there("files");
    other.create_filesystem(&source, &PropertySet::new()).expect("a file system");
    let one = volume::snapshot(&other, &source, "one");
    let copy = here(world, "files");
    transfer(&other, &one, &SendOptions::full(), zfs, &at(&copy, "one"));
    let folder = mounted(world, &copy);
    assert!(tree(&folder).is_empty(), "it is empty");
    fs::create_dir(folder.join("folder")).expect("a folder");
    for number in 0..200 {
        fs::write(folder.join(format!("folder/{number}")), volume::noise(number, 3000))
            .expect("written");
    }
    symlink("folder/7", folder.join("link")).expect("a link");
    let before = tree(&folder);
    let two = volume::snapshot(zfs, &copy, "two");
    // Back to where it was made, and out again to another place.
    transfer(zfs, &two, &SendOptions::since(at(&copy, "one")), &other, &at(&source, "two"));
    let again = here(world, "again");
    transfer(&other, &at(&source, "two"), &SendOptions::full(), zfs, &at(&again, "two"));
    assert_eq!(tree(&mounted(world, &again)), before);
}

fn a_file_system_goes_there_and_back(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    let flags = SendFlags::COMPRESS | SendFlags::EMBED | SendFlags::LARGE_BLOCK;
    let source = here(world, "files");
    let properties = set(&[("compression", "lz4"), ("recordsize", "1M"), ("xattr", "sa")]);
    zfs.create_filesystem(&source, &properties).expect("a file system");
    let folder = mounted(world, &source);
    fs::create_dir_all(folder.join("a/b")).expect("folders");
    fs::write(folder.join("a/large"), b"line of text\n".repeat(150_000)).expect("written");
    fs::write(folder.join("a/noise"), volume::noise(1, 1_200_000)).expect("written");
    fs::write(folder.join("a/b/small"), "small").expect("written");
    let sparse = fs::File::create(folder.join("sparse")).expect("a file");
    sparse.set_len(4_000_000).expect("made longer");
    for number in 0..700 {
        fs::write(folder.join(format!("a/b/{number}")), [b'x'; 100]).expect("written");
    }
    symlink("a/b", folder.join("link")).expect("a link");
    let one = volume::snapshot(zfs, &source, "one");
    let first = tree(&folder);
    // Deleted, truncated, overwritten, renamed, replaced by a folder.
    for number in 0..500 {
        fs::remove_file(folder.join(format!("a/b/{number}"))).expect("removed");
    }
    let large = fs::File::options().write(true).open(folder.join("a/large")).expect("a file");
    large.set_len(700_000).expect("cut");
    fs::rename(folder.join("a/noise"), folder.join("noise")).expect("renamed");
    fs::remove_file(folder.join("link")).expect("removed");
    fs::create_dir(folder.join("link")).expect("a folder");
    fs::write(folder.join("link/in"), volume::noise(3, 5000)).expect("written");
    let two = volume::snapshot(zfs, &source, "two");
    let second = tree(&folder);

    let middle = there("files");
    let back = here(world, "back");
    let full = SendOptions::full().flags(flags);
    transfer(zfs, &one, &full, &other, &at(&middle, "one"));
    transfer(zfs, &two, &SendOptions::since(one).flags(flags), &other, &at(&middle, "two"));
    transfer(&other, &at(&middle, "one"), &full, zfs, &at(&back, "one"));
    let path = mounted(world, &back);
    assert_eq!(tree(&path), first);
    let unmounted = zfs.unmount(&back, zfsvol_core::kernel::UnmountFlags::empty());
    unmounted.expect("unmounted");
    let increment = SendOptions::since(at(&middle, "one")).flags(flags);
    let options = ReceiveOptions::new().force();
    let receive = zfs.receive(&at(&back, "two"), &options).expect("a receive");
    let sent = other.send(&at(&middle, "two"), &increment).expect("a send");
    sent.receive_into(receive).expect("a transfer").wait().expect("received");
    zfs.mount(&back, &MountOptions::default()).expect("mounted");
    assert_eq!(tree(&path), second);
}

/// The objects of a stream in which the quotas of owners are (`DMU_OT_USERGROUP_QUOTA`), and where it writes to them.
fn quota_objects(stream: &[u8]) -> Vec<String> {
    let mut reader = StreamReader::from_bytes(stream);
    let mut found = Vec::new();
    while let Some(frame) = reader.next_frame().expect("a stream") {
        match frame.record {
            Record::Object(object) if object.object_type == ObjectType(40) => {
                found.push(frame.record.to_string());
            }
            Record::Write(write) if write.object_type == ObjectType(40) => {
                found.push(format!("{} {} {}", write.object, write.offset, write.logical_bytes));
            }
            _ => {}
        }
    }
    found
}

fn quotas_of_owners_go_there_and_back(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    let closed = set(&[("canmount", "off")]);
    let (theirs, ours) = (here(world, "fs"), there("fs"));
    let mut streams = Vec::new();
    for (kernel, fs) in [(zfs, &theirs), (&other, &ours)] {
        kernel.create_filesystem(fs, &closed).expect("a file system");
        let set = |quotas: &[Quota]| kernel.set_quotas(fs, quotas).expect("set");
        set(&[Quota::space(Owner::User(1000), Bytes::from_mib(5))]);
        let one = volume::snapshot(kernel, fs, "one");
        // One that is no quota makes an object all the same.
        set(&[Quota::objects(Owner::Group(20), 0)]);
        let many: Vec<Quota> = (0..40).map(|id| Quota::objects(Owner::User(id), 7)).collect();
        set(&many);
        let two = volume::snapshot(kernel, fs, "two");
        set(&[Quota::space(Owner::User(1000), Bytes::ZERO)]);
        let three = volume::snapshot(kernel, fs, "three");
        let sent = [
            stream(kernel, &one, &SendOptions::full()),
            stream(kernel, &two, &SendOptions::since(one)),
            stream(kernel, &three, &SendOptions::since(two)),
            stream(kernel, &three, &SendOptions::full()),
        ];
        streams.push(sent.map(|sent| quota_objects(&sent)));
    }
    assert_eq!(streams[0], streams[1]);
    assert!(streams[0].iter().all(|objects| !objects.is_empty()), "{streams:?}");

    let far = |name| there("far").snapshot(name).expect("a name");
    let back = |name| here(world, "back").snapshot(name).expect("a name");
    for (from, source, to, copy) in [
        (zfs, &theirs, &other, &far as &dyn Fn(&'static str) -> SnapshotName),
        (&other, &ours, zfs, &back),
    ] {
        let options = ReceiveOptions::new().set(&closed);
        let receive = to.receive(&copy("one"), &options).expect("a receive");
        let sent = from.send(&at(source, "one"), &SendOptions::full()).expect("a send");
        sent.receive_into(receive).expect("a transfer").wait().expect("received");
        let since = |name| SendOptions::since(at(source, name));
        transfer(from, &at(source, "two"), &since("one"), to, &copy("two"));
        let user = to.userspace_of(&copy("one").dataset(), Owner::User(1000)).expect("read");
        assert_eq!(user.quota, Some(Bytes::from_mib(5)));
        transfer(from, &at(source, "three"), &since("two"), to, &copy("three"));
        let of = |id| to.userspace_of(&copy("one").dataset(), Owner::User(id)).expect("read");
        assert_eq!(
            (of(1000).quota, of(0).object_quota, of(39).object_quota),
            (None, Some(7), Some(7))
        );
        // It can be set where it came.
        let quota = Quota::objects(Owner::User(39), 8);
        to.set_quotas(&copy("one").dataset(), &[quota]).expect("set");
        assert_eq!(of(39).object_quota, Some(8));
    }
}

fn quotas_of_more_owners_than_fit_into_a_block_are_read_where_they_come(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    let closed = set(&[("canmount", "off")]);
    let (source, copy) = (there("fs"), here(world, "fs"));
    other.create_filesystem(&source, &closed).expect("a file system");
    let most = |id: u32| u64::from(id) * 3 + 1;
    let quotas: Vec<Quota> =
        (0..2500).map(|id| Quota::objects(Owner::Group(id), most(id))).collect();
    other.set_quotas(&source, &quotas).expect("set");
    let one = volume::snapshot(&other, &source, "one");
    let options = ReceiveOptions::new().set(&closed);
    let receive = zfs.receive(&at(&copy, "one"), &options).expect("a receive");
    let sent = other.send(&one, &SendOptions::full()).expect("a send");
    sent.receive_into(receive).expect("a transfer").wait().expect("received");
    let mut found: Vec<(u32, u64)> = zfs
        .accounts(&copy, OwnerKind::Group, Account::ObjectQuota)
        .map(|entry| entry.map(|entry| (entry.owner.id(), entry.number)))
        .collect::<Result<_, _>>()
        .expect("read");
    found.sort_unstable();
    assert_eq!(found, (0..2500).map(|id| (id, most(id))).collect::<Vec<_>>());
    for id in [0, 1, 77, 2499] {
        let group = zfs.userspace_of(&copy, Owner::Group(id)).expect("read");
        assert_eq!(group.object_quota, Some(most(id)));
    }
    // The module goes on with what it got: more names, and one less.
    let more: Vec<Quota> = (2500..2800).map(|id| Quota::objects(Owner::Group(id), 5)).collect();
    zfs.set_quotas(&copy, &more).expect("set");
    zfs.set_quotas(&copy, &[Quota::objects(Owner::Group(77), 0)]).expect("set");
    let two = volume::snapshot(zfs, &copy, "two");
    transfer(zfs, &two, &SendOptions::since(at(&copy, "one")), &other, &at(&source, "two"));
    let of = |id| other.userspace_of(&source, Owner::Group(id)).expect("read").object_quota;
    assert_eq!((of(77), of(78), of(2799)), (None, Some(most(78)), Some(5)));
}

fn an_encrypted_volume_goes_there_and_back_as_it_is(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    let (source, key) = (here(world, "secret"), Key::raw([9; 32]));
    let create = Create::zvol(SIZE).key(key.clone());
    zfs.create(&source, &create).expect("an encrypted zvol");
    fill(zfs, &source, 1);
    let one = volume::snapshot(zfs, &source, "one");
    volume::write(zfs, &source, 2 << 20, &volume::noise(4, 700_000));
    let two = volume::snapshot(zfs, &source, "two");
    let raw = SendOptions::full().flags(SendFlags::RAW);
    let (middle, back) = (there("secret"), here(world, "back"));
    transfer(zfs, &one, &raw, &other, &at(&middle, "one"));
    let increment = SendOptions::since(one).flags(SendFlags::RAW);
    transfer(zfs, &two, &increment, &other, &at(&middle, "two"));
    let error = other.send(&at(&middle, "one"), &SendOptions::full()).expect_err("no key");
    assert_eq!(error.kind(), ErrorKind::KeyNotLoaded, "{error}");
    transfer(&other, &at(&middle, "one"), &raw, zfs, &at(&back, "one"));
    let increment = SendOptions::since(at(&middle, "one")).flags(SendFlags::RAW);
    transfer(&other, &at(&middle, "two"), &increment, zfs, &at(&back, "two"));
    zfs.load_key(&back, &key).expect("the same key");
    assert_same((zfs, &source), (zfs, &back));
    // In between it can be read, with that key alone.
    let error = other.load_key(&middle, &Key::raw([8; 32])).expect_err("another key");
    assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}");
    other.load_key(&middle, &key).expect("the same key");
    assert_same((zfs, &source), (&other, &middle));
}

fn raw_since(base: &SnapshotName) -> SendOptions {
    SendOptions::since(base.clone()).flags(SendFlags::RAW)
}

fn raw() -> SendOptions {
    SendOptions::full().flags(SendFlags::RAW)
}

/// How blocks are enciphered, with what kind of key.
fn secrets() -> Vec<(&'static str, &'static str, Key)> {
    vec![
        ("aes-256-gcm", "lz4", Key::raw([9; 32])),
        ("aes-128-gcm", "off", Key::hex(&"a5".repeat(32)).expect("a key")),
        ("aes-192-gcm", "zstd", Key::passphrase("correct horse").expect("a key")),
        ("aes-256-ccm", "gzip", Key::raw([3; 32])),
        ("aes-128-ccm", "off", Key::raw([4; 32])),
        ("aes-192-ccm", "lz4", Key::raw([5; 32])),
    ]
}

fn secret(suite: &str, compression: &str, key: &Key) -> Create {
    let mut properties = set(&[("encryption", suite), ("compression", compression)]);
    if format!("{key:?}") == "Key(passphrase)" {
        // Few rounds: what is tested is not how long they take.
        properties = properties.with("pbkdf2iters", 100_000u64).expect("a property");
    }
    Create::zvol(SIZE).properties(&properties).key(key.clone())
}

/// Sends a volume raw from one kernel to the other, has it opened and written there, and sends what was written back.
fn there_raw_and_back(
    (from, source): (&Zfs, &DatasetName),
    (to, copy): (&Zfs, &DatasetName),
    create: &Create,
    key: &Key,
) {
    from.create(source, create).expect("an encrypted zvol");
    fill(from, source, 1);
    let one = volume::snapshot(from, source, "one");
    transfer(from, &one, &raw(), to, &at(copy, "one"));
    volume::write(from, source, 512 << 10, &volume::noise(2, 900_000));
    volume::write(from, source, 3 << 20, &[0; 65536]);
    let two = volume::snapshot(from, source, "two");
    // Without its key it is sent all the same.
    from.unload_key(source).expect("closed");
    transfer(from, &two, &raw_since(&one), to, &at(copy, "two"));
    let error = to.send(&at(copy, "two"), &SendOptions::full()).expect_err("no key");
    assert_eq!(error.kind(), ErrorKind::KeyNotLoaded, "{error}");
    let error = to.load_key(copy, &Key::raw([8; 32])).expect_err("another key");
    assert!(matches!(error.kind(), ErrorKind::WrongKey | ErrorKind::Invalid), "{error}");
    to.load_key(copy, key).expect("the same key");
    from.load_key(source, key).expect("the same key");
    assert_same((from, source), (to, copy));
    volume::write(to, copy, 1 << 20, &volume::noise(3, 300_000));
    volume::write(to, copy, 100, b"a part of a block");
    let three = volume::snapshot(to, copy, "three");
    to.unload_key(copy).expect("closed");
    transfer(to, &three, &raw_since(&at(copy, "two")), from, &at(source, "three"));
    to.load_key(copy, key).expect("the same key");
    assert_same((from, source), (to, copy));
    // And on from there.
    volume::write(from, source, 2 << 20, &volume::noise(5, 200_000));
    let four = volume::snapshot(from, source, "four");
    transfer(from, &four, &raw_since(&at(source, "three")), to, &at(copy, "four"));
    assert_same((from, source), (to, copy));
}

fn an_encrypted_volume_made_in_process_is_opened_and_written_here_and_comes_back(world: &World) {
    let other = other(world);
    for (suite, compression, key) in secrets() {
        let (source, copy) = (there(suite), here(world, suite));
        let create = secret(suite, compression, &key);
        there_raw_and_back((&other, &source), (world.zfs(), &copy), &create, &key);
    }
}

fn an_encrypted_volume_is_opened_and_written_in_process_and_comes_back(world: &World) {
    let other = other(world);
    for (suite, compression, key) in secrets() {
        let (source, copy) = (here(world, suite), there(suite));
        let create = secret(suite, compression, &key);
        there_raw_and_back((world.zfs(), &source), (&other, &copy), &create, &key);
    }
}

fn an_encrypted_volume_goes_from_a_bookmark_and_is_resumed_as_it_is(world: &World) {
    let (zfs, other, key) = (world.zfs(), other(world), Key::raw([9; 32]));
    let (source, copy, back) = (there("secret"), here(world, "secret"), there("back"));
    other.create(&source, &secret("aes-256-gcm", "lz4", &key)).expect("an encrypted zvol");
    fill(&other, &source, 1);
    let one = volume::snapshot(&other, &source, "one");
    let full = stream(&other, &one, &raw());
    let to = at(&copy, "one");
    let token = interrupt(zfs, &to, &full[..full.len() / 2]);
    resume(&other, &token, zfs, &to);
    // The same snapshot is the same stream each time, and the rest from where it stopped.
    assert!(full == stream(&other, &one, &raw()), "the same bytes");
    let mark = source.bookmark("one").expect("a name");
    other.bookmark(&[(mark.clone(), EntityName::from(one))]).expect("bookmarked");
    volume::write(&other, &source, 2 << 20, &volume::noise(6, 500_000));
    let two = volume::snapshot(&other, &source, "two");
    let since = SendOptions::since(mark).flags(SendFlags::RAW);
    transfer(&other, &two, &since, zfs, &at(&copy, "two"));
    zfs.load_key(&copy, &key).expect("the same key");
    assert_same((&other, &source), (zfs, &copy));
    // And back, in another place.
    let full = stream(zfs, &at(&copy, "two"), &raw());
    let to = at(&back, "two");
    let token = interrupt(&other, &to, &full[..full.len() / 3]);
    resume(zfs, &token, &other, &to);
    other.load_key(&back, &key).expect("the same key");
    assert_same((zfs, &copy), (&other, &back));
    // Not raw it goes with its key, and is plain where it comes.
    let plain = here(world, "plain");
    let flags = SendFlags::COMPRESS | SendFlags::EMBED | SendFlags::LARGE_BLOCK;
    transfer(&other, &two, &SendOptions::full().flags(flags), zfs, &at(&plain, "two"));
    assert_same((&other, &source), (zfs, &plain));
}

fn an_encrypted_clone_and_changed_keys_go_there_as_they_are(world: &World) {
    let (zfs, other) = (world.zfs(), other(world));
    let (old, new) = (Key::raw([9; 32]), Key::raw([10; 32]));
    let (source, clone) = (there("secret"), there("clone"));
    let (copy, clone_copy) = (here(world, "secret"), here(world, "clone"));
    other.create(&source, &secret("aes-256-gcm", "lz4", &old)).expect("an encrypted zvol");
    fill(&other, &source, 1);
    let one = volume::snapshot(&other, &source, "one");
    transfer(&other, &one, &raw(), zfs, &at(&copy, "one"));
    other.create_clone(&clone, &one, &PropertySet::new()).expect("a clone");
    volume::write(&other, &clone, 0, &volume::noise(5, 300_000));
    let changed = volume::snapshot(&other, &clone, "changed");
    let options = ReceiveOptions::new().origin(at(&copy, "one"));
    let mut receive = zfs.receive(&at(&clone_copy, "changed"), &options).expect("a receive");
    receive.write_all(&stream(&other, &changed, &raw_since(&one))).expect("taken");
    receive.finish().expect("received");
    zfs.load_key(&copy, &old).expect("the same key");
    assert_same((&other, &clone), (zfs, &clone_copy));
    assert_same((&other, &source), (zfs, &copy));
    zfs.unload_key(&copy).expect("closed");
    // Another key for the same data: what was sent before stays, and is opened by the new one when that has come.
    other.change_key(&source, &KeyChange::New(new.clone()), &PropertySet::new()).expect("changed");
    assert_same((&other, &clone), (&other, &clone));
    volume::write(&other, &source, 0, &volume::noise(7, 100_000));
    let two = volume::snapshot(&other, &source, "two");
    transfer(&other, &two, &raw_since(&one), zfs, &at(&copy, "two"));
    let error = zfs.load_key(&copy, &old).expect_err("the key before");
    assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}");
    zfs.load_key(&copy, &new).expect("the new key");
    assert_same((&other, &source), (zfs, &copy));
    assert_same((&other, &clone), (zfs, &clone_copy));
}

fn an_encrypted_file_system_is_opened_where_it_comes(world: &World) {
    let (zfs, other, key) = (world.zfs(), other(world), Key::raw([9; 32]));
    // One made here, with attributes that spill and dnodes of several sizes; written again after it was there.
    let source = here(world, "files");
    let properties = set(&[("xattr", "sa"), ("dnodesize", "auto"), ("compression", "lz4")]);
    let create = Create::filesystem().properties(&properties).key(key.clone());
    zfs.create(&source, &create).expect("an encrypted file system");
    let folder = mounted(world, &source);
    for number in 0..300 {
        fs::write(folder.join(number.to_string()), volume::noise(number, 2000)).expect("written");
    }
    let one = volume::snapshot(zfs, &source, "one");
    fs::remove_file(folder.join("7")).expect("removed");
    fs::write(folder.join("8"), b"another text").expect("written");
    let two = volume::snapshot(zfs, &source, "two");
    let before = tree(&folder);
    let (middle, back, plain) = (there("files"), here(world, "back"), here(world, "plain"));
    transfer(zfs, &one, &raw(), &other, &at(&middle, "one"));
    transfer(zfs, &two, &raw_since(&one), &other, &at(&middle, "two"));
    other.load_key(&middle, &key).expect("the same key");
    // Deciphered in process, bonus buffers and all.
    transfer(&other, &at(&middle, "two"), &SendOptions::full(), zfs, &at(&plain, "two"));
    assert_eq!(tree(&mounted(world, &plain)), before);
    transfer(&other, &at(&middle, "two"), &raw(), zfs, &at(&back, "two"));
    zfs.load_key(&back, &key).expect("the same key");
    assert_eq!(tree(&mounted(world, &back)), before);
    // And one that is enciphered in process: the root directory, and what was plain elsewhere.
    let empty = there("empty");
    other.create(&empty, &Create::filesystem().key(key.clone())).expect("an encrypted one");
    let first = volume::snapshot(&other, &empty, "first");
    let empty_copy = here(world, "empty");
    transfer(&other, &first, &raw(), zfs, &at(&empty_copy, "first"));
    zfs.load_key(&empty_copy, &key).expect("the same key");
    let folder = mounted(world, &empty_copy);
    fs::write(folder.join("file"), b"text").expect("written");
    let before = tree(&folder);
    let second = volume::snapshot(zfs, &empty_copy, "second");
    transfer(zfs, &second, &raw_since(&at(&empty_copy, "first")), &other, &at(&empty, "second"));
    let again = here(world, "again");
    transfer(&other, &at(&empty, "second"), &SendOptions::full(), zfs, &at(&again, "second"));
    assert_eq!(tree(&mounted(world, &again)), before);
}

fn the_zfs_command_reads_the_token_of_a_kernel_in_process(world: &World) {
    let other = other(world);
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(world.zfs(), &source, "one");
    let full = stream(world.zfs(), &one, &SendOptions::full());
    let to = at(&there("copy"), "one");
    let token = interrupt(&other, &to, &full[..full.len() / 2]);
    let text = other.receive_token(&there("copy")).expect("looked").expect("a token");
    let printed = command::zfs(&["send", "-nvt", &text]);
    assert!(printed.contains(&format!("toguid = {:#x}", token.to_guid.get())), "{printed}");
    assert!(printed.contains(&format!("bytes = {:#x}", token.bytes.get())), "{printed}");
}
