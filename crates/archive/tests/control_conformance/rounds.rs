//! Rounds, tasks, attempts.

use super::Fresh;
use super::staging::*;
use archive::attempts::AttemptEnd;
use archive::attempts::results::{Acceptance, Outcome};
use archive::history::Cause;
use archive::refusals::RefusalFilter;
use archive::rounds::{PlannedInput, PlannedRound, PlannedTask};
use model::{AttemptNumber, ReportCode, UnitState, UseCase};

pub fn a_round_covers_its_files_once(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(4));
    let unit = open_round(&mut archive, UseCase::Metadata, 2, &|_| true);
    assert_eq!(unit.round.get(), 1);
    assert_eq!(archive.tasks(&unit).unwrap().len(), 2);
    let inputs = vec![PlannedInput {
        multiframe_id: model::MultiframeId::new(1).unwrap(),
        catalogue_version: None,
    }];
    let round = PlannedRound {
        delivery: NIGHT.parse().unwrap(),
        use_case: UseCase::Metadata,
        recipe: String::new(),
        tasks: vec![PlannedTask { survey: "wfcam".parse().unwrap(), inputs }],
        why: "twice".to_owned(),
    };
    assert!(archive.open_round(&round, &cause(), now()).unwrap_err().is_conflict());
    let task = archive.tasks(&unit).unwrap()[1].key.clone();
    let started = archive.start_attempt(&task, &lease(), None, now()).unwrap();
    let names: Vec<&str> = started.inputs.iter().map(|i| i.image.name.as_str()).collect();
    assert_eq!(names, ["w00002.fit", "w00003.fit"]);
    assert!(started.directory.ends_with("staging/20071011_v1.metadata/1/2/1"));
    assert_eq!(archive.unit_state(&unit).unwrap(), UnitState::Running);
    let running = archive.running_attempts().unwrap();
    assert_eq!(running.len(), 1);
    assert_eq!((&running[0].attempt, &running[0].lease), (&started.attempt, &lease()));
    let catalogue = open_round(&mut archive, UseCase::Catalogue, 1, &|_| true);
    let task = archive.tasks(&catalogue).unwrap()[0].key.clone();
    let early = archive.start_attempt(&task, &lease(), None, now());
    assert!(early.unwrap_err().is_conflict(), "its metadata are not staged");
}

pub fn the_first_result_counts(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(1));
    let unit = open_round(&mut archive, UseCase::Metadata, 1, &|_| true);
    let task = archive.tasks(&unit).unwrap()[0].key.clone();
    let first = archive.start_attempt(&task, &lease(), None, now()).unwrap();
    archive.end_attempt(&first.attempt, AttemptEnd::Lost, "node away", now()).unwrap();
    assert!(!archive.renew_lease(&first.attempt, now()).unwrap());
    let second = archive.start_attempt(&task, &lease(), None, now()).unwrap();
    assert!(archive.renew_lease(&second.attempt, now()).unwrap());
    assert_ne!(first.directory, second.directory);
    // The node comes back with its result before the second attempt is done.
    let result = work_off(&first);
    let taken = archive.accept_result(&result, now()).unwrap();
    assert_eq!(taken, Acceptance::Accepted { new_refusals: 0, staged: true });
    assert_eq!(archive.accept_result(&result, now()).unwrap(), Acceptance::Already);
    assert_eq!(archive.accept_result(&work_off(&second), now()).unwrap(), Acceptance::Redundant);
    let sweepable = archive.sweepable_attempts(now()).unwrap();
    assert_eq!(sweepable, [(second.attempt.clone(), second.directory)]);
    archive.mark_swept(&second.attempt).unwrap();
    assert!(archive.sweepable_attempts(now()).unwrap().is_empty());
    let mut stranger = result.clone();
    stranger.attempt = AttemptNumber::new(9).unwrap();
    assert!(archive.accept_result(&stranger, now()).unwrap_err().is_conflict());
    assert_eq!(archive.batch(&unit).unwrap().tasks[0].result.as_ref(), Some(&result));
    assert_eq!(archive.batch(&unit).unwrap().tasks[0].directory.as_ref(), Some(&first.directory));
}

pub fn a_task_is_given_up(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    let unit = open_round(&mut archive, UseCase::Metadata, 2, &|_| true);
    let started = start_all(&mut archive, &unit);
    archive.end_attempt(&started[0].attempt, AttemptEnd::Failed, "killed", now()).unwrap();
    let record = &archive.tasks(&unit).unwrap()[0];
    assert_eq!((record.attempts, record.failures, record.running), (1, 1, false));
    let cause = Cause::new("run", "three attempts failed");
    let over = archive.give_up_task(&started[0].attempt.task, &cause, now()).unwrap();
    assert_eq!(
        over,
        Acceptance::Accepted { new_refusals: 2, staged: false },
        "image and its catalogue"
    );
    let result = work_off(&started[1]);
    let over = archive.accept_result(&result, now()).unwrap();
    assert_eq!(over, Acceptance::Accepted { new_refusals: 0, staged: true }, "the night continues");
    let late = archive.accept_result(&work_off(&started[0]), now()).unwrap();
    assert_eq!(late, Acceptance::Redundant);
    let batch = archive.batch(&unit).unwrap();
    assert_eq!(batch.tasks[0].result, None);
    assert_eq!(batch.tasks[0].inputs[0].outcome, Outcome::Refused);
    let codes: Vec<ReportCode> = archive
        .refusals(&RefusalFilter::default())
        .unwrap()
        .into_iter()
        .map(|r| r.refusal.code)
        .collect();
    assert_eq!(codes, ["task_failed", "metadata_refused"]);
}
