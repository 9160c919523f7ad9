//! Situations in which something was refused or found.

use super::tried::*;
use model::RefusalId;
use simulate::NightSpec;
use testkit::damage::{named, plant_one};

pub(crate) fn frames_wait_for_a_programme() -> Vec<&'static str> {
    let desk = Desk::bare();
    let delivery = desk.simulate(&Small { frames: 40, detections: 4, ..night("20071011") });
    let said = desk.run(&delivery);
    let mut tried = Tried::at(&desk);
    let list = tried.run(&said, &Advice::Refusals).ended(0);
    assert!(list.contains("unknown_project"), "{list}");
    tried.recommended(&desk.at_site(&["status"]), &Advice::Refusals);
    let parked = desk.refusals();
    let parked: Vec<_> = parked.iter().filter(|r| r["code"] == "unknown_project").collect();
    let project =
        parked[0]["message"].as_str().expect("a message").split('"').nth(1).expect("a project");
    let explained = desk.at_site(&["explain", NIGHT]);
    let plain = project.chars().filter(char::is_ascii_alphanumeric);
    let name: String = plain.map(|c| c.to_ascii_uppercase()).collect();
    let add = Advice::ProgrammeAdd { name, project: project.to_owned() };
    let run = Advice::Run { place: delivery.canonicalize().expect("there").display().to_string() };
    tried.recommended(&explained, &run);
    let added = tried.run(&explained, &add);
    worked(tried.run(&added, &run));
    let left = desk.refusals();
    assert!(left.iter().all(|r| r["message"] != parked[0]["message"]), "{left:?}");
    tried.kinds
}

/// A site with a truncated image.
fn damaged() -> (Desk, PathBuf, PathBuf, Vec<u8>) {
    let desk = Desk::new();
    let delivery = desk.simulate(&night("20071011"));
    let mut images: Vec<PathBuf> = std::fs::read_dir(&delivery)
        .expect("there")
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.to_string_lossy().ends_with("_st.fit"))
        .collect();
    images.sort();
    let image = images[0].clone();
    let whole = std::fs::read(&image).expect("readable");
    std::fs::write(&image, &whole[..whole.len() / 2 / 2880 * 2880 + 100]).expect("damaged");
    let said = desk.run(&delivery);
    assert_eq!(said.code, Some(1), "{said:?}");
    (desk, delivery, image, whole)
}

pub(crate) fn files_are_damaged() -> Vec<&'static str> {
    let (desk, delivery, image, whole) = damaged();
    let name = image.file_name().expect("a name").to_string_lossy().into_owned();
    let explained = || desk.at_site(&["explain", &name]);
    let open = || -> Vec<i64> {
        let of_file = |r: &serde_json::Value| r["file"] == name.as_str() && r["parked"] == false;
        desk.refusals()
            .iter()
            .filter(|r| of_file(r))
            .map(|r| r["number"].as_i64().expect("one"))
            .collect()
    };
    let numbers = open();
    assert!(!numbers.is_empty());
    let mut tried = Tried::at(&desk);
    let (mut accept, mut dismiss, mut retry) = (None, None, None);
    for number in &numbers {
        let which = RefusalChoice::Numbers(vec![RefusalId::new(*number).expect("a number")]);
        accept = Some(Advice::RefusalsAccept { which: which.clone() });
        dismiss = Some(Advice::RefusalsDismiss { which: which.clone() });
        retry = Some(Advice::RefusalsRetry { which });
    }
    let [accept, dismiss, retry] = [accept, dismiss, retry].map(|a| a.expect("a refusal"));
    let first = explained();
    tried.recommended(&first, &dismiss);
    tried.run(&first, &accept).ended(0);
    let state = |number: i64| {
        let all = desk.at_site(&["refusals", "list", "--all", "--json"]).json(0);
        let all = all.as_array().expect("an array").clone();
        let found = all.iter().find(|r| r["number"] == number).expect("it is there");
        found["state"].as_str().expect("a state").to_owned()
    };
    let number = *numbers.last().expect("one");
    assert_eq!(state(number), "accepted");
    // The repaired file takes its place.
    std::fs::write(&image, whole).expect("repaired");
    let place = delivery.canonicalize().expect("there").display().to_string();
    let retried = tried.run(&first, &retry);
    assert_eq!(state(number), "retried");
    worked(tried.run(&retried, &Advice::Run { place }));
    assert_eq!(state(number), "resolved");
    assert!(
        desk.count(&format!("SELECT count(*) FROM multiframe WHERE file_name LIKE '%{name}%'")) > 0
    );
    // Dismissed elsewhere: it leaves the list.
    let (other, _, image, _) = damaged();
    let name = image.file_name().expect("a name").to_string_lossy().into_owned();
    let mut there = Tried::at(&other);
    let said = other.at_site(&["explain", &name]);
    there.run(&said, &dismiss).ended(0);
    assert!(other.refusals().iter().all(|r| r["number"] != number));
    tried.kinds.extend(there.kinds);
    tried.kinds
}

