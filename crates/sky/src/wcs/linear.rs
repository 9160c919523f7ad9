//! The transformation from pixels to degrees in the projection plane: the matrix of a header, in any of its forms.

use super::fault::WcsFault;
use super::keywords::{Cards, Keywords};

/// `rows[i][j]`: change of plane coordinate `i` (0 = longitude) per unit of axis `j`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Matrix(pub(super) [[f64; 2]; 2]);

impl Matrix {
    #[inline(always)]
    pub(super) fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let m = &self.0;
        (m[0][0] * x + m[0][1] * y, m[1][0] * x + m[1][1] * y)
    }

    /// Returns a length typical of one pixel.
    pub(super) fn size(&self) -> f64 {
        let [[a, b], [c, d]] = self.0;
        (a * d - b * c).abs().sqrt()
    }

    /// Returns the inverse; `None` when the matrix is singular to rounding, or an element overflows.
    pub(super) fn inverse(&self) -> Option<Self> {
        let [[a, b], [c, d]] = self.0;
        let det = a * d - b * c;
        let size = (a * d).abs() + (b * c).abs();
        let inverse = [[d / det, -b / det], [-c / det, a / det]];
        let usable = det.abs() > 1e-12 * size && inverse.iter().flatten().all(|v| v.is_finite());
        usable.then_some(Self(inverse))
    }
}

/// Reads the matrix in degrees per pixel (before units are applied), rows in the order of the image axes.
///
/// PC with CDELT where there is a PC element, else CD, else CDELT with CROTA of the latitude axis: wcslib decides in
/// this order. Elements that are absent are those of the unit matrix for PC, 0 for CD.
pub(super) fn read<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    latitude: usize,
) -> Result<Matrix, WcsFault> {
    let (mut pc, mut cd) = ([[None; 2]; 2], [[None; 2]; 2]);
    for row in 0..2 {
        for column in 0..2 {
            pc[row][column] = cards.pc(row, column)?;
            cd[row][column] = cards.cd(row, column)?;
        }
    }
    if pc.iter().flatten().all(Option::is_none) && cd.iter().flatten().any(Option::is_some) {
        return Ok(Matrix(cd.map(|row| row.map(|v| v.unwrap_or(0.0)))));
    }
    let step = [cards.step(0)?, cards.step(1)?];
    if pc.iter().flatten().all(Option::is_none) {
        if step.iter().all(Option::is_none) {
            return Err(WcsFault::MissingKeyword { keyword: cards.cd_keyword(0, 0) });
        }
        let step = step.map(|s| s.unwrap_or(1.0));
        return Ok(rotated(step, latitude, cards.rotation(latitude)?.unwrap_or(0.0)));
    }
    let mut m = [[0.0; 2]; 2];
    for row in 0..2 {
        for column in 0..2 {
            let unit = if row == column { 1.0 } else { 0.0 };
            m[row][column] = pc[row][column].unwrap_or(unit) * step[row].unwrap_or(1.0);
        }
    }
    Ok(Matrix(m))
}

/// Returns the matrix of CDELT and CROTA (Calabretta & Greisen 2002, section 6.1).
fn rotated(step: [f64; 2], latitude: usize, rotation_deg: f64) -> Matrix {
    let longitude = 1 - latitude;
    let (sin, cos) = crate::trig::sin_cos_deg(rotation_deg.rem_euclid(360.0));
    let mut m = [[0.0; 2]; 2];
    m[longitude][longitude] = step[longitude] * cos;
    m[longitude][latitude] = -step[latitude] * sin;
    m[latitude][longitude] = step[longitude] * sin;
    m[latitude][latitude] = step[latitude] * cos;
    Matrix(m)
}

/// Returns the degrees in one of the unit that a keyword names; 1 without a unit.
pub(super) fn degrees_per_unit(unit: Option<(String, String)>) -> Result<f64, WcsFault> {
    let Some((keyword, found)) = unit else { return Ok(1.0) };
    match found.to_ascii_lowercase().as_str() {
        "deg" | "degree" | "degrees" => Ok(1.0),
        "arcmin" => Ok(1.0 / 60.0),
        "arcsec" => Ok(1.0 / 3600.0),
        "mas" => Ok(1.0 / 3_600_000.0),
        "rad" | "radian" | "radians" => Ok(180.0 / std::f64::consts::PI),
        _ => Err(WcsFault::BadUnit { keyword, found }),
    }
}
