//! The makers of products: each turns the inputs of a task into staged files.

use crate::NodeFault;
use model::profile::SurveyProfile;
use model::tables::Table;
use model::task::{CountedFinding, DetectorRows, HduReport, KeptDetector, StagedFile, TaskFile};
use model::{Finding, ProgrammeId, Refusal, Sha256, UseCase};
use process::catalogue::{self, CatalogueTask, DetectionSink};
use process::{metadata, preview};
use stage::{StageError, StagedWriter};
use std::io;
use std::path::Path;

/// The output of a task in its directory, and its messages.
#[derive(Default)]
pub struct Output {
    /// Files written, in a fixed order.
    pub files: Vec<StagedFile>,
    /// The outcome of each input HDU.
    pub hdus: Vec<HduReport>,
    /// Position of each detector's detections.
    pub detectors: Vec<DetectorRows>,
    /// Detectors that were skipped, since the archive has all of their rows.
    pub kept: Vec<KeptDetector>,
    /// Rejected inputs.
    pub refusals: Vec<Refusal>,
    /// Findings.
    pub findings: Vec<Finding>,
    /// The inputs with findings that are reported once per task.
    pub counted: Vec<CountedFinding>,
    /// Bytes read from the library.
    pub input_bytes: u64,
}

/// A function that makes the product of a task.
pub type Make = fn(&TaskFile, &SurveyProfile) -> Result<Output, NodeFault>;

/// The function that makes each product.
#[derive(Clone, Debug)]
pub struct Makers(Vec<(UseCase, Make)>);

impl Default for Makers {
    fn default() -> Self {
        Self(vec![
            (UseCase::Preview, run_preview),
            (UseCase::Metadata, run_metadata),
            (UseCase::Catalogue, run_catalogue),
        ])
    }
}

impl Makers {
    /// Adds the function that makes a product.
    #[must_use]
    pub fn with(mut self, use_case: UseCase, make: Make) -> Self {
        self.0.push((use_case, make));
        self
    }

    /// Returns the function that makes a product.
    pub(crate) fn of(&self, use_case: UseCase) -> Result<Make, NodeFault> {
        let found = self.0.iter().find(|(made, _)| *made == use_case);
        found.map(|(_, make)| *make).ok_or(NodeFault::NoMaker { use_case })
    }
}

fn run_metadata(task: &TaskFile, profile: &SurveyProfile) -> Result<Output, NodeFault> {
    let products = metadata::run(task, profile)?;
    let mut output = Output {
        refusals: products.refusals,
        findings: products.findings,
        counted: products.counted,
        input_bytes: products.input_bytes,
        ..Output::default()
    };
    for (table, batches) in products.tables {
        output.files.push(stage_table(&task.output_dir, table, &batches)?);
    }
    Ok(output)
}

fn run_preview(task: &TaskFile, profile: &SurveyProfile) -> Result<Output, NodeFault> {
    let mut jpegs = Vec::new();
    let mut write = |name: &str, bytes: &[u8]| -> io::Result<()> {
        std::fs::write(task.output_dir.join(name), bytes)?;
        let (sha256, length) = files::sha256(bytes)?;
        jpegs.push(StagedFile {
            table: "jpeg".to_owned(),
            name: name.to_owned(),
            rows: 0,
            bytes: length,
            sha256: Sha256::new(sha256),
            schema_version: 1,
            programme_id: None,
        });
        Ok(())
    };
    let products = preview::run(task, profile, &mut write)?;
    let table = model::tables::table("preview").expect("the definitions include preview");
    let mut output = Output {
        refusals: products.refusals,
        findings: products.findings,
        input_bytes: products.input_bytes,
        ..Output::default()
    };
    output.files.push(stage_table(&task.output_dir, table, &products.batches)?);
    output.files.extend(jpegs);
    Ok(output)
}

fn stage_table(
    dir: &Path,
    table: &'static Table,
    batches: &[arrow_array::RecordBatch],
) -> Result<StagedFile, StageError> {
    let rows = batches.iter().map(|b| b.num_rows() as u64).sum();
    let name = stage::metadata::file_name(&table.name);
    let mut writer = StagedWriter::create(dir, table, &name, rows)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish(None)
}

fn run_catalogue(task: &TaskFile, profile: &SurveyProfile) -> Result<Output, NodeFault> {
    let mine = task.inputs.iter().map(|i| i.multiframe_id).collect();
    let names = profile.catalogue.name_keywords();
    let detectors = stage::metadata::read(&task.metadata, &mine, &names)?;
    let work = CatalogueTask { inputs: &task.inputs, detectors: &detectors, profile };
    let mut sink = Staging { dir: &task.output_dir, open: None, files: Vec::new() };
    let report = catalogue::extract(&work, &mut sink)?;
    Ok(Output {
        files: sink.files,
        hdus: report.hdus,
        detectors: report.detectors,
        kept: report.kept,
        refusals: report.refusals,
        findings: report.findings,
        counted: Vec::new(),
        input_bytes: task
            .inputs
            .iter()
            .filter_map(|i| i.catalogue.as_ref())
            .map(|c| c.file.bytes)
            .sum(),
    })
}

/// One staged file per programme.
struct Staging<'a> {
    dir: &'a Path,
    open: Option<(StagedWriter, ProgrammeId)>,
    files: Vec<StagedFile>,
}

impl DetectionSink for Staging<'_> {
    type Error = StageError;

    fn begin(&mut self, programme: ProgrammeId, expected_rows: u64) -> Result<(), StageError> {
        let table = model::tables::table("detection").expect("the definitions include detection");
        let name = catalogue::staged_file_name(programme);
        self.open = Some((StagedWriter::create(self.dir, table, &name, expected_rows)?, programme));
        Ok(())
    }

    fn rows(&mut self, rows: &arrow_array::RecordBatch) -> Result<(), StageError> {
        match &mut self.open {
            Some((writer, _)) => writer.write(rows),
            None => unreachable!("rows are written between begin and end"),
        }
    }

    fn end(&mut self) -> Result<(), StageError> {
        if let Some((writer, programme)) = self.open.take() {
            self.files.push(writer.finish(Some(programme))?);
        }
        Ok(())
    }
}
