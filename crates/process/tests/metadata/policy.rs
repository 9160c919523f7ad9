//! What happens when headers are not as expected.

use fits::write::HeaderBuilder;
use model::profile::SurveyProfile;

use super::built::{
    catalogue, extension, extract, image, input, primary, profile, table_cards, whole_profile,
};
use super::table::{Got, cell, found, listed, refused};

const STACK: &str = "w20071011_01818_st.fit";

/// The shipped profile of WFCAM with some text replaced, which must be there.
fn changed(from: &str, to: &str) -> SurveyProfile {
    let text = model::profile::shipped().iter().find(|(n, _)| *n == "wfcam").unwrap().1;
    assert!(text.contains(from), "{from:?} is not in the profile");
    let mut profile =
        SurveyProfile::parse(&text.replacen(from, to, 1)).unwrap_or_else(|f| panic!("{f}"));
    profile.limits.detectors.clear();
    profile
}

/// An extension without one keyword.
fn without(keyword: &str) -> HeaderBuilder {
    let mut kept = HeaderBuilder::new();
    let all = extension(1);
    for card in all.cards().unwrap().chunks(80) {
        let name = String::from_utf8_lossy(&card[..8]);
        if name.trim_end() != keyword {
            kept.card(card);
        }
    }
    kept
}

#[test]
fn projects() {
    let cases = [
        ("U/UKIDSS/GCS21", STACK, "OBJECT", "103", ""),
        ("u/ukidss/las", STACK, "OBJECT", "101", ""),
        ("UKIRTCAL", STACK, "OBJECT", "200", ""),
        ("U/UKIDSS/LAS_SV", STACK, "OBJECT", "", "unknown_project"),
        ("u/05a/37", STACK, "OBJECT", "", "unknown_project"),
        ("        ", STACK, "OBJECT", "", "no_project"),
        ("        ", "w20071011_00001.fit", "DARK", "200", ""), // a calibration frame may belong to no programme
        ("u/05a/37", "w20071011_00001.fit", "DARK", "200", ""),
        ("u/05a/37", "w20071011_01818_st_conf.fit", "OBJECT", "", "unknown_project"),
    ];
    let profile = profile("wfcam");
    for (project, name, obs_type, programme, code) in cases {
        let bytes = image(&primary(project, obs_type), &[extension(1)]);
        let products = extract(&profile, &input(1, name, None), bytes, None);
        let got = listed(&products, "programme_frame", &["programme_id"]).join(",");
        assert_eq!(got, programme, "{project:?} of {name}");
        if code.is_empty() {
            assert_eq!(refused(&products), [""; 0], "{project:?} of {name}");
        } else {
            assert_eq!(refused(&products), [format!("{code} {name} - parked")], "{project:?}");
            let refusal = &products.refusals[0];
            assert_eq!(refusal.keyword.as_deref(), Some("PROJECT"));
            let unknown = (code == "unknown_project").then_some(project);
            assert_eq!(refusal.subject.as_deref(), unknown);
            for table in process::metadata::table_names() {
                assert_eq!(products.rows(table), 0, "{table}: a parked frame leaves no row");
            }
        }
    }
}

#[test]
fn an_expected_keyword_that_is_missing() {
    let bytes =
        || image(&primary("U/UKIDSS/LAS", "OBJECT"), &[without("MAGZPT"), without("MAGZPT")]);
    let products = extract(&profile("wfcam"), &input(1, STACK, None), bytes(), None);
    assert_eq!(found(&products), ["keyword_missing MAGZPT 2"]);
    assert_eq!(cell(&products, "multiframe_detector", 0, "phot_zp_ext"), Got::Null);

    let strict = changed(
        "[[expect]]\nframes = [\"stack\"",
        "[[expect]]\nframes = [\"stack\"]\ncolumns = [\"multiframe_detector.phot_zp_ext\"]\nmissing = \"refuse\"\n\n[[expect]]\nframes = [\"stack\"",
    );
    let products = extract(&strict, &input(1, STACK, None), bytes(), None);
    assert_eq!(refused(&products), [format!("keyword_missing {STACK} -")]);
    assert_eq!(products.rows("multiframe"), 0);
    let raw = "w20071011_01818.fit";
    let products = extract(&strict, &input(1, raw, None), bytes(), None);
    assert_eq!(refused(&products), [""; 0], "of a single exposure no zero point is expected");
}

