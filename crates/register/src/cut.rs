//! Cutting a round's files into tasks.

use archive::rounds::{PlannedInput, PlannedTask};
use archive::work::ImageWork;
use model::SurveyName;
use model::products::{Cut, Product};
use std::collections::BTreeMap;

/// The sizes of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Tasks that can run at the same time.
    pub workers: u32,
    /// Tasks by files per worker, so that a slow one does not hold up the night.
    pub tasks_per_worker: u32,
    /// Catalogue tasks per worker: programmes differ in size, and whole ones leave a worker idle at the end.
    pub catalogue_tasks_per_worker: u32,
    /// Minimum number of rows of a catalogue task, where its programme has them.
    pub min_rows: u64,
    /// Maximum number of rows of a catalogue task, plus or minus a file.
    pub max_rows: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            workers: 2,
            tasks_per_worker: 4,
            catalogue_tasks_per_worker: 8,
            min_rows: 100_000,
            max_rows: 400_000,
        }
    }
}

impl Sizes {
    fn tasks(&self, per_worker: u32) -> u64 {
        u64::from(self.workers.max(1)) * u64::from(per_worker.max(1))
    }
}

/// Makes the tasks of a round of a product.
pub fn tasks(images: &[&ImageWork], sizes: &Sizes, product: &Product) -> Vec<PlannedTask> {
    match product.cut {
        Cut::Files { min_files } => by_files(images, sizes, min_files, product.inputs.catalogues),
        Cut::Rows => by_rows(images, sizes),
    }
}

/// Makes tasks by files: contiguous in name order, one survey each, of about equal work (HDUs with pixels).
fn by_files(
    images: &[&ImageWork],
    sizes: &Sizes,
    min_files: u32,
    with_catalogues: bool,
) -> Vec<PlannedTask> {
    let total: u64 = images.iter().map(|i| weight(i)).sum();
    let mut tasks = Vec::new();
    for (survey, group) in groups(images, |i| (i.survey.clone(), None)) {
        let work: u64 = group.iter().map(|i| weight(i)).sum();
        let share = (sizes.tasks(sizes.tasks_per_worker) * work).div_ceil(total.max(1)).max(1);
        let max_parts = (group.len() as u64).div_ceil(u64::from(min_files.max(1))).max(1);
        let parts = split(&group, share.min(max_parts), weight);
        tasks.extend(parts.into_iter().map(|part| task(&survey.0, part, with_catalogues)));
    }
    in_order(tasks, images)
}

/// Makes tasks by catalogue rows, of one survey each. A programme with rows for several tasks is cut into them; programmes with
/// too few for one share tasks, whole, since a task writes a file per programme.
fn by_rows(images: &[&ImageWork], sizes: &Sizes) -> Vec<PlannedTask> {
    let total: u64 = images.iter().map(|i| rows(i)).sum();
    let share = total
        .div_ceil(sizes.tasks(sizes.catalogue_tasks_per_worker))
        .clamp(sizes.min_rows.max(1), sizes.max_rows.max(1));
    let mut tasks = Vec::new();
    let mut small: BTreeMap<SurveyName, Vec<Vec<&ImageWork>>> = BTreeMap::new();
    for ((survey, _), group) in groups(images, |i| (i.survey.clone(), i.programme)) {
        let work: u64 = group.iter().map(|i| rows(i)).sum();
        if work < share {
            small.entry(survey).or_default().push(group);
            continue;
        }
        // Never more parts than there are full shares, so that none falls below the minimum.
        let parts = split(&group, work / share, rows);
        tasks.extend(parts.into_iter().map(|part| task(&survey, part, true)));
    }
    for (survey, programmes) in small {
        let packed = pack(programmes, share, sizes.workers);
        tasks.extend(packed.into_iter().map(|images| task(&survey, images, true)));
    }
    in_order(tasks, images)
}

