//! `almagest run` killed at any instant, and run again: the same tables, ids included.
//!
//! Most of the first kills aim at named instants, those of publications first; the others fall at random times.
//! `ALMAGEST_KILLS` sets their number.

mod operator;

use operator::{Content, Desk, Small};
use std::path::Path;
use std::time::{Duration, Instant};

/// Instants (name and passing) between the first rename and the last commit of a publication of previews or detections.
/// The first publication of a night is that of its metadata, which renames nothing.
const PUBLICATION: &[&str] = &[
    "previews:renamed:1",
    "previews:renamed:7",
    "previews:synced:1",
    "ingest:loaded:2",
    "ingest:loaded:3",
    "publish:claimed:2",
    "publish:claimed:3",
    "publish:rows:2",
    "publish:rows:3",
    "publish:lake:2",
    "publish:lake:3",
    "publish:moved:2",
    "publish:moved:3",
    "publish:before-commit:2",
    "publish:before-commit:3",
];

/// Those that only one of the engines has, beside the others of [`PUBLICATION`].
const OF_THE_LAKE: &[&str] = &[
    "load:lake-files:1",
    "publish:before-sync:3",
    "publish:before-rename:4",
    "publish:after-rename:5",
];
const OF_THE_SERVER: &[&str] = &["load:copied:1", "load:before-commit:1", "load:after-commit:1"];

/// Instants elsewhere in a run.
const ELSEWHERE: &[&str] = &[
    "transfer:before-rename:1",
    "transfer:after-rename:3",
    "transfer:renamed:1",
    "register:before-commit:1",
    "register:after-commit:1",
    "round:before-commit:2",
    "start:after-commit:1",
    "node:before-result:2",
    "node:after-result:1",
    "result:before-commit:1",
    "result:after-commit:2",
    "publish:rows:1",
    "publish:after-commit:1",
    "reserve:before-commit:1",
    "reserve:after-commit:1",
    "publish:after-commit:3",
];

fn night() -> Small<'static> {
    Small { frames: 8, detections: 12, ..Small::default() }
}

struct Campaign {
    on_server: bool,
    delivery: std::path::PathBuf,
    undisturbed: Content,
    took: Duration,
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
    let started = Instant::now();
    let code = desk.run(&delivery).code;
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
    let took = started.elapsed();
    Some(Campaign { on_server, delivery, undisturbed: desk.content(), took, _desk: desk })
}

/// How far a killed run had come, in a few words.
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

/// Killed while a delivery is taken out, brought back or purged, the archive is as before or as after.
#[test]
fn killed_while_retracting() {
    const POINTS: [(&str, &[&str]); 7] = [
        ("retract:ended", &["retract", "20071011_v1", "--reason", "x"]),
        ("retract:before-commit", &["retract", "20071011_v1", "--reason", "x"]),
        ("retract:after-commit", &["retract", "20071011_v1", "--reason", "x"]),
        ("restore:before-commit", &["retract", "20071011_v1", "--undo", "--reason", "x"]),
        ("restore:after-commit", &["retract", "20071011_v1", "--undo", "--reason", "x"]),
        ("purge:before-commit", &["purge"]),
        ("purge:after-commit", &["purge"]),
    ];
    for on_server in [false, true] {
        let Some(campaign) = campaign(on_server) else { return };
        let count = "SELECT count(*) FROM detection";
        for (point, words) in POINTS {
            let desk = campaign.desk();
            desk.run(&campaign.delivery).ended(0);
            let all = desk.count(count);
            if !words.contains(&"x") || words.contains(&"--undo") {
                desk.at_site(&["retract", "20071011_v1", "--reason", "x"]).ended(0);
            }
            let ended =
                desk.command(words).env("ALMAGEST_CRASH_AT", point).output().expect("it starts");
            assert!(ended.status.code().is_none(), "{point} was not passed");
            let seen = desk.count(count);
            assert!(seen == 0 || seen == all, "{point}: {seen} of {all}");
            if point == "purge:after-commit" {
                // Files that a crash leaves are listed nowhere: they are found, and can go.
                desk.at_site(&["verify", "--repair"]);
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

fn killed_anywhere(on_server: bool) {
    let kills: usize =
        std::env::var("ALMAGEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(45);
    let Some(campaign) = campaign(on_server) else { return };
    let own = if on_server { OF_THE_SERVER } else { OF_THE_LAKE };
    println!("an undisturbed run takes {:.0} ms", campaign.took.as_secs_f64() * 1e3);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let aimed = own.iter().chain(PUBLICATION).chain(ELSEWHERE).take(kills * 4 / 5);
    let (mut done, mut hits) = (0, 0);
    for point in aimed {
        let hit = kill_at_point(&campaign, point);
        assert!(hit, "a run never passes {point}");
        hits += usize::from(PUBLICATION.contains(point) || own.contains(point));
        done += 1;
    }
    let took = u64::try_from(campaign.took.as_millis()).expect("short").max(1);
    for _ in done..kills {
        kill_after(&campaign, Duration::from_millis(next(took)));
    }
    println!(
        "{kills} kills, {hits} of them between the first rename and the last commit of a publication"
    );
    assert!(hits >= 10.min(kills * 4 / 5), "only {hits} kills hit a publication");
}
