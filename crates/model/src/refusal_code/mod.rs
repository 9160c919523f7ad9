//! Register of the codes of refusals and findings: the text of each code, its meaning, and the remedy.
//!
//! A new code begins here, as a line of the section that it belongs to. `docs/refusals.md` is generated from the register, and the
//! suggestions of `refusals show` take their words from it. The crates `files`, `fits` and `sky` know nothing of this crate: their
//! faults return codes as text, which [`RefusalCode::of_fault`] takes. `tests/refusal_codes.rs` compares the register with the
//! sources of all crates, in both directions.
//!
//! Stored records and results of nodes hold a [`crate::ReportCode`]: it may come from another version, which has other codes.

mod archive;
mod arrival;
mod catalogue;
mod fits;
mod metadata;
mod verify;
mod wcs;

use std::fmt;

/// A code of this version's refusals and findings, in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefusalCode(&'static str);

impl RefusalCode {
    /// Returns the code of a fault of the crates `files`, `fits` and `sky`, by its text.
    pub const fn of_fault(code: &'static str) -> Self {
        Self(code)
    }

    /// Returns the text that is stored and printed.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Returns the entry of the register.
    pub fn entry(self) -> Option<&'static Entry> {
        entry(self.0)
    }
}

impl From<RefusalCode> for String {
    fn from(code: RefusalCode) -> Self {
        code.0.to_owned()
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl PartialEq<&str> for RefusalCode {
    fn eq(&self, text: &&str) -> bool {
        self.0 == *text
    }
}

/// The reports in which a code occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A refusal: the input is not in the archive.
    Refusal,
    /// A finding: the input is in the archive.
    Finding,
    /// A refusal or a finding, depending on the survey's profile or the kind of frame.
    Either,
    /// A finding of `verify`: the archive deviates from its required state.
    Verify,
}

/// The remedy for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The cause of a failed task is repaired.
    TaskCause,
    /// The missing image is delivered.
    CompleteImage,
    /// The refusal of the image is settled.
    ImageRefusal,
    /// All catalogues of the image but one are removed.
    OneCatalogue,
    /// A programme is added for a project.
    Programme,
    /// A programme is named for frames without a project.
    UnnamedProject,
    /// The missing file is delivered.
    Deliver,
    /// The delivery is fetched again.
    Refetch,
    /// A zero point is delivered, or declared unnecessary.
    Calibration,
    /// The file is delivered unpacked.
    Unpack,
    /// The file is delivered unpacked, or packed by a known program.
    UnpackOrGzip,
    /// The file is delivered under another name.
    Rename,
    /// The target of a link is delivered.
    FileItself,
    /// The file is made readable.
    Readable,
    /// The source, or the access to it, is repaired.
    Source,
    /// The file is no longer being written.
    Settled,
    /// Space is made in the library.
    Space,
    /// A limit of the profile is raised.
    Limit,
    /// A survey profile is added, or made the fallback.
    NewProfile,
    /// The disk or the connection is repaired.
    Disk,
    /// A repaired file is delivered.
    Repaired,
    /// A repaired file is delivered, or the profile changed.
    Profile,
    /// The round of a refused batch is redone.
    Round,
    /// Words alone, for findings.
    Words(&'static str),
}

impl Remedy {
    /// Returns the words that precede the commands.
    pub const fn text(self) -> &'static str {
        match self {
            Self::TaskCause => "when its cause is repaired",
            Self::CompleteImage => {
                "deliver the complete image; its catalogue is then processed automatically"
            }
            Self::ImageRefusal => {
                "deal with the refusal of its image; its catalogue is then processed"
            }
            Self::OneCatalogue => {
                "remove all catalogues of the image but one at the source; that one is then processed automatically"
            }
            Self::Programme => "a programme for these frames",
            Self::UnnamedProject => "a programme for frames that name no project",
            Self::Deliver => "deliver the file; it is then processed automatically",
            Self::Refetch => "fetch the delivery again",
            Self::Calibration => {
                "deliver the file with a zero point and an exposure time; or for detections without magnitudes"
            }
            Self::Unpack => "deliver it unpacked",
            Self::UnpackOrGzip => "deliver it unpacked, or packed with gzip",
            Self::Rename => "deliver it under another name",
            Self::FileItself => "deliver the file itself",
            Self::Readable => "give the user that runs almagest the right to read it, then",
            Self::Source => "repair the source or the access to it, then",
            Self::Settled => "when no program writes to the file any more",
            Self::Space => "free disk space for the library, then",
            Self::Limit => {
                "deliver a smaller file, or raise the limit in the survey's profile, then"
            }
            Self::NewProfile => {
                "add a profile that fits the file to `surveys/`, or set `fallback` in one of them, then"
            }
            Self::Disk => "repair the disk or the connection, then",
            Self::Repaired => "deliver a repaired file, then",
            Self::Profile => {
                "deliver a repaired file, or let the survey's profile say what is to be assumed, then"
            }
            Self::Round => "redo the round",
            Self::Words(words) => words,
        }
    }

