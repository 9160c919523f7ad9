//! `almagest migrate`.

use crate::advice;
use crate::config;
use crate::exit::{self, Exit};
use crate::report::{grouped, say};
use crate::site::{self, Site};
use anyhow::Context;
use archive::migrate::{self, Alone, Moved};
use archive::{Database, Queue};
use model::Advice;
use std::path::PathBuf;

/// What `--to` names an archive in the site itself.
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
keeps all it has. The old archive is closed: whoever still has it open is told the new place.")]
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
}

/// Moves the archive of a site to a server, or back into the site.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let password_file = arguments.password_file.as_deref().map(std::path::absolute).transpose()?;
    let is_back = arguments.to == EMBEDDED;
    let database = match is_back {
        true => Database::default(),
        false => Database { url: Some(arguments.to.clone()), password_file, ..Database::default() },
    };
    let alone = Alone::on(&site.place)?;
    if site.config.database.url == database.url {
        there_already(&site, &arguments.to)?;
        drop(alone);
        return made_roles(&site, arguments.roles);
    }
    check_idle(&site)?;
    archive::check_server(&database)?;
    let moved = match is_back {
        true => migrate::to_embedded(&site.place, site::now(), &alone)?,
        false => migrate::to_server(&site.place, &database, site::now(), &alone)?,
    };
    let path = site.place.root().join(config::FILE_NAME);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    files::publish_bytes(&path, config::moved_to(&text, &database).as_bytes())?;
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

/// Ends a migration whose configuration names the new place already.
fn there_already(site: &Site, to: &str) -> anyhow::Result<()> {
    match migrate::set_aside(&site.place)? {
        Some(_) if !site.place.is_embedded() => {
            say!(
                "the archive is at {to} already; archive.db was set aside as {}",
                migrate::MIGRATED
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

/// Refuses while tasks run whose results only the old archive would take.
fn check_idle(site: &Site) -> anyhow::Result<()> {
    match site.read().and_then(|archive| Ok(archive.running_attempts()?)) {
        Ok(running) if running.is_empty() => Ok(()),
        Ok(_) => Err(exit::conflict(
            "tasks are running on this site: wait for them, or run their steps again",
        )),
        // An interrupted migration closed it.
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
