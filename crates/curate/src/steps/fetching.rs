//! CU1 in the steps of a night: from an [`Origin`] into the library and the ledger.
//!
//! [`NightRun::fetch_all`] fetches for an operator (all files that exist now), [`NightRun::fetch`] for the daemon (the settled
//! files, with a description of the awaited ones). Each group of files is registered as soon as it lands; the last registration of a fetch
//! records the files that are still awaited.

use super::NightRun;
use super::identity::{self, Identity};
use crate::failure;
use crate::log::tell;
use crate::profiles::{self, Loaded};
use crate::scope::{Scope, chosen};
use crate::site::{self, Site};
use crate::sources::{self, Origin};
use archive::Reader;
use archive::library::{Holding, Soundness};
use model::DeliveryName;
use model::profile::{Identifying, SurveyProfile};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use transfer::completeness::{self, Rule, Seen};
use transfer::{Fetched, Step};

/// Known files, by name.
type Ledger = HashMap<String, Vec<transfer::Known>>;

/// A fetch of a delivery: its files, and the judgement on it afterwards.
pub struct DeliveryFetch<'a> {
    /// Origin of the delivery.
    pub origin: &'a Origin,
    /// Name of the delivery's directory at the origin.
    pub directory: &'a str,
    /// Identity of the delivery, if the operator declared it.
    pub identity: Identity,
    /// True for a file that may be fetched.
    pub is_settled: &'a (dyn Fn(&transfer::Entry) -> bool + Sync),
    /// Judgement on a finished fetch: true when the delivery is complete, and a description of the awaited files.
    pub judge: &'a dyn Fn(&Fetched) -> (bool, Option<String>),
    /// Files that are fetched although they did not change: their copies in the library are not sound.
    pub again: BTreeSet<String>,
    /// True when the source is the library itself: files stay where they are, and the delivery keeps its recorded origin.
    pub is_library: bool,
    /// True when the operator declares that more files are expected.
    pub is_reopened: bool,
}

impl<'a> DeliveryFetch<'a> {
    /// Makes a fetch of a delivery's new files from a source other than the library.
    pub fn new(
        origin: &'a Origin,
        directory: &'a str,
        is_settled: &'a (dyn Fn(&transfer::Entry) -> bool + Sync),
        judge: &'a dyn Fn(&Fetched) -> (bool, Option<String>),
    ) -> Self {
        Self {
            origin,
            directory,
            identity: Identity::ByOrigin,
            is_settled,
            judge,
            again: BTreeSet::new(),
            is_library: false,
            is_reopened: false,
        }
    }
}

/// The operator's declaration of when a delivery is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Completeness {
    /// No declaration: the marker decides, where the survey has one.
    #[default]
    Undeclared,
    /// The whole delivery is in its directory now: it is complete when that is transferred.
    Complete,
    /// More files are expected.
    MoreExpected,
}

/// The operator's declarations about a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declarations {
    /// Identity of the delivery.
    pub identity: Identity,
    /// Completeness of the delivery.
    pub completeness: Completeness,
    /// Files that are fetched again although they did not change: their copies in the library are not sound.
    pub again: BTreeSet<String>,
}

impl Declarations {
    /// Returns true when a delivery is complete after a fetch, and a description of the awaited files.
    fn judged(&self, fetched: &Fetched, has_marker: bool) -> (bool, Option<String>) {
        let blocked = Seen {
            postponed: fetched.postponed.len() + fetched.not_started,
            lost: fetched.unreachable.clone(),
            ..Seen::default()
        };
        let awaited = completeness::awaited(Rule::Quiet, &blocked);
        let all_there = match self.completeness {
            Completeness::Complete => true,
            Completeness::MoreExpected => false,
            // Without an expected marker, only the operator can declare that more files are expected.
            Completeness::Undeclared => fetched.marked_complete || !has_marker,
        };
        let more = || Some("more files are expected, as the operator declared".to_owned());
        match (awaited, self.completeness) {
            (None, Completeness::MoreExpected) => (false, more()),
            (awaited, _) => (all_there && awaited.is_none(), awaited),
        }
    }
}

