//! The values that a result may report, whatever wrote it: counts, numbers and texts that every part of the curator and
//! both engines accept.
//!
//! This module checks the result alone. The archive checks its relation to its task, the ingester the contents of its
//! files.

use crate::fault::StageFault;
use model::task::{DetectorRows, HduReport, RESULT_NAME, RunReport, StagedFile, TaskResult};
use model::{Finding, MultiframeId, Refusal, RowRange, is_clean, shown, shown_briefly};
use std::collections::HashSet;

/// Greatest number of entries of each list of a result. A bad night of 100 000 refusals in one task stays below.
pub const MAX_ENTRIES: usize = 250_000;
/// Greatest number of row ranges that one refusal lists.
const MAX_RANGES: usize = 10_000;
/// Greatest number of columns with NaN of one HDU.
const MAX_COLUMNS: usize = 10_000;
/// Greatest number of rows and bytes, and greatest count: sums of all that a result may list stay far below 2^63.
const MAX_COUNT: u64 = 1 << 40;
/// Greatest memory of a process, in bytes.
const MAX_MEMORY: u64 = 1 << 50;
/// Greatest length in bytes of a message; below, that of a file name, and that of a code, keyword, column or program
/// name.
const MAX_SECONDS: f64 = 1e9;
/// Greatest length in bytes of a message; of the name of a file, code, keyword or column or program.
const MESSAGE_BYTES: usize = 4000;
const FILE_BYTES: usize = 1000;
const WORD_BYTES: usize = 200;

type Checked = Result<(), StageFault>;

/// Checks everything in a result that can be judged without its task.
///
/// # Errors
/// [`StageFault::Invalid`], which names the field.
pub fn examine(result: &TaskResult) -> Checked {
    let lists = [
        ("files", result.files.len()),
        ("hdus", result.hdus.len()),
        ("detectors", result.detectors.len()),
        ("kept", result.kept.len()),
        ("refusals", result.refusals.len()),
        ("findings", result.findings.len()),
    ];
    for (list, length) in lists {
        ensure(length <= MAX_ENTRIES, list, || format!("{length} entries"))?;
    }
    files(result)?;
    hdus(&result.hdus)?;
    detectors(result)?;
    for (n, refusal) in result.refusals.iter().enumerate() {
        examine_refusal(refusal).map_err(|fault| fault.within(format!("refusals[{n}]")))?;
    }
    for (n, finding) in result.findings.iter().enumerate() {
        examine_finding(finding).map_err(|fault| fault.within(format!("findings[{n}]")))?;
    }
    one_word("software", &result.software)?;
    run(&result.run)
}

fn ensure(is_so: bool, field: &str, problem: impl FnOnce() -> String) -> Checked {
    if is_so { Ok(()) } else { Err(StageFault::invalid(field, problem())) }
}

fn count(field: &str, number: u64) -> Checked {
    ensure(number <= MAX_COUNT, field, || format!("{number} is more than there can be"))
}

fn one_word(field: &str, text: &str) -> Checked {
    limited(field, text, WORD_BYTES)
}

fn limited(field: &str, text: &str, max_bytes: usize) -> Checked {
    ensure(text.len() <= max_bytes, field, || format!("a text of {} bytes", text.len()))?;
    ensure(is_clean(text), field, || format!("control characters in {}", brief(text)))
}

/// Checks a code: it consists of `a-z`, digits and `_`.
fn code(field: &str, text: &str) -> Checked {
    let is_code = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let is_one = !text.is_empty() && text.len() <= WORD_BYTES && text.bytes().all(is_code);
    ensure(is_one, field, || format!("{} is not a code", brief(text)))
}

fn file_name(field: &str, text: &str) -> Checked {
    ensure(!text.is_empty(), field, || "no file is named".to_owned())?;
    limited(field, text, FILE_BYTES)
}

/// Returns a short piece of an invalid text, for messages.
fn brief(text: &str) -> String {
    format!("{:?}", shown_briefly(text, 80))
}

fn id(field: &str, number: i64) -> Checked {
    ensure(number >= 1, field, || format!("{number} is not an id"))
}

fn files(result: &TaskResult) -> Checked {
    let mut names = HashSet::new();
    for file in &result.files {
        if !files::is_plain(&file.name) || file.name == RESULT_NAME {
            return Err(StageFault::NotPlain(shown(&file.name)));
        }
        if !names.insert(file.name.as_str()) {
            return Err(StageFault::NamedTwice(file.name.clone()));
        }
    }
    if let Some(rows) = result.detectors.iter().find(|d| !names.contains(d.file.as_str())) {
        return Err(StageFault::NotPlain(shown(&rows.file)));
    }
    for (n, file) in result.files.iter().enumerate() {
        examine_file(file).map_err(|fault| fault.within(format!("files[{n}]")))?;
    }
    Ok(())
}

fn examine_file(file: &StagedFile) -> Checked {
    code("table", &file.table)?;
    limited("name", &file.name, FILE_BYTES)?;
    count("rows", file.rows)?;
    count("bytes", file.bytes)
}

