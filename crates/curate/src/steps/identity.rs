//! The identity of a delivery: its directory's name together with its origin.
//!
//! The first origin with a directory of a name has the delivery of that name, the same directory name at another origin is the
//! delivery `DIRECTORY@LABEL`. [`NightRun::identify`] decides under the lock of the delivery's directory in the library, so that
//! two processes never assign one name to two origins. [`expected`] decides the same without writing.

use super::NightRun;
use crate::sources::Origin;
use crate::words::counted;
use crate::{advice, failure, site};
use anyhow::Context;
use archive::Reader;
use archive::deliveries::origins::{Claim, KnownOrigin};
use model::{Advice, DeliveryName, MAX_NAME_BYTES};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};
use transfer::source::{Address, EntryKind};

/// The operator's declaration of which delivery a directory is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// No declaration: the origin decides. A directory that is most likely a known delivery at another path is an error.
    #[default]
    Unsaid,
    /// The origin decides; the content of the directory is not compared. For configured sources.
    ByOrigin,
    /// The directory is the delivery of this name (`--join`).
    Join(DeliveryName),
    /// The directory is a delivery of its own (`--new`).
    New,
}

/// Maximum number of labels that are tried for one directory.
const MAX_NAMESAKES: usize = 10_000;
/// Time within which a process that holds the lock of a new delivery has to record its origin.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the origin's own entry among those that have a directory of a name: by its name, else by its address. An address that
/// another configured source had is not the origin's own.
pub fn own<'k>(
    known: &'k [KnownOrigin],
    origin: &Origin,
    configured: &BTreeSet<String>,
) -> Option<&'k KnownOrigin> {
    let is_others = |k: &KnownOrigin| k.place.is_source && configured.contains(&k.place.origin);
    // Older sites record addresses as they were configured.
    let is_here = |k: &KnownOrigin| {
        let known = Address::parse(&k.place.address, Path::new("/"));
        k.place.address == origin.address
            || known.is_ok_and(|known| known.canonical().to_string() == origin.address)
    };
    known
        .iter()
        .find(|k| k.place.origin == origin.key)
        .or_else(|| known.iter().find(|k| !is_others(k) && is_here(k)))
}

/// Returns the names that a directory's delivery may have, in the order in which they are tried.
fn candidates(directory: &str, label: &str) -> impl Iterator<Item = DeliveryName> {
    let numbered = |n: usize| if n == 1 { String::new() } else { format!("-{n}") };
    let labelled = (1..MAX_NAMESAKES).map(move |n| format!("@{label}{}", numbered(n)));
    std::iter::once(String::new()).chain(labelled).filter_map(move |mark| {
        let room = MAX_NAME_BYTES.saturating_sub(mark.len()).min(directory.len());
        format!("{}{mark}", directory.get(..room)?).parse().ok()
    })
}

/// Returns the name that the delivery of a directory has, or would have.
///
/// # Errors
/// `Kind::Gate` where [`NightRun::identify`] needs the operator's declaration.
pub fn expected(
    archive: &Reader,
    (origin, directory): (&Origin, &str),
    configured: &BTreeSet<String>,
    identity: &Identity,
) -> anyhow::Result<DeliveryName> {
    let known = archive.origins(Some(directory))?;
    if let Some(own) = own(&known, origin, configured) {
        return as_said(own, identity).map(|()| own.delivery.clone());
    }
    match identity {
        Identity::Join(name) => joined(archive, name),
        _ => {
            check_unlike(archive, (origin, directory), &known, identity)?;
            let taken = archive.deliveries(None)?;
            let free = |name: &DeliveryName| !taken.contains(name);
            candidates(directory, &origin.label()).find(free).with_context(|| many(directory))
        }
    }
}

fn many(directory: &str) -> String {
    format!("{directory}: {MAX_NAMESAKES} deliveries have this directory name")
}

/// Refuses a declaration that contradicts an earlier decision.
fn as_said(own: &KnownOrigin, identity: &Identity) -> anyhow::Result<()> {
    match identity {
        Identity::Join(name) if *name != own.delivery => Err(failure::gate(format!(
            "{} of {} is delivery {} already, it cannot join {name}",
            own.place.directory, own.place.origin, own.delivery
        ))),
        _ => Ok(()),
    }
}

fn joined(archive: &Reader, name: &DeliveryName) -> anyhow::Result<DeliveryName> {
    match archive.deliveries(None)?.iter().any(|known| known == name) {
        true => Ok(name.clone()),
        false => Err(failure::gate(format!("--join {name}: the archive knows no such delivery"))),
    }
}

