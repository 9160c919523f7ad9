//! Names on a directory page, as web servers make them: Apache, nginx, lighttpd, Caddy, Python, and pages written by hand.
//!
//! No standard defines such a page; all of them have a link to every entry. Links are resolved as a browser resolves them
//! (WHATWG URL, `<base href>`). Those that lead to something right below the page, or below its base, are entries. A link to a
//! file elsewhere is no entry, and is named. Everything else on the page is ignored.

use super::html::Links;
use percent_encoding::percent_decode_str;
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// Entries of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Files, each with its address where that differs from its name below the page.
    pub files: BTreeMap<String, Option<String>>,
    /// Directories.
    pub directories: BTreeSet<String>,
    /// Links to files that are no entries, with the reason.
    pub elsewhere: BTreeMap<String, String>,
}

/// Schemes that a page may use.
const SCHEMES: [&str; 15] = [
    "http",
    "https",
    "ftp",
    "file",
    "ws",
    "wss",
    "mailto",
    "javascript",
    "data",
    "tel",
    "about",
    "blob",
    "sms",
    "news",
    "irc",
];

impl Page {
    /// Returns the entries among the links of a page that is at an address, e.g. `http://h/nights/20071011_v1/`.
    pub fn of(links: &Links, at: &Url) -> Self {
        let base = links.base.as_ref().and_then(|base| at.join(base).ok());
        let base = base.filter(Url::has_host).unwrap_or_else(|| at.clone());
        let mut page = Self::default();
        let mut with_query: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for href in &links.hrefs {
            let Some(link) = resolved(href, &base) else {
                let name = href.split(['?', '#']).next().unwrap_or_default();
                if crate::names::claims_fits(name) {
                    page.note(href, "not a valid address");
                }
                continue;
            };
            match place(&link, at, &base) {
                Place::Directory(name) => drop(page.directories.insert(name)),
                Place::File { name, .. } if link.query().is_some() => {
                    with_query.entry(name).or_default().insert(without_fragment(&link));
                }
                Place::File { name, is_below } => {
                    let locator = (!is_below).then(|| without_fragment(&link));
                    let known = page.files.entry(name).or_insert_with(|| locator.clone());
                    if is_below {
                        *known = None;
                    }
                }
                Place::Elsewhere(why) => page.note(href, why),
                Place::Other => {}
            }
        }
        page.add_queries(with_query);
        page.files.retain(|name, _| !page.directories.contains(name));
        page
    }

    /// Adds files whose links have queries, unless there is a plain link to each. Several queries of one name are several files
    /// that cannot be distinguished by name.
    fn add_queries(&mut self, with_query: BTreeMap<String, BTreeSet<String>>) {
        for (name, links) in with_query {
            if self.files.contains_key(&name) || self.directories.contains(&name) {
                continue;
            }
            if links.len() == 1 {
                self.files.insert(name, links.into_iter().next());
                continue;
            }
            for link in links {
                let why = format!("several links of the page have the name {name}");
                self.elsewhere.insert(link, why);
            }
        }
    }

    fn note(&mut self, href: &str, why: &str) {
        self.elsewhere.insert(href.trim().to_owned(), why.to_owned());
    }
}

/// Returns where a link leads. Text like an unknown scheme is the beginning of a name: names with a colon are common, and not
/// every server escapes them.
fn resolved(href: &str, base: &Url) -> Option<Url> {
    let plain: String = href.trim().chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    let is_name = plain.split_once(':').is_some_and(|(scheme, rest)| {
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = SCHEMES.contains(&scheme.as_str()) || rest.starts_with("//");
        !is_scheme && !scheme.contains(['/', '\\', '?', '#'])
    });
    match is_name {
        true => base.join(&format!("./{plain}")).ok(),
        false => base.join(&plain).ok(),
    }
}

