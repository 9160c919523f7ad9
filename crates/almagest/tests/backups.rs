//! Backups taken during an ingest, each of new content alone, and the archives restored from them.

mod operator;

use operator::{Desk, Small, signal, until_stopped};
use rustix::process::Signal;
use std::path::Path;
use std::process::Stdio;
use testkit::postgres::Server;

/// The point of an ingest of detections at which the backup is taken.
const HELD_IN_BOX: [&str; 3] = ["load:lake-files:1", "publish:lake:3", "publish:before-commit:3"];
const HELD_ON_SERVER: [&str; 4] =
    ["load:copied:1", "attach:after-commit:1", "publish:lake:3", "publish:before-commit:3"];

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Files copied and files that were there.
fn counts(said: &str) -> (u64, u64) {
    let line = said.lines().nth(2).expect("a line of numbers");
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    (numbers.next().expect("copied"), numbers.next().expect("kept"))
}

/// A site made of a backup, which sees library and previews of the first.
fn restored(desk: &Desk, backup: &Path, n: usize) -> Desk {
    let mut other = Desk::bare();
    other.site = other.dir.path().join("restored");
    let site = path(&other.site).to_owned();
    let words = ["restore", path(backup), &site];
    if desk.is_on_server() {
        let database = Server::shared().expect("it runs").database();
        let url = database.url();
        other.plain(&[&words[..], &["--roles", "--database", &url]].concat()).ended(0);
    } else {
        other.plain(&words).ended(0);
    }
    for place in ["library", "previews"] {
        let here = other.site.join(place);
        std::fs::remove_dir_all(&here).expect("removed");
        std::os::unix::fs::symlink(desk.site.join(place), here).expect("linked");
    }
    println!("restored the {n}th backup");
    other
}

#[test]
fn taken_during_an_ingest() {
    for desk in Desk::of_both_engines() {
        let first = desk.simulate(&Small { frames: 3, ..Small::default() });
        desk.run(&first).ended(0);
        let backup = desk.dir.path().join("back'up");
        let back_up = || counts(&desk.at_site(&["backup", path(&backup)]).ended(0));
        assert_eq!(back_up(), (1, 0));
        assert_eq!(back_up(), (0, 1), "nothing is copied twice");
        let points: &[&str] = if desk.is_on_server() { &HELD_ON_SERVER } else { &HELD_IN_BOX };
        for (n, point) in points.iter().enumerate() {
            let night = format!("2007102{n}");
            let seed = n as u64 + 2;
            let next = desk.simulate(&Small { frames: 3, night: &night, seed, ..Small::default() });
            let mut command = desk.command(&["run", path(&next)]);
            command.env("ALMAGEST_STOP_AT", point).stdout(Stdio::null());
            let process = command.spawn().expect("it starts");
            until_stopped(&process);
            let new = u64::from(n > 0);
            assert_eq!(back_up(), (new, n as u64 + 1 - new), "{point}");
            let ledger: serde_json::Value = serde_json::from_slice(
                &std::fs::read(backup.join("ledger.json")).expect("it is there"),
            )
            .expect("JSON");
            assert_eq!(ledger["detections"].as_array().expect("a list").len(), n + 1);
            let other = restored(&desk, &backup, n + 1);
            other.content().is_that_of(&desk.content(), point);
            other.at_site(&["verify", "--checksums"]).ended(0);
            signal(&process, Signal::CONT);
            let ended = process.wait_with_output().expect("it ends");
            assert_eq!(ended.status.code(), Some(0), "{point}");
            // What was staged then is not in the backup: the restored site makes it again.
            other.run(&next).ended(0);
            for table in ["multiframe", "preview", "detection"] {
                let count = format!("SELECT count(*) FROM {table}");
                assert_eq!(other.count(&count), desk.count(&count), "{point}: {table}");
            }
            other.at_site(&["verify", "--checksums"]).ended(0);
        }
        // A file of the backup that was changed is not believed: neither when it comes back nor by the next backup.
        let place = if desk.is_on_server() { "detections" } else { "lake/detection" };
        let some = std::fs::read_dir(backup.join(place)).expect("a directory").next();
        let some = some.expect("there are some").expect("a file").path();
        let mut bytes = std::fs::read(&some).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&some, bytes).expect("writable");
        if let Some(server) = Server::shared().filter(|_| desk.is_on_server()) {
            let database = server.database();
            let words = ["restore", path(&backup), "nowhere", "--database", &database.url()];
            let said = desk.plain(&words);
            assert!(said.code == Some(3) && said.err.contains("detections/batch"), "{said:?}");
            assert_eq!(database.psql("SELECT to_regclass('migration') IS NULL"), "t");
        }
        assert_eq!(back_up(), (2, points.len() as u64 - 1));
        restored(&desk, &backup, 9).content().is_that_of(&desk.content(), "repaired");
        desk.verified();
    }
}

