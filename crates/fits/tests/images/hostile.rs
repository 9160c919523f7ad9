//! Images that claim too much, point elsewhere, or break off.

use std::os::unix::fs::FileExt;

use fits::image::{Rows, Scratch};
use fits::write::{self, Checks, HeaderBuilder, Pixels, Place, RicePixels};
use fits::{FitsFile, HduIndex, Limits};

const WIDTH: usize = 100;
const HEIGHT: usize = 20;

/// A compressed image of 20 tiles.
fn compressed() -> Vec<u8> {
    let pixels: Vec<i32> = (0..WIDTH * HEIGHT).map(|n| (n * 7919 % 1000) as i32).collect();
    let mut bytes = Vec::new();
    write::primary(&mut bytes, &HeaderBuilder::new(), Checks::Absent).expect("a primary");
    let header = HeaderBuilder::new();
    write::rice_image(&mut bytes, WIDTH, HEIGHT, RicePixels::I32(&pixels), &header, Checks::Absent)
        .expect("an image");
    bytes
}

/// Returns the offset of the value of a keyword, in the second header.
fn value_at(bytes: &[u8], keyword: &str) -> usize {
    let card = format!("{keyword:8}=");
    let found = bytes[2880..].chunks(80).position(|text| text.starts_with(card.as_bytes()));
    2880 + 80 * found.expect("the card") + 10
}

fn set(bytes: &mut [u8], keyword: &str, value: &str) {
    let at = value_at(bytes, keyword);
    bytes[at..at + 20].copy_from_slice(format!("{value:>20}").as_bytes());
}

/// Returns the offset of the rows of the table.
fn table_at(bytes: &[u8]) -> usize {
    let end = bytes[2880..].chunks(80).position(|card| card.starts_with(b"END ")).expect("END");
    2880 + (80 * (end + 1)).next_multiple_of(2880)
}

/// The reason why the image is not read, header or pixels.
fn refusal(bytes: Vec<u8>) -> String {
    let file = FitsFile::from_bytes("made", bytes, &Limits::default()).expect("a FITS file");
    let image = match file.image(HduIndex(1)) {
        Ok(image) => image,
        Err(error) => return format!("image: {}", error.fault.code()),
    };
    match image.for_each_band(&mut Scratch::default(), |_, _| {}) {
        Ok(()) => "read".to_owned(),
        Err(error) => format!("pixels: {}", error.fault.code()),
    }
}

#[test]
fn faults_of_a_compressed_image_are_reported() {
    let changed = |changes: &[(&str, &str)]| {
        let mut bytes = compressed();
        changes.iter().for_each(|(keyword, value)| set(&mut bytes, keyword, value));
        bytes
    };
    let cases: [(&[(&str, &str)], &str); 16] = [
        (&[], "read"),
        (&[("ZNAXIS1", "1000000"), ("ZNAXIS2", "1000000")], "image: bad_value"),
        // One tile, so that the number of rows fits: the size itself is too much.
        (
            &[
                ("ZNAXIS1", "1000000"),
                ("ZNAXIS2", "20000000"),
                ("ZTILE1", "1000000"),
                ("ZTILE2", "1000000"),
            ],
            "image: too_large",
        ),
        (&[("ZNAXIS1", "9223372036854775807"), ("ZNAXIS2", "3")], "image: size_overflow"),
        (&[("ZNAXIS2", "-20")], "image: negative_value"),
        (&[("ZNAXIS1", "20000"), ("ZTILE1", "20000")], "pixels: tile_code_too_short"),
        (&[("ZNAXIS2", "19")], "image: bad_value"),
        (&[("ZTILE1", "0")], "image: bad_value"),
        (&[("ZTILE1", "50")], "image: bad_value"),
        // A tile as large as one can be: the band would not fit.
        (&[("ZNAXIS2", "200000000"), ("ZTILE2", "10000000")], "image: too_large"),
        (&[("ZBITPIX", "12")], "image: bad_value"),
        (&[("ZCMPTYPE", "'RICE_9  '")], "image: unsupported"),
        (&[("ZCMPTYPE", "'GZIP_1  '")], "pixels: tile_gzip_header"),
        (&[("ZCMPTYPE", "'HCOMPRESS_1'")], "pixels: tile_hcompress_magic"),
        (&[("ZVAL1", "0")], "image: unsupported"),
        (&[("ZVAL2", "8")], "image: unsupported"),
    ];
    for (changes, wanted) in cases {
        assert_eq!(refusal(changed(changes)), wanted, "{changes:?}");
    }
}

#[test]
fn descriptors_stay_inside_the_heap() {
    let heap_bytes = {
        let bytes = compressed();
        let at = value_at(&bytes, "PCOUNT");
        String::from_utf8_lossy(&bytes[at..at + 20]).trim().parse::<i32>().unwrap()
    };
    let cases = [
        ([-1, 0], "pixels: outside_heap"),
        ([10, -1], "pixels: outside_heap"),
        ([10, heap_bytes - 9], "pixels: outside_heap"),
        ([10, i32::MAX], "pixels: outside_heap"),
        ([i32::MAX, 0], "pixels: outside_heap"),
        ([0, 0], "pixels: tile_without_code"),
        ([3, 0], "pixels: tile_code_too_short"),
    ];
    for (descriptor, wanted) in cases {
        let mut bytes = compressed();
        let at = table_at(&bytes) + 8 * 7;
        for (number, bytes) in descriptor.iter().zip(bytes[at..at + 8].chunks_exact_mut(4)) {
            bytes.copy_from_slice(&number.to_be_bytes());
        }
        assert_eq!(refusal(bytes), wanted, "{descriptor:?}");
    }
}

