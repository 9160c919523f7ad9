//! HEALPix pixel numbers in the nested scheme (Gorski et al. 2005), up to order 29.
//!
//! Numbers of order 29 (pixels of 0.4 milli-arcseconds) fit 62 bits and order positions along a curve, so a
//! range of them is a region: the pixel `p` of order `k` holds the numbers [`range29`]`(k, p)`.

use crate::position::SkyPosition;
use crate::trig::{Quarters, atan2_deg, quarters};

/// The finest order, and that of the archive's `healpix29` column.
pub const MAX_ORDER: u8 = 29;

/// Returns the pixel number of a position at order 29; `None` unless the declination is in -90..=90 and both are
/// finite.
pub fn nested29(ra_deg: f64, dec_deg: f64) -> Option<u64> {
    nested(MAX_ORDER, ra_deg, dec_deg)
}

/// Returns the pixel number of a position at an order of at most 29; `None` for a higher order or without a position.
pub fn nested(order: u8, ra_deg: f64, dec_deg: f64) -> Option<u64> {
    let position = SkyPosition::new(ra_deg, dec_deg)?;
    if order > MAX_ORDER {
        return None;
    }
    let ra = quarters(position.ra_deg);
    let dec = quarters(position.dec_deg);
    Some(from_parts(order, ra, dec.sin, dec.cos))
}

/// Returns the order-29 numbers inside pixel `pixel` of order `order`, as a half-open range.
pub fn range29(order: u8, pixel: u64) -> Option<std::ops::Range<u64>> {
    let shift = 2 * u32::from(MAX_ORDER.checked_sub(order)?);
    (pixel < count(order)).then(|| pixel << shift..(pixel + 1) << shift)
}

/// Returns the number of pixels of an order.
fn count(order: u8) -> u64 {
    12 << (2 * u32::from(order))
}

/// Returns the centre of a pixel; `None` when the order or pixel does not exist.
pub fn centre(order: u8, pixel: u64) -> Option<SkyPosition> {
    if order > MAX_ORDER || pixel >= count(order) {
        return None;
    }
    let side = 1i64 << order;
    let face = (pixel >> (2 * order)) as i64;
    let inside = pixel & ((side * side) as u64 - 1);
    let (x, y) = (gather(inside) as i64, gather(inside >> 1) as i64);
    // Rows count from the north pole, 1 to 4 side - 1; columns in units of half pixels.
    let row = (face / 4 + 2) * side - x - y - 1;
    let equatorial = 2 * (face % 4) + i64::from(face / 4 != 1);
    let (pixels_in_quarter, z, rho) = if row < side {
        polar(row, side)
    } else if row > 3 * side {
        let (n, z, rho) = polar(4 * side - row, side);
        (n, -z, rho)
    } else {
        let z = (2 * side - row) as f64 * 2.0 / (3 * side) as f64;
        (side, z, (1.0 - z * z).sqrt())
    };
    let halves = (equatorial * pixels_in_quarter + x - y).rem_euclid(8 * pixels_in_quarter);
    SkyPosition::new(45.0 * (halves as f64 / pixels_in_quarter as f64), atan2_deg(z, rho))
}

/// Returns the pixels per quarter turn, sin(dec) and cos(dec) of a row near the north pole.
fn polar(row: i64, side: i64) -> (i64, f64, f64) {
    let part = row as f64 / side as f64;
    let low = part * part / 3.0; // 1 - z
    (row, 1.0 - low, (low * (2.0 - low)).sqrt())
}

/// Returns the pixel number from the right ascension in quarter turns and the sine and cosine of the declination.
#[inline(always)]
pub(crate) fn from_parts(order: u8, ra: Quarters, z: f64, rho: f64) -> u64 {
    let side = 1i64 << order;
    let scale = side as f64;
    let turns = if ra.fraction < 0.0 { ra.turns.wrapping_sub(1) & 3 } else { ra.turns };
    let along = if ra.fraction < 0.0 { ra.fraction + 1.0 } else { ra.fraction };
    let (face, x, y) = if z.abs() <= 2.0 / 3.0 {
        let rising = scale * (0.5 + along);
        let height = scale * (0.75 * z);
        let (down, up) = ((rising - height) as i64, (rising + height) as i64);
        let (column_down, column_up) = (down >> order, up >> order);
        let turns = i64::from(turns);
        let face = if column_down == column_up {
            4 + ((turns + column_down) & 3)
        } else if column_down < column_up {
            (turns + column_down) & 3
        } else {
            8 + ((turns + column_up) & 3)
        };
        (face, up & (side - 1), side - 1 - (down & (side - 1)))
    } else {
        // The product scale * sqrt(3 (1 - |z|)), written so that the pole is as accurate as other positions.
        let reach = scale * rho * (3.0 / (1.0 + z.abs())).sqrt();
        let down = ((along * reach) as i64).min(side - 1);
        let up = (((1.0 - along) * reach) as i64).min(side - 1);
        if z > 0.0 {
            (i64::from(turns), side - 1 - up, side - 1 - down)
        } else {
            (i64::from(turns) + 8, down, up)
        }
    };
    (face as u64) << (2 * order) | scatter(x as u64) | scatter(y as u64) << 1
}

