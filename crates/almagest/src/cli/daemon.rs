//! `almagest daemon`.

use crate::exit::Exit;
use curate::daemon;
use curate::site::Site;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a subcommand, all of it in one process: deliveries that arrive in the inbox and at the
sources ([inbox] and [sources.NAME] in almagest.toml) are fetched, planned, run as approved
(almagest plan, almagest approve) or by policy ([plan] auto), and ingested. After SIGTERM, tasks
on this machine finish; the next start resumes the rest.")]
pub struct Arguments {
    #[command(subcommand)]
    loop_of: Option<Loop>,
}

#[derive(Debug, clap::Subcommand)]
enum Loop {
    /// Fetch deliveries that arrive in the inbox and at the sources
    #[command(after_help = "\
Each source of almagest.toml ([inbox] directories, [sources.NAME]) is polled every poll_seconds.
Files are fetched once they no longer change, catalogues and the newest night first; `almagest
status` shows what is missing of a delivery. SIGTERM stops it at once: partially fetched files are
kept, and the next start resumes them.")]
    Transfer,
    /// Publish every batch as soon as it is staged
    #[command(after_help = "\
Runs until SIGTERM or SIGINT; an interrupted load publishes nothing. A second one on the same site
stands by until the first stops. While the database is unreachable it waits and retries. Its
progress is in `almagest status`, in logs/ingester.log, and at http://127.0.0.1:19187/metrics and
/healthz ([ingest] listen).")]
    Ingest,
    /// Plan, and run approved tasks
    #[command(after_help = "\
Runs until SIGTERM or SIGINT. It then starts no new tasks and waits for those of its own pool; jobs
of a batch system or on other hosts continue, and the next start finds them. `[plan] executor` in
almagest.toml sets where tasks run. `almagest status` shows its progress.")]
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
