//! From fluxes to calibrated magnitudes, as CASU does it:
//!
//! ```text
//! zero    = zero point - (airmass - 1) extinction + 2.5 log10(exposure)
//! airmass = AIRMASS if present, else mean of AMSTART and AMEND, else 1
//! mag     = zero + delta_mag - aperture correction - 2.5 log10(flux)
//! mag err = 2.5 log10(1 + flux err / flux), or 2.5 / ln(10) flux err / flux by Pogson's formula
//! delta_mag    = distort_corr - percentage correction
//! distort_corr = -2.5 log10(factor of the projection at x, y)
//! ```
//!
//! A flux that is not positive keeps its value and has neither magnitude nor error. Magnitudes that the profile reads from
//! columns are not computed; [`mag_add`] is the number to add to them.

use super::batch::{Batch, position};
use super::logarithm::{MAG_PER_LN, mag_of_excess, mag_of_ratio};
use crate::header_view::HeaderView;
use model::RefusalCode;
use model::detector::Photometry;
use model::profile::{ErrorFormula, MagAdd, PhotometryRules, ZeroPointFor};
use sky::Keywords;
use std::sync::OnceLock;

/// The terms that are added to the instrumental magnitudes of a detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Calibration {
    /// Zero point of this frame, with exposure and extinction included.
    pub(super) zero_mag: f64,
    /// Aperture corrections, 0 where there is none.
    pub(super) aperture_mag: [f64; 7],
    /// The formula of the errors.
    pub(super) errors: ErrorFormula,
}

/// The reason why a detector has no calibration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoCalibration {
    #[error("the metadata have no zero point (phot_zp_cat, phot_zp_ext)")]
    ZeroPoint,
    #[error(
        "the metadata have no start of the exposure (mjd_obs) to compare with fixed_zero_point_epoch"
    )]
    Epoch,
    #[error(
        "the headers of the catalogue have no number {0} to add to its magnitudes (catalogue.photometry.mag_add)"
    )]
    MagAdd(String),
    #[error("the metadata have no exposure time (exp_time) to scale the zero point with")]
    Exposure,
}

impl NoCalibration {
    pub(super) fn code(&self) -> RefusalCode {
        match self {
            Self::ZeroPoint | Self::Epoch | Self::MagAdd(_) => RefusalCode::NO_ZERO_POINT,
            Self::Exposure => RefusalCode::NO_EXPOSURE_TIME,
        }
    }

    /// Returns the keyword of the catalogue at fault.
    pub(super) fn keyword(&self) -> Option<&str> {
        match self {
            Self::MagAdd(keyword) => Some(keyword),
            Self::ZeroPoint | Self::Epoch | Self::Exposure => None,
        }
    }
}

impl Calibration {
    /// Returns the calibration of a detector that was exposed at `mjd`.
    pub(super) fn of(
        facts: &Photometry,
        mjd: Option<f64>,
        rules: &PhotometryRules,
    ) -> Result<Self, NoCalibration> {
        let of_header = || {
            let zero_point = facts.zero_point.filter(|zp| zp.is_finite());
            let zero_point = zero_point.filter(|zp| *zp > rules.no_zero_point_up_to);
            zero_point.ok_or(NoCalibration::ZeroPoint)
        };
        let zero_point = match rules.fixed_zero_point_mag.zip(rules.fixed_zero_point_epoch) {
            Some((mag, epoch)) if mjd.ok_or(NoCalibration::Epoch)? >= epoch.mjd => mag,
            _ => of_header()?,
        };
        let zero_mag = match rules.zero_point {
            ZeroPointFor::Frame => zero_point,
            ZeroPointFor::Second => {
                let exposure_s =
                    facts.exposure_s.filter(|t| t.is_finite()).ok_or(NoCalibration::Exposure)?;
                let exposure_s = exposure_s.abs().max(rules.least_exposure_s);
                let extinction = facts.extinction.unwrap_or(rules.default_extinction);
                zero_point - (airmass(facts) - 1.0) * extinction + 2.5 * exposure_s.log10()
            }
        };
        let aperture_mag = facts.aperture_corrections.map(|c| c.unwrap_or(0.0));
        Ok(Self { zero_mag, aperture_mag, errors: rules.error_formula })
    }
}

