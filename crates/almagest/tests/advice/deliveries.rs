//! Situations of deliveries: new, arriving, processed, retracted, many.

use super::tried::*;

pub(crate) fn a_new_site() -> Vec<&'static str> {
    let desk = Desk::bare();
    let mut tried = Tried::at(&desk);
    let status = desk.at_site(&["status"]);
    let run = Advice::Run { place: "DELIVERY_DIR".to_owned() };
    tried.recommended(&status, &run);
    let delivery = desk.simulate(&night("20071011"));
    let command = tried.printed(&run).replace("DELIVERY_DIR", &delivery.display().to_string());
    worked(tried.pasted(&command));
    assert_eq!(desk.count("SELECT count(*) FROM delivery"), 1);
    tried.kinds
}

pub(crate) fn no_site() -> Vec<&'static str> {
    let desk = Desk::bare();
    let tried = Tried::at(&desk);
    // A name that a shell would take apart.
    let said = desk.plain(&["--site", "my site", "status"]);
    assert_eq!(said.code, Some(2));
    let init = Advice::Init { site: "my site".to_owned() };
    assert!(said.err.contains(&format!("`{init}`")), "{said:?}");
    tried.pasted(&init.to_string()).ended(0);
    desk.plain(&["--site", "my site", "status"]).ended(0);
    vec![init.kind()]
}

pub(crate) fn steps_are_explained() -> Vec<&'static str> {
    let desk = Desk::new();
    desk.transfer(&[night("20071011")]);
    let delivery = NIGHT.to_owned();
    let mut tried = Tried::at(&desk);
    let frame = desk.value("SELECT min(file.name) FROM file JOIN image USING (file_id)");
    let explained = desk.at_site(&["explain", frame.as_str().expect("a name")]);
    let step = Advice::Step { use_case: UseCase::Metadata, delivery: delivery.parse().unwrap() };
    tried.run(&explained, &step).ended(0);
    let explained = desk.at_site(&["explain", NIGHT]);
    tried.run(&explained, &Advice::Ingest { delivery: delivery.parse().unwrap() }).ended(0);
    assert!(desk.count("SELECT count(*) FROM multiframe") > 0);
    tried.kinds
}

pub(crate) fn a_delivery_is_retracted() -> Vec<&'static str> {
    let desk = archived();
    let before = detections(&desk);
    let delivery = NIGHT.to_owned();
    let undo = Advice::RetractUndo { delivery: delivery.parse().unwrap() };
    let mut tried = Tried::at(&desk);
    let retracted = desk.at_site(&["retract", NIGHT, "--reason", "bad flat"]);
    tried.run(&retracted, &undo).ended(0);
    assert_eq!(detections(&desk), before);
    desk.at_site(&["retract", NIGHT, "--reason", "bad flat"]).ended(0);
    let frame = desk.value("SELECT min(file.name) FROM file JOIN image USING (file_id)");
    let of_frame = desk.at_site(&["explain", frame.as_str().expect("a name")]);
    assert!(of_frame.out.contains("were retracted in event"), "{of_frame:?}");
    tried.recommended(&of_frame, &undo);
    tried.run(&desk.at_site(&["explain", NIGHT]), &undo).ended(0);
    assert_eq!(detections(&desk), before);
    // What finds nothing to do names the way back.
    desk.at_site(&["retract", NIGHT, "--reason", "bad flat"]).ended(0);
    let place = desk.inbox().join(NIGHT).display().to_string();
    let idle: [&[&str]; 5] = [
        &["run", &place],
        &["run", "--delivery", NIGHT],
        &["transfer", &place],
        &["transfer", "--delivery", NIGHT],
        &["contact-sheet", "--delivery", NIGHT],
    ];
    for words in idle {
        tried.recommended(&desk.at_site(words), &undo);
    }
    // Purged, it can only be made again.
    desk.at_site(&["purge", "--reason", "bad flat", "--yes"]).ended(0);
    let again = |use_case| Advice::StepAgain { use_case, delivery: delivery.parse().unwrap() };
    for words in idle {
        let said = desk.at_site(words);
        for advice in UseCase::ALL.iter().copied().map(again) {
            tried.recommended(&said, &advice);
        }
        tried.recommended(&said, &Advice::Ingest { delivery: delivery.parse().unwrap() });
    }
    let explained = desk.at_site(&["explain", NIGHT]);
    assert!(!explained.out.contains("--undo"), "{explained:?}");
    for use_case in [UseCase::Metadata, UseCase::Preview, UseCase::Catalogue] {
        tried.run(&explained, &again(use_case)).ended(0);
    }
    tried.run(&explained, &Advice::Ingest { delivery: delivery.parse().unwrap() }).ended(0);
    assert_eq!(detections(&desk), before);
    assert!(!desk.run(&desk.inbox().join(NIGHT)).out.contains("purged"));
    tried.kinds
}

