//! Units of angles as headers spell them, and sexagesimal text.

/// Degrees per unit of angle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AngleUnit {
    /// Degrees in one unit.
    pub(super) degrees: f64,
}

/// The unit of a column as its TUNIT declares it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Declared {
    /// There is no TUNIT, or a blank one.
    Nothing,
    /// A known unit of angle.
    Unit(AngleUnit),
    /// The cells are sexagesimal: hours, minutes and seconds.
    SexagesimalHours,
    /// The cells are sexagesimal: degrees, minutes and seconds.
    SexagesimalDegrees,
    /// The cells are sexagesimal, of hours in right ascension and of degrees in declination.
    Sexagesimal,
    /// No unit of angle.
    Unknown(String),
}

/// The names of the units without prefix, lower case, singular.
const UNITS: &[(&[&str], f64)] = &[
    (
        &["deg", "degree", "degr", "decimal degree", "decimaldegree", "decdeg", "ddeg", "\u{b0}"],
        1.0,
    ),
    (&["rad", "radian"], RADIAN),
    (&["h", "hr", "hour", "hourangle", "hour angle", "hour_angle", "decimal hour"], 15.0),
    (
        &["arcmin", "arcminute", "arc minute", "minute of arc", "amin", "arcm", "'", "\u{2032}"],
        1.0 / 60.0,
    ),
    (
        &["arcsec", "arcsecond", "arc second", "second of arc", "asec", "\"", "''", "\u{2033}"],
        1.0 / 3600.0,
    ),
    (&["milliarcsec", "milliarcsecond", "milli-arcsecond", "mas"], 1.0 / 3.6e6),
    (
        &["microarcsec", "microarcsecond", "micro-arcsecond", "uas", "\u{b5}as", "\u{3bc}as"],
        1.0 / 3.6e9,
    ),
    (&["turn", "rev", "revolution", "cycle"], 360.0),
    (&["gon", "grad", "gradian"], 0.9),
];

/// Units of time, which count as angles in right ascension alone.
const TIMES: &[(&[&str], f64)] = &[
    (&["min", "minute", "minute of time"], 0.25),
    (&["s", "sec", "second", "second of time"], 1.0 / 240.0),
];

const RADIAN: f64 = 180.0 / std::f64::consts::PI;

/// Prefixes that the standard allows, those that are used for angles.
const PREFIXES: [(&str, f64); 4] = [("m", 1e-3), ("u", 1e-6), ("\u{b5}", 1e-6), ("n", 1e-9)];
/// Units that take a prefix, in the spelling of the standard.
const PREFIXED: [&str; 3] = ["deg", "rad", "arcsec"];

/// The coordinate that a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    RightAscension,
    Declination,
}

impl AngleUnit {
    pub(super) const DEGREES: Self = Self { degrees: 1.0 };
    pub(super) const RADIANS: Self = Self { degrees: RADIAN };
    pub(super) const HOURS: Self = Self { degrees: 15.0 };

    /// Returns the usual name.
    pub(super) fn name(self) -> String {
        let usual = UNITS.iter().find(|(_, degrees)| *degrees == self.degrees);
        usual.map_or_else(|| format!("{} deg", self.degrees), |(names, _)| (*names[0]).to_owned())
    }
}

impl Declared {
    /// Reads TUNIT.
    pub(super) fn of(unit: Option<&str>, axis: Axis) -> Self {
        let text = unit.unwrap_or_default().trim();
        let plain = plain(text);
        if plain.is_empty() {
            return Self::Nothing;
        }
        if let Some(sexagesimal) = sexagesimal(&plain) {
            return sexagesimal;
        }
        match scaled(&plain, axis) {
            Some(degrees) => Self::Unit(AngleUnit { degrees }),
            None => Self::Unknown(text.to_owned()),
        }
    }
}

/// Returns a spelling in lower case, without quotes and brackets around it.
fn plain(text: &str) -> String {
    let mut text = text.trim();
    for (open, close) in [('[', ']'), ('(', ')'), ('"', '"')] {
        let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        text = inner.filter(|inner| !inner.trim().is_empty()).map_or(text, str::trim);
    }
    text.to_lowercase()
}

