//! Programmes: which programme a PROJECT text means.
//!
//! The rules are those of the WSA's curation: survey names are searched for inside a noisy text, all others are
//! compared whole, so that `u/05a/3` is never mistaken for `u/05a/37`.

use crate::task::ProgrammeRef;
use crate::{ProgrammeId, ProgrammeName};
use serde::Deserialize;
use std::cmp::Reverse;

/// A programme that is part of a survey.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programme {
    /// `programme_id`, unique in the archive.
    #[serde(deserialize_with = "super::from_one")]
    pub id: ProgrammeId,
    /// Short name, e.g. `LAS`.
    pub name: ProgrammeName,
    /// The PROJECT text it is known by.
    pub project: String,
    /// One line for human readers.
    #[serde(default)]
    pub title: String,
    /// Some sentences.
    #[serde(default)]
    pub description: String,
    /// Months for which its data are not public.
    #[serde(default)]
    pub proprietary_months: Option<i16>,
    /// A reference for readers.
    #[serde(default)]
    pub reference: String,
}

impl Programme {
    /// Returns the programme in the form that a node needs.
    pub fn to_ref(&self) -> ProgrammeRef {
        ProgrammeRef {
            programme_id: self.id,
            name: self.name.clone(),
            project: self.project.clone(),
        }
    }
}

/// Rules for reading PROJECT. The first matching rule decides; without one the whole text is compared.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectRules {
    /// Keywords that hold the project; the first one with a value counts. Primary header, then the first image's.
    pub keywords: Vec<String>,
    /// Name of the programme of calibration frames that name no project; without it they belong to none.
    pub calibration: Option<String>,
    /// Name of the programme of all frames that name no project at all; without it they are parked.
    pub unnamed: Option<String>,
    /// The rules.
    #[serde(rename = "rule")]
    pub rules: Vec<ProjectRule>,
}

impl Default for ProjectRules {
    fn default() -> Self {
        Self {
            keywords: vec!["PROJECT".to_owned()],
            calibration: None,
            unnamed: None,
            rules: Vec::new(),
        }
    }
}

/// A rule for reading some PROJECT texts. Case is ignored.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectRule {
    /// Applies to texts that begin with this.
    pub starts_with: Option<String>,
    /// Applies to this text only.
    pub equals: Option<String>,
    /// The text to compare instead.
    pub becomes: Option<String>,
    /// Text behind which everything is removed; the rest is compared whole.
    pub cut_after: Option<String>,
    /// Text from which on everything is removed; the rest is compared whole, e.g. `(` of ESO's `179.A-2010(B)`.
    pub cut_before: Option<String>,
    /// Searches for the registered projects that begin with `starts_with`: the programme meant is the first whose
    /// remainder occurs in the remainder of the text.
    pub find_registered: bool,
}

/// A programme that a PROJECT text can mean.
pub trait OfProject {
    /// Returns the PROJECT text that the programme is known by.
    fn project(&self) -> &str;
}

impl OfProject for ProgrammeRef {
    fn project(&self) -> &str {
        &self.project
    }
}

impl OfProject for String {
    fn project(&self) -> &str {
        self
    }
}

/// The result of reading a PROJECT text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignment<'p, P = ProgrammeRef> {
    /// The text means this programme.
    Programme(&'p P),
    /// The text names no project.
    Unnamed,
    /// The text names a project that is not registered.
    Unknown,
}

impl ProjectRules {
    /// Returns the programme that a PROJECT text means.
    pub fn assign<'p, P: OfProject>(
        &self,
        project: &str,
        programmes: &'p [P],
    ) -> Assignment<'p, P> {
        let text = project.trim().to_lowercase();
        if text.is_empty() {
            return Assignment::Unnamed;
        }
        let found = match self.rules.iter().find(|rule| rule.applies(&text)) {
            Some(rule) => rule.read(&text, programmes),
            None => whole(&text, programmes),
        };
        found.map_or(Assignment::Unknown, Assignment::Programme)
    }
}

impl ProjectRule {
    fn applies(&self, text: &str) -> bool {
        let starts = self.starts_with.as_ref().map(|s| text.starts_with(&s.to_lowercase()));
        let equals = self.equals.as_ref().map(|e| text == e.trim().to_lowercase());
        starts.or(equals).is_some() && starts.unwrap_or(true) && equals.unwrap_or(true)
    }

    fn read<'p, P: OfProject>(&self, text: &str, programmes: &'p [P]) -> Option<&'p P> {
        if let Some(other) = &self.becomes {
            return whole(&other.trim().to_lowercase(), programmes);
        }
        if let Some(mark) = self.cut_after.as_ref().map(|m| m.to_lowercase())
            && let Some(at) = text.find(&mark)
        {
            return whole(&text[..at + mark.len()], programmes);
        }
        if let Some(mark) = self.cut_before.as_ref().map(|m| m.to_lowercase())
            && let Some(at) = text.find(&mark)
        {
            return whole(text[..at].trim_end(), programmes);
        }
        if !self.find_registered {
            return whole(text, programmes);
        }
        let prefix = self.starts_with.as_deref().unwrap_or_default().to_lowercase();
        registered(&prefix, text, programmes)
    }
}

