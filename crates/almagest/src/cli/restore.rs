//! `almagest restore`.

use super::backup::{read, surveys, told, told_as_json, write_surveys};
use super::dry_run::tell_dry_run;
use super::init;
use crate::exit::Exit;
use anyhow::Context;
use curate::advice;
use curate::config;
use curate::site::{Site, now};
use model::Advice;
use std::path::{Path, PathBuf};
use upkeep::backup::{BackupReport, Restoration};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {dry_run, copied, kept, bytes, damaged: [NAME]}.")]
pub struct Arguments {
    /// Directory of a backup.
    #[arg(value_name = "DIR")]
    backup: PathBuf,
    /// Site to make, or one whose archive.db is lost.
    #[arg(value_name = "SITE")]
    site: PathBuf,
    /// Empty database for the backup of an archive on a server; see `init`.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// File of mode 0600 that holds the database's password.
    #[arg(long, value_name = "FILE", requires = "database")]
    password_file: Option<PathBuf>,
    /// Make the roles of the database afterwards, as `init --roles` does: a backup contains no roles, and `sql` needs them.
    #[arg(long, requires = "database")]
    roles: bool,
    /// Only print what would be restored.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long, conflicts_with = "roles")]
    json: bool,
}

/// Makes a site from a backup, or restores the archive.db that a site lost.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let root = &arguments.site;
    let password_file = arguments.password_file.as_deref().map(std::path::absolute).transpose()?;
    let database =
        archive::Database { url: arguments.database.clone(), password_file, ..Default::default() };
    if arguments.dry_run {
        return would_restore(arguments, &database);
    }
    files::create_dir(root).with_context(|| format!("cannot make {}", root.display()))?;
    let alone = upkeep::migrate::Alone::on(&archive::Site::at(root)?)?;
    let restoration = Restoration::begin(&arguments.backup, root, &database, arguments.roles)?;
    let config = configuration(&arguments.backup, &database)?;
    // The archive is restored last: a site without it is recognized as incomplete.
    let profiles = surveys(&arguments.backup)?;
    write_surveys(&profiles, root)?;
    files::publish_bytes(&root.join(config::FILE_NAME), config.as_bytes())?;
    // The site has the profiles that it had: others may contradict them.
    let missing = if profiles.is_empty() { model::profile::shipped() } else { &[] };
    init::lay_out(root, &database, missing)?;
    files::crash_point("restore:laid-out");
    let report = restoration.run(now())?;
    drop(alone);
    // The first process that writes corrects the lake's place in the database.
    let site = Site::find(Some(root.clone()))?;
    drop(site.write()?);
    if arguments.roles {
        init::roles(&site)?;
    }
    files::crash_point("restore:opened");
    restoration.end()?;
    print(&report, arguments)
}

/// Prints what a restore would copy, after its checks.
fn would_restore(arguments: &Arguments, database: &archive::Database) -> anyhow::Result<Exit> {
    let Arguments { backup, site, roles, .. } = arguments;
    files::may_create_dir(site).with_context(|| format!("cannot make {}", site.display()))?;
    let _alone = match site.exists() {
        true => Some(upkeep::migrate::Alone::on(&archive::Site::at(site)?)?),
        false => None,
    };
    let report = Restoration::prospect(backup, site, database, *roles)?;
    configuration(backup, database)?;
    surveys(backup)?;
    print(&report, arguments)
}

/// Returns the configuration of a restored site: that of the backup, with the database to which it is restored. It is
/// checked before anything is copied.
fn configuration(backup: &Path, database: &archive::Database) -> anyhow::Result<String> {
    let config = config::moved_to(&read(&backup.join(config::FILE_NAME))?, database);
    config::check_text(&config)?;
    Ok(config)
}

fn print(report: &BackupReport, arguments: &Arguments) -> anyhow::Result<Exit> {
    if arguments.json {
        return told_as_json(report, arguments.dry_run);
    }
    tell_dry_run(arguments.dry_run);
    advice::note_site(Some(&arguments.site));
    Ok(told(report, &format!("next: {}", advice::command(&Advice::Verify))))
}
