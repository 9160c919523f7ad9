//! Sums, extremes and the exact median of any number of values in bounded memory.

use super::Json;

/// A value of which statistics are computed.
pub(super) trait Value: Copy + PartialOrd {
    /// Returns true when the value is neither NaN nor infinite.
    fn is_finite(self) -> bool;
    fn is_nan(self) -> bool;
    fn to_f64(self) -> f64;
    fn to_json(self) -> Json;
}

impl Value for f64 {
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn to_json(self) -> Json {
        Json::Float(self)
    }
}

impl Value for f32 {
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn to_json(self) -> Json {
        Json::Float(f64::from(self))
    }
}

/// Whole numbers, both signed and unsigned of 64 bits.
impl Value for i128 {
    fn is_finite(self) -> bool {
        true
    }
    fn is_nan(self) -> bool {
        false
    }
    fn to_f64(self) -> f64 {
        self as f64
    }
    fn to_json(self) -> Json {
        Json::Integer(self)
    }
}

/// Numbers in the order of the values: `a < b` when `key(a) < key(b)`. NaN is never passed.
pub(super) trait Keys<V> {
    /// Returns the number of significant bits of a key, from the top; a multiple of 16.
    fn bits(&self) -> u32;
    fn key(&self, value: V) -> u64;
    fn value(&self, key: u64) -> V;
}

/// Keys of floats: the sign bit of positive values is inverted, and all bits of negative ones.
pub(super) struct FloatKeys;

impl Keys<f64> for FloatKeys {
    fn bits(&self) -> u32 {
        64
    }
    fn key(&self, value: f64) -> u64 {
        let bits = value.to_bits();
        if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
    }
    fn value(&self, key: u64) -> f64 {
        f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
    }
}

impl Keys<f32> for FloatKeys {
    fn bits(&self) -> u32 {
        32
    }
    fn key(&self, value: f32) -> u64 {
        let bits = value.to_bits();
        u64::from(if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }) << 32
    }
    fn value(&self, key: u64) -> f32 {
        let key = (key >> 32) as u32;
        f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
    }
}

/// Keys of whole numbers of a type: the difference from the type's lowest value.
pub(super) struct WholeKeys {
    pub lowest: i128,
    pub bits: u32,
}

impl Keys<i128> for WholeKeys {
    fn bits(&self) -> u32 {
        self.bits
    }
    fn key(&self, value: i128) -> u64 {
        ((value - self.lowest) as u64) << (64 - self.bits)
    }
    fn value(&self, key: u64) -> i128 {
        i128::from(key >> (64 - self.bits)) + self.lowest
    }
}

/// Count, extremes and sum of values that are added one by one.
#[derive(Clone, Debug)]
pub(super) struct Statistics<V> {
    pub count: u64,
    pub nan: u64,
    pub inf: u64,
    extremes: Option<(V, V)>,
    sum: f64,
    /// The sum of the rounding errors of all additions until now (Neumaier).
    lost: f64,
}

impl<V: Value> Statistics<V> {
    pub fn new() -> Self {
        Self { count: 0, nan: 0, inf: 0, extremes: None, sum: 0.0, lost: 0.0 }
    }

    pub fn add(&mut self, value: V) {
        self.count += 1;
        if !value.is_finite() {
            if value.is_nan() {
                self.nan += 1;
            } else {
                self.inf += 1;
            }
            return;
        }
        let (mut min, mut max) = self.extremes.unwrap_or((value, value));
        if value < min {
            min = value;
        }
        if value > max {
            max = value;
        }
        self.extremes = Some((min, max));
        let term = value.to_f64();
        let sum = self.sum + term;
        self.lost += if self.sum.abs() >= term.abs() {
            (self.sum - sum) + term
        } else {
            (term - sum) + self.sum
        };
        self.sum = sum;
    }

    /// Returns the number of finite values.
    pub fn finite(&self) -> u64 {
        self.count - self.nan - self.inf
    }

    pub fn sum(&self) -> f64 {
        self.sum + self.lost
    }

    /// Reports count, nan, inf, and min, max and mean when there are finite values.
    pub fn to_json(&self) -> Json {
        let mut json = Json::object([
            ("count", Json::from(self.count)),
            ("nan", Json::from(self.nan)),
            ("inf", Json::from(self.inf)),
        ]);
        if let Some((min, max)) = self.extremes {
            json.add("min", min.to_json());
            json.add("max", max.to_json());
            json.add("mean", Json::Float(self.sum() / self.finite() as f64));
        }
        json
    }
}

const BINS: usize = 1 << 16;

/// Number of values up to which all keys are kept, so that one pass is enough.
const KEPT_KEYS_MAX: usize = 1 << 20;

/// A search for the two middle values of a stream that is repeated: each pass narrows both by 16 bits of their keys.
pub(super) struct MedianSearch {
    /// Significant bits of the keys.
    bits: u32,
    /// Known bits of the keys, from the top.
    known_bits: u32,
    /// All keys of the first pass, while they are few.
    kept: Vec<u64>,
    /// `None` while all keys are kept.
    middle: Option<[Middle; 2]>,
}

struct Middle {
    /// The known bits of its key.
    prefix: u64,
    /// Number of the values with this prefix that are before it.
    rank: u64,
    bins: Vec<u64>,
}

impl MedianSearch {
    pub fn new(bits: u32) -> Self {
        Self { bits, known_bits: 0, kept: Vec::new(), middle: None }
    }

