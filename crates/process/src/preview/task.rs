//! A whole preview task: opens the files, renders them on several threads, passes JPEGs and rows on in order.

use arrow_array::RecordBatch;
use fits::image::Scratch;
use fits::{FitsFile, HduIndex, Limits};
use model::preview_name as name;
use model::profile::{FrameKind, SurveyProfile};
use model::task::{TaskFile, TaskInput};
use model::{DeliveryName, ExtNum, Finding, Refusal, RefusalCode, one_line};
use sky::{Reading, Wcs};
use std::io;

use super::rows::{self, Row};
use super::stretch::Tone;
use super::{DetectorPreview, PreviewFault, Recipe, render};
use crate::header_view::HeaderView;
use crate::task::{Opened, TaskFault, in_order, limits, open, refusal};

/// Number of files whose rows make one batch, whatever the number of threads.
const BLOCK: usize = 64;

/// The products of a preview task in addition to the JPEGs.
#[derive(Debug, Default)]
pub struct Products {
    /// Rows of table `preview` in the order of the files and extensions, the mosaic of a file before its
    /// detectors; one batch per block of files, none of them empty. Their schema is [`model::tables::Table::arrow_schema`].
    pub batches: Vec<RecordBatch>,
    /// Rejected inputs.
    pub refusals: Vec<Refusal>,
    /// Findings.
    pub findings: Vec<Finding>,
    /// Bytes of the library that were opened (lengths of the files).
    pub input_bytes: u64,
}

/// Makes the previews of all inputs, on as many threads as the task allows, and passes each JPEG with its name to `write`, in
/// the order of the rows. The result does not depend on the number of threads.
///
/// # Errors
/// Fails when the machine failed, or `write` did. Any fault of a file is a refusal among the products.
pub fn run(
    task: &TaskFile,
    profile: &SurveyProfile,
    write: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
) -> Result<Products, TaskFault> {
    let maker = Maker {
        recipe: Recipe::of(&profile.preview),
        profile,
        limits: limits(profile),
        delivery: &task.unit.delivery,
    };
    let mut products = Products::default();
    let mut rows = Vec::new();
    let mut files = 0;
    in_order(
        &task.inputs,
        task.limits.threads,
        |input| maker.file(input),
        |mut made| {
            for Jpeg { name, bytes } in made.jpegs {
                write(&name, &bytes).map_err(|source| TaskFault::Write { name, source })?;
            }
            rows.append(&mut made.rows);
            products.refusals.append(&mut made.refusals);
            products.findings.append(&mut made.findings);
            products.input_bytes += made.input_bytes;
            files += 1;
            if files % BLOCK == 0 {
                products.take_rows(&mut rows);
            }
            Ok(())
        },
    )?;
    products.take_rows(&mut rows);
    Ok(products)
}

impl Products {
    fn take_rows(&mut self, rows: &mut Vec<Row>) {
        if !rows.is_empty() {
            self.batches.push(rows::batch(rows));
            rows.clear();
        }
    }
}

/// A maker of the previews of files of one delivery.
struct Maker<'t> {
    recipe: Recipe,
    profile: &'t SurveyProfile,
    limits: Limits,
    delivery: &'t DeliveryName,
}

struct Jpeg {
    name: String,
    bytes: Vec<u8>,
}

/// The products of one file.
#[derive(Default)]
struct Made {
    jpegs: Vec<Jpeg>,
    rows: Vec<Row>,
    refusals: Vec<Refusal>,
    findings: Vec<Finding>,
    input_bytes: u64,
}

