//! Tables of tiles that no encoder at hand writes: every column and descriptor that the standard allows.

use fits::image::{Rows, Scratch};
use fits::tile::rice;
use fits::{FitsFault, FitsFile, HduIndex, Limits};

/// A compressed image of 4 rows of 3 pixels, a tile each; columns, rows and heap as told.
#[derive(Default)]
struct Made {
    cards: Vec<String>,
    rows: Vec<Vec<u8>>,
    heap: Vec<u8>,
}

impl Made {
    fn new(cards: &[&str]) -> Self {
        Self { cards: cards.iter().map(|&card| card.to_owned()).collect(), ..Self::default() }
    }

    /// Puts bytes on the heap; gives their place.
    fn store(&mut self, bytes: &[u8]) -> i32 {
        let at = self.heap.len() as i32;
        self.heap.extend_from_slice(bytes);
        at
    }

    fn bytes(&self) -> Vec<u8> {
        let mut cards = vec![
            "XTENSION= 'BINTABLE'".to_owned(),
            "BITPIX  = 8".to_owned(),
            "NAXIS   = 2".to_owned(),
            format!("NAXIS1  = {}", self.rows[0].len()),
            format!("NAXIS2  = {}", self.rows.len()),
            format!("PCOUNT  = {}", self.heap.len()),
            "GCOUNT  = 1".to_owned(),
        ];
        cards.extend(self.cards.iter().cloned());
        for card in ["ZIMAGE  = T", "ZNAXIS  = 2", "ZNAXIS1 = 3", "ZNAXIS2 = 4"] {
            cards.push(card.to_owned());
        }
        let primary = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0"].map(str::to_owned);
        let mut bytes = header(&primary);
        bytes.extend(header(&cards));
        bytes.extend(self.rows.concat());
        bytes.extend(&self.heap);
        bytes.resize(bytes.len().next_multiple_of(2880), 0);
        bytes
    }

    fn read(&self) -> Result<Vec<f64>, FitsFault> {
        let file = FitsFile::from_bytes("made", self.bytes(), &Limits::default()).expect("FITS");
        let values = file.image(HduIndex(1)).and_then(|image| image.read_f64());
        values.map_err(|error| error.fault)
    }
}

fn header(cards: &[String]) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        cards.iter().flat_map(|card| format!("{card:80}").into_bytes()).collect();
    bytes.extend(format!("{:80}", "END").into_bytes());
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes
}

