//! The command line: one file per verb.

use crate::exit::Exit;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use curate::{Scope, log};
use std::path::PathBuf;

mod backup;
mod config;
mod contact_sheet;
mod daemon;
mod demo;
mod doctor;
mod explain;
mod findings;
mod groups;
mod init;
mod inspect;
mod instruct;
mod library;
mod manual;
mod migrate;
mod plan;
mod profile;
mod programme;
mod refusals;
mod retract;
mod run;
mod simulate;
mod sources;
mod sql;
mod status;
mod supersede;
mod verify;

/// Survey-archive curation: from a night's delivery of FITS files to a database that can be queried.
#[derive(Debug, Parser)]
#[command(name = "almagest", version, max_term_width = 100, after_help = AFTER)]
pub struct Arguments {
    /// Site directory; else ALMAGEST_SITE, else the working directory, or the nearest one above it, that is a site.
    #[arg(long, global = true, value_name = "DIR")]
    pub site: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogArguments,
    #[command(subcommand)]
    verb: Verb,
}

/// Options that say what is written to stderr, and how.
#[derive(Clone, Debug, Default, Args)]
pub struct LogArguments {
    /// Write only errors to stderr.
    #[arg(short, long, global = true, display_order = 901, conflicts_with = "verbose")]
    quiet: bool,
    /// Write to stderr what is logged: acts, with -vv their steps too.
    #[arg(short, long, global = true, display_order = 902, action = ArgAction::Count)]
    verbose: u8,
    /// Format of stderr and of the log files: text or json; else text, for files `[log] format`.
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
4 infrastructure (try again), 5 conflict, 130 interrupted.

Try `almagest demo` first: it simulates a night and takes it through every step.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Simulate a small night, take it through every step, and query it
    Demo(demo::Arguments),
    /// Make a site: configuration, survey profiles, empty archive
    Init(init::Arguments),
    /// Take deliveries through every step, from transfer to ingest
    Run(run::Arguments),
    /// CU1: fetch deliveries into the library, verify and register them
    Transfer(run::TransferArguments),
    /// List what the sources of almagest.toml have, and what has not arrived
    Sources(sources::Arguments),
    /// CU2: make JPEG previews
    Preview(run::StepArguments),
    /// CU3: extract the metadata of multiframes
    Metadata(run::StepArguments),
    /// CU4: extract the detections of catalogues
    Catalogue(run::StepArguments),
    /// Make staged batches visible in the archive
    Ingest(run::IngestArguments),
    /// Show the proposed plan: what runs where and when
    Plan(plan::Arguments),
    /// Approve a plan, or part of it
    Approve(plan::ApproveArguments),
    /// Reject a plan
    Reject(plan::RejectArguments),
    /// Change the next plan: move, hold, priority
    Edit(instruct::EditArguments),
    /// Start nothing new of a unit, delivery, night or use case, or on a host
    Pause(instruct::StopArguments),
    /// End a pause, a hold, a drain or a rejection
    Resume(instruct::ResumeArguments),
    /// Empty a host: running tasks finish, waiting ones run elsewhere
    Drain(instruct::StopArguments),
    /// End the running tasks of units, and hold the units
    Cancel(instruct::StopArguments),
    /// Redo tasks that were given up
    Retry(instruct::GoArguments),
    /// Work until a signal ends it: sources, data daemon, ingester
    Daemon(daemon::Arguments),
    /// Show deliveries, running work, and what waits for what
    Status(status::Arguments),
    /// List, show, accept, dismiss or retry refusals
    Refusals(refusals::Arguments),
    /// List what was unexpected in accepted files, such as mistyped keywords
    Findings(findings::Arguments),
    /// Say why a delivery or file is not (wholly) in the archive, and what helps
    Explain(explain::Arguments),
    /// Take a delivery out of the archive, or bring it back
    Retract(retract::Arguments),
    /// End older products that are kept because newer frames lack them
    Supersede(supersede::Arguments),
    /// Delete for good what is retracted
    Purge(retract::PurgeArguments),
    /// Check that the archive is complete, unique and correct
    Verify(verify::Arguments),
    /// Re-read delivered files within a budget, and report damage and loss
    Scrub(library::ScrubArguments),
    /// Compare source, library and archive, and repair one from another
    Reconcile(library::ReconcileArguments),
    /// Copy what cannot be made again: archive, configuration and profiles
    Backup(backup::Arguments),
    /// Make a site from a backup, or restore a lost archive.db
    Restore(backup::RestoreArguments),
    /// Move the archive to a PostgreSQL server, or back into the site
    Migrate(migrate::Arguments),
    /// Query the archive
    Sql(sql::Arguments),
    /// Write a page with the previews of the site, of deliveries or nights
    ContactSheet(contact_sheet::Arguments),
    /// Print the statements that attach the archive to DuckDB, read-only
    Attach(sql::AttachArguments),
    /// Show what Almagest reads in FITS files
    Inspect(inspect::Arguments),
    /// List programmes, or add one and release the frames that wait for it
    Programme(programme::Arguments),
    /// List survey profiles, or set a value in one
    Profile(profile::Arguments),
    /// Check the site and the machine
    Doctor(doctor::Arguments),
    /// Show the effective configuration
    Config(config::Arguments),
    /// Write a realistic night of pipeline products
    Simulate(simulate::Arguments),
    /// Print a completion script for a shell
    Completions(manual::CompletionsArguments),
    /// Print the manual, or write its pages into a directory
    Man(manual::ManArguments),
}

