//! `almagest migrate`.

use crate::config;
use crate::daemon::state;
use crate::exit::{self, Exit};
use crate::report::{grouped, quoted, say};
use crate::site::{self, Site};
use anyhow::Context;
use archive::{Database, Queue};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every row of every table moves under the same ids, events, refusals and staged batches too.
Each table is read back and must equal what was sent before the site is switched over; until
then nothing of the site changes. archive.db is kept as archive.db.migrated, the lake as it
is; remove both when you no longer want a way back.")]
pub struct Arguments {
    /// Empty database of a PostgreSQL server, see `init`.
    #[arg(long, value_name = "URL")]
    to: String,
    /// File of mode 0600 that holds the database's password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Moves the embedded archive of a site to a server.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let password_file = arguments.password_file.as_deref().map(std::path::absolute).transpose()?;
    let database = Database { url: Some(arguments.to.clone()), password_file };
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
    let moved = archive::migrate::to_server(&site.place, &database, site::now())?;
    let path = site.place.root().join(config::FILE_NAME);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    files::publish_bytes(&path, config::moved_to(&text, &database).as_bytes())?;
    for suffix in ["", "-wal", "-shm"] {
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
        arguments.to
    );
    say!("next: almagest --site {} verify --checksums", quoted(site.place.root()));
    Ok(Exit::Done)
}
