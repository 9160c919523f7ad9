//! The statements that make tables, columns and indexes, for either engine.
//!
//! A server has types of its own, references that are added when all tables exist and that a transaction can defer, and
//! `COMMENT ON`. In SQLite a comment follows its column, in the text that the database keeps.

use super::table::{Column, Index, Kind, Limit, Table};
use engine::{Dialect, text};
use model::UseCase;
use std::fmt::Write;

/// Returns the statements that create tables with their indexes.
pub(super) fn create(tables: &[Table], dialect: Dialect, products: &[UseCase]) -> String {
    let mut sql: String = tables.iter().map(|table| create_one(table, dialect, products)).collect();
    if dialect.has_deferrable_references() {
        sql.extend(tables.iter().map(references));
    }
    sql
}

fn create_one(table: &Table, dialect: Dialect, products: &[UseCase]) -> String {
    let name = table.name;
    let item = |column: &Column| column_sql(column, dialect, products);
    let mut items: Vec<(String, &str)> =
        table.columns.iter().map(|column| (item(column), column.comment)).collect();
    let constraints = [
        table.key.map(|columns| format!("PRIMARY KEY ({columns})")).into_iter().collect(),
        table.unique.iter().map(|columns| format!("UNIQUE ({columns})")).collect(),
        table.checks.iter().map(|condition| format!("CHECK ({condition})")).collect(),
        match dialect.has_deferrable_references() {
            false => table.foreign_keys.iter().map(|key| format!("FOREIGN KEY {key}")).collect(),
            true => Vec::new(),
        },
    ];
    items.extend(constraints.into_iter().flatten().map(|constraint| (constraint, "")));
    let last = items.len().saturating_sub(1);
    let mut sql = format!("-- {}\nCREATE TABLE {name} (\n", table.comment);
    for (at, (item, comment)) in items.iter().enumerate() {
        let comma = if at == last { "" } else { "," };
        let comment = if comment.is_empty() { String::new() } else { format!(" -- {comment}") };
        let _ = writeln!(sql, "    {item}{comma}{comment}");
    }
    let _ = writeln!(sql, "){};", dialect.table_options());
    if dialect.has_comments() {
        let _ = writeln!(sql, "COMMENT ON TABLE {name} IS {};", text(table.comment));
        sql.extend(table.columns.iter().map(|column| column_comment(name, column)));
    }
    sql.extend(table.indexes.iter().map(|index| create_index(name, index)));
    sql
}

/// Returns the statements that add the references of a table on a server.
fn references(table: &Table) -> String {
    let of_columns = table
        .columns
        .iter()
        .filter_map(|column| column.refers.map(|to| format!("({}) REFERENCES {to}", column.name)));
    let of_groups = table.foreign_keys.iter().map(|key| (*key).to_owned());
    of_columns
        .chain(of_groups)
        .map(|key| format!("ALTER TABLE {} ADD FOREIGN KEY {key} DEFERRABLE;\n", table.name))
        .collect()
}

/// Returns the statement that adds a column to a table.
pub(super) fn add_column(
    table: &str,
    column: &Column,
    dialect: Dialect,
    products: &[UseCase],
) -> String {
    let sql = column_sql(column, dialect, products);
    match dialect {
        // The comment becomes a part of the table's text.
        Dialect::Sqlite => {
            format!("ALTER TABLE {table} ADD COLUMN {sql} /* {} */;\n", column.comment)
        }
        Dialect::Postgres => {
            let refers = column.refers.map(|to| format!(" REFERENCES {to} DEFERRABLE"));
            let refers = refers.unwrap_or_default();
            format!(
                "ALTER TABLE {table} ADD COLUMN {sql}{refers};\n{}",
                column_comment(table, column)
            )
        }
    }
}

fn column_comment(table: &str, column: &Column) -> String {
    format!("COMMENT ON COLUMN {table}.{} IS {};\n", column.name, text(column.comment))
}

/// Returns the statement that creates an index of a table.
pub(super) fn create_index(table: &str, index: &Index) -> String {
    let unique = if index.is_unique { "UNIQUE " } else { "" };
    let condition = index.condition.map(|only| format!(" WHERE {only}")).unwrap_or_default();
    format!("CREATE {unique}INDEX {} ON {table} ({}){condition};\n", index.name, index.columns)
}

