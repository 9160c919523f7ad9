//! Quality bits that the rows alone decide, and classes.

use super::batch::{Batch, position};
use model::profile::QualityRules;
use std::sync::OnceLock;

/// Bits of `pp_err_bits` that are set here.
pub(super) const DEBLENDED: i32 = 1 << 4;
pub(super) const BAD_PIXELS: i32 = 1 << 6;
pub(super) const LOW_CONFIDENCE: i32 = 1 << 7;
const SATURATED: i32 = 1 << 16;

struct Columns {
    profiles: [usize; 7],
    err_bits: usize,
    average_conf: usize,
    class: usize,
    class_stat: usize,
    bits: usize,
}

fn columns() -> &'static Columns {
    static COLUMNS: OnceLock<Columns> = OnceLock::new();
    COLUMNS.get_or_init(|| Columns {
        profiles: std::array::from_fn(|n| position(&format!("a_prof{}", n + 2))),
        err_bits: position("err_bits"),
        average_conf: position("average_conf"),
        class: position("class"),
        class_stat: position("class_stat"),
        bits: position("pp_err_bits"),
    })
}

/// Fills `pp_err_bits` of the block. Unknown measures set no bit. `flags` are the bits of `err_bits` of the rows; empty where
/// the profile gives none of them a meaning, or the table does not have them.
pub(super) fn set_bits(batch: &mut Batch, rows: usize, rules: &QualityRules, flags: &[u64]) {
    let at = columns();
    let mut bits = vec![0_i32; rows];
    if rules.blended_bits.is_empty() {
        set_deblended(batch, &mut bits, rules.deblended_profile);
    }
    if rules.bad_bits.is_empty()
        && let Some(values) = batch.block::<f32>(at.err_bits)
    {
        set(&mut bits, values, BAD_PIXELS, |v| v > rules.bad_pixels_above);
    }
    if let Some(values) = batch.block::<f32>(at.average_conf) {
        set(&mut bits, values, LOW_CONFIDENCE, |v| v < rules.low_confidence_below);
    }
    for (given, bit) in [
        (&rules.blended_bits, DEBLENDED),
        (&rules.bad_bits, BAD_PIXELS),
        (&rules.saturated_bits, SATURATED),
    ] {
        let mask = QualityRules::mask(given);
        for (bits, flags) in bits.iter_mut().zip(flags) {
            *bits |= bit & -i32::from(flags & mask != 0);
        }
    }
    batch.column::<i32>(at.bits).extend_from_slice(&bits);
}

fn set_deblended(batch: &mut Batch, bits: &mut [i32], marker: f32) {
    let at = columns();
    let Some(first) = batch.block::<f32>(at.profiles[0]) else { return };
    set(bits, first, DEBLENDED, |v| v == marker);
    for &profile in &at.profiles[1..] {
        match batch.block::<f32>(profile) {
            Some(values) => unset(bits, values, DEBLENDED, |v| v != marker),
            None => bits.iter_mut().for_each(|b| *b &= !DEBLENDED),
        }
    }
}

fn set(bits: &mut [i32], values: &[f32], bit: i32, holds: impl Fn(f32) -> bool) {
    for (bits, value) in bits.iter_mut().zip(values) {
        *bits |= bit & -i32::from(holds(*value));
    }
}

fn unset(bits: &mut [i32], values: &[f32], bit: i32, holds: impl Fn(f32) -> bool) {
    for (bits, value) in bits.iter_mut().zip(values) {
        *bits &= !(bit & -i32::from(holds(*value)));
    }
}

/// The outcome of the block's classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes {
    /// Number of rows that were never classified.
    pub(super) unclassified: u64,
    /// Number of values that are not a whole number, or beyond 16 bits.
    pub(super) not_whole: u64,
}

