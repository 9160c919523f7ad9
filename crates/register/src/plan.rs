//! The work on a delivery that can be done now, and the files that wait. Pure: the archive's state in, a plan out.

use crate::cut::{self, Products, Sizes};
use archive::attempts::results::Outcome;
use archive::rounds::{PlannedRound, PlannedTask};
use archive::work::{Coverage, DeliveryWork, ImageWork, Progress};
use model::{UnitState, UseCase};
use std::collections::BTreeMap;

/// The policy of a plan.
pub struct Policy<'a> {
    /// Recipe of a survey's previews: a recipe other than that of the last round makes previews again.
    pub preview_recipe: &'a dyn Fn(&str) -> String,
    /// Sizes of tasks.
    pub sizes: Sizes,
    /// Minimum number of images of a round while more of its delivery is on its way: a night that arrives in a hundred groups is
    /// not to become a hundred batches. 0 = any number.
    pub min_early_images: usize,
}

/// A plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Rounds that can be opened now.
    pub rounds: Vec<PlannedRound>,
    /// Files that wait, each with the reason.
    pub waits: Vec<Wait>,
    /// Rounds that can be opened when those under way, or those above, are done; their tasks may be cut differently then.
    pub coming: Vec<PlannedRound>,
}

/// A file that cannot be processed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Use case that the file waits for.
    pub use_case: UseCase,
    /// Name within the delivery.
    pub file: String,
    /// Reason for the wait.
    pub why: String,
    /// True when work that is under way, or can be started now, ends the wait.
    pub ends_by_itself: bool,
}

/// The decision on a file: due or not, with the reason.
enum Due {
    Now(String),
    Done,
    Waits(Behind),
}

/// The reason why a file waits, and whether the wait ends by itself.
struct Behind {
    why: String,
    ends_by_itself: bool,
}

fn stuck(why: impl Into<String>) -> Behind {
    Behind { why: why.into(), ends_by_itself: false }
}

fn temporary(why: impl Into<String>) -> Behind {
    Behind { why: why.into(), ends_by_itself: true }
}

/// Returns the plan of a delivery for some use cases.
pub fn plan(work: &DeliveryWork, use_cases: &[UseCase], policy: &Policy<'_>) -> Plan {
    let mut plan = Plan::default();
    for &use_case in use_cases {
        plan_use_case(work, use_case, policy, &mut plan);
    }
    plan
}

fn plan_use_case(work: &DeliveryWork, use_case: UseCase, policy: &Policy<'_>, plan: &mut Plan) {
    let mut by_recipe: BTreeMap<String, (Vec<&ImageWork>, String)> = BTreeMap::new();
    let mut later: Vec<&ImageWork> = Vec::new();
    for image in &work.images {
        let recipe = recipe(image, use_case, policy);
        match due(work, image, use_case, &recipe) {
            Due::Now(why) => {
                by_recipe.entry(recipe).or_insert_with(|| (Vec::new(), why)).0.push(image);
            }
            Due::Waits(Behind { why, ends_by_itself }) => {
                if ends_by_itself {
                    later.push(image);
                }
                let catalogue = image.catalogue.as_ref().filter(|_| use_case == UseCase::Catalogue);
                let file = catalogue.map_or(&image.name, |c| &c.name).clone();
                plan.waits.push(Wait { use_case, file, why, ends_by_itself });
            }
            Due::Done => {}
        }
    }
    if use_case == UseCase::Catalogue {
        plan.waits.extend(work.unpaired.iter().map(|file| Wait {
            use_case,
            file: file.clone(),
            why: "the image has not arrived".to_owned(),
            ends_by_itself: false,
        }));
    }
    by_recipe.retain(|_, (images, _)| {
        let is_due = !is_too_early(work, use_case, images.len(), policy);
        if !is_due {
            plan.waits.extend(images.iter().map(|image| Wait {
                use_case,
                file: image.name.clone(),
                why: "more of the delivery is arriving".to_owned(),
                ends_by_itself: true,
            }));
            later.append(images);
        }
        is_due
    });
    if !later.is_empty() {
        plan.coming.push(PlannedRound {
            delivery: work.delivery.clone(),
            use_case,
            recipe: String::new(),
            tasks: tasks(use_case, &later, &policy.sizes),
            why: match use_case {
                UseCase::Catalogue => "after the metadata",
                UseCase::Preview | UseCase::Metadata => "when more of the delivery has arrived",
            }
            .to_owned(),
        });
    }
    for (recipe, (images, why)) in by_recipe {
        let tasks = tasks(use_case, &images, &policy.sizes);
        let delivery = work.delivery.clone();
        plan.rounds.push(PlannedRound { delivery, use_case, recipe, tasks, why });
    }
}

