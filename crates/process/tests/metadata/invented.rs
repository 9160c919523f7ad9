//! An invented survey: other names, spellings, units and programmes, without a line of Rust.

use fits::write::HeaderBuilder;
use model::profile::{Identifying, SurveyProfile, choose, shipped};

use super::built::{extract, image, input};
use super::table::{Got, all_found, cell, found, listed, refused};

const LANTERN: &str = r#"
name = "lantern"
survey_id = 77
title = "The Lantern survey"

[[match]]
CAMERA = "Lantern *"

[naming]
delivery = "night-{night}-r{version}"
runs = ["L{run}-{night}"]
extensions = [".fits", ".fz"]
suffixes = ["-coadd", "-weight"]
catalogue_suffixes = ["-sources"]

[[frame_type]]
name = "coaddconf"
suffixes = "-coadd-weight"
kind = "confidence"

[[frame_type]]
name = "coadd"
suffixes = "-coadd"
catalogue = true

[[frame_type]]
name = "dark"
keywords = { SHUTTER = ["closed"] }
kind = "calibration"

[[frame_type]]
name = "single"

[[filter]]
id = 12
name = "moonlight"
spellings = ["ML-3", "ML"]

[project]
keywords = ["RUN-ID"]

[[project.rule]]
starts_with = "L-"
cut_before = "/"

[[programme]]
id = 9001
name = "WICK"
project = "L-WICK"

[[library]]
role = "combine"
keywords = ["INPUT#"]

[[library]]
role = "flat"
keywords = ["FLATFILE"]

[column.multiframe]
exp_time = { keywords = ["SHUTMS"], scale = 0.001 }
mjd_obs = { keywords = ["T-START"] }
filter_name = { keywords = ["BAND"] }
object = { keywords = ["TARGET", "FIELD"] }
ut_date = { keywords = ["UT-DAY"], text_numbers = true }

[column.multiframe_detector]
phot_zp_ext = { keywords = ["ZEROPT"] }
cam_num = { keywords = ["CHIP"] }

[[expect]]
frames = ["coadd"]
columns = ["multiframe_detector.seeing"]

[policy]
known_keywords = ["LAMP*", "SHUTTER"]
"#;

fn primary() -> HeaderBuilder {
    let mut cards = HeaderBuilder::new();
    cards
        .text("CAMERA", "Lantern mark II", "")
        .text("SHUTTER", "open", "")
        .text("RUN-ID", "L-WICK/night 4", "")
        .text("BAND", "ML-3", "")
        .text("FIELD", "Pole", "")
        .number("T-START", 60000.25, "")
        .integer("SHUTMS", 1500, "")
        .text("UT-DAY", "20230225", "")
        .text("LAMP7", "off", "")
        .text("SURPRISE", "!", "");
    cards
}

fn extension() -> HeaderBuilder {
    let mut cards = HeaderBuilder::new();
    cards
        .integer("CHIP", 3, "")
        .number("ZEROPT", 27.5, "")
        .text("INPUT1", "L12-20230225.fits[1]", "")
        .text("INPUT12", "L13-20230225.fits[1]", "")
        .text("FLATFILE", "uses flat-ML.fits[3], normalised", "")
        .text("CTYPE1", "RA---TAN", "")
        .text("CTYPE2", "DEC--TAN", "")
        .number("CRPIX1", 20.0, "")
        .number("CRPIX2", 10.0, "")
        .number("CRVAL1", 359.9999, "")
        .number("CRVAL2", 89.9, "")
        .number("CD1_1", -1e-4, "")
        .number("CD2_2", 1e-4, "");
    cards
}

#[test]
fn nights_formats_and_texts_follow_the_profile() {
    let more = r#"
[night]
from = "date_obs"
noon = 12.0
utc_offset_h = -10.0

[column.multiframe]
seeing_start = { keywords = ["FWHMPIX"], scale = 0.5, add = 0.25 }
observer = { keywords = ["OBSNUM"], as_text = true }
tel_ra = { keywords = ["TELRA"], format = "sexagesimal_h" }
lst = { keywords = ["TELRA"], format = "sexagesimal_time" }
tel_dec = { keywords = ["TELDEC"], format = "sexagesimal_d" }
"#;
    let text = LANTERN.replace("[column.multiframe]\n", more) + "\n";
    let lantern = SurveyProfile::parse(&text).unwrap_or_else(|f| panic!("{f}"));
    let mut cards = primary();
    cards.number("FWHMPIX", 3.0, "").integer("OBSNUM", 12, "").text("TELRA", "12:30:00", "").text(
        "TELDEC",
        "-00 30 00",
        "",
    );
    // 6 h UT of 25 February is 20 h of 24 February; the name has another night.
    let one = input(5, "L12-20230101.fits", None);
    let products = extract(&lantern, &one, image(&cards, &[extension()]), None);
    let cases: [(&str, Got); 8] = [
        ("night", 20_230_224.into()),
        ("run_no", 12.into()),
        ("julian_day_num", 2_460_000.into()),
        ("seeing_start", Got::Float(1.75)),
        ("observer", "12".into()),
        ("tel_ra", Got::Float(12.5)),
        ("lst", Got::Float(45_000.0)),
        ("tel_dec", Got::Float(-0.5)),
    ];
    for (column, wanted) in cases {
        assert_eq!(cell(&products, "multiframe", 0, column), wanted, "{column}");
    }
    assert_eq!(cell(&products, "multiframe_detector", 0, "night"), 20_230_224.into());
}

