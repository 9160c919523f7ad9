//! What every engine must do, said once, of the handles `Reader` and `Archive`. A test binary per engine calls [`all`].

pub mod staging;

mod ambiguous;
mod origins;
mod planning;
mod publication;
mod refusals;
mod retraction;
mod rounds;
mod states;

use archive::library::Soundness;
use archive::refusals::{RefusalFilter, RefusalState, Stage, StagedRefusal};
use archive::registration::{Arrival, DeliveryFacts, Postponed, Recorded, Registration};
use archive::{Archive, Reader, Site};
use model::{Night, UseCase};
use staging::*;

/// Makes a fresh archive with programme 7.
pub type Fresh = dyn Fn() -> (tempfile::TempDir, Site, Archive);

/// Runs the whole suite; the names are printed so that a failing one can be found.
pub fn all(fresh: &Fresh) {
    type Case = (&'static str, fn(&Fresh));
    let cases: &[Case] = &[
        ("registering twice is once", registering_twice_is_once),
        ("an accepted file has a survey profile", an_accepted_file_has_a_survey_profile),
        ("ids count on in the order given", ids_count_on_in_the_order_given),
        ("missing files are awaited", missing_files_are_awaited),
        ("what a look at the library found is kept", what_a_look_at_the_library_found_is_kept),
        ("a name belongs to its first origin", origins::a_name_belongs_to_its_first_origin),
        ("an operator closes a delivery", origins::an_operator_closes_a_delivery),
        ("providers stay apart", origins::providers_do_not_supersede_each_other),
        ("newer content supersedes", newer_content_supersedes),
        ("an earlier content comes back", an_earlier_content_comes_back),
        ("another ending is the same frame", another_ending_is_the_same_frame),
        ("an earlier name comes back", an_earlier_name_comes_back),
        ("equal content elsewhere is linked", equal_content_elsewhere_is_linked),
        ("catalogues pair with images that arrive later", catalogues_pair_late),
        ("a new programme releases what waited", refusals::a_new_programme_releases),
        ("refusals live and die", refusals::refusals_live_and_die),
        ("a catalogue waits for refused metadata", refusals::a_catalogue_waits_for_metadata),
        ("a failed round's files are retried", refusals::a_failed_round_is_retried),
        ("a round covers its files once", rounds::a_round_covers_its_files_once),
        ("the first result counts", rounds::the_first_result_counts),
        ("a task is given up", rounds::a_task_is_given_up),
        ("a plan is approved in parts", planning::a_plan_is_approved_in_parts),
        ("a plan is rejected or superseded", planning::a_plan_is_rejected_or_superseded),
        ("rounds to come are approved beforehand", planning::rounds_to_come_are_approved),
        ("instructions hold until withdrawn", planning::instructions_hold_until_withdrawn),
        ("a night becomes visible once", publication::a_night_becomes_visible_once),
        ("reserved ids stay reserved", publication::reserved_ids_stay),
        ("ids are counted by lake table", publication::ids_are_counted_by_lake_table),
        ("a misfit batch harms no other", publication::a_misfit_batch_harms_no_other),
        ("new versions replace old rows", publication::new_versions_replace_old_rows),
        ("a delivery goes and comes back", retraction::a_delivery_goes_and_comes_back),
        ("ingesting again works", retraction::what_was_retracted_can_be_ingested_again),
        ("purged rows do not exist", retraction::purged_rows_do_not_exist),
        (
            "a purge of a round leaves a later one",
            retraction::a_purge_of_a_round_leaves_a_later_one,
        ),
        (
            "a purge is of a retraction and not of its rounds",
            retraction::a_purge_is_of_a_retraction_and_not_of_its_rounds,
        ),
        ("a newer processing supersedes", retraction::a_newer_processing_supersedes_file_by_file),
        ("another ending supersedes", retraction::another_ending_supersedes),
        ("a delivery is compressed in place", retraction::a_delivery_is_compressed_in_place),
        ("kept products are superseded", retraction::kept_products_are_found_and_superseded),
        ("detectors keep their detections", retraction::detectors_keep_their_detections),
        ("an image keeps older detections", retraction::an_image_keeps_older_detections),
        ("late catalogues", retraction::late_catalogues_follow_the_same_rule),
        ("a refusal keeps its number", refusals::a_refusal_keeps_its_number),
        ("both of two catalogues are refused", ambiguous::both_are_refused),
        ("an outstanding catalogue counts", ambiguous::an_outstanding_rival_counts),
        ("another name of a catalogue is a version", ambiguous::another_name_is_a_version),
        ("a catalogue that was read stays", ambiguous::what_was_read_stays),
        ("findings are of distinct files", refusals::findings_are_of_distinct_files),
    ];
    for (name, case) in cases {
        println!("conformance: {name}");
        case(fresh);
    }
    states::only_allowed_changes(fresh);
}

fn registering_twice_is_once(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    let files = night(3);
    let first = record(&mut archive, &files);
    assert_eq!((first.images, first.catalogues, first.new_refusals), (3, 3, 0));
    let before = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    let second = record(&mut archive, &files);
    assert_eq!(second, Recorded { known: 6, ..Recorded::default() });
    assert_eq!(archive.delivery_work(&NIGHT.parse().unwrap()).unwrap(), before);
    assert_eq!(archive.known_files(&NIGHT.parse().unwrap()).unwrap().len(), 6);
    assert!(archive.known_files(&"20071012_v1".parse().unwrap()).unwrap().is_empty());
}

/// A transfer refuses a file that no profile fits, so that an accepted one without profile is a fault of its data and no conflict.
fn an_accepted_file_has_a_survey_profile(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    let mut image = arrival("a.fit", "x");
    image.content.survey = None;
    let error = archive.record(&registration(&[image]), now()).unwrap_err();
    assert!(error.is_about_data() && !error.is_conflict(), "{error:?}");
    assert!(error.fault.to_string().contains("a.fit"), "{error:?}");
    assert!(archive.known_files(&NIGHT.parse().unwrap()).unwrap().is_empty());
}

fn ids_count_on_in_the_order_given(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(
        &mut archive,
        &[arrival("b.fit", "b"), arrival("a.fit", "a"), arrival("OK_TO_COPY", "")],
    );
    record(&mut archive, &[arrival("c.fit", "c"), arrival("a.fit", "a")]);
    let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    let ids: Vec<(String, i64)> =
        work.images.into_iter().map(|i| (i.name, i.multiframe_id.get())).collect();
    let wanted = [("a.fit", 2), ("b.fit", 1), ("c.fit", 3)];
    assert_eq!(ids, wanted.map(|(name, id)| (name.to_owned(), id)));
}

fn what_a_look_at_the_library_found_is_kept(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    let holdings = archive.holdings(Some(&NIGHT.parse().unwrap())).unwrap();
    assert_eq!(holdings.len(), 4);
    assert!(holdings.iter().all(|h| h.is_current && h.soundness.is_none()));
    let (first, second) = (holdings[0].file_id, holdings[1].file_id);
    archive
        .note_soundness(&[(second, Soundness::Intact), (first, Soundness::Corrupt)], now())
        .unwrap();
    assert_eq!(archive.status().unwrap().unsound_files, 1);
    let again = archive.holdings(None).unwrap();
    let last: Vec<_> = again[2..].iter().map(|h| (h.file_id, h.soundness)).collect();
    assert_eq!(
        last,
        [(first, Some(Soundness::Corrupt)), (second, Some(Soundness::Intact))],
        "those not looked at come first"
    );
    archive.note_soundness(&[(first, Soundness::Intact)], now()).unwrap();
    assert_eq!(archive.status().unwrap().unsound_files, 0);
    assert!(archive.holdings(Some(&"20990101_v1".parse().unwrap())).unwrap().is_empty());
}

/// Catalogues without image are no news while more is known to come.
fn missing_files_are_awaited(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    let awaiting = |awaited: Option<&str>, arrivals: &[Arrival], archive: &mut Archive| {
        let awaited = awaited.map(str::to_owned);
        let registration = Registration {
            delivery: DeliveryFacts { all_there: awaited.is_none(), awaited, ..delivery() },
            postponed: &[Postponed {
                name: "late.fit".to_owned(),
                why: "the line was cut".to_owned(),
            }],
            ..registration(arrivals)
        };
        archive.record(&registration, now()).unwrap()
    };
    let recorded = awaiting(Some("images"), &[arrival("a_cat.fits", "rows")], &mut archive);
    assert_eq!(recorded.new_refusals, 0);
    let status = &archive.status().unwrap().deliveries[0];
    assert_eq!((status.state.name(), status.awaited.as_deref()), ("arriving", Some("images")));
    assert!(archive.delivery_work(&NIGHT.parse().unwrap()).unwrap().arriving.is_some());
    let recorded = awaiting(None, &[], &mut archive);
    assert_eq!(recorded.new_refusals, 1, "now it is");
    let status = &archive.status().unwrap().deliveries[0];
    assert_eq!((status.state.name(), status.awaited.as_deref()), ("registered", None));
    assert!(archive.delivery_work(&NIGHT.parse().unwrap()).unwrap().arriving.is_none());
}

fn newer_content_supersedes(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &[arrival("a.fit", "old"), arrival("a_cat.fits", "rows")]);
    let recorded = record(&mut archive, &[arrival("a.fit", "new")]);
    assert_eq!((recorded.images, recorded.superseded), (1, 1));
    let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    assert_eq!(work.images.len(), 1);
    assert_eq!(work.images[0].multiframe_id.get(), 2);
    let catalogue = work.images[0].catalogue.as_ref().expect("it serves the new image too");
    assert_eq!((catalogue.name.as_str(), catalogue.version), ("a_cat.fits", 1));
    record(&mut archive, &[arrival("a_cat.fits", "more rows")]);
    let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    assert_eq!(work.images[0].catalogue.as_ref().unwrap().version, 2);
}

