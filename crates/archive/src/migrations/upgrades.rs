//! Tests that migrations are applied to filled archives, on both engines.
//!
//! [`upgraded`] applies migrations to an archive whose tables all have rows ([`filled`]), and checks that these rows stay, that the
//! schema equals that of a new archive, and that a second run changes nothing. The migrations here are invented.
//! [`every_migration_keeps_the_rows_of_the_schema_before_it`] does the same with the real ones. A real migration has a further test here of
//! the rows that it writes and of the values that it refuses.

use super::*;
use crate::migrations::filled::{self, columns, fill, rows};
use crate::migrations::tests::{now, schema, texts};
use crate::schema::table::{Table, id, index, integer, text, time};
use crate::tests::plans::staging::{new_site, new_site_on_server, psql};
use engine::Kind;
use std::collections::BTreeMap;

/// The columns of earlier tables whose values a migration changes: migration, table, column.
const WRITTEN: &[(&str, &str, &str)] = &[];

/// Adds a table with rows, and a column with values.
const MIRRORS: Migration = Migration::new(
    "mirrors",
    &[
        Change::Tables(&[Table::new(
            "mirror",
            "Copies of deliveries at other places.",
            &[
                id("mirror_id", "internal"),
                integer("delivery_id", "the delivery").unique().refers("delivery (delivery_id)"),
                text("place", "where the copy is").not_empty(),
                time("checked", "when it was compared last"),
            ],
        )
        .indexes(&[index("mirror_place", "place")])]),
        Change::Both(
            "INSERT INTO mirror (delivery_id, place, checked)
                 SELECT delivery_id, 'https://mirror/' || name, first_seen FROM delivery;",
        ),
        Change::Column(
            "delivery",
            integer("mirrors", "number of its mirrors").default("0").at_least(0),
        ),
        Change::Both("UPDATE delivery SET mirrors = 1;"),
        Change::Index("delivery", index("delivery_mirrors", "delivery_id").only("mirrors > 0")),
    ],
);

/// Changes the CHECK of a column: SQLite copies the table, a server changes it in place.
const REPAIRS: Migration = Migration::new(
    "repairs",
    &[
        Change::Embedded(
            "CREATE TABLE scrub_next (
    file_id INTEGER PRIMARY KEY REFERENCES file (file_id), -- the file
    checked TEXT NOT NULL CHECK (checked GLOB '????-??-??T*Z'), -- when
    outcome TEXT NOT NULL CHECK (outcome IN ('intact', 'corrupt', 'missing', 'unreadable', 'repaired')) -- what was found
) STRICT;
INSERT INTO scrub_next (file_id, checked, outcome) SELECT file_id, checked, outcome FROM scrub;
DROP TABLE scrub;
ALTER TABLE scrub_next RENAME TO scrub;
CREATE INDEX scrub_damaged ON scrub (outcome) WHERE outcome <> 'intact';",
        ),
        Change::Server(
            "ALTER TABLE scrub DROP CONSTRAINT scrub_outcome_check;
             ALTER TABLE scrub ADD CHECK (outcome IN ('intact', 'corrupt', 'missing', 'unreadable', 'repaired'));",
        ),
    ],
);

/// Changes rows of a table of the definitions, which a new archive does not have yet; on a server, recreates a view.
const TELESCOPES: Migration = Migration {
    of_table: Some("use_case_all"),
    ..Migration::new(
        "telescopes",
        &[
            Change::Both(
                "UPDATE multiframe_all SET telescope = 'unknown' WHERE telescope IS NULL;",
            ),
            Change::Server(
                "CREATE TEMP TABLE kept AS SELECT attname, col_description('use_case'::regclass, attnum) AS comment
                     FROM pg_attribute WHERE attrelid = 'use_case'::regclass AND attnum > 0;
                 CREATE TEMP TABLE kept_view AS
                     SELECT pg_get_viewdef('use_case'::regclass) AS query, obj_description('use_case'::regclass) AS comment;
                 DROP VIEW use_case;
                 DO $$ DECLARE held RECORD; BEGIN
                     EXECUTE (SELECT 'CREATE VIEW use_case AS ' || query FROM kept_view);
                     EXECUTE (SELECT format('COMMENT ON VIEW use_case IS %L', comment) FROM kept_view);
                     FOR held IN SELECT * FROM kept LOOP
                         EXECUTE format('COMMENT ON COLUMN use_case.%I IS %L', held.attname, held.comment);
                     END LOOP;
                 END $$;
                 DROP TABLE kept; DROP TABLE kept_view;",
            ),
        ],
    )
};