/// A finished fetch.
pub struct FetchedDelivery {
    /// Name of the delivery.
    pub name: DeliveryName,
    /// Result of the fetch.
    pub fetched: Fetched,
    /// Description of the awaited files; `None` when there are none.
    pub awaited: Option<String>,
}

impl NightRun {
    /// Fetches a delivery into the library and registers it (CU1), for an operator: all files that exist now. Returns its name.
    ///
    /// # Errors
    /// `Kind::Gate` when the delivery would not fit or the operator has to decide which delivery it is, `Kind::Conflict` while
    /// another process fetches it, and when the source cannot be read.
    pub fn fetch_all(
        &mut self,
        origin: &Origin,
        directory: &str,
        declared: &Declarations,
    ) -> anyhow::Result<DeliveryName> {
        let naming = profiles::naming_of(&self.curator.profiles, directory);
        let has_marker = naming.is_some_and(|naming| naming.marker.is_some());
        let judge = |fetched: &Fetched| declared.judged(fetched, has_marker);
        let fetch = DeliveryFetch {
            identity: declared.identity.clone(),
            again: declared.again.clone(),
            is_reopened: declared.completeness == Completeness::MoreExpected,
            ..DeliveryFetch::new(origin, directory, &|_| true, &judge)
        };
        let FetchedDelivery { name, fetched, .. } = self.fetch(&fetch)?;
        if let Some(why) = fetched.unreachable {
            return Err(anyhow::anyhow!("{name} could not be fetched completely, retry: {why}"));
        }
        tell_skipped(&name, &fetched);
        self.not_fetched.extend(
            fetched.postponed.into_iter().map(|(file, why)| (format!("{name}/{file}"), why)),
        );
        Ok(name)
    }

    /// Declares a delivery complete for the operator. Returns `false` when it already was.
    ///
    /// # Errors
    /// When the archive does not know the delivery.
    pub fn close(&mut self, name: &DeliveryName) -> anyhow::Result<bool> {
        let closed = self.curator.archive.close_delivery(name, &self.curator.cause, site::now())?;
        self.curator.archive.complete_deliveries(site::now())?;
        Ok(closed)
    }

    /// Fetches the files of a delivery that are due, and registers them group by group.
    ///
    /// # Errors
    /// `Kind::Conflict` while another process fetches the delivery, `Kind::Gate` when it would not fit.
    pub fn fetch(&mut self, fetch: &DeliveryFetch<'_>) -> anyhow::Result<FetchedDelivery> {
        let (name, _lock) = if fetch.is_library {
            let name: DeliveryName = fetch.directory.parse()?;
            let lock = self.locked(&name)?.ok_or_else(|| identity::under_way(&name))?;
            (name, lock)
        } else {
            self.identify((fetch.origin, fetch.directory), &fetch.identity)?
        };
        let result = self.fetch_locked(fetch, name);
        if result.is_err() && !fetch.is_library {
            // A fetch that registered nothing must not reserve a name.
            self.curator.archive.release_origin(&fetch.origin.place_of(fetch.directory))?;
        }
        result
    }

    fn fetch_locked(
        &mut self,
        fetch: &DeliveryFetch<'_>,
        name: DeliveryName,
    ) -> anyhow::Result<FetchedDelivery> {
        self.deliveries.insert(name.clone());
        let known = known_of(&self.curator.site, &self.curator.archive, &fetch.again, &name)?;
        let place = self.place_of(fetch, &name, !known.is_empty())?;
        self.count("transfer").begin();
        let mut delivery = register::Delivery {
            name: &name,
            address: &place,
            all_there: false,
            awaited: None,
            expected_files: None,
            is_reopened: fetch.is_reopened,
            listed: &[],
        };
        let (mut fetched, mut new_refusals) = self.fetch_groups(fetch, &known, &delivery)?;
        (delivery.all_there, delivery.awaited) = (fetch.judge)(&fetched);
        delivery.expected_files = match fetch.origin.rule() {
            Rule::Count(count) => Some(count),
            _ => fetched.listed.as_ref().map(|(files, _)| *files as u64),
        };
        let arrivals = std::mem::take(&mut fetched.arrivals);
        self.note_repaired(&name, &arrivals, &fetch.again)?;
        let profiles: Vec<_> = self.curator.profiles.iter().map(|p| p.profile.clone()).collect();
        let place = &self.curator.site.place;
        let now = site::now();
        let recorded = register::record(
            &delivery,
            &fetched,
            &profiles,
            place,
            &mut self.curator.archive,
            now,
        )?;
        new_refusals += recorded.new_refusals;
        fetched.arrivals = arrivals;
        self.count_fetched(&fetched, new_refusals);
        // An operator may have declared the delivery complete.
        let awaited = match delivery.awaited {
            None => None,
            awaited if fetch.is_reopened => awaited,
            Some(awaited) => self.curator.archive.awaited(&name)?.map(|_| awaited),
        };
        Ok(FetchedDelivery { name, fetched, awaited })
    }

