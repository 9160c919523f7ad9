//! What nodes leave is trusted less than the curator: results made hostile in every field, files, links, rows. Each fails its own
//! task or batch with a reason, the honest one beside it comes through, and nothing outside its place is opened or removed.

use super::pass;
use super::staging::*;
use super::sweeping::{KEEP, lease_of_the_dead};
use archive::Site;
use archive::attempts::Started;
use archive::refusals::RefusalFilter;
use archive::retraction::purge::PurgeScope;
use ingest::sweep::sweep;
use model::task::{RESULT_NAME, TaskResult};
use model::{UnitKey, UnitState, UseCase};
use serde_json::{Value as Json, json};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Leaves something in an attempt's directory in place of its honest result.
type Leave = Box<dyn Fn(&Started, &TaskResult)>;

fn raw(text: impl Into<Vec<u8>>) -> Leave {
    let text = text.into();
    Box::new(move |started, _| std::fs::write(started.directory.join(RESULT_NAME), &text).unwrap())
}

/// The honest result with one place changed, named as in JSON pointers.
fn changed(pointer: &'static str, value: Json) -> Leave {
    edited(move |result| {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        result.pointer_mut(parent).unwrap()[key] = value.clone();
    })
}

fn edited(edit: impl Fn(&mut Json) + 'static) -> Leave {
    Box::new(move |started, result| {
        let mut result = serde_json::to_value(result).unwrap();
        edit(&mut result);
        let path = started.directory.join(RESULT_NAME);
        std::fs::write(path, serde_json::to_vec(&result).unwrap()).unwrap();
    })
}

/// The honest result, with something done to its first file.
fn with_file(act: impl Fn(&Path) + 'static) -> Leave {
    Box::new(move |started, result| {
        stage::write_result(&started.directory, result).unwrap();
        act(&started.directory.join(&result.files[0].name));
    })
}

fn refusal_with(field: &'static str, value: Json) -> Leave {
    edited(move |result| {
        let mut refusal =
            json!({"code": "bad_rows", "file": "w00000_cat.fits", "message": "so", "rows": 1});
        refusal[field] = value.clone();
        result["refusals"].as_array_mut().unwrap().push(refusal);
    })
}

fn finding_with(field: &'static str, value: Json) -> Leave {
    edited(move |result| {
        let mut finding =
            json!({"code": "odd", "file": "w00000_cat.fits", "count": 1, "message": "so"});
        finding[field] = value.clone();
        result["findings"].as_array_mut().unwrap().push(finding);
    })
}

/// A description and what is left.
type Case = (String, Leave);

/// All that cannot be the result of the task.
fn hostile() -> Vec<Case> {
    let mut cases = hostile_numbers();
    cases.extend(hostile_values());
    cases.extend(hostile_names());
    cases.extend(hostile_lists());
    cases.extend(hostile_refusals_and_findings());
    cases.extend(hostile_texts());
    cases.extend(hostile_files());
    cases
}

fn hostile_numbers() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let numbers = || {
        let large = [json!(1_u64 << 63), json!(u64::MAX), json!(1_u64 << 41)];
        large.into_iter().chain([json!(-1), json!(1.5), json!("1"), json!(null), json!([])])
    };
    for pointer in [
        "/files/0/rows",
        "/files/0/bytes",
        "/hdus/0/rows_read",
        "/hdus/0/rows_written",
        "/hdus/0/rows_refused",
        "/detectors/0/first_row",
        "/detectors/0/rows",
        "/run/input_bytes",
    ] {
        cases.extend(numbers().map(|n| (format!("{pointer} = {n}"), changed(pointer, n))));
    }
    for pointer in ["/hdus/0/multiframe_id", "/detectors/0/multiframe_id"] {
        for n in [json!(0), json!(-1), json!(2), json!(999), json!(i64::MAX), json!(u64::MAX)] {
            cases.push((format!("{pointer} = {n}"), changed(pointer, n)));
        }
    }
    cases
}

