//! The roles of the HDUs of a file: detectors, catalogues, and HDUs that are neither.
//!
//! The rules are `[[hdu]]` of the survey's profile. Registration, metadata, previews and catalogues decide by these functions
//! alone, so that an HDU has one role everywhere.

use crate::catalogue::is_catalogue;
use crate::header_view::HeaderView;
use fits::{FitsFile, Hdu, HduKind};
use model::profile::{CatalogueWhere, HduContent, HduFacts, HduRole, HduUse, SurveyProfile};

/// Returns the role that a rule of the profile gives to an HDU; `None` without such a rule.
pub(crate) fn declared(hdu: &Hdu, profile: &SurveyProfile) -> Option<HduRole> {
    if profile.hdus.is_empty() {
        return None;
    }
    let view = HeaderView::new(hdu);
    let keyword = |keyword: &str| view.own_written(keyword);
    profile.hdu_role(&HduFacts { number: hdu.index.0, content: content(hdu)?, keyword: &keyword })
}

fn content(hdu: &Hdu) -> Option<HduContent> {
    match hdu.kind {
        HduKind::Image | HduKind::CompressedImage => Some(HduContent::Image),
        HduKind::BinTable | HduKind::AsciiTable | HduKind::CompressedTable => {
            Some(HduContent::Table)
        }
        HduKind::NoData | HduKind::RandomGroups | HduKind::Other => None,
    }
}

/// Returns true for a detector: an image without another role.
pub(crate) fn is_detector(hdu: &Hdu, profile: &SurveyProfile) -> bool {
    content(hdu) == Some(HduContent::Image)
        && matches!(declared(hdu, profile), None | Some(HduRole::Image))
}

/// Returns true for a table that has no other role than that of a catalogue.
pub(crate) fn may_be_catalogue(hdu: &Hdu, profile: &SurveyProfile) -> bool {
    content(hdu) == Some(HduContent::Table)
        && matches!(declared(hdu, profile), None | Some(HduRole::Catalogue))
}

/// Returns true for a table of an image file that is the catalogue of one of its images: by its role, or by its columns where
/// the profile expects catalogues in image files.
pub(crate) fn is_catalogue_of_image(file: &FitsFile, hdu: &Hdu, profile: &SurveyProfile) -> bool {
    match declared(hdu, profile) {
        Some(role) => role == HduRole::Catalogue,
        None => {
            profile.catalogue.place == CatalogueWhere::Image && is_catalogue(file, hdu, profile)
        }
    }
}

/// Returns true for an HDU of the file of a catalogue that holds a catalogue, or may hold one: a broken HDU is included, so that
/// it is refused with its reason. In the image file itself (`of_image`), most tables are no catalogues.
pub(crate) fn is_candidate(
    file: &FitsFile,
    hdu: &Hdu,
    profile: &SurveyProfile,
    of_image: bool,
) -> bool {
    match of_image {
        true => is_catalogue_of_image(file, hdu, profile),
        false => {
            may_be_catalogue(hdu, profile) || (hdu.kind == HduKind::Other && hdu.fault.is_some())
        }
    }
}

/// Returns the use of each HDU of a file.
pub fn uses(file: &FitsFile, profile: &SurveyProfile) -> Vec<HduUse> {
    let has_detectors = file.hdus().iter().any(|hdu| is_detector(hdu, profile));
    let one = |hdu: &Hdu| match () {
        () if is_detector(hdu, profile) => HduUse::Detector,
        () if !may_be_catalogue(hdu, profile) => HduUse::Nothing,
        () if !has_detectors || is_catalogue_of_image(file, hdu, profile) => HduUse::Catalogue,
        () if is_catalogue(file, hdu, profile) => HduUse::UnusedTable,
        () => HduUse::Nothing,
    };
    file.hdus().iter().map(one).collect()
}
