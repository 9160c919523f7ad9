//! Catalogues: which tables are catalogues, how their columns are spelled, and how their rows are processed.

use super::pattern::Glob;
use crate::tables::{self, Table};
use serde::Deserialize;
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
    /// Spellings of TTYPE by column of `detection`; the first one that is present counts. They replace the spelling of
    /// the definition. The comparison ignores case.
    pub spellings: BTreeMap<String, Vec<String>>,
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

/// Rules for sky positions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PositionRules {
    /// Source of positions: columns, or recomputed.
    pub source: PositionSource,
    /// Unit of the columns.
    pub unit: PositionUnit,
    /// Reference frame of the columns.
    pub frame: PositionFrame,
    /// The treatment of rows whose position was never filled in (RA = DEC = 0) and of tables without the columns.
    pub missing: MissingPosition,
    /// Distance in pixels that x and y may be outside the detector before the row is refused.
    pub margin_px: f64,
    /// A finding is recorded when columns and WCS differ by more than this: in the median, or in single rows where the
    /// positions are computed from the WCS.
    pub disagreement_arcsec: f64,
    /// An HDU is refused whose columns and WCS differ by more than this in the median.
    pub refuse_above_arcsec: f64,
}

impl Default for PositionRules {
    fn default() -> Self {
        Self {
            source: PositionSource::default(),
            unit: PositionUnit::default(),
            frame: PositionFrame::default(),
            missing: MissingPosition::default(),
            margin_px: 64.0,
            disagreement_arcsec: 10.0,
            refuse_above_arcsec: 30.0,
        }
    }
}

/// Source of sky positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionSource {
    /// The columns RA and DEC, in their stored precision.
    #[default]
    Columns,
    /// x and y, through the WCS of the image in double precision; the columns are compared with them. For an image
    /// without a WCS, the columns.
    Wcs,
}

/// Unit of the columns RA and DEC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionUnit {
    /// The unit that TUNIT of each column declares, unless most values cannot be in it. Without a known TUNIT, the unit
    /// that agrees with the WCS; without a WCS, radians where there is no TUNIT and the values can be in radians.
    #[default]
    Tunit,
    /// Both in radians.
    Radians,
    /// Both in degrees.
    Degrees,
    /// RA in hours, DEC in degrees.
    Hours,
}

/// Reference frame of the columns RA and DEC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionFrame {
    /// The frame given by TUCD and the names of the columns (`pos.galactic.lon`, `GLON`, `ALPHA_J2000`), else by
    /// RADESYS and EQUINOX of the table, else by those of the image, with the defaults of the standard.
    #[default]
    Header,
    /// The ICRS.
    Icrs,
    /// The FK5 of 2000.0.
    Fk5,
    /// The FK4 of 1950.0.
    Fk4,
    /// Galactic longitude and latitude.
    Galactic,
    /// Supergalactic longitude and latitude.
    Supergalactic,
    /// Longitude and latitude in the ecliptic of 2000.0.
    Ecliptic,
}

/// The treatment of a row without a position on the sky.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingPosition {
    /// It is computed from x and y through the WCS of the image.
    #[default]
    Wcs,
    /// The row is refused.
    Refuse,
}

/// Rules for calibrating magnitudes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhotometryRules {
    /// The reference of the zero point.
    pub zero_point: ZeroPointFor,
    /// The treatment of a detector without a zero point.
    pub missing_zero_point: MissingZeroPoint,
    /// A zero point of at most this value means that there is none.
    pub no_zero_point_up_to: f64,
    /// Magnitudes per airmass when the header gives none.
    pub default_extinction: f64,
    /// Shortest accepted exposure in seconds; shorter ones count as this.
    pub least_exposure_s: f64,
    /// Correction for the change of pixel area across the field.
    pub distortion: Distortion,
}

impl Default for PhotometryRules {
    fn default() -> Self {
        Self {
            zero_point: ZeroPointFor::default(),
            missing_zero_point: MissingZeroPoint::default(),
            no_zero_point_up_to: 0.0,
            default_extinction: 0.05,
            least_exposure_s: 1.0,
            distortion: Distortion::default(),
        }
    }
}

/// The reference of a zero point: the source whose magnitude it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZeroPointFor {
    /// One count per second at airmass 1 (CASU's MAGZPT): exposure and extinction are applied.
    #[default]
    Second,
    /// One count in the frame itself (ESO's PHOTZP): exposure and extinction are included.
    Frame,
}

/// The treatment of the catalogue of a detector without a zero point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingZeroPoint {
    /// The catalogue waits for metadata with one.
    #[default]
    Park,
    /// The catalogue is refused.
    Refuse,
    /// Its magnitudes are NULL, and a finding is recorded.
    Null,
}

/// Correction for the change of pixel area across the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distortion {
    /// None: the pipeline has applied it, or there is nothing to correct.
    #[default]
    None,
    /// From the projection of the image (ZPN, TAN).
    Wcs,
}

/// Quality bits determined by row data, and classes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QualityRules {
    /// Value of a_prof2 to a_prof8 that marks a deblended image (bit 4).
    pub deblended_profile: f32,
    /// Bit 6: a row with more err_bits than this has bad pixels in its default aperture.
    pub bad_pixels_above: f32,
    /// Bit 7: a row with less average_conf than this has low confidence in its default aperture.
    pub low_confidence_below: f32,
    /// Classes that mean "not yet classified": class and class_stat are NULL.
    pub unclassified: Vec<i16>,
}

impl Default for QualityRules {
    fn default() -> Self {
        Self {
            deblended_profile: -1.0,
            bad_pixels_above: 0.0,
            low_confidence_below: 80.0,
            unclassified: vec![100],
        }
    }
}

impl CatalogueProfile {
    /// Returns the accepted TTYPEs of a column of `detection`, first choice first; empty when the column is computed.
    pub fn spellings_of<'a>(&'a self, column: &'a tables::Column) -> Vec<&'a str> {
        match self.spellings.get(&column.name) {
            Some(list) => list.iter().map(String::as_str).collect(),
            None => column.ttype.as_deref().into_iter().collect(),
        }
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
                Some(_) if list.iter().any(|s| s.trim().is_empty()) => {
                    fault(key, "a spelling is empty".to_owned());
                }
                Some(column) if column.ttype.is_none() => {
                    fault(key, format!("{name} is computed, not read"));
                }
                Some(_) => {}
            }
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
            ("position.margin_px", self.position.margin_px),
            ("position.disagreement_arcsec", self.position.disagreement_arcsec),
            ("position.refuse_above_arcsec", self.position.refuse_above_arcsec),
            ("photometry.default_extinction", self.photometry.default_extinction),
            ("photometry.least_exposure_s", self.photometry.least_exposure_s),
        ];
        for (key, value) in amounts.iter().filter(|(_, v)| !(v.is_finite() && *v >= 0.0)) {
            fault(format!("catalogue.{key}"), format!("{value} is below 0 or not a number"));
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
        let of = |name| profile.spellings_of(table.column(name).unwrap());
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
