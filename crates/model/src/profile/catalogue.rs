//! Catalogues: which tables are catalogues, how their columns are spelled, and how their rows are processed.

mod photometry;
mod position;
mod quality;
mod spelling;
mod unit;

pub use photometry::{
    Distortion, Epoch, ErrorFormula, MagAdd, Magnitudes, MissingZeroPoint, PhotometryRules,
    ZeroPointFor,
};
pub use position::{MissingPosition, PositionFrame, PositionRules, PositionSource, PositionUnit};
pub use quality::QualityRules;
pub use spelling::{Addend, CellFormat, Spelling};
pub use unit::unit_factor;

use super::pattern::Glob;
use crate::tables::{self, Table};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Rules for reading the catalogues of a survey.
///
/// Zero points, exposures and similar values are not here: they are columns of the metadata tables, whose keywords are in
/// `[column.multiframe_detector]` and `[column.multiframe]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogueProfile {
    /// Columns of `detection` that a binary table must have to be a catalogue.
    pub required: Vec<String>,
    /// TTYPEs that a catalogue does not have: a table with one of them is another kind of table, e.g. a list of matched
    /// standards.
    pub foreign: Vec<Glob>,
    /// TTYPEs of columns without content, which are skipped.
    pub blank: Vec<Glob>,
    /// Columns of `detection` that the pipeline leaves at zero when it does not fill them: they are NULL where a whole
    /// HDU holds zeros.
    pub unfilled: Vec<Glob>,
    /// Spellings by column of `detection`; the first one whose column is present counts. They replace the TTYPE of the
    /// definition. Each is a TTYPE, or a table of the column and its conversion ([`Spelling`]). Example:
    /// `pa = [{ column = "THETA_IMAGE", add = 90.0 }]`.
    #[serde(deserialize_with = "spelling::by_column")]
    pub spellings: BTreeMap<String, Vec<Spelling>>,
    /// Values that mean unknown (NULL) in every column of floating-point numbers, as they are delivered. Default none.
    /// Example: `unknown = [-99.0, 99.0]`.
    pub unknown: Vec<f64>,
    /// Keywords that name HDUs: a catalogue belongs to the detector that has the same values. `EXTNAME` is combined
    /// with `EXTVER` where names are not unique. Names that contain the detector's name (`CCD2_CAT`, `CATNORTH`) and
    /// numbers in names or in different keywords are compared too.
    pub pair_by: Vec<String>,
    /// The file of the catalogue of an image: `"beside"` (the default) or `"image"`. Example: `where = "image"`.
    #[serde(rename = "where")]
    pub place: CatalogueWhere,
    /// The detector of a catalogue whose HDU is not named: `"hdu"`, `"order"` (the default), `"ldac"` or
    /// `{ keyword = "…" }`. Names and numbers of HDUs (`pair_by`) count first. Example: `pairing = { keyword = "CCDNUM" }`.
    /// In every case a catalogue is refused whose RA and DEC, or x and y, do not fit its detector.
    pub pairing: Pairing,
    /// The treatment of a catalogue without rows.
    pub zero_rows: ZeroRows,
    /// Positions.
    pub position: PositionRules,
    /// Magnitudes.
    pub photometry: PhotometryRules,
    /// Quality bits and classes.
    pub quality: QualityRules,
}

/// Keywords by which cameras name their detectors.
const PAIR_BY: [&str; 14] = [
    "EXTNAME",
    "CAMNUM",
    "CCDNUM",
    "CCDID",
    "CHIPNUM",
    "CHIPID",
    "DETNUM",
    "DET-ID",
    "IMAGEID",
    "ESO DET CHIP NO",
    "DETECTOR",
    "DETNAME",
    "CCDNAME",
    "CHIPNAME",
];

impl Default for CatalogueProfile {
    fn default() -> Self {
        Self {
            required: ["seq_num", "x", "y", "iso_flux"].map(str::to_owned).to_vec(),
            foreign: Vec::new(),
            blank: vec![Glob::new("Blank*")],
            unfilled: Vec::new(),
            spellings: BTreeMap::new(),
            unknown: Vec::new(),
            pair_by: PAIR_BY.map(str::to_owned).to_vec(),
            place: CatalogueWhere::default(),
            pairing: Pairing::default(),
            zero_rows: ZeroRows::default(),
            position: PositionRules::default(),
            photometry: PhotometryRules::default(),
            quality: QualityRules::default(),
        }
    }
}

