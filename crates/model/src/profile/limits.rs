//! Limits on the number of faults beyond which an HDU or a file is not used.

use serde::Deserialize;

/// The treatment of a file that lacks extensions: it was truncated between two of them, or extensions were removed on
/// purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingExtensions {
    /// It is accepted, and a finding is recorded.
    #[default]
    Finding,
    /// It is refused.
    Refuse,
}

/// The treatment of an HDU whose DATASUM does not match its data: damage, or a program that edited the data and left
/// the keyword unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StaleChecksum {
    /// It is accepted, and a finding marks it.
    Finding,
    /// It is refused.
    #[default]
    Refuse,
}

/// Limits of a survey.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileLimits {
    /// Share of an HDU's rows that may be refused; beyond it the HDU is refused.
    pub refused_rows_share: f64,
    /// Keep infinities in measures; else they are NULL with a finding.
    pub keep_infinities: bool,
    /// Unpacked bytes over packed bytes that a file larger than `ratio_from_bytes` may claim.
    pub expansion_ratio: u64,
    /// Longest file that is transferred, in bytes.
    pub file_bytes: u64,
    /// Unpacked bytes up to which a gzip file may have any ratio.
    pub ratio_from_bytes: u64,
    /// Unpacked bytes of a gzip file, whatever its ratio.
    pub unpacked_bytes: u64,
    /// New keywords that are reported by name, per file; the rest is counted.
    pub new_keywords_named: usize,
    /// Permitted numbers of detectors of a file; another number is a finding. Any number is permitted when none is
    /// given.
    pub detectors: Vec<u16>,
    /// The treatment of a file with fewer extensions than its NEXTEND announces.
    pub missing_extensions: MissingExtensions,
    /// The treatment of an HDU whose DATASUM does not match its data.
    pub stale_checksum: StaleChecksum,
}

impl Default for ProfileLimits {
    fn default() -> Self {
        Self {
            refused_rows_share: 0.05,
            keep_infinities: false,
            expansion_ratio: 200,
            file_bytes: 64 << 30,
            ratio_from_bytes: 1_000_000_000,
            unpacked_bytes: 4 << 30,
            new_keywords_named: 50,
            detectors: Vec::new(),
            missing_extensions: MissingExtensions::Finding,
            stale_checksum: StaleChecksum::Refuse,
        }
    }
}

impl ProfileLimits {
    pub(super) fn check(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if !(0.0..=1.0).contains(&self.refused_rows_share) {
            let message = format!("{} is not a fraction from 0 to 1", self.refused_rows_share);
            faults.push(("limits.refused_rows_share".to_owned(), message));
        }
        if self.expansion_ratio == 0 {
            let message = "0 would refuse every packed file".to_owned();
            faults.push(("limits.expansion_ratio".to_owned(), message));
        }
        if self.file_bytes == 0 {
            let message = "0 would refuse every file".to_owned();
            faults.push(("limits.file_bytes".to_owned(), message));
        }
        if self.unpacked_bytes == 0 {
            let message = "0 would refuse every packed file".to_owned();
            faults.push(("limits.unpacked_bytes".to_owned(), message));
        }
        faults
    }
}
