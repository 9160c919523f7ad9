//! Reserve, load, publish.

use super::Fresh;
use super::staging::*;
use archive::batches::{Receipt, RowsOfProgramme};
use archive::{Archive, Reader};
use model::{ObjectId, ProgrammeId, UnitKey, UnitState, UseCase};

fn wanted(rows: u64) -> [RowsOfProgramme; 1] {
    [RowsOfProgramme { programme_id: ProgrammeId::new(7).unwrap(), rows }]
}

/// Takes a staged round into the archive.
pub fn publish(archive: &mut Archive, unit: &UnitKey) -> Receipt {
    let batch = archive.batch(unit).unwrap();
    let rows = batch
        .tasks
        .iter()
        .filter_map(|t| t.result.as_ref())
        .flat_map(|r| &r.detectors)
        .map(|d| d.rows)
        .sum();
    let rows = if rows > 0 { wanted(rows).to_vec() } else { Vec::new() };
    let ranges = archive.reserve(unit, &rows, now()).unwrap();
    let loaded = archive.load(&batch, &ranges).unwrap();
    archive.publish(&batch, loaded, &cause(), now()).unwrap()
}

fn event(receipt: &Receipt) -> i64 {
    match receipt {
        Receipt::Published { event, .. } => event.get(),
        Receipt::AlreadyPublished => panic!("it was published before"),
    }
}

pub fn a_night_becomes_visible_once(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(3));
    let preview = stage_round(&mut archive, UseCase::Preview, 1);
    let blocked = &archive.staged_rounds().unwrap()[0];
    assert_eq!(blocked.unit, preview);
    assert!(blocked.blocked.as_ref().unwrap().contains("metadata of 3"), "{blocked:?}");
    let metadata = stage_round(&mut archive, UseCase::Metadata, 2);
    let catalogue = stage_round(&mut archive, UseCase::Catalogue, 2);
    let order: Vec<UnitKey> =
        archive.staged_rounds().unwrap().into_iter().map(|r| r.unit).collect();
    assert_eq!(order, [metadata.clone(), preview.clone(), catalogue.clone()]);

    let batch = archive.batch(&metadata).unwrap();
    let receipt = publish(&mut archive, &metadata);
    let Receipt::Published { rows, .. } = &receipt else { panic!("{receipt:?}") };
    let wanted: Vec<(String, u64)> =
        [("multiframe", 3), ("multiframe_detector", 6), ("programme_frame", 3)]
            .map(|(table, rows)| (table.to_owned(), rows))
            .to_vec();
    assert_eq!(rows, &wanted);
    let again = archive.load(&batch, &[]).unwrap();
    let again = archive.publish(&batch, again, &cause(), now()).unwrap();
    assert_eq!(again, Receipt::AlreadyPublished);

    assert!(archive.staged_rounds().unwrap().iter().all(|r| r.blocked.is_none()));
    let events = [
        event(&receipt),
        event(&publish(&mut archive, &preview)),
        event(&publish(&mut archive, &catalogue)),
    ];
    assert!(events.is_sorted(), "{events:?}");
    assert_eq!(archive.complete_deliveries(now()).unwrap(), [NIGHT]);
    assert!(archive.complete_deliveries(now()).unwrap().is_empty());
    let status = archive.status().unwrap();
    let night = &status.deliveries[0];
    assert_eq!((night.multiframes, night.previews, night.detections), (3, 3, 60));
    assert_eq!(night.state.name(), "complete");
    assert_eq!(
        (status.programmes[0].detections, status.programmes[0].last_obj_id),
        (60, ObjectId::new(60))
    );
    assert_eq!(
        archive.delivery_work(&NIGHT.parse().unwrap()).unwrap().images[0].programme,
        Some(7)
    );
}

