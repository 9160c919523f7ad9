//! The rows of `astrometry`: the world coordinate system of the header, and the footprint.

use fits::Value;
use model::RefusalCode;
use model::profile::SurveyProfile;
use sky::{
    Footprint, Galactic, PixelSize, Reading, ReferenceFrame, SkyDerived, SkyPosition, Wcs, WcsFault,
};
use std::fmt::Write;

use super::cell::Cell;
use super::frame::{Detector, Frame};
use super::keywords::{self, Source};
use super::notes::{Notes, Place};
use super::plan::{Plan, Slot};
use super::row::{Kind, Row};
use crate::header_view::HeaderView;
use crate::reading::reading;

/// Columns of a table that hold the pixel coordinates, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PixelColumns {
    x: u16,
    y: u16,
}

/// The header in which a coordinate system was found.
enum Found {
    Image(Wcs),
    Catalogue(Wcs, PixelColumns),
}

/// Returns the row of one detector; without a usable coordinate system the derived columns are NULL.
pub(super) fn row<'f>(
    frame: &Frame<'f>,
    detector: &Detector<'f>,
    plan: &Plan,
    profile: &SurveyProfile,
    expects_wcs: bool,
    notes: &mut Notes,
) -> Row<'f> {
    let mut row = Row::new(Kind::Astrometry);
    row.set("multiframe_id", frame.input.multiframe_id);
    row.set("ext_num", detector.ext_num.get());
    let place = Place { file: frame.file(), hdu: Some(detector.hdu.index.0) };
    let image = Source { view: detector.view, place };
    let null_texts = &profile.policy.null_texts;
    keywords::fill(&mut row, &plan.astrometry, &[image], null_texts, notes);
    fill_reference_system(&mut row, detector.view);
    let reading = reading(profile);
    let wcs = match find(detector, reading) {
        Ok(Found::Image(wcs)) => {
            row.set("wcs_source", "image");
            wcs
        }
        Ok(Found::Catalogue(wcs, columns)) => {
            row.set("wcs_source", "catalogue");
            fill_from_table(&mut row, &plan.astrometry, frame, detector, columns, profile, notes);
            wcs
        }
        Err(WcsFault::Absent { .. }) if !expects_wcs => return row,
        Err(fault) => {
            note(&fault, place, notes);
            return row;
        }
    };
    for note in wcs.notes() {
        notes.find(
            place,
            RefusalCode::of_fault(note.kind.code()),
            &note.keyword,
            note.message.clone(),
        );
    }
    let [width, height] = detector.size();
    match wcs.footprint(PixelSize { width, height }) {
        Ok(footprint) => set_footprint(&mut row, &wcs, &footprint),
        Err(fault) => note(&fault, place, notes),
    }
    row
}

fn note(fault: &WcsFault, place: Place<'_>, notes: &mut Notes) {
    let subject = fault.keyword().unwrap_or("CTYPE1");
    notes.find(place, RefusalCode::of_fault(fault.code()), subject, fault.to_string());
}

/// Finds the coordinate system of the image, else that of the X and Y columns of its table (as in VISTA's tables).
fn find(detector: &Detector<'_>, reading: Reading) -> Result<Found, WcsFault> {
    let absent = match Wcs::read_image(&detector.view, reading) {
        Ok(wcs) => return Ok(Found::Image(wcs)),
        Err(fault @ WcsFault::Absent { .. }) => fault,
        Err(fault) => return Err(fault),
    };
    let Some((_, view)) = detector.table else { return Err(absent) };
    let Some(columns) = pixel_columns(view) else { return Err(absent) };
    Ok(Found::Catalogue(Wcs::read_table(&view, columns.x, columns.y, reading)?, columns))
}

/// Returns true when an image has a coordinate system of its own, readable or not.
pub(super) fn is_in(image: HeaderView<'_>, profile: &SurveyProfile) -> bool {
    !matches!(Wcs::read_image(&image, reading(profile)), Err(WcsFault::Absent { .. }))
}

/// Returns the first two columns with a TCTYPn.
fn pixel_columns(view: HeaderView<'_>) -> Option<PixelColumns> {
    let mut numbers: Vec<u16> = view
        .header()
        .cards()
        .filter_map(|card| card.keyword().strip_prefix("TCTYP")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    match numbers[..] {
        [x, y, ..] => Some(PixelColumns { x, y }),
        _ => None,
    }
}

/// Fills the columns that are copied from keywords, in their spelling for tables.
fn fill_from_table<'f>(
    row: &mut Row<'f>,
    slots: &[Slot],
    frame: &Frame<'f>,
    detector: &Detector<'f>,
    columns: PixelColumns,
    profile: &SurveyProfile,
    notes: &mut Notes,
) {
    let (Some((hdu, view)), Some((file, _))) = (detector.table, frame.catalogue()) else { return };
    let place = Place { file, hdu: Some(hdu.index.0) };
    for slot in slots {
        for keyword in &slot.keywords {
            let Some(card) = view.card(&columns.spelling(keyword)) else { continue };
            let cell = keywords::take(slot, card, place, &profile.policy.null_texts, notes);
            if let Some(cell) = cell {
                row.cells[slot.position] = cell;
                break;
            }
        }
    }
}

impl PixelColumns {
    fn axis(self, axis: &str) -> Option<u16> {
        match axis {
            "1" => Some(self.x),
            "2" => Some(self.y),
            _ => None,
        }
    }

