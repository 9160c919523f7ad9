//! The provider's own lists of files: as `sha256sum` and `md5sum` write them, or JSON. The survey profile holds their names.

use files::shown;
use model::{Refusal, RefusalCode};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

/// A checksum as a provider states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stated {
    /// SHA-256, lower-case hexadecimal.
    Sha256(String),
    /// MD5, lower-case hexadecimal.
    Md5(String),
}

impl Stated {
    /// Returns true when the comparison requires an MD5.
    pub fn is_md5(&self) -> bool {
        matches!(self, Self::Md5(_))
    }

    /// Reads a checksum, whose kind follows from its length; `None` when it is not a checksum.
    fn of(sum: &str) -> Option<Self> {
        let sum = sum.trim().to_ascii_lowercase();
        let is_hex = sum.bytes().all(|b| b.is_ascii_hexdigit());
        match (is_hex, sum.len()) {
            (true, 64) => Some(Self::Sha256(sum)),
            (true, 32) => Some(Self::Md5(sum)),
            _ => None,
        }
    }
}

/// The provider's statements about its files.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    files: BTreeMap<String, Line>,
}

/// The statement about one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Line {
    stated: Option<Stated>,
    bytes: Option<u64>,
    /// The list that holds the statement.
    list: String,
}

/// Maximum number of bytes of a list that are read.
pub(crate) const MAX_LIST_BYTES: u64 = 64 << 20;

impl Manifest {
    /// Adds the statements of a list: JSON, `<hex>  <name>`, `<hex> *<name>` or `SHA256 (<name>) = <hex>`; other lines are
    /// ignored. JSON is an object or array of files (perhaps below `files`), each of which has `name`, `file` or `path`, and
    /// any of `sha256`, `md5`, `checksum`, `bytes` and `size`; or an object of checksums by name. Of a file's checksums SHA-256
    /// counts.
    pub fn add(&mut self, list: &str, text: &str) {
        if let Ok(json) = serde_json::from_str::<Value>(text) {
            return self.add_json(list, &json);
        }
        for line in text.lines() {
            let sum_first =
                line.split_once(' ').map(|(sum, file)| (sum, file.trim_start_matches([' ', '*'])));
            let sum_last = line.split_once(" (").and_then(|(_, rest)| {
                let (file, sum) = rest.rsplit_once(") = ")?;
                Some((sum, file))
            });
            for (sum, file) in sum_last.into_iter().chain(sum_first) {
                if let Some(stated) = Stated::of(sum) {
                    self.note(list, file, Some(stated), None);
                    break;
                }
            }
        }
    }

    fn add_json(&mut self, list: &str, json: &Value) {
        let text = |value: &Value, keys: &[&str]| {
            keys.iter().find_map(|key| value.get(key)?.as_str()).map(str::to_owned)
        };
        match json.get("files").unwrap_or(json) {
            Value::Array(files) => {
                for file in files {
                    let Some(name) = text(file, &["name", "file", "path"]) else { continue };
                    let sums =
                        ["sha256", "checksum", "md5"].iter().filter_map(|key| text(file, &[key]));
                    let sum = |sum: String| Stated::of(sum.rsplit(':').next().unwrap_or(&sum));
                    let bytes = ["bytes", "size"].iter().find_map(|key| file.get(key)?.as_u64());
                    self.note(list, &name, sums.filter_map(sum).min_by_key(Stated::is_md5), bytes);
                }
            }
            Value::Object(files) => {
                for (name, sum) in files {
                    if let Some(stated) = sum.as_str().and_then(Stated::of) {
                        self.note(list, name, Some(stated), None);
                    }
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, list: &str, file: &str, stated: Option<Stated>, bytes: Option<u64>) {
        let file = file.trim_start_matches("./");
        if file.is_empty() || file == list {
            return;
        }
        let line = self.files.entry(file.to_owned()).or_default();
        let is_better = !matches!(line.stated, Some(Stated::Sha256(_)))
            || matches!(stated, Some(Stated::Sha256(_)));
        if is_better && stated.is_some() || line.list.is_empty() {
            line.stated = stated;
            list.clone_into(&mut line.list);
        }
        line.bytes = bytes.or(line.bytes);
    }

    /// Returns the stated checksum of a file.
    pub fn of(&self, file: &str) -> Option<&Stated> {
        self.files.get(file)?.stated.as_ref()
    }

    /// Returns the stated length of a file.
    pub fn bytes_of(&self, file: &str) -> Option<u64> {
        self.files.get(file)?.bytes
    }

    /// Returns the names of all listed files.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Returns a list that states something.
    pub fn list(&self) -> Option<&str> {
        self.files.values().next().map(|line| line.list.as_str())
    }

    /// Makes parked refusals for files that are stated and absent: one each, and one for all beyond the first thousand.
    pub fn absent(&self, present: &BTreeSet<String>) -> Vec<Refusal> {
        const NAMED: usize = 1000;
        let parked = |file: String, message: String| Refusal {
            parked: true,
            ..Refusal::new(RefusalCode::MISSING_FROM_DELIVERY, file, message)
        };
        let absent: Vec<_> = self.files.iter().filter(|(f, _)| !present.contains(*f)).collect();
        let one = |(file, line): &(&String, &Line)| {
            let message =
                format!("{} lists the file, and the delivery does not have it", line.list);
            parked(shown(OsStr::new(file)), message)
        };
        let mut refusals: Vec<Refusal> = absent.iter().take(NAMED).map(one).collect();
        if let Some((_, line)) = absent.get(NAMED) {
            let more = absent.len() - NAMED;
            refusals.push(parked(
                line.list.clone(),
                format!("the list names {more} more files that the delivery does not have"),
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

    proptest::proptest! {
        #[test]
        fn any_text_is_a_list(text in "([0-9a-f]{32}|[0-9a-f]{64}|SHA256| |\\(|\\)|=|\\*|\\./|\\n|\\{|\\[|\"|:|,|\\PC{0,3}){0,30}") {
            list(&text).absent(&BTreeSet::new());
        }
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
    fn json_and_bsd_forms_are_read() {
        let (sha, md5) = ("a".repeat(64), "b".repeat(32));
        for text in [
            format!(
                r#"{{"files": [{{"name": "w1.fit", "sha256": "{sha}", "md5": "{md5}", "bytes": 7}}, {{"path": "w2.fit", "size": 8}}]}}"#
            ),
            format!(
                r#"[{{"file": "./w1.fit", "checksum": "sha256:{sha}", "size": 7}}, {{"name": "w2.fit", "bytes": 8}}, {{"x": 1}}]"#
            ),
        ] {
            let manifest = list(&text);
            assert_eq!(manifest.of("w1.fit"), Some(&Stated::Sha256(sha.clone())), "{text}");
            assert_eq!(
                (manifest.bytes_of("w1.fit"), manifest.bytes_of("w2.fit")),
                (Some(7), Some(8))
            );
            assert_eq!((manifest.of("w2.fit"), manifest.files().count()), (None, 2));
        }
        let by_name = list(&format!(r#"{{"w1.fit": "{md5}", "n": 3}}"#));
        assert_eq!(by_name.of("w1.fit"), Some(&Stated::Md5(md5.clone())));
        let bsd = list(&format!("SHA256 (w (1).fit) = {sha}\nMD5 (w1.fit) = {md5}\n"));
        assert_eq!(bsd.of("w (1).fit"), Some(&Stated::Sha256(sha)));
        assert_eq!(bsd.of("w1.fit"), Some(&Stated::Md5(md5)));
        assert_eq!(list("[[1, {\"name\": 3}]]").files().count(), 0);
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
