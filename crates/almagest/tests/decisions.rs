//! What operators decide holds everywhere: for plans, for the steps of this machine, and in every report.

mod operator;

use operator::{Daemon, Desk, Said, Small, until};
use serde_json::Value;

const NIGHTS: [&str; 3] = ["20071011", "20071012", "20071013"];

fn night(night: &str) -> Small<'_> {
    Small { night, frames: 6, detections: 10, seed: night.parse().unwrap_or(1), ..Small::default() }
}

/// Nights in the library, nothing done about them.
fn transferred(desk: &Desk) {
    desk.in_a_hurry();
    desk.transfer(&NIGHTS.map(night));
}

fn instructions(desk: &Desk) -> Vec<String> {
    let rows = desk.rows("SELECT subject, name, act FROM instruction ORDER BY 1, 2, 3");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|r| format!("{} {} {}", text(&r["subject"]), text(&r["name"]), text(&r["act"])))
        .collect()
}

fn units(plan: &Value) -> Vec<String> {
    let units = plan["units"].as_array().expect("units").iter();
    let name = |u: &Value| {
        format!(
            "{}/{}",
            u["delivery"].as_str().expect("a name"),
            u["use_case"].as_str().expect("a use case")
        )
    };
    let mut all: Vec<String> = units.map(name).collect();
    all.sort();
    all
}

/// Rejects the latest plan, after one was proposed.
#[track_caller]
fn reject(desk: &Desk) -> i64 {
    let plan = desk.at_site(&["plan", "--json"]).json(0);
    assert_eq!(units(&plan).len(), 9, "everything is proposed: {plan}");
    let said = desk.at_site(&["reject", "--reason", "bad flats"]).ended(0);
    assert!(said.contains("9 units do not start"), "{said}");
    assert_eq!(instructions(desk).len(), 9);
    plan["plan_id"].as_i64().expect("a number")
}

#[test]
fn what_a_rejection_stopped_is_resumed_at_every_level() {
    for desk in Desk::of_both_engines() {
        transferred(&desk);
        // By plan, which is one command for all nights.
        let number = reject(&desk).to_string();
        desk.at_site(&["resume", "--plan", &number]).ended(0);
        assert_eq!(instructions(&desk), Vec::<String>::new());
        desk.at_site(&["resume", "--plan", &number]).ended(5);
        desk.at_site(&["resume", "--plan", "999"]).ended(3);
        // Level by level.
        reject(&desk);
        desk.at_site(&["resume", "--delivery", "20071011_v1"]).ended(0);
        assert_eq!(instructions(&desk).len(), 6);
        desk.at_site(&["resume", "--night", "20071012"]).ended(0);
        assert_eq!(instructions(&desk).len(), 3);
        desk.at_site(&["resume", "--use-case", "preview"]).ended(0);
        let left = ["unit 20071013_v1/catalogue pause", "unit 20071013_v1/metadata pause"];
        assert_eq!(instructions(&desk), left);
        desk.at_site(&["resume", "--unit", "20071013_v1/metadata"]).ended(0);
        desk.at_site(&["resume", "--all"]).ended(0);
        assert_eq!(instructions(&desk), Vec::<String>::new());
        let plan = desk.at_site(&["plan", "--json"]).json(0);
        assert_eq!(units(&plan).len(), 9, "all of it is proposed again");
    }
}

#[test]
fn a_level_is_resumed_with_all_within_it_and_nothing_beyond() {
    let desk = Desk::new();
    transferred(&desk);
    let pause = |words: &[&str]| {
        desk.at_site(&[&["pause"], words, &["--reason", "clouds"]].concat()).ended(0);
    };
    pause(&["--unit", "20071011_v1/preview"]);
    pause(&["--delivery", "20071011_v1"]);
    pause(&["--delivery", "20071012_v1"]);
    pause(&["--use-case", "catalogue"]);
    desk.at_site(&["edit", "--unit", "20071013_v1/metadata", "--hold", "--reason", "wait"])
        .ended(0);
    let host = desk.at_site(&["plan", "--json"]).json(0)["hosts"][0]["host"].clone();
    let host = host.as_str().expect("a name").to_owned();
    pause(&["--host", &host]);
    // A unit is not free as long as something else holds it; the way out is named.
    let said = desk.at_site(&["resume", "--unit", "20071012_v1/metadata"]);
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.err.contains("resume --delivery 20071012_v1"), "{said:?}");
    let said = desk.at_site(&["resume", "--night", "20071011"]);
    assert!(said.err.contains("resume --use-case catalogue"), "the rest that stops it: {said:?}");
    said.ended(0);
    let left = instructions(&desk);
    assert!(left.iter().all(|l| !l.contains("20071011")) && left.len() == 4, "{left:?}");
    // Everything but hosts.
    let said = desk.at_site(&["resume", "--all"]);
    assert!(said.err.contains(&format!("resume --host {host}")), "{said:?}");
    said.ended(0);
    assert_eq!(instructions(&desk), [format!("host {host} pause")]);
    desk.at_site(&["resume", "--host", &host]).ended(0);
    assert_eq!(instructions(&desk), Vec::<String>::new());
    // A pause of an operator stays one when a plan with the unit is rejected, and is not part of it.
    desk.at_site(&["plan"]).ended(0);
    pause(&["--unit", "20071011_v1/metadata"]);
    desk.at_site(&["reject", "--reason", "no"]);
    let plan = desk.rows("SELECT max(plan_id) AS n FROM plan_decision")[0]["n"].to_string();
    desk.at_site(&["resume", "--plan", &plan]).ended(0);
    assert_eq!(instructions(&desk), ["unit 20071011_v1/metadata pause"]);
}

