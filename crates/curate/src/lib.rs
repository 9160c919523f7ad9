//! The application: a site with its configuration, the steps of a night, the scheduler and the daemons around them.
//!
//! [`steps`] fetches deliveries and works on them on this machine, [`scheduler`] plans and starts work on all hosts, [`daemon`]
//! holds the loops that run until a signal. [`config`] is the site's one configuration file, [`failure`] defines the kinds of
//! failures. This crate makes no decisions about data: the crates below do, and this crate calls them in order. This crate has no
//! command line and writes no results: `almagest` does.

#![warn(clippy::print_stderr, clippy::print_stdout)] // a full disk behind either must not panic: log::tell

pub mod advice;
pub mod arrivals;
pub mod clock;
pub mod config;
pub mod counts;
pub mod daemon;
pub mod failure;
pub mod file_time;
pub mod ingester;
pub mod log;
pub mod loops;
pub mod notify;
pub mod operator;
pub mod profiles;
pub mod profiling;
pub mod progress;
pub mod rounds;
pub mod scheduler;
pub mod scope;
pub mod site;
pub mod sources;
pub mod state_file;
pub mod steps;
mod swept;
pub mod table;
pub mod task_files;
pub mod words;

pub use progress::Progress;
pub use scope::Scope;
