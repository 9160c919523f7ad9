//! Reading products back: cells by row and column name.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use process::metadata::Products;

/// A value of a staged row.
#[derive(Clone, Debug, PartialEq)]
pub enum Got {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<&str> for Got {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Got {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Got {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Got {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

/// A cell of a table whose rows may lie in several batches.
pub fn cell(products: &Products, table: &str, row: usize, column: &str) -> Got {
    let mut row = row;
    for batch in products.batches(table) {
        if row < batch.num_rows() {
            return of_batch(batch, row, column);
        }
        row -= batch.num_rows();
    }
    panic!("{table} has no such row");
}

fn of_batch(batch: &RecordBatch, row: usize, column: &str) -> Got {
    let array = batch.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    if array.is_null(row) {
        return Got::Null;
    }
    match array.data_type() {
        DataType::Boolean => Got::Bool(array.as_boolean().value(row)),
        DataType::Int16 => Got::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Got::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Got::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Got::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Got::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Got::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        other => panic!("{column}: {other}"),
    }
}

/// Rows of a table as the texts of some columns, for comparing with a list.
pub fn listed(products: &Products, table: &str, columns: &[&str]) -> Vec<String> {
    let show = |got: Got| match got {
        Got::Null => "-".to_owned(),
        Got::Bool(truth) => truth.to_string(),
        Got::Int(number) => number.to_string(),
        Got::Float(number) => number.to_string(),
        Got::Text(text) => text,
        Got::Bytes(bytes) => format!("{} bytes", bytes.len()),
    };
    (0..products.rows(table))
        .map(|row| {
            let cells = columns.iter().map(|c| show(cell(products, table, row, c)));
            cells.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

/// Refusals as `code file hdu parked`.
pub fn refused(products: &Products) -> Vec<String> {
    let show = |r: &model::Refusal| {
        let hdu = r.hdu.map_or("-".to_owned(), |h| h.to_string());
        format!("{} {} {hdu}{}", r.code, r.file, if r.parked { " parked" } else { "" })
    };
    products.refusals.iter().map(show).collect()
}

/// Findings as `code subject count`, without those about absent catalogues: most frames of these tests have none.
pub fn found(products: &Products) -> Vec<String> {
    let mut all = all_found(products);
    all.retain(|finding| !finding.starts_with("catalogue_absent"));
    all
}

/// All findings as `code subject count`.
pub fn all_found(products: &Products) -> Vec<String> {
    let show = |f: &model::Finding| {
        format!("{} {} {}", f.code, f.subject.as_deref().unwrap_or("-"), f.count)
    };
    products.findings.iter().map(show).collect()
}
