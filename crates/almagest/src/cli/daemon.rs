//! `almagest daemon`.

use crate::exit::Exit;
use crate::site::Site;
use crate::{daemon, data};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    loop_of: Loop,
}

#[derive(Debug, clap::Subcommand)]
enum Loop {
    /// Make every batch visible as soon as it is staged
    #[command(after_help = "\
Runs until SIGTERM or SIGINT, which end it in the middle of a load with nothing half done. A
second one on the same site stands by until the first is gone. While the database is away it
waits and tries again. What it does is in `almagest status`, in logs/almagest.log, and at
http://127.0.0.1:9187/metrics and /healthz ([ingest] listen).")]
    Ingest,
    /// Plan, and run what is approved
    #[command(after_help = "\
Runs until SIGTERM or SIGINT: then nothing new starts, what this machine's own pool does ends, and
jobs of a batch system or of other hosts go on and are found again by the next start. Where tasks
run is in almagest.toml ([plan] executor). What it does is in `almagest status`.")]
    Data {
        /// Approve plans by the policy of almagest.toml, without an operator.
        #[arg(long)]
        auto: bool,
    },
}

/// Runs a loop until a signal ends it.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let stop = daemon::stop_flag()?;
    match arguments.loop_of {
        Loop::Ingest => daemon::ingest(&site, &stop),
        Loop::Data { auto } => data::daemon(&site, auto, &stop),
    }
}
