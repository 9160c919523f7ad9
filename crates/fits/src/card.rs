//! One keyword record ("card") of a header: 80 bytes, a keyword, and perhaps a value and a comment.

use std::borrow::Cow;
use std::fmt;

/// Bytes of a card.
pub const CARD_BYTES: usize = 80;

/// The value of a card. Text borrows from the header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A quoted string without its trailing blanks; CONTINUE cards are joined. It ends at the first NUL, other control
    /// characters are escaped as `\x..`, and bytes beyond 7 bits are `?`.
    Text(&'a str),
    /// T or F.
    Logical(bool),
    /// A whole number of 64 bits.
    Integer(i64),
    /// A whole number that does not fit 64 bits: its sign and digits.
    BigInteger(&'a str),
    /// A number with point or exponent (E or D).
    Float(f64),
    /// A pair in parentheses.
    Complex(f64, f64),
    /// A value indicator with nothing after it.
    Undefined,
}

/// The form of tables for readers: text without quotes, T or F, nothing for an undefined value.
impl fmt::Display for Value<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::BigInteger(text) => out.write_str(text),
            Self::Logical(value) => out.write_str(if *value { "T" } else { "F" }),
            Self::Integer(value) => write!(out, "{value}"),
            Self::Float(value) => write!(out, "{value:?}"),
            Self::Complex(real, imaginary) => write!(out, "({real:?}, {imaginary:?})"),
            Self::Undefined => Ok(()),
        }
    }
}

/// A fault of a card; the card is kept nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CardFault {
    /// A byte beyond 7 bits, shown as `?`.
    NonAscii,
    /// A control character: a text ends at the first NUL, others are shown as `\x..`.
    ControlCharacter,
    /// The keyword has characters other than A-Z, 0-9, `-` and `_`; lower-case letters are read as upper case.
    BadKeyword,
    /// The `=` is not in byte 9 with a blank after it. The value is read when the `=` is before byte 9.
    MisplacedIndicator,
    /// The text in place of the value is not a value; the card has none.
    BadValue,
    /// A string without closing quote; there is no value.
    UnclosedString,
    /// Something other than a comment follows the value. A string keeps its value, a number does not.
    TextAfterValue,
    /// CONTINUE that continues nothing.
    OrphanContinue,
    /// Text after END.
    TextAfterEnd,
}

impl CardFault {
    /// Returns the machine-readable reason.
    pub fn code(self) -> &'static str {
        match self {
            Self::NonAscii => "non_ascii",
            Self::ControlCharacter => "control_character",
            Self::BadKeyword => "bad_keyword",
            Self::MisplacedIndicator => "misplaced_indicator",
            Self::BadValue => "bad_card_value",
            Self::UnclosedString => "unclosed_string",
            Self::TextAfterValue => "text_after_value",
            Self::OrphanContinue => "orphan_continue",
            Self::TextAfterEnd => "text_after_end",
        }
    }
}

/// A range of the header's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub at: u32,
    pub length: u32,
}

impl Span {
    pub fn new(at: usize, length: usize) -> Self {
        Self { at: at as u32, length: length as u32 }
    }

    pub fn of(self, text: &str) -> &str {
        &text[self.at as usize..(self.at + self.length) as usize]
    }
}

/// A value as parsed: texts are spans of the header's text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stored {
    /// The string between its quotes, without trailing blanks.
    Text(Span),
    Logical(bool),
    Integer(i64),
    BigInteger(Span),
    Float(f64),
    Complex(f64, f64),
    Undefined,
    /// No value indicator, or nothing usable after it.
    None,
}

/// One parsed card. Offsets count from the start of the header's text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parsed {
    pub keyword: Span,
    pub value: Stored,
    /// Comment, or the text of a commentary card.
    pub comment: Span,
    pub commentary: bool,
    /// True when the string has doubled quotes, which stand for single ones.
    pub doubled_quotes: bool,
    pub fault: Option<CardFault>,
}

