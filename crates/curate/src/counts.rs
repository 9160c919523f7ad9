//! The counts of a step.

use model::task::TaskResult;
use std::time::Instant;

/// The counts of one step, for the summary.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Files read.
    pub files: u64,
    /// Detectors: image HDUs; of catalogues, their detectors.
    pub detectors: u64,
    /// Detections written.
    pub detections: u64,
    /// JPEGs written.
    pub previews: u64,
    /// Bytes read from the source or the library.
    pub bytes: u64,
    /// New refusals.
    pub refusals: u64,
    /// Wall-clock seconds from the first start to the last end.
    pub seconds: f64,
    began: Option<Instant>,
}

impl Counts {
    /// Notes the start of a part of the step.
    pub fn begin(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }

    /// Notes the end of a part of the step.
    pub fn end(&mut self) {
        if let Some(began) = self.began {
            self.seconds = began.elapsed().as_secs_f64();
        }
    }

    /// Adds the result of a task with `files` files.
    pub fn add(&mut self, result: &TaskResult, files: u64, new_refusals: u64) {
        self.refusals += new_refusals;
        self.files += files;
        self.bytes += result.run.input_bytes;
        self.detectors += result.detectors.len() as u64;
        for file in &result.files {
            match file.table.as_str() {
                "jpeg" => {
                    self.previews += 1;
                    self.detectors += u64::from(process::preview::is_of_detector(&file.name));
                }
                "multiframe_detector" => self.detectors += file.rows,
                "detection" => self.detections += file.rows,
                _ => {}
            }
        }
        self.end();
    }
}
