//! `almagest explain`.

use super::findings::{self, Deliveries};
use crate::exit::{self, Exit};
use crate::report::{say, say_part, shown};
use archive::Reader;
use archive::explain::sheets::{Asked, Facts};
use archive::explain::{Explanation, Setting, Suggestion};
use archive::findings::Drift;
use archive::refusals::{RefusalFilter, RefusalRecord, RefusalState};
use curate::advice;
use curate::arrivals;
use curate::ingester::state;
use curate::profiles::Loaded;
use curate::site::Site;
use curate::steps::{gate, reprofile};
use model::{Advice, DeliveryName, FileKind, MultiframeId, Night, ObjectId};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A name is that of a delivery or a file, DELIVERY/FILE, or the path of a library file. A number is
a night, a multiframe or an object id, whichever exist; `night N`, `multiframe N` and `object N`
select one. Two numbers are a position, right ascension and declination in degrees (ICRS).

With --json: one object {lines: [TEXT], suggestions: [{text, commands, kinds}], findings};
findings as of `findings --json`.")]
pub struct Arguments {
    /// Object to explain.
    #[arg(value_name = "NAME|NUMBER|RA DEC", required = true, num_args = 1..=2, allow_negative_numbers = true)]
    what: Vec<OsString>,
    /// At most N files, frames or detectors in detail, newest first.
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Reports the state of something, and the commands that help.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let archive = site.read()?;
    let profiles = site.profiles()?;
    let asked = asked(&site, arguments)?;
    let mut facts = archive.facts_about(&asked)?;
    if facts.is_empty() && asked.name.is_some() {
        // A refused name is recorded in the form in which it is shown; a shell completes the original name.
        let name = Some(files::shown(&arguments.what[0]));
        facts = archive.facts_about(&Asked { name, ..asked.clone() })?;
    }
    let mut deliveries: Vec<&DeliveryName> =
        facts.files.iter().map(|file| &file.delivery).collect();
    deliveries.extend(facts.delivery.iter().map(|sheet| &sheet.status.name));
    let setting = setting(&site, &archive, deliveries)?;
    let explanation = if facts.is_empty() {
        let absent = absent(&site, &archive, &profiles, &asked)?;
        absent.ok_or_else(|| nothing(&arguments.what))?
    } else {
        find_partners(&archive, &profiles, &mut facts)?;
        let mut explanation = archive::explain::explain(&facts, &setting);
        explain_profiles(&site, &archive, &facts, &mut explanation)?;
        explanation
    };
    if arguments.json {
        say!("{}", crate::report::json(&explanation)?);
        return Ok(Exit::Done);
    }
    print(&explanation);
    Ok(Exit::Done)
}

fn print(explanation: &Explanation) {
    for line in &explanation.lines {
        say!("{}", shown(line));
    }
    if !explanation.suggestions.is_empty() {
        say_part!("\n{}", suggested(&explanation.suggestions));
    }
    if !explanation.findings.is_empty() {
        say_part!("\n{}", findings_section(&explanation.findings));
    }
}

/// Returns suggestions with their commands, a line each; empty when there are none.
pub fn suggested(suggestions: &[Suggestion]) -> String {
    let mut lines = Vec::new();
    for Suggestion { text, commands } in suggestions {
        match commands.as_slice() {
            [] => lines.push(format!("  {}", shown(text))),
            [only] if text.is_empty() => {
                lines.push(format!("  {}", shown(&advice::command(only))));
            }
            commands => {
                lines.push(format!("  {}:", shown(text)));
                let command = |c| format!("    {}", shown(&advice::command(c)));
                lines.extend(commands.iter().map(command));
            }
        }
    }
    match lines.is_empty() {
        true => String::new(),
        false => format!("suggestions:\n{}\n", lines.join("\n")),
    }
}

fn nothing(what: &[OsString]) -> anyhow::Error {
    let words: Vec<String> = what.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    exit::gate(format!(
        "no delivery, file, night, multiframe or object has the name {:?}; {} lists deliveries",
        words.join(" "),
        advice::command(&Advice::Status)
    ))
}

