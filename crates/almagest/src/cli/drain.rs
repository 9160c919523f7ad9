//! `almagest drain`.

use super::decision::cause;
use super::instruction::{StopArguments, resume};
use crate::exit::{self, Exit};
use crate::report::{counted, say};
use archive::attempts::{AttemptKey, Place};
use archive::planning::Instruction;
use curate::scheduler::Curator;
use curate::site::{self, Site};
use std::path::PathBuf;

/// Empties a host.
pub fn run(site: Option<PathBuf>, arguments: &StopArguments) -> anyhow::Result<Exit> {
    if arguments.about.host.is_none() {
        return Err(exit::usage("only a host can be drained: --host HOST"));
    }
    let host = arguments.about.host.clone().unwrap_or_default();
    let site = Site::find(site)?;
    let (cause, is_dry_run) = (cause(&arguments.why.reason)?, arguments.form.dry_run);
    let mut curator = Curator::open_or_rehearse(site, &cause.who, "drain", is_dry_run)?;
    let site = curator.site().clone();
    let subject = arguments.about.known(&site, curator.archive())?;
    curator.archive().instruct(&subject, &Instruction::Drain, &cause, site::now())?;
    let is_there = |_: &AttemptKey, place: &Place| place.host == host;
    let cancelled = match (curator.reaches(), is_dry_run) {
        (false, _) => None,
        (true, true) => Some(curator.cancellable(&is_there, true)?),
        (true, false) => {
            Some(curator.cancel(&is_there, true, "the host of the task is drained")?)
        }
    };
    let details = serde_json::json!({"tasks_cancelled": cancelled.unwrap_or(0)});
    arguments.form.report(("drain", &subject.to_string()), &cause, details, || {
        let resume = resume(&subject);
        say!("{subject}: running tasks finish, no new ones start until {resume}");
        if let Some(cancelled) = cancelled {
            say!("{} that had not started on the host cancelled", counted(cancelled, "task"));
        }
    })
}
