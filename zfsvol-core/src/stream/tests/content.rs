//! What streams hold.

use std::io::Read as _;

use sha1::Digest as _;

use super::*;

fn sha1_of(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/stream");
    fs::read_to_string(root.join(name)).unwrap().trim().to_owned()
}

fn sha1(file: &mut fs::File) -> String {
    use io::Seek as _;
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    sha1::Sha1::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_zvol_is_rebuilt_as_the_kernel_had_it() {
    for (release, swapped) in
        ["2.1", "2.3", "2.4"].into_iter().flat_map(|r| [(r, ""), (r, "_swapped")])
    {
        let mut image = ZvolImage::new(tempfile::tempfile().unwrap());
        for (stream, size) in [("volume", 256 << 10), ("volume_incremental", 256 << 10)] {
            let bytes = fixture(&format!("{release}/{stream}{swapped}"));
            image.apply(&mut StreamReader::from_bytes(&bytes)).unwrap();
            assert_eq!(
                image.guid(),
                verify_bytes(&bytes).unwrap().first.map(|begin| begin.to_guid)
            );
            let guid = image.guid().unwrap();
            let mut disk = image.into_disk();
            assert_eq!(disk.metadata().unwrap().len(), size);
            assert_eq!(
                sha1(&mut disk),
                sha1_of(&format!("{release}/{stream}.sha1")),
                "{release} {stream}"
            );
            image = ZvolImage::resume(disk, guid);
        }
    }
}

#[test]
fn what_does_not_follow_is_not_applied() {
    let mut image = ZvolImage::new(tempfile::tempfile().unwrap());
    let increment = fixture("2.3/volume_incremental");
    let error = image.apply(&mut StreamReader::from_bytes(&increment)).unwrap_err();
    assert!(matches!(error.problem(), Problem::Guid { .. }));
    for name in ["2.3/full", "2.3/raw", "2.3/redacted"] {
        let mut image = ZvolImage::new(tempfile::tempfile().unwrap());
        let error = image.apply(&mut StreamReader::from_bytes(&fixture(name))).unwrap_err();
        assert!(matches!(error.problem(), Problem::Unsupported(_)), "{name}: {error}");
    }
}

#[test]
fn changes_say_what_an_increment_changes() {
    let mut changes = Changes::new();
    let stream = fixture("2.3/volume_incremental");
    changes.add(&mut StreamReader::from_bytes(&stream)).unwrap();
    let disk = &changes.objects[&1];
    assert_eq!(disk.object_type, Some(ObjectType::ZVOL));
    assert_eq!(disk.block_bytes, 8192);
    assert!(disk.written.iter().any(|range| range.contains(&(31 * 8192))));
    assert!(disk.freed.iter().any(|range| range.contains(&(10 * 8192))), "{disk:?}");
    assert!(disk.written.bytes() < 64 << 10);

    let mut changes = Changes::new();
    for name in ["2.3/full", "2.3/incremental"] {
        changes.add(&mut StreamReader::from_bytes(&fixture(name))).unwrap();
    }
    let files =
        changes.objects.values().filter(|object| object.object_type == Some(ObjectType::FILE));
    assert!(files.clone().count() >= 3);
    assert!(!changes.freed_objects.is_empty());
}

#[test]
fn ranges_join_and_part() {
    let mut ranges = Ranges::default();
    let list = |ranges: &Ranges| ranges.iter().collect::<Vec<_>>();
    ranges.insert(10..20);
    ranges.insert(30..40);
    ranges.insert(20..25);
    assert_eq!(list(&ranges), [10..25, 30..40]);
    ranges.insert(0..100);
    assert_eq!(ranges.iter().next(), Some(0..100));
    ranges.remove(10..20);
    ranges.remove(90..u64::MAX);
    assert_eq!((list(&ranges), ranges.bytes()), (vec![0..10, 20..90], 80));
    ranges.insert(10..20);
    assert_eq!(ranges.iter().next(), Some(0..90));
    ranges.insert(5..5);
    ranges.remove(0..90);
    assert!(ranges.is_empty());
}
