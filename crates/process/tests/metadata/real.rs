//! Real files: what is archived is what their headers say.

use fits::{FitsFile, Limits};
use model::profile::SurveyProfile;
use model::tables::{self, Origin};
use process::header_view::is_own;
use process::metadata::{Extractor, Products, Rows};
use serde_json::Value;
use std::path::Path;
use testkit::{real_data, real_truth};

use super::built::{input, profile, programmes};
use super::table::{Got, cell, found, listed, refused};

const STACK: &str = "casu_image/hawki_simA_stack.fits.fz";
const STACK_CAT: &str = "casu_catalogue/hawki_simA_stack_cat.fits";
const CONF: &str = "casu_image/hawki_simA_stack_conf.fits.fz";
const CUTOUT: &str = "casu_image/ukidss_wfcam_cutout.fits";

fn read(profile: &SurveyProfile, dir: &Path, image: &str, catalogue: Option<&str>) -> Products {
    let programmes = programmes(profile);
    let delivery = "20140511_v1".parse().unwrap();
    let extractor = Extractor::new(profile, &programmes, &delivery);
    let open = |name: &str| FitsFile::open(&dir.join(name), &Limits::default()).unwrap();
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let catalogue_name = catalogue.map(name);
    let one = input(1, &name(image), catalogue_name.as_deref());
    let catalogue = catalogue.map(open);
    let mut rows = Rows::default();
    extractor.extract(&one, &open(image), catalogue.as_ref(), &mut rows);
    rows.finish()
}

/// The header values that the truth has for an HDU.
fn header<'t>(truth: &'t Value, file: &str, hdu: usize) -> &'t Value {
    &truth["files"][file]["hdus"][hdu]["header"]["values"]
}

/// Compares every column that is copied from a keyword with what the truth has for it; gives how many there were.
fn compare(
    products: &Products,
    profile: &SurveyProfile,
    table: &str,
    row: usize,
    origin: Origin,
    headers: &[&Value],
) -> usize {
    let mut compared = 0;
    for column in tables::table(table).unwrap().columns.iter().filter(|c| c.origin == Some(origin))
    {
        let rule = profile.column_rule(table, &column.name);
        if rule.is_some_and(|r| r.scale.is_some() || r.text_numbers) {
            continue;
        }
        let keywords = rule.and_then(|r| r.keywords.clone());
        let keywords = keywords.unwrap_or_else(|| column.keyword.iter().cloned().collect());
        // What is about the primary HDU alone is not a value of an extension.
        let of = |k: &String| if is_own(k) { &headers[..headers.len().min(1)] } else { headers };
        let known = keywords.iter().find_map(|k| of(k).iter().find_map(|h| h.get(k)));
        let wanted = match known {
            Some(Value::String(text)) if !text.trim().is_empty() => text.trim().into(),
            Some(Value::Bool(truth)) => Got::Bool(*truth),
            Some(Value::Number(number)) => match cell(products, table, row, &column.name) {
                Got::Int(_) => Got::Int(number.as_i64().unwrap()),
                _ => Got::Float(number.as_f64().unwrap()),
            },
            _ => continue,
        };
        let got = cell(products, table, row, &column.name);
        assert_eq!(got, wanted, "{table}.{} from {keywords:?}", column.name);
        compared += 1;
    }
    compared
}

#[test]
fn every_number_of_the_hawki_stack() {
    let Some(dir) = real_data() else { return };
    let (truth, profile) = (real_truth(&dir), profile("hawki"));
    let products = read(&profile, &dir, STACK, Some(STACK_CAT));
    assert_eq!(refused(&products), [""; 0]);
    assert_eq!(found(&products), [""; 0]);
    let image = |hdu| header(&truth, STACK, hdu);
    let catalogue = |hdu| header(&truth, STACK_CAT, hdu);
    let mut compared =
        compare(&products, &profile, "multiframe", 0, Origin::Primary, &[image(0), image(1)]);
    for row in 0..4 {
        let hdu = row + 1;
        for (table, origin, headers) in [
            ("multiframe_detector", Origin::Extension, vec![image(hdu)]),
            ("multiframe_detector", Origin::Catalogue, vec![catalogue(hdu), catalogue(0)]),
            ("astrometry", Origin::Extension, vec![image(hdu), image(0)]),
        ] {
            compared += compare(&products, &profile, table, row, origin, &headers);
        }
    }
    assert!(compared > 300, "only {compared} values were compared");
    let frame = ["frame_type", "filter_id", "num_detectors", "project", "exp_time", "airmass"];
    assert_eq!(listed(&products, "multiframe", &frame), ["stack 4 4 60.A-9999(Z) 150 1.125"]);
    assert_eq!(listed(&products, "programme_frame", &["programme_id"]), ["300"]);
    let tables =
        listed(&products, "multiframe_detector", &["ext_num", "cat_ext_num", "table_rows_cat"]);
    assert_eq!(tables, ["2 2 219", "3 3 223", "4 4 181", "5 5 208"]);
}

