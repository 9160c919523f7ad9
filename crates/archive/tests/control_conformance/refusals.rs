//! The life of refusals.

use super::staging::*;
use super::{Engine, Fresh};
use archive::records::*;
use model::{UnitState, UseCase};

fn open(archive: &impl Engine) -> Vec<RefusalRecord> {
    let filter = RefusalFilter { state: Some(RefusalState::Open), ..RefusalFilter::default() };
    archive.refusals(&filter).unwrap()
}

fn refuse_in_metadata<A: Engine>(archive: &mut A, refused: Option<model::Refusal>) {
    let unit = open_round(archive, UseCase::Metadata, 1, &|_| true);
    for started in start_all(archive, &unit) {
        let mut result = work_off(&started);
        result.refusals.extend(refused.clone());
        archive.take_result(&result, now()).unwrap();
    }
}

pub fn a_new_programme_releases<A: Engine>(fresh: &Fresh<A>) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &[arrival("a.fit", "image")]);
    refuse_in_metadata(&mut archive, Some(refusal("unknown_project", "a.fit", None, true)));
    let work = archive.delivery_work(NIGHT).unwrap();
    assert_eq!(work.images[0].metadata.coverage.as_ref().unwrap().outcome, Some(Outcome::Parked));
    let fits = |r: &RefusalRecord| r.refusal.code == "unknown_project";
    let (id, released) = archive.add_programme("PI1", "u/05a/3", &fits, &cause(), now()).unwrap();
    assert_eq!((id.get(), released), (10001, 1));
    assert!(archive.delivery_work(NIGHT).unwrap().images[0].metadata.redo.is_some());
    let again = archive.add_programme("PI1", "U/05A/3", &fits, &cause(), now()).unwrap();
    assert_eq!((again.0, again.1), (id, 0), "twice is once");
    let clash = archive.add_programme("PI1", "u/05a/37", &fits, &cause(), now());
    assert!(clash.unwrap_err().is_conflict());
    let names: Vec<String> = archive.programmes().unwrap().into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["LAS", "PI1"]);
}

pub fn refusals_live_and_die<A: Engine>(fresh: &Fresh<A>) {
    let (_dir, _site, mut archive) = fresh();
    let bad = |name: &str| StagedRefusal {
        stage: Stage::Transfer,
        refusal: refusal("symbolic_link", name, None, false),
    };
    let names = ["one", "two", "three", "four.fit"];
    let refused = names.map(bad);
    assert_eq!(record_refused(&mut archive, &[], &refused).new_refusals, 4);
    assert_eq!(record_refused(&mut archive, &[], &refused).new_refusals, 0, "met again");
    let ids: Vec<i64> = open(&archive).iter().map(|r| r.refusal_id).collect();
    for (id, decision) in ids.iter().zip([Decision::Accept, Decision::Dismiss, Decision::Retry]) {
        archive.decide(*id, decision, &cause(), now()).unwrap();
    }
    assert!(archive.decide(ids[0], Decision::Dismiss, &cause(), now()).unwrap_err().is_conflict());
    assert!(archive.decide(999, Decision::Accept, &cause(), now()).is_err());
    let met_again = record_refused(&mut archive, &[], &refused).new_refusals;
    assert_eq!(met_again, 1, "only what was retried counts again");
    let good = record(&mut archive, &[arrival("four.fit", "good")]);
    assert_eq!(good.resolved_refusals, 1);
    let all = archive.refusals(&RefusalFilter::default()).unwrap();
    let states: Vec<RefusalState> = all.iter().map(|r| r.state).collect();
    use RefusalState::{Accepted, Dismissed, Open, Resolved, Retried};
    assert_eq!(states, [Accepted, Dismissed, Open, Resolved]);
    let life: Vec<RefusalState> = all[2].history.iter().map(|change| change.state).collect();
    assert_eq!((life, all[2].seen_times), (vec![Retried, Open], 3), "the same one is open again");
    assert_eq!(all[0].seen_times, 3);
    assert_eq!(all[0].history.last().unwrap().cause, cause());
}

pub fn a_catalogue_waits_for_metadata<A: Engine>(fresh: &Fresh<A>) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(1));
    refuse_in_metadata(
        &mut archive,
        Some(refusal("missing_keyword", "w00000.fit", Some(0), false)),
    );
    let codes: Vec<(String, String)> =
        open(&archive).into_iter().map(|r| (r.refusal.file, r.refusal.code)).collect();
    let wanted = [("w00000.fit", "missing_keyword"), ("w00000_cat.fits", "metadata_refused")];
    assert_eq!(codes, wanted.map(|(file, code)| (file.to_owned(), code.to_owned())));
    let metadata = open(&archive)[0].refusal_id;
    archive.decide(metadata, Decision::Retry, &cause(), now()).unwrap();
    // The first round is staged; the next one may be opened when it is over.
    let first = archive.staged_rounds().unwrap()[0].unit.clone();
    archive.refuse_batch(&first, "test", "not wanted", now()).unwrap();
    refuse_in_metadata(&mut archive, None);
    let left: Vec<String> = open(&archive).into_iter().map(|r| r.refusal.code).collect();
    assert_eq!(left, ["batch_test"], "image and catalogue are resolved");
}

pub fn a_failed_round_is_retried<A: Engine>(fresh: &Fresh<A>) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    let unit = stage_round(&mut archive, UseCase::Preview, 1);
    archive.refuse_batch(&unit, "checksum", "a file changed", now()).unwrap();
    archive.refuse_batch(&unit, "checksum", "a file changed", now()).unwrap();
    assert_eq!(archive.unit_state(&unit).unwrap(), UnitState::Failed);
    let refused = open(&archive);
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].refusal.code.as_str(), refused[0].round), ("batch_checksum", Some(1)));
    assert!(archive.delivery_work(NIGHT).unwrap().images[0].preview.redo.is_none());
    archive.decide(refused[0].refusal_id, Decision::Retry, &cause(), now()).unwrap();
    let work = archive.delivery_work(NIGHT).unwrap();
    assert!(work.images.iter().all(|i| i.preview.redo.is_some()));
    let again = open_round(&mut archive, UseCase::Preview, 1, &|_| true);
    assert_eq!(again.round, 2);
    let work = archive.delivery_work(NIGHT).unwrap();
    assert!(work.images.iter().all(|i| i.preview.redo.is_none()), "taken up");
}
