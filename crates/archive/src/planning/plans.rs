//! Plans: proposals, decisions, and the comparison with what ran.

use crate::deliveries::delivery_id;
use crate::error::{ArchiveError, ArchiveFault};
use crate::history::Cause;
use crate::planning::instructions::{damaged, instruct};
use crate::planning::{
    Assignment, Decided, ExpectedRun, Instruction, Latest, PlanDecision, PlanRecord, PlanState,
    PlannedRun, Proposal, Selection, Subject,
};
use crate::rounds::{TaskKey, UNIT_COLUMNS, find, find_task, move_unit, parsed, unit_of};
use crate::time::{text_of, time_of};
use crate::{Archive, Reader, Timestamp};
use engine::{Connection, Optional};
use model::{DeliveryName, HostName, PlanId, UnitKey, UnitState, UseCase};
use rusqlite::params;
use std::collections::BTreeSet;

impl Reader {
    /// Lists the decisions on plans, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn decisions(&self, at_most: u32) -> Result<Latest<PlanDecision>, ArchiveError> {
        self.read("list decisions on plans", |c| decisions(c, at_most))
    }

    /// Lists the rounds that were approved before they are open.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn approved_expected(&self) -> Result<Vec<(DeliveryName, UseCase)>, ArchiveError> {
        self.read("list approved expected rounds", approved_expected)
    }

    /// Returns a plan, the latest when no number is given; `None` when there is none.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn plan(&self, plan_id: Option<PlanId>) -> Result<Option<PlanRecord>, ArchiveError> {
        self.read("read a plan", |c| plan(c, plan_id))
    }

    /// Compares the planned and the actual runs of a plan's tasks, by planned start. Tasks that a later plan took over are
    /// omitted.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn compare(&self, plan_id: PlanId) -> Result<Vec<PlannedRun>, ArchiveError> {
        self.read(format!("compare plan {plan_id}"), |c| compare(c, plan_id))
    }

    /// Returns the actual runs of the tasks of a unit's rounds that were opened since a time and were in no plan as open rounds.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn compare_expected(
        &self,
        delivery: &DeliveryName,
        use_case: UseCase,
        since: Timestamp,
    ) -> Result<Vec<ExpectedRun>, ArchiveError> {
        self.read(format!("compare {delivery}/{use_case}"), |c| {
            compare_expected(c, delivery, use_case, since)
        })
    }
}

impl Archive {
    /// Submits a plan to the operator: its rounds become proposed. The undecided parts of earlier plans are superseded. Returns
    /// the plan's number.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn propose(
        &mut self,
        proposal: &Proposal,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<PlanId, ArchiveError> {
        self.write("propose", "propose a plan", |tx| propose(tx, proposal, cause, now))
    }

    /// Withdraws the undecided proposal; its rounds become ready again.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn withdraw_proposal(&mut self, cause: &Cause, now: Timestamp) -> Result<(), ArchiveError> {
        self.write("withdraw-proposal", "end a proposal", |tx| withdraw_proposal(tx, cause, now))
    }

    /// Approves a plan or part of it; without a number, the plan that waits for a decision.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when it is decided or superseded, or no plan waits for a decision.
    pub fn approve(
        &mut self,
        plan_id: Option<PlanId>,
        selection: &Selection,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Decided, ArchiveError> {
        self.write("approve", of_plan("approve", plan_id), |tx| {
            approve(tx, plan_id, selection, cause, now)
        })
    }

    /// Rejects the undecided part of a plan; without a number, of the plan that waits for a decision. The units of that part are
    /// paused, so that they are not proposed again automatically, and their proposed rounds become ready again. Returns the
    /// number of the plan and the units.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when it is decided or superseded, or no plan waits for a decision.
    pub fn reject(
        &mut self,
        plan_id: Option<PlanId>,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(PlanId, Vec<(DeliveryName, UseCase)>), ArchiveError> {
        self.write("reject", of_plan("reject", plan_id), |tx| reject(tx, plan_id, cause, now))
    }

    /// Approves rounds that were opened after the plan that covers them was approved, and returns these rounds.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn approve_expected(&mut self, now: Timestamp) -> Result<Vec<UnitKey>, ArchiveError> {
        if self.approved_expected()?.is_empty() {
            return Ok(Vec::new());
        }
        self.write("approve-expected", "approve expected rounds", |tx| approve_expected(tx, now))
    }
}

