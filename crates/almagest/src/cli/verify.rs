//! `almagest verify`.

use crate::exit::Exit;
use crate::report::{Table, say, shown, tell};
use crate::site::{self, Site};
use archive::records::Cause;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    /// Read every library and lake file, and compare checksums.
    #[arg(long)]
    checksums: bool,
    /// With --checksums: read only so many percent of the files, another part of them every day.
    #[arg(long, value_name = "PERCENT", requires = "checksums", value_parser = clap::value_parser!(u8).range(1..=100))]
    sample: Option<u8>,
    /// With --checksums: read at most so many MB per second.
    #[arg(long, value_name = "MB", requires = "checksums")]
    bandwidth: Option<u64>,
    /// Repair what can lose nothing: remove files and tables that no event made, ask for lost previews again.
    #[arg(long)]
    repair: bool,
}

/// Looks for everything that is not as it must be. Exit code 3 when something is found.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let options = archive::verify::Options {
        checksums: arguments.checksums,
        sample_percent: arguments.sample,
        sample: site::now().timestamp().unsigned_abs() / 86_400,
        bytes_per_second: arguments.bandwidth.map(|mb| mb * 1_000_000),
    };
    let mut report = archive::verify::verify(&site.read()?, options)?;
    if arguments.repair && !report.findings.is_empty() {
        let mut archive = site.write()?;
        let cause = Cause::new(site::operator(), "verify --repair");
        for line in archive::verify::repair(&mut archive, &report, &cause, site::now())? {
            tell!("almagest: {}", shown(&line));
        }
        report = archive::verify::verify(&archive, options)?;
    }
    if arguments.json {
        say!("{}", crate::report::json(&report.to_json())?);
    } else {
        for line in report.checked() {
            say!("{line}");
        }
        if report.findings.is_empty() {
            say!("verified: nothing found");
        } else {
            let mut table = Table::new(["finding", "what", "repair"]);
            for finding in &report.findings {
                table.row([finding.code().to_owned(), finding.to_string(), finding.repair()]);
            }
            say!("\n{}", shown_lines(&table.text()));
        }
    }
    Ok(if report.findings.is_empty() { Exit::Done } else { Exit::Gate })
}

fn shown_lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}
