//! Catalogues built in code, and one call that makes detections of them.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use fits::write::{Checks, Column, HeaderBuilder, Values, bin_table, primary};
use model::detector::{CardValue, Detector, Photometry};
use model::profile::{SurveyProfile, shipped};
use model::task::{CatalogueRef, FileRef, TaskInput};
use model::{ExtNum, MultiframeId, ProgrammeId, Sha256};
use process::catalogue::{CatalogueReport, CatalogueTask, DetectionSink, extract};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

/// A shipped profile, with a few lines changed.
pub fn profile(name: &str, changes: &[(&str, &str)]) -> SurveyProfile {
    let (_, text) = shipped().iter().find(|(n, _)| *n == name).unwrap();
    let mut text = (*text).to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{name} has no {from:?}");
        text = text.replacen(from, to, 1);
    }
    SurveyProfile::parse(&text).unwrap()
}

/// A column as it is written.
#[derive(Clone, Debug)]
pub enum Cells {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I32(Vec<i32>),
    Text(Vec<&'static str>),
}

/// A table under construction: names, units, values.
#[derive(Clone, Debug, Default)]
pub struct MadeTable {
    /// Cards beside those of the columns.
    pub cards: Vec<String>,
    pub columns: Vec<(String, &'static str, Cells)>,
}

impl MadeTable {
    /// Adds or replaces a column.
    pub fn set(&mut self, name: &str, unit: &'static str, cells: Cells) -> &mut Self {
        match self.columns.iter_mut().find(|(n, ..)| n == name) {
            Some(column) => *column = (name.to_owned(), unit, cells),
            None => self.columns.push((name.to_owned(), unit, cells)),
        }
        self
    }

    /// Replaces one value of a single-precision column.
    pub fn poke(&mut self, name: &str, row: usize, value: f32) -> &mut Self {
        match self.columns.iter_mut().find(|(n, ..)| n == name) {
            Some((_, _, Cells::F32(values))) => values[row] = value,
            other => panic!("{name}: {other:?}"),
        }
        self
    }

    /// The table without a column.
    pub fn without(&mut self, name: &str) -> &mut Self {
        self.columns.retain(|(n, ..)| n != name);
        self
    }

    fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, _, cells)| match cells {
            Cells::F32(v) => v.len(),
            Cells::F64(v) => v.len(),
            Cells::I32(v) => v.len(),
            Cells::Text(v) => v.len(),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let columns: Vec<Column<'_>> = self
            .columns
            .iter()
            .map(|(name, unit, cells)| Column {
                name,
                unit,
                values: match cells {
                    Cells::F32(v) => Values::F32(v),
                    Cells::F64(v) => Values::F64(v),
                    Cells::I32(v) => Values::I32(v),
                    Cells::Text(v) => Values::Text(8, v),
                },
            })
            .collect();
        let mut header = HeaderBuilder::new();
        for card in &self.cards {
            header.card(format!("{card:<80}").as_bytes());
        }
        bin_table(out, self.rows(), &columns, &header, Checks::Written).unwrap();
    }
}

/// A small catalogue in the layout of WFCAM, positions through the WCS of [`detector`].
pub fn wfcam(rows: usize) -> MadeTable {
    let n = |f: fn(f32) -> f32| Cells::F32((0..rows).map(|row| f(row as f32)).collect());
    let wcs = wcs();
    let sky: Vec<_> = (0..rows)
        .map(|row| wcs.pixel_to_sky(f64::from(x_of(row as f32)), f64::from(y_of(row as f32))))
        .map(|p| p.unwrap())
        .collect();
    let mut table = MadeTable::default();
    table.set("Sequence_number", "Number", n(|row| row + 1.0));
    table.set("Isophotal_flux", "ADU", n(|row| 900.0 + row));
    table.set("X_coordinate", "Pixels", n(x_of)).set("X_coordinate_err", "Pixels", n(|_| 0.1));
    table.set("Y_coordinate", "Pixels", n(y_of)).set("Y_coordinate_err", "Pixels", n(|_| 0.2));
    for level in 1..=8 {
        table.set(&format!("Areal_{level}_profile"), "Pixels", n(|row| 40.0 + row % 7.0));
    }
    for aperture in 1..=13 {
        table.set(&format!("Aper_flux_{aperture}"), "ADU", n(|row| 1000.0 + row));
        table.set(&format!("Aper_flux_{aperture}_err"), "ADU", n(|row| 10.0 + row * 1e-3));
    }
    table.set("Hall_radius", "Pixels", n(|_| 2.5)).set("Hall_flux", "ADU", n(|_| 500.0));
    table.set("Error_bit_flag", "Number", n(|_| 0.0));
    table.set("Sky_level", "ADU", n(|_| 1000.0)).set("Parent_or_child", "Flag", n(|_| 0.0));
    let radians = |pick: fn(&sky::SkyPosition) -> f64| {
        Cells::F32(sky.iter().map(|p| pick(p).to_radians() as f32).collect())
    };
    table.set("RA", "Radians", radians(|p| p.ra_deg));
    table.set("DEC", "Radians", radians(|p| p.dec_deg));
    table.set("Classification", "Flag", n(|_| -1.0)).set("Statistic", "N-sigma", n(|_| 0.5));
    table.set("PSF_flux", "ADU", n(|_| 0.0)).set("1D_Sersic_index", "", n(|_| 0.0));
    table
}

fn x_of(row: f32) -> f32 {
    10.0 + (row * 37.0) % 2000.0
}

fn y_of(row: f32) -> f32 {
    20.0 + (row * 53.0) % 2000.0
}

const CARDS: [(&str, f64); 10] = [
    ("CRPIX1", 2953.8),
    ("CRPIX2", -905.4),
    ("CRVAL1", 66.0),
    ("CRVAL2", 25.0),
    ("CD1_1", -1.114e-4),
    ("CD1_2", 1.3e-7),
    ("CD2_1", 1.3e-7),
    ("CD2_2", 1.114e-4),
    ("PV2_1", 1.0),
    ("PV2_3", -50.0),
];

struct ZpnCards;

impl sky::Keywords for ZpnCards {
    fn text(&self, keyword: &str) -> Option<String> {
        match keyword {
            "CTYPE1" => Some("RA---ZPN".to_owned()),
            "CTYPE2" => Some("DEC--ZPN".to_owned()),
            _ => None,
        }
    }
    fn number(&self, keyword: &str) -> Option<f64> {
        CARDS.iter().find(|(k, _)| *k == keyword).map(|(_, v)| *v)
    }
}

/// The coordinate system of [`detector`].
pub fn wcs() -> sky::Wcs {
    sky::Wcs::from_image(&ZpnCards).unwrap()
}

/// A detector whose metadata are complete.
pub fn detector(multiframe_id: i64, ext_num: i16) -> Detector {
    let mut wcs: BTreeMap<String, CardValue> =
        CARDS.iter().map(|(k, v)| ((*k).to_owned(), CardValue::Number(*v))).collect();
    wcs.insert("CTYPE1".to_owned(), CardValue::Text("RA---ZPN".to_owned()));
    wcs.insert("CTYPE2".to_owned(), CardValue::Text("DEC--ZPN".to_owned()));
    Detector {
        multiframe_id: MultiframeId::new(multiframe_id).unwrap(),
        ext_num: ExtNum::new(ext_num).unwrap(),
        catalogue_hdu: None,
        names: BTreeMap::new(),
        catalogue_rows: None,
        programme_id: ProgrammeId::new(101),
        filter_id: Some(5),
        mjd: Some(54_384.55),
        size_px: Some([2048, 2048]),
        photometry: Photometry {
            zero_point: Some(22.5),
            extinction: Some(0.05),
            exposure_s: Some(10.0),
            airmass_start: Some(1.1),
            airmass_end: Some(1.2),
            aperture_corrections: [0.6, 0.3, 0.12, 0.06, 0.03, 0.015, 0.007].map(Some),
            percentage_correction: Some(0.002),
            ..Photometry::default()
        },
        wcs,
    }
}

/// The input for a catalogue file that is there.
pub fn input(multiframe_id: i64, image: &str, path: &Path, name: &str) -> TaskInput {
    let file = |name: &str, path: PathBuf, bytes| FileRef {
        path,
        name: name.to_owned(),
        bytes,
        sha256: Sha256::new([0; 32]),
        refused_hdus: Vec::new(),
    };
    let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
    TaskInput {
        multiframe_id: MultiframeId::new(multiframe_id).unwrap(),
        image: file(image, PathBuf::new(), 0),
        catalogue: Some(CatalogueRef {
            file: file(name, path.to_owned(), bytes),
            version: 1,
            done: Vec::new(),
        }),
    }
}

/// What became of a task.
pub struct Outcome {
    pub report: CatalogueReport,
    /// Rows by programme.
    pub rows: BTreeMap<i32, Vec<RecordBatch>>,
}

/// Makes detections of inputs.
pub fn run(inputs: &[TaskInput], detectors: Vec<Detector>, profile: &SurveyProfile) -> Outcome {
    let detectors = detectors.into_iter().map(|d| ((d.multiframe_id, d.ext_num), d)).collect();
    let task = CatalogueTask { inputs, detectors: &detectors, profile };
    let mut sink = Sink::default();
    let report = extract(&task, &mut sink).unwrap();
    assert!(sink.open.is_none(), "every programme that begins ends");
    for hdu in &report.hdus {
        assert_eq!(hdu.rows_read, hdu.rows_written + hdu.rows_refused, "{hdu:?}");
        let refused: u64 = report
            .refusals
            .iter()
            .filter(|r| r.file == hdu.file && r.hdu == Some(hdu.hdu))
            .map(|r| r.rows)
            .sum();
        assert_eq!(refused, hdu.rows_refused, "refusals of {hdu:?}");
    }
    let outcome = Outcome { report, rows: sink.done };
    let written: u64 = outcome.report.hdus.iter().map(|h| h.rows_written).sum();
    assert_eq!(written, outcome.report.rows.values().sum::<u64>());
    let placed: u64 = outcome.report.detectors.iter().map(|d| d.rows).sum();
    assert_eq!(written, placed);
    for (programme, batches) in &outcome.rows {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(outcome.report.rows[&ProgrammeId::new(*programme).unwrap()], rows as u64);
        let ids: Vec<i64> = integers(batches, "obj_id").into_iter().flatten().collect();
        assert!(ids.iter().enumerate().all(|(n, id)| *id == -(n as i64) - 1), "{ids:?}");
    }
    outcome
}

/// Makes detections of one file of tables, each the catalogue of a detector from extension 2 on.
pub fn run_tables(tables: &[MadeTable], profile: &SurveyProfile) -> Outcome {
    let detectors = (2..).take(tables.len()).map(|ext| detector(7, ext)).collect();
    run_with(tables, detectors, profile)
}

/// The same with other detectors.
pub fn run_with(
    tables: &[MadeTable],
    detectors: Vec<Detector>,
    profile: &SurveyProfile,
) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w20071011_00007_st_cat.fits");
    std::fs::write(&path, file(tables)).unwrap();
    let input = input(7, "w20071011_00007_st.fit", &path, "w20071011_00007_st_cat.fits");
    run(&[input], detectors, profile)
}

