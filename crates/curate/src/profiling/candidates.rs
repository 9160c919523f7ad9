//! The profiles of a trial: the one that is checked, beside the others of a site.

use crate::failure;
use crate::profiles::{self, Loaded};
use anyhow::Context;
use model::profile::SurveyProfile;
use std::path::Path;

/// Profiles in the order in which a site reads them.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    /// All profiles.
    pub all: Vec<Loaded>,
    /// Position of the profile that is checked.
    pub given: usize,
}

impl Candidates {
    /// Reads a profile and those beside it: the profiles of a directory, else the shipped ones. The profile takes the place of
    /// one of its name.
    ///
    /// # Errors
    /// `Kind::Usage` with the faults of the profiles, as a site reports them.
    pub fn read(profile: &Path, with: Option<&Path>) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(profile)
            .with_context(|| format!("cannot read {}", profile.display()))?;
        let given = SurveyProfile::parse(&text)
            .map_err(|faults| failure::usage(format!("{}:\n{faults}", profile.display())))?;
        let others = match with {
            Some(directory) => profiles::load(directory)?,
            None => shipped(),
        };
        Self::of(Loaded { profile: given, text }, others)
    }

    /// Puts a profile beside others.
    ///
    /// # Errors
    /// `Kind::Usage` when two of them claim the same identity.
    pub fn of(given: Loaded, mut all: Vec<Loaded>) -> anyhow::Result<Self> {
        let name = given.profile.name.clone();
        all.retain(|one| one.profile.name != name);
        all.push(given);
        all.sort_by(|a, b| a.profile.name.cmp(&b.profile.name));
        let faults = profiles::contradictions(&all);
        if !faults.is_empty() {
            return Err(failure::usage(faults.join("\n")));
        }
        let given = all.iter().position(|one| one.profile.name == name).unwrap_or_default();
        Ok(Self { all, given })
    }

    /// Returns the profile that is checked.
    pub fn given(&self) -> &Loaded {
        &self.all[self.given]
    }

    /// Returns a profile by its name.
    pub fn named(&self, name: &str) -> Option<&Loaded> {
        self.all.iter().find(|one| one.profile.name == name)
    }
}

/// Returns the shipped profiles.
pub(super) fn shipped() -> Vec<Loaded> {
    let parsed = |(_, text): &(&str, &str)| {
        let profile = SurveyProfile::parse(text).ok()?;
        Some(Loaded { profile, text: (*text).to_owned() })
    };
    model::profile::shipped().iter().filter_map(parsed).collect()
}