fn hostile_values() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (pointer, values) in [
        ("/version", vec![json!(2), json!(u64::MAX), json!(-1), json!("1")]),
        ("/task", vec![json!(2), json!(u64::MAX)]),
        ("/attempt", vec![json!(0), json!(u32::MAX)]),
        ("/unit/delivery", vec![json!("../20071011_v1"), json!("20071012_v1"), json!("a\0b")]),
        ("/unit/round", vec![json!(9), json!(-1)]),
        ("/hdus/0/hdu", vec![json!(-1), json!(65_535), json!(70_000)]),
        (
            "/hdus/0/file",
            vec![json!(""), json!("/etc/passwd"), json!("w00001_cat.fits"), json!("a\0")],
        ),
        ("/hdus/0/nan", vec![json!({"a\u{0}b": 1}), json!({"x": u64::MAX}), json!([1])]),
        ("/detectors/0/ext_num", vec![json!(0), json!(-1), json!(3), json!(40_000)]),
        ("/detectors/0/version", vec![json!(0), json!(9), json!(-1)]),
        ("/detectors/0/programme_id", vec![json!(0), json!(-7), json!(1_u64 << 40)]),
        ("/files/0/programme_id", vec![json!(0), json!(-7), json!(null), json!(8)]),
        ("/files/0/table", vec![json!("refusal"), json!("../detection"), json!("jpeg"), json!("")]),
        ("/files/0/sha256", vec![json!(""), json!("../../x"), json!("A".repeat(64))]),
        ("/run/seconds", vec![json!(-1), json!(1e300)]),
        ("/run/cpu_seconds", vec![json!(-0.5), json!(1e12)]),
        ("/run/peak_memory_bytes", vec![json!(1_u64 << 63), json!(u64::MAX), json!(1_u64 << 51)]),
    ] {
        cases.extend(values.into_iter().map(|v| (format!("{pointer} = {v}"), changed(pointer, v))));
    }
    cases
}

/// Results whose file has a name that the archive would not choose.
fn hostile_names() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for name in [
        "/etc/passwd",
        "../../../victim",
        "..",
        "",
        ".hidden",
        "a/b",
        "detection\u{0}.7.parquet",
        "detection\u{1b}[2J.7.parquet",
        "result.json",
        "task.json",
        "detection.8.parquet",
    ] {
        let rename = move |result: &mut Json| {
            result["files"][0]["name"] = json!(name);
            for detector in result["detectors"].as_array_mut().unwrap() {
                detector["file"] = json!(name);
            }
        };
        cases.push((format!("a file named {name:?}"), edited(rename)));
    }
    cases
}

/// Results with entries that contradict each other or those of other tasks.
fn hostile_lists() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for list in ["files", "hdus", "detectors"] {
        let twice = move |result: &mut Json| {
            let first = result[list][0].clone();
            result[list].as_array_mut().unwrap().push(first);
        };
        cases.push((format!("{list} with an entry twice"), edited(twice)));
    }
    let kept = |multiframe: i64, ext_num: i64, version: i64| {
        let kept = json!([{"multiframe_id": multiframe, "ext_num": ext_num, "version": version}]);
        edited(move |result| result["kept"] = kept.clone())
    };
    cases.push(("a kept detector of others".to_owned(), kept(2, 2, 1)));
    cases.push(("a kept detector that has rows".to_owned(), kept(1, 2, 1)));
    cases.push(("a kept detector of another version".to_owned(), kept(1, 9, 7)));
    cases
}

