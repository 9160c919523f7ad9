//! The archive on a server: the same night as in the box, secrets that stay secret, roles, and a server that goes away.

mod operator;

use operator::{Desk, Said, Small, almagest, signal, until_stopped};
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use testkit::postgres::{Database, Options, Server};

fn night() -> Small<'static> {
    Small { frames: 8, detections: 12, ..Small::default() }
}

/// Content, reports and cards are those of the same night in the box.
fn equals_the_night_in_the_box(desk: &Desk, boxed: &Desk) {
    desk.content().is_that_of(&boxed.content(), "the same night on a server");
    let refused = |desk: &Desk| -> Vec<String> {
        let mut all: Vec<String> = desk
            .refusals()
            .iter()
            .map(|r| format!("{} {} {}", r["file"], r["code"], r["ext_num"]))
            .collect();
        all.sort();
        all
    };
    assert_eq!(refused(desk), refused(boxed));
    for report in ["findings", "status"] {
        let of = |desk: &Desk| {
            let text = desk.at_site(&[report]).ended(0);
            let text = text.replace(&desk.site.display().to_string(), "SITE");
            // The rates are those of two runs.
            let parts: Vec<&str> =
                text.split("\n\n").filter(|part| !part.starts_with("use case ")).collect();
            parts.join("\n\n")
        };
        let (on_server, in_box) = (of(desk), of(boxed));
        assert_eq!(on_server, in_box, "{report}");
    }
    let header = "SELECT multiframe_id, ext_num, header_value(cards, 'OBSNUM') AS n, length(header_text(cards)) AS l
                  FROM header ORDER BY 1, 2, 4";
    assert!(
        desk.rows(header) == boxed.rows(header),
        "cards, packed in the box and plain on the server"
    );
}

fn every_table_and_column_has_a_comment(database: &Database) {
    let commented = "SELECT count(*) FROM pg_class AS c JOIN pg_attribute AS a ON attrelid = c.oid
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND attnum > 0 AND NOT attisdropped
            AND relname !~ '^detection_[bp][0-9]' AND col_description(c.oid, attnum) IS NULL";
    assert_eq!(database.psql(commented), "0", "every column carries a comment");
    let tables = "SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relkind IN ('r', 'p', 'v') AND relname !~ '^detection_b' AND obj_description(oid) IS NULL";
    assert_eq!(database.psql(tables), "", "and every table");
}

/// Retracts the night and restores it: out and back.
fn goes_and_comes_back(desk: &Desk, count: u64) {
    let before = desk.content();
    desk.at_site(&["retract", "20071011_v1", "--reason", "a test"]).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM detection"), 0);
    assert_eq!(desk.count("SELECT count(*) FROM detection_all"), count);
    desk.verified();
    desk.at_site(&["retract", "20071011_v1", "--undo", "--reason", "a test"]).ended(0);
    desk.content().is_that_of(&before, "retracted and restored");
    desk.verified();
}

/// Makes a backup, and restores it into another database.
fn is_restored_elsewhere(desk: &Desk, count: u64) {
    desk.at_site(&["backup", "copy"]).ended(0);
    let other = Server::shared().expect("it runs").database();
    assert_eq!(desk.plain(&["restore", "copy", "again"]).code, Some(5), "it belongs on a server");
    desk.plain(&["restore", "copy", "again", "--database", &other.url()]).ended(0);
    assert_eq!(desk.plain(&["restore", "copy", "twice", "--database", &other.url()]).code, Some(5));
    std::os::unix::fs::symlink(desk.site.join("library"), desk.dir.path().join("library"))
        .expect("linked");
    for place in ["library", "previews"] {
        let here = desk.dir.path().join("again").join(place);
        std::fs::remove_dir_all(&here).expect("removed");
        std::os::unix::fs::symlink(desk.site.join(place), here).expect("linked");
    }
    desk.plain(&["--site", "again", "verify", "--checksums"]).ended(0);
    assert_eq!(other.psql("SELECT count(*) FROM detection"), count.to_string());
}

