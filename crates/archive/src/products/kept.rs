//! Products that are kept although something newer lacks them, and products that are wrongly shown or not shown.

use crate::deliveries::superseded::processings;
use crate::error::ArchiveFault;
use crate::products::detectors::DetectorProduct;
use crate::products::{Frame, Scope, WantedFrame, groups, wanted};
use engine::Connection;
use model::{DeliveryName, MultiframeId, UseCase};
use std::collections::{BTreeMap, BTreeSet};

/// The reason why a newer image, or a newer catalogue of an image, lacks a product that an older one keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// No catalogue belongs to the newer image.
    NoCatalogue,
    /// The product is not ingested yet.
    Pending,
    /// The product was refused.
    Refused,
    /// The product is parked.
    Parked,
    /// The round of the product failed.
    Failed,
    /// The product is retracted.
    Retracted,
    /// The product was refused in part: HDUs of the detectors that keep their older detections.
    HduRefused,
    /// The catalogue has no HDUs for the detectors that keep their older detections.
    HduAbsent,
}

impl Lack {
    /// Returns the name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCatalogue => "no_catalogue",
            Self::Pending => "pending",
            Self::Refused => "refused",
            Self::Parked => "parked",
            Self::Failed => "failed",
            Self::Retracted => "retracted",
            Self::HduRefused => "hdu_refused",
            Self::HduAbsent => "hdu_absent",
        }
    }
}

/// A product of an older image that stays current because the newer image of its name lacks it, or detections that stay because
/// a newer catalogue of the same image lacks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptProduct {
    /// Delivery of the older image.
    pub delivery: DeliveryName,
    /// File of the older image.
    pub file: String,
    /// The older image.
    pub multiframe_id: MultiframeId,
    /// The product.
    pub use_case: UseCase,
    /// Delivery of the newer image.
    pub newer_delivery: DeliveryName,
    /// The newer image; the same image when its own newer catalogue lacks the detections.
    pub newer_multiframe_id: MultiframeId,
    /// File of the newer image.
    pub newer_file: String,
    /// Extension numbers, in the older image, of the detectors that keep detections.
    pub ext_nums: Vec<i64>,
    /// Extension numbers of these detectors in the newer image, without those that it lacks.
    pub newer_ext_nums: Vec<i64>,
    /// The reason why the newer image or catalogue lacks the product.
    pub why: Lack,
}

impl KeptProduct {
    /// Returns the name of the product for users.
    pub fn product(&self) -> &'static str {
        self.use_case.product().noun
    }

    /// Returns whether the newer catalogue of the same image lacks the detections.
    pub fn is_of_own_catalogue(&self) -> bool {
        self.newer_multiframe_id == self.multiframe_id
    }

    /// Returns whether other detectors of the image may have newer detections.
    pub fn is_of_detectors(&self) -> bool {
        self.is_of_own_catalogue() || matches!(self.why, Lack::HduRefused | Lack::HduAbsent)
    }

    /// Returns the name of the product, with the detectors where other detectors of the image have newer detections.
    pub fn part(&self) -> String {
        match self.is_of_detectors() {
            true => format!("{} of ext_num {}", self.product(), self.detectors()),
            false => self.product().to_owned(),
        }
    }

    /// Returns the extension numbers, in the older image, of the detectors that keep detections, as a list.
    pub fn detectors(&self) -> String {
        list(&self.ext_nums)
    }

    /// Returns the reason why the newer image or catalogue lacks the product, as a clause.
    pub fn reason(&self) -> String {
        let product = self.use_case;
        let newer = &self.newer_delivery;
        let lacking = match self.is_of_own_catalogue() {
            true => format!("the newer {product} of the image"),
            false => format!("the {product} of the frame in {newer}"),
        };
        match self.why {
            Lack::NoCatalogue => format!("no catalogue in {newer} belongs to the image"),
            Lack::Pending => format!("{lacking} is not ingested yet"),
            Lack::Refused => format!("{lacking} was refused"),
            Lack::Parked => format!("{lacking} is parked"),
            Lack::Failed => format!("the {product} round of {newer} failed"),
            Lack::Retracted => format!("{lacking} is retracted"),
            Lack::HduRefused => {
                format!(
                    "{lacking} has no accepted detections of ext_num {}: HDU refused",
                    list(&self.newer_ext_nums)
                )
            }
            Lack::HduAbsent if self.newer_ext_nums.is_empty() => {
                let detectors = if self.ext_nums.len() == 1 { "detector" } else { "detectors" };
                format!("the frame in {newer} does not have the {detectors}")
            }
            Lack::HduAbsent => {
                format!("{lacking} has no HDU for ext_num {}", list(&self.newer_ext_nums))
            }
        }
    }
}

fn list(numbers: &[i64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl std::fmt::Display for KeptProduct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kept, why) = (self.part(), self.reason());
        match self.is_of_own_catalogue() {
            true => write!(f, "{} shows older {kept}: {why}", self.file),
            false => write!(f, "{} shows the {kept} of {}: {why}", self.file, self.delivery),
        }
    }
}