/// The meaning of a link on a page.
enum Place {
    /// A file of this name; below the page itself, or only below its base.
    File { name: String, is_below: bool },
    /// A directory below the page.
    Directory(String),
    /// A file that is not an entry, with the reason.
    Elsewhere(&'static str),
    /// Anything else: the page itself, one above it, a link to read.
    Other,
}

fn place(link: &Url, at: &Url, base: &Url) -> Place {
    let path = link.path().trim_end_matches('/');
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
    let elsewhere = |why| match crate::names::claims_fits(&name) {
        true => Place::Elsewhere(why),
        false => Place::Other,
    };
    if !matches!(link.scheme(), "http" | "https") {
        return elsewhere("the address is not http or https");
    }
    let is_in = |page: &Url| decoded(directory) == directory_of(page);
    // Behind another server a page may state its address as known to that server.
    let is_below = is_in(at);
    let is_below_base = is_in(base) && is_same_server(link, at);
    if decoded(path) == directory_of(at) || matches!(name.as_str(), "" | "." | "..") {
        return Place::Other;
    }
    match link.path().ends_with('/') {
        true if is_below => Place::Directory(name),
        false if is_below || is_below_base => Place::File { name, is_below },
        _ if !is_same_server(link, at) => elsewhere("the link leads to another server"),
        _ => elsewhere("the link leads out of the directory of the page"),
    }
}

/// Returns the path of the directory of a page, without a trailing slash.
fn directory_of(page: &Url) -> String {
    decoded(page.path().rsplit_once('/').map_or("", |(directory, _)| directory))
}

fn decoded(path: &str) -> String {
    percent_decode_str(path.trim_end_matches('/')).decode_utf8_lossy().into_owned()
}

fn is_same_server(a: &Url, b: &Url) -> bool {
    a.host_str() == b.host_str() && a.port_or_known_default() == b.port_or_known_default()
}

fn without_fragment(link: &Url) -> String {
    let mut link = link.clone();
    link.set_fragment(None);
    link.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Page {
        let at = Url::parse("http://casu.example.org/nights/20071011_v1/").unwrap();
        Page::of(&Links::read(html), &at)
    }

    fn files(html: &str) -> Vec<String> {
        page(html).files.into_keys().collect()
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
            <a href='https://mirror.example.org/nights/20071011_v1/w20071011_00100_st.fit'>c</a>\
            <a href='mailto:x@y'>e</a><abbr href='no'>f</abbr>";
        let by_server = "<a href='//casu.example.org/nights/20071011_v1/OK_TO_COPY'>a</a>\
            <a href='http://casu.example.org/nights/20071011_v1/sub/'>b</a>\
            <a href='../20071011_v1/./w20071011_00100_st.fit#x'>c</a><a href='http://casu.example.org/'>d</a>";
        for html in [apache, nginx, python, by_path, by_server] {
            let page = page(html);
            let files: Vec<_> = page.files.into_iter().collect();
            let wanted = ["OK_TO_COPY", "w20071011_00100_st.fit"].map(|n| (n.to_owned(), None));
            assert_eq!(files, wanted, "{html}");
            assert_eq!(page.directories.into_iter().collect::<Vec<_>>(), ["sub"], "{html}");
            assert_eq!(page.elsewhere.len(), 0, "{html}");
        }
    }

    #[test]
    fn names_with_colons_are_names() {
        let html = "<a href=\"ADP.2014-10-01T10:20:30.456.fits\">1</a><a href=\"./ADP.2015-10-01T10:20:30.456.fits\">2</a>\
            <a href=\"ADP.2016-10-01T10%3A20%3A30.456.fits\">3</a><a href='HAWKI.2017&colon;x.fits'>4</a>\
            <a href=\"/nights/20071011_v1/ADP.2018-10-01T10:20:30.456.fits\">5</a>";
        let wanted = [
            "ADP.2014-10-01T10:20:30.456.fits",
            "ADP.2015-10-01T10:20:30.456.fits",
            "ADP.2016-10-01T10:20:30.456.fits",
            "ADP.2018-10-01T10:20:30.456.fits",
            "HAWKI.2017:x.fits",
        ];
        assert_eq!(files(html), wanted);
    }

    #[test]
    fn a_base_moves_the_links() {
        let html = "<base href='/store/x/'><a href='a.fit'>1</a><a href='/nights/20071011_v1/b.fit'>2</a><a href='c/'>3</a>";
        let page = page(html);
        let files: Vec<_> = page.files.into_iter().collect();
        let at = "http://casu.example.org/store/x/a.fit".to_owned();
        assert_eq!(files, [("a.fit".to_owned(), Some(at)), ("b.fit".to_owned(), None)]);
        assert!(page.directories.is_empty());
    }

    #[test]
    fn queries_are_kept_and_what_leads_elsewhere_is_named() {
        let html = "<a href='a.fit?token=1&amp;x=2'>1</a><a href='b.fit?x'>2</a><a href='b.fit'>3</a>\
            <a href='get?f=c.fit'>4</a><a href='get?f=d.fit'>5</a><a href='https://other.org/store/e.fits.fz'>6</a>\
            <a href='/other/f.fit'>7</a><a href='ftp://h/nights/20071011_v1/g.fit'>8</a><a href='/help.html'>9</a>";
        let page = page(html);
        let here = "http://casu.example.org/nights/20071011_v1";
        let files: Vec<_> = page.files.into_iter().collect();
        let wanted = [("a.fit", Some(format!("{here}/a.fit?token=1&x=2"))), ("b.fit", None)];
        assert_eq!(files, wanted.map(|(name, at)| (name.to_owned(), at)));
        let named: Vec<String> = page.elsewhere.into_keys().collect();
        let wanted = [
            "/other/f.fit".to_owned(),
            "ftp://h/nights/20071011_v1/g.fit".to_owned(),
            format!("{here}/get?f=c.fit"),
            format!("{here}/get?f=d.fit"),
            "https://other.org/store/e.fits.fz".to_owned(),
        ];
        assert_eq!(named, wanted);
    }

    #[test]
    fn names_are_decoded_once_and_stay_hostile() {
        let html = "<a href=\"a%20b.fit\">1</a><a href=\"a&amp;b.fit\">2</a><a href=\"..%2f..%2fetc%2fpasswd\">3</a>\
            <a href=\"%252e.fit\">4</a><a href=\"x%0Ay.fit\">5</a><a href=\"&bogus;\">6</a><a href=\"x&#10;z.fit\">7</a>";
        let wanted = [
            "%2e.fit",
            "&bogus;",
            "../../etc/passwd",
            "a b.fit",
            "a&b.fit",
            "x\ny.fit",
            "xz.fit", // a browser takes line breaks out of addresses
        ];
        assert_eq!(files(html), wanted);
    }
}
