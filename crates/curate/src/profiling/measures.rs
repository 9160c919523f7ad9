//! Measures of the archived rows: distances from the WCS, magnitudes beside the delivered ones, quality flags.

use super::candidates::Candidates;
use super::delivered::Delivered;
use super::dictionary::Dictionary;
use super::report::{Report, Sheet};
use super::spellings::{Spelling, Spellings};
use super::trial::Trial;
use fits::{Column, ColumnKind, FitsFile, HduIndex, Table};
use process::PlacedRow;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Rows of a detector that are measured at most.
const MAX_ROWS: usize = 20_000;
/// Greatest median distance of x and y from the WCS, in pixels.
const MAX_OFFSET_PX: f64 = 0.5;
/// Greatest median difference of magnitudes.
const MAX_MAGNITUDE: f64 = 0.01;

/// A table of detections in the archive.
#[derive(Clone, Debug)]
pub(super) struct Set {
    multiframe: i64,
    image: String,
    /// Extension number of the detector.
    pub ext_num: i64,
    catalogue: String,
    /// Extension number of the table.
    pub cat_ext_num: i64,
}

/// Median offsets of a set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Offsets {
    /// Rows that were compared.
    pub rows: usize,
    /// Medians along both axes, in pixels.
    pub median: [f64; 2],
    /// 95 % of the rows are nearer than this, in pixels along each axis.
    pub p95: [f64; 2],
}

/// Returns the sets of a trial, in the order of images and detectors.
///
/// # Errors
/// When the archive cannot be read.
pub(super) fn sets(trial: &Trial) -> anyhow::Result<Vec<Set>> {
    const SETS: &str = "SELECT d.multiframe_id, m.file_name, d.ext_num, m.cat_name, c.cat_ext_num
        FROM detector_rows AS d JOIN multiframe AS m USING (multiframe_id)
        JOIN multiframe_detector AS c ON c.multiframe_id = d.multiframe_id AND c.ext_num = d.ext_num
        WHERE d.end_event IS NULL AND c.cat_ext_num IS NOT NULL ORDER BY 2, 3";
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let set = |row: Vec<Value>| Set {
        multiframe: number(&row[0]),
        image: text(&row[1]),
        ext_num: number(&row[2]),
        catalogue: text(&row[3]),
        cat_ext_num: number(&row[4]),
    };
    Ok(trial.rows(SETS)?.into_iter().map(set).collect())
}

impl Set {
    fn column_values(&self, trial: &Trial, columns: &str) -> anyhow::Result<Vec<Vec<Value>>> {
        let Self { multiframe, ext_num, .. } = self;
        trial.rows(&format!(
            "SELECT {columns} FROM detection WHERE multiframe_id = {multiframe} AND ext_num = {ext_num} LIMIT {MAX_ROWS}"
        ))
    }

    /// Returns the distances between columns and WCS. `None` when the table has no sky columns, or the image no WCS.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub fn offsets(
        &self,
        trial: &Trial,
        files: &[Delivered],
        candidates: &Candidates,
    ) -> anyhow::Result<Option<Offsets>> {
        let Some((image, loaded)) = self.image_of(files, candidates) else { return Ok(None) };
        let spellings = Spellings::of(&loaded.text);
        let has = |table: &Table<'_>, column: &str| {
            spellings.of_column(column).iter().any(|s| s.is_in(table.columns()))
        };
        let is_delivered = self.with_table(files, |table| has(table, "ra") && has(table, "dec"));
        if is_delivered != Some(true) {
            return Ok(None);
        }
        let Some(fits) = image.open() else { return Ok(None) };
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let rows: Vec<PlacedRow> = self
            .column_values(trial, "x, y, ra, dec")?
            .iter()
            .map(|row| PlacedRow {
                x: number(&row[0]),
                y: number(&row[1]),
                ra_deg: number(&row[2]),
                dec_deg: number(&row[3]),
            })
            .collect();
        let hdu = u16::try_from(self.ext_num - 1).unwrap_or(u16::MAX);
        let offsets = process::pixel_offsets(&fits, hdu, &loaded.profile, &rows);
        Ok(offsets.filter(|all| !all.is_empty()).map(|all| {
            let axis = |n: usize| -> Vec<f64> { all.iter().map(|offset| offset[n]).collect() };
            let far = |n: usize| axis(n).into_iter().map(f64::abs).collect();
            Offsets {
                rows: all.len(),
                median: [quantile(axis(0), 0.5), quantile(axis(1), 0.5)],
                p95: [quantile(far(0), 0.95), quantile(far(1), 0.95)],
            }
        }))
    }

    fn image_of<'f, 'c>(
        &self,
        files: &'f [Delivered],
        candidates: &'c Candidates,
    ) -> Option<(&'f Delivered, &'c crate::profiles::Loaded)> {
        let image = files.iter().find(|file| file.multiframe == Some(self.multiframe))?;
        Some((image, candidates.named(&image.survey)?))
    }

    /// Calls a function with the delivered table.
    fn with_table<T>(&self, files: &[Delivered], act: impl FnOnce(&Table<'_>) -> T) -> Option<T> {
        let file = files.iter().find(|file| file.name == self.catalogue)?.open()?;
        let table = table_of(&file, self.cat_ext_num)?;
        Some(act(&table))
    }
}