/// Returns the number to add to delivered magnitudes, 0 where the profile has none.
///
/// # Errors
/// The keyword that the headers of the catalogue do not have, or not as a finite number.
pub(super) fn mag_add(rules: &PhotometryRules, view: HeaderView<'_>) -> Result<f64, NoCalibration> {
    match &rules.mag_add {
        None => Ok(0.0),
        Some(MagAdd::Number(number)) => Ok(*number),
        Some(MagAdd::Keyword(keyword)) => {
            let number = view.number(keyword.trim()).filter(|number| number.is_finite());
            number.ok_or_else(|| NoCalibration::MagAdd(keyword.trim().to_owned()))
        }
    }
}

fn airmass(facts: &Photometry) -> f64 {
    match (facts.airmass, facts.airmass_start, facts.airmass_end) {
        (Some(airmass), _, _) => airmass,
        (None, Some(start), Some(end)) => (start + end) / 2.0,
        _ => 1.0,
    }
}

/// A flux and the columns made from it.
struct Flux {
    flux: usize,
    flux_err: Option<usize>,
    mag: usize,
    mag_err: Option<usize>,
    /// Number of the aperture from 0, and the column of the magnitude without its correction.
    corrected: Option<(usize, usize)>,
}

fn fluxes() -> &'static [Flux] {
    static FLUXES: OnceLock<Vec<Flux>> = OnceLock::new();
    FLUXES.get_or_init(|| {
        let plain = |flux: &str, mag: &str, has_error: bool| Flux {
            flux: position(flux),
            flux_err: has_error.then(|| position(&format!("{flux}_err"))),
            mag: position(mag),
            mag_err: has_error.then(|| position(&format!("{mag}_err"))),
            corrected: None,
        };
        let aperture = |n: usize| Flux {
            corrected: (n <= 7).then(|| (n - 1, position(&format!("aper_mag_no_aper_corr{n}")))),
            ..plain(&format!("aper_flux{n}"), &format!("aper_mag{n}"), true)
        };
        let mut fluxes: Vec<Flux> = (1..=13).map(aperture).collect();
        fluxes.extend(
            ["petro", "kron", "half", "psf"]
                .map(|kind| plain(&format!("{kind}_flux"), &format!("{kind}_mag"), true)),
        );
        fluxes.extend(
            ["iso_flux", "total_flux", "ser_flux1d", "ser_flux2d"]
                .map(|flux| plain(flux, &flux.replace("flux", "mag"), false)),
        );
        fluxes
    })
}

/// Buffers that are reused from block to block.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    base_mag: Vec<f64>,
    log_mag: Vec<f64>,
}

/// Fills `delta_mag`, `distort_corr`, the magnitudes and their errors of the block, which has `rows` rows. `distortion` holds
/// the factor on fluxes of each row, or is empty when none is applied; without a calibration the magnitudes stay NULL.
pub(super) fn calibrate(
    batch: &mut Batch,
    rows: usize,
    percentage_mag: f64,
    distortion: Option<&[f64]>,
    calibration: Option<&Calibration>,
    scratch: &mut Scratch,
) {
    let base = &mut scratch.base_mag;
    base.clear();
    match distortion {
        None => base.resize(rows, 0.0 - percentage_mag), // not -0.0 where there is no correction
        Some(factors) => {
            let distort =
                factors.iter().map(|f| if *f > 0.0 { -mag_of_ratio(*f) } else { f64::NAN });
            base.extend(distort);
            let column = batch.column::<f32>(delta_columns().distort_corr);
            column.extend(base.iter().map(|v| *v as f32));
            base.iter_mut().for_each(|v| *v -= percentage_mag);
        }
    }
    let column = batch.column::<f32>(delta_columns().delta_mag);
    column.extend(base.iter().map(|v| *v as f32));
    let Some(calibration) = calibration else { return };
    base.iter_mut().for_each(|v| *v += calibration.zero_mag);
    for flux in fluxes() {
        if batch.block::<f32>(flux.flux).is_some() {
            magnitudes(batch, flux, calibration, scratch);
        }
    }
}

