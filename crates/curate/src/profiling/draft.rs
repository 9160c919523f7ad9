//! A draft of a profile from a directory of files: guesses, each with its evidence in a comment, `TODO` where it is not clear.
//!
//! `sample` reads the files, the other modules write a section each, and the modes of pairing are tried by trials of the whole
//! draft and judged by the WCS. Zero point, origin of pixels, units and row numbers are never guessed: they are set when the data
//! confirm them.

mod columns;
mod headers;
mod naming;
mod roles;
mod sample;
mod text;
mod zero_point;

use super::candidates::{self, Candidates};
use super::delivered;
use super::measures::{self, Offsets};
use super::trial::Trial;
use crate::profiles::Loaded;
use columns::Columns;
use model::profile::SurveyProfile;
use naming::Naming;
use sample::{Sample, SampleHdu, counted};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use text::{comment, quoted, word};

/// Ids from which on a draft takes one that no shipped profile has.
const FIRST_SURVEY: i32 = 20;
const FIRST_PROGRAMME: i32 = 2000;

/// The section for nights by the dates of exposures.
const NIGHT: &str =
    "[night]\nfrom = \"date_obs\"\nnoon = 12.0\nutc_offset_h = 0.0 # TODO: local time minus UTC\n";

/// Shift in pixels from which on trials refuse a table.
const TRIAL_LIMIT_PX: f64 = 2.5;

/// Greatest median distance in pixels at which a table is that of a detector; another origin of pixels is within it.
const MAX_OFFSET_PX: f64 = 1.6;

/// Returns the draft of a profile for the most frequent camera of a directory. `None` when a signal requested a stop.
///
/// # Errors
/// `Kind::Gate` for a directory without FITS images, and failures of the machine.
pub fn draft(
    directory: &Path,
    name: Option<&str>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Option<String>> {
    let (samples, unread) = sample::read(directory)?;
    let Some(facts) = Facts::of(directory, &samples, unread, name) else {
        let place = directory.display();
        return Err(crate::failure::gate(format!("{place} has no FITS file with an image")));
    };
    let mut best: Option<(Tried, &str)> = None;
    let mut evidence = String::new();
    for mode in facts.modes() {
        let text = facts.text(mode, None, "");
        let Some(tried) = tried(&text, directory, stop) else { return Ok(None) };
        let tried = match tried {
            Ok(tried) => tried,
            Err(fault) => {
                evidence +=
                    &comment(&format!("TODO: pairing = {mode} could not be tried: {fault:#}"));
                continue;
            }
        };
        evidence += &comment(&format!("pairing = {mode}: {}", tried.in_words()));
        if best.as_ref().is_none_or(|(known, _)| tried.score() > known.score()) {
            best = Some((tried, mode));
        }
    }
    let mode = best.as_ref().map_or("\"order\"", |(_, mode)| *mode);
    let median = best.as_ref().and_then(|(tried, _)| tried.median());
    let text = facts.text(mode, median, &evidence);
    let faults = SurveyProfile::parse(&text).err();
    let faults = faults
        .map(|f| f.to_string().lines().map(|l| comment(&format!("TODO: {l}"))).collect::<String>());
    Ok(Some(faults.unwrap_or_default() + &text))
}

/// The result of a trial of a draft.
#[derive(Clone, Debug, Default)]
struct Tried {
    /// Tables whose rows are in the archive, and those rows.
    tables: usize,
    rows: i64,
    /// Offsets of the tables with sky columns.
    offsets: Vec<Offsets>,
}

impl Tried {
    /// Returns the number of tables that the WCS confirms, then the number of rows.
    fn score(&self) -> (usize, i64) {
        let fits = |o: &&Offsets| o.median.iter().all(|d| d.abs() <= MAX_OFFSET_PX);
        (self.offsets.iter().filter(fits).count(), self.rows)
    }

    /// Returns the median offset of all tables that the WCS confirms.
    fn median(&self) -> Option<[f64; 2]> {
        let fits = |o: &&Offsets| o.median.iter().all(|d| d.abs() <= MAX_OFFSET_PX);
        let axis = |n: usize| self.offsets.iter().filter(fits).map(|o| o.median[n]).collect();
        let median = [measures::quantile(axis(0), 0.5), measures::quantile(axis(1), 0.5)];
        median.iter().all(|d| d.is_finite()).then_some(median)
    }

    fn in_words(&self) -> String {
        let place = match self.median() {
            Some([dx, dy]) => format!(
                "the sky columns of {} are {dx:+.2}, {dy:+.2} pixels in the median from the WCS",
                self.score().0
            ),
            None => "no sky columns confirm it".to_owned(),
        };
        format!("{} tables, {} rows; {place}", self.tables, self.rows)
    }
}

/// Runs a draft. `None` when a signal requested a stop.
fn tried(text: &str, directory: &Path, stop: &Arc<AtomicBool>) -> Option<anyhow::Result<Tried>> {
    // Tables whose pixels may count from another number are measured, not refused.
    const SECTION: &str = "[catalogue.position]\n";
    let limit = format!("{SECTION}refuse_above_px = {TRIAL_LIMIT_PX}\n");
    let text = text.replacen(SECTION, &limit, 1);
    let run = || -> anyhow::Result<Option<Tried>> {
        let profile = SurveyProfile::parse(&text)?;
        let mut others = candidates::shipped();
        others.retain(|one| !profile.fallback || !one.profile.fallback);
        let candidates = Candidates::of(Loaded { profile, text: text.clone() }, others)?;
        let Some(trial) = Trial::run(&candidates, directory, stop)? else { return Ok(None) };
        let files = delivered::files(&trial, &candidates)?;
        let sets = measures::sets(&trial)?;
        let mut tried = Tried { tables: sets.len(), ..Tried::default() };
        let rows = trial.rows("SELECT count(*) FROM detection")?;
        tried.rows = rows.first().and_then(|row| row[0].as_i64()).unwrap_or(0);
        for set in sets {
            tried.offsets.extend(set.offsets(&trial, &files, &candidates)?);
        }
        Ok(Some(tried))
    };
    run().transpose()
}

/// The facts of a directory from which a draft is written.
struct Facts<'s> {
    name: String,
    directory: String,
    groups: String,
    images: Vec<&'s Sample>,
    own: Vec<Sample>,
    naming: Naming,
    columns: Option<Columns<'s>>,
    are_in_images: bool,
    zero_points: (String, String),
}

