//! `almagest sql` and `almagest attach`.

use super::Format;
use crate::exit::{self, Exit};
use crate::report::{Table, shown, tell};
use crate::site::Site;
use anyhow::Context;
use archive::sql::{Reader, ResultColumn, RowSink, SqlError, SqlLimits, SqlValue};
use model::EventId;
use std::collections::HashSet;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Tables: multiframe, multiframe_detector, astrometry, provenance, programme_frame, preview,
detection (current rows; NAME_all has every row), survey, programme, filter, use_case, and the
control tables. Functions beside SQLite's own (log10, pow, sqrt, cos, median, percentile ...):
in_cone(ra, dec, ra0, dec0, radius), angular_distance_deg(ra1, dec1, ra2, dec2), healpix29(ra, dec),
galactic_l(ra, dec), galactic_b(ra, dec), header_value(cards, keyword) over the table header.
Filter numbers are those of a survey: join filter over survey_id and filter_id, or take filter_name
of multiframe.

Examples:
  almagest sql \"SELECT count(*) FROM detection\"
  almagest sql \"SELECT obj_id, ra, dec, aper_mag3 FROM detection
                WHERE in_cone(ra, dec, 284.05, 2.54, 1/60.0)\" --format csv")]
pub struct Arguments {
    /// One SELECT; `-` reads it from stdin.
    #[arg(value_name = "SELECT …", allow_hyphen_values = true)]
    query: String,
    /// Form of the result on stdout.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write to this file instead of stdout.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// End the query as failed (exit code 3) when it has more rows; those before are written.
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// Stop after so many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// The tables as they were after this event; `SELECT * FROM event` lists them.
    #[arg(long, value_name = "EVENT")]
    as_of: Option<i64>,
    /// Say on stderr what was read from the lake.
    #[arg(long)]
    stats: bool,
}

/// Arguments of `attach`.
#[derive(Debug, clap::Args)]
pub struct AttachArguments {}

/// Runs a query and writes its rows as they come.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let session = open(&site, arguments)?;
    let query = match arguments.query.as_str() {
        "-" => io::read_to_string(io::stdin()).context("cannot read the query from stdin")?,
        query => query.to_owned(),
    };
    let interrupt = session.interrupt();
    // The handler only sets a flag that the query looks at.
    let mut signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
    ])?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            interrupt.stop();
        }
    });
    let asked = match (&arguments.output, arguments.format) {
        (Some(path), format) => to_file(&session, &query, path, format),
        (None, Format::Parquet) if io::stdout().is_terminal() => {
            Err(exit::usage("Parquet is not written to a terminal: use --output FILE or a pipe"))
        }
        (None, format) => write_to(&session, &query, format, io::stdout()),
    };
    let report = match asked {
        Ok(report) => report,
        Err(fault) => return ended(fault),
    };
    if arguments.stats {
        tell!(
            "{} rows; from the lake {} bytes in {} reads of {} files",
            report.rows,
            report.lake_bytes,
            report.lake_reads,
            report.lake_files
        );
    }
    Ok(Exit::Done)
}

/// Opens the session of a site's configuration.
pub fn session(site: &Site, as_of: Option<EventId>) -> anyhow::Result<Reader> {
    let limits = &site.config.sql;
    let limits = SqlLimits {
        time: (limits.seconds > 0).then(|| Duration::from_secs(limits.seconds)),
        rows: (limits.rows > 0).then_some(limits.rows),
        temporary_bytes: (limits.temporary_mb > 0).then(|| limits.temporary_mb * 1_000_000),
        ..SqlLimits::DEFAULT
    };
    Ok(Reader::open_as_of(&site.place, limits, as_of)?)
}

fn open(site: &Site, arguments: &Arguments) -> anyhow::Result<Reader> {
    let mut site = site.clone();
    site.config.sql.rows = arguments.rows.unwrap_or(site.config.sql.rows);
    site.config.sql.seconds = arguments.seconds.unwrap_or(site.config.sql.seconds);
    let event = |number: i64| {
        EventId::new(number).ok_or_else(|| exit::usage(format!("--as-of {number} is no event")))
    };
    session(&site, arguments.as_of.map(event).transpose()?)
}

