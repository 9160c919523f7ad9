//! Validation of a result before it is accepted for its task: nodes are trusted less than the archive.
//!
//! Everything that a result names must belong to the task: files, multiframes, versions, rows that the catalogue has. Every path
//! must be the one that the archive itself would choose. Nothing is written before all of the result has been checked.

use crate::attempts::results::Input;
use crate::error::ArchiveFault;
use crate::rounds::Task;
use model::tables::Keeping;
use model::task::{JPEG, StagedFile, TaskResult};
use model::{MultiframeId, UseCase, one_line, preview_name};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Name of the check in messages.
const CHECK: &str = "result";
/// Maximum staged bytes of metadata: per file of a task, and for a task.
const METADATA_BYTES: (u64, u64) = (256 << 20, 64 << 20);
/// Maximum staged bytes of detections: per row, and for a file.
const DETECTION_BYTES: (u64, u64) = (4096, 16 << 20);
/// Maximum bytes of one JPEG.
const JPEG_BYTES: u64 = 256 << 20;

fn refused(message: impl Into<String>) -> ArchiveFault {
    ArchiveFault::Check { check: CHECK, message: message.into() }
}

/// Checks a result against its task.
///
/// # Errors
/// [`ArchiveFault::Check`], which names what is wrong.
pub(crate) fn check(
    task: &Task,
    inputs: &[Input],
    result: &TaskResult,
) -> Result<(), ArchiveFault> {
    stage::examine(result).map_err(|fault| refused(one_line(&fault)))?;
    check_names(inputs, result)?;
    check_files(task.unit.key.use_case, inputs, result)?;
    check_catalogues(task.unit.key.use_case, inputs, result)
}

/// Checks that refusals and findings are about files of the task.
fn check_names(inputs: &[Input], result: &TaskResult) -> Result<(), ArchiveFault> {
    let files = inputs.iter().flat_map(|i| std::iter::once(&i.image).chain(&i.catalogue));
    let known: HashSet<&str> = files.map(|(name, _)| name.as_str()).collect();
    let named = result.refusals.iter().map(|r| ("refusals", &r.file));
    let named = named.chain(result.findings.iter().map(|f| ("findings", &f.file)));
    match named.into_iter().find(|(_, file)| !known.contains(file.as_str())) {
        None => Ok(()),
        Some((list, file)) => {
            Err(refused(format!("{list} name the file {file:?}, which is not a file of the task")))
        }
    }
}

fn check_files(
    use_case: UseCase,
    inputs: &[Input],
    result: &TaskResult,
) -> Result<(), ArchiveFault> {
    let product = use_case.product();
    let shown = inputs.iter().filter(|_| product.has_pictures);
    let roots: HashSet<String> =
        shown.map(|i| preview_name::root(&i.image.0, i.multiframe)).collect();
    for file in &result.files {
        let fault = |what: &str| refused(format!("files name {:?}, {what}", file.name));
        if !product.writes(file) {
            let table = &file.table;
            return Err(fault(&format!("with rows of {table}, which no {use_case} task leaves")));
        }
        if !file.is_named_rightly() {
            return Err(fault(&format!("which is not the name of a file of {}", file.table)));
        }
        let is_of_task =
            || preview_name::parts(&file.name).is_some_and(|(root, _)| roots.contains(root));
        if file.table == JPEG && !is_of_task() {
            return Err(fault("which is not a preview of an image of the task"));
        }
        let allowed = bytes_allowed(inputs.len(), file);
        if file.bytes > allowed {
            return Err(fault(&format!("of {} bytes; {allowed} are allowed", file.bytes)));
        }
    }
    Ok(())
}

fn bytes_allowed(inputs: usize, file: &StagedFile) -> u64 {
    let (each, in_all) = METADATA_BYTES;
    let (row, least) = DETECTION_BYTES;
    match model::tables::table(&file.table).map(|table| table.keeping) {
        _ if file.table == JPEG => JPEG_BYTES,
        Some(Keeping::Lake) => least.saturating_add(file.rows.saturating_mul(row)),
        _ => in_all.saturating_add(each.saturating_mul(inputs as u64)),
    }
}

/// Checks that detections belong to the catalogues that the task reads, and no more than these have.
fn check_catalogues(
    use_case: UseCase,
    inputs: &[Input],
    result: &TaskResult,
) -> Result<(), ArchiveFault> {
    if !use_case.product().is_of_catalogue() {
        let lists = [
            ("hdus", result.hdus.is_empty()),
            ("detectors", result.detectors.is_empty()),
            ("kept", result.kept.is_empty()),
        ];
        return match lists.iter().find(|(_, is_empty)| !is_empty) {
            Some((list, _)) => Err(refused(format!("a {use_case} task has no {list}"))),
            None => Ok(()),
        };
    }
    let mine: HashMap<MultiframeId, &Input> = inputs.iter().map(|i| (i.multiframe, i)).collect();
    let mut read: BTreeMap<MultiframeId, u64> = BTreeMap::new();
    for hdu in &result.hdus {
        let input = mine.get(&hdu.multiframe_id).ok_or_else(|| foreign(hdu.multiframe_id))?;
        if input.catalogue.as_ref().is_none_or(|(name, _)| *name != hdu.file) {
            let (file, id) = (&hdu.file, hdu.multiframe_id);
            return Err(refused(format!("hdus name {file:?} as the catalogue of multiframe {id}")));
        }
        *read.entry(hdu.multiframe_id).or_default() += hdu.rows_read;
    }
    for (multiframe, rows) in read {
        let held = mine.get(&multiframe).and_then(|input| input.catalogue_rows).unwrap_or(0);
        if rows > held {
            return Err(refused(format!(
                "hdus report {rows} rows of multiframe {multiframe}, whose catalogue has {held}"
            )));
        }
    }
    let versions = result.detectors.iter().map(|d| (d.multiframe_id, d.ext_num, d.version));
    let kept = result.kept.iter().map(|k| (k.multiframe_id, k.ext_num, k.version));
    for (multiframe, ext_num, version) in versions.chain(kept) {
        let input = mine.get(&multiframe).ok_or_else(|| foreign(multiframe))?;
        if input.catalogue_version != Some(version) {
            return Err(refused(format!(
                "multiframe {multiframe} extension {ext_num} has catalogue version {version}"
            )));
        }
    }
    Ok(())
}

fn foreign(multiframe: MultiframeId) -> ArchiveFault {
    refused(format!("the result reports multiframe {multiframe}, which is not in the task"))
}
