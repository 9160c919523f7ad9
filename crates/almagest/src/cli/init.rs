//! `almagest init SITE`.

use super::dry_run::tell_dry_run;
use crate::exit::{self, Exit};
use crate::report::{quoted, say};
use anyhow::Context;
use archive::history::Cause;
use archive::{Database, SiteFile};
use clap::builder::PossibleValuesParser;
use curate::advice;
use curate::site::{self, Archive};
use curate::{config, profiles};
use model::{Advice, profile};
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory of the site; created if it does not exist.
    #[arg(value_name = "SITE")]
    site: PathBuf,
    /// Keep the archive in this database of a PostgreSQL server (15 or later) instead of in the site itself:
    /// postgres://user@host:port/name?sslmode=verify-full. The password comes from PGPASSWORD, --password-file or
    /// ~/.pgpass, never from the URL.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// File of mode 0600 that holds the database's password.
    #[arg(long, value_name = "FILE", requires = "database")]
    password_file: Option<PathBuf>,
    /// Make the roles NAME_owner, NAME_ingester and NAME_reader in the database (NAME is that of the database), the
    /// reader with rights on the public tables and views alone, and the login NAME_query, which has the reader's rights:
    /// `sql` runs queries under it and needs it. Its password is in the site's file query.password. Also for a site that
    /// exists already.
    #[arg(long)]
    roles: bool,
    /// Survey profiles of the site, separated by commas, instead of wfcam, vista, hawki and generic.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = known_profiles())]
    profiles: Vec<String>,
    /// Only print what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Makes a site and prints its content.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = quoted(&arguments.site);
    if arguments.roles && site::is_site(&arguments.site) && arguments.database.is_none() {
        let site = site::Site::find(Some(arguments.site.clone()))?;
        return match arguments.dry_run {
            true => {
                tell_dry_run(true);
                say_roles(&archive::rehearse_roles(&site.place)?);
                Ok(Exit::Done)
            }
            false => roles(&site),
        };
    }
    let password_file = arguments.password_file.as_deref().map(std::path::absolute).transpose()?;
    let database =
        Database { url: arguments.database.clone(), password_file, ..Database::default() };
    if arguments.dry_run {
        check(&arguments.site, &database)?;
        archive::check_server(&database)?;
        let root = &arguments.site;
        files::may_create_dir(root).with_context(|| format!("cannot make {}", root.display()))?;
        say!("would create site {site}");
        return Ok(Exit::Done);
    }
    create(&arguments.site, &database, &chosen(&arguments.profiles))?;
    let place = match &database.url {
        None => "archive.db, library/, previews/, lake/, surveys/, almagest.toml".to_owned(),
        Some(url) => {
            format!("library/, previews/, surveys/, almagest.toml; the archive is in {url}")
        }
    };
    say!("created site {site}: {place}");
    if arguments.roles {
        roles(&site::Site::find(Some(arguments.site.clone()))?)?;
    }
    advice::note_site(Some(&arguments.site));
    say!("next: {}", advice::command(&Advice::Run { place: "DELIVERY_DIR".to_owned() }));
    Ok(Exit::Done)
}

/// Name of the file in a site that holds the password of the login of queries.
const QUERY_PASSWORD: &str = "query.password";

/// Makes the roles of a site's database, and the login of queries, which the configuration names afterwards.
pub fn roles(site: &site::Site) -> anyhow::Result<Exit> {
    let root = site.place.root();
    let named = site.config.database.query_password_file.clone();
    let named = named.unwrap_or_else(|| PathBuf::from(QUERY_PASSWORD));
    let password = query_password(&root.join(&named))?;
    let made = archive::make_roles(&site.place, &password)?;
    let Some((login, _)) = made.last() else { return Ok(Exit::Done) };
    let path = root.join(config::FILE_NAME);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let changed = config::with_query_login(&text, login, &named);
    if changed != text {
        files::publish_bytes(&path, changed.as_bytes())?;
    }
    say_roles(&made);
    Ok(Exit::Done)
}

