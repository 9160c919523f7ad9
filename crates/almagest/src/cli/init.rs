//! `almagest init SITE`.

use crate::exit::{self, Exit};
use crate::report::say;
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
}

/// Makes a site and says what is in it.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    create(&arguments.site)?;
    let site = arguments.site.display();
    say!("made site {site}: archive.db, library/, previews/, lake/, surveys/, almagest.toml");
    say!("next: almagest --site {site} run DELIVERY_DIR");
    Ok(Exit::Done)
}

/// Makes a site with the shipped survey profiles.
pub fn create(root: &Path) -> anyhow::Result<()> {
    if root.join("archive.db").exists() {
        return Err(exit::conflict(format!("{} is a site already", root.display())));
    }
    let names: Vec<(String, &str)> = model::profile::shipped()
        .iter()
        .map(|(name, text)| (format!("surveys/{name}.toml"), *text))
        .collect();
    let mut texts: Vec<SiteFile> =
        names.iter().map(|(path, text)| SiteFile { path, text }).collect();
    texts.push(SiteFile { path: config::FILE_NAME, text: config::TEMPLATE });
    let place = archive::Site::create(root, &texts)?;
    let mut archive = Archive::create(&place, site::now())?;
    let loaded = profiles::load(&place.surveys())?;
    let cause = Cause::new(site::operator(), "site made");
    archive.load_reference(&profiles::reference_rows(&loaded), &cause, site::now())?;
    Ok(())
}
