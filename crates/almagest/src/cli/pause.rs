//! `almagest pause`.

use super::decision::cause;
use super::instruction::{StopArguments, instruct, resume};
use crate::exit::Exit;
use crate::report::say;
use archive::planning::Instruction;
use curate::site::Site;
use std::path::PathBuf;

/// Stops new starts.
pub fn run(site: Option<PathBuf>, arguments: &StopArguments) -> anyhow::Result<Exit> {
    let cause = cause(&arguments.why.reason)?;
    let subject = instruct(&Site::find(site)?, arguments, &Instruction::Pause, &cause)?;
    let act = ("pause", subject.to_string());
    arguments.form.report((act.0, &act.1), &cause, serde_json::Value::Null, || {
        say!("{subject}: nothing new starts until {}", resume(&subject));
    })
}
