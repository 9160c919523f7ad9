//! Frames built in code, as a WFCAM archive would get them.

use fits::write::{Checks, Column, HeaderBuilder, Place, RicePixels, Values};
use fits::{FitsFile, Limits, write};
use model::profile::{SurveyProfile, shipped};
use model::task::{CatalogueRef, FileRef, ProgrammeRef, TaskInput};
use model::{MultiframeId, Sha256};
use process::metadata::{Extractor, Products, Rows};

use super::table::{Got, cell, found, listed, refused};

/// A profile that comes with the program, but for the number of detectors: what is built here has a few.
pub fn profile(name: &str) -> SurveyProfile {
    let mut profile = whole_profile(name);
    profile.limits.detectors.clear();
    profile
}

/// A profile that comes with the program.
pub fn whole_profile(name: &str) -> SurveyProfile {
    let text = shipped().iter().find(|(n, _)| *n == name).expect("a shipped profile").1;
    SurveyProfile::parse(text).expect("a sound profile")
}

pub fn programmes(profile: &SurveyProfile) -> Vec<ProgrammeRef> {
    profile.programmes.iter().map(model::profile::Programme::to_ref).collect()
}

pub fn file_ref(name: &str, bytes: usize) -> FileRef {
    FileRef {
        path: name.into(),
        name: name.to_owned(),
        bytes: bytes as u64,
        sha256: Sha256::new([0; 32]),
        refused_hdus: Vec::new(),
    }
}

pub fn input(multiframe_id: i64, image: &str, catalogue: Option<&str>) -> TaskInput {
    TaskInput {
        multiframe_id: MultiframeId::new(multiframe_id).unwrap(),
        image: file_ref(image, 5760),
        catalogue: catalogue.map(|name| CatalogueRef {
            file: file_ref(name, 5760),
            version: 1,
            done: Vec::new(),
        }),
    }
}

/// Reads one frame under a profile.
pub fn extract(
    profile: &SurveyProfile,
    input: &TaskInput,
    image: Vec<u8>,
    catalogue: Option<Vec<u8>>,
) -> Products {
    let programmes = programmes(profile);
    let delivery = "20071011_v1".parse().unwrap();
    let extractor = Extractor::new(profile, &programmes, &delivery);
    let open = |name: &str, bytes| FitsFile::from_bytes(name, bytes, &Limits::default()).unwrap();
    let image = open(&input.image.name, image);
    let catalogue = catalogue.map(|bytes| open("catalogue", bytes));
    let mut rows = Rows::default();
    extractor.extract(input, &image, catalogue.as_ref(), &mut rows);
    rows.finish()
}

/// A primary header of WFCAM.
pub fn primary(project: &str, obs_type: &str) -> HeaderBuilder {
    let mut cards = HeaderBuilder::new();
    cards
        .text("TELESCOP", "UKIRT             ", "Telescope name")
        .text("INSTRUME", "WFCAM             ", "Instrument")
        .text("PROJECT", project, "Time-allocation code")
        .text("OBJECT", "LAS field 7", "")
        .text("OBSTYPE", obs_type, "")
        .text("FILTER", "K       ", "Filter name")
        .text("UTDATE", "20071011", "")
        .text("DATE-OBS", "2007-10-11T13:12:05.560", "")
        .number("MJD-OBS", 54384.55006, "")
        .number("AMSTART", 1.0, "")
        .number("AMEND", 1.5, "")
        .number("EXP_TIME", 10.0, "")
        .text("RADESYS", "FK5", "")
        .number("EQUINOX", 2000.0, "")
        .text("WSA_TIME", "071011071231111303", "WSA time stamp");
    cards
}

