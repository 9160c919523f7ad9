//! Nights that depend on one another: products that older versions keep, calibration frames that nights share, and archives in
//! which rows contradict the decisions.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod catalogue_metadata;
mod kept;
#[path = "../operator/mod.rs"]
mod operator;
mod several_catalogues;
mod shared_frames;

use operator::{Desk, Small};
use std::path::Path;
use testkit::postgres::Database;

const FIRST: &str = "20071011_v1";
const SECOND: &str = "20071011_v2";

fn small() -> Small<'static> {
    Small { detections: 8, ..Small::default() }
}

/// Lists the names of the catalogues of a delivery.
fn catalogues(delivery: &Path) -> Vec<String> {
    let names = std::fs::read_dir(delivery).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut catalogues: Vec<String> = names.filter(|name| name.ends_with("_cat.fits")).collect();
    catalogues.sort();
    catalogues
}

fn sorted(mut rows: Vec<serde_json::Value>) -> Vec<String> {
    rows.sort_by_key(ToString::to_string);
    rows.iter().map(ToString::to_string).collect()
}

/// Sites on both engines, with the database of the one on the server.
fn with_databases() -> impl Iterator<Item = (Desk, Option<Database>)> {
    let on_server = Desk::on_server().map(|(desk, database)| (desk, Some(database)));
    [(Desk::new(), None)].into_iter().chain(on_server)
}

/// Changes the tables of a site as no act does.
fn change(desk: &Desk, database: Option<&Database>, sql: &str) {
    match database {
        None => {
            let database = rusqlite::Connection::open(desk.site.join("archive.db")).unwrap();
            database.execute_batch(sql).unwrap();
        }
        Some(database) => drop(database.psql(sql)),
    }
}

fn image_of(catalogue: &str) -> String {
    catalogue.replace("_cat.fits", ".fit")
}

fn multiframe(desk: &Desk, delivery: &str, file: &str) -> u64 {
    desk.count(&format!(
        "SELECT multiframe_id FROM image JOIN file USING (file_id) JOIN delivery USING (delivery_id)
         WHERE delivery.name = '{delivery}' AND file.name = '{file}'"
    ))
}

/// Runs both versions of a night. In the second one the first frame has no catalogue and the second frame that of another field.
/// Returns the names of these frames.
fn two_versions(desk: &Desk) -> [String; 2] {
    let first = desk.simulate(&small());
    let second = desk.simulate(&Small { version: 2, ..small() });
    let names = catalogues(&second);
    std::fs::rename(second.join(&names[0]), second.join(&names[1])).unwrap();
    desk.run(&first).ended(0);
    desk.run(&second).ended(1);
    [image_of(&names[0]), image_of(&names[1])]
}
