//! `almagest run` killed at any instant, and run again: the same tables, ids included.
//!
//! An undisturbed run lists the named instants that it passes: before and after each commit and each publication of a file,
//! and more. The kills aim at the first passing of each, then at others of them and at random times in turn.
//! `ALMAGEST_KILLS` sets their number.

mod operator;

use operator::{Content, Desk, Small};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Kills of an ordinary run of the suite: every instant once, then some at random.
const KILLS: usize = 75;

fn night() -> Small<'static> {
    Small { frames: 8, detections: 12, ..Small::default() }
}

struct Campaign {
    on_server: bool,
    delivery: std::path::PathBuf,
    undisturbed: Content,
    took: Duration,
    /// The instants that the run passed, in their order, as often as it did.
    passed: Vec<String>,
    _desk: Desk,
}

impl Campaign {
    /// A new site of the campaign's kind.
    fn desk(&self) -> Desk {
        desk(self.on_server).expect("there was one before")
    }
}

fn desk(on_server: bool) -> Option<Desk> {
    if on_server { Desk::on_server().map(|(desk, _)| desk) } else { Some(Desk::new()) }
}

fn campaign(on_server: bool) -> Option<Campaign> {
    let desk = desk(on_server)?;
    let delivery = desk.simulate(&night());
    let list = desk.inbox().with_file_name("passed");
    let mut command = desk.command(&["run", path(&delivery)]);
    let started = Instant::now();
    let code = command.env("ALMAGEST_CRASH_LIST", &list).output().expect("it starts").status.code();
    let took = started.elapsed();
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
    let passed = std::fs::read_to_string(&list).expect("it passes some");
    let passed = passed.lines().map(str::to_owned).collect();
    Some(Campaign { on_server, delivery, undisturbed: desk.content(), took, passed, _desk: desk })
}

/// The first passing of every instant, then the others in an order that `next` makes up.
fn aims(passed: &[String], next: &mut impl FnMut(u64) -> u64) -> (Vec<String>, Vec<String>) {
    let mut passings: HashMap<&str, u64> = HashMap::new();
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for name in passed {
        let passing = passings.entry(name).or_default();
        *passing += 1;
        let list = if *passing == 1 { &mut first } else { &mut others };
        list.push(format!("{name}:{passing}"));
    }
    for left in (1..others.len()).rev() {
        others.swap(left, usize::try_from(next(left as u64 + 1)).expect("small"));
    }
    (first, others)
}

/// Describes the progress of a killed run in a few words.
fn reached(desk: &Desk) -> String {
    let status = desk.at_site(&["status", "--json"]);
    if status.code != Some(0) {
        return "before the archive was readable".to_owned();
    }
    let status = status.json(0);
    let Some(delivery) = status["deliveries"].as_array().and_then(|d| d.first()) else {
        return "transfer".to_owned();
    };
    let rounds: Vec<String> = delivery["rounds"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|r| {
            format!(
                "{} {}",
                r["use_case"].as_str().unwrap_or("?"),
                r["state"].as_str().unwrap_or("?")
            )
        })
        .collect();
    if rounds.is_empty() { "registered".to_owned() } else { rounds.join(", ") }
}

fn recovered(desk: &Desk, campaign: &Campaign, what: &str) {
    let again = desk.run(&campaign.delivery);
    assert!(matches!(again.code, Some(0 | 1)), "{what}: {again:?}");
    desk.content().is_that_of(&campaign.undisturbed, what);
    let verified = desk.at_site(&["verify"]);
    assert_eq!(verified.code, Some(0), "{what}: {}{}", verified.out, verified.err);
}

fn kill_at_point(campaign: &Campaign, point: &str) -> bool {
    let desk = campaign.desk();
    let mut command = desk.command(&["run", path(&campaign.delivery)]);
    let ended = command.env("ALMAGEST_CRASH_AT", point).output().expect("it starts");
    let hit = ended.status.code().is_none();
    println!("{point}: {} ({})", if hit { "killed" } else { "not passed" }, reached(&desk));
    recovered(&desk, campaign, point);
    hit
}

