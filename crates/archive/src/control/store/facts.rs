//! What `explain` needs, about a delivery or about all files of a name.

use super::refusals;
use super::registration::delivery_id;
use super::reports::{delivery_statuses, findings};
use super::superseded::without_successor;
use super::work::delivery_work;
use crate::control::records::{RefusalFilter, RefusalState};
use crate::control::report::{DeliveryFactsheet, Facts, FileFactsheet, FileRound};
use crate::engine::{Connection, Optional};
use crate::error::ArchiveFault;
use rusqlite::params;

/// See [`crate::Inquiry::facts`]. A name may be `DELIVERY`, `FILE` or `DELIVERY/FILE`.
pub(super) fn facts(c: &Connection, asked: &str) -> Result<Option<Facts>, ArchiveFault> {
    let delivery = match delivery_id(c, asked) {
        Ok(id) => Some(delivery_facts(c, asked, id)?),
        Err(ArchiveFault::Unknown { .. }) => None,
        Err(fault) => return Err(fault),
    };
    let files = file_facts(c, asked)?;
    if delivery.is_none() && files.is_empty() {
        return Ok(None);
    }
    Ok(Some(Facts { asked: asked.to_owned(), delivery, files }))
}

fn delivery_facts(c: &Connection, name: &str, id: i64) -> Result<DeliveryFactsheet, ArchiveFault> {
    let status = delivery_statuses(c, Some(id))?.pop();
    let filter = RefusalFilter {
        delivery: Some(name.to_owned()),
        state: Some(RefusalState::Open),
        ..RefusalFilter::default()
    };
    Ok(DeliveryFactsheet {
        status: status.unwrap_or_default(),
        work: delivery_work(c, name)?,
        refusals: refusals::list(c, &filter)?,
        findings: findings(c, Some(name))?,
        without_successor: without_successor(c, id)?,
    })
}

fn file_facts(c: &Connection, asked: &str) -> Result<Vec<FileFactsheet>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT file.file_id, delivery.name, file.name, file.kind, file.bytes, file.state = 'superseded',
             coalesce(image.multiframe_id, (SELECT max(multiframe_id) FROM catalogue
                                          WHERE catalogue.file_id = file.file_id)),
             same_delivery.name, same.name
         FROM file JOIN delivery USING (delivery_id) LEFT JOIN image ON image.file_id = file.file_id
             LEFT JOIN file AS same ON same.file_id = file.same_content_as
             LEFT JOIN delivery AS same_delivery ON same_delivery.delivery_id = same.delivery_id
         WHERE file.name = ?1 OR (file.name = ?2 AND delivery.name = ?3)
         ORDER BY file.file_id DESC",
    )?;
    let (delivery, name) = asked.split_once('/').unzip();
    let rows = select.query_map(params![asked, name, delivery], |r| {
        let same: (Option<String>, Option<String>) = (r.get(7)?, r.get(8)?);
        let sheet = FileFactsheet {
            delivery: r.get(1)?,
            name: r.get(2)?,
            kind: r.get(3)?,
            bytes: r.get(4)?,
            superseded: r.get(5)?,
            same_content_as: same.0.zip(same.1),
            multiframe_id: r.get(6)?,
            partner: None,
            replaced_by: None,
            rounds: Vec::new(),
            redo: Vec::new(),
            refusals: Vec::new(),
            has_metadata: false,
            detections: 0,
            previews: 0,
        };
        Ok((r.get(0)?, sheet))
    })?;
    let found: Vec<(i64, FileFactsheet)> = rows.collect::<Result<_, _>>()?;
    let mut sheets = Vec::new();
    for (file, mut sheet) in found {
        complete(c, file, &mut sheet)?;
        sheets.push(sheet);
    }
    sheets.extend(never_registered(c, asked, &sheets)?);
    Ok(sheets)
}

