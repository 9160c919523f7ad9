//! Catalogues whose tables are not where the images are, or whose positions are not what they seem; extension numbers in
//! tables; the page of previews.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

use fits::write::{
    Checks, Column, HeaderBuilder, Pixels, Place, Values, bin_table, image, primary,
};
use operator::Desk;
use serde_json::{Value, json};
use std::path::Path;

const ROWS: usize = 10;
/// Degrees per pixel.
const SCALE: f64 = 0.0005;

/// One HDU of the made files: extension name, and the right ascension of its chip's centre.
#[derive(Clone, Copy)]
struct Chip {
    name: &'static str,
    number: i64,
    ra: f64,
    zero_point: f64,
}

const CHIPS: [Chip; 3] = [
    Chip { name: "CHIP1", number: 1, ra: 120.2, zero_point: 23.0 },
    Chip { name: "CHIP2", number: 2, ra: 120.4, zero_point: 24.0 },
    Chip { name: "CHIP3", number: 3, ra: 120.6, zero_point: 25.0 },
];

/// What names the HDUs.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    ExtName,
    Number,
    Neither,
}

fn name(header: &mut HeaderBuilder, chip: Chip, names: Names, dull: &str) {
    match names {
        Names::ExtName => header.text("EXTNAME", chip.name, ""),
        Names::Number => header.text("EXTNAME", dull, "").integer("CCDNUM", chip.number, ""),
        Names::Neither => header.text("EXTNAME", dull, ""),
    };
}

fn write_images(path: &Path, chips: &[Chip], names: Names) {
    let mut bytes = Vec::new();
    let mut header = HeaderBuilder::new();
    header.text("OBSTYPE", "OBJECT", "").text("PROJECT", "HUNT", "");
    header.number("EXPTIME", 10.0, "").number("MJD-OBS", 60_681.127_835_6, "");
    primary(&mut bytes, &header, Checks::Absent).unwrap();
    for chip in chips {
        let mut header = HeaderBuilder::new();
        name(&mut header, *chip, names, "IMAGE");
        header.number("MAGZPT", chip.zero_point, "");
        header.text("CTYPE1", "RA---TAN", "").text("CTYPE2", "DEC--TAN", "");
        header.number("CRVAL1", chip.ra, "").number("CRVAL2", 29.0, "");
        header.number("CRPIX1", 20.5, "").number("CRPIX2", 10.5, "");
        header.number("CD1_1", -SCALE, "").number("CD2_2", SCALE, "");
        header.number("CD1_2", 0.0, "").number("CD2_1", 0.0, "");
        let pixels = vec![100_i16; 60 * 40];
        image(
            &mut bytes,
            Place::Extension,
            &[60, 40],
            Pixels::I16(&pixels),
            &header,
            Checks::Absent,
        )
        .unwrap();
    }
    std::fs::write(path, bytes).unwrap();
}

/// Gnomonic position of a pixel (Calabretta and Greisen 2002, section 5.1.3), degrees.
fn position(chip: Chip, x: f64, y: f64) -> (f64, f64) {
    let (xi, eta) = (-SCALE * (x - 20.5), SCALE * (y - 10.5));
    let (xi, eta) = (xi.to_radians(), eta.to_radians());
    let (sin, cos) = 29.0_f64.to_radians().sin_cos();
    let ra = chip.ra + xi.atan2(cos - eta * sin).to_degrees();
    let dec = (eta * cos + sin).atan2(xi.hypot(cos - eta * sin)).to_degrees();
    (ra, dec)
}

