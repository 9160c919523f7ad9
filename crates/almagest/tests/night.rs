//! One night from delivery to query, and everything that may happen to it on the way.

mod operator;

use operator::{Desk, Said, Small};
use serde_json::json;
use std::path::Path;

#[test]
fn a_night_becomes_queryable_and_a_repeated_run_changes_nothing() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small::default());
    let images = std::fs::read_dir(&delivery)
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "fit"))
        .count() as u64;
    desk.run(&delivery).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM multiframe"), images);
    assert_eq!(desk.count("SELECT count(*) FROM multiframe_detector"), 4 * images);
    assert_eq!(desk.count("SELECT count(*) FROM preview WHERE ext_num > 0"), 4 * images);
    assert_eq!(desk.count("SELECT count(*) FROM preview WHERE ext_num = 0"), images);
    let detections = desk.count("SELECT count(*) FROM detection");
    assert!(detections > 500, "{detections}");
    let dense = desk.rows(
        "SELECT programme_id, count(*) AS n, min(obj_id) AS low, max(obj_id) AS high FROM detection GROUP BY 1",
    );
    for programme in dense {
        assert_eq!(programme["low"], json!(1), "{programme}");
        assert_eq!(programme["high"], programme["n"], "{programme}");
    }
    desk.verified();
    let status = desk.at_site(&["status", "--json"]).json(0);
    assert_eq!(status["deliveries"][0]["state"], json!("complete"));

    let log = std::fs::read_to_string(desk.site.join("logs/almagest.log")).unwrap();
    assert!(log.contains("ingested 20071011_v1 catalogue round 1 in event "), "{log}");
    assert!(log.contains("20071011_v1 is complete") && log.contains("run ends with 0"), "{log}");

    let before = desk.content();
    let events = status["events"].clone();
    let said = desk.run(&delivery).ended(0);
    assert!(said.contains("everything is in the archive already"), "{said}");
    desk.content().is_that_of(&before, "the second run");
    assert_eq!(
        desk.at_site(&["status", "--json"]).json(0)["events"],
        events,
        "a second run does nothing"
    );
}

#[test]
fn single_steps_do_what_run_does() {
    let whole = Desk::new();
    let delivery = whole.simulate(&Small::default());
    whole.run(&delivery).ended(0);

    let steps = Desk::new();
    steps.at_site(&["transfer", delivery.to_str().unwrap()]).ended(0);
    assert_eq!(
        steps.at_site(&["catalogue"]).code,
        Some(0),
        "nothing is ready yet, which is not a failure"
    );
    let planned = steps.at_site(&["metadata", "--dry-run"]).ended(0);
    assert!(planned.contains("metadata") && planned.contains("new files"), "{planned}");
    assert_eq!(steps.at_site(&["metadata", "--dry-run"]).ended(0), planned, "nothing was done");
    for step in ["preview", "metadata", "catalogue", "ingest"] {
        steps.at_site(&[step, "--night", "20071011"]).ended(0);
    }
    steps.content().is_that_of(&whole.content(), "single steps");
    steps.verified();
}

#[test]
fn a_dry_run_prints_its_effect_and_changes_nothing() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small::default());
    let path = delivery.to_str().unwrap();
    let site = desk.site.to_str().unwrap();
    let before = desk.content();
    let files = std::fs::read_dir(&delivery).unwrap().count().to_string();
    for words in [["run", path, "--dry-run"], ["transfer", path, "--dry-run"]] {
        let said = desk.at_site(&words).ended(0);
        let counts = said.lines().find(|line| line.contains("20071011_v1")).unwrap_or(&said);
        assert_eq!(counts.split_whitespace().nth(1), Some(files.as_str()), "{said}");
    }
    let said = desk.at_site(&["programme", "add", "U99A1", "u/99a/1", "--dry-run"]).ended(0);
    assert!(said.contains("nothing is changed") && said.contains(": U99A1 for"), "{said}");
    desk.plain(&["init", site, "--dry-run"]).ended(5);
    desk.content().is_that_of(&before, "dry runs");
    assert_eq!(desk.count("SELECT count(*) FROM programme WHERE name = 'U99A1'"), 0);

    let other = desk.dir.path().join("other");
    let said = desk.plain(&["init", other.to_str().unwrap(), "--dry-run"]).ended(0);
    assert!(said.contains("would create site") && !other.exists(), "{said}");

    desk.run(&delivery).ended(0);
    let said = desk.at_site(&["run", path, "--dry-run"]).ended(0);
    let counts = said.lines().find(|line| line.contains("20071011_v1")).unwrap_or(&said);
    let counts: Vec<&str> = counts.split_whitespace().collect();
    assert_eq!((counts[1], *counts.last().unwrap()), ("0", files.as_str()), "{said}");
}

