//! The command line: one file per verb. Verbs share [`night`] and [`step`] (work), [`subject`] and [`instruction`] (decisions),
//! [`identity`] (options), [`soundness`] (delivered files) and [`dry_run`].

use crate::exit::Exit;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use curate::{Scope, log};
use model::{DeliveryName, Night};
use std::path::PathBuf;

mod approve;
mod attach;
mod backup;
mod cancel;
mod catalogue;
mod completions;
mod config;
mod contact_sheet;
mod daemon;
mod decision;
mod demo;
mod doctor;
mod drain;
mod dry_run;
mod edit;
mod explain;
mod findings;
mod groups;
mod identity;
mod ingest;
mod init;
mod inspect;
mod instruction;
mod man;
mod metadata;
mod migrate;
mod night;
mod pause;
mod plan;
mod preview;
mod profile;
mod programme;
mod purge;
mod reconcile;
mod refusals;
mod reject;
mod reprofile;
mod restore;
mod resume;
mod retract;
mod retry;
mod run;
mod scrub;
mod simulate;
mod soundness;
mod sources;
mod sql;
mod status;
mod step;
mod subject;
mod supersede;
mod transfer;
mod verify;

/// Survey-archive curation: from a night's delivery of FITS files to a database that can be queried.
#[derive(Debug, Parser)]
#[command(name = "almagest", version, max_term_width = 100, after_help = AFTER)]
pub struct Arguments {
    /// Site directory; else ALMAGEST_SITE, else the site that contains the working directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub site: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogArguments,
    #[command(subcommand)]
    verb: Verb,
}

/// Options that set what is written to stderr.
#[derive(Clone, Debug, Default, Args)]
pub struct LogArguments {
    /// Write only errors to stderr.
    #[arg(short, long, global = true, display_order = 901, conflicts_with = "verbose")]
    quiet: bool,
    /// Write log messages to stderr; -vv includes debug messages.
    #[arg(short, long, global = true, display_order = 902, action = ArgAction::Count)]
    verbose: u8,
    /// Format of stderr and of the log files: text or json [default: text; for files, `[log] format`].
    #[arg(
        long,
        global = true,
        display_order = 903,
        value_name = "FORMAT",
        value_parser = ["text", "json"],
        hide_possible_values = true
    )]
    log_format: Option<String>,
}

impl LogArguments {
    /// Returns the options of the log.
    pub fn options(&self) -> log::Options {
        let format = self.log_format.as_deref().map(|format| match format {
            "json" => log::Format::Json,
            _ => log::Format::Text,
        });
        log::Options { is_quiet: self.quiet, verbosity: self.verbose, format }
    }
}

const AFTER: &str = "\
Exit codes: 0 done, 1 done with new refusals, 2 usage, 3 a gate or precondition failed,
4 infrastructure failure (retry), 5 conflict, 130 interrupted.

Try `almagest demo` first: it simulates a night and processes it through every step.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Simulate a small night, process it, and query it
    Demo(demo::Arguments),
    /// Create a site: configuration, survey profiles, empty archive
    Init(init::Arguments),
    /// Process deliveries through every step, from transfer to ingest
    Run(run::Arguments),
    /// CU1: fetch deliveries into the library, verify and register them
    Transfer(transfer::Arguments),
    /// List what the sources of almagest.toml have, and what has not arrived
    Sources(sources::Arguments),
    /// CU2: make JPEG previews
    Preview(preview::Arguments),
    /// CU3: extract the metadata of multiframes
    Metadata(step::StepArguments),
    /// CU4: extract the detections of catalogues
    Catalogue(step::StepArguments),
    /// Publish staged batches in the archive
    Ingest(ingest::Arguments),
    /// Show the proposed plan: what runs where and when
    Plan(plan::Arguments),
    /// Approve a plan, or part of it
    Approve(approve::Arguments),
    /// Reject a plan
    Reject(reject::Arguments),
    /// Change the next plan: move, hold, priority
    Edit(edit::Arguments),
    /// Stop new tasks of a unit, delivery, night or use case, or on a host
    Pause(instruction::StopArguments),
    /// End a pause, a hold, a drain or a rejection
    Resume(resume::Arguments),
    /// Empty a host: running tasks finish, waiting ones run elsewhere
    Drain(instruction::StopArguments),
    /// Stop the running tasks of units, and hold the units
    Cancel(instruction::StopArguments),
    /// Redo tasks that were given up
    Retry(retry::Arguments),
    /// Run the transfer, data and ingester daemons until a signal
    Daemon(daemon::Arguments),
    /// Show deliveries, running work, and blocked work with its reason
    Status(status::Arguments),
    /// List, show, accept, dismiss or retry refusals
    Refusals(refusals::Arguments),
    /// List what was unexpected in accepted files, such as mistyped keywords
    Findings(findings::Arguments),
    /// Explain why a delivery or file is not fully in the archive, and how to fix it
    Explain(explain::Arguments),
    /// Retract a delivery from the archive, or undo a retraction
    Retract(retract::Arguments),
    /// End older products that are kept because newer frames lack them
    Supersede(supersede::Arguments),
    /// Permanently delete retracted rounds
    Purge(purge::Arguments),
    /// Check that the archive is complete, unique and correct
    Verify(verify::Arguments),
    /// Re-read delivered files within a budget, and report damaged and missing ones
    Scrub(scrub::Arguments),
    /// Compare source, library and archive, and repair one from another
    Reconcile(reconcile::Arguments),
    /// Back up what cannot be recreated: archive, configuration and profiles
    Backup(backup::Arguments),
    /// Create a site from a backup, or restore a lost archive.db
    Restore(restore::Arguments),
    /// Move the archive to a PostgreSQL server, or back into the site
    Migrate(migrate::Arguments),
    /// Query the archive
    Sql(sql::Arguments),
    /// Write a page with the previews of the site, of deliveries or nights
    ContactSheet(contact_sheet::Arguments),
    /// Print the statements that attach the archive to DuckDB, read-only
    Attach(attach::Arguments),
    /// Show how Almagest reads FITS files
    Inspect(inspect::Arguments),
    /// List programmes, or add one and unpark the frames that wait for it
    Programme(programme::Arguments),
    /// List, check and draft survey profiles, or set a value in one
    Profile(profile::Arguments),
    /// Choose the survey profiles of files in the archive again
    Reprofile(reprofile::Arguments),
    /// Check the site and the machine
    Doctor(doctor::Arguments),
    /// Show the effective configuration
    Config(config::Arguments),
    /// Write a realistic night of pipeline products
    Simulate(simulate::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
    /// Print the manual, or write its pages into a directory
    Man(man::Arguments),
}

