//! BANZAI of Las Cumbres Observatory: `SCI`, `CAT`, `BPM` and `ERR` in one compressed file. Every card is in `SCI`; the catalogue has no
//! identity and is sorted by flux.

use super::scene::{Camera, Exposure, Form, Layer};
use super::{FileUse, NamedFile, layout};
use fits::write::{Checks, HeaderBuilder, WriteFault, primary};

pub(super) const CAMERA: Camera = Camera {
    delivery: "{night}_v1",
    detectors: 1,
    night: [2018, 2, 19],
    start_s: 50_165,
    step_s: 300,
    exposure_s: 60.0,
    pixel_arcsec: 0.389,
    axes: [[-0.999_98, 0.006], [0.006, 0.999_98]],
    is_distorted: false,
    pointing: [186.266, 12.887],
    centre: |_| [0.0, 0.0],
    detector: |_| ("SCI".to_owned(), 1),
    first_hdu: 1,
    zero_mag: 23.4,
    fwhm_px: 4.6,
    gain: 1.0,
    sky: 210.0,
};

/// Cards of every image of the observatory.
pub(super) const OBSERVATORY: &str = "\
OBJECT 'M84' / Object name
ORIGIN 'LCOGT' / Organization responsible for the data
DATADICV 'LCOGT.DIC-0.11.0' / Data dictionary
SITEID 'coj' / ID code of the site
SITE 'LCOGT node at Siding Spring Observatory' / Site of the observatory
ENCID 'doma' / ID code of the enclosure
TELID '1m0a' / ID code of the telescope
TELESCOP '1m0-11' / Name of the telescope
LATITUDE -31.2727986 / [deg north] Telescope latitude
LONGITUD 149.0708771 / [deg east] Telescope longitude
HEIGHT 1165.0 / [m] Height above mean sea level
OBSTYPE 'EXPOSE' / Type of observation
FRAMENUM {number} / Running frame number
MOLTYPE 'EXPOSE' / Molecule type
TIMESYS 'UTC' / Time system
DATE-OBS '{date}' / [UTC] Start of observation
DAY-OBS '{night}' / [UTC] Date at start of night
UTSTART '{ut}' / [UTC] Start of observation
UTSTOP '{end}' / [UTC] End of observation
MJD-OBS {mjd} / [UTC days] Start of observation
EXPTIME {exposure} / [s] Exposure length
FILTER 'rp' / Filter used
GAIN {gain} / [electrons/count] Gain
RDNOISE 8.0 / [electrons/pixel] Read noise
SATURATE 128000.0 / [ADU] Saturation level
CCDSUM '1 1' / CCD binning
BIASSEC 'UNKNOWN' / [binned pixel] Section of bias data
PIXSCALE {pixel} / [arcsec/pixel] Nominal pixel scale
USERID 'observer' / User
OBSTELEM 'N/A' / Link to observation telemetry
BLKAIRCO 'N/A' / Airmass constraint
RA '{ra}' / [HH:MM:SS.sss] RA where telescope is pointing
DEC '{dec}' / [sDD:MM:SS.ss] Dec where telescope is pointing
RADESYS 'ICRS' / Fundamental coordinate system
LST '{lst}' / [HH:MM:SS.ss] Local sidereal time
AIRMASS {airmass} / Effective mean airmass
AMSTART {airmass} / Airmass at start
AMEND {airmass} / Airmass at end
L1MEAN {sky} / [counts] Sky level
L1SIGMA {noise} / [counts] Noise of the sky
L1FWHM {fwhm_arcsec} / [arcsec] Frame FWHM
L1ELLIP 0.05 / Mean image ellipticity
L1ZP {zero} / Instrumental zero point [mag]
L1ZPERR 0.0125 / Error of the zero point [mag]
";

const SCIENCE: &str = "\
EXTNAME 'SCI' / extension name
EXTVER 1
INSTRUME 'fa12' / Instrument used
INSTYPE '1m0-SciCam-Sinistro' / Type of instrument
CONFMODE 'full_frame' / Camera mode
BUNIT 'electron' / Unit of the pixels
PROPID 'LCO2018A-001' / Proposal
RLEVEL 91 / Reduction level
PIPEVER '1.20.0' / Pipeline version
WCSERR 0 / Error status of the WCS fit
";

const COLUMNS: &str = "\
x D pix x
y D pix y
xwin D pix x
ywin D pix y
xpeak K pix x_pixel
ypeak K pix y_pixel
peak D ct peak
flux D ct flux
fluxerr D ct flux_err
background D ct sky
fwhm D pix fwhm
a D pix sigma
b D pix sigma
theta D deg angle
kronrad D pix half_radius
ellipticity D - ellipticity
fluxrad25 D pix half_radius
fluxrad50 D pix half_radius
fluxrad75 D pix fwhm
x2 D pix2 sigma_square
y2 D pix2 sigma_square
xy D pix2 0
flag K - flags
fluxaper1 D ct aper1
fluxerr1 D ct aper_err1
fluxaper2 D ct aper2
fluxerr2 D ct aper_err2
fluxaper3 D ct aper3
fluxerr3 D ct aper_err3
fluxaper4 D ct aper4
fluxerr4 D ct aper_err4
fluxaper5 D ct aper5
fluxerr5 D ct aper_err5
fluxaper6 D ct aper6
fluxerr6 D ct aper_err6
ra D deg ra
dec D deg dec
mag D mag mag
magerr D mag mag_err";

pub(super) fn files(exposure: &Exposure) -> Result<Vec<NamedFile>, WriteFault> {
    let chip = &exposure.chips[0];
    let mut bytes = Vec::new();
    primary(&mut bytes, &HeaderBuilder::new(), Checks::Written)?;
    let mut header = exposure.image_header(SCIENCE, chip);
    header.append(&exposure.header(OBSERVATORY, chip));
    exposure.push_image(&mut bytes, chip, (Form::Compressed, Layer::Science), header)?;
    let mut stars: Vec<_> = chip.stars.iter().collect();
    stars.sort_by(|a, b| b.flux.total_cmp(&a.flux));
    let value = |row: usize, name: &str| exposure.value(chip, stars[row], row, name);
    let header = exposure.header("EXTNAME 'CAT' / extension name\nEXTVER 1", chip);
    layout::push_table(&mut bytes, COLUMNS, stars.len(), &value, &header)?;
    for (name, layer) in [("BPM", Layer::Mask), ("ERR", Layer::Error)] {
        let header = exposure.header(&format!("EXTNAME '{name}' / extension name\nEXTVER 1"), chip);
        exposure.push_image(&mut bytes, chip, (Form::Compressed, layer), header)?;
    }
    let name = exposure.file_name("coj1m011-fa12-{night}-{number}-e91.fits.fz");
    Ok(vec![NamedFile { name, content: FileUse::Image, bytes }])
}
