//! The tables of a lake table: their creation, their extension, and the remains of loads.

use super::{index, partition_pattern, root_name};
use crate::error::ArchiveFault;
use crate::metadata::definition::{column_sql, column_type, comments_sql};
use engine::quoted;
use engine::{Connection, Dialect, Kind, Optional, Result as EngineResult};
use lake::LakeTable;
use model::ProgrammeId;

/// The query that takes the lock of the one folding process, and returns a row when no other process holds it. It requires the
/// right to write.
const FOLDING: &str = "SELECT name FROM writer_lock WHERE name = 'fold' FOR UPDATE SKIP LOCKED";

/// Creates the tables of a lake table, or adds the columns that are new in the definition; recreates the views after a migration. Safe to repeat.
///
/// # Errors
/// [`ArchiveFault::Definition`] when the archive has a column that the definition lost or changed.
pub fn bring_up(tx: &Connection, table: &LakeTable, is_migrated: bool) -> Result<(), ArchiveFault> {
    let definition = table.definition();
    let stored = stored_columns(tx, table)?;
    let is_new = stored.is_empty();
    if is_new {
        create(tx, table)?;
    } else {
        let misfit = |reason| ArchiveFault::Definition { table: table.name().to_owned(), reason };
        for (name, kind) in stored.iter().filter(|(n, _)| Some(n.as_str()) != table.row_number()) {
            let defined = definition.column(name).map(|c| column_type(c.kind, Dialect::Postgres));
            if defined != Some(kind.as_str()) {
                let defined = defined.unwrap_or("absent");
                return Err(misfit(format!(
                    "column {name} is {kind} in the archive and {defined} in the definition"
                )));
            }
        }
        let new: Vec<_> = definition
            .columns
            .iter()
            .filter(|c| stored.iter().all(|(name, _)| *name != c.name))
            .collect();
        if new.is_empty() && !is_migrated {
            return Ok(());
        }
        for column in new {
            if !column.nullable {
                let name = &column.name;
                return Err(misfit(format!(
                    "the new column {name} must be nullable: older rows do not have it"
                )));
            }
            let column = column_sql(column, Dialect::Postgres);
            let all = root_name(table);
            tx.execute_batch(&format!("ALTER TABLE {all} ADD COLUMN {column}"))?;
        }
    }
    if is_new || is_migrated {
        tx.execute_batch(STEADY_READERS)?;
    }
    view(tx, table)
}

/// The statement by which each statement of a reader sees one state of the archive. With the server's own default, a statement is
/// planned before its snapshot is taken: a batch that is published between the two is in the snapshot, and its partition not in the
/// plan. Only the database's owner may set the default; if it is not set, `doctor` reports it.
pub const STEADY_READERS: &str = "DO $$ BEGIN
     IF (SELECT pg_has_role(datdba, 'MEMBER') FROM pg_database WHERE datname = current_database()) THEN
         EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = %L', current_database(), 'repeatable read');
     END IF; END $$";

/// Returns the names of the columns that a table has in the archive, in their order.
///
/// # Errors
/// Returns an error when the engine fails.
pub fn columns(c: &Connection, table: &LakeTable) -> EngineResult<Vec<String>> {
    Ok(stored_columns(c, table)?.into_iter().map(|(name, _)| name).collect())
}

fn stored_columns(tx: &Connection, table: &LakeTable) -> EngineResult<Vec<(String, String)>> {
    tx.columns(&root_name(table))
}

fn create(tx: &Connection, table: &LakeTable) -> Result<(), ArchiveFault> {
    index::ensure(tx, table)?;
    // References are checked in the index of row ranges, once per range and not per row.
    let column = |column: &model::tables::Column| {
        let sql = column_sql(column, Dialect::Postgres);
        sql.split(" REFERENCES ").next().unwrap_or_default().to_owned()
    };
    let row_number = table.row_number().map(|name| format!("{name} BIGINT NOT NULL"));
    let columns = table.definition().columns.iter().map(column);
    let columns: Vec<String> = columns.chain(row_number).collect();
    tx.execute_batch(&format!(
        "CREATE TABLE {} ({}, PRIMARY KEY (programme_id, {})) PARTITION BY LIST (programme_id)",
        root_name(table),
        columns.join(", "),
        table.id()
    ))?;
    Ok(())
}