/// A reason that is no longer in force is not why a round waits.
#[test]
fn resumed_rounds_keep_no_reason_of_what_stopped_them() {
    for desk in Desk::of_both_engines() {
        transferred(&desk);
        let reasons = || -> Vec<String> {
            let status = desk.status();
            let deliveries = status["deliveries"].as_array().expect("a list").iter();
            let rounds = deliveries.flat_map(|d| d["rounds"].as_array().expect("a list"));
            rounds.map(|r| r["why"].as_str().expect("a reason").to_owned()).collect()
        };
        let number = reject(&desk).to_string();
        assert!(reasons().iter().any(|why| why == "bad flats"), "{:?}", reasons());
        desk.at_site(&["resume", "--plan", &number, "--reason", "flats are good"]).ended(0);
        let resumed = reasons().iter().filter(|why| *why == "resumed: flats are good").count();
        assert!(resumed > 0 && !reasons().iter().any(|why| why == "bad flats"), "{:?}", reasons());
        let status = desk.at_site(&["status"]).ended(0);
        assert!(!status.contains("bad flats"), "{status}");
        // A pause that was given first outlives the rejection, and takes its reason along.
        desk.at_site(&["plan"]).ended(0);
        let unit = "20071011_v1/metadata";
        desk.at_site(&["pause", "--unit", unit, "--reason", "dome is open"]).ended(0);
        desk.at_site(&["plan"]).ended(0);
        desk.at_site(&["resume", "--unit", unit, "--reason", "dome is shut"]).ended(0);
        assert!(!reasons().iter().any(|why| why.contains("not in plan")), "{:?}", reasons());
    }
}

#[test]
fn steps_leave_alone_what_was_paused_or_rejected() {
    for desk in Desk::of_both_engines() {
        transferred(&desk);
        reject(&desk);
        let started = "SELECT count(*) FROM unit_history WHERE to_state = 'running'";
        let attempts = || desk.count(started);
        for step in ["preview", "metadata", "catalogue"] {
            let said = desk.at_site(&[step, "--delivery", "20071011_v1"]);
            assert_eq!(said.code, Some(5), "{step}: {said:?}");
            assert!(
                said.err.contains("resume --plan 1") && said.err.contains("--force"),
                "{said:?}"
            );
        }
        let delivery = desk.inbox().join("20071011_v1");
        let said = desk.run(&delivery);
        assert_eq!((said.code, attempts()), (Some(5), 0), "{said:?}");
        // Without a name, what may be done is done; here that is nothing.
        let said = desk.at_site(&["preview"]);
        assert_eq!((said.code, attempts()), (Some(0), 0), "{said:?}");
        desk.at_site(&["preview", "--delivery", "20071011_v1", "--force"]).ended(0);
        assert!(attempts() > 0);
        // A part of the work is paused: the rest is done, and the exit code reports it.
        desk.at_site(&["resume", "--all"]).ended(0);
        desk.at_site(&["pause", "--use-case", "preview", "--reason", "new recipe"]).ended(0);
        let said = desk.run(&desk.inbox().join("20071012_v1"));
        assert_eq!(said.code, Some(5), "{said:?}");
        assert!(said.err.contains("left alone: use case preview is paused by"), "{said:?}");
        let of = |table: &str| {
            desk.count(&format!(
                "SELECT count(*) FROM {table} JOIN image USING (multiframe_id) JOIN file USING (file_id)
                     JOIN delivery USING (delivery_id) WHERE delivery.name = '20071012_v1'"
            ))
        };
        assert_eq!((of("preview"), of("multiframe") > 0), (0, true));
        // A night that has not come yet may be paused by its number alone once it is known; a new one is not held.
        desk.at_site(&["resume", "--use-case", "preview"]).ended(0);
        desk.run(&desk.inbox().join("20071012_v1")).ended(0);
        assert!(of("preview") > 0);
        // Nothing starts on a machine that is paused, either.
        let host = desk.at_site(&["plan", "--json"]).json(0)["hosts"][0]["host"].clone();
        let host = host.as_str().expect("a name");
        desk.at_site(&["pause", "--host", host, "--reason", "new fan"]).ended(0);
        let before = attempts();
        let third = desk.inbox().join("20071013_v1");
        let said = desk.run(&third);
        assert_eq!((said.code, attempts()), (Some(5), before), "{said:?}");
        let resume = format!("resume --host {host}");
        assert!(said.err.contains("new fan") && said.err.contains(&resume), "{said:?}");
        desk.at_site(&["resume", "--host", host]).ended(0);
        desk.run(&third).ended(0);
        assert!(attempts() > before);
        desk.verified();
    }
}