fn whole<'p, P: OfProject>(text: &str, programmes: &'p [P]) -> Option<&'p P> {
    programmes.iter().find(|p| p.project().trim().to_lowercase() == text)
}

/// Returns, among the projects that begin with the prefix, the one whose remainder occurs earliest in the text's
/// remainder; of several at one position, the longest.
fn registered<'p, P: OfProject>(prefix: &str, text: &str, programmes: &'p [P]) -> Option<&'p P> {
    let rest = text.strip_prefix(prefix)?;
    let mut best: Option<((usize, Reverse<usize>), &P)> = None;
    for programme in programmes {
        let project = programme.project().trim().to_lowercase();
        let Some(name) = project.strip_prefix(prefix).map(|n| n.trim_matches('/')) else {
            continue;
        };
        let Some(at) = occurs(rest, name) else { continue };
        let place = (at, Reverse(name.len()));
        if best.is_none_or(|(first, _)| place < first) {
            best = Some((place, programme));
        }
    }
    best.map(|(_, programme)| programme)
}

/// Returns the position of a name in a text at which it does not split a number: `10` is not in `101`.
fn occurs(text: &str, name: &str) -> Option<usize> {
    if name.is_empty() {
        return None;
    }
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let (begins, ends) = (digit(name.chars().next()), digit(name.chars().next_back()));
    text.match_indices(name).map(|(at, _)| at).find(|at| {
        let cut_before = begins && digit(text[..*at].chars().next_back());
        let cut_behind = ends && digit(text[at + name.len()..].chars().next());
        !cut_before && !cut_behind
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{SurveyProfile, shipped};

    fn registered() -> Vec<ProgrammeRef> {
        let projects = [
            ("LAS", "U/UKIDSS/LAS"),
            ("GCS", "U/UKIDSS/GCS"),
            ("UDS", "u/ukidss/uds"),
            ("LASSV", "U/UKIDSS/LAS_SV"),
            ("EC1", "U/EC/1"),
            ("EC10", "U/EC/10"),
            ("U05A3", "u/05a/3"),
            ("U05A37", "u/05a/37"),
            ("CAL", "CAL"),
        ];
        let refs = projects.iter().enumerate().map(|(n, (name, project))| ProgrammeRef {
            programme_id: ProgrammeId::new(n as i32 + 1).unwrap(),
            name: name.parse().unwrap(),
            project: (*project).to_owned(),
        });
        refs.collect()
    }

    #[test]
    fn runs_of_an_eso_programme() {
        let text = shipped().iter().find(|(name, _)| *name == "vista").unwrap().1;
        let profile = SurveyProfile::parse(text).unwrap();
        let programmes: Vec<_> = profile.programmes.iter().map(Programme::to_ref).collect();
        let cases = [
            ("179.A-2010(B)", Some("VHS")),
            ("179.B-2002(A)", Some("VVV")),
            ("179.a-2010", Some("VHS")),
            ("179.A-20101(B)", None),
            ("60.A-9285(B)", None),
        ];
        for (project, wanted) in cases {
            let got = match profile.project.assign(project, &programmes) {
                Assignment::Programme(p) => Some(p.name.as_str()),
                _ => None,
            };
            assert_eq!(got, wanted, "ESO OBS PROG ID {project:?}");
        }
    }

    #[test]
    fn projects_of_wfcam() {
        let cases = [
            ("U/UKIDSS/GCS21", Some("GCS")), // a real header: the field number is noise
            ("u/ukidss/gcs", Some("GCS")),
            ("U/UKIDSS/LAS_J1  ", Some("LAS")),
            ("U/UKIDSS/LAS_SV/3", Some("LASSV")), // science verification counts for itself
            ("U/UKIDSS/GCS_SV", None),            // … and is never taken for the survey
            ("U/UKIDSS/XYZ", None),
            ("U/EC/10 ", Some("EC10")), // a real header
            ("U/EC/1", Some("EC1")),
            ("U/EC/1_focus", Some("EC1")),
            ("U/EC/101", None), // no number is cut in two
            ("u/05a/3", Some("U05A3")),
            ("U/05A/37", Some("U05A37")),
            ("u/05a/377", None),
            ("u/05a/3 extra", None),
            ("UKIRTCAL", Some("CAL")),
            ("ukirtcal", Some("CAL")),
            ("UKIRTCAL2", None),
            ("cal", Some("CAL")),
        ];
        let profile = SurveyProfile::parse(shipped()[0].1).unwrap();
        let programmes = registered();
        for (project, wanted) in cases {
            let got = match profile.project.assign(project, &programmes) {
                Assignment::Programme(p) => Some(p.name.as_str()),
                Assignment::Unknown => None,
                Assignment::Unnamed => Some("unnamed"),
            };
            assert_eq!(got, wanted, "PROJECT {project:?}");
        }
        assert_eq!(profile.project.assign("   ", &programmes), Assignment::Unnamed);
    }
}
