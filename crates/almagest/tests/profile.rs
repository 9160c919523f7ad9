//! `profile check`: what `run` would do with a directory of files under a profile, without a site.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

use operator::{Said, almagest};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Simulates a small night of one programme; returns its directory.
fn night(dir: &TempDir) -> PathBuf {
    let out = dir.path().join("in");
    let words = ["simulate", "--frames", "6", "--detections", "40", "--detector-size", "96"];
    let words = [&words[..], &["--programmes", "1", out.to_str().unwrap()]].concat();
    let said: Said = almagest().args(words).output().unwrap().into();
    said.ended(0);
    out.join("20071011_v1")
}

/// The text of a shipped profile in a file, after a change.
fn profile(dir: &TempDir, name: &str, change: impl Fn(&str) -> String) -> PathBuf {
    let (_, text) = model::profile::shipped().iter().find(|(n, _)| *n == name).unwrap();
    let path = dir.path().join(format!("{name}.toml"));
    std::fs::write(&path, change(text)).unwrap();
    path
}

fn check(profile: &Path, delivery: &Path) -> Said {
    let mut command = almagest();
    command.args(["profile", "check"]).arg(profile).arg(delivery).arg("--json");
    command.output().unwrap().into()
}

fn rows<'v>(report: &'v Value, sheet: &str) -> &'v Vec<Value> {
    report[sheet].as_array().unwrap_or_else(|| panic!("{sheet}: {report}"))
}

fn problems(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows(report, "problems").iter().map(|p| (text(&p["code"]), text(&p["subject"]))).collect()
}

#[test]
fn a_profile_that_fits_its_night_has_no_problem() {
    let dir = TempDir::new().unwrap();
    let night = night(&dir);
    let before = std::fs::read_dir(&night).unwrap().count();
    let report = check(&profile(&dir, "wfcam", str::to_owned), &night).json(0);
    assert_eq!(problems(&report), []);
    assert_eq!(std::fs::read_dir(&night).unwrap().count(), before);

    let images: Vec<&Value> =
        rows(&report, "files").iter().filter(|f| f["kind"] == "image").collect();
    assert!(images.len() >= 6);
    assert!(images.iter().all(|f| f["profile"] == "wfcam" && f["night"] == 20071011), "{images:?}");
    let choice = &rows(&report, "profiles")[0];
    assert_eq!(choice["why"], "INSTRUME fits its [[match]]");
    let others = choice["others"].as_str().unwrap();
    assert!(others.contains("hawki: INSTRUME = \"WFCAM\" does not fit \"HAWKI*\""), "{choice}");

    let tables: Vec<&Value> =
        rows(&report, "hdus").iter().filter(|h| h["content"] == "a binary table").collect();
    assert!(!tables.is_empty());
    for table in tables {
        assert!(table["use"].as_str().unwrap().starts_with("catalogue of ext_num "), "{table}");
        assert_eq!(table["rows"], table["written"], "{table}");
    }
    let positions = rows(&report, "positions");
    assert!(!positions.is_empty());
    for row in positions {
        assert!(row["dx"].as_f64().unwrap().abs() < 0.05, "{row}");
        assert!(row["dy_95"].as_f64().unwrap() < 0.5, "{row}");
    }
    assert!(rows(&report, "flags").iter().any(|f| f["name"] == "bad pixels"));
}

#[test]
fn rules_that_fit_nothing_are_problems() {
    let dir = TempDir::new().unwrap();
    let night = night(&dir);
    let change = |text: &str| {
        text.replace(
            "runs = [\"w{night}_{run}\"]",
            "runs = [\"w{night}_{run}\", \"q{night}_{run}\"]",
        )
        .replace(
            "INSTRUME = \"WFCAM*\"",
            "INSTRUME = \"WFCAM*\"\n\n[[match]]\nINSTRUME = \"OTHERCAM\"",
        )
        .replace("[catalogue.spellings]", "[catalogue.spellings]\nfwhm = [\"NO_SUCH_COLUMN\"]")
    };
    let path = profile(&dir, "wfcam", change);
    let text = std::fs::read_to_string(&path).unwrap();
    if !text.contains("NO_SUCH_COLUMN") {
        std::fs::write(&path, text + "\n[catalogue.spellings]\nfwhm = [\"NO_SUCH_COLUMN\"]\n")
            .unwrap();
    }
    let report = check(&path, &night).json(1);
    let unused = |key: &str| ("pattern_unused".to_owned(), key.to_owned());
    let wanted = ["match.1", "naming.runs.1", "catalogue.spellings.fwhm"].map(unused);
    assert_eq!(problems(&report), wanted);
}

