//! Numbered migrations, forward only, and the tables that follow the definitions.

use super::time::text_of;
use super::{described, frame_names, product_detectors, products};
use crate::control::records::Timestamp;
use crate::error::ArchiveFault;
use crate::metadata::{definition, links};
use crate::partitions;
use crate::provider;
use crate::roles;
use crate::site::Site;
use engine::{Connection, Dialect, postgres_ddl};
use lake::{self, LakeSchema};
use rusqlite::params;

/// A migration of the schema.
struct Migration {
    name: &'static str,
    sql: &'static str,
    /// True for a migration of the lake, which a server does not have.
    embedded_only: bool,
    /// The statements for a server, when they are not a translation of `sql`.
    server_sql: Option<&'static str>,
    /// The table of the definitions that the migration changes; the migration is skipped in an archive without that table.
    of_table: Option<&'static str>,
}

impl Migration {
    const fn new(name: &'static str, sql: &'static str) -> Self {
        Self { name, sql, embedded_only: false, server_sql: None, of_table: None }
    }
}

/// The migrations in order; the first has number 1. A migration that was released is never edited.
const MIGRATIONS: &[Migration] = &[
    Migration::new("control", include_str!("../../migrations/0001_control.sql")),
    Migration::new("detector_rows", lake::DETECTOR_ROWS_DDL),
    Migration::new("states", include_str!("../../migrations/0003_states.sql")),
    Migration { embedded_only: true, ..Migration::new("lake_file", lake::LAKE_FILE_DDL) },
    Migration::new("retraction", include_str!("../../migrations/0005_retraction.sql")),
    Migration::new("coming", include_str!("../../migrations/0006_coming.sql")),
    Migration::new("planning", include_str!("../../migrations/0007_planning.sql")),
    Migration::new("rates", include_str!("../../migrations/0008_rates.sql")),
    Migration::new("transfer", include_str!("../../migrations/0009_transfer.sql")),
    Migration::new("products", include_str!("../../migrations/0010_products.sql")),
    Migration::new("origin", include_str!("../../migrations/0011_origin.sql")),
    Migration::new("moves", include_str!("../../migrations/0012_moves.sql")),
    Migration::new("lookups", include_str!("../../migrations/0013_lookups.sql")),
    Migration {
        server_sql: Some(include_str!("../../migrations/0014_ext_num_server.sql")),
        ..Migration::new("ext_num", include_str!("../../migrations/0014_ext_num.sql"))
    },
    Migration::new("refusal_taken", include_str!("../../migrations/0015_refusal_taken.sql")),
    Migration::new("decisions", include_str!("../../migrations/0016_decisions.sql")),
    Migration {
        of_table: Some("header_all"),
        server_sql: Some(include_str!("../../migrations/0017_header_ext_num_server.sql")),
        ..Migration::new("header_ext_num", include_str!("../../migrations/0017_header_ext_num.sql"))
    },
    Migration::new("cameras", include_str!("../../migrations/0018_cameras.sql")),
    Migration::new("reopening", include_str!("../../migrations/0019_reopening.sql")),
    Migration::new(
        "product_detectors",
        include_str!("../../migrations/0020_product_detectors.sql"),
    ),
    Migration::new("refusal_subject", include_str!("../../migrations/0021_refusal_subject.sql")),
    Migration::new("frame_name", include_str!("../../migrations/0022_frame_name.sql")),
];

/// The SQLite application id, `ALMG`, by which `file` and `sqlite3` identify the database.
const APPLICATION_ID: i32 = 0x414c_4d47;

/// Upgrades a database to this program's schema, inside the caller's transaction. Safe to repeat. Returns the reason why the
/// rights of a server's roles are not up to date; `None` when they are.
///
/// # Errors
/// [`ArchiveFault::NewerSchema`], [`ArchiveFault::Definition`], or the engine's error.
pub fn bring_up(
    tx: &Connection,
    site: &Site,
    now: Timestamp,
) -> Result<Option<String>, ArchiveFault> {
    let rights = match tx.dialect() {
        Dialect::Sqlite => Vec::new(),
        Dialect::Postgres => roles::rights_on_views(tx)?,
    };
    let knows_detectors = has_table(tx, "product_detector")?;
    let is_migrated = migrate(tx, MIGRATIONS.len(), now)?;
    for table in definition::tables() {
        definition::bring_up(tx, table)?;
        definition::describe(tx, table)?;
    }
    definition::ensure_indexes(tx)?;
    links::ensure_indexes(tx)?;
    if is_migrated {
        frame_names::adopt(tx)?;
        products::adopt(tx)?;
        if !knows_detectors {
            product_detectors::adopt(tx)?;
            described::adopt(tx)?;
        }
        provider::adopt_cameras(tx)?;
    }
    if let Some(sqlite) = tx.sqlite() {
        lake::init(sqlite, &site.lake(), &LakeSchema::of_model()?, now)?;
        lake::correct_data_path(sqlite, &site.lake())?;
        return Ok(None);
    }
    partitions::bring_up(tx, is_migrated)?;
    functions(tx)?;
    roles::restore_rights(tx, &rights)?;
    if is_migrated { roles::keep_up(tx) } else { Ok(None) }
}

