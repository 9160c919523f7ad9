//! Roles of HDUs: files whose images are not all detectors, catalogues in image files, headers of images in catalogue files.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

use fits::write::{
    Checks, Column, Field, HeaderBuilder, Pixels, Place, Rows, Values, bin_table, bin_table_rows,
    image, primary,
};
use operator::Desk;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Degrees per pixel.
const SCALE: f64 = 0.0005;
const ROWS: usize = 10;
const AXES: [u64; 2] = [60, 40];

/// The profile of a camera whose catalogues are in the files of the images, without its `[catalogue]`.
const CAMERA: &str = r#"
name = "mycam"
survey_id = 21
title = "A camera with masks beside its images"

[[match]]
INSTRUME = "fa*"
file = "*-e91.fits"

[naming]
delivery = "{night}_v{version}"
extensions = [".fits"]
catalogue_extensions = [".cat"]

[[hdu]]
role = "mask"
extname = ["BPM*"]

[[hdu]]
role = "error"
kind = "image"
keywords = { HDUCLAS2 = ["ERROR"] }

[[hdu]]
role = "ignored"
extname = ["LOG"]

[column.multiframe]
exp_time = { keywords = ["EXPTIME"] }
"#;

/// A site with the profile of the camera.
fn site(desk: &Desk, rules: &str) {
    desk.at_site(&["programme", "add", "HUNT", "HUNT"]);
    std::fs::write(desk.site.join("surveys/mycam.toml"), format!("{CAMERA}\n{rules}")).unwrap();
}

/// A chip: its number, the right ascension of its centre, its zero point.
type Chip = (i64, f64, f64);
const CHIPS: [Chip; 3] = [(1, 120.2, 23.0), (2, 120.4, 24.0), (3, 120.6, 25.0)];

fn frame_cards() -> HeaderBuilder {
    let mut header = HeaderBuilder::new();
    header.text("OBSTYPE", "OBJECT", "").text("PROJECT", "HUNT", "");
    header.number("EXPTIME", 10.0, "").number("MJD-OBS", 60_681.127_835_6, "");
    header
}

fn chip_cards((number, ra, _): Chip) -> HeaderBuilder {
    let mut header = HeaderBuilder::new();
    header.text("EXTNAME", &format!("SCI{number}"), "").text("INSTRUME", "fa15", "");
    header.text("CTYPE1", "RA---TAN", "").text("CTYPE2", "DEC--TAN", "");
    header.number("CRVAL1", ra, "").number("CRVAL2", 29.0, "");
    header.number("CRPIX1", 20.5, "").number("CRPIX2", 10.5, "");
    header.number("CD1_1", -SCALE, "").number("CD2_2", SCALE, "");
    header.number("CD1_2", 0.0, "").number("CD2_1", 0.0, "");
    // A zero point of the image is none of its catalogue's.
    header.number("MAGZPT", 20.0, "");
    header
}

fn add_image(bytes: &mut Vec<u8>, place: Place, header: &HeaderBuilder) {
    let pixels = vec![100_i16; (AXES[0] * AXES[1]) as usize];
    image(bytes, place, &AXES, Pixels::I16(&pixels), header, Checks::Absent).unwrap();
}

/// Adds an image that is no detector.
fn add_other(bytes: &mut Vec<u8>, cards: &[(&str, &str)]) {
    let mut header = HeaderBuilder::new();
    for (keyword, value) in cards {
        header.text(keyword, value, "");
    }
    add_image(bytes, Place::Extension, &header);
}

