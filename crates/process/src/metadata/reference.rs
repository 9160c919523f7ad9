//! File names inside header texts: `w20071011_01818_sf.fit[4]`, `Done with: dark_20071011_10_CDS_1.fit[4] and
//! scale 1`.

/// A file that a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileReference<'t> {
    /// Name of the file, without a path before it.
    pub name: &'t str,
    /// The text in brackets after the name.
    pub extension: Option<&'t str>,
}

impl FileReference<'_> {
    /// Returns the extension number of the archive (primary = 1): in brackets the first after the primary is 1.
    pub fn ext_num(&self) -> Option<i16> {
        self.extension?.trim().parse::<i16>().ok()?.checked_add(1).filter(|n| *n >= 1)
    }
}

/// Returns the first word of a text that is a file name: one that ends in one of the extensions, without brackets.
pub(super) fn parse<'t>(text: &'t str, extensions: &[String]) -> Option<FileReference<'t>> {
    let mut rest = text;
    while let Some(word) = next_word(&mut rest) {
        let (path, extension) = match word.split_once('[') {
            Some((path, behind)) => (path, behind.split(']').next()),
            None => (word.trim_end_matches([':', '.']), None),
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        if is_file_name(name, extensions) {
            return Some(FileReference { name, extension: extension.filter(|e| !e.is_empty()) });
        }
    }
    None
}

fn next_word<'t>(rest: &mut &'t str) -> Option<&'t str> {
    let breaks = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '\'' | '"' | '(' | ')');
    let text = rest.trim_start_matches(breaks);
    if text.is_empty() {
        return None;
    }
    // Blanks inside brackets belong to the name of an extension.
    let end = match (text.find(breaks), text.find('[')) {
        (Some(blank), Some(open)) if open < blank => text[open..].find(']').map(|n| open + n + 1),
        (blank, _) => blank,
    };
    let (word, behind) = text.split_at(end.unwrap_or(text.len()));
    *rest = behind;
    Some(word)
}

fn is_file_name(name: &str, extensions: &[String]) -> bool {
    extensions.iter().any(|extension| {
        let (name, extension) = (name.as_bytes(), extension.as_bytes());
        name.len() > extension.len()
            && name[name.len() - extension.len()..].eq_ignore_ascii_case(extension)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_real_headers() {
        let cases = [
            (
                "Done with: dark_20071011_10_CDS_1.fit[4] and scale 1",
                Some(("dark_20071011_10_CDS_1.fit", Some("4"), Some(5))),
            ),
            (
                "Done with: pK_flat_aug2007.fit[4]",
                Some(("pK_flat_aug2007.fit", Some("4"), Some(5))),
            ),
            (
                "Done with sky_20071011_1794_K.fit[4] and scale factor 1",
                Some(("sky_20071011_1794_K.fit", Some("4"), Some(5))),
            ),
            (
                "w20071011_01818_sf_st_conf.fit[4]",
                Some(("w20071011_01818_sf_st_conf.fit", Some("4"), Some(5))),
            ),
            ("mdark.fits[CHIP1.INT1]", Some(("mdark.fits", Some("CHIP1.INT1"), None))),
            ("raw_1.fits", Some(("raw_1.fits", None, None))),
            (
                "HAWKI.2014-05-11T02:57:41.760.fits",
                Some(("HAWKI.2014-05-11T02:57:41.760.fits", None, None)),
            ),
            ("Done with: /casu/lib/dark.fit[1].", Some(("dark.fit", Some("1"), Some(2)))),
            ("see dark.fit.", Some(("dark.fit", None, None))),
            ("file.fits[my ext] and more", Some(("file.fits", Some("my ext"), None))),
            ("FILE.FIT[99999]", Some(("FILE.FIT", Some("99999"), None))),
            ("Done", None),
            (".fit", None),
            ("", None),
        ];
        let extensions = [".fit".to_owned(), ".fits".to_owned()];
        for (text, wanted) in cases {
            let got = parse(text, &extensions).map(|r| (r.name, r.extension, r.ext_num()));
            assert_eq!(got, wanted, "{text:?}");
        }
    }
}
