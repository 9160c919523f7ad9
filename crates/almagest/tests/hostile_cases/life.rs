//! What becomes of a refusal: listed, shown, accepted, dismissed, tried again, closed by a repaired file.

use super::{plant, sound};
use crate::operator::{Desk, Small};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

struct Night {
    desk: Desk,
    delivery: PathBuf,
}

/// A small night with some kinds in runs 90001, 90002 …, run once.
fn night(kinds: &[&str]) -> Night {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 2, detections: 10, ..Small::default() });
    for (kind, run) in kinds.iter().zip(90_001..) {
        plant(&delivery, kind, run).unwrap();
    }
    desk.run(&delivery).ended(1);
    Night { desk, delivery }
}

impl Night {
    /// The only refusal of a code, whatever its state.
    #[track_caller]
    fn refusal(&self, code: &str) -> Value {
        let all = self.desk.at_site(&["refusals", "--all", "--json", "--code", code]).json(0);
        let all = all.as_array().unwrap();
        assert_eq!(all.len(), 1, "{code}: {all:?}");
        all[0].clone()
    }

    /// Decides on the only refusal of a code.
    #[track_caller]
    fn decide(&self, act: &str, code: &str, reason: &str) -> i32 {
        let number = self.refusal(code)["number"].to_string();
        let said = self.desk.at_site(&["refusals", act, &number, "--reason", reason]);
        said.code.unwrap_or_else(|| panic!("{said:?}"))
    }

    #[track_caller]
    fn run(&self, code: i32) {
        self.desk.run(&self.delivery).ended(code);
        self.desk.verified();
    }

    /// Codes of refusals that are not settled.
    fn open(&self) -> Vec<String> {
        self.desk.refusals().iter().map(|r| r["code"].as_str().unwrap().to_owned()).collect()
    }

    fn detections(&self, run: u32) -> u64 {
        self.count_of("detection", run)
    }

    fn count_of(&self, table: &str, run: u32) -> u64 {
        self.desk.count(&format!(
            "SELECT count(*) FROM {table} JOIN multiframe USING (multiframe_id)
             WHERE file_name = 'w20071011_{run}_st.fit'"
        ))
    }
}

/// (state, reason) of each change.
fn history(refusal: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let changes = refusal["history"].as_array().unwrap().iter();
    changes.map(|change| (text(&change["state"]), text(&change["why"]))).collect()
}

fn changes(refusal: &Value) -> Vec<String> {
    history(refusal).into_iter().map(|(state, _)| state).collect()
}

