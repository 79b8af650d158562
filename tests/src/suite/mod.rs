//! The cases, one area a file. A file is known to the runner once [`all`] has it.

mod activity;
mod bookmark;
mod busy;
mod chain;
mod clock;
mod concurrency;
mod conversation;
mod crosscheck;
mod damage;
mod dataset;
mod diff;
mod differential;
mod door;
mod event;
mod hold;
mod import;
mod key;
mod limits;
mod list;
mod missing;
mod mount;
mod node;
mod pool;
mod privilege;
mod program;
mod property;
mod push;
mod quota;
mod receive;
mod replica;
mod rollback;
mod send;
mod snapshot;
mod stream;
mod takeover;
mod three;
mod told;
mod transfer;
mod unchanged;
mod vdev;
mod wire;
mod world;
mod zvol;

use crate::Case;

/// Every case, in the order of the areas: what others build on comes first.
pub fn all() -> Vec<Case> {
    [
        world::cases(),
        dataset::cases(),
        snapshot::cases(),
        bookmark::cases(),
        hold::cases(),
        key::cases(),
        program::cases(),
        busy::cases(),
        zvol::cases(),
        mount::cases(),
        node::cases(),
        door::cases(),
        property::cases(),
        list::cases(),
        quota::cases(),
        limits::cases(),
        conversation::cases(),
        missing::cases(),
        privilege::cases(),
        concurrency::cases(),
        send::cases(),
        receive::cases(),
        stream::cases(),
        transfer::cases(),
        chain::cases(),
        diff::cases(),
        push::cases(),
        takeover::cases(),
        unchanged::cases(),
        three::cases(),
        rollback::cases(),
        replica::cases(),
        told::cases(),
        damage::cases(),
        clock::cases(),
        wire::cases(),
        pool::cases(),
        import::cases(),
        vdev::cases(),
        activity::cases(),
        event::cases(),
        crosscheck::cases(),
        differential::cases(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let mut names: Vec<&str> = all().iter().map(Case::name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        for name in names {
            let sentence = name.split_once("::").map_or("", |(_, sentence)| sentence);
            assert!(
                !sentence.is_empty()
                    && sentence.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
                "'{name}' is not an area and a function: a closure has no name",
            );
        }
    }
}
