//! `almagest daemon`.

use crate::daemon;
use crate::exit::Exit;
use crate::site::Site;
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
}

/// Runs a loop until a signal ends it.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    match arguments.loop_of {
        Loop::Ingest => daemon::ingest(&site),
    }
}
