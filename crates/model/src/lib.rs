//! The nouns of the archive: identities, tables, survey profiles, task files. No I/O.
//!
//! Every other room speaks in these types. A new column begins in `tables/*.toml` ([`tables`]); a new survey
//! is a file in `surveys/` ([`profile`]); what a node gets and leaves is in [`task`]; commands that messages recommend are in
//! [`advice`].
//! Does not read files, open databases, or know how anything is computed.

pub mod advice;
pub mod detector;
mod frame_name;
pub mod ids;
mod one_line;
pub mod preview_name;
pub mod profile;
pub mod refusal;
mod shown;
pub mod tables;
pub mod task;
pub mod unit;

pub use advice::Advice;
pub use frame_name::frame_name;
pub use ids::{EventId, ExtNum, MultiframeId, ObjectId, ProgrammeId, ext_num_of};
pub use one_line::one_line;
pub use refusal::{Finding, Refusal, RowRange};
pub use shown::{is_clean, shown, shown_briefly};
pub use unit::{UnitKey, UnitState, UseCase};
