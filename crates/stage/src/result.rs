//! `result.json`: written last by a task, read with suspicion by the curator.

use crate::examine::{MAX_ENTRIES, clean, examine};
use crate::fault::{StageError, StageFault};
use files::Dir;
use model::Sha256;
use model::task::{FORMAT_VERSION, RESULT_NAME, StagedFile, TaskResult};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

/// Greatest length of a result; one of 100 000 refusals has some 30 MB.
const RESULT_BYTES: u64 = 128 << 20;

/// The extent to which the files of a result are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultCheck {
    /// They exist and are regular files of the right length.
    Lengths,
    /// Their content has the right SHA-256 too.
    Checksums,
}

/// Makes everything in an attempt's directory durable, then publishes its result.
///
/// # Errors
/// A result that [`read_result`] would reject, or an error of the system.
pub fn write_result(dir: &Path, result: &TaskResult) -> Result<(), StageError> {
    let path = dir.join(RESULT_NAME);
    let write = || -> Result<(), StageFault> {
        let mut result = result.clone();
        clean(&mut result);
        examine(&result)?;
        let mut text = serde_json::to_vec_pretty(&result)
            .map_err(|error| StageFault::NotResult(error.to_string()))?;
        text.push(b'\n');
        let bytes = text.len() as u64;
        if bytes > RESULT_BYTES {
            return Err(StageFault::TooLong { bytes, allowed: RESULT_BYTES });
        }
        files::sync_disk(dir)?;
        files::publish_bytes(&path, &text)?;
        Ok(())
    };
    write().map_err(|fault| fault.at(&path))
}

/// Reads the result in an attempt's directory and checks the files that it names.
///
/// # Errors
/// Any fault; [`StageFault::is_transient`] reports which ones may disappear later.
pub fn read_result(dir: &Path, check: ResultCheck) -> Result<TaskResult, StageError> {
    let opened = Dir::open(dir).map_err(|fault| StageFault::from(fault).at(dir))?;
    read_result_in(&opened, check)
}

/// Reads as [`read_result`], for a directory that is open: changes to the path that leads to it have no effect.
///
/// # Errors
/// As [`read_result`].
pub fn read_result_in(dir: &Dir, check: ResultCheck) -> Result<TaskResult, StageError> {
    let result = parse(dir).map_err(|fault| fault.at(&dir.path().join(RESULT_NAME)))?;
    for staged in &result.files {
        let at = || dir.path().join(&staged.name);
        verify(dir, staged, check).map_err(|fault| fault.at(&at()))?;
    }
    Ok(result)
}

fn parse(dir: &Dir) -> Result<TaskResult, StageFault> {
    let mut file = dir.open_regular(OsStr::new(RESULT_NAME))?;
    let bytes = file.metadata()?.len();
    if bytes > RESULT_BYTES {
        return Err(StageFault::TooLong { bytes, allowed: RESULT_BYTES });
    }
    let mut text = Vec::new();
    // The file may have grown in the meantime.
    file.by_ref().take(RESULT_BYTES).read_to_end(&mut text)?;
    let not_result = |error: serde_json::Error| StageFault::NotResult(error.to_string());
    let outline: Outline = serde_json::from_slice(&text).map_err(not_result)?;
    if outline.version != u64::from(FORMAT_VERSION) {
        return Err(StageFault::Version { found: outline.version, wanted: FORMAT_VERSION });
    }
    let mut result: TaskResult = serde_json::from_slice(&text).map_err(not_result)?;
    drop(text);
    clean(&mut result);
    examine(&result)?;
    Ok(result)
}

/// Version and lengths of the lists of a result: read first, since this needs no memory.
#[derive(serde::Deserialize)]
struct Outline {
    version: u64,
    #[serde(default, rename = "files")]
    _files: Counted,
    #[serde(default, rename = "hdus")]
    _hdus: Counted,
    #[serde(default, rename = "detectors")]
    _detectors: Counted,
    #[serde(default, rename = "kept")]
    _kept: Counted,
    #[serde(default, rename = "refusals")]
    _refusals: Counted,
    #[serde(default, rename = "findings")]
    _findings: Counted,
}

/// A list of at most [`MAX_ENTRIES`] entries of any kind.
#[derive(Default)]
struct Counted;

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counter;
        impl<'de> Visitor<'de> for Counter {
            type Value = Counted;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of at most {MAX_ENTRIES} entries")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Counted, A::Error> {
                let mut entries = 0;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    entries += 1;
                    if entries > MAX_ENTRIES {
                        return Err(A::Error::invalid_length(entries, &self));
                    }
                }
                Ok(Counted)
            }
        }
        deserializer.deserialize_seq(Counter)
    }
}

fn verify(dir: &Dir, staged: &StagedFile, check: ResultCheck) -> Result<(), StageFault> {
    let file = dir.open_regular(OsStr::new(&staged.name))?;
    let found = file.metadata()?.len();
    if found != staged.bytes {
        return Err(StageFault::Length { name: staged.name.clone(), found, stated: staged.bytes });
    }
    if check == ResultCheck::Checksums && Sha256::new(files::sha256(file)?.0) != staged.sha256 {
        return Err(StageFault::Checksum(staged.name.clone()));
    }
    Ok(())
}
