//! Columns that a profile converts, and magnitudes, positions and quality bits of pipelines that are not CASU's.

use crate::foreign::Staged;
use crate::made::{Cells, MadeTable, Outcome, detector, input, run, run_with, wcs};
use model::detector::{CardValue, Detector, Photometry};
use model::profile::SurveyProfile;
use process::catalogue::{CatalogueTask, extract};
use std::path::Path;
use testkit::{real_data, real_truth};

/// A survey of its own, with these keys of `[catalogue]`.
fn survey(catalogue: &str) -> SurveyProfile {
    let text = format!(
        "name = \"other\"\nsurvey_id = 78\ntitle = \"Another pipeline\"\nfallback = true\n\
         [naming]\ndelivery = \"{{night}}_v{{version}}\"\nextensions = [\".fits\"]\n{catalogue}"
    );
    SurveyProfile::parse(&text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The catalogue of the script, by its columns.
const COLUMNS: &str = r#"
[catalogue]
required = ["seq_num", "x", "y", "aper_flux1"]
unknown = [-99.99, 99.0]
[catalogue.spellings]
seq_num = [{ column = "sourceid", add = -4611686018427387908 }]
x = ["xcentroid"]
y = ["ycentroid"]
ra = [{ column = "RA_TEXT", format = "sexagesimal_h" }]
dec = [{ column = "DEC_TEXT", format = "sexagesimal_d" }]
aper_flux1 = ["FLUX_APER[1]"]
aper_flux1_err = ["FLUXERR_APER[1]"]
aper_flux2 = ["FLUX_APER[2]"]
aper_flux2_err = ["FLUXERR_APER[2]"]
aper_flux3 = ["FLUX_APER_3", "FLUX_APER[3]"]
aper_flux3_err = ["FLUXERR_APER[3]"]
pa = [{ column = "THETA", unit = "rad", add = 90.0 }]
x_err = [{ column = "ERRX2", sqrt = true, unknown = [-1.0] }]
sky = ["BACKGROUND"]
err_bits = ["FLAGS"]
MAGNITUDES
[catalogue.position]
pixel_origin = 0
[catalogue.quality]
blended_bits = [0, 1]
bad_bits = [3, 28]
saturated_bits = [2]
[catalogue.photometry]
"#;

const COMPUTED: &str = r#"
zero_point = "frame"
error_formula = "pogson"
fixed_zero_point_mag = 25.0
fixed_zero_point_epoch = "2007-10-10"
"#;

const MAGNITUDES: &str = r#"
kron_mag = ["MAG_AUTO"]
kron_mag_err = [{ column = "MAGERR_AUTO", unit = "mmag" }]
psf_mag_err = ["e_MAG_PSF"]
petro_mag = [{ column = "MAG_TEXT", format = "text_number" }]
"#;

#[test]
fn foreign_astropy_reads_and_converts_the_same() {
    let script = include_str!("spellings.py");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other_cat.fits");
    let mode = |mode: &str| std::path::PathBuf::from(mode);
    let Some(said) = testkit::python_script("a catalogue", script, &[mode("write"), path.clone()])
    else {
        return;
    };
    assert_eq!(said.trim(), "written 600");
    let delivered = "magnitudes = \"delivered\"\nmag_add = \"MAGZP\"\n";
    for (name, magnitudes, photometry) in
        [("computed", "", COMPUTED), ("delivered", MAGNITUDES, delivered)]
    {
        let profile = survey(&format!("{}{photometry}", COLUMNS.replace("MAGNITUDES", magnitudes)));
        let mut detector = detector(7, 2);
        // Magnitudes of their own need no zero point, and the fixed one replaces the header's.
        detector.photometry = Photometry::default();
        let detectors = [((detector.multiframe_id, detector.ext_num), detector)].into();
        let inputs = [input(7, "other.fits", &path, "other_cat.fits")];
        let task = CatalogueTask { inputs: &inputs, detectors: &detectors, profile: &profile };
        let mut sink = Staged { dir: dir.path().to_owned(), writer: None };
        let report = extract(&task, &mut sink).unwrap();
        assert_eq!(report.refusals, [], "{name}");
        let codes: Vec<_> = report.findings.iter().map(|f| f.code.as_str()).collect();
        assert!(codes.iter().all(|code| *code == "column_unknown"), "{codes:?}");
        let staged = dir.path().join("detection.parquet");
        let arguments = [mode(name), path.clone(), staged.clone()];
        let said = testkit::python_script("converted columns", script, &arguments).unwrap();
        assert_eq!(said.trim(), "rows 600");
        std::fs::remove_file(staged).unwrap();
    }
}

/// Some rows of photutils: x and y from 0, positions by the WCS.
fn photutils(shift: f64) -> MadeTable {
    let pixels: Vec<(f64, f64)> =
        (0..9).map(|n| (100.5 + f64::from(n) * 17.0, 40.25 + f64::from(n) * 31.0)).collect();
    let sky: Vec<_> = pixels.iter().map(|(x, y)| wcs().pixel_to_sky(*x, *y).unwrap()).collect();
    let mut table = MadeTable::default();
    table.set("xcentroid", "", Cells::F64(pixels.iter().map(|p| p.0 + shift).collect()));
    table.set("ycentroid", "", Cells::F64(pixels.iter().map(|p| p.1 + shift).collect()));
    table.set("sky_centroid.ra", "deg", Cells::F64(sky.iter().map(|p| p.ra_deg).collect()));
    table.set("sky_centroid.dec", "deg", Cells::F64(sky.iter().map(|p| p.dec_deg).collect()));
    table.set("segment_flux", "", Cells::F64(vec![1000.0; 9]));
    table
}

fn run_photutils(shift: f64, keys: &str) -> Outcome {
    let profile = survey(&format!(
        "[catalogue]\nrequired = [\"seq_num\", \"x\", \"y\", \"iso_flux\"]\n[catalogue.spellings]\n\
         seq_num = [\"label\", {{ row = true }}]\nx = [\"xcentroid\"]\ny = [\"ycentroid\"]\n\
         ra = [\"sky_centroid.ra\"]\ndec = [\"sky_centroid.dec\"]\niso_flux = [\"segment_flux\"]\n\
         [catalogue.position]\n{keys}"
    ));
    run_with(&[photutils(shift)], vec![detector(7, 2)], &profile)
}

#[test]
fn rows_are_numbered_where_there_is_no_identity() {
    let outcome = run_photutils(0.0, "");
    assert_eq!(outcome.refusals(), []);
    assert_eq!(outcome.findings(), []);
    assert_eq!(outcome.integers("seq_num"), (1..=9).map(Some).collect::<Vec<_>>());
    assert_eq!(outcome.numbers("x")[0], Some(100.5));
}

#[test]
fn pixels_that_count_from_0_are_refused_until_the_profile_says_so() {
    let outcome = run_photutils(-1.0, "");
    assert_eq!(outcome.refusals(), [(Some(1), "pixel_shift", 9, false)]);
    let refusal = &outcome.report.refusals[0];
    assert_eq!(refusal.column.as_deref(), Some("x"));
    for part in
        ["dx = -1.00, dy = -1.00 pixels", "ext_num 2", "set catalogue.position.pixel_origin = 0"]
    {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
    let outcome = run_photutils(-1.0, "pixel_origin = 0");
    assert_eq!((outcome.refusals().len(), outcome.findings().len()), (0, 0));
    assert_eq!(outcome.numbers("x")[0], Some(100.5));
    let outcome = run_photutils(0.0, "pixel_origin = 0");
    assert!(outcome.report.refusals[0].message.contains("dx = +1.00, dy = +1.00"));
    assert!(outcome.report.refusals[0].message.contains("set catalogue.position.pixel_origin = 1"));
    // Positions by the WCS would be wrong by the same pixel.
    let outcome = run_photutils(-1.0, "source = \"wcs\"");
    assert_eq!(outcome.refusals(), [(Some(1), "pixel_shift", 9, false)]);
    // Limits in arcsec stay what they were.
    let outcome = run_photutils(-1.0, "disagreement_arcsec = 0.3");
    assert_eq!(outcome.refusals(), []);
    assert_eq!(outcome.findings(), [("position_disagrees_with_wcs", 1)]);
    assert!(outcome.report.findings[0].message.contains("dx = -1.00, dy = -1.00"));
    let outcome = run_photutils(-1.0, "refuse_above_px = 5.0\ndisagreement_px = 2.0");
    assert_eq!((outcome.refusals().len(), outcome.findings().len()), (0, 0));
}

#[test]
fn delivered_magnitudes_need_the_keyword_to_add() {
    let profile = |missing: &str| {
        survey(&format!(
            "[catalogue]\n[catalogue.spellings]\nseq_num = [{{ row = true }}]\nx = [\"xcentroid\"]\n\
             y = [\"ycentroid\"]\nkron_mag = [\"mag\"]\n\
             [catalogue.photometry]\nmagnitudes = \"delivered\"\nmag_add = \"MAGZP\"\n\
             missing_zero_point = \"{missing}\"\n"
        ))
    };
    let mut table = photutils(0.0);
    table.set("mag", "mag", Cells::F64(vec![-7.5; 9]));
    for missing in ["park", "refuse"] {
        let outcome = run_with(&[table.clone()], vec![detector(7, 2)], &profile(missing));
        assert_eq!(outcome.refusals(), [(Some(1), "no_zero_point", 9, false)], "{missing}");
        assert_eq!(outcome.report.refusals[0].keyword.as_deref(), Some("MAGZP"));
    }
    let outcome = run_with(&[table.clone()], vec![detector(7, 2)], &profile("null"));
    assert_eq!(outcome.refusals(), []);
    assert!(outcome.findings().contains(&("no_zero_point", 1)), "{:?}", outcome.findings());
    assert_eq!(outcome.numbers("kron_mag"), [None; 9]);
    table.cards.push("MAGZP   =                 25.5".to_owned());
    let outcome = run_with(&[table], vec![detector(7, 2)], &profile("park"));
    assert_eq!(outcome.refusals(), []);
    assert_eq!(outcome.numbers("kron_mag"), [Some(18.0); 9]);
    assert_eq!(outcome.numbers("iso_flux"), [None; 9], "a required flux that is absent");
}

/// SExtractor's catalogue of the HAWK-I stack.
const SEXTRACTOR: &str = r#"
[catalogue]
required = ["seq_num", "x", "y", "kron_flux"]
[catalogue.spellings]
seq_num = ["NUMBER"]
x = ["X_IMAGE"]
y = ["Y_IMAGE"]
ra = ["ALPHA_J2000"]
dec = ["DELTA_J2000"]
kron_flux = ["FLUX_AUTO"]
kron_flux_err = ["FLUXERR_AUTO"]
kron_mag = ["MAG_AUTO"]
kron_mag_err = ["MAGERR_AUTO"]
aper_flux3 = ["FLUX_APER[3]"]
pa = [{ column = "THETA_IMAGE", add = 90.0 }]
err_bits = ["FLAGS"]
[catalogue.quality]
saturated_bits = [2]
[catalogue.photometry]
magnitudes = "delivered"
mag_add = 1.5
[catalogue.position]
"#;

/// The detectors of the stack, with the coordinates of their headers.
fn stack(dir: &Path) -> Vec<Detector> {
    let truth = real_truth(dir);
    let hdus = &truth["files"]["casu_image/hawki_simA_stack.fits.fz"]["hdus"];
    (1..=4)
        .map(|hdu| {
            let mut detector = detector(7, hdu + 1);
            detector.size_px = Some([983, 955]);
            let values = hdus[hdu as usize]["header"]["values"].as_object().unwrap();
            let kept = ["CTYPE", "CRVAL", "CRPIX", "CD1_", "CD2_", "PV2_"];
            detector.wcs = values
                .iter()
                .filter(|(key, _)| kept.iter().any(|stem| key.starts_with(stem)))
                .map(|(key, value)| {
                    let value = value.as_f64().map_or_else(
                        || CardValue::Text(value.as_str().unwrap().to_owned()),
                        CardValue::Number,
                    );
                    (key.clone(), value)
                })
                .collect();
            detector
        })
        .collect()
}

#[test]
fn sextractors_pixels_count_from_1() {
    let Some(dir) = real_data() else { return };
    let name = "catalogue/hawki_simA_sextractor_ldac.cat";
    let of = |keys: &str| {
        let profile = survey(&format!("{SEXTRACTOR}{keys}"));
        run(&[input(7, "hawki_simA_stack.fits", &dir.join(name), name)], stack(&dir), &profile)
    };
    let outcome = of("disagreement_px = 0.01");
    assert_eq!(outcome.refusals(), []);
    let others: Vec<_> =
        outcome.findings().into_iter().filter(|(code, _)| *code != "column_unknown").collect();
    assert_eq!(others, [], "RA and DEC agree with the WCS within a hundredth of a pixel");
    let columns = real_truth(&dir)["files"][name]["hdus"][2]["table"]["columns"].clone();
    let first = |ttype: &str| {
        let columns = columns.as_array().unwrap();
        columns.iter().find(|c| c["name"] == ttype).unwrap()["first"].as_f64().unwrap()
    };
    let single = |value: f64| Some(f64::from(value as f32));
    assert_eq!(outcome.numbers("x")[0], Some(first("X_IMAGE")));
    assert_eq!(outcome.numbers("ra")[0], Some(first("ALPHA_J2000")));
    assert_eq!(outcome.numbers("kron_mag")[0], single(first("MAG_AUTO") + 1.5));
    assert_eq!(outcome.numbers("kron_mag_err")[0], Some(first("MAGERR_AUTO")));
    assert_eq!(outcome.numbers("pa")[0], single(first("THETA_IMAGE") + 90.0));

    let outcome = of("pixel_origin = 0");
    let codes: Vec<_> = outcome.refusals().into_iter().map(|(hdu, code, ..)| (hdu, code)).collect();
    assert_eq!(codes, [2, 4, 6, 8].map(|hdu| (Some(hdu), "pixel_shift")));
    for refusal in &outcome.report.refusals {
        assert!(refusal.message.contains("set catalogue.position.pixel_origin = 1"), "{refusal:?}");
    }
}
