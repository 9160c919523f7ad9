//! The basic types of the archive: identities, kinds and digests of files, tables, survey profiles, task files. No I/O.
//!
//! All other crates use these types. A new column begins in `tables/*.toml` ([`tables`]); a new survey is a file in
//! `surveys/` ([`profile`]); the input and output of a node are in [`task`]; commands that messages recommend are in
//! [`advice`]; products are defined in [`products`]; codes of refusals and findings are in [`refusal_code`].
//! This crate does not read files or open databases, and it contains no computations.

pub mod advice;
pub mod detector;
mod file;
mod frame_name;
pub mod ids;
mod names;
mod night;
mod one_line;
pub mod preview_name;
pub mod products;
pub mod profile;
pub mod refusal;
pub mod refusal_code;
mod report_code;
mod shown;
mod skip_reason;
mod staged_file;
pub mod tables;
pub mod task;
pub mod unit;

pub use advice::Advice;
pub use file::{FileKind, Sha256, Verification};
pub use frame_name::frame_name;
pub use ids::{
    AttemptNumber, BatchId, EventId, ExtNum, FileId, MultiframeId, ObjectId, PlanId, ProgrammeId,
    RefusalId, RoundNumber, SurveyId, TaskNumber, ext_num_of,
};
pub use names::{
    DeliveryName, HostName, InvalidName, MAX_NAME_BYTES, NameKind, ProgrammeName, SurveyName,
    name_fault,
};
pub use night::Night;
pub use one_line::one_line;
pub use products::UseCase;
pub use refusal::{Finding, Refusal, RowRange};
pub use refusal_code::RefusalCode;
pub use report_code::ReportCode;
pub use shown::{is_clean, shown, shown_briefly};
pub use skip_reason::SkipReason;
pub use unit::{UnitKey, UnitState};
