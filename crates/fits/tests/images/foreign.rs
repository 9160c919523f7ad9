//! Images that astropy and cfitsio made, and codes that they wrote.

use std::path::Path;

use fits::image::Scratch;
use fits::tile::rice;
use fits::{FitsFile, HduIndex, Limits};

use crate::{same_value, type_name};

const MAKE_IMAGES: &str = include_str!("make_images.py");
const MAKE_BLANKS: &str = include_str!("make_blanks.py");

#[test]
fn foreign_images_and_codes_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let Some(listing) = testkit::python_script("make_images.py", MAKE_IMAGES, &[dir.path()]) else {
        return;
    };
    let mut images = 0;
    for line in listing.lines() {
        let [path, hdu, type_, values, how] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("not a line of the listing: {line}");
        };
        let wanted = std::fs::read(values).unwrap();
        let wanted: Vec<f64> =
            wanted.as_chunks().0.iter().map(|&v| f64::from_le_bytes(v)).collect();
        let file = FitsFile::open(Path::new(path), &Limits::default()).unwrap();
        let image = file.image(HduIndex(hdu.parse().unwrap())).unwrap();
        let value_type = image.value_type();
        assert_eq!(type_name(value_type), type_, "{path} {how}");
        let found = image.read_f64().unwrap();
        assert_eq!(found.len(), wanted.len(), "{path} {how}");
        for (at, (&found, &wanted)) in found.iter().zip(&wanted).enumerate() {
            let same = found == wanted || same_value(value_type, found, wanted);
            assert!(same, "{path}, pixel {at}: {found}, not {wanted}; {how}");
        }
        check_parts(&image, &found);
        images += 1;
    }
    assert!(images > 180, "{images} images were made");
    let codes = compare_rice_codes(dir.path());
    assert_eq!(codes, 36);
}

#[test]
fn blank_pixels_are_read_in_every_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let Some(listing) = testkit::python_script("make_blanks.py", MAKE_BLANKS, &[dir.path()]) else {
        return;
    };
    let mut images = 0;
    for line in listing.lines() {
        let [path, values, how] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("not a line of the listing: {line}");
        };
        let wanted = std::fs::read(values).unwrap();
        let wanted: Vec<f64> =
            wanted.as_chunks().0.iter().map(|&v| f64::from_le_bytes(v)).collect();
        let file = FitsFile::open(Path::new(path), &Limits::default()).unwrap();
        let image = file.image(HduIndex(1)).unwrap();
        let found = image.read_f64().unwrap();
        assert_eq!(found.len(), wanted.len(), "{how}");
        for (at, (&found, &wanted)) in found.iter().zip(&wanted).enumerate() {
            let same = found.is_nan() && wanted.is_nan() || (found - wanted).abs() <= 1e-6;
            assert!(same, "{how}, pixel {at}: {found}, not {wanted}");
        }
        check_parts(&image, &found);
        // The report counts the same pixels.
        let report = fits::inspect::inspect(Path::new(path), &Limits::default());
        let nan = report.hdus[1].report.get("image").and_then(|image| image.get("nan"));
        let blank = wanted.iter().filter(|value| value.is_nan()).count();
        assert_eq!(nan.map(ToString::to_string), Some(blank.to_string()), "{how}");
        images += 1;
    }
    assert!(images > 170, "{images} images were made");
}

/// Rows read apart are the rows of the whole.
fn check_parts(image: &fits::image::Image<'_>, whole: &[f64]) {
    let mut scratch = Scratch::default();
    let width = image.row_pixels() as usize;
    for (first, end) in [(0, 1), (image.row_count() / 2, image.row_count()), (1, 1)] {
        if end > image.row_count() {
            continue;
        }
        let part = image.read_rows_f64(first..end, &mut scratch).expect("rows");
        let wanted = &whole[first as usize * width..end as usize * width];
        let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(part.len() == wanted.len() && part.iter().zip(wanted).all(same), "{first}..{end}");
    }
}

/// The encoder writes what cfitsio's does, and reads it.
fn compare_rice_codes(dir: &Path) -> usize {
    let mut codes = 0;
    for entry in std::fs::read_dir(dir).expect("the directory of images") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "code") {
            continue;
        }
        let code = std::fs::read(&path).expect("a code");
        let pixels = std::fs::read(path.with_extension("pixels")).expect("its pixels");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let parts: Vec<usize> =
            name.split('_').skip(2).map(|part| part.parse().expect("a number")).collect();
        match parts[..] {
            [1, block, _] => compare_rice(&name, &pixels, block, &code),
            [2, block, _] => {
                let pixels: Vec<i16> =
                    pixels.as_chunks().0.iter().map(|&pixel| i16::from_le_bytes(pixel)).collect();
                compare_rice(&name, &pixels, block, &code);
            }
            [4, block, _] => {
                let pixels: Vec<i32> =
                    pixels.as_chunks().0.iter().map(|&pixel| i32::from_le_bytes(pixel)).collect();
                compare_rice(&name, &pixels, block, &code);
            }
            _ => panic!("{name}"),
        }
        codes += 1;
    }
    codes
}

fn compare_rice<P>(name: &str, pixels: &[P], block: usize, code: &[u8])
where
    P: rice::RicePixel + PartialEq + std::fmt::Debug,
{
    let mut written = Vec::new();
    rice::encode(pixels, block, &mut written);
    assert_eq!(written, code, "{name}");
    let mut read = vec![P::default(); pixels.len()];
    rice::decode(code, block, &mut read).expect(name);
    assert_eq!(read, pixels, "{name}");
}
