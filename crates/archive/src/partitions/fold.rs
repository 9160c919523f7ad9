//! Merging of partitions, so that their number stays within what a server can plan and lock.

use super::load::{columns_of, create_sql, keys_sql};
use super::publication::attach_sql;
use super::schema::{is_published, may_fold, owner_sql};
use super::{parent_name, partition_pattern};
use crate::Archive;
use crate::error::{ArchiveError, ArchiveFault};
use engine::{Connection, EngineError, Kind, Result as EngineResult};
use lake::LakeTable;
use model::{ObjectId, ProgrammeId};
use std::time::Duration;

/// Maximum number of partitions of a table; more are folded, since the server locks and plans for each of them.
pub const MAX_PARTITIONS: usize = 240;

impl Archive {
    /// Keeps the archive fast: on a server, merges partitions when there are many. Returns the number of merged partitions.
    ///
    /// # Errors
    /// [`ArchiveError`]; the archive is then unchanged.
    pub fn tidy(&mut self) -> Result<u64, ArchiveError> {
        if self.site.is_embedded() {
            return Ok(0);
        }
        let tables = self.site.lake_tables().iter();
        let folded = tables.map(|table| fold(&self.connection, table, max_partitions()));
        folded.sum::<Result<u64, _>>().map_err(ArchiveError::during("fold partitions"))
    }
}

/// Returns the number of partitions beyond which they are folded; the kill tests lower it.
pub fn max_partitions() -> usize {
    #[cfg(debug_assertions)]
    if let Some(most) = std::env::var("ALMAGEST_MAX_PARTITIONS").ok().and_then(|n| n.parse().ok()) {
        return most;
    }
    MAX_PARTITIONS
}

/// Number of attempts to get the lock that readers hold.
const TRIES: usize = 30;
const PAUSE: Duration = Duration::from_millis(100);

/// A partition with rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// The programme of its rows.
    pub programme_id: ProgrammeId,
    /// The first id that it may hold.
    pub first_obj_id: ObjectId,
    /// The last one.
    pub last_obj_id: ObjectId,
    /// True when the rows are those of published events.
    pub is_published: bool,
}

impl Partition {
    fn ids(&self) -> i64 {
        self.last_obj_id.get() - self.first_obj_id.get() + 1
    }
}

/// Lists all partitions of a table, by programme and id.
///
/// # Errors
/// Returns an error when the engine fails.
pub fn partitions(c: &Connection, table: &LakeTable) -> EngineResult<Vec<Partition>> {
    let mut select = c.prepare(&format!(
        "SELECT leaf.relname, pg_get_expr(leaf.relpartbound, leaf.oid), parent.relname, {is_published}
         FROM pg_class AS leaf JOIN pg_inherits ON inhrelid = leaf.oid JOIN pg_class AS parent ON parent.oid = inhparent
         WHERE leaf.relnamespace = current_schema()::regnamespace AND leaf.relkind = 'r'
             AND parent.relname ~ '^{}_p[0-9]+$' AND NOT inhdetachpending",
        table.name(),
        is_published = is_published(table)
    ))?;
    let of_programme = format!("{}_p", table.name());
    let rows = select.query_map([], |r| {
        Ok((r.get::<String>(0)?, r.get::<String>(1)?, r.get::<String>(2)?, r.get(3)?))
    })?;
    let mut partitions = Vec::new();
    for row in rows {
        let (name, bounds, parent, is_published) = row?;
        let numbers: Vec<i64> = bounds
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let programme_id = parent
            .trim_start_matches(&of_programme)
            .parse::<ProgrammeId>()
            .map_err(|reason| EngineError::Value { column: 2, reason })?;
        if let [first, end] = &numbers[..] {
            let bound = |number: i64| {
                ObjectId::try_from(number)
                    .map_err(|reason| EngineError::Value { column: 1, reason })
            };
            partitions.push(Partition {
                name,
                programme_id,
                first_obj_id: bound(*first)?,
                last_obj_id: bound(end - 1)?,
                is_published,
            });
        }
    }
    partitions.sort_by_key(|p| (p.programme_id, p.first_obj_id));
    Ok(partitions)
}