struct DeltaColumns {
    delta_mag: usize,
    distort_corr: usize,
}

fn delta_columns() -> &'static DeltaColumns {
    static COLUMNS: OnceLock<DeltaColumns> = OnceLock::new();
    COLUMNS.get_or_init(|| DeltaColumns {
        delta_mag: position("delta_mag"),
        distort_corr: position("distort_corr"),
    })
}

fn magnitudes(batch: &mut Batch, columns: &Flux, calibration: &Calibration, scratch: &mut Scratch) {
    let mut mag = batch.lend::<f32>(columns.mag);
    let mut uncorrected = columns.corrected.map(|(_, column)| batch.lend::<f32>(column));
    let mut mag_err = columns.mag_err.map(|column| batch.lend::<f32>(column));
    if let Some(flux) = batch.block::<f32>(columns.flux) {
        instrumental(flux, &mut scratch.log_mag);
        push_mags(
            &scratch.base_mag,
            &scratch.log_mag,
            0.0,
            uncorrected.as_mut().unwrap_or(&mut mag),
        );
        if let Some((aperture, _)) = columns.corrected {
            push_mags(
                &scratch.base_mag,
                &scratch.log_mag,
                calibration.aperture_mag[aperture],
                &mut mag,
            );
        }
    }
    if let (Some(err_column), Some(mag_err)) = (columns.flux_err, &mut mag_err) {
        match calibration.errors {
            ErrorFormula::Casu => {
                push_errors(batch, columns.flux, err_column, mag_err, mag_of_excess);
            }
            ErrorFormula::Pogson => {
                push_errors(batch, columns.flux, err_column, mag_err, |ratio| MAG_PER_LN * ratio);
            }
        }
    }
    batch.put(columns.mag, mag);
    if let (Some((_, column)), Some(values)) = (columns.corrected, uncorrected) {
        batch.put(column, values);
    }
    if let (Some(column), Some(values)) = (columns.mag_err, mag_err) {
        batch.put(column, values);
    }
}

/// Computes 2.5 log10 of each flux, NaN where it is not positive.
fn instrumental(flux: &[f32], log_mag: &mut Vec<f64>) {
    log_mag.clear();
    log_mag.extend(flux.iter().map(|flux| {
        let flux = f64::from(*flux);
        let log = mag_of_ratio(flux);
        if flux > 0.0 && flux < f64::INFINITY { log } else { f64::NAN }
    }));
}

fn push_mags(base_mag: &[f64], log_mag: &[f64], correction_mag: f64, mags: &mut Vec<f32>) {
    mags.extend(
        base_mag.iter().zip(log_mag).map(|(base, log)| (base - correction_mag - log) as f32),
    );
}