fn hostile_refusals_and_findings() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (field, values) in [
        (
            "code",
            vec![json!(""), json!("Bad Code"), json!("a\u{0}"), json!("x; DROP TABLE"), json!("é")],
        ),
        ("file", vec![json!(""), json!("/etc/passwd"), json!("w00001_cat.fits"), json!("a\u{1b}")]),
        ("hdu", vec![json!(-1), json!(70_000)]),
        ("rows", vec![json!(1_u64 << 63), json!(-1)]),
        (
            "row_ranges",
            vec![
                json!([{"first": 0, "last": 1}]),
                json!([{"first": 3, "last": 2}]),
                json!([{"first": 1, "last": u64::MAX}]),
                json!("all"),
            ],
        ),
    ] {
        cases.extend(
            values.into_iter().map(|v| (format!("refusal {field} = {v}"), refusal_with(field, v))),
        );
    }
    for (field, values) in [
        ("code", vec![json!(""), json!("A B"), json!("\u{0}")]),
        ("file", vec![json!(""), json!("elsewhere.fit")]),
        ("files", vec![json!(1_u64 << 63), json!(u64::MAX), json!(-1)]),
        ("count", vec![json!(1_u64 << 63), json!(u64::MAX)]),
    ] {
        cases.extend(
            values.into_iter().map(|v| (format!("finding {field} = {v}"), finding_with(field, v))),
        );
    }
    cases
}

/// Results that are not the JSON of a result.
fn hostile_texts() -> Vec<Case> {
    let deep =
        format!("{{\"version\": 1, \"files\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        ("deep JSON".to_owned(), raw(deep)),
        ("no JSON".to_owned(), raw("all is well")),
        ("nothing".to_owned(), raw("")),
        ("no text".to_owned(), raw([0xff, 0xfe, 0x00, 0x80])),
        ("half a result".to_owned(), raw("{\"version\": 1, \"files\": [")),
        ("a list".to_owned(), raw("[]")),
        ("a key twice".to_owned(), raw("{\"version\": 1, \"version\": 1, \"files\": []}")),
        (
            "very many entries".to_owned(),
            raw(format!("{{\"version\": 1, \"findings\": [{}0]}}", "0,".repeat(300_000))),
        ),
    ]
}

/// Files and links of an attempt's directory that are not those of an honest attempt.
fn hostile_files() -> Vec<Case> {
    vec![
        (
            "a huge file".to_owned(),
            Box::new(|started, _| {
                let file = std::fs::File::create(started.directory.join(RESULT_NAME)).unwrap();
                file.set_len(1 << 40).unwrap();
            }),
        ),
        (
            "a link for a result".to_owned(),
            Box::new(|started, result| {
                stage::write_result(&started.directory, result).unwrap();
                let path = started.directory.join(RESULT_NAME);
                let aside = started.directory.join("aside");
                std::fs::rename(&path, &aside).unwrap();
                symlink(aside, path).unwrap();
            }),
        ),
        ("a file that is absent".to_owned(), with_file(|path| std::fs::remove_file(path).unwrap())),
        (
            "a file that is a link".to_owned(),
            with_file(|path| {
                let aside = path.with_extension("aside");
                std::fs::rename(path, &aside).unwrap();
                symlink(aside, path).unwrap();
            }),
        ),
        (
            "a file that is a directory".to_owned(),
            with_file(|path| {
                std::fs::remove_file(path).unwrap();
                std::fs::create_dir(path).unwrap();
            }),
        ),
        (
            "a directory that is a link".to_owned(),
            Box::new(|started, result| {
                stage::write_result(&started.directory, result).unwrap();
                let aside = started.directory.with_extension("aside");
                std::fs::rename(&started.directory, &aside).unwrap();
                symlink(aside, &started.directory).unwrap();
            }),
        ),
    ]
}