    /// Returns the place from which the delivery is fetched, for the record. A delivery that joins files from elsewhere is
    /// reported.
    fn place_of(
        &self,
        fetch: &DeliveryFetch<'_>,
        name: &DeliveryName,
        is_known: bool,
    ) -> anyhow::Result<String> {
        let place = fetch.origin.source.place(fetch.directory);
        if !is_known {
            return Ok(place);
        }
        let before = self.curator.archive.source(name)?.to_string_lossy().into_owned();
        if fetch.is_library {
            return Ok(before);
        }
        if before != place && matches!(fetch.identity, Identity::Join(_)) {
            tell!(
                WARN,
                "files_join",
                delivery = name.as_str(),
                "{name} came from {before} before; its files join those"
            );
        }
        Ok(place)
    }

    /// Fetches files, and registers every group that lands. Returns the number of new refusals.
    fn fetch_groups(
        &mut self,
        fetch: &DeliveryFetch<'_>,
        known: &Ledger,
        delivery: &register::Delivery<'_>,
    ) -> anyhow::Result<(Fetched, u64)> {
        let profiles: Vec<_> = self.curator.profiles.iter().map(|p| p.profile.clone()).collect();
        let shown = &self.curator.progress;
        let listed: OnceLock<Vec<String>> = OnceLock::new();
        let progress = |step: Step<'_>| match step {
            Step::Listed { names } => drop(listed.set(names.iter().cloned().collect())),
            Step::Begins { files, .. } => shown.expect("transfer", files as u64),
            Step::Ended { .. } => shown.done("transfer", 1),
        };
        let mut new_refusals = 0;
        let (site, archive) = (&self.curator.site, &mut self.curator.archive);
        let mut landed = |group: &[transfer::FetchedFile]| {
            let now = site::now();
            let listed = listed.get().map_or(&[][..], Vec::as_slice);
            let delivery = &register::Delivery { listed, ..delivery.clone() };
            let recorded =
                register::record_group(delivery, group, &profiles, &site.place, archive, now)?;
            new_refusals += recorded.new_refusals;
            Ok(())
        };
        let fetched = with_request(
            site,
            &profiles,
            (fetch, delivery.name),
            known,
            (&self.stop, &progress),
            |request| transfer::fetch(request, &mut landed),
        );
        self.curator.progress.finish();
        Ok((fetched?, new_refusals))
    }

    fn count_fetched(&mut self, fetched: &Fetched, new_refusals: u64) {
        let hdus = fetched.arrivals.iter().flat_map(|a| &a.content.hdus);
        let detectors = hdus.filter(|hdu| hdu.is_image).count() as u64;
        let counts = self.count("transfer");
        counts.files += fetched.arrivals.len() as u64;
        counts.detectors += detectors;
        counts.bytes += fetched.bytes;
        counts.refusals += new_refusals;
        counts.end();
    }

    /// Records that the replacements of unsound files are sound.
    fn note_repaired(
        &mut self,
        delivery: &DeliveryName,
        arrivals: &[transfer::FetchedFile],
        again: &BTreeSet<String>,
    ) -> anyhow::Result<()> {
        if again.is_empty() {
            return Ok(());
        }
        let is_repaired = |h: &Holding| {
            again.contains(&h.name)
                && arrivals.iter().any(|a| a.name == h.name && a.sha256 == h.sha256)
        };
        let holdings = self.curator.archive.holdings(Some(delivery))?;
        let repaired: Vec<_> = holdings
            .iter()
            .filter(|h| is_repaired(h))
            .map(|h| (h.file_id, Soundness::Intact))
            .collect();
        Ok(self.curator.archive.note_soundness(&repaired, site::now())?)
    }
}

