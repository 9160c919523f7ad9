//! Headers in all their spellings, and what is wrong with some.

use sky::{CelestialSystem, SkyPosition, Wcs, WcsFault, angular_distance_deg};

use crate::cards::Cards;
use crate::points::Random;

/// A WFCAM detector: ZPN with the K-band coefficient, on the sky at RA 165.5, Dec 19.5, rotated by 90 degrees.
pub fn wfcam() -> Cards {
    Cards::from_lines([
        "NAXIS1 = 2048",
        "NAXIS2 = 2048",
        "CTYPE1 = 'RA---ZPN'",
        "CTYPE2 = 'DEC--ZPN'",
        "CRPIX1 = 3003.6",
        "CRPIX2 = -959.2",
        "CRVAL1 = 165.4878096",
        "CRVAL2 = 19.5088855",
        "CRUNIT1 = 'deg'",
        "CRUNIT2 = 'deg'",
        "CD1_1 = -1.105E-07",
        "CD1_2 = -1.113E-04",
        "CD2_1 = 1.112E-04",
        "CD2_2 = -1.627E-07",
        "PV2_1 = 1.0",
        "PV2_2 = 0.0",
        "PV2_3 = -60.0",
        "RADESYS = 'FK5'",
        "EQUINOX = 2000.0",
    ])
}

/// The same detector with a tangent plane.
pub fn tangent() -> Cards {
    let plain = wfcam().without("PV2_1").without("PV2_2").without("PV2_3");
    plain.with("CTYPE1", "'RA---TAN'").with("CTYPE2", "'DEC--TAN'")
}

/// With the distortion that SCAMP or NOAO write.
pub fn tpv() -> Cards {
    let mut cards = tangent().with("CTYPE1", "'RA---TPV'").with("CTYPE2", "'DEC--TPV'");
    let terms = [
        ("PV1_0", "-1.2E-5"),
        ("PV1_1", "1.0021"),
        ("PV1_2", "3.1E-4"),
        ("PV1_4", "-0.0016"),
        ("PV1_7", "0.063"),
        ("PV1_9", "0.051"),
        ("PV1_11", "0.002"),
        ("PV1_22", "0.011"),
        ("PV2_0", "2.5E-5"),
        ("PV2_1", "0.9987"),
        ("PV2_2", "-2.2E-4"),
        ("PV2_3", "1E-5"),
        ("PV2_5", "0.0019"),
        ("PV2_7", "0.055"),
        ("PV2_10", "0.0043"),
        ("PV2_31", "0.2"),
    ];
    for (keyword, value) in terms {
        cards = cards.with(keyword, value);
    }
    cards
}

/// With the distortion that Spitzer and astrometry.net write.
pub fn sip() -> Cards {
    let mut cards = tangent().with("CTYPE1", "'RA---TAN-SIP'").with("CTYPE2", "'DEC--TAN-SIP'");
    let terms = [
        ("A_ORDER", "3"),
        ("B_ORDER", "2"),
        ("A_2_0", "3.1E-7"),
        ("A_1_1", "-2.2E-7"),
        ("A_0_3", "1.7E-11"),
        ("A_3_0", "-4.4E-11"),
        ("B_0_2", "2.9E-7"),
        ("B_1_1", "5.1E-8"),
    ];
    for (keyword, value) in terms {
        cards = cards.with(keyword, value);
    }
    cards
}

/// As VISTA's catalogues say it: X and Y are columns 3 and 5.
pub fn vista_table() -> Cards {
    Cards::from_lines([
        "TCTYP3 = 'RA---ZPN'",
        "TCTYP5 = 'DEC--ZPN'",
        "TCRPX3 = 5401.6",
        "TCRPX5 = 6860.8",
        "TCRVL3 = 210.12",
        "TCRVL5 = -60.5",
        "TC3_3 = 2.2137E-07",
        "TC3_5 = 9.4834E-05",
        "TC5_3 = -9.4835E-05",
        "TC5_5 = 2.2138E-07",
        "TV5_1 = 1.0",
        "TV5_2 = 0.0",
        "TV5_3 = 42.0",
        "TV5_4 = 0.0",
        "TV5_5 = -10000.0",
    ])
}

/// The same as an image header.
fn vista_image() -> Cards {
    Cards::from_lines([
        "CTYPE1 = 'RA---ZPN'",
        "CTYPE2 = 'DEC--ZPN'",
        "CRPIX1 = 5401.6",
        "CRPIX2 = 6860.8",
        "CRVAL1 = 210.12",
        "CRVAL2 = -60.5",
        "CD1_1 = 2.2137E-07",
        "CD1_2 = 9.4834E-05",
        "CD2_1 = -9.4835E-05",
        "CD2_2 = 2.2138E-07",
        "PV2_1 = 1.0",
        "PV2_3 = 42.0",
        "PV2_5 = -10000.0",
    ])
}

