//! Open work: unfinished deliveries, tasks without result, and the resources that recent tasks used.

use crate::Reader;
use crate::error::{ArchiveError, ArchiveFault};
use crate::planning::{Assignment, OpenTask, TaskUsage, UnfinishedDelivery};
use crate::product_names;
use crate::rounds::{TaskKey, UNIT_COLUMNS, parsed, unit_of};
use crate::time::time_of;
use engine::Connection;
use model::{Night, PlanId};

impl Reader {
    /// Lists the deliveries that have work to do or may receive files, in the order of registration. Complete deliveries with
    /// nothing open are omitted.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn unfinished_deliveries(&self) -> Result<Vec<UnfinishedDelivery>, ArchiveError> {
        self.read("list unfinished deliveries", unfinished_deliveries)
    }

    /// Lists the tasks without result of all rounds that are open and not staged, in the order of registration.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open_tasks(&self) -> Result<Vec<OpenTask>, ArchiveError> {
        self.read("list open tasks", open_tasks)
    }

    /// Lists the resources that the latest tasks used, at most `most` tasks, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn recent_results(&self, most: u32) -> Result<Vec<TaskUsage>, ArchiveError> {
        self.read("list the durations of tasks", |c| recent_results(c, most))
    }
}

/// Implements [`crate::Reader::unfinished_deliveries`].
pub(crate) fn unfinished_deliveries(
    c: &Connection,
) -> Result<Vec<UnfinishedDelivery>, ArchiveFault> {
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
        Ok((r.get::<i64>(0)?, r.name(1)?, format!("{state} {arrival} {redo} {more}")))
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
        all.push(UnfinishedDelivery { name, mark });
    }
    Ok(all)
}

/// Implements [`crate::Reader::open_tasks`].
pub(crate) fn open_tasks(c: &Connection) -> Result<Vec<OpenTask>, ArchiveFault> {
    let without_images = product_names::without_images();
    let mut select = c.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, task.number, delivery.night,
             input.files, input.bytes, tried.attempts, tried.memory_failures, tried.running,
             coalesce((SELECT memory_bytes FROM attempt_place
                       WHERE attempt_place.task_id = task.task_id ORDER BY number DESC LIMIT 1), 0),
             assignment.plan_id, assignment.host, assignment.starts, assignment.seconds, assignment.approved,
             assignment.is_bound
         FROM unit JOIN delivery USING (delivery_id) JOIN task USING (unit_id)
             JOIN (SELECT task_input.task_id, count(*) AS files,
                       sum(CASE WHEN unit.use_case IN ({without_images}) THEN 0 ELSE file.bytes END
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
        let plan_id: Option<PlanId> = r.optional_id(14)?;
        let starts: Option<String> = r.get(16)?;
        let assignment = match plan_id {
            Some(plan_id) => {
                Some((plan_id, r.name(15)?, r.get(17)?, r.get::<i64>(18)?, r.get::<i64>(19)?))
            }
            None => None,
        };
        let task = OpenTask {
            key: TaskKey { unit: unit.key, task: r.id(6)? },
            state: unit.state,
            night: r.get::<Option<i32>>(7)?.and_then(Night::new),
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

/// Implements [`crate::Reader::recent_results`].
pub(crate) fn recent_results(c: &Connection, most: u32) -> Result<Vec<TaskUsage>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT unit.use_case, host, input_bytes, output_bytes, output_rows, seconds,
             peak_memory_bytes
         FROM attempt JOIN attempt_place USING (task_id, number) JOIN task USING (task_id) JOIN unit USING (unit_id)
         WHERE attempt.state = 'accepted' AND output_bytes IS NOT NULL AND input_bytes IS NOT NULL
             AND seconds IS NOT NULL
         ORDER BY ended DESC LIMIT ?1",
    )?;
    let rows = select.query_map([most], |r| {
        Ok(TaskUsage {
            use_case: parsed(r, 0)?,
            host: r.name(1)?,
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
