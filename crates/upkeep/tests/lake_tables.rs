//! Lake tables that no code knows by name: moved to a server and back, backed up, restored and verified.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../archive/tests/control_conformance/staging.rs"]
mod staging;

use archive::{Archive, Database, Site};
use lake::{FinaliseRequest, LakeTable, RangeKey, Staged};
use model::tables::Table;
use model::{BatchId, EventId, ProgrammeId, UseCase};
use query::{ResultColumn, RowSink, SqlLimits, SqlReader, SqlValue};
use staging::*;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use testkit::postgres::Server;
use upkeep::backup::{self, Restoration};
use upkeep::migrate::{Alone, to_embedded, to_server};
use upkeep::verify::{Options, verify};

/// Returns `detection` and three invented tables: one with history and positions, one without, and one without ids.
fn lake_tables() -> &'static [LakeTable] {
    let invented = [
        include_str!("../../query/tests/lake_tables/forced.toml"),
        include_str!("../../query/tests/lake_tables/variability.toml"),
        include_str!("../../query/tests/lake_tables/association.toml"),
    ];
    let invented = invented.map(|text| {
        let definition: Table = toml::from_str(text).unwrap();
        LakeTable::of(&definition).unwrap()
    });
    let tables: Vec<LakeTable> = [lake::detection().clone()].into_iter().chain(invented).collect();
    Box::leak(tables.into_boxed_slice())
}

/// An embedded archive with a night, whose batch of detections adds rows to the invented tables too.
fn filled(root: &Path) -> Site {
    let site = Site::create(root, &[]).unwrap().with_lake_tables(lake_tables());
    let mut archive = Archive::create(&site, now()).unwrap();
    archive.load_reference(&[programme_row(7, "LAS")], &cause(), now()).unwrap();
    record(&mut archive, &night(2));
    for (use_case, rows) in [(UseCase::Metadata, 0), (UseCase::Catalogue, 40)] {
        let unit = stage_round(&mut archive, use_case, 1);
        let batch = archive.batch(&unit).unwrap();
        let programme_id = ProgrammeId::new(7).unwrap();
        let wanted = [archive::batches::RowsOfProgramme { programme_id, rows }];
        let wanted = if rows > 0 { &wanted[..] } else { &[] };
        let ranges = archive.reserve(&unit, wanted, now()).unwrap();
        let loaded = archive.load(&batch, &ranges).unwrap();
        archive.publish(&batch, loaded, &cause(), now()).unwrap();
    }
    archive.retract(&NIGHT.parse().unwrap(), &[UseCase::Catalogue], &cause(), now()).unwrap();
    drop(archive);
    add_invented(&site);
    site
}

/// Adds rows to the invented tables as the batch of detections would have done, and ends some as its retraction would have.
fn add_invented(site: &Site) {
    let sqlite = rusqlite::Connection::open(site.database()).unwrap();
    let (batch, event): (i64, i64) = sqlite
        .query_row("SELECT unit_id, event_id FROM batch ORDER BY event_id DESC LIMIT 1", [], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })
        .unwrap();
    let (batch, event) = (BatchId::new(batch).unwrap(), EventId::new(event).unwrap());
    let programme_id = ProgrammeId::new(7).unwrap();
    let files: Vec<_> = site.lake_tables()[1..]
        .iter()
        .map(|table| {
            let dir = tempfile::tempdir().unwrap();
            let rows: Vec<Row> = rows(table.name());
            let definition: &'static Table = Box::leak(Box::new(table.definition().clone()));
            let staged = write_table(dir.path(), definition, &rows, Some(programme_id));
            let path = dir.path().join(&staged.name);
            let name = table.file_name(batch, programme_id);
            let staged = [Staged { base: dir.path(), path: &path, offset: 0 }];
            let base = table.base_of(batch).unwrap_or(10);
            let request =
                FinaliseRequest { name: &name, programme_id, base, event, staged: &staged };
            let stop = AtomicBool::new(false);
            (table, lake::finalise(&site.lake(), table, &[request], &stop).unwrap().remove(0))
        })
        .collect();
    sqlite.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut changes = lake::Publication::begin(&sqlite, &site.lake(), event).unwrap();
    for (table, file) in &files {
        changes.add(table, file, |_| 7).unwrap();
    }
    changes.finish(now(), "test").unwrap();
    let retraction = EventId::new(event.get() + 1).unwrap();
    let mut changes = lake::Publication::begin(&sqlite, &site.lake(), retraction).unwrap();
    for (table, key) in [(1, vec![2, 1, 1]), (3, vec![3])] {
        let ended = changes.end(&site.lake_tables()[table], [RangeKey::new(key)]).unwrap();
        assert_eq!(ended, 5);
    }
    changes.finish(now(), "test").unwrap();
    sqlite.execute_batch("COMMIT").unwrap();
}

