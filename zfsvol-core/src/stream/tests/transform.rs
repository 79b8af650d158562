//! Streams made of streams.

use super::*;

fn frames(stream: &[u8]) -> Vec<(Record, Vec<u8>)> {
    let mut reader = StreamReader::from_bytes(stream);
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        frames.push((*frame.record, frame.payload.to_vec()));
    }
    frames
}

/// Records with what two sends of one snapshot differ in taken out.
fn essence(stream: &[u8]) -> Vec<(Record, Vec<u8>)> {
    let mut frames = frames(stream);
    for (record, _) in &mut frames {
        match record {
            Record::End(end) => end.checksum = Checksum::ZERO,
            Record::Begin(begin) => {
                let features =
                    begin.features().difference(StreamFeatures::LZ4 | StreamFeatures::ZSTD);
                begin.set_version(HeaderType::Substream, features);
            }
            _ => {}
        }
    }
    frames
}

/// The compressions whose blocks can be read in this build.
fn kinds() -> Vec<&'static str> {
    let more = if cfg!(feature = "compression") { ["lz4", "zstd"].as_slice() } else { &[] };
    ["gzip", "zle", "lzjb"].iter().chain(more).copied().collect()
}

#[test]
fn what_openzfs_compressed_is_decompressed_to_what_it_sends_plain() {
    for release in ["2.1", "2.3", "2.4"] {
        for kind in kinds() {
            let compressed = fixture(&format!("{release}/compressed_{kind}"));
            let plain = fixture(&format!("{release}/compressed_{kind}_plain"));
            let ours = decompress(&mut StreamReader::from_bytes(&compressed), Vec::new()).unwrap();
            assert!(essence(&ours) == essence(&plain), "{release} {kind}");
            assert!(compressed.len() < plain.len(), "{kind}");
        }
    }
}

#[test]
fn what_is_recompressed_is_shorter_and_the_same() {
    let stream = fixture("2.3/compressed_zle_plain");
    for kind in kinds() {
        let compression =
            (0..17).map(Compression).find(|c| c.name().unwrap().starts_with(kind)).unwrap();
        let packed =
            recompress(&mut StreamReader::from_bytes(&stream), Vec::new(), compression).unwrap();
        let summary = verify_bytes(&packed).unwrap();
        assert!(packed.len() < stream.len(), "{kind}");
        assert!(summary.first.unwrap().features().contains(StreamFeatures::COMPRESSED));
        let again = decompress(&mut StreamReader::from_bytes(&packed), Vec::new()).unwrap();
        assert!(essence(&again) == essence(&stream), "{kind}");
    }
}

#[test]
fn a_raw_stream_is_not_decompressed() {
    let error =
        decompress(&mut StreamReader::from_bytes(&fixture("2.3/raw")), Vec::new()).unwrap_err();
    assert!(!error.is_damage());
    assert!(
        error.to_string().ends_with("its blocks are encrypted, and stay as they are compressed")
    );
}

#[test]
fn a_record_is_dropped() {
    let stream = fixture("2.3/volume");
    let mut output = Vec::new();
    let dropped =
        drop_record(&mut StreamReader::from_bytes(&stream), &mut output, 1, 24576).unwrap();
    assert_eq!(dropped, 1);
    let mut expected = frames(&stream);
    expected.retain(
        |(record, _)| !matches!(record, Record::Write(w) if (w.object, w.offset) == (1, 24576)),
    );
    let mut left = frames(&output);
    let (Some((Record::End(ours), _)), Some((Record::End(theirs), _))) =
        (left.last_mut(), expected.last_mut())
    else {
        panic!()
    };
    assert_ne!(ours.checksum, theirs.checksum);
    theirs.checksum = ours.checksum;
    assert!(left == expected);
    let none = drop_record(&mut StreamReader::from_bytes(&stream), io::sink(), 1, 1).unwrap();
    assert_eq!(none, 0);
}

#[test]
fn what_is_cut_is_what_openzfs_resumes() {
    let whole = fixture("2.3/interrupted");
    let token = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/stream/2.3/resumed.token"),
    );
    let token: ResumeToken = token.unwrap().trim().parse().unwrap();
    assert!(token.object > 1);
    let rest = cut(&mut StreamReader::from_bytes(&whole), Vec::new(), token.object, token.offset);
    let (rest, resumed) = (rest.unwrap(), fixture("2.3/resumed"));
    for (at, (ours, theirs)) in frames(&rest).iter().zip(&frames(&resumed)).enumerate() {
        assert_eq!(ours.0, theirs.0, "{at}");
        assert!(ours.1 == theirs.1, "{at}");
    }
    assert!(rest == resumed);
    let error =
        cut(&mut StreamReader::from_bytes(&fixture("2.3/package")), io::sink(), 1, 0).unwrap_err();
    assert!(matches!(error.problem(), Problem::Unsupported(_)));
}

/// It has no end, so it is told from a whole one, and what is there can be read.
#[test]
fn a_saved_stream_is_no_whole_one() {
    for release in ["2.1", "2.3", "2.4"] {
        let stream = fixture(&format!("{release}/saved"));
        let error = verify_bytes(&stream).unwrap_err();
        assert!(matches!(error.problem(), Problem::NoEnd), "{error}");
        assert_eq!(error.offset(), stream.len() as u64);
    }
}
