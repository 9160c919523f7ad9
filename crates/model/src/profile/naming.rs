//! File and directory names of a survey: roots, suffix chains, and which catalogue belongs to which image.

use super::pattern::{Field, Glob, NamePattern};
use crate::Night;
use serde::Deserialize;

/// Naming rules of a survey.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Naming {
    /// Pattern of the names of delivery directories, e.g. `{night}_v{version}`. Its fields are those of
    /// [`NamePattern`]: `{night}`, `{yymmdd}`, `{mjd}`, `{hhmmss}`, `{run}`, `{version}`, `{any}` and `*`.
    pub delivery: NamePattern,
    /// Patterns of the roots of files with a night, a run number, or both, e.g. `w{night}_{run}` or `c4d_{yymmdd}_{hhmmss}_*`.
    /// The first one that fits counts. Without `{run}` the run number is NULL.
    #[serde(default)]
    pub runs: Vec<NamePattern>,
    /// Name extensions without meaning, in addition to `.fit`, `.fits`, `.fts`, `.fz` and `.gz`; removed repeatedly.
    pub extensions: Vec<String>,
    /// Name extensions that only catalogues have, e.g. `.cat`.
    #[serde(default)]
    pub catalogue_extensions: Vec<String>,
    /// Suffixes of products, e.g. `_sf`, `_st`, `_conf`; their chain records the processing.
    #[serde(default)]
    pub suffixes: Vec<String>,
    /// Suffixes that turn the name of an image into that of its catalogue, e.g. `_cat`.
    #[serde(default)]
    pub catalogue_suffixes: Vec<String>,
    /// Suffixes that are ignored when files are matched, e.g. `_fix`.
    #[serde(default)]
    pub ignored_suffixes: Vec<String>,
    /// The file that marks a delivery as complete, e.g. `OK_TO_COPY`.
    #[serde(default)]
    pub marker: Option<String>,
    /// Files that list the others with their checksums.
    #[serde(default)]
    pub manifests: Vec<Glob>,
    /// Patterns of the names of files still being written, in addition to those that every survey has, e.g. `*.xfer`; `!*.tmp`
    /// removes one.
    #[serde(default)]
    pub unfinished_patterns: Vec<String>,
}

/// Night and version, parsed from the name of a delivery directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedDelivery {
    /// Observing night; `None` when the pattern has none.
    pub night: Option<Night>,
    /// Version of the pipeline as it is written, e.g. `1` or `1.3`; empty when the pattern has none.
    pub version: String,
}

/// Night and run number, parsed from a file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunName {
    /// Observing night; `None` when the pattern has none.
    pub night: Option<Night>,
    /// Number of the exposure within the night; `None` when the pattern has none.
    pub run: Option<i32>,
}

/// The parts of a file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stem<'n> {
    /// The name without extensions and suffixes, e.g. `w20071011_01818`.
    pub root: &'n str,
    /// Chain of product suffixes, e.g. `_sf_st`.
    pub suffixes: &'n str,
    /// Root and product suffixes: the common part of the names of an image and its catalogue.
    pub image: &'n str,
    /// True when the name is that of a catalogue.
    pub catalogue: bool,
}

