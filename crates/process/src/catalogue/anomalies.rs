//! Findings about positions, and the reasons to trust no position.

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
    Disagreement { median_arcsec: f64 },
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
            Self::Disagreement { median_arcsec } => {
                format!(
                    "RA and DEC are {median_arcsec:.2} arcsec in the median from where the WCS has x and y"
                )
            }
            Self::RowsDisagree { rows, largest_arcsec, limit_arcsec } => format!(
                "in {rows} rows RA and DEC are more than {limit_arcsec} arcsec, up to {largest_arcsec:.2}, from where \
                 the WCS has x and y; the WCS counts"
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

/// The reason why no position of an HDU can be trusted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Contradiction {
    /// Columns and WCS differ grossly in the median.
    Wcs { median_arcsec: f64, limit_arcsec: f64, unit: String, better: Option<String> },
    /// The unit of a column is unknown, and there is no WCS to find it by.
    Unit { column: String, declared: String },
    /// The reference frame of the columns is unknown.
    Frame { reason: String },
}

impl Contradiction {
    pub(super) fn code(&self) -> RefusalCode {
        match self {
            Self::Wcs { .. } => RefusalCode::POSITION_CONTRADICTS_WCS,
            Self::Unit { .. } => RefusalCode::POSITION_UNIT_UNKNOWN,
            Self::Frame { .. } => RefusalCode::POSITION_FRAME_UNKNOWN,
        }
    }

    /// Returns the column with the fault.
    pub(super) fn column(&self) -> &str {
        match self {
            Self::Wcs { .. } | Self::Frame { .. } => "RA",
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
            Self::Unit { column, declared } => format!(
                "TUNIT of {column} is {declared:?}, no known unit of angle, and {image} has no WCS to determine the unit"
            ),
            Self::Frame { reason } => format!(
                "the reference frame of RA and DEC is not known: {reason}; set catalogue.position.frame of the profile"
            ),
        }
    }
}