/// Parses the card at `at` of `text`.
///
/// The grammar is that of FITS 4.0, sections 4.1 and 4.2 and appendix A, and the ESO HIERARCH convention; deviations in real
/// files are accepted with a fault.
pub(crate) fn parse(text: &str, at: usize) -> Parsed {
    let card = &text.as_bytes()[at..at + CARD_BYTES];
    let keyword_length = trimmed(&card[..8]);
    let keyword = &card[..keyword_length];
    if matches!(keyword, b"" | b"COMMENT" | b"HISTORY") {
        return commentary(card, at, keyword_length, None);
    }
    if card[8] == b'=' && card[9] == b' ' {
        let fault = (!is_keyword(keyword)).then_some(CardFault::BadKeyword);
        return with_value(card, at, Span::new(at, keyword_length), 10, fault);
    }
    if keyword == b"HIERARCH" && card[8] == b' ' {
        if let Some(equals) = card.iter().position(|&byte| byte == b'=') {
            let first = 9 + leading(&card[9..equals]);
            let name = Span::new(at + first, trimmed(&card[first..equals]));
            let fault = (name.length == 0).then_some(CardFault::BadKeyword);
            return with_value(card, at, name, equals + 1, fault);
        }
    } else if keyword == b"CONTINUE" {
        // The header joins this card to the previous one, or marks it as orphaned.
        return with_value(card, at, Span::new(at, 8), 8, None);
    } else if let Some(equals) = card[..8].iter().position(|&byte| byte == b'=')
        && equals > 0
        && card[equals + 1] == b' '
    {
        let name = Span::new(at, trimmed(&card[..equals]));
        return with_value(card, at, name, equals + 2, Some(CardFault::MisplacedIndicator));
    }
    let fault = if card[8] == b'=' {
        Some(CardFault::MisplacedIndicator)
    } else {
        (!is_keyword(keyword)).then_some(CardFault::BadKeyword)
    };
    commentary(card, at, keyword_length, fault)
}

/// Replaces the NUL bytes of a card by blanks. A quoted string, a comment and the text of a commentary card end at their first
/// NUL; elsewhere NUL counts as a blank, as intended by programs that pad with NUL.
pub(crate) fn blank_nuls(card: &mut [u8]) {
    let mut quoted = false;
    let mut place = 0;
    let is_commentary = matches!(&card[..8], b"COMMENT " | b"HISTORY " | b"        ");
    let mut is_text = false;
    while place < card.len() {
        is_text |= is_commentary && place >= 8;
        match card[place] {
            b'\'' if !is_text => quoted = !quoted,
            b'/' if !is_text && !quoted && place >= 8 => is_text = true,
            0 if is_text => return card[place..].fill(b' '),
            0 if quoted => {
                let end = closing_quote(&card[place..]).map_or(card.len(), |step| place + step);
                card[place..end].fill(b' ');
                if end == card.len() {
                    card[place] = b'\'';
                }
                place = end;
                continue;
            }
            0 => card[place] = b' ',
            _ => {}
        }
        place += 1;
    }
}

/// Returns the position in `rest` of the quote that closes the string.
fn closing_quote(rest: &[u8]) -> Option<usize> {
    let mut place = 0;
    while let Some(step) = rest.get(place..)?.iter().position(|&byte| byte == b'\'') {
        place += step;
        if rest.get(place + 1) != Some(&b'\'') {
            return Some(place);
        }
        place += 2;
    }
    None
}

