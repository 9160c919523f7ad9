//! The choice among several distortions of a header: the one that astropy's `WCS(header)` applies.
//!
//! TPV in CTYPE has precedence over SIP. TAN with PV numbers of 5 and more is SCAMP's TPV and has precedence over SIP
//! too, unless CTYPE ends in -SIP: then SIP applies, and all PV keywords are left-overs (PTF). Without its suffix SIP
//! is applied to any projection. Distortions that are not applied are noted.

use super::axes::Axes;
use super::distortion::{self, Distortion};
use super::fault::WcsFault;
use super::keywords::{Cards, Keywords};
use super::note::WcsNote;

/// The distortion of a header.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) sip: Option<Box<Distortion>>,
    pub(super) tpv: Option<Box<Distortion>>,
    /// True when PV keywords are not parameters of the projection, since they belonged to another distortion.
    pub(super) without_parameters: bool,
}

/// Chooses the distortion, and notes those that are not applied.
///
/// # Errors
/// Fails when the chosen distortion is invalid.
pub(super) fn choose<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    axes: &Axes,
    notes: &mut Vec<WcsNote>,
) -> Result<Choice, WcsFault> {
    let suffix = match axes.distortion.as_deref() {
        None => false,
        Some("SIP") if axes.projection != "TPV" => true,
        Some(code) => {
            let keyword = axes.keyword.clone();
            return Err(WcsFault::UnsupportedProjection { keyword, projection: code.to_owned() });
        }
    };
    note_lookup_tables(cards, notes);
    let scamp = distortion::scamp_parameter(cards);
    let is_tan = axes.projection == "TAN";
    if axes.projection == "TPV" || (is_tan && !suffix && scamp.is_some()) {
        if let Some(keyword) = distortion::sip_order(cards) {
            let message =
                format!("{keyword} belongs to SIP, which is not applied together with TPV");
            notes.push(WcsNote::not_applied(&keyword, message));
        }
        let tpv = Some(Box::new(distortion::read_tpv(cards, axes)?));
        return Ok(Choice { tpv, ..Choice::default() });
    }
    let sip = distortion::read_sip(cards, notes)?.map(Box::new);
    match (&sip, suffix) {
        (Some(_), false) => notes.push(WcsNote::unannounced(&axes.keyword)),
        (None, true) => notes.push(WcsNote::without_coefficients(&axes.keyword)),
        _ => {}
    }
    let without_parameters = match scamp.filter(|_| is_tan && sip.is_some()) {
        Some(keyword) => {
            let message = format!(
                "{keyword} belongs to TPV, which is not applied together with {}-SIP",
                "TAN"
            );
            notes.push(WcsNote::not_applied(&keyword, message));
            true
        }
        None => false,
    };
    Ok(Choice { sip, tpv: None, without_parameters })
}

/// Notes distortions by look-up tables and general polynomials, which are not read.
fn note_lookup_tables<K: Keywords + ?Sized>(cards: &Cards<'_, K>, notes: &mut Vec<WcsNote>) {
    for keyword in ["CPDIS1", "CPDIS2", "CQDIS1", "CQDIS2", "D2IMDIS1", "D2IMDIS2"] {
        if let Some(kind) = cards.plain_text(keyword) {
            let message = format!("{keyword} = {kind:?}: this distortion is not applied");
            notes.push(WcsNote::not_applied(keyword, message));
        }
    }
}
