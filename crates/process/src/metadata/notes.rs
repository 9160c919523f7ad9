//! Findings made while a frame was read, and the parts of it that are rejected.

use model::task::CountedFinding;
use model::{Finding, Refusal, RefusalCode, ReportCode};
use std::collections::BTreeMap;

/// Kinds of findings that are reported once per task, with a count, and not once per file.
const COUNTED: [RefusalCode; 3] =
    [RefusalCode::KEYWORD_MISSING, RefusalCode::KEYWORD_NEW, RefusalCode::CATALOGUE_ABSENT];

/// Findings and refusals of one frame.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub findings: Vec<Finding>,
    pub refusals: Vec<Refusal>,
    /// True when the frame as a whole is rejected: no row of it is kept.
    pub refused: bool,
}

/// The place of a finding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub file: &'a str,
    pub hdu: Option<u16>,
}

impl Notes {
    /// Notes a finding; one of the same kind, file and subject increases its count.
    pub fn find(&mut self, place: Place<'_>, code: RefusalCode, subject: &str, message: String) {
        let same = |f: &&mut Finding| {
            f.code == code && f.file == place.file && f.subject.as_deref() == Some(subject)
        };
        if let Some(finding) = self.findings.iter_mut().find(same) {
            finding.count += 1;
            return;
        }
        self.findings.push(Finding {
            hdu: place.hdu,
            subject: Some(subject.to_owned()),
            ..Finding::new(code, place.file, message)
        });
    }

    /// Refuses the whole frame.
    pub fn refuse(
        &mut self,
        place: Place<'_>,
        code: RefusalCode,
        keyword: Option<&str>,
        message: String,
    ) {
        self.refused = true;
        self.add_refusal(place, code, keyword, message, false);
    }

    /// Parks the whole frame: it waits for a decision.
    pub fn park(
        &mut self,
        place: Place<'_>,
        code: RefusalCode,
        keyword: Option<&str>,
        message: String,
    ) {
        self.refused = true;
        self.add_refusal(place, code, keyword, message, true);
    }

    /// Parks the whole frame, whose project no programme has.
    pub fn park_unknown_project(
        &mut self,
        place: Place<'_>,
        keyword: Option<&str>,
        project: &str,
        message: String,
    ) {
        self.park(place, RefusalCode::UNKNOWN_PROJECT, keyword, message);
        if let Some(refusal) = self.refusals.last_mut() {
            refusal.subject = Some(project.to_owned());
        }
    }

    /// Refuses an HDU; the rest of the frame stays.
    pub fn refuse_hdu(
        &mut self,
        place: Place<'_>,
        code: RefusalCode,
        keyword: Option<&str>,
        message: String,
    ) {
        self.add_refusal(place, code, keyword, message, false);
    }

    fn add_refusal(
        &mut self,
        place: Place<'_>,
        code: RefusalCode,
        keyword: Option<&str>,
        message: String,
        parked: bool,
    ) {
        self.refusals.push(Refusal {
            hdu: place.hdu,
            keyword: keyword.map(str::to_owned),
            parked,
            ..Refusal::new(code, place.file, message)
        });
    }
}

/// The inputs of a task with findings that are reported once.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// By code, subject and kind of file; runs of ordinals with equal counts.
    runs: BTreeMap<(ReportCode, String, bool), Vec<[u32; 3]>>,
}

impl Counted {
    /// Adds the findings of an input; `image` is the name of its image, other files are its catalogue.
    pub fn add(&mut self, ordinal: u32, image: &str, findings: &[Finding]) {
        for finding in findings.iter().filter(|f| is_counted(f)) {
            let subject = finding.subject.clone().unwrap_or_default();
            let key = (finding.code.clone(), subject, finding.file != image);
            let count = u32::try_from(finding.count).unwrap_or(u32::MAX);
            push_run(self.runs.entry(key).or_default(), [ordinal, ordinal, count]);
        }
    }

    pub fn finish(self) -> Vec<CountedFinding> {
        let finding = |((code, subject, catalogue), inputs)| CountedFinding {
            code,
            subject,
            catalogue,
            inputs,
        };
        self.runs.into_iter().map(finding).collect()
    }
}

fn is_counted(finding: &Finding) -> bool {
    COUNTED.iter().any(|code| finding.code == *code)
}

fn push_run(runs: &mut Vec<[u32; 3]>, [first, last, count]: [u32; 3]) {
    match runs.last_mut() {
        Some([_, end, each]) if *end + 1 == first && *each == count => *end = last,
        _ => runs.push([first, last, count]),
    }
}

/// Joins the counts of the parts of a task, in their order.
pub(super) fn joined_counts(parts: Vec<CountedFinding>) -> Vec<CountedFinding> {
    let mut whole = Counted::default();
    for CountedFinding { code, subject, catalogue, inputs } in parts {
        let runs = whole.runs.entry((code, subject, catalogue)).or_default();
        for run in inputs {
            push_run(runs, run);
        }
    }
    whole.finish()
}

/// Merges the findings of many frames: those of a counted kind become one per subject, with the first file that had it and the
/// number of such files.
pub(super) fn counted(findings: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for finding in findings {
        if !is_counted(&finding) {
            kept.push(finding);
            continue;
        }
        let key = (finding.code.clone(), finding.subject.clone());
        match places.get(&key) {
            Some(&place) => {
                let first: &mut Finding = &mut kept[place];
                first.files += finding.files;
                first.count += finding.count;
            }
            None => {
                places.insert(key, kept.len());
                kept.push(finding);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_counted_over_files_and_the_rest_is_listed() {
        let mut all = Vec::new();
        for file in ["a.fit", "b.fit"] {
            let mut notes = Notes::default();
            let place = Place { file, hdu: Some(1) };
            notes.find(place, RefusalCode::KEYWORD_NEW, "FOO", "new".to_owned());
            notes.find(place, RefusalCode::KEYWORD_NEW, "FOO", "new".to_owned());
            notes.find(place, RefusalCode::KEYWORD_MISTYPED, "BAR", "mistyped".to_owned());
            all.extend(notes.findings);
        }
        let found = counted(all);
        let seen: Vec<_> =
            found.iter().map(|f| (f.code.as_str(), f.file.as_str(), f.files, f.count)).collect();
        let wanted = [
            ("keyword_new", "a.fit", 2, 4),
            ("keyword_mistyped", "a.fit", 1, 1),
            ("keyword_mistyped", "b.fit", 1, 1),
        ];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn inputs_with_counted_findings_are_runs() {
        let found = |file: &str, subject: &str, count| {
            let mut notes = Notes::default();
            for _ in 0..count {
                let place = Place { file, hdu: Some(1) };
                notes.find(place, RefusalCode::KEYWORD_MISSING, subject, "missing".to_owned());
            }
            notes.findings
        };
        let mut blocks = Vec::new();
        for ordinals in [1..=3, 4..=5] {
            let mut block = Counted::default();
            for ordinal in ordinals {
                let image = format!("{ordinal}.fit");
                block.add(ordinal, &image, &found(&image, "A", 4));
                if ordinal != 2 {
                    block.add(ordinal, &image, &found("cat.fits", "A", 1));
                }
            }
            blocks.extend(block.finish());
        }
        let found: Vec<(bool, Vec<[u32; 3]>)> =
            joined_counts(blocks).into_iter().map(|c| (c.catalogue, c.inputs)).collect();
        assert_eq!(found, [(false, vec![[1, 5, 4]]), (true, vec![[1, 1, 1], [3, 5, 1]])]);
    }
}
