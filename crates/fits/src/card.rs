//! One keyword record ("card") of a header: 80 bytes.

/// Bytes of a card.
pub const CARD_BYTES: usize = 80;

/// The value of a card. Text borrows from the header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A quoted string without its trailing blanks; CONTINUE cards are joined.
    Text(&'a str),
    /// T or F.
    Logical(bool),
    /// A whole number that fits 64 bits; larger ones are `Float`.
    Integer(i64),
    /// A number with point or exponent (E or D).
    Float(f64),
    /// A pair in parentheses.
    Complex(f64, f64),
    /// A value indicator with nothing behind it.
    Undefined,
}