/// Creates the public views: rows whose event the reader can see, and of these the rows whose range has not ended.
fn view(tx: &Connection, table: &LakeTable) -> Result<(), ArchiveFault> {
    let definition = table.definition();
    let columns: Vec<String> =
        definition.columns.iter().map(|c| format!("d.{}", quoted(&c.name))).collect();
    let visible =
        format!("SELECT {} FROM {} AS d WHERE {VISIBLE}", columns.join(", "), root_name(table));
    let mut current = format!("CREATE OR REPLACE VIEW {} AS {visible}", table.name());
    let companion = table.companion();
    if let Some(companion) = &companion {
        tx.execute_batch(&format!("CREATE OR REPLACE VIEW {companion} AS {visible}"))?;
        current += &format!(
            " AND NOT EXISTS (SELECT FROM {} AS r WHERE {} AND r.end_event IS NOT NULL)",
            table.index(),
            table.row_condition("r", "d")
        );
    }
    tx.execute_batch(&current)?;
    for name in [root_name(table)].into_iter().chain(companion).chain([table.name().to_owned()]) {
        tx.execute_batch(&comments_sql(definition, &name))?;
    }
    if let Some(name) = table.row_number() {
        let comment = "number of the row within its programme, by batch and position; in no view";
        let (all, comment) = (root_name(table), engine::text(comment));
        tx.execute_batch(&format!("COMMENT ON COLUMN {all}.{name} IS {comment}"))?;
    }
    Ok(())
}

/// The condition for visible rows. Frozen rows show to every snapshot as soon as their table is attached, and the list of
/// partitions is always the newest. Events are published in the order of their numbers, so the last event that a snapshot sees
/// decides which rows are visible. Excluded are the rows of attached tables that were overtaken before they were published, or
/// will never be published.
const VISIBLE: &str = "d.begin_event <= (SELECT max(event_id) FROM event)
    AND d.begin_event NOT IN (SELECT event_id FROM event WHERE act = 'abandon'
        UNION ALL SELECT reserved_event FROM batch WHERE event_id IS NULL AND reserved_event IS NOT NULL)";

/// Returns a statement that makes the owner of the common parent the owner of a table: attaching requires ownership of both.
pub(super) fn owner_sql(table: &LakeTable, name: &str) -> String {
    format!(
        "DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE %I OWNER TO %I', '{name}', pg_get_userbyid(relowner))
             FROM pg_class WHERE oid = '{}'::regclass); END $$",
        root_name(table)
    )
}

/// Creates the parent of a programme's partitions, if it does not exist.
pub(super) fn ensure_parent(
    tx: &Connection,
    table: &LakeTable,
    programme_id: ProgrammeId,
) -> EngineResult<()> {
    let (name, all, id) = (super::parent_name(table, programme_id), root_name(table), table.id());
    if is_there(tx, &name)? {
        return Ok(());
    }
    // The parent is attached afterwards: CREATE … PARTITION OF would wait for every reader, and make every reader wait.
    tx.execute_batch(&format!(
        "CREATE TABLE {name} (LIKE {all} INCLUDING CONSTRAINTS, PRIMARY KEY (programme_id, {id}))
             PARTITION BY RANGE ({id});
         {give};
         COMMENT ON TABLE {name} IS {comment};
         ALTER TABLE {all} ATTACH PARTITION {name} FOR VALUES IN ({programme_id})",
        give = owner_sql(table, &name),
        comment = engine::text(&format!(
            "{} of programme {programme_id}, every row.",
            super::capitalised_plural(table)
        ))
    ))
}

/// Returns true when a table exists.
pub(super) fn is_there(tx: &Connection, name: &str) -> EngineResult<bool> {
    tx.query_row("SELECT to_regclass(quote_ident(?1)) IS NOT NULL", [name], |r| r.get(0))
}

/// Returns whether a table is a partition of another; `None` when it does not exist.
pub(super) fn is_attached(c: &Connection, name: &str) -> EngineResult<Option<bool>> {
    let is_attached = "SELECT bool_or(relispartition) FROM pg_class
         WHERE relnamespace = current_schema()::regnamespace AND relname = ?1";
    c.query_row(is_attached, [name], |r| r.get(0))
}

/// Keeps other processes from folding until the transaction ends; returns `false` when a process is folding.
///
/// # Errors
/// Returns an error when the engine fails.
pub fn keep_from_folding(tx: &Connection) -> EngineResult<bool> {
    Ok(tx.query_row(FOLDING, [], |r| r.get::<String>(0)).optional()?.is_some())
}

/// Takes the lock of the one folding process until the transaction ends; returns `false` when another process has it.
pub(super) fn may_fold(tx: &mut postgres::Transaction<'_>) -> EngineResult<bool> {
    tx.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 0")?;
    Ok(tx.query_opt(FOLDING, &[])?.is_some())
}

