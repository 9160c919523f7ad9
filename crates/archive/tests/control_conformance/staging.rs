//! Makes sites, deliveries and staged results by hand, so that the archive can be tested without FITS files.

#![allow(dead_code, reason = "each test binary uses its part")]

use archive::attempts::{Lease, Started};
use archive::history::Cause;
use archive::library::Content;
use archive::refusals::StagedRefusal;
use archive::registration::{
    Arrival, DeliveryFacts, Partner, Recorded, Registration, TransferRecord,
};
use archive::rounds::{PlannedInput, PlannedRound, PlannedTask};
use archive::work::ImageWork;
use archive::{Archive, Site, Timestamp};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, RecordBatch, StringArray,
};
use model::tables::{Column, ColumnType, Table};
use model::task::{DetectorRows, FORMAT_VERSION, HduReport, RunReport, StagedFile, TaskResult};
use model::{FileKind, Night, Refusal, Sha256, UnitKey, UnitState, UseCase};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub const NIGHT: &str = "20071011_v1";

/// A time that every test starts at.
pub fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

pub fn cause() -> Cause {
    Cause::new("test", "a test asked for it")
}

/// A new site with its archive and one programme, which has the id 7.
pub fn new_site(root: &Path) -> (Site, Archive) {
    new_site_on(root, new_database())
}

thread_local! {
    /// Whether new sites of this thread have their archive on the shared server.
    static ON_SERVER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs a test with an embedded archive and, where there is a server, with one on it.
pub fn on_both_engines(test: impl Fn()) {
    test();
    if testkit::postgres::Server::shared().is_some() {
        ON_SERVER.set(true);
        test();
        ON_SERVER.set(false);
    }
}

fn new_database() -> archive::Database {
    let url =
        ON_SERVER.get().then(|| testkit::postgres::Server::shared().unwrap().database().url());
    archive::Database { url, ..Default::default() }
}

/// The site's archive on the server as its URL says; `None` when it is embedded.
pub fn url_of(site: &Site) -> Option<String> {
    (!site.is_embedded()).then(|| site.location())
}

/// Returns the output of psql about the archive of a site on the server.
pub fn psql(site: &Site, sql: &str) -> String {
    let name = site.location().rsplit('/').next().unwrap().to_owned();
    testkit::postgres::Server::shared().unwrap().psql(&name, sql)
}

/// A copy of a site without connections, its archive included.
pub fn copy_site(site: &Site, to: &Path) -> Site {
    let status = std::process::Command::new("cp").arg("-a").arg(site.root()).arg(to).status();
    assert!(status.unwrap().success());
    let url = url_of(site).map(|url| {
        let name = url.rsplit('/').next().unwrap();
        testkit::postgres::Server::shared().unwrap().copy(name).url()
    });
    Site::open_on(to, &archive::Database { url, ..Default::default() }).unwrap()
}

/// The same, with its archive where `database` says.
pub fn new_site_on(root: &Path, database: archive::Database) -> (Site, Archive) {
    new_site_of(root, database, UseCase::ALL)
}

/// The same with other products.
pub fn new_site_with(root: &Path, products: &'static [UseCase]) -> (Site, Archive) {
    new_site_of(root, new_database(), products)
}

fn new_site_of(
    root: &Path,
    database: archive::Database,
    products: &'static [UseCase],
) -> (Site, Archive) {
    let site = Site::create(root, &[]).unwrap().on(database).with_products(products);
    let mut archive = Archive::create(&site, now()).unwrap();
    archive.load_reference(&[programme_row(7, "LAS")], &cause(), now()).unwrap();
    (site, archive)
}

/// A new site whose archive is in a database of the shared server; `None` where there is no server.
pub fn new_site_on_server(root: &Path) -> Option<(Site, Archive)> {
    let database = testkit::postgres::Server::shared()?.database();
    let database = archive::Database { url: Some(database.url()), ..Default::default() };
    Some(new_site_on(root, database))
}

/// The site as its queries see it: on a server, under the login that can only read.
pub fn as_reader(site: &Site) -> Site {
    let Some(url) = url_of(site) else { return site.clone() };
    archive::make_roles(site, "a password").unwrap();
    let login = format!("{}_query", url.rsplit('/').next().unwrap());
    let database =
        archive::Database { url: Some(url), query_user: Some(login), ..Default::default() };
    site.clone().on(database)
}

pub fn reopen(site: &Site) -> Archive {
    Archive::open(site, now()).unwrap()
}

pub fn programme_row(id: i64, name: &str) -> archive::ReferenceRows {
    use archive::Cell;
    archive::ReferenceRows {
        table: "programme".to_owned(),
        columns: ["programme_id", "name", "project"].map(str::to_owned).to_vec(),
        rows: vec![vec![
            Cell::Integer(id),
            Cell::Text(name.to_owned()),
            Cell::Text(format!("u/ukidss/{}", name.to_lowercase())),
        ]],
    }
}

/// A file of a delivery; `text` stands for its content. The name decides its kind, because no test file is parsed.
pub fn arrival(name: &str, text: &str) -> Arrival {
    let kind = match name {
        _ if name.contains("_cat") => FileKind::Catalogue,
        _ if model::frame_name(name) != name => FileKind::Image,
        _ => FileKind::Other,
    };
    let (sha256, bytes) = files::sha256(text.as_bytes()).unwrap();
    Arrival {
        name: name.to_owned(),
        path: format!("{NIGHT}/{name}"),
        modified_ns: 1,
        bytes,
        sha256: Sha256::new(sha256),
        content: Content {
            kind,
            format: "fits".to_owned(),
            survey: Some("wfcam".parse().unwrap()),
            hdus: if kind == FileKind::Other { 0 } else { 2 },
            rows: if kind == FileKind::Catalogue { 20 } else { 0 },
            has_catalogue: false,
        },
        arrived: now(),
        transfer_seconds: 0.5,
        transfer_record: TransferRecord::default(),
    }
}

/// Catalogue and image share the part of the name before `_cat` or the extension.
pub fn pairing(partner: Partner<'_>) -> Vec<String> {
    let stem = partner.name.split(['.']).next().unwrap_or_default();
    vec![stem.trim_end_matches("_cat").to_owned()]
}

pub fn delivery() -> DeliveryFacts {
    DeliveryFacts {
        name: NIGHT.parse().unwrap(),
        night: Some(Night::new(20_071_011).unwrap()),
        version: Some("1".to_owned()),
        address: "/far/away".to_owned(),
        all_there: true,
        ..DeliveryFacts::default()
    }
}

/// Returns the registration of `arrivals` in the delivery of the tests, at a source that shows no files.
pub fn registration(arrivals: &[Arrival]) -> Registration<'_> {
    Registration {
        delivery: delivery(),
        arrivals,
        unchanged: &[],
        present: Some(&[]),
        touched: &[],
        refusals: &[],
        postponed: &[],
        skipped: &[],
        findings: &[],
        pairing: &pairing,
        unused: &|_| Vec::new(),
    }
}

