//! `almagest run`, and the single steps `transfer`, `preview`, `metadata`, `catalogue`, `ingest`.

use super::ScopeArguments;
use crate::exit::{self, Exit};
use crate::report::{
    self, Table, byte_rate, bytes, counted, grouped, rate, say, say_part, shown, tell,
};
use archive::explain::Asked;
use archive::report::StatusFilter;
use archive::{Inquiry, Publication, Queue};
use curate::advice;
use curate::counts::Counts;
use curate::rounds::plan;
use curate::scope::{Scope, chosen};
use curate::site::Site;
use curate::sources::{self, Origin};
use curate::steps::{Identity, Night, Whole, Word, came_from, gate, prospect};
use model::{Advice, UseCase};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
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
    /// More files of these deliveries are to come: they stay open. Without it each is complete when all that its directory holds
    /// is transferred.
    #[arg(long)]
    more_to_come: bool,
    /// Work on what is paused or rejected too, and beside the data daemon.
    #[arg(long)]
    force: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Which delivery a directory is.
#[derive(Debug, Default, clap::Args)]
pub struct IdentityArguments {
    /// The directory belongs to the delivery of this name, although that came from elsewhere: its files join those. Remembered.
    #[arg(long, value_name = "NAME", conflicts_with = "new")]
    join: Option<String>,
    /// The directory is a delivery of its own, although another one has the same name, files and sizes.
    #[arg(long)]
    new: bool,
}

impl IdentityArguments {
    fn identity(&self) -> Identity {
        match (&self.join, self.new) {
            (Some(name), _) => Identity::Join(name.clone()),
            (None, true) => Identity::New,
            (None, false) => Identity::Unsaid,
        }
    }

    /// Refuses to join several directories to one delivery at once: one of them may be a mistake.
    fn check(&self, deliveries: usize) -> anyhow::Result<()> {
        match &self.join {
            Some(name) if deliveries != 1 => Err(exit::usage(format!(
                "--join {name} needs exactly one directory or URL, {deliveries} are given"
            ))),
            _ => Ok(()),
        }
    }
}

