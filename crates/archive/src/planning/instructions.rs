//! Instructions of operators: recording, withdrawal, resumption, and the units that they stop.

use crate::deliveries::night;
use crate::error::{ArchiveError, ArchiveFault};
use crate::history::Cause;
use crate::planning::{
    Held, Instruction, InstructionChange, Latest, Resumed, Standing, Subject, SubjectKind,
};
use crate::rounds::{note_unit, parsed};
use crate::time::{text_of, time_of};
use crate::{Archive, Reader, Timestamp};
use engine::{Connection, Optional};
use model::{DeliveryName, Night, PlanId, UnitState, UseCase};
use rusqlite::params;
use std::collections::HashMap;

impl Reader {
    /// Lists the instructions in force, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn instructions(&self) -> Result<Vec<Standing>, ArchiveError> {
        self.read("list instructions", instructions)
    }

    /// Returns the units of some deliveries of which nothing new may start. The night next to a name is used for a delivery that
    /// the archive does not know.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn held(
        &self,
        deliveries: &[(DeliveryName, Option<Night>)],
    ) -> Result<Vec<Held>, ArchiveError> {
        self.read("list paused work", |c| held(c, deliveries, self.site.products()))
    }

    /// Returns the number of the latest change of an instruction: a plan that was made before that change is stale.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn instructions_given(&self) -> Result<i64, ArchiveError> {
        self.read("count instructions", instructions_given)
    }

    /// Returns the latest instructions that were given or withdrawn, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn instruction_history(
        &self,
        at_most: u32,
    ) -> Result<Latest<InstructionChange>, ArchiveError> {
        self.read("list instructions of the past", |c| instruction_history(c, at_most))
    }
}

impl Archive {
    /// Records an instruction; it replaces one of the same kind on the same subject.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn instruct(
        &mut self,
        subject: &Subject,
        instruction: &Instruction,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("instruct", format!("{} {subject}", instruction.act()), |tx| {
            instruct(tx, subject, instruction, cause, now)?;
            tx.announce_change()?;
            Ok(())
        })
    }

    /// Withdraws an instruction of the given act (as [`Instruction::act`] names it); returns `false` when there is none.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn withdraw(
        &mut self,
        subject: &Subject,
        act: &str,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<bool, ArchiveError> {
        self.write("withdraw", format!("withdraw the {act} of {subject}"), |tx| {
            let is_changed = withdraw(tx, subject, act, cause, now)?;
            tx.announce_change()?;
            Ok(is_changed)
        })
    }

    /// Ends the pauses and drains of a subject and of everything within it, or those that the rejection of a plan made. Returns
    /// their subjects.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn resume(
        &mut self,
        resumed: &Resumed,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Vec<Subject>, ArchiveError> {
        self.write("resume", "resume paused work", |tx| {
            let ended = resume(tx, resumed, cause, now)?;
            tx.announce_change()?;
            Ok(ended)
        })
    }
}

/// Returns the fault of a stored text that cannot be parsed.
pub(crate) fn damaged(what: &str, text: &str) -> ArchiveFault {
    ArchiveFault::Damaged(format!("{text:?} is not a valid {what}"))
}

fn subject(kind: &str, name: &str) -> Result<Subject, ArchiveFault> {
    let kind = SubjectKind::named(kind);
    kind.and_then(|kind| Subject::of(kind, name)).ok_or_else(|| damaged("subject", name))
}

fn instruction(act: &str, value: &str) -> Result<Instruction, ArchiveFault> {
    Instruction::of(act, value).ok_or_else(|| damaged("instruction", act))
}

/// Implements [`crate::Reader::instructions`].
pub(crate) fn instructions(c: &Connection) -> Result<Vec<Standing>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT subject, name, act, value, since, who, why, plan_id FROM instruction ORDER BY since, subject, name, act",
    )?;
    let rows = select.query_map([], |r| -> engine::Result<([String; 7], Option<PlanId>)> {
        let texts = [r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?];
        Ok((texts, r.optional_id(7)?))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let ([kind, name, act, value, since, who, why], plan_id) = row?;
        all.push(Standing {
            subject: subject(&kind, &name)?,
            instruction: instruction(&act, &value)?,
            since: time_of(&since)?,
            cause: Cause { who, why },
            plan_id,
        });
    }
    Ok(all)
}

/// Implements [`crate::Archive::instruct`].
pub(crate) fn instruct(
    tx: &Connection,
    subject: &Subject,
    instruction: &Instruction,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    tx.execute(
        "INSERT INTO instruction (subject, name, act, value, since, who, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (subject, name, act) DO UPDATE
             SET value = excluded.value, since = excluded.since, who = excluded.who, why = excluded.why, plan_id = NULL",
        params![
            subject.kind().name(),
            subject.name(),
            instruction.act(),
            instruction.value(),
            text_of(now),
            cause.who,
            cause.why
        ],
    )?;
    note_change(tx, subject, instruction, true, cause, now)
}

/// Implements [`crate::Archive::withdraw`].
pub(crate) fn withdraw(
    tx: &Connection,
    subject: &Subject,
    act: &str,
    cause: &Cause,
    now: Timestamp,
) -> Result<bool, ArchiveFault> {
    let of = params![subject.kind().name(), subject.name(), act];
    let value: Option<String> = tx
        .query_row(
            "SELECT value FROM instruction WHERE subject = ?1 AND name = ?2 AND act = ?3",
            of,
            |r| r.get(0),
        )
        .optional()?;
    let Some(value) = value else { return Ok(false) };
    tx.execute("DELETE FROM instruction WHERE subject = ?1 AND name = ?2 AND act = ?3", of)?;
    note_change(tx, subject, &instruction(act, &value)?, false, cause, now)?;
    Ok(true)
}

