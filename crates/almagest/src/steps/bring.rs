//! CU1 in the steps of a night: from an [`Origin`] into the library and the ledger.
//!
//! [`Night::bring`] is the operator's word (what is there now), [`Night::fetch`] what the daemon asks for (what is settled, and
//! what is still to come). Each group of files that lands is registered at once; the last registration of a fetch says what is
//! still awaited.

use super::{Night, chosen};
use crate::exit;
use crate::profiles::{self, Loaded};
use crate::report;
use crate::site::{self, Archive, Site};
use crate::sources::Origin;
use anyhow::Context;
use archive::records::{Holding, Soundness};
use archive::{Holdings, Inquiry};
use model::profile::SurveyProfile;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use transfer::completeness::{self, Rule, Seen};
use transfer::{Fetched, Step};

/// What is known of files, by name.
type Ledger = HashMap<String, Vec<transfer::Known>>;

/// What is to be brought of a delivery, and what it is then.
pub struct Coming<'a> {
    /// From where.
    pub origin: &'a Origin,
    /// The delivery's name.
    pub name: &'a str,
    /// Whether a file may be taken.
    pub is_settled: &'a (dyn Fn(&transfer::Entry) -> bool + Sync),
    /// Whether everything is there then, and what is still to come.
    pub judge: &'a dyn Fn(&Fetched) -> (bool, Option<String>),
    /// Files that are brought although they did not change: those of the library are not sound.
    pub again: BTreeSet<String>,
    /// The source is the library itself: files stay where they are, and the delivery came from where it came from.
    pub is_library: bool,
}

impl<'a> Coming<'a> {
    /// What is new of a delivery, from elsewhere.
    pub fn new(
        origin: &'a Origin,
        name: &'a str,
        is_settled: &'a (dyn Fn(&transfer::Entry) -> bool + Sync),
        judge: &'a dyn Fn(&Fetched) -> (bool, Option<String>),
    ) -> Self {
        Self { origin, name, is_settled, judge, again: BTreeSet::new(), is_library: false }
    }
}

impl Night {
    /// CU1: brings a delivery into the library and registers it, as the operator wants it: what is there now.
    ///
    /// # Errors
    /// Exit code 3 when it would not fit, 5 while another process brings it, and when the source cannot be read.
    pub fn bring(&mut self, origin: &Origin, name: &str) -> anyhow::Result<()> {
        self.bring_again(origin, name, BTreeSet::new())
    }

    /// The same, and some files once more, because those of the library are not sound.
    ///
    /// # Errors
    /// As [`Night::bring`].
    pub fn bring_again(
        &mut self,
        origin: &Origin,
        name: &str,
        again: BTreeSet<String>,
    ) -> anyhow::Result<()> {
        let naming = profiles::naming_of(&self.profiles, name);
        let has_marker = naming.is_some_and(|naming| naming.marker.is_some());
        let judge = |fetched: &Fetched| {
            let hindered = Seen {
                postponed: fetched.postponed.len() + fetched.left,
                lost: fetched.away.clone(),
                ..Seen::default()
            };
            let awaited = completeness::awaited(Rule::Quiet, &hindered);
            // Where no marker is to be expected, the operator's word is all there is.
            let all_there = awaited.is_none() && (fetched.marked_complete || !has_marker);
            (all_there, awaited)
        };
        let coming = Coming { again, ..Coming::new(origin, name, &|_| true, &judge) };
        let fetched = self.fetch(&coming)?;
        if let Some(why) = fetched.away {
            return Err(anyhow::anyhow!(
                "{name} could not be brought to the end, try again: {why}"
            ));
        }
        self.not_brought.extend(
            fetched.postponed.into_iter().map(|(file, why)| (format!("{name}/{file}"), why)),
        );
        Ok(())
    }

