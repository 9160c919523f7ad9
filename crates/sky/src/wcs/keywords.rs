//! How headers spell a world coordinate system: for the axes of an image, and for two columns of a table.

use super::fault::WcsFault;

/// Access to the keywords of one header (for a compressed image: those of the image it presents).
pub trait Keywords {
    /// The value of a keyword that holds text, without trailing blanks; `None` for other types.
    fn text(&self, keyword: &str) -> Option<String>;
    /// The value of a keyword that holds a number, integers included; `None` for other types.
    fn number(&self, keyword: &str) -> Option<f64>;
}

/// Where the two axes are described.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spelling {
    /// `CTYPE1`, `CD1_2` ... of an image.
    Image,
    /// `TCTYP3`, `TC3_5` ... of the columns with the x and the y pixel coordinate.
    Table { x_column: u16, y_column: u16 },
}

/// A header read with one spelling. Axes are 0 and 1 here, as in the image.
pub(super) struct Cards<'a, K: Keywords + ?Sized> {
    header: &'a K,
    spelling: Spelling,
}

impl<'a, K: Keywords + ?Sized> Cards<'a, K> {
    pub(super) fn new(header: &'a K, spelling: Spelling) -> Self {
        Self { header, spelling }
    }

    /// SIP is defined for images only.
    pub(super) fn may_have_sip(&self) -> bool {
        matches!(self.spelling, Spelling::Image)
    }

    fn number_of(&self, axis: usize) -> u16 {
        match self.spelling {
            Spelling::Image => axis as u16 + 1,
            Spelling::Table { x_column, y_column } => [x_column, y_column][axis],
        }
    }

    /// The spellings of an axis keyword, the usual one first.
    fn axis_keywords(&self, axis: usize, image: &str, table: &[&str]) -> Vec<String> {
        let n = self.number_of(axis);
        match self.spelling {
            Spelling::Image => vec![format!("{image}{n}")],
            Spelling::Table { .. } => table.iter().map(|t| format!("{t}{n}")).collect(),
        }
    }

    /// The spellings of a keyword with two indices.
    fn indexed_keywords(
        &self,
        axis: usize,
        index: u16,
        image: &str,
        table: &[&str],
    ) -> Vec<String> {
        let n = self.number_of(axis);
        match self.spelling {
            Spelling::Image => vec![format!("{image}{n}_{index}")],
            Spelling::Table { .. } => table.iter().map(|t| format!("{t}{n}_{index}")).collect(),
        }
    }

