//! Every file of the real set: read with the values that astropy gives, or refused for the right reason.

use std::collections::BTreeMap;

use fits::Limits;
use fits::inspect::{Inspection, InspectionRefusal, inspect};
use serde_json::Value;

/// What is refused, and why that is right. Nothing else may be.
const REFUSED: [(&str, &str); 37] = [
    ("archive_rows/detection_part-00000.snappy.parquet", "not_fits"),
    ("archive_rows/detection_part-00002.snappy.parquet", "not_fits"),
    ("archive_rows/detection_part-00004.snappy.parquet", "not_fits"),
    ("archive_rows/detection_part-00006.snappy.parquet", "not_fits"),
    ("archive_rows/detection_part-00008.snappy.parquet", "not_fits"),
    ("archive_rows/detection_part-00010.snappy.parquet", "not_fits"),
    ("archive_rows/detection_part-00012.snappy.parquet", "not_fits"),
    ("archive_rows/source_part-00000.snappy.parquet", "not_fits"),
    ("archive_rows/source_part-00001.snappy.parquet", "not_fits"),
    ("archive_rows/variability_part-00000.snappy.parquet", "not_fits"),
    // SIMPLE = F: what follows the header is nobody's standard.
    ("casu_image/vircam_header_with_time.fits[0]", "not_standard"),
    ("casu_image/zlp-script__IMAGE80220150320023345.fits.bz2", "wrapped_bzip2"),
    // Edited after their sums were written; astropy and CFITSIO find the same.
    ("edge_case/astropy__chandra_time.fits[1]", "datasum_mismatch"),
    ("edge_case/astropy__memtest.fits[1]", "datasum_mismatch"),
    ("edge_case/astropy__validate.fits[1]", "datasum_mismatch"),
    ("edge_case/sunpy__gbm.fits[2]", "datasum_mismatch"),
    ("mef_image/legacypipe__ksb_staticmask_ood_v1.fits.fz[1]", "datasum_mismatch"),
    ("mef_image/legacypipe__ksb_staticmask_ood_v1.fits.fz[2]", "datasum_mismatch"),
    ("mef_image/legacypipe__ksb_staticmask_ood_v1.fits.fz[3]", "datasum_mismatch"),
    ("mef_image/legacypipe__ksb_staticmask_ood_v1.fits.fz[4]", "datasum_mismatch"),
    ("wrapped/GalSim__tpv.fits.gz[0]", "datasum_mismatch"),
    ("edge_case/astropy__group.fits[0]", "random_groups"),
    ("edge_case/fitsrs__Random_Groups.fits[0]", "random_groups"),
    // Headers as text, most without SIMPLE; two begin like a file.
    ("header_text/astro_metadata_translator__fitsheader-decam.yaml", "not_fits"),
    ("header_text/astro_metadata_translator__fitsheader-megaprime.yaml", "not_fits"),
    ("header_text/astropy__nonstandard_units.hdr", "not_fits"),
    ("header_text/astropy__sip-broken.hdr", "not_fits"),
    ("header_text/astropy__sub-segfault.hdr", "not_fits"),
    ("header_text/astropy__tpvonly.hdr[0]", "truncated"),
    ("header_text/astropy__zpn-hole.hdr", "not_fits"),
    ("header_text/perl-Astro-FITS-HdrTrans__ufti.hdr", "not_fits"),
    ("header_text/perl-Astro-FITS-HdrTrans__wfcam.hdr", "not_fits"),
    ("header_text/sunpy__FGMG4_20110214_030443.7.header", "missing_end"),
    ("header_text/wcslib__TPV7.keyrec", "not_fits"),
    ("header_text/wcslib__fitshdr.keyrec", "not_fits"),
    ("wrapped/GalSim__test_multiS.fits.bz2", "wrapped_bzip2"),
    ("wrapped/astropy__lzw.fits.Z", "wrapped_compress"),
];

/// Where astropy shows something that is not in the file.
const NOT_IN_THE_FILE: [&str; 1] = [
    // It adds EXTEND to a primary with extensions.
    "edge_case/midas__nocdelt.fits[0] EXTEND",
];

