//! Files of a delivery, the selection of those to fetch, and their order.

use crate::manifest::{self, Manifest};
use crate::source::{Connection, Entry, EntryKind, SourceFault, Span};
use crate::{Request, Skipped, TransferFault, names};
use model::{Refusal, RefusalCode, SkipReason};
use std::collections::{BTreeMap, BTreeSet};

/// A file to fetch.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub name: String,
    pub entry: Entry,
    /// Length in bytes; 0 when the source does not report it.
    pub bytes: u64,
    /// Number of the library's volume on which it is stored.
    pub volume: usize,
}

/// A delivery, its entries sorted by the action they need.
#[derive(Default)]
pub(crate) struct Listing {
    pub wanted: Vec<Wanted>,
    pub unchanged: Vec<String>,
    /// Names that may still be growing.
    pub unsettled: Vec<String>,
    pub present: BTreeSet<String>,
    pub refusals: Vec<Refusal>,
    pub skipped: Vec<Skipped>,
    pub manifest: Manifest,
    pub marked_complete: bool,
}

/// Lists the delivery. Reads nothing but manifests.
pub(crate) fn list(request: &Request<'_>) -> Result<Listing, TransferFault> {
    let mut entries = request.source.list(request.directory)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut listing = Listing::default();
    let mut folded: BTreeMap<String, String> = BTreeMap::new();
    let mut connection: Option<Box<dyn Connection>> = None;
    let shown: BTreeMap<String, Option<u64>> =
        entries.iter().map(|e| (e.name.to_string_lossy().into_owned(), e.bytes)).collect();
    for entry in entries {
        if let Some(skipped) = skipped(request, &entry, &shown) {
            listing.skipped.push(skipped);
            continue;
        }
        if let Some((code, message)) = names::fault(&entry.name) {
            listing.refusals.push(Refusal::new(code, files::shown(&entry.name), message));
            continue;
        }
        let name = entry.name.to_string_lossy().into_owned(); // ASCII: names::fault saw to it
        if let Some(other) = folded.insert(name.to_ascii_lowercase(), name.clone()) {
            let message = format!("the name differs from {other} in case only");
            listing.refusals.push(Refusal::new(RefusalCode::NAME_DUPLICATE, name.clone(), message));
            folded.insert(name.to_ascii_lowercase(), other);
            continue;
        }
        listing.marked_complete |= request.markers.contains(&name);
        if (request.is_manifest)(&name) {
            let refused =
                read_manifest(request, &name, &entry, &mut connection, &mut listing.manifest)?;
            listing.refusals.extend(refused);
        }
        place(request, name, entry, &mut listing);
    }
    let order = |w: &Wanted| ((request.rank)(&w.name), w.name.clone());
    listing.wanted.sort_by_cached_key(order);
    Ok(listing)
}

/// Returns the reason why an entry is not fetched without a fault of the delivery.
fn skipped(
    request: &Request<'_>,
    entry: &Entry,
    shown: &BTreeMap<String, Option<u64>>,
) -> Option<Skipped> {
    let name = files::shown(&entry.name);
    if entry.kind == EntryKind::Elsewhere {
        return Some(Skipped { name, code: SkipReason::Elsewhere, why: entry.note.clone() });
    }
    let why = request.unfinished.why_among(&entry.name.to_string_lossy(), entry.bytes, shown)?;
    Some(Skipped { name, code: SkipReason::Unfinished, why })
}

/// Adds the statements of a list of the delivery. An unreadable list states nothing. A list that is too long to be read whole
/// is refused.
fn read_manifest(
    request: &Request<'_>,
    name: &str,
    entry: &Entry,
    connection: &mut Option<Box<dyn Connection>>,
    manifest: &mut Manifest,
) -> Result<Option<Refusal>, TransferFault> {
    let too_long = || {
        let max_bytes = manifest::MAX_LIST_BYTES;
        let message = format!("the list of checksums is longer than {max_bytes} bytes");
        Ok(Some(Refusal::new(RefusalCode::LIST_TOO_LONG, name, message)))
    };
    if entry.kind != EntryKind::File {
        return Ok(None);
    }
    if entry.bytes.is_some_and(|n| n > manifest::MAX_LIST_BYTES) {
        return too_long();
    }
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(request.source.connect()?),
    };
    let mut text = Vec::new();
    let span = Span { from: 0, to: entry.bytes.unwrap_or(manifest::MAX_LIST_BYTES + 1) };
    let read = connection.read(request.directory, entry, span, &mut |bytes| {
        text.extend_from_slice(bytes);
        Ok(())
    });
    match read {
        Ok(()) if text.len() as u64 > manifest::MAX_LIST_BYTES => return too_long(),
        Ok(()) => manifest.add(name, &String::from_utf8_lossy(&text)),
        Err(fault @ SourceFault::Passing { .. }) => return Err(fault.into()),
        Err(_) => {}
    }
    Ok(None)
}

/// Decides on one accepted name.
fn place(request: &Request<'_>, name: String, entry: Entry, listing: &mut Listing) {
    listing.present.insert(name.clone());
    let is_local = request.source.directory(request.directory).is_some();
    let known = (request.known)(&name).pop();
    let same = known.is_some_and(|known| {
        entry.kind == EntryKind::File
            && !known.reexamine
            && entry.bytes.is_some_and(|bytes| bytes == known.bytes)
            && entry.modified_ns == known.modified_ns
            && (is_local || entry.modified_ns != 0 || !entry.tag.is_empty())
            && std::fs::symlink_metadata(&known.path).is_ok_and(|m| m.len() == known.bytes)
    });
    if same {
        listing.unchanged.push(name);
        return;
    }
    let is_link = entry.kind == EntryKind::Link;
    if is_link || !is_local && entry.kind != EntryKind::File {
        let (code, what) = match entry.kind {
            EntryKind::Link => (RefusalCode::SYMBOLIC_LINK, "is a symbolic link"),
            EntryKind::Directory => {
                (RefusalCode::NOT_A_FILE_DIRECTORY, "is a directory, not a regular file")
            }
            _ => (RefusalCode::NOT_A_FILE_DEVICE, "is a device, not a regular file"),
        };
        let note = if entry.note.is_empty() { String::new() } else { format!(": {}", entry.note) };
        listing.refusals.push(Refusal::new(code, name, format!("the entry {what}{note}")));
        return;
    }
    if !(request.is_settled)(&entry) {
        listing.unsettled.push(name);
        return;
    }
    let bytes = entry.bytes.unwrap_or(0);
    listing.wanted.push(Wanted { name, entry, bytes, volume: 0 });
}
