//! Keywords that drift: accepted, noted, and seen by whoever looks.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

use operator::{Desk, Small};
use serde_json::{Value, json};
use std::path::Path;

const CARD: usize = 80;

/// Replaces the first card of a primary header that begins so.
fn put(image: &Path, begin: &str, text: &str) {
    let mut bytes = std::fs::read(image).unwrap();
    let card = bytes
        .chunks_exact_mut(CARD)
        .take_while(|card| !card.starts_with(b"END     "))
        .find(|card| card.starts_with(begin.as_bytes()));
    card.unwrap().copy_from_slice(format!("{text:CARD$}").as_bytes());
    std::fs::write(image, bytes).unwrap();
}

/// A delivery in which two images have a keyword that no profile knows, and the first a number where a name is due.
fn drifting(desk: &Desk) -> (std::path::PathBuf, String) {
    let delivery = desk.simulate(&Small::default());
    let mut names: Vec<String> = std::fs::read_dir(&delivery)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with("_st.fit"))
        .collect();
    names.sort();
    for name in &names[..2] {
        let new = "MOONDUST=                  1.5 / came with a new camera software";
        put(&delivery.join(name), "COMMENT ", new);
        put(&delivery.join(name), "CHECKSUM=", "COMMENT the checksum was of the header as it was");
    }
    let name = names.remove(0);
    let image = delivery.join(&name);
    put(&image, "OBSERVER=", "OBSERVER=                    7 / a number, not a name");
    (delivery, name)
}

/// Code, subject, files, occurrences, example file and HDU of each.
fn told(findings: &Value) -> Vec<Value> {
    let short = |f: &Value| {
        json!([
            f["code"],
            f["subject"],
            f["files"],
            f["occurrences"],
            f["example_file"],
            f["example_ext_num"]
        ])
    };
    findings.as_array().unwrap().iter().map(short).collect()
}

#[test]
fn drift_is_accepted_and_seen() {
    let desk = Desk::new();
    let (delivery, image) = drifting(&desk);
    let said = desk.run(&delivery).ended(0);
    assert!(said.contains("2 findings: almagest --site "), "{said}");

    let wanted = [
        json!(["keyword_new", "MOONDUST", 2, 2, image, 1]),
        json!(["keyword_mistyped", "OBSERVER", 1, 1, image, 1]),
    ];
    let all = desk.at_site(&["findings", "--json"]).json(0);
    assert_eq!(told(&all), wanted);
    assert_eq!(all[0]["delivery"], json!("20071011_v1"));
    assert_eq!(all[0]["stage"], json!("metadata"));
    assert_eq!(all[1]["message"], json!("OBSERVER = 7 is of the wrong type for its column"));
    let new = desk.at_site(&["findings", "--code", "keyword_new", "--json"]).json(0);
    assert_eq!(told(&new), wanted[..1]);
    let of_one = desk.at_site(&["findings", "--delivery", "20071011_v1", "--json"]).json(0);
    assert_eq!(of_one, all);
    desk.at_site(&["findings", "--delivery", "20071012_v1"]).ended(3);
    let table = desk.at_site(&["findings"]).ended(0);
    assert!(table.contains("MOONDUST") && table.contains(&format!("{image} ext_num 1")), "{table}");

    let explained = desk.at_site(&["explain", "20071011_v1"]).ended(0);
    assert!(explained.contains("\nfindings:\n") && explained.contains("MOONDUST"), "{explained}");
    let explained = desk.at_site(&["explain", "20071011_v1", "--json"]).json(0);
    assert_eq!(explained["findings"], all);
    let status = desk.at_site(&["status", "--json"]).json(0);
    assert_eq!(status["deliveries"][0]["findings"], json!(2));
    let status = desk.at_site(&["status"]).ended(0);
    assert!(status.contains("findings"), "{status}");

    // What was mistyped is unknown, nothing else of the frame is lost.
    let query = format!("SELECT observer FROM multiframe WHERE file_name = '{image}'");
    assert_eq!(desk.value(&query), Value::Null);
    desk.verified();
}

#[test]
fn a_sound_night_has_no_findings() {
    let desk = Desk::new();
    let said = desk.run(&desk.simulate(&Small::default())).ended(0);
    assert!(!said.contains("finding"), "{said}");
    assert_eq!(desk.at_site(&["findings"]).ended(0), "no findings\n");
    assert_eq!(desk.at_site(&["findings", "--json"]).json(0), json!([]));
    let explained = desk.at_site(&["explain", "20071011_v1"]).ended(0);
    assert!(!explained.contains("findings"), "{explained}");
}
