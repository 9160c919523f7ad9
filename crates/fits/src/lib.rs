//! FITS reader and writer for the files of telescopes and their pipelines; no content of a file is trusted.
//!
//! Takes a path or bytes and returns typed headers, image bands and table columns, or a [`FitsFault`] with a machine-readable
//! code. Opening reads headers alone; a broken HDU carries its own fault, and the HDUs before it stay usable. No size that a
//! header claims is allocated: memory is that of a band, a tile or a batch of rows, within [`Limits`].
//!
//! Start at [`FitsFile::open`]; [`FitsFile::hdus`] lists the HDUs, [`FitsFile::image`] and [`FitsFile::table`] read their data,
//! [`inspect::inspect`] reads everything. A new kind of fault begins in [`FitsFault`].
//! Does not know surveys, tables of the archive, or what a keyword means beyond the standard.
//!
//! The crates `fitsio-pure` (0.25) and `fitskit` (0.3) were tried first. Both read the images of the real files we have, but
//! they want the whole file in memory, return one error for a file where one per HDU is needed, keep no malformed cards, and
//! decode a Rice MEF of 2048 x 2048 pixels three and seven times slower than this crate, in the same run; `fitskit` also
//! allocates what a header claims, even 10^12 bytes.

mod arrays;
pub mod card;
mod cells;
pub mod checksum;
mod codec;
pub mod column;
pub mod error;
pub mod file;
mod fuzz;
pub mod hdu;
mod hdu_index;
pub mod header;
pub mod heap;
pub mod image;
mod image_header;
pub mod inspect;
mod keyword_index;
pub mod limits;
mod pixels;
mod scan;
mod source;
mod structure;
pub mod table;
pub mod tile;
mod trailing;
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
