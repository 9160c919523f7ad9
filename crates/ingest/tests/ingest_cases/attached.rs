//! On a server, tables that were attached and not published: no reader sees their rows, and none are left.

use super::faults::verified;
use super::kill::pass_killed_at;
use super::pass;
use super::staging::*;
use archive::Site;
use model::UseCase;

/// A site whose detections are attached and not published; `None` where there is no server.
fn attached(root: &std::path::Path) -> Option<Site> {
    let (site, mut archive) = new_site_on_server(root)?;
    record(&mut archive, &night(3));
    for use_case in UseCase::ALL.iter().copied() {
        stage_round(&mut archive, use_case, 2);
    }
    drop(archive);
    assert!(pass_killed_at(&site, "attach:after-commit"));
    assert_eq!(numbers(&site), "60|0|0", "attached, in no view");
    Some(site)
}

/// Rows that there are, that the archive has, that are current.
fn numbers(site: &Site) -> String {
    psql(
        site,
        "SELECT (SELECT count(*) FROM detection_data), (SELECT count(*) FROM detection_all), (SELECT count(*) FROM detection)",
    )
}

#[test]
fn an_attached_batch_that_was_overtaken_is_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    let Some(site) = attached(&dir.path().join("site")) else { return };
    let mut archive = reopen(&site);
    archive.retract(&NIGHT.parse().unwrap(), &[UseCase::Preview], &cause(), now()).unwrap();
    archive.restore(&NIGHT.parse().unwrap(), &[UseCase::Preview], &cause(), now()).unwrap();
    assert_eq!(numbers(&site), "60|0|0", "later events do not show it");
    assert!(archive.clear_abandoned().unwrap().is_empty(), "it may still be published");
    verified(&site);
    assert!(pass_killed_at(&site, "load:taken-up"), "the table is not loaded again");
    assert_eq!(numbers(&site), "60|0|0");
    assert_eq!(pass(&mut archive).published.len(), 1);
    assert_eq!(numbers(&site), "60|60|60");
    assert_eq!(archive.status().unwrap().programmes[0].detections, 60);
    verified(&site);
}

#[test]
fn an_attached_batch_that_is_refused_is_dropped_when_readers_allow_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some(site) = attached(&dir.path().join("site")) else { return };
    let mut archive = reopen(&site);
    let unit = archive.staged_rounds().unwrap()[0].unit.clone();
    let mut reader = postgres::Client::connect(&url_of(&site).unwrap(), postgres::NoTls).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM detection").unwrap();
    archive.refuse_batch(&unit, "row_count", "it was edited", now()).unwrap();
    assert!(archive.clear_abandoned().unwrap().is_empty(), "a reader is in the way");
    assert_eq!(numbers(&site), "60|0|0");
    let report = upkeep::verify::verify(&archive, Default::default()).unwrap();
    assert!(report.findings.iter().any(|f| f.code() == "table_without_event"), "{report:?}");
    reader.batch_execute("COMMIT").unwrap();
    let repaired = upkeep::verify::repair(&mut archive, &report, &cause(), now()).unwrap();
    assert_eq!(repaired.len(), 1, "{repaired:?}");
    assert_eq!(numbers(&site), "0|0|0");
    verified(&site);
}
