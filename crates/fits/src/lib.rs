//! The file format: reads what telescopes and their pipelines deliver, and trusts none of it.
//!
//! Takes a path or bytes, leaves typed headers, image bands and table columns, or a [`FitsFault`] with a
//! machine-readable code. Opening reads headers alone; a broken HDU carries its own fault and leaves the ones before it
//! usable. What a header claims is never allocated: memory is that of a band, a tile or a batch of rows, within
//! [`Limits`].
//!
//! Start at [`FitsFile::open`]; [`FitsFile::hdus`] says what is there, [`FitsFile::image`] and [`FitsFile::table`] read
//! it, [`inspect::inspect`] reads everything. A new way of being wrong begins in [`FitsFault`].
//! Does not know surveys, tables of the archive, or what a keyword means beyond the standard.
//!
//! The crates `fitsio-pure` (0.25) and `fitskit` (0.3) were tried first. Both read the images of the real files we
//! have, but they want the whole file in memory, give one error for a file where one per HDU is needed, keep no
//! malformed cards, and decode a Rice MEF of 2048 x 2048 pixels three and seven times slower than this room, in the
//! same run; `fitskit` also allocates what a header claims, 10^12 bytes if it says so.

pub mod card;
mod cells;
pub mod checksum;
pub mod column;
pub mod error;
pub mod file;
mod fuzz;
pub mod hdu;
pub mod header;
pub mod heap;
pub mod image;
mod image_header;
pub mod inspect;
mod keyword_index;
pub mod limits;
mod scan;
mod structure;
pub mod table;
pub mod tile;
pub mod wrapped;
pub mod write;

pub use card::{CardFault, Value};
pub use cells::Rows;
pub use column::{AsciiKind, Column, ColumnKind, Element, Null};
pub use error::{FitsError, FitsFault};
pub use file::{FitsFile, Trailing};
#[doc(hidden)]
pub use fuzz::fuzz_entry;
pub use hdu::{Hdu, HduIndex, HduKind};
pub use header::{Card, Header};
pub use heap::{Descriptor, Heap};
pub use limits::Limits;
pub use table::Table;
