//! `almagest status`.

use crate::daemon::arrivals::{self, State as Arrivals};
use crate::daemon::state::{self, State};
use crate::data;
use crate::data::document::duration;
use crate::data::state::State as DataState;
use crate::exit::{self, Exit};
use crate::report::{Table, byte_rate, bytes, grouped, rate, say, say_part, shown};
use crate::site::{self, Site};
use archive::Inquiry;
use archive::report::{Rate, Status};
use serde_json::json;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    /// Show it anew every two seconds, until Ctrl-C.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Prints where everything stands.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if arguments.watch {
        return watch(&site);
    }
    let archive = site.read()?;
    let (status, rates) = (archive.status()?, archive.rates()?);
    let data = data::state::read(&data::state::directory(&site.place.logs()));
    let data = data.filter(|state| state.state != "stopped");
    let ingester = state::read(&state::directory(&site.place.logs()));
    let ingester = ingester.filter(|state| state.state != "stopped");
    let arrivals = arrivals::read(&site.place.logs()).filter(|state| state.state != "stopped");
    if arguments.json {
        let mut value = serde_json::to_value(&status)?;
        value["rates"] = json!(rates);
        value["ingester"] = json!(
            ingester.as_ref().map(|state| { json!({ "alive": state.is_alive(), "state": state }) })
        );
        value["data_daemon"] = json!(
            data.as_ref().map(|state| { json!({ "alive": state.is_alive(), "state": state }) })
        );
        value["sources"] = json!(
            arrivals.as_ref().map(|state| { json!({ "alive": state.is_alive(), "state": state }) })
        );
        say!("{}", crate::report::json(&value)?);
    } else {
        let daemons = Daemons { arrivals, data, ingester };
        say_part!("{}", whole(&status, &rates, &daemons));
    }
    Ok(Exit::Done)
}

/// What the daemons say of themselves, as far as there are any.
struct Daemons {
    arrivals: Option<Arrivals>,
    data: Option<DataState>,
    ingester: Option<State>,
}

fn whole(status: &Status, rates: &[Rate], daemons: &Daemons) -> String {
    let mut whole = text(status, rates);
    if let Some(state) = &daemons.arrivals {
        whole += &format!("\n{}", sources_text(state, status));
    }
    if let Some(state) = &daemons.data {
        whole += &format!("\n{}", data_text(state));
    }
    if let Some(state) = &daemons.ingester {
        whole += &format!("\n{}", ingester_text(state));
    }
    whole
}

/// A live view: what is unfinished, on one screen.
fn watch(site: &Site) -> anyhow::Result<Exit> {
    if !std::io::stdout().is_terminal() {
        return Err(exit::usage("--watch is for a terminal; --json is for programs"));
    }
    let stop = crate::daemon::stop_flag()?;
    let archive = site.read()?;
    let mut last: Option<(Instant, u64)> = None;
    while !stop.load(Ordering::Relaxed) {
        let mut status = archive.status()?;
        let all = status.deliveries.len();
        status.deliveries.retain(|d| d.state != "complete");
        let done = all - status.deliveries.len();
        let over: u64 =
            status.deliveries.iter().flat_map(|d| &d.rounds).map(|r| u64::from(r.tasks_over)).sum();
        let rate = last
            .map(|(at, before)| over.saturating_sub(before) as f64 / at.elapsed().as_secs_f64());
        last = Some((Instant::now(), over));
        let data = data::state::read(&data::state::directory(&site.place.logs()));
        let ingester = state::read(&state::directory(&site.place.logs()));
        let arrivals = arrivals::read(&site.place.logs());
        let daemons = Daemons { arrivals, data, ingester };
        let text = whole(&status, &archive.rates()?, &daemons);
        // Home, and clear what was there, line by line: no flicker.
        let lines: String = text.lines().map(|line| format!("{line}\x1b[K\n")).collect();
        say_part!(
            "\x1b[H{}  {} complete, {} unfinished; {:.1} tasks/s\x1b[K\n\x1b[K\n{lines}\x1b[J",
            site::now().format("%Y-%m-%d %H:%M:%S UTC"),
            grouped(done as u64),
            grouped((all - done) as u64),
            rate.unwrap_or(0.0)
        );
        crate::daemon::sleep(WATCH_EVERY, &stop);
    }
    Ok(Exit::Done)
}

