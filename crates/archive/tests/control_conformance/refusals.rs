//! The life of refusals.

use super::Fresh;
use super::staging::*;
use archive::attempts::results::Outcome;
use archive::refusals::{
    Decision, RefusalFilter, RefusalRecord, RefusalState, Stage, StagedRefusal,
};
use archive::registration::{Arrival, DeliveryFacts, Registration};
use archive::work::ImageWork;
use archive::{Archive, Reader};
use model::{Refusal, RefusalId, ReportCode, RoundNumber, UnitState, UseCase};

fn open(archive: &Reader) -> Vec<RefusalRecord> {
    let filter = RefusalFilter { state: Some(RefusalState::Open), ..RefusalFilter::default() };
    archive.refusals(&filter).unwrap()
}

fn refuse_in_metadata(archive: &mut Archive, refused: Option<Refusal>) {
    let unit = open_round(archive, UseCase::Metadata, 1, &|_| true);
    for started in start_all(archive, &unit) {
        let mut result = work_off(&started);
        result.refusals.extend(refused.clone());
        archive.accept_result(&result, now()).unwrap();
    }
}

pub fn a_new_programme_releases(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &[arrival("a.fit", "image")]);
    let of_project = Refusal {
        subject: Some("u/05a/3".to_owned()),
        ..refusal("unknown_project", "a.fit", None, true)
    };
    refuse_in_metadata(&mut archive, Some(of_project));
    let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    assert_eq!(
        work.images[0].progress(UseCase::Metadata).coverage.as_ref().unwrap().outcome,
        Some(Outcome::Parked)
    );
    let fits = |r: &RefusalRecord| r.refusal.subject.as_deref() == Some("u/05a/3");
    let pi1 = "PI1".parse().unwrap();
    let (id, released) = archive.add_programme(&pi1, "u/05a/3", &fits, &cause(), now()).unwrap();
    assert_eq!((id.get(), released), (10001, 1));
    assert!(
        archive.delivery_work(&NIGHT.parse().unwrap()).unwrap().images[0]
            .progress(UseCase::Metadata)
            .redo
            .is_some()
    );
    let again = archive.add_programme(&pi1, "U/05A/3", &fits, &cause(), now()).unwrap();
    assert_eq!((again.0, again.1), (id, 0), "twice is once");
    let clash = archive.add_programme(&pi1, "u/05a/37", &fits, &cause(), now());
    assert!(clash.unwrap_err().is_conflict());
    let names: Vec<String> =
        archive.programmes().unwrap().into_iter().map(|p| p.name.into()).collect();
    assert_eq!(names, ["LAS", "PI1"]);
}

pub fn refusals_live_and_die(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    let bad = |name: &str| StagedRefusal {
        stage: Stage::Transfer,
        refusal: refusal("symbolic_link", name, None, false),
    };
    let names = ["one", "two", "three", "four.fit"];
    let refused = names.map(bad);
    assert_eq!(record_refused(&mut archive, &[], &refused).new_refusals, 4);
    assert_eq!(record_refused(&mut archive, &[], &refused).new_refusals, 0, "met again");
    let ids: Vec<RefusalId> = open(&archive).iter().map(|r| r.refusal_id).collect();
    for (id, decision) in ids.iter().zip([Decision::Accept, Decision::Dismiss, Decision::Retry]) {
        archive.decide(*id, decision, &cause(), now()).unwrap();
    }
    assert!(archive.decide(ids[0], Decision::Dismiss, &cause(), now()).unwrap_err().is_conflict());
    assert!(
        archive.decide(RefusalId::new(999).unwrap(), Decision::Accept, &cause(), now()).is_err()
    );
    let met_again = record_refused(&mut archive, &[], &refused).new_refusals;
    assert_eq!(met_again, 1, "only what was retried counts again");
    let good = record(&mut archive, &[arrival("four.fit", "good")]);
    assert_eq!(good.resolved_refusals, 1);
    let all = archive.refusals(&RefusalFilter::default()).unwrap();
    let states: Vec<RefusalState> = all.iter().map(|r| r.state).collect();
    use RefusalState::{Accepted, Dismissed, Open, Resolved, Retried};
    assert_eq!(states, [Accepted, Dismissed, Open, Resolved]);
    let life: Vec<RefusalState> = all[2].history.iter().map(|change| change.state).collect();
    assert_eq!((life, all[2].occurrences), (vec![Retried, Open], 3), "the same one is open again");
    assert_eq!(all[0].occurrences, 3);
    assert_eq!(all[0].history.last().unwrap().cause, cause());
}

