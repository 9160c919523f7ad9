//! The invented tables on a PostgreSQL server, beside the same acts in the embedded lake: what both show is equal.

use super::*;
use archive::partitions::{self, LoadedPartition, Wanted};
use archive::{Access, connect};
use engine::Kind;
use fixture::query::Rows as Kept;
use query::SqlReader;
use std::sync::atomic::AtomicBool;
use testkit::postgres::{Database, Server};

/// Set for a process that a test kills: the site and the URL of its database.
const CHILD: &str = "LAKE_TABLES_CHILD";

/// An archive on a server with `detection`, the two invented tables of the embedded lake, and one without ids.
struct OnServer {
    root: PathBuf,
    site: archive::Site,
    connection: engine::Connection,
    forced: Invented,
    variability: Invented,
    association: Invented,
}

impl OnServer {
    /// Opens the site of a database, which need not hold an archive yet.
    fn at(root: &Path, url: String) -> Self {
        let forced = Invented::of(include_str!("forced.toml"));
        let variability = Invented::of(include_str!("variability.toml"));
        let association = Invented::of(include_str!("association.toml"));
        let invented = [&forced, &variability, &association].map(|i| i.table.clone());
        let tables: Vec<_> = [lake::detection().clone()].into_iter().chain(invented).collect();
        let login = format!("{}_query", url.rsplit('/').next().unwrap());
        let database =
            archive::Database { url: Some(url), query_user: Some(login), ..Default::default() };
        let site = archive::Site::create(root, &[]).unwrap().on(database);
        let site = site.with_lake_tables(Box::leak(tables.into_boxed_slice()));
        if let Err(fault) = archive::Archive::create(&site, now()) {
            assert!(fault.is_conflict(), "{fault:?}");
        }
        archive::make_roles(&site, "a password").unwrap();
        let connection = connect(&site, Access::Write).unwrap();
        Self { root: root.to_owned(), site, connection, forced, variability, association }
    }

    fn tables(&self) -> [&LakeTable; 4] {
        let invented = [&self.forced, &self.variability, &self.association];
        let [forced, variability, association] = invented.map(|invented| &invented.table);
        [lake::detection(), forced, variability, association]
    }

    /// Runs statements without the checks of references: the rounds of the tests have no delivery.
    fn control(&self, sql: &str) {
        let sql = format!(
            "SET session_replication_role = replica; {sql}; RESET session_replication_role"
        );
        self.connection.execute_batch(&sql).unwrap();
    }

    /// Opens a staged round, whose batch has an event.
    fn stage_round(&self, batch: i64, event: i64) {
        self.control(&format!(
            "INSERT INTO unit (unit_id, delivery_id, use_case, round, recipe, state, opened)
                 OVERRIDING SYSTEM VALUE VALUES ({batch}, 1, 'catalogue', {batch}, '', 'staged', '2026-01-01T00:00:00Z');
             INSERT INTO batch (unit_id, staged, reserved_event) VALUES ({batch}, '2026-01-01T00:00:00Z', {event})"
        ));
    }

    fn load(
        &self,
        invented: &Invented,
        batch: i64,
        parts: &[Rows],
        (base, event): (i64, i64),
    ) -> Result<LoadedPartition, archive::ArchiveFault> {
        let staging = self.root.join("staging");
        let paths = invented.stage(&staging, batch, parts);
        let staged: Vec<Staged<'_>> = paths
            .iter()
            .map(|(path, offset)| Staged { base: &staging, path, offset: *offset })
            .collect();
        let wanted = Wanted {
            table: &invented.table,
            batch: BatchId::new(batch).unwrap(),
            programme_id: programme(),
            base,
            event: event_id(event),
            staged: &staged,
            is_final: false,
        };
        let server = self.connection.server().unwrap();
        let loaded = partitions::load(server, 2, &[wanted], &AtomicBool::new(false));
        loaded.map(|mut loaded| loaded.remove(0))
    }

