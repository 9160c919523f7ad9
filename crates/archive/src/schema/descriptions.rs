//! The schema: its migrations, and descriptions of columns.

use super::table::{Table, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "migration",
        "Migrations that were applied.",
        &[
            integer("number", "1, 2 …").key().at_least(1),
            text("name", "name of the migration").not_empty(),
            time("applied", "when"),
        ],
    ),
    Table::new(
        "column_description",
        "Descriptions of the columns that come from table definitions, for \
         readers that show them.",
        &[
            text("table_name", "public name of the table").not_empty(),
            text("column_name", "name of the column").not_empty(),
            integer("ordinal", "position, which is the Parquet field id").at_least(1),
            text("type", "i16, i32, i64, f32, f64, bool, text, bytes").not_empty(),
            text("unit", "VOUnits; empty: none"),
            text("ucd", "UCD1+; empty: none"),
            text("description", "one sentence").not_empty(),
            text("source", "keyword, TTYPE or formula; empty: assigned"),
        ],
    )
    .key("table_name, column_name"),
];