/// Each hostile result ends its own attempt; the task's next attempt is honest, and its round is ingested.
#[test]
fn a_hostile_result_fails_its_attempt_alone() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let (_site, mut archive) = new_site(&dir.path().join("site"));
        record(&mut archive, &night(2));
        stage_round(&mut archive, UseCase::Metadata, 1);
        pass(&mut archive);
        let unit = open_round(&mut archive, UseCase::Catalogue, 1, &|i| i.name == "w00000.fit");
        let key = archive.tasks(&unit).unwrap()[0].key.clone();
        let cases = hostile();
        for (n, (name, leave)) in cases.iter().enumerate() {
            let started = archive.start_attempt(&key, &lease_of_the_dead(), None, now()).unwrap();
            leave(&started, &work_off(&started));
            let report = sweep(&mut archive, KEEP, now()).unwrap();
            assert_eq!((report.collected, report.lost), (0, 1), "{name}: {report:?}");
            let task = &archive.tasks(&unit).unwrap()[0];
            assert_eq!((task.failures, task.running), (n as u32 + 1, false), "{name}");
        }
        assert!(cases.len() > 120, "{}", cases.len());
        let started = archive.start_attempt(&key, &lease_of_the_dead(), None, now()).unwrap();
        stage::write_result(&started.directory, &work_off(&started)).unwrap();
        assert_eq!(sweep(&mut archive, KEEP, now()).unwrap().collected, 1);
        let report = pass(&mut archive);
        assert_eq!((report.published.len(), report.refused.len()), (1, 0), "{report:?}");
        assert_eq!(report.rows_of("detection"), 20);
        assert!(archive.refusals(&RefusalFilter::default()).unwrap().is_empty());
        assert!(archive.findings(None).unwrap().is_empty());
    });
}

/// Unusual characters in texts that users read are no reason to lose a task's work: they are kept escaped and cut.
#[test]
fn texts_are_kept_escaped() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let (_site, mut archive) = new_site(&dir.path().join("site"));
        record(&mut archive, &night(1));
        stage_round(&mut archive, UseCase::Metadata, 1);
        let unit = open_round(&mut archive, UseCase::Catalogue, 1, &|_| true);
        let key = archive.tasks(&unit).unwrap()[0].key.clone();
        let started = archive.start_attempt(&key, &lease_of_the_dead(), None, now()).unwrap();
        let hostile = "a\u{0}b\u{1b}[2J\u{202e}c";
        let leave = edited(move |result| {
            result["refusals"] = json!([{"code": "bad_rows", "file": "w00000_cat.fits", "rows": 1,
                "keyword": hostile, "column": hostile, "message": hostile}]);
            result["findings"] = json!([{"code": "odd", "file": "w00000_cat.fits", "count": 1,
                "subject": hostile, "message": "m".repeat(1 << 20)}]);
            result["software"] = json!(hostile);
            result["run"]["host"] = json!(hostile);
        });
        leave(&started, &work_off(&started));
        assert_eq!(sweep(&mut archive, KEEP, now()).unwrap().collected, 1);
        let refusal = &archive.refusals(&RefusalFilter::default()).unwrap()[0].refusal;
        let kept = "a\\x00b\\x1b[2J\\u{202e}c";
        assert_eq!((refusal.message.as_str(), refusal.keyword.as_deref()), (kept, Some(kept)));
        let finding = &archive.findings(None).unwrap()[0];
        assert!(finding.message.len() < 5000 && finding.subject == kept, "{finding:?}");
        let report = pass(&mut archive);
        assert_eq!(report.published.len(), 2, "{report:?}");
    });
}

fn execute(site: &Site, sql: &str) {
    if site.is_embedded() {
        let connection = rusqlite::Connection::open(site.database()).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
        connection.execute_batch(sql).unwrap();
    } else {
        psql(site, sql);
    }
}

