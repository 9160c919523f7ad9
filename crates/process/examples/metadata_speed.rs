//! How many file pairs per second become metadata rows: `cargo run --release -p process --example metadata_speed
//! [pairs] [threads]`.
//!
//! Builds frames of four detectors with headers as long as WFCAM's (180 cards in the primary, 100 in each
//! extension, for image and catalogue), writes them once to a directory and reads them as a task.

#![expect(clippy::unwrap_used, reason = "an example may panic")]

use fits::write::{Checks, Column, HeaderBuilder, RicePixels, Values};
use model::profile::{Programme, SurveyProfile, shipped};
use model::tables::{self, Origin};
use model::task::{CatalogueRef, FORMAT_VERSION, FileRef, TaskFile, TaskInput, TaskLimits};
use model::{AttemptNumber, RoundNumber, TaskNumber, UnitKey, UseCase};
use std::path::Path;
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<u32>().expect("a number"));
    let pairs = arguments.next().unwrap_or(3000);
    let threads = arguments.next().unwrap_or(2);
    let directory = tempfile::tempdir().expect("a scratch directory");
    let profile = SurveyProfile::parse(shipped()[0].1).expect("the shipped profile is sound");
    let task = task(&profile, directory.path(), pairs, threads);
    for round in 1..=5 {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let products = process::metadata::run(&task, &profile).expect("nothing is in the way");
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        assert_eq!(products.rows("multiframe"), task.inputs.len());
        assert!(products.refusals.is_empty(), "{:?}", products.refusals[0]);
        println!(
            "round {round}: {pairs} pairs, {threads} threads, {seconds:.3} s, {:.0} pairs/s; {:.0} pairs per CPU second; \
             {} rows of header, {} findings",
            f64::from(pairs) / seconds,
            f64::from(pairs) / cpu,
            products.rows("header"),
            products.findings.len(),
        );
    }
}

fn task(profile: &SurveyProfile, directory: &Path, pairs: u32, threads: u32) -> TaskFile {
    let (image, catalogue) = (image(), catalogue());
    let file = |name: String, bytes: &[u8]| {
        let path = directory.join(&name);
        std::fs::write(&path, bytes).expect("room on the disk");
        let sha256 = model::Sha256::new([0; 32]);
        FileRef { path, name, bytes: bytes.len() as u64, sha256, refused_hdus: Vec::new() }
    };
    let inputs = (1..=pairs).map(|n| {
        let root = format!("w20071011_{n:05}_st");
        TaskInput {
            multiframe_id: model::MultiframeId::new(n.into()).expect("from 1"),
            image: file(format!("{root}.fit"), &image),
            catalogue: Some(CatalogueRef {
                file: file(format!("{root}_cat.fits"), &catalogue),
                version: 1,
                done: Vec::new(),
            }),
        }
    });
    TaskFile {
        version: FORMAT_VERSION,
        unit: UnitKey {
            delivery: "20071011_v1".parse().unwrap(),
            use_case: UseCase::Metadata,
            round: RoundNumber::FIRST,
        },
        task: TaskNumber::FIRST,
        attempt: AttemptNumber::FIRST,
        inputs: inputs.collect(),
        survey: profile.name.clone(),
        profile: String::new(),
        programmes: profile.programmes.iter().map(Programme::to_ref).collect(),
        metadata: Vec::new(),
        limits: TaskLimits { threads, memory_bytes: 1 << 30 },
        output_dir: directory.to_path_buf(),
        umask: None,
    }
}

/// Texts that mean something to the profile.
const PRIMARY: [(&str, &str); 5] = [
    ("TELESCOP", "UKIRT"),
    ("INSTRUME", "WFCAM"),
    ("FILTER", "K"),
    ("PROJECT", "U/UKIDSS/LAS7"),
    ("OBSTYPE", "OBJECT"),
];