    fn attach(&self, invented: &Invented, loaded: &LoadedPartition) {
        let tx = self.connection.begin(Kind::Write).unwrap();
        let LoadedPartition { name, programme_id, first_obj_id, rows, .. } = loaded;
        partitions::attach(&tx, &invented.table, name, *programme_id, *first_obj_id, *rows)
            .unwrap();
        tx.commit().unwrap();
        partitions::let_plans_end(&self.connection, &invented.table).unwrap();
    }

    /// Changes lake tables in one event, which publishes a batch if there is one.
    fn event(
        &self,
        event: i64,
        batch: Option<i64>,
        change: impl FnOnce(&mut partitions::Publication<'_>, &Self),
    ) {
        let tx = self.connection.begin(Kind::Write).unwrap();
        let of = batch.map(|batch| BatchId::new(batch).unwrap());
        self.control(&format!(
            "INSERT INTO event (event_id, act, unit_id, happened, who, why, software)
                 VALUES ({event}, 'ingest', 1, '2026-01-01T00:00:00Z', 'x', 'x', 'x')"
        ));
        change(&mut partitions::Publication::begin(&tx, event_id(event), of), self);
        if let Some(batch) = batch {
            self.control(&format!(
                "UPDATE batch SET event_id = {event}, reserved_event = {event} WHERE unit_id = {batch};
                 UPDATE unit SET state = 'ingested' WHERE unit_id = {batch}"
            ));
        }
        tx.commit().unwrap();
    }

    /// Loads, attaches and publishes measurements as one batch, whose event has its number.
    fn publish(&self, batch: i64, rows: &Rows, base: i64) {
        self.stage_round(batch, batch);
        let loaded = self.load(&self.forced, batch, std::slice::from_ref(rows), (base, batch));
        let loaded = loaded.unwrap();
        self.attach(&self.forced, &loaded);
        self.event(batch, Some(batch), |publication, site| {
            publication.add(&site.forced.table, &loaded, |_| 0).unwrap();
        });
    }

    fn reader(&self, as_of: Option<i64>) -> SqlReader {
        let limits = SqlLimits { memory_bytes: None, ..SqlLimits::DEFAULT };
        let as_of = as_of.map(|event| EventId::new(event).unwrap());
        SqlReader::open_as_of(&self.site, limits, as_of).unwrap()
    }

    fn rows(&self, sql: &str) -> Rows {
        self.rows_as_of(None, sql)
    }

    fn rows_as_of(&self, as_of: Option<i64>, sql: &str) -> Rows {
        let mut kept = Kept::default();
        self.reader(as_of).query(sql, &mut kept).unwrap_or_else(|e| panic!("{sql}: {e}"));
        kept.rows
    }

    fn names(&self, table: &LakeTable) -> Vec<String> {
        let all = partitions::partitions(&self.connection, table).unwrap();
        all.into_iter().map(|partition| partition.name).collect()
    }
}

/// An empty database and a directory for a site; `None` where there is no server.
fn place() -> Option<(tempfile::TempDir, Database)> {
    let database = Server::shared()?.database();
    Some((tempfile::tempdir().unwrap(), database))
}

/// The rows of [`super::first_event`], published on a server.
fn first_event_on(site: &OnServer) {
    site.stage_round(1, 1);
    let parts = [measurements(1..5, 1, 0.5), measurements(5..7, 1, 100.0)];
    let forced = site.load(&site.forced, 1, &parts, (0, 1)).unwrap();
    assert_eq!((forced.name.as_str(), forced.detectors.len()), ("forced_b1_p101", 12));
    let light = curves(1..7);
    let variability =
        site.load(&site.variability, 1, std::slice::from_ref(&light), (500, 1)).unwrap();
    site.attach(&site.forced, &forced);
    site.attach(&site.variability, &variability);
    assert!(site.rows("SELECT * FROM forced_all").is_empty(), "attached, not published");
    site.event(1, Some(1), |publication, site| {
        let added = publication.add(&site.forced.table, &forced, |_| panic!("no versions"));
        assert_eq!(added.unwrap(), 480);
        publication.add(&site.variability.table, &variability, |_| 7).unwrap();
    });
}

#[test]
fn a_server_shows_the_rows_of_the_embedded_lake() {
    let Some((dir, database)) = place() else { return };
    let (embedded, server) = (super::Site::new(), OnServer::at(dir.path(), database.url()));
    super::first_event(&embedded);
    first_event_on(&server);
    for table in server.tables() {
        partitions::bring_up(&server.connection, table, false).unwrap(); // safe to repeat
    }
    let mut queries: Vec<String> = [
        "SELECT * FROM variability ORDER BY curve_id",
        "SELECT * FROM variability WHERE source_id = 4 ORDER BY curve_id",
        "SELECT * FROM detection",
        "SELECT count(*) FROM variability AS v JOIN forced AS f USING (source_id) WHERE v.curve_id = 501 AND f.filter_id = 2",
        "SELECT programme_id, first_forced_id, rows, source_id, filter_id, season, begin_event, end_event, centre_healpix29,
             radius_deg, radius_class FROM forced_rows ORDER BY first_forced_id",
        "SELECT programme_id, first_curve_id, rows, source_id, release, begin_event, end_event FROM variability_rows ORDER BY 2",
    ]
    .map(str::to_owned)
    .to_vec();
    for condition in super::CONDITIONS {
        for table in ["forced", "forced_all"] {
            queries.push(format!("SELECT * FROM {table} WHERE {condition} ORDER BY forced_id"));
        }
    }
    for sql in &queries {
        assert_eq!(server.rows(sql), embedded.rows(sql), "{sql}");
    }
    assert_eq!(server.rows("SELECT * FROM forced").len(), 480);
    let undescribed = "SELECT count(*) FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid
        WHERE relname ~ '^(forced|variability|association)(_all|_data|_rows)?$' AND attnum > 0 AND NOT attisdropped
            AND (col_description(c.oid, attnum) IS NULL OR obj_description(c.oid) IS NULL)";
    let undescribed = server.connection.query_row(undescribed, [], |r| r.get::<i64>(0)).unwrap();
    assert_eq!(undescribed, 0, "every table and column has a comment");
    let mut kept = Kept::default();
    let fault = server.reader(None).query("SELECT * FROM variability_all", &mut kept).unwrap_err();
    assert!(fault.to_string().contains("variability_all"), "{fault}");
}

#[test]
fn ranges_end_and_are_reopened_as_in_the_embedded_lake() {
    let Some((dir, database)) = place() else { return };
    let (embedded, server) = (super::Site::new(), OnServer::at(dir.path(), database.url()));
    super::first_event(&embedded);
    first_event_on(&server);
    let ended = [key(1, 1, 1), key(5, 1, 1), key(5, 2, 1), key(6, 1, 1), key(6, 2, 1)];
    embedded.event(2, |publication, site| {
        assert_eq!(publication.end(&site.forced.table, ended.clone()).unwrap(), 200);
    });
    server.event(2, None, |publication, site| {
        assert_eq!(publication.end(&site.forced.table, ended.clone()).unwrap(), 200);
        assert_eq!(publication.end(&site.forced.table, ended.clone()).unwrap(), 0, "twice is once");
        let fault = publication.end(&site.variability.table, [RangeKey::new([1])]).unwrap_err();
        assert!(fault.to_string().ends_with("variability has no history"), "{fault}");
        let fault = publication.end(&site.forced.table, [RangeKey::new([1])]).unwrap_err();
        assert!(fault.to_string().ends_with("has 1 values for 3 key columns"), "{fault}");
    });
    let newer = measurements(5..6, 1, 7.0);
    let file = embedded.load(&embedded.forced, 2, std::slice::from_ref(&newer), (480, 3)).unwrap();
    embedded.event(3, |publication, site| {
        let table = &site.forced.table;
        publication.reopen(table, event_id(2), [key(5, 2, 1), key(6, 1, 1)]).unwrap();
        publication.end(table, [key(5, 1, 1), key(5, 2, 1)]).unwrap();
        publication.add(table, &file, |_| 0).unwrap();
    });
    server.stage_round(2, 3);
    let loaded = server.load(&server.forced, 2, std::slice::from_ref(&newer), (480, 3)).unwrap();
    server.attach(&server.forced, &loaded);
    server.event(3, Some(2), |publication, site| {
        let table = &site.forced.table;
        let opened = publication.reopen(table, event_id(2), [key(5, 2, 1), key(6, 1, 1)]);
        assert_eq!(opened.unwrap(), 80);
        assert_eq!(publication.end(table, [key(5, 1, 1), key(5, 2, 1)]).unwrap(), 40);
        publication.add(table, &loaded, |_| 0).unwrap();
    });
    for table in ["forced", "forced_all"] {
        let sql = format!("SELECT * FROM {table} ORDER BY forced_id");
        assert_eq!(server.rows(&sql), embedded.rows(&sql), "{sql}");
    }
    for event in 1..=3 {
        for sql in [
            "SELECT * FROM forced ORDER BY forced_id",
            "SELECT * FROM variability ORDER BY curve_id",
        ] {
            let wanted = query(&embedded.session(Some(event)), sql);
            assert_eq!(server.rows_as_of(Some(event), sql), wanted, "{sql} as of {event}");
        }
    }
}

#[test]
fn partitions_of_one_table_are_folded() {
    let Some((dir, database)) = place() else { return };
    let server = OnServer::at(dir.path(), database.url());
    for batch in 1..=6 {
        server.publish(batch, &measurements(batch..batch + 1, 1, 0.5), 80 * (batch - 1));
    }
    let all = "SELECT * FROM forced ORDER BY forced_id";
    let before = server.rows(all);
    assert_eq!((before.len(), server.names(&server.forced.table).len()), (480, 6));
    // A round to come is not folded, nor are the few partitions of another table.
    server.stage_round(7, 7);
    let loaded = server.load(&server.forced, 7, &[measurements(7..8, 1, 0.5)], (480, 7)).unwrap();
    server.attach(&server.forced, &loaded);
    let light = curves(1..3);
    let curves = server.load(&server.variability, 7, &[light], (0, 7)).unwrap();
    server.attach(&server.variability, &curves);
    for (table, wanted) in [(&server.variability.table, 0), (&server.forced.table, 6)] {
        let merged = partitions::fold(&server.connection, table, 3).unwrap();
        assert_eq!(merged, wanted, "{}", table.name());
    }
    let names = server.names(&server.forced.table);
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].starts_with("forced_f1_p101") && names[1] == "forced_b7_p101", "{names:?}");
    assert_eq!(server.names(&server.variability.table), ["variability_b7_p101"]);
    assert_eq!(server.rows(all), before);
    server.event(7, Some(7), |publication, site| {
        publication.add(&site.forced.table, &loaded, |_| 0).unwrap();
        publication.add(&site.variability.table, &curves, |_| 7).unwrap();
    });
    assert_eq!(server.rows(all).len(), 560);
    assert_eq!(server.rows("SELECT * FROM variability").len(), 6);
}