/// Reads `hms`, `h:m:s`, `HH:MM:SS.ss`, `hours minutes seconds`; the same of degrees.
fn sexagesimal(text: &str) -> Option<Declared> {
    let first = text.chars().next()?;
    if text == "sexagesimal" || text == "sexa" {
        return Some(Declared::Sexagesimal);
    }
    let letters: String = text.chars().filter(|c| c.is_ascii_alphabetic()).collect();
    let letters = letters
        .replace("hours", "h")
        .replace("hour", "h")
        .replace("degrees", "d")
        .replace("degree", "d")
        .replace("deg", "d")
        .replace("arcminutes", "m")
        .replace("arcmin", "m")
        .replace("minutes", "m")
        .replace("minute", "m")
        .replace("min", "m")
        .replace("arcseconds", "s")
        .replace("arcsec", "s")
        .replace("seconds", "s")
        .replace("second", "s")
        .replace("sec", "s");
    let mut parts = letters.clone().into_bytes();
    parts.dedup();
    let fits = |wanted: &[u8]| parts == wanted;
    match first {
        'h' if fits(b"hms") || fits(b"hm") => Some(Declared::SexagesimalHours),
        'd' if fits(b"dms") || fits(b"dm") => Some(Declared::SexagesimalDegrees),
        '+' | '-' | '\u{b1}' if fits(b"dms") || fits(b"dm") => Some(Declared::SexagesimalDegrees),
        _ => None,
    }
}

/// Reads a unit with an optional factor before it: `10**-3 arcsec`, `1e-3 deg`, `mdeg`.
fn scaled(text: &str, axis: Axis) -> Option<f64> {
    if let Some(degrees) = named(text, axis) {
        return Some(degrees);
    }
    let end = text.find(|c: char| c.is_alphabetic() && c != 'e' || "'\"\u{b0}".contains(c))?;
    let (factor, unit) = text.split_at(end);
    let factor = factor.trim().trim_end_matches(['*', ' ', '.']);
    let factor = power_of_ten(factor).or_else(|| factor.parse().ok())?;
    Some(factor * named(unit.trim(), axis)?)
}

/// Reads `10**-3`, `10^-3`, `10-3`, `10+3`.
fn power_of_ten(text: &str) -> Option<f64> {
    let exponent = text.strip_prefix("10").filter(|e| e.starts_with(['*', '^', '+', '-']))?;
    let exponent = exponent.trim_start_matches(['*', '^']).trim_matches(['(', ')']);
    let exponent: i32 = exponent.parse().ok().filter(|n: &i32| n.abs() <= 30)?;
    Some(10_f64.powi(exponent))
}

fn named(text: &str, axis: Axis) -> Option<f64> {
    let times = if axis == Axis::RightAscension { TIMES } else { &[] };
    let known = |text: &str| {
        let found = UNITS.iter().chain(times).find(|(names, _)| names.contains(&text));
        found.map(|(_, degrees)| *degrees)
    };
    let bare = text.trim_end_matches('.').trim();
    // `deg (J2000)`, `degrees_east`: the text after the unit states the zero of the angle.
    let word: String = bare.chars().take_while(|c| c.is_alphabetic()).collect();
    let follows = bare[word.len()..].trim_start();
    let qualified = follows.starts_with(['(', '[', '_', ',', ';']);
    let one = |text: &str| known(text).or_else(|| known(text.strip_suffix('s')?));
    one(bare).or_else(|| one(&word).filter(|_| qualified)).or_else(|| prefixed(bare))
}

fn prefixed(text: &str) -> Option<f64> {
    PREFIXES.iter().find_map(|(prefix, factor)| {
        let unit = text.strip_prefix(prefix)?;
        let unit = PREFIXED.iter().find(|known| **known == unit)?;
        Some(factor * UNITS.iter().find(|(names, _)| names.contains(unit))?.1)
    })
}

/// A number as text: sexagesimal (`12:34:56.7`, `-01 02 03`, `12h34m56.7s`, `+10d20'30"`), or decimal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Written {
    /// Value in hours or degrees, according to the first part.
    pub(super) value: f64,
    /// Number of parts in which it was written.
    pub(super) parts: usize,
    /// The letter after the first part: hours (`h`) or degrees (`d`); `None` without a letter.
    pub(super) letter: Option<char>,
}

