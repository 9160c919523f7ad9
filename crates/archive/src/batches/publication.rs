//! Load and publish: a batch becomes visible in one short transaction, or not at all.

use crate::attempts::results::Outcome;
use crate::batches::{IdRange, Receipt, StagedBatch, StagedInput, Timing};
use crate::deliveries::provider;
use crate::detections::{Changes, Held, Part};
use crate::error::{ArchiveError, ArchiveFault};
use crate::findings::{self, Found};
use crate::history::{self, Act, Cause};
use crate::metadata::staged::{self, Expected, StagedRows};
use crate::metadata::{definition, links};
use crate::products::described::{self, Counts};
use crate::products::{self, Scope, detectors, tables_of};
use crate::refusals::{Stage, ext_num};
use crate::rounds::{self, IMAGES, Unit};
use crate::site::Site;
use crate::{Archive, Timestamp, partitions, values};
use engine::{Connection, Optional, Value};
use lake::{self, DetectorKey, FinaliseRequest, LakeError, Staged};
use model::products::Succession;
use model::task::{HduReport, StagedFile};
use model::{DeliveryName, EventId, Finding, RefusalCode, UnitKey, UnitState, UseCase};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// A batch that was loaded and is not visible yet.
#[derive(Default)]
pub struct Loaded {
    /// Metadata and preview rows, in the order of the tables' definitions.
    tables: Vec<LoadedTable>,
    /// Detections of each programme.
    detections: Vec<Part>,
    /// The event that the detections carry; `None` without detections.
    event: Option<EventId>,
    /// Duration of the load.
    timing: Timing,
}

struct LoadedTable {
    rows: StagedRows,
    name: &'static str,
    promised: u64,
    expected: Expected,
}

/// One staged file with its path.
struct Source<'a> {
    path: PathBuf,
    file: &'a StagedFile,
    expected: Expected,
}

impl Archive {
    /// Loads a batch invisibly, without holding a lock.
    ///
    /// # Errors
    /// [`ArchiveError`]; [`ArchiveError::failed_check`] returns the check when the batch itself is at fault.
    pub fn load(
        &mut self,
        batch: &StagedBatch,
        ranges: &[IdRange],
    ) -> Result<Loaded, ArchiveError> {
        load(&self.connection, &self.site, batch, ranges, &self.stop)
            .map_err(ArchiveError::during(format!("load {}", batch.unit)))
    }

    /// Makes a loaded batch visible in one short transaction, or finds that an earlier run did.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is visible then.
    pub fn publish(
        &mut self,
        batch: &StagedBatch,
        loaded: Loaded,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Receipt, ArchiveError> {
        let site = self.site.clone();
        let began = Instant::now();
        if loaded.is_to_be_attached() {
            let act = format!("attach the tables of {}", batch.unit);
            self.write("attach", act.clone(), |tx| attach(tx, &batch.unit, &loaded))?;
            partitions::let_plans_end(&self.connection, lake::detection())
                .map_err(|fault| ArchiveError::during(act)(ArchiveFault::from(fault)))?;
        }
        let mut receipt = self.write("publish", format!("publish {}", batch.unit), |tx| {
            publish(tx, &site, batch, loaded, cause, now)
        })?;
        if let Receipt::Published { timing, .. } = &mut receipt {
            timing.publish = began.elapsed().as_secs_f64();
        }
        Ok(receipt)
    }
}

fn sources<'a>(batch: &'a StagedBatch, table: &str) -> Vec<Source<'a>> {
    let mut sources = Vec::new();
    for task in &batch.tasks {
        let (Some(directory), Some(result)) = (&task.directory, &task.result) else { continue };
        for file in result.files.iter().filter(|f| f.table == table) {
            sources.push(Source {
                path: directory.join(&file.name),
                file,
                expected: Expected {
                    delivery: batch.unit.delivery.clone(),
                    images: task.images.clone(),
                },
            });
        }
    }
    sources
}