/// Units of RA and DEC and what divides degrees.
type Units = [(&'static str, f64); 2];
const RADIANS: Units = [("RADIANS", 57.295_779_513_082_32); 2];

fn write_catalogue(path: &Path, chips: &[Chip], names: Names, units: Units, shift_arcsec: f64) {
    let mut bytes = Vec::new();
    primary(&mut bytes, &HeaderBuilder::new(), Checks::Absent).unwrap();
    for chip in chips {
        let mut header = HeaderBuilder::new();
        name(&mut header, *chip, names, "APM-BINARYTABLE");
        let x: Vec<f32> = (0..ROWS).map(|n| 3.0 + 5.0 * n as f32).collect();
        let y: Vec<f32> = (0..ROWS).map(|n| 2.0 + 3.5 * n as f32).collect();
        let sky: Vec<(f64, f64)> =
            x.iter().zip(&y).map(|(x, y)| position(*chip, f64::from(*x), f64::from(*y))).collect();
        let ra: Vec<f64> = sky.iter().map(|p| p.0 / units[0].1).collect();
        let dec: Vec<f64> =
            sky.iter().map(|p| (p.1 + shift_arcsec / 3600.0) / units[1].1).collect();
        let number: Vec<f32> = (0..ROWS).map(|n| 1.0 + n as f32).collect();
        let flux = vec![1000.0_f32; ROWS];
        let columns = [
            ("Sequence_number", "", Values::F32(&number)),
            ("Isophotal_flux", "", Values::F32(&flux)),
            ("X_coordinate", "", Values::F32(&x)),
            ("Y_coordinate", "", Values::F32(&y)),
            ("Aper_flux_3", "", Values::F32(&flux)),
            ("RA", units[0].0, Values::F64(&ra)),
            ("DEC", units[1].0, Values::F64(&dec)),
        ];
        let columns = columns.map(|(name, unit, values)| Column { name, unit, values });
        bin_table(&mut bytes, ROWS, &columns, &header, Checks::Absent).unwrap();
    }
    std::fs::write(path, bytes).unwrap();
}

/// A delivery of one image and its catalogue.
struct Made<'a> {
    images: &'a [Chip],
    tables: &'a [Chip],
    names: Names,
    units: Units,
    shift_arcsec: f64,
}

impl Default for Made<'_> {
    fn default() -> Self {
        Self {
            images: &CHIPS,
            tables: &CHIPS,
            names: Names::ExtName,
            units: RADIANS,
            shift_arcsec: 0.0,
        }
    }
}

fn run(desk: &Desk, delivery: &str, made: &Made<'_>, code: i32) {
    desk.at_site(&["programme", "add", "HUNT", "HUNT"]);
    let directory = desk.inbox().join(delivery);
    std::fs::create_dir_all(&directory).unwrap();
    write_images(&directory.join("field_st.fits"), made.images, made.names);
    let Made { tables, names, units, shift_arcsec, .. } = *made;
    write_catalogue(&directory.join("field_st_cat.fits"), tables, names, units, shift_arcsec);
    desk.run(&directory).ended(code);
}

/// Extension numbers of the detections with their magnitudes in tenths.
fn magnitudes(desk: &Desk) -> Vec<(i64, i64, i64)> {
    let rows = desk.rows(
        "SELECT ext_num, CAST(round(aper_mag3 * 10) AS BIGINT) AS mag, count(*) AS n FROM detection
         GROUP BY 1, 2 ORDER BY 1, 2",
    );
    let number = |row: &Value, name: &str| row[name].as_i64().unwrap();
    rows.iter().map(|r| (number(r, "ext_num"), number(r, "mag"), number(r, "n"))).collect()
}