fn hdus(hdus: &[HduReport]) -> Checked {
    let mut seen = HashSet::new();
    for (n, hdu) in hdus.iter().enumerate() {
        examine_hdu(hdu)
            .and_then(|()| {
                ensure(seen.insert((hdu.multiframe_id, hdu.hdu)), "hdu", || {
                    format!("HDU {} of multiframe {} appears twice", hdu.hdu, hdu.multiframe_id)
                })
            })
            .map_err(|fault| fault.within(format!("hdus[{n}]")))?;
    }
    Ok(())
}

fn examine_hdu(hdu: &HduReport) -> Checked {
    file_name("file", &hdu.file)?;
    // Extension numbers, which count from 1, are numbers of 16 bits.
    ensure(hdu.hdu < i16::MAX as u16, "hdu", || format!("{} is not an HDU", hdu.hdu))?;
    if let Some(ext_num) = hdu.ext_num {
        id("ext_num", ext_num.into())?;
    }
    count("rows_read", hdu.rows_read)?;
    count("rows_written", hdu.rows_written)?;
    count("rows_refused", hdu.rows_refused)?;
    ensure(hdu.rows_written + hdu.rows_refused == hdu.rows_read, "rows_read", || {
        let HduReport { rows_read, rows_written, rows_refused, .. } = hdu;
        format!("{rows_read} rows read, {rows_written} written, {rows_refused} refused")
    })?;
    ensure(hdu.nan.len() <= MAX_COLUMNS, "nan", || format!("{} columns", hdu.nan.len()))?;
    for (column, values) in &hdu.nan {
        one_word("nan", column)?;
        count("nan", *values)?;
    }
    Ok(())
}

fn detectors(result: &TaskResult) -> Checked {
    let mut seen = HashSet::new();
    let mut once = |multiframe: MultiframeId, ext_num: i16, version: i32| -> Checked {
        id("ext_num", ext_num.into())?;
        id("version", version.into())?;
        ensure(seen.insert((multiframe, ext_num)), "ext_num", || {
            format!("extension {ext_num} of multiframe {multiframe} appears twice")
        })
    };
    for (n, detector) in result.detectors.iter().enumerate() {
        let DetectorRows { multiframe_id, ext_num, version, .. } = *detector;
        once(multiframe_id, ext_num, version)
            .and_then(|()| count("first_row", detector.first_row))
            .and_then(|()| count("rows", detector.rows))
            .map_err(|fault| fault.within(format!("detectors[{n}]")))?;
    }
    for (n, kept) in result.kept.iter().enumerate() {
        once(kept.multiframe_id, kept.ext_num, kept.version)
            .map_err(|fault| fault.within(format!("kept[{n}]")))?;
    }
    Ok(())
}

fn examine_refusal(refusal: &Refusal) -> Checked {
    code("code", &refusal.code)?;
    file_name("file", &refusal.file)?;
    one_word("keyword", refusal.keyword.as_deref().unwrap_or_default())?;
    one_word("column", refusal.column.as_deref().unwrap_or_default())?;
    limited("message", &refusal.message, MESSAGE_BYTES)?;
    count("rows", refusal.rows)?;
    let ranges = &refusal.row_ranges;
    ensure(ranges.len() <= MAX_RANGES, "row_ranges", || format!("{} ranges", ranges.len()))?;
    let is_range = |r: &RowRange| 1 <= r.first && r.first <= r.last && r.last <= MAX_COUNT;
    match ranges.iter().find(|range| !is_range(range)) {
        Some(RowRange { first, last }) => {
            Err(StageFault::invalid("row_ranges", format!("rows {first} to {last}")))
        }
        None => Ok(()),
    }
}

fn examine_finding(finding: &Finding) -> Checked {
    code("code", &finding.code)?;
    file_name("file", &finding.file)?;
    one_word("subject", finding.subject.as_deref().unwrap_or_default())?;
    limited("message", &finding.message, MESSAGE_BYTES)?;
    count("files", finding.files)?;
    count("count", finding.count)
}

fn run(run: &RunReport) -> Checked {
    let time = |field, seconds: f64| {
        ensure((0.0..=MAX_SECONDS).contains(&seconds), field, || format!("{seconds} s"))
    };
    time("run.seconds", run.seconds)?;
    time("run.cpu_seconds", run.cpu_seconds)?;
    count("run.input_bytes", run.input_bytes)?;
    ensure(run.peak_memory_bytes <= MAX_MEMORY, "run.peak_memory_bytes", || {
        format!("{} bytes", run.peak_memory_bytes)
    })
}

/// Escapes and truncates the texts for human readers: an unusual character in a message is no reason to lose a task's
/// work. Names and codes are unchanged.
pub(crate) fn clean(result: &mut TaskResult) {
    let brief = |text: &mut String, max_bytes: usize| {
        if text.len() > max_bytes || !is_clean(text) {
            // The truncation mark takes three bytes.
            *text = shown_briefly(text, max_bytes - 3);
        }
    };
    for refusal in &mut result.refusals {
        brief(&mut refusal.message, MESSAGE_BYTES);
        for text in [&mut refusal.keyword, &mut refusal.column].into_iter().flatten() {
            brief(text, WORD_BYTES);
        }
    }
    for finding in &mut result.findings {
        brief(&mut finding.message, MESSAGE_BYTES);
        if let Some(subject) = &mut finding.subject {
            brief(subject, WORD_BYTES);
        }
    }
    brief(&mut result.software, WORD_BYTES);
}
