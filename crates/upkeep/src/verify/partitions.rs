//! Lake tables on a server: partitions that no event made, rows without range, ranges without their rows.

use super::{Options, Report, VerifyFinding};
use archive::error::ArchiveFault;
use archive::partitions;
use engine::Connection;
use lake::LakeTable;

/// Checks the partitions of the lake tables.
pub(super) fn tables(
    c: &Connection,
    tables: &[LakeTable],
    options: Options,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let mut count = 0;
    for table in tables {
        count += of_table(c, table, options, report)?;
    }
    report.note("partitions of lake tables", count);
    Ok(())
}

/// Checks that every partition of a table holds the rows that the index records for its ids, and nothing else; with `checksums`
/// row by row, at scan speed and in the memory of the server. Returns the number of partitions.
fn of_table(
    c: &Connection,
    table: &LakeTable,
    options: Options,
    report: &mut Report,
) -> Result<u64, ArchiveFault> {
    let (id, first_id, index) = (table.id(), table.first_id(), table.index());
    let all = partitions::partitions(c, table)?;
    for partition in all.iter().filter(|p| p.is_published) {
        let wanted: i64 = c.query_row(
            &format!(
                "SELECT coalesce(sum(rows), 0) FROM {index} WHERE programme_id = ?1 AND {first_id} BETWEEN ?2 AND ?3"
            ),
            rusqlite::params![
                partition.programme_id.get(),
                partition.first_obj_id.get(),
                partition.last_obj_id.get()
            ],
            |r| r.get(0),
        )?;
        let (rows, first, last): (i64, Option<i64>, Option<i64>) = c.query_row(
            &format!("SELECT count(*), min({id}), max({id}) FROM {}", partition.name),
            [],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
        )?;
        // Purged rows left a gap.
        let outside = first.is_some_and(|id| id < partition.first_obj_id.get())
            || last.is_some_and(|id| id > partition.last_obj_id.get());
        if rows != wanted || outside {
            let message = format!(
                "{rows} rows with ids {} to {}; the ranges of the partition have {wanted} from {} to {}",
                first.unwrap_or(0),
                last.unwrap_or(0),
                partition.first_obj_id,
                partition.last_obj_id
            );
            let name = partition.name.clone();
            report.findings.push(VerifyFinding::PartitionRows { name, message });
        } else if options.reads(&partition.name) {
            ranges(c, table, partition, report)?;
        }
    }
    let not_published = [partitions::left_over(c, table)?, partitions::unpublished(c, table)?];
    for name in not_published.into_iter().flatten() {
        if !partitions::is_coming(c, table, &name)? {
            report.findings.push(VerifyFinding::TableWithoutEvent { name });
        }
    }
    Ok(all.len() as u64)
}

/// Checks that the rows of each range are those that the index records: count, ids, event, version.
fn ranges(
    c: &Connection,
    table: &LakeTable,
    partition: &partitions::Partition,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let (id, first_id, layout) = (table.id(), table.first_id(), table.layout());
    let key = table.range_key().iter().chain(&layout.version).map(String::as_str);
    let key: Vec<&str> = key.chain(["begin_event"]).collect();
    let of = |alias: &str| {
        let columns: Vec<String> = key.iter().map(|column| format!("{alias}.{column}")).collect();
        columns.join(", ")
    };
    let row_key = if layout.row_key.is_empty() { id.to_owned() } else { layout.row_key.join(", ") };
    let of_key = &table.range_key()[0];
    let sql = format!(
        "SELECT count(*), min(coalesce(f.{of_key}, r.{of_key})) FROM (
             SELECT {key}, count(*) AS n, min({id}) AS first, max({id}) AS last, count(DISTINCT ({row_key})) AS numbers
             FROM {name} GROUP BY {key}) AS f
         FULL JOIN (SELECT * FROM {index} WHERE programme_id = ?1 AND {first_id} BETWEEN ?2 AND ?3) AS r
             ON ({of_rows}) = ({of_index})
         WHERE f.n IS DISTINCT FROM r.rows OR f.first IS DISTINCT FROM r.{first_id}
             OR f.last IS DISTINCT FROM r.{first_id} + r.rows - 1 OR f.numbers <> f.n",
        key = key.join(", "),
        name = partition.name,
        index = table.index(),
        of_rows = of("f"),
        of_index = of("r")
    );
    let bounds = rusqlite::params![
        partition.programme_id.get(),
        partition.first_obj_id.get(),
        partition.last_obj_id.get()
    ];
    let (count, example): (i64, Option<i64>) =
        c.query_row(&sql, bounds, |r| Ok((r.get(0)?, r.get(1)?)))?;
    if count > 0 {
        let message = format!(
            "the rows of {count} ranges are not those that were published, e.g. of {of_key} {}",
            example.unwrap_or(0)
        );
        report
            .findings
            .push(VerifyFinding::PartitionRows { name: partition.name.clone(), message });
    }
    Ok(())
}
