//! What a survey's profile says of previews takes effect, and shows in the word of the recipe.

use crate::frame::Frame;
use crate::jpeg::{Grey, decode};
use crate::made::{Inputs, Row, profile};
use process::preview::{RECIPE, Recipe};

const NAME: &str = "w20071011_00001_st_2.jpg";

fn field() -> Frame {
    Frame::sky(640, 500, 900.0, 12.0).stars(300, 60.0, 5.0, 6.0)
}

/// Row and JPEG of the detector.
fn made(frame: &Frame, preview: &str) -> (Row, Vec<u8>) {
    let mut outcome = Inputs::of(&frame.file()).run(preview);
    let jpeg = outcome.jpegs.remove(NAME).unwrap();
    (outcome.row(2), jpeg)
}

/// The same, with the JPEG decoded.
fn seen(frame: &Frame, preview: &str) -> Option<(Row, Grey)> {
    let (row, jpeg) = made(frame, preview);
    let grey = decode(&[(NAME.to_owned(), jpeg)].into())?.remove(NAME).unwrap();
    Some((row, grey))
}

#[test]
fn every_setting_changes_the_recipe() {
    let settings = [
        ("", "asinh.x4.q85.m1024"),
        ("scale = 2", "asinh.x2.q85.m1024"),
        ("quality = 60", "asinh.x4.q60.m1024"),
        ("stretch = \"zscale\"", "zscale.x4.q85.m1024"),
        ("stretch = \"linear\"", "linear.x4.q85.m1024"),
        ("mosaic_size = 300", "asinh.x4.q85.m300"),
    ];
    for (setting, wanted) in settings {
        let recipe = Recipe::of(&profile(setting).preview);
        assert_eq!(recipe.fingerprint(), format!("{RECIPE}.{wanted}"));
        assert_eq!(made(&Frame::sky(70, 70, 1.0, 0.1), setting).0["recipe"], recipe.fingerprint());
    }
}

#[test]
fn scale_is_the_side_of_the_area_that_is_averaged() {
    for (scale, size) in [(1_usize, (640, 500)), (2, (320, 250)), (3, (214, 167)), (7, (92, 72))] {
        let Some((row, grey)) = seen(&field(), &format!("scale = {scale}")) else { return };
        assert_eq!(row["scale"], scale.to_string());
        assert_eq!((row["width"].parse(), row["height"].parse()), (Ok(size.0), Ok(size.1)));
        // Averaging lowers the noise as it must.
        let noise: f64 = row["sky_noise"].parse().unwrap();
        assert!((noise * scale as f64 / 12.0 - 1.0).abs() < 0.1, "{scale}: {noise}");
        assert_eq!((grey.width, grey.height), size);
    }
}

#[test]
fn pixels_are_means_of_areas() {
    // A step of one detector pixel in each area of 4 x 4 shows as a sixteenth of its height.
    let corner = |x: usize, y: usize| x % 4 == 3 && y % 4 == 1 && x < 256;
    let frame = Frame::sky(512, 512, 0.0, 0.0).area(corner, 16.0).area(|x, _| x >= 256, 2.0);
    let setting = "stretch = \"linear\"\nquality = 100";
    let Some((row, grey)) = seen(&frame, setting) else { return };
    let [low, high] = ["stretch_low", "stretch_high"].map(|at| row[at].parse::<f64>().unwrap());
    let at = |column: usize| grey.values[64 * 128 + column];
    let (mean_of_one, two) = (at(20), at(100));
    for (shown, value) in [(mean_of_one, 1.0), (two, 2.0)] {
        let wanted = 255.0 * ((value - low) / (high - low)).clamp(0.0, 1.0);
        assert!((f64::from(shown) - wanted).abs() < 2.0, "{value} is {shown}, not {wanted}");
    }
}

#[test]
fn quality_decides_the_length() {
    let lengths: Vec<usize> = [20, 60, 85, 98]
        .map(|quality| made(&field(), &format!("quality = {quality}")).1.len())
        .to_vec();
    assert!(lengths.is_sorted_by(|a, b| a < b), "{lengths:?}");
}

#[test]
fn limits_in_the_row_are_the_values_shown_black_and_white() {
    // Strips of known height on a sky: what the table says is what the picture shows.
    for stretch in ["asinh", "zscale", "linear"] {
        let setting = format!("stretch = \"{stretch}\"\nquality = 100");
        let Some((row, grey)) = seen(&field(), &setting) else { return };
        assert_eq!(row["stretch"], stretch);
        let number = |column: &str| row[column].parse::<f32>().unwrap();
        let (low, high) = (number("stretch_low"), number("stretch_high"));
        assert!(low < number("sky_level") && number("sky_level") < high, "{row:?}");
        // Each preview pixel's mean, as the picture has it.
        let frame = field();
        for row in (0..125).step_by(9) {
            for column in 0..160 {
                let area = (0..4).flat_map(|y| {
                    let start = ((124 - row) * 4 + y) * 640 + column * 4;
                    frame.values[start..start + 4].to_vec()
                });
                let mean = area.sum::<f32>() / 16.0;
                let shown = grey.values[row * 160 + column];
                let what = format!("{stretch}: {mean} between {low} and {high} is {shown}");
                if mean < low - 0.1 {
                    assert!(shown <= 6, "{what}");
                } else if mean > high + 0.1 {
                    assert!(shown >= 249, "{what}");
                } else if stretch != "asinh" {
                    let wanted = 255.0 * (mean - low) / (high - low);
                    assert!((f32::from(shown) - wanted).abs() < 6.0, "{what}, not {wanted}");
                }
            }
        }
    }
}

#[test]
fn the_mosaic_is_no_longer_than_the_profile_says() {
    let camera = crate::camera::Camera::wide_field(0.0, false);
    let inputs = Inputs::of(&camera.file(&crate::camera::patterns()));
    for (setting, longest) in [("mosaic_size = 100", 100), ("mosaic_size = 300", 300)] {
        let row = inputs.run(setting).row(0);
        let sides = ["width", "height"].map(|side| row[side].parse::<usize>().unwrap());
        assert_eq!(sides.into_iter().max(), Some(longest));
    }
}