/// A product of an older image that shows because the newer image of its name lacks it, or detections that show because a newer
/// round of their image's catalogue lacks them.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub name: String,
    pub multiframe: MultiframeId,
    pub delivery: i64,
    pub use_case: UseCase,
    /// The newest image of the name with metadata, and its delivery; the image itself when its own newer catalogue lacks the
    /// detections.
    pub newer: (MultiframeId, i64),
    /// Name of the newer image's file.
    pub newer_name: String,
    /// Extension numbers, in the image, of the detectors that keep detections.
    pub ext_nums: Vec<i64>,
    /// Names from the headers of the image's detectors that have one.
    pub detectors: BTreeMap<i64, String>,
}

impl Kept {
    /// Returns the extension numbers, in the newer image, of the detectors that keep detections. `newer` has the names from the
    /// headers of the newer image's detectors. A detector is the one of the same name, else the one with the same extension
    /// number, unless that is another detector of the older image.
    pub(crate) fn newer_ext_nums(&self, newer: &BTreeMap<i64, Option<String>>) -> Vec<i64> {
        if self.is_of_own_catalogue() {
            return self.ext_nums.clone();
        }
        let is_of_older = |name: &String| self.detectors.values().any(|of_older| of_older == name);
        let counterpart = |ext_num: &i64| {
            let wanted = self.detectors.get(ext_num);
            let mut named =
                newer.iter().filter(|(_, name)| wanted.is_some() && name.as_ref() == wanted);
            if let Some((number, _)) = named.next() {
                return Some(*number);
            }
            let same = newer.get(ext_num)?;
            let is_another = wanted.is_some() && same.as_ref().is_some_and(is_of_older);
            (!is_another).then_some(*ext_num)
        };
        self.ext_nums.iter().filter_map(counterpart).collect()
    }

    /// Returns true when a newer round of the image's own catalogue lacks the detections.
    pub(crate) fn is_of_own_catalogue(&self) -> bool {
        self.newer.0 == self.multiframe
    }
}

/// Lists the kept products, by delivery and name: in the whole archive, of one delivery, or of the images of one name.
pub(crate) fn kept(c: &Connection, of: Option<(i64, Scope)>) -> Result<Vec<Kept>, ArchiveFault> {
    let scopes = match of {
        Some(one) => vec![one],
        None => {
            let mut select = c.prepare_cached(
                "SELECT file.delivery_id FROM product JOIN image USING (multiframe_id) JOIN file USING (file_id)
                 WHERE product.kept = 1
                 UNION SELECT file.delivery_id FROM product_detector JOIN image USING (multiframe_id) JOIN file USING (file_id)
                 WHERE product_detector.uncovered_event IS NOT NULL ORDER BY 1",
            )?;
            let rows = select.query_map([], |r| r.get(0))?;
            let deliveries: Vec<i64> = rows.collect::<Result<_, _>>()?;
            deliveries.into_iter().map(|id| (id, Scope::KeptOf(id))).collect()
        }
    };
    let mut found = Vec::new();
    for (delivery, scope) in scopes {
        let is_of = |frame: &Frame| matches!(scope, Scope::Image(_)) || frame.delivery == delivery;
        for frames in groups(c, delivery, Some(scope))? {
            for (at, frame) in frames.iter().enumerate().filter(|(_, frame)| is_of(frame)) {
                let newest = frames[at + 1..]
                    .iter()
                    .rfind(|newer| frame.yields_to(newer) && newer.has(UseCase::Metadata));
                found.extend(frame.kept(newest));
            }
        }
    }
    Ok(found)
}

impl Frame {
    /// Lists the products that the image keeps despite the newest image of its name, and despite newer rounds of its own catalogue.
    fn kept(&self, newest: Option<&Self>) -> Vec<Kept> {
        let kept = |use_case, newer: &Self, ext_nums| Kept {
            name: self.name.clone(),
            multiframe: self.multiframe,
            delivery: self.delivery,
            use_case,
            newer: (newer.multiframe, newer.delivery),
            newer_name: newer.name.clone(),
            ext_nums,
            detectors: self
                .detectors
                .iter()
                .filter_map(|(ext_num, held)| Some((*ext_num, held.detector.clone()?)))
                .collect(),
        };
        let shown = |(_, detector): &(&i64, &DetectorProduct)| detector.ended.is_none();
        let ext_nums = |uncovered_only: bool| -> Vec<i64> {
            let shown = self.detectors.iter().filter(shown);
            let wanted = shown.filter(|(_, d)| d.is_uncovered || !uncovered_only);
            wanted.map(|(ext_num, _)| *ext_num).collect()
        };
        let mut found = Vec::new();
        let is_kept = |use_case| self.published(use_case).is_some_and(|product| product.is_kept);
        if let Some(newer) = newest {
            for &use_case in self.products.keys().filter(|u| is_kept(**u)) {
                let is_by_detector = use_case.product().is_by_detector();
                let ext_nums = if is_by_detector { ext_nums(false) } else { Vec::new() };
                found.push(kept(use_case, newer, ext_nums));
            }
        }
        let uncovered = ext_nums(true);
        if !uncovered.is_empty() {
            found.push(kept(UseCase::Catalogue, self, uncovered));
        }
        found
    }
}

