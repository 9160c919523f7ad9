//! Archives whose tables all have rows: filled through the interface of the archive, or with the rows of an earlier schema.
//!
//! `migrations/filled/N.jsonl` holds the rows that the program of schema N wrote, so that a later program, which cannot write them
//! any more, applies its migrations to them. `ALMAGEST_WRITE_FILLED=1` writes the file of the present schema. It is written at the
//! latest before the next migration is added, and is never edited after a release.

use super::*;
use crate::attempts::Place;
use crate::deliveries::SkippedEntry;
use crate::deliveries::origins::{Claim, DeliveryOrigin};
use crate::library::Soundness;
use crate::migrations::tests::texts;
use crate::planning::{Instruction, Proposal, ProposedTask, Selection, Subject};
use crate::registration::{DeliveryFacts, Registration};
use crate::rounds::{PlannedInput, PlannedRound, PlannedTask, TaskKey};
use crate::tests::plans;
use crate::tests::plans::staging::*;
use crate::work::ImageWork;
use crate::{Archive, Cell, ReferenceRows};
use engine::{Kind, quoted};
use model::{DeliveryName, Night, SkipReason, TaskNumber, UnitKey, UseCase};
use serde_json::json;
use std::collections::BTreeMap;

/// Returns the path of the file with the rows of a schema.
fn file_of(schema: usize) -> String {
    format!("{}/src/migrations/filled/{schema}.jsonl", env!("CARGO_MANIFEST_DIR"))
}

/// The name of the delivery that stays in a filled archive, and of its second processing.
const KEPT: [&str; 2] = ["20071012_v1", "20071012_v2"];

/// Writes rows to every table, through the interface of the archive where possible.
pub(crate) fn fill(archive: &mut Archive) {
    plans::life(archive);
    load_references(archive);
    let [first, second] = KEPT;
    let address = "/data/elsewhere".to_owned();
    let origin = DeliveryOrigin {
        origin: address.clone(),
        is_source: false,
        address,
        directory: first.to_owned(),
    };
    archive.claim_origin(&origin, &first.parse().unwrap(), Claim::Own, now()).unwrap();
    for name in KEPT {
        deliver(archive, name);
        let unit = stage_metadata(archive, &name.parse().unwrap());
        plans::ingest(archive, &unit);
        let unit = stage_round_of(archive, name, UseCase::Preview, 1);
        plans::ingest(archive, &unit);
        // One detector of the second processing is refused, and that of the first stays.
        let unit = open_round_of(archive, name, UseCase::Catalogue, 1, &|_| true);
        for started in start_all(archive, &unit) {
            let hdu = |multiframe, ext_num| match (name == second, multiframe % 2, ext_num) {
                (true, 0, 3) => Hdu::Refused,
                _ => Hdu::Whole,
            };
            archive.accept_result(&work_off_hdus(&started, &hdu), now()).unwrap();
        }
        plans::ingest(archive, &unit);
    }
    archive.retract(&second.parse().unwrap(), &[], &cause(), now()).unwrap();
    archive.restore(&second.parse().unwrap(), &[], &cause(), now()).unwrap();
    archive.supersede((second, None), &[], &cause(), now()).unwrap();
    let files: Vec<model::FileId> = archive
        .holdings(Some(&first.parse().unwrap()))
        .unwrap()
        .iter()
        .map(|held| held.file_id)
        .collect();
    let sound: Vec<_> = files.iter().map(|id| (*id, Soundness::Intact)).collect();
    archive.note_soundness(&sound, now()).unwrap();
    plan(archive);
    // Acts of `upkeep`, and of a process that was killed.
    let tx = archive.connection.begin(Kind::Write).unwrap();
    tx.execute_batch(
        "INSERT INTO relocation VALUES ('arrived', '1', '/data/before', '2026-01-01T00:00:00Z');
         INSERT INTO reopening VALUES ('1', '/data/before', 0, '2026-01-01T00:00:00Z', 'test', 'test');
         INSERT INTO deletion VALUES ('previews', 'nothing/nothing.jpg');",
    )
    .unwrap();
    tx.commit().unwrap();
}

