//! The lake: detections in Parquet files, listed by DuckLake 1.0 tables in `archive.db` itself.
//!
//! Takes the staged Parquet files of a batch, writes one immutable file per batch and programme to `lake/detection/`
//! and, in the caller's transaction, the rows that make it visible: to our own SQL through `detector_rows`, to DuckDB
//! (and through it Python, R and others) through the `ducklake_*` tables.
//!
//! A batch is published in these steps (the caller owns transaction, ids and event number):
//!
//! 1. [`init`] once, in the transaction that creates the tables (safe to repeat; adds columns that are new).
//! 2. Load, without a lock: [`finalise()`] turns staged files into a [`LakeFile`]. Final id = base - temporary id,
//!    so the first one is base + 1. A repetition of the same request writes the same bytes; [`describe()`] reads back
//!    the files of an earlier run.
//! 3. Publish, in one short transaction: [`Publication::begin`] → [`Publication::end_detectors`] for superseded or
//!    retracted detectors, [`Publication::add`] per file, [`Publication::reopen_detectors`] for an undo →
//!    [`Publication::finish`], which writes the one snapshot that names the event. A publication that changed
//!    nothing in the lake writes no snapshot.
//! 4. [`correct_data_path`] when a command that writes finds the site at another path.
//!
//! DuckLake knows two tables over the same files. `detection_all` has every file since its publication. `detection` has
//! the current rows: when all rows of a file have ended its entry gets an end snapshot, when some have, a positional
//! delete file names them, and an undo registers again the rows that it opens. So pruning, `AT (VERSION => n)` and a
//! moved site work in DuckDB for both names alike, which a `ducklake_view` with an anti-join cannot provide (a view
//! takes no `AT`, and every query would pay for the join). Our own SQL reads neither delete files nor snapshots:
//! `detector_rows` holds the positions of each detector's rows and whether they are current.
//!
//! `detector_rows` is written here and nowhere else; `detector_rows.file_id` is the `data_file_id` of
//! `detection_all`, which never changes.
//!
//! Start at [`Publication`]. A new column of `detection` begins in `model::tables`; nothing here names columns but the
//! ten that carry statistics, in `stage::parquet_format`.
//! This crate does not assign ids or event numbers, open transactions, decide which rows are superseded, or delete
//! files.

mod attach;
mod catalogue;
mod column_scan;
mod describe;
mod error;
mod finalise;
mod publication;
mod reader;
mod sky_cover;
mod sum;

pub use attach::attach_statements;
pub use catalogue::{
    DETECTOR_ROWS_DDL, LAKE_FILE_DDL, LakeColumn, LakeSchema, correct_data_path, init,
    keep_wal_files,
};
pub use catalogue::{TABLE_PATH, stored_columns};
pub use column_scan::{ColumnBlock, ColumnScan, Values};
pub use describe::detectors;
pub use describe::{ColumnStatistics, DetectorRun, LakeFile, SkyCap, describe};
pub use error::LakeError;
pub use finalise::{FinaliseRequest, Staged, finalise, lake_file_name};
pub use finalise::{check_staged, open_staged};
pub use publication::{DetectorKey, Publication, Registered, read_delete_file};
pub use publication::{ended_rows_since, forget, latest_snapshot};
pub use reader::{ByteCounter, LakeReader, OpenFile};
pub use sky_cover::{Cone, healpix_ranges};
pub use sum::{Summed, xxhash64};
