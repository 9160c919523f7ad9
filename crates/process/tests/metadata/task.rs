//! Whole tasks: files on disk, several threads, damaged files, files that are not there yet.

use model::task::{FORMAT_VERSION, ProgrammeRef, TaskFile, TaskInput, TaskLimits};
use model::{AttemptNumber, RoundNumber, TaskNumber, UnitKey, UseCase};
use process::metadata::{TaskFault, run};
use std::path::Path;

use super::built::{
    catalogue, extension, file_ref, image, input, primary, profile, programmes, table_cards,
};
use super::table::{found, listed, refused};

fn task(inputs: Vec<TaskInput>, programmes: Vec<ProgrammeRef>, threads: u32) -> TaskFile {
    TaskFile {
        version: FORMAT_VERSION,
        unit: UnitKey {
            delivery: "20071011_v1".parse().unwrap(),
            use_case: UseCase::Metadata,
            round: RoundNumber::FIRST,
        },
        task: TaskNumber::FIRST,
        attempt: AttemptNumber::FIRST,
        inputs,
        survey: "wfcam".parse().unwrap(),
        profile: String::new(),
        programmes,
        metadata: Vec::new(),
        limits: TaskLimits { threads, memory_bytes: 1 << 28 },
        output_dir: "unused".into(),
        umask: None,
    }
}

/// Puts a file into the directory and makes the input point there.
fn put(input: &mut TaskInput, directory: &Path, image: &[u8], catalogue: Option<&[u8]>) {
    let write = |file: &mut model::task::FileRef, bytes: &[u8]| {
        file.path = directory.join(&file.name);
        file.bytes = bytes.len() as u64;
        std::fs::write(&file.path, bytes).unwrap();
    };
    write(&mut input.image, image);
    if let (Some(reference), Some(bytes)) = (&mut input.catalogue, catalogue) {
        write(&mut reference.file, bytes);
    }
}

#[test]
fn the_number_of_threads_does_not_show() {
    let directory = tempfile::tempdir().unwrap();
    let profile = profile("wfcam");
    let image_bytes = image(&primary("U/UKIDSS/LAS", "OBJECT"), &[extension(1), extension(2)]);
    let tables = catalogue(&[table_cards(), table_cards()]);
    let mut inputs = Vec::new();
    for n in 1..=150 {
        let name = format!("w20071011_{n:05}_st");
        let mut one = input(n, &format!("{name}.fit"), Some(&format!("{name}_cat.fits")));
        put(&mut one, directory.path(), &image_bytes, Some(&tables));
        inputs.push(one);
    }
    let one = run(&task(inputs.clone(), programmes(&profile), 1), &profile).unwrap();
    let many = run(&task(inputs, programmes(&profile), 5), &profile).unwrap();
    assert_eq!(one.rows("multiframe"), 150);
    assert_eq!(one.rows("header"), 150 * 6);
    for ((table, left), (_, right)) in one.tables.iter().zip(&many.tables) {
        assert_eq!(left, right, "{}", table.name);
        assert!(left.iter().all(|batch| batch.schema() == table.arrow_schema()));
    }
    let ids = listed(&many, "multiframe", &["multiframe_id"]);
    assert!(ids.iter().enumerate().all(|(n, id)| *id == (n + 1).to_string()));
    assert_eq!(one.input_bytes, 150 * (image_bytes.len() + tables.len()) as u64);
}

#[test]
fn damaged_files_are_refused_and_the_others_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let profile = profile("wfcam");
    let good = image(&primary("U/UKIDSS/LAS", "OBJECT"), &[extension(1)]);
    let cases: [(&str, &[u8], &str); 5] = [
        ("w20071011_00001_st.fit", &good, ""),
        ("w20071011_00002_st.fit", b"not FITS at all", "not_fits"),
        ("w20071011_00003_st.fit", b"", "empty_file"),
        ("w20071011_00004_st.fit", b"BZh91AY&SY and so on", "wrapped_bzip2"),
        ("w20071011_00005_st.fit", &good[..4000], "missing_end"),
    ];
    let mut inputs = Vec::new();
    for (n, (name, bytes, _)) in cases.iter().enumerate() {
        let mut one = input(n as i64 + 1, name, None);
        put(&mut one, directory.path(), bytes, None);
        inputs.push(one);
    }
    let products = run(&task(inputs, programmes(&profile), 2), &profile).unwrap();
    assert_eq!(listed(&products, "multiframe", &["multiframe_id"])[0], "1");
    for (name, _, code) in cases.iter().filter(|(_, _, code)| !code.is_empty()) {
        let told = products.refusals.iter().find(|r| r.file == *name && r.code == *code);
        assert!(told.is_some(), "{name}: {code} is not among {:?}", refused(&products));
    }
}

#[test]
fn a_damaged_catalogue_does_not_hold_up_its_image() {
    let directory = tempfile::tempdir().unwrap();
    let profile = profile("wfcam");
    let good = image(&primary("U/UKIDSS/LAS", "OBJECT"), &[extension(1)]);
    let mut one = input(1, "w20071011_00001_st.fit", Some("w20071011_00001_st_cat.fits"));
    put(&mut one, directory.path(), &good, Some(b"what is this"));
    let products = run(&task(vec![one], programmes(&profile), 1), &profile).unwrap();
    assert_eq!(refused(&products), ["not_fits w20071011_00001_st_cat.fits -"]);
    assert_eq!(
        listed(&products, "multiframe_detector", &["phot_zp_cat", "phot_zp_ext"]),
        ["- 22.5"]
    );
    assert_eq!(found(&products), [""; 0], "nothing is expected of a catalogue that is not there");
}

#[test]
fn a_file_that_differs_from_its_registration_is_not_a_refusal() {
    let directory = tempfile::tempdir().unwrap();
    let profile = profile("wfcam");
    let good = image(&primary("U/UKIDSS/LAS", "OBJECT"), &[extension(1)]);
    let mut short = input(1, "w20071011_00001_st.fit", None);
    put(&mut short, directory.path(), &good, None);
    short.image.bytes += 1;
    let fault = run(&task(vec![short], programmes(&profile), 1), &profile).unwrap_err();
    assert!(matches!(fault, TaskFault::NotAsRegistered { found_bytes: Some(_), .. }), "{fault}");
    let mut absent = input(1, "w20071011_00009_st.fit", None);
    absent.image = file_ref("/nowhere/w20071011_00009_st.fit", 10);
    let fault = run(&task(vec![absent], programmes(&profile), 1), &profile).unwrap_err();
    assert!(matches!(fault, TaskFault::NotAsRegistered { found_bytes: None, .. }), "{fault}");
}
