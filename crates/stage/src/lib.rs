//! Stage 4 of 5: the output of a task in its attempt's directory, and reading it back.
//!
//! Takes record batches and a [`model::task::TaskResult`], writes Parquet files whose bytes depend on the rows alone,
//! and `result.json`, published last: a directory without it is unfinished work. Reading back trusts nothing: names
//! must be plain, lengths must fit, schemas must be those of `model::tables`, and every count, number and text must be
//! one that engines and terminals accept ([`examine()`]).
//!
//! Start at [`StagedWriter`], [`write_result`] and [`read_result`]; [`metadata::read`] returns the detectors of the
//! multiframes of a catalogue task. The Parquet format is defined in [`parquet_format`] alone. A new column begins in
//! `model::tables`; nothing here names columns but [`metadata`].
//! This crate does not open FITS files, assign ids, or know that a database exists.

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
pub use result::{ResultCheck, read_result, read_result_in, write_result};
pub use writer::{StagedWriter, row_group_rows};
