//! `docs/tables.md` is what the table definitions say, `docs/refusals.md` what the register of codes says.
//! `ALMAGEST_WRITE_DOCS=1 cargo test --test documented` writes them.

use model::refusal_code::{Entry, Kind, REGISTER};
use model::tables::{Column, Keeping, Table, tables};
use std::fmt::Write;

const HEAD: &str = "\
# Tables

The public tables of the archive, generated from their definitions (`crates/model/tables/`). `NAME` shows the current rows, `NAME_all`
every row with the events that began and ended it (`begin_event`, `end_event`). Units are those of VOUnits, UCDs are UCD1+. NULL means a
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

/// Compares a generated document with the kept one, or writes it.
fn compare(name: &str, text: &str) {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("ALMAGEST_WRITE_DOCS").is_some() {
        std::fs::write(&path, text).expect("the document");
    }
    let kept = std::fs::read_to_string(&path).expect("the document");
    assert!(kept == text, "docs/{name} differs from what it is generated from");
}

#[test]
fn the_tables_are_documented_as_they_are_defined() {
    let mut text = HEAD.to_owned();
    text.extend(tables().iter().map(section));
    compare("tables.md", &text);
}

const REFUSALS: &str = "\
# Refusals and findings

Every code of refusals and findings, generated from the register (`crates/model/src/refusal_code/`). A *refusal* is a file, HDU or set of
rows that is not in the archive. `almagest refusals list` lists refusals, and `almagest refusals show NUMBER` prints the commands that settle
one; the tables below name the first command only. A *finding* is an unexpected property of accepted files, listed by `almagest findings`, or a
deviation that `almagest verify` found. A parked refusal waits for a decision or another file, and is retried automatically when that arrives.
Every refusal can also be settled with `almagest refusals accept` (confirmed: the input stays out) or `almagest refusals dismiss` (removed from
the list).

Codes are stable: scripts may rely on them. An archive that was written by another version may have codes that are not listed here.
";

/// Returns the words of the remedy as a sentence, with the command that follows.
fn help(entry: &Entry) -> String {
    let mut words = entry.remedy.text().to_owned();
    if let Some(first) = words.get(..1).map(str::to_ascii_uppercase) {
        words.replace_range(..1, &first);
    }
    match entry.remedy.verb() {
        Some(verb) => format!("{words}: `{verb}`."),
        None => format!("{words}."),
    }
}

#[test]
fn the_codes_are_documented_as_they_are_registered() {
    let mut text = REFUSALS.to_owned();
    for section in REGISTER {
        let _ = write!(
            text,
            "\n## {}\n\n| code | | meaning | remedy |\n| --- | --- | --- | --- |\n",
            section.title
        );
        for entry in section.entries {
            let kind = match entry.kind {
                Kind::Refusal => "refusal",
                Kind::Finding => "finding",
                Kind::Either => "refusal or finding, as the profile says",
                Kind::Verify => "`verify`",
            };
            let _ = writeln!(
                text,
                "| `{}` | {kind} | {} | {} |",
                entry.code,
                entry.meaning,
                help(entry)
            );
        }
    }
    compare("refusals.md", &text);
}