/// Fails after it has made a table, changed rows and removed an index.
const BROKEN: Migration = Migration::new(
    "broken",
    &[
        Change::Tables(&[Table::new(
            "broken",
            "A table that is rolled back.",
            &[id("broken_id", "internal")],
        )]),
        Change::Both(
            "INSERT INTO broken (broken_id) SELECT delivery_id FROM delivery;
             UPDATE delivery SET closed_by = 'the broken migration';
             DROP INDEX file_content;
             INSERT INTO broken (broken_id) SELECT delivery_id FROM delivery;",
        ),
    ],
);

/// Everything that an archive holds.
#[derive(Debug, PartialEq)]
struct State {
    schema: Vec<String>,
    rows: BTreeMap<String, Vec<String>>,
    migrations: Vec<String>,
    rights: Vec<String>,
}

impl State {
    fn of(c: &Connection) -> Self {
        Self {
            schema: schema(c),
            rows: rows(c, &columns(c)),
            migrations: texts(
                c,
                "SELECT number || ' ' || name || ' ' || applied FROM migration ORDER BY number",
            ),
            rights: rights(c),
        }
    }
}

/// Returns the rights on tables, views and columns of a server, with owners.
fn rights(c: &Connection) -> Vec<String> {
    if c.dialect() == Dialect::Sqlite {
        return Vec::new();
    }
    texts(
        c,
        "SELECT format('%s belongs to %s', relname, pg_get_userbyid(relowner)) FROM pg_class
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
         UNION ALL SELECT format('%s: %s', relname, acl) FROM pg_class, unnest(relacl) AS acl
         WHERE relnamespace = current_schema()::regnamespace
         UNION ALL SELECT format('%s.%s: %s', relname, attname, acl)
         FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid, unnest(attacl) AS acl
         WHERE relnamespace = current_schema()::regnamespace AND NOT attisdropped
         ORDER BY 1",
    )
}

/// An archive that a test upgrades.
struct Subject<'a> {
    c: &'a Connection,
    site: &'a Site,
}

impl Subject<'_> {
    /// Applies migrations in a transaction, as opening an archive does.
    fn bring_up(&self, migrations: &[Migration]) -> Result<Option<String>, ArchiveFault> {
        let later = now() + chrono::TimeDelta::days(1);
        let tx = self.c.begin(Kind::Write).unwrap();
        let rights = upgrade(&tx, migrations, self.site, later)?;
        tx.commit().unwrap();
        Ok(rights)
    }
}

/// Makes a site with an empty database, embedded or on the server of the tests.
fn empty(root: &std::path::Path, is_embedded: bool) -> (Site, Connection) {
    let url = (!is_embedded).then(|| testkit::postgres::Server::shared().unwrap().database().url());
    let database = crate::Database { url, ..Default::default() };
    let site = Site::create(root, &[]).unwrap().on(database);
    let c = crate::connect(&site, crate::Access::Create).unwrap();
    (site, c)
}

fn with<const N: usize>(new: [Migration; N]) -> Vec<Migration> {
    MIGRATIONS.iter().copied().chain(new).collect()
}

/// Applies migrations to a filled archive, and checks what every migration must keep. `written` are the columns of earlier tables
/// whose values the migrations change.
fn upgraded(archive: &Subject<'_>, migrations: &[Migration], written: &[(&str, &str)]) {
    let c = archive.c;
    let before = State::of(c);
    let mut kept = columns(c);
    for (table, column) in written {
        kept.get_mut(*table).unwrap().retain(|name| name != column);
    }
    let rows_before = rows(c, &kept);
    assert_eq!(archive.bring_up(migrations).unwrap(), None);
    let rows_after = rows(c, &kept);
    for (table, rows) in rows_before.iter().filter(|(table, _)| *table != "column_description") {
        assert_eq!(rows, &rows_after[table], "rows of {table}");
    }
    let after = State::of(c);
    let recorded: Vec<String> = (1..)
        .zip(migrations)
        .map(|(number, migration): (u32, _)| format!("{number} {}", migration.name))
        .collect();
    assert_eq!(after.migrations.len(), recorded.len());
    for (found, wanted) in after.migrations.iter().zip(&recorded) {
        assert!(found.starts_with(wanted.as_str()), "{found}, not {wanted}");
    }
    for right in &before.rights {
        assert!(after.rights.contains(right), "lost: {right}");
    }
    let dir = tempfile::tempdir().unwrap();
    let (site, fresh) = empty(&dir.path().join("fresh"), archive.site.is_embedded());
    Subject { c: &fresh, site: &site }.bring_up(migrations).unwrap();
    let wanted = schema(&fresh);
    let differing = wanted.iter().zip(&after.schema).find(|(a, b)| a != b);
    assert!(wanted == after.schema, "{differing:?}");
    assert_eq!(archive.bring_up(migrations).unwrap(), None);
    assert_eq!(State::of(c), after, "a second run changes nothing");
}

