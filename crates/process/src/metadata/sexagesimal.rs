//! Sexagesimal texts: `13:16:35.7`, `-05 23 28`, `12h34m56.7s`.

use model::profile::NumberFormat;

/// Reads a number in a format, in hours or degrees. `None` when the text is not in the format.
pub(super) fn read(text: &str, format: NumberFormat) -> Option<f64> {
    let (limit, is_signed) = match format {
        NumberFormat::Number => return text.trim().parse().ok(),
        NumberFormat::SexagesimalH => (24.0, true),
        NumberFormat::SexagesimalD => (360.0, true),
        NumberFormat::SexagesimalTime => (24.0, false),
    };
    let text = text.trim();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text).trim_start();
    let is_negative = text.starts_with('-');
    if unsigned.len() < text.len() && !is_signed {
        return None;
    }
    let is_separator = |c: char| c.is_ascii_whitespace() || ":hdms°'\"".contains(c);
    let parts: Vec<&str> = unsigned.split(is_separator).filter(|part| !part.is_empty()).collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let mut total = 0.0;
    for (n, part) in parts.iter().enumerate() {
        let is_last = n + 1 == parts.len();
        let is_plain = |b: u8| b.is_ascii_digit() || is_last && b == b'.';
        let number: f64 = part.bytes().all(is_plain).then(|| part.parse().ok())??;
        let fits = if n == 0 { number <= limit } else { number < 60.0 };
        total += fits.then_some(number)? / [1.0, 60.0, 3600.0][n];
    }
    (total <= limit).then_some(if is_negative { -total } else { total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_in_their_format() {
        use NumberFormat::{Number, SexagesimalD, SexagesimalH, SexagesimalTime};
        let cases = [
            (SexagesimalH, "12:00:00", Some(12.0)),
            (SexagesimalH, " 01 30 00.0 ", Some(1.5)),
            (SexagesimalH, "-02:00:00", Some(-2.0)), // an hour angle
            (SexagesimalH, "12h30m", Some(12.5)),
            (SexagesimalH, "24:30:00", None),
            (SexagesimalH, "12:60:00", None),
            (SexagesimalH, "12:00:60", None),
            (SexagesimalH, "12", None), // hours or degrees?
            (SexagesimalD, "-00:30:00", Some(-0.5)),
            (SexagesimalD, "+19:49:30.36", Some(19.8251)),
            (SexagesimalD, "19d49'30.36\"", Some(19.8251)),
            (SexagesimalD, "1:2:3:4", None),
            (SexagesimalD, "1.5:30:00", None),
            (SexagesimalD, "abc", None),
            (SexagesimalTime, "13:16:35.7", Some(13.276_583_333_333_333)),
            (SexagesimalTime, "-01:00:00", None),
            (Number, " 1.5e2 ", Some(150.0)),
        ];
        for (format, text, wanted) in cases {
            let found = read(text, format);
            let is_near = match (found, wanted) {
                (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-9,
                (found, wanted) => found == wanted,
            };
            assert!(is_near, "{text:?} as {format:?} is {found:?}, not {wanted:?}");
        }
    }
}