/// Names an act on a plan for the message of its failure.
fn of_plan(act: &str, plan_id: Option<PlanId>) -> String {
    match plan_id {
        Some(plan_id) => format!("{act} plan {plan_id}"),
        None => format!("{act} the plan"),
    }
}

/// Implements [`crate::Reader::decisions`].
pub(crate) fn decisions(
    c: &Connection,
    at_most: u32,
) -> Result<Latest<PlanDecision>, ArchiveFault> {
    let count = c.query_row("SELECT count(*) FROM plan_decision", [], |r| r.get(0))?;
    let mut select = c.prepare_cached(
        "SELECT plan_id, act, subject, decided, who, why FROM plan_decision
         ORDER BY decided DESC, plan_id DESC, number DESC LIMIT ?1",
    )?;
    let rows = select.query_map([at_most], |r| {
        let texts: [String; 5] = [r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?];
        Ok((r.id(0)?, texts))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (plan_id, [act, subject, decided, who, why]) = row?;
        all.push(PlanDecision {
            plan_id,
            is_approval: act == "approve",
            subject,
            decided: time_of(&decided)?,
            cause: Cause { who, why },
        });
    }
    all.reverse();
    Ok(Latest { rows: all, count })
}

/// Implements [`crate::Archive::withdraw_proposal`].
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
    tx.execute("DELETE FROM expected_round WHERE approved = 0", [])?;
    tx.execute("UPDATE plan SET state = 'superseded' WHERE state = 'proposed'", [])?;
    tx.execute("UPDATE plan SET state = 'approved' WHERE state = 'partly_approved'", [])?;
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
        move_unit(tx, unit, UnitState::Ready, cause, now)?;
    }
    Ok(())
}

/// Implements [`crate::Archive::propose`].
pub(crate) fn propose(
    tx: &Connection,
    proposal: &Proposal,
    cause: &Cause,
    now: Timestamp,
) -> Result<PlanId, ArchiveFault> {
    supersede(tx)?;
    let plan_id: PlanId = tx.query_row(
        "INSERT INTO plan (plan_id, proposed, proposer, state, document)
         SELECT coalesce(max(plan_id), 0) + 1, ?1, ?2, 'proposed', ?3 FROM plan RETURNING plan_id",
        params![text_of(now), cause.who, proposal.document],
        |r| r.id(0),
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
            move_unit(tx, &unit, UnitState::Proposed, &cause, now)?;
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
            plan_id.get(),
            task.host.as_str(),
            text_of(task.starts),
            task.seconds
        ])?;
    }
    for (delivery, use_case) in &proposal.expected {
        let delivery = delivery_id(tx, delivery)?;
        tx.execute(
            "INSERT INTO expected_round (delivery_id, use_case, plan_id, approved) VALUES (?1, ?2, ?3, 0)
             ON CONFLICT (delivery_id, use_case) DO NOTHING",
            params![delivery, use_case.name(), plan_id.get()],
        )?;
    }
    Ok(plan_id)
}

/// Implements [`crate::Archive::approve`].
pub(crate) fn approve(
    tx: &Connection,
    plan_id: Option<PlanId>,
    selection: &Selection,
    cause: &Cause,
    now: Timestamp,
) -> Result<Decided, ArchiveFault> {
    let plan_id = open_plan(tx, plan_id)?;
    let mut decided = Decided { plan_id, tasks: 0, units: Vec::new(), expected: Vec::new() };
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
            move_unit(tx, &unit, UnitState::Approved, cause, now)?;
        }
        decided.units.push(key);
    }
    // Rounds that are not open yet have no host.
    for (delivery, use_case) in expected(tx, plan_id)? {
        if selection.hosts.is_empty() && selection.covers_unit(&delivery, use_case) {
            let id = delivery_id(tx, &delivery)?;
            tx.execute(
                "UPDATE expected_round SET approved = 1 WHERE delivery_id = ?1 AND use_case = ?2",
                params![id, use_case.name()],
            )?;
            decided.expected.push((delivery, use_case));
        }
    }
    let is_left =
        !waiting_assignments(tx, plan_id)?.is_empty() || !expected(tx, plan_id)?.is_empty();
    let state = if is_left { PlanState::PartlyApproved } else { PlanState::Approved };
    decide(tx, plan_id, state, cause, now)?;
    if decided.tasks > 0 || !decided.expected.is_empty() {
        let units = decided.units.len() + decided.expected.len();
        let subject = subject_of(selection, decided.tasks, units);
        note_decision(tx, plan_id, ("approve", &subject), cause, now)?;
    }
    tx.announce_change()?;
    Ok(decided)
}

