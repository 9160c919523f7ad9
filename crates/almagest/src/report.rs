//! Output of a terminal: results on stdout, progress bars.

use curate::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write as _};
use std::sync::{Mutex, PoisonError};

/// Writes a line of results on stdout.
macro_rules! say {
    ($($text:tt)*) => { $crate::report::to_stdout(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes results on stdout unchanged.
macro_rules! say_part {
    ($($text:tt)*) => { $crate::report::to_stdout(format_args!($($text)*)) };
}

pub(crate) use {say, say_part};

pub use curate::log::tell;
pub use curate::table::Table;
pub use curate::words::*;

/// Writes results. A reader that closed the pipe (`| head`) ends the output, not the work; any other failure ends the command.
pub fn to_stdout(text: std::fmt::Arguments<'_>) {
    match std::io::stdout().lock().write_fmt(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            tell!(ERROR, "stdout_not_written", "cannot write to stdout: {error}");
            std::process::exit(crate::exit::Exit::Infrastructure as i32);
        }
        _ => {}
    }
}

/// Makes a progress bar, which is visible on a terminal, and hidden in a pipe and by `--quiet`.
pub fn progress(what: &str, length: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg:<12} [{bar:30}] {pos:>7}/{len:<7} {eta:>6} left")
            .map(|s| s.progress_chars("=> "))
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), draw_target())
        .with_style(style)
        .with_message(what.to_owned())
}

fn draw_target() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() && !curate::log::is_quiet() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}

/// A progress bar per step, in files.
pub struct Bars {
    all: MultiProgress,
    by_step: Mutex<BTreeMap<&'static str, ProgressBar>>,
}

impl Default for Bars {
    fn default() -> Self {
        Self { all: MultiProgress::with_draw_target(draw_target()), by_step: Mutex::default() }
    }
}

impl Progress for Bars {
    fn expect(&self, step: &'static str, files: u64) {
        let mut bars = self.by_step.lock().unwrap_or_else(PoisonError::into_inner);
        bars.entry(step).or_insert_with(|| self.all.add(progress(step, 0))).inc_length(files);
    }

    fn done(&self, step: &'static str, files: u64) {
        if let Some(bar) = self.by_step.lock().unwrap_or_else(PoisonError::into_inner).get(step) {
            bar.inc(files);
        }
    }

    fn finish(&self) {
        let bars =
            std::mem::take(&mut *self.by_step.lock().unwrap_or_else(PoisonError::into_inner));
        for bar in bars.into_values() {
            bar.finish_and_clear();
        }
    }
}
