//! `almagest profile`.

use crate::exit::{self, Exit};
use crate::report::{say, say_part, shown};
use anyhow::Context;
use curate::advice;
use curate::profiling;
use curate::site::Site;
use model::Advice;
use model::profile::SurveyProfile;
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// List the survey profiles of the site.
    List {
        /// As one JSON array: [{name, title}].
        #[arg(long)]
        json: bool,
    },
    /// Set a value in the profile of a survey, e.g. project.unnamed.
    Set {
        /// Name of the survey, e.g. wfcam.
        survey: String,
        /// Section and key, e.g. project.unnamed or catalogue.photometry.missing_zero_point.
        key: String,
        /// The value, in TOML syntax; a bare word is a string.
        value: String,
        /// Only print the changed profile.
        #[arg(long)]
        dry_run: bool,
    },
    /// Report what `run` would do with a directory under a profile.
    #[command(after_help = "\
No site is needed, and nothing is changed.

The delivery is run in a temporary site, without previews. Exit code 1: something is refused, a
table or image is not used, a catalogue is absent or has no image, the sky columns are more than
half a pixel from the WCS in the median, magnitudes are more than 0.01 mag from those in the
files, or a rule of the profile fits nothing.

With --json: one object {files, profiles, pairs, hdus, positions, magnitudes, flags, unused,
refusals, findings, skipped, problems}, each a list of objects.")]
    Check {
        /// File of the profile.
        #[arg(value_name = "PROFILE")]
        profile: PathBuf,
        /// Directory of a delivery, or of samples of it; its name should be that of a delivery.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Directory with the other profiles, e.g. surveys/ of a site [default: the shipped ones].
        #[arg(long, value_name = "DIR")]
        with: Option<PathBuf>,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Write a draft of a profile for the files of a directory.
    #[command(after_help = "\
No site is needed, and nothing is changed.

The draft is on stdout, with the evidence for each guess in a comment, and TODO where a decision is
needed. Zero point, origin of pixels, units and row numbers are set only when the data confirm them.

Example:
  almagest profile draft inbox/20240115_v1 --name mycam > mycam.toml
  almagest profile check mycam.toml inbox/20240115_v1")]
    Draft {
        /// Directory of a delivery, or of samples of it: images with their catalogues.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Name of the survey [default: the instrument's].
        #[arg(long, value_name = "NAME", value_parser = survey_name)]
        name: Option<String>,
    },
}

/// Reads the name of a survey: letters, digits and underscores.
fn survey_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match !text.is_empty() && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("a name has letters, digits and underscores".to_owned()),
    }
}

/// Lists profiles, changes, checks or drafts one.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    match &arguments.act {
        Act::List { json } => list(&Site::find(site)?, *json),
        Act::Set { survey, key, value, dry_run } => {
            set(&Site::find(site)?, survey, (key, value), *dry_run)
        }
        Act::Check { profile, directory, with, json } => {
            check(profile, directory, with.as_deref(), *json)
        }
        Act::Draft { directory, name } => {
            let stop = curate::loops::stop_flag()?;
            match profiling::draft(directory, name.as_deref(), &stop)? {
                Some(text) => say_part!("{text}"),
                None => return Ok(Exit::Interrupted),
            }
            Ok(Exit::Done)
        }
    }
}

fn check(
    profile: &Path,
    directory: &Path,
    with: Option<&Path>,
    as_json: bool,
) -> anyhow::Result<Exit> {
    let stop = curate::loops::stop_flag()?;
    let Some(report) = profiling::check(profile, directory, with, &stop)? else {
        return Ok(Exit::Interrupted);
    };
    match as_json {
        true => say!("{}", crate::report::json(&report.to_json())?),
        false => say_part!("{}", report.text()),
    }
    Ok(if report.problems.is_empty() { Exit::Done } else { Exit::Refusals })
}

fn list(site: &Site, as_json: bool) -> anyhow::Result<Exit> {
    let profiles = site.profiles()?;
    if as_json {
        let all: Vec<_> = profiles
            .iter()
            .map(|p| serde_json::json!({"name": p.profile.name, "title": p.profile.title}))
            .collect();
        say!("{}", crate::report::json(&all)?);
        return Ok(Exit::Done);
    }
    for loaded in profiles {
        say!("{}  {}", shown(&loaded.profile.name), shown(&loaded.profile.title));
    }
    Ok(Exit::Done)
}

