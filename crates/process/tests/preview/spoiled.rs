//! What has no value, or a wrong one, changes neither the sky nor the stars beside it.

use crate::frame::{Frame, single};
use crate::jpeg::{Grey, decode};
use crate::made::Inputs;
use fits::write::{Checks, HeaderBuilder, Pixels, RicePixels, primary, rice_image};

const SIDE: usize = 512;
const STARS: [(f64, f64); 4] = [(80.0, 90.0), (400.0, 60.0), (150.0, 440.0), (430.0, 390.0)];

fn field() -> Frame {
    let mut frame = Frame::sky(SIDE, SIDE, 900.0, 12.0);
    STARS.iter().for_each(|at| frame.star(*at, 9000.0, 9.0, 1.0));
    frame
}

/// Beside the stars.
fn half(x: usize, y: usize) -> bool {
    (180..380).contains(&x) || (140..360).contains(&y)
}

/// 32-bit integers with BLANK, as they are and in Rice tiles.
fn with_blank(frame: &Frame) -> [Vec<u8>; 2] {
    let pixels = frame.integers(0.5, 100.0, -99);
    let mut header = HeaderBuilder::new();
    header.number("BSCALE", 0.5, "").number("BZERO", 100.0, "");
    header.integer("BLANK", -99, "");
    let plain = single(&[SIDE, SIDE], Pixels::I32(&pixels), &header);
    let mut tiled = Vec::new();
    primary(&mut tiled, &HeaderBuilder::new(), Checks::Absent).unwrap();
    let mut header = HeaderBuilder::new();
    header.number("BSCALE", 0.5, "").number("BZERO", 100.0, "");
    header.integer("ZBLANK", -99, "").integer("BLANK", -99, "");
    rice_image(&mut tiled, SIDE, SIDE, RicePixels::I32(&pixels), &header, Checks::Absent).unwrap();
    [plain, tiled]
}

/// Sky level and picture of the detector of each file.
fn made(files: &[Vec<u8>], stretch: &str) -> Option<Vec<(f64, Grey)>> {
    let mut inputs = Inputs::new();
    for (n, file) in files.iter().enumerate() {
        inputs = inputs.with(&format!("spoiled{n:02}.fit"), file);
    }
    let outcome = inputs.run(&format!("stretch = \"{stretch}\""));
    assert_eq!((outcome.refused().len(), outcome.found().len()), (0, 0));
    let mut greys = decode(&outcome.jpegs)?;
    let rows = outcome.rows().into_iter().filter(|row| row["ext_num"] == "2");
    let made = rows.enumerate().map(|(n, row)| {
        let grey = greys.remove(&format!("spoiled{n:02}_2.jpg")).unwrap();
        (row["sky_level"].parse().unwrap(), grey)
    });
    Some(made.collect())
}

#[test]
fn damage_spoils_neither_sky_nor_stars() {
    let lines = |x: usize, y: usize| x % 16 == 5 || y % 64 == 9;
    let cases = [
        ("nothing", field(), vec![]),
        (
            "NaN on half",
            field().area(half, f32::NAN),
            with_blank(&field().area(half, f32::NAN)).to_vec(),
        ),
        ("NaN here and there", field().sprinkle(0.3, f32::NAN), vec![]),
        ("infinities", field().area(half, f32::INFINITY).sprinkle(0.01, f32::NEG_INFINITY), vec![]),
        ("magic values", field().area(half, -1e31), vec![]),
        ("zero confidence", field().area(half, 0.0), vec![]),
        (
            "dead lines",
            field().area(lines, f32::NAN),
            with_blank(&field().area(lines, f32::NAN)).to_vec(),
        ),
        ("columns of zeros", field().area(|x, _| x % 64 == 5, 0.0), vec![]),
        (
            "hot and cold pixels",
            field().sprinkle(0.0005, 60_000.0).sprinkle(0.0005, -30_000.0),
            vec![],
        ),
    ];
    let with_frames = cases.iter().flat_map(|(what, frame, others)| {
        let files = others.iter().cloned().chain([frame.file()]);
        files.map(move |file| (*what, frame, file))
    });
    let (subjects, files): (Vec<_>, Vec<_>) =
        with_frames.map(|(what, frame, file)| ((what, frame), file)).unzip();
    for stretch in ["asinh", "zscale"] {
        let Some(made) = made(&files, stretch) else { return };
        for ((what, frame), (level, grey)) in subjects.iter().zip(&made) {
            let subject = format!("{what}, {stretch}");
            assert!((level - 900.0).abs() < 1.5, "{subject}: {level}");
            grey.sky(&frame.sky_of_preview(4)).check(&subject);
            check_stars(&subject, grey);
        }
    }
}

fn check_stars(subject: &str, grey: &Grey) {
    for (x, y) in STARS {
        let (column, row) = ((x - 1.0) as usize / 4, 127 - (y - 1.0) as usize / 4);
        let core = (row - 1..=row + 1)
            .flat_map(|row| &grey.values[row * 128 + column - 1..=row * 128 + column + 1]);
        assert!(*core.max().unwrap() > 160, "{subject}: no star at {x}, {y}");
    }
}

#[test]
fn pixels_without_value_are_black() {
    let frame = field().area(half, f32::NAN);
    let [plain, tiled] = with_blank(&frame);
    let Some(made) = made(&[plain, tiled, frame.file()], "asinh") else { return };
    for (_, grey) in made {
        for (at, value) in grey.values.iter().enumerate() {
            let (x, y) = (at % 128 * 4, (127 - at / 128) * 4);
            // Away from edges, where a JPEG is never exact.
            let inside = (188..364).contains(&x) || (148..344).contains(&y);
            assert!(!inside || *value <= 16, "{value} at {x}, {y}");
        }
    }
}
