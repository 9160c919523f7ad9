//! TPV (and SCAMP's TAN with PV keywords) and SIP, read from headers.

use super::axes::Axes;
use super::fault::WcsFault;
use super::keywords::{Cards, Keyword, Keywords};
use super::note::WcsNote;
use super::polynomial::{Polynomial, Slope, solve};

/// A pair of polynomials that maps the plane onto itself, with a numerical inverse.
#[derive(Clone, Debug)]
pub(super) struct Distortion {
    pub(super) u: Polynomial,
    pub(super) v: Polynomial,
}

impl Distortion {
    #[inline(always)]
    pub(super) fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        (self.u.value(x, y), self.v.value(x, y))
    }

    /// Returns the point that is mapped to `(u, v)`. `size`: the negligible length, in the unit of the plane.
    pub(super) fn invert(&self, u: f64, v: f64, size: f64) -> Option<(f64, f64)> {
        let slopes = |x, y| -> (Slope, Slope) { (self.u.slope(x, y), self.v.slope(x, y)) };
        solve((u, v), (u, v), size, slopes)
    }
}

/// Returns the powers (of the own coordinate, of the other one) that belong to PV numbers 0 to 39; `None` for the terms
/// in r, whose odd powers follow each other (TPV registry of the FITS support office).
fn tpv_powers(m: usize) -> Option<(usize, usize)> {
    // Blocks of one total power start at 0, 1, 4, 7, 12, 17, 24, 31; r^1, r^3 ... are at 3, 11, 23, 39.
    const STARTS: [usize; 8] = [0, 1, 4, 7, 12, 17, 24, 31];
    if [3, 11, 23, 39].contains(&m) {
        return None;
    }
    let order = STARTS.iter().rposition(|&start| m >= start)?;
    let other = m - STARTS[order];
    Some((order - other, other))
}

/// Number of PV parameters of TPV.
const TPV_PARAMETERS: u16 = 40;

/// Reads the TPV polynomials: degrees to degrees in the plane, x along longitude.
///
/// A linear coefficient that is not given is 1 and all others 0, so that a header without any is plain TAN.
pub(super) fn read_tpv<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    axes: &Axes,
) -> Result<Distortion, WcsFault> {
    let longitude = tpv_terms(cards, axes.longitude)?;
    let latitude = tpv_terms(cards, axes.latitude())?;
    let (mut u, mut v) = (Polynomial::zero(), Polynomial::zero());
    for (m, (lon, lat)) in longitude.into_iter().zip(latitude).enumerate() {
        match tpv_powers(m) {
            Some((own, other)) => {
                u.add(own, other, lon);
                v.add(other, own, lat);
            }
            None => {
                let power = [3, 11, 23, 39].iter().position(|&r| r == m).map_or(1, |k| 2 * k + 1);
                u.add_radial(power, lon);
                v.add_radial(power, lat);
            }
        }
    }
    Ok(Distortion { u, v })
}

fn tpv_terms<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    axis: usize,
) -> Result<Vec<f64>, WcsFault> {
    (0..TPV_PARAMETERS)
        .map(|m| Ok(cards.parameter(axis, m)?.unwrap_or(if m == 1 { 1.0 } else { 0.0 })))
        .collect()
}

/// Returns the first PV keyword with a number of 5 or more, which neither TAN nor the native pole uses: a TAN header
/// with one means TPV, as SCAMP wrote it before TPV had a name. (The rule of wcslib.)
pub(super) fn scamp_parameter<K: Keywords + ?Sized>(cards: &Cards<'_, K>) -> Option<String> {
    for m in 5..TPV_PARAMETERS {
        for axis in 0..2 {
            if cards.has_parameter(axis, m) {
                return Some(cards.parameter_keyword(axis, m));
            }
        }
    }
    None
}

