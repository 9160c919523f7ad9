//! `almagest refusals`.

use super::decision::{Form, Reason, cause, decide_each};
use super::explain;
use crate::exit::{self, Exit};
use crate::report::{Table, counted, say, say_part, shown, tell, utc};
use archive::Reader;
use archive::explain::Setting;
use archive::explain::help::help_for;
use archive::history::Cause;
use archive::refusals::{
    Decision, RefusalFilter, RefusalRecord, RefusalState, Stage, TAKEABLE, in_full, place_in_words,
    rows_in_words,
};
use clap::{Args, Subcommand};
use curate::advice;
use curate::scope::{Scope, chosen};
use curate::site::{self, Archive, Site};
use curate::steps::gate;
use curate::steps::reprofile::{self, FileProfile, Which};
use model::{Advice, DeliveryName, RefusalId, ReportCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    act: Option<Act>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List refusals (the default)
    List(List),
    /// Show refusals in full
    Show(Numbers),
    /// Confirm refusals: the input stays out; with --take it is ingested
    Accept(Accept),
    /// Remove refusals from the list; the input stays out until it is retried
    Dismiss(Decide),
    /// Process the refused files again in the next round
    Retry(Decide),
}

#[derive(Debug, Args)]
struct List {
    /// As one JSON array.
    #[arg(long)]
    json: bool,
    /// Include settled refusals.
    #[arg(long)]
    all: bool,
    /// Only of this delivery.
    #[arg(long, value_name = "NAME")]
    delivery: Option<DeliveryName>,
    /// Only with this code.
    #[arg(long)]
    code: Option<ReportCode>,
    /// Only of this file.
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
}

#[derive(Debug, Args)]
struct Numbers {
    /// Numbers of refusals, as printed by `list`.
    #[arg(required = true, value_name = "NUMBER")]
    numbers: Vec<RefusalId>,
    /// As one JSON array.
    #[arg(long)]
    json: bool,
}

/// The form of `--json` of a decision.
const DECIDED_HELP: &str = "\
With --json: one object {dry_run, act, subject, who, reason, refusals: [{number, file, code}]}.";

#[derive(Debug, Args)]
#[command(after_help = DECIDED_HELP)]
struct Accept {
    #[command(flatten)]
    which: Decide,
    /// Ingest the input nevertheless, marked by a finding. Possible only for a stale DATASUM (datasum_mismatch).
    #[arg(long)]
    take: bool,
}

#[derive(Debug, Args)]
#[command(after_help = DECIDED_HELP)]
struct Decide {
    /// Numbers of refusals, as printed by `list`.
    #[arg(value_name = "NUMBER", required_unless_present = "code")]
    numbers: Vec<RefusalId>,
    /// All open refusals with this code.
    #[arg(long, conflicts_with = "numbers")]
    code: Option<ReportCode>,
    /// Only of this delivery (with --code).
    #[arg(long, value_name = "NAME", requires = "code")]
    delivery: Option<DeliveryName>,
    #[command(flatten)]
    why: Reason,
    #[command(flatten)]
    form: Form,
}

/// Lists refusals, or decides on them.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    match &arguments.act {
        None => list(&site, &arguments.list),
        Some(Act::List(options)) => list(&site, options),
        Some(Act::Show(which)) => show(&site, which),
        Some(Act::Accept(accept)) => {
            let decision = if accept.take { Decision::Take } else { Decision::Accept };
            decide(&site, decision, &accept.which)
        }
        Some(Act::Dismiss(which)) => decide(&site, Decision::Dismiss, which),
        Some(Act::Retry(which)) => decide(&site, Decision::Retry, which),
    }
}

/// Checks that a named delivery exists: a misspelt name is not reported as a delivery without refusals.
fn check_delivery(archive: &Reader, delivery: Option<&DeliveryName>) -> anyhow::Result<()> {
    let delivery = delivery.into_iter().cloned().collect();
    chosen(archive, &Scope { deliveries: delivery, ..Scope::default() })?;
    Ok(())
}

