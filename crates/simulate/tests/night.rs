//! A simulated night as its readers see it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use simulate::{FrameKind, Mix, NightSpec, SimulateError};
use std::collections::BTreeMap;
use std::path::Path;

fn small() -> NightSpec {
    NightSpec { frames: 13, size: 64, detections: 20, truth: true, ..NightSpec::default() }
}

fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let specs = [
        NightSpec { threads: 1, ..small() },
        NightSpec { threads: 5, ..small() },
        NightSpec { seed: 2, ..small() },
    ];
    let nights: Vec<_> = dirs
        .iter()
        .zip(&specs)
        .map(|(dir, spec)| content(&simulate::night(dir.path(), spec, &|_| {}).unwrap().delivery))
        .collect();
    assert_eq!(nights[0].keys().collect::<Vec<_>>(), nights[1].keys().collect::<Vec<_>>());
    assert!(nights[0] == nights[1], "bytes depend on the number of threads");
    assert!(nights[0] != nights[2], "bytes do not depend on the seed");
}

#[test]
fn a_night_is_whole_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let calls = std::sync::Mutex::new(Vec::new());
    let summary = simulate::night(dir.path(), &small(), &|now| calls.lock().unwrap().push(now));
    let summary = summary.unwrap();
    let files = content(&summary.delivery);
    assert_eq!(summary.delivery, dir.path().join("20071011_v1"));
    assert_eq!(files[simulate::MARKER], b"");
    assert_eq!(summary.files, files.len());
    assert_eq!(summary.frames.len(), 13);
    assert_eq!(summary.detectors, 52);
    assert_eq!(summary.bytes, files.values().map(|bytes| bytes.len() as u64).sum::<u64>());
    assert_eq!(calls.lock().unwrap().iter().map(|now| now.done).max(), Some(13));
    let mut rows = 0;
    for frame in &summary.frames {
        assert_eq!(frame.catalogue.is_some(), frame.kind.has_catalogue());
        assert!(files.contains_key(&frame.file));
        for detector in frame.detectors.iter().filter(|_| frame.kind.has_catalogue()) {
            rows += detector.sources.len() as u64;
        }
    }
    assert!(rows == summary.rows && rows > 0);
    let again = simulate::night(dir.path(), &small(), &|_| {});
    assert!(matches!(again, Err(SimulateError::Exists(_))));
    let nothing = NightSpec { frames: 0, ..small() };
    assert!(matches!(simulate::night(dir.path(), &nothing, &|_| {}), Err(SimulateError::Spec(_))));
}

#[test]
fn a_night_of_stacks_has_exactly_the_requested_rows() {
    let dir = tempfile::tempdir().unwrap();
    let spec = NightSpec { mix: Mix::Stacks, ..small() };
    let summary = simulate::night(dir.path(), &spec, &|_| {}).unwrap();
    assert!(summary.frames.iter().all(|frame| frame.kind == FrameKind::Stack));
    assert_eq!(summary.rows, 13 * 4 * 20);
}

#[test]
fn foreign_astropy_agrees_with_what_was_planted() {
    let dir = tempfile::tempdir().unwrap();
    let spec = NightSpec { frames: 24, size: 384, detections: 60, truth: true, ..small() };
    let summary = simulate::night(dir.path(), &spec, &|_| {}).unwrap();
    let truth = dir.path().join("truth.json");
    simulate::write_truth(&truth, &summary.frames).unwrap();
    let report = testkit::python_script(
        "check_night.py",
        include_str!("check_night.py"),
        &[summary.delivery, truth],
    );
    print!("{}", report.unwrap_or_default());
}

#[test]
fn damaged_files_stand_beside_the_good_ones() {
    let dir = tempfile::tempdir().unwrap();
    let spec = NightSpec { faults: true, truth: false, ..small() };
    let summary = simulate::night(dir.path(), &spec, &|_| {}).unwrap();
    let kinds: std::collections::BTreeSet<&str> = summary.faults.iter().map(|f| f.kind).collect();
    let not_here = simulate::damage::all().filter(|d| !kinds.contains(d.name)).count();
    assert!(not_here <= 1, "{not_here} kinds were not planted"); // devices take root
    let mut files = 0;
    for entry in std::fs::read_dir(&summary.delivery).unwrap() {
        files += usize::from(entry.is_ok());
    }
    assert_eq!(files, summary.files);
    for planted in &summary.faults {
        let path = summary.delivery.join(&planted.file);
        assert!(std::fs::symlink_metadata(path).is_ok(), "{planted}");
        assert!(planted.to_string().is_ascii() && !planted.to_string().contains('\u{1b}'));
    }
    // The good files are those of a night without faults.
    let other = tempfile::tempdir().unwrap();
    let sound = simulate::night(other.path(), &small(), &|_| {}).unwrap();
    for (name, bytes) in content(&sound.delivery) {
        assert!(std::fs::read(summary.delivery.join(&name)).unwrap() == bytes, "{name}");
    }
}
