//! Which detector a catalogue HDU belongs to.

use model::detector::Detector;
use model::profile::Pairing;

/// Pairs the catalogue HDUs of a file (ascending) with the detectors of its image (ascending). For each HDU its
/// detector, or `None`; no detector is given twice.
pub(super) fn pair<'d>(
    hdus: &[u16],
    detectors: &[&'d Detector],
    pairing: Pairing,
) -> Vec<Option<&'d Detector>> {
    // What the metadata task found with the same file at hand.
    let known = |hdu: u16| detectors.iter().copied().find(|d| d.catalogue_hdu == Some(hdu));
    if detectors.iter().any(|d| d.catalogue_hdu.is_some()) {
        return hdus.iter().map(|hdu| known(*hdu)).collect();
    }
    match (pairing, hdus, detectors) {
        (Pairing::Hdu, [_], [detector]) => vec![Some(*detector)],
        (Pairing::Hdu, _, _) => hdus
            .iter()
            .map(|hdu| detectors.iter().copied().find(|d| d.ext_num.hdu() == *hdu))
            .collect(),
        (Pairing::Order, _, _) => (0..hdus.len()).map(|n| detectors.get(n).copied()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::detector::Photometry;
    use model::{ExtNum, MultiframeId};

    fn detector(ext_num: i16, catalogue_hdu: Option<u16>) -> Detector {
        Detector {
            multiframe_id: MultiframeId::new(1).unwrap(),
            ext_num: ExtNum::new(ext_num).unwrap(),
            catalogue_hdu,
            catalogue_rows: None,
            programme_id: None,
            filter_id: None,
            mjd: None,
            size_px: None,
            photometry: Photometry::default(),
            wcs: Default::default(),
        }
    }

    #[test]
    fn pairs() {
        let mef: Vec<Detector> = (2..=5).map(|n| detector(n, None)).collect();
        let simple = [detector(1, None)];
        let told = [detector(2, Some(7)), detector(3, None)];
        type Case<'a> = (&'a [u16], &'a [Detector], Pairing, &'a [Option<i16>]);
        let cases: [Case<'_>; 6] = [
            (&[1, 2, 3, 4], &mef, Pairing::Hdu, &[Some(2), Some(3), Some(4), Some(5)]),
            (&[2, 9], &mef, Pairing::Hdu, &[Some(3), None]),
            // A simple image: its pixels stand in the primary, its catalogue cannot.
            (&[1], &simple, Pairing::Hdu, &[Some(1)]),
            (&[2, 4], &mef, Pairing::Order, &[Some(2), Some(3)]),
            (&[7, 2], &told, Pairing::Hdu, &[Some(2), None]),
            (&[1], &[], Pairing::Hdu, &[None]),
        ];
        for (hdus, detectors, pairing, wanted) in cases {
            let detectors: Vec<&Detector> = detectors.iter().collect();
            let found: Vec<Option<i16>> = pair(hdus, &detectors, pairing)
                .into_iter()
                .map(|d| d.map(|d| d.ext_num.get()))
                .collect();
            assert_eq!(found, wanted, "{hdus:?} {pairing:?}");
        }
    }
}
