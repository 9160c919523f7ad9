//! `almagest migrate`.

use crate::exit::{self, Exit};
use crate::report::{grouped, say};
use anyhow::Context;
use archive::Database;
use archive::history::Cause;
use curate::advice;
use curate::config;
use curate::site::{self, Site};
use model::Advice;
use serde::Serialize;
use std::path::PathBuf;
use upkeep::migrate::{self, Alone, Moved, NewPlace, Reopening};

/// Value of `--to` for an archive in the site itself.
const EMBEDDED: &str = "embedded";

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every row of every table moves under the same ids, events, refusals and staged batches too.
Each table is read back and must equal what was sent before the site is switched over; until
then nothing of the site changes. It begins only when no other process works on the site (exit
code 5): stop the daemons first. Commands that write end with code 5 meanwhile, and say so. An
interrupted migration is finished by the same command.

To a server: archive.db is kept as archive.db.migrated, the lake as it is; remove both when
you are sure. With --to embedded an archive on a server moves into the site; the database
keeps all it has. The old archive is closed: a process that still has it open gets an error that
names the new place.

--reopen is for an archive whose new place is lost: it reopens the old archive at --to, with all
that it had when it moved, and switches the site over. A place is lost when its archive.db or
its database does not exist. While the new place has records that the old archive lacks (events,
files, changes of rounds and refusals, programmes, instructions, decisions on plans), or cannot be
reached or read, it refuses (exit code 5) unless --force gives that place up. A place that can be
read is closed. One that cannot be reached stays open: let nothing use it any more. Ids that the
lost place gave out are given out again. Rounds that were running or staged are restarted, and
staging/ is renamed. Fetch the nights again that only the lost place had.

With --json: one object {act, to, dry_run}. act is none, move, finish or reopen. A move adds
tables, rows and detections, a dry run of it deliveries and events, a reopening given_up.")]
pub struct Arguments {
    /// Empty database of a PostgreSQL server, see `init`; or `embedded`.
    #[arg(long, value_name = "URL|embedded")]
    to: String,
    /// File of mode 0600 that holds the database's password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Make the roles of the database afterwards, as `init --roles` does: `sql` needs the login of queries.
    #[arg(long)]
    roles: bool,
    /// Reopen the old archive at `--to`, since the place to which it moved is lost.
    #[arg(long, requires = "reason")]
    reopen: bool,
    /// Why it is reopened, for the history.
    #[arg(long, value_name = "TEXT", requires = "reopen")]
    reason: Option<String>,
    /// With --reopen: give up what only the new place has, or may have while it cannot be reached.
    #[arg(long, requires = "reopen")]
    force: bool,
    /// Only print what would be done.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long, conflicts_with = "roles")]
    json: bool,
}

impl Arguments {
    fn database(&self) -> anyhow::Result<Database> {
        if self.to == EMBEDDED {
            return Ok(Database::default());
        }
        let password_file = self.password_file.as_deref().map(std::path::absolute).transpose()?;
        Ok(Database { url: Some(self.to.clone()), password_file, ..Database::default() })
    }
}

/// Moves the archive of a site to a server, or back into the site; or reopens the old one.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = match arguments.reopen {
        true => Site::find_without_archive(site)?,
        false => Site::find(site)?,
    };
    let database = arguments.database()?;
    let alone = Alone::on(&site.place)?;
    if arguments.reopen {
        return reopen(&site, &database, arguments, &alone);
    }
    if site.config.database.url == database.url {
        if arguments.dry_run {
            let report = Report::new("none", arguments);
            return report.print(&format!("the archive is at {} already", arguments.to));
        }
        there_already(&site, arguments)?;
        drop(alone);
        return made_roles(&site, arguments.roles);
    }
    check_idle(&site)?;
    archive::check_server(&database)?;
    if arguments.dry_run {
        return would_move(&site, &database, arguments);
    }
    let is_back = database.url.is_none();
    let moved = match is_back {
        true => migrate::to_embedded(&site.place, site::now(), &alone)?,
        false => migrate::to_server(&site.place, &database, site::now(), &alone)?,
    };
    switch_over(&site, &database)?;
    files::crash_point("migrate:switched");
    if !is_back {
        migrate::set_aside(&site.place)?;
    }
    drop(alone);
    made_roles(&site, arguments.roles)?;
    told(&moved, arguments)
}

/// Writes the new place of the archive into the site's configuration.
fn switch_over(site: &Site, database: &Database) -> anyhow::Result<()> {
    let path = site.place.root().join(config::FILE_NAME);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    files::publish_bytes(&path, config::moved_to(&text, database).as_bytes())?;
    Ok(())
}

/// Prints the content that a migration would move.
fn would_move(site: &Site, database: &Database, arguments: &Arguments) -> anyhow::Result<Exit> {
    let to = &arguments.to;
    migrate::check_site(&site.place, database)?;
    match site.read().and_then(|archive| Ok(archive.status()?)) {
        Ok(status) => {
            migrate::check_target(&site.place, database)?;
            let (deliveries, events) =
                (status.deliveries.len() as u64, status.events.unsigned_abs());
            let report = Report::new("move", arguments);
            let report = Report { deliveries: Some(deliveries), events: Some(events), ..report };
            report.print(&format!(
                "would move {} deliveries and {} events to {to}",
                grouped(deliveries),
                grouped(events)
            ))
        }
        Err(fault) if exit::is_moved(&fault) => Report::new("finish", arguments)
            .print(&format!("would finish the interrupted migration to {to}")),
        Err(fault) => Err(fault),
    }
}

