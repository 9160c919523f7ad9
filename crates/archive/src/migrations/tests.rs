//! Tests of the runner of migrations and of the baseline.

use super::*;
use engine::Kind;
use model::tables::{Keeping, Table};

pub(crate) fn in_memory() -> Connection {
    Connection::Sqlite(rusqlite::Connection::open_in_memory().unwrap())
}

pub(crate) fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// Opens a connection to a database, as a user or as the superuser.
fn connected(database: &testkit::postgres::Database, user: Option<&str>) -> Connection {
    let url = database.url();
    let url = user.map_or(url.clone(), |user| url.replace("postgres@", &format!("{user}@")));
    let database = crate::Database { url: Some(url), ..crate::Database::default() };
    let address = engine::Address::of(&database).unwrap();
    Connection::Postgres(engine::Server::connect(&address).unwrap())
}

/// Opens an empty database of each engine; only the embedded one where there is no server.
fn empty_databases() -> Vec<Connection> {
    let server = testkit::postgres::Server::shared();
    let on_server = server.map(|server| connected(&server.database(), None));
    [in_memory()].into_iter().chain(on_server).collect()
}

pub(crate) fn texts(c: &Connection, sql: &str) -> Vec<String> {
    let mut select = c.prepare(sql).unwrap();
    select.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Returns everything that a schema consists of: tables, columns with types, defaults and comments, constraints, indexes, views,
/// functions; not the partitions of detections.
pub(crate) fn schema(c: &Connection) -> Vec<String> {
    let lines = texts(
        c,
        match c.dialect() {
            Dialect::Sqlite => {
                "SELECT name || ': ' || sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY name"
            }
            Dialect::Postgres => SERVER_SCHEMA,
        },
    );
    let is_partition = |line: &String| {
        line.match_indices("detection_").any(|(at, word)| {
            let mut rest = line[at + word.len()..].chars();
            rest.next().is_some_and(|c| "bfp".contains(c))
                && rest.next().is_some_and(|c| c.is_ascii_digit())
        })
    };
    lines.into_iter().filter(|line| !is_partition(line)).collect()
}

const SERVER_SCHEMA: &str = "
    SELECT format('%s %s %s not null %s identity %s default %s: %s', relname, attname, format_type(atttypid, atttypmod),
        attnotnull, attidentity, (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = c.oid AND adnum = attnum),
        col_description(c.oid, attnum))
    FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid
    WHERE relnamespace = current_schema()::regnamespace AND attnum > 0 AND NOT attisdropped AND relkind <> 'i'
    UNION ALL SELECT format('%s %s: %s', relkind, relname, obj_description(oid, 'pg_class')) FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace
    UNION ALL SELECT format('%s %s deferrable %s', conrelid::regclass, pg_get_constraintdef(oid), condeferrable)
    FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema()
    UNION ALL SELECT format('%s %s', viewname, definition) FROM pg_views WHERE schemaname = current_schema()
    UNION ALL SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
    ORDER BY 1";

#[test]
fn fresh_equals_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::create(dir.path(), &[]).unwrap();
    for (fresh, replayed) in empty_databases().into_iter().zip(empty_databases()) {
        bring_up(&fresh, &site, now()).unwrap();
        for number in 1..=MIGRATIONS.len() {
            apply(&replayed, &MIGRATIONS[..number], UseCase::ALL, now()).unwrap();
        }
        bring_up(&replayed, &site, now()).unwrap();
        bring_up(&replayed, &site, now()).unwrap();
        let (fresh, replayed) = (schema(&fresh), schema(&replayed));
        assert!(fresh.len() > 100, "{}", fresh.len());
        let differing = fresh.iter().zip(&replayed).find(|(a, b)| a != b);
        assert!(fresh == replayed, "{differing:?}");
    }
}

