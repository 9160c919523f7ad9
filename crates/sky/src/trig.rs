//! Sine, cosine and arc tangent of angles in degrees, fast enough for every row of a night.
//!
//! Angles are passed and returned in degrees, so the reduction to a quarter turn is exact: 90, 180, 270 and 360 degrees
//! yield exact zeros and ones, and no rounding of pi enters before the last step. Errors stay below 1.5 ulp. There are
//! no function calls and no branches, so that loops over columns can be pipelined.
//! Polynomial coefficients: fdlibm (`k_sin`, `k_cos`, `s_atan`), Sun Microsystems 1993.

/// Constant that rounds to the nearest integer when added and subtracted (for magnitudes below 2^51).
const ROUNDER: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
const RAD_PER_DEG: f64 = std::f64::consts::PI / 180.0;
const DEG_PER_RAD: f64 = 180.0 / std::f64::consts::PI;

/// An angle split into quarter turns: `deg = 90 * (turns + fraction)` up to whole turns.
#[derive(Clone, Copy)]
pub(crate) struct Quarters {
    /// Whole quarter turns, 0 to 3.
    pub(crate) turns: u8,
    /// The remainder in quarter turns, from -0.5 to 0.5.
    pub(crate) fraction: f64,
    pub(crate) sin: f64,
    pub(crate) cos: f64,
}

/// Returns sine and cosine of an angle in degrees (|deg| below 1e15), with the quarter that contains it.
#[inline(always)]
pub(crate) fn quarters(deg: f64) -> Quarters {
    let shifted = deg * (1.0 / 90.0) + ROUNDER;
    let whole = shifted - ROUNDER;
    let turns = (shifted.to_bits() & 3) as u8;
    let rest_deg = deg - 90.0 * whole; // exact
    let (s, c) = sin_cos_small(rest_deg * RAD_PER_DEG);
    let (sin, cos) = if turns & 1 == 0 { (s, c) } else { (c, s) };
    Quarters {
        turns,
        fraction: rest_deg / 90.0,
        // Adding zero converts -0 to 0.
        sin: if turns & 2 == 0 { sin } else { -sin } + 0.0,
        cos: if (turns + 1) & 2 == 0 { cos } else { -cos } + 0.0,
    }
}

/// Returns sine and cosine of an angle in degrees.
#[inline(always)]
pub(crate) fn sin_cos_deg(deg: f64) -> (f64, f64) {
    let q = quarters(deg);
    (q.sin, q.cos)
}

/// Returns sine and cosine of an angle of at most pi/4 (in radians).
#[inline(always)]
pub(crate) fn sin_cos_small(x: f64) -> (f64, f64) {
    let z = x * x;
    let odd = -1.666_666_666_666_663_2e-1
        + z * (8.333_333_333_322_49e-3
            + z * (-1.984_126_982_985_795e-4
                + z * (2.755_731_370_707_006_8e-6
                    + z * (-2.505_076_025_340_686_3e-8 + z * 1.589_690_995_211_55e-10))));
    let sin = x + x * z * odd;
    let even = 4.166_666_666_666_66e-2
        + z * (-1.388_888_888_887_411e-3
            + z * (2.480_158_728_947_673e-5
                + z * (-2.755_731_435_139_066_3e-7
                    + z * (2.087_572_321_298_175e-9 + z * -1.135_964_755_778_819_5e-11))));
    let half = 0.5 * z;
    let near_one = 1.0 - half;
    (sin, near_one + (((1.0 - near_one) - half) + z * z * even))
}

/// Returns the arc tangent of `y / x` in degrees, from -180 to 180; 0 when both are 0.
#[inline(always)]
pub(crate) fn atan2_deg(y: f64, x: f64) -> f64 {
    let (ax, ay) = (x.abs(), y.abs());
    let steep = ay > ax;
    let (low, high) = if steep { (ax, ay) } else { (ay, ax) };
    // Beyond tan(22.5 deg) measure from the diagonal instead: |q| stays below 0.4143.
    let far = low > 0.414_213_562_373_095_03 * high;
    let (num, den, start) = if far { (low - high, low + high, 45.0) } else { (low, high, 0.0) };
    let q = num / if den == 0.0 { 1.0 } else { den };
    let acute = start + atan_small(q) * DEG_PER_RAD;
    let first_quadrant = if steep { 90.0 - acute } else { acute };
    let upper = if x.is_sign_negative() { 180.0 - first_quadrant } else { first_quadrant };
    upper.copysign(y)
}

