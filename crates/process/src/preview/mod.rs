//! CU2: what a detector looks like, as a JPEG that is never spoiled by what is wrong with it.
//!
//! Takes the image HDUs of one file, leaves a JPEG per detector, a mosaic of all, and a row each. Rows of pixels
//! are averaged down as they are decoded ([`reduce`]), the sky is measured ([`level`]), black and white follow
//! from it ([`stretch`]), the WCS turns north up ([`picture`]), all detectors go into one picture ([`mosaic`]).
//!
//! Start at [`render`]. Whatever changes the look of a preview raises [`RECIPE`].
//! Does not write files or know where previews are kept.

pub mod level;
pub mod mosaic;
pub mod picture;
pub mod reduce;
pub mod stretch;

use fits::image::{Image, Rows, Scratch};
use fits::{FitsError, FitsFile, HduIndex, HduKind};
use level::Sky;
use model::profile::PreviewProfile;
use picture::{Picture, PictureFault};
use reduce::{Reduced, Reducer, Scaling};
use sky::{PixelSize, Transform, Wcs};
use stretch::{Curve, Stretch};

/// Version of how previews are made.
pub const RECIPE: u32 = 1;

/// What decides how a preview looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// Detector pixels per preview pixel, along each axis.
    pub factor: usize,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
    /// From values to grey.
    pub curve: Curve,
    /// Longest side of the mosaic, in pixels.
    pub mosaic_longest: usize,
}

impl Recipe {
    /// The recipe of a survey; what the profile cannot mean falls back to the default.
    pub fn of(profile: &PreviewProfile) -> Self {
        Self {
            factor: (profile.scale as usize).clamp(1, 64),
            quality: profile.quality.clamp(1, 100),
            curve: Curve::of_name(&profile.stretch).unwrap_or(Curve::Asinh),
            mosaic_longest: profile.mosaic_size as usize,
        }
    }

