//! What other software found in the real files (`truth.json`), compared with what the archive or `inspect` says.

use model::profile::SurveyProfile;
use model::tables::{self, Column, Origin};
use process::header_view::is_own;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The real set and its truth.
pub struct Truth {
    pub dir: PathBuf,
    pub files: Value,
}

impl Truth {
    /// `None`, having said so, where there is no real set.
    pub fn find() -> Option<Self> {
        let dir = testkit::real_data()?;
        let files = testkit::real_truth(&dir)["files"].take();
        Some(Self { dir, files })
    }

    /// Paths of all files, below the directory.
    pub fn paths(&self) -> Vec<&str> {
        self.files.as_object().unwrap().keys().map(String::as_str).collect()
    }

    /// An HDU of a file.
    #[track_caller]
    pub fn hdu(&self, file: &str, hdu: usize) -> &Value {
        let found = &self.files[file]["hdus"][hdu];
        assert!(found.is_object(), "truth.json has no {file}[{hdu}]");
        found
    }

    /// Header values of an HDU.
    #[track_caller]
    pub fn header(&self, file: &str, hdu: usize) -> &Value {
        &self.hdu(file, hdu)["header"]["values"]
    }

    /// Copies a file into a delivery under the name that its survey's profile expects.
    pub fn deliver(&self, file: &str, delivery: &Path, name: &str) {
        std::fs::create_dir_all(delivery).unwrap();
        std::fs::copy(self.dir.join(file), delivery.join(name)).unwrap();
    }
}

/// A shipped profile.
pub fn profile(name: &str) -> SurveyProfile {
    let (_, text) = model::profile::shipped().iter().find(|(n, _)| *n == name).unwrap();
    SurveyProfile::parse(text).unwrap()
}

/// A column of `detection` and the statistics that the truth has of the TTYPE it is copied from.
pub struct Copied<'t> {
    pub name: &'t str,
    pub known: &'t Value,
    /// From the unit of the file to that of the archive.
    pub convert: fn(f64) -> f64,
}

/// The columns of `detection` that are copied from a table of the truth. `radians` are the unit of its positions.
pub fn copied<'t>(profile: &SurveyProfile, hdu: &'t Value, radians: bool) -> Vec<Copied<'t>> {
    let known = hdu["table"]["columns"].as_array().unwrap();
    let mut copied = Vec::new();
    for column in &tables::table("detection").unwrap().columns {
        let spellings = profile.catalogue.spellings_of(column);
        let known =
            spellings.iter().find_map(|s| known.iter().find(|k| k["name"] == s.column.as_str()));
        let Some(known) = known.filter(|_| !profile.catalogue.is_unfilled(&column.name)) else {
            continue;
        };
        let position = column.name == "ra" || column.name == "dec";
        let convert = if position && radians { f64::to_degrees } else { |x| x };
        copied.push(Copied { name: column.name.as_str(), known, convert });
    }
    copied
}

impl Copied<'_> {
    /// SELECT expressions: how many are known, their least, greatest and mean.
    pub fn select(&self) -> String {
        let n = self.name;
        format!(
            "count({n}) AS {n}_known, min({n}) AS {n}_min, max({n}) AS {n}_max, avg({n}) AS {n}_mean, sum({n}) AS {n}_sum"
        )
    }

    fn number(&self, known: &Value) -> Option<f64> {
        match known {
            Value::String(text) if text == "nan" => None,
            known => Some((self.convert)(known.as_f64().unwrap())),
        }
    }

    /// Values are copied, so they are equal; means and sums are to be within 1e-6.
    pub fn compare(&self, place: &str, rows: u64, found: &Value, first: &Value, last: &Value) {
        let (n, stats) = (self.name, &self.known["stats"]);
        let place = format!("{place} {n}");
        let nan = stats["nan"].as_u64().unwrap_or(0);
        assert_eq!(found[format!("{n}_known")].as_u64(), Some(rows - nan), "{place}: known");
        assert_eq!(first[n].as_f64(), self.number(&self.known["first"]), "{place}: first");
        assert_eq!(last[n].as_f64(), self.number(&self.known["last"]), "{place}: last");
        if nan == rows {
            return;
        }
        let single = |what: &str| found[format!("{n}_{what}")].as_f64();
        for what in ["min", "max"] {
            assert_eq!(single(what), self.number(&stats[what]), "{place}: {what}");
        }
        let mean = self.number(&stats["mean"]).unwrap();
        let sum = mean * (rows - nan) as f64;
        for (what, wanted) in [("mean", mean), ("sum", sum)] {
            let found = single(what).unwrap();
            let near = (found - wanted).abs() <= 1e-6 * wanted.abs();
            assert!(near, "{place}: {what} is {found}, not {wanted}");
        }
    }
}