pub(crate) fn a_delivery_is_arriving() -> Vec<&'static str> {
    let desk = Desk::new();
    let delivery = desk.simulate(&night("20071011"));
    let marker = delivery.join("OK_TO_COPY");
    let text = std::fs::read(&marker).expect("a marker");
    std::fs::remove_file(&marker).expect("removed");
    desk.at_site(&["transfer", delivery.to_str().expect("UTF-8")]).ended(0);
    assert_eq!(desk.status()["deliveries"][0]["state"], "arriving");
    let explained = desk.at_site(&["explain", NIGHT]);
    std::fs::write(&marker, text).expect("the marker comes");
    let mut tried = Tried::at(&desk);
    worked(tried.run(&explained, &Advice::Transfer { delivery: NIGHT.parse().unwrap() }));
    assert_eq!(desk.status()["deliveries"][0]["state"], "registered");
    // Of another delivery nothing more comes.
    let other = desk.simulate(&night("20071012"));
    std::fs::remove_file(other.join("OK_TO_COPY")).expect("removed");
    desk.at_site(&["transfer", other.to_str().expect("UTF-8")]).ended(0);
    let explained = desk.at_site(&["explain", "20071012_v1"]);
    worked(
        tried.run(
            &explained,
            &Advice::TransferComplete { delivery: "20071012_v1".parse().unwrap() },
        ),
    );
    assert_ne!(desk.status()["deliveries"][1]["state"], "arriving");
    tried.kinds
}

pub(crate) fn a_delivery_has_not_arrived() -> Vec<&'static str> {
    let desk = Desk::new();
    let delivery = desk.simulate(&night("20071011"));
    // The catalogue is here, its image is not.
    let mut images: Vec<PathBuf> = std::fs::read_dir(&delivery)
        .expect("there")
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.to_string_lossy().ends_with("_st.fit"))
        .collect();
    images.sort();
    let (image, kept) = (images[0].clone(), desk.dir.path().join("kept.fit"));
    std::fs::rename(&image, &kept).expect("moved");
    desk.run(&delivery);
    let name = image.file_name().expect("a name").to_string_lossy().into_owned();
    let explained = desk.at_site(&["explain", &name]);
    assert!(explained.out.contains("has not arrived"), "{explained:?}");
    std::fs::rename(&kept, &image).expect("it comes");
    let mut tried = Tried::at(&desk);
    worked(tried.run(&explained, &Advice::Transfer { delivery: NIGHT.parse().unwrap() }));
    assert!(desk.at_site(&["explain", &name]).ended(0).contains("an image"));
    // The sources are polled, and list their deliveries.
    let doctor = desk.at_site(&["doctor"]);
    tried.run(&doctor, &Advice::Sources).ended(0);
    tried.kinds
}

pub(crate) fn numbers_and_nights_lead_to_names() -> Vec<&'static str> {
    let desk = archived();
    let mut tried = Tried::at(&desk);
    let said = desk.at_site(&["explain", "20071011"]);
    let name = NIGHT.to_owned();
    assert!(tried.run(&said, &Advice::Explain { name }).ended(0).contains("is complete"));
    let row = &desk.rows(
        "SELECT d.obj_id, d.multiframe_id, d.ra, d.dec, f.name FROM detection AS d
             JOIN image USING (multiframe_id) JOIN file AS f USING (file_id) ORDER BY d.obj_id LIMIT 1",
    )[0];
    let name = format!("{NIGHT}/{}", row["name"].as_str().expect("a name"));
    let frame = Advice::Explain { name };
    for words in [
        vec!["object".to_owned(), row["obj_id"].to_string()],
        vec![row["ra"].to_string(), row["dec"].to_string()],
    ] {
        let words: Vec<&str> =
            ["explain"].into_iter().chain(words.iter().map(String::as_str)).collect();
        let said = desk.at_site(&words);
        assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
        assert!(said.out.contains(NIGHT), "{said:?}");
    }
    let object = desk.at_site(&["explain", "object", &row["obj_id"].to_string()]);
    let told = tried.run(&object, &frame).ended(0);
    assert!(told.contains(&format!("multiframe {}", row["multiframe_id"])), "{told}");
    let nothing = desk.at_site(&["explain", "nothing-of-that-name"]);
    assert_eq!(nothing.code, Some(3));
    assert!(tried.run(&nothing, &Advice::Status).ended(0).contains(NIGHT));
    tried.kinds
}