#[test]
fn every_real_file_is_read_as_known_or_refused_rightly() {
    let Some(dir) = testkit::real_data() else { return };
    let truth = testkit::real_truth(&dir);
    let mut comparison = Comparison::default();
    for (path, known) in truth["files"].as_object().expect("files is an object") {
        let seen = inspect(&dir.join(path), &Limits::default());
        comparison.file(path, known, &seen);
    }
    comparison.report();
    assert_eq!(comparison.differences, Vec::<String>::new());
    let wanted: BTreeMap<_, _> =
        REFUSED.iter().map(|&(place, code)| (place.to_owned(), code.to_owned())).collect();
    assert_eq!(comparison.refused, wanted);
}

/// How two numbers may differ.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tolerance {
    Exact,
    /// One unit in the last place of a single-precision number.
    Single,
    /// One unit in the last place of a double-precision number.
    Double,
    /// 1e-6 of the value.
    Relative,
}

#[derive(Default)]
struct Comparison {
    files: usize,
    hdus: usize,
    images: usize,
    columns: usize,
    values: usize,
    refused: BTreeMap<String, String>,
    messages: Vec<String>,
    differences: Vec<String>,
}

impl Comparison {
    fn file(&mut self, path: &str, known: &Value, seen: &Inspection) {
        self.files += 1;
        if let Some(refusal) = &seen.refusal {
            return self.refuse(path, refusal);
        }
        let json: Value =
            serde_json::from_str(&seen.to_json().to_string()).expect("the report is JSON");
        let no_hdus = Vec::new();
        let known_hdus = known["hdus"].as_array().unwrap_or(&no_hdus);
        let seen_hdus = json["hdus"].as_array().expect("hdus is a list");
        if known_hdus.len() != seen_hdus.len() && known["format"] == "fits" {
            self.differ(path, "nhdus", &known["nhdus"], &json["nhdus"]);
        }
        for hdu in &seen.hdus {
            if let Some(refusal) = &hdu.refusal {
                self.refuse(&format!("{path}[{}]", hdu.index.0), refusal);
            }
        }
        for (known, seen) in known_hdus.iter().zip(seen_hdus) {
            self.hdu(&format!("{path}[{}]", known["index"]), known, seen);
        }
    }

    fn refuse(&mut self, place: &str, refusal: &InspectionRefusal) {
        self.messages.push(format!("{place}: {}: {}", refusal.code, refusal.message));
        self.refused.insert(place.to_owned(), refusal.code.to_owned());
    }

    fn hdu(&mut self, place: &str, known: &Value, seen: &Value) {
        self.hdus += 1;
        self.value(place, "class", &known["class"], &seen["class"], Tolerance::Exact);
        self.value(place, "name", &known["name"], &seen["name"], Tolerance::Exact);
        self.header(place, &known["header"], &seen["header"]);
        for (name, value) in members(&known["compression"]) {
            self.value(place, name, value, &seen["compression"][name], Tolerance::Exact);
        }
        if seen.get("refusal").is_some() {
            assert!(seen.get("image").is_none() && seen.get("table").is_none(), "{place}");
            return;
        }
        if known.get("image").is_some() {
            self.image(place, &known["image"], &seen["image"]);
        }
        if known.get("table").is_some() {
            self.table(place, &known["table"], &seen["table"]);
        }
    }

    fn header(&mut self, place: &str, known: &Value, seen: &Value) {
        for (keyword, value) in members(&known["values"]) {
            let place_and_keyword = format!("{place} {keyword}");
            if !NOT_IN_THE_FILE.contains(&place_and_keyword.as_str()) {
                self.value(place, keyword, value, &seen["values"][keyword], Tolerance::Exact);
            }
        }
        for count in ["comment_cards", "history_cards", "blank_cards"] {
            self.value(place, count, &known[count], &seen[count], Tolerance::Exact);
        }
        // Of longer headers the known list is cut.
        if known["cards"].as_u64().is_some_and(|cards| cards <= 600) {
            let name = "duplicate_keywords";
            self.value(place, name, &known[name], &seen[name], Tolerance::Exact);
        }
    }

