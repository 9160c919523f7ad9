//! A header: its cards in order, looked up by keyword.

use std::borrow::Cow;

use crate::card::{self, CARD_BYTES, CardFault, Parsed, Span, Stored, Value};
use crate::error::FitsFault;
use crate::keyword_index::KeywordIndex;

/// A header, parsed once; texts borrow from it.
///
/// Every card is kept, in order: malformed and duplicate ones too. A card with its CONTINUE cards counts as one.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// The cards as 7-bit text, with keywords in upper case and NUL as blank; joined, unquoted and escaped strings follow them.
    text: String,
    /// The cards as stored, where they differ from `text`.
    raw: Option<Box<[u8]>>,
    raw_bytes: usize,
    entries: Vec<Entry>,
    index: KeywordIndex,
    faults: Vec<(u32, CardFault)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    keyword: Span,
    comment: Span,
    value: Stored,
    at: u32,
    cards: u32,
    commentary: bool,
}

/// One card of a header, its CONTINUE cards included.
#[derive(Clone, Copy, Debug)]
pub struct Card<'a> {
    header: &'a Header,
    entry: &'a Entry,
}

impl<'a> Card<'a> {
    /// Returns the keyword in upper case; of a HIERARCH card the words before `=`. Empty for a blank card.
    pub fn keyword(&self) -> &'a str {
        self.entry.keyword.of(&self.header.text)
    }

    /// Returns the value, `None` for a commentary card or one whose value is malformed.
    pub fn value(&self) -> Option<Value<'a>> {
        self.entry.value(&self.header.text)
    }

    /// Returns the comment after the value, or the text of a commentary card.
    pub fn comment(&self) -> &'a str {
        self.entry.comment.of(&self.header.text)
    }

    /// Returns true for a card that has no value by its form: COMMENT, HISTORY, blank, or any keyword without `= `.
    pub fn is_commentary(&self) -> bool {
        self.entry.commentary
    }

    /// Returns the number of the first of its 80-byte cards in the header, from 1.
    pub fn number(&self) -> usize {
        self.entry.at as usize / CARD_BYTES + 1
    }

    /// Returns the bytes as stored: 80, and 80 more for each CONTINUE.
    pub fn raw(&self) -> &'a [u8] {
        let first = self.entry.at as usize;
        &self.header.raw()[first..first + self.entry.cards as usize * CARD_BYTES]
    }

    /// Returns the value as written, for messages: control characters as `\x..`.
    pub(crate) fn written(&self) -> String {
        let first = self.entry.at as usize + 10;
        let text = self.header.text[first..first + CARD_BYTES - 10].trim_matches(' ');
        let value = match text.strip_suffix(self.comment()) {
            Some(before) if !self.comment().is_empty() => {
                before.trim_end_matches(' ').trim_end_matches('/').trim_end_matches(' ')
            }
            _ => text,
        };
        card::escape_controls(value).into_owned()
    }
}

impl Entry {
    fn value<'a>(&self, text: &'a str) -> Option<Value<'a>> {
        Some(match self.value {
            Stored::Text(span) => Value::Text(span.of(text)),
            Stored::Logical(value) => Value::Logical(value),
            Stored::Integer(value) => Value::Integer(value),
            Stored::BigInteger(span) => Value::BigInteger(span.of(text)),
            Stored::Float(value) => Value::Float(value),
            Stored::Complex(real, imaginary) => Value::Complex(real, imaginary),
            Stored::Undefined => Value::Undefined,
            Stored::None => return None,
        })
    }
}

impl Header {
    /// Parses whole cards, with or without END at the end; bytes beyond a multiple of 80 are ignored.
    pub fn parse(mut cards: Vec<u8>) -> Self {
        cards.truncate(cards.len() / CARD_BYTES * CARD_BYTES);
        let count = cards.len() / CARD_BYTES;
        let mut header = Self {
            raw_bytes: cards.len(),
            entries: Vec::with_capacity(count),
            index: KeywordIndex::with_capacity(count),
            ..Self::default()
        };
        header.take_text(cards);
        let mut joined = None;
        for at in (0..header.raw_bytes).step_by(CARD_BYTES) {
            if header.take_end(at) {
                break;
            }
            let parsed = card::parse(&header.text, at);
            let is_continue =
                parsed.keyword.length == 8 && parsed.keyword.of(&header.text) == "CONTINUE";
            if is_continue && header.take_continue(&parsed, &mut joined) {
                continue;
            }
            header.finish_joined(&mut joined);
            header.take_card(at, parsed, is_continue);
        }
        header.finish_joined(&mut joined);
        header
    }

