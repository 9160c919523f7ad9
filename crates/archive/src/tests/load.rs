//! Measures the cost of large numbers: refusals of one task, a retraction in a large archive, nights of many origins.
//!
//! With `ALMAGEST_LOAD=full` (`bench/run load`) the tests use the numbers of years of a survey, on both engines, and print
//! seconds. Without it the same acts run over small numbers. The results are checked in both cases, the seconds in neither.

use crate::attempts::results::Acceptance;
use crate::batches::{Receipt, RowsOfProgramme};
use crate::deliveries::origins::{Claim, DeliveryOrigin};
use crate::registration::{Arrival, DeliveryFacts, Registration};
use crate::retraction::Retracted;
use crate::tests::filling::{self, Filling};
use crate::tests::plans::staging::{self, *};
use crate::{Archive, Site};
use model::UseCase;
use model::{DeliveryName, Night, UnitKey};
use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static MAX_WRITE: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Records the duration of a write transaction of this thread.
pub(crate) fn note(took: Duration) {
    MAX_WRITE.set(MAX_WRITE.get().max(took));
}

/// Returns the number for an ordinary run or for a full one.
fn number(ordinary: usize, full: usize) -> usize {
    if std::env::var_os("ALMAGEST_LOAD").is_some_and(|value| value == "full") {
        full
    } else {
        ordinary
    }
}

/// Runs an act and prints its duration and that of its longest write transaction.
fn timed<T>(archive: &mut Archive, name: &str, act: impl FnOnce(&mut Archive) -> T) -> T {
    MAX_WRITE.set(Duration::ZERO);
    let began = Instant::now();
    let value = act(archive);
    println!(
        "{:?}: {name}: {:.2} s, longest write transaction {:.2} s",
        archive.connection.dialect(),
        began.elapsed().as_secs_f64(),
        MAX_WRITE.get().as_secs_f64()
    );
    value
}

fn on_both_engines(test: impl Fn(&Site, &mut Archive)) {
    let dir = tempfile::tempdir().unwrap();
    let (site, mut archive) = new_site(&dir.path().join("site"));
    test(&site, &mut archive);
    let Some((site, mut archive)) = new_site_on_server(&dir.path().join("on-server")) else {
        return;
    };
    test(&site, &mut archive);
}

fn publish(archive: &mut Archive, unit: &UnitKey) -> Receipt {
    let batch = archive.batch(unit).unwrap();
    let rows = batch.tasks.iter().filter_map(|t| t.result.as_ref()).flat_map(|r| &r.detectors);
    let rows: u64 = rows.map(|d| d.rows).sum();
    let programme_id = model::ProgrammeId::new(7).unwrap();
    let ranges = match rows {
        0 => Vec::new(),
        _ => archive.reserve(unit, &[RowsOfProgramme { programme_id, rows }], now()).unwrap(),
    };
    let loaded = archive.load(&batch, &ranges).unwrap();
    archive.publish(&batch, loaded, &cause(), now()).unwrap()
}

/// Opens and starts a round of one task, in which `refused` HDUs are refused.
fn refused_result(archive: &mut Archive, frames: usize, refused: usize) -> model::task::TaskResult {
    let unit = open_round(archive, UseCase::Metadata, 1, &|_| true);
    let started = start_all(archive, &unit).remove(0);
    let mut result = work_off(&started);
    result.refusals = (0..refused)
        .map(|n| {
            let hdu = u16::try_from(n / frames + 1).unwrap();
            refusal("bad_header", &format!("w{:05}.fit", n % frames), Some(hdu), false)
        })
        .collect();
    result
}

