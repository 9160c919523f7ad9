//! `almagest reconcile`: source, library and archive compared, and one repaired from another.

use super::dry_run::note_dry_run;
use super::soundness::look;
use super::{ScopeArguments, night};
use crate::exit::{self, Exit};
use crate::report::{Table, bytes, counted, say, shown, tell};
use archive::library::{Holding, Soundness};
use curate::scope::chosen;
use curate::site::{self, Site};
use curate::sources::{self, Origin};
use curate::steps::{Coming, Night, Word, prospect};
use model::DeliveryName;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use transfer::Pace;
use transfer::source::{Connection, Directory, EntryKind, Found, Probe, Source, SourceFault};

/// Who is right, when source, library and archive differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Right {
    /// The source: files that are lost, damaged, different or not fetched yet are fetched (again).
    Source,
    /// The library: files that lie in it and that the archive does not know are registered.
    Library,
    /// The archive: files in the library that it does not know are moved aside, into library/.strays.
    Archive,
}

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --right it only reports. Nothing is ever deleted: what is deleted at the source stays here, other content of a
name becomes a new version, and strays are moved, not removed.

With --json: one array [{delivery, file, code, what, repaired_by}].")]
pub struct Arguments {
    #[command(flatten)]
    of: ScopeArguments,
    /// Only this file of the delivery that --delivery names, whose content is read; may be repeated.
    #[arg(long, value_name = "NAME", requires = "delivery")]
    file: Vec<String>,
    /// Who is right; without it nothing is changed.
    #[arg(long, value_enum, value_name = "WHO")]
    right: Option<Right>,
    /// With --right: only say what would be changed.
    #[arg(long, requires = "right")]
    dry_run: bool,
    /// Do not ask the sources.
    #[arg(long, conflicts_with = "right")]
    offline: bool,
    /// As one JSON array.
    #[arg(long)]
    json: bool,
}

/// A difference between source, library and archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Difference {
    delivery: DeliveryName,
    file: String,
    /// Machine-readable code.
    code: &'static str,
    /// Description in words.
    what: String,
    /// Side that would repair the difference; `None` when neither would.
    repaired_by: Option<&'static str>,
}

/// The comparison of one delivery.
struct Compared {
    name: DeliveryName,
    /// Origins of the delivery, with the name of its directory at each.
    origins: Vec<(Origin, String)>,
    differences: Vec<Difference>,
    strays: Vec<PathBuf>,
}

/// Compares source, library and archive, and repairs the differences that the side named by `--right` can repair. Exit code 3
/// when they differ at the end.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let deliveries = chosen(&site.read()?, &arguments.of.scope())?;
    let files = &arguments.file;
    let mut all = compared(&site, &deliveries, files, arguments.offline)?;
    let differ = all.iter().any(|c| !c.differences.is_empty());
    let mut exit = Exit::Done;
    note_dry_run(arguments.dry_run);
    if let (Some(right), true, true) = (arguments.right, differ, arguments.dry_run) {
        rehearse(&site, &all, right)?;
    } else if let (Some(right), true) = (arguments.right, differ) {
        exit = repair(&site, &all, right)?;
        all = compared(&site, &deliveries, files, false)?;
    }
    let differences: Vec<&Difference> = all.iter().flat_map(|c| &c.differences).collect();
    if arguments.json {
        say!("{}", crate::report::json(&differences)?);
    } else if differences.is_empty() {
        say!(
            "source, library and archive agree about {}",
            counted(deliveries.len() as u64, "delivery")
        );
    } else {
        let mut table = Table::new(["delivery", "file", "code", "what", "repaired by"]);
        for d in &differences {
            let help = d.repaired_by.map(|who| format!("--right {who}")).unwrap_or_default();
            table.row([
                d.delivery.to_string(),
                d.file.clone(),
                d.code.to_owned(),
                d.what.clone(),
                help,
            ]);
        }
        say!("{}", table.text());
    }
    // Files that the provider deleted at the source are no fault.
    let differs =
        differences.iter().any(|d| d.repaired_by.is_some() || d.code == "unreadable_directory");
    Ok(if differs && exit == Exit::Done { Exit::Gate } else { exit })
}