impl Maker<'_> {
    fn file(&self, input: &TaskInput) -> Result<Made, TaskFault> {
        let image = &input.image;
        let mut made = Made::default();
        let file = match open(image, &self.limits)? {
            Opened::Usable(file) => file,
            Opened::Refused(refusal) => {
                made.refusals.push(refusal);
                return Ok(made);
            }
        };
        made.input_bytes = image.bytes;
        let is_detector = |hdu: HduIndex| {
            file.hdu(hdu).is_ok_and(|hdu| crate::roles::is_detector(hdu, self.profile))
        };
        let wanted = |hdu: HduIndex| {
            !image.refused_hdus.contains(&hdu.0)
                && ExtNum::of_hdu(hdu.0).is_some()
                && is_detector(hdu)
        };
        let mut scratch = Scratch::default();
        let recipe = Recipe { tone: self.tone(&image.name, &file), ..self.recipe };
        let previews = render(&file, &recipe, wanted, |hdu| wcs_of(&file, hdu), &mut scratch);
        for (hdu, fault) in previews.faults {
            made.refusals.push(refusal_of(&image.name, hdu, fault)?);
        }
        let root = name::root(&image.name, input.multiframe_id);
        if let Some(mosaic) = previews.mosaic {
            let name = name::of_mosaic(&root);
            let (id, path) = (input.multiframe_id, self.path(&name));
            let row = Row::of_mosaic(id, path, &self.recipe, &mosaic, &previews.detectors);
            made.rows.push(row);
            made.jpegs.push(Jpeg { name, bytes: mosaic.jpeg });
        }
        for preview in previews.detectors {
            let Some(ext_num) = ExtNum::of_hdu(preview.hdu.0) else { continue };
            let name = name::of_detector(&root, ext_num);
            let (id, path) = (input.multiframe_id, self.path(&name));
            made.rows.push(Row::of_detector(id, ext_num, path, &self.recipe, &preview));
            made.findings.extend(findings(&image.name, &preview));
            made.jpegs.push(Jpeg { name, bytes: preview.jpeg });
        }
        Ok(made)
    }

    /// Returns the tone of a frame of its kind, which is determined from name and header as for the metadata.
    fn tone(&self, name: &str, file: &FitsFile) -> Tone {
        let Some(primary) = file.hdus().first() else { return Tone::Sky };
        let first = file.hdus().iter().find(|hdu| crate::roles::is_detector(hdu, self.profile));
        let keyword = |keyword: &str| {
            let own = HeaderView::new(primary).written(keyword);
            own.or_else(|| HeaderView::of_extension(first?, primary).written(keyword))
        };
        let rule = self.profile.frame_type(&self.profile.naming.stem(name), &keyword);
        match rule.map(|rule| rule.kind) {
            Some(FrameKind::Confidence | FrameKind::Calibration) => Tone::Even,
            Some(FrameKind::Science) | None => Tone::Sky,
        }
    }

    /// Returns the path at which the curator stores the file, below the previews.
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.delivery)
    }
}

/// Returns the WCS of an image; `None` without a usable one.
fn wcs_of(file: &FitsFile, hdu: HduIndex) -> Option<Wcs> {
    let (hdu, primary) = (file.hdu(hdu).ok()?, file.hdus().first()?);
    // The orientation is the same in every frame.
    let reading = Reading { any_frame: true, ..Reading::default() };
    Wcs::read_image(&HeaderView::of_extension(hdu, primary), reading).ok()
}

fn refusal_of(file: &str, hdu: HduIndex, fault: PreviewFault) -> Result<Refusal, TaskFault> {
    let (code, message) = match fault {
        PreviewFault::Unreadable(error) if error.fault.is_transient() => return Err(error.into()),
        PreviewFault::Unreadable(error) => return Ok(refusal(file, &error)),
        PreviewFault::NoPicture { .. } => (RefusalCode::NO_PICTURE, one_line(&fault)),
        PreviewFault::Jpeg(_) => (RefusalCode::NO_JPEG, one_line(&fault)),
    };
    Ok(Refusal { hdu: Some(hdu.0), ..Refusal::new(code, file, message) })
}

fn findings(file: &str, preview: &DetectorPreview) -> Vec<Finding> {
    let finding = |code: RefusalCode, count: u64, message: String| Finding {
        hdu: Some(preview.hdu.0),
        count,
        ..Finding::new(code, file, message)
    };
    let mut findings = Vec::new();
    if preview.valid_pixels == 0 {
        let message = "no pixel has a value: the preview is black".to_owned();
        findings.push(finding(RefusalCode::NO_VALID_PIXEL, 1, message));
    }
    if preview.planes > 1 {
        let message = format!("the preview shows the first of {} planes", preview.planes);
        findings.push(finding(RefusalCode::PLANES_NOT_SHOWN, preview.planes - 1, message));
    }
    findings
}