#[test]
fn a_lost_preview_is_recreated() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small::default());
    desk.run(&delivery).ended(0);
    let path = desk.value("SELECT path FROM preview WHERE ext_num = 2 ORDER BY path LIMIT 1");
    let lost = desk.site.join("previews").join(path.as_str().unwrap());
    let jpeg = std::fs::read(&lost).unwrap();
    std::fs::remove_file(&lost).unwrap();
    let said = desk.at_site(&["verify"]).ended(3);
    assert!(said.contains("preview --lost --delivery 20071011_v1"), "{said}");

    let previews = desk.count("SELECT count(*) FROM preview");
    desk.at_site(&["preview", "--again", "--delivery", "20071011_v1"]).ended(0);
    desk.at_site(&["ingest"]).ended(0);
    assert_eq!(std::fs::read(&lost).unwrap(), jpeg);
    assert_eq!(desk.count("SELECT count(*) FROM preview"), previews, "each is current once");
    desk.verified();
}

#[test]
fn late_files_join_their_delivery() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small::default());
    let late = desk.dir.path().join("late");
    std::fs::create_dir(&late).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(&delivery)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let catalogue = names.iter().find(|n| n.ends_with("_cat.fits")).unwrap().clone();
    let image = catalogue.replace("_cat.fits", ".fit");
    let other_catalogue = names.iter().filter(|n| n.ends_with("_cat.fits")).nth(1).unwrap().clone();
    for name in [&image, &other_catalogue] {
        std::fs::rename(delivery.join(name), late.join(name)).unwrap();
    }
    // A catalogue without its image waits, and says so.
    desk.run(&delivery).ended(1);
    let refusals = desk.refusals();
    let waiting: Vec<_> = refusals.iter().filter(|r| r["file"] == json!(catalogue)).collect();
    assert_eq!(waiting.len(), 1, "{refusals:?}");
    assert_eq!(waiting[0]["parked"], json!(true));
    let before = desk.count("SELECT count(*) FROM detection");

    for name in [&image, &other_catalogue] {
        std::fs::rename(late.join(name), delivery.join(name)).unwrap();
    }
    desk.run(&delivery).ended(0);
    assert_eq!(desk.refusals().len(), 0);
    assert!(desk.count("SELECT count(*) FROM detection") > before);
    desk.verified();

    let straight = Desk::new();
    straight.run(&delivery).ended(0);
    for table in ["multiframe", "multiframe_detector", "astrometry", "detection", "preview"] {
        let query = format!("SELECT count(*) FROM {table}");
        assert_eq!(desk.count(&query), straight.count(&query), "{table}");
    }
}

