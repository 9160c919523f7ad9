//! The primary header: values of the telescope and the queue, irregularities included.
//!
//! Keywords, comments and formats are those of a WFCAM file of October 2007.

use crate::conditions::{Conditions, jitter_arcsec};
use crate::plan::{EXPOSURE_S, Frame, FrameKind};
use crate::random::Random;
use crate::spec::NightSpec;
use fits::write::HeaderBuilder;

/// Eighteen blanks: the camera software writes them for texts without a value.
const BLANK: &str = "                  ";

/// A number that a sensor reports: keyword, usual value, scatter, decimals, comment.
type Reading = (&'static str, f64, f64, usize, &'static str);

const WEATHER: [Reading; 17] = [
    ("AIRTEMP", 2.931, 1.5, 3, "[degC] Air temperature"),
    ("BARPRESS", 616.972, 0.8, 3, "[mbar] Ambient pressure"),
    ("DEWPOINT", -11.931, 4.0, 3, "[degC] Dewpoint"),
    ("DOMETEMP", 3.407, 1.0, 3, "[degC] Dome temperature"),
    ("HUMIDITY", 32.304, 15.0, 3, "Relative Humidity"),
    ("MIRR_NE", 5.512, 0.8, 3, "[degC] Mirror temperature NE"),
    ("MIRR_NW", 4.346, 0.8, 3, "[degC] Mirror temperature NW"),
    ("MIRR_SE", 3.087, 0.8, 3, "[degC] Mirror temperature SE"),
    ("MIRR_SW", 3.094, 0.8, 3, "[degC] Mirror temperature SW"),
    ("MIRRBTNW", 6.951, 0.8, 3, "[degC] Mirror bottom temp. SW"),
    ("MIRRTPNW", 6.864, 0.8, 3, "[degC] Mirror top temp. SW"),
    ("SECONDAR", 1.961, 0.8, 3, "[degC] Temperature of secondary"),
    ("TOPAIRNW", 4.493, 0.8, 3, "[degC] Top air NW"),
    ("TRUSSENE", 4.778, 0.8, 3, "[degC] Truss leg ENE"),
    ("TRUSSWSW", 2.794, 0.8, 3, "[degC] Truss leg WSW"),
    // The vane continues to count beyond a full turn.
    ("WIND_DIR", 391.289, 25.0, 3, "[deg] Wind direction, azimuth"),
    ("WIND_SPD", 12.963, 8.0, 3, "[km/h] Wind speed"),
];

const FOCUS: [Reading; 11] = [
    ("M2_X", -1.301, 0.1, 3, "[mm]   M2 X (E-W) raw position"),
    ("M2_Y", 0.713, 0.1, 3, "[mm]   M2 Y (N-S) raw position"),
    ("M2_Z", 1.271, 0.1, 3, "[mm]   M2 Z (focus) raw position"),
    ("M2_U", 2.640, 0.1, 3, "[mrad] M2 U (N-S tilt) raw position"),
    ("M2_V", 3.170, 0.1, 3, "[mrad] M2 V (E-W tilt) raw position"),
    ("M2_W", 0.0, 0.0, 3, "[mrad] M2 W (axial rotation) raw position"),
    ("TCS_FOC", -0.010, 0.02, 3, "telescope (TCS) focus"),
    ("FOC_POSN", -0.100, 0.0, 3, "[mm] Internal focus position"),
    ("FOC_ZERO", 3.500, 0.0, 3, "[mm] Focus zero-point position"),
    ("FOC_OFFS", 0.000, 0.0, 3, "[mm] Focus offset"),
    ("FOC_FOFF", -0.100, 0.0, 3, "[mm] Focus filter offset"),
];