/// An image extension of WFCAM.
pub fn extension(camera: i64) -> HeaderBuilder {
    let mut cards = HeaderBuilder::new();
    cards
        .integer("CAMNUM", camera, "")
        .text("CTYPE1", "RA---ZPN", "")
        .text("CTYPE2", "DEC--ZPN", "")
        .number("CRPIX1", 20.5, "")
        .number("CRPIX2", 10.5, "")
        .number("CRVAL1", 83.9, "")
        .number("CRVAL2", 21.8, "")
        .text("CRUNIT1", "deg", "")
        .text("CRUNIT2", "deg", "")
        .number("CD1_1", -1.1e-4, "")
        .number("CD1_2", 0.0, "")
        .number("CD2_1", 0.0, "")
        .number("CD2_2", 1.1e-4, "")
        .number("PV2_1", 1.0, "")
        .number("PV2_3", -60.0, "")
        .text("DARKCOR", "Done with: dark_20071011_10_CDS_1.fit[2] and scale 1", "")
        .text("FLATCOR", "Done with: pK_flat_aug2007.fit[2]", "")
        .text("SKYSUB", "Done with sky_20071011_1794_K.fit[2] and scale factor 1", "")
        .text("CIR_CPM", "w20071011_01818_st_conf.fit[2]", "")
        .text("PROV0000", "w20071011_01818_st.fit[2]: formed from imdither of:", "")
        .text("PROV0001", "w20071011_01818.fit[2]", "")
        .text("PROV0002", "w20071011_01822.fit[2]", "")
        .number("SKYLEVEL", 6877.0, "")
        .number("SKYNOISE", 30.0, "")
        .number("SEEING", 3.5, "")
        .number("STDCRMS", 0.07, "")
        .number("MAGZPT", 22.5, "")
        .number("EXTINCT", 0.05, "");
    cards
}

/// A file of Rice-compressed detectors of 40 x 20 pixels.
pub fn image(primary: &HeaderBuilder, extensions: &[HeaderBuilder]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write::primary(&mut bytes, primary, Checks::Absent).unwrap();
    for cards in extensions {
        let pixels = [5_i32; 800];
        let pixels = RicePixels::I32(&pixels);
        write::rice_image(&mut bytes, 40, 20, pixels, cards, Checks::Absent).unwrap();
    }
    bytes
}

/// A table extension of a WFCAM catalogue.
pub fn table_cards() -> HeaderBuilder {
    let mut cards = HeaderBuilder::new();
    cards
        .number("MAGZPT", 22.6, "")
        .number("EXTINCT", 0.06, "")
        .number("EXP_TIME", 10.0, "")
        .number("RCORE", 2.5, "")
        .number("SKYLEVEL", 6870.0, "")
        .number("APCORPK", 2.0, "");
    for n in 1..=7 {
        cards.number(&format!("APCOR{n}"), 0.1 / f64::from(n), "");
    }
    cards
}

pub fn catalogue(tables: &[HeaderBuilder]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut cards = HeaderBuilder::new();
    cards.text("INSTRUME", "WFCAM", "");
    write::primary(&mut bytes, &cards, Checks::Absent).unwrap();
    for cards in tables {
        let values = [1.0_f32, 2.0, 3.0];
        let columns = [
            "Sequence_number",
            "Isophotal_flux",
            "X_coordinate",
            "X_coordinate_err",
            "Y_coordinate",
        ]
        .map(|name| Column { name, unit: "", values: Values::F32(&values) });
        write::bin_table(&mut bytes, 3, &columns, cards, Checks::Absent).unwrap();
    }
    bytes
}

fn stack() -> (TaskInput, Vec<u8>, Vec<u8>) {
    let input = input(7, "w20071011_01818_st.fit", Some("w20071011_01818_st_cat.fits"));
    let image = image(&primary("U/UKIDSS/LAS3", "OBJECT"), &[extension(1), extension(2)]);
    (input, image, catalogue(&[table_cards(), table_cards()]))
}

