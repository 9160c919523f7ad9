//! The radial polynomial of the ZPN projection: R = P0 + P1 zeta + P2 zeta^2 + ..., and back.

/// Highest power of the FITS standard, plus one.
pub(super) const COEFFICIENTS: usize = 30;

/// A polynomial that grows from zeta = 0 up to a limit.
#[derive(Clone, Debug)]
pub(super) struct Zpn {
    coefficients: [f64; COEFFICIENTS],
    degree: usize,
    /// Where the polynomial stops growing, at most pi; beyond, a radius would belong to two directions.
    zeta_max: f64,
    radius_max: f64,
}

impl Zpn {
    /// `None` when the polynomial does not grow at zeta = 0.
    pub(super) fn new(coefficients: [f64; COEFFICIENTS]) -> Option<Self> {
        let degree = coefficients.iter().rposition(|&c| c != 0.0)?;
        let mut zpn = Self { coefficients, degree, zeta_max: 0.0, radius_max: 0.0 };
        if coefficients[1].is_nan() || coefficients[1] <= 0.0 {
            return None;
        }
        zpn.zeta_max = zpn.end_of_growth();
        zpn.radius_max = zpn.value_and_slope(zpn.zeta_max).0;
        Some(zpn)
    }

    /// Coefficient of a power.
    pub(super) fn coefficient(&self, power: usize) -> f64 {
        self.coefficients[power]
    }

    /// First zero of the slope in (0, pi], found in steps of one degree as wcslib does; pi if there is none.
    fn end_of_growth(&self) -> f64 {
        if self.coefficients[2..].iter().all(|&c| c >= 0.0) {
            return std::f64::consts::PI;
        }
        let mut low = 0.0;
        for step in 1..=180 {
            let high = f64::from(step) * std::f64::consts::PI / 180.0;
            if self.value_and_slope(high).1 <= 0.0 {
                return self.zero_of_slope(low, high);
            }
            low = high;
        }
        std::f64::consts::PI
    }

    /// The largest zeta known to have a positive slope, by halving (the slope is positive at `low`).
    fn zero_of_slope(&self, mut low: f64, mut high: f64) -> f64 {
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if self.value_and_slope(middle).1 > 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    #[inline(always)]
    fn value_and_slope(&self, zeta: f64) -> (f64, f64) {
        let (mut value, mut slope) = (0.0, 0.0);
        for &c in self.coefficients[..=self.degree.min(COEFFICIENTS - 1)].iter().rev() {
            slope = slope * zeta + value;
            value = value * zeta + c;
        }
        (value, slope)
    }

    /// Radius in the plane at an angle from the pole (radians both); `None` beyond the growing part.
    #[inline(always)]
    pub(super) fn radius(&self, zeta: f64) -> Option<f64> {
        (zeta <= self.zeta_max).then(|| self.value_and_slope(zeta).0)
    }

    /// Angle from the pole at a radius; `None` beyond the growing part.
    ///
    /// Newton's iteration inside a shrinking bracket: the result is exact to rounding also next to the limit,
    /// where the slope vanishes.
    #[inline(always)]
    pub(super) fn zeta(&self, radius: f64) -> Option<f64> {
        let c = &self.coefficients;
        if !(radius >= c[0] && radius <= self.radius_max) {
            return None;
        }
        let linear = (radius - c[0]) / c[1];
        // The inverse series to third order: the first step of Newton then starts at parts in a million.
        let (second, third) = (c[2] / c[1], c[3] / c[1]);
        let mut zeta =
            linear * (1.0 + linear * (linear * (2.0 * second * second - third) - second));
        let (mut low, mut high) = (0.0, self.zeta_max);
        if !(zeta > low && zeta < high) {
            zeta = linear.min(high);
        }
        for _ in 0..100 {
            let (value, slope) = self.value_and_slope(zeta);
            let excess = value - radius;
            if excess > 0.0 {
                high = zeta;
            } else {
                low = zeta;
            }
            let step = excess / slope;
            let mut next = zeta - step;
            if !(next >= low && next <= high) {
                next = 0.5 * (low + high);
            }
            let moved = (next - zeta).abs();
            zeta = next;
            if moved <= 2e-16 * zeta || moved == 0.0 {
                break;
            }
            // Quadratic convergence: after a step this small the error is below rounding, unless the slope
            // is about to vanish.
            if moved <= 1e-9 * zeta && slope > 0.1 * c[1] {
                break;
            }
        }
        Some(zeta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(terms: &[(usize, f64)]) -> Option<Zpn> {
        let mut c = [0.0; COEFFICIENTS];
        for &(power, value) in terms {
            c[power] = value;
        }
        Zpn::new(c)
    }

    #[test]
    fn radius_and_angle_are_inverse() {
        let cases: [&[(usize, f64)]; 7] = [
            &[(1, 1.0)],
            &[(1, 1.0), (3, -60.0)],
            &[(1, 1.0), (3, 400.0)],
            &[(1, 1.0), (3, 42.0), (5, -10_000.0)],
            &[
                (1, 1.0),
                (3, 9.065_868_253_786_455),
                (5, -665.723_698_648_861_2),
                (7, 554_741.158_322_286_6),
            ],
            &[(0, 0.1), (1, 0.975), (2, -0.807_5), (3, 0.337), (4, -0.065), (5, 0.01)],
            &[(1, 0.9), (2, 0.2)],
        ];
        for terms in cases {
            let zpn = with(terms).unwrap();
            for i in 0..=1000 {
                let zeta = zpn.zeta_max * f64::from(i) / 1000.0;
                let radius = zpn.radius(zeta).unwrap();
                let back = zpn.zeta(radius.min(zpn.radius_max)).unwrap();
                // Where the slope vanishes a rounding of the radius moves the angle by its square root.
                let slope = zpn.value_and_slope(zeta).1.max(1e-8 * zpn.coefficient(1));
                let terms: f64 = (0..=zpn.degree)
                    .map(|k| (zpn.coefficients[k] * zeta.powi(k as i32)).abs())
                    .sum();
                let rounding = 4e-16 * (terms / slope + zeta);
                assert!((back - zeta).abs() <= rounding, "{terms:?} {zeta} {back}");
            }
        }
    }

    #[test]
    fn the_growing_part_ends_where_the_slope_vanishes() {
        let wfcam = with(&[(1, 1.0), (3, -60.0)]).unwrap();
        let limit = (1.0f64 / 180.0).sqrt();
        assert!((wfcam.zeta_max - limit).abs() < 1e-15);
        assert_eq!(wfcam.zeta(wfcam.radius_max * 1.000_001), None);
        assert_eq!(wfcam.radius(limit * 1.000_001), None);
        assert!(wfcam.zeta(wfcam.radius_max).is_some());
        assert_eq!(wfcam.zeta(f64::NAN), None);
        assert_eq!(wfcam.zeta(-1e-9), None);
        assert_eq!(with(&[(1, 1.0), (3, 5.0)]).unwrap().zeta_max, std::f64::consts::PI);
    }

    #[test]
    fn polynomials_without_inverse_are_refused() {
        assert!(with(&[]).is_none());
        assert!(with(&[(3, -50.0)]).is_none());
        assert!(with(&[(1, -1.0)]).is_none());
        assert!(with(&[(0, 1.0)]).is_none());
        assert!(with(&[(1, f64::NAN)]).is_none());
    }
}