/// Packs whole programmes together, each pack of about a share of rows, and at least as many packs as workers if there are enough
/// programmes: the largest programme first, each into the pack with the fewest rows.
fn pack(mut programmes: Vec<Vec<&ImageWork>>, share: u64, workers: u32) -> Vec<Vec<&ImageWork>> {
    let work = |images: &[&ImageWork]| images.iter().map(|i| rows(i)).sum::<u64>();
    let all: u64 = programmes.iter().map(|p| work(p)).sum();
    let tasks = (all / share).max(u64::from(workers.max(1))).min(programmes.len() as u64);
    let mut packed: Vec<(u64, Vec<&ImageWork>)> = (0..tasks).map(|_| (0, Vec::new())).collect();
    programmes.sort_by_key(|p| std::cmp::Reverse(work(p)));
    for programme in programmes {
        if let Some((rows, images)) = packed.iter_mut().min_by_key(|(rows, _)| *rows) {
            *rows += work(&programme);
            images.extend(programme);
        }
    }
    let mut packed: Vec<Vec<&ImageWork>> = packed.into_iter().map(|(_, images)| images).collect();
    packed.retain(|images| !images.is_empty());
    packed.iter_mut().for_each(|images| images.sort_by(|a, b| a.name.cmp(&b.name)));
    packed
}

fn rows(image: &ImageWork) -> u64 {
    image.catalogue.as_ref().map_or(0, |c| c.rows)
}

fn weight(image: &ImageWork) -> u64 {
    u64::from(image.hdus.max(1))
}

type Group = (SurveyName, Option<i32>);

fn groups<'a>(
    images: &[&'a ImageWork],
    of: impl Fn(&ImageWork) -> Group,
) -> BTreeMap<Group, Vec<&'a ImageWork>> {
    let mut groups: BTreeMap<Group, Vec<&ImageWork>> = BTreeMap::new();
    for image in images {
        groups.entry(of(image)).or_default().push(image);
    }
    groups
}

/// Splits images into at most `parts` contiguous parts of about equal weight, none empty.
fn split<'a>(
    images: &[&'a ImageWork],
    parts: u64,
    weight: impl Fn(&ImageWork) -> u64,
) -> Vec<Vec<&'a ImageWork>> {
    let total: u64 = images.iter().map(|i| weight(i)).sum();
    let mut out: Vec<Vec<&ImageWork>> = vec![Vec::new()];
    let mut before = 0;
    for image in images {
        // The part that contains the image's middle: u128 since rows times parts may be large.
        let middle = u128::from(2 * before + weight(image)) * u128::from(parts);
        let part = if total == 0 { 0 } else { middle / (2 * u128::from(total)) };
        let opened = out.len() as u128 - 1;
        if part > opened && out.last().is_some_and(|last| !last.is_empty()) {
            out.push(Vec::new());
        }
        if let Some(last) = out.last_mut() {
            last.push(image);
        }
        before += weight(image);
    }
    out
}

fn task(survey: &SurveyName, images: Vec<&ImageWork>, with_catalogues: bool) -> PlannedTask {
    let input = |i: &ImageWork| PlannedInput {
        multiframe_id: i.multiframe_id,
        catalogue_version: i.catalogue.as_ref().filter(|_| with_catalogues).map(|c| c.version),
    };
    PlannedTask { survey: survey.clone(), inputs: images.into_iter().map(input).collect() }
}

