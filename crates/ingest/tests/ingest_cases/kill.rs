//! Kills an ingest at every instant that is marked, runs it again, and compares with an undisturbed one.

use super::staging::*;
use super::{dump, pass, staged_site};
use archive::Site;
use ingest::crash::{
    CATALOGUE_POINTS, LAKE_POINTS, METADATA_POINTS, PREVIEW_POINTS, SERVER_POINTS,
};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

const SITE: &str = "INGEST_TEST_SITE";
const URL: &str = "INGEST_TEST_URL";

/// The child of the tests below: one pass over the site that the environment names. Without one there is nothing to do.
#[test]
fn child() {
    let Ok(root) = std::env::var(SITE) else { return };
    let database = archive::Database { url: std::env::var(URL).ok(), ..Default::default() };
    let mut archive = reopen(&Site::open_on(Path::new(&root), &database).unwrap());
    pass(&mut archive);
}

/// One pass over a site in a process of its own.
pub(super) fn child_of(site: &Site) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
        .env(SITE, site.root())
        .envs(url_of(site).map(|url| (URL, url)));
    command
}

/// Runs a pass in a child that dies at a point; returns whether it did.
pub(super) fn pass_killed_at(site: &Site, point: &str) -> bool {
    let status = child_of(site).env("ALMAGEST_CRASH_AT", point).output().unwrap().status;
    assert!(status.success() || status.signal() == Some(9), "{point}: {status}");
    status.signal() == Some(9)
}

/// All marked instants: the name, and for which passing. In one pass metadata come first, then previews, then detections;
/// points that all three pass carry the number of theirs.
fn points(is_embedded: bool) -> Vec<String> {
    let nth = |points: &[&str], use_case: usize| -> Vec<String> {
        let shared = |p: &str| METADATA_POINTS.contains(&p);
        points
            .iter()
            .map(|p| if shared(p) { format!("{p}:{use_case}") } else { (*p).to_owned() })
            .collect()
    };
    let mut all = nth(&METADATA_POINTS, 1);
    all.extend(nth(&PREVIEW_POINTS, 2));
    all.extend(["previews:renamed:2".to_owned(), "previews:renamed:3".to_owned()]);
    all.extend(nth(&CATALOGUE_POINTS, 3));
    let own: &[&str] = if is_embedded { &LAKE_POINTS } else { &SERVER_POINTS };
    all.extend(own.iter().map(|p| (*p).to_owned()));
    all
}

#[test]
fn killed_anywhere_the_result_is_the_same() {
    on_both_engines(killed_anywhere);
}

fn killed_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let template = staged_site(&dir.path().join("template"), 3);
    let undisturbed = copy_site(&template, &dir.path().join("undisturbed"));
    pass(&mut reopen(&undisturbed));
    let wanted = dump(&undisturbed);
    let points = points(template.is_embedded());
    let mut killed = 0;
    for (n, point) in points.iter().enumerate() {
        let root = dir.path().join(format!("killed-{n}"));
        let site = copy_site(&template, &root);
        assert!(pass_killed_at(&site, point), "{point} was not passed");
        killed += 1;
        pass(&mut reopen(&site));
        assert!(
            dump(&site) == wanted,
            "killed at {point}: {}",
            first_difference(&dump(&site), &wanted)
        );
        std::fs::remove_dir_all(&root).unwrap();
    }
    println!("killed at {killed} instants: {}", points.join(", "));
    assert!(CATALOGUE_POINTS.len() >= 12 && killed >= 30);
}

#[test]
fn killed_repeatedly_the_result_is_the_same() {
    on_both_engines(killed_repeatedly);
}

fn killed_repeatedly() {
    let dir = tempfile::tempdir().unwrap();
    let template = staged_site(&dir.path().join("template"), 2);
    let undisturbed = copy_site(&template, &dir.path().join("undisturbed"));
    pass(&mut reopen(&undisturbed));
    for point in [
        "publish:lake",
        "previews:renamed",
        "publish:before-commit",
        "reserve:after-commit",
        "publish:after-rename",
        "attach:after-commit",
        "load:taken-up",
        "publish:rows",
        "publish:after-commit",
    ] {
        pass_killed_at(&template, point);
    }
    pass(&mut reopen(&template));
    let (found, wanted) = (dump(&template), dump(&undisturbed));
    assert!(found == wanted, "{}", first_difference(&found, &wanted));
}

pub(super) fn first_difference(found: &str, wanted: &str) -> String {
    let lines = found.lines().zip(wanted.lines()).find(|(a, b)| a != b);
    lines.map_or("lengths differ".to_owned(), |(a, b)| format!("\n  {a}\ninstead of\n  {b}"))
}
