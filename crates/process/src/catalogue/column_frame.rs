//! The reference frame of the columns RA and DEC.
//!
//! The profile may name it. Otherwise the columns themselves do by TUCD or TTYPE, then the header of the table (with the
//! primary header of its file), then the image. A frame that none of them names is the ICRS, as the standard defines.

use super::layout::Layout;
use super::wcs_cards::Cards;
use crate::header_view::HeaderView;
use fits::{Column, Table};
use model::detector::Detector;
use model::profile::PositionFrame;
use sky::{Keywords, ReferenceFrame, WcsFault};

/// The frame of the two columns, or the reason why it is not known.
pub(super) type ColumnFrame = Result<ReferenceFrame, UnknownFrame>;

/// The reason why the frame of columns is unknown, as a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnknownFrame(pub(super) String);

/// A frame that the name or the UCD of a column declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Icrs,
    /// Equatorial of equinox 2000.0.
    J2000,
    /// Equatorial of equinox 1950.0.
    B1950,
    Galactic,
    Supergalactic,
    Ecliptic,
}

/// Returns the frame of the columns RA and DEC of a table.
pub(super) fn column_frame(
    (table, view): (&Table<'_>, HeaderView<'_>),
    layout: &Layout,
    detector: &Detector,
    rule: PositionFrame,
) -> ColumnFrame {
    let fixed = match rule {
        PositionFrame::Header => None,
        PositionFrame::Icrs => Some(ReferenceFrame::Icrs),
        PositionFrame::Fk5 => Some(ReferenceFrame::Fk5 { equinox: 2000.0 }),
        PositionFrame::Fk4 => Some(ReferenceFrame::Fk4 { equinox: 1950.0 }),
        PositionFrame::Galactic => Some(ReferenceFrame::Galactic),
        PositionFrame::Supergalactic => Some(ReferenceFrame::Supergalactic),
        PositionFrame::Ecliptic => Some(ReferenceFrame::Ecliptic { equinox: 2000.0 }),
    };
    if let Some(frame) = fixed {
        return Ok(frame);
    }
    let image = Cards(&detector.wcs);
    let named = match layout.ra_dec {
        None => None,
        Some((ra, dec)) => {
            let [ra, dec] = [ra, dec].map(|delivered| &table.columns()[delivered.table]);
            named_by_both(ra, dec, view)?
        }
    };
    match named {
        Some(Named::Icrs) => Ok(ReferenceFrame::Icrs),
        Some(Named::B1950) => Ok(ReferenceFrame::Fk4 { equinox: 1950.0 }),
        Some(Named::Galactic) => Ok(ReferenceFrame::Galactic),
        Some(Named::Supergalactic) => Ok(ReferenceFrame::Supergalactic),
        Some(Named::J2000) => Ok(match declared(view, &image) {
            Ok(ReferenceFrame::Icrs) => ReferenceFrame::Icrs,
            _ => ReferenceFrame::Fk5 { equinox: 2000.0 },
        }),
        Some(Named::Ecliptic) => match ReferenceFrame::declared(&view).map_err(of("the table"))? {
            Some(_) => ReferenceFrame::declared_ecliptic(&view).map_err(of("the table")),
            None => ReferenceFrame::declared_ecliptic(&image).map_err(of("the image")),
        },
        None => declared(view, &image),
    }
}

/// Returns the equatorial frame that the table's headers declare, else that of the image, else the ICRS.
///
/// EPOCH alone is as often the date of observation as an equinox: it declares a frame only where the image declares none.
fn declared(view: HeaderView<'_>, image: &Cards<'_>) -> ColumnFrame {
    let is_named = ["RADESYS", "RADECSYS", "EQUINOX"].iter().any(|key| view.value(key).is_some());
    if !is_named && let Some(frame) = ReferenceFrame::declared(image).map_err(of("the image"))? {
        return Ok(frame);
    }
    if let Some(frame) = ReferenceFrame::declared(&view).map_err(of("the table"))? {
        return Ok(frame);
    }
    let frame = ReferenceFrame::declared(image).map_err(of("the image"))?;
    Ok(frame.unwrap_or(ReferenceFrame::Icrs))
}

fn of(header: &'static str) -> impl Fn(WcsFault) -> UnknownFrame {
    move |fault| UnknownFrame(format!("{fault}, in the header of {header}"))
}

