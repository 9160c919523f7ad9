//! Origins of deliveries: the delivery of each directory of each place, and an operator's declarations about a delivery.

use crate::deliveries::{SkippedEntry, delivery_id};
use crate::error::{ArchiveError, ArchiveFault};
use crate::history::Cause;
use crate::time::text_of;
use crate::{Archive, Reader, Timestamp};
use engine::{Connection, Optional};
use model::DeliveryName;
use rusqlite::params;

/// Place that a delivery comes from. Together with the directory's name it identifies the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryOrigin {
    /// Name of a configured source, or address of the parent directory.
    pub origin: String,
    /// True when the configuration names the origin as a source.
    pub is_source: bool,
    /// Address of the parent directory, without secrets.
    pub address: String,
    /// Name of the delivery's directory there.
    pub directory: String,
}

/// An origin with the delivery that comes from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOrigin {
    /// The place.
    pub place: DeliveryOrigin,
    /// Name of the delivery.
    pub delivery: DeliveryName,
    /// True when no file of the delivery is registered yet: its first fetch is running or was interrupted.
    pub is_reserved: bool,
}

/// Claim of an origin on the name of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
    /// The delivery is the origin's own.
    Own,
    /// The origin is known to supply the delivery, under another spelling of its name or address.
    Known,
    /// An operator declares the delivery to be the same as one of another origin.
    Join(&'a str),
}

impl Reader {
    /// Returns the origins of deliveries, in the order of their recording: all of them, or those with a directory of a name.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn origins(&self, directory: Option<&str>) -> Result<Vec<KnownOrigin>, ArchiveError> {
        self.read("list origins of deliveries", |c| list(c, directory))
    }

    /// Returns the entries that the source of a delivery showed at its last listing and that were not fetched.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown delivery among them.
    pub fn skipped(&self, delivery: &DeliveryName) -> Result<Vec<SkippedEntry>, ArchiveError> {
        self.read("list skipped entries", |c| skipped(c, delivery))
    }
}

impl Archive {
    /// Records that a delivery comes from an origin. A reservation of the name by another origin whose fetch never registered a
    /// file expires. The caller holds the lock of the delivery's directory in the library.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the origin has another delivery, or the delivery another origin and is not joined.
    pub fn claim_origin(
        &mut self,
        place: &DeliveryOrigin,
        delivery: &DeliveryName,
        claim: Claim<'_>,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        let act = format!("record the origin of {delivery}");
        self.write("origin", act, |tx| self::claim(tx, place, delivery, claim, now))
    }

    /// Removes the reservation of a name for which no file was registered; does nothing for a delivery that exists.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn release_origin(&mut self, place: &DeliveryOrigin) -> Result<(), ArchiveError> {
        let act = format!("release the name of {}", place.directory);
        self.write("origin", act, |tx| release(tx, place))
    }

    /// Declares a delivery complete by an operator's decision. Later fetches await nothing of the delivery, until
    /// [`crate::registration::DeliveryFacts::is_reopened`]. Returns `false` when it was declared complete before.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown delivery among them.
    pub fn close_delivery(
        &mut self,
        delivery: &DeliveryName,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<bool, ArchiveError> {
        let act = format!("declare {delivery} complete");
        self.write("close", act, |tx| close(tx, delivery, cause, now))
    }
}

