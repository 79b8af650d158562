//! Which snapshots to keep: [`Retention`], and [`Plan`], a pure function from snapshots to what becomes of each.
//!
//! ```
//! use zfsvol_core::volume::Retention;
//! use zfsvol_core::volume::retention::{Candidate, Plan};
//!
//! const DAY: i64 = 24 * 60 * 60;
//! // One snapshot a day at noon, twenty days from 2026-11-01 on.
//! let snapshots: Vec<_> = (0..20).map(|day| Candidate::new(day, 1_793_534_400 + day * DAY)).collect();
//!
//! let plan = Plan::new(&Retention { daily: 7, weekly: 3, ..Retention::default() }, &snapshots);
//! let kept: Vec<_> = plan.kept().map(|(candidate, _)| candidate.snapshot).collect();
//! assert_eq!(kept, [7, 13, 14, 15, 16, 17, 18, 19]);
//! ```

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset};

/// How many snapshots to keep.
///
/// A grid keeps the newest snapshot of each of the newest periods *that have one*: `daily: 7` keeps seven days' last snapshots, however
/// long ago those days were, so that a machine that was off for a month does not come back to find everything expired. The newest, because
/// that one stays the same once its period is over, however often the plan is made.
///
/// A snapshot that several rules keep is kept once and counts for each. Nothing asked for keeps everything: a policy that nobody filled in must not
/// cost data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// So many of the newest.
    pub last: u32,
    /// The last of each of so many hours.
    pub hourly: u32,
    /// The last of each of so many days.
    pub daily: u32,
    /// The last of each of so many weeks, which begin on Monday.
    pub weekly: u32,
    /// The last of each of so many months.
    pub monthly: u32,
    /// The last of each of so many years.
    pub yearly: u32,
    /// Minutes that the clock by which days begin is ahead of UTC, -1,439 to 1,439: 60 for Berlin in winter. Daylight saving time is not
    /// known here; what is beyond that range is taken as its end.
    pub minutes_ahead_of_utc: i16,
}

/// A snapshot to decide about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<S> {
    /// Which one: a name, or whatever the caller knows it by.
    pub snapshot: S,
    /// When it was taken, in seconds since 1970 (UTC): the property `creation`.
    pub created: i64,
    /// What needs it, whatever the policy says.
    pub needs: Vec<Need>,
}

/// What needs a snapshot: it is never in [`Plan::destroyed`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Need {
    /// It is held, with this tag.
    Hold(String),
    /// This dataset is a clone of it.
    Clone(String),
    /// The next push to this node begins from it.
    Push(String),
    /// It was not taken by whoever applies the policy.
    Foreign,
}

/// Why a snapshot is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// One of the newest.
    Last,
    /// The last of an hour.
    Hourly,
    /// The last of a day.
    Daily,
    /// The last of a week.
    Weekly,
    /// The last of a month.
    Monthly,
    /// The last of a year.
    Yearly,
    /// It is needed, whatever the policy says.
    Needed(Need),
    /// The policy asks for nothing.
    NoPolicy,
}

/// What becomes of each snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'a, S> {
    /// From oldest to newest.
    decisions: Vec<(&'a Candidate<S>, Vec<Reason>)>,
}

/// Which period a time is in: a number for a long one, and one for a short one within.
type PeriodOf = fn(OffsetDateTime) -> (i32, u32);

impl<S> Candidate<S> {
    /// A snapshot that nothing needs.
    pub fn new(snapshot: S, created: i64) -> Self {
        Self { snapshot, created, needs: Vec::new() }
    }
}

