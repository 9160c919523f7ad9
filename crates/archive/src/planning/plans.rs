//! Plans, instructions, and the hosts of attempts.

use crate::Timestamp;
use crate::attempts::AttemptKey;
use crate::deliveries::registration::delivery_id;
use crate::error::ArchiveFault;
use crate::history;
use crate::history::Cause;
use crate::planning::instructions::{damaged, instruct};
use crate::planning::*;
use crate::rounds::TaskKey;
use crate::rounds::{UNIT_COLUMNS, find, find_task, parsed, unit_of};
use crate::time::{text_of, time_of};
use engine::{Connection, Optional};
use model::{UnitKey, UnitState, UseCase};
use rusqlite::params;
use std::collections::BTreeSet;

/// Implements [`crate::Planning::decisions`].
pub(crate) fn decisions(
    c: &Connection,
    at_most: u32,
) -> Result<Latest<PlanDecision>, ArchiveFault> {
    let count = c.query_row("SELECT count(*) FROM plan_decision", [], |r| r.get(0))?;
    let mut select = c.prepare_cached(
        "SELECT plan_id, act, about, decided, who, why FROM plan_decision
         ORDER BY decided DESC, plan_id DESC, number DESC LIMIT ?1",
    )?;
    let rows = select.query_map([at_most], |r| {
        let texts: [String; 5] = [r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?];
        Ok((r.get::<i64>(0)?, texts))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (plan_id, [act, about, decided, who, why]) = row?;
        all.push(PlanDecision {
            plan_id,
            is_approval: act == "approve",
            about,
            decided: time_of(&decided)?,
            cause: Cause { who, why },
        });
    }
    all.reverse();
    Ok(Latest { rows: all, count })
}

/// Implements [`crate::Planning::unfinished_deliveries`].
pub(crate) fn unfinished_deliveries(c: &Connection) -> Result<Vec<Unfinished>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT delivery_id, name, state, last_arrival,
             (SELECT count(*) FROM redo JOIN file USING (file_id)
              WHERE redo.unit_id IS NULL AND file.delivery_id = delivery.delivery_id),
             CASE WHEN awaited IS NULL THEN 'all' ELSE 'more' END
         FROM delivery WHERE delivery_id IN (
             SELECT delivery_id FROM delivery WHERE state <> 'complete'
             UNION SELECT delivery_id FROM unit
                   WHERE state IN ('waiting', 'ready', 'proposed', 'approved', 'running', 'staged')
             UNION SELECT file.delivery_id FROM redo JOIN file USING (file_id) WHERE redo.unit_id IS NULL)
         ORDER BY delivery_id",
    )?;
    let rows = select.query_map([], |r| {
        let (state, arrival): (String, String) = (r.get(2)?, r.get(3)?);
        let redo: i64 = r.get(4)?;
        let more: String = r.get(5)?;
        Ok((r.get::<i64>(0)?, r.get(1)?, format!("{state} {arrival} {redo} {more}")))
    })?;
    let mut units = c.prepare_cached(
        "SELECT unit_id, state FROM unit WHERE delivery_id = ?1 ORDER BY unit_id",
    )?;
    let mut all = Vec::new();
    for row in rows.collect::<Result<Vec<_>, _>>()? {
        let (delivery, name, mut mark) = row;
        let of_unit = units.query_map([delivery], |r| {
            Ok(format!(" {}:{}", r.get::<i64>(0)?, r.get::<String>(1)?))
        })?;
        for unit in of_unit {
            mark += &unit?;
        }
        all.push(Unfinished { name, mark });
    }
    Ok(all)
}

