//! Telling people of trouble: once for each, and once more when it went away and came back.

use super::arrivals;
use crate::exit::Exit;
use crate::report::{bytes, counted, shown, tell};
use crate::site::{self, Site};
use archive::records::{RefusalFilter, RefusalState};
use archive::{Inquiry, Timestamp};
use dispatch::command::{Programs, System};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The longest that a program, or curl, may take.
const PATIENCE: Duration = Duration::from_secs(30);
const FILE: &str = "notified.json";
/// A source that is away for less is its own affair.
const AWAY_MINUTES: i64 = 10;

/// Something that people should know of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Notice {
    /// Tells it from others: it is told once while it lasts.
    pub key: String,
    /// `refusals`, `stuck`, `failed`, `source`, `library` or `disk`.
    pub kind: String,
    /// One or two sentences.
    pub message: String,
}

fn notice(kind: &str, key: String, message: String) -> Notice {
    Notice { key: format!("{kind}/{key}"), kind: kind.to_owned(), message }
}

/// Runs until a signal ends it; at once, when nobody is to be told.
///
/// # Errors
/// Never: what cannot be looked at or told now is tried again.
pub fn watch(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<Exit> {
    let config = &site.config.notify;
    if config.command.is_empty() && config.webhook.is_empty() {
        return Ok(Exit::Done);
    }
    let path = site.place.logs().join(FILE);
    while !stop.load(Ordering::Relaxed) {
        if let Ok(notices) = look(site, site::now()) {
            tell_new(site, &path, &notices);
        }
        super::sleep(LOOK_EVERY, stop);
    }
    Ok(Exit::Done)
}

/// What is amiss now.
fn look(site: &Site, now: Timestamp) -> anyhow::Result<Vec<Notice>> {
    let config = &site.config.notify;
    let archive = site.read()?;
    let mut notices = Vec::new();
    let filter = RefusalFilter { state: Some(RefusalState::Open), ..RefusalFilter::default() };
    let mut refusals: BTreeMap<(String, String), (u64, String)> = BTreeMap::new();
    for refusal in archive.refusals(&filter)?.into_iter().filter(|r| !r.refusal.parked) {
        let key = (refusal.delivery, refusal.refusal.code);
        let counted = refusals.entry(key).or_insert((0, refusal.refusal.message));
        counted.0 += 1;
    }
    for ((delivery, code), (count, example)) in refusals {
        let message =
            format!("{delivery}: {} with {code}, e.g. {example}", counted(count, "refusal"));
        notices.push(notice("refusals", format!("{delivery}/{code}"), message));
    }
    let status = archive.status()?;
    if status.unsound_files > 0 {
        let message = format!(
            "{} of the library are rotten or lost: almagest reconcile",
            counted(status.unsound_files, "file")
        );
        notices.push(notice("library", "unsound".to_owned(), message));
    }
    notices.extend(away(site, now));
    let hours_since = |since: &str| {
        let since: Option<Timestamp> = since.parse().ok();
        since.map_or(0.0, |s| (now - s).num_seconds() as f64 / 3600.0)
    };
    for delivery in status.deliveries {
        let waited = hours_since(&delivery.last_arrival);
        if let Some(awaited) = &delivery.awaited
            && waited > config.stuck_hours
            && config.stuck_hours > 0.0
        {
            let name = &delivery.name;
            let message = format!("nothing of {name} came for {waited:.1} h: {awaited}");
            notices.push(notice("stuck", format!("{name}/arriving"), message));
        }
        for round in delivery.rounds {
            let unit = format!("{}/{} round {}", delivery.name, round.use_case, round.round);
            let hours = hours_since(&round.since);
            match round.state.as_str() {
                "failed" => notices.push(notice(
                    "failed",
                    unit.clone(),
                    format!("{unit} failed: {}", round.why),
                )),
                "ingested" | "retracted" => {}
                state if hours > config.stuck_hours && config.stuck_hours > 0.0 => {
                    let tasks = format!("{} of {} tasks", round.tasks_over, round.tasks);
                    let message = format!("{unit} is {state} for {hours:.1} h, {tasks} done");
                    notices.push(notice("stuck", format!("{unit}/{state}"), message));
                }
                _ => {}
            }
        }
    }
    let root = site.place.root();
    let message = match files::free_bytes(root) {
        Ok(free) if free >= config.low_disk_gb * 1_000_000_000 => None,
        Ok(free) => Some(format!("{} are free on the disk of {}", bytes(free), root.display())),
        Err(fault) => Some(format!("the disk of {} cannot be queried: {fault}", root.display())),
    };
    if let Some(message) = message {
        notices.push(notice("disk", root.display().to_string(), message));
    }
    Ok(notices)
}

/// Sources that could not be read for a while.
fn away(site: &Site, now: Timestamp) -> Vec<Notice> {
    let state = arrivals::read(&site.place.logs()).filter(arrivals::State::is_alive);
    let sources = state.map(|state| state.sources).unwrap_or_default();
    let away = |(name, source): (String, arrivals::SourceState)| {
        let since: Timestamp = source.away_since?.parse().ok()?;
        let minutes = (now - since).num_minutes();
        let message = format!("{name} cannot be read for {minutes} min: {}", source.fault?);
        (minutes >= AWAY_MINUTES).then(|| notice("source", name, message))
    };
    sources.into_iter().filter_map(away).collect()
}

/// Tells what was not told yet, and forgets what went away.
fn tell_new(site: &Site, path: &Path, notices: &[Notice]) {
    let mut told: BTreeSet<String> = std::fs::read(path)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let before = told.clone();
    told.retain(|key| notices.iter().any(|n| n.key == *key));
    for notice in notices {
        if !told.contains(&notice.key) && is_sent(site, notice) {
            told.insert(notice.key.clone());
        }
    }
    if told != before {
        let text = serde_json::to_vec_pretty(&told).unwrap_or_default();
        if let Err(fault) = files::publish_bytes(path, &text) {
            tell!("almagest: {}", shown(&fault.to_string()));
        }
    }
}

/// Whether everybody who is to know has been told.
fn is_sent(site: &Site, notice: &Notice) -> bool {
    let config = &site.config.notify;
    let object = serde_json::json!({
        "site": site.place.root(),
        "kind": notice.kind,
        "key": notice.key,
        "message": notice.message,
    });
    let object = object.to_string();
    let system = System::with(&[], &[("LC_ALL", "C")], PATIENCE);
    let mut is_sent = true;
    let mut ask = |program: &str, words: &[String]| {
        let why = match system.ask(program, words, &object) {
            Ok(answer) if answer.is_ok() => return,
            Ok(answer) => answer.complaint(),
            Err(none) => none.to_string(),
        };
        tell!("almagest: nobody could be told: {program}: {}", shown(&why));
        is_sent = false;
    };
    if let Some((program, words)) = config.command.split_first() {
        let program = match Path::new(program) {
            path if path.components().count() > 1 => site.place.root().join(path),
            path => PathBuf::from(path),
        };
        ask(&program.to_string_lossy(), words);
    }
    if !config.webhook.is_empty() {
        let words = [
            "--silent",
            "--show-error",
            "--fail",
            "--max-time",
            "20",
            "--header",
            "Content-Type: application/json",
            "--data-binary",
            "@-",
        ];
        let mut words: Vec<String> = words.map(str::to_owned).to_vec();
        words.extend(["--".to_owned(), config.webhook.clone()]);
        ask("curl", &words);
    }
    is_sent
}
