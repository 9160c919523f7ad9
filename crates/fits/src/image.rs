//! Images: pixels of plain and tile-compressed HDUs, read in bands of rows.
