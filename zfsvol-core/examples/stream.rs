//! Looks into send streams: no kernel, no root.
//!
//!     stream dump FILE|-                    what is in it, record by record, as `zstream dump -v` prints it
//!     stream verify FILE|-                  whether it is sound
//!     stream token TOKEN                    what a resume token says
//!     stream list FILE...                   the files of a file system, from a full stream and increments
//!     stream extract FILE... --to DISK      rebuilds a zvol from a full stream and increments; a file, with --path
//!
//! `--json` prints for programs: an object a line. Exit status: 0 sound, 1 damaged, 2 cannot read; the reason is on standard error.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use zfsvol_core::stream::{
    Begin, FileImage, FileTree, ReadSource, Record, RecordType, ResumeToken, StreamError,
    StreamReader, Summary, TokenError, Verifier, ZvolImage,
};

/// What is read at once.
const READ_BYTES: usize = 1 << 20;

#[derive(Parser)]
#[command(
    about = "Looks into send streams of OpenZFS",
    after_help = "FILE may be -, standard input.\n\n\
    Exit status: 0 sound, 1 damaged, 2 cannot read; the reason is on standard error."
)]
struct Arguments {
    /// Print JSON, an object a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print what is in a stream, record by record
    Dump { file: PathBuf },
    /// Say whether a stream is sound
    Verify { file: PathBuf },
    /// Print what a resume token says
    Token { token: String },
    /// List the files of a file system, from a full stream and increments in their order
    List {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Rebuild a zvol, or a file of a file system, from a full stream and increments in their order
    Extract {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The file of the file system, as `list` shows it; the streams are read twice
        #[arg(long)]
        path: Option<PathBuf>,
        /// Where to; a file that is not there yet
        #[arg(long, value_name = "DISK")]
        to: PathBuf,
    },
}

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let Arguments { json, command } = Arguments::parse();
    let outcome = match &command {
        Command::Dump { file } => dump(file, json),
        Command::Verify { file } => verify(file, json),
        Command::Token { token } => show_token(token, json),
        Command::List { files } => list(files, json),
        Command::Extract { files, path: None, to } => extract(files, to, json),
        Command::Extract { files, path: Some(path), to } => extract_file(files, path, to, json),
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    // Whoever read the output, as `head` does, has seen enough.
    let closed = error.downcast_ref::<io::Error>().map(io::Error::kind);
    if closed == Some(io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(io::stderr(), "stream: {error}");
    ExitCode::from(status(error.as_ref()))
}

/// Damage is 1, everything else 2.
fn status(error: &(dyn Error + 'static)) -> u8 {
    let damaged = error.downcast_ref().is_some_and(StreamError::is_damage);
    if damaged || error.is::<TokenError>() { 1 } else { 2 }
}

/// The input, and how long it is, if that is known.
fn open(file: &Path) -> io::Result<(Box<dyn Read>, Option<u64>)> {
    if file == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot open '{}': {error}", file.display()))
    };
    let opened = File::open(file).map_err(named)?;
    let metadata = opened.metadata().map_err(named)?;
    Ok((Box::new(opened), metadata.is_file().then_some(metadata.len())))
}

/// Shown on standard error while something takes its time, where somebody looks.
fn progress_bar(length: Option<u64>) -> Result<ProgressBar, Box<dyn Error>> {
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left {wide_msg}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {binary_bytes}, {binary_bytes_per_sec} {wide_msg}",
        ),
    };
    Ok(bar.with_style(ProgressStyle::with_template(template)?))
}

