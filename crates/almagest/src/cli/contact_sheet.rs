//! `almagest contact-sheet`: one HTML page with the previews of a site, of deliveries or of nights.
//!
//! The page is next to `previews/` and refers to it: each picture links to the full preview, each name to the file in the
//! library, each extension number to the preview of its detector.

use super::dry_run::tell_dry_run;
use super::{ScopeArguments, sql};
use crate::exit::{self, Exit};
use crate::report::{counted, say, shown};
use archive::Reader;
use archive::explain::sheets::Asked;
use curate::advice;
use curate::scope::{Scope, chosen};
use curate::site::Site;
use curate::steps::gate;
use model::profile::FrameKind;
use model::{Advice, DeliveryName, UseCase};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Science frames come first, then confidence maps, calibration frames last. Images link to the full
previews, names to the files in the library.

Examples:
  almagest contact-sheet                         the whole site: SITE/contact-sheet.html
  almagest contact-sheet --delivery 20071011_v1  SITE/contact-sheet-20071011_v1.html")]
pub struct Arguments {
    #[command(flatten)]
    of: ScopeArguments,
    /// Output file [default: in the site].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only print what would be written.
    #[arg(long)]
    dry_run: bool,
}

/// Writes the page.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let scope = arguments.of.scope();
    let deliveries = (!scope.is_all()).then(|| chosen(&site.read()?, &scope)).transpose()?;
    let path = arguments.output.clone().unwrap_or_else(|| default_path(&site, &scope));
    let sections = sections(&site, deliveries.as_deref())?;
    let frames = count(&sections);
    if frames == 0 {
        return Err(exit::gate(no_previews(&site, deliveries.as_deref())?));
    }
    match arguments.dry_run {
        true => files::may_publish(&path)?,
        false => publish(&site, &sections, &path)?,
    }
    tell_dry_run(arguments.dry_run);
    say!("contact sheet of {}: {}", counted(frames, "frame"), shown(&path.display().to_string()));
    Ok(Exit::Done)
}

/// Returns the reason why deliveries, or all, have no previews to show, with the commands that help.
fn no_previews(site: &Site, deliveries: Option<&[DeliveryName]>) -> anyhow::Result<String> {
    let archive = site.read()?;
    let names = deliveries.map_or_else(|| archive.deliveries(None), |names| Ok(names.to_vec()))?;
    let hidden = hidden(&archive, &names)?;
    if !hidden.is_empty() {
        return Ok(hidden.join("; "));
    }
    let what = if deliveries.is_some() { "these deliveries have" } else { "the archive has" };
    let commands = advice::commands(&makes_previews(site, deliveries)?);
    Ok(format!("{what} no previews yet: {commands}"))
}

/// Explains which deliveries have previews that are not shown: newer deliveries show theirs, or they are retracted.
fn hidden(archive: &Reader, names: &[DeliveryName]) -> anyhow::Result<Vec<String>> {
    const NAMED: usize = 5;
    let mut hidden = Vec::new();
    for name in names {
        let asked = Asked { name: Some(name.to_string()), at_most: 1, ..Asked::default() };
        let Some(sheet) = archive.facts_about(&asked)?.delivery else { continue };
        if let Some(retracted) = advice::of_retracted(&sheet) {
            hidden.push(retracted);
        } else if let Some((newer, _)) = sheet.superseded_by.last() {
            let page = advice::command(&Advice::ContactSheet { delivery: newer.clone() });
            hidden
                .push(format!("the frames of {name} are superseded by those of {newer}: `{page}`"));
        }
        if hidden.len() == NAMED {
            break;
        }
    }
    Ok(hidden)
}

/// Returns the commands after which deliveries, or all, have previews.
fn makes_previews(site: &Site, deliveries: Option<&[DeliveryName]>) -> anyhow::Result<Vec<Advice>> {
    if site.read()?.deliveries(None)?.is_empty() {
        return Ok(vec![Advice::Run { place: "DELIVERY_DIR".to_owned() }]);
    }
    if gate::has_scheduler(site) {
        return Ok(vec![Advice::Plan]);
    }
    let one = deliveries.and_then(|names| if let [name] = names { Some(name) } else { None });
    let step = |use_case| match one.cloned() {
        Some(delivery) => Advice::Step { use_case, delivery },
        None => Advice::StepAll { use_case },
    };
    let ingest = match one.cloned() {
        Some(delivery) => Advice::Ingest { delivery },
        None => Advice::IngestAll,
    };
    Ok(vec![step(UseCase::Metadata), step(UseCase::Preview), ingest])
}