/// A file of tables.
pub fn file(tables: &[MadeTable]) -> Vec<u8> {
    let mut bytes = Vec::new();
    primary(&mut bytes, &HeaderBuilder::new(), Checks::Written).unwrap();
    tables.iter().for_each(|table| table.write(&mut bytes));
    bytes
}

#[derive(Default)]
struct Sink {
    open: Option<i32>,
    done: BTreeMap<i32, Vec<RecordBatch>>,
}

impl DetectionSink for Sink {
    type Error = Infallible;
    fn begin(&mut self, programme: ProgrammeId, _: u64) -> Result<(), Infallible> {
        assert!(self.open.replace(programme.get()).is_none(), "one programme after the other");
        assert!(self.done.insert(programme.get(), Vec::new()).is_none(), "each of them once");
        Ok(())
    }
    fn rows(&mut self, rows: &RecordBatch) -> Result<(), Infallible> {
        let schema = model::tables::table("detection").unwrap().arrow_schema();
        assert_eq!(rows.schema(), schema);
        self.done.get_mut(&self.open.unwrap()).unwrap().push(rows.clone());
        Ok(())
    }
    fn end(&mut self) -> Result<(), Infallible> {
        self.open.take().unwrap();
        Ok(())
    }
}

impl Outcome {
    /// Refusals as (HDU, code, rows, parked).
    pub fn refusals(&self) -> Vec<(Option<u16>, &str, u64, bool)> {
        self.report.refusals.iter().map(|r| (r.hdu, r.code.as_str(), r.rows, r.parked)).collect()
    }

    /// Findings as (code, count).
    pub fn findings(&self) -> Vec<(&str, u64)> {
        self.report.findings.iter().map(|f| (f.code.as_str(), f.count)).collect()
    }

    /// A column of the only programme, NULL as `None`; measures as the doubles that they are.
    pub fn numbers(&self, column: &str) -> Vec<Option<f64>> {
        assert!(self.rows.len() <= 1);
        self.rows.values().flat_map(|batches| numbers(batches, column)).collect()
    }

    /// An integer column of the only programme.
    pub fn integers(&self, column: &str) -> Vec<Option<i64>> {
        assert!(self.rows.len() <= 1);
        self.rows.values().flat_map(|batches| integers(batches, column)).collect()
    }
}

fn numbers(batches: &[RecordBatch], name: &str) -> Vec<Option<f64>> {
    let mut values = Vec::new();
    for batch in batches {
        let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
        match column.data_type() {
            DataType::Float32 => {
                values.extend(column.as_primitive::<Float32Type>().iter().map(|v| v.map(f64::from)))
            }
            DataType::Float64 => values.extend(column.as_primitive::<Float64Type>().iter()),
            other => panic!("{name} is {other}"),
        }
        assert!(values.iter().flatten().all(|v: &f64| !v.is_nan()), "{name} holds NaN");
    }
    values
}

fn integers(batches: &[RecordBatch], name: &str) -> Vec<Option<i64>> {
    let mut values: Vec<Option<i64>> = Vec::new();
    for batch in batches {
        let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
        match column.data_type() {
            DataType::Int16 => {
                values.extend(column.as_primitive::<Int16Type>().iter().map(|v| v.map(i64::from)))
            }
            DataType::Int32 => {
                values.extend(column.as_primitive::<Int32Type>().iter().map(|v| v.map(i64::from)))
            }
            DataType::Int64 => values.extend(column.as_primitive::<Int64Type>().iter()),
            other => panic!("{name} is {other}"),
        }
        let _ = column.null_count();
    }
    values
}
