//! Products that are kept although something newer lacks them, and products that are wrongly shown or not shown.

use crate::deliveries::superseded::processings;
use crate::error::ArchiveFault;
use crate::products::detectors::DetectorProduct;
use crate::products::{Frame, Scope, WantedFrame, groups, place, wanted};
use engine::Connection;
use model::UseCase;
use std::collections::BTreeSet;

/// A product of an older image that shows because the newer image of its name lacks it, or detections that show because a newer
/// round of their image's catalogue lacks them.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub name: String,
    pub multiframe: i64,
    pub delivery: i64,
    pub use_case: UseCase,
    /// The newest image of the name with metadata, and its delivery; the image itself when its own newer catalogue lacks the
    /// detections.
    pub newer: (i64, i64),
    /// Name of the newer image's file.
    pub newer_name: String,
    /// The detectors that keep detections.
    pub ext_nums: Vec<i64>,
}

impl Kept {
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
    /// Lists the products that the image keeps beside the newest image of its name, and beside newer rounds of its own catalogue.
    fn kept(&self, newest: Option<&Self>) -> Vec<Kept> {
        let kept = |use_case, newer: &Self, ext_nums| Kept {
            name: self.name.clone(),
            multiframe: self.multiframe,
            delivery: self.delivery,
            use_case,
            newer: (newer.multiframe, newer.delivery),
            newer_name: newer.name.clone(),
            ext_nums,
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
            if is_kept(UseCase::Preview) {
                found.push(kept(UseCase::Preview, newer, Vec::new()));
            }
            if is_kept(UseCase::Catalogue) {
                found.push(kept(UseCase::Catalogue, newer, ext_nums(false)));
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
    pub multiframe_id: i64,
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
        for use_case in [UseCase::Preview, UseCase::Metadata] {
            let shows = self.published(use_case).is_some_and(|p| p.ended.is_none());
            if shows != wanted.products[place(use_case)].shows {
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
