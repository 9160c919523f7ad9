//! The products of the archive: each use case as a definition.
//!
//! [`DEFINITIONS`] is the register. Code that plans, prints, checks or counts per product uses the definition, and the CHECK lists of the
//! control tables are generated from it. Code that makes or publishes a product is bound to its definition in one place each:
//! `node::Makers` and the publication of the archive. A new product is a definition here and an entry there.

use crate::staged_file::{JPEG, StagedFile};
use crate::tables::{self, Keeping};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A definition of a product.
#[derive(Debug)]
pub struct Product {
    /// Verb of the command line, which is also the name in tables and paths.
    pub name: &'static str,
    /// Noun of the product for messages, in the plural.
    pub plural: &'static str,
    /// Noun of an image's product for messages, e.g. `detections`.
    pub noun: &'static str,
    /// Number of the curation use case of the VDFS.
    pub number: i16,
    /// Description after the number of the use case, in the table `use_case`.
    pub description: &'static str,
    /// The extent of a unit.
    pub scope: Scope,
    /// The inputs of its tasks.
    pub inputs: Inputs,
    /// Products that an image must have first, in the version that fits its present catalogue.
    pub follows: &'static [UseCase],
    /// Tables of `model::tables` that it writes. The first of several has a row of every image.
    pub tables: &'static [&'static str],
    /// True when its tasks write JPEGs too.
    pub has_pictures: bool,
    /// True when a survey's recipe determines its content, so that a new recipe makes it again.
    pub has_recipe: bool,
    /// The rule by which a newer product replaces an older one.
    pub succession: Succession,
    /// The rule by which a round is cut into tasks.
    pub cut: Cut,
    /// Costs before the first result.
    pub costs: DefaultCosts,
}

/// The extent of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One delivery.
    Delivery,
    /// The whole archive: a data release, which comes after every delivery's products that it follows.
    Release,
}

/// The inputs of the tasks of a product.
#[derive(Clone, Copy, Debug)]
pub struct Inputs {
    /// True when a task reads images.
    pub images: bool,
    /// True when a task reads the catalogues of its images. Without `images`, an image without catalogue has no such product.
    pub catalogues: bool,
    /// Products whose staged files a task reads.
    pub products: &'static [UseCase],
}

/// The rule by which a newer product of a frame replaces an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// The newest image that has the product shows it.
    Image,
    /// Each detector is shown by the newest image that has the product for that detector.
    Detector,
    /// The newest image shows it, and so does every image of which another product is shown.
    Description,
}

/// The rule by which a round is cut into tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// By files of about equal work.
    Files {
        /// Minimum number of files of a task, where the round has them.
        min_files: u32,
    },
    /// By catalogue rows, of few programmes each.
    Rows,
}

/// The costs of a product before the first result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DefaultCosts {
    /// Bytes of input per second and core (measured on a core of 2023; see the benchmarks).
    pub bytes_per_second: f64,
    /// Bytes staged per byte of input.
    pub output_per_byte: f64,
    /// Bytes on the site's disk per byte of input that a round must find free, for staging and the ingest together.
    pub room_per_byte: f64,
    /// Bytes on the site's disk per image that a round must find free.
    pub room_per_image: u64,
}

/// JPEG of every detector and a mosaic of every multiframe.
static PREVIEW: Product = Product {
    name: "preview",
    plural: "previews",
    noun: "preview",
    number: 2,
    description: "compressed images of every detector and mosaics of multiframes",
    scope: Scope::Delivery,
    inputs: Inputs { images: true, catalogues: false, products: &[] },
    follows: &[],
    tables: &["preview"],
    has_pictures: true,
    has_recipe: true,
    succession: Succession::Image,
    cut: Cut::Files { min_files: 4 },
    costs: DefaultCosts {
        bytes_per_second: 12e6,
        output_per_byte: 0.03,
        room_per_byte: 0.125,
        room_per_image: 0,
    },
};

/// Rows of `multiframe` and its companions. They describe the catalogue too: zero point, aperture corrections, numbers of rows.
static METADATA: Product = Product {
    name: "metadata",
    plural: "metadata",
    noun: "metadata",
    number: 3,
    description: "metadata of multiframes and detectors",
    scope: Scope::Delivery,
    inputs: Inputs { images: true, catalogues: true, products: &[] },
    follows: &[],
    tables: &[
        "multiframe",
        "multiframe_detector",
        "astrometry",
        "programme_frame",
        "provenance",
        "header",
    ],
    has_pictures: false,
    has_recipe: false,
    succession: Succession::Description,
    // A file takes milliseconds, a task writes half a dozen tables.
    cut: Cut::Files { min_files: 30 },
    costs: DefaultCosts {
        bytes_per_second: 250e6,
        output_per_byte: 0.01,
        // An upper estimate.
        room_per_byte: 0.0,
        room_per_image: 300_000,
    },
};