fn an_earlier_content_comes_back(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &[arrival("a.fit", "old")]);
    record(&mut archive, &[arrival("a.fit", "new")]);
    let back = record(&mut archive, &[arrival("a.fit", "old")]);
    assert_eq!((back.images, back.superseded, back.known), (0, 1, 1));
    let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    assert_eq!(work.images[0].multiframe_id.get(), 1, "the same key has the same id");
    assert!(
        work.images[0].progress(UseCase::Metadata).redo.is_some(),
        "and everything is due again"
    );
}

/// Images whose names differ in FITS and compression endings alone are contents of one frame: the later one counts, and a second scan of
/// the earlier one changes nothing.
fn another_ending_is_the_same_frame(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    let image = |archive: &Reader| {
        let mut work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
        assert_eq!((work.images.len(), work.unpaired.len()), (1, 0), "{work:?}");
        let image = work.images.remove(0);
        let catalogue = image.catalogue.clone().expect("it serves the newest image");
        (image.name.clone(), image.multiframe_id.get(), catalogue.name, catalogue.version)
    };
    let is = |name: &str, multiframe, catalogue: &str, version| {
        (name.to_owned(), multiframe, catalogue.to_owned(), version)
    };
    record(&mut archive, &[arrival("a.fit", "old"), arrival("a_cat.fits", "rows")]);
    let recorded = record(&mut archive, &[arrival("a.fit.gz", "compressed")]);
    assert_eq!((recorded.images, recorded.superseded), (1, 1));
    assert_eq!(image(&archive), is("a.fit.gz", 2, "a_cat.fits", 1));
    record(&mut archive, &[arrival("a_cat.fits.gz", "compressed rows")]);
    assert_eq!(image(&archive), is("a.fit.gz", 2, "a_cat.fits.gz", 2));
    let recorded = record(&mut archive, &[arrival("a.fit", "old")]);
    assert_eq!((recorded.images, recorded.known), (0, 1));
    assert_eq!(image(&archive), is("a.fit.gz", 2, "a_cat.fits.gz", 2));
    assert!(
        archive.delivery_work(&NIGHT.parse().unwrap()).unwrap().images[0]
            .progress(UseCase::Metadata)
            .redo
            .is_none()
    );
    assert!(
        archive.holdings(Some(&NIGHT.parse().unwrap())).unwrap().iter().all(|h| h.is_current),
        "of its name"
    );
    // What is refused of the earlier file is no news, and its date at the source is noted.
    let refused = StagedRefusal {
        stage: Stage::Register,
        refusal: refusal("datasum_wrong", "a.fit", Some(1), false),
    };
    let earlier = [arrival("a.fit", "old")];
    let registration = Registration {
        touched: &[("a.fit".to_owned(), 9)],
        refusals: &[refused],
        ..registration(&earlier)
    };
    archive.record(&registration, now()).unwrap();
    let open = RefusalFilter { state: Some(RefusalState::Open), ..RefusalFilter::default() };
    assert_eq!(archive.refusals(&open).unwrap(), []);
    let latest = |archive: &Reader, name: &str| {
        let files = archive.known_files(&NIGHT.parse().unwrap()).unwrap();
        files.into_iter().rfind(|file| file.name == name).unwrap()
    };
    assert_eq!(latest(&archive, "a.fit").modified_ns, 9);
    // Both are explained, by either name and by that of the frame.
    let facts = archive.facts("20071011_v1/a.fit").unwrap().unwrap();
    assert_eq!(facts.files[0].replaced_by.as_deref(), Some("a.fit.gz"));
    for frame in ["20071011_v1/a.fits", "a"] {
        let facts = archive.facts(frame).unwrap().unwrap();
        let names: Vec<&str> = facts.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.fit.gz", "a.fit"], "{frame}");
    }
    // Newer content of the earlier name is the newest of the frame, and so is what that gives way to.
    record(&mut archive, &[arrival("a.fit", "new")]);
    assert_eq!(image(&archive), is("a.fit", 3, "a_cat.fits.gz", 2));
    record(&mut archive, &[arrival("a.FITS.fz", "tiles")]);
    assert_eq!(image(&archive), is("a.FITS.fz", 4, "a_cat.fits.gz", 2));
    record(&mut archive, &[arrival("a.fit", "old")]);
    assert_eq!(image(&archive), is("a.FITS.fz", 4, "a_cat.fits.gz", 2));
    assert_eq!(latest(&archive, "a.fit").sha256, arrival("a.fit", "old").sha256);
    // Names of other frames, and what is not an image, are left alone.
    let others = [arrival("a.b.fit", "x"), arrival("A.fit", "y"), arrival("a.txt", "z")];
    assert_eq!(record(&mut archive, &others).superseded, 0);
    assert_eq!(archive.delivery_work(&NIGHT.parse().unwrap()).unwrap().images.len(), 3);
}

