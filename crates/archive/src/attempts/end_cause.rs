//! The cause of an attempt's end without result.

use model::task::EndCode;
use std::fmt;

/// The cause of an attempt's end without result, as histories have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// The attempt needed more memory than it may use.
    Memory,
    /// The job exceeded its time limit.
    Time,
    /// The attempt or its job reported a failure.
    Failed,
    /// The job ended without a result.
    Ended,
    /// The attempt reported that its task cannot be done as it is.
    Impossible,
    /// The attempt was killed, or crashed.
    Crashed,
    /// A signal requested a stop.
    Interrupted,
    /// The host failed.
    HostFailed,
    /// The host was closed while the job waited.
    HostClosed,
    /// The job was cancelled.
    Cancelled,
    /// The heartbeat stopped.
    Silent,
    /// The job never started.
    NeverBegun,
    /// The result cannot be read.
    Unreadable,
    /// The result was read and is not valid.
    InvalidResult,
    /// The task file could not be written.
    NotWritten,
    /// The task could not be sent to its host.
    NotSent,
}

impl EndCause {
    /// Returns the name in tables and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Time => "time",
            Self::Failed => "failed",
            Self::Ended => "ended",
            Self::Impossible => "impossible",
            Self::Crashed => "crashed",
            Self::Interrupted => "interrupted",
            Self::HostFailed => "host_failed",
            Self::HostClosed => "host_closed",
            Self::Cancelled => "cancelled",
            Self::Silent => "silent",
            Self::NeverBegun => "never_begun",
            Self::Unreadable => "unreadable",
            Self::InvalidResult => "invalid_result",
            Self::NotWritten => "not_written",
            Self::NotSent => "not_sent",
        }
    }
}

impl From<EndCode> for EndCause {
    fn from(code: EndCode) -> Self {
        match code {
            EndCode::Memory => Self::Memory,
            EndCode::Interrupted => Self::Interrupted,
            EndCode::Crashed => Self::Crashed,
            EndCode::Failed => Self::Failed,
            EndCode::Impossible => Self::Impossible,
        }
    }
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
