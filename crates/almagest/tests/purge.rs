//! `purge` deletes permanently: it names what it deletes, asks for confirmation, and records who did it and why.

mod operator;

use operator::{Desk, Said, Small};
use std::io::Write;
use std::process::{Command, Stdio};

const NIGHT: &str = "20071011_v1";
const PURGE: [&str; 4] = ["purge", "--reason", "bad flat", "--yes"];

/// A desk whose only delivery is retracted.
fn retracted(desk: &Desk) {
    let small = Small { frames: 4, detections: 10, ..Small::default() };
    desk.run(&desk.simulate(&small)).ended(0);
    desk.at_site(&["retract", NIGHT, "--reason", "bad flat"]).ended(0);
}

fn rows_kept(desk: &Desk) -> u64 {
    desk.count("SELECT count(*) FROM detection_all")
}

/// Runs a command on a terminal of its own (script, of util-linux), at which a line is typed. What the terminal shows is in `err`.
fn at_terminal(desk: &Desk, words: &[&str], typed: &str) -> Said {
    let command = desk.command(words);
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let quoted: Vec<String> =
        words.map(|word| format!("'{}'", word.to_str().expect("UTF-8"))).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &quoted.join(" "), "/dev/null"]);
    script.env_remove("ALMAGEST_SITE").current_dir(desk.dir.path());
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = script.spawn().expect("script, of util-linux");
    let mut terminal = child.stdin.take().expect("a terminal");
    writeln!(terminal, "{typed}").expect("typed");
    let output = child.wait_with_output().expect("it ends");
    drop(terminal);
    let said = Said::from(output);
    Said { code: said.code, err: said.out + &said.err, out: String::new() }
}

#[test]
fn a_purge_without_a_terminal_needs_a_reason_and_a_confirmation() {
    let desk = Desk::new();
    retracted(&desk);
    let before = rows_kept(&desk);
    assert!(before > 0);
    desk.at_site(&["purge"]).ended(2);
    desk.at_site(&["purge", "--yes"]).ended(2);
    desk.at_site(&["purge", "--yes", "--reason", "  "]).ended(2);
    let said = desk.at_site(&["purge", "--reason", "bad flat"]);
    assert!(said.code == Some(2) && said.err.contains("give --yes"), "{said:?}");
    assert_eq!(rows_kept(&desk), before);
    // A mistyped delivery is not one without retracted rounds.
    desk.at_site(&[&PURGE[..], &["20071099_v1"]].concat()).ended(3);
    assert_eq!(rows_kept(&desk), before);
}

#[test]
fn a_purge_is_confirmed_on_the_terminal() {
    let desk = Desk::new();
    retracted(&desk);
    let before = rows_kept(&desk);
    for typed in ["no", "", "y"] {
        let said = at_terminal(&desk, &PURGE[..3], typed);
        assert_eq!(said.code, Some(3), "{said:?}");
        assert!(said.err.contains("nothing is deleted"), "{said:?}");
        assert_eq!(rows_kept(&desk), before, "{typed:?}");
    }
    let quiet = [&PURGE[..3], &["--quiet"]].concat();
    let said = at_terminal(&desk, &quiet, "yes");
    assert_eq!(said.code, Some(0), "{said:?}");
    // What goes is named first, also to a user who wants no messages: deliveries, files and bytes.
    let named = said.err.find("to be deleted permanently: 3 rounds of 1 delivery").expect("named");
    let asked = said.err.find("Type yes").expect("asked");
    assert!(named < asked && said.err[named..asked].contains(NIGHT), "{said:?}");
    let size = format!("B: {NIGHT}");
    assert!(said.err[named..asked].contains(" files with "), "{said:?}");
    assert!(said.err[named..asked].contains(&size), "{said:?}");
    assert_eq!(rows_kept(&desk), 0);
    let log = std::fs::read_to_string(desk.site.join("logs/almagest.log")).expect("a log");
    assert!(
        log.contains(": purged 3 rounds of 1 delivery") && log.contains("event=purged"),
        "{log}"
    );
}

#[test]
fn a_dry_run_of_a_purge_deletes_nothing_and_prints_what_the_purge_does() {
    for desk in Desk::of_both_engines() {
        retracted(&desk);
        let (before, previews) = (rows_kept(&desk), operator::walk(&desk.site.join("previews")));
        let history = || desk.rows("SELECT * FROM unit_history ORDER BY unit_id, number");
        let known = history();
        assert!(!previews.is_empty());
        let tried = desk.at_site(&["purge", "--dry-run"]).ended(0);
        let report = desk.at_site(&["purge", "--dry-run", "--json"]).json(0);
        let left = operator::walk(&desk.site.join("previews"));
        assert_eq!((rows_kept(&desk), history(), left), (before, known, previews));
        assert_eq!(report["deliveries"], serde_json::json!([NIGHT]), "{report}");
        assert!(report["bytes"].as_u64() > Some(0) && report["dry_run"] == true, "{report}");
        let done = desk.at_site(&PURGE).ended(0);
        assert_eq!(tried, format!("dry run, nothing is changed:\n{done}"));
        assert_eq!(rows_kept(&desk), 0);
        assert!(operator::walk(&desk.site.join("previews")).is_empty());
        desk.verified();
        // Nothing is left to purge.
        let again = desk.at_site(&[&PURGE[..], &["--json"]].concat()).json(0);
        assert_eq!((&again["rows"], &again["rounds"]), (&0.into(), &serde_json::json!([])));
    }
}

#[test]
fn author_and_reason_of_a_purge_are_explained() {
    for desk in Desk::of_both_engines() {
        retracted(&desk);
        let mut command = desk.command(&PURGE);
        command.env("ALMAGEST_OPERATOR", "pat");
        Said::from(command.output().expect("it starts")).ended(0);
        let explained = desk.at_site(&["explain", NIGHT]).ended(0);
        let line = |use_case: &str| {
            let begin = format!("{use_case} round 1 was purged on ");
            let line = explained.lines().find(|line| line.starts_with(&begin));
            line.unwrap_or_else(|| panic!("{begin}: {explained}")).to_owned()
        };
        for use_case in ["metadata", "preview", "catalogue"] {
            let line = line(use_case);
            // The login is next to the name.
            assert!(line.contains(" by pat") && line.ends_with(": bad flat"), "{line}");
        }
        let frame = desk.value("SELECT min(file.name) FROM file JOIN image USING (file_id)");
        let of_frame = desk.at_site(&["explain", frame.as_str().expect("a name")]).ended(0);
        assert!(of_frame.contains("metadata round 1 was purged on "), "{of_frame}");
    }
}
