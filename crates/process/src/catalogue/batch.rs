//! The columns of `detection` while rows of many HDUs gather in them.
//!
//! NaN, and the least value of an integer type, stand for NULL until [`Batch::take`] makes Arrow arrays of the
//! columns. A column that no HDU has is never filled in.

use arrow_array::{
    ArrayRef, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    new_null_array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::{Schema, SchemaRef};
use model::tables::{Column, ColumnType, Table, table};
use std::sync::{Arc, OnceLock};

/// Returns the definition of `detection`.
pub(super) fn detection() -> &'static Table {
    table("detection").expect("the definition is part of the program")
}

/// Returns the schema of the batches.
pub(super) fn schema() -> SchemaRef {
    static SCHEMA: OnceLock<Arc<Schema>> = OnceLock::new();
    SCHEMA.get_or_init(|| detection().arrow_schema()).clone()
}

/// Returns the position of a column that the code knows by name.
pub(super) fn position(name: &str) -> usize {
    detection()
        .position(name)
        .unwrap_or_else(|| panic!("tables/detection.toml must have column {name}"))
}

/// A type that columns of `detection` have.
pub(super) trait Element: Copy + PartialEq + 'static {
    /// The value that stands for NULL.
    const NULL: Self;
    /// Returns the column's values.
    fn values(column: &mut Values) -> &mut Vec<Self>;
    /// Returns true for NULL.
    fn is_null(self) -> bool;
}

/// Values of one column.
#[derive(Debug)]
pub(super) enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

macro_rules! element {
    ($type:ty, $arm:ident, $null:expr, |$v:ident| $is_null:expr) => {
        impl Element for $type {
            const NULL: Self = $null;
            fn values(column: &mut Values) -> &mut Vec<Self> {
                match column {
                    Values::$arm(values) => values,
                    other => {
                        panic!("a {} column was wanted, this is {other:?}", stringify!($type))
                    }
                }
            }
            #[inline(always)]
            fn is_null(self) -> bool {
                let $v = self;
                $is_null
            }
        }
    };
}

element!(f32, F32, f32::NAN, |v| v.is_nan());
element!(f64, F64, f64::NAN, |v| v.is_nan());
element!(i16, I16, i16::MIN, |v| v == i16::MIN);
element!(i32, I32, i32::MIN, |v| v == i32::MIN);
element!(i64, I64, i64::MIN, |v| v == i64::MIN);

impl Values {
    fn empty(column: &Column) -> Self {
        match column.kind {
            ColumnType::F32 => Self::F32(Vec::new()),
            ColumnType::F64 => Self::F64(Vec::new()),
            ColumnType::I16 => Self::I16(Vec::new()),
            ColumnType::I32 => Self::I32(Vec::new()),
            ColumnType::I64 => Self::I64(Vec::new()),
            other => panic!("detection.{}: no column there is {other:?}", column.name),
        }
    }
}

/// Does the same for a column of any type.
macro_rules! each_type {
    ($values:expr, $v:ident => $action:expr) => {
        match $values {
            Values::F32($v) => $action,
            Values::F64($v) => $action,
            Values::I16($v) => $action,
            Values::I32($v) => $action,
            Values::I64($v) => $action,
        }
    };
}

/// Rows that are collected from many HDUs.
#[derive(Debug)]
pub(super) struct Batch {
    columns: Vec<Values>,
    rows: usize,
}

impl Batch {
    /// Makes a batch without rows.
    pub(super) fn new() -> Self {
        Self { columns: detection().columns.iter().map(Values::empty).collect(), rows: 0 }
    }

    /// Returns the number of finished rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Returns a column, filled up to the finished rows; the rows of the next block are appended to it.
    pub(super) fn column<T: Element>(&mut self, position: usize) -> &mut Vec<T> {
        let rows = self.rows;
        let values = T::values(&mut self.columns[position]);
        values.resize(rows.max(values.len()), T::NULL);
        values
    }

    /// Takes a column out to write it while others are read; [`Batch::put`] returns it.
    pub(super) fn lend<T: Element>(&mut self, position: usize) -> Vec<T> {
        std::mem::take(self.column(position))
    }

    /// Puts a column back that [`Batch::lend`] took out.
    pub(super) fn put<T: Element>(&mut self, position: usize, values: Vec<T>) {
        *T::values(&mut self.columns[position]) = values;
    }

    /// Returns the block's values of a column, if the block has it.
    pub(super) fn block<T: Element>(&mut self, position: usize) -> Option<&mut [T]> {
        let rows = self.rows;
        let values = T::values(&mut self.columns[position]);
        (values.len() > rows).then(|| &mut values[rows..])
    }

