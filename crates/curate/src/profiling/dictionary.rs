//! Columns, keywords and names of HDUs of common programs: `dictionary.toml`.

use model::profile::Glob;
use std::sync::OnceLock;
use toml::{Table, Value};

/// The dictionary, as it is written.
#[derive(Debug)]
pub(super) struct Dictionary(Table);

/// A program that writes catalogues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program<'d>(&'d Table);

impl Dictionary {
    /// Returns the dictionary of this program.
    pub fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Dictionary> = OnceLock::new();
        SHIPPED.get_or_init(|| Self(include_str!("dictionary.toml").parse().unwrap_or_default()))
    }

    /// Returns the programs in the order of the file.
    pub fn programs(&self) -> impl Iterator<Item = Program<'_>> {
        let all = self.0.get("program").and_then(Value::as_array);
        all.into_iter().flatten().filter_map(Value::as_table).map(Program)
    }

    /// Returns the columns of delivered magnitudes by computed column of `detection`.
    pub fn magnitudes(&self) -> Vec<(&str, Vec<String>)> {
        let all = self.0.get("magnitudes").and_then(Value::as_table);
        all.into_iter().flatten().map(|(column, list)| (column.as_str(), texts(list))).collect()
    }

    /// Returns the keywords of a kind: identity, frame_type, filter, project, exposure, mjd, seeing, extinction, zero_point.
    pub fn keywords(&self, kind: &str) -> Vec<String> {
        self.0.get("keywords").and_then(|k| k.get(kind)).map(texts).unwrap_or_default()
    }

    /// Returns the role of an HDU of this name: of an image, or of a table. `None` for a name that is not in the dictionary.
    pub fn role(&self, name: &str, is_table: bool) -> Option<&str> {
        const OF_TABLES: [&str; 2] = ["catalogue", "header"];
        let fits = |(role, _): &(&str, _)| is_table == OF_TABLES.contains(role);
        self.first_fit("roles", name, fits)
    }

    /// Returns the kind of frames with this value of the keyword of frame types.
    pub fn frame_kind(&self, value: &str) -> Option<&str> {
        self.first_fit("frames", value, |_| true)
    }

    /// Returns the first key of a section one of whose globs fits. Sections are in alphabetical order; a glob without a star
    /// counts before the others.
    fn first_fit(
        &self,
        section: &str,
        text: &str,
        admits: impl Fn(&(&str, Vec<String>)) -> bool,
    ) -> Option<&str> {
        let all = self.0.get(section).and_then(Value::as_table)?;
        let keys: Vec<(&str, Vec<String>)> =
            all.iter().map(|(key, list)| (key.as_str(), texts(list))).filter(admits).collect();
        let fitting = |is_exact: bool| {
            let fits = |glob: &String| glob.contains('*') != is_exact && Glob::new(glob).fits(text);
            keys.iter().find(|(_, globs)| globs.iter().any(fits)).map(|(key, _)| *key)
        };
        fitting(true).or_else(|| fitting(false))
    }
}

impl<'d> Program<'d> {
    /// Returns the name of the program.
    pub fn name(self) -> &'d str {
        self.0.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the columns that few other programs have.
    pub fn marks(self) -> Vec<String> {
        self.0.get("marks").map(texts).unwrap_or_default()
    }

    /// Returns the pixel coordinate that the program gives to the centre of the first pixel.
    pub fn pixel_origin(self) -> Option<i64> {
        self.0.get("pixel_origin")?.as_integer()
    }

    /// Returns its columns by column of `detection`.
    pub fn columns(self) -> Vec<(&'d str, Vec<String>)> {
        let all = self.0.get("columns").and_then(Value::as_table);
        all.into_iter().flatten().map(|(column, list)| (column.as_str(), texts(list))).collect()
    }

    /// Returns its vector columns, each with the name of the columns of `detection` that its elements are; `#` is the number.
    pub fn vectors(self) -> Vec<(&'d str, &'d str)> {
        let all = self.0.get("vectors").and_then(Value::as_table);
        all.into_iter()
            .flatten()
            .filter_map(|(name, to)| Some((name.as_str(), to.as_str()?)))
            .collect()
    }

    /// Returns the difference between the definitions of a column and of the program's.
    pub fn unlike(self, column: &str) -> Option<&'d str> {
        self.0.get("unlike")?.get(column)?.as_str()
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_names_columns_that_exist() {
        let dictionary = Dictionary::shipped();
        let detection = model::tables::table("detection").unwrap();
        assert_eq!(dictionary.programs().count(), 7);
        for program in dictionary.programs() {
            assert!(!program.name().is_empty() && !program.marks().is_empty());
            assert!(matches!(program.pixel_origin(), Some(0 | 1)), "{}", program.name());
            for (column, names) in program.columns() {
                let defined = detection.column(column).unwrap_or_else(|| panic!("{column}"));
                assert!(defined.ttype.is_some(), "{column} is computed");
                assert!(!names.is_empty());
            }
        }
        for (column, names) in dictionary.magnitudes() {
            assert!(detection.column(column).is_some_and(|c| c.ttype.is_none()), "{column}");
            assert!(!names.is_empty());
        }
        let kinds = [
            "identity",
            "frame_type",
            "filter",
            "project",
            "exposure",
            "mjd",
            "seeing",
            "extinction",
            "zero_point",
        ];
        assert!(kinds.iter().all(|kind| !dictionary.keywords(kind).is_empty()));
    }

    #[test]
    fn roles_and_frames() {
        let dictionary = Dictionary::shipped();
        assert_eq!(dictionary.role("BPM", false), Some("mask"));
        assert_eq!(dictionary.role("SCI", false), Some("image"));
        assert_eq!(dictionary.role("SKY", false), Some("background"));
        assert_eq!(dictionary.role("CAT", true), Some("catalogue"));
        assert_eq!(dictionary.role("LDAC_IMHEAD", true), Some("header"));
        assert_eq!(dictionary.role("CAT", false), None);
        assert_eq!(dictionary.role("XYZ", true), None);
        assert_eq!(dictionary.frame_kind("SKYFLAT"), Some("calibration"));
        assert_eq!(dictionary.frame_kind("EXPOSE"), Some("science"));
        assert_eq!(dictionary.frame_kind("dqmask"), Some("confidence"));
        assert_eq!(dictionary.frame_kind("XYZ"), None);
    }
}
