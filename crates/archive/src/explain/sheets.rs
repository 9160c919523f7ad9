//! The archive's facts about a name, a night, a number or a position: the input of [`crate::explain`].

use crate::Timestamp;
use crate::batches::RangeState;
use crate::findings::Drift;
use crate::history::Cause;
use crate::products::kept::KeptProduct;
use crate::refusals::RefusalRecord;
use crate::retraction::purge::PurgedRound;
use crate::status::DeliveryStatus;
use crate::work::{DeliveryWork, ImageWork};
use model::{
    DeliveryName, EventId, FileKind, MultiframeId, Night, ObjectId, ProgrammeName, RoundNumber,
    UnitKey, UnitState, UseCase,
};

/// The subject of an `explain` request; everything that exists of the subject is returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Name of a delivery or file, or DELIVERY/FILE.
    pub name: Option<String>,
    /// An observing night, yyyymmdd.
    pub night: Option<Night>,
    /// A multiframe.
    pub multiframe: Option<MultiframeId>,
    /// An object id, of any programme.
    pub object: Option<ObjectId>,
    /// Right ascension and declination in degrees.
    pub position: Option<(f64, f64)>,
    /// Maximum number of files and frames in detail, the latest first.
    pub at_most: usize,
}

/// All facts that `explain` needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The delivery, when the name is one.
    pub delivery: Option<DeliveryFactsheet>,
    /// The deliveries of the night, when there are any.
    pub night: Option<(Night, Vec<DeliveryStatus>)>,
    /// Files of that name, newest content first, over all deliveries, and the file of the multiframe.
    pub files: Vec<FileFactsheet>,
    /// Total number of files of that name, those in detail included.
    pub files_in_all: u64,
    /// The object id in each programme that assigned it.
    pub objects: Vec<ObjectFactsheet>,
    /// Detectors at the position, the latest multiframe first.
    pub position: Option<PositionFactsheet>,
}

impl Facts {
    /// Returns true when nothing matches the request.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The facts about a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryFactsheet {
    /// Counts and rounds.
    pub status: DeliveryStatus,
    /// The data that determine the work to do.
    pub work: DeliveryWork,
    /// Open refusals.
    pub refusals: Vec<RefusalRecord>,
    /// Its drift report.
    pub findings: Vec<Drift>,
    /// Frames of earlier processings of its night that stay current because the delivery has no successor of them: delivery and
    /// file.
    pub without_successor: Vec<(String, String)>,
    /// Newer deliveries whose frames supersede the delivery's, with the number of these frames.
    pub superseded_by: Vec<(DeliveryName, u64)>,
    /// Staged rounds that are blocked, each with the reason.
    pub blocked: Vec<(UseCase, RoundNumber, String)>,
    /// True when undoing the delivery's retraction would restore something.
    pub can_come_back: bool,
    /// Products of its images that are kept despite newer images or catalogues.
    pub kept: Vec<KeptProduct>,
    /// Its purged rounds.
    pub purged: Vec<PurgedRound>,
}

/// The facts about a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileFactsheet {
    /// Delivery.
    pub delivery: DeliveryName,
    /// Name within it.
    pub name: String,
    /// Kind; `None` when the file was refused by its name and is not registered.
    pub kind: Option<FileKind>,
    /// Length in bytes.
    pub bytes: u64,
    /// True when newer content replaced the file.
    pub superseded: bool,
    /// An older file of equal content: delivery and file.
    pub same_content_as: Option<(String, String)>,
    /// Identity of the image; for a catalogue, of the catalogue's image.
    pub multiframe_id: Option<MultiframeId>,
    /// For a catalogue: name of its image. For an image: name of its catalogue.
    pub partner: Option<String>,
    /// For an image whose catalogue was refused as a whole: the first of its refusals.
    pub catalogue_refused: Option<RefusalRecord>,
    /// For an image whose catalogue is due and in no round yet: the image. For such a catalogue: its image.
    pub waiting: Option<ImageWork>,
    /// For an image without catalogue: the refusals of files that would be its catalogue.
    pub refused_partner: Vec<RefusalRecord>,
    /// For an image: the companions that the profile names, e.g. its mask.
    pub companions: Vec<CompanionFile>,
    /// For a companion: its role and the name of each of its images.
    pub companion_of: Vec<(String, String)>,
    /// For a catalogue: name of the image's current catalogue, when that arrived later under another name. For an image: the
    /// later file of the same frame that superseded the image.
    pub replaced_by: Option<String>,
    /// Rounds that covered it, oldest first: use case, round, state, outcome.
    pub rounds: Vec<FileRound>,
    /// Use cases that are to be redone, with the reason.
    pub redo: Vec<(String, String)>,
    /// All refusals of its content, and for an image those of its catalogue.
    pub refusals: Vec<RefusalRecord>,
    /// True when the archive shows the file's metadata.
    pub has_metadata: bool,
    /// Detections that the archive shows.
    pub detections: u64,
    /// Previews that the archive shows.
    pub previews: u64,
    /// The event that ended its metadata, when the archive shows none.
    pub metadata_end: Option<Ending>,
    /// The event that ended its detections, when the archive shows none.
    pub detections_end: Option<Ending>,
    /// The decision in force that ended detections of some of the file's detectors, when the archive shows those of other
    /// detectors.
    pub superseded_detectors: Option<SupersessionDecision>,
    /// The undone decisions to end detections of some of the image's detectors, oldest first.
    pub undone_decisions: Vec<UndoneDecision>,
    /// The event that ended its previews, when the archive shows none.
    pub previews_end: Option<Ending>,
    /// True when the file's retracted rounds can be restored.
    pub can_come_back: bool,
    /// Products that the file's image keeps despite a newer image, or that an older image keeps despite the file's.
    pub kept: Vec<KeptProduct>,
    /// The purged rounds of those that covered it.
    pub purged: Vec<PurgedRound>,
}

