//! Progress of the steps of a night, for a display.

/// A display of the progress of steps.
pub trait Progress: Send + Sync {
    /// Adds files that a step has to do.
    fn expect(&self, step: &'static str, files: u64);
    /// Notes files that a step has done.
    fn done(&self, step: &'static str, files: u64);
    /// Ends the display.
    fn finish(&self);
}

/// A display that shows nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn expect(&self, _: &'static str, _: u64) {}
    fn done(&self, _: &'static str, _: u64) {}
    fn finish(&self) {}
}
