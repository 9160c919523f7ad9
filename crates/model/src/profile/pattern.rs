//! Two small pattern languages: globs, and names with numbers in them.

use crate::Night;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Range;

/// Text with `*` (any run of characters) and `?` (any one character), compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    written: String,
    folded: String,
}

impl Glob {
    /// Makes a glob; every text is one.
    pub fn new(text: &str) -> Self {
        Self { written: text.to_owned(), folded: text.trim().to_ascii_lowercase() }
    }

    /// Returns the pattern as it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Returns the pattern, lower case.
    pub fn as_str(&self) -> &str {
        &self.folded
    }

    /// Returns true when the whole of a text fits; surrounding blanks are ignored.
    pub fn fits(&self, text: &str) -> bool {
        let (glob, text) = (self.folded.as_bytes(), text.trim().as_bytes());
        let (mut g, mut t) = (0, 0);
        // The state to backtrack to: the position after the last star, and the end of the text it has consumed.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            if glob.get(g) == Some(&b'*') {
                star = Some((g + 1, t));
                g += 1;
            } else if glob.get(g).is_some_and(|c| *c == b'?' || *c == text[t].to_ascii_lowercase())
            {
                g += 1;
                t += 1;
            } else if let Some((behind, reached)) = star {
                star = Some((behind, reached + 1));
                g = behind;
                t = reached + 1;
            } else {
                return false;
            }
        }
        glob[g..].iter().all(|c| *c == b'*')
    }
}

impl Serialize for Glob {
    /// Writes the pattern as it was written.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

/// A name with fields in braces, and `*` for any run of characters. All other text is literal.
///
/// | field | fits |
/// | --- | --- |
/// | `{night}` | eight digits yyyymmdd that are a date |
/// | `{yymmdd}` | six digits that are a date; years 70 to 99 are of the twentieth century |
/// | `{mjd}` | five digits, a Modified Julian Date, with or without a fraction |
/// | `{hhmmss}` | six digits that are a time of day |
/// | `{run}` | one or more digits |
/// | `{version}` | digits and points, beginning and ending with a digit |
/// | `{any}` | one or more characters |
///
/// A field takes as many characters as the rest of the name permits, `{any}` and `*` as few as possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
    /// Any run of characters, an empty one too.
    Star,
}

/// A field of a [`NamePattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Eight digits, yyyymmdd.
    Night,
    /// Six digits, yymmdd.
    ShortNight,
    /// Five digits, with or without a point and a fraction.
    Mjd,
    /// Six digits, hhmmss.
    TimeOfDay,
    /// One or more digits.
    Run,
    /// Digits and points, beginning and ending with a digit.
    Version,
    /// One or more characters.
    Any,
}

impl Field {
    const NAMED: [(&str, Self); 7] = [
        ("night", Self::Night),
        ("yymmdd", Self::ShortNight),
        ("mjd", Self::Mjd),
        ("hhmmss", Self::TimeOfDay),
        ("run", Self::Run),
        ("version", Self::Version),
        ("any", Self::Any),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(n, _)| *n == name).map(|(_, field)| *field)
    }

    /// Returns the fields in words.
    fn choices() -> String {
        let names: Vec<String> = Self::NAMED.iter().map(|(n, _)| format!("{{{n}}}")).collect();
        names.join(", ")
    }

    /// Returns true for a whole text that the field accepts.
    fn fits(self, text: &str) -> bool {
        let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::Night | Self::ShortNight | Self::Mjd => self.night(text).is_some(),
            Self::TimeOfDay => {
                let below =
                    |at: usize, end: u8| text[at..at + 2].parse().is_ok_and(|n: u8| n < end);
                text.len() == 6 && is_digits(text) && below(0, 24) && below(2, 60) && below(4, 61)
            }
            Self::Run => !text.is_empty() && is_digits(text),
            Self::Version => {
                let ends = |c: char| c.is_ascii_digit();
                text.starts_with(ends)
                    && text.ends_with(ends)
                    && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            }
            Self::Any => !text.is_empty(),
        }
    }

    /// Returns the night that a text of the field means.
    pub fn night(self, text: &str) -> Option<Night> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::Night if text.len() == 8 && digits(text) => text.parse().ok(),
            Self::ShortNight if text.len() == 6 && digits(text) => {
                let short: i32 = text.parse().ok()?;
                Night::new(short + if short < 700_000 { 20_000_000 } else { 19_000_000 })
            }
            Self::Mjd => {
                let (day, fraction) = text.split_once('.').unwrap_or((text, "0"));
                let plain = day.len() == 5 && !fraction.is_empty();
                let plain = plain && digits(day) && digits(fraction);
                plain.then(|| Night::of_mjd(day.parse().ok()?))?
            }
            _ => None,
        }
    }
}

