//! What `explain` answers about frames that other frames, retractions and rounds have changed.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

use operator::{Desk, Small, Spoilt};
use std::path::{Path, PathBuf};

const FIRST: &str = "20071011_v1";
const SECOND: &str = "20071011_v2";

fn small() -> Small<'static> {
    Small { frames: 6, detections: 10, ..Small::default() }
}

/// Both versions of a night, of which nothing is processed yet.
fn versions(desk: &Desk) -> [PathBuf; 2] {
    [1, 2].map(|version| desk.simulate(&Small { version, ..small() }))
}

fn retract(desk: &Desk, delivery: &str, more: &[&str]) {
    let words = ["retract", delivery, "--reason", "bad flat"];
    desk.at_site(&[&words[..], more].concat()).ended(0);
}

/// Returns the name of the first image of a delivery that has a catalogue.
fn frame(delivery: &Path) -> String {
    let names = std::fs::read_dir(delivery).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let catalogue = names.filter(|name| name.ends_with("_cat.fits")).min().unwrap();
    catalogue.replace("_cat.fits", ".fit")
}

/// Explains a frame of the first version by name, by an object id and by a position, and its delivery.
fn answers(desk: &Desk, file: &str) -> [String; 3] {
    let row = &desk.rows(&format!(
        "SELECT detector_rows.first_obj_id, astrometry_all.central_ra, astrometry_all.central_dec
         FROM delivery JOIN file USING (delivery_id) JOIN image USING (file_id)
             JOIN detector_rows ON detector_rows.multiframe_id = image.multiframe_id
             JOIN astrometry_all ON astrometry_all.multiframe_id = image.multiframe_id
         WHERE delivery.name = '{FIRST}' AND file.name = '{file}' ORDER BY 1, 2 LIMIT 1"
    ))[0];
    let explain = |words: &[&str]| desk.at_site(&[&["explain"], words].concat()).ended(0);
    let [id, ra, dec] =
        ["first_obj_id", "central_ra", "central_dec"].map(|column| row[column].to_string());
    let of_object = explain(&["object", &id]);
    [explain(&[&format!("{FIRST}/{file}")]), of_object, explain(&[&ra, &dec])]
}

/// A retraction that is undone beside a newer version is not why the older frame does not show.
#[test]
fn an_undone_retraction_is_no_cause() {
    for desk in Desk::of_both_engines() {
        let [first, second] = versions(&desk);
        desk.run(&first).ended(0);
        retract(&desk, FIRST, &[]);
        desk.run(&second).ended(0);
        let file = frame(&first);
        let by_newer = format!("by {SECOND}/{file}, multiframe");
        for told in answers(&desk, &file) {
            assert!(told.contains("were retracted in event") && told.contains(&by_newer), "{told}");
            assert!(told.contains(&format!("retract {FIRST} --undo")), "{told}");
        }
        retract(&desk, FIRST, &["--undo"]);
        let undo = desk.count("SELECT max(event_id) FROM event");
        let line = format!("were superseded in event {undo} on ");
        for told in answers(&desk, &file) {
            assert!(told.contains(&line) && told.contains(&by_newer), "{told}");
            assert!(!told.contains("retracted in event") && !told.contains("--undo"), "{told}");
        }
        let frames = desk.count(&format!("SELECT count(*) FROM file JOIN image USING (file_id) JOIN delivery USING (delivery_id) WHERE delivery.name = '{FIRST}'"));
        let told = desk.at_site(&["explain", FIRST]).ended(0);
        let line = format!("{frames} frames of the delivery are superseded by frames of {SECOND}");
        assert!(told.contains(&line) && told.contains(&format!("explain {SECOND}")), "{told}");
        assert!(!desk.at_site(&["explain", SECOND]).ended(0).contains("are superseded by"));
    }
}

