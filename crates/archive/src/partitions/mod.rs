//! Lake tables on a server: `TABLE_data`, partitioned by programme and then by ranges of ids, behind the views `TABLE_all` (of
//! a table with history) and `TABLE`. `detection` is the first one; nothing here knows a table or key by name.
//!
//! A batch is published as follows (the caller owns ids and event number):
//!
//! 1. [`bring_up`] per table, in the transaction that creates the tables (safe to repeat; adds columns that are new).
//! 2. Load, without a lock that other processes wait for: [`load()`] fills an unattached table per programme by binary COPY
//!    FREEZE, several at the same time over connections of their own, each in one transaction with its CHECKs and keys.
//! 3. [`attach`] in a transaction of its own (the CHECKs spare the scan, the keys are only linked). A plan is made from the
//!    newest list of partitions that the backend knows. The backend is notified of a new partition after the commit, while
//!    snapshots see the commit at once. So the list must be known before the event is visible; [`let_plans_end`] waits for
//!    a moment for sessions that are planning with the old list.
//! 4. Publish, in one short transaction: [`Publication::end`] for what is superseded or retracted, [`Publication::add`]
//!    writes the index of row ranges (`detector_rows`), [`Publication::reopen`] undoes.
//! 5. [`fold()`] merges partitions, so that there are never too many; the sweep drops [`left_over`] tables of loads that were
//!    not published.
//!
//! Rows of events never change, and are frozen: every snapshot sees them as soon as their table is attached, even an older
//! snapshot. The views therefore show rows of the events that the reader's snapshot sees, so that each statement sees a batch in
//! all tables or in none; for that the snapshot must be older than the plan, as it is in REPEATABLE READ, which is the database's
//! default. A table that is attached when its load is repeated (after an interruption) is reused; when other acts were published
//! first, its rows, which no view shows, get the new event.
//!
//! The index of row ranges records whether rows are current; the view `TABLE` excludes those of ended ranges by a join with the
//! few ended entries. ATTACH takes SHARE UPDATE EXCLUSIVE on the parent, which no reader waits for; parents are created
//! unattached for the same reason.
//!
//! Does not assign ids or event numbers, open transactions that publish, or decide what is superseded.

use crate::error::ArchiveFault;
use lake::LakeTable;
use model::{ObjectId, ProgrammeId};

mod examine;
mod fold;
mod index;
mod load;
mod publication;
mod schema;

pub use examine::examine;
pub use fold::{Partition, fold, max_partitions, partitions};
pub use load::{
    Digest, LoadedPartition, Wanted, columns_of, create_sql, digest, digest_of, keys_sql, load,
};
pub use publication::{Publication, attach, attach_sql, let_plans_end};
pub use schema::{
    STEADY_READERS, bring_up, columns, drop_left_over, due_to_drop, is_coming, keep_from_folding,
    left_over, unpublished,
};

use model::BatchId;

/// Returns the name of the partition of a batch and programme. Batch numbers are never reused, so neither are names.
pub fn partition_name(table: &LakeTable, batch: BatchId, programme_id: ProgrammeId) -> String {
    format!("{}_b{batch}_p{programme_id}", table.name())
}

/// Returns the name of the parent of all partitions of a table.
pub fn root_name(table: &LakeTable) -> String {
    format!("{}_data", table.name())
}

/// Returns the pattern of the names of a table's partitions, for a regular expression of the server.
pub fn partition_pattern(table: &LakeTable) -> String {
    format!("^{}_[bf][0-9]+_p[0-9]+$", table.name())
}

/// Returns the last object id of some rows, whose ids have no gap.
fn last_of(first: ObjectId, rows: u64) -> Result<ObjectId, ArchiveFault> {
    let last = rows.checked_sub(1).and_then(|later| first.after(later));
    last.ok_or_else(|| {
        ArchiveFault::Damaged(format!("{rows} rows from id {first} have no last id"))
    })
}

/// Returns the name of the parent of a programme's partitions.
fn parent_name(table: &LakeTable, programme_id: ProgrammeId) -> String {
    format!("{}_p{programme_id}", table.name())
}

/// Returns the plural noun for the rows of a table, as a sentence begins with it.
fn capitalised_plural(table: &LakeTable) -> String {
    let plural = &table.layout().plural;
    let mut chars = plural.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