/// Bytes of the longest name that a pattern reads: a file name has no more.
const MAX_NAME: usize = 1024;

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A field without a name that is known, or a brace without its partner.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}', '*']) {
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            rest = &rest[at..];
            if let Some(behind) = rest.strip_prefix('*') {
                parts.push(Part::Star);
                rest = behind;
                continue;
            }
            let inner =
                rest.strip_prefix('{').ok_or_else(|| format!("{text:?} has a }} without {{"))?;
            let close = inner.find(['{', '}']).filter(|at| inner[*at..].starts_with('}'));
            let close = close.ok_or_else(|| format!("{text:?} has a {{ without }}"))?;
            let name = &inner[..close];
            let field = Field::named(name).ok_or_else(|| {
                let nearest =
                    super::nearest::suggestion(name, Field::NAMED.iter().map(|(n, _)| *n));
                let meant = nearest.map(|n| format!("; did you mean {{{n}}}?")).unwrap_or_default();
                format!("{{{name}}} is none of {}{meant}", Field::choices())
            })?;
            parts.push(Part::Field(field));
            rest = &inner[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the fields of a name, in the order of the pattern, when the whole name fits.
    pub fn read<'n>(&self, name: &'n str) -> Option<Vec<(Field, &'n str)>> {
        if name.len() > MAX_NAME {
            return None;
        }
        let failed = vec![false; self.parts.len() * (name.len() + 1)];
        let mut reading = Reading { parts: &self.parts, name, failed, fields: Vec::new() };
        reading.fits(0, 0).then_some(reading.fields)
    }
}

/// A name that is read with the parts of a pattern. Each pair of part and position is tried once at most.
struct Reading<'p, 'n> {
    parts: &'p [Part],
    name: &'n str,
    /// True for a part and a position from which the rest of the name does not fit.
    failed: Vec<bool>,
    fields: Vec<(Field, &'n str)>,
}

impl Reading<'_, '_> {
    /// Reads the name from a position with the parts from one on. Returns false, with the fields unchanged, when it does not fit.
    fn fits(&mut self, part: usize, at: usize) -> bool {
        let (parts, name) = (self.parts, self.name);
        let Some(next) = parts.get(part) else { return at == name.len() };
        let place = part * (name.len() + 1) + at;
        if self.failed[place] {
            return false;
        }
        let rest = &name[at..];
        let is_boundary = |end: &usize| rest.is_char_boundary(*end);
        let found = match next {
            Part::Text(text) => {
                rest.starts_with(text.as_str()) && self.fits(part + 1, at + text.len())
            }
            Part::Star => (0..=rest.len()).filter(is_boundary).any(|n| self.fits(part + 1, at + n)),
            Part::Field(Field::Any) => (1..=rest.len())
                .filter(is_boundary)
                .any(|n| self.field(Field::Any, part, at..at + n)),
            Part::Field(field) => {
                let taken = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
                (1..=taken).rev().any(|n| self.field(*field, part, at..at + n))
            }
        };
        self.failed[place] = !found;
        found
    }

    /// Reads a field at a place of the name, and the rest behind it.
    fn field(&mut self, field: Field, part: usize, place: Range<usize>) -> bool {
        let text = &self.name[place.clone()];
        if !field.fits(text) {
            return false;
        }
        self.fields.push((field, text));
        let found = self.fits(part + 1, place.end);
        if !found {
            self.fields.pop();
        }
        found
    }
}

impl<'de> Deserialize<'de> for NamePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let cases = [
            ("WFCAM", "wfcam   ", true),
            ("dark_*", "dark_20071011_10_CDS_1", true),
            ("*_flat_*", "pK_flat_aug2007", true),
            ("*_flat_*", "pK_conf_aug2007", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-", false),
            ("60.A-9999(?)", "60.A-9999(Z)", true),
        ];
        for (glob, text, wanted) in cases {
            assert_eq!(Glob::new(glob).fits(text), wanted, "{glob:?} on {text:?}");
        }
    }

