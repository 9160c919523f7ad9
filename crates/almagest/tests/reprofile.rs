//! The first session with a new survey: its files arrive before its profile, and get it afterwards.

mod operator;

use operator::{Desk, Small};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const NIGHT: &str = "20071011_v1";

fn night() -> Small<'static> {
    Small { frames: 10, detections: 12, ..Small::default() }
}

/// Takes the profile of the night's survey away; returns its place and text.
fn without_profile(desk: &Desk) -> (PathBuf, String) {
    let path = desk.site.join("surveys/wfcam.toml");
    let text = std::fs::read_to_string(&path).expect("the site has it");
    std::fs::remove_file(&path).expect("removed");
    (path, text)
}

/// The rows that do not depend on what was done before: all columns but event and object id.
fn rows(desk: &Desk) -> Vec<String> {
    let tables = [
        ("multiframe", "multiframe_id"),
        ("multiframe_detector", "multiframe_id, ext_num"),
        ("programme_frame", "programme_id, multiframe_id"),
        ("preview", "multiframe_id, ext_num"),
        ("detection", "programme_id, multiframe_id, ext_num, seq_num"),
    ];
    let mut lines = Vec::new();
    for (table, order) in tables {
        for mut row in desk.rows(&format!("SELECT * FROM {table} ORDER BY {order}")) {
            let row = row.as_object_mut().expect("an object");
            for of_history in ["begin_event", "obj_id"] {
                row.remove(of_history);
            }
            lines.push(format!("{table}: {}", json!(row)));
        }
    }
    lines
}

/// A night that was archived without the profile of its survey, which exists now: in the programme of unknown frames, or
/// parked where a project is unknown.
fn wrongly_archived(desk: &Desk, is_parked: bool) -> PathBuf {
    let delivery = desk.simulate(&night());
    if !is_parked {
        desk.at_site(&["profile", "set", "generic", "project.keywords", "[\"NONE\"]"]).ended(0);
    }
    let (path, text) = without_profile(desk);
    desk.run(&delivery);
    assert_eq!(desk.count("SELECT count(*) FROM multiframe WHERE survey_id <> 9"), 0);
    std::fs::write(&path, text).expect("written");
    delivery
}

fn is_right(desk: &Desk, wanted: &[String], what: &str) {
    let found = rows(desk);
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(found, wanted, "{what}");
    }
    assert_eq!(found.len(), wanted.len(), "{what}");
    assert_eq!(desk.refusals(), Vec::<Value>::new(), "{what}");
    desk.verified();
}

fn changes(said: &Value) -> usize {
    said["changes"].as_array().expect("an array").len()
}

#[test]
fn a_profile_that_is_written_after_the_first_run_counts() {
    let usual = Desk::undisturbed(&[night()]);
    let wanted = rows(&usual);
    for desk in Desk::of_both_engines() {
        let delivery = wrongly_archived(&desk, false);
        let ids = "SELECT multiframe_id, file_name FROM multiframe ORDER BY multiframe_id";
        let before = (desk.rows(ids), desk.refusals());
        assert_eq!(desk.count("SELECT count(*) FROM detection WHERE programme_id <> 900"), 0);
        assert!(desk.count("SELECT count(*) FROM detection") > 0);
        let image = first_image(&delivery);

        // What the operator sees, and what a run alone does not change.
        let explained = desk.at_site(&["explain", &format!("{NIGHT}/{image}")]).ended(0);
        assert!(
            explained.contains("profile generic; now profile wfcam (INSTRUME fits"),
            "{explained}"
        );
        assert!(explained.contains("reprofile --delivery 20071011_v1"), "{explained}");
        let inspected =
            desk.at_site(&["inspect", delivery.join(&image).to_str().unwrap()]).ended(0);
        assert!(
            inspected.contains("profile wfcam (INSTRUME fits its [[match]]); not "),
            "{inspected}"
        );
        desk.run(&delivery);
        assert_eq!(desk.refusals().len(), before.1.len());

        // A dry run changes nothing.
        let words = ["reprofile", "--delivery", NIGHT, "--json"];
        let dry = desk.at_site(&[&words[..], &["--dry-run"]].concat()).json(0);
        assert_eq!(dry["dry_run"], json!(true));
        let done = desk.at_site(&[&words[..], &["--reason", "a new profile"]].concat()).json(0);
        assert_eq!(changes(&dry), changes(&done));
        assert!(changes(&done) > 10, "{done}");
        let first = &done["changes"][0];
        assert_eq!((&first["before"], &first["after"]), (&json!("generic"), &json!("wfcam")));
        let log = std::fs::read_to_string(desk.site.join("logs/almagest.log")).unwrap();
        assert!(
            log.contains("reprofile 20071011_v1, by ") && log.contains("a new profile"),
            "{log}"
        );

        // Again: nothing changes.
        let again = desk.at_site(&words).json(0);
        assert_eq!((changes(&again), &again["redone"]), (0, &json!(0)));
        desk.run(&delivery).ended(0);
        is_right(&desk, &wanted, "after reprofile and run");
        for row in &before.0 {
            let (id, file) = (&row["multiframe_id"], row["file_name"].as_str().unwrap());
            let now = desk
                .value(&format!("SELECT multiframe_id FROM multiframe WHERE file_name = '{file}'"));
            assert_eq!(*id, now, "{file}");
        }
        assert_eq!(desk.count("SELECT count(*) FROM detection_all"), {
            desk.count("SELECT count(*) FROM (SELECT DISTINCT programme_id, obj_id FROM detection_all) AS ids")
        });
    }
}

