//! Facts for `explain` about a delivery, a night, or files. Objects and positions are in [`crate::explain::found`].

use crate::Reader;
use crate::batches::staged_rounds;
use crate::deliveries::delivery_id;
use crate::deliveries::superseded::without_successor;
use crate::error::{ArchiveError, ArchiveFault};
use crate::explain::found;
use crate::explain::sheets::{
    Asked, CompanionFile, DeliveryFactsheet, Facts, FileFactsheet, FileRound,
};
use crate::product_names;
use crate::products::{self, supersession};
use crate::refusals::{self, RefusalFilter, RefusalRecord, RefusalState, Stage};
use crate::retraction::can_come_back;
use crate::retraction::purge::{PurgedRound, purged_rounds};
use crate::site::Site;
use crate::status::StatusFilter;
use crate::status::drift::findings;
use crate::status::reports::{self, delivery_status};
use crate::work::{ImageWork, delivery_work};
use engine::{Connection, Optional, ToSql};
use model::{DeliveryName, FileId, FileKind, MultiframeId, RefusalCode, UseCase, frame_name};
use rusqlite::params;
use std::collections::BTreeSet;

impl Reader {
    /// Returns the facts that `explain` needs; empty when nothing matches the request.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn facts_about(&self, asked: &Asked) -> Result<Facts, ArchiveError> {
        self.read("look up facts", |c| facts(c, &self.site, asked))
    }

    /// Returns the facts about a delivery or all files of a name; `None` when nothing has that name.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn facts(&self, delivery_or_file: &str) -> Result<Option<Facts>, ArchiveError> {
        let name = Some(delivery_or_file.to_owned());
        let facts = self.facts_about(&Asked { name, at_most: 1000, ..Asked::default() })?;
        Ok((!facts.is_empty()).then_some(facts))
    }
}

/// Implements [`crate::Reader::facts`].
pub(crate) fn facts(c: &Connection, site: &Site, asked: &Asked) -> Result<Facts, ArchiveFault> {
    let mut facts = Facts::default();
    let at_most = asked.at_most.max(1);
    if let Some(name) = &asked.name {
        facts.delivery = match delivery_id(c, name) {
            Ok(id) => Some(delivery_facts(c, site, name, id)?),
            Err(ArchiveFault::Unknown { .. }) => None,
            Err(fault) => return Err(fault),
        };
        (facts.files, facts.files_in_all) = file_facts(c, site, name, at_most)?;
    }
    if let Some(night) = asked.night {
        let filter = StatusFilter { nights: vec![night], ..StatusFilter::default() };
        let deliveries = reports::status(c, &filter)?.deliveries;
        facts.night = (!deliveries.is_empty()).then_some((night, deliveries));
    }
    if let Some(multiframe) = asked.multiframe {
        let file = "SELECT file_id FROM image WHERE multiframe_id = ?1";
        let file: Option<i64> = c.query_row(file, [multiframe.get()], |r| r.get(0)).optional()?;
        if let Some(file) = file {
            facts.files.extend(sheets(c, site, "file.file_id = ?1", params![file], 1)?);
            facts.files_in_all = facts.files_in_all.max(facts.files.len() as u64);
        }
    }
    for file in &mut facts.files {
        if let Some(multiframe) = file.multiframe_id {
            file.kept = supersession::of_image(c, multiframe)?;
        }
    }
    if let Some(object) = asked.object {
        facts.objects = found::objects(c, object)?;
    }
    if let Some(position) = asked.position {
        facts.position = found::position(c, position, at_most)?;
    }
    Ok(facts)
}

