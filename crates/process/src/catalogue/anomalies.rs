//! Findings about positions, and the reasons to trust no position.

use super::shift::Shift;
use model::RefusalCode;

/// An anomaly in the positions of an HDU.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Anomaly {
    /// The values cannot be in the unit that TUNIT declares, but can be in another.
    UnitContradicted { declared: String, found: String },
    /// TUNIT is absent or unknown, and the values are in this unit by the WCS or by their range.
    UnitInferred { found: String },
    /// TUNIT is absent, and nothing confirms the usual unit.
    UnitAssumed { found: String },
    /// Columns and WCS differ in the median.
    Disagreement { median_arcsec: f64, shift: Option<Shift> },
    /// Rows whose columns differ from the position by the WCS.
    RowsDisagree { rows: u64, largest_arcsec: f64, limit_arcsec: f64 },
    /// Rows without a position got one from the WCS, or could not be checked by their columns.
    FromWcs { rows: u64 },
    /// Positions are those of the catalogue, because the image has no WCS to compute them.
    FromColumns { rows: u64 },
    /// The frame of the columns is unknown, so that the positions of the WCS are not checked by them.
    FrameUnknown { reason: String },
}

impl Anomaly {
    pub(super) fn code(&self) -> RefusalCode {
        match self {
            Self::UnitContradicted { .. } => RefusalCode::POSITION_UNIT_CONTRADICTED,
            Self::UnitInferred { .. } => RefusalCode::POSITION_UNIT_INFERRED,
            Self::UnitAssumed { .. } => RefusalCode::POSITION_UNIT_ASSUMED,
            Self::Disagreement { .. } | Self::RowsDisagree { .. } => {
                RefusalCode::POSITION_DISAGREES_WITH_WCS
            }
            Self::FromWcs { .. } => RefusalCode::POSITION_FROM_WCS,
            Self::FromColumns { .. } => RefusalCode::POSITION_FROM_COLUMNS,
            Self::FrameUnknown { .. } => RefusalCode::POSITION_FRAME_UNKNOWN,
        }
    }

    pub(super) fn count(&self) -> u64 {
        match self {
            Self::FromWcs { rows } | Self::FromColumns { rows } => *rows,
            Self::RowsDisagree { rows, .. } => *rows,
            _ => 1,
        }
    }

    pub(super) fn message(&self) -> String {
        match self {
            Self::UnitContradicted { declared, found } => {
                format!("TUNIT of RA and DEC declares {declared}, the values are in {found}")
            }
            Self::UnitInferred { found } => {
                format!("TUNIT of RA and DEC declares no known unit, the values are in {found}")
            }
            Self::UnitAssumed { found } => {
                format!("TUNIT of RA and DEC is missing, {found} are assumed without confirmation")
            }
            Self::Disagreement { median_arcsec, shift } => {
                let shift = shift.map_or(String::new(), |shift| format!("; {}", shifted(shift)));
                format!(
                    "RA and DEC are {median_arcsec:.2} arcsec in the median from where the WCS has x and y{shift}"
                )
            }
            Self::RowsDisagree { rows, largest_arcsec, limit_arcsec } => format!(
                "in {rows} rows RA and DEC are more than {} arcsec, up to {largest_arcsec:.2}, from where \
                 the WCS has x and y; the WCS counts",
                (limit_arcsec * 1e4).round() / 1e4
            ),
            Self::FromWcs { rows } => {
                format!("{rows} rows without RA and DEC have them from x and y through the WCS")
            }
            Self::FromColumns { rows } => {
                format!("{rows} rows have the catalogue's RA and DEC: the image has no usable WCS")
            }
            Self::FrameUnknown { reason } => {
                format!(
                    "RA and DEC are not compared with the WCS, their reference frame is not known: {reason}"
                )
            }
        }
    }
}

/// Formats a shift with the signs of both axes.
fn shifted(shift: Shift) -> String {
    let Shift { dx, dy, .. } = shift;
    format!("x and y are shifted against them by dx = {dx:+.2}, dy = {dy:+.2} pixels")
}

/// The reason why no position of an HDU can be trusted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Contradiction {
    /// Columns and WCS differ grossly in the median.
    Wcs { median_arcsec: f64, limit_arcsec: f64, unit: String, better: Option<String> },
    /// x and y are shifted against the pixels of the columns. `origin` is that of the profile.
    Pixels { shift: Shift, limit_px: f64, origin: u8 },
    /// The unit of a column is unknown, and there is no WCS to find it by.
    Unit { column: String, declared: String },
    /// The reference frame of the columns is unknown.
    Frame { reason: String },
}

impl Contradiction {
    pub(super) fn code(&self) -> RefusalCode {
        match self {
            Self::Wcs { .. } => RefusalCode::POSITION_CONTRADICTS_WCS,
            Self::Pixels { .. } => RefusalCode::PIXEL_SHIFT,
            Self::Unit { .. } => RefusalCode::POSITION_UNIT_UNKNOWN,
            Self::Frame { .. } => RefusalCode::POSITION_FRAME_UNKNOWN,
        }
    }

    /// Returns true for a shift by some pixels on the right detector.
    pub(super) fn is_of_pixels(&self) -> bool {
        matches!(self, Self::Pixels { .. })
    }

    /// Returns the column with the fault.
    pub(super) fn column(&self) -> &str {
        match self {
            Self::Wcs { .. } | Self::Frame { .. } => "RA",
            Self::Pixels { .. } => "x",
            Self::Unit { column, .. } => column,
        }
    }

    /// Returns the reason as one sentence; `image` names the extension that has the WCS.
    pub(super) fn message(&self, image: &str) -> String {
        match self {
            Self::Wcs { median_arcsec, limit_arcsec, unit, better } => {
                let better = better.as_ref().map_or(String::new(), |better| format!("; {better}"));
                format!(
                    "RA and DEC, in {unit}, are {median_arcsec:.1} arcsec in the median from where the WCS of {image} \
                     has x and y; catalogue.position.refuse_above_arcsec is {limit_arcsec}{better}"
                )
            }
            Self::Pixels { shift, limit_px, origin } => format!(
                "RA and DEC are not where the WCS of {image} has x and y: in the median {}; \
                 catalogue.position.refuse_above_px is {limit_px}{}",
                shifted(*shift),
                origin_advice(*shift, *origin)
            ),
            Self::Unit { column, declared } => format!(
                "TUNIT of {column} is {declared:?}, no known unit of angle, and {image} has no WCS to determine the unit"
            ),
            Self::Frame { reason } => format!(
                "the reference frame of RA and DEC is not known: {reason}; set catalogue.position.frame of the profile"
            ),
        }
    }
}

/// Returns the advice for a shift by one pixel in both axes.
fn origin_advice(shift: Shift, origin: u8) -> String {
    match (shift.one_pixel(), origin) {
        (Some(-1), 1) => {
            "; x and y count from 0: set catalogue.position.pixel_origin = 0".to_owned()
        }
        (Some(1), 0) => {
            "; x and y count from 1: set catalogue.position.pixel_origin = 1".to_owned()
        }
        (Some(_), _) => format!(
            "; catalogue.position.pixel_origin is {origin}, as x and y require if RA and DEC were computed from pixels \
             with the wrong origin"
        ),
        (None, _) => String::new(),
    }
}
