//! Sky positions of catalogues.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

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
    /// The pixel coordinate of the centre of the first pixel in x and y as delivered: 1 (default, as in FITS) or 0 (photutils,
    /// sep and other programs in Python and C). Archived x and y count from 1. Example: `pixel_origin = 0`.
    #[serde(deserialize_with = "pixel_origin")]
    pub pixel_origin: u8,
    /// A finding is recorded when columns and WCS differ by more than this many pixels: in the median, or in single rows where
    /// the positions are computed from the WCS. Default 0.5, unless `disagreement_arcsec` is given. Example:
    /// `disagreement_px = 0.2`.
    pub disagreement_px: Option<f64>,
    /// The same limit in arcsec. Where both limits are given, the smaller one counts. Example: `disagreement_arcsec = 0.1`.
    pub disagreement_arcsec: Option<f64>,
    /// An HDU is refused (`pixel_shift`) whose x or y are shifted by this many pixels or more in the median against the
    /// pixels of the columns RA and DEC in the WCS. The shift has a sign, so that errors of single rows cancel out. Default
    /// 0.5, unless one of the keys in arcsec is given. Example: `refuse_above_px = 2.0`.
    pub refuse_above_px: Option<f64>,
    /// An HDU is refused whose columns and WCS differ by more than this in the median. Default 30. Example:
    /// `refuse_above_arcsec = 5.0`.
    pub refuse_above_arcsec: Option<f64>,
}

/// Pixels by which positions may differ where the profile has no limit.
const LIMIT_PX: f64 = 0.5;
/// Arcseconds beyond which an HDU is refused where the profile has no limit.
const REFUSE_ABOVE_ARCSEC: f64 = 30.0;

impl Default for PositionRules {
    fn default() -> Self {
        Self {
            source: PositionSource::default(),
            unit: PositionUnit::default(),
            frame: PositionFrame::default(),
            missing: MissingPosition::default(),
            margin_px: 64.0,
            pixel_origin: 1,
            disagreement_px: None,
            disagreement_arcsec: None,
            refuse_above_px: None,
            refuse_above_arcsec: None,
        }
    }
}

impl PositionRules {
    /// Returns the distance of columns and WCS beyond which a finding is recorded, for pixels of this size.
    pub fn disagreement_limit_arcsec(&self, pixel_arcsec: f64) -> f64 {
        let px = self.disagreement_px.or(self.disagreement_arcsec.is_none().then_some(LIMIT_PX));
        let in_pixels = px.map_or(f64::INFINITY, |px| px * pixel_arcsec);
        self.disagreement_arcsec.map_or(in_pixels, |arcsec| arcsec.min(in_pixels))
    }

    /// Returns the median distance of columns and WCS beyond which an HDU is refused.
    pub fn refusal_limit_arcsec(&self) -> f64 {
        self.refuse_above_arcsec.unwrap_or(REFUSE_ABOVE_ARCSEC)
    }

    /// Returns the median shift of x or y at which an HDU is refused; `None` without a limit.
    pub fn refusal_limit_px(&self) -> Option<f64> {
        let in_arcsec = self.disagreement_arcsec.is_some() || self.refuse_above_arcsec.is_some();
        self.refuse_above_px.or((!in_arcsec).then_some(LIMIT_PX))
    }

    /// Returns the number to add to x and y as delivered so that the first pixel is centred on 1.
    pub fn pixel_offset(&self) -> f64 {
        f64::from(1 - self.pixel_origin)
    }

    /// Returns the limits as (key, value).
    pub(super) fn limits(&self) -> [(&'static str, f64); 5] {
        [
            ("position.margin_px", self.margin_px),
            ("position.disagreement_px", self.disagreement_px.unwrap_or_default()),
            ("position.disagreement_arcsec", self.disagreement_arcsec.unwrap_or_default()),
            ("position.refuse_above_px", self.refuse_above_px.unwrap_or_default()),
            ("position.refuse_above_arcsec", self.refuse_above_arcsec.unwrap_or_default()),
        ]
    }
}

/// Reads 0 or 1.
fn pixel_origin<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let origin = i64::deserialize(deserializer)?;
    u8::try_from(origin).ok().filter(|origin| *origin <= 1).ok_or_else(|| {
        D::Error::custom(format!(
            "{origin} is neither 0 nor 1, the coordinate of the centre of the first pixel"
        ))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_in_pixels_are_the_default() {
        let of = |text: &str| -> PositionRules { toml::from_str(text).unwrap() };
        let (arcsec, px) = ("disagreement_arcsec = 10.0", "disagreement_px = 2.0");
        let refuse = ["refuse_above_arcsec = 5.0", "refuse_above_px = 3.0"];
        let both = |one: &str, other: &str| format!("{one}\n{other}");
        // (keys, limit of a finding for pixels of 0.4 arcsec, limits of a refusal in arcsec and pixels)
        let cases = [
            (String::new(), 0.2, 30.0, Some(0.5)),
            (arcsec.to_owned(), 10.0, 30.0, None),
            (px.to_owned(), 0.8, 30.0, Some(0.5)),
            (both(arcsec, px), 0.8, 30.0, None),
            (both("disagreement_arcsec = 0.1", px), 0.1, 30.0, None),
            (refuse[0].to_owned(), 0.2, 5.0, None),
            (refuse[1].to_owned(), 0.2, 30.0, Some(3.0)),
            (both(refuse[0], refuse[1]), 0.2, 5.0, Some(3.0)),
        ];
        for (text, finding, refusal, shift) in cases {
            let rules = of(&text);
            assert_eq!(rules.disagreement_limit_arcsec(0.4), finding, "{text}");
            assert_eq!(rules.refusal_limit_arcsec(), refusal, "{text}");
            assert_eq!(rules.refusal_limit_px(), shift, "{text}");
        }
        assert_eq!(of("pixel_origin = 0").pixel_offset(), 1.0);
        assert_eq!(of("").pixel_offset(), 0.0);
        for wrong in ["2", "-1", "0.5"] {
            let text = format!("pixel_origin = {wrong}");
            assert!(toml::from_str::<PositionRules>(&text).is_err(), "{wrong}");
        }
    }
}
