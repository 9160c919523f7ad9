//! What dead attempts and passes leave is collected or cleared, and nothing that lives.

use super::pass;
use super::staging::*;
use archive::attempts::Lease;
use ingest::sweep::sweep;
use model::{UnitState, UseCase};

pub(super) const KEEP: chrono::TimeDelta = chrono::TimeDelta::days(7);

/// The lease of a process that stopped: this machine and boot, but another start time.
pub(super) fn lease_of_the_dead() -> Lease {
    let me = archive::attempts::lease::Process::me().to_string();
    let (before, _start) = me.rsplit_once('/').unwrap();
    Lease { holder: format!("{before}/1"), ..lease() }
}

#[test]
fn results_are_collected_and_the_dead_swept() {
    on_both_engines(collects_and_sweeps);
}

fn collects_and_sweeps() {
    let dir = tempfile::tempdir().unwrap();
    let (_site, mut archive) = new_site(&dir.path().join("site"));
    record(&mut archive, &night(3));
    let unit = open_round(&mut archive, UseCase::Metadata, 3, &|_| true);
    let keys: Vec<_> = archive.tasks(&unit).unwrap().into_iter().map(|t| t.key).collect();
    let done = archive.start_attempt(&keys[0], &lease_of_the_dead(), None, now()).unwrap();
    stage::write_result(&done.directory, &work_off(&done)).unwrap();
    let dead = archive.start_attempt(&keys[1], &lease_of_the_dead(), None, now()).unwrap();
    work_off(&dead); // files, but no result.json
    let alive = archive.start_attempt(&keys[2], &lease(), None, now()).unwrap();
    work_off(&alive);

    let report = sweep(&mut archive, KEEP, now()).unwrap();
    assert_eq!((report.collected, report.lost, report.directories), (1, 1, 1));
    assert!(done.directory.exists() && alive.directory.exists() && !dead.directory.exists());
    assert_eq!(sweep(&mut archive, KEEP, now()).unwrap(), ingest::sweep::SweepReport::default());
    let later = now() + chrono::TimeDelta::hours(2);
    assert_eq!(sweep(&mut archive, KEEP, later).unwrap().lost, 1, "its lease ended");
    assert_eq!(archive.unit_state(&unit).unwrap(), UnitState::Running);
    assert_eq!(archive.tasks(&unit).unwrap()[1].failures, 1);
}

#[test]
fn staged_files_are_removed_some_days_after_their_ingest() {
    on_both_engines(staged_files_go);
}

fn staged_files_go() {
    let dir = tempfile::tempdir().unwrap();
    let (site, mut archive) = new_site(&dir.path().join("site"));
    record(&mut archive, &night(1));
    for use_case in UseCase::ALL.iter().copied() {
        stage_round(&mut archive, use_case, 1);
    }
    let left = || {
        let entries = std::fs::read_dir(site.staging()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let later = now() + KEEP + chrono::TimeDelta::hours(1);
    assert_eq!(sweep(&mut archive, KEEP, later).unwrap().directories, 0, "nothing is ingested");
    let all = left();
    assert_eq!(all.len(), 3);
    pass(&mut archive);
    assert_eq!(sweep(&mut archive, KEEP, now()).unwrap().directories, 0, "too early");
    assert_eq!(sweep(&mut archive, KEEP, later).unwrap().directories, 2);
    assert_eq!(left(), all[1..2], "metadata stay, later catalogues need them");
    assert_eq!(sweep(&mut archive, KEEP, later).unwrap().directories, 0);
}

#[test]
fn left_over_lake_files_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (site, mut archive) = new_site(&dir.path().join("site"));
    record(&mut archive, &night(1));
    for use_case in [UseCase::Metadata, UseCase::Catalogue] {
        stage_round(&mut archive, use_case, 1);
    }
    pass(&mut archive);
    let lake = site.lake().join("detection");
    let live = std::fs::read_dir(&lake).unwrap().count();
    std::fs::write(lake.join(".publishing-4194304999-0"), "half").unwrap();
    std::fs::write(lake.join(format!(".publishing-{}-0", std::process::id())), "ours").unwrap();
    assert_eq!(sweep(&mut archive, KEEP, now()).unwrap().files, 1);
    assert_eq!(std::fs::read_dir(&lake).unwrap().count(), live + 1);
    assert!(archive.clear_abandoned().unwrap().is_empty());
}