fn dump(file: &Path, json: bool) -> Outcome {
    let mut output = io::BufWriter::new(io::stdout().lock());
    let (input, _) = open(file)?;
    let mut reader = StreamReader::new(io::BufReader::with_capacity(READ_BYTES, input));
    loop {
        // What was read before the damage is worth seeing.
        let frame = match reader.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(error) => {
                output.flush()?;
                return Err(error.into());
            }
        };
        let is_begin = matches!(frame.record, Record::Begin(_));
        let list = is_begin.then(|| frame.begin_list()).transpose()?;
        let list = list.filter(|list| !list.is_empty());
        if json {
            let mut line = serde_json::to_value(frame.record)?;
            if let Some(fields) = line.as_object_mut() {
                fields.insert("index".to_owned(), json!(frame.index));
                fields.insert("at".to_owned(), json!(frame.offset));
                fields.insert("payload_bytes".to_owned(), json!(frame.payload.len()));
                if let Record::Begin(begin) = frame.record {
                    let names: Vec<_> = begin.features().names().collect();
                    fields.insert("features".to_owned(), json!(names));
                }
                if let Some(list) = list {
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

fn verify(file: &Path, json: bool) -> Outcome {
    let (mut input, length) = open(file)?;
    let bar = progress_bar(length)?;
    let mut verifier = Verifier::new();
    let mut buffer = vec![0; READ_BYTES];
    let verdict = loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => break verifier.finish(),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("cannot read '{}': {error}", file.display()).into()),
        };
        if let Err(error) = verifier.feed(buffer.get(..read).unwrap_or_default()) {
            break Err(error);
        }
        let passed = verifier.progress();
        bar.set_position(passed.bytes);
        bar.set_message(passed.last.map(|begin| begin.to_name.to_string()).unwrap_or_default());
    };
    bar.finish_and_clear();
    let mut output = io::stdout();
    match &verdict {
        Ok(summary) if json => {
            writeln!(output, "{}", json!({ "sound": true, "summary": summary }))?;
        }
        Ok(summary) => write!(output, "sound\n{}", lines(summary))?,
        Err(error) if json && error.is_damage() => writeln!(output, "{}", damage(error))?,
        Err(_) => {}
    }
    Ok(verdict.map(drop)?)
}

fn damage(error: &StreamError) -> Value {
    json!({
        "sound": false,
        "record": error.record(),
        "record_type": error.record_type().map(RecordType::name),
        "at": error.offset(),
        "problem": error.problem().to_string(),
    })
}

fn show_token(text: &str, json: bool) -> Outcome {
    let token: ResumeToken = text.trim().parse()?;
    let mut output = io::stdout();
    let flags: Vec<String> =
        token.flags.iter_names().map(|(name, _)| name.to_lowercase()).collect();
    if json {
        let value = json!({
            "to_name": token.to_name.to_string(),
            "to_guid": token.to_guid,
            "from_guid": token.from_guid,
            "object": token.object,
            "offset": token.offset,
            "bytes": token.bytes,
            "flags": flags,
            "redact_snapshots": token.redact_snapshots,
            "from_redact_snapshots": token.from_redact_snapshots,
        });
        writeln!(output, "{value}")?;
        return Ok(());
    }
    writeln!(output, "snapshot  {} (GUID {})", token.to_name, token.to_guid)?;
    match token.from_guid {
        Some(guid) => writeln!(output, "from      GUID {guid}")?,
        None => writeln!(output, "from      nothing: a full stream")?,
    }
    writeln!(output, "goes on   at object {}, byte {} of it", token.object, token.offset)?;
    writeln!(output, "received  {}", token.bytes)?;
    if !flags.is_empty() {
        writeln!(output, "flags     {}", flags.join(" "))?;
    }
    for (name, guids) in [
        ("redacted by", &token.redact_snapshots),
        ("from what was redacted by", &token.from_redact_snapshots),
    ] {
        let Some(guids) = guids else { continue };
        let guids: Vec<String> = guids.iter().map(|guid| format!("GUID {guid}")).collect();
        writeln!(output, "{name}  {}", guids.join(", "))?;
    }
    Ok(())
}

fn extract(files: &[PathBuf], disk: &Path, json: bool) -> Outcome {
    let image = onto_new(disk, |target| {
        let mut image = ZvolImage::new(target);
        for_each(files, |reader| image.apply(reader))?;
        Ok(image)
    })?;
    let (guid, written) = (image.guid(), image.written());
    let length = image.into_disk().metadata()?.len();
    let mut output = io::stdout();
    if json {
        let value = json!({ "guid": guid, "bytes": length, "written": written });
        writeln!(output, "{value}")?;
    } else {
        let (size, written) = (zfsvol_core::Bytes::new(length), zfsvol_core::Bytes::new(written));
        let guid = guid.map(|guid| guid.to_string()).unwrap_or_default();
        writeln!(output, "{}: {size}, {written} written; snapshot GUID {guid}", disk.display())?;
    }
    Ok(())
}

fn tree_of(files: &[PathBuf]) -> Result<FileTree, Box<dyn Error>> {
    let mut tree = FileTree::new();
    for_each(files, |reader| tree.apply(reader))?;
    Ok(tree)
}

fn list(files: &[PathBuf], json: bool) -> Outcome {
    let mut lines = Vec::new();
    tree_of(files)?.walk(|file| {
        let target = file.target.map(|target| target.display().to_string());
        lines.push(if json {
            let (path, kind) = (file.path.display().to_string(), file.kind.to_string());
            json!({ "path": path, "kind": kind, "object": file.object, "size": file.size,
                "mode": file.mode, "uid": file.uid, "gid": file.gid, "links": file.links,
                "modified": file.modified, "target": target })
            .to_string()
        } else {
            let arrow = target.map(|target| format!(" -> {target}")).unwrap_or_default();
            let (kind, mode, size) = (file.kind, file.mode, file.size);
            format!("{kind} {mode:04o} {size:>12} {}{arrow}", file.path.display())
        });
    })?;
    let mut output = io::BufWriter::new(io::stdout().lock());
    lines.iter().try_for_each(|line| writeln!(output, "{line}"))?;
    Ok(output.flush()?)
}

fn extract_file(files: &[PathBuf], path: &Path, to: &Path, json: bool) -> Outcome {
    let found = tree_of(files)?.find(path)?;
    let (object, size) = found.ok_or_else(|| format!("there is no '{}'", path.display()))?;
    onto_new(to, |target| {
        let mut image = FileImage::new(target, object);
        for_each(files, |reader| image.apply(reader))?;
        Ok(image.finish(size)?)
    })?;
    let mut output = io::stdout();
    if json {
        writeln!(output, "{}", json!({ "object": object, "bytes": size }))?;
    } else {
        writeln!(output, "{}: {}", to.display(), zfsvol_core::Bytes::new(size))?;
    }
    Ok(())
}

/// Has something made onto a new file, which goes again when that fails: half a one looks like a whole one.
fn onto_new<T>(
    path: &Path,
    make: impl FnOnce(File) -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    let target = File::options().read(true).write(true).create_new(true).open(path);
    let target = target.map_err(|error| format!("cannot make '{}': {error}", path.display()))?;
    make(target).inspect_err(|_| drop(fs::remove_file(path)))
}

/// Does something with each stream, in turn.
fn for_each(
    files: &[PathBuf],
    mut apply: impl FnMut(&mut StreamReader<ReadSource<Box<dyn Read>>>) -> Result<(), StreamError>,
) -> Outcome {
    for file in files {
        let (input, length) = open(file)?;
        let bar = progress_bar(length)?.with_message(file.display().to_string());
        let input = io::BufReader::with_capacity(READ_BYTES, bar.wrap_read(input));
        apply(&mut StreamReader::new(Box::new(input)))?;
        bar.finish_and_clear();
    }
    Ok(())
}

/// A summary, a line for each thing there is to say.
fn lines(summary: &Summary) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "\t{name:<10}{value}");
    };
    if let Some(begin) = summary.package.or(summary.first) {
        line("snapshot", begin.to_name.to_string());
    }
    if let Some(begin) = &summary.first {
        line("of", kind(begin).to_owned());
        match begin.from_guid.get() {
            0 => line("from", "nothing: a full stream".to_owned()),
            _ => line("from", format!("GUID {}", begin.from_guid)),
        }
        let features: Vec<_> = begin.features().names().collect();
        if !features.is_empty() {
            line("features", features.join(" "));
        }
    }
    line("streams", summary.streams.to_string());
    line("bytes", summary.bytes.to_string());
    line("records", summary.records().to_string());
    for kind in RecordType::ALL {
        let count = summary.count(kind);
        if count.records > 0 {
            let (records, bytes) = (count.records, count.payload_bytes);
            line(&format!("  {:<14}", kind.name()), format!("{records:>10} with {bytes} bytes"));
        }
    }
    text
}

fn kind(begin: &Begin) -> &'static str {
    match begin.objset_type {
        2 => "a file system",
        3 => "a zvol",
        _ => "what is neither file system nor zvol",
    }
}
