//! Placement of JPEGs: from an attempt's directory to `previews/<delivery>/`, before the rows that name them.
//!
//! A move that was done before is recognized; the file of a new recipe replaces that of the old one. Both directories are open
//! while a file is moved, so that no link on the way to either changes which file it is.

use crate::failure::{Check, Failure, failed, not_opened};
use archive::batches::{StagedBatch, StagedTask};
use files::{Dir, OpenFault};
use model::UnitKey;
use model::task::{JPEG, StagedFile};
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Returns the place of a JPEG of a round.
pub fn place(previews: &Path, unit: &UnitKey, name: &str) -> PathBuf {
    previews.join(&unit.delivery).join(name)
}

fn passing(path: &Path, fault: impl std::fmt::Display) -> Failure {
    Failure::Passing(format!("cannot put a preview at {}: {fault}", path.display()))
}

/// Moves all JPEGs of a batch to their places and makes that durable.
///
/// # Errors
/// [`Failure`]; moved files stay moved, and the next pass resumes there.
pub fn settle(batch: &StagedBatch, staging: &Path, previews: &Path) -> Result<(), Failure> {
    let path = previews.join(&batch.unit.delivery);
    files::create_dir(previews).map_err(|fault| passing(previews, fault))?;
    let home = Dir::make_below(previews, &path).map_err(|fault| passing(&path, fault))?;
    files::sync_dir(previews).map_err(|fault| passing(previews, fault))?;
    for task in &batch.tasks {
        settle_task(task, staging, &home)?;
    }
    home.sync().map_err(|fault| passing(&path, fault))?;
    files::crash_point("previews:synced");
    Ok(())
}

fn settle_task(task: &StagedTask, staging: &Path, home: &Dir) -> Result<(), Failure> {
    let (Some(directory), Some(result)) = (&task.directory, &task.result) else { return Ok(()) };
    let mut jpegs = result.files.iter().filter(|f| f.table == JPEG).peekable();
    if jpegs.peek().is_none() {
        return Ok(());
    }
    let from = match Dir::below(staging, directory) {
        Ok(from) => Some(from),
        Err(OpenFault::Missing) => None, // moved by an earlier pass, and swept since
        Err(fault) => return Err(not_opened(directory, fault)),
    };
    for jpeg in jpegs {
        settle_one(jpeg, from.as_ref(), home)?;
        files::crash_point("previews:renamed");
    }
    Ok(())
}

/// Moves a file. It was synced with its attempt's directory; only its name changes. A file on another disk, or with a second name
/// by which others may change it, is copied.
fn settle_one(jpeg: &StagedFile, from: Option<&Dir>, home: &Dir) -> Result<(), Failure> {
    let name = OsStr::new(&jpeg.name);
    let to = home.path().join(name);
    let opened = match from.map_or(Err(OpenFault::Missing), |from| from.open_regular(name)) {
        Ok(file) => file,
        // The file was moved before.
        Err(OpenFault::Missing) if home.open_regular(name).is_ok() => return Ok(()),
        Err(fault) => return Err(not_opened(&to, fault)),
    };
    let Some(from) = from else { return Ok(()) };
    let links = opened.metadata().map_err(|fault| passing(&to, fault))?.nlink();
    if links == 1 {
        match from.rename(name, home, name) {
            Ok(()) => return settled(jpeg, home),
            Err(fault) if fault.kind() == io::ErrorKind::CrossesDevices => {}
            Err(fault) => return Err(passing(&to, fault)),
        }
    }
    let copy = |out: &mut dyn io::Write| -> Result<(), files::PublishFault> {
        let copied = io::copy(&mut &opened, out).map(|_| ());
        copied.map_err(|source| files::PublishFault { path: to.clone(), source })
    };
    let (_, published) =
        files::publish_hashed(&to, copy).map_err(|fault| passing(&to, model::one_line(&fault)))?;
    if model::Sha256::new(published.sha256) != jpeg.sha256 {
        home.remove_file(name).map_err(|fault| passing(&to, fault))?;
        return Err(failed(Check::Checksum, format!("{} changed during the read", jpeg.name)));
    }
    from.remove_file(name).map_err(|fault| passing(&to, fault))
}

/// Checks that the moved file is the one that was checked: another process may have replaced it meanwhile.
fn settled(jpeg: &StagedFile, home: &Dir) -> Result<(), Failure> {
    let name = OsStr::new(&jpeg.name);
    let to = home.path().join(name);
    let found = home.open_regular(name).and_then(|file| Ok(file.metadata()?.len()));
    match found {
        Ok(bytes) if bytes == jpeg.bytes => Ok(()),
        Err(fault) if fault.is_transient() => Err(not_opened(&to, fault)),
        _ => {
            home.remove_file(name).map_err(|fault| passing(&to, fault))?;
            Err(failed(Check::File, format!("{} is not the file that was checked", jpeg.name)))
        }
    }
}