/// Implements [`crate::Planning::open_tasks`].
pub(crate) fn open_tasks(c: &Connection) -> Result<Vec<OpenTask>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, task.number, delivery.night,
             input.files, input.bytes, tried.attempts, tried.memory_failures, tried.running,
             coalesce((SELECT memory_bytes FROM attempt_place
                       WHERE attempt_place.task_id = task.task_id ORDER BY number DESC LIMIT 1), 0),
             assignment.plan_id, assignment.host, assignment.starts, assignment.seconds, assignment.approved,
             assignment.is_bound
         FROM unit JOIN delivery USING (delivery_id) JOIN task USING (unit_id)
             JOIN (SELECT task_input.task_id, count(*) AS files,
                       sum(CASE WHEN unit.use_case = 'catalogue' THEN 0 ELSE file.bytes END
                           + coalesce(cat.bytes, 0)) AS bytes
                   FROM unit JOIN task USING (unit_id) JOIN task_input USING (task_id) JOIN image USING (multiframe_id)
                       JOIN file ON file.file_id = image.file_id
                       LEFT JOIN catalogue ON catalogue.multiframe_id = task_input.multiframe_id
                           AND catalogue.version = task_input.catalogue_version
                       LEFT JOIN file AS cat ON cat.file_id = catalogue.file_id
                   WHERE unit.state IN ('ready', 'proposed', 'approved', 'running') AND task.state = 'open'
                   GROUP BY task_input.task_id) AS input ON input.task_id = task.task_id
             JOIN (SELECT task.task_id, count(attempt.number) AS attempts,
                       count(CASE WHEN attempt.state = 'running' THEN 1 END) AS running,
                       count(CASE WHEN attempt_place.ended_by = 'memory' THEN 1 END) AS memory_failures
                   FROM unit JOIN task USING (unit_id)
                       LEFT JOIN attempt ON attempt.task_id = task.task_id
                       LEFT JOIN attempt_place ON attempt_place.task_id = attempt.task_id
                           AND attempt_place.number = attempt.number
                   WHERE unit.state IN ('ready', 'proposed', 'approved', 'running') AND task.state = 'open'
                   GROUP BY task.task_id) AS tried ON tried.task_id = task.task_id
             LEFT JOIN assignment ON assignment.task_id = task.task_id
         WHERE unit.state IN ('ready', 'proposed', 'approved', 'running') AND task.state = 'open'
         ORDER BY unit.delivery_id, unit.unit_id, task.number"
    ))?;
    let rows = select.query_map([], |r| {
        let unit = unit_of(r)?;
        let plan_id: Option<i64> = r.get(14)?;
        let starts: Option<String> = r.get(16)?;
        let assignment = match plan_id {
            Some(plan_id) => {
                Some((plan_id, r.get(15)?, r.get(17)?, r.get::<i64>(18)?, r.get::<i64>(19)?))
            }
            None => None,
        };
        let task = OpenTask {
            key: TaskKey { unit: unit.key, task: r.get(6)? },
            state: unit.state,
            night: r.get(7)?,
            order: unit.delivery_id,
            files: r.get(8)?,
            input_bytes: r.get(9)?,
            attempts: r.get(10)?,
            memory_failures: r.get(11)?,
            running: r.get::<i64>(12)? > 0,
            memory_bytes: r.get(13)?,
            assignment: None,
        };
        Ok((task, starts, assignment))
    })?;
    let mut tasks = Vec::new();
    for row in rows {
        let (mut task, starts, assignment) = row?;
        if let (Some(starts), Some((plan_id, host, seconds, approved, is_bound))) =
            (starts, assignment)
        {
            let starts = time_of(&starts)?;
            let (approved, is_bound) = (approved == 1, is_bound == 1);
            task.assignment =
                Some(Assignment { plan_id, host, starts, seconds, approved, is_bound });
        }
        tasks.push(task);
    }
    Ok(tasks)
}

