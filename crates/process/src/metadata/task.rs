//! A whole metadata task: opens the files, reads them on several threads, keeps the order.

use fits::{FitsFile, Limits};
use model::profile::SurveyProfile;
use model::task::{FileRef, TaskFile, TaskInput};

use super::{Extractor, Kind, Products, Rows, notes};
use crate::task::{Opened, TaskFault, in_order, limits};

/// Number of frames in a thread's block. Batches are cut at blocks too, whatever the number of threads.
const BLOCK: usize = 64;

/// Extracts the metadata of all inputs, on as many threads as the task allows. The result does not depend on the number of
/// threads.
///
/// # Errors
/// Fails when the machine failed. Any fault of a file is a refusal among the products.
pub fn run(task: &TaskFile, profile: &SurveyProfile) -> Result<Products, TaskFault> {
    let extractor = Extractor::new(profile, &task.programmes, &task.unit.delivery);
    let limits = limits(profile);
    let blocks: Vec<(usize, &[TaskInput])> = task.inputs.chunks(BLOCK).enumerate().collect();
    let mut done = Vec::with_capacity(blocks.len());
    let work = |(number, inputs): &(usize, &[TaskInput])| {
        block(&extractor, number * BLOCK, inputs, &limits)
    };
    in_order(&blocks, task.limits.threads, work, |products| {
        done.push(products);
        Ok(())
    })?;
    Ok(joined(done))
}

fn joined(blocks: Vec<Products>) -> Products {
    let tables = Kind::ALL.map(|kind| (kind.sheet().table, Vec::new()));
    let mut all = Products {
        tables: tables.into(),
        refusals: Vec::new(),
        findings: Vec::new(),
        counted: Vec::new(),
        input_bytes: 0,
    };
    for block in blocks {
        for ((_, whole), (_, part)) in all.tables.iter_mut().zip(block.tables) {
            whole.extend(part);
        }
        all.refusals.extend(block.refusals);
        all.findings.extend(block.findings);
        all.counted.extend(block.counted);
        all.input_bytes += block.input_bytes;
    }
    all.findings = notes::counted(all.findings);
    all.counted = notes::joined_counts(all.counted);
    all
}

fn block(
    extractor: &Extractor<'_>,
    first: usize,
    inputs: &[TaskInput],
    limits: &Limits,
) -> Result<Products, TaskFault> {
    let mut rows = Rows::default();
    let mut input_bytes = 0;
    for (number, input) in (first..).zip(inputs) {
        rows.ordinal = u32::try_from(number).unwrap_or(u32::MAX);
        let Some(image) = open(&input.image, limits, &mut rows)? else { continue };
        input_bytes += input.image.bytes;
        if input.has_catalogue_in_image() {
            extractor.extract(input, &image, Some(&image), &mut rows);
            continue;
        }
        let catalogue = match &input.catalogue {
            Some(catalogue) => {
                input_bytes += catalogue.file.bytes;
                open(&catalogue.file, limits, &mut rows)?
            }
            None => None,
        };
        extractor.extract(input, &image, catalogue.as_ref(), &mut rows);
    }
    let mut products = rows.finish();
    products.input_bytes = input_bytes;
    Ok(products)
}

/// Opens a file of the library; `None` when it is refused.
fn open(file: &FileRef, limits: &Limits, rows: &mut Rows) -> Result<Option<FitsFile>, TaskFault> {
    match crate::task::open(file, limits)? {
        Opened::Usable(fits) => Ok(Some(fits)),
        Opened::Refused(refusal) => {
            rows.add_refusal(refusal);
            Ok(None)
        }
    }
}
