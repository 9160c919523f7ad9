//! Nights that depend on one another: products that older versions keep, calibration frames that nights share, and archives in
//! which rows contradict the decisions.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

use operator::{Daemon, Desk, Small, Spoilt, until};
use std::path::{Path, PathBuf};
use testkit::postgres::Database;

const FIRST: &str = "20071011_v1";
const SECOND: &str = "20071011_v2";

fn small() -> Small<'static> {
    Small { detections: 8, ..Small::default() }
}

/// Lists the names of the catalogues of a delivery.
fn catalogues(delivery: &Path) -> Vec<String> {
    let names = std::fs::read_dir(delivery).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut catalogues: Vec<String> = names.filter(|name| name.ends_with("_cat.fits")).collect();
    catalogues.sort();
    catalogues
}

fn sorted(mut rows: Vec<serde_json::Value>) -> Vec<String> {
    rows.sort_by_key(ToString::to_string);
    rows.iter().map(ToString::to_string).collect()
}

/// Sites on both engines, with the database of the one on the server.
fn with_databases() -> impl Iterator<Item = (Desk, Option<Database>)> {
    let on_server = Desk::on_server().map(|(desk, database)| (desk, Some(database)));
    [(Desk::new(), None)].into_iter().chain(on_server)
}

/// Changes the tables of a site as no act does.
fn change(desk: &Desk, database: Option<&Database>, sql: &str) {
    match database {
        None => {
            let database = rusqlite::Connection::open(desk.site.join("archive.db")).unwrap();
            database.execute_batch(sql).unwrap();
        }
        Some(database) => drop(database.psql(sql)),
    }
}

fn image_of(catalogue: &str) -> String {
    catalogue.replace("_cat.fits", ".fit")
}

fn multiframe(desk: &Desk, delivery: &str, file: &str) -> u64 {
    desk.count(&format!(
        "SELECT multiframe_id FROM image JOIN file USING (file_id) JOIN delivery USING (delivery_id)
         WHERE delivery.name = '{delivery}' AND file.name = '{file}'"
    ))
}

/// Runs both versions of a night. In the second one the first frame has no catalogue and the second frame that of another field.
/// Returns the names of these frames.
fn two_versions(desk: &Desk) -> [String; 2] {
    let first = desk.simulate(&small());
    let second = desk.simulate(&Small { version: 2, ..small() });
    let names = catalogues(&second);
    std::fs::rename(second.join(&names[0]), second.join(&names[1])).unwrap();
    desk.run(&first).ended(0);
    desk.run(&second).ended(1);
    [image_of(&names[0]), image_of(&names[1])]
}

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

/// Rewrites a catalogue with its zero points raised by one magnitude and a column of another name in the tables of some
/// detectors.
fn redeliver(path: &Path, [from, to]: [&str; 2], of: &[usize]) {
    let mut bytes = std::fs::read(path).unwrap();
    let (mut zero_points, mut columns, mut hdu) = (0, 0, 1);
    for card in bytes.chunks_exact_mut(80) {
        if card.starts_with(b"XTENSION=") {
            hdu += 1;
        } else if card.starts_with(b"MAGZPT  =") {
            let value: f64 = std::str::from_utf8(&card[10..30]).unwrap().trim().parse().unwrap();
            card[10..30].copy_from_slice(format!("{:>20.3}", value + 1.0).as_bytes());
            zero_points += 1;
        } else if card.starts_with(b"TTYPE") && of.contains(&hdu) {
            let text = std::str::from_utf8(card).unwrap();
            columns += usize::from(text.contains(from));
            let text = text.replace(from, to);
            card.copy_from_slice(text.as_bytes());
        }
    }
    assert_eq!((zero_points, columns), (4, of.len()));
    std::fs::write(path, bytes).unwrap();
}

const FLUX: &str = "Isophotal_flux";
const NO_FLUX: &str = "Isophotal_none";
const ALL: [usize; 4] = [2, 3, 4, 5];

/// What the current metadata say of the catalogues, and which version the detections are of.
const OF_CATALOGUES: &str = "SELECT file_name, multiframe.cat_version, cat_sha256, version, phot_zp_cat,
        (SELECT count(*) FROM header WHERE header.multiframe_id = multiframe.multiframe_id) AS headers, count(*) AS rows
    FROM detection JOIN multiframe USING (multiframe_id) JOIN multiframe_detector USING (multiframe_id, ext_num)
    GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY file_name, phot_zp_cat";

