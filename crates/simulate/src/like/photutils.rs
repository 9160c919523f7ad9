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

/// The lines that astropy adds for a column of positions, after those of the columns.
const POSITIONS: &str = "\
COMMENT meta: !!omap
COMMENT - __serialized_columns__:
COMMENT     sky_centroid:
COMMENT       __class__: astropy.coordinates.sky_coordinate.SkyCoord
COMMENT       dec: !astropy.table.SerializedColumn
COMMENT         __class__: astropy.coordinates.angles.core.Latitude
COMMENT         unit: &id001 !astropy.units.Unit {unit: deg}
COMMENT         value: !astropy.table.SerializedColumn
COMMENT           name: sky_centroid.dec
COMMENT       frame: icrs
COMMENT       ra: !astropy.table.SerializedColumn
COMMENT         __class__: astropy.coordinates.angles.core.Longitude
COMMENT         unit: *id001
COMMENT         value: !astropy.table.SerializedColumn
COMMENT           name: sky_centroid.ra
COMMENT         wrap_angle: !astropy.coordinates.Angle
COMMENT           unit: *id001
COMMENT           value: 360.0
COMMENT       representation_type: spherical
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
area D pix2 31
semimajor_sigma D pix sigma
semiminor_sigma D pix sigma
orientation D deg angle
eccentricity D - ellipticity
min_value D - threshold
max_value D - peak
local_background D - 0
segment_flux D - aper4
segment_fluxerr D - aper_err4
kron_flux D - flux
kron_fluxerr D - flux_err";

/// Returns the text of the table's header: its date, and astropy's description of the columns.
fn description() -> String {
    let mut text = "DATE '{date}'\nVERSION '2.0.2'\n\
                    COMMENT --BEGIN-ASTROPY-SERIALIZED-COLUMNS--\nCOMMENT datatype:\n"
        .to_owned();
    for column in COLUMNS.lines() {
        let mut words = column.split(' ');
        let [name, form, unit] = std::array::from_fn(|_| words.next().unwrap_or_default());
        let unit = if unit == "-" { String::new() } else { format!("unit: {unit}, ") };
        let kind = match form {
            "J" => "int32",
            "K" => "int64",
            _ => "float64",
        };
        text.push_str(&format!("COMMENT - {{name: {name}, {unit}datatype: {kind}}}\n"));
    }
    text + POSITIONS
}

pub(super) fn files(exposure: &Exposure) -> Result<Vec<NamedFile>, WriteFault> {
    let chip = &exposure.chips[0];
    let (mut pixels, mut table) = (Vec::new(), Vec::new());
    let header = exposure.image_header(EXPOSURE, chip);
    exposure.push_image(&mut pixels, chip, (Form::Primary, Layer::Science), header)?;
    primary(&mut table, &HeaderBuilder::new(), Checks::Absent)?;
    let value = |row: usize, name: &str| exposure.value(chip, &chip.stars[row], row, name);
    let header = exposure.header(&description(), chip);
    layout::push_table(&mut table, COLUMNS, chip.stars.len(), &value, &header)?;
    let root = exposure.file_name("mycam_{night}_{number}");
    Ok(vec![
        NamedFile { name: format!("{root}.fits"), content: FileUse::Image, bytes: pixels },
        NamedFile { name: format!("{root}_cat.fits"), content: FileUse::Catalogue, bytes: table },
    ])
}
