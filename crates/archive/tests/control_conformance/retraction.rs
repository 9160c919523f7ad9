//! Undo and redo: a retraction hides rows from every view, its undo shows them under the same ids, and makes room for what it had
//! superseded.

use super::{Fresh, staging::*};
use archive::batches::Receipt;
use archive::history::Cause;
use archive::products::kept::{KeptProduct, Lack};
use archive::registration::Arrival;
use archive::retraction::purge::{PurgeScope, Purged, PurgedRound};
use archive::work::ImageWork;
use archive::{Archive, Reader};
use model::{ObjectId, UseCase};

const SECOND: &str = "20071011_v2";

/// Multiframes, previews and detections that the archive shows of each delivery.
fn shown(archive: &Reader) -> Vec<(u64, u64, u64)> {
    let deliveries = archive.status().unwrap().deliveries;
    deliveries.iter().map(|d| (d.multiframes, d.previews, d.detections)).collect()
}

fn ingest_all(archive: &mut Archive, delivery: &str) {
    for use_case in [UseCase::Metadata, UseCase::Preview, UseCase::Catalogue] {
        let unit = stage_round_of(archive, delivery, use_case, 1);
        super::publication::publish(archive, &unit);
    }
}

pub fn a_delivery_goes_and_comes_back(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(3));
    assert!(
        archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap_err().is_conflict()
    );
    ingest_all(&mut archive, NIGHT);
    assert_eq!(shown(&archive), [(3, 3, 60)]);
    let gone = archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(gone.rounds.len(), 3);
    assert_eq!(gone.rows.iter().find(|(t, _)| t == "detection").map(|r| r.1), Some(60));
    assert_eq!(shown(&archive), [(0, 0, 0)]);
    assert!(
        archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap_err().is_conflict()
    );
    let back = archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert!(back.event > gone.event);
    assert_eq!(shown(&archive), [(3, 3, 60)]);
    assert!(
        archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap_err().is_conflict()
    );
    // A part of it; what refers to it goes along.
    let gone =
        archive.retract(&NIGHT.parse().unwrap(), &[UseCase::Catalogue], &cause(), now()).unwrap();
    assert_eq!((gone.rounds.len(), shown(&archive)), (1, vec![(3, 3, 0)]));
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    let gone =
        archive.retract(&NIGHT.parse().unwrap(), &[UseCase::Metadata], &cause(), now()).unwrap();
    assert_eq!((gone.rounds.len(), shown(&archive)), (3, vec![(0, 0, 0)]));
    let fault =
        archive.restore(&NIGHT.parse().unwrap(), &[UseCase::Preview], &cause(), now()).unwrap_err();
    assert!(fault.is_conflict(), "it would refer to nothing: {fault:?}");
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(3, 3, 60)]);
    assert_eq!(archive.status().unwrap().programmes[0].last_obj_id, ObjectId::new(60));
}

pub fn what_was_retracted_can_be_ingested_again(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    ingest_all(&mut archive, NIGHT);
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    for use_case in UseCase::ALL.iter().copied() {
        archive.request_again(&NIGHT.parse().unwrap(), use_case, &cause(), now()).unwrap();
    }
    ingest_all(&mut archive, NIGHT);
    assert_eq!(shown(&archive), [(2, 2, 40)]);
    assert_eq!(
        archive.status().unwrap().programmes[0].last_obj_id,
        ObjectId::new(80),
        "ids are not used twice"
    );
    let fault = archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap_err();
    assert!(fault.is_conflict(), "it would be there twice: {fault:?}");
    assert_eq!(shown(&archive), [(2, 2, 40)]);
}