/// Appends errors of magnitudes from a flux and its error, NaN where there is no magnitude.
fn push_errors(
    batch: &mut Batch,
    flux: usize,
    flux_err: usize,
    mag_err: &mut Vec<f32>,
    formula: impl Fn(f64) -> f64,
) {
    let fluxes = batch.lend::<f32>(flux);
    if let Some(errors) = batch.block::<f32>(flux_err) {
        let known = &fluxes[fluxes.len() - errors.len()..];
        mag_err.extend(known.iter().zip(errors).map(|(flux, err)| {
            let (flux, err) = (f64::from(*flux), f64::from(*err));
            let ratio = err / flux;
            let mag = formula(ratio) as f32;
            let usable = flux > 0.0 && flux.is_finite() && (0.0..f64::INFINITY).contains(&ratio);
            if usable { mag } else { f32::NAN }
        }));
    }
    batch.put(flux, fluxes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration(zero_mag: f64, aperture_mag: [f64; 7]) -> Calibration {
        Calibration { zero_mag, aperture_mag, errors: ErrorFormula::Casu }
    }

    fn facts(zero_point: f64) -> Photometry {
        Photometry { zero_point: Some(zero_point), ..Photometry::default() }
    }

    /// Returns the block's values of a column of `detection` after calibration.
    fn calibrated(
        flux: &[f32],
        flux_err: &[f32],
        percentage_mag: f64,
        distortion: Option<&[f64]>,
        calibration: Option<&Calibration>,
    ) -> impl Fn(&str) -> Option<Vec<f32>> {
        let mut batch = Batch::new();
        batch.column::<f32>(position("aper_flux3")).extend_from_slice(flux);
        batch.column::<f32>(position("aper_flux3_err")).extend_from_slice(flux_err);
        let mut scratch = Scratch::default();
        calibrate(&mut batch, flux.len(), percentage_mag, distortion, calibration, &mut scratch);
        let batch = std::cell::RefCell::new(batch);
        move |name| batch.borrow_mut().block::<f32>(position(name)).map(|v| v.to_vec())
    }

    /// (what, facts, percentage, flux, error) -> (without aperture correction, magnitude, its error); worked out
    /// in double precision by F * 10^(0.4 APCOR) * 10^(0.4 PERCORR), not by sums of magnitudes.
    type Case = (ZeroPointFor, Photometry, (f32, f32), (f32, f32, f32));

    fn worked_out_elsewhere() -> [Case; 5] {
        let third = |mag: f64| {
            let mut corrections = [None; 7];
            corrections[2] = Some(mag);
            corrections
        };
        use ZeroPointFor::{Frame, Second};
        [
            (
                Second,
                Photometry {
                    extinction: Some(0.05),
                    exposure_s: Some(10.0),
                    airmass_start: Some(1.1),
                    airmass_end: Some(1.2),
                    aperture_corrections: third(0.12),
                    percentage_correction: Some(0.002),
                    ..facts(22.5)
                },
                (1234.5, 12.3),
                (17.261_772, 17.141_771, 0.010_764_249),
            ),
            (
                Second, // AIRMASS before AMSTART and AMEND; the usual extinction
                Photometry {
                    exposure_s: Some(10.0),
                    airmass: Some(1.5),
                    airmass_start: Some(1.1),
                    airmass_end: Some(1.2),
                    aperture_corrections: third(0.12),
                    ..facts(22.5)
                },
                (1234.5, 12.3),
                (17.246_273, 17.126_272, 0.010_764_249),
            ),
            (
                Second, // half an airmass is none; exposures have no sign
                Photometry {
                    extinction: Some(0.08),
                    exposure_s: Some(-5.0),
                    airmass_start: Some(1.1),
                    ..facts(22.5)
                },
                (1.0, 0.5),
                (24.247_425, 24.247_425, 0.440_228_13),
            ),
            (
                Second, // exposures below a second count as one
                Photometry {
                    extinction: Some(0.05),
                    exposure_s: Some(0.2),
                    aperture_corrections: third(0.3),
                    percentage_correction: Some(-0.01),
                    ..facts(24.053)
                },
                (250_000.0, 400.0),
                (10.568_15, 10.268_15, 0.001_735_789_7),
            ),
            (
                Frame, // exposure and extinction are in the zero point
                Photometry {
                    extinction: Some(0.05),
                    exposure_s: Some(30.0),
                    airmass_start: Some(1.1),
                    airmass_end: Some(1.2),
                    aperture_corrections: third(0.092_345_24),
                    ..facts(27.417_624_745_778_4)
                },
                (17_835.65, 192.0),
                (16.789_402, 16.697_058, 0.011_625_441),
            ),
        ]
    }

    #[test]
    fn magnitudes_as_worked_out_elsewhere() {
        let cases = worked_out_elsewhere();
        for (n, (what, facts, (flux, err), wanted)) in cases.into_iter().enumerate() {
            let rules = PhotometryRules { zero_point: what, ..PhotometryRules::default() };
            let calibration = Calibration::of(&facts, None, &rules).unwrap();
            let percentage = facts.percentage_correction.unwrap_or(0.0);
            let (flux, err) = ([flux], [err]);
            let column = calibrated(&flux, &err, percentage, None, Some(&calibration));
            let found = ["aper_mag_no_aper_corr3", "aper_mag3", "aper_mag3_err"]
                .map(|name| column(name).unwrap()[0]);
            for (found, wanted) in found.into_iter().zip([wanted.0, wanted.1, wanted.2]) {
                let ulp = wanted * f32::EPSILON;
                assert!((found - wanted).abs() <= ulp, "case {n}: {found} is not {wanted}");
            }
            assert_eq!(column("delta_mag").unwrap(), [-percentage as f32]);
            assert!(column("distort_corr").is_none());
        }
    }

    #[test]
    fn rows_without_magnitude() {
        let calibration = calibration(25.0, [0.0; 7]);
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        // (flux, error) -> (has a magnitude, has an error)
        let cases = [
            ((100.0, 1.0), (true, true)),
            ((100.0, 0.0), (true, true)),
            ((0.0, 1.0), (false, false)),
            ((-0.0, 1.0), (false, false)),
            ((-100.0, 1.0), (false, false)),
            ((nan, 1.0), (false, false)),
            ((inf, 1.0), (false, false)),
            ((100.0, nan), (true, false)),
            ((100.0, inf), (true, false)),
            ((100.0, -1.0), (true, false)),
            ((f32::MIN_POSITIVE / 2.0, 1.0), (true, true)), // subnormal
            ((f32::MAX, 1.0), (true, true)),
        ];
        let flux: Vec<f32> = cases.iter().map(|((f, _), _)| *f).collect();
        let err: Vec<f32> = cases.iter().map(|((_, e), _)| *e).collect();
        let column = calibrated(&flux, &err, 0.0, None, Some(&calibration));
        let (mag, mag_err) = (column("aper_mag3").unwrap(), column("aper_mag3_err").unwrap());
        for (row, ((flux, err), wanted)) in cases.into_iter().enumerate() {
            let found = (mag[row].is_finite(), mag_err[row].is_finite());
            assert_eq!(found, wanted, "{flux} +- {err}: {} +- {}", mag[row], mag_err[row]);
            assert!(mag[row].is_finite() || mag[row].is_nan());
        }
        assert_eq!(column("aper_flux3").unwrap()[4], -100.0, "the flux stays");
    }

    #[test]
    fn single_precision_to_the_last_place() {
        let calibration = calibration(23.456_789, [0.1; 7]);
        let flux: Vec<f32> = (0..20_000).map(|n| 1.01_f32.powi(n % 3000 - 500)).collect();
        let err: Vec<f32> =
            flux.iter().enumerate().map(|(n, f)| f * 1.3_f32.powi(-(n as i32 % 60))).collect();
        let column = calibrated(&flux, &err, 0.003, None, Some(&calibration));
        let (mag, mag_err) = (column("aper_mag3").unwrap(), column("aper_mag3_err").unwrap());
        let places = |a: f32, b: f32| (a.to_bits() as i32).abs_diff(b.to_bits() as i32);
        for row in 0..flux.len() {
            let (f, e) = (f64::from(flux[row]), f64::from(err[row]));
            let wanted = (23.456_789 - 0.003 - 0.1 - 2.5 * f.log10()) as f32;
            assert!(places(mag[row], wanted) <= 1, "{f}: {} {wanted}", mag[row]);
            let wanted = (2.5 * (e / f).ln_1p() / std::f64::consts::LN_10) as f32;
            assert!(places(mag_err[row], wanted) <= 1, "{f} +- {e}: {} {wanted}", mag_err[row]);
        }
    }

    #[test]
    fn distortion_is_part_of_every_magnitude() {
        let calibration = calibration(25.0, [0.0; 7]);
        // The factor on K fluxes 0.45 degrees off the axis of WFCAM, and a row without one.
        let factors = [1.0 / 0.985_236_687_858_645_9, 1.0, f64::NAN];
        let flux = [1000.0_f32; 3];
        let column = calibrated(&flux, &flux, 0.0, Some(&factors), Some(&calibration));
        let distort = column("distort_corr").unwrap();
        assert!((distort[0] - -0.016_148_561).abs() < 1e-9, "{distort:?}");
        assert_eq!(distort[1], 0.0);
        assert!(distort[2].is_nan());
        let mag = column("aper_mag3").unwrap();
        assert!((mag[0] - (17.5 - 0.016_148_561)).abs() <= 2e-6, "{mag:?}");
        assert_eq!(mag[1], 17.5);
        assert!(mag[2].is_nan());
        assert_eq!(column("delta_mag").unwrap()[..2], distort[..2]);
    }

    #[test]
    fn without_zero_point_there_are_corrections_and_no_magnitudes() {
        let rules = PhotometryRules::default();
        for zero_point in [None, Some(0.0), Some(-1.0), Some(f64::NAN)] {
            let facts = Photometry { zero_point, exposure_s: Some(1.0), ..Photometry::default() };
            assert_eq!(Calibration::of(&facts, None, &rules), Err(NoCalibration::ZeroPoint));
        }
        assert_eq!(Calibration::of(&facts(22.0), None, &rules), Err(NoCalibration::Exposure));
        let frame = PhotometryRules { zero_point: ZeroPointFor::Frame, ..rules };
        assert_eq!(Calibration::of(&facts(22.0), None, &frame).unwrap().zero_mag, 22.0);
        let column = calibrated(&[1.0], &[1.0], 0.01, None, None);
        assert_eq!(column("delta_mag").unwrap(), [-0.01]);
        assert!(column("aper_mag3").is_none() && column("aper_mag3_err").is_none());
    }

    #[test]
    fn errors_by_pogsons_formula() {
        let errors = ErrorFormula::Pogson;
        let calibration = Calibration { errors, ..calibration(25.0, [0.0; 7]) };
        let (flux, err) = ([1000.0, 1000.0, 50.0, -1.0], [10.0, 0.0, 5.0, 1.0]);
        let column = calibrated(&flux, &err, 0.0, None, Some(&calibration));
        let found = column("aper_mag3_err").unwrap();
        let wanted = [0.010_857_362, 0.0, 0.108_573_62];
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() <= wanted * f32::EPSILON, "{found} {wanted}");
        }
        assert!(found[3].is_nan());
    }

    #[test]
    fn a_fixed_zero_point_holds_from_its_epoch() {
        let text = "zero_point = \"frame\"\nfixed_zero_point_mag = 25.0\n\
            fixed_zero_point_epoch = \"2015-04-12\"";
        let profile = format!(
            "name = \"x\"\nsurvey_id = 1\ntitle = \"X\"\nfallback = true\n[naming]\n\
             delivery = \"{{night}}_v{{version}}\"\nextensions = [\".fit\"]\n[catalogue.photometry]\n{text}"
        );
        let profile = model::profile::SurveyProfile::parse(&profile).unwrap();
        let rules = &profile.catalogue.photometry;
        let of = |zero_point, mjd| {
            let facts = Photometry { zero_point, ..Photometry::default() };
            Calibration::of(&facts, mjd, rules).map(|calibration| calibration.zero_mag)
        };
        assert_eq!(of(None, Some(57_124.0)), Ok(25.0));
        assert_eq!(of(Some(22.0), Some(57_125.5)), Ok(25.0), "instead of the header's");
        assert_eq!(of(Some(22.0), Some(57_123.9)), Ok(22.0));
        assert_eq!(of(None, Some(57_123.9)), Err(NoCalibration::ZeroPoint));
        assert_eq!(of(Some(22.0), None), Err(NoCalibration::Epoch));
    }
}
