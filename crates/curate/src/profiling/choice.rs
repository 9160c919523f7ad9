//! The profile of a file, and the conditions that the others lack.

use super::candidates::Candidates;
use super::delivered::Delivered;
use crate::steps::reprofile::{fits_in, identified_file};
use fits::FitsFile;
use model::profile::{MatchRule, SurveyProfile};

/// A file as the rules of profiles see it.
pub(super) struct Chosen {
    file: FitsFile,
    name: String,
}

impl Chosen {
    /// Opens a file; `None` when it is not FITS.
    pub fn open(file: &Delivered) -> Option<Self> {
        Some(Self { file: file.open()?, name: file.name.clone() })
    }

    /// Returns true when a rule fits the file.
    pub fn fits(&self, rule: &MatchRule) -> bool {
        identified_file(&self.name, &self.file, |file| rule.fits(file)).unwrap_or(false)
    }

    /// Returns the reason for which a profile takes the file, and for each other profile what it lacks.
    pub fn reasons(&self, candidates: &Candidates, chosen: &str) -> (String, String) {
        let profiles: Vec<SurveyProfile> =
            candidates.all.iter().map(|one| one.profile.clone()).collect();
        let fits = fits_in(&profiles, &self.name, &self.file);
        let why = fits.iter().find(|fit| fit.profile == chosen);
        let why = why.map(|fit| fit.why.clone()).unwrap_or_default();
        let others = fits.iter().filter(|fit| fit.profile != chosen);
        let others: Vec<String> =
            others.map(|fit| format!("{}: {}", fit.profile, fit.why)).collect();
        (why, others.join("; "))
    }
}
