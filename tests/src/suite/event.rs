//! Pool events: seen in their order, waited for, stopped, sought, lost and cleared.

use std::thread;
use std::time::{Duration, Instant};

use zfsvol_core::ErrorKind;
use zfsvol_core::zfs::{Event, EventPlace, Events};

use super::pool::DEVICE;
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(what_is_done_to_a_pool_is_told),
        case(the_newest_place_skips_what_was),
        case(an_event_is_found_by_its_number),
        case(nothing_happens_in_the_time_allowed),
        case(a_waiting_iterator_is_stopped_from_another_thread),
        case(two_iterators_do_not_share_their_place),
        case(cleared_events_are_gone),
    ]
}

const PATIENCE: Duration = Duration::from_secs(20);

fn events(world: &World, place: EventPlace) -> Events {
    let mut events = world.zfs().events().expect("events");
    events.seek(place).expect("a place");
    events
}

/// The next event about that pool.
fn next_of(events: &mut Events, pool: &str) -> Event {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let event = events.next_within(PATIENCE).expect("no error").expect("an event");
        if event.pool.as_deref() == Some(pool) {
            return event;
        }
    }
    panic!("no event of {pool} in time");
}

fn what_is_done_to_a_pool_is_told(world: &World) {
    let mut events = events(world, EventPlace::Newest);
    let pool = world.new_pool("told", DEVICE);
    let guid = world.zfs().pool_status(&pool).expect("its status").guid;
    let first = next_of(&mut events, pool.as_str());
    assert_eq!(first.pool_guid, Some(guid));
    assert!(first.time.elapsed().is_ok_and(|ago| ago < Duration::from_secs(600)));
    let mut classes = vec![(first.eid, first.class)];
    world.zfs().destroy_pool(&pool).expect("destroyed");
    loop {
        let next = next_of(&mut events, pool.as_str());
        let over = next.class.ends_with("pool_destroy");
        classes.push((next.eid, next.class));
        if over {
            break;
        }
    }
    assert!(classes.iter().any(|(_, class)| class.ends_with("pool_create")), "{classes:?}");
    assert!(classes.is_sorted_by(|a, b| a.0 < b.0), "{classes:?}");
    assert_eq!(events.dropped(), 0);
}

fn the_newest_place_skips_what_was(world: &World) {
    let before = world.new_pool("before", DEVICE);
    let mut events = events(world, EventPlace::Newest);
    let after = world.new_pool("after", DEVICE);
    // Pools of other cases may still have something to tell.
    let ours = [before.as_str(), after.as_str()];
    let first = loop {
        let event = events.next_within(PATIENCE).expect("no error").expect("an event");
        if event.pool.as_deref().is_some_and(|pool| ours.contains(&pool)) {
            break event;
        }
    };
    assert_eq!(first.pool.as_deref(), Some(after.as_str()), "{first:?}");
}

fn an_event_is_found_by_its_number(world: &World) {
    world.new_pool("sought", DEVICE);
    let mut events = events(world, EventPlace::Oldest);
    let mut next = || events.next_within(PATIENCE).expect("no error").expect("an event");
    let (first, second) = (next(), next());
    events.seek(EventPlace::After(first.eid)).expect("found");
    let again = events.next_within(PATIENCE).expect("no error").expect("an event");
    assert_eq!(again.eid, second.eid);
    let error = events.seek(EventPlace::After(u64::MAX - 1)).expect_err("no such event");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

fn nothing_happens_in_the_time_allowed(world: &World) {
    const WAIT: Duration = Duration::from_millis(300);
    let mut events = events(world, EventPlace::Newest);
    // What an earlier case set off may still come.
    while events.next_within(Duration::from_secs(2)).expect("no error").is_some() {}
    let start = Instant::now();
    assert_eq!(events.next_within(WAIT).expect("no error"), None);
    assert!(start.elapsed() >= WAIT);
    assert_eq!(events.poll().expect("no error"), None);
}

fn a_waiting_iterator_is_stopped_from_another_thread(world: &World) {
    let events = events(world, EventPlace::Newest);
    let stopper = events.stopper();
    let waiter = thread::spawn(move || events.map(|event| event.map(drop)).collect::<Vec<_>>());
    thread::sleep(Duration::from_millis(200));
    assert!(!waiter.is_finished(), "it waits");
    stopper.stop();
    let seen = waiter.join().expect("it ends");
    assert!(seen.iter().all(Result::is_ok), "{seen:?}");
}

fn two_iterators_do_not_share_their_place(world: &World) {
    let mut first = events(world, EventPlace::Newest);
    let mut second = events(world, EventPlace::Newest);
    let pool = world.new_pool("both", DEVICE);
    let [a, b] = [&mut first, &mut second].map(|events| next_of(events, pool.as_str()).eid);
    assert_eq!(a, b);
}

fn cleared_events_are_gone(world: &World) {
    let pool = world.new_pool("cleared", DEVICE);
    assert!(world.zfs().clear_events().expect("cleared") > 0);
    let mut events = world.zfs().events().expect("events");
    // Pools of other cases may still have something to tell.
    while let Some(event) = events.poll().expect("no error") {
        assert_ne!(event.pool.as_deref(), Some(pool.as_str()), "{event:?}");
    }
}