/// Returns the keyword of a SIP order above 1, if any.
pub(super) fn sip_order<K: Keywords + ?Sized>(cards: &Cards<'_, K>) -> Option<String> {
    if !cards.may_have_sip() {
        return None;
    }
    let above = |k: &&str| cards.finite(k).is_ok_and(|order| order.is_some_and(|o| o > 1.0));
    ["A_ORDER", "B_ORDER"].iter().find(|k| above(k)).map(|k| (*k).to_owned())
}

/// Reads the SIP polynomials (Shupe et al. 2005): pixel offsets to corrected pixel offsets. `None` without an order
/// above 1, as in astropy; terms that are ignored for this reason are noted.
pub(super) fn read_sip<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    notes: &mut Vec<WcsNote>,
) -> Result<Option<Distortion>, WcsFault> {
    if !cards.may_have_sip() {
        return Ok(None);
    }
    let (a, b) = (cards.finite("A_ORDER")?, cards.finite("B_ORDER")?);
    let above = |order: Option<f64>| order.is_some_and(|o| o > 1.0);
    if let (Some(a), Some(b)) = (a, b)
        && above(Some(a))
        && above(Some(b))
    {
        let u = sip_polynomial(cards, 'A', a)?;
        let v = sip_polynomial(cards, 'B', b)?;
        return Ok(Some(Distortion { u, v }));
    }
    let Some(term) = first_sip_term(cards) else { return Ok(None) };
    match (a, b) {
        (None, order) if above(order) => {
            Err(WcsFault::MissingKeyword { keyword: "A_ORDER".into() })
        }
        (order, None) if above(order) => {
            Err(WcsFault::MissingKeyword { keyword: "B_ORDER".into() })
        }
        (Some(a), order) if above(order) => {
            Err(WcsFault::UnsupportedParameter { keyword: "A_ORDER".into(), value: a })
        }
        _ => {
            let message =
                format!("{term} belongs to SIP, whose A_ORDER and B_ORDER are not both above 1");
            notes.push(WcsNote::not_applied(&term, message));
            Ok(None)
        }
    }
}

/// Returns the first SIP coefficient that is not zero.
fn first_sip_term<K: Keywords + ?Sized>(cards: &Cards<'_, K>) -> Option<String> {
    let terms = ["A_", "B_"].into_iter().flat_map(|stem| {
        (0..10).flat_map(move |i| (0..10 - i).map(move |j| Keyword::new(stem, Some(i), Some(j))))
    });
    let mut terms = terms.filter(|k| cards.finite(k).is_ok_and(|c| c.is_some_and(|c| c != 0.0)));
    terms.next().map(|keyword| keyword.to_string())
}

/// Reads one of the two polynomials, the offset itself included.
fn sip_polynomial<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    letter: char,
    order: f64,
) -> Result<Polynomial, WcsFault> {
    if !(0.0..10.0).contains(&order) {
        let keyword = format!("{letter}_ORDER");
        return Err(WcsFault::UnsupportedParameter { keyword, value: order });
    }
    let order = order as usize;
    let mut p = Polynomial::zero();
    for i in 0..=order {
        for j in 0..=order - i {
            if let Some(c) = cards.finite(&format!("{letter}_{i}_{j}"))? {
                p.add(i, j, c);
            }
        }
    }
    match letter {
        'A' => p.add(1, 0, 1.0),
        _ => p.add(0, 1, 1.0),
    }
    Ok(p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_numbers_and_powers() {
        let cases = [
            (0, Some((0, 0))),
            (1, Some((1, 0))),
            (2, Some((0, 1))),
            (3, None),
            (4, Some((2, 0))),
            (6, Some((0, 2))),
            (7, Some((3, 0))),
            (10, Some((0, 3))),
            (11, None),
            (12, Some((4, 0))),
            (16, Some((0, 4))),
            (17, Some((5, 0))),
            (22, Some((0, 5))),
            (23, None),
            (24, Some((6, 0))),
            (30, Some((0, 6))),
            (31, Some((7, 0))),
            (38, Some((0, 7))),
            (39, None),
        ];
        for (m, wanted) in cases {
            assert_eq!(tpv_powers(m), wanted, "PV number {m}");
        }
    }
}
