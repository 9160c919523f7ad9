//! The rewriting that makes `in_cone(ra, dec, ra0, dec0, radius)` in a WHERE clause fast on a server.
//!
//! In a query that uses `detection` or `detection_all` once, with a cone of constants, the ranges of object ids of the
//! detectors that the cone touches are added next to the call: the server then excludes partitions and uses the
//! primary key. In doubt nothing is written, and the query is correct but slow.

use super::cone_hint::{arguments, next_call, token_length};
use lake::{Cone, healpix_ranges};

/// Number of detectors above which the ranges are not written, since they hardly limit the search.
const MAX_DETECTORS: usize = 400;

/// Extends each call of `in_cone` on detections by the object ids in question.
pub(crate) fn with_hints(client: &mut postgres::Client, sql: &str) -> String {
    let Some(tables) = detections_of(sql) else { return sql.to_owned() };
    if client.batch_execute("SAVEPOINT hints").is_err() {
        return sql.to_owned();
    }
    let hinted = hinted(client, &tables, sql);
    // A failed look-up would otherwise end the whole query.
    match client.batch_execute("ROLLBACK TO SAVEPOINT hints") {
        Ok(()) => hinted,
        Err(_) => sql.to_owned(),
    }
}

fn hinted(client: &mut postgres::Client, tables: &Tables, sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, call, after)) = next_call(rest) {
        out.push_str(before);
        let hint = arguments(call).and_then(|arguments| hint(client, tables, &arguments));
        match hint {
            Some(hint) => out.push_str(&format!("(in_cone{call} AND {hint})")),
            None => out.push_str(&format!("in_cone{call}")),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The name or alias of the query's one table of detections, and whether it has no other table. `None` when it has
/// subqueries, or none or several tables of detections.
#[derive(Debug, PartialEq, Eq)]
struct Tables {
    alias: String,
    is_alone: bool,
}

/// Returns the [`Tables`] of a query.
fn detections_of(sql: &str) -> Option<Tables> {
    let tokens = tokens(sql);
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|t| t.eq_ignore_ascii_case(word));
    let count = |word: &str| tokens.iter().filter(|t| t.eq_ignore_ascii_case(word)).count();
    if count("select") != 1 || count("from") != 1 || count("with") > 0 || count("lateral") > 0 {
        return None;
    }
    let places: Vec<usize> = (1..tokens.len())
        .filter(|&at| is(at, "detection") || is(at, "detection_all"))
        .filter(|&at| {
            !is(at + 1, ".") && (is(at - 1, "from") || is(at - 1, "join") || is(at - 1, ","))
        })
        .collect();
    let [at] = places[..] else { return None };
    const NO_ALIAS: [&str; 16] = [
        "where",
        "join",
        "inner",
        "left",
        "right",
        "full",
        "cross",
        "natural",
        "on",
        "using",
        "group",
        "order",
        "limit",
        "offset",
        "union",
        "tablesample",
    ];
    let next = if is(at + 1, "as") { at + 2 } else { at + 1 };
    let alias = tokens.get(next).filter(|t| {
        t.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && !NO_ALIAS.iter().any(|word| t.eq_ignore_ascii_case(word))
    });
    let from = tokens.iter().position(|t| t.eq_ignore_ascii_case("from"))?;
    let end = tokens[from..].iter().position(|t| t.eq_ignore_ascii_case("where"))? + from;
    let is_alone = count("join") == 0 && !tokens[from..end].contains(&",");
    Some(Tables { alias: alias.unwrap_or(&tokens[at]).to_string(), is_alone })
}

/// Returns the tokens of a query without blanks and comments.
fn tokens(sql: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < sql.len() {
        let length = token_length(&sql[at..]);
        let token = &sql[at..at + length];
        let is_comment = token.starts_with("--") || token.starts_with("/*");
        if !token.trim().is_empty() && !is_comment {
            tokens.push(token);
        }
        at += length;
    }
    tokens
}

fn hint(client: &mut postgres::Client, tables: &Tables, arguments: &[String]) -> Option<String> {
    let [ra, _, ra0, dec0, radius] = arguments else { return None };
    let ra = tokens(ra);
    let prefix = match ra[..] {
        [name] if name.eq_ignore_ascii_case("ra") && tables.is_alone => String::new(),
        [alias, ".", name]
            if name.eq_ignore_ascii_case("ra") && alias.eq_ignore_ascii_case(&tables.alias) =>
        {
            format!("{alias}.")
        }
        _ => return None,
    };
    let cone = cone(client, [ra0, dec0, radius])?;
    let ranges = ranges(client, cone)?;
    if ranges.is_empty() {
        return Some("false".to_owned());
    }
    let conditions: Vec<String> = ranges
        .iter()
        .map(|(programme, first, last)| {
            format!(
                "{prefix}programme_id = {programme} AND {prefix}obj_id BETWEEN {first} AND {last}"
            )
        })
        .collect();
    Some(format!("({})", conditions.join(" OR ")))
}

/// Returns the cone, when its arguments are numbers and arithmetic.
fn cone(client: &mut postgres::Client, arguments: [&String; 3]) -> Option<Cone> {
    let is_plain = |text: &String| {
        text.chars().all(|c| c.is_ascii_digit() || " .+-*/()eE\n".contains(c)) && !text.is_empty()
    };
    if !arguments.iter().all(|a| is_plain(a)) {
        return None;
    }
    let [ra0, dec0, radius] = arguments;
    let sql =
        format!("SELECT ({ra0})::float8::text, ({dec0})::float8::text, ({radius})::float8::text");
    let answer = client.simple_query(&sql).ok()?;
    let row = answer.iter().find_map(|message| match message {
        postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })?;
    let number = |i| row.get(i).and_then(|text: &str| text.parse().ok());
    Cone::new(number(0)?, number(1)?, number(2)?)
}

/// Returns programme and object ids of the detectors that a cone touches, with neighbours merged; `None` when there are
/// too many to be useful.
fn ranges(client: &mut postgres::Client, cone: Cone) -> Option<Vec<(i64, i64, i64)>> {
    let classes = client
        .query(
            "SELECT DISTINCT radius_class FROM detector_rows WHERE radius_class IS NOT NULL",
            &[],
        )
        .ok()?;
    let mut found: Vec<(i64, i64, i64)> = Vec::new();
    for class in classes {
        let class: i64 = class.get(0);
        let reach = cone.radius_deg + (class as f64).exp2();
        for (first, last) in healpix_ranges(Cone { radius_deg: reach, ..cone }) {
            let rows = client
                .query(
                    "SELECT programme_id, first_obj_id, first_obj_id + rows - 1, centre_healpix29, radius_deg
                     FROM detector_rows WHERE radius_class = $1 AND centre_healpix29 BETWEEN $2 AND $3",
                    &[&class, &first, &last],
                )
                .ok()?;
            for row in rows {
                let (cell, radius): (i64, f64) = (row.get(3), row.get(4));
                if super::access::touches(cone, cell.unsigned_abs(), radius) {
                    found.push((row.get(0), row.get(1), row.get(2)));
                }
            }
            if found.len() > MAX_DETECTORS {
                return None;
            }
        }
    }
    found.sort_unstable();
    let mut joined: Vec<(i64, i64, i64)> = Vec::new();
    for (programme, first, last) in found {
        match joined.last_mut() {
            Some((p, _, end)) if *p == programme && first <= *end + 1 => *end = (*end).max(last),
            _ => joined.push((programme, first, last)),
        }
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_queries_of_one_table_of_detections_are_completed() {
        let of = |sql| detections_of(sql).map(|t| (t.alias, t.is_alone));
        let cases = [
            (
                "SELECT count(*) FROM detection WHERE in_cone(ra, dec, 1, 2, 3)",
                Some(("detection", true)),
            ),
            ("select * from detection_all AS d where x", Some(("d", true))),
            (
                "SELECT 1 FROM multiframe m JOIN detection d USING (multiframe_id) WHERE y",
                Some(("d", false)),
            ),
            ("SELECT 1 FROM detection, filter WHERE y", Some(("detection", false))),
            ("SELECT 1 FROM detection a, detection b WHERE y", None),
            ("SELECT 1 FROM detection WHERE EXISTS (SELECT 1 FROM field)", None),
            ("WITH d AS (SELECT 1) SELECT 1 FROM d", None),
            ("SELECT 1 FROM field WHERE x", None),
        ];
        for (sql, wanted) in cases {
            assert_eq!(of(sql), wanted.map(|(alias, alone)| (alias.to_owned(), alone)), "{sql}");
        }
    }
}
