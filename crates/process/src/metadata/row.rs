//! Rows under construction: cells by column name, for one table.

use model::tables::{self, Table};
use std::collections::HashMap;
use std::sync::OnceLock;

use super::cell::Cell;

/// A table with the positions of its columns.
#[derive(Debug)]
pub(super) struct Sheet {
    pub table: &'static Table,
    positions: HashMap<&'static str, usize>,
}

impl Sheet {
    pub fn position(&self, column: &str) -> Option<usize> {
        self.positions.get(column).copied()
    }
}

/// Tables of metadata, in the order in which they are staged.
pub(super) const TABLES: [&str; 6] =
    ["multiframe", "multiframe_detector", "astrometry", "provenance", "programme_frame", "header"];

/// Returns the sheet of a table in [`TABLES`], by its place there.
pub(super) fn sheets() -> &'static [Sheet] {
    static SHEETS: OnceLock<Vec<Sheet>> = OnceLock::new();
    SHEETS.get_or_init(|| TABLES.iter().map(|name| sheet(name)).collect())
}

fn sheet(name: &str) -> Sheet {
    let table =
        tables::table(name).unwrap_or_else(|| panic!("table {name} is part of the program"));
    let positions = table.columns.iter().enumerate().map(|(p, c)| (c.name.as_str(), p)).collect();
    Sheet { table, positions }
}

/// Position of a table in [`TABLES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Multiframe,
    Detector,
    Astrometry,
    Provenance,
    ProgrammeFrame,
    Header,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Multiframe,
        Self::Detector,
        Self::Astrometry,
        Self::Provenance,
        Self::ProgrammeFrame,
        Self::Header,
    ];

    pub fn sheet(self) -> &'static Sheet {
        &sheets()[self as usize]
    }

    pub fn of_table(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| TABLES[*kind as usize] == name)
    }
}

/// A row; columns that were not set are NULL.
#[derive(Clone, Debug)]
pub(super) struct Row<'f> {
    pub kind: Kind,
    pub cells: Vec<Cell<'f>>,
}

impl<'f> Row<'f> {
    pub fn new(kind: Kind) -> Self {
        Self { kind, cells: vec![Cell::Null; kind.sheet().table.columns.len()] }
    }

    /// Sets a column. The name is one of the table's definition.
    pub fn set(&mut self, column: &str, value: impl Into<Cell<'f>>) {
        let position = self.position(column);
        self.cells[position] = value.into();
    }

    #[cfg(test)]
    pub fn set_cell(&mut self, column: &str, cell: Cell<'f>) {
        let position = self.position(column);
        self.cells[position] = cell;
    }

    pub fn get(&self, column: &str) -> &Cell<'f> {
        &self.cells[self.position(column)]
    }

    pub fn float(&self, column: &str) -> Option<f64> {
        match self.get(column) {
            Cell::Float(number) => Some(*number),
            _ => None,
        }
    }

    fn position(&self, column: &str) -> usize {
        let sheet = self.kind.sheet();
        sheet.position(column).unwrap_or_else(|| {
            panic!("{}.{column} is not in the table's definition", sheet.table.name)
        })
    }
}