/// A killed backup or restore is repeated; a partial one is never taken for a complete one.
#[test]
fn killed_and_repeated() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&Small { frames: 3, ..Small::default() });
        desk.run(&delivery).ended(0);
        let backup = desk.dir.path().join("backup");
        let points: &[&str] = match desk.is_on_server() {
            true => &["backup:dumped", "backup:copied", "backup:written"],
            false => &["backup:copied", "backup:written"],
        };
        let killed = |mut command: std::process::Command, point: &str| {
            let ended = command.env("ALMAGEST_CRASH_AT", point).output().expect("it starts");
            assert!(ended.status.code().is_none(), "{point} was not passed");
        };
        for point in points {
            killed(desk.command(&["backup", path(&backup)]), point);
            desk.at_site(&["backup", path(&backup)]).ended(0);
            restored(&desk, &backup, 1).content().is_that_of(&desk.content(), point);
            std::fs::remove_dir_all(&backup).expect("removed");
        }
        desk.at_site(&["backup", path(&backup)]).ended(0);
        let points: &[&str] = match desk.is_on_server() {
            true => &["noted", "laid-out", "before-commit", "restored", "opened"],
            false => &["noted", "laid-out", "lake", "before-rename", "restored", "opened"],
        };
        for point in points {
            let dir = tempfile::tempdir().expect("a directory");
            let site = dir.path().join("site");
            let url = Server::shared().filter(|_| desk.is_on_server()).map(|s| s.database().url());
            let mut words = vec!["restore", path(&backup), path(&site)];
            words.extend(url.iter().flat_map(|url| ["--roles", "--database", url]));
            let command = || {
                let mut command = operator::almagest();
                command.args(&words).current_dir(dir.path());
                command
            };
            killed(command(), &format!("restore:{point}"));
            operator::Said::from(command().output().expect("it starts")).ended(0);
            let again = operator::Said::from(command().output().expect("it starts"));
            assert!(
                matches!(again.code, Some(3 | 5)),
                "{point}: a whole site is not restored: {again:?}"
            );
            let mut other = Desk::bare();
            other.site = site;
            let count = "SELECT count(*), sum(obj_id), sum(ra) FROM detection";
            assert_eq!(other.rows(count), desk.rows(count), "{point}");
            assert_eq!(other.at_site(&["programme", "list"]).code, Some(0), "{point}");
        }
    }
}

/// A site whose configuration was changed keeps it over a backup and a restore, but for its database.
#[test]
fn a_restored_site_keeps_its_configuration() {
    for desk in Desk::of_both_engines() {
        desk.configure(&[("keep_free_gb = 0", "keep_free_gb = 7")]);
        let backup = desk.dir.path().join("backup");
        desk.at_site(&["backup", path(&backup)]).ended(0);
        let other = restored(&desk, &backup, 1);
        let text = std::fs::read_to_string(other.site.join("almagest.toml")).expect("there");
        assert!(text.contains("keep_free_gb = 7"), "{text}");
    }
}

/// A backup never leaves out a profile without a word: one that cannot be read is an error that names it.
#[test]
fn a_profile_that_cannot_be_read_is_an_error() {
    let desk = Desk::new();
    let gone = desk.site.join("surveys/gone.toml");
    std::os::unix::fs::symlink("/nonexistent/profile.toml", &gone).expect("linked");
    let said = desk.at_site(&["backup", "copy"]);
    assert!(said.code == Some(4) && said.err.contains("surveys/gone.toml"), "{said:?}");
    std::fs::remove_file(&gone).expect("removed");
    desk.at_site(&["backup", "copy"]).ended(0);
    let names = |dir: &Path| -> Vec<_> {
        let mut names: Vec<_> =
            std::fs::read_dir(dir).expect("listed").flatten().map(|e| e.file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&desk.dir.path().join("copy/surveys")), names(&desk.site.join("surveys")));
}

/// A site has the profiles that `init` named, and after a restore those and no others.
#[test]
fn a_site_has_the_profiles_that_were_named() {
    let desk = Desk::new();
    let names = |site: &Path| -> Vec<_> {
        let listed = std::fs::read_dir(site.join("surveys")).expect("listed").flatten();
        let mut names: Vec<_> = listed.map(|e| e.file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&desk.site), ["generic.toml", "hawki.toml", "vista.toml", "wfcam.toml"]);
    let said = desk.plain(&["init", "wrong", "--profiles", "hawki,nowhere"]);
    assert!(said.code == Some(2) && said.err.contains("banzai"), "{said:?}");
    desk.plain(&["init", "named", "--profiles", "wfcam,hawki"]).ended(0);
    let named = desk.dir.path().join("named");
    assert_eq!(names(&named), ["hawki.toml", "wfcam.toml"]);
    desk.plain(&["--site", "named", "backup", "copied"]).ended(0);
    desk.plain(&["restore", "copied", "again"]).ended(0);
    assert_eq!(names(&desk.dir.path().join("again")), names(&named));
}