/// A source that shows the earlier file of a frame again, and the later one no longer, makes the earlier image current: under its
/// own id, with the values and the detections that the archive has of it.
fn an_earlier_name_comes_back(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    let shows = |archive: &mut Archive, present: &[&str], arrivals: &[Arrival]| {
        let present: Vec<String> = present.iter().map(|name| (*name).to_owned()).collect();
        let registration = Registration { present: Some(&present), ..registration(arrivals) };
        archive.record(&registration, now()).unwrap()
    };
    let images = |archive: &Reader| -> Vec<(String, i64)> {
        let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
        work.images.iter().map(|image| (image.name.clone(), image.multiframe_id.get())).collect()
    };
    let (first, second) = (("a.fit".to_owned(), 1), ("a.fit.gz".to_owned(), 2));
    shows(&mut archive, &["a.fit"], &[arrival("a.fit", "x")]);
    shows(&mut archive, &["a.fit.gz"], &[arrival("a.fit.gz", "y")]);
    assert_eq!(images(&archive), std::slice::from_ref(&second));
    // The file has its earlier size and date, so that it is not fetched again.
    let back = shows(&mut archive, &["a.fit"], &[]);
    assert_eq!((back.images, back.superseded), (0, 1));
    assert_eq!(images(&archive), std::slice::from_ref(&first), "the same key has the same id");
    let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    assert!(work.images[0].progress(UseCase::Metadata).redo.is_some());
    assert!(archive.findings(None).unwrap().is_empty(), "no frame is there twice");
    let facts = archive.facts("20071011_v1/a.fit.gz").unwrap().unwrap();
    assert_eq!(facts.files[0].replaced_by.as_deref(), Some("a.fit"));
    // To and fro, and fetched again.
    shows(&mut archive, &["a.fit.gz"], &[]);
    assert_eq!(images(&archive), std::slice::from_ref(&second));
    shows(&mut archive, &["a.fit"], &[arrival("a.fit", "x")]);
    assert_eq!(images(&archive), std::slice::from_ref(&first));
    // Side by side they are two images, with a finding; a source that shows neither changes nothing.
    shows(&mut archive, &["a.fit", "a.fit.gz"], &[]);
    assert_eq!(images(&archive), [first.clone(), second]);
    assert_eq!(archive.findings(None).unwrap().len(), 1);
    shows(&mut archive, &["a.fit"], &[]);
    assert_eq!(images(&archive), [first]);
    // The same content under a third name of the frame is an image of its own.
    let third = shows(&mut archive, &["a.FITS.fz"], &[arrival("a.FITS.fz", "x")]);
    assert_eq!((third.images, third.superseded), (1, 1));
    assert_eq!(images(&archive), [("a.FITS.fz".to_owned(), 3)]);
}

