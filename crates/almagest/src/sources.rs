//! Where deliveries come from: the sources of the configuration, and directories and URLs that an operator names.

use crate::config::{Complete, Order, SourceConfig};
use crate::exit;
use crate::profiles::Loaded;
use crate::site::Site;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use transfer::completeness::Rule;
use transfer::source::{Access, Address, Secret};
use transfer::{Pace, Source, SourceFault};

/// A source, and how it is to be read.
pub struct Origin {
    /// Its name in the configuration; of others where it is.
    pub name: String,
    /// Where it is, without secrets.
    pub address: String,
    /// How it is to be read.
    pub settings: SourceConfig,
    /// The source.
    pub source: Box<dyn Source>,
    /// Its speed.
    pub pace: Pace,
}

impl Origin {
    /// By what its deliveries are known to be complete.
    pub fn rule(&self) -> Rule {
        match self.settings.complete {
            Complete::MarkerOrQuiet => Rule::MarkerOrQuiet,
            Complete::Marker => Rule::Marker,
            Complete::Manifest => Rule::Manifest,
            Complete::Count => Rule::Count(self.settings.count),
            Complete::Quiet => Rule::Quiet,
        }
    }

    /// Names of its deliveries, in the order in which they are to come.
    ///
    /// # Errors
    /// [`SourceFault`].
    pub fn deliveries(&self, profiles: &[Loaded]) -> Result<Vec<String>, SourceFault> {
        let wanted = model::profile::Glob::new(&self.settings.deliveries);
        let usable = |name: OsString| {
            let name = name.into_string().ok()?;
            let is_wanted = name != "lost+found" && wanted.fits(&name);
            (is_wanted && transfer::names::fault(name.as_ref()).is_none()).then_some(name)
        };
        let mut names: Vec<String> =
            self.source.deliveries()?.into_iter().filter_map(usable).collect();
        let night = |name: &str| {
            profiles.iter().find_map(|p| p.profile.naming.delivery(name)).map(|d| d.night)
        };
        // Those whose name tells no night come last.
        names.sort_by_cached_key(|name| {
            let night = night(name).map(i64::from);
            let rank = match self.settings.order {
                Order::Oldest => night.unwrap_or(i64::MAX),
                Order::Newest => night.map_or(i64::MAX, |night| -night),
            };
            (rank, name.clone())
        });
        Ok(names)
    }
}

/// All sources of a site: its inbox, and those that have a name.
///
/// # Errors
/// Exit code 2, with the fault of every source.
pub fn all(site: &Site) -> anyhow::Result<Vec<Origin>> {
    let inbox = &site.config.inbox;
    let (mut origins, mut faults) = (Vec::new(), Vec::new());
    let boxes = inbox.directories.iter().map(|directory| {
        let settings = SourceConfig {
            url: directory.to_string_lossy().into_owned(),
            quiet_seconds: inbox.quiet_seconds,
            poll_seconds: inbox.poll_seconds,
            ..SourceConfig::default()
        };
        (format!("inbox {}", directory.display()), settings)
    });
    let named = site.config.sources.iter().map(|(name, s)| (name.clone(), s.clone()));
    for (name, settings) in boxes.chain(named) {
        match open(site, &name, settings) {
            Ok(origin) => origins.push(origin),
            Err(why) => faults.push(format!("source {name}: {why}")),
        }
    }
    if faults.is_empty() {
        return Ok(origins);
    }
    Err(exit::usage(format!("{}: {}", crate::config::FILE_NAME, faults.join("\n"))))
}

/// The source of a name.
///
/// # Errors
/// Exit code 2 when there is none.
pub fn named(site: &Site, name: &str) -> anyhow::Result<Origin> {
    let Some(settings) = site.config.sources.get(name) else {
        let known: Vec<&str> = site.config.sources.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(exit::usage(format!("there is no source {name:?}; almagest.toml has {known}")));
    };
    open(site, name, settings.clone()).map_err(|why| exit::usage(format!("source {name}: {why}")))
}

