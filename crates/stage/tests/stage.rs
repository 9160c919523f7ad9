//! Staged files and results: written the same twice, read back with suspicion.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    RecordBatch, StringArray, new_null_array,
};
use arrow_schema::DataType;
use model::detector::CardValue;
use model::tables::{Column, ColumnType, Table, table};
use model::task::{FORMAT_VERSION, RunReport, StagedFile, TaskResult};
use model::{
    AttemptNumber, ExtNum, MultiframeId, ProgrammeId, RoundNumber, Sha256, TaskNumber, UnitKey,
    UseCase,
};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use stage::{ResultCheck, StageFault, StagedWriter, read_result, read_table, write_result};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A batch of a table: given columns, what must not be NULL counted up, NULL elsewhere.
fn batch(table: &Table, rows: usize, given: &[(&str, ArrayRef)]) -> RecordBatch {
    let count = |column: &Column| -> ArrayRef {
        let numbers = 0..rows as i64;
        match column.kind {
            ColumnType::I16 => Arc::new(Int16Array::from_iter_values(numbers.map(|n| n as i16))),
            ColumnType::I32 => Arc::new(Int32Array::from_iter_values(numbers.map(|n| n as i32))),
            ColumnType::I64 => Arc::new(Int64Array::from_iter_values(numbers)),
            ColumnType::F32 => Arc::new(Float32Array::from_iter_values(numbers.map(|n| n as f32))),
            ColumnType::F64 => Arc::new(Float64Array::from_iter_values(numbers.map(|n| n as f64))),
            ColumnType::Text => Arc::new(StringArray::from(vec!["text"; rows])),
            ColumnType::Bytes => Arc::new(BinaryArray::from(vec![b"".as_slice(); rows])),
            ColumnType::Bool => new_null_array(&DataType::Boolean, rows),
        }
    };
    let columns = table
        .columns
        .iter()
        .map(|column| match given.iter().find(|(name, _)| *name == column.name) {
            Some((_, array)) => of_type(array, column.kind),
            None if column.nullable => new_null_array(&column.kind.arrow(), rows),
            None => count(column),
        })
        .collect();
    RecordBatch::try_new(table.arrow_schema(), columns).unwrap()
}

/// Floats in the precision of their column.
fn of_type(array: &ArrayRef, kind: ColumnType) -> ArrayRef {
    match (kind, array.as_any().downcast_ref::<Float64Array>()) {
        (ColumnType::F32, Some(floats)) => {
            Arc::new(floats.iter().map(|v| v.map(|v| v as f32)).collect::<Float32Array>())
        }
        _ => array.clone(),
    }
}

fn write(dir: &Path, name: &str, table: &'static Table, batches: &[RecordBatch]) -> StagedFile {
    let rows = batches.iter().map(|b| b.num_rows() as u64).sum();
    let mut writer = StagedWriter::create(dir, table, name, rows).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish(None).unwrap()
}

fn group_rows(path: &Path) -> Vec<i64> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect()
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let detection = table("detection").unwrap();
    let whole = batch(detection, 5000, &[]);
    let first = write(dir.path(), "a.parquet", detection, std::slice::from_ref(&whole));
    let again = write(dir.path(), "b.parquet", detection, std::slice::from_ref(&whole));
    // However the rows are handed over; pages end at the same rows.
    let halves = [whole.slice(0, 2000), whole.slice(2000, 3000)];
    let pieces = write(dir.path(), "c.parquet", detection, &halves);
    for other in [&again, &pieces] {
        assert_eq!((&other.sha256, other.bytes, other.rows), (&first.sha256, first.bytes, 5000));
    }
    let bytes = fs::read(dir.path().join("a.parquet")).unwrap();
    assert_eq!(bytes.len() as u64, first.bytes);
    assert_eq!(Sha256::new(files::sha256(&bytes[..]).unwrap().0), first.sha256);
    assert_eq!(first.schema_version, detection.schema_version);
    // An older file of the name is replaced.
    let shorter = write(dir.path(), "a.parquet", detection, &[whole.slice(0, 10)]);
    assert_eq!(fs::metadata(dir.path().join("a.parquet")).unwrap().len(), shorter.bytes);
}

