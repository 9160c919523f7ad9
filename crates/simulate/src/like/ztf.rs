//! The Zwicky Transient Facility: an image, its mask, a catalogue of PSF photometry whose identities begin with 0, and one of
//! SExtractor, both with instrumental magnitudes to which MAGZP is added.

use super::ldac::push_pair;
use super::scene::{Camera, Exposure, Form, Layer};
use super::{FileUse, NamedFile, layout};
use fits::write::{Checks, WriteFault, primary};

pub(super) const CAMERA: Camera = Camera {
    delivery: "ztf_{night}",
    detectors: 1,
    night: [2018, 4, 6],
    start_s: 28_800,
    step_s: 45,
    exposure_s: 30.0,
    pixel_arcsec: 1.0133,
    axes: [[-0.999_99, -0.003], [-0.003, 0.999_99]],
    is_distorted: true,
    pointing: [155.22, 33.35],
    centre: |_| [1600.0, -1500.0],
    detector: |_| (String::new(), 13),
    first_hdu: 0,
    zero_mag: 22.5,
    fwhm_px: 2.1,
    gain: 6.2,
    sky: 165.0,
};

const EXPOSURE: &str = "\
ORIGIN 'Zwicky Transient Facility' / Data origin
TELESCOP 'P48' / Observing facility
INSTRUME 'ZTF/MOSAIC' / Instrument
OBSERVER 'ZTF Robotic Software' / Observer
OBSMJD {mjd} / [day] MJD corresponding to UTC start of the exposure
OBSJD {jd} / [day] JD corresponding to UTC start of the exposure
SHUTOPEN '{date}' / Shutter opened UTC
EXPOSURE {exposure} / [s] Requested exposure time
FILTERID 2 / Filter ID
FILTER 'ZTF_r' / Filter name
FIELDID 655 / ZTF field ID
PROGRMID 1 / Program ID
IMGTYPE 'object' / Image type
CCD_ID 13 / CCD ID
CCDID 13 / CCD ID
QID 3 / Quadrant ID
RCID 50 / Readout channel ID
AIRMASS {airmass} / Airmass
OBSRA '{ra}' / Right ascension of the field
OBSDEC '{dec}' / Declination of the field
RADESYS 'ICRS' / Coordinate system
GAIN {gain} / [e-/ADU] Gain
READNOI 10.3 / [e-] Read noise
SATURATE 48900.0 / [DN] Saturation level
PIXSCALE {pixel} / [arcsec/pixel] Pixel scale
SEEING {fwhm} / [pixel] Seeing
MAGZP {frame_zero} / [mag] Magnitude zero point
MAGZPUNC 0.0000063 / [mag] Uncertainty of the zero point
MAGZPRMS 0.0396 / [mag] RMS of the zero point
CLRCOEFF 0.096 / Linear colour coefficient
MAGLIM 20.7 / [mag] Limiting magnitude
INFOBITS 0 / Database infobit flags
";

const PSF: &str = "\
sourceid J - row
xpos E pixel x
ypos E pixel y
ra D deg ra
dec D deg dec
flux E adu flux
sigflux E adu flux_err
mag E mag mag_inst
sigmag E mag mag_err
snr E - snr
chi E - 1.04
sharp E - 0.02
flags I - 0";

const SEXTRACTOR: &str = "\
NUMBER 1J - number
FLAGS 1I - flags
X_IMAGE 1E pixel x
Y_IMAGE 1E pixel y
ALPHAWIN_J2000 1D deg ra
DELTAWIN_J2000 1D deg dec
MAG_AUTO 1E mag mag_inst
MAGERR_AUTO 1E mag mag_err
FLUX_AUTO 1E count flux
FLUXERR_AUTO 1E count flux_err
KRON_RADIUS 1E - 3.5
FWHM_IMAGE 1E pixel fwhm
ELLIPTICITY 1E - ellipticity
THETA_IMAGE 1E deg angle
CLASS_STAR 1E - class
MAG_APER 5E mag mag_inst
MAGERR_APER 5E mag mag_err
FLUX_APER 5E count aper1,aper2,aper3,aper5,aper6
FLUXERR_APER 5E count aper_err1,aper_err2,aper_err3,aper_err5,aper_err6
BACKGROUND 1E count sky";

pub(super) fn files(exposure: &Exposure) -> Result<Vec<NamedFile>, WriteFault> {
    let chip = &exposure.chips[0];
    let root = exposure.file_name("ztf_{night}{fraction}_000655_zr_c13_o_q3");
    let mut files = Vec::new();
    let mut push = |code: &str, content, bytes| {
        files.push(NamedFile { name: format!("{root}_{code}.fits"), content, bytes });
    };
    let image = exposure.image_header(EXPOSURE, chip);
    for (code, layer, content) in
        [("sciimg", Layer::Science, FileUse::Image), ("mskimg", Layer::Mask, FileUse::Companion)]
    {
        let mut bytes = Vec::new();
        exposure.push_image(&mut bytes, chip, (Form::Primary, layer), image.clone())?;
        push(code, content, bytes);
    }
    let mut bytes = Vec::new();
    primary(&mut bytes, &exposure.header(EXPOSURE, chip), Checks::Written)?;
    let header = exposure.header("EXTNAME 'PSF_CATALOG'\nMAGZP {frame_zero}", chip);
    let value = |row: usize, name: &str| exposure.value(chip, &chip.stars[row], row, name);
    layout::push_table(&mut bytes, PSF, chip.stars.len(), &value, &header)?;
    push("psfcat", FileUse::Catalogue, bytes);
    let mut bytes = Vec::new();
    primary(&mut bytes, &exposure.header(EXPOSURE, chip), Checks::Written)?;
    push_pair(&mut bytes, exposure, chip, &image, "SEXMGZPT 0.0", SEXTRACTOR)?;
    push("sexcat", FileUse::Catalogue, bytes);
    Ok(files)
}
