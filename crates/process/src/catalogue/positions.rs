//! Positions of the rows of a catalogue on the sky, in degrees.
//!
//! Takes the columns RA and DEC with their units and their reference frame, x and y, and the WCS of the image. The profile
//! selects which of the two positions count; each is checked by the other. Columns of another frame are converted to that of
//! the WCS. Columns that contradict the WCS grossly produce a [`Contradiction`].

use super::angle::{AngleUnit, Axis, Declared};
use super::anomalies::{Anomaly, Contradiction};
use super::column_frame::{ColumnFrame, UnknownFrame};
use super::shift::{Pixels, Shift, median_shift};
use fits::Column;
use model::profile::{MissingPosition, PositionRules, PositionSource, PositionUnit};
use sky::{ReferenceFrame, SkyPosition, ToIcrs, Wcs, angular_distance_deg};

/// Rows whose columns are compared with the WCS to find the median.
const SAMPLE: usize = 31;

/// Positions of an HDU's rows, degrees; NaN where there is none.
#[derive(Debug, Default)]
pub(super) struct Positions {
    pub(super) ra_deg: Vec<f64>,
    pub(super) dec_deg: Vec<f64>,
    pub(super) anomalies: Vec<Anomaly>,
    pub(super) contradiction: Option<Contradiction>,
    /// True when rows of the columns were compared with the WCS.
    pub(super) compared: bool,
}

/// The columns RA and DEC: descriptions, and values as in the file. Text has been converted to degrees.
#[derive(Clone, Copy)]
pub(super) struct SkyCells<'a> {
    pub(super) columns: [&'a Column; 2],
    /// True for values that are degrees, whatever the headers declare: text, and those that a spelling converts.
    pub(super) in_degrees: [bool; 2],
    pub(super) ra: &'a [f64],
    pub(super) dec: &'a [f64],
    pub(super) frame: &'a ColumnFrame,
    /// True when FK5 of 2000.0 is kept unchanged.
    pub(super) keeps_fk5_2000: bool,
}

/// Columns whose frame is known.
#[derive(Clone, Copy)]
struct Placed<'a> {
    columns: [&'a Column; 2],
    in_degrees: [bool; 2],
    ra: &'a [f64],
    dec: &'a [f64],
    frame: ReferenceFrame,
    /// The conversion to the frame of the WCS; `None` where the columns are in it.
    conversion: Option<ToIcrs>,
    keeps_fk5_2000: bool,
}

impl<'a> SkyCells<'a> {
    fn placed(&self) -> Result<Placed<'a>, &'a UnknownFrame> {
        let frame = *self.frame.as_ref()?;
        let SkyCells { columns, in_degrees, ra, dec, keeps_fk5_2000, .. } = *self;
        Ok(Placed {
            columns,
            in_degrees,
            ra,
            dec,
            frame,
            conversion: conversion(frame, keeps_fk5_2000),
            keeps_fk5_2000,
        })
    }
}

fn conversion(frame: ReferenceFrame, keeps_fk5_2000: bool) -> Option<ToIcrs> {
    let conversion = if keeps_fk5_2000 { frame.to_kept_fk5() } else { frame.to_icrs() };
    (!conversion.is_identity()).then_some(conversion)
}

impl Placed<'_> {
    /// Returns the same columns in another frame.
    fn in_frame(&self, frame: ReferenceFrame) -> Self {
        Self { frame, conversion: conversion(frame, self.keeps_fk5_2000), ..*self }
    }

    /// Returns the position of a row in the frame of the WCS, degrees. A value that is not a position is unchanged.
    #[inline(always)]
    fn degrees(&self, row: usize, units: Units) -> (f64, f64) {
        let (ra, dec) = (self.ra[row] * units[0].degrees, self.dec[row] * units[1].degrees);
        self.conversion.map_or((ra, dec), |conversion| converted(conversion, ra, dec))
    }

    /// Returns the units, and the frame where it is another than the ICRS.
    fn name(&self, units: Units) -> String {
        match self.frame {
            ReferenceFrame::Icrs => names(units),
            frame => format!("{} ({frame})", names(units)),
        }
    }
}