fn list(site: &Site, options: &List) -> anyhow::Result<Exit> {
    check_delivery(&site.read()?, options.delivery.as_ref())?;
    let filter = RefusalFilter {
        delivery: options.delivery.clone(),
        state: None,
        code: options.code.clone(),
        file: options.file.clone(),
    };
    let mut records = site.read()?.refusals(&filter)?;
    // A refusal that is to be retried is pending until the retry is done.
    let pending = |state| matches!(state, RefusalState::Open | RefusalState::Retried);
    records.retain(|r| options.all || pending(r.state));
    if options.json {
        let all: Vec<Value> = records.iter().map(as_json).collect();
        say!("{}", crate::report::json(&all)?);
        return Ok(Exit::Done);
    }
    if records.is_empty() {
        say!("no {}refusals", if options.all { "" } else { "open " });
        return Ok(Exit::Done);
    }
    // A program that reads a pipe needs whole names; a terminal has limited width.
    let is_narrow = std::io::stdout().is_terminal();
    let mut table = Table::new(["number", "delivery", "file", "stage", "code", "state", "message"]);
    for record in &records {
        let r = &record.refusal;
        let state = if r.parked && record.state == RefusalState::Open {
            "parked".to_owned()
        } else {
            state_of(record)
        };
        table.row([
            record.refusal_id.to_string(),
            record.delivery.to_string(),
            if is_narrow { in_short(record) } else { place(record) },
            record.stage.name().to_owned(),
            r.code.to_string(),
            state,
            if is_narrow { shortened(&in_full(r)) } else { in_full(r) },
        ]);
    }
    say_part!("{}", table.text());
    if let Some(first) = records.iter().find(|r| pending(r.state)) {
        let show = Advice::RefusalsShow { number: first.refusal_id };
        say!("\nhow to settle one of them: {}", advice::command(&show));
    }
    Ok(Exit::Done)
}

fn place(record: &RefusalRecord) -> String {
    place_in_words(&record.refusal)
}

/// Returns the place in a width that leaves room for the reason: of a long name, begin and end.
fn in_short(record: &RefusalRecord) -> String {
    const MAX_CHARS: usize = 44;
    let place: Vec<char> = place(record).chars().collect();
    if place.len() <= MAX_CHARS {
        return place.into_iter().collect();
    }
    let (begin, end) = (&place[..MAX_CHARS - 16], &place[place.len() - 15..]);
    begin.iter().chain(&['…']).chain(end).collect()
}

fn shortened(message: &str) -> String {
    const MAX_CHARS: usize = 110;
    if message.chars().count() <= MAX_CHARS {
        return message.to_owned();
    }
    message.chars().take(MAX_CHARS - 1).chain(['…']).collect()
}

fn show(site: &Site, which: &Numbers) -> anyhow::Result<Exit> {
    let records = site.read()?.refusals(&RefusalFilter::default())?;
    let chosen = which.numbers.iter().map(|n| find(&records, *n)).collect::<Result<Vec<_>, _>>()?;
    if which.json {
        let all: Vec<Value> = chosen.into_iter().map(as_json).collect();
        say!("{}", crate::report::json(&all)?);
        return Ok(Exit::Done);
    }
    let deliveries: Vec<&DeliveryName> = chosen.iter().map(|r| &r.delivery).collect();
    let setting = explain::setting(site, &site.read()?, deliveries)?;
    let archive = site.read()?;
    let mut texts = Vec::new();
    for record in chosen {
        let file = (&record.delivery, record.refusal.file.as_str());
        let profile = reprofile::fits_of(site, &archive, file)?;
        texts.push(in_words(record, profile.as_ref(), &setting));
    }
    say_part!("{}", texts.join("\n"));
    Ok(Exit::Done)
}

