//! Roles of HDUs: which are detectors, which are catalogues, and which are neither.

use super::pattern::Glob;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The role of an HDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HduRole {
    /// An image that is a detector.
    Image,
    /// A table that is the catalogue of a detector.
    Catalogue,
    /// An image that marks bad pixels of a detector.
    Mask,
    /// An image with the weights of the pixels of a detector.
    Weight,
    /// An image with the errors of the pixels of a detector.
    Error,
    /// An image with the background of a detector.
    Background,
    /// A table whose single cell holds the header of an image as text (`LDAC_IMHEAD`).
    Header,
    /// An HDU that is not used.
    Ignored,
}

/// The content of an HDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HduContent {
    /// Pixels, compressed or not.
    Image,
    /// Rows of a table.
    Table,
}

/// A rule for the role of HDUs: an HDU that fits all its conditions has this role.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HduRule {
    /// The role: `"image"`, `"catalogue"`, `"mask"`, `"weight"`, `"error"`, `"background"`, `"header"` (a table with the
    /// header of an image in its cell, as `LDAC_IMHEAD`) or `"ignored"`. `"catalogue"` and `"header"` fit tables alone,
    /// `"ignored"` images and tables, the others images alone. Example: `role = "mask"`.
    pub role: HduRole,
    /// `"image"` or `"table"`: the content of the HDU; left out: both. Example: `kind = "table"`.
    #[serde(default)]
    pub kind: Option<HduContent>,
    /// One of these globs fits EXTNAME; `""` fits an HDU without it. Any name when left out. Example:
    /// `extname = ["BPM", "DQ*"]`.
    #[serde(default)]
    pub extname: Vec<Glob>,
    /// EXTVER is one of these numbers, 1 for an HDU without it. Any number when left out. Example: `extver = [1]`.
    #[serde(default)]
    pub extver: Vec<i64>,
    /// The number of the HDU is one of these, that of the primary is 0. Any number when left out. Example:
    /// `number = [0, 1]`.
    #[serde(default)]
    pub number: Vec<u16>,
    /// For each keyword one of the globs fits its value in the header of the HDU itself. Example:
    /// `keywords = { IMAGETYP = ["OBJ*"] }`.
    #[serde(default)]
    pub keywords: BTreeMap<String, Vec<Glob>>,
}

/// An HDU as the rules see it.
#[derive(Clone, Copy)]
pub struct HduFacts<'a> {
    /// Number of the HDU, primary = 0.
    pub number: u16,
    /// Its content.
    pub content: HduContent,
    /// Returns the text of a keyword in its own header.
    pub keyword: &'a dyn Fn(&str) -> Option<String>,
}

/// The use of an HDU in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HduUse {
    /// A detector.
    Detector,
    /// A catalogue, or a table in a file without detectors that may be one.
    Catalogue,
    /// A table in an image file that has the columns of a catalogue and is not used.
    UnusedTable,
    /// None.
    Nothing,
}

impl HduRole {
    /// Returns the only content that an HDU of this role can have.
    fn content(self) -> Option<HduContent> {
        match self {
            Self::Ignored => None,
            Self::Catalogue | Self::Header => Some(HduContent::Table),
            Self::Image | Self::Mask | Self::Weight | Self::Error | Self::Background => {
                Some(HduContent::Image)
            }
        }
    }
}

impl HduRule {
    fn fits(&self, hdu: &HduFacts<'_>) -> bool {
        let is_any = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.fits(text));
        let text = |keyword: &str| (hdu.keyword)(keyword);
        let version = || text("EXTVER").map_or(Some(1), |number| number.trim().parse().ok());
        [self.kind, self.role.content()].iter().flatten().all(|content| *content == hdu.content)
            && (self.number.is_empty() || self.number.contains(&hdu.number))
            && (self.extname.is_empty()
                || is_any(&self.extname, &text("EXTNAME").unwrap_or_default()))
            && (self.extver.is_empty() || version().is_some_and(|v| self.extver.contains(&v)))
            && self
                .keywords
                .iter()
                .all(|(keyword, globs)| text(keyword).is_some_and(|text| is_any(globs, &text)))
    }
}