fn table_of(file: &FitsFile, ext_num: i64) -> Option<Table<'_>> {
    file.table(HduIndex(u16::try_from(ext_num - 1).ok()?)).ok()
}

/// Returns a quantile of some values; NaN of none.
pub(super) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// Returns the sheet of positions; `measuring` is a trial whose archive has the positions of the columns.
///
/// # Errors
/// When the archive cannot be read.
pub(super) fn positions(
    measuring: &Trial,
    files: &[Delivered],
    candidates: &Candidates,
    report: &mut Report,
) -> anyhow::Result<Sheet> {
    let mut rows = Vec::new();
    for set in sets(measuring)? {
        let Some(found) = set.offsets(measuring, files, candidates)? else { continue };
        let [dx, dy] = found.median;
        rows.push(vec![
            json!(set.image),
            json!(set.ext_num),
            json!(set.cat_ext_num),
            json!(found.rows),
            json!(dx),
            json!(dy),
            json!(found.p95[0]),
            json!(found.p95[1]),
        ]);
        if dx.abs() > MAX_OFFSET_PX || dy.abs() > MAX_OFFSET_PX {
            let origin = (dx - 1.0).abs() < 0.1 && (dy - 1.0).abs() < 0.1;
            let cause = match origin {
                true => "x and y count from 0",
                false => "another origin of x and y, another detector, or another WCS",
            };
            let message = format!(
                "ext_num {}: the sky columns are {dx:+.2}, {dy:+.2} pixels in the median from where the WCS has x and y: {cause}",
                set.ext_num
            );
            report.problem("pixel_offset", &set.image, message);
        }
    }
    const COLUMNS: &[&str] =
        &["image", "ext_num", "cat_ext_num", "rows", "dx", "dy", "dx_95", "dy_95"];
    Ok(Sheet { name: "positions", columns: COLUMNS, rows })
}

/// Returns the sheet of magnitudes: the archived ones minus those in columns of the delivered tables.
///
/// # Errors
/// When the archive cannot be read.
pub(super) fn magnitudes(
    trial: &Trial,
    files: &[Delivered],
    candidates: &Candidates,
    report: &mut Report,
) -> anyhow::Result<Sheet> {
    let dictionary = Dictionary::shipped();
    let mut rows = Vec::new();
    for set in sets(trial)? {
        let Some((_, loaded)) = set.image_of(files, candidates) else { continue };
        let seq_num = Spellings::of(&loaded.text).of_column("seq_num");
        for (column, names) in dictionary.magnitudes() {
            let delivered =
                set.with_table(files, |table| delivered(table, &seq_num, &names)).flatten();
            let Some((name, theirs)) = delivered else { continue };
            let ours = set.column_values(trial, &format!("seq_num, {column}"))?;
            let differences = ours
                .iter()
                .filter_map(|row| Some(row[1].as_f64()? - theirs.get(&row[0].as_i64()?)?));
            let differences: Vec<f64> = differences.filter(|d| d.is_finite()).collect();
            if differences.is_empty() {
                continue;
            }
            let count = differences.len();
            let median = quantile(differences.clone(), 0.5);
            let far = differences.iter().map(|d| (d - median).abs()).collect();
            rows.push(vec![
                json!(set.image),
                json!(set.ext_num),
                json!(column),
                json!(name),
                json!(count),
                json!(median),
                json!(quantile(far, 0.95)),
            ]);
            if median.abs() > MAX_MAGNITUDE {
                let message = format!(
                    "ext_num {}: {column} is {median:+.3} mag in the median from {name} of the file",
                    set.ext_num
                );
                report.problem("magnitude_offset", &set.image, message);
            }
        }
    }
    const COLUMNS: &[&str] =
        &["image", "ext_num", "column", "delivered", "rows", "median", "scatter_95"];
    Ok(Sheet { name: "magnitudes", columns: COLUMNS, rows })
}

