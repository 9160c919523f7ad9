//! CU2: the picture of a detector as a JPEG that tolerates faults in the image.
//!
//! Takes the image files of a task and returns a JPEG per detector and one mosaic per file, rows of table `preview`, refusals
//! and findings. Rows of pixels are averaged down as they are decoded ([`reduce`]), the sky is measured ([`level`]), black and
//! white follow from it ([`stretch`]), the WCS turns north up ([`picture`]), all detectors are combined in one picture
//! ([`mosaic`]). Memory is that of the reduced image, whatever the size of the detector.
//!
//! Start at [`run`] for a whole task, at [`render`] for one file. Any change in the appearance of a preview raises [`RECIPE`]; a
//! setting of a survey is a field of [`PreviewProfile`] and a part of [`Recipe::fingerprint`].
//! Does not write files, or know where previews are stored.

pub mod level;
pub mod mosaic;
pub mod picture;
pub mod reduce;
mod rows;
pub mod stretch;
mod task;
mod unit;

pub use crate::task::TaskFault;
pub use model::preview_name::is_of_detector;
pub use task::{Products, run};

use fits::image::{Image, Rows, Scratch};
use fits::{FitsError, FitsFile, HduIndex, HduKind};
use level::{Sample, Sky};
use model::profile::PreviewProfile;
use mosaic::Part;
use picture::{Picture, PictureFault};
use reduce::{Reduced, Reducer, Scaling};
use sky::{PixelSize, Transform, Wcs};
use stretch::{Curve, Stretch, Tone};
use unit::Sizes;

/// Version of the procedure for previews.
pub const RECIPE: u32 = 5;

/// The settings that determine the appearance of a preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// Detector pixels per preview pixel, along each axis.
    pub factor: usize,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
    /// Mapping from values to grey.
    pub curve: Curve,
    /// The grey of the level, which follows from the kind of the frame.
    pub tone: Tone,
    /// Longest side of the mosaic, in pixels.
    pub max_mosaic_px: usize,
}

impl Recipe {
    /// Returns the recipe of a survey; invalid values of the profile are replaced by the default.
    pub fn of(profile: &PreviewProfile) -> Self {
        Self {
            factor: (profile.scale as usize).clamp(1, reduce::FACTOR_MAX),
            quality: profile.quality.clamp(1, 100),
            curve: Curve::of_name(&profile.stretch).unwrap_or(Curve::Asinh),
            tone: Tone::Sky,
            max_mosaic_px: (profile.mosaic_size as usize).clamp(1, picture::MAX_SIDE_PX),
        }
    }

    /// Returns the fingerprint of version and settings; previews with another fingerprint are made again. The tone is not one
    /// of the settings.
    pub fn fingerprint(&self) -> String {
        format!(
            "{RECIPE}.{}.x{}.q{}.m{}",
            self.curve.name(),
            self.factor,
            self.quality,
            self.max_mosaic_px
        )
    }
}

/// The preview of one detector.
#[derive(Clone, Debug)]
pub struct DetectorPreview {
    /// Its HDU.
    pub hdu: HduIndex,
    /// Columns of the JPEG.
    pub width: usize,
    /// Rows of the JPEG.
    pub height: usize,
    /// The transform that was applied to the image.
    pub transform: Transform,
    /// True when a WCS put north up.
    pub north_up: bool,
    /// Detector pixels per preview pixel, along each axis.
    pub factor: usize,
    /// The sky; `None` without a valid pixel.
    pub sky: Option<Sky>,
    /// The stretch; `None` without a valid pixel.
    pub stretch: Option<Stretch>,
    /// Physical value of 1 in `sky` and `stretch`: 1, except for values that single precision cannot hold.
    pub unit: f64,
    /// Detector pixels that have a value.
    pub valid_pixels: u64,
    /// Planes of the image; the first is shown.
    pub planes: u64,
    /// The JPEG.
    pub jpeg: Vec<u8>,
}

/// The mosaic of a multiframe.
#[derive(Clone, Debug)]
pub struct MosaicPreview {
    /// Columns of the JPEG.
    pub width: usize,
    /// Rows of the JPEG.
    pub height: usize,
    /// True when north is up and east left, as on the sky.
    pub north_up: bool,
    /// Detector pixels per pixel, along each axis.
    pub scale: f64,
    /// The JPEG.
    pub jpeg: Vec<u8>,
}

