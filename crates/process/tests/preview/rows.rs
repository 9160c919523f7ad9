//! Rows of table `preview` say of each JPEG what it is.

use crate::camera::{Camera, patterns};
use crate::made::Inputs;
use model::tables::table;
use process::preview::Recipe;

#[test]
fn rows_describe_the_jpegs() {
    let camera = Camera::wide_field(90.0, false);
    let outcome = Inputs::of(&camera.file(&patterns())).run("");
    let root = "w20071011_00001_st";
    let names = ["", "_2", "_3", "_4", "_5"].map(|end| format!("{root}{end}.jpg"));
    assert_eq!(outcome.names, names);
    let rows = outcome.rows();
    assert_eq!(rows.len(), 5);
    let schema = outcome.products.batches[0].schema();
    assert_eq!(schema, table("preview").unwrap().arrow_schema());
    let transforms = ["mosaic", "rot270", "identity", "rot90", "rot180"];
    for (n, (row, name)) in rows.iter().zip(&names).enumerate() {
        let of = |column: &str| row[column].as_str();
        assert_eq!((of("multiframe_id"), of("path")), ("1", &*format!("20071011_v1/{name}")));
        assert_eq!(of("ext_num"), if n == 0 { "0".to_owned() } else { (n + 1).to_string() });
        assert_eq!(of("file_bytes"), outcome.jpegs[name].len().to_string());
        assert_eq!((of("transform"), of("north_up")), (transforms[n], "true"));
        assert_eq!((of("scale"), of("stretch"), of("quality")), ("4", "asinh", "85"));
        assert_eq!(of("recipe"), Recipe::of(&crate::made::profile("").preview).fingerprint());
        let pixels = if n == 0 { 4 * 640 * 480 } else { 640 * 480 };
        assert_eq!(of("valid_pixels"), pixels.to_string());
        let size = size_of_jpeg(&outcome.jpegs[name]);
        assert_eq!((of("width"), of("height")), (&*size.0.to_string(), &*size.1.to_string()));
        // The sky was planted with a level of 900 and a noise of 12 in pixels of which 16 are averaged.
        for (column, wanted, by) in [
            ("sky_level", 900.0, 0.5),
            ("sky_noise", 3.0, 0.3),
            ("stretch_low", 888.0, 2.0),
            ("stretch_high", 5000.0, 4500.0),
        ] {
            match of(column).parse::<f64>() {
                Ok(found) => assert!((found - wanted).abs() < by, "{column} of {name}: {found}"),
                Err(_) => assert_eq!((n, of(column)), (0, "-"), "each detector has its own limits"),
            }
        }
    }
}

/// Columns and rows by the frame header of a baseline JPEG.
fn size_of_jpeg(bytes: &[u8]) -> (u16, u16) {
    let start = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let number = |at: usize| u16::from_be_bytes([bytes[start + at], bytes[start + at + 1]]);
    (number(7), number(5))
}

#[test]
fn refused_hdus_have_no_rows() {
    let camera = Camera::wide_field(0.0, false);
    let mut inputs = Inputs::of(&camera.file(&patterns()));
    inputs.inputs[0].image.refused_hdus = vec![2, 3];
    let outcome = inputs.run("");
    let of_rows: Vec<String> = outcome.rows().iter().map(|row| row["ext_num"].clone()).collect();
    assert_eq!(of_rows, ["0", "2", "5"]);
    assert_eq!(outcome.row(0)["valid_pixels"], (2 * 640 * 480).to_string());
}