/// Refuses to guess when a directory of an unknown origin holds nothing but files of a known delivery of that directory name,
/// with their sizes: most likely it is that delivery, seen at another path.
fn check_unlike(
    archive: &Reader,
    (origin, directory): (&Origin, &str),
    known: &[KnownOrigin],
    identity: &Identity,
) -> anyhow::Result<()> {
    let namesakes: BTreeSet<&DeliveryName> =
        known.iter().filter(|k| !k.is_reserved).map(|k| &k.delivery).collect();
    if *identity != Identity::Unsaid || origin.is_source || namesakes.is_empty() {
        return Ok(());
    }
    let unfinished = origin.unfinished(&[]);
    let listed: Vec<_> = origin
        .source
        .list(directory)?
        .into_iter()
        .filter(|e| e.kind == EntryKind::File && transfer::names::fault(&e.name).is_none())
        .filter(|e| unfinished.why(&e.name.to_string_lossy()).is_none())
        .collect();
    for name in namesakes {
        let sizes: BTreeMap<String, u64> = archive
            .holdings(Some(name))?
            .into_iter()
            .filter(|h| h.is_current)
            .map(|h| (h.name, h.bytes))
            .collect();
        let is_known = |e: &transfer::Entry| {
            let size = e.name.to_str().and_then(|name| sizes.get(name));
            size.is_some_and(|size| e.bytes.is_none_or(|bytes| bytes == *size))
        };
        if !listed.is_empty() && listed.iter().all(is_known) {
            let place = format!("{}/{directory}", origin.address.trim_end_matches('/'));
            let join = Advice::RunJoin { place: place.clone(), delivery: name.clone() };
            return Err(failure::gate(format!(
                "{directory} of {} holds {} of delivery {name}, each with the name and size that it has there, and \
                 came from {} before: if it is the same delivery, run `{}` (--join {name}); if it is another one, run \
                 `{}` (--new)",
                origin.address,
                counted(listed.len() as u64, "file"),
                archive.source(name)?.display(),
                advice::command(&join),
                advice::command(&Advice::RunNew { place })
            )));
        }
    }
    Ok(())
}

impl NightRun {
    /// Returns the name of the delivery of a directory, with the lock that keeps other processes from fetching it.
    ///
    /// # Errors
    /// `Kind::Gate` where the operator has to decide, `Kind::Conflict` while another process fetches it.
    pub(super) fn identify(
        &mut self,
        (origin, directory): (&Origin, &str),
        identity: &Identity,
    ) -> anyhow::Result<(DeliveryName, files::DirLock)> {
        let configured = crate::sources::keys(&self.curator.site);
        let began = Instant::now();
        loop {
            let known = self.curator.archive.origins(Some(directory))?;
            if let Some(own) = own(&known, origin, &configured) {
                as_said(own, identity)?;
                let name = own.delivery.clone();
                let lock = self.locked(&name)?.ok_or_else(|| under_way(&name))?;
                self.claim((origin, directory), &name, Claim::Known)?;
                return Ok((name, lock));
            }
            if let Identity::Join(name) = identity {
                let name = joined(&self.curator.archive, name)?;
                let lock = self.locked(&name)?.ok_or_else(|| under_way(&name))?;
                let who = self.curator.cause.who.clone();
                self.claim((origin, directory), &name, Claim::Join(&who))?;
                return Ok((name, lock));
            }
            check_unlike(&self.curator.archive, (origin, directory), &known, identity)?;
            if let Some(found) = self.first_free((origin, directory))? {
                return Ok(found);
            }
            // The process that holds the lock records its origin within a moment; then the name belongs to that origin.
            if began.elapsed() > CLAIM_TIMEOUT {
                return Err(under_way(directory));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Takes the first name that no other origin has. Returns `None` when another process is about to record the origin of one.
    fn first_free(
        &mut self,
        (origin, directory): (&Origin, &str),
    ) -> anyhow::Result<Option<(DeliveryName, files::DirLock)>> {
        for name in candidates(directory, &origin.label()) {
            if self.curator.archive.deliveries(None)?.contains(&name) {
                continue;
            }
            let reserved = |archive: &Reader| -> anyhow::Result<bool> {
                Ok(archive.origins(None)?.iter().any(|k| k.delivery == name))
            };
            match self.locked(&name)? {
                None if reserved(&self.curator.archive)? => {}
                None => return Ok(None),
                // Another process may have registered files between the query and the lock.
                Some(_) if self.curator.archive.deliveries(None)?.contains(&name) => {}
                Some(lock) => {
                    self.claim((origin, directory), &name, Claim::Own)?;
                    return Ok(Some((name, lock)));
                }
            }
        }
        Err(anyhow::anyhow!(many(directory)))
    }

    fn claim(
        &mut self,
        (origin, directory): (&Origin, &str),
        name: &DeliveryName,
        claim: Claim<'_>,
    ) -> anyhow::Result<()> {
        let place = origin.place_of(directory);
        Ok(self.curator.archive.claim_origin(&place, name, claim, site::now())?)
    }

    /// Locks a delivery's directory in the library; returns `None` while another process holds the lock.
    pub(super) fn locked(&self, name: &DeliveryName) -> anyhow::Result<Option<files::DirLock>> {
        let library = self.curator.site.place.library().join(name);
        files::create_dir(&library)
            .with_context(|| format!("cannot make {}", library.display()))?;
        files::lock_dir(&library).with_context(|| format!("cannot lock {}", library.display()))
    }
}

/// Returns the error of a delivery that another process fetches.
pub(super) fn under_way(name: &str) -> anyhow::Error {
    failure::conflict(format!("another process is fetching {name}; wait for it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labelled_and_numbered() {
        let first: Vec<_> = candidates("20071011_v1", "cam2").take(4).collect();
        let wanted =
            ["20071011_v1", "20071011_v1@cam2", "20071011_v1@cam2-2", "20071011_v1@cam2-3"];
        assert_eq!(first, wanted);
        let long = "n".repeat(200);
        let second = candidates(&long, "cam2").nth(1).unwrap();
        assert_eq!((second.len(), second.ends_with("n@cam2")), (200, true));
    }
}