/// Rows of `detection`.
static CATALOGUE: Product = Product {
    name: "catalogue",
    plural: "detections",
    noun: "detections",
    number: 4,
    description: "detections of catalogues",
    scope: Scope::Delivery,
    inputs: Inputs { images: false, catalogues: true, products: &[UseCase::Metadata] },
    follows: &[UseCase::Metadata],
    tables: &["detection"],
    has_pictures: false,
    has_recipe: false,
    succession: Succession::Detector,
    cut: Cut::Rows,
    costs: DefaultCosts {
        bytes_per_second: 12e6,
        output_per_byte: 0.8,
        // Once in staging, and once in the lake.
        room_per_byte: 2.0,
        room_per_image: 0,
    },
};

/// A product that no site makes: tests add it to a list of use cases.
#[cfg(debug_assertions)]
static INVENTED: Product = Product {
    name: "invented",
    plural: "inventions",
    noun: "invention",
    number: 99,
    description: "nothing",
    scope: Scope::Delivery,
    inputs: Inputs { images: true, catalogues: false, products: &[UseCase::Metadata] },
    follows: &[UseCase::Metadata],
    tables: &[],
    has_pictures: false,
    has_recipe: false,
    succession: Succession::Image,
    cut: Cut::Files { min_files: 1 },
    costs: DefaultCosts {
        bytes_per_second: 1e6,
        output_per_byte: 0.0,
        room_per_byte: 0.0,
        room_per_image: 0,
    },
};

/// A data release that no site builds: it comes after the detections of every delivery.
#[cfg(debug_assertions)]
static INVENTED_RELEASE: Product = Product {
    name: "invented_release",
    plural: "invented releases",
    noun: "invented release",
    number: 100,
    scope: Scope::Release,
    inputs: Inputs { images: false, catalogues: false, products: &[] },
    follows: &[UseCase::Metadata, UseCase::Catalogue],
    ..INVENTED
};

/// All definitions, in ascending order of their numbers.
static DEFINITIONS: &[&Product] = &[
    &PREVIEW,
    &METADATA,
    &CATALOGUE,
    #[cfg(debug_assertions)]
    &INVENTED,
    #[cfg(debug_assertions)]
    &INVENTED_RELEASE,
];

/// A curation use case: the handle of a product's definition, written as its name everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UseCase(u8);

#[expect(
    non_upper_case_globals,
    reason = "use cases read as the variants of an enum, in patterns too"
)]
impl UseCase {
    /// CU2: previews.
    pub const Preview: Self = Self(0);
    /// CU3: metadata.
    pub const Metadata: Self = Self(1);
    /// CU4: detections.
    pub const Catalogue: Self = Self(2);
    /// The product that tests add.
    #[cfg(debug_assertions)]
    #[doc(hidden)]
    pub const Invented: Self = Self(3);
    /// The release that tests add.
    #[cfg(debug_assertions)]
    #[doc(hidden)]
    pub const InventedRelease: Self = Self(4);

    /// The use cases of a site, in the order of their numbers.
    pub const ALL: &'static [Self] = &[Self::Preview, Self::Metadata, Self::Catalogue];
}

impl UseCase {
    /// Returns the definition.
    pub fn product(self) -> &'static Product {
        DEFINITIONS[self.index()]
    }

    /// Returns the position of the definition in the register.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Returns the verb of the command line, which is also the name in tables and paths.
    pub fn name(self) -> &'static str {
        self.product().name
    }

    /// Returns the number of the curation use case.
    pub fn number(self) -> i16 {
        self.product().number
    }

    /// Returns the use case whose tasks write a table; `None` when none does.
    pub fn of_table(table: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|u| u.product().tables.contains(&table))
    }

    /// Returns the length of the longest chain of use cases of a site that follow it.
    fn followers(self) -> usize {
        let next = Self::ALL.iter().filter(|u| u.product().follows.contains(&self));
        next.map(|u| 1 + u.followers()).max().unwrap_or(0)
    }

    /// Returns the length of the longest chain of use cases before it.
    fn leaders(self) -> usize {
        self.product().follows.iter().map(|u| 1 + u.leaders()).max().unwrap_or(0)
    }
}

impl Product {
    /// Returns the amount (of files or bytes) that a task reads, of that of its images and that of their catalogues.
    pub fn amount_read(&self, of_images: u64, of_catalogues: u64) -> u64 {
        let images = if self.inputs.images { of_images } else { 0 };
        let catalogues = if self.inputs.catalogues { of_catalogues } else { 0 };
        images + catalogues
    }

