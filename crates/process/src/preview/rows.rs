//! Rows of table `preview`.

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use model::tables::{self, Table};
use model::{ExtNum, MultiframeId};
use std::sync::Arc;

use super::{DetectorPreview, MosaicPreview, Recipe};

/// Extension number of a mosaic.
const MOSAIC: i16 = 0;

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    multiframe_id: MultiframeId,
    ext_num: i16,
    path: String,
    width: usize,
    height: usize,
    file_bytes: usize,
    transform: &'static str,
    north_up: bool,
    scale: f64,
    recipe: Recipe,
    stretch_low: Option<f32>,
    stretch_high: Option<f32>,
    sky_level: Option<f32>,
    sky_noise: Option<f32>,
    /// Physical value of 1 in the previous four fields.
    unit: f64,
    valid_pixels: u64,
}

impl Row {
    pub fn of_detector(
        multiframe_id: MultiframeId,
        ext_num: ExtNum,
        path: String,
        recipe: &Recipe,
        preview: &DetectorPreview,
    ) -> Self {
        Self {
            multiframe_id,
            ext_num: ext_num.get(),
            path,
            width: preview.width,
            height: preview.height,
            file_bytes: preview.jpeg.len(),
            transform: preview.transform.name(),
            north_up: preview.north_up,
            scale: preview.factor as f64,
            recipe: *recipe,
            stretch_low: preview.stretch.map(|s| s.black),
            stretch_high: preview.stretch.map(|s| s.white),
            sky_level: preview.sky.map(|s| s.level),
            sky_noise: preview.sky.map(|s| s.sigma),
            unit: preview.unit,
            valid_pixels: preview.valid_pixels,
        }
    }

    pub fn of_mosaic(
        multiframe_id: MultiframeId,
        path: String,
        recipe: &Recipe,
        preview: &MosaicPreview,
        detectors: &[DetectorPreview],
    ) -> Self {
        Self {
            multiframe_id,
            ext_num: MOSAIC,
            path,
            width: preview.width,
            height: preview.height,
            file_bytes: preview.jpeg.len(),
            transform: "mosaic",
            north_up: preview.north_up,
            scale: preview.scale,
            recipe: *recipe,
            // Each detector has its own stretch.
            stretch_low: None,
            stretch_high: None,
            sky_level: None,
            sky_noise: None,
            unit: 1.0,
            valid_pixels: detectors.iter().map(|d| d.valid_pixels).sum(),
        }
    }
}

/// Returns the rows as a batch with the schema of the table.
pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let table = tables::table("preview").expect("table preview is part of the program");
    let columns = table.columns.iter().map(|column| array(rows, &column.name)).collect();
    RecordBatch::try_new(Table::arrow_schema(table), columns)
        .unwrap_or_else(|fault| panic!("rows of preview are built after its definition: {fault}"))
}

fn array(rows: &[Row], column: &str) -> ArrayRef {
    let of_i16 = |value: fn(&Row) -> i16| -> ArrayRef {
        Arc::new(Int16Array::from_iter_values(rows.iter().map(value)))
    };
    let of_i32 = |value: fn(&Row) -> usize| -> ArrayRef {
        let values = rows.iter().map(|row| i32::try_from(value(row)).unwrap_or(i32::MAX));
        Arc::new(Int32Array::from_iter_values(values))
    };
    let of_i64 = |value: fn(&Row) -> u64| -> ArrayRef {
        let values = rows.iter().map(|row| i64::try_from(value(row)).unwrap_or(i64::MAX));
        Arc::new(Int64Array::from_iter_values(values))
    };
    let of_f64 = |value: fn(&Row) -> Option<f32>| -> ArrayRef {
        let physical = |row: &Row| value(row).map(|v| f64::from(v) * row.unit);
        let values = rows.iter().map(|row| physical(row).filter(|v| v.is_finite()));
        Arc::new(Float64Array::from_iter(values))
    };
    let of_text = |value: fn(&Row) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
    };
    match column {
        "multiframe_id" => {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.multiframe_id.get())))
        }
        "ext_num" => of_i16(|row| row.ext_num),
        "path" => of_text(|row| row.path.clone()),
        "width" => of_i32(|row| row.width),
        "height" => of_i32(|row| row.height),
        "file_bytes" => of_i64(|row| row.file_bytes as u64),
        "transform" => of_text(|row| row.transform.to_owned()),
        "north_up" => Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.north_up)))),
        "scale" => of_i32(|row| whole(row.scale)),
        "stretch" => of_text(|row| row.recipe.curve.name().to_owned()),
        "stretch_low" => of_f64(|row| row.stretch_low),
        "stretch_high" => of_f64(|row| row.stretch_high),
        "sky_level" => of_f64(|row| row.sky_level),
        "sky_noise" => of_f64(|row| row.sky_noise),
        "valid_pixels" => of_i64(|row| row.valid_pixels),
        "quality" => of_i16(|row| i16::from(row.recipe.quality)),
        "recipe" => of_text(|row| row.recipe.fingerprint()),
        other => panic!("preview.{other} is in the definition, but nothing sets it"),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturating on purpose"
)]
fn whole(scale: f64) -> usize {
    scale.round() as usize
}