/// Compares deliveries; when files are named, only those files, and by their contents.
fn compared(
    site: &Site,
    deliveries: &[DeliveryName],
    files: &[String],
    offline: bool,
) -> anyhow::Result<Vec<Compared>> {
    let archive = site.read()?;
    let mut all = Vec::new();
    for name in deliveries {
        // A file that is being fetched has its name before it is registered, and is no stray.
        let lock = files::lock_dir(&site.place.library().join(name));
        let mut holdings = archive.holdings(Some(name))?;
        for holding in holdings.iter_mut().filter(|h| h.is_current && files.contains(&h.name)) {
            let path = site.place.library_file(&holding.path);
            holding.soundness = Some(look(&path, holding, &Pace::new(0.0)));
        }
        if let Some(unknown) = files.iter().find(|f| holdings.iter().all(|h| h.name != **f)) {
            return Err(exit::gate(format!("{name} has no file {unknown:?}")));
        }
        let mut differences = library_differences(site, &holdings);
        let found = if matches!(lock, Ok(None)) {
            Strays::default()
        } else {
            strays(site, name, &holdings)
        };
        drop(lock);
        let add = |path: &PathBuf| Difference {
            delivery: name.clone(),
            file: shown(&path.display().to_string()),
            code: "stray",
            what: "it lies in the library and the archive does not know it".to_owned(),
            repaired_by: Some("library or archive"),
        };
        differences.extend(found.files.iter().map(add));
        differences.extend(found.unreadable.iter().map(|(path, why)| Difference {
            delivery: name.clone(),
            file: shown(&path.display().to_string()),
            code: "unreadable_directory",
            what: format!("the library directory cannot be listed: {}", shown(why)),
            repaired_by: None,
        }));
        let mut origins = Vec::new();
        if !offline {
            let (entries, is_whole);
            (origins, entries, is_whole) = listed(site, &archive, name)?;
            if is_whole {
                differences.extend(source_differences(name, &entries, &holdings));
            }
        }
        if !files.is_empty() {
            differences.retain(|d| files.contains(&d.file));
        }
        let strays = found.files;
        all.push(Compared { name: name.clone(), origins, differences, strays });
    }
    Ok(all)
}

/// Origins of a delivery, with the name of its directory at each; what they list; and whether all of them could be listed.
type Listed = (Vec<(Origin, String)>, Vec<transfer::Entry>, bool);

fn listed(
    site: &Site,
    archive: &archive::Reader,
    delivery: &DeliveryName,
) -> anyhow::Result<Listed> {
    let (mut origins, mut entries, mut is_whole) = (Vec::new(), Vec::new(), true);
    let profiles = site.profiles()?;
    for known in archive.origins(None)?.iter().filter(|known| known.delivery == *delivery) {
        let found = sources::of_known(site, known).and_then(|(origin, directory)| {
            Ok((origin.source.list(&directory)?, origin, directory))
        });
        match found {
            Ok((found, origin, directory)) => {
                let unfinished = origin.unfinished(&profiles);
                let is_whole =
                    |e: &transfer::Entry| unfinished.why(&e.name.to_string_lossy()).is_none();
                entries.extend(found.into_iter().filter(is_whole));
                origins.push((origin, directory));
            }
            Err(fault) => {
                is_whole = false;
                tell!(
                    ERROR,
                    "source_not_queried",
                    delivery = delivery.as_str(),
                    "the source of {delivery} is not queried: {}",
                    shown(&format!("{fault:#}"))
                );
            }
        }
    }
    is_whole &= !origins.is_empty();
    Ok((origins, entries, is_whole))
}

