//! The report of a catalogue task about its input: an account of every row, refusals, findings.

use model::task::{DetectorRows, HduReport, KeptDetector};
use model::{Finding, ProgrammeId, Refusal, RefusalCode};
use std::collections::BTreeMap;

/// Ranges of rows that a refusal lists at most; its count is always that of all rows.
pub(super) const LISTED_RANGES: usize = 200;

/// The outcome of a task's catalogues.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CatalogueReport {
    /// Per HDU that is, or should be, a catalogue: rows read = written + refused.
    pub hdus: Vec<HduReport>,
    /// Place of each detector's rows in the files of [`staged_file_name`].
    pub detectors: Vec<DetectorRows>,
    /// Detectors that were skipped, because the archive has all of their rows.
    pub kept: Vec<KeptDetector>,
    /// Rejected inputs; the rows of an HDU's refusals add up to the number of its refused rows.
    pub refusals: Vec<Refusal>,
    /// Findings.
    pub findings: Vec<Finding>,
    /// Rows written per programme.
    pub rows: BTreeMap<ProgrammeId, u64>,
}

/// Returns the name of the file in which a task stages the detections of a programme.
pub fn staged_file_name(programme: ProgrammeId) -> String {
    model::task::staged_name("detection", Some(programme))
}

/// The subject of a refusal or finding.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) hdu: Option<u16>,
}

impl Place<'_> {
    pub(super) fn refusal(&self, code: RefusalCode, message: String) -> Refusal {
        Refusal { hdu: self.hdu, ..Refusal::new(code, self.file, message) }
    }

    pub(super) fn finding(
        &self,
        code: RefusalCode,
        subject: Option<&str>,
        count: u64,
        message: String,
    ) -> Finding {
        Finding {
            hdu: self.hdu,
            subject: subject.map(str::to_owned),
            count,
            ..Finding::new(code, self.file, message)
        }
    }
}