/// Rows of `association` of some sources, three each, in the order of the definition's columns; `event` is that of published rows.
fn associations(sources: std::ops::Range<i64>, event: Value) -> Rows {
    sources
        .flat_map(|source| (0..3).map(move |n| (source, n)))
        .map(|(source, n)| {
            let distance = (n as f64 / 4.0).into();
            vec![source.into(), (100 + n).into(), PROGRAMME.into(), distance, event.clone()]
        })
        .collect()
}

#[test]
fn rows_without_ids_are_published_ended_and_folded() {
    let Some((dir, database)) = place() else { return };
    let server = OnServer::at(dir.path(), database.url());
    let table = &server.association.table;
    let mut published = Rows::new();
    for batch in 1..=4 {
        server.stage_round(batch, batch);
        let base = table.base_of(BatchId::new(batch).unwrap()).unwrap();
        let parts = [
            associations(2 * batch..2 * batch + 1, Value::Null),
            associations(2 * batch + 1..2 * batch + 2, Value::Null),
        ];
        let loaded = server.load(&server.association, batch, &parts, (base, batch)).unwrap();
        assert_eq!((loaded.rows, loaded.first_obj_id.get()), (6, (batch << 32) + 1));
        server.attach(&server.association, &loaded);
        server.event(batch, Some(batch), |publication, site| {
            publication.add(&site.association.table, &loaded, |_| 0).unwrap();
        });
        published.extend(associations(2 * batch..2 * batch + 2, batch.into()));
    }
    let all = "SELECT * FROM association ORDER BY source_id, distance";
    assert_eq!(server.rows(all), published);
    server.event(5, None, |publication, site| {
        let table = &site.association.table;
        assert_eq!(publication.end(table, [RangeKey::new([3]), RangeKey::new([8])]).unwrap(), 6);
    });
    let left = only(&published, |r| !is(r, 0, 3) && !is(r, 0, 8));
    assert_eq!(server.rows(all), left);
    assert_eq!(partitions::fold(&server.connection, table, 2).unwrap(), 4);
    assert_eq!(server.names(table).len(), 1);
    assert_eq!(server.rows(all), left);
    assert_eq!(
        server.rows("SELECT * FROM association_all ORDER BY source_id, distance"),
        published
    );
    assert_eq!(server.rows_as_of(Some(4), all), published);
    let columns = partitions::columns(&server.connection, table).unwrap();
    assert_eq!(columns.last().unwrap(), "row_number");
}

