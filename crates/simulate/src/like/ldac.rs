//! SExtractor's FITS_LDAC of an image with four detectors: each has a table with the text of its image's header, followed by a
//! table of its objects. Each detector has a zero point of its own.

use super::scene::{Camera, Chip, Exposure, Form, Layer};
use super::{FileUse, NamedFile, layout};
use fits::write::{Checks, Field, HeaderBuilder, Rows, WriteFault, bin_table_rows, primary};

pub(super) const CAMERA: Camera = Camera {
    delivery: "{night}_v1",
    detectors: 4,
    night: [2017, 4, 29],
    start_s: 86_400 + 21_585,
    step_s: 240,
    exposure_s: 90.0,
    pixel_arcsec: 0.4533,
    axes: [[-0.999_97, 0.004], [0.004, 0.999_97]],
    is_distorted: false,
    pointing: [211.35, 33.68],
    centre: |index| {
        [[-2100.0, -2130.0], [2100.0, -2130.0], [-2100.0, 2130.0], [2100.0, 2130.0]][index % 4]
    },
    detector: |index| (format!("CCD{}", index + 1), index + 1),
    first_hdu: 1,
    zero_mag: 25.1,
    fwhm_px: 3.4,
    gain: 1.5,
    sky: 240.0,
};

const EXPOSURE: &str = "\
OBJECT 'bass_4_2' / Name of the object observed
OBSERVAT 'KPNO' / Observatory
TELESCOP 'bok' / Telescope
INSTRUME '90prime' / Instrument
PROPID '2017A-0001' / Proposal
OBSERVER 'an observer' / Observer
OBSTYPE 'object' / Type of observation
FILTER 'bokr' / Filter
DATE-OBS '{date}' / UTC at start of the exposure
MJD-OBS {mjd} / MJD at start of the exposure
EXPTIME {exposure} / [s] Exposure time
AIRMASS {airmass} / Airmass
RA '{ra}' / [h] Right ascension of the pointing
DEC '{dec}' / [deg] Declination of the pointing
NEXTEND {chips} / Number of extensions
";

const DETECTOR: &str = "\
EXTNAME '{name}' / Extension name
INHERIT T / Inherits the primary header
CCDNUM {chip} / Number of the CCD
CCDNAME '{name}' / Name of the CCD
GAIN {gain} / [e-/adu] Gain
RDNOISE 8.3 / [e-] Read noise
BUNIT 'adu' / Unit of the pixels
SEEING {fwhm} / [pixel] FWHM of stars
MAGZERO {frame_zero} / [mag] Magnitude of one count in this image
RADESYS 'ICRS' / Coordinate system
";

const EXTRACTION: &str = "\
FITSEXT {chip} / FITS extension number
FITSNEXT {chips} / Number of image extensions in the file
SEXVERS '2.25.0' / Extraction software
SEXBKGND {sky} / Median background level (ADU)
SEXBKDEV {noise} / Median background RMS (ADU)
SEXTHLD 12.5 / Extraction threshold (ADU)
SEXMINAR 8 / Minimum area used for detection (pixels)
SEXGAIN {gain} / Gain used (e-/ADU)
SEXAPED1 4.0 / Fixed photometric aperture #1 (pixels)
SEXAPED2 8.0 / Fixed photometric aperture #2 (pixels)
SEXAPED3 12.0 / Fixed photometric aperture #3 (pixels)
SEXSATLV 50000.0 / Saturation level used for flagging (ADU)
SEXMGZPT 0.0 / Zero-point used for magnitudes
";

const COLUMNS: &str = "\
NUMBER 1J - number
X_IMAGE 1E pixel x
Y_IMAGE 1E pixel y
ALPHA_J2000 1D deg ra
DELTA_J2000 1D deg dec
FLUX_AUTO 1E count flux
FLUXERR_AUTO 1E count flux_err
MAG_AUTO 1E mag mag_or_none
MAGERR_AUTO 1E mag mag_err
FLUX_APER 3E count aper2,aper4,aper6
FLUXERR_APER 3E count aper_err2,aper_err4,aper_err6
FLUX_RADIUS 1E pixel half_radius
FWHM_IMAGE 1E pixel fwhm
ELLIPTICITY 1E - ellipticity
THETA_IMAGE 1E deg angle
CLASS_STAR 1E - class
FLAGS 1I - flags
BACKGROUND 1E count sky
ISOAREA_IMAGE 1J pixel**2 20
VIGNET 81E count peak";

/// Appends the two tables of a detector: the text of its image's header, and its objects.
pub(super) fn push_pair(
    out: &mut Vec<u8>,
    exposure: &Exposure,
    chip: &Chip,
    image: &HeaderBuilder,
    extraction: &str,
    columns: &str,
) -> Result<(), WriteFault> {
    const IMAGE: &str = "XTENSION 'IMAGE' / IMAGE extension\nBITPIX -32\nNAXIS 2\n\
                         NAXIS1 {size}\nNAXIS2 {size}\nPCOUNT 0\nGCOUNT 1";
    let mut text = exposure.header(IMAGE, chip);
    text.append(image).append(&exposure.header(extraction, chip)).card(b"END");
    let cell = text.cards()?;
    let mut header = HeaderBuilder::new();
    header.text("EXTNAME", "LDAC_IMHEAD", "");
    header.text("TDIM1", &format!("(80, {})", text.count()), "");
    let field = Field::new("Field Header Card", &format!("{}A", cell.len()));
    let row = Rows { row_bytes: cell.len(), bytes: cell, heap: &[] };
    bin_table_rows(out, &[field], &row, &header, Checks::Written)?;
    let value = |row: usize, name: &str| exposure.value(chip, &chip.stars[row], row, name);
    let mut header = HeaderBuilder::new();
    header.text("EXTNAME", "LDAC_OBJECTS", "");
    if columns.contains("VIGNET") {
        header.text(&format!("TDIM{}", columns.lines().count()), "(9, 9)", "");
    }
    layout::push_table(out, columns, chip.stars.len(), &value, &header)
}

pub(super) fn files(exposure: &Exposure) -> Result<Vec<NamedFile>, WriteFault> {
    let (mut pixels, mut tables) = (Vec::new(), Vec::new());
    let header = exposure.header(EXPOSURE, &exposure.chips[0]);
    primary(&mut pixels, &header, Checks::Written)?;
    primary(&mut tables, &HeaderBuilder::new(), Checks::Absent)?;
    for chip in &exposure.chips {
        let header = exposure.image_header(DETECTOR, chip);
        push_pair(&mut tables, exposure, chip, &header, EXTRACTION, COLUMNS)?;
        exposure.push_image(&mut pixels, chip, (Form::Compressed, Layer::Science), header)?;
    }
    let root = exposure.file_name("ksb_{yymmdd}_{hhmmss}_ooi_r_v1");
    Ok(vec![
        NamedFile { name: format!("{root}.fits.fz"), content: FileUse::Image, bytes: pixels },
        NamedFile { name: format!("{root}.cat"), content: FileUse::Catalogue, bytes: tables },
    ])
}
