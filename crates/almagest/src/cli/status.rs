//! `almagest status`.

use crate::exit::{self, Exit};
use crate::report::{Table, byte_rate, bytes, counted, grouped, rate, say, say_part, shown, utc};
use archive::Reader;
use archive::deliveries::DeliveryState;
use archive::planning::Standing;
use archive::status::{Rate, Status, StatusFilter};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use curate::advice;
use curate::arrivals::{self, ArrivalsState, ArrivalsStatus};
use curate::ingester::state::{self, IngesterState, IngesterStatus};
use curate::notify;
use curate::scheduler;
use curate::scheduler::document::duration;
use curate::scheduler::state::{SchedulerState, SchedulerStatus};
use curate::scope::{Scope, chosen};
use curate::site::{self, Site};
use model::{Advice, DeliveryName, Night, UnitState};
use serde_json::json;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Lists unfinished deliveries, then the latest ones, 20 in all, and counts the rest. --json lists
all, unless restricted by an option.")]
pub struct Arguments {
    /// All deliveries.
    #[arg(long)]
    all: bool,
    /// At most N deliveries.
    #[arg(long, value_name = "N", conflicts_with = "all")]
    limit: Option<u32>,
    /// Only deliveries of this observing night; may be repeated.
    #[arg(long, value_name = "YYYYMMDD")]
    night: Vec<Night>,
    /// Only this delivery; may be repeated.
    #[arg(long, value_name = "NAME")]
    delivery: Vec<DeliveryName>,
    /// Only deliveries in this state.
    #[arg(long, value_parser = state_parser())]
    state: Option<DeliveryState>,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    /// Refresh every two seconds, until Ctrl-C.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

/// Returns the parser of `--state`.
fn state_parser() -> impl TypedValueParser<Value = DeliveryState> {
    PossibleValuesParser::new(DeliveryState::ALL.map(DeliveryState::name))
        .try_map(|name| name.parse::<DeliveryState>())
}

/// Maximum number of lines of a table that is cut.
const LINES: usize = 20;
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Prints the state of the site.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if arguments.watch {
        return watch(&site);
    }
    let archive = site.read()?;
    let (status, rates) = (archive.status_of(&filter(&archive, arguments)?)?, archive.rates()?);
    let data = scheduler::state::read(&scheduler::state::directory(&site.place.logs()));
    let data = data.filter(|state| state.state != SchedulerState::Stopped);
    let ingester = state::read(&state::directory(&site.place.logs()));
    let ingester = ingester.filter(|state| state.state != IngesterState::Stopped);
    let arrivals = arrivals::read(&site.place.logs());
    let arrivals = arrivals.filter(|state| state.state != ArrivalsState::Stopped);
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
        value["notify_fault"] = json!(notify::fault(&site));
        say!("{}", crate::report::json(&value)?);
    } else {
        let daemons = Daemons { arrivals, data, ingester };
        let standing = archive.instructions()?;
        say_part!("{}", whole(&status, &rates, &standing, &daemons, arguments.all));
        if let Some(fault) = notify::fault(&site) {
            say!("\nnotifications fail: {}", shown(&fault));
        }
    }
    Ok(Exit::Done)
}

/// Returns the filter of the listed deliveries. A misspelt name is an error, no delivery without work.
fn filter(archive: &Reader, arguments: &Arguments) -> anyhow::Result<StatusFilter> {
    let scope = Scope { nights: arguments.night.clone(), deliveries: arguments.delivery.clone() };
    if !scope.is_all() {
        chosen(archive, &scope)?;
    }
    let is_cut = !arguments.all && !arguments.json && arguments.delivery.is_empty();
    Ok(StatusFilter {
        deliveries: arguments.delivery.clone(),
        nights: arguments.night.clone(),
        state: arguments.state,
        at_most: arguments.limit.or(is_cut.then_some(LINES as u32)),
    })
}

/// The states that the daemons recorded, where they exist.
struct Daemons {
    arrivals: Option<ArrivalsStatus>,
    data: Option<SchedulerStatus>,
    ingester: Option<IngesterStatus>,
}