    /// Brings of a delivery what is due, and registers it group by group.
    ///
    /// # Errors
    /// Exit code 5 while another process brings it, 3 when it would not fit.
    pub fn fetch(&mut self, coming: &Coming<'_>) -> anyhow::Result<Fetched> {
        self.deliveries.insert(coming.name.to_owned());
        let _lock = self.locked(coming.name)?;
        let known = self.known_of(coming)?;
        let place = self.place_of(coming, !known.is_empty())?;
        self.count("transfer").begin();
        let mut delivery = register::Delivery {
            name: coming.name,
            source: &place,
            all_there: false,
            awaited: None,
            expected_files: None,
        };
        let (mut fetched, mut new_refusals) = self.fetch_groups(coming, &known, &delivery)?;
        (delivery.all_there, delivery.awaited) = (coming.judge)(&fetched);
        delivery.expected_files = match coming.origin.rule() {
            Rule::Count(count) => Some(count),
            _ => fetched.listed.as_ref().map(|(files, _)| *files as u64),
        };
        let arrivals = std::mem::take(&mut fetched.arrivals);
        self.note_mended(coming.name, &arrivals, &coming.again)?;
        let profiles: Vec<_> = self.profiles.iter().map(|p| p.profile.clone()).collect();
        let place = &self.site.place;
        let now = site::now();
        let recorded =
            register::record(&delivery, &fetched, &profiles, place, &mut self.archive, now)?;
        new_refusals += recorded.new_refusals;
        fetched.arrivals = arrivals;
        self.count_brought(&fetched, new_refusals);
        Ok(fetched)
    }

    /// Nobody else brings the delivery meanwhile.
    fn locked(&self, name: &str) -> anyhow::Result<files::DirLock> {
        let library = self.site.place.library().join(name);
        files::create_dir(&library)
            .with_context(|| format!("cannot make {}", library.display()))?;
        let lock = files::lock_dir(&library)
            .with_context(|| format!("cannot lock {}", library.display()))?;
        lock.ok_or_else(|| {
            exit::conflict(format!("another process is bringing {name}; wait for it"))
        })
    }

    /// What the ledger knows of the delivery's files.
    fn known_of(&self, coming: &Coming<'_>) -> anyhow::Result<Ledger> {
        let mut known = register::known(coming.name, &self.site.place, &self.archive)?;
        for file in &coming.again {
            known.get_mut(file).into_iter().flatten().for_each(|content| content.look_again = true);
        }
        Ok(known)
    }

    /// Where the delivery comes from, for the record. One that came from elsewhere before is worth a word.
    fn place_of(&self, coming: &Coming<'_>, is_known: bool) -> anyhow::Result<String> {
        let place = coming.origin.source.place(coming.name);
        if !is_known {
            return Ok(place);
        }
        let before = self.archive.source(coming.name)?.to_string_lossy().into_owned();
        if coming.is_library {
            return Ok(before);
        }
        if before != place {
            report::tell!(
                "almagest: {} came from {} before; its files join those",
                coming.name,
                report::shown(&before)
            );
        }
        Ok(place)
    }

