//! Lists datasets, snapshots and bookmarks, as `zfs list -Hpr -t all` does.
//!
//!     cargo run --example list -- tank/data used com.example:owner
//!     cargo run --example list -- --names tank/data
//!
//! Without a dataset it lists all pools.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use zfsvol_core::property::DatasetTypes;
use zfsvol_core::zfs::List;
use zfsvol_core::{Result, Zfs};

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let names = arguments.first().is_some_and(|argument| argument == "--names");
    if names {
        arguments.remove(0);
    }
    let mut arguments = arguments.into_iter();
    let what = match arguments.next() {
        Some(root) => List::from(root.parse()?),
        None => List::all_pools(),
    };
    let wanted: Vec<String> = arguments.collect();
    let zfs = Zfs::open()?;
    if names {
        for name in zfs.list_names(&what) {
            println!("{}", name?);
        }
        return Ok(());
    }
    let what = what.types(DatasetTypes::all()).properties(&wanted);
    for dataset in zfs.list(&what) {
        let dataset = dataset?;
        print!("{}\t{}", dataset.name, dataset.kind);
        for name in &wanted {
            match dataset.properties.value(name) {
                Some(value) => print!("\t{value}"),
                None => print!("\t-"),
            }
        }
        println!();
    }
    Ok(())
}
