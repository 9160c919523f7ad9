//! `almagest transfer`.

use super::ScopeArguments;
use super::identity::IdentityArguments;
use super::night::{ended, name_retracted, open, report};
use crate::exit::Exit;
use crate::report::{Table, bytes, grouped, say, shown, tell};
use curate::scope::Scope;
use curate::site::Site;
use curate::sources::{self, Origin};
use curate::steps::{Identity, Word, came_from, prospect};
use std::path::PathBuf;
use std::rc::Rc;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directories or URLs of deliveries (ssh://host/path/20071011_v1, https://…, s3://bucket/…); without any, those from
    /// which known deliveries came are polled.
    #[arg(value_name = "DELIVERY", conflicts_with_all = ["night", "delivery", "source"])]
    deliveries: Vec<String>,
    /// All deliveries of this source of almagest.toml; may be repeated.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["night", "delivery"])]
    source: Vec<String>,
    /// Declare this delivery complete and fetch nothing: what its marker, list or count still announces is awaited no longer; may be
    /// repeated.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["deliveries", "source", "night", "delivery", "join", "new", "dry_run"])]
    complete: Vec<String>,
    #[command(flatten)]
    of: ScopeArguments,
    #[command(flatten)]
    identity: IdentityArguments,
    /// Only say what would be brought.
    #[arg(long)]
    dry_run: bool,
}

/// Runs CU1 alone.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if !arguments.complete.is_empty() {
        return closed(site, &arguments.complete);
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
    let word = Word { identity: arguments.identity.identity(), ..Word::default() };
    if arguments.dry_run {
        expected(&site, &deliveries, &word.identity)?;
        return Ok(Exit::Done);
    }
    let mut night = open(site, "transfer")?;
    let mut names = Vec::new();
    for (origin, directory) in &deliveries {
        if night.interrupted() {
            break;
        }
        names.push(night.bring(origin, directory, &word)?);
    }
    report(&night);
    name_retracted(night.site(), &names)?;
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
fn closed(site: Site, names: &[String]) -> anyhow::Result<Exit> {
    let scope = Scope { deliveries: names.to_vec(), ..Scope::default() };
    let mut night = open(site, "transfer --complete")?;
    for name in night.chosen(&scope)? {
        match night.close(&name)? {
            true => say!("{name} is declared complete"),
            false => say!("{name} was complete already"),
        }
    }
    Ok(ended(&mut night))
}

/// Returns the deliveries of some sources.
fn of_sources(site: &Site, names: &[String]) -> anyhow::Result<Vec<Sourced>> {
    let profiles = site.profiles()?;
    let mut all = Vec::new();
    for name in names {
        let origin = Rc::new(sources::named(site, name)?);
        let found = origin.deliveries(&profiles)?;
        for (directory, why) in &found.skipped {
            tell!("almagest: {name}: {} is skipped: {}", shown(directory), shown(why));
        }
        let deliveries = found.names;
        all.extend(deliveries.into_iter().map(|delivery| (Rc::clone(&origin), delivery)));
    }
    Ok(all)
}

/// Shows the files that a transfer would fetch. Returns the names of the deliveries.
pub fn expected(
    site: &Site,
    deliveries: &[Sourced],
    identity: &Identity,
) -> anyhow::Result<Vec<String>> {
    let (archive, profiles) = (site.read()?, site.profiles()?);
    let mut table = Table::new(["delivery", "new files", "size", "there already"]);
    let mut refused = Table::new(["delivery", "would be refused", "code", "why"]);
    let mut skipped = Table::new(["delivery", "would be skipped", "code", "why"]);
    let mut names = Vec::new();
    for (origin, directory) in deliveries {
        let (name, prospect) = prospect(site, &archive, &profiles, (origin, directory), identity)?;
        table.row([
            name.clone(),
            grouped(prospect.files as u64),
            bytes(prospect.bytes),
            grouped(prospect.unchanged as u64),
        ]);
        for refusal in prospect.refusals {
            refused.row([name.clone(), refusal.file, refusal.code, refusal.message]);
        }
        for entry in prospect.skipped {
            skipped.row([name.clone(), entry.name, entry.code.to_owned(), entry.why]);
        }
        names.push(name);
    }
    for table in [table, refused, skipped].iter().filter(|table| !table.is_empty()) {
        say!("{}", table.text());
    }
    Ok(names)
}
