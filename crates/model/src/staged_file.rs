//! The files that a task writes: tables of rows and JPEGs, with their names.

use crate::{ProgrammeId, Sha256};
use serde::{Deserialize, Serialize};

/// One file that a task wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// Table of the rows, or `jpeg`.
    pub table: String,
    /// Plain name within the attempt's directory.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Length.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: Sha256,
    /// Version of the table's definition.
    pub schema_version: u32,
    /// For `detection`: the programme of all its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programme_id: Option<ProgrammeId>,
}

/// Table name under which a result lists its JPEGs.
pub const JPEG: &str = "jpeg";

/// Returns the name of the file in which a task stages the rows of a table; those of detections belong to one programme.
pub fn staged_name(table: &str, programme_id: Option<ProgrammeId>) -> String {
    match programme_id {
        Some(programme) => format!("{table}.{programme}.parquet"),
        None => format!("{table}.parquet"),
    }
}

impl StagedFile {
    /// Returns true when the file has the name that its table and programme require. A JPEG has the name of some
    /// preview; the task's inputs decide of which image.
    pub fn is_named_rightly(&self) -> bool {
        match self.table.as_str() {
            JPEG => self.programme_id.is_none() && crate::preview_name::parts(&self.name).is_some(),
            table => self.name == staged_name(table, self.programme_id),
        }
    }
}