    /// Stores the bytes as text; NUL becomes blank, bytes beyond 7 bits become `?`.
    fn take_text(&mut self, mut cards: Vec<u8>) {
        for (number, card) in cards.chunks_exact(CARD_BYTES).enumerate() {
            // One pass over all bytes vectorises; the position of the byte does not matter.
            if card.iter().fold(false, |found, &byte| found | (byte < 0x20) | (byte == 0x7f)) {
                self.faults.push((number as u32 + 1, CardFault::ControlCharacter));
            }
        }
        if !self.faults.is_empty() && cards.contains(&0) {
            self.raw = Some(cards.clone().into_boxed_slice());
            cards
                .chunks_exact_mut(CARD_BYTES)
                .filter(|card| card.contains(&0))
                .for_each(card::blank_nuls);
        }
        self.text = match String::from_utf8(cards) {
            Ok(text) if text.is_ascii() => text,
            other => self.take_other_bytes(
                other.map_or_else(|error| error.into_bytes(), String::into_bytes),
            ),
        };
    }

    /// Keeps cards with bytes beyond 7 bits as stored, notes the fault, and returns them as text with a `?` for each such byte.
    fn take_other_bytes(&mut self, cards: Vec<u8>) -> String {
        for (number, card) in cards.chunks_exact(CARD_BYTES).enumerate() {
            if !card.is_ascii() {
                self.faults.push((number as u32 + 1, CardFault::NonAscii));
            }
        }
        let ascii = |&byte: &u8| if byte.is_ascii() { byte as char } else { '?' };
        let text = cards.iter().map(ascii).collect();
        self.raw.get_or_insert_with(|| cards.into_boxed_slice());
        text
    }

    /// Returns true when the card is END, and notes text after it.
    fn take_end(&mut self, at: usize) -> bool {
        let card = &self.text[at..at + CARD_BYTES];
        if !is_end(card.as_bytes()) {
            return false;
        }
        if card[8..].bytes().any(|byte| byte != b' ') {
            self.add_fault(at, CardFault::TextAfterEnd);
        }
        true
    }

    /// Notes that the block of END holds text after it.
    pub(crate) fn note_text_after_end(&mut self) {
        self.add_fault(self.raw_bytes, CardFault::TextAfterEnd);
    }

    fn add_fault(&mut self, at: usize, fault: CardFault) {
        self.faults.push(((at / CARD_BYTES + 1) as u32, fault));
    }

    fn take_card(&mut self, at: usize, parsed: Parsed, orphan: bool) {
        let mut fault = parsed.fault;
        if orphan {
            fault = Some(CardFault::OrphanContinue);
        }
        if let Some(fault) = fault {
            self.add_fault(at, fault);
            if matches!(fault, CardFault::BadKeyword | CardFault::MisplacedIndicator) {
                self.capitals(at, parsed.keyword);
            }
        }
        let mut entry = Entry {
            keyword: parsed.keyword,
            comment: parsed.comment,
            value: parsed.value,
            at: at as u32,
            cards: 1,
            commentary: parsed.commentary || orphan,
        };
        if self.has_controls(at) {
            entry.keyword = self.escaped(entry.keyword);
            entry.comment = self.escaped(entry.comment);
        }
        if orphan {
            entry.value = Stored::None;
        } else if let Stored::Text(mut span) = parsed.value {
            if parsed.doubled_quotes {
                let single = span.of(&self.text).replace("''", "'");
                span = self.append(&single);
            }
            entry.value =
                Stored::Text(if self.has_controls(at) { self.escaped(span) } else { span });
        }
        if !entry.commentary {
            let entries = &self.entries;
            let text = &self.text;
            let key = |number: u32| entries[number as usize].keyword.of(text);
            self.index.insert(entry.keyword.of(text), entries.len() as u32, key);
        }
        self.entries.push(entry);
    }

