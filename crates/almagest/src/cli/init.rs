//! `almagest init SITE`.

use crate::exit::{self, Exit};
use crate::report::{quoted, say};
use crate::site::{self, Archive};
use crate::{config, profiles};
use archive::{Registry, SiteFile, records::Cause};
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory to make, or one without a site to make it in.
    #[arg(value_name = "SITE")]
    site: PathBuf,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Makes a site and says what is in it.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = quoted(&arguments.site);
    if arguments.dry_run {
        check(&arguments.site)?;
        say!("would make site {site}");
        return Ok(Exit::Done);
    }
    create(&arguments.site)?;
    say!("made site {site}: archive.db, library/, previews/, lake/, surveys/, almagest.toml");
    say!("next: almagest --site {site} run DELIVERY_DIR");
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
pub fn create(root: &Path) -> anyhow::Result<()> {
    check(root)?;
    let place = lay_out(root)?;
    let mut archive = Archive::create(&place, site::now())?;
    let loaded = profiles::load(&place.surveys())?;
    let cause = Cause::new(site::operator(), "site made");
    archive.load_reference(&profiles::reference_rows(&loaded), &cause, site::now())?;
    Ok(())
}

/// Makes the directories of a site, and the texts that are not there.
pub fn lay_out(root: &Path) -> anyhow::Result<archive::Site> {
    let names: Vec<(String, &str)> = model::profile::shipped()
        .iter()
        .map(|(name, text)| (format!("surveys/{name}.toml"), *text))
        .collect();
    let mut texts: Vec<SiteFile> =
        names.iter().map(|(path, text)| SiteFile { path, text }).collect();
    texts.push(SiteFile { path: config::FILE_NAME, text: config::TEMPLATE });
    Ok(archive::Site::create(root, &texts)?)
}