#[test]
fn loads_that_nothing_needs_are_dropped() {
    let Some((dir, database)) = place() else { return };
    let server = OnServer::at(dir.path(), database.url());
    let rows = || [measurements(1..2, 1, 0.5)];
    for (batch, base) in [(1, 0), (2, 80)] {
        server.stage_round(batch, batch);
        let loaded = server.load(&server.forced, batch, &rows(), (base, batch)).unwrap();
        if batch == 2 {
            server.attach(&server.forced, &loaded);
        }
    }
    let (c, table) = (&server.connection, &server.forced.table);
    assert_eq!(partitions::left_over(c, table).unwrap(), ["forced_b1_p101"]);
    assert_eq!(partitions::unpublished(c, table).unwrap(), ["forced_b2_p101"]);
    assert!(partitions::is_coming(c, table, "forced_b1_p101").unwrap());
    for other in [lake::detection(), &server.variability.table] {
        assert!(partitions::left_over(c, other).unwrap().is_empty());
        assert!(partitions::unpublished(c, other).unwrap().is_empty());
    }
    assert!(partitions::due_to_drop(c, table).unwrap().is_empty(), "both are to come");
    server.control("UPDATE unit SET state = 'failed'");
    let both = ["forced_b1_p101", "forced_b2_p101"];
    assert_eq!(partitions::due_to_drop(c, table).unwrap(), both);
    assert_eq!(partitions::drop_left_over(c, table).unwrap(), both);
    assert!(server.names(table).is_empty());
    // Opening the archive sweeps every table.
    server.stage_round(3, 3);
    server.load(&server.variability, 3, &[curves(1..3)], (0, 3)).unwrap();
    server.control("UPDATE unit SET state = 'failed'");
    drop(archive::Archive::open(&server.site, now()).unwrap());
    assert!(partitions::left_over(c, &server.variability.table).unwrap().is_empty());
}

