//! Every command that a message recommends is run here, in the situation in which it is recommended, as it was printed, and
//! must do what was promised. A kind of advice without a situation fails the test, and so does a recommendation in the source
//! that is no [`model::Advice`].

mod damage;
mod decisions;
mod deliveries;
#[path = "../operator/mod.rs"]
mod operator;
mod refusals;
mod tried;

use operator::Said;
use std::path::{Path, PathBuf};
use tried::Advice;

/// A situation is a function; here stands which kinds of advice each covers.
macro_rules! situations {
    ($($name:ident: [$($kind:ident),* $(,)?];)*) => {
        $(#[test]
        fn $name() {
            let mut tried = situation::$name();
            let mut declared = vec![$(stringify!($kind)),*];
            tried.sort_unstable();
            tried.dedup();
            declared.sort_unstable();
            assert_eq!(tried, declared, "what this situation covers");
        })*

        const COVERED: &[&[&str]] = &[$(&[$(stringify!($kind)),*]),*];
    };
}

situations! {
    a_new_site: [Run];
    no_site: [Init];
    a_plan_is_decided_on: [Plan, ApproveAll, ApproveUnit, ApproveHost, EditMove, EditPriority, EditHold, Reject, Resume];
    a_unit_is_bound_to_a_host_that_is_gone: [EditUnbind];
    nothing_works_on_what_is_approved: [DaemonData];
    daemons_are_gone: [DaemonData, DaemonIngest, DaemonTransfer];
    the_scheduler_owns_the_work: [TransferFrom, Plan];
    steps_are_explained: [Step, Ingest];
    a_delivery_is_retracted: [RetractUndo, StepAgain, Ingest];
    a_delivery_is_arriving: [Transfer, TransferComplete];
    frames_wait_for_a_programme: [Refusals, ProgrammeAdd, Run];
    files_are_damaged: [RefusalsRetry, RefusalsAccept, RefusalsDismiss, Run];
    refusals_are_many: [RefusalsOf];
    a_task_failed: [Retry];
    there_are_findings: [Findings, FindingsOf];
    numbers_and_nights_lead_to_names: [Explain, Status];
    deliveries_are_many: [StatusAll];
    previews_are_lost: [PreviewLost, Ingest];
    library_files_are_damaged: [ReconcileFile, ReconcileDelivery, ReconcileSource, Reconcile];
    much_is_lost: [PreviewLostAll, IngestAll, ReconcileSource];
    strays_lie_about: [ReconcileStrays, VerifyRepair];
    strays_lie_in_many_deliveries: [ReconcileStraysAll];
    an_archive_was_restored: [Verify];
    an_archive_moved: [VerifyChecksums];
    a_delivery_has_not_arrived: [Sources, Transfer];
    attempts_were_left: [Step];
    older_products_of_a_frame_are_kept: [SupersedeFile, SupersedeFileUndo];
}

#[test]
fn every_kind_of_advice_has_a_situation() {
    let covered: Vec<&str> = COVERED.iter().flat_map(|kinds| kinds.iter().copied()).collect();
    let without: Vec<&&str> = Advice::KINDS.iter().filter(|kind| !covered.contains(kind)).collect();
    assert!(without.is_empty(), "no situation for {without:?}");
}

/// The verbs of the command line.
fn verbs() -> Vec<String> {
    let help = Said::from(operator::almagest().arg("help").output().expect("it starts")).ended(0);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs = commands.take_while(|line| !line.is_empty());
    verbs.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Places of the source that name commands and are no messages: help texts, which are checked by reading.
const HELP: [&str; 6] =
    ["cli/mod.rs", "cli/daemon.rs", "cli/sql.rs", "cli/retract.rs", "src/config.rs", "cli/demo.rs"];

/// Messages that are not [`Advice`] yet: their commands are run by the tests of their own area, or by none.
const TO_BE_CONVERTED: [&str; 12] = [
    "cli/contact_sheet.rs",
    "cli/profile.rs",
    "cli/refusals.rs",
    "cli/supersede.rs",
    "control/records.rs",
    "control/store/mod.rs",
    "control/store/waiting.rs",
    "engine/error.rs",
    "sql/error.rs",
    "verify/finding.rs",
    "catalogue/extract.rs",
    "metadata/programme.rs",
];

#[test]
fn no_message_names_a_command_that_is_no_advice() {
    let verbs = verbs();
    assert!(verbs.len() > 30 && verbs.contains(&"resume".to_owned()), "{verbs:?}");
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates");
    let mut sources = Vec::new();
    rust_files(crates, &mut sources);
    assert!(sources.len() > 100);
    let mut found = Vec::new();
    for path in sources {
        let name = path.display().to_string();
        let is_left_out = HELP.iter().chain(&TO_BE_CONVERTED).any(|help| name.ends_with(help))
            || name.contains("model/src/advice.rs");
        if is_left_out || !name.contains("/src/") || name.contains("testkit") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let words: Vec<&str> = code.split("almagest ").skip(1).collect();
            let is_command = words.iter().any(|rest| {
                let verb: String =
                    rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
                verbs.contains(&verb) || rest.starts_with("--site")
            });
            if is_command && code.contains('"') {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "make these model::Advice:\n{}", found.join("\n"));
}

fn rust_files(directory: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
}

mod situation {
    pub(crate) use crate::damage::*;
    pub(crate) use crate::decisions::*;
    pub(crate) use crate::deliveries::*;
    pub(crate) use crate::refusals::*;
}
