//! Messages about symbolic links that are not followed.

use crate::Skipped;
use model::SkipReason;
use std::ffi::OsStr;

/// The reason when no link is followed.
pub(super) const SKIPPED: &str = "links are not followed: links = \"skip\"";

/// Returns the reason for a link that leads out of the source.
pub(super) fn outside(target: &str) -> String {
    format!(
        "the target {target} is outside of the source: add its directory to link_roots of the source, or set links = \
         \"anywhere\""
    )
}

/// Returns the entry of a delivery that is a link which is not followed.
pub(super) fn skipped(name: &OsStr, why: String) -> Skipped {
    Skipped {
        name: files::shown(name),
        code: SkipReason::SymbolicLink,
        why: format!("symbolic link: {why}"),
    }
}