/// Returns the definition of a column; for a server without its reference.
fn column_sql(column: &Column, dialect: Dialect, products: &[UseCase]) -> String {
    let kind = match column.kind {
        Kind::Id => dialect.identity(),
        Kind::Integer => dialect.integer(),
        Kind::Real => dialect.real(),
        Kind::Text => "TEXT",
    };
    let mut sql = format!("{} {kind}", column.name);
    // An integer that is the key of a table of SQLite is its row's number, which is never NULL.
    let is_number = column.is_key && column.kind != Kind::Text;
    if !column.is_nullable && !is_number {
        sql += " NOT NULL";
    }
    if column.is_key {
        sql += " PRIMARY KEY";
    }
    if column.is_unique {
        sql += " UNIQUE";
    }
    if let Some(default) = column.default {
        let _ = write!(sql, " DEFAULT {default}");
    }
    if let Some(to) = column.refers
        && !dialect.has_deferrable_references()
    {
        let _ = write!(sql, " REFERENCES {to}");
    }
    if let Some(limit) = &column.limit {
        let _ = write!(sql, " CHECK ({})", condition(column.name, limit, dialect, products));
    }
    sql
}

fn condition(name: &str, limit: &Limit, dialect: Dialect, products: &[UseCase]) -> String {
    let names = || products.iter().map(|product| product.name());
    match (limit, dialect) {
        (Limit::NotEmpty, _) => format!("length({name}) > 0"),
        (Limit::AtLeast(least), _) => format!("{name} >= {least}"),
        (Limit::Flag, _) => format!("{name} IN (0, 1)"),
        (Limit::Time, Dialect::Sqlite) => format!("{name} GLOB '????-??-??T*Z'"),
        (Limit::Time, Dialect::Postgres) => format!("{name} LIKE '____-__-__T%Z'"),
        (Limit::OneOf(texts), _) => one_of(name, texts.iter().copied()),
        (Limit::UseCase, _) => one_of(name, names()),
        (Limit::Stage, _) => {
            let before = ["transfer", "register"].into_iter();
            one_of(name, before.chain(names()).chain(["ingest"]))
        }
        (Limit::Condition(condition), _) => (*condition).to_owned(),
        (Limit::Each(sqlite, _), Dialect::Sqlite) => (*sqlite).to_owned(),
        (Limit::Each(_, postgres), Dialect::Postgres) => (*postgres).to_owned(),
    }
}

