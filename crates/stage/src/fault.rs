//! Faults of staged files, and their places.

use std::io;
use std::path::{Path, PathBuf};

/// A staged file that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot use staged {}", path.display())]
pub struct StageError {
    /// The file or directory.
    pub path: PathBuf,
    /// The fault.
    #[source]
    pub fault: StageFault,
}

/// The fault of a staged file.
#[derive(Debug, thiserror::Error)]
pub enum StageFault {
    /// It is absent or no regular file.
    #[error("the file {0}")]
    NotOpened(#[from] files::OpenFault),
    /// Another error of the system.
    #[error("reading or writing stopped")]
    Io(#[from] io::Error),
    /// It could not be published.
    #[error("the file was not published")]
    NotPublished(#[from] files::PublishFault),
    /// Parquet could not be written or read.
    #[error("parquet: {0}")]
    Parquet(String),
    /// It is not JSON of the expected structure.
    #[error("the file is not a task result: {0}")]
    NotResult(String),
    /// It is longer than any valid one.
    #[error("the file has {bytes} bytes, {allowed} are allowed")]
    TooLong {
        /// Its length.
        bytes: u64,
        /// The limit.
        allowed: u64,
    },
    /// Written by another version of the software.
    #[error("the format is version {found}, this software reads version {wanted}")]
    Version {
        /// Version in the file.
        found: u64,
        /// Version that can be read.
        wanted: u32,
    },
    /// A result reports impossible values.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field, e.g. `refusals[3].code`.
        field: String,
        /// The fault.
        problem: String,
    },
    /// A result names something that is not a plain file of its own directory.
    #[error("the result names {0:?}, which is not a plain file name")]
    NotPlain(String),
    /// A result names a file twice.
    #[error("the result names {0:?} twice")]
    NamedTwice(String),
    /// A file's length differs from that in the result; on a network disk it may become correct later.
    #[error("{name} has {found} bytes, the result states {stated}")]
    Length {
        /// Name of the file.
        name: String,
        /// Its length.
        found: u64,
        /// Length in the result.
        stated: u64,
    },
    /// A file's content does not match the result.
    #[error("{0} has another SHA-256 than the result states")]
    Checksum(String),
    /// The columns are not those of the table's definition.
    #[error("column {column}: {problem}")]
    Schema {
        /// The column.
        column: String,
        /// The fault.
        problem: String,
    },
}

impl StageFault {
    /// Returns true when the same call may succeed later without intervention: a failure of the machine, or a network
    /// disk that does not show everything yet.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Io(_)
                | Self::NotPublished(_)
                | Self::Length { .. }
                | Self::Checksum(_)
                | Self::NotOpened(files::OpenFault::Missing | files::OpenFault::Io(_))
        )
    }

    pub(crate) fn invalid(field: &str, problem: String) -> Self {
        Self::Invalid { field: field.to_owned(), problem }
    }

    /// Returns the same fault for a field within another one.
    pub(crate) fn within(self, list: String) -> Self {
        match self {
            Self::Invalid { field, problem } => {
                Self::Invalid { field: format!("{list}.{field}"), problem }
            }
            other => other,
        }
    }

    pub(crate) fn at(self, path: &Path) -> StageError {
        StageError { path: path.to_owned(), fault: self }
    }
}

impl From<parquet::errors::ParquetError> for StageFault {
    fn from(error: parquet::errors::ParquetError) -> Self {
        match error {
            parquet::errors::ParquetError::External(source) => match source.downcast::<io::Error>()
            {
                // Contents that the file itself lacks are no failure of the machine.
                Ok(io) if is_of_the_content(&io) => Self::Parquet(io.to_string()),
                Ok(io) => Self::Io(*io),
                Err(other) => Self::Parquet(other.to_string()),
            },
            other => Self::Parquet(other.to_string()),
        }
    }
}

fn is_of_the_content(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}
