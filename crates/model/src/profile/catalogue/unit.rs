//! Units of measures, which are converted to those of the archive.

/// The kinds of units that can be converted, for messages.
pub(super) const UNITS_HELP: &str = "angles (deg, rad, h, arcmin, arcsec, mas), magnitudes (mag, mmag), \
                                     pixels (pix) and counts (adu) have units, each of its own kind";

/// The quantity that a unit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Angle,
    Magnitude,
    Pixels,
    Counts,
}

/// Units by their names in lower case and singular, with the factor to the first unit of the kind.
const UNITS: &[(&[&str], Kind, f64)] = &[
    (&["deg", "degree"], Kind::Angle, 1.0),
    (&["rad", "radian"], Kind::Angle, 180.0 / std::f64::consts::PI),
    (&["h", "hr", "hour", "hourangle"], Kind::Angle, 15.0),
    (&["arcmin"], Kind::Angle, 1.0 / 60.0),
    (&["arcsec"], Kind::Angle, 1.0 / 3600.0),
    (&["mas", "marcsec"], Kind::Angle, 1.0 / 3.6e6),
    (&["mag", "magnitude"], Kind::Magnitude, 1.0),
    (&["mmag"], Kind::Magnitude, 1e-3),
    (&["pix", "pixel"], Kind::Pixels, 1.0),
    (&["adu", "count", "ct", "dn"], Kind::Counts, 1.0),
];

/// Returns the factor that converts values of one unit to another; `None` for an unknown unit, or one of another kind.
pub fn unit_factor(from: &str, to: &str) -> Option<f64> {
    let (kind, factor) = known(from)?;
    let (wanted, of_wanted) = known(to)?;
    (kind == wanted).then_some(factor / of_wanted)
}

fn known(unit: &str) -> Option<(Kind, f64)> {
    let unit = unit.trim().to_ascii_lowercase();
    let find = |unit: &str| UNITS.iter().find(|(names, ..)| names.contains(&unit));
    let (_, kind, factor) = find(&unit).or_else(|| find(unit.strip_suffix('s')?))?;
    Some((*kind, *factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_one_kind_are_converted() {
        let cases = [
            ("mmag", "mag", Some(1e-3)),
            ("Degrees ", "deg", Some(1.0)),
            ("RADIANS", "deg", Some(180.0 / std::f64::consts::PI)),
            ("h", "deg", Some(15.0)),
            ("mas", "deg", Some(1.0 / 3.6e6)),
            ("Pixels", "pix", Some(1.0)),
            ("ADU", "adu", Some(1.0)),
            ("counts", "adu", Some(1.0)),
            ("arcsec", "pix", None),
            ("mag", "", None),
            ("", "mag", None),
            ("mJy", "adu", None),
        ];
        for (from, to, wanted) in cases {
            assert_eq!(unit_factor(from, to), wanted, "{from} {to}");
        }
    }
}
