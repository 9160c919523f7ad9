//! The rewriting that makes `in_cone(ra, dec, ra0, dec0, radius)` in a WHERE clause fast without action of the user.
//!
//! SQLite informs a virtual table only of functions with two arguments. So each `in_cone(A, B, C, D, E)` of a query is
//! extended to `(in_cone(A, B, C, D, E) AND cone_hint(A, cone_of(C, D, E)))` before it is prepared. `cone_hint` is
//! always true, so the meaning is the same wherever the call occurs; but where it is a condition on a detection table's
//! `ra`, the table uses it and reads only detectors that touch the cone.

use lake::Cone;
use rusqlite::types::ValueRef;

/// Name of the function that tables accept as a condition.
pub(crate) const NAME: &str = "cone_hint";
/// `SQLITE_INDEX_CONSTRAINT_FUNCTION`.
pub(crate) const OPERATOR: u8 = 150;
const FUNCTION: &str = "in_cone";

/// Returns the cone as the value of `cone_of`.
pub(crate) fn encode(cone: Cone) -> Vec<u8> {
    [cone.ra_deg, cone.dec_deg, cone.radius_deg].iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Returns the inverse of [`encode`]; `None` (no position is inside) for any other value.
pub(crate) fn decode(value: ValueRef<'_>) -> Option<Cone> {
    let ValueRef::Blob(bytes) = value else { return None };
    let mut numbers = bytes
        .chunks_exact(8)
        .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]));
    Cone::new(numbers.next()?, numbers.next()?, numbers.next()?)
}

/// Extends each call of `in_cone` by its hint. Text that cannot be parsed is unchanged, so that SQLite reports the
/// error.
pub(crate) fn with_hints(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, call, after)) = next_call(rest) {
        out.push_str(before);
        match arguments(call).as_deref() {
            Some([a, b, c, d, e]) => {
                let [a, b, c, d, e] = [a, b, c, d, e].map(|x| with_hints(x));
                out.push_str(&format!(
                    "({FUNCTION}({a},{b},{c},{d},{e}) AND {NAME}({a}, cone_of({c},{d},{e})))"
                ));
            }
            _ => {
                out.push_str(FUNCTION);
                out.push_str(call);
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Returns the text before the next call, its parenthesised arguments, and the text after.
pub(crate) fn next_call(sql: &str) -> Option<(&str, &str, &str)> {
    let mut at = 0;
    while at < sql.len() {
        let token = token_length(&sql[at..]);
        let word = &sql[at..at + token];
        let open = at + token + blank_length(&sql[at + token..]);
        if word.eq_ignore_ascii_case(FUNCTION) && sql[open..].starts_with('(') {
            let close = open + balanced_length(&sql[open..])?;
            return Some((&sql[..at], &sql[open..close], &sql[close..]));
        }
        at += token;
    }
    None
}

/// Returns the arguments of `(a, b, …)`.
pub(crate) fn arguments(call: &str) -> Option<Vec<String>> {
    let inner = call.strip_prefix('(')?.strip_suffix(')')?;
    let (mut parts, mut depth, mut start, mut at) = (Vec::new(), 0, 0, 0);
    while at < inner.len() {
        let token = token_length(&inner[at..]);
        match &inner[at..at + token] {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 0 => {
                parts.push(inner[start..at].to_owned());
                start = at + 1;
            }
            // A comment to the end of the line would swallow the text written after the argument, and a parameter
            // without number would be counted twice.
            comment if comment.starts_with("--") => return None,
            "?" if !inner[at + 1..].starts_with(|c: char| c.is_ascii_digit()) => return None,
            _ => {}
        }
        at += token;
    }
    parts.push(inner[start..].to_owned());
    Some(parts)
}

/// Returns the length of a parenthesised text from its `(` to the `)` that closes it.
fn balanced_length(sql: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    while at < sql.len() {
        let token = token_length(&sql[at..]);
        match &sql[at..at + token] {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        at += token;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn blank_length(sql: &str) -> usize {
    sql.len() - sql.trim_start_matches([' ', '\t', '\n', '\x0c', '\r']).len()
}

/// Returns the length of the first token: a word, a quoted text or name, a comment, or one character.
pub(crate) fn token_length(sql: &str) -> usize {
    let first = sql.chars().next().unwrap_or(' ');
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
    let until =
        |end: &str, from: usize| sql[from..].find(end).map_or(sql.len(), |i| from + i + end.len());
    match first {
        '\'' | '"' | '`' => quoted_length(sql, first),
        '[' => until("]", 1),
        '-' if sql.starts_with("--") => until("\n", 2),
        '/' if sql.starts_with("/*") => until("*/", 2),
        c if word(c) => sql.find(|c| !word(c)).unwrap_or(sql.len()),
        c => c.len_utf8(),
    }
}

/// Returns the length of a quoted text in which the quote is doubled.
fn quoted_length(sql: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(i) = sql[at..].find(quote) {
        at += i + 1;
        if !sql[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    sql.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_get_their_hints() {
        let hinted = "(in_cone(d.ra, d.dec, 1, 2, 3) AND cone_hint(d.ra, cone_of( 1, 2, 3)))";
        let same = [
            "SELECT 1",
            "SELECT 'in_cone(1,2,3,4,5)' -- in_cone(1,2,3,4,5)",
            "SELECT \"in_cone\"(1,2,3,4,5)",
            "SELECT in_cone, in_cone(1,2), xin_cone(1,2,3,4,5), in_cone(1,2,3,4,5",
            "SELECT in_cone(a, b, c -- comment\n, d, e)",
            "SELECT in_cone(a, b, ?, ?, ?)",
            "SELECT /* in_cone(1,2,3,4,5) */ [in_cone](1,2,3,4,5) 'it''s in_cone(1,2,3,4,5)",
        ];
        for sql in same {
            assert_eq!(with_hints(sql), sql);
        }
        let cases = [
            ("WHERE in_cone(d.ra, d.dec, 1, 2, 3)", format!("WHERE {hinted}")),
            (
                "in_cone(a, b, ?1, ?2, :r)",
                "(in_cone(a, b, ?1, ?2, :r) AND cone_hint(a, cone_of( ?1, ?2, :r)))".to_owned(),
            ),
            ("WHERE NOT IN_CONE (d.ra, d.dec, 1, 2, 3) OR 1", format!("WHERE NOT {hinted} OR 1")),
            (
                "in_cone(r,d,f(1,','),(2),\")\")x",
                "(in_cone(r,d,f(1,','),(2),\")\") AND cone_hint(r, cone_of(f(1,','),(2),\")\")))x"
                    .to_owned(),
            ),
        ];
        for (sql, wanted) in cases {
            assert_eq!(with_hints(sql), wanted);
        }
    }

    #[test]
    fn cones_survive_the_way_through_sqlite() {
        let cone = Cone::new(150.1, 2.2, 1.0 / 60.0).unwrap();
        assert_eq!(decode(ValueRef::Blob(&encode(cone))), Some(cone));
        assert_eq!(decode(ValueRef::Null), None);
        assert_eq!(decode(ValueRef::Blob(b"short")), None);
    }
}
