//! `almagest reconcile`: source, library and archive compared, and one repaired from another.

use super::dry_run::tell_dry_run;
use super::soundness::compare;
use super::{ScopeArguments, night};
use crate::exit::{self, Exit};
use crate::report::{Table, bytes, counted, say, shown, tell};
use archive::library::{Holding, Soundness};
use curate::note;
use curate::scope::chosen;
use curate::site::{self, Site};
use curate::sources::{self, Origin};
use curate::steps::{Declarations, DeliveryFetch, NightRun, prospect, prospect_in_place};
use model::DeliveryName;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use transfer::source::{Connection, Directory, EntryKind, Found, Probe, Source, SourceFault};
use transfer::{Pace, Prospect};

/// The side to trust when source, library and archive differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Right {
    /// The source: files that are missing, damaged, different or not fetched yet are fetched (again).
    Source,
    /// The library: files in it that are not in the archive are registered.
    Library,
    /// The archive: files in the library that are not in the archive are moved to library/.strays.
    Archive,
}

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --right it only reports. Nothing is ever deleted: files deleted at the source are kept
here, changed content of a file becomes a new version, and stray files are moved, not removed.

With --json: one array [{delivery, file, code, what, repaired_by}].")]
pub struct Arguments {
    #[command(flatten)]
    of: ScopeArguments,
    /// Only this file of the delivery that --delivery names, whose content is read; may be repeated.
    #[arg(long, value_name = "NAME", requires = "delivery")]
    file: Vec<String>,
    /// Side to trust in repairs; without it nothing is changed.
    #[arg(long, value_enum, value_name = "WHO")]
    right: Option<Right>,
    /// With --right: only print what would be changed.
    #[arg(long, requires = "right")]
    dry_run: bool,
    /// Do not query the sources.
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
    tell_dry_run(arguments.dry_run && !arguments.json);
    let changes = Changes { is_dry_run: arguments.dry_run, is_json: arguments.json };
    if let (Some(right), true, true) = (arguments.right, differ, arguments.dry_run) {
        rehearse(&site, &all, right, changes)?;
    } else if let (Some(right), true) = (arguments.right, differ) {
        exit = repair(&site, &all, right, changes)?;
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

/// The report of changes, which are results: as text on stdout, or on stderr when stdout has an array of JSON.
#[derive(Clone, Copy)]
struct Changes {
    is_dry_run: bool,
    is_json: bool,
}

impl Changes {
    /// Reports a change that is made, or would be.
    fn report(self, change: &str) {
        if self.is_json {
            match self.is_dry_run {
                true => tell!(INFO, "dry_run", "dry run, nothing is changed: {change}"),
                false => tell!(INFO, "reconciled", "{change}"),
            }
            return;
        }
        if !self.is_dry_run {
            note!(INFO, "reconciled", "{change}");
        }
        say!("{change}");
    }
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
        // A file that is being fetched has its name before it is registered, and is not a stray.
        let lock = files::lock_dir(&site.place.library().join(name));
        let mut holdings = archive.holdings(Some(name))?;
        for holding in holdings.iter_mut().filter(|h| h.is_current && files.contains(&h.name)) {
            let path = site.place.library_file(&holding.path);
            holding.soundness = Some(compare(&path, holding, &Pace::new(0.0)));
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
            what: "the file is in the library, but not in the archive".to_owned(),
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
            (Err(_), _) => ("missing", "the library does not have the file".to_owned()),
            (Ok(found), _) if found.len() != holding.bytes => (
                "size_differs",
                format!("the file has {} bytes in the library, not {}", found.len(), holding.bytes),
            ),
            (Ok(_), Some(Soundness::Corrupt)) => {
                ("corrupt", "the content of the file no longer matches its checksum".to_owned())
            }
            (Ok(_), Some(Soundness::Unreadable)) => {
                ("unreadable", "the last scrub could not read the file".to_owned())
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
                let what =
                    "the source has the file, but it was not fetched or was refused".to_owned();
                differences.push(add(name, "not_fetched", what, Some("source")));
            }
            Some(holding) if entry.bytes.is_some_and(|bytes| bytes != holding.bytes) => {
                let (now, before) = (entry.bytes.unwrap_or(0), holding.bytes);
                let what = format!(
                    "the file has {now} bytes at the source, and had {before} when it was fetched"
                );
                differences.push(add(name, "changed_at_source", what, Some("source")));
            }
            Some(holding) if entry.modified_ns != holding.modified_ns => {
                let what =
                    "the modification time of the file at the source changed after it was fetched"
                        .to_owned();
                differences.push(add(name, "touched_at_source", what, Some("source")));
            }
            Some(_) => {}
        }
    }
    for name in current.keys().filter(|name| !there.contains(**name)) {
        let what = "the source no longer has the file; the archive keeps it".to_owned();
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

fn repair(site: &Site, all: &[Compared], right: Right, changes: Changes) -> anyhow::Result<Exit> {
    if right == Right::Archive {
        site.open_log(curate::log::Writer::Commands);
        move_strays(site, all, changes)?;
        return Ok(Exit::Done);
    }
    let mut work = night::open(site.clone(), "reconcile")?;
    for compared in all {
        match right {
            Right::Source => {
                let declared = fetched_again(compared);
                for (origin, directory) in &compared.origins {
                    work.fetch_all(origin, directory, &declared)?;
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
fn fetched_again(compared: &Compared) -> Declarations {
    let of_library = ["missing", "size_differs", "corrupt", "unreadable"];
    let suspects = compared.differences.iter().filter(|d| of_library.contains(&d.code));
    Declarations { again: suspects.map(|d| d.file.clone()).collect(), ..Declarations::default() }
}

/// Reports what [`repair`] would do.
fn rehearse(site: &Site, all: &[Compared], right: Right, changes: Changes) -> anyhow::Result<()> {
    if right == Right::Archive {
        return move_strays(site, all, changes);
    }
    let (archive, profiles) = (site.read()?, site.profiles()?);
    for compared in all {
        let name = &compared.name;
        match right {
            Right::Source => {
                let declared = fetched_again(compared);
                for (origin, directory) in &compared.origins {
                    let place = (origin, directory.as_str());
                    let (_, due) = prospect(site, &archive, &profiles, place, &declared)?;
                    let files = counted(due.files.len() as u64, "file");
                    let name = shown(name);
                    changes.report(&format!("fetch {files} of {name}, {}", bytes(due.bytes)));
                }
            }
            Right::Library => {
                for (directory, names) in by_directory(&compared.strays) {
                    if !is_top(site, name, &directory) {
                        tell_older(&directory);
                        continue;
                    }
                    let origin = in_place(&directory, names);
                    let due = prospect_in_place(site, &archive, &profiles, (&origin, name))?;
                    report_due(name, due, changes);
                }
            }
            Right::Archive => {}
        }
    }
    Ok(())
}

/// Reports the strays that would be registered, refused and skipped.
fn report_due(delivery: &DeliveryName, due: Prospect, changes: Changes) {
    let delivery = shown(delivery);
    let registered =
        due.files.into_iter().map(|file| format!("register {} of {delivery}", shown(&file)));
    let refused = due.refusals.into_iter().map(|refusal| {
        let (file, code, message) = (shown(&refusal.file), refusal.code, shown(&refusal.message));
        format!("refuse {file} of {delivery}: {code}: {message}")
    });
    let skipped = due
        .skipped
        .into_iter()
        .map(|entry| format!("skip {} of {delivery}: {}", shown(&entry.name), shown(&entry.why)));
    registered.chain(refused).chain(skipped).for_each(|change| changes.report(&change));
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

/// Moves strays aside, or reports in a dry run where they would go. Rechecks before anything is moved, while no process fetches
/// the delivery.
fn move_strays(site: &Site, all: &[Compared], changes: Changes) -> anyhow::Result<()> {
    let archive = site.read()?;
    for compared in all.iter().filter(|c| !c.strays.is_empty()) {
        // Nothing is being fetched into a directory that does not exist.
        let lock = files::lock_dir(&site.place.library().join(&compared.name));
        if matches!(lock, Ok(None)) {
            tell!(
                WARN,
                "busy",
                delivery = compared.name.as_str(),
                "{} is being fetched; retry",
                compared.name
            );
            continue;
        }
        let holdings = archive.holdings(Some(&compared.name))?;
        for stray in strays(site, &compared.name, &holdings).files {
            let to = match changes.is_dry_run {
                true => place_aside(site, &stray).1,
                false => move_aside(site, &stray)?,
            };
            let [stray, to] = [&stray, &to].map(|path| shown(&path.display().to_string()));
            changes.report(&format!("moved {stray} to {to}"));
        }
    }
    Ok(())
}

/// Moves a stray aside and returns its new place.
fn move_aside(site: &Site, stray: &Path) -> anyhow::Result<PathBuf> {
    let (volume, to) = place_aside(site, stray);
    let directory = to.parent().unwrap_or(&volume);
    files::create_dir(directory)?;
    std::fs::rename(stray, &to)?;
    files::sync_dir(directory)?;
    Ok(to)
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

/// Reports strays in a directory of older contents, which nothing registers.
fn tell_older(directory: &Path) {
    tell!(
        WARN,
        "older_contents",
        "{} holds older contents, which are kept",
        shown(&directory.display().to_string())
    );
}

/// Registers files that are in the library already, in place.
fn take_in(
    site: &Site,
    night: &mut NightRun,
    delivery: &DeliveryName,
    directory: &Path,
    only: BTreeSet<String>,
) -> anyhow::Result<()> {
    if !is_top(site, delivery, directory) {
        tell_older(directory);
        return Ok(());
    }
    let origin = in_place(directory, only);
    let fetch = DeliveryFetch::new(&origin, delivery, &|_| true, &|_| (false, None));
    night.fetch(&DeliveryFetch { is_library: true, ..fetch })?;
    Ok(())
}

/// Returns the origin of some files of a directory in the library.
fn in_place(directory: &Path, only: BTreeSet<String>) -> Origin {
    let root = directory.parent().unwrap_or(directory).to_owned();
    sources::in_library(SomeFiles { directory: Directory::new(root), only })
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
