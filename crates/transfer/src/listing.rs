//! What stands in a delivery, and which of it must be brought.

use crate::manifest::Manifest;
use crate::{Request, TransferFault, names};
use model::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A file to bring.
pub(crate) struct Wanted {
    pub name: String,
    pub source: PathBuf,
    pub bytes: u64,
}

/// A delivery, sorted into what to do.
pub(crate) struct Listing {
    pub wanted: Vec<Wanted>,
    pub unchanged: Vec<String>,
    pub present: BTreeSet<String>,
    pub refusals: Vec<Refusal>,
    pub manifest: Manifest,
    pub marked_complete: bool,
}

/// Lists the delivery in the order of its names. Opens nothing but manifests.
pub(crate) fn list(request: &Request) -> Result<Listing, TransferFault> {
    let fault = |source| TransferFault::Source { path: request.source.to_owned(), source };
    let mut entries: Vec<OsString> = std::fs::read_dir(request.source)
        .map_err(fault)?
        .map(|entry| entry.map(|e| e.file_name()))
        .collect::<Result<_, _>>()
        .map_err(fault)?;
    entries.sort();
    let mut listing = Listing {
        wanted: Vec::new(),
        unchanged: Vec::new(),
        present: BTreeSet::new(),
        refusals: Vec::new(),
        manifest: Manifest::default(),
        marked_complete: false,
    };
    let mut folded: BTreeMap<String, String> = BTreeMap::new();
    for entry in entries {
        if let Some((code, message)) = names::fault(&entry) {
            listing.refusals.push(Refusal::new(code, files::shown(&entry), message));
            continue;
        }
        let name = entry.to_string_lossy().into_owned(); // ASCII: names::fault saw to it
        if let Some(other) = folded.insert(name.to_ascii_lowercase(), name.clone()) {
            let message = format!("the name differs from {other} in upper and lower case alone");
            listing.refusals.push(Refusal::new("name_duplicate", name.clone(), message));
            folded.insert(name.to_ascii_lowercase(), other);
            continue;
        }
        listing.marked_complete |= request.markers.contains(&name);
        if (request.is_manifest)(&name) {
            listing.manifest.read(request.source, &name);
        }
        place(request, name, &mut listing);
    }
    Ok(listing)
}

/// Decides on one name that may stay.
fn place(request: &Request, name: String, listing: &mut Listing) {
    let source = request.source.join(&name);
    listing.present.insert(name.clone());
    let Ok(found) = std::fs::symlink_metadata(&source) else {
        let message = "it vanished while the delivery was listed".to_owned();
        listing.refusals.push(Refusal::new("missing_file", name, message));
        return;
    };
    let modified_ns =
        found.mtime().saturating_mul(1_000_000_000).saturating_add(found.mtime_nsec());
    let known = (request.known)(&name).pop();
    let same = known.is_some_and(|known| {
        found.is_file()
            && !known.look_again
            && known.bytes == found.len()
            && known.modified_ns == modified_ns
            && std::fs::symlink_metadata(&known.path).is_ok_and(|m| m.len() == known.bytes)
    });
    if same {
        listing.unchanged.push(name);
    } else {
        let bytes = if found.is_file() { found.len() } else { 0 };
        listing.wanted.push(Wanted { name, source, bytes });
    }
}