/// Implements [`crate::Planning::recent_results`].
pub(crate) fn recent_results(c: &Connection, most: u32) -> Result<Vec<TaskUsage>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT unit.use_case, host, input_bytes, output_bytes, output_rows, seconds,
             peak_memory_bytes
         FROM attempt JOIN attempt_place USING (task_id, number) JOIN task USING (task_id) JOIN unit USING (unit_id)
         WHERE attempt.state = 'taken' AND output_bytes IS NOT NULL AND input_bytes IS NOT NULL
             AND seconds IS NOT NULL
         ORDER BY ended DESC LIMIT ?1",
    )?;
    let rows = select.query_map([most], |r| {
        Ok(TaskUsage {
            use_case: parsed(r, 0)?,
            host: r.get(1)?,
            input_bytes: r.get(2)?,
            output_bytes: r.get(3)?,
            output_rows: r.get::<Option<u64>>(4)?.unwrap_or(0),
            seconds: r.get(5)?,
            peak_memory_bytes: r.get::<Option<u64>>(6)?.unwrap_or(0),
        })
    })?;
    let mut all: Vec<TaskUsage> = rows.collect::<Result<_, _>>()?;
    all.reverse();
    Ok(all)
}

/// Implements [`crate::Planning::withdraw_proposal`].
pub(crate) fn withdraw_proposal(
    tx: &Connection,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    supersede(tx)?;
    release_proposed(tx, &BTreeSet::new(), cause, now)
}

/// Supersedes the undecided parts of all plans. Approved parts stay approved.
fn supersede(tx: &Connection) -> Result<(), ArchiveFault> {
    tx.execute("DELETE FROM assignment WHERE approved = 0", [])?;
    tx.execute("DELETE FROM coming_round WHERE approved = 0", [])?;
    tx.execute("UPDATE plan SET state = 'superseded' WHERE state = 'proposed'", [])?;
    tx.execute("UPDATE plan SET state = 'approved' WHERE state = 'partly'", [])?;
    Ok(())
}

/// Moves proposed rounds that are in no proposal any more back to ready.
fn release_proposed(
    tx: &Connection,
    kept: &BTreeSet<&UnitKey>,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS} FROM unit JOIN delivery USING (delivery_id) WHERE unit.state = 'proposed'
         ORDER BY unit.unit_id"
    ))?;
    let proposed: Vec<_> = select.query_map([], unit_of)?.collect::<Result<_, _>>()?;
    for unit in proposed.iter().filter(|unit| !kept.contains(&unit.key)) {
        history::move_unit(tx, unit, UnitState::Ready, cause, now)?;
    }
    Ok(())
}

/// Implements [`crate::Planning::propose`].
pub(crate) fn propose(
    tx: &Connection,
    proposal: &Proposal,
    cause: &Cause,
    now: Timestamp,
) -> Result<i64, ArchiveFault> {
    supersede(tx)?;
    let plan_id: i64 = tx.query_row(
        "INSERT INTO plan (plan_id, proposed, proposer, state, document)
         SELECT coalesce(max(plan_id), 0) + 1, ?1, ?2, 'proposed', ?3 FROM plan RETURNING plan_id",
        params![text_of(now), cause.who, proposal.document],
        |r| r.get(0),
    )?;
    let units: BTreeSet<&UnitKey> = proposal.tasks.iter().map(|t| &t.task.unit).collect();
    release_proposed(
        tx,
        &units,
        &Cause::new(cause.who.clone(), format!("not in plan {plan_id}")),
        now,
    )?;
    let cause = Cause::new(cause.who.clone(), format!("in plan {plan_id}"));
    for key in units {
        let unit = find(tx, key)?;
        if unit.state == UnitState::Ready {
            history::move_unit(tx, &unit, UnitState::Proposed, &cause, now)?;
        }
    }
    for task in &proposal.tasks {
        let task_id = find_task(tx, &task.task)?.id;
        tx.prepare_cached(
            "INSERT INTO assignment (task_id, plan_id, host, starts, seconds, approved, is_bound)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, 0) ON CONFLICT (task_id) DO NOTHING",
        )?
        .execute(params![
            task_id,
            plan_id,
            task.host,
            text_of(task.starts),
            task.seconds
        ])?;
    }
    for (delivery, use_case) in &proposal.coming {
        let delivery = delivery_id(tx, delivery)?;
        tx.execute(
            "INSERT INTO coming_round (delivery_id, use_case, plan_id, approved) VALUES (?1, ?2, ?3, 0)
             ON CONFLICT (delivery_id, use_case) DO NOTHING",
            params![delivery, use_case.name(), plan_id],
        )?;
    }
    Ok(plan_id)
}

