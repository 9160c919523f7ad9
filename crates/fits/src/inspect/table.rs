//! Column statistics of a table in the report, read in batches of rows.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};

use super::Json;
use super::statistics::{Statistics, Value};
use crate::cells::Rows;
use crate::column::{AsciiKind, Column, ColumnKind, Element, Null};
use crate::error::{FitsError, FitsFault};
use crate::file::FitsFile;
use crate::hdu::Hdu;
use crate::heap::Descriptor;
use crate::table::Table;

/// Distinct texts are counted up to here; a column of more is reported without the count.
const DISTINCT_MAX: usize = 1 << 20;

/// Arrays may share their elements; reading more than this many times the heap is refused.
const HEAP_READS_MAX: u64 = 16;

/// Reports rows, row_bytes, heap_bytes, and for each column name, format, unit, statistics, first and last value.
pub(super) fn report(file: &FitsFile, hdu: &Hdu) -> Result<Json, FitsError> {
    let table = file.table(hdu.index)?;
    let mut summaries = table.columns().iter().map(Summary::new).collect::<Vec<_>>();
    let mut scratch = Vec::new();
    let mut arrays = Arrays::default();
    for batch in table.batches() {
        let rows = table.read_rows(batch, &mut scratch)?;
        for (column, summary) in table.columns().iter().zip(&mut summaries) {
            match summary {
                Summary::Arrays(lengths) => arrays.add(&table, column, &rows, lengths)?,
                _ => summary.add(column, &rows).map_err(|fault| table.error(fault))?,
            }
        }
    }
    let columns = table.columns().iter().zip(&summaries);
    let columns =
        columns.map(|(column, summary)| describe(column, summary, table.rows())).collect();
    Ok(Json::object([
        ("rows", Json::from(table.rows())),
        ("row_bytes", Json::from(table.row_bytes())),
        // PCOUNT: with the gap that THEAP may leave.
        ("heap_bytes", Json::from(hdu.data_bytes - table.rows() * table.row_bytes())),
        ("columns", Json::List(columns)),
    ]))
}

/// The statistics of a column, gathered while its rows pass.
enum Summary {
    Floats { statistics: Statistics<f64>, ends: Ends, nulls: u64 },
    Wholes { statistics: Statistics<i128>, ends: Ends, nulls: u64 },
    Logicals { count: u64, true_count: u64, ends: Ends, nulls: u64 },
    Texts { ends: Ends, distinct: HashSet<u64> },
    Complex,
    Arrays(ArraySummary),
}

/// First and last value of a column.
#[derive(Default)]
struct Ends(Option<(Json, Json)>);

impl Ends {
    fn add<T: Copy>(&mut self, values: &[T], json: impl Fn(T) -> Json) {
        if let (Some(&first), Some(&last)) = (values.first(), values.last()) {
            let first = self.0.take().map_or_else(|| json(first), |(first, _)| first);
            self.0 = Some((first, json(last)));
        }
    }
}

impl Summary {
    fn new(column: &Column) -> Self {
        let floats =
            || Self::Floats { statistics: Statistics::new(), ends: Ends::default(), nulls: 0 };
        match column.kind {
            ColumnKind::Arrays { .. } => Self::Arrays(ArraySummary::new()),
            ColumnKind::Cells(Element::Text) | ColumnKind::Ascii(AsciiKind::Text) => {
                Self::Texts { ends: Ends::default(), distinct: HashSet::new() }
            }
            ColumnKind::Cells(Element::Logical | Element::Bit) => {
                Self::Logicals { count: 0, true_count: 0, ends: Ends::default(), nulls: 0 }
            }
            ColumnKind::Cells(Element::ComplexFloat | Element::ComplexDouble) => Self::Complex,
            _ if column.integer_zero().is_some() => {
                Self::Wholes { statistics: Statistics::new(), ends: Ends::default(), nulls: 0 }
            }
            _ => floats(),
        }
    }