#[test]
fn tables_belong_to_the_chips_that_they_name() {
    for desk in Desk::of_both_engines() {
        run(&desk, "20250101_v1", &Made { tables: &CHIPS[1..], ..Made::default() }, 0);
        assert_eq!(magnitudes(&desk), [(3, 190, 10), (4, 200, 10)]);
        // The tables of accounts join on the extension number of the image.
        let accounts = desk.rows(
            "SELECT h.ext_num, h.cat_ext_num, d.cat_ext_num AS same, d.phot_zp_ext AS zp, rows_written FROM hdu_rows AS h
             JOIN multiframe_detector AS d ON d.multiframe_id = h.multiframe_id AND d.ext_num = h.ext_num ORDER BY 1",
        );
        let wanted = [
            json!({"ext_num": 3, "cat_ext_num": 2, "same": 2, "zp": 24.0, "rows_written": 10}),
            json!({"ext_num": 4, "cat_ext_num": 3, "same": 3, "zp": 25.0, "rows_written": 10}),
        ];
        assert_eq!(accounts, wanted);
        // Again: the rows that are right stay, under their ids.
        let ids = || desk.rows("SELECT obj_id, ext_num FROM detection ORDER BY 1");
        let before = ids();
        desk.at_site(&["catalogue", "--again"]);
        assert_eq!(ids(), before);
        desk.verified();
    }
}

#[test]
fn detector_numbers_pair_where_names_do_not() {
    let desk = Desk::bare();
    // Tables in another order; the image lacks a chip that the catalogue has.
    let tables = [CHIPS[2], CHIPS[0], CHIPS[1]];
    let made =
        Made { images: &CHIPS[1..], tables: &tables, names: Names::Number, ..Made::default() };
    run(&desk, "20250101_v1", &made, 1);
    assert_eq!(magnitudes(&desk), [(2, 190, 10), (3, 200, 10)]);
    let refusals = desk.refusals();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!((&refusals[0]["code"], &refusals[0]["ext_num"]), (&json!("no_detector"), &json!(3)));
    let message = refusals[0]["message"].as_str().unwrap();
    assert!(message.contains("CCDNUM 1") && message.contains("field_st.fits"), "{message}");
}

