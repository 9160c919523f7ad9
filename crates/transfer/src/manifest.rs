//! The provider's own lists of checksums, as `sha256sum` and `md5sum` write them. What they are called is the profile's.

use files::shown;
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
    /// By file: the checksum, and the list that states it.
    stated: BTreeMap<String, (Stated, String)>,
}

const LARGEST_BYTES: u64 = 64 << 20;

impl Manifest {
    /// Adds what a list of the delivery states; an unreadable one states nothing.
    pub fn read(&mut self, delivery: &Path, name: &str) {
        let Ok(mut file) = files::open_regular(&delivery.join(name)) else { return };
        let mut bytes = Vec::new();
        if file.metadata().is_ok_and(|m| m.len() <= LARGEST_BYTES)
            && file.read_to_end(&mut bytes).is_ok()
        {
            self.add(name, &String::from_utf8_lossy(&bytes));
        }
    }

    /// Adds `<hex>  <name>` or `<hex> *<name>` lines; others are passed over. Of a file's checksums SHA-256 counts.
    pub fn add(&mut self, name: &str, text: &str) {
        for line in text.lines() {
            let Some((sum, file)) = line.split_once(' ') else { continue };
            let file = file.trim_start_matches([' ', '*']).trim_start_matches("./");
            let sum = sum.to_ascii_lowercase();
            if file.is_empty() || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
                continue;
            }
            let stated = match sum.len() {
                64 => Stated::Sha256(sum),
                32 => Stated::Md5(sum),
                _ => continue,
            };
            let better = matches!(self.of(file), Some(Stated::Sha256(_)));
            if !better || matches!(stated, Stated::Sha256(_)) {
                self.stated.insert(file.to_owned(), (stated, name.to_owned()));
            }
        }
    }

    /// What is stated of a file.
    pub fn of(&self, file: &str) -> Option<&Stated> {
        self.stated.get(file).map(|(stated, _)| stated)
    }

    /// Parked refusals for files that are stated and not there: one each, and one for all beyond the first thousand.
    pub fn absent(&self, present: &BTreeSet<String>) -> Vec<Refusal> {
        const NAMED: usize = 1000;
        let parked = |file: String, message: String| Refusal {
            parked: true,
            ..Refusal::new("missing_from_delivery", file, message)
        };
        let absent: Vec<_> = self.stated.iter().filter(|(f, _)| !present.contains(*f)).collect();
        let one = |(file, (_, list)): &(&String, &(Stated, String))| {
            let message = format!("{list} lists it, and it is not in the delivery");
            parked(shown(OsStr::new(file)), message)
        };
        let mut refusals: Vec<Refusal> = absent.iter().take(NAMED).map(one).collect();
        if let Some((_, (_, list))) = absent.get(NAMED) {
            let more = absent.len() - NAMED;
            refusals.push(parked(
                list.clone(),
                format!("it lists {more} more files that are not there"),
            ));
        }
        refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Manifest {
        let mut manifest = Manifest::default();
        manifest.add("SHA256SUMS", text);
        manifest
    }

    #[test]
    fn the_stronger_checksum_counts() {
        let (sha, md5) = ("a".repeat(64), "b".repeat(32));
        for order in [[&sha, &md5], [&md5, &sha]] {
            let mut manifest = Manifest::default();
            for sum in order {
                manifest.add("checksums.txt", &format!("{sum}  w1.fit\n"));
            }
            assert_eq!(manifest.of("w1.fit"), Some(&Stated::Sha256(sha.clone())));
        }
    }

    #[test]
    fn both_forms_are_read() {
        let sha = "a".repeat(64);
        let md5 = "B".repeat(32);
        let text = format!("{sha}  w1.fit\n{md5} *./w2.fit\nnonsense\n{sha} \n");
        let manifest = list(&text);
        assert_eq!(manifest.of("w1.fit"), Some(&Stated::Sha256(sha.clone())));
        assert_eq!(manifest.of("w2.fit"), Some(&Stated::Md5("b".repeat(32))));
        let absent = manifest.absent(&BTreeSet::from(["w1.fit".to_owned()]));
        assert_eq!(absent.len(), 1);
        let many: String = (0..1500).map(|n| format!("{sha}  gone\u{1b}{n:04}.fit\n")).collect();
        let absent_of_many = list(&many).absent(&BTreeSet::new());
        assert_eq!(absent_of_many.len(), 1001, "a list may not flood the archive");
        assert_eq!(absent_of_many[0].file, "gone\\x1b0000.fit");
        assert_eq!(absent_of_many[1000].file, "SHA256SUMS");
        assert_eq!(
            (absent[0].code.as_str(), absent[0].file.as_str()),
            ("missing_from_delivery", "w2.fit")
        );
    }
}