#[test]
fn a_value_of_another_type_or_out_of_range() {
    let mut odd = without("SEEING");
    odd.text("SEEING", "good", "").integer("CNFINDEX", 158_052_413, "").text("GAIN", "4.5", "");
    let mut first = primary("U/UKIDSS/LAS", "OBJECT");
    first.number("TELDEC", 95.0, "").integer("OBSERVER", 7, "").text("DATE-END", "11/10/07", "");
    let bytes = || image(&first, std::slice::from_ref(&odd));
    let products =
        extract(&profile("wfcam"), &input(1, "w20071011_01818.fit", None), bytes(), None);
    let mut told = found(&products);
    told.sort();
    let wanted = [
        "keyword_mistyped DATE-END 1",
        "keyword_mistyped GAIN 1",
        "keyword_mistyped OBSERVER 1",
        "keyword_mistyped SEEING 1",
        "keyword_out_of_range TELDEC 1",
    ];
    assert_eq!(told, wanted);
    let seeing = products.findings.iter().find(|f| f.subject.as_deref() == Some("SEEING")).unwrap();
    assert_eq!(seeing.message, "SEEING = 'good    ' is of the wrong type for its column");
    assert_eq!(seeing.hdu, Some(1));
    for (table, column) in [("multiframe", "tel_dec"), ("multiframe_detector", "seeing")] {
        assert_eq!(cell(&products, table, 0, column), Got::Null, "{column}");
    }
    assert_eq!(cell(&products, "multiframe_detector", 0, "config_index"), 158_052_413.into());

    let strict = changed("mistyped = \"finding\"", "mistyped = \"refuse\"");
    let products = extract(&strict, &input(1, "w20071011_01818.fit", None), bytes(), None);
    assert!(refused(&products).contains(&"keyword_mistyped w20071011_01818.fit 0".to_owned()));
    assert_eq!(products.rows("multiframe"), 0);
}

#[test]
fn unknown_keywords() {
    let mut new = extension(1);
    new.text("MOONDUST", "yes", "").integer("ESO INS FOO", 1, "");
    let bytes = || image(&primary("U/UKIDSS/LAS", "OBJECT"), &[new.clone(), new.clone()]);
    let products = extract(&profile("wfcam"), &input(1, STACK, None), bytes(), None);
    assert_eq!(found(&products), ["keyword_new MOONDUST 2", "keyword_new ESO INS FOO 2"]);
    let Got::Bytes(packed) = cell(&products, "header", 1, "cards") else { panic!() };
    let cards = process::metadata::unpack_cards(&packed, 1 << 20).unwrap();
    assert!(String::from_utf8(cards).unwrap().contains("MOONDUST= 'yes"), "it is kept");

    let quiet = changed("new_keyword = \"finding\"", "new_keyword = \"keep\"");
    assert_eq!(found(&extract(&quiet, &input(1, STACK, None), bytes(), None)), [""; 0]);
    let known = changed("known_keywords = [", "known_keywords = [\"MOON*\", \"ESO *\", ");
    assert_eq!(found(&extract(&known, &input(1, STACK, None), bytes(), None)), [""; 0]);
}

#[test]
fn too_many_new_keywords_are_counted() {
    let mut new = extension(1);
    for n in 0..80 {
        let letters = [b'A' + n / 26, b'A' + n % 26].map(char::from);
        new.integer(&format!("NEW_{}{}", letters[0], letters[1]), 1, "");
    }
    let bytes = image(&primary("U/UKIDSS/LAS", "OBJECT"), &[new]);
    let told = found(&extract(&profile("wfcam"), &input(1, STACK, None), bytes, None));
    assert_eq!(told.len(), 51);
    assert_eq!(told[50], "keyword_new ... 30");
}