pub fn purged_rows_do_not_exist(fresh: &Fresh) {
    let (_dir, site, mut archive) = fresh();
    record(&mut archive, &night(2));
    record_of(&mut archive, "20071012_v1", &night(1));
    ingest_all(&mut archive, NIGHT);
    let nothing = archive.purge(PurgeScope::All, &cause(), now()).unwrap();
    assert_eq!(nothing, Purged::default(), "nothing is retracted");
    let unknown = archive.purge(PurgeScope::Delivery("20071099_v1"), &cause(), now());
    assert!(unknown.is_err(), "a mistyped name is not a delivery without retracted rounds");
    archive.retract(&NIGHT.parse().unwrap(), &[UseCase::Catalogue], &cause(), now()).unwrap();
    let other = archive.purge(PurgeScope::Rounds(&[]), &cause(), now()).unwrap();
    assert_eq!(other, Purged::default(), "only named rounds are purged");
    let why = Cause::new("pat", "bad flat");
    let purged = archive.purge(PurgeScope::Delivery(NIGHT), &why, now()).unwrap();
    assert_eq!((purged.rounds.len(), purged.rows), (1, 40));
    let round = PurgedRound {
        use_case: UseCase::Catalogue,
        round: purged.rounds[0].unit.round,
        purged: now(),
        cause: why,
    };
    let sheet = archive.facts(NIGHT).unwrap().unwrap().delivery.unwrap();
    assert_eq!(sheet.purged, std::slice::from_ref(&round));
    let explained = archive::explain::explain(
        &archive.facts(NIGHT).unwrap().unwrap(),
        &archive::explain::Setting::default(),
    );
    let line = "catalogue round 1 was purged on ";
    let line = explained.lines.iter().find(|text| text.starts_with(line)).expect("a line");
    assert!(line.ends_with("by pat: bad flat"), "{line}");
    let file = archive.facts(&format!("{NIGHT}/w00000.fit")).unwrap().unwrap().files.remove(0);
    assert_eq!(file.purged, [round]);
    assert!(
        archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap_err().is_conflict()
    );
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    let previews = site.previews().join("20071011_v1");
    let rounds = archive.purgeable(PurgeScope::Delivery(NIGHT)).unwrap();
    assert_eq!(rounds.len(), 2, "{rounds:?}");
    let purged = archive.purge(PurgeScope::Rounds(&rounds), &cause(), now()).unwrap();
    assert_eq!(purged.rounds.len(), 2);
    assert!(std::fs::read_dir(previews).map_or(0, Iterator::count) == 0);
    assert_eq!(shown(&archive)[0], (0, 0, 0));
    // It can be ingested again, with new ids.
    for use_case in UseCase::ALL.iter().copied() {
        archive.request_again(&NIGHT.parse().unwrap(), use_case, &cause(), now()).unwrap();
    }
    ingest_all(&mut archive, NIGHT);
    assert_eq!(shown(&archive)[0], (2, 2, 40));
    assert_eq!(archive.status().unwrap().programmes[0].last_obj_id, ObjectId::new(80));
}

/// Checks that a purge of one of two retracted rounds of the same images leaves the other, which can be restored.
pub fn a_purge_of_a_round_leaves_a_later_one(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    ingest_all(&mut archive, NIGHT);
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    let first = archive.purgeable(PurgeScope::All).unwrap();
    for use_case in UseCase::ALL.iter().copied() {
        archive.request_again(&NIGHT.parse().unwrap(), use_case, &cause(), now()).unwrap();
    }
    ingest_all(&mut archive, NIGHT);
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(archive.purgeable(PurgeScope::All).unwrap().len(), 2 * first.len());
    let purged = archive.purge(PurgeScope::Rounds(&first), &cause(), now()).unwrap();
    assert_eq!(purged.rounds, first);
    assert!(purged.rows >= 40, "{purged:?}");
    assert_eq!(shown(&archive), [(0, 0, 0)]);
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(2, 2, 40)]);
}

/// Checks that a purge of what was named leaves the retraction that followed an undo.
pub fn a_purge_is_of_a_retraction_and_not_of_its_rounds(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    ingest_all(&mut archive, NIGHT);
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    let named = archive.purgeable(PurgeScope::Delivery(NIGHT)).unwrap();
    assert_eq!(named.len(), 3);
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    let purged = archive.purge(PurgeScope::Rounds(&named), &cause(), now()).unwrap();
    assert_eq!(purged, Purged::default(), "another retraction of the same rounds was not named");
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(2, 2, 40)]);
}

