//! The row of `multiframe`.

use model::profile::{Filter, FrameType, Mistyped, OTHER_FRAME, SurveyProfile};
use model::{DeliveryName, Night, RefusalCode};

use super::astrometry;
use super::cell::Cell;
use super::frame::Frame;
use super::keywords::{self, Source};
use super::notes::{Notes, Place};
use super::observed;
use super::plan::Plan;
use super::row::{Kind, Row};
use super::time;
use crate::header_view::HeaderView;

/// The properties of a frame as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exposure<'p> {
    pub frame_type: Option<&'p FrameType>,
    pub night: Option<Night>,
}

impl Exposure<'_> {
    /// Returns the name in `multiframe.frame_type`.
    pub fn frame_type_name(&self) -> &str {
        self.frame_type.map_or(OTHER_FRAME, |rule| rule.name.as_str())
    }
}

/// Returns the row, with all columns but those of library frames.
pub(super) fn row<'f>(
    frame: &Frame<'f>,
    plan: &Plan,
    profile: &SurveyProfile,
    delivery: &'f DeliveryName,
    notes: &mut Notes,
) -> Row<'f> {
    let mut row = Row::new(Kind::Multiframe);
    let file = frame.file();
    let mut sources = vec![Source { view: frame.primary, place: Place { file, hdu: Some(0) } }];
    if let Some(first) = frame.detectors.first() {
        let place = Place { file, hdu: Some(first.hdu.index.0) };
        sources.push(Source { view: first.view, place });
    }
    keywords::fill(&mut row, &plan.multiframe, &sources, &profile.policy.null_texts, notes);
    set_identity(&mut row, frame, profile, delivery);
    observed::set(&mut row, &sources, profile, notes);
    set_night(&mut row, profile);
    set_reference_system(&mut row, &sources);
    set_airmass(&mut row);
    let filter = filter(frame.primary, sources.last().map(|s| s.view), profile, file, notes);
    row.set("filter_id", filter.map(|f| f.id));
    row
}

fn set_identity<'f>(
    row: &mut Row<'f>,
    frame: &Frame<'f>,
    profile: &SurveyProfile,
    delivery: &'f DeliveryName,
) {
    let input = frame.input;
    let naming = &profile.naming;
    let run = naming.run(&input.image.name);
    let named = naming.delivery(delivery);
    let from_header = match row.get("ut_date") {
        Cell::Int(date) => i32::try_from(*date).ok().and_then(Night::new),
        _ => None,
    };
    let by_name = named.as_ref().and_then(|n| n.night).or(run.and_then(|r| r.night));
    let night = by_name.or(from_header);
    row.set("multiframe_id", input.multiframe_id);
    row.set("survey_id", profile.survey_id);
    row.set("delivery", delivery.as_str());
    row.set("night", night.map(Night::get));
    row.set("version_num", named.map(|n| n.version).filter(|v| !v.is_empty()));
    row.set("file_name", input.image.name.as_str());
    row.set("file_bytes", i64::try_from(input.image.bytes).unwrap_or(i64::MAX));
    row.set("file_sha256", input.image.sha256.to_string());
    if let Some(catalogue) = &input.catalogue {
        row.set("cat_name", catalogue.file.name.as_str());
        row.set("cat_version", catalogue.version);
        row.set("cat_sha256", catalogue.file.sha256.to_string());
    }
    row.set("run_no", run.and_then(|r| r.run));
    row.set("num_detectors", i64::try_from(frame.detectors.len()).unwrap_or(i64::MAX));
    row.set("num_hdus", i64::try_from(frame.image.hdus().len()).unwrap_or(i64::MAX));
}

/// Sets the night by the start of the exposure where the profile has it so, and the Julian day number of the night.
fn set_night(row: &mut Row<'_>, profile: &SurveyProfile) {
    if let Some(night) = row.float("mjd_obs").and_then(|mjd| profile.night.of_start(mjd)) {
        row.set("night", night.get());
    }
    let day = night_of(row).and_then(time::julian_day_num);
    row.set("julian_day_num", day);
}

/// Returns the night in a row.
fn night_of(row: &Row<'_>) -> Option<Night> {
    match row.get("night") {
        Cell::Int(night) => i32::try_from(*night).ok().and_then(Night::new),
        _ => None,
    }
}

/// Sets the reference system from the names that RADESYS and EQUINOX had before the standard, unless the profile names others.
fn set_reference_system<'f>(row: &mut Row<'f>, sources: &[Source<'f, '_>]) {
    for source in sources {
        astrometry::fill_reference_system(row, source.view);
    }
}

fn set_airmass(row: &mut Row<'_>) {
    if *row.get("airmass") == Cell::Null {
        let mean = match (row.float("am_start"), row.float("am_end")) {
            (Some(start), Some(end)) => Some((start + end) / 2.0),
            (start, end) => start.or(end),
        };
        row.set("airmass", mean);
    }
}

/// Determines night and frame type of a finished row.
pub(super) fn exposure<'p>(
    row: &mut Row<'_>,
    frame: &Frame<'_>,
    profile: &'p SurveyProfile,
) -> Exposure<'p> {
    let stem = profile.naming.stem(frame.file());
    let frame_type = profile.frame_type(&stem, &|keyword| frame.keyword(keyword));
    let exposure = Exposure { frame_type, night: night_of(row) };
    row.set("frame_type", exposure.frame_type_name().to_owned());
    exposure
}

/// Returns the filter that a header (else another one) names.
pub(super) fn filter<'p>(
    view: HeaderView<'_>,
    other: Option<HeaderView<'_>>,
    profile: &'p SurveyProfile,
    file: &str,
    notes: &mut Notes,
) -> Option<&'p Filter> {
    let keywords = profile
        .column_rule("multiframe", "filter_name")
        .and_then(|rule| rule.keywords.as_deref())
        .unwrap_or(&[]);
    let spellings = keywords.iter().map(String::as_str).chain(
        Kind::Multiframe
            .sheet()
            .table
            .column("filter_name")
            .and_then(|c| c.keyword.as_deref())
            .filter(|_| keywords.is_empty()),
    );
    let (keyword, name) = spellings.into_iter().find_map(|keyword| {
        let text = view.written(keyword).or_else(|| other?.written(keyword))?;
        Some((keyword, text))
    })?;
    let filter = profile.filter(&name);
    if filter.is_none() {
        let message = format!("{keyword} = {name:?} is not a filter of {}", profile.name);
        let place = Place { file, hdu: None };
        match profile.policy.unknown_filter {
            Mistyped::Finding => notes.find(place, RefusalCode::UNKNOWN_FILTER, keyword, message),
            Mistyped::Refuse => {
                notes.refuse(place, RefusalCode::UNKNOWN_FILTER, Some(keyword), message)
            }
        }
    }
    filter
}