pub fn sky_of(wcs: &Wcs, x: f64, y: f64) -> SkyPosition {
    wcs.pixel_to_sky(x, y).unwrap()
}

pub fn apart_mas(a: SkyPosition, b: SkyPosition) -> f64 {
    angular_distance_deg(a.ra_deg, a.dec_deg, b.ra_deg, b.dec_deg) * 3.6e6
}

/// Both give the same sky for the same pixels.
fn assert_same(a: &Wcs, b: &Wcs, what: &str) {
    let mut random = Random::new(3);
    for _ in 0..200 {
        let (x, y) = (random.between(1.0, 2048.0), random.between(1.0, 2048.0));
        let apart = apart_mas(sky_of(a, x, y), sky_of(b, x, y));
        assert!(apart < 1e-6, "{what}: {apart} mas at {x} {y}");
    }
}

#[test]
fn facts_of_the_header_are_kept() {
    let wcs = Wcs::from_image(&wfcam()).unwrap();
    assert_eq!(wcs.projection(), "ZPN");
    assert_eq!(wcs.system(), CelestialSystem::Equatorial);
    assert_eq!(wcs.reference_system(), Some("FK5"));
    assert_eq!(wcs.equinox(), Some(2000.0));
    assert_eq!(wcs.reference_pixel(), [3003.6, -959.2]);
    assert_eq!(wcs.matrix_deg(), [[-1.105e-7, -1.113e-4], [1.112e-4, -1.627e-7]]);
    let reference = SkyPosition { ra_deg: 165.4878096, dec_deg: 19.5088855 };
    assert_eq!(wcs.reference_position(), reference);
    assert!(apart_mas(sky_of(&wcs, 3003.6, -959.2), reference) < 1e-7);
    assert_eq!(Wcs::from_image(&tangent()).unwrap().projection(), "TAN");
    assert_eq!(Wcs::from_image(&tpv()).unwrap().projection(), "TPV");
    assert_eq!(Wcs::from_image(&sip()).unwrap().projection(), "TAN-SIP");
}

/// Returns WFCAM's header in arcseconds.
fn in_arcseconds() -> Cards {
    wfcam()
        .without("CRUNIT1")
        .without("CRUNIT2")
        .with("CUNIT1", "'arcsec'")
        .with("CUNIT2", "'arcsec'")
        .with("CRVAL1", "595756.11456")
        .with("CRVAL2", "70231.9878")
        .with("CD1_1", "-3.978E-04")
        .with("CD1_2", "-0.40068")
        .with("CD2_1", "0.40032")
        .with("CD2_2", "-5.8572E-04")
}

/// Returns WFCAM's header with the latitude on the first axis.
fn latitude_first() -> Cards {
    wfcam()
        .with("CTYPE1", "'DEC--ZPN'")
        .with("CTYPE2", "'RA---ZPN'")
        .with("CRVAL1", "19.5088855")
        .with("CRVAL2", "165.4878096")
        .with("CD1_1", "1.112E-04")
        .with("CD1_2", "-1.627E-07")
        .with("CD2_1", "-1.105E-07")
        .with("CD2_2", "-1.113E-04")
        .without("PV2_1")
        .without("PV2_2")
        .without("PV2_3")
        .with("PV1_1", "1.0")
        .with("PV1_3", "-60.0")
}

/// Returns WFCAM's header with PC and CDELT in place of CD.
fn with_pc_and_cdelt() -> Cards {
    wfcam()
        .without("CD1_1")
        .without("CD1_2")
        .without("CD2_1")
        .without("CD2_2")
        .with("CDELT1", "-1.0E-4")
        .with("CDELT2", "1.0E-4")
        .with("PC1_1", "1.105E-03")
        .with("PC1_2", "1.113")
        .with("PC2_1", "1.112")
        .with("PC2_2", "-1.627E-03")
}

/// Returns WFCAM's header with PROJP in place of PV.
fn with_projp() -> Cards {
    wfcam()
        .without("PV2_1")
        .without("PV2_2")
        .without("PV2_3")
        .with("PROJP1", "1.0")
        .with("PROJP3", "-60.0")
}

