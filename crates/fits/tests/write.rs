//! What the writer makes, as astropy and cfitsio see it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use fits::write::{
    Checks, Column, Field, HeaderBuilder, Pixels, Place, RicePixels, Rows, Values, bin_table,
    bin_table_rows, image, primary, rice_image,
};

/// One file with everything the writer can make; pixel k of an image is a known function of k.
fn everything(checks: Checks) -> Vec<u8> {
    let mut out = Vec::new();
    let mut header = HeaderBuilder::new();
    header
        .text("OBJECT", "it's", "with a quote")
        .text("LONG", &("0123456789 & ".repeat(20) + "end"), "goes on")
        .text("ESO DET CHIP1 NAME", "Nice", "")
        .number("TENTH", 0.1, "")
        .number("HUGE", 1e300, "")
        .single("ONESING", 0.076_044_52, "")
        .integer("BIG", i64::MAX, "")
        .undefined("NOTHING", "no value")
        .comment("twice the same")
        .comment("twice the same")
        .history("made for a test");
    primary(&mut out, &header, checks).unwrap();
    let axes = [7, 5];
    let (i, f) = ((0..35_i32).map(|k| k * 7 - 100), (0..35).map(|k| f64::from(k) / 3.0));
    let u8s: Vec<u8> = (0..35).map(|k| 7 * k).collect();
    let i16s: Vec<i16> = i.clone().map(|v| (v * 300) as i16).collect();
    let i32s: Vec<i32> = i.clone().map(|v| v * 10_000_000).collect();
    let i64s: Vec<i64> = i.map(|v| i64::from(v) << 55).collect();
    let f32s: Vec<f32> = f.clone().map(|v| v as f32).collect();
    let f64s: Vec<f64> = f.collect();
    let all = [
        Pixels::U8(&u8s),
        Pixels::I16(&i16s),
        Pixels::I32(&i32s),
        Pixels::I64(&i64s),
        Pixels::F32(&f32s),
        Pixels::F64(&f64s),
    ];
    for pixels in all {
        image(&mut out, Place::Extension, &axes, pixels, &HeaderBuilder::new(), checks).unwrap();
    }
    let mut scaled = HeaderBuilder::new();
    scaled.text("EXTNAME", "RICE", "").number("BSCALE", 0.75, "").number("BZERO", 10.0, "");
    rice_image(&mut out, 7, 5, RicePixels::I32(&i32s), &scaled, checks).unwrap();
    rice_image(&mut out, 7, 5, RicePixels::I16(&i16s), &HeaderBuilder::new(), checks).unwrap();
    rice_image(&mut out, 7, 5, RicePixels::U8(&u8s), &HeaderBuilder::new(), checks).unwrap();
    tables(&mut out, checks);
    out
}

fn tables(out: &mut Vec<u8>, checks: Checks) {
    let columns = [
        Column { name: "e", unit: "ADU", values: Values::F32(&[1.5, f32::NAN, 3.25]) },
        Column { name: "d", unit: "", values: Values::F64(&[0.1, 0.2, 0.3]) },
        Column { name: "j3", unit: "", values: Values::I32(&[1, 2, 3, 4, 5, 6, 7, 8, i32::MIN]) },
        Column { name: "k", unit: "", values: Values::I64(&[1, -1, i64::MAX]) },
        Column { name: "i", unit: "", values: Values::I16(&[1, -1, i16::MIN]) },
        Column { name: "b", unit: "", values: Values::U8(&[0, 1, 255]) },
        Column { name: "l", unit: "", values: Values::Bool(&[true, false, true]) },
        Column { name: "a", unit: "", values: Values::Text(5, &["abc", "", "fives"]) },
    ];
    bin_table(out, 3, &columns, &HeaderBuilder::new(), checks).unwrap();
    let fields =
        [Field::new("n", "1J").null(-99).scaled(0.5, 100.0), Field::new("v", "1PE(3)").unit("mag")];
    let mut rows = Vec::new();
    for (n, count, at) in [(1_i32, 2_i32, 0_i32), (-99, 0, 8), (3, 1, 8)] {
        rows.extend([n, count, at].iter().flat_map(|v| v.to_be_bytes()));
    }
    let heap: Vec<u8> = [1.0_f32, 2.0, 3.0].iter().flat_map(|v| v.to_be_bytes()).collect();
    let table = Rows { row_bytes: 12, bytes: &rows, heap: &heap };
    bin_table_rows(out, &fields, &table, &HeaderBuilder::new(), checks).unwrap();
    let empty = [Column { name: "none", unit: "", values: Values::F32(&[]) }];
    bin_table(out, 0, &empty, &HeaderBuilder::new(), checks).unwrap();
}

