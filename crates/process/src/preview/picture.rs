//! Grey pixels on their way to a JPEG.

use jpeg_encoder::{ColorType, Encoder};
use sky::{PixelSize, Transform};

/// A picture as it is shown: row 0 at the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Grey, 0 to 255.
    pub grey: Vec<u8>,
}

/// A picture that no JPEG can hold.
#[derive(Debug, thiserror::Error)]
#[error("{width} x {height} pixels make no JPEG: {reason}")]
pub struct PictureFault {
    width: usize,
    height: usize,
    reason: String,
}

/// Longest side of a JPEG.
pub const LONGEST: usize = 65_500;

impl Picture {
    /// Draws an image, FITS row 1 first, the way `transform` says.
    pub fn draw(grey: &[u8], width: usize, height: usize, transform: Transform) -> Self {
        let size = PixelSize { width: width as u64, height: height as u64 };
        let shown = transform.display_size(size);
        let (columns, rows) = (shown.width as usize, shown.height as usize);
        // Every transform moves along the display in fixed steps: where the first pixel goes, and its neighbours.
        let at = |x: f64, y: f64| {
            let (column, row) = transform.apply(x, y, size);
            #[expect(clippy::cast_possible_truncation, reason = "whole pixel positions")]
            let index = row as i64 * columns as i64 + column as i64;
            index
        };
        let origin = at(1.0, 1.0);
        let (step_x, step_y) = (at(2.0, 1.0) - origin, at(1.0, 2.0) - origin);
        let mut target = vec![0; grey.len()];
        for (y, row) in grey.chunks_exact(width.max(1)).enumerate() {
            let mut index = origin + y as i64 * step_y;
            for value in row {
                #[expect(clippy::cast_sign_loss, reason = "a transform stays within its display")]
                let position = index as usize;
                target[position] = *value;
                index += step_x;
            }
        }
        Self { width: columns, height: rows, grey: target }
    }

    /// The picture as a baseline JPEG.
    ///
    /// # Errors
    /// When a side is 0 or longer than [`LONGEST`].
    pub fn jpeg(&self, quality: u8) -> Result<Vec<u8>, PictureFault> {
        let fault =
            |reason: String| PictureFault { width: self.width, height: self.height, reason };
        let side = |n: usize| {
            u16::try_from(n)
                .ok()
                .filter(|n| *n > 0)
                .ok_or_else(|| fault("a side must be 1 to 65 535".to_owned()))
        };
        let (width, height) = (side(self.width)?, side(self.height)?);
        let mut bytes = Vec::with_capacity(self.grey.len() / 4 + 1024);
        let encoder = Encoder::new(&mut bytes, quality);
        encoder
            .encode(&self.grey, width, height, ColorType::Luma)
            .map_err(|e| fault(e.to_string()))?;
        Ok(bytes)
    }

    /// Mean grey of the part of the picture between two corners given in fractions of a pixel, at least one pixel.
    pub(super) fn mean(&self, columns: (f64, f64), rows: (f64, f64)) -> u8 {
        let whole = |(from, to): (f64, f64), count: usize| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturating on purpose"
            )]
            let (first, end) = (from.floor() as usize, to.ceil() as usize);
            let first = first.min(count - 1);
            first..end.clamp(first + 1, count)
        };
        let columns = whole(columns, self.width);
        let (mut sum, mut count) = (0_u32, 0_u32);
        for row in whole(rows, self.height) {
            let line = &self.grey[row * self.width..(row + 1) * self.width];
            sum += line[columns.clone()].iter().map(|v| u32::from(*v)).sum::<u32>();
            #[expect(clippy::cast_possible_truncation, reason = "a small block")]
            let n = columns.len() as u32;
            count += n;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a mean of bytes")]
        let mean = (sum / count.max(1)) as u8;
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_agrees_with_the_transform() {
        let (width, height) = (5, 3);
        let grey: Vec<u8> = (0..15).collect();
        let size = PixelSize { width: 5, height: 3 };
        for transform in Transform::all() {
            let picture = Picture::draw(&grey, width, height, transform);
            for y in 0..height {
                for x in 0..width {
                    let (column, row) = transform.apply(x as f64 + 1.0, y as f64 + 1.0, size);
                    let shown = picture.grey[row as usize * picture.width + column as usize];
                    assert_eq!(shown, grey[y * width + x], "{} {x} {y}", transform.name());
                }
            }
        }
    }

    #[test]
    fn single_rows_and_columns_are_drawn() {
        for transform in Transform::all() {
            for (width, height) in [(1, 7), (7, 1), (1, 1)] {
                let grey: Vec<u8> = (0..(width * height) as u8).map(|v| v + 1).collect();
                let mut shown = Picture::draw(&grey, width, height, transform).grey;
                shown.sort_unstable();
                assert_eq!(shown, grey, "{} {width} x {height}", transform.name());
            }
        }
    }

    #[test]
    fn no_picture_without_pixels() {
        let picture = Picture { width: 0, height: 4, grey: Vec::new() };
        assert!(picture.jpeg(85).is_err());
    }
}