/// Converts a position; a value that is not a position is unchanged.
fn converted(conversion: ToIcrs, ra: f64, dec: f64) -> (f64, f64) {
    if is_missing(ra, dec) || ra.abs() > FARTHEST_DEG {
        return (ra, dec);
    }
    let position = SkyPosition::new(ra, dec).map(|p| conversion.position(p));
    position.map_or((ra, dec), |p| (p.ra_deg, p.dec_deg))
}

/// Longitude beyond which a value is not a position.
const FARTHEST_DEG: f64 = 720.0;

/// The input of the positions.
pub(super) struct Sources<'a> {
    pub(super) columns: Option<SkyCells<'a>>,
    pub(super) x: &'a [f64],
    pub(super) y: &'a [f64],
    pub(super) wcs: Option<&'a Wcs>,
}

/// Returns positions by the rules of the profile. Values that cannot be a position are unchanged.
pub(super) fn positions(sources: &Sources<'_>, rules: &PositionRules) -> Positions {
    let mut out = Positions::default();
    let may_fill = rules.missing == MissingPosition::Wcs;
    let cells = sources.columns.map(|cells| cells.placed());
    match (rules.source, cells, sources.wcs) {
        (PositionSource::Wcs, cells, Some(wcs)) => {
            wcs.pixels_to_sky(sources.x, sources.y, &mut out.ra_deg, &mut out.dec_deg);
            match cells {
                Some(Ok(cells)) => {
                    let units = units(sources, &cells, rules, &mut out);
                    let limit_arcsec = rules.disagreement_limit_arcsec(pixel_arcsec(wcs));
                    check_rows(&cells, units, limit_arcsec, &mut out);
                }
                Some(Err(unknown)) => {
                    out.anomalies.push(Anomaly::FrameUnknown { reason: unknown.0.clone() });
                }
                None => out.anomalies.push(Anomaly::FromWcs { rows: sources.x.len() as u64 }),
            }
        }
        (source, Some(Ok(cells)), wcs) => {
            let units = units(sources, &cells, rules, &mut out);
            let rows = 0..cells.ra.len();
            (out.ra_deg, out.dec_deg) = rows.map(|row| cells.degrees(row, units)).unzip();
            fill_missing(sources, wcs.filter(|_| may_fill), &mut out);
            let rows = out.ra_deg.iter().filter(|ra| !ra.is_nan()).count() as u64;
            if source == PositionSource::Wcs && rows > 0 {
                out.anomalies.push(Anomaly::FromColumns { rows });
            }
        }
        (PositionSource::Columns, None, Some(wcs)) if may_fill => {
            wcs.pixels_to_sky(sources.x, sources.y, &mut out.ra_deg, &mut out.dec_deg);
            out.anomalies.push(Anomaly::FromWcs { rows: sources.x.len() as u64 });
        }
        (_, cells, _) => {
            out.ra_deg.resize(sources.x.len(), f64::NAN);
            out.dec_deg.resize(sources.x.len(), f64::NAN);
            if let Some(Err(unknown)) = cells {
                out.contradiction = Some(Contradiction::Frame { reason: unknown.0.clone() });
            }
        }
    }
    turn_into_range(&mut out.ra_deg);
    out
}

/// Returns true when RA and DEC are where the WCS has x and y, within the limit of the profile.
pub(super) fn agree(sources: &Sources<'_>, rules: &PositionRules) -> bool {
    let Some(Ok(cells)) = sources.columns.map(|cells| cells.placed()) else { return false };
    let mut out = Positions::default();
    units(sources, &cells, rules, &mut out);
    out.compared && out.contradiction.is_none()
}

/// Returns true for a position that was never filled in: NaN, or the dummy (0, 0) of the pipeline.
fn is_missing(ra: f64, dec: f64) -> bool {
    ra.is_nan() || dec.is_nan() || (ra == 0.0 && dec == 0.0)
}

