//! The assignment of a table's columns to the columns of `detection`.

use super::batch::{detection, position};
use super::positions::is_text;
use fits::{AsciiKind, Column, ColumnKind, Element, HduKind, Table};
use model::RefusalCode;
use model::profile::CatalogueProfile;
use model::tables::ColumnType;

/// A measure that is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Position in `detection`.
    pub(super) archive: usize,
    /// Position in the table.
    pub(super) table: usize,
}

/// The columns of a table that is a catalogue. Positions in the table count from 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    /// Single-precision measures.
    pub(super) measures: Vec<Delivered>,
    pub(super) seq_num: usize,
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) ra_dec: Option<(usize, usize)>,
    pub(super) class: Option<usize>,
    /// TTYPEs that neither the archive nor the profile knows.
    pub(super) unknown: Vec<String>,
    /// TTYPEs that are known but do not hold one number per row.
    pub(super) unusable: Vec<String>,
}

/// The reason why a table is not a catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoCatalogue {
    #[error("column {0} is missing")]
    Missing(String),
    #[error("the table has column {0}, which catalogues of this survey do not have")]
    Foreign(String),
    #[error("column {ttype} has format {tform}, not one number per row")]
    Format { ttype: String, tform: String },
    #[error("the rows are packed (ZTABLE), which is not supported")]
    Packed,
}

impl NoCatalogue {
    pub(super) fn code(&self) -> RefusalCode {
        match self {
            Self::Missing(_) => RefusalCode::REQUIRED_COLUMN_MISSING,
            Self::Foreign(_) => RefusalCode::FOREIGN_COLUMN,
            Self::Format { .. } => RefusalCode::REQUIRED_COLUMN_FORMAT,
            Self::Packed => RefusalCode::COMPRESSED_TABLE,
        }
    }

    pub(super) fn column(&self) -> Option<&str> {
        match self {
            Self::Missing(name) | Self::Foreign(name) | Self::Format { ttype: name, .. } => {
                Some(name)
            }
            Self::Packed => None,
        }
    }
}

impl Layout {
    /// Finds the columns of a table.
    ///
    /// # Errors
    /// The reason why the table is not a catalogue of this survey.
    pub(super) fn of_table(
        table: &Table<'_>,
        profile: &CatalogueProfile,
    ) -> Result<Self, NoCatalogue> {
        match table.hdu().kind {
            // In its stored form the table has the names of its columns, but other content in them.
            HduKind::CompressedTable => Err(NoCatalogue::Packed),
            _ => Self::of(table.columns(), profile),
        }
    }

    /// Finds the columns.
    ///
    /// # Errors
    /// The reason why a table of these columns is not a catalogue of this survey.
    pub(super) fn of(columns: &[Column], profile: &CatalogueProfile) -> Result<Self, NoCatalogue> {
        for column in columns {
            let name = column.label();
            if profile.foreign.iter().any(|glob| glob.fits(&name)) {
                return Err(NoCatalogue::Foreign(name));
            }
        }
        let found = found(columns, profile);
        for name in &profile.required {
            let at = found.iter().find(|d| d.archive == position(name));
            let at = at.ok_or_else(|| NoCatalogue::Missing(spelled(name, profile)))?;
            let column = &columns[at.table];
            if !is_number(column) {
                let (ttype, tform) = (column.label(), column.tform.clone());
                return Err(NoCatalogue::Format { ttype, tform });
            }
        }
        let (usable, unusable): (Vec<Delivered>, Vec<Delivered>) = found
            .iter()
            .partition(|d| is_number(&columns[d.table]) || is_written_angle(d, columns));
        let at = |name: &str| usable.iter().find(|d| d.archive == position(name)).map(|d| d.table);
        let must =
            |name: &str| at(name).ok_or_else(|| NoCatalogue::Missing(spelled(name, profile)));
        let single = |d: &&Delivered| detection().columns[d.archive].kind == ColumnType::F32;
        Ok(Self {
            measures: usable.iter().filter(single).copied().collect(),
            seq_num: must("seq_num")?,
            x: must("x")?,
            y: must("y")?,
            ra_dec: at("ra").zip(at("dec")),
            class: at("class"),
            unknown: unknown(columns, &found, profile),
            unusable: unusable.iter().map(|d| columns[d.table].label()).collect(),
        })
    }
}

/// Returns true when a table has at least one of the required columns.
pub(super) fn has_required(columns: &[Column], profile: &CatalogueProfile) -> bool {
    let found = found(columns, profile);
    profile.required.iter().any(|name| found.iter().any(|d| d.archive == position(name)))
}

/// Returns every column of `detection` that the table has under one of its spellings, the first spelling first.
fn found(columns: &[Column], profile: &CatalogueProfile) -> Vec<Delivered> {
    let named = |ttype: &str| {
        columns.iter().position(|column| {
            column
                .name
                .as_deref()
                .is_some_and(|name| name.trim().eq_ignore_ascii_case(ttype.trim()))
        })
    };
    let deliver = |(archive, column): (usize, &model::tables::Column)| {
        let table = profile.spellings_of(column).into_iter().find_map(named)?;
        Some(Delivered { archive, table })
    };
    detection().columns.iter().enumerate().filter_map(deliver).collect()
}

fn unknown(columns: &[Column], found: &[Delivered], profile: &CatalogueProfile) -> Vec<String> {
    columns
        .iter()
        .enumerate()
        .filter(|(n, _)| !found.iter().any(|d| d.table == *n))
        .map(|(_, column)| column.label())
        .filter(|name| !profile.blank.iter().any(|glob| glob.fits(name)))
        .collect()
}

/// Lists the spellings of a column of `detection` in a catalogue.
fn spelled(name: &str, profile: &CatalogueProfile) -> String {
    detection().column(name).map_or_else(String::new, |c| profile.spellings_of(c).join(" or "))
}

/// Returns true when a column holds right ascension or declination as text.
fn is_written_angle(delivered: &Delivered, columns: &[Column]) -> bool {
    let name = detection().columns[delivered.archive].name.as_str();
    matches!(name, "ra" | "dec") && is_text(&columns[delivered.table])
}

/// Returns true when a column holds one number per row.
fn is_number(column: &Column) -> bool {
    match column.kind {
        ColumnKind::Cells(element) => {
            column.repeat == 1 && (element.is_integer() || element.is_float())
        }
        ColumnKind::Ascii(kind) => kind != AsciiKind::Text,
        ColumnKind::Arrays { .. } => false,
    }
}

/// Returns true when TNULL may occur in a column.
pub(super) fn may_be_undefined(column: &Column) -> bool {
    column.tnull.is_some() && column.element().is_none_or(Element::is_integer)
}