/// Returns the ledger's entries for the files of a delivery; those to be fetched `again` are marked.
fn known_of(
    site: &Site,
    archive: &Reader,
    again: &BTreeSet<String>,
    name: &DeliveryName,
) -> anyhow::Result<Ledger> {
    let mut known = register::known(name, &site.place, archive)?;
    for file in again {
        known.get_mut(file).into_iter().flatten().for_each(|content| content.reexamine = true);
    }
    Ok(known)
}

/// Returns the files that a transfer would fetch of a delivery, and the delivery's name.
///
/// # Errors
/// As [`NightRun::fetch_all`].
pub fn prospect(
    site: &Site,
    archive: &Reader,
    profiles: &[Loaded],
    (origin, directory): (&Origin, &str),
    declared: &Declarations,
) -> anyhow::Result<(DeliveryName, transfer::Prospect)> {
    let configured = crate::sources::keys(site);
    let name = identity::expected(archive, (origin, directory), &configured, &declared.identity)?;
    let known = known_of(site, archive, &declared.again, &name)?;
    let fetch = DeliveryFetch::new(origin, directory, &|_| true, &|_| (false, None));
    let found = rehearsed(site, profiles, (&fetch, &name), &known)?;
    Ok((name, found))
}

/// Returns the files of the library that a fetch in place would register, with those that it would refuse or skip.
///
/// # Errors
/// As [`NightRun::fetch`].
pub fn prospect_in_place(
    site: &Site,
    archive: &Reader,
    profiles: &[Loaded],
    (origin, name): (&Origin, &DeliveryName),
) -> anyhow::Result<transfer::Prospect> {
    let known = known_of(site, archive, &BTreeSet::new(), name)?;
    let fetch = DeliveryFetch::new(origin, name, &|_| true, &|_| (false, None));
    let fetch = DeliveryFetch { is_library: true, ..fetch };
    rehearsed(site, profiles, (&fetch, name), &known)
}

