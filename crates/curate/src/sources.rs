//! Sources of deliveries: the sources of the configuration, and directories and URLs that an operator names.

use crate::config::{Complete, Inbox, Order, SourceConfig};
use crate::failure;
use crate::profiles::Loaded;
use crate::site::Site;
use anyhow::Context;
use archive::deliveries::origins::{DeliveryOrigin, KnownOrigin};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use transfer::completeness::Rule;
use transfer::names::Unfinished;
use transfer::source::{Access, Address, Secret};
use transfer::{Pace, Source, SourceFault};

/// A source, with the settings for reading it.
pub struct Origin {
    /// Name in the configuration; for other sources the address.
    pub name: String,
    /// Name under which deliveries of the source are recorded: that of a configured source, else the address.
    pub key: String,
    /// True when the configuration names the source.
    pub is_source: bool,
    /// Address without secrets.
    pub address: String,
    /// Settings for reading the source.
    pub settings: SourceConfig,
    /// The source.
    pub source: Box<dyn Source>,
    /// Speed limit of the source.
    pub pace: Pace,
}

impl Origin {
    /// Returns the rule by which deliveries of the source are known to be complete.
    pub fn rule(&self) -> Rule {
        match self.settings.complete_when {
            Complete::MarkerOrQuiet => Rule::MarkerOrQuiet,
            Complete::Marker => Rule::Marker,
            Complete::Manifest => Rule::Manifest,
            Complete::Count => Rule::Count(self.settings.expected_files),
            Complete::Quiet => Rule::Quiet,
        }
    }

    /// Returns the place of a directory of the source.
    pub fn place_of(&self, directory: &str) -> DeliveryOrigin {
        DeliveryOrigin {
            origin: self.key.clone(),
            is_source: self.is_source,
            address: self.address.clone(),
            directory: directory.to_owned(),
        }
    }

    /// Returns a short plain label for the source: its name, else that of its directory.
    pub fn label(&self) -> String {
        const LABEL_BYTES: usize = 40;
        let word = match self.key == self.address {
            true => self.address.trim_end_matches('/').rsplit('/').next().unwrap_or_default(),
            false => &self.key,
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        let label: String = word.chars().map(plain).take(LABEL_BYTES).collect();
        match label.trim_matches('-') {
            "" => "other".to_owned(),
            label => label.to_owned(),
        }
    }

    /// Returns the names of the source's deliveries in the order in which they are fetched, and the entries that are skipped.
    ///
    /// # Errors
    /// [`SourceFault`].
    pub fn deliveries(&self, profiles: &[Loaded]) -> Result<Offered, SourceFault> {
        let wanted = &self.settings.deliveries;
        let unfinished = self.unfinished(profiles);
        let found = self.source.deliveries()?;
        let mut offered = Offered {
            skipped: found.skipped.into_iter().map(|s| (s.name, s.why)).collect(),
            ..Offered::default()
        };
        for name in found.names {
            let shown = files::shown(&name);
            if let Some((_, why)) = transfer::names::fault(&name) {
                offered.skipped.push((shown, why.to_owned()));
            } else if shown != "lost+found" && wanted.fits(&shown) {
                match unfinished.why(&shown) {
                    Some(why) => offered.skipped.push((shown, why)),
                    None => offered.names.push(shown),
                }
            }
        }
        let names = &mut offered.names;
        let night =
            |name: &str| profiles.iter().find_map(|p| p.profile.naming.delivery(name)?.night);
        // Deliveries whose names contain no night are last.
        names.sort_by_cached_key(|name: &String| {
            let night = night(name).map(i64::from);
            let rank = match self.settings.order {
                Order::Oldest => night.unwrap_or(i64::MAX),
                Order::Newest => night.map_or(i64::MAX, |night| -night),
            };
            (rank, name.clone())
        });
        Ok(offered)
    }

    /// Returns the rule for names of unfinished files: the usual ones, those of the profiles, those of the source.
    pub fn unfinished(&self, profiles: &[Loaded]) -> Unfinished {
        let of_profiles = profiles.iter().flat_map(|p| &p.profile.naming.unfinished_patterns);
        Unfinished::new(of_profiles.chain(&self.settings.unfinished_patterns).map(String::as_str))
    }
}

/// The deliveries that a source has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Names of the deliveries' directories.
    pub names: Vec<String>,
    /// Entries that are no deliveries, each with the reason.
    pub skipped: Vec<(String, String)>,
}

