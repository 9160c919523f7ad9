//! One publication on a server: the tables that it attaches, and the detectors that it ends and reopens.

use super::load::LoadedPartition;
use super::schema::{ALL, ensure_parent, is_attached};
use super::{last_of, parent_name};
use crate::error::ArchiveFault;
use engine::{Connection, Result as EngineResult};
use lake::{DetectorKey, SkyCap};
use model::{BatchId, EventId, ObjectId, ProgrammeId};
use rusqlite::params;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Attaches a table of consecutive object ids, unless it is attached already. Its rows are in no view until their event is
/// published.
///
/// # Errors
/// Returns an error when object ids overlap, or the table does not exist.
pub fn attach(
    tx: &Connection,
    name: &str,
    programme_id: ProgrammeId,
    first_obj_id: ObjectId,
    rows: u64,
) -> Result<(), ArchiveFault> {
    if is_attached(tx, name)? == Some(true) {
        return Ok(());
    }
    ensure_parent(tx, programme_id)?;
    let bounds = (first_obj_id, last_of(first_obj_id, rows)?);
    Ok(tx.execute_batch(&attach_sql(name, programme_id, bounds))?)
}

/// Returns the statement that attaches a table of some object ids.
pub fn attach_sql(
    name: &str,
    programme_id: ProgrammeId,
    (first, last): (ObjectId, ObjectId),
) -> String {
    format!(
        "ALTER TABLE {} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({})",
        parent_name(programme_id),
        last.get() + 1
    )
}

/// Maximum wait for plans that are being made.
const PLANNING: Duration = Duration::from_millis(100);

/// Waits for a moment for the statements that were running on detections when a table was attached: they may be planned with the
/// earlier list of partitions.
///
/// # Errors
/// Returns an error when the engine fails.
pub fn let_plans_end(c: &Connection) -> EngineResult<()> {
    // A session of another user may hide its state; such a session counts as running.
    let at_work = |whose: &str| -> EngineResult<HashSet<String>> {
        let mut select = c.prepare(&format!(
            "SELECT pid || ' ' || coalesce(query_start::text, '') FROM pg_stat_get_activity(NULL)
             WHERE pid <> pg_backend_pid() AND coalesce(state NOT LIKE 'idle%', true){whose}"
        ))?;
        select.query_map([], |r| r.get(0))?.collect()
    };
    let mut planning = at_work(&format!(
        " AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'relation' AND relation = '{ALL}'::regclass
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    ))?;
    let began = Instant::now();
    while !planning.is_empty() && began.elapsed() < PLANNING {
        std::thread::sleep(Duration::from_millis(5));
        let now = at_work("")?;
        planning.retain(|statement| now.contains(statement));
    }
    Ok(())
}

/// Changes to the detections within the caller's transaction; all of it belongs to one event.
///
/// First [`end_detectors`](Self::end_detectors) ends what is superseded, then [`add`](Self::add) adds what replaces it, since a
/// detector has at most one current catalogue.
pub struct Publication<'tx> {
    tx: &'tx Connection,
    event: EventId,
    /// The batch, and the number of its rows that were added; an event that is not about a batch adds none.
    batch: Option<BatchId>,
    rows: u64,
}

impl<'tx> Publication<'tx> {
    /// Starts a publication on a connection that is inside a transaction; `batch` is `None` for an event that is not about one.
    pub fn begin(tx: &'tx Connection, event: EventId, batch: Option<BatchId>) -> Self {
        Self { tx, event, batch, rows: 0 }
    }

    /// Registers the detectors of an attached table. `version` returns the catalogue version of a detector.
    ///
    /// # Errors
    /// Returns an error when a detector has a current catalogue already, or the table is not attached.
    pub fn add(
        &mut self,
        partition: &LoadedPartition,
        version: impl Fn(DetectorKey) -> i64,
    ) -> Result<u64, ArchiveFault> {
        if is_attached(self.tx, &partition.name)? != Some(true) {
            let message = format!("{} does not exist and must be loaded again", partition.name);
            return Err(ArchiveFault::Conflict(message));
        }
        // A backend that is notified of the attachment while it builds its list of partitions keeps the list without the new
        // partition (RelationBuildPartitionDesc of PostgreSQL 15 to 18), so the backend must be notified of another change.
        for table in [ALL, &parent_name(partition.programme_id)] {
            self.tx.execute_batch(&format!(
                "ALTER TABLE ONLY {table} ALTER COLUMN obj_id SET STATISTICS -1"
            ))?;
        }
        self.add_detectors(partition, version)?;
        self.rows += partition.rows;
        Ok(partition.rows)
    }

    fn add_detectors(
        &self,
        partition: &LoadedPartition,
        version: impl Fn(DetectorKey) -> i64,
    ) -> Result<(), ArchiveFault> {
        let batch = self.batch.ok_or_else(|| {
            ArchiveFault::Damaged(format!("event {} is about no batch", self.event))
        })?;
        let mut insert = self.tx.prepare_cached(
            "INSERT INTO detector_rows (programme_id, first_obj_id, rows, multiframe_id, ext_num, version,
                 file_id, file_row, begin_event, centre_healpix29, radius_deg, radius_class)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        for run in &partition.detectors {
            let key = DetectorKey::of(&run.key)?;
            let first_obj_id = partition.first_obj_id.after(run.first_row);
            let first_obj_id = first_obj_id.ok_or_else(|| {
                ArchiveFault::Damaged(format!("{} has too many rows", partition.name))
            })?;
            insert.execute(params![
                partition.programme_id.get(),
                first_obj_id.get(),
                run.rows,
                key.multiframe_id,
                key.ext_num,
                version(key),
                // On a server, `file_id` is the batch, and `file_row` the place within the batch over all programmes.
                batch.get(),
                self.rows + run.first_row,
                self.event.get(),
                run.sky.map(|s| s.centre_healpix29),
                run.sky.map(|s| s.radius_deg),
                run.sky.map(SkyCap::radius_class),
            ])?;
        }
        Ok(())
    }

    /// Ends the current rows of some detectors and returns the number of ended rows.
    ///
    /// # Errors
    /// Returns an error when the engine fails.
    pub fn end_detectors(&mut self, detectors: &[DetectorKey]) -> EngineResult<u64> {
        self.turn(
            detectors,
            "UPDATE detector_rows SET end_event = ?1
             WHERE multiframe_id = ?2 AND ext_num = ?3 AND end_event IS NULL RETURNING rows",
        )
    }

    /// Reopens the rows of some detectors that one event ended, and returns the number of reopened rows.
    ///
    /// # Errors
    /// Returns an error when a detector has another current catalogue by now.
    pub fn reopen_detectors(
        &mut self,
        ended_by: EventId,
        detectors: &[DetectorKey],
    ) -> EngineResult<u64> {
        // The condition on the event must not use an index: a detector has few rows, while the index of events finds all rows
        // that one event ended.
        let update = format!(
            "UPDATE detector_rows SET end_event = NULL
             WHERE end_event + 0 = {ended_by} AND end_event IS NOT NULL AND multiframe_id = ?2 AND ext_num = ?3 AND ?1 > 0 RETURNING rows"
        );
        self.turn(detectors, &update)
    }

    fn turn(&mut self, detectors: &[DetectorKey], update: &str) -> EngineResult<u64> {
        let mut update = self.tx.prepare_cached(update)?;
        let mut turned = 0;
        for key in detectors {
            let params = params![self.event.get(), key.multiframe_id, key.ext_num];
            for rows in update.query_map(params, |r| r.get::<u64>(0))? {
                turned += rows?;
            }
        }
        Ok(turned)
    }
}