#[test]
fn spellings_of_the_same_image() {
    let plain = Wcs::from_image(&wfcam()).unwrap();
    let scamp = tpv().with("CTYPE1", "'RA---TAN'").with("CTYPE2", "'DEC--TAN'");
    let cases = [
        ("units in CRUNIT left out", wfcam().without("CRUNIT1").without("CRUNIT2"), &plain),
        (
            "units of another case",
            wfcam().with("CUNIT1", "'DEGREE'").with("CUNIT2", "'Degrees '"),
            &plain,
        ),
        ("arcseconds", in_arcseconds(), &plain),
        ("latitude first", latitude_first(), &plain),
        ("PC and CDELT", with_pc_and_cdelt(), &plain),
        ("PROJP for PV", with_projp(), &plain),
        ("CD before CDELT", wfcam().with("CDELT1", "5.0").with("CDELT2", "5.0"), &plain),
        ("CD before CROTA", wfcam().with("CROTA2", "33.0").with("CDELT1", "1.0"), &plain),
        ("LONPOLE as by default", wfcam().with("LONPOLE", "180.0"), &plain),
        (
            "types in lower case",
            wfcam().with("CTYPE1", "'ra---zpn'").with("CTYPE2", "'dec--zpn'"),
            &plain,
        ),
        ("exponent with D", wfcam().with("CD1_2", "-1.113D-04"), &plain),
        (
            "a third axis",
            wfcam().with("CTYPE3", "'WAVE'").with("NAXIS", "3").with("CD3_3", "1.0"),
            &plain,
        ),
        ("SCAMP's TAN", scamp, &Wcs::from_image(&tpv()).unwrap()),
        (
            "PV2 left over from ZPN",
            tangent().with("PV2_1", "1.0").with("PV2_3", "-60.0"),
            &Wcs::from_image(&tangent()).unwrap(),
        ),
        ("PV left over beside SIP", sip().with("PV1_7", "0.3"), &Wcs::from_image(&sip()).unwrap()),
        (
            "SIP without its suffix",
            sip().with("CTYPE1", "'RA---TAN'").with("CTYPE2", "'DEC--TAN'"),
            &Wcs::from_image(&sip()).unwrap(),
        ),
        (
            "TPV without coefficients",
            tangent().with("CTYPE1", "'RA---TPV'").with("CTYPE2", "'DEC--TPV'"),
            &Wcs::from_image(&tangent()).unwrap(),
        ),
        (
            "ARC is ZPN without terms",
            wfcam().with("PV2_3", "0.0"),
            &Wcs::from_image(&tangent().with("CTYPE1", "'RA---ARC'").with("CTYPE2", "'DEC--ARC'"))
                .unwrap(),
        ),
        (
            "PV1_3 for LONPOLE",
            tangent().with("PV1_3", "170.0").with("LONPOLE", "12.0"),
            &Wcs::from_image(&tangent().with("LONPOLE", "170.0")).unwrap(),
        ),
    ];
    for (what, cards, wanted) in cases {
        let found = Wcs::from_image(&cards).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_same(&found, wanted, what);
    }
}

#[test]
fn spellings_of_the_same_table() {
    let image = Wcs::from_image(&vista_image()).unwrap();
    let mut tp = vista_table();
    for (short, long) in
        [("TV5_1", "TPV5_1"), ("TV5_3", "TPV5_3"), ("TV5_5", "TPV5_5"), ("TC3_5", "TCD3_5")]
    {
        let value = sky::Keywords::number(&tp, short).unwrap();
        tp = tp.without(short).with(long, &format!("{value:e}"));
    }
    // CASU translates PV2_1, 3 and 5, and leaves higher ones as they were in the image.
    let left_over = vista_table().without("TV5_5").with("PV2_5", "-10000.0");
    let cases = [
        ("VISTA", vista_table()),
        ("TPV and TCD", tp),
        ("PV2_5 left as it was", left_over),
        ("units", vista_table().with("TCUNI3", "'deg'").with("TCUNI5", "'deg'")),
        ("image keywords beside", vista_table().with("CTYPE1", "'RA---TAN'").with("CRVAL1", "1.0")),
    ];
    for (what, cards) in cases {
        assert_same(&Wcs::from_table(&cards, 3, 5).unwrap(), &image, what);
        assert_same(&Wcs::from_catalogue(&cards, 3, 5).unwrap(), &image, what);
    }
    // WFCAM's catalogues keep the keywords of the image.
    assert_same(&Wcs::from_catalogue(&vista_image(), 3, 5).unwrap(), &image, "image keywords");
    let fault = Wcs::from_table(&vista_table(), 4, 6).unwrap_err();
    assert_eq!(fault, WcsFault::Absent { keyword: "TCTYP4".to_owned() });
}