fn delivery_facts(
    c: &Connection,
    site: &Site,
    name: &str,
    id: i64,
) -> Result<DeliveryFactsheet, ArchiveFault> {
    let status = delivery_status(c, id)?;
    let filter = RefusalFilter {
        delivery: Some(status.name.clone()),
        state: Some(RefusalState::Open),
        ..RefusalFilter::default()
    };
    let staged = staged_rounds(c)?.into_iter().filter(|round| round.unit.delivery == name);
    let blocked = staged.filter_map(|r| Some((r.unit.use_case, r.unit.round, r.blocked?)));
    Ok(DeliveryFactsheet {
        work: delivery_work(c, &status.name)?,
        refusals: refusals::list(c, &filter)?,
        findings: findings(c, Some(&status.name))?,
        status,
        without_successor: without_successor(c, id)?,
        blocked: blocked.collect(),
        can_come_back: can_come_back(c, site, id)?,
        kept: supersession::of_delivery(c, id)?,
        superseded_by: superseded_by(c, id)?,
        purged: purged_rounds(c, id)?,
    })
}

/// Returns the names of the newer deliveries whose frames supersede those of a delivery, with the number of these frames.
fn superseded_by(c: &Connection, delivery: i64) -> Result<Vec<(DeliveryName, u64)>, ArchiveFault> {
    let mut select = c.prepare_cached("SELECT name FROM delivery WHERE delivery_id = ?1")?;
    let mut named = Vec::new();
    for (newer, count) in products::superseded_by(c, delivery)? {
        named.push((select.query_row([newer], |r| r.name(0))?, count));
    }
    Ok(named)
}

/// Returns the files of a name, or of DELIVERY/FILE, the newest content first, and the number of all. When there are none,
/// returns images of the same frame under other file names.
fn file_facts(
    c: &Connection,
    site: &Site,
    asked: &str,
    at_most: usize,
) -> Result<(Vec<FileFactsheet>, u64), ArchiveFault> {
    let (delivery, name) = asked.split_once('/').unzip();
    let of_name = |condition: &str, values: &[&dyn ToSql]| {
        let count = format!(
            "SELECT count(*) FROM file JOIN delivery USING (delivery_id) WHERE {condition}"
        );
        let in_all: u64 = c.query_row(&count, values, |r| r.get(0))?;
        Ok::<_, ArchiveFault>((sheets(c, site, condition, values, at_most)?, in_all))
    };
    let condition = "file.name = ?1 OR (file.name = ?2 AND delivery.name = ?3)";
    let (mut sheets, mut in_all) = of_name(condition, params![asked, name, delivery])?;
    let refused = never_registered(c, asked)?;
    if sheets.is_empty() && refused.is_empty() {
        let condition = "file.kind = 'image'
             AND (file.frame_name = ?1 OR (file.frame_name = ?2 AND delivery.name = ?3))";
        let frame = (frame_name(asked), name.map(frame_name));
        (sheets, in_all) = of_name(condition, params![frame.0, frame.1, delivery])?;
    }
    let in_all = in_all + refused.len() as u64;
    let left = at_most.saturating_sub(sheets.len());
    sheets.extend(refused.into_iter().take(left.max(1)));
    Ok((sheets, in_all))
}

/// Lists the files that fulfil a condition on `file` and `delivery`, the newest first.
fn sheets(
    c: &Connection,
    site: &Site,
    condition: &str,
    values: &[&dyn ToSql],
    at_most: usize,
) -> Result<Vec<FileFactsheet>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT file.file_id, delivery.name, file.name, file.kind, file.bytes, file.state = 'superseded',
             coalesce(image.multiframe_id, (SELECT max(multiframe_id) FROM catalogue
                                          WHERE catalogue.file_id = file.file_id)),
             same_delivery.name, same.name, file.delivery_id, CASE WHEN newer.name <> file.name THEN newer.name END
         FROM file JOIN delivery USING (delivery_id) LEFT JOIN image ON image.file_id = file.file_id
             LEFT JOIN file AS newer ON newer.file_id = file.superseded_by
             LEFT JOIN file AS same ON same.file_id = file.same_content_as
             LEFT JOIN delivery AS same_delivery ON same_delivery.delivery_id = same.delivery_id
         WHERE {condition}
         ORDER BY file.file_id DESC LIMIT {at_most}"
    ))?;
    let rows = select.query_map(values, |r| {
        let same: (Option<String>, Option<String>) = (r.get(7)?, r.get(8)?);
        let sheet = FileFactsheet {
            delivery: r.name(1)?,
            name: r.get(2)?,
            kind: Some(r.parsed(3)?),
            bytes: r.get(4)?,
            superseded: r.get(5)?,
            same_content_as: same.0.zip(same.1),
            multiframe_id: r.optional_id(6)?,
            replaced_by: r.get(10)?,
            ..FileFactsheet::default()
        };
        Ok((r.get(0)?, r.get(9)?, sheet))
    })?;
    let found: Vec<(i64, i64, FileFactsheet)> = rows.collect::<Result<_, _>>()?;
    let mut sheets = Vec::new();
    for (file, delivery, mut sheet) in found {
        sheet.can_come_back = can_come_back(c, site, delivery)?;
        complete(c, file, &mut sheet)?;
        let is_of = |p: &PurgedRound, r: &FileRound| {
            (p.use_case.name(), p.round) == (r.use_case.as_str(), r.round)
        };
        sheet.purged = purged_rounds(c, delivery)?;
        sheet.purged.retain(|purged| sheet.rounds.iter().any(|round| is_of(purged, round)));
        sheets.push(sheet);
    }
    Ok(sheets)
}