#[test]
fn newer_content_replaces_older() {
    let desk = Desk::new();
    let first = desk.simulate(&Small { seed: 1, ..Small::default() });
    desk.run(&first).ended(0);
    let before = desk.count("SELECT count(*) FROM detection");
    let last_id = desk.count("SELECT max(multiframe_id) FROM multiframe");
    let other = Desk::new();
    let second = other.simulate(&Small { seed: 2, ..Small::default() });
    let mut names: Vec<_> = std::fs::read_dir(&first)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let catalogue = names.iter().find(|n| n.ends_with("_cat.fits")).unwrap();
    let image = catalogue.replace("_cat.fits", ".fit");
    assert!(second.join(&image).exists(), "both nights have the same names");
    for name in [catalogue, &image] {
        std::fs::copy(second.join(name), first.join(name)).unwrap();
    }
    desk.run(&first).ended(0);
    desk.verified();
    let id =
        desk.count(&format!("SELECT multiframe_id FROM multiframe WHERE file_name = '{image}'"));
    assert!(id > last_id, "other content is another multiframe");
    assert_eq!(desk.count("SELECT count(*) FROM detection_all") - before, {
        desk.count(&format!("SELECT count(*) FROM detection WHERE multiframe_id = {id}"))
    });
    let shown = desk.count("SELECT count(DISTINCT multiframe_id) FROM detection");
    let frames = desk.count("SELECT count(*) FROM multiframe WHERE cat_name IS NOT NULL");
    assert_eq!(shown, frames, "no detection of a superseded frame is shown");
}

#[test]
fn an_unknown_project_is_parked_until_its_programme_is_added() {
    let desk = Desk::bare();
    let delivery = desk.simulate(&Small::default());
    let profile = desk.site.join("surveys/wfcam.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    // The site has never heard of one of the projects of the night.
    let project = "u/07b/12";
    assert!(
        !text.to_lowercase().contains(&format!("\"{project}\"")),
        "the night's PI project is not a shipped programme"
    );
    desk.run(&delivery).ended(1);
    let parked: Vec<_> =
        desk.refusals().into_iter().filter(|r| r["code"] == json!("unknown_project")).collect();
    assert!(!parked.is_empty());
    assert!(parked.iter().all(|r| r["parked"] == json!(true)));
    // Their previews were made, and wait for their metadata.
    desk.verified();
    let shown = "SELECT count(*) FROM preview WHERE multiframe_id NOT IN (SELECT multiframe_id FROM multiframe)";
    assert_eq!(desk.count(shown), 0);
    let before = desk.count("SELECT count(*) FROM multiframe");
    let other = desk.at_site(&["programme", "add", "U99A1", "u/99a/1"]).ended(0);
    assert!(!other.contains("parked"), "it explains none of them: {other}");
    assert!(desk.run(&delivery).ended(0).contains("everything is in the archive already"));
    desk.at_site(&["programme", "add", "", project]).ended(2);
    desk.at_site(&["programme", "add", "U07B12", project]).ended(0);
    desk.run(&delivery).ended(0);
    assert_eq!(desk.refusals().len(), 0, "{:?}", desk.refusals());
    assert!(desk.count("SELECT count(*) FROM multiframe") > before);
    desk.verified();
}

#[test]
fn usage_and_gates_have_their_exit_codes() {
    let desk = Desk::new();
    for dir in ["in/20071011_v1", "empty"] {
        std::fs::create_dir_all(desk.dir.path().join(dir)).unwrap();
    }
    let cases: &[(&[&str], i32)] = &[
        (&["--help"], 0),
        (&["--version"], 0),
        (&["nonsense"], 2),
        (&["status"], 2), // no site here
        (&["--site", "/nonexistent", "status"], 2),
        (&["--site", "site", "sql", "SELEC 1"], 2),
        (&["--site", "site", "sql", "DELETE FROM multiframe_all"], 2),
        (&["--site", "site", "sql", "SELECT 1"], 0),
        (&["--site", "site", "run", "no-such-delivery"], 3),
        (&["--site", "site", "explain", "nothing"], 3),
        (&["--site", "site", "run", "in"], 3), // an inbox, not a delivery
        (&["--site", "site", "run", "empty"], 3),
        (&["--site", "site", "sql", "SELECT 1 UNION SELECT 2", "--rows", "1"], 3),
        (&["--site", "site", "transfer", "--night", "20990101"], 3),
        (&["--site", "site", "transfer", "--night", "20990101", "in"], 2),
        (&["--site", "site", "programme", "add", "LAS", "x/y"], 5),
        (&["init", "site"], 5),
    ];
    for (words, code) in cases {
        let said = desk.plain(words);
        assert_eq!(said.code, Some(*code), "{words:?}\n{}{}", said.out, said.err);
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let deaf = desk.command(&["transfer", "nosuch"]).stderr(full).status().unwrap();
    assert_eq!(deaf.code(), Some(3), "a message that cannot be written changes nothing");
}

/// A file that is only touched is read a second time, and not again for that.
#[test]
fn a_touched_file_is_read_a_second_time() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 2, ..Small::default() });
    let words = ["transfer", delivery.to_str().unwrap()];
    desk.at_site(&words).ended(0);
    let name = desk.value("SELECT min(name) FROM file WHERE kind = 'image'");
    let date = || {
        desk.value(&format!(
            "SELECT modified_ns FROM file WHERE name = '{}'",
            name.as_str().unwrap()
        ))
    };
    let before = date();
    let file =
        std::fs::File::options().write(true).open(delivery.join(name.as_str().unwrap())).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(7))
        .unwrap();
    desk.at_site(&words).ended(0);
    assert_ne!(date(), before);
    assert_eq!(date(), 7_000_000_000_u64);
    assert_eq!(desk.count("SELECT count(*) FROM file WHERE state = 'superseded'"), 0);
}

