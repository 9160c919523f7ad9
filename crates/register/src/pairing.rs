//! Pairing of catalogues with images: by the common part of their names under the survey's rules.

use archive::registration::Partner;
use model::FileKind;
use model::profile::{Naming, SurveyProfile};

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