pub fn a_newer_processing_supersedes_file_by_file(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(3));
    ingest_all(&mut archive, NIGHT);
    // The second processing has two of the three frames.
    record_of(&mut archive, SECOND, &night(2));
    let unit = stage_round_of(&mut archive, SECOND, UseCase::Metadata, 1);
    assert_eq!(shown(&archive), [(3, 3, 60), (0, 0, 0)], "not before it is visible");
    let receipt = super::publication::publish(&mut archive, &unit);
    assert!(matches!(receipt, Receipt::Published { superseded: 0, .. }), "{receipt:?}");
    assert_eq!(shown(&archive), [(3, 3, 60), (2, 0, 0)], "products yield to products alone");
    let unit = stage_round_of(&mut archive, SECOND, UseCase::Catalogue, 1);
    let receipt = super::publication::publish(&mut archive, &unit);
    assert!(matches!(receipt, Receipt::Published { superseded: 2, .. }), "{receipt:?}");
    assert_eq!(shown(&archive), [(3, 3, 20), (2, 0, 40)]);
    let unit = stage_round_of(&mut archive, SECOND, UseCase::Preview, 1);
    super::publication::publish(&mut archive, &unit);
    assert_eq!(shown(&archive), [(1, 1, 20), (2, 2, 40)]);
    let facts = archive.facts(SECOND).unwrap().unwrap();
    let sheet = facts.delivery.unwrap();
    assert_eq!(sheet.without_successor, [(NIGHT.to_owned(), "w00002.fit".to_owned())]);
    // The older processing, redone, does not supersede the newer one.
    archive.request_again(&NIGHT.parse().unwrap(), UseCase::Metadata, &cause(), now()).unwrap();
    let unit = stage_round_of(&mut archive, NIGHT, UseCase::Metadata, 1);
    super::publication::publish(&mut archive, &unit);
    assert_eq!(shown(&archive), [(1, 1, 20), (2, 2, 40)]);
    // Without the newer one the older frames are current again, and vice versa.
    let gone = archive.retract(&SECOND.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(gone.shown_again, [1, 2]);
    assert_eq!(shown(&archive), [(3, 3, 60), (0, 0, 0)]);
    archive.restore(&SECOND.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(1, 1, 20), (2, 2, 40)]);
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(0, 0, 0), (2, 2, 40)]);
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(1, 1, 20), (2, 2, 40)]);
}

/// A newer processing whose files have other FITS or compression endings supersedes the same frames.
pub fn another_ending_supersedes(fresh: &Fresh) {
    for endings in [[".fit.gz", ".fits.gz"], [".fits", ".fits"], [".FITS.fz", ".fits"]] {
        let (_dir, _site, mut archive) = fresh();
        record(&mut archive, &night(3));
        ingest_all(&mut archive, NIGHT);
        record_of(&mut archive, SECOND, &night_as(2, endings));
        let unit = stage_round_of(&mut archive, SECOND, UseCase::Metadata, 1);
        super::publication::publish(&mut archive, &unit);
        assert_eq!(shown(&archive), [(3, 3, 60), (2, 0, 0)], "products yield to products alone");
        let unit = stage_round_of(&mut archive, SECOND, UseCase::Preview, 1);
        super::publication::publish(&mut archive, &unit);
        assert_eq!(shown(&archive), [(3, 1, 60), (2, 2, 0)]);
        let kept = archive.kept_products(Some(&SECOND.parse().unwrap())).unwrap();
        let names = |k: &KeptProduct| (k.file.clone(), k.newer_file.clone());
        let both = |n: u32| (format!("w0000{n}.fit"), format!("w0000{n}{}", endings[0]));
        assert_eq!(kept.iter().map(names).collect::<Vec<_>>(), [both(0), both(1)]);
        // Of the second frame the catalogue is refused: the older detections stay, which is found.
        let unit = open_round_of(&mut archive, SECOND, UseCase::Catalogue, 1, &|_| true);
        for started in start_all(&mut archive, &unit) {
            let mut good = started.clone();
            let name = good.inputs.remove(1).catalogue.unwrap().file.name;
            let mut result = work_off(&good);
            result.refusals.push(refusal("damaged", &name, None, false));
            archive.accept_result(&result, now()).unwrap();
        }
        super::publication::publish(&mut archive, &unit);
        assert_eq!(shown(&archive), [(2, 1, 40), (2, 2, 20)]);
        let findings = archive.findings(Some(&SECOND.parse().unwrap())).unwrap();
        let found: Vec<_> = findings.iter().map(|f| (f.code.as_str(), f.files)).collect();
        assert_eq!(found, [("older_detections_kept", 1)]);
        let sheet = archive.facts(SECOND).unwrap().unwrap().delivery.unwrap();
        assert_eq!(sheet.without_successor, [(NIGHT.to_owned(), "w00002.fit".to_owned())]);
        // A decision may name either file.
        for file in [both(1).0, both(1).1] {
            archive.supersede((SECOND, Some(&file)), &[], &cause(), now()).unwrap();
            assert_eq!(shown(&archive), [(1, 1, 20), (2, 2, 20)]);
            archive.undo_supersession((SECOND, Some(&file)), &[], &cause(), now()).unwrap();
            assert_eq!(shown(&archive), [(2, 1, 40), (2, 2, 20)]);
        }
        archive.retract(&SECOND.parse().unwrap(), &[], &cause(), now()).unwrap();
        assert_eq!(shown(&archive), [(3, 3, 60), (0, 0, 0)]);
        archive.restore(&SECOND.parse().unwrap(), &[], &cause(), now()).unwrap();
        assert_eq!(shown(&archive), [(2, 1, 40), (2, 2, 20)]);
    }
}