/// Adds ten rows near the reference pixel of a chip.
fn add_table(bytes: &mut Vec<u8>, (number, ra, zero_point): Chip, name: &str) {
    let mut header = HeaderBuilder::new();
    header.text("EXTNAME", name, "").number("MAGZPT", zero_point, "");
    let numbers: Vec<f32> = (0..ROWS).map(|n| 1.0 + n as f32).collect();
    let (x, y, flux) = ([20.5_f32; ROWS], [10.5_f32; ROWS], [1000.0_f32 * number as f32; ROWS]);
    let (ra, dec) = ([ra; ROWS], [29.0; ROWS]);
    let columns = [
        ("Sequence_number", "", Values::F32(&numbers)),
        ("Isophotal_flux", "", Values::F32(&flux)),
        ("X_coordinate", "", Values::F32(&x)),
        ("Y_coordinate", "", Values::F32(&y)),
        ("Aper_flux_3", "", Values::F32(&flux)),
        ("RA", "deg", Values::F64(&ra)),
        ("DEC", "deg", Values::F64(&dec)),
    ];
    let columns = columns.map(|(name, unit, values)| Column { name, unit, values });
    bin_table(bytes, ROWS, &columns, &header, Checks::Absent).unwrap();
}

fn add_log(bytes: &mut Vec<u8>, name: &str) {
    let mut header = HeaderBuilder::new();
    header.text("EXTNAME", name, "");
    let column = Column { name: "TEMPERATURE", unit: "K", values: Values::F32(&[4.0]) };
    bin_table(bytes, 1, &[column], &header, Checks::Absent).unwrap();
}

/// An image in the primary HDU with catalogue, mask and errors.
fn single() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut header = frame_cards();
    header.append(&chip_cards(CHIPS[0]));
    add_image(&mut bytes, Place::Primary, &header);
    add_table(&mut bytes, CHIPS[0], "CAT");
    add_other(&mut bytes, &[("EXTNAME", "BPM")]);
    add_other(&mut bytes, &[("EXTNAME", "ERR"), ("HDUCLAS2", "ERROR")]);
    add_log(&mut bytes, "LOG");
    bytes
}

/// Three chips, each with a mask and a catalogue, in another order than the chips.
fn mosaic() -> Vec<u8> {
    let mut bytes = Vec::new();
    primary(&mut bytes, &frame_cards(), Checks::Absent).unwrap();
    for chip in CHIPS {
        add_image(&mut bytes, Place::Extension, &chip_cards(chip));
        add_other(&mut bytes, &[("EXTNAME", &format!("BPM{}", chip.0))]);
    }
    for chip in [CHIPS[1], CHIPS[2], CHIPS[0]] {
        add_table(&mut bytes, chip, &format!("CAT_SCI{}", chip.0));
        add_log(&mut bytes, "LOG");
    }
    bytes
}

fn delivery(desk: &Desk, files: &[(&str, Vec<u8>)]) -> PathBuf {
    let directory = desk.inbox().join("20250101_v1");
    std::fs::create_dir_all(&directory).unwrap();
    for (name, bytes) in files {
        std::fs::write(directory.join(name), bytes).unwrap();
    }
    directory
}

fn both(desk: &Desk) -> PathBuf {
    delivery(desk, &[("mosaic-e91.fits", mosaic()), ("single-e91.fits", single())])
}

/// Frame, extension number, number of detections, flux and zero point of the catalogue.
const DETECTIONS: &str =
    "SELECT m.file_name AS file, d.ext_num, count(*) AS n, CAST(avg(d.iso_flux) AS BIGINT) AS flux,
         min(f.phot_zp_cat) AS zp, min(f.cat_ext_num) AS cat
     FROM detection AS d JOIN multiframe AS m USING (multiframe_id)
         JOIN multiframe_detector AS f ON f.multiframe_id = d.multiframe_id AND f.ext_num = d.ext_num
     GROUP BY 1, 2 ORDER BY 1, 2";

fn expected() -> Vec<Value> {
    let one = |file: &str, ext_num, flux, zp, cat| json!({"file": file, "ext_num": ext_num, "n": 10, "flux": flux, "zp": zp, "cat": cat});
    vec![
        one("mosaic-e91.fits", 2, 1000, 23.0, 12),
        one("mosaic-e91.fits", 4, 2000, 24.0, 8),
        one("mosaic-e91.fits", 6, 3000, 25.0, 10),
        one("single-e91.fits", 1, 1000, 23.0, 2),
    ]
}