/// Merges neighbouring partitions of a table when there are more than `most`, until there are a quarter fewer, and returns the number of
/// merged partitions. Readers and loads continue; the swap is one short transaction.
///
/// # Errors
/// Returns an error when the engine fails, or a merged table does not equal its parts.
pub fn fold(c: &Connection, table: &LakeTable, most: usize) -> Result<u64, ArchiveFault> {
    // Counting is cheap; reading the bounds would make the server open every table, after every ingest.
    let count: u64 = c.query_row(
        "SELECT count(*) FROM pg_class
         WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relispartition AND relname ~ ?1",
        [partition_pattern(table)],
        |r| r.get(0),
    )?;
    if count <= most as u64 {
        return Ok(0);
    }
    let Some(server) = c.server() else { return Ok(0) };
    // The lock lasts over many transactions of `c`, so it is held by a transaction on a connection of its own.
    let mut holder = server.another()?;
    let mut lock = holder.transaction().map_err(EngineError::from)?;
    if !may_fold(&mut lock)? {
        return Ok(0);
    }
    let all = partitions(c, table)?;
    if all.len() <= most {
        return Ok(0);
    }
    let mut merged = 0;
    for group in groups(&all, most * 3 / 4) {
        if fold_one(c, table, &group)? {
            merged += group.len() as u64;
        }
    }
    Ok(merged)
}

