//! Catalogues become detections: layouts, rows that are refused, real files, and what other software makes of it.

mod foreign;
mod layouts;
mod made;
mod real;
mod refusals;