fn is_purged_and_made_again(desk: &Desk, count: u64) {
    desk.at_site(&["retract", "20071011_v1", "--reason", "a test"]).ended(0);
    let said = desk.at_site(&["purge", "--reason", "a test", "--yes"]).ended(0);
    assert!(said.contains("purged 20071011_v1 catalogue round 1"), "{said}");
    desk.at_site(&["verify", "--checksums"]).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM detection_all"), 0);
    for step in ["metadata", "preview", "catalogue"] {
        desk.at_site(&[step, "--again"]);
        desk.at_site(&["ingest"]);
    }
    assert_eq!(desk.count("SELECT count(*) FROM detection"), count);
    desk.at_site(&["verify", "--checksums"]).ended(0);
}

#[test]
fn a_night_on_a_server_equals_one_in_the_box() {
    let Some((desk, database)) = Desk::on_server() else { return };
    let boxed = Desk::new();
    let small = Small { faults: true, ..Small::default() };
    for desk in [&desk, &boxed] {
        let delivery = desk.simulate(&small);
        desk.run(&delivery).ended(1);
        desk.verified();
        desk.at_site(&["verify", "--checksums"]).ended(0);
    }
    equals_the_night_in_the_box(&desk, &boxed);
    // What psql sees is what our own SQL says.
    let count = desk.count("SELECT count(*) FROM detection");
    assert_eq!(database.psql("SELECT count(*) FROM detection"), count.to_string());
    every_table_and_column_has_a_comment(&database);
    let doctor = desk.at_site(&["doctor"]).ended(3);
    assert!(doctor.contains("fsync is off") && doctor.contains("PostgreSQL "), "{doctor}");
    desk.at_site(&["explain", "20071011_v1"]).ended(0);
    goes_and_comes_back(&desk, count);
    let attach = desk.at_site(&["attach"]).ended(0);
    assert!(attach.contains("(TYPE postgres, READ_ONLY)"), "{attach}");
    is_restored_elsewhere(&desk, count);
    for desk in [&desk, &boxed] {
        is_purged_and_made_again(desk, count);
    }
    let again = desk.plain(&["init", "other", "--database", &database.url()]);
    assert_eq!(again.code, Some(5), "one archive in a database: {}", again.err);
}

/// Everything that a command leaves for others to read must be without the password.
#[track_caller]
fn is_kept(password: &str, said: &Said, site: &Path) {
    assert!(!said.out.contains(password) && !said.err.contains(password), "{said:?}");
    for file in ["almagest.toml", "logs/almagest.log"] {
        let text = std::fs::read_to_string(site.join(file)).unwrap_or_default();
        assert!(!text.contains(password), "{file}");
    }
}