/// Implements [`crate::Archive::reject`].
pub(crate) fn reject(
    tx: &Connection,
    plan_id: Option<PlanId>,
    cause: &Cause,
    now: Timestamp,
) -> Result<(PlanId, Vec<(DeliveryName, UseCase)>), ArchiveFault> {
    let plan_id = open_plan(tx, plan_id)?;
    let mut paused: BTreeSet<(DeliveryName, UseCase)> = BTreeSet::new();
    let units: BTreeSet<UnitKey> =
        waiting_assignments(tx, plan_id)?.into_iter().map(|(_, unit, _)| unit).collect();
    for key in units {
        let unit = find(tx, &key)?;
        if unit.state == UnitState::Proposed {
            move_unit(tx, &unit, UnitState::Ready, cause, now)?;
        }
        paused.insert((key.delivery, key.use_case));
    }
    paused.extend(expected(tx, plan_id)?);
    tx.execute("DELETE FROM assignment WHERE plan_id = ?1 AND approved = 0", [plan_id.get()])?;
    tx.execute("DELETE FROM expected_round WHERE plan_id = ?1 AND approved = 0", [plan_id.get()])?;
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
            params![subject.name(), plan_id.get()],
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
        .query_row(params![subject.kind().name(), subject.name()], |r| r.get(0))?)
}

/// Describes the part of a plan that a decision is about.
fn subject_of(selection: &Selection, tasks: u64, units: usize) -> String {
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
    plan_id: PlanId,
    (act, subject): (&str, &str),
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    tx.execute(
        "INSERT INTO plan_decision (plan_id, number, act, subject, decided, who, why)
         SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM plan_decision WHERE plan_id = ?1",
        params![plan_id.get(), act, subject, text_of(now), cause.who, cause.why],
    )?;
    Ok(())
}

/// Checks that a plan waits for a decision, or finds the plan that does.
fn open_plan(tx: &Connection, plan_id: Option<PlanId>) -> Result<PlanId, ArchiveFault> {
    let Some(plan_id) = plan_id else {
        // A proposal supersedes every earlier one, so at most one plan is open.
        let open: Option<PlanId> = tx.query_row(
            "SELECT max(plan_id) FROM plan WHERE state IN ('proposed', 'partly_approved')",
            [],
            |r| r.optional_id(0),
        )?;
        let none = || ArchiveFault::Conflict("no plan waits for a decision".to_owned());
        return open.ok_or_else(none);
    };
    let state: Option<String> = tx
        .query_row("SELECT state FROM plan WHERE plan_id = ?1", [plan_id.get()], |r| r.get(0))
        .optional()?;
    match state.as_deref() {
        None => Err(ArchiveFault::Unknown { what: "plan", name: plan_id.to_string() }),
        Some("proposed" | "partly_approved") => Ok(plan_id),
        Some(state) => Err(ArchiveFault::Conflict(format!("plan {plan_id} is {state}"))),
    }
}

fn decide(
    tx: &Connection,
    plan_id: PlanId,
    state: PlanState,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    tx.execute(
        "UPDATE plan SET state = ?2, decided = ?3, who = ?4, why = ?5 WHERE plan_id = ?1",
        params![plan_id.get(), state.name(), text_of(now), cause.who, cause.why],
    )?;
    Ok(())
}

