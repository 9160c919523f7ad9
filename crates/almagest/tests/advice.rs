//! Every command that a message recommends is run here, in the situation in which it is recommended, as it was printed, and
//! must do what was promised. A kind of advice without a situation fails the test, and so does a recommendation in the source
//! that is no [`model::Advice`].

mod operator;

use model::advice::{RefusalChoice, Target};
use model::{Advice, UseCase};
use operator::{Daemon, Desk, Said, Small, signal, until};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const NIGHT: &str = "20071011_v1";

fn night(night: &str) -> Small<'_> {
    Small { night, frames: 6, detections: 10, seed: night.parse().unwrap_or(1), ..Small::default() }
}

/// Commands that were recommended and run.
struct Tried<'d> {
    desk: &'d Desk,
    kinds: Vec<&'static str>,
}

impl<'d> Tried<'d> {
    fn at(desk: &'d Desk) -> Self {
        Self { desk, kinds: Vec::new() }
    }

    /// The command as it must be printed for the desk's site.
    fn printed(&self, advice: &Advice) -> String {
        advice.command(&["--site".to_owned(), self.desk.site.display().to_string()])
    }

    /// Runs a command as it was printed: by a shell.
    #[track_caller]
    fn run(&mut self, said: &Said, advice: &Advice) -> Said {
        self.recommended(said, advice);
        self.pasted(&self.printed(advice))
    }

    /// A message recommends a command.
    #[track_caller]
    fn recommended(&mut self, said: &Said, advice: &Advice) {
        let command = self.printed(advice);
        let lines = said.out.lines().chain(said.err.lines());
        let is_whole = |line: &str| {
            line.match_indices(&command).any(|(at, _)| {
                let after = &line[at + command.len()..];
                after.is_empty() || after.starts_with(['`', ',', ';', ' ', ')'])
            })
        };
        assert!(
            lines.clone().any(is_whole),
            "{command} is not recommended:\nout:\n{}\nerr:\n{}",
            said.out,
            said.err
        );
        self.kinds.push(advice.kind());
    }

    fn pasted(&self, command: &str) -> Said {
        self.shell(command).output().expect("a shell").into()
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        let program = Path::new(env!("CARGO_BIN_EXE_almagest"));
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", program.parent().expect("a directory").display());
        shell.args(["-c", command]).env("PATH", path).current_dir(self.desk.dir.path());
        shell.env_remove("ALMAGEST_SITE").stdin(Stdio::null());
        shell
    }

