//! Checks of a staged batch against its manifest: names, lengths, checksums, schema versions, counts, identities.

pub use crate::failure::{Check, Failure};
use crate::failure::{failed, not_opened};
use crate::previews;
use archive::batches::{RowsOfProgramme, StagedBatch, StagedTask};
use model::task::{FORMAT_VERSION, StagedFile, TaskResult};
use model::{MultiframeId, ProgrammeId, one_line, preview_name};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub use model::task::JPEG;

/// The counts that the manifest promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Detections per programme.
    pub rows: Vec<RowsOfProgramme>,
}

/// Checks a batch, files included.
///
/// # Errors
/// The first [`Failure`].
pub fn check(batch: &StagedBatch, staging: &Path, previews: &Path) -> Result<Counts, Failure> {
    let mut rows: BTreeMap<ProgrammeId, u64> = BTreeMap::new();
    let mut detectors = BTreeSet::new();
    let mut files: Vec<(&StagedTask, &Path, &StagedFile)> = Vec::new();
    for task in &batch.tasks {
        let (Some(result), Some(directory)) = (&task.result, &task.directory) else { continue };
        check_result(batch, task, result)?;
        files.extend(result.files.iter().map(|file| (task, directory.as_path(), file)));
        check_detectors(task, result, &mut detectors)?;
        count_rows(result, &mut rows)?;
    }
    let checked = files::side_by_side(&files, |(task, directory, file)| {
        check_file(batch, (task, directory), file, (staging, previews))
    });
    checked.into_iter().collect::<Result<(), _>>()?;
    let rows = rows.into_iter().filter(|(_, rows)| *rows > 0);
    Ok(Counts {
        rows: rows.map(|(programme_id, rows)| RowsOfProgramme { programme_id, rows }).collect(),
    })
}

/// Checks the manifest alone, without its files.
fn check_result(
    batch: &StagedBatch,
    task: &StagedTask,
    result: &TaskResult,
) -> Result<(), Failure> {
    if result.version != FORMAT_VERSION || result.unit != batch.unit || result.task != task.task {
        return Err(failed(
            Check::Identity,
            format!(
                "the result of task {} is of {} task {}, format {}",
                task.task, result.unit, result.task, result.version
            ),
        ));
    }
    let mut names = BTreeSet::new();
    for file in &result.files {
        let is_plain = files::is_plain(&file.name) && file.is_named_rightly();
        if !is_plain || !names.insert(&file.name) || !is_of_task(task, file) {
            return Err(failed(
                Check::Name,
                format!(
                    "task {} names {:?}, which is not the name of a file of {}, or is named twice",
                    task.task, file.name, file.table
                ),
            ));
        }
        check_table(batch, file)?;
    }
    stage::examine(result).map_err(|fault| {
        failed(Check::Result, format!("the result of task {}: {}", task.task, one_line(&fault)))
    })?;
    let mine: BTreeSet<MultiframeId> = task.inputs.iter().map(|i| i.multiframe_id).collect();
    let named = result.hdus.iter().map(|h| h.multiframe_id);
    let named = named.chain(result.detectors.iter().map(|d| d.multiframe_id));
    let named = named.chain(result.kept.iter().map(|k| k.multiframe_id));
    if let Some(foreign) = named.into_iter().find(|id| !mine.contains(id)) {
        return Err(failed(
            Check::Multiframe,
            format!(
                "task {} reports multiframe {foreign}, which is not one of the task's files",
                task.task
            ),
        ));
    }
    for hdu in &result.hdus {
        if hdu.rows_written.checked_add(hdu.rows_refused) != Some(hdu.rows_read) {
            return Err(failed(
                Check::RowCount,
                format!(
                    "{} ext_num {}: {} rows read, {} written, {} refused",
                    hdu.file,
                    model::ext_num_of(hdu.hdu),
                    hdu.rows_read,
                    hdu.rows_written,
                    hdu.rows_refused
                ),
            ));
        }
    }
    Ok(())
}

/// Returns true when a JPEG shows an image of the task.
fn is_of_task(task: &StagedTask, file: &StagedFile) -> bool {
    file.table != JPEG
        || preview_name::parts(&file.name).is_some_and(|(root, _)| {
            task.images.iter().any(|(id, image)| preview_name::root(image, *id) == root)
        })
}

fn check_table(batch: &StagedBatch, file: &StagedFile) -> Result<(), Failure> {
    if !batch.unit.use_case.product().writes(file) {
        let use_case = batch.unit.use_case;
        let message = format!(
            "{} holds rows of {:?}, which a {use_case} task does not write",
            file.name, file.table
        );
        return Err(failed(Check::Table, message));
    }
    match model::tables::table(&file.table) {
        // Batches of an earlier definition lack its newer columns, which are nullable.
        Some(table) if file.schema_version > table.schema_version => Err(failed(
            Check::SchemaVersion,
            format!(
                "{} has version {} of {}, the archive has {}",
                file.name, file.schema_version, file.table, table.schema_version
            ),
        )),
        _ => Ok(()),
    }
}