fn one_of<'a>(name: &str, texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.map(text).collect();
    format!("{name} IN ({})", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::table::{flag, id, integer, real, text, time, unique_index};
    use super::*;

    const THINGS: &[Table] = &[
        Table::new(
            "thing",
            "A thing that isn't large.",
            &[
                id("thing_id", "internal"),
                text("name", "it's")
                    .unique()
                    .check_each("instr(name, '/') = 0", "strpos(name, '/') = 0"),
                integer("other_id", "whose").or_null().refers("other (other_id)").at_least(1),
                real("size", "in metres").or_null().at_least(0),
                time("made", "when"),
                flag("is_kept", "1: it stays").default("0"),
                text("state", "how it is").one_of(&["new", "old"]),
            ],
        )
        .checks(&["(size IS NULL) = (other_id IS NULL)"])
        .foreign_keys(&["(thing_id, size) REFERENCES large (a, b)"])
        .indexes(&[unique_index("thing_name", "coalesce(name, '')").only("is_kept = 1")]),
        Table::new("pair", "Pairs.", &[text("a", "one").not_empty(), text("b", "the other")])
            .key("a, b")
            .unique(&["b, a"]),
    ];

    #[test]
    fn statements_of_sqlite() {
        let wanted = "\
-- A thing that isn't large.
CREATE TABLE thing (
    thing_id INTEGER PRIMARY KEY, -- internal
    name TEXT NOT NULL UNIQUE CHECK (instr(name, '/') = 0), -- it's
    other_id INTEGER REFERENCES other (other_id) CHECK (other_id >= 1), -- whose
    size REAL CHECK (size >= 0), -- in metres
    made TEXT NOT NULL CHECK (made GLOB '????-??-??T*Z'), -- when
    is_kept INTEGER NOT NULL DEFAULT 0 CHECK (is_kept IN (0, 1)), -- 1: it stays
    state TEXT NOT NULL CHECK (state IN ('new', 'old')), -- how it is
    CHECK ((size IS NULL) = (other_id IS NULL)),
    FOREIGN KEY (thing_id, size) REFERENCES large (a, b)
) STRICT;
CREATE UNIQUE INDEX thing_name ON thing (coalesce(name, '')) WHERE is_kept = 1;
-- Pairs.
CREATE TABLE pair (
    a TEXT NOT NULL CHECK (length(a) > 0), -- one
    b TEXT NOT NULL, -- the other
    PRIMARY KEY (a, b),
    UNIQUE (b, a)
) STRICT;
";
        assert_eq!(create(THINGS, Dialect::Sqlite, UseCase::ALL), wanted);
    }

    #[test]
    fn statements_of_a_server() {
        let wanted = "\
-- A thing that isn't large.
CREATE TABLE thing (
    thing_id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, -- internal
    name TEXT NOT NULL UNIQUE CHECK (strpos(name, '/') = 0), -- it's
    other_id BIGINT CHECK (other_id >= 1), -- whose
    size DOUBLE PRECISION CHECK (size >= 0), -- in metres
    made TEXT NOT NULL CHECK (made LIKE '____-__-__T%Z'), -- when
    is_kept BIGINT NOT NULL DEFAULT 0 CHECK (is_kept IN (0, 1)), -- 1: it stays
    state TEXT NOT NULL CHECK (state IN ('new', 'old')), -- how it is
    CHECK ((size IS NULL) = (other_id IS NULL))
);
COMMENT ON TABLE thing IS 'A thing that isn''t large.';
COMMENT ON COLUMN thing.thing_id IS 'internal';
COMMENT ON COLUMN thing.name IS 'it''s';
COMMENT ON COLUMN thing.other_id IS 'whose';
COMMENT ON COLUMN thing.size IS 'in metres';
COMMENT ON COLUMN thing.made IS 'when';
COMMENT ON COLUMN thing.is_kept IS '1: it stays';
COMMENT ON COLUMN thing.state IS 'how it is';
CREATE UNIQUE INDEX thing_name ON thing (coalesce(name, '')) WHERE is_kept = 1;
-- Pairs.
CREATE TABLE pair (
    a TEXT NOT NULL CHECK (length(a) > 0), -- one
    b TEXT NOT NULL, -- the other
    PRIMARY KEY (a, b),
    UNIQUE (b, a)
);
COMMENT ON TABLE pair IS 'Pairs.';
COMMENT ON COLUMN pair.a IS 'one';
COMMENT ON COLUMN pair.b IS 'the other';
ALTER TABLE thing ADD FOREIGN KEY (other_id) REFERENCES other (other_id) DEFERRABLE;
ALTER TABLE thing ADD FOREIGN KEY (thing_id, size) REFERENCES large (a, b) DEFERRABLE;
";
        assert_eq!(create(THINGS, Dialect::Postgres, UseCase::ALL), wanted);
    }

    #[test]
    fn a_column_is_added_with_its_comment() {
        let column = integer("whose", "it's").or_null().refers("other (other_id)").at_least(1);
        assert_eq!(
            add_column("thing", &column, Dialect::Sqlite, UseCase::ALL),
            "ALTER TABLE thing ADD COLUMN whose INTEGER REFERENCES other (other_id) CHECK (whose >= 1) /* it's */;\n"
        );
        assert_eq!(
            add_column("thing", &column, Dialect::Postgres, UseCase::ALL),
            "ALTER TABLE thing ADD COLUMN whose BIGINT CHECK (whose >= 1) REFERENCES other (other_id) DEFERRABLE;\n\
             COMMENT ON COLUMN thing.whose IS 'it''s';\n"
        );
    }
}
