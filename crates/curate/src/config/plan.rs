//! Where tasks run and in which order: the sections `plan`, `slurm` and `ssh`.

use serde::{Deserialize, Serialize};

/// Planning and running tasks.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanConfig {
    /// Where tasks run.
    pub executor: ExecutorKind,
    /// Which deliveries come first.
    pub order: Order,
    /// Nights that come before all others, yyyymmdd.
    pub first_nights: Vec<i32>,
    /// Most hosts at a time; 0 = all.
    pub hosts_most: usize,
    /// Most load of others per core; 0 = any.
    pub load_most: f64,
    /// Plans are approved by themselves.
    pub auto: bool,
    /// Unless they take longer than this; 0 = any.
    pub auto_hours_most: f64,
    /// Reading a library elsewhere; 0 = as fast as one's own.
    pub remote_mb_per_second: f64,
    /// `almagest-node` on the hosts; empty = beside this program.
    pub node_program: String,
    /// Seconds without a sign of life after which an attempt is given up.
    pub silent_seconds: u64,
    /// Images with which a round of a delivery that is arriving begins.
    pub early_images: usize,
    /// Seconds between two looks.
    pub poll_seconds: u64,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self {
            executor: ExecutorKind::Local,
            order: Order::Oldest,
            first_nights: Vec::new(),
            hosts_most: 0,
            load_most: 1.5,
            auto: false,
            auto_hours_most: 24.0,
            remote_mb_per_second: 100.0,
            node_program: String::new(),
            silent_seconds: 180,
            early_images: 100,
            poll_seconds: 2,
        }
    }
}

/// Where tasks run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorKind {
    /// On this machine.
    #[default]
    Local,
    /// By Slurm.
    Slurm,
    /// On hosts of a list.
    Ssh,
    /// By hand.
    Print,
}

/// Which deliveries come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The oldest night.
    #[default]
    Oldest,
    /// The newest night.
    Newest,
}

/// Slurm.
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

/// Hosts reached by ssh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SshConfig {
    /// Their names.
    pub hosts: Vec<String>,
    /// Further options of ssh.
    pub options: Vec<String>,
    /// Seconds between two reports of a host; 0 = 30.
    pub report_seconds: u64,
}