fn default_path(site: &Site, scope: &Scope) -> PathBuf {
    let nights = scope.nights.iter().map(ToString::to_string);
    let names: Vec<String> =
        scope.deliveries.iter().map(ToString::to_string).chain(nights).collect();
    let name = match names.as_slice() {
        [] => "contact-sheet.html".to_owned(),
        [name] => format!("contact-sheet-{name}.html"),
        _ => "contact-sheet-selection.html".to_owned(),
    };
    site.place.root().join(name)
}

/// One frame of the page.
struct Figure {
    delivery: String,
    file: String,
    object: String,
    filter: String,
    frame_type: String,
    /// Mosaic of all detectors, below `previews/`.
    mosaic: String,
    /// Path of the file as the archive keeps it.
    library: String,
    /// Extension number and preview of each detector.
    detectors: Vec<(String, String)>,
}

/// Writes a page of some deliveries, or of all, and returns the number of frames in it.
///
/// # Errors
/// When the archive cannot be queried or the page not be written.
pub fn write(site: &Site, deliveries: Option<&[DeliveryName]>, path: &Path) -> anyhow::Result<u64> {
    let sections = sections(site, deliveries)?;
    if count(&sections) > 0 {
        publish(site, &sections, path)?;
    }
    Ok(count(&sections))
}

/// The frames of a page: science frames first, calibration frames last.
type Sections = BTreeMap<u8, Vec<Figure>>;

fn count(sections: &Sections) -> u64 {
    sections.values().map(Vec::len).sum::<usize>() as u64
}

fn publish(site: &Site, sections: &Sections, path: &Path) -> anyhow::Result<()> {
    files::publish_bytes(path, page(site, path, sections).as_bytes())?;
    Ok(())
}

fn sections(site: &Site, deliveries: Option<&[DeliveryName]>) -> anyhow::Result<Sections> {
    let mut sections = Sections::new();
    let kinds = kinds(site)?;
    for (survey, figure) in figures(site, deliveries)? {
        let kind = kinds.get(&(survey, figure.frame_type.clone())).copied().unwrap_or_default();
        let place = match kind {
            FrameKind::Science => 0,
            FrameKind::Confidence => 1,
            FrameKind::Calibration => 2,
        };
        sections.entry(place).or_default().push(figure);
    }
    Ok(sections)
}

/// Returns the kind of each frame type of each survey.
fn kinds(site: &Site) -> anyhow::Result<BTreeMap<(String, String), FrameKind>> {
    let mut kinds = BTreeMap::new();
    for loaded in site.profiles()? {
        let survey = loaded.profile.survey_id.to_string();
        for rule in &loaded.profile.frame_types {
            kinds.entry((survey.clone(), rule.name.clone())).or_insert(rule.kind);
        }
    }
    Ok(kinds)
}

