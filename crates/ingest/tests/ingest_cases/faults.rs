//! Two at once, clocks that jump, disks that are full: afterwards the archive equals an undisturbed one.

use super::kill::{child_of, first_difference};
use super::staging::*;
use super::{dump, pass, staged_site};
use archive::Site;
use std::path::Path;
use std::process::Command;
use testkit::SmallDisk;

/// Every finding but for the library, which these tests do not fill.
pub(super) fn verified(site: &Site) {
    let options = upkeep::verify::Options { checksums: true, ..Default::default() };
    let report = upkeep::verify::verify(&reopen(site), options).unwrap();
    let found: Vec<_> =
        report.findings.iter().filter(|f| !f.code().starts_with("library_")).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn two_ingesters_at_once_do_no_harm() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let template = staged_site(&dir.path().join("template"), 3);
        let undisturbed = copy_site(&template, &dir.path().join("undisturbed"));
        pass(&mut reopen(&undisturbed));
        let wanted = dump(&undisturbed);
        for (n, point) in ["ingest:checked", "ingest:reserved", "ingest:loaded:3", "load:copied"]
            .iter()
            .enumerate()
        {
            let site = copy_site(&template, &dir.path().join(format!("raced-{n}")));
            // The first one stops somewhere in its pass while the second completes its own.
            let mut first = child_of(&site).env("ALMAGEST_STOP_AT", point).spawn().unwrap();
            let stopped = until_stopped_or_gone(&mut first);
            let second = child_of(&site).output().unwrap();
            if stopped {
                assert!(
                    Command::new("kill")
                        .args(["-CONT", &first.id().to_string()])
                        .status()
                        .unwrap()
                        .success()
                );
            }
            let first = first.wait().unwrap();
            assert!(first.success() && second.status.success(), "{point}: {first} {second:?}");
            pass(&mut reopen(&site));
            verified(&site);
            let (found, wanted) = (without_events(&dump(&site)), without_events(&wanted));
            assert!(found == wanted, "{point}: {}", first_difference(&found, &wanted));
        }
    });
}

/// Events of a batch that another one overtook are abandoned and noted: numbers differ, content does not.
fn without_events(dump: &str) -> String {
    let is_content = |name: &str| {
        ["multiframe_all", "multiframe_detector_all", "preview_all", "id_range", "detection_data"]
            .contains(&name)
    };
    let mut kept = Vec::new();
    let mut keep = false;
    for line in dump.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            keep = is_content(name);
        }
        if keep {
            kept.push(line.split('|').take(3).collect::<Vec<_>>().join("|"));
        }
    }
    kept.join("\n")
}

/// `true` when it stopped itself, `false` when it came to its end.
pub(super) fn until_stopped_or_gone(process: &mut std::process::Child) -> bool {
    loop {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap_or_default();
        if stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T')) {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn a_clock_that_jumps_back_changes_nothing() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let site = staged_site(&dir.path().join("site"), 2);
        let mut archive = reopen(&site);
        let yesterday = now() - chrono::TimeDelta::days(400);
        let report = ingest::pass(&mut archive, &[], &cause(), yesterday).unwrap();
        assert_eq!(report.published.len(), 3);
        record(&mut archive, &[arrival("w00000_cat.fits", "newer rows")]);
        for use_case in [model::UseCase::Metadata, model::UseCase::Catalogue] {
            let unit = open_round(&mut archive, use_case, 1, &|i| {
                i.catalogue.as_ref().is_some_and(|c| c.version == 2)
            });
            for started in start_all(&mut archive, &unit) {
                archive.accept_result(&work_off(&started), now()).unwrap();
            }
        }
        let long_ago = yesterday - chrono::TimeDelta::days(400);
        ingest::sweep::sweep(&mut archive, chrono::TimeDelta::days(7), long_ago).unwrap();
        let report = ingest::pass(&mut archive, &[], &cause(), long_ago).unwrap();
        assert_eq!(report.published.len(), 2, "{report:?}");
        assert_eq!(archive.status().unwrap().programmes[0].detections, 40);
        drop(archive);
        verified(&site);
    });
}

/// The disk of a part of the site is full in the middle of an ingest: nothing of the batch is visible; with free space it resumes.
#[test]
fn full_disks_are_waited_for() {
    for part in ["lake/detection", "previews"] {
        let dir = tempfile::tempdir().unwrap();
        let site = staged_site(&dir.path().join("site"), 3);
        let undisturbed = copy_site(&site, &dir.path().join("undisturbed"));
        pass(&mut reopen(&undisturbed));
        let Some(disk) = SmallDisk::mount(&site.root().join(part), 4096) else { return };
        std::fs::write(disk.path().join("filler"), [0; 4096]).unwrap();
        let report = pass(&mut reopen(&site));
        assert!(!report.postponed.is_empty(), "{part}: {report:?}");
        disk.resize(64 << 20);
        std::fs::remove_file(disk.path().join("filler")).unwrap();
        pass(&mut reopen(&site));
        verified(&site);
        let (found, wanted) = (without_events(&dump(&site)), without_events(&dump(&undisturbed)));
        assert!(found == wanted, "{part}: {}", first_difference(&found, &wanted));
    }
}

/// The disk of archive.db itself, and that of the server.
#[test]
fn full_databases_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let template = staged_site(&dir.path().join("template"), 40);
    let root = dir.path().join("small");
    let Some(disk) = SmallDisk::mount(&root, 64 << 20) else { return };
    let copied = Command::new("cp").arg("-a").arg(template.root().join(".")).arg(&root).status();
    assert!(copied.unwrap().success());
    let site = Site::open(&root).unwrap();
    fill(&root);
    let failed = archive::Archive::open(&site, now())
        .and_then(|mut archive| ingest::pass(&mut archive, &[], &cause(), now()));
    assert!(failed.map_or_else(|e| e.is_transient(), |r| r.published.len() < 3));
    std::fs::remove_file(root.join("filler")).unwrap();
    pass(&mut reopen(&site));
    assert_eq!(reopen(&site).status().unwrap().programmes[0].detections, 800);
    verified(&site);
    drop(disk);

    let parent = dir.path().join("server");
    let Some(disk) = SmallDisk::mount(&parent, 256 << 20) else { return };
    use testkit::postgres::{Options, Server};
    let settings = vec!["max_wal_size = 64MB".to_owned(), "min_wal_size = 32MB".to_owned()];
    let options = Options { parent: Some(parent.clone()), settings, ..Options::default() };
    let Some(server) = Server::start(&options) else { return };
    let database = archive::Database { url: Some(server.database().url()), ..Default::default() };
    let (site, mut archive) = new_site_on(&dir.path().join("on-server"), database);
    record(&mut archive, &night(40));
    for use_case in model::UseCase::ALL {
        stage_round(&mut archive, *use_case, 2);
    }
    fill(&parent);
    let failed = ingest::pass(&mut archive, &[], &cause(), now());
    assert!(failed.map_or_else(|e| e.is_transient(), |r| r.published.len() < 3));
    std::fs::remove_file(parent.join("filler")).unwrap();
    server.restart(); // a server that could not write its log is down
    let mut archive = reopen(&site);
    pass(&mut archive);
    assert_eq!(archive.status().unwrap().programmes[0].detections, 800);
    drop(archive);
    verified(&site);
    drop(server);
    drop(disk);
}

/// Writes until nothing more fits.
fn fill(directory: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(directory.join("filler")).unwrap();
    let block = [0; 4096];
    while file.write_all(&block).is_ok() {}
}