#[test]
fn filters() {
    let bytes = image(&primary("U/UKIDSS/LAS", "OBJECT"), &[extension(1)]);
    let swapped = |from: &str, to: &str| {
        let card = |name: &str| format!("FILTER  = '{name:<8}'");
        let (from, to) = (card(from).into_bytes(), card(to).into_bytes());
        let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + to.len()].copy_from_slice(&to);
        bytes
    };
    let profile = profile("wfcam");
    for (name, id) in [("Z", "1"), ("J", "3"), ("BGamma", "7"), ("1-0S1", "6"), ("blank", "8")] {
        let products = extract(&profile, &input(1, STACK, None), swapped("K", name), None);
        assert_eq!(listed(&products, "multiframe", &["filter_id"]), [id], "{name}");
        assert_eq!(listed(&products, "multiframe_detector", &["filter_id"]), [id], "{name}");
    }
    let products = extract(&profile, &input(1, STACK, None), swapped("K", "Purple"), None);
    assert_eq!(found(&products), ["unknown_filter FILTER 2"]);
    assert_eq!(listed(&products, "multiframe", &["filter_id", "filter_name"]), ["- Purple"]);
    let strict = changed("unknown_filter = \"finding\"", "unknown_filter = \"refuse\"");
    let products = extract(&strict, &input(1, STACK, None), swapped("K", "Purple"), None);
    assert_eq!(refused(&products), [format!("unknown_filter {STACK} -")]);
}

#[test]
fn coordinate_systems_that_are_none() {
    let cases = [
        ("CTYPE1", "wcs_absent CTYPE1"),
        ("CRVAL1", "wcs_missing_keyword CRVAL1"),
        ("PV2_1", "wcs_missing_keyword PV2_1"),
    ];
    for (keyword, wanted) in cases {
        let bytes = image(&primary("U/UKIDSS/LAS", "OBJECT"), &[without(keyword)]);
        let products =
            extract(&profile("wfcam"), &input(1, "w20071011_01818.fit", None), bytes, None);
        let told = found(&products);
        assert!(told.iter().any(|f| f.starts_with(wanted)), "{keyword}: {told:?}");
        assert_eq!(products.rows("astrometry"), 1);
        for column in ["central_ra", "htm_id", "footprint", "image_extent"] {
            assert_eq!(cell(&products, "astrometry", 0, column), Got::Null, "{keyword} {column}");
        }
        assert_eq!(cell(&products, "astrometry", 0, "cr_val_y"), Got::Float(21.8));
    }
    let dark = image(&primary("U/UKIDSS/LAS", "DARK"), &[without("CTYPE1")]);
    let products = extract(&profile("wfcam"), &input(1, "w20071011_00001.fit", None), dark, None);
    assert_eq!(found(&products), [""; 0], "a dark needs no coordinates");
}

#[test]
fn an_hdu_that_was_refused_on_arrival_leaves_no_row() {
    let bytes = image(&primary("U/UKIDSS/LAS", "OBJECT"), &[extension(1), extension(2)]);
    let mut one = input(1, STACK, None);
    one.image.refused_hdus = vec![1];
    let products = extract(&profile("wfcam"), &one, bytes.clone(), None);
    assert_eq!(listed(&products, "multiframe_detector", &["ext_num"]), ["3"]);
    assert_eq!(listed(&products, "multiframe", &["num_detectors"]), ["1"]);
    one.image.refused_hdus = vec![1, 2];
    let products = extract(&profile("wfcam"), &one, bytes, None);
    assert_eq!(refused(&products), [format!("no_usable_detector {STACK} -")]);
    assert_eq!(products.rows("multiframe"), 0);
}

#[test]
fn a_truncated_detector_is_refused_and_the_others_stay() {
    let mut bytes = image(&primary("U/UKIDSS/LAS", "OBJECT"), &[extension(1), extension(2)]);
    bytes.truncate(bytes.len() - 2880);
    let products = extract(&profile("wfcam"), &input(1, STACK, None), bytes, None);
    assert_eq!(refused(&products), [format!("truncated {STACK} 2")]);
    assert_eq!(listed(&products, "multiframe_detector", &["ext_num"]), ["2"]);
}