/// The previews of one file.
#[derive(Debug, Default)]
pub struct Previews {
    /// Previews of the detectors, in the order of the HDUs.
    pub detectors: Vec<DetectorPreview>,
    /// Mosaic of all detectors; of a single one the same picture, or a smaller one.
    pub mosaic: Option<MosaicPreview>,
    /// HDUs without a preview, with the fault.
    pub faults: Vec<(HduIndex, PreviewFault)>,
}

/// The reason why an image has no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewFault {
    /// Its pixels could not be read.
    #[error("the pixels cannot be read")]
    Unreadable(#[from] FitsError),
    /// Fewer than two axes, or an axis of length 0.
    #[error("the axes {axes:?} are not those of a picture")]
    NoPicture {
        /// NAXISn.
        axes: Vec<u64>,
    },
    /// The JPEG could not be made.
    #[error("cannot make a JPEG")]
    Jpeg(#[from] PictureFault),
}

/// Maximum number of pixels of a reduced image; larger ones are reduced further.
const REDUCED_PIXELS_MAX: usize = 16_000_000;

/// Makes the previews of all image HDUs that `wanted` accepts. `wcs_of` returns an HDU's usable WCS. A damaged HDU does not
/// affect the others.
pub fn render(
    file: &FitsFile,
    recipe: &Recipe,
    wanted: impl Fn(HduIndex) -> bool,
    wcs_of: impl Fn(HduIndex) -> Option<Wcs>,
    scratch: &mut Scratch,
) -> Previews {
    let mut previews = Previews::default();
    let mut parts = Vec::new();
    for hdu in file.hdus() {
        let is_image = matches!(hdu.kind, HduKind::Image | HduKind::CompressedImage);
        if !is_image || !wanted(hdu.index) {
            continue;
        }
        match detector(file, hdu.index, recipe, wcs_of(hdu.index), scratch) {
            Ok((preview, part)) => {
                previews.detectors.push(preview);
                parts.push(part);
            }
            Err(fault) => previews.faults.push((hdu.index, fault)),
        }
    }
    previews.mosaic = compose(&parts, recipe);
    previews
}

fn detector(
    file: &FitsFile,
    hdu: HduIndex,
    recipe: &Recipe,
    wcs: Option<Wcs>,
    scratch: &mut Scratch,
) -> Result<(DetectorPreview, Part), PreviewFault> {
    let image = file.image(hdu)?;
    let size = plane_size(&image)?;
    let (reduced, unit) = reduce_plane(&image, size, recipe, scratch)?;
    let Reduced { width, height, factor, valid_pixels, values } = reduced;
    let sample = Sample::of(&values);
    let sky = sample.as_ref().map(Sample::sky);
    let stretch = sample.as_ref().map(|sample| {
        let level = recipe.tone.level(sample);
        Stretch::fit(recipe.curve, recipe.tone, sample, level)
    });
    drop(sample);
    let grey = stretch.map_or_else(|| vec![0; values.len()], |stretch| stretch.apply(&values));
    drop(values);
    let orientation = wcs.as_ref().and_then(|wcs| wcs.orientation(size).ok());
    let transform = orientation.unwrap_or(Transform::IDENTITY);
    let picture = Picture::draw(&grey, width, height, transform);
    let preview = DetectorPreview {
        hdu,
        width: picture.width,
        height: picture.height,
        transform,
        north_up: orientation.is_some(),
        factor,
        sky,
        stretch,
        unit,
        valid_pixels,
        planes: image.axes()[2..].iter().product(),
        jpeg: picture.jpeg(recipe.quality)?,
    };
    let wcs = wcs.filter(|_| orientation.is_some());
    let part = Part::new(wcs, size, Picture { width, height, grey }, recipe.max_mosaic_px);
    Ok((preview, part))
}

/// Returns the size of the first plane.
fn plane_size(image: &Image) -> Result<PixelSize, PreviewFault> {
    match image.axes() {
        [width, height, planes @ ..] if *width > 0 && *height > 0 && !planes.contains(&0) => {
            Ok(PixelSize { width: *width, height: *height })
        }
        axes => Err(PreviewFault::NoPicture { axes: axes.to_vec() }),
    }
}

/// Reduces the first plane, and returns the unit of its values. An image without usable values, or with nothing but zeros, is
/// read again to determine the size of its values.
fn reduce_plane(
    image: &Image,
    size: PixelSize,
    recipe: &Recipe,
    scratch: &mut Scratch,
) -> Result<(Reduced, f64), PreviewFault> {
    let no_picture = || PreviewFault::NoPicture { axes: image.axes().to_vec() };
    let width = usize::try_from(size.width).map_err(|_| no_picture())?;
    let factor = reduce::factor_for(
        size.width,
        size.height,
        recipe.factor,
        picture::MAX_SIDE_PX,
        REDUCED_PIXELS_MAX,
    );
    let scaling = image.scaling();
    let is_integer = image.pixel_type().is_integer();
    let scaling = Scaling {
        scale: scaling.bscale,
        zero: scaling.bzero,
        blank: scaling.blank.filter(|_| is_integer),
    };
    let reduce = |unit: Option<f64>, scratch: &mut Scratch| {
        let mut reducer = None;
        each_band(image, size.height, width, scratch, |band, rows| {
            // The memory for a row is allocated only when a row exists: a header may claim any width.
            let reducer = reducer.get_or_insert_with(|| match unit {
                None => Reducer::new(width, factor, scaling),
                Some(unit) => Reducer::in_unit(width, factor, scaling, unit),
            });
            push_rows(reducer, band, width, rows);
        })?;
        reducer.map(Reducer::finish).ok_or_else(no_picture)
    };
    let reduced = reduce(None, scratch)?;
    if !unit::may_differ(&reduced) {
        return Ok((reduced, 1.0));
    }
    let mut sizes = Sizes::new();
    each_band(image, size.height, width, scratch, |band, rows| {
        add_sizes(&mut sizes, band, rows * width, scaling);
    })?;
    match sizes.unit() {
        None => Ok((reduced, 1.0)),
        Some(unit) => Ok((reduce(Some(unit), scratch)?, unit)),
    }
}

/// Calls `each` with the rows of the first plane, and their number.
fn each_band(
    image: &Image,
    height: u64,
    width: usize,
    scratch: &mut Scratch,
    mut each: impl FnMut(Rows, usize),
) -> Result<(), FitsError> {
    let mut bands = image.bands(scratch);
    let mut left = height;
    while let Some(band) = bands.next_band()? {
        let rows = ((band.rows.len() / width) as u64).min(left);
        each(band.rows, rows as usize);
        left -= rows;
        if left == 0 {
            break; // further planes are not shown
        }
    }
    Ok(())
}

fn add_sizes(sizes: &mut Sizes, band: Rows, pixels: usize, scaling: Scaling) {
    let physical = |stored: f64| stored * scaling.scale + scaling.zero;
    macro_rules! integers {
        ($pixels:expr) => {
            for stored in $pixels.iter().take(pixels) {
                if scaling.blank != Some(i64::from(*stored)) {
                    sizes.add(physical(*stored as f64));
                }
            }
        };
    }
    match band {
        Rows::U8(pixels) => integers!(pixels),
        Rows::I16(pixels) => integers!(pixels),
        Rows::I32(pixels) => integers!(pixels),
        Rows::I64(pixels) => integers!(pixels),
        Rows::F32(values) => {
            let values = values.iter().take(pixels).map(|v| f64::from(*v));
            values.filter(|v| unit::is_value(*v)).for_each(|v| sizes.add(physical(v)));
        }
        Rows::F64(values) => {
            let values = values.iter().take(pixels).filter(|v| unit::is_value(**v));
            values.for_each(|v| sizes.add(physical(*v)));
        }
    }
}

fn push_rows(reducer: &mut Reducer, band: Rows, width: usize, rows: usize) {
    macro_rules! push {
        ($pixels:expr, $method:ident) => {
            $pixels.chunks_exact(width).take(rows).for_each(|row| reducer.$method(row))
        };
    }
    match band {
        Rows::U8(pixels) => push!(pixels, push_integers),
        Rows::I16(pixels) => push!(pixels, push_integers),
        Rows::I32(pixels) => push!(pixels, push_integers),
        Rows::I64(pixels) => push!(pixels, push_integers),
        Rows::F32(pixels) => push!(pixels, push_floats),
        Rows::F64(pixels) => push!(pixels, push_floats),
    }
}

fn compose(parts: &[Part], recipe: &Recipe) -> Option<MosaicPreview> {
    let mosaic = mosaic::compose(parts, recipe.max_mosaic_px)?;
    let picture = mosaic.picture;
    Some(MosaicPreview {
        width: picture.width,
        height: picture.height,
        north_up: mosaic.north_up,
        scale: mosaic.scale,
        jpeg: picture.jpeg(recipe.quality).expect("a mosaic has 1 to MAX_SIDE_PX pixels a side"),
    })
}
