//! Companions: files that belong to an image, such as its mask or its weights, and their names.

use super::naming::Naming;
use super::{Role, SurveyProfile};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A kind of files that belong to images. Their names are those of the images with another part:
///
/// ```toml
/// [[companion]]
/// role = "mask"
/// replace = { "_ooi_" = "_ood_" }
/// ```
///
/// The companions of an image are in `provenance`, and `explain` shows them. A companion has a row of metadata of its own, whose
/// seeing, sky and zero points are NULL: those of its header are the image's.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Companion {
    /// The role of the file for its image: `mask`, `weight`, `error`, `background` or `quicklook`.
    pub role: Role,
    /// Parts of the image's name, each with the text that is in its place in the name of the companion. An image whose name lacks
    /// one of them has no such companion.
    #[serde(default)]
    pub replace: BTreeMap<String, String>,
    /// The companion's name is the root of the image's name with this suffix, e.g. `_mask`; instead of `replace`.
    #[serde(default)]
    pub suffix: Option<String>,
}

impl Companion {
    /// The roles that a companion may have.
    const ROLES: [Role; 5] =
        [Role::Mask, Role::Weight, Role::Error, Role::Background, Role::Quicklook];

    /// Returns the companion's name of an image; both are names within the delivery.
    fn name_for(&self, naming: &Naming, image: &str) -> Option<String> {
        let (directory, file) = image.split_at(image.rfind('/').map_or(0, |slash| slash + 1));
        let name = match &self.suffix {
            Some(suffix) => {
                let endings = &file[crate::frame_name(file).len()..];
                format!("{}{suffix}{endings}", naming.stem(file).root)
            }
            None => replaced(file, self.replace.iter())?,
        };
        (name != file).then(|| format!("{directory}{name}"))
    }

    /// Returns true when a file is such a companion by its name.
    fn fits(&self, naming: &Naming, name: &str) -> bool {
        let file = &name[name.rfind('/').map_or(0, |slash| slash + 1)..];
        match &self.suffix {
            Some(suffix) => {
                let root = crate::frame_name(file).strip_suffix(suffix.as_str());
                root.is_some_and(|root| !root.is_empty())
            }
            None => replaced(file, self.replace.iter().map(|(from, to)| (to, from)))
                .is_some_and(|image| self.name_for(naming, &image).as_deref() == Some(file)),
        }
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if !Self::ROLES.contains(&self.role) {
            let roles = Self::ROLES.map(Role::name).join(", ");
            faults.push(("role", format!("{:?} is not one of {roles}", self.role.name())));
        }
        match (&self.suffix, self.replace.is_empty()) {
            (None, true) => faults.push(("", "`replace` or `suffix` is missing".to_owned())),
            (Some(_), false) => {
                faults.push(("suffix", "`replace` gives the name already".to_owned()));
            }
            (Some(suffix), _) if suffix.is_empty() => {
                faults.push(("suffix", "the suffix is empty".to_owned()));
            }
            _ => {}
        }
        if self.replace.iter().any(|(from, to)| from.is_empty() || to.is_empty() || from == to) {
            let message = "a part is empty, or equal to what is in its place".to_owned();
            faults.push(("replace", message));
        }
        faults
    }
}

/// Returns a name with all replacements; `None` when it lacks one of the parts.
fn replaced<'r>(
    name: &str,
    replacements: impl Iterator<Item = (&'r String, &'r String)>,
) -> Option<String> {
    let mut name = name.to_owned();
    for (from, to) in replacements {
        if !name.contains(from.as_str()) {
            return None;
        }
        name = name.replace(from.as_str(), to);
    }
    Some(name)
}

impl SurveyProfile {
    /// Returns roles and names of the companions that an image has by its name; empty for a file that is a companion itself.
    pub fn companions_of(&self, image: &str) -> Vec<(Role, String)> {
        if self.is_companion(image) {
            return Vec::new();
        }
        let one = |rule: &Companion| Some((rule.role, rule.name_for(&self.naming, image)?));
        self.companions.iter().filter_map(one).collect()
    }