/// A faulty query is a matter of usage.
fn ended(fault: anyhow::Error) -> anyhow::Result<Exit> {
    match fault.downcast_ref::<SqlError>() {
        Some(sql) if sql.is_interrupted() => {
            tell!("almagest: {}", shown(&sql.to_string()));
            Ok(Exit::Interrupted)
        }
        Some(sql) if sql.is_stopped() => Err(exit::gate(sql.to_string())),
        Some(sql) if sql.is_mistake() => Err(exit::usage(sql.to_string())),
        _ => Err(fault),
    }
}

fn to_file(
    session: &Reader,
    query: &str,
    path: &std::path::Path,
    format: Format,
) -> anyhow::Result<archive::sql::QueryReport> {
    files::publish(path, |file| -> Result<_, Publishing> {
        write_to(session, query, format, file).map_err(Publishing)
    })
    .map_err(|Publishing(fault)| fault)
    .with_context(|| format!("cannot write {}", path.display()))
}

struct Publishing(anyhow::Error);

impl From<files::PublishFault> for Publishing {
    fn from(fault: files::PublishFault) -> Self {
        Self(fault.into())
    }
}

/// Runs a query and writes its rows; when it fails, those that came before.
pub fn write_to<W: Write + Send>(
    session: &Reader,
    query: &str,
    format: Format,
    to: W,
) -> anyhow::Result<archive::sql::QueryReport> {
    let mut out = BufWriter::with_capacity(1 << 16, to);
    let report = match format {
        Format::Table => {
            let mut sink =
                AsTable { out: &mut out, columns: Vec::new(), waiting: Vec::new(), widths: None };
            let done = session.query(query, &mut sink);
            sink.flush()?;
            done?
        }
        Format::Csv => session.query(query, &mut AsCsv { out: &mut out })?,
        Format::Json => {
            let mut sink = AsJson { out: &mut out, names: Vec::new(), rows: 0 };
            let done = session.query(query, &mut sink);
            sink.end()?;
            done?
        }
        Format::Parquet => {
            let mut sink = archive::sql::ParquetSink::new(&mut out);
            let done = session.query(query, &mut sink);
            sink.finish()?;
            done?
        }
    };
    out.flush()?;
    Ok(report)
}

/// The shortest text that reads back as the same number.
fn number(x: f64) -> String {
    if x == x.trunc() && x.abs() < 1e15 { format!("{x:.1}") } else { format!("{x}") }
}

fn cell(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => String::new(),
        SqlValue::Integer(i) => i.to_string(),
        SqlValue::Real(x) => number(*x),
        SqlValue::Text(text) => String::from_utf8_lossy(text).into_owned(),
        SqlValue::Blob(bytes) => files::hex(bytes),
    }
}