    /// Adds the key of a value of this pass.
    pub fn add(&mut self, key: u64) {
        match &mut self.middle {
            Some(middle) => count(middle, self.known_bits, key),
            None if self.kept.len() < KEPT_KEYS_MAX => self.kept.push(key),
            None => {
                let empty = || Middle { prefix: 0, rank: 0, bins: vec![0; BINS] };
                let middle = self.middle.insert([empty(), empty()]);
                for key in std::mem::take(&mut self.kept).into_iter().chain([key]) {
                    count(middle, 0, key);
                }
            }
        }
    }

    /// Ends a pass over `count` values, at least one; returns the keys of the two middle ones when they are known. With an odd
    /// count both keys are the same.
    pub fn end_pass(&mut self, count: u64) -> Option<(u64, u64)> {
        let ranks = [(count - 1) / 2, count / 2];
        let Some(middle) = &mut self.middle else {
            return Some((self.select(ranks[0]), self.select(ranks[1])));
        };
        if self.known_bits == 0 {
            let [first, second] = middle;
            second.bins.copy_from_slice(&first.bins);
            [first.rank, second.rank] = ranks;
        }
        self.known_bits += 16;
        let keys = middle.each_mut().map(|middle| middle.narrow() << (64 - self.known_bits));
        (self.known_bits >= self.bits).then_some((keys[0], keys[1]))
    }

    fn select(&mut self, rank: u64) -> u64 {
        *self.kept.select_nth_unstable(rank as usize).1
    }
}

impl Middle {
    /// Adds 16 bits to the prefix: those of the bin that the rank falls in.
    fn narrow(&mut self) -> u64 {
        let mut bin = 0;
        while bin + 1 < BINS && self.bins[bin] <= self.rank {
            self.rank -= self.bins[bin];
            bin += 1;
        }
        self.bins.fill(0);
        self.prefix = self.prefix << 16 | bin as u64;
        self.prefix
    }
}

fn count(middle: &mut [Middle; 2], known_bits: u32, key: u64) {
    let bin = (key >> (48 - known_bits)) as usize % BINS;
    if known_bits == 0 {
        // Both prefixes are empty: the first counts for both.
        middle[0].bins[bin] += 1;
        return;
    }
    for middle in middle {
        if middle.prefix == key >> (64 - known_bits) {
            middle.bins[bin] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median<V: Value>(values: &[V], keys: &impl Keys<V>) -> f64 {
        let mut search = MedianSearch::new(keys.bits());
        loop {
            for &value in values {
                search.add(keys.key(value));
            }
            if let Some((low, high)) = search.end_pass(values.len() as u64) {
                return (keys.value(low).to_f64() + keys.value(high).to_f64()) / 2.0;
            }
        }
    }

    #[test]
    fn medians_of_floats() {
        let cases: [(&[f64], f64); 6] = [
            (&[3.0], 3.0),
            (&[3.0, -1.0], 1.0),
            (&[-5.0, 7.0, -6.0], -5.0),
            (&[0.0, -0.0, 1e300, -1e300], 0.0),
            (&[1.0, 1.0, 1.0, 2.0], 1.0),
            (&[1.5, 1.5000000000000002, 9.0, 1.0], 1.5),
        ];
        for (values, wanted) in cases {
            let found = median(values, &FloatKeys);
            assert!(
                (found - wanted).abs() <= 2.0 * f64::EPSILON,
                "{values:?}: {found}, not {wanted}"
            );
        }
        let many: Vec<f32> =
            (0..1001_u16).map(|number| f32::from((number * 37) % 1001) - 500.0).collect();
        assert_eq!(median(&many, &FloatKeys), 0.0);
    }

    #[test]
    fn medians_of_more_values_than_are_kept() {
        // 7919 is a prime that does not divide the counts, so every number below occurs once.
        for count in [KEPT_KEYS_MAX as u64 + 1, KEPT_KEYS_MAX as u64 + 2] {
            let numbers = (0..count).map(|number| number * 7919 % count);
            let wanted = (count - 1) as f64 / 2.0;
            let singles: Vec<f32> = numbers.clone().map(|number| number as f32 - 500.0).collect();
            assert_eq!(median(&singles, &FloatKeys), wanted - 500.0);
            let doubles: Vec<f64> = numbers.clone().map(|number| -1e-3 * number as f64).collect();
            assert!((median(&doubles, &FloatKeys) + 1e-3 * wanted).abs() < 1e-9);
            let wholes: Vec<i128> = numbers.map(|number| i128::from(number) - 7).collect();
            assert_eq!(median(&wholes, &WholeKeys { lowest: -(1 << 31), bits: 32 }), wanted - 7.0);
        }
    }

    #[test]
    fn medians_of_whole_numbers() {
        let cases: [(&[i128], i128, u32, f64); 4] = [
            (&[-32768, 32767, 5], -32768, 16, 5.0),
            (&[0, 255, 1, 3], 0, 16, 2.0),
            (&[0, 1 << 63, u64::MAX as i128], 0, 64, 9_223_372_036_854_775_808.0),
            (&[i64::MIN as i128, -7, i64::MAX as i128], i64::MIN as i128, 64, -7.0),
        ];
        for (values, lowest, bits, wanted) in cases {
            assert_eq!(median(values, &WholeKeys { lowest, bits }), wanted, "{values:?}");
        }
    }

    #[test]
    fn sums_keep_what_small_terms_add() {
        let mut statistics = Statistics::new();
        for value in [1e16, 1.0, 1.0, -1e16, f64::NAN, f64::INFINITY] {
            statistics.add(value);
        }
        assert_eq!(statistics.sum(), 2.0);
        assert_eq!(
            (statistics.count, statistics.nan, statistics.inf, statistics.finite()),
            (6, 1, 1, 4)
        );
    }
}