pub(crate) fn deliveries_are_many() -> Vec<&'static str> {
    let desk = Desk::new();
    let connection = rusqlite::Connection::open(desk.site.join("archive.db")).expect("it opens");
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
        INSERT INTO delivery (name, night, source, state, first_seen, last_arrival, completed)
        SELECT printf('%08d_v1', 20010000 + i), 20010000 + i, '/gone', 'complete', '2001-01-01T00:00:00Z',
               '2001-01-01T00:00:00Z', '2001-01-01T00:00:00Z' FROM n";
    connection.execute_batch(insert).expect("fifty deliveries");
    let status = desk.at_site(&["status"]);
    assert!(status.out.lines().count() < 40, "{}", status.out);
    assert!(status.out.contains("20 of 50 deliveries listed"), "{}", status.out);
    let mut tried = Tried::at(&desk);
    let all = tried.run(&status, &Advice::StatusAll).ended(0);
    assert!(all.contains("20010001_v1") && all.contains("20010050_v1"), "{all}");
    assert!(status.out.contains("20010050_v1") && !status.out.contains("20010001_v1"));
    tried.kinds
}

pub(crate) fn older_products_of_a_frame_are_kept() -> Vec<&'static str> {
    let desk = archived();
    let all = detections(&desk);
    let second = desk.simulate(&Small { version: 2, ..night("20071011") });
    let entries = std::fs::read_dir(&second).expect("there").flatten().map(|e| e.path());
    let is_catalogue = |path: &PathBuf| path.to_string_lossy().ends_with("_cat.fits");
    let catalogue = entries.filter(is_catalogue).min().expect("a catalogue");
    std::fs::remove_file(&catalogue).expect("removed");
    worked(desk.run(&second));
    assert_eq!(detections(&desk), all);
    let file = catalogue.file_name().expect("a name").to_string_lossy();
    let file = file.replace("_cat.fits", ".fit");
    let (delivery, use_case) = ("20071011_v2".to_owned(), UseCase::Catalogue);
    let explain = || desk.at_site(&["explain", &format!("{NIGHT}/{file}")]);
    let mut tried = Tried::at(&desk);
    let end =
        Advice::SupersedeFile { delivery: delivery.parse().unwrap(), file: file.clone(), use_case };
    tried.run(&explain(), &end).ended(0);
    assert!(detections(&desk) < all);
    let undo = Advice::SupersedeFileUndo {
        delivery: delivery.parse().unwrap(),
        file: file.clone(),
        use_case,
    };
    tried.run(&explain(), &undo).ended(0);
    assert_eq!(detections(&desk), all);
    tried.kinds
}

pub(crate) fn older_products_are_kept() -> Vec<&'static str> {
    let desk = archived();
    let second = desk.simulate(&Small { version: 2, ..night("20071011") });
    let mut catalogues: Vec<PathBuf> = std::fs::read_dir(&second)
        .expect("there")
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.to_string_lossy().ends_with("_cat.fits"))
        .collect();
    catalogues.sort();
    std::fs::remove_file(&catalogues[0]).expect("removed");
    desk.run(&second);
    let kept =
        "SELECT count(*) FROM detection JOIN image USING (multiframe_id) JOIN file USING (file_id)
                JOIN delivery USING (delivery_id) WHERE delivery.name = '20071011_v1'";
    assert!(desk.count(kept) > 0);
    let delivery = "20071011_v2".to_owned();
    let supersede = Advice::Supersede { delivery: delivery.parse().unwrap() };
    let mut tried = Tried::at(&desk);
    tried.recommended(&desk.at_site(&["explain", &delivery]), &supersede);
    let ended = tried.run(&desk.at_site(&["findings", "--delivery", &delivery]), &supersede);
    assert_eq!((ended.code, desk.count(kept)), (Some(0), 0), "{ended:?}");
    assert!(!desk.at_site(&["findings"]).out.contains("supersede"));
    tried.run(&ended, &Advice::SupersedeUndo { delivery: delivery.parse().unwrap() }).ended(0);
    assert!(desk.count(kept) > 0);
    tried.kinds
}

