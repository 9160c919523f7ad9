//! Tile compression (FITS 4.0, section 10): an image cut into tiles, each coded by itself in a row of a table.
//!
//! Takes the code of one tile and returns its pixels. [`grid`] has the places of tiles, [`table`] the places of their code.
//!
//! Start at [`decode::TileDecoder`]. A new codec is a file of [`crate::codec`] and an arm in [`settings::Algorithm`].
//! Does not read images: that is [`crate::image`].

pub(crate) mod decode;
pub(crate) mod grid;
pub mod settings;
pub(crate) mod table;
pub(crate) mod window;

pub use crate::codec::{CodecFault, dither, gzip, hcompress, plio, rice};
