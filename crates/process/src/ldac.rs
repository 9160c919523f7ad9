//! Headers of images in the tables of a catalogue file (FITS_LDAC).
//!
//! SExtractor writes a table `LDAC_IMHEAD` before each table `LDAC_OBJECTS`. Its single cell holds the header of the image as
//! text. That header names the image: it pairs the table, and is a source of keywords.

use crate::roles;
use fits::{ColumnKind, Element, FitsFile, Hdu, Header};
use model::profile::{HduRole, Pairing, SurveyProfile};
use std::collections::BTreeMap;

/// Name of the tables that hold the header of an image.
const TABLE: &str = "LDAC_IMHEAD";
/// Bytes of a header beyond which it is not read.
const MAX_BYTES: u64 = 8 << 20;

/// The headers in the cells of a file, by the HDU of the catalogue that follows them.
#[derive(Debug, Default)]
pub(crate) struct CellHeaders(BTreeMap<u16, Header>);

impl CellHeaders {
    /// Reads the headers of a catalogue file. The result is empty where the profile has no use for them.
    pub(crate) fn of(file: &FitsFile, profile: &SurveyProfile, of_image: bool) -> Self {
        let has_role = profile.hdus.iter().any(|rule| rule.role == HduRole::Header);
        if profile.catalogue.pairing != Pairing::Ldac && !has_role {
            return Self::default();
        }
        let mut headers = BTreeMap::new();
        let mut last = None;
        for hdu in file.hdus() {
            if is_header(hdu, profile) {
                last = cell(file, hdu);
            } else if roles::is_candidate(file, hdu, profile, of_image)
                && let Some(header) = last.take()
            {
                headers.insert(hdu.index.0, header);
            }
        }
        Self(headers)
    }

    /// Returns the header before a catalogue HDU.
    pub(crate) fn before(&self, hdu: u16) -> Option<&Header> {
        self.0.get(&hdu)
    }
}

/// Returns true for a table that holds the header of an image, by its role or its name.
pub(crate) fn is_header(hdu: &Hdu, profile: &SurveyProfile) -> bool {
    match roles::declared(hdu, profile) {
        Some(role) => role == HduRole::Header,
        None => hdu.name().is_some_and(|name| name.trim() == TABLE),
    }
}

/// Reads the header in the first cell of text of a table. `None` without one: the table is then no source of keywords.
fn cell(file: &FitsFile, hdu: &Hdu) -> Option<Header> {
    let table = file.table(hdu.index).ok()?;
    let is_text = |kind: &ColumnKind| matches!(kind, ColumnKind::Cells(Element::Text));
    let column = table.columns().iter().find(|column| is_text(&column.kind))?;
    if table.rows() == 0 || table.row_bytes() > MAX_BYTES {
        return None;
    }
    let mut buffer = Vec::new();
    let rows = table.read_rows(0..1, &mut buffer).ok()?;
    Some(Header::parse(rows.cell(0, column).to_vec()))
}