#[test]
fn metadata_change_with_the_detections_of_their_catalogue() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small());
        let names = catalogues(&delivery);
        desk.run(&delivery).ended(0);
        let first = desk.rows(OF_CATALOGUES);
        let all = desk.rows("SELECT count(*) AS rows FROM detection");
        // The catalogue of the first frame arrives again, and nothing of it can be read.
        redeliver(&delivery.join(&names[0]), [FLUX, NO_FLUX], &ALL);
        desk.run(&delivery).ended(1);
        assert_eq!(desk.rows(OF_CATALOGUES), first, "detections and metadata stay as they are");
        desk.verified();
        let before = desk.value("SELECT max(event_id) FROM event");
        // A readable one replaces both in one event.
        redeliver(&delivery.join(&names[0]), [NO_FLUX, FLUX], &ALL);
        desk.run(&delivery).ended(0);
        let third = desk.rows(OF_CATALOGUES);
        let image = image_of(&names[0]);
        let (changed, rest): (Vec<_>, Vec<_>) =
            third.iter().partition(|row| row["file_name"] == image.as_str());
        assert!(first.iter().filter(|row| row["file_name"] != image.as_str()).eq(rest));
        let old: Vec<_> = first.iter().filter(|row| row["file_name"] == image.as_str()).collect();
        assert_eq!((changed.len(), old.len()), (4, 4));
        for (new, old) in changed.iter().zip(&old) {
            assert_eq!((&new["version"], &new["cat_version"]), (&3.into(), &3.into()));
            let raised =
                new["phot_zp_cat"].as_f64().unwrap() - old["phot_zp_cat"].as_f64().unwrap();
            assert!((raised - 2.0).abs() < 1e-4, "{new} {old}");
            assert_eq!(new["headers"], old["headers"]);
            assert_ne!(new["cat_sha256"], old["cat_sha256"]);
        }
        assert_eq!(desk.rows("SELECT count(*) AS rows FROM detection"), all);
        let began = |table: &str| {
            desk.value(&format!(
                "SELECT max(t.begin_event) FROM {table} AS t JOIN multiframe AS m USING (multiframe_id)
                 WHERE m.file_name = '{image}'"
            ))
        };
        let event = began("detection");
        for table in ["multiframe", "multiframe_detector", "astrometry", "header"] {
            assert_eq!(began(table), event, "{table}");
        }
        desk.verified();
        // Every earlier event says what it said.
        let then = desk.at_site(&[
            "sql",
            "--as-of",
            &before.to_string(),
            "--format",
            "json",
            OF_CATALOGUES,
        ]);
        let then: Vec<serde_json::Value> = serde_json::from_str(&then.ended(0)).unwrap();
        assert_eq!(then, first);
        // A retraction and its undo restore the same state.
        desk.at_site(&["retract", FIRST, "--reason", "a test"]).ended(0);
        desk.at_site(&["retract", FIRST, "--undo", "--reason", "a test"]).ended(0);
        assert_eq!(desk.rows(OF_CATALOGUES), third);
        desk.verified();
    }
}

/// A correction of a frame shows while the newer version of its catalogue stays refused, and stays when a readable one comes.
#[test]
fn corrections_do_not_wait_for_a_catalogue() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small());
        let name = catalogues(&delivery).remove(0);
        desk.run(&delivery).ended(0);
        let first = desk.rows(OF_CATALOGUES);
        redeliver(&delivery.join(&name), [FLUX, NO_FLUX], &ALL);
        desk.run(&delivery).ended(1);
        // The profile learns that observers are named by another keyword.
        let observers =
            |desk: &Desk| desk.rows("SELECT observer, count(*) AS n FROM multiframe GROUP BY 1");
        let objects =
            desk.rows("SELECT object AS observer, count(*) AS n FROM multiframe GROUP BY 1");
        assert_ne!(observers(&desk), objects);
        let profile = desk.site.join("surveys/wfcam.toml");
        let text = std::fs::read_to_string(&profile).unwrap();
        let spelling = "[column.multiframe]\nobserver = { keywords = [\"OBJECT\"] }";
        assert!(text.contains("[column.multiframe]"));
        std::fs::write(&profile, text.replacen("[column.multiframe]", spelling, 1)).unwrap();
        desk.at_site(&["metadata", "--again", "--delivery", FIRST]).ended(0);
        desk.at_site(&["ingest"]).ended(0);
        assert_eq!(sorted(observers(&desk)), sorted(objects.clone()));
        assert_eq!(desk.rows(OF_CATALOGUES), first);
        desk.verified();
        redeliver(&delivery.join(&name), [NO_FLUX, FLUX], &ALL);
        desk.run(&delivery).ended(0);
        assert_eq!(sorted(observers(&desk)), sorted(objects));
        assert_eq!(desk.count("SELECT max(cat_version) FROM multiframe_detector"), 3);
        desk.verified();
    }
}

