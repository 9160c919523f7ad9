//! Zero points: keywords that may hold one, tested where a catalogue has magnitudes beside its fluxes.

use super::super::dictionary::Dictionary;
use super::super::measures;
use super::columns::Columns;
use super::sample::{Sample, SampleHdu};
use super::text::{comment, quoted};
use fits::{FitsFile, HduIndex, Limits};
use std::fmt::Write as _;

/// Catalogues that are tested.
const MAX_TESTED: usize = 5;
/// Difference up to which a keyword agrees with the magnitudes.
const TOLERANCE: f64 = 0.01;

/// Columns of magnitudes and the fluxes they are of.
const FLUXES: [(&str, &str); 5] = [
    ("kron_mag", "kron_flux"),
    ("iso_mag", "iso_flux"),
    ("petro_mag", "petro_flux"),
    ("psf_mag", "psf_flux"),
    ("aper_mag_no_aper_corr1", "aper_flux1"),
];

/// A keyword with a value, in the image or in the catalogue.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    keyword: String,
    value: f64,
    is_in_image: bool,
}

/// The reference of a zero point that agrees with magnitudes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reference {
    Frame,
    Second,
}

/// Returns the lines about zero points: the columns' keywords, and the section `catalogue.photometry`.
pub(super) fn sections(
    pairs: &[(&Sample, &Sample)],
    columns: Option<&Columns<'_>>,
) -> (String, String) {
    let mut evidence = String::new();
    let mut agreed: Vec<(Held, Reference)> = Vec::new();
    let mut held: Vec<Held> = Vec::new();
    for (image, catalogue) in pairs.iter().take(MAX_TESTED) {
        let own = held_by(image, catalogue);
        let exposure = exposure_s(image, catalogue);
        if let Some((constant, scatter, what)) = columns.and_then(|c| fitted(catalogue, c)) {
            let line = format!(
                "{}: {what} is a constant of {constant:.4}, 95 % within {scatter:.4}",
                catalogue.name
            );
            evidence += &comment(&line);
            agreed.extend(own.iter().flat_map(|one| {
                let references = agreeing(one.value, constant, exposure);
                references.into_iter().map(|reference| (one.clone(), reference))
            }));
        }
        for one in own {
            if !held
                .iter()
                .any(|known| known.keyword == one.keyword && known.is_in_image == one.is_in_image)
            {
                held.push(one);
            }
        }
    }
    for Held { keyword, value, is_in_image } in &held {
        let place = if *is_in_image { "the image" } else { "the catalogue" };
        evidence += &comment(&format!("{keyword} = {value} in {place}"));
    }
    let mut kinds: Vec<(String, bool, Reference)> =
        agreed.into_iter().map(|(one, r)| (one.keyword, one.is_in_image, r)).collect();
    kinds.sort();
    kinds.dedup();
    let mut keywords = kinds.iter().map(|(keyword, ..)| keyword);
    let first = keywords.next();
    let is_one_keyword = keywords.all(|other| Some(other) == first);
    let mut references = kinds.iter().map(|(.., reference)| reference);
    let reference = references.next();
    let is_one_reference = references.all(|other| Some(other) == reference);
    written(&kinds, is_one_keyword && is_one_reference, &evidence)
}

/// Returns the two texts for the keywords that agree.
fn written(
    kinds: &[(String, bool, Reference)],
    is_clear: bool,
    evidence: &str,
) -> (String, String) {
    let photometry = String::from("[catalogue.photometry]\n");
    let mut columns = String::new();
    let Some((keyword, _, reference)) = kinds.first().filter(|_| is_clear) else {
        let todo = match kinds.len() {
            0 => {
                "TODO: no keyword is confirmed as the zero point: set column.multiframe_detector.phot_zp_ext and zero_point; until then magnitudes are NULL"
            }
            _ => {
                "TODO: more than one keyword, or both references, agree with the magnitudes: set phot_zp_ext and zero_point; until then magnitudes are NULL"
            }
        };
        columns += evidence;
        let fitting: Vec<String> =
            kinds.iter().map(|(k, _, r)| format!("{k} per {r:?}").to_lowercase()).collect();
        if !fitting.is_empty() {
            columns += &comment(&format!("agree: {}", fitting.join(", ")));
        }
        // Without these lines the keywords of the definitions would be taken unseen.
        columns += "phot_zp_ext = { keywords = [] }\nphot_zp_cat = { keywords = [] }\n";
        return (
            columns,
            format!("{photometry}{}missing_zero_point = \"null\"\n{}", comment(todo), extinction()),
        );
    };
    columns += evidence;
    let is_in = |in_image: bool| kinds.iter().any(|(_, is_in_image, _)| *is_in_image == in_image);
    for (column, in_image) in [("phot_zp_ext", true), ("phot_zp_cat", false)] {
        let list = if is_in(in_image) { quoted(keyword) } else { String::new() };
        let _ = writeln!(columns, "{column} = {{ keywords = [{list}] }}");
    }
    let reference = match reference {
        Reference::Frame => "frame",
        Reference::Second => "second",
    };
    let told = comment(&format!(
        "{keyword} agrees with the magnitudes of the catalogues, per {reference}"
    ));
    (columns, format!("{photometry}{told}zero_point = \"{reference}\"\n{}", extinction()))
}

