//! The work on a delivery that can be done now, and the files that wait. Pure: the archive's state in, a plan out.

use crate::cut::{self, Sizes};
use archive::attempts::results::Outcome;
use archive::rounds::PlannedRound;
use archive::work::{Coverage, DeliveryWork, ImageWork, Progress};
use model::products::{Product, Scope};
use model::{UnitState, UseCase};
use std::collections::BTreeMap;

/// The policy of a plan.
pub struct Policy<'a> {
    /// The products of the site.
    pub products: &'a [UseCase],
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
    pub expected: Vec<PlannedRound>,
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

/// The reason why a file waits, and whether the wait ends without an operator.
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

/// Returns the plan of a delivery for some use cases. Products of a release have no part in it.
pub fn plan(work: &DeliveryWork, use_cases: &[UseCase], policy: &Policy<'_>) -> Plan {
    let mut plan = Plan::default();
    let is_of_delivery = |use_case: &&UseCase| use_case.product().scope == Scope::Delivery;
    for &use_case in use_cases.iter().filter(is_of_delivery) {
        plan_use_case(work, use_case, policy, &mut plan);
    }
    plan
}

fn plan_use_case(work: &DeliveryWork, use_case: UseCase, policy: &Policy<'_>, plan: &mut Plan) {
    let mut by_recipe: BTreeMap<String, (Vec<&ImageWork>, String)> = BTreeMap::new();
    let mut later: Vec<&ImageWork> = Vec::new();
    let product = use_case.product();
    for image in &work.images {
        let recipe = recipe(image, product, policy);
        match due(work, image, use_case, &recipe, policy) {
            Due::Now(why) => {
                by_recipe.entry(recipe).or_insert_with(|| (Vec::new(), why)).0.push(image);
            }
            Due::Waits(Behind { why, ends_by_itself }) => {
                if ends_by_itself {
                    later.push(image);
                }
                let catalogue = image.catalogue.as_ref().filter(|_| product.is_of_catalogue());
                let file = catalogue.map_or(&image.name, |c| &c.name).clone();
                plan.waits.push(Wait { use_case, file, why, ends_by_itself });
            }
            Due::Done => {}
        }
    }
    if product.is_of_catalogue() {
        let wait = |file: &String, why: &str| Wait {
            use_case,
            file: file.clone(),
            why: why.to_owned(),
            ends_by_itself: false,
        };
        let unpaired = work.unpaired.iter().map(|file| wait(file, "the image has not arrived"));
        plan.waits.extend(unpaired);
        let ambiguous = work.ambiguous.iter();
        plan.waits.extend(ambiguous.map(|file| wait(file, "the image has another catalogue")));
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
        plan.expected.push(PlannedRound {
            delivery: work.delivery.clone(),
            use_case,
            recipe: String::new(),
            tasks: cut::tasks(&later, &policy.sizes, product),
            why: match product.follows {
                [] => "when more of the delivery has arrived".to_owned(),
                leaders => {
                    let nouns: Vec<&str> = leaders.iter().map(|u| u.product().plural).collect();
                    format!("after the {}", nouns.join(" and "))
                }
            },
        });
    }
    for (recipe, (images, why)) in by_recipe {
        let tasks = cut::tasks(&images, &policy.sizes, product);
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

fn recipe(image: &ImageWork, product: &Product, policy: &Policy<'_>) -> String {
    if product.has_recipe { (policy.preview_recipe)(&image.survey) } else { String::new() }
}

fn due(
    work: &DeliveryWork,
    image: &ImageWork,
    use_case: UseCase,
    recipe: &str,
    policy: &Policy<'_>,
) -> Due {
    match due_alone(image, use_case, recipe, policy) {
        Due::Now(why) => use_case
            .product()
            .follows
            .iter()
            .find_map(|leader| behind(work, image, *leader, policy))
            .map_or(Due::Now(why), Due::Waits),
        other => other,
    }
}

/// Returns the decision on the product of an image, whatever it follows.
fn due_alone(image: &ImageWork, use_case: UseCase, recipe: &str, policy: &Policy<'_>) -> Due {
    let product = use_case.product();
    if product.is_of_catalogue() && image.catalogue.is_none() {
        return Due::Done;
    }
    settled(image.progress(use_case), |coverage| {
        outdated(coverage, image, product, recipe)
            .or_else(|| needed_again(coverage, image, use_case, policy))
    })
}

/// Returns the reason why the round that covered an image was about something else than its present inputs; `None` when it was
/// about these.
fn outdated(
    coverage: &Coverage,
    image: &ImageWork,
    product: &Product,
    recipe: &str,
) -> Option<String> {
    if product.has_recipe && coverage.recipe != recipe {
        return Some(format!("the recipe of {} changed", product.plural));
    }
    other_catalogue(coverage, image).filter(|_| product.inputs.catalogues)
}

/// Returns the reason why a product is made again that is in the archive, but no longer in staging, where the tasks of another
/// one read it.
fn needed_again(
    coverage: &Coverage,
    image: &ImageWork,
    use_case: UseCase,
    policy: &Policy<'_>,
) -> Option<String> {
    let is_unstaged = coverage.state == UnitState::Ingested
        && coverage.outcome == Some(Outcome::Done)
        && !coverage.is_staged;
    if !is_unstaged {
        return None;
    }
    let reads = |u: &&UseCase| u.product().inputs.products.contains(&use_case);
    let mut readers = policy.products.iter().filter(reads);
    let reader = readers.find(|reader| {
        let recipe = recipe(image, reader.product(), policy);
        matches!(due_alone(image, **reader, &recipe, policy), Due::Now(_))
    })?;
    let noun = use_case.product().plural;
    Some(format!("a {reader} needs the {noun}, which are no longer staged"))
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

/// Returns the reason why the product of an image has to wait for one that it follows; `None` when it need not.
fn behind(
    work: &DeliveryWork,
    image: &ImageWork,
    leader: UseCase,
    policy: &Policy<'_>,
) -> Option<Behind> {
    let product = leader.product();
    let noun = product.plural;
    let progress = image.progress(leader);
    if let Some(why) = &progress.redo {
        return Some(temporary(format!("the {noun} of the image are due again: {why}")));
    }
    let Some(coverage) = &progress.coverage else {
        return Some(temporary(format!("the image has no {noun} yet")));
    };
    match (coverage.state, coverage.outcome) {
        (UnitState::Failed, _) => Some(stuck(format!("the {leader} round of the image failed"))),
        (UnitState::Retracted, _) => Some(stuck(format!("the {noun} of the image were retracted"))),
        (_, Some(Outcome::Refused)) => Some(stuck(format!("the {noun} of the image were refused"))),
        (_, Some(Outcome::Parked)) => Some(stuck(format!("the {noun} of the image are parked"))),
        (_, None) => Some(temporary(format!("the {noun} of the image are being made"))),
        (_, Some(Outcome::Done)) => {
            let recipe = recipe(image, product, policy);
            outdated(coverage, image, product, &recipe)
                .or_else(|| needed_again(coverage, image, leader, policy))
                .map(|why| temporary(format!("the {noun} of the image are due again: {why}")))
                .or_else(|| unfinished(work, leader))
        }
    }
}

/// Returns the round of a use case under way: one round of its followers comes after all of its tasks, not a small one after
/// each.
fn unfinished(work: &DeliveryWork, leader: UseCase) -> Option<Behind> {
    let busy = work.rounds.iter().find(|r| {
        r.unit.use_case == leader && r.state != UnitState::Staged && !is_finished(r.state)
    })?;
    Some(temporary(format!("{leader} round {} is {}", busy.unit.round, busy.state)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::work::{CatalogueWork, RoundWork};
    use model::{MultiframeId, RoundNumber, UnitKey};

    fn coverage(state: UnitState, outcome: Option<Outcome>) -> Progress {
        let coverage = Coverage {
            round: RoundNumber::FIRST,
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
            survey: "wfcam".parse().unwrap(),
            hdus: 4,
            programme: None,
            catalogue: Some(CatalogueWork {
                version: 1,
                name: format!("w{id}_cat.fits"),
                bytes: 1,
                rows: 10,
            }),
            products: BTreeMap::new(),
        }
    }

    /// Returns an image with the progress of its preview, metadata and detections.
    fn with(image: ImageWork, progress: [Progress; 3]) -> ImageWork {
        ImageWork { products: UseCase::ALL.iter().copied().zip(progress).collect(), ..image }
    }

    fn coverage_of(image: &mut ImageWork) -> &mut Coverage {
        image.products.get_mut(&UseCase::Metadata).unwrap().coverage.as_mut().unwrap()
    }

    fn work(images: Vec<ImageWork>) -> DeliveryWork {
        DeliveryWork { delivery: "20071011_v1".parse().unwrap(), images, ..DeliveryWork::default() }
    }

    fn planned(work: &DeliveryWork, recipe: &str) -> (Vec<UseCase>, Vec<String>) {
        let policy = Policy {
            products: UseCase::ALL,
            preview_recipe: &|_| recipe.to_owned(),
            sizes: Sizes::default(),
            min_early_images: 2,
        };
        let plan = plan(work, UseCase::ALL, &policy);
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
            round: RoundNumber::FIRST,
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
    fn due_deliveries() {
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
            let image = with(image(1), [preview, metadata, catalogue]);
            let (found, waits) = planned(&work(vec![image]), "");
            assert_eq!(found, rounds, "case {n}");
            assert!(
                waits.first().map_or(wait.is_empty(), |w| w.contains(wait)),
                "case {n}: {waits:?}"
            );
        }
    }

    #[test]
    fn deliveries_due_again() {
        let done = || coverage(UnitState::Ingested, Some(Outcome::Done));
        let whole = || with(image(1), [done(), done(), done()]);
        assert_eq!(planned(&work(vec![whole()]), "").0, []);
        assert_eq!(planned(&work(vec![whole()]), "asinh 2").0, [UseCase::Preview], "new recipe");
        let mut newer = whole();
        newer.catalogue.as_mut().unwrap().version = 2;
        let (rounds, waits) = planned(&work(vec![newer.clone()]), "");
        assert_eq!(rounds, [UseCase::Metadata], "the catalogue's header is metadata too");
        let why = "the metadata of the image are due again: a new version of the catalogue arrived";
        assert_eq!(waits, [format!("w1_cat.fits: {why}")]);
        coverage_of(&mut newer).catalogue_version = Some(2);
        assert_eq!(planned(&work(vec![newer]), "").0, [UseCase::Catalogue], "new catalogue");
        let mut swept = whole();
        coverage_of(&mut swept).is_staged = false;
        assert_eq!(planned(&work(vec![swept.clone()]), "").0, [], "nobody needs them");
        swept.products.get_mut(&UseCase::Catalogue).unwrap().redo = Some("again".to_owned());
        let (rounds, waits) = planned(&work(vec![swept]), "");
        assert_eq!(rounds, [UseCase::Metadata], "the catalogue looks for them in staging");
        assert!(waits[0].contains("no longer staged"), "{waits:?}");
        let mut retried = whole();
        for use_case in [UseCase::Metadata, UseCase::Catalogue] {
            retried.products.get_mut(&use_case).unwrap().redo = Some("retried".to_owned());
        }
        let (rounds, waits) = planned(&work(vec![retried]), "");
        assert_eq!(rounds, [UseCase::Metadata], "metadata first");
        assert_eq!(waits, ["w1_cat.fits: the metadata of the image are due again: retried"]);
    }

    #[test]
    fn waits_that_end_by_themselves_are_marked() {
        let policy = Policy {
            products: UseCase::ALL,
            preview_recipe: &|_| String::new(),
            sizes: Sizes::default(),
            min_early_images: 0,
        };
        let mut refused = image(2);
        let metadata = coverage(UnitState::Ingested, Some(Outcome::Refused));
        refused.products.insert(UseCase::Metadata, metadata);
        let plan = plan(&work(vec![image(1), refused]), UseCase::ALL, &policy);
        let ends_by_itself: Vec<bool> = plan.waits.iter().map(|w| w.ends_by_itself).collect();
        assert_eq!(ends_by_itself, [true, false], "{:?}", plan.waits);
        assert_eq!(plan.expected.len(), 1);
        let inputs: Vec<i64> = plan.expected[0]
            .tasks
            .iter()
            .flat_map(|t| &t.inputs)
            .map(|i| i.multiframe_id.get())
            .collect();
        assert_eq!((plan.expected[0].use_case, inputs), (UseCase::Catalogue, vec![1]));
    }

    #[test]
    fn catalogues_wait_for_all_metadata_in_hand() {
        let mut one = image(1);
        let (running, done) = (UnitState::Running, UnitState::Ingested);
        one.products.insert(UseCase::Metadata, coverage(running, Some(Outcome::Done)));
        one.products.insert(UseCase::Preview, coverage(done, Some(Outcome::Done)));
        let mut work = work(vec![one]);
        let unit = UnitKey {
            delivery: work.delivery.clone(),
            use_case: UseCase::Metadata,
            round: RoundNumber::FIRST,
        };
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

    #[test]
    fn a_product_that_is_added_follows_its_leader() {
        let site = [UseCase::Preview, UseCase::Metadata, UseCase::Invented];
        let all = [&site[..], &[UseCase::InventedRelease]].concat();
        let policy = Policy {
            products: &all,
            preview_recipe: &|_| String::new(),
            sizes: Sizes::default(),
            min_early_images: 0,
        };
        let rounds = |image: ImageWork| -> (Vec<UseCase>, Vec<UseCase>) {
            let plan = plan(&work(vec![image]), &all, &policy);
            let of = |rounds: &[PlannedRound]| rounds.iter().map(|r| r.use_case).collect();
            (of(&plan.rounds), of(&plan.expected))
        };
        let (now, expected) = rounds(image(1));
        assert_eq!(now, [UseCase::Preview, UseCase::Metadata], "a release is not of a delivery");
        assert_eq!(expected, [UseCase::Invented]);
        let mut described = image(1);
        let done = || coverage(UnitState::Ingested, Some(Outcome::Done));
        described.products.insert(UseCase::Preview, done());
        described.products.insert(UseCase::Metadata, done());
        assert_eq!(rounds(described.clone()).0, [UseCase::Invented]);
        let mut swept = described.clone();
        coverage_of(&mut swept).is_staged = false;
        assert_eq!(rounds(swept).0, [UseCase::Metadata], "its tasks read them in staging");
        described.products.insert(UseCase::Invented, done());
        assert_eq!(rounds(described).0, []);
    }
}
