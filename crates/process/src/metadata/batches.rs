//! Rows of many frames as record batches, one per table, schema exactly that of the table's definition.

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder,
    Int64Builder, StringBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use model::tables::{ColumnType, Table};
use std::sync::Arc;

use super::cell::Cell;
use super::row::{Kind, Row};

/// The rows of one table, column by column.
#[derive(Debug)]
struct TableRows {
    table: &'static Table,
    columns: Vec<ColumnRows>,
    rows: usize,
}

#[derive(Debug)]
enum ColumnRows {
    I16(Int16Builder),
    I32(Int32Builder),
    I64(Int64Builder),
    F32(Float32Builder),
    F64(Float64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
}

impl ColumnRows {
    fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::I16 => Self::I16(Int16Builder::new()),
            ColumnType::I32 => Self::I32(Int32Builder::new()),
            ColumnType::I64 => Self::I64(Int64Builder::new()),
            ColumnType::F32 => Self::F32(Float32Builder::new()),
            ColumnType::F64 => Self::F64(Float64Builder::new()),
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnType::Text => Self::Text(StringBuilder::new()),
            ColumnType::Bytes => Self::Bytes(BinaryBuilder::new()),
        }
    }

    /// Appends a cell. A cell of another type than its column would be a defect of this program; it counts as unknown.
    fn push(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Self::I16(b), Cell::Int(v)) => b.append_option(i16::try_from(*v).ok()),
            (Self::I32(b), Cell::Int(v)) => b.append_option(i32::try_from(*v).ok()),
            (Self::I64(b), Cell::Int(v)) => b.append_value(*v),
            (Self::F32(b), Cell::Float(v)) => b.append_value(*v as f32),
            (Self::F64(b), Cell::Float(v)) => b.append_value(*v),
            (Self::Bool(b), Cell::Bool(v)) => b.append_value(*v),
            (Self::Text(b), Cell::Text(v)) => b.append_value(v),
            (Self::Bytes(b), Cell::Bytes(v)) => b.append_value(v),
            (column, cell) => {
                debug_assert_eq!(*cell, Cell::Null, "a cell of another type than its column");
                column.push_null();
            }
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::I16(b) => b.append_null(),
            Self::I32(b) => b.append_null(),
            Self::I64(b) => b.append_null(),
            Self::F32(b) => b.append_null(),
            Self::F64(b) => b.append_null(),
            Self::Bool(b) => b.append_null(),
            Self::Text(b) => b.append_null(),
            Self::Bytes(b) => b.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::I16(b) => Arc::new(b.finish()),
            Self::I32(b) => Arc::new(b.finish()),
            Self::I64(b) => Arc::new(b.finish()),
            Self::F32(b) => Arc::new(b.finish()),
            Self::F64(b) => Arc::new(b.finish()),
            Self::Bool(b) => Arc::new(b.finish()),
            Self::Text(b) => Arc::new(b.finish()),
            Self::Bytes(b) => Arc::new(b.finish()),
        }
    }
}

/// Rows of many frames under construction.
#[derive(Debug)]
pub(super) struct Accumulator {
    tables: Vec<TableRows>,
}

impl Accumulator {
    pub fn new() -> Self {
        let of = |kind: Kind| {
            let table = kind.sheet().table;
            let columns = table.columns.iter().map(|c| ColumnRows::new(c.kind)).collect();
            TableRows { table, columns, rows: 0 }
        };
        Self { tables: Kind::ALL.into_iter().map(of).collect() }
    }

    pub fn push(&mut self, row: &Row<'_>) {
        let table = &mut self.tables[row.kind as usize];
        for (column, cell) in table.columns.iter_mut().zip(&row.cells) {
            column.push(cell);
        }
        table.rows += 1;
    }

    /// Returns one batch per table, in the order of the staged tables; tables without rows yield empty ones.
    pub fn finish(mut self) -> Vec<(&'static Table, RecordBatch)> {
        self.tables.iter_mut().map(|table| (table.table, table.finish())).collect()
    }
}

impl TableRows {
    fn finish(&mut self) -> RecordBatch {
        let columns = self.columns.iter_mut().map(ColumnRows::finish).collect();
        RecordBatch::try_new(self.table.arrow_schema(), columns).unwrap_or_else(|fault| {
            panic!("rows of {} are built after its own definition: {fault}", self.table.name)
        })
    }
}