/// Arguments of `transfer`.
#[derive(Debug, clap::Args)]
pub struct TransferArguments {
    /// Directories or URLs of deliveries (ssh://host/path/20071011_v1, https://…, s3://bucket/…); without any, those from
    /// which known deliveries came are looked at again.
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

/// Arguments of `preview`, `metadata` and `catalogue`.
#[derive(Debug, clap::Args)]
pub struct StepArguments {
    #[command(flatten)]
    of: ScopeArguments,
    /// Do again what was done: all previews, deliveries that were retracted.
    #[arg(long)]
    again: bool,
    /// Of previews: make those again whose files are lost or damaged, and no others.
    #[arg(long, conflicts_with = "again")]
    lost: bool,
    /// Work on what is paused or rejected too, and beside the data daemon.
    #[arg(long)]
    force: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `ingest`.
#[derive(Debug, clap::Args)]
pub struct IngestArguments {
    #[command(flatten)]
    of: ScopeArguments,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
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
    let whole = if arguments.more_to_come { Whole::MoreToCome } else { Whole::AllHere };
    let word = Word { identity: arguments.identity.identity(), whole, ..Word::default() };
    if arguments.dry_run {
        let names = expected(&site, &deliveries, &word.identity)?;
        let archive = site.read()?;
        let known = archive.deliveries(None)?;
        let names: Vec<String> = names.into_iter().filter(|n| known.contains(n)).collect();
        return planned(&site, &UseCase::ALL, &names);
    }
    if !arguments.force {
        let fetch =
            arguments.deliveries.iter().map(|place| Advice::TransferFrom { place: place.clone() });
        gate::alone(&site, &fetch.chain([Advice::Plan]).collect::<Vec<_>>())?;
    }
    let mut night = open(site, "run")?;
    if arguments.force {
        night.force();
    }
    let names = curate_all(&mut night, &deliveries, known, &word)?;
    report(&night);
    name_retracted(night.site(), &names)?;
    gate::tell_held(&night.stopped);
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

/// Transfers deliveries, then runs all other steps.
pub fn curate(night: &mut Night, deliveries: &[Sourced], word: &Word) -> anyhow::Result<()> {
    curate_all(night, deliveries, Vec::new(), word)?;
    Ok(())
}

fn curate_all(
    night: &mut Night,
    deliveries: &[Sourced],
    mut names: Vec<String>,
    word: &Word,
) -> anyhow::Result<Vec<String>> {
    for (origin, directory) in deliveries {
        if night.interrupted() {
            return Ok(names);
        }
        names.push(night.bring(origin, directory, word)?);
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    night.admit(&names, &UseCase::ALL)?;
    night.work(&names, &UseCase::ALL, true)?;
    Ok(names)
}

/// Reports the deliveries that are retracted, with the commands that show them again: no step shows them again.
fn name_retracted(site: &Site, deliveries: &[String]) -> anyhow::Result<()> {
    let archive = site.read()?;
    let filter = StatusFilter { deliveries: deliveries.to_vec(), ..StatusFilter::default() };
    let status = match deliveries {
        [] => Vec::new(),
        _ => archive.status_of(&filter)?.deliveries,
    };
    for delivery in status {
        if !delivery.rounds.iter().any(|round| round.state == "retracted") {
            continue;
        }
        let asked = Asked { name: Some(delivery.name), at_most: 1, ..Asked::default() };
        let sheet = archive.facts_about(&asked)?.delivery;
        if let Some(retracted) = sheet.as_ref().and_then(advice::of_retracted) {
            say!("{}", shown(&retracted));
        }
    }
    Ok(())
}

/// Runs CU1 alone.
pub fn transfer(site: Option<PathBuf>, arguments: &TransferArguments) -> anyhow::Result<Exit> {
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

/// Opens a site for work with a progress display.
pub fn open(site: Site, why: &str) -> anyhow::Result<Night> {
    let mut night = Night::open(site, why)?;
    night.show(Arc::new(report::Bars::default()));
    Ok(night)
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
            tell!(WARN, "skipped", source = name, "{name}: {directory} is skipped: {why}");
        }
        let deliveries = found.names;
        all.extend(deliveries.into_iter().map(|delivery| (Rc::clone(&origin), delivery)));
    }
    Ok(all)
}

/// Runs one use case alone, without ingest.
pub fn step(
    site: Option<PathBuf>,
    use_case: UseCase,
    arguments: &StepArguments,
) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if arguments.dry_run {
        let deliveries = chosen(&site.read()?, &arguments.of.scope())?;
        return planned(&site, &[use_case], &deliveries);
    }
    let is_named = !arguments.of.scope().is_all();
    let has_scheduler = !arguments.force && gate::has_scheduler(&site);
    if arguments.lost && use_case != UseCase::Preview {
        return Err(exit::usage("--lost is for previews"));
    }
    let asks = arguments.again || arguments.lost;
    if has_scheduler && !asks {
        gate::alone(&site, &[Advice::Plan])?;
    }
    let mut night = open(site, use_case.name())?;
    if arguments.force {
        night.force();
    }
    let deliveries = night.chosen(&arguments.of.scope())?;
    if is_named {
        night.admit(&deliveries, &[use_case])?;
    }
    if arguments.again {
        night.ask_again(&arguments.of.scope(), use_case)?;
    }
    if arguments.lost {
        let asked = night.ask_for_lost(&deliveries)?;
        say!("{} with lost previews", counted(asked, "multiframe"));
    }
    if has_scheduler {
        say!("the data daemon does it: {}", advice::command(&Advice::Plan));
        return Ok(Exit::Done);
    }
    night.work(&deliveries, &[use_case], false)?;
    gate::tell_held(&night.stopped);
    // The exit code reports stopped work only for deliveries that were named: without names, all permitted work is wanted.
    if !is_named {
        night.stopped.clear();
    }
    let waits: Vec<_> = night.waits.iter().filter(|w| w.use_case == use_case).collect();
    if !night.counts().is_empty() || waits.is_empty() {
        report(&night);
    } else {
        tell_blocked(&night);
        say!("nothing can be done now: {} wait", counted(waits.len() as u64, "file"));
        for wait in waits.iter().take(10) {
            say!("waits: {}: {}", shown(&wait.file), shown(&wait.why));
        }
        if waits.len() > 10 {
            say!("waits: {} more", waits.len() - 10);
        }
    }
    Ok(ended(&mut night))
}

/// Runs ingest alone.
pub fn ingest(site: Option<PathBuf>, arguments: &IngestArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if arguments.dry_run {
        return ingestible(&site, &arguments.of.scope());
    }
    let mut night = open(site, "ingest")?;
    let deliveries = night.chosen(&arguments.of.scope())?;
    night.ingest(&deliveries)?;
    report(&night);
    Ok(ended(&mut night))
}

/// Shows the files that a transfer would fetch. Returns the names of the deliveries.
fn expected(
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

/// Shows the rounds that steps would open, and the files that wait.
fn planned(site: &Site, use_cases: &[UseCase], deliveries: &[String]) -> anyhow::Result<Exit> {
    let (archive, profiles) = (site.read()?, site.profiles()?);
    let mut rounds = Table::new(["delivery", "use case", "files", "tasks", "why"]);
    let mut waits = Table::new(["waits", "delivery", "why"]);
    for name in deliveries {
        let plan = plan(site, &profiles, &archive.delivery_work(name)?, use_cases, 0);
        for round in &plan.rounds {
            let files: usize = round.tasks.iter().map(|t| t.inputs.len()).sum();
            rounds.row([
                name.clone(),
                round.use_case.name().to_owned(),
                grouped(files as u64),
                grouped(round.tasks.len() as u64),
                round.why.clone(),
            ]);
        }
        for wait in &plan.waits {
            waits.row([wait.file.clone(), name.clone(), wait.why.clone()]);
        }
    }
    for table in [rounds, waits].iter().filter(|table| !table.is_empty()) {
        say!("{}", table.text());
    }
    Ok(Exit::Done)
}

/// Shows the batches that ingest would make visible, and those that wait.
fn ingestible(site: &Site, scope: &Scope) -> anyhow::Result<Exit> {
    let archive = site.read()?;
    let deliveries = chosen(&archive, scope)?;
    let mut table = Table::new(["batch", "waits for"]);
    for round in archive.staged_rounds()? {
        if deliveries.contains(&round.unit.delivery) {
            table.row([round.unit.to_string(), round.blocked.unwrap_or_default()]);
        }
    }
    if !table.is_empty() {
        say!("{}", table.text());
    }
    Ok(Exit::Done)
}

/// Records the end of the work in the site's log.
fn ended(night: &mut Night) -> Exit {
    let exit = exit_of(night);
    night.ended(exit as i32);
    exit
}

/// Returns the exit code for the work until now.
pub fn exit_of(night: &Night) -> Exit {
    if night.interrupted() {
        Exit::Interrupted
    } else if !night.postponed.is_empty() || !night.not_brought.is_empty() {
        Exit::Infrastructure
    } else if night.busy_elsewhere > 0 || !night.stopped.is_empty() || !night.blocked.is_empty() {
        Exit::Conflict
    } else if night.new_refusals() > 0 {
        Exit::Refusals
    } else {
        Exit::Done
    }
}

/// Prints the summary of each step.
pub fn report(night: &Night) {
    say_part!("{}", summary(night));
    if night.busy_elsewhere > 0 {
        let tasks = counted(night.busy_elsewhere, "task");
        tell!(WARN, "busy", "{tasks} not done here: another process works on them");
    }
    tell_blocked(night);
    for (unit, why) in &night.postponed {
        tell!(
            WARN,
            "postponed",
            delivery = unit.delivery,
            use_case = unit.use_case.name(),
            round = unit.round,
            "{unit} is not ingested yet, try again: {why}"
        );
    }
    for (file, why) in &night.not_brought {
        tell!(WARN, "not_fetched", file, "{file} is not brought yet, try again: {why}");
    }
}

/// Names the units that this machine cannot do.
fn tell_blocked(night: &Night) {
    for ((delivery, use_case), why) in &night.blocked {
        tell!(
            WARN,
            "not_done",
            delivery,
            use_case = use_case.name(),
            "{delivery}/{use_case} is not done: {why}"
        );
    }
}

const STEPS: [&str; 5] = ["transfer", "preview", "metadata", "catalogue", "ingest"];

/// Returns a line per step that did something.
pub fn summary(night: &Night) -> String {
    let idle = |c: &Counts| c.files + c.detectors + c.detections + c.previews + c.refusals == 0;
    let is_left = !night.blocked.is_empty() || !night.stopped.is_empty();
    if night.counts().values().all(idle) {
        return match night.busy_elsewhere {
            0 if is_left => "nothing was done\n".to_owned(),
            0 => "everything was there already: nothing to do\n".to_owned(),
            n => format!("{n} tasks are being done by another process\n"),
        };
    }
    let mut table = Table::new([
        "step",
        "files",
        "detectors",
        "detections",
        "previews",
        "refusals",
        "seconds",
        "rate",
    ]);
    for (name, counts) in STEPS.iter().filter_map(|name| night.counts().get_key_value(name)) {
        let rate = match *name {
            "transfer" if counts.seconds > 0.0 => byte_rate(counts.bytes, counts.seconds),
            "preview" => format!("{} previews", rate(counts.previews, counts.seconds)),
            "metadata" => format!("{} files", rate(counts.files, counts.seconds)),
            _ => format!("{} detections", rate(counts.detections, counts.seconds)),
        };
        table.row([
            (*name).to_owned(),
            grouped(counts.files),
            grouped(counts.detectors),
            grouped(counts.detections),
            grouped(counts.previews),
            grouped(counts.refusals),
            format!("{:.1}", counts.seconds),
            rate,
        ]);
    }
    let mut text = table.text();
    if night.new_refusals() > 0 {
        text += &format!(
            "\n{}: {}\n",
            counted(night.new_refusals(), "new refusal"),
            advice::command(&Advice::Refusals)
        );
    }
    text += &super::findings::pointer(night.site(), &night.deliveries);
    if night.interrupted() {
        text += "interrupted: what was done stays done, run again to go on\n";
    }
    text
}