#[test]
fn it_is_read_as_its_profile_says() {
    let lantern = SurveyProfile::parse(LANTERN).unwrap_or_else(|f| panic!("{f}"));
    let one = input(5, "L12-20230225-coadd.fits", None);
    let products = extract(&lantern, &one, image(&primary(), &[extension()]), None);
    assert_eq!(refused(&products), [""; 0]);
    assert_eq!(found(&products), ["keyword_new SURPRISE 1", "keyword_missing SEEING 1"]);
    let cases: [(&str, &str, Got); 11] = [
        ("multiframe", "survey_id", 77.into()),
        ("multiframe", "frame_type", "coadd".into()),
        ("multiframe", "night", 20_230_225.into()),
        ("multiframe", "run_no", 12.into()),
        ("multiframe", "filter_id", 12.into()),
        ("multiframe", "exp_time", Got::Float(1.5)),
        ("multiframe", "mjd_obs", Got::Float(60000.25)),
        ("multiframe", "object", "Pole".into()),
        ("multiframe_detector", "phot_zp_ext", Got::Float(27.5)),
        ("multiframe_detector", "cam_num", 3.into()),
        ("programme_frame", "programme_id", 9001.into()),
    ];
    for (table, column, wanted) in cases {
        assert_eq!(cell(&products, table, 0, column), wanted, "{table}.{column}");
    }
    let rows = listed(&products, "provenance", &["role", "position", "component_name"]);
    let wanted =
        ["combine 1 L12-20230225.fits", "combine 2 L13-20230225.fits", "flat 1 flat-ML.fits"];
    assert_eq!(rows, wanted);
}

#[test]
fn the_same_file_means_other_things_to_other_surveys() {
    let bytes = image(&primary(), &[extension()]);
    let generic = super::built::profile("generic");
    let one = input(5, "L12-20230225-coadd.fits", None);
    // The generic survey takes frames without a project into a programme of its own.
    let products = extract(&generic, &one, bytes.clone(), None);
    assert_eq!(refused(&products), Vec::<String>::new());
    let mut strict = generic;
    strict.project.unnamed = None;
    let products = extract(&strict, &one, bytes, None);
    assert_eq!(refused(&products), ["no_project L12-20230225-coadd.fits - parked"]);
}

#[test]
fn its_files_find_it_among_the_others() {
    let mut profiles: Vec<_> =
        shipped().iter().map(|(_, text)| SurveyProfile::parse(text).unwrap()).collect();
    profiles.push(SurveyProfile::parse(LANTERN).unwrap());
    let keyword = |name: &str| (name == "CAMERA").then(|| "Lantern mark II".to_owned());
    let file = Identifying { file: "a.fits", keyword: &keyword };
    assert_eq!(choose(&profiles, &file).unwrap().name, "lantern");
}

#[test]
fn a_frame_whose_type_has_a_catalogue_lacks_it() {
    let lantern = SurveyProfile::parse(LANTERN).unwrap_or_else(|f| panic!("{f}"));
    let absent = |name: &str, catalogue: Option<&str>| {
        let products =
            extract(&lantern, &input(5, name, catalogue), image(&primary(), &[extension()]), None);
        all_found(&products).into_iter().find(|found| found.starts_with("catalogue_absent"))
    };
    let wanted = Some("catalogue_absent coadd 1".to_owned());
    assert_eq!(absent("L12-20230225-coadd.fits", None), wanted);
    assert_eq!(absent("L12-20230225-coadd.fits", Some("L12-20230225-coadd-sources.fits")), None);
    assert_eq!(absent("L12-20230225.fits", None), None, "a single exposure has none");
}
