//! CHECKSUM and DATASUM of whole files.

use fits::checksum::{ChecksumReport, Verdict, verify};
use fits::write::{self, Checks, HeaderBuilder, Pixels, Place};
use fits::{FitsFault, HduIndex};

use crate::bytes;

fn summed_image() -> Vec<u8> {
    let pixels: Vec<i16> = (0..300).map(|number| number * 7 - 900).collect();
    let mut file = Vec::new();
    let header = HeaderBuilder::new();
    write::image(
        &mut file,
        Place::Primary,
        &[20, 15],
        Pixels::I16(&pixels),
        &header,
        Checks::Written,
    )
    .unwrap();
    file
}

fn report(file: Vec<u8>) -> ChecksumReport {
    verify(&bytes::open(file).unwrap(), HduIndex(0)).unwrap()
}

#[test]
fn sums_that_fit() {
    let report = report(summed_image());
    assert_eq!(report, ChecksumReport { datasum: Verdict::Match, checksum: Verdict::Match });
    assert_eq!(report.fault(), None);
}

#[test]
fn a_changed_pixel_refuses_the_hdu() {
    let mut file = summed_image();
    let last = file.len() - 2880;
    file[last] ^= 1;
    let report = report(file);
    assert!(matches!(report.datasum, Verdict::Mismatch { .. }));
    assert!(matches!(report.checksum, Verdict::Mismatch { .. }));
    assert!(matches!(report.fault(), Some(FitsFault::DataSum { .. })));
}

#[test]
fn an_edited_header_is_a_finding_only() {
    let mut file = summed_image();
    let at = 80 * file.chunks(80).position(|card| card.starts_with(b"END  ")).unwrap();
    file[at..at + 80].copy_from_slice(&bytes::cards(&["HISTORY edited"]));
    file[at + 80..at + 160].copy_from_slice(&bytes::cards(&["END"]));
    let report = report(file);
    assert_eq!(report.datasum, Verdict::Match);
    assert!(matches!(report.checksum, Verdict::Mismatch { .. }));
    assert_eq!(report.fault(), None);
}

#[test]
fn how_datasum_is_written() {
    let cases = [
        ("'0       '", Verdict::Match),
        ("'         0'", Verdict::Match),
        ("0", Verdict::Match),
        ("''", Verdict::Absent),
        ("", Verdict::Absent),
        ("'none'", Verdict::Mismatch { stored: "none".into(), computed: 0 }),
        ("'1'", Verdict::Mismatch { stored: "1".into(), computed: 0 }),
    ];
    for (written, wanted) in cases {
        let card = format!("DATASUM = {written}");
        let file = bytes::header(&[
            "SIMPLE  =                    T",
            "BITPIX  =                    8",
            "NAXIS   =                    0",
            &card,
        ]);
        assert_eq!(report(file).datasum, wanted, "{card}");
    }
}

#[test]
fn without_sums_nothing_is_read() {
    let report = report(bytes::small_image());
    assert_eq!(report, ChecksumReport { datasum: Verdict::Absent, checksum: Verdict::Absent });
}