/// Returns all facts about one refusal, a line each, and the commands that help.
fn in_words(record: &RefusalRecord, profile: Option<&FileProfile>, setting: &Setting) -> String {
    let r = &record.refusal;
    let stage = record.stage.name();
    let found = record.round.map_or(stage.to_owned(), |round| format!("{stage}, round {round}"));
    let parked = match r.parked {
        true => {
            ", parked: retried automatically when the file or programme that it waits for exists"
        }
        false => "",
    };
    let place = if r.file.is_empty() { "the whole round".to_owned() } else { place(record) };
    let mut lines = vec![
        ("refusal", record.refusal_id.to_string()),
        ("delivery", record.delivery.to_string()),
        ("file", place),
        ("reason", format!("{}: {}", r.code, r.message)),
    ];
    lines.extend(profile.map(|profile| ("profile", profile.in_words())));
    lines.extend(r.keyword.clone().map(|keyword| ("keyword", keyword)));
    lines.extend(r.column.clone().map(|column| ("column", column)));
    if r.rows > 0 {
        lines.push(("rows", rows_in_words(r, usize::MAX)));
    }
    lines.push(("found by", found));
    lines.push(("state", format!("{}{parked}", state_of(record))));
    if is_takeable(record) && record.state == RefusalState::Open {
        let take = Advice::RefusalsTake { number: record.refusal_id };
        lines.push(("ingest nevertheless", advice::command(&take)));
    }
    let (first, last) = (utc(record.first_seen), utc(record.last_seen));
    let met = counted(record.occurrences, "time");
    lines.push(("met", format!("{met}, first {first} UTC, last {last} UTC")));
    for change in &record.history {
        let (when, cause) = (utc(change.changed), &change.cause);
        lines.push((change.state.name(), format!("{when} UTC by {}: {}", cause.who, cause.why)));
    }
    let lines = lines.into_iter().map(|(what, text)| format!("{what:<9} {}\n", shown(&text)));
    lines.collect::<String>() + &explain::suggested(&help_for(record, setting))
}

/// Returns true for a refusal that an operator can overrule.
fn is_takeable(record: &RefusalRecord) -> bool {
    record.stage == Stage::Register && TAKEABLE.contains(&record.refusal.code.as_str())
}

/// Returns the state, and whether the refused data are used anyway.
fn state_of(record: &RefusalRecord) -> String {
    let overruled = if record.overruled { ", overruled" } else { "" };
    format!("{}{overruled}", record.state.name())
}

fn find(records: &[RefusalRecord], number: RefusalId) -> anyhow::Result<&RefusalRecord> {
    records
        .iter()
        .find(|r| r.refusal_id == number)
        .ok_or_else(|| exit::usage(format!("there is no refusal {number}")))
}

fn as_json(record: &RefusalRecord) -> Value {
    let r = &record.refusal;
    let history: Vec<Value> = record
        .history
        .iter()
        .map(|change| {
            json!({
                "state": change.state.name(),
                "when": site::iso(change.changed),
                "who": change.cause.who,
                "why": change.cause.why,
            })
        })
        .collect();
    json!({
        "number": record.refusal_id,
        "delivery": record.delivery,
        "file": r.file,
        "ext_num": r.hdu.map(model::ext_num_of),
        "keyword": r.keyword,
        "column": r.column,
        "subject": r.subject,
        "profile": record.survey,
        "stage": record.stage.name(),
        "round": record.round,
        "code": r.code,
        "message": r.message,
        "rows": r.rows,
        "row_ranges": r.row_ranges,
        "parked": r.parked,
        "state": record.state.name(),
        "overruled": record.overruled,
        "occurrences": record.occurrences,
        "first_seen": site::iso(record.first_seen),
        "last_seen": site::iso(record.last_seen),
        "history": history,
    })
}

/// Refuses a decision that cannot be made on all chosen refusals.
fn check_decision(decision: Decision, chosen: &[&RefusalRecord]) -> anyhow::Result<()> {
    // Accepted and dismissed refusals may still be retried.
    let may = |record: &RefusalRecord| match decision {
        Decision::Retry => !matches!(record.state, RefusalState::Retried | RefusalState::Resolved),
        Decision::Accept | Decision::Dismiss => record.state == RefusalState::Open,
        Decision::Take => {
            !record.overruled && matches!(record.state, RefusalState::Open | RefusalState::Accepted)
        }
    };
    if decision == Decision::Take
        && let Some(other) = chosen.iter().find(|r| !is_takeable(r))
    {
        return Err(exit::gate(format!(
            "refusal {} is {}: only {} can be accepted with --take",
            other.refusal_id,
            other.refusal.code,
            TAKEABLE.join(", ")
        )));
    }
    if let Some(settled) = chosen.iter().find(|r| !may(r)) {
        return Err(exit::conflict(format!(
            "refusal {} is {} already",
            settled.refusal_id,
            state_of(settled)
        )));
    }
    Ok(())
}

