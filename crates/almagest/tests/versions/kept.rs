//! Products that older versions of a night keep: what reports them, what decides about them, and the repair of rows that contradict
//! the decisions.

use super::*;
use crate::operator::{Daemon, Spoilt, until};

#[test]
fn kept_products_are_explained_and_counted() {
    for desk in Desk::of_both_engines() {
        let [without, refused] = two_versions(&desk);
        let explain = |words: &[&str]| desk.at_site(&[&["explain"], words].concat()).ended(0);
        let older = multiframe(&desk, FIRST, &without);
        let newer = multiframe(&desk, SECOND, &without);
        let supersede = |file: &str, undo: &str| {
            let site = desk.site.display();
            format!(
                "almagest --site {site} supersede {SECOND} --file {file} --use-case catalogue{undo} --reason"
            )
        };
        let by_name = explain(&[&format!("{FIRST}/{without}")]);
        let line = format!(
            "the detections of the image stay current despite the newer frame {SECOND}/{without}, multiframe {newer}: \
             no catalogue in {SECOND} belongs to the image"
        );
        assert!(by_name.contains(&line), "{by_name}");
        assert!(by_name.contains(&supersede(&without, "")), "{by_name}");
        assert_eq!(explain(&["multiframe", &older.to_string()]), by_name);
        let line = format!(
            "the detections of {FIRST}/{without}, multiframe {older}, show in place of this image: \
             no catalogue in {SECOND} belongs to the image"
        );
        for told in [explain(&[&format!("{SECOND}/{without}")]), explain(&[&newer.to_string()])] {
            assert!(told.contains(&line) && told.contains(&supersede(&without, "")), "{told}");
        }
        let told = explain(&[&format!("{FIRST}/{refused}")]);
        assert!(
            told.contains(&format!("the catalogue of the frame in {SECOND} was refused")),
            "{told}"
        );
        let told = explain(&[FIRST]);
        assert!(
            told.contains("2 products of the delivery stay current despite newer frames"),
            "{told}"
        );
        assert_eq!(desk.status()["kept_products"], 2);
        let status = desk.at_site(&["status"]).ended(0);
        assert!(
            status.contains("2 older products kept because newer frames or catalogues lack them"),
            "{status}"
        );
        // A decision about one of them, which is explained in its turn.
        let words = ["supersede", SECOND, "--file", &without, "--use-case", "catalogue"];
        desk.at_site(&[&words[..], &["--reason", "flat was bad"]].concat()).ended(0);
        assert_eq!(desk.status()["kept_products"], 1);
        let told = explain(&[&format!("{FIRST}/{without}")]);
        assert!(told.contains("by decision of") && told.contains("flat was bad"), "{told}");
        assert!(told.contains(&supersede(&without, " --undo")), "{told}");
        assert!(!told.contains("retract "), "{told}");
        // The newer version is retracted and restored: the decision is in force again and is still explained.
        let retract = ["retract", SECOND, "--reason", "a test"];
        desk.at_site(&retract).ended(0);
        assert!(!explain(&[&format!("{FIRST}/{without}")]).contains("by decision of"));
        desk.at_site(&[&retract[..], &["--undo"]].concat()).ended(0);
        let again = explain(&[&format!("{FIRST}/{without}")]);
        // The newer frame superseded the previews in another event.
        let others = |told: &str| -> Vec<String> {
            let lines =
                told.lines().filter(|line| !line.starts_with("the previews were superseded"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(others(&again), others(&told));
        assert_eq!(again.matches("by decision of").count(), 1, "{again}");
        desk.at_site(&[&words[..], &["--undo", "--reason", "it was not"]].concat()).ended(0);
        assert_eq!(others(&explain(&[&format!("{FIRST}/{without}")])), others(&by_name));
        desk.verified();
    }
}

#[test]
fn kept_products_are_notified() {
    for desk in Desk::of_both_engines() {
        two_versions(&desk);
        desk.in_a_hurry();
        let told = desk.dir.path().join("told");
        let script = format!("cat >> {0}; echo >> {0}", told.display());
        let command = format!("command = [\"/bin/sh\", \"-c\", \"{script}\"]");
        desk.configure(&[("command = []", &command)]);
        let daemon = Daemon::start(&desk, &["data"], &[]);
        let notices = || -> Vec<serde_json::Value> {
            let text = std::fs::read_to_string(&told).unwrap_or_default();
            let notices = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            notices.filter(|n: &serde_json::Value| n["kind"] == "kept").collect()
        };
        until("both notices", || notices().len() == 2);
        daemon.end().ended(0);
        let mut keys: Vec<String> =
            notices().iter().map(|n| n["key"].as_str().unwrap().to_owned()).collect();
        keys.sort();
        let key = |why: &str| format!("kept/{SECOND}/catalogue/{why}");
        assert_eq!(keys, [key("no_catalogue"), key("refused")]);
        for notice in notices() {
            let message = notice["message"].as_str().unwrap();
            let command = format!("findings --delivery {SECOND}");
            assert!(message.contains("detections of 1 older frame kept"), "{message}");
            assert!(message.contains(&command), "{message}");
        }
    }
}

/// Repairs an archive in which rows of older frames ended although no decision says so: `verify` lists what should show, and
/// `--repair` shows it.
#[test]
fn what_ended_without_a_decision_shows_after_a_repair() {
    for (desk, database) in with_databases() {
        let [without, refused] = two_versions(&desk);
        let shown = || {
            desk.rows(
                "SELECT file.name, delivery.name AS delivery, count(*) AS n FROM detection
                     JOIN multiframe ON multiframe.multiframe_id = detection.multiframe_id
                     JOIN image ON image.multiframe_id = detection.multiframe_id
                     JOIN file ON file.file_id = image.file_id JOIN delivery ON delivery.delivery_id = file.delivery_id
                 GROUP BY file.name, delivery.name ORDER BY 1",
            )
        };
        let wanted = shown();
        desk.at_site(&["supersede", SECOND, "--reason", "a test"]).ended(0);
        let forget = "DELETE FROM supersession";
        match &database {
            None => {
                let database = rusqlite::Connection::open(desk.site.join("archive.db")).unwrap();
                assert_eq!(database.execute(forget, []).unwrap(), 2);
            }
            Some(database) => drop(database.psql(forget)),
        }
        assert_eq!(shown().len(), wanted.len() - 2);
        let found = desk.at_site(&["verify"]);
        assert_eq!(found.code, Some(3), "{found:?}");
        for file in [&without, &refused] {
            let multiframe = multiframe(&desk, FIRST, file).to_string();
            assert!(found.out.contains(&multiframe), "{multiframe}: {}", found.out);
        }
        desk.at_site(&["verify", "--repair"]);
        desk.verified();
        assert_eq!(shown(), wanted);
    }
}

/// Repairs an archive in which the older detections of a detector ended although no decision says so.
#[test]
fn detectors_that_ended_without_a_decision_show_after_a_repair() {
    for (desk, database) in with_databases() {
        let first = desk.simulate(&small());
        let second = desk.simulate(&Small { version: 2, ..small() });
        let name = catalogues(&second).remove(0);
        let whole = std::fs::read(second.join(&name)).unwrap();
        std::fs::write(second.join(&name), Spoilt::Refused(3).of(&whole)).unwrap();
        desk.run(&first).ended(0);
        desk.run(&second).ended(1);
        let shown = || {
            desk.rows(
                "SELECT multiframe_id, ext_num, count(*) AS n FROM detection JOIN multiframe USING (multiframe_id)
                 GROUP BY multiframe_id, ext_num ORDER BY 1, 2",
            )
        };
        let wanted = shown();
        let (old, new) = (
            multiframe(&desk, FIRST, &image_of(&name)),
            multiframe(&desk, SECOND, &image_of(&name)),
        );
        let detectors = |of: u64| wanted.iter().filter(|r| r["multiframe_id"] == of).count();
        assert_eq!((detectors(old), detectors(new)), (1, 3));
        desk.at_site(&["supersede", SECOND, "--reason", "a test"]).ended(0);
        let forget = "DELETE FROM supersession";
        match &database {
            None => {
                let database = rusqlite::Connection::open(desk.site.join("archive.db")).unwrap();
                assert_eq!(database.execute(forget, []).unwrap(), 1);
            }
            Some(database) => drop(database.psql(forget)),
        }
        assert_eq!(shown().len(), wanted.len() - 1);
        let found = desk.at_site(&["verify"]);
        assert_eq!(found.code, Some(3), "{found:?}");
        assert!(found.out.contains(&old.to_string()), "{old}: {}", found.out);
        desk.at_site(&["verify", "--repair"]);
        desk.verified();
        assert_eq!(shown(), wanted);
        let told = desk.at_site(&["explain", &format!("{FIRST}/{}", image_of(&name))]).ended(0);
        let line = format!(
            "the detections of ext_num 3 of the image stay current despite the newer frame {SECOND}/{}, multiframe {new}: \
             the catalogue of the frame in {SECOND} has no accepted detections of ext_num 3: HDU refused",
            image_of(&name)
        );
        assert!(told.contains(&line), "{told}");
    }
}

/// A decision in favour of the third version is about the first one's detections. Those that the second version gets later are current
/// despite the third, reported as kept, and need a decision of their own.
#[test]
fn a_decision_is_about_the_products_that_it_ended() {
    for desk in Desk::of_both_engines() {
        let [first, second, third] =
            [1, 2, 3].map(|version| desk.simulate(&Small { version, ..small() }));
        let catalogue = catalogues(&second).remove(0);
        let late = desk.dir.path().join(&catalogue);
        std::fs::rename(second.join(&catalogue), &late).unwrap();
        std::fs::remove_file(third.join(&catalogue)).unwrap();
        for delivery in [&first, &second, &third] {
            desk.run(delivery).ended(0);
        }
        let file = image_of(&catalogue);
        let shown = || {
            desk.rows(&format!(
                "SELECT delivery.name FROM detection JOIN image USING (multiframe_id) JOIN file ON file.file_id = image.file_id
                     JOIN delivery ON delivery.delivery_id = file.delivery_id
                 WHERE file.name = '{file}' GROUP BY delivery.name"
            ))
        };
        let only = |delivery: &str| vec![serde_json::json!({ "name": delivery })];
        let supersede = || desk.at_site(&["supersede", "20071011_v3", "--reason", "bad flat"]);
        assert_eq!(shown(), only(FIRST));
        supersede().ended(0);
        assert_eq!(shown(), Vec::<serde_json::Value>::new());
        std::fs::rename(&late, second.join(&catalogue)).unwrap();
        desk.run(&second).ended(0);
        assert_eq!(shown(), only(SECOND));
        let findings = desk.at_site(&["findings", "--delivery", "20071011_v3"]).ended(0);
        assert!(findings.contains("older_detections_kept"), "{findings}");
        supersede().ended(0);
        assert_eq!(shown(), Vec::<serde_json::Value>::new());
        desk.verified();
    }
}

#[test]
fn a_decision_is_explained_with_what_came_after_it() {
    for desk in Desk::of_both_engines() {
        // The second version is registered first, and lacks a catalogue.
        let first = desk.simulate(&small());
        let second = desk.simulate(&Small { version: 2, ..small() });
        let catalogue = catalogues(&second).remove(0);
        let late = desk.dir.path().join(&catalogue);
        std::fs::rename(second.join(&catalogue), &late).unwrap();
        desk.run(&second).ended(0);
        desk.run(&first).ended(0);
        let file = image_of(&catalogue);
        assert!(multiframe(&desk, FIRST, &file) > multiframe(&desk, SECOND, &file));
        let explain = || desk.at_site(&["explain", &format!("{FIRST}/{file}")]).ended(0);
        let act = |words: &[&str]| desk.at_site(&[words, &["--reason", "test"]].concat()).ended(0);
        let site = desk.site.display();
        let undo = format!(
            "almagest --site {site} supersede {SECOND} --file {file} --use-case catalogue --undo"
        );
        let restore = format!("almagest --site {site} retract {FIRST} --undo");
        act(&["supersede", SECOND]);
        let told = explain();
        assert!(told.contains("were ended by decision of") && told.contains(&undo), "{told}");
        assert!(!told.contains(&restore), "{told}");
        // Both must be undone for rows to show.
        act(&["retract", FIRST]);
        let told = explain();
        assert!(told.contains(&restore) && told.contains(&undo), "{told}");
        act(&["retract", FIRST, "--undo"]);
        assert!(explain().contains(&undo));
        // The newer frame gets detections of its own: an undo of the decision would show nothing.
        std::fs::rename(&late, second.join(&catalogue)).unwrap();
        desk.run(&second).ended(0);
        let told = explain();
        assert!(
            told.contains("a newer frame has replaced them since") && !told.contains(&undo),
            "{told}"
        );
        assert!(told.contains(&format!("explain {SECOND}/{file}")), "{told}");
        desk.verified();
    }
}

/// The second processing lacks the first detector, so that all others have other extension numbers.
#[test]
fn detectors_are_known_by_their_names_in_the_headers() {
    for desk in Desk::of_both_engines() {
        let (first, second) =
            (desk.simulate(&small()), desk.simulate(&Small { version: 2, ..small() }));
        let name = catalogues(&second).remove(0);
        for file in [name.clone(), image_of(&name)] {
            let whole = std::fs::read(second.join(&file)).unwrap();
            std::fs::write(second.join(&file), Spoilt::FirstAbsent.of(&whole)).unwrap();
        }
        let cameras = || {
            desk.rows(&format!(
                "SELECT cam_num, version_num, count(*) AS rows FROM detection
                     JOIN multiframe USING (multiframe_id) JOIN multiframe_detector USING (multiframe_id, ext_num)
                 WHERE file_name = '{}' GROUP BY 1, 2 ORDER BY 1",
                image_of(&name)
            ))
        };
        desk.run(&first).ended(0);
        let before = cameras();
        let said = desk.run(&second);
        assert!(matches!(said.code, Some(0 | 1)), "{said:?}");
        let after = cameras();
        assert_eq!((before.len(), after.len()), (4, 4), "{after:?}");
        for (at, (old, new)) in before.iter().zip(&after).enumerate() {
            assert_eq!((&old["cam_num"], &old["rows"]), (&new["cam_num"], &new["rows"]));
            let version = if at == 0 { "1" } else { "2" };
            assert_eq!(new["version_num"].to_string().trim_matches('"'), version, "{after:?}");
        }
        let told = desk.at_site(&["findings", "--delivery", SECOND]).ended(0);
        assert!(told.contains("older_detections_kept"), "{told}");
        // The first detector is not in the newer frame, whose ext_num 2 has detections.
        let told = desk.at_site(&["findings", "--delivery", SECOND, "--json"]).json(0).to_string();
        let wanted = "shows the detections of ext_num 2 of 20071011_v1: the frame in 20071011_v2 does not have the detector";
        assert!(told.contains(wanted), "{told}");
        desk.verified();
    }
}
