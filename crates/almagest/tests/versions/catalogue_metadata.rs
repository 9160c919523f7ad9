//! Metadata about catalogues, which change with the detections of their catalogue.

use super::*;
use std::path::PathBuf;

/// Rewrites a catalogue with its zero points raised by one magnitude and a column of another name in the tables of some
/// detectors.
fn redeliver(path: &Path, [from, to]: [&str; 2], of: &[usize]) {
    let mut bytes = std::fs::read(path).unwrap();
    let (mut zero_points, mut columns, mut hdu) = (0, 0, 1);
    for card in bytes.chunks_exact_mut(80) {
        if card.starts_with(b"XTENSION=") {
            hdu += 1;
        } else if card.starts_with(b"MAGZPT  =") {
            let value: f64 = std::str::from_utf8(&card[10..30]).unwrap().trim().parse().unwrap();
            card[10..30].copy_from_slice(format!("{:>20.3}", value + 1.0).as_bytes());
            zero_points += 1;
        } else if card.starts_with(b"TTYPE") && of.contains(&hdu) {
            let text = std::str::from_utf8(card).unwrap();
            columns += usize::from(text.contains(from));
            let text = text.replace(from, to);
            card.copy_from_slice(text.as_bytes());
        }
    }
    assert_eq!((zero_points, columns), (4, of.len()));
    std::fs::write(path, bytes).unwrap();
}

const FLUX: &str = "Isophotal_flux";
const NO_FLUX: &str = "Isophotal_none";
const ALL: [usize; 4] = [2, 3, 4, 5];

/// The values that the current metadata have from catalogues, and the version that the detections come from.
const OF_CATALOGUES: &str = "SELECT file_name, multiframe.cat_version, cat_sha256, version, phot_zp_cat,
        (SELECT count(*) FROM header WHERE header.multiframe_id = multiframe.multiframe_id) AS headers, count(*) AS rows
    FROM detection JOIN multiframe USING (multiframe_id) JOIN multiframe_detector USING (multiframe_id, ext_num)
    GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY file_name, phot_zp_cat";

#[test]
fn metadata_change_with_the_detections_of_their_catalogue() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small());
        let names = catalogues(&delivery);
        desk.run(&delivery).ended(0);
        let first = desk.rows(OF_CATALOGUES);
        let all = desk.rows("SELECT count(*) AS rows FROM detection");
        // The catalogue of the first frame arrives again, and nothing of it can be read.
        redeliver(&delivery.join(&names[0]), [FLUX, NO_FLUX], &ALL);
        desk.run(&delivery).ended(1);
        assert_eq!(desk.rows(OF_CATALOGUES), first, "detections and metadata stay as they are");
        desk.verified();
        let before = desk.value("SELECT max(event_id) FROM event");
        // A readable one replaces both in one event.
        redeliver(&delivery.join(&names[0]), [NO_FLUX, FLUX], &ALL);
        desk.run(&delivery).ended(0);
        let third = desk.rows(OF_CATALOGUES);
        let image = image_of(&names[0]);
        let (changed, rest): (Vec<_>, Vec<_>) =
            third.iter().partition(|row| row["file_name"] == image.as_str());
        assert!(first.iter().filter(|row| row["file_name"] != image.as_str()).eq(rest));
        let old: Vec<_> = first.iter().filter(|row| row["file_name"] == image.as_str()).collect();
        assert_eq!((changed.len(), old.len()), (4, 4));
        for (new, old) in changed.iter().zip(&old) {
            assert_eq!((&new["version"], &new["cat_version"]), (&3.into(), &3.into()));
            let raised =
                new["phot_zp_cat"].as_f64().unwrap() - old["phot_zp_cat"].as_f64().unwrap();
            assert!((raised - 2.0).abs() < 1e-4, "{new} {old}");
            assert_eq!(new["headers"], old["headers"]);
            assert_ne!(new["cat_sha256"], old["cat_sha256"]);
        }
        assert_eq!(desk.rows("SELECT count(*) AS rows FROM detection"), all);
        let began = |table: &str| {
            desk.value(&format!(
                "SELECT max(t.begin_event) FROM {table} AS t JOIN multiframe AS m USING (multiframe_id)
                 WHERE m.file_name = '{image}'"
            ))
        };
        let event = began("detection");
        for table in ["multiframe", "multiframe_detector", "astrometry", "header"] {
            assert_eq!(began(table), event, "{table}");
        }
        desk.verified();
        // Every earlier event says what it said.
        let then = desk.at_site(&[
            "sql",
            "--as-of",
            &before.to_string(),
            "--format",
            "json",
            OF_CATALOGUES,
        ]);
        let then: Vec<serde_json::Value> = serde_json::from_str(&then.ended(0)).unwrap();
        assert_eq!(then, first);
        // A retraction and its undo restore the same state.
        desk.at_site(&["retract", FIRST, "--reason", "a test"]).ended(0);
        desk.at_site(&["retract", FIRST, "--undo", "--reason", "a test"]).ended(0);
        assert_eq!(desk.rows(OF_CATALOGUES), third);
        desk.verified();
    }
}