pub(crate) fn refusals_are_many() -> Vec<&'static str> {
    let desk = Desk::bare();
    let delivery = desk.simulate(&Small { frames: 30, ..night("20071011") });
    for entry in std::fs::read_dir(&delivery).expect("there").flatten() {
        if entry.path().to_string_lossy().ends_with(".fit") {
            let whole = std::fs::read(entry.path()).expect("readable");
            std::fs::write(entry.path(), &whole[..3000]).expect("damaged");
        }
    }
    desk.run(&delivery).ended(1);
    let explained = desk.at_site(&["explain", NIGHT]);
    assert!(explained.out.lines().count() < 100, "{}", explained.out);
    let mut tried = Tried::at(&desk);
    let list =
        tried.run(&explained, &Advice::RefusalsOf { delivery: NIGHT.parse().unwrap() }).ended(0);
    assert!(list.lines().count() > 30, "{list}");
    tried.kinds
}

pub(crate) fn a_task_failed() -> Vec<&'static str> {
    let desk = Desk::new();
    let delivery = desk.simulate(&night("20071011"));
    desk.at_site(&["transfer", delivery.to_str().expect("UTF-8")]).ended(0);
    // A file of the library that is lost when its task runs.
    let name = desk.value("SELECT min(file.name) FROM file JOIN image USING (file_id)");
    let file = desk.site.join("library").join(NIGHT).join(name.as_str().expect("a name"));
    let whole = std::fs::read(&file).expect("readable");
    std::fs::remove_file(&file).expect("removed");
    desk.at_site(&["metadata", "--delivery", NIGHT]);
    let failed = desk.refusals();
    assert!(failed.iter().any(|r| r["code"] == "task_failed"), "{failed:?}");
    let explained = desk.at_site(&["explain", NIGHT]);
    std::fs::write(&file, whole).expect("it is back");
    let target = Target::Unit(NIGHT.parse().unwrap(), UseCase::Metadata);
    let mut tried = Tried::at(&desk);
    tried.run(&explained, &Advice::Retry { target }).ended(0);
    desk.run(&delivery).ended(0);
    assert!(desk.refusals().iter().all(|r| r["code"] != "task_failed"));
    tried.kinds
}

pub(crate) fn there_are_findings() -> Vec<&'static str> {
    let desk = Desk::new();
    let mut all = Vec::new();
    for name in ["20071011", "20071012"] {
        let delivery = desk.simulate(&Small { faults: true, ..night(name) });
        let mut tried = Tried::at(&desk);
        let said = desk.run(&delivery);
        let of = Advice::FindingsOf { delivery: format!("{name}_v1").parse().unwrap() };
        let list = tried.run(&said, &of).ended(0);
        let found =
            desk.at_site(&["findings", "--delivery", &format!("{name}_v1"), "--json"]).json(0);
        let found = found.as_array().expect("an array").len();
        assert_eq!(list.lines().count(), found + 2, "a line for each: {list}");
        let counted =
            if found == 1 { "1 finding:".to_owned() } else { format!("{found} findings:") };
        assert!(said.out.contains(&counted), "{counted} of this delivery alone: {}", said.out);
        all.extend(tried.kinds);
    }
    let mut tried = Tried::at(&desk);
    let list = tried.run(&desk.at_site(&["status"]), &Advice::Findings).ended(0);
    assert!(list.contains("20071011_v1") && list.contains("20071012_v1"), "{list}");
    all.extend(tried.kinds);
    all
}

/// A night with one more frame, which has a damage; it was run.
fn with(damage: &str) -> (Desk, PathBuf) {
    let desk = Desk::new();
    let delivery = desk.simulate(&night("20071011"));
    let damage = named(damage).expect("a kind");
    plant_one(&delivery, &NightSpec::default(), damage, 90_001).expect("written").expect("made");
    assert_eq!(desk.run(&delivery).code, Some(1));
    (desk, delivery)
}

/// The only open refusal with a code.
#[track_caller]
fn number_of(desk: &Desk, code: &str) -> i64 {
    let all = desk.refusals();
    let of_code: Vec<_> = all.iter().filter(|r| r["code"] == code).collect();
    assert_eq!(of_code.len(), 1, "{code}: {all:?}");
    of_code[0]["number"].as_i64().expect("a number")
}

fn run_again(delivery: &Path) -> Advice {
    Advice::Run { place: delivery.canonicalize().expect("there").display().to_string() }
}

pub(crate) fn stale_checksums_are_accepted() -> Vec<&'static str> {
    let (desk, delivery) = with("datasum_of_image");
    let number = number_of(&desk, "datasum_mismatch");
    let detectors = || {
        desk.count(
            "SELECT count(*) FROM multiframe_detector JOIN multiframe USING (multiframe_id)
             WHERE file_name = 'w20071011_90001_st.fit'",
        )
    };
    assert_eq!(detectors(), 3);
    let number = RefusalId::new(number).expect("a number");
    let mut tried = Tried::at(&desk);
    let list = desk.at_site(&["refusals", "list", "--code", "datasum_mismatch"]);
    let shown = tried.run(&list, &Advice::RefusalsShow { number });
    let taken = tried.run(&shown, &Advice::RefusalsTake { number });
    worked(tried.run(&taken, &run_again(&delivery)));
    assert_eq!(detectors(), 4);
    tried.kinds
}

