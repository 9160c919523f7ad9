//! Text for operators: numbers with sensible digits, times, foreign text made safe.

use std::fmt::Write as _;
use std::io::Write as _;

/// Writes whole lines that belong to no result. Lines that cannot be written are lost: the exit code still reports the outcome.
pub fn to_stderr(lines: &str) {
    // One write, so that lines of several processes do not mix.
    let _ = std::io::stderr().lock().write_all(lines.as_bytes());
}

/// Makes foreign text safe to show; see [`model::shown`].
pub use model::shown;

/// Returns a document as JSON in which invisible characters are escaped: the value is the same for every reader.
///
/// # Errors
/// When a value has no form in JSON.
pub fn json(document: &impl serde::Serialize) -> serde_json::Result<String> {
    Ok(escaped(&serde_json::to_string_pretty(document)?))
}

/// Returns JSON text with its invisible characters escaped.
pub(crate) fn escaped(text: &str) -> String {
    if text.chars().all(|c| c == '\n' || model::is_clean(c.encode_utf8(&mut [0; 4]))) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c == '\n' || model::is_clean(c.encode_utf8(&mut [0; 4])) {
            safe.push(c);
            continue;
        }
        // Such a character occurs in strings only.
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    safe
}

/// Returns a path quoted for a shell.
pub fn quoted(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,~".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", shown(&text).replace('\'', "'\\''"))
}

/// Returns a count with its noun: "1 refusal", "2 refusals", "2 deliveries".
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

/// Returns a time in the format of tables, whose headers contain UTC.
pub fn utc(time: chrono::DateTime<chrono::Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns a whole number in groups of three digits: `12 345 678`.
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

/// Returns bytes with a decimal unit: `1.2 GB`.
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

/// Returns bytes per second, or a dash when nothing was timed.
pub fn byte_rate(count: u64, seconds: f64) -> String {
    if seconds <= 0.0 {
        return "-".to_owned();
    }
    format!("{}/s", bytes((count as f64 / seconds) as u64))
}

/// Returns a rate per second, or a dash when nothing was timed.
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
}
