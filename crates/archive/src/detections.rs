//! Detections in either storage: files of the lake, or partitions on a server.

use crate::error::ArchiveFault;
use crate::partitions::{self, LoadedPartition};
use crate::site::Site;
use engine::Connection;
use lake::{self, DetectorKey, LakeFile, LakeRowRange, RangeKey};
use model::{BatchId, EventId, ObjectId, ProgrammeId};
use std::path::PathBuf;

/// Deletes the detections of a programme and a range of object ids, all of which have ended. Returns the files that held only them
/// and are to be removed after the commit. `bounds` are the programme, the first and the last object id.
pub(crate) fn delete(
    tx: &Connection,
    site: &Site,
    bounds: [i64; 3],
) -> Result<Vec<PathBuf>, ArchiveFault> {
    if let Some(sqlite) = tx.sqlite() {
        return Ok(lake::forget(sqlite, &site.lake(), lake::detection(), bounds)?);
    }
    let (table, id) = (partitions::root_name(lake::detection()), lake::detection().id());
    tx.execute(
        &format!("DELETE FROM {table} WHERE programme_id = ?1 AND {id} BETWEEN ?2 AND ?3"),
        bounds,
    )?;
    Ok(Vec::new())
}

/// Returns true when the catalogue of the lake lists a file.
pub(crate) fn is_published(tx: &Connection, path: &str) -> Result<bool, ArchiveFault> {
    let Some(sqlite) = tx.sqlite() else { return Ok(false) };
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let published = "SELECT EXISTS (SELECT 1 FROM ducklake_data_file WHERE path = ?1
                         UNION ALL SELECT 1 FROM ducklake_delete_file WHERE path = ?1)";
    Ok(sqlite.query_row(published, [name], |r| r.get(0))?)
}

/// The loaded detections of one programme, not visible yet.
pub(crate) enum Part {
    Lake(LakeFile),
    Partition(LoadedPartition),
}

/// The contents of a [`Part`].
pub(crate) struct Held<'a> {
    pub name: &'a str,
    pub programme_id: ProgrammeId,
    pub first_obj_id: ObjectId,
    pub rows: u64,
    pub detectors: &'a [LakeRowRange],
}

impl Part {
    /// Returns the seconds that building the keys took.
    pub(crate) fn keys_seconds(&self) -> f64 {
        match self {
            Self::Lake(_) => 0.0,
            Self::Partition(partition) => partition.keys_seconds,
        }
    }

    /// Returns the contents of the part.
    pub(crate) fn held(&self) -> Held<'_> {
        match self {
            Self::Lake(LakeFile {
                name,
                programme_id,
                first_id: first_obj_id,
                rows,
                ranges: detectors,
                ..
            })
            | Self::Partition(LoadedPartition {
                name,
                programme_id,
                first_obj_id,
                rows,
                detectors,
                ..
            }) => Held {
                name,
                programme_id: *programme_id,
                first_obj_id: *first_obj_id,
                rows: *rows,
                detectors,
            },
        }
    }
}

/// Changes to the detections within a transaction; all of it belongs to one event.
pub(crate) enum Changes<'tx> {
    Lake(lake::Publication<'tx>),
    Partitions(partitions::Publication<'tx>),
}

impl<'tx> Changes<'tx> {
    /// Starts the changes of an event. `batch` is the batch that the event publishes; `None` when it publishes none.
    pub(crate) fn begin(
        tx: &'tx Connection,
        site: &Site,
        event: EventId,
        batch: Option<BatchId>,
    ) -> Result<Self, ArchiveFault> {
        Ok(match tx.sqlite() {
            Some(sqlite) => Self::Lake(lake::Publication::begin(sqlite, &site.lake(), event)?),
            None => Self::Partitions(partitions::Publication::begin(tx, event, batch)),
        })
    }

    /// Registers a loaded part and returns the number of its rows. `version` returns the catalogue version of a detector.
    pub(crate) fn add(
        &mut self,
        part: &Part,
        version: impl Fn(DetectorKey) -> i64,
    ) -> Result<u64, ArchiveFault> {
        let version = |key: &RangeKey| DetectorKey::of(key).map_or(0, &version);
        match (self, part) {
            (Self::Lake(changes), Part::Lake(file)) => {
                Ok(changes.add(lake::detection(), file, version)?.rows)
            }
            (Self::Partitions(changes), Part::Partition(part)) => {
                changes.add(lake::detection(), part, version)
            }
            _ => Err(ArchiveFault::Damaged("a batch was loaded for another engine".to_owned())),
        }
    }

    /// Ends the current rows of some detectors and returns the number of ended rows.
    pub(crate) fn end_detectors(&mut self, detectors: &[DetectorKey]) -> Result<u64, ArchiveFault> {
        Ok(match self {
            Self::Lake(changes) => changes.end(lake::detection(), detectors.iter().copied())?,
            Self::Partitions(changes) => {
                changes.end(lake::detection(), detectors.iter().copied())?
            }
        })
    }

    /// Reopens the rows of some detectors that an event ended, and returns the number of reopened rows.
    pub(crate) fn reopen_detectors(
        &mut self,
        ended_by: EventId,
        detectors: &[DetectorKey],
    ) -> Result<u64, ArchiveFault> {
        Ok(match self {
            Self::Lake(changes) => {
                changes.reopen(lake::detection(), ended_by, detectors.iter().copied())?
            }
            Self::Partitions(changes) => {
                changes.reopen(lake::detection(), ended_by, detectors.iter().copied())?
            }
        })
    }

    /// Finishes the changes. `message` is recorded in the lake's history.
    pub(crate) fn finish(self, now: crate::Timestamp, message: &str) -> Result<(), ArchiveFault> {
        if let Self::Lake(changes) = self {
            changes.finish(now, message)?;
        }
        Ok(())
    }
}