fn kill_after(campaign: &Campaign, delay: Duration) {
    let desk = campaign.desk();
    let mut child = desk
        .command(&["run", path(&campaign.delivery)])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    std::thread::sleep(delay);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    println!("after {:.0} ms: killed ({})", delay.as_secs_f64() * 1e3, reached(&desk));
    recovered(&desk, campaign, &format!("{delay:?}"));
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn killed_anywhere_and_run_again_gives_the_same_tables() {
    killed_anywhere(false);
}

#[test]
fn killed_anywhere_on_a_server_too() {
    killed_anywhere(true);
}

/// Killed while a delivery is taken out, restored or purged, the archive is as before or as after.
#[test]
fn killed_while_retracting() {
    const PURGE: &[&str] = &["purge", "--reason", "x", "--yes"];
    const POINTS: [(&str, &[&str]); 8] = [
        ("retract:ended", &["retract", "20071011_v1", "--reason", "x"]),
        ("retract:before-commit", &["retract", "20071011_v1", "--reason", "x"]),
        ("retract:after-commit", &["retract", "20071011_v1", "--reason", "x"]),
        ("restore:before-commit", &["retract", "20071011_v1", "--undo", "--reason", "x"]),
        ("restore:after-commit", &["retract", "20071011_v1", "--undo", "--reason", "x"]),
        ("purge:before-commit", PURGE),
        ("purge:after-commit", PURGE),
        ("delete:before-commit", PURGE),
    ];
    for on_server in [false, true] {
        let Some(campaign) = campaign(on_server) else { return };
        let count = "SELECT count(*) FROM detection";
        for (point, words) in POINTS {
            let desk = campaign.desk();
            desk.run(&campaign.delivery).ended(0);
            let all = desk.count(count);
            if words == PURGE || words.contains(&"--undo") {
                desk.at_site(&["retract", "20071011_v1", "--reason", "x"]).ended(0);
            }
            let ended =
                desk.command(words).env("ALMAGEST_CRASH_AT", point).output().expect("it starts");
            assert!(ended.status.code().is_none(), "{point} was not passed");
            let seen = desk.count(count);
            assert!(seen == 0 || seen == all, "{point}: {seen} of {all}");
            if matches!(point, "purge:after-commit" | "delete:before-commit") {
                // The next pass of anything deletes the files that the purge noted.
                desk.at_site(&["ingest"]).ended(0);
            }
            desk.at_site(&["verify", "--checksums"]).ended(0);
            let again = desk.at_site(words);
            let was_done = point.ends_with("after-commit");
            let codes: &[i32] = if was_done && words[0] != "purge" { &[5] } else { &[0] };
            assert!(again.code.is_some_and(|c| codes.contains(&c)), "{point}: {again:?}");
            desk.at_site(&["verify", "--checksums"]).ended(0);
        }
    }
}

/// Killed while it merges partitions, a server's archive has every row once, and the next pass of anything drops the table that
/// belongs to no event.
#[test]
fn killed_while_folding() {
    let nights = ["20071011", "20071012", "20071013", "20071014"];
    let small = |n: usize| Small { night: nights[n], seed: n as u64 + 1, frames: 2, ..night() };
    for point in ["fold:filled", "fold:before-commit", "fold:after-commit"] {
        let Some((desk, database)) = Desk::on_server() else { return };
        for n in 0..3 {
            desk.run(&desk.simulate(&small(n))).ended(0);
        }
        let last = desk.simulate(&small(3));
        let mut command = desk.command(&["run", path(&last)]);
        command.envs([("ALMAGEST_MAX_PARTITIONS", "3"), ("ALMAGEST_CRASH_AT", point)]);
        let ended = command.output().expect("it starts");
        assert!(ended.status.code().is_none(), "{point} was not passed: {ended:?}");
        let count = "SELECT count(*), count(DISTINCT obj_id) FROM detection";
        let before = database.psql(count);
        // Anything that writes will do.
        desk.at_site(&["ingest"]).ended(0);
        let left = "SELECT count(*) FROM pg_class WHERE relname ~ '^detection_f' AND NOT relispartition AND relkind = 'r'";
        assert_eq!(database.psql(left), "0", "{point}");
        desk.verified();
        assert_eq!(database.psql(count), before, "{point}");
        desk.run(&last).ended(0);
        let rows = desk.count("SELECT count(*) FROM detection");
        assert_eq!(database.psql(count), format!("{rows}|{rows}"), "{point}");
        desk.at_site(&["verify", "--checksums"]).ended(0);
    }
}

fn killed_anywhere(on_server: bool) {
    let kills = std::env::var("ALMAGEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let Some(campaign) = campaign(on_server) else { return };
    let mut next = operator::numbers();
    let (first, others) = aims(&campaign.passed, &mut next);
    println!(
        "an undisturbed run takes {:.0} ms and passes {} instants, {} of them differ",
        campaign.took.as_secs_f64() * 1e3,
        campaign.passed.len(),
        first.len()
    );
    assert!(first.len() > 30, "{first:?}");
    let mut hits = 0;
    for point in first.iter().take(kills) {
        assert!(kill_at_point(&campaign, point), "{point} is not passed again");
        hits += 1;
    }
    let mut others = others.iter();
    let took = u64::try_from(campaign.took.as_millis()).expect("short").max(1);
    for n in first.len()..kills {
        let other = if n % 2 == 0 { others.next() } else { None };
        match other {
            // Of threads that work side by side, a later passing may be another's.
            Some(point) => hits += usize::from(kill_at_point(&campaign, point)),
            None => kill_after(&campaign, Duration::from_millis(next(took))),
        }
    }
    println!("{kills} kills, {hits} of them at named instants");
}
