//! One publication: the rows that it adds, ends and reopens, and the one snapshot that names its event.

use super::catalogue::{Snapshot, change_row, snapshot_row};
use super::{
    CatalogId, ColumnStatistics, LakeError, LakeFile, LakeFileId, LakeTable, RangeKey, SkyCap,
    SnapshotId,
};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use chrono::{DateTime, Utc};
use model::EventId;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The record of a file that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// `data_file_id` of the entry that never ends: the `file_id` of the index.
    pub file_id: LakeFileId,
    /// Ranges it holds.
    pub ranges: u64,
    /// Rows it holds.
    pub rows: u64,
}

/// Changes to the lake within the caller's transaction. None of them is visible before that commits, and all of them
/// belong to one event.
///
/// The order matters for one range key: first [`end`](Self::end) its older range, then [`add`](Self::add) its replacement,
/// since a key has one current range at most. Added rows may end in the same publication: they are in the companion, and
/// no snapshot of the table itself shows them.
#[derive(Debug)]
pub struct Publication<'tx> {
    tx: &'tx Connection,
    lake_dir: PathBuf,
    event: EventId,
    snapshot: Snapshot,
    changes: BTreeSet<String>,
    /// Files with rows that ended or became visible again, with their tables, which are updated at the end.
    touched: BTreeMap<LakeFileId, &'tx LakeTable>,
}

impl<'tx> Publication<'tx> {
    /// Starts a publication on a connection that is inside a transaction (`BEGIN IMMEDIATE`).
    ///
    /// # Errors
    /// [`LakeError::Catalogue`] outside a transaction or without [`super::init`].
    pub fn begin(tx: &'tx Connection, lake_dir: &Path, event: EventId) -> Result<Self, LakeError> {
        if tx.is_autocommit() {
            return Err(LakeError::Catalogue("a publication needs a transaction".to_owned()));
        }
        let mut snapshot = Snapshot::latest(tx)?;
        snapshot.id = snapshot.id.next();
        Ok(Self {
            tx,
            lake_dir: lake_dir.to_owned(),
            event,
            snapshot,
            changes: BTreeSet::new(),
            touched: BTreeMap::new(),
        })
    }

    /// Registers a file of a table and its ranges. `version` returns the version of a range's input, of a table that has
    /// versions.
    ///
    /// # Errors
    /// [`LakeError::Catalogue`] when the name was used before; [`LakeError::Sql`] when a key has a current range already or
    /// ids overlap.
    pub fn add(
        &mut self,
        table: &'tx LakeTable,
        file: &LakeFile,
        version: impl Fn(&RangeKey) -> i64,
    ) -> Result<Registered, LakeError> {
        let used: bool = self.tx.query_row(
            "SELECT EXISTS (SELECT * FROM ducklake_data_file WHERE path = ?1)",
            [&file.name],
            |r| r.get(0),
        )?;
        if used {
            return Err(LakeError::Catalogue(format!("{} is registered already", file.name)));
        }
        let file_id = self.add_data_file(table.lasting_table(), file)?;
        if table.all_table().is_some() {
            self.add_data_file(table.current_table(), file)?;
        }
        if let Some(xxhash64) = &file.xxhash64 {
            self.tx.execute(
                "INSERT INTO lake_file (name, xxhash64) VALUES (?1, ?2)",
                params![file.name, xxhash64],
            )?;
        }
        self.add_ranges(table, file_id, file, version)?;
        Ok(Registered { file_id, ranges: file.ranges.len() as u64, rows: file.rows })
    }

    fn take_file_id(&mut self) -> LakeFileId {
        let id = self.snapshot.next_file_id;
        self.snapshot.next_file_id = id.next();
        id
    }

