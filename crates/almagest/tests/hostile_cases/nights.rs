//! Whole nights with damaged files among the sound ones.

use super::{calm_words, expected, is_calm, plant};
use crate::operator::{Desk, Small};
use serde_json::{Value, json};
use simulate::NightSpec;
use std::collections::BTreeMap;
use std::path::Path;
use testkit::damage::{Planted, all, named};

/// Kinds taken alone when not all are requested.
const SAMPLE: usize = 12;

/// What the archive holds of each file, by table.
type Holdings = BTreeMap<(String, String), Value>;

fn holdings(desk: &Desk) -> Holdings {
    let tables = [
        ("multiframe_detector", "sum(ext_num) AS sum"),
        ("preview", "sum(ext_num) AS sum"),
        ("detection", "sum(ext_num * seq_num) AS sum, round(sum(ra), 6) AS sum_ra"),
    ];
    let mut holdings = Holdings::new();
    for (table, sums) in tables {
        let query = format!(
            "SELECT file_name, count(*) AS rows, {sums} FROM {table} JOIN multiframe USING (multiframe_id)
             GROUP BY file_name"
        );
        for mut row in desk.rows(&query) {
            let file = row["file_name"].take().as_str().unwrap().to_owned();
            holdings.insert((file, table.to_owned()), row);
        }
    }
    holdings
}

/// Whatever the sound night gave is there, to the row.
#[track_caller]
fn holds_all_of(desk: &Desk, sound: &Holdings, what: &str) -> Holdings {
    let found = holdings(desk);
    for (key, row) in sound {
        assert_eq!(found.get(key), Some(row), "{what}: {key:?}");
    }
    found
}

/// Refusals, archive and exit code after the first run of a delivery with planted files.
#[track_caller]
fn run_is_as_expected(desk: &Desk, delivery: &Path, planted: &[Planted], sound: &Holdings) {
    let what: Vec<&str> = planted.iter().map(|p| p.kind).collect();
    let what = if what.len() == 1 { what[0] } else { "the night" };
    let said = desk.run(delivery);
    assert_eq!(said.code, Some(1), "{what}: {said:?}");
    is_calm(what, &(said.out + &said.err));
    let wrong = expected::differences(planted, delivery, &desk.refusals());
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
    let found = holds_all_of(desk, sound, what);
    for one in planted {
        let name = one.file.to_str().unwrap_or_default();
        if let Some(root) = name.strip_suffix("_cat.fits").or(name.strip_suffix(".fit")) {
            gives(&found, delivery, one, root);
        }
    }
    desk.verified();
    assert!(!desk.dir.path().join("almagest-was-here").exists(), "no shell saw the name");
}

/// The sound part of a damaged file is in the archive, and no more.
#[track_caller]
fn gives(found: &Holdings, delivery: &Path, planted: &Planted, root: &str) {
    let damage = named(planted.kind).unwrap();
    let image = format!("{root}.fit");
    let catalogue = delivery.join(format!("{root}_cat.fits")).exists();
    let key = (image, "detection".to_owned());
    let count = found.get(&key).map_or(json!(0), |row| row["rows"].clone());
    assert_eq!(count, json!(expected::detections(damage, catalogue)), "{damage:?}");
}

#[test]
fn every_damage_in_one_night() {
    let night = Small::default();
    let whole = Desk::new();
    let sound_delivery = whole.simulate(&night);
    whole.run(&sound_delivery).ended(0);
    let sound = holdings(&whole);

    let desk = Desk::new();
    let delivery = desk.simulate(&night);
    let planted = testkit::damage::plant(&delivery, &NightSpec::default()).unwrap();
    println!("{} of {} kinds can be made here", planted.len(), all().count());
    assert!(planted.len() >= 70);
    assert_eq!(expected::kinds_unknown(), Vec::<&str>::new());
    run_is_as_expected(&desk, &delivery, &planted, &sound);
    reads_well(&desk, &planted);

    let before = desk.refusals();
    desk.run(&delivery).ended(0); // refused before, and still: nothing new
    let key = |r: &Value| json!([r["number"], r["code"], r["state"], r["round"]]);
    let keys = |all: &[Value]| all.iter().map(key).collect::<Vec<_>>();
    assert_eq!(keys(&desk.refusals()), keys(&before));
    holds_all_of(&desk, &sound, "the second run");
}