/// Options that say how much of the archive a step is for.
#[derive(Clone, Debug, Default, Args)]
pub struct ScopeArguments {
    /// Only deliveries of this observing night (YYYYMMDD); may be repeated.
    #[arg(long, value_name = "YYYYMMDD")]
    pub night: Vec<String>,
    /// Only this delivery; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub delivery: Vec<String>,
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
    /// For people.
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
        Verb::Completions(verb) => manual::completions(&verb),
        Verb::Man(verb) => manual::man(&verb),
        Verb::Run(verb) => run::run(site, &verb),
        Verb::Transfer(verb) => run::transfer(site, &verb),
        Verb::Sources(verb) => sources::run(site, &verb),
        Verb::Preview(verb) => run::step(site, model::UseCase::Preview, &verb),
        Verb::Metadata(verb) => run::step(site, model::UseCase::Metadata, &verb),
        Verb::Catalogue(verb) => run::step(site, model::UseCase::Catalogue, &verb),
        Verb::Ingest(verb) => run::ingest(site, &verb),
        Verb::Plan(verb) => plan::plan(site, &verb),
        Verb::Approve(verb) => plan::approve(site, &verb),
        Verb::Reject(verb) => plan::reject(site, &verb),
        Verb::Edit(verb) => instruct::edit(site, &verb),
        Verb::Pause(verb) => instruct::pause(site, &verb),
        Verb::Resume(verb) => instruct::resume(site, &verb),
        Verb::Drain(verb) => instruct::drain(site, &verb),
        Verb::Cancel(verb) => instruct::cancel(site, &verb),
        Verb::Retry(verb) => instruct::retry(site, &verb),
        Verb::Daemon(verb) => daemon::run(site, &verb),
        Verb::Status(verb) => status::run(site, &verb),
        Verb::Refusals(verb) => refusals::run(site, &verb),
        Verb::Findings(verb) => findings::run(site, &verb),
        Verb::Explain(verb) => explain::run(site, &verb),
        Verb::Purge(verb) => retract::purge(site, &verb),
        Verb::Retract(verb) => retract::run(site, &verb),
        Verb::Supersede(verb) => supersede::run(site, &verb),
        Verb::Verify(verb) => verify::run(site, &verb),
        Verb::Scrub(verb) => library::scrub(site, &verb),
        Verb::Reconcile(verb) => library::reconcile(site, &verb),
        Verb::Backup(verb) => backup::run(site, &verb),
        Verb::Restore(verb) => backup::restore(&verb),
        Verb::Migrate(verb) => migrate::run(site, &verb),
        Verb::Sql(verb) => sql::run(site, &verb),
        Verb::ContactSheet(verb) => contact_sheet::run(site, &verb),
        Verb::Attach(verb) => sql::attach(site, &verb),
        Verb::Inspect(verb) => inspect::run(site, &verb),
        Verb::Programme(verb) => programme::run(site, &verb),
        Verb::Profile(verb) => profile::run(site, &verb),
        Verb::Doctor(verb) => doctor::run(site, &verb),
        Verb::Config(verb) => config::run(site, &verb),
        Verb::Simulate(verb) => simulate::run(&verb),
    }
}