/// Returns all sources of a site: the inbox, and the sources that have a name.
///
/// # Errors
/// `Kind::Usage`, with the fault of every source.
pub fn all(site: &Site) -> anyhow::Result<Vec<Origin>> {
    let inbox = &site.config.inbox;
    let (mut origins, mut faults) = (Vec::new(), Vec::new());
    let boxes = inbox.directories.iter().map(|directory| {
        let settings = of_inbox(inbox, directory);
        (format!("inbox {}", directory.display()), None, settings)
    });
    let named =
        site.config.sources.iter().map(|(name, s)| (name.clone(), Some(name.clone()), s.clone()));
    for (name, key, settings) in boxes.chain(named) {
        match open(site, (&name, key.as_deref(), true), settings) {
            Ok(origin) => origins.push(origin),
            Err(why) => faults.push(format!("source {name}: {why}")),
        }
    }
    if faults.is_empty() {
        return Ok(origins);
    }
    Err(failure::usage(format!("{}: {}", crate::config::FILE_NAME, faults.join("\n"))))
}

/// Returns the source of a name.
///
/// # Errors
/// `Kind::Usage` when there is none.
pub fn named(site: &Site, name: &str) -> anyhow::Result<Origin> {
    let Some(settings) = site.config.sources.get(name) else {
        let known: Vec<&str> = site.config.sources.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(failure::usage(format!(
            "there is no source {name:?}; almagest.toml has {known}"
        )));
    };
    open(site, (name, Some(name), true), settings.clone())
        .map_err(|why| failure::usage(format!("source {name}: {why}")))
}

/// Returns the names under which the configuration's sources record their deliveries.
pub fn keys(site: &Site) -> BTreeSet<String> {
    let inbox = site.config.inbox.directories.iter();
    let inbox = inbox.filter_map(|directory| address(site, &directory.to_string_lossy()));
    site.config.sources.keys().cloned().chain(inbox).collect()
}

/// Returns the address of a URL or path, in the one form in which addresses are recorded.
fn address(site: &Site, url: &str) -> Option<String> {
    let address = Address::parse(url, site.place.root()).ok()?;
    Some(address.canonical().to_string())
}

/// Returns the source of the configuration that is at an address, with its settings and secrets.
fn configured(site: &Site, at: &Address) -> anyhow::Result<Option<Origin>> {
    let wanted = at.canonical().to_string();
    for (name, settings) in &site.config.sources {
        if address(site, &settings.url).is_some_and(|known| known == wanted) {
            return Ok(Some(named(site, name)?));
        }
    }
    let inbox = &site.config.inbox;
    let is_inbox = |d: &&PathBuf| address(site, &d.to_string_lossy()).is_some_and(|a| a == wanted);
    let Some(directory) = inbox.directories.iter().find(is_inbox) else { return Ok(None) };
    let name = format!("inbox {}", directory.display());
    let origin = open(site, (&name, None, true), of_inbox(inbox, directory));
    origin.map(Some).map_err(failure::usage)
}

fn of_inbox(inbox: &Inbox, directory: &Path) -> SourceConfig {
    SourceConfig {
        url: directory.to_string_lossy().into_owned(),
        quiet_seconds: inbox.quiet_seconds,
        poll_seconds: inbox.poll_seconds,
        links: inbox.links,
        link_roots: inbox.link_roots.clone(),
        unfinished_patterns: inbox.unfinished_patterns.clone(),
        ..SourceConfig::default()
    }
}