#[test]
fn the_wrong_chip_is_refused_by_its_positions() {
    for desk in Desk::of_both_engines() {
        // Nothing names the HDUs: by their order the tables belong to the first two chips.
        let (images, tables) = (&CHIPS[..2], &CHIPS[1..]);
        let made = Made { images, tables, names: Names::Neither, ..Made::default() };
        run(&desk, "20250101_v1", &made, 1);
        assert_eq!(magnitudes(&desk), []);
        let zero_points = desk.rows("SELECT ext_num, phot_zp_ext AS zp FROM multiframe_detector");
        let with_detector = |r: &Value| {
            let of = zero_points.iter().find(|d| d["ext_num"] == r["ext_num"]).unwrap();
            json!([r["code"], r["ext_num"], r["column"], r["rows"], of["zp"]])
        };
        let mut refused: Vec<Value> = desk.refusals().iter().map(with_detector).collect();
        refused.sort_by_key(|r| r[1].as_i64());
        // The rows of the first table are those of the other chip, the rows of the second fit none.
        let one = |code, ext_num: i64, zp: f64| json!([code, ext_num, "RA", 10, zp]);
        let wanted =
            [one("pairing_contradicted", 2, 23.0), one("position_contradicts_wcs", 3, 24.0)];
        assert_eq!(refused, wanted);
        let refusals = desk.refusals();
        let of = |code| refusals.iter().find(|r| r["code"] == json!(code)).unwrap();
        let message = of("pairing_contradicted")["message"].as_str().unwrap();
        for part in ["ext_num 2 of field_st.fits", "fit ext_num 3", "catalogue.pairing"] {
            assert!(message.contains(part), "{message}");
        }
        let message = of("position_contradicts_wcs")["message"].as_str().unwrap();
        for part in ["629.", "ext_num 3 of field_st.fits", "refuse_above_arcsec"] {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn positions_in_the_unit_of_each_column() {
    let cases: [(Units, f64, Option<&str>); 6] = [
        ([("h", 15.0), ("deg", 1.0)], 0.0, None),
        ([("deg", 1.0), ("arcsec", 1.0 / 3600.0)], 0.0, None),
        // A pixel is 1.8 arcsec.
        ([("HOURANGLE", 15.0), ("Radians", RADIANS[1].1)], 0.8, None),
        // Hours that are called degrees, and positions too far off.
        ([("deg", 15.0), ("deg", 1.0)], 0.0, Some("position_contradicts_wcs")),
        ([("HOURANGLE", 15.0), ("Radians", RADIANS[1].1)], 29.0, Some("pixel_shift")),
        (RADIANS, 31.0, Some("position_contradicts_wcs")),
    ];
    for (units, shift_arcsec, code) in cases {
        let desk = Desk::bare();
        let made = Made { units, shift_arcsec, ..Made::default() };
        run(&desk, "20250101_v1", &made, i32::from(code.is_some()));
        if let Some(code) = code {
            assert_eq!(desk.count("SELECT count(*) FROM detection"), 0, "{units:?}");
            let codes: Vec<Value> = desk.refusals().iter().map(|r| r["code"].clone()).collect();
            assert_eq!(codes, vec![json!(code); 3], "{units:?}");
            continue;
        }
        let rows =
            desk.rows("SELECT ext_num, x, y, ra, dec FROM detection ORDER BY ext_num, seq_num");
        assert_eq!(rows.len(), 3 * ROWS);
        for row in rows {
            let number = |name: &str| row[name].as_f64().unwrap();
            let chip = CHIPS[row["ext_num"].as_u64().unwrap() as usize - 2];
            let (ra, dec) = position(chip, number("x"), number("y"));
            let off =
                (number("ra") - ra).abs().max((number("dec") - dec - shift_arcsec / 3600.0).abs());
            assert!(off < 1e-10, "{units:?}: {row} {ra} {dec}");
        }
    }
}

#[test]
fn extension_numbers_are_those_of_the_metadata_everywhere() {
    let desk = Desk::bare();
    run(&desk, "20250101_v1", &Made { shift_arcsec: 31.0, ..Made::default() }, 1);
    let listed = desk.at_site(&["refusals", "list"]).ended(0);
    assert!(listed.contains("field_st_cat.fits ext_num 2"), "{listed}");
    let shown = desk.at_site(&["refusals", "show", "1"]).ended(0);
    assert!(shown.contains("ext_num"), "{shown}");
    let inspected = desk
        .plain(&["inspect", desk.inbox().join("20250101_v1/field_st_cat.fits").to_str().unwrap()])
        .ended(0);
    let chip1 = inspected.lines().find(|line| line.contains("CHIP1")).unwrap().to_owned();
    assert!(chip1.trim_start_matches(['|', ' ']).starts_with('2'), "{inspected}");
}

#[test]
fn a_page_with_the_previews_of_a_site() {
    let desk = Desk::new();
    let small = operator::Small::default();
    let delivery = desk.simulate(&small);
    let said = desk.at_site(&["contact-sheet"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    desk.run(&delivery).ended(0);
    run(&desk, "20250101_v1", &Made::default(), 0);
    desk.at_site(&["contact-sheet"]).ended(0);
    desk.at_site(&["contact-sheet", "--delivery", "20250101_v1"]).ended(0);
    let page = std::fs::read_to_string(desk.site.join("contact-sheet.html")).unwrap();
    let frames = desk.count("SELECT count(*) FROM preview WHERE ext_num = 0");
    assert_eq!(page.matches("<figure>").count() as u64, frames);
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(place("Science frames") < place("Confidence maps"));
    assert!(place("Confidence maps") < place("Calibration frames"));
    let flat = desk.value("SELECT file_name FROM multiframe WHERE frame_type = 'flat' LIMIT 1");
    assert!(place("Calibration frames") < place(flat.as_str().unwrap()));
    // Every reference leads to a file.
    let links: Vec<&str> =
        page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(links.len() as u64 > 2 * frames);
    for link in links {
        assert!(desk.site.join(link).is_file(), "{link}");
    }
    let part = desk.site.join("contact-sheet-20250101_v1.html");
    assert_eq!(std::fs::read_to_string(part).unwrap().matches("<figure>").count(), 1);
}
