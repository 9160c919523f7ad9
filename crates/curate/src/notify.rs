//! Notification of operators about failures: once for each, and again when it recurs after it had passed.

use super::arrivals;
use crate::log::{note, tell};
use crate::site::{self, Site};
use crate::words::{bytes, counted};
use archive::deliveries::DeliveryState;
use archive::products::kept::{KeptProduct, Lack};
use archive::refusals::{RefusalFilter, RefusalState};
use archive::status::Status;
use archive::{Reader, Timestamp};
use dispatch::command::{Programs, System};
use model::{Advice, DeliveryName, ReportCode, UnitState};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const POLL_INTERVAL: Duration = Duration::from_secs(10);
/// Longest time that a program, or curl, may take.
const TIMEOUT: Duration = Duration::from_secs(30);
const FILE: &str = "notified.json";
/// File with the reason why notifications fail, while the failure lasts.
const FAULT: &str = "notify-fault.txt";
/// Minutes for which an unreachable source is not reported.
const AWAY_MINUTES: i64 = 10;

/// A condition that operators should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Notice {
    /// Key of the condition: a condition is reported once while it lasts.
    pub key: String,
    /// Kind of the condition.
    pub kind: NoticeKind,
    /// One or two sentences.
    pub message: String,
}

/// The kind of a condition that operators should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Open refusals of one code in a delivery.
    Refusals,
    /// Older products that stay current despite a newer frame.
    Kept,
    /// A delivery or round that makes no progress.
    Stuck,
    /// A failed round.
    Failed,
    /// An unreachable source.
    Source,
    /// Damaged or lost files of the library.
    Library,
    /// A disk that is almost full.
    Disk,
}

impl NoticeKind {
    /// Returns the name in keys and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refusals => "refusals",
            Self::Kept => "kept",
            Self::Stuck => "stuck",
            Self::Failed => "failed",
            Self::Source => "source",
            Self::Library => "library",
            Self::Disk => "disk",
        }
    }
}

fn notice(kind: NoticeKind, key: String, message: String) -> Notice {
    Notice { key: format!("{}/{key}", kind.name()), kind, message }
}

/// Runs until a signal ends it; returns immediately when no notification is configured.
///
/// # Errors
/// Never: conditions that cannot be checked or sent now are reported, kept for `status` and `doctor`, and retried.
pub fn watch(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let config = &site.config.notify;
    if config.command.is_empty() && config.webhook.is_empty() {
        return Ok(());
    }
    let path = site.place.logs().join(FILE);
    let mut known = None;
    while !stop.load(Ordering::Relaxed) {
        let fault = match conditions(site, site::now()) {
            Ok(notices) => tell_new(site, &path, &notices),
            Err(fault) => Some(format!("the site cannot be examined: {fault:#}")),
        };
        note_fault(site, fault.as_deref(), &mut known);
        crate::loops::sleep(POLL_INTERVAL, stop);
    }
    Ok(())
}

/// Reads the reason why notifications fail, as the daemon recorded it. A record that cannot be read is a reason too.
pub fn fault(site: &Site) -> Option<String> {
    let path = site.place.logs().join(FAULT);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text.trim_end().to_owned()).filter(|text| !text.is_empty()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(format!("cannot read {}: {error}", path.display())),
    }
}

/// Reports a fault when it differs from the previous one, and keeps it as long as it lasts.
fn note_fault(site: &Site, fault: Option<&str>, known: &mut Option<String>) {
    if known.as_deref() == fault && known.is_some() {
        return;
    }
    let path = site.place.logs().join(FAULT);
    let written = match fault {
        Some(fault) => {
            tell!(ERROR, "notify_failed", "notifications fail and are retried: {fault}");
            let published = files::publish_bytes(&path, format!("{fault}\n").as_bytes());
            published.map(|_| ()).map_err(|f| f.to_string())
        }
        None => match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        },
    };
    if let Err(fault) = written {
        tell!(ERROR, "notify_fault_not_noted", "{}: {fault}", path.display());
    }
    *known = fault.map(str::to_owned);
}