/// Options that select the deliveries of a step.
#[derive(Clone, Debug, Default, Args)]
pub struct ScopeArguments {
    /// Only deliveries of this observing night (YYYYMMDD); may be repeated.
    #[arg(long, value_name = "YYYYMMDD")]
    pub night: Vec<Night>,
    /// Only this delivery; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub delivery: Vec<DeliveryName>,
}

impl ScopeArguments {
    /// Returns the scope that the options choose.
    pub fn scope(&self) -> Scope {
        Scope { nights: self.night.clone(), deliveries: self.delivery.clone() }
    }
}

/// Reads the command line.
///
/// # Errors
/// The text with which clap ends the process: a fault, help, or the version.
pub fn arguments() -> Result<Arguments, clap::Error> {
    let command = groups::grouped(Arguments::command());
    Arguments::from_arg_matches(&command.try_get_matches()?)
}

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// Comma-separated values (RFC 4180), one header line.
    Csv,
    /// One JSON array of objects.
    Json,
    /// A Parquet file.
    Parquet,
}

/// Runs the verb that was given.
pub fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    curate::advice::note_site(arguments.site.as_deref());
    let named = || std::env::var_os("ALMAGEST_SITE").filter(|dir| !dir.is_empty());
    let site = arguments.site.or_else(|| named().map(PathBuf::from));
    match arguments.verb {
        Verb::Demo(verb) => demo::run(&verb),
        Verb::Init(verb) => init::run(&verb),
        Verb::Completions(verb) => completions::run(&verb),
        Verb::Man(verb) => man::run(&verb),
        Verb::Run(verb) => run::run(site, &verb),
        Verb::Transfer(verb) => transfer::run(site, &verb),
        Verb::Sources(verb) => sources::run(site, &verb),
        Verb::Preview(verb) => preview::run(site, &verb),
        Verb::Metadata(verb) => metadata::run(site, &verb),
        Verb::Catalogue(verb) => catalogue::run(site, &verb),
        Verb::Ingest(verb) => ingest::run(site, &verb),
        Verb::Plan(verb) => plan::run(site, &verb),
        Verb::Approve(verb) => approve::run(site, &verb),
        Verb::Reject(verb) => reject::run(site, &verb),
        Verb::Edit(verb) => edit::run(site, &verb),
        Verb::Pause(verb) => pause::run(site, &verb),
        Verb::Resume(verb) => resume::run(site, &verb),
        Verb::Drain(verb) => drain::run(site, &verb),
        Verb::Cancel(verb) => cancel::run(site, &verb),
        Verb::Retry(verb) => retry::run(site, &verb),
        Verb::Daemon(verb) => daemon::run(site, &verb),
        Verb::Status(verb) => status::run(site, &verb),
        Verb::Refusals(verb) => refusals::run(site, &verb),
        Verb::Findings(verb) => findings::run(site, &verb),
        Verb::Explain(verb) => explain::run(site, &verb),
        Verb::Purge(verb) => purge::run(site, &verb),
        Verb::Retract(verb) => retract::run(site, &verb),
        Verb::Supersede(verb) => supersede::run(site, &verb),
        Verb::Verify(verb) => verify::run(site, &verb),
        Verb::Scrub(verb) => scrub::run(site, &verb),
        Verb::Reconcile(verb) => reconcile::run(site, &verb),
        Verb::Backup(verb) => backup::run(site, &verb),
        Verb::Restore(verb) => restore::run(&verb),
        Verb::Migrate(verb) => migrate::run(site, &verb),
        Verb::Sql(verb) => sql::run(site, &verb),
        Verb::ContactSheet(verb) => contact_sheet::run(site, &verb),
        Verb::Attach(verb) => attach::run(site, &verb),
        Verb::Inspect(verb) => inspect::run(site, &verb),
        Verb::Programme(verb) => programme::run(site, &verb),
        Verb::Profile(verb) => profile::run(site, &verb),
        Verb::Reprofile(verb) => reprofile::run(site, &verb),
        Verb::Doctor(verb) => doctor::run(site, &verb),
        Verb::Config(verb) => config::run(site, &verb),
        Verb::Simulate(verb) => simulate::run(&verb),
    }
}