#[test]
fn an_attached_load_is_taken_up_with_a_later_event() {
    let Some((dir, database)) = place() else { return };
    let server = OnServer::at(dir.path(), database.url());
    let rows = [measurements(1..3, 1, 0.5)];
    server.stage_round(1, 1);
    let loaded = server.load(&server.forced, 1, &rows, (0, 1)).unwrap();
    server.attach(&server.forced, &loaded);
    let other = [measurements(1..3, 1, 0.75)];
    let fault = server.load(&server.forced, 1, &other, (0, 2)).unwrap_err();
    assert!(fault.to_string().contains("is attached already, with other rows"), "{fault}");
    let loaded = server.load(&server.forced, 1, &rows, (0, 2)).unwrap();
    server.event(2, Some(1), |publication, site| {
        publication.add(&site.forced.table, &loaded, |_| 0).unwrap();
    });
    let wanted = server.forced.published(&rows[0], 0, 2);
    assert_eq!(server.rows("SELECT * FROM forced ORDER BY forced_id"), wanted);
}

/// Ingests, and folds, what a process does that [`killed_at_any_point_nothing_is_lost`] kills. Safe to repeat.
fn work(server: &OnServer) {
    let rows = measurements(4..5, 1, 0.5);
    let published =
        "SELECT EXISTS (SELECT * FROM batch WHERE unit_id = 4 AND event_id IS NOT NULL)";
    if !server.connection.query_row(published, [], |r| r.get::<bool>(0)).unwrap() {
        let loaded = server.load(&server.forced, 4, std::slice::from_ref(&rows), (240, 4)).unwrap();
        server.attach(&server.forced, &loaded);
        files::crash_point("lake-tables:attached");
        server.event(4, Some(4), |publication, site| {
            publication.add(&site.forced.table, &loaded, |_| 0).unwrap();
        });
    }
    partitions::fold(&server.connection, &server.forced.table, 2).unwrap();
}

