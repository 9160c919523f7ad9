//! Polynomials in two plane coordinates, with their derivatives: the distortions of TPV and SIP.

/// Highest total power, plus one: SIP has up to 9, TPV up to 7.
const SIDE: usize = 10;

/// Sum of c\[i\]\[j\] x^i y^j for i + j up to the order, plus odd powers of r = sqrt(x^2 + y^2).
#[derive(Clone, Debug)]
pub(super) struct Polynomial {
    coefficients: [[f64; SIDE]; SIDE],
    order: usize,
    /// Coefficients of r, r^3, r^5, r^7.
    radial: [f64; 4],
    has_radial: bool,
}

/// A value with its derivatives along x and y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slope {
    pub(super) value: f64,
    pub(super) dx: f64,
    pub(super) dy: f64,
}

impl Polynomial {
    pub(super) fn zero() -> Self {
        Self { coefficients: [[0.0; SIDE]; SIDE], order: 0, radial: [0.0; 4], has_radial: false }
    }

    /// Adds a term; zero coefficients cost nothing later.
    ///
    /// # Panics
    /// Panics when the total power is above 9.
    pub(super) fn add(&mut self, x_power: usize, y_power: usize, coefficient: f64) {
        assert!(x_power + y_power < SIDE, "total power {x_power} + {y_power}");
        self.coefficients[x_power][y_power] += coefficient;
        if coefficient != 0.0 {
            self.order = self.order.max(x_power + y_power);
        }
    }

    /// Adds a term in r to an odd power (1, 3, 5 or 7).
    pub(super) fn add_radial(&mut self, power: usize, coefficient: f64) {
        self.radial[power / 2] += coefficient;
        self.has_radial |= coefficient != 0.0;
    }

    #[inline(always)]
    pub(super) fn value(&self, x: f64, y: f64) -> f64 {
        let mut sum = 0.0;
        for i in (0..=self.order.min(SIDE - 1)).rev() {
            let mut row = 0.0;
            for &c in self.coefficients[i][..=(self.order - i).min(SIDE - 1)].iter().rev() {
                row = row * y + c;
            }
            sum = sum * x + row;
        }
        if self.has_radial {
            let square = x * x + y * y;
            let [a, b, c, d] = self.radial;
            sum += square.sqrt() * (a + square * (b + square * (c + square * d)));
        }
        sum
    }

    pub(super) fn slope(&self, x: f64, y: f64) -> Slope {
        let (mut value, mut dx, mut dy) = (0.0, 0.0, 0.0);
        for i in (0..=self.order).rev() {
            let (mut row, mut row_dy) = (0.0, 0.0);
            for &c in self.coefficients[i][..=self.order - i].iter().rev() {
                row_dy = row_dy * y + row;
                row = row * y + c;
            }
            dx = dx * x + value;
            value = value * x + row;
            dy = dy * x + row_dy;
        }
        if self.has_radial {
            let square = x * x + y * y;
            let r = square.sqrt();
            let [a, b, c, d] = self.radial;
            value += r * (a + square * (b + square * (c + square * d)));
            if r > 0.0 {
                let dr = a + square * (3.0 * b + square * (5.0 * c + square * 7.0 * d));
                dx += dr * x / r;
                dy += dr * y / r;
            }
        }
        Slope { value, dx, dy }
    }
}

/// Solves `forward(x, y) = target` by Newton's iteration from `start`; `None` when it does not converge.
///
/// `size` is the negligible length (a fraction of a pixel, in the same unit).
pub(super) fn solve(
    target: (f64, f64),
    start: (f64, f64),
    size: f64,
    forward: impl Fn(f64, f64) -> (Slope, Slope),
) -> Option<(f64, f64)> {
    let (mut x, mut y) = start;
    let mut last = f64::INFINITY;
    for _ in 0..60 {
        let (u, v) = forward(x, y);
        let (du, dv) = (u.value - target.0, v.value - target.1);
        let det = u.dx * v.dy - u.dy * v.dx;
        let (sx, sy) = ((du * v.dy - dv * u.dy) / det, (dv * u.dx - du * v.dx) / det);
        if !(sx.is_finite() && sy.is_finite()) {
            return None;
        }
        (x, y) = (x - sx, y - sy);
        let moved = sx.hypot(sy);
        let rounding = 4.0 * f64::EPSILON * x.hypot(y);
        // Finished at rounding, or when small steps no longer shrink (rounding of a larger kind).
        if moved <= rounding || (moved <= size && moved >= 0.5 * last) {
            return Some((x, y));
        }
        last = moved;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Polynomial {
        let mut p = Polynomial::zero();
        for (i, j, c) in
            [(0, 0, 0.3), (1, 0, 1.1), (0, 1, -0.2), (2, 1, 0.05), (0, 3, -0.01), (4, 5, 1e-4)]
        {
            p.add(i, j, c);
        }
        p.add_radial(1, 0.02);
        p.add_radial(7, 1e-3);
        p
    }

    #[test]
    fn terms_are_summed() {
        let (x, y): (f64, f64) = (1.3, -0.7);
        let r = x.hypot(y);
        let wanted = 0.3 + 1.1 * x - 0.2 * y + 0.05 * x * x * y - 0.01 * y.powi(3)
            + 1e-4 * x.powi(4) * y.powi(5)
            + 0.02 * r
            + 1e-3 * r.powi(7);
        assert!((sample().value(x, y) - wanted).abs() < 1e-15);
        assert!((sample().slope(x, y).value - wanted).abs() < 1e-15);
    }

    #[test]
    fn derivatives_agree_with_differences() {
        let p = sample();
        for (x, y) in [(1.3, -0.7), (-0.4, 0.9), (0.1, 0.0)] {
            let h = 1e-6;
            let s = p.slope(x, y);
            assert!((s.dx - (p.value(x + h, y) - p.value(x - h, y)) / (2.0 * h)).abs() < 1e-8);
            assert!((s.dy - (p.value(x, y + h) - p.value(x, y - h)) / (2.0 * h)).abs() < 1e-8);
        }
        assert_eq!(p.slope(0.0, 0.0).dx, 1.1); // r has no derivative there; its terms are left out
    }

    #[test]
    fn solving_inverts() {
        let (u, mut v) = (sample(), Polynomial::zero());
        v.add(0, 1, 0.9);
        v.add(1, 1, 0.03);
        let target = (u.value(0.5, 0.6), v.value(0.5, 0.6));
        let found = solve(target, target, 1e-9, |x, y| (u.slope(x, y), v.slope(x, y)));
        let (x, y) = found.unwrap();
        assert!((x - 0.5).abs() < 1e-14 && (y - 0.6).abs() < 1e-14, "{x} {y}");
    }

    #[test]
    fn a_direction_without_solution_is_none() {
        let mut square = Polynomial::zero();
        square.add(2, 0, 1.0);
        let mut y = Polynomial::zero();
        y.add(0, 1, 1.0);
        let solve_for =
            |t| solve((t, 0.0), (1.0, 0.0), 1e-9, |a, b| (square.slope(a, b), y.slope(a, b)));
        assert!(solve_for(2.0).is_some());
        assert_eq!(solve_for(-1.0), None);
        assert_eq!(solve_for(f64::NAN), None);
    }
}
