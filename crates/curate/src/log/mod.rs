//! The log: events with a level, a name and fields, in the log files of a site and on stderr.
//!
//! [`tell!`] is for the operator at the terminal: its text is on stderr unless `--quiet` is given, and in the log file.
//! [`note!`] is for the log file, and on stderr with `--verbose`. [`act!`] is one or the other. All of them are events of
//! `tracing`, whose subscriber is here: [`install`] makes the one of the process when a command starts, [`open`] gives it a file
//! when the site is known. Each loop of a daemon that runs all of them has a subscriber of its own ([`of_loop`]).
//!
//! Lines are made in [`mod@line`], files are written and rotated in [`mod@file`]. A log that cannot be written stops nothing; it is
//! reported once on stderr. Nodes do not log here: they leave files (`end.json`), and the curator logs their content.

mod file;
mod line;

pub use crate::config::{Format, Level};
#[doc(hidden)]
pub use tracing;

use crate::clock::now;
use crate::config;
use crate::words::to_stderr;
use archive::history::Cause;
use file::LogFile;
use line::Line;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tracing::{Dispatch, Event, Metadata, Subscriber, span};

/// Target of messages for the operator.
pub const OPERATOR: &str = "operator";
/// Target of messages that are written for the log files.
pub const LOG: &str = "log";
/// Target of statistics that an operator requested: on stderr like messages, without the name of the program.
pub const STATISTICS: &str = "statistics";

/// Reports something to the operator and in the log: level, name of the event, fields, message.
#[macro_export]
macro_rules! tell {
    ($level:ident, $event:literal, $($rest:tt)+) => {
        $crate::log::tracing::event!(
            name: $event, target: $crate::log::OPERATOR, $crate::log::tracing::Level::$level, $($rest)+
        )
    };
}

/// Records something in the log: level, name of the event, fields, message.
#[macro_export]
macro_rules! note {
    ($level:ident, $event:literal, $($rest:tt)+) => {
        $crate::log::tracing::event!(
            name: $event, target: $crate::log::LOG, $crate::log::tracing::Level::$level, $($rest)+
        )
    };
}

/// Records something in the log, and reports it to the operator when the condition holds.
#[macro_export]
macro_rules! act {
    ($is_shown:expr; $($rest:tt)+) => {
        if $is_shown { $crate::tell!($($rest)+) } else { $crate::note!($($rest)+) }
    };
}

/// Writes statistics that an operator requested: name of the event, fields, message.
#[macro_export]
macro_rules! statistics {
    ($event:literal, $($rest:tt)+) => {
        $crate::log::tracing::event!(
            name: $event, target: $crate::log::STATISTICS, $crate::log::tracing::Level::INFO, $($rest)+
        )
    };
}

/// Writes an event about a round by [`tell!`], [`note!`] or [`act!`]: the fields of the round come first.
#[macro_export]
macro_rules! of_round {
    ($write:ident, $unit:expr; $level:ident, $event:literal, $($rest:tt)+) => {
        $crate::$write!(
            $level, $event,
            delivery = $unit.delivery.as_str(), use_case = $unit.use_case.name(), round = $unit.round.get(), $($rest)+
        )
    };
    ($is_shown:expr, act, $unit:expr; $level:ident, $event:literal, $($rest:tt)+) => {
        $crate::act!(
            $is_shown; $level, $event,
            delivery = $unit.delivery.as_str(), use_case = $unit.use_case.name(), round = $unit.round.get(), $($rest)+
        )
    };
}

pub use {act, note, of_round, statistics, tell};

/// Records a decision of an operator.
pub fn decision(act: &str, subject: &str, cause: &Cause) {
    let Cause { who, why, .. } = cause;
    note!(INFO, "decision", act, subject, who, reason = why, "{act} {subject}, by {who}: {why}");
}

/// The choices of a command line about stderr and the format of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// True when only errors are written to stderr.
    pub is_quiet: bool,
    /// 0, 1 to write what the log file has at level info, or 2 for level debug.
    pub verbosity: u8,
    /// Format of stderr and of the log files; `None` for text on stderr and the configured format of the files.
    pub format: Option<Format>,
}

/// The writers of log files: each has a file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The commands.
    Commands,
    /// The loops that watch sources.
    Transfer,
    /// The data daemon, with the notification of operators.
    Data,
    /// The ingester.
    Ingester,
}