/// Implements [`crate::Planning::approve`].
pub(crate) fn approve(
    tx: &Connection,
    plan_id: Option<i64>,
    selection: &Selection,
    cause: &Cause,
    now: Timestamp,
) -> Result<Decided, ArchiveFault> {
    let plan_id = open_plan(tx, plan_id)?;
    let mut decided = Decided { plan_id, ..Decided::default() };
    let mut units: BTreeSet<UnitKey> = BTreeSet::new();
    for (task_id, unit, host) in waiting_assignments(tx, plan_id)? {
        if selection.covers(&unit.delivery, unit.use_case, &host) {
            let is_bound = i64::from(!selection.hosts.is_empty());
            tx.prepare_cached(
                "UPDATE assignment SET approved = 1, is_bound = ?2 WHERE task_id = ?1",
            )?
            .execute(params![task_id, is_bound])?;
            decided.tasks += 1;
            units.insert(unit);
        }
    }
    for key in units {
        let unit = find(tx, &key)?;
        if unit.state == UnitState::Proposed {
            history::move_unit(tx, &unit, UnitState::Approved, cause, now)?;
        }
        decided.units.push(key);
    }
    // Rounds that are not open yet have no host.
    for (delivery, use_case) in coming(tx, plan_id)? {
        if selection.hosts.is_empty() && selection.covers_unit(&delivery, use_case) {
            let id = delivery_id(tx, &delivery)?;
            tx.execute(
                "UPDATE coming_round SET approved = 1 WHERE delivery_id = ?1 AND use_case = ?2",
                params![id, use_case.name()],
            )?;
            decided.coming.push((delivery, use_case));
        }
    }
    let is_left = !waiting_assignments(tx, plan_id)?.is_empty() || !coming(tx, plan_id)?.is_empty();
    let state = if is_left { PlanState::Partly } else { PlanState::Approved };
    decide(tx, plan_id, state, cause, now)?;
    if decided.tasks > 0 || !decided.coming.is_empty() {
        let units = decided.units.len() + decided.coming.len();
        let about = about(selection, decided.tasks, units);
        note_decision(tx, plan_id, ("approve", &about), cause, now)?;
    }
    crate::changes::tell(tx)?;
    Ok(decided)
}

/// Implements [`crate::Planning::reject`].
pub(crate) fn reject(
    tx: &Connection,
    plan_id: Option<i64>,
    cause: &Cause,
    now: Timestamp,
) -> Result<(i64, Vec<(String, UseCase)>), ArchiveFault> {
    let plan_id = open_plan(tx, plan_id)?;
    let mut paused: BTreeSet<(String, UseCase)> = BTreeSet::new();
    let units: BTreeSet<UnitKey> =
        waiting_assignments(tx, plan_id)?.into_iter().map(|(_, unit, _)| unit).collect();
    for key in units {
        let unit = find(tx, &key)?;
        if unit.state == UnitState::Proposed {
            history::move_unit(tx, &unit, UnitState::Ready, cause, now)?;
        }
        paused.insert((key.delivery, key.use_case));
    }
    paused.extend(coming(tx, plan_id)?);
    tx.execute("DELETE FROM assignment WHERE plan_id = ?1 AND approved = 0", [plan_id])?;
    tx.execute("DELETE FROM coming_round WHERE plan_id = ?1 AND approved = 0", [plan_id])?;
    let why = Cause::new(cause.who.clone(), format!("plan {plan_id} rejected: {}", cause.why));
    for (delivery, use_case) in &paused {
        let subject = Subject::Unit(delivery.clone(), *use_case);
        // A pause that an operator gave is not replaced.
        if has_pause(tx, &subject)? {
            continue;
        }
        instruct(tx, &subject, &Instruction::Pause, &why, now)?;
        tx.execute(
            "UPDATE instruction SET plan_id = ?2 WHERE subject = 'unit' AND name = ?1 AND act = 'pause'",
            params![subject.name(), plan_id],
        )?;
    }
    decide(tx, plan_id, PlanState::Rejected, cause, now)?;
    note_decision(tx, plan_id, ("reject", &format!("{} units", paused.len())), cause, now)?;
    Ok((plan_id, paused.into_iter().collect()))
}

