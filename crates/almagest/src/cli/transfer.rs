//! `almagest transfer`.

use super::ScopeArguments;
use super::decision::Form;
use super::identity::IdentityArguments;
use super::night::{ended, name_retracted, open, report_as};
use crate::exit::Exit;
use crate::report::{Table, bytes, grouped, say, tell};
use archive::history::Cause;
use curate::scope::{Scope, chosen};
use curate::site::{self, Site};
use curate::sources::{self, Origin};
use curate::steps::{Declarations, came_from, prospect};
use model::DeliveryName;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::rc::Rc;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {steps: {STEP: {files, detectors, detections, previews, bytes, refusals,
seconds}}, waits, stopped, blocked, postponed, not_fetched: [{file or unit, why}], busy_elsewhere,
interrupted, left_to_daemon}.

With --dry-run --json: {deliveries: [{delivery, files, bytes, unchanged, refusals: [{file, code,
message}], skipped: [{file, code, why}]}]}.

With --complete --json: one object {dry_run, act, subject, who, reason, deliveries: [{delivery,
is_new}]}, where is_new is false for a delivery that was complete already.")]
pub struct Arguments {
    /// Directories or URLs of deliveries (ssh://host/path/20071011_v1, https://…, s3://bucket/…) [default: the
    /// origins of known deliveries].
    #[arg(value_name = "DELIVERY", conflicts_with_all = ["night", "delivery", "source"])]
    deliveries: Vec<String>,
    /// All deliveries of this source of almagest.toml; may be repeated.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["night", "delivery"])]
    source: Vec<String>,
    /// Declare this delivery complete, although its marker, list or count announces more files, and fetch nothing; may
    /// be repeated.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["deliveries", "source", "night", "delivery", "join", "new"])]
    complete: Vec<DeliveryName>,
    #[command(flatten)]
    of: ScopeArguments,
    #[command(flatten)]
    identity: IdentityArguments,
    /// Only print what would be fetched.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs only CU1.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if !arguments.complete.is_empty() {
        return closed(site, &arguments.complete, (arguments.dry_run, arguments.json));
    }
    let shared = |(origin, directory)| (Rc::new(origin), directory);
    let deliveries = match arguments.deliveries.as_slice() {
        _ if !arguments.source.is_empty() => of_sources(&site, &arguments.source)?,
        [] => came_from(&site, &site.read()?, &arguments.of.scope())?
            .into_iter()
            .map(shared)
            .collect(),
        given => opened(&site, given)?,
    };
    arguments.identity.check(deliveries.len())?;
    let declared =
        Declarations { identity: arguments.identity.identity(), ..Declarations::default() };
    if arguments.dry_run {
        let expected = expected(&site, &deliveries, &declared)?;
        match arguments.json {
            true => say!(
                "{}",
                crate::report::json(&json!({"deliveries": expected_as_json(&expected)}))?
            ),
            false => say_expected(expected),
        }
        return Ok(Exit::Done);
    }
    let mut night = open(site, "transfer")?;
    let mut names = Vec::new();
    for (origin, directory) in &deliveries {
        if night.interrupted() {
            break;
        }
        names.push(night.fetch_all(origin, directory, &declared)?);
    }
    report_as(&night, arguments.json)?;
    if !arguments.json {
        name_retracted(night.site(), &names)?;
    }
    Ok(ended(&mut night))
}

/// A delivery, and the source that has it.
pub type Sourced = (Rc<Origin>, String);

/// Returns the deliveries that places name. A mistyped place is reported before any work begins.
pub fn opened(site: &Site, places: &[String]) -> anyhow::Result<Vec<Sourced>> {
    let open = |place: &String| {
        let (origin, name) = sources::of_delivery(site, place)?;
        Ok((Rc::new(origin), name))
    };
    places.iter().map(open).collect()
}

