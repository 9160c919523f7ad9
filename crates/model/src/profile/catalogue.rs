//! Settings of catalogues.

use serde::Deserialize;

/// How the catalogues of a survey are read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogueProfile {}
