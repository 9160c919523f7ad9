//! Stage 4 of 5: what a task leaves in its attempt's directory, and how it is read back.
//!
//! Takes record batches and a [`model::task::TaskResult`], leaves Parquet files whose bytes depend on the rows
//! alone, and `result.json`, published last: a directory without it is unfinished work. Reading back trusts
//! nothing: names must be plain, lengths must fit, schemas must be those of `model::tables`, and every count, number and text
//! must be one that engines and terminals take ([`examine()`]).
//!
//! Start at [`StagedWriter`], [`write_result`] and [`read_result`]; [`metadata::read`] gives a catalogue task the
//! detectors of its multiframes. How Parquet is written stands in [`parquet_format`] alone. A new column begins
//! in `model::tables`; nothing here names columns but [`metadata`].
//! Does not open FITS files, assign ids, or know that a database exists.

mod contents;
mod examine;
mod fault;
pub mod metadata;
mod number_column;
pub mod parquet_format;
mod reader;
mod result;
mod writer;

pub use contents::{examine_form, examine_rows};
pub use examine::{MAX_ENTRIES, examine};
pub use fault::{StageError, StageFault};
pub use reader::{TableReader, read_table};
pub use result::{Verification, read_result, read_result_in, write_result};
pub use writer::{StagedWriter, row_group_rows};