/// Refuses very many HDUs in one task, and the same HDUs in a second round.
#[test]
fn very_many_refusals_of_one_task() {
    let (frames, refused) = (number(10, 1000), number(6000, 100_000));
    on_both_engines(|_, archive| {
        record(archive, &night(frames));
        let result = refused_result(archive, frames, refused);
        let taken = timed(archive, &format!("{refused} refusals"), |archive| {
            archive.accept_result(&result, now()).unwrap()
        });
        let new = |taken: Acceptance| match taken {
            Acceptance::Accepted { new_refusals, .. } => new_refusals,
            other => panic!("{other:?}"),
        };
        assert_eq!(new(taken), refused as u64);
        publish(archive, &result.unit);
        // The second run follows no decision, the third a retry of each refusal.
        for (times, is_retried) in [(2, false), (3, true)] {
            archive
                .request_again(&NIGHT.parse().unwrap(), UseCase::Metadata, &cause(), now())
                .unwrap();
            if is_retried {
                archive.connection.execute_batch("UPDATE refusal SET state = 'retried'").unwrap();
            }
            let result = refused_result(archive, frames, refused);
            let what = if is_retried { "retried" } else { "met again" };
            let taken = timed(archive, &format!("{refused} refusals {what}"), |archive| {
                archive.accept_result(&result, now()).unwrap()
            });
            assert_eq!(new(taken), if is_retried { refused as u64 } else { 0 });
            publish(archive, &result.unit);
            assert_eq!(
                counts(archive),
                [refused, refused * times, if is_retried { refused } else { 0 }]
            );
        }
    });
}

/// Returns the number of open refusals, of their occurrences, and of their changes of state.
fn counts(archive: &Archive) -> [usize; 3] {
    let sql = "SELECT count(*), CAST(sum(occurrences) AS BIGINT), (SELECT count(*) FROM refusal_history WHERE to_state = 'open')
         FROM refusal WHERE state = 'open'";
    let mut select = archive.connection.prepare(sql).unwrap();
    select.query_row([], |r| Ok([r.get(0)?, r.get(1)?, r.get(2)?])).unwrap()
}

/// Delivers all catalogues of a night again: their metadata wait for the detections, and are published with them.
#[test]
fn all_catalogues_of_a_night_arrive_again() {
    let frames = number(20, 3000);
    on_both_engines(|_, archive| {
        record(archive, &night(frames));
        for use_case in [UseCase::Metadata, UseCase::Catalogue] {
            let unit = stage_round(archive, use_case, 1);
            publish(archive, &unit);
        }
        let newer: Vec<Arrival> = (0..frames)
            .map(|n| arrival(&format!("w{n:05}_cat.fits"), &format!("newer catalogue {n}")))
            .collect();
        record(archive, &newer);
        let versions = |archive: &Archive, of_metadata: i64, of_detections: i64| {
            let sql = "SELECT count(*) FROM multiframe_detector JOIN product_detector USING (multiframe_id, ext_num)
                 WHERE cat_version = ?1 AND version = ?2";
            let mut select = archive.connection.prepare(sql).unwrap();
            let detectors: usize =
                select.query_row([of_metadata, of_detections], |r| r.get(0)).unwrap();
            assert_eq!(detectors, 2 * frames);
        };
        for (use_case, version) in [(UseCase::Metadata, 1), (UseCase::Catalogue, 2)] {
            let unit = stage_round(archive, use_case, 1);
            let name = format!("newer {use_case} of {frames} frames");
            timed(archive, &name, |archive| publish(archive, &unit));
            versions(archive, version, version);
        }
    });
}

/// Retracts and restores a night in an archive of many years.
#[test]
fn a_retraction_in_a_large_archive() {
    let (frames, night_frames) = (number(2000, 155_000), number(20, 3100));
    on_both_engines(|_, archive| {
        record(archive, &night(night_frames));
        for use_case in [UseCase::Metadata, UseCase::Preview, UseCase::Catalogue] {
            let unit = stage_round(archive, use_case, 1);
            timed(archive, &format!("publication of {use_case}"), |archive| {
                publish(archive, &unit)
            });
        }
        let per_delivery = i64::try_from(night_frames).unwrap();
        filling::fill(
            archive,
            &Filling {
                first: 20_000,
                frames: frames as i64,
                per_delivery,
                calibrations: per_delivery / 10,
            },
        );
        let name = format!("of {night_frames} multiframes among {frames}");
        let of = |retracted: &Retracted, table: &str| {
            retracted.rows.iter().find(|(name, _)| name == table).map_or(0, |(_, rows)| *rows)
        };
        let wanted = (night_frames as u64, night_frames as u64 * 20);
        let gone = timed(archive, &format!("retraction {name}"), |archive| {
            archive.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap()
        });
        assert_eq!((of(&gone, "multiframe"), of(&gone, "detection")), wanted);
        let back = timed(archive, &format!("its undo {name}"), |archive| {
            archive.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap()
        });
        assert_eq!((of(&back, "multiframe"), of(&back, "detection")), wanted);
    });
}

const CAMERAS: [&str; 2] = ["WFCAM", "UFTI"];
/// Names of calibration frames that all nights share.
const CALIBRATIONS: usize = 10;

