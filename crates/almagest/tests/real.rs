//! Deliveries put together from real files: what the archive then says is what other software found in them.
//!
//! Products of CASU's code (HAWK-I stack, confidence map, catalogues), a WFCAM cut-out of the WSA, catalogues and
//! a raw image of the NGTS. Without the real set every test says that it is skipped.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;
mod truth;

use model::tables::Origin;
use operator::{Desk, Said};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use truth::{Truth, compare_row, copied, profile};

const STACK: &str = "casu_image/hawki_simA_stack.fits.fz";
const STACK_CONF: &str = "casu_image/hawki_simA_stack_conf.fits.fz";
const STACK_CAT: &str = "casu_catalogue/hawki_simA_stack_cat.fits";
const STACK_ZTABLE: &str = "tile_compressed/hawki_simA_stack_cat_ztable.fits.fz";
const STANDARDS: &str = "casu_catalogue/hawki_simA_stack_mstd.fits";
const CUTOUT: &str = "casu_image/ukidss_wfcam_cutout.fits";
const NGTS_RAW: &str = "casu_image/zlp-script__IMAGE80220150320023345.fits.bz2";

/// All of CASU's files, under the names they have.
fn casu(desk: &Desk, truth: &Truth) -> PathBuf {
    let delivery = desk.inbox().join("20140511_v1");
    for path in truth.paths().iter().filter(|p| p.starts_with("casu_")) {
        truth.deliver(path, &delivery, path.rsplit('/').next().unwrap());
    }
    delivery
}

/// The stack with its confidence map and catalogue.
fn stack(desk: &Desk, truth: &Truth) -> PathBuf {
    let delivery = desk.inbox().join("20140511_v1");
    for path in [STACK, STACK_CONF, STACK_CAT] {
        truth.deliver(path, &delivery, path.rsplit('/').next().unwrap());
    }
    delivery
}

fn id_of(desk: &Desk, name: &str) -> u64 {
    desk.count(&format!("SELECT multiframe_id FROM multiframe WHERE file_name = '{name}'"))
}

/// The only row of a table that has these values.
fn row(desk: &Desk, table: &str, condition: &str) -> Value {
    let mut rows = desk.rows(&format!("SELECT * FROM {table} WHERE {condition}"));
    assert_eq!(rows.len(), 1, "{table} WHERE {condition}");
    rows.remove(0)
}

/// Refusals as file, code and state, in the order of files.
fn told(desk: &Desk) -> Vec<(String, String, &'static str)> {
    let word = |r: &Value| if r["parked"] == json!(true) { "parked" } else { "refused" };
    let place = |r: &Value| match r["ext_num"].as_u64() {
        Some(n) => format!("{} ext_num {n}", r["file"].as_str().unwrap()),
        None => r["file"].as_str().unwrap().to_owned(),
    };
    let code = |r: &Value| r["code"].as_str().unwrap().to_owned();
    let mut told: Vec<_> = desk.refusals().iter().map(|r| (place(r), code(r), word(r))).collect();
    told.sort();
    told
}

