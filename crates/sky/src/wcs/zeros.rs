//! Keywords whose numbers have leading zeros: `CD001001` and `PC001001` of the drafts of the WCS papers, `CD01_01`.

/// Learns the usual spelling of a keyword that has leading zeros: (usual, stored). A later one replaces an earlier one,
/// and the usual spelling itself replaces both: as in wcslib, the last card counts.
pub(super) fn learn(keyword: &str, zeros: &mut Vec<(String, String)>) {
    if zeros.is_empty() && !has_leading_zero(keyword) {
        return;
    }
    let Some(usual) = usual(keyword) else { return };
    zeros.retain(|(known, _)| *known != usual);
    if usual != keyword {
        zeros.push((usual, keyword.to_owned()));
    }
}

/// Returns true for a keyword in which a number of several digits begins with a zero.
fn has_leading_zero(keyword: &str) -> bool {
    let bytes = keyword.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    (1..bytes.len()).any(|at| bytes[at] == b'0' && !digit(at - 1) && digit(at + 1))
}

/// Returns the usual spelling of a matrix element or parameter; `None` for other keywords.
fn usual(keyword: &str) -> Option<String> {
    let stem = keyword.get(..2).filter(|stem| ["CD", "PC", "PV", "PS"].contains(stem))?;
    let rest = &keyword[2..];
    if !rest.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return None;
    }
    let (first, second) = match rest.split_once('_') {
        Some(parts) => parts,
        None if rest.len() == 6 && matches!(stem, "CD" | "PC") => rest.split_at(3),
        None => return None,
    };
    let (first, second): (u16, u16) = (first.parse().ok()?, second.parse().ok()?);
    Some(format!("{stem}{first}_{second}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let cases = [
            ("CD001002", Some("CD1_2")),
            ("PC002001", Some("PC2_1")),
            ("CD01_02", Some("CD1_2")),
            ("PV02_1", Some("PV2_1")),
            ("PV2_03", Some("PV2_3")),
            ("CD1_1", Some("CD1_1")),
            ("PV002001", None),
            ("CD00101", None),
            ("CDELT1", None),
            ("PCOUNT", None),
            ("CD1_1A", None),
            ("CD1_2_3", None),
            ("C", None),
        ];
        for (keyword, wanted) in cases {
            assert_eq!(usual(keyword).as_deref(), wanted, "{keyword}");
        }
    }

    #[test]
    fn the_last_card_counts() {
        let learned = |keywords: &[&str]| {
            let mut zeros = Vec::new();
            keywords.iter().for_each(|keyword| learn(keyword, &mut zeros));
            zeros
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(learned(&["CD1_1", "CD001001"]), [pair("CD1_1", "CD001001")]);
        assert_eq!(learned(&["CD001001", "CD1_1"]), []);
        assert_eq!(learned(&["CD01_01", "CD001001"]), [pair("CD1_1", "CD001001")]);
    }
}
