//! `almagest backup` and `almagest restore`.

use super::init;
use crate::exit::{self, Exit};
use crate::report::{Table, bytes, grouped, say, say_part};
use anyhow::Context;
use curate::advice;
use curate::config;
use curate::site::{Site, now};
use model::Advice;
use std::path::{Path, PathBuf};
use upkeep::backup::{BackupReport, Restoration};

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory of the backup; what is in it from an earlier one is not copied again.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArguments {
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
    /// Make the roles of the database afterwards, as `init --roles` does: a backup holds none, and `sql` needs them.
    #[arg(long, requires = "database")]
    roles: bool,
}

/// Copies archive.db, the lake, configuration and profiles; other processes may work on the site meanwhile.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let target = &arguments.directory;
    if target.join("library").exists() {
        let message = format!("{} is a site, no directory for a backup", target.display());
        return Err(exit::usage(message));
    }
    let report = upkeep::backup::back_up(&site.place, target)?;
    copy_texts(site.place.root(), target)?;
    Ok(told(
        &report,
        "library/ and previews/ are not in it: the provider has the files, previews are made again",
    ))
}

/// Makes a site from a backup, or restores the archive.db that a site lost.
pub fn restore(arguments: &RestoreArguments) -> anyhow::Result<Exit> {
    let root = &arguments.site;
    let password_file = arguments.password_file.as_deref().map(std::path::absolute).transpose()?;
    let database =
        archive::Database { url: arguments.database.clone(), password_file, ..Default::default() };
    files::create_dir(root)?;
    let alone = upkeep::migrate::Alone::on(&archive::Site::at(root)?)?;
    let restoration = Restoration::begin(&arguments.backup, root, &database, arguments.roles)?;
    // The archive is restored last: a site without it is recognized as incomplete.
    copy_surveys(&arguments.backup, root)?;
    let config = read(&arguments.backup.join(config::FILE_NAME))?;
    // The restored archive may be at another place than the original.
    let config = config::moved_to(&config, &database);
    files::publish_bytes(&root.join(config::FILE_NAME), config.as_bytes())?;
    init::lay_out(root, &database)?;
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
    advice::note_site(Some(root));
    Ok(told(&report, &format!("next: {}", advice::command(&Advice::Verify))))
}

fn told(report: &BackupReport, last: &str) -> Exit {
    let mut table = Table::new(["files copied", "there already", "size"]);
    table.row([grouped(report.copied), grouped(report.kept), bytes(report.bytes)]);
    say_part!("{}", table.text());
    for name in &report.damaged {
        say!("DAMAGED {name}: missing, or not as it was published");
    }
    say!("{last}");
    if report.damaged.is_empty() { Exit::Done } else { Exit::Gate }
}

/// Copies the configuration and the survey profiles.
fn copy_texts(from: &Path, to: &Path) -> anyhow::Result<()> {
    copy_surveys(from, to)?;
    let config = read(&from.join(config::FILE_NAME))?;
    files::publish_bytes(&to.join(config::FILE_NAME), config.as_bytes())?;
    Ok(())
}

/// Copies all survey profiles: one that cannot be listed or read is an error.
fn copy_surveys(from: &Path, to: &Path) -> anyhow::Result<()> {
    let (from, to) = (from.join("surveys"), to.join("surveys"));
    let listing = || format!("cannot list {}", from.display());
    files::create_dir(&to)?;
    for entry in std::fs::read_dir(&from).with_context(listing)? {
        let path = entry.with_context(listing)?.path();
        let Some(name) = path.file_name() else { continue };
        // Only files belong there; links are followed, as in reading `surveys/`.
        if !std::fs::metadata(&path).with_context(|| cannot_read(&path))?.is_file() {
            continue;
        }
        let text = std::fs::read(&path).with_context(|| cannot_read(&path))?;
        files::publish_bytes(&to.join(name), &text)?;
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| cannot_read(path))
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}