/// Adds the contents of the tables of rounds, refusals and products about a file.
fn complete(c: &Connection, file: i64, sheet: &mut FileFactsheet) -> Result<(), ArchiveFault> {
    let filter = RefusalFilter {
        delivery: Some(sheet.delivery.clone()),
        file: Some(sheet.name.clone()),
        ..RefusalFilter::default()
    };
    let refusals = refusals::list(c, &filter)?;
    // A refusal without registered content is newer than the registered contents of its name.
    let is_own = |r: &RefusalRecord| r.file_id.map_or(!sheet.superseded, |of| of.get() == file);
    sheet.refusals = refusals.into_iter().filter(is_own).collect();
    sheet.redo =
        pairs(c, "SELECT use_case, why FROM redo WHERE file_id = ?1 AND unit_id IS NULL", file)?;
    add_images_of_companion(c, sheet)?;
    let Some(multiframe) = sheet.multiframe_id else { return Ok(()) };
    if sheet.kind == Some(FileKind::Image) {
        add_companions(c, multiframe, sheet)?;
    }
    match sheet.kind {
        Some(FileKind::Catalogue) => add_image(c, file, multiframe, sheet)?,
        _ => add_catalogue(c, file, multiframe, filter, sheet)?,
    }
    add_waiting(c, file, multiframe, sheet)?;
    // A catalogue is explained by its own versions, an image by those of all its catalogues.
    let catalogue = (sheet.kind == Some(FileKind::Catalogue)).then_some(file);
    add_rows(c, multiframe, catalogue, sheet)?;
    sheet.rounds = rounds(c, multiframe, catalogue)?;
    add_endings(c, multiframe, catalogue, sheet)
}

/// Adds the companions of an image.
fn add_companions(
    c: &Connection,
    multiframe: MultiframeId,
    sheet: &mut FileFactsheet,
) -> Result<(), ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT role, component_name, component_multiframe_id,
             EXISTS (SELECT * FROM file JOIN delivery USING (delivery_id)
                     WHERE delivery.name = ?2 AND file.name = component_name)
         FROM provenance WHERE multiframe_id = ?1 AND keyword = 'companion' ORDER BY role, position",
    )?;
    let rows = select.query_map(params![multiframe.get(), sheet.delivery.as_str()], |r| {
        Ok(CompanionFile {
            role: r.get(0)?,
            name: r.get(1)?,
            multiframe_id: r.optional_id(2)?,
            has_arrived: r.get(3)?,
        })
    })?;
    sheet.companions = rows.collect::<Result<_, _>>()?;
    Ok(())
}

