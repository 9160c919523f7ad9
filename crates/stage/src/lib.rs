//! Room to be built.

pub mod parquet_format;
