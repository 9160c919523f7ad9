//! Read-only SQL over the whole archive: the embedded SQLite, with the lake tables as virtual tables.
//!
//! Takes one SELECT, returns its rows as they are found, with bounded memory and within limits. A lake
//! table shows current rows under its name and every row under that of its companion, e.g. `detection` and `detection_all`. The cost is limited to the data that a
//! query needs: files, row groups, pages and columns that no condition and no output needs are not read. The other
//! tables and views are those of `archive.db`.
//!
//! Conditions limit the data that is read:
//!
//! 1. A comparison of a numeric column with a value, an IN list or a join's other side is taken over by the table
//!    and decided exactly as SQLite would (`constraint`).
//! 2. Ids, the first column of the range key (of `detection` the multiframe) and cones are looked up in the table's index
//!    of row ranges (`detector_rows`), which returns runs of rows; without them the statistics of the lake's catalogue exclude files (`access`).
//! 3. Statistics of row groups and pages exclude more, the conditions' columns are read page by page, and other
//!    columns only for pages that hold a row of the result (`scan`).
//!
//! `WHERE in_cone(ra, dec, ra0, dec0, radius)` is fast without action of the user (`cone_hint`).
//!
//! Start at [`Session`]. A new function begins in `functions`.
//! Results are written by [`writers`]. This crate does not write into the archive, or know the meaning of a delivery.

mod access;
mod as_of;
mod attach;
mod budget;
mod cone_hint;
mod constraint;
mod error;
mod find_function;
mod functions;
mod guard;
mod lake_table;
mod parquet_sink;
mod plan;
mod reader;
mod scan;
mod server_cone;
mod server_fault;
mod server_guard;
mod server_session;
mod session;
mod shared;
pub mod writers;

pub use attach::attach_statements;
pub use budget::{SqlLimits, Stopped};
pub use error::SqlError;
pub use functions::FUNCTIONS;
pub use parquet_sink::ParquetSink;
pub use reader::SqlReader;
pub use session::{Interrupt, QueryReport, ResultColumn, RowSink, Session, SqlValue};