pub(crate) fn a_newer_catalogue_is_refused_in_part() -> Vec<&'static str> {
    let desk = archived();
    let all = detections(&desk);
    let delivery = desk.inbox().join(NIGHT);
    let entries = std::fs::read_dir(&delivery).expect("there").flatten().map(|e| e.path());
    let is_catalogue = |path: &PathBuf| path.to_string_lossy().ends_with("_cat.fits");
    let catalogue = entries.filter(is_catalogue).min().expect("a catalogue");
    let whole = std::fs::read(&catalogue).expect("read");
    std::fs::write(&catalogue, Spoilt::Refused(3).of(&whole)).expect("written");
    desk.run(&delivery).ended(1);
    assert_eq!(detections(&desk), all, "the older detections of the detector stay");
    let file = catalogue.file_name().expect("a name").to_string_lossy();
    let file = file.replace("_cat.fits", ".fit");
    let explain = || desk.at_site(&["explain", &format!("{NIGHT}/{file}")]);
    let line = "the older detections of ext_num 3 of the image stay current: the newer catalogue of the image has \
                no accepted detections of ext_num 3: HDU refused";
    assert!(explain().out.contains(line), "{:?}", explain());
    let of_delivery = desk.at_site(&["explain", NIGHT]).ended(0);
    let line = "1 product of the delivery stays current despite newer catalogues";
    assert!(of_delivery.contains(line), "{of_delivery}");
    let (delivery, use_case) = (NIGHT.to_owned(), UseCase::Catalogue);
    let of_detector = desk.count(&format!(
        "SELECT count(*) FROM detection JOIN image USING (multiframe_id) JOIN file USING (file_id)
         WHERE file.name = '{file}' AND detection.ext_num = 3"
    ));
    assert!(of_detector > 0);
    let ended_all = all - of_detector;
    let mut tried = Tried::at(&desk);
    let end =
        Advice::SupersedeFile { delivery: delivery.parse().unwrap(), file: file.clone(), use_case };
    let ended = tried.run(&explain(), &end);
    assert_eq!((ended.code, detections(&desk)), (Some(0), ended_all), "{ended:?}");
    let undo = Advice::SupersedeUndo { delivery: delivery.parse().unwrap() };
    tried.run(&ended, &undo).ended(0);
    assert_eq!(detections(&desk), all);
    let told = explain().ended(0);
    let line = "the detections of ext_num 3 were ended by decision of";
    assert!(
        told.contains(line) && told.contains("about the detections of ext_num 3 was undone by"),
        "{told}"
    );
    let supersede = Advice::Supersede { delivery: delivery.parse().unwrap() };
    tried.run(&desk.at_site(&["findings", "--delivery", NIGHT]), &supersede).ended(0);
    assert_eq!(detections(&desk), ended_all);
    assert!(!desk.at_site(&["findings"]).out.contains("supersede"));
    let undo = Advice::SupersedeFileUndo {
        delivery: delivery.parse().unwrap(),
        file: file.clone(),
        use_case,
    };
    tried.run(&explain(), &undo).ended(0);
    assert_eq!(detections(&desk), all);
    desk.verified();
    tried.kinds
}

pub(crate) fn previews_of_a_newer_version_show() -> Vec<&'static str> {
    let desk = archived();
    let delivery = "20071011_v2".to_owned();
    desk.run(&desk.simulate(&Small { version: 2, ..night("20071011") })).ended(0);
    let said = desk.at_site(&["contact-sheet", "--delivery", NIGHT]);
    assert_eq!(said.code, Some(3), "{said:?}");
    let mut tried = Tried::at(&desk);
    let told =
        tried.run(&said, &Advice::ContactSheet { delivery: delivery.parse().unwrap() }).ended(0);
    assert!(told.contains("contact sheet of 6 frames"), "{told}");
    assert!(!said.err.contains("metadata --delivery"), "{said:?}");
    tried.kinds
}