/// A provider compresses the files of a delivery in place: each frame counts once, before and after an undo.
pub fn a_delivery_is_compressed_in_place(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    ingest_all(&mut archive, NIGHT);
    let recorded = record(&mut archive, &night_as(2, [".fit.gz", ".fits.gz"]));
    assert_eq!((recorded.images, recorded.catalogues, recorded.superseded), (2, 2, 2));
    assert_eq!(shown(&archive), [(2, 2, 40)], "until the compressed ones are there");
    let current = |archive: &Reader| -> Vec<(i64, u64)> {
        let sheets = ["w00000.fit", "w00000.fit.gz", "w00001.fit", "w00001.fit.gz"]
            .map(|name| archive.facts(name).unwrap().unwrap().files.remove(0));
        sheets.map(|sheet| (sheet.multiframe_id.unwrap().get(), sheet.detections)).to_vec()
    };
    let unit = stage_round(&mut archive, UseCase::Metadata, 1);
    super::publication::publish(&mut archive, &unit);
    assert_eq!(current(&archive), [(1, 20), (3, 0), (2, 20), (4, 0)]);
    for use_case in [UseCase::Preview, UseCase::Catalogue] {
        let unit = stage_round(&mut archive, use_case, 1);
        super::publication::publish(&mut archive, &unit);
    }
    let once = [(1, 0), (3, 20), (2, 0), (4, 20)];
    assert_eq!((shown(&archive), current(&archive)), (vec![(2, 2, 40)], once.to_vec()));
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(0, 0, 0)]);
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!((shown(&archive), current(&archive)), (vec![(2, 2, 40)], once.to_vec()));
}

/// Without a catalogue, or with a refused one, the older detections stay, are found, and end by the operator's decision alone.
pub fn kept_products_are_found_and_superseded(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(3));
    ingest_all(&mut archive, NIGHT);
    // Of three frames one comes without catalogue, one with a refused one, one with a good one.
    let mut files = night(3);
    files.retain(|file| file.name != "w00000_cat.fits");
    record_of(&mut archive, SECOND, &files);
    for use_case in [UseCase::Metadata, UseCase::Preview] {
        let unit = stage_round_of(&mut archive, SECOND, use_case, 1);
        super::publication::publish(&mut archive, &unit);
    }
    assert_eq!(shown(&archive), [(3, 0, 60), (3, 3, 0)]);
    let why = |archive: &Reader| -> Vec<(String, Lack)> {
        let kept = archive.kept_products(Some(&SECOND.parse().unwrap())).unwrap();
        kept.into_iter().map(|kept| (kept.file, kept.why)).collect()
    };
    let file = |n: u32| format!("w0000{n}.fit");
    let pending =
        [(file(0), Lack::NoCatalogue), (file(1), Lack::Pending), (file(2), Lack::Pending)];
    assert_eq!(why(&archive), pending);
    let unit =
        open_round_of(&mut archive, SECOND, UseCase::Catalogue, 1, &|i| i.catalogue.is_some());
    for started in start_all(&mut archive, &unit) {
        let mut good = started.clone();
        let refused = good.inputs.remove(0);
        let mut result = work_off(&good);
        let name = refused.catalogue.unwrap().file.name;
        result.refusals.push(refusal("damaged", &name, None, false));
        archive.accept_result(&result, now()).unwrap();
    }
    super::publication::publish(&mut archive, &unit);
    assert_eq!(shown(&archive), [(2, 0, 40), (3, 3, 20)]);
    assert_eq!(why(&archive), [(file(0), Lack::NoCatalogue), (file(1), Lack::Refused)]);
    let findings = archive.findings(Some(&SECOND.parse().unwrap())).unwrap();
    let kinds: Vec<(&str, &str, u64)> =
        findings.iter().map(|f| (f.code.as_str(), f.subject.as_str(), f.files)).collect();
    let wanted = [
        ("older_detections_kept", "20071011_v1 no_catalogue", 1),
        ("older_detections_kept", "20071011_v1 refused", 1),
    ];
    assert_eq!(kinds, wanted);
    let supersede = model::Advice::Supersede { delivery: SECOND.parse().unwrap() };
    assert!(findings.iter().all(|f| f.advice().as_ref() == Some(&supersede)), "{findings:?}");
    assert!(
        findings.iter().all(|f| !f.message.contains("almagest")),
        "stored for no site: {findings:?}"
    );
    // The operator decides otherwise, about one and about the rest, and takes it back.
    let newer = (SECOND, Some("w00000.fit"));
    let done = archive.supersede(newer, &[], &cause(), now()).unwrap();
    assert_eq!(done.products.len(), 1);
    assert_eq!(shown(&archive), [(1, 0, 20), (3, 3, 20)]);
    archive.supersede((SECOND, None), &[UseCase::Catalogue], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(0, 0, 0), (3, 3, 20)]);
    let nothing = archive.supersede((SECOND, None), &[], &cause(), now());
    assert!(nothing.unwrap_err().is_conflict());
    // A decision is about the newer frame: without that one the older one shows.
    archive.retract(&SECOND.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(3, 3, 60), (0, 0, 0)]);
    archive.restore(&SECOND.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(0, 0, 0), (3, 3, 20)]);
    let back = archive.undo_supersession((SECOND, None), &[], &cause(), now()).unwrap();
    assert_eq!(back.products.len(), 2);
    assert_eq!(shown(&archive), [(2, 0, 40), (3, 3, 20)]);
    assert!(
        archive.undo_supersession((SECOND, None), &[], &cause(), now()).unwrap_err().is_conflict()
    );
}

