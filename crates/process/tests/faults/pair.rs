//! An image and its catalogue from files to rows of `detection`, by way of staged metadata as nodes leave them.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int16Type};
use fits::{FitsFile, Limits};
use model::profile::{Programme, SurveyProfile};
use model::task::{CatalogueRef, FileRef, TaskInput};
use model::{MultiframeId, ProgrammeId, Sha256};
use process::catalogue::{CatalogueReport, CatalogueTask, DetectionSink, extract};
use process::metadata::{Extractor, Products, Rows};
use stage::StagedWriter;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

/// The outcome of the two files.
pub struct Outcome {
    pub metadata: Products,
    pub report: CatalogueReport,
    batches: Vec<RecordBatch>,
}

impl DetectionSink for Outcome {
    type Error = Infallible;
    fn begin(&mut self, _: ProgrammeId, _: u64) -> Result<(), Infallible> {
        Ok(())
    }
    fn rows(&mut self, rows: &RecordBatch) -> Result<(), Infallible> {
        self.batches.push(rows.clone());
        Ok(())
    }
    fn end(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Outcome {
    /// Counts the rows that each value of a single-precision column has on each detector, as text with three digits.
    pub fn counts(&self, column: &str) -> BTreeMap<(i16, String), usize> {
        let mut counts = BTreeMap::new();
        for batch in &self.batches {
            let ext_num = batch.column_by_name("ext_num").unwrap().as_primitive::<Int16Type>();
            let values = batch.column_by_name(column).unwrap().as_primitive::<Float32Type>();
            for row in 0..batch.num_rows() {
                let key = (ext_num.value(row), format!("{:.3}", values.value(row)));
                *counts.entry(key).or_default() += 1;
            }
        }
        counts
    }
}

/// Rows of an image and its catalogue, each a file of these bytes.
pub fn run(profile: &SurveyProfile, image: &[u8], catalogue: &[u8]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        FileRef {
            path,
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            sha256: Sha256::new([0; 32]),
            refused_hdus: Vec::new(),
        }
    };
    let catalogue =
        CatalogueRef { file: file("a_st_cat.fits", catalogue), version: 1, done: Vec::new() };
    let image = file("a_st.fits", image);
    let input = TaskInput {
        multiframe_id: MultiframeId::new(1).unwrap(),
        image,
        catalogue: Some(catalogue),
    };
    let metadata = metadata(profile, &input);
    for (table, batches) in &metadata.tables {
        stage_table(dir.path(), table, batches);
    }
    let wanted = [MultiframeId::new(1).unwrap()].into();
    let names = profile.catalogue.name_keywords();
    let detectors = stage::metadata::read(&[dir.path().to_owned()], &wanted, &names).unwrap();
    let task = CatalogueTask { inputs: &[input], detectors: &detectors, profile };
    let report = CatalogueReport::default();
    let mut outcome = Outcome { metadata, report, batches: Vec::new() };
    outcome.report = extract(&task, &mut outcome).unwrap();
    outcome
}

fn metadata(profile: &SurveyProfile, input: &TaskInput) -> Products {
    let programmes: Vec<_> = profile.programmes.iter().map(Programme::to_ref).collect();
    let delivery = "20110107_v1".parse().unwrap();
    let extractor = Extractor::new(profile, &programmes, &delivery);
    let open = |file: &FileRef| FitsFile::open(&file.path, &Limits::default()).unwrap();
    let (image, catalogue) = (open(&input.image), input.catalogue.as_ref().map(|c| open(&c.file)));
    let mut rows = Rows::default();
    extractor.extract(input, &image, catalogue.as_ref(), &mut rows);
    rows.finish()
}

fn stage_table(dir: &Path, table: &'static model::tables::Table, batches: &[RecordBatch]) {
    let rows = batches.iter().map(|b| b.num_rows() as u64).sum();
    let name = stage::metadata::file_name(&table.name);
    let mut writer = StagedWriter::create(dir, table, &name, rows).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish(None).unwrap();
}