/// Adds the images that a file is a companion of. One that is no image itself is found by its name.
fn add_images_of_companion(c: &Connection, sheet: &mut FileFactsheet) -> Result<(), ArchiveFault> {
    if sheet.kind == Some(FileKind::Catalogue) {
        return Ok(());
    }
    let condition = match sheet.multiframe_id {
        Some(multiframe) => format!("component_multiframe_id = {multiframe}"),
        None => "component_multiframe_id IS NULL AND component_name = ?2".to_owned(),
    };
    let mut select = c.prepare_cached(&format!(
        "SELECT provenance.role, file.name
         FROM provenance JOIN image USING (multiframe_id) JOIN file USING (file_id) JOIN delivery USING (delivery_id)
         WHERE {condition} AND provenance.keyword = 'companion' AND delivery.name = ?1 AND CAST(?2 AS TEXT) IS NOT NULL
         ORDER BY file.name, provenance.role"
    ))?;
    let rows =
        select.query_map([sheet.delivery.as_str(), &sheet.name], |r| Ok((r.get(0)?, r.get(1)?)))?;
    sheet.companion_of = rows.collect::<Result<_, _>>()?;
    Ok(())
}

/// Adds the image of a catalogue, and the catalogue that replaced it under another name.
fn add_image(
    c: &Connection,
    file: i64,
    multiframe: MultiframeId,
    sheet: &mut FileFactsheet,
) -> Result<(), ArchiveFault> {
    let image = "SELECT file.name FROM image JOIN file USING (file_id) WHERE multiframe_id = ?1";
    sheet.partner = c.query_row(image, [multiframe.get()], |r| r.get(0)).optional()?;
    let newest: Option<String> = c
        .query_row(
            "SELECT newer_file.name FROM catalogue AS own JOIN catalogue AS newer USING (multiframe_id)
                 JOIN file AS newer_file ON newer_file.file_id = newer.file_id
             WHERE own.multiframe_id = ?1 AND own.file_id = ?2 AND newer.version > own.version
                 AND newer_file.state = 'current'
             ORDER BY newer.version DESC LIMIT 1",
            [multiframe.get(), file],
            |r| r.get(0),
        )
        .optional()?;
    let replaced_by = newest.filter(|name| *name != sheet.name);
    sheet.replaced_by = replaced_by.or(sheet.replaced_by.take());
    Ok(())
}

/// Adds the catalogue of an image, with its refusals: they explain why the image has fewer detections than expected.
fn add_catalogue(
    c: &Connection,
    file: i64,
    multiframe: MultiframeId,
    filter: RefusalFilter,
    sheet: &mut FileFactsheet,
) -> Result<(), ArchiveFault> {
    let latest: Option<(String, i64, usize, bool)> = c
        .query_row(
            "SELECT file.name, file.file_id, file.hdus,
                 EXISTS (SELECT * FROM detector_rows WHERE detector_rows.multiframe_id = catalogue.multiframe_id
                             AND detector_rows.version = catalogue.version)
             FROM catalogue JOIN file USING (file_id) WHERE multiframe_id = ?1
             ORDER BY CASE file.state WHEN 'current' THEN 0 ELSE 1 END, catalogue.version DESC LIMIT 1",
            [multiframe.get()],
            |r| Ok((r.get(0)?, r.get(1)?, r.get::<u32>(2)? as usize, r.get(3)?)),
        )
        .optional()?;
    let Some((name, catalogue, hdus, is_in_archive)) = latest else {
        let code = Some(RefusalCode::CATALOGUE_AMBIGUOUS.into());
        sheet.refused_partner = refusals::list(c, &RefusalFilter { code, file: None, ..filter })?;
        sheet.refused_partner.retain(|r| {
            r.refusal.subject.as_ref() == Some(&sheet.name) && r.state != RefusalState::Resolved
        });
        return Ok(());
    };
    let filter = RefusalFilter { file: Some(name.clone()), ..filter };
    sheet.partner = Some(name);
    let mut refusals = refusals::list(c, &filter)?;
    refusals.retain(|r| r.file_id.is_none_or(|of| of.get() == catalogue));
    let is_in_image = catalogue == file;
    let is_of_tables = |r: &&RefusalRecord| match r.stage {
        Stage::Task(use_case) => !is_in_image || use_case.product().is_of_catalogue(),
        _ => !is_in_image,
    };
    let of_content = refusals.iter().filter(|r| r.file_id.map(FileId::get) == Some(catalogue));
    if !is_in_archive {
        sheet.catalogue_refused = refusal_of_all(of_content.filter(is_of_tables), hdus).cloned();
    }
    if !is_in_image {
        sheet.refusals.extend(refusals);
    }
    Ok(())
}