#[test]
fn a_stack_with_its_catalogue() {
    let (input, image, catalogue) = stack();
    let products = extract(&profile("wfcam"), &input, image, Some(catalogue));
    assert_eq!(refused(&products), [""; 0]);
    assert_eq!(found(&products), [""; 0]);
    let cases: [(&str, &str, Got); 42] = [
        ("multiframe", "multiframe_id", 7.into()),
        ("multiframe", "survey_id", 1.into()),
        ("multiframe", "delivery", "20071011_v1".into()),
        ("multiframe", "night", 20_071_011.into()),
        ("multiframe", "version_num", "1".into()),
        ("multiframe", "run_no", 1818.into()),
        ("multiframe", "julian_day_num", 2_454_385.into()),
        ("multiframe", "frame_type", "stack".into()),
        ("multiframe", "filter_id", 5.into()),
        ("multiframe", "filter_name", "K".into()),
        ("multiframe", "num_detectors", 2.into()),
        ("multiframe", "num_hdus", 3.into()),
        ("multiframe", "file_time_stamp", 71_011_071_231_111_303.into()),
        ("multiframe", "ut_date", 20_071_011.into()),
        ("multiframe", "mjd_obs", 54384.55006.into()),
        ("multiframe", "airmass", 1.25.into()),
        ("multiframe", "telescope", "UKIRT".into()),
        ("multiframe", "observer", Got::Null),
        ("multiframe", "cat_name", "w20071011_01818_st_cat.fits".into()),
        ("multiframe", "cat_version", 1.into()),
        ("multiframe", "dark_name", "dark_20071011_10_CDS_1.fit".into()),
        ("multiframe", "flat_name", "pK_flat_aug2007.fit".into()),
        ("multiframe", "sky_name", "sky_20071011_1794_K.fit".into()),
        ("multiframe", "conf_name", "w20071011_01818_st_conf.fit".into()),
        ("multiframe", "mask_name", Got::Null),
        ("multiframe", "dark_id", Got::Null), // a node does not know the archive
        ("multiframe_detector", "ext_num", 2.into()),
        ("multiframe_detector", "deprecated", 0.into()),
        ("multiframe_detector", "hdu_kind", "compressed_image".into()),
        ("multiframe_detector", "axis1_length", 40.into()),
        ("multiframe_detector", "axis2_length", 20.into()),
        ("multiframe_detector", "bits_per_pix", 32.into()),
        ("multiframe_detector", "phot_zp_ext", 22.5.into()),
        ("multiframe_detector", "phot_zp_cat", 22.6.into()),
        ("multiframe_detector", "sky_level", 6870.0.into()), // the catalogue's
        ("multiframe_detector", "seeing", 3.5.into()),       // the image's: the catalogue has none
        ("multiframe_detector", "aper_cor2", 0.05.into()),
        ("multiframe_detector", "table_rows_cat", 3.into()),
        ("multiframe_detector", "table_fields_cat", 5.into()),
        ("multiframe_detector", "cat_ext_num", 2.into()),
        ("programme_frame", "programme_id", 101.into()),
        ("programme_frame", "project", "U/UKIDSS/LAS3".into()),
    ];
    for (table, column, wanted) in cases {
        assert_eq!(cell(&products, table, 0, column), wanted, "{table}.{column}");
    }
    assert_eq!(cell(&products, "multiframe_detector", 1, "cam_num"), 2.into());
    assert_eq!(products.rows("header"), 6);
}

