//! One scan of every card: new keywords, and keywords that name other frames.

use fits::FitsFile;
use model::profile::{NewKeyword, SurveyProfile};
use model::{ExtNum, RefusalCode};

use super::frame::Frame;
use super::notes::{Notes, Place};
use super::plan::{Meaning, Plan};
use super::provenance::{self, Naming};

/// Reports new keywords of image and catalogue, and collects the frames that the image's headers name.
pub(super) fn survey<'f>(
    frame: &Frame<'f>,
    plan: &Plan,
    profile: &SurveyProfile,
    notes: &mut Notes,
) -> Vec<Naming<'f>> {
    let mut namings = Vec::new();
    let mut named = 0;
    scan(frame.file(), frame.image, plan, profile, &mut named, notes, |card, role, ext, notes| {
        namings.extend(provenance::read(card, role, ext, profile, frame.file(), notes));
    });
    if let Some((file, catalogue)) = frame.catalogue_beside() {
        // Catalogues repeat the image's keywords, so that its components are known already.
        scan(file, catalogue, plan, profile, &mut named, notes, |_, _, _, _| {});
    }
    namings
}

fn scan<'f>(
    name: &str,
    file: &'f FitsFile,
    plan: &Plan,
    profile: &SurveyProfile,
    named: &mut usize,
    notes: &mut Notes,
    mut component: impl FnMut(fits::Card<'f>, model::profile::Role, ExtNum, &mut Notes),
) {
    let reports = profile.policy.new_keyword == NewKeyword::Finding;
    for hdu in file.hdus() {
        let Some(ext_num) = ExtNum::of_hdu(hdu.index.0) else { return };
        let place = Place { file: name, hdu: Some(hdu.index.0) };
        for card in hdu.header.cards().filter(|card| !card.is_commentary()) {
            match plan.meaning(card.keyword()) {
                Some(Meaning::Known) => {}
                Some(Meaning::Component(role)) => component(card, role, ext_num, notes),
                None if reports => report_new(card.keyword(), place, profile, named, notes),
                None => {}
            }
        }
    }
}

/// Notes a new keyword; keywords beyond the profile's limit are counted under `...`.
fn report_new(
    keyword: &str,
    place: Place<'_>,
    profile: &SurveyProfile,
    named: &mut usize,
    notes: &mut Notes,
) {
    let known = |f: &model::Finding| {
        f.code == RefusalCode::KEYWORD_NEW
            && f.file == place.file
            && f.subject.as_deref() == Some(keyword)
    };
    if !notes.findings.iter().any(known) {
        *named += 1;
        if *named > profile.limits.new_keywords_named {
            let message = "more new keywords".to_owned();
            notes.find(Place { hdu: None, ..place }, RefusalCode::KEYWORD_NEW, "...", message);
            return;
        }
    }
    let message = format!("{keyword} is new: kept in the header's text only");
    notes.find(place, RefusalCode::KEYWORD_NEW, keyword, message);
}