/// Sorts tasks in the order of their first files. Within a programme that keeps the order of file names, whatever the cut.
fn in_order(mut tasks: Vec<PlannedTask>, images: &[&ImageWork]) -> Vec<PlannedTask> {
    let place: BTreeMap<_, _> =
        images.iter().enumerate().map(|(place, i)| (i.multiframe_id, place)).collect();
    tasks.sort_by_key(|t| t.inputs.first().and_then(|i| place.get(&i.multiframe_id)).copied());
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::work::CatalogueWork;
    use model::{MultiframeId, UseCase};
    use proptest::prelude::*;

    fn image(id: i64, survey: &str, programme: Option<i32>, rows: u64) -> ImageWork {
        ImageWork {
            multiframe_id: MultiframeId::new(id).unwrap(),
            name: format!("w{id:05}.fit"),
            bytes: 1,
            survey: survey.parse().unwrap(),
            hdus: 4,
            programme,
            catalogue: Some(CatalogueWork { version: 1, name: String::new(), bytes: 1, rows }),
            products: BTreeMap::new(),
        }
    }

    #[test]
    fn a_night_gives_several_tasks_per_worker() {
        let images: Vec<ImageWork> = (1..=3000).map(|i| image(i, "wfcam", None, 1000)).collect();
        let all: Vec<&ImageWork> = images.iter().collect();
        assert_eq!(tasks(&all, &Sizes::default(), UseCase::Preview.product()).len(), 8);
        assert_eq!(
            tasks(&all[..5], &Sizes::default(), UseCase::Preview.product()).len(),
            2,
            "few files make few tasks"
        );
        assert_eq!(by_rows(&all, &Sizes::default()).len(), 16);
    }

    #[test]
    fn programmes_are_not_mixed_and_keep_the_minimum() {
        let programmes = [Some(1), Some(2), Some(3)];
        let images: Vec<ImageWork> =
            (1..=900).map(|i| image(i, "wfcam", programmes[i as usize % 3], 1000)).collect();
        let tasks = by_rows(&images.iter().collect::<Vec<_>>(), &Sizes::default());
        assert_eq!(tasks.len(), 9, "300 000 rows of each programme at 100 000 a task");
        for task in &tasks {
            let of = |id: MultiframeId| id.get() % 3;
            assert!(
                task.inputs.windows(2).all(|w| of(w[0].multiframe_id) == of(w[1].multiframe_id))
            );
            assert!(task.inputs.len() >= 100);
        }
    }

    #[test]
    fn small_programmes_share_tasks() {
        let rows = [70_000, 10_000, 60_000, 40_000, 30_000, 20_000, 10_000];
        let images: Vec<ImageWork> =
            (1..).zip(rows).map(|(n, rows)| image(n, "wfcam", Some(n as i32), rows)).collect();
        let all: Vec<&ImageWork> = images.iter().collect();
        let cut = |workers: u32| -> Vec<Vec<i64>> {
            let sizes = Sizes { workers, ..Sizes::default() };
            let ids = |t: PlannedTask| t.inputs.iter().map(|i| i.multiframe_id.get()).collect();
            by_rows(&all, &sizes).into_iter().map(ids).collect()
        };
        assert_eq!(cut(2), [vec![1, 5, 6], vec![2, 3, 4, 7]], "120 000 rows each");
        assert_eq!(cut(1).len(), 2, "no task far above a share, even for one worker");
        assert_eq!(cut(4).len(), 4, "a task for every worker");
        assert_eq!(cut(99).len(), 7, "programmes stay whole");
    }

    proptest! {
        /// Checks that every file is in exactly one task, with one survey per task and ascending names within a task and a
        /// programme.
        #[test]
        fn a_cut_loses_nothing(
            kinds in proptest::collection::vec((0..2_usize, proptest::option::of(1..4_i32), 0..200_000_u64), 1..60),
            workers in 1..9_u32,
        ) {
            let surveys = ["wfcam", "vista"];
            let images: Vec<ImageWork> = (1..)
                .zip(&kinds)
                .map(|(id, (survey, programme, rows))| image(id, surveys[*survey], *programme, *rows))
                .collect();
            let all: Vec<&ImageWork> = images.iter().collect();
            let sizes = Sizes { workers, ..Sizes::default() };
            for tasks in [tasks(&all, &sizes, UseCase::Metadata.product()), by_rows(&all, &sizes)] {
                let mut ids: Vec<_> = tasks.iter().flat_map(|t| &t.inputs).map(|i| i.multiframe_id).collect();
                let by_name = ids.clone();
                ids.sort();
                prop_assert_eq!(ids, all.iter().map(|i| i.multiframe_id).collect::<Vec<_>>());
                for task in &tasks {
                    prop_assert!(!task.inputs.is_empty());
                    let of = |id: MultiframeId| &images[usize::try_from(id.get()).unwrap() - 1];
                    prop_assert!(task.inputs.iter().all(|i| of(i.multiframe_id).survey == task.survey));
                    prop_assert!(task.inputs.windows(2).all(|w| w[0].multiframe_id < w[1].multiframe_id));
                }
                for programme in [Some(1), Some(2), Some(3)] {
                    for survey in surveys {
                        let mine: Vec<_> = by_name
                            .iter()
                            .filter(|id| {
                                let image = &images[usize::try_from(id.get()).unwrap() - 1];
                                image.programme == programme && image.survey == survey
                            })
                            .collect();
                        prop_assert!(mine.is_sorted());
                    }
                }
            }
        }
    }
}