#[test]
fn the_footprint_of_a_detector() {
    let (input, image, _) = stack();
    let products = extract(&profile("wfcam"), &input, image, None);
    let float = |column: &str| match cell(&products, "astrometry", 0, column) {
        Got::Float(number) => number,
        other => panic!("{column} is {other:?}"),
    };
    // The reference pixel is the centre of the 40 x 20 detector.
    for (column, wanted) in [("central_ra", 83.9), ("central_dec", 21.8)] {
        assert!((float(column) - wanted).abs() < 1e-9, "{column} is {}", float(column));
    }
    // North up, east left: the first corner is the south-eastern one.
    let half = (20.0 * 1.1e-4, 10.0 * 1.1e-4);
    assert!((float("dec1") - (21.8 - half.1)).abs() < 1e-7);
    assert!(float("ra1") > float("ra2") && float("dec3") > float("dec2"));
    assert!((float("image_extent") / 60.0 - f64::hypot(half.0, half.1)).abs() < 1e-7);
    assert!((float("x_pix_size") - 0.396).abs() < 1e-6);
    assert!((float("pos_angle") + 90.0).abs() < 1e-6 && float("pos_angle_y").abs() < 1e-6);
    assert_eq!(float("cz"), 21.8_f64.to_radians().sin());
    assert!(float("cap_radius") * 60.0 >= float("image_extent"));
    let Got::Text(outline) = cell(&products, "astrometry", 0, "footprint") else { panic!() };
    let wanted = format!("Polygon FK5 {:.8} {:.8}", float("ra1"), float("dec1"));
    assert!(outline.starts_with(&wanted), "{outline}");
    assert_eq!(outline.split(' ').count(), 10);
    assert_eq!(cell(&products, "astrometry", 0, "projection"), "ZPN".into());
    assert_eq!(cell(&products, "astrometry", 0, "wcs_source"), "image".into());
    assert_eq!(cell(&products, "astrometry", 0, "cr_unit1"), "deg".into());
    assert_eq!(cell(&products, "astrometry", 0, "ra_dec_sys"), "FK5".into());
    assert_eq!(cell(&products, "astrometry", 0, "pv23"), Got::Float(-60.0));
}

#[test]
fn frames_that_headers_name() {
    let (input, image, catalogue) = stack();
    let products = extract(&profile("wfcam"), &input, image, Some(catalogue));
    let columns = [
        "ext_num",
        "role",
        "position",
        "keyword",
        "component_name",
        "component_extension",
        "component_ext_num",
    ];
    let rows = listed(&products, "provenance", &columns);
    let wanted = [
        "2 dark 1 DARKCOR dark_20071011_10_CDS_1.fit 2 3",
        "2 flat 1 FLATCOR pK_flat_aug2007.fit 2 3",
        "2 sky 1 SKYSUB sky_20071011_1794_K.fit 2 3",
        "2 conf 1 CIR_CPM w20071011_01818_st_conf.fit 2 3",
        "2 combine 1 PROV0001 w20071011_01818.fit 2 3",
        "2 combine 2 PROV0002 w20071011_01822.fit 2 3",
    ];
    assert_eq!(rows[..6], wanted);
    assert_eq!(rows.len(), 12, "the second detector has its own");
}

#[test]
fn frame_types_by_name_and_header() {
    let cases = [
        ("w20071011_01818.fit", "OBJECT", "normal"),
        ("w20071011_01818.fit", "SKY", "sky"),
        ("w20071011_01818.fit", "DARK", "dark"),
        ("w20071011_01818.fit", "SKYFLAT ", "flat"),
        ("w20071011_01818.fit", "DOMEFLAT", "flat"),
        ("w20071011_01818.fit", "FOCUS", "calibration"),
        ("w20071011_01818_sf.fit", "OBJECT", "leav"),
        ("w20071011_01818_st.fit", "OBJECT", "stack"),
        ("w20071011_01818_sf_st.fit", "OBJECT", "leavstack"),
        ("w20071011_01818_sf_st.fit.fz", "OBJECT", "leavstack"),
        ("w20071011_01818_conf.fit", "OBJECT", "conf"),
        ("w20071011_01818_st_conf.fit", "OBJECT", "stackconf"),
        ("w20071011_01818_sf_conf.fit", "OBJECT", "leavconf"),
        ("w20071011_01818_sf_st_conf.fit", "OBJECT", "leavstackconf"),
        ("w20071011_01818_tl.fit", "OBJECT", "tile"),
        ("w20071011_01818_st_tl.fit", "OBJECT", "tilestack"),
        ("dark_20071011_10_CDS_1.fit", "OBJECT", "dark"), // a library frame is what its name says
        ("pK_flat_aug2007.fit", "SKYFLAT", "flat"),
        ("pK_conf_aug2007.fit", "SKYFLAT", "conf"),
        ("sky_20071011_1794_K.fit", "OBJECT", "sky"),
        ("strange.fit", "OBJECT", "normal"),
        ("strange.fit", "PARTY", "other"),
    ];
    let profile = profile("wfcam");
    for (name, obs_type, wanted) in cases {
        let bytes = image(&primary("U/UKIDSS/LAS3", obs_type), &[extension(1)]);
        let products = extract(&profile, &input(1, name, None), bytes, None);
        let got = cell(&products, "multiframe", 0, "frame_type");
        assert_eq!(got, wanted.into(), "{name} with OBSTYPE {obs_type}");
    }
}

