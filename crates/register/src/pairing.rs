//! Pairing of catalogues with images: by the common part of their names under the survey's rules.

use archive::registration::{Pairing, Partner};
use model::profile::{Naming, SurveyProfile};
use model::{FileKind, SurveyName};

/// The pairing rule of some profiles: the keys of [`rule`]. Two files are one catalogue when their names have the same suffixes and
/// extensions of catalogues, whatever else they are called.
pub struct Rule<'p> {
    profiles: &'p [SurveyProfile],
}

impl<'p> Rule<'p> {
    /// Makes the rule of some profiles.
    pub fn new(profiles: &'p [SurveyProfile]) -> Self {
        Self { profiles }
    }

    /// Returns the suffixes and extensions of catalogues in a name, by the first profile that knows any, its own before the others.
    fn endings(&self, name: &str, survey: Option<&SurveyName>) -> Option<String> {
        let own = |p: &&SurveyProfile| Some(&p.name) == survey;
        let (first, rest) = (self.profiles.iter().filter(own), self.profiles.iter());
        let endings = first.chain(rest).map(|profile| profile.naming.catalogue_endings(name));
        endings.into_iter().find(|endings| !endings.is_empty())
    }
}

impl Pairing for Rule<'_> {
    fn keys(&self, partner: Partner<'_>) -> Vec<String> {
        rule(self.profiles)(partner)
    }

    fn series(&self, catalogue: Partner<'_>) -> String {
        self.endings(catalogue.name, catalogue.survey).unwrap_or_default()
    }

    fn is_catalogue(&self, name: &str) -> bool {
        self.endings(name, None).is_some()
    }
}

/// Returns the pairing rule of some profiles. A catalogue is read by its own survey's names first, then by the others': its
/// header may fit another profile than its image's.
pub fn rule(profiles: &[SurveyProfile]) -> impl Fn(Partner<'_>) -> Vec<String> + '_ {
    move |partner| {
        let own = |p: &&SurveyProfile| Some(&p.name) == partner.survey;
        let first = profiles.iter().filter(own);
        let rest = profiles.iter().filter(|p| !own(p));
        match partner.kind {
            FileKind::Image => first.take(1).map(|p| key(&p.naming, partner.name)).collect(),
            _ => {
                let mut keys: Vec<String> = Vec::new();
                for profile in first.chain(rest) {
                    let key = key(&profile.naming, partner.name);
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
                keys
            }
        }
    }
}

/// Returns the directory within the delivery, root and product suffixes.
fn key(naming: &Naming, name: &str) -> String {
    let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{directory}/{}", naming.stem(name).image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SurveyName;

    #[test]
    fn catalogues_of_an_image_differ_by_their_endings() {
        let text = model::profile::shipped().iter().find(|(name, _)| *name == "wfcam").unwrap().1;
        let mut profile = SurveyProfile::parse(text).unwrap();
        profile.naming.catalogue_suffixes.push("_sexcat".to_owned());
        let profiles = [profile];
        let rule = Rule::new(&profiles);
        let series = |name| rule.series(Partner { kind: FileKind::Catalogue, name, survey: None });
        let one = series("w1_st_cat.fits");
        for name in ["w1_st_cat.fits.gz", "w1_st_cat_fix.fits", "w1_st_fix_cat.FIT"] {
            assert_eq!(series(name), one, "{name}");
        }
        assert_ne!(series("w1_st_sexcat.fits"), one);
        let named = ["w1_st_sexcat.fits", "w1_st.fit", "w1_st_cat.txt"];
        assert_eq!(named.map(|name| rule.is_catalogue(name)), [true, false, false]);
    }

    #[test]
    fn catalogues_find_images_by_their_survey_s_names() {
        let profiles: Vec<SurveyProfile> = model::profile::shipped()
            .iter()
            .map(|(_, text)| SurveyProfile::parse(text).unwrap())
            .collect();
        let rule = rule(&profiles);
        let cases = [
            ("w20071011_00100_st.fit", "w20071011_00100_st_cat.fits", Some("wfcam"), true),
            ("w20071011_00100_st.fit", "w20071011_00100_st_fix_cat.fits", Some("wfcam"), true),
            ("w20071011_00100_st.fit", "w20071011_00100_sf_st_cat.fits", Some("wfcam"), false),
            ("w20071011_00100_st.fit", "w20071011_00100_st_cat.fits", Some("generic"), true), // bare header
            ("w20071011_00100_st.fit", "x/w20071011_00100_st_cat.fits", Some("wfcam"), false),
        ];
        let name_of = |name: &str| name.parse::<SurveyName>().unwrap();
        for (image, catalogue, survey, wanted) in cases {
            let partner = |kind, name, survey| Partner { kind, name, survey };
            let [wfcam, survey] = [Some("wfcam"), survey].map(|name| name.map(name_of));
            let image = rule(partner(FileKind::Image, image, wfcam.as_ref()));
            let found = rule(partner(FileKind::Catalogue, catalogue, survey.as_ref()));
            let fits = found.iter().any(|key| image.contains(key));
            assert_eq!(fits, wanted, "{catalogue} as {survey:?}: {found:?}");
        }
    }
}
