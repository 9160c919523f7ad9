//! Catalogues whose positions are in another reference frame than the archive's.

use crate::made::{Cells, MadeTable, Outcome, detector, profile, run_with, wfcam};
use model::detector::{CardValue, Detector};
use model::profile::SurveyProfile;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Arcseconds by which positions may differ.
const POSITION_ARCSEC: f64 = 1e-3;

struct ImageCards<'a>(&'a BTreeMap<String, CardValue>);

impl sky::Keywords for ImageCards<'_> {
    fn text(&self, keyword: &str) -> Option<String> {
        match self.0.get(keyword)? {
            CardValue::Text(text) => Some(text.clone()),
            CardValue::Number(_) => None,
        }
    }
    fn number(&self, keyword: &str) -> Option<f64> {
        match self.0.get(keyword)? {
            CardValue::Number(number) => Some(*number),
            CardValue::Text(_) => None,
        }
    }
}

/// The generic profile, which takes columns of these names, with more keys of `[catalogue]`.
fn rules(more: &str) -> SurveyProfile {
    let spellings = "[catalogue.spellings]\n\
        ra = [\"RA\", \"GLON\", \"ELON\", \"SGLON\", \"ALPHA_J2000\", \"ALPHA_B1950\", \"first\"]\n\
        dec = [\"DEC\", \"GLAT\", \"ELAT\", \"SGLAT\", \"DELTA_J2000\", \"DELTA_B1950\", \"second\"]\n";
    let catalogue = format!("[catalogue]\n{more}\n");
    profile("generic", &[("[catalogue.spellings]\n", spellings), ("[catalogue]\n", &catalogue)])
}