impl Written {
    /// Reads a cell; `None` when it is blank or not an angle.
    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, digits) = match text.chars().next()? {
            '+' => (1.0, &text[1..]),
            '-' => (-1.0, &text[1..]),
            '\u{2212}' | '\u{2013}' => (-1.0, text.trim_start_matches(['\u{2212}', '\u{2013}'])),
            _ => (1.0, text),
        };
        if let Ok(value) = digits.trim().parse::<f64>() {
            let sound = digits.trim().starts_with(|c: char| c.is_ascii_digit() || c == '.');
            return sound.then_some(Self { value: sign * value, parts: 1, letter: None });
        }
        let mut letters = Vec::new();
        let separated: String = digits
            .chars()
            .map(|c| match c {
                '0'..='9' | '.' => c,
                ':' | ' ' | '\t' | ',' => ' ',
                other => {
                    letters.push(other.to_ascii_lowercase());
                    ' '
                }
            })
            .collect();
        let letter = letters.first().copied();
        let allowed = |c: &char| "hdms'\"\u{b0}\u{2032}\u{2033}\u{ba}".contains(*c);
        if !letters.iter().all(allowed) || letters.len() > 4 {
            return None;
        }
        let parts: Vec<&str> = separated.split_whitespace().collect();
        let whole = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
        let (_, before) = parts.split_last()?;
        if parts.len() > 3 || !before.iter().all(whole) {
            return None;
        }
        let mut value = 0.0;
        for (n, part) in parts.iter().enumerate() {
            let number: f64 = part.parse().ok()?;
            if n > 0 && number > 60.0 || number.is_nan() {
                return None;
            }
            value += number / [1.0, 60.0, 3600.0][n];
        }
        let letter = match letter {
            Some('h') => Some('h'),
            Some('d' | '\u{b0}' | '\u{ba}') => Some('d'),
            Some(_) => return None, // it begins with minutes
            None => None,
        };
        Some(Self { value: sign * value, parts: parts.len(), letter })
    }
}

