//! The sky that all these cameras see: stars, astrometry, pixels, and the values of headers and catalogues.

use super::{LikeDetector, LikeSource, LikeSpec};
use crate::camera::axes;
use crate::{Night, random::Random};
use fits::write::{
    Checks, HeaderBuilder, Pixels, Place, RicePixels, WriteFault, image, rice_image,
};

/// A camera with its telescope.
pub(super) struct Camera {
    /// Name of a delivery, with its `{night}`.
    pub delivery: &'static str,
    pub detectors: usize,
    /// Year, month and day of the default night.
    pub night: [u32; 3],
    /// Seconds from 0 h UT of the night to the first exposure, and from each exposure to the next.
    pub start_s: i64,
    pub step_s: i64,
    pub exposure_s: f64,
    pub pixel_arcsec: f64,
    /// Directions of east and north in pixels: CDi_j over the size of a pixel.
    pub axes: [[f64; 2]; 2],
    /// True for a TPV projection, false for TAN.
    pub is_distorted: bool,
    /// Right ascension and declination of the optical axis, degrees.
    pub pointing: [f64; 2],
    /// Position of a detector's centre with respect to the axis, in pixels; detectors are counted from 0.
    pub centre: fn(usize) -> [f64; 2],
    /// EXTNAME and number of a detector.
    pub detector: fn(usize) -> (String, usize),
    /// HDU of the first detector.
    pub first_hdu: usize,
    /// Magnitude of a source of one count per second on the first detector.
    pub zero_mag: f64,
    pub fwhm_px: f64,
    pub gain: f64,
    pub sky: f64,
}

/// PV1_i and PV2_i of a distorted camera.
const DISTORTION: [[f64; 11]; 2] = [
    [2.1e-4, 1.0031, 5.2e-4, 0.0, -1.3e-3, 8.4e-4, -7.1e-4, 4.3e-3, 6.0e-4, 3.9e-3, 2.5e-4],
    [-1.7e-4, 1.0028, -4.6e-4, 0.0, 9.2e-4, -1.1e-3, 6.3e-4, 4.1e-3, -5.5e-4, 4.0e-3, -3.1e-4],
];

/// The astrometric solution of a detector, pixels from 1.
struct Solution {
    crval: [f64; 2],
    crpix: [f64; 2],
    cd: [[f64; 2]; 2],
    is_distorted: bool,
    /// Direction of CRVAL, and east and north there.
    axes: [[f64; 3]; 3],
}

impl Solution {
    /// Returns right ascension and declination of a pixel in degrees.
    fn sky(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let from = [x - self.crpix[0], y - self.crpix[1]];
        let mut plane = self.cd.map(|row| row[0] * from[0] + row[1] * from[1]);
        if self.is_distorted {
            let [a, b] = plane;
            plane = [distorted(&DISTORTION[0], a, b), distorted(&DISTORTION[1], b, a)];
        }
        let [xi, eta] = plane.map(f64::to_radians);
        let [pole, east, north] = &self.axes;
        let v: [f64; 3] = std::array::from_fn(|i| pole[i] + xi * east[i] + eta * north[i]);
        let ra = v[1].atan2(v[0]).to_degrees().rem_euclid(360.0);
        [ra, v[2].atan2(v[0].hypot(v[1])).to_degrees()]
    }

    fn cards(&self, header: &mut HeaderBuilder) {
        let projection = if self.is_distorted { "TPV" } else { "TAN" };
        header.text("CTYPE1", &format!("RA---{projection}"), "").text(
            "CTYPE2",
            &format!("DEC--{projection}"),
            "",
        );
        for (i, row) in (1..).zip(self.cd) {
            header.text(&format!("CUNIT{i}"), "deg", "");
            header.number(&format!("CRVAL{i}"), self.crval[i - 1], "");
            header.number(&format!("CRPIX{i}"), self.crpix[i - 1], "");
            for (j, value) in (1..).zip(row) {
                header.number(&format!("CD{i}_{j}"), value, "");
            }
            for (k, value) in DISTORTION[i - 1].iter().enumerate().filter(|_| self.is_distorted) {
                header.number(&format!("PV{i}_{k}"), *value, "");
            }
        }
    }
}

/// Returns one coordinate of a TPV projection: `x` is the coordinate, `y` the other one.
fn distorted(pv: &[f64; 11], x: f64, y: f64) -> f64 {
    let terms =
        [1.0, x, y, x.hypot(y), x * x, x * y, y * y, x * x * x, x * x * y, x * y * y, y * y * y];
    terms.iter().zip(pv).map(|(term, pv)| term * pv).sum()
}