/// Moves the bits of a 32-bit number to the even positions.
#[inline(always)]
fn scatter(v: u64) -> u64 {
    let v = (v | v << 16) & 0x0000_ffff_0000_ffff;
    let v = (v | v << 8) & 0x00ff_00ff_00ff_00ff;
    let v = (v | v << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let v = (v | v << 2) & 0x3333_3333_3333_3333;
    (v | v << 1) & 0x5555_5555_5555_5555
}

/// Collects the bits at the even positions into a 32-bit number.
fn gather(v: u64) -> u64 {
    let v = v & 0x5555_5555_5555_5555;
    let v = (v | v >> 1) & 0x3333_3333_3333_3333;
    let v = (v | v >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    let v = (v | v >> 4) & 0x00ff_00ff_00ff_00ff;
    let v = (v | v >> 8) & 0x0000_ffff_0000_ffff;
    (v | v >> 16) & 0x0000_0000_ffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_pixels() {
        let cases = [
            ((45.0, 60.0), 0),
            ((135.0, 60.0), 1),
            ((225.0, 60.0), 2),
            ((315.0, 60.0), 3),
            ((0.0, 0.0), 4),
            ((90.0, 0.0), 5),
            ((180.0, 0.0), 6),
            ((270.0, 0.0), 7),
            ((359.9, 0.0), 4),
            ((45.0, -60.0), 8),
            ((315.0, -60.0), 11),
            ((10.0, 90.0), 0),
            ((100.0, -90.0), 9),
        ];
        for ((ra, dec), face) in cases {
            assert_eq!(nested(0, ra, dec), Some(face), "({ra}, {dec})");
        }
    }

    #[test]
    fn bits_are_scattered_and_gathered() {
        for v in [0, 1, 2, 0x1234_5678, 0x1fff_ffff, 0xffff_ffff] {
            assert_eq!(gather(scatter(v)), v);
            assert_eq!(gather(scatter(v) << 1), 0);
        }
    }

    #[test]
    fn no_position_has_no_pixel() {
        for (ra, dec) in [(f64::NAN, 0.0), (0.0, f64::NAN), (0.0, 90.1), (f64::INFINITY, 0.0)] {
            assert_eq!(nested29(ra, dec), None);
        }
        assert_eq!(nested(30, 0.0, 0.0), None);
        assert_eq!(centre(30, 0), None);
        assert_eq!(centre(1, 48), None);
        assert_eq!(range29(0, 12), None);
        assert_eq!(range29(30, 0), None);
    }

    #[test]
    fn every_centre_has_its_number() {
        for order in 0..7 {
            for pixel in 0..count(order) {
                let at = centre(order, pixel).unwrap();
                assert_eq!(nested(order, at.ra_deg, at.dec_deg), Some(pixel), "{order} {at:?}");
            }
        }
    }

    #[test]
    fn orders_nest_and_ranges_hold_them() {
        let mut state = 1u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let ra = (state >> 40) as f64 * (360.0 / 16_777_216.0);
            let dec = (state >> 16 & 0xff_ffff) as f64 * (180.0 / 16_777_215.0) - 90.0;
            let finest = nested29(ra, dec).unwrap();
            for order in 0..29 {
                let coarse = nested(order, ra, dec).unwrap();
                assert_eq!(coarse, finest >> (2 * (29 - order)), "order {order} of ({ra}, {dec})");
                assert!(range29(order, coarse).unwrap().contains(&finest));
            }
            let at = centre(29, finest).unwrap();
            let apart = crate::angular_distance_deg(ra, dec, at.ra_deg, at.dec_deg);
            assert!(apart * 3600.0 < 0.000_5, "{apart} at ({ra}, {dec})");
        }
    }
}
