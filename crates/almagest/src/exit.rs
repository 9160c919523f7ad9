//! Exit codes, and which failure has which.

use archive::ArchiveError;
use archive::sql::SqlError;
use std::path::Path;
use std::process::ExitCode;

/// How a command ended. The numbers are a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Done, and something was refused that was not refused before.
    Refusals = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A gate or precondition failed: no room, not a site, checks found something.
    Gate = 3,
    /// The machine failed: disk, database, permissions. Trying again may help.
    Infrastructure = 4,
    /// Somebody else is doing it, or it contradicts what is there.
    Conflict = 5,
    /// Interrupted; what was done stays done.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure with the exit code that it stands for.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What to tell the operator.
    pub message: String,
    /// What it came from.
    #[source]
    pub source: Option<anyhow::Error>,
}

/// A failure of the command line or configuration.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Failure { exit: Exit::Usage, message: message.into(), source: None }.into()
}

/// A precondition that does not hold.
pub fn gate(message: impl Into<String>) -> anyhow::Error {
    Failure { exit: Exit::Gate, message: message.into(), source: None }.into()
}

/// Something that contradicts what is there.
pub fn conflict(message: impl Into<String>) -> anyhow::Error {
    Failure { exit: Exit::Conflict, message: message.into(), source: None }.into()
}

/// Prints the chain of a failure on stderr, control characters made visible, and gives its exit code. A reader of our
/// results that went away (`| head`) is no failure.
pub fn report(fault: &anyhow::Error) -> Exit {
    let closed = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    if fault.chain().any(|e| e.downcast_ref().is_some_and(closed)) {
        return Exit::Done;
    }
    let text = in_words(fault, None);
    let lines: Vec<String> = text.lines().map(crate::report::shown).collect();
    crate::report::tell!("almagest: {}", lines.join("\n"));
    code(fault)
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

/// Whether a failure says that the archive has moved to another place.
pub fn is_moved(fault: &anyhow::Error) -> bool {
    let archive = fault.chain().find_map(|e| e.downcast_ref::<ArchiveError>());
    archive.is_some_and(ArchiveError::is_moved)
}

/// Returns whether an act failed because another process acted in between.
pub fn is_conflict(fault: &anyhow::Error) -> bool {
    let archive = fault.chain().find_map(|e| e.downcast_ref::<ArchiveError>());
    archive.is_some_and(ArchiveError::is_conflict)
}

fn code(fault: &anyhow::Error) -> Exit {
    if let Some(failure) = fault.downcast_ref::<Failure>() {
        return failure.exit;
    }
    match fault.chain().find_map(|e| e.downcast_ref::<ArchiveError>()) {
        Some(error) if error.is_conflict() || error.is_moved() => Exit::Conflict,
        Some(error) if error.is_gate() => Exit::Gate,
        _ => Exit::Infrastructure,
    }
}
