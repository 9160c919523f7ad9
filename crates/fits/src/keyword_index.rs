//! Index of the first card of each keyword: a small open hash table over card numbers.

/// Card numbers by keyword; the keywords themselves stay in the header.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeywordIndex {
    /// Card number + 1, 0 where empty. The length is a power of two, at least twice the cards.
    slots: Vec<u32>,
    repeated: Vec<u32>,
}

impl KeywordIndex {
    pub fn with_capacity(cards: usize) -> Self {
        let length = (2 * cards).next_power_of_two().max(16);
        Self { slots: vec![0; length], repeated: Vec::new() }
    }

    /// Adds a card unless its keyword is present; otherwise notes the card as repeated. `key` returns the keyword of a number.
    pub fn insert<'a>(&mut self, keyword: &str, number: u32, key: impl Fn(u32) -> &'a str) {
        let slot = self.slot(keyword, &key);
        if self.slots[slot] == 0 {
            self.slots[slot] = number + 1;
        } else {
            self.repeated.push(number);
        }
    }

    pub fn find<'a>(&self, keyword: &str, key: impl Fn(u32) -> &'a str) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        self.slots[self.slot(keyword, &key)].checked_sub(1)
    }

    /// Returns the cards whose keyword an earlier card has.
    pub fn repeated(&self) -> &[u32] {
        &self.repeated
    }

    /// Returns the slot of the keyword, or the free slot in which it would be stored.
    fn slot<'a>(&self, keyword: &str, key: &impl Fn(u32) -> &'a str) -> usize {
        let mask = self.slots.len() - 1;
        // The top bits of the product: they depend on every byte of the keyword.
        let mut slot =
            (hash(keyword.as_bytes()) >> (64 - self.slots.len().trailing_zeros())) as usize;
        while let Some(number) = self.slots[slot].checked_sub(1) {
            if key(number) == keyword {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// Hashes words of eight bytes by multiplication: most keywords are one word.
fn hash(bytes: &[u8]) -> u64 {
    let mut state = 0_u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0_u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state =
            (state.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    state
}
