//! SExtractor's FITS_1.0 in the older pipeline of Las Cumbres Observatory: an image in the primary HDU, and a catalogue whose
//! primary header repeats that of the image.

use super::banzai::OBSERVATORY;
use super::scene::{Camera, Exposure, Form, Layer};
use super::{FileUse, NamedFile, layout};
use fits::write::{Checks, HeaderBuilder, WriteFault, primary};

pub(super) const CAMERA: Camera = Camera {
    delivery: "{night}_v1",
    detectors: 1,
    night: [2015, 12, 19],
    start_s: 66_135,
    step_s: 120,
    exposure_s: 15.0,
    pixel_arcsec: 0.467,
    axes: [[-0.999_9, -0.012], [-0.012, 0.999_9]],
    is_distorted: false,
    pointing: [24.3802, -32.3826],
    centre: |_| [0.0, 0.0],
    detector: |_| (String::new(), 1),
    first_hdu: 0,
    zero_mag: 22.6,
    fwhm_px: 4.5,
    gain: 1.4,
    sky: 1650.0,
};

const SOFTWARE: &str = "\
INSTRUME 'kb70' / Instrument used
INSTYPE '1m0-SciCam-SBIG' / Type of instrument
PROPID 'LCO2015B-001' / Proposal
PIPEVER 'LCOPIPE-V0.9.1-r9100' / Pipeline version
L1STATBI 1 / Status of bias correction
L1IDBIAS 'bias_kb70_{night}_bin2x2' / Bias frame
";

const EXTRACTION: &str = "\
SEXBKGND {sky} / Median background level (ADU)
SEXBKDEV {noise} / Median background RMS (ADU)
SEXSFWHM 2.116 / Source FWHM used for measurements (arcsec)
SEXGAIN {gain} / Gain used (e-/ADU)
SEXMINAR 12 / Minimum area used for detection (pixels)
SEXAPED1 2.0 / Fixed photometric aperture #1 (pixels)
SEXAPED2 4.0 / Fixed photometric aperture #2 (pixels)
SEXAPED3 8.0 / Fixed photometric aperture #3 (pixels)
SEXAPED4 12.0 / Fixed photometric aperture #4 (pixels)
SEXSATLV 46000.0 / Saturation level used for flagging (ADU)
SEXMGZPT 0.0 / Zero-point used for magnitudes
CATVER 'LCOGT-FITS-SRCCAT-1.4.3' / Version of the catalogue
";

const COLUMNS: &str = "\
NUMBER J - number
X_IMAGE E pixel x
Y_IMAGE E pixel y
ALPHA_J2000 D deg ra
DELTA_J2000 D deg dec
ERRX2_WORLD D deg**2 0.000000000007
ERRY2_WORLD D deg**2 0.000000000007
ERRX2_IMAGE D pixel**2 variance
ERRY2_IMAGE D pixel**2 variance
XPEAK_IMAGE J pixel x_pixel
YPEAK_IMAGE J pixel y_pixel
X2_IMAGE D pixel**2 sigma_square
Y2_IMAGE D pixel**2 sigma_square
XY_IMAGE D pixel**2 0
A_IMAGE E pixel sigma
B_IMAGE E pixel sigma
THETA_IMAGE E deg angle
FLUX_ISO E count aper5
FLUXERR_ISO E count aper_err5
FLUX_AUTO E count flux
FLUXERR_AUTO E count flux_err
FLUX_APER1 E count aper1
FLUX_APER2 E count aper2
FLUX_APER3 E count aper4
FLUX_APER4 E count aper6
FLUXERR_APER1 E count aper_err1
FLUXERR_APER2 E count aper_err2
FLUXERR_APER3 E count aper_err4
FLUXERR_APER4 E count aper_err6
FLUX_MAX E count peak
MAG_APER E mag mag_or_none
MAGERR_APER E mag mag_err
BACKGROUND E count sky
THRESHOLD E count threshold
ISOAREA_IMAGE J pixel**2 40
ELLIPTICITY E - ellipticity
ISO0 J pixel**2 40
ISO1 J pixel**2 30
ISO2 J pixel**2 22
ISO3 J pixel**2 16
ISO4 J pixel**2 11
ISO5 J pixel**2 7
ISO6 J pixel**2 4
ISO7 J pixel**2 1
FWHM_IMAGE E pixel fwhm
CLASS_STAR E - class
FLAGS I - flags
AIRMASS E - 1.1
TCORR D s 412.5";

pub(super) fn files(exposure: &Exposure) -> Result<Vec<NamedFile>, WriteFault> {
    let chip = &exposure.chips[0];
    let (mut pixels, mut table) = (Vec::new(), Vec::new());
    let mut header = exposure.image_header(OBSERVATORY, chip);
    header.append(&exposure.header(SOFTWARE, chip));
    exposure.push_image(&mut pixels, chip, (Form::Primary, Layer::Science), header)?;
    let mut header = exposure.header(OBSERVATORY, chip);
    header.append(&exposure.header(SOFTWARE, chip)).append(&exposure.header(EXTRACTION, chip));
    primary(&mut table, &header, Checks::Written)?;
    let value = |row: usize, name: &str| exposure.value(chip, &chip.stars[row], row, name);
    layout::push_table(&mut table, COLUMNS, chip.stars.len(), &value, &HeaderBuilder::new())?;
    let root = exposure.file_name("cpt1m010-kb70-{night}-{number}-e10");
    Ok(vec![
        NamedFile { name: format!("{root}.fits"), content: FileUse::Image, bytes: pixels },
        NamedFile { name: format!("{root}_cat.fits"), content: FileUse::Catalogue, bytes: table },
    ])
}