/// The computers and what they do.
fn data_text(state: &DataState) -> String {
    if !state.is_alive() {
        return format!(
            "the data daemon (pid {}, begun {}) is gone: almagest daemon data\n",
            state.pid(),
            state.began
        );
    }
    let mut text = format!(
        "data daemon: {}, {} executor, pid {} since {}; {} tasks sent, {} done, {} failed or lost{}\n",
        state.state,
        state.executor,
        state.pid(),
        state.began,
        grouped(state.sent),
        grouped(state.taken),
        grouped(state.failed),
        state
            .expected_end
            .as_ref()
            .map(|end| format!("; all done at about {end}"))
            .unwrap_or_default()
    );
    if let Some(fault) = &state.fault {
        text += &format!("  {}\n", shown(fault));
    }
    let mut hosts =
        Table::new(["host", "cores", "memory", "load", "users", "running", "waiting", ""]);
    for host in &state.hosts {
        let load = match (host.load, host.load_minutes) {
            (Some(load), Some(minutes)) => format!("{load:.2} ({minutes} min)"),
            _ => String::new(),
        };
        hosts.row([
            host.host.clone(),
            host.cores.to_string(),
            bytes(host.memory_bytes),
            load,
            host.users.join(" "),
            grouped(host.running),
            grouped(host.waiting),
            host.closed.clone().unwrap_or_default(),
        ]);
    }
    let mut attempts = Table::new(["running", "task", "attempt", "on", "files", "for"]);
    for attempt in state.attempts.iter().filter(|a| !a.waits).take(20) {
        attempts.row([
            attempt.unit.clone(),
            attempt.task.to_string(),
            attempt.attempt.to_string(),
            attempt.host.clone(),
            attempt.files.map(|(done, all)| format!("{done}/{all}")).unwrap_or_default(),
            duration(attempt.seconds),
        ]);
    }
    for table in [hosts, attempts].iter().filter(|table| !table.is_empty()) {
        text += &format!("\n{}", table.text());
    }
    text
}

/// What the ingester does, in a few lines.
fn ingester_text(state: &State) -> String {
    if !state.is_alive() {
        return format!(
            "the ingester (pid {}, begun {}) is gone: almagest daemon ingest\n",
            state.pid(),
            state.began
        );
    }
    let mut text = format!(
        "ingester: {}, pid {} since {}; {} passes, the last at {}; {} batches published, {} refused, {} blocked\n",
        state.state,
        state.pid(),
        state.began,
        grouped(state.passes),
        state.last_pass.as_deref().unwrap_or("no time yet"),
        grouped(state.published),
        grouped(state.refused),
        grouped(state.blocked)
    );
    for line in state.postponed.iter().chain(&state.fault) {
        text += &format!("  {}\n", shown(line));
    }
    text
}

fn text(status: &Status, rates: &[Rate]) -> String {
    if status.deliveries.is_empty() {
        return "no deliveries yet: almagest run DELIVERY_DIR\n".to_owned();
    }
    let tables = [
        deliveries(status),
        incomplete(status),
        unfinished(status),
        programmes(status),
        of_late(rates),
    ];
    let shown: Vec<String> = tables.iter().filter(|t| !t.is_empty()).map(Table::text).collect();
    let mut text = shown.join("\n");
    if status.open_refusals + status.parked_refusals > 0 {
        text += &format!(
            "\nopen refusals: {}, parked: {}: almagest refusals list\n",
            grouped(status.open_refusals),
            grouped(status.parked_refusals)
        );
    }
    if status.unsound_files > 0 {
        text += &format!(
            "\nfiles of the library that are rotten or lost: {}: almagest reconcile\n",
            grouped(status.unsound_files)
        );
    }
    let findings: u64 = status.deliveries.iter().map(|d| d.findings).sum();
    if findings > 0 {
        text += &format!(
            "\n{} kinds of findings in what was accepted: almagest findings\n",
            grouped(findings)
        );
    }
    text
}

