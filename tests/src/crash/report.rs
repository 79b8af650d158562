//! [`Report`]: what came of all runs.

use std::collections::BTreeMap;
use std::fmt;

use super::check::{Finding, FindingKind};
use super::stage::Kind;

/// So many findings of one kind and scenario are kept with all they say; of the others only the number.
const TOLD_MAX: usize = 2;

/// What came of all runs.
#[derive(Debug, Default)]
pub struct Report {
    points: usize,
    runs: usize,
    found: BTreeMap<FindingKind, usize>,
    told: BTreeMap<(&'static str, Kind, FindingKind), Vec<String>>,
}

impl Report {
    /// Of so many runs that there could be.
    pub(super) fn of(points: usize) -> Self {
        Self { points, ..Self::default() }
    }

    pub(super) fn add(
        &mut self,
        (scenario, kind): (&'static str, Kind),
        run: &str,
        finding: Option<Finding>,
    ) {
        self.runs += 1;
        if let Some(finding) = finding {
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
        self.runs
    }

    /// Whether there was at least one run, and every one ended as it must.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.runs > 0 && self.found.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for told in self.told.values().flatten() {
            writeln!(f, "{told}")?;
        }
        let count = |kind| self.found.get(&kind).copied().unwrap_or_default();
        writeln!(
            f,
            "{:>7}  times somebody died or a message was lost, of {}",
            self.runs, self.points
        )?;
        writeln!(f, "{:>7}  with two writers", count(FindingKind::TwoWriters))?;
        writeln!(f, "{:>7}  with lost data", count(FindingKind::LostData))?;
        writeln!(
            f,
            "{:>7}  with an epoch that is not the highest",
            count(FindingKind::WrongEpoch)
        )?;
        writeln!(f, "{:>7}  that trying again did not finish", count(FindingKind::Unfinished))?;
        write!(f, "{:>7}  that left something over", count(FindingKind::LeftOver))
    }
}
