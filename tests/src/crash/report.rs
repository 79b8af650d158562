//! [`Report`]: what came of all runs.

use std::collections::BTreeMap;
use std::fmt;

use super::check::FindingKind;
use super::stage::Kind;
use super::{Class, Outcome};

/// So many findings of one kind and scenario are kept with all they say; of the others only the number.
const TOLD_MAX: usize = 2;

/// What came of all runs.
#[derive(Debug, Default)]
pub struct Report {
    runs: BTreeMap<Class, Count>,
    found: BTreeMap<FindingKind, usize>,
    told: BTreeMap<(&'static str, Kind, FindingKind), Vec<String>>,
}

/// The runs of a class.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// That there could be.
    points: usize,
    runs: usize,
    /// That came to their end before anything had happened.
    unreached: usize,
}

impl Report {
    /// There could be one more run.
    pub(super) fn expect(&mut self, class: Class) {
        self.runs.entry(class).or_default().points += 1;
    }

    pub(super) fn add(
        &mut self,
        class: Class,
        (scenario, kind): (&'static str, Kind),
        run: &str,
        outcome: Outcome,
    ) {
        let count = self.runs.entry(class).or_default();
        count.runs += 1;
        count.unreached += usize::from(!outcome.is_reached);
        if let Some(finding) = outcome.finding {
            *self.found.entry(finding.kind).or_default() += 1;
            let told = self.told.entry((scenario, kind, finding.kind)).or_default();
            if told.len() < TOLD_MAX {
                told.push(format!("{run}\n    {finding}"));
            }
        }
    }

    /// How many runs there were.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs.values().map(|count| count.runs).sum()
    }

    /// Whether there was at least one run, and every one ended as it must.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.runs() > 0 && self.found.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for told in self.told.values().flatten() {
            writeln!(f, "{told}")?;
        }
        for (class, Count { points, runs, unreached }) in &self.runs {
            let what = match class {
                Class::Ioctl => "times somebody died at an ioctl",
                Class::Message => "times a message was lost, or a stream broke off",
                Class::Frame => "times somebody died, or the connection was lost, at a frame",
                Class::Twice => "times of these again, and somebody died while that was put right",
            };
            write!(f, "{runs:>7}  {what}, of {points}")?;
            match unreached {
                0 => writeln!(f)?,
                _ => writeln!(f, "; {unreached} came to their end before it")?,
            }
        }
        let count = |kind| self.found.get(&kind).copied().unwrap_or_default();
        writeln!(f, "{:>7}  with two writers", count(FindingKind::TwoWriters))?;
        writeln!(f, "{:>7}  with lost data", count(FindingKind::LostData))?;
        writeln!(
            f,
            "{:>7}  with an epoch that is not the highest",
            count(FindingKind::WrongEpoch)
        )?;
        writeln!(f, "{:>7}  that trying again did not finish", count(FindingKind::Unfinished))?;
        writeln!(f, "{:>7}  with a base without a bookmark", count(FindingKind::LostBase))?;
        write!(f, "{:>7}  that left something over", count(FindingKind::LeftOver))
    }
}
