//! `almagest daemon`.

use crate::exit::Exit;
use curate::daemon;
use curate::site::Site;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a word, all of it in one process: deliveries that arrive in the inbox and at the sources
([inbox] and [sources.NAME] in almagest.toml) are brought, planned, run as approved (almagest plan, almagest approve) or by policy
([plan] auto), and ingested. SIGTERM lets what runs here end; the next start goes on.")]
pub struct Arguments {
    #[command(subcommand)]
    loop_of: Option<Loop>,
}

#[derive(Debug, clap::Subcommand)]
enum Loop {
    /// Bring what arrives in the inbox and at the sources
    #[command(after_help = "\
Each source of almagest.toml ([inbox] directories, [sources.NAME]) is looked at every poll_seconds.
Files come when they did not change for a while, catalogues and the newest night first; what is
awaited of a delivery is in `almagest status`. SIGTERM ends it at once: what was brought of a
file is kept, and the next start resumes it.")]
    Transfer,
    /// Make every batch visible as soon as it is staged
    #[command(after_help = "\
Runs until SIGTERM or SIGINT, which end it in the middle of a load with nothing half done. A
second one on the same site stands by until the first stops. While the database is unreachable it
waits and tries again. What it does is in `almagest status`, in logs/ingester.log, and at
http://127.0.0.1:19187/metrics and /healthz ([ingest] listen).")]
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
    // While a daemon runs, its archive must not move.
    let _at_work = archive::at_work(&site.place)?;
    let stop = curate::loops::stop_flag()?;
    match arguments.loop_of {
        None => daemon::all(&site, &stop)?,
        Some(Loop::Transfer) => daemon::transfer(&site, &stop)?,
        Some(Loop::Ingest) => daemon::ingest(&site, &stop)?,
        Some(Loop::Data { auto }) => daemon::data(&site, auto, &stop)?,
    }
    Ok(Exit::Done)
}
