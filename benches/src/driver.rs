//! [`Job`] and [`contend`]: a contender of `make bench-peers`, which does one item of work when it is told to.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use nix::sys::resource::{UsageWho, getrusage};

/// What a contender's work gives.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// An item of work: its name, and what does it and says how many volumes or snapshots it was.
pub type Item<T> = (&'static str, fn(&T, &Job) -> Outcome<usize>);

/// Which volumes an item of work is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The dataset right below which they are.
    pub parent: String,
    /// The number of the first.
    pub first: usize,
    /// How many there are.
    pub count: usize,
    /// From how many threads an item is done that is done from several.
    pub threads: usize,
}

impl Job {
    /// The name of the volume of that number.
    #[must_use]
    pub fn volume(&self, number: usize) -> String {
        format!("{}/v{number:06}", self.parent)
    }

    /// The names of all volumes.
    pub fn volumes(&self) -> impl Iterator<Item = String> + '_ {
        (self.first..self.first + self.count).map(|number| self.volume(number))
    }

    /// Calls `run` with the name of each volume, one after the other.
    ///
    /// # Errors
    ///
    /// The first that `run` gives.
    pub fn each(&self, mut run: impl FnMut(String) -> Outcome<()>) -> Outcome<usize> {
        self.volumes().try_for_each(&mut run)?;
        Ok(self.count)
    }

    /// The same from several threads.
    ///
    /// # Errors
    ///
    /// The last that `run` gives; the others go on.
    pub fn each_at_once(&self, run: impl Fn(String) -> Outcome<()> + Sync) -> Outcome<usize> {
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Relaxed);
                        if number >= self.count {
                            return;
                        }
                        if let Err(error) = run(self.volume(self.first + number)) {
                            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        }
                    }
                });
            }
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(self.count),
        }
    }
}

/// Where a stream goes, or comes from, in an item that is about one.
///
/// # Errors
///
/// When nobody has said it.
pub fn stream_path() -> Outcome<PathBuf> {
    let path = env::var_os("ZFSVOL_BENCH_STREAM").ok_or("ZFSVOL_BENCH_STREAM is not set")?;
    Ok(path.into())
}

/// The whole program of a contender, as `benches/README.md` has the protocol: `open` is what it needs beforehand, and is not measured.
pub fn contend<T>(open: impl FnOnce() -> Outcome<T>, items: &[Item<T>]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [only] if only == "items" => list(items, io::stdout()),
        _ => serve(open, items, &arguments, io::stdin().lock(), io::stdout()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done where this fails.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn list<T>(items: &[Item<T>], mut output: impl Write) -> Outcome<()> {
    items.iter().try_for_each(|(name, _)| writeln!(output, "{name}"))?;
    Ok(())
}

fn serve<T>(
    open: impl FnOnce() -> Outcome<T>,
    items: &[Item<T>],
    arguments: &[String],
    mut input: impl BufRead,
    mut output: impl Write,
) -> Outcome<()> {
    let [item, parent, first, count, threads] = arguments else {
        return Err("arguments: ITEM PARENT FIRST COUNT THREADS, or items".into());
    };
    let (_, run) = items
        .iter()
        .find(|(name, _)| name == item)
        .ok_or_else(|| format!("there is no item '{item}'"))?;
    let job = Job {
        parent: parent.clone(),
        first: first.parse()?,
        count: count.parse()?,
        threads: threads.parse()?,
    };
    let with = open()?;
    writeln!(output, "ready")?;
    output.flush()?;
    input.read_line(&mut String::new())?;
    let done = run(&with, &job)?;
    // The largest of what was started and has ended, in KiB; 0 where nothing was.
    let started = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    writeln!(output, "done {done} {started}")?;
    output.flush()?;
    // What measures looks at this process, and lets it go then.
    input.read_to_end(&mut Vec::new())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: &[Item<usize>] = &[
        ("count", |found, job| Ok(found + job.count)),
        ("fail", |_, job| job.each_at_once(|name| Err(name.into()))),
    ];

    fn served(arguments: &[&str]) -> Outcome<String> {
        let arguments: Vec<String> = arguments.iter().map(|&text| text.into()).collect();
        let mut output = Vec::new();
        serve(|| Ok(40), ITEMS, &arguments, &b"go\n"[..], &mut output)?;
        Ok(String::from_utf8(output)?)
    }

    #[test]
    fn an_item_is_done_after_it_was_told_to_be_ready() {
        let said = served(&["count", "tank/a", "0", "2", "1"]).unwrap();
        assert!(said.starts_with("ready\ndone 42 "), "{said}");
    }

    #[test]
    fn what_fails_in_a_thread_fails() {
        let error = served(&["fail", "tank/a", "7", "1", "3"]).unwrap_err();
        assert_eq!(error.to_string(), "tank/a/v000007");
    }

    #[test]
    fn an_item_that_is_not_there_is_named() {
        let error = served(&["none", "tank/a", "0", "1", "1"]).unwrap_err();
        assert_eq!(error.to_string(), "there is no item 'none'");
    }
}