    fn add(&mut self, column: &Column, rows: &Rows<'_>) -> Result<(), FitsFault> {
        match self {
            Self::Floats { statistics, ends, nulls } => {
                let mut values = Vec::new();
                column.f64s(rows, &mut values)?;
                values.iter().for_each(|&value| statistics.add(value));
                ends.add(&values, Value::to_json);
                *nulls += column.null_count(rows)?;
            }
            Self::Wholes { statistics, ends, nulls } => {
                let mut stored = Vec::new();
                column.stored_i64s(rows, &mut stored)?;
                let zero = column.integer_zero().unwrap_or(0);
                let values: Vec<i128> =
                    stored.into_iter().map(|value| i128::from(value) + zero).collect();
                values.iter().for_each(|&value| statistics.add(value));
                ends.add(&values, Value::to_json);
                *nulls += column.null_count(rows)?;
            }
            Self::Logicals { count, true_count, ends, nulls } => {
                let mut values = Vec::new();
                column.bools(rows, &mut values)?;
                *count += values.len() as u64;
                *true_count += values.iter().filter(|&&value| value == Some(true)).count() as u64;
                *nulls += values.iter().filter(|value| value.is_none()).count() as u64;
                ends.add(&values, |value| Json::Logical(value == Some(true)));
            }
            Self::Texts { ends, distinct } => add_texts(column, rows, ends, distinct),
            Self::Complex | Self::Arrays(_) => {}
        }
        Ok(())
    }
}

/// Adds the texts of a column; a cell with TDIM holds several texts of the first axis' length.
fn add_texts(column: &Column, rows: &Rows<'_>, ends: &mut Ends, distinct: &mut HashSet<u64>) {
    let width = match column.shape.as_slice() {
        [width, _, ..] if *width > 0 => *width,
        _ => column.bytes.max(1),
    };
    for row in 0..rows.len() {
        let cell = rows.cell(row, column);
        let parts = cell.len().div_ceil(width).max(1);
        for part in 0..parts {
            let piece = &cell[(part * width).min(cell.len())..((part + 1) * width).min(cell.len())];
            let piece =
                &piece[..piece.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)];
            let is_end = (row == 0 && part == 0) || (row + 1 == rows.len() && part + 1 == parts);
            if is_end {
                ends.add(&[piece], latin_1);
            }
            if distinct.len() <= DISTINCT_MAX {
                let mut hasher = DefaultHasher::new();
                hasher.write(piece);
                distinct.insert(hasher.finish());
            }
        }
    }
}

/// Returns the bytes unchanged, including blanks and control characters; each is one letter.
fn latin_1(bytes: &[u8]) -> Json {
    Json::Text(bytes.iter().map(|&byte| byte as char).collect())
}

/// Statistics of arrays in the heap.
struct ArraySummary {
    lengths: Statistics<i128>,
    wholes: Statistics<i128>,
    floats: Statistics<f64>,
    true_count: u64,
    heap_bytes_read: u64,
}

impl ArraySummary {
    fn new() -> Self {
        Self {
            lengths: Statistics::new(),
            wholes: Statistics::new(),
            floats: Statistics::new(),
            true_count: 0,
            heap_bytes_read: 0,
        }
    }
}

/// Buffers that are reused from array to array.
#[derive(Default)]
struct Arrays {
    descriptors: Vec<Descriptor>,
    scratch: Vec<u8>,
    floats: Vec<f64>,
    wholes: Vec<i64>,
    logicals: Vec<Option<bool>>,
}

impl Arrays {
    fn add(
        &mut self,
        table: &Table<'_>,
        column: &Column,
        rows: &Rows<'_>,
        summary: &mut ArraySummary,
    ) -> Result<(), FitsError> {
        self.descriptors.clear();
        column.descriptors(rows, &mut self.descriptors).map_err(|fault| table.error(fault))?;
        for place in 0..self.descriptors.len() {
            let array = self.descriptors[place];
            let bytes =
                table.read_array(column, rows.first() + place as u64, array, &mut self.scratch)?;
            summary.lengths.add(i128::from(array.count));
            summary.heap_bytes_read += bytes.len() as u64;
            let allowed = HEAP_READS_MAX * table.heap().bytes;
            if summary.heap_bytes_read > allowed {
                let wanted = summary.heap_bytes_read;
                return Err(table.error(FitsFault::TooLarge {
                    what: "arrays that share the heap",
                    wanted,
                    allowed,
                }));
            }
            let element = column.element();
            let added = if element == Some(Element::Logical) {
                self.logicals.clear();
                column.array_bools(bytes, &mut self.logicals).map(|()| {
                    summary.true_count +=
                        self.logicals.iter().filter(|&&value| value == Some(true)).count() as u64;
                })
            } else if let Some(zero) = column.integer_zero() {
                self.wholes.clear();
                column.array_stored_i64s(bytes, &mut self.wholes).map(|()| {
                    self.wholes
                        .iter()
                        .for_each(|&value| summary.wholes.add(i128::from(value) + zero));
                })
            } else if element.is_some_and(|element| element.is_float() || element.is_integer()) {
                self.floats.clear();
                column.array_f64s(bytes, &mut self.floats).map(|()| {
                    self.floats.iter().for_each(|&value| summary.floats.add(value));
                })
            } else {
                Ok(())
            };
            added.map_err(|fault| table.error(fault))?;
        }
        Ok(())
    }
}

