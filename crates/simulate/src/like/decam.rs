//! The Community Pipeline of DECam: an image, its data quality mask and its weights, each a file with as many compressed
//! extensions as there are CCDs, without catalogues. The delivery is named after the first night of a run.

use super::scene::{Camera, Exposure, Form, Layer};
use super::{FileUse, NamedFile};
use fits::write::{Checks, WriteFault, primary};

pub(super) const CAMERA: Camera = Camera {
    delivery: "CP{night}",
    detectors: 61,
    night: [2015, 4, 11],
    start_s: 86_400 + 27_177,
    step_s: 86_400,
    exposure_s: 80.0,
    pixel_arcsec: 0.2626,
    axes: [[0.0, 1.0], [-1.0, 0.0]],
    is_distorted: true,
    pointing: [215.602, 5.13],
    centre,
    detector: |index| {
        let number = ccd(index);
        let (row, column) = place(number);
        let [half, first] = FIRST[row];
        (format!("{}{}", if half == 0 { 'S' } else { 'N' }, first + column), number)
    },
    first_hdu: 1,
    zero_mag: 24.9,
    fwhm_px: 4.1,
    gain: 4.4,
    sky: 372.0,
};

/// CCDs in each row, in the order of their numbers.
const ROWS: [usize; 12] = [3, 4, 5, 6, 6, 7, 7, 6, 6, 5, 4, 3];

/// Half of the focal plane (0 for S) and number in the name of the first CCD of each row.
const FIRST: [[usize; 2]; 12] = [
    [0, 29],
    [0, 25],
    [0, 20],
    [0, 14],
    [0, 8],
    [0, 1],
    [1, 1],
    [1, 8],
    [1, 14],
    [1, 20],
    [1, 25],
    [1, 29],
];

/// Returns CCDNUM of a detector: the CCD 61 does not work.
fn ccd(index: usize) -> usize {
    if index < 60 { index + 1 } else { index + 2 }
}

/// Returns the row of a CCD, and its place in it.
fn place(number: usize) -> (usize, usize) {
    let mut column = number - 1;
    for (row, count) in ROWS.iter().enumerate() {
        if column < *count {
            return (row, column);
        }
        column -= count;
    }
    (0, 0)
}

fn centre(index: usize) -> [f64; 2] {
    let (row, column) = place(ccd(index));
    let middle = (ROWS[row] as f64 - 1.0) / 2.0;
    [2250.0 * (row as f64 - 5.5), 4250.0 * (column as f64 - middle)]
}

const EXPOSURE: &str = "\
OBJECT 'DECaLS_19241' / Name of the object observed
ORIGIN 'NOAO-IRAF FITS Image Kernel July 2003' / FITS file originator
PROCTYPE 'InstCal' / Processing type
PRODTYPE '{product}' / Product type
PIXSCAL1 0.27 / Pixel scale for axis 1 (arcsec/pixel)
TELESCOP 'CTIO 4.0-m telescope' / Telescope name
OBSERVAT 'CTIO' / Observatory name
INSTRUME 'DECam' / Instrument used to obtain these data
EXPREQ {exposure} / [s] Requested exposure duration
EXPTIME {exposure} / [s] Exposure duration
OBSID 'ct4m{night}t{hhmmss}' / Unique observation identification
DATE-OBS '{date}' / UTC epoch
TIME-OBS '{ut}' / [UTC] Time of observation start
MJD-OBS {mjd} / [d] MJD of observation start
TIMESYS 'UTC' / Time system
EXPNUM 430{number} / DECam exposure number
OBSTYPE 'object' / Observation type
PROPID '2014B-0404' / Proposal ID
FILTER 'z DECam SDSS c0004 9260.0 1520.0' / Unique filter identifier
RA '{ra}' / [HH:MM:SS] Target RA
DEC '{dec}' / [DD:MM:SS] Target DEC
HA '01:02:51.79' / [HH:MM:SS] Telescope hour angle
LST '{lst}' / [HH:MM:SS] Local sidereal time
AIRMASS {airmass} / Airmass
DTCALDAT '{evening}' / Calendar date from observation schedule
BUNIT 'adu' / Pixel unit
RADESYS 'FK5' / Default coordinate system
EQUINOX 2000.0 / Default equinox
MAGZERO {frame_zero} / [mag] Magnitude zero point
MAGZPT {zero} / [mag] Magnitude zero point per second
SKYSUB {sky} / Subtracted sky
PLVER 'V3.9' / Community Pipeline version
NEXTEND {chips} / Number of extensions
";

const DETECTOR: &str = "\
EXTNAME '{name}' / Extension name
INHERIT T / Inherits global header
DETECTOR 'S3-{chip}' / Detector identifier
CCDNUM {chip} / CCD number
DETPOS '{name}' / Detector position in the focal plane
ARAWGAIN {gain} / [e/adu] Gain
SATURATE 38696.0 / [adu] Saturation level
FWHM {fwhm} / [pixel] Median FWHM
ELLIPTIC 0.0407 / Median ellipticity
AVSKY {sky} / Average sky
AVSIG {noise} / Average noise
MAGZERO {frame_zero} / [mag] Magnitude zero point
RADESYS 'FK5' / Coordinate system
EQUINOX 2000.0 / Equinox
";

pub(super) fn files(exposure: &Exposure) -> Result<Vec<NamedFile>, WriteFault> {
    let products = [
        ("ooi", "image", Layer::Science, FileUse::Image),
        ("ood", "dqmask", Layer::Mask, FileUse::Companion),
        ("oow", "wtmap", Layer::Weight, FileUse::Companion),
    ];
    let mut files = Vec::new();
    for (code, product, layer, content) in products {
        let mut bytes = Vec::new();
        let lines = EXPOSURE.replace("{product}", product);
        primary(&mut bytes, &exposure.header(&lines, &exposure.chips[0]), Checks::Written)?;
        for chip in &exposure.chips {
            let header = exposure.image_header(DETECTOR, chip);
            exposure.push_image(&mut bytes, chip, (Form::Compressed, layer), header)?;
        }
        let name = exposure.file_name(&format!("c4d_{{yymmdd}}_{{hhmmss}}_{code}_z_v1.fits.fz"));
        files.push(NamedFile { name, content, bytes });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ccds_have_their_names() {
        let names: Vec<(String, usize)> = (0..61).map(CAMERA.detector).collect();
        for (name, number) in
            [("S29", 1), ("S20", 8), ("S7", 31), ("N1", 32), ("N15", 46), ("N29", 60), ("N31", 62)]
        {
            assert!(names.contains(&(name.to_owned(), number)), "{name} {number}");
        }
        assert_eq!(centre(0), [2250.0 * -5.5, -4250.0]);
    }
}