impl Naming {
    /// Splits a file name into its parts; a leading path is ignored.
    pub fn stem<'n>(&self, file_name: &'n str) -> Stem<'n> {
        let name = file_name.rsplit('/').next().unwrap_or(file_name);
        let (mut image, mut catalogue) = self.without_extensions(name);
        loop {
            if let Some(shorter) = strip_any(image, &self.catalogue_suffixes) {
                (image, catalogue) = (shorter, true);
            } else if let Some(shorter) = strip_any(image, &self.ignored_suffixes) {
                image = shorter;
            } else {
                break;
            }
        }
        let mut root = image;
        while let Some(shorter) = strip_any(root, &self.suffixes) {
            root = shorter;
        }
        Stem { root, suffixes: &image[root.len()..], image, catalogue }
    }

    fn without_extensions<'n>(&self, name: &'n str) -> (&'n str, bool) {
        let (mut stem, mut catalogue) = (name, false);
        loop {
            if let Some(shorter) = strip_any(stem, &self.catalogue_extensions) {
                (stem, catalogue) = (shorter, true);
            } else if let Some(shorter) = strip_any(stem, &self.extensions) {
                stem = shorter;
            } else if crate::frame_name(stem) != stem {
                stem = crate::frame_name(stem);
            } else {
                return (stem, catalogue);
            }
        }
    }

    /// Returns the suffixes and extensions that make a file name that of a catalogue, e.g. `_cat`; empty for other names. Catalogue
    /// files of one image that have the same ones are contents of one catalogue.
    pub fn catalogue_endings(&self, file_name: &str) -> String {
        let mut rest = file_name.rsplit('/').next().unwrap_or(file_name);
        let mut endings: Vec<&str> = Vec::new();
        loop {
            if let Some(shorter) = strip_any(rest, &self.catalogue_extensions) {
                endings.push(&rest[shorter.len()..]);
                rest = shorter;
            } else if let Some(shorter) = strip_any(rest, &self.extensions) {
                rest = shorter;
            } else if crate::frame_name(rest) != rest {
                rest = crate::frame_name(rest);
            } else {
                break;
            }
        }
        loop {
            if let Some(shorter) = strip_any(rest, &self.catalogue_suffixes) {
                endings.push(&rest[shorter.len()..]);
                rest = shorter;
            } else if let Some(shorter) = strip_any(rest, &self.ignored_suffixes) {
                rest = shorter;
            } else {
                break;
            }
        }
        endings.reverse();
        endings.concat()
    }

    /// Returns true when, by their names, the second file is the catalogue of the first.
    pub fn pairs(&self, image: &str, catalogue: &str) -> bool {
        let (image, catalogue) = (self.stem(image), self.stem(catalogue));
        !image.catalogue && catalogue.catalogue && image.image == catalogue.image
    }

    /// Returns night and version of a delivery directory, or of a delivery named after one: a label of its origin, as
    /// in `20071011_v1@cam2`, is not part of them.
    pub fn delivery(&self, name: &str) -> Option<NamedDelivery> {
        let label = || name.rmatch_indices('@').map(|(at, _)| &name[..at]);
        let fields =
            self.delivery.read(name).or_else(|| label().find_map(|d| self.delivery.read(d)))?;
        let version = fields.iter().find(|(f, _)| *f == Field::Version).map_or("", |(_, t)| t);
        Some(NamedDelivery { night: night_of(&fields), version: version.to_owned() })
    }

    /// Returns night and run number of a file.
    pub fn run(&self, file_name: &str) -> Option<RunName> {
        let root = self.stem(file_name).root;
        let fields = self.runs.iter().find_map(|pattern| pattern.read(root))?;
        let run = fields.iter().find(|(f, _)| *f == Field::Run);
        let run = run.map(|(_, text)| text.parse().ok());
        // A number that is none leaves the whole name unread.
        (run != Some(None)).then(|| RunName { night: night_of(&fields), run: run.flatten() })
    }

    /// Returns true when this file lists the others with their checksums.
    pub fn is_manifest(&self, file_name: &str) -> bool {
        self.manifests.iter().any(|glob| glob.fits(file_name))
    }
}

/// Returns the text without one of the endings; `None` without such an ending, or when no text would remain.
fn strip_any<'n>(text: &'n str, endings: &[String]) -> Option<&'n str> {
    endings
        .iter()
        .find_map(|ending| text.strip_suffix(ending.as_str()))
        .filter(|shorter| !shorter.is_empty() && shorter.len() < text.len())
}

fn night_of(fields: &[(Field, &str)]) -> Option<Night> {
    fields.iter().find_map(|(field, text)| field.night(text))
}

#[cfg(test)]
mod tests {
    use crate::Night;
    use crate::profile::{NamedDelivery, Naming, RunName, SurveyProfile, shipped};

    fn profile(name: &str) -> SurveyProfile {
        let text = shipped().iter().find(|(n, _)| *n == name).unwrap().1;
        SurveyProfile::parse(text).unwrap()
    }

    #[test]
    fn names_are_taken_apart() {
        let cases = [
            ("w20071011_01818_sf_st.fit", "w20071011_01818", "_sf_st", false),
            ("w20071011_01818_sf_st_conf.fit", "w20071011_01818", "_sf_st_conf", false),
            ("w20091210_00123_st_cat.fits", "w20091210_00123", "_st", true),
            ("w20091210_00123_st_cat_fix.fits", "w20091210_00123", "_st", true),
            ("w20091210_00123_st_fix_cat.fits", "w20091210_00123", "_st", true),
            ("w20091210_00123.fit", "w20091210_00123", "", false),
            ("dark_20071011_10_CDS_1.fit", "dark_20071011_10_CDS_1", "", false),
            ("pK_conf_aug2007.fit", "pK_conf_aug2007", "", false),
            ("v20130130_00563_st_tl.fit", "v20130130_00563", "_st_tl", false),
            ("_cat.fits", "_cat", "", false), // nothing would be left
            ("", "", "", false),
        ];
        let naming = profile("wfcam").naming;
        for (name, root, suffixes, catalogue) in cases {
            let stem = naming.stem(name);
            assert_eq!(
                (stem.root, stem.suffixes, stem.catalogue),
                (root, suffixes, catalogue),
                "{name}"
            );
        }
    }