/// `transfer` without a directory polls the places from which known deliveries came.
#[test]
fn transfer_knows_its_sources() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 8, ..Small::default() });
    let late = delivery.join("w20071011_late.fit");
    desk.at_site(&["transfer", delivery.to_str().unwrap()]).ended(0);
    let images = desk.count("SELECT count(*) FROM image");
    let one = std::fs::read_dir(&delivery)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|x| x == "fit"))
        .unwrap();
    std::fs::copy(one, &late).unwrap();
    desk.at_site(&["transfer", "--night", "20071011"]).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM image"), images + 1);
    desk.at_site(&["transfer"]).ended(0);
    std::fs::rename(&delivery, desk.dir.path().join("elsewhere")).unwrap();
    let said = desk.at_site(&["transfer"]);
    assert!(said.err.contains("which does not exist"), "{said:?}");
    said.ended(0);
}

/// A run that is stopped reports so, and the next one resumes.
#[test]
fn an_interrupted_run_is_taken_up() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 40, size: 128, ..Small::default() });
    let run = desk
        .command(&["run", delivery.to_str().unwrap()])
        .env("ALMAGEST_STOP_AT", "node:after-result:1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    operator::until_stopped(&run);
    operator::signal(&run, rustix::process::Signal::INT);
    operator::signal(&run, rustix::process::Signal::CONT);
    let ended = run.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(ended.status.code(), Some(130), "{text}");
    assert!(text.contains("interrupted"), "{text}");
    assert_eq!(desk.run(&delivery).code, Some(0));
    desk.verified();
    let straight = Desk::new();
    straight.run(&delivery).ended(0);
    desk.content().is_that_of(&straight.content(), "interrupted and gone on");
}

/// Bytes that changed without a change of row counts, and stray files.
#[test]
fn rot_and_strays_are_found() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 4, ..Small::default() });
    desk.run(&delivery).ended(0);
    desk.verified();
    let lake = desk.site.join("lake/detection");
    let file = std::fs::read_dir(&lake).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    std::fs::write(desk.site.join("library/20071011_v1/stray.fit"), "").unwrap();
    std::fs::write(desk.site.join("previews/20071011_v1/stray.jpg"), "").unwrap();
    let found = desk.at_site(&["verify", "--checksums", "--json"]).json(3);
    let mut codes: Vec<&str> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect();
    codes.sort();
    assert_eq!(codes, ["lake_file_content", "library_file_stray", "preview_stray"], "{found}");
}

/// Two operators start the same night: one fetches it, the other reports so.
#[test]
fn one_process_brings_a_delivery() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 4, ..Small::default() });
    let words = ["run", delivery.to_str().unwrap()];
    let first = desk
        .command(&words)
        .env("ALMAGEST_STOP_AT", "transfer:before-rename:1")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    operator::until_stopped(&first);
    let second = desk.at_site(&words);
    assert_eq!(second.code, Some(5), "{second:?}");
    assert!(second.err.contains("another process is fetching 20071011_v1"), "{second:?}");
    operator::signal(&first, rustix::process::Signal::CONT);
    assert_eq!(first.wait_with_output().unwrap().status.code(), Some(0));
    desk.verified();
}

