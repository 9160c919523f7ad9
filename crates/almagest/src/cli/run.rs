//! `almagest run`: all steps for some deliveries.

use super::ScopeArguments;
use super::identity::IdentityArguments;
use super::night::{ended, name_retracted, open, report_as};
use super::step::{admitted, planned};
use super::transfer::{Sourced, expected, expected_as_json, opened, say_expected};
use crate::exit::Exit;
use crate::report::say;
use curate::scope::chosen;
use curate::site::Site;
use curate::steps::{Completeness, Declarations, NightRun, came_from, gate};
use model::{Advice, DeliveryName};
use std::path::PathBuf;
use std::rc::Rc;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {steps: {STEP: {files, detectors, detections, previews, bytes, refusals,
seconds}}, waits, stopped, blocked, postponed, not_fetched: [{file or unit, why}], busy_elsewhere,
interrupted, left_to_daemon}.

With --dry-run --json: {deliveries: [{delivery, files, bytes, unchanged, refusals, skipped}],
rounds: [{delivery, use_case, files, tasks, why}], waits: [{file, delivery, why}]}.")]
pub struct Arguments {
    /// Directories or URLs of deliveries, one night and pipeline version each, e.g. inbox/20071011_v1.
    #[arg(
        required_unless_present_any = ["night", "delivery"],
        conflicts_with_all = ["night", "delivery"],
        value_name = "DELIVERY"
    )]
    deliveries: Vec<String>,
    #[command(flatten)]
    of: ScopeArguments,
    #[command(flatten)]
    identity: IdentityArguments,
    /// Keep the deliveries open for more files. Without it, each is complete once its
    /// directory is transferred.
    #[arg(long)]
    more_to_come: bool,
    /// Include paused and rejected work, and run alongside the data daemon.
    #[arg(long)]
    force: bool,
    /// Only print what would be done.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs all steps for some deliveries.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    // Known deliveries whose sources no longer exist are worked on without a transfer.
    let (deliveries, known) = match arguments.deliveries.as_slice() {
        [] => {
            let archive = site.read()?;
            let found = came_from(&site, &archive, &arguments.of.scope())?;
            let shared = |(origin, directory)| (Rc::new(origin), directory);
            (found.into_iter().map(shared).collect(), chosen(&archive, &arguments.of.scope())?)
        }
        given => (opened(&site, given)?, Vec::new()),
    };
    arguments.identity.check(deliveries.len())?;
    let completeness = match arguments.more_to_come {
        true => Completeness::MoreExpected,
        false => Completeness::Complete,
    };
    let declared = Declarations {
        identity: arguments.identity.identity(),
        completeness,
        ..Declarations::default()
    };
    if !arguments.force {
        let fetch =
            arguments.deliveries.iter().map(|place| Advice::TransferFrom { place: place.clone() });
        gate::alone(&site, &fetch.chain([Advice::Plan]).collect::<Vec<_>>())?;
    }
    if arguments.dry_run {
        return rehearse(&site, &deliveries, known, (&declared, arguments));
    }
    let mut night = open(site, "run")?;
    if arguments.force {
        night.force();
    }
    let names = curate_all(&mut night, &deliveries, known, &declared)?;
    report_as(&night, arguments.json)?;
    if !arguments.json {
        name_retracted(night.site(), &names)?;
    }
    gate::tell_held(&night.stopped);
    Ok(ended(&mut night))
}

/// Prints what the command would fetch and the rounds that it would open, and refuses what the command refuses after the fetch.
fn rehearse(
    site: &Site,
    deliveries: &[Sourced],
    known: Vec<DeliveryName>,
    (declared, arguments): (&Declarations, &Arguments),
) -> anyhow::Result<Exit> {
    let expected = expected(site, deliveries, declared)?;
    let fetched = expected.iter().map(|e| e.delivery.clone());
    let names = each_once(known.into_iter().chain(fetched));
    let (archive, profiles) = (site.read()?, site.profiles()?);
    let registered = archive.deliveries(None)?;
    let registered: Vec<DeliveryName> =
        names.iter().filter(|name| registered.contains(name)).cloned().collect();
    let products = site.place.products();
    let of_registered = admitted(&archive, &profiles, products, &registered, arguments.force)?;
    let planned = planned(site, &archive, &profiles, &of_registered, |_| ())?;
    if arguments.json {
        let mut value = serde_json::to_value(planned)?;
        value["deliveries"] = expected_as_json(&expected);
        say!("{}", crate::report::json(&value)?);
    } else {
        say_expected(expected);
        planned.say();
    }
    let admitted = admitted(&archive, &profiles, products, &names, arguments.force)?;
    admitted.check()?;
    Ok(admitted.told())
}

/// Returns names in their order, each once.
fn each_once(names: impl Iterator<Item = DeliveryName>) -> Vec<DeliveryName> {
    let mut seen = std::collections::BTreeSet::new();
    names.filter(|name| seen.insert(name.clone())).collect()
}

/// Transfers deliveries, then runs all other steps.
pub fn curate(
    night: &mut NightRun,
    deliveries: &[Sourced],
    declared: &Declarations,
) -> anyhow::Result<()> {
    curate_all(night, deliveries, Vec::new(), declared)?;
    Ok(())
}

fn curate_all(
    night: &mut NightRun,
    deliveries: &[Sourced],
    mut names: Vec<DeliveryName>,
    declared: &Declarations,
) -> anyhow::Result<Vec<DeliveryName>> {
    for (origin, directory) in deliveries {
        if night.interrupted() {
            return Ok(names);
        }
        names.push(night.fetch_all(origin, directory, declared)?);
    }
    let names = each_once(names.into_iter());
    let products = night.site().place.products();
    night.admit(&names, products)?;
    night.work(&names, products, true)?;
    Ok(names)
}