#[test]
fn absent_and_unpaired_catalogues_are_problems() {
    let dir = TempDir::new().unwrap();
    let night = night(&dir);
    let names: Vec<PathBuf> =
        std::fs::read_dir(&night).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut catalogues: Vec<&PathBuf> =
        names.iter().filter(|p| p.to_string_lossy().ends_with("_cat.fits")).collect();
    catalogues.sort();
    let moved = night.join("w20071011_99999_st_cat.fits");
    std::fs::rename(catalogues[0], &moved).unwrap();
    let report = check(&profile(&dir, "wfcam", str::to_owned), &night).json(1);
    let image = catalogues[0].file_name().unwrap().to_string_lossy().replace("_cat.fits", ".fit");
    let found = problems(&report);
    assert!(found.contains(&("catalogue_absent".to_owned(), image)), "{found:?}");
    let orphan = "w20071011_99999_st_cat.fits".to_owned();
    assert!(found.contains(&("catalogue_unpaired".to_owned(), orphan)), "{found:?}");
}

#[test]
fn a_profile_with_faults_is_reported_with_all_of_them() {
    let dir = TempDir::new().unwrap();
    let night = night(&dir);
    let path = profile(&dir, "wfcam", |text| text.replace("[naming]", "[naming]\nnonsense = 1"));
    let said = check(&path, &night);
    assert!(said.err.contains("nonsense"), "{}", said.err);
    assert_eq!(said.code, Some(2));
    let said = check(&profile(&dir, "wfcam", str::to_owned), &dir.path().join("absent"));
    assert_eq!(said.code, Some(3), "{}", said.err);
}

/// Writes an image with a tangent WCS, and a catalogue as photutils writes it: x and y count from `origin`. A source's magnitude
/// is that of its flux in the frame plus the keyword ZP.
fn photutils_night(dir: &TempDir, origin: f64) -> PathBuf {
    use fits::write::{
        Checks, Column, HeaderBuilder, Pixels, Place, Values, bin_table, image, primary,
    };
    let night = dir.path().join("20240115_v1");
    std::fs::create_dir_all(&night).unwrap();
    for run in ["0007", "0008"] {
        let name = format!("m20240115_{run}");
        let mut header = HeaderBuilder::new();
        header.text("INSTRUME", "MYCAM", "").text("DATE-OBS", "2024-01-15T22:10:00", "");
        header.text("FILTER", "r", "").text("IMAGETYP", "OBJECT", "").number("EXPTIME", 10.0, "");
        header.text("CTYPE1", "RA---TAN", "").text("CTYPE2", "DEC--TAN", "");
        for (keyword, value) in [
            ("CRPIX1", 32.0),
            ("CRPIX2", 32.0),
            ("CRVAL1", 150.0),
            ("CRVAL2", 2.0),
            ("CDELT1", -1e-4),
            ("CDELT2", 1e-4),
            ("ZP", 25.0),
        ] {
            header.number(keyword, value, "");
        }
        let mut bytes = Vec::new();
        let pixels = Pixels::F32(&[1.0; 64 * 64]);
        image(&mut bytes, Place::Primary, &[64, 64], pixels, &header, Checks::Written).unwrap();
        std::fs::write(night.join(format!("{name}.fits")), bytes).unwrap();

        let count = 12;
        let pixels: Vec<f64> = (0..count).map(|n| 5.0 + 4.5 * f64::from(n)).collect();
        // Within half an arcminute the tangent plane is flat.
        let dec: Vec<f64> = pixels.iter().map(|y| 2.0 + (y - 32.0) * 1e-4).collect();
        let ra: Vec<f64> = pixels
            .iter()
            .zip(&dec)
            .map(|(x, dec)| 150.0 - (x - 32.0) * 1e-4 / dec.to_radians().cos())
            .collect();
        let shown: Vec<f64> = pixels.iter().map(|x| x - 1.0 + origin).collect();
        let flux: Vec<f64> = (0..count).map(|n| 100.0 * f64::from(n + 1)).collect();
        let magnitude: Vec<f64> = flux.iter().map(|f| 25.0 - 2.5 * f.log10()).collect();
        let label: Vec<i32> = (1..=count).collect();
        let column = |name, unit, values| Column { name, unit, values };
        let columns = [
            column("label", "", Values::I32(&label)),
            column("xcentroid", "pix", Values::F64(&shown)),
            column("ycentroid", "pix", Values::F64(&shown)),
            column("sky_centroid.ra", "deg", Values::F64(&ra)),
            column("sky_centroid.dec", "deg", Values::F64(&dec)),
            column("segment_flux", "adu", Values::F64(&flux)),
            column("kron_flux", "adu", Values::F64(&flux)),
            column("kron_mag", "mag", Values::F64(&magnitude)),
            column("gini", "", Values::F64(&flux)),
        ];
        let mut table = Vec::new();
        primary(&mut table, &HeaderBuilder::new(), Checks::Written).unwrap();
        bin_table(&mut table, label.len(), &columns, &HeaderBuilder::new(), Checks::Written)
            .unwrap();
        std::fs::write(night.join(format!("{name}_cat.fits")), table).unwrap();
    }
    night
}