fn check_file(
    batch: &StagedBatch,
    (task, directory): (&StagedTask, &Path),
    file: &StagedFile,
    (staging, previews): (&Path, &Path),
) -> Result<(), Failure> {
    let mut path = directory.join(&file.name);
    let mut opened = files::open_below(staging, &path);
    if file.table == JPEG && matches!(opened, Err(files::OpenFault::Missing)) {
        path = previews::place(previews, &batch.unit, &file.name); // an earlier pass had moved it
        opened = files::open_below(previews, &path);
    }
    let mut opened = opened.map_err(|fault| not_opened(&path, fault))?;
    let passing = |error: std::io::Error| Failure::Passing(format!("{}: {error}", path.display()));
    let bytes = opened.metadata().map_err(passing)?.len();
    if bytes != file.bytes {
        return Err(failed(
            Check::Length,
            format!("{} has {bytes} bytes, the manifest states {}", path.display(), file.bytes),
        ));
    }
    let (sum, _) = files::sha256(&mut opened).map_err(passing)?;
    if model::Sha256::new(sum) != file.sha256 {
        return Err(failed(
            Check::Checksum,
            format!("{} has a SHA-256 other than that in the manifest", path.display()),
        ));
    }
    let Some(table) = model::tables::table(&file.table) else { return Ok(()) };
    // Files that this program staged itself are not read twice; of a file that a node wrote, every value is checked.
    let examined = match task.is_own {
        true => stage::examine_form(&opened, table, file),
        false => stage::examine_rows(opened, table, file),
    };
    examined.map_err(|fault| {
        let message = format!("{}: {}", path.display(), one_line(&fault));
        match fault.is_transient() {
            true => Failure::Passing(message),
            false => failed(Check::Content, message),
        }
    })
}

/// Checks that each detector is once in the batch, contiguous in its file, and of the version that was read.
fn check_detectors(
    task: &StagedTask,
    result: &TaskResult,
    seen: &mut BTreeSet<(MultiframeId, i16)>,
) -> Result<(), Failure> {
    let versions: BTreeMap<MultiframeId, Option<i32>> =
        task.inputs.iter().map(|i| (i.multiframe_id, i.catalogue_version)).collect();
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    for detector in &result.detectors {
        let place = format!("multiframe {} extension {}", detector.multiframe_id, detector.ext_num);
        if !seen.insert((detector.multiframe_id, detector.ext_num)) {
            return Err(failed(Check::Detectors, format!("{place} is listed twice")));
        }
        if versions.get(&detector.multiframe_id).copied().flatten() != Some(detector.version) {
            let message = format!("{place} has catalogue version {}", detector.version);
            return Err(failed(Check::Detectors, message));
        }
        let expected = next.entry(&detector.file).or_default();
        if detector.first_row != *expected {
            let message = format!("{place} begins at row {}, not {expected}", detector.first_row);
            return Err(failed(Check::Detectors, message));
        }
        *expected = expected.saturating_add(detector.rows);
        let owner =
            result.files.iter().find(|f| f.name == detector.file).and_then(|f| f.programme_id);
        if owner != Some(detector.programme_id) {
            let message = format!("{place} is in a file of another programme");
            return Err(failed(Check::Detectors, message));
        }
    }
    let detections = result.files.iter().filter(|f| f.table == "detection");
    for file in detections {
        let listed = next.get(file.name.as_str()).copied().unwrap_or(0);
        if listed != file.rows {
            let message =
                format!("{} has {} rows, its detectors have {listed}", file.name, file.rows);
            return Err(failed(Check::Detectors, message));
        }
    }
    Ok(())
}

fn count_rows(result: &TaskResult, rows: &mut BTreeMap<ProgrammeId, u64>) -> Result<(), Failure> {
    let mut staged = 0;
    for file in result.files.iter().filter(|f| f.table == "detection") {
        staged = u64::saturating_add(staged, file.rows);
        let id = file
            .programme_id
            .ok_or_else(|| failed(Check::Table, format!("{} has no programme", file.name)))?;
        let of_programme = rows.entry(id).or_default();
        *of_programme = of_programme.saturating_add(file.rows);
    }
    let written = result.hdus.iter().fold(0, |sum: u64, h| sum.saturating_add(h.rows_written));
    if result.unit.use_case.product().is_of_catalogue() && staged != written {
        return Err(failed(
            Check::RowCount,
            format!("task {} reports {written} rows, {staged} are staged", result.task),
        ));
    }
    Ok(())
}