const OPTICS: [Reading; 32] = [
    ("TRUSSTOP", 2.892, 0.5, 3, "[degC] Temperature at the top of the truss"),
    ("TRUSSBOT", 2.905, 0.5, 3, "[degC] Temperature at the bottom of the truss"),
    ("IZ5", 1392.0, 0.0, 3, "Astigmatism: IZ5"),
    ("HZ5SH", -968.0, 0.0, 3, "Astigmatism: HZ5SH"),
    ("HZ5CH", -497.0, 0.0, 3, "Astigmatism: HZ5CH"),
    ("HZ5SD", -1722.0, 0.0, 3, "Astigmatism: HZ5SD"),
    ("HZ5CD", 410.0, 0.0, 3, "Astigmatism: HZ5CD"),
    ("IZ6", 1010.0, 0.0, 3, "Astigmatism: IZ6"),
    ("HZ6SH", -482.0, 0.0, 3, "Astigmatism: HZ6SH"),
    ("HZ6CH", -470.0, 0.0, 3, "Astigmatism: HZ6CH"),
    ("HZ6SD", -704.0, 0.0, 3, "Astigmatism: HZ6SD"),
    ("HZ6CD", -326.0, 0.0, 3, "Astigmatism: HZ6CD"),
    ("Z7", -405.0, 0.0, 3, "Coma: Z7"),
    ("Z8", 1450.0, 0.0, 3, "Coma: Z8"),
    ("WEBEAM", -405.0, 0.0, 3, "Topend: W-E beam"),
    ("NSBEAM", 45.0, 0.0, 3, "Topend: N-S beam"),
    ("IZ9", -84.0, 0.0, 3, "Trefoil: IZ9"),
    ("HZ9SH", 56.0, 0.0, 3, "Trefoil: HZ9SH"),
    ("HZ9CH", 302.0, 0.0, 3, "Trefoil: HZ9CH"),
    ("HZ9SD", 181.0, 0.0, 3, "Trefoil: HZ9SD"),
    ("HZ9CD", -577.0, 0.0, 3, "Trefoil: HZ9CD"),
    ("IZ10", 885.0, 0.0, 3, "Trefoil: IZ10"),
    ("HZ10SH", 121.0, 0.0, 3, "Trefoil: HZ10SH"),
    ("HZ10CH", 80.0, 0.0, 3, "Trefoil: HZ10CH"),
    ("HZ10SD", -313.0, 0.0, 3, "Trefoil: HZ10SD"),
    ("HZ10CD", -869.0, 0.0, 3, "Trefoil: HZ10CD"),
    ("Z11", 84.0, 0.0, 3, "Spherical: Z11"),
    ("AAMP", 1060.047, 40.0, 3, "Astigmatism: amplitude"),
    ("APHI", 5.244, 3.0, 3, "Astigmatism: angle"),
    ("TAMP", 295.224, 20.0, 3, "Trefoil: Amplitude"),
    ("TPHI", -59.392, 8.0, 3, "Trefoil: angle"),
    ("TEL_FOFF", -3.810, 0.0, 3, "focus offset for inst. filter"),
];

const CRYOSTAT: [Reading; 14] = [
    ("DETTEMPB", 74.6, 0.1, 1, "[K] DET_TEMP alternate sensor"),
    ("DETTEMPS", 75.0, 0.0, 1, "[K] Det temperature setpoint"),
    ("DET_HTP", 56.5, 0.5, 1, "[percent] Det heater level"),
    ("CCD_TEMP", 160.2, 0.2, 1, "[K] AG CCD temperature"),
    ("CCDTEMPS", 160.0, 0.0, 1, "[K] AG CCD temperature setpoint"),
    ("CCD_HTP", 14.0, 1.0, 1, "[percent] AG CCD heater level"),
    ("FS_TEMP", 76.8, 0.2, 1, "[K] CCC 1st stage temperature"),
    ("LNC_TEMP", 103.8, 0.5, 1, "[K] LN can temperature"),
    ("SS_TEMP", 17.6, 0.2, 1, "[K] CCC 2nd stage temperature"),
    ("M3_TEMP", 119.7, 0.3, 1, "[K] M3 temperature"),
    ("TR_TEMP", 127.8, 0.3, 1, "[K] Top ring temperature"),
    ("RS_TEMP", 143.4, 0.3, 1, "[K] Rad shield temperature"),
    ("CP_TEMP", 195.6, 0.3, 1, "[K] Cor plate temperature"),
    ("SC_TEMP", 276.2, 0.5, 1, "[K] SCSU cab temperature"),
];

