//! Layouts of catalogues: what differs between surveys is a matter of the profile.

use crate::made::{Cells, MadeTable, detector, profile, run_tables, run_with, wcs, wfcam};
use model::profile::SurveyProfile;

#[test]
fn the_layout_of_wfcam() {
    let mut table = wfcam(3);
    table.poke("Error_bit_flag", 1, 2.0);
    for level in 2..=8 {
        table.poke(&format!("Areal_{level}_profile"), 2, -1.0);
    }
    let outcome = run_tables(&[table], &profile("wfcam", &[]));
    assert_eq!(outcome.refusals(), []);
    assert_eq!(outcome.findings(), []);
    assert_eq!(outcome.integers("seq_num"), [Some(1), Some(2), Some(3)]);
    assert_eq!(outcome.integers("obj_id"), [Some(-1), Some(-2), Some(-3)]);
    assert_eq!(outcome.integers("multiframe_id"), [Some(7); 3]);
    assert_eq!(outcome.integers("ext_num"), [Some(2); 3]);
    assert_eq!(outcome.integers("version"), [Some(1); 3]);
    assert_eq!(outcome.integers("filter_id"), [Some(5); 3]);
    assert_eq!(outcome.integers("begin_event"), [None; 3]);
    assert_eq!(outcome.numbers("mjd"), [Some(54_384.55); 3]);
    assert_eq!(outcome.numbers("half_rad"), [Some(2.5); 3], "Hall_radius");
    assert_eq!(outcome.numbers("deblend"), [Some(0.0); 3]);
    assert_eq!(outcome.numbers("average_conf"), [None; 3]);
    assert_eq!(outcome.integers("pp_err_bits"), [Some(0), Some(64), Some(16)]);
    // What the pipeline does not fill is unknown, not zero.
    assert_eq!(outcome.numbers("psf_flux"), [None; 3]);
    assert_eq!(outcome.numbers("psf_mag"), [None; 3]);
    assert_eq!(outcome.numbers("ser_idx1d"), [None; 3]);
    // Not the catalogue's radians in single precision.
    let (x, y) = (outcome.numbers("x"), outcome.numbers("y"));
    for row in 0..3 {
        let wanted = wcs().pixel_to_sky(x[row].unwrap(), y[row].unwrap()).unwrap();
        assert_eq!(outcome.numbers("ra")[row], Some(wanted.ra_deg));
        assert_eq!(outcome.numbers("dec")[row], Some(wanted.dec_deg));
    }
}

#[test]
fn a_measure_that_is_filled_once_is_kept_everywhere() {
    let mut table = wfcam(3);
    table.poke("PSF_flux", 2, 9.0);
    let outcome = run_tables(&[table, wfcam(2)], &profile("wfcam", &[]));
    let wanted = [Some(0.0), Some(0.0), Some(9.0), None, None];
    assert_eq!(outcome.numbers("psf_flux"), wanted, "HDU by HDU");
    assert_eq!(outcome.numbers("psf_mag").iter().flatten().count(), 1);
}

#[test]
fn positions_of_the_catalogue_by_profile() {
    let columns = [("source = \"wcs\"", "source = \"columns\"")];
    let outcome = run_tables(&[wfcam(3)], &profile("wfcam", &columns));
    assert_eq!(outcome.findings(), []);
    let (x, y) = (outcome.numbers("x"), outcome.numbers("y"));
    for row in 0..3 {
        let wanted = wcs().pixel_to_sky(x[row].unwrap(), y[row].unwrap()).unwrap();
        let single = |degrees: f64| Some(f64::from(degrees.to_radians() as f32).to_degrees());
        assert_eq!(outcome.numbers("ra")[row], single(wanted.ra_deg));
        assert_eq!(outcome.numbers("dec")[row], single(wanted.dec_deg));
    }
}

