//! Staged files become lake files: ids, event, bytes, row groups.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;

use fixture::lake::{event_id, field};
use fixture::{Detector, Width, batch, stage};
use lake::{
    ByteCounter, ColumnScan, FinaliseRequest, LakeError, LakeFile, OpenFile, Staged, Values,
    describe, detection, finalise,
};
use std::path::Path;
use std::sync::Arc;

fn open(path: &Path) -> OpenFile {
    OpenFile::open(path, None, &Arc::new(ByteCounter::default())).unwrap()
}

/// All values of a column as text, unknown as `-`.
fn texts(file: &OpenFile, name: &str) -> Vec<String> {
    let column = file.column(name).unwrap();
    let mut texts = Vec::new();
    for group in 0..file.metadata().num_row_groups() {
        let rows = file.metadata().row_group(group).num_rows() as usize;
        let block = ColumnScan::new(file, group, column).unwrap().read(0, rows).unwrap();
        for row in 0..rows {
            texts.push(match &block.values {
                _ if !block.is_valid(row) => "-".to_owned(),
                Values::Bool(v) => v[row].to_string(),
                Values::I32(v) => v[row].to_string(),
                Values::I64(v) => v[row].to_string(),
                Values::F32(v) => v[row].to_string(),
                Values::F64(v) => v[row].to_string(),
                Values::Bytes(v) => v[row].as_utf8().unwrap().to_owned(),
            });
        }
    }
    texts
}

struct Case {
    dir: tempfile::TempDir,
    staged: Vec<std::path::PathBuf>,
    rows: Vec<u64>,
}

/// Stages one file per list of detectors, each detector list one row group per inner list.
fn staged(width: Width, files: &[Vec<Detector>]) -> Case {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("lake/detection")).unwrap();
    let (mut paths, mut rows) = (Vec::new(), Vec::new());
    for (i, detectors) in files.iter().enumerate() {
        let path = dir.path().join(format!("{i}.parquet"));
        let batch = batch(width, detectors);
        rows.push(batch.num_rows() as u64);
        stage(&path, &[batch]);
        paths.push(path);
    }
    Case { dir, staged: paths, rows }
}

fn programme() -> model::ProgrammeId {
    model::ProgrammeId::new(101).unwrap()
}

fn run(case: &Case, name: &str, base: i64) -> Result<lake::LakeFile, LakeError> {
    let mut offset = 0;
    let mut parts = Vec::new();
    for (path, rows) in case.staged.iter().zip(&case.rows) {
        parts.push(Staged { base: case.dir.path(), path, offset });
        offset += rows;
    }
    let request = FinaliseRequest {
        name,
        programme_id: programme(),
        base,
        event: event_id(7),
        staged: &parts,
    };
    Ok(finalise(&case.dir.path().join("lake"), detection(), &[request], &Default::default())?
        .remove(0))
}

#[test]
fn ids_are_contiguous_and_everything_else_is_as_staged() {
    for (files, row_groups) in [
        (vec![field(1, 2, (10.0, 0.0), 100), field(3, 1, (10.0, 0.0), 30)], vec![920]), // merged
        (vec![field(1, 4, (10.0, 0.0), 3200), field(9, 1, (10.0, 0.0), 30)], vec![51_200, 120]), // copied
    ] {
        let case = staged(Width::Full, &files);
        let file = run(&case, "b1.parquet", 1000).unwrap();
        assert_eq!(file.row_groups, row_groups);
        assert_eq!(file.first_id.get(), 1001);
        let lake = open(&case.dir.path().join("lake/detection/b1.parquet"));
        assert_eq!(lake.bytes(), file.bytes);
        let ids: Vec<String> = (1001..1001 + file.rows).map(|i| i.to_string()).collect();
        assert_eq!(texts(&lake, "obj_id"), ids);
        assert!(texts(&lake, "begin_event").iter().all(|e| e == "7"));
        let sources: Vec<OpenFile> = case.staged.iter().map(|p| open(p)).collect();
        let schema = lake.metadata().file_metadata().schema_descr_ptr();
        for column in schema.columns() {
            if !["obj_id", "begin_event"].contains(&column.name()) {
                let wanted: Vec<String> =
                    sources.iter().flat_map(|s| texts(s, column.name())).collect();
                assert!(texts(&lake, column.name()) == wanted, "column {}", column.name());
            }
        }
        let rows: u64 = file.ranges.iter().map(|d| d.rows).sum();
        assert_eq!(rows, file.rows);
        assert_eq!(file.ranges.len(), files.iter().map(Vec::len).sum::<usize>());
    }
}

#[test]
fn large_row_groups_are_copied_byte_for_byte() {
    use parquet::file::reader::ChunkReader;
    let case = staged(Width::Narrow, &[field(1, 4, (10.0, 0.0), 3200)]);
    run(&case, "b1.parquet", 0).unwrap();
    let (source, lake) =
        (open(&case.staged[0]), open(&case.dir.path().join("lake/detection/b1.parquet")));
    for column in 0..source.metadata().row_group(0).num_columns() {
        let name = source.metadata().row_group(0).column(column).column_path().string();
        let bytes = |f: &OpenFile| {
            let (start, length) = f.metadata().row_group(0).column(column).byte_range();
            f.reader().get_bytes(start, length as usize).unwrap()
        };
        let same = bytes(&source) == bytes(&lake);
        assert_eq!(same, !["obj_id", "begin_event"].contains(&name.as_str()), "{name}");
        let bounds = |f: &OpenFile| f.page_bounds(0, column).unwrap();
        if same {
            assert_eq!(bounds(&source), bounds(&lake), "{name}");
        }
        assert!(lake.page_locations(0, column).unwrap().unwrap().len() >= 20, "{name}");
    }
}

