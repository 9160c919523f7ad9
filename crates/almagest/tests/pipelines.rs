//! Products of six other pipelines, archived by a profile alone: the archive has what astropy reads in the delivered files, and
//! a profile that says something wrong about them is contradicted, never believed.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

use operator::Desk;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A site with the profile of one pipeline, and a delivery of that pipeline.
struct Trial {
    desk: Desk,
    pipeline: &'static str,
    delivery: PathBuf,
}

impl Trial {
    fn new(pipeline: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("site");
        let desk = Desk { dir, site };
        desk.plain(&["init", "site", "--profiles", pipeline]).ended(0);
        let words = ["simulate", "inbox", "--like", pipeline, "--truth", "truth.json"];
        // All CCDs of DECam, each a cutout.
        let size = if pipeline == "decam" { "48" } else { "128" };
        desk.plain(&[&words[..], &["--detector-size", size]].concat()).ended(0);
        let mut entries = std::fs::read_dir(desk.inbox()).unwrap();
        let delivery = entries.next().unwrap().unwrap().path();
        assert!(entries.next().is_none(), "one delivery");
        Self { desk, pipeline, delivery }
    }

    fn profile(&self) -> PathBuf {
        self.desk.site.join(format!("surveys/{}.toml", self.pipeline))
    }

    /// Changes texts of the profile, each of which must be there.
    #[track_caller]
    fn change(&self, changes: &[(&str, &str)]) {
        let mut text = std::fs::read_to_string(self.profile()).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        std::fs::write(self.profile(), text).unwrap();
    }

    /// Runs the delivery.
    #[track_caller]
    fn run(&self, code: i32) -> String {
        self.desk.run(&self.delivery).ended(code)
    }

    /// Codes of open refusals, each once.
    fn refused(&self) -> Vec<String> {
        codes(&self.desk.refusals())
    }

    /// Codes of findings, each once.
    fn found(&self) -> Vec<String> {
        codes(&self.desk.rows("SELECT DISTINCT code FROM finding"))
    }

    /// Compares the archive with the delivered files, as astropy reads them.
    #[track_caller]
    fn compare(&self) {
        let rows = json!({
            "frames": self.desk.rows(FRAMES),
            "detectors": self.desk.rows(DETECTORS),
            "detections": self.desk.rows(DETECTIONS),
            "provenance": self.desk.rows(PROVENANCE),
        });
        let archive = self.desk.dir.path().join("archive.json");
        std::fs::write(&archive, rows.to_string()).unwrap();
        let truth = self.desk.dir.path().join("truth.json");
        let args: [&std::ffi::OsStr; 4] =
            [self.pipeline.as_ref(), self.delivery.as_ref(), archive.as_ref(), truth.as_ref()];
        let script = include_str!("pipelines.py");
        if let Some(said) = testkit::python_script("pipelines.py", script, &args) {
            assert!(said.contains("the archive agrees"), "{said}");
        }
    }

    /// Archives the delivery, compares it, and archives it again, which changes nothing.
    #[track_caller]
    fn passes(&self) {
        self.run(0);
        assert_eq!(self.refused(), Vec::<String>::new());
        self.compare();
        let ids = "SELECT obj_id, multiframe_id, ext_num, seq_num FROM detection ORDER BY obj_id";
        let before = self.desk.rows(ids);
        let said = self.run(0);
        assert!(said.contains("everything is in the archive already"), "{said}");
        assert_eq!(self.desk.rows(ids), before);
        self.desk.verified();
    }
}

fn codes(rows: &[Value]) -> Vec<String> {
    let mut codes: Vec<String> =
        rows.iter().map(|row| row["code"].as_str().unwrap().to_owned()).collect();
    codes.sort();
    codes.dedup();
    codes
}

const FRAMES: &str =
    "SELECT m.file_name, m.frame_type, m.night, m.run_no, m.num_detectors, m.cat_name, m.exp_time, m.mjd_obs,
         m.tel_ra, m.tel_dec, m.ut_start, m.project, f.name AS filter,
         (SELECT count(*) FROM preview AS v WHERE v.multiframe_id = m.multiframe_id AND v.ext_num > 0) AS previews
     FROM multiframe AS m LEFT JOIN filter AS f USING (survey_id, filter_id) ORDER BY m.file_name";