    fn first_number(&self, keywords: &[String]) -> Result<Option<f64>, WcsFault> {
        for keyword in keywords {
            if let Some(value) = self.finite(keyword)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// A number under exactly this keyword.
    pub(super) fn finite(&self, keyword: &str) -> Result<Option<f64>, WcsFault> {
        match self.header.number(keyword) {
            Some(value) if value.is_finite() => Ok(Some(value)),
            Some(_) => Err(WcsFault::NotFinite { keyword: keyword.to_owned() }),
            None => match self.header.text(keyword) {
                Some(found) => Err(WcsFault::NotANumber { keyword: keyword.to_owned(), found }),
                None => Ok(None),
            },
        }
    }

    fn required(&self, keywords: &[String]) -> Result<f64, WcsFault> {
        let missing = || WcsFault::MissingKeyword { keyword: keywords[0].clone() };
        self.first_number(keywords)?.ok_or_else(missing)
    }

    fn first_text(&self, keywords: &[String]) -> Option<(String, String)> {
        keywords.iter().find_map(|k| {
            let text = self.header.text(k)?.trim().to_owned();
            (!text.is_empty()).then(|| (k.clone(), text))
        })
    }

    /// Axis type, with its keyword.
    pub(super) fn axis_type(&self, axis: usize) -> Result<(String, String), WcsFault> {
        let keywords = self.axis_keywords(axis, "CTYPE", &["TCTYP", "TCTY"]);
        let missing = || WcsFault::Absent { keyword: keywords[0].clone() };
        self.first_text(&keywords).ok_or_else(missing)
    }

    /// Unit of an axis. Files of UKIRT's acquisition say CRUNIT for CUNIT.
    pub(super) fn unit(&self, axis: usize) -> Option<(String, String)> {
        let mut keywords = self.axis_keywords(axis, "CUNIT", &["TCUNI", "TCUN"]);
        if matches!(self.spelling, Spelling::Image) {
            keywords.push(format!("CRUNIT{}", axis + 1));
        }
        self.first_text(&keywords)
    }

    pub(super) fn reference_pixel(&self, axis: usize) -> Result<f64, WcsFault> {
        self.required(&self.axis_keywords(axis, "CRPIX", &["TCRPX", "TCRP"]))
    }

    /// Value at the reference pixel, with its keyword.
    pub(super) fn reference_value(&self, axis: usize) -> Result<(String, f64), WcsFault> {
        let keywords = self.axis_keywords(axis, "CRVAL", &["TCRVL", "TCRV"]);
        Ok((keywords[0].clone(), self.required(&keywords)?))
    }

    pub(super) fn step(&self, axis: usize) -> Result<Option<f64>, WcsFault> {
        self.first_number(&self.axis_keywords(axis, "CDELT", &["TCDLT", "TCDE"]))
    }

    pub(super) fn rotation(&self, axis: usize) -> Result<Option<f64>, WcsFault> {
        self.first_number(&self.axis_keywords(axis, "CROTA", &["TCROT", "TCRO"]))
    }

    /// Element of the CD matrix.
    pub(super) fn cd(&self, row: usize, column: usize) -> Result<Option<f64>, WcsFault> {
        self.first_number(&self.cd_keywords(row, column))
    }

    pub(super) fn cd_keyword(&self, row: usize, column: usize) -> String {
        self.cd_keywords(row, column).swap_remove(0)
    }

    fn cd_keywords(&self, row: usize, column: usize) -> Vec<String> {
        self.indexed_keywords(row, self.number_of(column), "CD", &["TC", "TCD"])
    }

    /// Element of the PC matrix.
    pub(super) fn pc(&self, row: usize, column: usize) -> Result<Option<f64>, WcsFault> {
        self.first_number(&self.indexed_keywords(row, self.number_of(column), "PC", &["TP", "TPC"]))
    }

    /// Projection parameter `m` of an axis.
    pub(super) fn parameter(&self, axis: usize, m: u16) -> Result<Option<f64>, WcsFault> {
        self.first_number(&self.parameter_keywords(axis, m))
    }

    pub(super) fn parameter_keyword(&self, axis: usize, m: u16) -> String {
        self.parameter_keywords(axis, m).swap_remove(0)
    }

    fn parameter_keywords(&self, axis: usize, m: u16) -> Vec<String> {
        self.indexed_keywords(axis, m, "PV", &["TV", "TPV"])
    }

    /// As [`Self::parameter`], for the radial polynomial of ZPN. The catalogues of CASU translate the image's
    /// PV2_1, PV2_3 and PV2_5 to table keywords but leave PV2_7 as it is: the positions in real ones are right
    /// only with it. Older images say PROJP1, PROJP3, PROJP5.
    pub(super) fn radial_parameter(&self, axis: usize, m: u16) -> Result<Option<f64>, WcsFault> {
        if let Some(value) = self.parameter(axis, m)? {
            return Ok(Some(value));
        }
        match self.spelling {
            Spelling::Image => self.finite(&format!("PROJP{m}")),
            Spelling::Table { .. } => self.finite(&format!("PV{}_{m}", axis + 1)),
        }
    }

    /// Native longitude of the celestial pole, degrees.
    pub(super) fn pole_longitude(&self, longitude_axis: usize) -> Result<Option<f64>, WcsFault> {
        let keyword = match self.spelling {
            Spelling::Image => "LONPOLE".to_owned(),
            Spelling::Table { .. } => format!("LONP{}", self.number_of(longitude_axis)),
        };
        self.finite(&keyword)
    }

    /// Name of the reference system (RADESYS), if any.
    pub(super) fn reference_system(&self) -> Option<String> {
        let mut keywords = self.table_keywords("RADE");
        keywords.extend(["RADESYS".to_owned(), "RADECSYS".to_owned()]);
        self.first_text(&keywords).map(|(_, text)| text)
    }

    /// Equinox in years, if any. Unreadable ones are not a fault: nothing is computed from it.
    pub(super) fn equinox(&self) -> Option<f64> {
        let mut keywords = self.table_keywords("EQUI");
        keywords.extend(["EQUINOX".to_owned(), "EPOCH".to_owned()]);
        keywords.iter().find_map(|k| self.header.number(k))
    }

    /// A keyword that images have once and tables per column.
    fn table_keywords(&self, stem: &str) -> Vec<String> {
        match self.spelling {
            Spelling::Image => Vec::new(),
            Spelling::Table { x_column, .. } => vec![format!("{stem}{x_column}")],
        }
    }
}