fn whole(
    status: &Status,
    rates: &[Rate],
    standing: &[Standing],
    daemons: &Daemons,
    is_all: bool,
) -> String {
    let mut whole = text(status, rates, is_all);
    let stopped: Vec<Standing> = standing.iter().filter(|s| s.is_stop()).cloned().collect();
    if !stopped.is_empty() {
        whole += &format!("\n{}", super::instruction::paused(&stopped));
    }
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

/// Shows a live view: unfinished work, on one screen.
fn watch(site: &Site) -> anyhow::Result<Exit> {
    if !std::io::stdout().is_terminal() {
        return Err(exit::usage("--watch is for a terminal; --json is for programs"));
    }
    let stop = curate::loops::stop_flag()?;
    let archive = site.read()?;
    let mut last: Option<(Instant, u64)> = None;
    while !stop.load(Ordering::Relaxed) {
        let filter = StatusFilter { at_most: Some(LINES as u32), ..StatusFilter::default() };
        let mut status = archive.status_of(&filter)?;
        let all: u64 = status.delivery_states.values().sum();
        let done = status.delivery_states.get(&DeliveryState::Complete).copied().unwrap_or(0);
        status.deliveries.retain(|d| d.state != DeliveryState::Complete);
        let over: u64 =
            status.deliveries.iter().flat_map(|d| &d.rounds).map(|r| u64::from(r.tasks_over)).sum();
        let rate = last
            .map(|(at, before)| over.saturating_sub(before) as f64 / at.elapsed().as_secs_f64());
        last = Some((Instant::now(), over));
        let data = scheduler::state::read(&scheduler::state::directory(&site.place.logs()));
        let ingester = state::read(&state::directory(&site.place.logs()));
        let arrivals = arrivals::read(&site.place.logs());
        let daemons = Daemons { arrivals, data, ingester };
        let text = whole(&status, &archive.rates()?, &archive.instructions()?, &daemons, true);
        // Moves home and clears the rest of each line: no flicker.
        let lines: String = text.lines().map(|line| format!("{line}\x1b[K\n")).collect();
        say_part!(
            "\x1b[H{}  {} complete, {} unfinished; {:.1} tasks/s\x1b[K\n\x1b[K\n{lines}\x1b[J",
            site::now().format("%Y-%m-%d %H:%M:%S UTC"),
            grouped(done),
            grouped(all - done),
            rate.unwrap_or(0.0)
        );
        curate::loops::sleep(WATCH_EVERY, &stop);
    }
    Ok(Exit::Done)
}

/// Returns the hosts and their work.
fn data_text(state: &SchedulerStatus) -> String {
    if !state.is_alive() {
        return format!(
            "the data daemon (pid {}, started {} UTC) has stopped: {}\n",
            state.pid(),
            utc(state.began.get()),
            advice::command(&Advice::DaemonData)
        );
    }
    let mut text = format!(
        "data daemon: {}, {} executor, pid {} since {} UTC; {} tasks sent, {} done, {} failed or lost{}\n",
        state.state,
        state.executor,
        state.pid(),
        utc(state.began.get()),
        grouped(state.sent),
        grouped(state.accepted),
        grouped(state.failed),
        state
            .expected_end
            .map(|end| format!("; all done at about {} UTC", utc(end.get())))
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
            host.host.to_string(),
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
            attempt.host.to_string(),
            attempt.files.map(|(done, all)| format!("{done}/{all}")).unwrap_or_default(),
            duration(attempt.seconds),
        ]);
    }
    for table in [hosts, attempts].iter().filter(|table| !table.is_empty()) {
        text += &format!("\n{}", table.text());
    }
    text
}

/// Returns the work of the ingester, in a few lines.
fn ingester_text(state: &IngesterStatus) -> String {
    if !state.is_alive() {
        return format!(
            "the ingester (pid {}, started {} UTC) has stopped: {}\n",
            state.pid(),
            utc(state.began.get()),
            advice::command(&Advice::DaemonIngest)
        );
    }
    let mut text = format!(
        "ingester: {}, pid {} since {} UTC; {} passes, the last at {}; {} batches published, {} refused, {} blocked\n",
        state.state,
        state.pid(),
        utc(state.began.get()),
        grouped(state.passes),
        state.last_pass.map_or("no time yet".to_owned(), |t| format!("{} UTC", utc(t.get()))),
        grouped(state.published),
        grouped(state.refused),
        grouped(state.blocked)
    );
    for line in state.postponed.iter().chain(&state.fault).chain(&state.port_fault) {
        text += &format!("  {}\n", shown(line));
    }
    text
}

fn text(status: &Status, rates: &[Rate], is_all: bool) -> String {
    let known: u64 = status.delivery_states.values().sum();
    if known == 0 {
        let run = Advice::Run { place: "DELIVERY_DIR".to_owned() };
        return format!("no deliveries yet: {}\n", advice::command(&run));
    }
    let mut parts = Vec::new();
    for table in [deliveries(status), incomplete(status), unfinished(status)] {
        if !table.is_empty() {
            parts.push(if is_all { table.text() } else { table.first(LINES) });
        }
    }
    if let Some(line) = cut(status, known) {
        let at = parts.len().min(1);
        parts.insert(at, line);
    }
    parts.extend(
        [programmes(status), recent_tasks(rates)].iter().filter(|t| !t.is_empty()).map(Table::text),
    );
    let mut text = parts.join("\n");
    if status.open_refusals + status.parked_refusals > 0 {
        text += &format!(
            "\nopen refusals: {}, parked: {}: {}\n",
            grouped(status.open_refusals),
            grouped(status.parked_refusals),
            advice::command(&Advice::Refusals)
        );
    }
    if status.unsound_files > 0 {
        text += &format!(
            "\n{} of the library damaged or lost: {}\n",
            counted(status.unsound_files, "file"),
            advice::command(&Advice::Reconcile)
        );
    }
    if status.kept_products > 0 {
        text += &format!(
            "\n{} kept because newer frames or catalogues lack them: {}\n",
            counted(status.kept_products, "older product"),
            advice::command(&Advice::Findings)
        );
    }
    if status.findings > 0 {
        text += &format!(
            "\n{} in accepted files: {}\n",
            counted(status.findings, "finding"),
            advice::command(&Advice::Findings)
        );
    }
    text
}

