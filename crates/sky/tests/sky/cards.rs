//! Header cards as text: to make headers for the tests, and to read those of real files.

use std::collections::HashMap;
use std::path::Path;

use sky::Keywords;

/// The first occurrence of each keyword of a header.
#[derive(Clone, Debug, Default)]
pub struct Cards(HashMap<String, String>);

impl Cards {
    /// From `KEYWORD = value / comment` lines, of any length.
    pub fn from_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut cards = Self::default();
        for line in lines {
            let Some((keyword, rest)) = line.split_once('=') else { continue };
            let value = value_of(rest);
            cards.0.entry(keyword.trim().to_owned()).or_insert(value);
        }
        cards
    }

    /// With one more card, or another value.
    pub fn with(mut self, keyword: &str, value: &str) -> Self {
        self.0.insert(keyword.to_owned(), value.to_owned());
        self
    }

    pub fn without(mut self, keyword: &str) -> Self {
        self.0.remove(keyword);
        self
    }

    /// Only what describes the coordinates.
    pub fn coordinates(&self) -> Self {
        let stems = [
            "NAXIS1", "NAXIS2", "CTYPE", "CRPIX", "CRVAL", "CUNIT", "CDELT", "CROTA", "CD1_",
            "CD2_", "PC1_", "PC2_", "PV1_", "PV2_", "A_", "B_", "LONPOLE", "LATPOLE", "RADESYS",
            "EQUINOX",
        ];
        // Of two axes, and not of alternative descriptions.
        let wanted = |k: &str| {
            stems.iter().any(|s| k.starts_with(s))
                && !k.ends_with(['3', '4']) | k.contains('_')
                && (k.ends_with(|c: char| c.is_ascii_digit())
                    || !k.contains(|c: char| c.is_ascii_digit()))
        };
        Self(
            self.0.iter().filter(|(k, _)| wanted(k)).map(|(k, v)| (k.clone(), v.clone())).collect(),
        )
    }

    /// 80-character cards.
    pub fn as_cards(&self) -> Vec<String> {
        let mut cards: Vec<_> = self.0.iter().map(|(k, v)| format!("{k:<8}= {v:>20}")).collect();
        cards.sort();
        cards
    }

    pub fn integer(&self, keyword: &str) -> Option<u64> {
        self.0.get(keyword)?.parse().ok()
    }
}

/// Value without its comment; text keeps its quotes.
fn value_of(rest: &str) -> String {
    let rest = rest.trim();
    match rest.strip_prefix('\'').and_then(|inner| inner.split_once('\'')) {
        Some((text, _)) => format!("'{text}'"),
        None => rest.split('/').next().unwrap_or_default().trim().to_owned(),
    }
}

impl Keywords for Cards {
    fn text(&self, keyword: &str) -> Option<String> {
        let value = self.0.get(keyword)?.strip_prefix('\'')?;
        Some(value.trim_end_matches('\'').trim_end().to_owned())
    }
    fn number(&self, keyword: &str) -> Option<f64> {
        self.0.get(keyword)?.replace(['d', 'D'], "E").parse().ok()
    }
    fn each_keyword(&self, each: &mut dyn FnMut(&str)) -> bool {
        let mut keywords: Vec<&String> = self.0.keys().collect();
        keywords.sort();
        keywords.into_iter().for_each(|keyword| each(keyword));
        true
    }
}

/// Headers of all HDUs of a FITS file; of a compressed image with the size it presents.
pub fn headers_of(path: &Path) -> Vec<Cards> {
    let bytes = std::fs::read(path).unwrap();
    let mut headers = Vec::new();
    let mut at = 0;
    while at + 2880 <= bytes.len() {
        let mut lines = Vec::new();
        while at + 80 <= bytes.len() {
            let card = String::from_utf8_lossy(&bytes[at..at + 80]).into_owned();
            at += 80;
            if card.starts_with("END ") {
                break;
            }
            lines.push(card);
        }
        let cards = Cards::from_lines(
            lines.iter().filter(|l| l.get(8..10) == Some("= ")).map(String::as_str),
        );
        at = at.next_multiple_of(2880) + data_bytes(&cards).next_multiple_of(2880);
        headers.push(cards);
    }
    headers
}

fn data_bytes(cards: &Cards) -> usize {
    let number = |k: &str| cards.number(k).unwrap_or(0.0) as usize;
    let axes = number("NAXIS");
    if axes == 0 {
        return 0;
    }
    let elements: usize = (1..=axes).map(|i| number(&format!("NAXIS{i}"))).product();
    let bytes = cards.number("BITPIX").unwrap_or(8.0).abs() as usize / 8;
    bytes * (elements + number("PCOUNT"))
}

/// Header of a text file: lines, or cards of 80 characters without line ends.
pub fn header_text(path: &Path) -> Cards {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let lines: Vec<String> = if text.contains('\n') {
        text.lines().map(str::to_owned).collect()
    } else {
        let characters: Vec<char> = text.chars().collect();
        characters.chunks(80).map(|c| c.iter().collect()).collect()
    };
    Cards::from_lines(lines.iter().map(String::as_str))
}
