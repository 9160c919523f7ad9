//! Placement of tasks on hosts and in time, and their execution there.
//!
//! [`planner`] is a pure function from hosts, tasks and policy to a plan. An [`Executor`] takes task files and has them run
//! somewhere: [`ThisHost`] on this machine, [`Slurm`] by a batch system, [`Ssh`] on plain hosts, [`Print`] by hand. The process
//! that collects results decides whether a result counts, never this crate: an exit is not a result, a job's id no lock; the
//! result is the `result.json` in the attempt's directory.
//!
//! Start at [`Executor`] and [`planner::plan`].
//! This crate keeps no state, and uses no database.

pub mod command;
mod executor;
mod local;
pub mod planner;
pub mod print;
pub mod slurm;
pub mod ssh;

pub use executor::{
    DispatchFault, Executor, HostState, Job, JobEnd, JobState, MAX_ARRAY_SIZE, Sent, Start,
};
pub use local::ThisHost;
/// Interval between two heartbeats of a running attempt.
pub use node::supervise::HEARTBEAT;
pub use print::Print;
pub use slurm::Slurm;
pub use ssh::Ssh;
