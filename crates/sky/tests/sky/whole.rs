//! Projections that hold the whole sky or much of it, far from their reference points, beside wcslib.

use crate::cards::Cards;
use crate::foreign::{ask, pairs};
use crate::points::Random;
use sky::{SkyPosition, Wcs, angular_distance_deg};

const POINTS: usize = 400;
/// Pixels are degrees.
const TOLERANCE_PX: f64 = 1e-9;
/// wcslib computes CSC in single precision, which holds the 300 degrees of the farthest face to 2e-5.
const TOLERANCE_CSC_PX: f64 = 3e-5;

fn header(code: &str, parameters: &[(&str, f64)]) -> Cards {
    let mut cards = Cards::from_lines([
        "NAXIS1 = 360",
        "NAXIS2 = 180",
        "CRPIX1 = 180.0",
        "CRPIX2 = 90.0",
        "CRVAL1 = 77.0",
        "CRVAL2 = 0.0",
        "CDELT1 = -1.0",
        "CDELT2 = 1.0",
        "RADESYS = 'ICRS'",
    ]);
    cards = cards.with("CTYPE1", &format!("'RA---{code}'"));
    cards = cards.with("CTYPE2", &format!("'DEC--{code}'"));
    for (keyword, value) in parameters {
        cards = cards.with(keyword, &format!("{value:?}"));
    }
    cards
}

fn headers() -> Vec<(&'static str, Cards)> {
    let of = |code, parameters: &[(&str, f64)]| (code, header(code, parameters));
    vec![
        of("AZP", &[("PV2_1", 2.0), ("PV2_2", 30.0), ("CRVAL2", 40.0)]),
        of("AZP", &[("PV2_1", 0.5), ("PV2_2", -20.0)]),
        of("AZP", &[("CRVAL2", -70.0)]),
        of("SZP", &[("PV2_1", 2.0), ("PV2_2", 180.0), ("PV2_3", 60.0), ("CRVAL2", 40.0)]),
        of("SZP", &[]),
        of("AIR", &[("PV2_1", 45.0), ("CRVAL2", 80.0)]),
        of("AIR", &[]),
        of("BON", &[("PV2_1", 45.0)]),
        of("BON", &[("PV2_1", -30.0), ("LONPOLE", 40.0)]),
        of("BON", &[("PV2_1", 0.0)]),
        of("TSC", &[]),
        of("TSC", &[("LONPOLE", 40.0), ("CRVAL2", 30.0)]),
        of("QSC", &[]),
        of("QSC", &[("LONPOLE", 40.0), ("CRVAL2", 30.0)]),
        of("CSC", &[]),
        of("CSC", &[("LONPOLE", 40.0), ("CRVAL2", 30.0)]),
        of("PCO", &[]),
        of("PCO", &[("LONPOLE", 40.0), ("CRVAL2", 30.0)]),
        of("HPX", &[]),
        of("HPX", &[("PV2_1", 6.0), ("PV2_2", 3.0), ("CRVAL2", -20.0)]),
        of("HPX", &[("PV2_1", 4.0), ("PV2_2", 4.0)]),
        of("XPH", &[("CRVAL2", 90.0)]),
        of("XPH", &[("LONPOLE", 40.0), ("CRVAL2", 30.0)]),
        of("AIT", &[]),
        of("MOL", &[]),
        of("CAR", &[("CRVAL2", 10.0)]),
        of("COE", &[("PV2_1", 45.0), ("PV2_2", 15.0), ("CRVAL2", 45.0)]),
    ]
}

#[test]
fn foreign_whole_sky_agrees() {
    let mut random = Random::new(23);
    let places: Vec<SkyPosition> = (0..POINTS)
        .map(|_| {
            let dec = random.between(-1.0, 1.0).asin().to_degrees();
            SkyPosition { ra_deg: random.between(0.0, 360.0), dec_deg: dec }
        })
        .collect();
    let headers = headers();
    let (mut question, mut ours) = (String::new(), Vec::new());
    for (_, cards) in &headers {
        let wcs = Wcs::from_image(cards).unwrap();
        let pixels: Vec<_> = places.iter().map(|place| wcs.sky_to_pixel(*place)).collect();
        question += "HEADER\n";
        cards.as_cards().iter().for_each(|card| question += &format!("{card}\n"));
        question += "END\n";
        for (x, y) in pixels.iter().flatten() {
            question += &format!("P {x:?} {y:?}\n");
        }
        for place in &places {
            question += &format!("S {:?} {:?}\n", place.ra_deg, place.dec_deg);
        }
        ours.push((wcs, pixels));
    }
    let Some(answer) = ask("foreign_whole_sky_agrees", "wcs", question.as_bytes()) else { return };
    let mut answers = pairs(&answer).into_iter();
    let mut wrong = Vec::new();
    for ((code, cards), (wcs, pixels)) in headers.iter().zip(&ours) {
        let tolerance = if *code == "CSC" { TOLERANCE_CSC_PX } else { TOLERANCE_PX };
        for (x, y) in pixels.iter().flatten() {
            let (ra, dec) = answers.next().unwrap();
            let back = wcs.pixel_to_sky(*x, *y);
            let apart = back.map(|back| angular_distance_deg(back.ra_deg, back.dec_deg, ra, dec));
            if apart.is_none_or(|deg| deg.is_nan() || deg > tolerance) {
                wrong.push(format!("{code} at {x} {y}: {back:?}, wcslib {ra} {dec}"));
            }
        }
        for (place, pixel) in places.iter().zip(pixels) {
            let (x, y) = answers.next().unwrap();
            let theirs = (x.is_finite() && y.is_finite()).then_some((x, y));
            let same = match (pixel, theirs) {
                (Some(ours), Some((x, y))) => (ours.0 - x).hypot(ours.1 - y) <= tolerance,
                (None, None) => true,
                // wcslib ends some degrees before the limb, where lines of sight touch the sphere. Its way back has the
                // same directions for these pixels.
                (Some(_), None) => *code == "SZP",
                _ => false,
            };
            if !same {
                wrong.push(format!("{code} of {place:?}: {pixel:?}, wcslib {theirs:?}"));
            }
        }
        let known = pixels.iter().flatten().count();
        println!("{code}: {known} of {POINTS}");
        assert!(known > POINTS / 5, "{code} {cards:?}");
    }
    assert!(answers.next().is_none());
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}
