//! A bad night: a result of very many refusals is recorded in several transactions, and killed between two of them it comes out
//! the same.

use super::staging::*;
use archive::Site;
use archive::attempts::results::Acceptance;
use archive::rounds::TaskKey;
use model::UseCase;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const SITE: &str = "INGEST_MANY_SITE";
const URL: &str = "INGEST_MANY_URL";
const RESULT: &str = "INGEST_MANY_RESULT";

/// Takes the result that the environment names. Without one there is nothing to do.
#[test]
fn child() {
    let (Ok(root), Ok(directory)) = (std::env::var(SITE), std::env::var(RESULT)) else { return };
    let database = archive::Database { url: std::env::var(URL).ok(), ..Default::default() };
    let mut archive = reopen(&Site::open_on(Path::new(&root), &database).unwrap());
    let result = stage::read_result(Path::new(&directory), stage::ResultCheck::Lengths).unwrap();
    archive.accept_result(&result, now()).unwrap();
}

fn taken_by_a_child(site: &Site, directory: &Path, crash_at: &str) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "many::child", "--nocapture", "--test-threads=1"])
        .env(SITE, site.root())
        .env(RESULT, directory)
        .envs(url_of(site).map(|url| (URL, url)))
        .env("ALMAGEST_CRASH_AT", crash_at);
    let status = command.output().unwrap().status;
    assert!(status.success() || status.signal() == Some(9), "{crash_at}: {status}");
    status.success()
}

/// A round of one task, with the result of a number of refusals in its attempt's directory.
fn bad_night(archive: &mut archive::Archive, refusals: usize) -> (TaskKey, PathBuf) {
    record(archive, &night(2));
    let unit = open_round(archive, UseCase::Metadata, 1, &|_| true);
    let started = start_all(archive, &unit).remove(0);
    let mut result = work_off(&started);
    for n in 0..refusals {
        let (hdu, kind) = (n % 1000, n / 1000);
        let hdu = u16::try_from(hdu).unwrap();
        result.refusals.push(refusal(&format!("bad_{kind}"), "w00000.fit", Some(hdu + 1), false));
    }
    stage::write_result(&started.directory, &result).unwrap();
    (started.attempt.task, started.directory)
}

/// Counts the refusals, how often they were seen, how many are the same, and the state of the task's attempt.
fn recorded(site: &Site) -> String {
    const SQL: &str =
        "SELECT count(*) || ' ' || sum(occurrences) || ' ' || count(DISTINCT code || '-' || ext_num) || ' ' ||
        (SELECT max(state) FROM attempt) FROM refusal";
    if site.is_embedded() {
        let connection = rusqlite::Connection::open(site.database()).unwrap();
        return connection.query_row(SQL, [], |r| r.get(0)).unwrap();
    }
    psql(site, SQL).trim().to_owned()
}

#[test]
fn very_many_refusals_are_recorded_once_each() {
    on_both_engines(|| {
        for crash_at in [
            "",
            "result-part:before-commit:1",
            "result-part:after-commit:1",
            "result-part:after-commit:2",
            "result:before-commit:1",
            "result:after-commit:1",
        ] {
            let dir = tempfile::tempdir().unwrap();
            let (site, mut archive) = new_site(&dir.path().join("site"));
            let (task, directory) = bad_night(&mut archive, 12_001);
            drop(archive);
            assert_eq!(taken_by_a_child(&site, &directory, crash_at), crash_at.is_empty());
            assert!(taken_by_a_child(&site, &directory, ""), "{crash_at}");
            assert_eq!(recorded(&site), "12001 12001 12001 accepted", "{crash_at}");
            let mut archive = reopen(&site);
            let result = stage::read_result(&directory, stage::ResultCheck::Lengths).unwrap();
            assert_eq!(archive.accept_result(&result, now()).unwrap(), Acceptance::Already);
            let unit = archive.tasks(&task.unit).unwrap();
            assert_eq!(unit[0].state, archive::rounds::TaskState::Done);
        }
    });
}
