//! The detector that a catalogue HDU belongs to.

use crate::pairing::{self, Ground, Identity, Pair, Sides, Unpaired};
use model::RefusalCode;
use model::detector::Detector;
use model::profile::CatalogueProfile;

/// The input of the pairing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pairing<'a, 'd> {
    /// Name of the image file, for messages.
    pub(super) image_name: &'a str,
    /// The tables of the file that are catalogues, ascending.
    pub(super) tables: &'a [Identity],
    /// The detectors of the image, ascending.
    pub(super) detectors: &'a [&'d Detector],
    /// HDUs of the image file that hold an image, refused or not, ascending.
    pub(super) image_hdus: &'a [u16],
    /// HDUs of the file that hold a catalogue or may hold one, ascending.
    pub(super) table_hdus: &'a [u16],
    /// True when neither file has another table or image, usable or not.
    pub(super) alone: bool,
    pub(super) rules: &'a CatalogueProfile,
}

/// The detector of a catalogue HDU.
#[derive(Clone, Debug)]
pub(super) struct Paired<'d> {
    pub(super) detector: &'d Detector,
    /// True when the place in the file is the only reason, although HDUs of one of the files have names.
    pub(super) unconfirmed: bool,
    /// The reason why the HDU has no detector unless its positions agree with the WCS of this one and of no other; `None` for
    /// an unconditional pair.
    pub(super) otherwise: Option<Unpaired>,
}

/// Pairs the catalogue HDUs of a file with the detectors of its image. Returns for each HDU its detector, or the reason why it
/// has none; no detector occurs twice.
///
/// The pairs of the metadata task count for a catalogue that it read: zero points are of the same tables. They are those of
/// [`pairing::pair`], unless they were made by other rules.
pub(super) fn pair<'d>(given: &Pairing<'_, 'd>) -> Vec<Result<Paired<'d>, Unpaired>> {
    let Pairing { image_name, tables, detectors, image_hdus, table_hdus, alone, rules } = *given;
    let identity = |detector: &&Detector| {
        let own = |keyword: &str| detector.names.get(keyword).cloned();
        Identity::of(detector.ext_num.hdu(), rules, own)
    };
    let images: Vec<Identity> = detectors.iter().map(identity).collect();
    let sides = Sides { image_name, images: &images, tables, image_hdus, table_hdus, alone };
    let pairs = pairing::pair(&sides, rules);
    let with_metadata = detectors.iter().any(|d| d.catalogue_hdu.is_some());
    let one = |(table, pair): (&Identity, Pair)| {
        let known = detectors.iter().copied().find(|d| d.catalogue_hdu == Some(table.hdu));
        let unconfirmed = matches!(pair, Pair::With { ground: Ground::PlaceAlone, .. });
        let otherwise = match &pair {
            Pair::IfPlaced { otherwise, .. } => Some(otherwise.clone()),
            _ => None,
        };
        let detector = match pair {
            Pair::With { image, .. } | Pair::IfPlaced { image, .. } if !with_metadata => {
                Ok(detectors[image])
            }
            Pair::With { image, ground: Ground::Identity } => match known {
                Some(detector) if detector.ext_num == detectors[image].ext_num => Ok(detector),
                _ => Err(made_otherwise(image_name, known, detectors[image])),
            },
            Pair::With { .. } | Pair::IfPlaced { .. } => known.ok_or_else(|| without(image_name)),
            Pair::Apart(reason) if reason.by_identity => Err(reason),
            Pair::Apart(reason) => known.ok_or(reason),
        };
        detector.map(|detector| Paired { detector, unconfirmed, otherwise })
    };
    tables.iter().zip(pairs).map(one).collect()
}

fn without(image_name: &str) -> Unpaired {
    let message = format!("the metadata of {image_name} have no detector for the table");
    Unpaired { code: RefusalCode::NO_DETECTOR, message, by_identity: false }
}

