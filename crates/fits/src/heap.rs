//! Places of arrays of variable length: descriptors in the rows, elements in the heap after them (FITS 4.0, section 7.3.5).

use crate::column::{Column, ColumnKind};
use crate::error::FitsFault;

/// The place of an array in the heap, as stated in the row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Number of elements; below zero in a broken file.
    pub count: i64,
    /// Offset in bytes from the start of the heap; below zero in a broken file.
    pub offset: i64,
}

impl Descriptor {
    pub(crate) fn of_32_bits(bytes: [u8; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self {
            count: i64::from(i32::from_be_bytes([a, b, c, d])),
            offset: i64::from(i32::from_be_bytes([e, f, g, h])),
        }
    }

    pub(crate) fn of_64_bits(bytes: [u8; 16]) -> Self {
        let (count, offset) = bytes.split_at(8);
        let whole = |half: &[u8]| i64::from_be_bytes(half.try_into().expect("half of 16 bytes"));
        Self { count: whole(count), offset: whole(offset) }
    }
}

/// The heap of a table, relative to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heap {
    /// Offset of the heap in the (unwrapped) file.
    pub offset: u64,
    /// Size of the heap in bytes.
    pub bytes: u64,
}

impl Heap {
    /// Returns the file offset of a column's array and its number of bytes; an empty array is at the start of the heap.
    ///
    /// # Errors
    /// [`FitsFault::OutsideHeap`].
    pub fn locate(
        &self,
        column: &Column,
        row: u64,
        array: Descriptor,
    ) -> Result<(u64, u64), FitsFault> {
        let element = match column.kind {
            ColumnKind::Arrays { element, .. } => element,
            _ => return Err(column.wrong_type("arrays")),
        };
        let bytes = u64::try_from(array.count).ok().and_then(|count| element.bytes(count));
        if bytes == Some(0) {
            return Ok((self.offset, 0));
        }
        let end = u64::try_from(array.offset).ok().and_then(|offset| offset.checked_add(bytes?));
        match (end, bytes) {
            (Some(end), Some(bytes)) if end <= self.bytes => {
                Ok((self.offset + array.offset as u64, bytes))
            }
            _ => Err(FitsFault::OutsideHeap {
                column: column.label(),
                row,
                offset: array.offset,
                bytes: bytes.unwrap_or(u64::MAX),
                heap_bytes: self.bytes,
            }),
        }
    }
}