const DETECTORS: &str =
    "SELECT m.file_name, d.ext_num, d.cam_num, d.phot_zp_ext, d.phot_zp_cat, d.seeing, d.psf_fwhm, d.sky_level,
         a.central_ra, a.central_dec, a.ra1, a.dec1, a.ra3, a.dec3
     FROM multiframe_detector AS d JOIN multiframe AS m USING (multiframe_id)
         JOIN astrometry AS a ON a.multiframe_id = d.multiframe_id AND a.ext_num = d.ext_num
     ORDER BY m.file_name, d.ext_num";

const DETECTIONS: &str =
    "SELECT m.file_name, d.* FROM detection AS d JOIN multiframe AS m USING (multiframe_id)
     ORDER BY m.file_name, d.ext_num, d.obj_id";

const PROVENANCE: &str =
    "SELECT m.file_name, p.role, p.component_name FROM provenance AS p JOIN multiframe AS m USING (multiframe_id)
     ORDER BY m.file_name, p.role, p.component_name";

#[test]
fn banzai() {
    Trial::new("banzai").passes();
}

#[test]
fn ldac() {
    Trial::new("ldac").passes();
}

#[test]
fn sextractor() {
    Trial::new("sextractor").passes();
}

#[test]
fn decam() {
    Trial::new("decam").passes();
}

#[test]
fn ztf() {
    let trial = Trial::new("ztf");
    remove_second_catalogues(&trial.delivery);
    trial.passes();
}

/// Removes the catalogues of SExtractor, of which the archive has no second one for an image.
fn remove_second_catalogues(delivery: &Path) {
    let entries = std::fs::read_dir(delivery).unwrap().map(|entry| entry.unwrap().path());
    let second = |path: &PathBuf| path.to_string_lossy().contains("_sexcat");
    let second: Vec<PathBuf> = entries.filter(second).collect();
    assert!(!second.is_empty());
    second.iter().for_each(|path| std::fs::remove_file(path).unwrap());
}

#[test]
fn photutils() {
    Trial::new("photutils").passes();
}

/// All six at one site: each file finds its own profile.
#[test]
fn six_profiles_at_one_site() {
    let trial = Trial::new("banzai");
    let all = "banzai,ldac,sextractor,decam,ztf,photutils";
    trial.desk.plain(&["init", "all", "--profiles", all]).ended(0);
    for pipeline in ["ldac", "sextractor", "decam", "ztf", "photutils"] {
        let words = ["simulate", "inbox", "--like", pipeline, "--frames", "1", "--detectors", "1"];
        trial.desk.plain(&words).ended(0);
    }
    let deliveries = std::fs::read_dir(trial.desk.inbox()).unwrap().map(|e| e.unwrap().path());
    let deliveries: Vec<PathBuf> = deliveries.collect();
    let ztf = deliveries.iter().find(|path| path.to_string_lossy().contains("ztf_"));
    remove_second_catalogues(ztf.unwrap());
    let mut words = vec!["--site", "all", "run"];
    words.extend(deliveries.iter().map(|d: &PathBuf| Path::to_str(d).unwrap()));
    trial.desk.plain(&words).ended(0);
    let sql = "SELECT s.name, count(*) AS n FROM multiframe JOIN survey AS s USING (survey_id)
               GROUP BY 1 ORDER BY 1";
    let counts = trial.desk.plain(&["--site", "all", "sql", sql, "--format", "json"]).json(0);
    let one = |name: &str, n: u64| json!({"name": name, "n": n});
    let wanted = [
        one("banzai", 2),
        one("decam", 3),
        one("ldac", 1),
        one("photutils", 1),
        one("sextractor", 1),
        one("ztf", 2),
    ];
    assert_eq!(counts, json!(wanted));
}

