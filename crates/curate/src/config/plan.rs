//! Executor and order of tasks: the sections `plan`, `slurm` and `ssh`.

use model::{HostName, Night};
use serde::{Deserialize, Serialize};

/// Planning and running tasks.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanConfig {
    /// The executor of tasks.
    pub executor: ExecutorKind,
    /// The deliveries that are processed first.
    pub order: Order,
    /// Nights that are processed before all others, yyyymmdd.
    pub priority_nights: Vec<Night>,
    /// Maximum number of hosts in use at a time; 0 = all.
    pub max_hosts: usize,
    /// Maximum load of others per core; 0 = any.
    pub max_load: f64,
    /// True when plans are approved without an operator.
    pub auto: bool,
    /// Longest plan, in hours, that is approved without an operator; 0 = any.
    pub auto_max_hours: f64,
    /// MB per second at which a host reads a library that is not on its own disk; 0 = same speed as its own disk.
    pub remote_mb_per_second: f64,
    /// Path of `almagest-node` on the hosts; empty = next to this program.
    pub node_program: String,
    /// Seconds without a sign of life after which an attempt is given up.
    pub heartbeat_timeout_seconds: u64,
    /// Minimum number of images in a round of a delivery that is arriving.
    pub min_early_images: usize,
    /// Maximum number of seconds between two passes of the data daemon.
    pub poll_seconds: u64,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self {
            executor: ExecutorKind::Local,
            order: Order::Oldest,
            priority_nights: Vec::new(),
            max_hosts: 0,
            max_load: 1.5,
            auto: false,
            auto_max_hours: 24.0,
            remote_mb_per_second: 100.0,
            node_program: String::new(),
            heartbeat_timeout_seconds: 180,
            min_early_images: 100,
            poll_seconds: 2,
        }
    }
}

/// The executor of tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorKind {
    /// This machine.
    #[default]
    Local,
    /// Slurm.
    Slurm,
    /// Hosts of a list, reached by ssh.
    Ssh,
    /// Scripts that are run by hand.
    Print,
}

/// The deliveries that are processed first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Deliveries of the oldest night.
    #[default]
    Oldest,
    /// Deliveries of the newest night.
    Newest,
}

/// The settings of Slurm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmConfig {
    /// Partition; empty = the cluster's default.
    pub partition: String,
    /// Account; empty = the user's default.
    pub account: String,
    /// Further options of sbatch.
    pub options: Vec<String>,
}

/// The settings of hosts reached by ssh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SshConfig {
    /// Names of the hosts.
    pub hosts: Vec<HostName>,
    /// Further options of ssh.
    pub options: Vec<String>,
    /// Seconds between two reports of a host; 0 = 30.
    pub report_seconds: u64,
}
