//! Text for other programs: just enough JSON to write, with whole numbers of any length.

use std::fmt::{self, Display, Write};

/// A value in the report.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// null.
    Null,
    /// true or false.
    Logical(bool),
    /// A whole number.
    Integer(i128),
    /// A whole number of more digits: sign and digits.
    Digits(String),
    /// A number; NaN and infinities are written as the strings `nan`, `inf`, `-inf`.
    Float(f64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object; members keep their order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Makes an object from its members.
    pub fn object<const N: usize>(members: [(&str, Json); N]) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Adds a member to an object; anything else is left as it is.
    pub fn add(&mut self, name: &str, value: Json) {
        if let Self::Object(members) = self {
            members.push((name.to_owned(), value));
        }
    }

    /// Returns a member of an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => {
                members.iter().find(|(other, _)| other == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Integer(i128::from(number))
    }
}

impl Display for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Logical(value) => write!(out, "{value}"),
            Self::Integer(value) => write!(out, "{value}"),
            Self::Digits(digits) => out.write_str(&plain_digits(digits)),
            Self::Float(value) if value.is_nan() => out.write_str("\"nan\""),
            Self::Float(value) if value.is_infinite() => {
                out.write_str(if *value > 0.0 { "\"inf\"" } else { "\"-inf\"" })
            }
            // The shortest text that reads back as the same number, always with point or exponent.
            Self::Float(value) => write!(out, "{value:?}"),
            Self::Text(text) => write_text(out, text),
            Self::List(values) => {
                out.write_char('[')?;
                for (place, value) in values.iter().enumerate() {
                    write!(out, "{}{value}", if place == 0 { "" } else { ", " })?;
                }
                out.write_char(']')
            }
            Self::Object(members) => {
                out.write_char('{')?;
                for (place, (name, value)) in members.iter().enumerate() {
                    out.write_str(if place == 0 { "" } else { ", " })?;
                    write_text(out, name)?;
                    write!(out, ": {value}")?;
                }
                out.write_char('}')
            }
        }
    }
}

/// Returns digits without plus sign and leading zeros, which JSON does not have.
fn plain_digits(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits.trim_start_matches('+')),
    };
    let digits = digits.trim_start_matches('0');
    format!("{sign}{}", if digits.is_empty() { "0" } else { digits })
}

fn write_text(out: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            letter if letter.is_control() => write!(out, "\\u{:04x}", u32::from(letter))?,
            letter => out.write_char(letter)?,
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_json() {
        let cases = [
            (Json::Null, "null"),
            (Json::Float(1.0), "1.0"),
            (Json::Float(1e-7), "1e-7"),
            (Json::Float(f64::NAN), "\"nan\""),
            (Json::Float(f64::NEG_INFINITY), "\"-inf\""),
            (Json::Integer(i128::from(u64::MAX)), "18446744073709551615"),
            (Json::Digits("+0012345678901234567890123".into()), "12345678901234567890123"),
            (Json::Digits("-000".into()), "-0"),
            (Json::Text("a\"\\\n\u{1b}b".into()), r#""a\"\\\u000a\u001bb""#),
            (Json::List(vec![Json::Logical(true), Json::Null]), "[true, null]"),
            (Json::object([("a", Json::from(1)), ("b", Json::from("x"))]), r#"{"a": 1, "b": "x"}"#),
        ];
        for (value, wanted) in cases {
            assert_eq!(value.to_string(), wanted);
        }
    }
}
