//! One publication: the rows that it adds, ends and reopens, and the one snapshot that names its event.

use super::catalogue::{ALL_TABLE, CURRENT_TABLE, Snapshot, TABLE_PATH, change_row, snapshot_row};
use super::{ColumnStatistics, LakeError, LakeFile, SkyCap};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use chrono::{DateTime, Utc};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One detector's catalogue, whatever its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DetectorKey {
    /// The image.
    pub multiframe_id: i64,
    /// Extension number, primary = 1.
    pub ext_num: i64,
}

/// The record of a file that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// `data_file_id` in `detection_all`: the `file_id` of `detector_rows`.
    pub file_id: i64,
    /// Detectors it holds.
    pub detectors: u64,
    /// Rows it holds.
    pub rows: u64,
}

/// Changes to the lake within the caller's transaction. None of them is visible before that commits, and all of them
/// belong to one event.
///
/// The order matters for one detector: first [`end_detectors`](Self::end_detectors) its older catalogue, then
/// [`add`](Self::add) its replacement, since a detector has one current catalogue at most. Added rows may end in the
/// same publication: they are in `detection_all`, and no snapshot of `detection` shows them.
#[derive(Debug)]
pub struct Publication<'tx> {
    tx: &'tx Connection,
    dir: PathBuf,
    event: i64,
    snapshot: Snapshot,
    changes: BTreeSet<String>,
    /// Files with rows that ended or became visible again: `detection` is updated for them at the end.
    touched: BTreeSet<i64>,
}

impl<'tx> Publication<'tx> {
    /// Starts a publication on a connection that is inside a transaction (`BEGIN IMMEDIATE`).
    ///
    /// # Errors
    /// [`LakeError::Catalogue`] outside a transaction or without [`super::init`].
    pub fn begin(tx: &'tx Connection, lake_dir: &Path, event: i64) -> Result<Self, LakeError> {
        if tx.is_autocommit() {
            return Err(LakeError::Catalogue("a publication needs a transaction".to_owned()));
        }
        let mut snapshot = Snapshot::latest(tx)?;
        snapshot.id += 1;
        Ok(Self {
            tx,
            dir: lake_dir.join(TABLE_PATH),
            event,
            snapshot,
            changes: BTreeSet::new(),
            touched: BTreeSet::new(),
        })
    }

    /// Registers a file and its detectors. `version` returns the catalogue version of a detector.
    ///
    /// # Errors
    /// [`LakeError::Catalogue`] when the name was used before; [`LakeError::Sql`] when a detector has a current
    /// catalogue already or object ids overlap.
    pub fn add(
        &mut self,
        file: &LakeFile,
        version: impl Fn(DetectorKey) -> i64,
    ) -> Result<Registered, LakeError> {
        let used: bool = self.tx.query_row(
            "SELECT EXISTS (SELECT * FROM ducklake_data_file WHERE path = ?1)",
            [&file.name],
            |r| r.get(0),
        )?;
        if used {
            return Err(LakeError::Catalogue(format!("{} is registered already", file.name)));
        }
        let file_id = self.add_data_file(ALL_TABLE, file)?;
        self.add_data_file(CURRENT_TABLE, file)?;
        if let Some(xxhash64) = &file.xxhash64 {
            self.tx.execute(
                "INSERT INTO lake_file (name, xxhash64) VALUES (?1, ?2)",
                params![file.name, xxhash64],
            )?;
        }
        self.add_detectors(file_id, file, version)?;
        Ok(Registered { file_id, detectors: file.detectors.len() as u64, rows: file.rows })
    }

    fn take_file_id(&mut self) -> i64 {
        let id = self.snapshot.next_file_id;
        self.snapshot.next_file_id += 1;
        id
    }

