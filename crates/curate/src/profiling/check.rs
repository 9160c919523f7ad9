//! What `run` would do with a delivery under a profile.

use super::candidates::Candidates;
use super::choice::Chosen;
use super::delivered::{self, Delivered};
use super::hdus;
use super::measures;
use super::patterns;
use super::report::{Report, Sheet};
use super::trial::Trial;
use crate::profiles::Loaded;
use model::profile::{PositionSource, SurveyProfile};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Checks a profile against a delivery, beside the shipped profiles or those of the directory `with`. `None` when a signal
/// requested a stop.
///
/// # Errors
/// `Kind::Usage` for profiles with faults, `Kind::Gate` for a directory that cannot be a delivery, and failures of the machine.
pub fn check(
    profile: &Path,
    delivery: &Path,
    with: Option<&Path>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Option<Report>> {
    check_candidates(&Candidates::read(profile, with)?, delivery, stop)
}

/// Checks one of some profiles against a delivery.
pub(super) fn check_candidates(
    candidates: &Candidates,
    delivery: &Path,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Option<Report>> {
    let Some(trial) = Trial::run(candidates, delivery, stop)? else { return Ok(None) };
    let files = delivered::files(&trial, candidates)?;
    let mut report = Report::default();
    report.sheets.push(of_files(&files));
    report.sheets.push(of_profiles(&files, candidates));
    let pairs = pairs(&trial, &files, candidates, &mut report)?;
    report.sheets.push(pairs);
    let hdus = hdus::sheet(&trial, &files, candidates, &mut report)?;
    report.sheets.push(hdus);
    let measuring = match needs_measuring(&trial, candidates)? {
        true => Trial::run(&measured(candidates)?, delivery, stop)?,
        false => None,
    };
    let measuring = measuring.as_ref().unwrap_or(&trial);
    let positions = measures::positions(measuring, &files, candidates, &mut report)?;
    report.sheets.push(positions);
    let magnitudes = measures::magnitudes(&trial, &files, candidates, &mut report)?;
    report.sheets.push(magnitudes);
    report.sheets.push(measures::flags(&trial)?);
    let unused = patterns::sheet(candidates, &files, &trial.delivery, &mut report);
    report.sheets.push(unused);
    add_refusals(&trial, &mut report)?;
    add_findings(&trial, &mut report)?;
    Ok(Some(report))
}

fn of_files(files: &[Delivered]) -> Sheet {
    let row = |file: &Delivered| {
        let first = [json!(file.name), json!(file.kind), json!(file.survey)];
        first.into_iter().chain(file.facts.iter().cloned()).collect()
    };
    const COLUMNS: &[&str] =
        &["file", "kind", "profile", "frame_type", "night", "run", "programme", "filter"];
    Sheet { name: "files", columns: COLUMNS, rows: files.iter().map(row).collect() }
}

/// Returns for each file its profile, the reason, and what the others lacked.
fn of_profiles(files: &[Delivered], candidates: &Candidates) -> Sheet {
    let row = |file: &Delivered| {
        let (why, others) = Chosen::open(file)?.reasons(candidates, &file.survey);
        Some(vec![json!(file.name), json!(file.survey), json!(why), json!(others)])
    };
    let rows = files.iter().filter(|file| file.kind != "other").filter_map(row).collect();
    Sheet { name: "profiles", columns: &["file", "profile", "why", "others"], rows }
}

/// Returns images with their catalogues, images without one, and catalogues without image.
fn pairs(
    trial: &Trial,
    files: &[Delivered],
    candidates: &Candidates,
    report: &mut Report,
) -> anyhow::Result<Sheet> {
    const PAIRS: &str = "SELECT c.multiframe_id, f.name, c.version FROM catalogue AS c JOIN file AS f USING (file_id)
        ORDER BY 1, 3";
    let mut catalogues: BTreeMap<i64, Vec<(String, i64)>> = BTreeMap::new();
    for row in trial.rows(PAIRS)? {
        let name = row[1].as_str().unwrap_or_default().to_owned();
        let version = row[2].as_i64().unwrap_or(0);
        catalogues.entry(row[0].as_i64().unwrap_or(0)).or_default().push((name, version));
    }
    let mut rows = Vec::new();
    for (file, number) in files.iter().filter_map(|file| Some((file, file.multiframe?))) {
        let of_image = catalogues.get(&number).map_or(&[][..], Vec::as_slice);
        if of_image.is_empty() {
            let is_expected = expects_catalogue(file, candidates);
            if is_expected {
                let message = "frames of its type have a catalogue, and it has none";
                report.problem("catalogue_absent", &file.name, message);
            }
            let note = if is_expected { "expected, absent" } else { "none" };
            rows.push(vec![json!(file.name), Value::Null, Value::Null, json!(note)]);
        }
        for (name, version) in of_image {
            let note = if of_image.len() > 1 { "one of several" } else { "" };
            rows.push(vec![json!(file.name), json!(name), json!(version), json!(note)]);
        }
        if of_image.len() > 1 {
            let names: Vec<&str> = of_image.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("has several catalogues: {}", names.join(", "));
            report.problem("catalogue_twice", &file.name, message);
        }
    }
    let is_paired = |name: &str| catalogues.values().flatten().any(|(paired, _)| paired == name);
    let waiting: BTreeMap<&str, &str> =
        trial.waits.iter().map(|(file, why)| (file.as_str(), why.as_str())).collect();
    for file in files.iter().filter(|f| f.kind == "catalogue" && !is_paired(&f.name)) {
        let why = waiting.get(file.name.as_str()).copied();
        let why = why.unwrap_or("no image of the delivery has a name that belongs to it");
        report.problem("catalogue_unpaired", &file.name, why);
        rows.push(vec![Value::Null, json!(file.name), Value::Null, json!("no image")]);
    }
    Ok(Sheet { name: "pairs", columns: &["image", "catalogue", "version", "note"], rows })
}

/// Returns true when the profile of an image says that frames of its type have a catalogue.
fn expects_catalogue(file: &Delivered, candidates: &Candidates) -> bool {
    let Some(loaded) = candidates.named(&file.survey) else { return false };
    let frame_type = file.facts[0].as_str();
    let types = &loaded.profile.frame_types;
    types.iter().any(|rule| rule.catalogue && Some(rule.name.as_str()) == frame_type)
}

/// Returns true when the archive lacks positions of columns that the delivery has: they were refused, or the WCS replaced them.
fn needs_measuring(trial: &Trial, candidates: &Candidates) -> anyhow::Result<bool> {
    let by_wcs = |one: &Loaded| one.profile.catalogue.position.source == PositionSource::Wcs;
    const REFUSED: &str = "SELECT count(*) FROM refusal WHERE stage = 'catalogue' AND rows > 0";
    let refused = trial.rows(REFUSED)?.first().and_then(|row| row[0].as_i64()).unwrap_or(0);
    Ok(refused > 0 || by_wcs(candidates.given()))
}

/// Returns the same profiles; the one that is checked takes positions from columns and refuses little, so that rows can be
/// measured.
fn measured(candidates: &Candidates) -> anyhow::Result<Candidates> {
    let given = candidates.given();
    let mut text: toml::Table = given.text.parse()?;
    let settings = [
        (&["catalogue", "position"][..], "source", toml::Value::from("columns")),
        (&["catalogue", "position"], "refuse_above_arcsec", 3600.0.into()),
        (&["catalogue", "photometry"], "missing_zero_point", "null".into()),
        (&["limits"], "refused_rows_share", 1.0.into()),
    ];
    for (sections, key, value) in settings {
        set(&mut text, sections, key, value);
    }
    let text = text.to_string();
    let profile = SurveyProfile::parse(&text)?;
    let mut all = candidates.all.clone();
    all[candidates.given] = Loaded { profile, text };
    Ok(Candidates { all, given: candidates.given })
}

/// Sets a key in a section, which is made when it does not exist.
fn set(table: &mut toml::Table, sections: &[&str], key: &str, value: toml::Value) {
    let Some((first, rest)) = sections.split_first() else {
        table.insert(key.to_owned(), value);
        return;
    };
    let section = table.entry(*first).or_insert_with(|| toml::Table::new().into());
    if let Some(section) = section.as_table_mut() {
        set(section, rest, key, value);
    }
}

fn add_refusals(trial: &Trial, report: &mut Report) -> anyhow::Result<()> {
    const REFUSALS: &str = "SELECT file_name, ext_num, code, rows, parked, message FROM refusal
        WHERE state = 'open' ORDER BY file_name, ext_num, code";
    let rows = trial.rows(REFUSALS)?;
    for row in &rows {
        let text = |n: usize| row[n].as_str().unwrap_or_default();
        let place = row[1].as_i64().map_or_else(String::new, |n| format!("ext_num {n}: "));
        report.problem(text(2), text(0), format!("{place}{}", text(5)));
    }
    const COLUMNS: &[&str] = &["file", "ext_num", "code", "rows", "parked", "message"];
    report.sheets.push(Sheet { name: "refusals", columns: COLUMNS, rows });
    Ok(())
}

/// Adds the findings, and those about unpaired tables to the problems.
fn add_findings(trial: &Trial, report: &mut Report) -> anyhow::Result<()> {
    const PROBLEMS: [&str; 2] = ["table_unpaired", "detector_without_catalogue"];
    const FINDINGS: &str =
        "SELECT code, subject, sum(files), min(example_file), min(message) FROM finding
        GROUP BY 1, 2 ORDER BY 1, 2";
    let rows = trial.rows(FINDINGS)?;
    for row in &rows {
        let text = |n: usize| row[n].as_str().unwrap_or_default();
        if PROBLEMS.contains(&text(0)) {
            report.problem(text(0), text(3), text(4));
        }
    }
    const COLUMNS: &[&str] = &["code", "subject", "files", "example", "message"];
    report.sheets.push(Sheet { name: "findings", columns: COLUMNS, rows });
    let rows = trial.rows("SELECT name, code, why FROM skipped ORDER BY name")?;
    report.sheets.push(Sheet { name: "skipped", columns: &["name", "code", "why"], rows });
    Ok(())
}