#[test]
fn rows_that_are_not_where_the_catalogue_says() {
    let mut table = wfcam(30);
    table.poke("RA", 1, 0.1).poke("DEC", 2, 1.6);
    let outcome = run_tables(&[table], &profile("wfcam", &[]));
    assert_eq!(outcome.refusals(), []);
    assert_eq!(outcome.findings(), [("position_disagrees_with_wcs", 2)]);
    let wanted = wcs().pixel_to_sky(47.0, 73.0).unwrap();
    assert_eq!(outcome.numbers("ra")[1], Some(wanted.ra_deg));
}

#[test]
fn positions_that_contradict_the_wcs() {
    for source in ["wcs", "columns"] {
        let profile = profile("wfcam", &[("source = \"wcs\"", &format!("source = \"{source}\""))]);
        let mut shifted = wfcam(30);
        let Cells::F32(ra) = &shifted.columns.iter().find(|(n, ..)| n == "RA").unwrap().2 else {
            unreachable!()
        };
        let east = ra.iter().map(|ra| ra + 0.003).collect();
        shifted.set("RA", "Radians", Cells::F32(east));
        let outcome = run_tables(&[wfcam(30), shifted], &profile);
        assert_eq!(outcome.refusals(), [(Some(2), "position_contradicts_wcs", 30, false)]);
        let refusal = &outcome.report.refusals[0];
        assert_eq!(refusal.column.as_deref(), Some("RA"));
        for part in ["ext_num 3 of w20071011_00007_st.fit", "arcsec", "refuse_above_arcsec is 30"] {
            assert!(refusal.message.contains(part), "{}", refusal.message);
        }
        assert_eq!(outcome.numbers("ra").len(), 30, "the other HDU stays");
    }
}

#[test]
fn positions_in_every_unit() {
    use Cells::{F64, Text};
    let sky: Vec<_> =
        (0..3).map(|n| wcs().pixel_to_sky(100.25 + f64::from(n), 7.125).unwrap()).collect();
    let ra = |factor: f64| F64(sky.iter().map(|p| p.ra_deg * factor).collect());
    let dec = |factor: f64| F64(sky.iter().map(|p| p.dec_deg * factor).collect());
    let radian = std::f64::consts::PI / 180.0;
    let cases = [
        (("deg", ra(1.0)), ("deg", dec(1.0))),
        (("h", ra(1.0 / 15.0)), ("deg", dec(1.0))),
        (("hour", ra(1.0 / 15.0)), ("Radians", dec(radian))),
        (("hourangle", ra(1.0 / 15.0)), ("arcmin", dec(60.0))),
        (("arcsec", ra(3600.0)), ("mas", dec(3.6e6))),
        (("s", ra(240.0)), ("mdeg", dec(1000.0))),
    ];
    for ((ra_unit, ra), (dec_unit, dec)) in cases {
        let mut table = wfcam(3);
        table.set("X_coordinate", "pixel", F64(vec![100.25, 101.25, 102.25]));
        table.set("Y_coordinate", "pixel", F64(vec![7.125; 3]));
        table.set("RA", ra_unit, ra).set("DEC", dec_unit, dec);
        let mut blind = detector(7, 2);
        blind.wcs.clear();
        for detector in [detector(7, 2), blind] {
            let outcome = run_with(&[table.clone()], vec![detector], &profile("generic", &[]));
            assert_eq!(outcome.refusals(), [], "{ra_unit} {dec_unit}");
            assert_eq!(outcome.findings(), [], "{ra_unit} {dec_unit}");
            for (row, place) in sky.iter().enumerate().take(3) {
                let (ra, dec) = (outcome.numbers("ra")[row], outcome.numbers("dec")[row]);
                let off = (ra.unwrap() - place.ra_deg).abs() + (dec.unwrap() - place.dec_deg).abs();
                assert!(off < 1e-12, "{ra_unit} {dec_unit}: {off}");
            }
        }
    }
    // 66.0 + ... as text; one cell that is not an angle.
    let mut table = wfcam(3);
    table.set("RA", "", Text(vec!["4:24:00", "04 24 0", "nowhere"]));
    table.set("DEC", "", Text(vec!["+25:30:0", "25 30 00", "25:30:0"]));
    let mut blind = detector(7, 2);
    blind.wcs.clear();
    let lenient = [("[catalogue]\n", "[limits]\nrefused_rows_share = 0.5\n\n[catalogue]\n")];
    let outcome = run_with(&[table], vec![blind], &profile("generic", &lenient));
    assert_eq!(outcome.refusals(), [(Some(1), "sky_position_out_of_range", 1, false)]);
    assert_eq!(outcome.numbers("ra"), [Some(66.0); 2]);
    assert_eq!(outcome.numbers("dec"), [Some(25.5); 2]);
}