#[test]
fn faults_name_their_keyword() {
    let cases = [
        (wfcam().without("CTYPE1"), "wcs_absent", "CTYPE1"),
        (wfcam().with("CTYPE2", "''"), "wcs_absent", "CTYPE2"),
        (wfcam().with("CTYPE1", "'WAVE'"), "wcs_not_celestial", "CTYPE1"),
        (wfcam().with("CTYPE1", "'RA'").with("CTYPE2", "'DEC'"), "wcs_not_celestial", "CTYPE1"),
        (wfcam().with("CTYPE1", "'Solar-X'"), "wcs_not_celestial", "CTYPE1"),
        (wfcam().with("CTYPE2", "'GLAT-ZPN'"), "wcs_unmatched_axes", "CTYPE2"),
        (wfcam().with("CTYPE2", "'DEC--TAN'"), "wcs_unmatched_axes", "CTYPE2"),
        (wfcam().with("CTYPE2", "'RA---ZPN'"), "wcs_unmatched_axes", "CTYPE2"),
        (
            wfcam().with("CTYPE1", "'RA---ABC'").with("CTYPE2", "'DEC--ABC'"),
            "wcs_unsupported_projection",
            "CTYPE1",
        ),
        (
            wfcam().with("CTYPE1", "'RA---TAN-XYZ'").with("CTYPE2", "'DEC--TAN-XYZ'"),
            "wcs_unsupported_projection",
            "CTYPE1",
        ),
        (wfcam().without("CRPIX2"), "wcs_missing_keyword", "CRPIX2"),
        (wfcam().without("CRVAL1"), "wcs_missing_keyword", "CRVAL1"),
        (wfcam().with("CRVAL1", "'11:01:57'"), "wcs_not_a_number", "CRVAL1"),
        (wfcam().with("CRVAL1", "NaN"), "wcs_not_finite", "CRVAL1"),
        (wfcam().with("CRVAL2", "90.5"), "wcs_bad_latitude", "CRVAL2"),
        (wfcam().with("CD1_2", "inf"), "wcs_not_finite", "CD1_2"),
        (wfcam().with("CD1_1", "0.0").with("CD1_2", "0.0"), "wcs_singular_matrix", "CD1_1"),
        (
            wfcam()
                .with("CD1_1", "2.0")
                .with("CD1_2", "4.0")
                .with("CD2_1", "1.0")
                .with("CD2_2", "2.0"),
            "wcs_singular_matrix",
            "CD1_1",
        ),
        (
            wfcam().without("CD1_1").without("CD1_2").without("CD2_1").without("CD2_2"),
            "wcs_missing_keyword",
            "CD1_1",
        ),
        (wfcam().with("CUNIT1", "'furlong'"), "wcs_bad_unit", "CUNIT1"),
        (wfcam().with("CRUNIT2", "'m/s'"), "wcs_bad_unit", "CRUNIT2"),
        (wfcam().without("PV2_1"), "wcs_missing_keyword", "PV2_1"),
        (wfcam().with("PV2_1", "0.0"), "wcs_bad_polynomial", "PV2_1"),
        (wfcam().with("PV2_3", "'none'"), "wcs_not_a_number", "PV2_3"),
        (wfcam().with("PV1_2", "45.0"), "wcs_unsupported_parameter", "PV1_2"),
        (sip().with("A_ORDER", "12"), "wcs_unsupported_parameter", "A_ORDER"),
        (sip().with("B_0_2", "'x'"), "wcs_not_a_number", "B_0_2"),
    ];
    for (cards, code, keyword) in cases {
        let fault = Wcs::from_image(&cards).unwrap_err();
        assert_eq!((fault.code(), fault.keyword()), (code, Some(keyword)), "{fault}");
        assert!(fault.to_string().contains(keyword), "{fault}");
    }
}

#[test]
fn messages_read_as_fragments() {
    let message = |cards: Cards| Wcs::from_image(&cards).unwrap_err().to_string();
    assert_eq!(message(wfcam().without("PV2_1")), "keyword PV2_1 is missing");
    assert_eq!(
        message(wfcam().with("CRVAL1", "'11:01'")),
        "keyword CRVAL1 holds \"11:01\", not a number"
    );
    assert_eq!(
        message(wfcam().with("CTYPE2", "'DEC--TAN'")),
        "keyword CTYPE2 holds \"DEC--TAN\", which is not a partner of \"RA---ZPN\""
    );
}