/// Implements [`crate::Archive::load`].
pub(crate) fn load(
    c: &Connection,
    site: &Site,
    batch: &StagedBatch,
    ranges: &[IdRange],
    stop: &AtomicBool,
) -> Result<Loaded, ArchiveFault> {
    let began = Instant::now();
    let mut loaded = Loaded::default();
    for table in definition::versioned() {
        for source in sources(batch, &table.name) {
            loaded.tables.push(LoadedTable {
                rows: staged::open(table, &site.staging(), &source.path)?,
                name: &table.name,
                promised: source.file.rows,
                expected: source.expected,
            });
        }
    }
    if batch.unit.use_case == UseCase::Catalogue && !ranges.is_empty() {
        let unit = rounds::find(c, &batch.unit)?;
        let event = kept_event(c, &unit)?.ok_or_else(|| {
            ArchiveFault::Conflict(format!("{} has object ids but no event", batch.unit))
        })?;
        loaded.detections = load_detections(c, site, (&unit, batch), ranges, event, stop)?;
        loaded.event = Some(event);
    }
    let keys = loaded.detections.iter().map(Part::keys_seconds).fold(0.0, |sum, s| sum + s);
    let load = (began.elapsed().as_secs_f64() - keys).max(0.0);
    loaded.timing = Timing { load, keys, publish: 0.0 };
    Ok(loaded)
}

fn kept_event(c: &Connection, unit: &Unit) -> Result<Option<EventId>, ArchiveFault> {
    let kept: Option<i64> = c
        .query_row("SELECT reserved_event FROM batch WHERE unit_id = ?1", [unit.id], |r| r.get(0))
        .optional()?
        .flatten();
    kept.map(history::event_id).transpose()
}

/// Loads the detections of all programmes, in the order of their ranges: all staged files of a programme become one part.
fn load_detections(
    c: &Connection,
    site: &Site,
    (unit, batch): (&Unit, &StagedBatch),
    ranges: &[IdRange],
    event: EventId,
    stop: &AtomicBool,
) -> Result<Vec<Part>, ArchiveFault> {
    let sources = sources(batch, "detection");
    let staging = site.staging();
    for source in &sources {
        check_columns(&staging, &source.path)?;
    }
    files::crash_point("load:columns-checked");
    let mut staged: Vec<Vec<Staged<'_>>> = Vec::with_capacity(ranges.len());
    let mut names = Vec::with_capacity(ranges.len());
    for range in ranges {
        let programme = range.programme_id;
        let mut offset = 0;
        let mut files = Vec::new();
        for Source { path, file, .. } in sources.iter().filter(|s| s.file.rows > 0) {
            if file.programme_id == Some(programme) {
                files.push(Staged { base: &staging, path, offset });
                offset += file.rows;
            }
        }
        staged.push(files);
        names.push(lake::detection().file_name(unit.batch()?, programme));
    }
    let parts = match c.server() {
        Some(server) => {
            let number = unit.batch()?;
            let wanted: Vec<partitions::Wanted<'_>> = ranges
                .iter()
                .zip(&staged)
                .map(|(range, staged)| partitions::Wanted {
                    table: lake::detection(),
                    batch: number,
                    programme_id: range.programme_id,
                    base: range.first_obj_id.get() - 1,
                    event,
                    staged,
                    is_final: false,
                })
                .collect();
            let loaded = partitions::load(server, site.connections(), &wanted, stop)?;
            loaded.into_iter().map(Part::Partition).collect()
        }
        None => lake_files(site, ranges, &staged, &names, event, stop)?,
    };
    for (part, range) in parts.iter().zip(ranges) {
        check(batch, &part.held(), range)?;
    }
    Ok(parts)
}

