//! Where the rows of a catalogue are on the sky, in degrees.

use fits::Column;
use model::profile::{MissingPosition, PositionRules, PositionSource, PositionUnit};
use sky::{SkyPosition, Wcs, angular_distance_deg};

/// Rows whose columns are compared with the WCS.
const SAMPLE: usize = 15;

/// Unit of the columns RA and DEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Radians,
    Degrees,
}

impl Unit {
    fn other(self) -> Self {
        match self {
            Self::Radians => Self::Degrees,
            Self::Degrees => Self::Radians,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Radians => "radians",
            Self::Degrees => "degrees",
        }
    }

    fn degrees(self, value: f64) -> f64 {
        match self {
            Self::Radians => value.to_degrees(),
            Self::Degrees => value,
        }
    }

    /// What TUNIT says; radians, as CASU has it, when it says nothing.
    fn of_column(column: &Column) -> Self {
        let unit = column.unit.as_deref().unwrap_or("").trim().to_ascii_lowercase();
        if unit.starts_with("deg") { Self::Degrees } else { Self::Radians }
    }
}

/// Something odd about the positions of an HDU.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Oddity {
    /// The values cannot be in the unit that TUNIT gives, but are in the other.
    UnitContradicted { said: &'static str, found: &'static str },
    /// Columns and WCS differ.
    Disagreement { median_arcsec: f64 },
    /// Rows without a position got one from the WCS.
    FromWcs { rows: u64 },
}

impl Oddity {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::UnitContradicted { .. } => "position_unit_contradicted",
            Self::Disagreement { .. } => "position_disagrees_with_wcs",
            Self::FromWcs { .. } => "position_from_wcs",
        }
    }

    pub(super) fn count(&self) -> u64 {
        if let Self::FromWcs { rows } = self { *rows } else { 1 }
    }

    pub(super) fn message(&self) -> String {
        match self {
            Self::UnitContradicted { said, found } => {
                format!("RA and DEC are said to be in {said} and are in {found}")
            }
            Self::Disagreement { median_arcsec } => {
                format!("RA and DEC are {median_arcsec:.1} arcsec from where the WCS has x and y")
            }
            Self::FromWcs { rows } => {
                format!("{rows} rows without RA and DEC got them from x and y through the WCS")
            }
        }
    }
}

/// Positions of an HDU's rows, degrees; NaN where there is none.
#[derive(Debug, Default)]
pub(super) struct Positions {
    pub(super) ra_deg: Vec<f64>,
    pub(super) dec_deg: Vec<f64>,
    pub(super) oddities: Vec<Oddity>,
}

/// What positions are made of. `columns` are RA and DEC as in the file with their descriptions, when the table
/// has them.
pub(super) struct Sources<'a> {
    pub(super) columns: Option<(&'a Column, &'a [f64], &'a [f64])>,
    pub(super) x: &'a [f64],
    pub(super) y: &'a [f64],
    pub(super) wcs: Option<&'a Wcs>,
}

/// Positions after the rules of the profile. Values that cannot be a position stay what they are.
pub(super) fn positions(sources: &Sources<'_>, rules: &PositionRules) -> Positions {
    let mut out = Positions::default();
    let from_columns = match rules.source {
        PositionSource::Wcs => None,
        PositionSource::Columns => sources.columns,
    };
    match (from_columns, sources.wcs) {
        (Some((column, ra, dec)), wcs) => {
            let unit = unit(sources, (column, ra, dec), rules, &mut out.oddities);
            out.ra_deg.extend(ra.iter().map(|v| unit.degrees(*v)));
            out.dec_deg.extend(dec.iter().map(|v| unit.degrees(*v)));
            fill_missing(sources, wcs.filter(|_| rules.missing == MissingPosition::Wcs), &mut out);
        }
        (None, Some(wcs))
            if rules.source == PositionSource::Wcs || rules.missing == MissingPosition::Wcs =>
        {
            wcs.pixels_to_sky(sources.x, sources.y, &mut out.ra_deg, &mut out.dec_deg);
            if rules.source == PositionSource::Columns {
                out.oddities.push(Oddity::FromWcs { rows: sources.x.len() as u64 });
            }
        }
        _ => {
            out.ra_deg.resize(sources.x.len(), f64::NAN);
            out.dec_deg.resize(sources.x.len(), f64::NAN);
        }
    }
    turn_into_range(&mut out.ra_deg);
    out
}

/// A position that was never filled in: nothing, or the dummy of the pipeline.
fn is_missing(ra: f64, dec: f64) -> bool {
    ra.is_nan() || dec.is_nan() || (ra == 0.0 && dec == 0.0)
}

/// Gives rows without a position the one that the WCS has for them, or NaN.
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
        out.oddities.push(Oddity::FromWcs { rows: filled });
    }
}

/// Right ascension within 0 and 360; beyond -360 and 720 it is left alone, as no position.
fn turn_into_range(ra_deg: &mut [f64]) {
    for ra in ra_deg {
        if !(0.0..360.0).contains(ra) && ra.abs() <= 720.0 {
            *ra = SkyPosition::new(*ra, 0.0).map_or(f64::NAN, |p| p.ra_deg);
        }
    }
}

