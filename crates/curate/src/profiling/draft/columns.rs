//! Columns of catalogues: the program that wrote them, spellings, and what has no column in the archive.

use super::super::dictionary::{Dictionary, Program};
use super::sample::{Sample, SampleColumn, SampleHdu, counted};
use super::text::{comment, list, quoted};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Fluxes one of which a catalogue must have, the usual first.
const FLUXES: [&str; 4] = ["iso_flux", "kron_flux", "psf_flux", "aper_flux1"];

/// The columns of the catalogues of a directory.
pub(super) struct Columns<'s> {
    /// The most frequent kind of table.
    table: &'s SampleHdu,
    program: Option<Program<'static>>,
    /// Spellings by column of `detection`.
    pub spellings: Vec<(&'static str, Vec<String>)>,
}

impl<'s> Columns<'s> {
    /// Finds the columns of the most frequent kind of table; `None` without tables that may be catalogues.
    pub fn of(tables: &[&'s SampleHdu]) -> Option<Self> {
        const MIN_COLUMNS: usize = 4;
        let dictionary = Dictionary::shipped();
        let names = |table: &SampleHdu| -> Vec<String> {
            table.columns.iter().map(|column| column.name.clone()).collect()
        };
        let may_be_one = |table: &&&SampleHdu| {
            table.columns.len() >= MIN_COLUMNS
                && dictionary.role(&table.name, true) != Some("header")
        };
        let usable: Vec<&SampleHdu> = tables.iter().filter(may_be_one).copied().collect();
        let kinds = counted(usable.iter().map(|table| names(table)));
        let (kind, _) = kinds.first()?;
        let table = usable.into_iter().find(|table| names(table) == *kind)?;
        let has = |name: &String| table.columns.iter().any(|column| column.name == *name);
        let score = |program: &Program<'_>| program.marks().iter().filter(|m| has(m)).count();
        let program = dictionary
            .programs()
            .reduce(|best, next| if score(&next) > score(&best) { next } else { best })
            .filter(|program| score(program) > 0);
        let mut spellings = Vec::new();
        for (column, names) in program.into_iter().flat_map(Program::columns) {
            let is_number = |name: &String| table.column(name).is_some_and(|c| c.elements == 1);
            let present: Vec<String> = names.into_iter().filter(is_number).collect();
            if !present.is_empty() {
                spellings.push((column, present));
            }
        }
        Some(Self { table, program, spellings })
    }

    /// Returns the first spelling of a column of `detection`.
    pub fn spelling(&self, column: &str) -> Option<&str> {
        let found = self.spellings.iter().find(|(known, _)| *known == column)?;
        found.1.first().map(String::as_str)
    }

    /// Returns the pixel coordinate of the first pixel as the program counts it, and the program's name.
    pub fn usual_origin(&self) -> Option<(i64, &'static str)> {
        let program = self.program?;
        Some((program.pixel_origin()?, program.name()))
    }

    /// Returns the lines of the section `catalogue` about columns.
    pub fn required(&self) -> String {
        let flux = FLUXES.iter().find(|flux| self.spelling(flux).is_some()).unwrap_or(&FLUXES[0]);
        let mut text = match self.program {
            Some(program) => comment(&format!(
                "columns as {} writes them, of tables with {} columns",
                program.name(),
                self.table.columns.len()
            )),
            None => {
                comment("TODO: the program that wrote the tables is not known: spell the columns")
            }
        };
        let _ = writeln!(text, "required = [\"seq_num\", \"x\", \"y\", {}]", quoted(flux));
        text
    }

    /// Returns the section of spellings.
    pub fn section(&self) -> String {
        let mut text = String::from("[catalogue.spellings]\n");
        let Some(program) = self.program else { return text };
        if self.spelling("seq_num").is_none() {
            text += &comment("TODO: no column numbers the rows");
            text += "seq_num = [{ row = true }]\n";
        }
        for (column, names) in &self.spellings {
            let first = self.table.column(&names[0]);
            let unit = first.map_or("", |c| c.unit.as_str());
            if let Some(why) = program.unlike(column) {
                text += &comment(&format!("TODO: {why}"));
            }
            if ["ra", "dec"].contains(column) && unit.is_empty() {
                text += &comment("TODO: no TUNIT: set catalogue.position.unit");
            }
            if names.len() > 1 {
                text += &comment("TODO: the first that a table has counts");
            }
            let seen: Vec<&str> = self
                .spellings
                .iter()
                .filter(|(c, n)| c != column && n == names)
                .map(|(c, _)| *c)
                .collect();
            if !seen.is_empty() {
                text += &comment(&format!("TODO: the same column as {}", seen.join(", ")));
            }
            let _ = writeln!(text, "{column} = {}", list(names));
        }
        text + &self.elements(program)
    }

    /// Returns the spellings of the elements of vector columns.
    fn elements(&self, program: Program<'_>) -> String {
        const MAX_APERTURES: usize = 13;
        let mut text = String::new();
        for (name, to) in program.vectors() {
            let Some(vector) = self.table.column(name).filter(|c| c.elements > 1) else { continue };
            let n = vector.elements;
            text += &comment(&format!(
                "{name} has {n} elements; TODO: the radii of the apertures are not in the table"
            ));
            for element in 1..=n.min(MAX_APERTURES) {
                let column = to.replace('#', &element.to_string());
                text += &format!("{column} = [{}]\n", quoted(&format!("{name}[{element}]")));
            }
        }
        text
    }

    /// Lists the columns that the draft does not map, as comments.
    pub fn unmapped(&self) -> String {
        let used: BTreeSet<String> = self
            .spellings
            .iter()
            .flat_map(|(_, names)| names.iter().map(|name| name.to_lowercase()))
            .collect();
        let is_new = |column: &&SampleColumn| !used.contains(&column.name.to_lowercase());
        let left: Vec<&SampleColumn> = self.table.columns.iter().filter(is_new).collect();
        let mut text = comment(&format!("columns that are not mapped: {}", left.len()));
        for column in left {
            let SampleColumn { name, format, unit, example, .. } = column;
            let unit = if unit.is_empty() { "no unit" } else { unit };
            text += &comment(&format!("  {name}: {format}, {unit}, e.g. {example}"));
        }
        text
    }
}

/// Lists the keywords of the first image that the archive has no column for, as comments.
pub(super) fn unmapped_keywords(images: &[&Sample], used: &str) -> String {
    const MAX_KEYWORDS: usize = 300;
    let known: BTreeSet<&str> = ["multiframe", "multiframe_detector", "astrometry"]
        .iter()
        .filter_map(|name| model::tables::table(name))
        .flat_map(|table| table.columns.iter().filter_map(|c| c.keyword.as_deref()))
        .collect();
    let Some(image) = images.first() else { return String::new() };
    let quoted_in_draft = |keyword: &str| used.contains(&format!("\"{keyword}\""));
    let cards = image
        .hdus
        .iter()
        .filter(|hdu| hdu.is_image() || hdu.number == 0)
        .flat_map(|hdu| &hdu.cards);
    let mut seen = BTreeSet::new();
    let left: Vec<&(String, String)> = cards
        .filter(|(keyword, _)| {
            !known.contains(keyword.as_str())
                && !process::header_view::is_own(keyword)
                && !quoted_in_draft(keyword)
                && seen.insert(keyword.clone())
        })
        .collect();
    let mut text = comment(&format!("keywords of {} without a column: {}", image.name, left.len()));
    for (keyword, value) in left.iter().take(MAX_KEYWORDS) {
        text += &comment(&format!("  {keyword} = {value}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use fits::HduKind;

    fn table(columns: &[(&str, usize)]) -> SampleHdu {
        let column = |(name, elements): &(&str, usize)| SampleColumn {
            name: (*name).to_owned(),
            format: "E".to_owned(),
            unit: String::new(),
            elements: *elements,
            example: "1".to_owned(),
        };
        SampleHdu {
            number: 1,
            name: String::new(),
            kind: HduKind::BinTable,
            cards: Vec::new(),
            columns: columns.iter().map(column).collect(),
        }
    }

    #[test]
    fn programs_are_known_by_their_columns() {
        let sextractor = table(&[
            ("NUMBER", 1),
            ("X_IMAGE", 1),
            ("Y_IMAGE", 1),
            ("FLUX_AUTO", 1),
            ("FLUX_APER", 3),
            ("VIGNET", 0),
        ]);
        let tables = [&sextractor];
        let columns = Columns::of(&tables).unwrap();
        assert_eq!(columns.usual_origin(), Some((1, "SExtractor")));
        assert_eq!(columns.spelling("kron_flux"), Some("FLUX_AUTO"));
        let text = columns.section();
        assert!(text.contains("aper_flux3 = [\"FLUX_APER[3]\"]"), "{text}");
        assert!(text.contains("iso_flux = [\"FLUX_AUTO\"]"), "{text}");
        assert!(text.contains("TODO: the same column as kron_flux"), "{text}");
        assert!(columns.unmapped().contains("VIGNET: E, no unit"), "{}", columns.unmapped());

        let banzai = table(&[
            ("x", 1),
            ("y", 1),
            ("flux", 1),
            ("fluxaper1", 1),
            ("fluxrad50", 1),
            ("flag", 1),
        ]);
        let tables = [&banzai];
        let columns = Columns::of(&tables).unwrap();
        assert_eq!(columns.usual_origin().unwrap().1, "BANZAI (sep)");
        assert!(columns.section().contains("seq_num = [{ row = true }]"));
        let photutils =
            table(&[("label", 1), ("xcentroid", 1), ("ycentroid", 1), ("segment_flux", 1)]);
        let tables = [&photutils];
        assert_eq!(Columns::of(&tables).unwrap().usual_origin(), Some((0, "photutils")));
        let unknown = table(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
        let tables = [&unknown];
        assert!(Columns::of(&tables).unwrap().required().contains("TODO"));
    }
}
