//! Planted stars appear where the WCS says: north up, east left, in previews of detectors and in mosaics.

use crate::camera::{Camera, patterns};
use crate::frame::{Frame, single};
use crate::jpeg::{Blob, Grey, decode};
use crate::made::{Inputs, Outcome};
use fits::write::{HeaderBuilder, Pixels};
use std::collections::BTreeMap;

/// Farthest a star may be from its place.
const PIXELS: f64 = 1.0;
/// Grey of a star's core; sky is a quarter of white.
const CORE: u8 = 140;

/// All bright spots are the wanted ones, each at its place.
fn check(subject: &str, grey: &Grey, wanted: &[(f64, f64)]) {
    let blobs = grey.blobs(CORE);
    assert_eq!(blobs.len(), wanted.len(), "{subject}: {blobs:?} are not {wanted:?}");
    for at in wanted {
        let distance = |blob: &Blob| (blob.at.0 - at.0).hypot(blob.at.1 - at.1);
        let nearest = blobs.iter().map(distance).fold(f64::INFINITY, f64::min);
        assert!(
            nearest < PIXELS,
            "{subject}: nothing within {nearest} pixels of {at:?}: {blobs:?}"
        );
    }
}

fn check_camera(subject: &str, camera: &Camera, outcome: &Outcome, greys: &[&Grey]) {
    let stars = patterns();
    let (mosaic, detectors) = greys.split_first().unwrap();
    let columns = mosaic.width as f64;
    let mut in_mosaic = Vec::new();
    for (n, (mount, stars)) in camera.mounts.iter().zip(&stars).enumerate() {
        let subject = format!("{subject}, extension {}", n + 2);
        let row = outcome.row(n + 2);
        assert_eq!(row["north_up"], "true", "{subject}");
        let wanted: Vec<_> = stars.iter().map(|at| camera.in_preview(*mount, *at, 4.0).0).collect();
        let size = camera.in_preview(*mount, (1.0, 1.0), 4.0).1;
        let grey = detectors[n];
        assert_eq!((grey.width as f64, grey.height as f64), size, "{subject}");
        check(&subject, grey, &wanted);
        in_mosaic.extend(stars.iter().map(|at| camera.in_mosaic(*mount, *at, columns).0));
        let rows = camera.in_mosaic(*mount, (1.0, 1.0), columns).1;
        assert!((mosaic.height as f64 - rows).abs() <= 1.0, "{subject}: {rows} rows");
    }
    assert_eq!(outcome.row(0)["north_up"], "true", "{subject}");
    check(&format!("{subject}, mosaic"), mosaic, &in_mosaic);
}

/// Four cameras and their mirror images, each with detectors in all four orientations, turned by so much besides.
fn stars_of_cameras(turn_deg: f64, preview: &str) {
    let mut made = Vec::new();
    let mut jpegs = BTreeMap::new();
    for quarter in [0.0, 90.0, 180.0, 270.0] {
        for is_mirrored in [false, true] {
            let camera = Camera::wide_field(quarter + turn_deg, is_mirrored);
            let outcome = Inputs::of(&camera.file(&patterns())).run(preview);
            for (name, jpeg) in &outcome.jpegs {
                jpegs.insert(format!("{}{name}", made.len()), jpeg.clone());
            }
            made.push((camera, outcome));
        }
    }
    let Some(greys) = decode(&jpegs) else { return };
    for (n, (camera, outcome)) in made.iter().enumerate() {
        // The mosaic comes first, then the detectors in the order of their extensions.
        let names = outcome.names.iter();
        let greys: Vec<&Grey> = names.map(|name| &greys[&format!("{n}{name}")]).collect();
        let subject = format!("turned by {}, mirrored {}", camera.turn_deg, camera.is_mirrored);
        check_camera(&subject, camera, outcome, &greys);
    }
}

#[test]
fn stars_are_where_four_orientations_and_their_mirror_images_have_them() {
    stars_of_cameras(0.0, "");
}

