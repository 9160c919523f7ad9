//! `almagest inspect FILE…`.

use crate::exit::Exit;
use crate::report::{Table, say, say_part, shown};
use curate::profiles;
use curate::site::{self, Site};
use curate::steps::profile_of;
use curate::steps::reprofile::fits_at;
use fits::checksum::Verdict;
use fits::inspect::{HduInspection, Inspection, Json, inspect_choosing};
use model::profile::{ProfileFit, SurveyProfile};
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// FITS files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// As one JSON object: {"files": {PATH: …}, "profiles": {PATH: [{profile, is_chosen, why}]}}.
    #[arg(long)]
    json: bool,
}

/// Prints the content of FITS files, and the survey profile of each with the reasons. Exit code 1 when a file or HDU is refused.
/// The limits are those of the site's profiles, without a site those of the profiles that every new site gets.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let profiles = profiles_of(site)?;
    let inspect = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let limits_of = |primary: &fits::Header| {
            let sample = transfer::Sample { name: &name, primary, file: None };
            profile_of(&profiles, &sample).map(process::limits).unwrap_or_default()
        };
        inspect_choosing(path, &fits::Limits::default(), &limits_of)
    };
    let mut refused = false;
    let mut chosen = serde_json::Map::new();
    let many = arguments.files.len();
    if arguments.json {
        say_part!("{{\"files\": {{");
    }
    for (i, path) in arguments.files.iter().enumerate() {
        let found = inspect(path);
        let fits = fits_at(&profiles, path);
        refused |= found.refusal.is_some() || found.hdus.iter().any(|h| h.refusal.is_some());
        if arguments.json {
            let name = serde_json::to_string(&path.display().to_string())?;
            say_part!("{}\n{name}: {}", if i > 0 { "," } else { "" }, found.to_json());
            chosen.insert(path.display().to_string(), fits.iter().map(as_json).collect());
        } else {
            if many > 1 {
                say!("{}{}:", if i > 0 { "\n" } else { "" }, shown(&path.display().to_string()));
            }
            say_part!("{}", text(&found));
            if !fits.is_empty() {
                say!("{}", shown(&model::profile::reasons_in_words(&fits)));
            }
        }
    }
    if arguments.json {
        say!("\n}},\n\"profiles\": {}}}", crate::report::json(&chosen)?);
    }
    Ok(if refused { Exit::Refusals } else { Exit::Done })
}

fn as_json(fit: &ProfileFit) -> serde_json::Value {
    serde_json::json!({"profile": fit.profile, "is_chosen": fit.is_chosen, "why": fit.why})
}

fn profiles_of(named: Option<PathBuf>) -> anyhow::Result<Vec<SurveyProfile>> {
    if named.is_none() && site::around().is_none() {
        let shipped = model::profile::shipped().iter();
        return Ok(shipped.filter_map(|(_, text)| SurveyProfile::parse(text).ok()).collect());
    }
    let site = Site::find(named)?;
    Ok(profiles::load(&site.place.surveys())?.into_iter().map(|loaded| loaded.profile).collect())
}

fn text(found: &Inspection) -> String {
    if let Some(refusal) = &found.refusal {
        return format!("refused, {}: {}\n", refusal.code, shown(&refusal.message));
    }
    let mut table =
        Table::new(["ext_num", "name", "holds", "size", "cards", "checksums", "remarks"]);
    for hdu in &found.hdus {
        let remark = hdu
            .refusal
            .as_ref()
            .map(|r| format!("refused, {}: {}", r.code, r.message))
            .unwrap_or_default();
        table.row([
            model::ext_num_of(hdu.index.0).to_string(),
            hdu.name.clone(),
            hdu.kind.in_words().to_owned(),
            size(hdu),
            cards(hdu),
            checksums(hdu).to_owned(),
            remark,
        ]);
    }
    let mut text = table.text();
    if let Some(trailing) = &found.trailing {
        text += &format!("{trailing}\n");
    }
    text
}

fn number(json: &Json, name: &str) -> Option<i128> {
    match json.get(name) {
        Some(Json::Integer(number)) => Some(*number),
        _ => None,
    }
}

/// Returns the axes of an image, or the rows and columns of a table.
fn size(hdu: &HduInspection) -> String {
    if let Some(Json::List(axes)) = hdu.report.get("image").and_then(|i| i.get("shape_numpy")) {
        let axes: Vec<String> = axes.iter().rev().map(ToString::to_string).collect();
        return axes.join(" x ");
    }
    let Some(table) = hdu.report.get("table") else { return String::new() };
    let columns = match table.get("columns") {
        Some(Json::List(columns)) => columns.len(),
        _ => 0,
    };
    format!("{} rows, {columns} columns", number(table, "rows").unwrap_or(0))
}

fn cards(hdu: &HduInspection) -> String {
    let cards = hdu.report.get("header").and_then(|h| number(h, "cards"));
    cards.map(|n| n.to_string()).unwrap_or_default()
}

fn checksums(hdu: &HduInspection) -> &'static str {
    let Some(checks) = &hdu.checks else { return "" };
    match (&checks.datasum, &checks.checksum) {
        (Verdict::Mismatch { .. }, _) => "DATASUM differs",
        (_, Verdict::Mismatch { .. }) => "CHECKSUM differs",
        (Verdict::Absent, Verdict::Absent) => "none",
        _ => "fit",
    }
}