/// A file that belongs to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanionFile {
    /// Its role for the image, e.g. `mask`.
    pub role: String,
    /// Name within the delivery.
    pub name: String,
    /// Its identity, when the archive shows the metadata of such an image.
    pub multiframe_id: Option<MultiframeId>,
    /// True when the delivery has a file of the name.
    pub has_arrived: bool,
}

/// One round of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRound {
    /// Use case.
    pub use_case: String,
    /// Round.
    pub round: RoundNumber,
    /// State of the round.
    pub state: UnitState,
    /// Outcome for the file; empty while its task is not done.
    pub outcome: String,
}

/// An event that ended rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Number of the event.
    pub event: EventId,
    /// `ingest`, `retract` …
    pub act: String,
    /// Time of the event.
    pub happened: Timestamp,
    /// The person or part of the program that acted.
    pub who: String,
    /// The reason.
    pub why: String,
    /// The delivery of the round that the event was about.
    pub delivery: DeliveryName,
    /// True when the rows are retracted; false when newer rows are in their place.
    pub is_retraction: bool,
    /// A newer frame that has the product: delivery, file and multiframe.
    pub successor: Option<(DeliveryName, String, MultiframeId)>,
    /// The decision in force about the product.
    pub supersession: Option<SupersessionDecision>,
}

/// A decision to end a product of an older image although the newer image lacks it, or detections of an image although its newer
/// catalogue lacks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupersessionDecision {
    /// The product.
    pub use_case: UseCase,
    /// The name of both images.
    pub file: String,
    /// Number of its event.
    pub event: EventId,
    /// Time of the decision.
    pub happened: Timestamp,
    /// The person or part of the program that decided.
    pub who: String,
    /// The reason.
    pub why: String,
    /// The newer delivery.
    pub newer: DeliveryName,
    /// The detectors concerned, when the image's own newer catalogue lacks their detections.
    pub ext_nums: Vec<i64>,
    /// The older delivery, when it retracted the product as well.
    pub retracted: Option<DeliveryName>,
    /// True when a newer frame has the product by now.
    pub is_replaced: bool,
}

/// An undone decision to end detections of an image although its newer catalogue lacks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoneDecision {
    /// The extension numbers of the detectors.
    pub ext_nums: Vec<i64>,
    /// Number of its event.
    pub event: EventId,
    /// Time of the decision.
    pub happened: Timestamp,
    /// The decision's author and reason.
    pub cause: Cause,
    /// Number of the event that undid the decision.
    pub undone_event: EventId,
    /// Time of the undo.
    pub undone: Timestamp,
    /// The undo's author and reason.
    pub undo_cause: Cause,
}

/// An object id of a programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFactsheet {
    /// The id.
    pub obj_id: ObjectId,
    /// Name of the programme; `None` when no table lists the programme.
    pub programme: Option<ProgrammeName>,
    /// State of its range.
    pub state: RangeState,
    /// The reason why the range was abandoned; `None` when it was not.
    pub why: Option<String>,
    /// The round that the range was reserved for.
    pub round: UnitKey,
    /// The delivery of the round.
    pub delivery: DeliveryName,
    /// The detector that has the id: delivery, file, multiframe, extension.
    pub detector: Option<(String, String, MultiframeId, i64)>,
    /// The event that ended the object's rows; `None` when they are current.
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
    /// Detectors at the position that the archive no longer shows.
    pub ended: u64,
    /// Some of them in detail.
    pub detectors: Vec<DetectorFactsheet>,
}

/// A detector at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectorFactsheet {
    /// Delivery.
    pub delivery: DeliveryName,
    /// File.
    pub file: String,
    /// Multiframe.
    pub multiframe_id: MultiframeId,
    /// Extension.
    pub ext_num: i64,
    /// Detections that the archive shows of it.
    pub detections: u64,
    /// The event that ended the detector's rows; `None` when they are current.
    pub end: Option<Ending>,
}