/// Checks that staged detections have the columns of the definition, or of an earlier one.
fn check_columns(staging: &Path, path: &Path) -> Result<(), ArchiveFault> {
    let fault = |e: parquet::errors::ParquetError| ArchiveFault::from(LakeError::parquet(path)(e));
    let file = lake::open_staged(staging, path)?;
    let options = ArrowReaderOptions::new();
    let metadata = ArrowReaderMetadata::load(&file, options).map_err(fault)?;
    let table = model::tables::table("detection")
        .ok_or_else(|| ArchiveFault::Damaged("there is no definition of detections".to_owned()))?;
    staged::check_columns(table, metadata.schema(), path)
}

fn lake_files(
    site: &Site,
    ranges: &[IdRange],
    staged: &[Vec<Staged<'_>>],
    names: &[String],
    event: EventId,
    stop: &AtomicBool,
) -> Result<Vec<Part>, ArchiveFault> {
    let requests: Vec<FinaliseRequest<'_>> = ranges
        .iter()
        .zip(staged)
        .zip(names)
        .map(|((range, staged), name)| FinaliseRequest {
            name,
            programme_id: range.programme_id,
            base: range.first_obj_id.get() - 1,
            event,
            staged,
        })
        .collect();
    let files = lake::finalise(&site.lake(), lake::detection(), &requests, stop)?;
    files::crash_point("load:lake-files");
    Ok(files.into_iter().map(Part::Lake).collect())
}

/// Checks that a part holds the rows that were reserved and announced for it.
fn check(batch: &StagedBatch, file: &Held<'_>, range: &IdRange) -> Result<(), ArchiveFault> {
    if (file.rows, file.first_obj_id) != (range.rows, range.first_obj_id) {
        return Err(ArchiveFault::Check {
            check: "lake_file",
            message: format!(
                "{} has {} rows from object id {}, not {} from {}",
                file.name, file.rows, file.first_obj_id, range.rows, range.first_obj_id
            ),
        });
    }
    check_detectors(batch, file)
}

/// Checks that the detectors in a part are those of the manifest, in order and count.
fn check_detectors(batch: &StagedBatch, file: &Held<'_>) -> Result<(), ArchiveFault> {
    let promised: Vec<(i64, i64, u64)> = batch
        .tasks
        .iter()
        .filter_map(|t| t.result.as_ref())
        .flat_map(|r| &r.detectors)
        .filter(|d| d.programme_id == file.programme_id && d.rows > 0)
        .map(|d| (d.multiframe_id.get(), i64::from(d.ext_num), d.rows))
        .collect();
    let found: Vec<(i64, i64, u64)> = file
        .detectors
        .iter()
        .map(|d| {
            let key = DetectorKey::of(&d.key)?;
            Ok((key.multiframe_id, key.ext_num, d.rows))
        })
        .collect::<Result<_, LakeError>>()?;
    if promised == found {
        return Ok(());
    }
    let differing = promised.iter().zip(&found).position(|(a, b)| a != b);
    Err(ArchiveFault::Check {
        check: "detector_rows",
        message: format!(
            "{} holds {} detectors, the manifest names {}; the first difference is at {}",
            file.name,
            found.len(),
            promised.len(),
            differing.unwrap_or(promised.len().min(found.len())) + 1
        ),
    })
}

impl Loaded {
    /// Returns true when the detections are tables, which must be attached before publishing.
    pub(crate) fn is_to_be_attached(&self) -> bool {
        self.detections.iter().any(|part| matches!(part, Part::Partition(_)))
    }
}

/// Attaches the tables of a batch, so that the query plans of all sessions include them before the batch's event is visible.
pub(crate) fn attach(tx: &Connection, key: &UnitKey, loaded: &Loaded) -> Result<(), ArchiveFault> {
    let unit = rounds::find(tx, key)?;
    if unit.state != UnitState::Staged {
        return Ok(()); // published, or refused, by another process: publishing reports it
    }
    take_event(tx, &unit, loaded.event)?;
    for part in &loaded.detections {
        let Held { name, programme_id, first_obj_id, rows, .. } = part.held();
        partitions::attach(tx, lake::detection(), name, programme_id, first_obj_id, rows)?;
    }
    Ok(())
}

/// Implements [`crate::Archive::publish`].
pub(crate) fn publish(
    tx: &Connection,
    site: &Site,
    batch: &StagedBatch,
    loaded: Loaded,
    cause: &Cause,
    now: Timestamp,
) -> Result<Receipt, ArchiveFault> {
    let unit = rounds::find(tx, &batch.unit)?;
    let claimed: Option<i64> = tx
        .query_row("SELECT event_id FROM batch WHERE unit_id = ?1", [unit.id], |r| r.get(0))
        .optional()?
        .flatten();
    if claimed.is_some() {
        return Ok(Receipt::AlreadyPublished);
    }
    let mut event = take_event(tx, &unit, loaded.event)?;
    let mut stored = None;
    if unit.key.use_case == UseCase::Metadata
        && described::reads_another_version(tx, (unit.id, DONE))?
    {
        let why = "metadata are stored for the detections of another version of their catalogue";
        let cause = Cause::new(cause.who.clone(), why);
        history::record_event(tx, event, Act::Reference, None, &cause, now)?;
        stored = Some(event);
        event = history::next_event(tx)?;
    }
    history::record_event(tx, event, Act::Ingest, Some(unit.id), cause, now)?;
    tx.execute("UPDATE batch SET event_id = ?2 WHERE unit_id = ?1", params![unit.id, event.get()])?;
    files::crash_point("publish:claimed");
    let act = Publishing { tx, unit: &unit, batch, event };
    let mut changes = Changes::begin(tx, site, event, Some(unit.batch()?))?;
    let rows = match unit.key.use_case.product().succession {
        Succession::Detector => {
            let (detections, are_described) = act.detections(&loaded.detections, &mut changes)?;
            let mut rows = match are_described && described::frames_agree(tx, (unit.id, DONE))? {
                true => Counts::new(),
                false => described::follow(tx, (unit.id, DONE), event)?,
            };
            rows.insert("detection".to_owned(), detections);
            rows
        }
        _ => act.tables(loaded.tables, stored)?,
    };
    let order = |name: &str| model::tables::tables().iter().position(|table| table.name == name);
    let mut rows: Vec<(String, u64)> = rows.into_iter().collect();
    rows.sort_by_key(|(name, _)| order(name));
    files::crash_point("publish:rows");
    let settled =
        products::settle(tx, unit.delivery_id, Scope::Round(unit.id), event, &mut changes)?;
    links::relink(tx, event)?;
    changes.finish(now, &unit.key.to_string())?;
    files::crash_point("publish:lake");
    act.counts(&rows)?;
    rounds::move_unit(tx, &unit, UnitState::Ingested, cause, now)?;
    files::crash_point("publish:moved");
    let timing = loaded.timing;
    Ok(Receipt::Published { event, rows, superseded: settled.superseded.len() as u64, timing })
}

/// Returns the event number that was reserved for the batch; the next number for a batch without detections. Fails when later
/// events are already visible or the batch was loaded for another event.
fn take_event(
    tx: &Connection,
    unit: &Unit,
    loaded: Option<EventId>,
) -> Result<EventId, ArchiveFault> {
    let Some(kept) = kept_event(tx, unit)? else { return history::next_event(tx) };
    let overtaken: bool = tx.query_row(
        "SELECT EXISTS (SELECT * FROM event WHERE event_id > ?1)",
        [kept.get()],
        |r| r.get(0),
    )?;
    if overtaken || loaded.is_some_and(|event| event != kept) {
        return Err(ArchiveFault::Conflict(format!(
            "another act changed {} in the meantime: it must be loaded again",
            unit.key
        )));
    }
    Ok(kept)
}

struct Publishing<'a> {
    tx: &'a Connection,
    unit: &'a Unit,
    batch: &'a StagedBatch,
    event: EventId,
}