/// Checks the rule for released migrations, which `migrations/checksums.txt` contains too: a released migration is never edited.
#[test]
fn released_migrations_are_not_edited() {
    let sum = |text: &str| format!("{:016x}", twox_hash::XxHash64::oneshot(0, text.as_bytes()));
    let mut found = String::new();
    for (number, migration) in (1..).zip(MIGRATIONS) {
        let [embedded, server] = [Dialect::Sqlite, Dialect::Postgres]
            .map(|dialect| sum(&migration.statements(dialect, UseCase::ALL)));
        found += &format!("{number} {} {embedded} {server}\n", migration.name);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/migrations/checksums.txt");
    let kept: String = std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(
        found, kept,
        "a migration differs from its checksum: once it is released, put the change into a new migration"
    );
}

/// Checks that an archive with the migrations of versions before the first release is refused by every way of opening, and
/// stays as it was.
#[test]
fn archives_before_the_first_release_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::create(&dir.path().join("embedded"), &[]).unwrap();
    let server = testkit::postgres::Server::shared().map(|server| {
        let database = server.database();
        let on_server = crate::Database { url: Some(database.url()), ..Default::default() };
        Site::create(&dir.path().join("server"), &[]).unwrap().on(on_server)
    });
    for site in [Some(site), server].into_iter().flatten() {
        let earlier = "CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied TEXT NOT NULL);
             INSERT INTO migration VALUES (1, 'control', 'x'), (2, 'detector_rows', 'x');
             CREATE TABLE delivery (delivery_id INTEGER PRIMARY KEY); INSERT INTO delivery VALUES (7);";
        let c = crate::connect(&site, crate::Access::Create).unwrap();
        c.execute_batch(earlier).unwrap();
        let before = schema(&c);
        let message = |fault: crate::ArchiveError| {
            assert!(fault.is_gate(), "{fault:?}");
            model::one_line(&fault)
        };
        let read = crate::Reader::open(&site).map(drop);
        let written = crate::Archive::open(&site, now()).map(drop);
        for opened in [read, written] {
            let said = message(opened.unwrap_err());
            assert!(said.contains("before the first release"), "{said}");
            assert!(said.contains("create a new archive"), "{said}");
        }
        if site.is_embedded() {
            let limits = query::SqlLimits::DEFAULT;
            let fault = query::Session::open(&site.database(), &site.lake(), limits).unwrap_err();
            assert!(fault.is_gate(), "{fault:?}");
            assert!(fault.to_string().contains("before the first release"), "{fault}");
        } else {
            let said = message(crate::Archive::create(&site, now()).unwrap_err());
            assert!(said.contains("before the first release"), "{said}");
        }
        let fault = bring_up(&c, &site, now()).unwrap_err();
        assert!(matches!(fault, ArchiveFault::EarlierSchema), "{fault:?}");
        assert_eq!(schema(&c), before);
    }
}

/// Checks that an archive with more migrations than the program is refused.
#[test]
fn newer_archives_are_refused() {
    for c in empty_databases() {
        apply(&c, MIGRATIONS, UseCase::ALL, now()).unwrap();
        c.execute_batch("INSERT INTO migration VALUES (99, 'later', '2026-01-01T00:00:00Z')")
            .unwrap();
        let fault = migration_number(&c).unwrap_err();
        let known = u32::try_from(MIGRATIONS.len()).unwrap();
        assert!(
            matches!(fault, ArchiveFault::NewerSchema { found: 99, known: k } if k == known),
            "{fault:?}"
        );
    }
}

/// Checks that every table and column of a server has a comment, and every column of the embedded archive.
#[test]
fn every_table_and_column_has_a_comment() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::create(dir.path(), &[]).unwrap();
    let connection = in_memory();
    bring_up(&connection, &site, now()).unwrap();
    let mut tables = schema(&connection);
    tables.retain(|line| {
        line.contains(": CREATE TABLE")
            && !line.starts_with("ducklake_")
            && !line.starts_with("detector_rows:")
    });
    for table in tables {
        let (name, sql) = table.split_once(": ").unwrap();
        let columns: Vec<&str> = sql
            .lines()
            .skip(1)
            .filter(|l| {
                let word = l.trim_start().trim_start_matches('"');
                word.starts_with(|c: char| c.is_ascii_lowercase())
            })
            .collect();
        assert!(!columns.is_empty(), "{name}");
        let mut next_lines = sql.lines().skip(2);
        for line in columns {
            let follows = next_lines.next().unwrap_or_default();
            assert!(line.contains("-- ") || follows.contains("-- "), "{name}: {line}");
        }
    }
    let Some(server) = testkit::postgres::Server::shared() else { return };
    let connection = connected(&server.database(), None);
    bring_up(&connection, &site, now()).unwrap();
    let silent = texts(
        &connection,
        "SELECT format('%s %s', relname, attname) FROM pg_class AS c LEFT JOIN pg_attribute ON attrelid = c.oid AND attnum > 0
             AND NOT attisdropped
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v')
             AND (obj_description(c.oid, 'pg_class') IS NULL OR col_description(c.oid, attnum) IS NULL)",
    );
    assert_eq!(silent, Vec::<String>::new());
}

/// Checks that an open refusal is recorded once, and that a key of a table of the definitions is unique in an event.
#[test]
fn duplicate_records_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::create(dir.path(), &[]).unwrap();
    for c in empty_databases() {
        bring_up(&c, &site, now()).unwrap();
        let time = "'2026-01-01T00:00:00Z'";
        let (zeros, empty) = ("0".repeat(64), if c.sqlite().is_some() { "x''" } else { "''" });
        c.execute_batch(&format!(
            "INSERT INTO delivery (delivery_id, name, source, state, first_seen, last_arrival)
                 VALUES (1, 'd', 's', 'arriving', {time}, {time});
             INSERT INTO file (file_id, delivery_id, name, sha256, bytes, kind, format, path, state, arrived, registered)
                 VALUES (1, 1, 'f', '{zeros}', 1, 'image', 'fits', 'd/f', 'current', {time}, {time});
             INSERT INTO image (multiframe_id, file_id) VALUES (7, 1);
             INSERT INTO event VALUES (1, 'reference', NULL, {time}, 'test', 'test', '0');"
        ))
        .unwrap();
        let refusal = |ext_num: &str| {
            format!(
                "INSERT INTO refusal (delivery_id, file_name, stage, code, ext_num, message, parked, state, first_seen, last_seen)
                     VALUES (1, 'f', 'register', 'c', {ext_num}, 'm', 0, 'open', {time}, {time})"
            )
        };
        let header = format!(
            "INSERT INTO header_all (multiframe_id, file_name, ext_num, num_cards, cards, begin_event)
                 VALUES (7, 'f', 1, 10, {empty}, 1)"
        );
        for sql in [&refusal("1"), &refusal("2"), &refusal("NULL"), &header] {
            c.execute_batch(sql).unwrap();
            let fault = c.execute_batch(sql).unwrap_err();
            assert!(fault.is_constraint(), "{sql}: {fault}");
        }
        assert!(c.execute_batch(&refusal("0")).is_err(), "the primary HDU has number 1");
    }
}