/// Returns the present conditions.
fn conditions(site: &Site, now: Timestamp) -> anyhow::Result<Vec<Notice>> {
    let config = &site.config.notify;
    let archive = site.read()?;
    let mut notices = Vec::new();
    let filter = RefusalFilter { state: Some(RefusalState::Open), ..RefusalFilter::default() };
    let mut refusals: BTreeMap<(DeliveryName, ReportCode), (u64, String)> = BTreeMap::new();
    for refusal in archive.refusals(&filter)?.into_iter().filter(|r| !r.refusal.parked) {
        let key = (refusal.delivery, refusal.refusal.code);
        let counted = refusals.entry(key).or_insert((0, refusal.refusal.message));
        counted.0 += 1;
    }
    for ((delivery, code), (count, example)) in refusals {
        let message =
            format!("{delivery}: {} with {code}, e.g. {example}", counted(count, "refusal"));
        notices.push(notice(NoticeKind::Refusals, format!("{delivery}/{code}"), message));
    }
    let status = archive.status()?;
    if status.unsound_files > 0 {
        let message = format!(
            "{} of the library damaged or lost: {}",
            counted(status.unsound_files, "file"),
            Advice::Reconcile
                .command(&["--site".to_owned(), site.place.root().display().to_string()])
        );
        notices.push(notice(NoticeKind::Library, "unsound".to_owned(), message));
    }
    notices.extend(kept(site, &archive, &status)?);
    notices.extend(away(site, now));
    let hours_since = |since: Timestamp| (now - since).num_seconds() as f64 / 3600.0;
    for delivery in status.deliveries {
        let waited = hours_since(delivery.last_arrival);
        if let Some(awaited) = &delivery.awaited
            && waited > config.stuck_hours
            && config.stuck_hours > 0.0
        {
            let name = &delivery.name;
            let message = format!("no file of {name} arrived for {waited:.1} h: {awaited}");
            notices.push(notice(NoticeKind::Stuck, format!("{name}/arriving"), message));
        }
        for round in delivery.rounds {
            let unit = format!("{}/{} round {}", delivery.name, round.use_case, round.round);
            let hours = hours_since(round.since);
            match round.state {
                UnitState::Failed => notices.push(notice(
                    NoticeKind::Failed,
                    unit.clone(),
                    format!("{unit} failed: {}", round.why),
                )),
                UnitState::Ingested | UnitState::Retracted => {}
                state if hours > config.stuck_hours && config.stuck_hours > 0.0 => {
                    let tasks = format!("{} of {} tasks", round.tasks_over, round.tasks);
                    let message = format!("{unit} is {state} for {hours:.1} h, {tasks} done");
                    notices.push(notice(NoticeKind::Stuck, format!("{unit}/{state}"), message));
                }
                _ => {}
            }
        }
    }
    let root = site.place.root();
    let message = match files::free_bytes(root) {
        Ok(free) if free < config.low_disk_gb * 1_000_000_000 => {
            Some(format!("{} are free on the disk of {}", bytes(free), root.display()))
        }
        Ok(_) => None,
        Err(fault) => Some(format!("the disk of {} cannot be queried: {fault}", root.display())),
    };
    notices.extend(
        message.map(|message| notice(NoticeKind::Disk, root.display().to_string(), message)),
    );
    Ok(notices)
}