/// A correction of a frame shows while the newer version of its catalogue stays refused, and stays when a readable one comes.
#[test]
fn corrections_do_not_wait_for_a_catalogue() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small());
        let name = catalogues(&delivery).remove(0);
        desk.run(&delivery).ended(0);
        let first = desk.rows(OF_CATALOGUES);
        redeliver(&delivery.join(&name), [FLUX, NO_FLUX], &ALL);
        desk.run(&delivery).ended(1);
        // The profile learns that observers are named by another keyword.
        let observers =
            |desk: &Desk| desk.rows("SELECT observer, count(*) AS n FROM multiframe GROUP BY 1");
        let objects =
            desk.rows("SELECT object AS observer, count(*) AS n FROM multiframe GROUP BY 1");
        assert_ne!(observers(&desk), objects);
        let profile = desk.site.join("surveys/wfcam.toml");
        let text = std::fs::read_to_string(&profile).unwrap();
        let spelling = "[column.multiframe]\nobserver = { keywords = [\"OBJECT\"] }";
        assert!(text.contains("[column.multiframe]"));
        std::fs::write(&profile, text.replacen("[column.multiframe]", spelling, 1)).unwrap();
        desk.at_site(&["metadata", "--again", "--delivery", FIRST]).ended(0);
        desk.at_site(&["ingest"]).ended(0);
        assert_eq!(sorted(observers(&desk)), sorted(objects.clone()));
        assert_eq!(desk.rows(OF_CATALOGUES), first);
        desk.verified();
        redeliver(&delivery.join(&name), [NO_FLUX, FLUX], &ALL);
        desk.run(&delivery).ended(0);
        assert_eq!(sorted(observers(&desk)), sorted(objects));
        assert_eq!(desk.count("SELECT max(cat_version) FROM multiframe_detector"), 3);
        desk.verified();
    }
}

/// Repairs an archive in which the zero points beside the older detections are those of a newer catalogue that was refused.
#[test]
fn zero_points_of_a_refused_catalogue_are_removed_by_a_repair() {
    for (desk, database) in with_databases() {
        let delivery = desk.simulate(&small());
        let name = catalogues(&delivery).remove(0);
        desk.run(&delivery).ended(0);
        let first = desk.rows(OF_CATALOGUES);
        redeliver(&delivery.join(&name), [FLUX, NO_FLUX], &ALL);
        desk.run(&delivery).ended(1);
        let number = multiframe(&desk, FIRST, &image_of(&name));
        let mix = format!(
            "UPDATE multiframe_all SET cat_version = 2, cat_sha256 = 'other'
                 WHERE end_event IS NULL AND multiframe_id = {number};
             UPDATE multiframe_detector_all SET cat_version = 2, phot_zp_cat = phot_zp_cat + 1
                 WHERE end_event IS NULL AND multiframe_id = {number};"
        );
        change(&desk, database.as_ref(), &mix);
        assert_ne!(desk.rows(OF_CATALOGUES), first);
        let found = desk.at_site(&["verify"]);
        assert_eq!(found.code, Some(3), "{found:?}");
        let line = format!(
            "detections of multiframe {number} extension 2 are of version 1 of its catalogue, its metadata of version 2"
        );
        assert!(found.out.contains(&line), "{}", found.out);
        desk.at_site(&["verify", "--repair"]);
        desk.verified();
        assert_eq!(desk.rows(OF_CATALOGUES), first);
    }
}

