//! `almagest backup`.

use crate::exit::{self, Exit};
use crate::report::{Table, bytes, grouped, say, say_part};
use anyhow::Context;
use curate::config;
use curate::site::Site;
use std::path::{Path, PathBuf};
use upkeep::backup::BackupReport;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory of the backup; what is in it from an earlier one is not copied again.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
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

/// Prints the report of a backup or restore; `last` is the line after it.
pub fn told(report: &BackupReport, last: &str) -> Exit {
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
pub fn copy_surveys(from: &Path, to: &Path) -> anyhow::Result<()> {
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

/// Returns the text of a file.
pub fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| cannot_read(path))
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}
