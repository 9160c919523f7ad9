//! The rounds that can be opened for a delivery, by its profiles and the site's configuration.

use crate::profiles::Loaded;
use crate::site::Site;
use archive::work::DeliveryWork;
use model::UseCase;
use process::preview::Recipe;
use register::cut::Sizes;
use register::plan::{Plan, Policy};

/// Returns the rounds that can be opened for a delivery now, and the files that wait, each with the reason.
pub fn plan(
    site: &Site,
    profiles: &[Loaded],
    work: &DeliveryWork,
    use_cases: &[UseCase],
    min_early_images: usize,
) -> Plan {
    let recipe = |survey: &str| {
        let profile = profiles.iter().find(|p| p.profile.name == survey);
        profile.map(|p| Recipe::of(&p.profile.preview).fingerprint()).unwrap_or_default()
    };
    let sizes = Sizes {
        workers: u32::try_from(site.config.work.workers()).unwrap_or(u32::MAX),
        min_rows: site.config.work.min_rows_per_catalogue_task,
        ..Sizes::default()
    };
    register::plan::plan(
        work,
        use_cases,
        &Policy {
            products: site.place.products(),
            preview_recipe: &recipe,
            sizes,
            min_early_images,
        },
    )
}
