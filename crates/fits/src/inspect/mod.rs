//! The content of a FITS file as Almagest reads it: headers, pixel and column statistics, refusals.
//!
//! Takes a path and returns an [`Inspection`] whose [`Inspection::to_json`] has one object per HDU with `header`, `image` or
//! `table`, or `refusal`. Memory does not grow with the file.
//!
//! Start at [`inspect`]. A new number about columns begins in `table`.
//! Does not decide what a refusal means for a delivery.

mod header;
mod image;
mod json;
mod statistics;
mod table;

use std::error::Error;
use std::path::Path;

pub use json::Json;

use crate::checksum::{self, ChecksumReport, Verdict};
use crate::error::{FitsError, FitsFault};
use crate::file::{FitsFile, Trailing};
use crate::hdu::{Hdu, HduIndex, HduKind};
use crate::header::Header;
use crate::limits::Limits;

/// The reason why a file or HDU was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectionRefusal {
    /// Machine-readable code.
    pub code: &'static str,
    /// Message for readers.
    pub message: String,
}

impl InspectionRefusal {
    fn of(fault: &FitsFault) -> Self {
        let mut message = fault.to_string();
        let mut source = fault.source();
        while let Some(deeper) = source {
            message += &format!(": {deeper}");
            source = deeper.source();
        }
        Self { code: fault.code(), message }
    }

    fn to_json(&self) -> Json {
        Json::object([
            ("code", Json::from(self.code)),
            ("message", Json::from(self.message.as_str())),
        ])
    }
}

/// The content found in one file.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Bytes of the file on disk; `None` when it could not be opened.
    pub bytes: Option<u64>,
    /// The content of each HDU; empty when the file was refused.
    pub hdus: Vec<HduInspection>,
    /// Bytes after the last HDU that are neither an HDU nor padding.
    pub trailing: Option<Trailing>,
    /// The reason why the file as a whole was refused; `None` when accepted.
    pub refusal: Option<InspectionRefusal>,
}

/// The content found in one HDU.
#[derive(Clone, Debug)]
pub struct HduInspection {
    /// Index of the HDU in its file.
    pub index: HduIndex,
    /// The kind of data.
    pub kind: HduKind,
    /// EXTNAME; `PRIMARY` for a primary without.
    pub name: String,
    /// CHECKSUM and DATASUM; `None` when the HDU was refused before they were checked.
    pub checks: Option<ChecksumReport>,
    /// The reason why its data were refused; `None` when accepted.
    pub refusal: Option<InspectionRefusal>,
    /// Header, and image or table, as in the JSON of the file.
    pub report: Json,
}

/// Reads everything in a file.
pub fn inspect(path: &Path, limits: &Limits) -> Inspection {
    inspect_choosing(path, limits, &|_| *limits)
}

/// Reads everything in a file whose primary header chooses its limits; see [`FitsFile::open_choosing`].
pub fn inspect_choosing(
    path: &Path,
    limits: &Limits,
    choose: &dyn Fn(&Header) -> Limits,
) -> Inspection {
    match FitsFile::open_choosing(path, limits, choose) {
        Ok(file) => inspect_file(&file),
        Err(error) => Inspection {
            bytes: None,
            hdus: Vec::new(),
            trailing: None,
            refusal: Some(InspectionRefusal::of(&error.fault)),
        },
    }
}

/// Reads everything in an open file.
pub fn inspect_file(file: &FitsFile) -> Inspection {
    Inspection {
        bytes: Some(file.packed_bytes()),
        hdus: file.hdus().iter().map(|hdu| inspect_hdu(file, hdu)).collect(),
        trailing: file.trailing(),
        refusal: None,
    }
}

fn inspect_hdu(file: &FitsFile, hdu: &Hdu) -> HduInspection {
    let name = name(hdu);
    let mut report = Json::object([
        ("index", Json::from(u64::from(hdu.index.0))),
        ("class", Json::from(class(hdu))),
        ("name", Json::from(name.as_str())),
        ("header", header::report(hdu.image_header())),
    ]);
    if let Some(compression) = image::compression(file, hdu) {
        report.add("compression", compression);
    }
    if hdu.kind == HduKind::CompressedTable {
        report.add("ztable_compressed", Json::Logical(true));
    }
    let mut checks = None;
    let refusal = match contents(file, hdu, &mut checks) {
        Ok(Some((member, contents))) => {
            report.add(member, contents);
            None
        }
        Ok(None) => None,
        Err(error) => Some(InspectionRefusal::of(&error.fault)),
    };
    if let Some(refusal) = &refusal {
        report.add("refusal", refusal.to_json());
    }
    if let Some(verdicts) = checks.as_ref().and_then(verdicts) {
        report.add("checks", verdicts);
    }
    HduInspection { index: hdu.index, kind: hdu.kind, name, checks, refusal, report }
}

