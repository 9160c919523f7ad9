//! Situations in which operators decide what runs, and in which nothing runs.

use super::tried::*;
use crate::operator;

pub(crate) fn a_plan_is_decided_on() -> Vec<&'static str> {
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
    let use_case: UseCase = first["use_case"].as_str().expect("a use case").parse().expect("one");
    let unit = |delivery: &str| (delivery.to_owned(), use_case);
    let state =
        |wanted: &str| desk.count(&format!("SELECT count(*) FROM unit WHERE state = '{wanted}'"));
    let (d, u) = unit(&delivery);
    tried
        .run(&plan(), &Advice::EditPriority { delivery: d.parse().unwrap(), use_case: u })
        .ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM instruction WHERE act = 'priority'"), 1);
    let (d, u) = unit(&delivery);
    let moved =
        Advice::EditMove { delivery: d.parse().unwrap(), use_case: u, host: host.parse().unwrap() };
    tried.run(&plan(), &moved).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM instruction WHERE act = 'move'"), 1);
    let (d, u) = unit(&delivery);
    let held = tried.run(&plan(), &Advice::EditHold { delivery: d.parse().unwrap(), use_case: u });
    let target = Target::Unit(delivery.parse().unwrap(), use_case);
    assert!(!plan().out.contains(&format!("approve --unit {delivery}/{use_case}")));
    tried.run(&held, &Advice::Resume { target: target.clone() }).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM instruction WHERE act = 'pause'"), 0);
    let again = plan();
    let (d, u) = unit(&delivery);
    tried.run(&again, &Advice::ApproveUnit { delivery: d.parse().unwrap(), use_case: u }).ended(0);
    assert_eq!(state("approved"), 1);
    let rejected = tried.run(&plan(), &Advice::Reject);
    let number = desk.count("SELECT max(plan_id) FROM plan") as i64;
    let resume =
        Advice::Resume { target: Target::Plan(model::PlanId::new(number).expect("a plan")) };
    let explained = desk.at_site(&["explain", "20071012_v1"]);
    tried.recommended(&explained, &resume);
    tried.recommended(&desk.at_site(&["status"]), &resume);
    tried.recommended(&desk.at_site(&["plan"]), &resume);
    tried.run(&rejected, &resume).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM instruction WHERE act = 'pause'"), 0);
    tried.run(&plan(), &Advice::ApproveHost { host: host.parse().unwrap() }).ended(0);
    assert!(state("approved") > 1);
    // A later round has no host yet, and is approved with the rest.
    let rest = plan();
    tried.run(&rest, &Advice::ApproveAll).ended(0);
    assert_eq!(state("proposed"), 0);
    assert!(desk.count("SELECT count(*) FROM expected_round WHERE approved = 1") > 0);
    tried.kinds
}

pub(crate) fn a_unit_is_bound_to_an_unknown_host() -> Vec<&'static str> {
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
    let target = Target::Delivery(NIGHT.parse().unwrap());
    tried.run(&plan, &Advice::EditUnbind { target }).ended(0);
    assert!(desk.at_site(&["plan"]).ended(0).contains("approve --all"));
    tried.kinds
}

pub(crate) fn nothing_works_on_what_is_approved() -> Vec<&'static str> {
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

pub(crate) fn daemons_have_stopped() -> Vec<&'static str> {
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

pub(crate) fn the_scheduler_owns_the_work() -> Vec<&'static str> {
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

pub(crate) fn attempts_were_left() -> Vec<&'static str> {
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
    let step = Advice::Step { use_case: UseCase::Metadata, delivery: NIGHT.parse().unwrap() };
    worked(tried.run(&doctor, &step));
    assert!(!desk.at_site(&["doctor"]).out.contains("left by processes"));
    tried.kinds
}

pub(crate) fn instructions_are_many() -> Vec<&'static str> {
    let desk = Desk::new();
    let archive = rusqlite::Connection::open(desk.site.join("archive.db")).expect("it opens");
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
        INSERT INTO instruction_history (number, subject, name, act, value, is_set, changed, who, why)
        SELECT i, 'delivery', 'd' || i, 'pause', '', 1, '2001-01-01T00:00:00Z', 'x', 'y' FROM n";
    archive.execute_batch(insert).expect("many instructions");
    let history = desk.at_site(&["plan", "--history"]);
    assert_eq!(history.out.lines().filter(|line| line.contains("2001-01-01")).count(), 50);
    assert!(history.out.contains("70 older") && history.out.contains("d120"), "{history:?}");
    let mut tried = Tried::at(&desk);
    let all = tried.run(&history, &Advice::PlanHistory { limit: 120 }).ended(0);
    assert_eq!(all.lines().filter(|line| line.contains("2001-01-01")).count(), 120);
    assert!(!all.contains("older"), "{all}");
    let none = desk.at_site(&["plan", "--history", "--limit", "0"]);
    assert!(none.out.starts_with("120 older: "), "{none:?}");
    tried.recommended(&none, &Advice::PlanHistory { limit: 120 });
    tried.kinds
}
