//! Permissions of what the program makes, whatever the umask of its caller, and of what an older program made.

mod operator;

use operator::{Daemon, Desk, Said, Small, until};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use testkit::postgres::Server;

const NIGHT: &str = "20071011_v1";

fn small(night: &str) -> Small<'_> {
    Small { night, frames: 4, detections: 10, ..Small::default() }
}

/// A command of the program under a umask.
fn under(umask: &str, desk: &Desk, words: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("umask {umask} && exec \"$@\"")).arg("sh");
    shell.arg(env!("CARGO_BIN_EXE_almagest")).args(words);
    shell.current_dir(desk.dir.path()).env_remove("ALMAGEST_SITE").stdin(Stdio::null());
    shell
}

#[track_caller]
fn done(umask: &str, desk: &Desk, words: &[&str]) -> String {
    Said::from(under(umask, desk, words).output().expect("a shell")).ended(0)
}

/// Files and directories below a directory, itself included, with their permissions. Links are left out.
fn modes(root: &Path) -> BTreeMap<PathBuf, (bool, u32)> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_dir() {
            let entries = std::fs::read_dir(&path).expect("listed").flatten();
            left.extend(entries.map(|entry| entry.path()));
        }
        if !metadata.is_symlink() {
            found.insert(path, (metadata.is_dir(), metadata.mode() & 0o777));
        }
    }
    found
}

/// Nothing below a directory has a permission that a mask forbids. Returns how many files and directories there are.
#[track_caller]
fn is_narrow(root: &Path, mask: u32) -> usize {
    let all = modes(root);
    let most = |is_dir: bool| if is_dir { 0o777 & !mask } else { 0o666 & !mask };
    let wide: Vec<String> = all
        .iter()
        .filter(|(_, (is_dir, mode))| mode & !most(*is_dir) != 0)
        .map(|(path, (_, mode))| format!("{} {mode:04o}", path.display()))
        .collect();
    assert!(wide.is_empty(), "wider than {mask:03o} allows:\n{}", wide.join("\n"));
    all.len()
}

/// A new site of a desk, made under umask 000.
fn made(desk: &Desk, options: &[&str]) {
    std::fs::remove_dir_all(&desk.site).expect("removed");
    done("000", desk, &[&["init", "site"], options].concat());
    done("000", desk, &["--site", "site", "programme", "add", "U07B12", "u/07b/12"]);
}

/// A night goes through everything that writes files, all of it under umask 000.
fn lived(desk: &Desk) {
    let delivery = desk.simulate(&small("20071011"));
    let delivery = delivery.to_str().expect("UTF-8");
    let site = |words: &[&str]| done("000", desk, &[&["--site", "site"], words].concat());
    site(&["run", delivery]);
    site(&["contact-sheet"]);
    site(&["status"]);
    site(&["retract", NIGHT, "--reason", "a test"]);
    site(&["retract", NIGHT, "--undo", "--reason", "a test"]);
    site(&["profile", "set", "wfcam", "project.unnamed", "U07B12"]);
    site(&["sql", "SELECT count(*) AS n FROM detection", "--output", "n.csv", "--format", "csv"]);
    site(&["backup", "kept"]);
}

#[test]
fn no_umask_makes_a_site_that_others_can_write() {
    let mut desks = vec![(Desk::bare(), Vec::new())];
    if let Some(server) = Server::shared() {
        let url = server.database().url();
        desks.push((Desk::bare(), vec!["--database".to_owned(), url, "--roles".to_owned()]));
    }
    for (desk, options) in &desks {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        made(desk, &options);
        lived(desk);
        assert!(is_narrow(&desk.site, 0o027) > 60);
        assert!(is_narrow(&desk.dir.path().join("kept"), 0o027) > 5);
        for file in ["site/contact-sheet.html", "n.csv"] {
            is_narrow(&desk.dir.path().join(file), 0o027);
        }
        let restored = [&["restore", "kept", "again"], &options[..options.len().min(1)]].concat();
        if options.is_empty() {
            done("000", desk, &restored);
            assert!(is_narrow(&desk.dir.path().join("again"), 0o027) > 10);
        }
        // The server of the tests does without fsync, which is a fault of its own.
        let said = desk.at_site(&["doctor"]);
        assert!(said.out.contains("no file of the site is open to more users"), "{said:?}");
    }
}

