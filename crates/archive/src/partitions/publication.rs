//! One publication on a server: what it attaches, ends and opens again.

use super::load::LoadedPartition;
use super::parent_name;
use super::schema::{ensure_parent, left_over};
use crate::engine::{Connection, Result as EngineResult};
use crate::error::ArchiveFault;
use crate::lake::{DetectorKey, SkyCap};
use rusqlite::params;

/// Changes to the detections within the caller's transaction; all of it belongs to one event.
///
/// First [`end_detectors`](Self::end_detectors) what is superseded, then [`add`](Self::add) what replaces it, since a detector
/// has one current catalogue at most.
pub(crate) struct Publication<'tx> {
    tx: &'tx Connection,
    event: i64,
    /// Number of the batch, and how many rows were added of it.
    batch: i64,
    rows: u64,
}

impl<'tx> Publication<'tx> {
    /// Starts one on a connection that is inside a transaction.
    pub(crate) fn begin(tx: &'tx Connection, event: i64, batch: i64) -> Self {
        Self { tx, event, batch, rows: 0 }
    }

    /// Attaches a table and registers its detectors. `version` tells the catalogue version of a detector.
    ///
    /// # Errors
    /// When a detector has a current catalogue already, object ids overlap, or the table is gone.
    pub(crate) fn add(
        &mut self,
        partition: &LoadedPartition,
        version: impl Fn(DetectorKey) -> i64,
    ) -> Result<u64, ArchiveFault> {
        let LoadedPartition { name, programme_id, first_obj_id, rows, .. } = partition;
        if !left_over(self.tx)?.contains(name) {
            return Err(ArchiveFault::Conflict(format!("{name} is gone or attached already")));
        }
        self.attach(name, *programme_id, *first_obj_id, *rows)?;
        self.add_detectors(partition, version)?;
        self.rows += rows;
        Ok(*rows)
    }

    /// Attaches a table of consecutive object ids.
    ///
    /// # Errors
    /// When the engine fails.
    pub(crate) fn attach(
        &self,
        name: &str,
        programme_id: i64,
        first_obj_id: i64,
        rows: u64,
    ) -> EngineResult<()> {
        ensure_parent(self.tx, programme_id)?;
        let end = first_obj_id + i64::try_from(rows).unwrap_or(i64::MAX);
        self.tx.execute_batch(&format!(
            "ALTER TABLE {} ATTACH PARTITION {name} FOR VALUES FROM ({first_obj_id}) TO ({end})",
            parent_name(programme_id)
        ))
    }

    fn add_detectors(
        &self,
        partition: &LoadedPartition,
        version: impl Fn(DetectorKey) -> i64,
    ) -> EngineResult<()> {
        let mut insert = self.tx.prepare_cached(
            "INSERT INTO detector_rows (programme_id, first_obj_id, rows, multiframe_id, ext_num, version,
                 file_id, file_row, begin_event, centre_healpix29, radius_deg, radius_class)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        for run in &partition.detectors {
            let key = DetectorKey { multiframe_id: run.multiframe_id, ext_num: run.ext_num };
            let first_row = i64::try_from(run.first_row).unwrap_or(i64::MAX);
            insert.execute(params![
                partition.programme_id,
                partition.first_obj_id + first_row,
                run.rows,
                key.multiframe_id,
                key.ext_num,
                version(key),
                // On a server: the batch, and the place within it over all programmes.
                self.batch,
                self.rows + run.first_row,
                self.event,
                run.sky.map(|s| s.centre_healpix29),
                run.sky.map(|s| s.radius_deg),
                run.sky.map(SkyCap::radius_class),
            ])?;
        }
        Ok(())
    }

    /// Ends the current rows of some detectors and says how many rows that were.
    ///
    /// # Errors
    /// When the engine fails.
    pub(crate) fn end_detectors(&mut self, detectors: &[DetectorKey]) -> EngineResult<u64> {
        self.turn(
            detectors,
            "UPDATE detector_rows SET end_event = ?1
             WHERE multiframe_id = ?2 AND ext_num = ?3 AND end_event IS NULL RETURNING rows",
        )
    }

    /// Opens again what one event ended of some detectors and says how many rows that were.
    ///
    /// # Errors
    /// When a detector has got another current catalogue since.
    pub(crate) fn reopen_detectors(
        &mut self,
        ended_by: i64,
        detectors: &[DetectorKey],
    ) -> EngineResult<u64> {
        let update = format!(
            "UPDATE detector_rows SET end_event = NULL
             WHERE end_event = {ended_by} AND multiframe_id = ?2 AND ext_num = ?3 AND ?1 > 0 RETURNING rows"
        );
        self.turn(detectors, &update)
    }

    fn turn(&mut self, detectors: &[DetectorKey], update: &str) -> EngineResult<u64> {
        let mut update = self.tx.prepare_cached(update)?;
        let mut turned = 0;
        for key in detectors {
            let params = params![self.event, key.multiframe_id, key.ext_num];
            for rows in update.query_map(params, |r| r.get::<u64>(0))? {
                turned += rows?;
            }
        }
        Ok(turned)
    }
}
