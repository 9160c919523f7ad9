//! `result.json`: written last by a task, read with suspicion by the curator.

use crate::fault::{StageError, StageFault};
use model::task::{FORMAT_VERSION, RESULT_NAME, StagedFile, TaskResult};
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

/// Length of a result at most; a task of a thousand files with every kind of refusal stays far below.
const RESULT_BYTES: u64 = 256 << 20;

/// How closely the files of a result are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// They are there, regular files of the right length.
    Lengths,
    /// Their content has the right SHA-256 too.
    Checksums,
}

/// Makes everything in an attempt's directory durable, then publishes its result.
///
/// # Errors
/// A result that [`read_result`] would not take, or whatever the system says.
pub fn write_result(dir: &Path, result: &TaskResult) -> Result<(), StageError> {
    let path = dir.join(RESULT_NAME);
    let write = || -> Result<(), StageFault> {
        check(result)?;
        let mut text = serde_json::to_vec_pretty(result)
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

/// Reads the result in an attempt's directory and looks at the files that it names.
///
/// # Errors
/// Anything that is not as it should be; [`StageFault::is_transient`] tells what may still become so.
pub fn read_result(dir: &Path, verification: Verification) -> Result<TaskResult, StageError> {
    let path = dir.join(RESULT_NAME);
    let result = parse(&path).map_err(|fault| fault.at(&path))?;
    for staged in &result.files {
        verify(dir, staged, verification).map_err(|fault| fault.at(&dir.join(&staged.name)))?;
    }
    Ok(result)
}

fn parse(path: &Path) -> Result<TaskResult, StageFault> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u64,
    }
    let mut file = files::open_regular(path)?;
    let bytes = file.metadata()?.len();
    if bytes > RESULT_BYTES {
        return Err(StageFault::TooLong { bytes, allowed: RESULT_BYTES });
    }
    let mut text = Vec::new();
    // The file may have grown since.
    file.by_ref().take(RESULT_BYTES).read_to_end(&mut text)?;
    let not_result = |error: serde_json::Error| StageFault::NotResult(error.to_string());
    let Versioned { version } = serde_json::from_slice(&text).map_err(not_result)?;
    if version != u64::from(FORMAT_VERSION) {
        return Err(StageFault::Version { found: version, wanted: FORMAT_VERSION });
    }
    let result: TaskResult = serde_json::from_slice(&text).map_err(not_result)?;
    check(&result)?;
    Ok(result)
}

fn check(result: &TaskResult) -> Result<(), StageFault> {
    let mut names = HashSet::new();
    for file in &result.files {
        if !files::is_plain(&file.name) || file.name == RESULT_NAME {
            return Err(StageFault::NotPlain(file.name.clone()));
        }
        if !names.insert(file.name.as_str()) {
            return Err(StageFault::NamedTwice(file.name.clone()));
        }
    }
    if let Some(rows) = result.detectors.iter().find(|d| !names.contains(d.file.as_str())) {
        return Err(StageFault::NotPlain(rows.file.clone()));
    }
    Ok(())
}

fn verify(dir: &Path, staged: &StagedFile, verification: Verification) -> Result<(), StageFault> {
    let file = files::open_regular(&dir.join(&staged.name))?;
    let found = file.metadata()?.len();
    if found != staged.bytes {
        return Err(StageFault::Length { name: staged.name.clone(), found, said: staged.bytes });
    }
    if verification == Verification::Checksums && files::sha256(file)?.0 != staged.sha256 {
        return Err(StageFault::Checksum(staged.name.clone()));
    }
    Ok(())
}