/// Publishes a round of catalogues in which HDUs need not be whole.
fn publish_hdus(archive: &mut Archive, delivery: &str, hdu: &dyn Fn(i64, i16) -> Hdu) {
    let unit = open_round_of(archive, delivery, UseCase::Catalogue, 1, &|_| true);
    for started in start_all(archive, &unit) {
        archive.accept_result(&work_off_hdus(&started, hdu), now()).unwrap();
    }
    super::publication::publish(archive, &unit);
}

/// Lists the kept products: image, newer image, detectors, cause.
fn kept(archive: &Reader) -> Vec<(i64, i64, Vec<i64>, Lack)> {
    let kept = archive.kept_products(None).unwrap();
    let of =
        |k: KeptProduct| (k.multiframe_id.get(), k.newer_multiframe_id.get(), k.ext_nums, k.why);
    kept.into_iter().filter(|k| k.use_case == UseCase::Catalogue).map(of).collect()
}

/// Detections of a detector yield only to detections of the same detector: an HDU that is refused or absent in the newer
/// catalogue ends nothing, and an empty one ends all.
pub fn detectors_keep_their_detections(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(4));
    ingest_all(&mut archive, NIGHT);
    record_of(&mut archive, SECOND, &night(4));
    for use_case in [UseCase::Metadata, UseCase::Preview] {
        let unit = stage_round_of(&mut archive, SECOND, use_case, 1);
        super::publication::publish(&mut archive, &unit);
    }
    // The images 5 to 8 are whole, refused in part, shorter, and empty in part.
    let hdu = |multiframe: i64, ext_num: i16| match (multiframe, ext_num) {
        (6, 3) => Hdu::Refused,
        (7, 2) => Hdu::Absent,
        (8, 2) => Hdu::Empty,
        _ => Hdu::Whole,
    };
    publish_hdus(&mut archive, SECOND, &hdu);
    assert_eq!(shown(&archive), [(2, 0, 20), (4, 4, 50)]);
    let refused = (2, 6, vec![3], Lack::HduRefused);
    let absent = (3, 7, vec![2], Lack::HduAbsent);
    assert_eq!(kept(&archive), [refused.clone(), absent.clone()]);
    assert_eq!(archive.status().unwrap().kept_products, 2);
    let findings = archive.findings(Some(&SECOND.parse().unwrap())).unwrap();
    let told: Vec<(&str, &str, &str)> = findings
        .iter()
        .map(|f| (f.code.as_str(), f.subject.as_str(), f.message.as_str()))
        .collect();
    let wanted = [
        (
            "older_detections_kept",
            "20071011_v1 hdu_absent",
            "w00002.fit shows the detections of ext_num 2 of 20071011_v1: the catalogue of the frame in 20071011_v2 has no \
             HDU for ext_num 2",
        ),
        (
            "older_detections_kept",
            "20071011_v1 hdu_refused",
            "w00001.fit shows the detections of ext_num 3 of 20071011_v1: the catalogue of the frame in 20071011_v2 has no \
             accepted detections of ext_num 3: HDU refused",
        ),
    ];
    assert_eq!(told, wanted);
    // Without the newer ones the older detections show whole, and the other way round.
    archive.retract(&SECOND.parse().unwrap(), &[UseCase::Catalogue], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(4, 0, 80), (4, 4, 0)]);
    archive.restore(&SECOND.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(2, 0, 20), (4, 4, 50)]);
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(0, 0, 0), (4, 4, 50)]);
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(kept(&archive), [refused, absent]);
    // A decision ends them; a retry that accepts one of them does so too.
    archive.supersede((SECOND, Some("w00001.fit")), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(1, 0, 10), (4, 4, 50)]);
    archive.undo_supersession((SECOND, None), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(2, 0, 20), (4, 4, 50)]);
    archive.request_again(&SECOND.parse().unwrap(), UseCase::Catalogue, &cause(), now()).unwrap();
    publish_hdus(&mut archive, SECOND, &|multiframe, ext_num| match (multiframe, ext_num) {
        (7, 2) => Hdu::Absent,
        _ => Hdu::Whole,
    });
    assert_eq!(shown(&archive), [(1, 0, 10), (4, 4, 70)]);
    assert_eq!(kept(&archive), [(3, 7, vec![2], Lack::HduAbsent)]);
}

