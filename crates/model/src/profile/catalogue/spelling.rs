//! Spellings of columns: from which column of a table a column of the archive is read, and how its values are converted.

use super::unit::{UNITS_HELP, unit_factor};
use crate::tables::{Column, ColumnType};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// A column of a table, and the conversion of its values: `scale * value + add`.
///
/// A text is the name alone: `"FLUX_AUTO"`, `"FLUX_APER[2]"`. A table has the keys below:
/// `{ column = "THETA_IMAGE", add = 90.0 }`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spelling {
    /// TTYPE, compared without regard to case, or `TTYPE[n]`: element n of a vector column, from 1 as in CFITSIO. A TTYPE
    /// that has such brackets itself counts first. Example: `"FLUX_APER[2]"`.
    pub column: String,
    /// The factor on the values; default 1. Example: `scale = 0.001`.
    pub scale: f64,
    /// The number to add to the scaled values, 0 by default. A whole number is added to whole numbers without loss of
    /// digits. Example: `add = 90.0`.
    pub add: Addend,
    /// True to take the square root first, e.g. of a variance; negative values are unknown. Default false. Example:
    /// `sqrt = true`.
    pub sqrt: bool,
    /// The unit of the values (of the root with `sqrt`), when TUNIT is absent or wrong. They are converted to the unit of
    /// the column of the archive before `scale` and `add`. Without this key, TUNIT counts for a spelling that has neither
    /// `scale`, `add` nor `sqrt`. Example: `unit = "mmag"`.
    pub unit: Option<String>,
    /// How the cells are written. By default numbers are numbers, and RA and DEC may be text. Example:
    /// `format = "sexagesimal_h"`.
    pub format: Option<CellFormat>,
    /// Values of this column that mean unknown, as they are delivered, in addition to `unknown` of `[catalogue]`. Example:
    /// `unknown = [-99.0]`.
    pub unknown: Vec<f64>,
    /// True for the number of the row in its table, from 1, instead of a column; for `seq_num` alone. Default false.
    /// Example: `seq_num = [{ row = true }]`.
    pub row: bool,
}

impl Default for Spelling {
    fn default() -> Self {
        Self {
            column: String::new(),
            scale: 1.0,
            add: Addend::default(),
            sqrt: false,
            unit: None,
            format: None,
            unknown: Vec::new(),
            row: false,
        }
    }
}

/// A number that is added to values.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a number")]
pub enum Addend {
    /// A whole number.
    Whole(i64),
    /// Another number.
    Real(f64),
}

impl Default for Addend {
    fn default() -> Self {
        Self::Whole(0)
    }
}

impl Addend {
    /// Returns the number in double precision.
    pub fn real(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }

    /// Returns a whole number; `None` for a fraction.
    pub fn whole(self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(number),
            Self::Real(number) => {
                (number.fract() == 0.0 && number.abs() < 9.0e15).then_some(number as i64)
            }
        }
    }
}

/// The way in which cells are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellFormat {
    /// Numbers.
    Number,
    /// Texts of hours, minutes and seconds; the values are degrees.
    SexagesimalH,
    /// Texts of degrees, minutes and seconds.
    SexagesimalD,
    /// Texts of decimal numbers.
    TextNumber,
}

impl CellFormat {
    /// Returns true for angles in three parts.
    pub fn is_sexagesimal(self) -> bool {
        matches!(self, Self::SexagesimalH | Self::SexagesimalD)
    }
}

impl Spelling {
    /// Returns the spelling of a column whose values are copied.
    pub fn named(ttype: &str) -> Self {
        Self { column: ttype.to_owned(), ..Self::default() }
    }

    /// Returns the TTYPE and the number of the element, for a name such as `FLUX_APER[2]`.
    pub fn element(&self) -> Option<(&str, usize)> {
        let (ttype, number) = self.column.trim().strip_suffix(']')?.rsplit_once('[')?;
        Some((ttype, number.parse().ok()?)).filter(|_| !ttype.is_empty())
    }