    fn add_data_file(&mut self, table: i64, file: &LakeFile) -> Result<i64, LakeError> {
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
        file_id: i64,
        table: i64,
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

    fn add_detectors(
        &self,
        file_id: i64,
        file: &LakeFile,
        version: impl Fn(DetectorKey) -> i64,
    ) -> Result<(), LakeError> {
        let mut insert = self.tx.prepare_cached(
            "INSERT INTO detector_rows (programme_id, first_obj_id, rows, multiframe_id, ext_num, version,
                 file_id, file_row, begin_event, centre_healpix29, radius_deg, radius_class)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        for run in &file.detectors {
            let key = DetectorKey { multiframe_id: run.multiframe_id, ext_num: run.ext_num };
            let first_obj_id = file.first_obj_id + i64::try_from(run.first_row).unwrap_or(i64::MAX);
            insert.execute(params![
                file.programme_id,
                first_obj_id,
                run.rows,
                key.multiframe_id,
                key.ext_num,
                version(key),
                file_id,
                run.first_row,
                self.event,
                run.sky.map(|s| s.centre_healpix29),
                run.sky.map(|s| s.radius_deg),
                run.sky.map(SkyCap::radius_class),
            ])?;
        }
        Ok(())
    }

    /// Ends the current rows of some detectors and returns the number of those rows. A detector without current rows is
    /// skipped.
    ///
    /// # Errors
    /// [`LakeError::Sql`], or a delete file that could not be written.
    pub fn end_detectors(&mut self, detectors: &[DetectorKey]) -> Result<u64, LakeError> {
        self.turn(
            detectors,
            "UPDATE detector_rows SET end_event = ?1
             WHERE multiframe_id = ?2 AND ext_num = ?3 AND end_event IS NULL RETURNING file_id, rows",
        )
    }

    /// Reopens the rows of some detectors that one event ended (the undo of a retraction) and returns their number.
    ///
    /// # Errors
    /// [`LakeError::Sql`] when a detector has received another current catalogue since.
    pub fn reopen_detectors(
        &mut self,
        ended_by: i64,
        detectors: &[DetectorKey],
    ) -> Result<u64, LakeError> {
        // By detector, of which there are few rows: the index of events would find all rows that one event ended.
        let update = format!(
            "UPDATE detector_rows SET end_event = NULL
             WHERE end_event + 0 = {ended_by} AND end_event IS NOT NULL AND multiframe_id = ?2 AND ext_num = ?3 AND ?1 > 0
             RETURNING file_id, rows"
        );
        self.turn(detectors, &update)
    }

    /// Runs an update per detector and records the affected files.
    fn turn(&mut self, detectors: &[DetectorKey], update: &str) -> Result<u64, LakeError> {
        let mut turned = 0;
        let mut update = self.tx.prepare(update)?;
        for key in detectors {
            let mut rows = update.query(params![self.event, key.multiframe_id, key.ext_num])?;
            while let Some(row) = rows.next()? {
                self.touched.insert(row.get::<_, i64>(0)?);
                turned += row.get::<_, u64>(1)?;
            }
        }
        Ok(turned)
    }

    /// Makes the table `detection` show exactly the current rows of a file.
    fn reconcile(&mut self, file_id: i64) -> Result<(), LakeError> {
        let name: String = self.tx.query_row(
            "SELECT path FROM ducklake_data_file WHERE data_file_id = ?1",
            [file_id],
            |r| r.get(0),
        )?;
        let (ended, current) = self.ended_rows(file_id)?;
        let shown: Option<i64> = self
            .tx
            .query_row(
                "SELECT data_file_id FROM ducklake_data_file
                 WHERE path = ?1 AND table_id = ?2 AND end_snapshot IS NULL",
                params![name, CURRENT_TABLE],
                |r| r.get(0),
            )
            .optional()?;
        if let Some(shown) = shown {
            self.end_delete_file(shown)?;
        }
        let shown = match (shown, current) {
            (Some(shown), 0) => {
                self.end_data_file(shown)?;
                return Ok(());
            }
            (None, 0) => return Ok(()),
            (Some(shown), _) => shown,
            (None, _) => self.reopen(file_id)?,
        };
        if !ended.is_empty() {
            self.add_delete_file(shown, &name, ended)?;
        }
        Ok(())
    }

    /// Returns the positions of a file's rows that have ended, and the number of those that are current.
    fn ended_rows(&self, file_id: i64) -> Result<(Vec<i64>, u64), LakeError> {
        let mut select = self.tx.prepare_cached(
            "SELECT file_row, rows, end_event IS NULL FROM detector_rows
             WHERE file_id = ?1 ORDER BY file_row",
        )?;
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

    fn end_data_file(&mut self, id: i64) -> Result<(), LakeError> {
        if self.forget_unseen(id)? {
            return Ok(());
        }
        self.tx.execute(
            "UPDATE ducklake_data_file SET end_snapshot = ?2 WHERE data_file_id = ?1",
            params![id, self.snapshot.id],
        )?;
        self.changes.insert(format!("deleted_from_table:{CURRENT_TABLE}"));
        Ok(())
    }

    /// Removes a file of `detection` that this publication itself added: no snapshot ever shows it.
    fn forget_unseen(&mut self, id: i64) -> Result<bool, LakeError> {
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
            params![CURRENT_TABLE, rows, bytes],
        )?;
        Ok(true)
    }

    fn end_delete_file(&mut self, data_file_id: i64) -> Result<(), LakeError> {
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
            self.changes.insert(format!("deleted_from_table:{CURRENT_TABLE}"));
        }
        Ok(())
    }