/// Makes the reason for a table whose pair in the staged metadata differs from the pair by the names of the HDUs.
fn made_otherwise(image_name: &str, known: Option<&Detector>, named: &Detector) -> Unpaired {
    let theirs = known.map_or("none".to_owned(), |d| format!("ext_num {}", d.ext_num));
    let message = format!(
        "by its name the table belongs to ext_num {} of {image_name}, by the metadata of the image to {theirs}: the metadata have to be redone",
        named.ext_num
    );
    Unpaired { code: RefusalCode::PAIRING_CONTRADICTORY, message, by_identity: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::detector::Photometry;
    use model::profile::Pairing as Place;
    use model::{ExtNum, MultiframeId};

    fn detector(ext_num: i16, catalogue_hdu: Option<u16>, name: Option<&str>) -> Detector {
        let names = name.map(|name| ("EXTNAME".to_owned(), name.to_owned()));
        Detector {
            multiframe_id: MultiframeId::new(1).unwrap(),
            ext_num: ExtNum::new(ext_num).unwrap(),
            catalogue_hdu,
            names: names.into_iter().collect(),
            catalogue_rows: None,
            programme_id: None,
            filter_id: None,
            mjd: None,
            size_px: None,
            photometry: Photometry::default(),
            wcs: Default::default(),
        }
    }

    /// Returns for each table, given by HDU and name, its detector or the code of the reason.
    fn paired(
        tables: &[(u16, Option<&str>)],
        detectors: &[Detector],
        place: Place,
    ) -> Vec<Result<i16, &'static str>> {
        let rules = CatalogueProfile { pairing: place, ..CatalogueProfile::default() };
        let detectors: Vec<&Detector> = detectors.iter().collect();
        let identity = |(hdu, name): &(u16, Option<&str>)| {
            let own = |keyword: &str| name.filter(|_| keyword == "EXTNAME").map(str::to_owned);
            Identity::of(*hdu, &rules, own)
        };
        let tables: Vec<Identity> = tables.iter().map(identity).collect();
        let alone = tables.len() == 1 && detectors.len() == 1;
        let image_hdus: Vec<u16> = detectors.iter().map(|d| d.ext_num.hdu()).collect();
        let table_hdus: Vec<u16> = tables.iter().map(|table| table.hdu).collect();
        let given = Pairing {
            image_name: "a.fit",
            tables: &tables,
            detectors: &detectors,
            image_hdus: &image_hdus,
            table_hdus: &table_hdus,
            alone,
            rules: &rules,
        };
        let found = pair(&given).into_iter();
        found.map(|d| d.map(|d| d.detector.ext_num.get()).map_err(|r| r.code.as_str())).collect()
    }

    #[test]
    fn pairs() {
        let mef: Vec<Detector> = (2..=5).map(|n| detector(n, None, None)).collect();
        let simple = [detector(1, None, None)];
        let told = [detector(2, Some(7), None), detector(3, None, None)];
        let named = [detector(2, None, Some("A1")), detector(3, None, Some("A2"))];
        let none = Err("no_detector");
        type Case<'a> =
            (&'a [(u16, Option<&'a str>)], &'a [Detector], Place, &'a [Result<i16, &'static str>]);
        let cases: [Case<'_>; 9] = [
            (&[(1, None), (2, None), (4, None)], &mef, Place::Hdu, &[Ok(2), Ok(3), Ok(5)]),
            (&[(2, None), (9, None)], &mef, Place::Hdu, &[Ok(3), none]),
            // A simple image: its pixels are in the primary, its catalogue cannot be.
            (&[(1, None)], &simple, Place::Hdu, &[Ok(1)]),
            (&[(2, None), (4, None)], &mef[1..3], Place::Order, &[Ok(3), Ok(4)]),
            (&[(2, None), (4, None)], &mef, Place::Order, &[Err("pairing_ambiguous"); 2]),
            (&[(7, None), (2, None)], &told, Place::Hdu, &[Ok(2), none]),
            (&[(1, None)], &[], Place::Hdu, &[none]),
            (&[(1, Some("A2"))], &named, Place::Hdu, &[Ok(3)]),
            (&[(2, Some("A1"))], &named, Place::Order, &[Ok(2)]),
        ];
        for (tables, detectors, place, wanted) in cases {
            assert_eq!(paired(tables, detectors, place.clone()), wanted, "{tables:?} {place:?}");
        }
    }

    #[test]
    fn metadata_made_by_other_rules_are_not_followed() {
        let by_place = [detector(2, Some(1), Some("A1")), detector(3, Some(2), Some("A2"))];
        let found = paired(&[(1, Some("A2"))], &by_place, Place::Hdu);
        assert_eq!(found, [Err("pairing_contradictory")]);
        let by_name = [detector(2, None, Some("A1")), detector(3, Some(1), Some("A2"))];
        assert_eq!(paired(&[(1, Some("A2"))], &by_name, Place::Hdu), [Ok(3)]);
    }
}
