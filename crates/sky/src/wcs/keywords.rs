//! Spellings of a world coordinate system in headers: for the axes of an image, and for two columns of a table.

use super::fault::WcsFault;
use super::listed::Listed;
use super::zeros;

/// Access to the keywords of one header (for a compressed image: those of the image it presents).
pub trait Keywords {
    /// Returns the value of a keyword that holds text, without trailing blanks; `None` for other types.
    fn text(&self, keyword: &str) -> Option<String>;
    /// Returns the value of a keyword that holds a number, integers included; `None` for other types.
    fn number(&self, keyword: &str) -> Option<f64>;
    /// Calls `each` with every keyword of the header, in its order. Keywords with leading zeros (`CD001001`, `PV02_01`)
    /// are found only in this way; by default there are none. Returns true when the header has no other keyword of an
    /// image's coordinate system than those of its reference frame: others are not searched then.
    fn each_keyword(&self, each: &mut dyn FnMut(&str)) -> bool {
        let _ = each;
        false
    }
}

impl<K: Keywords + ?Sized> Keywords for &K {
    fn text(&self, keyword: &str) -> Option<String> {
        (**self).text(keyword)
    }
    fn number(&self, keyword: &str) -> Option<f64> {
        (**self).number(keyword)
    }
    fn each_keyword(&self, each: &mut dyn FnMut(&str)) -> bool {
        (**self).each_keyword(each)
    }
}

/// The place of the description of the two axes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spelling {
    /// `CTYPE1`, `CD1_2` ... of an image.
    Image,
    /// `TCTYP3`, `TC3_5` ... of the columns with the x and the y pixel coordinate.
    Table { x_column: u16, y_column: u16 },
}

/// A keyword assembled on the stack: reading one header queries a hundred, most of them absent.
#[derive(Clone, Copy)]
pub(super) struct Keyword {
    bytes: [u8; 24],
    length: usize,
}

impl Keyword {
    /// Makes a keyword of at most 8 characters and two numbers.
    pub(super) fn new(stem: &str, number: Option<u16>, index: Option<u16>) -> Self {
        let mut keyword = Self { bytes: [0; 24], length: 0 };
        keyword.push(stem.as_bytes());
        if let Some(number) = number {
            keyword.push_number(number);
        }
        if let Some(index) = index {
            keyword.push(b"_");
            keyword.push_number(index);
        }
        keyword
    }

    fn push(&mut self, more: &[u8]) {
        self.bytes[self.length..self.length + more.len()].copy_from_slice(more);
        self.length += more.len();
    }

    fn push_number(&mut self, number: u16) {
        let mut divisor = 10_000;
        while divisor > 1 && number < divisor {
            divisor /= 10;
        }
        while divisor > 0 {
            self.push(&[b'0' + (number / divisor % 10) as u8]);
            divisor /= 10;
        }
    }
}

impl std::ops::Deref for Keyword {
    type Target = str;
    fn deref(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("made of text and digits")
    }
}

/// The spellings of one keyword, the usual one first.
#[derive(Clone, Copy)]
pub(super) struct Spelled([Option<Keyword>; 2]);

impl Spelled {
    fn each(&self) -> impl Iterator<Item = &Keyword> {
        self.0.iter().flatten()
    }

    /// Returns the usual spelling, for messages.
    fn usual(&self) -> String {
        self.each().next().map(|k| k.to_string()).unwrap_or_default()
    }
}

/// A header read with one spelling. Axes are 0 and 1 here, as in the image.
pub(super) struct Cards<'a, K: Keywords + ?Sized> {
    header: &'a K,
    spelling: Spelling,
    /// Usual spelling and that of the header, for keywords with leading zeros.
    zeros: Vec<(String, String)>,
    /// Keywords that the header may have, those of the reference frame left out.
    listed: Listed,
}