#[test]
fn components_of_the_hawki_stack() {
    let Some(dir) = real_data() else { return };
    let products = read(&profile("hawki"), &dir, STACK, None);
    let columns = ["ext_num", "role", "position", "component_name", "component_extension"];
    let rows = listed(&products, "provenance", &columns);
    assert_eq!(rows[..2], ["1 combine 1 raw_1.fits -", "1 combine 2 raw_2.fits -"]);
    let wanted = [
        "2 dark 1 mdark.fits CHIP1.INT1",
        "2 flat 1 mflat.fits CHIP1.INT1",
        "2 sky 1 sky_1.fits CHIP1.INT1",
        "2 combine 1 exp_1.fits CHIP1.INT1",
    ];
    assert_eq!(rows[5..9], wanted);
    assert_eq!(rows.len(), 5 + 4 * 8);
    assert_eq!(listed(&products, "multiframe", &["dark_name", "conf_name"]), ["mdark.fits -"]);
}

#[test]
fn a_confidence_map_of_hawki() {
    let Some(dir) = real_data() else { return };
    let products = read(&profile("hawki"), &dir, CONF, None);
    assert_eq!(refused(&products), [""; 0]);
    assert_eq!(found(&products), [""; 0]);
    assert_eq!(listed(&products, "multiframe", &["frame_type"]), ["stackconf"]);
    let columns = ["bits_per_pix", "hdu_kind", "axis1_length", "phot_zp_ext"];
    assert_eq!(listed(&products, "multiframe_detector", &columns)[0], "32 compressed_image 983 -");
}

#[test]
fn every_number_of_the_wfcam_cutout() {
    let Some(dir) = real_data() else { return };
    let (truth, profile) = (real_truth(&dir), profile("wfcam"));
    let products = read(&profile, &dir, CUTOUT, None);
    assert_eq!(refused(&products), [""; 0]);
    assert_eq!(found(&products), [""; 0], "a real header has nothing new for the profile");
    let (first, second) = (header(&truth, CUTOUT, 0), header(&truth, CUTOUT, 1));
    let compared = compare(&products, &profile, "multiframe", 0, Origin::Primary, &[first, second])
        + compare(&products, &profile, "multiframe_detector", 0, Origin::Extension, &[second])
        + compare(&products, &profile, "multiframe_detector", 0, Origin::Catalogue, &[])
        + compare(&products, &profile, "astrometry", 0, Origin::Extension, &[second, first]);
    assert!(compared > 180, "only {compared} values were compared");
    let cases: [(&str, &str, Got); 14] = [
        ("multiframe", "frame_type", "normal".into()),
        ("multiframe", "filter_id", 5.into()),
        ("multiframe", "ut_date", 20_071_011.into()),
        ("multiframe", "file_time_stamp", 71_011_071_231_111_303.into()),
        ("multiframe", "wind_dir", Got::Float(391.289)), // as delivered
        ("multiframe", "rq_max_sb", Got::Float(100.0)),
        ("multiframe", "rq_max_tau", Got::Null),
        ("multiframe", "dark_name", "dark_20071011_10_CDS_1.fit".into()),
        ("multiframe_detector", "data_scale", Got::Float(7071.0 / 1e4)),
        ("multiframe_detector", "data_zero", Got::Float(0.0)),
        ("multiframe_detector", "seeing", Got::Float(3.806582)),
        ("multiframe_detector", "phot_zp_cat", Got::Null),
        ("astrometry", "pv23", Got::Float(-60.0)),
        ("programme_frame", "programme_id", 103.into()),
    ];
    for (table, column, wanted) in cases {
        assert_eq!(cell(&products, table, 0, column), wanted, "{table}.{column}");
    }
    let rows = listed(&products, "provenance", &["role", "component_name", "component_ext_num"]);
    assert_eq!(rows.len(), 6);
    assert!(rows.contains(&"combine w20071011_01822_sf.fit 5".to_owned()), "{rows:?}");
}