/// Returns the primary header of a frame and of its catalogue. `conditions` are those of any of its detectors.
pub(crate) fn primary_header(
    spec: &NightSpec,
    frame: &Frame,
    conditions: &Conditions,
) -> HeaderBuilder {
    let mut writer = Writer {
        header: HeaderBuilder::new(),
        random: Random::of(&[spec.seed, 10, u64::from(frame.run)]),
    };
    writer.identity(frame);
    writer.pattern(frame);
    writer.time(spec, frame);
    writer.position(frame, conditions);
    writer.exposure();
    writer.readings(&WEATHER);
    writer.tau(spec, frame);
    writer.readings(&FOCUS);
    writer.queue(spec, frame, conditions);
    writer.readings(&OPTICS);
    writer.readings(&CRYOSTAT);
    writer.header.exponent("CC_PRES", 9.999e-6, 3, "[mbar] Cryostat Pressure");
    writer.history(spec);
    writer.header
}

struct Writer {
    header: HeaderBuilder,
    random: Random,
}

impl Writer {
    fn readings(&mut self, readings: &[Reading]) {
        for (keyword, usual, spread, decimals, comment) in readings {
            let value = usual + spread * self.random.between(-1.0, 1.0);
            self.header.fixed(keyword, value, *decimals, comment);
        }
    }

    fn identity(&mut self, frame: &Frame) {
        let h = &mut self.header;
        for _ in 0..4 {
            h.comment("  FITS (Flexible Image Transport System) format is defined in 'Astronomy");
            h.comment("  and Astrophysics', volume 376, page 359; bibcode: 2001A&A...376..359H ");
        }
        h.text("TELESCOP", "UKIRT             ", "Telescope name")
            .text("INSTRUME", "WFCAM             ", "Instrument")
            .text("DHSVER", "UKDHS 2002 Oct 31 ", "Data handling version")
            .text("HDTFILE", "wfcam.hdt         ", "Name of global hdt file")
            .text("OBSERVER", BLANK, "Observers names")
            .text("USERID", BLANK, "Userid logged in as")
            .text("OBSREF", BLANK, "PATT or other reference")
            .text("PROJECT", frame.programme.project, "Time-allocation code")
            .text("SURVEY", BLANK, "Survey name")
            .text("SURVEY_I", BLANK, "Pointing ID within survey");
        let block = format!("{:016x}{:016x}A", self.random.bits(), self.random.bits());
        let h = &mut self.header;
        h.text("MSBID", &block, "Id min.-schedulable block")
            .text("RMTAGENT", "", "Name of remote agent")
            .text("AGENTID", "", "Unique identifier for remote agent")
            .text("OBJECT", &frame.object, "Object name from telescope")
            .text("RECIPE", recipe(frame.kind), "Data reduction recipe to be used")
            .text("OBSTYPE", observation(frame.kind), "BIAS|DARK|SKYFLAT|DOMEFLAT|OBJECT|SKY|FOCUS")
            .integer("OBSNUM", i64::from(frame.run), "Observation number")
            .integer("GRPNUM", i64::from(frame.run), "Group number applied to all members")
            .logical("GRPMEM", !frame.kind.is_library(), "Group membership")
            .integer("TILENUM", i64::from(frame.run), "Tile number applied to all members")
            .logical("STANDARD", false, "Is the target a standard star observation?");
    }