#[test]
fn unapplied_keywords_are_recorded() {
    let codes = |cards: &Cards| {
        let wcs = Wcs::from_image(cards).unwrap();
        let codes: Vec<&str> = wcs.notes().iter().map(|note| note.kind.code()).collect();
        (wcs.projection(), codes)
    };
    let sip_beside = |mut cards: Cards| {
        for keyword in ["A_ORDER", "B_ORDER"] {
            cards = cards.with(keyword, "2");
        }
        cards.with("A_2_0", "3E-7")
    };
    let tan = |cards: Cards| cards.with("CTYPE1", "'RA---TAN'").with("CTYPE2", "'DEC--TAN'");
    let cases: [(&str, Cards, &str, &[&str]); 9] = [
        ("SIP", sip(), "TAN-SIP", &[]),
        ("SIP of one axis", sip().with("CTYPE2", "'DEC--TAN'"), "TAN-SIP", &[]),
        ("SIP without suffix", tan(sip()), "TAN-SIP", &["wcs_sip_unannounced"]),
        ("TPV and SIP", sip_beside(tpv()), "TPV", &["wcs_distortion_not_applied"]),
        ("SCAMP and SIP", sip_beside(tan(tpv())), "TPV", &["wcs_distortion_not_applied"]),
        ("SIP and PV", sip().with("PV1_5", "0.3"), "TAN-SIP", &["wcs_distortion_not_applied"]),
        (
            "suffix alone",
            sip().without("A_ORDER").without("B_ORDER"),
            "TAN",
            &["wcs_distortion_not_applied", "wcs_sip_missing"],
        ),
        (
            "look-up table",
            tangent().with("CPDIS1", "'LOOKUP'"),
            "TAN",
            &["wcs_distortion_not_applied"],
        ),
        ("two frames", tangent().with("RADECSYS", "'FK4'"), "TAN", &["wcs_frame_contradicted"]),
    ];
    for (what, cards, projection, wanted) in cases {
        assert_eq!(codes(&cards), (projection.to_owned(), wanted.to_vec()), "{what}");
    }
    for (broken, keyword) in [
        (sip().without("B_ORDER"), "B_ORDER"),
        (sip().without("A_ORDER"), "A_ORDER"),
        (sip().without("A_ORDER").without("B_ORDER").with("PV1_7", "0.1"), "PV1_7"),
    ] {
        assert_eq!(Wcs::from_image(&broken).unwrap_err().keyword(), Some(keyword));
    }
}

#[test]
fn frames_that_are_not_known_are_faults() {
    let cases = [
        (tangent().with("RADESYS", "'GAPPT'"), "wcs_unknown_frame", "RADESYS"),
        (tangent().without("RADESYS").with("RADECSYS", "'J2000'"), "wcs_unknown_frame", "RADECSYS"),
        (tangent().with("EQUINOX", "0.0"), "wcs_bad_equinox", "EQUINOX"),
        (tangent().with("EQUINOX", "'of date'"), "wcs_bad_equinox", "EQUINOX"),
        (tangent().without("EQUINOX").with("EPOCH", "2451545.0"), "wcs_bad_equinox", "EPOCH"),
    ];
    let any = sky::Reading { any_frame: true, ..sky::Reading::default() };
    for (cards, code, keyword) in cases {
        let fault = Wcs::from_image(&cards).unwrap_err();
        assert_eq!((fault.code(), fault.keyword()), (code, Some(keyword)), "{fault}");
        let wcs = Wcs::read_image(&cards, any).unwrap();
        assert_eq!(wcs.frame(), None);
        assert_same(&wcs, &Wcs::from_image(&tangent()).unwrap(), "in the header's own frame");
    }
    let text = Wcs::from_image(&tangent().with("EQUINOX", "'J2000.0'")).unwrap();
    assert_eq!(text.frame(), Some(sky::ReferenceFrame::Fk5 { equinox: 2000.0 }));
}

#[test]
fn matrices_of_the_drafts() {
    let plain = Wcs::from_image(&tangent()).unwrap();
    let mut drafts = tangent();
    let mut zeros = tangent();
    for (usual, draft, zero) in [
        ("CD1_1", "CD001001", "CD01_01"),
        ("CD1_2", "CD001002", "CD1_02"),
        ("CD2_1", "CD002001", "CD02_01"),
        ("CD2_2", "CD002002", "CD02_2"),
    ] {
        let value = sky::Keywords::number(&drafts, usual).unwrap();
        drafts = drafts.without(usual).with(draft, &format!("{value:e}"));
        zeros = zeros.without(usual).with(zero, &format!("{value:e}"));
    }
    assert_same(&Wcs::from_image(&drafts).unwrap(), &plain, "CD001001");
    assert_same(&Wcs::from_image(&zeros).unwrap(), &plain, "CD01_01");
}

