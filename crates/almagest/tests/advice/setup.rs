//! Situations in which the archive is missing, moved, half restored, or closed to queries.

use super::tried::*;
use crate::operator;
use std::os::unix::fs::PermissionsExt;
use testkit::postgres::{Database, Server};

/// A site on a server of its own kind of login, without the login of queries.
fn without_roles() -> Option<(Desk, Database)> {
    let database = Server::shared()?.database();
    let desk = Desk::bare();
    std::fs::remove_dir_all(&desk.site).expect("removed");
    desk.plain(&["init", "site", "--database", &database.url()]).ended(0);
    Some((desk, database))
}

/// A command that is killed at an instant.
fn killed(desk: &Desk, words: &[&str], instant: &str) {
    let mut command = operator::almagest();
    command.args(words).current_dir(desk.dir.path()).env("ALMAGEST_CRASH_AT", instant);
    let code = command.output().expect("it starts").status.code();
    assert_eq!(code, None, "{instant} was not passed");
}

/// A file of a password, which the server of the tests does not ask for.
fn password_file(desk: &Desk) -> String {
    let path = desk.dir.path().canonicalize().expect("there").join("a password");
    std::fs::write(&path, "secret").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("changed");
    path.to_str().expect("UTF-8").to_owned()
}

fn password_words(file: &Option<String>) -> Vec<&str> {
    file.iter().flat_map(|file| ["--password-file", file.as_str()]).collect()
}

pub(crate) fn a_database_holds_no_archive() -> Vec<&'static str> {
    let Some((desk, database)) = without_roles() else { return vec!["InitDatabase"] };
    database.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    let said = desk.at_site(&["status"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    let site = desk.site.display().to_string();
    let init = Advice::InitDatabase { site, database: database.url(), password_file: None };
    let mut tried = Tried::at(&desk);
    tried.recommended(&desk.at_site(&["doctor"]), &init);
    tried.run(&said, &init).ended(0);
    desk.at_site(&["status"]).ended(0);
    tried.kinds
}

pub(crate) fn queries_have_no_login() -> Vec<&'static str> {
    let Some((desk, _database)) = without_roles() else { return vec!["InitRoles"] };
    let query = ["sql", "SELECT count(*) FROM event"];
    let said = desk.at_site(&query);
    assert_eq!(said.code, Some(3), "{said:?}");
    let roles = Advice::InitRoles { site: desk.site.display().to_string() };
    let mut tried = Tried::at(&desk);
    tried.recommended(&desk.at_site(&["doctor"]), &roles);
    tried.run(&said, &roles).ended(0);
    desk.at_site(&query).ended(0);
    tried.kinds
}

pub(crate) fn a_migration_was_interrupted() -> Vec<&'static str> {
    let Some((on_server, _database)) = Desk::on_server() else { return vec!["Migrate"] };
    on_server.run(&on_server.simulate(&night("20071011"))).ended(0);
    let database = Server::shared().expect("it runs").database();
    let mut kinds = Vec::new();
    for (desk, to) in [(archived(), database.url()), (on_server, "embedded".to_owned())] {
        let before = desk.status()["programmes"].clone();
        let site = desk.site.display().to_string();
        let file = (to != "embedded").then(|| password_file(&desk));
        let words = ["--site", &site, "migrate", "--to", &to];
        killed(&desk, &[&words[..], &password_words(&file)].concat(), "migrate:closed");
        let said = desk.at_site(&["status"]);
        assert_eq!(said.code, Some(5), "{said:?}");
        let finish = Advice::Migrate { to, password_file: file };
        let mut tried = Tried::at(&desk);
        tried.recommended(&desk.at_site(&["sql", "SELECT 1"]), &finish);
        tried.run(&said, &finish).ended(0);
        assert_eq!(desk.status()["programmes"], before);
        kinds.extend(tried.kinds);
    }
    kinds
}

