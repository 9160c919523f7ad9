//! One publication on a server: the partitions that it attaches, and the row ranges that it ends and reopens.

use super::load::LoadedPartition;
use super::schema::{ensure_parent, is_attached};
use super::{last_of, parent_name, root_name};
use crate::error::ArchiveFault;
use engine::{Connection, Result as EngineResult};
use lake::{LakeError, LakeTable, RangeKey, SkyCap};
use model::{BatchId, EventId, ObjectId, ProgrammeId};
use rusqlite::types::Value;
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

/// Attaches a partition of consecutive ids, unless it is attached already. Its rows are in no view until their event is
/// published.
///
/// # Errors
/// Returns an error when ids overlap, or the partition does not exist.
pub fn attach(
    tx: &Connection,
    table: &LakeTable,
    name: &str,
    programme_id: ProgrammeId,
    first_obj_id: ObjectId,
    rows: u64,
) -> Result<(), ArchiveFault> {
    if is_attached(tx, name)? == Some(true) {
        return Ok(());
    }
    ensure_parent(tx, table, programme_id)?;
    let bounds = (first_obj_id, last_of(first_obj_id, rows)?);
    Ok(tx.execute_batch(&attach_sql(table, name, programme_id, bounds))?)
}

/// Returns the statement that attaches a partition of some ids.
pub fn attach_sql(
    table: &LakeTable,
    name: &str,
    programme_id: ProgrammeId,
    (first, last): (ObjectId, ObjectId),
) -> String {
    format!(
        "ALTER TABLE {} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({})",
        parent_name(table, programme_id),
        last.get() + 1
    )
}

/// Maximum wait for plans that are being made.
const PLANNING: Duration = Duration::from_millis(100);

/// Waits for a moment for the statements that were running on a table when a partition was attached: they may be planned with the
/// earlier list of partitions.
///
/// # Errors
/// Returns an error when the engine fails.
pub fn let_plans_end(c: &Connection, table: &LakeTable) -> EngineResult<()> {
    // A session of another user may hide its state; such a session counts as running.
    let at_work = |whose: &str| -> EngineResult<HashSet<String>> {
        let mut select = c.prepare(&format!(
            "SELECT pid || ' ' || coalesce(query_start::text, '') FROM pg_stat_get_activity(NULL)
             WHERE pid <> pg_backend_pid() AND coalesce(state NOT LIKE 'idle%', true){whose}"
        ))?;
        select.query_map([], |r| r.get(0))?.collect()
    };
    let mut planning = at_work(&format!(
        " AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'relation' AND relation = '{}'::regclass
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
        root_name(table)
    ))?;
    let began = Instant::now();
    while !planning.is_empty() && began.elapsed() < PLANNING {
        std::thread::sleep(Duration::from_millis(5));
        let now = at_work("")?;
        planning.retain(|statement| now.contains(statement));
    }
    Ok(())
}

/// Changes to lake tables within the caller's transaction; all of it belongs to one event.
///
/// First [`end`](Self::end) ends what is superseded, then [`add`](Self::add) adds what replaces it, since a key has at most one
/// current range.
pub struct Publication<'tx> {
    tx: &'tx Connection,
    event: EventId,
    /// The batch; an event that is not about one adds no rows.
    batch: Option<BatchId>,
    /// Number of the batch's rows that were added, by table.
    rows: BTreeMap<String, u64>,
}

impl<'tx> Publication<'tx> {
    /// Starts a publication on a connection that is inside a transaction; `batch` is `None` for an event that is not about one.
    pub fn begin(tx: &'tx Connection, event: EventId, batch: Option<BatchId>) -> Self {
        Self { tx, event, batch, rows: BTreeMap::new() }
    }

    /// Registers the ranges of an attached partition of a table. `version` returns the version of a range's input, of a table
    /// that has versions.
    ///
    /// # Errors
    /// Returns an error when a key has a current range already, or the partition is not attached.
    pub fn add(
        &mut self,
        table: &LakeTable,
        partition: &LoadedPartition,
        version: impl Fn(&RangeKey) -> i64,
    ) -> Result<u64, ArchiveFault> {
        if is_attached(self.tx, &partition.name)? != Some(true) {
            let message = format!("{} does not exist and must be loaded again", partition.name);
            return Err(ArchiveFault::Conflict(message));
        }
        // A backend that is notified of the attachment while it builds its list of partitions keeps the list without the new
        // partition (RelationBuildPartitionDesc of PostgreSQL 15 to 18), so the backend must be notified of another change.
        for parent in [root_name(table), parent_name(table, partition.programme_id)] {
            self.tx.execute_batch(&format!(
                "ALTER TABLE ONLY {parent} ALTER COLUMN {} SET STATISTICS -1",
                table.id()
            ))?;
        }
        self.add_ranges(table, partition, version)?;
        *self.rows.entry(table.name().to_owned()).or_default() += partition.rows;
        Ok(partition.rows)
    }