/// Records a night with its own parent directory. Every tenth night of a camera has the calibration frames.
fn record_night(archive: &mut Archive, number: usize, frames: usize) -> String {
    let name = format!("{}_v1", 20_100_000 + number);
    let address = format!("/data/{number}");
    let origin = DeliveryOrigin {
        origin: address.clone(),
        is_source: false,
        address,
        directory: name.clone(),
    };
    archive.claim_origin(&origin, &name.parse().unwrap(), Claim::Own, now()).unwrap();
    let has_calibrations = (number / CAMERAS.len()).is_multiple_of(10);
    let mut arrivals: Vec<Arrival> = (0..frames)
        .map(|n| arrival(&format!("n{number}-{n}.fit"), &format!("{number} {n}")))
        .collect();
    if has_calibrations {
        let calibration = |n| arrival(&format!("flat{n}.fit"), &format!("flat {number} {n}"));
        arrivals.extend((0..CALIBRATIONS).map(calibration));
    }
    let date = number / 336 * 10_000 + number / 28 % 12 * 100 + number % 28;
    let registration = Registration {
        delivery: DeliveryFacts {
            name: name.parse().unwrap(),
            night: Night::new(20_100_101 + i32::try_from(date).unwrap()),
            ..delivery()
        },
        arrivals: &arrivals,
        unchanged: &[],
        present: Some(&[]),
        touched: &[],
        refusals: &[],
        postponed: &[],
        skipped: &[],
        findings: &[],
        pairing: &pairing,
        unused: &|_| Vec::new(),
    };
    archive.record(&registration, now()).unwrap();
    name
}

/// Stages the metadata of a delivery, whose frames name a camera and calibration frames.
fn stage_metadata(archive: &mut Archive, delivery: &DeliveryName, camera: &str) -> UnitKey {
    let unit = open_round_of(archive, delivery, UseCase::Metadata, 1, &|_| true);
    let started = start_all(archive, &unit).remove(0);
    let mut result = work_off(&started);
    let text = |text: &str| staging::Value::Text(text.to_owned());
    let frame = |(n, input): (usize, &model::task::TaskInput)| {
        let mut frame = row([
            ("multiframe_id", staging::Value::Integer(input.multiframe_id.get())),
            ("file_name", text(&input.image.name)),
            ("telescope", text("UKIRT")),
            ("instrument", text(camera)),
        ]);
        if !input.image.name.starts_with("flat") {
            frame.insert("flat_name", text(&format!("flat{}.fit", n % CALIBRATIONS)));
        }
        frame
    };
    let rows: Vec<Row> = started.inputs.iter().enumerate().map(frame).collect();
    let file = result.files.iter_mut().find(|file| file.table == "multiframe").unwrap();
    std::fs::remove_file(started.directory.join(&file.name)).unwrap();
    *file = write(&started.directory, "multiframe", &rows, None);
    stage::write_result(&started.directory, &result).unwrap();
    archive.accept_result(&result, now()).unwrap();
    unit
}

/// Ingests nights of two cameras, each night from its own parent directory, whose frames name calibration frames of other nights.
#[test]
fn nights_of_many_origins() {
    let (nights, frames) = (number(25, 300), number(20, 500));
    on_both_engines(|_, archive| {
        for night in 0..nights {
            let name = record_night(archive, night, frames);
            let unit =
                stage_metadata(archive, &name.parse().unwrap(), CAMERAS[night % CAMERAS.len()]);
            if night % 10 == 9 || night + 1 == nights {
                timed(archive, &format!("night {}", night + 1), |archive| publish(archive, &unit));
            } else {
                publish(archive, &unit);
            }
        }
        // Every frame must be linked to the calibration frame of the nearest night of its own camera.
        let mut select = archive
            .connection
            .prepare(
                "SELECT count(*), count(flat.multiframe_id), sum(CASE WHEN flat.instrument = frame.instrument THEN 1 ELSE 0 END)
                 FROM multiframe AS frame LEFT JOIN multiframe AS flat ON flat.multiframe_id = frame.flat_id
                 WHERE frame.flat_name IS NOT NULL",
            )
            .unwrap();
        let counts: (usize, usize, usize) =
            select.query_row([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).unwrap();
        assert_eq!(counts, (nights * frames, nights * frames, nights * frames));
    });
}
