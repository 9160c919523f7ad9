//! Files of one image of zeros, made of cards, and their staged rows under the generic profile.

use fits::{FitsFile, Limits};
use model::profile::{Programme, SurveyProfile, shipped};
use model::task::{FileRef, TaskInput};
use model::{MultiframeId, ProgrammeId, Sha256};
use process::metadata::{Extractor, Products, Rows};

/// The generic profile, with the programme that the files belong to.
pub fn profile() -> SurveyProfile {
    let text = shipped().iter().find(|(name, _)| *name == "generic").unwrap().1;
    let mut profile = SurveyProfile::parse(text).unwrap();
    profile.programmes.push(Programme {
        id: ProgrammeId::new(900).unwrap(),
        name: "HUNT".parse().unwrap(),
        project: "HUNT".to_owned(),
        title: String::new(),
        description: String::new(),
        proprietary_months: None,
        reference: String::new(),
    });
    profile
}

/// The rows and notes of one file.
pub fn extract(profile: &SurveyProfile, bytes: Vec<u8>) -> Products {
    let programmes: Vec<_> = profile.programmes.iter().map(Programme::to_ref).collect();
    let delivery = "20110107_v1".parse().unwrap();
    let extractor = Extractor::new(profile, &programmes, &delivery);
    let image = FileRef {
        path: "a.fits".into(),
        name: "a.fits".to_owned(),
        bytes: bytes.len() as u64,
        sha256: Sha256::new([0; 32]),
        refused_hdus: Vec::new(),
    };
    let file = FitsFile::from_bytes("a.fits", bytes, &Limits::default()).unwrap();
    let mut rows = Rows::default();
    let input = TaskInput { multiframe_id: MultiframeId::new(1).unwrap(), image, catalogue: None };
    extractor.extract(&input, &file, None, &mut rows);
    rows.finish()
}

/// A file whose only HDU is an image of bytes, with these cards beside the structural ones.
pub fn file<S: AsRef<str>>(width: usize, height: usize, cards: &[S]) -> Vec<u8> {
    let structure = [
        format!("{:<8}= {:>20}", "SIMPLE", "T"),
        format!("{:<8}= {:>20}", "BITPIX", 8),
        format!("{:<8}= {:>20}", "NAXIS", 2),
        format!("{:<8}= {width:>20}", "NAXIS1"),
        format!("{:<8}= {height:>20}", "NAXIS2"),
    ];
    let cards = structure
        .iter()
        .map(String::as_str)
        .chain(cards.iter().map(AsRef::as_ref))
        .chain(["OBSTYPE = 'OBJECT  '", "PROJECT = 'HUNT    '", "END"]);
    let mut bytes: Vec<u8> = cards.flat_map(|card| format!("{card:<80}").into_bytes()).collect();
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes.resize(bytes.len() + (width * height).next_multiple_of(2880), 0);
    bytes
}