/// Checks that a login that may migrate but not grant gets the message that the rights of the roles are not up to date.
#[test]
fn a_migration_reports_rights_that_it_cannot_grant() {
    let Some(server) = testkit::postgres::Server::shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let site = Site::create(dir.path(), &[]).unwrap();
    let database = server.database();
    let name = &database.name;
    database.psql(&format!(
        "CREATE ROLE {name}_owner; CREATE ROLE {name}_ingester; CREATE ROLE {name}_reader;
         CREATE ROLE {name}_migrator LOGIN; GRANT CREATE ON SCHEMA public TO {name}_migrator"
    ));
    let migrator = connected(&database, Some(&format!("{name}_migrator")));
    let tx = migrator.begin(Kind::Write).unwrap();
    let fault = bring_up(&tx, &site, now()).unwrap().unwrap();
    assert!(fault.contains("42501") || fault.contains("denied"), "{fault}");
    tx.commit().unwrap();
    assert_eq!(migration_count(&migrator), MIGRATIONS.len() as i64, "the archive is migrated");
    let unreadable = roles::unreadable(&migrator, lake::tables()).unwrap();
    assert!(unreadable.contains(&"refusal".to_owned()), "{unreadable:?}");
    let superuser = connected(&database, None);
    let tx = superuser.begin(Kind::Write).unwrap();
    assert_eq!(roles::keep_up(&tx, lake::tables()).unwrap(), None);
    tx.commit().unwrap();
    assert_eq!(roles::unreadable(&superuser, lake::tables()).unwrap(), Vec::<String>::new());
}

fn migration_count(c: &Connection) -> i64 {
    c.query_row("SELECT count(*) FROM migration", [], |r| r.get(0)).unwrap()
}

/// Checks that an archive whose tables lack the last columns gets them, keeps its rows, and shows the values as unknown.
#[test]
fn a_grown_definition_grows_a_filled_archive() {
    let connection = in_memory();
    apply(&connection, MIGRATIONS, UseCase::ALL, now()).unwrap();
    let full = grown();
    let mut shorter = full.clone();
    shorter.columns.truncate(2);
    assert!(definition::bring_up(&connection, &shorter).unwrap());
    connection
        .execute_batch(
            "INSERT INTO event VALUES (1, 'reference', NULL, '2026-01-01T00:00:00Z', 'test', 'test', '0');
             INSERT INTO thing_all (thing_id, name, begin_event) VALUES (7, 'old', 1);",
        )
        .unwrap();
    assert!(definition::bring_up(&connection, &full).unwrap());
    assert!(!definition::bring_up(&connection, &full).unwrap(), "the second time nothing is new");
    let row: (i64, String, Option<f64>) = connection
        .query_row("SELECT thing_id, name, size_mm FROM thing", [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })
        .unwrap();
    assert_eq!(row, (7, "old".to_owned(), None));
    assert!(definition::bring_up(&connection, &shorter).is_err(), "a lost column is an error");
}

fn grown() -> Table {
    let column = |name: &str, kind, nullable| model::tables::Column {
        name: name.to_owned(),
        kind,
        nullable,
        unit: String::new(),
        ucd: String::new(),
        description: "A test.".to_owned(),
        keyword: None,
        origin: None,
        ttype: None,
        formula: None,
        range: None,
        references: None,
    };
    use model::tables::ColumnType::{F64, I64, Text};
    Table {
        name: "thing".to_owned(),
        description: "Things.".to_owned(),
        keeping: Keeping::Reference,
        lake: None,
        retired: Vec::new(),
        schema_version: 2,
        key: vec!["thing_id".to_owned()],
        columns: vec![
            column("thing_id", I64, false),
            column("name", Text, false),
            column("size_mm", F64, true),
        ],
    }
}

#[test]
fn a_dry_run_names_the_upgrade_of_the_command() {
    assert_eq!(would_upgrade_to(2, 2), None);
    let said = would_upgrade_to(1, 2).unwrap();
    assert!(said.contains("schema 1") && said.contains("would upgrade it to 2"), "{said}");
}
