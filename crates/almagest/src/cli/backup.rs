//! `almagest backup`.

use super::dry_run::tell_dry_run;
use crate::exit::{self, Exit};
use crate::report::{Table, bytes, grouped, say, say_part};
use anyhow::Context;
use curate::config;
use curate::site::Site;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use upkeep::backup::BackupReport;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {dry_run, copied, kept, bytes, damaged: [NAME]}. In a dry run the bytes of
an archive on a server are not known, and 0.")]
pub struct Arguments {
    /// Directory of the backup; unchanged files of an earlier backup are not copied again.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Only print what would be copied.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Copies archive.db, the lake, configuration and profiles; other processes may work on the site meanwhile.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let target = &arguments.directory;
    if target.join("library").exists() {
        let message = format!("{} is a site, not a directory for a backup", target.display());
        return Err(exit::usage(message));
    }
    let report = match arguments.dry_run {
        true => upkeep::backup::prospect(&site.place, target)?,
        false => upkeep::backup::back_up(&site.place, target)?,
    };
    let surveys = surveys(site.place.root())?;
    let config = read(&site.place.config())?;
    if !arguments.dry_run {
        write_surveys(&surveys, target)?;
        files::publish_bytes(&target.join(config::FILE_NAME), config.as_bytes())?;
    }
    if arguments.json {
        return told_as_json(&report, arguments.dry_run);
    }
    tell_dry_run(arguments.dry_run);
    Ok(told(
        &report,
        "library/ and previews/ are not included: the provider has the files, and previews can be recreated",
    ))
}

/// Prints the report of a backup or restore; `last` is the line after it.
pub fn told(report: &BackupReport, last: &str) -> Exit {
    let mut table = Table::new(["files copied", "kept", "size"]);
    table.row([grouped(report.copied), grouped(report.kept), bytes(report.bytes)]);
    say_part!("{}", table.text());
    for name in &report.damaged {
        say!("DAMAGED {name}: missing, or not as it was published");
    }
    say!("{last}");
    exit_of(report)
}

/// Prints the report of a backup or restore as one JSON object.
pub fn told_as_json(report: &BackupReport, is_dry_run: bool) -> anyhow::Result<Exit> {
    let BackupReport { copied, kept, bytes, damaged } = report;
    let value = serde_json::json!({
        "dry_run": is_dry_run, "copied": copied, "kept": kept, "bytes": bytes, "damaged": damaged
    });
    say!("{}", crate::report::json(&value)?);
    Ok(exit_of(report))
}

fn exit_of(report: &BackupReport) -> Exit {
    if report.damaged.is_empty() { Exit::Done } else { Exit::Gate }
}

/// A survey profile: file name and text.
type Survey = (OsString, Vec<u8>);

/// Writes survey profiles below a directory.
pub fn write_surveys(surveys: &[Survey], to: &Path) -> anyhow::Result<()> {
    let to = to.join("surveys");
    files::create_dir(&to)?;
    for (name, text) in surveys {
        files::publish_bytes(&to.join(name), text)?;
    }
    Ok(())
}

/// Reads all survey profiles below a directory: one that cannot be listed or read is an error.
pub fn surveys(from: &Path) -> anyhow::Result<Vec<Survey>> {
    let from = from.join("surveys");
    let listing = || format!("cannot list {}", from.display());
    let mut surveys = Vec::new();
    for entry in std::fs::read_dir(&from).with_context(listing)? {
        let path = entry.with_context(listing)?.path();
        let Some(name) = path.file_name() else { continue };
        // Only files belong there; links are followed, as in reading `surveys/`.
        if !std::fs::metadata(&path).with_context(|| cannot_read(&path))?.is_file() {
            continue;
        }
        let text = std::fs::read(&path).with_context(|| cannot_read(&path))?;
        surveys.push((name.to_owned(), text));
    }
    Ok(surveys)
}

/// Returns the text of a file.
pub fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| cannot_read(path))
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}