/// The images of a round that were done, for conditions on `?1`.
const DONE: &str = "SELECT task_input.multiframe_id FROM task JOIN task_input USING (task_id)
     WHERE task.unit_id = ?1 AND task_input.outcome = 'done'";

impl Publishing<'_> {
    /// Lists the multiframes of the batch whose products replace the previous ones.
    fn done(&self) -> impl Iterator<Item = &StagedInput> {
        let inputs = self.batch.tasks.iter().flat_map(|t| &t.inputs);
        inputs.filter(|i| i.outcome == Outcome::Done)
    }

    /// Ends the rows that the batch replaces and inserts its own. Where the batch's rows were read with another catalogue version
    /// than that of the published detections, a copy of them is stored in the event `stored`. Returns the rows per table that
    /// began in the batch's event.
    fn tables(
        &self,
        loaded: Vec<LoadedTable>,
        stored: Option<EventId>,
    ) -> Result<Counts, ArchiveFault> {
        let use_case = self.unit.key.use_case;
        let mine = |name: &str| use_case.product().tables.contains(&name);
        let replaced = self.end_replaced()?;
        let mut rows = Counts::new();
        let mut findings = Vec::new();
        for table in loaded {
            let (name, promised) = (table.name, table.promised);
            if !mine(name) {
                return Err(ArchiveFault::Check {
                    check: "tables",
                    message: format!("a {} batch has rows of {name}", self.unit.key.use_case),
                });
            }
            let inserted = staged::insert(self.tx, table.rows, &table.expected, self.event)?;
            if inserted.rows != promised {
                return Err(ArchiveFault::Check {
                    check: "row_count",
                    message: format!(
                        "{name} has {} rows, the manifest says {promised}",
                        inserted.rows
                    ),
                });
            }
            *rows.entry(name.to_owned()).or_default() += inserted.rows;
            findings.extend(out_of_range(&self.batch.unit.delivery, name, inserted));
        }
        self.publish_tables(&replaced)?;
        if let Some(stored) = stored {
            described::withhold(self.tx, (self.unit.id, DONE), (stored, self.event), &mut rows)?;
        }
        if use_case == UseCase::Metadata {
            provider::record_cameras(self.tx, self.unit.id, self.event.get())?;
        }
        self.note_out_of_range(&findings)?;
        Ok(rows)
    }

    /// Records findings about values that became unknown, counted over the images' files; findings of earlier rounds about the
    /// same files are replaced.
    fn note_out_of_range(
        &self,
        findings: &[(Finding, BTreeMap<i64, u64>)],
    ) -> Result<(), ArchiveFault> {
        let mut select = self.tx.prepare_cached(&format!(
            "SELECT multiframe_id, file_id, file.name FROM image JOIN file USING (file_id)
             WHERE multiframe_id IN ({DONE})"
        ))?;
        let rows = select.query_map([self.unit.id], |r| Ok((r.get(0)?, (r.get(1)?, r.get(2)?))))?;
        let files: HashMap<i64, (i64, String)> = rows.collect::<Result<_, _>>()?;
        let (delivery, round) = (self.unit.delivery_id, self.unit.key.round.get());
        if self.unit.key.use_case == UseCase::Metadata {
            let covered = files.values().map(|(file, _)| *file).collect();
            findings::forget(self.tx, delivery, Some((Stage::Ingest, round)), &covered)?;
        }
        let mut named: Vec<(Finding, BTreeMap<i64, u64>)> = Vec::new();
        for (finding, counts) in findings {
            let mut finding = finding.clone();
            let owners = counts.iter().filter_map(|(m, n)| Some((files.get(m)?, *n)));
            let members: BTreeMap<i64, u64> =
                owners.clone().map(|((file, _), count)| (*file, count)).collect();
            if let Some(((_, name), _)) = owners.clone().next() {
                finding.file.clone_from(name);
            }
            named.push((finding, members));
        }
        let found = named
            .iter()
            .map(|(finding, members)| Found { finding, members: members.clone() })
            .collect();
        findings::note(self.tx, delivery, Stage::Ingest, round, found)
    }

    /// Ends the current rows of the images that are redone. Returns those images.
    fn end_replaced(&self) -> Result<BTreeSet<i64>, ArchiveFault> {
        let use_case = self.unit.key.use_case;
        let mut select = self.tx.prepare_cached(&format!(
            "SELECT multiframe_id FROM product WHERE use_case = ?2 AND state = 'current' AND multiframe_id IN ({DONE})"
        ))?;
        let rows = select.query_map(params![self.unit.id, use_case.name()], |r| r.get(0))?;
        let replaced: BTreeSet<i64> = rows.collect::<Result<_, _>>()?;
        if replaced.is_empty() {
            return Ok(replaced);
        }
        for table in tables_of(use_case) {
            self.tx.execute(
                &format!(
                    "UPDATE {} SET end_event = ?2 WHERE end_event IS NULL AND multiframe_id IN ({DONE})",
                    engine::quoted(&table)
                ),
                [self.unit.id, self.event.get()],
            )?;
        }
        Ok(replaced)
    }

    /// Records the images that have the product now: those with a row, or all done ones of a product without tables. An image that was redone without a row keeps its previous rows.
    fn publish_tables(&self, replaced: &BTreeSet<i64>) -> Result<(), ArchiveFault> {
        let use_case = self.unit.key.use_case;
        let with_rows = match use_case.product().tables {
            [] => "image WHERE CAST(?2 AS BIGINT) IS NOT NULL".to_owned(),
            [first, ..] => format!("{first}_all WHERE begin_event = ?2 AND end_event IS NULL"),
        };
        let mut select = self.tx.prepare_cached(&format!(
            "SELECT DISTINCT multiframe_id FROM {with_rows} AND multiframe_id IN ({DONE})"
        ))?;
        let rows = select.query_map([self.unit.id, self.event.get()], |r| r.get(0))?;
        let published: BTreeSet<i64> = rows.collect::<Result<_, _>>()?;
        for multiframe in replaced.difference(&published) {
            for table in tables_of(use_case) {
                self.tx.execute(
                    &format!(
                        "UPDATE {} SET end_event = NULL
                         WHERE multiframe_id = ?1 AND end_event = ?2 AND begin_event < ?2",
                        engine::quoted(&table)
                    ),
                    [*multiframe, self.event.get()],
                )?;
            }
        }
        products::publish(self.tx, published.into_iter(), use_case, self.event)
    }

    /// Ends the detections of the detectors that the batch covers and registers the batch's files. Returns the number of rows,
    /// and true when the published metadata of all detectors of its images were read with these catalogues.
    fn detections(
        &self,
        parts: &[Part],
        changes: &mut Changes<'_>,
    ) -> Result<(u64, bool), ArchiveFault> {
        let versions: HashMap<i64, i64> = self
            .done()
            .filter_map(|i| Some((i.multiframe_id.get(), i64::from(i.catalogue_version?))))
            .collect();
        let kept = self.kept()?;
        let covered = self.covered(&kept);
        self.open_kept(&kept, changes)?;
        let with_rows = self.with_current_rows()?;
        let replaced =
            covered.difference(&kept).filter(|key| with_rows.contains(&key.multiframe_id));
        changes.end_detectors(&replaced.copied().collect::<Vec<DetectorKey>>())?;
        let mut rows = 0;
        for part in parts {
            let version = |key: DetectorKey| versions.get(&key.multiframe_id).copied().unwrap_or(0);
            rows += changes.add(part, version)?;
        }
        let images: BTreeSet<i64> = covered.iter().map(|key| key.multiframe_id).collect();
        products::publish(self.tx, images.into_iter(), UseCase::Catalogue, self.event)?;
        let are_described =
            detectors::publish(self.tx, self.unit.id, (&covered, &kept), &versions, self.event)?;
        self.tx.execute(
            "UPDATE id_range SET state = 'ingested' WHERE unit_id = ?1 AND state = 'reserved'",
            [self.unit.id],
        )?;
        self.hdu_rows()?;
        Ok((rows, are_described))
    }

    /// Lists the images of the round that have current detections: few rounds replace any.
    fn with_current_rows(&self) -> Result<BTreeSet<i64>, ArchiveFault> {
        let mut select = self.tx.prepare_cached(&format!(
            "SELECT DISTINCT multiframe_id FROM detector_rows WHERE end_event IS NULL AND multiframe_id IN ({IMAGES})"
        ))?;
        let rows = select.query_map([self.unit.id], |r| r.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the detectors whose catalogue HDU was accepted: the HDU has rows in the archive, or it is empty and nothing of it
    /// was refused. The batch replaces nothing of the other detectors.
    fn covered(&self, kept: &BTreeSet<DetectorKey>) -> BTreeSet<DetectorKey> {
        let done: BTreeSet<i64> = self.done().map(|i| i.multiframe_id.get()).collect();
        let key = |multiframe_id, ext_num: i16| DetectorKey {
            multiframe_id,
            ext_num: i64::from(ext_num),
        };
        let mut covered: BTreeSet<DetectorKey> = kept.clone();
        for result in self.batch.tasks.iter().filter_map(|task| task.result.as_ref()) {
            let refused: BTreeSet<(&str, Option<u16>)> =
                result.refusals.iter().map(|r| (r.file.as_str(), r.hdu)).collect();
            let is_refused = |hdu: &HduReport| {
                let file = hdu.file.as_str();
                refused.contains(&(file, None)) || refused.contains(&(file, Some(hdu.hdu)))
            };
            let accepted = result
                .hdus
                .iter()
                .filter(|hdu| hdu.rows_written > 0 || (hdu.rows_read == 0 && !is_refused(hdu)));
            covered.extend(
                accepted.filter_map(|hdu| Some(key(hdu.multiframe_id.get(), hdu.ext_num?))),
            );
            let with_rows = result.detectors.iter().filter(|detector| detector.rows > 0);
            covered.extend(with_rows.map(|d| key(d.multiframe_id.get(), d.ext_num)));
        }
        covered.retain(|key| done.contains(&key.multiframe_id));
        covered
    }

    /// Reopens the kept detectors whose detections were superseded, so that they stay one set with what the batch adds.
    fn open_kept(
        &self,
        kept: &BTreeSet<DetectorKey>,
        changes: &mut Changes<'_>,
    ) -> Result<(), ArchiveFault> {
        let mut select = self.tx.prepare_cached(
            "SELECT ended_event FROM product_detector
             WHERE multiframe_id = ?1 AND ext_num = ?2 AND state = 'superseded'",
        )?;
        for key in kept {
            let ended: Option<EventId> =
                select.query_row([key.multiframe_id, key.ext_num], |r| r.id(0)).optional()?;
            let Some(ended) = ended else { continue };
            detectors::reopen(self.tx, &[*key], (ended, self.event.get()), changes)?;
        }
        Ok(())
    }

    /// Returns the detectors that the batch leaves unchanged. Their detections must be current or superseded.
    fn kept(&self) -> Result<BTreeSet<DetectorKey>, ArchiveFault> {
        let mut is_held = self.tx.prepare_cached(
            "SELECT EXISTS (SELECT * FROM detector_rows JOIN product_detector USING (multiframe_id, ext_num)
                            WHERE multiframe_id = ?1 AND ext_num = ?2 AND detector_rows.version = ?3
                                AND state <> 'retracted' AND end_event IS NOT DISTINCT FROM ended_event)",
        )?;
        let mut keys = BTreeSet::new();
        let results = self.batch.tasks.iter().filter_map(|task| task.result.as_ref());
        for kept in results.flat_map(|result| &result.kept) {
            let key = DetectorKey {
                multiframe_id: kept.multiframe_id.get(),
                ext_num: i64::from(kept.ext_num),
            };
            let held: bool = is_held
                .query_row(params![key.multiframe_id, key.ext_num, kept.version], |r| r.get(0))?;
            if !held {
                return Err(ArchiveFault::Check {
                    check: "kept_detector",
                    message: format!(
                        "the detections of multiframe {} extension {} were to stay and are not current",
                        key.multiframe_id, key.ext_num
                    ),
                });
            }
            keys.insert(key);
        }
        Ok(keys)
    }

    /// Records the rows read, written and refused of each catalogue HDU, for `verify`.
    fn hdu_rows(&self) -> Result<(), ArchiveFault> {
        let count = |rows: u64| Value::Integer(i64::try_from(rows).unwrap_or(i64::MAX));
        let number = |number: Option<i64>| number.map_or(Value::Null, Value::Integer);
        let results = self.batch.tasks.iter().filter_map(|t| t.result.as_ref());
        let row = |hdu: &HduReport| {
            [
                Value::Integer(self.unit.id),
                Value::Integer(hdu.multiframe_id.get()),
                number(ext_num(Some(hdu.hdu)).map(i64::from)),
                number(hdu.ext_num.map(i64::from)),
                count(hdu.rows_read),
                count(hdu.rows_written),
                count(hdu.rows_refused),
            ]
        };
        let rows: Vec<_> = results.flat_map(|result| &result.hdus).map(row).collect();
        values::write(self.tx, &rows, |list| {
            format!(
                "INSERT INTO hdu_rows (unit_id, multiframe_id, cat_ext_num, ext_num, rows_read, rows_written, rows_refused)
                 VALUES {list}"
            )
        })
    }

    fn counts(&self, rows: &[(String, u64)]) -> Result<(), ArchiveFault> {
        let mut insert = self.tx.prepare_cached(
            "INSERT INTO batch_rows (unit_id, table_name, rows) VALUES (?1, ?2, ?3)",
        )?;
        for (table, rows) in rows {
            insert.execute(params![self.unit.id, table, rows])?;
        }
        Ok(())
    }
}