/// A newer catalogue of the same image leaves the detections of the detectors that it does not cover, which is found under the
/// delivery and ends by decision alone.
pub fn an_image_keeps_older_detections(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(3));
    ingest_all(&mut archive, NIGHT);
    let newer = |archive: &mut Archive, text: &str, hdu: &dyn Fn(i64, i16) -> Hdu| {
        let catalogues: Vec<Arrival> =
            (0..3).map(|n| arrival(&format!("w{n:05}_cat.fits"), &format!("{text} {n}"))).collect();
        record(archive, &catalogues);
        let unit = stage_round_of(archive, NIGHT, UseCase::Metadata, 1);
        super::publication::publish(archive, &unit);
        publish_hdus(archive, NIGHT, hdu);
    };
    newer(&mut archive, "second", &|multiframe, ext_num| match (multiframe, ext_num) {
        (1, 2) => Hdu::Refused,
        (2, 3) => Hdu::Absent,
        (3, _) => Hdu::Refused,
        _ => Hdu::Whole,
    });
    let versions = |archive: &Reader| -> Vec<(i64, u64)> {
        let files = (0..3).map(|n| format!("w{n:05}_cat.fits"));
        let sheets = files.flat_map(|file| archive.facts(&file).unwrap().unwrap().files);
        sheets.map(|sheet| (sheet.multiframe_id.unwrap().get(), sheet.detections)).collect()
    };
    assert_eq!(shown(&archive), [(3, 3, 60)]);
    let wanted = [(1, 10), (1, 10), (2, 10), (2, 10), (3, 0), (3, 20)];
    assert_eq!(versions(&archive), wanted, "of the newer and the older catalogue of each image");
    let refused = (1, 1, vec![2], Lack::HduRefused);
    let absent = (2, 2, vec![3], Lack::HduAbsent);
    let whole = (3, 3, vec![2, 3], Lack::HduRefused);
    assert_eq!(kept(&archive), [refused.clone(), absent.clone(), whole.clone()]);
    assert_eq!(archive.status().unwrap().kept_products, 3);
    let findings = archive.findings(Some(&NIGHT.parse().unwrap())).unwrap();
    let found: Vec<(&str, u64)> = findings.iter().map(|f| (f.subject.as_str(), f.files)).collect();
    assert_eq!(found, [("20071011_v1 hdu_absent", 1), ("20071011_v1 hdu_refused", 2)]);
    let supersede = model::Advice::Supersede { delivery: NIGHT.parse().unwrap() };
    assert!(findings.iter().all(|f| f.advice().as_ref() == Some(&supersede)), "{findings:?}");
    // A retraction takes all, and its undo brings all back.
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(0, 0, 0)]);
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(3, 3, 60)]);
    assert_eq!(kept(&archive), [refused, absent, whole]);
    // The operator decides about one image and about the rest.
    let done = archive.supersede((NIGHT, Some("w00000.fit")), &[], &cause(), now()).unwrap();
    assert_eq!((done.products.len(), shown(&archive)), (1, vec![(3, 3, 50)]));
    archive.supersede((NIGHT, None), &[UseCase::Catalogue], &cause(), now()).unwrap();
    assert_eq!((shown(&archive), kept(&archive)), (vec![(3, 3, 20)], Vec::new()));
    let nothing = archive.supersede((NIGHT, None), &[], &cause(), now());
    assert!(nothing.unwrap_err().is_conflict());
    let back = archive.undo_supersession((NIGHT, None), &[], &cause(), now()).unwrap();
    assert_eq!((back.products.len(), shown(&archive)), (3, vec![(3, 3, 60)]));
    let undone = |n: usize| -> Vec<Vec<i64>> {
        let image = archive.facts(&format!("w{n:05}.fit")).unwrap().unwrap().files.remove(0);
        assert!(image.undone_decisions.iter().all(|d| Some(d.undone_event) == back.event));
        image.undone_decisions.into_iter().map(|decision| decision.ext_nums).collect()
    };
    assert_eq!([undone(0), undone(1), undone(2)], [[vec![2]], [vec![3]], [vec![2, 3]]]);
    assert!(
        archive.undo_supersession((NIGHT, None), &[], &cause(), now()).unwrap_err().is_conflict()
    );
    // A decision is about the catalogue that lacked the detector: a later one replaces both.
    archive.supersede((NIGHT, None), &[], &cause(), now()).unwrap();
    newer(&mut archive, "third", &|_, _| Hdu::Whole);
    assert_eq!((shown(&archive), kept(&archive)), (vec![(3, 3, 60)], Vec::new()));
    newer(&mut archive, "fourth", &|_, ext_num| {
        [Hdu::Whole, Hdu::Absent][usize::from(ext_num == 3)]
    });
    assert_eq!(shown(&archive), [(3, 3, 60)]);
    assert_eq!(kept(&archive).len(), 3);
}