/// Declares deliveries complete. Nothing is changed when one of them is unknown.
fn closed(
    site: Site,
    names: &[DeliveryName],
    (dry_run, json): (bool, bool),
) -> anyhow::Result<Exit> {
    const ACT: &str = "transfer --complete";
    let scope = Scope { deliveries: names.to_vec(), ..Scope::default() };
    let cause = Cause::new(site::operator(), ACT);
    let mut closed = Vec::new();
    let mut exit = Exit::Done;
    if dry_run {
        let mut archive = site.write_or_rehearse(true)?;
        for name in chosen(&archive, &scope)? {
            let is_new = archive.close_delivery(&name, &cause, site::now())?;
            closed.push((name, is_new));
        }
    } else {
        let mut night = open(site, ACT)?;
        for name in night.chosen(&scope)? {
            let is_new = night.close(&name)?;
            closed.push((name, is_new));
        }
        exit = ended(&mut night);
    }
    let as_json =
        |(name, is_new): &(DeliveryName, bool)| json!({"delivery": name, "is_new": is_new});
    let details = json!({"deliveries": closed.iter().map(as_json).collect::<Vec<_>>()});
    let form = Form { dry_run, json };
    form.report(("close", &names.join(", ")), &cause, details, || {
        for (name, is_new) in &closed {
            match is_new {
                true => say!("{name} is declared complete"),
                false => say!("{name} is complete already"),
            }
        }
    })?;
    Ok(exit)
}

/// Returns the deliveries of some sources.
fn of_sources(site: &Site, names: &[String]) -> anyhow::Result<Vec<Sourced>> {
    let profiles = site.profiles()?;
    let mut all = Vec::new();
    for name in names {
        let origin = Rc::new(sources::named(site, name)?);
        let found = origin.deliveries(&profiles)?;
        for (directory, why) in &found.skipped {
            tell!(WARN, "skipped", source = name, "{name}: {directory} is skipped: {why}");
        }
        let deliveries = found.names;
        all.extend(deliveries.into_iter().map(|delivery| (Rc::clone(&origin), delivery)));
    }
    Ok(all)
}

/// The files that a transfer would fetch of a delivery.
pub struct Expected {
    /// Name of the delivery.
    pub delivery: DeliveryName,
    prospect: transfer::Prospect,
}

/// Returns the files that a transfer would fetch.
pub fn expected(
    site: &Site,
    deliveries: &[Sourced],
    declared: &Declarations,
) -> anyhow::Result<Vec<Expected>> {
    let (archive, profiles) = (site.read()?, site.profiles()?);
    let mut expected = Vec::new();
    for (origin, directory) in deliveries {
        let (delivery, prospect) =
            prospect(site, &archive, &profiles, (origin, directory), declared)?;
        expected.push(Expected { delivery, prospect });
    }
    Ok(expected)
}

/// Returns the files that a transfer would fetch for `--json`.
pub fn expected_as_json(expected: &[Expected]) -> Value {
    let one = |Expected { delivery, prospect }: &Expected| {
        let refusals = prospect
            .refusals
            .iter()
            .map(|r| json!({"file": r.file, "code": r.code, "message": r.message}));
        let skipped = prospect
            .skipped
            .iter()
            .map(|s| json!({"file": s.name, "code": s.code.name(), "why": s.why}));
        json!({
            "delivery": delivery,
            "files": prospect.files.len(),
            "bytes": prospect.bytes,
            "unchanged": prospect.unchanged,
            "refusals": refusals.collect::<Vec<_>>(),
            "skipped": skipped.collect::<Vec<_>>(),
        })
    };
    expected.iter().map(one).collect()
}

/// Shows the files that a transfer would fetch.
pub fn say_expected(expected: Vec<Expected>) {
    let mut table = Table::new(["delivery", "new files", "size", "unchanged"]);
    let mut refused = Table::new(["delivery", "would be refused", "code", "why"]);
    let mut skipped = Table::new(["delivery", "would be skipped", "code", "why"]);
    for Expected { delivery: name, prospect } in expected {
        table.row([
            name.to_string(),
            grouped(prospect.files.len() as u64),
            bytes(prospect.bytes),
            grouped(prospect.unchanged as u64),
        ]);
        for refusal in prospect.refusals {
            refused.row([name.to_string(), refusal.file, refusal.code.into(), refusal.message]);
        }
        for entry in prospect.skipped {
            skipped.row([name.to_string(), entry.name, entry.code.to_string(), entry.why]);
        }
    }
    for table in [table, refused, skipped].iter().filter(|table| !table.is_empty()) {
        say!("{}", table.text());
    }
}