/// Rows that began and ended in one event are superseded by the frame that was there before them.
#[test]
fn frames_are_superseded_at_birth() {
    for desk in Desk::of_both_engines() {
        let [first, second] = versions(&desk);
        desk.run(&second).ended(0);
        desk.run(&first).ended(0);
        let file = frame(&first);
        for told in answers(&desk, &file) {
            assert!(told.contains("were superseded in event"), "{told}");
            assert!(told.contains(&format!("by {SECOND}/{file}, multiframe")), "{told}");
        }
        // Retracted while a newer version shows: the undo would show nothing, and the answer says so.
        retract(&desk, FIRST, &[]);
        for told in answers(&desk, &file) {
            assert!(
                told.contains("were retracted in event") && told.contains("are also superseded by"),
                "{told}"
            );
        }
    }
}

/// Each frame of one name has all its lines, though they equal those of another.
#[test]
fn frames_of_one_name_are_explained_in_full() {
    let desk = Desk::new();
    for night in ["20071011", "20071012"] {
        desk.run(&desk.simulate(&Small { night, ..small() })).ended(0);
    }
    let name = "pK_flat_aug2007.fit";
    let told = desk.at_site(&["explain", name]).ended(0);
    let count = |line: &str| told.lines().filter(|l| *l == line).count();
    assert_eq!(told.lines().filter(|line| line.contains(" is an image, multiframe")).count(), 2);
    assert_eq!(count("metadata round 1 (ingested): done"), 2, "{told}");
    assert_eq!(count("preview round 1 (ingested): done"), 2, "{told}");
}

/// A shell completes the name of a directory with a slash.
#[test]
fn a_trailing_slash_belongs_to_no_name() {
    let desk = Desk::new();
    let delivery = desk.simulate(&small());
    desk.run(&delivery).ended(0);
    let plain = desk.at_site(&["explain", FIRST]).ended(0);
    let library = desk.site.join("library").join(FIRST);
    for name in [format!("{FIRST}/"), format!("{FIRST}//"), format!("{}/", library.display())] {
        assert_eq!(desk.at_site(&["explain", &name]).ended(0), plain, "{name}");
    }
    assert_eq!(desk.at_site(&["explain", "delivery", &format!("{FIRST}/")]).ended(0), plain);
}

/// `catalogue --again` asks for nothing of frames that have no catalogue: no round could take that up.
#[test]
fn frames_without_a_catalogue_are_not_due() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small());
        desk.run(&delivery).ended(0);
        desk.at_site(&["catalogue", "--again", "--delivery", FIRST]).ended(0);
        desk.at_site(&["ingest"]).ended(0);
        let told = desk.at_site(&["explain", FIRST]).ended(0);
        assert!(!told.contains(" is due for "), "{told}");
        assert!(told.contains(&format!("delivery {FIRST} is complete")), "{told}");
        let told = desk.at_site(&["explain", &frame(&delivery)]).ended(0);
        assert!(told.contains("catalogue round 2 (ingested): done"), "{told}");
    }
}

/// A request for the catalogue of a frame without one is dropped with the next round.
#[test]
fn pending_requests_without_a_catalogue_are_dropped() {
    let desk = Desk::new();
    let delivery = desk.simulate(&small());
    desk.run(&delivery).ended(0);
    let archive = rusqlite::Connection::open(desk.site.join("archive.db")).unwrap();
    let ask = "INSERT INTO redo (file_id, use_case, requested, why)
        SELECT file_id, 'catalogue', '2001-01-01T00:00:00Z', 'again' FROM image
        WHERE multiframe_id NOT IN (SELECT multiframe_id FROM catalogue)";
    assert!(archive.execute(ask, []).unwrap() > 0);
    drop(archive);
    desk.at_site(&["ingest"]).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM redo WHERE unit_id IS NULL"), 0);
}

