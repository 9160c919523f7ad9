//! Images with nothing to see, and what is not an image at all.

use crate::frame::{Frame, file, single};
use crate::jpeg::decode;
use crate::made::{Inputs, Row};
use fits::write::{HeaderBuilder, Pixels};

#[test]
fn constant_images_are_evenly_grey() {
    for level in [1.0, -7.0, 1e6, -1e-20] {
        let frame = Frame::sky(100, 80, level, 0.0);
        let outcome = Inputs::of(&frame.file()).run("");
        let row = outcome.row(2);
        assert_eq!(row["sky_level"], f64::from(level).to_string());
        assert_eq!(row["sky_noise"], "0");
        assert!(row["stretch_low"].parse::<f64>().unwrap() < f64::from(level), "{row:?}");
        assert!(row["stretch_high"].parse::<f64>().unwrap() > f64::from(level), "{row:?}");
        let Some(greys) = decode(&outcome.jpegs) else { return };
        for grey in greys.values() {
            assert!(
                grey.values.iter().all(|v| (56..=72).contains(v)),
                "{level}: {:?}",
                grey.values[0]
            );
        }
    }
}

/// The greys of the only detector of a file of this name, and its row.
fn shown(frame: &Frame, root: &str) -> Option<(Vec<u8>, Row)> {
    let outcome = Inputs::new().with(&format!("{root}.fit"), &frame.file()).run("");
    assert_eq!(outcome.found(), [""; 0]);
    let greys = decode(&outcome.jpegs)?;
    Some((greys[&format!("{root}_2.jpg")].values.clone(), outcome.row(2)))
}

const STACK: &str = "w20071011_00001_st";

#[test]
fn zeros_are_dark_and_other_constants_are_not() {
    for (kind, wanted) in [(STACK, 64_u8), ("w20071011_00001_st_conf", 128)] {
        let constant = |level| shown(&Frame::sky(100, 80, level, 0.0), kind);
        let (Some((zeros, row)), Some((full, _))) = (constant(0.0), constant(100.0)) else {
            return;
        };
        assert!(zeros.iter().all(|v| (8..=24).contains(v)), "{kind}: {}", zeros[0]);
        assert!(full.iter().all(|v| v.abs_diff(wanted) < 9), "{kind}: {}", full[0]);
        assert_eq!(row["sky_level"], "0");
    }
}

/// A pixel that a program or the camera spoiled changes the preview of no constant image, of zeros neither.
#[test]
fn a_defect_in_a_constant_image_is_black() {
    for (level, wanted) in [(0.0, 8..=24_u8), (100.0, 56..=72)] {
        for defect in [1e31_f32, -1e31, 1e37, f32::MAX, f32::NAN] {
            let frame = Frame::sky(100, 80, level, 0.0).area(|x, y| (x, y) == (50, 40), defect);
            let outcome = Inputs::of(&frame.file()).run("scale = 1");
            let row = outcome.row(2);
            assert_eq!(row["sky_level"], f64::from(level).to_string(), "{level} {defect}");
            assert_eq!(row["valid_pixels"], (100 * 80 - 1).to_string(), "{level} {defect}");
            let Some(greys) = decode(&outcome.jpegs) else { return };
            let grey = &greys["w20071011_00001_st_2.jpg"];
            // Around the pixel JPEG has waves.
            let far = grey.values[..100 * 24].iter();
            assert!(far.clone().all(|v| wanted.contains(v)), "{level} {defect}: {:?}", far.max());
        }
    }
}

/// Previews of the same sky in other units look alike, and their rows have the units of the image.
#[test]
fn values_of_any_size_are_shown() {
    let sky = |unit: f32| {
        Frame::sky(300, 280, 900.0 * unit, 12.0 * unit).stars(40, 60.0 * unit, 4.0, 6.0 * unit)
    };
    let Some((usual, _)) = shown(&sky(1.0), STACK) else { return };
    for unit in [1e31_f32, 1e34, 1e-32] {
        let Some((greys, row)) = shown(&sky(unit), STACK) else { return };
        let apart = greys.iter().zip(&usual).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart.is_some_and(|levels| levels <= 3), "{unit}: {apart:?}");
        let level = row["sky_level"].parse::<f64>().unwrap() / f64::from(unit);
        assert!((level - 900.0).abs() < 1.0, "{unit}: {level}");
        assert_eq!(row["valid_pixels"], (300 * 280).to_string());
    }
    // Double precision, and integers with a large BSCALE.
    let doubles: Vec<f64> = sky(1.0).values.iter().map(|v| f64::from(*v) * 1e200).collect();
    let integers = sky(1.0).integers(1.0, 0.0, 0);
    let scaled = |bscale| {
        let mut header = HeaderBuilder::new();
        header.number("BSCALE", bscale, "");
        single(&[300, 280], Pixels::I32(&integers), &header)
    };
    let floats = single(&[300, 280], Pixels::F64(&doubles), &HeaderBuilder::new());
    let pairs = [(floats, sky(1.0).file(), 1e200), (scaled(1e36), scaled(1.0), 1e36)];
    for (file, usual, unit) in pairs {
        let [outcome, usual] = [file, usual].map(|file| Inputs::of(&file).run(""));
        assert_eq!(outcome.found(), [""; 0]);
        let [level, known] =
            [&outcome, &usual].map(|o| o.row(2)["sky_level"].parse::<f64>().unwrap());
        assert!((level / unit - known).abs() < 0.1, "{unit}: {level}");
        let greys = [outcome, usual].map(|outcome| decode(&outcome.jpegs));
        let [Some(greys), Some(usual)] = greys else { return };
        let name = "w20071011_00001_st_2.jpg";
        let both = greys[name].values.iter().zip(&usual[name].values);
        let apart = both.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart.is_some_and(|levels| levels <= 3), "{unit}: {apart:?}");
    }
    // What programs write for no value is none.
    let filled = Frame::sky(100, 80, f32::MAX, 0.0);
    assert_eq!(Inputs::of(&filled.file()).run("").found(), ["no_valid_pixel 1"]);
}