/// Returns the first refusal of a catalogue of which the whole file or every HDU is refused.
fn refusal_of_all<'r>(
    refusals: impl Iterator<Item = &'r RefusalRecord>,
    hdus: usize,
) -> Option<&'r RefusalRecord> {
    // A refusal of rows does not refuse the other rows of its HDU.
    let is_whole = |r: &&RefusalRecord| r.refusal.row_ranges.is_empty();
    let is_in_force = |r: &&RefusalRecord| r.state != RefusalState::Resolved && !r.overruled;
    let refusals: Vec<&RefusalRecord> = refusals.filter(is_whole).filter(is_in_force).collect();
    // The number of HDUs does not include those without rows.
    let of_hdus = refusals.iter().filter(|r| r.refusal.code != RefusalCode::ZERO_ROWS);
    let refused: BTreeSet<u16> = of_hdus.filter_map(|r| r.refusal.hdu).collect();
    let is_all = refusals.iter().any(|r| r.refusal.hdu.is_none()) || refused.len() >= hdus;
    refusals.first().copied().filter(|_| is_all)
}

/// Adds the image whose catalogue, or the catalogue itself, is due and in no round yet.
fn add_waiting(
    c: &Connection,
    file: i64,
    multiframe: MultiframeId,
    sheet: &mut FileFactsheet,
) -> Result<(), ArchiveFault> {
    if sheet.superseded {
        return Ok(());
    }
    // Loading all work of a delivery is expensive, and most catalogues are already in a round.
    let catalogue = (sheet.kind == Some(FileKind::Catalogue)).then_some(file);
    let of_catalogues = product_names::of_catalogues();
    let may_wait: bool = c.query_row(
        &format!("SELECT EXISTS (SELECT * FROM catalogue
             WHERE multiframe_id = ?1 AND (CAST(?2 AS BIGINT) IS NULL OR file_id = ?2)
                 AND NOT EXISTS (SELECT * FROM task_input JOIN task USING (task_id) JOIN unit USING (unit_id)
                                 WHERE task_input.multiframe_id = catalogue.multiframe_id
                                     AND catalogue_version = catalogue.version AND use_case IN ({of_catalogues})))"),
        params![multiframe.get(), catalogue],
        |r| r.get(0),
    )?;
    if !may_wait {
        return Ok(());
    }
    let work = delivery_work(c, &sheet.delivery)?;
    let image = work.images.into_iter().find(|image| image.multiframe_id == multiframe);
    let is_meant = |image: &ImageWork| {
        let waiting = image.waiting_catalogue();
        waiting.is_some_and(|waiting| catalogue.is_none() || waiting.name == sheet.name)
    };
    sheet.waiting = image.filter(is_meant);
    Ok(())
}

/// Adds the counts of a multiframe's rows that the archive shows, with the detections of one catalogue file or of all.
fn add_rows(
    c: &Connection,
    multiframe: MultiframeId,
    catalogue: Option<i64>,
    sheet: &mut FileFactsheet,
) -> Result<(), ArchiveFault> {
    let count = |sql: &str| -> Result<u64, ArchiveFault> {
        Ok(c.query_row(sql, [multiframe.get()], |r| r.get(0))?)
    };
    sheet.has_metadata = count("SELECT count(*) FROM multiframe WHERE multiframe_id = ?1")? > 0;
    sheet.previews = count("SELECT count(*) FROM preview WHERE multiframe_id = ?1")?;
    sheet.detections = c.query_row(
        "SELECT coalesce(sum(rows), 0) FROM detector_rows
         WHERE multiframe_id = ?1 AND end_event IS NULL AND (CAST(?2 AS BIGINT) IS NULL OR version IN (
             SELECT version FROM catalogue WHERE multiframe_id = ?1 AND file_id = ?2))",
        params![multiframe.get(), catalogue],
        |r| r.get(0),
    )?;
    Ok(())
}