    /// Starts a daemon as it was printed.
    #[track_caller]
    fn daemon(&mut self, said: &Said, advice: &Advice) -> Daemon {
        self.recommended(said, advice);
        let command = format!("exec {}", self.printed(advice));
        Daemon::start_unheard(self.shell(&command))
    }
}

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
    older_products_are_kept: [SupersedeFile, SupersedeFileUndo];
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
    use super::*;

    /// The command works, with one of the exit codes that mean that work was done.
    #[track_caller]
    fn worked(said: Said) -> String {
        assert!(matches!(said.code, Some(0 | 1)), "{said:?}");
        said.out
    }

    fn archived() -> Desk {
        let desk = Desk::new();
        let delivery = desk.simulate(&night("20071011"));
        desk.run(&delivery).ended(0);
        desk
    }

    fn detections(desk: &Desk) -> u64 {
        desk.count("SELECT count(*) FROM detection")
    }

    pub fn a_new_site() -> Vec<&'static str> {
        let desk = Desk::bare();
        let mut tried = Tried::at(&desk);
        let status = desk.at_site(&["status"]);
        let run = Advice::Run { place: "DELIVERY_DIR".to_owned() };
        tried.recommended(&status, &run);
        let delivery = desk.simulate(&night("20071011"));
        let command = tried.printed(&run).replace("DELIVERY_DIR", &delivery.display().to_string());
        worked(tried.pasted(&command));
        assert_eq!(desk.count("SELECT count(*) FROM delivery"), 1);
        tried.kinds
    }

    pub fn no_site() -> Vec<&'static str> {
        let desk = Desk::bare();
        let tried = Tried::at(&desk);
        // A name that a shell would take apart.
        let said = desk.plain(&["--site", "my site", "status"]);
        assert_eq!(said.code, Some(2));
        let init = Advice::Init { site: "my site".to_owned() };
        assert!(said.err.contains(&format!("`{init}`")), "{said:?}");
        tried.pasted(&init.to_string()).ended(0);
        desk.plain(&["--site", "my site", "status"]).ended(0);
        vec![init.kind()]
    }

    pub fn a_plan_is_decided_on() -> Vec<&'static str> {
        let desk = Desk::new();
        desk.in_a_hurry();
        desk.transfer(&[night("20071011"), night("20071012")]);
        let mut tried = Tried::at(&desk);
        let none = desk.at_site(&["approve", "--all"]);
        tried.run(&none, &Advice::Plan).ended(0);
        let plan = || desk.at_site(&["plan"]);
        let json = desk.at_site(&["plan", "--json"]).json(0);
        let host = json["hosts"][0]["host"].as_str().expect("a host").to_owned();
        let first = &json["units"][0];
        let delivery = first["delivery"].as_str().expect("a name").to_owned();
        let use_case: UseCase =
            first["use_case"].as_str().expect("a use case").parse().expect("one");
        let unit = |delivery: &str| (delivery.to_owned(), use_case);
        let state = |wanted: &str| {
            desk.count(&format!("SELECT count(*) FROM unit WHERE state = '{wanted}'"))
        };
        let (d, u) = unit(&delivery);
        tried.run(&plan(), &Advice::EditPriority { delivery: d, use_case: u }).ended(0);
        assert_eq!(desk.count("SELECT count(*) FROM instruction WHERE act = 'priority'"), 1);
        let (d, u) = unit(&delivery);
        let moved = Advice::EditMove { delivery: d, use_case: u, host: host.clone() };
        tried.run(&plan(), &moved).ended(0);
        assert_eq!(desk.count("SELECT count(*) FROM instruction WHERE act = 'move'"), 1);
        let (d, u) = unit(&delivery);
        let held = tried.run(&plan(), &Advice::EditHold { delivery: d, use_case: u });
        let target = Target::Unit(delivery.clone(), use_case);
        assert!(!plan().out.contains(&format!("approve --unit {delivery}/{use_case}")));
        tried.run(&held, &Advice::Resume { target: target.clone() }).ended(0);
        assert_eq!(desk.count("SELECT count(*) FROM instruction WHERE act = 'pause'"), 0);
        let again = plan();
        let (d, u) = unit(&delivery);
        tried.run(&again, &Advice::ApproveUnit { delivery: d, use_case: u }).ended(0);
        assert_eq!(state("approved"), 1);
        let rejected = tried.run(&plan(), &Advice::Reject);
        let number = desk.count("SELECT max(plan_id) FROM plan") as i64;
        let resume = Advice::Resume { target: Target::Plan(number) };
        let explained = desk.at_site(&["explain", "20071012_v1"]);
        tried.recommended(&explained, &resume);
        tried.recommended(&desk.at_site(&["status"]), &resume);
        tried.recommended(&desk.at_site(&["plan"]), &resume);
        tried.run(&rejected, &resume).ended(0);
        assert_eq!(desk.count("SELECT count(*) FROM instruction WHERE act = 'pause'"), 0);
        tried.run(&plan(), &Advice::ApproveHost { host }).ended(0);
        assert!(state("approved") > 1);
        // What comes later has no host yet, and is approved with the rest.
        let rest = plan();
        tried.run(&rest, &Advice::ApproveAll).ended(0);
        assert_eq!(state("proposed"), 0);
        assert!(desk.count("SELECT count(*) FROM coming_round WHERE approved = 1") > 0);
        tried.kinds
    }

    pub fn a_unit_is_bound_to_a_host_that_is_gone() -> Vec<&'static str> {
        let desk = Desk::new();
        desk.in_a_hurry();
        desk.transfer(&[night("20071011")]);
        desk.configure(&[
            ("executor = \"local\"", "executor = \"ssh\""),
            ("hosts = []", "hosts = [\"n7\"]"),
        ]);
        desk.configure(&[("node_program = \"\"", "node_program = \"/bin/true\"")]);
        desk.at_site(&["edit", "--delivery", NIGHT, "--move", "n7", "--reason", "fast"]).ended(0);
        desk.configure(&[("executor = \"ssh\"", "executor = \"local\"")]);
        let mut tried = Tried::at(&desk);
        let plan = desk.at_site(&["plan"]);
        assert!(plan.out.contains("n7, which does not exist"), "{plan:?}");
        let target = Target::Delivery(NIGHT.to_owned());
        tried.run(&plan, &Advice::EditUnbind { target }).ended(0);
        assert!(desk.at_site(&["plan"]).ended(0).contains("approve --all"));
        tried.kinds
    }

    pub fn nothing_works_on_what_is_approved() -> Vec<&'static str> {
        let desk = Desk::new();
        desk.in_a_hurry();
        desk.transfer(&[night("20071011")]);
        desk.at_site(&["plan"]).ended(0);
        let mut tried = Tried::at(&desk);
        let said = desk.at_site(&["approve", "--all"]);
        let daemon = tried.daemon(&said, &Advice::DaemonData);
        let staged = "SELECT count(*) FROM unit WHERE state = 'staged'";
        until("something is done", || desk.count(staged) > 0);
        daemon.end();
        tried.kinds
    }

    pub fn daemons_are_gone() -> Vec<&'static str> {
        let desk = Desk::new();
        desk.in_a_hurry();
        desk.configure(&[("directories = []", "directories = [\"../inbox\"]")]);
        let daemon = Daemon::start(&desk, &[], &[]);
        let is_alive = |what: &str| desk.status()[what]["alive"] == true;
        let all = ["data_daemon", "ingester", "sources"];
        until("the daemons", || all.iter().all(|what| is_alive(what)));
        daemon.kill();
        desk.transfer(&[night("20071011")]);
        let status = desk.at_site(&["status"]);
        let mut tried = Tried::at(&desk);
        let daemons = [Advice::DaemonData, Advice::DaemonIngest, Advice::DaemonTransfer]
            .map(|advice| tried.daemon(&status, &advice));
        until("the daemons again", || all.iter().all(|what| is_alive(what)));
        daemons.into_iter().for_each(|daemon| drop(daemon.end()));
        tried.kinds
    }

    pub fn the_scheduler_owns_the_work() -> Vec<&'static str> {
        let desk = Desk::new();
        desk.in_a_hurry();
        let daemon = Daemon::start(&desk, &["data"], &[]);
        until("the daemon", || desk.status()["data_daemon"]["alive"] == true);
        let delivery = desk.simulate(&night("20071011"));
        let said = desk.run(&delivery);
        let mut tried = Tried::at(&desk);
        let fetch = Advice::TransferFrom { place: delivery.display().to_string() };
        worked(tried.run(&said, &fetch));
        until("a proposal", || {
            let plan = tried.pasted(&tried.printed(&Advice::Plan));
            plan.ended(0).contains("approve --all")
        });
        tried.recommended(&said, &Advice::Plan);
        daemon.end();
        tried.kinds
    }

    pub fn steps_are_explained() -> Vec<&'static str> {
        let desk = Desk::new();
        desk.transfer(&[night("20071011")]);
        let delivery = NIGHT.to_owned();
        let mut tried = Tried::at(&desk);
        let frame = desk.value("SELECT min(file.name) FROM file JOIN image USING (file_id)");
        let explained = desk.at_site(&["explain", frame.as_str().expect("a name")]);
        let step = Advice::Step { use_case: UseCase::Metadata, delivery: delivery.clone() };
        tried.run(&explained, &step).ended(0);
        let explained = desk.at_site(&["explain", NIGHT]);
        tried.run(&explained, &Advice::Ingest { delivery }).ended(0);
        assert!(desk.count("SELECT count(*) FROM multiframe") > 0);
        tried.kinds
    }

    pub fn a_delivery_is_retracted() -> Vec<&'static str> {
        let desk = archived();
        let before = detections(&desk);
        let delivery = NIGHT.to_owned();
        let undo = Advice::RetractUndo { delivery: delivery.clone() };
        let mut tried = Tried::at(&desk);
        let retracted = desk.at_site(&["retract", NIGHT, "--reason", "bad flat"]);
        tried.run(&retracted, &undo).ended(0);
        assert_eq!(detections(&desk), before);
        desk.at_site(&["retract", NIGHT, "--reason", "bad flat"]).ended(0);
        let frame = desk.value("SELECT min(file.name) FROM file JOIN image USING (file_id)");
        let of_frame = desk.at_site(&["explain", frame.as_str().expect("a name")]);
        assert!(of_frame.out.contains("were retracted in event"), "{of_frame:?}");
        tried.recommended(&of_frame, &undo);
        tried.run(&desk.at_site(&["explain", NIGHT]), &undo).ended(0);
        assert_eq!(detections(&desk), before);
        // Purged, it can only be made again.
        desk.at_site(&["retract", NIGHT, "--reason", "bad flat"]).ended(0);
        desk.at_site(&["purge"]).ended(0);
        let explained = desk.at_site(&["explain", NIGHT]);
        assert!(!explained.out.contains("--undo"), "{explained:?}");
        let again = Advice::StepAgain { use_case: UseCase::Metadata, delivery: delivery.clone() };
        tried.run(&explained, &again).ended(0);
        tried.run(&explained, &Advice::Ingest { delivery }).ended(0);
        assert!(desk.count("SELECT count(*) FROM multiframe") > 0);
        tried.kinds
    }

    pub fn a_delivery_is_arriving() -> Vec<&'static str> {
        let desk = Desk::new();
        let delivery = desk.simulate(&night("20071011"));
        let marker = delivery.join("OK_TO_COPY");
        let text = std::fs::read(&marker).expect("a marker");
        std::fs::remove_file(&marker).expect("removed");
        desk.at_site(&["transfer", delivery.to_str().expect("UTF-8")]).ended(0);
        assert_eq!(desk.status()["deliveries"][0]["state"], "arriving");
        let explained = desk.at_site(&["explain", NIGHT]);
        std::fs::write(&marker, text).expect("the marker comes");
        let mut tried = Tried::at(&desk);
        worked(tried.run(&explained, &Advice::Transfer { delivery: NIGHT.to_owned() }));
        assert_eq!(desk.status()["deliveries"][0]["state"], "registered");
        // Of another delivery nothing more comes.
        let other = desk.simulate(&night("20071012"));
        std::fs::remove_file(other.join("OK_TO_COPY")).expect("removed");
        desk.at_site(&["transfer", other.to_str().expect("UTF-8")]).ended(0);
        let explained = desk.at_site(&["explain", "20071012_v1"]);
        worked(
            tried.run(&explained, &Advice::TransferComplete { delivery: "20071012_v1".to_owned() }),
        );
        assert_ne!(desk.status()["deliveries"][1]["state"], "arriving");
        tried.kinds
    }

    pub fn frames_wait_for_a_programme() -> Vec<&'static str> {
        let desk = Desk::bare();
        let delivery = desk.simulate(&Small { frames: 40, detections: 4, ..night("20071011") });
        let said = desk.run(&delivery);
        let mut tried = Tried::at(&desk);
        let list = tried.run(&said, &Advice::Refusals).ended(0);
        assert!(list.contains("unknown_project"), "{list}");
        tried.recommended(&desk.at_site(&["status"]), &Advice::Refusals);
        let parked = desk.refusals();
        let parked: Vec<_> = parked.iter().filter(|r| r["code"] == "unknown_project").collect();
        let project =
            parked[0]["message"].as_str().expect("a message").split('"').nth(1).expect("a project");
        let explained = desk.at_site(&["explain", NIGHT]);
        let add = Advice::ProgrammeAdd { name: "NAME".to_owned(), project: project.to_owned() };
        let run =
            Advice::Run { place: delivery.canonicalize().expect("there").display().to_string() };
        tried.recommended(&explained, &run);
        let added = tried.run(&explained, &add);
        worked(tried.run(&added, &run));
        let left = desk.refusals();
        assert!(left.iter().all(|r| r["message"] != parked[0]["message"]), "{left:?}");
        tried.kinds
    }

    /// A site with a truncated image.
    fn damaged() -> (Desk, PathBuf, PathBuf, Vec<u8>) {
        let desk = Desk::new();
        let delivery = desk.simulate(&night("20071011"));
        let mut images: Vec<PathBuf> = std::fs::read_dir(&delivery)
            .expect("there")
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.to_string_lossy().ends_with("_st.fit"))
            .collect();
        images.sort();
        let image = images[0].clone();
        let whole = std::fs::read(&image).expect("readable");
        std::fs::write(&image, &whole[..whole.len() / 2 / 2880 * 2880 + 100]).expect("damaged");
        let said = desk.run(&delivery);
        assert_eq!(said.code, Some(1), "{said:?}");
        (desk, delivery, image, whole)
    }

    pub fn files_are_damaged() -> Vec<&'static str> {
        let (desk, delivery, image, whole) = damaged();
        let name = image.file_name().expect("a name").to_string_lossy().into_owned();
        let explained = || desk.at_site(&["explain", &name]);
        let open = || -> Vec<i64> {
            let of_file =
                |r: &serde_json::Value| r["file"] == name.as_str() && r["parked"] == false;
            desk.refusals()
                .iter()
                .filter(|r| of_file(r))
                .map(|r| r["number"].as_i64().expect("one"))
                .collect()
        };
        let numbers = open();
        assert!(!numbers.is_empty());
        let mut tried = Tried::at(&desk);
        let (mut accept, mut dismiss, mut retry) = (None, None, None);
        for number in &numbers {
            let which = RefusalChoice::Numbers(vec![*number]);
            accept = Some(Advice::RefusalsAccept { which: which.clone() });
            dismiss = Some(Advice::RefusalsDismiss { which: which.clone() });
            retry = Some(Advice::RefusalsRetry { which });
        }
        let [accept, dismiss, retry] = [accept, dismiss, retry].map(|a| a.expect("a refusal"));
        let first = explained();
        tried.recommended(&first, &dismiss);
        tried.run(&first, &accept).ended(0);
        let state = |number: i64| {
            let all = desk.at_site(&["refusals", "list", "--all", "--json"]).json(0);
            let all = all.as_array().expect("an array").clone();
            let found = all.iter().find(|r| r["number"] == number).expect("it is there");
            found["state"].as_str().expect("a state").to_owned()
        };
        let number = *numbers.last().expect("one");
        assert_eq!(state(number), "accepted");
        // The repaired file takes its place.
        std::fs::write(&image, whole).expect("repaired");
        let place = delivery.canonicalize().expect("there").display().to_string();
        let retried = tried.run(&first, &retry);
        assert_eq!(state(number), "retried");
        worked(tried.run(&retried, &Advice::Run { place }));
        assert_eq!(state(number), "resolved");
        assert!(
            desk.count(&format!("SELECT count(*) FROM multiframe WHERE file_name LIKE '%{name}%'"))
                > 0
        );
        // Dismissed elsewhere: it leaves the list.
        let (other, _, image, _) = damaged();
        let name = image.file_name().expect("a name").to_string_lossy().into_owned();
        let mut there = Tried::at(&other);
        let said = other.at_site(&["explain", &name]);
        there.run(&said, &dismiss).ended(0);
        assert!(other.refusals().iter().all(|r| r["number"] != number));
        tried.kinds.extend(there.kinds);
        tried.kinds
    }

    pub fn refusals_are_many() -> Vec<&'static str> {
        let desk = Desk::bare();
        let delivery = desk.simulate(&Small { frames: 30, ..night("20071011") });
        for entry in std::fs::read_dir(&delivery).expect("there").flatten() {
            if entry.path().to_string_lossy().ends_with(".fit") {
                let whole = std::fs::read(entry.path()).expect("readable");
                std::fs::write(entry.path(), &whole[..3000]).expect("damaged");
            }
        }
        desk.run(&delivery).ended(1);
        let explained = desk.at_site(&["explain", NIGHT]);
        assert!(explained.out.lines().count() < 100, "{}", explained.out);
        let mut tried = Tried::at(&desk);
        let list =
            tried.run(&explained, &Advice::RefusalsOf { delivery: NIGHT.to_owned() }).ended(0);
        assert!(list.lines().count() > 30, "{list}");
        tried.kinds
    }

    pub fn a_task_failed() -> Vec<&'static str> {
        let desk = Desk::new();
        let delivery = desk.simulate(&night("20071011"));
        desk.at_site(&["transfer", delivery.to_str().expect("UTF-8")]).ended(0);
        // A file of the library that is lost when its task runs.
        let name = desk.value("SELECT min(file.name) FROM file JOIN image USING (file_id)");
        let file = desk.site.join("library").join(NIGHT).join(name.as_str().expect("a name"));
        let whole = std::fs::read(&file).expect("readable");
        std::fs::remove_file(&file).expect("removed");
        desk.at_site(&["metadata", "--delivery", NIGHT]);
        let failed = desk.refusals();
        assert!(failed.iter().any(|r| r["code"] == "task_failed"), "{failed:?}");
        let explained = desk.at_site(&["explain", NIGHT]);
        std::fs::write(&file, whole).expect("it is back");
        let target = Target::Unit(NIGHT.to_owned(), UseCase::Metadata);
        let mut tried = Tried::at(&desk);
        tried.run(&explained, &Advice::Retry { target }).ended(0);
        desk.run(&delivery).ended(0);
        assert!(desk.refusals().iter().all(|r| r["code"] != "task_failed"));
        tried.kinds
    }

    pub fn there_are_findings() -> Vec<&'static str> {
        let desk = Desk::new();
        let mut all = Vec::new();
        for name in ["20071011", "20071012"] {
            let delivery = desk.simulate(&Small { faults: true, ..night(name) });
            let mut tried = Tried::at(&desk);
            let said = desk.run(&delivery);
            let of = Advice::FindingsOf { delivery: format!("{name}_v1") };
            let list = tried.run(&said, &of).ended(0);
            let found =
                desk.at_site(&["findings", "--delivery", &format!("{name}_v1"), "--json"]).json(0);
            let found = found.as_array().expect("an array").len();
            assert_eq!(list.lines().count(), found + 2, "a line for each: {list}");
            let counted =
                if found == 1 { "1 finding:".to_owned() } else { format!("{found} findings:") };
            assert!(said.out.contains(&counted), "{counted} of this delivery alone: {}", said.out);
            all.extend(tried.kinds);
        }
        let mut tried = Tried::at(&desk);
        let list = tried.run(&desk.at_site(&["status"]), &Advice::Findings).ended(0);
        assert!(list.contains("20071011_v1") && list.contains("20071012_v1"), "{list}");
        all.extend(tried.kinds);
        all
    }

    pub fn numbers_and_nights_lead_to_names() -> Vec<&'static str> {
        let desk = archived();
        let mut tried = Tried::at(&desk);
        let said = desk.at_site(&["explain", "20071011"]);
        let name = NIGHT.to_owned();
        assert!(tried.run(&said, &Advice::Explain { name }).ended(0).contains("is complete"));
        let row = &desk.rows(
            "SELECT d.obj_id, d.multiframe_id, d.ra, d.dec, f.name FROM detection AS d
                 JOIN image USING (multiframe_id) JOIN file AS f USING (file_id) ORDER BY d.obj_id LIMIT 1",
        )[0];
        let name = format!("{NIGHT}/{}", row["name"].as_str().expect("a name"));
        let frame = Advice::Explain { name };
        for words in [
            vec!["object".to_owned(), row["obj_id"].to_string()],
            vec![row["ra"].to_string(), row["dec"].to_string()],
        ] {
            let words: Vec<&str> =
                ["explain"].into_iter().chain(words.iter().map(String::as_str)).collect();
            let said = desk.at_site(&words);
            assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
            assert!(said.out.contains(NIGHT), "{said:?}");
        }
        let object = desk.at_site(&["explain", "object", &row["obj_id"].to_string()]);
        let told = tried.run(&object, &frame).ended(0);
        assert!(told.contains(&format!("multiframe {}", row["multiframe_id"])), "{told}");
        let nothing = desk.at_site(&["explain", "nothing-of-that-name"]);
        assert_eq!(nothing.code, Some(3));
        assert!(tried.run(&nothing, &Advice::Status).ended(0).contains(NIGHT));
        tried.kinds
    }

    pub fn deliveries_are_many() -> Vec<&'static str> {
        let desk = Desk::new();
        let connection =
            rusqlite::Connection::open(desk.site.join("archive.db")).expect("it opens");
        let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
            INSERT INTO delivery (name, night, source, state, first_seen, last_arrival, completed)
            SELECT printf('%08d_v1', 20010000 + i), 20010000 + i, '/gone', 'complete', '2001-01-01T00:00:00Z',
                   '2001-01-01T00:00:00Z', '2001-01-01T00:00:00Z' FROM n";
        connection.execute_batch(insert).expect("fifty deliveries");
        let status = desk.at_site(&["status"]);
        assert!(status.out.lines().count() < 40, "{}", status.out);
        assert!(status.out.contains("20 of 50 deliveries listed"), "{}", status.out);
        let mut tried = Tried::at(&desk);
        let all = tried.run(&status, &Advice::StatusAll).ended(0);
        assert!(all.contains("20010001_v1") && all.contains("20010050_v1"), "{all}");
        assert!(status.out.contains("20010050_v1") && !status.out.contains("20010001_v1"));
        tried.kinds
    }

    fn previews(desk: &Desk) -> Vec<PathBuf> {
        let mut all = Vec::new();
        rust_like(&desk.site.join("previews"), &mut all);
        all.sort();
        all
    }

    fn rust_like(directory: &Path, all: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { rust_like(&path, all) } else { all.push(path) }
        }
    }

    pub fn previews_are_lost() -> Vec<&'static str> {
        let desk = archived();
        let all = previews(&desk);
        std::fs::remove_file(&all[0]).expect("removed");
        std::fs::write(&all[all.len() - 1], b"cut").expect("truncated");
        let found = desk.at_site(&["verify"]);
        assert_eq!(found.code, Some(3), "{found:?}");
        let delivery = NIGHT.to_owned();
        let mut tried = Tried::at(&desk);
        let made = tried.run(&found, &Advice::PreviewLost { delivery: delivery.clone() }).ended(0);
        assert!(made.contains("2 multiframes with lost previews"), "{made}");
        let round =
            "SELECT count(*) FROM unit JOIN task USING (unit_id) JOIN task_input USING (task_id)
             WHERE use_case = 'preview' AND round = 2";
        assert_eq!(desk.count(round), 2, "and no others");
        tried.run(&found, &Advice::Ingest { delivery }).ended(0);
        desk.verified();
        tried.kinds
    }

    /// Other bytes, of the same length.
    fn rot(path: &Path) {
        let mut bytes = std::fs::read(path).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(path, mode).expect("writable");
        std::fs::write(path, bytes).expect("rotten");
    }

    fn images(desk: &Desk, delivery: &str) -> Vec<(String, PathBuf)> {
        let rows = desk.rows(&format!(
            "SELECT file.name FROM file JOIN image USING (file_id) JOIN delivery USING (delivery_id)
             WHERE delivery.name = '{delivery}' ORDER BY 1"
        ));
        let name = |r: &serde_json::Value| r["name"].as_str().expect("a name").to_owned();
        let names = rows.iter().map(name);
        names.map(|n| (n.clone(), desk.site.join("library").join(delivery).join(n))).collect()
    }

    pub fn library_files_are_damaged() -> Vec<&'static str> {
        let desk = archived();
        let mut tried = Tried::at(&desk);
        let files = images(&desk, NIGHT);
        rot(&files[0].1);
        let found = desk.at_site(&["verify", "--checksums"]);
        assert_eq!(found.code, Some(3), "{found:?}");
        let (delivery, file) = (NIGHT.to_owned(), files[0].0.clone());
        worked(tried.run(&found, &Advice::ReconcileFile { delivery: delivery.clone(), file }));
        desk.at_site(&["verify", "--checksums"]).ended(0);
        rot(&files[1].1);
        rot(&files[2].1);
        let found = desk.at_site(&["verify", "--checksums"]);
        let status = desk.at_site(&["status"]);
        let compared = tried.run(&status, &Advice::Reconcile);
        assert_eq!(compared.code, Some(3), "it only compares: {compared:?}");
        worked(tried.run(&found, &Advice::ReconcileDelivery { delivery }));
        desk.at_site(&["verify", "--checksums"]).ended(0);
        rot(&files[3].1);
        let scrubbed = desk.at_site(&["scrub"]);
        assert_eq!(scrubbed.code, Some(3), "{scrubbed:?}");
        worked(tried.run(&scrubbed, &Advice::ReconcileSource));
        desk.at_site(&["verify", "--checksums"]).ended(0);
        tried.kinds
    }

    pub fn older_products_are_kept() -> Vec<&'static str> {
        let desk = archived();
        let all = detections(&desk);
        let second = desk.simulate(&Small { version: 2, ..night("20071011") });
        let entries = std::fs::read_dir(&second).expect("there").flatten().map(|e| e.path());
        let is_catalogue = |path: &PathBuf| path.to_string_lossy().ends_with("_cat.fits");
        let catalogue = entries.filter(is_catalogue).min().expect("a catalogue");
        std::fs::remove_file(&catalogue).expect("removed");
        worked(desk.run(&second));
        assert_eq!(detections(&desk), all);
        let file = catalogue.file_name().expect("a name").to_string_lossy();
        let file = file.replace("_cat.fits", ".fit");
        let (delivery, use_case) = ("20071011_v2".to_owned(), UseCase::Catalogue);
        let explain = || desk.at_site(&["explain", &format!("{NIGHT}/{file}")]);
        let mut tried = Tried::at(&desk);
        let end =
            Advice::SupersedeFile { delivery: delivery.clone(), file: file.clone(), use_case };
        tried.run(&explain(), &end).ended(0);
        assert!(detections(&desk) < all);
        let undo = Advice::SupersedeFileUndo { delivery, file: file.clone(), use_case };
        tried.run(&explain(), &undo).ended(0);
        assert_eq!(detections(&desk), all);
        tried.kinds
    }

    pub fn much_is_lost() -> Vec<&'static str> {
        let desk = Desk::new();
        let names: Vec<String> = (11..=22).map(|day| format!("200710{day}")).collect();
        for name in &names {
            let delivery = desk.simulate(&Small { frames: 1, detections: 3, ..night(name) });
            desk.run(&delivery).ended(0);
        }
        std::fs::remove_dir_all(desk.site.join("library")).expect("removed");
        std::fs::remove_dir_all(desk.site.join("previews")).expect("removed");
        for directory in ["library", "previews"] {
            std::fs::create_dir(desk.site.join(directory)).expect("made");
        }
        let found = desk.at_site(&["verify"]);
        assert!(found.out.lines().count() < 40, "short after a restore:\n{}", found.out);
        let mut tried = Tried::at(&desk);
        worked(tried.run(&found, &Advice::ReconcileSource));
        worked(tried.run(&found, &Advice::PreviewLostAll));
        worked(tried.run(&found, &Advice::IngestAll));
        desk.verified();
        tried.kinds
    }

    pub fn strays_lie_about() -> Vec<&'static str> {
        let desk = archived();
        let stray = desk.site.join("library").join(NIGHT).join("mine.txt");
        std::fs::write(&stray, "mine").expect("written");
        let preview = desk.site.join("previews").join(NIGHT).join("other.jpg");
        std::fs::write(&preview, "jpeg").expect("written");
        let found = desk.at_site(&["verify"]);
        let mut tried = Tried::at(&desk);
        worked(tried.run(&found, &Advice::ReconcileStrays { delivery: NIGHT.to_owned() }));
        assert!(!stray.exists() && preview.exists());
        tried.run(&found, &Advice::VerifyRepair).ended(0);
        assert!(!preview.exists());
        desk.verified();
        tried.kinds
    }

    pub fn strays_lie_in_many_deliveries() -> Vec<&'static str> {
        let desk = Desk::new();
        for day in 11..=22 {
            let name = format!("200710{day}");
            let delivery = desk.simulate(&Small { frames: 1, detections: 3, ..night(&name) });
            desk.at_site(&["transfer", delivery.to_str().expect("UTF-8")]).ended(0);
            let stray = desk.site.join("library").join(format!("{name}_v1/mine.txt"));
            std::fs::write(stray, "mine").expect("written");
        }
        let found = desk.at_site(&["verify"]);
        let mut tried = Tried::at(&desk);
        worked(tried.run(&found, &Advice::ReconcileStraysAll));
        desk.verified();
        tried.kinds
    }

    pub fn an_archive_was_restored() -> Vec<&'static str> {
        let desk = archived();
        desk.at_site(&["backup", "kept"]).ended(0);
        let said = desk.plain(&["restore", "kept", "again"]);
        let command = Advice::Verify.command(&["--site".to_owned(), "again".to_owned()]);
        assert!(said.out.contains(&command), "{said:?}");
        let found = Tried::at(&desk).pasted(&command);
        assert_eq!(found.code, Some(3), "the library is not in a backup: {found:?}");
        assert!(found.out.lines().count() < 60, "{}", found.out);
        vec![Advice::Verify.kind()]
    }

    pub fn an_archive_moved() -> Vec<&'static str> {
        let Some((desk, _database)) = Desk::on_server() else {
            return vec![Advice::VerifyChecksums.kind()];
        };
        let delivery = desk.simulate(&night("20071011"));
        desk.run(&delivery).ended(0);
        let moved = desk.at_site(&["migrate", "--to", "embedded"]);
        let mut tried = Tried::at(&desk);
        tried.run(&moved, &Advice::VerifyChecksums).ended(0);
        tried.kinds
    }

    pub fn a_delivery_has_not_arrived() -> Vec<&'static str> {
        let desk = Desk::new();
        let delivery = desk.simulate(&night("20071011"));
        // The catalogue is here, its image is not.
        let mut images: Vec<PathBuf> = std::fs::read_dir(&delivery)
            .expect("there")
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.to_string_lossy().ends_with("_st.fit"))
            .collect();
        images.sort();
        let (image, kept) = (images[0].clone(), desk.dir.path().join("kept.fit"));
        std::fs::rename(&image, &kept).expect("moved");
        desk.run(&delivery);
        let name = image.file_name().expect("a name").to_string_lossy().into_owned();
        let explained = desk.at_site(&["explain", &name]);
        assert!(explained.out.contains("has not arrived"), "{explained:?}");
        std::fs::rename(&kept, &image).expect("it comes");
        let mut tried = Tried::at(&desk);
        worked(tried.run(&explained, &Advice::Transfer { delivery: NIGHT.to_owned() }));
        assert!(desk.at_site(&["explain", &name]).ended(0).contains("an image"));
        // The sources are asked, and say what they have.
        let doctor = desk.at_site(&["doctor"]);
        tried.run(&doctor, &Advice::Sources).ended(0);
        tried.kinds
    }

    pub fn attempts_were_left() -> Vec<&'static str> {
        let desk = Desk::new();
        desk.transfer(&[night("20071011")]);
        let mut command = desk.command(&["metadata", "--delivery", NIGHT]);
        command.env("ALMAGEST_STOP_AT", "start:after-commit");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("it starts");
        operator::until_stopped(&process);
        signal(&process, rustix::process::Signal::KILL);
        process.wait().expect("it ends");
        let doctor = desk.at_site(&["doctor"]);
        assert_eq!(doctor.code, Some(3), "{doctor:?}");
        let mut tried = Tried::at(&desk);
        let step = Advice::Step { use_case: UseCase::Metadata, delivery: NIGHT.to_owned() };
        worked(tried.run(&doctor, &step));
        assert!(!desk.at_site(&["doctor"]).out.contains("left by processes"));
        tried.kinds
    }
}
