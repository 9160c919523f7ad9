//! Reading a configuration: every fault is reported with its line and key.

use super::check;
use super::text;
use super::{Config, FILE_NAME};
use crate::failure;
use anyhow::Context;
use std::path::Path;

/// Reads the configuration of the site at `root`.
///
/// # Errors
/// `Kind::Usage`, with line and key of every fault.
pub fn load(root: &Path) -> anyhow::Result<Config> {
    let path = root.join(FILE_NAME);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).map_err(|fault| failure::usage(format!("{}: {fault}", path.display())))
}

/// Checks the text of a configuration that is not in a site yet.
///
/// # Errors
/// `Kind::Usage`, with line and key of every fault.
pub fn check_text(text: &str) -> anyhow::Result<()> {
    parse(text).map(drop).map_err(|fault| failure::usage(format!("{FILE_NAME}: {fault}")))
}

/// Reads a configuration.
pub(super) fn parse(text: &str) -> Result<Config, String> {
    let document: toml::Table = text.parse().map_err(|fault: toml::de::Error| fault.to_string())?;
    let mut faults = faults_of_types(&document);
    // Settings that can be read are checked even when others cannot be read.
    match without(&document, &faults).try_into::<Config>() {
        Ok(config) => {
            faults.extend(check::check(&config, &document));
            if faults.is_empty() {
                return Ok(config);
            }
        }
        Err(fault) if faults.is_empty() => return Err(fault.to_string()),
        Err(_) => {}
    }
    let lines = text::lines(text);
    let mut told: Vec<(usize, String)> = faults
        .into_iter()
        .map(|(path, why)| {
            let line = line_of(&lines, &path);
            let place = line.map(|n| format!("line {n}: ")).unwrap_or_default();
            (line.unwrap_or(0), format!("{place}{}: {why}", path.join(".")))
        })
        .collect();
    told.sort();
    told.dedup();
    Err(told.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n"))
}

/// Returns the line of a key, or of the table that lacks the key.
fn line_of(lines: &text::Lines, path: &[String]) -> Option<usize> {
    (1..=path.len()).rev().find_map(|length| lines.get(&path[..length]).copied())
}

/// Returns all keys that are unknown or have a value of the wrong type: each key is read alone.
fn faults_of_types(document: &toml::Table) -> Vec<check::Fault> {
    let mut faults = Vec::new();
    for (section, content) in document {
        let alone = |path: &[&str], value: toml::Value| {
            let nested = path.iter().rev().fold(value, |inner, key| {
                toml::Table::from_iter([((*key).to_owned(), inner)]).into()
            });
            let one = toml::Table::from_iter([(section.clone(), nested)]);
            one.try_into::<Config>().err().map(|fault| fault.message().to_owned())
        };
        let mut note = |path: &[&str], why: String| {
            let path = [section.as_str()].iter().chain(path).map(|k| (*k).to_owned()).collect();
            faults.push((path, why));
        };
        let is_named = ["sources", "hosts"].contains(&section.as_str());
        let (toml::Value::Table(keys), None) = (content, alone(&[], toml::Table::new().into()))
        else {
            if let Some(why) = alone(&[], content.clone()) {
                note(&[], why);
            }
            continue;
        };
        for (key, value) in keys {
            match value {
                toml::Value::Table(inner) if is_named => {
                    // The name itself may be one that no setting below it can have.
                    if let Some(why) = alone(&[key], toml::Table::new().into()) {
                        note(&[key], why);
                        continue;
                    }
                    for (name, value) in inner {
                        if let Some(why) = alone(&[key, name], value.clone()) {
                            note(&[key, name], why);
                        }
                    }
                }
                value => {
                    let of_whole = alone(&[key], value.clone());
                    for why in of_whole.map_or_else(Vec::new, |why| {
                        of_elements(value, why, &|one| alone(&[key], one))
                    }) {
                        note(&[key], why);
                    }
                }
            }
        }
    }
    faults
}

/// Returns the fault of each element of a list of which some elements are faulty alone, else the fault of the whole value.
fn of_elements(
    value: &toml::Value,
    of_whole: String,
    alone: &dyn Fn(toml::Value) -> Option<String>,
) -> Vec<String> {
    let elements = value.as_array().into_iter().flatten();
    let faults: Vec<String> =
        elements.filter_map(|element| alone(vec![element.clone()].into())).collect();
    if faults.is_empty() { vec![of_whole] } else { faults }
}

/// Returns a document without the faulty keys.
fn without(document: &toml::Table, faults: &[check::Fault]) -> toml::Table {
    let mut sound = document.clone();
    for (path, _) in faults {
        let Some((last, parents)) = path.split_last() else { continue };
        let mut table = Some(&mut sound);
        for key in parents {
            table = table.and_then(|t| t.get_mut(key)).and_then(toml::Value::as_table_mut);
        }
        if let Some(table) = table {
            table.remove(last);
        }
    }
    sound
}
