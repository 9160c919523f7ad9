//! Links of an HTML page, as a browser finds them: `href` of `<a>` and `<area>`, and the first `<base href>`.
//!
//! Comments, scripts and styles hold no links. Attributes may be quoted with either quote or not at all. References to
//! characters are resolved by name or number.

/// Links of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Links {
    /// Address to which the others are relative, when the page has one.
    pub base: Option<String>,
    /// Addresses in the order and form of the page.
    pub hrefs: Vec<String>,
    /// True when the page has an `<html>` tag.
    pub is_opened: bool,
    /// True when the page has an `</html>` tag.
    pub is_closed: bool,
    /// True when the text ends inside a tag or comment.
    pub is_cut: bool,
}

/// Elements whose content is text.
const RAW: [&str; 4] = ["script", "style", "textarea", "title"];

impl Links {
    /// Reads a page.
    pub fn read(html: &str) -> Self {
        let mut links = Self::default();
        let mut rest = html;
        while let Some(at) = rest.find('<') {
            rest = &rest[at + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                let Some(end) = comment.find("-->") else {
                    links.is_cut = true;
                    return links;
                };
                rest = &comment[end + 3..];
                continue;
            }
            let slash = usize::from(rest.starts_with('/'));
            let name_end = rest[slash..].find(|c: char| !c.is_ascii_alphanumeric());
            let name = rest[..name_end.map_or(rest.len(), |n| slash + n)].to_ascii_lowercase();
            let is_tag =
                rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
            if !is_tag {
                continue; // a bare character
            }
            let Some((attributes, after)) = attributes(&rest[name.len()..]) else {
                links.is_cut = true;
                return links;
            };
            rest = links.take(&name, attributes, after);
        }
        links
    }

    /// Reads a tag; returns the text after it, or after its content where that is text.
    fn take<'h>(
        &mut self,
        name: &str,
        attributes: Vec<(String, String)>,
        after: &'h str,
    ) -> &'h str {
        let href = attributes.into_iter().find(|(name, _)| name == "href").map(|(_, value)| value);
        match (name, href) {
            ("a" | "area", Some(href)) => self.hrefs.push(href),
            ("base", Some(href)) => drop(self.base.get_or_insert(href)),
            ("html", _) => self.is_opened = true,
            ("/html", _) => self.is_closed = true,
            (raw, _) if RAW.contains(&raw) => {
                let lower = after.to_ascii_lowercase();
                return lower.find(&format!("</{raw}")).map_or("", |end| &after[end..]);
            }
            _ => {}
        }
        after
    }
}

/// Returns the attributes of a tag, names in lower case and values resolved, and the text after the tag. `None`: the tag does not
/// end.
fn attributes(text: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return Some((found, after));
        }
        let is_end = |c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/');
        // A name may begin with an equals sign.
        let first = rest.chars().next()?.len_utf8();
        let end = rest[first..].find(is_end).map_or(rest.len(), |n| first + n);
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start_matches(|c: char| c.is_ascii_whitespace());
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            rest = after.trim_start_matches(|c: char| c.is_ascii_whitespace());
            let quote = rest.chars().next()?;
            if quote == '"' || quote == '\'' {
                let end = rest[1..].find(quote)?;
                (value, rest) = (&rest[1..=end], &rest[end + 2..]);
            } else {
                let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '>')?;
                (value, rest) = rest.split_at(end);
            }
        }
        if !found.iter().any(|(known, _)| *known == name) {
            found.push((name, resolved(value)));
        }
    }
}

/// Characters that a name or address may be written with.
const NAMED: [(&str, char); 43] = [
    ("amp", '&'),
    ("AMP", '&'),
    ("lt", '<'),
    ("LT", '<'),
    ("gt", '>'),
    ("GT", '>'),
    ("quot", '"'),
    ("QUOT", '"'),
    ("apos", '\''),
    ("nbsp", '\u{a0}'),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("midast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("equals", '='),
    ("quest", '?'),
    ("commat", '@'),
    ("lsqb", '['),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rsqb", ']'),
    ("rbrack", ']'),
    ("Hat", '^'),
    ("lowbar", '_'),
    ("UnderBar", '_'),
    ("grave", '`'),
    ("lcub", '{'),
    ("verbar", '|'),
    ("vert", '|'),
    ("rcub", '}'),
    ("shy", '\u{ad}'),
];
/// Names that need no semicolon.
const BARE: [&str; 10] = ["amp", "AMP", "lt", "LT", "gt", "GT", "quot", "QUOT", "nbsp", "shy"];

/// Returns a value with its references to characters resolved.
fn resolved(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match reference(&rest[1..]) {
            Some((character, length)) => {
                out.push(character);
                rest = &rest[1 + length..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

/// Returns the character that a reference means, and the length of the reference.
fn reference(text: &str) -> Option<(char, usize)> {
    let behind = |length: usize| usize::from(text[length..].starts_with(';'));
    if let Some(number) = text.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let (digits, radix) = hex.map_or((number, 10), |hex| (hex, 16));
        let count = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let code = u32::from_str_radix(&digits[..count], radix).ok()?;
        let length = text.len() - digits.len() + count;
        let character = char::from_u32(code).filter(|c| *c != '\0').unwrap_or('\u{fffd}');
        return Some((character, length + behind(length)));
    }
    let length = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let whole = NAMED.iter().find(|(name, _)| *name == &text[..length]);
    if let (Some((_, character)), 1) = (whole, behind(length)) {
        return Some((*character, length + 1));
    }
    // Inside an attribute a name without semicolon is a reference only where it cannot be part of a query.
    let (name, character) = whole.filter(|(name, _)| BARE.contains(name))?;
    (!text[name.len()..].starts_with('=')).then_some((*character, name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_as_a_browser_finds_them() {
        let html = r#"<!doctype html><HTML><head><title><a href="no1"></title><base target=x><base href="/b/"><base href="/c/">
            <script>var x = '<a href="no2">';</script></head><body><!-- <a href="no3"> -->
            <a class=x href="a.fit">a</a><A HREF='b.fit' >b</A><a href=c.fit>c</a><a href = "d.fit"
            >d</a><a hreflang="en" href="e.fit">e</a><a data-href="no4">f</a><a title="a > b" href="g.fit">g</a>
            <area href="h.fit"><abbr href="no5">x</abbr><a href="i.fit" href="no6">i</a><a/href="j.fit">j</a>
            <a href="x&amp;y&colon;z&#46;fit?a=1&lt=2">k</a> 3 < 4 <a name="no7">l</a></body></html>"#;
        let links = Links::read(html);
        let names =
            ["a.fit", "b.fit", "c.fit", "d.fit", "e.fit", "g.fit", "h.fit", "i.fit", "j.fit"];
        assert_eq!(links.hrefs[..9], names);
        assert_eq!(links.hrefs[9..], ["x&y:z.fit?a=1&lt=2"]);
        assert_eq!(links.base.as_deref(), Some("/b/"));
        assert!(links.is_opened && links.is_closed && !links.is_cut);
        for cut in [
            "<a href=\"a.fit\">a</a><a hre",
            "<a href=\"a.fit\">a</a><!-- ",
            "<a href=\"a.fit\">a</a><a href=\"b",
        ] {
            let links = Links::read(cut);
            assert!(links.is_cut && links.hrefs == ["a.fit"], "{cut}: {links:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_page(parts in proptest::collection::vec("(<a|<A href=|href|=|\"|'|>|&|&#x|;|/|<!--|-->|<script|</|é|\\PC{0,3}| )", 0..40)) {
            Links::read(&parts.concat());
        }
    }
}