pub fn a_catalogue_waits_for_metadata(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(1));
    refuse_in_metadata(
        &mut archive,
        Some(refusal("missing_keyword", "w00000.fit", Some(0), false)),
    );
    let codes: Vec<(String, ReportCode)> =
        open(&archive).into_iter().map(|r| (r.refusal.file, r.refusal.code)).collect();
    let wanted = [("w00000.fit", "missing_keyword"), ("w00000_cat.fits", "metadata_refused")];
    assert_eq!(codes, wanted.map(|(file, code)| (file.to_owned(), code.into())));
    let metadata = open(&archive)[0].refusal_id;
    archive.decide(metadata, Decision::Retry, &cause(), now()).unwrap();
    // The first round is staged; the next one may be opened when it is over.
    let first = archive.staged_rounds().unwrap()[0].unit.clone();
    archive.refuse_batch(&first, "test", "not wanted", now()).unwrap();
    refuse_in_metadata(&mut archive, None);
    let left: Vec<ReportCode> = open(&archive).into_iter().map(|r| r.refusal.code).collect();
    assert_eq!(left, ["batch_test"], "image and catalogue are resolved");
}

pub fn a_failed_round_is_retried(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    let unit = stage_round(&mut archive, UseCase::Preview, 1);
    archive.refuse_batch(&unit, "checksum", "a file changed", now()).unwrap();
    archive.refuse_batch(&unit, "checksum", "a file changed", now()).unwrap();
    assert_eq!(archive.unit_state(&unit).unwrap(), UnitState::Failed);
    let refused = open(&archive);
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (refused[0].refusal.code.as_str(), refused[0].round),
        ("batch_checksum", Some(RoundNumber::FIRST))
    );
    assert!(
        archive.delivery_work(&NIGHT.parse().unwrap()).unwrap().images[0]
            .progress(UseCase::Preview)
            .redo
            .is_none()
    );
    archive.decide(refused[0].refusal_id, Decision::Retry, &cause(), now()).unwrap();
    let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    assert!(work.images.iter().all(|i| i.progress(UseCase::Preview).redo.is_some()));
    let again = open_round(&mut archive, UseCase::Preview, 1, &|_| true);
    assert_eq!(again.round.get(), 2);
    let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    assert!(work.images.iter().all(|i| i.progress(UseCase::Preview).redo.is_none()), "taken up");
}

/// A catalogue without image waits under one number, whatever else arrives, until its image does.
pub fn a_refusal_keeps_its_number(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    let awaiting = |archive: &mut Archive, awaited: Option<&str>, arrivals: &[Arrival]| {
        let awaited = awaited.map(str::to_owned);
        let registration = Registration {
            delivery: DeliveryFacts { all_there: awaited.is_none(), awaited, ..delivery() },
            ..registration(arrivals)
        };
        archive.record(&registration, now()).unwrap()
    };
    let cats: Vec<Arrival> = night(3).into_iter().filter(|f| f.name.contains("_cat")).collect();
    assert_eq!(awaiting(&mut archive, None, &cats).new_refusals, 3);
    let before = archive.refusals(&RefusalFilter::default()).unwrap();
    // Files arrive in groups, each with more to come; another content of a waiting catalogue is among them.
    for n in 10..28 {
        let file = arrival(&format!("other{n}.fit"), &format!("image {n}"));
        let recorded = awaiting(&mut archive, Some("images"), &[file]);
        assert_eq!((recorded.new_refusals, recorded.resolved_refusals), (0, 0), "file {n}");
    }
    let newer = arrival("w00001_cat.fits", "newer rows");
    assert_eq!(awaiting(&mut archive, None, &[newer]).new_refusals, 0);
    let after = archive.refusals(&RefusalFilter::default()).unwrap();
    assert_eq!(after.len(), 3);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.refusal_id, after.refusal_id);
        assert_eq!((after.state, after.history.len()), (RefusalState::Open, 0));
    }
    let image = arrival("w00001.fit", "image 1");
    let recorded = awaiting(&mut archive, Some("images"), &[image]);
    assert_eq!((recorded.new_refusals, recorded.resolved_refusals), (0, 1));
    let left: Vec<String> = open(&archive).into_iter().map(|r| r.refusal.file).collect();
    assert_eq!(left, ["w00000_cat.fits", "w00002_cat.fits"]);
    // What is said of refused metadata stays through retraction and undo.
    refuse_in_metadata(&mut archive, Some(refusal("damaged", "w00001.fit", None, false)));
    let unit = archive.staged_rounds().unwrap()[0].unit.clone();
    super::publication::publish(&mut archive, &unit);
    let numbers = |archive: &Reader| -> Vec<RefusalId> {
        open(archive).into_iter().map(|refusal| refusal.refusal_id).collect()
    };
    let said = numbers(&archive);
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(awaiting(&mut archive, None, &[]).new_refusals, 0);
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(awaiting(&mut archive, None, &[]).new_refusals, 0);
    assert_eq!(numbers(&archive), said);
}