#[test]
fn passwords_and_certificates() {
    let Some(server) = Server::start(&Options { tls: true, ..Options::default() }) else { return };
    let (database, password) = (server.database(), server.password());
    let dir = tempfile::tempdir().expect("a directory");
    let site = dir.path().join("site");
    let init = |url: &str, environment: &[(&str, &str)], more: &[&str]| -> Said {
        let mut command = almagest();
        command.args(["init"]).arg(&site).args(["--database", url]).args(more);
        command.env_remove("PGPASSWORD").env("HOME", dir.path()).current_dir(dir.path());
        command.envs(environment.iter().copied());
        command.output().expect("it starts").into()
    };
    let url = database.tcp_url();
    let with_password = url.replace("postgres@", &format!("postgres:{password}@"));
    let said = init(&with_password, &[], &[]);
    assert_eq!(said.code, Some(3), "{said:?}");
    is_kept(password, &said, &site);
    assert!(!site.join("almagest.toml").exists(), "nothing was made");
    let said = init(&url, &[("PGPASSWORD", "wrong")], &[]);
    assert_eq!(said.code, Some(3), "{said:?}");
    // A file that others may read is not used; one of our own is.
    let file = dir.path().join("secret");
    std::fs::write(&file, format!("{password}\n")).expect("written");
    let said = init(&url, &[], &["--password-file", "secret"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("chmod 600"), "{said:?}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("ours");
    let said = init(&url, &[], &["--roles", "--password-file", "secret"]);
    is_kept(password, &said, &site);
    said.ended(0);
    // From the user's password file, and over TLS with each degree of checking.
    let pgpass = dir.path().join(".pgpass");
    std::fs::write(&pgpass, format!("localhost:{}:*:postgres:{password}\n", server.port()))
        .expect("written");
    std::fs::set_permissions(&pgpass, std::fs::Permissions::from_mode(0o600)).expect("ours");
    let query_password = std::fs::read_to_string(site.join("query.password")).expect("made");
    let configured = Configured {
        server: &server,
        database: &database,
        home: dir.path(),
        site: &site,
        login: format!(
            "query_user = \"{}_query\"\nquery_password_file = \"query.password\"\n",
            database.name
        ),
    };
    configured.checks_certificates();
    configured.checks_the_host();
    configured.hides_passwords_in_its_arguments(query_password.trim());
}

/// A site with a configured database, whose password is in the user's password file.
struct Configured<'a> {
    server: &'a Server,
    database: &'a Database,
    home: &'a Path,
    site: &'a Path,
    /// The settings of the login of queries.
    login: String,
}

impl Configured<'_> {
    /// Writes the configuration with the URL of the database.
    fn with_url(&self, url: &str) {
        let text = format!("[database]\nurl = \"{url}\"\n{}", self.login);
        std::fs::write(self.site.join("almagest.toml"), text).expect("written");
    }

    fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = almagest();
        command.arg("--site").arg(self.site).args(words);
        command
    }

    /// The certificate of the server is checked to the configured degree.
    fn checks_certificates(&self) {
        let authority = self.server.authority().display().to_string();
        let stranger = self.home.join("stranger.crt");
        let made = std::process::Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=stranger",
                "-keyout",
                "/dev/null",
                "-out",
            ])
            .arg(&stranger)
            .output()
            .expect("openssl runs");
        assert!(made.status.success());
        let stranger = stranger.display().to_string();
        let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        for (mode, code, is_encrypted) in [
            ("sslmode=disable".to_owned(), 0, 0),
            ("sslmode=require".to_owned(), 0, 1),
            (format!("sslmode=verify-ca&sslrootcert={authority}"), 0, 1),
            (format!("sslmode=verify-full&sslrootcert={authority}"), 0, 1),
            (format!("sslmode=verify-ca&sslrootcert={stranger}"), 4, 0),
            (format!("sslmode=verify-full&sslrootcert={stranger}"), 4, 0),
        ] {
            self.with_url(&format!("{}?{mode}", self.database.tcp_url()));
            let mut command = self.command(&["sql", encrypted, "--format", "csv"]);
            command.env_remove("PGPASSWORD").env("HOME", self.home);
            let said = Said::from(command.output().expect("it starts"));
            is_kept(self.server.password(), &said, self.site);
            assert_eq!(said.code, Some(code), "{mode}: {said:?}");
            if code == 0 {
                assert_eq!(said.out, format!("ssl\r\n{is_encrypted}\r\n"), "{mode}");
            }
        }
    }

    /// The host's name counts with verify-full alone.
    fn checks_the_host(&self) {
        let authority = self.server.authority().display().to_string();
        for (mode, code) in [("verify-ca", 0), ("verify-full", 4)] {
            let url = self.database.tcp_url().replace("localhost", "127.0.0.1");
            self.with_url(&format!("{url}?sslmode={mode}&sslrootcert={authority}"));
            let mut command = self.command(&["status"]);
            command.env("PGPASSWORD", self.server.password());
            let said = Said::from(command.output().expect("it starts"));
            assert_eq!(said.code, Some(code), "{mode}: {said:?}");
        }
    }

    /// While it runs, its arguments do not show the passwords.
    fn hides_passwords_in_its_arguments(&self, query_password: &str) {
        let password = self.server.password();
        self.with_url(&self.database.tcp_url());
        let mut command = self.command(&["sql", "SELECT pg_sleep(30)"]);
        command.env("PGPASSWORD", password).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("it starts");
        let began = std::time::Instant::now();
        while self.server.psql(&self.database.name, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()") == "0" {
        assert!(began.elapsed().as_secs() < 900, "it never asked");
    }
        let arguments = std::fs::read(format!("/proc/{}/cmdline", process.id())).expect("it runs");
        assert!(!String::from_utf8_lossy(&arguments).contains(password));
        assert!(!String::from_utf8_lossy(&arguments).contains(query_password));
        signal(&process, Signal::INT);
        assert_eq!(process.wait().expect("it ends").code(), Some(130));
    }
}