    fn add_ranges(
        &self,
        table: &LakeTable,
        partition: &LoadedPartition,
        version: impl Fn(&RangeKey) -> i64,
    ) -> Result<(), ArchiveFault> {
        let batch = self.batch.ok_or_else(|| {
            ArchiveFault::Damaged(format!("event {} is about no batch", self.event))
        })?;
        let before = self.rows.get(table.name()).copied().unwrap_or_default();
        let mut insert = self.tx.prepare_cached(&insert_sql(table))?;
        for run in &partition.detectors {
            run.key.check(table)?;
            let first = partition.first_obj_id.after(run.first_row).ok_or_else(|| {
                ArchiveFault::Damaged(format!("{} has too many rows", partition.name))
            })?;
            let whole = |n: u64| Value::from(i64::try_from(n).unwrap_or(i64::MAX));
            let programme_id = i64::from(partition.programme_id.get());
            let mut values = vec![programme_id.into(), first.get().into(), whole(run.rows)];
            values.extend(run.key.values().iter().map(|value| Value::from(*value)));
            if table.layout().version.is_some() {
                values.push(version(&run.key).into());
            }
            // On a server, `file_id` is the batch, and `file_row` the place within the batch over all programmes.
            let place = whole(before + run.first_row);
            values.extend([batch.get().into(), place, self.event.get().into()]);
            if table.sky().is_some() {
                values.push(run.sky.map(|s| s.centre_healpix29).into());
                values.push(run.sky.map(|s| s.radius_deg).into());
                values.push(run.sky.map(SkyCap::radius_class).into());
            }
            insert.execute(values)?;
        }
        Ok(())
    }

    /// Ends the current rows of some ranges of a table and returns the number of those rows. A key without current rows is
    /// skipped.
    ///
    /// # Errors
    /// Returns an error when the table has no history, or the engine fails.
    pub fn end(
        &mut self,
        table: &LakeTable,
        keys: impl IntoIterator<Item = impl Into<RangeKey>>,
    ) -> Result<u64, ArchiveFault> {
        let update = format!(
            "UPDATE {} SET end_event = ?1 WHERE {} AND end_event IS NULL RETURNING rows",
            table.index(),
            table.key_condition(2)
        );
        self.turn(table, keys, &update)
    }

    /// Reopens the rows of some ranges of a table that one event ended, and returns the number of reopened rows.
    ///
    /// # Errors
    /// Returns an error when the table has no history, or a key has another current range by now.
    pub fn reopen(
        &mut self,
        table: &LakeTable,
        ended_by: EventId,
        keys: impl IntoIterator<Item = impl Into<RangeKey>>,
    ) -> Result<u64, ArchiveFault> {
        // The condition on the event must not use an index: a key has few rows, while the index of events finds all rows that
        // one event ended.
        let update = format!(
            "UPDATE {} SET end_event = NULL
             WHERE end_event + 0 = {ended_by} AND end_event IS NOT NULL AND {} AND ?1 > 0 RETURNING rows",
            table.index(),
            table.key_condition(2)
        );
        self.turn(table, keys, &update)
    }

    fn turn(
        &mut self,
        table: &LakeTable,
        keys: impl IntoIterator<Item = impl Into<RangeKey>>,
        update: &str,
    ) -> Result<u64, ArchiveFault> {
        if table.companion().is_none() {
            return Err(LakeError::Catalogue(format!("{} has no history", table.name())).into());
        }
        let mut update = self.tx.prepare_cached(update)?;
        let mut turned = 0;
        for key in keys {
            let key: RangeKey = key.into();
            key.check(table)?;
            let values = std::iter::once(self.event.get()).chain(key.values().iter().copied());
            let values: Vec<Value> = values.map(Value::from).collect();
            for rows in update.query_map(values, |r| r.get::<u64>(0))? {
                turned += rows?;
            }
        }
        Ok(turned)
    }
}

/// Returns the statement that adds a row to the index of a table.
fn insert_sql(table: &LakeTable) -> String {
    let first = table.first_id();
    let mut columns = vec!["programme_id", &first, "rows"];
    columns.extend(table.range_key().iter().map(String::as_str));
    columns.extend(table.layout().version.as_deref());
    columns.extend(["file_id", "file_row", "begin_event"]);
    if table.sky().is_some() {
        columns.extend(["centre_healpix29", "radius_deg", "radius_class"]);
    }
    let parameters: Vec<String> = (1..=columns.len()).map(|i| format!("?{i}")).collect();
    format!(
        "INSERT INTO {} ({}) VALUES ({})",
        table.index(),
        columns.join(", "),
        parameters.join(", ")
    )
}
