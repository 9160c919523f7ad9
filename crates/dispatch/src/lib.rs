//! Placement of tasks on hosts and in time, and their execution there.
//!
//! [`planner`] is a pure function from hosts, tasks and policy to a plan. An [`Executor`] runs task files: [`ThisHost`] on this machine, [`Slurm`] by a batch system, [`Ssh`] on plain hosts, [`Print`] by hand. The process
//! that collects results decides whether a result is accepted. This crate never does: the exit of a job is not a result, and its id is not a lock. The
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