/// Drafts a profile and writes it to a file.
fn draft(dir: &TempDir, delivery: &Path, name: &str) -> (PathBuf, String) {
    let mut command = almagest();
    command.args(["profile", "draft"]).arg(delivery).args(["--name", name]);
    let said: Said = command.output().unwrap().into();
    let text = said.ended(0);
    let path = dir.path().join(format!("{name}.toml"));
    std::fs::write(&path, &text).unwrap();
    (path, text)
}

#[test]
fn a_draft_of_photutils_catalogues_passes_the_check() {
    let dir = TempDir::new().unwrap();
    let night = photutils_night(&dir, 1.0);
    let (path, text) = draft(&dir, &night, "mycam");
    for wanted in [
        "\nINSTRUME = \"MYCAM\"\n",
        "runs = [\"m{night}_{run}\"]",
        "catalogue_suffixes = [\"_cat\"]",
        "\ncatalogue = true\n",
        "seq_num = [\"label\"]",
        "phot_zp_ext = { keywords = [\"ZP\"] }",
        "zero_point = \"frame\"",
        "# x and y count from 1: ",
        "#   gini: ",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    let report = check(&path, &night).json(0);
    assert_eq!(problems(&report), []);
    let magnitudes = rows(&report, "magnitudes");
    assert_eq!(magnitudes.len(), 2, "{report}");
    assert!(magnitudes[0]["median"].as_f64().unwrap().abs() < 0.001, "{magnitudes:?}");

    let wrong = text.replace("zero_point = \"frame\"", "zero_point = \"second\"");
    std::fs::write(&path, wrong).unwrap();
    let found = problems(&check(&path, &night).json(1));
    assert_eq!(found[0].0, "magnitude_offset", "{found:?}");
}

#[test]
fn pixels_that_count_from_0_are_found() {
    let dir = TempDir::new().unwrap();
    let night = photutils_night(&dir, 0.0);
    let (path, text) = draft(&dir, &night, "mycam");
    assert!(text.contains("# x and y count from 0: +1.00, +1.00 pixels"), "{text}");
    assert!(text.contains("\npixel_origin = 0\n"), "{text}");
    check(&path, &night).ended(0);
    std::fs::write(&path, text.replace("pixel_origin = 0", "pixel_origin = 1")).unwrap();
    let found = problems(&check(&path, &night).json(1));
    assert!(found.iter().any(|(code, _)| code == "pixel_shift"), "{found:?}");
}

#[test]
fn a_draft_of_a_known_camera_takes_precedence() {
    let dir = TempDir::new().unwrap();
    let night = night(&dir);
    let (path, text) = draft(&dir, &night, "other");
    assert!(text.contains("runs = [\"w{night}_{run}\", "), "{text}");
    let report = check(&path, &night).json(0);
    let images = rows(&report, "files").iter().filter(|f| f["kind"] == "image");
    for image in images {
        assert_eq!(image["profile"], "other", "{image}");
    }
    for pair in rows(&report, "pairs").iter().filter(|p| !p["catalogue"].is_null()) {
        assert!(!pair["image"].is_null(), "{pair}");
    }
    assert_eq!(problems(&report), []);
}
