//! Plans, decisions, instructions, places.

use super::Fresh;
use super::staging::*;
use archive::attempts::Place;
use archive::history::Cause;
use archive::planning::*;
use archive::rounds::{PlannedInput, PlannedRound, PlannedTask, TaskKey};
use archive::work::ImageWork;
use archive::{Archive, Reader};
use model::{Night, PlanId, TaskNumber, UnitKey, UnitState, UseCase};

/// A round that is ready, and not approved as those of the other cases.
fn ready(archive: &mut Archive, use_case: UseCase, tasks: usize) -> UnitKey {
    let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    let input = |image: &ImageWork| PlannedInput {
        multiframe_id: image.multiframe_id,
        catalogue_version: image.catalogue.as_ref().map(|c| c.version),
    };
    let inputs: Vec<PlannedInput> = work.images.iter().map(input).collect();
    let parts = inputs.chunks(inputs.len().div_ceil(tasks));
    let task = |inputs: &[PlannedInput]| PlannedTask {
        survey: "wfcam".parse().unwrap(),
        inputs: inputs.to_vec(),
    };
    let round = PlannedRound {
        delivery: NIGHT.parse().unwrap(),
        use_case,
        recipe: String::new(),
        tasks: parts.map(task).collect(),
        why: "new files".to_owned(),
    };
    archive.open_round(&round, &cause(), now()).unwrap()
}

fn proposal(tasks: &[(&UnitKey, u32, &str)]) -> Proposal {
    let task = |(unit, task, host): &(&UnitKey, u32, &str)| ProposedTask {
        task: TaskKey { unit: (*unit).clone(), task: TaskNumber::new(*task).unwrap() },
        host: (*host).parse().unwrap(),
        starts: now(),
        seconds: 12.5,
    };
    Proposal {
        tasks: tasks.iter().map(task).collect(),
        expected: Vec::new(),
        document: "{}".to_owned(),
    }
}

fn whole() -> Selection {
    Selection::default()
}

