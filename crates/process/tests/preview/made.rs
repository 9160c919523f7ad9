//! Runs preview tasks on files that are given as bytes.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use model::profile::{SurveyProfile, shipped};
use model::task::{FORMAT_VERSION, FileRef, TaskFile, TaskInput, TaskLimits};
use model::{AttemptNumber, MultiframeId, RoundNumber, Sha256, TaskNumber, UnitKey, UseCase};
use process::preview::{self, Products};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A survey's profile with other settings of previews, as its file would have them.
pub fn profile(preview: &str) -> SurveyProfile {
    let text = shipped().iter().find(|(name, _)| *name == "wfcam").expect("a shipped profile").1;
    let before = text.split("\n[preview]").next().expect("a text has a first part");
    assert_eq!(before.len(), text.len(), "the profile has settings of previews now: replace them");
    SurveyProfile::parse(&format!("{text}\n[preview]\n{preview}\n")).expect("a sound profile")
}

/// Files of a delivery.
pub struct Inputs {
    directory: TempDir,
    pub inputs: Vec<TaskInput>,
}

/// What a task left.
pub struct Outcome {
    pub products: Products,
    /// In the order in which they were made.
    pub names: Vec<String>,
    pub jpegs: BTreeMap<String, Vec<u8>>,
}

/// One row of table `preview`.
pub type Row = BTreeMap<String, String>;

impl Inputs {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), inputs: Vec::new() }
    }

    /// A single file.
    pub fn of(bytes: &[u8]) -> Self {
        Self::new().with("w20071011_00001_st.fit", bytes)
    }

    /// One more file; the numbers of the multiframes count from 1.
    pub fn with(mut self, name: &str, bytes: &[u8]) -> Self {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        self.inputs.push(input(self.inputs.len() as i64 + 1, name, path));
        self
    }

    pub fn run(&self, preview: &str) -> Outcome {
        run(&self.inputs, &profile(preview), 2)
    }
}

pub fn input(multiframe_id: i64, name: &str, path: PathBuf) -> TaskInput {
    let bytes = std::fs::metadata(&path).unwrap().len();
    let sha256 = Sha256::new([0; 32]);
    let name = name.to_owned();
    let image = FileRef { path, name, bytes, sha256, refused_hdus: Vec::new() };
    TaskInput { multiframe_id: MultiframeId::new(multiframe_id).unwrap(), image, catalogue: None }
}

pub fn task(inputs: &[TaskInput], threads: u32) -> TaskFile {
    TaskFile {
        version: FORMAT_VERSION,
        unit: UnitKey {
            delivery: "20071011_v1".parse().unwrap(),
            use_case: UseCase::Preview,
            round: RoundNumber::FIRST,
        },
        task: TaskNumber::FIRST,
        attempt: AttemptNumber::FIRST,
        inputs: inputs.to_vec(),
        survey: "wfcam".parse().unwrap(),
        profile: String::new(),
        programmes: Vec::new(),
        metadata: Vec::new(),
        limits: TaskLimits { threads, memory_bytes: 1 << 30 },
        output_dir: "unused".into(),
        umask: None,
    }
}

pub fn run(inputs: &[TaskInput], profile: &SurveyProfile, threads: u32) -> Outcome {
    let (mut names, mut jpegs) = (Vec::new(), BTreeMap::new());
    let products = preview::run(&task(inputs, threads), profile, &mut |name, bytes| {
        names.push(name.to_owned());
        let before = jpegs.insert(name.to_owned(), bytes.to_vec());
        assert!(before.is_none(), "{name} is written twice");
        Ok(())
    })
    .unwrap();
    Outcome { products, names, jpegs }
}

impl Outcome {
    /// The rows as text, NULL as `-`, in their order.
    pub fn rows(&self) -> Vec<Row> {
        self.products.batches.iter().flat_map(rows_of).collect()
    }

    /// The row of an extension of the only file.
    pub fn row(&self, ext_num: usize) -> Row {
        let found = |row: &Row| row["ext_num"] == ext_num.to_string();
        self.rows().into_iter().find(found).unwrap_or_else(|| panic!("no row of {ext_num}"))
    }

    /// Codes of refusals, with file and HDU.
    pub fn refused(&self) -> Vec<String> {
        let told = |hdu: Option<u16>| hdu.map_or_else(|| "-".to_owned(), |hdu| hdu.to_string());
        let refusals = self.products.refusals.iter();
        refusals.map(|r| format!("{} {} {}", r.code, r.file, told(r.hdu))).collect()
    }

    /// Codes of findings, with HDU.
    pub fn found(&self) -> Vec<String> {
        let findings = self.products.findings.iter();
        findings.map(|f| format!("{} {}", f.code, f.hdu.unwrap())).collect()
    }

    /// Writes the JPEGs into the directory that `ALMAGEST_KEEP_PREVIEWS` names.
    pub fn keep(&self, subject: &str) {
        let Some(directory) = std::env::var_os("ALMAGEST_KEEP_PREVIEWS") else { return };
        let directory = Path::new(&directory).join(subject);
        std::fs::create_dir_all(&directory).unwrap();
        for (name, bytes) in &self.jpegs {
            std::fs::write(directory.join(name), bytes).unwrap();
        }
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let schema = batch.schema();
    let row = |i| {
        let cells = schema.fields().iter().zip(batch.columns());
        cells.map(|(field, column)| (field.name().clone(), text(column, i))).collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

fn text(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "-".to_owned();
    }
    match column.data_type() {
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        other => panic!("{other} is not a type of table preview"),
    }
}