    /// Brings, and registers every group that lands. Gives how many refusals that made.
    fn fetch_groups(
        &mut self,
        coming: &Coming<'_>,
        known: &Ledger,
        delivery: &register::Delivery<'_>,
    ) -> anyhow::Result<(Fetched, u64)> {
        let profiles: Vec<_> = self.profiles.iter().map(|p| p.profile.clone()).collect();
        let bar = report::progress("transfer", 0);
        let progress = |step: Step<'_>| match step {
            Step::Begins { files, .. } => bar.set_length(files as u64),
            Step::Ended { .. } => bar.inc(1),
        };
        let mut new_refusals = 0;
        let (site, archive) = (&self.site, &mut self.archive);
        let mut landed = |group: &[transfer::Arrival]| {
            let now = site::now();
            let recorded =
                register::record_group(delivery, group, &profiles, &site.place, archive, now)?;
            new_refusals += recorded.new_refusals;
            Ok(())
        };
        let fetched =
            with_request(site, &profiles, coming, known, (&self.stop, &progress), |request| {
                transfer::fetch(request, &mut landed)
            });
        bar.finish_and_clear();
        Ok((fetched?, new_refusals))
    }

    fn count_brought(&mut self, fetched: &Fetched, new_refusals: u64) {
        let hdus = fetched.arrivals.iter().flat_map(|a| &a.content.hdus);
        let detectors = hdus.filter(|hdu| hdu.is_image).count() as u64;
        let counts = self.count("transfer");
        counts.files += fetched.arrivals.len() as u64;
        counts.detectors += detectors;
        counts.bytes += fetched.bytes;
        counts.refusals += new_refusals;
        counts.end();
    }

    /// What came in place of a file that was not sound is.
    fn note_mended(
        &mut self,
        delivery: &str,
        arrivals: &[transfer::Arrival],
        again: &BTreeSet<String>,
    ) -> anyhow::Result<()> {
        if again.is_empty() {
            return Ok(());
        }
        let is_mended = |h: &Holding| {
            again.contains(&h.name)
                && arrivals.iter().any(|a| a.name == h.name && a.sha256 == h.sha256)
        };
        let holdings = self.archive.holdings(Some(delivery))?;
        let mended: Vec<_> = holdings
            .iter()
            .filter(|h| is_mended(h))
            .map(|h| (h.file_id, Soundness::Sound))
            .collect();
        Ok(self.archive.note_soundness(&mended, site::now())?)
    }
}

/// What a transfer would bring of a delivery, and its name.
///
/// # Errors
/// As [`Night::bring`].
pub fn prospect(
    site: &Site,
    archive: &Archive,
    profiles: &[Loaded],
    (origin, name): (&Origin, &str),
) -> anyhow::Result<transfer::Prospect> {
    let known = register::known(name, &site.place, archive)?;
    let profiles: Vec<_> = profiles.iter().map(|p| p.profile.clone()).collect();
    let coming = Coming::new(origin, name, &|_| true, &|_| (false, None));
    let never = AtomicBool::new(false);
    with_request(site, &profiles, &coming, &known, (&never, &|_| {}), transfer::look)
}