    /// Returns the keyword of a table that corresponds to a keyword of an image (FITS 4.0, table 22).
    fn spelling(self, keyword: &str) -> String {
        let one = [("CTYPE", "TCTYP"), ("CRPIX", "TCRPX"), ("CRVAL", "TCRVL"), ("CUNIT", "TCUNI")];
        for (image, table) in one {
            if let Some(n) = keyword.strip_prefix(image).and_then(|axis| self.axis(axis)) {
                return format!("{table}{n}");
            }
        }
        if let Some((row, column)) = keyword.strip_prefix("CD").and_then(|k| k.split_once('_'))
            && let (Some(row), Some(column)) = (self.axis(row), self.axis(column))
        {
            return format!("TC{row}_{column}");
        }
        if let Some((axis, number)) = keyword.strip_prefix("PV").and_then(|k| k.split_once('_'))
            && let Some(axis) = self.axis(axis)
        {
            return format!("TV{axis}_{number}");
        }
        keyword.to_owned()
    }
}

fn set_footprint(row: &mut Row<'_>, wcs: &Wcs, footprint: &Footprint) {
    row.set("projection", wcs.projection());
    set_centre(row, wcs, footprint.centre);
    for (n, corner) in footprint.corners.iter().enumerate() {
        row.set(["ra1", "ra2", "ra3", "ra4"][n], corner.ra_deg);
        row.set(["dec1", "dec2", "dec3", "dec4"][n], corner.dec_deg);
    }
    row.set("footprint", outline(wcs, footprint));
    let (min_ra, max_ra) = ra_limits(footprint);
    row.set("min_ra", min_ra);
    row.set("max_ra", max_ra);
    row.set("min_dec", footprint.min_dec_deg);
    row.set("max_dec", footprint.max_dec_deg);
    row.set("edge_padding", footprint.polygon.padding_deg);
    row.set("cap_radius", footprint.bounding_cap().1);
    row.set("image_extent", footprint.extent_arcmin);
    row.set("x_pix_size", footprint.pixel_scale_x_arcsec);
    row.set("y_pix_size", footprint.pixel_scale_y_arcsec);
    row.set("pos_angle", footprint.position_angle_deg);
    row.set("pos_angle_y", footprint.position_angle_y_deg);
}

/// Returns limits between which every right ascension of the footprint is as a number: the whole circle across RA 0, so that
/// `ra BETWEEN min_ra AND max_ra` never loses a row.
fn ra_limits(footprint: &Footprint) -> (f64, f64) {
    match footprint.min_ra_deg <= footprint.max_ra_deg {
        true => (footprint.min_ra_deg, footprint.max_ra_deg),
        false => (0.0, 360.0),
    }
}

fn set_centre(row: &mut Row<'_>, wcs: &Wcs, centre: SkyPosition) {
    row.set("central_ra", centre.ra_deg);
    row.set("central_dec", centre.dec_deg);
    let Some(derived) = SkyDerived::from_radec(centre.ra_deg, centre.dec_deg) else { return };
    row.set("cx", derived.cx);
    row.set("cy", derived.cy);
    row.set("cz", derived.cz);
    row.set("htm_id", derived.htm_id.get());
    row.set("healpix29", derived.healpix29);
    let galactic = if wcs.keeps_fk5_2000() {
        Galactic { l_deg: derived.l_deg, b_deg: derived.b_deg }
    } else {
        ReferenceFrame::galactic_of_icrs(centre.unit_vector())
    };
    row.set("l", galactic.l_deg);
    row.set("b", galactic.b_deg);
    row.set("lambda", derived.lambda_deg);
    row.set("eta", derived.eta_deg);
}

/// Returns the corners as STC-S: counter-clockwise with east to the left. 1e-8 degrees are 36 microarcseconds.
fn outline(wcs: &Wcs, footprint: &Footprint) -> String {
    // If x turns to y as east to north, the corners run clockwise.
    let turn_deg = footprint.position_angle_deg - footprint.position_angle_y_deg;
    let clockwise = turn_deg.to_radians().sin() > 0.0;
    let mut text = format!("Polygon {}", reference_frame(wcs));
    for n in 0..4 {
        let corner = footprint.corners[if clockwise { (4 - n) % 4 } else { n }];
        // Writing to a String cannot fail.
        let _ = write!(text, " {:.8} {:.8}", corner.ra_deg, corner.dec_deg);
    }
    text
}

/// Returns the reference system of the positions by its name in STC-S: the ICRS, or the FK5 where it is kept.
fn reference_frame(wcs: &Wcs) -> &'static str {
    match wcs.frame() {
        Some(ReferenceFrame::Fk5 { equinox: 2000.0 }) if wcs.keeps_fk5_2000() => "FK5",
        _ => "ICRS",
    }
}

/// Fills `ra_dec_sys` and `equinox` from RADECSYS and EPOCH where they are still NULL.
pub(super) fn fill_reference_system<'f>(row: &mut Row<'f>, view: HeaderView<'f>) {
    if *row.get("ra_dec_sys") == Cell::Null
        && let Some(Value::Text(text)) = view.value("RADECSYS")
        && !text.trim().is_empty()
    {
        row.set("ra_dec_sys", text.trim());
    }
    if *row.get("equinox") == Cell::Null
        && let Some(epoch) = sky::Keywords::number(&view, "EPOCH")
    {
        row.set("equinox", epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_of_tables() {
        let columns = PixelColumns { x: 3, y: 5 };
        let cases = [
            ("CTYPE1", "TCTYP3"),
            ("CRPIX2", "TCRPX5"),
            ("CRVAL1", "TCRVL3"),
            ("CUNIT2", "TCUNI5"),
            ("CD1_2", "TC3_5"),
            ("CD2_1", "TC5_3"),
            ("PV2_3", "TV5_3"),
            ("EQUINOX", "EQUINOX"),
            ("CTYPE3", "CTYPE3"),
        ];
        for (image, table) in cases {
            assert_eq!(columns.spelling(image), table);
        }
    }
}
