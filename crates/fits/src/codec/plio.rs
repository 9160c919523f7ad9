//! PLIO_1: run lengths of a mask, as IRAF writes its pixel lists (FITS 4.0, section 10.4.3).
//!
//! A list of 16-bit words: a header with the length, then instructions of 4 bits with 12 bits of operand. They change
//! the current value, or write runs of it and of zeros.

use super::CodecFault;

/// Decodes one tile of big-endian words; pixels that the list does not reach are zero.
///
/// # Errors
/// Fails when the list is shorter than its stated length, or holds a word that is not an instruction.
pub fn decode(code: &[u8], pixels: &mut [i32]) -> Result<(), CodecFault> {
    let (words, _) = code.as_chunks::<2>();
    let mut words = instructions(words)?.iter().map(|&word| i32::from(i16::from_be_bytes(word)));
    let mut value = 1i32;
    let mut rest = pixels;
    while !rest.is_empty() {
        let Some(word) = words.next() else { break };
        let operand = word & 0xfff;
        let run = (operand as usize).min(rest.len());
        match word >> 12 {
            0 => rest = write_run(rest, run, 0),
            1 => {
                let high = words.next().ok_or(CodecFault::CodeTooShort)?;
                value = (high << 12) + operand;
            }
            2 => value = value.wrapping_add(operand),
            3 => value = value.wrapping_sub(operand),
            4 => rest = write_run(rest, run, value),
            5 => {
                // The last pixel of the run of zeros has the value, unless the tile ends before it.
                let whole = run == operand as usize;
                if whole && run > 0 {
                    rest[run - 1] = value;
                    rest[..run - 1].fill(0);
                    rest = &mut rest[run..];
                } else {
                    rest = write_run(rest, run, 0);
                }
            }
            change @ (6 | 7) => {
                let by = if change == 6 { operand } else { -operand };
                value = value.wrapping_add(by);
                rest = write_run(rest, 1, value);
            }
            _ => return Err(CodecFault::PlioInstruction),
        }
    }
    rest.fill(0);
    Ok(())
}

fn write_run(pixels: &mut [i32], run: usize, value: i32) -> &mut [i32] {
    let (now, rest) = pixels.split_at_mut(run);
    now.fill(value);
    rest
}

/// Returns the words after the header. The old form of the header has the length in its third word, in which the new form has
/// nothing.
fn instructions(words: &[[u8; 2]]) -> Result<&[[u8; 2]], CodecFault> {
    let word = |index: usize| {
        words.get(index).map(|&word| i16::from_be_bytes(word)).ok_or(CodecFault::CodeTooShort)
    };
    let (first, end) = match word(2)? {
        length if length > 0 => (3, i64::from(length)),
        _ => (i64::from(word(1)?), i64::from(word(4)?) << 15 | i64::from(word(3)?)),
    };
    if first < 3 || end < first {
        // A tile without instructions is all zero; its header states length 0.
        return if end == 0 || end == first { Ok(&[]) } else { Err(CodecFault::PlioHeader) };
    }
    words.get(first as usize..end as usize).ok_or(CodecFault::CodeTooShort)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(instructions: &[i16]) -> Vec<u8> {
        let length = 3 + instructions.len() as i16;
        [0, 0, length].iter().chain(instructions).flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn instructions_write_runs() {
        let cases: [(&[i16], [i32; 6]); 7] = [
            (&[], [0; 6]),
            (&[2, 0x4003], [0, 0, 1, 1, 1, 0]),
            (&[0x2004, 0x4002], [5, 5, 0, 0, 0, 0]),
            (&[0x5003, 0x6001, 0x7002], [0, 0, 1, 2, 0, 0]),
            (&[0x1001, 2, 0x4006], [8193; 6]),
            // Longer than the tile: cut off, and then the last pixel of the run is not reached.
            (&[0x4fff], [1; 6]),
            (&[0x5007], [0; 6]),
        ];
        for (instructions, wanted) in cases {
            let mut pixels = [-1; 6];
            decode(&list(instructions), &mut pixels).unwrap();
            assert_eq!(pixels, wanted, "{instructions:x?}");
        }
    }

    #[test]
    fn damaged_lists_are_faults() {
        let mut pixels = [0; 4];
        for (code, fault) in [
            (vec![], CodecFault::CodeTooShort),
            (vec![0, 0, 0, 0, 0, 9], CodecFault::CodeTooShort),
            (list(&[0x1001]), CodecFault::CodeTooShort),
            (list(&[-1]), CodecFault::PlioInstruction),
            (vec![0, 0, 0, 2, 0, 0, 0, 9, 0, 0], CodecFault::PlioHeader),
        ] {
            assert_eq!(decode(&code, &mut pixels), Err(fault), "{code:?}");
        }
    }
}