pub fn a_plan_is_approved_in_parts(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(4));
    let previews = ready(&mut archive, UseCase::Preview, 2);
    let metadata = ready(&mut archive, UseCase::Metadata, 1);
    let open = archive.open_tasks().unwrap();
    assert_eq!(open.len(), 3);
    assert!(open.iter().all(|t| !t.may_start() && t.assignment.is_none() && t.input_bytes > 0));
    let plan = proposal(&[(&previews, 1, "n1"), (&previews, 2, "n2"), (&metadata, 1, "n1")]);
    let number = archive.propose(&plan, &cause(), now()).unwrap();
    assert_eq!(archive.unit_state(&previews).unwrap(), UnitState::Proposed);
    assert_eq!(archive.plan(None).unwrap().unwrap().state, PlanState::Proposed);
    // What is planned on one host.
    let of_host = Selection { hosts: vec!["n2".parse().unwrap()], ..whole() };
    let decided = archive.approve(None, &of_host, &cause(), now()).unwrap();
    assert_eq!(decided.plan_id, number);
    assert_eq!((decided.tasks, decided.units), (1, vec![previews.clone()]));
    assert_eq!(archive.unit_state(&previews).unwrap(), UnitState::Approved);
    assert_eq!(archive.unit_state(&metadata).unwrap(), UnitState::Proposed);
    assert_eq!(archive.plan(None).unwrap().unwrap().state, PlanState::PartlyApproved);
    let may = |archive: &Reader| -> Vec<(UseCase, u32)> {
        let open = archive.open_tasks().unwrap();
        let may = open.iter().filter(|t| t.may_start());
        may.map(|t| (t.key.unit.use_case, t.key.task.get())).collect()
    };
    assert_eq!(may(&archive), [(UseCase::Preview, 2)]);
    let bound = &archive.open_tasks().unwrap()[1].assignment.clone().unwrap();
    assert!(bound.is_bound && bound.host == "n2" && bound.seconds == 12.5);
    // What is left of a unit, then all.
    let of_unit = Selection { units: vec![(NIGHT.parse().unwrap(), UseCase::Preview)], ..whole() };
    assert_eq!(archive.approve(Some(number), &of_unit, &cause(), now()).unwrap().tasks, 1);
    assert_eq!(archive.approve(Some(number), &whole(), &cause(), now()).unwrap().tasks, 1);
    assert_eq!(may(&archive).len(), 3);
    let plan = archive.plan(Some(number)).unwrap().unwrap();
    assert_eq!((plan.state, plan.decided), (PlanState::Approved, Some((now(), cause()))));
    assert!(archive.approve(Some(number), &whole(), &cause(), now()).unwrap_err().is_conflict());
    // A start, its place, its result, and what the plan had said of it.
    let task = TaskKey { unit: metadata, task: TaskNumber::FIRST };
    let place = Place { host: "n3".parse().unwrap(), job: String::new(), memory_bytes: 1 << 20 };
    let started = archive.start_attempt(&task, &lease(), Some(&place), now()).unwrap();
    archive.note_job(&started.attempt, "17").unwrap();
    let running = archive.running_attempts().unwrap();
    let place = Place { job: "17".to_owned(), ..place };
    assert_eq!(running.len(), 1);
    assert_eq!((&running[0].attempt, &running[0].place), (&started.attempt, &Some(place)));
    assert!(archive.open_tasks().unwrap().iter().any(|t| t.running && t.memory_bytes == 1 << 20));
    let mut result = work_off(&started);
    result.run.seconds = 3.5;
    result.run.input_bytes = 1000;
    archive.accept_result(&result, now()).unwrap();
    assert!(archive.running_attempts().unwrap().is_empty());
    let took = archive.recent_results(10).unwrap();
    assert_eq!((took.len(), took[0].host.as_str(), took[0].seconds), (1, "n3", 3.5));
    let (bytes, rows) = result.files.iter().fold((0, 0), |(b, r), f| (b + f.bytes, r + f.rows));
    assert!(bytes > 0 && rows > 0);
    assert_eq!((took[0].output_bytes, took[0].output_rows), (bytes, rows));
    let rates = archive.rates().unwrap();
    assert_eq!(rates.len(), 1);
    let rate = &rates[0];
    assert_eq!((rate.use_case.as_str(), rate.host.as_str(), rate.tasks), ("metadata", "n3", 1));
    assert_eq!((rate.input_bytes, rate.rows, rate.seconds), (1000, rows, 3.5));
    let compared = archive.compare(number).unwrap();
    let actual: Vec<_> = compared.iter().filter_map(|c| c.actual.as_ref()).collect();
    assert_eq!(actual, [&("n3".parse().unwrap(), now(), 3.5)]);
    assert_eq!(compared.len(), 3);
}

pub fn a_plan_is_rejected_or_superseded(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    let unit = ready(&mut archive, UseCase::Metadata, 2);
    let plan = proposal(&[(&unit, 1, "n1"), (&unit, 2, "n1")]);
    let first = archive.propose(&plan, &cause(), now()).unwrap();
    let second = archive.propose(&plan, &cause(), now()).unwrap();
    assert_eq!(archive.plan(Some(first)).unwrap().unwrap().state, PlanState::Superseded);
    assert!(archive.approve(Some(first), &whole(), &cause(), now()).unwrap_err().is_conflict());
    let why = Cause::new("anna", "the weather");
    let (rejected, paused) = archive.reject(None, &why, now()).unwrap();
    assert_eq!(rejected, second, "the plan that waits for a decision");
    assert_eq!(paused, [(NIGHT.parse().unwrap(), UseCase::Metadata)]);
    assert_eq!(archive.unit_state(&unit).unwrap(), UnitState::Ready);
    let standing = archive.instructions().unwrap();
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0].subject, Subject::Unit(NIGHT.parse().unwrap(), UseCase::Metadata));
    assert_eq!(standing[0].cause.why, format!("plan {second} rejected: the weather"));
    assert!(archive.open_tasks().unwrap().iter().all(|t| t.assignment.is_none()));
    assert!(archive.reject(Some(second), &why, now()).unwrap_err().is_conflict());
    assert!(archive.approve(PlanId::new(99), &whole(), &why, now()).is_err());
    assert!(archive.reject(None, &why, now()).unwrap_err().is_conflict());
    assert!(archive.approve(None, &whole(), &why, now()).unwrap_err().is_conflict());
}

