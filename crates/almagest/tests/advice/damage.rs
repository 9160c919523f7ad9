//! Situations in which files are lost, damaged or unknown, and in which an archive was copied.

use super::tried::*;

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

pub(crate) fn previews_are_lost() -> Vec<&'static str> {
    let desk = archived();
    let all = previews(&desk);
    std::fs::remove_file(&all[0]).expect("removed");
    std::fs::write(&all[all.len() - 1], b"cut").expect("truncated");
    let found = desk.at_site(&["verify"]);
    assert_eq!(found.code, Some(3), "{found:?}");
    let delivery = NIGHT.to_owned();
    let mut tried = Tried::at(&desk);
    let made =
        tried.run(&found, &Advice::PreviewLost { delivery: delivery.parse().unwrap() }).ended(0);
    assert!(made.contains("2 multiframes with lost previews"), "{made}");
    let round =
        "SELECT count(*) FROM unit JOIN task USING (unit_id) JOIN task_input USING (task_id)
         WHERE use_case = 'preview' AND round = 2";
    assert_eq!(desk.count(round), 2, "and no others");
    tried.run(&found, &Advice::Ingest { delivery: delivery.parse().unwrap() }).ended(0);
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

pub(crate) fn library_files_are_damaged() -> Vec<&'static str> {
    let desk = archived();
    let mut tried = Tried::at(&desk);
    let files = images(&desk, NIGHT);
    rot(&files[0].1);
    let found = desk.at_site(&["verify", "--checksums"]);
    assert_eq!(found.code, Some(3), "{found:?}");
    let (delivery, file) = (NIGHT.to_owned(), files[0].0.clone());
    worked(tried.run(&found, &Advice::ReconcileFile { delivery: delivery.parse().unwrap(), file }));
    desk.at_site(&["verify", "--checksums"]).ended(0);
    rot(&files[1].1);
    rot(&files[2].1);
    let found = desk.at_site(&["verify", "--checksums"]);
    let status = desk.at_site(&["status"]);
    let compared = tried.run(&status, &Advice::Reconcile);
    assert_eq!(compared.code, Some(3), "it only compares: {compared:?}");
    worked(tried.run(&found, &Advice::ReconcileDelivery { delivery: delivery.parse().unwrap() }));
    desk.at_site(&["verify", "--checksums"]).ended(0);
    rot(&files[3].1);
    let scrubbed = desk.at_site(&["scrub"]);
    assert_eq!(scrubbed.code, Some(3), "{scrubbed:?}");
    worked(tried.run(&scrubbed, &Advice::ReconcileSource));
    desk.at_site(&["verify", "--checksums"]).ended(0);
    tried.kinds
}

pub(crate) fn much_is_lost() -> Vec<&'static str> {
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

pub(crate) fn strays_lie_about() -> Vec<&'static str> {
    let desk = archived();
    let stray = desk.site.join("library").join(NIGHT).join("mine.txt");
    std::fs::write(&stray, "mine").expect("written");
    let preview = desk.site.join("previews").join(NIGHT).join("other.jpg");
    std::fs::write(&preview, "jpeg").expect("written");
    let found = desk.at_site(&["verify"]);
    let mut tried = Tried::at(&desk);
    worked(tried.run(&found, &Advice::ReconcileStrays { delivery: NIGHT.parse().unwrap() }));
    assert!(!stray.exists() && preview.exists());
    tried.run(&found, &Advice::VerifyRepair).ended(0);
    assert!(!preview.exists());
    desk.verified();
    tried.kinds
}

pub(crate) fn strays_lie_in_many_deliveries() -> Vec<&'static str> {
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

pub(crate) fn an_archive_was_restored() -> Vec<&'static str> {
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

pub(crate) fn an_archive_moved() -> Vec<&'static str> {
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

pub(crate) fn products_do_not_show() -> Vec<&'static str> {
    let desk = archived();
    let shown = || desk.count("SELECT count(*) FROM preview");
    let before = shown();
    let connection = rusqlite::Connection::open(desk.site.join("archive.db")).expect("it opens");
    // Ended as if a newer image had a preview, which none has.
    let hide = "PRAGMA foreign_keys = OFF;
                UPDATE preview_all SET end_event = (SELECT max(event_id) FROM event) WHERE multiframe_id = 1;
                UPDATE product SET state = 'superseded', ended_event = (SELECT max(event_id) FROM event)
                WHERE multiframe_id = 1 AND use_case = 'preview'";
    connection.execute_batch(hide).expect("hidden");
    assert!(shown() < before);
    let found = desk.at_site(&["verify"]);
    assert_eq!(found.code, Some(3), "{found:?}");
    let mut tried = Tried::at(&desk);
    tried.run(&found, &Advice::VerifyRepair).ended(0);
    assert_eq!(shown(), before);
    desk.verified();
    // Rows that differ from the record of products are no matter of a repair, and none is recommended.
    let cut = "UPDATE preview_all SET end_event = begin_event WHERE multiframe_id = 1";
    connection.execute_batch(cut).expect("hidden");
    let found = desk.at_site(&["verify"]);
    assert!(
        found.out.contains("restore archive.db") && !found.out.contains("--repair"),
        "{found:?}"
    );
    tried.kinds
}
