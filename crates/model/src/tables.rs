//! The archive's tables: one definition produces Parquet schema, DDL, lake columns and documentation.
//!
//! Each table is a file in `tables/`. A new column is a new `[[column]]` at the end of its file and a new
//! `schema_version`; a column is never narrowed, and one that a migration drops is named in `retired`. Field ids are
//! positions in the file, so the order never changes.

use arrow_schema::{DataType, Field, Schema};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// 16-bit integer.
    I16,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Truth value (INTEGER 0/1 in SQLite).
    Bool,
    /// UTF-8 text; times are ISO 8601 UTC texts.
    Text,
    /// Bytes.
    Bytes,
}

impl ColumnType {
    /// Returns the type in Arrow and Parquet.
    pub fn arrow(self) -> DataType {
        match self {
            Self::I16 => DataType::Int16,
            Self::I32 => DataType::Int32,
            Self::I64 => DataType::Int64,
            Self::F32 => DataType::Float32,
            Self::F64 => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
        }
    }
}

/// The header in which a keyword is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Primary header of the image, then that of its first image extension.
    Primary,
    /// Header of the image extension, then the primary one for keywords that an extension inherits.
    Extension,
    /// Header of the catalogue extension, then its primary one, then (unless the column's name ends in `_cat`) as
    /// [`Origin::Extension`].
    Catalogue,
}

/// One column.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Name, snake case.
    pub name: String,
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// True when it may be unknown (NULL).
    #[serde(default = "yes")]
    pub nullable: bool,
    /// Unit, in the spelling of VOUnits; empty for none.
    #[serde(default)]
    pub unit: String,
    /// IVOA UCD1+.
    #[serde(default)]
    pub ucd: String,
    /// One sentence.
    pub description: String,
    /// FITS keyword that it is copied from (a profile may set other spellings).
    #[serde(default)]
    pub keyword: Option<String>,
    /// The header that holds the keyword.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// TTYPE of the catalogue column that it is copied from (a profile may set other spellings).
    #[serde(default)]
    pub ttype: Option<String>,
    /// The formula by which it is computed, and its inputs.
    #[serde(default)]
    pub formula: Option<String>,
    /// Inclusive range of valid values.
    #[serde(default)]
    pub range: Option<[f64; 2]>,
    /// Table and column that it refers to, e.g. `multiframe.multiframe_id`.
    #[serde(default)]
    pub references: Option<String>,
}

impl Column {
    /// Returns true for a column copied from the catalogue of an image, or one that describes the catalogue's file
    /// (`cat_…`).
    pub fn is_of_catalogue(&self) -> bool {
        self.origin == Some(Origin::Catalogue) || self.name.starts_with("cat_")
    }
}

fn yes() -> bool {
    true
}

/// The storage of a table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keeping {
    /// Ordinary table of the database, rows with begin and end event.
    Versioned,
    /// Ordinary table of the database, loaded from profiles.
    Reference,
    /// Parquet files of the lake.
    Lake,
}

/// The layout of a table's rows in the lake: what makes it a lake table, in addition to its columns.
///
/// Every lake table has the columns `programme_id` (owner of the rows, one per file) and `begin_event` (written by
/// ingest). Names and numbers here are stored in archives: they do not change once they are released.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LakeLayout {
    /// Number of the table in the lake, from 1.
    pub number: u16,
    /// Plural noun for its rows, e.g. `detections`.
    pub plural: String,
    /// First characters of the names of its files, which no other table has.
    pub file_prefix: String,
    /// The column with the ids that ingest assigns: unique within a programme, without gaps within a file. The rows of a table
    /// without ids are numbered by batch and position, and the number is no column of the table.
    #[serde(default)]
    pub id: Option<String>,
    /// Name of the index of its row ranges.
    pub index: String,
    /// Columns whose values a row range shares: integers from 1. The rows of a range are consecutive in one file.
    pub range_key: Vec<String>,
    /// Column with the version of a range's input, if there is one.
    #[serde(default)]
    pub version: Option<String>,
    /// Numeric columns with statistics, in Parquet and in the lake's catalogue.
    pub statistics: Vec<String>,
    /// Columns by which the rows of a range ascend; empty when their order has no meaning.
    #[serde(default)]
    pub sort: Vec<String>,
    /// Columns that identify a row within its range; empty when only the id does.
    #[serde(default)]
    pub row_key: Vec<String>,
    /// Columns of the position on the sky, if there are any.
    #[serde(default)]
    pub sky: Option<SkyColumns>,
    /// The history of its rows. A table without it only grows: its rows never end, and it has no companion.
    #[serde(default)]
    pub history: Option<LakeHistory>,
}