pub(crate) fn frames_name_no_project() -> Vec<&'static str> {
    let (desk, delivery) = with("project_blank");
    let number = number_of(&desk, "no_project");
    let said = desk.at_site(&["refusals", "show", &number.to_string()]);
    let (name, survey) = ("NAME".to_owned(), "wfcam".parse().unwrap());
    let mut tried = Tried::at(&desk);
    let add = Advice::ProgrammeAdd { name: name.clone(), project: "PROJECT".to_owned() };
    let set = Advice::ProfileSet { survey, key: "project.unnamed".to_owned(), value: name };
    let retry = Advice::RefusalsRetry {
        which: RefusalChoice::Numbers(vec![RefusalId::new(number).expect("a number")]),
    };
    // `explain` says the same.
    let explained = desk.at_site(&["explain", "w20071011_90001_st.fit"]);
    for advice in [add, set, retry] {
        tried.recommended(&explained, &advice);
        tried.run(&said, &advice).ended(0);
    }
    worked(tried.run(&said, &run_again(&delivery)));
    let frames = desk.count(
        "SELECT count(*) FROM multiframe JOIN programme_frame USING (multiframe_id) JOIN programme USING (programme_id)
         WHERE programme.name = 'NAME' AND file_name = 'w20071011_90001_st.fit'",
    );
    assert_eq!(frames, 1);
    tried.kinds
}

pub(crate) fn catalogues_have_no_zero_point() -> Vec<&'static str> {
    let (desk, delivery) = with("zero_point_missing");
    let explained = desk.at_site(&["explain", "w20071011_90001_st_cat.fits"]);
    let refusals = desk.refusals();
    let of_code = refusals.iter().filter(|r| r["code"] == "no_zero_point");
    let number = |r: &serde_json::Value| RefusalId::new(r["number"].as_i64()?);
    let numbers: Vec<RefusalId> = of_code.map(|r| number(r).expect("one")).collect();
    let set = Advice::ProfileSet {
        survey: "wfcam".parse().unwrap(),
        key: "catalogue.photometry.missing_zero_point".to_owned(),
        value: "null".to_owned(),
    };
    let retry = Advice::RefusalsRetry { which: RefusalChoice::Numbers(numbers) };
    let mut tried = Tried::at(&desk);
    let rows = || {
        desk.count(
            "SELECT count(*) FROM detection JOIN multiframe USING (multiframe_id)
             WHERE file_name = 'w20071011_90001_st.fit'",
        )
    };
    assert_eq!(rows(), 0);
    for advice in [set, retry, run_again(&delivery)] {
        worked(tried.run(&explained, &advice));
    }
    assert!(rows() > 0);
    tried.kinds
}

pub(crate) fn catalogues_wait_for_their_images() -> Vec<&'static str> {
    let (desk, _, image, _) = damaged();
    let image = image.file_name().expect("a name").to_string_lossy().into_owned();
    let catalogue = image.replace("_st.fit", "_st_cat.fits");
    let mut tried = Tried::at(&desk);
    let explain = Advice::Explain { name: format!("{NIGHT}/{image}") };
    let told = tried.run(&desk.at_site(&["explain", &catalogue]), &explain).ended(0);
    assert!(told.contains("refusals retry"), "{told}");
    // The metadata of an image are parked.
    let (desk, _) = with("project_unknown");
    let explain = Advice::Explain { name: format!("{NIGHT}/w20071011_90001_st.fit") };
    let said = desk.at_site(&["explain", "w20071011_90001_st_cat.fits"]);
    let told = Tried::at(&desk).run(&said, &explain).ended(0);
    assert!(told.contains("programme add"), "{told}");
    tried.kinds
}

pub(crate) fn a_profile_is_added() -> Vec<&'static str> {
    let desk = Desk::new();
    let delivery = desk.simulate(&night("20071011"));
    let profile = desk.site.join("surveys/wfcam.toml");
    let text = std::fs::read_to_string(&profile).expect("the site has it");
    std::fs::remove_file(&profile).expect("removed");
    desk.run(&delivery);
    std::fs::write(&profile, text).expect("written");
    let images = std::fs::read_dir(&delivery).expect("there").flatten();
    let names = images.map(|e| e.file_name().to_string_lossy().into_owned());
    let name = names.filter(|name| name.ends_with("_st.fit")).min().expect("an image");
    let explained = desk.at_site(&["explain", &format!("{NIGHT}/{name}")]);
    let delivery_name = || NIGHT.parse().expect("a name");
    let mut tried = Tried::at(&desk);
    let chosen = tried.run(&explained, &Advice::Reprofile { delivery: delivery_name() });
    let run = Advice::Run { place: delivery.canonicalize().expect("there").display().to_string() };
    tried.run(&chosen, &run).ended(0);
    let unchanged = desk.at_site(&["reprofile", "--delivery", NIGHT]);
    let again = tried.run(&unchanged, &Advice::ReprofileAgain { delivery: delivery_name() });
    tried.run(&again, &run).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM multiframe WHERE survey_id <> 1"), 0);
    tried.kinds
}
