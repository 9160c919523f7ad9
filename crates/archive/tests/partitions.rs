//! Detections on a server over years: many small batches, readers at work meanwhile, and readers that never finish.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "control_conformance/staging.rs"]
mod staging;

use archive::batches::RowsOfProgramme;
use archive::history::Cause;
use archive::{Archive, Site};
use model::{UnitKey, UseCase};
use staging::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::postgres::{Options, Server};

/// Small batches in an ordinary run; `ALMAGEST_BATCHES` says otherwise.
const BATCHES: usize = 260;

fn batches() -> usize {
    std::env::var("ALMAGEST_BATCHES").ok().and_then(|n| n.parse().ok()).unwrap_or(BATCHES)
}

/// Stages and publishes the detections of one frame: 20 rows.
fn publish_one(archive: &mut Archive, delivery: &str, frame: &str) {
    let unit = open_round_of(archive, delivery, UseCase::Catalogue, 1, &|i| i.name == frame);
    for started in start_all(archive, &unit) {
        archive.accept_result(&work_off(&started), now()).unwrap();
    }
    publish(archive, &unit, 20);
}

fn publish(archive: &mut Archive, unit: &UnitKey, rows: u64) {
    let batch = archive.batch(unit).unwrap();
    let wanted = [RowsOfProgramme { programme_id: 7.try_into().unwrap(), rows }];
    let wanted = if rows > 0 { &wanted[..] } else { &[] };
    let ranges = archive.reserve(unit, wanted, now()).unwrap();
    let loaded = archive.load(&batch, &ranges).unwrap();
    archive.publish(&batch, loaded, &cause(), now()).unwrap();
}

fn leaves(site: &Site, server: &Server) -> u64 {
    let name = site.location().rsplit('/').next().unwrap().to_owned();
    let sql = "SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r' AND relname ~ '^detection_[bf]'";
    server.psql(&name, sql).parse().unwrap()
}

