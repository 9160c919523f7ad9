//! Footprints: bounds, poles, RA 0, cones.

use sky::{Footprint, PixelSize, RaSpan, SkyPosition, UnitVector, Wcs, angular_distance_deg};

use crate::cards::Cards;
use crate::headers::{sky_of, tangent, tpv, wfcam};
use crate::points::Random;

pub const DETECTOR: PixelSize = PixelSize { width: 2048, height: 2048 };

/// A detector whose centre is near the given place, in the middle of its own field.
pub fn centred(header: Cards, ra: &str, dec: &str) -> Wcs {
    let cards = header
        .with("CRVAL1", ra)
        .with("CRVAL2", dec)
        .with("CRPIX1", "1024.5")
        .with("CRPIX2", "1024.5");
    Wcs::from_image(&cards).unwrap()
}

fn every_place() -> Vec<(Wcs, Footprint)> {
    let places = [
        ("165.5", "19.5"),
        ("0.0", "0.0"),
        ("359.95", "-30.0"),
        ("0.05", "60.0"),
        ("12.0", "90.0"),
        ("77.0", "-90.0"),
        ("200.0", "89.95"),
        ("300.0", "-89.8"),
        ("10.0", "88.0"),
    ];
    let mut all = Vec::new();
    for header in [wfcam(), tangent(), tpv()] {
        for (ra, dec) in places {
            let off_axis = header.clone().with("CRVAL1", ra).with("CRVAL2", dec);
            for wcs in [Wcs::from_image(&off_axis).unwrap(), centred(header.clone(), ra, dec)] {
                let footprint = wcs.footprint(DETECTOR).unwrap();
                all.push((wcs, footprint));
            }
        }
    }
    all
}

#[test]
fn numbers_of_a_wfcam_detector() {
    let wcs = Wcs::from_image(&wfcam()).unwrap();
    let f = wcs.footprint(DETECTOR).unwrap();
    assert_eq!(f.centre, sky_of(&wcs, 1024.5, 1024.5));
    for (corner, (x, y)) in
        f.corners.iter().zip([(0.5, 0.5), (2048.5, 0.5), (2048.5, 2048.5), (0.5, 2048.5)])
    {
        let wanted = sky_of(&wcs, x, y);
        assert!(
            angular_distance_deg(corner.ra_deg, corner.dec_deg, wanted.ra_deg, wanted.dec_deg)
                < 1e-12
        );
    }
    // 0.4 arcsec; larger off axis, where R grows more slowly than the angle.
    assert!((f.pixel_scale_x_arcsec - 0.4023).abs() < 0.003, "{f:?}");
    assert!((f.pixel_scale_y_arcsec - 0.4023).abs() < 0.003, "{f:?}");
    // CD2_1 > 0: x goes north. CD1_2 < 0: y goes west.
    assert!(f.position_angle_deg.abs() < 1.0, "{f:?}");
    assert!((f.position_angle_y_deg + 90.0).abs() < 1.0, "{f:?}");
    let far = f
        .corners
        .map(|c| angular_distance_deg(f.centre.ra_deg, f.centre.dec_deg, c.ra_deg, c.dec_deg));
    let extent = far.into_iter().fold(0.0, f64::max) * 60.0;
    assert!((f.extent_arcmin - extent).abs() < 1e-9);
    assert_eq!(f.ra_span, RaSpan::Plain);
    // Distorted edges leave the great circles by a part of a second of arc.
    assert!(f.polygon.padding_deg * 3600.0 < 1.0, "{}", f.polygon.padding_deg);
}

#[test]
fn position_angles_of_the_usual_image() {
    // North up, east left.
    let cards = tangent()
        .with("CD1_1", "-1E-4")
        .with("CD1_2", "0.0")
        .with("CD2_1", "0.0")
        .with("CD2_2", "1E-4");
    let f = centred(cards.clone(), "50.0", "30.0").footprint(DETECTOR).unwrap();
    assert!(
        (f.position_angle_deg + 90.0).abs() < 1e-7 && f.position_angle_y_deg.abs() < 1e-7,
        "{f:?}"
    );
    // Mirrored: x goes east.
    let f = centred(cards.with("CD1_1", "1E-4"), "50.0", "30.0").footprint(DETECTOR).unwrap();
    assert!(
        (f.position_angle_deg - 90.0).abs() < 1e-7 && f.position_angle_y_deg.abs() < 1e-7,
        "{f:?}"
    );
}

#[test]
fn bounds_hold_every_pixel_and_no_more() {
    for (wcs, f) in every_place() {
        let mut random = Random::new(31);
        let mut seen_dec = (f64::INFINITY, f64::NEG_INFINITY);
        let mut points: Vec<(f64, f64)> =
            (0..2000).map(|_| (random.between(0.5, 2048.5), random.between(0.5, 2048.5))).collect();
        for i in 0..=2000 {
            let along = 0.5 + 2048.0 * f64::from(i) / 2000.0;
            points.extend([(along, 0.5), (along, 2048.5), (0.5, along), (2048.5, along)]);
        }
        let (axis, radius_deg) = f.bounding_cap();
        for (x, y) in points {
            let p = sky_of(&wcs, x, y);
            seen_dec = (seen_dec.0.min(p.dec_deg), seen_dec.1.max(p.dec_deg));
            let v = p.unit_vector();
            assert!(f.polygon.contains(v), "{p:?} in {f:?}");
            assert!(axis.distance_deg(v) <= radius_deg, "{p:?} in {f:?}");
            // The extremes are sought to parts of a milli-arcsecond.
            let grown = Footprint {
                min_ra_deg: f.min_ra_deg - 1e-7 / p.dec_deg.to_radians().cos().max(1e-3),
                max_ra_deg: f.max_ra_deg + 1e-7 / p.dec_deg.to_radians().cos().max(1e-3),
                min_dec_deg: f.min_dec_deg - 1e-7,
                max_dec_deg: f.max_dec_deg + 1e-7,
                ..f.clone()
            };
            assert!(grown.box_contains(p), "{p:?} in {f:?}");
        }
        let at_pole = f.max_dec_deg == 90.0 || f.min_dec_deg == -90.0;
        if !at_pole {
            assert!(
                seen_dec.0 - f.min_dec_deg < 1e-6 && f.max_dec_deg - seen_dec.1 < 1e-6,
                "{f:?}"
            );
        }
        assert_eq!(at_pole, f.ra_span == RaSpan::AroundPole, "{f:?}");
    }
}