/// Returns the rounds that covered a multiframe, catalogue rounds with one catalogue file or with any.
fn rounds(
    c: &Connection,
    multiframe: MultiframeId,
    catalogue: Option<i64>,
) -> Result<Vec<FileRound>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT use_case, round, unit.state, coalesce(outcome, '')
         FROM task_input JOIN task USING (task_id) JOIN unit USING (unit_id)
         WHERE multiframe_id = ?1 AND (CAST(?2 AS BIGINT) IS NULL OR use_case NOT IN ({of_catalogues}) OR catalogue_version IN (
             SELECT version FROM catalogue WHERE multiframe_id = ?1 AND file_id = ?2))
         ORDER BY unit_id",
        of_catalogues = product_names::of_catalogues()
    ))?;
    let rows = select.query_map(params![multiframe.get(), catalogue], |r| {
        Ok(FileRound {
            use_case: r.get(0)?,
            round: r.id(1)?,
            state: r.parsed(2)?,
            outcome: r.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Adds the events that ended the products of a file that the archive does not show.
fn add_endings(
    c: &Connection,
    multiframe: MultiframeId,
    catalogue: Option<i64>,
    sheet: &mut FileFactsheet,
) -> Result<(), ArchiveFault> {
    let ending = |sql: &str, values: &[&dyn ToSql], use_case: UseCase| {
        found::ending(c, sql, values, (multiframe, use_case))
    };
    if !sheet.has_metadata {
        let sql = "SELECT max(end_event) FROM multiframe_all WHERE multiframe_id = ?1";
        sheet.metadata_end = ending(sql, params![multiframe.get()], UseCase::Metadata)?;
    }
    sheet.undone_decisions = found::undone_decisions(c, multiframe)?;
    if sheet.detections > 0 {
        sheet.superseded_detectors = found::superseded_detectors(c, multiframe)?;
    } else {
        let sql = "SELECT max(end_event) FROM detector_rows
             WHERE multiframe_id = ?1 AND (CAST(?2 AS BIGINT) IS NULL OR version IN (
                 SELECT version FROM catalogue WHERE multiframe_id = ?1 AND file_id = ?2))";
        sheet.detections_end =
            ending(sql, params![multiframe.get(), catalogue], UseCase::Catalogue)?;
    }
    if sheet.previews == 0 && sheet.kind == Some(FileKind::Image) {
        let sql = "SELECT max(end_event) FROM preview_all WHERE multiframe_id = ?1";
        sheet.previews_end = ending(sql, params![multiframe.get()], UseCase::Preview)?;
    }
    Ok(())
}

fn pairs(c: &Connection, sql: &str, id: i64) -> Result<Vec<(String, String)>, ArchiveFault> {
    let mut select = c.prepare_cached(sql)?;
    let rows = select.query_map([id], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists files that were refused before they could be registered.
fn never_registered(c: &Connection, asked: &str) -> Result<Vec<FileFactsheet>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT DISTINCT delivery.name, file_name FROM refusal JOIN delivery USING (delivery_id)
         WHERE file_id IS NULL AND file_name <> ''
             AND (file_name = ?1 OR delivery.name || '/' || file_name = ?1)
             AND NOT EXISTS (SELECT * FROM file WHERE file.delivery_id = refusal.delivery_id
                                 AND file.name = refusal.file_name)
         ORDER BY 1 DESC",
    )?;
    let rows = select.query_map(params![asked], |r| Ok((r.name(0)?, r.get(1)?)))?;
    let names: Vec<(DeliveryName, String)> = rows.collect::<Result<_, _>>()?;
    let mut sheets = Vec::new();
    for (delivery, name) in names {
        let filter = RefusalFilter {
            delivery: Some(delivery.clone()),
            file: Some(name.clone()),
            ..RefusalFilter::default()
        };
        let refusals = refusals::list(c, &filter)?;
        sheets.push(FileFactsheet { delivery, name, refusals, ..FileFactsheet::default() });
    }
    Ok(sheets)
}
