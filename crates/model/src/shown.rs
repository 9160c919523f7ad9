//! Foreign text made safe to show: no character in it controls a terminal, is invisible, or reorders the text.
//!
//! Header texts, file names and reports of nodes pass through [`shown`] before they reach a terminal, a log or a
//! message.

use std::fmt::Write;

/// Returns a text with control characters as `\x1b` and invisible characters as `\u{202e}`.
pub fn shown(text: &str) -> String {
    if is_printable_ascii(text) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        add(&mut safe, c);
    }
    safe
}

/// Returns the text of [`shown`], truncated to some length in bytes; the truncation is marked by `…`.
pub fn shown_briefly(text: &str, max_bytes: usize) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        let length = safe.len();
        add(&mut safe, c);
        if safe.len() > max_bytes {
            safe.truncate(length);
            safe.push('…');
            break;
        }
    }
    safe
}

/// Returns true when a text is shown unchanged.
pub fn is_clean(text: &str) -> bool {
    is_printable_ascii(text) || !text.chars().any(|c| c.is_control() || is_invisible(c))
}

/// Returns true for what most texts are, without decoding its characters.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn add(safe: &mut String, c: char) {
    // Writing to a String cannot fail.
    if c.is_control() {
        let mut buffer = [0; 4];
        for byte in c.encode_utf8(&mut buffer).bytes() {
            let _ = write!(safe, "\\x{byte:02x}");
        }
    } else if is_invisible(c) {
        let _ = write!(safe, "\\u{{{:04x}}}", u32::from(c));
    } else {
        safe.push(c);
    }
}

/// Returns true for characters without a glyph: bidirectional controls, joiners, fillers, variation selectors, tags,
/// line and paragraph separators. Source: Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt), with
/// the separators, the interlinear annotations and private use added.
fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x2028..=0x202e
        | 0x2060..=0x206f | 0x3164 | 0xe000..=0xf8ff | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
        | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff | 0xf0000..=0x0010_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_or_reorders() {
        let cases = [
            ("plain é 星 µ", "plain é 星 µ"),
            ("a\u{1b}[2J\0\u{9b}", "a\\x1b[2J\\x00\\xc2\\x9b"),
            ("abc\u{202e}fed", "abc\\u{202e}fed"),
            ("\u{2066}x\u{2069}\u{200e}\u{200f}", "\\u{2066}x\\u{2069}\\u{200e}\\u{200f}"),
            ("a\u{200b}\u{ad}\u{feff}", "a\\u{200b}\\u{00ad}\\u{feff}"),
            ("\u{e0041}\u{2028}\n", "\\u{e0041}\\u{2028}\\x0a"),
        ];
        for (text, wanted) in cases {
            assert_eq!(shown(text), wanted);
            assert_eq!(is_clean(text), text == wanted);
            assert!(is_clean(&shown(text)));
        }
        for c in ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            assert!(!is_clean(&c.to_string()), "{c:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shown_briefly("short", 10), "short");
        assert_eq!(shown_briefly(&"é".repeat(10), 5), "éé…");
        assert_eq!(shown_briefly("\0\0\0", 8), "\\x00\\x00…");
    }
}