pub fn rounds_to_come_are_approved(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    let unit = ready(&mut archive, UseCase::Metadata, 1);
    let expected = vec![(NIGHT.parse().unwrap(), UseCase::Catalogue)];
    let plan = Proposal { expected: expected.clone(), ..proposal(&[(&unit, 1, "n1")]) };
    let number = archive.propose(&plan, &cause(), now()).unwrap();
    let decided = archive.approve(Some(number), &whole(), &cause(), now()).unwrap();
    assert_eq!(decided.expected, expected);
    assert_eq!(archive.approved_expected().unwrap(), expected);
    assert!(archive.approve_expected(now()).unwrap().is_empty(), "it is not open yet");
    let catalogue = ready(&mut archive, UseCase::Catalogue, 2);
    assert_eq!(archive.approve_expected(now()).unwrap(), std::slice::from_ref(&catalogue));
    assert_eq!(archive.unit_state(&catalogue).unwrap(), UnitState::Approved);
    assert!(archive.approved_expected().unwrap().is_empty(), "once");
    let open = archive.open_tasks().unwrap();
    let free = open.iter().filter(|t| t.key.unit == catalogue);
    assert!(free.clone().count() == 2 && free.clone().all(OpenTask::may_start));
}

pub fn instructions_hold_until_withdrawn(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    let anna = Cause::new("anna", "new fan");
    let subjects = [
        Subject::All,
        Subject::Host("n1".parse().unwrap()),
        Subject::UseCase(UseCase::Preview),
        Subject::Night(Night::new(20_071_011).unwrap()),
        Subject::Delivery(NIGHT.parse().unwrap()),
        Subject::Unit(NIGHT.parse().unwrap(), UseCase::Catalogue),
    ];
    for subject in &subjects {
        archive.instruct(subject, &Instruction::Pause, &anna, now()).unwrap();
    }
    archive.instruct(&subjects[4], &Instruction::Priority(3), &anna, now()).unwrap();
    archive.instruct(&subjects[4], &Instruction::Priority(-7), &anna, now()).unwrap();
    archive
        .instruct(&subjects[5], &Instruction::Move("n2".parse().unwrap()), &anna, now())
        .unwrap();
    let standing = archive.instructions().unwrap();
    assert_eq!(standing.len(), subjects.len() + 2);
    for subject in &subjects {
        let of = standing.iter().filter(|s| s.subject == *subject);
        assert!(of.clone().any(|s| s.instruction == Instruction::Pause && s.cause == anna));
    }
    assert!(standing.iter().any(|s| s.instruction == Instruction::Priority(-7)));
    assert!(archive.withdraw(&subjects[1], "pause", &anna, now()).unwrap());
    assert!(!archive.withdraw(&subjects[1], "pause", &anna, now()).unwrap());
    assert_eq!(archive.instructions().unwrap().len(), subjects.len() + 1);
    let history = archive.instruction_history(100).unwrap();
    assert_eq!(history.rows.len(), subjects.len() + 4);
    assert_eq!(history.count, history.rows.len() as u64);
    let latest = archive.instruction_history(2).unwrap();
    assert_eq!(
        (latest.count, &latest.rows[..]),
        (history.count, &history.rows[subjects.len() + 2..])
    );
    let last = history.rows.last().unwrap();
    assert!(!last.is_set && last.subject == subjects[1]);
}
