//! What the archive knows of a name, a night, a number or a position: what [`super::explain`] makes sentences of.

use super::records::{DeliveryWork, ImageWork, KeptProduct, RefusalRecord, Timestamp};
use super::report::{DeliveryStatus, Drift};
use model::UseCase;

/// What is asked about; everything that exists of it is answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Name of a delivery or file, or DELIVERY/FILE.
    pub name: Option<String>,
    /// An observing night, yyyymmdd.
    pub night: Option<i32>,
    /// A multiframe.
    pub multiframe: Option<i64>,
    /// An object id, of any programme.
    pub object: Option<i64>,
    /// Right ascension and declination in degrees.
    pub position: Option<(f64, f64)>,
    /// At most N files and frames in detail, the latest first.
    pub at_most: usize,
}

/// Everything that `explain` needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The delivery, when the name is one.
    pub delivery: Option<DeliveryFactsheet>,
    /// The deliveries of the night, when there are any.
    pub night: Option<(i32, Vec<DeliveryStatus>)>,
    /// Files of that name, newest content first, over all deliveries, and the file of the multiframe.
    pub files: Vec<FileFactsheet>,
    /// Files of that name in all, those in detail among them.
    pub files_in_all: u64,
    /// The object id in each programme that gave it.
    pub objects: Vec<ObjectFactsheet>,
    /// Detectors at the position, the latest multiframe first.
    pub position: Option<PositionFactsheet>,
}

impl Facts {
    /// Returns true when nothing goes by what was asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A delivery as `explain` sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryFactsheet {
    /// Counts and rounds.
    pub status: DeliveryStatus,
    /// What decides what is to be done.
    pub work: DeliveryWork,
    /// Refusals that are open.
    pub refusals: Vec<RefusalRecord>,
    /// Its drift report.
    pub findings: Vec<Drift>,
    /// Frames of earlier processings of its night that stay current, as it has no successor of theirs: delivery and file.
    pub without_successor: Vec<(String, String)>,
    /// Newer deliveries whose frames supersede its own, with the number of these.
    pub superseded_by: Vec<(String, u64)>,
    /// Staged rounds that wait, each with the reason.
    pub blocked: Vec<(UseCase, u32, String)>,
    /// Whether an undo of its retraction would bring something back.
    pub can_come_back: bool,
    /// Products of its images that are kept beside newer images or catalogues.
    pub kept: Vec<KeptProduct>,
}

/// A file as `explain` sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileFactsheet {
    /// Delivery.
    pub delivery: String,
    /// Name within it.
    pub name: String,
    /// `image`, `catalogue`, `other`, or `not registered` when it was refused by its name.
    pub kind: String,
    /// Length.
    pub bytes: u64,
    /// Whether newer content replaced it.
    pub superseded: bool,
    /// Name of an older file of equal content: delivery and file.
    pub same_content_as: Option<(String, String)>,
    /// Identity of the image (for a catalogue: of its image).
    pub multiframe_id: Option<i64>,
    /// For a catalogue: name of its image. For an image: name of its catalogue.
    pub partner: Option<String>,
    /// For an image whose catalogue was refused as a whole: the first of its refusals.
    pub catalogue_refused: Option<RefusalRecord>,
    /// The image, when its catalogue is due and no round has taken that up; for a catalogue, when it is that one.
    pub waiting: Option<ImageWork>,
    /// For an image without catalogue: the refusals of files that would be it.
    pub refused_partner: Vec<RefusalRecord>,
    /// For a catalogue: name of the image's current one, when that came after it under another name. For an image: the later file of
    /// the same frame that superseded it.
    pub replaced_by: Option<String>,
    /// Rounds that covered it, oldest first: use case, round, state, outcome.
    pub rounds: Vec<FileRound>,
    /// Use cases that are to be done again, with the reason.
    pub redo: Vec<(String, String)>,
    /// All refusals of its content, and for an image those of its catalogue.
    pub refusals: Vec<RefusalRecord>,
    /// Whether the archive shows its metadata.
    pub has_metadata: bool,
    /// Detections that the archive shows.
    pub detections: u64,
    /// Previews that the archive shows.
    pub previews: u64,
    /// The event that ended its metadata, when the archive shows none.
    pub metadata_end: Option<Ending>,
    /// The event that ended its detections, when the archive shows none.
    pub detections_end: Option<Ending>,
    /// The decision in force that ended detections of some of its detectors, when the archive shows those of others.
    pub detectors_aside: Option<Decision>,
    /// The event that ended its previews, when the archive shows none.
    pub previews_end: Option<Ending>,
    /// Whether its retracted rounds can come back.
    pub can_come_back: bool,
    /// Products that its image keeps beside a newer one, or that an older image keeps beside it.
    pub kept: Vec<KeptProduct>,
}