#[test]
fn roles_have_their_rights_and_no_more() {
    let Some(server) = Server::start(&Options::default()) else { return };
    let database = server.database();
    let dir = tempfile::tempdir().expect("a directory");
    let site = dir.path().join("site");
    let name = &database.name;
    let run = |words: &[&str]| -> Said {
        almagest().args(words).current_dir(dir.path()).output().expect("it starts").into()
    };
    let made = run(&["init", "site", "--database", &database.url(), "--roles"]).ended(0);
    assert!(made.contains(&format!("role {name}_query:")), "{made}");
    for role in ["owner", "ingester", "reader"] {
        assert!(made.contains(&format!("role {name}_{role}:")), "{made}");
        database.psql(&format!("CREATE ROLE a_{role} LOGIN; GRANT {name}_{role} TO a_{role}"));
    }
    run(&["init", "site", "--roles"]).ended(0);
    let as_user = |user: &str| {
        let url = database.url().replace("postgres@", &format!("{user}@"));
        let text = std::fs::read_to_string(site.join("almagest.toml")).expect("there");
        let old = text.lines().find(|l| l.starts_with("url = ")).expect("it has a URL").to_owned();
        std::fs::write(site.join("almagest.toml"), text.replace(&old, &format!("url = \"{url}\"")))
            .expect("written");
    };
    as_user("a_ingester");
    let desk = Desk::new();
    let delivery = desk.simulate(&night()).display().to_string();
    run(&["--site", "site", "programme", "add", "U07B12", "u/07b/12"]).ended(0);
    run(&["--site", "site", "run", &delivery]).ended(0);
    run(&["--site", "site", "retract", "20071011_v1", "--reason", "x"]).ended(0);
    run(&["--site", "site", "retract", "20071011_v1", "--undo", "--reason", "x"]).ended(0);
    run(&["--site", "site", "verify"]).ended(0);
    as_user("a_reader");
    let sql = |query: &str| run(&["--site", "site", "sql", query]);
    for query in [
        "SELECT count(*) FROM detection JOIN multiframe USING (multiframe_id)",
        "SELECT count(*) FROM detection WHERE in_cone(ra, dec, 284, 2.5, 1)",
        "SELECT count(*) FROM detection_all",
        "SELECT * FROM event",
        "SELECT code, multiframe_id, ext_num FROM refusal JOIN image USING (file_id)
             JOIN multiframe_detector USING (multiframe_id, ext_num)",
        "SELECT to_state, why FROM refusal_history",
    ] {
        sql(query).ended(0);
    }
    run(&["--site", "site", "sql", "--as-of", "3", "SELECT count(*) FROM detection"]).ended(0);
    for query in ["SELECT * FROM task", "SELECT * FROM counter", "DELETE FROM event"] {
        assert_eq!(sql(query).code, Some(2), "{query}");
    }
    assert_ne!(run(&["--site", "site", "retract", "20071011_v1", "--reason", "x"]).code, Some(0));
    assert_eq!(database.psql("SELECT count(*) FROM detection"), "144", "nothing was retracted");
    as_user("a_owner");
    run(&["--site", "site", "verify"]).ended(0);
}

