//! The distances in pixels between sky positions of a catalogue and the WCS of its image.

use crate::header_view::HeaderView;
use crate::reading::reading;
use fits::FitsFile;
use model::profile::SurveyProfile;
use sky::{SkyPosition, Wcs};

/// A row of a catalogue: x, y (the centre of the first pixel is 1), and right ascension and declination in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlacedRow {
    /// Pixel coordinate along axis 1.
    pub x: f64,
    /// Pixel coordinate along axis 2.
    pub y: f64,
    /// Right ascension in degrees, in the frame in which the profile reads the WCS.
    pub ra_deg: f64,
    /// Declination in degrees.
    pub dec_deg: f64,
}

/// Returns for each row the pixel at which the WCS of an image has its sky position, minus its x and y. Rows whose position the
/// WCS has no pixel for are omitted. `None` when the HDU has no usable WCS.
pub fn pixel_offsets(
    image: &FitsFile,
    hdu: u16,
    profile: &SurveyProfile,
    rows: &[PlacedRow],
) -> Option<Vec<[f64; 2]>> {
    let primary = image.hdus().first()?;
    let hdu = image.hdus().get(usize::from(hdu))?;
    let wcs = Wcs::read_image(&HeaderView::of_extension(hdu, primary), reading(profile)).ok()?;
    let offset = |row: &PlacedRow| {
        let (x, y) = wcs.sky_to_pixel(SkyPosition::new(row.ra_deg, row.dec_deg)?)?;
        Some([x - row.x, y - row.y])
    };
    Some(rows.iter().filter_map(offset).collect())
}
