//! The list of a backup's contents, written last: `ledger.json`.

use super::at;
use archive::error::ArchiveFault;
use archive::unfinished::LastEvent;
use model::{ObjectId, ProgrammeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Its file name in the directory of a backup.
pub(super) const NAME: &str = "ledger.json";
/// The form that this program writes and reads.
const VERSION: u32 = 1;

/// List of the contents of a backup.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// Form of the ledger.
    version: u32,
    /// The program that wrote it.
    software: String,
    /// Location of the archive.
    pub archive: String,
    /// The last event in the backup.
    pub last_event: LastEvent,
    /// archive.db, or the dump of a server's database without the rows of its lake tables.
    pub database: Listed,
    /// Rows of lake tables: lake files, or on a server files of COPY's binary form, one per table, batch and programme.
    pub detections: Vec<Listed>,
    /// The columns of a server's files by lake table, in their order.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, Vec<String>>,
    /// The partitions of a server that hold them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<HeldTable>,
}

/// A file of the backup; its name is relative to the backup's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub name: String,
    pub bytes: u64,
    /// XXH64, hexadecimal.
    pub xxh64: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
}

/// Rows of a lake table, all of one programme, with ids without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rows {
    pub table: String,
    pub programme_id: ProgrammeId,
    pub first_obj_id: ObjectId,
    pub last_obj_id: ObjectId,
}

/// A partition with the range of its ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeldTable {
    pub name: String,
    #[serde(flatten)]
    pub rows: Rows,
}

impl Ledger {
    pub(super) fn new(archive: String, last_event: LastEvent, database: Listed) -> Self {
        let software = concat!("almagest ", env!("CARGO_PKG_VERSION")).to_owned();
        Self {
            version: VERSION,
            software,
            archive,
            last_event,
            database,
            detections: Vec::new(),
            columns: BTreeMap::new(),
            tables: Vec::new(),
        }
    }

    /// Reads the ledger of a directory; `None` when there is none.
    ///
    /// # Errors
    /// [`ArchiveFault::Backup`] when it is of another form.
    pub(super) fn read(backup: &Path) -> Result<Option<Self>, ArchiveFault> {
        let path = backup.join(NAME);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(at(&path))?,
        };
        let damaged = |what: String| ArchiveFault::Backup(format!("{}: {what}", path.display()));
        let ledger: Self = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        if ledger.version != VERSION {
            return Err(damaged(format!(
                "the ledger has format {}, not {VERSION}",
                ledger.version
            )));
        }
        Ok(Some(ledger))
    }

    pub(super) fn write(&self, backup: &Path) -> Result<(), ArchiveFault> {
        let path = backup.join(NAME);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| ArchiveFault::Damaged(format!("a ledger: {e}")))?;
        files::publish_bytes(&path, &text).map_err(lake::LakeError::from)?;
        Ok(())
    }

    /// Returns true when the backup is that of a server.
    pub(super) fn is_of_server(&self) -> bool {
        self.database.name.ends_with(".dump")
    }
}