fn has_pause(tx: &Connection, subject: &Subject) -> Result<bool, ArchiveFault> {
    Ok(tx
        .prepare_cached(
            "SELECT EXISTS (SELECT * FROM instruction WHERE subject = ?1 AND name = ?2 AND act = 'pause')",
        )?
        .query_row(params![subject.kind(), subject.name()], |r| r.get(0))?)
}

/// Describes the part of a plan that a decision is about.
fn about(selection: &Selection, tasks: u64, units: usize) -> String {
    const NAMED: usize = 5;
    let mut which: Vec<String> =
        selection.units.iter().take(NAMED).map(|(d, u)| format!("{d}/{u}")).collect();
    which.extend(selection.hosts.iter().take(NAMED).map(|host| format!("host {host}")));
    if selection.units.len() > NAMED || selection.hosts.len() > NAMED {
        which.push("…".to_owned());
    }
    let which = if which.is_empty() { "all of it".to_owned() } else { which.join(", ") };
    format!("{which}: {tasks} tasks of {units} units")
}

fn note_decision(
    tx: &Connection,
    plan_id: i64,
    (act, about): (&str, &str),
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    tx.execute(
        "INSERT INTO plan_decision (plan_id, number, act, about, decided, who, why)
         SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM plan_decision WHERE plan_id = ?1",
        params![plan_id, act, about, text_of(now), cause.who, cause.why],
    )?;
    Ok(())
}

/// Checks that a plan waits for a decision, or finds the plan that does.
fn open_plan(tx: &Connection, plan_id: Option<i64>) -> Result<i64, ArchiveFault> {
    let Some(plan_id) = plan_id else {
        // A proposal supersedes every earlier one, so at most one plan is open.
        let open: Option<i64> = tx.query_row(
            "SELECT max(plan_id) FROM plan WHERE state IN ('proposed', 'partly')",
            [],
            |r| r.get(0),
        )?;
        let none = || ArchiveFault::Conflict("no plan waits for a decision".to_owned());
        return open.ok_or_else(none);
    };
    let state: Option<String> = tx
        .query_row("SELECT state FROM plan WHERE plan_id = ?1", [plan_id], |r| r.get(0))
        .optional()?;
    match state.as_deref() {
        None => Err(ArchiveFault::Unknown { what: "plan", name: plan_id.to_string() }),
        Some("proposed" | "partly") => Ok(plan_id),
        Some(state) => Err(ArchiveFault::Conflict(format!("plan {plan_id} is {state}"))),
    }
}

fn decide(
    tx: &Connection,
    plan_id: i64,
    state: PlanState,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    tx.execute(
        "UPDATE plan SET state = ?2, decided = ?3, who = ?4, why = ?5 WHERE plan_id = ?1",
        params![plan_id, state.name(), text_of(now), cause.who, cause.why],
    )?;
    Ok(())
}

