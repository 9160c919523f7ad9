//! Simulated nights: deliveries that a WFCAM archive would accept as real.
//!
//! Takes a [`NightSpec`], writes a directory such as `20071011_v1` with images, confidence maps, library frames and
//! catalogues, and the marker `OK_TO_COPY`, written last. The same specification produces the same bytes, whatever the
//! number of threads. The true contents of the images are returned as [`TrueFrame`]s.
//!
//! Start at [`night()`]. The frames of a night are decided in `plan`; a frame is made in `frame_files`, its pixels in
//! `pixels`, its catalogue in `catalogue`, both from the sources of `scene`; `delivery` writes them. Damaged files are in [`damage`],
//! small deliveries of other pipelines in [`mod@like`].
//! This crate does not depend on the crates that read its files: the astrometry here is not that of `sky`.

mod bad_pixels;
mod camera;
mod catalogue;
mod conditions;
pub mod damage;
mod delivery;
mod detector_header;
mod frame_files;
pub mod like;
mod night;
mod pixels;
mod plan;
mod primary_header;
mod profile;
mod programme;
mod random;
mod scene;
mod spec;
mod truth;

pub use camera::Wcs;
pub use delivery::{MARKER, NightSummary, Progress, SimulateError, night};
pub use night::Night;
pub use plan::FrameKind;
pub use programme::{FILTERS, Filter, PROGRAMMES, Programme};
pub use spec::{Mix, NightSpec, SpecFault};
pub use truth::{TrueDetector, TrueFrame, TrueSource, write_truth};