pub fn record(archive: &mut Archive, arrivals: &[Arrival]) -> Recorded {
    record_refused(archive, arrivals, &[])
}

/// Records what arrived of another processing of the night, e.g. `20071011_v2`.
pub fn record_of(archive: &mut Archive, name: &str, arrivals: &[Arrival]) -> Recorded {
    let version = name.split_once("_v").map(|(_, version)| version.to_owned());
    let registration = Registration {
        delivery: DeliveryFacts { name: name.parse().unwrap(), version, ..delivery() },
        ..registration(arrivals)
    };
    archive.record(&registration, now()).unwrap()
}

pub fn record_refused(
    archive: &mut Archive,
    arrivals: &[Arrival],
    refusals: &[StagedRefusal],
) -> Recorded {
    let registration = Registration { refusals, ..registration(arrivals) };
    archive.record(&registration, now()).unwrap()
}

/// `frames` images with their catalogues.
pub fn night(frames: usize) -> Vec<Arrival> {
    night_as(frames, [".fit", ".fits"])
}

/// The same under names with other endings of images and of catalogues.
pub fn night_as(frames: usize, [image, catalogue]: [&str; 2]) -> Vec<Arrival> {
    let content = |kind: &str, n: usize, ending: &str| match ending {
        ".fit" | ".fits" => format!("{kind} {n}"),
        _ => format!("{kind} {n} as {ending}"),
    };
    let mut arrivals = Vec::new();
    for n in 0..frames {
        arrivals.push(arrival(&format!("w{n:05}{image}"), &content("image", n, image)));
        let text = content("catalogue", n, catalogue);
        arrivals.push(arrival(&format!("w{n:05}_cat{catalogue}"), &text));
    }
    arrivals
}

