//! Names on a directory page, as web servers make them: Apache, nginx, lighttpd, Caddy, Python.
//!
//! No standard says what such a page looks like; what all have in common is a link to every entry, relative or by its path,
//! with a slash behind directories. Everything else on the page is passed over.

use percent_encoding::percent_decode_str;
use std::collections::BTreeSet;

/// Names of the entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Files.
    pub files: BTreeSet<String>,
    /// Directories.
    pub directories: BTreeSet<String>,
}

impl Page {
    /// Reads a page that stands under a path, e.g. `/nights/20071011_v1/`.
    pub fn read(html: &str, path: &str) -> Self {
        let mut page = Self::default();
        for link in links(html) {
            let Some(name) = child(&unescaped(link), path) else { continue };
            match name.strip_suffix('/') {
                Some(directory) => page.directories.insert(directory.to_owned()),
                None => page.files.insert(name),
            };
        }
        page.files.retain(|name| !page.directories.contains(name));
        page
    }
}

/// Values of `href` in `<a …>`.
fn links(html: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let lower = html.to_ascii_lowercase(); // of equal length, so places in it are places in the text
    let mut at = 0;
    while let Some(found) = lower[at..].find("<a") {
        let begin = at + found + 2;
        let end = lower[begin..].find('>').map_or(lower.len(), |n| begin + n);
        at = end;
        let is_link = lower[begin..end].starts_with(|c: char| c.is_ascii_whitespace());
        let Some(value) = is_link.then(|| attribute(&lower[begin..end])).flatten() else {
            continue;
        };
        links.push(&html[begin + value.0..begin + value.1]);
    }
    links
}

/// Where the value of `href` stands in the attributes of a tag.
fn attribute(tag: &str) -> Option<(usize, usize)> {
    let name = tag.find("href")?;
    let rest = &tag[name + 4..];
    let equals =
        rest.find(|c: char| !c.is_ascii_whitespace()).filter(|&n| rest[n..].starts_with('='))?;
    let value = equals + 1 + rest[equals + 1..].find(|c: char| !c.is_ascii_whitespace())?;
    let quote = rest[value..].chars().next()?;
    let (begin, end) = match quote {
        '"' | '\'' => (value + 1, value + 1 + rest[value + 1..].find(quote)?),
        _ => {
            let length = rest[value..].find(|c: char| c.is_ascii_whitespace());
            (value, length.map_or(rest.len(), |n| value + n))
        }
    };
    Some((name + 4 + begin, name + 4 + end))
}

/// The five entities of HTML that links hold, and numbers.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').filter(|&n| n <= 8);
        let character = end.and_then(|end| match &rest[1..end] {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            number => {
                let number = number.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                code.ok().and_then(char::from_u32)
            }
        });
        match (character, end) {
            (Some(character), Some(end)) => {
                out.push(character);
                rest = &rest[end + 1..];
            }
            _ => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

/// The name that a link means, if it leads to something right below the page.
fn child(link: &str, path: &str) -> Option<String> {
    let link = link.split(['?', '#']).next().unwrap_or_default();
    let link = match link.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            rest.find('/').map(|at| &rest[at..])?
        }
        _ => link,
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let name = match link.strip_prefix('/') {
        None => link.strip_prefix("./").unwrap_or(link),
        Some(_) => {
            let (page, wanted) = (decoded(path), link);
            let page = page.trim_end_matches('/');
            let cut = wanted.trim_end_matches('/').rfind('/')?;
            if decoded(&wanted[..cut]) != page {
                return None;
            }
            &wanted[cut + 1..]
        }
    };
    let is_below = name.trim_end_matches('/').contains('/');
    let is_other = is_below
        || name.is_empty()
        || name.starts_with("..") && name.trim_end_matches('/') == ".."
        || name.contains(':');
    (!is_other && name != "." && name != "./").then(|| decoded(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> (Vec<String>, Vec<String>) {
        let page = Page::read(html, "/nights/20071011_v1/");
        (page.files.into_iter().collect(), page.directories.into_iter().collect())
    }

    #[test]
    fn pages_of_servers() {
        let apache = r#"<html><head><title>Index of /nights/20071011_v1</title></head><body><table>
            <tr><th><a href="?C=N;O=D">Name</a></th></tr>
            <tr><td><a href="/nights/">Parent Directory</a></td></tr>
            <tr><td><a href="OK_TO_COPY">OK_TO_COPY</a></td><td>2007-10-12 06:00</td></tr>
            <tr><td><a href="w20071011_00100_st.fit">w20071011_00100_..&gt;</a></td></tr>
            <tr><td><a href="sub/">sub/</a></td></tr></table></body></html>"#;
        let nginx = "<html><body><h1>Index of /nights/20071011_v1/</h1><hr><pre><a href=\"../\">../</a>\n\
            <a href=\"sub/\">sub/</a> 12-Oct-2007 06:00 -\n<a href=\"OK_TO_COPY\">OK_TO_COPY</a> 12-Oct-2007 0\n\
            <a href=\"w20071011_00100_st.fit\">w20071011_00100_st.fit</a></pre></body></html>";
        let python = "<ul><li><a href=\"OK_TO_COPY\">OK_TO_COPY</a></li><li><a href=\"sub/\">sub/</a></li>\
            <li><A  HREF = 'w20071011_00100_st.fit'>x</A></li></ul>";
        let by_path = "<a href=/nights/20071011_v1/OK_TO_COPY>a</a><a href=\"/nights/20071011_v1/sub/\">b</a>\
            <a href='https://casu.example.org/nights/20071011_v1/w20071011_00100_st.fit'>c</a>\
            <a href='https://casu.example.org/other/x.fit'>d</a><a href='mailto:x@y'>e</a><abbr href='no'>f</abbr>";
        for html in [apache, nginx, python, by_path] {
            let (files, directories) = page(html);
            assert_eq!(files, ["OK_TO_COPY", "w20071011_00100_st.fit"], "{html}");
            assert_eq!(directories, ["sub"], "{html}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_page(parts in proptest::collection::vec("(<a|<A href=|href|=|\"|'|>|&|&#x|;|/|%|%2|\\.\\.|é|\\PC{0,3}| )", 0..40)) {
            Page::read(&parts.concat(), "/nights/");
        }
    }

    #[test]
    fn names_are_decoded_once_and_stay_hostile() {
        let html = "<a href=\"a%20b.fit\">1</a><a href=\"a&amp;b.fit\">2</a><a href=\"..%2f..%2fetc%2fpasswd\">3</a>\
            <a href=\"%252e.fit\">4</a><a href=\"x&#10;y.fit\">5</a><a href=\"&bogus;\">6</a><a href=\"unfinished";
        let (files, _) = page(html);
        assert_eq!(
            files,
            ["%2e.fit", "&bogus;", "../../etc/passwd", "a b.fit", "a&b.fit", "x\ny.fit"]
        );
    }
}