#[test]
fn row_groups_are_of_equal_size() {
    let dir = tempfile::tempdir().unwrap();
    let detection = table("detection").unwrap();
    let rows = batch(detection, 35_000, &[]);
    write(dir.path(), "d.parquet", detection, &[rows.clone(), rows.clone(), rows.clone(), rows]);
    assert_eq!(group_rows(&dir.path().join("d.parquet")), [70_000, 70_000]);
    let cases = [(0, 131_072), (10, 131_072), (131_072, 131_072), (131_073, 65_537)];
    for (expected, wanted) in cases {
        assert_eq!(stage::row_group_rows(expected), wanted, "{expected} rows");
    }
    assert!((1..20_000_000).step_by(9_999).all(|n| stage::row_group_rows(n) >= 65_536));
}

#[test]
fn rows_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let detection = table("detection").unwrap();
    let ell: ArrayRef = Arc::new(Float32Array::from(vec![Some(0.5), None, Some(-0.0)]));
    let rows = batch(detection, 3, &[("ell", ell.clone())]);
    write(dir.path(), "d.parquet", detection, &[rows]);
    let path = dir.path().join("d.parquet");
    let reader = read_table(&path, detection, &["ell", "obj_id", "pa"]).unwrap();
    assert_eq!(reader.rows(), 3);
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.map(|b| b.unwrap()).collect();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].schema(), schema);
    assert_eq!(schema.field(1).name(), "obj_id");
    assert_eq!(batches[0].column(0).as_ref(), ell.as_ref());
    assert_eq!(batches[0].column(2).null_count(), 3);
    let none = read_table(&path, detection, &[]).unwrap();
    assert_eq!(none.map(|b| b.unwrap().num_rows()).sum::<usize>(), 3);
}

/// A copy of a definition with a change, for as long as the tests run.
fn changed(name: &str, change: impl FnOnce(&mut Table)) -> &'static Table {
    let mut table = table(name).unwrap().clone();
    change(&mut table);
    Box::leak(Box::new(table))
}

#[test]
fn a_schema_must_fit_and_may_be_older() {
    let dir = tempfile::tempdir().unwrap();
    let detection = table("detection").unwrap();
    let newest = Column { name: "newest".into(), nullable: true, ..detection.columns[20].clone() };
    let longer = changed("detection", |t| t.columns.push(newest.clone()));
    let strict = changed("detection", |t| {
        t.columns.push(Column { nullable: false, ..newest.clone() });
    });
    let shorter = changed("detection", |t| t.columns.truncate(100));
    let renamed = changed("detection", |t| t.columns[30].name = "other".into());
    let retyped = changed("detection", |t| t.columns[30].kind = ColumnType::F64);
    let swapped = changed("detection", |t| t.columns.swap(30, 31));
    write(dir.path(), "d.parquet", detection, &[batch(detection, 2, &[])]);
    let path = dir.path().join("d.parquet");
    let mut reader = read_table(&path, longer, &["newest", "seq_num"]).unwrap();
    let rows = reader.next().unwrap().unwrap();
    assert_eq!((rows.column(0).null_count(), rows.column(1).null_count()), (2, 0));
    for (n, wrong) in [strict, shorter, renamed, retyped, swapped].into_iter().enumerate() {
        let error = read_table(&path, wrong, &["seq_num"]).err().unwrap();
        assert!(matches!(error.fault, StageFault::Schema { .. }), "{n}: {error:?}");
        assert!(!error.fault.is_transient());
    }
    let error = read_table(&path, detection, &["colour"]).err().unwrap();
    assert!(error.fault.to_string().contains("no such column"), "{}", error.fault);
    fs::write(dir.path().join("text.parquet"), "no parquet at all").unwrap();
    let error = read_table(&dir.path().join("text.parquet"), detection, &["ra"]).err().unwrap();
    assert!(matches!(error.fault, StageFault::Parquet(_)), "{error:?}");
    let mut writer = StagedWriter::create(dir.path(), longer, "l.parquet", 0).unwrap();
    let error = writer.write(&batch(detection, 1, &[])).unwrap_err();
    assert!(matches!(error.fault, StageFault::Schema { .. }));
}