fn listed(told: &[(&str, &str, &'static str)]) -> Vec<(String, String, &'static str)> {
    told.iter().map(|(file, code, word)| ((*file).to_owned(), (*code).to_owned(), *word)).collect()
}

/// Checks that the output of `explain` contains all of these.
#[track_caller]
fn explained(desk: &Desk, name: &str, wanted: &[&str]) {
    let said = desk.at_site(&["explain", name]).ended(0);
    for text in wanted {
        assert!(said.contains(text), "explain {name} says nothing of {text:?}:\n{said}");
    }
}

#[track_caller]
fn everything_was_there(desk: &Desk, delivery: &Path) {
    let said = desk.run(delivery).ended(0);
    assert!(said.contains("everything is in the archive already"), "{said}");
}

/// Detections of one detector against the table they come from; gives how many columns were compared.
fn compare_detector(
    desk: &Desk,
    truth: &Truth,
    survey: &str,
    (catalogue, hdu): (&str, usize),
    (multiframe, ext_num, radians): (u64, usize, bool),
) -> usize {
    let of_detector = format!("multiframe_id = {multiframe} AND ext_num = {ext_num}");
    let table = truth.hdu(catalogue, hdu);
    let profile = profile(survey);
    let columns = copied(&profile, table, radians);
    let selected: Vec<String> = columns.iter().map(truth::Copied::select).collect();
    let found = &desk.rows(&format!(
        "SELECT count(*) AS rows, {} FROM detection WHERE {of_detector}",
        selected.join(", ")
    ))[0];
    let rows = table["table"]["rows"].as_u64().unwrap();
    assert_eq!(found["rows"].as_u64(), Some(rows), "{catalogue}[{hdu}]");
    let end = |order: &str| {
        desk.rows(&format!(
            "SELECT * FROM detection WHERE {of_detector} ORDER BY obj_id {order} LIMIT 1"
        ))
        .remove(0)
    };
    let (first, last) = (end("ASC"), end("DESC"));
    for column in &columns {
        column.compare(&format!("{catalogue}[{hdu}]"), rows, found, &first, &last);
    }
    columns.len()
}

#[test]
fn every_archived_number_of_the_hawki_stack() {
    let Some(truth) = Truth::find() else { return };
    let desk = Desk::bare();
    let delivery = stack(&desk, &truth);
    desk.run(&delivery).ended(0);
    let id = id_of(&desk, "hawki_simA_stack.fits.fz");
    let hawki = profile("hawki");

    let rows: Vec<u64> = (1..5)
        .map(|hdu| {
            let compared =
                compare_detector(&desk, &truth, "hawki", (STACK_CAT, hdu), (id, hdu + 1, false));
            assert!(compared > 60, "only {compared} columns of {STACK_CAT}[{hdu}]");
            truth.hdu(STACK_CAT, hdu)["table"]["rows"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(rows, [219, 223, 181, 208]);
    assert_eq!(desk.count("SELECT count(*) FROM detection"), 831);

    let frame = row(&desk, "multiframe", &format!("multiframe_id = {id}"));
    let image = |hdu| truth.header(STACK, hdu);
    let catalogue = |hdu| truth.header(STACK_CAT, hdu);
    let mut compared =
        compare_row(&hawki, "multiframe", Origin::Primary, &frame, &[image(0), image(1)]);
    for hdu in 1..5 {
        let of_detector = format!("multiframe_id = {id} AND ext_num = {}", hdu + 1);
        let detector = row(&desk, "multiframe_detector", &of_detector);
        let sky = row(&desk, "astrometry", &of_detector);
        for (table, origin, found, headers) in [
            ("multiframe_detector", Origin::Extension, &detector, [image(hdu), image(hdu)]),
            ("multiframe_detector", Origin::Catalogue, &detector, [catalogue(hdu), catalogue(0)]),
            ("astrometry", Origin::Extension, &sky, [image(hdu), image(0)]),
        ] {
            compared += compare_row(&hawki, table, origin, found, &headers);
        }
        assert_eq!(detector["table_rows_cat"], json!(rows[hdu - 1]));
        assert_eq!(detector["axis1_length"], image(hdu)["NAXIS1"]);
    }
    assert!(compared > 300, "only {compared} header values");
    let frames = desk.rows("SELECT frame_type, filter_id, num_detectors FROM multiframe");
    let frame = |kind: &str| json!({"frame_type": kind, "filter_id": 4, "num_detectors": 4});
    assert_eq!(frames, [frame("stack"), frame("stackconf")]);
    assert_eq!(told(&desk), []);
    desk.verified();
}

#[test]
fn every_archived_number_of_the_wfcam_cutout() {
    let Some(truth) = Truth::find() else { return };
    let desk = Desk::bare();
    let delivery = desk.inbox().join("20071011_v1");
    truth.deliver(CUTOUT, &delivery, "w20071011_01822.fit");
    desk.run(&delivery).ended(0);
    let wfcam = profile("wfcam");
    let (primary, image) = (truth.header(CUTOUT, 0), truth.header(CUTOUT, 1));
    let frame = row(&desk, "multiframe", "file_name = 'w20071011_01822.fit'");
    let detector = row(&desk, "multiframe_detector", "ext_num = 2");
    let sky = row(&desk, "astrometry", "ext_num = 2");
    let compared = compare_row(&wfcam, "multiframe", Origin::Primary, &frame, &[primary, image])
        + compare_row(&wfcam, "multiframe_detector", Origin::Extension, &detector, &[image])
        + compare_row(&wfcam, "astrometry", Origin::Extension, &sky, &[image, primary]);
    assert!(compared > 180, "only {compared} header values");
    let programme =
        desk.value("SELECT name FROM programme_frame JOIN programme USING (programme_id)");
    assert_eq!(programme, json!("GCS"), "PROJECT is U/UKIDSS/GCS21");
    assert_eq!(told(&desk), []);
    explained(&desk, "w20071011_01822.fit", &["the image has no catalogue", "0 detections"]);
    desk.verified();
}

#[test]
fn a_delivery_of_casu_products_is_accepted_or_refused_with_a_reason() {
    let Some(truth) = Truth::find() else { return };
    let desk = Desk::bare();
    let delivery = casu(&desk, &truth);
    desk.run(&delivery).ended(1);
    let no_image = "image_absent";
    let ngts = "zlp-condense__procIMAGE80220150";
    let wanted = [
        ("hawki_simA_exp1_cat.fits", no_image, "parked"),
        ("hawki_simA_stack_mstd.fits", no_image, "parked"),
        ("hawki_simA_tile_cat.fits", no_image, "parked"),
        ("vircam_header_with_time.fits", "not_standard", "refused"),
        (&format!("{ngts}421025551.fits.phot"), no_image, "parked"),
        (&format!("{ngts}514002449.cat"), no_image, "parked"),
        (&format!("{ngts}514002449.fits.phot"), no_image, "parked"),
        (&format!("{ngts}514031839.cat"), no_image, "parked"),
        ("zlp-script__IMAGE80220150320023345.fits.bz2", "wrapped_bzip2", "refused"),
    ];
    assert_eq!(told(&desk), listed(&wanted));
    explained(
        &desk,
        "hawki_simA_tile_cat.fits",
        &["the image of the catalogue has not arrived", "deliver the complete image"],
    );
    explained(&desk, "vircam_header_with_time.fits", &["not_standard", "SIMPLE = F"]);
    explained(
        &desk,
        "zlp-script__IMAGE80220150320023345.fits.bz2",
        &["bzip2", "deliver it unpacked"],
    );
    explained(&desk, "hawki_simA_stack.fits.fz", &["831 detections and 5 previews"]);
    let status = &desk.at_site(&["status", "--json"]).json(0)["deliveries"][0];
    for (name, count) in [
        ("images", 3),
        ("detectors", 9),
        ("catalogues", 8),
        ("multiframes", 3),
        ("detections", 831),
        ("previews", 12),
        ("open_refusals", 2),
        ("parked_refusals", 7),
    ] {
        assert_eq!(status[name], json!(count), "{name}");
    }

    // Four detectors and the whole of stack and confidence map, one of the cut-out.
    let previews = desk.rows("SELECT path, width, height FROM preview ORDER BY path");
    assert_eq!(previews.len(), 5 + 5 + 2);
    for preview in &previews {
        let path = desk.site.join("previews").join(preview["path"].as_str().unwrap());
        assert!(std::fs::metadata(&path).is_ok_and(|m| m.len() > 0), "{}", path.display());
    }
    assert_eq!(operator::walk(&desk.site.join("previews")).len(), previews.len());

    desk.verified();
    let before = desk.content();
    everything_was_there(&desk, &delivery);
    assert_eq!(desk.content(), before);
    assert_eq!(told(&desk), listed(&wanted));
}

/// Files of every camera and age at once: each is in the library, and none stops what belongs to a survey.
#[test]
fn the_whole_set_is_one_delivery() {
    let Some(truth) = Truth::find() else { return };
    let desk = Desk::bare();
    let delivery = desk.inbox().join("20140511_v1");
    // The frames of no known survey are to be refused, too.
    edit_generic(&desk, UNNAMED, "");
    let paths = truth.paths();
    for path in &paths {
        truth.deliver(path, &delivery, path.rsplit('/').next().unwrap());
    }
    desk.run(&delivery).ended(1);
    let frames: Vec<Value> = desk
        .rows("SELECT file_name FROM multiframe")
        .into_iter()
        .map(|r| r["file_name"].clone())
        .collect();
    assert_eq!(
        frames,
        ["hawki_simA_stack.fits.fz", "hawki_simA_stack_conf.fits.fz", "ukidss_wfcam_cutout.fits"]
    );
    assert_eq!(desk.count("SELECT count(*) FROM detection"), 831);
    let status = &desk.at_site(&["status", "--json"]).json(0)["deliveries"][0];
    let files = |name: &str| status[name].as_u64().unwrap();
    assert_eq!(files("images") + files("catalogues") + files("others"), paths.len() as u64);
    // Images of unknown projects, tables without image, and what is broken in itself.
    let codes = [
        "datasum_mismatch",
        "image_absent",
        "missing_end",
        "no_data",
        "no_picture",
        "no_project",
        "no_usable_detector",
        "not_standard",
        "truncated",
        "unknown_project",
        "wrapped_bzip2",
        "wrapped_compress",
    ];
    let mut met: Vec<String> = told(&desk).into_iter().map(|(_, code, _)| code).collect();
    met.sort();
    met.dedup();
    assert_eq!(met, codes);
    desk.verified();
    everything_was_there(&desk, &delivery);
}

/// Compares computed values with those of astropy and numpy; and magnitudes on average as those of the reference stars.
#[test]
fn derived_numbers_are_those_of_astropy() {
    let Some(truth) = Truth::find() else { return };
    if testkit::python().is_none() {
        return;
    }
    let desk = Desk::bare();
    desk.run(&casu(&desk, &truth)).ended(1);
    let mut astrometry = Vec::new();
    for file in [STACK, STACK_CONF, CUTOUT] {
        let name = file.rsplit('/').next().unwrap();
        let id = id_of(&desk, name);
        astrometry.extend(desk.rows(&format!(
            "SELECT *, '{file}' AS file FROM astrometry WHERE multiframe_id = {id} ORDER BY ext_num"
        )));
    }
    let detection = desk.rows("SELECT * FROM detection ORDER BY obj_id");
    let rows = json!({
        "astrometry": astrometry,
        "detection": detection,
        "stack": STACK,
        "catalogue": STACK_CAT,
        "standards": STANDARDS,
    });
    let path = desk.dir.path().join("rows.json");
    std::fs::write(&path, rows.to_string()).unwrap();
    let arguments = [truth.dir.as_path(), &path];
    let said =
        testkit::python_script("real_derived.py", include_str!("real_derived.py"), &arguments);
    assert_eq!(said.as_deref(), Some("9 831\n"));
}

/// A table packed by fpack is not a catalogue that can be read, and says so instead of lying there unseen.
#[test]
fn a_compressed_catalogue_is_refused() {
    let Some(truth) = Truth::find() else { return };
    let desk = Desk::bare();
    let delivery = desk.inbox().join("20140511_v1");
    truth.deliver(STACK, &delivery, "stack.fits.fz");
    truth.deliver(STACK_ZTABLE, &delivery, "stack_cat.fits.fz");
    desk.run(&delivery).ended(1);
    let places: Vec<String> = (2..6).map(|n| format!("stack_cat.fits.fz ext_num {n}")).collect();
    let wanted: Vec<_> =
        places.iter().map(|place| (place.as_str(), "compressed_table", "refused")).collect();
    assert_eq!(told(&desk), listed(&wanted));
    assert_eq!(desk.count("SELECT count(*) FROM multiframe"), 1);
    everything_was_there(&desk, &delivery);
    // The same catalogue as it was before takes its place.
    truth.deliver(STACK_CAT, &delivery, "stack_cat.fits");
    desk.run(&delivery).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM detection"), 831);
    desk.verified();
}

/// Matched standards under the name of a catalogue: they have its columns, and others.
#[test]
fn matched_standards_are_not_a_catalogue() {
    let Some(truth) = Truth::find() else { return };
    let desk = Desk::bare();
    let delivery = desk.inbox().join("20140511_v1");
    truth.deliver(STACK, &delivery, "stack.fits.fz");
    truth.deliver(STANDARDS, &delivery, "stack_cat.fits");
    desk.run(&delivery).ended(1);
    let places: Vec<String> = (2..6).map(|n| format!("stack_cat.fits ext_num {n}")).collect();
    let wanted: Vec<_> =
        places.iter().map(|place| (place.as_str(), "foreign_column", "refused")).collect();
    assert_eq!(told(&desk), listed(&wanted));
    assert_eq!(desk.count("SELECT count(*) FROM detection"), 0);
    desk.verified();
}

const NGTS: [&str; 3] = ["80220150421025551", "80220150514002449", "80220150514031839"];

/// NGTS catalogues; their own images are not in the set, an exposure of the same camera replaces them.
fn ngts(truth: &Truth, delivery: &Path) -> Option<()> {
    const UNPACK: &str =
        "import bz2, sys\nopen(sys.argv[2], 'wb').write(bz2.open(sys.argv[1]).read())";
    let image = |n: &str| delivery.join(format!("procIMAGE{n}.fits"));
    std::fs::create_dir_all(delivery).unwrap();
    testkit::python_script("unpack", UNPACK, &[truth.dir.join(NGTS_RAW), image(NGTS[0])])?;
    for number in &NGTS[1..] {
        std::fs::copy(image(NGTS[0]), image(number)).unwrap();
    }
    for (catalogue, name) in ngts_catalogues() {
        truth.deliver(&catalogue, delivery, &name);
    }
    Some(())
}

fn ngts_catalogues() -> [(String, String); 3] {
    [(NGTS[0], "fits.phot"), (NGTS[1], "cat"), (NGTS[2], "cat")].map(|(number, ending)| {
        let name = format!("procIMAGE{number}.{ending}");
        (format!("casu_catalogue/zlp-condense__{name}"), name)
    })
}

/// Gives the site's generic profile a line in place of another.
fn edit_generic(desk: &Desk, old: &str, new: &str) {
    let path = desk.site.join("surveys/generic.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{old:?} is not in the profile");
    std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
}

const UNNAMED: &str = "unnamed = \"GENERIC\"";
const NGTS_OWNS_ALL: &str = "unnamed = \"NGTS\"";
/// Magnitudes are NULL; and the exposure that replaces the images points elsewhere, which would refuse the catalogues.
const MAGNITUDES_NULL: &str = "[catalogue]\nphotometry.missing_zero_point = \"null\"\n\
    position.refuse_above_arcsec = 1000000.0";

/// Runs the commands that `refusals show` prints for each open refusal of a code, with words in place of its own. What one
/// refusal has set up is not set up again for the next; its delivery is run again.
fn obey(desk: &Desk, code: &str, words: &[(&str, &str)]) {
    let site = format!("almagest --site {} ", desk.site.display());
    let refusals = desk.refusals();
    let numbers = refusals.iter().filter(|r| r["code"] == code).map(|r| r["number"].to_string());
    let mut obeyed = std::collections::BTreeSet::new();
    for number in numbers {
        let shown = desk.at_site(&["refusals", "show", &number]).ended(0);
        let helps = shown.split_once("suggestions:").expect(&shown).1;
        let commands: Vec<&str> =
            helps.lines().filter_map(|line| line.trim().strip_prefix(site.as_str())).collect();
        assert!(commands.len() > 1, "{shown}");
        for command in commands {
            if !obeyed.insert(command.to_owned()) && !command.starts_with("run ") {
                continue;
            }
            let given =
                |word: &str| words.iter().find(|(w, _)| *w == word).map(|(_, given)| *given);
            let command: Vec<&str> = command.split(' ').map(|w| given(w).unwrap_or(w)).collect();
            let said = desk.at_site(&command);
            assert!(matches!(said.code, Some(0 | 1)), "{command:?}: {said:?}");
        }
    }
}

#[test]
fn ngts_catalogues_wait_for_project_and_zero_point() {
    let Some(truth) = Truth::find() else { return };
    let desk = Desk::bare();
    let delivery = desk.inbox().join("20150513_v1");
    if ngts(&truth, &delivery).is_none() {
        return;
    }
    edit_generic(&desk, UNNAMED, "");
    // The exposure that replaces the images points elsewhere, which would refuse the catalogues.
    edit_generic(&desk, "[catalogue]", "[catalogue]\nposition.refuse_above_arcsec = 1000000.0");
    desk.run(&delivery).ended(1);
    let mut wanted = Vec::new();
    for (number, (_, catalogue)) in NGTS.iter().zip(ngts_catalogues()) {
        wanted.push((format!("procIMAGE{number}.fits"), "no_project".to_owned(), "parked"));
        wanted.push((catalogue, "metadata_refused".to_owned(), "parked"));
    }
    wanted.sort();
    assert_eq!(told(&desk), wanted);
    let image = format!("procIMAGE{}.fits", NGTS[2]);
    explained(&desk, &image, &["names no project", "project.unnamed", "refusals retry"]);

    // The commands that help.
    obey(&desk, "no_project", &[("NAME", "NGTS"), ("PROJECT", "NGTS"), ("WHY", "test")]);
    let waiting: Vec<_> = ngts_catalogues()
        .map(|(_, name)| (format!("{name} ext_num 2"), "no_zero_point".to_owned(), "parked"))
        .to_vec();
    assert_eq!(told(&desk), waiting);
    let catalogue = &ngts_catalogues()[2].1;
    explained(&desk, catalogue, &["no zero point", "missing_zero_point", "retry"]);
    assert_eq!(desk.count("SELECT count(*) FROM multiframe"), 3);
    assert_eq!(desk.count("SELECT count(*) FROM detection"), 0);
    desk.verified();
    everything_was_there(&desk, &delivery);

    // Detections without magnitudes, if the operator wants them so.
    obey(&desk, "no_zero_point", &[("WHY", "test")]);
    assert_eq!(told(&desk), []);
    assert_eq!(desk.count("SELECT count(*) FROM detection"), 9694 + 3152 + 3135);
    desk.verified();
}

#[test]
fn every_archived_number_of_the_ngts_catalogues() {
    let Some(truth) = Truth::find() else { return };
    let desk = Desk::bare();
    let delivery = desk.inbox().join("20150513_v1");
    if ngts(&truth, &delivery).is_none() {
        return;
    }
    edit_generic(&desk, UNNAMED, NGTS_OWNS_ALL);
    edit_generic(&desk, "[catalogue]", MAGNITUDES_NULL);
    desk.at_site(&["programme", "add", "NGTS", "NGTS"]).ended(0);
    desk.run(&delivery).ended(0);
    assert_eq!(told(&desk), []);
    for (number, (catalogue, _)) in NGTS.iter().zip(ngts_catalogues()) {
        let id = id_of(&desk, &format!("procIMAGE{number}.fits"));
        // The list of the APM calls its degrees radians.
        let radians = catalogue.ends_with(".cat");
        let compared =
            compare_detector(&desk, &truth, "generic", (&catalogue, 1), (id, 1, radians));
        assert!(compared >= 28, "only {compared} columns of {catalogue}");
    }
    assert_eq!(desk.count("SELECT count(aper_mag3) FROM detection"), 0, "no zero point");
    desk.verified();
    everything_was_there(&desk, &delivery);
}

/// The list-driven photometry of an image is another catalogue than the one that came first. No rule of the profile tells them
/// apart, so neither takes the other's place: both are refused until the source shows one of them alone.
#[test]
fn two_catalogues_of_an_image_are_both_refused() {
    let Some(truth) = Truth::find() else { return };
    let desk = Desk::bare();
    let delivery = desk.inbox().join("20150513_v1");
    if ngts(&truth, &delivery).is_none() {
        return;
    }
    let list = format!("procIMAGE{}.fits.phot", NGTS[1]);
    truth.deliver(&format!("casu_catalogue/zlp-condense__{list}"), &delivery, &list);
    edit_generic(&desk, UNNAMED, NGTS_OWNS_ALL);
    edit_generic(&desk, "[catalogue]", MAGNITUDES_NULL);
    desk.at_site(&["programme", "add", "NGTS", "NGTS"]).ended(0);
    desk.run(&delivery).ended(1);
    let id = id_of(&desk, &format!("procIMAGE{}.fits", NGTS[1]));
    let rows = || desk.count(&format!("SELECT count(*) FROM detection WHERE multiframe_id = {id}"));
    assert_eq!(rows(), 0);
    let first = &ngts_catalogues()[1].1;
    let mut refused: Vec<String> = desk
        .refusals()
        .iter()
        .filter(|refusal| refusal["code"] == "catalogue_ambiguous")
        .map(|refusal| refusal["file"].as_str().unwrap().to_owned())
        .collect();
    refused.sort();
    let mut both = [first.clone(), list.clone()];
    both.sort();
    assert_eq!(refused, both);
    std::fs::remove_file(delivery.join(first)).unwrap();
    desk.run(&delivery).ended(0);
    assert_eq!(rows(), 9694, "those of the list");
    explained(&desk, &list, &["9694 detections"]);
    desk.verified();
}

/// One call for all files of the set: an object of the truth's shape.
#[test]
fn inspect_sees_what_is_known_of_every_file() {
    let Some(truth) = Truth::find() else { return };
    let desk = Desk::bare();
    let paths: Vec<String> =
        truth.paths().iter().map(|p| truth.dir.join(p).to_str().unwrap().to_owned()).collect();
    let mut words = vec!["inspect", "--json"];
    words.extend(paths.iter().map(String::as_str));
    let seen = desk.plain(&words).json(1);
    assert_eq!(seen.as_object().unwrap().keys().collect::<Vec<_>>(), ["files", "profiles"]);
    let seen = &seen["files"];
    assert_eq!(seen.as_object().unwrap().len(), paths.len());
    let mut refused = Vec::new();
    for (path, known) in truth.files.as_object().unwrap() {
        let seen = &seen[truth.dir.join(path).to_str().unwrap()];
        refused.extend(shaped(path, known, seen));
        // All of these are read; crates/fits compares the others.
        let compared = path.starts_with("casu_catalogue/") || path.starts_with("tile_compressed/");
        if compared || [STACK, STACK_CONF, CUTOUT].contains(&path.as_str()) {
            assert_eq!(truth::differences(known, seen), Vec::<String>::new(), "{path}");
        }
    }
    let of_casu: Vec<_> = refused.iter().filter(|r| r.starts_with("casu_")).collect();
    assert_eq!(
        of_casu,
        [
            "casu_image/vircam_header_with_time.fits[0] not_standard",
            "casu_image/zlp-script__IMAGE80220150320023345.fits.bz2 wrapped_bzip2",
        ]
    );
    assert!(refused.len() > 30 && refused.len() < 50, "{refused:#?}");
}

/// Checks the shape of an entry; gives what is refused in it.
fn shaped(path: &str, known: &Value, seen: &Value) -> Vec<String> {
    let refusal = |place: String, holder: &Value| {
        let code = holder["refusal"]["code"].as_str().unwrap();
        assert!(holder["refusal"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{place}");
        format!("{place} {code}")
    };
    if seen.get("refusal").is_some() {
        assert!(seen.get("hdus").is_none(), "{path}: refused, and read");
        return vec![refusal(path.to_owned(), seen)];
    }
    assert_eq!(seen["format"], json!("fits"), "{path}");
    let hdus = seen["hdus"].as_array().unwrap();
    assert_eq!(seen["nhdus"], json!(hdus.len()), "{path}");
    if known["format"] == json!("fits") {
        assert_eq!(seen["size"], known["size"], "{path}");
        assert_eq!(hdus.len(), known["hdus"].as_array().unwrap().len(), "{path}");
    }
    let mut refused = Vec::new();
    for (index, hdu) in hdus.iter().enumerate() {
        let place = format!("{path}[{index}]");
        assert_eq!(hdu["index"], json!(index), "{place}");
        assert!(hdu["class"].is_string() && hdu["name"].is_string(), "{place}");
        assert!(hdu["header"]["values"].is_object(), "{place}");
        if hdu.get("refusal").is_some() {
            assert!(hdu.get("image").is_none() && hdu.get("table").is_none(), "{place}");
            refused.push(refusal(place, hdu));
            continue;
        }
        for part in ["image", "table"] {
            // What astropy could not read may still be readable.
            let known = &known["hdus"][index];
            let alike = hdu.get(part).is_some() == known.get(part).is_some();
            assert!(alike || known.get("data_error_astropy").is_some(), "{place}: {part}");
        }
    }
    refused
}

#[test]
fn inspect_reports_by_its_exit_code() {
    let Some(truth) = Truth::find() else { return };
    let desk = Desk::bare();
    let inspect = |files: &[&str]| -> Said {
        let paths = files.iter().map(|f| truth.dir.join(f).to_str().unwrap().to_owned());
        let words: Vec<String> = std::iter::once("inspect".to_owned()).chain(paths).collect();
        desk.plain(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let said = inspect(&[STACK_CAT]).ended(0);
    assert!(said.contains("219 rows, 80 columns") && said.contains("fit"), "{said}");
    let said = inspect(&[CUTOUT, NGTS_RAW]).ended(1);
    assert!(said.contains("300 x 300") && said.contains("refused, wrapped_bzip2"), "{said}");
    let said = inspect(&["no/such/file.fits"]).ended(1);
    assert!(said.contains("missing_file"), "{said}");
    inspect(&[]).ended(2);
}