    /// Returns true when the values are computed from those of the column, so that its TUNIT is not theirs.
    pub fn is_computed(&self) -> bool {
        self.scale != 1.0 || self.add.real() != 0.0 || self.sqrt
    }

    /// Returns the name for messages.
    pub fn label(&self) -> &str {
        if self.row { "the row number" } else { &self.column }
    }

    /// Returns the fault of the spelling of a column of `detection`.
    pub(super) fn fault(&self, column: &Column) -> Option<String> {
        let name = &column.name;
        if self.row {
            return if name != "seq_num" {
                Some(format!("row numbers are for seq_num, not for {name}"))
            } else if *self != (Self { row: true, ..Self::default() }) {
                Some("row = true has no other keys beside it".to_owned())
            } else {
                None
            };
        }
        if self.column.trim().is_empty() {
            return Some("a spelling is empty".to_owned());
        }
        self.value_fault(column).map(|fault| format!("{}: {fault}", self.column))
    }

    fn value_fault(&self, column: &Column) -> Option<String> {
        let numbers = [self.scale, self.add.real()];
        if self.element().is_some_and(|(_, element)| element == 0) {
            return Some("the elements of a vector column count from 1".to_owned());
        }
        if self.scale == 0.0 || numbers.iter().chain(&self.unknown).any(|v| !v.is_finite()) {
            return Some(
                "scale, add and unknown are finite numbers, and scale is not 0".to_owned(),
            );
        }
        if column.kind == ColumnType::I32
            && (self.scale != 1.0 || self.sqrt || self.add.whole().is_none())
        {
            return Some(format!(
                "{} is a whole number: it takes a whole number to add, no scale and no sqrt",
                column.name
            ));
        }
        if self.format.is_some_and(CellFormat::is_sexagesimal) && column.unit != "deg" {
            return Some(format!("{} is no angle that could be sexagesimal", column.name));
        }
        let unit = self.unit.as_deref()?;
        if self.format.is_some_and(CellFormat::is_sexagesimal) {
            return Some("sexagesimal cells have no unit".to_owned());
        }
        if column.unit.is_empty() {
            return Some(format!("{} has no unit to convert to", column.name));
        }
        unit_factor(unit, &column.unit).is_none().then(|| {
            let (name, wanted) = (&column.name, &column.unit);
            format!("unit {unit:?} cannot be converted to {wanted:?} of {name}: {UNITS_HELP}")
        })
    }
}

/// A spelling as a profile has it: a text, or a table.
struct Written(Spelling);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> Visitor<'de> for TextOrTable {
            type Value = Spelling;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "the name of a column, or a table such as { column = \"NAME\", scale = 2.0 }",
                )
            }
            fn visit_str<E>(self, text: &str) -> Result<Spelling, E> {
                Ok(Spelling::named(text))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Spelling, A::Error> {
                Spelling::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(TextOrTable).map(Self)
    }
}

/// Reads the spellings by column.
pub(super) fn by_column<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Vec<Spelling>>, D::Error> {
    let written = BTreeMap::<String, Vec<Written>>::deserialize(deserializer)?;
    let plain = |list: Vec<Written>| list.into_iter().map(|Written(spelling)| spelling).collect();
    Ok(written.into_iter().map(|(column, list)| (column, plain(list))).collect())
}

#[cfg(test)]
mod tests {
    use crate::profile::{Addend, CatalogueProfile, CellFormat, Spelling};