    fn image(&mut self, place: &str, known: &Value, seen: &Value) {
        self.images += 1;
        let of_pixels = tolerance_of(known["dtype"] == "float32", known["dtype"] == "float64");
        for (name, value) in members(known) {
            let tolerance = match name.as_str() {
                "mean" | "sum" => Tolerance::Relative,
                "min" | "max" | "median" | "first_pixel" | "last_pixel" => of_pixels,
                "cfitsio" | "cfitsio_agrees" => continue,
                _ => Tolerance::Exact,
            };
            self.value(place, name, value, &seen[name], tolerance);
        }
    }

    fn table(&mut self, place: &str, known: &Value, seen: &Value) {
        for name in ["rows", "row_bytes", "heap_bytes"] {
            self.value(place, name, &known[name], &seen[name], Tolerance::Exact);
        }
        let known = known["columns"].as_array().expect("columns is a list");
        let seen = seen["columns"].as_array().expect("columns is a list");
        if known.len() != seen.len() {
            self.differ(place, "columns", &Value::from(known.len()), &Value::from(seen.len()));
        }
        for (known, seen) in known.iter().zip(seen) {
            self.columns += 1;
            self.column(&format!("{place} column {}", known["name"]), known, seen);
        }
    }

    fn column(&mut self, place: &str, known: &Value, seen: &Value) {
        let format = known["format"].as_str().unwrap_or_default();
        let scaled = known.get("scale").is_some() || known.get("zero").is_some();
        let single = format.ends_with('E') && !scaled;
        let of_values = tolerance_of(single, known["stats"].get("nan").is_some());
        for (name, value) in members(known) {
            match name.as_str() {
                "stats" | "vla_lengths" => {}
                "first" | "last" => self.value(place, name, value, &seen[name], of_values),
                _ => self.value(place, name, value, &seen[name], Tolerance::Exact),
            }
        }
        for (name, value) in members(&known["stats"]) {
            let tolerance = match name.as_str() {
                "mean" => Tolerance::Relative,
                "min" | "max" => of_values,
                _ => Tolerance::Exact,
            };
            self.value(place, name, value, &seen["stats"][name], tolerance);
        }
        for (name, value) in members(&known["vla_lengths"]) {
            self.value(place, name, value, &seen["vla_lengths"][name], Tolerance::Exact);
        }
    }

    fn value(&mut self, place: &str, name: &str, known: &Value, seen: &Value, by: Tolerance) {
        self.values += 1;
        if !equal(known, seen, by) {
            self.differ(place, name, known, seen);
        }
    }

    fn differ(&mut self, place: &str, name: &str, known: &Value, seen: &Value) {
        self.differences.push(format!("{place} {name}: {known} is known, {seen} was seen"));
    }

    fn report(&self) {
        println!(
            "{} files, {} HDUs, {} images, {} columns, {} values compared",
            self.files, self.hdus, self.images, self.columns, self.values
        );
        println!("{} refused:", self.messages.len());
        for message in &self.messages {
            println!("  {message}");
        }
    }
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn tolerance_of(single: bool, double: bool) -> Tolerance {
    match (single, double) {
        (true, _) => Tolerance::Single,
        (false, true) => Tolerance::Double,
        (false, false) => Tolerance::Exact,
    }
}

fn equal(known: &Value, seen: &Value, by: Tolerance) -> bool {
    let (Some(a), Some(b)) = (known.as_f64(), seen.as_f64()) else {
        return match (known, seen) {
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b, by))
            }
            _ => known == seen,
        };
    };
    if a == b {
        // Whole numbers beyond 2^53 are compared as such.
        return known.as_i64().zip(seen.as_i64()).is_none_or(|(a, b)| a == b);
    }
    match by {
        Tolerance::Exact => false,
        Tolerance::Single => {
            let (a, b) = (a as f32, b as f32);
            a == b || a.next_up() == b || a.next_down() == b
        }
        Tolerance::Double => a.next_up() == b || a.next_down() == b,
        Tolerance::Relative => (a - b).abs() <= 1e-6 * a.abs().max(b.abs()),
    }
}
