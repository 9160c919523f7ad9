//! Reasons why a batch is not ingested: a failed check, or a failure of the machine.

use std::path::Path;

/// The checks, by their names in refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The result belongs to this task and has this format.
    Identity,
    /// The counts, numbers and texts of the result are possible ones.
    Result,
    /// A name is plain and unique.
    Name,
    /// A file exists and is regular.
    File,
    /// A file has the length of the manifest.
    Length,
    /// A file has the checksum of the manifest.
    Checksum,
    /// The content of a file fits its table.
    Content,
    /// The rows belong to a table of this use case.
    Table,
    /// The table's definition is not older than the manifest.
    SchemaVersion,
    /// Rows read = written + refused, and as many are staged as written.
    RowCount,
    /// Multiframes are those of the task.
    Multiframe,
    /// Detectors are unique, have their catalogue's version, and add up to their file.
    Detectors,
}

impl Check {
    /// Returns the name of the check in refusals.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Result => "result",
            Self::Name => "name",
            Self::File => "file",
            Self::Length => "length",
            Self::Checksum => "checksum",
            Self::Content => "content",
            Self::Table => "table",
            Self::SchemaVersion => "schema_version",
            Self::RowCount => "row_count",
            Self::Multiframe => "multiframe_id",
            Self::Detectors => "detectors",
        }
    }
}

/// Reason why a batch is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The batch is at fault.
    Check {
        /// Check that failed.
        check: Check,
        /// One sentence.
        message: String,
    },
    /// The machine is at fault; a retry may succeed.
    Passing(String),
}

pub(crate) fn failed(check: Check, message: impl Into<String>) -> Failure {
    Failure::Check { check, message: message.into() }
}

/// Returns the failure of a staged file that cannot be opened. Network disks may show a file late.
pub(crate) fn not_opened(path: &Path, fault: files::OpenFault) -> Failure {
    let message = format!("{} {fault}", path.display());
    match fault.is_transient() || matches!(fault, files::OpenFault::Missing) {
        true => Failure::Passing(message),
        false => failed(Check::File, message),
    }
}
