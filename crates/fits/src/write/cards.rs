//! Cards of a header, formatted as the standard's fixed format.

use super::{BLOCK_BYTES, WriteFault};
use crate::card::CARD_BYTES;
use std::fmt::Write as _;

/// Width of a fixed-format value, which occupies columns 11-30.
const VALUE_WIDTH: usize = 20;
/// Column (from 0) where a value begins.
const VALUE_AT: usize = 10;
/// Characters between the quotes of one card.
const TEXT_WIDTH: usize = CARD_BYTES - VALUE_AT - 2;

/// A builder that collects cards in order. Keywords longer than eight characters, or with blanks in them, become `HIERARCH`
/// cards; text longer than a card continues in `CONTINUE` cards; comments are cut where the card ends.
///
/// Every call returns the builder, so that cards can be chained; the first fault is kept and is returned when the HDU is
/// written.
#[derive(Clone, Debug, Default)]
pub struct HeaderBuilder {
    cards: Vec<u8>,
    fault: Option<WriteFault>,
}

impl HeaderBuilder {
    /// Makes a builder without cards.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `T` or `F`.
    pub fn logical(&mut self, keyword: &str, value: bool, comment: &str) -> &mut Self {
        self.plain(keyword, if value { "T" } else { "F" }, comment)
    }

    /// Adds a whole number.
    pub fn integer(&mut self, keyword: &str, value: i64, comment: &str) -> &mut Self {
        self.plain(keyword, &value.to_string(), comment)
    }

    /// Adds a number in the fewest digits that read back as the same `f64`.
    pub fn number(&mut self, keyword: &str, value: f64, comment: &str) -> &mut Self {
        if !value.is_finite() {
            return self.refuse(WriteFault::NotFinite(keyword.to_owned()));
        }
        let mut text = format!("{value:?}");
        if text.len() > VALUE_WIDTH || text.contains('e') {
            text = format!("{value:E}");
            if !text.contains('.') {
                text = text.replacen('E', ".0E", 1);
            }
        }
        self.plain(keyword, &text, comment)
    }

    /// Adds a number in the fewest digits that read back as the same `f32`.
    pub fn single(&mut self, keyword: &str, value: f32, comment: &str) -> &mut Self {
        // The decimal digits of the f32 are those of the nearest f64 to them.
        match format!("{value:?}").parse::<f64>() {
            Ok(same_digits) => self.number(keyword, same_digits, comment),
            Err(_) => self.refuse(WriteFault::NotFinite(keyword.to_owned())),
        }
    }

    /// Adds a number with `decimals` decimals.
    pub fn fixed(
        &mut self,
        keyword: &str,
        value: f64,
        decimals: usize,
        comment: &str,
    ) -> &mut Self {
        if !value.is_finite() {
            return self.refuse(WriteFault::NotFinite(keyword.to_owned()));
        }
        self.plain(keyword, &format!("{value:.decimals$}"), comment)
    }

    /// Adds a number as mantissa with `decimals` decimals and exponent, such as `5.5710487E-05`.
    pub fn exponent(
        &mut self,
        keyword: &str,
        value: f64,
        decimals: usize,
        comment: &str,
    ) -> &mut Self {
        if !value.is_finite() {
            return self.refuse(WriteFault::NotFinite(keyword.to_owned()));
        }
        let text = format!("{value:.decimals$E}");
        let (mantissa, power) = text.split_once('E').unwrap_or((&text, "0"));
        let (sign, digits) = power.strip_prefix('-').map_or(('+', power), |digits| ('-', digits));
        self.plain(keyword, &format!("{mantissa}E{sign}{digits:0>2}"), comment)
    }

    /// Adds a text; blanks at its end stay inside the quotes.
    pub fn text(&mut self, keyword: &str, value: &str, comment: &str) -> &mut Self {
        if !is_printable(value) || !is_printable(comment) {
            let text = if is_printable(value) { comment } else { value }.to_owned();
            return self.refuse(WriteFault::Text { keyword: keyword.to_owned(), text });
        }
        match name_of(keyword) {
            Ok(name) => push_long_text(&mut self.cards, &name, value, comment),
            Err(fault) => return self.refuse(fault),
        }
        self
    }

    /// Adds a keyword with a value indicator and no value.
    pub fn undefined(&mut self, keyword: &str, comment: &str) -> &mut Self {
        self.plain(keyword, "", comment)
    }

    /// Adds COMMENT cards, as many as the text needs.
    pub fn comment(&mut self, text: &str) -> &mut Self {
        self.commentary("COMMENT", text)
    }

    /// Adds HISTORY cards, as many as the text needs.
    pub fn history(&mut self, text: &str) -> &mut Self {
        self.commentary("HISTORY", text)
    }

    /// Adds a card unchanged, cut or filled with blanks to 80 bytes: for cards that the methods above do not write.
    pub fn card(&mut self, text: &[u8]) -> &mut Self {
        let end = self.cards.len() + CARD_BYTES;
        self.cards.extend_from_slice(&text[..text.len().min(CARD_BYTES)]);
        self.cards.resize(end, b' ');
        self
    }

