//! Kinds of files, digests of their content, and the methods by which their bytes are verified.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The kind of a file, decided by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// FITS with pixels: gets a multiframe id.
    Image,
    /// FITS with binary tables and no pixels: a version of its image's catalogue.
    Catalogue,
    /// Anything else; kept and listed.
    Other,
}

impl FileKind {
    /// Returns the name in tables and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Catalogue => "catalogue",
            Self::Other => "other",
        }
    }
}

impl FromStr for FileKind {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Image, Self::Catalogue, Self::Other]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| format!("{name:?} is not a kind of file"))
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The method by which the bytes of a transferred file were verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verification {
    /// The provider's SHA-256.
    Sha256,
    /// The provider's MD5.
    Md5,
    /// The DATASUM of every HDU with data.
    Datasum,
    /// Size and date, unchanged from before the read to after it.
    Recheck,
}

impl Verification {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
            Self::Datasum => "datasum",
            Self::Recheck => "recheck",
        }
    }
}

/// The SHA-256 of a content. Its text is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Makes the value of a digest.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Returns the bytes of the digest.
    pub const fn bytes(self) -> [u8; 32] {
        self.0
    }
}

impl FromStr for Sha256 {
    type Err = String;

    /// Parses 64 lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, String> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut digest = [0; 32];
        let is_whole = text.len() == 2 * digest.len()
            && text.as_bytes().chunks_exact(2).zip(&mut digest).all(|(pair, byte)| {
                digit(pair[0])
                    .zip(digit(pair[1]))
                    .map(|(high, low)| *byte = high << 4 | low)
                    .is_some()
            });
        let shown = || format!("{:?} is no SHA-256", crate::shown_briefly(text, 80));
        is_whole.then_some(Self(digest)).ok_or_else(shown)
    }
}

impl TryFrom<String> for Sha256 {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(sum: Sha256) -> Self {
        sum.to_string()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sha256_has_one_text() {
        let text = "00ff0123456789abcdef".repeat(4)[..64].to_owned();
        let sum: Sha256 = text.parse().unwrap();
        assert_eq!((sum.to_string(), sum.bytes()[..3].to_vec()), (text.clone(), vec![0, 255, 1]));
        assert_eq!(Sha256::new(sum.bytes()), sum);
        for wrong in ["", "00", &text.to_uppercase(), &format!("{text}0"), &"é".repeat(32)] {
            assert!(wrong.parse::<Sha256>().is_err(), "{wrong:?}");
        }
    }
}