/// Results stored in the table are not trusted either: the batch is refused, and the other one continues.
#[test]
fn a_bad_row_in_the_table_refuses_its_batch_alone() {
    let cases: [(&str, &str); 8] = [
        ("w00000.jpg", "/victim.jpg"),
        ("w00000.jpg", "../../victim.jpg"),
        ("w00000.jpg", "w00001.jpg"),
        ("w00000.jpg", ".hidden.jpg"),
        ("preview.parquet", "detection.parquet"),
        ("\"rows\":0", "\"rows\":18446744073709551615"),
        ("\"version\":1", "\"version\":77"),
        ("{\"version\":1", "no result at all {\"version\":1"),
    ];
    on_both_engines(|| {
        for (old, new) in cases {
            let dir = tempfile::tempdir().unwrap();
            let (site, mut archive) = new_site(&dir.path().join("site"));
            record(&mut archive, &night(2));
            stage_round(&mut archive, UseCase::Metadata, 1);
            pass(&mut archive);
            for name in ["w00000.fit", "w00001.fit"] {
                let unit = open_round(&mut archive, UseCase::Preview, 1, &|i| i.name == name);
                for started in start_all(&mut archive, &unit) {
                    archive.accept_result(&work_off(&started), now()).unwrap();
                }
            }
            drop(archive);
            execute(
                &site,
                &format!("UPDATE attempt SET result = replace(result, '{old}', '{new}')"),
            );
            let mut archive = reopen(&site);
            let report = pass(&mut archive);
            let failed = report.refused.len();
            assert!((1..=2).contains(&failed), "{old} -> {new}: {report:?}");
            // What was changed in the first batch alone leaves the second one as it was.
            let is_of_both = !old.starts_with('w');
            assert_eq!(report.published.len(), 2 - failed, "{old} -> {new}: {report:?}");
            assert_eq!(failed, if is_of_both { 2 } else { 1 }, "{old} -> {new}: {report:?}");
            assert!(report.postponed.is_empty(), "{old} -> {new}: {report:?}");
            assert!(!dir.path().join("victim.jpg").exists());
            assert!(pass(&mut archive).is_idle(), "{old} -> {new}: it is refused once");
        }
    });
}

/// A round of previews whose row names `path`; gives what became of it.
fn preview_at(site: &Site, archive: &mut archive::Archive, path: &str) -> ingest::PassReport {
    let unit = open_round(archive, UseCase::Preview, 1, &|_| true);
    for started in start_all(archive, &unit) {
        let mut result = work_off(&started);
        let rows: Vec<Row> = started
            .inputs
            .iter()
            .map(|input| {
                row([
                    ("multiframe_id", Value::Integer(input.multiframe_id.get())),
                    ("ext_num", Value::Integer(0)),
                    ("path", Value::Text(path.to_owned())),
                ])
            })
            .collect();
        let last = result.files.len() - 1;
        result.files[last] = write(&started.directory, "preview", &rows, None);
        archive.accept_result(&result, now()).unwrap();
    }
    assert!(site.staging().exists());
    pass(archive)
}

/// A path in a staged preview row is the one that the archive would choose, or the batch is refused. A path that is in the
/// table already is never removed by `retract` and `purge`.
#[test]
fn a_path_in_a_preview_row_moves_and_removes_nothing_else() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let (site, mut archive) = new_site(&dir.path().join("site"));
        let victim = dir.path().join("victim");
        let library = site.library().join("precious.fit");
        for file in [&victim, &library] {
            std::fs::write(file, "precious").unwrap();
        }
        record(&mut archive, &night(1));
        stage_round(&mut archive, UseCase::Metadata, 1);
        pass(&mut archive);
        let absolute = victim.display().to_string();
        let bad = [
            absolute.as_str(),
            "../../victim",
            "../library/precious.fit",
            "20071011_v1/../../library/precious.fit",
            "20071011_v1/w00001.jpg",
            "20071011_v1/w00000_2.jpg",
            "20071012_v1/w00000.jpg",
            "w00000.jpg",
            "",
            "20071011_v1/w00000.jpg\u{0}",
        ];
        for path in bad {
            let report = preview_at(&site, &mut archive, path);
            let checks: Vec<&str> = report.refused.iter().map(|r| r.check.as_str()).collect();
            assert_eq!(checks, ["preview_path"], "{path:?}: {report:?}");
        }
        let report = preview_at(&site, &mut archive, "20071011_v1/w00000.jpg");
        assert_eq!(report.published.len(), 1, "{report:?}");
        let jpeg = site.previews().join("20071011_v1/w00000.jpg");
        assert!(jpeg.is_file());
        for path in bad.iter().filter(|path| !path.contains('\0')) {
            drop(archive);
            execute(&site, &format!("UPDATE preview_all SET path = '{path}'"));
            archive = reopen(&site);
            archive.retract(&NIGHT.parse().unwrap(), &[UseCase::Preview], &cause(), now()).unwrap();
            archive.restore(&NIGHT.parse().unwrap(), &[UseCase::Preview], &cause(), now()).unwrap();
        }
        archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap();
        let purged = archive.purge(PurgeScope::All, &cause(), now()).unwrap();
        assert_eq!(purged.files, 0, "{purged:?}");
        assert!(victim.exists() && library.exists() && jpeg.exists());
    });
}