/// Lists the undecided tasks of a plan, with their hosts.
fn waiting_assignments(
    tx: &Connection,
    plan_id: i64,
) -> Result<Vec<(i64, UnitKey, String)>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, task.task_id, host
         FROM assignment JOIN task USING (task_id) JOIN unit USING (unit_id) JOIN delivery USING (delivery_id)
         WHERE plan_id = ?1 AND approved = 0 AND task.state = 'open' ORDER BY task.task_id"
    ))?;
    let rows = select.query_map([plan_id], |r| Ok((r.get(6)?, unit_of(r)?.key, r.get(7)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists the undecided rounds of a plan that are not open yet.
fn coming(tx: &Connection, plan_id: i64) -> Result<Vec<(String, UseCase)>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT delivery.name, use_case FROM coming_round JOIN delivery USING (delivery_id)
         WHERE plan_id = ?1 AND approved = 0 ORDER BY delivery_id, use_case",
    )?;
    let rows = select.query_map([plan_id], |r| Ok((r.get(0)?, parsed(r, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Planning::approve_expected`].
pub(crate) fn approve_expected(
    tx: &Connection,
    now: Timestamp,
) -> Result<Vec<UnitKey>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, plan.plan_id, plan.who
         FROM coming_round JOIN unit ON unit.delivery_id = coming_round.delivery_id
                 AND unit.use_case = coming_round.use_case
             JOIN delivery ON delivery.delivery_id = unit.delivery_id
             JOIN plan ON plan.plan_id = coming_round.plan_id
         WHERE coming_round.approved = 1 AND unit.state IN ('ready', 'proposed') ORDER BY unit.unit_id"
    ))?;
    let rows = select
        .query_map([], |r| Ok((unit_of(r)?, r.get::<i64>(6)?, r.get::<Option<String>>(7)?)))?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let mut units = Vec::new();
    for (unit, plan_id, who) in rows {
        let cause = Cause::new(
            who.unwrap_or_else(|| "almagest".to_owned()),
            format!("approved beforehand with plan {plan_id}"),
        );
        history::move_unit(tx, &unit, UnitState::Approved, &cause, now)?;
        tx.execute(
            "UPDATE assignment SET approved = 1 WHERE task_id IN (SELECT task_id FROM task WHERE unit_id = ?1)",
            [unit.id],
        )?;
        tx.execute(
            "DELETE FROM coming_round WHERE delivery_id = ?1 AND use_case = ?2",
            params![unit.delivery_id, unit.key.use_case.name()],
        )?;
        units.push(unit.key);
    }
    Ok(units)
}

/// Implements [`crate::Planning::approved_expected`].
pub(crate) fn approved_expected(c: &Connection) -> Result<Vec<(String, UseCase)>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT delivery.name, use_case FROM coming_round JOIN delivery USING (delivery_id)
         WHERE approved = 1 ORDER BY delivery_id, use_case",
    )?;
    let rows = select.query_map([], |r| Ok((r.get(0)?, parsed(r, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Planning::plan`].
pub(crate) fn plan(
    c: &Connection,
    plan_id: Option<i64>,
) -> Result<Option<PlanRecord>, ArchiveFault> {
    let found = c
        .prepare_cached(
            "SELECT plan_id, proposed, proposer, state, document, decided, who, why FROM plan
             WHERE plan_id = coalesce(?1, (SELECT max(plan_id) FROM plan))",
        )?
        .query_row([plan_id], |r| {
            let texts: [String; 4] = [r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?];
            let decided: [Option<String>; 3] = [r.get(5)?, r.get(6)?, r.get(7)?];
            Ok((r.get(0)?, texts, decided))
        })
        .optional()?;
    let Some((plan_id, [proposed, proposer, state, document], [decided, who, why])) = found else {
        return Ok(None);
    };
    let decided = match decided {
        Some(at) => Some((
            time_of(&at)?,
            Cause { who: who.unwrap_or_default(), why: why.unwrap_or_default() },
        )),
        None => None,
    };
    Ok(Some(PlanRecord {
        plan_id,
        proposed: time_of(&proposed)?,
        proposer,
        state: PlanState::named(&state).ok_or_else(|| damaged("state of a plan", &state))?,
        document,
        decided,
    }))
}

/// Implements [`crate::Planning::compare`].
pub(crate) fn compare(c: &Connection, plan_id: i64) -> Result<Vec<PlannedRun>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, task.number, assignment.host, starts, assignment.seconds, approved, is_bound,
             attempt_place.host, attempt.started, attempt.seconds
         FROM assignment JOIN task USING (task_id) JOIN unit USING (unit_id) JOIN delivery USING (delivery_id)
             LEFT JOIN attempt ON attempt.task_id = task.task_id AND attempt.number = task.result_attempt
             LEFT JOIN attempt_place ON attempt_place.task_id = attempt.task_id
                 AND attempt_place.number = attempt.number
         WHERE plan_id = ?1 ORDER BY starts, task.task_id"
    ))?;
    let rows = select.query_map([plan_id], |r| {
        let task = TaskKey { unit: unit_of(r)?.key, task: r.get(6)? };
        let said: (String, String, f64, i64, i64) =
            (r.get(7)?, r.get(8)?, r.get(9)?, r.get(10)?, r.get(11)?);
        let done: (Option<String>, Option<String>, Option<f64>) =
            (r.get(12)?, r.get(13)?, r.get(14)?);
        Ok((task, said, done))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (task, (host, starts, seconds, approved, is_bound), done) = row?;
        let actual = match done {
            (Some(host), Some(started), Some(seconds)) => Some((host, time_of(&started)?, seconds)),
            _ => None,
        };
        let assignment = Assignment {
            plan_id,
            host,
            starts: time_of(&starts)?,
            seconds,
            approved: approved == 1,
            is_bound: is_bound == 1,
        };
        all.push(PlannedRun { task, assignment, actual });
    }
    Ok(all)
}

/// Implements [`crate::Planning::compare_expected`].
pub(crate) fn compare_expected(
    c: &Connection,
    delivery: &str,
    use_case: UseCase,
    since: Timestamp,
) -> Result<Vec<ExpectedRun>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, task.number, attempt_place.host, attempt.started, attempt.seconds
         FROM unit JOIN delivery USING (delivery_id) JOIN task USING (unit_id)
             LEFT JOIN assignment ON assignment.task_id = task.task_id
             LEFT JOIN attempt ON attempt.task_id = task.task_id AND attempt.number = task.result_attempt
             LEFT JOIN attempt_place ON attempt_place.task_id = attempt.task_id
                 AND attempt_place.number = attempt.number
         WHERE delivery.name = ?1 AND unit.use_case = ?2 AND unit.made >= ?3 AND assignment.task_id IS NULL
         ORDER BY unit.unit_id, task.number"
    ))?;
    let rows = select.query_map(params![delivery, use_case.name(), text_of(since)], |r| {
        let task = TaskKey { unit: unit_of(r)?.key, task: r.get(6)? };
        let done: (Option<String>, Option<String>, Option<f64>) = (r.get(7)?, r.get(8)?, r.get(9)?);
        Ok((task, done))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (task, done) = row?;
        let actual = match done {
            (Some(host), Some(started), Some(seconds)) => Some((host, time_of(&started)?, seconds)),
            _ => None,
        };
        all.push(ExpectedRun { task, actual });
    }
    Ok(all)
}

/// Implements [`crate::Planning::note_job`].
pub(crate) fn note_job(
    tx: &Connection,
    attempt: &AttemptKey,
    job: &str,
) -> Result<(), ArchiveFault> {
    note(tx, attempt, "job", job)
}

/// Implements [`crate::Planning::note_end`].
pub(crate) fn note_end(
    tx: &Connection,
    attempt: &AttemptKey,
    code: &str,
) -> Result<(), ArchiveFault> {
    note(tx, attempt, "ended_by", code)
}

fn note(
    tx: &Connection,
    attempt: &AttemptKey,
    column: &str,
    value: &str,
) -> Result<(), ArchiveFault> {
    let task = find_task(tx, &attempt.task)?;
    tx.execute(
        &format!("UPDATE attempt_place SET {column} = ?3 WHERE task_id = ?1 AND number = ?2"),
        params![task.id, attempt.attempt, value],
    )?;
    Ok(())
}