    fn add_data_file(
        &mut self,
        table: CatalogId,
        file: &LakeFile,
    ) -> Result<LakeFileId, LakeError> {
        let id = self.take_file_id();
        let first_row: i64 = self.tx.query_row(
            "UPDATE ducklake_table_stats SET next_row_id = next_row_id + ?2,
                 record_count = record_count + ?2, file_size_bytes = file_size_bytes + ?3
             WHERE table_id = ?1 RETURNING next_row_id - ?2",
            params![table, file.rows, file.bytes],
            |r| r.get(0),
        )?;
        self.tx.execute(
            "INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, path, path_is_relative,
                 file_format, record_count, file_size_bytes, footer_size, row_id_start)
             VALUES (?1, ?2, ?3, ?4, 1, 'parquet', ?5, ?6, ?7, ?8)",
            params![
                id, table, self.snapshot.id, file.name, file.rows, file.bytes, file.footer_bytes, first_row
            ],
        )?;
        for column in &file.statistics {
            self.add_statistics(id, table, column)?;
        }
        self.changes.insert(format!("inserted_into_table:{table}"));
        Ok(id)
    }

    fn add_statistics(
        &self,
        file_id: LakeFileId,
        table: CatalogId,
        column: &ColumnStatistics,
    ) -> Result<(), LakeError> {
        let (low, high) = column.bounds.as_ref().map_or((None, None), |(a, b)| (Some(a), Some(b)));
        self.tx
            .prepare_cached(
                "INSERT INTO ducklake_file_column_stats (data_file_id, table_id, column_id, column_size_bytes,
                     value_count, null_count, min_value, max_value, contains_nan)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                file_id,
                table,
                column.column_id,
                column.bytes,
                column.values,
                column.nulls,
                low,
                high,
                column.floating.then_some(0)
            ])?;
        Ok(())
    }

    fn add_ranges(
        &self,
        table: &LakeTable,
        file_id: LakeFileId,
        file: &LakeFile,
        version: impl Fn(&RangeKey) -> i64,
    ) -> Result<(), LakeError> {
        let first_id = table.first_id();
        let mut columns = vec!["programme_id", &first_id, "rows"];
        columns.extend(table.range_key().iter().map(String::as_str));
        columns.extend(table.layout().version.as_deref());
        columns.extend(["file_id", "file_row", "begin_event"]);
        if table.sky().is_some() {
            columns.extend(["centre_healpix29", "radius_deg", "radius_class"]);
        }
        let parameters: Vec<String> = (1..=columns.len()).map(|i| format!("?{i}")).collect();
        let mut insert = self.tx.prepare_cached(&format!(
            "INSERT INTO {} ({}) VALUES ({})",
            table.index(),
            columns.join(", "),
            parameters.join(", ")
        ))?;
        for range in &file.ranges {
            range.key.check(table)?;
            let whole = |n: u64| Value::from(i64::try_from(n).unwrap_or(i64::MAX));
            let first = file.first_id.get().saturating_add_unsigned(range.first_row);
            let mut values =
                vec![i64::from(file.programme_id).into(), first.into(), whole(range.rows)];
            values.extend(range.key.values().iter().map(|value| Value::from(*value)));
            if table.layout().version.is_some() {
                values.push(version(&range.key).into());
            }
            values.extend([file_id.get().into(), whole(range.first_row), self.event.get().into()]);
            if table.sky().is_some() {
                values.push(range.sky.map(|s| s.centre_healpix29).into());
                values.push(range.sky.map(|s| s.radius_deg).into());
                values.push(range.sky.map(SkyCap::radius_class).into());
            }
            insert.execute(params_from_iter(values))?;
        }
        Ok(())
    }

    /// Ends the current rows of some ranges of a table and returns the number of those rows. A key without current rows is
    /// skipped.
    ///
    /// # Errors
    /// [`LakeError::Catalogue`] when the table has no history; [`LakeError::Sql`], or a delete file that could not be written.
    pub fn end(
        &mut self,
        table: &'tx LakeTable,
        keys: impl IntoIterator<Item = impl Into<RangeKey>>,
    ) -> Result<u64, LakeError> {
        let update = format!(
            "UPDATE {} SET end_event = ?1 WHERE {} AND end_event IS NULL RETURNING file_id, rows",
            table.index(),
            table.key_condition(2)
        );
        self.turn(table, keys, &update)
    }

    /// Reopens the rows of some ranges of a table that one event ended (the undo of a retraction) and returns their number.
    ///
    /// # Errors
    /// [`LakeError::Catalogue`] when the table has no history; [`LakeError::Sql`] when a key has received another current range
    /// since.
    pub fn reopen(
        &mut self,
        table: &'tx LakeTable,
        ended_by: EventId,
        keys: impl IntoIterator<Item = impl Into<RangeKey>>,
    ) -> Result<u64, LakeError> {
        // By key, of which there are few rows: the index of events would find all rows that one event ended.
        let update = format!(
            "UPDATE {} SET end_event = NULL
             WHERE end_event + 0 = {ended_by} AND end_event IS NOT NULL AND {} AND ?1 > 0
             RETURNING file_id, rows",
            table.index(),
            table.key_condition(2)
        );
        self.turn(table, keys, &update)
    }

    /// Runs an update per key and records the affected files.
    fn turn(
        &mut self,
        table: &'tx LakeTable,
        keys: impl IntoIterator<Item = impl Into<RangeKey>>,
        update: &str,
    ) -> Result<u64, LakeError> {
        if table.all_table().is_none() {
            return Err(LakeError::Catalogue(format!("{} has no history", table.name())));
        }
        let mut turned = 0;
        let mut update = self.tx.prepare(update)?;
        for key in keys {
            let key: RangeKey = key.into();
            key.check(table)?;
            let values = std::iter::once(self.event.get()).chain(key.values().iter().copied());
            let mut rows = update.query(params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                self.touched.insert(row.get(0)?, table);
                turned += row.get::<_, u64>(1)?;
            }
        }
        Ok(turned)
    }

    /// Makes a table show exactly the current rows of a file.
    fn reconcile(&mut self, table: &LakeTable, file_id: LakeFileId) -> Result<(), LakeError> {
        let name: String = self.tx.query_row(
            "SELECT path FROM ducklake_data_file WHERE data_file_id = ?1",
            [file_id],
            |r| r.get(0),
        )?;
        let (ended, current) = self.ended_rows(table, file_id)?;
        let shown: Option<LakeFileId> = self
            .tx
            .query_row(
                "SELECT data_file_id FROM ducklake_data_file
                 WHERE path = ?1 AND table_id = ?2 AND end_snapshot IS NULL",
                params![name, table.current_table()],
                |r| r.get(0),
            )
            .optional()?;
        if let Some(shown) = shown {
            self.end_delete_file(table, shown)?;
        }
        let shown = match (shown, current) {
            (Some(shown), 0) => {
                self.end_data_file(table, shown)?;
                return Ok(());
            }
            (None, 0) => return Ok(()),
            (Some(shown), _) => shown,
            (None, _) => self.register_again(table, file_id)?,
        };
        if !ended.is_empty() {
            self.add_delete_file(table, shown, &name, ended)?;
        }
        Ok(())
    }

    /// Returns the positions of a file's rows that have ended, and the number of those that are current.
    fn ended_rows(
        &self,
        table: &LakeTable,
        file_id: LakeFileId,
    ) -> Result<(Vec<i64>, u64), LakeError> {
        let mut select = self.tx.prepare_cached(&format!(
            "SELECT file_row, rows, end_event IS NULL FROM {}
             WHERE file_id = ?1 ORDER BY file_row",
            table.index()
        ))?;
        let mut rows = select.query([file_id])?;
        let (mut ended, mut current) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
            if row.get(2)? {
                current += count.unsigned_abs();
            } else {
                ended.extend(first..first + count);
            }
        }
        Ok((ended, current))
    }

    fn end_data_file(&mut self, table: &LakeTable, id: LakeFileId) -> Result<(), LakeError> {
        if self.forget_unseen(table, id)? {
            return Ok(());
        }
        self.tx.execute(
            "UPDATE ducklake_data_file SET end_snapshot = ?2 WHERE data_file_id = ?1",
            params![id, self.snapshot.id],
        )?;
        self.changes.insert(format!("deleted_from_table:{}", table.current_table()));
        Ok(())
    }

    /// Removes a file of a table that this publication itself added: no snapshot ever shows it.
    fn forget_unseen(&mut self, table: &LakeTable, id: LakeFileId) -> Result<bool, LakeError> {
        let unseen: Option<(i64, i64)> = self
            .tx
            .query_row(
                "DELETE FROM ducklake_data_file WHERE data_file_id = ?1 AND begin_snapshot = ?2
                 RETURNING record_count, file_size_bytes",
                params![id, self.snapshot.id],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )
            .optional()?;
        let Some((rows, bytes)) = unseen else { return Ok(false) };
        self.tx.execute("DELETE FROM ducklake_file_column_stats WHERE data_file_id = ?1", [id])?;
        self.tx.execute(
            "UPDATE ducklake_table_stats SET record_count = record_count - ?2, file_size_bytes = file_size_bytes - ?3
             WHERE table_id = ?1",
            params![table.current_table(), rows, bytes],
        )?;
        Ok(true)
    }

    fn end_delete_file(
        &mut self,
        table: &LakeTable,
        data_file_id: LakeFileId,
    ) -> Result<(), LakeError> {
        // A file written by this publication itself was never visible, so it is removed without a trace.
        self.tx.execute(
            "DELETE FROM ducklake_delete_file WHERE data_file_id = ?1 AND begin_snapshot = ?2",
            params![data_file_id, self.snapshot.id],
        )?;
        let ended = self.tx.execute(
            "UPDATE ducklake_delete_file SET end_snapshot = ?2
             WHERE data_file_id = ?1 AND end_snapshot IS NULL",
            params![data_file_id, self.snapshot.id],
        )?;
        if ended > 0 {
            self.changes.insert(format!("deleted_from_table:{}", table.current_table()));
        }
        Ok(())
    }

    /// Registers a file of the companion in its table again, with its statistics there.
    fn register_again(
        &mut self,
        table: &LakeTable,
        file_id: LakeFileId,
    ) -> Result<LakeFileId, LakeError> {
        let id = self.take_file_id();
        self.tx.execute(
            "INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, path, path_is_relative,
                 file_format, record_count, file_size_bytes, footer_size, row_id_start)
             SELECT ?1, ?2, ?3, path, path_is_relative, file_format, record_count, file_size_bytes,
                 footer_size, row_id_start
             FROM ducklake_data_file WHERE data_file_id = ?4",
            params![id, table.current_table(), self.snapshot.id, file_id],
        )?;
        self.tx.execute(
            "INSERT INTO ducklake_file_column_stats
             SELECT ?1, ?2, column_id, column_size_bytes, value_count, null_count, min_value, max_value,
                 contains_nan, extra_stats
             FROM ducklake_file_column_stats WHERE data_file_id = ?3",
            params![id, table.current_table(), file_id],
        )?;
        self.changes.insert(format!("inserted_into_table:{}", table.current_table()));
        Ok(id)
    }

    fn add_delete_file(
        &mut self,
        table: &LakeTable,
        data_file_id: LakeFileId,
        data_name: &str,
        ended: Vec<i64>,
    ) -> Result<(), LakeError> {
        let id = self.take_file_id();
        let stem = data_name.trim_end_matches(".parquet");
        let name = format!("{stem}-ended{:08}-{id}.parquet", self.event);
        let count = ended.len();
        let path = table.directory(&self.lake_dir).join(&name);
        let (bytes, footer_bytes) = write_delete_file(&path, data_name, ended)?;
        self.tx.execute(
            "INSERT INTO ducklake_delete_file (delete_file_id, table_id, begin_snapshot, data_file_id, path,
                 path_is_relative, format, delete_count, file_size_bytes, footer_size)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, 'parquet', ?6, ?7, ?8)",
            params![
                id, table.current_table(), self.snapshot.id, data_file_id, name, count, bytes, footer_bytes
            ],
        )?;
        self.changes.insert(format!("deleted_from_table:{}", table.current_table()));
        Ok(())
    }

    /// Writes the snapshot and returns its number; without changes there is none.
    ///
    /// # Errors
    /// [`LakeError::Sql`].
    pub fn finish(
        mut self,
        now: DateTime<Utc>,
        message: &str,
    ) -> Result<Option<SnapshotId>, LakeError> {
        for (file, table) in std::mem::take(&mut self.touched) {
            self.reconcile(table, file)?;
        }
        if self.changes.is_empty() {
            return Ok(None);
        }
        snapshot_row(self.tx, self.snapshot, now)?;
        let changes: Vec<String> = self.changes.into_iter().collect();
        change_row(self.tx, self.snapshot.id, &changes.join(","), message, Some(self.event))?;
        Ok(Some(self.snapshot.id))
    }
}