/// Returns the arc tangent as [`atan2_deg`], from 0 up to but not including 360.
#[inline(always)]
pub(crate) fn atan2_deg_positive(y: f64, x: f64) -> f64 {
    let angle = atan2_deg(y, x);
    let positive = if angle < 0.0 { angle + 360.0 } else { angle + 0.0 };
    if positive >= 360.0 { 0.0 } else { positive }
}

/// Returns the arc tangent in radians for |q| below 7/16.
#[inline(always)]
fn atan_small(q: f64) -> f64 {
    let z = q * q;
    let w = z * z;
    let odd = z
        * (3.333_333_333_333_293e-1
            + w * (1.428_571_427_250_346_6e-1
                + w * (9.090_887_133_436_507e-2
                    + w * (6.661_073_137_387_531e-2
                        + w * (4.976_877_994_615_932_4e-2 + w * 1.628_582_011_536_578_2e-2)))));
    let even = w
        * (-1.999_999_999_987_648_3e-1
            + w * (-1.111_111_040_546_235_6e-1
                + w * (-7.691_876_205_044_83e-2
                    + w * (-5.833_570_133_790_573e-2 + w * -3.653_157_274_421_691_6e-2))));
    q - q * (odd + even)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarter_turns_are_exact() {
        let cases = [
            (0.0, 0.0, 1.0),
            (90.0, 1.0, 0.0),
            (180.0, 0.0, -1.0),
            (270.0, -1.0, 0.0),
            (360.0, 0.0, 1.0),
            (-90.0, -1.0, 0.0),
            (-180.0, 0.0, -1.0),
            (450.0, 1.0, 0.0),
        ];
        for (deg, sin, cos) in cases {
            let (s, c) = sin_cos_deg(deg);
            assert_eq!((s, c), (sin, cos), "{deg} degrees");
        }
    }

    #[test]
    fn sine_and_cosine_agree_with_std() {
        for i in -40_000..40_000 {
            let deg = f64::from(i) * 0.010_123_4;
            let (s, c) = sin_cos_deg(deg);
            // std computes with rounded radians: the comparison is restricted to angles for which that rounding does
            // not matter.
            let tolerance = 2.3e-16 * (1.0 + deg.abs() * RAD_PER_DEG);
            assert!((s - deg.to_radians().sin()).abs() <= tolerance, "sin {deg}");
            assert!((c - deg.to_radians().cos()).abs() <= tolerance, "cos {deg}");
        }
    }

    #[test]
    fn arc_tangent_agrees_with_std() {
        for i in 0..200_000 {
            let angle = f64::from(i) * 3.141_6e-5;
            let (y, x) = (angle.sin() * 1.7, angle.cos() * 1.7);
            let wanted = y.atan2(x).to_degrees();
            let found = atan2_deg(y, x);
            let tolerance = 4.0 * f64::EPSILON * wanted.abs();
            assert!((found - wanted).abs() <= tolerance, "{found} for {wanted}");
        }
    }

    #[test]
    fn arc_tangent_on_the_axes() {
        let cases = [
            (0.0, 1.0, 0.0),
            (1.0, 0.0, 90.0),
            (0.0, -1.0, 180.0),
            (-1.0, 0.0, -90.0),
            (1.0, 1.0, 45.0),
            (1.0, -1.0, 135.0),
            (0.0, 0.0, 0.0),
        ];
        for (y, x, wanted) in cases {
            assert_eq!(atan2_deg(y, x), wanted, "atan2({y}, {x})");
        }
        assert!(atan2_deg(f64::NAN, 1.0).is_nan());
        assert!(atan2_deg(1.0, f64::NAN).is_nan());
        assert_eq!(atan2_deg_positive(-1e-300, 1.0), 0.0);
        assert_eq!(atan2_deg_positive(-1.0, 0.0), 270.0);
    }
}