/// A decision that is only tried prints what the decision itself prints, and leaves every table as it was.
#[test]
fn a_dry_run_of_a_decision_changes_nothing() {
    for desk in Desk::of_both_engines() {
        transferred(&desk);
        let host = desk.at_site(&["plan", "--json"]).json(0)["hosts"][0]["host"].clone();
        let host = host.as_str().expect("a name");
        let tables = || {
            let rows = |table: &str| desk.rows(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3"));
            let history = desk.at_site(&["plan", "--history"]).ended(0);
            (rows("instruction"), rows("unit_history"), history)
        };
        let before = tables();
        let delivery = ["--delivery", "20071011_v1", "--reason", "clouds"];
        let decisions: [&[&str]; 8] = [
            &["edit", "--night", "20071011", "--priority", "5", "--reason", "a supernova"],
            &["pause", delivery[0], delivery[1], delivery[2], delivery[3]],
            &["resume", delivery[0], delivery[1], delivery[2], delivery[3]],
            &["cancel", delivery[0], delivery[1], delivery[2], delivery[3]],
            &["resume", delivery[0], delivery[1], delivery[2], delivery[3]],
            &["drain", "--host", host, "--reason", "new fan"],
            &["approve", "--unit", "20071012_v1/metadata"],
            &["reject", "--reason", "not tonight"],
        ];
        let mut known = before;
        for words in decisions {
            let tried = desk.at_site(&[words, &["--dry-run"]].concat()).ended(0);
            assert_eq!(tables(), known, "{words:?} was only tried");
            let done = desk.at_site(words).ended(0);
            assert_eq!(tried, format!("dry run, nothing is changed:\n{done}"), "{words:?}");
            assert_ne!(tables(), known, "{words:?}");
            known = tables();
        }
        desk.at_site(&["retry", "--all", "--dry-run"]).ended(3);
    }
}

#[test]
fn a_blank_reason_is_an_error_of_usage() {
    let desk = Desk::new();
    transferred(&desk);
    let host = desk.at_site(&["plan", "--json"]).json(0)["hosts"][0]["host"].clone();
    let host = host.as_str().expect("a name");
    let decisions: [&[&str]; 8] = [
        &["pause", "--delivery", "20071011_v1"],
        &["drain", "--host", host],
        &["cancel", "--delivery", "20071011_v1"],
        &["edit", "--night", "20071011", "--priority", "5"],
        &["resume", "--all"],
        &["retry", "--all"],
        &["approve", "--all"],
        &["reject"],
    ];
    for words in decisions {
        for reason in ["", " \t"] {
            let said = desk.at_site(&[words, &["--reason", reason]].concat());
            assert!(said.err.contains("--reason is empty"), "{words:?}: {said:?}");
            said.ended(2);
        }
    }
    assert_eq!(instructions(&desk), Vec::<String>::new());
    assert_eq!(desk.count("SELECT count(*) FROM unit WHERE state <> 'proposed'"), 0);
}

#[test]
fn steps_do_not_work_beside_the_scheduler() {
    let desk = Desk::new();
    transferred(&desk);
    let daemon = Daemon::start(&desk, &["data"], &[]);
    until("the daemon", || desk.status()["data_daemon"]["alive"] == true);
    let delivery = desk.inbox().join("20071011_v1");
    let said = desk.run(&delivery);
    assert_eq!(said.code, Some(5), "{said:?}");
    let fetch = format!("transfer {}", delivery.display());
    assert!(said.err.contains(&fetch) && said.err.contains("--force"), "{said:?}");
    let said = desk.at_site(&["metadata", "--delivery", "20071011_v1"]);
    assert_eq!(said.code, Some(5), "{said:?}");
    assert_eq!(desk.count("SELECT count(*) FROM attempt"), 0);
    // A repetition is requested; the scheduler does it.
    let said = desk.at_site(&["preview", "--again", "--delivery", "20071011_v1"]).ended(0);
    assert!(said.contains("left to the data daemon"), "{said}");
    desk.at_site(&["metadata", "--delivery", "20071011_v1", "--force"]).ended(0);
    assert!(desk.count("SELECT count(*) FROM attempt") > 0);
    daemon.end().ended(0);
    desk.run(&delivery).ended(0);
}

#[test]
fn hosts_that_do_not_exist_are_refused_with_those_that_do() {
    let desk = Desk::new();
    transferred(&desk);
    let host = desk.at_site(&["plan", "--json"]).json(0)["hosts"][0]["host"].clone();
    let host = host.as_str().expect("a name").to_owned();
    let commands: [&[&str]; 6] = [
        &["edit", "--all", "--move", "nohost", "--reason", "x"],
        &["edit", "--host", "nohost", "--hold", "--reason", "x"],
        &["drain", "--host", "nohost", "--reason", "x"],
        &["pause", "--host", "nohost", "--reason", "x"],
        &["resume", "--host", "nohost"],
        &["approve", "--host", "nohost"],
    ];
    for words in commands {
        let said = desk.at_site(words);
        assert_eq!(said.code, Some(3), "{words:?}: {said:?}");
        assert!(said.err.contains("no host \"nohost\"") && said.err.contains(&host), "{said:?}");
    }
    assert_eq!(instructions(&desk), Vec::<String>::new());
    desk.at_site(&["edit", "--all", "--move", &host, "--reason", "x"]).ended(0);
    desk.at_site(&["edit", "--all", "--move", "", "--reason", "x"]).ended(0);
}

#[test]
fn a_drain_without_executor_is_not_recorded() {
    let desk = Desk::new();
    transferred(&desk);
    let host = desk.at_site(&["plan", "--json"]).json(0)["hosts"][0]["host"].clone();
    let host = host.as_str().expect("a name");
    desk.at_site(&["pause", "--host", host, "--reason", "a noise"]).ended(0);
    let paused = instructions(&desk);
    desk.configure(&[("executor = \"local\"", "executor = \"ssh\"")]);
    let said = desk.at_site(&["drain", "--host", host, "--reason", "new fan"]);
    assert!(said.err.contains("names no hosts"), "{said:?}");
    said.ended(3);
    assert_eq!(instructions(&desk), paused);
}

#[test]
fn every_report_follows_a_decision_at_once() {
    let desk = Desk::new();
    transferred(&desk);
    let first = desk.at_site(&["plan", "--json"]).json(0);
    assert_eq!((units(&first).len(), &first["plan_id"]), (9, &1.into()));
    // After a pause, a hold and an edit the plan is another one.
    desk.at_site(&["pause", "--night", "20071011", "--reason", "clouds"]).ended(0);
    let plan = desk.at_site(&["plan", "--json"]).json(0);
    assert_eq!((units(&plan).len(), &plan["plan_id"]), (6, &2.into()), "{plan}");
    desk.at_site(&["edit", "--delivery", "20071012_v1", "--hold", "--reason", "wait"]).ended(0);
    let plan = desk.at_site(&["plan", "--json"]).json(0);
    assert_eq!((units(&plan).len(), &plan["plan_id"]), (3, &3.into()), "{plan}");
    desk.at_site(&[
        "edit",
        "--unit",
        "20071013_v1/preview",
        "--priority",
        "9",
        "--reason",
        "first",
    ])
    .ended(0);
    let plan = desk.at_site(&["plan", "--json"]).json(0);
    assert_eq!(plan["plan_id"], 4);
    assert_eq!(plan["units"][0]["use_case"], "preview", "{plan}");
    // Paused rounds are proposed no more, and `status` says which are paused.
    let proposed = "SELECT count(*) FROM unit JOIN delivery USING (delivery_id)
         WHERE unit.state = 'proposed' AND delivery.name <> '20071013_v1'";
    assert_eq!(desk.count(proposed), 0);
    let status = desk.status();
    let of = |name: &str| {
        let all = status["deliveries"].as_array().expect("deliveries");
        all.iter().find(|d| d["name"] == name).expect("it is there").clone()
    };
    for name in ["20071011_v1", "20071012_v1"] {
        let rounds = of(name)["rounds"].as_array().expect("rounds").clone();
        assert!(rounds.iter().all(|r| r["paused"].is_string()), "{rounds:?}");
    }
    assert!(of("20071013_v1")["rounds"][0]["paused"].is_null());
    let text = desk.at_site(&["status"]).ended(0);
    for words in ["ready, paused", "night 20071011 is paused by", "resume --night 20071011", "UTC"]
    {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    // Nothing is left to propose.
    desk.at_site(&["pause", "--all", "--reason", "holiday"]).ended(0);
    let text = desk.at_site(&["plan"]).ended(0);
    assert!(text.contains("nothing can start") && text.contains("resume --all"), "{text}");
    desk.at_site(&["approve", "--all"]).ended(5);
    // What is approved but paused is reported as such.
    desk.at_site(&["resume", "--all"]).ended(0);
    let plan = desk.at_site(&["plan"]).ended(0);
    let counted = header(&plan);
    desk.at_site(&["approve", "--unit", "20071011_v1/metadata"]).ended(0);
    desk.at_site(&["pause", "--night", "20071011", "--reason", "clouds"]).ended(0);
    let text = desk.at_site(&["status"]).ended(0);
    assert!(text.contains("approved, paused"), "{text}");
    // The history has every decision.
    let history = desk.at_site(&["plan", "--history"]).ended(0);
    for words in ["when (UTC)", "approve", "20071011_v1/metadata: 1 tasks of 1 units", "clouds"] {
        assert!(history.contains(words), "{words}:\n{history}");
    }
    assert!(counted > 0);
}

/// Tasks by the header of a plan.
fn header(plan: &str) -> u64 {
    let line = plan.lines().next().expect("a header");
    let (before, _) = line.split_once(" tasks").expect("a number of tasks");
    let digits: String = before
        .rsplit(": ")
        .next()
        .expect("a number")
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().expect("a number")
}

#[test]
fn all_headers_count_the_same_tasks() {
    let desk = Desk::new();
    transferred(&desk);
    let first = desk.at_site(&["plan"]);
    let plan = desk.at_site(&["plan"]).ended(0);
    let json = desk.at_site(&["plan", "--json"]).json(0);
    let tasks = json["tasks"].as_array().expect("tasks").len() as u64;
    assert_eq!(header(&plan), tasks);
    let to_come: u64 = json["units"]
        .as_array()
        .expect("units")
        .iter()
        .filter(|u| u["to_come"] == true)
        .map(|u| u["tasks"].as_u64().expect("a number"))
        .sum();
    assert!(plan.contains(&format!("({to_come} in expected rounds)")), "{plan}");
    let said = desk.at_site(&["approve", "--all"]).ended(0);
    let now = tasks - to_come;
    assert!(said.contains(&format!("{now} tasks of")), "{said}");
    assert!(said.contains(&format!("; {to_come} more task")), "{said}");
    assert!(first.err.contains(&format!("proposes {tasks} tasks of 9 units")), "{}", first.err);
}

#[test]
fn a_new_site_follows_the_defaults_and_shows_where_values_come_from() {
    let desk = Desk::bare();
    let path = desk.site.join("almagest.toml");
    let text = std::fs::read_to_string(&path).expect("there");
    let set: Vec<&str> =
        text.lines().filter(|l| l.starts_with(|c: char| c.is_ascii_lowercase())).collect();
    assert_eq!(set, Vec::<&str>::new(), "init writes no default");
    let shown = desk.at_site(&["config", "show"]).ended(0);
    assert!(shown.contains("max_load = 1.5  # default\n"), "{shown}");
    let more = "\n[sources.casu]\nurl = \"s3://survey/raw\"\nmax_connections = 3\nsecret_env = \"CASU_SECRET\"\n";
    std::fs::write(&path, text.replace("# max_load = 1.5", "max_load = 2.5") + more)
        .expect("written");
    let line = |wanted: &str| {
        let text = std::fs::read_to_string(&path).expect("there");
        text.lines().position(|l| l == wanted).expect("a line") + 1
    };
    let mut command = desk.command(&["config", "show"]);
    command.env("CASU_SECRET", "hidden");
    let shown = Said::from(command.output().expect("it starts")).ended(0);
    for wanted in [
        format!("max_load = 2.5  # almagest.toml:{}\n", line("max_load = 2.5")),
        "[sources.casu]\n".to_owned(),
        format!("max_connections = 3  # almagest.toml:{}\n", line("max_connections = 3")),
        "poll_seconds = 30  # default\n".to_owned(),
        "# the secret of source casu: environment (CASU_SECRET)\n".to_owned(),
    ] {
        assert!(shown.contains(&wanted), "{wanted}:\n{shown}");
    }
    assert!(!shown.contains("hidden"), "{shown}");
    // Impossible values stop every command, all of them named.
    let wrong = "[plan]\nheartbeat_timeout_seconds = 0\nmax_load = nan\n[ingest]\nlisten = \"nonsense\"\n[hosts.n1]\ncores = 0\n";
    std::fs::write(&path, wrong).expect("written");
    let said = desk.at_site(&["status"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    for wanted in [
        "line 2: plan.heartbeat_timeout_seconds: 0",
        "line 3: plan.max_load: NaN",
        "line 5: ingest.listen: \"nonsense\"",
        "line 7: hosts.n1.cores: 0",
    ] {
        assert!(said.err.contains(wanted), "{wanted}: {}", said.err);
    }
}

#[test]
fn doctor_reports_what_is_absent_and_who_cannot_write() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let desk = Desk::new();
    desk.at_site(&["doctor"]).ended(0);
    desk.configure(&[("directories = []", "directories = [\"../nowhere\"]")]);
    let said = desk.at_site(&["doctor"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(
        said.out.contains("FAULT [inbox] directories: ") && said.out.contains("nowhere"),
        "{said:?}"
    );
    std::fs::create_dir(desk.dir.path().join("nowhere")).expect("made");
    desk.at_site(&["doctor"]).ended(0);
    if !rustix::process::getuid().is_root() {
        return;
    }
    // A user of the group, who may read and not write.
    for path in [desk.dir.path().to_owned(), desk.site.clone()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("ours");
    }
    let program = desk.dir.path().join("almagest");
    std::fs::copy(env!("CARGO_BIN_EXE_almagest"), &program).expect("copied");
    let mut command = std::process::Command::new(&program);
    command.arg("--site").arg(&desk.site).arg("doctor").uid(65534).gid(0);
    command.env_remove("ALMAGEST_SITE").env("USER", "nemo").current_dir("/");
    let said = Said::from(command.output().expect("it starts"));
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.out.contains("cannot write to") && said.out.contains("library"), "{said:?}");
    assert!(!said.out.contains("nemo"), "the account, not $USER: {said:?}");
}

#[test]
fn users_are_named_by_their_account() {
    let desk = Desk::new();
    let run = |environment: &[(&str, &str)]| {
        let mut command = desk.command(&["pause", "--all", "--reason", "x"]);
        command.env_remove("ALMAGEST_OPERATOR").env_remove("SUDO_USER");
        command.envs(environment.iter().copied());
        Said::from(command.output().expect("it starts")).ended(0);
        desk.value("SELECT who FROM instruction").as_str().expect("a name").to_owned()
    };
    let id = std::process::Command::new("id").arg("-un").output().expect("id is there");
    let account = String::from_utf8_lossy(&id.stdout).trim().to_owned();
    assert_eq!(run(&[("USER", "nemo"), ("LOGNAME", "nemo")]), account);
    assert_eq!(run(&[("ALMAGEST_OPERATOR", "anna")]), format!("anna ({account})"));
}

#[test]
fn two_signals_in_a_row_end_a_daemon_in_order() {
    let desk = Desk::new();
    desk.in_a_hurry();
    let large = Small { frames: 6, size: 1024, ..night(NIGHTS[0]) };
    desk.transfer(&[large]);
    let daemon = Daemon::start(&desk, &["data", "--auto"], &[]);
    until("work", || desk.status()["running_attempts"].as_u64().unwrap_or(0) > 0);
    for _ in 0..20 {
        operator::signal(daemon.process(), rustix::process::Signal::TERM);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let said = daemon.wait();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("data daemon stopped"), "{said:?}");
    assert_eq!(desk.status()["running_attempts"], 0, "nothing was left");
}

#[test]
fn an_undelivered_notification_is_reported() {
    let desk = Desk::new();
    desk.in_a_hurry();
    desk.configure(&[
        ("command = []", "command = [\"/nowhere/tell\"]"),
        ("low_disk_gb = 20", "low_disk_gb = 900000000"),
    ]);
    let daemon = Daemon::start(&desk, &["data"], &[]);
    until("the fault", || desk.at_site(&["doctor"]).out.contains("notifications fail"));
    assert!(desk.at_site(&["status"]).ended(0).contains("notifications fail"));
    desk.configure(&[("command = [\"/nowhere/tell\"]", "command = [\"true\"]")]);
    let said = daemon.end();
    assert_eq!(said.err.matches("notifications fail").count(), 1, "once: {}", said.err);
    let daemon = Daemon::start(&desk, &["data"], &[]);
    until("its end", || !desk.at_site(&["doctor"]).out.contains("notifications fail"));
    daemon.end().ended(0);
}

#[test]
fn a_list_in_a_pipe_is_whole() {
    let desk = Desk::bare();
    let delivery = desk.simulate(&Small { faults: true, ..night(NIGHTS[0]) });
    desk.run(&delivery).ended(1);
    let list = desk.at_site(&["refusals", "list"]).ended(0);
    for refusal in desk.refusals() {
        let (file, message) = (
            refusal["file"].as_str().expect("a file"),
            refusal["message"].as_str().expect("a message"),
        );
        assert!(list.contains(file), "{file}:\n{list}");
        let is_plain = message.chars().all(|c| c.is_ascii() && !c.is_control());
        assert!(!is_plain || list.contains(message), "{message}:\n{list}");
        assert!(refusal["first_seen"].as_str().is_some_and(|t| t.ends_with('Z')), "{refusal}");
    }
}

/// Ten thousand deliveries, each with a file of the same name and seven open tasks.
#[test]
fn reports_of_a_large_archive_stay_short() {
    let desk = Desk::new();
    let archive = rusqlite::Connection::open(desk.site.join("archive.db")).expect("it opens");
    archive
        .execute_batch(
            "BEGIN;
             CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT i FROM n;
             INSERT INTO delivery (delivery_id, name, night, source, state, first_seen, last_arrival)
                 SELECT i, strftime('%Y%m%d_v1', '2000-01-01', i || ' days'),
                     CAST(strftime('%Y%m%d', '2000-01-01', i || ' days') AS INTEGER), '/gone', 'registered',
                     '2001-01-01T00:00:00Z', '2001-01-01T00:00:00Z' FROM n;
             INSERT INTO file (file_id, delivery_id, name, sha256, bytes, kind, format, path, state, arrived, registered)
                 SELECT i, i, 'SHA256SUMS', printf('%064d', i), 1, 'other', 'text', printf('%d/SHA256SUMS', i), 'current',
                     '2001-01-01T00:00:00Z', '2001-01-01T00:00:00Z' FROM n;
             INSERT INTO unit (unit_id, delivery_id, use_case, round, recipe, state, opened)
                 SELECT i, i, 'preview', 1, '', 'ready', '2001-01-01T00:00:00Z' FROM n;
             INSERT INTO unit_history SELECT i, 1, 'waiting', 'ready', '2001-01-01T00:00:00Z', 'x', 'new files' FROM n;
             INSERT INTO task (unit_id, number, survey, state) SELECT n.i, m.i, 'wfcam', 'open' FROM n, n AS m WHERE m.i <= 7;
             INSERT INTO instruction_history (number, subject, name, act, value, is_set, changed, who, why)
                 SELECT i, 'delivery', 'd' || i, 'pause', '', 1, '2001-01-01T00:00:00Z', 'x', 'y' FROM n;
             COMMIT;",
        )
        .expect("a large archive");
    let status = desk.at_site(&["status"]).ended(0);
    assert!(status.lines().count() < 60, "{status}");
    for words in [
        "20 of 10 000 deliveries listed",
        "10 000 registered",
        "10 000 rounds not finished",
        "status --all",
    ] {
        assert!(status.contains(words), "{words}:\n{status}");
    }
    assert!(
        status.contains("20270519_v1") && !status.contains("20000102_v1"),
        "the latest: {status}"
    );
    let one = desk.at_site(&["status", "--night", "20000102"]).ended(0);
    assert!(one.contains("20000102_v1") && one.lines().count() < 20, "{one}");
    desk.at_site(&["status", "--night", "19990101"]).ended(3);
    let explained = desk.at_site(&["explain", "SHA256SUMS"]).ended(0);
    assert!(explained.lines().count() < 60, "{explained}");
    assert!(explained.contains("… and 9990 older files of that name"), "{explained}");
    assert!(explained.contains("20270519_v1/SHA256SUMS"), "the latest first: {explained}");
    // A line for each delivery and one for each round.
    let all = desk.at_site(&["status", "--all"]).ended(0);
    assert!(all.lines().count() < 20_020 && all.contains("20000102_v1"), "{}", all.lines().count());
    let history = desk.at_site(&["plan", "--history"]).ended(0);
    assert!(history.lines().count() < 60 && history.contains("9 950 older"), "{history}");
    let more = desk.at_site(&["explain", "SHA256SUMS", "--limit", "12"]).ended(0);
    assert!(more.contains("… and 9988 older files"), "{more}");
}

#[test]
fn explain_names_the_successor() {
    for desk in Desk::of_both_engines() {
        let first = desk.simulate(&night(NIGHTS[0]));
        desk.run(&first).ended(0);
        let second = desk.simulate(&Small { version: 2, ..night(NIGHTS[0]) });
        desk.run(&second).ended(0);
        let row = &desk.rows(
            "SELECT file.name, multiframe_id FROM file JOIN image USING (file_id) JOIN delivery USING (delivery_id)
             WHERE delivery.name = '20071011_v1' ORDER BY multiframe_id LIMIT 1",
        )[0];
        let name = row["name"].as_str().expect("a name");
        let told = desk.at_site(&["explain", &format!("20071011_v1/{name}")]).ended(0);
        assert!(
            told.contains("superseded in event")
                && told.contains(&format!("by 20071011_v2/{name}")),
            "{told}"
        );
        let by_id =
            desk.at_site(&["explain", "multiframe", &row["multiframe_id"].to_string()]).ended(0);
        assert!(
            by_id.contains(&format!("20071011_v1/{name}")) && by_id.contains("superseded in event"),
            "{by_id}"
        );
        let path = desk.site.join("library/20071011_v1").join(name);
        let by_path = desk.at_site(&["explain", path.to_str().expect("UTF-8")]).ended(0);
        assert!(by_path.contains(&format!("20071011_v1/{name}")), "{by_path}");
        let of_night = desk.at_site(&["explain", "night", "20071011"]).ended(0);
        assert!(of_night.contains("has 2 deliveries"), "{of_night}");
        // An object of the earlier processing, and a position in it.
        let object = &desk.rows(
            "SELECT programme_id, first_obj_id FROM detector_rows WHERE end_event IS NOT NULL ORDER BY 1, 2 LIMIT 1",
        )[0];
        let told =
            desk.at_site(&["explain", "object", &object["first_obj_id"].to_string()]).ended(0);
        assert!(
            told.contains("the rows were superseded in event") && told.contains("20071011_v2/"),
            "{told}"
        );
        let at = &desk.rows("SELECT central_ra, central_dec FROM astrometry WHERE central_ra IS NOT NULL ORDER BY multiframe_id, ext_num LIMIT 1")[0];
        let told = desk
            .at_site(&["explain", &at["central_ra"].to_string(), &at["central_dec"].to_string()])
            .ended(0);
        assert!(
            told.contains("detectors that the archive shows") && told.contains("20071011_v2/"),
            "{told}"
        );
        let pasted = format!("{} {}", at["central_ra"], at["central_dec"]);
        assert_eq!(desk.at_site(&["explain", &pasted]).ended(0), told);
        let told = desk.at_site(&["explain", "10", "-89"]).ended(0);
        assert!(told.contains("is on no detector of this archive"), "{told}");
        let wrong = desk.at_site(&["explain", "10", "95"]);
        assert_eq!(wrong.code, Some(2), "{wrong:?}");
        desk.at_site(&["explain", "multiframe", "999999"]).ended(3);
    }
}

#[test]
fn an_image_whose_catalogue_was_refused_has_one() {
    let desk = Desk::new();
    let delivery = desk.simulate(&night(NIGHTS[0]));
    let mut catalogues: Vec<_> = std::fs::read_dir(&delivery)
        .expect("there")
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.to_string_lossy().contains("_cat"))
        .collect();
    catalogues.sort();
    let catalogue = &catalogues[0];
    let whole = std::fs::read(catalogue).expect("readable");
    std::fs::write(catalogue, &whole[..4000]).expect("cut");
    desk.run(&delivery);
    let name = catalogue.file_name().expect("a name").to_string_lossy().into_owned();
    let image = name.split("_cat").next().expect("a stem");
    let images = desk.rows(&format!("SELECT name FROM file WHERE kind = 'image' AND name LIKE '{image}%' ORDER BY length(name) LIMIT 1"));
    let told = desk.at_site(&["explain", images[0]["name"].as_str().expect("a name")]).ended(0);
    assert!(
        told.contains(&format!("the catalogue {name} of the image was refused (refusal ")),
        "{told}"
    );
    assert!(
        !told.contains("the image has no catalogue") && told.contains("suggestions:"),
        "{told}"
    );
}