impl super::SurveyProfile {
    /// Returns the role that the first rule that fits gives to an HDU; `None` when no rule fits.
    pub fn hdu_role(&self, hdu: &HduFacts<'_>) -> Option<HduRole> {
        self.hdus.iter().find(|rule| rule.fits(hdu)).map(|rule| rule.role)
    }
}

/// Returns the faults that serde cannot find: (key path, fault).
pub(super) fn check(rules: &[HduRule]) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for (n, rule) in rules.iter().enumerate() {
        if let (Some(kind), Some(content)) = (rule.kind, rule.role.content())
            && kind != content
        {
            let fits = if content == HduContent::Table { "tables" } else { "images" };
            faults.push((format!("hdu.{n}.kind"), format!("the role fits {fits} alone")));
        }
        for keyword in rule.keywords.keys() {
            if let Some(message) = super::not_a_keyword(keyword) {
                faults.push((format!("hdu.{n}.keywords.{keyword}"), message));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::SurveyProfile;
    use super::*;

    fn profile(rules: &str) -> SurveyProfile {
        let start = "name = \"x\"\nsurvey_id = 9\ntitle = \"X\"\nfallback = true\n\
            naming = { delivery = \"{night}\", extensions = [] }\n";
        SurveyProfile::parse(&format!("{start}{rules}")).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn role(
        profile: &SurveyProfile,
        number: u16,
        content: HduContent,
        cards: &[(&str, &str)],
    ) -> Option<HduRole> {
        let keyword = |name: &str| {
            cards.iter().find(|(k, _)| *k == name).map(|(_, value)| (*value).to_owned())
        };
        profile.hdu_role(&HduFacts { number, content, keyword: &keyword })
    }

    #[test]
    fn the_first_rule_that_fits_gives_the_role() {
        use HduContent::{Image, Table};
        let profile = profile(
            "[[hdu]]\nrole = \"mask\"\nextname = [\"BPM\", \"DQ*\"]\n\
             [[hdu]]\nrole = \"catalogue\"\nextname = [\"\"]\nnumber = [2, 3]\n\
             [[hdu]]\nrole = \"error\"\nextver = [2]\nkeywords = { TYPE = [\"ERR*\"] }\n\
             [[hdu]]\nrole = \"ignored\"\nkind = \"table\"\n",
        );
        let name = |name| [("EXTNAME", name)];
        assert_eq!(role(&profile, 1, Image, &name("bpm ")), Some(HduRole::Mask));
        assert_eq!(role(&profile, 1, Image, &name("DQ_2")), Some(HduRole::Mask));
        assert_eq!(role(&profile, 1, Image, &name("SCI")), None);
        // A table of this name is no mask.
        assert_eq!(role(&profile, 1, Table, &name("BPM")), Some(HduRole::Ignored));
        assert_eq!(role(&profile, 2, Table, &[]), Some(HduRole::Catalogue));
        assert_eq!(role(&profile, 2, Table, &name("CAT")), Some(HduRole::Ignored));
        assert_eq!(role(&profile, 4, Table, &[]), Some(HduRole::Ignored));
        assert_eq!(role(&profile, 2, Image, &[]), None);
        let error = [("EXTVER", "2"), ("TYPE", "error")];
        assert_eq!(role(&profile, 5, Image, &error), Some(HduRole::Error));
        assert_eq!(role(&profile, 5, Image, &error[1..]), None);
        assert_eq!(role(&profile, 5, Image, &error[..1]), None);
    }

    #[test]
    fn faults_of_rules_name_line_and_key() {
        let start = "name = \"x\"\nsurvey_id = 9\ntitle = \"X\"\nfallback = true\n\
            naming = { delivery = \"{night}\", extensions = [] }\n";
        let text = format!(
            "{start}[[hdu]]\nrole = \"catalogue\"\nkind = \"image\"\n\
             [[hdu]]\nrole = \"masks\"\n\
             [[hdu]]\nrole = \"mask\"\nkeywords = {{ ImageTyp = [\"BPM\"] }}\n"
        );
        let faults = SurveyProfile::parse(&text).unwrap_err().to_string();
        for wanted in [
            "line 8: hdu.0.kind: the role fits tables alone",
            "line 10",
            "`weight`",
            "line 13: hdu.2.keywords.ImageTyp: ",
        ] {
            assert!(faults.contains(wanted), "{wanted}: {faults}");
        }
    }
}