    /// Adds all cards of another builder.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        self.cards.extend_from_slice(&other.cards);
        if self.fault.is_none() {
            self.fault.clone_from(&other.fault);
        }
        self
    }

    /// Returns the number of cards.
    pub fn count(&self) -> usize {
        self.cards.len() / CARD_BYTES
    }

    /// Returns the cards, 80 bytes each, without END.
    ///
    /// # Errors
    /// The first fault of the calls that built them.
    pub fn cards(&self) -> Result<&[u8], WriteFault> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(&self.cards),
        }
    }

    fn plain(&mut self, keyword: &str, value: &str, comment: &str) -> &mut Self {
        if !is_printable(comment) {
            let text = comment.to_owned();
            return self.refuse(WriteFault::Text { keyword: keyword.to_owned(), text });
        }
        let name = match name_of(keyword) {
            Ok(name) => name,
            Err(fault) => return self.refuse(fault),
        };
        let start = self.cards.len();
        self.cards.extend_from_slice(&name);
        // Columns have no meaning in a HIERARCH card; elsewhere the value ends in column 30.
        let width = (VALUE_AT + VALUE_WIDTH).saturating_sub(name.len());
        let width = if keyword.len() > 8 { 0 } else { width };
        self.cards.extend_from_slice(format!("{value:>width$}").as_bytes());
        if self.cards.len() - start > CARD_BYTES {
            return self.refuse(WriteFault::TooLong(keyword.to_owned()));
        }
        push_comment(&mut self.cards, start, comment);
        self
    }

    fn commentary(&mut self, keyword: &str, text: &str) -> &mut Self {
        if !is_printable(text) {
            let (keyword, text) = (keyword.to_owned(), text.to_owned());
            return self.refuse(WriteFault::Text { keyword, text });
        }
        let mut rest = text.as_bytes();
        loop {
            let (now, later) = rest.split_at(rest.len().min(CARD_BYTES - 8));
            self.cards.extend_from_slice(format!("{keyword:8}").as_bytes());
            self.cards.extend_from_slice(now);
            fill_card(&mut self.cards);
            rest = later;
            if rest.is_empty() {
                return self;
            }
        }
    }

    fn refuse(&mut self, fault: WriteFault) -> &mut Self {
        self.fault.get_or_insert(fault);
        self
    }
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// Returns the card up to its value: `KEYWORD = ` or `HIERARCH LONG KEYWORD = `.
fn name_of(keyword: &str) -> Result<Vec<u8>, WriteFault> {
    let standard = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if !keyword.is_empty() && keyword.len() <= 8 && keyword.bytes().all(standard) {
        return Ok(format!("{keyword:8}= ").into_bytes());
    }
    let long = |b: u8| standard(b) || b == b' ' || b == b'.';
    if keyword.is_empty() || keyword.trim() != keyword || !keyword.bytes().all(long) {
        return Err(WriteFault::Keyword(keyword.to_owned()));
    }
    Ok(format!("HIERARCH {keyword} = ").into_bytes())
}

/// Appends a text of one card whose length is known to fit.
pub(super) fn push_text(out: &mut Vec<u8>, keyword: &str, value: &str, comment: &str) {
    push_long_text(out, format!("{keyword:8}= ").as_bytes(), value, comment);
}

/// Appends a number or logical of one card in fixed format.
pub(super) fn push_value(out: &mut Vec<u8>, keyword: &str, value: impl ToString, comment: &str) {
    let start = out.len();
    let value = value.to_string();
    out.extend_from_slice(format!("{keyword:8}= {value:>20}").as_bytes());
    push_comment(out, start, comment);
}

/// Ends a header that begins at `start` and fills its last block.
pub(super) fn push_end(out: &mut Vec<u8>, start: usize) {
    out.extend_from_slice(b"END");
    super::pad(out, start, b' ');
    debug_assert_eq!((out.len() - start) % BLOCK_BYTES, 0);
}

/// Appends a text, continued where it does not fit.
fn push_long_text(out: &mut Vec<u8>, name: &[u8], value: &str, comment: &str) {
    let quoted = value.replace('\'', "''");
    let start = out.len();
    let space = (CARD_BYTES - 2).saturating_sub(name.len());
    if quoted.len() <= space {
        out.extend_from_slice(name);
        let width = if name.starts_with(b"HIERARCH ") { 0 } else { 8 };
        out.extend_from_slice(format!("'{quoted:width$}'").as_bytes());
        push_comment(out, start, comment);
        return;
    }
    let mut rest = quoted.as_str();
    let mut prefix = name;
    let mut space = space;
    while rest.len() > space {
        let mut cut = space - 1; // the ampersand takes one
        if has_unpaired_quote(&rest[..cut]) {
            cut -= 1; // a doubled quote stays on one card
        }
        let start = out.len();
        out.extend_from_slice(prefix);
        let _ = write!(Text(out), "'{}&'", &rest[..cut]);
        push_comment(out, start, "");
        rest = &rest[cut..];
        prefix = b"CONTINUE  ";
        space = TEXT_WIDTH;
    }
    let start = out.len();
    out.extend_from_slice(prefix);
    let _ = write!(Text(out), "'{rest}'");
    push_comment(out, start, comment);
}

