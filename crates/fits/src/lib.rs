//! The file format: reads what telescopes and their pipelines deliver, and trusts none of it.
//!
//! Takes a path or bytes, leaves typed headers, image bands and table columns, or a [`FitsFault`] with a code.
//!
//! Start at [`FitsFile::open`]; [`FitsFile::hdus`] says what is there.
//! Does not know surveys, tables of the archive, or what a keyword means beyond the standard.

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
pub use file::FitsFile;
#[doc(hidden)]
pub use fuzz::fuzz_entry;
pub use hdu::{Hdu, HduIndex, HduKind};
pub use header::{Card, Header};
pub use heap::{Descriptor, Heap};
pub use limits::Limits;
pub use table::Table;
