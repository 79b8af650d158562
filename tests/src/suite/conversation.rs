//! What was recorded of real releases: this kernel says the same.

use crate::conversation::{RECORDED, replayed, tell};
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![case(what_this_release_was_recorded_to_say_is_said_again)]
}

fn what_this_release_was_recorded_to_say_is_said_again(world: &World) {
    let (major, minor) = world.zfs().module().version.release();
    let release = format!("{major}.{minor}");
    let recorded = RECORDED.iter().find(|(recorded, _)| *recorded == release);
    let (_, recording) = recorded.expect("every release under test was recorded");
    let (recorded, said) = (replayed(recording), tell(world.zfs(), &world.root()));
    for (recorded, said) in recorded.iter().zip(&said) {
        assert_eq!(said, recorded);
    }
    assert_eq!(said.len(), recorded.len());
}