/// Detections of a superseded frame that come late show while the newer one has none, and at no event beside those.
pub fn late_catalogues_follow_the_same_rule(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    for use_case in [UseCase::Metadata, UseCase::Preview] {
        let unit = stage_round(&mut archive, use_case, 1);
        super::publication::publish(&mut archive, &unit);
    }
    record_of(&mut archive, SECOND, &night(2));
    for use_case in [UseCase::Metadata, UseCase::Preview] {
        let unit = stage_round_of(&mut archive, SECOND, use_case, 1);
        super::publication::publish(&mut archive, &unit);
    }
    assert_eq!(shown(&archive), [(0, 0, 0), (2, 2, 0)]);
    // One frame's detections of the first version come now: its metadata show with them.
    let first = |i: &ImageWork| i.name == "w00000.fit";
    let second = |i: &ImageWork| i.name == "w00001.fit";
    let late = |archive: &mut Archive, wanted: &dyn Fn(&ImageWork) -> bool| {
        let unit = open_round(archive, UseCase::Catalogue, 1, wanted);
        for started in start_all(archive, &unit) {
            archive.accept_result(&work_off(&started), now()).unwrap();
        }
        super::publication::publish(archive, &unit);
    };
    late(&mut archive, &first);
    assert_eq!(shown(&archive), [(1, 0, 20), (2, 2, 0)]);
    let unit = stage_round_of(&mut archive, SECOND, UseCase::Catalogue, 1);
    super::publication::publish(&mut archive, &unit);
    assert_eq!(shown(&archive), [(0, 0, 0), (2, 2, 40)]);
    // The other's come after those of the second version: they never show.
    let before = archive.status().unwrap().events;
    late(&mut archive, &second);
    assert_eq!(shown(&archive), [(0, 0, 0), (2, 2, 40)]);
    assert_eq!(archive.status().unwrap().events, before + 1, "one event, in which they end");
    archive.retract(&SECOND.parse().unwrap(), &[UseCase::Catalogue], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(2, 0, 40), (2, 2, 0)], "and are there when they are needed");
    archive.restore(&SECOND.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(0, 0, 0), (2, 2, 40)]);
}
