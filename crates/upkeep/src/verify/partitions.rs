//! Detections on a server: partitions that no event made, rows without detector, detectors without their rows.

use super::{Options, Report, VerifyFinding};
use archive::error::ArchiveFault;
use archive::partitions;
use engine::Connection;

/// Checks that every partition holds the rows that `detector_rows` records for its range, and nothing else; with
/// `checksums` row by row, at scan speed and in the memory of the server.
pub(super) fn tables(
    c: &Connection,
    options: Options,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let all = partitions::partitions(c)?;
    for partition in all.iter().filter(|p| p.is_published) {
        let wanted: i64 = c.query_row(
            "SELECT coalesce(sum(rows), 0) FROM detector_rows WHERE programme_id = ?1 AND first_obj_id BETWEEN ?2 AND ?3",
            rusqlite::params![
                partition.programme_id.get(),
                partition.first_obj_id.get(),
                partition.last_obj_id.get()
            ],
            |r| r.get(0),
        )?;
        let (rows, first, last): (i64, Option<i64>, Option<i64>) = c.query_row(
            &format!("SELECT count(*), min(obj_id), max(obj_id) FROM {}", partition.name),
            [],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
        )?;
        // Purged rows left a gap.
        let outside = first.is_some_and(|id| id < partition.first_obj_id.get())
            || last.is_some_and(|id| id > partition.last_obj_id.get());
        if rows != wanted || outside {
            let message = format!(
                "{rows} rows with object ids {} to {}; the detectors of the partition have {wanted} from {} to {}",
                first.unwrap_or(0),
                last.unwrap_or(0),
                partition.first_obj_id,
                partition.last_obj_id
            );
            let name = partition.name.clone();
            report.findings.push(VerifyFinding::PartitionRows { name, message });
        } else if options.reads(&partition.name) {
            detectors(c, partition, report)?;
        }
    }
    report.note("partitions of detections", all.len() as u64);
    let not_published = [partitions::left_over(c)?, partitions::unpublished(c)?];
    for name in not_published.into_iter().flatten() {
        if !partitions::is_coming(c, &name)? {
            report.findings.push(VerifyFinding::TableWithoutEvent { name });
        }
    }
    Ok(())
}

/// Checks that the rows of each detector are those that `detector_rows` records: count, ids, event, version.
fn detectors(
    c: &Connection,
    partition: &partitions::Partition,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let sql = format!(
        "SELECT count(*), min(coalesce(f.multiframe_id, r.multiframe_id)) FROM (
             SELECT multiframe_id, ext_num, version, begin_event, count(*) AS n, min(obj_id) AS first, max(obj_id) AS last,
                 count(DISTINCT seq_num) AS numbers
             FROM {} GROUP BY 1, 2, 3, 4) AS f
         FULL JOIN (SELECT * FROM detector_rows WHERE programme_id = ?1 AND first_obj_id BETWEEN ?2 AND ?3) AS r
             ON (f.multiframe_id, f.ext_num, f.version, f.begin_event)
              = (r.multiframe_id, r.ext_num, r.version, r.begin_event)
         WHERE f.n IS DISTINCT FROM r.rows OR f.first IS DISTINCT FROM r.first_obj_id
             OR f.last IS DISTINCT FROM r.first_obj_id + r.rows - 1 OR f.numbers <> f.n",
        partition.name
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
            "the rows of {count} detectors are not those that were published, e.g. of multiframe {}",
            example.unwrap_or(0)
        );
        report
            .findings
            .push(VerifyFinding::PartitionRows { name: partition.name.clone(), message });
    }
    Ok(())
}