/// Lists the undecided tasks of a plan, with their hosts.
fn waiting_assignments(
    tx: &Connection,
    plan_id: PlanId,
) -> Result<Vec<(i64, UnitKey, HostName)>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, task.task_id, host
         FROM assignment JOIN task USING (task_id) JOIN unit USING (unit_id) JOIN delivery USING (delivery_id)
         WHERE plan_id = ?1 AND approved = 0 AND task.state = 'open' ORDER BY task.task_id"
    ))?;
    let rows =
        select.query_map([plan_id.get()], |r| Ok((r.get(6)?, unit_of(r)?.key, r.name(7)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists the undecided rounds of a plan that are not open yet.
fn expected(
    tx: &Connection,
    plan_id: PlanId,
) -> Result<Vec<(DeliveryName, UseCase)>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT delivery.name, use_case FROM expected_round JOIN delivery USING (delivery_id)
         WHERE plan_id = ?1 AND approved = 0 ORDER BY delivery_id, use_case",
    )?;
    let rows = select.query_map([plan_id.get()], |r| Ok((r.name(0)?, parsed(r, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Archive::approve_expected`].
pub(crate) fn approve_expected(
    tx: &Connection,
    now: Timestamp,
) -> Result<Vec<UnitKey>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, plan.plan_id, plan.who
         FROM expected_round JOIN unit ON unit.delivery_id = expected_round.delivery_id
                 AND unit.use_case = expected_round.use_case
             JOIN delivery ON delivery.delivery_id = unit.delivery_id
             JOIN plan ON plan.plan_id = expected_round.plan_id
         WHERE expected_round.approved = 1 AND unit.state IN ('ready', 'proposed') ORDER BY unit.unit_id"
    ))?;
    let rows = select
        .query_map([], |r| Ok((unit_of(r)?, r.id::<PlanId>(6)?, r.get::<Option<String>>(7)?)))?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let mut units = Vec::new();
    for (unit, plan_id, who) in rows {
        let cause = Cause::new(
            who.unwrap_or_else(|| "almagest".to_owned()),
            format!("approved beforehand with plan {plan_id}"),
        );
        move_unit(tx, &unit, UnitState::Approved, &cause, now)?;
        tx.execute(
            "UPDATE assignment SET approved = 1 WHERE task_id IN (SELECT task_id FROM task WHERE unit_id = ?1)",
            [unit.id],
        )?;
        tx.execute(
            "DELETE FROM expected_round WHERE delivery_id = ?1 AND use_case = ?2",
            params![unit.delivery_id, unit.key.use_case.name()],
        )?;
        units.push(unit.key);
    }
    Ok(units)
}

/// Implements [`crate::Reader::approved_expected`].
pub(crate) fn approved_expected(
    c: &Connection,
) -> Result<Vec<(DeliveryName, UseCase)>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT delivery.name, use_case FROM expected_round JOIN delivery USING (delivery_id)
         WHERE approved = 1 ORDER BY delivery_id, use_case",
    )?;
    let rows = select.query_map([], |r| Ok((r.name(0)?, parsed(r, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Reader::plan`].
pub(crate) fn plan(
    c: &Connection,
    plan_id: Option<PlanId>,
) -> Result<Option<PlanRecord>, ArchiveFault> {
    let found = c
        .prepare_cached(
            "SELECT plan_id, proposed, proposer, state, document, decided, who, why FROM plan
             WHERE plan_id = coalesce(?1, (SELECT max(plan_id) FROM plan))",
        )?
        .query_row([plan_id.map(PlanId::get)], |r| {
            let texts: [String; 4] = [r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?];
            let decided: [Option<String>; 3] = [r.get(5)?, r.get(6)?, r.get(7)?];
            Ok((r.id(0)?, texts, decided))
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

/// Implements [`crate::Reader::compare`].
pub(crate) fn compare(c: &Connection, plan_id: PlanId) -> Result<Vec<PlannedRun>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, task.number, assignment.host, starts, assignment.seconds, approved, is_bound,
             attempt_place.host, attempt.started, attempt.seconds
         FROM assignment JOIN task USING (task_id) JOIN unit USING (unit_id) JOIN delivery USING (delivery_id)
             LEFT JOIN attempt ON attempt.task_id = task.task_id AND attempt.number = task.result_attempt
             LEFT JOIN attempt_place ON attempt_place.task_id = attempt.task_id
                 AND attempt_place.number = attempt.number
         WHERE plan_id = ?1 ORDER BY starts, task.task_id"
    ))?;
    let rows = select.query_map([plan_id.get()], |r| {
        let task = TaskKey { unit: unit_of(r)?.key, task: r.id(6)? };
        let said: (HostName, String, f64, i64, i64) =
            (r.name(7)?, r.get(8)?, r.get(9)?, r.get(10)?, r.get(11)?);
        let done: (Option<HostName>, Option<String>, Option<f64>) =
            (r.name_if_any(12)?, r.get(13)?, r.get(14)?);
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

/// Implements [`crate::Reader::compare_expected`].
pub(crate) fn compare_expected(
    c: &Connection,
    delivery: &DeliveryName,
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
         WHERE delivery.name = ?1 AND unit.use_case = ?2 AND unit.opened >= ?3 AND assignment.task_id IS NULL
         ORDER BY unit.unit_id, task.number"
    ))?;
    let rows =
        select.query_map(params![delivery.as_str(), use_case.name(), text_of(since)], |r| {
            let task = TaskKey { unit: unit_of(r)?.key, task: r.id(6)? };
            let done: (Option<HostName>, Option<String>, Option<f64>) =
                (r.name_if_any(7)?, r.get(8)?, r.get(9)?);
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