    /// Version and settings in a word; previews of another word are made again.
    pub fn word(&self) -> String {
        format!(
            "{RECIPE}.{}.x{}.q{}.m{}",
            self.curve.name(),
            self.factor,
            self.quality,
            self.mosaic_longest
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
    /// How the image was turned.
    pub transform: Transform,
    /// A WCS put north up.
    pub north_up: bool,
    /// Detector pixels per preview pixel, along each axis.
    pub factor: usize,
    /// The sky, when there was a valid pixel.
    pub sky: Option<Sky>,
    /// The stretch, when there was a valid pixel.
    pub stretch: Option<Stretch>,
    /// Preview pixels that had a valid detector pixel.
    pub valid: usize,
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
    /// North is up, east left, as on the sky.
    pub north_up: bool,
    /// Detector pixels per pixel, along each axis.
    pub scale: f64,
    /// The JPEG.
    pub jpeg: Vec<u8>,
}

/// The previews of one file.
#[derive(Debug, Default)]
pub struct Previews {
    /// In the order of the HDUs.
    pub detectors: Vec<DetectorPreview>,
    /// Of two and more detectors, and of one: the same in small.
    pub mosaic: Option<MosaicPreview>,
    /// HDUs that gave none, and why.
    pub faults: Vec<(HduIndex, PreviewFault)>,
}

/// Why an image has no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewFault {
    /// Its pixels could not be read.
    #[error("its pixels cannot be read")]
    Unreadable(#[from] FitsError),
    /// Fewer than two axes, or an axis of length 0.
    #[error("it is no picture: its axes are {axes:?}")]
    NoPicture {
        /// NAXISn.
        axes: Vec<u64>,
    },
    /// The JPEG could not be made.
    #[error("no JPEG")]
    Jpeg(#[from] PictureFault),
}

/// Most pixels of a reduced image; larger ones are reduced further.
const REDUCED_PIXELS_MAX: u64 = 24_000_000;

/// Makes the previews of all image HDUs that `wanted` lets through. `wcs_of` gives an HDU's usable WCS.
/// One damaged HDU takes nothing from the others.
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
        if !is_image || hdu.fault.is_some() || !wanted(hdu.index) {
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

/// What the mosaic needs of a detector.
struct Part {
    wcs: Option<Wcs>,
    image: PixelSize,
    width: usize,
    height: usize,
    grey: Vec<u8>,
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
    let reduced = reduce_plane(&image, size, recipe, scratch)?;
    let sky = level::measure(&reduced.values);
    let stretch = sky.map(|sky| Stretch::fit(recipe.curve, &reduced.values, sky));
    let grey = match &stretch {
        Some(stretch) => stretch.apply(&reduced.values),
        None => vec![0; reduced.values.len()],
    };
    let orientation = wcs.as_ref().and_then(|wcs| wcs.orientation(size).ok());
    let transform = orientation.unwrap_or(Transform::IDENTITY);
    let picture = Picture::draw(&grey, reduced.width, reduced.height, transform);
    let preview = DetectorPreview {
        hdu,
        width: picture.width,
        height: picture.height,
        transform,
        north_up: orientation.is_some(),
        factor: reduced.factor,
        sky,
        stretch,
        valid: reduced.values.iter().filter(|v| v.is_finite()).count(),
        jpeg: picture.jpeg(recipe.quality)?,
    };
    let wcs = wcs.filter(|_| orientation.is_some());
    Ok((preview, Part { wcs, image: size, width: reduced.width, height: reduced.height, grey }))
}

/// Size of the first plane.
fn plane_size(image: &Image) -> Result<PixelSize, PreviewFault> {
    match image.axes() {
        [width, height, ..] if *width > 0 && *height > 0 => {
            Ok(PixelSize { width: *width, height: *height })
        }
        axes => Err(PreviewFault::NoPicture { axes: axes.to_vec() }),
    }
}

fn reduce_plane(
    image: &Image,
    size: PixelSize,
    recipe: &Recipe,
    scratch: &mut Scratch,
) -> Result<Reduced, PreviewFault> {
    let no_picture = || PreviewFault::NoPicture { axes: image.axes().to_vec() };
    let width = usize::try_from(size.width).map_err(|_| no_picture())?;
    let height = usize::try_from(size.height).map_err(|_| no_picture())?;
    let mut factor = reduce::factor_for(width, height, recipe.factor);
    while width.max(height).div_ceil(factor) > picture::LONGEST
        || (width as u64).saturating_mul(height as u64) / (factor * factor) as u64
            > REDUCED_PIXELS_MAX
    {
        factor += 1;
    }
    let scaling = image.scaling();
    let is_integer = image.pixel_type().is_integer();
    let scaling = Scaling {
        scale: scaling.bscale,
        zero: scaling.bzero,
        blank: scaling.blank.filter(|_| is_integer),
    };
    let mut reducer = Reducer::new(width, factor, scaling);
    let mut bands = image.bands(scratch);
    let mut left = height;
    while let Some(band) = bands.next_band()? {
        let rows = (band.rows.len() / width).min(left);
        push_rows(&mut reducer, band.rows, width, rows);
        left -= rows;
        if left == 0 {
            break; // further planes are not shown
        }
    }
    Ok(reducer.finish())
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
    let parts: Vec<mosaic::Part> = parts
        .iter()
        .map(|p| mosaic::Part {
            wcs: p.wcs.as_ref(),
            image: p.image,
            width: p.width,
            height: p.height,
            grey: &p.grey,
        })
        .collect();
    let mosaic = mosaic::compose(&parts, recipe.mosaic_longest)?;
    let jpeg = mosaic.picture.jpeg(recipe.quality).ok()?;
    Some(MosaicPreview {
        width: mosaic.picture.width,
        height: mosaic.picture.height,
        north_up: mosaic.north_up,
        scale: mosaic.scale,
        jpeg,
    })
}
