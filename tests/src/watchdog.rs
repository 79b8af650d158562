//! The watchdog: a case that hangs is named, and what its threads wait for is shown, before the run is ended.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The exit status of a run that the watchdog ended.
pub(crate) const EXIT_HUNG: i32 = 86;

/// Ends the process when a watched case takes longer than it may.
#[derive(Clone, Debug)]
pub(crate) struct Watchdog {
    running: Arc<Mutex<HashMap<&'static str, Instant>>>,
}

/// The watch over one case, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    watchdog: Watchdog,
    name: &'static str,
}

impl Watchdog {
    /// Starts the watch; each case may take `limit`.
    pub(crate) fn start(limit: Duration) -> Self {
        let watchdog = Self { running: Arc::default() };
        let watching = watchdog.clone();
        thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || {
                loop {
                    thread::sleep(Duration::from_secs(1));
                    if let Some(name) = watching.overdue(limit) {
                        give_up(name, limit);
                    }
                }
            })
            .expect("a thread can be started");
        watchdog
    }

    /// Watches over a case.
    pub(crate) fn watch(&self, name: &'static str) -> Watch {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Instant::now());
        Watch { watchdog: self.clone(), name }
    }

    fn overdue(&self, limit: Duration) -> Option<&'static str> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().find(|(_, since)| since.elapsed() > limit).map(|(name, _)| *name)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut running = self.watchdog.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(self.name);
    }
}

fn give_up(name: &str, limit: Duration) -> ! {
    eprintln!("\nHUNG: {name} did not end within {} s", limit.as_secs());
    for line in threads() {
        eprintln!("  {line}");
    }
    if std::env::var_os("ZFSVOL_GUEST").is_some() {
        // A thread that cannot be killed would keep this process, and so the guest, until the guest's own time is up. Nothing in the guest
        // is worth keeping; its runner sees that it ended without a status.
        eprintln!("HUNG: the guest is switched off");
        thread::sleep(Duration::from_secs(1));
        let error = nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_POWER_OFF);
        eprintln!("HUNG: the guest cannot be switched off: {error:?}");
    }
    std::process::exit(EXIT_HUNG)
}

/// One line for each thread of this process and of the programs it runs: its name, its state, and where in the kernel it waits.
fn threads() -> Vec<String> {
    let own = std::process::id().to_string();
    let mut lines = threads_of(&Path::new("/proc").join(&own));
    for process in entries(Path::new("/proc")) {
        // The fields behind the name, which is in parentheses and may hold anything: state, parent.
        let parent = stat(&process).and_then(|fields| fields.split(' ').nth(1).map(str::to_owned));
        if parent.as_deref() == Some(&own) {
            lines.push(format!("runs {}", read(&process.join("cmdline")).replace('\0', " ")));
            lines.extend(threads_of(&process));
        }
    }
    lines
}

fn threads_of(process: &Path) -> Vec<String> {
    let line = |task: PathBuf| {
        let state = stat(&task).unwrap_or_default();
        format!(
            "thread {} '{}' state {} in system call {}, waits in {} {}",
            task.file_name().unwrap_or_default().to_string_lossy(),
            read(&task.join("comm")),
            state.get(..1).unwrap_or("?"),
            read(&task.join("syscall")),
            read(&task.join("wchan")),
            read(&task.join("stack")),
        )
    };
    entries(&process.join("task")).into_iter().map(line).collect()
}

fn stat(task: &Path) -> Option<String> {
    read(&task.join("stat")).rsplit_once(") ").map(|(_, fields)| fields.to_owned())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

/// What a file of /proc says, in one line; nothing when this kernel does not have it.
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().replace('\n', " < ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_too_long_is_overdue() {
        let watchdog = Watchdog { running: Arc::default() };
        let watch = watchdog.watch("hold::slow");
        assert_eq!(watchdog.overdue(Duration::from_secs(60)), None);
        assert_eq!(watchdog.overdue(Duration::ZERO), Some("hold::slow"));
        drop(watch);
        assert_eq!(watchdog.overdue(Duration::ZERO), None);
    }

    #[test]
    fn every_thread_is_shown_with_its_name() {
        assert!(threads().iter().any(|line| line.contains("watchdog::tests")));
    }
}
