//! The part of the archive that an act is for.

use crate::failure;
use archive::Reader;
use model::{DeliveryName, Night};

/// Deliveries: those named and those of some nights, or all.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Observing nights.
    pub nights: Vec<Night>,
    /// Deliveries by name.
    pub deliveries: Vec<DeliveryName>,
}

impl Scope {
    /// Returns true when the scope is the whole archive.
    pub fn is_all(&self) -> bool {
        self.nights.is_empty() && self.deliveries.is_empty()
    }
}

/// Lists the deliveries of a scope: those named, those of the nights, or all.
///
/// # Errors
/// `Kind::Gate` for a delivery or night that the archive does not know.
pub fn chosen(archive: &Reader, scope: &Scope) -> anyhow::Result<Vec<DeliveryName>> {
    let all = archive.deliveries(None)?;
    if scope.is_all() {
        return Ok(all);
    }
    let mut chosen = Vec::new();
    for name in &scope.deliveries {
        if !all.contains(name) {
            return Err(failure::gate(format!("the archive knows no delivery {name:?}")));
        }
        chosen.push(name.clone());
    }
    for night in &scope.nights {
        let of_night = archive.deliveries(Some(*night))?;
        if of_night.is_empty() {
            return Err(failure::gate(format!("the archive knows no delivery of night {night}")));
        }
        chosen.extend(of_night);
    }
    chosen.dedup();
    Ok(chosen)
}