/// Lists partitions of a table that are not attached: of batches that are not published, or not yet.
///
/// # Errors
/// Returns an error when the engine fails.
pub fn left_over(c: &Connection, table: &LakeTable) -> EngineResult<Vec<String>> {
    names(
        c,
        &format!(
            "SELECT relname FROM pg_class
             WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND NOT relispartition
                 AND relname ~ '{}' ORDER BY relname",
            partition_pattern(table)
        ),
    )
}

/// Lists attached tables of batches that are not published, or not yet: their rows are in no view.
///
/// # Errors
/// Returns an error when the engine fails.
pub fn unpublished(c: &Connection, table: &LakeTable) -> EngineResult<Vec<String>> {
    names(
        c,
        &format!(
            "SELECT relname FROM pg_class AS leaf
             WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relispartition
                 AND relname ~ '^{}_b[0-9]+_p[0-9]+$' AND NOT {} ORDER BY relname",
            table.name(),
            is_published(table)
        ),
    )
}

/// Returns the condition that a partition's batch is published. Folded partitions were.
pub(super) fn is_published(table: &LakeTable) -> String {
    format!(
        "(leaf.relname !~ '^{0}_b' OR EXISTS (
             SELECT FROM batch WHERE event_id IS NOT NULL
                 AND unit_id = substring(leaf.relname::text FROM '^{0}_b([0-9]+)_')::bigint))",
        table.name()
    )
}

fn names(c: &Connection, sql: &str) -> EngineResult<Vec<String>> {
    c.prepare(sql)?.query_map([], |r| r.get(0))?.collect()
}

/// Returns whether the batch of a loaded table is still to be published.
///
/// # Errors
/// Returns an error when the engine fails.
pub fn is_coming(c: &Connection, table: &LakeTable, name: &str) -> EngineResult<bool> {
    let of_batch = name.strip_prefix(table.name()).and_then(|rest| rest.strip_prefix("_b"));
    let batch = of_batch.and_then(|rest| rest.split('_').next());
    c.query_row(
        "SELECT EXISTS (SELECT * FROM unit WHERE unit_id = ?1 AND state = 'staged')",
        [batch.and_then(|number| number.parse::<i64>().ok())],
        |r| r.get(0),
    )
}

/// Lists the tables of loads that belong to no partitioned table and that nothing needs any more.
fn abandoned(tx: &Connection, table: &LakeTable) -> Result<Vec<String>, ArchiveFault> {
    let of_batches = format!("{}_b", table.name());
    let mut abandoned = Vec::new();
    for name in left_over(tx, table)? {
        let is_folding = !name.starts_with(&of_batches) && !keep_from_folding(tx)?;
        if !is_coming(tx, table, &name)? && !is_folding {
            abandoned.push(name);
        }
    }
    Ok(abandoned)
}

/// Lists the tables that [`drop_left_over`] would drop.
///
/// # Errors
/// Returns an error when the engine fails.
pub fn due_to_drop(c: &Connection, table: &LakeTable) -> Result<Vec<String>, ArchiveFault> {
    let tx = c.begin(Kind::Write)?; // rolled back: it keeps a fold from beginning
    let mut due = abandoned(&tx, table)?;
    for name in unpublished(&tx, table)? {
        if !is_coming(&tx, table, &name)? {
            due.push(name);
        }
    }
    Ok(due)
}

/// Drops the tables that loads left of batches which are not staged any more. Attached tables can be dropped only when no reader
/// uses them: each drop waits for a moment, in which no reader queues for long, and is then left for the next call.
///
/// # Errors
/// Returns an error when the engine fails.
pub fn drop_left_over(c: &Connection, table: &LakeTable) -> Result<Vec<String>, ArchiveFault> {
    let mut dropped = Vec::new();
    if left_over(c, table)?.is_empty() && unpublished(c, table)?.is_empty() {
        return Ok(dropped);
    }
    let tx = c.begin(Kind::Write)?;
    for name in abandoned(&tx, table)? {
        tx.execute_batch(&format!("DROP TABLE {name}"))?;
        dropped.push(name);
    }
    files::crash_point("clear:before-commit");
    tx.commit()?;
    for name in unpublished(c, table)? {
        let drop = || -> EngineResult<bool> {
            let tx = c.begin(Kind::Write)?;
            let there = !is_coming(&tx, table, &name)? && unpublished(&tx, table)?.contains(&name);
            if there {
                tx.execute_batch(&format!("SET LOCAL lock_timeout = '100ms'; DROP TABLE {name}"))?;
                files::crash_point("clear:attached");
                tx.commit()?;
            }
            Ok(there)
        };
        match drop() {
            Ok(true) => dropped.push(name),
            Ok(false) => {}
            Err(fault) if fault.is_transient() => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(dropped)
}