/// Headers that are stored as text: raw frames, broken SIP, odd units, holes in the polynomial. None may panic, each
/// gives a row, and only those that say OBSTYPE are of a known kind.
#[test]
fn headers_stored_as_text() {
    let Some(dir) = real_data() else { return };
    let names = [
        ("perl-Astro-FITS-HdrTrans__wfcam.hdr", "normal"),
        ("perl-Astro-FITS-HdrTrans__ufti.hdr", "normal"),
        ("astropy__sip-broken.hdr", "other"),
        ("astropy__tpvonly.hdr", "normal"), // OBSTYPE = 'object',
        ("astropy__zpn-hole.hdr", "other"),
        ("astropy__nonstandard_units.hdr", "other"),
        ("astropy__sub-segfault.hdr", "other"),
        ("wcslib__TPV7.keyrec", "other"),
    ];
    for (name, wanted) in names {
        let text = std::fs::read(dir.join("header_text").join(name)).unwrap();
        let bytes = as_fits(&text);
        let profile = profile("generic");
        let programmes = [(1, "ALL", "U/EC/10"), (2, "UFTI", "U/05A/20")].map(
            |(programme_id, name, project)| {
                let (name, project) = (name.parse().unwrap(), project.to_owned());
                let programme_id = model::ProgrammeId::new(programme_id).unwrap();
                model::task::ProgrammeRef { programme_id, name, project }
            },
        );
        let mut loose = profile.clone();
        loose.project.unnamed = Some("ALL".to_owned());
        loose.project.keywords = vec!["PROJECT".to_owned()];
        let delivery = name.parse().unwrap();
        let extractor = Extractor::new(&loose, &programmes, &delivery);
        let file = FitsFile::from_bytes(name, bytes, &Limits::default()).unwrap();
        let mut rows = Rows::default();
        extractor.extract(&input(1, "x.fits", None), &file, None, &mut rows);
        let products = rows.finish();
        let got = listed(&products, "multiframe", &["frame_type"]);
        assert_eq!(got, [wanted], "{name}: {:?}", refused(&products));
    }
}

/// Header lines as a primary HDU of 8 x 8 pixels; what describes other axes is left out.
fn as_fits(text: &[u8]) -> Vec<u8> {
    let mut cards: Vec<Vec<u8>> = Vec::new();
    let fixed = [
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                    8",
        "NAXIS2  =                    8",
    ];
    cards.extend(fixed.map(|c| c.as_bytes().to_vec()));
    let lines: Vec<&[u8]> = if text.contains(&b'\n') {
        text.split(|b| *b == b'\n').collect()
    } else {
        text.chunks(80).collect()
    };
    for line in lines {
        let structural =
            ["SIMPLE", "BITPIX", "NAXIS", "XTENSION", "PCOUNT", "GCOUNT", "END", "EXTEND"];
        if line.len() <= 80 && !structural.iter().any(|s| line.starts_with(s.as_bytes())) {
            cards.push(line.to_vec());
        }
    }
    cards.push(b"END".to_vec());
    let mut bytes = Vec::new();
    for mut card in cards {
        card.resize(80, b' ');
        bytes.extend(card);
    }
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes.resize(bytes.len() + 2880, 0);
    bytes
}

/// A header without data, with axes of other kinds: it says of itself that it is not standard.
#[test]
fn the_header_of_the_time_axis_paper() {
    let Some(dir) = real_data() else { return };
    let name = "vircam_header_with_time.fits";
    let image = FitsFile::open(&dir.join("casu_image").join(name), &Limits::default()).unwrap();
    let profile = profile("generic");
    let mut rows = Rows::default();
    Extractor::new(&profile, &[], &"x".parse().unwrap()).extract(
        &input(1, name, None),
        &image,
        None,
        &mut rows,
    );
    assert_eq!(refused(&rows.finish()), ["not_standard vircam_header_with_time.fits 0"]);
}
