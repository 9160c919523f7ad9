//! The right name that is nearest to a misspelt one.

use std::cmp::min;

/// Returns the name that a misspelt one probably means: the nearest of the right ones, if at most a third of it differs.
pub(super) fn suggestion<'n>(
    written: &str,
    right: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let folded = |text: &str| -> Vec<char> {
        text.chars().flat_map(char::to_lowercase).filter(|c| *c != '-').collect()
    };
    let written = folded(written);
    let nearest = right
        .into_iter()
        .map(|name| (distance(&written, &folded(name)), name))
        .min_by_key(|(distance, _)| *distance)?;
    let longest = written.len().max(nearest.1.chars().count());
    (nearest.0 <= longest / 3).then_some(nearest.1)
}

/// Returns `; did you mean …?` for a misspelt name, empty without a suggestion.
pub(super) fn did_you_mean<'n>(written: &str, right: impl IntoIterator<Item = &'n str>) -> String {
    suggestion(written, right).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Returns the number of characters to insert, remove, replace or swap with their neighbour.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut best = min(replaced, min(last[j + 1], row[j]) + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = min(best, before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let keys = ["spellings", "description", "cut_on_um", "cut_off_um", "name", "id"];
        let cases = [
            ("spelling", Some("spellings")),
            ("Spellings", Some("spellings")),
            ("names", Some("name")),
            ("nmae", Some("name")),
            ("cut-on-um", Some("cut_on_um")),
            ("cutonum", Some("cut_on_um")),
            ("colour", None),
            ("", None),
        ];
        for (written, wanted) in cases {
            assert_eq!(suggestion(written, keys), wanted, "{written}");
        }
        assert_eq!(suggestion("name", []), None);
    }
}
