//! The rows of `multiframe_detector`: keywords of the image extension and of the catalogue extension joined.

use fits::HduKind;
use model::Night;
use model::profile::SurveyProfile;

use super::cell::Cell;
use super::frame::{Detector, Frame};
use super::keywords::{self, Source};
use super::multiframe::{self, Exposure};
use super::notes::{Notes, Place};
use super::observed;
use super::plan::{Plan, Slot};
use super::row::{Kind, Row};
use crate::header_view::is_own;

/// Returns the row of one detector.
pub(super) fn row<'f>(
    frame: &Frame<'f>,
    detector: &Detector<'f>,
    exposure: Exposure<'_>,
    plan: &Plan,
    profile: &SurveyProfile,
    notes: &mut Notes,
) -> Row<'f> {
    let mut row = Row::new(Kind::Detector);
    let null_texts = &profile.policy.null_texts;
    let place = Place { file: frame.file(), hdu: Some(detector.hdu.index.0) };
    let image = Source { view: detector.view, place };
    if profile.is_companion(frame.file()) {
        keywords::fill(&mut row, &plan.detector_companion, &[image], null_texts, notes);
    } else {
        keywords::fill(&mut row, &plan.detector_image, &[image], null_texts, notes);
        fill_from_catalogue(&mut row, &plan.detector_catalogue, frame, detector, null_texts, notes);
    }
    row.set("multiframe_id", frame.input.multiframe_id);
    row.set("ext_num", detector.ext_num.get());
    row.set("deprecated", 0_i64);
    row.set("night", exposure.night.map(Night::get));
    let filter =
        multiframe::filter(detector.view, Some(frame.primary), profile, frame.file(), notes);
    row.set("filter_id", filter.map(|f| f.id));
    let table = detector.table.and_then(|(hdu, _)| model::ExtNum::of_hdu(hdu.index.0));
    row.set("cat_ext_num", table.map(model::ExtNum::get));
    row.set("cat_version", frame.input.catalogue.as_ref().map(|c| c.version));
    set_structure(&mut row, detector);
    observed::mjd_in_utc(&mut row, "mjd_mean", image, profile, notes);
    row
}

/// Sets the size of the pixels to that of the astrometry; the header's is that of the physical detector, even if the image is
/// interleaved.
pub(super) fn set_pixel_size(row: &mut Row<'_>, astrometry: &Row<'_>) {
    let size = |column| astrometry.float(column);
    let mean = size("x_pix_size").zip(size("y_pix_size")).map(|(x, y)| (x * y).sqrt());
    row.set("pixel_size", mean);
}

/// Sets the standard's default values.
fn set_structure(row: &mut Row<'_>, detector: &Detector<'_>) {
    let compressed = detector.hdu.kind == HduKind::CompressedImage;
    row.set("hdu_kind", if compressed { "compressed_image" } else { "image" });
    for (column, default) in [("data_scale", 1.0), ("data_zero", 0.0)] {
        if *row.get(column) == Cell::Null {
            row.set(column, default);
        }
    }
    for (column, default) in [("image_pcount", 0_i64), ("image_gcount", 1)] {
        if *row.get(column) == Cell::Null {
            row.set(column, default);
        }
    }
}

/// Fills the columns of the catalogue, from its own header, then from that of the image in the same file (FITS_LDAC). Those that
/// are not the catalogue's alone are filled from the image where it has none.
fn fill_from_catalogue<'f>(
    row: &mut Row<'f>,
    slots: &[Slot],
    frame: &Frame<'f>,
    detector: &Detector<'f>,
    null_texts: &[String],
    notes: &mut Notes,
) {
    let place = Place { file: frame.file(), hdu: Some(detector.hdu.index.0) };
    let image = Source { view: detector.view, place };
    let table = detector.table.zip(frame.catalogue()).map(|((hdu, view), (file, _))| Source {
        view,
        place: Place { file, hdu: Some(hdu.index.0) },
    });
    let cell = detector.cell.zip(table).map(|(view, table)| Source { view, ..table });
    let all: Vec<Source<'f, '_>> = table.into_iter().chain(cell).chain([image]).collect();
    for slot in slots {
        // Keywords that describe an HDU itself are those of the table alone.
        let sources = match slot.catalogue_alone {
            true if slot.keywords.iter().any(|keyword| is_own(keyword)) => table.as_slice(),
            true => &all[..all.len() - 1],
            false => &all,
        };
        keywords::fill(row, std::slice::from_ref(slot), sources, null_texts, notes);
    }
}
