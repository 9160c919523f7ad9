//! The lake: tables of rows in Parquet files, listed by DuckLake 1.0 tables in `archive.db` itself.
//!
//! A table of `model::tables` that has a `[lake]` section is a lake table. [`LakeTable`] is its definition in the terms of
//! this crate; nothing here knows a table, key or column by name, but `programme_id` and `begin_event`, which every lake
//! table has. `detection` is the first one ([`detection()`]).
//!
//! Takes the staged Parquet files of a batch, writes one immutable file per batch and programme to the table's directory
//! and, in the caller's transaction, the rows that make it visible: to our own SQL through the table's index of row
//! ranges, to DuckDB (and through it Python, R and others) through the `ducklake_*` tables.
//!
//! A batch is published in these steps (the caller owns transaction, ids and event number):
//!
//! 1. [`init`] per table, in the transaction that creates the tables (safe to repeat; adds columns that are new).
//! 2. Load, without a lock: [`finalise()`] turns staged files into a [`LakeFile`]. Final id = base - temporary id,
//!    so the first one is base + 1. A repetition of the same request writes the same bytes; [`describe()`] reads back
//!    the files of an earlier run.
//! 3. Publish, in one short transaction: [`Publication::begin`] → [`Publication::end`] for superseded or retracted
//!    ranges, [`Publication::add`] per file, [`Publication::reopen`] for an undo → [`Publication::finish`], which writes
//!    the one snapshot that names the event, whatever tables it concerns. A publication that changed nothing in the lake
//!    writes no snapshot.
//! 4. [`correct_data_path`] when a command that writes finds the site at another path.
//!
//! # Two DuckLake tables over the same files
//!
//! A lake table with history has two tables in DuckLake. Its companion `NAME_all` has every file since its publication.
//! `NAME` has the current rows: when all rows of a file have ended its entry gets an end snapshot, when some have, a
//! positional delete file names them, and an undo registers again the rows that it opens. So pruning,
//! `AT (VERSION => n)` and a moved site work in DuckDB for both names alike, which a `ducklake_view` with an anti-join
//! cannot provide (a view takes no `AT`, and every query would pay for the join). Our own SQL reads neither delete files
//! nor snapshots. The rows of a table without history never end, and it has no companion.
//!
//! # The index of row ranges
//!
//! The rows of a range share the values of the range key (for `detection` image and extension) and are consecutive in one
//! file. The index has the location of each range and tells whether it is current. Each table has an index of its own
//! (`detector_rows`): the key columns are those by which its users search and join, so they are columns with names and a
//! unique index, not values of a common table; and a search never scans ranges of another table. The index is written
//! here and nowhere else. Its `file_id` is the `data_file_id` of the entry that never ends, that of the companion. A table may
//! have no ids: its rows are numbered by batch and position, and the index has the numbers ([`LakeTable::base_of`]).
//!
//! The checksums of all files are in one table, `lake_file`: no two tables have files of one name
//! ([`LakeTable::file_name`]), so a name identifies a file in the checksums and in DuckLake's catalogue.
//!
//! Start at [`LakeTable`] and [`Publication`]. A new column or a new lake table begins in `model::tables`.
//! This crate does not assign ids or event numbers, open transactions, decide which rows are superseded, or delete
//! files.

mod attach;
mod catalogue;
mod column_scan;
mod describe;
mod error;
mod finalise;
mod ids;
mod publication;
mod range;
mod reader;
mod schema;
mod sky_cover;
mod sum;
mod table;

pub use attach::attach_statements;
pub use catalogue::{DETECTOR_ROWS_DDL, LAKE_FILE_DDL, correct_data_path, init, keep_wal_files};
pub use catalogue::{alteration, creation, stored_columns};
pub use column_scan::{ColumnBlock, ColumnScan, Values};
pub use describe::{ColumnStatistics, LakeFile, describe};
pub use error::LakeError;
pub use finalise::{FinaliseRequest, Staged, finalise};
pub use finalise::{check_staged, open_staged};
pub use ids::{CatalogId, FieldId, LakeFileId, SnapshotId};
pub use publication::{Publication, Registered, read_delete_file};
pub use publication::{ended_rows_since, forget, latest_snapshot};
pub use range::{DetectorKey, LakeRowRange, RangeKey, SkyCap, ranges};
pub use reader::{ByteCounter, LakeReader, OpenFile};
pub use schema::{LakeColumn, LakeSchema, LakeType};
pub use sky_cover::{Cone, healpix_ranges};
pub use sum::{Summed, xxhash64};
pub use table::{BEGIN_EVENT, LakeTable, PROGRAMME_ID, detection, tables};