    /// Appends one value for each of the block's rows.
    pub(super) fn fill<T: Element>(&mut self, position: usize, rows: usize, value: T) {
        let total = self.rows + rows;
        self.column(position).resize(total, value);
    }

    /// Removes the block's rows that are not kept, from the columns that the block has.
    pub(super) fn keep(&mut self, kept: &[bool]) {
        let first = self.rows;
        for values in &mut self.columns {
            each_type!(values, v => if v.len() > first {
                let mut to = first;
                for (row, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
                    v[to] = v[first + row];
                    to += 1;
                }
                v.truncate(to);
            });
        }
    }

    /// Completes the block: its rows become rows of the batch.
    pub(super) fn finish_block(&mut self, rows: usize) {
        self.rows += rows;
        let total = self.rows;
        for values in &mut self.columns {
            each_type!(values, v => if !v.is_empty() { v.resize(total, Element::NULL) });
        }
    }

    /// Returns the rows as Arrow arrays; the batch is empty afterwards.
    pub(super) fn take(&mut self) -> RecordBatch {
        let rows = std::mem::take(&mut self.rows);
        let arrays = detection()
            .columns
            .iter()
            .zip(&mut self.columns)
            .map(|(column, values)| array(column, values, rows))
            .collect();
        RecordBatch::try_new(schema(), arrays).expect("columns were made after the definition")
    }
}

fn array(column: &Column, values: &mut Values, rows: usize) -> ArrayRef {
    match values {
        Values::F32(v) if !v.is_empty() => {
            let (values, nulls) = sealed(v, column.nullable);
            Arc::new(Float32Array::new(values, nulls))
        }
        Values::F64(v) if !v.is_empty() => {
            let (values, nulls) = sealed(v, column.nullable);
            Arc::new(Float64Array::new(values, nulls))
        }
        Values::I16(v) if !v.is_empty() => {
            let (values, nulls) = sealed(v, column.nullable);
            Arc::new(Int16Array::new(values, nulls))
        }
        Values::I32(v) if !v.is_empty() => {
            let (values, nulls) = sealed(v, column.nullable);
            Arc::new(Int32Array::new(values, nulls))
        }
        Values::I64(v) if !v.is_empty() => {
            let (values, nulls) = sealed(v, column.nullable);
            Arc::new(Int64Array::new(values, nulls))
        }
        _ => new_null_array(&column.kind.arrow(), rows),
    }
}

/// Returns values and the mask of the known ones. An unknown value is always stored as the same one, so that equal rows yield
/// equal files.
fn sealed<T: Element + Default + arrow_buffer::ArrowNativeType>(
    values: &mut Vec<T>,
    nullable: bool,
) -> (ScalarBuffer<T>, Option<NullBuffer>) {
    let capacity = values.len();
    let mut values = std::mem::replace(values, Vec::with_capacity(capacity));
    let mut any = false;
    for value in &values {
        any |= value.is_null();
    }
    let nulls = (nullable && any).then(|| {
        let known = BooleanBuffer::collect_bool(values.len(), |row| !values[row].is_null());
        for value in values.iter_mut().filter(|v| v.is_null()) {
            *value = T::default();
        }
        NullBuffer::new(known)
    });
    (ScalarBuffer::from(values), nulls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Array, cast::AsArray, types::Float32Type};

    #[test]
    fn columns_of_some_files_are_null_elsewhere() {
        let (ell, pa) = (position("ell"), position("pa"));
        let mut batch = Batch::new();
        let not_null: Vec<usize> = detection()
            .columns
            .iter()
            .enumerate()
            .filter(|(_, c)| !c.nullable)
            .map(|(n, _)| n)
            .collect();
        let required = |batch: &mut Batch, rows: usize| {
            for &n in &not_null {
                each_type!(&mut batch.columns[n], v => v.resize(v.len() + rows, Default::default()));
            }
        };
        for (rows, with_pa) in [(2_usize, false), (3, true), (1, false)] {
            required(&mut batch, rows);
            batch.column::<f32>(ell).extend((0..rows).map(|r| r as f32));
            if with_pa {
                batch.column::<f32>(pa).extend([7.0, f32::NAN, 9.0]);
            }
            batch.keep(&vec![true; rows]);
            batch.finish_block(rows);
        }
        let taken = batch.take();
        assert_eq!(taken.num_rows(), 6);
        assert_eq!(batch.rows(), 0);
        let column = taken.column(pa).as_primitive::<Float32Type>();
        let values: Vec<Option<f32>> = column.iter().collect();
        assert_eq!(values, [None, None, Some(7.0), None, Some(9.0), None]);
        assert_eq!(column.values()[3], 0.0, "what stands behind a NULL is 0");
        assert_eq!(taken.column(ell).null_count(), 0);
        assert_eq!(taken.column(position("fwhm")).null_count(), 6);
    }
}
