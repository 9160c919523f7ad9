//! Completeness of a delivery, and the reason when it is not complete. Pure.

use std::time::Duration;

/// The criterion for a complete delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// By its marker, or when nothing in it has changed for a while.
    #[default]
    MarkerOrQuiet,
    /// By its marker alone.
    Marker,
    /// All files of its list are present.
    Manifest,
    /// This number of files is present.
    Count(u64),
    /// Nothing in it has changed for a while.
    Quiet,
}

/// The observed state of a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// True when its marker is present.
    pub is_marked: bool,
    /// The name that its marker would have.
    pub marker: String,
    /// Number of files that its list names; `None` without a list.
    pub listed: Option<usize>,
    /// Number of files of the list that are absent.
    pub absent: usize,
    /// Number of files that are present.
    pub files: usize,
    /// Time since the last change in the delivery.
    pub quiet: Duration,
    /// Time without a change that completes the delivery.
    pub quiet_wanted: Duration,
    /// Number of files that may still be growing.
    pub unsettled: usize,
    /// Number of files that are present and could not be fetched.
    pub postponed: usize,
    /// The reason why the connection to its source was lost during the fetch; nothing else is known then.
    pub lost: Option<String>,
}

/// Returns the part of the delivery that has not arrived, in words; `None` for a complete delivery.
pub fn awaited(rule: Rule, seen: &Seen) -> Option<String> {
    if let Some(why) = &seen.lost {
        return Some(format!("the connection to the source was lost: {why}"));
    }
    let mut missing = Vec::new();
    let files = |n: usize| if n == 1 { "1 file".to_owned() } else { format!("{n} files") };
    let is_quiet = seen.quiet >= seen.quiet_wanted;
    let quiet = || {
        let (is, wanted) = (seen.quiet.as_secs(), seen.quiet_wanted.as_secs());
        format!("quiet for {is} of {wanted} s")
    };
    let marker = || match seen.marker.as_str() {
        "" => "the marker has not arrived".to_owned(),
        name => format!("{name} has not arrived"),
    };
    match rule {
        Rule::Marker if !seen.is_marked => missing.push(marker()),
        Rule::MarkerOrQuiet if !seen.is_marked && !is_quiet => {
            missing.push(format!("{}, {}", marker(), quiet()));
        }
        Rule::Quiet if !is_quiet => missing.push(quiet()),
        Rule::Manifest if seen.listed.is_none() => {
            missing.push("the list of files has not arrived".to_owned())
        }
        Rule::Count(count) if (seen.files as u64) < count => {
            missing.push(format!("{} of {count} files have arrived", seen.files));
        }
        _ => {}
    }
    if seen.absent > 0 {
        let listed = seen.listed.unwrap_or(0);
        missing.push(format!("missing: {} of {listed} in the list", files(seen.absent)));
    }
    if seen.unsettled > 0 {
        missing.push(format!("{} may still be growing", files(seen.unsettled)));
    }
    if seen.postponed > 0 {
        missing.push(format!("{} could not be fetched yet", files(seen.postponed)));
    }
    (!missing.is_empty()).then(|| missing.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_parts_are_reported() {
        let second = Duration::from_secs(1);
        let seen = Seen {
            marker: "OK_TO_COPY".to_owned(),
            files: 7,
            quiet: 20 * second,
            quiet_wanted: 300 * second,
            ..Seen::default()
        };
        let quiet = Seen { quiet: 300 * second, ..seen.clone() };
        let marked = Seen { is_marked: true, ..seen.clone() };
        let listed = Seen { listed: Some(9), absent: 2, ..seen.clone() };
        let all_listed = Seen { listed: Some(7), ..seen.clone() };
        let growing = Seen { unsettled: 1, postponed: 2, ..marked.clone() };
        let cases: [(Rule, &Seen, Option<&str>); 13] = [
            (Rule::MarkerOrQuiet, &seen, Some("OK_TO_COPY has not arrived, quiet for 20 of 300 s")),
            (Rule::MarkerOrQuiet, &quiet, None),
            (Rule::MarkerOrQuiet, &marked, None),
            (Rule::Marker, &quiet, Some("OK_TO_COPY has not arrived")),
            (Rule::Marker, &marked, None),
            (Rule::Quiet, &marked, Some("quiet for 20 of 300 s")),
            (Rule::Quiet, &quiet, None),
            (Rule::Count(8), &quiet, Some("7 of 8 files have arrived")),
            (Rule::Count(7), &seen, None),
            (Rule::Manifest, &quiet, Some("the list of files has not arrived")),
            (Rule::Manifest, &listed, Some("missing: 2 files of 9 in the list")),
            (Rule::Manifest, &all_listed, None),
            (
                Rule::Marker,
                &growing,
                Some("1 file may still be growing; 2 files could not be fetched yet"),
            ),
        ];
        for (rule, seen, wanted) in cases {
            assert_eq!(awaited(rule, seen).as_deref(), wanted, "{rule:?} {seen:?}");
        }
    }
}