/// A backup becomes the same archive elsewhere, and gives a site back the database that it lost.
#[test]
fn a_backup_becomes_the_same_archive() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 4, ..Small::default() });
    desk.run(&delivery).ended(0);
    let (backup, other) = (desk.dir.path().join("back up"), desk.dir.path().join("other"));
    let back_up = || desk.at_site(&["backup", backup.to_str().unwrap()]);
    let first = back_up().ended(0);
    assert!(first.lines().nth(2).unwrap().trim_start().starts_with(char::is_numeric), "{first}");
    let again = back_up().ended(0);
    assert!(again.lines().nth(2).unwrap().trim_start().starts_with("0 "), "{again}");

    desk.plain(&["restore", backup.to_str().unwrap(), desk.site.to_str().unwrap()]).ended(3);
    desk.plain(&["restore", backup.to_str().unwrap(), other.to_str().unwrap()]).ended(0);
    let mut elsewhere = Desk::bare();
    let count = "SELECT count(*), sum(obj_id), sum(ra) FROM detection";
    let own = std::mem::replace(&mut elsewhere.site, other);
    assert_eq!(elsewhere.rows(count), desk.rows(count));
    elsewhere.site = own;

    std::fs::remove_file(desk.site.join("archive.db")).unwrap();
    std::fs::remove_dir_all(desk.site.join("lake")).unwrap();
    desk.plain(&["restore", backup.to_str().unwrap(), desk.site.to_str().unwrap()]).ended(0);
    desk.verified();
    assert!(desk.run(&delivery).ended(0).contains("everything is in the archive already"));

    let lake = backup.join("lake/detection");
    let file = std::fs::read_dir(&lake).unwrap().next().unwrap().unwrap().file_name();
    let ours = desk.site.join("lake/detection").join(&file);
    let mut bytes = std::fs::read(&ours).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&ours, bytes).unwrap();
    std::fs::remove_file(lake.join(&file)).unwrap();
    for _ in 0..2 {
        assert!(back_up().ended(3).contains("DAMAGED"), "a damaged copy is not kept");
        assert!(!lake.join(&file).exists());
    }
}

#[test]
fn manual_and_completions_are_of_this_command_line() {
    let desk = Desk::bare();
    assert!(desk.plain(&["completions", "bash"]).ended(0).contains("refusals"));
    let page = desk.plain(&["man"]).ended(0);
    assert!(page.contains(".TH almagest") && page.contains("backup"), "{page}");
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist/man/almagest.1");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(
        kept == page,
        "dist/man/almagest.1 is another page: almagest man > dist/man/almagest.1"
    );
    let pages = desk.dir.path().join("man1");
    desk.plain(&["man", pages.to_str().unwrap()]).ended(0);
    let run = std::fs::read_to_string(pages.join("almagest-run.1")).unwrap();
    assert!(run.contains(".TH almagest-run") && run.contains("dry\\-run"), "{run}");
}

/// A site is found from the directories below it, as git and cargo do.
#[test]
fn a_site_is_found_from_below_it() {
    let desk = Desk::new();
    let below = desk.site.join("library");
    let status = |directory: &Path| -> Said {
        let mut command = operator::almagest();
        command.arg("status").current_dir(directory).output().expect("the binary starts").into()
    };
    let said = status(&below).ended(0);
    assert_eq!(said, status(&desk.site).ended(0));
    let outside = status(desk.dir.path());
    assert_eq!(outside.code, Some(2), "{outside:?}");
    assert!(outside.err.contains("no site given"), "{outside:?}");
}

