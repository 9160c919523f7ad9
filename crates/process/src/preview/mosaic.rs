//! All detectors of a multiframe in one picture.

use super::picture::Picture;
use sky::{Detector, Layout, PixelSize, Placement, Transform, Wcs};

/// One detector as a part of the mosaic.
#[derive(Clone, Debug)]
pub struct Part {
    /// WCS of the detector; `None` without a usable one.
    pub wcs: Option<Wcs>,
    /// Pixels of the detector itself.
    pub image: PixelSize,
    /// The reduced image in grey, FITS row 1 first.
    pub reduced: Picture,
}

/// A mosaic, and its orientation.
#[derive(Clone, Debug)]
pub struct Mosaic {
    /// The picture.
    pub picture: Picture,
    /// True when north is up and east left; else the detectors are side by side, FITS row 1 at the bottom.
    pub north_up: bool,
    /// Detector pixels per pixel of the picture, in the middle of the first detector.
    pub scale: f64,
}

/// Grey of areas without detector.
const GROUND: u8 = 0;
/// Pixels between detectors that are side by side.
const GAP: f64 = 4.0;

/// The place of a part, in units of the first detector's pixels.
struct Place {
    transform: Transform,
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

struct Places {
    places: Vec<Place>,
    width: f64,
    height: f64,
    north_up: bool,
}

impl Part {
    /// Keeps no more of the reduced image than a mosaic with sides of `max_side` pixels can show.
    pub fn new(wcs: Option<Wcs>, image: PixelSize, reduced: Picture, max_side: usize) -> Self {
        let (width, height) = (reduced.width, reduced.height);
        let side = width.max(height);
        let reduced = if side > max_side {
            let shorter = |n: usize| (n * max_side / side).max(1);
            reduced.resized(shorter(width), shorter(height))
        } else {
            reduced
        };
        Self { wcs, image, reduced }
    }
}

/// Arranges the parts, no side longer than `max_side` pixels and no part larger than it is. `None` without parts.
pub fn compose(parts: &[Part], max_side: usize) -> Option<Mosaic> {
    let first = parts.first()?;
    let Places { places, width, height, north_up } =
        on_sky(parts).unwrap_or_else(|| side_by_side(parts));
    let max_side = max_side.clamp(1, super::picture::MAX_SIDE_PX) as f64;
    let own = parts.iter().zip(&places).map(|(part, place)| {
        let side = part.reduced.width.max(part.reduced.height);
        side as f64 / place.width.max(place.height)
    });
    let by = own.fold(max_side / width.max(height), f64::min);
    let pixels = |n: f64| whole(n * by).clamp(1, super::picture::MAX_SIDE_PX);
    let (columns, rows) = (pixels(width), pixels(height));
    let mut picture = Picture { width: columns, height: rows, grey: vec![GROUND; columns * rows] };
    // Of extensions that overlap (an image, its errors, its mask) the first is seen.
    for (part, place) in parts.iter().zip(&places).rev() {
        let Picture { width, height, grey } = &part.reduced;
        let turned = Picture::draw(grey, *width, *height, place.transform);
        let (left, top) = (whole(place.left * by), whole(place.top * by));
        let right = whole((place.left + place.width) * by).max(left + 1);
        let bottom = whole((place.top + place.height) * by).max(top + 1);
        picture.paste(&turned.resized(right - left, bottom - top), left, top);
    }
    let place = places.first()?;
    let longer = first.image.width.max(first.image.height) as f64;
    let scale = longer / (place.width.max(place.height) * by);
    Some(Mosaic { picture, north_up, scale })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturating on purpose"
)]
fn whole(n: f64) -> usize {
    n.round() as usize
}

/// Returns the places by the WCS of all parts.
fn on_sky(parts: &[Part]) -> Option<Places> {
    let detectors: Option<Vec<Detector>> =
        parts.iter().map(|p| p.wcs.as_ref().map(|wcs| Detector { wcs, image: p.image })).collect();
    let layout = Layout::of(&detectors?, 1.0).ok()?;
    let place = |p: &Placement| Place {
        transform: p.transform,
        left: p.left,
        top: p.top,
        width: p.width,
        height: p.height,
    };
    let places: Vec<Place> = layout.placements.iter().map(place).collect();
    let (width, height) = (layout.width, layout.height);
    let covered: f64 = places.iter().map(|p| p.width * p.height).sum();
    let shorter = places.iter().map(|p| p.width.min(p.height)).fold(f64::INFINITY, f64::min);
    // Detectors all over the sky are not one camera.
    let sound = width.is_finite() && height.is_finite() && shorter > 0.0;
    (sound && width * height <= 100.0 * covered).then_some(Places {
        places,
        width,
        height,
        north_up: true,
    })
}

/// Returns places in rows of equal length, in the order of the extensions.
fn side_by_side(parts: &[Part]) -> Places {
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
    let (columns, rows) = (per_row.min(parts.len()), parts.len().div_ceil(per_row));
    Places {
        places,
        width: columns as f64 * cell_width - GAP,
        height: rows as f64 * cell_height - GAP,
        north_up: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(grey: u8, image: (u64, u64), reduced: (usize, usize)) -> Part {
        let (width, height) = reduced;
        let image = PixelSize { width: image.0, height: image.1 };
        let reduced = Picture { width, height, grey: vec![grey; width * height] };
        Part::new(None, image, reduced, 1000)
    }

    #[test]
    fn without_wcs_detectors_stand_side_by_side() {
        let parts = [50, 100, 150].map(|grey| part(grey, (8, 8), (4, 4)));
        let mosaic = compose(&parts, 1000).unwrap();
        assert!(!mosaic.north_up);
        assert_eq!(mosaic.scale, 2.0);
        let Picture { width, height, grey } = mosaic.picture;
        assert_eq!((width, height), (10, 10));
        assert_eq!([grey[0], grey[9], grey[90], grey[99]], [50, 100, 150, 0]);
    }

    #[test]
    fn a_mosaic_of_one_is_the_detector_in_small() {
        for (image, reduced, max_side, wanted) in [
            ((2048, 1024), (512, 256), 1000, (512, 256)),
            ((2048, 1024), (512, 256), 128, (128, 64)),
            ((8000, 100), (2000, 25), 1000, (1000, 13)),
            ((3, 1), (3, 1), 1000, (3, 1)),
        ] {
            let mosaic = compose(&[part(7, image, reduced)], max_side).unwrap();
            assert_eq!((mosaic.picture.width, mosaic.picture.height), wanted, "{image:?}");
            assert!(mosaic.picture.grey.iter().all(|v| *v == 7));
        }
    }

    #[test]
    fn nothing_is_made_larger() {
        let parts = [part(1, (4096, 4096), (1000, 1000)), part(2, (64, 64), (64, 64))];
        let mosaic = compose(&parts, 5000).unwrap();
        assert!((mosaic.scale - 4.096).abs() < 1e-9, "{}", mosaic.scale);
        assert_eq!(compose(&[], 5000).map(|m| m.scale), None);
    }
}
