//! Columns of every format, scaled, unsigned, undefined, in the row and in the heap.

use fits::{Descriptor, FitsFile, HduIndex, Rows, Table};

use crate::bytes::{self, binary_table, empty_primary, hdu};

/// Reads all rows of HDU 1 and hands them to the test.
fn with_rows(bytes: Vec<u8>, test: impl FnOnce(&Table<'_>, &Rows<'_>)) {
    let file: FitsFile = bytes::open(bytes).unwrap();
    let table = file.table(HduIndex(1)).unwrap();
    let mut scratch = Vec::new();
    let rows = table.read_rows(0..table.rows(), &mut scratch).unwrap();
    test(&table, &rows);
}

/// One column of two rows.
fn column_of(cards: &[&str], data: &[u8], test: impl FnOnce(&fits::Column, &Rows<'_>)) {
    let bytes = binary_table(data.len() / 2, 2, 1, cards, data);
    with_rows(bytes, |table, rows| test(&table.columns()[0], rows));
}

#[test]
fn numbers_of_every_format() {
    let cases: [(&str, Vec<u8>, [f64; 2]); 6] = [
        ("TFORM1  = 'B'", vec![0, 255], [0.0, 255.0]),
        ("TFORM1  = '1I'", [(-2_i16).to_be_bytes(), 300_i16.to_be_bytes()].concat(), [-2.0, 300.0]),
        (
            "TFORM1  = '1J'",
            [i32::MIN.to_be_bytes(), 7_i32.to_be_bytes()].concat(),
            [-2147483648.0, 7.0],
        ),
        (
            "TFORM1  = 'K'",
            [(1_i64 << 40).to_be_bytes(), (-1_i64).to_be_bytes()].concat(),
            [1099511627776.0, -1.0],
        ),
        (
            "TFORM1  = 'E'",
            [1.5_f32.to_be_bytes(), (-0.25_f32).to_be_bytes()].concat(),
            [1.5, -0.25],
        ),
        ("TFORM1  = 'D'", [1e300_f64.to_be_bytes(), 0.1_f64.to_be_bytes()].concat(), [1e300, 0.1]),
    ];
    for (card, data, wanted) in cases {
        column_of(&[card], &data, |column, rows| {
            let (mut doubles, mut floats) = (Vec::new(), Vec::new());
            column.f64s(rows, &mut doubles).unwrap();
            assert_eq!(doubles, wanted, "{card}");
            column.f32s(rows, &mut floats).unwrap();
            assert_eq!(floats, wanted.map(|value| value as f32), "{card}");
            let mut wholes = Vec::new();
            let asked = column.i64s(rows, &mut wholes);
            if card.contains('E') || card.contains('D') {
                assert_eq!(asked.unwrap_err().code(), "column_type", "{card}");
            } else {
                assert_eq!(wholes, wanted.map(|value| value as i64), "{card}");
            }
            assert_eq!(column.texts(rows, &mut Vec::new()).unwrap_err().code(), "column_type");
            assert_eq!(column.bools(rows, &mut Vec::new()).unwrap_err().code(), "column_type");
        });
    }
}

#[test]
fn scaled_columns() {
    let shorts = [100_i16.to_be_bytes(), (-32768_i16).to_be_bytes()].concat();
    let cards = ["TFORM1  = 'I'", "TSCAL1  = 0.5", "TZERO1  = 10", "TNULL1  = -32768"];
    column_of(&cards, &shorts, |column, rows| {
        let mut values = Vec::new();
        column.f64s(rows, &mut values).unwrap();
        // Undefined values stay what is stored; the masks beside mark them.
        assert_eq!(values, [60.0, -16374.0]);
        let mut nulls = Vec::new();
        column.nulls(rows, &mut nulls).unwrap();
        assert_eq!((nulls, column.null_count(rows).unwrap()), (vec![false, true], 1));
        assert_eq!(column.i64s(rows, &mut Vec::new()).unwrap_err().code(), "column_type");
    });
    let floats = [2.0_f32.to_be_bytes(), f32::NAN.to_be_bytes()].concat();
    column_of(&["TFORM1  = 'E'", "TZERO1  = 2450868.5"], &floats, |column, rows| {
        let mut values = Vec::new();
        column.f64s(rows, &mut values).unwrap();
        assert_eq!(values[0], 2450870.5, "in double precision");
        assert!(values[1].is_nan());
        assert_eq!(column.null_count(rows).unwrap(), 0, "NaN is not TNULL");
    });
}

#[test]
fn unsigned_integers() {
    let cases: [(&str, &str, Vec<u8>, [i64; 2]); 4] = [
        ("TFORM1  = 'B'", "TZERO1  = -128", vec![0, 255], [-128, 127]),
        ("TFORM1  = 'I'", "TZERO1  = 32768", vec![0x80, 0, 0x7f, 0xff], [0, 65535]),
        (
            "TFORM1  = 'J'",
            "TZERO1  = 2147483648.0",
            vec![0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            [0, 2147483647],
        ),
        (
            "TFORM1  = 'K'",
            "TZERO1  = 9223372036854775808",
            [[0x80, 0, 0, 0, 0, 0, 0, 9], [0x80, 0, 0, 0, 0, 0, 0, 0]].concat(),
            [9, 0],
        ),
    ];
    for (form, zero, data, wanted) in cases {
        column_of(&[form, zero], &data, |column, rows| {
            let mut values = Vec::new();
            column.i64s(rows, &mut values).unwrap();
            assert_eq!(values, wanted, "{form} {zero}");
        });
    }
    // What does not fit 63 bits is said, not wrapped.
    let data = [[0; 8], [0x7f; 8]].concat();
    column_of(
        &["TFORM1  = 'K'", "TTYPE1  = 'ID'", "TZERO1  = 9223372036854775808"],
        &data,
        |column, rows| {
            let fault = column.i64s(rows, &mut Vec::new()).unwrap_err();
            let message = "column ID, row 0: 9223372036854775808 does not fit 64 bits with a sign";
            assert_eq!((fault.code(), fault.to_string().as_str()), ("overflow", message));
            let mut stored = Vec::new();
            column.stored_i64s(rows, &mut stored).unwrap();
            assert_eq!(stored, [0, 0x7f7f_7f7f_7f7f_7f7f]);
        },
    );
}

#[test]
fn logicals_and_bits() {
    column_of(&["TFORM1  = '2L'"], b"TF\0T", |column, rows| {
        let mut values = Vec::new();
        column.bools(rows, &mut values).unwrap();
        assert_eq!(values, [Some(true), Some(false), None, Some(true)]);
        assert_eq!(column.null_count(rows).unwrap(), 1);
    });
    // Eleven bits take two bytes, the first bit is the highest.
    column_of(&["TFORM1  = '11X'"], &[0b1000_0001, 0b0011_1111, 0, 0b1000_0000], |column, rows| {
        let mut values = Vec::new();
        column.bools(rows, &mut values).unwrap();
        let set: Vec<usize> = (0..22).filter(|&bit| values[bit] == Some(true)).collect();
        assert_eq!((values.len(), set), (22, vec![0, 7, 10, 19]));
    });
}

#[test]
fn texts() {
    let cases: [(&[u8], [&str; 2]); 3] = [
        (b"abc  d  e ", ["abc", "d  e"]),
        // A NUL ends the text; what follows it means nothing.
        (b"a\0xyz\0\0\0\0\0", ["a", ""]),
        (b"\xe9abc     x", ["?abc", "    x"]),
    ];
    for (data, wanted) in cases {
        column_of(&["TFORM1  = '5A'"], data, |column, rows| {
            let mut values = Vec::new();
            column.texts(rows, &mut values).unwrap();
            assert_eq!(values, wanted);
        });
    }
}

#[test]
fn vectors_and_shapes() {
    let data: Vec<u8> = (0..12_i16).flat_map(i16::to_be_bytes).collect();
    let cases: [(&str, Vec<usize>); 4] = [
        ("TDIM1   = '(2,3)'", vec![2, 3]),
        ("TDIM1   = '( 3, 2 )'", vec![3, 2]),
        ("TDIM1   = '(4,3)'", vec![]), // larger than the cell
        ("TDIM1   = 'two by three'", vec![]),
    ];
    for (tdim, shape) in cases {
        column_of(&["TFORM1  = '6I'", tdim], &data, |column, rows| {
            assert_eq!(column.shape, shape, "{tdim}");
            assert!(column.tdim.is_some());
            let mut values = Vec::new();
            column.i64s(rows, &mut values).unwrap();
            assert_eq!(values, (0..12).collect::<Vec<i64>>());
        });
    }
}

#[test]
fn columns_keep_the_values_of_the_header() {
    let cards = [
        "TTYPE1  = 'RA'",
        "TFORM1  = '1D'",
        "TUNIT1  = 'deg'",
        "TDISP1  = 'F12.7'",
        "TFORM2  = ''",
        "TTYPE3  = 'ra'",
        "TFORM3  = 'A'",
    ];
    let file = bytes::open(binary_table(9, 1, 3, &cards, &[0; 9])).unwrap();
    assert_eq!(file.table(HduIndex(1)).unwrap_err().fault.code(), "bad_format", "an empty TFORM");
    let cards = cards.map(|card| if card == "TFORM2  = ''" { "TFORM2  = '0E'" } else { card });
    let file = bytes::open(binary_table(9, 1, 3, &cards, &[0; 9])).unwrap();
    let table = file.table(HduIndex(1)).unwrap();
    let [ra, none, other] = table.columns() else { panic!("three columns") };
    assert_eq!(
        (ra.name.as_deref(), ra.unit.as_deref(), ra.tdisp.as_deref()),
        (Some("RA"), Some("deg"), Some("F12.7"))
    );
    assert_eq!((none.label().as_str(), none.repeat, none.bytes, none.offset), ("#2", 0, 0, 8));
    assert_eq!(other.offset, 8);
    assert_eq!(
        table.column("Ra").map(|column| column.number),
        Some(1),
        "the first one, whatever its letters"
    );
    assert_eq!(table.column("DEC"), None);
}

#[test]
fn arrays_in_the_heap() {
    let rows = [3_i32, 0, 0, 6, 1, 6, -1, 0, 2, i32::MAX].map(i32::to_be_bytes).concat();
    let heap: Vec<u8> = [10_i16, 20, 30, 40].into_iter().flat_map(i16::to_be_bytes).collect();
    let data = [rows, heap].concat();
    let bytes =
        binary_table(8, 5, 1, &["TTYPE1  = 'V'", "TFORM1  = '1PI(3)'", "TSCAL1  = 0.1"], &data);
    with_rows(bytes, |table, rows| {
        let column = &table.columns()[0];
        let mut arrays = Vec::new();
        column.descriptors(rows, &mut arrays).unwrap();
        assert_eq!(arrays[0], Descriptor { count: 3, offset: 0 });
        let read = |row: usize| {
            let mut scratch = Vec::new();
            let mut values = Vec::new();
            let bytes = table.read_array(column, row as u64, arrays[row], &mut scratch)?;
            column.array_stored_i64s(bytes, &mut values).map_err(|fault| table.error(fault))?;
            Ok::<_, fits::FitsError>(values)
        };
        assert_eq!(read(0).unwrap(), [10, 20, 30]);
        assert_eq!(read(1).unwrap(), Vec::<i64>::new());
        assert_eq!(read(2).unwrap(), [40], "the last of the heap");
        let cases = [
            (3, "column V, row 3: 18446744073709551615 bytes at 0 are not in the heap of 8"),
            (4, "column V, row 4: 4 bytes at 2147483647 are not in the heap of 8"),
        ];
        for (row, message) in cases {
            let fault = read(row).unwrap_err().fault;
            assert_eq!((fault.code(), fault.to_string().as_str()), ("outside_heap", message));
        }
        let mut values = Vec::new();
        column.array_f64s(&[0, 10], &mut values).unwrap();
        assert_eq!(values, [1.0]);
    });
}

#[test]
fn wide_descriptors_and_a_gap_before_the_heap() {
    let row = [2_i64.to_be_bytes(), 1_i64.to_be_bytes()].concat();
    let data = [row, vec![9; 4], b"xTFy".to_vec()].concat();
    let bytes = binary_table(16, 1, 1, &["TFORM1  = 'QL(2)'", "THEAP   = 20"], &data);
    with_rows(bytes, |table, rows| {
        assert_eq!(table.heap().bytes, 4);
        let column = &table.columns()[0];
        let mut arrays = Vec::new();
        column.descriptors(rows, &mut arrays).unwrap();
        let mut scratch = Vec::new();
        let mut values = Vec::new();
        let bytes = table.read_array(column, 0, arrays[0], &mut scratch).unwrap();
        column.array_bools(bytes, &mut values).unwrap();
        assert_eq!(values, [Some(true), Some(false)]);
    });
}

fn ascii_table(row_bytes: usize, cards: &[&str], rows: &[&str]) -> Vec<u8> {
    let mandatory = [
        "XTENSION= 'TABLE'".to_owned(),
        "BITPIX  = 8".to_owned(),
        "NAXIS   = 2".to_owned(),
        format!("NAXIS1  = {row_bytes}"),
        format!("NAXIS2  = {}", rows.len()),
        "PCOUNT  = 0".to_owned(),
        "GCOUNT  = 1".to_owned(),
    ];
    let texts: Vec<&str> =
        mandatory.iter().map(String::as_str).chain(cards.iter().copied()).collect();
    let data: Vec<u8> =
        rows.iter().flat_map(|row| format!("{row:<row_bytes$}").into_bytes()).collect();
    [empty_primary(), hdu(&texts, &data)].concat()
}

#[test]
fn ascii_tables() {
    let cards = [
        "TFIELDS = 3",
        "TFORM1  = 'I5'",
        "TBCOL1  = 1",
        "TNULL1  = '-'",
        "TFORM2  = 'E10.4'",
        "TBCOL2  = 6",
        "TFORM3  = 'A4'",
        "TBCOL3  = 16",
    ];
    let rows = ["   42 1.5D+01  name", "    -          ", "   +7*********  x"];
    with_rows(ascii_table(20, &cards, &rows), |table, rows| {
        let [whole, real, text] = table.columns() else { panic!("three columns") };
        let mut wholes = Vec::new();
        whole.i64s(rows, &mut wholes).unwrap();
        assert_eq!((wholes, whole.null_count(rows).unwrap()), (vec![42, 0, 7], 1));
        let mut reals = Vec::new();
        real.f64s(rows, &mut reals).unwrap();
        assert_eq!(reals[0], 15.0);
        assert!(reals[1].is_nan() && reals[2].is_nan(), "blank, and Fortran's asterisks");
        let mut texts = Vec::new();
        text.texts(rows, &mut texts).unwrap();
        assert_eq!(texts, ["name", "", " x"]);
    });
    let bad = ascii_table(
        5,
        &["TFIELDS = 1", "TTYPE1  = 'N'", "TFORM1  = 'I5'", "TBCOL1  = 1"],
        &["12x"],
    );
    with_rows(bad, |table, rows| {
        let fault = table.columns()[0].f64s(rows, &mut Vec::new()).unwrap_err();
        assert_eq!(
            (fault.code(), fault.to_string().as_str()),
            ("bad_cell", "column N, row 0: \"12x  \" is not a number")
        );
    });
}

#[test]
fn ascii_tables_that_are_wrong() {
    let cases: [(&[&str], &str); 5] = [
        (&["TFIELDS = 1", "TFORM1  = 'I5'"], "missing_keyword"),
        (&["TFIELDS = 1", "TFORM1  = 'I5'", "TBCOL1  = 0"], "bad_value"),
        (&["TFIELDS = 1", "TFORM1  = 'I5'", "TBCOL1  = 2"], "row_length"),
        (&["TFIELDS = 1", "TFORM1  = 'X5'", "TBCOL1  = 1"], "bad_format"),
        (&["TFIELDS = 1", "TFORM1  = 'I0'", "TBCOL1  = 1"], "bad_format"),
    ];
    for (cards, code) in cases {
        let file = bytes::open(ascii_table(5, cards, &["    1"])).unwrap();
        assert_eq!(file.table(HduIndex(1)).unwrap_err().fault.code(), code, "{cards:?}");
    }
}

#[test]
fn unknown_tables_and_rows_are_refused() {
    let file = bytes::open(bytes::small_image()).unwrap();
    assert_eq!(
        file.table(HduIndex(0)).unwrap_err().fault.to_string(),
        "the HDU is an image, not a table"
    );
    assert_eq!(
        file.table(HduIndex(1)).unwrap_err().fault.to_string(),
        "there is no such HDU, the file has 1"
    );
    let file = bytes::open(binary_table(4, 2, 1, &["TFORM1  = 'J'"], &[0; 8])).unwrap();
    let table = file.table(HduIndex(1)).unwrap();
    let fault = table.read_rows(1..3, &mut Vec::new()).unwrap_err().fault;
    assert_eq!(fault.to_string(), "rows 1..3 were requested, the table has 2");
}

#[test]
fn batches_cover_the_table() {
    let rows = 70_000;
    let file =
        bytes::open(binary_table(8, rows, 1, &["TFORM1  = 'D'"], &vec![0; 8 * rows])).unwrap();
    let table = file.table(HduIndex(1)).unwrap();
    let batches: Vec<_> = table.batches().collect();
    assert_eq!((batches[0].start, batches[batches.len() - 1].end), (0, rows as u64));
    assert!(batches.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert!(batches.iter().all(|batch| (batch.end - batch.start) * 8 <= 256 << 10));
}

#[test]
fn arrays_that_share_the_heap_are_bounded() {
    // Each of 5000 rows points to the whole heap: 5000 times the file's bytes to read.
    let rows: Vec<u8> =
        (0..5000).flat_map(|_| [10_000_i32.to_be_bytes(), 0_i32.to_be_bytes()].concat()).collect();
    let data = [rows, vec![1; 10_000]].concat();
    let file = bytes::open(binary_table(8, 5000, 1, &["TFORM1  = 'PB'"], &data)).unwrap();
    let inspection = fits::inspect::inspect_file(&file);
    let refusal = inspection.hdus[1].refusal.as_ref().expect("refused");
    assert_eq!(refusal.code, "too_large");
}