fn say_roles(made: &[(String, &'static str)]) {
    for (role, what) in made {
        say!("role {role}: {what}");
    }
}

/// Reads the password in a file; a file that does not exist is made with a random password.
fn query_password(path: &Path) -> anyhow::Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => {
            return Err(fault).with_context(|| format!("cannot read {}", path.display()));
        }
        _ => {}
    }
    let mut bytes = [0; 24];
    let mut random = std::fs::File::open("/dev/urandom").context("cannot read /dev/urandom")?;
    std::io::Read::read_exact(&mut random, &mut bytes).context("cannot read /dev/urandom")?;
    let password = files::hex(&bytes);
    files::publish(path, |file| -> Result<(), Publishing> {
        // Users who may read the site's configuration may run queries.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o640))?;
        Ok(std::io::Write::write_all(file, format!("{password}\n").as_bytes())?)
    })
    .map_err(|Publishing(fault)| fault)
    .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(password)
}

struct Publishing(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Publishing {
    fn from(fault: E) -> Self {
        Self(fault.into())
    }
}

/// Checks that no site is made over another, and that a configuration that exists names the same database.
fn check(root: &Path, database: &Database) -> anyhow::Result<()> {
    if root.join("archive.db").exists() {
        return Err(exit::conflict(format!("{} is a site already", root.display())));
    }
    for dir in ["library", "previews", "lake/detection"] {
        let full = std::fs::read_dir(root.join(dir)).is_ok_and(|mut d| d.next().is_some());
        if full {
            return Err(exit::conflict(format!(
                "{0} has no archive.db, and {dir}/ is not empty: a new archive would assign the same ids \
                 again; restore archive.db from a backup, or create the site elsewhere",
                root.display()
            )));
        }
    }
    let path = root.join(config::FILE_NAME);
    if path.exists() && config::load(root)?.database != *database {
        return Err(exit::conflict(format!(
            "{} exists already and names another database: remove it, or name the same database by --database",
            path.display()
        )));
    }
    Ok(())
}

/// A survey profile: name and text.
type NamedProfile = (&'static str, &'static str);

/// Returns the parser of the names of profiles that are part of the program.
fn known_profiles() -> PossibleValuesParser {
    profile::shipped().iter().chain(profile::optional()).map(|(name, _)| *name).into()
}

/// Returns the named profiles, or those of every site when none is named.
fn chosen(names: &[String]) -> Vec<NamedProfile> {
    if names.is_empty() {
        return profile::shipped().to_vec();
    }
    let all = profile::shipped().iter().chain(profile::optional());
    all.filter(|(known, _)| names.iter().any(|name| name == known)).copied().collect()
}

/// Makes a site with some survey profiles.
pub fn create(root: &Path, database: &Database, profiles: &[NamedProfile]) -> anyhow::Result<()> {
    check(root, database)?;
    archive::check_server(database)?;
    let place = lay_out(root, database, profiles)?;
    let mut archive = Archive::create(&place, site::now())?;
    let loaded = profiles::load(&place.surveys())?;
    let cause = Cause::new(site::operator(), "site made");
    let rows = profiles::reference_rows(&loaded, place.products());
    archive.load_reference(&rows, &cause, site::now())?;
    Ok(())
}

/// Makes the directories of a site, and the texts that do not exist.
pub fn lay_out(
    root: &Path,
    database: &Database,
    profiles: &[NamedProfile],
) -> anyhow::Result<archive::Site> {
    let names: Vec<(String, &str)> =
        profiles.iter().map(|(name, text)| (format!("surveys/{name}.toml"), *text)).collect();
    let mut texts: Vec<SiteFile> =
        names.iter().map(|(path, text)| SiteFile { path, text }).collect();
    let config = config::on_server(database);
    texts.push(SiteFile { path: config::FILE_NAME, text: &config });
    Ok(archive::Site::create(root, &texts)?.on(database.clone()))
}