fn library_differences(site: &Site, holdings: &[Holding]) -> Vec<Difference> {
    let one = |holding: &Holding| {
        let found = std::fs::symlink_metadata(site.place.library_file(&holding.path));
        let (code, what) = match (found, holding.soundness) {
            (Err(_), _) => ("lost", "it is not in the library".to_owned()),
            (Ok(found), _) if found.len() != holding.bytes => (
                "size_differs",
                format!("it has {} bytes in the library and had {}", found.len(), holding.bytes),
            ),
            (Ok(_), Some(Soundness::Rotten)) => {
                ("rotten", "its bytes do not fit its checksum any more".to_owned())
            }
            (Ok(_), Some(Soundness::Unreadable)) => {
                ("unreadable", "the last scrub could not read it".to_owned())
            }
            _ => return None,
        };
        let repaired_by = holding.is_current.then_some("source");
        Some(Difference {
            delivery: holding.delivery.clone(),
            file: holding.name.clone(),
            code,
            what,
            repaired_by,
        })
    };
    holdings.iter().filter_map(one).collect()
}

fn source_differences(
    delivery: &DeliveryName,
    entries: &[transfer::Entry],
    holdings: &[Holding],
) -> Vec<Difference> {
    let current: BTreeMap<&str, &Holding> =
        holdings.iter().filter(|h| h.is_current).map(|h| (h.name.as_str(), h)).collect();
    let add = |file: &str, code, what: String, repaired_by| Difference {
        delivery: delivery.to_owned(),
        file: file.to_owned(),
        code,
        what,
        repaired_by,
    };
    let (mut differences, mut there) = (Vec::new(), BTreeSet::new());
    let is_as_held = |e: &transfer::Entry, h: &Holding| {
        e.bytes.is_none_or(|bytes| bytes == h.bytes) && e.modified_ns == h.modified_ns
    };
    let as_held: BTreeSet<&str> = entries
        .iter()
        .filter_map(|e| {
            e.name.to_str().filter(|n| current.get(n).is_some_and(|h| is_as_held(e, h)))
        })
        .collect();
    for entry in entries {
        let is_file =
            entry.kind == EntryKind::File && transfer::names::fault(&entry.name).is_none();
        let Some(name) = entry.name.to_str().filter(|_| is_file) else { continue };
        // Of several origins, one has the file as it is here.
        if !there.insert(name) || as_held.contains(name) {
            continue;
        }
        match current.get(name) {
            None => {
                let what = "it is at the source and was not brought, or was refused".to_owned();
                differences.push(add(name, "not_brought", what, Some("source")));
            }
            Some(holding) if entry.bytes.is_some_and(|bytes| bytes != holding.bytes) => {
                let (now, before) = (entry.bytes.unwrap_or(0), holding.bytes);
                let what = format!(
                    "it has {now} bytes at the source and had {before} when it was brought"
                );
                differences.push(add(name, "changed_at_source", what, Some("source")));
            }
            Some(holding) if entry.modified_ns != holding.modified_ns => {
                let what =
                    "its date at the source is another one than when it was brought".to_owned();
                differences.push(add(name, "touched_at_source", what, Some("source")));
            }
            Some(_) => {}
        }
    }
    for name in current.keys().filter(|name| !there.contains(**name)) {
        let what = "it is not at the source any more; it stays here".to_owned();
        differences.push(add(name, "gone_at_source", what, None));
    }
    differences
}

/// The files in a delivery's directories that the archive does not know.
#[derive(Default)]
struct Strays {
    files: Vec<PathBuf>,
    /// Directories that could not be listed, each with the reason: their strays are not known.
    unreadable: Vec<(PathBuf, String)>,
}