/// A query cannot get at more than a reader may: it runs under a login of its own, and refuses to run under another.
#[test]
fn queries_have_the_readers_rights_and_no_others() {
    let Some(server) = Server::start(&Options::default()) else { return };
    let database = server.database();
    let desk = Desk::bare();
    std::fs::remove_dir_all(&desk.site).expect("removed");
    desk.plain(&["init", "site", "--database", &database.url()]).ended(0);
    let query = "SELECT count(*) FROM event";
    let said = desk.at_site(&["sql", query]);
    assert_eq!(said.code, Some(3), "a superuser's login asks no queries: {said:?}");
    assert!(said.err.contains("--roles"), "{said:?}");
    desk.plain(&["init", "site", "--roles"]).ended(0);
    desk.at_site(&["sql", query]).ended(0);
    let mode =
        std::fs::metadata(desk.site.join("query.password")).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    database.psql("CREATE EXTENSION dblink; CREATE EXTENSION tablefunc");
    for attack in [
        "SELECT set_config('role', 'none', false), query_to_xml('SELECT * FROM pg_authid', true, true, '')",
        "SELECT SET_CONFIG('statement_timeout', '0', false)",
        "SELECT pg_catalog.\"set_config\"('statement_timeout', '0', false)",
        "SELECT U&\"set\\005fconfig\"('statement_timeout', '0', false)",
        "EXPLAIN ANALYZE SELECT set_config('statement_timeout', '0', false)",
        "SELECT (x).set_config FROM (SELECT 'a'::text AS x) AS t",
        "SELECT table_to_xml('event', true, true, '')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT pg_advisory_lock(1095519559, hashtext('public'))",
        "SELECT pg_terminate_backend(1)",
        "SELECT * FROM ts_stat('SELECT 1')",
        "SELECT * FROM dblink('dbname=postgres', 'SELECT 1') AS t (x int)",
        "SELECT * FROM crosstab('SELECT 1, 2, 3') AS t (x int, y int)",
        "SELECT nextval('unit_unit_id_seq')",
        "SELECT * FROM pg_authid",
        "SELECT * FROM counter",
        "SET ROLE postgres",
        "COPY event TO PROGRAM 'id'",
    ] {
        let said = desk.at_site(&["sql", attack]);
        assert_eq!(said.code, Some(2), "{attack}: {said:?}");
    }
    // What only computes can be called, the archive's functions too.
    let fine = "SELECT count(*), max(abs(1)), sqrt(2), now() > timestamptz '2000-01-01', in_cone(1, 2, 1, 2, 0.1), random() < 2,
        log10(100), current_setting('server_version_num')::int > 1 FROM event";
    desk.at_site(&["sql", fine]).ended(0);
    // A login that may do more is refused, whatever it was made for.
    let login = format!("{}_query", database.name);
    for (more, less) in [
        (format!("ALTER ROLE {login} CREATEROLE"), format!("ALTER ROLE {login} NOCREATEROLE")),
        (
            format!("GRANT pg_read_server_files TO {login}"),
            format!("REVOKE pg_read_server_files FROM {login}"),
        ),
        (
            format!("GRANT {0}_ingester TO {login}", database.name),
            format!("REVOKE {0}_ingester FROM {login}", database.name),
        ),
        (
            format!("GRANT UPDATE ON event TO {login}"),
            format!("REVOKE UPDATE ON event FROM {login}"),
        ),
        (format!("GRANT SELECT ON task TO {login}"), format!("REVOKE SELECT ON task FROM {login}")),
        (
            format!("GRANT CREATE ON SCHEMA public TO {login}"),
            format!("REVOKE CREATE ON SCHEMA public FROM {login}"),
        ),
    ] {
        database.psql(&more);
        assert_eq!(desk.at_site(&["sql", query]).code, Some(3), "{more}");
        database.psql(&less);
        desk.at_site(&["sql", query]).ended(0);
    }
}