#[test]
fn positions_that_were_never_filled_in() {
    let mut table = wfcam(3);
    let zero = || Cells::F32(vec![0.0; 3]);
    table.set("RA", "Radians", zero()).set("DEC", "Radians", zero());
    table.set("Classification", "Flag", Cells::F32(vec![100.0; 3]));
    table.set("Statistic", "", zero());
    let outcome = run_tables(std::slice::from_ref(&table), &profile("wfcam", &[]));
    assert_eq!(outcome.findings(), [("position_from_wcs", 3), ("class_not_set", 3)]);
    assert_eq!(outcome.integers("class"), [None; 3]);
    assert_eq!(outcome.numbers("class_stat"), [None; 3]);
    assert!(outcome.numbers("ra").iter().all(|ra| (ra.unwrap() - 66.0).abs() < 1.0));

    let mut blind = detector(7, 2);
    blind.wcs.clear();
    let outcome = run_with(&[table], vec![blind], &profile("wfcam", &[]));
    assert_eq!(outcome.refusals(), [(Some(1), "too_many_refused_rows", 3, false)]);
    assert!(outcome.report.refusals[0].message.contains("sky_position_missing"));
}

#[test]
fn the_layouts_of_vista_and_hdrl() {
    let mut table = wfcam(3);
    table.without("Parent_or_child").without("Hall_radius").without("Hall_flux");
    table.without("PSF_flux").without("1D_Sersic_index");
    table.set("Half_radius", "pixel", Cells::F32(vec![2.0; 3]));
    table.set("Av_conf", "Number", Cells::F32(vec![79.0, 80.0, 81.0]));
    table.set("Blank63", "Blank63", Cells::F32(vec![f32::NAN; 3]));
    let outcome = run_tables(&[table.clone()], &profile("vista", &[]));
    assert_eq!(outcome.findings(), []);
    assert!(outcome.report.hdus[0].nan.is_empty(), "blank columns are not counted");
    assert_eq!(outcome.numbers("average_conf"), [Some(79.0), Some(80.0), Some(81.0)]);
    assert_eq!(outcome.integers("pp_err_bits"), [Some(128), Some(0), Some(0)]);

    // HDRL: double columns, an integer sequence number, FWHM; degrees by TUNIT.
    let sky: Vec<_> =
        (0..3).map(|n| wcs().pixel_to_sky(100.25 + f64::from(n), 7.125).unwrap()).collect();
    table.set("Sequence_number", "", Cells::I32(vec![1, 2, 3]));
    table.set("X_coordinate", "pixel", Cells::F64(vec![100.25, 101.25, 102.25]));
    table.set("Y_coordinate", "pixel", Cells::F64(vec![7.125; 3]));
    table.set("RA", "deg", Cells::F64(sky.iter().map(|p| p.ra_deg).collect()));
    table.set("DEC", "deg", Cells::F64(sky.iter().map(|p| p.dec_deg).collect()));
    table.set("Aper_flux_3", "adu", Cells::F64(vec![1_234.567_890_123, 1e300, 5.0]));
    table.set("FWHM", "pixel", Cells::F64(vec![3.5; 3]));
    let outcome = run_tables(&[table], &profile("generic", &[]));
    assert_eq!(outcome.findings(), [("infinite_value", 1)], "1e300 does not fit");
    assert_eq!(outcome.numbers("x"), [100.25, 101.25, 102.25].map(Some));
    assert_eq!(outcome.numbers("ra"), [0, 1, 2].map(|n| Some(sky[n].ra_deg)));
    let flux = outcome.numbers("aper_flux3");
    assert_eq!(flux, [Some(f64::from(1_234.567_9_f32)), None, Some(5.0)]);
    assert_eq!(outcome.numbers("fwhm"), [Some(3.5); 3]);
}