/// Returns findings about values outside their columns' ranges and about cleaned texts, with the number of values of each
/// multiframe.
fn out_of_range(
    delivery: &DeliveryName,
    table: &str,
    rows: staged::LoadedRows,
) -> Vec<(Finding, BTreeMap<i64, u64>)> {
    let finding = |(column, found): (&str, staged::OutOfRange)| {
        let finding = Finding {
            code: RefusalCode::VALUE_OUT_OF_RANGE.into(),
            file: delivery.to_string(),
            hdu: None,
            subject: Some(format!("{table}.{column}")),
            files: found.counts.len() as u64,
            count: found.counts.values().sum(),
            message: format!(
                "values outside the column's range became unknown, e.g. {}",
                found.first
            ),
        };
        (finding, found.counts)
    };
    let cleaned = |(column, counts): (&str, BTreeMap<i64, u64>)| {
        let finding = Finding {
            code: RefusalCode::TEXT_CLEANED.into(),
            file: delivery.to_string(),
            hdu: None,
            subject: Some(format!("{table}.{column}")),
            files: counts.len() as u64,
            count: counts.values().sum(),
            message: "texts with control characters were cut at the first NUL and escaped"
                .to_owned(),
        };
        (finding, counts)
    };
    let out_of_range = rows.out_of_range.into_iter().map(finding);
    out_of_range.chain(rows.cleaned.into_iter().map(cleaned)).collect()
}