/// No lock that a reader can take keeps the archive from being written.
#[test]
fn a_reader_cannot_stop_ingest() {
    let Some((desk, database)) = Desk::on_server() else { return };
    let delivery = desk.simulate(&night());
    let name = &database.name;
    let readers = format!("{name}_query");
    let server = Server::shared().expect("it runs");
    // Everything that a reader can lock, held for as long as the run takes.
    let locks = "SELECT pg_advisory_lock(1095519559, hashtext('public')); SELECT pg_advisory_lock(1179602756, hashtext('public'));
        BEGIN; LOCK TABLE detection IN ACCESS SHARE MODE; LOCK TABLE event IN ACCESS SHARE MODE;
        SELECT count(*) FROM detection_all; SELECT pg_sleep(600)";
    let mut holder = std::process::Command::new(server.program("psql"))
        .args(["-X", "-q", "-h"])
        .arg(server.socket())
        .args(["-p", &server.port().to_string(), "-U", &readers, "-d", name, "-c", locks])
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    operator::until("the reader's locks", || {
        database.psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "2"
    });
    desk.run(&delivery).ended(0);
    for table in ["writer_lock", "counter"] {
        for mode in ["SHARE UPDATE EXCLUSIVE", "ACCESS SHARE"] {
            let sql = format!("SET ROLE {readers}; BEGIN; LOCK TABLE {table} IN {mode} MODE");
            assert!(database.try_psql(&sql).is_err(), "{table} {mode}");
        }
    }
    assert!(holder.try_wait().expect("it runs").is_none(), "the reader still holds its locks");
    holder.kill().expect("it runs");
    holder.wait().expect("it ends");
    assert!(desk.count("SELECT count(*) FROM detection") > 0);
}

/// The server dies, or closes the connection, at some instant of a run: the run says so with code 4, and the next one ends
/// as an undisturbed one does.
#[test]
fn an_unreachable_server_loses_nothing() {
    let Some(server) = Server::start(&Options::default()) else { return };
    let boxed = Desk::new();
    let delivery = boxed.simulate(&night());
    boxed.run(&delivery).ended(0);
    let wanted = boxed.content();
    let points = [
        "register:before-commit:1",
        "result:after-commit:1",
        "reserve:before-commit:1",
        "load:copied:1",
        "load:before-commit:1",
        "load:after-commit:1",
        "publish:claimed:1",
        "publish:rows:2",
        "publish:lake:3",
        "publish:before-commit:3",
        "publish:after-commit:2",
    ];
    for (n, point) in points.iter().enumerate() {
        let database = server.database();
        let dir = tempfile::tempdir().expect("a directory");
        let site = dir.path().join("site");
        let run = |words: &[&str]| {
            let mut command = almagest();
            command.arg("--site").arg(&site).args(words);
            command
        };
        let words = ["--roles", "--database", &database.url()];
        let made = almagest().arg("init").arg(&site).args(words).output();
        Said::from(made.expect("it starts")).ended(0);
        let added = run(&["programme", "add", "U07B12", "u/07b/12"]).output();
        Said::from(added.expect("it starts")).ended(0);
        let mut command = run(&["run", delivery.to_str().expect("UTF-8")]);
        command.env("ALMAGEST_STOP_AT", point).stdout(Stdio::null()).stderr(Stdio::piped());
        let process = command.spawn().expect("it starts");
        until_stopped(&process);
        let is_kill = n % 2 == 0;
        if is_kill {
            server.kill();
        } else {
            server.drop_connections(&database.name);
        }
        signal(&process, Signal::CONT);
        let said = Said::from(process.wait_with_output().expect("it ends"));
        // A cut line before a transaction is made good by itself.
        let codes: &[i32] = if is_kill { &[4] } else { &[0, 4] };
        assert!(said.code.is_some_and(|code| codes.contains(&code)), "{point}: {said:?}");
        if is_kill {
            server.restart();
        }
        let again = run(&["run", delivery.to_str().expect("UTF-8")]).output();
        let again = Said::from(again.expect("it starts"));
        assert_eq!(again.code, Some(0), "{point}: {again:?}");
        Said::from(run(&["verify", "--checksums"]).output().expect("it starts")).ended(0);
        let desk = Desk { dir, site: site.clone() };
        desk.content().is_that_of(&wanted, point);
    }
    println!("{} instants at which the server went away", points.len());
}