/// Registers a delivery with an entry that its source shows and that is not fetched.
fn deliver(archive: &mut Archive, name: &str) {
    let skipped = [SkippedEntry {
        name: "w00009.fit.part".to_owned(),
        code: SkipReason::Unfinished,
        why: "its name".to_owned(),
    }];
    let version = name.split_once("_v").map(|(_, version)| version.to_owned());
    let facts = DeliveryFacts {
        name: name.parse().unwrap(),
        night: Some(Night::new(20_071_012).unwrap()),
        version,
        ..delivery()
    };
    let registration = Registration {
        delivery: facts,
        arrivals: &night(3),
        unchanged: &[],
        present: Some(&[]),
        touched: &[],
        refusals: &[],
        postponed: &[],
        skipped: &skipped,
        findings: &[],
        pairing: &pairing,
        unused: &|_| Vec::new(),
    };
    archive.record(&registration, now()).unwrap();
}

fn load_references(archive: &mut Archive) {
    let others = definition::tables().filter(|table| {
        table.keeping == model::tables::Keeping::Reference && table.name != "programme"
    });
    let rows: Vec<ReferenceRows> = others
        .map(|table| {
            let needed: Vec<_> = table.columns.iter().filter(|column| !column.nullable).collect();
            let cell = |column: &&model::tables::Column| match column.kind {
                model::tables::ColumnType::Text => Cell::Text("1".to_owned()),
                _ => Cell::Integer(1),
            };
            ReferenceRows {
                table: table.name.clone(),
                columns: needed.iter().map(|column| column.name.clone()).collect(),
                rows: vec![needed.iter().map(cell).collect()],
            }
        })
        .collect();
    archive.load_reference(&rows, &cause(), now()).unwrap();
}

/// Stages metadata with rows of every table, of frames that name a camera.
fn stage_metadata(archive: &mut Archive, delivery: &DeliveryName) -> UnitKey {
    let unit = open_round_of(archive, delivery, UseCase::Metadata, 1, &|_| true);
    let started = start_all(archive, &unit).remove(0);
    let mut result = work_off(&started);
    let text = |text: &str| Value::Text(text.to_owned());
    let frames: Vec<Row> = started
        .inputs
        .iter()
        .map(|input| {
            row([
                ("multiframe_id", Value::Integer(input.multiframe_id.get())),
                ("file_name", text(&input.image.name)),
                ("instrument", text("WFCAM")),
            ])
        })
        .collect();
    let file = result.files.iter_mut().find(|file| file.table == "multiframe").unwrap();
    std::fs::remove_file(started.directory.join(&file.name)).unwrap();
    *file = write(&started.directory, "multiframe", &frames, None);
    for table in ["astrometry", "header", "provenance"] {
        let rows: Vec<Row> = started
            .inputs
            .iter()
            .map(|input| {
                row([
                    ("multiframe_id", Value::Integer(input.multiframe_id.get())),
                    ("ext_num", Value::Integer(2)),
                ])
            })
            .collect();
        result.files.push(write(&started.directory, table, &rows, None));
    }
    stage::write_result(&started.directory, &result).unwrap();
    archive.accept_result(&result, now()).unwrap();
    unit
}

