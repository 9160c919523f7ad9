//! What a file is, by its content: image, catalogue or other; and whether its bytes are sound.

use fits::checksum::{self, Verdict};
use fits::{FitsFault, FitsFile, Hdu, HduKind, Header, Limits};
use model::{Finding, Refusal, one_line};
use std::path::Path;

/// What a file is to the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// FITS with pixels: becomes a multiframe.
    Image,
    /// FITS with binary tables and no pixels: a catalogue of an image.
    Catalogue,
    /// Anything else; registered and kept.
    Other,
}

impl FileKind {
    /// The name in tables and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Catalogue => "catalogue",
            Self::Other => "other",
        }
    }
}

/// One HDU as later stages need to know it before they open the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HduFact {
    /// Primary = 0.
    pub hdu: u16,
    /// Pixels in it.
    pub is_image: bool,
    /// Rows, for a binary table.
    pub rows: Option<u64>,
}

/// What a file is.
#[derive(Clone, Debug)]
pub struct Content {
    /// Image, catalogue or other.
    pub kind: FileKind,
    /// Name of the survey profile that fits, for FITS files.
    pub survey: Option<String>,
    /// Its HDUs, as far as they could be read.
    pub hdus: Vec<HduFact>,
    /// Damage. With `hdu: None` the file as a whole is refused.
    pub refusals: Vec<Refusal>,
    /// Oddities.
    pub findings: Vec<Finding>,
    /// Every HDU with data has a DATASUM that fits: the file vouches for itself.
    pub is_summed: bool,
}

impl Content {
    /// Whether the file as a whole is refused.
    pub fn is_refused(&self) -> bool {
        self.refusals.iter().any(|r| r.hdu.is_none())
    }

    /// Whether anything of it is refused.
    pub fn is_damaged(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// HDUs that must not be used.
    pub fn refused_hdus(&self) -> Vec<u16> {
        self.refusals.iter().filter_map(|r| r.hdu).collect()
    }

    /// Rows of its tables: the size of the work for a catalogue.
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

/// Examines a file that lies at `path` and was delivered as `name`. Damage to the structure of a file refuses
/// all of it; data that do not fit their DATASUM refuse their HDU; an edited header is a finding.
pub fn examine(path: &Path, name: &str, survey_of: &dyn Fn(&Header) -> String) -> Content {
    let mut content = Content::other();
    let fits = match FitsFile::open(path, &Limits::default()) {
        Ok(fits) => fits,
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
    for hdu in fits.hdus() {
        content.hdus.push(fact(hdu));
        is_summed &= hdu.data_bytes == 0 || hdu.header.value("DATASUM").is_some();
        if let Some(fault) = &hdu.fault {
            content
                .refusals
                .push(Refusal { message: in_hdu(hdu, fault), ..refusal(name, None, fault) });
        } else {
            verify_sums(&fits, hdu, name, &mut content);
        }
    }
    content.kind = kind_of(&content.hdus);
    if !content.is_refused() {
        let nothing = content.kind == FileKind::Other && crate::names::claims_fits(name);
        let lack = short_padding(&fits).or_else(|| no_data(&fits).filter(|_| nothing));
        content.refusals.extend(lack.map(|(code, message)| Refusal::new(code, name, message)));
    }
    content.is_summed = is_summed && !content.is_damaged() && content.kind != FileKind::Other;
    content.survey = fits.hdus().first().map(|primary| survey_of(&primary.header));
    content
}

/// The reader makes do without the padding of the last HDU. In the archive it is the only sign that a file was cut
/// between two HDUs, so that whole detectors may be lost; a file of one HDU that announces no other loses nothing.
fn short_padding(fits: &FitsFile) -> Option<(&'static str, String)> {
    const BLOCK_BYTES: u64 = 2880;
    let last = fits.hdus().last()?;
    let announced = matches!(last.header.logical("EXTEND"), Ok(Some(true)));
    if fits.hdus().len() == 1 && !announced {
        return None;
    }
    let end = (last.data_offset + last.data_bytes).next_multiple_of(BLOCK_BYTES);
    let short_bytes = end.saturating_sub(fits.file_bytes());
    let message = format!(
        "ext_num {}: the data are whole, their padding ends {short_bytes} bytes early: the file was cut, and what \
         followed is lost",
        u32::from(last.index.0) + 1
    );
    (short_bytes > 0).then_some(("truncated_padding", message))
}

/// A header and nothing else: what is left of a file that was cut after it.
fn no_data(fits: &FitsFile) -> Option<(&'static str, String)> {
    let empty = fits.hdus().iter().all(|hdu| hdu.data_bytes == 0);
    empty.then(|| ("no_data", "it has neither pixels nor rows, only headers".to_owned()))
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

fn fact(hdu: &Hdu) -> HduFact {
    let is_image = matches!(hdu.kind, HduKind::Image | HduKind::CompressedImage);
    // A packed table is one too: a catalogue that cannot be read is refused as such, not kept unseen.
    let is_table = matches!(hdu.kind, HduKind::BinTable | HduKind::CompressedTable);
    let rows =
        is_table.then(|| hdu.header.integer("NAXIS2").ok().flatten().unwrap_or(0).unsigned_abs());
    HduFact { hdu: hdu.index.0, is_image, rows }
}

fn verify_sums(fits: &FitsFile, hdu: &Hdu, name: &str, content: &mut Content) {
    if hdu.header.value("DATASUM").is_none() && hdu.header.value("CHECKSUM").is_none() {
        return;
    }
    let report = match checksum::verify(fits, hdu.index) {
        Ok(report) => report,
        Err(error) => {
            content.refusals.push(refusal(name, Some(hdu.index.0), &error.fault));
            return;
        }
    };
    if let Some(fault) = report.fault() {
        content.refusals.push(refusal(name, Some(hdu.index.0), &fault));
    } else if matches!(report.checksum, Verdict::Mismatch { .. }) {
        content.findings.push(Finding {
            code: "checksum_mismatch".to_owned(),
            file: name.to_owned(),
            hdu: Some(hdu.index.0),
            subject: Some("CHECKSUM".to_owned()),
            files: 1,
            count: 1,
            message: "CHECKSUM does not fit while the data do: the header was edited".to_owned(),
        });
    }
}

/// A file that cannot be opened as FITS is at fault as a whole, or in its first header.
fn in_primary(fault: &FitsFault) -> String {
    match fault {
        FitsFault::MissingEnd | FitsFault::HeaderTooLong { .. } => format!("ext_num 1: {fault}"),
        _ => fault.to_string(),
    }
}

fn in_hdu(hdu: &Hdu, fault: &FitsFault) -> String {
    format!("ext_num {}: {fault}", u32::from(hdu.index.0) + 1)
}

/// A refusal made of a fault of the reader.
pub fn refusal(file: &str, hdu: Option<u16>, fault: &FitsFault) -> Refusal {
    Refusal {
        hdu,
        keyword: fault.keyword().map(str::to_owned),
        column: fault.column(),
        ..Refusal::new(fault.code(), file, one_line(fault))
    }
}
