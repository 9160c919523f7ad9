//! `almagest init SITE`.

use crate::advice;
use crate::exit::{self, Exit};
use crate::report::{quoted, say};
use crate::site::{self, Archive};
use crate::{config, profiles};
use archive::{Database, Registry, SiteFile, records::Cause};
use model::Advice;
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory to make, or one without a site to make it in.
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
    /// reader with rights on the public tables and views alone; also for a site that is there already.
    #[arg(long)]
    roles: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Makes a site and says what is in it.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = quoted(&arguments.site);
    if arguments.roles && site::is_site(&arguments.site) && arguments.database.is_none() {
        return roles(&site::Site::find(Some(arguments.site.clone()))?);
    }
    let password_file = arguments.password_file.as_deref().map(std::path::absolute).transpose()?;
    let database = Database { url: arguments.database.clone(), password_file };
    if arguments.dry_run {
        check(&arguments.site)?;
        say!("would make site {site}");
        return Ok(Exit::Done);
    }
    create(&arguments.site, &database)?;
    let place = match &database.url {
        None => "archive.db, library/, previews/, lake/, surveys/, almagest.toml".to_owned(),
        Some(url) => {
            format!("library/, previews/, surveys/, almagest.toml; the archive is in {url}")
        }
    };
    say!("made site {site}: {place}");
    if arguments.roles {
        roles(&site::Site::find(Some(arguments.site.clone()))?)?;
    }
    advice::note_site(Some(&arguments.site));
    say!("next: {}", advice::command(&Advice::Run { place: "DELIVERY_DIR".to_owned() }));
    Ok(Exit::Done)
}

/// Makes the roles of a site's database and says which.
fn roles(site: &site::Site) -> anyhow::Result<Exit> {
    for (role, what) in archive::make_roles(&site.place)? {
        say!("role {role}: {what}");
    }
    Ok(Exit::Done)
}

/// A site is never made over another.
fn check(root: &Path) -> anyhow::Result<()> {
    if root.join("archive.db").exists() {
        return Err(exit::conflict(format!("{} is a site already", root.display())));
    }
    for dir in ["library", "previews", "lake/detection"] {
        let full = std::fs::read_dir(root.join(dir)).is_ok_and(|mut d| d.next().is_some());
        if full {
            return Err(exit::conflict(format!(
                "{0} has no archive.db, and {dir}/ is not empty: a new archive would give out its numbers again; restore \
                 archive.db from a backup, or make the site elsewhere",
                root.display()
            )));
        }
    }
    Ok(())
}

/// Makes a site with the shipped survey profiles.
pub fn create(root: &Path, database: &Database) -> anyhow::Result<()> {
    check(root)?;
    archive::check_server(database)?;
    let place = lay_out(root, database)?;
    if config::load(root)?.database != *database {
        return Err(exit::conflict(format!(
            "{} is there already and names another database: remove it, or say the same by --database",
            root.join(config::FILE_NAME).display()
        )));
    }
    let mut archive = Archive::create(&place, site::now())?;
    let loaded = profiles::load(&place.surveys())?;
    let cause = Cause::new(site::operator(), "site made");
    archive.load_reference(&profiles::reference_rows(&loaded), &cause, site::now())?;
    Ok(())
}

/// Makes the directories of a site, and the texts that are not there.
pub fn lay_out(root: &Path, database: &Database) -> anyhow::Result<archive::Site> {
    let names: Vec<(String, &str)> = model::profile::shipped()
        .iter()
        .map(|(name, text)| (format!("surveys/{name}.toml"), *text))
        .collect();
    let mut texts: Vec<SiteFile> =
        names.iter().map(|(path, text)| SiteFile { path, text }).collect();
    let config = config::on_server(database);
    texts.push(SiteFile { path: config::FILE_NAME, text: &config });
    Ok(archive::Site::create(root, &texts)?.on(database.clone()))
}
