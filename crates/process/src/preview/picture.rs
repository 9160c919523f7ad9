//! Grey pixels and their conversion to a JPEG.

use jpeg_encoder::{ColorType, Encoder};
use sky::{PixelSize, Transform};
use std::ops::Range;

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

/// A size of a picture that no JPEG can hold.
#[derive(Debug, thiserror::Error)]
#[error("{width} x {height} pixels make no JPEG: {reason}")]
pub struct PictureFault {
    width: usize,
    height: usize,
    reason: String,
}

/// Longest side of a JPEG.
pub const MAX_SIDE_PX: usize = 65_500;

impl Picture {
    /// Draws an image, FITS row 1 first, as `transform` states.
    pub fn draw(grey: &[u8], width: usize, height: usize, transform: Transform) -> Self {
        let size = PixelSize { width: width as u64, height: height as u64 };
        let shown = transform.display_size(size);
        let (columns, rows) = (shown.width as usize, shown.height as usize);
        // Every transform moves along the display in fixed steps: to the place of the first pixel and of its neighbours.
        let at = |x: f64, y: f64| {
            let (column, row) = transform.apply(x, y, size);
            #[expect(clippy::cast_possible_truncation, reason = "whole pixel positions")]
            let index = (row as isize) * columns.cast_signed() + column as isize;
            index
        };
        let origin = at(1.0, 1.0);
        let (step_x, step_y) = (at(2.0, 1.0) - origin, at(1.0, 2.0) - origin);
        let mut target = vec![0; grey.len()];
        let mut copy = |xs: Range<usize>, ys: Range<usize>| {
            for y in ys {
                let from = &grey[y * width..][xs.clone()];
                let start = origin + y.cast_signed() * step_y + xs.start.cast_signed() * step_x;
                copy_line(from, &mut target, start, step_x);
            }
        };
        if step_x.abs() == 1 {
            copy(0..width, 0..height);
        } else {
            // A turn by 90 degrees, tile by tile: lines of both pictures stay in the cache.
            for x in (0..width).step_by(TILE) {
                for y in (0..height).step_by(TILE) {
                    copy(x..(x + TILE).min(width), y..(y + TILE).min(height));
                }
            }
        }
        Self { width: columns, height: rows, grey: target }
    }

    /// Returns the picture as a baseline JPEG.
    ///
    /// # Errors
    /// Fails when a side is 0 or longer than [`MAX_SIDE_PX`].
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

    /// Returns the picture in another size, each pixel the mean of the area that it covers.
    pub(super) fn resized(&self, width: usize, height: usize) -> Self {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let (columns, rows) = (spans(self.width, width), spans(self.height, height));
        let mut grey = Vec::with_capacity(width * height);
        let mut line = vec![0.0_f32; self.width];
        for row in &rows {
            // Along the columns first: vector instructions work well on whole rows.
            line.fill(0.0);
            for (y, weight) in row.parts() {
                let source = &self.grey[y * self.width..(y + 1) * self.width];
                for (sum, grey) in line.iter_mut().zip(source) {
                    *sum += weight * f32::from(*grey);
                }
            }
            grey.extend(columns.iter().map(|column| column.mean(&line)));
        }
        Self { width, height, grey }
    }

    /// Pastes another picture over this one; the part outside of this one is omitted.
    pub(super) fn paste(&mut self, other: &Self, left: usize, top: usize) {
        let width = other.width.min(self.width.saturating_sub(left));
        for (y, line) in other.grey.chunks_exact(other.width.max(1)).enumerate() {
            if width > 0 && top + y < self.height {
                let start = (top + y) * self.width + left;
                self.grey[start..start + width].copy_from_slice(&line[..width]);
            }
        }
    }
}

/// Side of the tiles in which a picture is turned.
const TILE: usize = 64;

/// Copies a line into a picture, its first pixel to `start` and the others in steps from `start`.
fn copy_line(from: &[u8], target: &mut [u8], start: isize, step: isize) {
    #[expect(clippy::cast_sign_loss, reason = "a transform stays within its display")]
    let begin = start as usize;
    match step {
        1 => target[begin..begin + from.len()].copy_from_slice(from),
        -1 => {
            let mirrored = target[begin + 1 - from.len()..=begin].iter_mut().rev();
            mirrored.zip(from).for_each(|(to, v)| *to = *v);
        }
        _ => {
            let mut index = start;
            for value in from {
                target[index.cast_unsigned()] = *value;
                index += step;
            }
        }
    }
}