impl Retention {
    /// Whether it asks for nothing, and so keeps everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { last, hourly, daily, weekly, monthly, yearly, minutes_ahead_of_utc: _ } = self;
        [last, hourly, daily, weekly, monthly, yearly].into_iter().all(|count| *count == 0)
    }

    /// Each grid: how many periods, why what it keeps is kept, and which period a time is in.
    fn grids(&self) -> [(u32, Reason, PeriodOf); 5] {
        [
            (self.hourly, Reason::Hourly, |at| (at.to_julian_day(), u32::from(at.hour()))),
            (self.daily, Reason::Daily, |at| (at.to_julian_day(), 0)),
            (self.weekly, Reason::Weekly, |at| {
                let (year, week, _) = at.to_iso_week_date();
                (year, u32::from(week))
            }),
            (self.monthly, Reason::Monthly, |at| (at.year(), u32::from(u8::from(at.month())))),
            (self.yearly, Reason::Yearly, |at| (at.year(), 0)),
        ]
    }

    fn local(&self, created: i64) -> OffsetDateTime {
        const DAY_MINUTES: i16 = 24 * 60;
        let minutes = self.minutes_ahead_of_utc.clamp(1 - DAY_MINUTES, DAY_MINUTES - 1);
        let offset =
            UtcOffset::from_whole_seconds(i32::from(minutes) * 60).unwrap_or(UtcOffset::UTC);
        // A time beyond what a calendar has is none that a clock can show: whichever period it is in, it is one.
        OffsetDateTime::from_unix_timestamp(created)
            .ok()
            .and_then(|at| at.checked_to_offset(offset))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl<'a, S> Plan<'a, S> {
    /// Decides. `snapshots` are those of one volume, from oldest to newest by `createtxg`: the clock may have jumped, the order in which
    /// they were taken has not.
    #[must_use]
    pub fn new(policy: &Retention, snapshots: &'a [Candidate<S>]) -> Self {
        let mut decisions: Vec<(&Candidate<S>, Vec<Reason>)> =
            snapshots.iter().map(|candidate| (candidate, needed(candidate))).collect();
        if policy.is_empty() {
            decisions.iter_mut().for_each(|(_, reasons)| reasons.push(Reason::NoPolicy));
        }
        let last = usize::try_from(policy.last).unwrap_or(usize::MAX);
        decisions.iter_mut().rev().take(last).for_each(|(_, reasons)| reasons.push(Reason::Last));
        for (count, reason, period) in policy.grids() {
            let mut seen = BTreeSet::new();
            for (candidate, reasons) in decisions.iter_mut().rev() {
                let is_room = seen.len() < usize::try_from(count).unwrap_or(usize::MAX);
                if is_room && seen.insert(period(policy.local(candidate.created))) {
                    reasons.push(reason.clone());
                }
            }
        }
        Self { decisions }
    }

    /// The snapshots to keep, from oldest to newest, each with every reason.
    pub fn kept(&self) -> impl Iterator<Item = (&'a Candidate<S>, &[Reason])> {
        self.all().filter(|(_, reasons)| !reasons.is_empty())
    }

    /// The snapshots that nothing keeps, from oldest to newest.
    pub fn destroyed(&self) -> impl Iterator<Item = &'a Candidate<S>> {
        self.all().filter(|(_, reasons)| reasons.is_empty()).map(|(candidate, _)| candidate)
    }

    fn all(&self) -> impl Iterator<Item = (&'a Candidate<S>, &[Reason])> {
        self.decisions.iter().map(|(candidate, reasons)| (*candidate, reasons.as_slice()))
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold(tag) => write!(f, "held by '{}'", tag.escape_debug()),
            Self::Clone(dataset) => write!(f, "'{dataset}' is a clone of it"),
            Self::Push(node) => write!(f, "the next push to '{node}' begins from it"),
            Self::Foreign => f.write_str("taken by somebody else"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Last => "one of the newest",
            Self::Hourly => "the last of an hour",
            Self::Daily => "the last of a day",
            Self::Weekly => "the last of a week",
            Self::Monthly => "the last of a month",
            Self::Yearly => "the last of a year",
            Self::Needed(need) => return need.fmt(f),
            Self::NoPolicy => "no policy",
        })
    }
}

