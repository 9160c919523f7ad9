//! A decision of an operator: its options, its line in the log, and its report.

use super::dry_run::tell_dry_run;
use crate::exit::{self, Exit};
use crate::report::say;
use archive::history::Cause;
use archive::refusals::Decision;
use archive::{Archive, ArchiveError};
use curate::{log, site};
use model::{DeliveryName, RefusalId};
use serde_json::{Map, Value};

/// The reason of a decision.
#[derive(Clone, Debug, clap::Args)]
pub struct Reason {
    /// Reason, for the history.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// The reason of a decision by which work goes on, which needs none.
#[derive(Clone, Debug, clap::Args)]
pub struct OptionalReason {
    /// Reason, for the history.
    #[arg(long, value_name = "TEXT", default_value = "decided by the operator")]
    pub reason: String,
}

/// The form of a decision: made or rehearsed, reported in words or as JSON.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Form {
    /// Only print what would be done.
    #[arg(long)]
    pub dry_run: bool,
    /// As one JSON object.
    #[arg(long)]
    pub json: bool,
}

impl Form {
    /// Logs a decision, and reports it: `details` are further keys of the JSON object, `in_words` prints the lines.
    pub fn report(
        self,
        (act, subject): (&str, &str),
        cause: &Cause,
        details: Value,
        in_words: impl FnOnce(),
    ) -> anyhow::Result<Exit> {
        if !self.dry_run {
            log::decision(act, subject, cause);
        }
        if self.json {
            let mut object = Map::new();
            object.insert("dry_run".to_owned(), self.dry_run.into());
            object.insert("act".to_owned(), act.into());
            object.insert("subject".to_owned(), subject.into());
            object.insert("who".to_owned(), cause.who.clone().into());
            object.insert("reason".to_owned(), cause.why.clone().into());
            if let Value::Object(details) = details {
                object.extend(details);
            }
            say!("{}", crate::report::json(&Value::Object(object))?);
            return Ok(Exit::Done);
        }
        tell_dry_run(self.dry_run);
        in_words();
        Ok(Exit::Done)
    }
}

/// Returns the cause of a decision of this operator.
///
/// # Errors
/// `Kind::Usage` for a blank reason.
pub fn cause(reason: &str) -> anyhow::Result<Cause> {
    if reason.trim().is_empty() {
        return Err(exit::usage("--reason is empty"));
    }
    Ok(Cause::new(site::operator(), reason))
}

/// Makes a decision on refusals, one after the other, until one fails. Returns the number of refusals that were decided, with the
/// failure.
pub fn decide_each(
    archive: &mut Archive,
    refusals: &[RefusalId],
    decision: Decision,
    cause: &Cause,
) -> (usize, Result<(), ArchiveError>) {
    for (done, refusal) in refusals.iter().enumerate() {
        if let Err(error) = archive.decide(*refusal, decision, cause, site::now()) {
            return (done, Err(error));
        }
    }
    (refusals.len(), Ok(()))
}

/// Returns a unit as `DELIVERY/USE_CASE`.
pub fn unit_name((delivery, use_case): &(DeliveryName, model::UseCase)) -> String {
    format!("{delivery}/{use_case}")
}