pub fn refusal(code: &str, file: &str, hdu: Option<u16>, parked: bool) -> Refusal {
    Refusal {
        code: code.into(),
        file: file.to_owned(),
        hdu,
        keyword: None,
        column: None,
        subject: None,
        message: format!("{file} is {code}"),
        rows: 0,
        row_ranges: Vec::new(),
        parked,
    }
}

/// Opens a round of `tasks` tasks over the images that `wanted` picks, approved.
pub fn open_round(
    archive: &mut Archive,
    use_case: UseCase,
    tasks: usize,
    wanted: &dyn Fn(&ImageWork) -> bool,
) -> UnitKey {
    open_round_of(archive, NIGHT, use_case, tasks, wanted)
}

/// The same of another delivery.
pub fn open_round_of(
    archive: &mut Archive,
    delivery: &str,
    use_case: UseCase,
    tasks: usize,
    wanted: &dyn Fn(&ImageWork) -> bool,
) -> UnitKey {
    let work = archive.delivery_work(&delivery.parse().unwrap()).unwrap();
    let inputs: Vec<PlannedInput> = work
        .images
        .iter()
        .filter(|i| wanted(i))
        .map(|i| PlannedInput {
            multiframe_id: i.multiframe_id,
            catalogue_version: i
                .catalogue
                .as_ref()
                .filter(|_| use_case != UseCase::Preview)
                .map(|c| c.version),
        })
        .collect();
    let round = PlannedRound {
        delivery: delivery.parse().unwrap(),
        use_case,
        recipe: "1".to_owned(),
        tasks: inputs
            .chunks(inputs.len().div_ceil(tasks).max(1))
            .map(|inputs| PlannedTask { survey: "wfcam".parse().unwrap(), inputs: inputs.to_vec() })
            .collect(),
        why: "a test".to_owned(),
    };
    let unit = archive.open_round(&round, &cause(), now()).unwrap();
    archive.move_unit(&unit, UnitState::Approved, &cause(), now()).unwrap();
    unit
}

pub fn lease() -> Lease {
    Lease {
        executor: "local".to_owned(),
        holder: archive::attempts::lease::Process::me().to_string(),
        until: now() + chrono::TimeDelta::hours(1),
    }
}

/// Starts every task of a round.
pub fn start_all(archive: &mut Archive, unit: &UnitKey) -> Vec<Started> {
    let tasks = archive.tasks(unit).unwrap();
    tasks.iter().map(|t| archive.start_attempt(&t.key, &lease(), None, now()).unwrap()).collect()
}

/// What becomes of a catalogue HDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hdu {
    /// Ten detections.
    Whole,
    /// Accepted without a row.
    Empty,
    /// Refused with its ten rows.
    Refused,
    /// The catalogue has no HDU of the detector.
    Absent,
}

/// The detectors of every image.
pub const DETECTORS: [i16; 2] = [2, 3];

/// Writes the result of a node for a started attempt: metadata of every image, one JPEG and preview per image, or ten
/// detections for each of two detectors.
pub fn work_off(started: &Started) -> TaskResult {
    work_off_hdus(started, &|_, _| Hdu::Whole)
}

/// The same, where HDUs of catalogues need not be whole. `hdu` has an image and the extension number of a detector.
pub fn work_off_hdus(started: &Started, hdu: &dyn Fn(i64, i16) -> Hdu) -> TaskResult {
    std::fs::create_dir_all(&started.directory).unwrap();
    let unit = &started.attempt.task.unit;
    let mut result = TaskResult {
        version: FORMAT_VERSION,
        unit: unit.clone(),
        task: started.attempt.task.task,
        attempt: started.attempt.attempt,
        files: Vec::new(),
        hdus: Vec::new(),
        detectors: Vec::new(),
        kept: Vec::new(),
        refusals: Vec::new(),
        findings: Vec::new(),
        counted: Vec::new(),
        software: "test".to_owned(),
        run: RunReport::default(),
    };
    match unit.use_case {
        UseCase::Metadata => metadata(started, &mut result),
        UseCase::Preview => previews(started, &mut result),
        UseCase::Catalogue => detections(started, &mut result, hdu),
        _ => {}
    }
    result
}