#[test]
fn a_migration_keeps_permissions_narrow() {
    let Some(server) = Server::shared() else { return };
    let desk = Desk::bare();
    made(&desk, &[]);
    lived(&desk);
    let site = |words: &[&str]| done("000", &desk, &[&["--site", "site"], words].concat());
    site(&["migrate", "--to", &server.database().url(), "--roles"]);
    is_narrow(&desk.site, 0o027);
    assert!(desk.site.join("query.password").is_file());
    for name in ["archive.db.migrated", "lake"] {
        let path = desk.site.join(name);
        if path.is_dir() {
            std::fs::remove_dir_all(path).expect("removed");
        } else {
            std::fs::remove_file(path).expect("removed");
        }
    }
    site(&["migrate", "--to", "embedded"]);
    is_narrow(&desk.site, 0o027);
    assert!(desk.site.join("archive.db").is_file());
}

#[test]
fn daemons_and_their_nodes_keep_permissions_narrow() {
    // Nodes of the data daemon are processes of their own, which know the setting from their task files.
    for (setting, mask) in [("", 0o027), ("007", 0o007), ("077", 0o077)] {
        let desk = Desk::bare();
        made(&desk, &[]);
        desk.in_a_hurry();
        let configured = format!("umask = \"{setting}\"");
        desk.configure(&[("umask = \"\"", &configured)]);
        let before: Vec<PathBuf> = modes(&desk.site).into_keys().collect();
        let delivery = desk.simulate(&small("20071011"));
        let place = delivery.to_str().expect("UTF-8");
        done("000", &desk, &["--site", "site", "transfer", place]);
        let daemon = Daemon::start_unheard(under(
            "000",
            &desk,
            &["--site", "site", "daemon", "data", "--auto"],
        ));
        let staged = "SELECT count(*) FROM unit WHERE state = 'staged'";
        until("something is staged", || desk.count(staged) > 0);
        let made: BTreeMap<PathBuf, (bool, u32)> =
            modes(&desk.site).into_iter().filter(|(path, _)| !before.contains(path)).collect();
        daemon.end();
        let staging: Vec<_> =
            made.iter().filter(|(path, _)| path.starts_with(desk.site.join("staging"))).collect();
        assert!(staging.iter().any(|(path, _)| path.ends_with("result.json")), "{staging:?}");
        let wide: Vec<_> = made.iter().filter(|(_, (_, mode))| mode & mask != 0).collect();
        assert!(wide.is_empty(), "umask {setting:?}: {wide:?}");
        if mask == 0o007 {
            // A group that works on the site may write where it must.
            let of_nodes = staging.iter().filter(|(path, _)| path.ends_with("result.json"));
            assert!(of_nodes.clone().all(|(_, (_, mode))| mode & 0o060 == 0o060), "{staging:?}");
        }
    }
}