/// A mistyped directory is reported before any other is begun.
#[test]
fn a_mistyped_delivery_begins_nothing() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 2, ..Small::default() });
    let said = desk.at_site(&["run", delivery.to_str().unwrap(), "nodir"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert_eq!(desk.at_site(&["status", "--json"]).json(0)["deliveries"], json!([]));
}

/// A lost database is restored, not created again over the numbers that it gave out.
#[test]
fn a_lost_database_is_not_created_again() {
    let desk = Desk::new();
    desk.run(&desk.simulate(&Small { frames: 2, ..Small::default() })).ended(0);
    std::fs::remove_file(desk.site.join("archive.db")).unwrap();
    let said = desk.plain(&["init", desk.site.to_str().unwrap()]);
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.err.contains("restore archive.db from a backup"), "{said:?}");
}

/// Keywords of a header without a column can be queried; magnitudes can be computed.
#[test]
fn headers_and_mathematics_in_sql() {
    let desk = Desk::new();
    desk.run(&desk.simulate(&Small { frames: 2, ..Small::default() })).ended(0);
    let one = |query: &str| desk.value(query);
    let with = "SELECT count(*) FROM header WHERE header_value(cards, 'SIMPLE') = 'T'";
    assert!(desk.count(with) > 0);
    let object =
        "SELECT header_value(cards, 'object') FROM header JOIN multiframe USING (multiframe_id)
                  WHERE ext_num = 1 AND object IS NOT NULL LIMIT 1";
    let known = "SELECT object FROM header JOIN multiframe USING (multiframe_id)
                 WHERE ext_num = 1 AND object IS NOT NULL LIMIT 1";
    assert_eq!(one(object), one(known));
    assert!(
        one("SELECT header_text(cards) FROM header WHERE ext_num = 1 LIMIT 1")
            .as_str()
            .unwrap()
            .starts_with("SIMPLE  =")
    );
    assert_eq!(one("-- comments may come first\nSELECT log10(1000)"), json!(3.0));
    let twice = desk.rows("SELECT 1 AS a, 2 AS a, 3 AS a_2");
    assert_eq!(twice, [json!({"a": 1, "a_3": 2, "a_2": 3})], "no value is lost");
    assert_eq!(one("SELECT median(column1) FROM (VALUES (1), (2), (9))"), json!(2.0));
}

/// Lists of checksums have the names that survey profiles give them.
#[test]
fn a_provider_s_list_of_checksums_counts() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 2, ..Small::default() });
    let file = std::fs::read_dir(&delivery).unwrap().map(|e| e.unwrap().file_name()).min().unwrap();
    let file = file.to_str().unwrap();
    std::fs::write(delivery.join("md5sum.txt"), format!("{}  {file}\n", "0".repeat(32))).unwrap();
    desk.run(&delivery).ended(1);
    let refusals = desk.refusals();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!(refusals[0]["code"], json!("checksum_not_as_stated"));
    assert_eq!(refusals[0]["file"], json!(file));
}

/// A component that comes late is linked then; one that is replaced by newer content is linked again.
#[test]
fn provenance_follows_its_components() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { seed: 1, ..Small::default() });
    let component = std::fs::read_dir(&delivery)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .find(|name| name.ends_with("_sf.fit"))
        .unwrap();
    let (here, away) = (delivery.join(&component), desk.dir.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    desk.run(&delivery);
    let links = |state: &str| {
        desk.count(&format!(
            "SELECT count(*) FROM provenance WHERE component_name = '{component}' AND component_multiframe_id {state}"
        ))
    };
    let named = links("IS NULL");
    assert!(named > 0 && links("IS NOT NULL") == 0);

    std::fs::rename(&away, &here).unwrap();
    desk.run(&delivery);
    let frame = || {
        desk.count(&format!("SELECT multiframe_id FROM multiframe WHERE file_name = '{component}'"))
    };
    let first = frame();
    assert_eq!((links(&format!("= {first}")), links("IS NULL")), (named, 0));

    let other = Desk::new();
    let newer = other.simulate(&Small { seed: 2, ..Small::default() });
    std::fs::copy(newer.join(&component), &here).unwrap();
    desk.run(&delivery);
    let second = frame();
    assert!(second > first, "other content is another multiframe");
    assert_eq!((links(&format!("= {second}")), links(&format!("= {first}"))), (named, 0));
    desk.verified();
}
