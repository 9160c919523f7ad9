//! Quality bits and classes of catalogues.

use serde::Deserialize;

/// Quality bits determined by row data, and classes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QualityRules {
    /// Value of a_prof2 to a_prof8 that marks a deblended image (bit 4), without `blended_bits`.
    pub deblended_profile: f32,
    /// Bits of err_bits, from 0, any of which means that the source is blended (bit 4); they replace `deblended_profile`.
    /// Default none. Example for SExtractor's FLAGS: `blended_bits = [1]`.
    pub blended_bits: Vec<u8>,
    /// Bit 6: a row with more err_bits than this has bad pixels in its default aperture, without `bad_bits`.
    pub bad_pixels_above: f32,
    /// Bits of err_bits, from 0, any of which means bad pixels in the aperture (bit 6); they replace `bad_pixels_above`.
    /// Default none. Example for SExtractor's FLAGS: `bad_bits = [0, 3, 4]`.
    pub bad_bits: Vec<u8>,
    /// Bits of err_bits, from 0, any of which means that the source is close to saturated (bit 16). Default none. Example for
    /// SExtractor's FLAGS: `saturated_bits = [2]`.
    pub saturated_bits: Vec<u8>,
    /// Bit 7: a row with less average_conf than this has low confidence in its default aperture.
    pub low_confidence_below: f32,
    /// Classes that mean "not yet classified": class and class_stat are NULL.
    pub unclassified: Vec<i16>,
}

impl Default for QualityRules {
    fn default() -> Self {
        Self {
            deblended_profile: -1.0,
            blended_bits: Vec::new(),
            bad_pixels_above: 0.0,
            bad_bits: Vec::new(),
            saturated_bits: Vec::new(),
            low_confidence_below: 80.0,
            unclassified: vec![100],
        }
    }
}

impl QualityRules {
    /// Returns the mask of some bits.
    pub fn mask(bits: &[u8]) -> u64 {
        bits.iter().map(|bit| 1_u64.checked_shl(u32::from(*bit)).unwrap_or(0)).fold(0, |a, b| a | b)
    }

    /// Returns true when bits of err_bits have a meaning.
    pub fn has_bits(&self) -> bool {
        !(self.blended_bits.is_empty()
            && self.bad_bits.is_empty()
            && self.saturated_bits.is_empty())
    }

    /// Returns the faults that types cannot express: (key, fault).
    pub(super) fn check(&self) -> Vec<(String, String)> {
        let lists = [
            ("blended_bits", &self.blended_bits),
            ("bad_bits", &self.bad_bits),
            ("saturated_bits", &self.saturated_bits),
        ];
        let of_list = |(key, bits): (&'static str, &'_ Vec<u8>)| {
            let too_high = bits.iter().enumerate().filter(|(_, bit)| **bit > HIGHEST_BIT);
            let fault = |(n, bit): (usize, &u8)| {
                let fault =
                    format!("{bit} is beyond {HIGHEST_BIT}, the highest bit of a 64-bit integer");
                (format!("quality.{key}.{n}"), fault)
            };
            too_high.map(fault).collect::<Vec<_>>()
        };
        lists.into_iter().flat_map(of_list).collect()
    }
}

/// The highest bit that a positive integer can have.
const HIGHEST_BIT: u8 = 62;