    /// Registers a file of `detection_all` in `detection` again, with its statistics there.
    fn reopen(&mut self, file_id: i64) -> Result<i64, LakeError> {
        let id = self.take_file_id();
        self.tx.execute(
            "INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, path, path_is_relative,
                 file_format, record_count, file_size_bytes, footer_size, row_id_start)
             SELECT ?1, ?2, ?3, path, path_is_relative, file_format, record_count, file_size_bytes,
                 footer_size, row_id_start
             FROM ducklake_data_file WHERE data_file_id = ?4",
            params![id, CURRENT_TABLE, self.snapshot.id, file_id],
        )?;
        self.tx.execute(
            "INSERT INTO ducklake_file_column_stats
             SELECT ?1, ?2, column_id, column_size_bytes, value_count, null_count, min_value, max_value,
                 contains_nan, extra_stats
             FROM ducklake_file_column_stats WHERE data_file_id = ?3",
            params![id, CURRENT_TABLE, file_id],
        )?;
        self.changes.insert(format!("inserted_into_table:{CURRENT_TABLE}"));
        Ok(id)
    }

    fn add_delete_file(
        &mut self,
        data_file_id: i64,
        data_name: &str,
        ended: Vec<i64>,
    ) -> Result<(), LakeError> {
        let id = self.take_file_id();
        let stem = data_name.trim_end_matches(".parquet");
        let name = format!("{stem}-ended{:08}-{id}.parquet", self.event);
        let count = ended.len();
        let (bytes, footer_bytes) = write_delete_file(&self.dir.join(&name), data_name, ended)?;
        self.tx.execute(
            "INSERT INTO ducklake_delete_file (delete_file_id, table_id, begin_snapshot, data_file_id, path,
                 path_is_relative, format, delete_count, file_size_bytes, footer_size)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, 'parquet', ?6, ?7, ?8)",
            params![id, CURRENT_TABLE, self.snapshot.id, data_file_id, name, count, bytes, footer_bytes],
        )?;
        self.changes.insert(format!("deleted_from_table:{CURRENT_TABLE}"));
        Ok(())
    }

    /// Writes the snapshot and returns its number; without changes there is none.
    ///
    /// # Errors
    /// [`LakeError::Sql`].
    pub fn finish(mut self, now: DateTime<Utc>, message: &str) -> Result<Option<i64>, LakeError> {
        for file in std::mem::take(&mut self.touched) {
            self.reconcile(file)?;
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

/// Removes the files that hold a programme's range of object ids, and nothing else, from the lake's catalogue, history
/// included, and returns their paths: the rows are lost to time travel too.
///
/// # Errors
/// [`LakeError::Sql`].
pub fn forget(
    tx: &Connection,
    lake_dir: &Path,
    [programme, first, last]: [i64; 3],
) -> Result<Vec<PathBuf>, LakeError> {
    let mut select = tx.prepare(
        "SELECT DISTINCT path FROM ducklake_data_file WHERE data_file_id IN (
             SELECT file_id FROM detector_rows WHERE programme_id = ?1 AND first_obj_id BETWEEN ?2 AND ?3)
         AND NOT EXISTS (SELECT * FROM detector_rows
                         WHERE file_id = data_file_id AND NOT (programme_id = ?1 AND first_obj_id BETWEEN ?2 AND ?3))",
    )?;
    let names: Vec<String> =
        select.query_map([programme, first, last], |r| r.get(0))?.collect::<Result<_, _>>()?;
    let dir = lake_dir.join(TABLE_PATH);
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
pub fn latest_snapshot(tx: &Connection) -> Result<i64, LakeError> {
    Ok(Snapshot::latest(tx)?.id)
}

/// Lists the files of ended rows that snapshots after a given one added.
///
/// # Errors
/// [`LakeError::Sql`].
pub fn ended_rows_since(
    tx: &Connection,
    lake_dir: &Path,
    snapshot: i64,
) -> Result<Vec<PathBuf>, LakeError> {
    let mut select =
        tx.prepare("SELECT path FROM ducklake_delete_file WHERE begin_snapshot > ?1")?;
    let names = select.query_map([snapshot], |r| r.get::<_, String>(0))?;
    let dir = lake_dir.join(TABLE_PATH);
    Ok(names.map(|name| Ok(dir.join(name?))).collect::<Result<_, rusqlite::Error>>()?)
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
/// [`LakeError::Parquet`] when the file is damaged, [`LakeError::Staged`] when it is of another kind.
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