fn codes_of_findings(desk: &Desk) -> Vec<String> {
    let rows = desk.rows("SELECT DISTINCT code FROM finding ORDER BY 1");
    rows.iter().map(|row| row["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn catalogues_in_image_files_are_read_and_masks_are_no_detectors() {
    for desk in Desk::of_both_engines() {
        site(&desk, "[catalogue]\nwhere = \"image\"\n");
        let delivery = both(&desk);
        desk.run(&delivery).ended(0);
        assert_eq!(desk.rows(DETECTIONS), expected());
        let counts = desk.rows(
            "SELECT num_detectors AS n, cat_name = file_name AS same, cat_version AS v,
                 (SELECT count(*) FROM multiframe_detector AS d WHERE d.multiframe_id = m.multiframe_id) AS detectors,
                 (SELECT count(*) FROM preview AS p WHERE p.multiframe_id = m.multiframe_id AND ext_num > 0) AS previews,
                 (SELECT count(*) FROM header AS h WHERE h.multiframe_id = m.multiframe_id) AS headers
             FROM multiframe AS m ORDER BY file_name",
        );
        let one = |n: u64, headers: u64, same: &Value| json!({"n": n, "same": same, "v": 1, "detectors": n, "previews": n, "headers": headers});
        let same = counts[0]["same"].clone();
        assert!([json!(1), json!(true)].contains(&same), "{same}");
        assert_eq!(counts, [one(3, 13, &same), one(1, 5, &same)]);
        let status = &desk.status()["deliveries"][0];
        assert_eq!((&status["images"], &status["catalogues"]), (&json!(2), &json!(2)), "{status}");
        assert_eq!(status["detectors"], json!(4), "{status}");
        assert_eq!(desk.complete(), 1);
        let told = desk.at_site(&["explain", "single-e91.fits"]).ended(0);
        assert!(told.contains("the catalogue of the image is in the same file"), "{told}");
        let found = codes_of_findings(&desk);
        assert!(
            !found.iter().any(|c| ["wcs_absent", "table_in_image"].contains(&c.as_str())),
            "{found:?}"
        );
        assert_eq!(desk.refusals(), Vec::<Value>::new());
        // Again: the rows are those that there are.
        let said = desk.run(&delivery).ended(0);
        assert!(said.contains("everything is in the archive already"), "{said}");
        let ids = || desk.rows("SELECT obj_id, multiframe_id, ext_num FROM detection ORDER BY 1");
        let before = ids();
        desk.at_site(&["catalogue", "--again"]);
        desk.at_site(&["ingest"]);
        assert_eq!(ids(), before);
        desk.verified();
    }
}

#[test]
fn a_new_content_supersedes_image_and_catalogue() {
    let desk = Desk::bare();
    site(&desk, "[[hdu]]\nrole = \"catalogue\"\nextname = [\"CAT*\"]\n");
    let delivery = both(&desk);
    desk.run(&delivery).ended(0);
    // The role is enough, whatever the place of other catalogues.
    assert_eq!(desk.rows(DETECTIONS), expected());
    let mut bytes = Vec::new();
    let mut header = frame_cards();
    header.append(&chip_cards(CHIPS[0]));
    add_image(&mut bytes, Place::Primary, &header);
    add_table(&mut bytes, (5, 120.2, 26.0), "CAT");
    std::fs::write(delivery.join("single-e91.fits"), bytes).unwrap();
    desk.run(&delivery).ended(0);
    let rows = desk.rows(DETECTIONS);
    assert_eq!(rows.len(), 4);
    assert_eq!((&rows[3]["flux"], &rows[3]["zp"]), (&json!(5000), &json!(26.0)), "{rows:?}");
    desk.verified();
}

#[test]
fn a_run_that_is_killed_ends_with_the_same_rows() {
    let undisturbed = Desk::bare();
    site(&undisturbed, "[catalogue]\nwhere = \"image\"\n");
    undisturbed.run(&both(&undisturbed)).ended(0);
    const IDS: &str =
        "SELECT obj_id, multiframe_id, ext_num, seq_num, iso_flux FROM detection ORDER BY 1";
    for point in ["load:lake-files:1", "publish:before-commit:3", "publish:after-commit:3"] {
        let desk = Desk::bare();
        site(&desk, "[catalogue]\nwhere = \"image\"\n");
        let delivery = both(&desk);
        let mut command = desk.command(&["run", delivery.to_str().unwrap()]);
        let ended = command.env("ALMAGEST_CRASH_AT", point).output().unwrap();
        assert_ne!(ended.status.code(), Some(0), "{point} was not passed");
        desk.run(&delivery).ended(0);
        assert_eq!(desk.rows(IDS), undisturbed.rows(IDS), "{point}");
    }
}

#[test]
fn tables_in_image_files_are_not_left_out_silently() {
    let desk = Desk::bare();
    site(&desk, "");
    let delivery = both(&desk);
    desk.run(&delivery).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM detection"), 0);
    let found = desk.rows("SELECT files, message FROM finding WHERE code = 'table_in_image'");
    assert!(!found.is_empty(), "{:?}", codes_of_findings(&desk));
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("has the columns of a catalogue and is not used"), "{message}");
    // A table that the profile leaves out is not named.
    let desk = Desk::bare();
    site(&desk, "[[hdu]]\nrole = \"ignored\"\nextname = [\"CAT*\"]\n");
    desk.run(&both(&desk)).ended(0);
    assert!(!codes_of_findings(&desk).contains(&"table_in_image".to_owned()));
}

#[test]
fn a_file_of_masks_alone_is_no_image() {
    let desk = Desk::bare();
    site(&desk, "[[hdu]]\nrole = \"weight\"\nextname = [\"SCI*\"]\n");
    let mut bytes = Vec::new();
    primary(&mut bytes, &frame_cards(), Checks::Absent).unwrap();
    add_image(&mut bytes, Place::Extension, &chip_cards(CHIPS[0]));
    desk.run(&delivery(&desk, &[("weight-e91.fits", bytes)])).ended(0);
    assert_eq!(desk.value("SELECT kind FROM file"), json!("other"));
}

/// A table whose single cell holds the header of a chip's image.
fn add_header_table(bytes: &mut Vec<u8>, chip: Chip) {
    let mut cards = chip_cards(chip);
    cards.number("MAGZRR", chip.2 / 1000.0, "").integer("NAXIS2", 40, "");
    let mut text = cards.cards().unwrap().to_vec();
    text.extend_from_slice(format!("{:<80}", "END").as_bytes());
    let field = Field::new("Field Header Card", &format!("{}A", text.len()));
    let mut header = HeaderBuilder::new();
    header.text("EXTNAME", "LDAC_IMHEAD", "");
    let rows = Rows { row_bytes: text.len(), bytes: &text, heap: &[] };
    bin_table_rows(bytes, &[field], &rows, &header, Checks::Absent).unwrap();
}

#[test]
fn headers_in_cells_name_the_chips() {
    let desk = Desk::bare();
    let rules = "[catalogue]\npairing = \"ldac\"\nspellings = { ra = [], dec = [] }\n";
    site(&desk, rules);
    let profile = desk.site.join("surveys/mycam.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    std::fs::write(&profile, text.replace("file = \"*-e91.fits\"\n", "")).unwrap();
    let mut images = Vec::new();
    primary(&mut images, &frame_cards(), Checks::Absent).unwrap();
    for chip in CHIPS {
        add_image(&mut images, Place::Extension, &chip_cards(chip));
    }
    let mut tables = Vec::new();
    primary(&mut tables, &HeaderBuilder::new(), Checks::Absent).unwrap();
    // Without RA and DEC nothing but the headers in the cells says that the order is another one.
    for chip in [CHIPS[2], CHIPS[0], CHIPS[1]] {
        add_header_table(&mut tables, chip);
        add_table(&mut tables, chip, "LDAC_OBJECTS");
    }
    let delivery = delivery(&desk, &[("field.fits", images), ("field.cat", tables)]);
    desk.run(&delivery).ended(0);
    let found = desk.rows(
        "SELECT d.ext_num, CAST(avg(iso_flux) AS BIGINT) AS flux, min(cat_ext_num) AS cat, min(phot_zp_cat) AS zp,
             min(phot_zp_err_cat) AS err, min(table_rows_cat) AS rows
         FROM detection AS d JOIN multiframe_detector AS f ON f.multiframe_id = d.multiframe_id AND f.ext_num = d.ext_num
         GROUP BY 1 ORDER BY 1",
    );
    let one = |ext_num: i64, cat: i64, zp: f64| {
        let flux = 1000 * (ext_num - 1);
        json!({"ext_num": ext_num, "flux": flux, "cat": cat, "zp": zp, "err": zp / 1000.0, "rows": 10})
    };
    assert_eq!(found, [one(2, 5, 23.0), one(3, 7, 24.0), one(4, 3, 25.0)]);
    assert_eq!(desk.refusals(), Vec::<Value>::new());
}

