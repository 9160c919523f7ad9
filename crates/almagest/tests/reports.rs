//! Reports have a form for programs: one JSON document on stdout, with the keys that the help of the verb names.

mod operator;

use operator::{Desk, Small};
use serde_json::Value;

const NIGHT: &str = "20071011_v1";

fn small() -> Small<'static> {
    Small { frames: 4, detections: 10, ..Small::default() }
}

#[track_caller]
fn has_keys(value: &Value, keys: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let mut found: Vec<&str> = object.keys().map(String::as_str).collect();
    let mut wanted = keys.to_vec();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

const WORK: [&str; 9] = [
    "steps",
    "waits",
    "stopped",
    "blocked",
    "postponed",
    "not_fetched",
    "busy_elsewhere",
    "interrupted",
    "left_to_daemon",
];

#[test]
fn the_steps_of_a_night_report_to_programs() {
    let desk = Desk::new();
    let delivery = desk.simulate(&small());
    let delivery = delivery.to_str().expect("UTF-8");
    let due = desk.at_site(&["run", delivery, "--dry-run", "--json"]).json(0);
    has_keys(&due, &["deliveries", "rounds", "waits"]);
    assert_eq!(due["deliveries"][0]["delivery"], NIGHT, "{due}");
    let due = desk.at_site(&["transfer", delivery, "--dry-run", "--json"]).json(0);
    let keys = ["delivery", "files", "bytes", "unchanged", "refusals", "skipped"];
    has_keys(&due["deliveries"][0], &keys);
    let done = desk.at_site(&["transfer", delivery, "--json"]).json(0);
    has_keys(&done, &WORK);
    assert_eq!(done["steps"]["transfer"]["files"], due["deliveries"][0]["files"], "{done}");
    let due = desk.at_site(&["metadata", "--dry-run", "--json"]).json(0);
    assert_eq!(due["rounds"][0]["use_case"], "metadata", "{due}");
    for step in ["metadata", "preview"] {
        let done = desk.at_site(&[step, "--json"]).json(0);
        has_keys(&done, &WORK);
        assert!(done["steps"][step]["files"].as_u64() > Some(0), "{done}");
    }
    let due = desk.at_site(&["ingest", "--dry-run", "--json"]).json(0);
    assert_eq!(due["batches"].as_array().map(Vec::len), Some(2), "{due}");
    has_keys(&desk.at_site(&["ingest", "--json"]).json(0), &WORK);
    let done = desk.at_site(&["run", "--delivery", NIGHT, "--json"]).json(0);
    assert!(done["steps"]["catalogue"]["detections"].as_u64() > Some(0), "{done}");
    // What an operator stopped is listed.
    desk.at_site(&["pause", "--use-case", "preview", "--reason", "clouds"]).ended(0);
    has_keys(&desk.at_site(&["preview", "--again", "--json"]).json(0), &WORK);
    let held = desk.at_site(&["run", "--delivery", NIGHT, "--json"]).json(5);
    assert_eq!(held["stopped"][0]["unit"], format!("{NIGHT}/preview"), "{held}");
}

#[test]
fn the_configuration_and_the_profiles_report_to_programs() {
    let desk = Desk::new();
    let shown = desk.at_site(&["config", "show", "--json"]).json(0);
    has_keys(&shown, &["values", "environment"]);
    let values = shown["values"].as_array().expect("a list");
    has_keys(&values[0], &["section", "key", "value", "origin"]);
    let poll = values.iter().find(|v| v["key"] == "poll_seconds").expect("a value");
    assert!(poll["value"].is_number() && poll["origin"].as_str().is_some(), "{poll}");
    // Every line of the text is a value, a section or of the environment.
    let text = desk.at_site(&["config", "show"]).ended(0);
    let lines = text.lines().filter(|line| !line.starts_with(['[', '#'])).count();
    assert_eq!(lines, values.len());
    let profiles = desk.at_site(&["profile", "list", "--json"]).json(0);
    has_keys(&profiles[0], &["name", "title"]);
}

#[test]
fn a_retraction_and_a_move_report_to_programs() {
    let desk = Desk::new();
    desk.run(&desk.simulate(&small())).ended(0);
    let done = desk.at_site(&["retract", NIGHT, "--reason", "flat", "--json"]).json(0);
    let keys = ["act", "dry_run", "undo", "delivery", "event", "rounds", "rows", "shown_again"];
    let keys = [&keys[..], &["reason", "subject", "who"]].concat();
    has_keys(&done, &keys);
    assert_eq!((&done["undo"], done["rounds"].as_array().map(Vec::len)), (&false.into(), Some(3)));
    assert_eq!(done["event"], desk.value("SELECT max(event_id) FROM event"), "{done}");
    let stays = desk.at_site(&["migrate", "--to", "embedded", "--json"]).json(0);
    assert_eq!((&stays["act"], &stays["dry_run"]), (&"none".into(), &false.into()), "{stays}");
    let Some(server) = testkit::postgres::Server::shared() else { return };
    let database = server.database();
    let to = ["migrate", "--to", &database.url(), "--json"];
    let due = desk.at_site(&[&to[..], &["--dry-run"]].concat()).json(0);
    assert_eq!((&due["act"], &due["deliveries"]), (&"move".into(), &1.into()), "{due}");
    let done = desk.at_site(&to).json(0);
    assert!(done["detections"].as_u64() > Some(0) && done["rows"].as_u64() > Some(0), "{done}");
}