/// The file of the catalogue of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogueWhere {
    /// Another file, whose name is that of the image. Of the image file itself, tables whose role is `"catalogue"` by
    /// `[[hdu]]` are catalogues; a finding names other tables that have the required columns.
    #[default]
    Beside,
    /// The image file: its tables whose role is `"catalogue"`, and those without a role that have the required columns.
    Image,
}

/// The detector of a catalogue HDU that names do not determine. Detectors and catalogues alone count, by their roles and by the
/// required columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pairing {
    /// The detector in the same HDU. A lone catalogue belongs to a lone detector in any HDU.
    Hdu,
    /// The first catalogue to the first detector, and so on, in files with as many catalogues as detectors. Tables that
    /// lack the required columns do not count.
    #[default]
    Order,
    /// As `order`, and the names and numbers of a catalogue (`LDAC_OBJECTS`) are those in the header of its image, which the
    /// cell of the table before it holds (`LDAC_IMHEAD`). That header is a source of keywords for the columns of
    /// `multiframe_detector` that describe the catalogue, after the header of the catalogue itself.
    Ldac,
    /// The detector with the same value of this keyword in its header.
    Keyword(String),
}

/// The treatment of a catalogue without rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZeroRows {
    /// The HDU is refused: a pipeline that found no source at all has mostly failed.
    #[default]
    Refuse,
    /// The catalogue is accepted; nothing was detected.
    Accept,
}

impl CatalogueProfile {
    /// Returns the spellings of a column of `detection`, first choice first; empty when the column is computed.
    pub fn spellings_of<'a>(&'a self, column: &tables::Column) -> Cow<'a, [Spelling]> {
        match self.spellings.get(&column.name) {
            Some(list) => Cow::Borrowed(list),
            None => column.ttype.as_deref().map(Spelling::named).into_iter().collect(),
        }
    }

    /// Returns true when a required column of `detection` may be absent: a flux, where magnitudes are delivered.
    pub fn is_dispensable(&self, column: &str) -> bool {
        self.photometry.are_delivered() && column.contains("_flux")
    }

    /// Returns the keyword that pairs catalogues with detectors by [`Pairing::Keyword`].
    pub fn pairing_keyword(&self) -> Option<&str> {
        match &self.pairing {
            Pairing::Keyword(keyword) => Some(keyword),
            Pairing::Hdu | Pairing::Order | Pairing::Ldac => None,
        }
    }

    /// Returns the keywords that pairing reads: those of [`Self::pair_by`], EXTVER with EXTNAME, and that of
    /// [`Self::pairing`].
    pub fn name_keywords(&self) -> Vec<String> {
        let mut keywords = self.pair_by.clone();
        let further = self.pairing_keyword().map(str::to_owned);
        keywords.extend(further.filter(|keyword| !self.pair_by.contains(keyword)));
        if keywords.iter().any(|keyword| keyword == "EXTNAME") {
            keywords.push("EXTVER".to_owned());
        }
        keywords
    }

    /// Returns true when the pipeline leaves a column of `detection` at zero when it does not fill it.
    pub fn is_unfilled(&self, column: &str) -> bool {
        self.unfilled.iter().any(|glob| glob.fits(column))
    }

    /// Returns the faults that types cannot express: (key path, fault).
    pub(super) fn check(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |key: String, message: String| faults.push((key, message));
        let Some(table) = tables::table("detection") else { return faults };
        for (n, name) in self.required.iter().enumerate() {
            if let Some(message) = self.not_delivered(table, name) {
                fault(format!("catalogue.required.{n}"), message);
            }
        }
        for (name, list) in &self.spellings {
            let key = format!("catalogue.spellings.{name}");
            match table.column(name) {
                None => fault(key, format!("detection has no column {name:?}")),
                Some(column) => {
                    let unread = self.not_read(column);
                    let of_spelling = list.iter().filter_map(|spelling| spelling.fault(column));
                    unread.into_iter().chain(of_spelling).for_each(|f| fault(key.clone(), f));
                }
            }
        }
        if self.photometry.are_delivered() && !self.spellings.keys().any(|name| is_magnitude(name))
        {
            let message = "no magnitude has spellings, e.g. kron_mag = [\"MAG_AUTO\"]".to_owned();
            fault("catalogue.photometry.magnitudes".to_owned(), message);
        }
        for (n, value) in self.unknown.iter().enumerate().filter(|(_, v)| !v.is_finite()) {
            fault(format!("catalogue.unknown.{n}"), format!("{value} is unknown without it"));
        }
        for name in ["seq_num", "x", "y"].iter().filter(|n| !self.required.iter().any(|r| r == *n))
        {
            fault(
                "catalogue.required".to_owned(),
                format!("{name} is missing: every row needs the column"),
            );
        }
        if let Some(message) = self.pairing_keyword().and_then(super::not_a_keyword) {
            fault("catalogue.pairing".to_owned(), message);
        }
        let amounts = [
            ("photometry.default_extinction", self.photometry.default_extinction),
            ("photometry.least_exposure_s", self.photometry.least_exposure_s),
        ];
        let amounts = self.position.limits().into_iter().chain(amounts);
        for (key, value) in amounts.filter(|(_, v)| !(v.is_finite() && *v >= 0.0)) {
            fault(format!("catalogue.{key}"), format!("{value} is below 0 or not a number"));
        }
        for (key, message) in self.photometry.check().into_iter().chain(self.quality.check()) {
            fault(format!("catalogue.{key}"), message);
        }
        faults
    }

    fn not_delivered(&self, table: &Table, name: &str) -> Option<String> {
        match table.column(name) {
            None => Some(format!("detection has no column {name:?}")),
            Some(column) if self.spellings_of(column).is_empty() => {
                Some(format!("{name} is computed, not read"))
            }
            Some(_) => None,
        }
    }

    /// Returns the reason why a column of `detection` cannot have spellings.
    fn not_read(&self, column: &tables::Column) -> Option<String> {
        let name = &column.name;
        if column.ttype.is_some() || (is_magnitude(name) && self.photometry.are_delivered()) {
            return None;
        }
        let remedy = if is_magnitude(name) {
            ": set catalogue.photometry.magnitudes = \"delivered\" to read magnitudes"
        } else {
            ""
        };
        Some(format!("{name} is computed, not read{remedy}"))
    }
}