/// Implements [`crate::Reader::origins`].
pub(crate) fn list(
    c: &Connection,
    directory: Option<&str>,
) -> Result<Vec<KnownOrigin>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT origin, directory, delivery, address, is_source,
             NOT EXISTS (SELECT * FROM delivery WHERE delivery.name = delivery_origin.delivery)
         FROM delivery_origin WHERE CAST(?1 AS TEXT) IS NULL OR directory = ?1
         ORDER BY recorded, origin, directory",
    )?;
    let rows = select.query_map([directory], |r| {
        Ok(KnownOrigin {
            place: DeliveryOrigin {
                origin: r.get(0)?,
                directory: r.get(1)?,
                address: r.get(3)?,
                is_source: r.get::<i64>(4)? == 1,
            },
            delivery: r.name(2)?,
            is_reserved: r.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Archive::claim_origin`].
pub(crate) fn claim(
    tx: &Connection,
    place: &DeliveryOrigin,
    delivery: &DeliveryName,
    claim: Claim<'_>,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let exists = delivery_id(tx, delivery).is_ok();
    if !exists {
        // No process holds the lock of the delivery's directory, and no file of the delivery was registered: that fetch has
        // ended.
        tx.execute(
            "DELETE FROM delivery_origin WHERE delivery = ?1 AND (origin <> ?2 OR directory <> ?3)",
            params![delivery.as_str(), place.origin, place.directory],
        )?;
    }
    let other: Option<String> = tx
        .query_row(
            "SELECT delivery FROM delivery_origin WHERE origin = ?1 AND directory = ?2",
            [&place.origin, &place.directory],
            |r| r.get(0),
        )
        .optional()?;
    if let Some(other) = other.filter(|other| *delivery != *other) {
        return Err(ArchiveFault::Conflict(format!(
            "{} of {} is delivery {other}, not {delivery}",
            place.directory, place.origin
        )));
    }
    let joined_by = match claim {
        Claim::Join(_) if !exists => {
            return Err(ArchiveFault::Unknown { what: "delivery", name: delivery.to_string() });
        }
        Claim::Join(who) => Some(who),
        Claim::Own | Claim::Known => None,
    };
    if claim == Claim::Own && is_of_others(tx, place, delivery)? {
        return Err(ArchiveFault::Conflict(format!("delivery {delivery} has another origin")));
    }
    tx.execute(
        "INSERT INTO delivery_origin (origin, directory, delivery, address, is_source, joined_by, recorded)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (origin, directory) DO UPDATE SET address = excluded.address, is_source = excluded.is_source",
        params![
            place.origin,
            place.directory,
            delivery.as_str(),
            place.address,
            i64::from(place.is_source),
            joined_by,
            text_of(now)
        ],
    )?;
    Ok(())
}

/// Returns whether a delivery comes from other origins, and not from this one, by its name or its address.
fn is_of_others(
    tx: &Connection,
    place: &DeliveryOrigin,
    delivery: &DeliveryName,
) -> Result<bool, ArchiveFault> {
    Ok(tx.query_row(
        "SELECT EXISTS (SELECT * FROM delivery_origin WHERE delivery = ?1)
             AND NOT EXISTS (SELECT * FROM delivery_origin WHERE delivery = ?1 AND directory = ?2
                                 AND (origin = ?3 OR address = ?4))",
        [delivery.as_str(), &place.directory, &place.origin, &place.address],
        |r| r.get(0),
    )?)
}

/// Implements [`crate::Archive::release_origin`].
pub(crate) fn release(tx: &Connection, place: &DeliveryOrigin) -> Result<(), ArchiveFault> {
    tx.execute(
        "DELETE FROM delivery_origin WHERE origin = ?1 AND directory = ?2
             AND NOT EXISTS (SELECT * FROM delivery WHERE delivery.name = delivery_origin.delivery)",
        [&place.origin, &place.directory],
    )?;
    Ok(())
}

/// Implements [`crate::Archive::close_delivery`].
pub(crate) fn close(
    tx: &Connection,
    delivery: &DeliveryName,
    cause: &Cause,
    now: Timestamp,
) -> Result<bool, ArchiveFault> {
    let id = delivery_id(tx, delivery)?;
    let closed = tx.execute(
        "UPDATE delivery SET closed = ?2, closed_by = ?3, awaited = NULL,
             state = CASE state WHEN 'arriving' THEN 'registered' ELSE state END
         WHERE delivery_id = ?1 AND (closed IS NULL OR awaited IS NOT NULL OR state = 'arriving')",
        params![id, text_of(now), cause.who],
    )?;
    Ok(closed > 0)
}

/// Implements [`crate::Reader::skipped`].
pub(crate) fn skipped(
    c: &Connection,
    delivery: &DeliveryName,
) -> Result<Vec<SkippedEntry>, ArchiveFault> {
    let id = delivery_id(c, delivery)?;
    let mut select = c.prepare_cached(
        "SELECT name, code, why FROM skipped WHERE delivery_id = ?1 ORDER BY name",
    )?;
    let rows = select.query_map([id], |r| {
        Ok(SkippedEntry { name: r.get(0)?, code: r.name(1)?, why: r.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Replaces the records of entries that a source showed and that were not fetched.
pub(crate) fn note_skipped(
    tx: &Connection,
    delivery: i64,
    entries: &[SkippedEntry],
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let mut select = tx.prepare_cached("SELECT name FROM skipped WHERE delivery_id = ?1")?;
    let known: Vec<String> =
        select.query_map([delivery], |r| r.get(0))?.collect::<Result<_, _>>()?;
    for name in known.iter().filter(|name| !entries.iter().any(|e| e.name == **name)) {
        tx.prepare_cached("DELETE FROM skipped WHERE delivery_id = ?1 AND name = ?2")?
            .execute(params![delivery, name])?;
    }
    for entry in entries {
        tx.prepare_cached(
            "INSERT INTO skipped (delivery_id, name, code, why, first_seen) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (delivery_id, name) DO UPDATE SET code = excluded.code, why = excluded.why",
        )?
        .execute(params![delivery, entry.name, entry.code.name(), entry.why, text_of(now)])?;
    }
    Ok(())
}
