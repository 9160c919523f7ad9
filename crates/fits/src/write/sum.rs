//! The sums of the FITS checksum convention (standard, appendix J).

/// Ones' complement sum of big-endian 32-bit words. A last word that is cut short counts as filled with zeros.
pub(super) fn ones_complement(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut sum: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    if !rest.is_empty() {
        let mut word = [0; 4];
        word[..rest.len()].copy_from_slice(rest);
        sum += u64::from(u32::from_be_bytes(word));
    }
    fold(sum)
}

/// Sum of two such sums.
pub(super) fn add(a: u32, b: u32) -> u32 {
    fold(u64::from(a) + u64::from(b))
}

fn fold(mut sum: u64) -> u32 {
    while sum >> 32 != 0 {
        sum = (sum & 0xffff_ffff) + (sum >> 32);
    }
    sum as u32
}

/// Sixteen letters and digits that stand for a sum: each byte is spread over four characters whose
/// offsets from '0' add up to it, then all are rotated right by one for their place in the card.
pub(super) fn encode(value: u32) -> [u8; 16] {
    let mut text = [0; 16];
    for (column, byte) in value.to_be_bytes().into_iter().enumerate() {
        let quarter = byte / 4 + b'0';
        let mut four = [quarter + byte % 4, quarter, quarter, quarter];
        while four.iter().any(|c| is_punctuation(*c)) {
            for pair in four.as_chunks_mut::<2>().0 {
                if pair.iter().any(|c| is_punctuation(*c)) {
                    pair[0] += 1;
                    pair[1] -= 1;
                }
            }
        }
        for (row, c) in four.into_iter().enumerate() {
            text[(4 * row + column + 1) % 16] = c;
        }
    }
    text
}

/// The ASCII characters between digits, capitals and small letters.
fn is_punctuation(c: u8) -> bool {
    (0x3a..=0x40).contains(&c) || (0x5b..=0x60).contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_example() {
        // FITS 4.0, J.5: the complement of 868229149 is written so in the worked example.
        assert_eq!(&encode(!868_229_149), b"hcHjjc9ghcEghc9g");
    }

    #[test]
    fn carries_go_round() {
        assert_eq!(ones_complement(&[0xff; 8]), 0xffff_ffff);
        assert_eq!(ones_complement(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2]), 2);
        assert_eq!(ones_complement(&[1, 2, 3, 4, 5]), 0x0602_0304);
    }
}