/// The source and the delivery that a URL or the path of a directory means. A source of the configuration is taken if it has
/// the delivery, with its settings and secrets.
///
/// # Errors
/// Exit code 2 for what is no address, 3 for a directory that is no delivery.
pub fn of_delivery(site: &Site, text: &str) -> anyhow::Result<(Origin, String)> {
    if !text.contains("://") {
        let (path, name) = crate::steps::delivery_of(Path::new(text))?;
        let root = path.parent().unwrap_or(&path).to_string_lossy().into_owned();
        let settings = SourceConfig { url: root.clone(), ..SourceConfig::default() };
        let origin = open(site, &root, settings).map_err(exit::usage)?;
        return Ok((origin, name));
    }
    let address =
        Address::parse(text, site.place.root()).map_err(|e| exit::usage(e.to_string()))?;
    let Some((root, name)) = address.split_last() else {
        return Err(exit::usage(format!("{address} names no delivery")));
    };
    if let Some((_, why)) = transfer::names::fault(name.as_ref()) {
        return Err(exit::gate(format!("{address} cannot be a delivery: {why}")));
    }
    for (known, settings) in &site.config.sources {
        let same = Address::parse(&settings.url, site.place.root()).is_ok_and(|a| a == root);
        if same {
            return Ok((named(site, known)?, name));
        }
    }
    let settings = SourceConfig { url: root.to_string(), ..SourceConfig::default() };
    let origin = open(site, &root.to_string(), settings).map_err(exit::usage)?;
    Ok((origin, name))
}

/// The library itself, as far as a source shows it.
pub fn in_library(source: impl Source + 'static) -> Origin {
    Origin {
        name: "library".to_owned(),
        address: "library".to_owned(),
        settings: SourceConfig::default(),
        source: Box::new(source),
        pace: Pace::new(0.0),
    }
}

fn open(site: &Site, name: &str, settings: SourceConfig) -> Result<Origin, String> {
    let address = Address::parse(&settings.url, site.place.root()).map_err(|e| e.to_string())?;
    if settings.complete == Complete::Count && settings.count == 0 {
        return Err("complete = \"count\" needs the count".to_owned());
    }
    if !(settings.mb_per_second >= 0.0 && settings.mb_per_second.is_finite()) {
        return Err("mb_per_second is no speed".to_owned());
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
        authorities: named_file(site, settings.authorities.as_ref()),
        listing: settings.listing.clone(),
        stall: settings.stall(),
        lines_most: settings.lines.max(1),
    };
    let source = transfer::source::open(&address, access).map_err(|e| e.to_string())?;
    Ok(Origin {
        name: name.to_owned(),
        address: address.to_string(),
        pace: Pace::new(settings.mb_per_second * 1e6),
        settings,
        source,
    })
}

/// A file that the configuration names; relative ones are below the site.
fn named_file(site: &Site, path: Option<&PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty()).map(|path| site.place.root().join(path))
}

type Credentials = (String, Option<Secret>, Option<Secret>);

/// Who asks, and by which secret: from a file, from a variable that is named, or of S3 from the usual ones.
fn credentials(site: &Site, settings: &SourceConfig, is_s3: bool) -> Result<Credentials, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let file = named_file(site, settings.secret_file.as_ref());
    let secret = match (file, settings.secret_env.as_str()) {
        (Some(path), _) => Some(secret_of(&path)?),
        (None, "") => None,
        (None, name) => {
            let value = variable(name).ok_or_else(|| format!("the environment has no {name}"))?;
            Some(Secret::new(value))
        }
    };
    let mut user = settings.user.clone();
    if !is_s3 || secret.is_some() {
        return Ok((user, secret, None));
    }
    let secret = variable("AWS_SECRET_ACCESS_KEY").map(Secret::new);
    if user.is_empty() {
        user = variable("AWS_ACCESS_KEY_ID").unwrap_or_default();
    }
    Ok((user, secret, variable("AWS_SESSION_TOKEN").map(Secret::new)))
}

/// The first line of a file that nobody else may read.
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