/// A star on a detector.
pub(super) struct Star {
    truth: LikeSource,
    /// Measured pixels, and the sky there.
    at: [f64; 2],
    sky: [f64; 2],
    /// Measured flux in counts, and its error.
    pub flux: f64,
    flux_err: f64,
}

/// A detector of an exposure.
pub(super) struct Chip {
    /// EXTNAME.
    pub name: String,
    number: usize,
    zero_mag: f64,
    solution: Solution,
    /// The stars, from below.
    pub stars: Vec<Star>,
    key: u64,
}

/// An exposure with all its detectors.
pub(super) struct Exposure {
    camera: &'static Camera,
    number: usize,
    size: usize,
    /// MJD of the day, and seconds in it.
    day: i64,
    seconds: f64,
    pub chips: Vec<Chip>,
}

/// The kinds of images of a detector.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Science,
    /// 0 where a pixel is usable.
    Mask,
    /// Inverse variance.
    Weight,
    /// Standard deviation.
    Error,
}

/// The form of an image in its file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Primary,
    Compressed,
}

impl Exposure {
    pub(super) fn new(spec: &LikeSpec, camera: &'static Camera, number: usize) -> Self {
        let since = camera.start_s + number as i64 * camera.step_s;
        let day = spec.night.mjd() + since.div_euclid(86_400);
        let seconds = since.rem_euclid(86_400) as f64;
        let mut exposure =
            Self { camera, number, size: spec.size, day, seconds, chips: Vec::new() };
        exposure.chips = (0..spec.detectors).map(|index| exposure.chip(spec, index)).collect();
        exposure
    }

    fn chip(&self, spec: &LikeSpec, index: usize) -> Chip {
        let camera = self.camera;
        let (name, number) = (camera.detector)(index);
        let centre = (self.size as f64 + 1.0) / 2.0;
        let pixel = camera.pixel_arcsec / 3600.0;
        let solution = Solution {
            crval: camera.pointing,
            crpix: (camera.centre)(index).map(|offset| centre - offset),
            cd: camera.axes.map(|row| row.map(|v| v * pixel)),
            is_distorted: camera.is_distorted,
            axes: axes(camera.pointing),
        };
        let zero_mag = camera.zero_mag + 0.07 * index as f64;
        let key = spec.seed + (spec.pipeline as u64) * 1000 + index as u64;
        let mut chip = Chip { name, number, zero_mag, solution, stars: Vec::new(), key };
        chip.stars = (0..spec.detections).map(|n| self.star(&chip, n as u64)).collect();
        chip.stars.sort_by(|a, b| a.truth.y.total_cmp(&b.truth.y));
        chip
    }

    /// Makes a star: the same in every exposure, with other errors of measurement.
    fn star(&self, chip: &Chip, n: u64) -> Star {
        let mut random = Random::of(&[chip.key, n]);
        let (margin, side) = (self.size as f64 / 10.0, self.size as f64);
        let at: [f64; 2] = std::array::from_fn(|_| random.between(margin, side - margin));
        let mag = self.frame_zero(chip) - random.between(8.5, 12.5);
        let [ra_deg, dec_deg] = chip.solution.sky(at);
        let truth = LikeSource { x: at[0], y: at[1], ra_deg, dec_deg, mag };
        let flux = 10_f64.powf(0.4 * (self.frame_zero(chip) - mag));
        let area = std::f64::consts::PI * (2.0 * self.camera.fwhm_px).powi(2);
        let flux_err = ((flux + area * self.camera.sky) / self.camera.gain).sqrt();
        let mut scatter = Random::of(&[chip.key, n, 1 + self.number as u64]);
        let at = at.map(|v| v + POSITION_ERR * scatter.normal());
        let flux = (flux + flux_err * scatter.normal()).max(flux_err);
        Star { truth, at, sky: chip.solution.sky(at), flux, flux_err }
    }

    /// Returns the magnitude of a source of one count in the frame.
    fn frame_zero(&self, chip: &Chip) -> f64 {
        chip.zero_mag + 2.5 * self.camera.exposure_s.log10()
    }

    /// Returns what was planted.
    pub(super) fn truth(&self) -> Vec<LikeDetector> {
        let each = |(index, chip): (usize, &Chip)| LikeDetector {
            hdu: self.camera.first_hdu + index,
            zero_mag: chip.zero_mag,
            sources: chip.stars.iter().map(|star| star.truth).collect(),
        };
        self.chips.iter().enumerate().map(each).collect()
    }

    /// Makes a header from a text ([`super::layout::header`]) for a detector, without astrometry.
    pub(super) fn header(&self, lines: &str, chip: &Chip) -> HeaderBuilder {
        super::layout::header(lines, &|name| self.text(chip, name))
    }

