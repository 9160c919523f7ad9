//! The detectors of a catalogue task, from the rows that the metadata tasks of its multiframes staged.

use crate::fault::{StageError, StageFault};
use crate::reader::read_table;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use fits::{Header, Value};
use model::detector::{CardValue, Detector, Photometry};
use model::tables::{Table, table};
use model::{ExtNum, MultiframeId, ProgrammeId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Longest header that is unpacked.
const HEADER_BYTES: usize = 4 << 20;

/// Detectors by multiframe and extension.
pub type Detectors = BTreeMap<(MultiframeId, ExtNum), Detector>;

/// Returns the name of the file in which a metadata task stages a table.
pub fn file_name(table: &str) -> String {
    model::task::staged_name(table, None)
}

/// Reads the detectors of some multiframes, staged in some attempts' directories. A multiframe that is in several of
/// them is taken from the last. Multiframes that are not wanted cost next to nothing. `names` are the keywords that are
/// stored in [`Detector::names`].
///
/// # Errors
/// A staged file that cannot be read, or does not match its table's definition.
pub fn read(
    dirs: &[PathBuf],
    wanted: &BTreeSet<MultiframeId>,
    names: &[String],
) -> Result<Detectors, StageError> {
    let mut detectors = Detectors::new();
    for dir in dirs {
        let found = read_dir(dir, wanted, names)?;
        let ids: Vec<MultiframeId> = found.keys().map(|(id, _)| *id).collect();
        detectors.retain(|(id, _), _| ids.binary_search(id).is_err());
        detectors.extend(found);
    }
    Ok(detectors)
}

fn read_dir(
    dir: &Path,
    wanted: &BTreeSet<MultiframeId>,
    names: &[String],
) -> Result<Detectors, StageError> {
    let programmes = programmes(dir)?;
    let frames = frames(dir)?;
    let headers = headers(dir, wanted)?;
    let mut wcs = coordinate_systems(dir)?;
    let mut detectors = Detectors::new();
    each_row(dir, "multiframe_detector", DETECTOR_COLUMNS, |row| {
        let Some(key) = row.key().filter(|(id, _)| wanted.contains(id)) else { return };
        let (id, ext_num) = key;
        let frame = frames.get(&id).cloned().unwrap_or_default();
        let stated = wcs.remove(&key).unwrap_or_default();
        let cards = headers.get(&(id, frame.file_name.clone(), ext_num.hdu()));
        let header = cards.and_then(|cards| unpacked_cards(cards)).map(Header::parse);
        let detector = Detector {
            multiframe_id: id,
            ext_num,
            catalogue_hdu: row.integer("cat_ext_num").and_then(hdu_of),
            names: header.as_ref().map(|h| named(h, names)).unwrap_or_default(),
            catalogue_rows: row.integer("table_rows_cat").and_then(|n| u64::try_from(n).ok()),
            programme_id: programmes.get(&id).copied(),
            filter_id: row.integer("filter_id").or(frame.filter_id).and_then(|n| n.try_into().ok()),
            mjd: frame.mjd,
            size_px: row
                .integer("axis1_length")
                .zip(row.integer("axis2_length"))
                .map(<[i64; 2]>::from),
            photometry: photometry(row, &frame),
            wcs: match &header {
                Some(header) if stated.from_image => with_frame(image_cards(header), &stated.cards),
                _ => stated.cards,
            },
        };
        detectors.insert(key, detector);
    })?;
    Ok(detectors)
}

const DETECTOR_COLUMNS: &[&str] = &[
    "multiframe_id",
    "ext_num",
    "cat_ext_num",
    "table_rows_cat",
    "filter_id",
    "axis1_length",
    "axis2_length",
    "phot_zp_cat",
    "phot_zp_ext",
    "extinction_cat",
    "extinction_ext",
    "per_corr_cat",
    "per_corr_ext",
    "exp_time_cat",
    "am_start_cat",
    "am_end_cat",
    "aper_cor1",
    "aper_cor2",
    "aper_cor3",
    "aper_cor4",
    "aper_cor5",
    "aper_cor6",
    "aper_cor7",
];

/// Returns the photometric facts: the catalogue's header has precedence over the image's, since it is the later of the
/// two.
fn photometry(row: &Row<'_>, frame: &Frame) -> Photometry {
    let first = |names: [&str; 2]| names.into_iter().find_map(|name| row.number(name));
    Photometry {
        zero_point: first(["phot_zp_cat", "phot_zp_ext"]),
        extinction: first(["extinction_cat", "extinction_ext"]),
        exposure_s: row.number("exp_time_cat").or(frame.exposure_s),
        airmass: frame.airmass,
        airmass_start: row.number("am_start_cat").or(frame.airmass_start),
        airmass_end: row.number("am_end_cat").or(frame.airmass_end),
        aperture_corrections: std::array::from_fn(|n| row.number(&format!("aper_cor{}", n + 1))),
        percentage_correction: first(["per_corr_cat", "per_corr_ext"]),
    }
}

fn hdu_of(ext_num: i64) -> Option<u16> {
    i16::try_from(ext_num).ok().and_then(ExtNum::new).map(ExtNum::hdu)
}

/// The common properties of a multiframe's detectors.
#[derive(Clone, Debug, Default)]
struct Frame {
    file_name: String,
    filter_id: Option<i64>,
    mjd: Option<f64>,
    exposure_s: Option<f64>,
    airmass: Option<f64>,
    airmass_start: Option<f64>,
    airmass_end: Option<f64>,
}

fn frames(dir: &Path) -> Result<BTreeMap<MultiframeId, Frame>, StageError> {
    const COLUMNS: &[&str] = &[
        "multiframe_id",
        "file_name",
        "filter_id",
        "mjd_obs",
        "exp_time",
        "airmass",
        "am_start",
        "am_end",
    ];
    let mut frames = BTreeMap::new();
    each_row(dir, "multiframe", COLUMNS, |row| {
        let Some(id) = row.multiframe_id() else { return };
        let frame = Frame {
            file_name: row.text("file_name").unwrap_or_default().to_owned(),
            filter_id: row.integer("filter_id"),
            mjd: row.number("mjd_obs"),
            exposure_s: row.number("exp_time"),
            airmass: row.number("airmass"),
            airmass_start: row.number("am_start"),
            airmass_end: row.number("am_end"),
        };
        frames.insert(id, frame);
    })?;
    Ok(frames)
}

/// Returns the programme of each multiframe, the least id where there are several.
fn programmes(dir: &Path) -> Result<BTreeMap<MultiframeId, ProgrammeId>, StageError> {
    let mut programmes = BTreeMap::new();
    each_row(dir, "programme_frame", &["programme_id", "multiframe_id"], |row| {
        let programme = row.integer("programme_id").and_then(|n| i32::try_from(n).ok());
        let programme = programme.and_then(ProgrammeId::new);
        if let Some((id, programme)) = row.multiframe_id().zip(programme) {
            let known = programmes.entry(id).or_insert(programme);
            *known = programme.min(*known);
        }
    })?;
    Ok(programmes)
}

type Headers = BTreeMap<(MultiframeId, String, u16), Vec<u8>>;

/// Reads the packed cards by multiframe, file and HDU.
fn headers(dir: &Path, wanted: &BTreeSet<MultiframeId>) -> Result<Headers, StageError> {
    let mut headers = Headers::new();
    each_row(dir, "header", &["multiframe_id", "file_name", "ext_num", "cards"], |row| {
        let hdu = row.integer("ext_num").and_then(hdu_of);
        let id = row.multiframe_id().filter(|id| wanted.contains(id));
        let key = id.zip(row.text("file_name")).zip(hdu);
        if let Some((((id, file), hdu), cards)) = key.zip(row.bytes("cards")) {
            headers.insert((id, file.to_owned(), hdu), cards.to_vec());
        }
    })?;
    Ok(headers)
}

/// Returns cards packed as in a row of `header`; `None` when there is no memory for it.
pub fn packed_cards(cards: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::compress(cards, 1).ok()
}

/// Returns the cards of a row of `header`; `None` when they cannot be unpacked.
pub fn unpacked_cards(packed: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::decompress(packed, HEADER_BYTES).ok()
}

/// Returns the values of some keywords as text.
fn named(header: &Header, keywords: &[String]) -> BTreeMap<String, String> {
    let value = |keyword: &str| match header.value(keyword)? {
        Value::Text(text) => Some(text.trim().to_owned()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        _ => None,
    };
    keywords.iter().filter_map(|k| Some((k.clone(), value(k)?))).collect()
}

/// Returns the keywords of an image header that describe its coordinate system.
fn image_cards(header: &Header) -> BTreeMap<String, CardValue> {
    const STEMS: &[&str] = &[
        "CTYPE", "CRPIX", "CRVAL", "CUNIT", "CRUNIT", "CDELT", "CROTA", "CD", "PC", "PV", "PROJP",
        "LONPOLE", "LATPOLE", "RADESYS", "RADECSYS", "EQUINOX", "EPOCH", "A_", "B_", "AP_", "BP_",
        "WCSAXES",
    ];
    header
        .cards()
        .filter(|card| STEMS.iter().any(|stem| card.keyword().starts_with(stem)))
        .filter_map(|card| {
            let value = match card.value()? {
                Value::Text(text) => CardValue::Text(text.to_owned()),
                Value::Integer(number) => CardValue::Number(number as f64),
                Value::Float(number) => CardValue::Number(number),
                _ => return None,
            };
            Some((card.keyword().to_owned(), value))
        })
        // The first of equal keywords counts, as in all other places.
        .fold(BTreeMap::new(), |mut cards, (keyword, value)| {
            cards.entry(keyword).or_insert(value);
            cards
        })
}

/// Returns the keywords of an image with the reference frame that it inherits from the primary header, when it names none.
fn with_frame(
    mut cards: BTreeMap<String, CardValue>,
    stated: &BTreeMap<String, CardValue>,
) -> BTreeMap<String, CardValue> {
    if !cards.keys().any(|keyword| is_frame(keyword)) {
        let inherited = stated.iter().filter(|(keyword, _)| is_frame(keyword));
        cards.extend(inherited.map(|(keyword, value)| (keyword.clone(), value.clone())));
    }
    cards
}

/// Returns true for a keyword of the reference frame.
fn is_frame(keyword: &str) -> bool {
    ["RADESYS", "RADECSYS", "EQUINOX", "EPOCH"].contains(&keyword)
}

/// A coordinate system in the form of `astrometry`.
#[derive(Debug, Default)]
struct Stated {
    from_image: bool,
    cards: BTreeMap<String, CardValue>,
}

/// Columns of `astrometry` and the keywords of an image that they hold.
const WCS_COLUMNS: &[(&str, &str)] = &[
    ("c_type_x", "CTYPE1"),
    ("c_type_y", "CTYPE2"),
    ("cr_unit1", "CUNIT1"),
    ("cr_unit2", "CUNIT2"),
    ("cr_val_x", "CRVAL1"),
    ("cr_val_y", "CRVAL2"),
    ("cr_pix_x", "CRPIX1"),
    ("cr_pix_y", "CRPIX2"),
    ("cd11", "CD1_1"),
    ("cd12", "CD1_2"),
    ("cd21", "CD2_1"),
    ("cd22", "CD2_2"),
    ("pv21", "PV2_1"),
    ("pv22", "PV2_2"),
    ("pv23", "PV2_3"),
    ("pv24", "PV2_4"),
    ("pv25", "PV2_5"),
    ("ra_dec_sys", "RADESYS"),
    ("equinox", "EQUINOX"),
];

fn coordinate_systems(dir: &Path) -> Result<BTreeMap<(MultiframeId, ExtNum), Stated>, StageError> {
    let mut columns = vec!["multiframe_id", "ext_num", "wcs_source"];
    columns.extend(WCS_COLUMNS.iter().map(|(column, _)| *column));
    let mut systems = BTreeMap::new();
    each_row(dir, "astrometry", &columns, |row| {
        let Some(key) = row.key() else { return };
        let source = row.text("wcs_source");
        let card = |(column, keyword): &(&str, &str)| {
            let text = row.text(column).map(|text| CardValue::Text(text.to_owned()));
            let value = text.or_else(|| row.number(column).map(CardValue::Number))?;
            Some(((*keyword).to_owned(), value))
        };
        // Of a system that could not be used, only the frame is useful: columns of the catalogue may be in it.
        let of_use = |(_, keyword): &&(&str, &str)| source.is_some() || is_frame(keyword);
        let cards = WCS_COLUMNS.iter().filter(of_use).filter_map(card).collect();
        systems.insert(key, Stated { from_image: source != Some("catalogue"), cards });
    })?;
    Ok(systems)
}

/// One row of a staged table; columns are requested by name.
struct Row<'b> {
    batch: &'b RecordBatch,
    row: usize,
}

impl Row<'_> {
    fn column(&self, name: &str) -> Option<&dyn Array> {
        let column = self.batch.column_by_name(name)?;
        column.is_valid(self.row).then_some(column.as_ref())
    }

    fn integer(&self, name: &str) -> Option<i64> {
        let column = self.column(name)?;
        Some(match column.data_type() {
            DataType::Int16 => column.as_primitive::<Int16Type>().value(self.row).into(),
            DataType::Int32 => column.as_primitive::<Int32Type>().value(self.row).into(),
            DataType::Int64 => column.as_primitive::<Int64Type>().value(self.row),
            _ => return None,
        })
    }

    fn number(&self, name: &str) -> Option<f64> {
        let column = self.column(name)?;
        match column.data_type() {
            DataType::Float32 => Some(column.as_primitive::<Float32Type>().value(self.row).into()),
            DataType::Float64 => Some(column.as_primitive::<Float64Type>().value(self.row)),
            _ => self.integer(name).map(|n| n as f64),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        Some(self.column(name)?.as_string_opt::<i32>()?.value(self.row))
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        Some(self.column(name)?.as_binary_opt::<i32>()?.value(self.row))
    }

    fn multiframe_id(&self) -> Option<MultiframeId> {
        MultiframeId::new(self.integer("multiframe_id")?)
    }

    fn key(&self) -> Option<(MultiframeId, ExtNum)> {
        let ext_num = i16::try_from(self.integer("ext_num")?).ok()?;
        Some((self.multiframe_id()?, ExtNum::new(ext_num)?))
    }
}

/// Calls a function for every row of a table's staged file; a table without a file has no rows.
fn each_row(
    dir: &Path,
    name: &'static str,
    columns: &[&str],
    mut act: impl FnMut(&Row<'_>),
) -> Result<(), StageError> {
    let path = dir.join(file_name(name));
    let definition: &Table = table(name).ok_or_else(|| {
        let problem = "there is no such table".to_owned();
        StageFault::Schema { column: name.to_owned(), problem }.at(&path)
    })?;
    let reader = match read_table(&path, definition, columns) {
        Err(StageError { fault: StageFault::NotOpened(files::OpenFault::Missing), .. }) => {
            return Ok(());
        }
        reader => reader?,
    };
    for batch in reader {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            act(&Row { batch: &batch, row });
        }
    }
    Ok(())
}
