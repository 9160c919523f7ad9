//! Failures of the lake, and their places.

use std::io;
use std::path::PathBuf;

/// A fault of the lake: the message names the file or table concerned.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A lake or staged file could not be read or written as Parquet.
    #[error("cannot use the Parquet file {}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The error of the library.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The system refused to open, read or list a file.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The file could not be published under its final name.
    #[error(transparent)]
    Publish(#[from] files::PublishFault),
    /// A staged file does not match its manifest.
    #[error("staged file {} is not as expected: {reason}", path.display())]
    Staged {
        /// The file.
        path: PathBuf,
        /// The difference.
        reason: String,
    },
    /// A column has a type that the lake does not keep.
    #[error("column {column} has type {kind}, which the lake does not store")]
    UnknownType {
        /// Name of the column.
        column: String,
        /// Its Arrow type.
        kind: String,
    },
    /// A definition that is not that of a lake table.
    #[error("the definition of the lake table {table} is wrong: {reason}")]
    Definition {
        /// The table.
        table: String,
        /// The contradiction.
        reason: String,
    },
    /// A name that would leave the table's directory or confuse other programs.
    #[error("{0:?} is not a valid name of a lake file")]
    FileName(String),
    /// A stop was requested.
    #[error("the act was stopped")]
    Stopped,
    /// The stored catalogue contradicts itself or the request.
    #[error("the lake's catalogue is not as expected: {0}")]
    Catalogue(String),
    /// SQLite refused.
    #[error("the lake's catalogue could not be read or written")]
    Sql(#[from] rusqlite::Error),
}

impl LakeError {
    /// Returns true when the same request may succeed later without intervention: full disks, interrupted reads, locks.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Io { source, .. } => !matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ),
            Self::Publish(_) | Self::Stopped => true,
            Self::Sql(rusqlite::Error::SqliteFailure(fault, _)) => matches!(
                fault.code,
                rusqlite::ErrorCode::DatabaseBusy
                    | rusqlite::ErrorCode::DatabaseLocked
                    | rusqlite::ErrorCode::DiskFull
                    | rusqlite::ErrorCode::SystemIoFailure
            ),
            _ => false,
        }
    }

    /// Makes the failure of a Parquet file.
    pub fn parquet(path: &std::path::Path) -> impl Fn(parquet::errors::ParquetError) -> Self {
        let path = path.to_owned();
        move |source| Self::Parquet { path: path.clone(), source }
    }

    /// Makes the failure of reading or writing a file.
    pub fn io(path: &std::path::Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path: path.clone(), source }
    }
}