/// One round of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRound {
    /// Use case.
    pub use_case: String,
    /// Round.
    pub round: u32,
    /// State of the round.
    pub state: String,
    /// Outcome for the file; empty while its task is not done.
    pub outcome: String,
}

/// An event that ended rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Number of the event.
    pub event: i64,
    /// `ingest`, `retract` …
    pub act: String,
    /// When.
    pub happened: Timestamp,
    /// By whom.
    pub who: String,
    /// The reason.
    pub why: String,
    /// The delivery whose round it was about.
    pub delivery: String,
    /// The rows are retracted; else newer ones are in their place.
    pub is_retraction: bool,
    /// A newer frame that has the product: delivery, file and multiframe.
    pub successor: Option<(String, String, i64)>,
    /// The decision in force about the product.
    pub set_aside: Option<Decision>,
}

/// A decision to end a product of an older image although the newer one lacks it, or detections of an image although its newer
/// catalogue lacks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The product.
    pub use_case: UseCase,
    /// The name of both images.
    pub file: String,
    /// Number of its event.
    pub event: i64,
    /// When.
    pub happened: Timestamp,
    /// By whom.
    pub who: String,
    /// The reason.
    pub why: String,
    /// The newer delivery.
    pub newer: String,
    /// The detectors concerned, where the image's own newer catalogue lacks their detections.
    pub ext_nums: Vec<i64>,
    /// The older delivery, when it retracted the product besides.
    pub retracted: Option<String>,
    /// A newer frame has the product by now.
    pub is_replaced: bool,
}

/// An object id of a programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFactsheet {
    /// The id.
    pub obj_id: i64,
    /// Programme, by name.
    pub programme: String,
    /// State of its range: `reserved`, `ingested`, `retracted` or `abandoned`.
    pub state: String,
    /// Why its range was abandoned.
    pub why: Option<String>,
    /// The round that got the range: delivery, use case and round.
    pub round: String,
    /// The delivery of the round.
    pub delivery: String,
    /// The detector that has it: delivery, file, multiframe, extension.
    pub detector: Option<(String, String, i64, i64)>,
    /// The event that ended it.
    pub end: Option<Ending>,
}

/// A position.
#[derive(Clone, Debug, PartialEq)]
pub struct PositionFactsheet {
    /// Right ascension, degrees.
    pub ra_deg: f64,
    /// Declination, degrees.
    pub dec_deg: f64,
    /// Detectors that the archive shows there.
    pub current: u64,
    /// Detectors that it does not show any more.
    pub ended: u64,
    /// Some of them in detail.
    pub detectors: Vec<DetectorFactsheet>,
}

/// A detector at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectorFactsheet {
    /// Delivery.
    pub delivery: String,
    /// File.
    pub file: String,
    /// Multiframe.
    pub multiframe_id: i64,
    /// Extension.
    pub ext_num: i64,
    /// Detections that the archive shows of it.
    pub detections: u64,
    /// The event that ended it.
    pub end: Option<Ending>,
}