impl<'s> Facts<'s> {
    /// Finds the facts of the most frequent camera; `None` without images.
    fn of(
        directory: &Path,
        samples: &'s [Sample],
        unread: usize,
        name: Option<&str>,
    ) -> Option<Self> {
        let all_images = || samples.iter().filter(|sample| sample.is_image());
        let cameras = counted(all_images().map(camera));
        let (chosen, _) = cameras.first()?.clone();
        let images: Vec<&Sample> = all_images().filter(|image| camera(image) == chosen).collect();
        let all = Naming::of(samples);
        // A catalogue belongs to the camera of its image; without one it may be of any.
        let is_own = |sample: &&Sample| match sample.is_image() {
            true => camera(sample) == chosen,
            false => all
                .pairs
                .iter()
                .find(|(_, catalogue)| *catalogue == sample.name)
                .is_none_or(|(image, _)| images.iter().any(|i| i.name == *image)),
        };
        let own_refs: Vec<&Sample> = samples.iter().filter(is_own).collect();
        let own: Vec<Sample> = own_refs.iter().map(|sample| (*sample).clone()).collect();
        let naming = Naming::of(&own);
        let are_in_images = roles::are_in_images(&images);
        let has_catalogues = own_refs.iter().any(|sample| sample.is_catalogue());
        let tables: Vec<&SampleHdu> = own_refs
            .iter()
            .filter(|sample| sample.is_catalogue() || (are_in_images && !has_catalogues))
            .flat_map(|sample| sample.tables())
            .collect();
        let columns = Columns::of(&tables);
        let find = |name: &str| own_refs.iter().copied().find(|sample| sample.name == name);
        let beside = naming.pairs.iter().filter_map(|(i, c)| Some((find(i)?, find(c)?)));
        let mut pairs: Vec<(&Sample, &Sample)> = beside.collect();
        if pairs.is_empty() && are_in_images {
            pairs = images.iter().map(|image| (*image, *image)).collect();
        }
        let zero_points = zero_point::sections(&pairs, columns.as_ref());
        let directory = std::path::absolute(directory).ok()?;
        let directory = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let default = word(&chosen, "survey").to_lowercase();
        Some(Self {
            name: name.map_or(default, str::to_owned),
            groups: groups(samples, &cameras, unread),
            directory,
            images,
            own,
            naming,
            columns,
            are_in_images: are_in_images && !has_catalogues,
            zero_points,
        })
    }