/// Returns true when a cut here would leave a quote without its double.
fn has_unpaired_quote(text: &str) -> bool {
    text.bytes().rev().take_while(|b| *b == b'\'').count() % 2 == 1
}

/// Appends the comment, in column 33 or after the value, as much of it as fits; then blanks to the card's end.
fn push_comment(out: &mut Vec<u8>, start: usize, comment: &str) {
    let used = out.len() - start;
    if !comment.is_empty() && used + 3 < CARD_BYTES {
        out.resize(start + used.max(VALUE_AT + VALUE_WIDTH), b' ');
        let space = CARD_BYTES.saturating_sub(out.len() - start + 3);
        out.extend_from_slice(b" / ");
        out.extend_from_slice(&comment.as_bytes()[..comment.len().min(space)]);
        out.truncate(start + CARD_BYTES);
    }
    fill_card(out);
}

/// Appends blanks up to a whole number of cards.
fn fill_card(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(CARD_BYTES), b' ');
}

/// A writer of text into bytes.
struct Text<'a>(&'a mut Vec<u8>);

impl std::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(header: &HeaderBuilder) -> Vec<String> {
        let cards = header.cards().unwrap();
        assert_eq!(cards.len() % CARD_BYTES, 0);
        cards
            .chunks(CARD_BYTES)
            .map(|card| String::from_utf8(card.to_vec()).unwrap().trim_end().to_owned())
            .collect()
    }

    #[test]
    fn cards_look_like_cfitsios() {
        let mut header = HeaderBuilder::new();
        header
            .integer("OBSNUM", 1818, "Observation number")
            .logical("GRPMEM", true, "Group membership")
            .text("FILTER", "K", "Filter name")
            .text("OBSERVER", "                  ", "Observers names")
            .text("OBJECT", "O'Neill", "")
            .fixed("AMSTART", 1.067, 3, "Airmass")
            .exponent("CD1_2", 5.3170716e-8, 7, "Matrix")
            .exponent("CC_PRES", 9.999e-6, 3, "Pressure")
            .undefined("WEATHER", "")
            .text("ESO DET CHIP1 ID", "x", "long name")
            .integer("ESO DET NX", 2048, "")
            .history("twice")
            .card(b"");
        let wanted = [
            "OBSNUM  =                 1818 / Observation number",
            "GRPMEM  =                    T / Group membership",
            "FILTER  = 'K       '           / Filter name",
            "OBSERVER= '                  ' / Observers names",
            "OBJECT  = 'O''Neill'",
            "AMSTART =                1.067 / Airmass",
            "CD1_2   =        5.3170716E-08 / Matrix",
            "CC_PRES =            9.999E-06 / Pressure",
            "WEATHER =",
            "HIERARCH ESO DET CHIP1 ID = 'x' / long name",
            "HIERARCH ESO DET NX = 2048",
            "HISTORY twice",
            "",
        ];
        assert_eq!(lines(&header), wanted);
    }

    #[test]
    fn numbers_read_back_as_they_were() {
        let cases = [
            (0.1, "0.1"),
            (-60.0, "-60.0"),
            (1e300, "1.0E300"),
            (83.904_106_123_456_78, "83.90410612345678"),
            (-0.000_055_710_487_123_456_789, "-5.5710487123456786E-5"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
        ];
        for (value, text) in cases {
            let mut header = HeaderBuilder::new();
            header.number("X", value, "");
            let card = lines(&header).remove(0);
            assert_eq!(card[10..].trim(), text);
            assert_eq!(text.parse::<f64>().unwrap(), value);
        }
        let mut header = HeaderBuilder::new();
        header.single("X", 0.076_044_52, "");
        assert_eq!(lines(&header)[0], "X       =           0.07604452");
    }

    #[test]
    fn long_texts_are_continued() {
        let long = "it's ".repeat(40);
        let mut header = HeaderBuilder::new();
        header.text("LONG", &long, "over there");
        let cards = lines(&header);
        assert!(cards[0].starts_with("LONG    = 'it''s ") && cards[0].ends_with("&'"));
        assert!(cards[1..].iter().all(|card| card.starts_with("CONTINUE  '")));
        assert!(cards.last().unwrap().ends_with("' / over there"), "{cards:?}");
        let joined: String = cards
            .iter()
            .map(|card| {
                let text = &card[11..card.rfind('\'').unwrap()];
                text.strip_suffix('&').unwrap_or(text).replace("''", "'")
            })
            .collect();
        assert_eq!(joined, long);
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let mut header = HeaderBuilder::new();
        header.number("X", f64::NAN, "");
        assert_eq!(header.cards(), Err(WriteFault::NotFinite("X".into())));
        let mut header = HeaderBuilder::new();
        header.text("a=b", "x", "");
        assert_eq!(header.cards(), Err(WriteFault::Keyword("a=b".into())));
        let mut header = HeaderBuilder::new();
        header.text("X", "\u{e9}", "");
        assert!(matches!(header.cards(), Err(WriteFault::Text { .. })));
    }
}
