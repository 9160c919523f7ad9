//! Tests that every statement of the control store finds its rows by index, with EXPLAIN over a large store, on both engines.
//!
//! Statements are not listed by hand: the connection records each one that it prepares while a test runs everything that the
//! archive's interface offers.

#[path = "../../tests/control_conformance/staging.rs"]
pub(crate) mod staging;

use crate::attempts::{AttemptEnd, EndCause};
use crate::batches::RowsOfProgramme;
use crate::refusals::{Decision, RefusalFilter, RefusalState};
use crate::registration::Arrival;
use crate::retraction::purge::PurgeScope;
use crate::tests::filling::{self, Filling};
use crate::{Archive, Site};
use engine::{Connection, Dialect, prepared};
use model::{Night, UnitKey, UseCase};
use staging::*;
use std::collections::BTreeSet;

/// Returns the tables that grow with every night. The others hold settings, or a row per delivery, programme or host.
fn large() -> BTreeSet<String> {
    let mut large: BTreeSet<String> = [
        "file",
        "image",
        "catalogue",
        "unit_history",
        "task",
        "task_input",
        "attempt",
        "attempt_place",
        "event",
        "hdu_rows",
        "refusal",
        "refusal_history",
        "redo",
        "detector_rows",
        "interruption",
        "product_detector",
        "detector_interruption",
        "transfer",
        "scrub",
        "assignment",
        "batch_rows",
        "id_range",
        "unit",
        "batch",
        "finding",
        "retraction",
        "product",
    ]
    .map(str::to_owned)
    .into();
    large.extend(crate::metadata::definition::versioned().map(|t| format!("{}_all", t.name)));
    large
}

/// Statements that must read a whole table, by a piece of their text, with the reason.
const WHOLE: [(&str, &str); 4] = [
    (
        "SELECT DISTINCT delivery_id, stage, code, subject FROM finding",
        "`status` prints how many kinds of findings all deliveries have together",
    ),
    ("WHERE 1 = 1", "`status` and `findings` without a filter print a line of every delivery"),
    ("AND 1 = 1", "the same, where the statement has another condition"),
    (
        "WHERE TRUE ORDER BY refusal.refusal_id",
        "`refusals list` without a filter prints all of them",
    ),
];

pub(crate) fn ingest(archive: &mut Archive, unit: &UnitKey) {
    let batch = archive.batch(unit).unwrap();
    let rows = batch.tasks.iter().filter_map(|t| t.result.as_ref()).flat_map(|r| &r.detectors);
    let rows: u64 = rows.map(|d| d.rows).sum();
    let programme_id = model::ProgrammeId::new(7).unwrap();
    let wanted = [RowsOfProgramme { programme_id, rows }];
    let ranges = match rows {
        0 => Vec::new(),
        _ => archive.reserve(unit, &wanted, now()).unwrap(),
    };
    let loaded = archive.load(&batch, &ranges).unwrap();
    archive.publish(&batch, loaded, &cause(), now()).unwrap();
}

/// Runs everything that the interface of the archive offers, over a night that is purged in the end.
pub(crate) fn life(archive: &mut Archive) {
    record(archive, &night(3));
    record_of(archive, "20071011_v2", &night(2));
    record(archive, &[arrival("w00000.fit", "another content")]);
    for use_case in [UseCase::Metadata, UseCase::Preview, UseCase::Catalogue] {
        let unit = stage_round(archive, use_case, 2);
        ingest(archive, &unit);
    }
    keep_older_detections(archive);
    deliver_newer_catalogues(archive);
    let unit = stage_round_of(archive, "20071011_v2", UseCase::Metadata, 1);
    ingest(archive, &unit);
    let unit = stage_round(archive, UseCase::Preview, 1);
    archive.refuse_batch(&unit, "row_count", "a test", now()).unwrap();
    let unit = open_round(archive, UseCase::Metadata, 1, &|_| true);
    let started = start_all(archive, &unit).remove(0);
    archive.renew_lease(&started.attempt, now()).unwrap();
    let mut result = work_off(&started);
    result.refusals.push(refusal("bad_header", "w00001.fit", Some(2), false));
    result.findings.push(model::Finding {
        code: "odd".into(),
        file: "w00001.fit".to_owned(),
        hdu: None,
        subject: None,
        files: 1,
        count: 1,
        message: "so".to_owned(),
    });
    archive.note_job(&started.attempt, "1").unwrap();
    archive.note_end(&started.attempt, EndCause::Silent).unwrap();
    archive.end_attempt(&started.attempt, AttemptEnd::Lost, "a test", now()).unwrap();
    archive.accept_result(&result, now()).unwrap();
    ingest(archive, &unit);
    let unit = open_round(archive, UseCase::Catalogue, 1, &|_| true);
    let started = start_all(archive, &unit).remove(0);
    archive.end_attempt(&started.attempt, AttemptEnd::Failed, "a test", now()).unwrap();
    archive.give_up_task(&started.attempt.task, &cause(), now()).unwrap();
    ask(archive);
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    archive.purge(PurgeScope::All, &cause(), now()).unwrap();
    ask(archive);
}