/// Returns true while a delivery arrives, if a round of the use case is under way or the new one would be small.
fn is_too_early(
    work: &DeliveryWork,
    use_case: UseCase,
    images: usize,
    policy: &Policy<'_>,
) -> bool {
    let is_busy =
        || work.rounds.iter().any(|r| r.unit.use_case == use_case && !is_finished(r.state));
    policy.min_early_images > 0
        && work.arriving.is_some()
        && (images < policy.min_early_images || is_busy())
}

fn tasks(use_case: UseCase, images: &[&ImageWork], sizes: &Sizes) -> Vec<PlannedTask> {
    match use_case {
        UseCase::Catalogue => cut::by_rows(images, sizes),
        UseCase::Preview => cut::by_files(images, sizes, Products::Previews),
        UseCase::Metadata => cut::by_files(images, sizes, Products::Metadata),
    }
}

fn recipe(image: &ImageWork, use_case: UseCase, policy: &Policy<'_>) -> String {
    match use_case {
        UseCase::Preview => (policy.preview_recipe)(&image.survey),
        UseCase::Metadata | UseCase::Catalogue => String::new(),
    }
}

fn due(work: &DeliveryWork, image: &ImageWork, use_case: UseCase, recipe: &str) -> Due {
    let progress = image.progress(use_case);
    match use_case {
        UseCase::Preview => {
            let changed = |c: &Coverage| {
                (c.recipe != recipe).then(|| "the recipe of previews changed".to_owned())
            };
            settled(progress, changed)
        }
        // Metadata describe the catalogue too: zero point, aperture corrections, numbers of rows.
        UseCase::Metadata => {
            settled(progress, |c| other_catalogue(c, image).or_else(|| needed_again(c, image)))
        }
        UseCase::Catalogue => {
            if image.catalogue.is_none() {
                return Due::Done;
            }
            match settled(progress, |c| other_catalogue(c, image)) {
                Due::Now(why) => behind_metadata(work, image).map_or(Due::Now(why), Due::Waits),
                other => other,
            }
        }
    }
}

/// Returns the reason why metadata are made again that are in the archive, but no longer in staging, where catalogue tasks read
/// them.
fn needed_again(metadata: &Coverage, image: &ImageWork) -> Option<String> {
    let is_due = image.catalogue.is_some()
        && matches!(
            settled(image.progress(UseCase::Catalogue), |c| other_catalogue(c, image)),
            Due::Now(_)
        );
    let is_unstaged = metadata.state == UnitState::Ingested
        && metadata.outcome == Some(Outcome::Done)
        && !metadata.is_staged;
    (is_due && is_unstaged)
        .then(|| "a catalogue needs the metadata, which are no longer staged".to_owned())
}

/// Returns the reason why a round that covered an image does not apply to its present catalogue; `None` when it does.
fn other_catalogue(coverage: &Coverage, image: &ImageWork) -> Option<String> {
    let version = image.catalogue.as_ref().map(|c| c.version);
    (coverage.catalogue_version != version).then(|| match (coverage.catalogue_version, version) {
        (None, _) => "the catalogue arrived".to_owned(),
        (_, None) => "the catalogue no longer exists".to_owned(),
        _ => "a new version of the catalogue arrived".to_owned(),
    })
}

/// Returns the decision by the last round that covers a file; `changed` returns the reason when that round was about something
/// else.
fn settled(progress: &Progress, changed: impl Fn(&Coverage) -> Option<String>) -> Due {
    let Some(coverage) = &progress.coverage else {
        return Due::Now(progress.redo.clone().unwrap_or_else(|| "new files".to_owned()));
    };
    if !is_finished(coverage.state) {
        return Due::Done; // in hand
    }
    if let Some(why) = &progress.redo {
        return Due::Now(why.clone());
    }
    match coverage.state {
        UnitState::Failed => Due::Waits(stuck(format!(
            "round {} failed; its refusal can be retried",
            coverage.round
        ))),
        UnitState::Retracted => Due::Done,
        _ => changed(coverage).map_or(Due::Done, Due::Now),
    }
}

/// Returns true when nothing is left to do in a round.
fn is_finished(state: UnitState) -> bool {
    matches!(state, UnitState::Ingested | UnitState::Failed | UnitState::Retracted)
}

/// Returns the reason why a catalogue has to wait for metadata; `None` when it need not.
fn behind_metadata(work: &DeliveryWork, image: &ImageWork) -> Option<Behind> {
    let metadata = &image.metadata;
    if let Some(why) = &metadata.redo {
        return Some(temporary(format!("the metadata of the image are due again: {why}")));
    }
    match metadata.coverage.as_ref().map(|c| (c.state, c.outcome)) {
        None => Some(temporary("the image has no metadata yet")),
        Some((UnitState::Failed, _)) => Some(stuck("the metadata round of the image failed")),
        Some((UnitState::Retracted, _)) => Some(stuck("the metadata of the image were retracted")),
        Some((_, Some(Outcome::Refused))) => Some(stuck("the metadata of the image were refused")),
        Some((_, Some(Outcome::Parked))) => Some(stuck("the metadata of the image are parked")),
        Some((_, None)) => Some(temporary("the metadata of the image are being made")),
        Some((_, Some(Outcome::Done))) => metadata
            .coverage
            .as_ref()
            .and_then(|c| other_catalogue(c, image).or_else(|| needed_again(c, image)))
            .map(|why| temporary(format!("the metadata of the image are due again: {why}")))
            .or_else(|| unfinished_metadata(work)),
    }
}