/// Compares a row with the header values that its columns are copied from; gives how many there were.
pub fn compare_row(
    profile: &SurveyProfile,
    table: &str,
    origin: Origin,
    row: &Value,
    headers: &[&Value],
) -> usize {
    let columns = &tables::table(table).unwrap().columns;
    let mut compared = 0;
    for column in columns.iter().filter(|c| c.origin == Some(origin)) {
        let Some((keyword, known)) = keyword_of(profile, table, column, headers) else { continue };
        let found = &row[&column.name];
        let place = format!("{table}.{} from {keyword}", column.name);
        match known {
            Value::Bool(truth) => {
                let found = found.as_bool().or_else(|| found.as_i64().map(|n| n != 0));
                assert_eq!(found, Some(*truth), "{place}");
            }
            Value::String(text) => assert_eq!(found.as_str(), Some(text.trim()), "{place}"),
            known if found.is_i64() => assert_eq!(found.as_i64(), known.as_i64(), "{place}"),
            known => assert_eq!(found.as_f64(), known.as_f64(), "{place}"),
        }
        compared += 1;
    }
    compared
}

/// The first keyword with a value, as the profile spells it. Values that are rewritten on the way are left out.
fn keyword_of<'h>(
    profile: &SurveyProfile,
    table: &str,
    column: &Column,
    headers: &[&'h Value],
) -> Option<(String, &'h Value)> {
    let rule = profile.column_rule(table, &column.name);
    if rule.is_some_and(|r| r.scale.is_some() || r.text_numbers) {
        return None;
    }
    let own = || column.keyword.iter().cloned().collect();
    let keywords: Vec<String> = rule.and_then(|r| r.keywords.clone()).unwrap_or_else(own);
    let empty = |v: &Value| v.is_null() || v.as_str().is_some_and(|text| text.trim().is_empty());
    keywords.into_iter().find_map(|keyword| {
        // What is about the primary HDU alone is not a value of an extension.
        let headers = if is_own(&keyword) { &headers[..headers.len().min(1)] } else { headers };
        let known = headers.iter().find_map(|h| h.get(&keyword)).filter(|v| !empty(v))?;
        Some((keyword, known))
    })
}

/// What is in the truth and not what `inspect` is to say: sums of bytes, what other programs said of the file, and
/// how many cards astropy makes of a compressed image's header.
const OTHERS: [&str; 6] =
    ["sha256", "size_multiple_of_2880", "cfitsio", "cfitsio_agrees", "data_error_astropy", "cards"];

/// Every member of the truth that `inspect` has otherwise.
pub fn differences(known: &Value, seen: &Value) -> Vec<String> {
    let mut all = Vec::new();
    compare(String::new(), known, seen, &mut all);
    all
}

fn compare(place: String, known: &Value, seen: &Value, all: &mut Vec<String>) {
    match (known, seen) {
        (Value::Object(known), Value::Object(seen)) => {
            for (name, value) in known.iter().filter(|(n, _)| !OTHERS.contains(&n.as_str())) {
                let seen = seen.get(name).unwrap_or(&Value::Null);
                compare(format!("{place}/{name}"), value, seen, all);
            }
        }
        (Value::Array(known), Value::Array(seen)) if known.len() == seen.len() => {
            for (i, (known, seen)) in known.iter().zip(seen).enumerate() {
                compare(format!("{place}/{i}"), known, seen, all);
            }
        }
        _ if known == seen || near(&place, known, seen) => {}
        _ => all.push(format!("{place}: {known} is known, {seen} was seen")),
    }
}

/// 1e-6 for means and sums, one unit in the last place of a single-precision number for other fractions.
fn near(place: &str, known: &Value, seen: &Value) -> bool {
    if known.is_i64() && seen.is_i64() {
        return false;
    }
    let (Some(a), Some(b)) = (known.as_f64(), seen.as_f64()) else { return false };
    if place.ends_with("/mean") || place.ends_with("/sum") {
        return (a - b).abs() <= 1e-6 * a.abs().max(b.abs());
    }
    let (a, b) = (a as f32, b as f32);
    a == b || a.next_up() == b || a.next_down() == b
}