fn equal_content_elsewhere_is_linked(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &[arrival("a.fit", "same")]);
    record_of(&mut archive, "20071011_v2", &[arrival("a.fit", "same")]);
    let facts = archive.facts("20071011_v2/a.fit").unwrap().unwrap();
    assert_eq!(facts.files[0].multiframe_id, model::MultiframeId::new(2), "another multiframe");
    assert_eq!(facts.files[0].same_content_as, Some((NIGHT.to_owned(), "a.fit".to_owned())));
    assert_eq!(
        archive.deliveries(Some(Night::new(20_071_011).unwrap())).unwrap(),
        [NIGHT, "20071011_v2"]
    );
}

fn catalogues_pair_late(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    let recorded = record(&mut archive, &[arrival("a_cat.fits", "rows")]);
    assert_eq!(recorded.new_refusals, 1, "it waits and says so");
    let parked = archive.refusals(&RefusalFilter::default()).unwrap();
    assert_eq!(parked[0].refusal.code, "image_absent");
    assert!(parked[0].refusal.parked);
    assert_eq!(archive.delivery_work(&NIGHT.parse().unwrap()).unwrap().unpaired, ["a_cat.fits"]);
    let recorded = record(&mut archive, &[arrival("a.fit", "image")]);
    assert_eq!(recorded.resolved_refusals, 1);
    let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    assert!(work.unpaired.is_empty());
    assert!(work.images[0].catalogue.is_some());
    let state = archive.refusals(&RefusalFilter::default()).unwrap()[0].state;
    assert_eq!(state, RefusalState::Resolved);
    assert!(work.images[0].progress(UseCase::Catalogue).coverage.is_none());
}
