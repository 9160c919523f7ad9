//! Pieces of the text of a draft.

use model::shown;

/// Returns a text as a TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Returns texts as a TOML array.
pub(super) fn list<S: AsRef<str>>(texts: &[S]) -> String {
    let all: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", all.join(", "))
}

/// Returns a comment of one line.
pub(super) fn comment(text: &str) -> String {
    format!("# {}\n", shown(text).replace('\n', " "))
}

/// Returns a text as a plain word of letters, digits and underscores; `other` when nothing remains.
pub(super) fn word(text: &str, other: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let word: String = text.trim().chars().map(plain).take(20).collect();
    match word.trim_matches('_') {
        "" => other.to_owned(),
        word => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_headers_are_safe() {
        assert_eq!(
            list(&["a", "b\"c"]).parse::<toml::Value>().unwrap().as_array().unwrap().len(),
            2
        );
        assert_eq!(comment("a\nb\u{1b}[2J").lines().count(), 1);
        assert_eq!(word("u/07b/12 ", "x"), "u_07b_12");
        assert_eq!(word("--", "x"), "x");
    }
}