/// Compares the columns of every row with the position computed from the WCS.
fn check_rows(cells: &Placed<'_>, units: Units, limit_arcsec: f64, out: &mut Positions) {
    let limit_deg = limit_arcsec / 3600.0;
    let (mut unchecked, mut differing, mut largest) = (0, 0, 0.0_f64);
    let square = limit_deg * limit_deg;
    for row in 0..cells.ra.len().min(out.ra_deg.len()) {
        let (ra, dec) = cells.degrees(row, units);
        let (wcs_ra, wcs_dec) = (out.ra_deg[row], out.dec_deg[row]);
        // No distance on the sky is greater than this; most rows need nothing else.
        let (across, along) = (ra - wcs_ra, dec - wcs_dec);
        if across * across + along * along <= square {
            continue;
        }
        if is_missing(ra, dec) {
            unchecked += 1;
            continue;
        }
        if wcs_ra.is_nan() {
            continue; // refused for its x and y
        }
        let apart = SkyPosition::new(ra, dec)
            .map_or(180.0, |p| angular_distance_deg(p.ra_deg, p.dec_deg, wcs_ra, wcs_dec));
        if apart > limit_deg {
            differing += 1;
            largest = largest.max(apart * 3600.0);
        }
    }
    if unchecked > 0 {
        out.anomalies.push(Anomaly::FromWcs { rows: unchecked });
    }
    if differing > 0 {
        out.anomalies.push(Anomaly::RowsDisagree {
            rows: differing,
            largest_arcsec: largest,
            limit_arcsec,
        });
    }
}

/// Fills rows without a position with the one that the WCS has for them, or NaN.
fn fill_missing(sources: &Sources<'_>, wcs: Option<&Wcs>, out: &mut Positions) {
    let mut filled = 0;
    for row in 0..out.ra_deg.len() {
        if !is_missing(out.ra_deg[row], out.dec_deg[row]) {
            continue;
        }
        let found = wcs.and_then(|wcs| wcs.pixel_to_sky(sources.x[row], sources.y[row]));
        filled += u64::from(found.is_some());
        (out.ra_deg[row], out.dec_deg[row]) =
            found.map_or((f64::NAN, f64::NAN), |p| (p.ra_deg, p.dec_deg));
    }
    if filled > 0 {
        out.anomalies.push(Anomaly::FromWcs { rows: filled });
    }
}

/// Turns right ascensions into the range from 0 to 360; values beyond -720 and 720 are not positions and are unchanged.
fn turn_into_range(ra_deg: &mut [f64]) {
    for ra in ra_deg {
        if !(0.0..360.0).contains(ra) && ra.abs() <= FARTHEST_DEG {
            *ra = SkyPosition::new(*ra, 0.0).map_or(f64::NAN, |p| p.ra_deg);
        }
    }
}

/// Units of RA and DEC.
type Units = [AngleUnit; 2];

/// Formats `deg`, or `h and deg`.
fn names(units: Units) -> String {
    let [ra, dec] = units.map(AngleUnit::name);
    if ra == dec { ra } else { format!("{ra} and {dec}") }
}