impl<'a, K: Keywords + ?Sized> Cards<'a, K> {
    pub(super) fn new(header: &'a K, spelling: Spelling) -> Self {
        let mut zeros = Vec::new();
        let mut listed = Listed::nothing();
        let is_complete = matches!(spelling, Spelling::Image)
            && header.each_keyword(&mut |keyword| {
                zeros::learn(keyword, &mut zeros);
                listed.add(keyword);
            });
        let listed = if is_complete { listed } else { Listed::everything() };
        Self { header, spelling, zeros, listed }
    }

    /// Returns the keyword in the header's spelling.
    fn stored<'k>(&'k self, keyword: &'k str) -> &'k str {
        let other = self.zeros.iter().find(|(usual, _)| usual == keyword);
        other.map_or(keyword, |(_, stored)| stored.as_str())
    }

    /// Returns true when SIP may apply: it is defined for images only.
    pub(super) fn may_have_sip(&self) -> bool {
        matches!(self.spelling, Spelling::Image) && self.listed.may_have_sip()
    }

    fn number_of(&self, axis: usize) -> u16 {
        match self.spelling {
            Spelling::Image => axis as u16 + 1,
            Spelling::Table { x_column, y_column } => [x_column, y_column][axis],
        }
    }

    /// Returns the spellings of an axis keyword.
    fn of_axis(&self, axis: usize, image: &str, table: [&str; 2]) -> Spelled {
        self.spelled(axis, None, image, table)
    }

    fn spelled(&self, axis: usize, index: Option<u16>, image: &str, table: [&str; 2]) -> Spelled {
        let n = Some(self.number_of(axis));
        match self.spelling {
            Spelling::Image => Spelled([Some(Keyword::new(image, n, index)), None]),
            Spelling::Table { .. } => Spelled(table.map(|stem| Some(Keyword::new(stem, n, index)))),
        }
    }