    /// Returns the bytes that a round must find free on the site's disk for an image and its catalogue.
    pub fn room_bytes(&self, image: u64, catalogue: u64) -> u64 {
        let of_input = self.amount_read(image, catalogue) as f64 * self.costs.room_per_byte;
        of_input as u64 + self.costs.room_per_image
    }

    /// Returns true when its tasks write files of that kind: rows of one of its tables, those of the lake with their programme, or
    /// pictures.
    pub fn writes(&self, file: &StagedFile) -> bool {
        if file.table == JPEG {
            return self.has_pictures;
        }
        let table = tables::table(&file.table).filter(|t| self.tables.contains(&t.name.as_str()));
        table.is_some_and(|t| t.keeping != Keeping::Lake || file.programme_id.is_some())
    }

    /// Returns true when the noun of an image's product is in the plural.
    pub fn is_plural(&self) -> bool {
        self.noun == self.plural
    }

    /// Returns true when each detector of an image has its own current product.
    pub fn is_by_detector(&self) -> bool {
        self.succession == Succession::Detector
    }

    /// Returns true when it describes the images to which all other products refer.
    pub fn describes_images(&self) -> bool {
        self.succession == Succession::Description
    }

    /// Returns true when its tasks read catalogues alone, so that an image without catalogue has no such product.
    pub fn is_of_catalogue(&self) -> bool {
        self.inputs.catalogues && !self.inputs.images
    }
}

/// Returns the handles of all definitions.
pub fn defined() -> impl Iterator<Item = UseCase> {
    (0..).zip(DEFINITIONS).map(|(at, _)| UseCase(at))
}

/// Returns use cases in the order in which their batches are published: those that most others follow first.
pub fn in_order(use_cases: &[UseCase]) -> Vec<UseCase> {
    let mut ordered = use_cases.to_vec();
    ordered.sort_by_key(|u| place(*u));
    ordered
}

/// Returns the place of a use case in the order of publication.
pub fn place(use_case: UseCase) -> impl Ord {
    (std::cmp::Reverse(use_case.followers()), use_case.leaders(), use_case)
}

/// Returns use cases in the order in which one night is made fastest: first the chains of products that follow each other, then
/// the others, which fill what is left.
pub fn chains_first(use_cases: &[UseCase]) -> Vec<UseCase> {
    let mut ordered = use_cases.to_vec();
    ordered.sort_by_key(|u| (u.leaders() + u.followers() == 0, u.leaders(), *u));
    ordered
}

impl fmt::Debug for UseCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for UseCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for UseCase {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        defined().find(|u| u.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|u| u.name()).collect();
            format!("{name:?} is not a use case ({})", names.join(", "))
        })
    }
}

impl Serialize for UseCase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for UseCase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn definitions_are_consistent() {
        assert!(DEFINITIONS.is_sorted_by(|a, b| a.number < b.number));
        let mut written: BTreeMap<&str, UseCase> = BTreeMap::new();
        for use_case in defined() {
            let product = use_case.product();
            assert_eq!(product.name.parse(), Ok(use_case));
            let json = serde_json::to_string(&use_case).unwrap();
            assert_eq!(json, format!("{:?}", product.name));
            assert_eq!(serde_json::from_str::<UseCase>(&json).unwrap(), use_case);
            for table in product.tables {
                let table = crate::tables::table(table).unwrap();
                assert_ne!(table.keeping, Keeping::Reference, "{}", table.name);
                assert_eq!(written.insert(&table.name, use_case), None, "{}", table.name);
            }
            let before = product.follows.iter().chain(product.inputs.products);
            assert!(before.copied().all(|u| u < use_case), "{use_case} follows itself");
        }
        for table in tables::tables().iter().filter(|t| t.keeping != Keeping::Reference) {
            assert!(UseCase::of_table(&table.name).is_some(), "no product writes {}", table.name);
        }
        assert_eq!(
            "x".parse::<UseCase>().unwrap_err(),
            "\"x\" is not a use case (preview, metadata, catalogue)"
        );
    }

    #[test]
    fn products_come_after_those_that_they_follow() {
        use UseCase as U;
        assert_eq!(in_order(U::ALL), [U::Metadata, U::Preview, U::Catalogue]);
        assert_eq!(chains_first(U::ALL), [U::Metadata, U::Catalogue, U::Preview]);
        let more = [U::InventedRelease, U::Invented, U::Catalogue, U::Metadata];
        assert_eq!(in_order(&more), [U::Metadata, U::Catalogue, U::Invented, U::InventedRelease]);
    }
}
