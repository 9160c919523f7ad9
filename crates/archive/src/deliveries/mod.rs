//! Deliveries: their names, nights and origins, and the deliveries that supersede each other. What arrives of them is recorded by
//! [`crate::registration`].

pub mod origins;
pub(crate) mod provider;
pub(crate) mod superseded;

use crate::Reader;
use crate::error::{ArchiveError, ArchiveFault};
use engine::{Connection, Optional};
use model::{DeliveryName, Night, SkipReason};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The state of a delivery. The order is the one in which reports list the states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// More files are expected.
    #[default]
    Arriving,
    /// All its rounds are ingested.
    Complete,
    /// All expected files are in the library.
    Registered,
}

impl DeliveryState {
    /// All states, in the order of a delivery's life.
    pub const ALL: [Self; 3] = [Self::Arriving, Self::Registered, Self::Complete];

    /// Returns the name in tables and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arriving => "arriving",
            Self::Registered => "registered",
            Self::Complete => "complete",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DeliveryState {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| format!("{name:?} is not a state of a delivery"))
    }
}

/// An entry that a source shows and that was not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedEntry {
    /// The name as the source shows it, escaped if needed.
    pub name: String,
    /// The reason.
    pub code: SkipReason,
    /// Reason in words.
    pub why: String,
}

impl Reader {
    /// Lists the names of the deliveries in the order of their registration; of one night, if given.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn deliveries(&self, night: Option<Night>) -> Result<Vec<DeliveryName>, ArchiveError> {
        self.read("list deliveries", |c| deliveries(c, night))
    }

    /// Returns what is still awaited of a delivery; `None` when nothing is, or the delivery is unknown.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn awaited(&self, delivery: &DeliveryName) -> Result<Option<String>, ArchiveError> {
        self.read(format!("look up {delivery:?}"), |c| awaited(c, delivery))
    }

    /// Returns the directory that a delivery was last fetched from.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when there is no such delivery.
    pub fn source(&self, delivery: &DeliveryName) -> Result<PathBuf, ArchiveError> {
        self.read(format!("look up {delivery:?}"), |c| source(c, delivery))
    }

    /// Returns the observing night of a delivery; `None` for one that has no night, or is unknown.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn night(&self, delivery: &DeliveryName) -> Result<Option<Night>, ArchiveError> {
        self.read(format!("look up {delivery:?}"), |c| night(c, delivery))
    }
}

/// Returns the internal number of a delivery.
pub(crate) fn delivery_id(tx: &Connection, name: &str) -> Result<i64, ArchiveFault> {
    tx.prepare_cached("SELECT delivery_id FROM delivery WHERE name = ?1")?
        .query_row([name], |r| r.get(0))
        .optional()?
        .ok_or_else(|| ArchiveFault::Unknown { what: "delivery", name: name.to_owned() })
}

/// Implements [`crate::Reader::deliveries`].
pub(crate) fn deliveries(
    c: &Connection,
    night: Option<Night>,
) -> Result<Vec<DeliveryName>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT name FROM delivery WHERE CAST(?1 AS INTEGER) IS NULL OR night = ?1 ORDER BY delivery_id",
    )?;
    Ok(select.query_map([night.map(Night::get)], |r| r.name(0))?.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Reader::awaited`].
pub(crate) fn awaited(
    c: &Connection,
    delivery: &DeliveryName,
) -> Result<Option<String>, ArchiveFault> {
    let mut select = c.prepare_cached("SELECT awaited FROM delivery WHERE name = ?1")?;
    Ok(select.query_row([delivery.as_str()], |r| r.get::<Option<String>>(0)).optional()?.flatten())
}

/// Implements [`crate::Reader::source`].
pub(crate) fn source(c: &Connection, delivery: &DeliveryName) -> Result<PathBuf, ArchiveFault> {
    let id = delivery_id(c, delivery)?;
    let source: String = c
        .prepare_cached("SELECT source FROM delivery WHERE delivery_id = ?1")?
        .query_row([id], |r| r.get(0))?;
    Ok(source.into())
}

/// Returns the night of a delivery; `None` when the delivery is unknown or has no night.
pub(crate) fn night(
    c: &Connection,
    delivery: &DeliveryName,
) -> Result<Option<Night>, ArchiveFault> {
    let mut select = c.prepare_cached("SELECT night FROM delivery WHERE name = ?1")?;
    let found: Option<Option<i32>> =
        select.query_row([delivery.as_str()], |r| r.get(0)).optional()?;
    Ok(found.flatten().and_then(Night::new))
}
