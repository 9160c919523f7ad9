//! The row of `programme_frame`, or the reason why the frame is parked.

use model::RefusalCode;
use model::profile::{Assignment, FrameKind, SurveyProfile};
use model::task::ProgrammeRef;

use super::frame::Frame;
use super::multiframe::Exposure;
use super::notes::{Notes, Place};
use super::row::{Kind, Row};

/// Returns the programme's row. `None` when the frame belongs to no programme (a calibration frame), or is parked; the notes
/// then hold the reason.
pub(super) fn row<'f>(
    frame: &Frame<'f>,
    exposure: Exposure<'_>,
    profile: &SurveyProfile,
    programmes: &[ProgrammeRef],
    notes: &mut Notes,
) -> Option<Row<'f>> {
    let rules = &profile.project;
    let named = rules.keywords.iter().find_map(|k| Some((k, frame.keyword(k)?)));
    let project = named.as_ref().map_or("", |(_, text)| text.as_str());
    let is_calibration = exposure.frame_type.is_some_and(|t| t.kind == FrameKind::Calibration);
    let of_name = |name: &Option<String>| {
        programmes.iter().find(|p| name.as_ref().is_some_and(|n| n.eq_ignore_ascii_case(&p.name)))
    };
    let place = Place { file: frame.file(), hdu: None };
    let keyword = named.as_ref().or(None).map(|(k, _)| k.as_str());
    let keyword = keyword.or(rules.keywords.first().map(String::as_str));
    let programme = match rules.assign(project, programmes) {
        Assignment::Programme(programme) => Some(programme),
        Assignment::Unnamed if is_calibration => of_name(&rules.calibration),
        Assignment::Unnamed => {
            let programme = of_name(&rules.unnamed);
            if programme.is_none() {
                let message = "the frame names no project".to_owned();
                notes.park(place, RefusalCode::NO_PROJECT, keyword, message);
            }
            programme
        }
        Assignment::Unknown if is_calibration => {
            let message = format!("project {project:?} is not registered");
            notes.find(place, RefusalCode::UNKNOWN_PROJECT, keyword.unwrap_or("PROJECT"), message);
            of_name(&rules.calibration)
        }
        Assignment::Unknown => {
            let message = format!("project {project:?} is not registered");
            notes.park_unknown_project(place, keyword, project, message);
            None
        }
    }?;
    let mut row = Row::new(Kind::ProgrammeFrame);
    row.set("programme_id", programme.programme_id);
    row.set("multiframe_id", frame.input.multiframe_id);
    row.set("project", (!project.is_empty()).then(|| project.to_owned()));
    row.set("pp_err_bits_status", 0_i64);
    Some(row)
}
