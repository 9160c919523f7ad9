//! The report of a check: sheets of rows, and the problems.

use crate::table::Table;
use crate::words::{counted, shown};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Rows of a sheet that are printed as text at most.
const MAX_ROWS: usize = 60;

/// A table of the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sheet {
    /// Its name, a key of the JSON form.
    pub name: &'static str,
    /// Names of the columns.
    pub columns: &'static [&'static str],
    /// Rows of as many values.
    pub rows: Vec<Vec<Value>>,
}

/// A reason for exit code 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Kind of the problem, machine-readable.
    pub code: String,
    /// Name of the file, or key of the profile.
    pub subject: String,
    /// One sentence.
    pub message: String,
}

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The sheets, in the order in which they are printed.
    pub sheets: Vec<Sheet>,
    /// The problems.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Adds a problem.
    pub(super) fn problem(
        &mut self,
        code: &str,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.problems.push(Problem {
            code: code.to_owned(),
            subject: subject.into(),
            message: message.into(),
        });
    }

    /// Returns a sheet by its name.
    pub fn sheet(&self, name: &str) -> Option<&Sheet> {
        self.sheets.iter().find(|sheet| sheet.name == name)
    }

    /// Returns the report for programs: an object with a list of objects for each sheet.
    pub fn to_json(&self) -> Value {
        let mut all = Map::new();
        for sheet in &self.sheets {
            let row = |row: &Vec<Value>| {
                let named = sheet.columns.iter().map(|c| (*c).to_owned()).zip(row.iter().cloned());
                Value::Object(named.collect())
            };
            all.insert(sheet.name.to_owned(), sheet.rows.iter().map(row).collect());
        }
        let problem =
            |p: &Problem| json!({"code": p.code, "subject": p.subject, "message": p.message});
        all.insert("problems".to_owned(), self.problems.iter().map(problem).collect());
        Value::Object(all)
    }

    /// Returns the report for readers: the sheets with rows, the problems last.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for sheet in self.sheets.iter().filter(|sheet| !sheet.rows.is_empty()) {
            let mut table = Table::new(sheet.columns.iter().copied());
            for row in &sheet.rows {
                table.row(row.iter().map(cell));
            }
            let _ = writeln!(text, "{}:\n{}", sheet.name, table.first(MAX_ROWS));
        }
        for problem in &self.problems {
            let Problem { code, subject, message } = problem;
            let _ = writeln!(text, "{}", shown(&format!("{code}: {subject}: {message}")));
        }
        let _ = match self.problems.len() {
            0 => writeln!(text, "no problem was found"),
            n => writeln!(text, "{}", counted(n as u64, "problem")),
        };
        text
    }
}

/// Returns a value as text: NULL is empty, a number that is not whole has three decimals.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map_or_else(String::new, |n| format!("{n:.3}"))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_form_for_programs_and_one_for_readers() {
        let mut report = Report::default();
        report.sheets.push(Sheet {
            name: "positions",
            columns: &["image", "dx"],
            rows: vec![vec![json!("a.fits"), json!(1.0)], vec![json!("b.fits"), Value::Null]],
        });
        report.sheets.push(Sheet { name: "empty", columns: &["image"], rows: Vec::new() });
        report.problem("pixel_offset", "a.fits", "one pixel");
        let wanted = json!({
            "positions": [{"image": "a.fits", "dx": 1.0}, {"image": "b.fits", "dx": null}],
            "empty": [],
            "problems": [{"code": "pixel_offset", "subject": "a.fits", "message": "one pixel"}],
        });
        assert_eq!(report.to_json(), wanted);
        assert_eq!(
            report.text(),
            "positions:\nimage      dx\n------  -----\na.fits  1.000\nb.fits\n\n\
             pixel_offset: a.fits: one pixel\n1 problem\n"
        );
        assert_eq!(Report::default().text(), "no problem was found\n");
    }
}