/// Returns true for a column of `detection` that holds magnitudes of sources, or their errors.
pub fn is_magnitude(column: &str) -> bool {
    column.contains("_mag") && column != "delta_mag"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_replace_that_of_the_definition() {
        let profile: CatalogueProfile =
            toml::from_str("spellings = { half_rad = [\"Half_radius\", \"Hall_radius\"] }")
                .unwrap();
        let table = tables::table("detection").unwrap();
        let of = |name| {
            let spellings = profile.spellings_of(table.column(name).unwrap()).into_owned();
            spellings.into_iter().map(|spelling| spelling.column).collect::<Vec<_>>()
        };
        assert_eq!(of("half_rad"), ["Half_radius", "Hall_radius"]);
        assert_eq!(of("kron_rad"), ["Kron_radius"]);
        assert!(of("kron_mag").is_empty());
    }

    #[test]
    fn pairing_is_a_word_or_a_keyword() {
        let pairing = |text: &str| toml::from_str::<CatalogueProfile>(&format!("pairing = {text}"));
        assert_eq!(pairing("\"ldac\"").unwrap().pairing, Pairing::Ldac);
        let by_keyword = pairing("{ keyword = \"CCDNUM\" }").unwrap();
        assert_eq!(by_keyword.pairing_keyword(), Some("CCDNUM"));
        assert_eq!(by_keyword.name_keywords().iter().filter(|k| *k == "CCDNUM").count(), 1);
        let other = pairing("{ keyword = \"QUADRANT\" }").unwrap();
        assert!(other.name_keywords().contains(&"QUADRANT".to_owned()));
        let fault = &pairing("{ keyword = \"ccdnum\" }").unwrap().check()[0];
        assert_eq!(fault.0, "catalogue.pairing");
        assert!(pairing("\"extname\"").is_err());
    }

    #[test]
    fn faults_name_their_key() {
        let profile: CatalogueProfile = toml::from_str(
            r#"
            required = ["seq_num", "x", "colour", "aper_mag3"]
            position = { margin_px = -1.0 }
            spellings = { iso_mag = ["Iso"], nothing = ["N"], ell = [" "] }
            "#,
        )
        .unwrap();
        let keys: Vec<String> = profile.check().into_iter().map(|(key, _)| key).collect();
        let wanted = [
            "catalogue.required.2",
            "catalogue.required.3",
            "catalogue.spellings.ell",
            "catalogue.spellings.iso_mag",
            "catalogue.spellings.nothing",
            "catalogue.required",
            "catalogue.position.margin_px",
        ];
        assert_eq!(keys, wanted);
        assert!(CatalogueProfile::default().check().is_empty());
    }
}