fn result(files: Vec<StagedFile>) -> TaskResult {
    TaskResult {
        version: FORMAT_VERSION,
        unit: UnitKey {
            delivery: "20071011_v1".parse().unwrap(),
            use_case: UseCase::Catalogue,
            round: RoundNumber::FIRST,
        },
        task: TaskNumber::FIRST,
        attempt: AttemptNumber::FIRST,
        files,
        hdus: Vec::new(),
        detectors: Vec::new(),
        kept: Vec::new(),
        refusals: Vec::new(),
        findings: Vec::new(),
        counted: Vec::new(),
        software: "test".into(),
        run: RunReport::default(),
    }
}

#[test]
fn a_result_is_published_last_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let detection = table("detection").unwrap();
    let missing = read_result(dir.path(), ResultCheck::Lengths).unwrap_err();
    assert!(missing.fault.is_transient(), "an attempt may still be at work");
    let staged = write(dir.path(), "d.parquet", detection, &[batch(detection, 9, &[])]);
    let written = result(vec![staged.clone()]);
    write_result(dir.path(), &written).unwrap();
    assert_eq!(read_result(dir.path(), ResultCheck::Checksums).unwrap(), written);

    let path = dir.path().join("d.parquet");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(read_result(dir.path(), ResultCheck::Lengths).is_ok());
    let error = read_result(dir.path(), ResultCheck::Checksums).unwrap_err();
    assert!(matches!(error.fault, StageFault::Checksum(_)) && error.path == path, "{error:?}");
    fs::write(&path, &bytes[..50]).unwrap();
    let error = read_result(dir.path(), ResultCheck::Lengths).unwrap_err();
    assert!(matches!(error.fault, StageFault::Length { found: 50, .. }), "{error:?}");
    assert!(error.fault.is_transient(), "a network disk may still be behind");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    let error = read_result(dir.path(), ResultCheck::Lengths).unwrap_err();
    assert!(!error.fault.is_transient(), "{error:?}");
}

#[test]
fn a_result_names_plain_files_of_its_own_directory() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| StagedFile {
        table: "detection".into(),
        name: name.into(),
        rows: 0,
        bytes: 0,
        sha256: Sha256::new([0; 32]),
        schema_version: 1,
        programme_id: None,
    };
    for name in ["", "..", "../x", "/etc/passwd", "a/b", ".hidden", "a\nb", "a\0", "result.json"] {
        let wrong = result(vec![file(name)]);
        let error = write_result(dir.path(), &wrong).unwrap_err();
        assert!(matches!(error.fault, StageFault::NotPlain(_)), "{name:?}: {error:?}");
        // A node is trusted less: the same text, written by other software.
        fs::write(dir.path().join("result.json"), serde_json::to_vec(&wrong).unwrap()).unwrap();
        let error = read_result(dir.path(), ResultCheck::Lengths).unwrap_err();
        assert!(matches!(error.fault, StageFault::NotPlain(_)), "{name:?}: {error:?}");
        let create = StagedWriter::create(dir.path(), table("detection").unwrap(), name, 0);
        assert!(create.is_err() || name == "result.json");
    }
    let twice = result(vec![file("a"), file("a")]);
    let error = write_result(dir.path(), &twice).unwrap_err();
    assert!(matches!(error.fault, StageFault::NamedTwice(_)));
    let cases = [
        ("{}", "NotResult"),
        ("{\"version\": 2}", "Version"),
        ("{\"version\": 1}", "NotResult"),
        ("", "NotResult"),
    ];
    for (text, wanted) in cases {
        fs::write(dir.path().join("result.json"), text).unwrap();
        let error = read_result(dir.path(), ResultCheck::Lengths).unwrap_err();
        assert!(format!("{:?}", error.fault).starts_with(wanted), "{text}: {error:?}");
    }
}

