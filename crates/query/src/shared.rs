//! State shared by the detection tables of one connection: columns, open files, and the budget of a query.

use super::budget::Budget;
use lake::{ByteCounter, LakeError, OpenFile};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Greatest number of files kept open: each holds a descriptor and a parsed footer.
const FILES_KEPT: usize = 256;

/// A column of `detection`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableColumn {
    pub field_id: i64,
    pub name: String,
    /// Declared type in SQL; its affinity is that of the values.
    pub declared: &'static str,
    /// True when comparisons with numbers can be decided on the stored values.
    pub numeric: bool,
}

impl TableColumn {
    fn of(field_id: i64, name: String, kind: &str) -> Self {
        let (declared, numeric) = match kind {
            "boolean" => ("BOOLEAN", true),
            "int16" => ("SMALLINT", true),
            "int32" => ("INTEGER", true),
            "int64" => ("BIGINT", true),
            "float32" => ("FLOAT", true),
            "float64" => ("DOUBLE", true),
            "varchar" => ("TEXT", false),
            _ => ("BLOB", false),
        };
        Self { field_id, name, declared, numeric }
    }
}

/// The shared state; see the module.
#[derive(Debug)]
pub(crate) struct LakeShare {
    pub lake_dir: PathBuf,
    pub columns: Vec<TableColumn>,
    pub counter: Arc<ByteCounter>,
    pub budget: Arc<Budget>,
    /// The event as of which `detection` shows rows; `None` for now.
    pub as_of: Option<i64>,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    open: HashMap<i64, (u64, Arc<OpenFile>)>,
    clock: u64,
}

impl LakeShare {
    pub(crate) fn new(
        db: &Connection,
        lake_dir: &Path,
        budget: Arc<Budget>,
        as_of: Option<i64>,
    ) -> Result<Self, LakeError> {
        let columns = lake::stored_columns(db)?
            .into_iter()
            .map(|(id, name, kind)| TableColumn::of(id, name, &kind))
            .collect();
        Ok(Self {
            lake_dir: lake_dir.to_owned(),
            columns,
            counter: Arc::default(),
            budget,
            as_of,
            files: Mutex::default(),
        })
    }

    /// Returns the position of a column of the table.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// Returns a lake file, opened now or before. The least recently used file is closed when there are too many.
    pub(crate) fn file(&self, db: &Connection, file_id: i64) -> Result<Arc<OpenFile>, LakeError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.clock += 1;
        let now = files.clock;
        if let Some((used, file)) = files.open.get_mut(&file_id) {
            *used = now;
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(self.open(db, file_id)?);
        if files.open.len() >= FILES_KEPT {
            let oldest = files.open.iter().min_by_key(|(_, (used, _))| *used).map(|(id, _)| *id);
            oldest.and_then(|id| files.open.remove(&id));
        }
        files.open.insert(file_id, (now, Arc::clone(&file)));
        Ok(file)
    }

    fn open(&self, db: &Connection, file_id: i64) -> Result<OpenFile, LakeError> {
        let (name, footer_bytes): (String, u64) = db
            .prepare_cached(
                "SELECT path, footer_size FROM ducklake_data_file WHERE data_file_id = ?1",
            )?
            .query_row([file_id], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()?
            .ok_or_else(|| LakeError::Catalogue(format!("data file {file_id} is missing")))?;
        let path = self.lake_dir.join(lake::TABLE_PATH).join(name);
        OpenFile::open(&path, Some(footer_bytes), &self.counter)
    }
}