/// The functions that `query::FUNCTIONS` describes, for a server.
const SERVER_FUNCTIONS: &str = include_str!("../../postgres/functions.sql");

/// Creates the functions of the sky, when their text differs from the one in the database.
fn functions(tx: &Connection) -> Result<(), ArchiveFault> {
    let sql = SERVER_FUNCTIONS;
    let mark =
        format!("almagest functions {:016x}", twox_hash::XxHash64::oneshot(0, sql.as_bytes()));
    let stored: Option<String> = tx.query_row(
        "SELECT max(obj_description(oid, 'pg_proc')) FROM pg_proc
         WHERE pronamespace = current_schema()::regnamespace AND proname = 'almagest_functions'",
        [],
        |r| r.get(0),
    )?;
    if stored.as_deref() == Some(mark.as_str()) {
        return Ok(());
    }
    tx.execute_batch(sql)?;
    tx.execute_batch(&format!(
        "CREATE OR REPLACE FUNCTION almagest_functions() RETURNS text IMMUTABLE RETURN '{mark}';
         COMMENT ON FUNCTION almagest_functions() IS '{mark}'"
    ))?;
    Ok(())
}

/// Returns the number of the last migration in the archive; refuses an archive of a newer program.
pub fn check(connection: &Connection) -> Result<u32, ArchiveFault> {
    let found: u32 = match connection.dialect() {
        Dialect::Sqlite => connection.query_row("PRAGMA user_version", [], |r| r.get(0))?,
        Dialect::Postgres => {
            let is_there: bool =
                connection
                    .query_row("SELECT to_regclass('migration') IS NOT NULL", [], |r| r.get(0))?;
            let last = "SELECT coalesce(max(number), 0) FROM migration";
            if is_there { connection.query_row(last, [], |r| r.get(0))? } else { 0 }
        }
    };
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(ArchiveFault::NewerSchema { found, known });
    }
    Ok(found)
}

/// Returns true when an archive has a table.
pub fn has_table(tx: &Connection, name: &str) -> Result<bool, ArchiveFault> {
    let sql = match tx.dialect() {
        Dialect::Sqlite => {
            "SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = ?1"
        }
        Dialect::Postgres => "SELECT to_regclass(quote_ident(?1)) IS NOT NULL",
    };
    Ok(tx.query_row(sql, [name], |r| r.get(0))?)
}

/// Applies the migrations up to a number; returns `false` when none was due.
fn migrate(tx: &Connection, up_to: usize, now: Timestamp) -> Result<bool, ArchiveFault> {
    let applied = check(tx)? as usize;
    for (number, migration) in (1..).zip(MIGRATIONS).take(up_to).skip(applied) {
        let has_table = match migration.of_table {
            Some(table) => has_table(tx, table)?,
            None => true,
        };
        match tx.dialect() {
            _ if !has_table => {}
            Dialect::Sqlite => tx.execute_batch(migration.sql)?,
            Dialect::Postgres if migration.embedded_only => {}
            Dialect::Postgres => match migration.server_sql {
                Some(sql) => tx.execute_batch(sql)?,
                None => tx.execute_batch(&postgres_ddl(migration.sql))?,
            },
        }
        tx.execute(
            "INSERT INTO migration (number, name, applied) VALUES (?1, ?2, ?3)",
            params![number, migration.name, text_of(now)],
        )?;
        if tx.dialect() == Dialect::Postgres {
            continue;
        }
        tx.execute_batch(&format!(
            "PRAGMA user_version = {number}; PRAGMA application_id = {APPLICATION_ID};"
        ))?;
    }
    Ok(applied < up_to)
}

#[cfg(test)]
mod tests {
    use super::super::filling::{self, Filling};
    use super::*;
    use engine::Kind;
    use model::tables::{Keeping, Table};

