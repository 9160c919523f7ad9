//! Bit planes of the four quadrants: quadtrees of 2x2 blocks in a fixed Huffman code, or bits as they are.

use crate::codec::CodecFault;
use crate::codec::bits::BitReader;

/// Blocks of a plane, one byte each, of two neighbouring levels of the quadtree.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    blocks: Vec<u8>,
    finer: Vec<u8>,
}

/// A part of the coefficients: its size, and the columns of all of them.
#[derive(Clone, Copy)]
struct Quadrant {
    first: usize,
    rows: usize,
    columns: usize,
    row_step: usize,
}

/// Reads the absolute values of all coefficients, which are zero before, and their signs.
pub(super) fn read(
    code: &[u8],
    columns: usize,
    planes: [u8; 3],
    scratch: &mut Scratch,
    coefficients: &mut [i64],
) -> Result<(), CodecFault> {
    let rows = coefficients.len() / columns;
    let (upper, left) = (rows.div_ceil(2), columns.div_ceil(2));
    let (lower, right) = (rows / 2, columns / 2);
    let quadrants = [
        (0, upper, left, planes[0]),
        (left, upper, right, planes[1]),
        (columns * upper, lower, left, planes[1]),
        (columns * upper + left, lower, right, planes[2]),
    ];
    let mut bits = BitReader::new(code);
    for (first, rows, quadrant_columns, planes) in quadrants {
        if planes > 62 {
            return Err(CodecFault::HcompressPlanes);
        }
        let quadrant = Quadrant { first, rows, columns: quadrant_columns, row_step: columns };
        for plane in (0..planes).rev() {
            read_plane(&mut bits, quadrant, plane, scratch, coefficients)?;
        }
    }
    if bits.take(4) != 0 {
        return Err(CodecFault::HcompressPlanes);
    }
    bits.align();
    for coefficient in coefficients.iter_mut().filter(|coefficient| **coefficient != 0) {
        if bits.take(1) == 1 {
            *coefficient = -*coefficient;
        }
    }
    if bits.is_beyond_end() { Err(CodecFault::CodeTooShort) } else { Ok(()) }
}

fn read_plane(
    bits: &mut BitReader<'_>,
    quadrant: Quadrant,
    plane: u8,
    scratch: &mut Scratch,
    coefficients: &mut [i64],
) -> Result<(), CodecFault> {
    let Quadrant { rows, columns, .. } = quadrant;
    match bits.take(4) {
        0 => {
            let blocks = rows.div_ceil(2) * columns.div_ceil(2);
            scratch.blocks.clear();
            scratch.blocks.extend((0..blocks).map(|_| bits.take(4) as u8));
        }
        0xf => read_quadtree(bits, rows, columns, scratch),
        _ => return Err(CodecFault::HcompressPlanes),
    }
    if bits.is_beyond_end() {
        return Err(CodecFault::CodeTooShort);
    }
    insert_plane(&scratch.blocks, quadrant, plane, coefficients);
    Ok(())
}

/// Reads a quadtree; its finest blocks end up in `scratch.blocks`. Each level has half the rows and columns of the next,
/// rounded up; a block of four bits marks the blocks below it that are not zero, and those follow, the last one first.
fn read_quadtree(bits: &mut BitReader<'_>, rows: usize, columns: usize, scratch: &mut Scratch) {
    let levels = rows.max(columns).next_power_of_two().trailing_zeros();
    let Scratch { blocks, finer } = scratch;
    blocks.clear();
    blocks.push(take_block(bits));
    for level in 1..levels {
        let halvings = levels - level;
        let rows = ((rows - 1) >> halvings) + 1;
        let columns = ((columns - 1) >> halvings) + 1;
        finer.clear();
        finer.resize(rows * columns, 0);
        let coarse_columns = columns.div_ceil(2);
        for (row, finer) in finer.chunks_exact_mut(columns).enumerate().rev() {
            let blocks = &blocks[row / 2 * coarse_columns..][..coarse_columns];
            for (column, block) in finer.iter_mut().enumerate().rev() {
                if bit_of_block(blocks[column / 2], row, column) == 1 {
                    *block = take_block(bits);
                }
            }
        }
        std::mem::swap(blocks, finer);
    }
}

fn insert_plane(blocks: &[u8], quadrant: Quadrant, plane: u8, coefficients: &mut [i64]) {
    let Quadrant { first, rows, columns, row_step } = quadrant;
    let block_columns = columns.div_ceil(2);
    for (row, coefficients) in coefficients[first..].chunks_mut(row_step).take(rows).enumerate() {
        let blocks = &blocks[row / 2 * block_columns..][..block_columns];
        for (column, coefficient) in coefficients[..columns].iter_mut().enumerate() {
            *coefficient |= i64::from(bit_of_block(blocks[column / 2], row, column)) << plane;
        }
    }
}

/// Returns a bit of a block; from the highest, the bits are upper left, upper right, lower left, lower right.
#[inline(always)]
fn bit_of_block(block: u8, row: usize, column: usize) -> u8 {
    block >> (3 - 2 * (row & 1) - (column & 1)) & 1
}

/// Reads one block in the fixed Huffman code.
fn take_block(bits: &mut BitReader<'_>) -> u8 {
    /// (block, bits of its code) for every beginning of six bits.
    const CODE: [(u8, u8); 64] = huffman_code();
    let (block, length) = CODE[bits.peek(6) as usize];
    bits.skip(u32::from(length));
    block
}

/// Makes the table of the code: codes 000 to 011 are the blocks with one bit, and so on.
const fn huffman_code() -> [(u8, u8); 64] {
    const CODES: [(u8, u8, u8); 16] = [
        (0b000, 3, 1),
        (0b001, 3, 2),
        (0b010, 3, 4),
        (0b011, 3, 8),
        (0b1000, 4, 3),
        (0b1001, 4, 5),
        (0b1010, 4, 10),
        (0b1011, 4, 12),
        (0b1100, 4, 15),
        (0b11010, 5, 6),
        (0b11011, 5, 7),
        (0b11100, 5, 9),
        (0b11101, 5, 11),
        (0b11110, 5, 13),
        (0b111110, 6, 0),
        (0b111111, 6, 14),
    ];
    let mut table = [(0, 0); 64];
    let mut index = 0;
    while index < CODES.len() {
        let (code, length, block) = CODES[index];
        let first = (code as usize) << (6 - length);
        let mut entry = first;
        while entry < first + (1 << (6 - length)) {
            table[entry] = (block, length);
            entry += 1;
        }
        index += 1;
    }
    table
}