#[test]
fn images_of_more_than_a_hemisphere_have_no_footprint() {
    let cards = tangent()
        .with("CTYPE1", "'RA---CAR'")
        .with("CTYPE2", "'DEC--CAR'")
        .with("CRVAL1", "180.0")
        .with("CRVAL2", "0.0")
        .with("CRPIX1", "180.5")
        .with("CRPIX2", "90.5")
        .with("CD1_1", "-1.0")
        .with("CD1_2", "0.0")
        .with("CD2_1", "0.0")
        .with("CD2_2", "1.0");
    let wcs = Wcs::from_image(&cards).unwrap();
    let footprint = |width, height| wcs.footprint(sky::PixelSize { width, height });
    assert_eq!(footprint(360, 180).unwrap_err(), WcsFault::TooLarge);
}

#[test]
fn galactic_axes_give_equatorial_positions() {
    let cards = tangent()
        .with("CTYPE1", "'GLON-TAN'")
        .with("CTYPE2", "'GLAT-TAN'")
        .with("CRVAL1", "302.07049836460936")
        .with("CRVAL2", "-1.5163335615548155");
    let wcs = Wcs::from_image(&cards).unwrap();
    assert_eq!(wcs.system(), CelestialSystem::Galactic);
    let wanted = SkyPosition { ra_deg: 190.86805228939133, dec_deg: -64.37475822559404 };
    assert!(apart_mas(wcs.reference_position(), wanted) < 0.02); // the matrix is orthogonal to 4e-11
    let mut random = Random::new(5);
    for _ in 0..100 {
        let (x, y) = (random.between(1.0, 2048.0), random.between(1.0, 2048.0));
        let (back_x, back_y) = wcs.sky_to_pixel(sky_of(&wcs, x, y)).unwrap();
        assert!((back_x - x).abs() < 1e-8 && (back_y - y).abs() < 1e-8);
    }
}

#[test]
fn pixels_come_back() {
    let mut random = Random::new(11);
    let headers = [wfcam(), tangent(), tpv(), sip(), vista_image()];
    let more = ["SIN", "ARC", "STG", "ZEA"].map(|code| {
        tangent()
            .with("CTYPE1", &format!("'RA---{code}'"))
            .with("CTYPE2", &format!("'DEC--{code}'"))
    });
    // Fields at the poles, beside them, across RA 0, with another LONPOLE.
    let places = [
        ("165.5", "19.5"),
        ("0.0", "0.0"),
        ("359.999", "-30.0"),
        ("0.001", "89.9"),
        ("12.0", "90.0"),
        ("77.0", "-90.0"),
        ("300.0", "-89.99"),
    ];
    for header in headers.into_iter().chain(more) {
        for (ra, dec) in places {
            for pole in [None, Some("170.0")] {
                let mut cards = header.clone().with("CRVAL1", ra).with("CRVAL2", dec);
                if let Some(pole) = pole {
                    cards = cards.with("LONPOLE", pole);
                }
                let wcs = Wcs::from_image(&cards).unwrap();
                for _ in 0..200 {
                    let (x, y) = (random.between(-50.0, 2100.0), random.between(-50.0, 2100.0));
                    let position = sky_of(&wcs, x, y);
                    assert!((0.0..360.0).contains(&position.ra_deg), "{position:?}");
                    let (back_x, back_y) = wcs.sky_to_pixel(position).unwrap();
                    // 1e-8 of a pixel is 4e-9 arcsec: the rounding of degrees near 360.
                    let off = (back_x - x).hypot(back_y - y);
                    assert!(off < 1e-8, "{} {ra} {dec}: {off} at {x} {y}", wcs.projection());
                }
            }
        }
    }
}