    fn parsed(text: &str) -> CatalogueProfile {
        toml::from_str(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    #[test]
    fn a_spelling_is_a_text_or_a_table() {
        let profile = parsed(
            r#"
            [spellings]
            seq_num = [{ row = true }, { column = "sourceid", add = 1 }]
            aper_flux3 = ["FLUX_APER[2]", "FLUX_APER_3"]
            pa = [{ column = "THETA", scale = 57.3, add = 90.0 }]
            x_err = [{ column = "ERRX2", sqrt = true, unknown = [-1.0] }]
            ra = [{ column = "RA_TEXT", format = "sexagesimal_h" }]
            dec = [{ column = "DEC", unit = "mas" }]
            "#,
        );
        let of = |name: &str| &profile.spellings[name];
        assert!(of("seq_num")[0].row);
        assert_eq!(of("seq_num")[1].add, Addend::Whole(1));
        assert_eq!(of("aper_flux3")[0].element(), Some(("FLUX_APER", 2)));
        assert_eq!(of("aper_flux3")[1], Spelling::named("FLUX_APER_3"));
        assert_eq!(of("aper_flux3")[1].element(), None);
        assert_eq!((of("pa")[0].scale, of("pa")[0].add.real()), (57.3, 90.0));
        assert!(of("x_err")[0].sqrt && of("x_err")[0].unknown == [-1.0]);
        assert_eq!(of("ra")[0].format, Some(CellFormat::SexagesimalH));
        assert_eq!(profile.check(), []);
        assert_eq!(Addend::Real(2.5).whole(), None);
        assert_eq!(Addend::Real(-2.0).whole(), Some(-2));
    }

    #[test]
    fn faults_of_a_spelling_say_what_is_possible() {
        let cases = [
            (r#"x = [{ row = true }]"#, "row numbers are for seq_num"),
            (r#"seq_num = [{ row = true, add = 1 }]"#, "no other keys"),
            (r#"seq_num = [{ column = "id", scale = 2.0 }]"#, "id: seq_num is a whole number"),
            (r#"seq_num = [{ column = "id", add = 0.5 }]"#, "seq_num is a whole number"),
            (r#"aper_flux3 = ["FLUX_APER[0]"]"#, "FLUX_APER[0]: the elements of a vector"),
            (r#"pa = [{ column = "T", scale = 0.0 }]"#, "scale is not 0"),
            (r#"pa = [{ column = "T", add = inf }]"#, "finite"),
            (r#"sky = [{ column = "S", unknown = [nan] }]"#, "finite"),
            (r#"sky = [{ column = "S", unit = "mmag" }]"#, "cannot be converted to \"adu\" of sky"),
            (r#"class_stat = [{ column = "S", unit = "mmag" }]"#, "class_stat has no unit"),
            (r#"x = [{ column = "X", format = "sexagesimal_d" }]"#, "x is no angle"),
            (r#"ra = [{ column = "R", format = "sexagesimal_h", unit = "h" }]"#, "have no unit"),
            (r#"ell = [{ scale = 2.0 }]"#, "a spelling is empty"),
        ];
        for (line, wanted) in cases {
            let faults = parsed(&format!("[spellings]\n{line}")).check();
            let [(key, fault)] = &faults[..] else { panic!("{line}: {faults:?}") };
            let name = line.split(' ').next().unwrap();
            assert_eq!(*key, format!("catalogue.spellings.{name}"));
            assert!(fault.contains(wanted), "{line}: {fault}");
        }
    }

    #[test]
    fn unknown_keys_of_a_spelling_are_faults_with_a_line() {
        let text = "name = \"x\"\nsurvey_id = 1\ntitle = \"X\"\nfallback = true\n\
            [naming]\ndelivery = \"{night}_v{version}\"\nextensions = [\".fits\"]\n\
            [catalogue.spellings]\nx = [\"X\", { column = \"Y\", sale = 2.0 }, 3]\n";
        let faults = crate::profile::SurveyProfile::parse(text).unwrap_err().to_string();
        for wanted in [
            "line 9: catalogue.spellings.x.1.sale: unknown field `sale`, expected one of `column`, `scale`",
            "line 9: catalogue.spellings.x.2: invalid type: integer `3`, expected the name of a column",
        ] {
            assert!(faults.contains(wanted), "{wanted} is not in\n{faults}");
        }
    }
}