/// Selects the neighbours to be merged, so that `wanted` partitions are left: repeatedly the pair with the fewest object ids. So
/// small partitions are merged often and large ones seldom, and a row is rewritten about as often as the logarithm of the
/// archive's size.
fn groups(all: &[Partition], wanted: usize) -> Vec<Vec<Partition>> {
    let mut groups: Vec<(i64, Vec<Partition>)> =
        all.iter().map(|p| (p.ids(), vec![p.clone()])).collect();
    while groups.len() > wanted {
        let pairs = groups.windows(2).enumerate();
        let may_merge = |a: &Partition, b: &Partition| {
            a.programme_id == b.programme_id && a.is_published && b.is_published
        };
        let pairs = pairs.filter(|(_, w)| may_merge(&w[0].1[0], &w[1].1[0]));
        let Some((at, _)) = pairs.min_by_key(|(_, w)| w[0].0 + w[1].0) else { break };
        let (ids, parts) = groups.remove(at + 1);
        groups[at].0 += ids;
        groups[at].1.extend(parts);
    }
    groups.retain(|(_, group)| group.len() > 1);
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Merges some neighbours into one partition; returns `false` when readers held the lock for too long.
fn fold_one(c: &Connection, table: &LakeTable, group: &[Partition]) -> Result<bool, ArchiveFault> {
    let (first, last) = (group[0].first_obj_id, group[group.len() - 1].last_obj_id);
    let programme = group[0].programme_id;
    let name = format!("{}_f{first}_p{programme}", table.name());
    // The table may remain from an interrupted fold. It cannot be a partition: a partition of that name would be in the group.
    let is_part = group.iter().any(|p| p.name == name);
    let name = if is_part { format!("{}_f{first}{last}_p{programme}", table.name()) } else { name };
    let tx = c.begin(Kind::Write)?;
    tx.execute_batch(&format!("DROP TABLE IF EXISTS {name}"))?;
    tx.commit()?;
    // The fill runs outside a write transaction, so ingest continues meanwhile.
    fill(c, table, &name, group)?;
    files::crash_point("fold:filled");
    verify_equal(c, table, &name, group)?;
    swap(c, table, &name, group, (first, last))
}

/// Fills the new table from its parts, frozen as they were: a reader with an older snapshot must find the rows in one or the
/// other.
fn fill(
    c: &Connection,
    table: &LakeTable,
    name: &str,
    group: &[Partition],
) -> Result<(), ArchiveFault> {
    let Some(server) = c.server() else { return Ok(()) };
    let fault = |e: postgres::Error| ArchiveFault::from(EngineError::from(e));
    let (mut from, mut to) = (server.another()?, server.another()?);
    // Without these settings, the rows would not stay in the order of their ids.
    from.batch_execute("SET max_parallel_workers_per_gather = 0; SET synchronize_seqscans = off")
        .map_err(fault)?;
    let columns = columns_of(table);
    let mut tx = to.transaction().map_err(fault)?;
    let bounds = (group[0].first_obj_id, group[group.len() - 1].last_obj_id);
    let programme = group[0].programme_id;
    let create = create_sql(table, name, programme, bounds);
    tx.batch_execute(&format!("{create}; {}", owner_sql(table, name))).map_err(fault)?;
    let mut writer = tx
        .copy_in(&format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary, FREEZE)"))
        .map_err(fault)?;
    let parts: Vec<String> =
        group.iter().map(|p| format!("SELECT {columns} FROM {}", p.name)).collect();
    let all = format!("COPY ({}) TO STDOUT (FORMAT binary)", parts.join(" UNION ALL "));
    let mut reader = from.copy_out(&all).map_err(fault)?;
    std::io::copy(&mut reader, &mut writer).map_err(ArchiveFault::Cut)?;
    writer.finish().map_err(fault)?;
    tx.batch_execute(&keys_sql(table, name, programme, bounds)).map_err(fault)?;
    tx.commit().map_err(fault)
}

/// Checks that counts and sums of the merged table equal those of its parts.
fn verify_equal(
    c: &Connection,
    table: &LakeTable,
    name: &str,
    group: &[Partition],
) -> Result<(), ArchiveFault> {
    let keys: Vec<String> =
        table.range_key().iter().map(|key| format!("coalesce(sum({key}), 0)")).collect();
    let sums = format!(
        "count(*) AS n, coalesce(sum({}), 0) AS ids, {} AS keys,
                coalesce(sum(hashtext(d::text)::bigint), 0) AS content",
        table.id(),
        keys.join(" + ")
    );
    let sum = |n: &str| format!("sum({n})::numeric");
    let parts: Vec<String> =
        group.iter().map(|p| format!("SELECT {sums} FROM {} AS d", p.name)).collect();
    let equal: bool = c.query_row(
        &format!(
            "SELECT (SELECT ROW({0}, {1}, {2}, {3}) FROM ({4}) AS parts)
                  = (SELECT ROW({0}, {1}, {2}, {3}) FROM (SELECT {sums} FROM {name} AS d) AS whole)",
            sum("n"),
            sum("ids"),
            sum("keys"),
            sum("content"),
            parts.join(" UNION ALL ")
        ),
        [],
        |r| r.get(0),
    )?;
    if equal {
        return Ok(());
    }
    Err(ArchiveFault::Damaged(format!("the merged partition {name} does not equal its parts")))
}

/// Replaces the parts by the merged table. DETACH needs a lock that conflicts with readers: it waits only for a moment, so that
/// no reader ever queues behind it for long, and is retried.
fn swap(
    c: &Connection,
    table: &LakeTable,
    name: &str,
    group: &[Partition],
    bounds: (ObjectId, ObjectId),
) -> Result<bool, ArchiveFault> {
    let parent = parent_name(table, group[0].programme_id);
    let swapped = || -> EngineResult<()> {
        let tx = c.begin(Kind::Write)?;
        tx.execute_batch("SET LOCAL lock_timeout = '100ms'")?;
        for part in group {
            tx.execute_batch(&format!("ALTER TABLE {parent} DETACH PARTITION {}", part.name))?;
        }
        tx.execute_batch(&attach_sql(table, name, group[0].programme_id, bounds))?;
        for part in group {
            tx.execute_batch(&format!("DROP TABLE {}", part.name))?;
        }
        files::crash_point("fold:before-commit");
        tx.commit()?;
        files::crash_point("fold:after-commit");
        Ok(())
    };
    let mut outcome = swapped();
    for _ in 0..TRIES {
        if !outcome.as_ref().is_err_and(EngineError::is_transient) {
            break;
        }
        std::thread::sleep(PAUSE);
        outcome = swapped();
    }
    match outcome {
        Ok(()) => Ok(true),
        Err(fault) if fault.is_transient() => {
            let tx = c.begin(Kind::Write)?;
            tx.execute_batch(&format!("DROP TABLE IF EXISTS {name}"))?;
            tx.commit()?;
            Ok(false)
        }
        Err(fault) => Err(fault.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_neighbours_of_a_programme_are_grouped() {
        let partition = |programme: i32, first: i64, ids: i64| Partition {
            name: format!("p{programme}_{first}"),
            programme_id: ProgrammeId::new(programme).unwrap(),
            first_obj_id: ObjectId::new(first).unwrap(),
            last_obj_id: ObjectId::new(first + ids - 1).unwrap(),
            is_published: true,
        };
        let all = [
            partition(1, 1, 1000),
            partition(1, 1001, 10),
            partition(1, 1011, 10),
            partition(1, 1021, 15),
            partition(2, 1, 5),
            partition(3, 1, 5),
        ];
        let sizes = |wanted| -> Vec<usize> { groups(&all, wanted).iter().map(Vec::len).collect() };
        assert_eq!(sizes(6), [] as [usize; 0]);
        assert_eq!(sizes(5), [2]);
        assert_eq!(sizes(4), [3]);
        assert_eq!(sizes(1), [4], "programmes stay apart");
        let mut all = all;
        all[2].is_published = false;
        assert_eq!(
            groups(&all, 1).iter().map(Vec::len).collect::<Vec<_>>(),
            [2],
            "nothing is merged over a batch to come"
        );
    }
}