/// Returns the column as the report shows it.
fn describe(column: &Column, summary: &Summary, rows: u64) -> Json {
    let name = column.name.as_deref().map_or(Json::Null, Json::from);
    let mut json = Json::object([("name", name), ("format", Json::from(column.tform.as_str()))]);
    if let Some(unit) = &column.unit {
        json.add("unit", Json::from(unit.as_str()));
    }
    if let Some(tdim) = &column.tdim {
        json.add("dim", Json::from(tdim.as_str()));
    }
    if let Some(scale) = column.tscal {
        json.add("scale", Json::Float(scale));
    }
    if let Some(zero) = column.tzero {
        json.add("zero", Json::Float(zero));
    }
    match &column.tnull {
        Some(Null::Integer(null)) => json.add("null", Json::Integer(i128::from(*null))),
        Some(Null::Text(null)) if !null.is_empty() => json.add("null", Json::from(null.as_str())),
        _ => {}
    }
    if rows > 0 {
        describe_values(column, summary, &mut json);
    }
    json
}

fn describe_values(column: &Column, summary: &Summary, json: &mut Json) {
    let counted = |mut stats: Json, nulls: u64| {
        if nulls > 0 || column.tnull.is_some() {
            stats.add("tnull", Json::from(nulls));
        }
        stats
    };
    let ends = match summary {
        Summary::Floats { statistics, ends, nulls } => {
            json.add("stats", counted(statistics.to_json(), *nulls));
            ends
        }
        Summary::Wholes { statistics, ends, nulls } => {
            json.add("stats", counted(statistics.to_json(), *nulls));
            ends
        }
        Summary::Logicals { count, true_count, ends, nulls } => {
            let stats =
                Json::object([("count", Json::from(*count)), ("true", Json::from(*true_count))]);
            json.add("stats", counted(stats, *nulls));
            ends
        }
        Summary::Texts { ends, distinct } => {
            if distinct.len() <= DISTINCT_MAX {
                json.add("distinct", Json::from(distinct.len() as u64));
            }
            ends
        }
        Summary::Complex => {
            let single = column.element() == Some(Element::ComplexFloat);
            return json.add("dtype", Json::from(if single { ">c8" } else { ">c16" }));
        }
        Summary::Arrays(arrays) => return describe_arrays(column, arrays, json),
    };
    let is_text = matches!(summary, Summary::Texts { .. });
    let is_bits = column.element() == Some(Element::Bit);
    if !is_text && (column.repeat != 1 || !column.shape.is_empty() || is_bits) {
        let shape =
            if column.shape.is_empty() { vec![column.repeat] } else { column.shape.clone() };
        json.add(
            "cell_shape",
            Json::List(shape.iter().rev().map(|&axis| Json::from(axis as u64)).collect()),
        );
    } else if let Ends(Some((first, last))) = ends {
        json.add("first", first.clone());
        json.add("last", last.clone());
    }
}

fn describe_arrays(column: &Column, arrays: &ArraySummary, json: &mut Json) {
    let lengths = arrays.lengths.to_json();
    let length = |name: &str| lengths.get(name).cloned().unwrap_or(Json::Integer(0));
    let sum = Json::Integer(arrays.lengths.sum() as i128);
    json.add(
        "vla_lengths",
        Json::object([("min", length("min")), ("max", length("max")), ("sum", sum.clone())]),
    );
    let stats = match column.element() {
        Some(Element::Logical) => {
            Json::object([("count", sum), ("true", Json::from(arrays.true_count))])
        }
        _ if column.integer_zero().is_some() => arrays.wholes.to_json(),
        Some(element) if element.is_integer() || element.is_float() => arrays.floats.to_json(),
        _ => return,
    };
    json.add("stats", stats);
}
