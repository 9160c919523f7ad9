//! The instants at which an ingest may be killed; kill tests target each of them.

/// Instants from the check to the last commit of a publication of previews.
pub const PREVIEW_POINTS: [&str; 9] = [
    "ingest:checked",
    "previews:renamed",
    "previews:synced",
    "ingest:reserved",
    "ingest:loaded",
    "publish:claimed",
    "publish:rows",
    "publish:moved",
    "publish:before-commit",
];

/// Instants while the files of the lake are written, from the `publish:…` points of the `files` crate.
pub const LAKE_POINTS: [&str; 4] =
    ["publish:before-sync", "publish:before-rename", "publish:after-rename", "load:lake-files"];

/// Instants while a server's tables are filled and attached.
pub const SERVER_POINTS: [&str; 5] = [
    "load:copied",
    "load:before-commit",
    "load:after-commit",
    "attach:before-commit",
    "attach:after-commit",
];

/// Instants from the check to the completion of a publication of detections, on both engines.
pub const CATALOGUE_POINTS: [&str; 13] = [
    "ingest:checked",
    "reserve:before-commit",
    "reserve:after-commit",
    "ingest:reserved",
    "load:columns-checked",
    "ingest:loaded",
    "publish:claimed",
    "publish:rows",
    "publish:lake",
    "publish:moved",
    "publish:before-commit",
    "publish:after-commit",
    "complete:before-commit",
];

/// Instants from the check to the commit of a publication of metadata.
pub const METADATA_POINTS: [&str; 9] = [
    "ingest:checked",
    "ingest:reserved",
    "ingest:loaded",
    "publish:claimed",
    "publish:rows",
    "publish:lake",
    "publish:moved",
    "publish:before-commit",
    "publish:after-commit",
];