/// The pixels of a line that one pixel of a line of another length covers.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: usize,
    last: usize,
    /// Weight of the first, of those between, and of the last; all together are 1.
    weights: [f32; 3],
}

impl Span {
    fn parts(self) -> impl Iterator<Item = (usize, f32)> {
        (self.first..=self.last).map(move |at| (at, self.weight(at)))
    }

    fn weight(self, at: usize) -> f32 {
        let [first, between, last] = self.weights;
        if at == self.first {
            first
        } else if at == self.last {
            last
        } else {
            between
        }
    }

    fn mean(self, line: &[f32]) -> u8 {
        let [first, between, last] = self.weights;
        let mut mean = first * line[self.first];
        if self.last > self.first {
            mean += last * line[self.last];
            mean += between * line[self.first + 1..self.last].iter().sum::<f32>();
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a mean of bytes"
        )]
        let grey = (mean + 0.5) as u8;
        grey
    }
}

/// Returns the span of the `from` pixels that each of the `to` pixels covers.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides of pictures"
)]
fn spans(from: usize, to: usize) -> Vec<Span> {
    let per_pixel = from as f64 / to as f64;
    let span = |i: usize| {
        let (start, end) = (i as f64 * per_pixel, (i + 1) as f64 * per_pixel);
        let first = (start as usize).min(from - 1);
        // An end on the edge of a pixel does not touch the next one.
        let last = ((end - 1e-9) as usize).clamp(first, from - 1);
        let share = |length: f64| (length / per_pixel) as f32;
        let weights = if first == last {
            [1.0, 0.0, 0.0]
        } else {
            [share(first as f64 + 1.0 - start), share(1.0), share(end - last as f64)]
        };
        Span { first, last, weights }
    };
    (0..to).map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_agrees_with_the_transform() {
        for (transform, (width, height)) in
            Transform::all().flat_map(|t| [(t, (5, 3)), (t, (150, 70)), (t, (64, 129))])
        {
            let grey: Vec<u8> = (0..width * height).map(|i| (i % 251) as u8).collect();
            let size = PixelSize { width: width as u64, height: height as u64 };
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
            for (width, height) in [(1_usize, 7_usize), (7, 1), (1, 1)] {
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

    #[test]
    fn resizing_takes_the_mean_of_the_area() {
        let picture = Picture { width: 4, height: 2, grey: vec![0, 40, 80, 120, 8, 48, 88, 128] };
        let cases = [
            ((4, 2), vec![0, 40, 80, 120, 8, 48, 88, 128]),
            ((2, 1), vec![24, 104]),
            ((1, 2), vec![60, 68]),
            ((3, 1), vec![14, 64, 114]), // thirds of 4 / 3 pixels: (0 + 40 / 3) * 3 / 4 + 4 = 14
            ((4, 4), vec![0, 40, 80, 120, 0, 40, 80, 120, 8, 48, 88, 128, 8, 48, 88, 128]),
        ];
        for ((width, height), grey) in cases {
            let wanted = Picture { width, height, grey };
            assert_eq!(picture.resized(width, height), wanted);
        }
        let plain = Picture { width: 500, height: 301, grey: vec![77; 500 * 301] };
        for (width, height) in [(499, 17), (1, 1), (501, 302), (123, 301)] {
            assert!(plain.resized(width, height).grey.iter().all(|v| *v == 77));
        }
    }

    #[test]
    fn pasting_stays_within_the_picture() {
        let mut ground = Picture { width: 3, height: 2, grey: vec![0; 6] };
        let patch = Picture { width: 2, height: 2, grey: vec![1, 2, 3, 4] };
        ground.paste(&patch, 2, 1);
        assert_eq!(ground.grey, [0, 0, 0, 0, 0, 1]);
        ground.paste(&patch, 0, 0);
        assert_eq!(ground.grey, [1, 2, 0, 3, 4, 1]);
        ground.paste(&patch, 9, 9);
        assert_eq!(ground.grey, [1, 2, 0, 3, 4, 1]);
    }
}