/// The outcome of a migration, done or rehearsed.
#[derive(Debug, Default, Serialize)]
struct Report<'a> {
    act: &'static str,
    to: &'a str,
    dry_run: bool,
    #[serde(skip)]
    is_json: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detections: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_up: Option<String>,
}

impl<'a> Report<'a> {
    fn new(act: &'static str, arguments: &'a Arguments) -> Self {
        let Arguments { to, dry_run, json, .. } = arguments;
        Self { act, to, dry_run: *dry_run, is_json: *json, ..Self::default() }
    }

    /// Prints the report as JSON, or in words.
    fn print(&self, in_words: &str) -> anyhow::Result<Exit> {
        match self.is_json {
            true => say!("{}", crate::report::json(self)?),
            false => say!("{in_words}"),
        }
        Ok(Exit::Done)
    }
}

/// Reopens the old archive.
fn reopen(
    site: &Site,
    database: &Database,
    arguments: &Arguments,
    alone: &Alone,
) -> anyhow::Result<Exit> {
    let reason = arguments.reason.as_deref().unwrap_or_default().trim();
    if reason.is_empty() {
        return Err(exit::usage("--reason must say why"));
    }
    let reopening = Reopening::find(&site.place, database, alone)?;
    reopening.check(arguments.force)?;
    let (to, place) = (&arguments.to, reopening.place());
    let given_up = match reopening.new_place() {
        NewPlace::Lost(why) => format!("{place} is lost ({why})"),
        NewPlace::Unreachable(why) => {
            format!("{place} is given up and was not closed, since it cannot be reached ({why})")
        }
        NewPlace::Unknown(why) => format!("{place} is given up and was not closed ({why})"),
        NewPlace::Archive(lead) | NewPlace::Closed(lead) => {
            format!("{place} is closed; {lead} that only it has are given up")
        }
    };
    let report = Report::new("reopen", arguments);
    let report = Report { given_up: Some(given_up.clone()), ..report };
    if arguments.dry_run {
        return report.print(&format!("would reopen the old archive at {to}: {given_up}"));
    }
    let cause = Cause::new(site::operator(), reason);
    reopening.run(&cause, site::now(), alone)?;
    switch_over(site, database)?;
    made_roles(site, arguments.roles)?;
    let next = advice::command(&Advice::VerifyChecksums);
    report.print(&format!("the old archive at {to} is reopened: {given_up}\nnext: {next}"))
}

/// Finishes a migration whose configuration names the new place already.
fn there_already(site: &Site, arguments: &Arguments) -> anyhow::Result<()> {
    let to = &arguments.to;
    let (act, in_words) = match migrate::set_aside(&site.place)? {
        Some(_) if !site.place.is_embedded() => {
            let aside = archive::unfinished::MIGRATED;
            let in_words =
                format!("the archive is at {to} already; archive.db was set aside as {aside}");
            ("finish", in_words)
        }
        _ => ("none", format!("the archive is at {to} already")),
    };
    Report::new(act, arguments).print(&in_words)?;
    Ok(())
}

/// Makes the roles of a database to which the archive moved.
fn made_roles(site: &Site, are_wanted: bool) -> anyhow::Result<Exit> {
    let site = Site::find(Some(site.place.root().to_owned()))?;
    if are_wanted && !site.place.is_embedded() { super::init::roles(&site) } else { Ok(Exit::Done) }
}

/// Refuses while tasks run whose results only the old archive would take. An attempt whose process has ended, or whose lease has
/// expired, moves as it is: the next sweep takes its result or gives it up, wherever the archive is.
fn check_idle(site: &Site) -> anyhow::Result<()> {
    let now = site::now();
    match site.read().and_then(|archive| Ok(archive.running_attempts()?)) {
        Ok(running) if running.iter().all(|attempt| attempt.is_over(now)) => Ok(()),
        Ok(_) => Err(exit::conflict(
            "tasks are running on this site: wait for them, or run their steps again",
        )),
        // An interrupted migration closed the archive.
        Err(fault) if exit::is_moved(&fault) => Ok(()),
        Err(fault) => Err(fault),
    }
}

fn told(moved: &Moved, arguments: &Arguments) -> anyhow::Result<Exit> {
    let place = match arguments.to.as_str() {
        EMBEDDED => "archive.db and the lake",
        to => to,
    };
    let next = advice::command(&Advice::VerifyChecksums);
    if moved.was_copied {
        return Report::new("finish", arguments).print(&format!(
            "everything had been moved to {place} before; the site is switched over now\nnext: {next}"
        ));
    }
    let Moved { tables, rows, detections, .. } = moved;
    let report = Report {
        tables: Some(*tables),
        rows: Some(*rows),
        detections: Some(*detections),
        ..Report::new("move", arguments)
    };
    report.print(&format!(
        "moved {} rows of {} tables and {} detections to {place}; each was read back and is equal\nnext: {next}",
        grouped(*rows),
        grouped(*tables),
        grouped(*detections)
    ))
}