/// Replaces control characters by `\x..`.
pub(crate) fn escape_controls(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte.is_ascii_control()) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 12);
    for letter in text.chars() {
        match letter {
            letter if letter.is_ascii_control() => {
                escaped += &format!("\\x{:02x}", u32::from(letter));
            }
            letter => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

fn commentary(card: &[u8], at: usize, keyword: usize, fault: Option<CardFault>) -> Parsed {
    Parsed {
        keyword: Span::new(at, keyword),
        value: Stored::None,
        comment: Span::new(at + 8, trimmed(&card[8..])),
        commentary: true,
        doubled_quotes: false,
        fault,
    }
}

fn with_value(
    card: &[u8],
    at: usize,
    keyword: Span,
    from: usize,
    fault: Option<CardFault>,
) -> Parsed {
    let mut parsed = Parsed {
        keyword,
        value: Stored::None,
        comment: Span::default(),
        commentary: false,
        doubled_quotes: false,
        fault,
    };
    let from = from.min(CARD_BYTES);
    let first = from + leading(&card[from..]);
    let end = if card.get(first) == Some(&b'\'') {
        string(card, at, first, &mut parsed)
    } else {
        plain(card, at, first, &mut parsed)
    };
    finish_comment(card, at, end, &mut parsed);
    parsed
}

/// Parses the rest of the card after the value: nothing, or a slash and a comment.
fn finish_comment(card: &[u8], at: usize, end: usize, parsed: &mut Parsed) {
    let rest = end + leading(&card[end..]);
    if rest == CARD_BYTES {
        return;
    }
    let mut first = rest;
    if card[rest] == b'/' {
        first += 1;
        first += usize::from(card.get(first) == Some(&b' '));
    } else {
        parsed.fault.get_or_insert(CardFault::TextAfterValue);
        if !matches!(parsed.value, Stored::Text(_)) {
            parsed.value = Stored::None;
        }
    }
    parsed.comment = Span::new(at + first, trimmed(&card[first..]));
}

/// Parses a string from its opening quote at `first`; returns the offset of its end.
fn string(card: &[u8], at: usize, first: usize, parsed: &mut Parsed) -> usize {
    let begin = first + 1;
    let mut end = begin;
    loop {
        match card[end..].iter().position(|&byte| byte == b'\'') {
            None => {
                parsed.fault = Some(CardFault::UnclosedString);
                return CARD_BYTES;
            }
            Some(step) => end += step,
        }
        if card.get(end + 1) != Some(&b'\'') {
            break;
        }
        parsed.doubled_quotes = true;
        end += 2;
    }
    parsed.value = Stored::Text(Span::new(at + begin, trimmed(&card[begin..end])));
    end + 1
}

/// Parses a value without quotes from `first`; returns the offset of its end.
fn plain(card: &[u8], at: usize, first: usize, parsed: &mut Parsed) -> usize {
    if first == CARD_BYTES || card[first] == b'/' {
        parsed.value = Stored::Undefined;
        return first;
    }
    let rest = &card[first..];
    let end = if card[first] == b'(' {
        rest.iter().position(|&byte| byte == b')').map(|close| close + 1)
    } else {
        rest.iter().position(|&byte| byte == b' ' || byte == b'/')
    }
    .unwrap_or(rest.len());
    let token = &rest[..end];
    parsed.value = match token {
        b"T" => Stored::Logical(true),
        b"F" => Stored::Logical(false),
        _ => number(token, at + first).or_else(|| complex(token)).unwrap_or_else(|| {
            parsed.fault.get_or_insert(CardFault::BadValue);
            Stored::None
        }),
    };
    first + end
}

/// Parses an integer or a float; `None` when it is neither, or too large for a float.
fn number(token: &[u8], at: usize) -> Option<Stored> {
    let digits = match token.first()? {
        b'+' | b'-' => &token[1..],
        _ => token,
    };
    if digits.iter().all(u8::is_ascii_digit) && !digits.is_empty() {
        return Some(match whole(token[0] == b'-', digits) {
            Some(value) => Stored::Integer(value),
            None => Stored::BigInteger(Span::new(at, token.len())),
        });
    }
    float(token).map(Stored::Float)
}

fn whole(negative: bool, digits: &[u8]) -> Option<i64> {
    let mut value = 0_i64;
    for digit in digits {
        let digit = i64::from(digit - b'0');
        value = value.checked_mul(10)?;
        value = if negative { value.checked_sub(digit)? } else { value.checked_add(digit)? };
    }
    Some(value)
}

/// Parses a decimal number with E or D exponent, as FITS and Fortran write it; `None` for anything else, including infinities.
pub(crate) fn float(token: &[u8]) -> Option<f64> {
    let mut buffer = [0_u8; 128];
    let buffer = buffer.get_mut(..token.len())?;
    let mut digits = 0;
    let mut exponent = None;
    let mut point = false;
    for (place, (&byte, copy)) in token.iter().zip(buffer.iter_mut()).enumerate() {
        *copy = byte;
        match byte {
            b'0'..=b'9' => digits += 1,
            b'+' | b'-' if place == 0 || exponent == Some(place - 1) => {}
            b'.' if !point && exponent.is_none() => point = true,
            b'E' | b'e' | b'D' | b'd' if exponent.is_none() && digits > 0 => {
                *copy = b'E';
                exponent = Some(place);
            }
            _ => return None,
        }
    }
    let value: f64 = std::str::from_utf8(buffer).ok()?.parse().ok()?;
    (digits > 0 && value.is_finite()).then_some(value)
}

fn complex(token: &[u8]) -> Option<Stored> {
    let inside = token.strip_prefix(b"(")?.strip_suffix(b")")?;
    let comma = inside.iter().position(|&byte| byte == b',')?;
    let part = |bytes: &[u8]| float(bytes.trim_ascii());
    Some(Stored::Complex(part(&inside[..comma])?, part(&inside[comma + 1..])?))
}

/// Returns true when only A-Z, 0-9, `-` and `_` occur.
fn is_keyword(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    })
}

/// Returns the length without trailing blanks.
fn trimmed(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1)
}

/// Returns the number of leading blanks.
fn leading(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| byte != b' ').unwrap_or(bytes.len())
}