/// The unit of the columns; an oddity when the values say otherwise than TUNIT.
fn unit(
    sources: &Sources<'_>,
    (column, ra, dec): (&Column, &[f64], &[f64]),
    rules: &PositionRules,
    oddities: &mut Vec<Oddity>,
) -> Unit {
    let said = match rules.unit {
        PositionUnit::Radians => Unit::Radians,
        PositionUnit::Degrees => Unit::Degrees,
        PositionUnit::Tunit => Unit::of_column(column),
    };
    let may_differ = rules.unit == PositionUnit::Tunit;
    let distance = |unit| median_distance_arcsec(sources, ra, dec, unit);
    let limit = rules.disagreement_arcsec;
    let wcs_says_other = || {
        distance(said).is_some_and(|d| d > limit)
            && distance(said.other()).is_some_and(|d| d <= limit)
    };
    let differs = may_differ && (mostly_impossible(ra, dec, said) || wcs_says_other());
    let unit = if differs { said.other() } else { said };
    if unit != said {
        oddities.push(Oddity::UnitContradicted { said: said.name(), found: unit.name() });
    }
    if let Some(median_arcsec) = distance(unit).filter(|d| *d > limit) {
        oddities.push(Oddity::Disagreement { median_arcsec });
    }
    unit
}

/// Whether more than half of the values cannot be positions in this unit, and could be in the other.
fn mostly_impossible(ra: &[f64], dec: &[f64], unit: Unit) -> bool {
    let out_of = |unit: Unit| {
        let bad = |(ra, dec): (&f64, &f64)| {
            unit.degrees(*ra).abs() > 360.001 || unit.degrees(*dec).abs() > 90.001
        };
        ra.iter().zip(dec).filter(|p| bad(*p)).count()
    };
    let half = ra.len() / 2;
    out_of(unit) > half && out_of(unit.other()) <= half
}

/// Median over some rows of the distance between columns and WCS; `None` without a WCS or rows to compare.
fn median_distance_arcsec(
    sources: &Sources<'_>,
    ra: &[f64],
    dec: &[f64],
    unit: Unit,
) -> Option<f64> {
    let wcs = sources.wcs?;
    let step = ra.len().div_ceil(SAMPLE).max(1);
    let mut distances: Vec<f64> = (0..ra.len())
        .step_by(step)
        .filter(|&row| !is_missing(ra[row], dec[row]))
        .filter_map(|row| {
            let seen = SkyPosition::new(unit.degrees(ra[row]), unit.degrees(dec[row]))?;
            let wcs = wcs.pixel_to_sky(sources.x[row], sources.y[row])?;
            Some(angular_distance_deg(seen.ra_deg, seen.dec_deg, wcs.ra_deg, wcs.dec_deg) * 3600.0)
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
        let wcs = Wcs::from_image(&Plain).unwrap();
        let column = column(unit);
        let (ra, dec): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
        let pixels = vec![0.0; rows.len()];
        let sources = Sources {
            columns: Some((&column, &ra, &dec)),
            x: &pixels,
            y: &pixels,
            wcs: with_wcs.then_some(&wcs),
        };
        let found = positions(&sources, rules);
        let codes = found.oddities.iter().map(Oddity::code).collect();
        (found.ra_deg.into_iter().zip(found.dec_deg).collect(), codes)
    }

    #[test]
    fn units() {
        let rules = PositionRules::default();
        let radians = (2.0_f64.to_radians(), 1.0_f64.to_radians());
        type Case<'a> = (Option<&'a str>, (f64, f64), bool, (f64, f64), &'a [&'a str]);
        let cases: [Case<'_>; 8] = [
            (Some("Radians"), radians, true, (2.0, 1.0), &[]),
            (Some("RADIANS "), radians, false, (2.0, 1.0), &[]),
            (None, radians, true, (2.0, 1.0), &[]),
            (Some("Degrees"), (2.0, 1.0), true, (2.0, 1.0), &[]),
            (Some("deg"), (2.0, 1.0), false, (2.0, 1.0), &[]),
            // Said to be radians, and beyond 2 pi: real photometry lists of NGTS.
            (Some("Radians"), (171.9, -2.9), false, (171.9, -2.9), &["position_unit_contradicted"]),
            // Within 2 pi all the same: only the WCS can tell.
            (Some("Radians"), (2.0, 1.0), true, (2.0, 1.0), &["position_unit_contradicted"]),
            (Some("deg"), (2.1, 1.0), true, (2.1, 1.0), &["position_disagrees_with_wcs"]),
        ];
        for (unit, row, with_wcs, wanted, codes) in cases {
            let (found, told) = run(unit, &[row; 3], with_wcs, &rules);
            assert_eq!(told, codes, "{unit:?} {row:?}");
            for (ra, dec) in found {
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
    fn rows_without_a_position() {
        let rows = [(2.0, 1.0), (0.0, 0.0), (f64::NAN, 1.0), (0.0, 1.0)];
        let rules = PositionRules { disagreement_arcsec: 1e9, ..PositionRules::default() };
        let (found, told) = run(Some("deg"), &rows, true, &rules);
        assert_eq!(told, ["position_from_wcs"]);
        for (row, wanted) in [(2.0, 1.0), (2.0, 1.0), (2.0, 1.0), (0.0, 1.0)].iter().enumerate() {
            let (ra, dec) = found[row];
            assert!((ra - wanted.0).abs() < 1e-12 && (dec - wanted.1).abs() < 1e-12, "row {row}");
        }
        let strict = PositionRules { missing: MissingPosition::Refuse, ..rules };
        let (found, told) = run(Some("deg"), &rows, true, &strict);
        assert!(told.is_empty());
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