/// Proposes two plans, approves one and rejects the other; starts a task at its place.
fn plan(archive: &mut Archive) {
    let [first, second] = KEPT;
    let ready = |archive: &mut Archive, delivery: &DeliveryName| {
        archive.request_again(delivery, UseCase::Preview, &cause(), now()).unwrap();
        let work = archive.delivery_work(delivery).unwrap();
        let input = |image: &ImageWork| PlannedInput {
            multiframe_id: image.multiframe_id,
            catalogue_version: None,
        };
        let inputs = work.images.iter().map(input).collect();
        let round = PlannedRound {
            delivery: delivery.to_owned(),
            use_case: UseCase::Preview,
            recipe: String::new(),
            tasks: vec![PlannedTask { survey: "wfcam".parse().unwrap(), inputs }],
            why: "a test".to_owned(),
        };
        let unit = archive.open_round(&round, &cause(), now()).unwrap();
        TaskKey { unit, task: TaskNumber::FIRST }
    };
    let proposal = |task: &TaskKey| Proposal {
        tasks: vec![ProposedTask {
            task: task.clone(),
            host: "n1".parse().unwrap(),
            starts: now(),
            seconds: 12.5,
        }],
        expected: vec![(second.parse().unwrap(), UseCase::Metadata)],
        document: "{}".to_owned(),
    };
    let approved = ready(archive, &first.parse().unwrap());
    archive.propose(&proposal(&approved), &cause(), now()).unwrap();
    archive.approve(None, &Selection::default(), &cause(), now()).unwrap();
    let place = Place { host: "n1".parse().unwrap(), job: "17".to_owned(), memory_bytes: 1 << 20 };
    archive.start_attempt(&approved, &lease(), Some(&place), now()).unwrap();
    let rejected = ready(archive, &second.parse().unwrap());
    let proposal = Proposal { expected: Vec::new(), ..proposal(&rejected) };
    archive.propose(&proposal, &cause(), now()).unwrap();
    archive.reject(None, &cause(), now()).unwrap();
    archive.instruct(&Subject::All, &Instruction::Priority(3), &cause(), now()).unwrap();
}

/// The names of the columns of every table.
pub(crate) type Columns = BTreeMap<String, Vec<String>>;

/// Returns the tables with their columns; not the record of migrations, which grows.
pub(crate) fn columns(c: &Connection) -> Columns {
    let sql = match c.dialect() {
        Dialect::Sqlite => {
            "SELECT t.name, column_of.name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS column_of
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> 'migration' ORDER BY 1, column_of.cid"
        }
        Dialect::Postgres => {
            "SELECT relname::text, attname::text FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid
             WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
                 AND attnum > 0 AND NOT attisdropped AND relname <> 'migration' ORDER BY 1, attnum"
        }
    };
    let mut select = c.prepare(sql).unwrap();
    let rows = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
    let mut found = Columns::new();
    for row in rows {
        let (table, column): (String, String) = row.unwrap();
        found.entry(table).or_default().push(column);
    }
    found
}

/// Returns the values of some columns of every table, a text per row.
pub(crate) fn rows(c: &Connection, columns: &Columns) -> BTreeMap<String, Vec<String>> {
    let values = |names: &[String]| match c.dialect() {
        Dialect::Sqlite => {
            let quoted: Vec<String> =
                names.iter().map(|name| format!("quote({})", quoted(name))).collect();
            quoted.join(" || ', ' || ")
        }
        Dialect::Postgres => {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            format!("ROW({})::text", names.join(", "))
        }
    };
    let of = |(table, names): (&String, &Vec<String>)| {
        let sql = format!("SELECT {} FROM {} ORDER BY 1", values(names), quoted(table));
        (table.clone(), texts(c, &sql))
    };
    columns.iter().map(of).collect()
}

/// Tables whose rows are made by opening an archive, or are of the lake.
fn is_stored(table: &str) -> bool {
    !table.starts_with("ducklake_")
        && !["lake_file", "column_description", "detection_data"].contains(&table)
}

