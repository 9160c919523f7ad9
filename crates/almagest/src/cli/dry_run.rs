//! The output of a dry run: the words of the act, after a line which states that nothing is changed.

use crate::report::say;

/// The line before the results of a dry run.
const NOTHING_CHANGED: &str = "dry run, nothing is changed:";

/// Says on stdout, before the results, that they are those of a dry run.
pub fn tell_dry_run(is_dry_run: bool) {
    if is_dry_run {
        say!("{NOTHING_CHANGED}");
    }
}
