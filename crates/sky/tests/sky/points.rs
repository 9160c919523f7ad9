//! Points for the tests: the same in every run.

/// Evenly distributed numbers from 0 to 1.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }

    /// A position anywhere on the sky, equally likely per area.
    pub fn position(&mut self) -> (f64, f64) {
        let z = self.between(-1.0, 1.0);
        (self.between(0.0, 360.0), z.asin().to_degrees())
    }
}
