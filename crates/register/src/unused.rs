//! Patterns of survey profiles that fit no image of a delivery.
//!
//! A pattern is searched in the images of its own survey. Frame types and filters are not searched here: a night has few of
//! either, and a value that is in no filter is a finding of its own.

use model::profile::SurveyProfile;
use model::{Finding, RefusalCode, SurveyName};

/// Returns the search for patterns in `naming.runs` of some profiles that fit none of the images of their survey.
pub fn patterns(
    profiles: &[SurveyProfile],
) -> impl Fn(&[(String, Option<SurveyName>)]) -> Vec<Finding> + '_ {
    move |images| {
        let mut found = Vec::new();
        for profile in profiles {
            let is_own = |(_, survey): &&(String, Option<SurveyName>)| {
                survey.as_ref() == Some(&profile.name)
            };
            let mut own = images.iter().filter(is_own).map(|(name, _)| name.as_str());
            let Some(first) = own.next() else { continue };
            let names: Vec<&str> = std::iter::once(first).chain(own).collect();
            for pattern in &profile.naming.runs {
                let fits = |name: &&str| pattern.read(profile.naming.stem(name).root).is_some();
                if names.iter().any(fits) {
                    continue;
                }
                let (survey, text) = (&profile.name, pattern.as_str());
                let message = format!(
                    "naming.runs of {survey}: {text:?} fits none of the {} images of the survey in the delivery",
                    names.len()
                );
                found.push(Finding {
                    subject: Some(format!("{survey} naming.runs {text}")),
                    ..Finding::new(RefusalCode::PATTERN_UNUSED, first, message)
                });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_without_an_image_of_its_survey_is_found() {
        let text = "name = \"x\"\nsurvey_id = 5\ntitle = \"X\"\nfallback = true\n[naming]\ndelivery = \"*\"\n\
            extensions = [\".fits\"]\nruns = [\"x{night}_{run}\", \"x{yymmdd}\"]";
        let profiles = [SurveyProfile::parse(text).unwrap()];
        let search = patterns(&profiles);
        let image = |name: &str, survey: &str| (name.to_owned(), Some(survey.parse().unwrap()));
        assert!(search(&[image("y.fits", "y"), ("z".to_owned(), None)]).is_empty());
        let found = search(&[image("a.fits", "x"), image("x20071011_7.fits", "x")]);
        let subjects: Vec<_> = found.iter().map(|f| f.subject.as_deref().unwrap()).collect();
        assert_eq!(subjects, ["x naming.runs x{yymmdd}"]);
        assert_eq!(found[0].file, "a.fits");
        let message = "naming.runs of x: \"x{yymmdd}\" fits none of the 2 images of the survey in the delivery";
        assert_eq!(found[0].message, message);
    }
}
