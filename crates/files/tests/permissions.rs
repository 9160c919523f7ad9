//! Permissions are taken away, never given, and only below the directories that were named.

use files::{Wide, narrow_permissions, wide_permissions};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("exists").permissions().mode() & 0o7777
}

/// A directory, by its resolved path, with a site (0750) in it.
fn site() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let top = dir.path().canonicalize().expect("resolved");
    let site = top.join("site");
    fs::create_dir(&site).expect("made");
    set(&site, 0o750);
    (dir, top, site)
}

fn dir_of(path: &Path, mode: u32) {
    fs::create_dir_all(path).expect("made");
    set(path, mode);
}

fn file_of(path: &Path, mode: u32) {
    fs::write(path, "x").expect("written");
    set(path, mode);
}

fn listed(root: &Path, mask: Option<u32>) -> Vec<Wide> {
    wide_permissions(&[root.to_owned()], mask).expect("listed")
}

fn paths(wide: &[Wide]) -> Vec<&Path> {
    wide.iter().map(|wide| wide.path.as_path()).collect()
}

#[test]
fn setgid_and_sticky_stay() {
    for (mask, before, after) in [
        (Some(0o007), 0o2777, 0o2770),
        (None, 0o2777, 0o2750),
        (None, 0o3777, 0o3750),
        (Some(0o077), 0o2775, 0o2700),
    ] {
        let (_dir, _, site) = site();
        let shared = site.join("shared");
        dir_of(&shared, before);
        let wide = listed(&site, mask);
        assert_eq!(paths(&wide), [&shared]);
        assert_eq!(wide[0].mode, before);
        assert!(narrow_permissions(&wide[0]).expect("narrowed"));
        assert_eq!(mode(&shared), after);
        assert!(listed(&site, mask).is_empty());
    }
    // Of a root, too.
    let (_dir, _, site) = site();
    set(&site, 0o2777);
    assert!(narrow_permissions(&listed(&site, None)[0]).expect("narrowed"));
    assert_eq!(mode(&site), 0o2750);
}

#[test]
fn nothing_is_widened() {
    let (_dir, _, site) = site();
    let [tightened, replaced, partly] = ["tightened", "replaced", "partly"].map(|n| site.join(n));
    for path in [&tightened, &replaced, &partly] {
        file_of(path, 0o666);
    }
    let wide = listed(&site, None);
    assert_eq!(wide.len(), 3);
    set(&tightened, 0o600);
    fs::remove_file(&replaced).expect("removed");
    file_of(&replaced, 0o400);
    set(&partly, 0o604);
    let taken: Vec<bool> = wide.iter().map(|w| narrow_permissions(w).expect("ours")).collect();
    assert_eq!(taken, [true, false, false], "of {:?}", paths(&wide));
    assert_eq!([&tightened, &replaced, &partly].map(|path| mode(path)), [0o600, 0o400, 0o600]);
}

#[test]
fn a_directory_that_became_a_link_leads_nowhere() {
    let (_dir, top, site) = site();
    let (staging, outside) = (site.join("staging"), top.join("outside"));
    dir_of(&staging.join("unit"), 0o777);
    dir_of(&staging, 0o750);
    file_of(&staging.join("unit/file"), 0o666);
    dir_of(&outside, 0o777);
    file_of(&outside.join("file"), 0o666);
    let wide = listed(&site, None);
    assert_eq!(paths(&wide), [staging.join("unit"), staging.join("unit/file")]);
    fs::rename(staging.join("unit"), top.join("moved")).expect("moved");
    symlink(&outside, staging.join("unit")).expect("a link");
    for wide in &wide {
        assert!(narrow_permissions(wide).is_err(), "{}", wide.path.display());
    }
    assert_eq!((mode(&outside), mode(&outside.join("file"))), (0o777, 0o666));
    assert!(listed(&site, None).is_empty(), "what a link leads to is not listed");
    // A renamed file also belongs to another tree; a FIFO belongs to none.
    let (file, fifo) = (site.join("file"), site.join("fifo"));
    file_of(&file, 0o666);
    file_of(&fifo, 0o666);
    let wide = listed(&site, None);
    fs::hard_link(&file, outside.join("same")).expect("linked");
    fs::remove_file(&fifo).expect("removed");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    assert!(wide.iter().all(|wide| narrow_permissions(wide).is_err()));
    assert_eq!(mode(&file), 0o666);
}

/// A directory is exchanged for a link, and trees are made and removed, repeatedly while the walk lists and narrows.
#[test]
fn a_walk_beside_work_that_moves_everything() {
    let (_dir, top, site) = site();
    let (staging, outside) = (site.join("staging"), top.join("outside"));
    dir_of(&outside.join("sub"), 0o777);
    file_of(&outside.join("sub/file"), 0o666);
    dir_of(&staging.join("unit/sub"), 0o777);
    file_of(&staging.join("unit/sub/file"), 0o666);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (unit, aside) = (staging.join("unit"), top.join("aside"));
            while !done.load(Ordering::Relaxed) {
                fs::rename(&unit, &aside).expect("aside");
                symlink(&outside, &unit).expect("a link");
                fs::remove_file(&unit).expect("removed");
                fs::rename(&aside, &unit).expect("back");
                let _ = fs::set_permissions(unit.join("sub/file"), Permissions::from_mode(0o666));
                fs::create_dir_all(staging.join("swept/a/b")).expect("made");
                fs::remove_dir_all(staging.join("swept")).expect("swept");
            }
        });
        for _ in 0..2000 {
            let wide = wide_permissions(std::slice::from_ref(&site), None);
            for wide in wide.inspect_err(|_| done.store(true, Ordering::Relaxed)).expect("listed") {
                let _ = narrow_permissions(&wide);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(mode(&outside.join("sub")), 0o777);
    assert_eq!(mode(&outside.join("sub/file")), 0o666);
}

#[test]
fn a_removed_entry_is_reported_as_such() {
    let (_dir, _, site) = site();
    dir_of(&site.join("staging/unit"), 0o777);
    file_of(&site.join("staging/unit/file"), 0o666);
    let wide = listed(&site, None);
    fs::remove_dir_all(site.join("staging")).expect("swept");
    assert!(!wide.is_empty());
    for wide in wide {
        let error = narrow_permissions(&wide).expect_err("removed");
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
    let none = wide_permissions(&[site.join("none")], None).expect_err("no such root");
    assert!(none.to_string().contains("none: "), "{none}");
}

#[test]
fn roots_may_be_links_and_lie_in_each_other() {
    let (_dir, top, site) = site();
    let disk = top.join("disk");
    dir_of(&disk, 0o777);
    dir_of(&site.join("library"), 0o777);
    file_of(&disk.join("file"), 0o666);
    symlink(&site, top.join("link")).expect("a link");
    symlink(&disk, site.join("volume")).expect("a link");
    let roots = [top.join("link"), top.join("link/library"), top.join("link/volume"), disk.clone()];
    let wide = wide_permissions(&roots, None).expect("listed");
    assert_eq!(paths(&wide), [disk.clone(), disk.join("file"), site.join("library")]);
    for wide in &wide {
        assert!(narrow_permissions(wide).expect("narrowed"));
    }
    let modes = [&disk, &disk.join("file"), &site.join("library")].map(|path| mode(path));
    assert_eq!(modes, [0o750, 0o640, 0o750]);
    assert!(wide_permissions(&roots, None).expect("listed").is_empty());
}