/// A file that a retry, or newer content, covers again counts once.
pub fn findings_are_of_distinct_files(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(4));
    let finding = |code: &str, file: &str, files, count| model::Finding {
        code: code.into(),
        file: file.to_owned(),
        hdu: Some(1),
        subject: Some("FOO".to_owned()),
        files,
        count,
        message: "FOO is missing".to_owned(),
    };
    let round =
        |archive: &mut Archive, wanted: &dyn Fn(&ImageWork) -> bool, inputs: Vec<[u32; 3]>| {
            let unit = open_round(archive, UseCase::Metadata, 1, wanted);
            for started in start_all(archive, &unit) {
                let mut result = work_off(&started);
                let name = &started.inputs[0].image.name;
                let files = inputs.iter().map(|[first, last, _]| u64::from(last - first + 1)).sum();
                if files > 0 {
                    result.findings.push(finding("keyword_missing", name, files, 1));
                }
                result.counted.push(model::task::CountedFinding {
                    code: "keyword_missing".into(),
                    subject: "FOO".to_owned(),
                    catalogue: false,
                    inputs: inputs.clone(),
                });
                result.findings.push(finding("keyword_mistyped", name, 1, 3));
                archive.accept_result(&result, now()).unwrap();
            }
            super::publication::publish(archive, &unit);
        };
    let counts = |archive: &Reader| -> Vec<(ReportCode, u64, u64)> {
        let findings = archive.findings(None).unwrap();
        let mine = findings.into_iter().filter(|f| f.stage == "metadata");
        let mut counts: Vec<_> = mine.map(|f| (f.code, f.files, f.occurrences)).collect();
        counts.sort();
        counts
    };
    let wanted = |missing: (u64, u64), mistyped: (u64, u64)| {
        vec![
            ("keyword_missing".into(), missing.0, missing.1),
            ("keyword_mistyped".into(), mistyped.0, mistyped.1),
        ]
    };
    round(&mut archive, &|_| true, vec![[1, 3, 2], [4, 4, 5]]);
    assert_eq!(counts(&archive), wanted((4, 11), (1, 3)));
    // The first two are redone: one no longer has it.
    archive.request_again(&NIGHT.parse().unwrap(), UseCase::Metadata, &cause(), now()).unwrap();
    round(&mut archive, &|i| i.name.as_str() < "w00002", vec![[2, 2, 2], [9, 99, 1]]);
    assert_eq!(counts(&archive), wanted((3, 9), (1, 3)));
    assert_eq!(archive.status().unwrap().deliveries[0].findings, 2);
    // Newer content of a file takes its findings along.
    record(&mut archive, &[arrival("w00003.fit", "newer")]);
    assert_eq!(counts(&archive), wanted((2, 4), (1, 3)));
    // What is retracted has no findings, until it comes back.
    archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!((counts(&archive), archive.status().unwrap().deliveries[0].findings), (vec![], 0));
    archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
    assert_eq!(counts(&archive), wanted((2, 4), (1, 3)));
}
