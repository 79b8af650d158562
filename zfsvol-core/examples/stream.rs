//! Looks into send streams: no kernel, no root.
//!
//!     stream dump FILE|-                    what is in it, as `zstream dump -v` prints it
//!     stream verify FILE|-                  whether it is sound
//!     stream token TOKEN                    what a resume token says
//!     stream extract FILE... --to DISK      rebuilds a zvol from a full stream and increments
//!
//! `--json` prints for programs: an object a line. Exit status: 0 sound, 1 damaged (the reason is on standard error),
//! 2 cannot read.

use std::error::Error;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;
use zfsvol_core::stream::{
    Record, ResumeToken, StreamError, StreamReader, Summary, TokenError, Verifier, ZvolImage,
};

/// What is read at once.
const READ_BYTES: usize = 1 << 20;

/// How often the progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

const USAGE: &str =
    "usage: stream [--json] dump FILE|- | verify FILE|- | token TOKEN | extract FILE... --to DISK";

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    arguments.retain(|argument| argument != "--json");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["dump", file] => dump(file, json),
        ["verify", file] => verify(file, json),
        ["token", token] => show_token(token, json),
        ["extract", files @ .., "--to", disk] if !files.is_empty() => extract(files, disk, json),
        _ => Err(USAGE.into()),
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    let _ = writeln!(io::stderr(), "stream: {error}");
    ExitCode::from(status(error.as_ref()))
}

/// Damage is 1, everything else 2.
fn status(error: &(dyn Error + 'static)) -> u8 {
    let damaged = error.downcast_ref().is_some_and(StreamError::is_damage);
    if damaged || error.is::<TokenError>() { 1 } else { 2 }
}

fn open(file: &str) -> io::Result<Box<dyn Read>> {
    if file == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    match File::open(file) {
        Ok(opened) => Ok(Box::new(opened)),
        Err(error) => Err(io::Error::new(error.kind(), format!("cannot open '{file}': {error}"))),
    }
}

fn dump(file: &str, json: bool) -> Outcome {
    let mut output = io::BufWriter::new(io::stdout().lock());
    let mut reader = StreamReader::new(io::BufReader::with_capacity(READ_BYTES, open(file)?));
    while let Some(frame) = reader.next_frame()? {
        let is_begin = matches!(frame.record, Record::Begin(_));
        let list = is_begin.then(|| frame.begin_list()).transpose()?;
        if json {
            let mut line = serde_json::to_value(frame.record)?;
            if let Some(fields) = line.as_object_mut() {
                fields.insert("index".to_owned(), json!(frame.index));
                fields.insert("at".to_owned(), json!(frame.offset));
                fields.insert("payload_size".to_owned(), json!(frame.payload.len()));
                if let Some(list) = list.filter(|list| !list.is_empty()) {
                    fields.insert("list".to_owned(), serde_json::to_value(&list)?);
                }
            }
            writeln!(output, "{line}")?;
        } else {
            writeln!(output, "{}", frame.record)?;
            if let Some(list) = list {
                writeln!(output, "\n{list}")?;
            }
        }
    }
    let summary = reader.progress();
    if json {
        writeln!(output, "{}", json!({ "summary": summary }))?;
    } else {
        write!(output, "SUMMARY:\n{}", lines(summary))?;
    }
    Ok(output.flush()?)
}

fn verify(file: &str, json: bool) -> Outcome {
    let mut input = open(file)?;
    let mut verifier = Verifier::new();
    let mut progress = Progress::new();
    let mut buffer = vec![0; READ_BYTES];
    let summary = loop {
        match input.read(&mut buffer) {
            Ok(0) => break verifier.finish(),
            Ok(length) => match verifier.feed(buffer.get(..length).unwrap_or_default()) {
                Ok(()) => progress.show(verifier.progress())?,
                Err(error) => break Err(error),
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    };
    progress.clear()?;
    let summary = summary?;
    let mut output = io::stdout();
    if json {
        writeln!(output, "{}", json!({ "sound": true, "summary": summary }))?;
    } else {
        write!(output, "sound\n{}", lines(&summary))?;
    }
    Ok(())
}

fn show_token(text: &str, json: bool) -> Outcome {
    let token: ResumeToken = text.trim().parse()?;
    let mut output = io::stdout();
    let flags: Vec<&str> = token.flags.iter_names().map(|(name, _)| name).collect();
    if json {
        let value = json!({
            "to_name": token.to_name.to_string(),
            "to_guid": token.to_guid,
            "from_guid": token.from_guid,
            "object": token.object,
            "offset": token.offset,
            "bytes": token.bytes,
            "flags": flags,
        });
        writeln!(output, "{value}")?;
        return Ok(());
    }
    writeln!(output, "snapshot  {} (GUID {})", token.to_name, token.to_guid)?;
    match token.from_guid {
        Some(guid) => writeln!(output, "from      GUID {guid}")?,
        None => writeln!(output, "from      nothing: a full stream")?,
    }
    writeln!(output, "at        object {}, offset {}", token.object, token.offset)?;
    writeln!(output, "received  {}", token.bytes)?;
    writeln!(output, "flags     {}", flags.join(" "))?;
    Ok(())
}

fn extract(files: &[&str], disk: &str, json: bool) -> Outcome {
    let target = File::options().read(true).write(true).create(true).truncate(true).open(disk)?;
    let mut image = ZvolImage::new(target);
    for file in files {
        let mut reader = StreamReader::new(io::BufReader::with_capacity(READ_BYTES, open(file)?));
        image.apply(&mut reader)?;
    }
    let (guid, written) = (image.guid(), image.written());
    let disk_bytes = image.into_disk().metadata()?.len();
    let mut output = io::stdout();
    if json {
        let value = json!({ "guid": guid, "bytes": disk_bytes, "written": written });
        writeln!(output, "{value}")?;
    } else {
        writeln!(output, "{disk}: {disk_bytes} bytes, {written} of them written")?;
    }
    Ok(())
}

fn lines(summary: &Summary) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("\t{name:<10}{value}\n"));
    if let Some(begin) = summary.package.or(summary.first) {
        line("snapshot", begin.to_name.to_string());
    }
    if let Some(begin) = &summary.first {
        line("features", begin.features().names().collect::<Vec<_>>().join(" "));
    }
    line("streams", summary.streams.to_string());
    line("records", summary.records().to_string());
    line("objects", summary.objects().to_string());
    line("payload", summary.payload_bytes().to_string());
    line("bytes", summary.bytes.to_string());
    text
}

/// One line that is written over again and again, where somebody looks.
struct Progress {
    shown: Option<Instant>,
    is_terminal: bool,
}

impl Progress {
    fn new() -> Self {
        Self { shown: None, is_terminal: io::stderr().is_terminal() }
    }

    fn show(&mut self, summary: &Summary) -> io::Result<()> {
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= PROGRESS_EVERY);
        if !self.is_terminal || !due {
            return Ok(());
        }
        self.shown = Some(Instant::now());
        let name = summary.last.map(|begin| begin.to_name.to_string()).unwrap_or_default();
        let bytes = zfsvol_core::Bytes::new(summary.bytes);
        write!(io::stderr(), "\r\x1b[K{bytes}  {} records  {name}", summary.records())
    }

    fn clear(&self) -> io::Result<()> {
        if self.shown.is_some() { write!(io::stderr(), "\r\x1b[K") } else { Ok(()) }
    }
}
