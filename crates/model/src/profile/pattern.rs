//! Two small pattern languages: globs, and names with numbers in them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// A name with fields: `{night}` is eight digits, `{run}` one or more digits, `{version}` digits and points. All other
/// text is literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// A field of a [`NamePattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Eight digits, yyyymmdd.
    Night,
    /// One or more digits.
    Run,
    /// Digits and points, beginning and ending with a digit.
    Version,
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        match name {
            "night" => Some(Self::Night),
            "run" => Some(Self::Run),
            "version" => Some(Self::Version),
            _ => None,
        }
    }

    /// Returns the length of the longest beginning of a text that the field accepts.
    fn length(self, text: &str) -> Option<usize> {
        let run = |fits: fn(&u8) -> bool| text.bytes().take_while(fits).count();
        match self {
            Self::Night => (run(u8::is_ascii_digit) >= 8).then_some(8),
            Self::Run => Some(run(u8::is_ascii_digit)).filter(|n| *n > 0),
            Self::Version => {
                let taken = run(|b| b.is_ascii_digit() || *b == b'.');
                let plain = text[..taken].trim_end_matches('.');
                (plain.starts_with(|c: char| c.is_ascii_digit())).then_some(plain.len())
            }
        }
    }
}

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A field without a name that is known.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            let close = rest[open..].find('}').ok_or_else(|| format!("{text:?} has no }}"))?;
            let name = &rest[open + 1..open + close];
            let field = Field::named(name)
                .ok_or_else(|| format!("{{{name}}} is none of {{night}}, {{run}}, {{version}}"))?;
            parts.push(Part::Field(field));
            rest = &rest[open + close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Returns the fields of a name, in the order of the pattern, when the whole name fits.
    pub fn read<'n>(&self, name: &'n str) -> Option<Vec<(Field, &'n str)>> {
        let mut rest = name;
        let mut fields = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Field(field) => {
                    let length = field.length(rest)?;
                    fields.push((*field, &rest[..length]));
                    rest = &rest[length..];
                }
            }
        }
        rest.is_empty().then_some(fields)
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
}
