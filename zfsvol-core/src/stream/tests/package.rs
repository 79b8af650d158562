//! Packages read, taken apart and put together.

use super::*;
use crate::nvlist::Encoding;

const PACKAGES: [&str; 5] =
    ["package", "package_holds", "package_incremental", "package_properties", "raw_package"];

fn package_of(stream: &[u8]) -> Package {
    let mut reader = StreamReader::from_bytes(stream);
    reader.next_frame().unwrap().unwrap().package().unwrap().unwrap()
}

#[test]
fn what_a_package_says_is_read() {
    let package = package_of(&fixture("2.3/package_holds"));
    assert!(package.recursive && !package.raw);
    assert_eq!((package.to_snapshot.as_str(), &package.from_snapshot), ("b", &None));
    let names: Vec<_> = package.datasets.iter().map(|dataset| dataset.name.as_str()).collect();
    assert_eq!(names, ["t/tree", "t/tree/child", "t/tree/volume"]);
    let [tree, child, _] = package.datasets.as_slice() else { panic!() };
    let note = ("org.zfsvol:note".to_owned(), PackagedValue::Text("parent".to_owned()));
    assert_eq!(tree.properties.as_deref(), Some(&[note][..]));
    let quota = ("quota".to_owned(), PackagedValue::Number(50 << 20));
    assert!(child.properties.as_ref().unwrap().contains(&quota));
    assert_eq!(
        tree.snapshots.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );
    let of = ("org.zfsvol:of".to_owned(), PackagedValue::Text("snapshot".to_owned()));
    assert!(tree.snapshot_properties.contains(&("b".to_owned(), vec![of])));
    let holds = tree.holds.as_ref().unwrap();
    assert!(holds.iter().any(|(name, tags)| name == "b" && tags[0].0 == "keep"));
    let raw = package_of(&fixture("2.3/raw_package"));
    assert!(raw.raw && raw.datasets[0].is_encryption_root);
}

#[test]
fn what_a_package_says_is_written_again_as_it_was() {
    for name in PACKAGES {
        for release in ["2.1", "2.3", "2.4"] {
            let stream = fixture(&format!("{release}/{name}"));
            let mut reader = StreamReader::from_bytes(&stream);
            let frame = reader.next_frame().unwrap().unwrap();
            let package = frame.package().unwrap().unwrap();
            assert!(package.to_list().encode(Encoding::Xdr).unwrap() == frame.payload, "{name}");
        }
    }
}

#[test]
fn a_package_is_taken_apart_and_put_together() {
    for name in PACKAGES.into_iter().chain(["package_many"]) {
        let stream = fixture(&format!("2.3/{name}"));
        let mut parts: Vec<(Begin, std::rc::Rc<std::cell::RefCell<Vec<u8>>>)> = Vec::new();
        struct Shared(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);
        impl io::Write for Shared {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                self.0.borrow_mut().extend(data);
                Ok(data.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let package = split(&mut StreamReader::from_bytes(&stream), |begin| {
            let part = std::rc::Rc::default();
            parts.push((*begin, std::rc::Rc::clone(&part)));
            Ok(Shared(part))
        });
        let package = package.unwrap();
        assert_eq!(package.is_some(), name != "package_many");
        let summary = verify_bytes(&stream).unwrap();
        assert_eq!(summary.streams, parts.len() as u64);
        let parts: Vec<_> = parts.iter().map(|(begin, part)| (begin, part.borrow())).collect();
        for (begin, part) in &parts {
            assert_eq!(verify_bytes(part).unwrap().first, Some(**begin));
        }
        let head = summary.package.unwrap();
        let joined = join(
            package.as_ref(),
            &head.to_name,
            parts.iter().map(|(_, part)| part.as_slice()),
            Vec::new(),
        );
        let joined = joined.unwrap();
        let again = verify_bytes(&joined).unwrap();
        assert_eq!((again.streams, again.counts), (summary.streams, summary.counts));
        // OpenZFS 2.3's `zfs send` says of the head only whether holds come along, and that is all there is to say.
        assert!(joined == stream, "{name}");
    }
}

#[test]
fn a_package_goes_into_no_other() {
    let package = fixture("2.3/package_many");
    let name = verify_bytes(&package).unwrap().package.unwrap().to_name;
    let error = join(None, &name, [package.as_slice()], Vec::new()).unwrap_err();
    assert!(matches!(error.problem(), Problem::Unsupported(_)), "{error}");
    assert_eq!(error.record(), 0);
}

#[test]
fn increments_make_a_package() {
    let begin = |stream: &str| verify_bytes(&fixture(stream)).unwrap().first.unwrap();
    let (full, increment) = (begin("2.3/volume"), begin("2.3/volume_incremental"));
    let package = Package::of_increments(&[full, increment]).unwrap();
    assert_eq!(package.to_snapshot, "b");
    assert_eq!(package.datasets[0].name, "t/volume");
    assert_eq!(package.datasets[0].snapshots.len(), 2);
    assert_eq!(package.datasets[0].snapshot_properties.len(), 2);
    assert_eq!(Package::of_increments(&[increment, full]), Err(1));
    assert_eq!(Package::of_increments(&[]), Err(0));
}