#[test]
fn damaged_codes_are_refused_or_read_but_never_panic() {
    let whole = compressed();
    let table = table_at(&whole);
    let mut state = 1u32;
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        for _ in 0..3 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = table + state as usize % (bytes.len() - table);
            bytes[at] = (state >> 24) as u8;
        }
        refusal(bytes);
    }
}

#[test]
fn an_empty_image_may_be_dense() {
    // 5 bits for 32 pixels: with the descriptors 157 times as large as its code.
    let (width, height) = (2048, 512);
    let pixels = vec![7; width * height];
    let mut bytes = Vec::new();
    write::primary(&mut bytes, &HeaderBuilder::new(), Checks::Absent).unwrap();
    let header = HeaderBuilder::new();
    let image = RicePixels::I32(&pixels);
    write::rice_image(&mut bytes, width, height, image, &header, Checks::Absent).unwrap();
    assert!(4 * pixels.len() > 100 * bytes.len());
    let file = FitsFile::from_bytes("made", bytes, &Limits::default()).unwrap();
    let values = file.image(HduIndex(1)).unwrap().read_f32().unwrap();
    assert!(values.len() == pixels.len() && values.iter().all(|&value| value == 7.0));
}

#[test]
fn a_row_without_end_is_refused_before_it_is_read() {
    let mut header = Vec::new();
    for card in ["SIMPLE  = T", "BITPIX  = -64", "NAXIS   = 1", "NAXIS1  = 1000000000000", "END"] {
        header.extend_from_slice(format!("{card:80}").as_bytes());
    }
    header.resize(2880, b' ');
    // The bytes are there, at no cost: a file of holes.
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all_at(&header, 0).unwrap();
    file.as_file().set_len(2880 + 8_000_000_000_640).unwrap();
    let file = FitsFile::open(file.path(), &Limits::default()).unwrap();
    let image = file.image(HduIndex(0)).unwrap();
    let fault = image.for_each_band(&mut Scratch::default(), |_, _| {}).unwrap_err().fault;
    assert_eq!(fault.code(), "too_large");
    assert_eq!(image.read_f32().unwrap_err().fault.code(), "too_large");
}

/// Memory of this process at its peak.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    let kilobytes = line.split_whitespace().nth(1).expect("a number");
    kilobytes.parse::<u64>().expect("a number") << 10
}

/// A file of 16 000 x 13 000 pixels whose tiles all share the code of one row.
fn write_large(path: &std::path::Path) {
    let (width, height) = (16_000, 13_000);
    let row: Vec<i32> = (0..width).map(|n| 1000 + (n * 7919 % 101) as i32).collect();
    let mut bytes = Vec::new();
    write::primary(&mut bytes, &HeaderBuilder::new(), Checks::Absent).expect("a primary");
    let header = HeaderBuilder::new();
    write::rice_image(&mut bytes, width, 1, RicePixels::I32(&row), &header, Checks::Absent)
        .expect("a row");
    let table = table_at(&bytes);
    set(&mut bytes, "NAXIS2", &height.to_string());
    set(&mut bytes, "ZNAXIS2", &height.to_string());
    let (descriptor, heap) = (bytes[table..table + 8].to_vec(), bytes[table + 8..].to_vec());
    bytes.truncate(table);
    bytes.extend(descriptor.repeat(height));
    bytes.extend(heap);
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    std::fs::write(path, bytes).expect("a file");
}

#[test]
fn a_large_image_takes_little_memory() {
    const CHILD: &str = "ALMAGEST_TEST_LARGE_IMAGE";
    if let Some(path) = std::env::var_os(CHILD) {
        let file = FitsFile::open(path.as_ref(), &Limits::default()).unwrap();
        let image = file.image(HduIndex(1)).unwrap();
        let mut pixels = 0;
        let mut sum = 0i64;
        image
            .for_each_band(&mut Scratch::default(), |_, rows| {
                pixels += rows.len();
                if let Rows::I32(pixels) = rows {
                    sum += i64::from(pixels[0]) + i64::from(pixels[pixels.len() - 1]);
                }
            })
            .unwrap();
        assert_eq!((pixels, sum), (208_000_000, 13_000 * (1000 + 1000 + 15_999 * 7919 % 101)));
        // The bar is 300 MB; what reading needs is a hundredth.
        let peak = peak_bytes();
        assert!(peak < 30_000_000, "{peak} bytes");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.fits");
    write_large(&path);
    // In a process of its own: the other tests have memory too.
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::a_large_image_takes_little_memory", "--nocapture"])
        .env(CHILD, &path)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_truncated_plain_image_is_reported() {
    let pixels = vec![1i16; 5000];
    let mut bytes = Vec::new();
    let header = HeaderBuilder::new();
    write::image(
        &mut bytes,
        Place::Primary,
        &[100, 50],
        Pixels::I16(&pixels),
        &header,
        Checks::Absent,
    )
    .unwrap();
    bytes.truncate(2880 + 9000);
    let file = FitsFile::from_bytes("made", bytes, &Limits::default()).unwrap();
    let fault = file.image(HduIndex(0)).unwrap_err().fault;
    assert_eq!(fault.code(), "truncated");
}
