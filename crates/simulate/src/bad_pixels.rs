//! Defective pixels of a detector: the same ones in every frame.

use crate::random::Random;

/// Bad pixels by row.
#[derive(Debug)]
pub(crate) struct BadPixels {
    /// Index in `columns` at which each row's columns begin.
    starts: Vec<u32>,
    /// Columns from 0, ascending within a row.
    columns: Vec<u32>,
}

/// Fraction of bad pixels, without bad columns.
const PART: f64 = 8e-4;

impl BadPixels {
    /// Returns the bad pixels of camera 1-4 when its image has `side` pixels a side.
    pub fn of_camera(camera: usize, side: usize) -> Self {
        let mut of_camera = Random::of(&[0xbad, camera as u64, side as u64]);
        // A bad column in each 1000, half of the detector long, and a patch where the hybridisation failed.
        let lines: Vec<(u32, bool)> = (0..side.div_ceil(1024))
            .map(|_| (of_camera.below(side) as u32, of_camera.uniform() < 0.5))
            .collect();
        let patch = [of_camera.below(side) as f64, of_camera.below(side) as f64];
        let patch_radius = side as f64 / 150.0;
        let mut starts = Vec::with_capacity(side + 1);
        let mut columns = Vec::new();
        starts.push(0);
        for y in 0..side {
            let first = columns.len();
            let mut random = Random::of(&[0xbad, camera as u64, side as u64, y as u64]);
            let expected = PART * side as f64;
            let count = (expected + random.uniform()) as usize;
            columns.extend((0..count).map(|_| random.below(side) as u32));
            for (column, upper) in &lines {
                if (y >= side / 2) == *upper {
                    columns.push(*column);
                }
            }
            let half = (patch_radius.powi(2) - (y as f64 - patch[1]).powi(2)).max(0.0).sqrt();
            let (from, to) = ((patch[0] - half).max(0.0), (patch[0] + half).min(side as f64));
            columns.extend((from.ceil() as u32)..(to as u32));
            columns[first..].sort_unstable();
            starts.push(columns.len() as u32);
        }
        Self { starts, columns }
    }

    /// Returns the columns (from 0) of the bad pixels of row `y` (from 0).
    pub fn row(&self, y: usize) -> &[u32] {
        &self.columns[self.starts[y] as usize..self.starts[y + 1] as usize]
    }

    /// Returns the number of bad pixels within a circle about a pixel position counted from 1.
    pub fn within(&self, x: f64, y: f64, radius: f64) -> usize {
        let side = self.starts.len() - 1;
        let first = (y - 1.0 - radius).ceil().max(0.0) as usize;
        let last = ((y - 1.0 + radius).max(0.0) as usize + 1).min(side);
        let mut count = 0;
        for row in first..last {
            let dy = row as f64 + 1.0 - y;
            let mut previous = u32::MAX;
            for column in self.row(row) {
                let dx = f64::from(*column) + 1.0 - x;
                count += usize::from(*column != previous && dx * dx + dy * dy <= radius * radius);
                previous = *column;
            }
        }
        count
    }
}
