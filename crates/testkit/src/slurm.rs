//! Throw-away Slurm clusters for tests: `tools/slurm-cluster` with a separate directory.

use crate::{is_root, skipped};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A running cluster, which ends when it is dropped, or with the test process.
#[derive(Debug)]
pub struct Cluster {
    // Short: the path of a socket may have 108 bytes.
    directory: TempDir,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/slurm-cluster")
}

impl Cluster {
    /// Starts a cluster of some nodes n1, n2 …, of two processors each, which can be cut off one by one. `None` where
    /// Slurm is not installed or the test does not run as root.
    pub fn start(nodes: u32) -> Option<Self> {
        let exists = |program: &str| {
            ["/usr/sbin", "/usr/bin"].iter().any(|dir| Path::new(dir).join(program).is_file())
        };
        if !["slurmctld", "slurmd", "munged", "sbatch", "ip"].into_iter().all(exists) || !is_root()
        {
            skipped("Slurm is not installed, or this is not root");
            return None;
        }
        let directory = tempfile::Builder::new().prefix("slurm").tempdir_in("/tmp").ok()?;
        let cluster = Self { directory };
        let pid = std::process::id().to_string();
        cluster.run(&["start", &nodes.to_string(), "--netns", "--while", &pid]);
        Some(cluster)
    }

    /// Runs an action of the script, which must succeed.
    ///
    /// # Panics
    /// Panics when it does not.
    #[track_caller]
    pub fn run(&self, words: &[&str]) {
        // Through a file: processes that the script starts in the background would keep a pipe open.
        let log = self.directory.path().with_extension("log");
        let file = std::fs::File::create(&log).expect("a log");
        let copy = file.try_clone().expect("the log");
        let status = Command::new("bash")
            .arg(script())
            .args(words)
            .env("SLURM_CLUSTER_DIR", self.state())
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(copy)
            .status()
            .expect("bash");
        let log_text = std::fs::read_to_string(&log).unwrap_or_default();
        let _ = std::fs::remove_file(&log);
        assert!(status.success(), "slurm-cluster {words:?}: {log_text}");
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("c")
    }

    /// Returns the configuration: the value of `SLURM_CONF`.
    pub fn configuration(&self) -> PathBuf {
        self.state().join("slurm.conf")
    }

    /// Runs one of Slurm's tools and returns its output.
    ///
    /// # Panics
    /// Panics when it cannot be started.
    pub fn run_tool(&self, program: &str, words: &[&str]) -> Output {
        Command::new(program)
            .args(words)
            .env("SLURM_CONF", self.configuration())
            .output()
            .expect("a tool of Slurm")
    }

    /// Returns the process of the controller.
    ///
    /// # Panics
    /// Panics when it does not run.
    pub fn controller(&self) -> u32 {
        let record = std::fs::read_to_string(self.state().join("pids/slurmctld")).expect("its pid");
        record.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a number")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = Command::new("bash")
            .arg(script())
            .arg("stop")
            .env("SLURM_CLUSTER_DIR", self.state())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
