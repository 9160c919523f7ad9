//! The reasons for which a file gets one profile and none of the others.

use super::{Identifying, MatchRule, SurveyProfile, choose};

/// A profile with the reason why a file got it, or did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFit {
    /// Name of the profile.
    pub profile: String,
    /// True for the profile that the file gets.
    pub is_chosen: bool,
    /// The reason, in words.
    pub why: String,
}

/// Returns the profiles with their reasons for a file, the chosen one first.
pub fn reasons<'p>(
    profiles: impl IntoIterator<Item = &'p SurveyProfile> + Clone,
    file: &Identifying<'_>,
) -> Vec<ProfileFit> {
    let chosen = choose(profiles.clone(), file).map(|p| &p.name);
    let fit = |profile: &SurveyProfile| ProfileFit {
        profile: profile.name.to_string(),
        is_chosen: Some(&profile.name) == chosen,
        why: why(profile, Some(&profile.name) == chosen, file),
    };
    let mut fits: Vec<ProfileFit> = profiles.into_iter().map(fit).collect();
    fits.sort_by_key(|fit| !fit.is_chosen);
    fits
}

/// Returns the choice in one sentence.
pub fn reasons_in_words(fits: &[ProfileFit]) -> String {
    let of = |fit: &ProfileFit| format!("{}: {}", fit.profile, fit.why);
    let others: Vec<String> = fits.iter().filter(|fit| !fit.is_chosen).map(of).collect();
    let chosen = fits.iter().find(|fit| fit.is_chosen);
    let chosen = chosen.map_or("no profile fits".to_owned(), |fit| {
        format!("profile {} ({})", fit.profile, fit.why)
    });
    if others.is_empty() { chosen } else { format!("{chosen}; not {}", others.join("; ")) }
}

fn why(profile: &SurveyProfile, is_chosen: bool, file: &Identifying<'_>) -> String {
    let met =
        |rule: &MatchRule| rule.0.keys().filter(|name| fault(rule, name, file).is_none()).count();
    match profile.fit(file) {
        Some(number) => {
            let whole = |rule: &&MatchRule| rule.0.len() == number && met(rule) == number;
            let rule = profile.matches.iter().find(whole);
            let named = rule.map(|rule| rule.0.keys().cloned().collect::<Vec<_>>().join(", "));
            let named = named.unwrap_or_default();
            match is_chosen {
                true => format!("{named} fits its [[match]]"),
                false => format!("{named} fits its [[match]], and a longer or earlier one too"),
            }
        }
        None if is_chosen => "the fallback, as no [[match]] fits".to_owned(),
        None => {
            // The rule that comes nearest.
            let nearest = profile.matches.iter().max_by_key(|rule| met(rule));
            let fault =
                nearest.and_then(|rule| rule.0.keys().find_map(|name| fault(rule, name, file)));
            fault.unwrap_or_else(|| "the fallback, and another profile fits".to_owned())
        }
    }
}

/// Returns the reason why a condition of a rule does not fit; `None` when it does.
fn fault(rule: &MatchRule, name: &str, file: &Identifying<'_>) -> Option<String> {
    let glob = rule.0.get(name)?;
    match file.text(name) {
        None => Some(format!("{name} is absent")),
        Some(text) if glob.fits(&text) => None,
        Some(text) => {
            let (text, glob) = (crate::shown_briefly(text.trim(), 60), glob.written());
            Some(format!("{name} = {text:?} does not fit {glob:?}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::shipped;

    #[test]
    fn the_choice_is_explained() {
        let profiles: Vec<SurveyProfile> =
            shipped().iter().map(|(_, text)| SurveyProfile::parse(text).unwrap()).collect();
        let explained = |cards: &[(&str, &str)]| {
            let keyword = |name: &str| {
                cards.iter().find(|(k, _)| *k == name).map(|(_, text)| (*text).to_owned())
            };
            let file = Identifying { file: "a.fits", keyword: &keyword };
            reasons_in_words(&reasons(profiles.iter().filter(|p| p.name != "vista"), &file))
        };
        assert_eq!(
            explained(&[("INSTRUME", "WFCAM ")]),
            "profile wfcam (INSTRUME fits its [[match]]); not hawki: INSTRUME = \"WFCAM\" does not fit \"HAWKI*\"; \
             generic: the fallback, and another profile fits"
        );
        assert_eq!(
            explained(&[("INSTRUME", "fa20")]),
            "profile generic (the fallback, as no [[match]] fits); \
             not wfcam: INSTRUME = \"fa20\" does not fit \"WFCAM*\"; \
             hawki: INSTRUME = \"fa20\" does not fit \"HAWKI*\""
        );
        assert!(explained(&[]).contains("wfcam: INSTRUME is absent"), "{}", explained(&[]));
        let wfcam = &profiles[..1];
        let unknown = Identifying { file: "a.fits", keyword: &|_| None };
        assert!(
            reasons_in_words(&reasons(wfcam, &unknown)).starts_with("no profile fits; not wfcam: ")
        );
    }
}
