//! The names of the products with a property, as lists for statements.
//!
//! A statement about a property of products has `use_case IN (…)` with the list of that property, so that it holds for every
//! product of the register. It spells the name of a product only where it also names a table that this product alone writes, e.g.
//! `multiframe_detector_all` together with `'metadata'`.

use model::UseCase;
use model::products::{Product, defined};

/// Returns the names of the products that describe the images to which all others refer.
pub(crate) fn describing() -> String {
    named(Product::describes_images)
}

/// Returns the names of the products whose tasks read catalogues alone.
pub(crate) fn of_catalogues() -> String {
    named(Product::is_of_catalogue)
}

/// Returns the names of the products of which each detector of an image has its own.
pub(crate) fn by_detector() -> String {
    named(Product::is_by_detector)
}

/// Returns the names of the products whose tasks do not read images.
pub(crate) fn without_images() -> String {
    named(|product| !product.inputs.images)
}

/// Returns the names of the products whose staged files other products read.
pub(crate) fn read_by_others() -> String {
    let of_others = |u: &UseCase| defined().any(|o| o.product().inputs.products.contains(u));
    list(defined().filter(of_others))
}

fn named(holds: impl Fn(&Product) -> bool) -> String {
    list(defined().filter(|u| holds(u.product())))
}

fn list(use_cases: impl Iterator<Item = UseCase>) -> String {
    let names: Vec<String> = use_cases.map(|u| format!("'{}'", u.name())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_named_by_their_definitions() {
        assert_eq!(describing(), "'metadata'");
        assert_eq!(of_catalogues(), "'catalogue'");
        assert_eq!(by_detector(), "'catalogue'");
        assert_eq!(without_images(), "'catalogue', 'invented_release'");
        assert_eq!(read_by_others(), "'metadata'");
    }
}
