//! The work of a night in a terminal: opened with a progress display, summarized at the end, with an exit code.

use crate::exit::Exit;
use crate::report::{self, Table, byte_rate, counted, grouped, rate, say, say_part, shown, tell};
use archive::explain::sheets::Asked;
use archive::status::StatusFilter;
use curate::advice;
use curate::counts::Counts;
use curate::log::of_round;
use curate::site::Site;
use curate::steps::NightRun;
use model::{Advice, DeliveryName, UnitState, UseCase};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Opens a site for work with a progress display.
pub fn open(site: Site, why: &str) -> anyhow::Result<NightRun> {
    let mut night = NightRun::open(site, why)?;
    night.show(Arc::new(report::Bars::default()));
    Ok(night)
}

/// Records the end of the work in the site's log.
pub fn ended(night: &mut NightRun) -> Exit {
    let exit = exit_of(night);
    night.ended(exit as i32);
    exit
}

/// Returns the exit code for the work until now.
pub fn exit_of(night: &NightRun) -> Exit {
    if night.interrupted() {
        Exit::Interrupted
    } else if !night.postponed.is_empty() || !night.not_fetched.is_empty() {
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
pub fn report(night: &NightRun) {
    say_part!("{}", summary(night));
    tell_left(night);
}

/// Prints the summary of each step in words, or as one JSON object.
pub fn report_as(night: &NightRun, is_json: bool) -> anyhow::Result<()> {
    if !is_json {
        report(night);
        return Ok(());
    }
    say!("{}", report::json(&as_json(night, false))?);
    tell_left(night);
    Ok(())
}

/// Returns the summary for `--json`. What is `left_to_daemon` is only requested here.
pub fn as_json(night: &NightRun, left_to_daemon: bool) -> Value {
    let steps: Map<String, Value> = STEPS
        .iter()
        .filter_map(|name| night.counts().get_key_value(name))
        .map(|(name, c)| {
            let counts = json!({
                "files": c.files, "detectors": c.detectors, "detections": c.detections, "previews": c.previews,
                "bytes": c.bytes, "refusals": c.refusals, "seconds": c.seconds,
            });
            ((*name).to_owned(), counts)
        })
        .collect();
    let unit = |delivery: &DeliveryName, use_case: UseCase, why: &str| json!({"unit": format!("{delivery}/{use_case}"), "why": why});
    let waits = night.waits.iter().map(|w| json!({"file": w.file, "why": w.why}));
    let stopped =
        night.stopped.iter().map(|h| unit(&h.delivery, h.use_case, &h.standing.to_string()));
    let blocked = night.blocked.iter().map(|((d, use_case), why)| unit(d, *use_case, why));
    let postponed =
        night.postponed.iter().map(|(unit, why)| json!({"unit": unit.to_string(), "why": why}));
    let not_fetched = night.not_fetched.iter().map(|(file, why)| json!({"file": file, "why": why}));
    json!({
        "steps": steps,
        "waits": waits.collect::<Vec<_>>(),
        "stopped": stopped.collect::<Vec<_>>(),
        "blocked": blocked.collect::<Vec<_>>(),
        "postponed": postponed.collect::<Vec<_>>(),
        "not_fetched": not_fetched.collect::<Vec<_>>(),
        "busy_elsewhere": night.busy_elsewhere,
        "interrupted": night.interrupted(),
        "left_to_daemon": left_to_daemon,
    })
}

/// Reports unfinished work on stderr.
fn tell_left(night: &NightRun) {
    if night.busy_elsewhere > 0 {
        let tasks = counted(night.busy_elsewhere, "task");
        tell!(WARN, "busy", "{tasks} skipped: another process works on them");
    }
    tell_blocked(night);
    for (unit, why) in &night.postponed {
        of_round!(tell, unit; WARN, "postponed", "{unit} is not ingested yet, retry: {why}");
    }
    for (file, why) in &night.not_fetched {
        tell!(WARN, "not_fetched", file, "{file} is not fetched yet, retry: {why}");
    }
}

/// Names the units that this machine cannot do.
pub fn tell_blocked(night: &NightRun) {
    for ((delivery, use_case), why) in &night.blocked {
        tell!(
            WARN,
            "not_done",
            delivery = delivery.as_str(),
            use_case = use_case.name(),
            "{delivery}/{use_case} is not done: {why}"
        );
    }
}

const STEPS: [&str; 5] = ["transfer", "preview", "metadata", "catalogue", "ingest"];

/// Returns a line per step that did something.
pub fn summary(night: &NightRun) -> String {
    let idle = |c: &Counts| c.files + c.detectors + c.detections + c.previews + c.refusals == 0;
    let is_left = !night.blocked.is_empty() || !night.stopped.is_empty();
    if night.counts().values().all(idle) {
        return match night.busy_elsewhere {
            0 if is_left => "nothing was done\n".to_owned(),
            0 => "nothing to do: everything is in the archive already\n".to_owned(),
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
        text += "interrupted: finished work is kept, run again to resume\n";
    }
    text
}

/// Reports the deliveries that are retracted, with the commands that show them again: no step shows them again.
pub fn name_retracted(site: &Site, deliveries: &[DeliveryName]) -> anyhow::Result<()> {
    let archive = site.read()?;
    let filter = StatusFilter { deliveries: deliveries.to_vec(), ..StatusFilter::default() };
    let status = match deliveries {
        [] => Vec::new(),
        _ => archive.status_of(&filter)?.deliveries,
    };
    for delivery in status {
        if !delivery.rounds.iter().any(|round| round.state == UnitState::Retracted) {
            continue;
        }
        let asked = Asked { name: Some(delivery.name.into()), at_most: 1, ..Asked::default() };
        let sheet = archive.facts_about(&asked)?.delivery;
        if let Some(retracted) = sheet.as_ref().and_then(advice::of_retracted) {
            say!("{}", shown(&retracted));
        }
    }
    Ok(())
}