/// Returns the units of the columns; writes anomalies and a contradiction to `out`.
fn units(
    sources: &Sources<'_>,
    cells: &Placed<'_>,
    rules: &PositionRules,
    out: &mut Positions,
) -> Units {
    let declared = declared(cells, rules);
    let known = |d: &Declared| if let Declared::Unit(unit) = d { Some(*unit) } else { None };
    let fixed = [known(&declared[0]), known(&declared[1])];
    let limit_arcsec = rules.refusal_limit_arcsec();
    let distance = |units: Units| median_distance_arcsec(sources, cells, units);
    let agrees = |units: &Units| distance(*units).is_some_and(|d| d <= limit_arcsec);
    let units = match fixed {
        [Some(ra), Some(dec)] => possible(cells, [ra, dec], rules, out),
        _ => match candidates(fixed).find(agrees) {
            Some(units) => {
                let usual = fixed.map(|unit| unit.unwrap_or(AngleUnit::RADIANS));
                let is_unknown =
                    declared.iter().any(|d| !matches!(d, Declared::Nothing | Declared::Unit(_)));
                if units != usual || is_unknown {
                    out.anomalies.push(Anomaly::UnitInferred { found: names(units) });
                }
                units
            }
            None => without_wcs(sources, cells, &declared, fixed, out),
        },
    };
    let Some((median_arcsec, wcs)) = distance(units).zip(sources.wcs) else { return units };
    out.compared = true;
    if median_arcsec > limit_arcsec {
        out.contradiction.get_or_insert_with(|| Contradiction::Wcs {
            median_arcsec,
            limit_arcsec,
            unit: cells.name(units),
            better: better(sources, cells, units, limit_arcsec),
        });
        return units;
    }
    let shift = shift(sources, cells, units, wcs);
    let too_far = |limit_px: &f64| shift.is_some_and(|shift| shift.reaches(*limit_px));
    if let Some((shift, limit_px)) = shift.zip(rules.refusal_limit_px().filter(too_far)) {
        let origin = rules.pixel_origin;
        out.contradiction.get_or_insert(Contradiction::Pixels { shift, limit_px, origin });
    } else if rules.source == PositionSource::Columns
        && median_arcsec > rules.disagreement_limit_arcsec(pixel_arcsec(wcs))
    {
        out.anomalies.push(Anomaly::Disagreement { median_arcsec, shift });
    }
    units
}

/// Returns the size of a pixel at the reference point.
fn pixel_arcsec(wcs: &Wcs) -> f64 {
    let [[a, b], [c, d]] = wcs.matrix_deg();
    (a * d - b * c).abs().sqrt() * 3600.0
}

/// Returns the shift of x and y against the pixels of the columns.
fn shift(sources: &Sources<'_>, cells: &Placed<'_>, units: Units, wcs: &Wcs) -> Option<Shift> {
    // A column of single precision is at most half a step from the position that was computed.
    let step_deg = |axis: usize, values: &[f64]| {
        let is_single = cells.columns[axis].element() == Some(fits::Element::Float);
        let largest =
            values.iter().fold(0.0, |a: f64, b| a.max(b.abs() * f64::from(b.is_finite())));
        if is_single { largest * units[axis].degrees * f64::from(f32::EPSILON) / 2.0 } else { 0.0 }
    };
    let rounding_deg = step_deg(0, cells.ra).max(step_deg(1, cells.dec));
    let seen = sampled(cells).filter_map(|row| {
        let (ra, dec) = cells.degrees(row, units);
        let (x, y) = wcs.sky_to_pixel(SkyPosition::new(ra, dec)?)?;
        Some(Pixels { delivered: [sources.x[row], sources.y[row]], of_wcs: [x, y] })
    });
    median_shift(seen, rounding_deg * 3600.0 / pixel_arcsec(wcs))
}

/// Returns the rows that are compared with the WCS, those without a position left out.
fn sampled(cells: &Placed<'_>) -> impl Iterator<Item = usize> {
    let step = cells.ra.len().div_ceil(SAMPLE).max(1);
    let is_placed = |row: &usize| !is_missing(cells.ra[*row], cells.dec[*row]);
    (0..cells.ra.len()).step_by(step).filter(is_placed)
}

/// Returns the change that would agree with the WCS, and the setting of the profile for it: other units, or another frame.
fn better(
    sources: &Sources<'_>,
    cells: &Placed<'_>,
    units: Units,
    limit_arcsec: f64,
) -> Option<String> {
    const FRAMES: [ReferenceFrame; 5] = [
        ReferenceFrame::Icrs,
        ReferenceFrame::Fk4 { equinox: 1950.0 },
        ReferenceFrame::Galactic,
        ReferenceFrame::Ecliptic { equinox: 2000.0 },
        ReferenceFrame::Supergalactic,
    ];
    let agrees = |cells: &Placed<'_>, units| {
        median_distance_arcsec(sources, cells, units).is_some_and(|d| d <= limit_arcsec)
    };
    let other_units =
        candidates([None, None]).find(|other| *other != units && agrees(cells, *other));
    let found = other_units.map(|units| (names(units), "unit"));
    let (found, setting) = found.or_else(|| {
        let frame = FRAMES.into_iter().find(|frame| agrees(&cells.in_frame(*frame), units))?;
        Some((frame.to_string(), "frame"))
    })?;
    Some(format!("in {found} they would agree: set catalogue.position.{setting}"))
}

