//! Files that are opened, by content, and files that are refused.

use std::io::Write;
use std::os::unix::fs::symlink;

use fits::wrapped::Wrapper;
use fits::{FitsFile, Limits};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::bytes;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn content_decides_and_not_the_name() {
    let image = bytes::small_image();
    let with = |begin: &[u8]| [begin, &[0; 40]].concat();
    let mut cut = gzip(&image);
    cut.truncate(cut.len() - 9);
    let mut flipped = gzip(&image);
    let crc = flipped.len() - 8;
    flipped[crc] ^= 1;
    let cases = [
        ("nothing", Vec::new(), "empty_file"),
        ("text", b"Dear provider,\nplease find attached".to_vec(), "not_fits"),
        ("one letter", b"S".to_vec(), "not_fits"),
        ("an extension first", bytes::hdu(&["XTENSION= 'IMAGE'"], &[]), "not_fits"),
        ("bzip2", with(b"BZh91AY&SY"), "wrapped_bzip2"),
        ("compress", with(b"\x1f\x9d\x90"), "wrapped_compress"),
        ("zip", with(b"PK\x03\x04"), "wrapped_zip"),
        ("xz", with(b"\xfd7zXZ\0"), "wrapped_xz"),
        ("zstd", with(b"\x28\xb5\x2f\xfd"), "wrapped_zstd"),
        ("lz4", with(b"\x04\x22\x4d\x18"), "wrapped_other"),
        ("gzip of text", gzip(b"Dear provider"), "not_fits"),
        ("gzip of nothing", gzip(b""), "empty_file"),
        ("gzip of gzip", gzip(&gzip(&image)), "wrapped_other"),
        ("gzip of bzip2", gzip(&with(b"BZh9")), "wrapped_bzip2"),
        ("gzip that breaks off", cut, "gzip_damaged"),
        ("gzip whose sum is wrong", flipped, "gzip_damaged"),
        ("gzip of 50 MB of zeros", gzip(&vec![0; 50_000_000]), "not_fits"),
        ("SIMPLE and no more", b"SIMPLE  =                    T".to_vec(), "missing_end"),
    ];
    for (name, content, code) in cases {
        let error = bytes::open(content).expect_err(name);
        assert_eq!(error.fault.code(), code, "{name}: {error}");
        assert!(!error.fault.is_transient(), "{name}");
    }
}

#[test]
fn gzip_is_unpacked_in_memory() {
    let image = bytes::small_image();
    let file = bytes::open(gzip(&image)).unwrap();
    assert_eq!(file.wrapper(), Wrapper::Gzip);
    assert_eq!(file.file_bytes(), image.len() as u64);
    assert_eq!(
        file.image(fits::HduIndex(0)).unwrap().read_f32().unwrap(),
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    );
    // Two members one behind the other are one stream.
    let (begin, end) = image.split_at(1000);
    let file = bytes::open([gzip(begin), gzip(end)].concat()).unwrap();
    assert_eq!(file.file_bytes(), image.len() as u64);
}

#[test]
fn unpacking_stops_at_the_limit() {
    let limits = Limits { unpacked_bytes: 5000, ..Limits::default() };
    let error = FitsFile::from_bytes("x", gzip(&bytes::small_image()), &limits).unwrap_err();
    assert_eq!(error.fault.code(), "gzip_bomb");
}

/// A square image of zeros.
fn mask(side: usize) -> Vec<u8> {
    let axis = |number: u8| format!("NAXIS{number}  = {side}");
    let cards = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", &axis(1), &axis(2)];
    bytes::hdu(&cards, &vec![0; side * side])
}

#[test]
fn a_ratio_counts_only_beyond_the_size_of_honest_files() {
    let (small, large) = (gzip(&mask(900)), gzip(&mask(6000)));
    let ratio = mask(900).len() / small.len();
    assert!(ratio > 300, "{ratio}");
    for packed in [&small, &large] {
        let file = FitsFile::from_bytes("mask", packed.clone(), &Limits::default()).unwrap();
        assert_eq!(file.trailing(), None);
        // 36 MB go through a scratch file, most of it holes.
        let image = file.image(fits::HduIndex(0)).unwrap();
        let sum: f32 = image.read_f32().unwrap().iter().sum();
        assert_eq!((image.pixel_count(), sum), (image.row_pixels().pow(2), 0.0));
    }
    let limits = Limits { ratio_from_bytes: 1 << 20, ..Limits::default() };
    assert!(FitsFile::from_bytes("small", small, &limits).is_ok());
    let error = FitsFile::from_bytes("large", large.clone(), &limits).unwrap_err();
    assert_eq!(error.fault.code(), "gzip_bomb");
    let limits = Limits { expansion_ratio: 2000, ..limits };
    assert!(FitsFile::from_bytes("large", large, &limits).is_ok());
}

