//! What must cost little, and what the machine forbids.

use super::{plant, sound};
use crate::operator::{Desk, Said, Small};
use serde_json::json;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::damage::{bomb, named};

/// Memory that hostile files may cost beyond what the sound ones take.
const ALLOWANCE_BYTES: u64 = 100 << 20;

#[test]
fn absurd_claims_cost_little_memory() {
    let small = Small { frames: 2, detections: 10, ..Small::default() };
    // What tasks report is the peak of the process since it began, transfer included.
    let peak = |desk: &Desk| desk.count("SELECT max(peak_memory_bytes) FROM attempt");
    let sound_desk = Desk::new();
    let delivery = sound_desk.simulate(&small);
    sound_desk.run(&delivery).ended(0);
    let desk = Desk::new();
    let delivery = desk.simulate(&small);
    for (kind, run) in ["size_claimed", "size_absurd", "tiles_absurd"].into_iter().zip(90_001..) {
        plant(&delivery, kind, run).unwrap();
    }
    let packed = bomb(&sound(90_004).image, 1 << 30);
    std::fs::write(delivery.join("w20071011_90004_st.fit"), packed).unwrap();
    desk.run(&delivery).ended(1);
    let mut codes: Vec<String> =
        desk.refusals().iter().map(|r| r["code"].as_str().unwrap().to_owned()).collect();
    codes.retain(|code| code != "image_absent");
    codes.sort();
    assert_eq!(codes, ["gzip_bomb", "size_overflow", "too_large", "truncated"]);
    let (without, with) = (peak(&sound_desk), peak(&desk));
    println!("peak of memory: {} MB, with absurd files {} MB", without >> 20, with >> 20);
    assert!(with < without + ALLOWANCE_BYTES, "{with} after {without}");
}

#[test]
fn a_file_larger_than_the_disk_blocks_no_other_file() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 2, detections: 10, ..Small::default() });
    // Holes take no room here; copied they would.
    let huge = std::fs::File::create(delivery.join("w20071011_90001_st.fit")).unwrap();
    if huge.set_len(1 << 43).is_err() {
        return testkit::skipped("no file of 8 TB can be made here");
    }
    let list = format!("{}  gone\u{1b}[2J.fit\n", "0".repeat(64));
    std::fs::write(delivery.join("SHA256SUMS"), [list.as_bytes(), b"\xff\xfe\n"].concat()).unwrap();
    desk.run(&delivery).ended(1);
    let refusals = desk.refusals();
    let found: Vec<_> = refusals.iter().map(|r| [&r["code"], &r["file"]]).collect();
    let wanted = [
        [&json!("too_large"), &json!("w20071011_90001_st.fit")],
        [&json!("missing_from_delivery"), &json!("gone\\x1b[2J.fit")],
    ];
    assert_eq!(found, wanted);
    assert_eq!(desk.count("SELECT count(*) FROM multiframe"), 2);
    huge.set_len(0).unwrap();
    desk.run(&delivery).ended(1);
    let codes: Vec<_> = desk.refusals().iter().map(|r| r["code"].clone()).collect();
    assert_eq!(codes, [json!("missing_from_delivery"), json!("empty_file")]);
}

/// The user `nobody`.
const NOBODY: u32 = 65_534;

/// The binary as an unprivileged user runs it: a copy that the user may execute, in a directory that is the user's.
struct Unprivileged {
    binary: PathBuf,
    directory: PathBuf,
    superuser: bool,
}

impl Unprivileged {
    fn in_directory(directory: &Path) -> Self {
        let superuser = rustix::process::geteuid().is_root();
        let binary = directory.join("almagest");
        std::fs::copy(env!("CARGO_BIN_EXE_almagest"), &binary).unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
        let user = Self { binary, directory: directory.to_owned(), superuser };
        user.give(directory);
        user
    }

    /// Makes the user the owner.
    fn give(&self, path: &Path) {
        if self.superuser {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    fn says(&self, words: &[&str]) -> Said {
        let mut command = Command::new(&self.binary);
        command.args(words).current_dir(&self.directory).env_remove("ALMAGEST_SITE");
        if self.superuser {
            command.uid(NOBODY).gid(NOBODY); // which drops the other groups too
        }
        command.output().unwrap().into()
    }
}

#[test]
fn unreadable_files_as_an_unprivileged_user() {
    let dir = tempfile::tempdir().unwrap();
    let user = Unprivileged::in_directory(dir.path());
    let words =
        ["simulate", "inbox", "--frames", "2", "--detections", "10", "--detector-size", "64"];
    user.says(&words).ended(0);
    let delivery = dir.path().join("inbox/20071011_v1");
    let made = named("unreadable").unwrap().make(&sound(90_001));
    for (name, entry) in &made.files {
        entry.write(&delivery.join(name)).unwrap();
        user.give(&delivery.join(name));
    }
    user.says(&["init", "site"]).ended(0);
    let run = ["--site", "site", "run", "inbox/20071011_v1"];
    user.says(&run).ended(1);
    let refusals = user.says(&["--site", "site", "refusals", "--json"]).json(0);
    assert_eq!(refusals.as_array().unwrap().len(), 1, "{refusals}");
    let name = made.culprit.to_str().unwrap();
    assert_eq!([&refusals[0]["code"], &refusals[0]["file"]], [&json!("unreadable"), &json!(name)]);
    let explained = user.says(&["--site", "site", "explain", name]).ended(0);
    assert!(explained.contains("the right to read it"), "{explained}");
    user.says(&["--site", "site", "verify"]).ended(0);

    std::fs::set_permissions(delivery.join(name), std::fs::Permissions::from_mode(0o644)).unwrap();
    user.says(&run).ended(0);
    let refusals = user.says(&["--site", "site", "refusals", "--json"]).json(0);
    assert_eq!(refusals, json!([]), "what became readable is taken up");

    std::fs::set_permissions(&delivery, std::fs::Permissions::from_mode(0o000)).unwrap();
    let said = user.says(&run);
    std::fs::set_permissions(&delivery, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(said.err.contains("inbox/20071011_v1") && said.err.contains("ermission"), "{said:?}");
}
