//! Metadata extraction through its public functions: built frames, an invented survey, real files.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "metadata/built.rs"]
mod built;
#[path = "metadata/invented.rs"]
mod invented;
#[path = "metadata/policy.rs"]
mod policy;
#[path = "metadata/real.rs"]
mod real;
#[path = "metadata/table.rs"]
mod table;
#[path = "metadata/task.rs"]
mod task;