/// A way to declare the frame of the columns.
#[derive(Clone, Debug)]
struct Case {
    frame: &'static str,
    equinox: f64,
    table: Vec<String>,
    image: Vec<(&'static str, CardValue)>,
    names: [&'static str; 2],
    setting: &'static str,
}

fn text(keyword: &'static str, value: &str) -> (&'static str, CardValue) {
    (keyword, CardValue::Text(value.to_owned()))
}

/// Every way to declare a frame, at several equinoxes.
fn cases() -> Vec<Case> {
    let usual = ["RA", "DEC"];
    let case = |frame, equinox, table: &[String]| Case {
        frame,
        equinox,
        table: table.to_vec(),
        image: Vec::new(),
        names: usual,
        setting: "",
    };
    let number = |keyword: &str, years: f64| format!("{keyword:<8}= {years:>20}");
    let mut cases = Vec::new();
    for (frame, system, equinoxes) in [
        ("fk4", "FK4", [1875.0, 1900.0, 1950.0, 1975.25]),
        ("fk4-no-e", "FK4-NO-E", [1875.0, 1900.0, 1950.0, 1983.9]),
        ("fk5", "FK5", [1900.0, 1984.0, 2000.0, 2015.5]),
    ] {
        for years in equinoxes {
            let named = format!("RADESYS = '{system}'");
            let older = format!("RADECSYS= '{system}'");
            cases.push(case(frame, years, &[named, number("EQUINOX", years)]));
            cases.push(case(frame, years, &[older, number("EPOCH", years)]));
            let image = vec![text("RADESYS", system), ("EQUINOX", CardValue::Number(years))];
            cases.push(Case { image, ..case(frame, years, &[]) });
            if frame != "fk4-no-e" && (frame == "fk4") == (years < 1984.0) {
                cases.push(case(frame, years, &[number("EQUINOX", years)]));
                let image = vec![("EPOCH", CardValue::Number(years))];
                cases.push(Case { image, ..case(frame, years, &[]) });
            }
        }
    }
    // What the table says counts, and the image's equinox is not mixed with it.
    let image = vec![text("RADESYS", "FK5"), ("EQUINOX", CardValue::Number(1975.0))];
    cases.push(Case { image: image.clone(), ..case("icrs", 2000.0, &["RADESYS = 'ICRS'".into()]) });
    cases.push(Case { image, ..case("fk4", 1950.0, &["RADESYS = 'FK4'".into()]) });
    let named = |frame, equinox, names| Case { names, ..case(frame, equinox, &[]) };
    cases.push(named("galactic", 2000.0, ["GLON", "GLAT"]));
    cases.push(named("supergalactic", 2000.0, ["SGLON", "SGLAT"]));
    cases.push(named("ecliptic", 2000.0, ["ELON", "ELAT"]));
    cases.push(named("fk5", 2000.0, ["ALPHA_J2000", "DELTA_J2000"]));
    cases.last_mut().unwrap().table = vec![number("EQUINOX", 1950.0)];
    cases.push(named("fk4", 1950.0, ["ALPHA_B1950", "DELTA_B1950"]));
    for (years, frame) in [(2010.0, "ecliptic"), (1950.0, "ecliptic-fk4")] {
        cases.push(named(frame, years, ["ELON", "ELAT"]));
        cases.last_mut().unwrap().table = vec![number("EQUINOX", years)];
    }
    for (setting, frame, equinox) in [
        ("position.frame = \"icrs\"", "icrs", 2000.0),
        ("position.frame = \"fk5\"", "fk5", 2000.0),
        ("position.frame = \"fk4\"", "fk4", 1950.0),
        ("position.frame = \"galactic\"", "galactic", 2000.0),
        ("position.frame = \"supergalactic\"", "supergalactic", 2000.0),
        ("position.frame = \"ecliptic\"", "ecliptic", 2000.0),
    ] {
        // The profile counts, whatever the header says.
        let declared = number("EQUINOX", 1975.0);
        cases.push(Case { setting, ..case(frame, equinox, &[declared]) });
    }
    cases
}

/// The image of a case, and where its rows are: pixels and positions in the ICRS.
struct Field {
    detector: Detector,
    pixels: [Vec<f64>; 2],
    icrs: Vec<sky::SkyPosition>,
}

const ROWS: usize = 5;

fn field(case: &Case, n: usize) -> Field {
    let mut detector = detector(7, 2);
    let mut set = |keyword: &str, value| detector.wcs.insert(keyword.to_owned(), value);
    // The golden ratio spreads the fields over the sky.
    let turn = |step: f64| (n as f64 * step).fract();
    set("CRVAL1", CardValue::Number(360.0 * turn(0.618_033_988_7)));
    set("CRVAL2", CardValue::Number(170.0 * turn(0.754_877_666_2) - 85.0));
    for (keyword, value) in &case.image {
        set(keyword, value.clone());
    }
    let reading = sky::Reading { rotates_fk5_2000: true, any_frame: false };
    let wcs = sky::Wcs::read_image(&ImageCards(&detector.wcs), reading).unwrap();
    let x: Vec<f64> = (0..ROWS).map(|row| 100.0 + 431.0 * row as f64).collect();
    let y: Vec<f64> = (0..ROWS).map(|row| 1900.0 - 377.0 * row as f64).collect();
    let icrs = x.iter().zip(&y).map(|(x, y)| wcs.pixel_to_sky(*x, *y).unwrap()).collect();
    Field { detector, pixels: [x, y], icrs }
}

fn table(case: &Case, field: &Field, longitude: Vec<f64>, latitude: Vec<f64>) -> MadeTable {
    let mut table = wfcam(ROWS);
    let [x, y] = field.pixels.clone();
    table.set("X_coordinate", "pixel", Cells::F64(x)).set("Y_coordinate", "pixel", Cells::F64(y));
    table.without("RA").without("DEC");
    table.set(case.names[0], "deg", Cells::F64(longitude));
    table.set(case.names[1], "deg", Cells::F64(latitude));
    table.cards = case.table.clone();
    table
}

/// Largest distance of the rows from where they are, arcsec.
fn off(outcome: &Outcome, field: &Field) -> f64 {
    let (ra, dec) = (outcome.numbers("ra"), outcome.numbers("dec"));
    assert_eq!(ra.len(), ROWS);
    let rows = ra.iter().zip(&dec).zip(&field.icrs);
    let apart = rows.map(|((ra, dec), icrs)| {
        sky::angular_distance_deg(ra.unwrap(), dec.unwrap(), icrs.ra_deg, icrs.dec_deg) * 3600.0
    });
    apart.fold(0.0, f64::max)
}

#[test]
fn foreign_frames_of_columns_are_converted() {
    let Some(python) = testkit::python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (question, answer) = (dir.path().join("question"), dir.path().join("answer"));
    let cases = cases();
    let fields: Vec<Field> = cases.iter().enumerate().map(|(n, case)| field(case, n)).collect();
    let list = |values: Vec<f64>| values.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    let lines = cases.iter().zip(&fields).map(|(case, field)| {
        let ra = list(field.icrs.iter().map(|p| p.ra_deg).collect());
        let dec = list(field.icrs.iter().map(|p| p.dec_deg).collect());
        format!("{} {} {ra} {dec}\n", case.frame, case.equinox)
    });
    std::fs::write(&question, lines.collect::<String>()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frames_oracle.py");
    let outcome = Command::new(python).arg(script).args([&question, &answer]).output().unwrap();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    let answers = std::fs::read_to_string(&answer).unwrap();
    assert_eq!(answers.lines().count(), cases.len());
    let mut largest = 0.0_f64;
    for ((case, field), line) in cases.iter().zip(&fields).zip(answers.lines()) {
        let columns: Vec<Vec<f64>> = line
            .split(' ')
            .map(|column| column.split(',').map(|n| n.parse().unwrap()).collect())
            .collect();
        let [longitude, latitude] = <[Vec<f64>; 2]>::try_from(columns).unwrap();
        let table = table(case, field, longitude, latitude);
        // The same of an image whose coordinate system is of no use, but names the frame.
        let mut blind = field.detector.clone();
        blind.wcs.retain(|keyword, _| !keyword.starts_with("CTYPE"));
        for detector in [field.detector.clone(), blind] {
            let outcome =
                run_with(std::slice::from_ref(&table), vec![detector], &rules(case.setting));
            assert_eq!(outcome.refusals(), [], "{case:?}");
            assert_eq!(outcome.findings(), [], "{case:?}");
            let apart = off(&outcome, field);
            assert!(apart < POSITION_ARCSEC, "{case:?}: {apart} arcsec");
            largest = largest.max(apart);
        }
    }
    println!("{} declarations of frames, at most {largest:.1e} arcsec apart", cases.len());
}

/// A catalogue of one position in every row, on an image around another; and its image.
fn lone(
    cards: &[&str],
    image: &[(&'static str, &str)],
    names: [&'static str; 2],
    (longitude, latitude): (f64, f64),
    (ra, dec): (f64, f64),
) -> (MadeTable, Detector) {
    let mut detector = detector(7, 2);
    let centre = [("CRVAL1", ra), ("CRVAL2", dec), ("CRPIX1", 100.0), ("CRPIX2", 100.0)];
    for (keyword, value) in centre {
        detector.wcs.insert(keyword.to_owned(), CardValue::Number(value));
    }
    for (keyword, value) in image {
        detector.wcs.insert((*keyword).to_owned(), CardValue::Text((*value).to_owned()));
    }
    let mut table = wfcam(3);
    table.set("X_coordinate", "pixel", Cells::F64(vec![100.0; 3]));
    table.set("Y_coordinate", "pixel", Cells::F64(vec![100.0; 3]));
    table.without("RA").without("DEC");
    table.set(names[0], "deg", Cells::F64(vec![longitude; 3]));
    table.set(names[1], "deg", Cells::F64(vec![latitude; 3]));
    table.cards = cards.iter().map(|card| (*card).to_owned()).collect();
    (table, detector)
}

const FK4: [&str; 2] = ["RADESYS = 'FK4'", "EQUINOX =               1950.0"];
/// RA 120, Dec 29 of the FK4 of 1950.0, in the ICRS by astropy.
const ICRS: (f64, f64) = (120.773_298_888_405, 28.859_200_782_886);

#[test]
fn columns_of_the_fk4_and_galactic_columns() {
    let names = ["RA", "DEC"];
    let galactic = (192.725_154_089_721_5, 27.376_489_442_155_75);
    let cases = [
        (lone(&FK4, &[], names, (120.0, 29.0), ICRS), ""),
        (lone(&[], &[], ["GLON", "GLAT"], galactic, ICRS), ""),
        (lone(&[], &[], ["first", "second"], galactic, ICRS), "position.frame = \"galactic\""),
        (
            lone(
                &["TUCD33  = 'pos.galactic.lon'", "TUCD34  = 'pos.galactic.lat'"],
                &[],
                ["first", "second"],
                galactic,
                ICRS,
            ),
            "",
        ),
    ];
    for ((mut table, detector), setting) in cases {
        let number = table.columns.iter().position(|(n, ..)| n == "first").map_or(0, |n| n + 1);
        for (n, card) in table.cards.iter_mut().enumerate().filter(|(_, c)| c.starts_with("TUCD")) {
            *card = format!("{:<8}{}", format!("TUCD{}", number + n), &card[8..]);
        }
        let outcome = run_with(&[table], vec![detector], &rules(setting));
        assert_eq!((outcome.refusals(), outcome.findings()), (vec![], vec![]));
        let (ra, dec) = (outcome.numbers("ra")[1].unwrap(), outcome.numbers("dec")[1].unwrap());
        let apart = sky::angular_distance_deg(ra, dec, ICRS.0, ICRS.1) * 3600.0;
        assert!(apart < POSITION_ARCSEC, "{ra} {dec}: {apart} arcsec");
    }
}

#[test]
fn unknown_frames_of_columns() {
    let usual = ["RA", "DEC"];
    let wcs = "position.source = \"wcs\"";
    let apparent = ["RADESYS = 'GAPPT'"];
    let refused = |message: &'static str| Err(message);
    type Case =
        ((MadeTable, Detector), &'static str, Result<Vec<(&'static str, u64)>, &'static str>);
    let cases: [Case; 6] = [
        // The frame of the image is not known, and the catalogue names none.
        (
            lone(&[], &[("RADESYS", "GAPPT")], usual, ICRS, ICRS),
            "",
            refused("RADESYS holds \"GAPPT\""),
        ),
        (
            lone(&[], &[("RADESYS", "GAPPT")], usual, ICRS, ICRS),
            wcs,
            refused("in the header of the image"),
        ),
        // The catalogue knows better.
        (lone(&["RADESYS = 'ICRS'"], &[("RADESYS", "GAPPT")], usual, ICRS, ICRS), "", Ok(vec![])),
        (lone(&apparent, &[], usual, ICRS, ICRS), "", refused("in the header of the table")),
        // Positions of the WCS need no columns.
        (
            lone(&apparent, &[], usual, (1.0, 2.0), ICRS),
            wcs,
            Ok(vec![("position_frame_unknown", 1)]),
        ),
        (
            lone(&[], &[], ["GLON", "DEC"], ICRS, ICRS),
            "",
            refused("columns GLON and DEC are not of one reference frame"),
        ),
    ];
    for ((table, detector), setting, wanted) in cases {
        let outcome = run_with(&[table], vec![detector], &rules(setting));
        match wanted {
            Ok(findings) => {
                assert_eq!(outcome.refusals(), []);
                assert_eq!(outcome.findings(), findings);
                for (ra, dec) in outcome.numbers("ra").iter().zip(outcome.numbers("dec")) {
                    let (ra, dec) = (ra.unwrap() - ICRS.0, dec.unwrap() - ICRS.1);
                    assert!(ra.abs() < 1e-9 && dec.abs() < 1e-9, "{ra} {dec}");
                }
            }
            Err(part) => {
                assert_eq!(outcome.refusals(), [(Some(1), "position_frame_unknown", 3, false)]);
                let message = &outcome.report.refusals[0].message;
                assert!(message.contains(part), "{message}");
            }
        }
    }
}

#[test]
fn a_declared_frame_that_contradicts_the_wcs() {
    let wrong = || lone(&FK4, &[], ["RA", "DEC"], ICRS, ICRS);
    let (table, detector) = wrong();
    let outcome = run_with(&[table], vec![detector], &rules(""));
    assert_eq!(outcome.refusals(), [(Some(1), "position_contradicts_wcs", 3, false)]);
    let message = &outcome.report.refusals[0].message;
    for part in
        ["deg (FK4 of equinox 1950)", "in ICRS they would agree", "set catalogue.position.frame"]
    {
        assert!(message.contains(part), "{message}");
    }
    let (table, detector) = wrong();
    let outcome = run_with(&[table], vec![detector], &rules("position.frame = \"icrs\""));
    assert_eq!((outcome.refusals(), outcome.findings()), (vec![], vec![]));
    assert_eq!(outcome.numbers("ra"), [Some(ICRS.0); 3]);
}
