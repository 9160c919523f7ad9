//! What previews cost, in milliseconds of processor time of one thread per detector of 2048x2048 pixels.
//!
//! `cargo run --release -p process --example preview_speed [FILE...]` measures a simulated frame of four detectors, or
//! the files named. Files are read once before, so that disks do not count.

use fits::image::Scratch;
use fits::write::{self, Checks, HeaderBuilder, RicePixels};
use fits::{FitsFile, HduIndex, HduKind, Limits};
use process::header_view::HeaderView;
use process::preview::level::Sample;
use process::preview::mosaic::{self, Part};
use process::preview::picture::Picture;
use process::preview::reduce::{Reduced, Reducer, Scaling};
use process::preview::stretch::Stretch;
use process::preview::{Recipe, render};
use rustix::time::{ClockId, clock_gettime};
use sky::{PixelSize, Transform, Wcs};
use std::path::Path;
use std::time::Duration;

const SIDE: usize = 2048;
const REPEATS: usize = 15;

fn main() {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    if files.is_empty() {
        let path = std::env::temp_dir().join(format!("preview_speed.{}.fit", std::process::id()));
        std::fs::write(&path, frame()).expect("a temporary file");
        parts(&path);
        whole(&path);
        std::fs::remove_file(&path).expect("the temporary file");
    }
    for file in files {
        whole(Path::new(&file));
    }
}

fn recipe() -> Recipe {
    Recipe::of(&model::profile::PreviewProfile::default())
}

/// Everything from opening the file to the last JPEG.
fn whole(path: &Path) {
    let mut scratch = Scratch::default();
    let mut detectors = 0;
    let times = measure(|| {
        let file = FitsFile::open(path, &Limits::default()).expect("a FITS file");
        let wcs_of = |hdu| wcs_of(&file, hdu);
        let previews = render(&file, &recipe(), |_| true, wcs_of, &mut scratch);
        detectors = previews.detectors.len();
        previews
    });
    report(&format!("whole, of {}", path.display()), times, detectors);
}

fn wcs_of(file: &FitsFile, hdu: HduIndex) -> Option<Wcs> {
    let (hdu, primary) = (file.hdu(hdu).ok()?, file.hdus().first()?);
    Wcs::from_image(&HeaderView::of_extension(hdu, primary)).ok()
}

fn parts(path: &Path) {
    let file = FitsFile::open(path, &Limits::default()).expect("a FITS file");
    let mut scratch = Scratch::default();
    let hdu = file.hdus().iter().find(|h| h.kind == HduKind::CompressedImage).expect("an image");
    let image = file.image(hdu.index).expect("an image");
    let read = |scratch: &mut Scratch, take: &mut dyn FnMut(&[i32])| {
        let mut bands = image.bands(scratch);
        while let Some(band) = bands.next_band().expect("pixels") {
            let fits::image::Rows::I32(pixels) = band.rows else { panic!("32-bit pixels") };
            take(pixels);
        }
    };
    let times = measure(|| {
        read(&mut scratch, &mut |pixels| {
            std::hint::black_box(pixels);
        })
    });
    report("  Rice decoding", times, 1);
    let mut pixels = Vec::new();
    read(&mut scratch, &mut |band| pixels.extend_from_slice(band));
    let scaling = Scaling { scale: 1.0, zero: 0.0, blank: None };
    let reduce = |scaling| {
        let mut reducer = Reducer::new(SIDE, 4, scaling);
        pixels.chunks_exact(SIDE).for_each(|row| reducer.push_integers(row));
        reducer.finish()
    };
    report("  reduction", measure(|| reduce(scaling)), 1);
    let blank = Scaling { blank: Some(-1), ..scaling };
    report("  reduction with BLANK", measure(|| reduce(blank)), 1);
    let reduced = reduce(scaling);
    let sample = || Sample::of(&reduced.values).expect("values");
    report("  sky", measure(|| sample().sky()), 1);
    let (sample, sky) = (sample(), sample().sky());
    let fit = || Stretch::fit(recipe().curve, recipe().tone, &sample, sky);
    report("  limits", measure(&fit), 1);
    let stretch = fit();
    report("  curve", measure(|| stretch.apply(&reduced.values)), 1);
    let grey = stretch.apply(&reduced.values);
    for transform in Transform::all() {
        let draw = || Picture::draw(&grey, reduced.width, reduced.height, transform);
        let times = measure(draw);
        report(&format!("  drawing {}", transform.name()), times, 1);
    }
    let picture = Picture::draw(&grey, reduced.width, reduced.height, Transform::IDENTITY);
    let size = PixelSize { width: SIDE as u64, height: SIDE as u64 };
    let parts: Vec<Part> = (1..=4)
        .map(|hdu| {
            let wcs = wcs_of(&file, HduIndex(hdu));
            let Reduced { width, height, .. } = reduced;
            Part::new(wcs, size, Picture { width, height, grey: grey.clone() }, 1024)
        })
        .collect();
    let compose = || mosaic::compose(&parts, 1024).expect("a mosaic");
    report("  mosaic", measure(&compose), 4);
    let mosaic = compose().picture;
    let times = measure(|| mosaic.jpeg(recipe().quality));
    report("  JPEG of the mosaic", times, 4);
    report("  JPEG", measure(|| picture.jpeg(recipe().quality)), 1);
}