fn complete(c: &Connection, file: i64, sheet: &mut FileFactsheet) -> Result<(), ArchiveFault> {
    let filter = RefusalFilter {
        delivery: Some(sheet.delivery.clone()),
        file: Some(sheet.name.clone()),
        ..RefusalFilter::default()
    };
    sheet.refusals = refusals::list(c, &filter)?;
    sheet.redo =
        pairs(c, "SELECT use_case, why FROM redo WHERE file_id = ?1 AND unit_id IS NULL", file)?;
    let Some(multiframe) = sheet.multiframe_id else { return Ok(()) };
    let partner = if sheet.kind == "catalogue" {
        "SELECT file.name FROM image JOIN file USING (file_id) WHERE multiframe_id = ?1"
    } else {
        "SELECT file.name FROM catalogue JOIN file USING (file_id) WHERE multiframe_id = ?1
         ORDER BY version DESC LIMIT 1"
    };
    sheet.partner = c.query_row(partner, [multiframe], |r| r.get(0)).optional()?;
    if sheet.kind == "image" && sheet.partner.is_some() {
        // Why an image has fewer detections than it should is told by its catalogue.
        let filter = RefusalFilter { file: sheet.partner.clone(), ..filter };
        sheet.refusals.extend(refusals::list(c, &filter)?);
    }
    if sheet.kind == "catalogue" {
        sheet.replaced_by = c
            .query_row(
                "SELECT newer_file.name FROM catalogue AS own JOIN file AS own_file USING (file_id)
                     JOIN catalogue AS newer USING (multiframe_id) JOIN file AS newer_file ON newer_file.file_id = newer.file_id
                 WHERE own.multiframe_id = ?1 AND own.file_id = ?2 AND newer.version > own.version
                     AND newer_file.state = 'current' AND newer_file.name <> own_file.name
                 ORDER BY newer.version DESC LIMIT 1",
                [multiframe, file],
                |r| r.get(0),
            )
            .optional()?;
    }
    let count = |sql: &str| -> Result<u64, ArchiveFault> {
        Ok(c.query_row(sql, [multiframe], |r| r.get(0))?)
    };
    sheet.has_metadata = count("SELECT count(*) FROM multiframe WHERE multiframe_id = ?1")? > 0;
    sheet.previews = count("SELECT count(*) FROM preview WHERE multiframe_id = ?1")?;
    // A catalogue answers for its own versions, an image for all.
    let catalogue = (sheet.kind == "catalogue").then_some(file);
    sheet.detections = c.query_row(
        "SELECT coalesce(sum(rows), 0) FROM detector_rows
         WHERE multiframe_id = ?1 AND end_event IS NULL AND (CAST(?2 AS BIGINT) IS NULL OR version IN (
             SELECT version FROM catalogue WHERE multiframe_id = ?1 AND file_id = ?2))",
        params![multiframe, catalogue],
        |r| r.get(0),
    )?;
    let mut select = c.prepare_cached(
        "SELECT use_case, round, unit.state, coalesce(outcome, '')
         FROM task_input JOIN task USING (task_id) JOIN unit USING (unit_id)
         WHERE multiframe_id = ?1 AND (CAST(?2 AS BIGINT) IS NULL OR use_case <> 'catalogue' OR catalogue_version IN (
             SELECT version FROM catalogue WHERE multiframe_id = ?1 AND file_id = ?2))
         ORDER BY unit_id",
    )?;
    let rows = select.query_map(params![multiframe, catalogue], |r| {
        Ok(FileRound {
            use_case: r.get(0)?,
            round: r.get(1)?,
            state: r.get(2)?,
            outcome: r.get(3)?,
        })
    })?;
    sheet.rounds = rows.collect::<Result<_, _>>()?;
    Ok(())
}

fn pairs(c: &Connection, sql: &str, id: i64) -> Result<Vec<(String, String)>, ArchiveFault> {
    let mut select = c.prepare_cached(sql)?;
    let rows = select.query_map([id], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Names that were refused before they could be registered.
fn never_registered(
    c: &Connection,
    asked: &str,
    registered: &[FileFactsheet],
) -> Result<Vec<FileFactsheet>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT DISTINCT delivery.name, file_name FROM refusal JOIN delivery USING (delivery_id)
         WHERE file_id IS NULL AND file_name <> ''
             AND (file_name = ?1 OR delivery.name || '/' || file_name = ?1)",
    )?;
    let rows = select.query_map(params![asked], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let names: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    let mut sheets = Vec::new();
    for (delivery, name) in names {
        if registered.iter().any(|s| s.delivery == delivery && s.name == name) {
            continue;
        }
        let filter = RefusalFilter {
            delivery: Some(delivery.clone()),
            file: Some(name.clone()),
            ..RefusalFilter::default()
        };
        sheets.push(FileFactsheet {
            delivery,
            name,
            kind: "not registered".to_owned(),
            bytes: 0,
            superseded: false,
            same_content_as: None,
            multiframe_id: None,
            partner: None,
            replaced_by: None,
            rounds: Vec::new(),
            redo: Vec::new(),
            refusals: refusals::list(c, &filter)?,
            has_metadata: false,
            detections: 0,
            previews: 0,
        });
    }
    Ok(sheets)
}
