//! Tile compression: the codecs and the arithmetic of quantised floats.