/// Four detectors of noise and stars, placed as a camera has them.
fn frame() -> Vec<u8> {
    let mut bytes = Vec::new();
    write::primary(&mut bytes, &HeaderBuilder::new(), Checks::Absent).expect("a primary");
    let pixels = sky();
    for camera in 0..4 {
        let quarter = [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)][camera];
        let (cos, sin) = (1.1125e-4 * quarter.0, 1.1125e-4 * quarter.1);
        let mut header = HeaderBuilder::new();
        header.text("CTYPE1", "RA---TAN", "").text("CTYPE2", "DEC--TAN", "");
        header.number("CRVAL1", 200.0, "").number("CRVAL2", 30.0, "");
        header.number("CRPIX1", 3011.0, "").number("CRPIX2", -962.0, "");
        header.number("CD1_1", cos, "").number("CD1_2", -sin, "");
        header.number("CD2_1", sin, "").number("CD2_2", cos, "");
        let pixels = RicePixels::I32(&pixels);
        write::rice_image(&mut bytes, SIDE, SIDE, pixels, &header, Checks::Absent)
            .expect("an image");
    }
    bytes
}

/// Normal noise of 25 counts on a level of 1000, with a thousand stars; the same every time.
fn sky() -> Vec<i32> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut pixels: Vec<i32> = Vec::with_capacity(SIDE * SIDE);
    while pixels.len() < SIDE * SIDE {
        let radius = (-2.0 * uniform().max(1e-300).ln()).sqrt();
        let noise = radius * (std::f64::consts::TAU * uniform()).cos();
        pixels.push((1000.0 + 25.0 * noise).round() as i32);
    }
    for _ in 0..1000 {
        let (x, y) = (uniform() * SIDE as f64, uniform() * SIDE as f64);
        let peak = 60.0 / uniform().max(1e-3).powf(1.2);
        for row in (y as usize).saturating_sub(12)..(y as usize + 12).min(SIDE) {
            for column in (x as usize).saturating_sub(12)..(x as usize + 12).min(SIDE) {
                let square = (column as f64 - x).powi(2) + (row as f64 - y).powi(2);
                pixels[row * SIDE + column] += (peak * (-square / 4.0).exp()) as i32;
            }
        }
    }
    pixels
}

fn measure<R>(mut work: impl FnMut() -> R) -> Vec<Duration> {
    std::hint::black_box(work());
    let mut times: Vec<Duration> = (0..REPEATS)
        .map(|_| {
            let start = processor_time();
            std::hint::black_box(work());
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

fn report(label: &str, times: Vec<Duration>, detectors: usize) {
    let each = |time: Duration| time.as_secs_f64() * 1e3 / detectors.max(1) as f64;
    println!(
        "{label:30} {:7.2} ms a detector, best {:7.2}",
        each(times[times.len() / 2]),
        each(times[0])
    );
}