/// The places at which a directory of an attempt can be exchanged for a link: unit, round, task, attempt.
fn levels(directory: &Path, staging: &Path) -> Vec<PathBuf> {
    directory.ancestors().take_while(|dir| *dir != staging).map(Path::to_owned).collect()
}

#[test]
fn sweeping_follows_no_link_at_any_level() {
    on_both_engines(|| {
        for level in 0..4 {
            for is_inside in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                let (site, mut archive) = new_site(&dir.path().join("site"));
                record(&mut archive, &night(1));
                let unit = open_round(&mut archive, UseCase::Metadata, 1, &|_| true);
                let key = archive.tasks(&unit).unwrap()[0].key.clone();
                let started =
                    archive.start_attempt(&key, &lease_of_the_dead(), None, now()).unwrap();
                work_off(&started);
                let place = levels(&started.directory, &site.staging())[level].clone();
                let below = started.directory.strip_prefix(&place).unwrap().to_owned();
                let victim = dir.path().join("victim");
                std::fs::create_dir_all(victim.join(&below)).unwrap();
                let precious = victim.join(&below).join("precious");
                std::fs::write(&precious, "x").unwrap();
                if is_inside {
                    symlink(&victim, started.directory.join("link")).unwrap();
                    symlink(&precious, started.directory.join("file_link")).unwrap();
                } else {
                    std::fs::remove_dir_all(&place).unwrap();
                    symlink(&victim, &place).unwrap();
                }
                for _ in 0..2 {
                    let report = sweep(&mut archive, KEEP, now()).unwrap();
                    assert!(report.lost <= 1, "{report:?}");
                }
                assert!(precious.exists(), "level {level}, inside: {is_inside}");
                assert!(!(is_inside && started.directory.exists()));
            }
        }
    });
}

/// A directory of the table that is not the attempt's own is not swept.
#[test]
fn sweeping_follows_the_attempt_and_not_the_table() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let (site, mut archive) = new_site(&dir.path().join("site"));
        record(&mut archive, &night(1));
        let unit = open_round(&mut archive, UseCase::Metadata, 1, &|_| true);
        let key = archive.tasks(&unit).unwrap()[0].key.clone();
        let started = archive.start_attempt(&key, &lease_of_the_dead(), None, now()).unwrap();
        work_off(&started);
        drop(archive);
        let victim = site.library().join("night");
        std::fs::create_dir_all(&victim).unwrap();
        execute(&site, "UPDATE attempt SET directory = '../library/night'");
        sweep(&mut reopen(&site), KEEP, now()).unwrap();
        assert!(victim.exists() && !started.directory.exists());
    });
}

/// JPEGs that are links, or have a second name, never become a preview that others can change.
#[test]
fn a_preview_is_a_file_of_its_own() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let (site, mut archive) = new_site(&dir.path().join("site"));
        record(&mut archive, &night(1));
        stage_round(&mut archive, UseCase::Metadata, 1);
        pass(&mut archive);
        let unit = open_round(&mut archive, UseCase::Preview, 1, &|_| true);
        let started = start_all(&mut archive, &unit).remove(0);
        let result = work_off(&started);
        archive.accept_result(&result, now()).unwrap();
        let jpeg = started.directory.join("w00000.jpg");
        let second = dir.path().join("second");
        std::fs::hard_link(&jpeg, &second).unwrap();
        let report = pass(&mut archive);
        assert_eq!(report.published.len(), 1, "{report:?}");
        std::fs::write(&second, "changed afterwards").unwrap();
        let shown = std::fs::read_to_string(site.previews().join("20071011_v1/w00000.jpg"));
        assert!(shown.unwrap().starts_with("JPEG of w00000.fit"));
        // A directory on the way that became a link after the result was taken.
        let unit = open_round(&mut archive, UseCase::Preview, 1, &|_| true);
        let started = start_all(&mut archive, &unit).remove(0);
        archive.accept_result(&work_off(&started), now()).unwrap();
        let aside = dir.path().join("aside");
        std::fs::rename(&started.directory, &aside).unwrap();
        symlink(&aside, &started.directory).unwrap();
        let report = pass(&mut archive);
        assert_eq!(report.refused.len(), 1, "{report:?}");
        assert!(aside.join("w00000.jpg").exists(), "nothing was moved");
        assert_eq!(archive.unit_state(&unit).unwrap(), UnitState::Failed);
    });
}