/// Returns the files in the delivery's directories that the archive does not know, except those that are being fetched.
fn strays(site: &Site, delivery: &DeliveryName, holdings: &[Holding]) -> Strays {
    let known: BTreeSet<PathBuf> =
        holdings.iter().map(|h| site.place.library_file(&h.path)).collect();
    let roots: Vec<PathBuf> =
        site.library_roots().into_iter().map(|root| root.join(delivery)).collect();
    let (mut open, mut strays) = (roots.clone(), Strays::default());
    while let Some(here) = open.pop() {
        let entries = match std::fs::read_dir(&here) {
            Ok(entries) => entries,
            // This volume holds nothing of the delivery.
            Err(e) if e.kind() == ErrorKind::NotFound && roots.contains(&here) => continue,
            Err(error) => {
                strays.unreadable.push((here, error.to_string()));
                continue;
            }
        };
        for entry in entries {
            let entry = match entry.and_then(|e| Ok((e.path(), e.file_name(), e.file_type()?))) {
                Ok(entry) => entry,
                Err(error) => {
                    strays.unreadable.push((here.clone(), error.to_string()));
                    break;
                }
            };
            let (path, name, kind) = entry;
            if kind.is_dir() {
                open.push(path);
            } else if !name.to_string_lossy().starts_with('.') && !known.contains(&path) {
                strays.files.push(path);
            }
        }
    }
    strays.files.sort();
    strays.unreadable.sort();
    strays
}

fn repair(site: &Site, all: &[Compared], right: Right) -> anyhow::Result<Exit> {
    if right == Right::Archive {
        return move_strays(site, all);
    }
    let mut work = night::open(site.clone(), "reconcile")?;
    for compared in all {
        match right {
            Right::Source => {
                let word = fetched_again(compared);
                for (origin, directory) in &compared.origins {
                    work.bring(origin, directory, &word)?;
                }
            }
            Right::Library => {
                for (directory, names) in by_directory(&compared.strays) {
                    take_in(site, &mut work, &compared.name, &directory, names)?;
                }
            }
            Right::Archive => {}
        }
    }
    Ok(night::exit_of(&work))
}

/// Returns the fetch of a delivery that replaces its lost and damaged files.
fn fetched_again(compared: &Compared) -> Word {
    let of_library = ["lost", "size_differs", "rotten", "unreadable"];
    let suspects = compared.differences.iter().filter(|d| of_library.contains(&d.code));
    Word { again: suspects.map(|d| d.file.clone()).collect(), ..Word::default() }
}

/// Reports on stderr what [`repair`] would do.
fn rehearse(site: &Site, all: &[Compared], right: Right) -> anyhow::Result<()> {
    let (archive, profiles) = (site.read()?, site.profiles()?);
    for compared in all {
        let name = &compared.name;
        match right {
            Right::Source => {
                let word = fetched_again(compared);
                for (origin, directory) in &compared.origins {
                    let place = (origin, directory.as_str());
                    let (_, due) = prospect(site, &archive, &profiles, place, &word)?;
                    let files = counted(due.files as u64, "file");
                    tell!(INFO, "dry_run", "fetch {files} of {name}, {}", bytes(due.bytes));
                }
            }
            Right::Library => {
                for (directory, names) in by_directory(&compared.strays) {
                    let is_current = is_top(site, name, &directory);
                    for file in names.iter().filter(|_| is_current) {
                        tell!(INFO, "dry_run", "register {file} of {name}");
                    }
                }
            }
            Right::Archive => {
                for stray in &compared.strays {
                    tell_moved(stray, &place_aside(site, stray).1);
                }
            }
        }
    }
    Ok(())
}

/// Returns true for the directory of a delivery's current files.
fn is_top(site: &Site, delivery: &DeliveryName, directory: &Path) -> bool {
    site.library_roots().iter().any(|root| root.join(delivery) == directory)
}

/// Returns strays by the directory that holds them: those directly in a delivery's directory are current, those below it are
/// older contents.
fn by_directory(strays: &[PathBuf]) -> BTreeMap<PathBuf, BTreeSet<String>> {
    let mut all: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for stray in strays {
        let (Some(directory), Some(name)) = (stray.parent(), stray.file_name()) else { continue };
        all.entry(directory.to_owned()).or_default().insert(name.to_string_lossy().into_owned());
    }
    all
}