    /// Returns the first verb of the commands that `refusals show` prints, for an open refusal; `None` for words alone.
    pub const fn verb(self) -> Option<&'static str> {
        Some(match self {
            Self::TaskCause => "retry",
            Self::ImageRefusal => "explain",
            Self::Programme | Self::UnnamedProject => "programme add",
            Self::Calibration => "profile set",
            Self::CompleteImage
            | Self::OneCatalogue
            | Self::Deliver
            | Self::Refetch
            | Self::Unpack
            | Self::UnpackOrGzip
            | Self::Rename
            | Self::FileItself
            | Self::Readable => "run",
            Self::Source
            | Self::Settled
            | Self::Space
            | Self::Limit
            | Self::NewProfile
            | Self::Disk
            | Self::Repaired
            | Self::Profile
            | Self::Round => "refusals retry",
            Self::Words(_) => return None,
        })
    }
}

/// A code of the register.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The code.
    pub code: RefusalCode,
    /// The reports in which it occurs.
    pub kind: Kind,
    /// Its meaning in one sentence.
    pub meaning: &'static str,
    /// The remedy.
    pub remedy: Remedy,
}

/// Codes of one part of the work.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The part of the work.
    pub title: &'static str,
    /// Its codes.
    pub entries: &'static [Entry],
}

/// All codes, in the order of the work.
pub const REGISTER: &[Section] = &[
    arrival::NAMES,
    arrival::TRANSFER,
    fits::FILES,
    fits::TILES,
    metadata::FRAMES,
    metadata::TIMES,
    wcs::COORDINATES,
    catalogue::PREVIEWS,
    catalogue::TABLES,
    catalogue::ROWS,
    archive::TASKS,
    archive::BATCHES,
    verify::DATABASE,
    verify::FILES,
];

/// Returns the entry of a code; `None` for one that this version does not have.
pub(crate) fn entry(code: &str) -> Option<&'static Entry> {
    REGISTER.iter().flat_map(|section| section.entries).find(|entry| entry.code.as_str() == code)
}

/// Defines the codes of a section: name of the constant, text, kind, remedy and meaning.
macro_rules! codes {
    ($section:ident $title:literal
        $($name:ident = $text:literal, $kind:ident, $remedy:expr => $meaning:literal;)*) => {
        impl $crate::refusal_code::RefusalCode {
            $(#[doc = $meaning] pub const $name: Self = Self($text);)*
        }

        pub(super) const $section: $crate::refusal_code::Section = $crate::refusal_code::Section {
            title: $title,
            entries: &[$($crate::refusal_code::Entry {
                code: $crate::refusal_code::RefusalCode::$name,
                kind: $crate::refusal_code::Kind::$kind,
                meaning: $meaning,
                remedy: $remedy,
            }),*],
        };
    };
}
use codes;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_snake_case_and_explained_in_sentences() {
        let mut seen = BTreeSet::new();
        for Entry { code, kind, meaning, remedy } in
            REGISTER.iter().flat_map(|section| section.entries)
        {
            assert!(seen.insert(*code), "{code} is there twice");
            let is_code = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            assert!(code.as_str().bytes().all(is_code), "{code}");
            assert!(meaning.ends_with('.'), "{code}: {meaning}");
            assert!(meaning.starts_with(|c: char| c.is_ascii_uppercase()), "{code}: {meaning}");
            let has_commands = remedy.verb().is_some();
            assert_eq!(has_commands, matches!(kind, Kind::Refusal | Kind::Either), "{code}");
        }
        assert_eq!(entry("zero_rows").unwrap().code, RefusalCode::ZERO_ROWS);
        assert!(entry("of_a_newer_version").is_none());
    }
}
