//! Writing FITS: headers, images, tables, byte for byte reproducible.
