//! Kind of a file by its content: image, catalogue or other; and the integrity of its bytes.

use fits::checksum::{self, Verdict};
use fits::{CardFault, FitsError, FitsFault, FitsFile, Hdu, HduKind, Header, Limits};
use model::profile::{HduUse, StaleChecksum};
use model::{FileKind, Finding, Refusal, RefusalCode, SurveyName, one_line};
use std::path::Path;

/// One HDU as later stages need it before they open the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HduFact {
    /// Primary = 0.
    pub hdu: u16,
    /// True when it is a detector.
    pub is_image: bool,
    /// Number of rows of a binary table that is a catalogue, or may be one; `None` for other HDUs.
    pub rows: Option<u64>,
}

/// The part of a file that has been read when its survey is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Name within the delivery.
    pub name: &'a str,
    /// Its primary header.
    pub primary: &'a Header,
    /// The file; `None` until all its headers have been read.
    pub file: Option<&'a FitsFile>,
}

impl<'a> Sample<'a> {
    /// Returns the header of the first image extension, in a file without images that of the first table.
    pub fn first_extension(&self) -> Option<&'a Header> {
        let hdus = self.file?.hdus().get(1..)?;
        let of = |kinds: &[HduKind]| hdus.iter().find(|hdu| kinds.contains(&hdu.kind));
        let table = || of(&[HduKind::BinTable, HduKind::AsciiTable, HduKind::CompressedTable]);
        let image = of(&[HduKind::Image, HduKind::CompressedImage]);
        image.or_else(table).map(|hdu| &hdu.header)
    }
}

/// The settings of a file's survey.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SurveyRules {
    /// Name of the survey profile; `None` when none fits.
    pub survey: Option<SurveyName>,
    /// Bounds on the work and memory that its files may require.
    pub limits: Limits,
    /// The treatment of data that do not fit their DATASUM.
    pub stale_checksum: StaleChecksum,
    /// Numbers of detectors that its files may have; empty for any.
    pub detectors: Vec<u16>,
    /// The use of each HDU; empty before the whole file is known.
    pub uses: Vec<HduUse>,
}

/// The result of the examination of a file.
#[derive(Clone, Debug)]
pub struct Content {
    /// Image, catalogue or other.
    pub kind: FileKind,
    /// Name of the survey profile that fits; `None` for files other than FITS.
    pub survey: Option<SurveyName>,
    /// Its HDUs, those that could be read.
    pub hdus: Vec<HduFact>,
    /// Damage. With `hdu: None` the file as a whole is refused.
    pub refusals: Vec<Refusal>,
    /// Anomalies that do not refuse the file.
    pub findings: Vec<Finding>,
    /// True when every HDU with data has a DATASUM that fits: the file verifies itself.
    pub is_summed: bool,
}

impl Content {
    /// Returns true when the file as a whole is refused.
    pub fn is_refused(&self) -> bool {
        self.refusals.iter().any(|r| r.hdu.is_none())
    }

