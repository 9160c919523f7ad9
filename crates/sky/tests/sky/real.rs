//! Headers from real instruments.

use std::collections::HashMap;

use sky::{Keywords, PixelSize, Wcs, angular_distance_deg};

use crate::cards::{Cards, header_text, headers_of};
use crate::headers::{apart_mas, sky_of};

fn size_of(cards: &Cards) -> PixelSize {
    let side = |n: u8| {
        cards
            .integer(&format!("ZNAXIS{n}"))
            .or_else(|| cards.integer(&format!("NAXIS{n}")))
            .unwrap()
    };
    PixelSize { width: side(1), height: side(2) }
}

#[test]
fn the_wfcam_cutout() {
    let Some(data) = testkit::real_data() else { return };
    let headers = headers_of(&data.join("casu_image/ukidss_wfcam_cutout.fits"));
    let cards = &headers[1];
    let wcs = Wcs::from_image(cards).unwrap();
    assert_eq!(wcs.projection(), "ZPN");
    let f = wcs.footprint(size_of(cards)).unwrap();
    // 2 x 2 interleaved: 0.2 arcsec; 60 arcsec wide; flipped to x going east.
    assert!((f.pixel_scale_x_arcsec - 0.2).abs() < 0.003, "{f:?}");
    assert!(
        (f.position_angle_deg - 90.0).abs() < 0.5 && f.position_angle_y_deg.abs() < 0.5,
        "{f:?}"
    );
    assert!((f.extent_arcmin - 0.71).abs() < 0.01, "{f:?}");
    assert_eq!(wcs.orientation(size_of(cards)).unwrap().name(), "flipx");
    // The cut-out contains the object for which it was requested: TaurusAuriga 12_28.
    assert!(
        (f.centre.ra_deg - 83.63).abs() < 0.1 && (f.centre.dec_deg - 22.01).abs() < 0.1,
        "{f:?}"
    );
    let factor = wcs.flux_distortion(150.5, 150.5).unwrap();
    assert!(factor > 1.005 && factor < 1.01, "{factor}");
}

#[test]
fn the_detectors_of_a_casu_stack() {
    let Some(data) = testkit::real_data() else { return };
    let images = headers_of(&data.join("casu_image/hawki_simA_stack.fits.fz"));
    let tables = headers_of(&data.join("casu_catalogue/hawki_simA_stack_cat.fits"));
    let mut detectors = Vec::new();
    for (image, table) in images[1..].iter().zip(&tables[1..]) {
        let wcs = Wcs::from_image(image).unwrap();
        let of_table = Wcs::from_table(table, 3, 5).unwrap();
        for (x, y) in [(1.0, 1.0), (400.0, 900.0), (983.0, 3.0)] {
            assert!(apart_mas(sky_of(&wcs, x, y), sky_of(&of_table, x, y)) < 1e-6);
        }
        assert_eq!(wcs.orientation(size_of(image)).unwrap().name(), "identity");
        let f = wcs.footprint(size_of(image)).unwrap();
        assert!((f.pixel_scale_x_arcsec - 0.1064).abs() < 1e-4, "{f:?}");
        assert!(angular_distance_deg(f.centre.ra_deg, f.centre.dec_deg, 201.7, -43.1) < 0.1);
        detectors.push((wcs, size_of(image)));
    }
    let detectors: Vec<_> =
        detectors.iter().map(|(wcs, image)| sky::Detector { wcs, image: *image }).collect();
    let layout = sky::Layout::of(&detectors, 0.1064).unwrap();
    assert!(layout.north_from_up_deg.abs() < 0.1);
    // From CRPIX: chip 1 lower left, 2 lower right, 3 upper left, 4 upper right; about 2200 pixels apart.
    let [a, b, c, d] = layout.placements[..] else { panic!("four detectors") };
    assert!((b.left - a.left - 2200.0).abs() < 30.0 && (d.left - c.left - 2200.0).abs() < 30.0);
    assert!((a.top - c.top - 2190.0).abs() < 30.0 && (b.top - d.top - 2190.0).abs() < 30.0);
}

