//! Damaged and hostile files, each kind by name, with the expected outcome.
//!
//! A [`Damage`] builds its files from a sound stack and catalogue, and states the expected refusal, its extent, and the
//! module that finds it. The simulator plants them into a night, tests build them one by one.
//!
//! Start at [`all`]. A new kind is a row in one of the tables below it.

mod edit;
mod entry;
mod headers;
mod names;
mod packed;
mod rows;
mod sound;
mod tables;
mod tiles;

pub use entry::Entry;
pub use packed::bomb;
pub use sound::Sound;

use crate::spec::NightSpec;
use edit::Editor;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;

/// One kind of damage.
#[derive(Clone, Copy)]
pub struct Damage {
    /// Its name, snake case, unique.
    pub name: &'static str,
    /// The fault.
    pub description: &'static str,
    /// Code of the expected refusal.
    pub code: &'static str,
    /// The extent of the refusal.
    pub scope: Scope,
    /// The module that finds it.
    pub finder: Finder,
    build: Build,
}

/// The construction of the files.
#[derive(Clone, Copy)]
enum Build {
    /// From scratch.
    Files(fn(&Sound) -> Made),
    /// By changing the sound image; its catalogue is sound.
    Image(fn(&mut Editor) -> &mut Editor),
    /// By changing the sound catalogue; its image is sound.
    Catalogue(fn(&mut Editor) -> &mut Editor),
}

/// The extent of a delivery that a damage costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole file.
    File,
    /// One HDU (primary = 0); the others stay usable.
    Hdu(u16),
    /// A number of rows of an HDU.
    Rows(u16, u64),
    /// Nothing: it waits for a decision or another file.
    Parked,
}

/// The first module that must notice the damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finder {
    /// Listing and opening: the name, or the entry that exists instead of a file.
    Directory,
    /// Scanning headers and sums on arrival.
    Arrival,
    /// Decoding pixels.
    Pixels,
    /// Interpreting headers.
    Metadata,
    /// Reading tables.
    Catalogue,
}

/// Damaged files ready to be written.
#[derive(Clone, Debug)]
pub struct Made {
    /// Names and their entries. Several when the damage concerns more than one file.
    pub files: Vec<(OsString, Entry)>,
    /// The entry that is refused.
    pub culprit: OsString,
}

impl fmt::Debug for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Damage({} -> {}, {:?})", self.name, self.code, self.scope)
    }
}

impl Damage {
    /// Builds the files; the sound ones provide names and content.
    pub fn make(&self, sound: &Sound) -> Made {
        let edited = |bytes: &[u8], edit: fn(&mut Editor) -> &mut Editor| {
            let mut editor = Editor::of(bytes);
            edit(&mut editor);
            editor.bytes
        };
        match self.build {
            Build::Files(build) => build(sound),
            Build::Image(edit) => sound.with_image(edited(&sound.image, edit)),
            Build::Catalogue(edit) => sound.with_catalogue(edited(&sound.catalogue, edit)),
        }
    }

    /// Returns the bytes of the culprit, when it is an ordinary file.
    pub fn bytes(&self, sound: &Sound) -> Option<Vec<u8>> {
        let made = self.make(sound);
        let culprit = made.files.into_iter().find(|(name, _)| *name == made.culprit);
        match culprit?.1 {
            Entry::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// Returns all kinds.
pub fn all() -> impl Iterator<Item = &'static Damage> {
    let tables: [&'static [Damage]; 6] = [
        &names::KINDS,
        &packed::KINDS,
        &headers::KINDS,
        &tiles::KINDS,
        &tables::KINDS,
        &rows::KINDS,
    ];
    tables.into_iter().flatten()
}

/// Returns the kind with a name.
pub fn named(name: &str) -> Option<&'static Damage> {
    all().find(|damage| damage.name == name)
}

/// A damaged file in a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    /// Kind of damage.
    pub kind: &'static str,
    /// The fault.
    pub description: &'static str,
    /// Name of the file that is refused.
    pub file: OsString,
    /// Code of the expected refusal.
    pub code: &'static str,
    /// The extent of the refusal.
    pub scope: Scope,
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}: {}) in {}",
            self.code,
            self.kind,
            self.description,
            files::shown(&self.file)
        )
    }
}

/// First run number of damaged stacks, beyond those of a night.
const FIRST_RUN: u32 = 90_001;

/// Writes every kind that this machine and user can make into a delivery.
///
/// # Errors
/// Fails when a file cannot be written for another reason.
pub fn plant(delivery: &Path, spec: &NightSpec) -> io::Result<Vec<Planted>> {
    let mut planted = Vec::new();
    for (damage, run) in all().zip(FIRST_RUN..) {
        planted.extend(plant_one(delivery, spec, damage, run)?);
    }
    Ok(planted)
}

/// Writes one kind under the names of a run; `None` when this machine or user cannot make it.
///
/// # Errors
/// Fails when a file cannot be written for another reason.
pub fn plant_one(
    delivery: &Path,
    spec: &NightSpec,
    damage: &Damage,
    run: u32,
) -> io::Result<Option<Planted>> {
    let made = damage.make(&Sound::of_run(spec, run));
    for (name, entry) in &made.files {
        if !entry.can_be_made() {
            return Ok(None);
        }
        entry.write(&delivery.join(name))?;
    }
    let Damage { name, description, code, scope, .. } = *damage;
    Ok(Some(Planted { kind: name, description, file: made.culprit, code, scope }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn kinds_have_names_of_their_own() {
        let names: HashSet<_> = all().map(|damage| damage.name).collect();
        assert_eq!(names.len(), all().count());
        assert!(names.len() >= 60, "{}", names.len());
        let codes: HashSet<_> = all().map(|damage| damage.code).collect();
        assert!(codes.len() >= 45, "{} codes", codes.len());
        assert!(named("fifo").is_some() && named("nonsense").is_none());
    }
}
