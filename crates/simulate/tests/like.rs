//! Simulated deliveries of other pipelines as their readers see them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use simulate::SimulateError;
use simulate::like::{LikeSpec, Pipeline, like, write_like_truth};
use std::collections::BTreeMap;
use std::path::Path;

fn small(name: &str) -> LikeSpec {
    let spec = LikeSpec::of(Pipeline::named(name).unwrap());
    LikeSpec { size: 64, detections: 12, detectors: spec.detectors.min(5), ..spec }
}

fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for name in Pipeline::NAMES {
        let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let specs = [small(name), small(name), LikeSpec { seed: 2, ..small(name) }];
        let made: Vec<_> = dirs
            .iter()
            .zip(&specs)
            .map(|(dir, spec)| content(&like(dir.path(), spec).unwrap().delivery))
            .collect();
        assert!(made[0] == made[1], "{name}: other bytes for the same seed");
        assert!(made[0] != made[2], "{name}: the same bytes for another seed");
    }
}

#[test]
fn a_delivery_has_the_files_of_its_pipeline() {
    let wanted: [(&str, &str, &[&str]); 6] = [
        ("banzai", "20180219_v1", &["coj1m011-fa12-20180219-0101-e91.fits.fz"]),
        (
            "ldac",
            "20170429_v1",
            &["ksb_170430_055945_ooi_r_v1.fits.fz", "ksb_170430_055945_ooi_r_v1.cat"],
        ),
        (
            "sextractor",
            "20151219_v1",
            &["cpt1m010-kb70-20151219-0101-e10.fits", "cpt1m010-kb70-20151219-0101-e10_cat.fits"],
        ),
        (
            "decam",
            "CP20150411",
            &[
                "c4d_150412_073257_ooi_z_v1.fits.fz",
                "c4d_150412_073257_ood_z_v1.fits.fz",
                "c4d_150412_073257_oow_z_v1.fits.fz",
            ],
        ),
        (
            "ztf",
            "ztf_20180406",
            &[
                "ztf_20180406333333_000655_zr_c13_o_q3_sciimg.fits",
                "ztf_20180406333333_000655_zr_c13_o_q3_mskimg.fits",
                "ztf_20180406333333_000655_zr_c13_o_q3_psfcat.fits",
                "ztf_20180406333333_000655_zr_c13_o_q3_sexcat.fits",
            ],
        ),
        ("photutils", "20230314_v1", &["mycam_20230314_0101.fits", "mycam_20230314_0101_cat.fits"]),
    ];
    for (name, delivery, files) in wanted {
        let dir = tempfile::tempdir().unwrap();
        let spec = LikeSpec { frames: 1, detectors: 1, ..small(name) };
        let summary = like(dir.path(), &spec).unwrap();
        assert_eq!(summary.delivery, dir.path().join(delivery));
        let mut sorted = files.to_vec();
        sorted.sort_unstable();
        let content = content(&summary.delivery);
        assert_eq!(content.keys().collect::<Vec<_>>(), sorted);
        let [image] = &summary.images[..] else { panic!("{:?}", summary.images) };
        let named = [&image.file].into_iter().chain(&image.catalogues).chain(&image.companions);
        assert_eq!(named.count(), files.len());
        assert_eq!(image.file, files[0]);
        assert_eq!(summary.files, files.len());
        assert_eq!(summary.bytes, content.values().map(|bytes| bytes.len() as u64).sum::<u64>());
        assert!(matches!(like(dir.path(), &spec), Err(SimulateError::Exists(_))), "{name}");
    }
}

#[test]
fn impossible_deliveries_are_refused() {
    let spec = small("ldac");
    let wrong = [
        LikeSpec { detectors: 5, ..spec },
        LikeSpec { detectors: 0, ..spec },
        LikeSpec { size: 16, ..spec },
        LikeSpec { frames: 0, ..spec },
        LikeSpec { frames: 101, ..spec },
        LikeSpec { detections: 513, ..spec },
    ];
    for spec in wrong {
        assert!(spec.check().is_err(), "{spec:?}");
    }
    assert!(spec.check().is_ok());
    assert!(LikeSpec { detectors: 61, ..small("decam") }.check().is_ok());
}

#[test]
fn foreign_astropy_agrees_with_what_was_planted() {
    for name in Pipeline::NAMES {
        let dir = tempfile::tempdir().unwrap();
        let spec = LikeSpec { size: 96, detections: 30, ..small(name) };
        let summary = like(dir.path(), &spec).unwrap();
        let truth = dir.path().join("truth.json");
        write_like_truth(&truth, &summary.images).unwrap();
        let args = [name.as_ref(), summary.delivery.as_os_str(), truth.as_os_str()];
        let script = include_str!("check_like.py");
        let Some(said) = testkit::python_script("check_like.py", script, &args) else { return };
        assert!(said.contains("agrees"), "{said}");
    }
}
