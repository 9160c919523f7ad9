//! Sky positions of catalogues.

use serde::Deserialize;

/// Rules for sky positions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PositionRules {
    /// Source of positions: columns, or recomputed.
    pub source: PositionSource,
    /// Unit of the columns.
    pub unit: PositionUnit,
    /// Reference frame of the columns.
    pub frame: PositionFrame,
    /// The treatment of rows whose position was never filled in (RA = DEC = 0) and of tables without the columns.
    pub missing: MissingPosition,
    /// Distance in pixels that x and y may be outside the detector before the row is refused.
    pub margin_px: f64,
    /// A finding is recorded when columns and WCS differ by more than this: in the median, or in single rows where the
    /// positions are computed from the WCS.
    pub disagreement_arcsec: f64,
    /// An HDU is refused whose columns and WCS differ by more than this in the median.
    pub refuse_above_arcsec: f64,
}

impl Default for PositionRules {
    fn default() -> Self {
        Self {
            source: PositionSource::default(),
            unit: PositionUnit::default(),
            frame: PositionFrame::default(),
            missing: MissingPosition::default(),
            margin_px: 64.0,
            disagreement_arcsec: 10.0,
            refuse_above_arcsec: 30.0,
        }
    }
}

/// Source of sky positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionSource {
    /// The columns RA and DEC, in their stored precision.
    #[default]
    Columns,
    /// x and y, through the WCS of the image in double precision; the columns are compared with them. For an image
    /// without a WCS, the columns.
    Wcs,
}

/// Unit of the columns RA and DEC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionUnit {
    /// The unit that TUNIT of each column declares, unless most values cannot be in it. Without a known TUNIT, the unit
    /// that agrees with the WCS; without a WCS, radians where there is no TUNIT and the values can be in radians.
    #[default]
    Tunit,
    /// Both in radians.
    Radians,
    /// Both in degrees.
    Degrees,
    /// RA in hours, DEC in degrees.
    Hours,
}

/// Reference frame of the columns RA and DEC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionFrame {
    /// The frame given by TUCD and the names of the columns (`pos.galactic.lon`, `GLON`, `ALPHA_J2000`), else by
    /// RADESYS and EQUINOX of the table, else by those of the image, with the defaults of the standard.
    #[default]
    Header,
    /// The ICRS.
    Icrs,
    /// The FK5 of 2000.0.
    Fk5,
    /// The FK4 of 1950.0.
    Fk4,
    /// Galactic longitude and latitude.
    Galactic,
    /// Supergalactic longitude and latitude.
    Supergalactic,
    /// Longitude and latitude in the ecliptic of 2000.0.
    Ecliptic,
}

/// The treatment of a row without a position on the sky.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingPosition {
    /// It is computed from x and y through the WCS of the image.
    #[default]
    Wcs,
    /// The row is refused.
    Refuse,
}