impl Declared {
    /// Returns the degrees of a cell of text: NaN for a blank one, infinite for one that is not an angle.
    pub(super) fn degrees_of_text(&self, text: &str, axis: Axis) -> f64 {
        if text.trim().is_empty() {
            return f64::NAN;
        }
        let Some(Written { value, parts, letter }) = Written::of(text) else {
            return f64::INFINITY;
        };
        let usual = match axis {
            Axis::RightAscension => AngleUnit::HOURS,
            Axis::Declination => AngleUnit::DEGREES,
        };
        let unit = match (letter, self) {
            (Some('h'), _) | (None, Self::SexagesimalHours) => AngleUnit::HOURS,
            (Some(_), _) | (None, Self::SexagesimalDegrees) => AngleUnit::DEGREES,
            (None, Self::Unit(unit)) if parts == 1 => *unit,
            (None, Self::Unit(unit)) if [1.0, 15.0].contains(&unit.degrees) => *unit,
            (None, Self::Unit(_)) => return f64::INFINITY,
            (None, Self::Unknown(_) | Self::Nothing | Self::Sexagesimal) if parts > 1 => usual,
            (None, Self::Nothing | Self::Sexagesimal) => AngleUnit::DEGREES,
            (None, Self::Unknown(_)) => return f64::INFINITY,
        };
        value * unit.degrees
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks astropy's factors for the spellings that astropy knows.
    #[test]
    fn spellings() {
        let cases: &[(&[&str], f64)] = &[
            (
                &[
                    "deg",
                    "DEG",
                    "Degrees",
                    "degree",
                    "deg.",
                    " degs ",
                    "[deg]",
                    "deg (J2000)",
                    "\u{b0}",
                ],
                1.0,
            ),
            (&["rad", "RADIANS", "Radians ", "radian"], 57.295_779_513_082_32),
            (&["h", "hr", "HOURS", "hour", "hourangle", "Hour Angle", "hrs"], 15.0),
            (&["arcmin", "arcminutes", "ARCMIN", "'"], 1.0 / 60.0),
            (&["arcsec", "arcseconds", "ARCSEC", "\"", "asec"], 1.0 / 3600.0),
            (
                &["mas", "MAS", "marcsec", "10**-3 arcsec", "1e-3 arcsec", "10-3 arcsec"],
                1.0 / 3.6e6,
            ),
            (&["uas", "uarcsec"], 1.0 / 3.6e9),
            (&["mdeg", "0.001 deg", "10^-3 deg"], 1e-3),
            (&["mrad", "10**(-3)rad"], 0.057_295_779_513_082_32),
            (&["s", "sec"], 1.0 / 240.0),
            (&["min"], 0.25),
        ];
        for (spellings, degrees) in cases {
            for spelling in *spellings {
                match Declared::of(Some(spelling), Axis::RightAscension) {
                    Declared::Unit(unit) => {
                        let off = (unit.degrees / degrees - 1.0).abs();
                        assert!(off < 1e-14, "{spelling:?}: {} {degrees}", unit.degrees);
                    }
                    other => panic!("{spelling:?} is {other:?}"),
                }
            }
        }
        for text in ["hms", "h:m:s", "\"h:m:s\"", "HH:MM:SS.s", "hours min sec", "hh mm ss"] {
            let found = Declared::of(Some(text), Axis::RightAscension);
            assert_eq!(found, Declared::SexagesimalHours, "{text}");
        }
        for text in ["dms", "d:m:s", "\"d:m:s\"", "DD:MM:SS", "deg:arcmin:arcsec", "+dd mm ss"] {
            let found = Declared::of(Some(text), Axis::Declination);
            assert_eq!(found, Declared::SexagesimalDegrees, "{text}");
        }
        for text in ["pixel", "d", "m", "J2000", "adu", "km", "s", "min"] {
            let found = Declared::of(Some(text), Axis::Declination);
            assert!(matches!(found, Declared::Unknown(_)), "{text}");
        }
        let of = |unit| Declared::of(unit, Axis::RightAscension);
        assert_eq!(of(Some("sexagesimal")), Declared::Sexagesimal);
        assert_eq!((of(Some("  ")), of(None)), (Declared::Nothing, Declared::Nothing));
        let hundred = Declared::Unit(AngleUnit { degrees: 100.0 });
        assert_eq!(of(Some("100 deg")), hundred);
    }

    #[test]
    fn sexagesimal_cells() {
        let cases = [
            ("12:34:56.7", 12.582_416_666_666_667, 3, None),
            ("-01 02 03", -1.034_166_666_666_666_6, 3, None),
            ("-00:30:00", -0.5, 3, None),
            ("12h34m56.7s", 12.582_416_666_666_667, 3, Some('h')),
            ("+10d20'30\"", 10.341_666_666_666_667, 3, Some('d')),
            ("+10\u{b0}20\u{2032}30\u{2033}", 10.341_666_666_666_667, 3, Some('d')),
            ("05:30.5", 5.508_333_333_333_333, 2, None),
            ("187.5", 187.5, 1, None),
            ("-1.5e1", -15.0, 1, None),
        ];
        for (text, value, parts, letter) in cases {
            let found = Written::of(text).unwrap_or_else(|| panic!("{text}"));
            assert!((found.value - value).abs() < 1e-13, "{text}: {}", found.value);
            assert_eq!((found.parts, found.letter), (parts, letter), "{text}");
        }
        use Axis::{Declination, RightAscension};
        let hours = Declared::Unit(AngleUnit::HOURS);
        let cells = [
            (&Declared::Nothing, "08:00:00", RightAscension, 120.0),
            (&Declared::Nothing, "-08:30:00", Declination, -8.5),
            (&Declared::Nothing, "120.5", RightAscension, 120.5),
            (&Declared::Unit(AngleUnit::DEGREES), "120:30:00", RightAscension, 120.5),
            (&hours, "8.5", RightAscension, 127.5),
            (&hours, "8:30", RightAscension, 127.5),
            (&hours, "8d30m", RightAscension, 8.5),
            (&Declared::Unit(AngleUnit::RADIANS), "8:30:00", RightAscension, f64::INFINITY),
            (&Declared::Unknown("J2000".into()), "8.5", RightAscension, f64::INFINITY),
            (&Declared::Unknown("J2000".into()), "8 30 0", RightAscension, 127.5),
            (&Declared::Nothing, "none", RightAscension, f64::INFINITY),
        ];
        for (declared, text, axis, degrees) in cells {
            assert_eq!(declared.degrees_of_text(text, axis), degrees, "{declared:?} {text}");
        }
        assert!(hours.degrees_of_text("   ", RightAscension).is_nan());
        for text in
            ["", "n/a", "12:61:00", "1:2:3:4", "12.5:30:00", "nan", "inf", "12m30s", "--1", "a:b:c"]
        {
            assert_eq!(Written::of(text), None, "{text}");
        }
    }
}