/// Returns the subject that the words name.
fn asked(site: &Site, arguments: &Arguments) -> anyhow::Result<Asked> {
    let at_most = arguments.limit.clamp(1, 100_000);
    let words: Vec<String> =
        arguments.what.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let none = Asked { at_most, ..Asked::default() };
    let whole = |text: &str| {
        let number = text.parse::<i64>().ok();
        number.ok_or_else(|| exit::usage(format!("{text:?} is not a number")))
    };
    match words.as_slice() {
        [kind, number] => match kind.as_str() {
            "night" => {
                let night = i32::try_from(whole(number)?)?;
                let night = Night::try_from(night).map_err(exit::usage)?;
                Ok(Asked { night: Some(night), ..none })
            }
            "multiframe" => Ok(Asked { multiframe: MultiframeId::new(whole(number)?), ..none }),
            "object" => Ok(Asked { object: ObjectId::new(whole(number)?), ..none }),
            "delivery" | "file" => Ok(Asked { name: Some(name_of(site, number)), ..none }),
            ra => position(ra, number).map(|position| Asked { position: Some(position), ..none }),
        },
        [one] => {
            let pair = one.trim().split_once([',', ' ']);
            if let Some((ra, dec)) = pair.filter(|(ra, _)| ra.parse::<f64>().is_ok()) {
                return Ok(Asked { position: Some(position(ra, dec)?), ..none });
            }
            let number = one.parse::<i64>().ok();
            let night = number.and_then(|n| Night::new(i32::try_from(n).ok()?));
            let name = Some(name_of(site, one));
            let (multiframe, object) =
                (number.and_then(MultiframeId::new), number.and_then(ObjectId::new));
            Ok(Asked { name, night, multiframe, object, ..none })
        }
        _ => Err(exit::usage("give one name or number, or a position of two numbers")),
    }
}

fn position(ra: &str, dec: &str) -> anyhow::Result<(f64, f64)> {
    let degrees = |text: &str| text.trim().parse::<f64>().ok().filter(|d| d.is_finite());
    match (degrees(ra), degrees(dec)) {
        (Some(ra), Some(dec))
            if (-360.0..=360.0).contains(&ra) && (-90.0..=90.0).contains(&dec) =>
        {
            Ok((ra.rem_euclid(360.0), dec))
        }
        _ => Err(exit::usage(format!(
            "{ra:?} {dec:?} is not a position: right ascension from -360 to 360 and declination from -90 to 90, in degrees"
        ))),
    }
}

/// Returns the name that a text means. A path into the library means its delivery and file; a shell completes the name of a
/// directory with a slash.
fn name_of(site: &Site, text: &str) -> String {
    let trimmed = text.trim_end_matches('/');
    let text = if trimmed.is_empty() { text } else { trimmed };
    if text.matches('/').count() < 2 && !text.starts_with("library/") {
        return text.to_owned();
    }
    let path = std::path::absolute(text).unwrap_or_else(|_| PathBuf::from(text));
    let roots = site.library_roots();
    let below = roots.iter().find_map(|root| path.strip_prefix(root).ok());
    let mut parts = below.unwrap_or(&path).iter().rev();
    match (below, parts.next(), below.and_then(|b| b.iter().next())) {
        // Older contents are in a directory below their delivery.
        (Some(_), Some(file), Some(delivery)) if delivery != file => {
            format!("{}/{}", delivery.to_string_lossy(), file.to_string_lossy())
        }
        (Some(_), Some(delivery), Some(_)) => delivery.to_string_lossy().into_owned(),
        _ => text.to_owned(),
    }
}

/// Returns the facts that decide which commands about some deliveries work now.
pub fn setting(
    site: &Site,
    archive: &Reader,
    mut deliveries: Vec<&DeliveryName>,
) -> anyhow::Result<Setting> {
    deliveries.sort();
    deliveries.dedup();
    let mut places = HashMap::new();
    for name in deliveries {
        let place = archive.source(name)?.to_string_lossy().into_owned();
        if place.contains("://") || Path::new(&place).is_dir() {
            places.insert(name.clone(), place);
        }
    }
    let ingester = state::read(&state::directory(&site.place.logs()));
    Ok(Setting {
        products: site.place.products(),
        standing: archive.instructions()?,
        has_scheduler: gate::has_scheduler(site),
        has_ingester: ingester.is_some_and(|state| state.is_alive()),
        places,
        is_plan_open: archive.plan(None)?.is_some_and(|plan| curate::scheduler::is_open(&plan)),
    })
}