    /// Converts a keyword in the first eight bytes to upper case; HIERARCH names are unchanged.
    fn capitals(&mut self, at: usize, keyword: Span) {
        let first = keyword.at as usize;
        let range = first..first + keyword.length as usize;
        if first == at && self.text[range.clone()].bytes().any(|byte| byte.is_ascii_lowercase()) {
            self.raw.get_or_insert_with(|| self.text.as_bytes()[..self.raw_bytes].into());
            self.text[range].make_ascii_uppercase();
        }
    }

    /// Joins a CONTINUE card to the last entry; `false` when there is nothing to continue.
    fn take_continue(&mut self, parsed: &Parsed, joined: &mut Option<String>) -> bool {
        let (Some(last), Stored::Text(more)) = (self.entries.last_mut(), parsed.value) else {
            return false;
        };
        let Stored::Text(begin) = last.value else {
            return false;
        };
        if !joined.as_deref().unwrap_or(begin.of(&self.text)).ends_with('&') {
            return false;
        }
        let joined = joined.get_or_insert_with(|| begin.of(&self.text).to_owned());
        joined.pop();
        let more = more.of(&self.text);
        joined.push_str(&if parsed.doubled_quotes {
            more.replace("''", "'").into()
        } else {
            Cow::from(more)
        });
        last.cards += 1;
        if last.comment.length == 0 {
            last.comment = parsed.comment;
        }
        if let Some(fault) = parsed.fault {
            let at = parsed.keyword.at as usize;
            self.add_fault(at, fault);
        }
        true
    }

    fn finish_joined(&mut self, joined: &mut Option<String>) {
        if let Some(text) = joined.take() {
            let span = self.append(&card::escape_controls(text.trim_end_matches(' ')));
            if let Some(last) = self.entries.last_mut() {
                last.value = Stored::Text(span);
            }
        }
    }

    /// Returns true when the card at `at` has a control character other than NUL.
    fn has_controls(&self, at: usize) -> bool {
        // The faults name the cards with control characters, and most headers have none.
        !self.faults.is_empty()
            && self.text.as_bytes()[at..at + CARD_BYTES].iter().any(u8::is_ascii_control)
    }

    /// Returns the span of the same text with control characters shown as `\x..`.
    fn escaped(&mut self, span: Span) -> Span {
        match card::escape_controls(span.of(&self.text)) {
            Cow::Borrowed(_) => span,
            Cow::Owned(escaped) => self.append(&escaped),
        }
    }

    /// Returns the cards whose texts differ from the stored bytes, because of NUL, control characters or bytes beyond 7 bits:
    /// the number of 80-byte cards, and the keywords of the first few, each once.
    pub fn cleaned(&self) -> (usize, Vec<&str>) {
        const NAMED: usize = 10;
        let is_cleaned =
            |fault: CardFault| matches!(fault, CardFault::ControlCharacter | CardFault::NonAscii);
        let mut numbers: Vec<u32> =
            self.faults.iter().filter(|(_, fault)| is_cleaned(*fault)).map(|(n, _)| *n).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut keywords = Vec::new();
        for &number in &numbers {
            // A CONTINUE card belongs to the entry before it.
            let after =
                self.entries.partition_point(|entry| entry.at / (CARD_BYTES as u32) < number);
            let Some(entry) = after.checked_sub(1).map(|at| &self.entries[at]) else { continue };
            let keyword = entry.keyword.of(&self.text);
            if !keywords.contains(&keyword) && keywords.len() < NAMED {
                keywords.push(keyword);
            }
        }
        (numbers.len(), keywords)
    }

    fn append(&mut self, text: &str) -> Span {
        let at = self.text.len();
        self.text.push_str(text);
        Span::new(at, text.len())
    }

    /// Returns the 80-byte cards as stored, END included when present.
    pub fn raw(&self) -> &[u8] {
        match &self.raw {
            Some(raw) => raw,
            None => &self.text.as_bytes()[..self.raw_bytes],
        }
    }