#[test]
fn detectors_come_from_staged_metadata() {
    let dir = tempfile::tempdir().unwrap();
    stage_metadata(dir.path(), "image");
    let wanted = [MultiframeId::new(4).unwrap()].into();
    let names = ["OBJECT".to_owned(), "CAMNUM".to_owned()];
    let detectors = stage::metadata::read(&[dir.path().to_owned()], &wanted, &names).unwrap();
    let others = [MultiframeId::new(5).unwrap()].into();
    assert!(stage::metadata::read(&[dir.path().to_owned()], &others, &names).unwrap().is_empty());
    assert_eq!(detectors.len(), 2);
    let key = |ext| (MultiframeId::new(4).unwrap(), ExtNum::new(ext).unwrap());
    let first = &detectors[&key(2)];
    assert_eq!(first.programme_id, ProgrammeId::new(101));
    assert_eq!((first.filter_id, first.mjd), (Some(5), Some(54_384.5)));
    assert_eq!((first.catalogue_hdu, first.catalogue_rows), (Some(1), Some(77)));
    assert_eq!(first.size_px, Some([2048, 2047]));
    assert_eq!(first.photometry.zero_point, Some(22.5), "the catalogue's");
    assert_eq!(first.photometry.extinction, Some(0.25), "only the image has one");
    assert_eq!(first.photometry.exposure_s, Some(10.0));
    assert_eq!(first.photometry.airmass_start, Some(1.25));
    assert_eq!(first.photometry.aperture_corrections[0], Some(0.5));
    assert_eq!(first.photometry.aperture_corrections[6], None);
    // The header has more than the table's columns: PV2_7, and the duplicate's first.
    assert_eq!(first.wcs["PV2_7"], CardValue::Number(5.0));
    assert_eq!(first.wcs["CRVAL1"], CardValue::Number(66.0));
    assert_eq!(first.wcs["CTYPE1"], CardValue::Text("RA---ZPN".into()));
    assert!(!first.wcs.contains_key("OBJECT"));
    assert!(first.names.contains_key("OBJECT") && !first.names.contains_key("CAMNUM"));
    let second = &detectors[&key(3)];
    assert_eq!(second.photometry.zero_point, Some(21.0), "the image's");
    // Its frame is known although its coordinate system cannot be used.
    let told = [
        ("EQUINOX".to_owned(), CardValue::Number(1950.0)),
        ("RADESYS".to_owned(), CardValue::Text("GAPPT".to_owned())),
    ];
    assert_eq!(second.wcs, told.into());

    // A coordinate system that stood in the table of the catalogue is that of the columns.
    let other = tempfile::tempdir().unwrap();
    stage_metadata(other.path(), "catalogue");
    let dirs = [dir.path().to_owned(), other.path().to_owned()];
    let detectors = stage::metadata::read(&dirs, &wanted, &names).unwrap();
    let wcs = &detectors[&key(2)].wcs;
    assert_eq!(wcs["CRVAL1"], CardValue::Number(65.0));
    assert_eq!(wcs["CTYPE2"], CardValue::Text("DEC--TAN".into()));
    assert!(!wcs.contains_key("PV2_7"));

    let empty = tempfile::tempdir().unwrap();
    assert!(stage::metadata::read(&[empty.path().to_owned()], &wanted, &names).unwrap().is_empty());
}

/// A file of an earlier definition, which had a column more, in its midst.
#[test]
fn a_retired_column_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let header = table("header").unwrap();
    let mut old = header.clone();
    let mut hdu = old.column("ext_num").unwrap().clone();
    hdu.name = header.retired[0].clone();
    old.columns.insert(2, hdu);
    let old: &'static Table = Box::leak(Box::new(old));
    let given: [(&str, ArrayRef); 2] = [
        ("ext_num", Arc::new(Int16Array::from(vec![1, 2, 3]))),
        ("num_cards", Arc::new(Int32Array::from(vec![10, 20, 30]))),
    ];
    let staged = write(dir.path(), "header.parquet", old, &[batch(old, 3, &given)]);
    let path = dir.path().join("header.parquet");
    stage::examine_rows(fs::File::open(&path).unwrap(), header, &staged).unwrap();
    let mut read = read_table(&path, header, &["num_cards", "ext_num"]).unwrap();
    let rows = read.next().unwrap().unwrap();
    let numbers = rows.column(0).as_primitive::<Int32Type>().values().to_vec();
    let extensions = rows.column(1).as_primitive::<Int16Type>().values().to_vec();
    assert_eq!((numbers, extensions), (vec![10, 20, 30], vec![1, 2, 3]));
    let read = |table: &Table| read_table(&path, table, &["ext_num"]).map(|_| ());
    assert!(read(&Table { retired: Vec::new(), ..header.clone() }).is_err());
}