#[test]
fn integers_may_be_undefined() {
    // TNULL is a matter of the header, which the table builder does not write: by hand.
    use fits::write::{Checks, Field, HeaderBuilder, Rows, bin_table_rows, primary};
    let fields = [
        Field::new("Sequence_number", "1J"),
        Field::new("Isophotal_flux", "1J").null(-99),
        Field::new("X_coordinate", "1I").scaled(0.5, 10.0),
        Field::new("Y_coordinate", "1D"),
        Field::new("Aper_flux_3", "1E"),
        Field::new("Classification", "1I").null(77),
    ];
    let mut rows = Vec::new();
    for (seq, iso, class) in [(1_i32, 500_i32, -1_i16), (2, -99, 77)] {
        rows.extend(seq.to_be_bytes());
        rows.extend(iso.to_be_bytes());
        rows.extend(4_i16.to_be_bytes());
        rows.extend(6.5_f64.to_be_bytes());
        rows.extend(100_f32.to_be_bytes());
        rows.extend(class.to_be_bytes());
    }
    let mut bytes = Vec::new();
    primary(&mut bytes, &HeaderBuilder::new(), Checks::Written).unwrap();
    let table = Rows { row_bytes: 24, bytes: &rows, heap: &[] };
    bin_table_rows(&mut bytes, &fields, &table, &HeaderBuilder::new(), Checks::Written).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cat.fits");
    std::fs::write(&path, bytes).unwrap();
    let input = crate::made::input(7, "image.fits", &path, "cat.fits");
    let outcome = crate::made::run(&[input], vec![detector(7, 2)], &profile("wfcam", &[]));
    assert_eq!(outcome.refusals(), []);
    assert_eq!(outcome.findings(), [("position_from_wcs", 2)]);
    assert_eq!(outcome.numbers("iso_flux"), [Some(500.0), None]);
    assert_eq!(outcome.numbers("x"), [Some(12.0); 2], "TSCAL and TZERO");
    assert_eq!(outcome.integers("class"), [Some(-1), None]);
    let nan: Vec<_> = outcome.report.hdus[0].nan.iter().map(|(c, n)| (c.as_str(), *n)).collect();
    assert_eq!(nan, [("class", 1), ("iso_flux", 1)]);
}

#[test]
fn no_numbers_and_infinities() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let mut table = wfcam(4);
    table.poke("Aper_flux_3", 0, nan).poke("Aper_flux_3", 1, inf).poke("Aper_flux_3", 2, -inf);
    table.poke("Sky_level", 3, nan).poke("Aper_flux_4_err", 1, nan);
    let keep = [("[limits]\n", "[limits]\nkeep_infinities = true\n")];
    for (profile, flux, findings) in [
        (profile("wfcam", &[]), [None, None, None, Some(1003.0)], &[("infinite_value", 2)][..]),
        (
            profile("wfcam", &keep),
            [None, Some(f64::INFINITY), Some(-f64::INFINITY), Some(1003.0)],
            &[],
        ),
    ] {
        let outcome = run_tables(&[table.clone()], &profile);
        assert_eq!(outcome.numbers("aper_flux3"), flux);
        assert_eq!(outcome.findings(), findings);
        let nan: Vec<_> =
            outcome.report.hdus[0].nan.iter().map(|(c, n)| (c.as_str(), *n)).collect();
        assert_eq!(nan, [("aper_flux3", 1), ("aper_flux4_err", 1), ("sky", 1)]);
        let has_mag: Vec<bool> = outcome.numbers("aper_mag3").iter().map(Option::is_some).collect();
        assert_eq!(has_mag, [false, false, false, true]);
        let has_err: Vec<bool> =
            outcome.numbers("aper_mag4_err").iter().map(Option::is_some).collect();
        assert_eq!(has_err, [true, false, true, true]);
    }
}