/// Repairs an archive in which the zero points beside the older detections are those of a newer catalogue that was refused.
#[test]
fn zero_points_of_a_refused_catalogue_are_removed_by_a_repair() {
    for (desk, database) in with_databases() {
        let delivery = desk.simulate(&small());
        let name = catalogues(&delivery).remove(0);
        desk.run(&delivery).ended(0);
        let first = desk.rows(OF_CATALOGUES);
        redeliver(&delivery.join(&name), [FLUX, NO_FLUX], &ALL);
        desk.run(&delivery).ended(1);
        let number = multiframe(&desk, FIRST, &image_of(&name));
        let mix = format!(
            "UPDATE multiframe_all SET cat_version = 2, cat_sha256 = 'other'
                 WHERE end_event IS NULL AND multiframe_id = {number};
             UPDATE multiframe_detector_all SET cat_version = 2, phot_zp_cat = phot_zp_cat + 1
                 WHERE end_event IS NULL AND multiframe_id = {number};"
        );
        change(&desk, database.as_ref(), &mix);
        assert_ne!(desk.rows(OF_CATALOGUES), first);
        let found = desk.at_site(&["verify"]);
        assert_eq!(found.code, Some(3), "{found:?}");
        let line = format!(
            "detections of multiframe {number} extension 2 are of version 1 of its catalogue, its metadata of version 2"
        );
        assert!(found.out.contains(&line), "{}", found.out);
        desk.at_site(&["verify", "--repair"]);
        desk.verified();
        assert_eq!(desk.rows(OF_CATALOGUES), first);
    }
}

#[test]
fn metadata_of_a_detector_change_with_its_detections() {
    const OF_DETECTORS: &str = "SELECT ext_num, version, phot_zp_cat, count(*) AS rows
        FROM detection JOIN multiframe USING (multiframe_id) JOIN multiframe_detector USING (multiframe_id, ext_num)
        WHERE file_name = '{}' GROUP BY 1, 2, 3 ORDER BY 1";
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small());
        let name = catalogues(&delivery).remove(0);
        desk.run(&delivery).ended(0);
        let query = OF_DETECTORS.replace("{}", &image_of(&name));
        let number = |row: &serde_json::Value, name: &str| row[name].as_f64().unwrap();
        let first = desk.rows(&query);
        let check = |raised: [f64; 4], versions: [f64; 4]| {
            let rows = desk.rows(&query);
            assert_eq!(rows.len(), 4);
            for (at, (row, old)) in rows.iter().zip(&first).enumerate() {
                let (now, before) = (number(row, "phot_zp_cat"), number(old, "phot_zp_cat"));
                assert!((now - before - raised[at]).abs() < 1e-4, "{row} {old}");
                assert_eq!(number(row, "version"), versions[at], "{row}");
                assert_eq!(row["rows"], old["rows"]);
            }
        };
        // The table of one detector cannot be read: it keeps its detections, and what describes them.
        redeliver(&delivery.join(&name), [FLUX, NO_FLUX], &[3]);
        desk.run(&delivery).ended(1);
        check([1.0, 0.0, 1.0, 1.0], [2.0, 1.0, 2.0, 2.0]);
        desk.verified();
        // Redone, it is refused again.
        let number = desk.refusals()[0]["number"].to_string();
        desk.at_site(&["refusals", "retry", &number, "--reason", "a test"]).ended(0);
        desk.run(&delivery);
        check([1.0, 0.0, 1.0, 1.0], [2.0, 1.0, 2.0, 2.0]);
        redeliver(&delivery.join(&name), [NO_FLUX, FLUX], &[3]);
        desk.run(&delivery).ended(0);
        check([2.0; 4], [3.0; 4]);
        assert_eq!(desk.refusals(), Vec::<serde_json::Value>::new());
        desk.verified();
    }
}