/// Returns a notice per newer delivery, product and cause for products of older frames that stay current. Products whose
/// replacement is under way have none: those of deliveries that are arriving, and of rounds that are not ingested.
fn kept(site: &Site, archive: &Reader, status: &Status) -> anyhow::Result<Vec<Notice>> {
    if status.kept_products == 0 {
        return Ok(Vec::new());
    }
    let is_arriving = |name: &DeliveryName| {
        status.deliveries.iter().any(|d| d.name == *name && d.state == DeliveryState::Arriving)
    };
    let mut groups: BTreeMap<(DeliveryName, &str, &str), (u64, KeptProduct)> = BTreeMap::new();
    for kept in archive.kept_products(None)? {
        let is_expected = matches!(kept.why, Lack::Pending | Lack::Retracted);
        if !is_expected && !is_arriving(&kept.newer_delivery) {
            let key = (kept.newer_delivery.clone(), kept.use_case.name(), kept.why.name());
            groups.entry(key).or_insert((0, kept)).0 += 1;
        }
    }
    let command = |newer: &DeliveryName| {
        let findings = Advice::FindingsOf { delivery: newer.clone() };
        findings.command(&["--site".to_owned(), site.place.root().display().to_string()])
    };
    let notices = groups.into_iter().map(|((newer, use_case, why), (count, example))| {
        let product = example.product();
        let what = match example.is_of_own_catalogue() {
            true => format!("older {product} of {}", counted(count, "frame")),
            false => format!("{product} of {}", counted(count, "older frame")),
        };
        let message = format!("{newer}: {what} kept ({why}), e.g. {example}: {}", command(&newer));
        notice(NoticeKind::Kept, format!("{newer}/{use_case}/{why}"), message)
    });
    Ok(notices.collect())
}

/// Returns a notice for each source that has been unreachable for a while.
fn away(site: &Site, now: Timestamp) -> Vec<Notice> {
    let state = arrivals::read(&site.place.logs()).filter(arrivals::ArrivalsStatus::is_alive);
    let sources = state.map(|state| state.sources).unwrap_or_default();
    let away = |(name, source): (String, arrivals::SourceState)| {
        let since = source.away_since?.get();
        let minutes = (now - since).num_minutes();
        let message = format!("{name} cannot be read for {minutes} min: {}", source.fault?);
        (minutes >= AWAY_MINUTES).then(|| notice(NoticeKind::Source, name, message))
    };
    sources.into_iter().filter_map(away).collect()
}

/// Sends the new notices, and forgets the conditions that passed. Returns the reason when that failed.
fn tell_new(site: &Site, path: &Path, notices: &[Notice]) -> Option<String> {
    let mut told: BTreeSet<String> = match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|fault| {
            let path = path.display();
            tell!(ERROR, "notified_lost", "{path}: {fault}: current conditions are sent again");
            BTreeSet::new()
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => BTreeSet::new(),
        // Without the file every notice would be sent again, every time.
        Err(error) => return Some(format!("cannot read {}: {error}", path.display())),
    };
    let (before, mut faults) = (told.clone(), Vec::new());
    told.retain(|key| notices.iter().any(|n| n.key == *key));
    for notice in notices {
        if told.contains(&notice.key) {
            continue;
        }
        match send(site, notice) {
            Ok(()) => {
                let Notice { key, kind, message } = notice;
                let kind = kind.name();
                note!(INFO, "notified", kind, "notified of {key}: {message}");
                told.insert(key.clone());
            }
            Err(fault) if faults.contains(&fault) => {}
            Err(fault) => faults.push(fault),
        }
    }
    if told != before {
        let written = serde_json::to_vec_pretty(&told)
            .map_err(|fault| fault.to_string())
            .and_then(|text| files::publish_bytes(path, &text).map_err(|f| f.to_string()));
        faults.extend(written.err());
    }
    (!faults.is_empty()).then(|| faults.join("; "))
}

/// Sends a notice to all configured recipients.
fn send(site: &Site, notice: &Notice) -> Result<(), String> {
    let config = &site.config.notify;
    let object = serde_json::json!({
        "site": site.place.root(),
        "kind": notice.kind,
        "key": notice.key,
        "message": notice.message,
    });
    let object = object.to_string();
    let system = System::with(&[], &[("LC_ALL", "C")], TIMEOUT);
    let mut faults = Vec::new();
    let mut ask = |program: &str, words: &[String]| {
        let why = match system.run(program, words, &object) {
            Ok(answer) if answer.is_ok() => return,
            Ok(answer) => answer.complaint(),
            Err(none) => none.to_string(),
        };
        faults.push(format!("{program}: {why}"));
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
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}