/// Returns the units that the headers declare, or those of the profile.
fn declared(cells: &Placed<'_>, rules: &PositionRules) -> [Declared; 2] {
    let axes = [Axis::RightAscension, Axis::Declination];
    std::array::from_fn(|n| {
        let column = cells.columns[n];
        let unit = match rules.unit {
            _ if cells.in_degrees[n] => AngleUnit::DEGREES,
            PositionUnit::Tunit => return Declared::of(column.unit.as_deref(), axes[n]),
            PositionUnit::Radians => AngleUnit::RADIANS,
            PositionUnit::Hours if n == 0 => AngleUnit::HOURS,
            PositionUnit::Degrees | PositionUnit::Hours => AngleUnit::DEGREES,
        };
        Declared::Unit(unit)
    })
}

/// Returns true when a column holds angles as text.
pub(super) fn is_text(column: &Column) -> bool {
    use fits::{AsciiKind, ColumnKind, Element};
    matches!(column.kind, ColumnKind::Cells(Element::Text) | ColumnKind::Ascii(AsciiKind::Text))
}

/// Returns the possible units of columns whose TUNIT does not determine them, the usual unit of catalogues first.
fn candidates(fixed: [Option<AngleUnit>; 2]) -> impl Iterator<Item = Units> {
    const USUAL: [Units; 3] = [
        [AngleUnit::RADIANS, AngleUnit::RADIANS],
        [AngleUnit::DEGREES, AngleUnit::DEGREES],
        [AngleUnit::HOURS, AngleUnit::DEGREES],
    ];
    USUAL.into_iter().map(move |[ra, dec]| [fixed[0].unwrap_or(ra), fixed[1].unwrap_or(dec)])
}

/// Returns units that nothing declares, by the range of the values alone.
fn without_wcs(
    sources: &Sources<'_>,
    cells: &Placed<'_>,
    declared: &[Declared; 2],
    fixed: [Option<AngleUnit>; 2],
    out: &mut Positions,
) -> Units {
    let mut unknown = declared.iter().zip(cells.columns).filter_map(|(d, column)| match d {
        Declared::Nothing | Declared::Unit(_) => None,
        Declared::Unknown(text) => Some((column.label(), text.clone())),
        _ => Some((column.label(), column.unit.clone().unwrap_or_default())),
    });
    if let Some((column, declared)) = unknown.next().filter(|_| sources.wcs.is_none()) {
        out.contradiction = Some(Contradiction::Unit { column, declared });
    }
    let possible = |units: &Units| !mostly_impossible(cells, *units);
    let units = candidates(fixed).find(possible).unwrap_or([AngleUnit::DEGREES; 2]);
    if sources.wcs.is_none() && out.contradiction.is_none() {
        let found = names(units);
        out.anomalies.push(match units == fixed.map(|unit| unit.unwrap_or(AngleUnit::RADIANS)) {
            true => Anomaly::UnitAssumed { found },
            false => Anomaly::UnitInferred { found },
        });
    }
    units
}

/// Returns units as declared, unless most values cannot be in them and can be degrees.
fn possible(
    cells: &Placed<'_>,
    declared: Units,
    rules: &PositionRules,
    out: &mut Positions,
) -> Units {
    let degrees = [AngleUnit::DEGREES; 2];
    let differs = rules.unit == PositionUnit::Tunit
        && declared != degrees
        && mostly_impossible(cells, declared)
        && !mostly_impossible(cells, degrees);
    if !differs {
        return declared;
    }
    out.anomalies
        .push(Anomaly::UnitContradicted { declared: names(declared), found: names(degrees) });
    degrees
}

/// Returns true when more than half of the rows cannot be positions in these units.
fn mostly_impossible(cells: &Placed<'_>, units: Units) -> bool {
    let bad = |(ra, dec): (&f64, &f64)| {
        (ra * units[0].degrees).abs() > 360.001 || (dec * units[1].degrees).abs() > 90.001
    };
    cells.ra.iter().zip(cells.dec).filter(|p| bad(*p)).count() > cells.ra.len() / 2
}

