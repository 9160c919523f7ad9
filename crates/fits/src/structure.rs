//! Kind and size of an HDU, from its mandatory keywords (FITS 4.0, sections 4.4.1 and 7).

use crate::card::Value;
use crate::error::FitsFault;
use crate::hdu::HduKind;
use crate::header::Header;

/// Kind, pixel type and size, from the mandatory keywords alone.
pub(crate) struct Structure {
    pub kind: HduKind,
    pub bitpix: i64,
    pub axes: Vec<u64>,
    pub data_bytes: u64,
}

/// Reads the mandatory keywords, which must be in their places; `primary` is true for the first HDU of a file.
pub(crate) fn of_header(header: &Header, primary: bool) -> Result<Structure, FitsFault> {
    let extension = if primary { None } else { Some(extension_type(header)?) };
    if primary {
        check_simple(header)?;
    }
    check_repeated(header)?;
    let bitpix = in_place(header, 2, "BITPIX")?;
    if !matches!(bitpix, 8 | 16 | 32 | 64 | -32 | -64) {
        return Err(bad_value("BITPIX", bitpix, "not a FITS pixel type"));
    }
    let naxis = in_place(header, 3, "NAXIS")?;
    if !(0..=999).contains(&naxis) {
        return Err(bad_value("NAXIS", naxis, "not a number of axes, 0 to 999"));
    }
    let mut axes = Vec::new();
    for axis in 1..=naxis as usize {
        let keyword = format!("NAXIS{axis}");
        let length = in_place(header, 3 + axis, &keyword)?;
        axes.push(not_negative(&keyword, length)?);
    }
    let is_groups = primary
        && axes.first() == Some(&0)
        && header.logical("GROUPS").ok().flatten() == Some(true);
    let kind = match extension {
        _ if is_groups => HduKind::RandomGroups,
        None | Some("IMAGE") if naxis == 0 => HduKind::NoData,
        None | Some("IMAGE") => HduKind::Image,
        Some("TABLE") => HduKind::AsciiTable,
        Some("BINTABLE" | "A3DTABLE") => binary_table(header),
        Some(_) => HduKind::Other,
    };
    let (pcount, gcount) = counts(header, extension.is_some() || is_groups)?;
    if matches!(
        kind,
        HduKind::AsciiTable
            | HduKind::BinTable
            | HduKind::CompressedImage
            | HduKind::CompressedTable
    ) {
        check_table(bitpix, naxis, gcount)?;
    }
    let pixels =
        product(if is_groups { &axes[1..] } else { &axes }).ok_or(FitsFault::SizeOverflow)?;
    let data_bytes = pixels
        .checked_add(pcount)
        .and_then(|elements| elements.checked_mul(gcount))
        .and_then(|elements| elements.checked_mul(bitpix.unsigned_abs() / 8))
        .filter(|&bytes| bytes < i64::MAX as u64)
        .ok_or(FitsFault::SizeOverflow)?;
    Ok(Structure { kind, bitpix, axes, data_bytes })
}

/// Returns the number of elements that the axes span; no axes span none.
fn product(axes: &[u64]) -> Option<u64> {
    if axes.is_empty() || axes.contains(&0) {
        return Some(0);
    }
    axes.iter().try_fold(1_u64, |product, &length| product.checked_mul(length))
}

fn check_simple(header: &Header) -> Result<(), FitsFault> {
    match header.cards().next().and_then(|card| card.value()) {
        Some(Value::Logical(true)) => Ok(()),
        Some(Value::Logical(false)) => Err(FitsFault::NotStandard),
        _ => Err(FitsFault::WrongType {
            keyword: "SIMPLE".into(),
            found: header.cards().next().map(|card| card.written()).unwrap_or_default(),
            wanted: "T or F",
        }),
    }
}

fn extension_type(header: &Header) -> Result<&str, FitsFault> {
    if header.cards().next().is_none_or(|card| card.keyword() != "XTENSION") {
        return Err(FitsFault::KeywordOrder { keyword: "XTENSION".into(), card: 1 });
    }
    header.text("XTENSION").ok_or_else(|| FitsFault::WrongType {
        keyword: "XTENSION".into(),
        found: header.card("XTENSION").map(|card| card.written()).unwrap_or_default(),
        wanted: "a string",
    })
}

fn binary_table(header: &Header) -> HduKind {
    let is_true = |keyword: &str| header.logical(keyword).ok().flatten() == Some(true);
    match () {
        () if is_true("ZIMAGE") => HduKind::CompressedImage,
        () if is_true("ZTABLE") => HduKind::CompressedTable,
        () => HduKind::BinTable,
    }
}

fn check_table(bitpix: i64, naxis: i64, gcount: u64) -> Result<(), FitsFault> {
    if bitpix != 8 {
        return Err(bad_value("BITPIX", bitpix, "not 8, as a table needs"));
    }
    if naxis != 2 {
        return Err(bad_value("NAXIS", naxis, "not 2, as a table needs"));
    }
    if gcount != 1 {
        return Err(bad_value("GCOUNT", gcount as i64, "not 1, as a table needs"));
    }
    Ok(())
}

/// Reads PCOUNT and GCOUNT; they are ignored where they are not mandatory.
fn counts(header: &Header, mandatory: bool) -> Result<(u64, u64), FitsFault> {
    if !mandatory {
        return Ok((0, 1));
    }
    let count = |keyword: &str| {
        let value = header.integer(keyword)?;
        not_negative(keyword, value.ok_or_else(|| FitsFault::MissingKeyword(keyword.to_owned()))?)
    };
    Ok((count("PCOUNT")?, count("GCOUNT")?))
}

/// Refuses mandatory keywords that occur twice with different values, which leave the structure undefined.
fn check_repeated(header: &Header) -> Result<(), FitsFault> {
    for keyword in header.duplicates() {
        let structural =
            matches!(keyword, "SIMPLE" | "XTENSION" | "BITPIX" | "PCOUNT" | "GCOUNT" | "TFIELDS")
                || keyword
                    .strip_prefix("NAXIS")
                    .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        if !structural {
            continue;
        }
        let mut values = header.values(keyword);
        let first = values.next();
        if values.any(|value| Some(value) != first) {
            return Err(FitsFault::Contradiction { keyword: keyword.to_owned() });
        }
    }
    Ok(())
}

/// Returns the whole number of a keyword that must be card `number` (from 1).
fn in_place(header: &Header, number: usize, keyword: &str) -> Result<i64, FitsFault> {
    let value =
        header.integer(keyword)?.ok_or_else(|| FitsFault::MissingKeyword(keyword.to_owned()))?;
    let is_in_place = header.cards().nth(number - 1).is_some_and(|card| card.keyword() == keyword);
    if is_in_place {
        Ok(value)
    } else {
        Err(FitsFault::KeywordOrder { keyword: keyword.to_owned(), card: number })
    }
}

pub(crate) fn not_negative(keyword: &str, found: i64) -> Result<u64, FitsFault> {
    u64::try_from(found).map_err(|_| FitsFault::Negative { keyword: keyword.to_owned(), found })
}

pub(crate) fn bad_value(keyword: &str, found: i64, problem: &'static str) -> FitsFault {
    FitsFault::BadValue { keyword: keyword.to_owned(), found: found.to_string(), problem }
}
