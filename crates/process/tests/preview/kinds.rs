//! Every kind of frame shows its sky at 15 to 35 % grey, with less than 1 % of it clipped.

use crate::frame::{Frame, single};
use crate::jpeg::decode;
use crate::made::Inputs;
use fits::FitsFile;
use fits::image::{Rows, Scratch};
use fits::write::{HeaderBuilder, Pixels};
use simulate::{FrameKind, NightSpec};
use std::path::Path;

const SIDE: usize = 512;

/// Dead columns, dead and hot pixels, half a row without a value.
fn spoiled(frame: Frame) -> Frame {
    let dead = |x: usize, y: usize| x % 97 == 13 && y > SIDE / 3;
    let frame = frame.area(dead, -3000.0).sprinkle(0.001, 0.0).sprinkle(0.001, 60_000.0);
    frame.area(|x, y| y == 200 && x < SIDE / 2, f32::NAN)
}

/// Quadrants of unequal gain, pixels of unequal gain, darker towards the corners.
fn flat_field(value: f32, x: f32, y: f32) -> f32 {
    let quadrant = [0.97, 1.02, 1.0, 1.035][usize::from(x > 0.5) + 2 * usize::from(y > 0.5)];
    value * quadrant * (1.0 - 0.25 * ((x - 0.5).powi(2) + (y - 0.5).powi(2)))
}

fn planted() -> Vec<(&'static str, Frame)> {
    let sky = |level, noise| Frame::sky(SIDE, SIDE, level, noise);
    let border = |x: usize, y: usize| x.min(y).min(SIDE - 1 - x).min(SIDE - 1 - y) < 40;
    let glow = |x: f32, _: f32| 300.0 * (-25.0 * x).exp();
    vec![
        ("empty", sky(900.0, 12.0)),
        ("stack", spoiled(sky(900.0, 12.0).stars(400, 30.0, 4.0, 6.0))),
        ("sky-subtracted", spoiled(sky(0.0, 3.0).stars(400, 10.0, 4.0, 1.0))),
        ("negative sky", sky(-250.0, 30.0).stars(400, 100.0, 4.0, 10.0)),
        ("crowded", sky(900.0, 12.0).stars(5000, 60.0, 5.0, 12.0).saturate(40_000.0)),
        ("very crowded", sky(900.0, 12.0).stars(6000, 60.0, 4.5, 12.0).saturate(40_000.0)),
        ("raw", spoiled(sky(5000.0, 40.0).shade(flat_field).stars(300, 150.0, 4.0, 20.0))),
        ("raw, saturated in a corner", {
            let corner = |x: usize, y: usize| x + y < SIDE / 2;
            spoiled(sky(5000.0, 40.0).shade(flat_field)).area(corner, 65_535.0)
        }),
        ("dark", spoiled(sky(30.0, 3.0).light(glow, 12.0))),
        ("dark of hot pixels", sky(30.0, 3.0).sprinkle(0.02, 4000.0)),
        ("bias", sky(1000.0, 2.0).shade(|v, _, y| v + (200.0 * y).sin())),
        ("flat", spoiled(sky(1.0, 0.004).shade(flat_field))),
        ("flat in counts", sky(30_000.0, 170.0).shade(flat_field)),
        ("confidence", sky(100.0, 2.0).shade(flat_field).area(border, 0.0)),
        ("confidence of one value", sky(100.0, 0.0).area(border, 0.0)),
        ("confidence with holes", sky(100.0, 0.0).sprinkle(0.01, 0.0)),
        ("zero confidence on half", sky(900.0, 12.0).area(|x, _| x < SIDE / 2, 0.0)),
        ("no value on most", sky(900.0, 12.0).area(|x, y| x + y < SIDE, f32::NAN)),
        ("gradient", sky(900.0, 12.0).shade(|v, x, y| v * (1.0 + 0.3 * x + 0.2 * y))),
        ("nebula", {
            let nebula =
                |x: f32, y: f32| 8000.0 * (-30.0 * ((x - 0.4).powi(2) + (y - 0.6).powi(2))).exp();
            sky(900.0, 12.0).light(nebula, 6.0)
        }),
        ("half exposed at the edges", {
            let half = |x: f32, y: f32| x.min(y).min(1.0 - x).min(1.0 - y) < 0.01;
            sky(100.0, 4.0).shade(move |v, x, y| if half(x, y) { 0.6 * v } else { v })
        }),
        ("tiny numbers", sky(3e-19, 2e-20).stars(200, 1e-19, 4.0, 1e-20)),
        ("large numbers", sky(3e19, 2e18).stars(200, 1e19, 4.0, 1e18)),
    ]
}