    /// Returns true when any part of the file is refused.
    pub fn is_damaged(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// Returns the HDUs that must not be used.
    pub fn refused_hdus(&self) -> Vec<u16> {
        self.refusals.iter().filter_map(|r| r.hdu).collect()
    }

    /// Returns true when the file holds a catalogue, alone or with the image that it is of.
    pub fn has_catalogue(&self) -> bool {
        self.hdus.iter().any(|h| h.rows.is_some())
    }

    /// Returns the number of rows of its tables: the size of the work for a catalogue.
    pub fn rows(&self) -> u64 {
        self.hdus.iter().filter_map(|h| h.rows).sum()
    }

    fn other() -> Self {
        Self {
            kind: FileKind::Other,
            survey: None,
            hdus: Vec::new(),
            refusals: Vec::new(),
            findings: Vec::new(),
            is_summed: false,
        }
    }
}

/// Examines the file at `path` that was delivered as `name`. Damage to the structure of a file refuses all of it. Data that do
/// not fit their DATASUM refuse their HDU, unless the survey accepts them. An image or catalogue that no survey profile fits is
/// refused. An edited header, texts that had to be cleaned and bytes after the last HDU are findings.
pub fn examine(path: &Path, name: &str, survey_of: &dyn Fn(&Sample<'_>) -> SurveyRules) -> Content {
    let mut content = Content::other();
    let (fits, rules) = match open(path, name, survey_of) {
        Ok(opened) => opened,
        Err(error) => {
            let claims = crate::names::claims_fits(name);
            let foreign = matches!(
                error.fault,
                FitsFault::NotFits { .. } | FitsFault::Wrapped { .. } | FitsFault::EmptyFile
            );
            if claims || !foreign {
                let message = in_primary(&error.fault);
                content.refusals.push(Refusal { message, ..refusal(name, None, &error.fault) });
            }
            return content;
        }
    };
    let mut is_summed = true;
    for (n, hdu) in fits.hdus().iter().enumerate() {
        let used = rules.uses.get(n).copied();
        content.hdus.push(fact(hdu, used));
        if used == Some(HduUse::UnusedTable) {
            content.findings.push(table_in_image(hdu, name));
        }
        is_summed &= hdu.data_bytes == 0 || hdu.header.value("DATASUM").is_some();
        if let Some(fault) = &hdu.fault {
            content
                .refusals
                .push(Refusal { message: in_hdu(hdu, fault), ..refusal(name, None, fault) });
        } else {
            is_summed &= verify_sums(&fits, hdu, name, &rules, &mut content);
        }
        note_header(hdu, name, &mut content);
    }
    content.kind = kind_of(&content.hdus);
    if !content.is_refused() {
        let nothing = content.kind == FileKind::Other && crate::names::claims_fits(name);
        let cut = match ending(&fits, &content.hdus, &rules.detectors) {
            Ending::Padded => None,
            Ending::Unpadded(message) => {
                content.findings.push(finding(
                    RefusalCode::PADDING_MISSING,
                    name,
                    None,
                    None,
                    message,
                ));
                None
            }
            Ending::Cut(message) => Some((RefusalCode::TRUNCATED_PADDING, message)),
        };
        let is_foreign = content.kind != FileKind::Other && rules.survey.is_none();
        let foreign = is_foreign.then(|| {
            let message = "no survey profile of the site fits the file's headers and name";
            (RefusalCode::NO_PROFILE, message.to_owned())
        });
        let lack = cut.or(foreign).or_else(|| no_data(&fits).filter(|_| nothing));
        content.refusals.extend(lack.map(|(code, message)| Refusal::new(code, name, message)));
    }
    content.is_summed = is_summed && !content.is_damaged() && content.kind != FileKind::Other;
    if let Some(trailing) = fits.trailing() {
        let message = format!("{trailing}: all HDUs before them are whole and accepted");
        content.findings.push(finding(RefusalCode::TRAILING_BYTES, name, None, None, message));
    }
    content.survey = rules.survey;
    content
}

/// Opens a file with the settings of its survey. The primary header chooses the limits; other headers may choose another survey,
/// with whose limits the file is opened again.
fn open(
    path: &Path,
    name: &str,
    survey_of: &dyn Fn(&Sample<'_>) -> SurveyRules,
) -> Result<(FitsFile, SurveyRules), FitsError> {
    let limits_of = |primary: &Header| survey_of(&Sample { name, primary, file: None }).limits;
    let fits = FitsFile::open_choosing(path, &Limits::default(), &limits_of)?;
    let Some(first) = fits.hdus().first() else { return Ok((fits, SurveyRules::default())) };
    let rules = survey_of(&Sample { name, primary: &first.header, file: Some(&fits) });
    if rules.limits == limits_of(&first.header) {
        return Ok((fits, rules));
    }
    Ok((FitsFile::open_choosing(path, &Limits::default(), &|_| rules.limits)?, rules))
}

/// Returns the finding for a table that could be the catalogue of the image in its file.
fn table_in_image(hdu: &Hdu, name: &str) -> Finding {
    let message = format!(
        "ext_num {}: the table has the columns of a catalogue and is not used: the survey's profile expects catalogues in other \
         files",
        model::ext_num_of(hdu.index.0)
    );
    finding(RefusalCode::TABLE_IN_IMAGE, name, Some(hdu.index.0), Some("XTENSION"), message)
}

fn finding(
    code: RefusalCode,
    file: &str,
    hdu: Option<u16>,
    subject: Option<&str>,
    message: String,
) -> Finding {
    Finding { hdu, subject: subject.map(str::to_owned), ..Finding::new(code, file, message) }
}

/// Notes the texts of a header that are not used as stored, and text after END.
fn note_header(hdu: &Hdu, name: &str, content: &mut Content) {
    let place = hdu.index.0;
    let ext_num = model::ext_num_of(place);
    let (cards, keywords) = hdu.header.cleaned();
    if let Some(first) = keywords.first() {
        let message = format!(
            "ext_num {ext_num}: {cards} cards have NUL, control characters or bytes beyond ASCII; their texts were cut at \
             NUL, escaped or replaced by '?': {}",
            keywords.join(", ")
        );
        let found =
            finding(RefusalCode::HEADER_TEXT_CLEANED, name, Some(place), Some(first), message);
        content.findings.push(Finding { count: cards as u64, ..found });
    }
    if hdu.header.faults().any(|(_, fault)| fault == CardFault::TextAfterEnd) {
        let message = format!("ext_num {ext_num}: text follows END in its block and was ignored");
        content.findings.push(finding(
            RefusalCode::TEXT_AFTER_END,
            name,
            Some(place),
            Some("END"),
            message,
        ));
    }
}

/// The state of the end of a file.
enum Ending {
    /// The padding is complete.
    Padded,
    /// The last HDU is whole and has no padding at all, or nothing can have followed it.
    Unpadded(String),
    /// The padding of the last HDU was cut, and whole detectors may be lost.
    Cut(String),
}

/// Returns the state of the end of the file. The reader does not need the padding of the last HDU. In the archive, padding that
/// breaks off is the only sign that a file was cut between two HDUs. A file that ends exactly with its data comes from a
/// program that does not pad, unless it lacks detectors.
fn ending(fits: &FitsFile, hdus: &[HduFact], detectors: &[u16]) -> Ending {
    const BLOCK_BYTES: u64 = 2880;
    let Some(last) = fits.hdus().last() else { return Ending::Padded };
    let data_end = last.data_offset + last.data_bytes;
    let end = data_end.next_multiple_of(BLOCK_BYTES);
    let short_bytes = end.saturating_sub(fits.file_bytes());
    if short_bytes == 0 {
        return Ending::Padded;
    }
    let primary = &fits.hdus()[0].header;
    let announced = matches!(primary.logical("EXTEND"), Ok(Some(true)));
    let extensions = fits.hdus().len() - 1;
    if extensions == 0 && !announced {
        return Ending::Padded;
    }
    let ext_num = model::ext_num_of(last.index.0);
    let promised = primary.integer("NEXTEND").ok().flatten();
    let images = hdus.iter().filter(|hdu| hdu.is_image).count();
    let found = if images > 0 { images } else { hdus.iter().filter(|h| h.rows.is_some()).count() };
    let is_usual =
        detectors.is_empty() || detectors.iter().any(|usual| usize::from(*usual) == found);
    let is_unpadded = short_bytes == end - data_end && is_usual;
    if is_unpadded || promised == i64::try_from(extensions).ok() {
        return Ending::Unpadded(format!(
            "ext_num {ext_num}: the data are whole, {short_bytes} bytes of their padding are missing"
        ));
    }
    Ending::Cut(format!(
        "ext_num {ext_num}: the data are whole, their padding ends {short_bytes} bytes early: the file was cut, and what \
         followed is lost"
    ))
}

/// Returns the fault of a file that is a header and nothing else: the remainder of a file that was cut after it.
fn no_data(fits: &FitsFile) -> Option<(RefusalCode, String)> {
    let empty = fits.hdus().iter().all(|hdu| hdu.data_bytes == 0);
    empty.then(|| {
        (RefusalCode::NO_DATA, "the file has only headers, neither pixels nor rows".to_owned())
    })
}

fn kind_of(hdus: &[HduFact]) -> FileKind {
    if hdus.iter().any(|h| h.is_image) {
        FileKind::Image
    } else if hdus.iter().any(|h| h.rows.is_some()) {
        FileKind::Catalogue
    } else {
        FileKind::Other
    }
}

fn fact(hdu: &Hdu, used: Option<HduUse>) -> HduFact {
    let is_image = matches!(hdu.kind, HduKind::Image | HduKind::CompressedImage)
        && used.is_none_or(|used| used == HduUse::Detector);
    // A packed table is a table too: a catalogue that cannot be read is refused as such, not stored unnoticed.
    let is_table = matches!(hdu.kind, HduKind::BinTable | HduKind::CompressedTable)
        && used.is_none_or(|used| used == HduUse::Catalogue);
    let rows =
        is_table.then(|| hdu.header.integer("NAXIS2").ok().flatten().unwrap_or(0).unsigned_abs());
    HduFact { hdu: hdu.index.0, is_image, rows }
}

/// Verifies the checksums of an HDU; returns `false` when its data do not fit their checksum.
fn verify_sums(
    fits: &FitsFile,
    hdu: &Hdu,
    name: &str,
    rules: &SurveyRules,
    content: &mut Content,
) -> bool {
    if hdu.header.value("DATASUM").is_none() && hdu.header.value("CHECKSUM").is_none() {
        return true;
    }
    let place = Some(hdu.index.0);
    let report = match checksum::verify(fits, hdu.index) {
        Ok(report) => report,
        Err(error) => {
            content.refusals.push(refusal(name, place, &error.fault));
            return false;
        }
    };
    if let Some(fault) = report.fault() {
        if rules.stale_checksum == StaleChecksum::Finding {
            let message = format!(
                "ext_num {}: {fault}; accepted by the profile",
                model::ext_num_of(hdu.index.0)
            );
            let found =
                finding(RefusalCode::of_fault(fault.code()), name, place, Some("DATASUM"), message);
            content.findings.push(found);
        } else {
            content.refusals.push(refusal(name, place, &fault));
        }
        return false;
    }
    if matches!(report.checksum, Verdict::Mismatch { .. }) {
        let message = "CHECKSUM does not fit while the data do: the header was edited".to_owned();
        content.findings.push(finding(
            RefusalCode::CHECKSUM_MISMATCH,
            name,
            place,
            Some("CHECKSUM"),
            message,
        ));
    }
    true
}

/// Returns the message for a file that cannot be opened as FITS: the fault is in the file as a whole, or in its first header.
fn in_primary(fault: &FitsFault) -> String {
    match fault {
        FitsFault::MissingEnd | FitsFault::HeaderTooLong { .. } => format!("ext_num 1: {fault}"),
        _ => fault.to_string(),
    }
}

fn in_hdu(hdu: &Hdu, fault: &FitsFault) -> String {
    format!("ext_num {}: {fault}", model::ext_num_of(hdu.index.0))
}

/// Makes a refusal of a fault of the reader.
pub fn refusal(file: &str, hdu: Option<u16>, fault: &FitsFault) -> Refusal {
    Refusal {
        hdu,
        keyword: fault.keyword().map(str::to_owned),
        column: fault.column(),
        ..Refusal::new(RefusalCode::of_fault(fault.code()), file, one_line(fault))
    }
}