fn deliveries(status: &Status) -> Table {
    let mut table = Table::new([
        "delivery",
        "state",
        "images",
        "detectors",
        "multiframes",
        "detections",
        "previews",
        "refusals",
        "parked",
        "findings",
        "size",
    ]);
    for d in &status.deliveries {
        table.row([
            d.name.clone(),
            d.state.clone(),
            grouped(d.images),
            grouped(d.detectors),
            grouped(d.multiframes),
            grouped(d.detections),
            grouped(d.previews),
            grouped(d.open_refusals),
            grouped(d.parked_refusals),
            grouped(d.findings),
            bytes(d.bytes),
        ]);
    }
    table
}

/// Deliveries of which something is known to be still to come.
fn incomplete(status: &Status) -> Table {
    let mut table = Table::new(["delivery", "not complete"]);
    for d in &status.deliveries {
        if let Some(awaited) = &d.awaited {
            table.row([d.name.clone(), awaited.clone()]);
        }
    }
    table
}

/// What the sources do, in a few lines.
fn sources_text(state: &Arrivals, status: &Status) -> String {
    if !state.is_alive() {
        return "the loop that watches the sources is gone: almagest daemon transfer\n".to_owned();
    }
    let mut table = Table::new(["source", "state", "looked", "where", ""]);
    let mut awaited = Table::new(["source", "delivery", "not complete"]);
    for (name, source) in &state.sources {
        table.row([
            name.clone(),
            source.state.clone(),
            source.looked.clone().unwrap_or_default(),
            source.address.clone(),
            source.fault.clone().unwrap_or_default(),
        ]);
        // What the archive knows is told above.
        let is_told = |name: &String| status.deliveries.iter().any(|d| d.name == *name);
        for (delivery, what) in source.awaited.iter().filter(|(name, _)| !is_told(name)) {
            awaited.row([name.clone(), delivery.clone(), what.clone()]);
        }
    }
    let tables = [table, awaited];
    tables.iter().filter(|t| !t.is_empty()).map(Table::text).collect::<Vec<_>>().join("\n")
}

/// Rounds that are not ingested.
fn unfinished(status: &Status) -> Table {
    let mut table = Table::new(["delivery", "use case", "round", "state", "tasks", "why"]);
    for delivery in &status.deliveries {
        for round in delivery.rounds.iter().filter(|r| r.state != "ingested") {
            table.row([
                delivery.name.clone(),
                round.use_case.clone(),
                round.round.to_string(),
                round.state.clone(),
                format!("{}/{}", round.tasks_over, round.tasks),
                round.why.clone(),
            ]);
        }
    }
    table
}

fn programmes(status: &Status) -> Table {
    let mut table = Table::new(["programme", "name", "detections", "last object id"]);
    for p in status.programmes.iter().filter(|p| p.detections > 0) {
        table.row([
            p.programme_id.to_string(),
            p.name.clone(),
            grouped(p.detections),
            grouped(p.last_obj_id.unsigned_abs()),
        ]);
    }
    table
}

/// What a core of each host did of late: all tasks have one.
fn of_late(rates: &[Rate]) -> Table {
    let mut table = Table::new(["use case", "on", "tasks of late", "each", "input", "rows"]);
    for r in rates {
        let each = r.seconds / r.tasks as f64;
        table.row([
            r.use_case.clone(),
            r.host.clone(),
            grouped(r.tasks),
            if each < 10.0 { format!("{each:.1} s") } else { duration(each) },
            byte_rate(r.input_bytes, r.seconds),
            rate(r.rows, r.seconds),
        ]);
    }
    table
}
