//! Exit codes, and which failure has which.

use curate::failure::{self, Kind};
use curate::words::{shown, tell};
use std::process::ExitCode;

pub use curate::failure::{conflict, gate, in_words, is_moved, usage};

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

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Usage => Self::Usage,
            Kind::Gate => Self::Gate,
            Kind::Infrastructure => Self::Infrastructure,
            Kind::Conflict => Self::Conflict,
        }
    }
}

/// Prints the chain of a failure on stderr, control characters made visible, and gives its exit code. A reader of our
/// results that went away (`| head`) is no failure.
pub fn report(fault: &anyhow::Error) -> Exit {
    let closed = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    if fault.chain().any(|e| e.downcast_ref().is_some_and(closed)) {
        return Exit::Done;
    }
    let text = failure::in_words(fault, None);
    let lines: Vec<String> = text.lines().map(shown).collect();
    tell!("almagest: {}", lines.join("\n"));
    failure::kind(fault).into()
}
