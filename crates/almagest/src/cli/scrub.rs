//! `almagest scrub`.

use super::ScopeArguments;
use super::dry_run::tell_dry_run;
use super::soundness::compare;
use crate::exit::Exit;
use crate::report::{bytes, say, shown};
use archive::library::{Holding, Soundness};
use curate::advice;
use curate::scope::chosen;
use curate::site::{self, Site};
use model::Advice;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use transfer::Pace;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {dry_run, files, bytes, of_files, unsound: [{file, path, found}]}.")]
pub struct Arguments {
    #[command(flatten)]
    of: ScopeArguments,
    /// Read at most this many MB per second; 0 = no limit [default: scrub_mb_per_second of almagest.toml].
    #[arg(long, value_name = "MB")]
    mb_per_second: Option<f64>,
    /// Stop after this many hours; the next scrub continues with the files read least recently.
    #[arg(long, value_name = "HOURS")]
    hours: Option<f64>,
    /// Read and report, but record nothing.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Maximum interval between two records of the results.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// Re-reads the library, beginning with the files that were not read for longest. Exit code 3 when something is not sound.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write_or_rehearse(arguments.dry_run)?;
    let deliveries = chosen(&archive, &arguments.of.scope())?;
    let limit = arguments.mb_per_second.unwrap_or(site.config.library.scrub_mb_per_second);
    let (pace, stop) = (Pace::new(limit * 1e6), curate::loops::stop_flag()?);
    let until =
        arguments.hours.map(|h| Instant::now() + Duration::from_secs_f64(h.max(0.0) * 3600.0));
    let mut holdings = archive.holdings(None)?;
    holdings.retain(|h| deliveries.contains(&h.delivery));
    let (all, mut noted) = (holdings.len(), Instant::now());
    let (mut found, mut unsound) = (Vec::new(), Vec::new());
    let (mut read_files, mut read_bytes) = (0_u64, 0_u64);
    for holding in &holdings {
        if stop.load(Ordering::Relaxed) || until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let soundness = compare(&site.place.library_file(&holding.path), holding, &pace);
        (read_files, read_bytes) = (read_files + 1, read_bytes + holding.bytes);
        found.push((holding.file_id, soundness));
        if soundness != Soundness::Intact {
            unsound.push((holding, soundness));
        }
        if noted.elapsed() > NOTE_EVERY {
            archive.note_soundness(&found, site::now())?;
            found.clear();
            noted = Instant::now();
        }
    }
    archive.note_soundness(&found, site::now())?;
    let name = |h: &Holding| format!("{}/{}", h.delivery, h.name);
    if arguments.json {
        let unsound: Vec<_> = unsound
            .iter()
            .map(|(h, s)| serde_json::json!({"file": name(h), "path": h.path, "found": s.name()}))
            .collect();
        let report = serde_json::json!({
            "dry_run": arguments.dry_run, "files": read_files, "bytes": read_bytes, "of_files": all, "unsound": unsound
        });
        say!("{}", crate::report::json(&report)?);
    } else {
        tell_dry_run(arguments.dry_run);
        say!(
            "read {} of {} files, {}: {} damaged or missing",
            read_files,
            all,
            bytes(read_bytes),
            unsound.len()
        );
        for (holding, soundness) in &unsound {
            say!("{}: {} ({})", soundness.name(), shown(&name(holding)), shown(&holding.path));
        }
        if !unsound.is_empty() {
            say!("fetch them again: {}", advice::command(&Advice::ReconcileSource));
        }
    }
    Ok(match () {
        () if stop.load(Ordering::Relaxed) => Exit::Interrupted,
        () if unsound.is_empty() => Exit::Done,
        () => Exit::Gate,
    })
}