/// Checks the lists and explanations that an operator reads.
fn reads_well(desk: &Desk, planted: &[Planted]) {
    let list = calm_words(desk, &["refusals"], 0);
    for one in planted {
        let name = files::shown(&one.file);
        assert!(!list.contains(one.kind) || list.contains(&name), "{name} is whole in a pipe");
    }
    let short = planted.iter().find(|one| one.kind == "row_too_short").unwrap();
    let image = files::shown(&short.file).replace("_cat.fits", ".fit");
    let explained = desk.at_site(&["explain", &image]).out;
    assert!(explained.contains(short.code), "its catalogue's refusal: {explained}");
    let status = calm_words(desk, &["status"], 0);
    assert!(status.contains("open refusals: "), "{status}");
    let refusals = desk.refusals();
    let numbers: Vec<String> = refusals.iter().map(|r| r["number"].to_string()).collect();
    let mut show = vec!["refusals", "show"];
    show.extend(numbers.iter().map(String::as_str));
    let shown = calm_words(desk, &show, 0);
    for one in planted {
        let name = files::shown(&one.file);
        assert!(shown.contains(&name), "{name}");
        let explained = calm_words(desk, &["explain", "--", &name], 0);
        assert!(explained.contains(one.code), "{name}:\n{explained}");
        assert!(explained.contains("suggestions:"), "{name}:\n{explained}");
    }
    let as_delivered =
        desk.command(&["explain"]).arg(&planted_as(planted, "name_with_newline").file).output();
    assert!(as_delivered.unwrap().status.success(), "a name is found as a shell completes it");
}

fn planted_as<'a>(planted: &'a [Planted], kind: &str) -> &'a Planted {
    planted.iter().find(|p| p.kind == kind).unwrap()
}

/// A cut anywhere, at places that no table of kinds foresees.
#[test]
fn files_cut_anywhere() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 2, detections: 10, ..Small::default() });
    let mut names = Vec::new();
    for run in 90_001..90_025_u32 {
        let sound = super::sound(run);
        let (bytes, name) = match run % 2 {
            0 => (&sound.image, format!("{}.fit", sound.root)),
            _ => (&sound.catalogue, format!("{}_cat.fits", sound.root)),
        };
        // Every other one near the end, where only padding may be lost.
        let from_end = (run as usize * 7919) % if run % 4 < 2 { bytes.len() - 1 } else { 2880 };
        std::fs::write(delivery.join(&name), &bytes[..bytes.len() - 1 - from_end]).unwrap();
        names.push(name);
    }
    desk.run(&delivery).ended(1);
    let refusals = desk.refusals();
    names.sort();
    let mut files: Vec<&str> = refusals.iter().map(|r| r["file"].as_str().unwrap()).collect();
    files.sort_unstable(); // catalogues come before images
    assert_eq!(files, names);
    let codes = ["missing_end", "truncated", "truncated_padding", "not_an_hdu", "no_data"];
    for refusal in &refusals {
        assert!(codes.contains(&refusal["code"].as_str().unwrap()), "{refusal}");
        assert_eq!(refusal["ext_num"], Value::Null, "{refusal}");
    }
    desk.verified();
}

#[test]
fn the_simulator_plants_the_same() {
    let desk = Desk::new();
    let mut command = desk.command(&["simulate", "faulty", "--frames", "2", "--faults"]);
    let said = crate::operator::Said::from(command.output().unwrap()).ended(0);
    is_calm("simulate --faults", &said);
    let planted = said.lines().filter(|line| line.starts_with("planted: ")).count();
    let made =
        all().filter(|d| d.make(&super::sound(90_001)).files.iter().all(|f| f.1.can_be_made()));
    assert_eq!(planted, made.count());
}

#[test]
fn each_damage_alone() {
    let night = Small { frames: 2, detections: 10, ..Small::default() };
    let whole = Desk::new();
    let delivery = whole.simulate(&night);
    whole.run(&delivery).ended(0);
    let sound = holdings(&whole);
    let kinds: Vec<&str> = all().map(|damage| damage.name).collect();
    let chosen = match std::env::var("ALMAGEST_FAULTS").as_deref() {
        Ok("all") => kinds,
        _ => sample(kinds),
    };
    let mut made = 0;
    for kind in &chosen {
        let desk = Desk::new();
        let delivery = desk.simulate(&night);
        let Some(planted) = plant(&delivery, kind, 90_001) else {
            println!("{kind}: cannot be made here");
            continue;
        };
        println!("{kind}: {}", planted.code);
        run_is_as_expected(&desk, &delivery, &[planted], &sound);
        made += 1;
    }
    println!("{made} of {} kinds alone", chosen.len());
    assert!(made + 2 >= chosen.len(), "only devices and missing rights may stand in the way");
}

/// Some kinds, other ones for another seed (`ALMAGEST_SEED`).
fn sample(mut kinds: Vec<&'static str>) -> Vec<&'static str> {
    let seed = std::env::var("ALMAGEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1_u64);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(2 * seed + 1);
    let mut chosen = Vec::new();
    while chosen.len() < SAMPLE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let index = usize::try_from(state % kinds.len() as u64).unwrap();
        chosen.push(kinds.swap_remove(index));
    }
    chosen
}
