//! The survey profiles of a site: read, checked together, and turned into reference tables.

use crate::failure;
use anyhow::Context;
use archive::{Cell, ReferenceRows};
use model::UseCase;
use model::profile::{Naming, SurveyProfile};
use std::path::Path;

/// A profile with its text, which is embedded in task files.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The profile.
    pub profile: SurveyProfile,
    /// TOML of the profile.
    pub text: String,
}

/// Reads all profiles in a site's `surveys/`, in the order of their names.
///
/// # Errors
/// `Kind::Usage` with the faults of every profile.
pub fn load(surveys: &Path) -> anyhow::Result<Vec<Loaded>> {
    let listing = || format!("cannot list {}", surveys.display());
    let entries = std::fs::read_dir(surveys).with_context(listing)?;
    let paths = entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.with_context(listing)?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    let (mut loaded, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        match SurveyProfile::parse(&text) {
            Ok(profile) => loaded.push(Loaded { profile, text }),
            Err(found) => faults.push(format!("{}:\n{found}", path.display())),
        }
    }
    faults.extend(contradictions(&loaded));
    if faults.is_empty() { Ok(loaded) } else { Err(failure::usage(faults.join("\n"))) }
}

/// Returns the naming rules of the survey whose deliveries have names like this one; a directory may have one too.
pub fn naming_of<'p>(profiles: &'p [Loaded], directory: &str) -> Option<&'p Naming> {
    let namings = || profiles.iter().map(|p| &p.profile.naming);
    let has_night =
        |naming: &&Naming| naming.delivery(directory).is_some_and(|d| d.night.is_some());
    // A pattern without a night fits names that another one reads more of.
    namings().find(has_night).or_else(|| namings().find(|n| n.delivery(directory).is_some()))
}

/// Returns the identities that two profiles claim.
pub(crate) fn contradictions(loaded: &[Loaded]) -> Vec<String> {
    let mut faults = Vec::new();
    for (i, one) in loaded.iter().enumerate() {
        for other in &loaded[..i] {
            let (a, b) = (&one.profile, &other.profile);
            if a.survey_id == b.survey_id {
                faults.push(format!(
                    "profiles {} and {} both have survey_id {}",
                    b.name, a.name, a.survey_id
                ));
            }
            if a.name == b.name {
                faults.push(format!("two profiles are named {}", a.name));
            }
            for programme in &a.programmes {
                if b.programmes.iter().any(|p| p.id == programme.id && p.name != programme.name) {
                    faults.push(format!(
                        "profiles {} and {} both have programme {}",
                        b.name, a.name, programme.id
                    ));
                }
            }
        }
    }
    faults
}

/// Returns the rows of the reference tables that the profiles define.
pub fn reference_rows(loaded: &[Loaded], products: &[UseCase]) -> Vec<ReferenceRows> {
    vec![surveys(loaded), filters(loaded), programmes(loaded), use_cases(products)]
}

fn rows(table: &str, columns: &[&str], rows: Vec<Vec<Cell>>) -> ReferenceRows {
    ReferenceRows {
        table: table.to_owned(),
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        rows,
    }
}

fn text(text: &str) -> Cell {
    if text.is_empty() { Cell::Null } else { Cell::Text(text.to_owned()) }
}

fn integer(number: impl Into<i64>) -> Cell {
    Cell::Integer(number.into())
}

fn real(number: Option<f32>) -> Cell {
    // Converted through text, so that 0.77 stays 0.77.
    number.and_then(|n| n.to_string().parse().ok()).map_or(Cell::Null, Cell::Real)
}

fn surveys(loaded: &[Loaded]) -> ReferenceRows {
    let each = |one: &Loaded| {
        let p = &one.profile;
        let sum =
            files::sha256(one.text.as_bytes()).map(|(sum, _)| files::hex(&sum)).unwrap_or_default();
        vec![integer(p.survey_id), text(&p.name), text(&p.title), text(&p.description), text(&sum)]
    };
    let columns = ["survey_id", "name", "title", "description", "profile_sha256"];
    rows("survey", &columns, loaded.iter().map(each).collect())
}

fn filters(loaded: &[Loaded]) -> ReferenceRows {
    let columns = [
        "survey_id",
        "filter_id",
        "name",
        "description",
        "cut_on",
        "cut_off",
        "vega_to_ab",
        "aebv",
    ];
    let mut all = Vec::new();
    for one in loaded {
        for filter in &one.profile.filters {
            all.push(vec![
                integer(one.profile.survey_id),
                integer(filter.id),
                text(&filter.name),
                text(&filter.description),
                real(filter.cut_on_um),
                real(filter.cut_off_um),
                real(filter.vega_to_ab_mag),
                real(filter.extinction_per_ebv),
            ]);
        }
    }
    rows("filter", &columns, all)
}

fn programmes(loaded: &[Loaded]) -> ReferenceRows {
    let columns = [
        "programme_id",
        "name",
        "project",
        "title",
        "description",
        "proprietary_months",
        "reference",
        "survey_id",
    ];
    let mut all: Vec<Vec<Cell>> = Vec::new();
    for one in loaded {
        for programme in &one.profile.programmes {
            if all.iter().any(|row| row[0] == integer(programme.id)) {
                continue;
            }
            all.push(vec![
                integer(programme.id),
                text(&programme.name),
                text(&programme.project),
                text(&programme.title),
                text(&programme.description),
                programme.proprietary_months.map_or(Cell::Null, integer),
                text(&programme.reference),
                integer(one.profile.survey_id),
            ]);
        }
    }
    rows("programme", &columns, all)
}

fn use_cases(products: &[UseCase]) -> ReferenceRows {
    let about = |u: &UseCase| format!("CU{}: {}", u.number(), u.product().description);
    let each = |u: &UseCase| vec![integer(u.number()), text(u.name()), text(&about(u))];
    let all = products.iter().map(each).collect();
    rows("use_case", &["use_case_id", "name", "description"], all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Vec<Loaded> {
        model::profile::shipped()
            .iter()
            .map(|(_, text)| Loaded {
                profile: SurveyProfile::parse(text).unwrap(),
                text: (*text).to_owned(),
            })
            .collect()
    }

    #[test]
    fn shipped_profiles_do_not_contradict_each_other() {
        assert_eq!(contradictions(&shipped()), Vec::<String>::new());
        let twice = [shipped(), shipped()].concat();
        assert!(contradictions(&twice).iter().any(|f| f.contains("survey_id")));
    }

    #[test]
    fn rows_have_the_columns_of_their_tables() {
        for rows in reference_rows(&shipped(), UseCase::ALL) {
            let table = model::tables::table(&rows.table).unwrap();
            for column in &rows.columns {
                assert!(table.column(column).is_some(), "{}.{column}", rows.table);
            }
            assert!(!rows.rows.is_empty(), "{}", rows.table);
            assert!(rows.rows.iter().all(|row| row.len() == rows.columns.len()), "{}", rows.table);
        }
    }
}
