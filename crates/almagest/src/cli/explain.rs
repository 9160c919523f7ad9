//! `almagest explain DELIVERY|FILE`.

use crate::exit::{self, Exit};
use crate::report::shown;
use crate::site::Site;
use archive::Inquiry;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of a delivery, or of a file within one.
    #[arg(value_name = "DELIVERY|FILE")]
    name: String,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Says where a delivery or file stands and what helps.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let archive = Site::find(site)?.read()?;
    let Some(facts) = archive.facts(&arguments.name)? else {
        return Err(exit::gate(format!(
            "nothing goes by the name {:?}: no delivery, and no file of one (almagest status lists deliveries)",
            arguments.name
        )));
    };
    let explanation = archive::report::explain(&facts);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&explanation)?);
        return Ok(Exit::Done);
    }
    for line in &explanation.lines {
        println!("{}", shown(line));
    }
    if !explanation.suggestions.is_empty() {
        println!("\nwhat helps:");
        for suggestion in &explanation.suggestions {
            println!("  {}", shown(suggestion));
        }
    }
    Ok(Exit::Done)
}