    fn schema(connection: &Connection) -> Vec<(String, String)> {
        let mut select = connection
            .prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
            .unwrap();
        select.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    fn in_memory() -> Connection {
        Connection::Sqlite(rusqlite::Connection::open_in_memory().unwrap())
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn fresh_equals_replayed() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::create(dir.path(), &[]).unwrap();
        let fresh = in_memory();
        bring_up(&fresh, &site, now()).unwrap();
        let replayed = in_memory();
        for number in 1..=MIGRATIONS.len() {
            migrate(&replayed, number, now()).unwrap();
        }
        bring_up(&replayed, &site, now()).unwrap();
        bring_up(&replayed, &site, now()).unwrap();
        assert_eq!(schema(&fresh), schema(&replayed));
    }

    /// Returns columns with types and comments, constraints, indexes, views, functions of a server's database.
    fn server_schema(c: &Connection) -> Vec<String> {
        let mut select = c
            .prepare(
                "SELECT format('%s %s %s %s %s', relname, attname, format_type(atttypid, atttypmod), attnotnull,
                     col_description(c.oid, attnum))
                 FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid
                 WHERE relnamespace = current_schema()::regnamespace AND attnum > 0 AND NOT attisdropped AND relkind <> 'i'
                 UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
                 WHERE connamespace = current_schema()::regnamespace
                 UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema()
                 UNION ALL SELECT viewname || ' ' || definition FROM pg_views WHERE schemaname = current_schema()
                 UNION ALL SELECT oid::regprocedure::text FROM pg_proc
                 WHERE pronamespace = current_schema()::regnamespace
                 ORDER BY 1",
            )
            .unwrap();
        select.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn fresh_equals_replayed_on_a_server() {
        let Some(server) = testkit::postgres::Server::shared() else { return };
        let dir = tempfile::tempdir().unwrap();
        let site = Site::create(dir.path(), &[]).unwrap();
        let connect = || {
            let url = Some(server.database().url());
            let database = crate::Database { url, ..crate::Database::default() };
            let address = engine::Address::of(&database).unwrap();
            Connection::Postgres(engine::Server::connect(&address).unwrap())
        };
        let (fresh, replayed) = (connect(), connect());
        bring_up(&fresh, &site, now()).unwrap();
        for number in 1..=MIGRATIONS.len() {
            migrate(&replayed, number, now()).unwrap();
        }
        bring_up(&replayed, &site, now()).unwrap();
        bring_up(&replayed, &site, now()).unwrap();
        let (fresh, replayed) = (server_schema(&fresh), server_schema(&replayed));
        assert!(fresh.len() > 500, "{}", fresh.len());
        let differing = fresh.iter().zip(&replayed).find(|(a, b)| a != b);
        assert!(fresh == replayed, "{differing:?}");
    }

    /// Checks that deliveries of sites older than origins get the origins that follow from their source addresses.
    fn older_deliveries_get_origins(connection: &Connection) {
        migrate(connection, 9, now()).unwrap();
        for (name, source) in [
            ("20071011_v1", "/data/inbox/20071011_v1"),
            ("20071012_v1", "ssh://me@h/~/nights/20071012_v1"),
            ("20071013_v1", "/data/other/name"),
        ] {
            connection
                .execute(
                    "INSERT INTO delivery (delivery_id, name, source, state, first_seen, last_arrival)
                     VALUES ((SELECT count(*) + 1 FROM delivery), ?1, ?2, 'arriving', '2026-01-01T00:00:00Z',
                         '2026-01-01T00:00:00Z')",
                    params![name, source],
                )
                .unwrap();
        }
        migrate(connection, MIGRATIONS.len(), now()).unwrap();
        let mut select = connection
            .prepare("SELECT delivery, directory, origin, address, is_source FROM delivery_origin ORDER BY 1")
            .unwrap();
        let rows: Vec<(String, String, String, String, i64)> = select
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let wanted = [
            ("20071011_v1", "/data/inbox"),
            ("20071012_v1", "ssh://me@h/~/nights"),
            ("20071013_v1", "/data/other/name"),
        ];
        let row = |(name, place): (&str, &str)| {
            let (name, place) = (name.to_owned(), place.to_owned());
            (name.clone(), name, place.clone(), place, 0)
        };
        assert_eq!(rows, wanted.map(row));
    }

    #[test]
    fn older_deliveries_get_origins_on_both_engines() {
        older_deliveries_get_origins(&in_memory());
        let Some(server) = testkit::postgres::Server::shared() else { return };
        let database = crate::Database { url: Some(server.database().url()), ..Default::default() };
        let address = engine::Address::of(&database).unwrap();
        let server = engine::Server::connect(&address).unwrap();
        older_deliveries_get_origins(&Connection::Postgres(server));
    }

    #[test]
    fn every_table_and_column_has_a_comment() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::create(dir.path(), &[]).unwrap();
        let connection = in_memory();
        bring_up(&connection, &site, now()).unwrap();
        let tables = schema(&connection).into_iter().filter(|(name, sql)| {
            sql.starts_with("CREATE TABLE")
                && !name.starts_with("ducklake_")
                && name != "detector_rows"
        });
        for (name, sql) in tables {
            let columns: Vec<&str> = sql
                .lines()
                .skip(1)
                .filter(|l| {
                    let word = l.trim_start().trim_start_matches('"');
                    word.starts_with(|c: char| c.is_ascii_lowercase())
                        && !l.trim_start().starts_with("ifnull")
                })
                .collect();
            assert!(!columns.is_empty(), "{name}");
            let mut next_lines = sql.lines().skip(2);
            for line in columns {
                let follows = next_lines.next().unwrap_or_default();
                assert!(line.contains("-- ") || follows.contains("-- "), "{name}: {line}");
            }
        }
    }

