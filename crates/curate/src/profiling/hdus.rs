//! The use that `run` made of each HDU.

use super::candidates::Candidates;
use super::delivered::Delivered;
use super::report::{Report, Sheet};
use super::trial::Trial;
use fits::{Hdu, HduKind};
use model::profile::Glob;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Columns of the sheet.
const COLUMNS: &[&str] =
    &["file", "ext_num", "name", "content", "use", "rows", "written", "refused", "why"];

/// Key of an HDU: file and extension number.
type Key = (String, i64);

/// What the archive has of HDUs.
struct Uses {
    /// Detectors, by the name of the image; the value is the extension number of the table.
    detectors: BTreeMap<Key, Option<i64>>,
    /// Tables: image, extension number of the detector, rows read, written, refused.
    tables: BTreeMap<Key, (String, Option<i64>, [i64; 3])>,
    /// Codes of the refusals of an HDU, or of its file (extension number 0).
    refusals: BTreeMap<Key, Vec<String>>,
    /// Rules for HDUs of the file's profile.
    roles: Vec<RoleRule>,
}

/// A rule `[[hdu]]` of a profile.
struct RoleRule {
    role: String,
    kind: Option<String>,
    names: Vec<Glob>,
    numbers: Vec<i64>,
}

/// Reads the rules for HDUs of a profile.
fn roles(text: &str) -> Vec<RoleRule> {
    let profile = text.parse::<toml::Table>().unwrap_or_default();
    let list = |rule: &toml::Value, key: &str| -> Vec<toml::Value> {
        rule.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default()
    };
    let one = |rule: &toml::Value| {
        Some(RoleRule {
            role: rule.get("role")?.as_str()?.to_owned(),
            kind: rule.get("kind").and_then(toml::Value::as_str).map(str::to_owned),
            names: list(rule, "extname").iter().filter_map(|v| v.as_str().map(Glob::new)).collect(),
            numbers: list(rule, "number").iter().filter_map(toml::Value::as_integer).collect(),
        })
    };
    let rules = profile.get("hdu").and_then(toml::Value::as_array);
    rules.into_iter().flatten().filter_map(one).collect()
}

impl RoleRule {
    fn fits(&self, hdu: &Hdu, kind: &str) -> bool {
        let name = hdu.name().unwrap_or_default();
        self.kind.as_deref().is_none_or(|wanted| wanted == kind)
            && (self.names.is_empty() || self.names.iter().any(|glob| glob.fits(name)))
            && (self.numbers.is_empty() || self.numbers.contains(&i64::from(hdu.index.0)))
    }
}

/// Returns the sheet, and adds the tables and images that nothing uses to the problems.
///
/// # Errors
/// When the archive cannot be read.
pub(super) fn sheet(
    trial: &Trial,
    files: &[Delivered],
    candidates: &Candidates,
    report: &mut Report,
) -> anyhow::Result<Sheet> {
    let mut uses = uses(trial)?;
    let mut rows = Vec::new();
    for file in files {
        let Some(fits) = file.open() else { continue };
        uses.roles = candidates.named(&file.survey).map(|one| roles(&one.text)).unwrap_or_default();
        for hdu in fits.hdus().iter().filter(|hdu| hdu.kind != HduKind::NoData) {
            rows.push(row(file, hdu, &uses, report));
        }
    }
    Ok(Sheet { name: "hdus", columns: COLUMNS, rows })
}

fn uses(trial: &Trial) -> anyhow::Result<Uses> {
    let mut uses = Uses {
        detectors: BTreeMap::new(),
        tables: BTreeMap::new(),
        refusals: BTreeMap::new(),
        roles: Vec::new(),
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for row in trial.rows("SELECT m.file_name, d.ext_num, d.cat_ext_num FROM multiframe_detector AS d JOIN multiframe AS m USING (multiframe_id)")? {
        uses.detectors.insert((text(&row[0]), row[1].as_i64().unwrap_or(0)), row[2].as_i64());
    }
    const TABLES: &str = "SELECT m.cat_name, h.cat_ext_num, m.file_name, h.ext_num, h.rows_read, h.rows_written, h.rows_refused
        FROM hdu_rows AS h JOIN multiframe AS m USING (multiframe_id)";
    for row in trial.rows(TABLES)? {
        let counts = [4, 5, 6].map(|n: usize| row[n].as_i64().unwrap_or(0));
        let key = (text(&row[0]), row[1].as_i64().unwrap_or(0));
        uses.tables.insert(key, (text(&row[2]), row[3].as_i64(), counts));
    }
    for row in trial.rows(
        "SELECT file_name, coalesce(ext_num, 0), code, rows FROM refusal WHERE state = 'open'",
    )? {
        let rows = row[3].as_i64().filter(|rows| *rows > 0);
        let code =
            rows.map_or_else(|| text(&row[2]), |rows| format!("{} ({rows} rows)", text(&row[2])));
        uses.refusals.entry((text(&row[0]), row[1].as_i64().unwrap_or(0))).or_default().push(code);
    }
    Ok(uses)
}

fn row(file: &Delivered, hdu: &Hdu, uses: &Uses, report: &mut Report) -> Vec<Value> {
    let ext_num = i64::from(model::ext_num_of(hdu.index.0));
    let key = (file.name.clone(), ext_num);
    let of_file = (file.name.clone(), 0);
    let refused = [&key, &of_file].map(|key| uses.refusals.get(key)).into_iter().flatten();
    let refused: Vec<&str> = refused.flatten().map(String::as_str).collect();
    let why = refused.join(", ");
    let is_image = matches!(hdu.kind, HduKind::Image | HduKind::CompressedImage);
    let is_table = matches!(hdu.kind, HduKind::BinTable | HduKind::AsciiTable);
    let mut counts = [Value::Null, Value::Null, Value::Null];
    let usage = match (uses.detectors.get(&key), uses.tables.get(&key)) {
        (Some(_), _) if is_image => "detector".to_owned(),
        (_, Some((image, detector, rows))) => {
            counts = rows.map(Value::from);
            match detector {
                Some(ext_num) => format!("catalogue of ext_num {ext_num} of {image}"),
                None => "not used".to_owned(),
            }
        }
        _ => {
            let kind = if is_image { "image" } else { "table" };
            let rule = uses.roles.iter().find(|rule| rule.fits(hdu, kind));
            // An image or a table that was to be used is a problem in spite of its role.
            let rule = rule.filter(|rule| !["image", "catalogue"].contains(&rule.role.as_str()));
            rule.map_or_else(|| "not used".to_owned(), |rule| format!("role {}", rule.role))
        }
    };
    if usage == "not used" && (is_image || is_table) {
        if is_table {
            counts[0] = hdu.axes.get(1).copied().unwrap_or(0).into();
        }
        let code = match (is_image, file.kind.as_str()) {
            (true, _) => "image_unused",
            (false, "image") => "table_in_image",
            (false, _) => "table_unused",
        };
        let name = hdu.name().unwrap_or_default();
        let reason = if why.is_empty() { "no rule takes it" } else { &why };
        let what = hdu.kind.in_words();
        report.problem(
            code,
            &file.name,
            format!("ext_num {ext_num} ({name}), {what}, is not used: {reason}"),
        );
    }
    let [read, written, refused_rows] = counts;
    let name = hdu.name().unwrap_or_default().trim();
    vec![
        json!(file.name),
        json!(ext_num),
        json!(name),
        json!(hdu.kind.in_words()),
        json!(usage),
        read,
        written,
        refused_rows,
        json!(why),
    ]
}