/// An embedded archive with a history moves to a server: the same tables, ids, events and refusals, and it works on.
#[test]
fn an_archive_moves_to_a_server() {
    let Some(server) = Server::shared() else { return };
    let desk = Desk::bare();
    let delivery = desk.simulate(&Small { faults: true, ..night() });
    assert!(matches!(desk.run(&delivery).code, Some(0 | 1)));
    let second = desk.simulate(&Small { night: "20071012", seed: 3, ..night() });
    assert!(matches!(desk.run(&second).code, Some(0 | 1)));
    desk.at_site(&["retract", "20071012_v1", "--reason", "a test"]).ended(0);
    desk.at_site(&["retract", "20071012_v1", "--undo", "--reason", "a test"]).ended(0);
    desk.at_site(&["retract", "20071011_v1", "--use-case", "catalogue", "--reason", "a test"])
        .ended(0);
    // A batch that waits.
    let third = desk.simulate(&Small { night: "20071013", seed: 4, ..night() });
    desk.at_site(&["transfer", third.to_str().expect("UTF-8")]).ended(0);
    desk.at_site(&["metadata", "--delivery", "20071013_v1"]);
    let (before, refusals, status) =
        (desk.content(), desk.refusals(), desk.at_site(&["status"]).ended(0));
    let as_of = |desk: &Desk| {
        desk.at_site(&["sql", "--as-of", "4", "SELECT count(*) AS n FROM detection"]).ended(0)
    };
    let then = as_of(&desk);
    let all = "SELECT count(*) FROM detection_all";
    let every = desk.count(all);

    let database = server.database();
    let taken = server.database();
    taken.psql("CREATE TABLE migration (number int, name text); INSERT INTO migration VALUES (999, 'newer')");
    assert_ne!(desk.at_site(&["migrate", "--to", &taken.url()]).code, Some(0));
    assert_eq!(desk.count(all), every, "nothing was switched over");
    // Killed before it is done, it changes nothing, and goes through the next time.
    let mut command = desk.command(&["migrate", "--to", &database.url()]);
    let killed = command.env("ALMAGEST_CRASH_AT", "migrate:before-commit").output();
    let killed = Said::from(killed.expect("it starts"));
    assert_eq!(killed.code, None, "{killed:?}");
    assert!(desk.site.join("archive.db").exists());
    let said = desk.at_site(&["migrate", "--roles", "--to", &database.url()]).ended(0);
    assert!(said.contains("each was read back and is equal"), "{said}");
    assert!(!desk.site.join("archive.db").exists());
    assert_eq!(database.psql("SELECT count(*) FROM detection_all"), every.to_string());
    desk.content().is_that_of(&before, "moved to a server");
    assert_eq!(desk.refusals(), refusals);
    assert_eq!(desk.at_site(&["status"]).ended(0), status);
    assert_eq!(as_of(&desk), then);
    desk.at_site(&["verify", "--checksums"]).ended(0);
    // It works on: what was staged is ingested, what was retracted comes back, and a new night gets the next ids.
    desk.at_site(&["ingest"]).ended(0);
    desk.at_site(&["retract", "20071011_v1", "--undo", "--reason", "a test"]).ended(0);
    let fourth = desk.simulate(&Small { night: "20071014", seed: 5, ..night() });
    assert!(matches!(desk.run(&fourth).code, Some(0 | 1)));
    desk.at_site(&["verify", "--checksums"]).ended(0);
    assert!(desk.count(all) > every);
    moves_back(&desk);
}