/// Returns the median over some rows of the distance between columns and WCS; `None` without a WCS or rows to compare.
fn median_distance_arcsec(sources: &Sources<'_>, cells: &Placed<'_>, units: Units) -> Option<f64> {
    let wcs = sources.wcs?;
    let mut distances: Vec<f64> = sampled(cells)
        .filter_map(|row| {
            let wcs = wcs.pixel_to_sky(sources.x[row], sources.y[row])?;
            let (ra, dec) = cells.degrees(row, units);
            // A value that is not a position counts as the largest distance from the WCS.
            let apart = SkyPosition::new(ra, dec).map_or(180.0, |seen| {
                angular_distance_deg(seen.ra_deg, seen.dec_deg, wcs.ra_deg, wcs.dec_deg)
            });
            Some(apart * 3600.0)
        })
        .collect();
    distances.sort_by(f64::total_cmp);
    distances.get(distances.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fits::{ColumnKind, Element};

    fn column(unit: Option<&str>) -> Column {
        Column {
            number: 59,
            name: Some("RA".to_owned()),
            tform: "1E".to_owned(),
            kind: ColumnKind::Cells(Element::Float),
            repeat: 1,
            offset: 0,
            bytes: 4,
            unit: unit.map(str::to_owned),
            tscal: None,
            tzero: None,
            tnull: None,
            tdisp: None,
            tdim: None,
            shape: Vec::new(),
        }
    }

    struct Plain;
    impl sky::Keywords for Plain {
        fn text(&self, keyword: &str) -> Option<String> {
            let text = match keyword {
                "CTYPE1" => "RA---TAN",
                "CTYPE2" => "DEC--TAN",
                _ => return None,
            };
            Some(text.to_owned())
        }
        fn number(&self, keyword: &str) -> Option<f64> {
            Some(match keyword {
                "CRVAL1" => 2.0,
                "CRVAL2" => 1.0,
                "CRPIX1" | "CRPIX2" => 0.0,
                "CD1_1" | "CD2_2" => 1e-4,
                "CD1_2" | "CD2_1" => 0.0,
                _ => return None,
            })
        }
    }

    fn run(
        unit: Option<&str>,
        rows: &[(f64, f64)],
        with_wcs: bool,
        rules: &PositionRules,
    ) -> (Vec<(f64, f64)>, Vec<&'static str>) {
        run_units([unit; 2], rows, with_wcs, rules)
    }

    fn run_units(
        units: [Option<&str>; 2],
        rows: &[(f64, f64)],
        with_wcs: bool,
        rules: &PositionRules,
    ) -> (Vec<(f64, f64)>, Vec<&'static str>) {
        let wcs = Wcs::from_image(&Plain).unwrap();
        let columns = units.map(column);
        let (ra, dec): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
        let pixels = vec![0.0; rows.len()];
        let sources = Sources {
            columns: Some(SkyCells {
                columns: [&columns[0], &columns[1]],
                in_degrees: [false; 2],
                ra: &ra,
                dec: &dec,
                frame: &Ok(ReferenceFrame::Icrs),
                keeps_fk5_2000: false,
            }),
            x: &pixels,
            y: &pixels,
            wcs: with_wcs.then_some(&wcs),
        };
        let found = positions(&sources, rules);
        let refused = found.contradiction.iter().map(Contradiction::code);
        let codes = found
            .anomalies
            .iter()
            .map(Anomaly::code)
            .chain(refused)
            .map(model::RefusalCode::as_str)
            .collect();
        (found.ra_deg.into_iter().zip(found.dec_deg).collect(), codes)
    }

    /// Limits in arcsec alone.
    fn arcsec() -> PositionRules {
        PositionRules { disagreement_arcsec: Some(10.0), ..PositionRules::default() }
    }

    #[test]
    fn units() {
        let rules = PositionRules::default();
        let radians = (2.0_f64.to_radians(), 1.0_f64.to_radians());
        let hours = (2.0 / 15.0, 1.0);
        let both = |unit| [unit; 2];
        let mixed = [Some("h"), Some("deg")];
        type Case<'a> = ([Option<&'a str>; 2], (f64, f64), bool, Option<(f64, f64)>, &'a [&'a str]);
        let at = Some((2.0, 1.0));
        let refused = &["position_contradicts_wcs"][..];
        let cases: [Case<'_>; 16] = [
            (both(Some("Radians")), radians, true, at, &[]),
            (both(Some("RADIANS ")), radians, false, at, &[]),
            (both(None), radians, true, at, &[]),
            (both(None), radians, false, at, &["position_unit_assumed"]),
            (both(None), hours, true, at, &["position_unit_inferred"]),
            (both(Some("Degrees")), (2.0, 1.0), true, at, &[]),
            (both(Some("deg")), (2.0, 1.0), false, at, &[]),
            (mixed, hours, true, at, &[]),
            (mixed, hours, false, at, &[]),
            ([Some("deg"), Some("arcsec")], (2.0, 3600.0), true, at, &[]),
            ([Some("hourangle"), None], hours, true, at, &["position_unit_inferred"]),
            // Declared as radians, and beyond 2 pi: real photometry lists of NGTS.
            (
                both(Some("Radians")),
                (171.9, -2.9),
                false,
                Some((171.9, -2.9)),
                &["position_unit_contradicted"],
            ),
            // Within 2 pi nevertheless: the declaration contradicts the WCS.
            (both(Some("Radians")), (2.0, 1.0), true, None, refused),
            (both(Some("deg")), hours, true, None, refused),
            (both(Some("pix")), (2.0, 1.0), true, at, &["position_unit_inferred"]),
            (both(Some("pix")), (2.0, 1.0), false, None, &["position_unit_unknown"]),
        ];
        for (units, row, with_wcs, wanted, codes) in cases {
            let (found, reported) = run_units(units, &[row; 3], with_wcs, &rules);
            assert_eq!(reported, codes, "{units:?} {row:?}");
            for (ra, dec) in found {
                let Some(wanted) = wanted else { continue };
                assert!(
                    (ra - wanted.0).abs() < 1e-13 && (dec - wanted.1).abs() < 1e-13,
                    "{ra} {dec}"
                );
            }
        }
        let forced = PositionRules { unit: PositionUnit::Degrees, ..PositionRules::default() };
        assert_eq!(run(Some("Radians"), &[(2.0, 1.0)], true, &forced).0, [(2.0, 1.0)]);
    }

    #[test]
    fn columns_far_from_the_wcs() {
        let rules = arcsec();
        let off = |arcsec: f64| (2.0, 1.0 + arcsec / 3600.0);
        for (arcsec, codes) in [
            (0.5, &[][..]),
            (20.0, &["position_disagrees_with_wcs"]),
            (29.9, &["position_disagrees_with_wcs"]),
            (31.0, &["position_contradicts_wcs"]),
        ] {
            assert_eq!(run(Some("deg"), &[off(arcsec); 5], true, &rules).1, codes, "{arcsec}");
        }
        // The median counts.
        let mut rows = [off(0.0); 5];
        rows[1] = off(3600.0);
        rows[3] = off(-7200.0);
        assert_eq!(run(Some("deg"), &rows, true, &rules).1, [""; 0]);
    }

    #[test]
    fn positions_of_the_wcs_are_checked_by_the_columns() {
        let rules = PositionRules {
            source: PositionSource::Wcs,
            disagreement_arcsec: Some(0.1),
            ..PositionRules::default()
        };
        let off = |arcsec: f64| (2.0, 1.0 + arcsec / 3600.0);
        let rows = [off(0.09), off(0.11), (0.0, 0.0), off(0.0), (2.0, 95.0)];
        let (found, reported) = run(Some("deg"), &rows, true, &rules);
        assert_eq!(reported, ["position_from_wcs", "position_disagrees_with_wcs"]);
        for (ra, dec) in found {
            assert!((ra - 2.0).abs() < 1e-12 && (dec - 1.0).abs() < 1e-12, "{ra} {dec}");
        }
        assert_eq!(
            run(Some("deg"), &[off(31.0); 3], true, &rules).1[1..],
            ["position_contradicts_wcs"]
        );
        let (found, reported) = run(Some("deg"), &[off(1.0); 3], false, &rules);
        assert_eq!((found[0], reported), (off(1.0), vec!["position_from_columns"]));
    }

    #[test]
    fn half_a_pixel_is_the_limit_without_keys() {
        let rules = PositionRules::default();
        // Pixels of 0.36 arcsec.
        let off = |px: f64| (2.0, 1.0 + px * 1e-4);
        let wcs = PositionRules { source: PositionSource::Wcs, ..PositionRules::default() };
        for (px, codes) in [
            (0.0, &[][..]),
            (0.4, &[]),
            (-0.4, &[]),
            (0.6, &["pixel_shift"]),
            (-1.0, &["pixel_shift"]),
            (100.0, &["position_contradicts_wcs"]),
        ] {
            assert_eq!(run(Some("deg"), &[off(px); 5], true, &rules).1, codes, "{px}");
            let (_, reported) = run(Some("deg"), &[off(px); 5], true, &wcs);
            let differ = codes.iter().map(|_| "position_disagrees_with_wcs");
            assert_eq!(reported, differ.chain(codes.iter().copied()).collect::<Vec<_>>(), "{px}");
        }
        // Positions that scatter around x and y are a finding.
        let rows = [off(2.0), off(-2.0), off(2.0), off(-2.0), off(0.1)];
        let found = run(Some("deg"), &rows, true, &rules).1;
        assert_eq!(found, ["position_disagrees_with_wcs"]);
        let lenient = PositionRules { refuse_above_px: Some(3.0), ..PositionRules::default() };
        let found = run(Some("deg"), &[off(2.0); 3], true, &lenient).1;
        assert_eq!(found, ["position_disagrees_with_wcs"]);
        // The columns are in single precision: half a step is no shift, at RA 2 a thousandth of a pixel.
        assert_eq!(
            run(Some("deg"), &[off(0.500_9); 3], true, &rules).1,
            ["position_disagrees_with_wcs"]
        );
        assert_eq!(run(Some("deg"), &[off(0.501_5); 3], true, &rules).1, ["pixel_shift"]);
    }

    #[test]
    fn rows_without_a_position() {
        let rows = [(2.0, 1.0), (0.0, 0.0), (f64::NAN, 1.0), (0.0, 1.0)];
        let rules = PositionRules {
            disagreement_arcsec: Some(1e9),
            refuse_above_arcsec: Some(1e9),
            ..PositionRules::default()
        };
        let (found, reported) = run(Some("deg"), &rows, true, &rules);
        assert_eq!(reported, ["position_from_wcs"]);
        for (row, wanted) in [(2.0, 1.0), (2.0, 1.0), (2.0, 1.0), (0.0, 1.0)].iter().enumerate() {
            let (ra, dec) = found[row];
            assert!((ra - wanted.0).abs() < 1e-12 && (dec - wanted.1).abs() < 1e-12, "row {row}");
        }
        let strict = PositionRules { missing: MissingPosition::Refuse, ..rules };
        let (found, reported) = run(Some("deg"), &rows, true, &strict);
        assert!(reported.is_empty());
        let missing: Vec<bool> = found.iter().map(|(ra, _)| ra.is_nan()).collect();
        assert_eq!(missing, [false, true, true, false]);
    }

    #[test]
    fn right_ascension_is_brought_into_range() {
        let rules = PositionRules::default();
        let rows = [(-10.0, 0.5), (360.0, 0.5), (370.0, 0.5), (1e9, 0.5), (f64::INFINITY, 0.5)];
        let (found, _) = run(Some("deg"), &rows, false, &rules);
        let ra: Vec<f64> = found.into_iter().map(|(ra, _)| ra).collect();
        assert_eq!(ra, [350.0, 0.0, 10.0, 1e9, f64::INFINITY]);
    }
}
