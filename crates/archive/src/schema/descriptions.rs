//! The schema: its migrations, and descriptions of columns.

use super::table::{Table, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "migration",
        "Migrations that were applied to this schema.",
        &[
            integer("number", "number of the migration: 1, 2 …").key().at_least(1),
            text("name", "name of the migration").not_empty(),
            time("applied", "time at which it was applied (UTC)"),
        ],
    ),
    Table::new(
        "column_description",
        "Descriptions of the columns of the public tables, for programs that \
         display them.",
        &[
            text("table_name", "public name of the table").not_empty(),
            text("column_name", "name of the column").not_empty(),
            integer("ordinal", "position of the column, equal to the Parquet field id, from 1")
                .at_least(1),
            text("type", "type: i16, i32, i64, f32, f64, bool, text or bytes").not_empty(),
            text("unit", "unit in VOUnits notation; empty: none"),
            text("ucd", "UCD1+ of the column; empty: none"),
            text("description", "description, one sentence").not_empty(),
            text(
                "source",
                "header keyword, table column (TTYPE) or formula from which the value \
                 comes; empty: assigned by the archive",
            ),
        ],
    )
    .key("table_name, column_name"),
];