pub(crate) fn a_reopening_was_interrupted() -> Vec<&'static str> {
    let Some((on_server, of_server)) = Desk::on_server() else { return vec!["MigrateReopen"] };
    on_server.run(&on_server.simulate(&night("20071011"))).ended(0);
    let database = Server::shared().expect("it runs").database();
    let mut kinds = Vec::new();
    let embedded = "embedded".to_owned();
    for (desk, old, new) in
        [(archived(), embedded.clone(), database.url()), (on_server, of_server.url(), embedded)]
    {
        let before = desk.status()["programmes"].clone();
        let site = desk.site.display().to_string();
        desk.at_site(&["migrate", "--to", &new]).ended(0);
        let file = (old != "embedded").then(|| password_file(&desk));
        let words = ["--site", &site, "migrate", "--reopen", "--to", &old, "--reason", "a test"];
        killed(&desk, &[&words[..], &password_words(&file)].concat(), "reopen:closed");
        let said = desk.at_site(&["status"]);
        assert_eq!(said.code, Some(5), "{said:?}");
        let finish = Advice::MigrateReopen { to: old, password_file: file };
        let mut tried = Tried::at(&desk);
        tried.run(&said, &finish).ended(0);
        assert_eq!(desk.status()["programmes"], before);
        kinds.extend(tried.kinds);
    }
    kinds
}

/// The configuration names the copy of a migration that was killed, before and after the old archive was closed.
pub(crate) fn a_copy_is_not_confirmed() -> Vec<&'static str> {
    let Some(server) = Server::shared() else { return vec!["MigrateReopen"] };
    let mut kinds = Vec::new();
    for instant in ["migrate:copied", "migrate:closed"] {
        let (desk, database) = (archived(), server.database());
        let before = desk.status()["programmes"].clone();
        let site = desk.site.display().to_string();
        killed(&desk, &["--site", &site, "migrate", "--to", &database.url()], instant);
        let template = "url = \"postgres://almagest@localhost:5432/survey?sslmode=verify-full\"";
        desk.configure(&[(template, &format!("url = \"{}\"", database.url()))]);
        let said = desk.at_site(&["status"]);
        assert_eq!(said.code, Some(5), "{said:?}");
        assert!(said.err.contains("its copy is not confirmed"), "{said:?}");
        let reopen = Advice::MigrateReopen { to: "embedded".to_owned(), password_file: None };
        let mut tried = Tried::at(&desk);
        tried.run(&said, &reopen).ended(0);
        assert_eq!(desk.status()["programmes"], before, "{instant}");
        kinds.extend(tried.kinds);
    }
    kinds
}

/// A restore that is killed, and finished by the command that the site then recommends.
fn restored(desk: &Desk, database: Option<&Database>, instant: &str) -> &'static str {
    let before = desk.status()["programmes"].clone();
    desk.at_site(&["backup", "kept"]).ended(0);
    let url = database.map(Database::url);
    let mut words = vec!["restore", "kept", "again"];
    words.extend(url.iter().flat_map(|url| ["--database", url.as_str(), "--roles"]));
    killed(desk, &words, instant);
    let said = desk.plain(&["--site", "again", "status"]);
    assert_eq!(said.code, Some(5), "{said:?}");
    let place = |name: &str| desk.dir.path().canonicalize().expect("there").join(name);
    let repeat = Advice::Restore {
        backup: place("kept").display().to_string(),
        site: place("again").display().to_string(),
        database: url,
        password_file: None,
        roles: database.is_some(),
    };
    Tried::at(desk).run(&said, &repeat).ended(0);
    desk.plain(&["--site", "again", "sql", "SELECT count(*) FROM event"]).ended(0);
    let status = desk.plain(&["--site", "again", "status", "--json"]).json(0);
    assert_eq!(status["programmes"], before);
    repeat.kind()
}

pub(crate) fn a_restore_was_interrupted() -> Vec<&'static str> {
    let kind = restored(&archived(), None, "restore:before-rename");
    if let Some((desk, _database)) = Desk::on_server() {
        desk.run(&desk.simulate(&night("20071011"))).ended(0);
        let server = Server::shared().expect("it runs");
        restored(&desk, Some(&server.database()), "restore:before-commit");
    }
    vec![kind]
}

pub(crate) fn a_profile_is_misspelt() -> Vec<&'static str> {
    let desk = Desk::bare();
    let said = desk.at_site(&["profile", "set", "wfcamm", "project.unnamed", "A"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    let mut tried = Tried::at(&desk);
    assert!(tried.run(&said, &Advice::ProfileList).ended(0).contains("wfcam"));
    tried.kinds
}

pub(crate) fn the_demo_parks_frames() -> Vec<&'static str> {
    let desk = Desk::bare();
    let tried = Tried::at(&desk);
    let said = worked(desk.plain(&["demo", "almagest-demo"]));
    let refusals = Advice::Refusals;
    let command = refusals.command(&["--site".to_owned(), "almagest-demo".to_owned()]);
    assert!(said.contains(&format!("refusals: {command}\n")), "{said}");
    assert!(tried.pasted(&command).ended(0).contains("unknown_project"));
    vec![refusals.kind()]
}
