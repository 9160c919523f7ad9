//! Generated headers: positions and times of the staged rows beside those of astropy and wcslib.
//!
//! `ALMAGEST_HEADERS` is the number of headers (200), `ALMAGEST_HEADER_SEED` the seed (1). The long campaign is
//! `cargo xtask torture --headers`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "headers/made.rs"]
mod made;
#[path = "headers/plain.rs"]
mod plain;
#[path = "metadata/table.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod table;

use made::{Made, Random};
use plain::{extract, profile};
use process::metadata::Products;
use std::path::Path;
use std::process::Command;
use table::{Got, cell};

/// Arcseconds by which positions may differ.
const POSITION_ARCSEC: f64 = 1e-3;
/// The same for CSC, which wcslib computes in single precision.
const SINGLE_ARCSEC: f64 = 0.1;
/// Days by which times may differ. A double of today's MJD holds 7e-12; JD and TDB less.
const TIME_DAYS: f64 = 1e-9;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a whole number"))
}

fn file(made: &Made) -> Vec<u8> {
    plain::file(made.size.0, made.size.1, &made.cards)
}

fn oracle(headers: &[Made]) -> Option<Vec<String>> {
    let python = testkit::python()?;
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (directory.path().join("input"), directory.path().join("output"));
    let question: String = headers.iter().map(Made::question).collect();
    std::fs::write(&source, question).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/headers_oracle.py");
    let outcome = Command::new(python).arg(script).args([&source, &target]).output().unwrap();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    Some(std::fs::read_to_string(&target).unwrap().lines().map(str::to_owned).collect())
}

fn float(products: &Products, table: &str, column: &str) -> Option<f64> {
    match cell(products, table, 0, column) {
        Got::Float(number) => Some(number),
        Got::Null => None,
        other => panic!("{column}: {other:?}"),
    }
}

const COLUMNS: [&str; 10] =
    ["central_ra", "central_dec", "ra1", "dec1", "ra2", "dec2", "ra3", "dec3", "ra4", "dec4"];

/// Compares the positions of a frame with theirs, and describes a difference.
fn positions(made: &Made, products: &Products, theirs: &str) -> Result<bool, String> {
    let ours: Option<Vec<f64>> =
        COLUMNS.iter().map(|column| float(products, "astrometry", column)).collect();
    let found = products.findings.iter().any(|f| f.code.starts_with("wcs_"));
    let Some(ours) = ours else {
        let nothing = theirs.starts_with("NONE");
        return match (nothing, found) {
            (true, true) => Ok(false),
            (true, false) => Err("no position, and no finding".to_owned()),
            (false, _) => Err(format!("no position: {:?}", products.findings)),
        };
    };
    if theirs.starts_with("NONE") {
        return Err(format!("{ours:?}, astropy: {theirs}"));
    }
    let theirs: Vec<f64> = theirs.split(' ').map(|n| n.parse().unwrap()).collect();
    let limit = if made.single { SINGLE_ARCSEC } else { POSITION_ARCSEC };
    for (ours, theirs) in ours.chunks(2).zip(theirs.chunks(2)) {
        let apart = sky::angular_distance_deg(ours[0], ours[1], theirs[0], theirs[1]) * 3600.0;
        if apart.is_nan() || apart > limit {
            return Err(format!("{apart} arcsec: {ours:?} {theirs:?}"));
        }
    }
    Ok(true)
}

fn times(products: &Products, theirs: &str) -> Result<bool, String> {
    let ours = float(products, "multiframe", "mjd_obs");
    let found = products.findings.iter().any(|f| f.code.starts_with("time_"));
    match (ours, theirs.starts_with("NONE")) {
        (None, true) if found => Ok(false),
        (None, true) => Err("no time, and no finding".to_owned()),
        (Some(ours), true) => Err(format!("{ours}, and not NULL: {theirs}")),
        (None, false) => Err(format!("no time, astropy: {theirs}")),
        (Some(ours), false) => {
            let theirs: f64 = theirs.parse().unwrap();
            let apart = (ours - theirs).abs();
            if apart <= TIME_DAYS { Ok(true) } else { Err(format!("{apart} d: {ours} {theirs}")) }
        }
    }
}

#[test]
fn foreign_generated_headers_agree() {
    let (count, seed) = (setting("ALMAGEST_HEADERS", 200), setting("ALMAGEST_HEADER_SEED", 1));
    let headers: Vec<Made> =
        (0..count).map(|n| made::header(&mut Random::new(seed * 1_000_003 + n))).collect();
    let Some(answers) = oracle(&headers) else { return };
    assert_eq!(answers.len(), headers.len());
    let profile = profile();
    let (mut placed, mut timed, mut wrong) = (0, 0, Vec::new());
    for (n, (made, answer)) in headers.iter().zip(&answers).enumerate() {
        let products = extract(&profile, file(made));
        let (sky, time) = answer.split_once('|').unwrap();
        let results = [positions(made, &products, sky), times(&products, time)];
        for (result, count) in results.into_iter().zip([&mut placed, &mut timed]) {
            match result {
                Ok(known) => *count += usize::from(known),
                Err(fault) => wrong.push(format!("header {n}: {fault}\n{}", made.cards.join("\n"))),
            }
        }
    }
    println!("{count} headers of seed {seed}: {placed} positions and {timed} times agree");
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n\n")
    );
    assert!(placed as u64 > count / 2 && timed as u64 > count / 2, "{placed} {timed}");
}