/// Implements [`crate::Archive::resume`].
pub(crate) fn resume(
    tx: &Connection,
    resumed: &Resumed,
    cause: &Cause,
    now: Timestamp,
) -> Result<Vec<Subject>, ArchiveFault> {
    let standing = instructions(tx)?;
    let nights = nights(tx, &standing)?;
    let night_of = |name: &DeliveryName| nights.get(name).copied().flatten();
    let is_meant = |s: &&Standing| match resumed {
        Resumed::Subject(subject) => s.is_stop() && subject.holds(&s.subject, &night_of),
        Resumed::Plan(plan_id) => s.plan_id == Some(*plan_id),
    };
    let mut ended = Vec::new();
    for s in standing.iter().filter(is_meant) {
        if withdraw(tx, &s.subject, s.instruction.act(), cause, now)? {
            if s.is_stop() {
                note_resumed(tx, &s.subject, cause, now)?;
            }
            ended.push(s.subject.clone());
        }
    }
    ended.dedup();
    Ok(ended)
}

/// Records the resumption of rounds of a subject whose latest change moved them back to ready, since the reason of that change is
/// no longer in force.
fn note_resumed(
    tx: &Connection,
    subject: &Subject,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT unit.unit_id, delivery.name, delivery.night, unit.use_case
         FROM unit JOIN delivery USING (delivery_id) JOIN unit_history AS latest ON latest.unit_id = unit.unit_id
         WHERE unit.state = 'ready' AND latest.from_state IN ('proposed', 'approved', 'running')
             AND latest.number = (SELECT max(number) FROM unit_history AS h WHERE h.unit_id = unit.unit_id)",
    )?;
    let rows = select.query_map([], |r| {
        let night = r.get::<Option<i32>>(2)?.and_then(Night::new);
        let of: (DeliveryName, Option<Night>, UseCase) = (r.name(1)?, night, parsed(r, 3)?);
        Ok((r.get::<i64>(0)?, of))
    })?;
    let why = format!("resumed: {}", cause.why);
    for row in rows.collect::<Result<Vec<_>, _>>()? {
        let (unit, (delivery, night, use_case)) = row;
        if subject.covers(&delivery, night, use_case) {
            note_unit(tx, unit, [UnitState::Ready; 2], &Cause::new(&cause.who, &why), now)?;
        }
    }
    Ok(())
}

/// Returns the nights of the deliveries that instructions name.
fn nights(
    c: &Connection,
    standing: &[Standing],
) -> Result<HashMap<DeliveryName, Option<Night>>, ArchiveFault> {
    let mut nights = HashMap::new();
    for s in standing {
        if let Subject::Delivery(name) | Subject::Unit(name, _) = &s.subject {
            nights.insert(name.clone(), night(c, name)?);
        }
    }
    Ok(nights)
}

/// Implements [`crate::Reader::held`].
pub(crate) fn held(
    c: &Connection,
    deliveries: &[(DeliveryName, Option<Night>)],
    products: &[UseCase],
) -> Result<Vec<Held>, ArchiveFault> {
    let pauses: Vec<Standing> =
        instructions(c)?.into_iter().filter(|s| s.instruction == Instruction::Pause).collect();
    let mut held = Vec::new();
    if pauses.is_empty() {
        return Ok(held);
    }
    for (delivery, told) in deliveries {
        let night = match night(c, delivery)? {
            None => *told,
            known => known,
        };
        for use_case in products.iter().copied() {
            let covers = |s: &&Standing| s.subject.covers(delivery, night, use_case);
            held.extend(pauses.iter().find(covers).map(|standing| Held {
                delivery: delivery.clone(),
                use_case,
                standing: standing.clone(),
            }));
        }
    }
    Ok(held)
}

/// Implements [`crate::Reader::instructions_given`].
pub(crate) fn instructions_given(c: &Connection) -> Result<i64, ArchiveFault> {
    let latest = "SELECT coalesce(max(number), 0) FROM instruction_history";
    Ok(c.query_row(latest, [], |r| r.get(0))?)
}

fn note_change(
    tx: &Connection,
    subject: &Subject,
    instruction: &Instruction,
    is_set: bool,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    tx.execute(
        "INSERT INTO instruction_history (number, subject, name, act, value, is_set, changed, who, why)
         SELECT coalesce(max(number), 0) + 1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM instruction_history",
        params![
            subject.kind().name(),
            subject.name(),
            instruction.act(),
            instruction.value(),
            i64::from(is_set),
            text_of(now),
            cause.who,
            cause.why
        ],
    )?;
    Ok(())
}

/// Implements [`crate::Reader::instruction_history`].
pub(crate) fn instruction_history(
    c: &Connection,
    at_most: u32,
) -> Result<Latest<InstructionChange>, ArchiveFault> {
    let count = c.query_row("SELECT count(*) FROM instruction_history", [], |r| r.get(0))?;
    let mut select = c.prepare_cached(
        "SELECT subject, name, act, value, changed, who, why, is_set FROM instruction_history
         ORDER BY number DESC LIMIT ?1",
    )?;
    let rows = select.query_map([at_most], |r| -> engine::Result<([String; 7], i64)> {
        let texts = [r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?];
        Ok((texts, r.get(7)?))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let ([kind, name, act, value, changed, who, why], is_set) = row?;
        all.push(InstructionChange {
            subject: subject(&kind, &name)?,
            instruction: instruction(&act, &value)?,
            is_set: is_set == 1,
            changed: time_of(&changed)?,
            cause: Cause { who, why },
        });
    }
    all.reverse();
    Ok(Latest { rows: all, count })
}