/// Rechecks before anything is moved, while no process fetches the delivery.
fn move_strays(site: &Site, all: &[Compared]) -> anyhow::Result<Exit> {
    let archive = site.read()?;
    for compared in all.iter().filter(|c| !c.strays.is_empty()) {
        // Nothing is being fetched into a directory that does not exist.
        let lock = files::lock_dir(&site.place.library().join(&compared.name));
        if matches!(lock, Ok(None)) {
            tell!(
                WARN,
                "busy",
                delivery = compared.name.as_str(),
                "{} is being fetched; try again",
                compared.name
            );
            continue;
        }
        let holdings = archive.holdings(Some(&compared.name))?;
        for stray in strays(site, &compared.name, &holdings).files {
            move_aside(site, &stray)?;
        }
    }
    Ok(Exit::Done)
}

fn move_aside(site: &Site, stray: &Path) -> anyhow::Result<()> {
    let (volume, to) = place_aside(site, stray);
    let directory = to.parent().unwrap_or(&volume);
    files::create_dir(directory)?;
    std::fs::rename(stray, &to)?;
    files::sync_dir(directory)?;
    tell_moved(stray, &to);
    Ok(())
}

/// Returns the volume of a stray, and the place in it to which the stray is moved.
fn place_aside(site: &Site, stray: &Path) -> (PathBuf, PathBuf) {
    let volume = site.library_roots().into_iter().find(|root| stray.starts_with(root));
    let volume = volume.unwrap_or_else(|| site.place.library());
    let inside = stray.strip_prefix(&volume).unwrap_or(stray);
    let to =
        volume.join(".strays").join(site::now().format("%Y%m%dT%H%M%S").to_string()).join(inside);
    (volume, to)
}

fn tell_moved(stray: &Path, to: &Path) {
    tell!(
        INFO,
        "moved_aside",
        "moved {} to {}",
        shown(&stray.display().to_string()),
        shown(&to.display().to_string())
    );
}

/// Registers files that are in the library already, in place.
fn take_in(
    site: &Site,
    night: &mut Night,
    delivery: &DeliveryName,
    directory: &Path,
    only: BTreeSet<String>,
) -> anyhow::Result<()> {
    if !is_top(site, delivery, directory) {
        tell!(
            WARN,
            "older_contents",
            "{} holds older contents; decide on them yourself",
            shown(&directory.display().to_string())
        );
        return Ok(());
    }
    let root = directory.parent().unwrap_or(directory).to_owned();
    let origin = sources::in_library(SomeFiles { directory: Directory::new(root), only });
    let coming = Coming::new(&origin, delivery, &|_| true, &|_| (false, None));
    night.fetch(&Coming { is_library: true, ..coming })?;
    Ok(())
}

/// A directory of which only some files are visible.
struct SomeFiles {
    directory: Directory,
    only: BTreeSet<String>,
}

impl Source for SomeFiles {
    fn deliveries(&self) -> Result<Found, SourceFault> {
        self.directory.deliveries()
    }

    fn list(&self, directory: &str) -> Result<Vec<transfer::Entry>, SourceFault> {
        let mut entries = self.directory.list(directory)?;
        entries.retain(|e| e.name.to_str().is_some_and(|name| self.only.contains(name)));
        Ok(entries)
    }

    fn probe(&self, directory: &str) -> Result<Probe, SourceFault> {
        self.directory.probe(directory)
    }

    fn connect(&self) -> Result<Box<dyn Connection>, SourceFault> {
        self.directory.connect()
    }

    fn place(&self, directory: &str) -> String {
        self.directory.place(directory)
    }

    fn directory(&self, directory: &str) -> Option<PathBuf> {
        self.directory.directory(directory)
    }
}
