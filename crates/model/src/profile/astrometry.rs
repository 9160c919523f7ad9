//! Rules for reading the reference frames of headers.

use serde::Deserialize;

/// Rules for reference frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AstrometryRules {
    /// The treatment of positions in the FK5 of equinox 2000.0.
    pub fk5_2000: Fk5Rule,
}

/// The treatment of positions in the FK5 of equinox 2000.0, which differs from the ICRS by 0.023 arcsec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fk5Rule {
    /// They are rotated to the ICRS.
    #[default]
    Rotate,
    /// They stay unchanged: the survey's astrometry is tied to an ICRS catalogue but labelled FK5.
    Keep,
}