/// Starts every task of a round on a node: what this program does itself it trusts.
fn start_on_node(archive: &mut archive::Archive, unit: &UnitKey) -> Vec<Started> {
    let far = archive::attempts::Lease { executor: "ssh".to_owned(), ..lease() };
    let tasks = archive.tasks(unit).unwrap();
    tasks.iter().map(|t| archive.start_attempt(&t.key, &far, None, now()).unwrap()).collect()
}

/// Rewrites a staged file with changed columns and another compression, as a hostile node could.
fn staged_by_hand(
    directory: &Path,
    file: &mut model::task::StagedFile,
    packing: parquet::basic::Compression,
    change: &dyn Fn(&mut Vec<arrow_array::ArrayRef>, &model::tables::Table),
) {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let table = model::tables::table(&file.table).unwrap();
    let path = directory.join(&file.name);
    let source = std::fs::File::open(&path).unwrap();
    let batch =
        ParquetRecordBatchReaderBuilder::try_new(source).unwrap().build().unwrap().next().unwrap();
    let mut columns = batch.unwrap().columns().to_vec();
    change(&mut columns, table);
    let batch = arrow_array::RecordBatch::try_new(table.arrow_schema(), columns).unwrap();
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(packing)
        .set_dictionary_enabled(false)
        .build();
    let out = std::fs::File::create(&path).unwrap();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(out, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let (sha256, bytes) = files::sha256(std::fs::File::open(&path).unwrap()).unwrap();
    (file.sha256, file.bytes) = (model::Sha256::new(sha256), bytes);
}

type Change = fn(&mut Vec<arrow_array::ArrayRef>, &model::tables::Table);

/// A round whose first staged file was written by hand: the check that refused it, or `None` when it was published.
fn check_of_rows(
    use_case: UseCase,
    packing: parquet::basic::Compression,
    change: Change,
) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let (_site, mut archive) = new_site(&dir.path().join("site"));
    record(&mut archive, &night(2));
    if use_case == UseCase::Catalogue {
        stage_round(&mut archive, UseCase::Metadata, 1);
        pass(&mut archive);
    }
    let bad = open_round(&mut archive, use_case, 1, &|i| i.name == "w00000.fit");
    let good = open_round(&mut archive, use_case, 1, &|i| i.name == "w00001.fit");
    for unit in [&bad, &good] {
        for started in start_on_node(&mut archive, unit) {
            let mut result = work_off(&started);
            if *unit == bad {
                staged_by_hand(&started.directory, &mut result.files[0], packing, &change);
            }
            archive.accept_result(&result, now()).unwrap();
        }
    }
    let report = pass(&mut archive);
    assert!(report.postponed.is_empty(), "{report:?}");
    let is_published = |unit: &UnitKey| report.published.iter().any(|p| p.unit == *unit);
    assert!(is_published(&good), "the other round continues: {report:?}");
    if is_published(&bad) {
        return None;
    }
    assert_eq!(archive.unit_state(&bad).unwrap(), UnitState::Failed);
    Some(report.refused[0].check.clone())
}