#[test]
fn child() {
    let Ok(place) = std::env::var(CHILD) else { return };
    let (root, url) = place.split_once('|').unwrap();
    work(&OnServer::at(Path::new(root), url.to_owned()));
}

#[test]
fn killed_at_any_point_nothing_is_lost() {
    let Some((_, whole)) = place() else { return };
    let server = {
        let dir = tempfile::tempdir().unwrap();
        let server = OnServer::at(dir.path(), whole.url());
        for batch in 1..=3 {
            server.publish(batch, &measurements(batch..batch + 1, 1, 0.5), 80 * (batch - 1));
        }
        server.stage_round(4, 4);
        server
    };
    drop(server);
    let points = [
        "load:copied",
        "load:before-commit",
        "load:after-commit", // between load and attach
        "lake-tables:attached",
        "fold:filled",
        "fold:before-commit",
        "fold:after-commit",
    ];
    for point in points {
        let database = Server::shared().unwrap().copy(&whole.name);
        let dir = tempfile::tempdir().unwrap();
        let place = format!("{}|{}", dir.path().display(), database.url());
        let mut killed = std::process::Command::new(std::env::current_exe().unwrap());
        killed
            .args(["server::child", "--exact"])
            .env(CHILD, &place)
            .env("ALMAGEST_CRASH_AT", point);
        let output = killed.output().unwrap();
        assert!(!output.status.success(), "{point} was not passed");
        let server = OnServer::at(dir.path(), database.url());
        work(&server);
        let rows = (1..=4).map(|n| (n, measurements(n..n + 1, 1, 0.5)));
        let wanted: Rows =
            rows.flat_map(|(n, rows)| server.forced.published(&rows, 80 * (n - 1), n)).collect();
        let all = "SELECT * FROM forced ORDER BY forced_id";
        assert_eq!(server.rows(all), wanted, "{point}");
        assert!(server.names(&server.forced.table).len() <= 2, "{point}");
        let (c, table) = (&server.connection, &server.forced.table);
        partitions::drop_left_over(c, table).unwrap();
        assert!(partitions::left_over(c, table).unwrap().is_empty(), "{point}");
        assert_eq!(server.rows(all).len(), 320, "{point}");
    }
}
