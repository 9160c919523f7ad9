//! Sky positions: coordinates, sky numbering, world coordinate systems of detectors.
//!
//! Takes numbers and header keywords, returns numbers; opens no file and knows no table. Angles are degrees in names
//! ending `_deg`, pixels are FITS pixels (the centre of the first is 1.0, 1.0).
//!
//! Start at [`Wcs`] for a detector, [`Footprint`] for the area it covers, [`Transform`] for showing it north up,
//! [`Layout`] for several side by side, [`SkyColumns`] for the sky columns of a catalogue, [`ReferenceFrame`] for the
//! transformation from other frames to the ICRS. A new projection is one arm of `wcs::projection` or `wcs::flat`; a new
//! keyword spelling one line of `wcs::keywords`, a new frame one arm of `reference_frame`.
//! This crate does not handle proper motion, parallax, aberration, apparent places or time.

mod derived;
mod footprint;
mod frames;
pub mod healpix;
pub mod htm;
mod layout;
mod orientation;
mod position;
mod precession;
mod reference_frame;
mod rotation;
mod trig;
mod wcs;

pub use derived::{SkyColumns, SkyDerived};
pub use footprint::{Footprint, RaSpan, SkyPolygon};
pub use frames::{Galactic, SdssSurvey, galactic, sdss_lambda_eta};
pub use layout::{Detector, Layout, Placement};
pub use orientation::{PixelSize, Transform};
pub use position::{SkyPosition, UnitVector, angular_distance_deg, unit_vector};
pub use reference_frame::{FrameFault, ReferenceFrame, ToIcrs};
pub use wcs::{CelestialSystem, Jacobian, Keywords, Reading, Wcs, WcsFault, WcsNote, WcsNoteKind};