/// Returns the frame that both columns name. An equatorial one may be named by one of them alone.
fn named_by_both(
    ra: &Column,
    dec: &Column,
    view: HeaderView<'_>,
) -> Result<Option<Named>, UnknownFrame> {
    let is_equatorial = |name| matches!(name, Named::Icrs | Named::J2000 | Named::B1950);
    match [ra, dec].map(|column| named(column, view)) {
        [first, second] if first == second => Ok(first),
        [Some(name), None] | [None, Some(name)] if is_equatorial(name) => Ok(Some(name)),
        _ => Err(UnknownFrame(format!(
            "columns {} and {} are not of one reference frame",
            ra.label(),
            dec.label()
        ))),
    }
}

/// Returns the frame that a column names by TUCD, else by TTYPE.
fn named(column: &Column, view: HeaderView<'_>) -> Option<Named> {
    let of_column = |stem: &str| view.text(&format!("{stem}{}", column.number));
    let ucd = of_column("TUCD").or_else(|| of_column("TBUCD")).map(|ucd| ucd.to_ascii_lowercase());
    ucd.and_then(|ucd| by_ucd(&ucd)).or_else(|| by_name(column.name.as_deref()?))
}

fn by_ucd(ucd: &str) -> Option<Named> {
    const UCDS: [(&str, Named); 6] = [
        ("pos.galactic", Named::Galactic),
        ("pos_gal", Named::Galactic),
        ("pos.supergalactic", Named::Supergalactic),
        ("pos_sg", Named::Supergalactic),
        ("pos.ecliptic", Named::Ecliptic),
        ("pos_ec", Named::Ecliptic),
    ];
    UCDS.iter().find(|(start, _)| ucd.starts_with(start)).map(|(_, named)| *named)
}

/// Returns the frame in the name of a column, as VizieR, SExtractor and missions name theirs.
fn by_name(name: &str) -> Option<Named> {
    const GALACTIC: [&str; 15] = [
        "GLON", "GLAT", "GAL_LON", "GAL_LAT", "GALLON", "GALLAT", "GLONG", "GALLONG", "GAL_LONG",
        "L", "B", "LII", "BII", "GAL_L", "GAL_B",
    ];
    const ECLIPTIC: [&str; 8] =
        ["ELON", "ELAT", "ECLLON", "ECLLAT", "ECL_LON", "ECL_LAT", "ECL_LONG", "ELONG"];
    const SUPERGALACTIC: [&str; 6] = ["SLON", "SLAT", "SGLON", "SGLAT", "SGL", "SGB"];
    let name = name.trim().trim_start_matches('_').to_ascii_uppercase();
    let equinox = [("ICRS", Named::Icrs), ("J2000", Named::J2000), ("B1950", Named::B1950)]
        .into_iter()
        .find_map(|(end, named)| {
            Some((name.strip_suffix(end)?.trim_end_matches(['_', '.']), named))
        });
    let stem = equinox.map_or(name.as_str(), |(stem, _)| stem);
    let axes = [
        (&GALACTIC[..], Named::Galactic),
        (&ECLIPTIC[..], Named::Ecliptic),
        (&SUPERGALACTIC[..], Named::Supergalactic),
    ];
    let axis = axes.iter().find(|(names, _)| names.contains(&stem)).map(|(_, named)| *named);
    axis.or_else(|| Some(equinox?.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_names_of_columns() {
        let cases = [
            ("RA", None),
            ("DEC", None),
            ("ALPHA_SKY", None),
            ("ELONGATION", None),
            ("ALPHA_J2000", Some(Named::J2000)),
            ("DEJ2000", Some(Named::J2000)),
            ("_RAB1950", Some(Named::B1950)),
            ("DELTA_B1950", Some(Named::B1950)),
            ("RA_ICRS", Some(Named::Icrs)),
            ("glon", Some(Named::Galactic)),
            ("Gal_Lat", Some(Named::Galactic)),
            ("b", Some(Named::Galactic)),
            ("ELAT", Some(Named::Ecliptic)),
            ("ELON_J2000", Some(Named::Ecliptic)),
            ("SGB", Some(Named::Supergalactic)),
        ];
        for (name, wanted) in cases {
            assert_eq!(by_name(name), wanted, "{name}");
        }
        let ucds = [
            ("pos.eq.ra;meta.main", None),
            ("pos.galactic.lon", Some(Named::Galactic)),
            ("pos_ec_lat", Some(Named::Ecliptic)),
            ("pos.supergalactic.lat", Some(Named::Supergalactic)),
        ];
        for (ucd, wanted) in ucds {
            assert_eq!(by_ucd(ucd), wanted, "{ucd}");
        }
    }
}