/// Returns the metadata round under way: one catalogue round follows all of them, not a small one after each metadata task.
fn unfinished_metadata(work: &DeliveryWork) -> Option<Behind> {
    let busy = work.rounds.iter().find(|r| {
        r.unit.use_case == UseCase::Metadata
            && r.state != UnitState::Staged
            && !is_finished(r.state)
    })?;
    Some(temporary(format!("metadata round {} is {}", busy.unit.round, busy.state)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::work::{CatalogueWork, RoundWork};
    use model::{MultiframeId, UnitKey};

    fn coverage(state: UnitState, outcome: Option<Outcome>) -> Progress {
        let coverage = Coverage {
            round: 1,
            state,
            recipe: String::new(),
            catalogue_version: Some(1),
            outcome,
            is_staged: true,
        };
        Progress { coverage: Some(coverage), redo: None }
    }

    fn image(id: i64) -> ImageWork {
        ImageWork {
            multiframe_id: MultiframeId::new(id).unwrap(),
            name: format!("w{id}.fit"),
            bytes: 1,
            survey: "wfcam".to_owned(),
            hdus: 4,
            programme: None,
            catalogue: Some(CatalogueWork {
                version: 1,
                name: format!("w{id}_cat.fits"),
                bytes: 1,
                rows: 10,
            }),
            preview: Progress::default(),
            metadata: Progress::default(),
            catalogue_progress: Progress::default(),
        }
    }

    fn work(images: Vec<ImageWork>) -> DeliveryWork {
        DeliveryWork { delivery: "20071011_v1".parse().unwrap(), images, ..DeliveryWork::default() }
    }

    fn planned(work: &DeliveryWork, recipe: &str) -> (Vec<UseCase>, Vec<String>) {
        let policy = Policy {
            preview_recipe: &|_| recipe.to_owned(),
            sizes: Sizes::default(),
            min_early_images: 2,
        };
        let plan = plan(work, &UseCase::ALL, &policy);
        let waits = plan.waits.iter().map(|w| format!("{}: {}", w.file, w.why)).collect();
        (plan.rounds.iter().map(|r| r.use_case).collect(), waits)
    }

    #[test]
    fn an_arriving_delivery_is_done_in_few_rounds() {
        let arriving = |images: Vec<ImageWork>| DeliveryWork {
            arriving: chrono::DateTime::from_timestamp(0, 0),
            ..work(images)
        };
        let (rounds, waits) = planned(&arriving(vec![image(1)]), "");
        assert!(rounds.is_empty());
        assert!(waits.iter().any(|w| w == "w1.fit: more of the delivery is arriving"), "{waits:?}");
        let (rounds, _) = planned(&arriving(vec![image(1), image(2)]), "");
        assert_eq!(rounds, [UseCase::Preview, UseCase::Metadata]);
        let unit = UnitKey {
            delivery: "20071011_v1".parse().unwrap(),
            use_case: UseCase::Preview,
            round: 1,
        };
        let busy = RoundWork {
            unit,
            state: UnitState::Running,
            recipe: String::new(),
            tasks: 1,
            tasks_over: 0,
        };
        let more = DeliveryWork { rounds: vec![busy], ..arriving(vec![image(1), image(2)]) };
        assert_eq!(planned(&more, "").0, [UseCase::Metadata]);
    }

    #[test]
    fn what_is_due() {
        use UnitState::{Failed, Ingested, Running, Staged};
        let done = |state| coverage(state, Some(Outcome::Done));
        // (preview, metadata, catalogue) → rounds and first wait
        let cases: [(Progress, Progress, Progress, &[UseCase], &str); 9] = [
            (
                Progress::default(),
                Progress::default(),
                Progress::default(),
                &[UseCase::Preview, UseCase::Metadata],
                "has no metadata yet",
            ),
            (done(Ingested), coverage(Running, None), Progress::default(), &[], "are being made"),
            (done(Ingested), done(Staged), Progress::default(), &[UseCase::Catalogue], ""),
            (done(Ingested), done(Ingested), done(Ingested), &[], ""),
            (done(Running), done(Ingested), done(Staged), &[], ""),
            (done(Failed), done(Ingested), done(Ingested), &[], "round 1 failed"),
            (
                done(Ingested),
                coverage(Ingested, Some(Outcome::Refused)),
                Progress::default(),
                &[],
                "were refused",
            ),
            (
                done(Ingested),
                coverage(Staged, Some(Outcome::Parked)),
                Progress::default(),
                &[],
                "are parked",
            ),
            (done(Ingested), done(Failed), Progress::default(), &[], "round 1 failed"),
        ];
        for (n, (preview, metadata, catalogue, rounds, wait)) in cases.into_iter().enumerate() {
            let image = ImageWork { preview, metadata, catalogue_progress: catalogue, ..image(1) };
            let (found, waits) = planned(&work(vec![image]), "");
            assert_eq!(found, rounds, "case {n}");
            assert!(
                waits.first().map_or(wait.is_empty(), |w| w.contains(wait)),
                "case {n}: {waits:?}"
            );
        }
    }

    #[test]
    fn what_is_due_again() {
        let done = || coverage(UnitState::Ingested, Some(Outcome::Done));
        let whole = || ImageWork {
            preview: done(),
            metadata: done(),
            catalogue_progress: done(),
            ..image(1)
        };
        assert_eq!(planned(&work(vec![whole()]), "").0, []);
        assert_eq!(planned(&work(vec![whole()]), "asinh 2").0, [UseCase::Preview], "new recipe");
        let mut newer = whole();
        newer.catalogue.as_mut().unwrap().version = 2;
        let (rounds, waits) = planned(&work(vec![newer.clone()]), "");
        assert_eq!(rounds, [UseCase::Metadata], "the catalogue's header is metadata too");
        let why = "the metadata of the image are due again: a new version of the catalogue arrived";
        assert_eq!(waits, [format!("w1_cat.fits: {why}")]);
        newer.metadata.coverage.as_mut().unwrap().catalogue_version = Some(2);
        assert_eq!(planned(&work(vec![newer]), "").0, [UseCase::Catalogue], "new catalogue");
        let mut swept = whole();
        swept.metadata.coverage.as_mut().unwrap().is_staged = false;
        assert_eq!(planned(&work(vec![swept.clone()]), "").0, [], "nobody needs them");
        swept.catalogue_progress.redo = Some("again".to_owned());
        let (rounds, waits) = planned(&work(vec![swept]), "");
        assert_eq!(rounds, [UseCase::Metadata], "the catalogue looks for them in staging");
        assert!(waits[0].contains("no longer staged"), "{waits:?}");
        let mut retried = whole();
        retried.metadata.redo = Some("retried".to_owned());
        retried.catalogue_progress.redo = Some("retried".to_owned());
        let (rounds, waits) = planned(&work(vec![retried]), "");
        assert_eq!(rounds, [UseCase::Metadata], "metadata first");
        assert_eq!(waits, ["w1_cat.fits: the metadata of the image are due again: retried"]);
    }

    #[test]
    fn waits_that_end_by_themselves_are_marked() {
        let policy = Policy {
            preview_recipe: &|_| String::new(),
            sizes: Sizes::default(),
            min_early_images: 0,
        };
        let mut refused = image(2);
        refused.metadata = coverage(UnitState::Ingested, Some(Outcome::Refused));
        let plan = plan(&work(vec![image(1), refused]), &UseCase::ALL, &policy);
        let ends_by_itself: Vec<bool> = plan.waits.iter().map(|w| w.ends_by_itself).collect();
        assert_eq!(ends_by_itself, [true, false], "{:?}", plan.waits);
        assert_eq!(plan.coming.len(), 1);
        let inputs: Vec<i64> = plan.coming[0]
            .tasks
            .iter()
            .flat_map(|t| &t.inputs)
            .map(|i| i.multiframe_id.get())
            .collect();
        assert_eq!((plan.coming[0].use_case, inputs), (UseCase::Catalogue, vec![1]));
    }

    #[test]
    fn catalogues_wait_for_all_metadata_in_hand() {
        let mut one = image(1);
        one.metadata = coverage(UnitState::Running, Some(Outcome::Done));
        one.preview = coverage(UnitState::Ingested, Some(Outcome::Done));
        let mut work = work(vec![one]);
        let unit =
            UnitKey { delivery: work.delivery.clone(), use_case: UseCase::Metadata, round: 1 };
        work.unpaired.push("lonely_cat.fits".to_owned());
        work.rounds.push(RoundWork {
            unit,
            state: UnitState::Running,
            recipe: String::new(),
            tasks: 2,
            tasks_over: 1,
        });
        let (rounds, waits) = planned(&work, "");
        assert_eq!(rounds, []);
        assert_eq!(
            waits,
            [
                "w1_cat.fits: metadata round 1 is running",
                "lonely_cat.fits: the image has not arrived"
            ]
        );
    }
}
