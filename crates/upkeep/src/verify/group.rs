//! Findings of one kind together, with the commands that repair just those.

use super::{Report, VerifyFinding};
use model::{Advice, RefusalCode};

/// Deliveries with the same kind of finding that are listed one by one.
const DELIVERIES: usize = 10;
/// Findings of a group that are shown.
const EXAMPLES: usize = 3;

/// Findings of one kind: of a delivery, of many deliveries, or of the whole archive.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Code of the findings.
    pub code: RefusalCode,
    /// Their subject, in words; empty for the whole archive.
    pub subject: String,
    /// Number of findings.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<String>,
    /// The repair, in words.
    pub repair: String,
    /// The commands of the repair, in the order in which they are run.
    pub commands: Vec<Advice>,
}

impl Report {
    /// Returns the findings in groups, in the order in which the first of each was found.
    pub fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<(RefusalCode, Option<&str>, &str, Vec<&VerifyFinding>)> = Vec::new();
        for finding in &self.findings {
            let key = (finding.registered(), finding.delivery(), finding.repair());
            let known = groups.iter_mut().find(|(c, d, r, _)| (*c, *d, *r) == key);
            match known {
                Some((.., findings)) => findings.push(finding),
                None => groups.push((key.0, key.1, key.2, vec![finding])),
            }
        }
        let mut codes: Vec<RefusalCode> =
            self.findings.iter().map(VerifyFinding::registered).collect();
        let mut seen = Vec::new();
        codes.retain(|code| {
            let is_first = !seen.contains(code);
            seen.push(*code);
            is_first
        });
        let mut all = Vec::new();
        for code in codes {
            let of_code: Vec<_> = groups.iter().filter(|g| g.0 == code).collect();
            let deliveries = of_code.iter().filter(|g| g.1.is_some()).count();
            if deliveries > DELIVERIES {
                let findings: Vec<&VerifyFinding> =
                    of_code.iter().filter(|g| g.1.is_some()).flat_map(|g| g.3.clone()).collect();
                let subject = format!("{deliveries} deliveries");
                let commands = for_all(findings[0]);
                all.push(group(code, subject, of_code[0].2.to_owned(), &findings, commands));
            }
            for (_, delivery, repair, findings) in of_code {
                if delivery.is_some() && deliveries > DELIVERIES {
                    continue;
                }
                let subject = delivery.map(|name| format!("delivery {name}")).unwrap_or_default();
                let commands = commands(findings);
                all.push(group(code, subject, (*repair).to_owned(), findings, commands));
            }
        }
        all
    }
}

fn group(
    code: RefusalCode,
    subject: String,
    repair: String,
    findings: &[&VerifyFinding],
    commands: Vec<Advice>,
) -> Group {
    let examples = findings.iter().take(EXAMPLES).map(ToString::to_string).collect();
    Group { code, subject, count: findings.len() as u64, examples, repair, commands }
}

/// Returns the commands for findings of one kind and delivery.
fn commands(findings: &[&VerifyFinding]) -> Vec<Advice> {
    match findings[0] {
        VerifyFinding::LibraryFileMissing { of, .. }
        | VerifyFinding::LibraryFileLength { of, .. }
        | VerifyFinding::LibraryFileContent { of, .. } => {
            let (delivery, file) = (of.delivery.clone(), of.name.clone());
            match findings.len() {
                1 => vec![Advice::ReconcileFile { delivery, file }],
                _ => vec![Advice::ReconcileDelivery { delivery }],
            }
        }
        VerifyFinding::PreviewMissing { delivery, .. }
        | VerifyFinding::PreviewLength { delivery, .. } => {
            let delivery = delivery.clone();
            vec![Advice::PreviewLost { delivery: delivery.clone() }, Advice::Ingest { delivery }]
        }
        VerifyFinding::LibraryFileStray { delivery: Some(delivery), .. } => {
            vec![Advice::ReconcileStrays { delivery: delivery.clone() }]
        }
        VerifyFinding::LakeFileStray { .. }
        | VerifyFinding::PreviewStray { .. }
        | VerifyFinding::SupersededCurrent { is_recorded: true, .. }
        | VerifyFinding::ProductNotShown { is_recorded: true, .. }
        | VerifyFinding::CatalogueVersions { .. }
        | VerifyFinding::TableWithoutEvent { .. } => vec![Advice::VerifyRepair],
        _ => Vec::new(),
    }
}

/// Returns the commands for findings of one kind in many deliveries.
fn for_all(finding: &VerifyFinding) -> Vec<Advice> {
    match finding {
        VerifyFinding::LibraryFileMissing { .. }
        | VerifyFinding::LibraryFileLength { .. }
        | VerifyFinding::LibraryFileContent { .. } => vec![Advice::ReconcileSource],
        VerifyFinding::PreviewMissing { .. } | VerifyFinding::PreviewLength { .. } => {
            vec![Advice::PreviewLostAll, Advice::IngestAll]
        }
        VerifyFinding::LibraryFileStray { .. } => vec![Advice::ReconcileStraysAll],
        _ => Vec::new(),
    }
}
