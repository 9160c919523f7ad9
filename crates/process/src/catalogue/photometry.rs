//! From fluxes to calibrated magnitudes, as CASU does it:
//!
//! ```text
//! zero    = zero point - (airmass - 1) extinction + 2.5 log10(exposure)
//! airmass = AIRMASS if present, else mean of AMSTART and AMEND, else 1
//! mag     = zero + delta_mag - aperture correction - 2.5 log10(flux)
//! mag err = 2.5 log10(1 + flux err / flux)
//! delta_mag    = distort_corr - percentage correction
//! distort_corr = -2.5 log10(factor of the projection at x, y)
//! ```
//!
//! A flux that is not positive keeps its value and has neither magnitude nor error.

use super::batch::{Batch, position};
use super::logarithm::{mag_of_excess, mag_of_ratio};
use model::detector::Photometry;
use model::profile::{PhotometryRules, ZeroPointFor};
use std::sync::OnceLock;

/// What is added to the instrumental magnitudes of a detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Calibration {
    /// Zero point of this frame, exposure and extinction in it.
    pub(super) zero_mag: f64,
    /// Aperture corrections, 0 where there is none.
    pub(super) aperture_mag: [f64; 7],
}

/// Why a detector has no calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoCalibration {
    #[error("the metadata have no zero point (phot_zp_cat, phot_zp_ext)")]
    ZeroPoint,
    #[error(
        "the metadata have no exposure time (exp_time), which the zero point is to be scaled with"
    )]
    Exposure,
}

impl NoCalibration {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::ZeroPoint => "no_zero_point",
            Self::Exposure => "no_exposure_time",
        }
    }
}

impl Calibration {
    pub(super) fn of(facts: &Photometry, rules: &PhotometryRules) -> Result<Self, NoCalibration> {
        let zero_point = facts
            .zero_point
            .filter(|zp| zp.is_finite() && *zp > rules.no_zero_point_up_to)
            .ok_or(NoCalibration::ZeroPoint)?;
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
        Ok(Self { zero_mag, aperture_mag })
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
    /// Number of the aperture from 0, and the magnitude without its correction.
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

/// Buffers that are used again from block to block.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    base_mag: Vec<f64>,
    log_mag: Vec<f64>,
}

/// Fills `delta_mag`, `distort_corr`, the magnitudes and their errors of the block, which has `rows` rows.
/// `distortion` holds the factor on fluxes of each row, or nothing when none is applied; without a calibration
/// the magnitudes stay NULL.
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
        None => base.resize(rows, -percentage_mag),
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
            magnitudes(batch, flux, &calibration.aperture_mag, scratch);
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

fn magnitudes(batch: &mut Batch, columns: &Flux, aperture_mag: &[f64; 7], scratch: &mut Scratch) {
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
            push_mags(&scratch.base_mag, &scratch.log_mag, aperture_mag[aperture], &mut mag);
        }
    }
    if let (Some(err_column), Some(mag_err)) = (columns.flux_err, &mut mag_err) {
        push_errors(batch, columns.flux, err_column, mag_err);
    }
    batch.put(columns.mag, mag);
    if let (Some((_, column)), Some(values)) = (columns.corrected, uncorrected) {
        batch.put(column, values);
    }
    if let (Some(column), Some(values)) = (columns.mag_err, mag_err) {
        batch.put(column, values);
    }
}

/// 2.5 log10 of each flux, NaN where it is not positive.
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

/// Errors of magnitudes from a flux and its error, NaN where there is no magnitude.
fn push_errors(batch: &mut Batch, flux: usize, flux_err: usize, mag_err: &mut Vec<f32>) {
    let fluxes = batch.lend::<f32>(flux);
    if let Some(errors) = batch.block::<f32>(flux_err) {
        let known = &fluxes[fluxes.len() - errors.len()..];
        mag_err.extend(known.iter().zip(errors).map(|(flux, err)| {
            let (flux, err) = (f64::from(*flux), f64::from(*err));
            let ratio = err / flux;
            let mag = mag_of_excess(ratio) as f32;
            if flux > 0.0 && ratio >= 0.0 && ratio < f64::INFINITY { mag } else { f32::NAN }
        }));
    }
    batch.put(flux, fluxes);
}
