//! A script that detects sources with photutils and writes image and table with astropy: pixels from 0, a sky position in two
//! columns, and the description of such columns in COMMENT cards.

use super::scene::{Camera, Exposure, Form, Layer};
use super::{FileUse, NamedFile, layout};
use fits::write::{Checks, HeaderBuilder, WriteFault, primary};

pub(super) const CAMERA: Camera = Camera {
    delivery: "{night}_v1",
    detectors: 1,
    night: [2023, 3, 14],
    start_s: 73_800,
    step_s: 180,
    exposure_s: 120.0,
    pixel_arcsec: 0.68,
    axes: [[-0.999_5, 0.031], [0.031, 0.999_5]],
    is_distorted: false,
    pointing: [132.846, 11.814],
    centre: |_| [0.0, 0.0],
    detector: |_| (String::new(), 1),
    first_hdu: 0,
    zero_mag: 19.8,
    fwhm_px: 3.6,
    gain: 0.9,
    sky: 95.0,
};

const EXPOSURE: &str = "\
OBJECT 'M67'
TELESCOP 'Newton 300'
INSTRUME 'MYCAM'
IMAGETYP 'LIGHT'
FILTER 'G'
DATE-OBS '{date}'
EXPTIME {exposure}
AIRMASS {airmass}
RADESYS 'ICRS'
";

/// The cards that astropy adds for a column of positions.
const POSITIONS: &str = "\
DATE '{date}'
VERSION '2.0.2'
COMMENT --BEGIN-ASTROPY-SERIALIZED-COLUMNS--
COMMENT datatype:
COMMENT - {name: label, datatype: int32}
COMMENT - {name: xcentroid, datatype: float64}
COMMENT - {name: ycentroid, datatype: float64}
COMMENT - {name: sky_centroid.ra, unit: deg, datatype: float64}
COMMENT - {name: sky_centroid.dec, unit: deg, datatype: float64}
COMMENT --END-ASTROPY-SERIALIZED-COLUMNS--";

const COLUMNS: &str = "\
label J - number
xcentroid D - x_from_zero
ycentroid D - y_from_zero
sky_centroid.ra D deg ra
sky_centroid.dec D deg dec
bbox_xmin K - x_pixel
bbox_xmax K - x_pixel
bbox_ymin K - y_pixel
bbox_ymax K - y_pixel
area D pixel2 31
semimajor_sigma D pixel sigma
semiminor_sigma D pixel sigma
orientation D deg angle
eccentricity D - ellipticity
min_value D - threshold
max_value D - peak
local_background D - 0
segment_flux D - aper4
segment_fluxerr D - aper_err4
kron_flux D - flux
kron_fluxerr D - flux_err";

pub(super) fn files(exposure: &Exposure) -> Result<Vec<NamedFile>, WriteFault> {
    let chip = &exposure.chips[0];
    let (mut pixels, mut table) = (Vec::new(), Vec::new());
    let header = exposure.image_header(EXPOSURE, chip);
    exposure.push_image(&mut pixels, chip, (Form::Primary, Layer::Science), header)?;
    primary(&mut table, &HeaderBuilder::new(), Checks::Absent)?;
    let value = |row: usize, name: &str| exposure.value(chip, &chip.stars[row], row, name);
    let header = exposure.header(POSITIONS, chip);
    layout::push_table(&mut table, COLUMNS, chip.stars.len(), &value, &header)?;
    let root = exposure.file_name("mycam_{night}_{number}");
    Ok(vec![
        NamedFile { name: format!("{root}.fits"), content: FileUse::Image, bytes: pixels },
        NamedFile { name: format!("{root}_cat.fits"), content: FileUse::Catalogue, bytes: table },
    ])
}
