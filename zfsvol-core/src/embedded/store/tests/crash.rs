//! A process that is killed loses nothing that it was told was done.

#![expect(clippy::disallowed_methods, reason = "a process of its own is killed")]

use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::thread;

use super::*;

const DIRECTORY: &str = "ZFSVOL_TEST_DIRECTORY";
const SEED: &str = "ZFSVOL_TEST_SEED";
const FROM: &str = "ZFSVOL_TEST_FROM";

/// What is killed: does one step after the other, and says so. It does nothing as a test.
#[test]
fn child() {
    let number = |name| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let (Ok(directory), Some(seed), Some(from)) = (env::var(DIRECTORY), number(SEED), number(FROM))
    else {
        return;
    };
    let zfs = open(Path::new(&directory));
    println!("open");
    for at in from.. {
        step(&zfs, seed, at);
        println!("{at}");
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let rounds = env::var("ZFSVOL_TEST_KILLS").map_or(25, |kills| kills.parse().unwrap());
    let mut dice = Dice::new(u64::from(std::process::id()), 0);
    let (mut kills, mut steps) = (0, 0);
    while kills < rounds {
        let seed = dice.roll(1 << 20);
        let directory = tempfile::tempdir().unwrap();
        let model = Zfs::new(builder().build());
        let mut done = 0;
        for _ in 0..8 {
            let acknowledged = run_and_kill(directory.path(), seed, done, dice.roll(120));
            kills += 1;
            (done..acknowledged).for_each(|number| step(&model, seed, number));
            steps += acknowledged - done;
            done = acknowledged;
            let found = picture(&open(directory.path()));
            let expected = picture(&model);
            if found == expected {
                continue;
            }
            // What was under way may be done or not, but nothing before it is missing.
            step(&model, seed, done);
            done += 1;
            if found == picture(&model) {
                continue;
            }
            // A receive has a middle as well.
            assert_eq!(
                Dice::new(seed, done - 1).roll(19),
                17,
                "seed {seed}: neither the state after {acknowledged} steps nor after one more:\n{}\n{}",
                differences(&expected, &found),
                differences(&picture(&model), &found),
            );
            break;
        }
    }
    assert!(steps > rounds, "{steps} steps in {kills} rounds");
}

/// Runs the child, kills it some milliseconds after it has begun, and answers how many steps were done from the first on.
fn run_and_kill(directory: &Path, seed: u64, from: u64, milliseconds: u64) -> u64 {
    let name = module_path!().split_once("::").unwrap().1;
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("{name}::child"), "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(SEED, seed.to_string())
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("open")), "the child did not begin");
    let killer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let last = lines.filter_map(|line| line.parse::<u64>().ok()).last();
    killer.join().unwrap();
    last.map_or(from, |last| last + 1)
}

/// The first lines of each that the other does not have.
fn differences(expected: &str, found: &str) -> String {
    let lacks = |one: &str, other: &str| {
        let lines = one.lines().filter(|line| !other.contains(*line)).take(3);
        lines.collect::<Vec<_>>().join("\n")
    };
    format!("missing: {}\nfound: {}", lacks(expected, found), lacks(found, expected))
}