#[test]
fn a_redone_detector_updates_its_metadata() {
    const OF_THIRD: &str = "SELECT version, phot_zp_cat, count(iso_flux) AS rows
        FROM detection JOIN multiframe USING (multiframe_id) JOIN multiframe_detector USING (multiframe_id, ext_num)
        WHERE file_name = '{}' AND ext_num = 3 GROUP BY 1, 2";
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small());
        let name = catalogues(&delivery).remove(0);
        desk.run(&delivery).ended(0);
        let query = OF_THIRD.replace("{}", &image_of(&name));
        let first = desk.rows(&query);
        redeliver(&delivery.join(&name), [FLUX, NO_FLUX], &[3]);
        desk.run(&delivery).ended(1);
        assert_eq!(desk.rows(&query), first);
        // The profile learns the name of the column.
        let profile = desk.site.join("surveys/wfcam.toml");
        let text = std::fs::read_to_string(&profile).unwrap();
        let spelling = format!("[catalogue.spellings]\niso_flux = [\"{FLUX}\", \"{NO_FLUX}\"]");
        std::fs::write(&profile, text.replacen("[catalogue.spellings]", &spelling, 1)).unwrap();
        let number = desk.refusals()[0]["number"].to_string();
        desk.at_site(&["refusals", "retry", &number, "--reason", "a test"]).ended(0);
        desk.run(&delivery).ended(0);
        let second = desk.rows(&query);
        assert_eq!(second.len(), 1);
        assert_eq!((&second[0]["version"], &second[0]["rows"]), (&2.into(), &first[0]["rows"]));
        let zero_point = |rows: &[serde_json::Value]| rows[0]["phot_zp_cat"].as_f64().unwrap();
        assert!((zero_point(&second) - zero_point(&first) - 1.0).abs() < 1e-4, "{second:?}");
        desk.verified();
    }
}

/// The night's first frame with a catalogue, of which every version has its zero points raised by one magnitude.
struct Versions {
    desk: Desk,
    delivery: PathBuf,
    name: String,
    query: String,
    first: Vec<serde_json::Value>,
}

impl Versions {
    fn on_both_engines() -> impl Iterator<Item = Self> {
        Desk::of_both_engines().into_iter().map(|desk| {
            let delivery = desk.simulate(&small());
            let name = catalogues(&delivery).remove(0);
            let query = format!(
                "SELECT ext_num, version, phot_zp_cat, multiframe_detector.cat_version, count(*) AS rows
                 FROM detection JOIN multiframe USING (multiframe_id)
                     JOIN multiframe_detector USING (multiframe_id, ext_num)
                 WHERE file_name = '{}' GROUP BY 1, 2, 3, 4 ORDER BY 1",
                image_of(&name)
            );
            Self { desk, delivery, name, query, first: Vec::new() }
        })
    }

    /// Delivers the next version, of which the tables of some detectors cannot be read.
    fn deliver(&self, spoilt: &[usize]) {
        let path = self.delivery.join(&self.name);
        let text = std::fs::read(&path).unwrap();
        let is_spoilt = text.windows(NO_FLUX.len()).any(|w| w == NO_FLUX.as_bytes());
        assert!(!is_spoilt, "only the last version is spoilt");
        redeliver(&path, [FLUX, NO_FLUX], spoilt);
        self.step(&["transfer", &self.delivery.display().to_string()]);
    }

    fn step(&self, words: &[&str]) {
        let said = self.desk.at_site(words);
        assert!(matches!(said.code, Some(0 | 1)), "{words:?}: {said:?}");
    }

    fn run(&self) {
        self.step(&["run", &self.delivery.display().to_string()]);
    }

    /// Each detector's zero point is that of the version of its detections, in the order of the detectors.
    #[track_caller]
    fn shows(&mut self, versions: [i64; 4]) {
        let rows = self.desk.rows(&self.query);
        assert_eq!(rows.len(), 4, "{rows:?}");
        if self.first.is_empty() {
            self.first.clone_from(&rows);
        }
        for ((row, first), version) in rows.iter().zip(&self.first).zip(versions) {
            assert_eq!((&row["version"], &row["cat_version"]), (&version.into(), &version.into()));
            let zero_point = |row: &serde_json::Value| row["phot_zp_cat"].as_f64().unwrap();
            let raised = zero_point(row) - zero_point(first);
            assert!((raised - (version - 1) as f64).abs() < 1e-4, "{row} {first}");
            assert_eq!(row["rows"], first["rows"]);
        }
        self.desk.verified();
    }
}

/// The newer version of a night goes between the metadata and the detections of a catalogue that came again.
#[test]
fn metadata_of_a_superseded_frame_wait_for_their_detections() {
    for mut frame in Versions::on_both_engines() {
        frame.run();
        frame.shows([1; 4]);
        frame.query = frame.query.replace("WHERE ", "WHERE delivery = '20071011_v1' AND ");
        let newer = frame.desk.simulate(&Small { version: 2, ..small() }).display().to_string();
        frame.step(&["run", &newer]);
        frame.deliver(&[]);
        frame.step(&["metadata"]);
        frame.step(&["ingest"]);
        frame.desk.verified();
        frame.step(&["retract", SECOND, "--reason", "a test"]);
        frame.shows([1; 4]);
        frame.run();
        frame.shows([2; 4]);
    }
}