#[test]
fn metadata_of_a_detector_change_with_its_detections() {
    const OF_DETECTORS: &str = "SELECT ext_num, version, phot_zp_cat, count(*) AS rows
        FROM detection JOIN multiframe USING (multiframe_id) JOIN multiframe_detector USING (multiframe_id, ext_num)
        WHERE file_name = '{}' GROUP BY 1, 2, 3 ORDER BY 1";
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small());
        let name = catalogues(&delivery).remove(0);
        desk.run(&delivery).ended(0);
        let query = OF_DETECTORS.replace("{}", &image_of(&name));
        let number = |row: &serde_json::Value, name: &str| row[name].as_f64().unwrap();
        let first = desk.rows(&query);
        let check = |raised: [f64; 4], versions: [f64; 4]| {
            let rows = desk.rows(&query);
            assert_eq!(rows.len(), 4);
            for (at, (row, old)) in rows.iter().zip(&first).enumerate() {
                let (now, before) = (number(row, "phot_zp_cat"), number(old, "phot_zp_cat"));
                assert!((now - before - raised[at]).abs() < 1e-4, "{row} {old}");
                assert_eq!(number(row, "version"), versions[at], "{row}");
                assert_eq!(row["rows"], old["rows"]);
            }
        };
        // The table of one detector cannot be read: it keeps its detections, and what describes them.
        redeliver(&delivery.join(&name), [FLUX, NO_FLUX], &[3]);
        desk.run(&delivery).ended(1);
        check([1.0, 0.0, 1.0, 1.0], [2.0, 1.0, 2.0, 2.0]);
        desk.verified();
        // Redone, it is refused again.
        let number = desk.refusals()[0]["number"].to_string();
        desk.at_site(&["refusals", "retry", &number, "--reason", "a test"]).ended(0);
        desk.run(&delivery);
        check([1.0, 0.0, 1.0, 1.0], [2.0, 1.0, 2.0, 2.0]);
        redeliver(&delivery.join(&name), [NO_FLUX, FLUX], &[3]);
        desk.run(&delivery).ended(0);
        check([2.0; 4], [3.0; 4]);
        assert_eq!(desk.refusals(), Vec::<serde_json::Value>::new());
        desk.verified();
    }
}

#[test]
fn a_redone_detector_updates_its_metadata() {
    const OF_THIRD: &str = "SELECT version, phot_zp_cat, count(iso_flux) AS rows
        FROM detection JOIN multiframe USING (multiframe_id) JOIN multiframe_detector USING (multiframe_id, ext_num)
        WHERE file_name = '{}' AND ext_num = 3 GROUP BY 1, 2";
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small());
        let name = catalogues(&delivery).remove(0);
        desk.run(&delivery).ended(0);
        let query = OF_THIRD.replace("{}", &image_of(&name));
        let first = desk.rows(&query);
        redeliver(&delivery.join(&name), [FLUX, NO_FLUX], &[3]);
        desk.run(&delivery).ended(1);
        assert_eq!(desk.rows(&query), first);
        // The profile learns the name of the column.
        let profile = desk.site.join("surveys/wfcam.toml");
        let text = std::fs::read_to_string(&profile).unwrap();
        let spelling = format!("[catalogue.spellings]\niso_flux = [\"{FLUX}\", \"{NO_FLUX}\"]");
        std::fs::write(&profile, text.replacen("[catalogue.spellings]", &spelling, 1)).unwrap();
        let number = desk.refusals()[0]["number"].to_string();
        desk.at_site(&["refusals", "retry", &number, "--reason", "a test"]).ended(0);
        desk.run(&delivery).ended(0);
        let second = desk.rows(&query);
        assert_eq!(second.len(), 1);
        assert_eq!((&second[0]["version"], &second[0]["rows"]), (&2.into(), &first[0]["rows"]));
        let zero_point = |rows: &[serde_json::Value]| rows[0]["phot_zp_cat"].as_f64().unwrap();
        assert!((zero_point(&second) - zero_point(&first) - 1.0).abs() < 1e-4, "{second:?}");
        desk.verified();
    }
}