#[test]
fn sky_of_planted_frames_is_grey_under_every_stretch() {
    let planted = planted();
    let mut inputs = Inputs::new();
    for (n, (_, frame)) in planted.iter().enumerate() {
        inputs = inputs.with(&format!("kind{n:02}.fit"), &frame.file());
    }
    for stretch in ["asinh", "zscale", "linear"] {
        let outcome = inputs.run(&format!("stretch = \"{stretch}\""));
        outcome.keep(&format!("planted-{stretch}"));
        let Some(greys) = decode(&outcome.jpegs) else { return };
        for (n, (what, frame)) in planted.iter().enumerate() {
            let grey = &greys[&format!("kind{n:02}_2.jpg")];
            let sky = grey.sky(&frame.sky_of_preview(4));
            sky.check(&format!("{what}, {stretch}"));
        }
    }
}

#[test]
fn sky_does_not_depend_on_how_pixels_are_stored() {
    let frame = Frame::sky(SIDE, SIDE, 900.0, 12.0).stars(300, 50.0, 4.0, 6.0);
    let axes = [SIDE, SIDE];
    let integers = frame.integers(1.0, 0.0, 0);
    let short: Vec<i16> =
        integers.iter().map(|v| (v - 32_768).clamp(-32_768, 32_767) as i16).collect();
    let long: Vec<i64> = integers.iter().map(|v| i64::from(*v) * 1000).collect();
    let double: Vec<f64> = frame.values.iter().map(|v| f64::from(*v) * 1e-40).collect();
    let bytes: Vec<u8> = integers.iter().map(|v| (v - 800).clamp(0, 255) as u8).collect();
    let scaled = |scale: f64, zero: f64| {
        let mut header = HeaderBuilder::new();
        header.number("BSCALE", scale, "").number("BZERO", zero, "");
        header
    };
    let cases = [
        ("unsigned 16 bits", single(&axes, Pixels::I16(&short), &scaled(1.0, 32_768.0))),
        ("64 bits", single(&axes, Pixels::I64(&long), &scaled(1e-3, 0.0))),
        ("doubles", single(&axes, Pixels::F64(&double), &scaled(1.0, 0.0))),
        ("bytes", single(&axes, Pixels::U8(&bytes), &scaled(1.0, 800.0))),
        ("scaled by 1e6", single(&axes, Pixels::I32(&integers), &scaled(1e6, -1e8))),
    ];
    let mut inputs = Inputs::new();
    for (n, (_, file)) in cases.iter().enumerate() {
        inputs = inputs.with(&format!("kind{n}.fit"), file);
    }
    let Some(greys) = decode(&inputs.run("").jpegs) else { return };
    for (n, (what, _)) in cases.iter().enumerate() {
        greys[&format!("kind{n}_2.jpg")].sky(&frame.sky_of_preview(4)).check(what);
    }
}

