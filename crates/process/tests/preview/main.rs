//! Previews through their public functions: files built in code, simulated and real ones, JPEGs as Pillow decodes them.
//!
//! Frames with planted stars come from [`frame`] and [`camera`], tasks are run by [`made`], JPEGs become grey values in
//! [`jpeg`]. With `ALMAGEST_KEEP_PREVIEWS=DIR` the JPEGs of simulated and real frames stay there, to be looked at.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod camera;
mod constant;
mod frame;
mod jpeg;
mod kinds;
mod made;
mod memory;
mod orientation;
mod real;
mod repeated;
mod rows;
mod settings;
mod spoiled;