/// Opens, starts and works off a round; its batch is staged afterwards.
pub fn stage_round(archive: &mut Archive, use_case: UseCase, tasks: usize) -> UnitKey {
    stage_round_of(archive, NIGHT, use_case, tasks)
}

/// The same of another delivery.
pub fn stage_round_of(
    archive: &mut Archive,
    delivery: &str,
    use_case: UseCase,
    tasks: usize,
) -> UnitKey {
    let unit = open_round_of(archive, delivery, use_case, tasks, &|_| true);
    for started in start_all(archive, &unit) {
        let result = work_off(&started);
        stage::write_result(&started.directory, &result).unwrap();
        archive.accept_result(&result, now()).unwrap();
    }
    unit
}

fn metadata(started: &Started, result: &mut TaskResult) {
    let mut frames = Vec::new();
    let mut detectors = Vec::new();
    for input in &started.inputs {
        let id = Value::Integer(input.multiframe_id.get());
        let version = input.catalogue.as_ref().map(|c| Value::Integer(i64::from(c.version)));
        let version = |column| version.clone().map(|version| (column, version));
        let frame =
            [("multiframe_id", id.clone()), ("file_name", Value::Text(input.image.name.clone()))];
        frames.push(row(frame.into_iter().chain(version("cat_version"))));
        for ext in DETECTORS {
            let detector = [("multiframe_id", id.clone()), ("ext_num", Value::Integer(ext.into()))];
            detectors.push(row(detector.into_iter().chain(version("cat_version"))));
        }
    }
    let programmes = started
        .inputs
        .iter()
        .map(|i| {
            row([
                ("programme_id", Value::Integer(7)),
                ("multiframe_id", Value::Integer(i.multiframe_id.get())),
            ])
        })
        .collect();
    for (table, rows) in [
        ("multiframe", frames),
        ("multiframe_detector", detectors),
        ("programme_frame", programmes),
    ] {
        result.files.push(write(&started.directory, table, &rows, None));
    }
}

fn previews(started: &Started, result: &mut TaskResult) {
    let mut rows = Vec::new();
    for input in &started.inputs {
        let root = model::preview_name::root(&input.image.name, input.multiframe_id);
        let jpeg = model::preview_name::of_mosaic(&root);
        let text = format!("JPEG of {} by attempt-free recipe", input.image.name);
        std::fs::write(started.directory.join(&jpeg), &text).unwrap();
        let (sha256, bytes) = files::sha256(text.as_bytes()).unwrap();
        result.files.push(StagedFile {
            table: "jpeg".to_owned(),
            name: jpeg.clone(),
            rows: 0,
            bytes,
            sha256: Sha256::new(sha256),
            schema_version: 1,
            programme_id: None,
        });
        rows.push(row([
            ("multiframe_id", Value::Integer(input.multiframe_id.get())),
            ("ext_num", Value::Integer(0)),
            ("path", Value::Text(format!("{}/{jpeg}", started.attempt.task.unit.delivery))),
            ("file_bytes", Value::Integer(i64::try_from(bytes).unwrap())),
        ]));
    }
    result.files.push(write(&started.directory, "preview", &rows, None));
}

fn detections(started: &Started, result: &mut TaskResult, hdu: &dyn Fn(i64, i16) -> Hdu) {
    let mut rows = Vec::new();
    let name = "detection.7.parquet".to_owned();
    for input in &started.inputs {
        let catalogue = input.catalogue.as_ref().expect("a catalogue task has catalogues");
        for ext in DETECTORS {
            let (read, written) = match hdu(input.multiframe_id.get(), ext) {
                Hdu::Whole => (10, 10),
                Hdu::Empty => (0, 0),
                Hdu::Refused => (10, 0),
                Hdu::Absent => continue,
            };
            let number = u16::try_from(ext - 1).unwrap();
            result.hdus.push(HduReport {
                file: catalogue.file.name.clone(),
                multiframe_id: input.multiframe_id,
                hdu: number,
                ext_num: Some(ext),
                rows_read: read,
                rows_written: written,
                rows_refused: read - written,
                nan: BTreeMap::new(),
            });
            if written < read {
                let mut refused = refusal("too_bad", &catalogue.file.name, Some(number), false);
                refused.rows = read;
                result.refusals.push(refused);
                continue;
            }
            result.detectors.push(DetectorRows {
                file: name.clone(),
                programme_id: model::ProgrammeId::new(7).unwrap(),
                multiframe_id: input.multiframe_id,
                ext_num: ext,
                version: catalogue.version,
                first_row: rows.len() as u64,
                rows: written,
            });
            for seq in 1..=i64::try_from(written).unwrap() {
                let temporary = -i64::try_from(rows.len() + 1).unwrap();
                rows.push(row([
                    ("obj_id", Value::Integer(temporary)),
                    ("programme_id", Value::Integer(7)),
                    ("multiframe_id", Value::Integer(input.multiframe_id.get())),
                    ("ext_num", Value::Integer(ext.into())),
                    ("seq_num", Value::Integer(seq)),
                    ("version", Value::Integer(catalogue.version.into())),
                ]));
            }
        }
    }
    result.files.push(write(&started.directory, "detection", &rows, model::ProgrammeId::new(7)));
}

