//! [`Contest`]: several ways of doing the same thing, in turns.

use std::fmt;
use std::time::{Duration, Instant};

/// Ways of going through the same bytes, the first of which the others are compared with.
pub struct Contest<'a> {
    title: String,
    bytes: usize,
    entrants: Vec<Entrant<'a>>,
}

struct Entrant<'a> {
    name: String,
    run: Box<dyn FnMut() + 'a>,
    took: Vec<Duration>,
}

/// How an entrant did.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Who.
    pub name: String,
    /// Bytes in a second, in half of the turns more.
    pub bytes_per_second: f64,
    /// Seconds a turn took: a quarter of the turns fewer, half fewer, three quarters fewer.
    pub seconds: [f64; 3],
    /// How many times as fast as the first in the same turn: a quarter of the turns below, half below, three quarters below.
    pub ratio: [f64; 3],
}

impl<'a> Contest<'a> {
    /// A contest over so many bytes a turn.
    #[must_use]
    pub fn new(title: impl Into<String>, bytes: usize) -> Self {
        Self { title: title.into(), bytes, entrants: Vec::new() }
    }

    /// One more way.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, run: impl FnMut() + 'a) -> Self {
        self.entrants.push(Entrant { name: name.into(), run: Box::new(run), took: Vec::new() });
        self
    }

    /// Lets each run once in every turn, after one turn that does not count.
    #[must_use]
    pub fn run(mut self, turns: usize) -> Vec<Standing> {
        for turn in 0..=turns {
            for entrant in &mut self.entrants {
                let start = Instant::now();
                (entrant.run)();
                if turn > 0 {
                    entrant.took.push(start.elapsed());
                }
            }
        }
        let first: Vec<f64> =
            self.entrants.first().map_or_else(Vec::new, |first| seconds(&first.took));
        let standings = self.entrants.iter().map(|entrant| {
            let took = seconds(&entrant.took);
            let ratios = first.iter().zip(&took).map(|(first, took)| first / took);
            Standing {
                name: entrant.name.clone(),
                bytes_per_second: self.bytes as f64 / quartiles(took.iter().copied())[1],
                seconds: quartiles(took.iter().copied()),
                ratio: quartiles(ratios),
            }
        });
        standings.collect()
    }

    /// As [`Contest::run`], with a table of the standings on top of which the title stands.
    #[must_use]
    pub fn table(self, turns: usize) -> String {
        let mut text = format!("{}, {turns} turns\n", self.title);
        self.run(turns).iter().for_each(|standing| text.push_str(&format!("  {standing}\n")));
        text
    }
}

impl fmt::Debug for Contest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.entrants.iter().map(|entrant| &entrant.name).collect();
        f.debug_struct("Contest").field("title", &self.title).field("entrants", &names).finish()
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, middle, high] = self.ratio;
        let gigabytes = self.bytes_per_second / 1e9;
        write!(f, "{:<34}{gigabytes:>8.2} GB/s  x {middle:.2} ({low:.2} to {high:.2})", self.name)
    }
}

fn seconds(took: &[Duration]) -> Vec<f64> {
    took.iter().map(Duration::as_secs_f64).collect()
}

/// The numbers a quarter, half and three quarters of all are below.
fn quartiles(numbers: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| numbers.get(numbers.len() * quarter / 4).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_the_measure_of_the_others() {
        let wait = |ms| move || std::thread::sleep(Duration::from_millis(ms));
        let standings =
            Contest::new("waiting", 1000).with("long", wait(20)).with("short", wait(4)).run(5);
        assert_eq!(standings[0].ratio, [1.0; 3]);
        assert!(standings[1].ratio[1] > 1.5, "{standings:?}");
        assert!(standings[0].bytes_per_second <= 50_000.0);
    }
}