#[test]
fn a_primary_header_chooses_the_limits_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mask.fits.gz");
    std::fs::write(&path, gzip(&mask(900))).unwrap();
    let strict = Limits { ratio_from_bytes: 1000, unpacked_bytes: 500_000, ..Limits::default() };
    let open = |first: &Limits, chosen: Limits| {
        FitsFile::open_choosing(&path, first, &|header| {
            assert_eq!(header.integer("NAXIS1"), Ok(Some(900)));
            chosen
        })
    };
    assert_eq!(open(&strict, Limits::default()).unwrap().limits(), &Limits::default());
    let error = open(&Limits::default(), strict).unwrap_err();
    assert_eq!(error.fault.code(), "gzip_bomb");
}

#[test]
fn what_follows_a_gzip_stream() {
    let image = bytes::small_image();
    let with = |tail: &[u8]| [gzip(&image), tail.to_vec()].concat();
    let packed_bytes = gzip(&image).len() as u64;
    for padding in [&[0; 1][..], &[0; 512], &[0; 100_000]] {
        let file = bytes::open(with(padding)).expect("zeros are padding");
        assert_eq!((file.trailing(), file.hdus().len()), (None, 1), "{}", padding.len());
    }
    for junk in [&b"\r\n"[..], b"\x1f", b"\x1f\x8bno gzip at all", &[[0; 512], [7; 512]].concat()] {
        let file = bytes::open(with(junk)).expect("the image is whole");
        let trailing = file.trailing().expect("it is found");
        let found = (trailing.is_packed, trailing.offset, trailing.bytes);
        assert_eq!(found, (true, packed_bytes, junk.len() as u64));
    }
    // A second member that breaks off is data that are lost.
    let (begin, end) = image.split_at(1000);
    let mut cut = [gzip(begin), gzip(end)].concat();
    cut.truncate(cut.len() - 12);
    assert_eq!(bytes::open(cut).unwrap_err().fault.code(), "gzip_damaged");
}

#[test]
fn only_regular_files_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("image.fit"), bytes::small_image()).unwrap();
    symlink(path("image.fit"), path("link.fit")).unwrap();
    std::fs::create_dir(path("directory.fit")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(path("fifo.fit")).status().unwrap();
    assert!(made.success());
    assert!(FitsFile::open(&path("image.fit"), &Limits::default()).is_ok());
    let cases = [
        (path("link.fit"), "symbolic_link"),
        (path("directory.fit"), "not_a_file_directory"),
        (path("fifo.fit"), "not_a_file_fifo"),
        (path("absent.fit"), "missing_file"),
        ("/dev/zero".into(), "not_a_file_device"),
    ];
    for (path, code) in cases {
        let error = FitsFile::open(&path, &Limits::default()).expect_err(code);
        assert_eq!(error.fault.code(), code, "{error}");
        assert_eq!(error.file, path);
        assert_eq!(error.hdu, None);
    }
}

#[test]
fn a_file_on_disk_reads_like_bytes_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    std::fs::write(&path, bytes::small_image()).unwrap();
    let file = FitsFile::open(&path, &Limits::default()).unwrap();
    assert_eq!(file.hdus().len(), 1);
    assert_eq!(
        file.image(fits::HduIndex(0)).unwrap().read_f32().unwrap(),
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    );
    let mut buffer = [0; 2];
    file.read_at(2880 + 4, &mut buffer).unwrap();
    assert_eq!(buffer, [5, 6]);
    assert_eq!(file.read_at(u64::MAX, &mut buffer).unwrap_err().code(), "size_overflow");
    assert_eq!(
        file.read_range(5759, 3, &mut Vec::new()).unwrap_err().to_string(),
        "data end 2 bytes early"
    );
}