/// Does something with what the configuration, the profiles and the ledger say about a transfer.
fn with_request<T>(
    site: &Site,
    profiles: &[SurveyProfile],
    coming: &Coming<'_>,
    known: &Ledger,
    (stop, progress): (&AtomicBool, &(dyn Fn(transfer::Step<'_>) + Sync)),
    act: impl FnOnce(&transfer::Request<'_>) -> Result<T, transfer::TransferFault>,
) -> anyhow::Result<T> {
    let markers: Vec<String> = profiles.iter().filter_map(|p| p.naming.marker.clone()).collect();
    let library = &site.config.library;
    let volumes: Vec<transfer::Volume> = site
        .library_roots()
        .into_iter()
        .map(|root| transfer::Volume {
            directory: root.join(coming.name),
            keep_free_bytes: library.keep_free_gb * 1_000_000_000,
        })
        .collect();
    act(&transfer::Request {
        source: coming.origin.source.as_ref(),
        delivery: coming.name,
        volumes: &volumes,
        fill: library.fill.into(),
        mode: if coming.is_library { transfer::Mode::InPlace } else { library.mode.into() },
        threads: site.config.work.workers(),
        lines_most: coming.origin.settings.lines.max(1),
        pace: &coming.origin.pace,
        stall: coming.origin.settings.stall(),
        known: &|file| known.get(file).cloned().unwrap_or_default(),
        survey_of: &|header| survey_of(profiles, header),
        markers: &markers,
        is_manifest: &|file| profiles.iter().any(|p| p.naming.is_manifest(file)),
        rank: &|file| rank(profiles, &markers, file),
        is_settled: coming.is_settled,
        progress,
        stop,
    })
    .map_err(|fault| match fault.is_gate() {
        true => exit::gate(fault.to_string()),
        false => fault.into(),
    })
}

/// What of a delivery comes first: catalogues, so that metadata need not be made twice; images; the marker last.
fn rank(profiles: &[SurveyProfile], markers: &[String], file: &str) -> u8 {
    let is_catalogue = |p: &SurveyProfile| p.naming.stem(file).catalogue;
    match () {
        () if markers.iter().any(|marker| marker == file) => 2,
        () if profiles.iter().any(is_catalogue) => 0,
        () => 1,
    }
}

/// From where the deliveries that options choose came, as far as that is still there.
///
/// # Errors
/// Exit code 3 for a delivery or night that the archive does not know.
pub fn came_from(archive: &Archive, scope: &crate::cli::Scope) -> anyhow::Result<Vec<String>> {
    let mut places = Vec::new();
    for name in chosen(archive, scope)? {
        let place = archive.source(&name)?;
        let text = place.to_string_lossy().into_owned();
        if text.contains("://") || place.is_dir() {
            places.push(text);
        } else {
            report::tell!("almagest: {name} came from {}, which is gone", report::shown(&text));
        }
    }
    Ok(places)
}

/// Where a delivery is, and its name: that of its directory.
///
/// # Errors
/// Exit code 3 when there is no such directory, or it has no usable name.
pub fn delivery_of(source: &Path) -> anyhow::Result<(PathBuf, String)> {
    let absolute = source
        .canonicalize()
        .map_err(|error| exit::gate(format!("no delivery at {}: {error}", source.display())))?;
    if !absolute.is_dir() {
        return Err(exit::gate(format!("{} is no directory", source.display())));
    }
    let name = absolute.file_name().unwrap_or_default();
    match transfer::names::fault(name) {
        Some((_, why)) => {
            Err(exit::gate(format!("{} cannot be a delivery: {why}", source.display())))
        }
        None if name.is_empty() => Err(exit::gate(format!("{} has no name", source.display()))),
        None => {
            holds_files(&absolute)?;
            let name = name.to_string_lossy().into_owned();
            Ok((absolute, name))
        }
    }
}

/// A directory of directories is an inbox, one level too high.
fn holds_files(delivery: &Path) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(delivery)
        .with_context(|| format!("cannot list {}", delivery.display()))?;
    let mut below = None;
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            return Ok(());
        }
        below.get_or_insert(entry.path());
    }
    Err(exit::gate(match below {
        Some(below) => format!(
            "{} holds directories and no files: is {} the delivery?",
            delivery.display(),
            below.display()
        ),
        None => format!("{} is empty: nothing has arrived yet", delivery.display()),
    }))
}

/// Name of the profile that fits a primary header.
fn survey_of(profiles: &[SurveyProfile], header: &fits::Header) -> String {
    let keyword = |name: &str| header.value(name).map(|value| value_text(&value));
    model::profile::choose(profiles, &keyword).map(|p| p.name.clone()).unwrap_or_default()
}

fn value_text(value: &fits::Value) -> String {
    match value {
        fits::Value::Text(text) => text.trim_end().to_owned(),
        other => other.to_string(),
    }
}

impl From<crate::config::LibraryMode> for transfer::Mode {
    fn from(mode: crate::config::LibraryMode) -> Self {
        match mode {
            crate::config::LibraryMode::Copy => Self::Copy,
            crate::config::LibraryMode::Link => Self::Link,
            crate::config::LibraryMode::InPlace => Self::InPlace,
        }
    }
}

impl From<crate::config::FillOrder> for transfer::Fill {
    fn from(order: crate::config::FillOrder) -> Self {
        match order {
            crate::config::FillOrder::InOrder => Self::InOrder,
            crate::config::FillOrder::MostFree => Self::MostFree,
        }
    }
}
