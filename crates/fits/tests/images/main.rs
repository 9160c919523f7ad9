//! Pixels of images: real ones, foreign ones, damaged ones.

mod foreign;
mod hostile;
mod made;
mod properties;

use std::path::Path;

use fits::image::{Scratch, ValueType};
use fits::{FitsFile, HduIndex, HduKind, Limits};

/// Content of `truth.json` about an image, in physical values; sums over finite pixels.
#[derive(Debug, Default)]
struct Statistics {
    count: u64,
    nan: u64,
    infinite: u64,
    sum: f64,
    finite: Vec<f64>,
    first: f64,
    last: f64,
}

fn statistics(file: &FitsFile, hdu: HduIndex) -> (ValueType, Statistics) {
    let image = file.image(hdu).expect("an image");
    let mut found = Statistics::default();
    let mut values = Vec::new();
    image
        .for_each_band(&mut Scratch::default(), |first_row, rows| {
            values.clear();
            rows.append_f64(image.scaling(), &mut values);
            assert_eq!(first_row * image.row_pixels(), found.count, "bands come in order");
            if found.count == 0 {
                found.first = values[0];
            }
            found.last = values[values.len() - 1];
            found.count += values.len() as u64;
            for &value in &values {
                if value.is_finite() {
                    found.sum += value;
                    found.finite.push(value);
                } else if value.is_nan() {
                    found.nan += 1;
                } else {
                    found.infinite += 1;
                }
            }
        })
        .expect("pixels");
    assert_eq!(found.count, image.pixel_count());
    (image.value_type(), found)
}

fn type_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::I8 => "int8",
        ValueType::U8 => "uint8",
        ValueType::I16 => "int16",
        ValueType::U16 => "uint16",
        ValueType::I32 => "int32",
        ValueType::U32 => "uint32",
        ValueType::I64 => "int64",
        ValueType::U64 => "uint64",
        ValueType::F32 => "float32",
        ValueType::F64 => "float64",
    }
}

/// One unit in the last place of the type, exact for integers.
fn same_value(value_type: ValueType, found: f64, wanted: f64) -> bool {
    let ulp = match value_type {
        ValueType::F32 => f64::from((wanted as f32).abs().next_up() - (wanted as f32).abs()),
        ValueType::F64 => wanted.abs().next_up() - wanted.abs(),
        _ => 0.0,
    };
    (found - wanted).abs() <= ulp || found.is_nan() && wanted.is_nan()
}

fn close(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() <= 1e-6 * wanted.abs()
}

#[test]
fn real_images_have_the_known_pixels() {
    let Some(dir) = testkit::real_data() else { return };
    let truth = testkit::real_truth(&dir);
    let mut images = 0;
    for (name, known) in truth["files"].as_object().unwrap() {
        let path = dir.join(name);
        let Ok(file) = FitsFile::open(&path, &Limits::default()) else { continue };
        for hdu in known["hdus"].as_array().into_iter().flatten() {
            let known = &hdu["image"];
            if known.is_null() {
                continue;
            }
            let index = HduIndex(hdu["index"].as_u64().unwrap() as u16);
            if name.ends_with("vircam_header_with_time.fits") {
                // SIMPLE = F, a bare header text.
                assert_eq!(file.image(index).unwrap_err().fault.code(), "not_standard");
                continue;
            }
            let kind = file.hdu(index).unwrap().kind;
            if kind == HduKind::RandomGroups {
                assert_eq!(file.image(index).unwrap_err().fault.code(), "random_groups");
                continue;
            }
            check_image(Path::new(name), &file, index, known);
            images += 1;
        }
    }
    assert!(images > 85, "only {images} images were compared");
}

fn check_image(name: &Path, file: &FitsFile, index: HduIndex, known: &serde_json::Value) {
    let (value_type, mut found) = statistics(file, index);
    let place = format!("{}[{}]", name.display(), index.0);
    assert_eq!(type_name(value_type), known["dtype"], "{place}: type");
    assert_eq!(Some(found.count), known["count"].as_u64(), "{place}: count");
    if found.count == 0 {
        return;
    }
    assert_eq!(found.nan, known["nan"].as_u64().unwrap_or(0), "{place}: nan");
    assert_eq!(found.infinite, known["inf"].as_u64().unwrap_or(0), "{place}: inf");
    for (what, found) in [("first_pixel", found.first), ("last_pixel", found.last)] {
        let wanted = known[what].as_f64().unwrap_or(f64::NAN);
        assert!(same_value(value_type, found, wanted), "{place}: {what} {found} {wanted}");
    }
    if found.finite.is_empty() {
        return;
    }
    found.finite.sort_by(f64::total_cmp);
    let count = found.finite.len();
    let middle = 0.5 * (found.finite[(count - 1) / 2] + found.finite[count / 2]);
    let [least, greatest] = [found.finite[0], found.finite[count - 1]];
    for (what, found) in [("min", least), ("max", greatest)] {
        let wanted = known[what].as_f64().expect("a number");
        assert!(same_value(value_type, found, wanted), "{place}: {what} {found} {wanted}");
    }
    let mean = found.sum / count as f64;
    for (what, found) in [("median", middle), ("mean", mean), ("sum", found.sum)] {
        let wanted = known[what].as_f64().expect("a number");
        assert!(close(found, wanted), "{place}: {what} {found} {wanted}");
    }
}
