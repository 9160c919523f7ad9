//! Batches that do not fit their manifest: each is refused with the name of the check, and the others continue.

use super::pass;
use super::staging::*;
use archive::attempts::Started;
use archive::refusals::RefusalFilter;
use model::task::TaskResult;
use model::{UnitState, UseCase};

type Tamper = fn(&Started, &mut TaskResult);

/// Publishes metadata of two frames, then stages detections of the first, tampered with, and of the second as they are.
fn check_of(tamper: Tamper, use_case: UseCase) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (_site, mut archive) = new_site(&dir.path().join("site"));
    record(&mut archive, &night(2));
    if use_case != UseCase::Metadata {
        stage_round(&mut archive, UseCase::Metadata, 1);
        pass(&mut archive);
    }
    let bad = open_round(&mut archive, use_case, 1, &|i| i.name == "w00000.fit");
    let good = open_round(&mut archive, use_case, 1, &|i| i.name == "w00001.fit");
    for unit in [&bad, &good] {
        for started in start_all(&mut archive, unit) {
            let mut result = work_off(&started);
            if *unit == bad {
                tamper(&started, &mut result);
            }
            match archive.accept_result(&result, now()) {
                Ok(_) => {}
                // Refused immediately, from the result alone.
                Err(error) if *unit == bad => {
                    let check = error.failed_check().unwrap().0.to_owned();
                    assert_eq!(archive.unit_state(&bad).unwrap(), UnitState::Running);
                    return check;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    let report = pass(&mut archive);
    assert_eq!(report.refused.len(), 1, "{report:?}");
    assert_eq!(report.refused[0].unit, bad);
    assert_eq!(report.published.len(), 1, "the other round continues");
    assert_eq!(archive.unit_state(&bad).unwrap(), UnitState::Failed);
    let codes: Vec<String> = archive
        .refusals(&RefusalFilter::default())
        .unwrap()
        .into_iter()
        .filter(|r| r.refusal.file.is_empty())
        .map(|r| r.refusal.code.into())
        .collect();
    assert_eq!(codes, [format!("batch_{}", report.refused[0].check)]);
    assert!(pass(&mut archive).is_idle(), "it is refused once");
    report.refused[0].check.clone()
}

#[test]
fn each_misfit_has_the_name_of_its_check() {
    let cases: [(&str, UseCase, Tamper); 16] = [
        ("checksum", UseCase::Catalogue, |s, r| {
            let path = s.directory.join(&r.files[0].name);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[100] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }),
        ("length", UseCase::Catalogue, |_, r| r.files[0].bytes += 1),
        ("result", UseCase::Catalogue, |_, r| r.files[0].name = "../../../etc/passwd".to_owned()),
        ("result", UseCase::Preview, |_, r| r.files[0].name = ".hidden".to_owned()),
        ("file", UseCase::Preview, |s, r| {
            let path = s.directory.join(&r.files[0].name);
            std::fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
        }),
        ("schema_version", UseCase::Metadata, |_, r| r.files[0].schema_version += 1),
        ("result", UseCase::Metadata, |_, r| r.files[0].table = "refusal".to_owned()),
        ("result", UseCase::Catalogue, |_, r| r.files[0].programme_id = None),
        ("result", UseCase::Catalogue, |_, r| r.hdus[0].rows_refused = 1),
        ("row_count", UseCase::Catalogue, |_, r| {
            (r.hdus[0].rows_written, r.hdus[0].rows_refused) = (9, 1);
        }),
        ("content", UseCase::Metadata, |_, r| r.files[0].rows += 1),
        ("result", UseCase::Catalogue, |_, r| {
            r.hdus[0].multiframe_id = model::MultiframeId::new(2).unwrap()
        }),
        ("multiframe_id", UseCase::Metadata, |s, r| {
            let foreign = [row([("multiframe_id", Value::Integer(2))])];
            r.files[0] = write(&s.directory, "multiframe", &foreign, None);
        }),
        ("result", UseCase::Catalogue, |_, r| r.detectors[1].version = 9),
        ("detectors", UseCase::Catalogue, |_, r| r.detectors[1].first_row = 9),
        ("programme", UseCase::Catalogue, |s, r| {
            let rows: Vec<Row> = (1..=20)
                .map(|n| {
                    row([
                        ("obj_id", Value::Integer(-n)),
                        ("programme_id", Value::Integer(8)),
                        ("multiframe_id", Value::Integer(1)),
                        ("ext_num", Value::Integer(if n <= 10 { 2 } else { 3 })),
                        ("seq_num", Value::Integer(n)),
                    ])
                })
                .collect();
            r.files[0] = write(&s.directory, "detection", &rows, model::ProgrammeId::new(8));
            for detector in &mut r.detectors {
                detector.file.clone_from(&r.files[0].name);
                detector.programme_id = model::ProgrammeId::new(8).unwrap();
            }
        }),
    ];
    on_both_engines(|| {
        for (check, use_case, tamper) in cases {
            assert_eq!(check_of(tamper, use_case), check, "{use_case}");
        }
    });
}

/// A file that is not there may still come (network disks): the batch is not refused but waits.
#[test]
fn an_absent_file_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (_site, mut archive) = new_site(&dir.path().join("site"));
    record(&mut archive, &night(1));
    let unit = stage_round(&mut archive, UseCase::Metadata, 1);
    let path = archive.batch(&unit).unwrap().tasks[0]
        .directory
        .clone()
        .unwrap()
        .join("multiframe.parquet");
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    let report = pass(&mut archive);
    assert_eq!((report.postponed.len(), report.refused.len()), (1, 0));
    std::fs::rename(&away, &path).unwrap();
    assert_eq!(pass(&mut archive).published.len(), 1);
}

/// Batches that were staged before the definitions got their last nullable columns are ingested; those read NULL.
#[test]
fn batches_of_an_older_definition_are_taken() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let (site, mut archive) = new_site(&dir.path().join("site"));
        record(&mut archive, &night(1));
        let mut lacking = Vec::new();
        for use_case in [UseCase::Metadata, UseCase::Catalogue] {
            let unit = open_round(&mut archive, use_case, 1, &|_| true);
            for started in start_all(&mut archive, &unit) {
                let mut result = work_off(&started);
                for file in &mut result.files {
                    if let "multiframe" | "detection" = file.table.as_str() {
                        let column = as_of_an_older_definition(&started.directory, file);
                        lacking.push(format!(
                            "SELECT count(*) FROM {} WHERE {column} IS NULL",
                            file.table
                        ));
                    }
                }
                archive.accept_result(&result, now()).unwrap();
            }
            let report = pass(&mut archive);
            assert_eq!((report.published.len(), report.refused.len()), (1, 0), "{report:?}");
        }
        let limits = query::SqlLimits { memory_bytes: None, ..query::SqlLimits::DEFAULT };
        let reader = query::SqlReader::open(&as_reader(&site), limits).unwrap();
        let counts: Vec<i64> = lacking.iter().map(|sql| number(&reader, sql)).collect();
        assert_eq!(counts, [1, 20]);
    });
}

