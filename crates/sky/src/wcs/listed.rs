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

/// Returns the word and the bit of a keyword, by its first and its last four bytes.
fn place(keyword: &str) -> (usize, u64) {
    let bytes = keyword.as_bytes();
    let ends = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => [u32::from_le_bytes(*first), u32::from_le_bytes(*last)],
        _ => [bytes.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)), 0],
    };
    let key = u64::from(ends[0]) | u64::from(ends[1]) << 32;
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_files_are_found() {
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
