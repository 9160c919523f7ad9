//! The tables' definitions for PostgreSQL, derived from those for SQLite.
//!
//! `migrations/*.sql` is written for SQLite, each column with its comment behind it. Here every statement is converted
//! to one of PostgreSQL: types of its own, LIKE for GLOB, references added when all tables exist (and deferrable), and
//! the comments as `COMMENT ON`. A migration may use everything that the tests below and a fresh server accept.

use std::fmt::Write;

/// Expressions of the first migrations that PostgreSQL writes differently.
const SAME_MEANING: [(&str, &str); 6] = [
    (" GLOB '????-??-??T*Z'", " LIKE '____-__-__T%Z'"),
    ("code NOT GLOB '*[^a-z0-9_]*'", "code !~ '[^a-z0-9_]'"),
    ("json_valid(row_ranges)", "row_ranges::jsonb IS NOT NULL"),
    ("instr(name, '/')", "strpos(name, '/')"),
    (
        "ifnull(unit_id * (file_name = ''), 0)",
        "(CASE WHEN file_name = '' THEN coalesce(unit_id, 0) ELSE 0 END)",
    ),
    ("ifnull(", "coalesce("),
];

/// Returns the statements of a migration for PostgreSQL.
pub fn postgres_ddl(sqlite: &str) -> String {
    let mut out = String::new();
    let mut references = String::new();
    let mut comment = Vec::new();
    let mut lines = sqlite.lines();
    while let Some(line) = lines.next() {
        let line_text = line.trim();
        if let Some(words) = line_text.strip_prefix("--") {
            comment.push(words.trim().to_owned());
        } else if line_text.is_empty() {
            comment.clear(); // it was one on the whole file
        } else if let Some(name) = line_text.strip_prefix("CREATE TABLE ") {
            let name = name.trim_start_matches("IF NOT EXISTS ").trim_end_matches(['(', ' ']);
            let body: Vec<&str> = lines.by_ref().take_while(|l| !l.starts_with(')')).collect();
            table(name, &comment.join(" "), &body, &mut out, &mut references);
            comment.clear();
        } else if let Some((table, column)) = added_column(line_text) {
            let (column, said) = without_comment(column);
            let column = typed(&translated(column.trim_end_matches(';')));
            let name = column.split_whitespace().next().unwrap_or_default();
            let _ = writeln!(out, "ALTER TABLE {table} ADD COLUMN {column};");
            let _ = writeln!(out, "COMMENT ON COLUMN {table}.{name} IS {};", text(said));
            comment.clear();
        } else {
            let mut statement = without_comment(line).0.to_owned();
            while !statement.trim_end().ends_with(';') {
                let Some(next) = lines.next() else { break };
                let _ = write!(statement, "\n{}", without_comment(next).0);
            }
            let _ = writeln!(out, "{}", translated(&statement));
            comment.clear();
        }
    }
    out + &references
}

/// Returns table and column of a line that adds one.
fn added_column(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("ALTER TABLE ")?.split_once(" ADD COLUMN ")
}

fn table(name: &str, comment: &str, body: &[&str], out: &mut String, references: &mut String) {
    let mut items = Vec::new();
    let mut comments = Vec::new();
    for (item, said) in items_of(body) {
        let item = translated(&item);
        let first = item.split_whitespace().next().unwrap_or_default().to_owned();
        if item.starts_with("FOREIGN KEY") {
            let _ = writeln!(references, "ALTER TABLE {name} ADD {item} DEFERRABLE;");
        } else if ["PRIMARY", "UNIQUE", "CHECK"].contains(&first.as_str())
            || first.starts_with("CHECK")
        {
            items.push(item);
        } else {
            let (column, referred) = without_reference(&item);
            items.push(typed(&column));
            if let Some(referred) = referred {
                let _ = writeln!(
                    references,
                    "ALTER TABLE {name} ADD FOREIGN KEY ({first}) REFERENCES {referred} DEFERRABLE;"
                );
            }
            comments.push((first, said));
        }
    }
    let _ = writeln!(out, "CREATE TABLE {name} (\n    {}\n);", items.join(",\n    "));
    let _ = writeln!(out, "COMMENT ON TABLE {name} IS {};", text(comment));
    for (column, said) in comments {
        let _ = writeln!(out, "COMMENT ON COLUMN {name}.{column} IS {};", text(&said));
    }
}

