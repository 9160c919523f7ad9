//! Images with nothing to see, and what is no image at all.

use crate::frame::{Frame, file, single};
use crate::jpeg::decode;
use crate::made::Inputs;
use fits::write::{HeaderBuilder, Pixels};

#[test]
fn constant_images_are_evenly_grey() {
    for level in [0.0, 1.0, -7.0, 1e6, -1e-20] {
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

#[test]
fn an_image_without_values_is_black_and_told() {
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
    // Zeros outnumber the flags, or are few: either way one can be told from the other.
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