/// The archive that moved to the server comes back into the site, with all that happened there.
fn moves_back(desk: &Desk) {
    desk.at_site(&["retract", "20071012_v1", "--use-case", "catalogue", "--reason", "a test"])
        .ended(0);
    let third = desk.simulate(&Small { night: "20071015", seed: 6, ..night() });
    desk.at_site(&["transfer", third.to_str().expect("UTF-8")]).ended(0);
    desk.at_site(&["metadata", "--delivery", "20071015_v1"]);
    let last = desk.count("SELECT max(event_id) FROM event");
    let as_of = |desk: &Desk| -> Vec<String> {
        let count = "SELECT count(*) AS n, sum(obj_id) AS s FROM detection";
        let at = |event: u64| desk.at_site(&["sql", "--as-of", &event.to_string(), count]);
        (1..=last).map(|event| at(event).ended(0)).collect()
    };
    let (before, refusals, then) = (desk.content(), desk.refusals(), as_of(desk));
    let status = desk.at_site(&["status"]).ended(0);
    let all = "SELECT count(*) AS n, sum(obj_id) AS s, max(ra) AS r FROM detection_all";
    let every = desk.rows(all);
    let said = desk.at_site(&["migrate", "--to", "embedded"]);
    assert!(said.code == Some(5) && said.err.contains("archive.db.migrated"), "{said:?}");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(desk.site.join(format!("archive.db.migrated{suffix}")));
    }
    std::fs::remove_dir_all(desk.site.join("lake/detection")).expect("removed");
    std::fs::create_dir(desk.site.join("lake/detection")).expect("made");
    for point in ["migrate:loaded", "migrate:before-commit"] {
        let mut command = desk.command(&["migrate", "--to", "embedded"]);
        let killed = command.env("ALMAGEST_CRASH_AT", point).output().expect("it starts");
        assert_eq!(killed.status.code(), None, "{point}: {killed:?}");
        assert_eq!(desk.rows(all), every, "nothing was switched over");
    }
    let said = desk.at_site(&["migrate", "--to", "embedded"]).ended(0);
    assert!(said.contains("each was read back and is equal"), "{said}");
    assert!(desk.is_embedded_by_config() && desk.site.join("archive.db").exists());
    desk.content().is_that_of(&before, "moved back into the site");
    assert_eq!(desk.refusals(), refusals);
    assert_eq!(desk.at_site(&["status"]).ended(0), status);
    assert_eq!(as_of(desk), then, "as of each event");
    assert_eq!(desk.rows(all), every);
    desk.at_site(&["verify", "--checksums"]).ended(0);
    // It works on, here too.
    desk.at_site(&["ingest"]).ended(0);
    desk.at_site(&["retract", "20071012_v1", "--undo", "--reason", "a test"]).ended(0);
    let next = desk.simulate(&Small { night: "20071016", seed: 7, ..night() });
    assert!(matches!(desk.run(&next).code, Some(0 | 1)));
    desk.at_site(&["verify", "--checksums"]).ended(0);
}

/// A query of an archive of another schema reports the schema, on both engines, and not a missing column.
#[test]
fn queries_name_the_schema_that_they_do_not_know() {
    let on_server = Desk::on_server().map(|(desk, database)| (desk, Some(database)));
    for (desk, database) in [(Desk::new(), None)].into_iter().chain(on_server) {
        let write = |sql: &str| match &database {
            Some(database) => drop(database.psql(sql)),
            None => {
                let c = rusqlite::Connection::open(desk.site.join("archive.db")).expect("opened");
                c.execute_batch(sql).expect("written");
            }
        };
        const QUERY: [&str; 2] = ["sql", "SELECT no_such_column FROM multiframe"];
        let refused = |sentence: &str| {
            let said = desk.at_site(&QUERY);
            assert!(said.code == Some(3) && said.err.contains(sentence), "{said:?}");
        };
        desk.at_site(&QUERY).ended(2);
        write(
            "INSERT INTO migration (number, name, applied) SELECT 99, 'later', applied FROM migration WHERE number = 1",
        );
        refused("the archive has schema 99");
        write("DELETE FROM migration WHERE number = 99; UPDATE migration SET name = 'earlier'");
        refused("before the first release");
    }
}
