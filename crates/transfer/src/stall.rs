//! Criterion for a dead connection that is not closed: bytes that arrive too slowly.

/// The criterion for a dead connection that is not closed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stall {
    /// Seconds over which the rate is measured.
    pub seconds: u64,
    /// Minimum number of bytes per second that must arrive in this time.
    pub bytes_per_second: f64,
}

impl Default for Stall {
    fn default() -> Self {
        Self { seconds: 60, bytes_per_second: 1000.0 }
    }
}