fn decide(site: &Site, decision: Decision, which: &Decide) -> anyhow::Result<Exit> {
    let cause = cause(&which.why.reason)?;
    let mut archive = site.write_or_rehearse(which.form.dry_run)?;
    check_delivery(&archive, which.delivery.as_ref())?;
    let records = archive.refusals(&RefusalFilter {
        delivery: which.delivery.clone(),
        code: which.code.clone(),
        state: which.code.is_some().then_some(RefusalState::Open),
        file: None,
    })?;
    let mut chosen: Vec<&RefusalRecord> = if which.code.is_some() {
        records.iter().collect()
    } else {
        let numbers: BTreeSet<RefusalId> = which.numbers.iter().copied().collect();
        numbers.into_iter().map(|n| find(&records, n)).collect::<Result<_, _>>()?
    };
    if let (Some(code), true) = (&which.code, chosen.is_empty()) {
        return Err(exit::gate(format!("no open refusal has the code {code:?}")));
    }
    check_decision(decision, &chosen)?;
    let (act, word) = match decision {
        Decision::Accept => ("accept", "accepted"),
        Decision::Take => ("take", "accepted, and ingested nevertheless"),
        Decision::Dismiss => ("dismiss", "dismissed"),
        Decision::Retry => ("retry", "to be retried"),
    };
    let numbers: Vec<RefusalId> = chosen.iter().map(|record| record.refusal_id).collect();
    let (decided, outcome) = decide_each(&mut archive, &numbers, decision, &cause);
    if decided == 0 {
        outcome?;
        return Ok(Exit::Done);
    }
    // The decisions before a failure hold, and are logged and reported.
    chosen.truncate(decided);
    let mut next: Vec<Vec<Advice>> = Vec::new();
    if matches!(decision, Decision::Retry | Decision::Take) {
        next.extend(chosen.iter().map(|r| gate::redo(site, &archive, &r.delivery, r.stage)));
        next.sort();
        next.dedup();
    }
    let as_json = |r: &&RefusalRecord| json!({"number": r.refusal_id, "file": r.refusal.file, "code": r.refusal.code});
    let details = json!({"refusals": chosen.iter().map(as_json).collect::<Vec<_>>()});
    let exit = which.form.report((act, &subject(&chosen)), &cause, details, || {
        for record in &chosen {
            let (number, code) = (record.refusal_id, &record.refusal.code);
            say!("refusal {number} ({} {code}) {word}", shown(&place(record)));
        }
        for commands in next.iter().take(10) {
            say!("next: {}", advice::commands(commands));
        }
    })?;
    if decision == Decision::Retry {
        choose_profiles(site, &mut archive, &chosen, &cause)?;
    }
    outcome?;
    Ok(exit)
}

/// Chooses the profiles of refused files again: a retry with an unfitting profile would meet the same refusal.
fn choose_profiles(
    site: &Site,
    archive: &mut Archive,
    refusals: &[&RefusalRecord],
    cause: &Cause,
) -> anyhow::Result<()> {
    let mut files: BTreeMap<&DeliveryName, Vec<String>> = BTreeMap::new();
    for record in refusals.iter().filter(|r| r.file_id.is_some()) {
        let of_delivery = files.entry(&record.delivery).or_default();
        of_delivery.push(record.refusal.file.clone());
        // The profile of a catalogue's task is that of its image.
        of_delivery.extend(record.image.clone());
    }
    for (delivery, files) in &files {
        let which = Which { delivery, files, is_again: false };
        for change in reprofile::reprofile(site, archive, &which, cause)?.changes {
            let (file, after) = (shown(&change.file), &change.after);
            tell!(
                INFO,
                "reprofiled",
                delivery = delivery.as_str(),
                "{delivery}/{file}: profile {after}, {}",
                change.why
            );
        }
    }
    Ok(())
}

/// Returns the numbers of refusals that one decision is about, in words.
fn subject(chosen: &[&RefusalRecord]) -> String {
    const NAMED: usize = 10;
    let numbers: Vec<String> =
        chosen.iter().take(NAMED).map(|record| record.refusal_id.to_string()).collect();
    let more = match chosen.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let noun = if chosen.len() == 1 { "refusal" } else { "refusals" };
    format!("{noun} {}{more}", numbers.join(", "))
}
