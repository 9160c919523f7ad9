//! Every kind of damage is what it says: the reader finds the code that is expected, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use fits::{FitsFile, HduKind, Limits};
use simulate::NightSpec;
use std::collections::BTreeSet;
use std::path::Path;
use testkit::damage::{Damage, Entry, Finder, Scope, Sound, all};

/// HDU (none: the file) and code.
type Found = BTreeSet<(Option<u16>, &'static str)>;

/// All that is wrong with a file, as found by reading every byte of it.
fn faults(path: &Path) -> Found {
    if let Err(fault) = files::open_regular(path) {
        return Found::from([(None, fault.code())]);
    }
    let file = match FitsFile::open(path, &Limits::default()) {
        Ok(file) => file,
        Err(error) => return Found::from([(None, error.fault.code())]),
    };
    let mut found = Found::new();
    for hdu in file.hdus() {
        let place = Some(hdu.index.0);
        if let Some(fault) = &hdu.fault {
            found.insert((None, fault.code()));
            continue;
        }
        match fits::checksum::verify(&file, hdu.index) {
            Ok(report) => found.extend(report.fault().map(|fault| (place, fault.code()))),
            Err(error) => drop(found.insert((place, error.fault.code()))),
        }
        let read = match hdu.kind {
            HduKind::Image | HduKind::CompressedImage => {
                file.image(hdu.index).and_then(|image| image.read_f32()).map(drop)
            }
            HduKind::BinTable => file.table(hdu.index).map(drop),
            _ => Ok(()),
        };
        if let Err(error) = read {
            found.insert((place, error.fault.code()));
        }
    }
    found
}

/// Returns the finding that the reader must report.
fn expected(damage: &Damage) -> Found {
    let by_reader = match damage.finder {
        Finder::Directory => !damage.code.starts_with("name_"),
        // The reader makes do without padding, and with headers alone.
        Finder::Arrival => !["truncated_padding", "no_data"].contains(&damage.code),
        Finder::Pixels => true,
        Finder::Metadata => false,
        // What columns and rows mean is beyond the reader.
        Finder::Catalogue => ["row_length", "bad_format", "missing_keyword"].contains(&damage.code),
    };
    match damage.scope {
        _ if !by_reader => Found::new(),
        Scope::Hdu(hdu) => Found::from([(Some(hdu), damage.code)]),
        Scope::File | Scope::Rows(..) | Scope::Parked => Found::from([(None, damage.code)]),
    }
}

#[test]
fn the_reader_finds_the_code_of_each_kind() {
    let dir = tempfile::tempdir().unwrap();
    let spec = NightSpec::default();
    let mut wrong = Vec::new();
    for (damage, run) in all().zip(90_001..) {
        let made = damage.make(&Sound::of_run(&spec, run));
        for (name, entry) in &made.files {
            if !entry.can_be_made() {
                println!("not made here: {}", damage.name);
                continue;
            }
            let path = dir.path().join(name);
            entry.write(&path).unwrap();
            let found = faults(&path);
            let wanted = if *name == made.culprit { expected(damage) } else { Found::new() };
            if found != wanted {
                wrong.push(format!("{}: found {found:?}, expected {wanted:?}", damage.name));
            }
            std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_sound_files_are_sound() {
    let dir = tempfile::tempdir().unwrap();
    let sound = Sound::of_run(&NightSpec::default(), 90_000);
    for (name, bytes) in [("a.fit", &sound.image), ("a_cat.fits", &sound.catalogue)] {
        let path = dir.path().join(name);
        Entry::Bytes(bytes.clone()).write(&path).unwrap();
        assert_eq!(faults(&path), Found::new(), "{name}");
    }
}