fn extinction() -> String {
    let note =
        comment("TODO: extinction in mag per airmass; it counts for zero_point = \"second\" alone");
    format!("{note}default_extinction = 0.0\n")
}

/// Returns the references by which a keyword's value is the constant between magnitudes and fluxes.
fn agreeing(value: f64, constant: f64, exposure_s: Option<f64>) -> Vec<Reference> {
    let mut references = Vec::new();
    if (constant - value).abs() < TOLERANCE {
        references.push(Reference::Frame);
    }
    if exposure_s.is_some_and(|t| (constant - value - 2.5 * t.log10()).abs() < TOLERANCE) {
        references.push(Reference::Second);
    }
    references
}

/// Returns the keywords that may hold a zero point, with values that can be one.
fn held_by(image: &Sample, catalogue: &Sample) -> Vec<Held> {
    let mut held = Vec::new();
    for keyword in Dictionary::shipped().keywords("zero_point") {
        let in_image = image.value(&keyword).map(|(value, _)| (value, true));
        let tables = catalogue.hdus.iter().filter(|hdu| hdu.is_table() || hdu.number == 0);
        let in_catalogue = tables.filter_map(|hdu| hdu.value(&keyword)).next().map(|v| (v, false));
        for (value, is_in_image) in in_image.into_iter().chain(in_catalogue) {
            if let Ok(value) = value.parse::<f64>() {
                held.push(Held { keyword: keyword.clone(), value, is_in_image });
            }
        }
    }
    held
}

fn exposure_s(image: &Sample, catalogue: &Sample) -> Option<f64> {
    let keywords = Dictionary::shipped().keywords("exposure");
    let value =
        |sample: &Sample| keywords.iter().find_map(|k| sample.value(k)?.0.parse::<f64>().ok());
    value(image).or_else(|| value(catalogue)).filter(|seconds| *seconds > 0.0)
}

/// Returns mag + 2.5 log10(flux) of the first pair of columns: median, 95 % of the distances from it, and the columns.
fn fitted(catalogue: &Sample, columns: &Columns<'_>) -> Option<(f64, f64, String)> {
    let fits = FitsFile::open(&catalogue.path, &Limits::default()).ok()?;
    catalogue.tables().find_map(|hdu| fitted_hdu(&fits, hdu, columns))
}

fn fitted_hdu(
    fits: &FitsFile,
    hdu: &SampleHdu,
    columns: &Columns<'_>,
) -> Option<(f64, f64, String)> {
    const MIN_ROWS: usize = 5;
    let table = fits.table(HduIndex(hdu.number)).ok()?;
    let read = |name: &str| {
        let column = table.column(name).filter(|c| c.repeat == 1)?;
        measures::numbers(&table, column)
    };
    let dictionary = Dictionary::shipped().magnitudes();
    for (magnitude, flux) in FLUXES {
        let names =
            dictionary.iter().find(|(column, _)| *column == magnitude).map(|(_, names)| names);
        let found = names.into_iter().flatten().find_map(|name| Some((name, read(name)?)));
        let fluxes = columns.spelling(flux).and_then(|name| Some((name, read(name)?)));
        let (Some((mag_name, mags)), Some((flux_name, fluxes))) = (found, fluxes) else { continue };
        let constants: Vec<f64> = mags
            .iter()
            .zip(&fluxes)
            .filter(|(mag, flux)| mag.abs() < 90.0 && **flux > 0.0)
            .map(|(mag, flux)| mag + 2.5 * flux.log10())
            .collect();
        if constants.len() < MIN_ROWS {
            continue;
        }
        let constant = measures::quantile(constants.clone(), 0.5);
        let far = constants.iter().map(|c| (c - constant).abs()).collect();
        let scatter = measures::quantile(far, 0.95);
        // Of other fluxes the magnitudes scatter.
        if scatter < 0.05 {
            return Some((constant, scatter, format!("{mag_name} + 2.5 log10({flux_name})")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposure_decides_between_references() {
        assert_eq!(agreeing(25.0, 25.0, Some(10.0)), [Reference::Frame]);
        assert_eq!(agreeing(22.5, 25.0, Some(10.0)), [Reference::Second]);
        assert_eq!(agreeing(25.0, 25.0, Some(1.0)), [Reference::Frame, Reference::Second]);
        assert_eq!(agreeing(24.0, 25.0, Some(10.0)), []);
    }

    #[test]
    fn nothing_is_said_without_a_clear_keyword() {
        let kind = |keyword: &str, reference| (keyword.to_owned(), true, reference);
        let (columns, photometry) = written(&[kind("L1ZP", Reference::Second)], true, "");
        assert_eq!(
            columns,
            "phot_zp_ext = { keywords = [\"L1ZP\"] }\nphot_zp_cat = { keywords = [] }\n"
        );
        assert!(photometry.contains("zero_point = \"second\""), "{photometry}");
        for (kinds, is_clear) in [
            (vec![], true),
            (vec![kind("ZP", Reference::Frame), kind("ZP", Reference::Second)], false),
        ] {
            let (columns, photometry) = written(&kinds, is_clear, "# evidence\n");
            assert!(columns.contains("phot_zp_ext = { keywords = [] }"), "{columns}");
            assert!(
                photometry.contains("TODO") && !photometry.contains("\nzero_point ="),
                "{photometry}"
            );
        }
    }
}
