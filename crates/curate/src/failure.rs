//! Failures of an act by kind, each with recommended commands.

use archive::ArchiveError;
use query::SqlError;
use std::path::Path;

/// Kind of a failure: it determines whether a retry helps, and who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line or the configuration is wrong.
    Usage,
    /// A precondition does not hold: no free space, not a site, checks found something.
    Gate,
    /// The machine failed: disk, database, permissions. A retry may help.
    Infrastructure,
    /// Another process is doing it, or it contradicts the existing state.
    Conflict,
}

/// A failure of a kind.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Kind of the failure.
    pub kind: Kind,
    /// Message for the operator.
    pub message: String,
    /// Cause of the failure.
    #[source]
    pub source: Option<anyhow::Error>,
}

/// Makes a failure of the command line or configuration.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Failure { kind: Kind::Usage, message: message.into(), source: None }.into()
}

/// Makes a failure of a precondition.
pub fn gate(message: impl Into<String>) -> anyhow::Error {
    Failure { kind: Kind::Gate, message: message.into(), source: None }.into()
}

/// Makes a failure of something that contradicts the existing state.
pub fn conflict(message: impl Into<String>) -> anyhow::Error {
    Failure { kind: Kind::Conflict, message: message.into(), source: None }.into()
}

/// Returns the chain of a failure, with the command that it recommends. Some commands need the directory of the site.
pub fn in_words(fault: &anyhow::Error, site: Option<&Path>) -> String {
    let chain: Vec<String> = fault.chain().map(ToString::to_string).collect();
    let archive = fault.chain().find_map(|e| e.downcast_ref::<ArchiveError>());
    let sql = fault.chain().find_map(|e| e.downcast_ref::<SqlError>()).zip(site);
    let recommended =
        archive.and_then(ArchiveError::advice).or(sql.and_then(|(sql, site)| sql.advice(site)));
    match recommended {
        Some(advice) => format!("{}: `{}`", chain.join(": "), crate::advice::command(&advice)),
        None => chain.join(": "),
    }
}

/// Returns true when a failure reports that the archive has moved to another place.
pub fn is_moved(fault: &anyhow::Error) -> bool {
    let archive = fault.chain().find_map(|e| e.downcast_ref::<ArchiveError>());
    archive.is_some_and(ArchiveError::is_moved)
}

/// Returns whether an act failed because another process changed the data meanwhile.
pub fn is_conflict(fault: &anyhow::Error) -> bool {
    let archive = fault.chain().find_map(|e| e.downcast_ref::<ArchiveError>());
    archive.is_some_and(ArchiveError::is_conflict)
}

/// Returns the kind of a failure.
pub fn kind(fault: &anyhow::Error) -> Kind {
    if let Some(failure) = fault.downcast_ref::<Failure>() {
        return failure.kind;
    }
    match fault.chain().find_map(|e| e.downcast_ref::<ArchiveError>()) {
        Some(error) if error.is_conflict() || error.is_moved() => Kind::Conflict,
        Some(error) if error.is_gate() => Kind::Gate,
        _ => Kind::Infrastructure,
    }
}
