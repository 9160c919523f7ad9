//! Every command that a message recommends is run here, in the situation in which it is recommended, as it was printed, and
//! must do what was promised. A kind of advice without a situation fails the test, and so does a recommendation in the source
//! that is not a [`model::Advice`].

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod damage;
mod decisions;
mod deliveries;
#[path = "../operator/mod.rs"]
mod operator;
mod refusals;
mod setup;
mod tried;

use operator::Said;
use std::path::{Path, PathBuf};
use tried::Advice;

/// A situation is a function; this table names the kinds of advice that each covers.
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
    a_unit_is_bound_to_an_unknown_host: [EditUnbind];
    nothing_works_on_what_is_approved: [DaemonData];
    daemons_have_stopped: [DaemonData, DaemonIngest, DaemonTransfer];
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
    a_delivery_is_seen_at_another_path: [RunJoin, RunNew];
    a_delivery_has_moved: [RunJoin];
    instructions_are_many: [PlanHistory];
    the_demo_parks_frames: [Refusals];
    a_database_holds_no_archive: [InitDatabase];
    queries_have_no_login: [InitRoles];
    a_migration_was_interrupted: [Migrate];
    a_reopening_was_interrupted: [MigrateReopen];
    a_restore_was_interrupted: [Restore];
    a_profile_is_misspelt: [ProfileList];
    a_profile_is_added: [Reprofile, ReprofileAgain, Run];
    stale_checksums_are_accepted: [RefusalsShow, RefusalsTake, Run];
    frames_name_no_project: [ProgrammeAdd, ProfileSet, RefusalsRetry, Run];
    catalogues_have_no_zero_point: [ProfileSet, RefusalsRetry, Run];
    catalogues_wait_for_their_images: [Explain];
    older_products_are_kept: [Supersede, SupersedeUndo];
    a_newer_catalogue_is_refused_in_part: [SupersedeFile, SupersedeFileUndo, Supersede, SupersedeUndo];
    a_site_has_no_previews: [StepAll, IngestAll, Step, Ingest, Run];
    products_do_not_show: [VerifyRepair];
    previews_of_a_newer_version_show: [ContactSheet];
    a_copy_is_not_confirmed: [MigrateReopen];
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
    let commands = help.lines().skip_while(|line| *line != "Set up:");
    let verbs =
        commands.take_while(|line| *line != "Options:").filter(|line| line.starts_with("  "));
    verbs.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Places of the source that name commands and are no messages: help, the guide that `demo` prints,
/// and a list in a test.
const TEXTS: [&str; 3] = ["cli/mod.rs", "cli/demo.rs", "tests/plans.rs"];

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
        let is_left_out =
            TEXTS.iter().any(|text| name.ends_with(text)) || name.contains("model/src/advice.rs");
        if is_left_out || !name.contains("/src/") || name.contains("testkit") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        let text = without_help(text.split("#[cfg(test)]").next().unwrap_or_default());
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let words: Vec<&str> = code.split("almagest ").skip(1).collect();
            // With arguments, a verb in backticks is a command too.
            let quoted = code.split('`').skip(1).step_by(2).filter(|text| text.contains(' '));
            let is_command = words.iter().copied().chain(quoted).any(|rest| {
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

/// Returns a source without the help texts of its verbs; their lines stay, empty.
fn without_help(text: &str) -> String {
    const BEGIN: &str = "#[command(";
    let mut parts = text.split(BEGIN);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (help, code) = part.split_once(")]").unwrap_or((part, ""));
        kept.extend(help.matches('\n'));
        kept += code;
    }
    kept
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
    pub(crate) use crate::setup::*;
}
