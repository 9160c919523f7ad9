//! `almagest findings`: unexpected properties of accepted files, counted over files: the drift of headers and columns.

use crate::exit::{self, Exit};
use crate::report::{Table, counted, grouped, say, say_part};
use archive::findings::Drift;
use curate::advice;
use curate::site::Site;
use model::{Advice, DeliveryName, ReportCode};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one array [{delivery, stage, code, subject, files, occurrences, example_file,
example_ext_num, profile, message}]; profile is the survey profile of the example.")]
pub struct Arguments {
    /// Only of this delivery.
    #[arg(long, value_name = "NAME")]
    delivery: Option<DeliveryName>,
    /// Only with this code.
    #[arg(long)]
    code: Option<ReportCode>,
    /// As one JSON array.
    #[arg(long)]
    json: bool,
}

/// Prints the drift report.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let archive = Site::find(site)?.read()?;
    if let Some(name) = &arguments.delivery
        && !archive.deliveries(None)?.contains(name)
    {
        return Err(exit::gate(format!("the archive knows no delivery {name:?}")));
    }
    let mut findings = archive.findings(arguments.delivery.as_ref())?;
    findings.retain(|f| arguments.code.as_ref().is_none_or(|code| f.code == *code));
    if arguments.json {
        say!("{}", crate::report::json(&findings)?);
    } else if findings.is_empty() {
        say!("no findings");
    } else {
        say_part!("{}{}", table(&findings, Deliveries::Many), endings(&findings));
    }
    Ok(Exit::Done)
}

/// The deliveries whose findings a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deliveries {
    /// One delivery, which needs no column.
    One,
    /// Any number of deliveries, named in the first column.
    Many,
}

/// Returns a table with a line per finding.
pub fn table(findings: &[Drift], of: Deliveries) -> String {
    let skipped = usize::from(of == Deliveries::One);
    let head = [
        "delivery",
        "stage",
        "code",
        "subject",
        "files",
        "occurrences",
        "example",
        "profile",
        "message",
    ];
    let mut table = Table::new(head.into_iter().skip(skipped));
    for finding in findings {
        let file = &finding.example_file;
        let cells = [
            finding.delivery.to_string(),
            finding.stage.clone(),
            finding.code.to_string(),
            finding.subject.clone(),
            grouped(finding.files),
            grouped(finding.occurrences),
            finding.example_ext_num.map_or(file.clone(), |n| format!("{file} ext_num {n}")),
            finding.profile.as_ref().map(ToString::to_string).unwrap_or_default(),
            finding.message.clone(),
        ];
        table.row(cells.into_iter().skip(skipped));
    }
    table.text()
}

/// Returns the commands that end the causes of findings, each with its effect.
pub fn endings(findings: &[Drift]) -> String {
    const MAX_SHOWN: usize = 10;
    let mut commands: Vec<Advice> = findings.iter().filter_map(Drift::advice).collect();
    commands.sort();
    commands.dedup();
    let more = commands.len().saturating_sub(MAX_SHOWN);
    let line =
        |c: &Advice| format!("\nto end the older products nevertheless: {}", advice::command(c));
    let mut text: String = commands.iter().take(MAX_SHOWN).map(line).collect();
    if more > 0 {
        text += &format!("\n… and for {} more", counted(more as u64, "delivery"));
    }
    if text.is_empty() { text } else { text + "\n" }
}

/// Returns the line that ends the summary of a step; empty when its deliveries have no findings.
pub fn pointer(site: &Site, deliveries: &BTreeSet<DeliveryName>) -> String {
    let found = || -> anyhow::Result<u64> {
        let archive = site.read()?;
        let mut found = 0;
        for delivery in deliveries {
            found += archive.findings(Some(delivery))?.len() as u64;
        }
        Ok(found)
    };
    let mut named = deliveries.iter();
    let list = match (named.next(), named.next()) {
        (Some(only), None) => Advice::FindingsOf { delivery: only.clone() },
        _ => Advice::Findings,
    };
    match found() {
        Ok(0) => String::new(),
        Ok(found) => {
            format!("\n{}: {}\n", counted(found, "finding"), advice::command(&list))
        }
        // The step is done; a failed count does not undo it.
        Err(error) => format!("\nfindings cannot be counted: {error:#}\n"),
    }
}