    /// Returns all cards in order, without END.
    pub fn cards(&self) -> impl ExactSizeIterator<Item = Card<'_>> {
        self.entries.iter().map(|entry| Card { header: self, entry })
    }

    /// Returns the first card with a value indicator and this keyword.
    pub fn card(&self, keyword: &str) -> Option<Card<'_>> {
        let key = |number: u32| self.entries[number as usize].keyword.of(&self.text);
        let number = self.index.find(keyword, key)?;
        Some(Card { header: self, entry: &self.entries[number as usize] })
    }

    /// Returns all values of a keyword, in order; for keywords that the header repeats.
    pub fn values<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = Value<'a>> {
        self.cards().filter(move |card| card.keyword() == keyword).filter_map(|card| card.value())
    }

    /// Returns the value of the first card of this keyword (`HIERARCH ` left out of the name, CONTINUE joined).
    pub fn value(&self, keyword: &str) -> Option<Value<'_>> {
        self.card(keyword)?.value()
    }

    /// Returns the text of a keyword; `None` when absent or not a text.
    pub fn text(&self, keyword: &str) -> Option<&str> {
        match self.value(keyword) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns a whole number; `Ok(None)` when absent or undefined. `5.0` counts as 5.
    ///
    /// # Errors
    /// [`FitsFault::WrongType`] when the keyword holds anything else.
    pub fn integer(&self, keyword: &str) -> Result<Option<i64>, FitsFault> {
        let Some(card) = self.card(keyword) else {
            return Ok(None);
        };
        match card.value() {
            Some(Value::Integer(value)) => Ok(Some(value)),
            Some(Value::Float(value)) if value.fract() == 0.0 && value.abs() < 9.2e18 => {
                Ok(Some(value as i64))
            }
            Some(Value::Undefined) => Ok(None),
            _ => Err(wrong_type(card, "a whole number of 64 bits")),
        }
    }

    /// Returns a number; `Ok(None)` when absent or undefined.
    ///
    /// # Errors
    /// [`FitsFault::WrongType`] when the keyword holds anything else.
    pub fn number(&self, keyword: &str) -> Result<Option<f64>, FitsFault> {
        let Some(card) = self.card(keyword) else {
            return Ok(None);
        };
        match card.value() {
            Some(Value::Integer(value)) => Ok(Some(value as f64)),
            Some(Value::Float(value)) => Ok(Some(value)),
            Some(Value::BigInteger(digits)) => Ok(card::float(digits.as_bytes())),
            Some(Value::Undefined) => Ok(None),
            _ => Err(wrong_type(card, "a number")),
        }
    }

    /// Returns a logical; `Ok(None)` when absent or undefined.
    ///
    /// # Errors
    /// [`FitsFault::WrongType`] when the keyword holds anything else.
    pub fn logical(&self, keyword: &str) -> Result<Option<bool>, FitsFault> {
        let Some(card) = self.card(keyword) else {
            return Ok(None);
        };
        match card.value() {
            Some(Value::Logical(value)) => Ok(Some(value)),
            Some(Value::Undefined) => Ok(None),
            _ => Err(wrong_type(card, "T or F")),
        }
    }

    /// Returns the keywords that more than one card holds (commentary aside), each once, sorted.
    pub fn duplicates(&self) -> Vec<&str> {
        let keyword = |&number: &u32| self.entries[number as usize].keyword.of(&self.text);
        let mut names: Vec<_> = self.index.repeated().iter().map(keyword).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the faults of cards, each with the number of its card (from 1), in no particular order.
    pub fn faults(&self) -> impl Iterator<Item = (usize, CardFault)> {
        self.faults.iter().map(|&(number, fault)| (number as usize, fault))
    }
}

/// Returns true when a card ends the header: `END` alone, padded with blanks or NUL, or with text after it.
pub fn is_end(card: &[u8]) -> bool {
    card.starts_with(b"END") && matches!(card.get(3), Some(b' ' | b'=' | 0))
}

fn wrong_type(card: Card<'_>, wanted: &'static str) -> FitsFault {
    FitsFault::WrongType { keyword: card.keyword().to_owned(), found: card.written(), wanted }
}
