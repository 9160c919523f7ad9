//! `almagest programme`.

use crate::exit::Exit;
use crate::report::{Table, grouped, say, say_part, shown};
use crate::site::{self, Site};
use archive::records::{Cause, RefusalRecord};
use archive::{Inquiry, Registry};
use clap::Subcommand;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List the programmes of the archive
    List {
        /// As one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Add a programme; frames that were parked for it are taken up in the next round
    Add {
        /// Short name, e.g. U09B8.
        name: String,
        /// The PROJECT text of its frames, e.g. u/09b/8.
        project: String,
    },
}

/// Lists programmes or adds one.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    match &arguments.act {
        Act::List { json } => list(&site, *json),
        Act::Add { name, project } => add(&site, name, project),
    }
}

fn list(site: &Site, json: bool) -> anyhow::Result<Exit> {
    let programmes = site.read()?.programmes()?;
    if json {
        let all: Vec<_> = programmes
            .iter()
            .map(|p| serde_json::json!({"programme_id": p.programme_id.get(), "name": p.name, "project": p.project}))
            .collect();
        say!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["programme", "name", "project"]);
    for p in &programmes {
        table.row([p.programme_id.to_string(), p.name.clone(), p.project.clone()]);
    }
    say_part!("{}", table.text());
    Ok(Exit::Done)
}

fn add(site: &Site, name: &str, project: &str) -> anyhow::Result<Exit> {
    // Which frames it explains is decided when they are extracted again: a PROJECT is read by its survey's rules.
    let explains = |record: &RefusalRecord| record.refusal.code == "unknown_project";
    let cause = Cause::new(site::operator(), format!("programme {name} added"));
    let (id, released) =
        site.write()?.add_programme(name, project, &explains, &cause, site::now())?;
    say!("programme {id}: {} for PROJECT {}", shown(name), shown(project));
    if released > 0 {
        say!(
            "{} parked frames are taken up in the next round: almagest run, or metadata",
            grouped(released)
        );
    }
    Ok(Exit::Done)
}