impl Writer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Commands, Self::Transfer, Self::Data, Self::Ingester];

    /// Returns the name of the file in `logs/`.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Commands => "almagest.log",
            Self::Transfer => "transfer.log",
            Self::Data => "data.log",
            Self::Ingester => "ingester.log",
        }
    }
}

/// The subscriber of a process, or of one loop.
struct Sink {
    options: Options,
    file: OnceLock<LogFile>,
}

/// The subscriber of the process, when it has one.
static PROCESS: OnceLock<Arc<Sink>> = OnceLock::new();

/// Makes the subscriber of the process, without a file. A second call changes nothing.
pub fn install(options: Options) {
    let sink = PROCESS.get_or_init(|| Arc::new(Sink { options, file: OnceLock::new() }));
    // Fails only when there is a subscriber already, which then is this one.
    let _ = tracing::dispatcher::set_global_default(Dispatch::new(Arc::clone(sink)));
}

/// Returns true when only errors are written to stderr.
pub fn is_quiet() -> bool {
    PROCESS.get().is_some_and(|sink| sink.options.is_quiet)
}

/// Makes the process write to a log file in the directory `logs` of a site. The first call decides which.
pub fn open(logs: &Path, config: &config::Log, writer: Writer) {
    if let Some(sink) = PROCESS.get() {
        sink.file.get_or_init(|| file_of(logs, config, writer, sink.options));
    }
}

/// Returns a subscriber for one of several loops of a process, with a log file of its own.
pub fn of_loop(logs: &Path, config: &config::Log, writer: Writer) -> Dispatch {
    let options = PROCESS.get().map(|sink| sink.options).unwrap_or_default();
    Dispatch::new(Sink { options, file: file_of(logs, config, writer, options).into() })
}

/// Runs `act` under a subscriber. The threads that `act` starts are under the subscriber of the process, unless they call this
/// function with [`current`].
pub fn under<T>(subscriber: &Dispatch, act: impl FnOnce() -> T) -> T {
    tracing::dispatcher::with_default(subscriber, act)
}

/// Returns the subscriber of this thread.
pub fn current() -> Dispatch {
    tracing::dispatcher::get_default(Clone::clone)
}

fn file_of(logs: &Path, config: &config::Log, writer: Writer, options: Options) -> LogFile {
    let path = logs.join(writer.file_name());
    LogFile::new(&path, config.level, options.format.unwrap_or(config.format))
}

impl Sink {
    /// Returns true when events of a level and target are written to stderr.
    fn is_on_stderr(&self, metadata: &Metadata<'_>) -> bool {
        let level = *metadata.level();
        match self.options.verbosity {
            _ if self.options.is_quiet => level <= tracing::Level::ERROR,
            0 => {
                level <= tracing::Level::ERROR
                    || [OPERATOR, STATISTICS].contains(&metadata.target())
            }
            1 => level <= tracing::Level::INFO,
            _ => level <= tracing::Level::DEBUG,
        }
    }

    fn file_for(&self, metadata: &Metadata<'_>) -> Option<&LogFile> {
        self.file.get().filter(|file| *metadata.level() <= tracing::Level::from(file.level()))
    }

    fn to_stderr(&self, line: &Line) {
        to_stderr(&line.on_stderr(self.options.format.unwrap_or_default()));
    }
}

impl Subscriber for Sink {
    /// Sets that each event is checked: the file is known later than the first event.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && (self.is_on_stderr(metadata) || self.file_for(metadata).is_some())
    }

    fn event(&self, event: &Event<'_>) {
        let line = Line::of(event, now());
        if self.is_on_stderr(event.metadata()) {
            self.to_stderr(&line);
        }
        if let Some(file) = self.file_for(event.metadata())
            && let Some(fault) = file.write(&line)
        {
            self.to_stderr(&not_written(file.path(), &fault));
        }
    }

    // Events only: there are no spans.

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Returns the report of a log file that cannot be written.
fn not_written(path: &Path, fault: &std::io::Error) -> Line {
    let message =
        format!("cannot write to the log {}, and work continues: {fault}", path.display());
    Line::new(Level::Error, "log_not_written", message, now())
}