/// Gives everybody all permissions to everything below a directory.
fn opened(root: &Path) {
    for (path, (is_dir, _)) in modes(root) {
        let mode = if is_dir { 0o777 } else { 0o666 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    }
}

#[test]
fn wide_permissions_are_named_and_narrowed() {
    for desk in Desk::of_both_engines() {
        desk.run(&desk.simulate(&small("20071011"))).ended(0);
        opened(&desk.site);
        // Whoever may read a password file of a server has its password: the program refuses it.
        let password = desk.site.join("query.password");
        if password.exists() {
            std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o640))
                .expect("ours");
        }
        let said = desk.at_site(&["doctor"]);
        assert_eq!(said.code, Some(3), "{said:?}");
        let named =
            said.out.lines().find(|line| line.contains("[files] umask allows")).expect("a line");
        assert!(named.starts_with("FAULT ") && named.contains("(0666)"), "{named}");
        assert!(said.out.contains("verify --repair"), "{said:?}");
        desk.at_site(&["verify", "--repair"]).ended(0);
        is_narrow(&desk.site, 0o027);
        assert_eq!(modes(&desk.site)[&desk.site].1, 0o750);
        // The owner of the site may let others list its directory.
        std::fs::set_permissions(&desk.site, std::fs::Permissions::from_mode(0o755)).expect("ours");
        desk.at_site(&["verify", "--repair"]).ended(0);
        assert_eq!(modes(&desk.site)[&desk.site].1, 0o755);
        let said = desk.at_site(&["doctor"]);
        assert!(said.out.contains("no file of the site is open to more users"), "{said:?}");
        desk.verified();
        // Where a site says that everybody may read, only writing is too much.
        desk.configure(&[("umask = \"\"", "umask = \"022\"")]);
        opened(&desk.site);
        if password.exists() {
            std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o640))
                .expect("ours");
        }
        desk.at_site(&["verify", "--repair"]).ended(0);
        is_narrow(&desk.site, 0o022);
        assert!(modes(&desk.site).values().any(|(_, mode)| mode & 0o004 != 0));
    }
}

#[test]
fn files_of_others_are_left_as_they_are() {
    let desk = Desk::new();
    desk.configure(&[("mode = \"copy\"", "mode = \"link\"")]);
    let delivery = desk.simulate(&small("20071011"));
    opened(&delivery);
    desk.run(&delivery).ended(0);
    let outside = desk.dir.path().join("outside");
    std::fs::write(&outside, "mine").expect("written");
    std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o666)).expect("ours");
    std::os::unix::fs::symlink(&outside, desk.site.join("link")).expect("a link");
    let before = modes(&delivery);
    desk.at_site(&["verify", "--repair"]).ended(0);
    assert_eq!(modes(&delivery), before, "files that the site shares with their provider");
    assert_eq!(modes(&outside).into_values().collect::<Vec<_>>(), [(false, 0o666)]);
}

#[test]
fn a_linked_site_of_a_group_is_narrowed_and_stays_the_groups() {
    let desk = Desk::new();
    desk.configure(&[("umask = \"\"", "umask = \"007\"")]);
    std::os::unix::fs::symlink(&desk.site, desk.dir.path().join("link")).expect("a link");
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    };
    let shared = desk.site.join("shared");
    std::fs::create_dir(&shared).expect("made");
    set(&shared, 0o2775);
    set(&desk.site, 0o2777);
    let at_link = |words: &[&str]| {
        let words = [&["--site", "link"], words].concat();
        Said::from(under("022", &desk, &words).output().expect("a shell"))
    };
    let said = at_link(&["doctor"]);
    assert!(said.out.contains("(2775)") && said.out.contains("(2777)"), "{said:?}");
    at_link(&["verify", "--repair"]).ended(0);
    let mode = |path: &Path| path.metadata().expect("exists").mode() & 0o7777;
    assert_eq!((mode(&shared), mode(&desk.site)), (0o2770, 0o2770));
    let said = at_link(&["doctor"]);
    assert!(said.out.contains("no file of the site is open to more users"), "{said:?}");
}

#[test]
fn what_cannot_be_listed_does_not_fail_verify() {
    let desk = Desk::new();
    let mut deep = desk.site.join("notes");
    deep.extend(std::iter::repeat_n("d", 300));
    std::fs::create_dir_all(&deep).expect("made");
    let said = desk.at_site(&["verify", "--repair"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("verified: nothing found"), "{said:?}");
    assert!(said.err.contains("nested too deeply"), "{said:?}");
}