    /// Returns the modes of pairing to try; none without catalogues, one where there is nothing to choose.
    fn modes(&self) -> Vec<&'static str> {
        let has_several = self.own.iter().any(|s| s.is_catalogue() && s.tables().count() > 1);
        if self.columns.is_none() {
            return Vec::new();
        }
        let further = ["\"ldac\"", "{ keyword = \"CCDNUM\" }"];
        match has_several {
            true => ["\"order\"", "\"hdu\""].into_iter().chain(further).collect(),
            false => vec!["\"order\""],
        }
    }

    /// Returns the text of the draft with a mode of pairing, and the offset of rows from the WCS that it has.
    fn text(&self, mode: &str, median: Option<[f64; 2]>, evidence: &str) -> String {
        let (filters, filter_keyword) = headers::filters(&self.images);
        let programme_id = free_id(FIRST_PROGRAMME, |one| {
            one.profile.programmes.iter().map(|p| p.id.get()).collect()
        });
        let (projects, project_keyword) = headers::projects(&self.images, &self.name, programme_id);
        let renamed = [("filter_name", filter_keyword), ("project", project_keyword)];
        let samples: Vec<&Sample> = self.own.iter().collect();
        let mut text = self.head();
        text += &headers::match_rule(&self.images);
        text.push('\n');
        text += &self.naming.section(&self.directory, &self.own);
        text.push('\n');
        text += NIGHT;
        text.push('\n');
        text += &headers::frame_types(&self.images, &self.naming);
        text += &filters;
        text += &projects;
        text += &roles::section(&samples);
        text.push('\n');
        text += &headers::column_rules(&self.images, &renamed);
        text += "\n[column.multiframe_detector]\n";
        text += &self.zero_points.0;
        text.push('\n');
        text += &self.catalogue(mode, median, evidence);
        text += &columns::unmapped_keywords(&self.images, &text);
        text
    }

    fn head(&self) -> String {
        let survey = free_id(FIRST_SURVEY, |one| vec![one.profile.survey_id.get()]);
        let mut text = comment(&format!(
            "Draft of a profile, made of {} files. Comments are the evidence; decide each TODO, then check the profile.",
            self.own.len()
        ));
        text += &self.groups;
        let title = format!("{} (draft)", self.name);
        text + &format!(
            "name = {}\n{}survey_id = {survey}\ntitle = {}\n\n",
            quoted(&self.name),
            comment("TODO: an id that no other profile of the site has"),
            quoted(&title)
        )
    }

    /// Returns the sections about catalogues.
    fn catalogue(&self, mode: &str, median: Option<[f64; 2]>, evidence: &str) -> String {
        let Some(columns) = &self.columns else {
            return comment("no table of the directory may be a catalogue");
        };
        let mut text = format!("[catalogue]\n{}{evidence}pairing = {mode}\n", columns.required());
        if self.are_in_images {
            text += &comment("the catalogues are tables of the image files");
            text += "where = \"image\"\n";
        }
        text.push('\n');
        text += &columns.section();
        text += "\n[catalogue.position]\n";
        text += &self.origin(columns, median);
        text.push('\n');
        text += &self.zero_points.1;
        text.push('\n');
        text += &columns.unmapped();
        text
    }

    /// Returns the line about the origin of pixels, when the positions confirm one.
    fn origin(&self, columns: &Columns<'_>, median: Option<[f64; 2]>) -> String {
        let usual = columns.usual_origin();
        let usual = usual.map_or_else(String::new, |(origin, program)| {
            format!("; {program} counts pixels from {origin}")
        });
        let is_near =
            |offset: f64| median.is_some_and(|m| m.iter().all(|d| (d - offset).abs() < 0.3));
        let found = [(0, 1.0), (1, 0.0)].into_iter().find(|(_, offset)| is_near(*offset));
        match (found, median) {
            (Some((origin, _)), Some([dx, dy])) => {
                let told = format!(
                    "x and y count from {origin}: {dx:+.2}, {dy:+.2} pixels from the WCS{usual}"
                );
                comment(&told) + &format!("pixel_origin = {origin}\n")
            }
            (None, Some([dx, dy])) => comment(&format!(
                "TODO: pixel_origin: {dx:+.2}, {dy:+.2} pixels from the WCS is neither 0 nor 1{usual}"
            )),
            (_, None) => comment(&format!("TODO: pixel_origin: no position confirms it{usual}")),
        }
    }
}

/// Returns the camera of an image: INSTRUME without the digits at its end.
fn camera(image: &Sample) -> String {
    let value = image.value("INSTRUME").map_or("", |(value, _)| value);
    value.trim_end_matches(|c: char| c.is_ascii_digit()).to_uppercase()
}

/// Lists the groups of files by kind, form of the name and HDUs, and the other cameras.
fn groups(samples: &[Sample], cameras: &[(String, usize)], unread: usize) -> String {
    const MAX_GROUPS: usize = 30;
    let mut text = String::new();
    let kind = |sample: &Sample| match (sample.is_image(), sample.is_catalogue()) {
        (true, _) => "image",
        (_, true) => "catalogue",
        _ => "other",
    };
    let group = |sample: &Sample| {
        let name = sample.name.rsplit('/').next().unwrap_or_default();
        format!("{} {}: {}", kind(sample), naming::shape_of(name), sample.shape())
    };
    let all = counted(samples.iter().map(group));
    for (group, count) in all.iter().take(MAX_GROUPS) {
        text += &comment(&format!("  {count} files: {group}"));
    }
    if all.len() > MAX_GROUPS {
        text += &comment(&format!("  and {} other groups", all.len() - MAX_GROUPS));
    }
    for (camera, count) in cameras.iter().skip(1) {
        let camera = if camera.is_empty() { "none" } else { camera };
        text += &comment(&format!(
            "TODO: {count} images of another camera, INSTRUME {camera}, are not in this draft"
        ));
    }
    if unread > 0 {
        text += &comment(&format!("TODO: {unread} further files were not read"));
    }
    text
}

/// Returns the first number from `first` on that no shipped profile has.
fn free_id(first: i32, ids: impl Fn(&Loaded) -> Vec<i32>) -> i32 {
    let taken: Vec<i32> = candidates::shipped().iter().flat_map(ids).collect();
    (first..).find(|id| !taken.contains(id)).unwrap_or(first)
}
