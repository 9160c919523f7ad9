//! `almagest verify`.

use super::dry_run::tell_dry_run;
use crate::exit::Exit;
use crate::report::{counted, grouped, say, shown, tell};
use archive::history::Cause;
use archive::library::Soundness;
use curate::advice;
use curate::note;
use curate::site::{self, Site};
use std::fmt::Write;
use std::path::PathBuf;
use upkeep::verify::{Group, Report, VerifyFinding};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {findings: [{code, message, repair}], groups: [{code, subject, count,
repair, commands, kinds}], checked: {WHAT: COUNT}}; with --repair also dry_run and repairs, a list
of sentences.")]
pub struct Arguments {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    /// Read every library and lake file, and compare checksums.
    #[arg(long)]
    checksums: bool,
    /// With --checksums: read only this percentage of the files, a different part every day.
    #[arg(long, value_name = "PERCENT", requires = "checksums", value_parser = clap::value_parser!(u8).range(1..=100))]
    sample: Option<u8>,
    /// With --checksums: read at most this many MB per second.
    #[arg(long, value_name = "MB", requires = "checksums")]
    bandwidth: Option<u64>,
    /// Repair what cannot lose data: remove files and tables that no event created, request lost previews again, take
    /// permissions that [files] umask forbids from the files of the site.
    #[arg(long)]
    repair: bool,
    /// Change nothing: only print what --repair would repair, and do not record which files are damaged.
    #[arg(long)]
    dry_run: bool,
}

/// Searches for everything that is not as it must be. Exit code 3 when something is found.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let options = upkeep::verify::Options {
        checksums: arguments.checksums,
        sample_percent: arguments.sample,
        sample: site::now().timestamp().unsigned_abs() / 86_400,
        bytes_per_second: arguments.bandwidth.map(|mb| mb * 1_000_000),
    };
    let mut report = upkeep::verify::verify(&site.read()?, options)?;
    tell_dry_run(arguments.dry_run && !arguments.json);
    if !arguments.dry_run {
        note_rot(&site, &report);
    }
    let mut repairs = Vec::new();
    if arguments.repair && !report.findings.is_empty() {
        let mut archive = site.write_or_rehearse(arguments.dry_run)?;
        let cause = Cause::new(site::operator(), "verify --repair");
        repairs = upkeep::verify::repair(&mut archive, &report, &cause, site::now())?;
        if !arguments.dry_run {
            report = upkeep::verify::verify(&archive, options)?;
        }
    }
    if arguments.repair {
        if !arguments.dry_run {
            site.open_log(curate::log::Writer::Commands);
        }
        repairs.extend(narrow(&site, arguments.dry_run));
    }
    for line in &repairs {
        if !arguments.dry_run {
            note!(INFO, "repaired", "{line}");
        }
        if !arguments.json {
            say!("{}", shown(line));
        }
    }
    print(&report, &repairs, arguments)?;
    Ok(if report.findings.is_empty() { Exit::Done } else { Exit::Gate })
}

/// Prints a report.
fn print(report: &Report, repairs: &[String], arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.json {
        let mut value = report.to_json();
        if arguments.repair {
            value["dry_run"] = arguments.dry_run.into();
            value["repairs"] = repairs.into();
        }
        say!("{}", crate::report::json(&value)?);
    } else {
        for line in report.checked() {
            say!("{line}");
        }
        if report.findings.is_empty() {
            say!("verified: nothing found");
        } else {
            for group in report.groups() {
                say!("\n{}", in_words(&group));
            }
        }
    }
    Ok(())
}

/// Returns a group of findings in words, with the command that repairs it.
fn in_words(group: &Group) -> String {
    let about =
        if group.subject.is_empty() { String::new() } else { format!(" of {}", group.subject) };
    let mut text = format!("{}: {}{about}\n", group.code, counted(group.count, "finding"));
    for example in &group.examples {
        let _ = writeln!(text, "  {}", shown(example));
    }
    let more = group.count - group.examples.len() as u64;
    if more > 0 {
        let _ = writeln!(text, "  … and {} more", grouped(more));
    }
    match group.commands.as_slice() {
        [] => text += &format!("  repair: {}", group.repair),
        commands => {
            text += &format!("  repair: {}:", group.repair);
            for command in commands {
                let _ = write!(text, "\n    {}", shown(&advice::command(command)));
            }
        }
    }
    text
}

/// Removes forbidden permissions from the files of the site, and returns a line about them; a dry run counts them. Files that
/// cannot be listed or changed are reported; files that work reported; files that work removes in the meantime are skipped.
fn narrow(site: &Site, is_dry_run: bool) -> Option<String> {
    let wide = match site.wide_permissions() {
        Ok(wide) => wide,
        Err(fault) => {
            tell!(ERROR, "permissions_not_read", "{fault:#}");
            return None;
        }
    };
    let mut narrowed = 0;
    for wide in wide {
        if is_dry_run {
            narrowed += 1;
            continue;
        }
        match files::narrow_permissions(&wide) {
            Ok(taken) => narrowed += u64::from(taken),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tell!(
                ERROR,
                "permissions_kept",
                "{} keeps its permissions {:04o}: {error}",
                wide.path.display(),
                wide.mode
            ),
        }
    }
    (narrowed > 0).then(|| format!("took forbidden permissions from {}", counted(narrowed, "path")))
}

/// Records which files of the library are damaged, so that `status` and `reconcile` know. A user who may only read is notified.
fn note_rot(site: &Site, report: &Report) {
    let found: Vec<(model::FileId, Soundness)> = report
        .findings
        .iter()
        .filter_map(|finding| match finding {
            VerifyFinding::LibraryFileContent { file_id, .. } => {
                Some((*file_id, Soundness::Corrupt))
            }
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return;
    }
    let noted = site.write().and_then(|mut a| Ok(a.note_soundness(&found, site::now())?));
    if let Err(fault) = noted {
        tell!(
            ERROR,
            "damage_not_noted",
            "damaged files could not be recorded in the archive: {fault:#}"
        );
    }
}
