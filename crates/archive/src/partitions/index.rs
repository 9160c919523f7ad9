//! The index of a lake table's row ranges on a server: the columns, key and indexes of `LakeTable::index_ddl`, and more indexes.

use crate::error::ArchiveFault;
use engine::Connection;
use lake::LakeTable;
use std::fmt::Write;

/// Creates the index of a table, unless it exists. That of detections is part of the first schema.
pub(super) fn ensure(tx: &Connection, table: &LakeTable) -> Result<(), ArchiveFault> {
    if tx.has_table(table.index())? {
        return Ok(());
    }
    Ok(tx.execute_batch(&create_sql(table))?)
}

/// Returns the statements that create the index.
fn create_sql(table: &LakeTable) -> String {
    let index = table.index();
    let (first, key) = (table.first_id(), table.range_key().join(", "));
    let version = table.layout().version.as_deref();
    let has_sky = table.sky().is_some();
    let mut columns: Vec<(&str, &str, String)> = vec![
        ("programme_id", "NOT NULL CHECK (programme_id >= 1)", "programme of the rows".to_owned()),
        (
            &first,
            "NOT NULL",
            format!("{} of the first row; the others follow without gaps", table.id()),
        ),
        ("rows", "NOT NULL CHECK (rows >= 1)", "number of rows".to_owned()),
    ];
    for name in table.range_key() {
        let described = table.definition().column(name).map(|c| c.description.clone());
        columns.push((name, "NOT NULL", described.unwrap_or_default()));
    }
    if let Some(name) = version {
        columns.push((name, "NOT NULL", "version of the input".to_owned()));
    }
    let place = "position of the first row within the batch, from 0";
    let end = "CHECK (end_event >= begin_event)";
    columns.extend([
        ("file_id", "NOT NULL", "batch that published the rows".to_owned()),
        ("file_row", "NOT NULL CHECK (file_row >= 0)", place.to_owned()),
        (
            "begin_event",
            "NOT NULL CHECK (begin_event >= 1)",
            "event that published the rows".to_owned(),
        ),
        ("end_event", end, "event that ended the rows; NULL: current".to_owned()),
    ]);
    let mut constraints = format!("PRIMARY KEY (programme_id, {first})");
    for name in [first.as_str()]
        .into_iter()
        .chain(table.range_key().iter().map(String::as_str))
        .chain(version)
    {
        let _ = write!(constraints, ", CHECK ({name} >= 1)");
    }
    if has_sky {
        constraints += ", CHECK ((centre_healpix29 IS NULL) = (radius_deg IS NULL) \
            AND (radius_deg IS NULL) = (radius_class IS NULL))";
        let centre = "HEALPix cell (nested, order 29) of the centre of the cap";
        columns.extend([
            ("centre_healpix29", "CHECK (centre_healpix29 >= 0)", centre.to_owned()),
            (
                "radius_deg",
                "CHECK (radius_deg >= 0)",
                "radius in degrees of the cap that contains all positions".to_owned(),
            ),
            ("radius_class", "", "smallest k >= -12 with radius_deg <= 2^k".to_owned()),
        ]);
    }
    let defined: Vec<String> = columns
        .iter()
        .map(|(name, rest, _)| {
            let kind = if *name == "radius_deg" { "DOUBLE PRECISION" } else { "BIGINT" };
            format!("{name} {kind} {rest}")
        })
        .collect();
    let mut sql = format!("CREATE TABLE {index} ({}, {constraints});\n", defined.join(", "));
    let what = format!(
        "Location and validity of the {} of equal {key}: the access path of every search. Written by the publication of batches alone.",
        table.layout().plural
    );
    let _ = writeln!(sql, "COMMENT ON TABLE {index} IS {};", engine::text(&what));
    for (name, _, comment) in &columns {
        let _ = writeln!(sql, "COMMENT ON COLUMN {index}.{name} IS {};", engine::text(comment));
    }
    sql + &indexes_sql(index, &key, version, has_sky)
}

/// Returns the statements that create the indexes of the index of row ranges.
fn indexes_sql(index: &str, key: &str, version: Option<&str>, has_sky: bool) -> String {
    let shared = version.map_or_else(|| key.to_owned(), |version| format!("{key}, {version}"));
    let ended = "WHERE end_event IS NOT NULL";
    let mut indexes = vec![
        ("INDEX", "key", format!("({shared})")),
        ("UNIQUE INDEX", "current", format!("({key}, programme_id) WHERE end_event IS NULL")),
        ("UNIQUE INDEX", "file", "(file_id, file_row)".to_owned()),
        ("INDEX", "out", format!("({key}, begin_event) {ended}")),
        ("INDEX", "event", "(begin_event)".to_owned()),
        ("INDEX", "end", format!("(end_event) {ended}")),
        ("INDEX", "ended", format!("(file_id, file_row, rows) {ended}")),
    ];
    if has_sky {
        indexes.push(("INDEX", "sky", "(radius_class, centre_healpix29)".to_owned()));
    }
    let mut sql = String::new();
    for (kind, name, of) in indexes {
        let _ = writeln!(sql, "CREATE {kind} {index}_{name} ON {index} {of};");
    }
    sql
}