/// Rows of an invented table: three sources, five rows each.
fn rows(table: &str) -> Vec<Row> {
    let of_source = |source: i64| (0..5).map(move |n| (source, n));
    (1..=3)
        .flat_map(of_source)
        .zip(1..)
        .map(|((source, n), temporary)| {
            let id = if table == "forced" { "forced_id" } else { "curve_id" };
            row([
                (id, Value::Integer(-temporary)),
                ("programme_id", Value::Integer(7)),
                ("source_id", Value::Integer(source)),
                ("neighbour_id", Value::Integer(100 + n)),
                ("distance", Value::Real(n as f64 / 8.0)),
                ("release", Value::Integer(7)),
                ("mjd", Value::Real(55_000.0 + n as f64)),
                ("source_ra", Value::Real(10.0 * source as f64)),
                ("source_dec", Value::Real(1.0)),
                ("flux", Value::Real(0.25 * n as f64)),
                ("is_variable", Value::Integer(n % 2)),
            ])
        })
        .collect()
}

/// All rows of a query in words.
#[derive(Default)]
struct Words(Vec<String>);

impl RowSink for Words {
    fn columns(&mut self, _: &[ResultColumn]) -> std::io::Result<()> {
        Ok(())
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> std::io::Result<()> {
        self.0.push(format!("{values:?}"));
        Ok(())
    }
}

/// Returns what the archive of a site shows of its lake tables, now and as of each event.
fn shown(site: &Site) -> Vec<String> {
    let last = Archive::open(site, now()).unwrap().status().unwrap().events;
    let site = &as_reader(site);
    let mut words = Words::default();
    for event in std::iter::once(None).chain((1..=last).map(EventId::new)) {
        let reader = SqlReader::open_as_of(site, SqlLimits::DEFAULT, event).unwrap();
        for sql in [
            "SELECT * FROM forced ORDER BY forced_id",
            "SELECT * FROM variability ORDER BY curve_id",
            "SELECT * FROM association ORDER BY source_id, distance",
            "SELECT obj_id, multiframe_id, begin_event FROM detection ORDER BY obj_id",
        ] {
            reader.query(sql, &mut words).unwrap();
            words.0.push(format!("{event:?} {sql}"));
        }
    }
    let reader = SqlReader::open(site, SqlLimits::DEFAULT).unwrap();
    reader.query("SELECT * FROM forced_all ORDER BY forced_id", &mut words).unwrap();
    reader.query("SELECT * FROM association_all ORDER BY source_id, distance", &mut words).unwrap();
    words.0
}

/// Checks that the archive of a site is whole, but for the library that the test does not have.
fn is_whole(site: &Site) {
    let archive = Archive::open(site, now()).unwrap();
    let report = verify(&archive, Options { checksums: true, ..Options::default() }).unwrap();
    let of_archive: Vec<_> =
        report.findings.iter().filter(|f| !f.code().starts_with("library_")).collect();
    assert!(of_archive.is_empty(), "{of_archive:?}");
}

fn database(server: &Server) -> Database {
    Database { url: Some(server.database().url()), ..Default::default() }
}

#[test]
fn every_lake_table_moves_and_is_restored() {
    let Some(server) = Server::shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir.path().join("site"));
    is_whole(&site);
    let before = shown(&site);
    assert!(before.iter().filter(|line| line.contains("Integer(25)")).count() > 2, "{before:?}");

    let target = database(server);
    let alone = Alone::on(&site).unwrap();
    let moved = to_server(&site, &target, now(), &alone).unwrap();
    assert_eq!(moved.detections, 40 + 15 + 15 + 15);
    drop(alone);
    let on_server = site.clone().on(target);
    is_whole(&on_server);
    assert_eq!(shown(&on_server), before);

    let backup = dir.path().join("backup");
    let report = backup::back_up(&on_server, &backup).unwrap();
    assert_eq!((report.copied, report.kept), (4, 0));
    assert_eq!(backup::prospect(&on_server, &backup).unwrap().kept, 4);
    assert_eq!(backup::back_up(&on_server, &backup).unwrap().kept, 4, "nothing is copied twice");
    let (root, target) = (dir.path().join("restored"), database(server));
    let restoration = Restoration::begin(&backup, &root, &target, false).unwrap();
    let restoration = restoration.with_lake_tables(site.lake_tables());
    restoration.run(now()).unwrap();
    restoration.end().unwrap();
    let restored = Site::create(&root, &[]).unwrap().on(target).with_lake_tables(lake_tables());
    is_whole(&restored);
    assert_eq!(shown(&restored), before);

    // Into a site without the lake files from before the move.
    let alone = Alone::on(&restored).unwrap();
    to_embedded(&restored, now(), &alone).unwrap();
    drop(alone);
    let embedded = restored.on(Database::default());
    is_whole(&embedded);
    assert_eq!(shown(&embedded), before);

    let (backup, root) = (dir.path().join("of-embedded"), dir.path().join("restored-again"));
    backup::back_up(&embedded, &backup).unwrap();
    let restoration = Restoration::begin(&backup, &root, &Database::default(), false).unwrap();
    restoration.run(now()).unwrap();
    restoration.end().unwrap();
    let restored = Site::create(&root, &[]).unwrap().with_lake_tables(lake_tables());
    is_whole(&restored);
    assert_eq!(shown(&restored), before);
}