pub fn reserved_ids_stay(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    let metadata = stage_round(&mut archive, UseCase::Metadata, 1);
    publish(&mut archive, &metadata);
    let unit = stage_round(&mut archive, UseCase::Catalogue, 1);
    let first = archive.reserve(&unit, &wanted(40), now()).unwrap();
    assert_eq!((first[0].first_obj_id.get(), first[0].rows), (1, 40));
    assert_eq!(archive.reserve(&unit, &wanted(40), now()).unwrap(), first);
    assert!(archive.reserve(&unit, &wanted(41), now()).unwrap_err().is_conflict());
    let unknown = [RowsOfProgramme { programme_id: ProgrammeId::new(8).unwrap(), rows: 1 }];
    let preview = stage_round(&mut archive, UseCase::Preview, 1);
    let error = archive.reserve(&preview, &unknown, now()).unwrap_err();
    assert_eq!(error.failed_check().unwrap().0, "programme");
    // Another act overtakes the kept event: it is loaded again with a later one, under the same ids.
    let batch = archive.batch(&unit).unwrap();
    let loaded = archive.load(&batch, &first).unwrap();
    let later = archive.load_reference(&[programme_row(9, "GPS")], &cause(), now()).unwrap();
    assert!(archive.publish(&batch, loaded, &cause(), now()).unwrap_err().is_conflict());
    assert_eq!(archive.reserve(&unit, &wanted(40), now()).unwrap(), first);
    let receipt = publish(&mut archive, &unit);
    assert!(event(&receipt) > later.unwrap().get());
    assert_eq!(archive.status().unwrap().deliveries[0].detections, 40);
}

/// A lake table as `detection`, under another name.
fn other_table(id: Option<&str>) -> lake::LakeTable {
    let mut definition = model::tables::table("detection").unwrap().clone();
    definition.name = "other".to_owned();
    if let Some(layout) = &mut definition.lake {
        layout.id = id.map(str::to_owned);
    }
    lake::LakeTable::of(&definition).unwrap()
}

pub fn ids_are_counted_by_lake_table(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    let metadata = stage_round(&mut archive, UseCase::Metadata, 1);
    publish(&mut archive, &metadata);
    let unit = stage_round(&mut archive, UseCase::Catalogue, 1);
    let (other, without) = (other_table(Some("obj_id")), other_table(None));
    let first =
        |ranges: &[archive::batches::IdRange]| (ranges[0].first_obj_id.get(), ranges[0].rows);
    let preview = stage_round(&mut archive, UseCase::Preview, 1);
    let earlier = archive.reserve_of(&other, &preview, &wanted(7), now()).unwrap();
    let of_other = archive.reserve_of(&other, &unit, &wanted(5), now()).unwrap();
    assert_eq!((first(&earlier), first(&of_other)), ((1, 7), (8, 5)));
    let detections = archive.reserve(&unit, &wanted(40), now()).unwrap();
    assert_eq!(first(&detections), (1, 40), "each table has a counter of its own");
    assert_eq!(archive.reserve_of(&other, &unit, &wanted(5), now()).unwrap(), of_other);
    assert!(archive.reserve_of(&other, &unit, &wanted(6), now()).unwrap_err().is_conflict());
    // The numbers of a table without ids follow from the batch, without a counter.
    let [(one, rows), (two, _)] = [&preview, &unit]
        .map(|unit| first(&archive.reserve_of(&without, unit, &wanted(3), now()).unwrap()));
    assert_eq!((one & 0xffff_ffff, two & 0xffff_ffff, rows), (1, 1, 3));
    assert_ne!(one, two);
    assert_eq!(archive.status().unwrap().programmes[0].last_obj_id, ObjectId::new(40));
}