    /// Makes a header with the astrometry of a detector.
    pub(super) fn image_header(&self, lines: &str, chip: &Chip) -> HeaderBuilder {
        let mut header = self.header(lines, chip);
        chip.solution.cards(&mut header);
        header
    }

    /// Returns the name of a file from its template.
    pub(super) fn file_name(&self, template: &str) -> String {
        super::layout::filled(template, &|name| self.text(&self.chips[0], name))
    }

    /// Returns a value of headers and file names.
    fn text(&self, chip: &Chip, name: &str) -> String {
        let camera = self.camera;
        let date = Night::of_mjd(self.day);
        let days = self.seconds / 86_400.0;
        let iso = date.iso(self.seconds);
        match name {
            "night" => date.to_string(),
            "yymmdd" => date.to_string()[2..].to_owned(),
            "evening" => Night::of_mjd(self.day - 1).iso(0.0)[..10].to_owned(),
            "hhmmss" => iso[11..19].replace(':', ""),
            "fraction" => format!("{:06.0}", (days * 1e6).floor()),
            "date" => iso,
            "ut" => iso[11..].to_owned(),
            "end" => date.iso(self.seconds + camera.exposure_s)[11..].to_owned(),
            "mjd" => format!("{:.8}", self.day as f64 + days),
            "jd" => format!("{:.7}", self.day as f64 + days + 2_400_000.5),
            "lst" => sexagesimal((days * 24.0 + 7.3) % 24.0, 2),
            "number" => format!("{:04}", 101 + self.number),
            "exposure" => format!("{:.1}", camera.exposure_s),
            "airmass" => format!("{:.4}", 1.1 + 0.05 * self.number as f64),
            "ra" => sexagesimal(camera.pointing[0] / 15.0, 3),
            "dec" => sexagesimal(camera.pointing[1], 2),
            "pixel" => format!("{}", camera.pixel_arcsec),
            "fwhm" => format!("{}", camera.fwhm_px),
            "fwhm_arcsec" => format!("{:.4}", camera.fwhm_px * camera.pixel_arcsec),
            "gain" => format!("{:.2}", camera.gain),
            "sky" => format!("{:.2}", camera.sky),
            "noise" => format!("{:.4}", self.noise()),
            "zero" => format!("{:.4}", chip.zero_mag),
            "frame_zero" => format!("{:.4}", self.frame_zero(chip)),
            "name" => chip.name.clone(),
            "chip" => chip.number.to_string(),
            "chips" => self.chips.len().to_string(),
            "size" => self.size.to_string(),
            unknown => format!("{{{unknown}}}"),
        }
    }

    fn noise(&self) -> f64 {
        (self.camera.sky / self.camera.gain).sqrt()
    }

    /// Returns a value of row `row` (from 0) of a catalogue that lists `star`; a number means itself.
    pub(super) fn value(&self, chip: &Chip, star: &Star, row: usize, name: &str) -> f64 {
        let sigma = self.camera.fwhm_px / 2.354_82;
        let within = |radius: f64| 1.0 - (-0.5 * (radius / sigma).powi(2)).exp();
        let (name, aperture) = match name.find(|c: char| c.is_ascii_digit()) {
            Some(at) if at > 0 => (&name[..at], name[at..].parse().unwrap_or(0.0)),
            _ => (name, 0.0),
        };
        let instrumental = -2.5 * star.flux.log10();
        // Bits of SExtractor: blended, saturated, at the edge.
        let flags = f64::from(2 * u8::from(row % 7 == 3))
            + f64::from(4 * u8::from(row % 11 == 5))
            + f64::from(8 * u8::from(row % 13 == 6));
        match name {
            "row" => row as f64,
            "number" => (row + 1) as f64,
            "x" => star.at[0],
            "y" => star.at[1],
            "x_from_zero" => star.at[0] - 1.0,
            "y_from_zero" => star.at[1] - 1.0,
            "x_pixel" => star.at[0].round(),
            "y_pixel" => star.at[1].round(),
            "err" => POSITION_ERR,
            "variance" => POSITION_ERR * POSITION_ERR,
            "ra" => star.sky[0],
            "dec" => star.sky[1],
            "flux" => star.flux,
            "flux_err" => star.flux_err,
            "aper" => star.flux * within(aperture),
            "aper_err" => star.flux_err * within(aperture).sqrt(),
            "mag" => self.frame_zero(chip) + instrumental,
            "mag_inst" => instrumental,
            // SExtractor's value for no magnitude.
            "mag_or_none" if row % 17 == 8 => 99.0,
            "mag_or_none" => instrumental,
            "mag_err" => 1.0857 * star.flux_err / star.flux,
            "snr" => star.flux / star.flux_err,
            "peak" => star.flux / (2.0 * std::f64::consts::PI * sigma * sigma),
            "sky" => self.camera.sky,
            "threshold" => 1.5 * self.noise(),
            "fwhm" => self.camera.fwhm_px,
            "sigma" => sigma,
            "sigma_square" => sigma * sigma,
            "half_radius" => 0.5 * self.camera.fwhm_px,
            "angle" => (row * 37 % 180) as f64 - 90.0,
            "ellipticity" => 0.02 + 0.01 * (row % 10) as f64,
            "class" => 0.98 - 0.01 * (row % 50) as f64,
            "flags" => flags,
            number => number.parse().unwrap_or(f64::NAN),
        }
    }

