//! The survey profiles of registered files, chosen again by their headers: for profiles that were added or changed after the
//! files had arrived.
//!
//! Start at [`reprofile`]. The files keep their identities. What depends on another profile is requested again, and the next
//! `run` does it by the usual rounds. [`fits_of`] returns the reasons for the choice.
//! A choice reads the headers of a file; only a file with another profile is examined in full.

use super::fetching::{identified, profile_of, survey_of};
use crate::site::{self, Archive, Site};
use archive::Reader;
use archive::history::Cause;
use archive::registration::{ProfiledFile, Recorded};
use fits::{FitsFile, Limits};
use model::profile::{Identifying, ProfileFit, SurveyProfile};
use model::{DeliveryName, FileKind, SurveyName};
use std::path::Path;
use transfer::Sample;

/// The files whose profiles are chosen again.
#[derive(Clone, Debug)]
pub struct Which<'a> {
    /// Their delivery.
    pub delivery: &'a DeliveryName,
    /// Names within the delivery; empty for all.
    pub files: &'a [String],
    /// True when images whose profile stays are redone too.
    pub is_again: bool,
}

/// A file that gets another profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileChange {
    /// Name within the delivery.
    pub file: String,
    /// The profile until now.
    pub before: Option<SurveyName>,
    /// The profile from now on.
    pub after: SurveyName,
    /// The reason for the choice.
    pub why: String,
}

/// The result of choosing profiles again.
#[derive(Clone, Debug, Default)]
pub struct Rechosen {
    /// Files with another profile, by name.
    pub changes: Vec<ProfileChange>,
    /// Number of files whose profile stays.
    pub unchanged: u64,
    /// Number of images that are redone although their profile stays.
    pub redone: u64,
    /// Files that keep their profile because no other can be chosen, each with the reason.
    pub undecided: Vec<(String, String)>,
    /// The record of the changes.
    pub recorded: Recorded,
}

/// Chooses the profiles of registered files again, and requests all products of the images concerned.
///
/// # Errors
/// `Kind::Gate` when the archive does not know the delivery, and when the archive fails.
pub fn reprofile(
    site: &Site,
    archive: &mut Archive,
    which: &Which<'_>,
    cause: &Cause,
) -> anyhow::Result<Rechosen> {
    let profiles = profiles_of(site)?;
    let mut rechosen = Rechosen::default();
    let (mut changed, mut redone) = (Vec::new(), Vec::new());
    for file in archive.profiled_files(which.delivery)? {
        if !which.files.is_empty() && !which.files.contains(&file.name) {
            continue;
        }
        let path = site.place.library_file(&file.path);
        match choose(&profiles, &path, &file) {
            Choice::Same => {
                rechosen.unchanged += 1;
                if which.is_again && file.kind == FileKind::Image {
                    redone.push(file.file_id);
                }
            }
            Choice::Undecided(why) => rechosen.undecided.push((file.name, why)),
            Choice::Other(after, why) => {
                let survey_of = |sample: &Sample<'_>| survey_of(&profiles, sample);
                changed.push((
                    file.file_id,
                    transfer::examine::examine(&path, &file.name, &survey_of),
                ));
                let ProfiledFile { name, survey: before, .. } = file;
                rechosen.changes.push(ProfileChange { file: name, before, after, why });
            }
        }
    }
    rechosen.redone = redone.len() as u64;
    if !changed.is_empty() || !redone.is_empty() {
        rechosen.recorded = register::reprofile(
            which.delivery,
            &changed,
            &redone,
            &profiles,
            archive,
            (cause, site::now()),
        )?;
    }
    Ok(rechosen)
}

/// The profile of a file by its headers now.
enum Choice {
    Same,
    Other(SurveyName, String),
    /// No profile can be chosen, for a reason.
    Undecided(String),
}