/// Removes the files of a table that hold a programme's range of ids, and nothing else, from the lake's catalogue, history
/// included, and returns their paths: the rows are lost to time travel too.
///
/// # Errors
/// [`LakeError::Sql`].
pub fn forget(
    tx: &Connection,
    lake_dir: &Path,
    table: &LakeTable,
    [programme, first, last]: [i64; 3],
) -> Result<Vec<PathBuf>, LakeError> {
    let (index, first_id) = (table.index(), table.first_id());
    let of = format!("programme_id = ?1 AND {first_id} BETWEEN ?2 AND ?3");
    let mut select = tx.prepare(&format!(
        "SELECT DISTINCT path FROM ducklake_data_file
         WHERE data_file_id IN (SELECT file_id FROM {index} WHERE {of})
             AND NOT EXISTS (SELECT * FROM {index} WHERE file_id = data_file_id AND NOT ({of}))",
    ))?;
    let names: Vec<String> =
        select.query_map([programme, first, last], |r| r.get(0))?.collect::<Result<_, _>>()?;
    let dir = table.directory(lake_dir);
    let mut paths = Vec::new();
    for name in names {
        let mut select =
            tx.prepare_cached("SELECT data_file_id, table_id, record_count, file_size_bytes FROM ducklake_data_file WHERE path = ?1")?;
        let files =
            select.query_map([&name], |r| Ok([r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?]))?;
        let files: Vec<[i64; 4]> = files.collect::<Result<_, _>>()?;
        let mut counted = BTreeSet::new();
        for [id, table, rows, bytes] in files {
            let mut select =
                tx.prepare_cached("SELECT path FROM ducklake_delete_file WHERE data_file_id = ?1")?;
            let ended = select.query_map([id], |r| r.get::<_, String>(0))?;
            for path in ended {
                paths.push(dir.join(path?));
            }
            tx.execute("DELETE FROM ducklake_delete_file WHERE data_file_id = ?1", [id])?;
            tx.execute("DELETE FROM ducklake_file_column_stats WHERE data_file_id = ?1", [id])?;
            tx.execute("DELETE FROM ducklake_data_file WHERE data_file_id = ?1", [id])?;
            if counted.insert(table) {
                tx.execute(
                    "UPDATE ducklake_table_stats SET record_count = record_count - ?2, file_size_bytes = file_size_bytes - ?3
                     WHERE table_id = ?1",
                    [table, rows, bytes],
                )?;
            }
        }
        tx.execute("DELETE FROM lake_file WHERE name = ?1", [&name])?;
        paths.push(dir.join(name));
    }
    Ok(paths)
}

