//! `almagest refusals`.

use crate::exit::{self, Exit};
use crate::report::{Table, shown};
use crate::site::{self, Site};
use archive::Inquiry;
use archive::records::{Cause, Decision, RefusalFilter, RefusalRecord, RefusalState};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
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
    /// Show everything about some refusals
    Show(Numbers),
    /// It stays out, and that is right so
    Accept(Decide),
    /// It was no trouble
    Dismiss(Decide),
    /// Do its file again in the next round
    Retry(Decide),
}

#[derive(Debug, Args)]
struct List {
    /// As one JSON array.
    #[arg(long)]
    json: bool,
    /// Also those that are dealt with.
    #[arg(long)]
    all: bool,
    /// Only of this delivery.
    #[arg(long, value_name = "NAME")]
    delivery: Option<String>,
    /// Only with this code.
    #[arg(long)]
    code: Option<String>,
    /// Only of this file.
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
}

#[derive(Debug, Args)]
struct Numbers {
    /// Numbers of refusals, as `list` shows them.
    #[arg(required = true, value_name = "NUMBER")]
    numbers: Vec<i64>,
}

#[derive(Debug, Args)]
struct Decide {
    /// Numbers of refusals, as `list` shows them.
    #[arg(value_name = "NUMBER", required_unless_present = "code")]
    numbers: Vec<i64>,
    /// All open ones with this code.
    #[arg(long, conflicts_with = "numbers")]
    code: Option<String>,
    /// Only of this delivery (with --code).
    #[arg(long, value_name = "NAME", requires = "code")]
    delivery: Option<String>,
    /// Why; goes into the history.
    #[arg(long, required = true)]
    reason: String,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Lists refusals, or decides on them.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    match &arguments.act {
        None => list(&site, &arguments.list),
        Some(Act::List(options)) => list(&site, options),
        Some(Act::Show(which)) => show(&site, &which.numbers),
        Some(Act::Accept(which)) => decide(&site, Decision::Accept, which),
        Some(Act::Dismiss(which)) => decide(&site, Decision::Dismiss, which),
        Some(Act::Retry(which)) => decide(&site, Decision::Retry, which),
    }
}

fn list(site: &Site, options: &List) -> anyhow::Result<Exit> {
    let filter = RefusalFilter {
        delivery: options.delivery.clone(),
        state: (!options.all).then_some(RefusalState::Open),
        code: options.code.clone(),
        file: options.file.clone(),
    };
    let records = site.read()?.refusals(&filter)?;
    if options.json {
        let all: Vec<Value> = records.iter().map(as_json).collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(Exit::Done);
    }
    if records.is_empty() {
        println!("no {}refusals", if options.all { "" } else { "open " });
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["number", "delivery", "file", "stage", "code", "state", "message"]);
    for record in &records {
        let r = &record.refusal;
        let state = if r.parked && record.state == RefusalState::Open {
            "parked"
        } else {
            record.state.name()
        };
        table.row([
            record.refusal_id.to_string(),
            record.delivery.clone(),
            place(record),
            record.stage.name().to_owned(),
            r.code.clone(),
            state.to_owned(),
            shortened(&r.message),
        ]);
    }
    print!("{}", table.text());
    Ok(Exit::Done)
}

fn place(record: &RefusalRecord) -> String {
    let r = &record.refusal;
    r.hdu.map_or(r.file.clone(), |hdu| format!("{}[{hdu}]", r.file))
}

fn shortened(message: &str) -> String {
    const LONGEST: usize = 90;
    if message.chars().count() <= LONGEST {
        return message.to_owned();
    }
    message.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn show(site: &Site, numbers: &[i64]) -> anyhow::Result<Exit> {
    let records = site.read()?.refusals(&RefusalFilter::default())?;
    for number in numbers {
        let record = find(&records, *number)?;
        println!("{}", shown_json(&as_json(record))?);
    }
    Ok(Exit::Done)
}

/// JSON escapes control characters by itself; only the line breaks are ours.
fn shown_json(value: &Value) -> anyhow::Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(text.lines().map(shown).collect::<Vec<_>>().join("\n"))
}

fn find(records: &[RefusalRecord], number: i64) -> anyhow::Result<&RefusalRecord> {
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
                "when": change.changed.to_rfc3339(),
                "who": change.cause.who,
                "why": change.cause.why,
            })
        })
        .collect();
    json!({
        "number": record.refusal_id,
        "delivery": record.delivery,
        "file": r.file,
        "hdu": r.hdu,
        "keyword": r.keyword,
        "column": r.column,
        "stage": record.stage.name(),
        "round": record.round,
        "code": r.code,
        "message": r.message,
        "rows": r.rows,
        "row_ranges": r.row_ranges,
        "parked": r.parked,
        "state": record.state.name(),
        "seen_times": record.seen_times,
        "first_seen": record.first_seen.to_rfc3339(),
        "last_seen": record.last_seen.to_rfc3339(),
        "history": history,
    })
}

fn decide(site: &Site, decision: Decision, which: &Decide) -> anyhow::Result<Exit> {
    if which.reason.trim().is_empty() {
        return Err(exit::usage("--reason needs a reason"));
    }
    let mut archive = if which.dry_run { site.read()? } else { site.write()? };
    let records = archive.refusals(&RefusalFilter {
        delivery: which.delivery.clone(),
        code: which.code.clone(),
        state: which.code.is_some().then_some(RefusalState::Open),
        file: None,
    })?;
    let chosen: Vec<&RefusalRecord> = if which.code.is_some() {
        records.iter().collect()
    } else {
        which.numbers.iter().map(|n| find(&records, *n)).collect::<Result<_, _>>()?
    };
    if let Some(settled) = chosen.iter().find(|r| r.state != RefusalState::Open) {
        return Err(exit::conflict(format!(
            "refusal {} is {} already",
            settled.refusal_id,
            settled.state.name()
        )));
    }
    let word = match decision {
        Decision::Accept => "accepted",
        Decision::Dismiss => "dismissed",
        Decision::Retry => "to be tried again",
    };
    let cause = Cause::new(site::operator(), which.reason.clone());
    for record in &chosen {
        if !which.dry_run {
            archive.decide(record.refusal_id, decision, &cause, site::now())?;
        }
        let would = if which.dry_run { "would be " } else { "" };
        println!(
            "refusal {} ({} {}) {would}{word}",
            record.refusal_id,
            shown(&place(record)),
            record.refusal.code
        );
    }
    if decision == Decision::Retry && !chosen.is_empty() {
        println!("next: almagest run, or the single steps, make the next round");
    }
    Ok(Exit::Done)
}