    fn pattern(&mut self, frame: &Frame) {
        let [east, north] = jitter_arcsec(frame.jitter);
        let steps = (frame.microsteps * frame.microsteps) as i64;
        self.header
            .integer("NJITTER", frame.jitters as i64, "Number of positions in tel jitter pattern")
            .integer("JITTER_I", frame.jitter as i64, "Serial number in this tel jitter pattern")
            .fixed("JITTER_X", east, 2, "[arcsec] X (RA) offset in tel jitter pattern")
            .fixed("JITTER_Y", north, 2, "[arcsec] Y (Dec) offset in tel jitter pattern")
            .integer("NUSTEP", steps, "Number of positions in microstep pattern")
            .integer("USTEP_I", 1, "Serial number in this microstep pattern")
            .fixed("USTEP_X", 0.0, 2, "[arcsec] X (RA) offset in microstep pattern")
            .fixed("USTEP_Y", 0.0, 2, "[arcsec] Y (Dec) offset in microstep pattern")
            .integer("NFOC", 0, "Number of positions in focus scan")
            .integer("NFOCSCAN", 0, "Number of focus scans in focus test");
    }

    fn time(&mut self, spec: &NightSpec, frame: &Frame) {
        let (start, end) = (frame.start_s, frame.start_s + EXPOSURE_S + 1.152);
        let mjd = spec.night.mjd() as f64 + start / 86_400.0;
        self.header
            .text("UTDATE", &spec.night.to_string(), "UT date as integer in yyyymmdd format")
            .text("DATE-OBS", &spec.night.iso(start), "Date time (UTC) of start of observation")
            .text("DATE-END", &spec.night.iso(end), "Date time (UTC) of end of observation")
            .fixed("MJD-OBS", mjd, 5, "DATE-OBS as Modified Julian Date");
    }

    fn position(&mut self, frame: &Frame, conditions: &Conditions) {
        let [ra, dec] = frame.pointing;
        let (hours, airmass) = (ra / 15.0, conditions.airmass);
        let [east, north] = jitter_arcsec(frame.jitter);
        let guide = self.random.between(0.001, 0.003);
        self.header
            .integer("WCSAXES", 2, "Number of axes in world co-ordinate system")
            .text("RADESYS", "FK5", "Mean IAU 1984 equatorial co-ordinates")
            .fixed("EQUINOX", 2000.0, 3, "[yr] Equinox of object position")
            .text("TRACKSYS", "J2000", "Telescope tracking coordinate system")
            .fixed("RABASE", hours, 7, "[h] Right ascension of base position")
            .fixed("DECBASE", dec, 7, "[deg] Declination of base position")
            .fixed("TELRA", hours, 7, "[h] Current telescope right ascension")
            .fixed("TELDEC", dec, 7, "[deg] Current telescope declination")
            .fixed("GSRA", hours + guide, 7, "[h] Right ascension of guide star")
            .fixed("GSDEC", dec - 4.0 * guide, 7, "[deg] Declination of guide star")
            .fixed("TRAOFF", east, 3, "[arcsec] Telescope offset in RA")
            .fixed("TDECOFF", north, 3, "[arcsec] Telescope offset in Dec")
            .fixed("AMSTART", airmass, 3, "Airmass at start of observation")
            .fixed("AMEND", airmass, 3, "Airmass at end of observation");
    }

    fn exposure(&mut self) {
        self.header
            .integer("NINT", 1, "Number of integrations in observation")
            .text("READMODE", "CDS", "Name of camera readmode")
            .fixed("EXP_TIME", EXPOSURE_S, 6, "[s] Integration time per exposure")
            .integer("NEXP", 1, "Number of exposures in integration")
            .fixed("READINT", 0.0, 6, "[s] Interval between reads")
            .integer("NREADS", 2, "Number of reads per exposure");
    }

    fn tau(&mut self, spec: &NightSpec, frame: &Frame) {
        let tau = self.random.between(0.05, 0.13);
        let read = spec.night.iso(600.0 * (frame.start_s / 600.0).floor());
        self.header
            .fixed("CSOTAU", tau, 3, "Tau at 225 GHz from CSO")
            .text("TAUDATE", &read[..19], "Time and date of Tau reading")
            .text("TAUSRC", "CSO225GHZ", "Source of opacity data");
    }

