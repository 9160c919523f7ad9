//! The header of a detector: hardware, astrometry, processing of the pixels, quality.
//!
//! Keywords, comments and formats are those of a WFCAM file of October 2007.

use crate::conditions::{Conditions, EXTINCTION, FULL_ADU, GAIN, READ_NOISE};
use crate::plan::{EXPOSURE_S, Frame, FrameKind};
use crate::random::Random;
use crate::spec::NightSpec;
use fits::write::HeaderBuilder;

/// Returns the header of an image extension; `bscale` and `bzero` as its pixels are stored.
pub(crate) fn image_header(
    spec: &NightSpec,
    frame: &Frame,
    conditions: &Conditions,
    bscale: f64,
    bzero: f64,
) -> HeaderBuilder {
    let mut header = HeaderBuilder::new();
    header.text("EXTNAME", "COMPRESSED_IMAGE", "name of this binary table extension");
    header.logical("INHERIT", true, "Extension inherits primary header");
    hardware(&mut header, frame, conditions);
    if !frame.kind.is_library() {
        astrometry(&mut header, conditions);
    }
    processing(&mut header, frame, conditions);
    if matches!(frame.kind, FrameKind::Stack | FrameKind::Superstack) {
        quality(&mut header, conditions);
        photometry(&mut header, conditions);
    }
    history(&mut header, spec, frame);
    header.number("BSCALE", bscale, "");
    if bzero != 0.0 {
        header.number("BZERO", bzero, "");
    }
    header
}

/// Returns the header of a catalogue extension, after the cards of its columns.
pub(crate) fn catalogue_header(
    spec: &NightSpec,
    frame: &Frame,
    conditions: &Conditions,
) -> HeaderBuilder {
    let mut header = HeaderBuilder::new();
    header.text("EXTNAME", "CASU-CAT", "name of this binary table extension");
    telescope(&mut header, spec, frame, conditions);
    hardware(&mut header, frame, conditions);
    astrometry(&mut header, conditions);
    processing(&mut header, frame, conditions);
    extraction(&mut header, frame, conditions);
    quality(&mut header, conditions);
    photometry(&mut header, conditions);
    symbols(&mut header);
    history(&mut header, spec, frame);
    header
}

/// Writes the cards of the primary header that a catalogue repeats.
fn telescope(header: &mut HeaderBuilder, spec: &NightSpec, frame: &Frame, c: &Conditions) {
    let mjd = spec.night.mjd() as f64 + frame.start_s / 86_400.0;
    header
        .text("TELESCOP", "UKIRT             ", "Telescope name")
        .text("INSTRUME", "WFCAM             ", "Instrument")
        .text("PROJECT", frame.programme.project, "Time-allocation code")
        .text("OBJECT", &frame.object, "Object name from telescope")
        .text("FILTER", frame.filter.name, "Filter name")
        .text("DATE-OBS", &spec.night.iso(frame.start_s), "Date time (UTC) of start of observation")
        .fixed("MJD-OBS", mjd, 5, "DATE-OBS as Modified Julian Date")
        .fixed("EXP_TIME", EXPOSURE_S, 6, "[s] Integration time per exposure")
        .fixed("AMSTART", c.airmass, 3, "Airmass at start of observation")
        .fixed("AMEND", c.airmass, 3, "Airmass at end of observation");
}

fn hardware(header: &mut HeaderBuilder, frame: &Frame, c: &Conditions) {
    const ARRAYS: [(u32, &str); 4] =
        [(60, "1e1d1c17"), (63, "0c0b0d12"), (42, "14131109"), (41, "0f090a15")];
    let (serial, controller) = ARRAYS[c.camera - 1];
    let role = if c.camera == 1 { "master" } else { "slave" };
    let size = frame.size as i64;
    let raw = format!("/home/wfcam/ucam-wfcam/data//run{:08}", frame.run + 40);
    header
        .integer("CAMNUM", c.camera as i64, "Number of WFCAM camera (1, 2, 3 or 4)")
        .text("HDTFILE2", "wfcam2.hdt        ", "Name of camera-specific hdt file")
        .text("DETECTOR", "RSC Hawaii 2", "Type of detector array used")
        .text("DETECTID", &format!("RSC:H2:{serial}"), "Serial number of detector array")
        .integer("DROWS", size, "[pixel] Number of detector rows")
        .integer("DCOLUMNS", size, "[pixel] Number of detector columns")
        .integer("RDOUT_X1", 1, "Start column of array readout")
        .integer("RDOUT_X2", size, "End   column of array readout")
        .integer("RDOUT_Y1", 1, "Start row    of array readout")
        .integer("RDOUT_Y2", size, "End   row    of array readout")
        .fixed("PIXLSIZE", 0.4, 4, "[arcsec] Pixel size")
        .text("PCSYSID", &format!("wfacq{}", c.camera), "PC system identifier")
        .text("SDSUID", controller, "Serial number of SDSU controller")
        .text("CAPPLICN", "do_mean_wfcam_cds", "Name of camera readout application")
        .text("CAMROLE", role, "Camera role (master|slave|unsync)")
        .text("CAMPOWER", "On", "Camera power (On|Off)")
        .text("RUNID", &raw, "Name of raw data file")
        .text("READOUT", "CDS", "Camera readout (CDS|NDR|SAR|RRR)")
        .fixed("GAIN", GAIN, 3, "[electrons/ADU] Detector gain")
        .fixed("DET_TEMP", 74.6, 1, "[K] Detector array temperature")
        .integer("CNFINDEX", 158_052_410 + c.camera as i64, "Configuration index")
        .fixed("READNOIS", READ_NOISE, 1, "Readnoise estimate");
}

