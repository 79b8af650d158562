//! Interrupts everything that moves a volume at every point, puts it right, and says how often that failed: never, if it is to succeed.
//!
//! `crashpoints [--module] [--sample N] [--twice N] [--seed N] [--threads N] [SCENARIO]`

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it says what it found")]

use std::process::ExitCode;
use std::str::FromStr;

use zfsvol_tests::crash::{self, Options};

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    match crash::run(&options) {
        Ok(report) => {
            println!("{report}");
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("there is no kernel to try it on: {error}");
            ExitCode::from(4)
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        on_module: false,
        filter: String::new(),
        sample: None,
        twice: 0,
        seed: 1,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--module" => options.on_module = true,
            "--sample" => options.sample = Some(number(&argument, arguments.next())?),
            "--twice" => options.twice = number(&argument, arguments.next())?,
            "--seed" => options.seed = number(&argument, arguments.next())?,
            "--threads" => options.threads = number(&argument, arguments.next())?,
            unknown if unknown.starts_with('-') => return Err(format!("there is no {unknown}")),
            scenario => scenario.clone_into(&mut options.filter),
        }
    }
    Ok(options)
}

fn number<T: FromStr>(of: &str, text: Option<String>) -> Result<T, String> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| format!("{of} needs a number"))
}