#[test]
fn nothing_is_outside_a_projection() {
    let zpn = Wcs::from_image(&wfcam()).unwrap();
    // The polynomial of WFCAM stops growing at 4.27 degrees, radius 2.85 degrees.
    assert_eq!(zpn.pixel_to_sky(3003.6 + 26_000.0, -959.2), None);
    assert!(zpn.pixel_to_sky(3003.6 + 25_000.0, -959.2).is_some());
    let far = SkyPosition { ra_deg: 165.4878096, dec_deg: 19.5088855 + 4.3 };
    assert_eq!(zpn.sky_to_pixel(far), None);
    let tan = Wcs::from_image(&tangent()).unwrap();
    let behind = SkyPosition { ra_deg: 345.4878096, dec_deg: -19.0 };
    for wcs in [&tan, &zpn, &Wcs::from_image(&tpv()).unwrap(), &Wcs::from_image(&sip()).unwrap()] {
        assert_eq!(wcs.sky_to_pixel(behind), None);
        assert_eq!(wcs.pixel_to_sky(f64::NAN, 1.0), None);
        assert_eq!(wcs.pixel_to_sky(f64::INFINITY, 1.0), None);
        assert_eq!(wcs.sky_to_pixel(SkyPosition { ra_deg: f64::NAN, dec_deg: 0.0 }), None);
        assert_eq!(wcs.flux_distortion(f64::NAN, 1.0), None);
    }
    let (mut a, mut b) = (vec![7.0], vec![8.0]);
    zpn.pixels_to_sky(&[1.0, 30_000.0], &[1.0, 1.0], &mut a, &mut b);
    assert!(a[0].is_finite() && a[1].is_nan() && b[1].is_nan() && a.len() == 2);
}

#[test]
fn absurd_values_neither_panic_nor_hang() {
    let keywords = [
        "CRPIX1", "CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "LONPOLE", "PV2_0", "PV2_1",
        "PV2_3", "PV2_5", "PV1_0", "PV1_1", "PV1_3", "PV1_7", "PV2_10", "A_ORDER", "A_1_1",
        "A_2_0", "B_3_0", "CROTA2", "CDELT1", "PC1_1", "PV2_29", "PV1_39",
    ];
    let values =
        ["0", "-1", "1E-300", "1E300", "-1E300", "1E12", "-60", "89.9", "1E-8", "NaN", "inf", "''"];
    let detector = sky::PixelSize { width: 2048, height: 2048 };
    let mut random = Random::new(41);
    let mut usable = 0;
    for round in 0..4000 {
        let mut cards = [wfcam(), tangent(), tpv(), sip()][round % 4].clone();
        for _ in 0..=(random.next() * 3.0) as usize {
            let keyword = keywords[(random.next() * keywords.len() as f64) as usize];
            let value = values[(random.next() * values.len() as f64) as usize];
            cards = cards.with(keyword, value);
        }
        let Ok(wcs) = Wcs::from_image(&cards) else { continue };
        usable += 1;
        for (x, y) in [(1.0, 1.0), (2048.0, 5.0), (-1e300, 1e300), (1e-300, 0.0)] {
            if let Some(p) = wcs.pixel_to_sky(x, y) {
                assert!(
                    (0.0..360.0).contains(&p.ra_deg) && p.dec_deg.abs() <= 90.0,
                    "{p:?} {cards:?}"
                );
            }
            let _ = wcs.flux_distortion(x, y);
        }
        for dec_deg in [-90.0, 0.0, 19.0, 90.0] {
            if let Some((x, y)) = wcs.sky_to_pixel(SkyPosition { ra_deg: 165.0, dec_deg }) {
                assert!(x.is_finite() && y.is_finite(), "{x} {y} {cards:?}");
            }
        }
        if let Ok(f) = wcs.footprint(detector) {
            assert!((0.0..=360.0).contains(&f.min_ra_deg) && (0.0..=360.0).contains(&f.max_ra_deg));
            assert!(f.min_dec_deg >= -90.0 && f.max_dec_deg <= 90.0, "{f:?}");
        }
        let _ = wcs.orientation(detector);
        let _ = sky::Layout::of(&[sky::Detector { wcs: &wcs, image: detector }], 1.6);
    }
    assert!(usable > 1000, "{usable}");
}