fn rehearsed(
    site: &Site,
    profiles: &[Loaded],
    to: (&DeliveryFetch<'_>, &DeliveryName),
    known: &Ledger,
) -> anyhow::Result<transfer::Prospect> {
    let profiles: Vec<_> = profiles.iter().map(|p| p.profile.clone()).collect();
    let never = AtomicBool::new(false);
    with_request(site, &profiles, to, known, (&never, &|_| {}), transfer::dry_run)
}

/// Reports the entries that a source shows and that were not fetched.
fn tell_skipped(name: &DeliveryName, fetched: &Fetched) {
    const NAMED: usize = 20;
    for entry in fetched.skipped.iter().take(NAMED) {
        let (file, why) = (&entry.name, &entry.why);
        tell!(WARN, "skipped", delivery = name.as_str(), file, "{name}: {file} is skipped: {why}");
    }
    if fetched.skipped.len() > NAMED {
        let more = fetched.skipped.len() - NAMED;
        tell!(
            WARN,
            "skipped",
            delivery = name.as_str(),
            "{name}: {more} more entries are skipped: table skipped lists them"
        );
    }
}

/// Calls `act` with the request of a transfer, from the configuration, the profiles and the ledger.
fn with_request<T>(
    site: &Site,
    profiles: &[SurveyProfile],
    (fetch, name): (&DeliveryFetch<'_>, &DeliveryName),
    known: &Ledger,
    (stop, progress): (&AtomicBool, &(dyn Fn(transfer::Step<'_>) + Sync)),
    act: impl FnOnce(&transfer::Request<'_>) -> Result<T, transfer::TransferFault>,
) -> anyhow::Result<T> {
    let markers: Vec<String> = profiles.iter().filter_map(|p| p.naming.marker.clone()).collect();
    let further = profiles.iter().flat_map(|p| &p.naming.unfinished_patterns);
    let further = further.chain(&fetch.origin.settings.unfinished_patterns).map(String::as_str);
    let unfinished = transfer::Unfinished::new(further);
    let library = &site.config.library;
    let volumes: Vec<transfer::Volume> = site
        .library_roots()
        .into_iter()
        .map(|root| transfer::Volume {
            directory: root.join(name),
            keep_free_bytes: library.keep_free_gb * 1_000_000_000,
        })
        .collect();
    act(&transfer::Request {
        source: fetch.origin.source.as_ref(),
        directory: fetch.directory,
        volumes: &volumes,
        fill: library.fill.into(),
        mode: if fetch.is_library { transfer::Mode::InPlace } else { library.mode.into() },
        threads: site.config.work.workers(),
        max_connections: fetch.origin.settings.max_connections.max(1),
        pace: &fetch.origin.pace,
        stall: fetch.origin.settings.stall(),
        known: &|file| known.get(file).cloned().unwrap_or_default(),
        survey_of: &|sample| survey_of(profiles, sample),
        unfinished: &unfinished,
        // The survey of a file is known only after the fetch.
        max_file_bytes: profiles.iter().map(|p| p.limits.file_bytes).max().unwrap_or(u64::MAX),
        markers: &markers,
        is_manifest: &|file| profiles.iter().any(|p| p.naming.is_manifest(file)),
        rank: &|file| rank(profiles, &markers, file),
        is_settled: fetch.is_settled,
        progress,
        stop,
    })
    .map_err(|fault| match fault.is_gate() {
        true => failure::gate(fault.to_string()),
        false => fault.into(),
    })
}

/// Returns the rank of a file in the order of fetching: catalogues first, so that metadata need not be made twice; then images;
/// the marker last.
fn rank(profiles: &[SurveyProfile], markers: &[String], file: &str) -> u8 {
    let is_catalogue = |p: &SurveyProfile| p.naming.stem(file).catalogue;
    match () {
        () if markers.iter().any(|marker| marker == file) => 2,
        () if profiles.iter().any(is_catalogue) => 0,
        () => 1,
    }
}

/// Returns the origins of the deliveries that options choose, if the origins still exist.
///
/// # Errors
/// `Kind::Gate` for a delivery or night that the archive does not know.
pub fn came_from(
    site: &Site,
    archive: &Reader,
    scope: &Scope,
) -> anyhow::Result<Vec<(Origin, String)>> {
    let mut places = Vec::new();
    for name in chosen(archive, scope)? {
        let origins = archive.origins(None)?;
        for known in origins.iter().filter(|known| known.delivery == name) {
            let place = format!("{}/{}", known.place.address, known.place.directory);
            match sources::of_known(site, known) {
                _ if !known.place.is_source
                    && !place.contains("://")
                    && !Path::new(&place).is_dir() =>
                {
                    tell!(
                        WARN,
                        "source_gone",
                        delivery = name.as_str(),
                        "{name} came from {place}, which does not exist"
                    );
                }
                Ok(found) => places.push(found),
                Err(fault) => tell!(
                    ERROR,
                    "source_unknown",
                    delivery = name.as_str(),
                    "{name} came from {place}: {fault:#}"
                ),
            }
        }
    }
    Ok(places)
}

/// Returns the rules of the profile that fits a file.
pub(super) fn survey_of(
    profiles: &[SurveyProfile],
    sample: &transfer::Sample<'_>,
) -> transfer::SurveyRules {
    let rules = |profile: &SurveyProfile| transfer::SurveyRules {
        survey: Some(profile.name.clone()),
        limits: process::limits(profile),
        stale_checksum: profile.limits.stale_checksum,
        detectors: profile.limits.detectors.clone(),
        uses: sample.file.map(|file| process::uses(file, profile)).unwrap_or_default(),
    };
    profile_of(profiles, sample).map(rules).unwrap_or_default()
}

/// Returns the profile that fits a file.
pub fn profile_of<'p>(
    profiles: &'p [SurveyProfile],
    sample: &transfer::Sample<'_>,
) -> Option<&'p SurveyProfile> {
    identified(sample, |file| model::profile::choose(profiles, file))
}

/// Passes on a file as the rules see it that select its profile.
pub(super) fn identified<T>(
    sample: &transfer::Sample<'_>,
    then: impl FnOnce(&Identifying<'_>) -> T,
) -> T {
    let first = sample.first_extension();
    let keyword = |name: &str| {
        let value = sample.primary.value(name).or_else(|| first?.value(name));
        value.map(|value| value_text(&value))
    };
    then(&Identifying { file: sample.name, keyword: &keyword })
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
