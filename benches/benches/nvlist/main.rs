//! How packing and unpacking lists compares with libnvpair, OpenZFS's own C library, in turns in one run.
//!
//!     cargo bench -p zfsvol-benches --bench nvlist
//!
//! It is loaded while this runs, so that what is compared is Debian's package as its users have it. `libnvpair.rs` says where it is looked for; where there is none,
//! that is said.

#![expect(clippy::print_stdout, reason = "this is its output")]
#![expect(unsafe_code, reason = "libnvpair is C")]

mod libnvpair;

use std::error::Error;
use std::ffi::CString;
use std::hint::black_box;

use libnvpair::Libnvpair;
use zfsvol_benches::{Contest, Standing};
use zfsvol_core::embedded::Embedded;
use zfsvol_core::kernel::{Cmd, Ioc, Kernel};
use zfsvol_core::nvlist::{Encoding, NvList};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// How many names a request has: a snapshot of each volume of a pool.
const NAMES: usize = 1_000;
const TURNS: usize = 31;

fn main() -> Outcome {
    let theirs = Libnvpair::load();
    if theirs.is_none() {
        println!("SKIPPED: libnvpair: it is not here (apt-get install libnvpair3linux)\n");
    }
    let names: Vec<String> = (0..NAMES).map(|n| format!("tank/volumes/v{n:06}@monday")).collect();
    for (title, list, times) in [
        ("the properties of a dataset", properties()?, 1_000),
        ("a request with 1,000 names", request(&names), 20),
    ] {
        for (word, encoding) in [("native", Encoding::HOST), ("XDR", Encoding::Xdr)] {
            let packed = list.encode(encoding)?;
            let title = format!("{title}, {word}, {} bytes", packed.len());
            both_ways(&title, &list, &packed, encoding, times, theirs.as_ref())?;
        }
    }
    building(&names, theirs.as_ref())
}

/// What the kernel answers when it is asked for the properties of a dataset.
fn properties() -> Outcome<NvList> {
    let mut cmd = Cmd::new("tank");
    cmd.reply_max = 1 << 20;
    Embedded::new().ioctl(Ioc::OBJSET_STATS, &mut cmd).map_err(|errno| errno.to_string())?;
    Ok(NvList::from_bytes(cmd.reply())?)
}

fn request(names: &[String]) -> NvList {
    let mut list = NvList::new();
    for name in names {
        list.insert_flag(name.as_str());
    }
    list
}

fn both_ways(
    title: &str,
    list: &NvList,
    packed: &[u8],
    encoding: Encoding,
    times: usize,
    theirs: Option<&Libnvpair>,
) -> Outcome {
    let repeat = |run: &dyn Fn()| (0..times).for_each(|_| run());
    let unpacked = theirs.map(|theirs| theirs.unpack(packed)).transpose()?;
    let mut unpacking = Contest::new("", packed.len() * times);
    let mut packing = Contest::new("", packed.len() * times);
    if let (Some(theirs), Some(unpacked)) = (theirs, &unpacked) {
        if unpacked.pack(encoding)? != packed {
            return Err(format!("{title}: libnvpair packs other bytes").into());
        }
        unpacking = unpacking.with("libnvpair", move || {
            repeat(&|| drop(black_box(theirs.unpack(black_box(packed)))));
        });
        packing = packing.with("libnvpair", move || {
            repeat(&|| assert!(unpacked.packed_bytes(encoding).is_ok()));
        });
    }
    let unpacking = unpacking.with("zfsvol", || {
        repeat(&|| drop(black_box(NvList::from_bytes(black_box(packed)))));
    });
    let packing = packing.with("zfsvol", || {
        repeat(&|| drop(black_box(black_box(list).encode(encoding))));
    });
    print(&format!("unpacked and freed: {title}"), &unpacking.run(TURNS), times);
    print(&format!("packed: {title}"), &packing.run(TURNS), times);
    Ok(())
}

fn building(names: &[String], theirs: Option<&Libnvpair>) -> Outcome {
    let texts: Vec<CString> =
        names.iter().map(|name| CString::new(name.as_str())).collect::<Result<_, _>>()?;
    let mut contest = Contest::new("", 0);
    if let Some(theirs) = theirs {
        contest = contest.with("libnvpair", || {
            let built = theirs.new_list().and_then(|mut list| {
                texts.iter().try_for_each(|name| list.add_flag(name))?;
                list.packed_bytes(Encoding::HOST)
            });
            assert!(built.is_ok(), "{built:?}");
        });
    }
    let contest = contest.with("zfsvol", || drop(black_box(request(black_box(names)).to_bytes())));
    print("built, packed and freed: a request with 1,000 names", &contest.run(TURNS), 1);
    Ok(())
}

/// A row each: microseconds, and how many times as fast as the first.
fn print(title: &str, standings: &[Standing], times: usize) {
    println!("{title}; {TURNS} turns");
    for standing in standings {
        let [low, middle, high] = standing.seconds.map(|seconds| seconds * 1e6 / times as f64);
        let ratio = standing.ratio;
        println!(
            "  {:<12}{middle:>9.2} ({low:.2} to {high:.2}) microseconds  x {:.2} ({:.2} to {:.2})",
            standing.name, ratio[1], ratio[0], ratio[2]
        );
    }
    println!();
}