    #[test]
    fn patterns() {
        let delivery = NamePattern::new("{night}_v{version}").unwrap();
        let read =
            |name| delivery.read(name).map(|f| f.into_iter().map(|(_, t)| t).collect::<Vec<_>>());
        assert_eq!(read("20071011_v1"), Some(vec!["20071011", "1"]));
        assert_eq!(read("20130130_v1.3"), Some(vec!["20130130", "1.3"]));
        assert_eq!(read("20130130_v1."), None);
        assert_eq!(read("2013013_v1"), None);
        assert_eq!(read("20130130_v"), None);
        assert_eq!(read("20130130_v1_x"), None);
        assert!(NamePattern::new("{nights}").unwrap_err().contains("{nights}"));
        assert!(NamePattern::new("w{night").is_err());
    }

    #[test]
    fn fields_and_stars_read_names_of_other_pipelines() {
        let cases = [
            ("c4d_{yymmdd}_{hhmmss}_*", "c4d_150412_073257_ooi_z", Some("150412 073257")),
            ("c4d_{yymmdd}_{hhmmss}_*", "c4d_151312_073257_ooi_z", None), // no month 13
            ("c4d_{yymmdd}_{hhmmss}_*", "c4d_150412_253257_ooi_z", None), // no hour 25
            ("ztf_{night}{run}_*", "ztf_20180219200034_000655_zr", Some("20180219 200034")),
            ("*_{night}_{run}", "a_b_20071011_12", Some("20071011 12")),
            ("*{run}", "obs_12_0345", Some("0345")),
            ("{any}{run}", "7", None),
            ("{any}-{run}*", "kb-78-x", Some("kb 78")),
            ("*{night}*", "99999999_20071011", Some("20071011")),
            ("tess{night}", "tess２007101", None), // digits of another script
            ("sdR-{mjd}-{run}", "sdR-58855-0012", Some("58855 0012")),
            ("x{mjd}", "x58855.25", Some("58855.25")),
            ("x{mjd}", "x5885.25", None),
            ("v{version}*", "v1.3.", Some("1.3")),
            ("*", "", Some("")),
            ("{any}", "", None),
        ];
        for (pattern, name, wanted) in cases {
            let read = NamePattern::new(pattern).unwrap().read(name);
            let texts = read.map(|f| f.iter().map(|(_, t)| *t).collect::<Vec<_>>().join(" "));
            assert_eq!(texts.as_deref(), wanted, "{pattern} on {name}");
        }
    }

    #[test]
    fn nights_of_fields() {
        let cases = [
            (Field::Night, "20150412", Some(20_150_412)),
            (Field::ShortNight, "150412", Some(20_150_412)),
            (Field::ShortNight, "981231", Some(19_981_231)),
            (Field::Mjd, "58855", Some(20_200_107)),
            (Field::Mjd, "58855.75", Some(20_200_107)),
            (Field::Mjd, "00000", Some(18_581_117)),
            (Field::Run, "20150412", None),
        ];
        for (field, text, wanted) in cases {
            assert_eq!(field.night(text).map(Night::get), wanted, "{field:?} {text}");
        }
    }

    #[test]
    fn faults_of_patterns_name_the_choices() {
        let fault = |text| NamePattern::new(text).unwrap_err();
        assert_eq!(
            fault("w{nigth}_{run}"),
            "{nigth} is none of {night}, {yymmdd}, {mjd}, {hhmmss}, {run}, {version}, {any}; did you mean {night}?"
        );
        assert_eq!(fault("{colour}").split("; ").count(), 1);
        for text in ["w{night", "w{night_{run}", "{", "w{"] {
            assert!(fault(text).ends_with("has a { without }"), "{text}: {}", fault(text));
        }
        for text in ["night}", "{night}}", "}"] {
            assert!(fault(text).ends_with("has a } without {"), "{text}: {}", fault(text));
        }
    }

    #[test]
    fn a_hostile_pattern_and_name_take_bounded_time() {
        let pattern = NamePattern::new(&"*{run}a".repeat(20)).unwrap();
        assert_eq!(pattern.read(&"1".repeat(255)), None);
        assert_eq!(pattern.read(&"1".repeat(100_000)), None);
    }
}
