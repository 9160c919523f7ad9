//! The files of a trial, as the archive has them.

use super::candidates::Candidates;
use super::trial::Trial;
use fits::{FitsFile, Limits};
use serde_json::Value;
use std::path::PathBuf;

/// A file of the delivery.
pub(super) struct Delivered {
    /// Name within the delivery.
    pub name: String,
    /// image, catalogue or other.
    pub kind: String,
    /// Name of its profile; empty without one.
    pub survey: String,
    /// Number of the image; `None` for other files.
    pub multiframe: Option<i64>,
    /// Frame type, night, run number, programmes and filter of an image; null where there is none.
    pub facts: [Value; 5],
    path: PathBuf,
    limits: Limits,
}

impl Delivered {
    /// Opens the file; `None` when it is not FITS.
    pub fn open(&self) -> Option<FitsFile> {
        FitsFile::open(&self.path, &self.limits).ok()
    }
}

/// Reads the files of a trial in the order of their names.
///
/// # Errors
/// When the archive cannot be read.
pub(super) fn files(trial: &Trial, candidates: &Candidates) -> anyhow::Result<Vec<Delivered>> {
    const FILES: &str = "SELECT f.name, f.kind, f.survey, f.path, i.multiframe_id, m.frame_type, m.night, m.run_no,
            (SELECT group_concat(p.name, ' ') FROM programme_frame AS o JOIN programme AS p USING (programme_id)
             WHERE o.multiframe_id = m.multiframe_id),
            m.filter_name
        FROM file AS f LEFT JOIN image AS i ON i.file_id = f.file_id
            LEFT JOIN multiframe AS m ON m.multiframe_id = i.multiframe_id
        WHERE f.state = 'current' ORDER BY f.name";
    let mut files = Vec::new();
    for row in trial.rows(FILES)? {
        let text = |n: usize| row[n].as_str().unwrap_or_default().to_owned();
        let survey = text(2);
        let limits = candidates.named(&survey).map(|one| process::limits(&one.profile));
        files.push(Delivered {
            name: text(0),
            kind: text(1),
            survey,
            multiframe: row[4].as_i64(),
            facts: std::array::from_fn(|n| row[5 + n].clone()),
            path: PathBuf::from(text(3)),
            limits: limits.unwrap_or_default(),
        });
    }
    Ok(files)
}