fn astrometry(header: &mut HeaderBuilder, c: &Conditions) {
    let wcs = &c.wcs;
    let element = "Transformation matrix element";
    header
        .text("CTYPE1", "RA---ZPN", "Algorithm type for axis 1")
        .text("CTYPE2", "DEC--ZPN", "Algorithm type for axis 2")
        .number("CRPIX1", wcs.crpix[0], "[pixel] Reference pixel along axis 1 (RA)")
        .number("CRPIX2", wcs.crpix[1], "[pixel] Reference pixel along axis 2 (Rec)")
        .number("CRVAL1", wcs.crval[0], "[deg] Right ascension at the reference pixel")
        .number("CRVAL2", wcs.crval[1], "[deg] Declination at the reference pixel")
        .text("CRUNIT1", "deg", "Unit of right ascension co-ordinates")
        .text("CRUNIT2", "deg", "Unit of declination co-ordinates")
        .exponent("CD1_1", wcs.cd[0][0], 7, element)
        .exponent("CD1_2", wcs.cd[0][1], 7, element)
        .exponent("CD2_1", wcs.cd[1][0], 7, element)
        .exponent("CD2_2", wcs.cd[1][1], 7, element)
        .number("PV2_1", 1.0, "Pol.coeff. for pixel -> celestial coord")
        .exponent("PV2_2", 0.0, 6, "Pol.coeff. for pixel -> celestial coord")
        .number("PV2_3", wcs.pv2_3, "Pol.coeff. for pixel -> celestial coord");
}

/// Writes the reduction and components of the frame: names of other frames within free text.
fn processing(header: &mut HeaderBuilder, frame: &Frame, c: &Conditions) {
    if matches!(frame.kind, FrameKind::Raw) || frame.kind.is_library() {
        return;
    }
    let (library, n) = (&frame.library, c.camera);
    if let Some(confidence) = &frame.confidence {
        header.text("CIR_CPM", &format!("{confidence}[{n}]"), "Confidence Map");
    }
    if frame.kind != FrameKind::Confidence {
        let mut random = Random::of(&[c.key, 20]);
        let sky = format!("Done with {}[{n}] and scale factor 1", library.sky);
        header
            .text("DARKCOR", &format!("Done with: {}[{n}] and scale 1", library.dark), "")
            .text("FLATCOR", &format!("Done with: {}[{n}]", library.flat), "")
            .text("DECURTN", "Done", "De-curtaining done")
            .single("CURTNRNG", random.between(90.0, 160.0) as f32, "Range of decurtain correction")
            .text("XTALK", "Done", "")
            .text("SKYSUB", &sky, "")
            .fixed("CIR_XOFF", 0.0, 1, "Dither offset X")
            .fixed("CIR_YOFF", 0.0, 1, "Dither offset Y")
            .single("CIRMED", (c.sky - 3.1) as f32, "Latest estimate of background")
            .single(
                "CIR_BVAR",
                (c.noise.powi(2) * 2.1) as f32,
                "Latest estimate of background variance",
            )
            .single(
                "CIR_ZERO",
                random.between(-1.0, 1.0) as f32,
                "Pedestal value relative to group average",
            )
            .single(
                "CIR_SCAL",
                random.between(0.999, 1.001) as f32,
                "Background scale relative to group maximum",
            );
    }
    if !frame.components.is_empty() {
        let itself = format!("{}[{n}]: formed from imdither of:", frame.file);
        header.text("PROV0000", &itself, "Output file");
        for (k, component) in (1..).zip(&frame.components) {
            let value = format!("{component}[{n}]");
            header.text(&format!("PROV{k:04}"), &value, &format!("Card # {k}"));
        }
    }
}

fn quality(header: &mut HeaderBuilder, c: &Conditions) {
    let mut random = Random::of(&[c.key, 21]);
    let shift = "[arcsec] Ref shift pass 0 to 2 (new - old)";
    header
        .fixed("SKYLEVEL", c.sky, 1, "Sky level estimate from IMCORE")
        .fixed("SKYNOISE", c.noise, 2, "Sky noise estimate from IMCORE")
        .single("SEEING", c.profile.fwhm as f32, "Average FWHM (pixels)")
        .integer("NUMBRMS", 90 + random.below(600) as i64, "")
        .single("STDCRMS", random.between(0.05, 0.1) as f32, "")
        .integer("WCSPASS", 2, "")
        .single("RAZP02", random.between(-4.0, 4.0) as f32, shift)
        .single("DECZP02", random.between(-4.0, 4.0) as f32, shift)
        .single("ELLIPTIC", c.ellipticity as f32, "Ellipticity estimate from IMCORE");
}

