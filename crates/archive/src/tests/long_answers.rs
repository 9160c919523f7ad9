//! The cost of reports on a large archive, in statements and rows, on both engines.

use crate::deliveries::DeliveryState;
use crate::explain::sheets::Asked;
use crate::status::StatusFilter;
use crate::tests::plans::staging::{new_site, new_site_on_server};
use crate::{Archive, Site};
use engine::prepared::{Counted, counted};
use model::MultiframeId;

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Fills in ten thousand deliveries, each with a file of the same name and a round of seven open tasks, and as many instructions
/// and decisions.
fn fill(archive: &Archive) {
    let c = &archive.connection;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";
    let name = "(20000000 + i) || '_v1'";
    for rows in [
        format!(
            "delivery (delivery_id, name, night, source, state, first_seen, last_arrival)
             {numbers} SELECT i, {name}, 20000000 + i, '/gone', 'registered', '2001-01-01T00:00:00Z', '2001-01-01T00:00:00Z'
             FROM n"
        ),
        format!(
            "file (file_id, delivery_id, name, sha256, bytes, kind, format, path, state, arrived, registered)
             {numbers} SELECT i, i, 'SHA256SUMS', substr('{ZEROS}', length('' || i) + 1) || i,
                 1, 'other', 'text', i || '/SHA256SUMS', 'current', '2001-01-01T00:00:00Z', '2001-01-01T00:00:00Z'
             FROM n"
        ),
        format!(
            "unit (unit_id, delivery_id, use_case, round, recipe, state, opened)
             {numbers} SELECT i, i, 'preview', 1, '', 'ready', '2001-01-01T00:00:00Z' FROM n"
        ),
        format!(
            "unit_history (unit_id, number, from_state, to_state, changed, who, why)
             {numbers} SELECT i, 1, 'waiting', 'ready', '2001-01-01T00:00:00Z', 'x', 'new files' FROM n"
        ),
        format!(
            "task (unit_id, number, survey, state)
             {numbers} SELECT n.i, m.i, 'wfcam', 'open' FROM n, n AS m WHERE m.i <= 7"
        ),
        format!(
            "instruction_history (number, subject, name, act, value, is_set, changed, who, why)
             {numbers} SELECT i, 'delivery', {name}, 'pause', '', 1, '2001-01-01T00:00:00Z', 'x', 'y' FROM n"
        ),
    ] {
        c.execute_batch(&format!("INSERT INTO {rows}")).unwrap();
    }
}

/// Fills in an image in each of these deliveries, which keeps a product.
fn fill_kept(archive: &Archive) {
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";
    for rows in [
        format!(
            "file (file_id, delivery_id, name, sha256, bytes, kind, format, survey, path, state, arrived, registered)
             {numbers} SELECT 10000 + i, i, 'f' || i, substr('{ZEROS}', length('' || (10000 + i)) + 1) || (10000 + i),
                 1, 'image', 'fits', 'wfcam', i || '/f', 'current', '2001-01-01T00:00:00Z', '2001-01-01T00:00:00Z'
             FROM n"
        ),
        format!("image (multiframe_id, file_id) {numbers} SELECT i, 10000 + i FROM n"),
        format!(
            "product (multiframe_id, use_case, state, changed_event, kept)
             {numbers} SELECT i, 'catalogue', 'current', 1, 1 FROM n"
        ),
    ] {
        archive.connection.execute_batch(&format!("INSERT INTO {rows}")).unwrap();
    }
}

#[track_caller]
fn costs_at_most<T>(what: &str, statements: u64, rows: u64, act: impl FnOnce() -> T) -> T {
    let (answer, cost): (T, Counted) = counted(act);
    eprintln!("{what}: {cost:?}");
    assert!(cost.statements <= statements && cost.rows <= rows, "{what}: {cost:?}");
    answer
}

fn check(archive: &Archive) {
    fill(archive);
    let latest = StatusFilter { at_most: Some(20), ..StatusFilter::default() };
    // The deliveries to be listed are selected from the rows of all.
    let status = costs_at_most("status", 30, 10_100, || archive.status_of(&latest).unwrap());
    assert_eq!((status.deliveries.len(), status.open_rounds), (20, 10_000));
    assert_eq!(status.delivery_states[&DeliveryState::Registered], 10_000);
    // The report reads a row for each listed delivery, but does not run a statement for each.
    let all = StatusFilter::default();
    let status = costs_at_most("status --all", 30, 31_000, || archive.status_of(&all).unwrap());
    assert_eq!(status.deliveries.len(), 10_000);
    let name = Some("SHA256SUMS".to_owned());
    let asked = Asked { name, at_most: 10, ..Asked::default() };
    let facts = costs_at_most("explain", 60, 50, || archive.facts_about(&asked).unwrap());
    assert_eq!((facts.files.len(), facts.files_in_all), (10, 10_000));
    let history =
        costs_at_most("plan --history", 2, 60, || archive.instruction_history(50).unwrap());
    assert_eq!((history.rows.len(), history.count), (50, 10_000));
    assert_eq!(costs_at_most("decisions", 2, 60, || archive.decisions(50).unwrap()).count, 0);
    fill_kept(archive);
    // The kept products of other frames are not read.
    let name = Some("f5000".to_owned());
    let asked = Asked { name, at_most: 10, ..Asked::default() };
    let facts = costs_at_most("explain a frame", 45, 60, || archive.facts_about(&asked).unwrap());
    assert_eq!(facts.files[0].multiframe_id, MultiframeId::new(5000));
    let name = Some("20005000_v1".to_owned());
    let asked = Asked { name, at_most: 10, ..Asked::default() };
    let facts =
        costs_at_most("explain a delivery", 80, 100, || archive.facts_about(&asked).unwrap());
    assert_eq!(facts.delivery.unwrap().status.images, 1);
}

#[test]
fn reports_of_a_large_embedded_archive_read_little() {
    let dir = tempfile::tempdir().unwrap();
    let (_site, archive): (Site, Archive) = new_site(&dir.path().join("site"));
    check(&archive);
}

#[test]
fn reports_of_a_large_archive_on_a_server_read_little() {
    let dir = tempfile::tempdir().unwrap();
    let Some((_site, archive)) = new_site_on_server(&dir.path().join("site")) else { return };
    check(&archive);
}