/// Runs a test on a filled archive of each engine; on a server with its roles.
fn on_filled_archives(test: impl Fn(&Subject<'_>)) {
    let dir = tempfile::tempdir().unwrap();
    let embedded = new_site(&dir.path().join("site"));
    let on_server = new_site_on_server(&dir.path().join("on-server"));
    for (site, mut archive) in [Some(embedded), on_server].into_iter().flatten() {
        fill(&mut archive);
        if !site.is_embedded() {
            crate::make_roles(&site, "a password").unwrap();
        }
        test(&Subject { c: &archive.connection, site: &site });
    }
}

#[test]
fn a_migration_adds_a_table_and_a_column() {
    on_filled_archives(|archive| {
        let migrations = with([MIRRORS]);
        upgraded(archive, &migrations, &[]);
        let c = archive.c;
        let deliveries = texts(c, "SELECT 'https://mirror/' || name FROM delivery ORDER BY 1");
        assert_eq!(texts(c, "SELECT place FROM mirror ORDER BY 1"), deliveries);
        assert!(deliveries.len() > 3);
        let unmirrored = texts(c, "SELECT name FROM delivery WHERE mirrors <> 1");
        assert_eq!(unmirrored, Vec::<String>::new());
        refused(
            c,
            &[
                "INSERT INTO mirror (delivery_id, place, checked) VALUES (99, 'x', '2026-01-01T00:00:00Z')",
                "UPDATE mirror SET place = ''",
                "UPDATE mirror SET checked = 'yesterday'",
                "INSERT INTO mirror (delivery_id, place, checked) SELECT delivery_id, place, checked FROM mirror",
                "DELETE FROM delivery WHERE name = '20071011_v2'",
                "UPDATE delivery SET mirrors = -1",
            ],
        );
        let site = archive.site;
        if site.is_embedded() {
            let tables = texts(
                c,
                "SELECT sql FROM sqlite_schema WHERE name IN ('delivery', 'mirror') ORDER BY name",
            );
            for comment in ["number of its mirrors", "where the copy is"] {
                assert!(tables.iter().any(|sql| sql.contains(comment)), "{comment}: {tables:?}");
            }
            return;
        }
        let comments = "SELECT obj_description('mirror'::regclass) UNION ALL SELECT col_description(attrelid, attnum)
             FROM pg_attribute WHERE (attrelid = 'mirror'::regclass AND attnum > 0)
                 OR (attrelid = 'delivery'::regclass AND attname = 'mirrors') ORDER BY 1";
        let wanted = [
            "Copies of deliveries at other places.",
            "internal",
            "number of its mirrors",
            "the delivery",
            "when it was compared last",
            "where the copy is",
        ];
        assert_eq!(texts(c, comments), wanted);
        // The ingester writes to the new table, and the reader does not read it.
        let name = site.location().rsplit('/').next().unwrap().to_owned();
        psql(
            site,
            &format!(
                "SET ROLE {name}_ingester; UPDATE mirror SET place = place; DELETE FROM mirror"
            ),
        );
        psql(
            site,
            &format!(
                "SET ROLE {name}_ingester; INSERT INTO mirror (delivery_id, place, checked)
                 SELECT delivery_id, 'x', first_seen FROM delivery"
            ),
        );
        let may_read = format!(
            "SELECT has_table_privilege('{name}_reader', 'mirror', 'SELECT'), has_table_privilege('{name}_reader', 'delivery', 'SELECT')"
        );
        assert_eq!(psql(site, &may_read), "f|t");
        assert_eq!(roles::unreadable(c, lake::tables()).unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_migration_changes_a_table() {
    on_filled_archives(|archive| {
        let migrations = with([MIRRORS, REPAIRS]);
        let c = archive.c;
        let repaired = "UPDATE scrub SET outcome = 'repaired'";
        refused(c, &[repaired]);
        upgraded(archive, &migrations, &[]);
        refused(
            c,
            &[
                "UPDATE scrub SET outcome = 'bad'",
                "UPDATE scrub SET file_id = 9999 WHERE file_id = (SELECT min(file_id) FROM scrub)",
                "INSERT INTO scrub (file_id, checked, outcome) SELECT file_id, checked, outcome FROM scrub",
            ],
        );
        c.execute_batch(repaired).unwrap();
    });
}

/// Rights that an administrator granted on a view are restored after a migration recreates the view.
#[test]
fn a_migration_changes_a_table_of_the_definitions() {
    on_filled_archives(|archive| {
        let (c, site) = (archive.c, archive.site);
        if !site.is_embedded() {
            let name = site.location().rsplit('/').next().unwrap().to_owned();
            let [all, grantor, one] =
                ["all", "grantor", "one"].map(|role| format!("{name}_{role}"));
            psql(
                site,
                &format!(
                    "CREATE ROLE {all}; CREATE ROLE {grantor}; CREATE ROLE \"{one} x\";
                     GRANT SELECT ON use_case TO {all}; GRANT SELECT ON use_case TO {grantor} WITH GRANT OPTION;
                     GRANT SELECT (use_case_id) ON use_case TO \"{one} x\"; GRANT SELECT (name) ON use_case TO PUBLIC"
                ),
            );
        }
        let before =
            texts(c, "SELECT coalesce(telescope, 'unknown') FROM multiframe_all ORDER BY 1");
        upgraded(archive, &with([TELESCOPES]), &[("multiframe_all", "telescope")]);
        assert_eq!(texts(c, "SELECT telescope FROM multiframe_all ORDER BY 1"), before);
        assert!(before.contains(&"unknown".to_owned()));
    });
}

#[test]
fn a_failed_migration_leaves_the_archive_as_it_was() {
    on_filled_archives(|archive| {
        let before = State::of(archive.c);
        let fault = archive.bring_up(&with([MIRRORS, BROKEN])).unwrap_err();
        assert!(
            matches!(&fault, ArchiveFault::Engine(fault) if fault.is_constraint()),
            "{fault:?}"
        );
        assert_eq!(State::of(archive.c), before);
        assert_eq!(migration_number(archive.c).unwrap() as usize, MIGRATIONS.len());
        upgraded(archive, &with([MIRRORS]), &[]);
    });
}

/// Applies each migration to the rows of the schema before it, and an invented migration to those of the present schema.
#[test]
fn every_migration_keeps_the_rows_of_the_schema_before_it() {
    let migrations = with([MIRRORS]);
    let engines = [true, false].into_iter();
    let engines: Vec<bool> = engines
        .filter(|is_embedded| *is_embedded || testkit::postgres::Server::shared().is_some())
        .collect();
    for known in 1..migrations.len() {
        for is_embedded in &engines {
            let dir = tempfile::tempdir().unwrap();
            let (site, c) = empty(&dir.path().join("site"), *is_embedded);
            let archive = Subject { c: &c, site: &site };
            archive.bring_up(&migrations[..known]).unwrap();
            filled::load(&c, known);
            if !is_embedded {
                crate::make_roles(&site, "a password").unwrap();
            }
            let name = migrations[known].name;
            let written: Vec<(&str, &str)> = WRITTEN
                .iter()
                .filter(|(migration, ..)| *migration == name)
                .map(|(_, table, column)| (*table, *column))
                .collect();
            upgraded(&archive, &migrations[..=known], &written);
        }
    }
}

/// Checks that statements violate a constraint.
fn refused(c: &Connection, statements: &[&str]) {
    for sql in statements {
        let tx = c.begin(Kind::Write).unwrap();
        let fault = tx.execute_batch(sql).unwrap_err();
        assert!(fault.is_constraint(), "{sql}: {fault}");
    }
}