pub(crate) fn a_site_has_no_previews() -> Vec<&'static str> {
    let mut kinds = Vec::new();
    for selection in [&[][..], &["--delivery", NIGHT][..]] {
        let desk = Desk::new();
        desk.transfer(&[night("20071011")]);
        let words = [&["contact-sheet"], selection].concat();
        let said = desk.at_site(&words);
        assert_eq!(said.code, Some(3), "{said:?}");
        let delivery = NIGHT.to_owned();
        let step = |use_case| match selection {
            [] => Advice::StepAll { use_case },
            _ => Advice::Step { use_case, delivery: delivery.parse().unwrap() },
        };
        let ingest = match selection {
            [] => Advice::IngestAll,
            _ => Advice::Ingest { delivery: delivery.parse().unwrap() },
        };
        let mut tried = Tried::at(&desk);
        for advice in [step(UseCase::Metadata), step(UseCase::Preview), ingest] {
            worked(tried.run(&said, &advice));
        }
        assert!(desk.at_site(&words).ended(0).contains("contact sheet of 6 frames"));
        kinds.extend(tried.kinds);
    }
    let desk = Desk::bare();
    let said = desk.at_site(&["contact-sheet"]);
    let mut tried = Tried::at(&desk);
    let run = Advice::Run { place: "DELIVERY_DIR".to_owned() };
    tried.recommended(&said, &run);
    let delivery = desk.simulate(&night("20071012"));
    let command = tried.printed(&run).replace("DELIVERY_DIR", &delivery.display().to_string());
    worked(tried.pasted(&command));
    desk.at_site(&["contact-sheet"]).ended(0);
    kinds.extend(tried.kinds);
    kinds
}

/// Copies a delivery to another parent directory, under its own name.
fn copied(desk: &Desk, delivery: &Path, parent: &str) -> PathBuf {
    let copy = desk.dir.path().join(parent).join(delivery.file_name().expect("a name"));
    std::fs::create_dir_all(&copy).expect("made");
    for entry in std::fs::read_dir(delivery).expect("there").flatten() {
        std::fs::copy(entry.path(), copy.join(entry.file_name())).expect("copied");
    }
    copy
}

pub(crate) fn a_delivery_is_seen_at_another_path() -> Vec<&'static str> {
    let desk = Desk::new();
    let delivery = desk.simulate(&night("20071011"));
    desk.run(&delivery).ended(0);
    let deliveries = || desk.count("SELECT count(*) FROM delivery");
    let mut tried = Tried::at(&desk);
    let place = |copy: &Path| copy.canonicalize().expect("there").display().to_string();
    let copy = copied(&desk, &delivery, "second place");
    let said = desk.run(&copy);
    assert_eq!((said.code, deliveries()), (Some(3), 1), "{said:?}");
    let join = Advice::RunJoin { place: place(&copy), delivery: NIGHT.parse().unwrap() };
    tried.run(&said, &join).ended(0);
    assert_eq!(deliveries(), 1);
    desk.run(&copy).ended(0);
    let copy = copied(&desk, &delivery, "third place");
    let said = desk.run(&copy);
    assert_eq!(said.code, Some(3), "{said:?}");
    tried.run(&said, &Advice::RunNew { place: place(&copy) }).ended(0);
    assert_eq!(deliveries(), 2);
    tried.kinds
}

pub(crate) fn a_delivery_has_moved() -> Vec<&'static str> {
    let desk = Desk::new();
    let delivery = desk.simulate(&night("20071011"));
    let late = delivery.join(file_of(&delivery, "_cat.fits"));
    let kept = desk.dir.path().join("late");
    std::fs::rename(&late, &kept).expect("moved");
    desk.at_site(&["run", &delivery.display().to_string(), "--more-to-come"]).ended(0);
    let before = detections(&desk);
    let copy = copied(&desk, &delivery, "moved");
    std::fs::remove_dir_all(&delivery).expect("removed");
    std::fs::rename(&kept, copy.join(late.file_name().expect("a name"))).expect("moved");
    let mut tried = Tried::at(&desk);
    let explained = desk.at_site(&["explain", NIGHT]);
    let join =
        Advice::RunJoin { place: "DELIVERY_DIR".to_owned(), delivery: NIGHT.parse().unwrap() };
    tried.recommended(&explained, &join);
    let command = tried.printed(&join).replace("DELIVERY_DIR", &copy.display().to_string());
    worked(tried.pasted(&command));
    assert!(detections(&desk) > before);
    assert_eq!(desk.count("SELECT count(*) FROM delivery WHERE state = 'complete'"), 1);
    tried.kinds
}

/// Returns the first file of a delivery whose name ends like this.
fn file_of(delivery: &Path, end: &str) -> String {
    let entries = std::fs::read_dir(delivery).expect("there").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(end)).min().expect("such a file")
}
