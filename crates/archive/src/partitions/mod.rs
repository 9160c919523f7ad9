//! Detections on a server: `detection_data`, partitioned by programme and then by ranges of object ids, behind the views
//! `detection_all` and `detection`.
//!
//! How a batch is published (the caller owns ids and event number):
//!
//! 1. [`bring_up`] once, in the transaction that creates the tables (safe to repeat; adds columns that are new).
//! 2. Load, without a lock that anybody waits for: [`load()`] fills an unattached table per programme by binary COPY FREEZE,
//!    several at the same time over connections of their own, each in one transaction with its keys and CHECKs.
//! 3. Publish, in one short transaction: [`Publication::end_detectors`] for what is superseded or retracted,
//!    [`Publication::add`] attaches a table (the CHECKs spare the scan, the keys are only linked) and writes
//!    `detector_rows`, [`Publication::reopen_detectors`] undoes.
//! 4. [`fold()`] merges partitions, so that there are never too many; [`left_over`] tables of loads that were not published
//!    are dropped by the sweep.
//!
//! Rows never change, and are frozen: every snapshot sees them as soon as their table is attached, also one that is older. The
//! views therefore show rows up to the last event that the reader's snapshot sees, so that each statement sees a batch in
//! all tables or in none. Whether rows are current says `detector_rows`; the view `detection` leaves out those of detectors
//! that have ended by a join with the few that did. ATTACH takes SHARE UPDATE EXCLUSIVE on the parent, which no
//! reader waits for; parents are made unattached for the same reason.
//!
//! Does not give out ids or event numbers, open transactions that publish, or decide what is superseded.

mod examine;
mod fold;
mod load;
mod publication;
mod schema;

pub(crate) use examine::examine;
pub(crate) use fold::{MOST_PARTITIONS, Partition, fold, partitions};
pub(crate) use load::{Digest, LoadedPartition, Wanted, digest, load};
pub(crate) use publication::Publication;
pub(crate) use schema::{bring_up, drop_left_over, keep_from_folding, left_over};

/// Name of the table of a batch and programme. Batch numbers are never reused, so neither are names.
pub(crate) fn partition_name(batch: i64, programme_id: i64) -> String {
    format!("detection_b{batch}_p{programme_id}")
}

/// Name of the parent of a programme's partitions.
fn parent_name(programme_id: i64) -> String {
    format!("detection_p{programme_id}")
}
