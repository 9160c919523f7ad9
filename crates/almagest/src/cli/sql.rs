//! `almagest sql`.

mod watchdog;

use super::Format;
use crate::exit::{self, Exit};
use crate::report::tell;
use anyhow::Context;
use curate::site::Site;
use model::EventId;
use query::writers::{AsCsv, AsJson, AsTable, cell};
use query::{ResultColumn, RowSink, SqlError, SqlLimits, SqlReader, SqlValue};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;
use watchdog::Watchdog;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Tables: multiframe, multiframe_detector, astrometry, provenance, programme_frame, preview,
detection (current rows; NAME_all has every row), survey, programme, filter, use_case, and the
control tables. Functions in addition to those of SQLite (log10, pow, sqrt, cos, median,
percentile ...): in_cone(ra, dec, ra0, dec0, radius), angular_distance_deg(ra1, dec1, ra2, dec2),
healpix29(ra, dec), galactic_l(ra, dec), galactic_b(ra, dec), header_value(cards, keyword) over
the table header. Filter numbers are those of a survey: join filter over survey_id and filter_id,
or take filter_name of multiframe.

Examples:
  almagest sql \"SELECT count(*) FROM detection\"
  almagest sql \"SELECT obj_id, ra, dec, aper_mag3 FROM detection
                WHERE in_cone(ra, dec, 284.05, 2.54, 1/60.0)\" --format csv")]
pub struct Arguments {
    /// One SELECT; `-` reads it from stdin.
    #[arg(value_name = "SELECT …", allow_hyphen_values = true)]
    query: String,
    /// Format of the result.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write to this file instead of stdout.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Fail (exit code 3) when the result has more rows; the first N are written.
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// Stop after this many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Query the tables as they were after this event; `SELECT * FROM event` lists them.
    #[arg(long, value_name = "EVENT")]
    as_of: Option<i64>,
    /// Print on stderr how much was read from the lake.
    #[arg(long)]
    stats: bool,
}

/// Runs a query and writes its rows as they arrive.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let session = match open(&site, arguments) {
        Ok(session) => session,
        Err(fault) => return ended(&site, fault),
    };
    curate::site::noted(session.note());
    let query = match arguments.query.as_str() {
        "-" => io::read_to_string(io::stdin()).context("cannot read the query from stdin")?,
        query => query.to_owned(),
    };
    let _watchdog = Watchdog::start(
        session.interrupt(),
        time_limit(&site, arguments),
        arguments.output.as_deref(),
    )?;
    let asked = match (&arguments.output, arguments.format) {
        (Some(path), format) => to_file(&session, &query, path, format),
        (None, Format::Parquet) if io::stdout().is_terminal() => {
            Err(exit::usage("Parquet is not written to a terminal: use --output FILE or a pipe"))
        }
        (None, format) => write_to(&session, &query, format, io::stdout()),
    };
    let report = match asked {
        Ok(report) => report,
        Err(fault) => return ended(&site, fault),
    };
    if arguments.stats {
        curate::log::statistics!(
            "query_statistics",
            rows = report.rows,
            bytes = report.lake_bytes,
            reads = report.lake_reads,
            files = report.lake_files,
            "{} rows; from the lake {} bytes in {} reads of {} files",
            report.rows,
            report.lake_bytes,
            report.lake_reads,
            report.lake_files
        );
    }
    Ok(Exit::Done)
}

/// Opens a query session with the limits of a site's configuration.
pub fn session(site: &Site, as_of: Option<EventId>) -> anyhow::Result<SqlReader> {
    let limits = &site.config.sql;
    let limits = SqlLimits {
        time: (limits.max_seconds > 0).then(|| Duration::from_secs(limits.max_seconds)),
        rows: (limits.max_rows > 0).then_some(limits.max_rows),
        temporary_bytes: (limits.max_temporary_mb > 0).then(|| limits.max_temporary_mb * 1_000_000),
        ..SqlLimits::DEFAULT
    };
    Ok(SqlReader::open_as_of(&site.place, limits, as_of)?)
}

fn time_limit(site: &Site, arguments: &Arguments) -> Option<Duration> {
    let seconds = arguments.seconds.unwrap_or(site.config.sql.max_seconds);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn open(site: &Site, arguments: &Arguments) -> anyhow::Result<SqlReader> {
    let mut site = site.clone();
    site.config.sql.max_rows = arguments.rows.unwrap_or(site.config.sql.max_rows);
    site.config.sql.max_seconds = arguments.seconds.unwrap_or(site.config.sql.max_seconds);
    let event = |number: i64| {
        EventId::new(number).ok_or_else(|| exit::usage(format!("--as-of {number} is not an event")))
    };
    session(&site, arguments.as_of.map(event).transpose()?)
}

/// Returns the outcome of a failed query: a mistake in the query is a failure of usage.
fn ended(site: &Site, fault: anyhow::Error) -> anyhow::Result<Exit> {
    let root = site.place.root();
    match fault.downcast_ref::<SqlError>() {
        Some(sql) if sql.is_interrupted() => {
            tell!(ERROR, "query_interrupted", "{sql}");
            Ok(Exit::Interrupted)
        }
        Some(sql) if sql.is_stopped() => Err(exit::gate(sql.to_string())),
        Some(sql) if sql.is_mistake() => Err(exit::usage(sql.to_string())),
        Some(sql) if sql.is_gate() => Err(exit::gate(exit::in_words(&fault, Some(root)))),
        Some(sql) if sql.is_moved() => Err(exit::conflict(exit::in_words(&fault, Some(root)))),
        _ => Err(fault),
    }
}

fn to_file(
    session: &SqlReader,
    query: &str,
    path: &std::path::Path,
    format: Format,
) -> anyhow::Result<query::QueryReport> {
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

/// Runs a query and writes its rows; when the query fails, the rows before the failure are written.
pub fn write_to<W: Write + Send>(
    session: &SqlReader,
    query: &str,
    format: Format,
    to: W,
) -> anyhow::Result<query::QueryReport> {
    let mut out = BufWriter::with_capacity(1 << 16, to);
    let report = match format {
        Format::Table => {
            let mut sink = AsTable::new(&mut out);
            let done = session.query(query, &mut sink);
            sink.end()?;
            done?
        }
        Format::Csv => session.query(query, &mut AsCsv::new(&mut out))?,
        Format::Json => {
            let mut sink = AsJson::new(&mut out);
            let done = session.query(query, &mut sink);
            sink.end()?;
            done?
        }
        Format::Parquet => {
            let mut sink = query::ParquetSink::new(&mut out);
            let done = session.query(query, &mut sink);
            sink.finish()?;
            done?
        }
    };
    out.flush()?;
    Ok(report)
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
        self.rows.push(values.iter().map(|value| cell(value).into_owned()).collect());
        Ok(())
    }
}
