//! The keywords that a header may have, so that absent ones need no search: a coordinate system has hundreds of them
//! that most headers lack.

/// A set of keywords that may contain more than was added.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    bits: [u64; WORDS],
    /// True when a coefficient of SIP is among them.
    sip: bool,
}

const WORDS: usize = 16;

impl Listed {
    pub(super) fn nothing() -> Self {
        Self { bits: [0; WORDS], sip: false }
    }

    pub(super) fn everything() -> Self {
        Self { bits: [u64::MAX; WORDS], sip: true }
    }

    pub(super) fn add(&mut self, keyword: &str) {
        let (word, bit) = place(keyword);
        self.bits[word] |= bit;
        self.sip |= matches!(keyword.as_bytes(), [b'A' | b'B', b'_', ..]);
    }

    /// Returns true for every keyword that was added, and false for most others.
    pub(super) fn may_have(&self, keyword: &str) -> bool {
        let (word, bit) = place(keyword);
        self.bits[word] & bit != 0
    }

    /// Returns true when any coefficient of SIP was added.
    pub(super) fn may_have_sip(&self) -> bool {
        self.sip
    }
}

/// Returns the word and the bit of a keyword, by its first eight bytes.
fn place(keyword: &str) -> (usize, u64) {
    let mut first = [0; 8];
    let length = keyword.len().min(first.len());
    first[..length].copy_from_slice(&keyword.as_bytes()[..length]);
    let hash = u64::from_le_bytes(first).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_found() {
        let keywords: Vec<String> = (0..40).map(|m| format!("PV2_{m}")).collect();
        let mut listed = Listed::nothing();
        keywords.iter().for_each(|keyword| listed.add(keyword));
        listed.add("HIERARCH ESO DET CHIP NO");
        assert!(keywords.iter().all(|keyword| listed.may_have(keyword)));
        assert!(listed.may_have("HIERARCH ESO DET CHIP NO"));
        let absent = (0..40).filter(|m| listed.may_have(&format!("PV1_{m}"))).count();
        assert!(absent < 10, "{absent} of 40");
        assert!(!listed.may_have_sip());
        listed.add("B_0_2");
        assert!(listed.may_have_sip());
        assert!(Listed::everything().may_have("") && Listed::everything().may_have_sip());
    }
}
