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

/// Between the reservation and the commit of a publication of detections. The `publish:…` points of the files room that
/// the lake files pass through come between `reserve:after-commit` and `load:lake-files`.
pub const CATALOGUE_POINTS: [&str; 16] = [
    "ingest:checked",
    "reserve:before-commit",
    "reserve:after-commit",
    "ingest:reserved",
    "publish:before-sync",
    "publish:before-rename",
    "publish:after-rename",
    "load:lake-files",
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