/// An older frame is current despite a newer one. An act ends its rows and, at once, those that it puts in their place: both end in
/// one event, and the later ones come back.
#[test]
fn rows_of_a_frame_that_end_together_come_back_once() {
    for (desk, database) in with_databases() {
        let first = desk.simulate(&small());
        let second = desk.simulate(&Small { version: 2, ..small() });
        let image = image_of(&catalogues(&first).remove(0));
        desk.run(&first).ended(0);
        let query = format!(
            "SELECT count(*) FROM multiframe_detector JOIN multiframe USING (multiframe_id) WHERE file_name = '{image}'"
        );
        assert_eq!(desk.count(&query), 4);
        desk.run(&second).ended(0);
        let number = multiframe(&desk, FIRST, &image);
        let tables = [
            "multiframe",
            "multiframe_detector",
            "astrometry",
            "header",
            "provenance",
            "programme_frame",
        ];
        let shown: String = tables
            .iter()
            .map(|table| {
                format!(
                    "UPDATE {table}_all SET end_event = NULL WHERE multiframe_id = {number} AND end_event = (
                         SELECT ended_event FROM product WHERE multiframe_id = {number} AND use_case = 'metadata');"
                )
            })
            .collect();
        let shown = format!(
            "{shown} UPDATE product SET state = 'current', ended_event = NULL
                 WHERE multiframe_id = {number} AND use_case = 'metadata';"
        );
        change(&desk, database.as_ref(), &shown);
        assert_eq!(desk.count(&query), 8);
        desk.at_site(&["metadata", "--again", "--delivery", FIRST]).ended(0);
        desk.at_site(&["ingest"]).ended(0);
        assert_eq!(desk.count(&query), 4);
        desk.verified();
        desk.at_site(&["retract", SECOND, "--reason", "a test"]).ended(0);
        assert_eq!(desk.count(&query), 4);
        desk.verified();
    }
}

#[test]
fn staged_detections_find_the_metadata_of_their_catalogue() {
    for mut frame in Versions::on_both_engines() {
        let delivery = frame.delivery.display().to_string();
        for words in [&["transfer", &delivery][..], &["metadata"], &["ingest"], &["catalogue"]] {
            frame.step(words);
        }
        // The second version, of which nothing can be read, comes while the detections of the first are staged.
        frame.deliver(&ALL);
        frame.step(&["metadata"]);
        frame.step(&["ingest"]);
        frame.shows([1; 4]);
        frame.run();
        frame.shows([1; 4]);
    }
}

#[test]
fn a_third_version_leaves_the_second_its_metadata() {
    for mut frame in Versions::on_both_engines() {
        frame.run();
        frame.shows([1; 4]);
        frame.deliver(&[]);
        for words in [["metadata"], ["ingest"], ["catalogue"]] {
            frame.step(&words);
        }
        frame.deliver(&ALL);
        frame.step(&["metadata"]);
        frame.step(&["ingest"]);
        frame.shows([2; 4]);
        frame.run();
        frame.shows([2; 4]);
    }
}

#[test]
fn an_undo_brings_metadata_back_with_the_detections() {
    for mut frame in Versions::on_both_engines() {
        frame.run();
        frame.shows([1; 4]);
        let retract = ["retract", FIRST, "--use-case", "catalogue", "--reason", "a test"];
        frame.step(&retract);
        frame.deliver(&[2]);
        frame.step(&["catalogue", "--again", "--delivery", FIRST]);
        frame.step(&["ingest"]);
        frame.run();
        frame.step(&["retract", FIRST, "--undo", "--reason", "a test"]);
        frame.shows([1, 2, 2, 2]);
    }
}

#[test]
fn metadata_of_a_retracted_night_wait_for_their_detections() {
    for mut frame in Versions::on_both_engines() {
        frame.run();
        frame.shows([1; 4]);
        frame.deliver(&[]);
        frame.step(&["retract", FIRST, "--reason", "a test"]);
        frame.step(&["metadata", "--again", "--delivery", FIRST]);
        frame.step(&["ingest"]);
        frame.step(&["retract", FIRST, "--undo", "--reason", "a test"]);
        frame.shows([1; 4]);
        frame.run();
        frame.shows([2; 4]);
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