/// Returns the source and the directory of a known delivery, as the present configuration reaches them.
///
/// # Errors
/// As [`of_delivery`].
pub fn of_known(site: &Site, known: &KnownOrigin) -> anyhow::Result<(Origin, String)> {
    let place = &known.place;
    if place.is_source && site.config.sources.contains_key(&place.origin) {
        let origin = named(site, &place.origin)?;
        if origin.source.directory(&place.directory).is_none_or(|directory| directory.is_dir()) {
            return Ok((origin, place.directory.clone()));
        }
    }
    of_delivery(site, &format!("{}/{}", place.address.trim_end_matches('/'), place.directory))
}

/// Returns the source and the delivery that a URL or the path of a directory names. A source of the configuration is used if it
/// has the delivery, with its settings and secrets.
///
/// # Errors
/// `Kind::Usage` for a text that is not an address, `Kind::Gate` for a directory that is not a delivery.
pub fn of_delivery(site: &Site, text: &str) -> anyhow::Result<(Origin, String)> {
    if !text.contains("://") {
        let (root, name, link) = delivery_of(Path::new(text))?;
        let settings = configured(site, &Address::Directory(root.clone()))?;
        let (key, is_source, mut settings) = match settings {
            Some(known) => (Some(known.key), true, known.settings),
            None => (None, false, SourceConfig::default()),
        };
        // An operator who names a link wants it followed.
        settings.link_roots.extend(link);
        settings.url = root.to_string_lossy().into_owned();
        let origin = open(site, (&settings.url.clone(), key.as_deref(), is_source), settings);
        return Ok((origin.map_err(failure::usage)?, name));
    }
    let address =
        Address::parse(text, site.place.root()).map_err(|e| failure::usage(e.to_string()))?;
    let Some((root, name)) = address.split_last() else {
        return Err(failure::usage(format!("{address} names no delivery")));
    };
    if let Some((_, why)) = transfer::names::fault(name.as_ref()) {
        return Err(failure::gate(format!("{address} cannot be a delivery: {why}")));
    }
    if let Some(known) = configured(site, &root)? {
        return Ok((known, name));
    }
    let settings = SourceConfig { url: root.to_string(), ..SourceConfig::default() };
    let origin = open(site, (&root.to_string(), None, false), settings).map_err(failure::usage)?;
    Ok((origin, name))
}

/// Makes a source of the library itself.
pub fn in_library(source: impl Source + 'static) -> Origin {
    Origin {
        name: "library".to_owned(),
        key: "library".to_owned(),
        is_source: false,
        address: "library".to_owned(),
        settings: SourceConfig::default(),
        source: Box::new(source),
        pace: Pace::new(0.0),
    }
}

/// Opens a source by its name, the key under which its deliveries are recorded (its address without one), and its settings.
fn open(
    site: &Site,
    (name, key, is_source): (&str, Option<&str>, bool),
    settings: SourceConfig,
) -> Result<Origin, String> {
    let address = Address::parse(&settings.url, site.place.root()).map_err(|e| e.to_string())?;
    if settings.complete_when == Complete::Count && settings.expected_files == 0 {
        return Err("complete_when = \"count\" needs expected_files".to_owned());
    }
    if !(settings.mb_per_second >= 0.0 && settings.mb_per_second.is_finite()) {
        return Err("mb_per_second is not a speed".to_owned());
    }
    let is_s3 = matches!(address, Address::S3(_));
    let (user, secret, session) = credentials(site, &settings, is_s3)?;
    let access = Access {
        ssh_options: settings.ssh_options.clone(),
        user,
        secret,
        session,
        endpoint: settings.endpoint.clone(),
        region: settings.region.clone(),
        ca_file: named_file(site, settings.ca_file.as_ref()),
        listing: settings.listing.clone(),
        links: settings.links.into(),
        link_roots: settings.link_roots.iter().map(|root| site.place.root().join(root)).collect(),
        stall: settings.stall(),
        max_connections: settings.max_connections.max(1),
    };
    let source = transfer::source::open(&address, access).map_err(|e| e.to_string())?;
    let address = address.canonical().to_string();
    Ok(Origin {
        name: name.to_owned(),
        key: key.map_or_else(|| address.clone(), str::to_owned),
        is_source,
        address,
        pace: Pace::new(settings.mb_per_second * 1e6),
        settings,
        source,
    })
}