fn put(path: &Path, bytes: &[u8]) {
    let _ = std::fs::remove_file(path);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_decision_needs_a_reason_and_a_refusal() {
    let night = night(&["text"]);
    let number = night.refusal("not_fits")["number"].to_string();
    for act in ["accept", "dismiss", "retry"] {
        let cases: &[(&[&str], i32)] = &[
            (&["refusals", act, &number], 2),
            (&["refusals", act, &number, "--reason", " "], 2),
            (&["refusals", act, "--reason", "no number"], 2),
            (&["refusals", act, "4711", "--reason", "no such refusal"], 2),
            (&["refusals", act, "many", "--reason", "no number"], 2),
            (&["refusals", act, &number, "--reason", "only asking", "--dry-run"], 0),
        ];
        for (words, code) in cases {
            let said = night.desk.at_site(words);
            assert_eq!(said.code, Some(*code), "{words:?}: {said:?}");
        }
    }
    night.desk.at_site(&["refusals", "show", "4711"]).ended(2);
    let still = night.refusal("not_fits");
    assert_eq!((&still["state"], changes(&still)), (&json!("open"), vec![]), "nothing was decided");
}

/// A decision on several refusals that fails at one of them is reported and logged for those before it.
#[test]
fn decisions_before_a_failure_are_reported_and_logged() {
    for act in ["accept", "dismiss", "retry"] {
        let night = night(&["text", "fifo"]);
        let mut numbers = ["not_fits", "not_a_file_fifo"]
            .map(|code| night.refusal(code)["number"].as_u64().unwrap());
        numbers.sort_unstable();
        let [first, second] = numbers.map(|number| number.to_string());
        let database = rusqlite::Connection::open(night.desk.site.join("archive.db")).unwrap();
        let trigger = format!(
            "CREATE TRIGGER a_fault BEFORE UPDATE ON refusal WHEN NEW.refusal_id = {second}
             BEGIN SELECT RAISE(ABORT, 'a fault of the test'); END"
        );
        database.execute_batch(&trigger).unwrap();
        let words = ["refusals", act, &first, &second, "--reason", "a test", "--json"];
        let said = night.desk.at_site(&words);
        assert!(
            said.code != Some(0) && said.err.contains(&format!("refusal {second}")),
            "{said:?}"
        );
        let reported: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(reported["subject"], json!(format!("refusal {first}")), "{reported}");
        assert_eq!(reported["refusals"].as_array().unwrap().len(), 1, "{reported}");
        let log = std::fs::read_to_string(night.desk.site.join("logs/almagest.log")).unwrap();
        let logged: Vec<&str> = log
            .lines()
            .filter(|l| l.contains("event=decision act=") && l.contains("refusal "))
            .collect();
        assert_eq!(logged.len(), 1, "{log}");
        assert!(logged[0].contains(&format!("{act} refusal {first}")), "{logged:?}");
        // The failure of the first decision is the whole result.
        let said = night.desk.at_site(&["refusals", act, &second, "--reason", "a test", "--json"]);
        assert!(said.code != Some(0) && said.out.is_empty(), "{said:?}");
        database.execute_batch("DROP TRIGGER a_fault").unwrap();
        night.desk.at_site(&["refusals", act, &second, "--reason", "a test"]).ended(0);
    }
}

#[test]
fn accepted_and_dismissed_ones_stay_so() {
    let night = night(&["text", "fifo"]);
    assert_eq!(night.decide("accept", "not_fits", "a note of the observer"), 0);
    assert_eq!(night.decide("dismiss", "not_a_file_fifo", "somebody's test"), 0);
    assert_eq!(night.decide("accept", "not_fits", "twice"), 5);
    assert_eq!(night.decide("dismiss", "not_fits", "after all"), 5);
    assert_eq!(night.open(), Vec::<String>::new());
    let none = night.desk.at_site(&["refusals"]).ended(0);
    assert!(none.contains("no open refusals"), "{none}");
    night.run(0);
    let accepted = night.refusal("not_fits");
    let wanted = ("accepted".to_owned(), "a note of the observer".to_owned());
    assert_eq!((&accepted["state"], history(&accepted)), (&json!("accepted"), vec![wanted]));
    let dismissed = night.refusal("not_a_file_fifo");
    assert_eq!(dismissed["state"], json!("dismissed"));
    assert_eq!(dismissed["occurrences"], json!(2), "the pipe still exists");
    let number = dismissed["number"].to_string();
    let shown = night.desk.at_site(&["refusals", "show", &number]).ended(0);
    for part in ["w20071011_90002_st.fit", "not_a_file_fifo", "dismissed", "somebody's test"] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    assert_eq!(night.decide("retry", "not_a_file_fifo", "is it gone?"), 0);
    night.run(1);
    assert_eq!(night.open(), ["not_a_file_fifo"], "what was dismissed may be tried again");
}

#[test]
fn unchanged_files_are_refused_again() {
    // One of each room: name, content, sums, headers, pixels, tables, rows.
    let kinds = [
        ("link_out", "symbolic_link"),
        ("bzip2", "wrapped_bzip2"),
        ("datasum_of_image", "datasum_mismatch"),
        ("project_blank", "no_project"),
        ("tile_short", "tile_code_too_short"),
        ("tform_unknown", "bad_format"),
        ("place_nan", "pixel_position_missing"),
    ];
    let night = night(&kinds.map(|(kind, _)| kind));
    let before = night.open();
    let detectors = night.count_of("multiframe_detector", 90_003);
    assert_eq!((detectors, night.detections(90_003), night.detections(90_007)), (3, 120, 159));
    for (_, code) in kinds {
        assert_eq!(night.decide("retry", code, "the disk was full"), 0, "{code}");
        assert_eq!(night.refusal(code)["state"], json!("retried"), "{code}");
        assert_eq!(night.decide("retry", code, "twice"), 5, "{code}");
    }
    assert_eq!(night.open(), before, "nothing is hidden until it was tried");
    night.run(1);
    for (_, code) in kinds {
        let refusal = night.refusal(code);
        assert_eq!(
            (&refusal["state"], &refusal["occurrences"]),
            (&json!("open"), &json!(2)),
            "{code}"
        );
        assert_eq!(changes(&refusal), ["retried", "open"], "{code}");
        assert_eq!(history(&refusal)[0].1, "the disk was full", "{code}");
    }
    for code in ["no_project", "tile_code_too_short", "bad_format", "pixel_position_missing"] {
        assert_eq!(night.refusal(code)["round"], json!(2), "{code}");
    }
    assert_eq!(night.open(), before, "and nothing else");
    let detectors = night.count_of("multiframe_detector", 90_003);
    assert_eq!(
        (detectors, night.detections(90_003), night.detections(90_007)),
        (3, 120, 159),
        "a retry lets nothing in that is not sound"
    );
    night.run(0);
}

#[test]
fn a_retry_without_a_transfer_lets_nothing_in() {
    let night = night(&["datasum_of_image"]);
    assert_eq!(night.decide("retry", "datasum_mismatch", "hope"), 0);
    for step in ["metadata", "preview", "catalogue", "ingest"] {
        let code = night.desk.at_site(&[step]).code;
        assert!(matches!(code, Some(0 | 1)), "{step}: {code:?}");
    }
    night.desk.verified();
    assert_eq!(night.count_of("multiframe_detector", 90_001), 3);
    night.run(1);
    assert_eq!(night.refusal("datasum_mismatch")["state"], json!("open"));
}

#[test]
fn a_repaired_file_makes_the_next_round() {
    let kinds =
        ["link_out", "bitpix_13", "datasum_of_image", "tile_short", "place_nan", "cut_in_rows"];
    let night = night(&kinds);
    let other = night.desk.count("SELECT count(*) FROM detection");
    for (kind, run) in kinds.iter().zip(90_001..) {
        let sound = sound(run);
        let image = night.delivery.join(format!("{}.fit", sound.root));
        let catalogue = night.delivery.join(format!("{}_cat.fits", sound.root));
        match *kind {
            "place_nan" | "cut_in_rows" => put(&catalogue, &sound.catalogue),
            "link_out" => {
                put(&image, &sound.image);
                put(&catalogue, &sound.catalogue);
            }
            _ => put(&image, &sound.image),
        }
    }
    night.run(0);
    assert_eq!(night.open(), Vec::<String>::new());
    let all = night.desk.at_site(&["refusals", "--all", "--json"]).json(0);
    for refusal in all.as_array().unwrap() {
        assert_eq!(refusal["state"], json!("resolved"), "{refusal}");
        assert_eq!(changes(refusal), ["resolved"], "{refusal}");
    }
    for run in 90_001..=90_006 {
        assert_eq!(night.detections(run), 160, "{run}");
        assert_eq!(night.count_of("multiframe_detector", run), 4, "{run}");
        assert_eq!(night.count_of("preview", run), 5, "{run}");
    }
    let now = night.desk.count("SELECT count(*) FROM detection");
    assert_eq!(now - other, 160 + 160 + 40 + 1 + 160, "and nothing twice");
    let status = night.desk.at_site(&["status", "--json"]).json(0);
    let rounds = status["deliveries"][0]["rounds"].as_array().unwrap();
    for use_case in ["preview", "metadata", "catalogue"] {
        let second = |r: &&Value| r["use_case"] == json!(use_case) && r["round"] == json!(2);
        assert_eq!(rounds.iter().find(second).unwrap()["state"], json!("ingested"), "{use_case}");
    }
    night.run(0);
}

/// A retry of one HDU gives no object of another HDU a new id.
#[test]
fn a_retry_keeps_the_ids_of_accepted_files() {
    let night = night(&["row_too_short", "sequence_zero"]);
    let objects = |run: u32| {
        night.desk.rows(&format!(
            "SELECT ext_num, seq_num, obj_id FROM detection JOIN multiframe USING (multiframe_id)
             WHERE file_name = 'w20071011_{run}_st.fit' ORDER BY 1, 2"
        ))
    };
    let (whole, rows) = (objects(90_001), objects(90_002));
    assert_eq!(whole.len(), 120, "three of four HDUs");
    for code in ["row_length", "sequence_number_out_of_range"] {
        assert_eq!(night.decide("retry", code, "looked at"), 0);
    }
    night.run(1);
    assert_eq!(objects(90_001), whole, "only the refused HDU was redone");
    let of = |objects: &[Value], ext: i64, same: bool| -> Vec<Value> {
        objects.iter().filter(|o| (o["ext_num"] == json!(ext)) == same).cloned().collect()
    };
    let bad = rows.iter().map(|o| o["ext_num"].as_i64().unwrap());
    let counts: std::collections::BTreeMap<i64, usize> =
        bad.fold(Default::default(), |mut counts, ext| {
            *counts.entry(ext).or_default() += 1;
            counts
        });
    let (&bad, _) = counts.iter().min_by_key(|(_, n)| **n).unwrap();
    let again = objects(90_002);
    assert_eq!(of(&again, bad, false), of(&rows, bad, false), "HDUs without refused rows");
    assert_eq!(of(&again, bad, true).len(), of(&rows, bad, true).len());
    assert_eq!(night.open().len(), 2, "refused again");
}

/// A round that kept detectors of an image waits for its ingest while newer content of the image arrives.
#[test]
fn newer_content_does_not_fail_a_round_that_kept_detectors() {
    let night = night(&["row_too_short"]);
    assert_eq!(night.decide("retry", "row_length", "looked at"), 0);
    night.desk.at_site(&["catalogue"]).ended(1);
    let image = night.delivery.join("w20071011_90001_st.fit");
    let mut bytes = std::fs::read(&image).unwrap();
    let at = bytes.windows(11).position(|w| w == b"OBSERVER= '").unwrap() + 11;
    bytes[at] ^= 1;
    std::fs::write(&image, bytes).unwrap();
    // The metadata of the newer image are ingested first and end what the older one has.
    for words in [vec!["transfer"], vec!["metadata"], vec!["ingest"]] {
        assert!(matches!(night.desk.at_site(&words).code, Some(0 | 1)), "{words:?}");
    }
    night.desk.run(&night.delivery);
    night.desk.verified();
    let codes = night.open();
    assert!(!codes.iter().any(|code| code.starts_with("batch_")), "{codes:?}");
    assert_eq!(night.detections(90_001), 120, "those of the newer image, once");
}
