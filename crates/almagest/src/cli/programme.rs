//! `almagest programme`.

use super::decision::{Form, cause};
use crate::exit::{self, Exit};
use crate::report::{Table, counted, say, say_part, shown};
use archive::refusals::{RefusalFilter, RefusalRecord, RefusalState, Stage};
use clap::Subcommand;
use curate::advice;
use curate::site::{self, Site};
use curate::steps::gate;
use model::profile::Assignment;
use model::{Advice, DeliveryName, ProgrammeName, RefusalCode};
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
    /// Add a programme; frames parked for it are processed in the next round
    #[command(after_help = "\
With --json: one object {dry_run, act, subject, who, reason, programme_id, name, project, frames},
where frames counts the parked frames that are taken up.")]
    Add {
        /// Short name, e.g. U09B8.
        name: String,
        /// The PROJECT text of its frames, e.g. u/09b/8.
        project: String,
        #[command(flatten)]
        form: Form,
    },
}

/// Lists programmes or adds one.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    match &arguments.act {
        Act::List { json } => list(&site, *json),
        Act::Add { name, project, .. } if !(is_word(name) && is_word(project)) => Err(exit::usage(
            "name and PROJECT of a programme must not have blanks at the ends, control characters or line breaks",
        )),
        Act::Add { name, project, form } => {
            let name = ProgrammeName::new(name).map_err(|fault| exit::usage(fault.to_string()))?;
            add(&site, (&name, project), *form)
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control)
}

fn list(site: &Site, json: bool) -> anyhow::Result<Exit> {
    let programmes = site.read()?.programmes()?;
    if json {
        let all: Vec<_> = programmes
            .iter()
            .map(|p| serde_json::json!({"programme_id": p.programme_id.get(), "name": p.name, "project": p.project}))
            .collect();
        say!("{}", crate::report::json(&all)?);
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["programme", "name", "project"]);
    for p in &programmes {
        table.row([p.programme_id.to_string(), p.name.to_string(), p.project.clone()]);
    }
    say_part!("{}", table.text());
    Ok(Exit::Done)
}

/// Returns a predicate for the frames that a new programme explains: those parked with a PROJECT that some survey's rules read as
/// its own. A frame whose refusal does not contain the PROJECT is included.
fn explained_by(
    site: &Site,
    project: &str,
) -> anyhow::Result<impl Fn(&RefusalRecord) -> bool + use<>> {
    let profiles = site.profiles()?;
    let programme = [project.to_owned()];
    Ok(move |record: &RefusalRecord| {
        let means = |project: &str| {
            profiles.iter().any(|loaded| {
                let assigned = loaded.profile.project.assign(project, &programme);
                matches!(assigned, Assignment::Programme(_))
            })
        };
        record.refusal.code == RefusalCode::UNKNOWN_PROJECT
            && record.refusal.subject.as_deref().is_none_or(means)
    })
}

fn add(site: &Site, (name, project): (&ProgrammeName, &str), form: Form) -> anyhow::Result<Exit> {
    let is_explained = explained_by(site, project)?;
    let cause = cause(&format!("programme {name} added"))?;
    let mut archive = site.write_or_rehearse(form.dry_run)?;
    let filter = RefusalFilter { state: Some(RefusalState::Open), ..RefusalFilter::default() };
    let parked = archive.refusals(&filter)?.into_iter().filter(|r| is_explained(r));
    let mut parked: Vec<(DeliveryName, Stage)> = parked.map(|r| (r.delivery, r.stage)).collect();
    parked.sort();
    parked.dedup();
    let (id, released) =
        archive.add_programme(name, project, &is_explained, &cause, site::now())?;
    let details = serde_json::json!({
        "programme_id": id.get(), "name": name, "project": project, "frames": released
    });
    form.report(("add", &format!("programme {}", shown(name))), &cause, details, || {
        say!("programme {id}: {} for PROJECT {}", shown(name), shown(project));
        if released > 0 {
            say!("{} to be processed in the next round", counted(released, "parked frame"));
            let next = |(delivery, stage): &(DeliveryName, Stage)| {
                gate::redo(site, &archive, delivery, *stage)
            };
            let mut next: Vec<Vec<Advice>> = parked.iter().map(next).collect();
            next.dedup();
            for commands in next.iter().take(10) {
                say!("next: {}", advice::commands(commands));
            }
        }
    })
}
