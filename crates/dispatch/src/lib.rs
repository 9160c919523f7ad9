//! Where tasks run and when, and having them run there.
//!
//! [`planner`] is a pure function from hosts, tasks and policy to a plan. An [`Executor`] takes task files and has them run
//! somewhere: [`ThisHost`] on this machine, [`Slurm`] by a batch system, [`Ssh`] on plain computers, [`Print`] by hand. Whether
//! a result counts is decided by who collects them, never here: an exit is not a result, a job's id no lock; the result is
//! the `result.json` in the attempt's directory.
//!
//! Start at [`Executor`] and [`planner::plan`].
//! Does not keep states, or touch a database.

pub mod command;
mod executor;
mod local;
pub mod planner;
pub mod print;
pub mod slurm;
pub mod ssh;

pub use executor::{
    ARRAY_MOST, DispatchFault, Executor, HostState, Job, Over, Sent, Standing, Start,
};
pub use local::ThisHost;
/// How often an attempt that runs shows that it does.
pub use node::supervise::HEARTBEAT;
pub use print::Print;
pub use slurm::Slurm;
pub use ssh::Ssh;