/// Returns the path of a file that the configuration names; relative ones are below the site.
fn named_file(site: &Site, path: Option<&PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty()).map(|path| site.place.root().join(path))
}

type Credentials = (String, Option<Secret>, Option<Secret>);

/// Returns the user and the secret: from a file, from a named variable, or for S3 from the usual variables.
fn credentials(site: &Site, settings: &SourceConfig, is_s3: bool) -> Result<Credentials, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let named = |file: Option<&PathBuf>, name: &str| match (named_file(site, file), name) {
        (Some(path), _) => secret_of(&path).map(Some),
        (None, "") => Ok(None),
        (None, name) => {
            let value = variable(name).ok_or_else(|| format!("the environment has no {name}"))?;
            Ok(Some(Secret::new(value)))
        }
    };
    let mut secret = named(settings.secret_file.as_ref(), &settings.secret_env)?;
    let mut session = named(settings.session_file.as_ref(), &settings.session_env)?;
    let mut user = settings.user.clone();
    if !is_s3 {
        return Ok((user, secret, None));
    }
    let usual_user = variable("AWS_ACCESS_KEY_ID");
    let is_usual = secret.is_none();
    secret = secret.or_else(|| variable("AWS_SECRET_ACCESS_KEY").map(Secret::new));
    if user.is_empty() {
        user = usual_user.clone().unwrap_or_default();
    }
    // A token belongs to the temporary key that was issued with it: a token of the environment is not sent with a permanent key.
    let is_others =
        !is_usual && user.starts_with(LASTING_KEY) && usual_user.as_ref() != Some(&user);
    if session.is_none() && !is_others {
        session = variable("AWS_SESSION_TOKEN").map(Secret::new);
    }
    Ok((user, secret, session))
}

/// Prefix of Amazon's permanent access keys, which have no token.
const LASTING_KEY: &str = "AKIA";

/// Reads the first line of a file that no other user may read.
fn secret_of(path: &PathBuf) -> Result<Secret, String> {
    let fault = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
    let mode = std::fs::metadata(path).map_err(fault)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!("others may read {}: chmod 600 it", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(fault)?;
    match text.lines().next().map(str::trim).filter(|line| !line.is_empty()) {
        Some(line) => Ok(Secret::new(line.to_owned())),
        None => Err(format!("{} is empty", path.display())),
    }
}

/// Returns the directory that contains a delivery's directory, the name of the delivery's directory, and its target if it is a
/// link. A delivery behind a link has the name of the link.
///
/// # Errors
/// `Kind::Gate` when there is no such directory, or it has no usable name.
fn delivery_of(source: &Path) -> anyhow::Result<(PathBuf, String, Option<PathBuf>)> {
    let gone = |error: std::io::Error| {
        failure::gate(format!("no delivery at {}: {error}", source.display()))
    };
    let mut named = std::path::absolute(source).map_err(gone)?;
    if !matches!(named.components().next_back(), Some(Component::Normal(_))) {
        named = named.canonicalize().map_err(gone)?;
    }
    let target = named.canonicalize().map_err(gone)?;
    if !target.is_dir() {
        return Err(failure::gate(format!("{} is not a directory", source.display())));
    }
    let parent = named.parent().unwrap_or(&named).canonicalize().map_err(gone)?;
    let name = named.file_name().unwrap_or_default();
    match transfer::names::fault(name) {
        Some((_, why)) => {
            Err(failure::gate(format!("{} cannot be a delivery: {why}", source.display())))
        }
        None if name.is_empty() => Err(failure::gate(format!("{} has no name", source.display()))),
        None => {
            holds_files(&target)?;
            let link = std::fs::symlink_metadata(&named).is_ok_and(|m| m.is_symlink());
            let name = name.to_string_lossy().into_owned();
            Ok((parent, name, link.then_some(target)))
        }
    }
}

/// Refuses a directory of directories: it is an inbox, one level too high.
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
    Err(failure::gate(match below {
        Some(below) => format!(
            "{} holds directories and no files: is {} the delivery?",
            delivery.display(),
            below.display()
        ),
        None => format!("{} is empty: nothing has arrived yet", delivery.display()),
    }))
}
