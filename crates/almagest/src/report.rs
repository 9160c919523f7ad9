//! What the operator reads: text tables, progress bars, numbers with sensible digits.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

/// A line of results on stdout.
macro_rules! say {
    ($($text:tt)*) => { $crate::report::to_stdout(format_args!("{}\n", format_args!($($text)*))) };
}

/// Results on stdout as they are.
macro_rules! say_part {
    ($($text:tt)*) => { $crate::report::to_stdout(format_args!($($text)*)) };
}

/// A line for the operator on stderr.
macro_rules! tell {
    ($($text:tt)*) => { $crate::report::to_stderr(format_args!($($text)*)) };
}

pub(crate) use {say, say_part, tell};

/// Writes a line that belongs to no result. One that cannot be written is lost: the exit code still tells.
pub fn to_stderr(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes results. A reader that went away (`| head`) ends the output, not the work; anything else ends the command.
pub fn to_stdout(text: std::fmt::Arguments<'_>) {
    match std::io::stdout().lock().write_fmt(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            tell!("almagest: cannot write to stdout: {error}");
            std::process::exit(crate::exit::Exit::Infrastructure as i32);
        }
        _ => {}
    }
}

/// Foreign text as it may be shown; see [`model::shown`].
pub use model::shown;

/// A document as JSON, in which what cannot be seen is escaped: the value is the same for whoever reads it.
///
/// # Errors
/// When a value has no form in JSON.
pub fn json(document: &impl serde::Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string_pretty(document)?;
    if text.chars().all(|c| c == '\n' || model::is_clean(c.encode_utf8(&mut [0; 4]))) {
        return Ok(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c == '\n' || model::is_clean(c.encode_utf8(&mut [0; 4])) {
            safe.push(c);
            continue;
        }
        // Such a character stands in strings alone.
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    Ok(safe)
}

/// A path as a shell takes it.
pub fn quoted(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,~".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", shown(&text).replace('\'', "'\\''"))
}

/// "1 refusal", "2 refusals", "2 deliveries".
pub fn counted(count: u64, one: &str) -> String {
    let is_vowel_before_y = |stem: &str| stem.ends_with(['a', 'e', 'i', 'o', 'u']);
    match one.strip_suffix('y') {
        _ if count == 1 => format!("1 {one}"),
        Some(stem) if !is_vowel_before_y(stem) => format!("{} {stem}ies", grouped(count)),
        _ if one.ends_with(['s', 'x']) || one.ends_with("ch") => {
            format!("{} {one}es", grouped(count))
        }
        _ => format!("{} {one}s", grouped(count)),
    }
}

/// A time as tables have it; their headers say UTC.
pub fn utc(time: chrono::DateTime<chrono::Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time of a file or table of ours as tables have it; what is no time stays as it is.
pub fn utc_of(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), utc)
}

/// Characters beyond which a column of a table is not made wider; longer cells stand out.
pub const MOST_WIDE: usize = 1000;

/// A text table: columns as wide as their longest cell, numbers to the right.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles.
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(|c| shown(&c.into())).collect());
    }

    /// Width of each column.
    pub fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.head.iter().map(|h| h.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths.iter().map(|width| (*width).min(MOST_WIDE)).collect()
    }

    /// Returns the first rows as text, and how many were cut.
    pub fn first(&self, at_most: usize) -> String {
        let cut = self.rows.len().saturating_sub(at_most);
        if cut == 0 {
            return self.text();
        }
        let rows = self.rows.iter().take(at_most).cloned().collect();
        let text = Self { head: self.head.clone(), rows }.text();
        format!("{text}… and {} more\n", grouped(cut as u64))
    }

    /// The table as text, a line per row.
    pub fn text(&self) -> String {
        let columns = self.head.len();
        let widths = self.widths();
        let mut numeric = vec![!self.rows.is_empty(); columns];
        for row in &self.rows {
            for (i, cell) in row.iter().enumerate().take(columns) {
                numeric[i] &= cell.is_empty()
                    || cell.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
            }
        }
        let mut text = String::new();
        let mut line = |cells: &[String]| {
            let mut out = String::new();
            for (i, width) in widths.iter().enumerate() {
                let cell = cells.get(i).map_or("", String::as_str);
                let gap = if i == 0 { "" } else { "  " };
                // By hand: a format string takes no width beyond 65 535.
                let space = " ".repeat(width.saturating_sub(cell.chars().count()));
                let (before, after) =
                    if numeric[i] { (space.as_str(), "") } else { ("", space.as_str()) };
                out.extend([gap, before, cell, after]);
            }
            text.push_str(out.trim_end());
            text.push('\n');
        };
        line(&self.head);
        let rules: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        line(&rules);
        for row in &self.rows {
            line(row);
        }
        text
    }
}

/// A whole number with thin groups: `12 345 678`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Bytes with a binary-free unit: `1.2 GB`.
pub fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 1000.0 || unit == "TB" {
            return if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    unreachable!("the last unit takes everything")
}

/// Bytes per second, or a dash when nothing was timed.
pub fn byte_rate(count: u64, seconds: f64) -> String {
    if seconds <= 0.0 {
        return "-".to_owned();
    }
    format!("{}/s", bytes((count as f64 / seconds) as u64))
}

/// A rate per second, or a dash when nothing was timed.
pub fn rate(count: u64, seconds: f64) -> String {
    if count == 0 || seconds <= 0.0 {
        return "-".to_owned();
    }
    let per_second = count as f64 / seconds;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive rate for display"
    )]
    let whole = per_second.round() as u64;
    if per_second < 10.0 { format!("{per_second:.1}/s") } else { format!("{}/s", grouped(whole)) }
}

/// A progress bar on a terminal, nothing in a pipe.
pub fn progress(what: &str, length: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style =
        ProgressStyle::with_template("{msg:<12} [{bar:30}] {pos:>7}/{len:<7} {eta:>6} left")
            .map(|s| s.progress_chars("=> "))
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), target)
        .with_style(style)
        .with_message(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(1234567), "1 234 567");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500_000), "1.5 MB");
        assert_eq!(rate(10, 4.0), "2.5/s");
        assert_eq!(rate(0, 4.0), "-");
        let words = [("delivery", "2 deliveries"), ("day", "2 days"), ("batch", "2 batches")];
        for (one, many) in words.into_iter().chain([("file", "2 files")]) {
            assert_eq!((counted(1, one), counted(2, one)), (format!("1 {one}"), many.to_owned()));
        }
    }

    #[test]
    fn tables_align_and_show_control_characters() {
        let mut table = Table::new(["file", "rows"]);
        table.row(["a\u{1b}[31m", "7"]);
        table.row(["b", "1234"]);
        assert_eq!(
            table.text(),
            "file       rows\n---------  ----\na\\x1b[31m     7\nb          1234\n"
        );
    }
}