/// Returns a line about the deliveries that the list omits.
fn cut(status: &Status, known: u64) -> Option<String> {
    let left = known.saturating_sub(status.deliveries.len() as u64);
    if left == 0 {
        return None;
    }
    let states: Vec<String> = status
        .delivery_states
        .iter()
        .map(|(state, count)| format!("{} {state}", grouped(*count)))
        .collect();
    let rounds = match status.open_rounds {
        0 => String::new(),
        n => format!("; {} not finished", counted(n, "round")),
    };
    Some(format!(
        "{} of {} listed ({}{rounds}): {}, or --night, --delivery, --state, --limit\n",
        grouped(status.deliveries.len() as u64),
        counted(known, "delivery"),
        states.join(", "),
        advice::command(&Advice::StatusAll)
    ))
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
    for d in status.deliveries.iter().rev() {
        table.row([
            d.name.to_string(),
            d.state.to_string(),
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

/// Returns a table of the deliveries with awaited files.
fn incomplete(status: &Status) -> Table {
    let mut table = Table::new(["delivery", "not complete"]);
    for d in status.deliveries.iter().rev() {
        if let Some(awaited) = &d.awaited {
            table.row([d.name.to_string(), awaited.clone()]);
        }
    }
    table
}

/// Returns the state of the sources, in a few lines.
fn sources_text(state: &ArrivalsStatus, status: &Status) -> String {
    if !state.is_alive() {
        return format!(
            "the transfer daemon has stopped: {}\n",
            advice::command(&Advice::DaemonTransfer)
        );
    }
    let mut table = Table::new(["source", "state", "scanned (UTC)", "where", ""]);
    let mut awaited = Table::new(["source", "delivery", "not complete"]);
    for (name, source) in &state.sources {
        table.row([
            name.clone(),
            source.state.to_string(),
            source.scanned.map(|scanned| utc(scanned.get())).unwrap_or_default(),
            source.address.clone(),
            source.fault.clone().unwrap_or_default(),
        ]);
        // Deliveries that the archive knows are reported above.
        let is_listed = |name: &String| status.deliveries.iter().any(|d| d.name == *name);
        for (delivery, what) in source.awaited.iter().filter(|(name, _)| !is_listed(name)) {
            awaited.row([name.clone(), delivery.clone(), what.clone()]);
        }
    }
    let tables = [table, awaited];
    tables.iter().filter(|t| !t.is_empty()).map(Table::text).collect::<Vec<_>>().join("\n")
}

/// Returns a table of the rounds that are not ingested.
fn unfinished(status: &Status) -> Table {
    let mut table = Table::new(["delivery", "use case", "round", "state", "tasks", "why"]);
    for delivery in status.deliveries.iter().rev() {
        for round in delivery.rounds.iter().filter(|r| r.state != UnitState::Ingested) {
            let (state, why) = match &round.paused {
                None => (round.state.to_string(), round.why.clone()),
                Some(why) => (format!("{}, paused", round.state), why.clone()),
            };
            table.row([
                delivery.name.to_string(),
                round.use_case.clone(),
                round.round.to_string(),
                state,
                format!("{}/{}", round.tasks_over, round.tasks),
                why,
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
            p.name.to_string(),
            grouped(p.detections),
            grouped(p.last_obj_id.map_or(0, |id| id.get().unsigned_abs())),
        ]);
    }
    table
}

/// Returns the recent throughput of a core of each host: all tasks have one core.
fn recent_tasks(rates: &[Rate]) -> Table {
    let mut table = Table::new(["use case", "on", "recent tasks", "each", "input", "rows"]);
    for r in rates {
        let each = r.seconds / r.tasks as f64;
        table.row([
            r.use_case.clone(),
            r.host.to_string(),
            grouped(r.tasks),
            if each < 10.0 { format!("{each:.1} s") } else { duration(each) },
            byte_rate(r.input_bytes, r.seconds),
            rate(r.rows, r.seconds),
        ]);
    }
    table
}