#[test]
fn tables_that_belong_to_no_detector() {
    let bytes = image(&primary("U/UKIDSS/LAS", "OBJECT"), &[extension(1), extension(2)]);
    let tables = catalogue(&[table_cards(), table_cards(), table_cards()]);
    let one = input(1, STACK, Some("w20071011_01818_st_cat.fits"));
    let products = extract(&profile("wfcam"), &one, bytes, Some(tables));
    assert_eq!(found(&products), ["table_unpaired XTENSION 1"]);
    assert_eq!(listed(&products, "multiframe_detector", &["cat_ext_num"]), ["2", "3"]);
}

/// A file that was cut exactly between two extensions is sound by itself.
#[test]
fn fewer_detectors_than_a_file_should_have() {
    let bytes = || image(&primary("U/UKIDSS/LAS", "OBJECT"), &[extension(1), extension(2)]);
    let products = extract(&whole_profile("wfcam"), &input(1, STACK, None), bytes(), None);
    assert_eq!(found(&products), ["detector_count XTENSION 1"]);
    assert_eq!(listed(&products, "multiframe_detector", &["ext_num"]), ["2", "3"]);

    let mut promising = primary("U/UKIDSS/LAS", "OBJECT");
    promising.integer("NEXTEND", 4, "");
    let bytes = || image(&promising, &[extension(1), extension(2)]);
    let products = extract(&profile("wfcam"), &input(1, STACK, None), bytes(), None);
    assert_eq!(refused(&products), [format!("extensions_missing {STACK} -")]);
    assert_eq!(products.rows("multiframe"), 0);
    let mut lenient = profile("wfcam");
    lenient.limits.missing_extensions = model::profile::MissingExtensions::Finding;
    let products = extract(&lenient, &input(1, STACK, None), bytes(), None);
    assert!(found(&products).contains(&"extensions_missing NEXTEND 1".to_owned()));
    assert_eq!(products.rows("multiframe"), 1);
}

#[test]
fn a_component_that_is_not_a_file() {
    let mut odd = without("PROV0001");
    odd.text("PROV0001", "the first one", "").text("XTALK", "Done", "");
    let bytes = image(&primary("U/UKIDSS/LAS", "OBJECT"), &[odd]);
    let products = extract(&profile("wfcam"), &input(1, STACK, None), bytes, None);
    assert_eq!(found(&products), ["component_unclear PROV0001 1"]);
    let names = listed(&products, "provenance", &["role", "component_name"]);
    assert_eq!(names.last().unwrap(), "combine w20071011_01822.fit");
}

#[test]
fn companions_are_named_and_not_measured() {
    let profile = changed(
        "[[library]]",
        "[[companion]]\nrole = \"weight\"\nreplace = { \"_st.fit\" = \"_st_conf.fit\" }\n\n\
         [[companion]]\nrole = \"mask\"\nsuffix = \"_mask\"\n\n[[library]]",
    );
    let bytes = || image(&primary("U/UKIDSS/LAS", "OBJECT"), &[extension(1)]);
    let named = |products: &process::metadata::Products| -> Vec<String> {
        let columns = ["ext_num", "role", "position", "keyword", "component_name"];
        let rows = listed(products, "provenance", &columns).into_iter();
        rows.filter(|row| row.contains("companion")).collect()
    };
    let products = extract(&profile, &input(1, STACK, None), bytes(), None);
    let wanted = [
        "1 weight 1 companion w20071011_01818_st_conf.fit",
        "1 mask 1 companion w20071011_01818_mask.fit",
    ];
    assert_eq!(named(&products), wanted);
    let measured = |products: &process::metadata::Products| {
        ["phot_zp_ext", "seeing", "sky_level"]
            .map(|column| cell(products, "multiframe_detector", 0, column) == Got::Null)
    };
    assert_eq!(measured(&products), [false; 3]);
    for companion in ["w20071011_01818_st_conf.fit", "w20071011_01818_mask.fit"] {
        let products = extract(&profile, &input(1, companion, None), bytes(), None);
        assert_eq!(named(&products), [""; 0], "{companion}");
        assert_eq!(measured(&products), [true; 3], "{companion}");
        assert_eq!(found(&products), [""; 0], "{companion}: no value is expected");
        assert_eq!(cell(&products, "multiframe_detector", 0, "ext_num"), Got::Int(2));
    }
}
