//! A product that a test adds to a site: from the plan over the task file and the node to the archive.

use super::faults::verified;
use super::pass;
use super::staging::*;
use archive::attempts::Started;
use archive::planning::{Instruction, Subject};
use archive::{Archive, Site};
use model::profile::SurveyProfile;
use model::task::{FORMAT_VERSION, TASK_NAME, TaskFile, TaskLimits};
use model::{Finding, UnitKey, UnitState, UseCase};
use node::{Makers, NodeFault, Output};
use register::plan::{Policy, plan};
use std::path::PathBuf;

/// The products of the site; those of a release are in no plan of a delivery.
const PRODUCTS: &[UseCase] = &[
    UseCase::Preview,
    UseCase::Metadata,
    UseCase::Catalogue,
    UseCase::Invented,
    UseCase::InventedRelease,
];

/// Makes the product: a finding about each image, since the product has no table.
fn make(task: &TaskFile, _: &SurveyProfile) -> Result<Output, NodeFault> {
    let found = |file: &str| Finding {
        code: "frame_twice".into(),
        file: file.to_owned(),
        hdu: None,
        subject: None,
        files: 1,
        count: 1,
        message: "the file is invented".to_owned(),
    };
    let findings = task.inputs.iter().map(|i| found(&i.image.name)).collect();
    Ok(Output { findings, ..Output::default() })
}

/// Returns the use cases of the rounds that can be opened.
fn planned(archive: &Archive) -> Vec<archive::rounds::PlannedRound> {
    let policy = Policy {
        products: PRODUCTS,
        preview_recipe: &|_| "1".to_owned(),
        sizes: register::cut::Sizes::default(),
        min_early_images: 0,
    };
    plan(&archive.delivery_work(&NIGHT.parse().unwrap()).unwrap(), PRODUCTS, &policy).rounds
}

fn use_cases(archive: &Archive) -> Vec<UseCase> {
    planned(archive).iter().map(|round| round.use_case).collect()
}

/// Writes the task file of an attempt.
fn task_file(started: &Started) -> PathBuf {
    let task = TaskFile {
        version: FORMAT_VERSION,
        unit: started.attempt.task.unit.clone(),
        task: started.attempt.task.task,
        attempt: started.attempt.attempt,
        inputs: started.inputs.clone(),
        survey: started.survey.clone(),
        profile: model::profile::shipped()[0].1.to_owned(),
        programmes: Vec::new(),
        metadata: started.metadata.clone(),
        limits: TaskLimits { threads: 1, memory_bytes: 1 << 30 },
        output_dir: started.directory.clone(),
        umask: None,
    };
    std::fs::create_dir_all(&started.directory).unwrap();
    let path = started.directory.join(TASK_NAME);
    std::fs::write(&path, serde_json::to_vec(&task).unwrap()).unwrap();
    path
}

/// Opens the planned round of the added product and does its tasks.
fn stage(archive: &mut Archive) -> UnitKey {
    let mut rounds = planned(archive);
    rounds.retain(|round| round.use_case == UseCase::Invented);
    let unit = archive.open_round(&rounds[0], &cause(), now()).unwrap();
    archive.move_unit(&unit, UnitState::Approved, &cause(), now()).unwrap();
    let makers = Makers::default().with(UseCase::Invented, make);
    for started in start_all(archive, &unit) {
        assert_eq!(started.metadata.len(), 1, "its tasks read staged metadata");
        let path = task_file(&started);
        assert!(matches!(node::run_file(&path), Err(NodeFault::NoMaker { .. })));
        let result = node::run_file_with(&path, &makers).unwrap();
        archive.accept_result(&result, now()).unwrap();
    }
    unit
}

/// Returns the number of images with the product in each state.
fn products(site: &Site) -> String {
    let count = |state: &str| {
        let sql = format!(
            "SELECT count(*) FROM product WHERE use_case = 'invented' AND state = '{state}'"
        );
        if !site.is_embedded() {
            return psql(site, &sql).trim().to_owned();
        }
        let connection = rusqlite::Connection::open(site.database()).unwrap();
        connection.query_row(&sql, [], |r| r.get::<_, i64>(0)).unwrap().to_string()
    };
    ["current", "superseded", "retracted"].map(count).join("|")
}

#[test]
fn a_product_that_is_added_is_planned_made_and_published() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let (site, mut archive) = new_site_with(&dir.path().join("site"), PRODUCTS);
        record(&mut archive, &night(3));
        assert_eq!(use_cases(&archive), [UseCase::Preview, UseCase::Metadata]);
        stage_round(&mut archive, UseCase::Metadata, 1);
        let due = [UseCase::Preview, UseCase::Catalogue, UseCase::Invented];
        assert_eq!(use_cases(&archive), due);
        let unit = stage(&mut archive);
        let staged: Vec<UnitKey> =
            archive.staged_rounds().unwrap().into_iter().map(|round| round.unit).collect();
        assert_eq!(staged[0].use_case, UseCase::Metadata, "published first");
        assert_eq!(staged[1], unit);
        let report = pass(&mut archive);
        assert_eq!(report.published.len(), 2, "{report:?}");
        assert_eq!(products(&site), "3|0|0");
        assert_eq!(use_cases(&archive), [UseCase::Preview, UseCase::Catalogue]);
        archive.retract(&NIGHT.parse().unwrap(), &[UseCase::Invented], &cause(), now()).unwrap();
        assert_eq!(products(&site), "0|0|3");
        archive.restore(&NIGHT.parse().unwrap(), &[UseCase::Invented], &cause(), now()).unwrap();
        assert_eq!(products(&site), "3|0|0");
        verified(&site);
    });
}

#[test]
fn a_newer_image_supersedes_a_product_that_is_added() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let (site, mut archive) = new_site_with(&dir.path().join("site"), PRODUCTS);
        record(&mut archive, &night(2));
        stage_round(&mut archive, UseCase::Metadata, 1);
        stage(&mut archive);
        pass(&mut archive);
        let newer = "20071011_v2";
        record_of(&mut archive, newer, &night(2));
        stage_round_of(&mut archive, newer, UseCase::Metadata, 1);
        pass(&mut archive);
        assert_eq!(products(&site), "2|0|0", "the newer images have no such product");
        stage_round_of(&mut archive, newer, UseCase::Invented, 1);
        let report = pass(&mut archive);
        assert_eq!(report.published.len(), 1, "{report:?}");
        assert_eq!(products(&site), "2|2|0");
        verified(&site);
    });
}

#[test]
fn a_product_that_is_added_is_paused_and_completes_its_delivery() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let (site, mut archive) = new_site_with(&dir.path().join("site"), PRODUCTS);
        record(&mut archive, &night(2));
        for use_case in [UseCase::Preview, UseCase::Metadata, UseCase::Catalogue] {
            stage_round(&mut archive, use_case, 1);
        }
        assert!(pass(&mut archive).completed.is_empty(), "the images have no invention yet");
        let unit = stage(&mut archive);
        assert_eq!(pass(&mut archive).completed, [NIGHT]);
        let named = [(unit.delivery.clone(), None)];
        archive.instruct(&Subject::All, &Instruction::Pause, &cause(), now()).unwrap();
        let held = archive.held(&named).unwrap();
        assert_eq!(held.iter().map(|h| h.use_case).collect::<Vec<_>>(), PRODUCTS);
        verified(&site);
    });
}
