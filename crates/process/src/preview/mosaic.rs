//! All detectors of a multiframe in one picture.

use super::picture::Picture;
use sky::{Detector, Layout, PixelSize, Transform, Wcs};

/// One detector as it goes into the mosaic: its reduced image in grey, FITS row 1 first.
pub struct Part<'a> {
    /// Its WCS, when it has a usable one.
    pub wcs: Option<&'a Wcs>,
    /// Pixels of the detector itself.
    pub image: PixelSize,
    /// Columns of the reduced image.
    pub width: usize,
    /// Rows of the reduced image.
    pub height: usize,
    /// The reduced image.
    pub grey: &'a [u8],
}

/// A mosaic, and whether it lies as on the sky.
pub struct Mosaic {
    /// The picture.
    pub picture: Picture,
    /// North is up and east left; else the detectors stand side by side, FITS row 1 at the bottom.
    pub north_up: bool,
    /// Detector pixels per pixel of the picture, in the middle of the first detector.
    pub scale: f64,
}

/// Grey of what no detector covers.
const GROUND: u8 = 0;
/// Pixels between detectors that stand side by side.
const GAP: f64 = 4.0;

struct Place {
    transform: Transform,
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// Lays the parts out, no side longer than `longest` pixels. `None` without parts.
pub fn compose(parts: &[Part], longest: usize) -> Option<Mosaic> {
    let first = parts.first()?;
    let (places, width, height, north_up) = on_sky(parts).unwrap_or_else(|| side_by_side(parts));
    let longest = longest.clamp(16, super::picture::LONGEST) as f64;
    // Never larger than the reduced images themselves.
    let reduced = first.width as f64 / places.first()?.width.max(places.first()?.height).max(1e-9);
    let by = (longest / width.max(height)).min(reduced);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded by longest"
    )]
    let size = |n: f64| ((n * by).ceil() as usize).clamp(1, super::picture::LONGEST);
    let (columns, rows) = (size(width), size(height));
    let mut picture = Picture { width: columns, height: rows, grey: vec![GROUND; columns * rows] };
    for (part, place) in parts.iter().zip(&places) {
        paste(&mut picture, part, place, by);
    }
    let along =
        if north_up { places[0].width.max(places[0].height) } else { first.image.width as f64 };
    Some(Mosaic {
        picture,
        north_up,
        scale: first.image.width.max(first.image.height) as f64 / (along * by),
    })
}

/// Places by the WCS of all parts, in units of a common picture.
fn on_sky(parts: &[Part]) -> Option<(Vec<Place>, f64, f64, bool)> {
    let detectors: Option<Vec<Detector>> =
        parts.iter().map(|p| p.wcs.map(|wcs| Detector { wcs, image: p.image })).collect();
    let layout = Layout::of(&detectors?, 1.0).ok()?;
    // Detectors all over the sky are no camera.
    let covered: f64 = layout.placements.iter().map(|p| p.width * p.height).sum();
    if !(layout.width.is_finite() && layout.height.is_finite())
        || layout.width * layout.height > 100.0 * covered
    {
        return None;
    }
    let places = layout
        .placements
        .iter()
        .map(|p| Place {
            transform: p.transform,
            left: p.left,
            top: p.top,
            width: p.width,
            height: p.height,
        })
        .collect();
    Some((places, layout.width, layout.height, true))
}

/// Places in rows of equal length, in the order of the extensions.
fn side_by_side(parts: &[Part]) -> (Vec<Place>, f64, f64, bool) {
    let per_row = (1..).find(|n| n * n >= parts.len()).unwrap_or(1);
    let cell_width = parts.iter().map(|p| p.image.width as f64).fold(0.0, f64::max) + GAP;
    let cell_height = parts.iter().map(|p| p.image.height as f64).fold(0.0, f64::max) + GAP;
    let places = (0..parts.len())
        .zip(parts)
        .map(|(i, part)| Place {
            transform: Transform::IDENTITY,
            left: (i % per_row) as f64 * cell_width,
            top: (i / per_row) as f64 * cell_height,
            width: part.image.width as f64,
            height: part.image.height as f64,
        })
        .collect();
    let rows = parts.len().div_ceil(per_row);
    (places, per_row as f64 * cell_width - GAP, rows as f64 * cell_height - GAP, false)
}

/// Averages the turned part down into its place.
fn paste(picture: &mut Picture, part: &Part, place: &Place, by: f64) {
    let turned = Picture::draw(part.grey, part.width, part.height, place.transform);
    let (left, top) = (place.left * by, place.top * by);
    let (width, height) = (place.width * by, place.height * by);
    let (per_column, per_row) = (turned.width as f64 / width, turned.height as f64 / height);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the picture"
    )]
    let span = |from: f64, length: f64, count: usize| {
        (from.round().max(0.0) as usize)..((from + length).round().max(0.0) as usize).min(count)
    };
    for row in span(top, height, picture.height) {
        let y = row as f64 + 0.5 - top;
        for column in span(left, width, picture.width) {
            let x = column as f64 + 0.5 - left;
            let columns = ((x - 0.5) * per_column, (x + 0.5) * per_column);
            let rows = ((y - 0.5) * per_row, (y + 0.5) * per_row);
            picture.grey[row * picture.width + column] = turned.mean(
                (columns.0.max(0.0) + 1e-9, columns.1 - 1e-9),
                (rows.0.max(0.0) + 1e-9, rows.1 - 1e-9),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_wcs_detectors_stand_side_by_side() {
        let size = PixelSize { width: 8, height: 8 };
        let greys: Vec<Vec<u8>> = (1..=3).map(|n| vec![n * 50; 16]).collect();
        let parts: Vec<Part> = greys
            .iter()
            .map(|grey| Part { wcs: None, image: size, width: 4, height: 4, grey })
            .collect();
        let mosaic = compose(&parts, 1000).unwrap();
        assert!(!mosaic.north_up);
        let Picture { width, height, grey } = mosaic.picture;
        assert_eq!((width, height), (10, 10));
        assert_eq!([grey[0], grey[9], grey[90], grey[99]], [50, 100, 150, 0]);
    }
}