/// Returns the items between the parentheses of a table, each with the text of its comments.
fn items_of(body: &[&str]) -> Vec<(String, String)> {
    let mut items: Vec<(String, String)> = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in body {
        let (text, said) = without_comment(line);
        let text = text.trim();
        if text.is_empty() {
            // A continued comment belongs to the item before it.
            let last = open.as_mut().or(items.last_mut());
            if let Some((_, before)) = last {
                *before = format!("{before} {said}").trim().to_owned();
            }
            continue;
        }
        let (item, before) = open.take().unwrap_or_default();
        let item = format!("{item} {text}").trim().to_owned();
        let said = format!("{before} {said}").trim().to_owned();
        match item.strip_suffix(',') {
            Some(whole) if depth(whole) == 0 => items.push((whole.to_owned(), said)),
            _ => open = Some((item, said)),
        }
    }
    items.extend(open);
    items
}

fn depth(text: &str) -> i64 {
    text.chars().map(|c| i64::from(c == '(') - i64::from(c == ')')).sum()
}

/// Splits a line at `--` into the text before and behind it.
fn without_comment(line: &str) -> (&str, &str) {
    line.split_once("-- ").map_or((line, ""), |(text, said)| (text.trim_end(), said.trim()))
}

/// Splits `REFERENCES table (column)` off a column.
fn without_reference(column: &str) -> (String, Option<String>) {
    let Some((before, after)) = column.split_once("REFERENCES ") else {
        return (column.to_owned(), None);
    };
    let end = after.find(')').map_or(after.len(), |at| at + 1);
    (format!("{}{}", before.trim_end(), &after[end..]), Some(after[..end].to_owned()))
}

/// Returns a column with its type in PostgreSQL.
fn typed(column: &str) -> String {
    let mut words = column.splitn(3, char::is_whitespace).filter(|w| !w.is_empty());
    let name = words.next().unwrap_or_default();
    let rest = column[name.len()..].trim_start();
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim_start();
    let kind = match kind {
        "INTEGER" if rest == "PRIMARY KEY" => "BIGINT GENERATED BY DEFAULT AS IDENTITY",
        "INTEGER" => "BIGINT",
        "REAL" => "DOUBLE PRECISION",
        "BLOB" => "BYTEA",
        other => other,
    };
    format!("{name} {kind} {rest}").trim_end().to_owned()
}

fn translated(sql: &str) -> String {
    SAME_MEANING.iter().fold(sql.to_owned(), |sql, (from, to)| sql.replace(from, to))
}

/// Returns a text as an SQL literal.
pub fn text(words: &str) -> String {
    format!("'{}'", words.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_one_of_postgresql() {
        let sqlite = "\
-- On the file.

-- One thing,
-- in two lines.
CREATE TABLE thing (
    thing_id INTEGER PRIMARY KEY,                  -- internal
    name     TEXT NOT NULL UNIQUE                  -- it's
             CHECK (length(name) > 0 AND instr(name, '/') = 0),
    other_id INTEGER REFERENCES other (other_id) CHECK (other_id > 0), -- whose
    size     REAL,
        -- in metres
    CHECK ((size IS NULL) = (other_id IS NULL)),
    FOREIGN KEY (thing_id, size) REFERENCES big (a, b)
) STRICT;
CREATE INDEX thing_name ON thing
    (ifnull(name, '')); -- so
INSERT INTO thing (name) VALUES ('a'); -- one
ALTER TABLE thing ADD COLUMN count INTEGER CHECK (count >= 0); -- how many
";
        let wanted = "\
CREATE TABLE thing (
    thing_id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE CHECK (length(name) > 0 AND strpos(name, '/') = 0),
    other_id BIGINT CHECK (other_id > 0),
    size DOUBLE PRECISION,
    CHECK ((size IS NULL) = (other_id IS NULL))
);
COMMENT ON TABLE thing IS 'One thing, in two lines.';
COMMENT ON COLUMN thing.thing_id IS 'internal';
COMMENT ON COLUMN thing.name IS 'it''s';
COMMENT ON COLUMN thing.other_id IS 'whose';
COMMENT ON COLUMN thing.size IS 'in metres';
CREATE INDEX thing_name ON thing
    (coalesce(name, ''));
INSERT INTO thing (name) VALUES ('a');
ALTER TABLE thing ADD COLUMN count BIGINT CHECK (count >= 0);
COMMENT ON COLUMN thing.count IS 'how many';
ALTER TABLE thing ADD FOREIGN KEY (other_id) REFERENCES other (other_id) DEFERRABLE;
ALTER TABLE thing ADD FOREIGN KEY (thing_id, size) REFERENCES big (a, b) DEFERRABLE;
";
        assert_eq!(postgres_ddl(sqlite), wanted);
    }
}
