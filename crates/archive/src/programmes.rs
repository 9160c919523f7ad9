//! Programmes: surveys or projects that own detections.

use model::ProgrammeId;

/// A programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programme {
    /// Identity.
    pub programme_id: ProgrammeId,
    /// Short name.
    pub name: String,
    /// PROJECT text that identifies the programme.
    pub project: String,
}