#[test]
fn files_are_whole_blocks_and_always_the_same() {
    let bytes = everything(Checks::Written);
    assert_eq!(bytes.len() % 2880, 0);
    assert_eq!(bytes, everything(Checks::Written));
    assert!(bytes.len() == everything(Checks::Absent).len(), "two more cards fit the padding");
}

#[test]
fn what_does_not_fit_is_refused() {
    let header = HeaderBuilder::new();
    let mut out = Vec::new();
    let short =
        image(&mut out, Place::Primary, &[3, 3], Pixels::U8(&[0; 8]), &header, Checks::Absent);
    assert!(short.is_err());
    let column = Column { name: "x", unit: "", values: Values::F32(&[1.0, 2.0]) };
    assert!(bin_table(&mut out, 3, &[column], &header, Checks::Absent).is_err());
    let column = Column { name: "t", unit: "", values: Values::Text(2, &["abc"]) };
    assert!(bin_table(&mut out, 1, &[column], &header, Checks::Absent).is_err());
    assert!(out.is_empty(), "nothing is written of what is refused");
}

const READ_BACK: &str = r#"
import sys
import numpy as np
from astropy.io import fits
import fitsio

i = np.arange(35).reshape(5, 7) * 7 - 100
f = np.arange(35).reshape(5, 7) / 3
want = [
    (np.arange(35).reshape(5, 7) * 7).astype('u1'),
    (i * 300).astype('i2'),
    (i * 10_000_000).astype('i4'),
    i.astype('i8') << 55,
    f.astype('f4'),
    f,
]
want += [want[2] * 0.75 + 10, want[1], want[0]]

for path, checks in zip(sys.argv[1:], (True, False)):
    with fits.open(path, checksum=checks) as hdus:
        hdus.verify('exception')
        h = hdus[0].header
        assert h['OBJECT'] == "it's" and h['LONG'] == '0123456789 & ' * 20 + 'end'
        assert h['ESO DET CHIP1 NAME'] == 'Nice' and h['TENTH'] == 0.1 and h['HUGE'] == 1e300
        assert h['ONESING'] == 0.07604452 and h['BIG'] == 2**63 - 1
        assert h['NOTHING'] is None and h.comments['NOTHING'] == 'no value'
        assert list(h['COMMENT']) == ['twice the same'] * 2 and h['HISTORY'][0] == 'made for a test'
        assert ('CHECKSUM' in h) == checks
        for k, w in enumerate(want):
            d = hdus[k + 1].data
            assert d.shape == (5, 7) and np.allclose(d, w, rtol=1e-7, atol=0), k
            assert k == 6 or (d == w).all(), k
        assert hdus[7].name == 'RICE' and isinstance(hdus[7], fits.CompImageHDU)
        t = hdus[10].data
        assert t['e'][0] == 1.5 and np.isnan(t['e'][1]) and t['d'][2] == 0.3
        assert t['j3'].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, -2**31]]
        assert t['k'].tolist() == [1, -1, 2**63 - 1] and t['i'].tolist() == [1, -1, -2**15]
        assert t['b'].tolist() == [0, 1, 255] and t['l'].tolist() == [True, False, True]
        assert [v.rstrip() for v in t['a']] == ['abc', '', 'fives'] and hdus[10].columns['e'].unit == 'ADU'
        t = hdus[11].data
        assert t['n'][0] == 100.5 and t['n'][2] == 101.5 and hdus[11].columns['n'].null == -99
        assert [v.tolist() for v in t['v']] == [[1, 2], [], [3]]
        assert len(hdus[12].data) == 0 and hdus[12].columns.names == ['none']
    with fitsio.FITS(path) as hdus:
        for k, w in enumerate(want):
            d = hdus[k + 1].read()
            assert np.allclose(d, w, rtol=1e-7, atol=0), k
            if checks:
                assert hdus[k + 1].verify_checksum() is None
        assert hdus[0].read_header()['LONG'].rstrip() == '0123456789 & ' * 20 + 'end'
        assert hdus[10].read()['k'].tolist() == [1, -1, 2**63 - 1]
"#;

#[test]
fn foreign_readers_find_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let (with, without) = (dir.path().join("with.fits"), dir.path().join("without.fits"));
    std::fs::write(&with, everything(Checks::Written)).unwrap();
    std::fs::write(&without, everything(Checks::Absent)).unwrap();
    testkit::python_script("read back", READ_BACK, &[with, without]);
}
