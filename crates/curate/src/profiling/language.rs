//! Keys of the profile language that a version of the parser may lack, and the lines of a draft that use them.
//!
//! A small profile with a key shows if the parser reads it. A draft uses each key from the version on that reads it; before, its
//! lines are comments.

use model::profile::SurveyProfile;
use toml::Value;

/// The keys that a draft may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Language {
    /// `[[hdu]]`, and `[[match]]` over the first image as well as the primary HDU.
    pub has_roles: bool,
    /// `catalogue.where`.
    pub has_where: bool,
    /// `{ row = true }` and `TTYPE[n]` among the spellings.
    pub has_elements: bool,
    /// `catalogue.position.pixel_origin`.
    pub has_pixel_origin: bool,
    /// `catalogue.pairing = "ldac"` and `{ keyword = … }`.
    pub has_pairing_modes: bool,
    /// `{yymmdd}`, `{hhmmss}`, `{any}` and `*` in patterns of names.
    pub has_fields: bool,
    /// `[night]`.
    pub has_night: bool,
}

impl Language {
    /// Returns the keys that the parser of this version reads.
    pub fn of_this_version() -> Self {
        let reads = |lines: &str| SurveyProfile::parse(&format!("{PROBE}{lines}")).is_ok();
        Self {
            has_roles: reads("[[hdu]]\nrole = \"mask\"\nextname = [\"BPM\"]\n"),
            has_where: reads("[catalogue]\nwhere = \"image\"\n"),
            has_elements: reads(
                "[catalogue.spellings]\nseq_num = [{ row = true }]\nx = [\"X[2]\"]\n",
            ),
            has_pixel_origin: reads("[catalogue.position]\npixel_origin = 0\n"),
            has_pairing_modes: reads("[catalogue]\npairing = \"ldac\"\n"),
            has_fields: SurveyProfile::parse(&PROBE.replace("{night}_v{version}", "{yymmdd}{any}"))
                .is_ok(),
            has_night: reads("[night]\nfrom = \"date_obs\"\n"),
        }
    }

    /// Returns a language with all keys.
    #[cfg(test)]
    pub fn full() -> Self {
        Self {
            has_roles: true,
            has_where: true,
            has_elements: true,
            has_pixel_origin: true,
            has_pairing_modes: true,
            has_fields: true,
            has_night: true,
        }
    }
}

/// A profile that every version reads.
const PROBE: &str = "name = \"probe\"\nsurvey_id = 999\ntitle = \"\"\nfallback = true\n\
    [naming]\ndelivery = \"{night}_v{version}\"\nextensions = [\".fits\"]\n";

/// Returns the rule for HDUs of a name; a comment when the language lacks it.
pub(super) fn hdu_rule(language: Language, role: &str, name: &str, is_table: bool) -> String {
    let kind = if is_table { "table" } else { "image" };
    let (role, name) = (Value::from(role), Value::from(name));
    let lines = format!("[[hdu]]\nrole = {role}\nkind = \"{kind}\"\nextname = [{name}]\n");
    if_read(language.has_roles, &lines)
}

/// Returns the line for catalogues in the image file.
pub(super) fn catalogue_in_image(language: Language) -> String {
    if_read(language.has_where, "where = \"image\"\n")
}

/// Returns the spelling of sequence numbers by the position of rows.
pub(super) fn row_numbers(language: Language) -> String {
    if_read(language.has_elements, "seq_num = [{ row = true }]\n")
}

/// Returns the line for the pixel coordinate of the first pixel, which the positions of rows have confirmed.
pub(super) fn pixel_origin(language: Language, origin: i64) -> String {
    if_read(language.has_pixel_origin, &format!("pixel_origin = {origin}\n"))
}

/// Returns the section for nights by the dates of exposures.
pub(super) fn night(language: Language) -> String {
    let lines = "[night]\nfrom = \"date_obs\"\nnoon = 12.0\nutc_offset_h = 0.0 # TODO: local time minus UTC\n";
    if_read(language.has_night, lines)
}

/// Returns lines, as comments when the language lacks their key.
fn if_read(is_read: bool, lines: &str) -> String {
    match is_read {
        true => lines.to_owned(),
        false => {
            let comment = |line: &str| format!("# (not read by this version) {line}\n");
            lines.lines().map(comment).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_used_when_they_are_read() {
        let full = Language::full();
        let none = Language { has_roles: false, has_elements: false, ..full };
        assert_eq!(
            hdu_rule(full, "mask", "BPM", false),
            "[[hdu]]\nrole = \"mask\"\nkind = \"image\"\nextname = [\"BPM\"]\n"
        );
        assert!(hdu_rule(none, "mask", "BPM", false).lines().all(|line| line.starts_with("# ")));
        assert_eq!(row_numbers(full), "seq_num = [{ row = true }]\n");
        assert!(row_numbers(none).starts_with("# (not read by this version) seq_num"));
        assert_eq!(pixel_origin(full, 0), "pixel_origin = 0\n");
        assert_eq!(catalogue_in_image(full), "where = \"image\"\n");
        assert!(night(full).starts_with("[night]\nfrom = \"date_obs\"\n"));
    }

    #[test]
    fn the_probe_is_a_profile() {
        SurveyProfile::parse(PROBE).unwrap();
        let used = Language::of_this_version();
        let lines = [
            (used.has_roles, hdu_rule(used, "mask", "BPM", false)),
            (used.has_where, format!("[catalogue]\n{}", catalogue_in_image(used))),
            (used.has_elements, format!("[catalogue.spellings]\n{}", row_numbers(used))),
            (used.has_pixel_origin, format!("[catalogue.position]\n{}", pixel_origin(used, 0))),
            (used.has_night, night(used)),
        ];
        for (is_read, lines) in lines {
            assert_eq!(lines.contains("not read"), !is_read, "{lines}");
            SurveyProfile::parse(&format!("{PROBE}{lines}")).unwrap();
        }
    }
}