/// Pixels are worked on side by side: each has the position it has alone, beside others that have none.
#[test]
fn columns_are_the_single_points_wherever_projections_end() {
    let of = |code: &str| {
        let cards = tangent().with("CTYPE1", &format!("'RA---{code}'"));
        cards.with("CTYPE2", &format!("'DEC--{code}'")).with("CD1_1", "-0.4").with("CD2_2", "0.4")
    };
    let fk4 = wfcam().with("RADESYS", "'FK4'").with("EQUINOX", "1950.0");
    let mut headers = vec![wfcam(), fk4, tpv(), sip()];
    headers.extend(["TAN", "SIN", "ARC", "STG", "ZEA", "CAR", "AIT", "MOL"].map(of));
    let x: Vec<f64> =
        (0..203).map(|i| if i % 7 == 3 { f64::NAN } else { f64::from(i) * 79.3 }).collect();
    let y: Vec<f64> =
        (0..203).map(|i| if i % 11 == 5 { 1e300 } else { f64::from(i) * 31.7 }).collect();
    let (mut off_sky, mut ra, mut dec) = (0, Vec::new(), Vec::new());
    for cards in headers {
        let wcs = Wcs::from_image(&cards).unwrap();
        wcs.pixels_to_sky(&x, &y, &mut ra, &mut dec);
        for i in 0..x.len() {
            let alone = wcs.pixel_to_sky(x[i], y[i]);
            let found = (!ra[i].is_nan()).then_some(SkyPosition { ra_deg: ra[i], dec_deg: dec[i] });
            assert_eq!(found, alone, "{} {i}", wcs.projection());
            assert_eq!(ra[i].is_nan(), dec[i].is_nan());
            off_sky += usize::from(alone.is_none());
        }
    }
    assert!((300..2000).contains(&off_sky), "{off_sky}");
}

#[test]
fn columns_are_the_single_points() {
    for cards in [wfcam(), tangent(), tpv(), sip()] {
        let wcs = Wcs::from_image(&cards).unwrap();
        let x: Vec<f64> = (0..100).map(|i| f64::from(i) * 20.3).collect();
        let y: Vec<f64> = (0..100).map(|i| 2048.0 - f64::from(i) * 17.1).collect();
        let (mut ra, mut dec, mut back_x, mut back_y, mut factors) = Default::default();
        wcs.pixels_to_sky(&x, &y, &mut ra, &mut dec);
        wcs.sky_to_pixels(&ra, &dec, &mut back_x, &mut back_y);
        wcs.flux_distortions(&x, &y, &mut factors);
        for i in 0..100 {
            let position = SkyPosition { ra_deg: ra[i], dec_deg: dec[i] };
            assert_eq!(Some(position), wcs.pixel_to_sky(x[i], y[i]));
            assert_eq!(Some((back_x[i], back_y[i])), wcs.sky_to_pixel(position));
            assert_eq!(Some(factors[i]), wcs.flux_distortion(x[i], y[i]));
        }
    }
}

#[test]
fn flux_distortion_of_wfcam() {
    let wcs = Wcs::from_image(&wfcam()).unwrap();
    // K band, 0.45 degrees off axis: 1/((1-0.0111)(1-0.0037)) = 1.0150, which is 0.0162 mag.
    let pixels = 0.45 / 1.112e-4;
    let factor = wcs.flux_distortion(3003.6 + pixels, -959.2).unwrap();
    assert!((factor - 1.0150).abs() < 5e-5, "{factor}");
    assert!((-2.5 * factor.log10() + 0.0162).abs() < 1e-4, "{factor}");
    assert_eq!(wcs.flux_distortion(3003.6, -959.2), Some(1.0));
}

#[test]
fn flux_distortion_of_other_projections() {
    let at = |cards: Cards, degrees: f64| {
        Wcs::from_image(&cards)
            .unwrap()
            .flux_distortion(3003.6 + degrees / 1.112e-4, -959.2)
            .unwrap()
    };
    let r = 0.45f64.to_radians();
    // The row of the matrix above is not exactly 1.112e-4 long.
    let tan = (1.0 + r.tan().powi(2)) * r / r.atan();
    assert!((at(tangent(), 0.45) - tan).abs() < 1e-9);
    assert_eq!(at(tangent(), 0.0), 1.0);
    // A fifth-order term, and a linear one that is not 1.
    let quintic = wfcam().with("PV2_1", "2.0").with("PV2_3", "-80.0").with("PV2_5", "900.0");
    let (k3, k5) = (-40.0 * r * r, 450.0 * r.powi(4));
    let wanted = 1.0 / ((1.0 + 3.0 * k3 + 5.0 * k5) * (1.0 + k3 + k5));
    assert!((at(quintic, 0.45) - wanted).abs() < 1e-6);
    // For TPV the solid angle itself; pixels of a plain tangent plane shrink by cos^3.
    let plain_tpv = tangent().with("CTYPE1", "'RA---TPV'").with("CTYPE2", "'DEC--TPV'");
    assert!((at(plain_tpv, 0.45) - r.atan().cos().powi(3)).abs() < 1e-7);
    let physical = at(wfcam().with("A_ORDER", "2"), 0.45);
    assert!((physical - at(wfcam(), 0.45)).abs() < 1.5e-4, "{physical}"); // CASU's is a first-order form
}