/// Cards for the keywords of a table's columns, unless the structure of an HDU defines them.
fn cards(table: &str, origin: Origin, cards: &mut HeaderBuilder) {
    let table = tables::table(table).expect("a table of the archive");
    for column in table.columns.iter().filter(|c| c.origin == Some(origin)) {
        let Some(keyword) = column.keyword.as_deref() else { continue };
        let elsewhere = ["UTDATE", "WSA_TIME", "DARKCOR", "FLATCOR", "SKYSUB", "CIR_CPM", "CAMNUM"];
        let elsewhere = elsewhere.contains(&keyword) || PRIMARY.iter().any(|(k, _)| *k == keyword);
        if elsewhere || process::header_view::is_own(keyword) || keyword.contains(' ') {
            continue;
        }
        match column.kind {
            tables::ColumnType::Text if column.ucd.starts_with("time") => {
                cards.text(keyword, "2007-10-11T13:12:05.560", "a time of the observation")
            }
            tables::ColumnType::Text => cards.text(keyword, "some text", "what it says"),
            tables::ColumnType::Bool => cards.logical(keyword, true, "whether it is so"),
            tables::ColumnType::F64 if keyword.starts_with("MJD") => {
                cards.number(keyword, 54384.55006, "a date")
            }
            tables::ColumnType::F64 => cards.number(keyword, 1.234567, "[unit] a measure"),
            _ => cards.integer(keyword, 7, "a number"),
        };
    }
}

fn primary() -> HeaderBuilder {
    let mut all = HeaderBuilder::new();
    for (keyword, text) in PRIMARY {
        all.text(keyword, text, "");
    }
    all.text("UTDATE", "20071011", "").text("WSA_TIME", "071011071231111303", "");
    cards("multiframe", Origin::Primary, &mut all);
    all
}

fn image() -> Vec<u8> {
    let mut bytes = Vec::new();
    let first = primary();
    fits::write::primary(&mut bytes, &first, Checks::Absent).expect("a sound header");
    let pixels = vec![100_i32; 64 * 64];
    for camera in 1..=4 {
        let mut all = HeaderBuilder::new();
        wcs(&mut all, camera);
        cards("multiframe_detector", Origin::Extension, &mut all);
        provenance(&mut all);
        let pixels = RicePixels::I32(&pixels);
        fits::write::rice_image(&mut bytes, 64, 64, pixels, &all, Checks::Absent)
            .expect("a sound image");
        println!("image extension {camera}: {} cards of its own", all.count());
    }
    println!("primary: {} cards of its own", first.count());
    bytes
}

fn catalogue() -> Vec<u8> {
    let mut bytes = Vec::new();
    fits::write::primary(&mut bytes, &primary(), Checks::Absent).expect("a sound header");
    let values = vec![1.0_f32; 20];
    let columns = ["Sequence_number", "Isophotal_flux", "X_coordinate", "X_err", "Y_coordinate"]
        .map(|name| Column { name, unit: "", values: Values::F32(&values) });
    for camera in 1..=4 {
        let mut all = HeaderBuilder::new();
        wcs(&mut all, camera);
        cards("multiframe_detector", Origin::Catalogue, &mut all);
        provenance(&mut all);
        fits::write::bin_table(&mut bytes, 20, &columns, &all, Checks::Absent)
            .expect("a sound table");
    }
    bytes
}

fn wcs(cards: &mut HeaderBuilder, camera: i64) {
    cards.integer("CAMNUM", camera, "").text("CTYPE1", "RA---ZPN", "");
    cards.text("CTYPE2", "DEC--ZPN", "").number("CRPIX1", 30.0 + 1000.0 * camera as f64, "");
    cards.number("CRPIX2", -300.0, "").number("CRVAL1", 83.9, "").number("CRVAL2", 21.8, "");
    cards.number("CD1_1", -1.1e-4, "").number("CD1_2", 1e-7, "").number("CD2_1", 2e-7, "");
    cards.number("CD2_2", 1.1e-4, "").number("PV2_1", 1.0, "").number("PV2_3", -60.0, "");
}

fn provenance(cards: &mut HeaderBuilder) {
    cards.text("DARKCOR", "Done with: dark_20071011_10_CDS_1.fit[2] and scale 1", "");
    cards.text("FLATCOR", "Done with: pK_flat_aug2007.fit[2]", "");
    cards.text("SKYSUB", "Done with sky_20071011_1794_K.fit[2] and scale factor 1", "");
    cards.text("CIR_CPM", "w20071011_01818_st_conf.fit[2]", "");
    for n in 1..=5 {
        cards.text(&format!("PROV{n:04}"), &format!("w20071011_{n:05}_sf.fit[2]"), "Card");
    }
    for _ in 0..10 {
        cards.history("20071117 05:07:38 $Id: cir_stage1.c,v 1.11 2005/12/15 14:44:04 jim Exp $");
    }
}

/// Processor time of this process.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