#[test]
fn the_term_that_casu_leaves_in_its_image_keyword() {
    // In a catalogue of 2015 RA and DEC (single precision, radians) follow from X and Y to 0.06 arcsec only with
    // PV2_7, which has no table form there; without it corners are 5 arcsec off. Rows as in the file.
    let Some(data) = testkit::real_data() else { return };
    let path = data.join("casu_catalogue/zlp-condense__procIMAGE80220150514002449.cat");
    let cards = &headers_of(&path)[1];
    let columns: HashMap<String, usize> =
        (1..=80).map(|n| (cards.text(&format!("TTYPE{n}")).unwrap(), n - 1)).collect();
    let bytes = std::fs::read(&path).unwrap();
    let rows = cards.integer("NAXIS2").unwrap() as usize;
    let data_start = bytes.len() - (rows * 320).next_multiple_of(2880);
    let value = |row: usize, name: &str| {
        let at = data_start + row * 320 + columns[name] * 4;
        f64::from(f32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()))
    };
    let wcs = Wcs::from_table(cards, 3, 5).unwrap();
    let without = Wcs::from_table(&cards.clone().without("PV2_7"), 3, 5).unwrap();
    let (mut with_it, mut without_it) = (0.0f64, 0.0f64);
    for row in 0..rows {
        let (x, y) = (value(row, "X_coordinate"), value(row, "Y_coordinate"));
        let (ra, dec) = (value(row, "RA").to_degrees(), value(row, "DEC").to_degrees());
        let off = |wcs: &Wcs| {
            let p = sky_of(wcs, x, y);
            angular_distance_deg(p.ra_deg, p.dec_deg, ra, dec) * 3600.0
        };
        with_it = with_it.max(off(&wcs));
        without_it = without_it.max(off(&without));
    }
    assert!(with_it < 0.06, "{with_it} arcsec");
    assert!(without_it > 5.0, "{without_it} arcsec");
}

#[test]
fn headers_as_text() {
    let Some(data) = testkit::real_data() else { return };
    let cases = [
        ("astropy__tpvonly.hdr", Ok("TPV")),
        ("wcslib__TPV7.keyrec", Ok("TPV")),
        ("astropy__zpn-hole.hdr", Ok("ZPN")),
        ("perl-Astro-FITS-HdrTrans__wfcam.hdr", Ok("ZPN")),
        ("perl-Astro-FITS-HdrTrans__ufti.hdr", Err("wcs_not_celestial")), // Detector Columns
        ("astropy__nonstandard_units.hdr", Err("wcs_bad_unit")),          // DEC in m/s
        ("astropy__sub-segfault.hdr", Ok("SIN")),
        ("astropy__sip-broken.hdr", Ok("TAN-SIP")),
        ("sunpy__FGMG4_20110214_030443.7.header", Err("wcs_not_celestial")), // Solar-X
        ("wcslib__fitshdr.keyrec", Err("wcs_absent")),
    ];
    for (file, wanted) in cases {
        let cards = header_text(&data.join("header_text").join(file));
        let found = Wcs::from_image(&cards);
        let seen = found.as_ref().map(Wcs::projection).map_err(sky::WcsFault::code);
        assert_eq!(seen.as_deref(), wanted.as_ref().map(|w| &**w), "{file}: {found:?}");
    }
}

#[test]
fn a_hole_in_the_polynomial() {
    // PV2_0 = 0.1: nothing is nearer to the reference point than 0.1 radians.
    let Some(data) = testkit::real_data() else { return };
    let wcs =
        Wcs::from_image(&header_text(&data.join("header_text/astropy__zpn-hole.hdr"))).unwrap();
    assert_eq!(wcs.pixel_to_sky(100.0, 100.0), None);
    assert_eq!(wcs.pixel_to_sky(100.0, 180.0), None);
    let (x, y) = (10.0, 20.0);
    let (back_x, back_y) = wcs.sky_to_pixel(sky_of(&wcs, x, y)).unwrap();
    assert!((back_x - x).abs() < 1e-9 && (back_y - y).abs() < 1e-9);
}