/// Rewrites a staged file without the last nullable column of its table, and returns the column.
fn as_of_an_older_definition(
    directory: &std::path::Path,
    file: &mut model::task::StagedFile,
) -> String {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let mut table = model::tables::table(&file.table).unwrap().clone();
    let last = table.columns.iter().rposition(|c| c.nullable).unwrap();
    let column = table.columns.remove(last).name;
    table.schema_version -= 1;
    let table: &'static model::tables::Table = Box::leak(Box::new(table));
    let source = std::fs::File::open(directory.join(&file.name)).unwrap();
    let batches: Vec<_> = ParquetRecordBatchReaderBuilder::try_new(source)
        .unwrap()
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut writer = stage::StagedWriter::create(directory, table, &file.name, file.rows).unwrap();
    for mut batch in batches {
        batch.remove_column(last);
        let batch =
            arrow_array::RecordBatch::try_new(table.arrow_schema(), batch.columns().to_vec())
                .unwrap();
        writer.write(&batch).unwrap();
    }
    *file = writer.finish(file.programme_id).unwrap();
    column
}

fn number(reader: &query::SqlReader, sql: &str) -> i64 {
    struct One(Option<i64>);
    impl query::RowSink for One {
        fn columns(&mut self, _: &[query::ResultColumn]) -> std::io::Result<()> {
            Ok(())
        }
        fn row(&mut self, values: &[query::SqlValue<'_>]) -> std::io::Result<()> {
            self.0 = values[0].as_i64().ok();
            Ok(())
        }
    }
    let mut one = One(None);
    reader.query(sql, &mut one).unwrap();
    one.0.unwrap()
}