#[test]
fn the_same_request_leaves_the_same_bytes() {
    let case = staged(Width::Full, &[field(1, 1, (10.0, 0.0), 400), field(2, 1, (10.0, 0.0), 300)]);
    let first = run(&case, "b1.parquet", 5).unwrap();
    let path = case.dir.path().join("lake/detection/b1.parquet");
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(run(&case, "b1.parquet", 5).unwrap(), first);
    assert!(std::fs::read(&path).unwrap() == bytes);
    let found =
        describe(&case.dir.path().join("lake"), detection(), "b1.parquet", programme()).unwrap();
    assert_eq!(LakeFile { xxhash64: first.xxhash64.clone(), ..found }, first);
}

#[test]
fn statistics_are_exact() {
    let case = staged(Width::Narrow, &[field(1, 3, (359.9, 0.0), 250)]);
    let file = run(&case, "b1.parquet", 0).unwrap();
    let lake = open(&case.dir.path().join("lake/detection/b1.parquet"));
    let schema = lake.metadata().file_metadata().schema_descr_ptr();
    assert_eq!(file.statistics.len(), 10);
    for s in &file.statistics {
        let name = schema.column(s.column_id.get() as usize - 1).name().to_owned();
        let all = texts(&lake, &name);
        let mut values: Vec<f64> = all.iter().filter_map(|t| t.parse().ok()).collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(s.nulls, all.iter().filter(|t| *t == "-").count() as u64, "{name}");
        assert_eq!(s.values, values.len() as u64, "{name}");
        let (low, high) = s.bounds.clone().unwrap();
        assert_eq!(low.parse::<f64>().unwrap(), values[0], "{name}");
        assert_eq!(high.parse::<f64>().unwrap(), values[values.len() - 1], "{name}");
    }
}

#[test]
fn caps_hold_every_position() {
    for centre in [(0.0, 0.0), (180.0, 89.8), (20.0, -60.0)] {
        let case = staged(Width::Narrow, &[field(1, 1, centre, 500)]);
        let file = run(&case, "b1.parquet", 0).unwrap();
        let lake = open(&case.dir.path().join("lake/detection/b1.parquet"));
        let (ra, dec) = (texts(&lake, "ra"), texts(&lake, "dec"));
        for run in &file.ranges {
            let cap = run.sky.unwrap();
            let middle = sky::healpix::centre(29, cap.centre_healpix29 as u64).unwrap();
            assert!(cap.radius_deg < 0.3, "{cap:?}");
            assert!(cap.radius_deg <= f64::from(cap.radius_class()).exp2());
            for row in run.first_row as usize..(run.first_row + run.rows) as usize {
                if let (Ok(r), Ok(d)) = (ra[row].parse(), dec[row].parse()) {
                    let distance = sky::angular_distance_deg(middle.ra_deg, middle.dec_deg, r, d);
                    assert!(distance <= cap.radius_deg, "row {row}");
                }
            }
        }
    }
}

#[test]
fn staged_files_that_do_not_fit_are_refused() {
    let good = staged(Width::Narrow, &[field(1, 1, (10.0, 0.0), 10)]);
    let wide = staged(Width::Full, &[field(1, 1, (10.0, 0.0), 10)]);
    let other = staged(
        Width::Narrow,
        &[field(1, 1, (10.0, 0.0), 10)
            .into_iter()
            .map(|d| Detector { programme_id: 9, ..d })
            .collect()],
    );
    let torn = staged(
        Width::Narrow,
        &[[field(1, 1, (10.0, 0.0), 10), field(1, 1, (10.0, 0.0), 10)].concat()],
    );
    let lake = good.dir.path().join("lake");
    let message = |staged: &[Staged<'_>], name: &str| {
        let request = FinaliseRequest {
            name,
            programme_id: programme(),
            base: 0,
            event: event_id(1),
            staged,
        };
        finalise(&lake, detection(), &[request], &Default::default()).unwrap_err().to_string()
    };
    let at = |case: &Case, offset| Staged {
        base: Box::leak(case.dir.path().to_owned().into_boxed_path()),
        path: Box::leak(case.staged[0].clone().into_boxed_path()),
        offset,
    };
    let cases = [
        (vec![at(&good, 3)], "a.parquet", "the offset is 3 after 0 rows"),
        (vec![at(&good, 0), at(&wide, 40)], "a.parquet", "the schema differs"),
        (vec![at(&other, 0)], "a.parquet", "not all rows are of programme 101"),
        (vec![at(&torn, 0)], "a.parquet", "are not contiguous"),
        (vec![], "a.parquet", "would have no rows"),
        (vec![at(&good, 0)], "../a.parquet", "is not a valid name of a lake file"),
        (vec![at(&good, 0)], "a'b.parquet", "is not a valid name of a lake file"),
    ];
    for (staged, name, wanted) in cases {
        let said = message(&staged, name);
        assert!(said.contains(wanted), "{said}");
    }
}
