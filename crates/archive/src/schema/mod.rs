//! The schema of the control store: its tables as values, from which the statements for both engines are generated.
//!
//! Each file holds the tables of one concept. [`table`] has the types that describe them, `sql` makes the statements, and
//! [`Change`] is a step of a migration. Before the first release a table is changed in its file; after it, `BASELINE` stays as it is
//! released, and a migration of [`crate::migrations`] changes the table.
//!
//! The metadata and detections are defined in `model::tables`, not here.

mod batches;
mod deliveries;
mod descriptions;
mod detections;
mod events;
mod files;
mod moves;
mod planning;
mod products;
mod refusals;
mod retraction;
mod rounds;
mod sql;
pub mod table;
mod transfers;

use engine::Dialect;
use model::UseCase;
use table::{Column, Index, Table, index};

/// A step of a migration.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// Adds tables with their indexes.
    Tables(&'static [Table]),
    /// Adds tables that only a server has.
    ServerTables(&'static [Table]),
    /// Adds a column to the end of a table.
    Column(&'static str, Column),
    /// Adds an index to a table.
    Index(&'static str, Index),
    /// Runs statements that both engines understand.
    Both(&'static str),
    /// Runs statements only in the embedded archive.
    Embedded(&'static str),
    /// Runs statements only on a server.
    Server(&'static str),
}

impl Change {
    /// Returns the statements for an engine and the products of a site; none when the change does not concern it.
    pub fn statements(&self, dialect: Dialect, products: &[UseCase]) -> String {
        match (self, dialect) {
            (Self::Tables(tables), _) | (Self::ServerTables(tables), Dialect::Postgres) => {
                sql::create(tables, dialect, products)
            }
            (Self::Column(table, column), _) => sql::add_column(table, column, dialect, products),
            (Self::Index(table, index), _) => sql::create_index(table, index),
            (Self::Both(statements), _)
            | (Self::Embedded(statements), Dialect::Sqlite)
            | (Self::Server(statements), Dialect::Postgres) => format!("{statements}\n"),
            (Self::ServerTables(_) | Self::Server(_), Dialect::Sqlite)
            | (Self::Embedded(_), Dialect::Postgres) => String::new(),
        }
    }
}

/// The schema of the first release, in the order in which tables refer to each other.
pub(crate) const BASELINE: &[Change] = &[
    Change::Tables(deliveries::TABLES),
    Change::Tables(files::TABLES),
    Change::Tables(transfers::TABLES),
    Change::Tables(rounds::TABLES),
    Change::Tables(events::TABLES),
    // Lower programme ids come from profiles.
    Change::Both(
        "INSERT INTO counter (name, last) VALUES ('multiframe', 0), ('event', 0), ('programme', 10000);",
    ),
    Change::Tables(batches::TABLES),
    Change::Embedded(lake::DETECTOR_ROWS_DDL),
    Change::ServerTables(detections::TABLES),
    Change::Tables(products::TABLES),
    Change::Tables(retraction::TABLES),
    // Rows that an event ended: a retraction opens what others had ended, an undo what it had ended itself.
    Change::Index(
        "detector_rows",
        index("detector_rows_end", "end_event").only("end_event IS NOT NULL"),
    ),
    Change::Tables(refusals::TABLES),
    Change::Tables(planning::TABLES),
    Change::Tables(moves::TABLES),
    Change::Both("INSERT INTO writer_lock (name) VALUES ('fold');"),
    Change::Tables(descriptions::TABLES),
    Change::Embedded(lake::LAKE_FILE_DDL),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that the table of a server has the columns, key and indexes of the lake's, and more indexes alone.
    #[test]
    fn detector_rows_of_both_engines_are_equal() {
        let shape = |ddl: &str| -> (Vec<String>, Vec<String>) {
            let c = rusqlite::Connection::open_in_memory().unwrap();
            c.execute_batch(ddl).unwrap();
            let list = |sql: &str| -> Vec<String> {
                let mut select = c.prepare(sql).unwrap();
                select.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
            };
            let columns = "SELECT concat_ws(' ', name, type, \"notnull\", pk) FROM pragma_table_info('detector_rows')";
            let indexes = "SELECT replace(replace(sql, ' IF NOT EXISTS', ''), char(10) || '   ', '') FROM sqlite_schema
                 WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";
            (list(columns), list(indexes))
        };
        let lake = shape(lake::DETECTOR_ROWS_DDL);
        let server = shape(&sql::create(detections::TABLES, Dialect::Sqlite, UseCase::ALL));
        assert_eq!(lake.0, server.0);
        assert!(lake.0.len() > 10);
        for index in &lake.1 {
            assert!(server.1.contains(index), "{index} is not in {:?}", server.1);
        }
    }
}
