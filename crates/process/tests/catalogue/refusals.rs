//! What cannot be used is refused or parked with a reason, and every row is accounted for.

use crate::made::{Cells, MadeTable, detector, input, profile, run, run_tables, run_with, wfcam};
use model::detector::Detector;
use model::{ProgrammeId, RowRange};

fn poked(rows: usize, pokes: &[(&str, usize, f32)]) -> MadeTable {
    let mut table = wfcam(rows);
    for (name, row, value) in pokes {
        table.poke(name, *row, *value);
    }
    table
}

#[test]
fn single_rows_are_refused_and_listed() {
    const NAN: f32 = f32::NAN;
    let profile = profile("wfcam", &[]);
    /// Cells set in the table; refusals: code, rows, their ranges.
    type Case<'a> = (&'a [(&'a str, usize, f32)], &'a [(&'a str, u64, &'a [(u64, u64)])]);
    let cases: [Case<'_>; 8] = [
        (&[], &[]),
        (&[("Sequence_number", 3, NAN)], &[("sequence_number_missing", 1, &[(4, 4)])]),
        (&[("Sequence_number", 3, 4.5)], &[("sequence_number_not_whole", 1, &[(4, 4)])]),
        (&[("Sequence_number", 0, 0.0)], &[("sequence_number_out_of_range", 1, &[(1, 1)])]),
        (
            &[
                ("Sequence_number", 3, 1.0),
                ("Sequence_number", 4, 1.0),
                ("Sequence_number", 9, 1.0),
            ],
            &[("sequence_number_duplicate", 3, &[(4, 5), (10, 10)])],
        ),
        (
            &[("X_coordinate", 99, NAN), ("Y_coordinate", 98, NAN)],
            &[("pixel_position_missing", 2, &[(99, 100)])],
        ),
        (&[("X_coordinate", 50, 1e6)], &[("outside_detector", 1, &[(51, 51)])]),
        (
            &[("Y_coordinate", 1, -1e3), ("Sequence_number", 2, -2.0)],
            &[("sequence_number_out_of_range", 1, &[(3, 3)]), ("outside_detector", 1, &[(2, 2)])],
        ),
    ];
    for (pokes, wanted) in cases {
        let outcome = run_tables(&[poked(100, pokes)], &profile);
        let told: Vec<_> = outcome
            .report
            .refusals
            .iter()
            .map(|r| {
                assert_eq!((r.hdu, r.parked), (Some(1), false));
                let ranges: Vec<_> = r.row_ranges.iter().map(|r| (r.first, r.last)).collect();
                (r.code.as_str(), r.rows, ranges)
            })
            .collect();
        let wanted: Vec<_> = wanted.iter().map(|(c, n, r)| (*c, *n, r.to_vec())).collect();
        assert_eq!(told, wanted, "{pokes:?}");
        let refused: u64 = wanted.iter().map(|(_, rows, _)| rows).sum();
        assert_eq!(outcome.report.hdus[0].rows_written, 100 - refused);
        // What is kept is not shifted against each other.
        let (seq, iso) = (outcome.integers("seq_num"), outcome.numbers("iso_flux"));
        for (row, (seq, iso)) in seq.into_iter().zip(iso).enumerate() {
            let is_duplicate =
                pokes.iter().any(|(_, at, to)| (*at, *to) == (0, seq.unwrap() as f32));
            assert!(is_duplicate || iso.unwrap() == seq.unwrap() as f64 + 899.0, "row {row}");
        }
    }
}

#[test]
fn positions_that_are_none() {
    let columns = [("source = \"wcs\"", "source = \"columns\"")];
    let outcome = run_tables(&[poked(100, &[("DEC", 50, 1.6)])], &profile("wfcam", &columns));
    assert_eq!(outcome.refusals(), [(Some(1), "sky_position_out_of_range", 1, false)]);
    assert_eq!(outcome.report.refusals[0].row_ranges, [RowRange { first: 51, last: 51 }]);
}

#[test]
fn too_many_refused_rows_refuse_the_hdu() {
    let profile = profile("wfcam", &[]);
    let bad = |count: usize| {
        let mut table = wfcam(100);
        for row in 0..count {
            table.poke("X_coordinate", row * 2, f32::NAN);
        }
        table
    };
    // 5 of 100 are 5 %, not more.
    let outcome = run_tables(&[bad(5), bad(6), bad(0)], &profile);
    let wanted = [
        (Some(1), "pixel_position_missing", 5, false),
        (Some(2), "too_many_refused_rows", 100, false),
    ];
    assert_eq!(outcome.refusals(), wanted);
    let refusal = &outcome.report.refusals[1];
    assert!(refusal.message.contains("6 pixel_position_missing"), "{}", refusal.message);
    assert_eq!(refusal.row_ranges.len(), 6);
    assert_eq!(refusal.row_ranges[5], RowRange { first: 11, last: 11 });
    let places: Vec<_> =
        outcome.report.detectors.iter().map(|d| (d.ext_num, d.first_row, d.rows)).collect();
    assert_eq!(places, [(2, 0, 95), (4, 95, 100)]);
}

#[test]
fn a_catalogue_without_rows() {
    let accept = [("[catalogue]\n", "[catalogue]\nzero_rows = \"accept\"\n")];
    let outcome = run_tables(&[wfcam(0), wfcam(3)], &profile("wfcam", &[]));
    assert_eq!(outcome.refusals(), [(Some(1), "zero_rows", 0, false)]);
    let outcome = run_tables(&[wfcam(0), wfcam(3)], &profile("wfcam", &accept));
    assert_eq!(outcome.refusals(), []);
    let rows: Vec<_> = outcome.report.detectors.iter().map(|d| (d.ext_num, d.rows)).collect();
    assert_eq!(rows, [(2, 0), (3, 3)]);
    let nothing = run_tables(&[wfcam(0)], &profile("wfcam", &accept));
    assert!(nothing.rows.is_empty() && nothing.report.rows.is_empty());
}

#[test]
fn metadata_that_are_not_there() {
    let profile = profile("wfcam", &[]);
    let tables = [wfcam(4), wfcam(5)];
    let outcome = run_with(&tables, Vec::new(), &profile);
    assert_eq!(outcome.refusals(), [(None, "no_metadata", 0, true)]);
    assert!(outcome.report.refusals[0].message.contains("w20071011_00007_st.fit"));

    let mut homeless = detector(7, 2);
    homeless.programme_id = None;
    let outcome = run_with(&tables, vec![homeless], &profile);
    assert_eq!(outcome.refusals(), [(None, "no_programme", 0, true)]);
    assert_eq!(outcome.report.refusals[0].keyword.as_deref(), Some("PROJECT"));

    // The image's second detector was refused: its catalogue waits.
    let outcome = run_with(&tables, vec![detector(7, 2)], &profile);
    assert_eq!(outcome.refusals(), [(Some(2), "no_detector", 5, true)]);
    // A detector whose catalogue HDU is missing is reported.
    let three = vec![detector(7, 2), detector(7, 3), detector(7, 4)];
    let outcome = run_with(&tables, three, &profile);
    assert_eq!(outcome.refusals(), []);
    assert_eq!(outcome.findings(), [("detector_without_catalogue", 1)]);
}

#[test]
fn no_zero_point() {
    let policies = [
        ("park", &[(Some(1), "no_zero_point", 4, true)][..]),
        ("refuse", &[(Some(1), "no_zero_point", 4, false)]),
        ("null", &[]),
    ];
    for (policy, wanted) in policies {
        let line = format!("[catalogue.photometry]\nmissing_zero_point = \"{policy}\"\n");
        let profile = profile("wfcam", &[("[catalogue.photometry]\n", &line)]);
        let mut dark = detector(7, 2);
        dark.photometry.zero_point = None;
        let outcome = run_with(&[wfcam(4)], vec![dark], &profile);
        assert_eq!(outcome.refusals(), wanted, "{policy}");
        if policy == "null" {
            assert_eq!(outcome.findings(), [("no_zero_point", 1)]);
            assert_eq!(outcome.numbers("aper_mag3"), [None; 4]);
            assert_eq!(outcome.numbers("aper_mag3_err"), [None; 4]);
            assert_eq!(outcome.numbers("aper_flux3")[3], Some(1003.0));
        }
    }
    let mut short = detector(7, 2);
    short.photometry.exposure_s = None;
    let outcome = run_with(&[wfcam(4)], vec![short], &profile("wfcam", &[]));
    assert_eq!(outcome.refusals(), [(Some(1), "no_exposure_time", 4, true)]);
}

#[test]
fn tables_that_are_no_catalogue() {
    let profile = profile("wfcam", &[]);
    let mut lame = wfcam(3);
    lame.without("Y_coordinate");
    let outcome = run_tables(&[wfcam(3), lame.clone()], &profile);
    assert_eq!(outcome.refusals(), [(Some(2), "required_column_missing", 3, false)]);
    assert_eq!(outcome.report.refusals[0].column.as_deref(), Some("Y_coordinate"));

    let mut words = wfcam(3);
    words.set("Isophotal_flux", "", Cells::Text(vec!["a", "b", "c"]));
    let outcome = run_tables(&[words], &profile);
    assert_eq!(outcome.refusals()[0].1, "required_column_format");

    // A table beyond the detectors belongs to none.
    let outcome = run_with(&[wfcam(3), lame], vec![detector(7, 2)], &profile);
    assert_eq!(outcome.refusals(), []);
    let outcome = run_with(&[], vec![detector(7, 2)], &profile);
    assert_eq!(outcome.refusals(), [(None, "no_table", 0, false)]);
}

#[test]
fn damaged_files_are_refused_where_they_are_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let whole = crate::made::file(&[wfcam(200), wfcam(200)]);
    let second = whole.len() / 2;
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        input(7, "w20071011_00007_st.fit", &path, name)
    };
    let detectors = || vec![detector(7, 2), detector(7, 3)];
    let profile = profile("wfcam", &[]);

    let cut = run(&[write("cut_cat.fits", &whole[..whole.len() - 9000])], detectors(), &profile);
    assert_eq!(cut.refusals(), [(Some(2), "truncated", 0, false)]);
    assert_eq!(cut.report.rows.values().sum::<u64>(), 200, "the first HDU is sound");

    let text = run(&[write("text_cat.fits", b"dear sir, ")], detectors(), &profile);
    assert_eq!(text.refusals(), [(None, "not_fits", 0, false)]);

    let mut lost = write("lost_cat.fits", &whole);
    lost.catalogue.as_mut().unwrap().file.refused_hdus = vec![2];
    let arrived = run(&[lost], detectors(), &profile);
    assert_eq!(arrived.refusals(), [], "what was refused on arrival is not refused again");
    assert_eq!(arrived.report.hdus.len(), 1);
    assert!(second > 0);
}