    #[test]
    fn catalogues_find_their_image() {
        let cases = [
            ("wfcam", "w20091210_00123_st.fit", "w20091210_00123_st_cat.fits", true),
            ("wfcam", "w20091210_00123_st.fit.fz", "w20091210_00123_st_cat.fits", true),
            ("wfcam", "w20091210_00123_st.FIT.gz", "w20091210_00123_st_cat.fts", true),
            ("wfcam", "w20091210_00123_sf_st.fit", "w20091210_00123_st_cat.fits", false),
            ("wfcam", "w20091210_00123_st_conf.fit", "w20091210_00123_st_cat.fits", false),
            ("wfcam", "w20091210_00123_st_cat.fits", "w20091210_00123_st_cat.fits", false),
            ("hawki", "hawki_simA_stack.fits.fz", "hawki_simA_stack_cat.fits", true),
            ("generic", "procIMAGE802.fits", "procIMAGE802.fits.phot", true),
            ("generic", "procIMAGE802.fits", "procIMAGE802.cat", true),
        ];
        for (survey, image, catalogue, wanted) in cases {
            assert_eq!(
                profile(survey).naming.pairs(image, catalogue),
                wanted,
                "{image} {catalogue}"
            );
        }
    }

    #[test]
    fn names_of_one_catalogue_have_the_same_endings() {
        let cases = [
            ("w20091210_00123_st_cat.fits", "_cat"),
            ("w20091210_00123_st_cat.fits.gz", "_cat"),
            ("w20091210_00123_st_cat_fix.FIT", "_cat"),
            ("x/w20091210_00123_st_fix_cat.fits.fz", "_cat"),
            ("w20091210_00123_st_sexcat.fits", "_sexcat"),
            ("w20091210_00123_st.fit", ""),
            ("_cat.fits", ""), // nothing would be left
        ];
        let mut naming = profile("wfcam").naming;
        naming.catalogue_suffixes.insert(0, "_sexcat".to_owned());
        for (name, wanted) in cases {
            assert_eq!(naming.catalogue_endings(name), wanted, "{name}");
        }
        let naming = profile("generic").naming;
        let endings = ["procIMAGE802.fits.phot", "procIMAGE802.cat"]
            .map(|name| naming.catalogue_endings(name));
        assert_eq!(endings, [".phot", ".cat"]);
    }

    #[test]
    fn nights_versions_and_runs() {
        let naming = profile("wfcam").naming;
        let night = |number| Night::new(number).unwrap();
        let name = |number, version: &str| {
            Some(NamedDelivery { night: Some(night(number)), version: version.to_owned() })
        };
        assert_eq!(naming.delivery("20071011_v1"), name(20071011, "1"));
        assert_eq!(naming.delivery("20130130_v1.3"), name(20130130, "1.3"));
        assert_eq!(naming.delivery("20071311_v1"), None, "there is no month 13");
        assert_eq!(naming.delivery("00000101_v1"), None, "there is no year 0");
        assert_eq!(naming.delivery("../20071011_v1"), None);
        assert_eq!(naming.delivery("20071011_v1@cam2"), name(20071011, "1"));
        assert_eq!(naming.delivery("20071011_v1@cam2@x-2"), name(20071011, "1"));
        assert_eq!(naming.delivery("@20071011_v1"), None);
        let run = Some(RunName { night: Some(night(20071011)), run: Some(1818) });
        assert_eq!(naming.run("w20071011_01818_sf_st_cat.fits"), run);
        assert_eq!(naming.run("sky_20071011_1794_K.fit"), None);
        assert_eq!(naming.run("w20071011_99999999999.fit"), None);
    }

    #[test]
    fn a_run_number_and_a_night_are_optional() {
        let naming: Naming = toml::from_str(
            r#"
            delivery = "run{run}_v{version}"
            runs = ["c4d_{yymmdd}_{hhmmss}_*", "frame{run}"]
            extensions = [".fits"]
            "#,
        )
        .unwrap();
        let delivery = NamedDelivery { night: None, version: "2".to_owned() };
        assert_eq!(naming.delivery("run7_v2"), Some(delivery));
        let exposure = RunName { night: Night::new(20_150_412), run: None };
        assert_eq!(naming.run("c4d_150412_073257_ooi_z_v1.fits"), Some(exposure));
        assert_eq!(naming.run("frame12.fits"), Some(RunName { night: None, run: Some(12) }));
    }
}
