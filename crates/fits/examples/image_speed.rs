//! How fast images are read and Rice tiles written, in million pixels per second of processor time of one thread.
//!
//! `cargo run --release -p fits --example image_speed [FILE...]` measures a simulated sky of 2048x2048 pixels in
//! several forms, or all images of the files named. Files are read once before, so that disks do not count.

use std::time::Duration;

use fits::image::{Rows, Scratch};
use fits::tile::rice;
use fits::write::{self, Checks, HeaderBuilder, Pixels, Place, RicePixels};
use fits::{FitsFile, HduIndex, HduKind, Limits};
use rustix::time::{ClockId, clock_gettime};

const SIDE: usize = 2048;
const REPEATS: usize = 25;

fn main() {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    if files.is_empty() {
        for sigma in [10.0, 40.0] {
            simulated_sky(sigma);
        }
    }
    for name in files {
        let file = FitsFile::open(name.as_ref(), &Limits::default()).expect("a FITS file");
        for hdu in file.hdus() {
            if matches!(hdu.kind, HduKind::Image | HduKind::CompressedImage) {
                let label = format!("{}[{}]", file.name().display(), hdu.index.0);
                read_speed(&label, &file, hdu.index);
            }
        }
    }
}

fn simulated_sky(sigma: f64) {
    let sky = sky(sigma);
    let narrow: Vec<i16> = sky.iter().map(|&pixel| pixel as i16).collect();
    println!("sky of {SIDE}x{SIDE} pixels, noise {sigma} counts");
    let plain = HeaderBuilder::new();
    let axes = [SIDE as u64; 2];
    let mut bytes = Vec::new();
    write::image(&mut bytes, Place::Primary, &axes, Pixels::I32(&sky), &plain, Checks::Absent)
        .expect("an image");
    read_speed("  plain 32 bits", &open(bytes), HduIndex(0));
    let mut scaled = HeaderBuilder::new();
    scaled.number("ZSCALE", 0.25, "").number("ZZERO", -20.0, "");
    scaled.text("ZQUANTIZ", "SUBTRACTIVE_DITHER_1", "").integer("ZDITHER0", 1, "");
    let floats = compressed(RicePixels::I32(&sky), &scaled);
    let floats =
        replace(floats, b"ZBITPIX =                   32", b"ZBITPIX =                  -32");
    for (label, bytes) in [
        ("  Rice 32 bits", compressed(RicePixels::I32(&sky), &plain)),
        ("  Rice 16 bits", compressed(RicePixels::I16(&narrow), &plain)),
        ("  Rice floats, dithered", floats),
    ] {
        read_speed(label, &open(bytes), HduIndex(1));
    }
    let mut code = Vec::with_capacity(8 * SIDE);
    let write_all = || {
        for row in sky.chunks(SIDE) {
            code.clear();
            rice::encode(row, 32, &mut code);
        }
    };
    report("  Rice 32 bits, written", sky.len(), measure(write_all));
}

/// Normal noise on a level of 1000 counts, the same every time.
fn sky(sigma: f64) -> Vec<i32> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut normal = || {
        let radius = (-2.0 * uniform().max(1e-300).ln()).sqrt();
        radius * (std::f64::consts::TAU * uniform()).cos()
    };
    (0..SIDE * SIDE).map(|_| (1000.0 + sigma * normal()).round() as i32).collect()
}

fn compressed(pixels: RicePixels<'_>, header: &HeaderBuilder) -> Vec<u8> {
    let mut bytes = Vec::new();
    write::primary(&mut bytes, &HeaderBuilder::new(), Checks::Absent).expect("a primary");
    write::rice_image(&mut bytes, SIDE, SIDE, pixels, header, Checks::Absent).expect("an image");
    bytes
}

fn replace(mut bytes: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|window| window == old).expect("the card");
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// Through a file, as in earnest.
fn open(bytes: Vec<u8>) -> FitsFile {
    let path = std::env::temp_dir().join(format!("image_speed.{}.fits", std::process::id()));
    std::fs::write(&path, bytes).expect("a temporary file");
    let file = FitsFile::open(&path, &Limits::default());
    std::fs::remove_file(&path).expect("the temporary file");
    file.expect("a FITS file")
}

fn read_speed(label: &str, file: &FitsFile, hdu: HduIndex) {
    let mut scratch = Scratch::default();
    let read_all = || {
        let image = file.image(hdu).expect("an image");
        let mut first = 0.0;
        image
            .for_each_band(&mut scratch, |_, rows| {
                first += match rows {
                    Rows::U8(pixels) => f64::from(pixels[0]),
                    Rows::I16(pixels) => f64::from(pixels[0]),
                    Rows::I32(pixels) => f64::from(pixels[0]),
                    Rows::I64(pixels) => pixels[0] as f64,
                    Rows::F32(pixels) => f64::from(pixels[0]),
                    Rows::F64(pixels) => pixels[0],
                };
            })
            .expect("pixels");
        std::hint::black_box(first);
    };
    let times = measure(read_all);
    let pixels = file.image(hdu).expect("an image").pixel_count();
    report(label, pixels as usize, times);
}

fn measure(mut work: impl FnMut()) -> Vec<Duration> {
    work();
    let mut times: Vec<Duration> = (0..REPEATS)
        .map(|_| {
            let start = processor_time();
            work();
            processor_time() - start
        })
        .collect();
    times.sort();
    times
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn report(label: &str, pixels: usize, times: Vec<Duration>) {
    let speed = |time: Duration| pixels as f64 / time.as_secs_f64() / 1e6;
    let (median, best) = (times[times.len() / 2], times[0]);
    println!(
        "{label:40} {:8.0} Mpixel/s, best {:8.0}, {:7.2} ms",
        speed(median),
        speed(best),
        median.as_secs_f64() * 1e3
    );
}
