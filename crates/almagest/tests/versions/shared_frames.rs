//! Calibration frames that nights share.

use super::*;
use std::path::PathBuf;

/// One night with all its calibration frames, one that borrows dark, flat and sky from it, and one that borrows the dark alone.
struct Borrowed {
    owner: PathBuf,
    borrower: PathBuf,
    of_dark: PathBuf,
}

impl Borrowed {
    fn simulate(desk: &Desk) -> Self {
        let small = Small { night: "20071012", detections: 10, seed: 2, ..Small::default() };
        let owner = desk.simulate(&small);
        let without = |name: &str, prefixes: &[&str]| {
            let copy = owner.with_file_name(name);
            std::fs::create_dir(&copy).unwrap();
            for entry in std::fs::read_dir(&owner).unwrap() {
                let (path, file) = entry.map(|e| (e.path(), e.file_name())).unwrap();
                let is_left_out = prefixes.iter().any(|p| file.to_string_lossy().starts_with(p));
                if !is_left_out {
                    std::fs::copy(path, copy.join(file)).unwrap();
                }
            }
            copy
        };
        let borrower = without("20071020_v1", &["dark", "pK", "sky"]);
        let of_dark = without("20071021_v1", &["dark"]);
        Self { owner, borrower, of_dark }
    }
}

/// Steps of a case: what is run, and what is done to the night that owns the frames.
enum Step {
    Owner,
    Borrower,
    OfDark,
    Again,
    Retract,
    Undo,
}

/// Retracts a night whose calibration frames another one uses, and restores it, in every order.
#[test]
fn a_night_is_retracted_whose_frames_another_uses() {
    use Step::*;
    let cases: [(&str, &[Step]); 4] = [
        ("two kinds of links", &[Owner, Borrower, Retract, Undo]),
        ("retracted twice", &[Owner, OfDark, Retract, Undo, Retract]),
        ("the borrower came first", &[OfDark, Owner, Retract, Undo]),
        ("metadata again", &[Owner, OfDark, Again, Retract]),
    ];
    for (case, steps) in cases {
        for desk in Desk::of_both_engines() {
            let nights = Borrowed::simulate(&desk);
            let retract = ["retract", "20071012_v1", "--reason", "a test"];
            for step in steps {
                let said = match step {
                    Owner => desk.run(&nights.owner),
                    Borrower => desk.run(&nights.borrower),
                    OfDark => desk.run(&nights.of_dark),
                    Again => {
                        desk.at_site(&["metadata", "--again", "--delivery", "20071012_v1"])
                            .ended(0);
                        desk.at_site(&["ingest"])
                    }
                    Retract => desk.at_site(&retract),
                    Undo => desk.at_site(&[&retract[..], &["--undo"]].concat()),
                };
                assert!(matches!(said.code, Some(0 | 1)), "{case}: {said:?}");
            }
            desk.verified();
        }
    }
}