    /// Returns true when a file is a companion of an image by its name.
    pub fn is_companion(&self, name: &str) -> bool {
        self.companions.iter().any(|rule| rule.fits(&self.naming, name))
    }
}

/// Returns the faults of a profile's companions.
pub(super) fn check(companions: &[Companion]) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for (n, companion) in companions.iter().enumerate() {
        faults.extend(companion.faults().into_iter().map(|(key, message)| match key {
            "" => (format!("companion.{n}"), message),
            key => (format!("companion.{n}.{key}"), message),
        }));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::shipped;

    fn parsed(companions: &str) -> Result<SurveyProfile, crate::profile::ProfileFaults> {
        let text = shipped().iter().find(|(name, _)| *name == "hawki").unwrap().1;
        SurveyProfile::parse(&format!("{text}\n{companions}"))
    }

    #[test]
    fn names_of_companions() {
        let profile = parsed(
            "[[companion]]\nrole = \"mask\"\nreplace = { \"_ooi_\" = \"_ood_\" }\n
             [[companion]]\nrole = \"weight\"\nreplace = { \"_ooi_\" = \"_oow_\" }\n
             [[companion]]\nrole = \"error\"\nsuffix = \"_err\"\n
             [[companion]]\nrole = \"quicklook\"\nreplace = { \"_ooi_\" = \"_ql_\", \".fits.fz\" = \".png\" }",
        )
        .unwrap();
        let cases: [(&str, &[&str]); 6] = [
            (
                "n1/c4d_ooi_z.fits.fz",
                &[
                    "mask n1/c4d_ood_z.fits.fz",
                    "weight n1/c4d_oow_z.fits.fz",
                    "error n1/c4d_ooi_z_err.fits.fz",
                    "quicklook n1/c4d_ql_z.png",
                ],
            ),
            ("a.fit", &["error a_err.fit"]),
            ("a", &["error a_err"]),
            ("a_err.fit", &[]),
            ("c4d_ood_z.fits.fz", &[]),
            ("c4d_ql_z.png", &[]),
        ];
        for (image, wanted) in cases {
            let named = profile.companions_of(image).into_iter();
            let named: Vec<String> =
                named.map(|(r, name)| format!("{} {name}", r.name())).collect();
            assert_eq!(named, wanted, "{image}");
            assert_eq!(profile.is_companion(image), wanted.is_empty(), "{image}");
        }
        // A part that stays in the name is no sign of an image.
        let longer =
            parsed("[[companion]]\nrole = \"mask\"\nreplace = { \".fits\" = \".mask.fits\" }")
                .unwrap();
        let names = |image: &str| longer.companions_of(image);
        assert_eq!(names("a.fits"), [(Role::Mask, "a.mask.fits".to_owned())]);
        assert_eq!(names("a.mask.fits"), []);
    }

    #[test]
    fn faults_name_key_and_choices() {
        let cases = [
            (
                "role = \"dark\"\nsuffix = \"_d\"",
                "companion.0.role: \"dark\" is not one of mask, weight, error, background, quicklook",
            ),
            ("role = \"mask\"", "companion.0: `replace` or `suffix` is missing"),
            ("role = \"mask\"\nsuffix = \"\"", "companion.0.suffix: the suffix is empty"),
            (
                "role = \"mask\"\nsuffix = \"_m\"\nreplace = { \"a\" = \"b\" }",
                "companion.0.suffix: `replace` gives the name already",
            ),
            (
                "role = \"mask\"\nreplace = { \"a\" = \"\" }",
                "companion.0.replace: a part is empty, or equal to what is in its place",
            ),
        ];
        for (text, wanted) in cases {
            let faults = parsed(&format!("[[companion]]\n{text}")).unwrap_err();
            assert!(faults.to_string().ends_with(wanted), "{faults}");
        }
        let faults = parsed("[[companion]]\nrole = \"masks\"\nsuffix = \"_m\"").unwrap_err();
        assert!(faults.to_string().contains("`quicklook`"), "{faults}");
    }
}