/// Returns the rows of an embedded archive, a line of JSON each; columns with NULL are left out. The rows do not name this process.
fn stored(c: &Connection) -> String {
    let mut lines = String::new();
    for (table, names) in columns(c).iter().filter(|(table, _)| is_stored(table)) {
        let list: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let list = list.join(", ");
        let mut select =
            c.prepare(&format!("SELECT {list} FROM {} ORDER BY {list}", quoted(table))).unwrap();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let mut values = serde_json::Map::new();
            for (at, name) in names.iter().enumerate() {
                let value = match row.get::<engine::Value>(at).unwrap() {
                    engine::Value::Null => continue,
                    engine::Value::Integer(number) => json!(number),
                    engine::Value::Real(number) => json!(number),
                    engine::Value::Text(text) => json!(text),
                    engine::Value::Blob(bytes) => json!({ "bytes": bytes }),
                };
                values.insert(name.clone(), value);
            }
            lines += &format!("{}\n", json!({ "table": table, "row": values }));
        }
    }
    lines.replace(&crate::attempts::lease::Process::me().to_string(), "host/boot/1/1")
}

/// Writes the rows of a schema into an archive of that schema.
pub(crate) fn load(c: &Connection, schema: usize) {
    let lines = std::fs::read_to_string(file_of(schema))
        .expect("rows of the schema, which ALMAGEST_WRITE_FILLED=1 writes");
    let mut rows: Vec<(String, serde_json::Map<String, serde_json::Value>)> = lines
        .lines()
        .map(|line| {
            let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
            let values = row["row"].as_object_mut().map(std::mem::take).unwrap();
            (row["table"].as_str().unwrap().to_owned(), values)
        })
        .collect();
    // The references of the tables of the definitions are checked at once.
    rows.sort_by_key(|(table, _)| table.ends_with("_all"));
    let tx = c.begin(Kind::Write).unwrap();
    tx.defer_foreign_keys().unwrap();
    tx.execute_batch("DELETE FROM counter; DELETE FROM writer_lock").unwrap();
    for (table, values) in rows {
        let names: Vec<String> = values.keys().map(|name| quoted(name)).collect();
        let marks: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
        let values: Vec<engine::Value> = values.values().map(value).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            quoted(&table),
            names.join(", "),
            marks.join(", ")
        );
        tx.execute(&sql, values).unwrap();
    }
    tx.commit().unwrap();
}

fn value(json: &serde_json::Value) -> engine::Value {
    match json {
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => engine::Value::Integer(number),
            None => engine::Value::Real(number.as_f64().unwrap()),
        },
        serde_json::Value::String(text) => engine::Value::Text(text.clone()),
        bytes => engine::Value::Blob(serde_json::from_value(bytes["bytes"].clone()).unwrap()),
    }
}

fn assert_filled(found: &BTreeMap<String, Vec<String>>, is_checked: impl Fn(&str) -> bool) {
    let checked = found.iter().filter(|(table, _)| is_checked(table));
    let empty: Vec<&String> =
        checked.clone().filter(|(_, rows)| rows.is_empty()).map(|(table, _)| table).collect();
    assert!(empty.is_empty(), "{empty:?}");
    assert!(checked.count() > 50, "{found:?}");
}

#[test]
fn every_table_is_filled() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = new_site(&dir.path().join("site"));
    let on_server = new_site_on_server(&dir.path().join("on-server"));
    for (site, mut archive) in [Some(embedded), on_server].into_iter().flatten() {
        fill(&mut archive);
        let c = &archive.connection;
        assert_filled(&rows(c, &columns(c)), |table| !table.starts_with("ducklake_"));
        if site.is_embedded() && std::env::var_os("ALMAGEST_WRITE_FILLED").is_some() {
            std::fs::write(file_of(MIGRATIONS.len()), stored(c)).unwrap();
        }
    }
}

#[test]
fn the_stored_rows_of_the_present_schema_fill_every_table() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = new_site(&dir.path().join("site"));
    let on_server = new_site_on_server(&dir.path().join("on-server"));
    for (_, archive) in [Some(embedded), on_server].into_iter().flatten() {
        let c = &archive.connection;
        // The programme that a new site of a test has.
        c.execute_batch(
            "DELETE FROM programme_all; DELETE FROM programme_counter; DELETE FROM event",
        )
        .unwrap();
        load(c, MIGRATIONS.len());
        assert_filled(&rows(c, &columns(c)), is_stored);
    }
}
