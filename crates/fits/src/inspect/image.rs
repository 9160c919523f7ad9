//! Pixel statistics of an image in the report, read in bands: as many passes as the median needs.

use super::Json;
use super::statistics::{FloatKeys, Keys, MedianSearch, Statistics, Value, WholeKeys};
use crate::card;
use crate::error::FitsError;
use crate::file::FitsFile;
use crate::hdu::{Hdu, HduKind};
use crate::image::{Image, Rows, Scratch, ValueType};

/// Reports count, nan, inf, min, max, mean, dtype, shape_numpy, median, sum, first and last pixel.
pub(super) fn report(file: &FitsFile, hdu: &Hdu) -> Result<Json, FitsError> {
    let image = file.image(hdu.index)?;
    let scaling = *image.scaling();
    let whole = |lowest: i128, bits: u32| {
        let zero = scaling.bzero as i128;
        summary(&image, &WholeKeys { lowest, bits }, move |pixels, values| {
            wholes(pixels, zero, values)
        })
    };
    match image.value_type() {
        ValueType::F32 => {
            summary(&image, &FloatKeys, |pixels, values| pixels.append_f32(&scaling, values))
        }
        ValueType::F64 => {
            summary(&image, &FloatKeys, |pixels, values| pixels.append_f64(&scaling, values))
        }
        ValueType::I8 => whole(-128, 16),
        ValueType::U8 | ValueType::U16 => whole(0, 16),
        ValueType::I16 => whole(i16::MIN.into(), 16),
        ValueType::I32 => whole(i32::MIN.into(), 32),
        ValueType::U32 => whole(0, 32),
        ValueType::I64 => whole(i64::MIN.into(), 64),
        ValueType::U64 => whole(0, 64),
    }
}

/// Appends stored whole numbers with `zero` added.
fn wholes(pixels: Rows<'_>, zero: i128, values: &mut Vec<i128>) {
    match pixels {
        Rows::U8(pixels) => values.extend(pixels.iter().map(|&pixel| i128::from(pixel) + zero)),
        Rows::I16(pixels) => values.extend(pixels.iter().map(|&pixel| i128::from(pixel) + zero)),
        Rows::I32(pixels) => values.extend(pixels.iter().map(|&pixel| i128::from(pixel) + zero)),
        Rows::I64(pixels) => values.extend(pixels.iter().map(|&pixel| i128::from(pixel) + zero)),
        // The type of values is whole only when that of the pixels is.
        Rows::F32(_) | Rows::F64(_) => {}
    }
}

/// Computes the statistics of an image; `append` turns stored pixels into physical values.
fn summary<V: Value>(
    image: &Image<'_>,
    keys: &impl Keys<V>,
    append: impl Fn(Rows<'_>, &mut Vec<V>),
) -> Result<Json, FitsError> {
    let mut scratch = Scratch::default();
    let mut values = Vec::new();
    let mut statistics = Statistics::<V>::new();
    let mut search = MedianSearch::new(keys.bits());
    let mut ends: Option<(V, V)> = None;
    image.for_each_band(&mut scratch, |_, pixels| {
        values.clear();
        append(pixels, &mut values);
        if let (Some(&first), Some(&last)) = (values.first(), values.last()) {
            ends = Some((ends.map_or(first, |(first, _)| first), last));
        }
        for &value in &values {
            statistics.add(value);
            if value.is_finite() {
                search.add(keys.key(value));
            }
        }
    })?;
    let mut json = statistics.to_json();
    json.add("dtype", Json::from(dtype(image.value_type())));
    json.add(
        "shape_numpy",
        Json::List(image.axes().iter().rev().map(|&axis| Json::from(axis)).collect()),
    );
    if statistics.finite() > 0 {
        let (low, high) = loop {
            if let Some(found) = search.end_pass(statistics.finite()) {
                break found;
            }
            image.for_each_band(&mut scratch, |_, pixels| {
                values.clear();
                append(pixels, &mut values);
                values
                    .iter()
                    .filter(|value| value.is_finite())
                    .for_each(|&value| search.add(keys.key(value)));
            })?;
        };
        let median = (keys.value(low).to_f64() + keys.value(high).to_f64()) / 2.0;
        json.add("median", Json::Float(median));
        json.add("sum", Json::Float(statistics.sum()));
    }
    if let Some((first, last)) = ends {
        json.add("first_pixel", first.to_json());
        json.add("last_pixel", last.to_json());
    }
    Ok(json)
}

/// Returns numpy's name of the type.
fn dtype(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::I8 => "int8",
        ValueType::U8 => "uint8",
        ValueType::I16 => "int16",
        ValueType::U16 => "uint16",
        ValueType::I32 => "int32",
        ValueType::U32 => "uint32",
        ValueType::I64 => "int64",
        ValueType::U64 => "uint64",
        ValueType::F32 => "float32",
        ValueType::F64 => "float64",
    }
}

/// Reports the storage of a compressed image: the Z keywords, its table's columns, rows and heap.
pub(super) fn compression(file: &FitsFile, hdu: &Hdu) -> Option<Json> {
    if hdu.kind != HduKind::CompressedImage {
        return None;
    }
    let value = |keyword: &str| match hdu.header.value(keyword) {
        Some(card::Value::Text(text)) => Json::from(text),
        Some(card::Value::Integer(number)) => Json::Integer(i128::from(number)),
        Some(card::Value::Float(number)) => Json::Float(number),
        _ => Json::Null,
    };
    let axes = hdu.header.integer("ZNAXIS").ok().flatten().unwrap_or(0).clamp(0, 999);
    let tile = (1..=axes).map(|axis| match hdu.header.integer(&format!("ZTILE{axis}")) {
        Ok(Some(length)) => Json::Integer(i128::from(length)),
        _ if axis == 1 => value("ZNAXIS1"),
        _ => Json::Integer(1),
    });
    let mut json = Json::object([("ZCMPTYPE", value("ZCMPTYPE")), ("ZBITPIX", value("ZBITPIX"))]);
    json.add("ZTILE", Json::List(tile.collect()));
    for keyword in ["ZQUANTIZ", "ZDITHER0", "ZBLANK"] {
        json.add(keyword, value(keyword));
    }
    if let Ok(table) = file.table(hdu.index) {
        let names = table.columns().iter().map(|column| Json::Text(column.label())).collect();
        json.add("raw_columns", Json::List(names));
        json.add("raw_rows", Json::from(table.rows()));
        json.add("heap_bytes", Json::from(table.heap().bytes));
    }
    Some(json)
}