/// Appends the classes of the block, NULL where a row has none; its `class_stat` is then NULL too.
pub(super) fn set_classes(batch: &mut Batch, values: &[f64], rules: &QualityRules) -> Classes {
    let at = columns();
    let mut counts = Classes::default();
    let mut class = batch.lend::<i16>(at.class);
    for (row, &value) in values.iter().enumerate() {
        let whole = value as i16; // saturates, NaN is 0
        if f64::from(whole) == value && !rules.unclassified.contains(&whole) {
            class.push(whole);
            continue;
        }
        class.push(i16::MIN);
        if f64::from(whole) == value {
            counts.unclassified += 1;
            if let Some(stat) = batch.block::<f32>(at.class_stat) {
                stat[row] = f32::NAN;
            }
        } else if !value.is_nan() {
            counts.not_whole += 1;
        }
    }
    batch.put(at.class, class);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_by_their_rules() {
        const NONE: f32 = f32::NAN;
        // (a_prof2, a_prof3..8, err_bits, average_conf) -> bits
        let cases = [
            ((5.0, 4.0, 0.0, 100.0), 0),
            ((-1.0, -1.0, 0.0, 100.0), DEBLENDED),
            ((-1.0, 0.0, 0.0, 80.0), 0), // one level measured: no deblend; the limit itself is not low
            ((0.0, -1.0, 0.0, 100.0), 0),
            ((5.0, 4.0, 0.5, 79.9), BAD_PIXELS | LOW_CONFIDENCE),
            ((-1.0, -1.0, 1.0, 0.0), DEBLENDED | BAD_PIXELS | LOW_CONFIDENCE),
            ((NONE, NONE, NONE, NONE), 0),
        ];
        let mut batch = Batch::new();
        let at = columns();
        for ((second, others, err_bits, conf), _) in cases {
            batch.column::<f32>(at.profiles[0]).push(second);
            for &profile in &at.profiles[1..] {
                batch.column::<f32>(profile).push(others);
            }
            batch.column::<f32>(at.err_bits).push(err_bits);
            batch.column::<f32>(at.average_conf).push(conf);
        }
        set_bits(&mut batch, cases.len(), &QualityRules::default(), &[]);
        let bits = batch.block::<i32>(at.bits).unwrap().to_vec();
        assert_eq!(bits, cases.map(|(_, bits)| bits));
    }

    #[test]
    fn bits_of_the_catalogue_by_their_meaning() {
        let rules = QualityRules {
            blended_bits: vec![0, 1],
            bad_bits: vec![4, 40],
            saturated_bits: vec![2],
            ..QualityRules::default()
        };
        let cases = [
            (0, 0),
            (1, DEBLENDED),
            (3, DEBLENDED),
            (4, SATURATED),
            (8, 0),
            (1 << 40, BAD_PIXELS),
            (u64::MAX, DEBLENDED | BAD_PIXELS | SATURATED),
        ];
        let mut batch = Batch::new();
        let at = columns();
        for (flags, _) in cases {
            // Neither the threshold nor the profiles count beside the bits.
            batch.column::<f32>(at.err_bits).push(flags as f32);
            at.profiles.iter().for_each(|p| batch.column::<f32>(*p).push(-1.0));
        }
        set_bits(&mut batch, cases.len(), &rules, &cases.map(|(flags, _)| flags));
        assert_eq!(batch.block::<i32>(at.bits).unwrap(), cases.map(|(_, bits)| bits));
        // The others keep their rules.
        let only = QualityRules { saturated_bits: vec![2], ..QualityRules::default() };
        let mut batch = Batch::new();
        batch.column::<f32>(at.err_bits).extend([4.0_f32, 0.0]);
        set_bits(&mut batch, 2, &only, &[4, 0]);
        assert_eq!(batch.block::<i32>(at.bits).unwrap(), [SATURATED | BAD_PIXELS, 0]);
    }

    #[test]
    fn without_the_columns_no_bit_is_set() {
        let mut batch = Batch::new();
        batch.column::<f32>(columns().profiles[0]).push(-1.0);
        set_bits(&mut batch, 1, &QualityRules::default(), &[]);
        assert_eq!(batch.block::<i32>(columns().bits).unwrap(), &[0]);
    }

    #[test]
    fn classes_are_whole_or_null() {
        let cases = [
            (-1.0, -1),
            (1.0, 1),
            (-9.0, -9),
            (100.0, i16::MIN), // dummy of the pipeline before classification
            (0.5, i16::MIN),
            (f64::NAN, i16::MIN),
            (1e9, i16::MIN),
        ];
        let mut batch = Batch::new();
        batch.column::<f32>(columns().class_stat).extend([3.0_f32; 7]);
        let counts = set_classes(&mut batch, &cases.map(|(v, _)| v), &QualityRules::default());
        assert_eq!(batch.block::<i16>(columns().class).unwrap(), cases.map(|(_, class)| class));
        assert_eq!(counts, Classes { unclassified: 1, not_whole: 2 });
        let stat = batch.block::<f32>(columns().class_stat).unwrap();
        let null: Vec<bool> = stat.iter().map(|s| s.is_nan()).collect();
        assert_eq!(null, [false, false, false, true, false, false, false]);
    }
}