    /// Checks that rows that counted the primary HDU as 0 are renumbered.
    fn extension_numbers_are_counted_from_one(connection: &Connection) {
        let before = MIGRATIONS.iter().position(|m| m.name == "ext_num").unwrap();
        migrate(connection, before, now()).unwrap();
        connection
            .execute_batch(
                "INSERT INTO delivery (delivery_id, name, source, state, first_seen, last_arrival)
                     VALUES (1, 'd', 's', 'arriving', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z');
                 INSERT INTO refusal (delivery_id, file_name, stage, code, hdu, message, parked, state, first_seen, last_seen)
                     VALUES (1, 'f', 'register', 'c', 0, 'm', 0, 'open', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
                            (1, 'f', 'register', 'c', 1, 'm', 0, 'open', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
                            (1, 'f', 'register', 'c', NULL, 'm', 0, 'open', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z');
                 INSERT INTO refusal_history VALUES (2, 1, 'open', '2026-01-01T00:00:00Z', 'x', 'y');
                 INSERT INTO finding (delivery_id, stage, round, code, subject, files, occurrences, example_file, example_hdu,
                     message) VALUES (1, 'metadata', 1, 'k', '', 1, 1, 'f', 3, 'm');",
            )
            .unwrap();
        migrate(connection, MIGRATIONS.len(), now()).unwrap();
        let mut select = connection
            .prepare(
                "SELECT coalesce(ext_num, 0), (SELECT count(*) FROM refusal_history AS h
                                               WHERE h.refusal_id = refusal.refusal_id)
                 FROM refusal ORDER BY refusal_id",
            )
            .unwrap();
        let rows: Vec<(i64, i64)> = select
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows, [(1, 0), (2, 1), (0, 0)]);
        let finding: i64 =
            connection.query_row("SELECT example_ext_num FROM finding", [], |r| r.get(0)).unwrap();
        assert_eq!(finding, 4);
        // A number that is already open is not recorded twice.
        let again = connection.execute_batch(
            "INSERT INTO refusal (delivery_id, file_name, stage, code, ext_num, message, parked, state, first_seen, last_seen)
                 VALUES (1, 'f', 'register', 'c', 2, 'm', 0, 'open', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z')",
        );
        assert!(again.is_err());
    }

    #[test]
    fn extension_numbers_of_older_archives() {
        extension_numbers_are_counted_from_one(&in_memory());
        let Some(server) = testkit::postgres::Server::shared() else { return };
        let url = Some(server.database().url());
        let database = crate::Database { url, ..Default::default() };
        let address = engine::Address::of(&database).unwrap();
        let server = Connection::Postgres(engine::Server::connect(&address).unwrap());
        extension_numbers_are_counted_from_one(&server);
    }

    /// Checks that refusals get the subjects that their messages contain.
    fn subjects_are_taken_from_messages(connection: &Connection) {
        let before = MIGRATIONS.iter().position(|m| m.name == "refusal_subject").unwrap();
        migrate(connection, before, now()).unwrap();
        let time = "'2026-01-01T00:00:00Z'";
        let messages = [
            ("image_absent", "its image a b.fit was refused", Some("a b.fit")),
            ("image_absent", "its image has not arrived", None),
            ("unknown_project", r#"project "U/05A" is not registered"#, Some("U/05A")),
            ("unknown_project", r#"project "a\\b \"c\"" is not registered"#, Some(r#"a\b "c""#)),
            ("other", "its image x was refused", None),
        ];
        let mut sql = format!(
            "INSERT INTO delivery (delivery_id, name, source, state, first_seen, last_arrival)
                 VALUES (1, 'd', 's', 'arriving', {time}, {time});"
        );
        for (n, (code, message, _)) in messages.iter().enumerate() {
            sql += &format!(
                "INSERT INTO refusal (delivery_id, file_name, stage, code, message, parked, state, first_seen, last_seen)
                     VALUES (1, 'f{n}', 'register', '{code}', '{message}', 0, 'open', {time}, {time});"
            );
        }
        connection.execute_batch(&sql).unwrap();
        migrate(connection, MIGRATIONS.len(), now()).unwrap();
        let mut select =
            connection.prepare("SELECT subject FROM refusal ORDER BY file_name").unwrap();
        let found: Vec<Option<String>> =
            select.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(found, messages.map(|(_, _, subject)| subject.map(str::to_owned)));
    }

    #[test]
    fn subjects_of_older_refusals() {
        subjects_are_taken_from_messages(&in_memory());
        let Some(server) = testkit::postgres::Server::shared() else { return };
        let url = Some(server.database().url());
        let database = crate::Database { url, ..Default::default() };
        let address = engine::Address::of(&database).unwrap();
        let server = Connection::Postgres(engine::Server::connect(&address).unwrap());
        subjects_are_taken_from_messages(&server);
    }

    /// Checks the rows that the upgrade writes for the detections of an archive without `product_detector`: image, detector,
    /// state, the event that ended the detections, the event that left them out.
    fn detectors_of_older_archives_are_recorded(connection: &Connection, site: &Site) {
        let before = MIGRATIONS.iter().position(|m| m.name == "product_detectors").unwrap();
        migrate(connection, before, now()).unwrap();
        let time = "'2026-01-01T00:00:00Z'";
        let mut sql = format!(
            "INSERT INTO delivery (delivery_id, name, source, state, first_seen, last_arrival)
                 VALUES (1, 'd', 's', 'arriving', {time}, {time});"
        );
        for id in 1..=8 {
            let (sum, kind) = (format!("{id:064}"), if id <= 4 { "image" } else { "catalogue" });
            sql += &format!(
                "INSERT INTO file (file_id, delivery_id, name, sha256, bytes, kind, format, path, state, arrived, registered)
                     VALUES ({id}, 1, 'f{id}', '{sum}', 1, '{kind}', 'fits', 'd/f{id}', 'current', {time}, {time});
                 INSERT INTO event VALUES ({id}, 'reference', NULL, {time}, 'test', 'test', '0');
                 INSERT INTO unit (unit_id, delivery_id, use_case, round, recipe, state, made)
                     VALUES ({id}, 1, 'catalogue', {id}, '1', 'ingested', {time});
                 INSERT INTO batch (unit_id, staged, event_id) VALUES ({id}, {time}, {id});"
            );
        }
        sql += "INSERT INTO image (multiframe_id, file_id) VALUES (1, 1), (2, 2), (3, 3), (4, 4);
                INSERT INTO catalogue (multiframe_id, version, file_id, sha256)
                    SELECT file_id - 4, 1, file_id, sha256 FROM file WHERE kind = 'catalogue';
                INSERT INTO product (multiframe_id, use_case, state, ended_event, changed_event)
                    VALUES (1, 'catalogue', 'superseded', 5, 5), (2, 'catalogue', 'current', NULL, 5),
                           (3, 'catalogue', 'current', NULL, 6), (4, 'catalogue', 'retracted', 7, 7);
                INSERT INTO interruption (multiframe_id, use_case, from_event, to_event)
                    VALUES (1, 'catalogue', 3, 4), (1, 'preview', 3, 4);";
        // Columns: image, detector, events that began and ended the rows.
        let rows = [
            (1, 2, 2, "5"),
            (1, 3, 2, "5"),
            (2, 2, 5, "NULL"),
            (3, 2, 2, "6"),
            (3, 2, 6, "NULL"),
            (3, 3, 2, "6"),
            (4, 2, 2, "6"),
            (4, 2, 6, "7"),
            (4, 3, 2, "6"),
        ];
        for (n, (multiframe, ext_num, begin, end)) in rows.iter().enumerate() {
            sql += &format!(
                "INSERT INTO detector_rows (programme_id, first_obj_id, rows, multiframe_id, ext_num, version, file_id, file_row,
                     begin_event, end_event)
                 VALUES (7, {n} * 10 + 1, 10, {multiframe}, {ext_num}, 1, 1, {n} * 10, {begin}, {end});"
            );
        }
        // In image 2, an empty HDU was accepted, and an unreadable HDU was refused.
        sql += &format!(
            "INSERT INTO hdu_rows (unit_id, multiframe_id, cat_ext_num, rows_read, rows_written, rows_refused)
                 VALUES (5, 2, 3, 0, 0, 0), (5, 2, 4, 0, 0, 0);
             INSERT INTO refusal (refusal_id, delivery_id, file_id, file_name, stage, code, ext_num, message, parked, state,
                     first_seen, last_seen)
                 VALUES (1, 1, 6, 'f6', 'catalogue', 'bad', 4, 'x', 0, 'open', {time}, {time});"
        );
        connection.execute_batch(&sql).unwrap();
        bring_up(connection, site, now()).unwrap();
        let list = |sql: &str| -> Vec<Vec<i64>> {
            let mut select = connection.prepare(sql).unwrap();
            let rows = select.query_map([], |r| (0..5).map(|at| r.get(at)).collect());
            rows.unwrap().map(Result::unwrap).collect()
        };
        let found = list(
            "SELECT multiframe_id, ext_num, CASE state WHEN 'current' THEN 0 WHEN 'superseded' THEN 1 ELSE 2 END,
                 coalesce(ended_event, 0), coalesce(uncovered_event, 0) FROM product_detector ORDER BY 1, 2",
        );
        let wanted = [
            [1, 2, 1, 5, 0],
            [1, 3, 1, 5, 0],
            [2, 2, 0, 0, 0],
            [2, 3, 0, 0, 0],
            [3, 2, 0, 0, 0],
            [3, 3, 1, 6, 6],
            [4, 2, 2, 7, 0],
            [4, 3, 2, 6, 6],
        ];
        assert_eq!(found, wanted);
        let spans = list(
            "SELECT multiframe_id, ext_num, from_event, to_event, 0 FROM detector_interruption ORDER BY 2",
        );
        assert_eq!(spans, [[1, 2, 3, 4, 0], [1, 3, 3, 4, 0]]);
        let others: i64 =
            connection.query_row("SELECT count(*) FROM interruption", [], |r| r.get(0)).unwrap();
        assert_eq!(others, 1, "that of the preview");
    }

    #[test]
    fn detectors_of_older_archives() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::create(dir.path(), &[]).unwrap();
        detectors_of_older_archives_are_recorded(&in_memory(), &site);
        let Some(server) = testkit::postgres::Server::shared() else { return };
        let url = Some(server.database().url());
        let database = crate::Database { url, ..Default::default() };
        let address = engine::Address::of(&database).unwrap();
        let server = Connection::Postgres(engine::Server::connect(&address).unwrap());
        detectors_of_older_archives_are_recorded(&server, &site);
    }

    /// Returns the table `header` as it was when its rows held the number of their HDU twice.
    fn header_of_old() -> Table {
        let mut table = model::tables::table("header").unwrap().clone();
        let mut hdu = table.column("ext_num").unwrap().clone();
        hdu.name = "hdu".to_owned();
        table.columns.insert(2, hdu);
        table.key = ["multiframe_id", "file_name", "hdu"].map(str::to_owned).to_vec();
        table
    }

    /// Checks that current and ended rows of a filled archive keep their cards, by extension number.
    fn headers_are_found_by_extension_number(connection: &Connection, site: &Site) {
        let before = MIGRATIONS.iter().position(|m| m.name == "header_ext_num").unwrap();
        migrate(connection, before, now()).unwrap();
        let old = header_of_old();
        definition::bring_up(connection, &old).unwrap();
        definition::describe(connection, &old).unwrap();
        let sum = "0".repeat(64);
        connection
            .execute_batch(&format!(
                "INSERT INTO delivery (delivery_id, name, source, state, first_seen, last_arrival)
                     VALUES (1, 'd', 's', 'arriving', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z');
                 INSERT INTO file (file_id, delivery_id, name, sha256, bytes, kind, format, path, state, arrived, registered)
                     VALUES (1, 1, 'f', '{sum}', 1, 'image', 'fits', 'd/f', 'current', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z');
                 INSERT INTO image (multiframe_id, file_id) VALUES (7, 1);
                 INSERT INTO event VALUES (1, 'reference', NULL, '2026-01-01T00:00:00Z', 'test', 'test', '0'),
                                          (2, 'reference', NULL, '2026-01-01T00:00:00Z', 'test', 'test', '0');
                 INSERT INTO header_all (multiframe_id, file_name, hdu, ext_num, num_cards, cards, begin_event, end_event)
                     VALUES (7, 'f', 0, 1, 10, '', 1, 2), (7, 'f', 0, 1, 11, '', 2, NULL), (7, 'f', 1, 2, 12, '', 2, NULL),
                            (7, 'g', 1, 2, 13, '', 2, NULL);",
            ).replace("''", if connection.sqlite().is_some() { "x''" } else { "''" }))
            .unwrap();
        bring_up(connection, site, now()).unwrap();
        let rows = |table: &str| -> Vec<(String, i64, i64)> {
            let sql =
                format!("SELECT file_name, ext_num, num_cards FROM {table} ORDER BY num_cards");
            let mut select = connection.prepare(&sql).unwrap();
            let rows = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let row = |file: &str, ext_num, cards| (file.to_owned(), ext_num, cards);
        let all = [row("f", 1, 10), row("f", 1, 11), row("f", 2, 12), row("g", 2, 13)];
        assert_eq!(rows("header_all"), all);
        assert_eq!(rows("header"), all[1..]);
        let described: i64 = connection
            .query_row(
                "SELECT count(*) FROM column_description WHERE table_name = 'header' AND column_name = 'hdu'",
                [],
                |r| r.get(0),
            )
            .unwrap();
        assert_eq!(described, 0);
        let twice = "INSERT INTO header_all SELECT * FROM header_all WHERE num_cards = 12";
        assert!(connection.execute_batch(twice).is_err(), "a key is unique");
    }

    #[test]
    fn headers_of_older_archives() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::create(dir.path(), &[]).unwrap();
        let (old, fresh) = (in_memory(), in_memory());
        headers_are_found_by_extension_number(&old, &site);
        bring_up(&fresh, &site, now()).unwrap();
        assert_eq!(schema(&old), schema(&fresh));
        let Some(server) = testkit::postgres::Server::shared() else { return };
        let connect = || {
            let url = Some(server.database().url());
            let database = crate::Database { url, ..crate::Database::default() };
            let address = engine::Address::of(&database).unwrap();
            Connection::Postgres(engine::Server::connect(&address).unwrap())
        };
        let (old, fresh) = (connect(), connect());
        headers_are_found_by_extension_number(&old, &site);
        bring_up(&fresh, &site, now()).unwrap();
        let (old, fresh) = (server_schema(&old), server_schema(&fresh));
        let differing = fresh.iter().zip(&old).find(|(a, b)| a != b);
        assert!(fresh == old, "{differing:?}");
    }

    /// Opens a connection to a database, as a user or as the superuser.
    fn connected(database: &testkit::postgres::Database, user: Option<&str>) -> Connection {
        let url = database.url();
        let url = user.map_or(url.clone(), |user| url.replace("postgres@", &format!("{user}@")));
        let database = crate::Database { url: Some(url), ..crate::Database::default() };
        let address = engine::Address::of(&database).unwrap();
        Connection::Postgres(engine::Server::connect(&address).unwrap())
    }

    /// Checks that rights that an administrator granted on the view `header` are restored after a migration recreates the view.
    #[test]
    fn rights_on_views_outlive_a_migration() {
        let Some(server) = testkit::postgres::Server::shared() else { return };
        let dir = tempfile::tempdir().unwrap();
        let site = Site::create(dir.path(), &[]).unwrap();
        let database = server.database();
        let old = connected(&database, None);
        let [all, grantor, one] =
            ["all", "grantor", "one"].map(|w| format!("{}_{w}", database.name));
        let before = MIGRATIONS.iter().position(|m| m.name == "header_ext_num").unwrap();
        migrate(&old, before, now()).unwrap();
        definition::bring_up(&old, &header_of_old()).unwrap();
        database.psql(&format!(
            "CREATE ROLE {all}; CREATE ROLE {grantor}; CREATE ROLE \"{one} x\";
             GRANT SELECT ON header TO {all}; GRANT SELECT ON header TO {grantor} WITH GRANT OPTION;
             GRANT SELECT (ext_num, hdu) ON header TO \"{one} x\"; GRANT SELECT (num_cards) ON header TO PUBLIC"
        ));
        let rights = "SELECT string_agg(line, '|' ORDER BY line) FROM (
                SELECT split_part(acl::text, '/', 1) AS line FROM pg_class, unnest(relacl) AS acl
                WHERE relname = 'header' AND relkind = 'v' AND acl::text NOT LIKE 'postgres=%'
                UNION ALL SELECT attname || ':' || split_part(acl::text, '/', 1) FROM pg_attribute, unnest(attacl) AS acl
                WHERE attrelid = 'header'::regclass AND NOT attisdropped) AS lines";
        let granted = database.psql(rights);
        assert!(granted.contains("hdu:"), "{granted}");
        bring_up(&old, &site, now()).unwrap();
        let of_kept = |rights: &str| -> Vec<String> {
            let lines = rights.split('|').filter(|line| !line.starts_with("hdu:"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(of_kept(&database.psql(rights)), of_kept(&granted));
        bring_up(&old, &site, now()).unwrap();
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
        let unreadable = roles::unreadable(&migrator).unwrap();
        assert!(unreadable.contains(&"refusal".to_owned()), "{unreadable:?}");
        let superuser = connected(&database, None);
        let tx = superuser.begin(Kind::Write).unwrap();
        assert_eq!(roles::keep_up(&tx).unwrap(), None);
        tx.commit().unwrap();
        assert_eq!(roles::unreadable(&superuser).unwrap(), Vec::<String>::new());
    }

    fn migration_count(c: &Connection) -> i64 {
        c.query_row("SELECT count(*) FROM migration", [], |r| r.get(0)).unwrap()
    }

    /// Checks that an archive of the previous schema, whose frames name two cameras or none, gets the cameras of each delivery.
    fn older_archives_get_cameras(connection: &Connection) {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::create(dir.path(), &[]).unwrap();
        let before = MIGRATIONS.iter().position(|m| m.name == "cameras").unwrap();
        migrate(connection, before, now()).unwrap();
        for table in definition::tables() {
            definition::bring_up(connection, table).unwrap();
        }
        let tx = connection.begin(Kind::Move).unwrap();
        tx.execute_batch("INSERT INTO programme_counter (programme_id) VALUES (7)").unwrap();
        let frames = Filling { first: 10, frames: 8, per_delivery: 2, calibrations: 0 };
        filling::rows(&tx, &frames);
        tx.execute_batch(
            "UPDATE multiframe_all SET telescope = ' UKIRT', instrument = CASE WHEN multiframe_id = 12 THEN 'UFTI' ELSE 'WFCAM ' END
             WHERE multiframe_id < 14;
             UPDATE multiframe_all SET instrument = 'wfcam' WHERE multiframe_id = 14;",
        )
        .unwrap();
        tx.commit().unwrap();
        bring_up(connection, &site, now()).unwrap();
        let mut select = connection
            .prepare("SELECT delivery_id, telescope, instrument FROM camera ORDER BY 1, 2, 3")
            .unwrap();
        let rows: Vec<(i64, String, String)> = select
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let camera = |delivery, telescope: &str, instrument: &str| {
            (delivery, telescope.to_owned(), instrument.to_owned())
        };
        let wanted = [
            camera(15, "ukirt", "wfcam"),
            camera(16, "ukirt", "ufti"),
            camera(16, "ukirt", "wfcam"),
            camera(17, "", "wfcam"),
        ];
        assert_eq!(rows, wanted);
    }

    #[test]
    fn older_archives_get_cameras_on_both_engines() {
        older_archives_get_cameras(&in_memory());
        let Some(server) = testkit::postgres::Server::shared() else { return };
        let database = crate::Database { url: Some(server.database().url()), ..Default::default() };
        let address = engine::Address::of(&database).unwrap();
        let server = engine::Server::connect(&address).unwrap();
        older_archives_get_cameras(&Connection::Postgres(server));
    }

    /// Checks that files of an archive without `frame_name` get it. Frames that are current in two deliveries under two file
    /// names are reported, and the next act about one of these deliveries settles them.
    fn frames_of_older_archives_are_named(connection: &Connection, site: &Site) {
        let before = MIGRATIONS.iter().position(|m| m.name == "frame_name").unwrap();
        migrate(connection, before, now()).unwrap();
        for table in definition::tables() {
            definition::bring_up(connection, table).unwrap();
        }
        let time = "'2026-01-01T00:00:00Z'";
        let mut sql = String::new();
        for version in 1..=2 {
            sql += &format!(
                "INSERT INTO delivery (delivery_id, name, night, version, source, state, first_seen, last_arrival)
                     VALUES ({version}, 'n_v{version}', 20260101, '{version}', 's', 'arriving', {time}, {time});
                 INSERT INTO unit (unit_id, delivery_id, use_case, round, recipe, state, made)
                     VALUES ({version}, {version}, 'metadata', 1, '1', 'ingested', {time});
                 INSERT INTO event VALUES ({version}, 'ingest', {version}, {time}, 'test', 'test', '0');"
            );
        }
        let files = [
            (1, "a.fit"),
            (2, "a.fit.gz"),
            (2, "b.FITS.fz"),
            (2, "c.fit"),
            (2, "c.fits"),
            (2, ".fit"),
            (2, "notes"),
        ];
        for (n, (delivery, name)) in (1..).zip(files) {
            let kind = if name == "notes" { "other" } else { "image" };
            sql += &format!(
                "INSERT INTO file (file_id, delivery_id, name, sha256, bytes, kind, format, path, state, arrived, registered)
                     VALUES ({n}, {delivery}, '{name}', '{n:064}', 1, '{kind}', 'fits', 'd/f{n}', 'current', {time}, {time});"
            );
            if kind == "image" {
                sql += &format!(
                    "INSERT INTO image (multiframe_id, file_id) VALUES ({n}, {n});
                     INSERT INTO product (multiframe_id, use_case, state, changed_event)
                         VALUES ({n}, 'metadata', 'current', {delivery});"
                );
            }
        }
        sql += "UPDATE counter SET last = 2 WHERE name = 'event';";
        connection.execute_batch(&sql).unwrap();
        bring_up(connection, site, now()).unwrap();
        let texts = |sql: &str| -> Vec<String> {
            let mut select = connection.prepare(sql).unwrap();
            select.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let named = texts("SELECT frame_name FROM file ORDER BY file_id");
        assert_eq!(named, ["a", "a", "b", "c", "c", ".fit", "notes"]);
        let misplaced = |c: &Connection| -> Vec<(i64, bool)> {
            let found = products::misplaced(c).unwrap();
            found.iter().map(|m| (m.multiframe_id, m.should_show)).collect()
        };
        // The next fetch determines whether the source still shows both files of the frame c.
        assert_eq!(misplaced(connection), [(1, false)]);
        let tx = connection.begin(Kind::Write).unwrap();
        let cause = crate::control::records::Cause::new("test", "test");
        super::super::realign(&tx, site, &[1], &cause, now()).unwrap();
        tx.commit().unwrap();
        assert_eq!(misplaced(connection), []);
        let states = texts("SELECT state FROM product ORDER BY multiframe_id");
        let [current, superseded] = ["current", "superseded"];
        assert_eq!(states, [superseded, current, current, current, current, current]);
    }

    #[test]
    fn frames_of_older_archives() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::create(dir.path(), &[]).unwrap();
        frames_of_older_archives_are_named(&in_memory(), &site);
        let Some(server) = testkit::postgres::Server::shared() else { return };
        let url = Some(server.database().url());
        let site = site.on(crate::Database { url: url.clone(), ..Default::default() });
        let database = crate::Database { url, ..Default::default() };
        let address = engine::Address::of(&database).unwrap();
        let server = Connection::Postgres(engine::Server::connect(&address).unwrap());
        frames_of_older_archives_are_named(&server, &site);
    }

    /// Checks that an archive whose tables lack the last columns gets them, keeps its rows, and shows the values as unknown.
    #[test]
    fn a_grown_definition_grows_a_filled_archive() {
        let connection = in_memory();
        migrate(&connection, MIGRATIONS.len(), now()).unwrap();
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
        assert!(
            !definition::bring_up(&connection, &full).unwrap(),
            "the second time nothing is new"
        );
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
}