    /// Returns a pixel of the mask: one in 500 is bad.
    fn mask(&self, chip: &Chip, pixel: usize) -> u8 {
        u8::from(Random::of(&[chip.key, 3, pixel as u64]).below(500) == 0)
    }

    fn layer(&self, chip: &Chip, layer: Layer) -> Vec<f32> {
        let side = self.size;
        let variance = self.noise().powi(2) as f32;
        let mut pixels = vec![0.0_f32; side * side];
        if layer == Layer::Science {
            let sigma = self.camera.fwhm_px / 2.354_82;
            let reach = 4.0 * sigma;
            for star in &chip.stars {
                let peak = star.flux / (2.0 * std::f64::consts::PI * sigma * sigma);
                let range = |centre: f64| {
                    let first = (centre - reach).floor().max(1.0) as usize;
                    first..=((centre + reach) as usize).min(side)
                };
                for y in range(star.truth.y) {
                    for x in range(star.truth.x) {
                        let square =
                            (x as f64 - star.truth.x).powi(2) + (y as f64 - star.truth.y).powi(2);
                        pixels[(y - 1) * side + x - 1] +=
                            (peak * (-0.5 * square / (sigma * sigma)).exp()) as f32;
                    }
                }
            }
        }
        let mut random = Random::of(&[chip.key, 2, self.number as u64]);
        for (index, pixel) in pixels.iter_mut().enumerate() {
            let bad = self.mask(chip, index);
            *pixel = match layer {
                Layer::Science => {
                    *pixel + (self.camera.sky + self.noise() * random.normal()) as f32
                }
                Layer::Mask => f32::from(bad),
                Layer::Weight => (1.0 - f32::from(bad)) / variance,
                Layer::Error => variance.sqrt(),
            };
        }
        pixels
    }

    /// Appends an image of a detector. Compressed images are integers, as Rice's code needs, with BSCALE.
    pub(super) fn push_image(
        &self,
        out: &mut Vec<u8>,
        chip: &Chip,
        (form, layer): (Form, Layer),
        mut header: HeaderBuilder,
    ) -> Result<(), WriteFault> {
        let step = if layer == Layer::Weight { 1e-5 } else { 0.01 };
        let (side, checks) = (self.size, Checks::Written);
        let pixels = self.layer(chip, layer);
        let bytes = || pixels.iter().map(|v| *v as u8).collect::<Vec<_>>();
        let axes = [side as u64; 2];
        match (form, layer) {
            (Form::Primary, Layer::Mask) => {
                image(out, Place::Primary, &axes, Pixels::U8(&bytes()), &header, checks)
            }
            (Form::Primary, _) => {
                image(out, Place::Primary, &axes, Pixels::F32(&pixels), &header, checks)
            }
            (Form::Compressed, Layer::Mask) => {
                rice_image(out, side, side, RicePixels::U8(&bytes()), &header, checks)
            }
            (Form::Compressed, _) => {
                header.number("BSCALE", step, "").number("BZERO", 0.0, "");
                let stored: Vec<i32> =
                    pixels.iter().map(|v| (f64::from(*v) / step).round() as i32).collect();
                rice_image(out, side, side, RicePixels::I32(&stored), &header, checks)
            }
        }
    }
}

/// Error of measured pixels.
const POSITION_ERR: f64 = 0.02;

/// Returns hours or degrees as `-12:34:56.78`.
fn sexagesimal(value: f64, decimals: usize) -> String {
    let power = 10_f64.powi(decimals as i32);
    let parts = (value.abs() * 3600.0 * power).round() as u64;
    let power = power as u64;
    let (whole, fraction) = (parts / power, parts % power);
    let sign = if value < 0.0 { "-" } else { "" };
    let (h, m, s) = (whole / 3600, whole / 60 % 60, whole % 60);
    format!("{sign}{h:02}:{m:02}:{s:02}.{fraction:0decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_sexagesimal() {
        assert_eq!(sexagesimal(-0.5, 2), "-00:30:00.00");
        assert_eq!(sexagesimal(12.999_999_99, 1), "13:00:00.0");
    }
}