    fn first_number(&self, keywords: &Spelled) -> Result<Option<f64>, WcsFault> {
        for keyword in keywords.each() {
            if let Some(value) = self.finite(keyword)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Returns the number under exactly this keyword.
    pub(super) fn finite(&self, keyword: &str) -> Result<Option<f64>, WcsFault> {
        let keyword = self.stored(keyword);
        if !self.listed.may_have(keyword) {
            return Ok(None);
        }
        match self.header.number(keyword) {
            Some(value) if value.is_finite() => Ok(Some(value)),
            Some(_) => Err(WcsFault::NotFinite { keyword: keyword.to_owned() }),
            None => match self.header.text(keyword) {
                Some(found) => Err(WcsFault::NotANumber { keyword: keyword.to_owned(), found }),
                None => Ok(None),
            },
        }
    }

    fn required(&self, keywords: &Spelled) -> Result<f64, WcsFault> {
        let missing = || WcsFault::MissingKeyword { keyword: keywords.usual() };
        self.first_number(keywords)?.ok_or_else(missing)
    }

    /// Returns the first of the keywords that holds text other than blanks.
    fn first_text<'k>(
        &self,
        keywords: impl IntoIterator<Item = &'k Keyword>,
    ) -> Option<(String, String)> {
        keywords.into_iter().find_map(|k| {
            let text = self.header.text(k)?.trim().to_owned();
            (!text.is_empty()).then(|| (k.to_string(), text))
        })
    }

    /// Returns the axis type, with its keyword.
    pub(super) fn axis_type(&self, axis: usize) -> Result<(String, String), WcsFault> {
        let keywords = self.of_axis(axis, "CTYPE", ["TCTYP", "TCTY"]);
        let absent = || WcsFault::Absent { keyword: keywords.usual() };
        self.first_text(keywords.each()).ok_or_else(absent)
    }

    /// Returns the unit of an axis. Files of UKIRT's acquisition write CRUNIT for CUNIT.
    pub(super) fn unit(&self, axis: usize) -> Option<(String, String)> {
        let keywords = self.of_axis(axis, "CUNIT", ["TCUNI", "TCUN"]);
        let quirk = match self.spelling {
            Spelling::Image => Some(Keyword::new("CRUNIT", Some(self.number_of(axis)), None)),
            Spelling::Table { .. } => None,
        };
        self.first_text(keywords.each().chain(&quirk))
    }

    pub(super) fn reference_pixel(&self, axis: usize) -> Result<f64, WcsFault> {
        self.required(&self.of_axis(axis, "CRPIX", ["TCRPX", "TCRP"]))
    }

    /// Returns the value at the reference pixel, with its keyword.
    pub(super) fn reference_value(&self, axis: usize) -> Result<(String, f64), WcsFault> {
        let keywords = self.of_axis(axis, "CRVAL", ["TCRVL", "TCRV"]);
        Ok((keywords.usual(), self.required(&keywords)?))
    }

    pub(super) fn reference_keyword(&self, axis: usize) -> String {
        self.of_axis(axis, "CRVAL", ["TCRVL", "TCRV"]).usual()
    }

    pub(super) fn step(&self, axis: usize) -> Result<Option<f64>, WcsFault> {
        self.first_number(&self.of_axis(axis, "CDELT", ["TCDLT", "TCDE"]))
    }

    pub(super) fn rotation(&self, axis: usize) -> Result<Option<f64>, WcsFault> {
        self.first_number(&self.of_axis(axis, "CROTA", ["TCROT", "TCRO"]))
    }

    /// Returns an element of the CD matrix.
    pub(super) fn cd(&self, row: usize, column: usize) -> Result<Option<f64>, WcsFault> {
        self.first_number(&self.cd_keywords(row, column))
    }

    pub(super) fn cd_keyword(&self, row: usize, column: usize) -> String {
        self.cd_keywords(row, column).usual()
    }

    fn cd_keywords(&self, row: usize, column: usize) -> Spelled {
        self.spelled(row, Some(self.number_of(column)), "CD", ["TC", "TCD"])
    }

    /// Returns an element of the PC matrix.
    pub(super) fn pc(&self, row: usize, column: usize) -> Result<Option<f64>, WcsFault> {
        let column = Some(self.number_of(column));
        self.first_number(&self.spelled(row, column, "PC", ["TP", "TPC"]))
    }

    /// Returns the projection parameter `m` of an axis.
    pub(super) fn parameter(&self, axis: usize, m: u16) -> Result<Option<f64>, WcsFault> {
        self.first_number(&self.parameter_keywords(axis, m))
    }

    /// Returns true when there is a number under one of the parameter's keywords.
    pub(super) fn has_parameter(&self, axis: usize, m: u16) -> bool {
        let exists =
            |keyword| self.listed.may_have(keyword) && self.header.number(keyword).is_some();
        self.parameter_keywords(axis, m).each().any(|keyword| exists(self.stored(keyword)))
    }

    pub(super) fn parameter_keyword(&self, axis: usize, m: u16) -> String {
        self.parameter_keywords(axis, m).usual()
    }

    fn parameter_keywords(&self, axis: usize, m: u16) -> Spelled {
        self.spelled(axis, Some(m), "PV", ["TV", "TPV"])
    }

    /// Returns a parameter as [`Self::parameter`], for the latitude axis, whose parameters older images call PROJPm.
    /// The catalogues of CASU translate the image's PV2_1, PV2_3 and PV2_5 to table keywords but leave PV2_7 unchanged:
    /// the positions in real catalogues are correct only with it.
    pub(super) fn latitude_parameter(&self, axis: usize, m: u16) -> Result<Option<f64>, WcsFault> {
        if let Some(value) = self.parameter(axis, m)? {
            return Ok(Some(value));
        }
        self.finite(&match self.spelling {
            Spelling::Image => Keyword::new("PROJP", Some(m), None),
            Spelling::Table { .. } => Keyword::new("PV", Some(axis as u16 + 1), Some(m)),
        })
    }

    /// Returns the native longitude of the celestial pole, degrees.
    pub(super) fn pole_longitude(&self, longitude_axis: usize) -> Result<Option<f64>, WcsFault> {
        self.finite(&match self.spelling {
            Spelling::Image => Keyword::new("LONPOLE", None, None),
            Spelling::Table { .. } => {
                Keyword::new("LONP", Some(self.number_of(longitude_axis)), None)
            }
        })
    }

    /// Returns the native latitude of the celestial pole, degrees.
    pub(super) fn pole_latitude(&self, longitude_axis: usize) -> Result<Option<f64>, WcsFault> {
        self.finite(&match self.spelling {
            Spelling::Image => Keyword::new("LATPOLE", None, None),
            Spelling::Table { .. } => {
                Keyword::new("LATP", Some(self.number_of(longitude_axis)), None)
            }
        })
    }

    /// Returns the name of the reference system (RADESYS, RADECSYS), if any, with its keyword.
    pub(super) fn reference_system(&self) -> Option<(String, String)> {
        let named = |stem| Keyword::new(stem, None, None);
        let keywords =
            [self.table_keyword("RADE"), Some(named("RADESYS")), Some(named("RADECSYS"))];
        self.first_text(keywords.iter().flatten())
    }

    /// Returns another name of the reference system under the keyword that is ignored, with that keyword.
    pub(super) fn other_reference_system(&self) -> Option<(String, String)> {
        let (keyword, found) = self.reference_system()?;
        let other = Keyword::new("RADECSYS", None, None);
        let differs = |text: &String| !text.eq_ignore_ascii_case(&found);
        self.first_text([&other]).filter(|(_, text)| keyword != "RADECSYS" && differs(text))
    }

    /// Returns the equinox in years, if any, with its keyword. A text counts when it is a number, with J or B before
    /// it.
    pub(super) fn equinox(&self) -> Result<Option<(String, f64)>, WcsFault> {
        let named = |stem| Keyword::new(stem, None, None);
        let keywords = [self.table_keyword("EQUI"), Some(named("EQUINOX")), Some(named("EPOCH"))];
        for keyword in keywords.iter().flatten() {
            if let Some(number) = self.header.number(keyword) {
                return Ok(Some((keyword.to_string(), number)));
            }
            let Some(text) = self.header.text(keyword) else { continue };
            let plain = text.trim();
            if plain.is_empty() {
                continue;
            }
            let years = plain.trim_start_matches(['J', 'j', 'B', 'b']).trim();
            let unreadable =
                || WcsFault::BadEquinox { keyword: keyword.to_string(), found: text.clone() };
            return years
                .parse()
                .map(|number| Some((keyword.to_string(), number)))
                .map_err(|_| unreadable());
        }
        Ok(None)
    }

    /// Returns the text under exactly this keyword, unless blank.
    pub(super) fn plain_text(&self, keyword: &str) -> Option<String> {
        if !self.listed.may_have(keyword) {
            return None;
        }
        self.header.text(keyword).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Returns a keyword that images have once and tables per column.
    fn table_keyword(&self, stem: &str) -> Option<Keyword> {
        match self.spelling {
            Spelling::Image => None,
            Spelling::Table { x_column, .. } => Some(Keyword::new(stem, Some(x_column), None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_put_together() {
        let cases = [
            (Keyword::new("LONPOLE", None, None), "LONPOLE"),
            (Keyword::new("CTYPE", Some(1), None), "CTYPE1"),
            (Keyword::new("PV", Some(2), Some(0)), "PV2_0"),
            (Keyword::new("TPV", Some(105), Some(39)), "TPV105_39"),
            (Keyword::new("TCTYP", Some(65_535), Some(10_000)), "TCTYP65535_10000"),
        ];
        for (found, wanted) in cases {
            assert_eq!(&*found, wanted);
        }
    }
}
