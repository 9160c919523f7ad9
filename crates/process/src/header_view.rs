//! A header as it is meant: compressed images as the images they represent, keywords inherited where allowed.

use fits::header::Card;
use fits::{Hdu, HduKind, Header, Value};

/// The keywords of one HDU, looked up without copying.
#[derive(Clone, Copy, Debug)]
pub struct HeaderView<'a> {
    header: &'a Header,
    compressed: bool,
    primary: Option<&'a Header>,
}

impl<'a> HeaderView<'a> {
    /// Views an HDU alone.
    pub fn new(hdu: &'a Hdu) -> Self {
        let compressed = hdu.kind == HduKind::CompressedImage;
        Self { header: &hdu.header, compressed, primary: None }
    }

    /// Views a header that is in no HDU.
    pub fn of_header(header: &'a Header) -> Self {
        Self { header, compressed: false, primary: None }
    }

    /// Views an extension, which inherits from the primary header the keywords that describe the whole exposure ([`is_own`]
    /// returns true for the others).
    pub fn of_extension(hdu: &'a Hdu, primary: &'a Hdu) -> Self {
        let primary = (hdu.index != primary.index).then_some(&primary.header);
        Self { primary, ..Self::new(hdu) }
    }

    /// Returns the header as stored.
    pub fn header(&self) -> &'a Header {
        self.header
    }

    /// Returns the card of a keyword in this header, of a compressed image under the name it has in the image.
    pub fn own_card(&self, keyword: &str) -> Option<Card<'a>> {
        if self.compressed
            && let Some(stored) = stored_keyword(keyword)
        {
            return self.header.card(&stored);
        }
        self.header.card(keyword)
    }

    /// Returns the card of a keyword in this header, else in the primary one if it may be inherited.
    pub fn card(&self, keyword: &str) -> Option<Card<'a>> {
        let own = self.own_card(keyword);
        match self.primary {
            // Most searches are for absent keywords, and search both headers.
            Some(primary) if own.is_none() => primary
                .card(keyword)
                .filter(|_| !is_own(keyword) && !self.names_frame_itself(keyword)),
            _ => own,
        }
    }

    /// Returns true for a keyword of the reference frame in a header with another such keyword: the names and the equinox of
    /// one frame are never taken from two headers.
    fn names_frame_itself(&self, keyword: &str) -> bool {
        const FRAME: [&str; 4] = ["RADESYS", "RADECSYS", "EQUINOX", "EPOCH"];
        FRAME.contains(&keyword) && FRAME.iter().any(|other| self.header.card(other).is_some())
    }

    /// Returns the value of a keyword, inherited ones included.
    pub fn value(&self, keyword: &str) -> Option<Value<'a>> {
        self.card(keyword)?.value()
    }

    /// Returns a whole number of this header alone; `None` when absent or not a whole number.
    pub fn own_integer(&self, keyword: &str) -> Option<i64> {
        match self.own_card(keyword)?.value()? {
            Value::Integer(number) => Some(number),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
                Some(number as i64)
            }
            _ => None,
        }
    }

    /// Returns the value as text, numbers and logicals as FITS writes them; `None` when absent or blank.
    pub fn written(&self, keyword: &str) -> Option<String> {
        as_written(self.value(keyword)?)
    }

    /// Returns the value in this header alone, as text.
    pub fn own_written(&self, keyword: &str) -> Option<String> {
        as_written(self.own_card(keyword)?.value()?)
    }
}

/// Returns a value as text, numbers and logicals as FITS writes them.
pub fn as_written(value: Value<'_>) -> Option<String> {
    let text = match value {
        Value::Text(text) => text.trim().to_owned(),
        Value::Logical(true) => "T".to_owned(),
        Value::Logical(false) => "F".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::BigInteger(digits) => digits.to_owned(),
        Value::Float(number) => number.to_string(),
        Value::Complex(..) | Value::Undefined => return None,
    };
    (!text.is_empty()).then_some(text)
}

impl sky::Keywords for HeaderView<'_> {
    fn text(&self, keyword: &str) -> Option<String> {
        match self.value(keyword)? {
            Value::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }

    fn number(&self, keyword: &str) -> Option<f64> {
        match self.value(keyword)? {
            Value::Integer(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            _ => None,
        }
    }

    /// Calls `each` with every keyword of this header. The primary header contributes nothing to the coordinate system of an
    /// extension but the reference frame.
    fn each_keyword(&self, each: &mut dyn FnMut(&str)) -> bool {
        self.header.cards().for_each(|card| each(card.keyword()));
        true
    }
}

/// Returns the keyword under which a compressed image keeps a property of the image itself (FITS 4.0, section 10.1.1).
fn stored_keyword(keyword: &str) -> Option<String> {
    let renamed = match keyword {
        "BITPIX" | "NAXIS" | "PCOUNT" | "GCOUNT" => format!("Z{keyword}"),
        "XTENSION" => "ZTENSION".to_owned(),
        "CHECKSUM" => "ZHECKSUM".to_owned(),
        "DATASUM" => "ZDATASUM".to_owned(),
        _ if has_number(keyword, "NAXIS") => format!("Z{keyword}"),
        _ => return None,
    };
    Some(renamed)
}

/// Returns true when a keyword describes its own HDU, so that an extension without it has none.
///
/// Such keywords are structure, scaling, names and dates of the HDU, and its world coordinates: in the primary header they
/// describe the primary HDU.
pub fn is_own(keyword: &str) -> bool {
    const OWN: [&str; 24] = [
        "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "GROUPS", "EXTEND", "TFIELDS",
        "BSCALE", "BZERO", "BLANK", "BUNIT", "EXTNAME", "EXTVER", "DATE", "CHECKSUM", "DATASUM",
        "LONPOLE", "LATPOLE", "A_ORDER", "B_ORDER", "AP_ORDER", "BP_ORDER",
    ];
    const NUMBERED: [&str; 12] = [
        "NAXIS", "CTYPE", "CRPIX", "CRVAL", "CUNIT", "CRUNIT", "CDELT", "CROTA", "PROJP", "CPDIS",
        "CQDIS", "D2IMDIS",
    ];
    const PAIRED: [&str; 9] = ["CD", "PC", "PV", "TC", "TV", "A_", "B_", "AP_", "BP_"];
    OWN.contains(&keyword)
        || NUMBERED.iter().any(|stem| has_number(keyword, stem))
        || PAIRED.iter().any(|stem| has_two_numbers(keyword, stem))
        || ["CD", "PC"].iter().any(|stem| has_six_digits(keyword, stem))
}

fn has_number(keyword: &str, stem: &str) -> bool {
    keyword.strip_prefix(stem).is_some_and(is_number)
}

fn has_two_numbers(keyword: &str, stem: &str) -> bool {
    keyword
        .strip_prefix(stem)
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(first, second)| is_number(first) && is_number(second))
}

/// Returns true for the matrices of the drafts of the WCS papers: CD001001.
fn has_six_digits(keyword: &str, stem: &str) -> bool {
    keyword.strip_prefix(stem).is_some_and(|rest| rest.len() == 6 && is_number(rest))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_extension_does_not_inherit() {
        for own in [
            "NAXIS1", "BITPIX", "CTYPE1", "CD1_2", "PV2_3", "EXTNAME", "DATE", "PROJP3",
            "PC001001", "A_1_2", "LONPOLE",
        ] {
            assert!(is_own(own), "{own}");
        }
        for shared in ["EXP_TIME", "DATE-OBS", "EQUINOX", "CDX", "PVFOO_1", "NAXISX", "CRPIXEL"] {
            assert!(!is_own(shared), "{shared}");
        }
    }
}