/// Returns the first of some columns that a table has, and its values by sequence number.
fn delivered(
    table: &Table<'_>,
    seq_num: &[Spelling],
    names: &[String],
) -> Option<(String, BTreeMap<i64, f64>)> {
    let is_number = |c: &&Column| {
        c.repeat == 1 && matches!(c.kind, ColumnKind::Cells(e) if e.is_float() || e.is_integer())
    };
    let column = names.iter().find_map(|name| table.column(name)).filter(is_number)?;
    let values = numbers(table, column)?;
    let keys = match seq_num.iter().find(|s| s.is_in(table.columns()))? {
        Spelling::Row => (1..=values.len()).map(|n| n as f64).collect(),
        named => numbers(table, named.column_of(table.columns()).filter(is_number)?)?,
    };
    // A magnitude of 90 or more, or of -90, means that there is none.
    let is_known = |(_, value): &(i64, f64)| value.is_finite() && value.abs() < 90.0;
    let known = keys.into_iter().map(|key| key as i64).zip(values).filter(is_known);
    Some((column.label(), known.collect()))
}

/// Returns the first values of a column of numbers.
pub(super) fn numbers(table: &Table<'_>, column: &Column) -> Option<Vec<f64>> {
    let (mut values, mut scratch) = (Vec::new(), Vec::new());
    for range in table.batches() {
        if values.len() >= MAX_ROWS {
            break;
        }
        let rows = table.read_rows(range, &mut scratch).ok()?;
        column.f64s(&rows, &mut values).ok()?;
    }
    Some(values)
}

/// Returns the sheet of flags: the share of rows for which each bit of `pp_err_bits` is set.
///
/// # Errors
/// When the archive cannot be read.
pub(super) fn flags(trial: &Trial) -> anyhow::Result<Sheet> {
    const BITS: [(u32, &str); 3] = [(4, "deblended"), (6, "bad pixels"), (7, "low confidence")];
    let counts: Vec<String> =
        (0..31).map(|bit| format!("sum((pp_err_bits >> {bit}) & 1)")).collect();
    let found = trial.rows(&format!("SELECT count(*), {} FROM detection", counts.join(", ")))?;
    let mut rows = Vec::new();
    let Some(row) = found.first() else { return Ok(Sheet::default()) };
    let all = row[0].as_i64().unwrap_or(0);
    for bit in 0..31_u32 {
        let set = row[1 + bit as usize].as_i64().unwrap_or(0);
        let name = BITS.iter().find(|(known, _)| *known == bit).map(|(_, name)| *name);
        if all > 0 && (set > 0 || name.is_some()) {
            let share = 100.0 * set as f64 / all as f64;
            rows.push(vec![json!(bit), json!(name.unwrap_or_default()), json!(set), json!(share)]);
        }
    }
    Ok(Sheet { name: "flags", columns: &["bit", "name", "rows", "per_cent"], rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        assert_eq!(quantile(vec![3.0, f64::NAN, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile((0..100).map(f64::from).collect(), 0.95), 95.0);
        assert!(quantile(Vec::new(), 0.5).is_nan());
    }
}
