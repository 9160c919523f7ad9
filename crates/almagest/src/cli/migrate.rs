//! `almagest migrate`.

use crate::advice;
use crate::config;
use crate::daemon::state;
use crate::exit::{self, Exit};
use crate::report::{grouped, say};
use crate::site::{self, Site};
use anyhow::Context;
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
then nothing of the site changes.

To a server: archive.db is kept as archive.db.migrated, the lake as it is; remove both when
you are sure. With --to embedded an archive on a server moves into the site; the database
stays as it is.")]
pub struct Arguments {
    /// Empty database of a PostgreSQL server, see `init`; or `embedded`.
    #[arg(long, value_name = "URL|embedded")]
    to: String,
    /// File of mode 0600 that holds the database's password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Moves the archive of a site to a server, or back into the site.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let password_file = arguments.password_file.as_deref().map(std::path::absolute).transpose()?;
    let is_back = arguments.to == EMBEDDED;
    let database = match is_back {
        true => Database::default(),
        false => Database { url: Some(arguments.to.clone()), password_file },
    };
    let directory = state::directory(&site.place.logs());
    files::create_dir(&directory)?;
    let Some(_lock) = files::lock_dir(&directory)? else {
        return Err(exit::conflict("an ingester works on this site: stop it first"));
    };
    if !site.read()?.running_attempts()?.is_empty() {
        return Err(exit::conflict(
            "tasks are running on this site: wait for them, or run their steps again",
        ));
    }
    archive::check_server(&database)?;
    let moved = match is_back {
        true => archive::migrate::to_embedded(&site.place, site::now())?,
        false => archive::migrate::to_server(&site.place, &database, site::now())?,
    };
    let path = site.place.root().join(config::FILE_NAME);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    files::publish_bytes(&path, config::moved_to(&text, &database).as_bytes())?;
    for suffix in ["", "-wal", "-shm"].into_iter().filter(|_| !is_back) {
        let old = site.place.root().join(format!("archive.db{suffix}"));
        let kept = site.place.root().join(format!("archive.db.migrated{suffix}"));
        if old.exists() {
            std::fs::rename(&old, kept)
                .with_context(|| format!("cannot rename {}", old.display()))?;
        }
    }
    say!(
        "moved {} rows of {} tables and {} detections to {}; each was read back and is equal",
        grouped(moved.rows),
        grouped(moved.tables),
        grouped(moved.detections),
        if is_back { "archive.db and the lake" } else { &arguments.to }
    );
    say!("next: {}", advice::command(&Advice::VerifyChecksums));
    Ok(Exit::Done)
}