/// A mask is a detector where no rule gives it a role, and then `wcs_absent` tells; with the rule it is none.
#[test]
fn masks_are_detectors_only_without_a_role() {
    let trial = Trial::new("banzai");
    trial.run(0);
    assert_eq!(trial.desk.value("SELECT max(num_detectors) FROM multiframe"), json!(1));
    assert!(!trial.found().contains(&"wcs_absent".to_owned()), "{:?}", trial.found());
    let trial = Trial::new("banzai");
    let rule =
        |role: &str, name: &str| format!("[[hdu]]\nrole = \"{role}\"\nextname = [\"{name}\"]\n");
    trial.change(&[(rule("mask", "BPM").as_str(), ""), (rule("error", "ERR").as_str(), "")]);
    // The catalogue may be of any of the three.
    let _ = trial.desk.run(&trial.delivery);
    assert_eq!(trial.desk.value("SELECT max(num_detectors) FROM multiframe"), json!(3));
    assert!(trial.found().contains(&"wcs_absent".to_owned()), "{:?}", trial.found());
}

/// A catalogue in an image file that no rule names is no catalogue, and a finding names it.
#[test]
fn a_table_in_an_image_is_not_passed_over_in_silence() {
    let trial = Trial::new("banzai");
    let rule = "[[hdu]]\nrole = \"catalogue\"\nextname = [\"CAT\"]\n";
    trial.change(&[(rule, ""), ("where = \"image\"\n", "")]);
    let _ = trial.desk.run(&trial.delivery);
    assert_eq!(trial.desk.count("SELECT count(*) FROM detection"), 0);
    assert!(trial.found().contains(&"table_in_image".to_owned()), "{:?}", trial.found());
}

/// Tables of LDAC that are paired by HDU numbers belong to other detectors: they are refused, and no row is archived.
#[test]
fn a_wrong_pairing_is_contradicted_by_positions() {
    let trial = Trial::new("ldac");
    trial.change(&[("pairing = \"ldac\"", "pairing = \"hdu\"")]);
    trial.run(1);
    assert_eq!(trial.desk.count("SELECT count(*) FROM detection"), 0);
    assert!(trial.refused().contains(&"pairing_contradicted".to_owned()), "{:?}", trial.refused());
    // The objects of the first chip are in HDU 2, where the image has the second.
    let refusals = trial.desk.refusals();
    let mut messages = refusals.iter().filter_map(|refusal| refusal["message"].as_str());
    assert!(messages.any(|message| message.contains("fit ext_num 2")), "{refusals:?}");
}

/// x and y from 0 that are declared as from 1 are refused by the positions.
#[test]
fn a_wrong_pixel_origin_is_contradicted_by_positions() {
    let trial = Trial::new("photutils");
    trial.change(&[("pixel_origin = 0", "pixel_origin = 1")]);
    trial.run(1);
    assert_eq!(trial.desk.count("SELECT count(*) FROM detection"), 0);
    assert_eq!(trial.refused(), ["pixel_shift"]);
    let message = trial.desk.refusals()[0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("pixel_origin"), "{message}");
}

/// Two catalogues of an image that no kind tells apart are both refused: neither replaces the other.
#[test]
fn two_catalogues_without_kinds_are_both_refused() {
    let trial = Trial::new("ztf");
    trial.change(&[("[\"_psfcat\"]", "[\"_psfcat\", \"_sexcat\"]")]);
    trial.run(1);
    assert_eq!(trial.desk.count("SELECT count(*) FROM detection"), 0);
    assert_eq!(trial.refused(), ["catalogue_ambiguous"]);
    assert_eq!(trial.desk.refusals().len(), 4, "both catalogues of both images");
}

/// Masks and weights belong to their image by a rule alone.
#[test]
fn companions_are_linked_by_their_rule() {
    let trial = Trial::new("decam");
    let rule = |role: &str, part: &str| {
        format!("[[companion]]\nrole = \"{role}\"\nreplace = {{ \"_ooi_\" = \"{part}\" }}\n")
    };
    trial.change(&[(rule("mask", "_ood_").as_str(), ""), (rule("weight", "_oow_").as_str(), "")]);
    trial.run(0);
    assert_eq!(trial.desk.count("SELECT count(*) FROM provenance"), 0);
}