/// The columns of positions on the sky, degrees.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkyColumns {
    /// Right ascension.
    pub ra: String,
    /// Declination.
    pub dec: String,
}

/// The history of a lake table: ranges of rows end and are reopened, and its companion `NAME_all` shows every row.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LakeHistory {
    /// Table of the spans in which reopened ranges did not show: the columns of the key, `from_event`, `to_event`.
    #[serde(default)]
    pub interruptions: Option<String>,
}

/// One table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Name, snake case.
    pub name: String,
    /// One or more sentences.
    pub description: String,
    /// The storage of its rows.
    pub keeping: Keeping,
    /// Number that grows with every column added.
    pub schema_version: u32,
    /// Columns that identify a current row.
    pub key: Vec<String>,
    /// Columns of earlier definitions that a migration dropped. Files that were staged before may still have them.
    #[serde(default)]
    pub retired: Vec<String>,
    /// The layout in the lake, of a table that is kept there.
    #[serde(default)]
    pub lake: Option<LakeLayout>,
    /// The columns, in their permanent order.
    #[serde(rename = "column")]
    pub columns: Vec<Column>,
}

impl Table {
    /// Returns the column with a name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Returns true for a column of an earlier definition that is no longer used.
    pub fn is_retired(&self, name: &str) -> bool {
        self.retired.iter().any(|retired| retired == name)
    }

    /// Returns the position of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// Returns the Parquet field id of the column at a position.
    pub fn field_id(position: usize) -> i32 {
        i32::try_from(position).unwrap_or(i32::MAX - 1) + 1
    }

    /// Returns the schema of staged and published Parquet files, field ids included.
    pub fn arrow_schema(&self) -> Arc<Schema> {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .enumerate()
            .map(|(position, column)| {
                let id = Self::field_id(position).to_string();
                Field::new(&column.name, column.kind.arrow(), column.nullable)
                    .with_metadata(HashMap::from([("PARQUET:field_id".to_owned(), id)]))
            })
            .collect();
        Arc::new(Schema::new(fields))
    }
}

const DEFINITIONS: &[(&str, &str)] = &[
    ("multiframe", include_str!("../tables/multiframe.toml")),
    ("multiframe_detector", include_str!("../tables/multiframe_detector.toml")),
    ("astrometry", include_str!("../tables/astrometry.toml")),
    ("provenance", include_str!("../tables/provenance.toml")),
    ("programme_frame", include_str!("../tables/programme_frame.toml")),
    ("header", include_str!("../tables/header.toml")),
    ("preview", include_str!("../tables/preview.toml")),
    ("detection", include_str!("../tables/detection.toml")),
    ("survey", include_str!("../tables/survey.toml")),
    ("programme", include_str!("../tables/programme.toml")),
    ("filter", include_str!("../tables/filter.toml")),
    ("use_case", include_str!("../tables/use_case.toml")),
];

/// Returns all tables of the archive that a definition describes.
pub fn tables() -> &'static [Table] {
    static TABLES: OnceLock<Vec<Table>> = OnceLock::new();
    TABLES.get_or_init(|| {
        DEFINITIONS
            .iter()
            .map(|(name, text)| {
                toml::from_str(text).unwrap_or_else(|fault| {
                    panic!("tables/{name}.toml is part of the program and must parse: {fault}")
                })
            })
            .collect()
    })
}

/// Returns the table with a name.
pub fn table(name: &str) -> Option<&'static Table> {
    tables().iter().find(|t| t.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_sound() {
        for ((file, _), table) in DEFINITIONS.iter().zip(tables()) {
            assert_eq!(*file, table.name);
            let mut seen = std::collections::HashSet::new();
            for column in &table.columns {
                assert!(seen.insert(&column.name), "{}.{} stands twice", table.name, column.name);
                assert!(!column.description.is_empty(), "{}.{}", table.name, column.name);
                assert!(
                    column.keyword.is_none() || column.origin.is_some(),
                    "{}.{} has a keyword but no origin",
                    table.name,
                    column.name
                );
            }
            for retired in &table.retired {
                assert!(table.column(retired).is_none(), "{}.{retired} is retired", table.name);
            }
            for key in &table.key {
                let column = table.column(key).unwrap_or_else(|| panic!("{}.{key}", table.name));
                assert!(!column.nullable, "{}.{key} is a key and nullable", table.name);
            }
            for target in table.columns.iter().filter_map(|c| c.references.as_deref()) {
                let (to, column) = target.split_once('.').unwrap();
                assert!(super::table(to).is_some_and(|t| t.column(column).is_some()), "{target}");
            }
            assert_eq!(table.keeping == Keeping::Lake, table.lake.is_some(), "{}", table.name);
        }
    }
}
