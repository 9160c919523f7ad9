//! State shared by the virtual tables of one connection: columns, open files, and the budget of a query.

use super::budget::Budget;
use lake::{ByteCounter, FieldId, LakeError, LakeFileId, LakeTable, OpenFile};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Greatest number of files kept open: each holds a descriptor and a parsed footer.
const FILES_KEPT: usize = 256;

/// A column of a lake table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableColumn {
    pub field_id: FieldId,
    pub name: String,
    /// Declared type in SQL; its affinity is that of the values.
    pub declared: &'static str,
    /// True when comparisons with numbers can be decided on the stored values.
    pub numeric: bool,
}

impl TableColumn {
    fn of(field_id: FieldId, name: String, kind: &str) -> Self {
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

/// The state that all lake tables of a connection share.
#[derive(Debug)]
pub(crate) struct LakeReading {
    pub lake_dir: PathBuf,
    pub counter: Arc<ByteCounter>,
    pub budget: Arc<Budget>,
    /// The event as of which tables show rows; `None` for now.
    pub as_of: Option<i64>,
    files: Mutex<Files>,
}

impl LakeReading {
    pub(crate) fn new(lake_dir: &Path, budget: Arc<Budget>, as_of: Option<i64>) -> Self {
        let lake_dir = lake_dir.to_owned();
        Self { lake_dir, counter: Arc::default(), budget, as_of, files: Mutex::default() }
    }
}

/// The state that the two virtual tables of a lake table share.
#[derive(Debug)]
pub(crate) struct LakeShare {
    pub reading: Arc<LakeReading>,
    pub table: LakeTable,
    pub columns: Vec<TableColumn>,
    pub roles: Roles,
}

/// Positions of the columns that a lookup understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    pub id: Option<usize>,
    pub programme_id: usize,
    /// Columns of the range key, in its order.
    pub key: Vec<usize>,
    /// Right ascension and declination.
    pub sky: Option<(usize, usize)>,
}

/// The part of a query that a condition on a column limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Id,
    Programme,
    /// A column of the range key, by its place in the key.
    Key(usize),
    Other,
}

impl Roles {
    fn of(table: &LakeTable, columns: &[TableColumn]) -> Result<Self, LakeError> {
        let position = |name: &str| {
            columns.iter().position(|c| c.name == name).ok_or_else(|| {
                LakeError::Catalogue(format!("{} has no column {name} in the lake", table.name()))
            })
        };
        let sky = match table.sky() {
            Some(sky) => Some((position(&sky.ra)?, position(&sky.dec)?)),
            None => None,
        };
        Ok(Self {
            id: table.layout().id.as_deref().map(position).transpose()?,
            programme_id: position("programme_id")?,
            key: table.range_key().iter().map(|name| position(name)).collect::<Result<_, _>>()?,
            sky,
        })
    }

    /// Returns the role of a column.
    pub(crate) fn of_column(&self, column: usize) -> Role {
        match self.key.iter().position(|&key| key == column) {
            Some(place) => Role::Key(place),
            None if Some(column) == self.id => Role::Id,
            None if column == self.programme_id => Role::Programme,
            None => Role::Other,
        }
    }
}

#[derive(Debug, Default)]
struct Files {
    open: HashMap<LakeFileId, (u64, Arc<OpenFile>)>,
    clock: u64,
}

impl LakeShare {
    /// Makes the state of a table; `None` when the archive does not have the table.
    pub(crate) fn of(
        db: &Connection,
        reading: &Arc<LakeReading>,
        table: LakeTable,
    ) -> Result<Option<Self>, LakeError> {
        let columns: Vec<TableColumn> = lake::stored_columns(db, &table)?
            .into_iter()
            .map(|(id, name, kind)| TableColumn::of(id, name, &kind))
            .collect();
        if columns.is_empty() {
            return Ok(None);
        }
        let roles = Roles::of(&table, &columns)?;
        Ok(Some(Self { reading: Arc::clone(reading), table, columns, roles }))
    }

    /// Returns a lake file, opened now or before. The least recently used file is closed when there are too many.
    pub(crate) fn file(
        &self,
        db: &Connection,
        file_id: LakeFileId,
    ) -> Result<Arc<OpenFile>, LakeError> {
        let mut files = self.reading.files.lock().unwrap_or_else(PoisonError::into_inner);
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

    fn open(&self, db: &Connection, file_id: LakeFileId) -> Result<OpenFile, LakeError> {
        let (name, footer_bytes): (String, u64) = db
            .prepare_cached(
                "SELECT path, footer_size FROM ducklake_data_file WHERE data_file_id = ?1",
            )?
            .query_row([file_id], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()?
            .ok_or_else(|| LakeError::Catalogue(format!("data file {file_id} is missing")))?;
        let path = self.table.directory(&self.reading.lake_dir).join(name);
        OpenFile::open(&path, Some(footer_bytes), &self.reading.counter)
    }
}