/// A product that is wrongly shown or not shown, or whose record does not match its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// The image.
    pub multiframe_id: MultiframeId,
    /// The product.
    pub use_case: UseCase,
    /// True when the product should show and does not; false when it shows and should not.
    pub should_show: bool,
}

/// Compares the shown products with the published ones, in the whole archive.
pub fn misplaced(c: &Connection) -> Result<Vec<Misplaced>, ArchiveFault> {
    let mut select = c.prepare_cached("SELECT delivery_id FROM delivery ORDER BY delivery_id")?;
    let rows = select.query_map([], |r| r.get(0))?;
    let deliveries: Vec<i64> = rows.collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for delivery in deliveries {
        if !seen.insert(delivery) {
            continue;
        }
        seen.extend(processings(c, delivery)?);
        for frames in groups(c, delivery, None)? {
            for (frame, wanted) in frames.iter().zip(wanted(&frames)) {
                found.extend(frame.misplaced(&wanted));
            }
        }
    }
    Ok(found)
}

impl Frame {
    /// Compares the shown products of the image with the required ones.
    fn misplaced(&self, wanted: &WantedFrame) -> Vec<Misplaced> {
        let multiframe_id = self.multiframe;
        let misplaced = |use_case, should_show| Misplaced { multiframe_id, use_case, should_show };
        let mut found = Vec::new();
        for &use_case in self.products.keys().filter(|u| !u.product().is_by_detector()) {
            let shows = self.published(use_case).is_some_and(|p| p.ended.is_none());
            if shows != wanted.product(use_case).shows {
                found.push(misplaced(use_case, !shows));
            }
        }
        for should_show in [true, false] {
            let is_wrong = |(ext_num, detector): (&i64, &DetectorProduct)| {
                detector.ended.is_none() != should_show
                    && wanted.detectors.contains(ext_num) == should_show
            };
            if self.detectors.iter().any(is_wrong) {
                found.push(misplaced(UseCase::Catalogue, should_show));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(number: i64) -> MultiframeId {
        MultiframeId::new(number).unwrap()
    }

    fn kept(ext_nums: &[i64], names: &[(i64, &str)]) -> Kept {
        Kept {
            name: "w.fit".to_owned(),
            multiframe: image(1),
            delivery: 1,
            use_case: UseCase::Catalogue,
            newer: (image(2), 2),
            newer_name: "w.fit".to_owned(),
            ext_nums: ext_nums.to_vec(),
            detectors: names.iter().map(|(n, name)| (*n, (*name).to_owned())).collect(),
        }
    }

    fn newer(names: &[(i64, Option<&str>)]) -> BTreeMap<i64, Option<String>> {
        names.iter().map(|(n, name)| (*n, name.map(str::to_owned))).collect()
    }

    /// The newer image lacks the first detector, so that the others have other extension numbers.
    #[test]
    fn the_detectors_of_the_newer_image_are_named() {
        let older = [(2, "cam_num 1"), (3, "cam_num 2"), (4, "cam_num 3")];
        let shifted = newer(&[(2, Some("cam_num 2")), (3, Some("cam_num 3"))]);
        assert_eq!(kept(&[3, 4], &older).newer_ext_nums(&shifted), [2, 3]);
        assert_eq!(kept(&[2], &older).newer_ext_nums(&shifted), [0; 0], "it is not there");
        assert_eq!(kept(&[2, 4], &older).newer_ext_nums(&shifted), [3]);
        let other = newer(&[(2, Some("cam_num 9")), (3, None)]);
        assert_eq!(kept(&[2, 3, 4], &older).newer_ext_nums(&other), [2, 3], "by number");
        assert_eq!(kept(&[2, 3], &[]).newer_ext_nums(&shifted), [2, 3], "of no known name");
    }

    #[test]
    fn a_message_names_the_detectors_of_both_images() {
        let message = |newer_ext_nums: &[i64], why| {
            let kept = KeptProduct {
                delivery: "n_v1".parse().unwrap(),
                file: "w.fit".to_owned(),
                multiframe_id: image(1),
                use_case: UseCase::Catalogue,
                newer_delivery: "n_v2".parse().unwrap(),
                newer_multiframe_id: image(2),
                newer_file: "w.fit".to_owned(),
                ext_nums: vec![3],
                newer_ext_nums: newer_ext_nums.to_vec(),
                why,
            };
            kept.to_string()
        };
        let begin = "w.fit shows the detections of ext_num 3 of n_v1: ";
        assert_eq!(
            message(&[2], Lack::HduAbsent),
            format!("{begin}the catalogue of the frame in n_v2 has no HDU for ext_num 2")
        );
        assert_eq!(
            message(&[2], Lack::HduRefused),
            format!(
                "{begin}the catalogue of the frame in n_v2 has no accepted detections of ext_num 2: HDU refused"
            )
        );
        assert_eq!(
            message(&[], Lack::HduAbsent),
            format!("{begin}the frame in n_v2 does not have the detector")
        );
    }
}