pub fn a_misfit_batch_harms_no_other(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(3));
    let metadata = stage_round(&mut archive, UseCase::Metadata, 1);
    publish(&mut archive, &metadata);
    let first = open_round(&mut archive, UseCase::Catalogue, 1, &|i| i.name == "w00000.fit");
    let second = open_round(&mut archive, UseCase::Catalogue, 1, &|i| i.name == "w00001.fit");
    for unit in [&first, &second] {
        for started in start_all(&mut archive, unit) {
            archive.accept_result(&work_off(&started), now()).unwrap();
        }
    }
    let blocked = archive.staged_rounds().unwrap()[1].blocked.clone();
    assert_eq!(blocked.as_deref(), Some("round 1 comes first and is staged"));
    // The staged file of the first round is not Parquet.
    let batch = archive.batch(&first).unwrap();
    let directory = batch.tasks[0].directory.clone().unwrap();
    std::fs::write(directory.join("detection.7.parquet"), "rubbish").unwrap();
    let ranges = archive.reserve(&first, &wanted(20), now()).unwrap();
    let error = archive.load(&batch, &ranges).err().expect("rubbish is not taken");
    let (check, message) = error.failed_check().expect("the batch is at fault");
    archive.refuse_batch(&first, check, &message, now()).unwrap();
    assert_eq!(archive.unit_state(&first).unwrap(), UnitState::Failed);
    assert_eq!(archive.staged_rounds().unwrap()[0].blocked, None);
    publish(&mut archive, &second);
    let programme = &archive.status().unwrap().programmes[0];
    assert_eq!(
        (programme.detections, programme.last_obj_id),
        (20, ObjectId::new(40)),
        "ids are not used twice"
    );
    assert!(archive.clear_abandoned().unwrap().is_empty());
    // What was loaded for a batch that is refused after all is removed, once.
    let third = open_round(&mut archive, UseCase::Catalogue, 1, &|i| i.name == "w00002.fit");
    for started in start_all(&mut archive, &third) {
        archive.accept_result(&work_off(&started), now()).unwrap();
    }
    let batch = archive.batch(&third).unwrap();
    let ranges = archive.reserve(&third, &wanted(20), now()).unwrap();
    archive.load(&batch, &ranges).unwrap();
    assert!(archive.clear_abandoned().unwrap().is_empty(), "it may still be published");
    archive.refuse_batch(&third, "test", "a test refuses it", now()).unwrap();
    assert_eq!(archive.clear_abandoned().unwrap().len(), 1);
    assert!(archive.clear_abandoned().unwrap().is_empty());
    assert_eq!(archive.status().unwrap().programmes[0].detections, 20);
}

pub fn new_versions_replace_old_rows(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(2));
    for use_case in [UseCase::Metadata, UseCase::Preview, UseCase::Catalogue] {
        let unit = stage_round(&mut archive, use_case, 1);
        publish(&mut archive, &unit);
    }
    // A newer catalogue: metadata are read with it, and its detections replace the old ones.
    record(&mut archive, &[arrival("w00000_cat.fits", "newer rows")]);
    for use_case in [UseCase::Metadata, UseCase::Catalogue] {
        let redone = open_round(&mut archive, use_case, 1, &|i| {
            i.catalogue.as_ref().is_some_and(|c| c.version == 2)
        });
        for started in start_all(&mut archive, &redone) {
            archive.accept_result(&work_off(&started), now()).unwrap();
        }
        publish(&mut archive, &redone);
    }
    let status = archive.status().unwrap();
    assert_eq!(
        (status.deliveries[0].detections, status.programmes[0].last_obj_id),
        (40, ObjectId::new(60))
    );
    // A newer image: each product of the old one ends with its own, its metadata with the last of them.
    record(&mut archive, &[arrival("w00001.fit", "newer image")]);
    let unit = open_round(&mut archive, UseCase::Metadata, 1, &|i| i.multiframe_id.get() == 3);
    for started in start_all(&mut archive, &unit) {
        archive.accept_result(&work_off(&started), now()).unwrap();
    }
    assert_eq!(archive.status().unwrap().deliveries[0].multiframes, 2, "not before");
    let receipt = publish(&mut archive, &unit);
    assert!(matches!(receipt, Receipt::Published { superseded: 0, .. }), "{receipt:?}");
    let shown = |archive: &Reader| {
        let night = &archive.status().unwrap().deliveries[0];
        (night.multiframes, night.previews, night.detections, night.findings)
    };
    assert_eq!(
        shown(&archive),
        (3, 2, 40, 2),
        "preview and detections are kept, and that is found"
    );
    for (use_case, wanted) in
        [(UseCase::Catalogue, (3, 2, 40, 1)), (UseCase::Preview, (2, 2, 40, 0))]
    {
        let unit = open_round(&mut archive, use_case, 1, &|i| i.multiframe_id.get() == 3);
        for started in start_all(&mut archive, &unit) {
            archive.accept_result(&work_off(&started), now()).unwrap();
        }
        let receipt = publish(&mut archive, &unit);
        assert!(matches!(receipt, Receipt::Published { superseded: 1, .. }), "{receipt:?}");
        assert_eq!(shown(&archive), wanted);
    }
}
