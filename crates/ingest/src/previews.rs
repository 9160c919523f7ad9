//! JPEGs find their place: from an attempt's directory to `previews/<delivery>/`, before the rows that name them.
//!
//! A move that was done before is found done; a new recipe takes the place of the old one's file.

use crate::check::JPEG;
use archive::records::StagedBatch;
use model::UnitKey;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Moves that could not be carried out.
#[derive(Debug, thiserror::Error)]
#[error("cannot put a preview at {}", path.display())]
pub struct PreviewFault {
    /// The place.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Where a JPEG of a round belongs.
pub fn place(previews: &Path, unit: &UnitKey, name: &str) -> PathBuf {
    previews.join(&unit.delivery).join(name)
}

/// Puts all JPEGs of a batch at their places and makes that durable.
///
/// # Errors
/// [`PreviewFault`]; what was moved stays moved, and the next pass goes on from there.
pub fn settle(batch: &StagedBatch, previews: &Path) -> Result<(), PreviewFault> {
    let home = previews.join(&batch.unit.delivery);
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| PreviewFault { path, source }
    };
    files::create_dir(&home).map_err(fault(&home))?;
    for task in &batch.tasks {
        let (Some(directory), Some(result)) = (&task.directory, &task.result) else { continue };
        for jpeg in result.files.iter().filter(|f| f.table == JPEG) {
            let to = place(previews, &batch.unit, &jpeg.name);
            move_file(&directory.join(&jpeg.name), &to).map_err(fault(&to))?;
            files::crash_point("previews:renamed");
        }
    }
    files::sync_dir(&home).map_err(fault(&home))?;
    files::crash_point("previews:synced");
    Ok(())
}

/// The file was synced with its attempt's directory; only its name changes. On another disk it is published anew.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && to.exists() => Ok(()), // done before
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let bytes = fs::read(from)?;
            files::publish_bytes(to, &bytes).map_err(|fault| fault.source)?;
            fs::remove_file(from)
        }
        other => other,
    }
}