fn photometry(header: &mut HeaderBuilder, c: &Conditions) {
    let mut random = Random::of(&[c.key, 22]);
    let stars = 120 + random.below(900) as i64;
    header
        .fixed("MAGZPT", c.zero_point, 3, "Photometric ZP (mags) for default extinction")
        .fixed("MAGZRR", random.between(0.008, 0.03), 3, "Photometric ZP error (mags)")
        .fixed("EXTINCT", EXTINCTION, 2, "Extinction coefficient (mags)")
        .fixed("PERCORR", 0.0, 1, "Percentage sky correction")
        .integer("NUMZPT", stars, "Number of standards used")
        .fixed("NIGHTZPT", c.night_zero_point, 3, "Average photometric ZP (mags) for night")
        .fixed("NIGHTZRR", 0.011, 3, "Photometric ZP sigma for night (mags)")
        .integer("NIGHTNUM", 119, "Number of ZP used in band for night");
}

/// Writes the parameters of the extraction.
fn extraction(header: &mut HeaderBuilder, frame: &Frame, c: &Conditions) {
    let side = frame.side() as i64;
    let correction = c.aperture_corrections();
    let peak = 2.5 * (1.0 / f64::from(c.profile.density(0.1))).log10();
    header
        .integer("NXOUT", side, "X-axis size of image")
        .integer("NYOUT", side, "Y-axis size of image")
        .fixed("THRESHOL", c.threshold(), 2, "Isophotal analysis threshold (counts)")
        .integer("MINPIX", 4, "Minimum size for images (pixels)")
        .integer("CROWDED", 1, "Crowded field analysis flag (0 none, 1 active)")
        .fixed("RCORE", c.core_radius, 2, "[pixels] Core radius for default profile fit")
        .fixed("FILTFWHM", 2.0, 2, "[pixels] FWHM of smoothing kernel")
        .integer("NBSIZE", 64, "Smoothing box size for background")
        .fixed("SATURATE", FULL_ADU, 1, "Average saturation level in frame")
        .logical("CLASSIFD", true, "Class flag: -1 stellar, 1 non-stellar, 0 noise")
        .single("APCORPK", peak as f32, "Stellar aperture correction - peak height");
    let apertures = [
        "1/2x core flux",
        "core/sqrt(2) flux",
        "core flux",
        "sqrt(2)x core flux",
        "2x core flux",
        "2sqrt(2)x core flux",
        "4x core flux",
    ];
    for (k, (value, name)) in (1..).zip(correction.into_iter().zip(apertures)) {
        let comment = format!("Stellar aperture correction - {name}");
        header.single(&format!("APCOR{k}"), value as f32, &comment);
    }
}

/// Writes hints for drawing ellipses, which every catalogue of the pipeline carries.
fn symbols(header: &mut HeaderBuilder) {
    const SYMBOLS: [&str; 9] = [
        "{Ellipticity Position_angle Areal_1_profile Classification} {el",
        "lipse blue (1.0-$Ellipticity) $Position_angle+90 {} $Classific",
        "ation==1} {sqrt($Areal_1_profile*(1.0-$Ellipticity)/3.142)} : {",
        "Ellipticity Position_angle Areal_1_profile Classification} {el",
        "lipse red (1.0-$Ellipticity) $Position_angle+90 {} $Classific",
        "ation==-1} {sqrt($Areal_1_profile*(1.0-$Ellipticity)/3.142)} :",
        "{Ellipticity Position_angle Areal_1_profile Classification} {el",
        "lipse green (1.0-$Ellipticity) $Position_angle+90 {} $Classifi",
        "cation==0} {sqrt($Areal_1_profile*(1.0-$Ellipticity)/3.142)}",
    ];
    header.comment("Symbolic translation for GAIA ellipse plotting........");
    for (n, symbol) in (1..).zip(SYMBOLS) {
        header.text(&format!("SYMBOL{n}"), symbol, "");
    }
}

fn history(header: &mut HeaderBuilder, spec: &NightSpec, frame: &Frame) {
    const STEPS: [&str; 6] = [
        "cir_stage1.c,v 1.11 2005/12/15 14:44:04 jim Exp $",
        "cir_qblkmed.c,v 1.10 2006/11/07 10:43:01 jim Exp $",
        "cir_xtalk.c,v 1.7 2007/02/12 10:25:31 jim Exp $",
        "cir_imcombine.c,v 1.39 2007/07/31 12:00:40 jim Exp $",
        "cir_imcore.c,v 1.12 2006/07/31 13:21:08 jim Exp $",
        "cir_platesol.c,v 1.12 2007/06/07 14:06:31 jim Exp $",
    ];
    header
        .history(&format!("{} 15:18:59", spec.night))
        .history("   $Id: cir_compress_fits.c,v 1.8 2005/04/19 12:36:53 jim Exp $");
    if frame.kind.has_catalogue() {
        for step in STEPS {
            header.history("20071118 17:09:58");
            header.history(&format!("   $Id: {step}"));
        }
    }
}