/// The night's first frame with a catalogue, of which every version has its zero points raised by one magnitude.
struct Versions {
    desk: Desk,
    delivery: PathBuf,
    name: String,
    query: String,
    first: Vec<serde_json::Value>,
}

impl Versions {
    fn on_both_engines() -> impl Iterator<Item = Self> {
        Desk::of_both_engines().into_iter().map(|desk| {
            let delivery = desk.simulate(&small());
            let name = catalogues(&delivery).remove(0);
            let query = format!(
                "SELECT ext_num, version, phot_zp_cat, multiframe_detector.cat_version, count(*) AS rows
                 FROM detection JOIN multiframe USING (multiframe_id)
                     JOIN multiframe_detector USING (multiframe_id, ext_num)
                 WHERE file_name = '{}' GROUP BY 1, 2, 3, 4 ORDER BY 1",
                image_of(&name)
            );
            Self { desk, delivery, name, query, first: Vec::new() }
        })
    }

    /// Delivers the next version, of which the tables of some detectors cannot be read.
    fn deliver(&self, spoilt: &[usize]) {
        let path = self.delivery.join(&self.name);
        let text = std::fs::read(&path).unwrap();
        let is_spoilt = text.windows(NO_FLUX.len()).any(|w| w == NO_FLUX.as_bytes());
        assert!(!is_spoilt, "only the last version is spoilt");
        redeliver(&path, [FLUX, NO_FLUX], spoilt);
        self.step(&["transfer", &self.delivery.display().to_string()]);
    }

    fn step(&self, words: &[&str]) {
        let said = self.desk.at_site(words);
        assert!(matches!(said.code, Some(0 | 1)), "{words:?}: {said:?}");
    }

    fn run(&self) {
        self.step(&["run", &self.delivery.display().to_string()]);
    }

    /// Each detector's zero point is that of the version of its detections, in the order of the detectors.
    #[track_caller]
    fn shows(&mut self, versions: [i64; 4]) {
        let rows = self.desk.rows(&self.query);
        assert_eq!(rows.len(), 4, "{rows:?}");
        if self.first.is_empty() {
            self.first.clone_from(&rows);
        }
        for ((row, first), version) in rows.iter().zip(&self.first).zip(versions) {
            assert_eq!((&row["version"], &row["cat_version"]), (&version.into(), &version.into()));
            let zero_point = |row: &serde_json::Value| row["phot_zp_cat"].as_f64().unwrap();
            let raised = zero_point(row) - zero_point(first);
            assert!((raised - (version - 1) as f64).abs() < 1e-4, "{row} {first}");
            assert_eq!(row["rows"], first["rows"]);
        }
        self.desk.verified();
    }
}

/// The newer version of a night goes between the metadata and the detections of a catalogue that came again.
#[test]
fn metadata_of_a_superseded_frame_wait_for_their_detections() {
    for mut frame in Versions::on_both_engines() {
        frame.run();
        frame.shows([1; 4]);
        frame.query = frame.query.replace("WHERE ", "WHERE delivery = '20071011_v1' AND ");
        let newer = frame.desk.simulate(&Small { version: 2, ..small() }).display().to_string();
        frame.step(&["run", &newer]);
        frame.deliver(&[]);
        frame.step(&["metadata"]);
        frame.step(&["ingest"]);
        frame.desk.verified();
        frame.step(&["retract", SECOND, "--reason", "a test"]);
        frame.shows([1; 4]);
        frame.run();
        frame.shows([2; 4]);
    }
}