fn set(
    site: &Site,
    survey: &str,
    (key, value): (&str, &str),
    dry_run: bool,
) -> anyhow::Result<Exit> {
    let (path, text) = profile_of(site, survey)?;
    let changed = with_value(&text, key, value).map_err(exit::usage)?;
    let place = path.display();
    match SurveyProfile::parse(&changed) {
        Ok(profile) if profile.name == survey => {}
        Ok(_) => {
            return Err(exit::usage(format!(
                "{place}: the name of a profile cannot be changed here"
            )));
        }
        Err(faults) => return Err(exit::usage(format!("{place}:\n{faults}"))),
    }
    if dry_run {
        say_part!("{changed}");
        return Ok(Exit::Done);
    }
    files::publish_bytes(&path, changed.as_bytes())?;
    say!("{key} is set in {}", shown(&place.to_string()));
    Ok(Exit::Done)
}

/// Returns path and text of the profile of a survey.
fn profile_of(site: &Site, survey: &str) -> anyhow::Result<(PathBuf, String)> {
    let directory = site.place.surveys();
    let entries = std::fs::read_dir(&directory)
        .with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let named = text.parse::<toml::Table>().ok();
        let name = named.as_ref().and_then(|table| table.get("name")?.as_str());
        if name == Some(survey) {
            return Ok((path, text));
        }
    }
    Err(exit::gate(format!(
        "the site has no profile of a survey {survey:?}: `{}`",
        advice::command(&Advice::ProfileList)
    )))
}

/// Returns the text of a profile with one value set; everything else, comments included, stays as it is.
fn with_value(text: &str, key: &str, value: &str) -> Result<String, String> {
    let value = match format!("x = {value}").parse::<toml::Table>() {
        Ok(_) => value.to_owned(),
        Err(_) => toml::Value::from(value).to_string(),
    };
    let parts: Vec<&str> = key.split('.').collect();
    if parts.iter().any(|part| part.is_empty() || !part.chars().all(is_of_key)) {
        return Err(format!("{key:?} is not a key such as project.unnamed"));
    }
    let lines: Vec<&str> = text.lines().collect();
    // The longest section that has a header of its own holds the rest of the key.
    let header = |n: usize| format!("[{}]", parts[..n].join("."));
    let section = (1..parts.len())
        .rev()
        .find_map(|n| Some((n, lines.iter().position(|line| line.trim() == header(n))?)));
    let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let (rest, from) = match section {
        Some((n, at)) => (parts[n..].join("."), at + 1),
        None if parts.len() == 1 => (key.to_owned(), 0),
        None => {
            out.extend([String::new(), header(parts.len() - 1)]);
            (parts[parts.len() - 1].to_owned(), out.len())
        }
    };
    let end = out[from..].iter().position(|line| line.trim_start().starts_with('['));
    let end = end.map_or(out.len(), |n| from + n);
    let is_key = |line: &String| {
        line.trim_start()
            .strip_prefix(rest.as_str())
            .is_some_and(|l| l.trim_start().starts_with('='))
    };
    let new = format!("{rest} = {value}");
    match out[from..end].iter().position(is_key) {
        Some(n) => {
            let old = &out[from + n];
            if old.parse::<toml::Table>().is_err() {
                return Err(format!("{key} spans several lines: edit the profile"));
            }
            out[from + n] = new;
        }
        None => out.insert(from, new),
    }
    Ok(out.join("\n") + "\n")
}

fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_set_and_the_rest_stays() {
        let text = "name = \"x\" # why\n\n[project]\n# of headers\nkeywords = [\"A\"]\nunnamed = \"OLD\"\n\n[catalogue]\na = [\n1]\n";
        let set = |key: &str, value: &str| with_value(text, key, value);
        assert_eq!(set("project.unnamed", "NEW").unwrap(), text.replace("OLD", "NEW"));
        assert_eq!(set("project.unnamed", "\"NEW\"").unwrap(), text.replace("OLD", "NEW"));
        let photometry = set("catalogue.photometry.missing_zero_point", "null").unwrap();
        let wanted = "[catalogue]\nphotometry.missing_zero_point = \"null\"\na";
        assert_eq!(photometry, text.replace("[catalogue]\na", wanted));
        assert_eq!(
            set("limits.expansion_ratio", "300").unwrap(),
            format!("{text}\n[limits]\nexpansion_ratio = 300\n")
        );
        assert!(set("catalogue.a", "1").unwrap_err().contains("several lines"));
        assert!(set("project.", "1").is_err());
    }
}
