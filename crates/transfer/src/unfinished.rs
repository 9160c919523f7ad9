//! Names of files that another program is still writing, and the rule that finds them.
//!
//! The usual names are in [`USUAL`]; survey profiles and sources add their own, and exclude names with a leading `!`.

use model::profile::Glob;
use std::collections::BTreeMap;

/// Names under which transfer programs, browsers and editors write.
const USUAL: [&str; 29] = [
    "*.partial",          // rclone, wget2, many scripts
    "*.part",             // Firefox, curl scripts, youtube-dl
    "*.filepart",         // WinSCP
    "*.tmp",              //
    "*.temp",             //
    "*~",                 // editors and `cp --backup`
    "*.crdownload",       // Chromium
    "*.opdownload",       // Opera
    "*.download",         // Safari
    "*.aria2",            // aria2, its control file
    "*.lftp-pget-status", // lftp, its control file
    "*.swp",              // vim
    "*.swo",
    "*.swx",
    "*.upload",
    "*.uploading",
    "*.incomplete",
    "*.inprogress",
    "*.in-progress",
    "*.gstmp",        // gsutil
    ".in.*",          // lftp, ProFTPD
    ".#*",            // emacs
    "#*#",            // emacs
    ".~tmp~*",        // rsync --delay-updates
    ".rsync-partial", // rsync --partial-dir
    ".nfs????????*",  // deleted while open
    ".fuse_hidden*",  // the same under FUSE
    "~syncthing~*",
    ".syncthing.*",
];
/// Control files: while one exists, the file of its name without the ending is incomplete.
const CONTROLS: [&str; 2] = [".aria2", ".lftp-pget-status"];
/// Files for which browsers keep an empty file under the final name.
const BESIDE_EMPTY: [&str; 2] = [".part", ".crdownload"];
/// Characters that rsync appends to the name of a file in transfer.
const RSYNC_SUFFIX: usize = 6;

/// The rule that finds unfinished files by their names.
#[derive(Clone, Debug)]
pub struct Unfinished {
    patterns: Vec<Glob>,
    kept: Vec<Glob>,
}

impl Default for Unfinished {
    fn default() -> Self {
        Self::new([])
    }
}

impl Unfinished {
    /// Makes a rule of the usual names and further patterns; `!PATTERN` excludes names.
    pub fn new<'p>(further: impl IntoIterator<Item = &'p str>) -> Self {
        let mut rule =
            Self { patterns: USUAL.iter().map(|p| Glob::new(p)).collect(), kept: Vec::new() };
        for pattern in further {
            match pattern.strip_prefix('!') {
                Some(kept) => rule.kept.push(Glob::new(kept)),
                None => rule.patterns.push(Glob::new(pattern)),
            }
        }
        rule
    }

    /// Returns the reason why a name is that of an unfinished file; `None` when it is not.
    pub fn why(&self, name: &str) -> Option<String> {
        if self.kept.iter().any(|glob| glob.fits(name)) {
            return None;
        }
        if let Some(glob) = self.patterns.iter().find(|glob| glob.fits(name)) {
            return Some(format!("names like {} are those of unfinished files", glob.as_str()));
        }
        is_of_rsync(name).then(|| "rsync is still writing the file".to_owned())
    }

    /// Returns the reason why a file of a directory is unfinished, from its name and the other names in the directory.
    pub(crate) fn why_among(
        &self,
        name: &str,
        bytes: Option<u64>,
        others: &BTreeMap<String, Option<u64>>,
    ) -> Option<String> {
        if let Some(why) = self.why(name) {
            return Some(why);
        }
        if self.kept.iter().any(|glob| glob.fits(name)) {
            return None;
        }
        let beside = CONTROLS.iter().chain(BESIDE_EMPTY.iter().filter(|_| bytes == Some(0)));
        let other = beside.map(|end| format!("{name}{end}")).find(|o| others.contains_key(o))?;
        Some(format!("{other} shows that the file is still being written"))
    }
}

/// Returns whether a name is `.NAME.XXXXXX`, as rsync writes it.
fn is_of_rsync(name: &str) -> bool {
    let Some((stem, suffix)) = name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.')) else {
        return false;
    };
    !stem.is_empty()
        && suffix.len() == RSYNC_SUFFIX
        && suffix.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_names_are_found() {
        let rule = Unfinished::new(["*.xfer", "!*_st.tmp"]);
        for name in [
            "w.fit.partial",
            "w.fit.PART",
            "w.fit.filepart",
            "w.fit.tmp",
            "w.fit~",
            "w.fit.crdownload",
            "w.fit.aria2",
            ".w.fit.swp",
            ".w20071011_00100_st.fit.a1B2c3",
            ".in.w.fit",
            ".in.w.fit.",
            "w.fit.lftp-pget-status",
            "w.fit.xfer",
            "#w.fit#",
        ] {
            assert!(rule.why(name).is_some(), "{name}");
        }
        for name in [
            "w20071011_00100_st.fit",
            "OK_TO_COPY",
            ".w.fit",
            ".hidden",
            "partial.fit",
            "w_st.tmp",
            "w.fit.a1B2c3",
            "tmp",
            "SHA256SUMS",
        ] {
            assert!(rule.why(name).is_none(), "{name}");
        }
        assert!(Unfinished::default().why("w.fit.xfer").is_none());
    }

    #[test]
    fn a_control_file_marks_the_file_beside_it() {
        let others = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), Some(1))).collect();
        let rule = Unfinished::default();
        let among = |name: &str, bytes, names: &[&str]| {
            rule.why_among(name, Some(bytes), &others(names)).is_some()
        };
        assert!(among("w.fit", 9, &["w.fit", "w.fit.aria2"]));
        assert!(among("w.fit", 0, &["w.fit", "w.fit.part"]), "as Firefox begins");
        assert!(!among("w.fit", 9, &["w.fit", "w.fit.part"]));
        assert!(!among("w.fit", 0, &["w.fit"]));
    }
}