/// Returns the frames with the id of their survey, by delivery and name.
fn figures(
    site: &Site,
    deliveries: Option<&[DeliveryName]>,
) -> anyhow::Result<Vec<(String, Figure)>> {
    let mut unlimited = site.clone();
    (unlimited.config.sql.max_rows, unlimited.config.sql.max_seconds) = (0, 0);
    let session = sql::session(&unlimited, None)?;
    let quoted = |name: &DeliveryName| format!("'{}'", name.replace('\'', "''"));
    let only = deliveries.map_or(String::new(), |names| {
        let names: Vec<String> = names.iter().map(quoted).collect();
        format!("WHERE delivery.name IN ({})", names.join(", "))
    });
    let mut rows = sql::Collected::default();
    session.query(
        &format!(
            "SELECT delivery.name, m.file_name, m.object, m.filter_name, m.frame_type, m.survey_id, file.path,
                 p.ext_num, p.path, m.multiframe_id
             FROM preview AS p JOIN multiframe AS m USING (multiframe_id) JOIN image USING (multiframe_id)
                 JOIN file USING (file_id) JOIN delivery USING (delivery_id) {only}
             ORDER BY delivery.name, m.file_name, m.multiframe_id, p.ext_num"
        ),
        &mut rows,
    )?;
    let mut figures: Vec<(String, Figure)> = Vec::new();
    for row in rows.rows {
        let Ok([delivery, file, object, filter, frame_type, survey, library, ext_num, preview, _]) =
            <[String; 10]>::try_from(row)
        else {
            continue;
        };
        if ext_num == "0" {
            let detectors = Vec::new();
            let mosaic = preview;
            figures.push((
                survey,
                Figure { delivery, file, object, filter, frame_type, mosaic, library, detectors },
            ));
        } else if let Some((_, figure)) = figures.last_mut().filter(|(_, f)| f.file == file) {
            figure.detectors.push((ext_num, preview));
        }
    }
    Ok(figures)
}

const STYLE: &str = "body{background:#111;color:#ccc;font:13px sans-serif;margin:16px}a{color:#9cf}\
    h1{font-size:18px}h2{font-size:15px}\
    main{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:12px}\
    figure{margin:0}img{width:100%;background:#000}figcaption{overflow-wrap:anywhere}";

fn page(site: &Site, path: &Path, sections: &BTreeMap<u8, Vec<Figure>>) -> String {
    const TITLES: [&str; 3] = ["Science frames", "Confidence maps", "Calibration frames"];
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Almagest: contact sheet</title>\n\
         <style>{STYLE}</style>\n<h1>Almagest: contact sheet</h1>\n"
    );
    for (place, figures) in sections {
        let title = TITLES.get(usize::from(*place)).copied().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(page, "<h2>{title} ({})</h2>\n<main>", figures.len());
        figures.iter().for_each(|figure| page.push_str(&one(site, path, figure)));
        page.push_str("</main>\n");
    }
    page.push_str("</html>\n");
    page
}

fn one(site: &Site, page: &Path, figure: &Figure) -> String {
    let preview = |name: &str| link(page, &site.place.previews().join(name));
    let mosaic = preview(&figure.mosaic);
    let library = link(page, &site.place.library_file(&figure.library));
    let [delivery, file, object, filter, frame_type] =
        [&figure.delivery, &figure.file, &figure.object, &figure.filter, &figure.frame_type]
            .map(|text| escaped(text));
    let detectors: Vec<String> = figure
        .detectors
        .iter()
        .map(|(ext_num, path)| format!("<a href=\"{}\">{}</a>", preview(path), escaped(ext_num)))
        .collect();
    let detectors = match detectors.is_empty() {
        true => String::new(),
        false => format!("<br>ext_num {}", detectors.join(" ")),
    };
    format!(
        "<figure><a href=\"{mosaic}\"><img src=\"{mosaic}\" alt=\"{file}\" loading=\"lazy\"></a>\
         <figcaption><a href=\"{library}\">{file}</a><br>{delivery} {object} {filter} {frame_type}{detectors}\
         </figcaption></figure>\n"
    )
}

/// Returns the reference of a page to a file: relative when the file is below the page's directory.
fn link(page: &Path, file: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (page, file) = (absolute(page), absolute(file));
    let below = page.parent().and_then(|directory| file.strip_prefix(directory).ok());
    let (prefix, path) = match below {
        Some(path) => ("", path),
        None => ("file://", file.as_path()),
    };
    let mut url = prefix.to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(*byte));
            }
            // Writing to a String cannot fail.
            other => drop(write!(url, "%{other:02X}")),
        }
    }
    url
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_and_encoded() {
        let page = Path::new("/site/contact-sheet.html");
        let of = |file: &str| link(page, Path::new(file));
        assert_eq!(of("/site/previews/a/b 1.jpg"), "previews/a/b%201.jpg");
        assert_eq!(of("/site/library/n/w\"<#?%.fit"), "library/n/w%22%3C%23%3F%25.fit");
        assert_eq!(of("/disk2/n/\u{fc}.fit"), "file:///disk2/n/%C3%BC.fit");
    }
}