/// A value of a row made by hand.
#[derive(Clone, Debug)]
pub enum Value {
    Integer(i64),
    Real(f64),
    Text(String),
}

pub type Row = BTreeMap<&'static str, Value>;

pub fn row(values: impl IntoIterator<Item = (&'static str, Value)>) -> Row {
    values.into_iter().collect()
}

/// Writes rows of a table; columns that a row does not name are NULL, or 1 (or "1") where NULL is not allowed.
pub fn write(
    dir: &Path,
    table: &str,
    rows: &[Row],
    programme: Option<model::ProgrammeId>,
) -> StagedFile {
    write_table(dir, model::tables::table(table).unwrap(), rows, programme)
}

/// The same with a table that `model::tables` need not define.
pub fn write_table(
    dir: &Path,
    table: &'static Table,
    rows: &[Row],
    programme: Option<model::ProgrammeId>,
) -> StagedFile {
    let name = match programme {
        Some(programme) => format!("{}.{programme}.parquet", table.name),
        None => format!("{}.parquet", table.name),
    };
    let columns = table.columns.iter().map(|c| array(c, rows)).collect();
    let batch = RecordBatch::try_new(table.arrow_schema(), columns).unwrap();
    let mut writer = writer(dir, &name, table, rows.len());
    writer.write(&batch).unwrap();
    writer.finish(programme).unwrap()
}

fn writer(dir: &Path, name: &str, table: &'static Table, rows: usize) -> stage::StagedWriter {
    stage::StagedWriter::create(dir, table, name, rows as u64).unwrap()
}

fn array(column: &Column, rows: &[Row]) -> ArrayRef {
    let given = |row: &Row| row.get(column.name.as_str()).cloned();
    let one = (!column.nullable).then_some(1);
    let integer = |row: &Row| match given(row) {
        Some(Value::Integer(i)) => Some(i),
        _ => one,
    };
    let real = |row: &Row| match given(row) {
        Some(Value::Real(x)) => Some(x),
        _ => one.map(|_| 1.0),
    };
    let text = |row: &Row| match given(row) {
        Some(Value::Text(text)) => Some(text),
        _ => one.map(|_| "1".to_owned()),
    };
    match column.kind {
        ColumnType::I16 => Arc::new(Int16Array::from_iter(
            rows.iter().map(|r| integer(r).map(|i| i16::try_from(i).unwrap())),
        )),
        ColumnType::I32 => Arc::new(Int32Array::from_iter(
            rows.iter().map(|r| integer(r).map(|i| i32::try_from(i).unwrap())),
        )),
        ColumnType::I64 => Arc::new(Int64Array::from_iter(rows.iter().map(integer))),
        ColumnType::F32 => {
            Arc::new(Float32Array::from_iter(rows.iter().map(|r| real(r).map(|x| x as f32))))
        }
        ColumnType::F64 => Arc::new(Float64Array::from_iter(rows.iter().map(real))),
        ColumnType::Bool => {
            Arc::new(BooleanArray::from_iter(rows.iter().map(|r| integer(r).map(|i| i != 0))))
        }
        ColumnType::Text => Arc::new(StringArray::from_iter(rows.iter().map(text))),
        ColumnType::Bytes => {
            Arc::new(BinaryArray::from_iter(rows.iter().map(|r| text(r).map(String::into_bytes))))
        }
    }
}