fn choose(profiles: &[SurveyProfile], path: &Path, file: &ProfiledFile) -> Choice {
    let fits = match open(profiles, path, &file.name) {
        Ok(fits) => fits,
        // A file that is no FITS file has no profile.
        Err(_) if file.kind == FileKind::Other => return Choice::Same,
        Err(why) => return Choice::Undecided(why),
    };
    let Some(sample) = sample(&file.name, &fits) else { return Choice::Same };
    match profile_of(profiles, &sample) {
        Some(profile) if file.survey.as_ref() == Some(&profile.name) => Choice::Same,
        Some(profile) => {
            let why = model::profile::reasons_in_words(&fits_in(profiles, &file.name, &fits));
            Choice::Other(profile.name.clone(), why)
        }
        None if file.survey.is_none() => Choice::Same,
        None => Choice::Undecided("no survey profile of the site fits it".to_owned()),
    }
}

/// Returns a file that has been read as its profile is looked up.
fn sample<'a>(name: &'a str, file: &'a FitsFile) -> Option<Sample<'a>> {
    let primary = &file.hdus().first()?.header;
    Some(Sample { name, primary, file: Some(file) })
}

fn open(profiles: &[SurveyProfile], path: &Path, name: &str) -> Result<FitsFile, String> {
    let limits_of =
        |primary: &fits::Header| survey_of(profiles, &Sample { name, primary, file: None }).limits;
    FitsFile::open_choosing(path, &Limits::default(), &limits_of)
        .map_err(|error| model::one_line(&error))
}

fn profiles_of(site: &Site) -> anyhow::Result<Vec<SurveyProfile>> {
    Ok(site.profiles()?.into_iter().map(|loaded| loaded.profile).collect())
}

/// Passes on a file that has been read as the rules see it that select its profile; `None` for a file without HDUs.
pub fn identified_file<T>(
    name: &str,
    file: &FitsFile,
    then: impl FnOnce(&Identifying<'_>) -> T,
) -> Option<T> {
    Some(identified(&sample(name, file)?, then))
}

/// Returns the profiles with the reasons why a file gets one of them.
pub fn fits_in(profiles: &[SurveyProfile], name: &str, file: &FitsFile) -> Vec<ProfileFit> {
    let fits = identified_file(name, file, |file| model::profile::reasons(profiles, file));
    fits.unwrap_or_default()
}

/// Returns the profiles with the reasons why the file at a path gets one of them; none for a file that cannot be read.
pub fn fits_at(profiles: &[SurveyProfile], path: &Path) -> Vec<ProfileFit> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    open(profiles, path, &name).map(|file| fits_in(profiles, &name, &file)).unwrap_or_default()
}

/// The profile of a registered file, and the choice that the site's profiles make now.
#[derive(Clone, Debug)]
pub struct FileProfile {
    /// Its profile.
    pub survey: Option<SurveyName>,
    /// The profiles of the site with their reasons, the chosen one first; empty when the file cannot be read.
    pub fits: Vec<ProfileFit>,
}

impl FileProfile {
    /// Returns true when the profiles of the site choose another one.
    pub fn is_other(&self) -> bool {
        let chosen = self.fits.iter().find(|fit| fit.is_chosen);
        chosen.is_some_and(|fit| self.survey.as_ref().is_none_or(|survey| *survey != fit.profile))
    }

    /// Returns the profile and the reasons in words.
    pub fn in_words(&self) -> String {
        let survey = self.survey.as_ref().map_or("none", |survey| survey.as_str());
        if self.fits.is_empty() {
            return format!("profile {survey}");
        }
        let choice = model::profile::reasons_in_words(&self.fits);
        if self.is_other() { format!("profile {survey}; now {choice}") } else { choice }
    }
}

/// Returns the profile of the current file of a name; `None` for files other than FITS.
///
/// # Errors
/// When the archive fails, or a profile of the site is faulty.
pub fn fits_of(
    site: &Site,
    archive: &Reader,
    (delivery, name): (&DeliveryName, &str),
) -> anyhow::Result<Option<FileProfile>> {
    let Some(file) = archive.profiled_file(delivery, name)? else { return Ok(None) };
    let profiles = profiles_of(site)?;
    let opened = open(&profiles, &site.place.library_file(&file.path), name).ok();
    if file.survey.is_none() && opened.is_none() {
        return Ok(None);
    }
    let fits = opened.map(|file| fits_in(&profiles, name, &file)).unwrap_or_default();
    Ok(Some(FileProfile { survey: file.survey, fits }))
}