/// Reports `image` or `table` with its contents; nothing for a header alone.
fn contents(
    file: &FitsFile,
    hdu: &Hdu,
    checks: &mut Option<ChecksumReport>,
) -> Result<Option<(&'static str, Json)>, FitsError> {
    let verified = checksum::verify(file, hdu.index)?;
    let fault = verified.fault();
    *checks = Some(verified);
    if let Some(fault) = fault {
        return Err(file.error_in(hdu.index, fault));
    }
    match hdu.kind {
        HduKind::NoData => Ok(None),
        HduKind::Image | HduKind::CompressedImage => Ok(Some(("image", image::report(file, hdu)?))),
        HduKind::BinTable | HduKind::AsciiTable | HduKind::CompressedTable => {
            Ok(Some(("table", table::report(file, hdu)?)))
        }
        HduKind::RandomGroups => Err(file.error_in(hdu.index, FitsFault::RandomGroups)),
        HduKind::Other => {
            let kind = hdu.header.text("XTENSION").unwrap_or_default().to_owned();
            Err(file.error_in(hdu.index, FitsFault::UnknownExtension(kind)))
        }
    }
}

/// Reports `match` or `mismatch` for each of the two keywords that is present.
fn verdicts(checks: &ChecksumReport) -> Option<Json> {
    let mut json = Json::object([]);
    for (name, verdict) in [("datasum", &checks.datasum), ("checksum", &checks.checksum)] {
        match verdict {
            Verdict::Absent => {}
            Verdict::Match => json.add(name, Json::from("match")),
            Verdict::Mismatch { .. } => json.add(name, Json::from("mismatch")),
        }
    }
    (json != Json::object([])).then_some(json)
}

fn name(hdu: &Hdu) -> String {
    match hdu.name() {
        Some(name) => name.to_owned(),
        None if hdu.kind == HduKind::CompressedImage => "COMPRESSED_IMAGE".to_owned(),
        None if hdu.index == HduIndex(0) && hdu.kind != HduKind::Other => "PRIMARY".to_owned(),
        None => String::new(),
    }
}

/// Returns astropy's name for the class of HDU.
fn class(hdu: &Hdu) -> &'static str {
    match hdu.kind {
        HduKind::NoData | HduKind::Image if hdu.index == HduIndex(0) => "PrimaryHDU",
        HduKind::NoData | HduKind::Image => "ImageHDU",
        HduKind::CompressedImage => "CompImageHDU",
        HduKind::BinTable | HduKind::CompressedTable => "BinTableHDU",
        HduKind::AsciiTable => "TableHDU",
        HduKind::RandomGroups => "GroupsHDU",
        HduKind::Other if hdu.fault == Some(FitsFault::NotStandard) => "_NonstandardHDU",
        HduKind::Other if hdu.fault.is_some() => "_CorruptedHDU",
        HduKind::Other => "NonstandardExtHDU",
    }
}

impl Inspection {
    /// Returns one object: `size`, `format`, `nhdus`, `hdus`; or `refusal`.
    pub fn to_json(&self) -> Json {
        let mut json = Json::object([]);
        if let Some(bytes) = self.bytes {
            json.add("size", Json::from(bytes));
        }
        match &self.refusal {
            Some(refusal) => json.add("refusal", refusal.to_json()),
            None => {
                json.add("format", Json::from("fits"));
                json.add("nhdus", Json::from(self.hdus.len() as u64));
                if let Some(trailing) = &self.trailing {
                    json.add("trailing", Json::from(trailing.to_string().as_str()));
                }
                json.add(
                    "hdus",
                    Json::List(self.hdus.iter().map(|hdu| hdu.report.clone()).collect()),
                );
            }
        }
        json
    }
}
