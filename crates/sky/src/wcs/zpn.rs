//! The radial polynomial of the ZPN projection: R = P0 + P1 zeta + P2 zeta^2 + ..., and its inverse.

/// Highest power of the FITS standard, plus one.
pub(super) const COEFFICIENTS: usize = 30;

/// A polynomial that grows from zeta = 0 up to a limit.
#[derive(Clone, Debug)]
pub(super) struct Zpn {
    coefficients: [f64; COEFFICIENTS],
    degree: usize,
    /// Angle at which the polynomial stops growing, at most pi; beyond, a radius would belong to two directions.
    zeta_max: f64,
    radius_max: f64,
}

impl Zpn {
    /// Makes the polynomial; `None` when it does not grow at zeta = 0.
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

    /// Returns the coefficient of a power.
    pub(super) fn coefficient(&self, power: usize) -> f64 {
        self.coefficients[power]
    }

    /// Returns the first zero of the slope in (0, pi], searched in steps of one degree as in wcslib; pi if there is
    /// none.
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

    /// Returns the largest zeta known to have a positive slope, by bisection (the slope is positive at `low`).
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
        let ([value], [slope]) = self.values_and_slopes([zeta]);
        (value, slope)
    }

    #[inline(always)]
    fn values_and_slopes<const N: usize>(&self, zeta: [f64; N]) -> ([f64; N], [f64; N]) {
        let (mut value, mut slope) = ([0.0; N], [0.0; N]);
        for &c in self.coefficients[..=self.degree.min(COEFFICIENTS - 1)].iter().rev() {
            for i in 0..N {
                slope[i] = slope[i] * zeta[i] + value[i];
                value[i] = value[i] * zeta[i] + c;
            }
        }
        (value, slope)
    }

    /// Returns the radius in the plane at an angle from the pole (radians both); `None` beyond the growing part.
    #[inline(always)]
    pub(super) fn radius(&self, zeta: f64) -> Option<f64> {
        (zeta <= self.zeta_max).then(|| self.value_and_slope(zeta).0)
    }

    /// Returns the angles from the pole at some radii; NaN beyond the growing part.
    ///
    /// Newton's iteration inside a shrinking bracket is exact to rounding also next to the limit, where the slope
    /// vanishes. The radii are computed in parallel, since each step waits for a division.
    #[inline(always)]
    pub(super) fn zetas<const N: usize>(&self, radius: [f64; N]) -> [f64; N] {
        let c = &self.coefficients;
        // The inverse series to third order, so that Newton's first step starts at an error of parts in a million.
        let (second, third) = (c[2] / c[1], c[3] / c[1]);
        let (mut zeta, mut running) = ([f64::NAN; N], [false; N]);
        let (mut low, mut high) = ([0.0; N], [self.zeta_max; N]);
        for i in 0..N {
            let linear = (radius[i] - c[0]) / c[1];
            let start =
                linear * (1.0 + linear * (linear * (2.0 * second * second - third) - second));
            let is_within = start > low[i] && start < high[i];
            running[i] = radius[i] >= c[0] && radius[i] <= self.radius_max;
            if running[i] {
                zeta[i] = if is_within { start } else { linear.min(high[i]) };
            }
        }
        for _ in 0..100 {
            let (value, slope) = self.values_and_slopes(zeta);
            for i in 0..N {
                let excess = value[i] - radius[i];
                let is_beyond = excess > 0.0;
                high[i] = if is_beyond { zeta[i] } else { high[i] };
                low[i] = if is_beyond { low[i] } else { zeta[i] };
                let newton = zeta[i] - excess / slope[i];
                let is_within = newton >= low[i] && newton <= high[i];
                let next = if is_within { newton } else { 0.5 * (low[i] + high[i]) };
                let moved = (next - zeta[i]).abs();
                zeta[i] = if running[i] { next } else { zeta[i] };
                // Quadratic convergence: after a step below 1e-9 the error is below rounding, unless the slope
                // is about to vanish.
                let is_done = moved <= 2e-16 * next
                    || moved == 0.0
                    || (moved <= 1e-9 * next && slope[i] > 0.1 * c[1]);
                running[i] &= !is_done;
            }
            if !running.contains(&true) {
                break;
            }
        }
        zeta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zeta_of(zpn: &Zpn, radius: f64) -> Option<f64> {
        let [zeta] = zpn.zetas([radius]);
        (!zeta.is_nan()).then_some(zeta)
    }

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
                let back = zeta_of(&zpn, radius.min(zpn.radius_max)).unwrap();
                // Near a vanishing slope, a rounding of the radius changes the angle by its square root.
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
    fn angles_side_by_side_are_those_of_one_radius() {
        let zpn = with(&[(1, 1.0), (3, 42.0), (5, -10_000.0)]).unwrap();
        for step in 0..500 {
            let at = |lane: f64| zpn.radius_max * (f64::from(step) + lane) / 500.0;
            // The last one is next to the limit or beyond it, where the iteration takes longest.
            let radius = [at(0.0), at(0.3), f64::NAN, zpn.radius_max * (1.0 - 1e-12), at(1.7)];
            let one = radius.map(|radius| zpn.zetas([radius])[0].to_bits());
            assert_eq!(zpn.zetas(radius).map(f64::to_bits), one, "{radius:?}");
        }
    }

    #[test]
    fn the_growing_part_ends_where_the_slope_vanishes() {
        let wfcam = with(&[(1, 1.0), (3, -60.0)]).unwrap();
        let limit = (1.0f64 / 180.0).sqrt();
        assert!((wfcam.zeta_max - limit).abs() < 1e-15);
        assert_eq!(zeta_of(&wfcam, wfcam.radius_max * 1.000_001), None);
        assert_eq!(wfcam.radius(limit * 1.000_001), None);
        assert!(zeta_of(&wfcam, wfcam.radius_max).is_some());
        assert_eq!(zeta_of(&wfcam, f64::NAN), None);
        assert_eq!(zeta_of(&wfcam, -1e-9), None);
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
