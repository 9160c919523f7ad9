//! The provider's own list of checksums: `SHA256SUMS` or `MD5SUMS`, as their namesake programs write them.

use crate::names::shown;
use model::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

/// A checksum as a provider states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stated {
    /// SHA-256, lower-case hexadecimal.
    Sha256(String),
    /// MD5, lower-case hexadecimal.
    Md5(String),
}

/// What a provider says its files are.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    name: String,
    stated: BTreeMap<String, Stated>,
}

const NAMES: [&str; 2] = ["SHA256SUMS", "MD5SUMS"];
const LARGEST_BYTES: u64 = 64 << 20;

impl Manifest {
    /// Reads the first manifest that a delivery has; an unreadable or absent one states nothing.
    pub fn read(delivery: &Path) -> Self {
        for name in NAMES {
            let Ok(mut file) = files::open_regular(&delivery.join(name)) else { continue };
            let mut bytes = Vec::new();
            if file.metadata().is_ok_and(|m| m.len() <= LARGEST_BYTES)
                && file.read_to_end(&mut bytes).is_ok()
            {
                return Self::parse(name, &String::from_utf8_lossy(&bytes));
            }
        }
        Self::default()
    }

    /// Parses `<hex>  <name>` or `<hex> *<name>` lines; others are passed over.
    pub fn parse(name: &str, text: &str) -> Self {
        let mut stated = BTreeMap::new();
        for line in text.lines() {
            let Some((sum, file)) = line.split_once(' ') else { continue };
            let file = file.trim_start_matches([' ', '*']).trim_start_matches("./");
            let sum = sum.to_ascii_lowercase();
            if file.is_empty() || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
                continue;
            }
            match sum.len() {
                64 => stated.insert(file.to_owned(), Stated::Sha256(sum)),
                32 => stated.insert(file.to_owned(), Stated::Md5(sum)),
                _ => continue,
            };
        }
        Self { name: name.to_owned(), stated }
    }

    /// What is stated of a file.
    pub fn of(&self, file: &str) -> Option<&Stated> {
        self.stated.get(file)
    }

    /// Whether there is a manifest that states anything.
    pub fn is_empty(&self) -> bool {
        self.stated.is_empty()
    }

    /// Parked refusals for files that are stated and not there: one each, and one for all beyond the first thousand.
    pub fn absent(&self, present: &BTreeSet<String>) -> Vec<Refusal> {
        const NAMED: usize = 1000;
        let absent: Vec<&String> = self.stated.keys().filter(|f| !present.contains(*f)).collect();
        let code = "missing_from_delivery";
        let message = format!("{} lists it, and it is not in the delivery", self.name);
        let one = |file: &&String| Refusal {
            parked: true,
            ..Refusal::new(code, shown(OsStr::new(file)), message.clone())
        };
        let mut refusals: Vec<Refusal> = absent.iter().take(NAMED).map(one).collect();
        if absent.len() > NAMED {
            let message =
                format!("it lists {} more files that are not there", absent.len() - NAMED);
            refusals
                .push(Refusal { parked: true, ..Refusal::new(code, self.name.clone(), message) });
        }
        refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let sha = "a".repeat(64);
        let md5 = "B".repeat(32);
        let text = format!("{sha}  w1.fit\n{md5} *./w2.fit\nnonsense\n{sha} \n");
        let manifest = Manifest::parse("SHA256SUMS", &text);
        assert_eq!(manifest.of("w1.fit"), Some(&Stated::Sha256(sha.clone())));
        assert_eq!(manifest.of("w2.fit"), Some(&Stated::Md5("b".repeat(32))));
        let absent = manifest.absent(&BTreeSet::from(["w1.fit".to_owned()]));
        assert_eq!(absent.len(), 1);
        let many: String = (0..1500).map(|n| format!("{sha}  gone\u{1b}{n:04}.fit\n")).collect();
        let absent_of_many = Manifest::parse("SHA256SUMS", &many).absent(&BTreeSet::new());
        assert_eq!(absent_of_many.len(), 1001, "a list may not flood the archive");
        assert_eq!(absent_of_many[0].file, "gone\\x1b0000.fit");
        assert_eq!(absent_of_many[1000].file, "SHA256SUMS");
        assert_eq!(
            (absent[0].code.as_str(), absent[0].file.as_str()),
            ("missing_from_delivery", "w2.fit")
        );
    }
}