/// Rows of a small result as text; NULL is empty.
#[derive(Debug, Default)]
pub struct Collected {
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl RowSink for Collected {
    fn columns(&mut self, _: &[ResultColumn]) -> io::Result<()> {
        Ok(())
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> io::Result<()> {
        self.rows.push(values.iter().map(cell).collect());
        Ok(())
    }
}

/// Rows that decide the widths of a table's columns.
const LOOK_AHEAD: usize = 1000;

struct AsTable<W: Write> {
    out: W,
    columns: Vec<String>,
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl<W: Write> AsTable<W> {
    fn flush(&mut self) -> io::Result<()> {
        if self.widths.is_some() {
            return Ok(());
        }
        let mut table = Table::new(self.columns.clone());
        for row in self.waiting.drain(..) {
            table.row(row);
        }
        let text = table.text();
        self.widths = Some(table.widths());
        self.out.write_all(text.as_bytes())
    }
}

impl<W: Write> RowSink for AsTable<W> {
    fn columns(&mut self, columns: &[ResultColumn]) -> io::Result<()> {
        self.columns = columns.iter().map(|c| c.name.clone()).collect();
        Ok(())
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> io::Result<()> {
        let cells: Vec<String> = values.iter().map(cell).collect();
        let Some(widths) = &self.widths else {
            self.waiting.push(cells);
            return if self.waiting.len() >= LOOK_AHEAD { self.flush() } else { Ok(()) };
        };
        let line: Vec<String> =
            cells.iter().zip(widths).map(|(c, w)| format!("{:>w$}", shown(c), w = *w)).collect();
        writeln!(self.out, "{}", line.join("  ").trim_end())
    }
}

struct AsCsv<W: Write> {
    out: W,
}

impl<W: Write> AsCsv<W> {
    /// RFC 4180; NULL is empty, an empty text is quoted, so that the two differ.
    fn line(&mut self, cells: impl Iterator<Item = Option<String>>) -> io::Result<()> {
        for (i, cell) in cells.enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match cell {
                None => write!(self.out, "{comma}")?,
                Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
                    write!(self.out, "{comma}\"{}\"", text.replace('"', "\"\""))?;
                }
                Some(text) => write!(self.out, "{comma}{text}")?,
            }
        }
        self.out.write_all(b"\r\n")
    }
}

impl<W: Write> RowSink for AsCsv<W> {
    fn columns(&mut self, columns: &[ResultColumn]) -> io::Result<()> {
        self.line(columns.iter().map(|c| Some(c.name.clone())))
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> io::Result<()> {
        self.line(values.iter().map(|v| (!matches!(v, SqlValue::Null)).then(|| cell(v))))
    }
}

/// Names as keys of an object: of equal ones the later get a number.
fn distinct<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let given: HashSet<&str> = names.clone().collect();
    let mut taken: HashSet<String> = HashSet::new();
    let free = |name: &str, taken: &HashSet<String>| {
        let numbered = (2..).map(|n| format!("{name}_{n}"));
        let mut free = numbered.filter(|n| !taken.contains(n) && !given.contains(n.as_str()));
        free.next().unwrap_or_default()
    };
    names
        .map(|name| {
            let name = if taken.contains(name) { free(name, &taken) } else { name.to_owned() };
            taken.insert(name.clone());
            name
        })
        .collect()
}

struct AsJson<W: Write> {
    out: W,
    names: Vec<String>,
    rows: u64,
}

impl<W: Write> AsJson<W> {
    fn end(&mut self) -> io::Result<()> {
        self.out.write_all(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })
    }
}

impl<W: Write> RowSink for AsJson<W> {
    fn columns(&mut self, columns: &[ResultColumn]) -> io::Result<()> {
        let names = distinct(columns.iter().map(|c| c.name.as_str()));
        self.names = names.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> io::Result<()> {
        self.out.write_all(if self.rows == 0 { b"[\n{" } else { b",\n{" })?;
        self.rows += 1;
        for (i, (name, value)) in self.names.iter().zip(values).enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(self.out, "{comma}{name}: ")?;
            match value {
                SqlValue::Null => self.out.write_all(b"null")?,
                SqlValue::Integer(n) => write!(self.out, "{n}")?,
                // Infinities have no number in JSON.
                SqlValue::Real(x) if !x.is_finite() => write!(self.out, "\"{x}\"")?,
                SqlValue::Real(x) => self.out.write_all(number(*x).as_bytes())?,
                other => serde_json::to_writer(&mut self.out, &cell(other))?,
            }
        }
        self.out.write_all(b"}")
    }
}

/// Prints the statements that attach the archive to DuckDB.
pub fn attach(site: Option<PathBuf>, _: &AttachArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut out: StdoutLock = io::stdout().lock();
    out.write_all(archive::attach_statements(&site.place)?.as_bytes())?;
    Ok(Exit::Done)
}