#[test]
fn programmes_follow_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut inputs = Vec::new();
    let mut detectors = Vec::new();
    // Files alternate between two programmes; image names give the order, not the order of the inputs.
    for id in [3_i64, 1, 4, 2] {
        let name = format!("w20071011_{id:05}_st_cat.fits");
        let path = dir.path().join(&name);
        std::fs::write(&path, crate::made::file(&[wfcam(10 * id as usize)])).unwrap();
        inputs.push(input(id, &format!("w20071011_{id:05}_st.fit"), &path, &name));
        let mut detector = detector(id, 2);
        detector.programme_id = ProgrammeId::new(if id % 2 == 0 { 11 } else { 101 });
        detectors.push(detector);
    }
    let outcome = run(&inputs, detectors, &profile("wfcam", &[]));
    let places: Vec<_> = outcome
        .report
        .detectors
        .iter()
        .map(|d| (d.file.as_str(), d.multiframe_id.get(), d.first_row, d.rows))
        .collect();
    let wanted = [
        ("detection.11.parquet", 2, 0, 20),
        ("detection.11.parquet", 4, 20, 40),
        ("detection.101.parquet", 1, 0, 10),
        ("detection.101.parquet", 3, 10, 30),
    ];
    assert_eq!(places, wanted);
    assert_eq!(outcome.rows.keys().copied().collect::<Vec<_>>(), [11, 101]);
}

#[test]
fn rows_outside_their_detector_name_the_one_that_they_fit() {
    let profile = profile("wfcam", &[]);
    let mut table = wfcam(40);
    table.without("RA").without("DEC");
    let small = |ext_num| Detector { size_px: Some([100, 100]), ..detector(7, ext_num) };
    let outcome = run_with(&[table.clone()], vec![small(2), detector(7, 3)], &profile);
    assert_eq!(outcome.refusals(), [(Some(1), "pairing_contradicted", 40, false)]);
    let refusal = &outcome.report.refusals[0];
    assert!(
        refusal.message.starts_with("x and y of the rows do not fit ext_num 2 of "),
        "{refusal:?}"
    );
    assert!(refusal.message.contains(" fit ext_num 3: "), "{refusal:?}");
    assert_eq!(refusal.column.as_deref(), Some("x"));
    // No detector would hold them.
    let outcome = run_with(&[table.clone()], vec![small(2), small(3)], &profile);
    assert_eq!(outcome.refusals(), [(Some(1), "too_many_refused_rows", 40, false)]);
    let outcome = run_with(&[table], vec![detector(7, 2), small(3)], &profile);
    assert_eq!(outcome.refusals(), []);
}