/// The real LDAC file of four chips, in each mode of pairing: right, or refused with the chip that would be right.
#[test]
fn a_real_ldac_file_is_paired_or_refused() {
    let Some(real) = testkit::real_data() else { return };
    let rules = |pairing: &str| {
        format!(
            "[catalogue]\npairing = {pairing}\nrequired = [\"seq_num\", \"x\", \"y\", \"kron_flux\"]\n\
             [catalogue.spellings]\nseq_num = [\"NUMBER\"]\nx = [\"X_IMAGE\"]\ny = [\"Y_IMAGE\"]\nra = [\"ALPHA_J2000\"]\n\
             dec = [\"DELTA_J2000\"]\nkron_flux = [\"FLUX_AUTO\"]\n[catalogue.photometry]\nmissing_zero_point = \"null\"\n\
             [project]\nunnamed = \"HUNT\"\n[[filter]]\nid = 1\nname = \"Ks\"\n"
        )
    };
    let cases = [
        ("\"ldac\"", 4, 0),
        ("\"order\"", 4, 0),
        ("\"hdu\"", 0, 4),
        ("{ keyword = \"ESO DET CHIP NO\" }", 0, 4),
    ];
    for (pairing, detectors, refused) in cases {
        let desk = Desk::bare();
        site(&desk, &rules(pairing));
        let profile = desk.site.join("surveys/mycam.toml");
        let text = std::fs::read_to_string(&profile).unwrap();
        let text = text.replace(
            "INSTRUME = \"fa*\"\nfile = \"*-e91.fits\"",
            "INSTRUME = \"HAWKI\"\nfile = \"chips*\"",
        );
        std::fs::write(&profile, text).unwrap();
        let copy = |path: &str| std::fs::read(real.join(Path::new(path))).unwrap();
        let files = [
            ("chips.fits.fz", copy("casu_image/hawki_simA_stack.fits.fz")),
            ("chips.cat", copy("catalogue/hawki_simA_sextractor_ldac.cat")),
        ];
        desk.run(&delivery(&desk, &files)).ended(i32::from(refused > 0));
        let rows = desk.rows("SELECT ext_num, count(*) AS n FROM detection GROUP BY 1 ORDER BY 1");
        assert_eq!(rows.len(), detectors, "{pairing}: {rows:?}");
        if detectors > 0 {
            let found: Vec<u64> = rows.iter().map(|row| row["n"].as_u64().unwrap()).collect();
            assert_eq!(found, [214, 219, 179, 202], "{pairing}");
        }
        let refusals = desk.refusals();
        assert_eq!(refusals.len(), refused, "{pairing}: {refusals:?}");
        if pairing == "\"hdu\"" {
            let misplaced: Vec<&str> = refusals
                .iter()
                .filter(|r| r["code"] == json!("pairing_contradicted"))
                .map(|r| r["message"].as_str().unwrap())
                .collect();
            assert_eq!(misplaced.len(), 2, "{refusals:?}");
            assert!(
                misplaced.iter().any(|m| m.contains("fit ext_num 2: set catalogue.pairing")),
                "{misplaced:?}"
            );
        }
    }
}
