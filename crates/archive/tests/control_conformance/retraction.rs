//! Undo and redo: what is retracted is gone from every view, comes back under the same ids, and makes room for what it had
//! superseded.

use super::{Engine, Fresh, staging::*};
use archive::records::*;
use model::UseCase;

const SECOND: &str = "20071011_v2";

/// Multiframes, previews and detections that the archive shows of each delivery.
fn shown<A: Engine>(archive: &A) -> Vec<(u64, u64, u64)> {
    let deliveries = archive.status().unwrap().deliveries;
    deliveries.iter().map(|d| (d.multiframes, d.previews, d.detections)).collect()
}

fn ingest_all<A: Engine>(archive: &mut A, delivery: &str) {
    for use_case in [UseCase::Metadata, UseCase::Preview, UseCase::Catalogue] {
        let unit = stage_round_of(archive, delivery, use_case, 1);
        super::publication::publish(archive, &unit);
    }
}

pub fn a_delivery_goes_and_comes_back<A: Engine>(fresh: &Fresh<A>) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(3));
    assert!(archive.retract(NIGHT, &[], &cause(), now()).unwrap_err().is_conflict());
    ingest_all(&mut archive, NIGHT);
    assert_eq!(shown(&archive), [(3, 3, 60)]);
    let gone = archive.retract(NIGHT, &[], &cause(), now()).unwrap();
    assert_eq!(gone.rounds.len(), 3);
    assert_eq!(gone.rows.iter().find(|(t, _)| t == "detection").map(|r| r.1), Some(60));
    assert_eq!(shown(&archive), [(0, 0, 0)]);
    assert!(archive.retract(NIGHT, &[], &cause(), now()).unwrap_err().is_conflict());
    let back = archive.restore(NIGHT, &[], &cause(), now()).unwrap();
    assert!(back.event > gone.event);
    assert_eq!(shown(&archive), [(3, 3, 60)]);
    assert!(archive.restore(NIGHT, &[], &cause(), now()).unwrap_err().is_conflict());
    // A part of it; what refers to it goes along.
    let gone = archive.retract(NIGHT, &[UseCase::Catalogue], &cause(), now()).unwrap();
    assert_eq!((gone.rounds.len(), shown(&archive)), (1, vec![(3, 3, 0)]));
    archive.restore(NIGHT, &[], &cause(), now()).unwrap();
    let gone = archive.retract(NIGHT, &[UseCase::Metadata], &cause(), now()).unwrap();
    assert_eq!((gone.rounds.len(), shown(&archive)), (3, vec![(0, 0, 0)]));
    let fault = archive.restore(NIGHT, &[UseCase::Preview], &cause(), now()).unwrap_err();
    assert!(fault.is_conflict(), "it would refer to nothing: {fault:?}");
    archive.restore(NIGHT, &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(3, 3, 60)]);
    assert_eq!(archive.status().unwrap().programmes[0].last_obj_id, 60);
}

pub fn what_was_retracted_can_be_ingested_again<A: Engine>(fresh: &Fresh<A>) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    ingest_all(&mut archive, NIGHT);
    archive.retract(NIGHT, &[], &cause(), now()).unwrap();
    for use_case in UseCase::ALL {
        archive.ask_again(NIGHT, use_case, &cause(), now()).unwrap();
    }
    ingest_all(&mut archive, NIGHT);
    assert_eq!(shown(&archive), [(2, 2, 40)]);
    assert_eq!(archive.status().unwrap().programmes[0].last_obj_id, 80, "ids are not used twice");
    let fault = archive.restore(NIGHT, &[], &cause(), now()).unwrap_err();
    assert!(fault.is_conflict(), "it would be there twice: {fault:?}");
    assert_eq!(shown(&archive), [(2, 2, 40)]);
}

pub fn what_is_purged_is_gone<A: Engine>(fresh: &Fresh<A>) {
    let (_dir, site, mut archive) = fresh();
    record(&mut archive, &night(2));
    record_of(&mut archive, "20071012_v1", &night(1));
    ingest_all(&mut archive, NIGHT);
    assert_eq!(archive.purge(None, now()).unwrap(), Purged::default(), "nothing is retracted");
    archive.retract(NIGHT, &[UseCase::Catalogue], &cause(), now()).unwrap();
    let purged = archive.purge(Some(NIGHT), now()).unwrap();
    assert_eq!((purged.rounds.len(), purged.rows), (1, 40));
    assert!(archive.restore(NIGHT, &[], &cause(), now()).unwrap_err().is_conflict());
    archive.retract(NIGHT, &[], &cause(), now()).unwrap();
    let previews = site.previews().join("20071011_v1");
    assert_eq!(archive.purge(None, now()).unwrap().rounds.len(), 2);
    assert!(std::fs::read_dir(previews).map_or(0, Iterator::count) == 0);
    assert_eq!(shown(&archive)[0], (0, 0, 0));
    // It can be ingested anew, with new ids.
    for use_case in UseCase::ALL {
        archive.ask_again(NIGHT, use_case, &cause(), now()).unwrap();
    }
    ingest_all(&mut archive, NIGHT);
    assert_eq!(shown(&archive)[0], (2, 2, 40));
    assert_eq!(archive.status().unwrap().programmes[0].last_obj_id, 80);
}

pub fn a_newer_processing_supersedes_file_by_file<A: Engine>(fresh: &Fresh<A>) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(3));
    ingest_all(&mut archive, NIGHT);
    // The second processing has two of the three frames.
    record_of(&mut archive, SECOND, &night(2));
    let unit = stage_round_of(&mut archive, SECOND, UseCase::Metadata, 1);
    assert_eq!(shown(&archive), [(3, 3, 60), (0, 0, 0)], "not before it is visible");
    let receipt = super::publication::publish(&mut archive, &unit);
    assert!(matches!(receipt, Receipt::Published { superseded: 2, .. }), "{receipt:?}");
    let unit = stage_round_of(&mut archive, SECOND, UseCase::Catalogue, 1);
    super::publication::publish(&mut archive, &unit);
    assert_eq!(shown(&archive), [(1, 1, 20), (2, 0, 40)]);
    let facts = archive.facts(SECOND).unwrap().unwrap();
    let sheet = facts.delivery.unwrap();
    assert_eq!(sheet.without_successor, [(NIGHT.to_owned(), "w00002.fit".to_owned())]);
    // The older processing done again does not push the newer one aside.
    archive.ask_again(NIGHT, UseCase::Metadata, &cause(), now()).unwrap();
    let unit = stage_round_of(&mut archive, NIGHT, UseCase::Metadata, 1);
    super::publication::publish(&mut archive, &unit);
    assert_eq!(shown(&archive), [(1, 1, 20), (2, 0, 40)]);
    // Without the newer one the older frames show again, and the other way round.
    let gone = archive.retract(SECOND, &[], &cause(), now()).unwrap();
    assert_eq!(gone.shown_again, [1, 2]);
    assert_eq!(shown(&archive), [(3, 3, 60), (0, 0, 0)]);
    archive.restore(SECOND, &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(1, 1, 20), (2, 0, 40)]);
    archive.retract(NIGHT, &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(0, 0, 0), (2, 0, 40)]);
    archive.restore(NIGHT, &[], &cause(), now()).unwrap();
    assert_eq!(shown(&archive), [(1, 1, 20), (2, 0, 40)]);
}