    fn queue(&mut self, spec: &NightSpec, frame: &Frame, conditions: &Conditions) {
        let (start, end) = (frame.start_s / 3600.0, (frame.start_s + 11.0) / 3600.0);
        let filter = if frame.kind == FrameKind::Dark { "blank" } else { frame.filter.name };
        let unix = (spec.night.mjd() - 40_587) * 86_400 + frame.start_s as i64;
        let transaction = format!("UKIRT_{unix}_{:06}", self.random.below(1_000_000));
        self.header
            .text("FILTER", filter, "Filter name")
            .fixed("UTSTART", start, 6, "[h] Start time of integration")
            .fixed("UTEND", end, 6, "[h] End time of integration")
            .integer("FOC_I", 0, "Serial number in focus scan")
            .fixed("FOC_OFF", 0.0, 3, "[mm] Offset from nominal focus pos")
            .text("MSBTID", &transaction, "MSB Transaction ID")
            .text("RQ_MINSB", "15.0", "[mag/arcsec**2] requested min J sky brightness ")
            .text("RQ_MAXSB", "100.0", "[mag/arcsec**2] requested max J sky brightness ")
            .text("RQ_MNSEE", "0.00", "[arcsec] requested min seeing")
            .text("RQ_MXSEE", "1.0", "[arcsec] requested max seeing")
            .text("RQ_MINCL", "0", "[percentage] requested min cloud coverage")
            .text("RQ_MAXCL", "20", "[percentage] requested max cloud coverage")
            .text("RQ_MNTAU", "0", "requested min tau constraint")
            .text("RQ_MXTAU", "", "requested max tau constraint")
            .text("RQ_MINMN", "0", "[percentage] req. min illumination moon")
            .text("RQ_MAXMN", "100", "[percentage] req. max illumination moon")
            .fixed("HABASE", conditions.hour_angle_deg, 7, "[deg] Hour angle")
            .fixed("APER_X", 0.0, 3, "[arcsec] Aperture X axis coordinate")
            .fixed("APER_Y", 0.0, 3, "[arcsec] Aperture Y axis coordinate")
            .text("ISU2PORT", "Lost", "ISU2 port name")
            .integer("ISU2POFF", 0, "ISU2 port offset")
            .integer("ISU2TOFF", 0, "ISU2 tilt offset")
            .text("GUIDING", "ON", "Guider status: OFF|ON|PAUSED")
            .text("GUIDFFOC", BLANK, "Fast guider CCD fine focus")
            .fixed("AGFREQ", 20.0, 3, "Autoguider: Frequency")
            .text("FGMODE", "Fast Guider", "Fast guider mode")
            .text("IRPOLARM", "", "Position of IRPOL arm")
            .text("CASSFOC", BLANK, "Tel_inst focus");
    }

    fn history(&mut self, spec: &NightSpec) {
        self.header
            .history(&format!("{} 15:21:46", spec.night))
            .history("   $Id: cir_wfcam_convert.c,v 1.6 2005/10/19 09:13:45 jim Exp $")
            .history("20071116 10:39:21")
            .history("   $Id: cir_compress_fits.c,v 1.10 2007/10/18 10:44:06 jim Exp $")
            .text(
                "PREVIEWV",
                "$Id: preview,v 1.48 2007/10/29 10:42:51 jim Exp $",
                "Version of preview program",
            );
    }
}

fn observation(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Dark => "DARK",
        FrameKind::Flat | FrameKind::FlatConfidence => "SKYFLAT",
        FrameKind::Sky => "SKY",
        _ => "OBJECT",
    }
}

fn recipe(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Dark => "REDUCE_DARK",
        FrameKind::Flat | FrameKind::FlatConfidence => "SKY_FLAT",
        FrameKind::Sky => "REDUCE_SKY",
        _ => "JITTER",
    }
}
