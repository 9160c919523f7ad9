//! Batches become visible exactly once: undisturbed, repeated, killed anywhere, and when they do not fit.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../archive/tests/control_conformance/staging.rs"]
mod staging;

#[path = "ingest_cases/attached.rs"]
mod attached;
#[path = "ingest_cases/faults.rs"]
mod faults;
#[path = "ingest_cases/hostile.rs"]
mod hostile;
#[path = "ingest_cases/invented.rs"]
mod invented;
#[path = "ingest_cases/kill.rs"]
mod kill;
#[path = "ingest_cases/many.rs"]
mod many;
#[path = "ingest_cases/misfit.rs"]
mod misfit;
#[path = "ingest_cases/swapped.rs"]
mod swapped;
#[path = "ingest_cases/sweeping.rs"]
mod sweeping;

use archive::history::Cause;
use archive::{Archive, Site};
use model::UseCase;
use rusqlite::Connection;
use staging::*;
use std::path::Path;

fn pass(archive: &mut Archive) -> ingest::PassReport {
    ingest::pass(archive, &[], &Cause::new("test", "a pass"), now()).unwrap()
}

/// A site with one night of `frames` frames, all three rounds staged, nothing ingested.
fn staged_site(root: &Path, frames: usize) -> Site {
    let (site, mut archive) = new_site(root);
    record(&mut archive, &night(frames));
    for use_case in [UseCase::Metadata, UseCase::Preview, UseCase::Catalogue] {
        stage_round(&mut archive, use_case, 2);
    }
    site
}

/// Every row of every table as text, and the length of every published file, but for what differs from run to run.
fn dump(site: &Site) -> String {
    if !site.is_embedded() {
        return dump_of_server(site) + &dump_of_files(site, &["previews/20071011_v1"]);
    }
    let connection = Connection::open(site.database()).unwrap();
    let mut text = String::new();
    let names: Vec<String> = {
        let mut select = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .unwrap();
        select.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for table in names.iter().filter(|t| *t != "ducklake_metadata") {
        text += &format!("== {table}\n{}", rows_of(&connection, table));
    }
    text + &dump_of_files(site, &["lake/detection", "previews/20071011_v1"])
}

/// Every row of every table, partitions by their names.
fn dump_of_server(site: &Site) -> String {
    let tables = psql(
        site,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1",
    );
    let mut text = tables.clone();
    for table in tables.lines().filter(|t| !t.starts_with("detection_b")) {
        let rows = psql(site, &format!("SELECT t::text FROM \"{table}\" AS t"));
        let holder = format!("{}/", archive::attempts::lease::Process::me());
        let mut rows: Vec<&str> = rows.lines().filter(|row| !row.contains(&holder)).collect();
        rows.sort_unstable();
        text += &format!("\n== {table}\n{}\n", rows.join("\n"));
    }
    text
}

fn dump_of_files(site: &Site, directories: &[&str]) -> String {
    let mut text = String::new();
    for directory in directories {
        let mut files: Vec<String> = std::fs::read_dir(site.root().join(directory))
            .into_iter()
            .flatten()
            .map(|e| e.unwrap())
            .map(|e| {
                let sum =
                    files::hex(&files::sha256(std::fs::File::open(e.path()).unwrap()).unwrap().0);
                format!("{directory}/{} {sum}\n", e.file_name().to_string_lossy())
            })
            .filter(|line| !line.contains("/.publishing-"))
            .collect();
        files.sort();
        text += &files.concat();
    }
    text
}

fn rows_of(connection: &Connection, table: &str) -> String {
    let mut select = connection.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
    let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
    let mut rows = select.query([]).unwrap();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let mut line = String::new();
        for (i, column) in columns.iter().enumerate() {
            if column != "holder" {
                line += &format!("{:?}|", row.get_ref(i).unwrap());
            }
        }
        lines.push(line + "\n");
    }
    lines.sort();
    lines.concat()
}

#[test]
fn a_pass_publishes_all_and_the_next_one_nothing() {
    on_both_engines(publishes_all_once);
}

fn publishes_all_once() {
    let dir = tempfile::tempdir().unwrap();
    let site = staged_site(&dir.path().join("site"), 3);
    let mut archive = reopen(&site);
    let report = pass(&mut archive);
    let order: Vec<UseCase> = report.published.iter().map(|p| p.unit.use_case).collect();
    assert_eq!(order, [UseCase::Metadata, UseCase::Preview, UseCase::Catalogue]);
    assert_eq!((report.rows_of("multiframe"), report.rows_of("detection")), (3, 60));
    assert_eq!(report.completed, [NIGHT]);
    assert!(report.blocked.is_empty() && report.refused.is_empty());
    assert!(site.previews().join("20071011_v1/w00000.jpg").is_file());
    let before = dump(&site);
    assert!(pass(&mut archive).is_idle());
    drop(archive);
    assert_eq!(dump(&site), before);
    let archive = reopen(&site);
    let options = upkeep::verify::Options { checksums: false, ..Default::default() };
    let found = upkeep::verify::verify(&archive, options).unwrap();
    let library = found.findings.iter().filter(|f| f.code() == "library_file_missing").count();
    assert_eq!(
        library,
        found.findings.len(),
        "no test file is in the library: {:?}",
        found.findings
    );
    assert_eq!(archive.status().unwrap().deliveries[0].state.name(), "complete");
}

#[test]
fn only_the_deliveries_named_are_ingested() {
    let dir = tempfile::tempdir().unwrap();
    let site = staged_site(&dir.path().join("site"), 1);
    let mut archive = reopen(&site);
    let other = ["20071012_v1".parse().unwrap()];
    let report = ingest::pass(&mut archive, &other, &cause(), now()).unwrap();
    assert!(report.published.is_empty());
    assert_eq!(report.blocked.len(), 2, "preview and catalogue say that they wait for metadata");
    assert_eq!(pass(&mut archive).published.len(), 3);
}
