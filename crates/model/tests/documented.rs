//! `docs/tables.md` is what the table definitions say. `ALMAGEST_WRITE_DOCS=1 cargo test --test documented` writes it.

use model::tables::{Column, Keeping, Table, tables};
use std::fmt::Write;

const HEAD: &str = "\
# Tables

The public tables of the archive, generated from their definitions (`crates/model/tables/`). `NAME` shows the current rows, `NAME_all`
every row with the events that began and ended it (`begin_event`, `end_event`). Units are those of VOUnits, UCDs are UCD1+. NULL stands for a
value that is not known.
";

fn line(column: &Column) -> String {
    let kind = format!("{:?}", column.kind).to_lowercase();
    let mut description = column.description.replace('\n', " ").replace('|', "\\|");
    if let Some(references) = &column.references {
        let _ = write!(description, " Refers to `{references}`.");
    }
    let not_null = if column.nullable { "" } else { ", not NULL" };
    let unit = if column.unit.is_empty() { String::new() } else { format!("`{}`", column.unit) };
    let ucd = if column.ucd.is_empty() { String::new() } else { format!("`{}`", column.ucd) };
    format!("| `{}` | {kind}{not_null} | {unit} | {ucd} | {description} |\n", column.name)
}

fn section(table: &Table) -> String {
    let kept = match table.keeping {
        Keeping::Versioned => "Rows of the database with history.",
        Keeping::Reference => "Rows of the database, loaded from the site's profiles.",
        Keeping::Lake => "Parquet files of the lake, or partitions of a server.",
    };
    let key: Vec<String> = table.key.iter().map(|key| format!("`{key}`")).collect();
    let mut text = format!(
        "\n## {}\n\n{} {kept} Key: {}.\n\n| column | type | unit | UCD | description |\n| --- | --- | --- | --- | --- |\n",
        table.name,
        table.description.trim(),
        key.join(", ")
    );
    text.extend(table.columns.iter().map(line));
    text
}

#[test]
fn the_tables_are_documented_as_they_are_defined() {
    let mut text = HEAD.to_owned();
    text.extend(tables().iter().map(section));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tables.md");
    if std::env::var_os("ALMAGEST_WRITE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept == text, "docs/tables.md differs from the definitions of tables");
}