/// Publishes catalogues with a refused HDU each, whose detectors keep their detections until a decision.
fn keep_older_detections(archive: &mut Archive) {
    let unit = open_round(archive, UseCase::Catalogue, 1, &|_| true);
    let hdu = |_, ext_num| if ext_num == 2 { Hdu::Refused } else { Hdu::Whole };
    for started in start_all(archive, &unit) {
        archive.accept_result(&work_off_hdus(&started, &hdu), now()).unwrap();
    }
    ingest(archive, &unit);
    archive.findings(Some(&NIGHT.parse().unwrap())).unwrap();
    archive.supersede((NIGHT, None), &[], &cause(), now()).unwrap();
    archive.facts("w00001.fit").unwrap();
    archive.undo_supersession((NIGHT, None), &[], &cause(), now()).unwrap();
}

/// Publishes newer versions of catalogues: metadata that are held back, then detections that publish them, of some detectors
/// only.
fn deliver_newer_catalogues(archive: &mut Archive) {
    let newer: Vec<Arrival> = night(3)
        .into_iter()
        .filter(|file| file.name.ends_with("_cat.fits"))
        .map(|file| arrival(&file.name, &format!("{} again", file.name)))
        .collect();
    assert!(!newer.is_empty());
    record(archive, &newer);
    let unit = stage_round(archive, UseCase::Metadata, 1);
    ingest(archive, &unit);
    let unit = open_round(archive, UseCase::Catalogue, 1, &|_| true);
    let hdu = |multiframe, ext_num| match (multiframe % 2, ext_num) {
        (0, 2) => Hdu::Refused,
        _ => Hdu::Whole,
    };
    for started in start_all(archive, &unit) {
        archive.accept_result(&work_off_hdus(&started, &hdu), now()).unwrap();
    }
    ingest(archive, &unit);
    let unit = stage_round(archive, UseCase::Metadata, 1);
    ingest(archive, &unit);
}

/// Runs all queries of the interface.
fn ask(archive: &mut Archive) {
    for refusal in archive.refusals(&RefusalFilter::default()).unwrap() {
        for decision in [Decision::Accept, Decision::Retry] {
            let _ = archive.decide(refusal.refusal_id, decision, &cause(), now());
        }
    }
    let filter = RefusalFilter {
        delivery: Some(NIGHT.parse().unwrap()),
        state: Some(RefusalState::Open),
        code: Some("bad_header".into()),
        file: Some("w00001.fit".to_owned()),
    };
    archive.refusals(&filter).unwrap();
    archive.refusals(&RefusalFilter { delivery: None, ..filter }).unwrap();
    for name in [NIGHT, "w00000.fit", "nothing"] {
        archive.facts(name).unwrap();
    }
    archive.status().unwrap();
    archive.rates().unwrap();
    archive.findings(Some(&NIGHT.parse().unwrap())).unwrap();
    archive.findings(None).unwrap();
    archive.deliveries(Some(Night::new(20_071_011).unwrap())).unwrap();
    archive.source(&NIGHT.parse().unwrap()).unwrap();
    archive.programmes().unwrap();
    archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    archive.staged_rounds().unwrap();
    archive.running_attempts().unwrap();
    for (attempt, _) in archive.sweepable_attempts(now()).unwrap() {
        archive.mark_swept(&attempt).unwrap();
    }
    archive.unfinished_deliveries().unwrap();
    archive.open_tasks().unwrap();
    archive.recent_results(100).unwrap();
    archive.approve_expected(now()).unwrap();
    archive.clear_abandoned().unwrap();
    archive.complete_deliveries(now()).unwrap();
    archive.known_files(&NIGHT.parse().unwrap()).unwrap();
    archive.holdings(Some(&NIGHT.parse().unwrap())).unwrap();
    archive.request_again(&NIGHT.parse().unwrap(), UseCase::Preview, &cause(), now()).unwrap();
}

/// Returns the steps in the plan of a statement that read a whole large table.
fn scans(c: &Connection, sql: &str, large: &BTreeSet<String>) -> Vec<String> {
    match c.dialect() {
        Dialect::Sqlite => scans_of_sqlite(c.sqlite().unwrap(), sql, large),
        Dialect::Postgres => scans_of_server(c, sql, large),
    }
}

