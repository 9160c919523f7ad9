//! The assignment of a table's columns to the columns of `detection`.

use super::batch::{detection, position};
use super::cells::{Converted, is_number};
use super::positions::is_text;
use fits::{Column, HduKind, Table};
use model::RefusalCode;
use model::profile::{CatalogueProfile, Spelling, is_magnitude};
use model::tables::{self, ColumnType};
use std::borrow::Cow;

/// A column that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Position in `detection`.
    pub(super) archive: usize,
    /// Position in the table.
    pub(super) table: usize,
    /// Position among the conversions of the layout; `None` when values are copied.
    converted: Option<usize>,
    /// True for a magnitude, to which the profile may add a number; false for its error.
    pub(super) is_magnitude: bool,
}

/// The columns of a table that is a catalogue. Positions in the table count from 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    /// Single-precision measures.
    pub(super) measures: Vec<Delivered>,
    /// `None` for the number of the row.
    pub(super) seq_num: Option<Delivered>,
    pub(super) x: Delivered,
    pub(super) y: Delivered,
    pub(super) ra_dec: Option<(Delivered, Delivered)>,
    pub(super) class: Option<Delivered>,
    /// The column of quality bits, where the profile gives some of them a meaning.
    pub(super) quality_bits: Option<Delivered>,
    /// Conversions of columns.
    converted: Vec<Converted>,
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
        let mut converted = Vec::new();
        let found = found(columns, profile, &mut converted);
        let is_usable = |d: &Delivered| match d.converted {
            Some(n) => converted[n].is_usable,
            None => is_number(&columns[d.table]) || is_written_angle(d, columns),
        };
        let rows_are_numbered = found.iter().all(|d| d.archive != position("seq_num"))
            && spellings(position("seq_num"), profile).iter().any(|spelling| spelling.row);
        for name in &profile.required {
            let Some(at) = found.iter().find(|d| d.archive == position(name)) else {
                if (rows_are_numbered && name == "seq_num") || profile.is_dispensable(name) {
                    continue;
                }
                return Err(NoCatalogue::Missing(spelled(name, profile)));
            };
            // RA and DEC may be text where a spelling says how they are written.
            if !is_usable(at) || (at.converted.is_none() && !is_number(&columns[at.table])) {
                let column = &columns[at.table];
                let (ttype, tform) = (column.label(), column.tform.clone());
                return Err(NoCatalogue::Format { ttype, tform });
            }
        }
        let (usable, unusable): (Vec<Delivered>, Vec<Delivered>) =
            found.iter().copied().partition(is_usable);
        let at = |name: &str| usable.iter().copied().find(|d| d.archive == position(name));
        let must =
            |name: &str| at(name).ok_or_else(|| NoCatalogue::Missing(spelled(name, profile)));
        let single = |d: &&Delivered| detection().columns[d.archive].kind == ColumnType::F32;
        Ok(Self {
            measures: usable.iter().filter(single).copied().collect(),
            seq_num: if rows_are_numbered { None } else { Some(must("seq_num")?) },
            x: must("x")?,
            y: must("y")?,
            ra_dec: at("ra").zip(at("dec")),
            class: at("class"),
            quality_bits: at("err_bits").filter(|_| profile.quality.has_bits()),
            unknown: unknown(columns, &found, profile),
            unusable: unusable.iter().map(|d| columns[d.table].label()).collect(),
            converted,
        })
    }

    /// Returns the conversion of a column; `None` when its values are copied.
    pub(super) fn conversion(&self, delivered: Delivered) -> Option<&Converted> {
        Some(&self.converted[delivered.converted?])
    }

    /// Returns the column of a table that is read: itself, or one element of it.
    pub(super) fn column<'c>(&'c self, delivered: Delivered, columns: &'c [Column]) -> &'c Column {
        self.conversion(delivered).map_or(&columns[delivered.table], |c| &c.column)
    }
}

/// Returns true when a table has at least one of the required columns.
pub(super) fn has_required(columns: &[Column], profile: &CatalogueProfile) -> bool {
    let found = found(columns, profile, &mut Vec::new());
    profile.required.iter().any(|name| found.iter().any(|d| d.archive == position(name)))
}

/// Returns every column of `detection` that the table has under one of its spellings, the first spelling first. Conversions
/// are appended to `converted`.
fn found(
    columns: &[Column],
    profile: &CatalogueProfile,
    converted: &mut Vec<Converted>,
) -> Vec<Delivered> {
    let deliver = |(archive, column): (usize, &tables::Column)| {
        let spellings = profile.spellings_of(column);
        // The spellings after the number of the row cannot count.
        let (table, conversion) = spellings
            .iter()
            .take_while(|spelling| !spelling.row)
            .find_map(|spelling| Converted::of(columns, spelling, column, &profile.unknown))?;
        let converted = conversion.map(|conversion| {
            converted.push(conversion);
            converted.len() - 1
        });
        let is_magnitude = is_magnitude(&column.name) && !column.name.ends_with("_err");
        Some(Delivered { archive, table, converted, is_magnitude })
    };
    detection().columns.iter().enumerate().filter_map(deliver).collect()
}

fn spellings(archive: usize, profile: &CatalogueProfile) -> Cow<'_, [Spelling]> {
    profile.spellings_of(&detection().columns[archive])
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
    let spellings = spellings(position(name), profile);
    spellings.iter().map(Spelling::label).collect::<Vec<_>>().join(" or ")
}

/// Returns true when a column holds right ascension or declination as text.
fn is_written_angle(delivered: &Delivered, columns: &[Column]) -> bool {
    let name = detection().columns[delivered.archive].name.as_str();
    matches!(name, "ra" | "dec") && is_text(&columns[delivered.table])
}