/// Default settings of the server, three readers that never stop asking, and far more batches than it can have partitions.
#[test]
fn many_small_batches_beside_readers() {
    let Some(server) = Server::start(&Options::default()) else { return };
    let database = server.database();
    let dir = tempfile::tempdir().unwrap();
    let database = archive::Database { url: Some(database.url()), ..Default::default() };
    let (site, mut archive) = new_site_on(&dir.path().join("site"), database);
    let batches = batches();
    record(&mut archive, &night(batches));
    let metadata = stage_round(&mut archive, UseCase::Metadata, 1);
    publish(&mut archive, &metadata, 0);
    let asking = as_reader(&site);
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let most = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for n in 0..3 {
            let (site, asking, stop, asked) = (&site, &asking, &stop, &asked);
            scope.spawn(move || {
                // Two readers of the archive, and one who brings a client of his own and knows nothing of us.
                let mut numbers: Box<dyn FnMut() -> [i64; 3]> = if n == 0 {
                    let url = url_of(site).unwrap();
                    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
                    Box::new(move || {
                        let row = client.query_one(THREE_NUMBERS, &[]).unwrap();
                        [0, 1, 2].map(|n| row.get(n))
                    })
                } else {
                    let limits = query::SqlLimits::DEFAULT;
                    let reader = query::SqlReader::open(asking, limits).unwrap();
                    Box::new(move || three_numbers(&reader))
                };
                let mut before = 0;
                while !stop.load(Ordering::Relaxed) {
                    let asked_at = Instant::now();
                    let [count, distinct, current] = numbers();
                    let took = asked_at.elapsed();
                    assert_eq!(
                        (count, count % 20),
                        (distinct, 0),
                        "a batch is there wholly or not at all"
                    );
                    assert!(count >= before, "nothing goes away");
                    assert_eq!(count, current);
                    before = count;
                    // Two cores are for the server, the ingest and all of us: counting takes longer with every batch.
                    std::thread::sleep((4 * took).max(Duration::from_millis(30)));
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for n in 0..batches {
            publish_one(&mut archive, NIGHT, &format!("w{n:05}.fit"));
            archive.tidy().unwrap();
            most.fetch_max(leaves_cheaply(&site, &server, n), Ordering::Relaxed);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (asked, most) = (asked.into_inner(), most.into_inner());
    println!(
        "{batches} batches, {asked} answers, at most {most} partitions, {} at the end",
        leaves(&site, &server)
    );
    assert!(asked > 3 && most < 300);
    let status = archive.status().unwrap();
    assert_eq!(status.programmes[0].detections, 20 * batches as u64);
    let options = upkeep::verify::Options { checksums: true, ..Default::default() };
    let report = upkeep::verify::verify(&archive, options).unwrap();
    let of_others: Vec<_> =
        report.findings.iter().filter(|f| !f.code().starts_with("library_")).collect();
    assert!(of_others.is_empty(), "{of_others:?}");
}

/// Counting partitions costs a process: not after each batch.
fn leaves_cheaply(site: &Site, server: &Server, n: usize) -> u64 {
    if n.is_multiple_of(20) { leaves(site, server) } else { 0 }
}

const THREE_NUMBERS: &str = "SELECT count(*), count(DISTINCT obj_id),
    (SELECT coalesce(sum(rows), 0)::bigint FROM detector_rows WHERE end_event IS NULL) FROM detection";

fn three_numbers(reader: &query::SqlReader) -> [i64; 3] {
    struct Numbers(Vec<i64>);
    impl query::RowSink for Numbers {
        fn columns(&mut self, _: &[query::ResultColumn]) -> std::io::Result<()> {
            Ok(())
        }
        fn row(&mut self, values: &[query::SqlValue<'_>]) -> std::io::Result<()> {
            self.0 = values.iter().map(|v| v.as_i64().unwrap()).collect();
            Ok(())
        }
    }
    let mut numbers = Numbers(Vec::new());
    reader.query(THREE_NUMBERS, &mut numbers).unwrap();
    numbers.0.try_into().unwrap()
}

/// A reader idle in a transaction and one in REPEATABLE READ hold up neither ingest nor retraction, and no query queues behind
/// them.
#[test]
fn readers_that_never_finish_block_no_other_process() {
    let Some(server) = Server::shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (site, mut archive) = new_site_on_server(&dir.path().join("site")).unwrap();
    record(&mut archive, &night(3));
    let metadata = stage_round(&mut archive, UseCase::Metadata, 1);
    publish(&mut archive, &metadata, 0);
    publish_one(&mut archive, NIGHT, "w00000.fit");
    let url = url_of(&site).unwrap();
    let mut idle = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    idle.batch_execute("BEGIN; SELECT count(*) FROM detection").unwrap();
    let mut steady = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    steady.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    let count = |client: &mut postgres::Client| -> i64 {
        client.query_one("SELECT count(*) FROM detection", &[]).unwrap().get(0)
    };
    assert_eq!(count(&mut steady), 20);
    let began = Instant::now();
    publish_one(&mut archive, NIGHT, "w00001.fit");
    archive.retract(&NIGHT.parse().unwrap(), &[UseCase::Catalogue], &cause(), now()).unwrap();
    archive.restore(&NIGHT.parse().unwrap(), &[], &Cause::new("test", "undone"), now()).unwrap();
    publish_one(&mut archive, NIGHT, "w00002.fit");
    assert!(began.elapsed() < Duration::from_secs(900), "a reader was waited for");
    assert_eq!(count(&mut steady), 20, "it sees what it saw");
    let mut fresh = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    assert_eq!(count(&mut fresh), 60);
    steady.batch_execute("COMMIT").unwrap();
    assert_eq!(count(&mut steady), 60);
    idle.batch_execute("COMMIT").unwrap();
    assert_eq!(leaves(&site, server), 3);
}

/// A definition that grew by a nullable column grows a filled archive; one that lost a column is refused.
#[test]
fn a_grown_definition_grows_the_partitions() {
    if Server::shared().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (site, mut archive) = new_site_on_server(&dir.path().join("site")).unwrap();
    record(&mut archive, &night(2));
    let metadata = stage_round(&mut archive, UseCase::Metadata, 1);
    publish(&mut archive, &metadata, 0);
    publish_one(&mut archive, NIGHT, "w00000.fit");
    drop(archive);
    let definition = model::tables::table("detection").unwrap();
    let last = definition.columns.iter().rfind(|c| c.nullable).unwrap().name.clone();
    // As an older program left it.
    psql(&site, &format!("ALTER TABLE detection_data DROP COLUMN {last} CASCADE"));
    let mut archive = reopen(&site);
    publish_one(&mut archive, NIGHT, "w00001.fit");
    let unknown = format!("SELECT count(*), count({last}) FROM detection");
    assert_eq!(psql(&site, &unknown), "40|0");
    drop(archive);
    psql(&site, "ALTER TABLE detection_data ADD COLUMN of_a_newer_program int");
    let fault = Archive::open(&site, now()).unwrap_err();
    assert!(fault.is_gate(), "{fault:?}");
}