#[test]
fn an_image_without_values_is_black_and_reported() {
    let nan = Frame::sky(300, 280, f32::NAN, 0.0);
    let blank = vec![-32_768_i16; 300 * 280];
    let mut header = HeaderBuilder::new();
    header.integer("BLANK", -32_768, "");
    for file in [nan.file(), single(&[300, 280], Pixels::I16(&blank), &header)] {
        let outcome = Inputs::of(&file).run("");
        assert_eq!(outcome.found(), ["no_valid_pixel 1"]);
        assert_eq!(outcome.refused(), [""; 0]);
        let row = outcome.row(2);
        for unknown in ["sky_level", "sky_noise", "stretch_low", "stretch_high"] {
            assert_eq!(row[unknown], "-", "{unknown}");
        }
        assert_eq!((&*row["valid_pixels"], &*row["width"], &*row["height"]), ("0", "75", "70"));
        let Some(greys) = decode(&outcome.jpegs) else { return };
        for grey in greys.values() {
            assert_eq!((grey.width, grey.height), (75, 70));
            assert!(grey.values.iter().all(|v| *v == 0));
        }
    }
}

#[test]
fn masks_show_both_values() {
    // Zeros outnumber the flags, or are few: either way they can be distinguished.
    for share in [0.001, 0.03, 0.3, 0.7] {
        let flagged = |x: usize, _: usize| (x as f32) < share * 512.0;
        let frame = Frame::sky(512, 256, 0.0, 0.0).area(flagged, 4.0);
        let Some(greys) = decode(&Inputs::of(&frame.file()).run("scale = 1").jpegs) else { return };
        let grey = &greys["w20071011_00001_st_2.jpg"];
        let (flagged, plain) = (grey.values[0], grey.values[511]);
        assert!(i16::from(flagged) - i16::from(plain) > 50, "{share}: {flagged} on {plain}");
    }
}

#[test]
fn a_picture_needs_two_axes_and_a_cube_shows_its_first_plane() {
    let header = HeaderBuilder::new();
    let of = |axes: &[usize], pixels: &[f32]| {
        Inputs::of(&single(axes, Pixels::F32(pixels), &header)).run("")
    };
    for (axes, pixels) in [(vec![9], 9), (vec![0, 7], 0), (vec![7, 0], 0), (vec![4, 4, 0], 0)] {
        let outcome = of(&axes, &vec![1.0; pixels]);
        assert_eq!(outcome.refused(), ["no_picture w20071011_00001_st.fit 1"], "{axes:?}");
        assert_eq!((outcome.names.len(), outcome.rows().len()), (0, 0), "{axes:?}");
    }
    let mut cube = Frame::sky(70, 66, 900.0, 12.0).values;
    cube.extend(vec![f32::NAN; 70 * 66 * 2]);
    let outcome = of(&[70, 66, 3], &cube);
    assert_eq!(outcome.found(), ["planes_not_shown 1"]);
    assert_eq!(outcome.row(2)["valid_pixels"], (70 * 66).to_string());
    let outcome = of(&[1, 1], &[5.0]);
    assert_eq!((&*outcome.row(2)["width"], &*outcome.row(0)["height"]), ("1", "1"));
}

#[test]
fn a_file_without_images_leaves_nothing() {
    let outcome = Inputs::of(&file(&[])).run("");
    assert_eq!((outcome.names.len(), outcome.products.batches.len()), (0, 0));
    assert_eq!((outcome.refused().len(), outcome.found().len()), (0, 0));
}

#[test]
fn a_damaged_extension_takes_nothing_from_the_others() {
    let frame = Frame::sky(100, 80, 900.0, 12.0);
    let mut bytes = frame.file();
    let second = frame.file();
    bytes.extend(&second[2880..second.len() - 2880]);
    let outcome = Inputs::of(&bytes).with("w20071011_00002_st.fit", b"no FITS").run("");
    let names = ["w20071011_00001_st.jpg", "w20071011_00001_st_2.jpg"];
    assert_eq!(outcome.names, names);
    assert_eq!(
        outcome.refused(),
        ["truncated w20071011_00001_st.fit 2", "not_fits w20071011_00002_st.fit -"]
    );
}