#[test]
fn stars_are_where_cameras_turned_by_odd_angles_have_them() {
    stars_of_cameras(31.0, "");
    stars_of_cameras(-40.0, "mosaic_size = 320");
}

#[test]
fn every_transform_is_used_and_named() {
    let mut names = Vec::new();
    for is_mirrored in [false, true] {
        let camera = Camera::wide_field(0.0, is_mirrored);
        let outcome = Inputs::of(&camera.file(&patterns())).run("");
        names.extend((2..=5).map(|ext_num| outcome.row(ext_num)["transform"].clone()));
    }
    let unmirrored = ["identity", "rot90", "rot180", "rot270"];
    // East is right where x goes right: left and right are exchanged, then it is turned.
    let mirrored = ["flipx", "flipx_rot270", "flipx_rot180", "flipx_rot90"];
    assert_eq!(names, [unmirrored, mirrored].concat());
}

#[test]
fn without_wcs_the_first_row_is_at_the_bottom() {
    let stars = [(40.0, 30.0), (300.0, 60.0), (120.0, 201.0)];
    let mut frame = Frame::sky(333, 261, 900.0, 12.0);
    stars.iter().for_each(|at| frame.star(*at, 9000.0, 9.0, 1.0));
    let header = |cards: &[(&str, &str)]| {
        let mut header = HeaderBuilder::new();
        for (keyword, text) in cards {
            header.text(keyword, text, "");
        }
        header
    };
    let cases = [
        ("no WCS", header(&[])),
        ("half a WCS", header(&[("CTYPE1", "RA---TAN")])),
        ("no scale", header(&[("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN"), ("CD1_1", "?")])),
        ("a spectrum", header(&[("CTYPE1", "WAVE"), ("CTYPE2", "LINEAR")])),
    ];
    for (subject, header) in cases {
        let file = single(&[333, 261], Pixels::F32(&frame.values), &header);
        let outcome = Inputs::of(&file).run("");
        for ext_num in [0, 2] {
            let row = outcome.row(ext_num);
            let turned = if ext_num == 0 { "mosaic" } else { "identity" };
            assert_eq!((&*row["north_up"], &*row["transform"]), ("false", turned), "{subject}");
        }
        let Some(greys) = decode(&outcome.jpegs) else { return };
        // 261 rows make 65 whole blocks of four and a rest, which is at the top.
        let wanted = stars.map(|(x, y)| ((x - 2.5) / 4.0, 65.0 - (y - 2.5) / 4.0));
        for grey in greys.values() {
            assert_eq!((grey.width, grey.height), (84, 66), "{subject}");
            check(subject, grey, &wanted);
        }
    }
}

#[test]
fn detectors_without_wcs_stand_side_by_side() {
    // Three detectors: two in the upper row, one below.
    let camera = Camera::wide_field(0.0, false);
    let mut file = crate::frame::file(&[]);
    let mut wanted = Vec::new();
    let cells = [(0.0, 0.0), (161.0, 0.0), (0.0, 121.0)];
    for (stars, (left, top)) in patterns().iter().zip(cells) {
        let mut frame = Frame::sky(camera.width, camera.height, 900.0, 12.0);
        stars.iter().for_each(|at| frame.star(*at, 9000.0, 9.0, 1.0));
        let pixels = Pixels::F32(&frame.values);
        file.extend(&single(&[640, 480], pixels, &HeaderBuilder::new())[2880..]);
        let place = |(x, y): &(f64, f64)| (left + (x - 2.5) / 4.0, top + 119.0 - (y - 2.5) / 4.0);
        wanted.extend(stars.iter().map(place));
    }
    let outcome = Inputs::of(&file).run("");
    let row = outcome.row(0);
    assert_eq!((&*row["width"], &*row["height"], &*row["north_up"]), ("321", "241", "false"));
    let Some(greys) = decode(&outcome.jpegs) else { return };
    check("side by side", &greys[&outcome.names[0]], &wanted);
}