/// All times of an answer have one format.
#[test]
fn times_have_one_format() {
    let desk = Desk::new();
    let [first, second] = versions(&desk);
    desk.run(&first).ended(0);
    desk.run(&second).ended(0);
    let file = frame(&first);
    let explain = |name: &str| desk.at_site(&["explain", name]).ended(0);
    for told in [explain(FIRST), explain(&format!("{FIRST}/{file}")), explain("20071011")] {
        let is_iso = |word: &str| {
            let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            word.ends_with('Z') && word.parse::<chrono::DateTime<chrono::Utc>>().is_ok()
        };
        let iso: Vec<&str> = told.split_whitespace().filter(|word| is_iso(word)).collect();
        assert!(iso.is_empty(), "{iso:?}\n{told}");
    }
    assert!(explain(FIRST).contains(" UTC ("), "{}", explain(FIRST));
}

/// Processes the first version of a night. Returns its directory and the first image that has a catalogue.
fn processed(desk: &Desk) -> (PathBuf, String) {
    let delivery = desk.simulate(&small());
    desk.run(&delivery).ended(0);
    let file = frame(&delivery);
    (delivery, file)
}

fn catalogue_of(image: &str) -> String {
    image.replace(".fit", "_cat.fits")
}

/// Returns the bytes of a catalogue of which some HDUs are refused, by extension number.
fn with_refused(whole: &[u8], ext_nums: &[usize]) -> Vec<u8> {
    ext_nums.iter().fold(whole.to_vec(), |bytes, n| Spoilt::Refused(*n).of(&bytes))
}

/// The undo of a retraction is recommended while it brings something back.
#[test]
fn an_undo_without_effect_is_not_recommended() {
    for desk in Desk::of_both_engines() {
        let (delivery, file) = processed(&desk);
        let told = || {
            let explain = |name: &str| desk.at_site(&["explain", name]).ended(0);
            [explain(FIRST), explain(&file), desk.run(&delivery).ended(0)]
        };
        retract(&desk, FIRST, &["--use-case", "catalogue"]);
        assert!(told().iter().all(|told| told.contains("--undo")), "{:?}", told());
        desk.at_site(&["catalogue", "--again", "--delivery", FIRST]).ended(0);
        desk.at_site(&["ingest"]).ended(0);
        desk.at_site(&["retract", FIRST, "--undo", "--reason", "it was good"]).ended(5);
        assert!(!told().iter().any(|told| told.contains("--undo")), "{:?}", told());
        // The retraction of the second round can be undone.
        retract(&desk, FIRST, &["--use-case", "catalogue"]);
        assert!(told().iter().all(|told| told.contains("--undo")), "{:?}", told());
        retract(&desk, FIRST, &["--undo"]);
        assert!(!told().iter().any(|told| told.contains("--undo")), "{:?}", told());
    }
}

/// A catalogue is refused when each of its HDUs is, whether the detections of the others are current or not.
#[test]
fn catalogues_refused_in_part_are_not_called_refused() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small());
        let file = frame(&delivery);
        let catalogue = delivery.join(catalogue_of(&file));
        let whole = std::fs::read(&catalogue).unwrap();
        std::fs::write(&catalogue, with_refused(&whole, &[2])).unwrap();
        desk.run(&delivery).ended(1);
        retract(&desk, FIRST, &["--use-case", "catalogue"]);
        let explain = || desk.at_site(&["explain", &file]).ended(0);
        let line = format!("the catalogue of the image is {}\n", catalogue_of(&file));
        assert!(explain().contains(&line), "{}", explain());
        assert!(explain().contains("required_column_missing"), "{}", explain());
        retract(&desk, FIRST, &["--undo"]);
        // Each HDU of a newer content is refused; the refusal of the older content is not its own.
        std::fs::write(&catalogue, with_refused(&whole, &[2, 3, 4, 5])).unwrap();
        desk.run(&delivery).ended(1);
        let line = format!(
            "the catalogue of the image is {}, which was refused (refusal ",
            catalogue_of(&file)
        );
        assert!(explain().contains(&line), "{}", explain());
        assert!(!explain().contains("(resolved)"), "{}", explain());
        std::fs::write(&catalogue, &whole).unwrap();
        desk.run(&delivery).ended(0);
        assert!(!explain().contains("refus"), "{}", explain());
    }
}