fn first_image(delivery: &Path) -> String {
    let mut names: Vec<String> = std::fs::read_dir(delivery)
        .expect("there")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with("_st.fit"))
        .collect();
    names.sort();
    names.swap_remove(0)
}

#[test]
fn a_reprofile_and_the_run_after_it_are_killed_at_any_instant() {
    let usual = Desk::undisturbed(&[night()]);
    let wanted = rows(&usual);
    let reprofile = ["reprofile", "--delivery", NIGHT];
    let listed = {
        let desk = Desk::new();
        let delivery = wrongly_archived(&desk, false);
        desk.at_site(&reprofile).ended(0);
        let list = desk.dir.path().join("passed");
        let mut run = desk.command(&["run", delivery.to_str().unwrap()]);
        assert_eq!(run.env("ALMAGEST_CRASH_LIST", &list).output().unwrap().status.code(), Some(0));
        let listed = std::fs::read_to_string(&list).unwrap();
        let mut listed: Vec<String> = listed.lines().map(|name| format!("{name}:1")).collect();
        listed.sort();
        listed.dedup();
        listed
    };
    let step = (listed.len() / 5).max(1);
    let aims = listed.iter().step_by(step).map(String::as_str);
    for aim in std::iter::once("reprofile:before-commit:1").chain(aims) {
        let desk = Desk::new();
        let delivery = wrongly_archived(&desk, false);
        let killed = |words: &[&str]| {
            let mut command = desk.command(words);
            command.env("ALMAGEST_CRASH_AT", aim).output().unwrap().status.code().is_none()
        };
        let in_reprofile = killed(&reprofile);
        assert_eq!(in_reprofile, aim.starts_with("reprofile"), "{aim}");
        desk.at_site(&reprofile).ended(0);
        if !in_reprofile {
            killed(&["run", delivery.to_str().unwrap()]);
        }
        desk.run(&delivery).ended(0);
        is_right(&desk, &wanted, aim);
    }
}

#[test]
fn a_retry_chooses_the_profile_of_its_file_again() {
    let desk = Desk::new();
    let delivery = wrongly_archived(&desk, true);
    let refused = desk.refusals();
    let parked = refused.iter().find(|r| r["stage"] == "metadata").expect("an unknown project");
    assert_eq!(parked["profile"], json!("generic"));
    let (number, file) = (parked["number"].to_string(), parked["file"].as_str().unwrap());
    let shown = desk.at_site(&["refusals", "show", &number]).ended(0);
    assert!(shown.contains("profile   profile generic; now profile wfcam"), "{shown}");
    desk.at_site(&["refusals", "retry", &number, "--reason", "a new profile"]).ended(0);
    desk.run(&delivery);
    let survey = format!("SELECT survey_id FROM multiframe WHERE file_name = '{file}'");
    assert_eq!(desk.value(&survey), json!(1));
    assert!(desk.refusals().iter().all(|r| r["number"] != parked["number"]));
    // The other files still have the profile that they got on arrival.
    assert!(desk.refusals().iter().any(|r| r["profile"] == "generic"));
}

#[test]
fn one_file_or_unchanged_files_are_chosen_by_options() {
    let desk = Desk::new();
    let delivery = wrongly_archived(&desk, false);
    let name = format!("{NIGHT}/{}", first_image(&delivery));
    let one = desk.at_site(&["reprofile", "--file", &name, "--json"]).json(0);
    assert_eq!(changes(&one), 1);
    desk.run(&delivery);
    desk.at_site(&["reprofile", "--delivery", NIGHT]).ended(0);
    desk.run(&delivery).ended(0);
    let rounds = || -> usize {
        let status = desk.status();
        status["deliveries"][0]["rounds"].as_array().expect("an array").len()
    };
    let before = rounds();
    let again = desk.at_site(&["reprofile", "--again", "--delivery", NIGHT, "--json"]).json(0);
    assert_eq!((changes(&again), again["redone"].as_u64() > Some(0)), (0, true), "{again}");
    desk.run(&delivery).ended(0);
    assert_eq!(rounds(), before + 3);
    desk.verified();
    for (words, code) in [
        (&["reprofile"][..], 2),
        (&["reprofile", "--file", "w1.fit"], 2),
        (&["reprofile", "--delivery", NIGHT, "--reason", " "], 2),
        (&["reprofile", "--delivery", "20990101_v1"], 3),
        (&["reprofile", "--file", "20071011_v1/w1.fit"], 3),
    ] {
        assert_eq!(desk.at_site(words).code, Some(code), "{words:?}");
    }
}

/// A file that no profile fits is refused, and gets its identity when one fits.
#[test]
fn a_file_without_a_profile_gets_its_identity() {
    let desk = Desk::new();
    let delivery = desk.simulate(&night());
    let generic = desk.site.join("surveys/generic.toml");
    let fallback = std::fs::read_to_string(&generic).unwrap();
    std::fs::remove_file(&generic).unwrap();
    let (path, text) = without_profile(&desk);
    desk.run(&delivery).ended(1);
    assert_eq!(desk.count("SELECT count(*) FROM multiframe"), 0);
    assert!(desk.refusals().iter().any(|r| r["code"] == "no_profile"));
    std::fs::write(&path, text).unwrap();
    std::fs::write(&generic, fallback).unwrap();
    let said = desk.at_site(&["reprofile", "--delivery", NIGHT, "--json"]).json(0);
    assert!(said["new_images"].as_u64() > Some(0), "{said}");
    desk.run(&delivery).ended(0);
    let wanted = rows(&Desk::undisturbed(&[night()]));
    is_right(&desk, &wanted, "after a run without a profile");
}