/// An older frame is current despite a newer one. An act ends its rows and, at once, those that it puts in their place: both end in
/// one event, and the later ones come back.
#[test]
fn rows_of_a_frame_that_end_together_come_back_once() {
    for (desk, database) in with_databases() {
        let first = desk.simulate(&small());
        let second = desk.simulate(&Small { version: 2, ..small() });
        let image = image_of(&catalogues(&first).remove(0));
        desk.run(&first).ended(0);
        let query = format!(
            "SELECT count(*) FROM multiframe_detector JOIN multiframe USING (multiframe_id) WHERE file_name = '{image}'"
        );
        assert_eq!(desk.count(&query), 4);
        desk.run(&second).ended(0);
        let number = multiframe(&desk, FIRST, &image);
        let tables = [
            "multiframe",
            "multiframe_detector",
            "astrometry",
            "header",
            "provenance",
            "programme_frame",
        ];
        let shown: String = tables
            .iter()
            .map(|table| {
                format!(
                    "UPDATE {table}_all SET end_event = NULL WHERE multiframe_id = {number} AND end_event = (
                         SELECT ended_event FROM product WHERE multiframe_id = {number} AND use_case = 'metadata');"
                )
            })
            .collect();
        let shown = format!(
            "{shown} UPDATE product SET state = 'current', ended_event = NULL
                 WHERE multiframe_id = {number} AND use_case = 'metadata';"
        );
        change(&desk, database.as_ref(), &shown);
        assert_eq!(desk.count(&query), 8);
        desk.at_site(&["metadata", "--again", "--delivery", FIRST]).ended(0);
        desk.at_site(&["ingest"]).ended(0);
        assert_eq!(desk.count(&query), 4);
        desk.verified();
        desk.at_site(&["retract", SECOND, "--reason", "a test"]).ended(0);
        assert_eq!(desk.count(&query), 4);
        desk.verified();
    }
}

#[test]
fn staged_detections_find_the_metadata_of_their_catalogue() {
    for mut frame in Versions::on_both_engines() {
        let delivery = frame.delivery.display().to_string();
        for words in [&["transfer", &delivery][..], &["metadata"], &["ingest"], &["catalogue"]] {
            frame.step(words);
        }
        // The second version, of which nothing can be read, comes while the detections of the first are staged.
        frame.deliver(&ALL);
        frame.step(&["metadata"]);
        frame.step(&["ingest"]);
        frame.shows([1; 4]);
        frame.run();
        frame.shows([1; 4]);
    }
}

#[test]
fn a_third_version_leaves_the_second_its_metadata() {
    for mut frame in Versions::on_both_engines() {
        frame.run();
        frame.shows([1; 4]);
        frame.deliver(&[]);
        for words in [["metadata"], ["ingest"], ["catalogue"]] {
            frame.step(&words);
        }
        frame.deliver(&ALL);
        frame.step(&["metadata"]);
        frame.step(&["ingest"]);
        frame.shows([2; 4]);
        frame.run();
        frame.shows([2; 4]);
    }
}

#[test]
fn an_undo_brings_metadata_back_with_the_detections() {
    for mut frame in Versions::on_both_engines() {
        frame.run();
        frame.shows([1; 4]);
        let retract = ["retract", FIRST, "--use-case", "catalogue", "--reason", "a test"];
        frame.step(&retract);
        frame.deliver(&[2]);
        frame.step(&["catalogue", "--again", "--delivery", FIRST]);
        frame.step(&["ingest"]);
        frame.run();
        frame.step(&["retract", FIRST, "--undo", "--reason", "a test"]);
        frame.shows([1, 2, 2, 2]);
    }
}

#[test]
fn metadata_of_a_retracted_night_wait_for_their_detections() {
    for mut frame in Versions::on_both_engines() {
        frame.run();
        frame.shows([1; 4]);
        frame.deliver(&[]);
        frame.step(&["retract", FIRST, "--reason", "a test"]);
        frame.step(&["metadata", "--again", "--delivery", FIRST]);
        frame.step(&["ingest"]);
        frame.step(&["retract", FIRST, "--undo", "--reason", "a test"]);
        frame.shows([1; 4]);
        frame.run();
        frame.shows([2; 4]);
    }
}
