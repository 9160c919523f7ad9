//! Real catalogues, with the numbers that other software found in them.

use crate::made::{Outcome, detector, input, profile, run};
use model::detector::{CardValue, Detector, Photometry};
use model::profile::SurveyProfile;
use serde_json::Value;
use std::path::Path;
use testkit::{real_data, real_truth};

/// Columns of `detection` and the TTYPEs of CASU that they are copied from.
fn copied() -> Vec<(&'static str, String)> {
    let table = model::tables::table("detection").unwrap();
    table
        .columns
        .iter()
        .filter(|c| !["seq_num", "class", "ra", "dec"].contains(&c.name.as_str()))
        .filter_map(|c| Some((c.name.as_str(), c.ttype.clone()?)))
        .collect()
}

fn hawki_detectors(sizes: &[[i64; 2]]) -> Vec<Detector> {
    // Keywords of the stack's extensions.
    let zero_points = [27.417_624_745_778_4; 4];
    (0..sizes.len())
        .map(|n| {
            let mut detector = detector(7, n as i16 + 2);
            detector.size_px = Some(sizes[n]);
            detector.photometry =
                Photometry { zero_point: Some(zero_points[n]), ..Photometry::default() };
            detector.wcs.clear();
            detector
        })
        .collect()
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| match value.as_str()? {
        "nan" => None,
        other => panic!("{other}"),
    })
}

