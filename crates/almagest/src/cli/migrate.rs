//! `almagest migrate`.

use crate::exit::{self, Exit};
use crate::report::{grouped, say};
use anyhow::Context;
use archive::records::Cause;
use archive::{Database, Inquiry, Queue};
use curate::advice;
use curate::config;
use curate::site::{self, Site};
use model::Advice;
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
staging/ is renamed. Fetch the nights again that only the lost place had.")]
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
            say!("the archive is at {} already", arguments.to);
            return Ok(Exit::Done);
        }
        there_already(&site, &arguments.to)?;
        drop(alone);
        return made_roles(&site, arguments.roles);
    }
    check_idle(&site)?;
    archive::check_server(&database)?;
    if arguments.dry_run {
        return would_move(&site, &database, &arguments.to);
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
    told(&moved, if is_back { "archive.db and the lake" } else { &arguments.to });
    say!("next: {}", advice::command(&Advice::VerifyChecksums));
    Ok(Exit::Done)
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
fn would_move(site: &Site, database: &Database, to: &str) -> anyhow::Result<Exit> {
    migrate::check_site(&site.place, database)?;
    match site.read().and_then(|archive| Ok(archive.status()?)) {
        Ok(status) => {
            migrate::check_target(&site.place, database)?;
            say!(
                "would move {} deliveries and {} events to {to}",
                grouped(status.deliveries.len() as u64),
                grouped(status.events.unsigned_abs())
            );
        }
        Err(fault) if exit::is_moved(&fault) => {
            say!("would finish the interrupted migration to {to}")
        }
        Err(fault) => return Err(fault),
    }
    Ok(Exit::Done)
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
    if arguments.dry_run {
        say!("would reopen the old archive at {to}: {given_up}");
        return Ok(Exit::Done);
    }
    let cause = Cause::new(site::operator(), reason);
    reopening.run(&cause, site::now(), alone)?;
    switch_over(site, database)?;
    made_roles(site, arguments.roles)?;
    say!("the old archive at {to} is reopened: {given_up}");
    say!("next: {}", advice::command(&Advice::VerifyChecksums));
    Ok(Exit::Done)
}

/// Finishes a migration whose configuration names the new place already.
fn there_already(site: &Site, to: &str) -> anyhow::Result<()> {
    match migrate::set_aside(&site.place)? {
        Some(_) if !site.place.is_embedded() => {
            say!(
                "the archive is at {to} already; archive.db was set aside as {}",
                archive::unfinished::MIGRATED
            )
        }
        _ => say!("the archive is at {to} already"),
    }
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

fn told(moved: &Moved, place: &str) {
    if moved.was_copied {
        return say!("everything had been moved to {place} before; the site is switched over now");
    }
    say!(
        "moved {} rows of {} tables and {} detections to {place}; each was read back and is equal",
        grouped(moved.rows),
        grouped(moved.tables),
        grouped(moved.detections)
    );
}
