//! Whatever a stream says: nothing panics, hangs or takes memory for what is not there, and what is accounted is what there is.

use proptest::prelude::*;

use super::*;
use crate::embedded::data::Space;
use crate::nvlist::ByteOrder;
use crate::stream::{Header, RECORD_BYTES};

const STREAMS: [&str; 9] = [
    "full",
    "incremental",
    "attributes",
    "dnodes",
    "embedded",
    "huge",
    "raw",
    "raw_incremental",
    "volume_incremental",
];

/// More than follows any record of these streams, once it was changed.
const PAYLOAD_BYTES_MAX: u64 = 1 << 20;

/// A change of one record: which, what byte of it, and what that becomes; or the record is left out, or comes again later.
#[derive(Clone, Debug)]
enum Damage {
    Byte(usize, usize, u8),
    Word(usize, usize, u64),
    Drop(usize),
    Again(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let words = prop_oneof![
        Just(0_u64),
        Just(u64::MAX),
        Just(1 << 48),
        Just((1 << 48) - 1),
        Just(1 << 63),
        any::<u64>(),
        0_u64..100,
    ];
    prop_oneof![
        (any::<usize>(), 8_usize..200, any::<u8>()).prop_map(|(r, at, to)| Damage::Byte(r, at, to)),
        (any::<usize>(), 0_usize..12, words).prop_map(|(r, at, to)| Damage::Word(r, at, to)),
        any::<usize>().prop_map(Damage::Drop),
        (any::<usize>(), any::<usize>()).prop_map(|(r, to)| Damage::Again(r, to)),
    ]
}

fn damaged(frames: &mut Vec<(Record, Vec<u8>)>, damage: &Damage) {
    let count = frames.len() - 1;
    // The begin record stays: it says which stream it is.
    let index = |at: usize| 1 + at % count;
    let change = |frames: &mut Vec<(Record, Vec<u8>)>, at: usize, change: &dyn Fn(&mut [u8])| {
        let (record, payload) = &mut frames[at];
        let mut bytes = *Header::new(record, ByteOrder::HOST).as_bytes();
        change(&mut bytes);
        let Some(changed) = Header::from_bytes(bytes, ByteOrder::HOST).record() else { return };
        if changed.payload_bytes() <= PAYLOAD_BYTES_MAX {
            payload.resize(usize::try_from(changed.payload_bytes()).unwrap(), 0x5a);
            *record = changed;
        }
    };
    match damage {
        Damage::Byte(at, byte, to) => {
            change(frames, index(*at), &|bytes| bytes[*byte % RECORD_BYTES] = *to);
        }
        Damage::Word(at, word, to) => change(frames, index(*at), &|bytes| {
            let place = 8 + word * 8;
            bytes[place..place + 8].copy_from_slice(&to.to_ne_bytes());
        }),
        Damage::Drop(at) if count > 1 => drop(frames.remove(index(*at))),
        Damage::Drop(_) => {}
        Damage::Again(at, to) => {
            let again = frames[index(*at)].clone();
            frames.insert(index(*to), again);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_stream_does_no_harm(
        stream in 0..STREAMS.len(),
        all in proptest::collection::vec(damage(), 1..8),
    ) {
        let name = STREAMS[stream];
        let policy = Policy { ashift: 9, ..Policy::default() };
        let base = name.strip_suffix("_incremental").or((name == "incremental").then_some("full"));
        let mut txn = Txn::new(5, policy);
        let base = base.map(|base| {
            receive(None, &frames(&fixture(&format!("2.3/{base}"))), &mut txn).objset
        });
        let mut frames = frames(&fixture(&format!("2.3/{name}")));
        all.iter().for_each(|damage| damaged(&mut frames, damage));
        let Record::Begin(begin) = frames[0].0 else { panic!("no begin") };
        let mut receiver = ObjsetReceiver::new(ReceiverOptions::of(&begin, false));
        let before = txn.finish();
        let mut txn = Txn::new(9, policy);
        let new = || Objset::empty(ObjsetType::from_number(begin.objset_type).unwrap());
        let mut objset = base.clone().unwrap_or_else(new);
        for (record, payload) in &frames[1..] {
            // What cannot be applied is refused, and what comes after it still does no harm.
            let _ = receiver.apply(&mut objset, record, payload, &mut txn);
        }
        receiver.free_the_rest(&mut objset, &mut txn).unwrap();
        let after = txn.finish();
        let had = before.born().minus(before.killed_space());
        let has = had.plus(after.born()).minus(after.killed_space());
        prop_assert_eq!(has, objset.space());
        prop_assert!(base.is_none_or(|base| base.space() == had));
        prop_assert!(objset.space() != Space::ZERO || objset.birth() == 0);

        let mut source = Source::new(objset, 1, "t/a@s", 0);
        source.key_data = begin_list(&frames).get_list("crypt_keydata").cloned();
        for from in [None, Some(Origin { guid: 2, txg: 5, ..Origin::default() })] {
            source.from = from;
            for flags in [SendFlags::empty(), SendFlags::all() - SendFlags::SAVED] {
                let options = SendOptions { flags, ..SendOptions::default() };
                let (mut output, progress) = (Vec::new(), Progress::default());
                let sent = send::write(&source, &options, &mut output, &progress);
                let measured = send::measure(&source, &options, &Progress::default());
                // Only what cannot be read, as ciphertext or nonsense for a compressed block, ends it early.
                if sent.is_ok() {
                    prop_assert_eq!(measured, Ok(output.len() as u64));
                }
            }
        }
    }
}