#[test]
fn right_ascension_zero_and_poles() {
    let span = |ra: &str, dec: &str| {
        let f = centred(tangent(), ra, dec).footprint(DETECTOR).unwrap();
        (f.ra_span, f.min_ra_deg, f.max_ra_deg)
    };
    let (kind, west, east) = span("0.0", "10.0");
    assert_eq!(kind, RaSpan::AcrossZero);
    assert!((west - 359.884).abs() < 2e-3 && (east - 0.116).abs() < 2e-3, "{west} {east}");
    assert_eq!(span("123.0", "90.0"), (RaSpan::AroundPole, 0.0, 360.0));
    assert_eq!(span("123.0", "-89.95"), (RaSpan::AroundPole, 0.0, 360.0));
    // The pole just outside: nearly half the right ascensions, but not around.
    let (kind, west, east) = span("90.0", "89.88");
    assert_eq!(kind, RaSpan::Plain);
    assert!(west > 0.0 && west < 20.0 && east < 180.0 && east > 160.0, "{west} {east}");
    let f = centred(tangent(), "0.0", "10.0").footprint(DETECTOR).unwrap();
    let inside = |ra_deg| f.box_contains(SkyPosition { ra_deg, dec_deg: 10.0 });
    assert_eq!([359.95, 0.05, 180.0, 0.2, 359.8].map(inside), [true, true, false, false, false]);
}

#[test]
fn outlines_run_counter_clockwise_as_seen() {
    for (wcs, f) in every_place() {
        let text = f.stc_s();
        let numbers: Vec<f64> = text
            .strip_prefix("Polygon ICRS ")
            .unwrap()
            .split(' ')
            .map(|n| n.parse().unwrap())
            .collect();
        assert_eq!(numbers.len(), 8);
        // On the plane at the centre, with east to the left, the area is positive.
        let plane = wcs.footprint(DETECTOR).unwrap().centre.unit_vector();
        let corner = |i: usize| sky::unit_vector(numbers[2 * i % 8], numbers[2 * i % 8 + 1]);
        let cross = |a: UnitVector, b: UnitVector| {
            (a.y * b.z - a.z * b.y) * plane.x
                + (a.z * b.x - a.x * b.z) * plane.y
                + (a.x * b.y - a.y * b.x) * plane.z
        };
        let area: f64 = (0..4).map(|i| cross(corner(i), corner(i + 1))).sum();
        assert!(area < 0.0, "from outside it is clockwise: {text}");
    }
}

#[test]
fn cones_that_touch_are_found() {
    let mut random = Random::new(37);
    for (wcs, f) in every_place().into_iter().step_by(4) {
        let border: Vec<UnitVector> = (0..4000)
            .map(|i| {
                let (side, along) = (i / 1000, 0.5 + 2.048 * f64::from(i % 1000));
                let (x, y) =
                    [(along, 0.5), (2048.5, along), (along, 2048.5), (0.5, along)][side as usize];
                wcs.pixel_to_vector(x, y).unwrap()
            })
            .collect();
        let (mut near, mut far) = (0, 0);
        for _ in 0..300 {
            let (x, y) = (random.between(-2000.0, 4000.0), random.between(-2000.0, 4000.0));
            let Some(axis) = wcs.pixel_to_vector(x, y) else { continue };
            let inside = (0.5..=2048.5).contains(&x) && (0.5..=2048.5).contains(&y);
            let distance = border.iter().map(|b| b.distance_deg(axis)).fold(f64::MAX, f64::min);
            let distance = if inside { 0.0 } else { distance };
            let radius = random.between(0.0, 0.1);
            if distance <= radius {
                near += 1;
                assert!(f.polygon.touches_cone(axis, radius), "{distance} {radius} in {f:?}");
            }
            // Not much too many: two paddings and the spacing of the border points.
            if distance > radius + 2.0 * f.polygon.padding_deg + 2e-4 {
                far += 1;
                assert!(!f.polygon.touches_cone(axis, radius), "{distance} {radius} in {f:?}");
            }
        }
        assert!(near > 30 && far > 30, "{near} {far}");
        let opposite = UnitVector { x: -border[0].x, y: -border[0].y, z: -border[0].z };
        assert!(!f.polygon.touches_cone(opposite, 100.0));
        assert!(f.polygon.touches_cone(opposite, 180.0));
    }
}

#[test]
fn what_covers_no_sky() {
    let wcs = Wcs::from_image(&wfcam()).unwrap();
    let code = |width, height| wcs.footprint(PixelSize { width, height }).unwrap_err().code();
    assert_eq!(code(0, 2048), "wcs_empty_image");
    assert_eq!(code(2048, 0), "wcs_empty_image");
    assert_eq!(code(60_000, 60_000), "wcs_off_sky");
    assert_eq!(code(1_000_000_000_000, 1), "wcs_off_sky");
}
