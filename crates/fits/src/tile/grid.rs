//! Places of the tiles of an image.
//!
//! A *tile row* is all tiles that differ only in their place along the first axis: its pixels are whole rows of the
//! image. It covers some rows of one plane, or of several planes where tiles are that thick.

/// The tiles of an image.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    axes: Vec<Axis>,
}

#[derive(Clone, Copy, Debug)]
struct Axis {
    length: u64,
    tile: u64,
}

impl Axis {
    fn tiles(&self) -> u64 {
        self.length.div_ceil(self.tile)
    }

    /// Returns the length of the tile of this number; the last may be shorter.
    fn extent(&self, tile: u64) -> u64 {
        self.tile.min(self.length - tile * self.tile)
    }
}

/// Rows that one row of tiles covers: `runs` runs of `run_rows` rows each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TileRow {
    /// Number of the tile row.
    pub number: u64,
    /// Number of consecutive rows of the image in a run.
    pub run_rows: u64,
    /// Number of such runs, in other planes.
    pub runs: u64,
}

impl Grid {
    /// Makes the grid of axes and tile sizes; both have the same number of elements, and none is 0.
    pub fn new(axes: &[u64], tile: &[u64]) -> Self {
        let axes = axes.iter().zip(tile).map(|(&length, &tile)| Axis { length, tile }).collect();
        Self { axes }
    }

    /// Returns the number of tiles; `None` beyond 64 bits.
    pub fn tile_count(&self) -> Option<u64> {
        self.axes.iter().try_fold(1u64, |count, axis| count.checked_mul(axis.tiles()))
    }

    /// Returns the number of tiles of a tile row.
    pub fn tiles_across(&self) -> u64 {
        self.axes[0].tiles()
    }

    /// Returns the number of pixels of a row.
    pub fn row_pixels(&self) -> u64 {
        self.axes[0].length
    }

    /// Returns the first pixel of a tile in its rows, and the number of pixels in each.
    pub fn columns(&self, tile_in_row: u64) -> (u64, u64) {
        (tile_in_row * self.axes[0].tile, self.axes[0].extent(tile_in_row))
    }

    /// Returns the number of tile rows.
    pub fn tile_rows(&self) -> u64 {
        self.axes[1..].iter().map(Axis::tiles).product()
    }

    /// Returns the number of rows of the largest tile row; `None` beyond 64 bits.
    pub fn tile_row_rows_max(&self) -> Option<u64> {
        self.axes[1..].iter().try_fold(1u64, |rows, axis| rows.checked_mul(axis.tile))
    }

    /// Returns the number of pixels of the largest tile; `None` beyond 64 bits.
    pub fn tile_pixels_max(&self) -> Option<u64> {
        self.tile_row_rows_max()?.checked_mul(self.axes[0].tile)
    }

    /// Returns the rows of a tile row.
    pub fn tile_row(&self, number: u64) -> TileRow {
        let mut rest = number;
        let mut row = TileRow { number, run_rows: 1, runs: 1 };
        for (index, axis) in self.axes[1..].iter().enumerate() {
            let extent = axis.extent(rest % axis.tiles());
            rest /= axis.tiles();
            if index == 0 {
                row.run_rows = extent;
            } else {
                row.runs *= extent;
            }
        }
        row
    }

    /// Returns the image row at which a run begins. The first run begins at the lowest row.
    pub fn first_row(&self, tile_row: TileRow, run: u64) -> u64 {
        let (mut tile, mut run) = (tile_row.number, run);
        let (mut row, mut step) = (0, 1);
        for (index, axis) in self.axes[1..].iter().enumerate() {
            let number = tile % axis.tiles();
            tile /= axis.tiles();
            let mut place = number * axis.tile;
            if index > 0 {
                place += run % axis.extent(number);
                run /= axis.extent(number);
            }
            row += place * step;
            step *= axis.length;
        }
        row
    }

    /// Returns the first tile row that covers an image row or one after it.
    pub fn tile_row_from(&self, row: u64) -> u64 {
        let (mut row, mut number, mut step) = (row, 0, 1);
        for (index, axis) in self.axes[1..].iter().enumerate() {
            let place = row % axis.length;
            row /= axis.length;
            // If tiles are thick along a later axis, the first tile row of this axis also covers later image rows.
            let is_thick = self.axes[index + 2..].iter().any(|axis| axis.tile > 1);
            let place = if is_thick { 0 } else { place };
            number += place / axis.tile * step;
            step *= axis.tiles();
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the rows in the order of tiles, and the tile row of each.
    fn rows(grid: &Grid) -> Vec<(u64, u64)> {
        let mut rows = Vec::new();
        for number in 0..grid.tile_rows() {
            let tile_row = grid.tile_row(number);
            for run in 0..tile_row.runs {
                let first = grid.first_row(tile_row, run);
                rows.extend((first..first + tile_row.run_rows).map(|row| (row, number)));
            }
        }
        rows
    }

    #[test]
    fn every_row_is_covered_once() {
        let cases: [(&[u64], &[u64]); 6] = [
            (&[7], &[3]),
            (&[7, 5], &[3, 2]),
            (&[4, 5, 3], &[4, 2, 1]),
            (&[4, 5, 3], &[4, 2, 2]),
            (&[1, 3, 4, 5], &[1, 2, 3, 2]),
            (&[2, 6, 4], &[2, 6, 4]),
        ];
        for (axes, tile) in cases {
            let grid = Grid::new(axes, tile);
            let covered = rows(&grid);
            let mut sorted: Vec<u64> = covered.iter().map(|&(row, _)| row).collect();
            sorted.sort_unstable();
            let all: Vec<u64> = (0..axes[1..].iter().product()).collect();
            assert_eq!(sorted, all, "{axes:?} {tile:?}");
            for row in all {
                let from = grid.tile_row_from(row);
                let there = covered.iter().filter(|&&(other, _)| other >= row);
                assert!(there.map(|&(_, number)| number).min() >= Some(from), "{axes:?} {row}");
            }
        }
    }
}