#[test]
fn a_header_comes_back_card_by_card() {
    let (input, image, _) = stack();
    let stored = FitsFile::from_bytes("x", image.clone(), &Limits::default()).unwrap();
    let products = extract(&profile("wfcam"), &input, image, None);
    for (row, hdu) in stored.hdus().iter().enumerate() {
        let Got::Bytes(packed) = cell(&products, "header", row, "cards") else { panic!() };
        let cards = process::metadata::unpack_cards(&packed, 1 << 20).unwrap();
        assert!(hdu.header.raw().starts_with(&cards), "HDU {row}");
        assert_eq!(cell(&products, "header", row, "num_cards"), (cards.len() as i64 / 80).into());
        assert!(hdu.header.raw()[cards.len()..].starts_with(b"END"), "HDU {row}");
    }
}

#[test]
fn an_image_in_the_primary_is_a_detector() {
    let mut cards = primary("U/UKIDSS/LAS3", "OBJECT");
    cards.append(&extension(3));
    let mut bytes = Vec::new();
    let pixels = fits::write::Pixels::I16(&[1; 800]);
    write::image(&mut bytes, Place::Primary, &[40, 20], pixels, &cards, Checks::Absent).unwrap();
    let products = extract(&profile("wfcam"), &input(1, "w20071011_00001.fit", None), bytes, None);
    let columns =
        ["ext_num", "hdu_kind", "axis1_length", "bits_per_pix", "image_gcount", "cam_num"];
    assert_eq!(listed(&products, "multiframe_detector", &columns), ["1 image 40 16 1 3"]);
}

#[test]
fn a_catalogue_with_the_coordinate_system() {
    let mut bare = HeaderBuilder::new();
    bare.integer("ESO DET CHIP NO", 1, "");
    let mut table = table_cards();
    table
        .text("TCTYP3", "RA---ZPN", "")
        .text("TCTYP5", "DEC--ZPN", "")
        .number("TCRPX3", 20.5, "")
        .number("TCRPX5", 10.5, "")
        .number("TCRVL3", 83.9, "")
        .number("TCRVL5", 21.8, "")
        .number("TC3_3", -9.4e-5, "")
        .number("TC3_5", 1e-7, "")
        .number("TC5_3", 2e-7, "")
        .number("TC5_5", 9.4e-5, "")
        .number("TV5_1", 1.0, "")
        .number("TV5_3", 42.0, "");
    let mut first = HeaderBuilder::new();
    first.text("INSTRUME", "VIRCAM", "").text("ESO OBS PROG ID", "179.A-2010(B)", "");
    let input = input(3, "v20130130_00563_st_tl.fit", Some("v20130130_00563_st_tl_cat.fits"));
    let products =
        extract(&profile("vista"), &input, image(&first, &[bare]), Some(catalogue(&[table])));
    let columns =
        ["wcs_source", "projection", "c_type_x", "cr_pix_y", "cd12", "cd21", "pv23", "pv25"];
    let wanted = "catalogue ZPN RA---ZPN 10.5 0.0000001 0.0000002 42 -";
    assert_eq!(listed(&products, "astrometry", &columns), [wanted]);
    let Got::Float(ra) = cell(&products, "astrometry", 0, "central_ra") else { panic!() };
    assert!((ra - 83.9).abs() < 1e-9);
    assert_eq!(listed(&products, "programme_frame", &["programme_id"]), ["110"]);
    assert_eq!(listed(&products, "multiframe", &["frame_type"]), ["tilestack"]);
}
