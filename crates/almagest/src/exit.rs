//! Exit codes, and the failures to which they belong.

use curate::failure::{self, Kind};
use curate::log::tell;
use std::process::ExitCode;

pub use curate::failure::{conflict, gate, in_words, is_moved, usage};

/// The outcome of a command. The numbers are a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Done, with new refusals.
    Refusals = 1,
    /// Usage: the command line or the configuration is wrong.
    Usage = 2,
    /// A precondition failed, or a check found something that needs a decision: no free space, not a site, a damaged file.
    Gate = 3,
    /// Infrastructure failed: disk, network, database, permissions. The same command may succeed later.
    Infrastructure = 4,
    /// Conflict: another process does it, or an operator's instruction or the existing state forbids it.
    Conflict = 5,
    /// Interrupted; finished work is kept.
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

/// Prints the chain of a failure on stderr, control characters made visible, and returns its exit code. A reader of our results
/// that closed the pipe (`| head`) is not a failure.
pub fn report(fault: &anyhow::Error) -> Exit {
    let closed = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    if fault.chain().any(|e| e.downcast_ref().is_some_and(closed)) {
        return Exit::Done;
    }
    let text = failure::in_words(fault, None);
    tell!(ERROR, "failed", exit = Exit::from(failure::kind(fault)) as i32, "{}", text.trim_end());
    failure::kind(fault).into()
}
