//! `almagest backup` and `almagest restore`.

use super::init;
use crate::advice;
use crate::exit::{self, Exit};
use crate::report::{Table, bytes, grouped, say, say_part};
use crate::site::{Site, now};
use anyhow::Context;
use archive::backup::BackupReport;
use model::Advice;
use std::path::{Path, PathBuf};

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
}

/// Copies archive.db, the lake, configuration and profiles; others may work on the site meanwhile.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let target = &arguments.directory;
    if target.join("library").exists() {
        let message = format!("{} is a site, no directory for a backup", target.display());
        return Err(exit::usage(message));
    }
    let report = archive::backup::back_up(&site.place, target)?;
    copy_texts(site.place.root(), target)?;
    Ok(told(
        &report,
        "library/ and previews/ are not in it: the provider has the files, previews are made again",
    ))
}

/// Makes a site of a backup, or gives a site back the archive.db that it lost.
pub fn restore(arguments: &RestoreArguments) -> anyhow::Result<Exit> {
    let root = &arguments.site;
    let password_file = arguments.password_file.as_deref().map(std::path::absolute).transpose()?;
    let database = archive::Database { url: arguments.database.clone(), password_file };
    let report = archive::backup::restore(&arguments.backup, root, &database, now())?;
    copy_texts(&arguments.backup, root)?;
    if database.url.is_some() {
        // Where the archive was before is not where it is now.
        let config = crate::config::on_server(&database);
        files::publish_bytes(&root.join(crate::config::FILE_NAME), config.as_bytes())?;
    }
    init::lay_out(root, &database)?;
    // The lake's place in the database is corrected by the first that writes.
    Site::find(Some(root.clone()))?.write()?;
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

/// Configuration and survey profiles.
fn copy_texts(from: &Path, to: &Path) -> anyhow::Result<()> {
    files::create_dir(to)?;
    let surveys = std::fs::read_dir(from.join("surveys"))
        .with_context(|| format!("cannot list {}", from.join("surveys").display()))?;
    let names = surveys.flatten().map(|entry| Path::new("surveys").join(entry.file_name()));
    files::create_dir(&to.join("surveys"))?;
    for name in names.chain([PathBuf::from(crate::config::FILE_NAME)]) {
        let text = std::fs::read(from.join(&name))
            .with_context(|| format!("cannot read {}", from.join(&name).display()))?;
        files::publish_bytes(&to.join(&name), &text)?;
    }
    Ok(())
}