/// Compares copied columns with truth.json, HDU after HDU.
fn compare(outcome: &Outcome, truth: &Value, spelled: &[(&str, &str)]) {
    let mut first = 0;
    let mut compared = 0;
    for detector in &outcome.report.detectors {
        let rows = first..first + detector.rows as usize;
        first = rows.end;
        let hdu = &truth["hdus"][detector.ext_num as usize - 1];
        let columns = hdu["table"]["columns"].as_array().unwrap();
        assert_eq!(hdu["table"]["rows"].as_u64(), Some(detector.rows));
        for (name, ttype) in copied() {
            let ttype = spelled.iter().find(|(n, _)| *n == name).map_or(ttype.as_str(), |(_, t)| t);
            let Some(column) = columns.iter().find(|c| c["name"] == ttype) else { continue };
            let values = &outcome.numbers(name)[rows.clone()];
            let what = format!("{name} of extension {}", detector.ext_num);
            assert_eq!(values[0], number(&column["first"]), "first {what}");
            assert_eq!(values[values.len() - 1], number(&column["last"]), "last {what}");
            let known: Vec<f64> = values.iter().flatten().copied().collect();
            let stats = &column["stats"];
            assert_eq!(Some((values.len() - known.len()) as u64), stats["nan"].as_u64(), "{what}");
            if known.is_empty() {
                continue;
            }
            let least = known.iter().copied().fold(f64::INFINITY, f64::min);
            let most = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            assert_eq!((Some(least), Some(most)), (stats["min"].as_f64(), stats["max"].as_f64()));
            let wanted = stats["mean"].as_f64().unwrap();
            assert!((mean - wanted).abs() <= 1e-6 * wanted.abs(), "mean {what}: {mean} {wanted}");
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared} columns");
}

fn run_real(dir: &Path, name: &str, detectors: Vec<Detector>, profile: &SurveyProfile) -> Outcome {
    run(&[input(7, "image.fits", &dir.join(name), name)], detectors, profile)
}

#[test]
fn hawki_stack() {
    let Some(dir) = real_data() else { return };
    let name = "casu_catalogue/hawki_simA_stack_cat.fits";
    let truth = &real_truth(&dir)["files"][name];
    let sizes = [[983, 955]; 4];
    let outcome = run_real(&dir, name, hawki_detectors(&sizes), &profile("hawki", &[]));
    assert_eq!(outcome.refusals(), []);
    compare(&outcome, truth, &[]);
    let rows: Vec<u64> = outcome.report.hdus.iter().map(|h| h.rows_written).collect();
    assert_eq!(rows, [219, 223, 181, 208]);
    // Positions in degrees, as they stand there.
    let ra = truth["hdus"][1]["table"]["columns"].as_array().unwrap();
    let ra = ra.iter().find(|c| c["name"] == "RA").unwrap();
    assert_eq!(outcome.numbers("ra")[0], ra["first"].as_f64());
    assert!(outcome.integers("class").iter().all(|c| [-2, -1, 0, 1].contains(&c.unwrap())));
    let bits = outcome.integers("pp_err_bits");
    let deblended = bits.iter().filter(|b| b.unwrap() & 16 != 0).count();
    assert!(deblended > 0 && deblended < bits.len() / 2, "{deblended} of {}", bits.len());
    let mag = outcome.numbers("aper_mag3")[0].unwrap();
    let wanted = 27.417_624_745_778_4 - 2.5 * 17_835.650_390_625_f64.log10();
    assert!((mag - wanted).abs() < 2e-6, "{mag} {wanted}");
}

#[test]
fn hawki_tile_and_exposure() {
    let Some(dir) = real_data() else { return };
    for (file, sizes) in [("exp1_cat", vec![[800, 800]; 4]), ("tile_cat", vec![[3200, 3200]])] {
        let name = format!("casu_catalogue/hawki_simA_{file}.fits");
        let outcome = run_real(&dir, &name, hawki_detectors(&sizes), &profile("hawki", &[]));
        assert_eq!(outcome.refusals(), [], "{name}");
        compare(&outcome, &real_truth(&dir)["files"][&name], &[]);
    }
}

#[test]
fn matched_standards_are_not_a_catalogue() {
    let Some(dir) = real_data() else { return };
    let name = "casu_catalogue/hawki_simA_stack_mstd.fits";
    let outcome = run_real(&dir, name, hawki_detectors(&[[983, 955]; 4]), &profile("hawki", &[]));
    let codes: Vec<_> = outcome.refusals().into_iter().map(|(hdu, code, ..)| (hdu, code)).collect();
    assert_eq!(codes, [1, 2, 3, 4].map(|hdu| (Some(hdu), "foreign_column")));
}

#[test]
fn compressed_and_foreign_tables() {
    let Some(dir) = real_data() else { return };
    let cases = [
        ("tile_compressed/hawki_simA_stack_cat_ztable.fits.fz", 4),
        ("catalogue/hawki_simA_sextractor_ldac.cat", 8),
        ("catalogue/ingester__cpt1m010-kb70-20151219-0073-e10_cat.fits", 1),
        ("casu_image/ukidss_wfcam_cutout.fits", 1),
    ];
    for (name, refusals) in cases {
        let outcome = run_real(&dir, name, vec![detector(7, 2)], &profile("generic", &[]));
        assert_eq!(outcome.refusals().len(), refusals, "{name}: {:?}", outcome.refusals());
        assert!(outcome.rows.is_empty(), "{name}");
    }
}

/// NGTS: one camera, one detector in the primary HDU.
fn ngts(zero_point: Option<f64>) -> Detector {
    let mut detector = detector(7, 1);
    detector.size_px = Some([2048, 2048]);
    detector.photometry = Photometry {
        zero_point,
        exposure_s: Some(10.0),
        airmass: Some(1.361_950_28),
        ..Photometry::default()
    };
    let cards = [
        ("CRVAL1", 173.315_853_695_299),
        ("CRVAL2", -1.339_065_496_765_56),
        ("CRPIX1", 1023.757),
        ("CRPIX2", 990.8922),
        ("CD1_1", -0.001_406_993_281_482_21),
        ("CD2_2", -0.001_406_947_643_429_04),
        ("CD1_2", 1.595_026_903_316_06e-5),
        ("CD2_1", -1.559_996_565_620_92e-5),
        ("PV2_1", 1.0),
        ("PV2_3", 9.065_868),
        ("PV2_5", -665.7237),
    ];
    detector.wcs.extend(cards.map(|(k, v)| (k.to_owned(), CardValue::Number(v))));
    detector
}

#[test]
fn ngts_catalogue() {
    let Some(dir) = real_data() else { return };
    let name = "casu_catalogue/zlp-condense__procIMAGE80220150514031839.cat";
    let generic = profile("generic", &[]);
    let waiting = run_real(&dir, name, vec![ngts(None)], &generic);
    assert_eq!(waiting.refusals(), [(Some(1), "no_zero_point", 3135, true)]);

    let outcome = run_real(&dir, name, vec![ngts(Some(20.0))], &generic);
    assert_eq!(outcome.refusals(), []);
    assert_eq!(outcome.findings(), [], "columns and WCS agree");
    let columns = &real_truth(&dir)["files"][name]["hdus"][1]["table"]["columns"];
    let columns = columns.as_array().unwrap();
    for (name, ttype) in copied() {
        let Some(column) = columns.iter().find(|c| c["name"] == ttype.as_str()) else { continue };
        assert_eq!(outcome.numbers(name)[0], number(&column["first"]), "{name}");
        assert_eq!(outcome.numbers(name)[3134], number(&column["last"]), "{name}");
    }
    let ra = columns.iter().find(|c| c["name"] == "RA").unwrap()["first"].as_f64().unwrap();
    assert_eq!(outcome.numbers("ra")[0], Some(ra.to_degrees()));
}

#[test]
fn ngts_photometry_lists() {
    let Some(dir) = real_data() else { return };
    // The lists are of other images than the WCS, which is most of a pixel away from theirs.
    let limits = "[catalogue]\nposition.refuse_above_arcsec = 30.0\n";
    let generic = profile("generic", &[("[catalogue]\n", limits)]);
    // 33 columns of the APM; RA and DEC are said to be radians and are degrees.
    let name = "casu_catalogue/zlp-condense__procIMAGE80220150421025551.fits.phot";
    let outcome = run_real(&dir, name, vec![ngts(Some(20.0))], &generic);
    let findings = outcome.findings();
    assert!(findings.contains(&("position_unit_contradicted", 1)), "{findings:?}");
    assert!(findings.contains(&("column_unknown", 1)), "hjd_correction: {findings:?}");
    assert_eq!(outcome.refusals(), []);
    assert_eq!(outcome.report.hdus[0].rows_written, 9694);
    let columns = &real_truth(&dir)["files"][name]["hdus"][1]["table"]["columns"];
    let columns = columns.as_array().unwrap();
    let spelled = [
        ("aper_flux3", "Core_flux"),
        ("aper_flux1", "Core1_flux"),
        ("aper_flux7", "Core5_flux"),
        ("sky", "Skylev"),
        ("total_flux", "Total_flux"),
        ("x", "X_coordinate"),
    ];
    for (name, ttype) in spelled {
        let column = columns.iter().find(|c| c["name"] == ttype).unwrap();
        assert_eq!(outcome.numbers(name)[0], number(&column["first"]), "{name}");
        assert_eq!(outcome.numbers(name)[9693], number(&column["last"]), "{name}");
    }

    // 81 columns; stars beyond the edge keep their place in the list.
    let name = "casu_catalogue/zlp-condense__procIMAGE80220150514002449.fits.phot";
    let outcome = run_real(&dir, name, vec![ngts(Some(20.0))], &generic);
    assert_eq!(outcome.refusals(), []);
    assert_eq!(outcome.report.hdus[0].rows_written, 9694);
    let unmeasured = outcome.numbers("aper_flux3").iter().filter(|f| **f == Some(0.0)).count();
    assert!(unmeasured >= 200, "{unmeasured}");
    let without = outcome.numbers("aper_mag3").iter().filter(|m| m.is_none()).count();
    assert_eq!(without, 535, "as many as fluxes that are not positive");
}