/// Adds the survey profiles of files, with the reasons, and the command for files that would get another one now.
fn explain_profiles(
    site: &Site,
    archive: &Reader,
    facts: &Facts,
    out: &mut Explanation,
) -> anyhow::Result<()> {
    for file in facts.files.iter().filter(|file| !file.superseded) {
        let (delivery, name) = (&file.delivery, file.name.as_str());
        let Some(profile) = reprofile::fits_of(site, archive, (delivery, name))? else { continue };
        out.lines.push(format!("{delivery}/{name}: {}", profile.in_words()));
        let again = Advice::Reprofile { delivery: delivery.clone() };
        let has_it = |s: &Suggestion| s.commands.contains(&again);
        if profile.is_other() && !out.suggestions.iter().any(has_it) {
            let text = "the site's profiles choose another one now; to give it to the files";
            out.suggestions.push(Suggestion::new(text, [again]));
        }
    }
    Ok(())
}

/// Finds the refused files that would be the catalogues of images without one.
fn find_partners(archive: &Reader, profiles: &[Loaded], facts: &mut Facts) -> anyhow::Result<()> {
    for file in
        facts.files.iter_mut().filter(|f| f.kind == Some(FileKind::Image) && f.partner.is_none())
    {
        let filter =
            RefusalFilter { delivery: Some(file.delivery.clone()), ..RefusalFilter::default() };
        let is_partner = |r: &RefusalRecord| {
            r.state != RefusalState::Resolved
                && profiles.iter().any(|p| p.profile.naming.pairs(&file.name, &r.refusal.file))
        };
        file.refused_partner = archive.refusals(&filter)?.into_iter().filter(is_partner).collect();
    }
    Ok(())
}

/// Explains something that has not arrived: a file of a known delivery, a partner of a known file, or a delivery that a source
/// has.
fn absent(
    site: &Site,
    archive: &Reader,
    profiles: &[Loaded],
    asked: &Asked,
) -> anyhow::Result<Option<Explanation>> {
    let Some(name) = &asked.name else { return Ok(None) };
    let mut out = Explanation::default();
    let (delivery, file) = match name.split_once('/') {
        Some((delivery, file)) => (Some(delivery.to_owned()), file),
        None => (None, name.as_str()),
    };
    for profile in profiles {
        let stem = profile.profile.naming.stem(file);
        if stem.image.is_empty() {
            continue;
        }
        for (of, partner) in archive.files_like(stem.image)? {
            let naming = &profile.profile.naming;
            let is_pair = naming.pairs(file, &partner) || naming.pairs(&partner, file);
            if is_pair && delivery.as_ref().is_none_or(|d| of == *d) {
                let line = format!("{of}/{file} has not arrived; its partner {partner} has");
                if !out.lines.contains(&line) {
                    out.lines.push(line);
                    await_file(archive, &of, &mut out)?;
                }
            }
        }
    }
    if let (true, Some(of)) = (out.lines.is_empty(), &delivery)
        && let Some(of) = archive.deliveries(None)?.iter().find(|known| *known == of)
    {
        out.lines.push(format!("{of}/{file} has not arrived"));
        await_file(archive, of, &mut out)?;
    }
    let sources = arrivals::read(&site.place.logs()).map(|state| state.sources).unwrap_or_default();
    for (source, state) in sources {
        for (_, awaited) in state.awaited.iter().filter(|(known, _)| *known == name) {
            out.lines
                .push(format!("delivery {name} has not arrived from source {source}: {awaited}"));
            let query = Suggestion::new("what the sources have", [Advice::Sources]);
            out.suggestions.push(query);
        }
    }
    Ok((!out.lines.is_empty()).then_some(out))
}

/// Suggests a way to get a file that has not arrived.
fn await_file(
    archive: &Reader,
    delivery: &DeliveryName,
    out: &mut Explanation,
) -> anyhow::Result<()> {
    let place = archive.source(delivery)?.to_string_lossy().into_owned();
    let is_reachable = place.contains("://") || Path::new(&place).is_dir();
    out.suggestions.push(match is_reachable {
        true => Suggestion::new(
            format!("when it is at {place}"),
            [Advice::Transfer { delivery: delivery.to_owned() }],
        ),
        false => Suggestion::text(format!("deliver it: its source {place} is unreachable")),
    });
    Ok(())
}

/// Returns the most frequent findings of a delivery, and the command that lists the others.
fn findings_section(findings: &[Drift]) -> String {
    const MAX_SHOWN: usize = 20;
    let shown = &findings[..findings.len().min(MAX_SHOWN)];
    let mut text = format!("findings:\n{}", findings::table(shown, Deliveries::One));
    if let Some(first) = findings.get(MAX_SHOWN) {
        let list = Advice::FindingsOf { delivery: first.delivery.clone() };
        let more = findings.len() - MAX_SHOWN;
        text += &format!("… {more} more: {}\n", advice::command(&list));
    }
    text + &findings::endings(findings)
}
