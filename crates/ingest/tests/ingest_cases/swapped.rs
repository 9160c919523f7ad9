//! Staged detections that are exchanged for links between their check and their loading.

use super::faults::until_stopped_or_gone;
use super::kill::child_of;
use super::staging::*;
use super::{pass, staged_site};
use archive::Site;
use archive::refusals::RefusalFilter;
use model::{RoundNumber, UnitKey, UnitState, UseCase};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

fn round(use_case: UseCase) -> UnitKey {
    UnitKey { delivery: NIGHT.parse().unwrap(), use_case, round: RoundNumber::FIRST }
}

/// Returns the path of the staged detections of the first task.
fn staged_file(site: &Site) -> PathBuf {
    let batch = reopen(site).batch(&round(UseCase::Catalogue)).unwrap();
    let task = &batch.tasks[0];
    let result = task.result.as_ref().unwrap();
    let file = result.files.iter().find(|file| file.table == "detection").unwrap();
    task.directory.as_ref().unwrap().join(&file.name)
}

/// Moves something out of the site and puts a link to it in its place. Its content stays as it was checked.
fn exchange(original: &Path, outside: &Path) {
    let moved = outside.join(original.file_name().unwrap());
    std::fs::rename(original, &moved).unwrap();
    symlink(&moved, original).unwrap();
}

#[test]
fn a_link_in_place_of_staged_detections_is_not_followed() {
    on_both_engines(|| {
        let exchanges: [fn(&Path) -> &Path; 2] = [|file| file, |file| file.parent().unwrap()];
        for exchanged in exchanges {
            for point in ["ingest:reserved:3", "load:columns-checked"] {
                let dir = tempfile::tempdir().unwrap();
                let outside = dir.path().join("outside");
                std::fs::create_dir(&outside).unwrap();
                let site = staged_site(&dir.path().join("site"), 2);
                let file = staged_file(&site);
                let mut child = child_of(&site).env("ALMAGEST_STOP_AT", point).spawn().unwrap();
                assert!(until_stopped_or_gone(&mut child), "{point} was not passed");
                exchange(exchanged(&file), &outside);
                let number = child.id().to_string();
                assert!(Command::new("kill").args(["-CONT", &number]).status().unwrap().success());
                assert!(child.wait().unwrap().success());
                refused_alone(&site, point);
            }
        }
    });
}

/// Checks that the catalogue round is refused because of the link, and that the other rounds are published.
fn refused_alone(site: &Site, point: &str) {
    let mut archive = reopen(site);
    assert_eq!(archive.unit_state(&round(UseCase::Catalogue)).unwrap(), UnitState::Failed);
    assert_eq!(archive.unit_state(&round(UseCase::Metadata)).unwrap(), UnitState::Ingested);
    let refusals = archive.refusals(&RefusalFilter::default()).unwrap();
    let said: Vec<&str> = refusals.iter().map(|r| r.refusal.message.as_str()).collect();
    assert_eq!(said.len(), 1, "{point}: {said:?}");
    assert!(said[0].contains("is a symbolic link"), "{point}: {said:?}");
    let detections: u64 = archive.status().unwrap().programmes.iter().map(|p| p.detections).sum();
    assert_eq!(detections, 0, "{point}");
    assert!(pass(&mut archive).is_idle(), "{point}: the batch is refused once");
}