/// An unknown survey, by its profile alone.
const INVENTED: &str = r#"
name = "invented"
survey_id = 77
title = "A survey that there is not"

[[match]]
INSTRUME = "NOTHING*"

[naming]
delivery = "{night}_v{version}"
extensions = [".fits"]

[limits]
refused_rows_share = 0.5

[catalogue]
required = ["seq_num", "x", "y", "aper_flux3"]
foreign = ["CHI_*"]
blank = ["SPARE?"]
unfilled = ["fwhm"]
pairing = "order"
zero_rows = "accept"

[catalogue.spellings]
seq_num = ["NUMBER"]
x = ["XPOS"]
y = ["YPOS"]
ra = ["ALPHA_J2000"]
dec = ["DELTA_J2000"]
aper_flux3 = ["FLUX_BIG", "FLUX_STD"]
aper_flux3_err = ["DFLUX_STD"]
class = ["KIND"]
average_conf = ["CONF"]
fwhm = ["WIDTH"]

[catalogue.position]
unit = "degrees"
missing = "refuse"
margin_px = 0.0

[catalogue.photometry]
zero_point = "frame"
missing_zero_point = "refuse"

[catalogue.quality]
low_confidence_below = 50.0
unclassified = [9]
"#;

fn invented(x: &[f32]) -> MadeTable {
    let rows = x.len();
    let mut table = MadeTable::default();
    table.set("NUMBER", "", Cells::I32((1..).take(rows).collect()));
    table.set("XPOS", "", Cells::F32(x.to_vec()));
    table.set("ypos", "", Cells::F32(vec![20.0; rows]));
    table.set("ALPHA_J2000", "", Cells::F64(vec![1.5; rows]));
    table.set("DELTA_J2000", "", Cells::F64(vec![-2.5; rows]));
    table.set("RA", "", Cells::F64(vec![300.0; rows]));
    table.set("FLUX_STD", "", Cells::F32(vec![100.0; rows]));
    table.set("DFLUX_STD", "", Cells::F32(vec![1.0; rows]));
    table.set("KIND", "", Cells::I32((8..).take(rows).collect()));
    table.set("CONF", "", Cells::F32(vec![49.0; rows]));
    table.set("WIDTH", "", Cells::F32(vec![0.0; rows]));
    table.set("SPARE1", "", Cells::F32(vec![0.0; rows]));
    table
}

#[test]
fn an_invented_survey_touches_no_code() {
    let profile = SurveyProfile::parse(INVENTED).unwrap();
    let mut second = invented(&[1.0]);
    second.set("CHI_2", "", Cells::F32(vec![0.0]));
    let tables = [second, invented(&[10.0, 11.0, 5000.0]), invented(&[])];
    let mut detectors = vec![detector(7, 9), detector(7, 12)];
    for detector in &mut detectors {
        detector.photometry.zero_point = Some(30.0);
        detector.wcs.clear();
    }
    let outcome = run_with(&tables, detectors, &profile);
    assert_eq!(outcome.refusals(), [(Some(2), "outside_detector", 1, false)]);
    // RA is spelled otherwise here, so that the one there is unknown.
    let findings = outcome.findings();
    assert!(findings.contains(&("column_unknown", 1)), "{findings:?}");
    let places: Vec<_> = outcome.report.detectors.iter().map(|d| (d.ext_num, d.rows)).collect();
    assert_eq!(places, [(9, 2), (12, 0)]);
    assert_eq!(outcome.numbers("ra"), [Some(1.5); 2]);
    assert_eq!(outcome.numbers("dec"), [Some(-2.5); 2]);
    assert_eq!(outcome.integers("class"), [Some(8), None]);
    assert_eq!(outcome.integers("pp_err_bits"), [Some(128); 2]);
    assert_eq!(outcome.numbers("fwhm"), [None; 2]);
    assert_eq!(outcome.numbers("distort_corr"), [None; 2]);
    let mag = (30.0 - 0.002 - 0.12 - 5.0) as f32;
    assert_eq!(outcome.numbers("aper_mag3"), [Some(f64::from(mag)); 2]);
}