fn scans_of_sqlite(c: &rusqlite::Connection, sql: &str, large: &BTreeSet<String>) -> Vec<String> {
    let partial: BTreeSet<String> = c
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '% WHERE %'")
        .unwrap()
        .query_map([], |r| r.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut select = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut rows = select.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let step: String = row.get(3).unwrap();
        let Some(rest) = step.strip_prefix("SCAN ") else { continue };
        let table = rest.split(' ').next().unwrap_or_default();
        let uses_part = partial.iter().any(|index| rest.contains(&format!("INDEX {index}")));
        let named = aliased(sql, table);
        if large.contains(&named) && !uses_part {
            found.push(step.clone());
        }
    }
    found
}

/// Returns the table that an alias of a statement stands for.
fn aliased(sql: &str, alias: &str) -> String {
    let words: Vec<&str> = sql
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|w| !w.is_empty())
        .collect();
    let at = words.windows(3).find(|w| w[1].eq_ignore_ascii_case("as") && w[2] == alias);
    at.map_or(alias, |w| w[0]).to_owned()
}

fn scans_of_server(c: &Connection, sql: &str, large: &BTreeSet<String>) -> Vec<String> {
    let server = c.server().unwrap();
    let numbered = engine::numbered(sql);
    let statement = server.with_client(|client| client.prepare(&numbered)).unwrap();
    let nulls = vec!["NULL"; statement.params().len()].join(", ");
    let call = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    // A generic plan does not know that the values are NULL. With sequential scans disabled, it shows whether another plan
    // exists.
    let explained = server.with_client(|client| {
        client.batch_execute(&format!(
            "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
             SET LOCAL enable_material = off; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL jit = off;
             PREPARE explained AS {numbered}"
        ))?;
        let rows = client.simple_query(&format!("EXPLAIN (FORMAT JSON) EXECUTE explained{call}"))?;
        client.batch_execute("ROLLBACK; DEALLOCATE explained")?;
        Ok(rows)
    });
    let text: String = explained
        .unwrap()
        .iter()
        .filter_map(|m| match m {
            postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect();
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    walk(c, &plan[0]["Plan"], large, &mut found);
    found
}

fn walk(
    c: &Connection,
    node: &serde_json::Value,
    large: &BTreeSet<String>,
    found: &mut Vec<String>,
) {
    let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
    let is_large = |name: &str| large.contains(name);
    let (kind, table, index) = (text("Node Type"), text("Relation Name"), text("Index Name"));
    let is_whole = match kind.as_str() {
        "Seq Scan" => is_large(&table),
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" if node["Index Cond"].is_null() => {
            let (of, is_partial): (String, bool) = c
                .query_row(
                    "SELECT indrelid::regclass::text, indpred IS NOT NULL FROM pg_index WHERE indexrelid = to_regclass(?1)",
                    [&index],
                    |r| Ok((r.get(0)?, r.get(1)?)),
                )
                .unwrap();
            is_large(of.trim_matches('"')) && !is_partial
        }
        _ => false,
    };
    if is_whole {
        found.push(format!("{kind} on {table}{index}"));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        walk(c, child, large, found);
    }
}

fn check(archive: &mut Archive) {
    prepared::begin();
    life(archive);
    let statements = prepared::end();
    assert!(statements.len() > 150, "{}", statements.len());
    filling::fill(archive, &Filling::of_many_years());
    let large = large();
    let mut bad = Vec::new();
    for sql in &statements {
        let is_read = ["SELECT", "UPDATE", "DELETE", "INSERT", "WITH"]
            .iter()
            .any(|word| sql.trim_start().starts_with(word));
        // Statements about the engine's own tables, and those of one session, are not checked.
        if !is_read || sql.contains("pg_") || sql.contains("pragma_") || sql.contains("sqlite_") {
            continue;
        }
        if WHOLE.iter().any(|(piece, _)| sql.contains(piece)) {
            continue;
        }
        let found = scans(&archive.connection, sql, &large);
        if !found.is_empty() {
            bad.push(format!("{}\n    {}", found.join("; "), sql));
        }
    }
    assert!(bad.is_empty(), "{} statements read whole tables:\n{}", bad.len(), bad.join("\n"));
}

#[test]
fn no_statement_reads_a_whole_table_of_the_embedded_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (_site, mut archive): (Site, Archive) = new_site(&dir.path().join("site"));
    check(&mut archive);
}

#[test]
fn no_statement_reads_a_whole_table_of_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let Some((_site, mut archive)) = new_site_on_server(&dir.path().join("site")) else { return };
    check(&mut archive);
}
