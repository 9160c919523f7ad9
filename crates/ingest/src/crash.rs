//! The instants between which an ingest may die; kill tests aim at each of them.

/// Between the first rename and the last commit of a publication of previews.
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

/// While the files of the lake are written, by the `publish:…` points of the files room.
pub const LAKE_POINTS: [&str; 4] =
    ["publish:before-sync", "publish:before-rename", "publish:after-rename", "load:lake-files"];

/// While a server's tables are filled and attached.
pub const SERVER_POINTS: [&str; 5] = [
    "load:copied",
    "load:before-commit",
    "load:after-commit",
    "attach:before-commit",
    "attach:after-commit",
];

/// Between the reservation and the commit of a publication of detections, on both engines.
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

/// Between the check and the commit of a publication of metadata.
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