#[test]
fn rows_that_their_table_does_not_take_refuse_the_batch() {
    use arrow_array::{Array, Float32Array, Float64Array, Int64Array, StringArray};
    use parquet::basic::{Compression, ZstdLevel};
    use std::sync::Arc;
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
    let plain = Compression::UNCOMPRESSED;
    let nan: Change = |columns, table| {
        let at = table.columns.iter().position(|c| c.kind == model::tables::ColumnType::F32);
        let at = at.unwrap();
        columns[at] = Arc::new(Float32Array::from(vec![f32::NAN; columns[at].len()]));
    };
    let infinite: Change = |columns, table| {
        let at = table.position("ra").unwrap();
        columns[at] = Arc::new(Float64Array::from(vec![f64::INFINITY; columns[at].len()]));
    };
    let far: Change = |columns, table| {
        let at = table.position("dec").unwrap();
        columns[at] = Arc::new(Float64Array::from(vec![4.0e9; columns[at].len()]));
    };
    let zeros: Change = |columns, table| {
        let at = table.position("file_name").unwrap();
        columns[at] = Arc::new(StringArray::from(vec!["0".repeat(900 << 20)]));
    };
    let long: Change = |columns, table| {
        let at = table.position("file_name").unwrap();
        columns[at] = Arc::new(StringArray::from(vec!["0".repeat(8 << 20)]));
    };
    let foreign: Change = |columns, _| columns[0] = Arc::new(Int64Array::from(vec![2_i64]));
    let nul: Change = |columns, table| {
        let at = table
            .columns
            .iter()
            .position(|c| c.kind == model::tables::ColumnType::Text && c.nullable);
        columns[at.unwrap()] = Arc::new(StringArray::from(vec!["M31\u{0}\u{0}rubbish\u{1b}"]));
    };
    on_both_engines(|| {
        let content = Some("content".to_owned());
        assert_eq!(check_of_rows(UseCase::Catalogue, zstd, nan), content);
        assert_eq!(check_of_rows(UseCase::Catalogue, zstd, infinite), content);
        assert_eq!(check_of_rows(UseCase::Catalogue, zstd, far), content);
        assert_eq!(check_of_rows(UseCase::Metadata, zstd, zeros), content);
        assert_eq!(check_of_rows(UseCase::Metadata, plain, long), content);
        let misfit = Some("multiframe_id".to_owned());
        assert_eq!(check_of_rows(UseCase::Metadata, plain, foreign), misfit);
        assert_eq!(check_of_rows(UseCase::Metadata, plain, nul), None, "it is cut and noted");
    });
}

/// A staged file whose bytes are damaged anywhere, with the checksum of the damaged bytes: no thread panics, and nothing is
/// blocked.
#[test]
fn damaged_parquet_refuses_its_batch() {
    for use_case in [UseCase::Metadata, UseCase::Catalogue] {
        let dir = tempfile::tempdir().unwrap();
        let (_site, mut archive) = new_site(&dir.path().join("site"));
        record(&mut archive, &night(1));
        if use_case == UseCase::Catalogue {
            stage_round(&mut archive, UseCase::Metadata, 1);
            pass(&mut archive);
        }
        for n in 0..24_u64 {
            let unit = open_round(&mut archive, use_case, 1, &|_| true);
            let started = start_on_node(&mut archive, &unit).remove(0);
            let mut result = work_off(&started);
            let file = &mut result.files[0];
            let path = started.directory.join(&file.name);
            let mut bytes = std::fs::read(&path).unwrap();
            // The footer first, then all over the file.
            let length = bytes.len() as u64;
            let at = if n < 16 { length - 9 - n * 13 } else { length * (n - 16) / 8 + 5 };
            for byte in &mut bytes[at as usize..][..4] {
                *byte ^= 0xff;
            }
            std::fs::write(&path, &bytes).unwrap();
            let (sha256, length) = files::sha256(bytes.as_slice()).unwrap();
            (file.sha256, file.bytes) = (model::Sha256::new(sha256), length);
            archive.accept_result(&result, now()).unwrap();
            let report = pass(&mut archive);
            let over = report.published.len() + report.refused.len();
            assert_eq!((over, report.postponed.len()), (1, 0), "{use_case} {n}: {report:?}");
        }
    }
}