fn needed<S>(candidate: &Candidate<S>) -> Vec<Reason> {
    candidate.needs.iter().cloned().map(Reason::Needed).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 60 * 60;
    const DAY: i64 = 24 * HOUR;
    /// Sunday 2026-11-01 00:00 UTC.
    const NOVEMBER: i64 = 1_793_491_200;

    fn none() -> Retention {
        Retention::default()
    }

    /// The places of those that are kept.
    fn kept(policy: &Retention, created: &[i64]) -> Vec<usize> {
        let snapshots = candidates(created);
        Plan::new(policy, &snapshots).kept().map(|(candidate, _)| candidate.snapshot).collect()
    }

    fn candidates(created: &[i64]) -> Vec<Candidate<usize>> {
        created.iter().enumerate().map(|(n, created)| Candidate::new(n, *created)).collect()
    }

    #[test]
    fn the_newest_are_kept() {
        let created: Vec<i64> = (0..5).map(|n| NOVEMBER + n).collect();
        assert_eq!(kept(&Retention { last: 2, ..none() }, &created), [3, 4]);
        assert_eq!(kept(&Retention { last: 9, ..none() }, &created), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_grid_keeps_the_last_of_each_period() {
        // Every six hours, forty days long.
        let created: Vec<i64> = (0..160).map(|n| NOVEMBER + n * 6 * HOUR).collect();
        assert_eq!(kept(&Retention { hourly: 3, ..none() }, &created), [157, 158, 159]);
        assert_eq!(kept(&Retention { daily: 3, ..none() }, &created), [151, 155, 159]);
        // The weeks end on Sunday the 22nd, the 29th and the 6th; the last one is not over.
        assert_eq!(kept(&Retention { weekly: 3, ..none() }, &created), [115, 143, 159]);
        assert_eq!(kept(&Retention { monthly: 3, ..none() }, &created), [119, 159]);
        assert_eq!(kept(&Retention { yearly: 3, ..none() }, &created), [159]);
    }

    #[test]
    fn a_week_belongs_to_one_year() {
        // Thursday 2026-12-31 and Friday 2027-01-01 are of one week and of two years.
        let created = [NOVEMBER + 60 * DAY, NOVEMBER + 61 * DAY];
        assert_eq!(kept(&Retention { weekly: 5, ..none() }, &created), [1]);
        assert_eq!(kept(&Retention { yearly: 5, ..none() }, &created), [0, 1]);
    }

    #[test]
    fn days_without_a_snapshot_do_not_count() {
        let created = [NOVEMBER, NOVEMBER + 30 * DAY, NOVEMBER + 90 * DAY];
        assert_eq!(kept(&Retention { daily: 2, ..none() }, &created), [1, 2]);
    }

    #[test]
    fn days_begin_by_the_clock_that_was_asked_for() {
        let created = [NOVEMBER + 22 * HOUR, NOVEMBER + 23 * HOUR];
        let utc = Retention { daily: 5, ..none() };
        assert_eq!(kept(&utc, &created), [1]);
        assert_eq!(kept(&Retention { minutes_ahead_of_utc: 60, ..utc }, &created), [0, 1]);
        assert_eq!(kept(&Retention { minutes_ahead_of_utc: i16::MIN, ..utc }, &created), [1]);
    }

    #[test]
    fn no_policy_keeps_everything() {
        let snapshots = candidates(&[1, 2, 3]);
        let plan = Plan::new(&none(), &snapshots);
        assert_eq!(plan.destroyed().count(), 0);
        assert!(plan.kept().all(|(_, reasons)| reasons == [Reason::NoPolicy]));
    }

    #[test]
    fn every_reason_is_told() {
        let mut snapshots = candidates(&[NOVEMBER, NOVEMBER + DAY]);
        let hold = Need::Hold("backup".to_owned());
        snapshots[0].needs.push(hold.clone());
        let plan = Plan::new(&Retention { last: 1, daily: 1, ..none() }, &snapshots);
        let reasons: Vec<&[Reason]> = plan.kept().map(|(_, reasons)| reasons).collect();
        assert_eq!(reasons, [&[Reason::Needed(hold)][..], &[Reason::Last, Reason::Daily]]);
        assert_eq!(reasons[0][0].to_string(), "held by 'backup'");
    }

    #[test]
    fn times_beyond_the_calendar_are_kept_or_not_and_do_not_panic() {
        let created = [i64::MIN, -1, 0, i64::MAX];
        for minutes_ahead_of_utc in [i16::MIN, 0, i16::MAX] {
            let policy = Retention { hourly: 9, yearly: 9, minutes_ahead_of_utc, ..none() };
            assert!(kept(&policy, &created).contains(&3));
        }
    }

    #[test]
    fn a_policy_is_read_from_text_and_a_misspelt_one_is_not() {
        let policy: Retention = serde_json::from_str(r#"{"last": 3, "daily": 7}"#).unwrap();
        assert_eq!(policy, Retention { last: 3, daily: 7, ..none() });
        assert!(serde_json::from_str::<Retention>(r#"{"dayly": 7}"#).is_err());
    }

    fn policies() -> impl Strategy<Value = Retention> {
        (0_u32..4, 0_u32..4, 0_u32..4, 0_u32..4, 0_u32..4, -900_i16..900).prop_map(
            |(last, hourly, daily, weekly, monthly, minutes_ahead_of_utc)| Retention {
                last,
                hourly,
                daily,
                weekly,
                monthly,
                yearly: 1,
                minutes_ahead_of_utc,
            },
        )
    }

    /// Mostly in order, and not always: clocks jump.
    fn times() -> impl Strategy<Value = Vec<i64>> {
        prop::collection::vec(0..120 * DAY, 0..60).prop_map(|mut times| {
            let jumped = times.pop();
            times.sort_unstable();
            times.extend(jumped);
            times
        })
    }

    proptest! {
        #[test]
        fn a_plan_that_was_carried_out_changes_nothing_the_next_time(
            policy in policies(), times in times()
        ) {
            let first = kept(&policy, &times);
            let left: Vec<i64> = first.iter().map(|n| times[*n]).collect();
            prop_assert_eq!(kept(&policy, &left), (0..left.len()).collect::<Vec<_>>());
        }

        #[test]
        fn the_newest_is_always_kept(policy in policies(), times in times()) {
            prop_assert_eq!(kept(&policy, &times).last().copied(), times.len().checked_sub(1));
        }

        #[test]
        fn no_more_is_kept_than_asked_for(policy in policies(), times in times()) {
            let most = policy.last + policy.hourly + policy.daily + policy.weekly + policy.monthly;
            prop_assert!(kept(&policy, &times).len() <= most as usize + 1);
        }

        #[test]
        fn a_need_only_adds_to_what_is_kept(
            policy in policies(), times in times(), needed in any::<prop::sample::Index>()
        ) {
            prop_assume!(!times.is_empty());
            let needed = needed.index(times.len());
            let mut snapshots = candidates(&times);
            snapshots[needed].needs.push(Need::Clone("tank/clone".to_owned()));
            let plan = Plan::new(&policy, &snapshots);
            let with: BTreeSet<usize> = plan.kept().map(|(candidate, _)| candidate.snapshot).collect();
            let mut without: BTreeSet<usize> = kept(&policy, &times).into_iter().collect();
            without.insert(needed);
            prop_assert_eq!(with, without);
        }

        #[test]
        fn asking_for_more_keeps_no_less(policy in policies(), times in times()) {
            let more = Retention { daily: policy.daily + 1, last: policy.last + 1, ..policy };
            let fewer = kept(&policy, &times);
            let kept = kept(&more, &times);
            prop_assert!(fewer.iter().all(|n| kept.contains(n)));
        }

        #[test]
        fn what_is_destroyed_and_what_is_kept_is_everything(policy in policies(), times in times()) {
            let snapshots = candidates(&times);
            let plan = Plan::new(&policy, &snapshots);
            prop_assert_eq!(plan.kept().count() + plan.destroyed().count(), times.len());
        }
    }
}