#[test]
fn sky_of_simulated_frames_is_grey() {
    let directory = tempfile::tempdir().unwrap();
    let spec = NightSpec { size: 256, detections: 60, ..NightSpec::default() };
    let night = simulate::night(directory.path(), &spec, &|_| ()).unwrap();
    let mut inputs = Inputs::new();
    for frame in &night.frames {
        let path = night.delivery.join(&frame.file);
        inputs.inputs.push(crate::made::input(inputs.inputs.len() as i64 + 1, &frame.file, path));
    }
    let outcome = inputs.run("");
    assert_eq!(outcome.refused(), [""; 0]);
    assert_eq!(outcome.rows().len(), 5 * night.frames.len());
    outcome.keep("simulated");
    let Some(greys) = decode(&outcome.jpegs) else { return };
    for (frame, rows) in night.frames.iter().zip(outcome.rows().chunks(5)) {
        for row in &rows[1..] {
            let name = Path::new(&row["path"]).file_name().unwrap().to_string_lossy();
            let grey = &greys[&*name];
            // Stars are few; where nothing was exposed there is no sky.
            let covered = match frame.kind {
                FrameKind::Confidence | FrameKind::FlatConfidence => {
                    let hdu = row["ext_num"].parse::<u16>().unwrap() - 1;
                    let transform = sky::Transform::from_name(&row["transform"]).unwrap();
                    covered(&night.delivery.join(&frame.file), hdu, transform)
                }
                _ => vec![true; grey.values.len()],
            };
            let (sky, subject) = (grey.sky(&covered), format!("{name}, {:?}", frame.kind));
            match frame.kind {
                FrameKind::Dark
                | FrameKind::Flat
                | FrameKind::Sky
                | FrameKind::Confidence
                | FrameKind::FlatConfidence => sky.check_even(&subject),
                _ => sky.check(&subject),
            }
        }
    }
    let kinds = [
        FrameKind::Dark,
        FrameKind::Flat,
        FrameKind::Sky,
        FrameKind::Raw,
        FrameKind::Superframe,
        FrameKind::Stack,
        FrameKind::Superstack,
        FrameKind::Confidence,
    ];
    for kind in kinds {
        assert!(night.frames.iter().any(|frame| frame.kind == kind), "no {kind:?} in the night");
    }
}

/// Which pixels of a preview have a confidence above 0 everywhere.
fn covered(path: &Path, hdu: u16, transform: sky::Transform) -> Vec<bool> {
    let file = FitsFile::open(path, &fits::Limits::default()).unwrap();
    let image = file.image(fits::HduIndex(hdu)).unwrap();
    let side = image.axes()[0] as usize;
    let factor = (side / 64).min(4);
    let mut scratch = Scratch::default();
    let mut bands = image.bands(&mut scratch);
    let mut values: Vec<bool> = Vec::new();
    while let Some(band) = bands.next_band().unwrap() {
        match band.rows {
            Rows::I16(pixels) => values.extend(pixels.iter().map(|v| *v != 0)),
            Rows::I32(pixels) => values.extend(pixels.iter().map(|v| *v != 0)),
            _ => panic!("confidence is a whole number"),
        }
    }
    let small = side / factor;
    let size = sky::PixelSize { width: small as u64, height: small as u64 };
    let mut covered = vec![true; small * small];
    for (at, value) in values.iter().enumerate() {
        let (x, y) = (at % side / factor, at / side / factor);
        let (column, row) = transform.apply(x as f64 + 1.0, y as f64 + 1.0, size);
        covered[row as usize * small + column as usize] &= *value;
    }
    covered
}

#[test]
fn sky_is_found_between_the_stars_of_a_crowded_field() {
    for (stars, farthest) in [(1000, 1.5), (2500, 2.2), (5000, 35.0)] {
        let frame = Frame::sky(SIDE, SIDE, 900.0, 12.0).stars(stars, 60.0, 5.0, 12.0);
        let row = Inputs::of(&frame.file()).run("").row(2);
        let level: f64 = row["sky_level"].parse().unwrap();
        assert!((level - 900.0).abs() < farthest, "{stars} stars: {level}");
    }
}
