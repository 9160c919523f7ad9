//! Processings of the same night, and the frames of an earlier processing that a later one lacks.

use crate::deliveries::provider;
use crate::error::ArchiveFault;
use engine::Connection;

/// Lists the deliveries of the same night and provider, oldest processing first: by version, comparing numbers in it as numbers,
/// then by registration. The list is empty for a delivery without night or version. Two deliveries of one version are not
/// processings of each other.
pub(crate) fn processings(c: &Connection, delivery: i64) -> Result<Vec<i64>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT other.delivery_id, other.version FROM delivery AS own
             JOIN delivery AS other ON other.night = own.night AND other.version IS NOT NULL
         WHERE own.delivery_id = ?1 AND own.version IS NOT NULL
             AND (other.delivery_id = own.delivery_id OR other.version <> own.version)",
    )?;
    let rows = select.query_map([delivery], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let mut found: Vec<(i64, String)> = rows.collect::<Result<_, _>>()?;
    found.sort_by_key(|(id, version)| (version_key(version), *id));
    let mut processings = Vec::new();
    for (id, _) in found {
        if provider::is_same(c, delivery, id)? {
            processings.push(id);
        }
    }
    Ok(processings)
}

/// Splits a version such as `10.2b` into pieces of a number and a text each, so that 10 sorts after 9.
fn version_key(version: &str) -> Vec<(u64, String)> {
    let mut key: Vec<(u64, String)> = Vec::new();
    for c in version.chars() {
        let is_new = key.last().is_none_or(|(_, text)| !text.is_empty() && c.is_ascii_digit());
        if is_new {
            key.push((0, String::new()));
        }
        if let Some((number, text)) = key.last_mut() {
            match c.to_digit(10).filter(|_| text.is_empty()) {
                Some(digit) => *number = number.saturating_mul(10).saturating_add(digit.into()),
                None => text.push(c),
            }
        }
    }
    key
}

/// Lists the current frames of earlier processings of a delivery's night that have no successor in it: delivery and file.
pub(crate) fn without_successor(
    c: &Connection,
    delivery: i64,
) -> Result<Vec<(String, String)>, ArchiveFault> {
    let processings = processings(c, delivery)?;
    let earlier = processings.iter().take_while(|id| **id != delivery);
    let mut select = c.prepare_cached(
        "SELECT delivery.name, old_file.name
         FROM file AS old_file JOIN delivery USING (delivery_id) JOIN image USING (file_id)
         WHERE old_file.delivery_id = ?1 AND old_file.state = 'current'
             AND EXISTS (SELECT * FROM file AS any_file WHERE any_file.delivery_id = ?2
                             AND coalesce(any_file.survey, '') = coalesce(old_file.survey, ''))
             AND NOT EXISTS (SELECT * FROM file AS new_file
                             WHERE new_file.delivery_id = ?2 AND new_file.frame_name = old_file.frame_name
                                 AND new_file.state = 'current' AND new_file.kind = 'image')
             AND EXISTS (SELECT * FROM multiframe_all AS seen
                         WHERE seen.multiframe_id = image.multiframe_id AND seen.end_event IS NULL)
         ORDER BY old_file.name",
    )?;
    let mut found = Vec::new();
    for older in earlier {
        let rows = select.query_map([*older, delivery], |r| Ok((r.get(0)?, r.get(1)?)))?;
        found.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::version_key;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let mut versions = ["10", "2", "1.10", "1.9", "1", "2b", "2a"];
        versions.sort_by_key(|v| version_key(v));
        assert_eq!(versions, ["1", "1.9", "1.10", "2", "2a", "2b", "10"]);
    }
}
