//! Providers: which deliveries come from one. Frames of one provider supersede and name each other, those of two never do.
//!
//! Start at [`is_same`]. What an origin is, is recorded in `delivery_origin`.

use crate::engine::Connection;
use crate::error::ArchiveFault;

/// Origin of a delivery: its name, its address, and whether the configuration names it as a source.
type Origin = (String, String, bool);

/// Returns whether two deliveries come from one provider.
///
/// They do when they share an origin. They do not when both come from configured sources, when their origins delivered
/// directories of one name that are two deliveries, or when their headers name different telescopes or instruments.
pub(crate) fn is_same(c: &Connection, one: i64, other: i64) -> Result<bool, ArchiveFault> {
    if one == other {
        return Ok(true);
    }
    let (a, b) = (origins(c, one)?, origins(c, other)?);
    if pairs(&a, &b).any(|(a, b)| a.0 == b.0 || a.1 == b.1 && !(a.2 && b.2)) {
        return Ok(true);
    }
    if pairs(&a, &b).any(|(a, b)| a.2 && b.2) {
        return Ok(false);
    }
    for (a, b) in pairs(&a, &b) {
        if have_namesakes(c, &a.0, &b.0)? {
            return Ok(false);
        }
    }
    let (a, b) = (cameras(c, one)?, cameras(c, other)?);
    Ok(a.is_empty() || b.is_empty() || a.iter().any(|a| b.iter().any(|b| may_be_one(a, b))))
}

fn pairs<'o>(a: &'o [Origin], b: &'o [Origin]) -> impl Iterator<Item = (&'o Origin, &'o Origin)> {
    a.iter().flat_map(move |a| b.iter().map(move |b| (a, b)))
}

fn origins(c: &Connection, delivery: i64) -> Result<Vec<Origin>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT origin, address, is_source FROM delivery JOIN delivery_origin ON delivery_origin.delivery = delivery.name
         WHERE delivery_id = ?1 ORDER BY origin",
    )?;
    let rows =
        select.query_map([delivery], |r| Ok((r.get(0)?, r.get(1)?, r.get::<i64>(2)? == 1)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns whether two origins delivered directories of one name that are different deliveries.
fn have_namesakes(c: &Connection, a: &str, b: &str) -> Result<bool, ArchiveFault> {
    Ok(c.prepare_cached(
        "SELECT EXISTS (SELECT * FROM delivery_origin AS a JOIN delivery_origin AS b ON b.directory = a.directory
                        WHERE a.origin = ?1 AND b.origin = ?2 AND a.delivery <> b.delivery)",
    )?
    .query_row([a, b], |r| r.get(0))?)
}

/// Telescope and instrument.
type Camera = (Option<String>, Option<String>);

/// Returns telescopes and instruments that the ingested headers of a delivery name.
fn cameras(c: &Connection, delivery: i64) -> Result<Vec<Camera>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT DISTINCT lower(trim(telescope)), lower(trim(instrument))
         FROM file JOIN image USING (file_id) JOIN multiframe_all AS frame ON frame.multiframe_id = image.multiframe_id
         WHERE file.delivery_id = ?1 AND (telescope IS NOT NULL OR instrument IS NOT NULL)",
    )?;
    let rows = select.query_map([delivery], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn may_be_one(a: &Camera, b: &Camera) -> bool {
    let fits = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    fits(&a.0, &b.0) && fits(&a.1, &b.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_differ_where_both_are_named() {
        let camera = |telescope: &str, instrument: &str| {
            let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            (named(telescope), named(instrument))
        };
        assert!(may_be_one(&camera("ukirt", "wfcam"), &camera("ukirt", "wfcam")));
        assert!(may_be_one(&camera("ukirt", ""), &camera("ukirt", "wfcam")));
        assert!(!may_be_one(&camera("ukirt", "ufti"), &camera("ukirt", "wfcam")));
        assert!(!may_be_one(&camera("vista", ""), &camera("ukirt", "wfcam")));
    }
}