/// One multiframe of two detectors; the second has neither catalogue nor coordinate system.
fn stage_metadata(dir: &Path, wcs_source: &str) {
    let i64s = |v: &[Option<i64>]| -> ArrayRef { Arc::new(Int64Array::from(v.to_vec())) };
    let i32s = |v: &[Option<i32>]| -> ArrayRef { Arc::new(Int32Array::from(v.to_vec())) };
    let i16s = |v: &[Option<i16>]| -> ArrayRef { Arc::new(Int16Array::from(v.to_vec())) };
    let f64s = |v: &[Option<f64>]| -> ArrayRef { Arc::new(Float64Array::from(v.to_vec())) };
    let texts = |v: &[Option<&str>]| -> ArrayRef { Arc::new(StringArray::from(v.to_vec())) };
    let put = |name: &'static str, rows: usize, given: &[(&str, ArrayRef)]| {
        let table = table(name).unwrap();
        write(dir, &stage::metadata::file_name(name), table, &[batch(table, rows, given)]);
    };
    put(
        "multiframe",
        1,
        &[
            ("multiframe_id", i64s(&[Some(4)])),
            ("file_name", texts(&[Some("w20071011_00004_st.fit")])),
            ("filter_id", i16s(&[Some(5)])),
            ("mjd_obs", f64s(&[Some(54_384.5)])),
            ("exp_time", f64s(&[Some(10.0)])),
            ("am_start", f64s(&[Some(1.25)])),
        ],
    );
    put(
        "multiframe_detector",
        2,
        &[
            ("multiframe_id", i64s(&[Some(4); 2])),
            ("ext_num", i16s(&[Some(2), Some(3)])),
            ("cat_ext_num", i16s(&[Some(2), None])),
            ("table_rows_cat", i64s(&[Some(77), None])),
            ("axis1_length", i64s(&[Some(2048); 2])),
            ("axis2_length", i64s(&[Some(2047); 2])),
            ("phot_zp_cat", f64s(&[Some(22.5), None])),
            ("phot_zp_ext", f64s(&[Some(21.0); 2])),
            ("extinction_ext", f64s(&[Some(0.25); 2])),
            ("aper_cor1", f64s(&[Some(0.5), None])),
        ],
    );
    put(
        "programme_frame",
        2,
        &[("programme_id", i32s(&[Some(104), Some(101)])), ("multiframe_id", i64s(&[Some(4); 2]))],
    );
    let source = Some(wcs_source);
    put(
        "astrometry",
        2,
        &[
            ("multiframe_id", i64s(&[Some(4); 2])),
            ("ext_num", i16s(&[Some(2), Some(3)])),
            ("wcs_source", texts(&[source, None])),
            ("c_type_x", texts(&[Some("RA---TAN"), None])),
            ("c_type_y", texts(&[Some("DEC--TAN"), None])),
            ("cr_val_x", f64s(&[Some(65.0), None])),
            ("ra_dec_sys", texts(&[None, Some("GAPPT")])),
            ("equinox", f64s(&[None, Some(1950.0)])),
        ],
    );
    let cards: String = [
        "CTYPE1  = 'RA---ZPN'",
        "CRVAL1  =                 66.0",
        "CRVAL1  =                 99.0",
        "PV2_7   =                    5",
        "OBJECT  = 'nothing of note'",
    ]
    .iter()
    .map(|card| format!("{card:80}"))
    .collect();
    let cards = zstd::bulk::compress(cards.as_bytes(), 1).unwrap();
    put(
        "header",
        1,
        &[
            ("multiframe_id", i64s(&[Some(4)])),
            ("file_name", texts(&[Some("w20071011_00004_st.fit")])),
            ("ext_num", i16s(&[Some(2)])),
            ("cards", Arc::new(BinaryArray::from(vec![cards.as_slice()]))),
        ],
    );
}
