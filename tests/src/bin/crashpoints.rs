//! Interrupts everything that moves a volume at every point, puts it right, and says how often that failed: never, if it is to succeed.
//!
//! `crashpoints [--module] [--only ioctls|messages|frames] [--sample N] [--twice N] [--seed N] [--threads N] [SCENARIO]`
//!
//! `crashpoints power-cut DISK DISK` goes on until the power is cut, and `crashpoints power-back N` checks that what it had said is there.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it says what it found")]

use std::process::ExitCode;
use std::str::FromStr;

use zfsvol_tests::crash::{self, Class, Options, power};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["power-cut", one, two] => return power_cut(one, two),
        ["power-back", written] => return power_back(written),
        _ => {}
    }
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

fn power_cut(one: &str, two: &str) -> ExitCode {
    let disks = [one.to_owned(), two.to_owned()];
    match power::until_the_power_is_cut(&disks, |what| println!("{what}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn power_back(written: &str) -> ExitCode {
    let Ok(written) = written.parse() else {
        eprintln!("'{written}' is no number of a write");
        return ExitCode::from(2);
    };
    match power::after_the_power_was_cut(written) {
        Ok(wrong) if wrong.is_empty() => ExitCode::SUCCESS,
        Ok(wrong) => {
            println!("{}", wrong.join("\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        on_module: false,
        filter: String::new(),
        only: None,
        sample: None,
        twice: 0,
        seed: 1,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--module" => options.on_module = true,
            "--only" => options.only = Some(class(arguments.next().as_deref())?),
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

fn class(text: Option<&str>) -> Result<Class, String> {
    match text {
        Some("ioctls") => Ok(Class::Ioctl),
        Some("messages") => Ok(Class::Message),
        Some("frames") => Ok(Class::Frame),
        _ => Err("--only needs ioctls, messages or frames".to_owned()),
    }
}

fn number<T: FromStr>(of: &str, text: Option<String>) -> Result<T, String> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| format!("{of} needs a number"))
}