/// A P descriptor.
fn narrow(count: usize, at: i32) -> Vec<u8> {
    [count as i32, at].iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A Q descriptor.
fn wide(count: usize, at: i32) -> Vec<u8> {
    [count as i64, i64::from(at)].iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn rice_code<P: rice::RicePixel>(pixels: &[P]) -> Vec<u8> {
    let mut code = Vec::new();
    rice::encode(pixels, 32, &mut code);
    code
}

const PIXELS: [[i32; 3]; 4] = [[1, 2, 3], [-5, 0, 5], [7, 7, 7], [100, -100, 30_000]];

fn wanted() -> Vec<f64> {
    PIXELS.iter().flatten().map(|&pixel| f64::from(pixel)).collect()
}

#[test]
fn descriptors_may_be_wide() {
    let mut made = Made::new(&[
        "TFIELDS = 2",
        "TFORM1  = 'I'",
        "TTYPE1  = 'SOMETHING'",
        "TFORM2  = '1QB(99)'",
        "TTYPE2  = 'compressed_data'",
        "ZBITPIX = 32",
        "ZCMPTYPE= 'RICE_1'",
    ]);
    // The heap in the other order, with a gap.
    for pixels in PIXELS.iter().rev() {
        made.store(&[0; 5]);
        let code = rice_code(pixels);
        let at = made.store(&code);
        made.rows.insert(0, [vec![0, 9], wide(code.len(), at)].concat());
    }
    assert_eq!(made.read().unwrap(), wanted());
}

#[test]
fn rice_codes_may_be_wider_or_narrower_than_pixels() {
    for bitpix in [16, 32, -32] {
        let cards = [
            "TFIELDS = 1",
            "TFORM1  = 'PB'",
            "TTYPE1  = 'COMPRESSED_DATA'",
            &format!("ZBITPIX = {bitpix}"),
            "ZCMPTYPE= 'RICE_ONE'",
            "ZNAME1  = 'BYTEPIX'",
            "ZVAL1   = 2",
            "ZNAME2  = 'BLOCKSIZE'",
            "ZVAL2   = 16",
        ];
        let mut made = Made::new(&cards);
        for pixels in PIXELS {
            let mut code = Vec::new();
            rice::encode(&pixels.map(|pixel| pixel as i16), 16, &mut code);
            let at = made.store(&code);
            made.rows.push(narrow(code.len(), at));
        }
        assert_eq!(made.read().unwrap(), wanted(), "{bitpix}");
    }
}

#[test]
fn tiles_that_do_not_compress_are_stored_as_they_are() {
    let mut made = Made::new(&[
        "TFIELDS = 2",
        "TFORM1  = 'PB'",
        "TTYPE1  = 'COMPRESSED_DATA'",
        "TFORM2  = 'PI'",
        "TTYPE2  = 'UNCOMPRESSED_DATA'",
        "ZBITPIX = 16",
        "ZCMPTYPE= 'RICE_1'",
        "ZVAL1   = 32",
        "ZVAL2   = 2",
    ]);
    for (row, pixels) in PIXELS.iter().enumerate() {
        let pixels = pixels.map(|pixel| pixel as i16);
        if row % 2 == 0 {
            let code = rice_code(&pixels);
            let at = made.store(&code);
            made.rows.push([narrow(code.len(), at), narrow(0, 0)].concat());
        } else {
            let at = made.store(&pixels.map(i16::to_be_bytes).concat());
            made.rows.push([narrow(0, 0), narrow(3, at)].concat());
        }
    }
    assert_eq!(made.read().unwrap(), wanted());
    // Two pixels are no tile.
    made.rows[3] = [narrow(0, 0), narrow(2, 0)].concat();
    assert_eq!(made.read().unwrap_err().code(), "tile_pixel_count");
    // Nowhere anything.
    made.rows[3] = [narrow(0, 0), narrow(0, 0)].concat();
    assert_eq!(made.read().unwrap_err().code(), "tile_without_code");
    made.rows[3] = [narrow(1 << 20, 0), narrow(0, 0)].concat();
    assert_eq!(made.read().unwrap_err().code(), "outside_heap");
    // As much code as the heap has, but no three pixels can have so much.
    made.heap.resize(1 << 20, 0);
    assert_eq!(made.read().unwrap_err().code(), "tile_code_too_long");
}

/// Columns of a quantised image whose scale is in keywords, in columns, or absent.
fn quantized(cards: &[&str], parameters: &[u8]) -> Made {
    let first = ["TFORM1  = '1PB(40)'", "TTYPE1  = 'COMPRESSED_DATA'", "ZCMPTYPE= 'RICE_1'"];
    let mut made = Made::new(&[&first[..], cards].concat());
    for pixels in PIXELS {
        let code = rice_code(&pixels);
        let at = made.store(&code);
        made.rows.push([narrow(code.len(), at), parameters.to_vec()].concat());
    }
    made
}

#[test]
fn scales_are_columns_or_keywords() {
    let scaled = |pixel: f64| if pixel == 7.0 { f64::NAN } else { pixel * 0.5 + 20.0 };
    let keywords = quantized(
        &["TFIELDS = 1", "ZBITPIX = -64", "ZSCALE  = 0.5", "ZZERO   = 20", "ZBLANK  = 7"],
        &[],
    );
    let columns = quantized(
        &[
            "TFIELDS = 4",
            "TFORM2  = '1E'",
            "TTYPE2  = 'ZSCALE'",
            "TFORM3  = 'D'",
            "TTYPE3  = 'ZZERO'",
            "TFORM4  = '1J'",
            "TTYPE4  = 'ZBLANK'",
            "ZBITPIX = -64",
            "ZQUANTIZ= 'NO_DITHER'",
        ],
        &[&0.5f32.to_be_bytes()[..], &20f64.to_be_bytes(), &7i32.to_be_bytes()].concat(),
    );
    for made in [keywords, columns] {
        let found = made.read().unwrap();
        let same = |(&found, pixel): (&f64, f64)| {
            let wanted = scaled(pixel);
            found == wanted || found.is_nan() && wanted.is_nan()
        };
        assert!(found.iter().zip(wanted()).all(same), "{found:?}");
    }
}

#[test]
fn unsupported_features_are_refused() {
    let cases: [(&[&str], &[u8], &str); 5] = [
        (&["TFIELDS = 1", "ZBITPIX = 32", "ZSCALE  = 2.0"], &[], "tile_scaled_integers"),
        (
            &["TFIELDS = 1", "ZBITPIX = -32", "ZQUANTIZ= 'DITHER_9'", "ZSCALE  = 1.0"],
            &[],
            "unsupported",
        ),
        (
            &[
                "TFIELDS = 2",
                "TFORM2  = 'PB'",
                "TTYPE2  = 'NULL_PIXEL_MASK'",
                "ZBITPIX = 32",
                "ZMASKCMP= 'RICE_1'",
            ],
            &[0, 0, 0, 3, 0, 0, 0, 0],
            "tile_null_pixel_mask",
        ),
        (
            &["TFIELDS = 2", "TFORM2  = '2D'", "TTYPE2  = 'ZSCALE'", "ZBITPIX = -32"],
            &[0; 16],
            "bad_format",
        ),
        (
            &["TFIELDS = 2", "TFORM2  = '3I'", "TTYPE2  = 'GZIP_COMPRESSED_DATA'", "ZBITPIX = 16"],
            &[0; 6],
            "bad_format",
        ),
    ];
    for (cards, parameters, wanted) in cases {
        assert_eq!(quantized(cards, parameters).read().unwrap_err().code(), wanted, "{cards:?}");
    }
}

#[test]
fn unsigned_pixels_in_plio_are_not_offset() {
    let mut made = Made::new(&[
        "TFIELDS = 1",
        "TFORM1  = '1PI(8)'",
        "TTYPE1  = 'COMPRESSED_DATA'",
        "ZBITPIX = 16",
        "BZERO   = 32768",
        "ZCMPTYPE= 'PLIO_1'",
    ]);
    // The value 40 000, then three pixels of it.
    let list = [0, 0, 6, 0x1000 + 40_000 % 4096, 40_000 / 4096, 0x4003u16];
    for _ in 0..4 {
        let at = made.store(&list.map(u16::to_be_bytes).concat());
        made.rows.push(narrow(6, at));
    }
    assert_eq!(made.read().unwrap(), [40_000.0; 12]);
    let file = FitsFile::from_bytes("made", made.bytes(), &Limits::default()).unwrap();
    let image = file.image(HduIndex(1)).unwrap();
    let stored = |_, rows: Rows<'_>| assert_eq!(rows, Rows::I16(&[7232; 3]));
    image.for_each_band(&mut Scratch::default(), stored).unwrap();
}