/// A newer catalogue or image that no round has taken up is named, with the command that processes it.
#[test]
fn newer_files_that_wait_are_explained() {
    for desk in Desk::of_both_engines() {
        let (delivery, file) = processed(&desk);
        let place = delivery.to_str().unwrap();
        let name = catalogue_of(&file);
        let run = format!("almagest --site {} run {place}\n", desk.site.display());
        let explain = |name: &str| desk.at_site(&["explain", name]).ended(0);
        let whole = std::fs::read(delivery.join(&name)).unwrap();
        std::fs::write(delivery.join(&name), with_refused(&whole, &[2])).unwrap();
        desk.at_site(&["transfer", place]).ended(0);
        let waits = format!("newer catalogue {name} waits for its round");
        let of_image = format!("newer catalogue {name} of image {file} waits for its round");
        let told = explain(&file);
        assert!(told.contains(&waits) && told.contains(&run), "{told}");
        let told = explain(&name);
        assert!(
            told.contains("no catalogue round contains the catalogue yet") && told.contains(&run),
            "{told}"
        );
        assert_eq!(
            told.matches("no catalogue round contains the catalogue yet").count(),
            1,
            "{told}"
        );
        let told = explain(FIRST);
        assert!(told.contains(&of_image) && told.contains(&run), "{told}");
        // A pause is what holds it up.
        desk.at_site(&["pause", "--use-case", "catalogue", "--reason", "the nodes are full"])
            .ended(0);
        for told in [explain(&file), explain(FIRST)] {
            assert!(told.contains("resume") && !told.contains(&run), "{told}");
        }
        desk.at_site(&["resume", "--use-case", "catalogue"]).ended(0);
        desk.run(&delivery).ended(1);
        for told in [explain(&file), explain(&name), explain(FIRST)] {
            assert!(!told.contains("waits for") && !told.contains("no round contains"), "{told}");
        }
        // The image itself arrives again.
        let mut image = std::fs::read(delivery.join(&file)).unwrap();
        image.extend_from_slice(&[0; 2880]);
        std::fs::write(delivery.join(&file), image).unwrap();
        desk.at_site(&["transfer", place]).ended(0);
        let told = explain(FIRST);
        let line = format!("image {file} waits for its round");
        assert!(told.contains(&line) && told.contains(&run), "{told}");
    }
}

/// An older content of a catalogue names the catalogue that the image has now, and its own refusals alone.
#[test]
fn older_contents_of_a_catalogue_name_the_current_one() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small());
        let file = frame(&delivery);
        let name = catalogue_of(&file);
        let path = delivery.join(&name);
        let whole = std::fs::read(&path).unwrap();
        desk.run(&delivery).ended(0);
        std::fs::remove_file(&path).unwrap();
        let packed = format!("{name}.gz");
        std::fs::write(&path, with_refused(&whole, &[3])).unwrap();
        let gzip = std::process::Command::new("gzip").arg(&path).status().unwrap();
        assert!(gzip.success());
        desk.run(&delivery).ended(1);
        let explain = |name: &str| desk.at_site(&["explain", name]).ended(0);
        let after =
            |newer: &str| format!("{newer} is newer, and is the catalogue of that image now");
        assert!(explain(&name).contains(&after(&packed)), "{}", explain(&name));
        std::fs::write(&path, with_refused(&whole, &[2])).unwrap();
        desk.run(&delivery).ended(1);
        assert!(!explain(&name).contains(" is newer, and is"), "{}", explain(&name));
        assert!(explain(&packed).contains(&after(&name)), "{}", explain(&packed));
        // The newest content comes first, with its refusal.
        assert_eq!(explain(&name).matches("required_column_missing: ").count(), 1);
        let told = explain(&name);
        let older = told.find("superseded by newer content of the same name").unwrap();
        assert!(told.find("required_column_missing: ").unwrap() < older, "{told}");
    }
}