/// Returns the number of the latest snapshot.
///
/// # Errors
/// [`LakeError::Sql`], or [`LakeError::Catalogue`] when there is none.
pub fn latest_snapshot(tx: &Connection) -> Result<SnapshotId, LakeError> {
    Ok(Snapshot::latest(tx)?.id)
}

/// Lists the files of ended rows that snapshots after a given one added.
///
/// # Errors
/// [`LakeError::Sql`].
pub fn ended_rows_since(
    tx: &Connection,
    lake_dir: &Path,
    snapshot: SnapshotId,
) -> Result<Vec<PathBuf>, LakeError> {
    let mut select = tx.prepare(
        "SELECT t.path || ended.path FROM ducklake_delete_file AS ended
             JOIN ducklake_table AS t USING (table_id) WHERE ended.begin_snapshot > ?1",
    )?;
    let paths = select.query_map([snapshot], |r| r.get::<_, String>(0))?;
    Ok(paths.map(|path| Ok(lake_dir.join(path?))).collect::<Result<_, rusqlite::Error>>()?)
}

/// Writes the positions of ended rows as DuckLake (like Iceberg) keeps them: file name and position, with reserved
/// field ids. Readers use the position alone, so the name may stay relative and the site may move.
fn write_delete_file(
    path: &Path,
    data_name: &str,
    positions: Vec<i64>,
) -> Result<(u64, u64), LakeError> {
    let field = |name: &str, kind, id: i32| {
        let id = HashMap::from([("PARQUET:field_id".to_owned(), id.to_string())]);
        Field::new(name, kind, true).with_metadata(id)
    };
    let schema = Arc::new(Schema::new(vec![
        field("file_path", DataType::Utf8, 2_147_483_546),
        field("pos", DataType::Int64, 2_147_483_545),
    ]));
    let names = StringArray::from_iter_values(positions.iter().map(|_| data_name));
    let columns = [Arc::new(names) as ArrayRef, Arc::new(Int64Array::from(positions)) as ArrayRef];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.to_vec())
        .expect("both columns have the types and length of the schema");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a level of zstd")))
        .set_column_dictionary_enabled("pos".into(), false)
        .set_column_encoding("pos".into(), Encoding::DELTA_BINARY_PACKED)
        .build();
    let options =
        ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let bytes = files::publish(path, |file| {
        let fault = LakeError::parquet(path);
        let mut writer =
            ArrowWriter::try_new_with_options(file, schema, options).map_err(&fault)?;
        writer.write(&batch).map_err(&fault)?;
        writer.finish().map_err(&fault)?;
        Ok::<u64, LakeError>(writer.bytes_written() as u64)
    })?;
    let file = super::OpenFile::open(path, None, &Arc::default())?;
    debug_assert_eq!(file.bytes(), bytes);
    Ok((file.bytes(), file.footer_bytes()))
}

/// Reads the positions in a file that [`write_delete_file`] wrote.
///
/// # Errors
/// [`LakeError::Parquet`] when the file is damaged, [`LakeError::Staged`] when it has another format.
pub fn read_delete_file(path: &Path) -> Result<Vec<i64>, LakeError> {
    let misfit = || LakeError::Staged {
        path: path.to_owned(),
        reason: "the file lists no positions".to_owned(),
    };
    let file = super::OpenFile::open(path, None, &Arc::default())?;
    let column = file.column("pos").ok_or_else(misfit)?;
    let mut positions = Vec::new();
    for (number, group) in file.metadata().row_groups().iter().enumerate() {
        let rows = usize::try_from(group.num_rows()).map_err(|_| misfit())?;
        let block = super::ColumnScan::new(&file, number, column)?.read(0, rows)?;
        match block.values {
            super::Values::I64(values) => positions.extend(values),
            _ => return Err(misfit()),
        }
    }
    Ok(positions)
}
