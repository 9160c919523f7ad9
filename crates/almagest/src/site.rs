//! Finding the site that a command is for.

use crate::{config, exit};
use std::path::{Path, PathBuf};

/// A site with its configuration.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its directory, absolute.
    pub root: PathBuf,
    /// Its configuration.
    pub config: config::Config,
}

impl Site {
    /// The site that was named, or the working directory.
    ///
    /// # Errors
    /// Exit code 2 when it is no site, or its configuration does not parse.
    pub fn find(named: Option<PathBuf>) -> anyhow::Result<Self> {
        let root = named.clone().unwrap_or_else(|| PathBuf::from("."));
        if !is_site(&root) {
            return Err(exit::usage(match named {
                Some(path) => format!(
                    "{} is no site: it has no {} (make one with `almagest init {}`)",
                    path.display(),
                    config::FILE_NAME,
                    path.display()
                ),
                None => "no site given: use --site DIR, or ALMAGEST_SITE, or run in a site's directory".to_owned(),
            }));
        }
        let root = std::path::absolute(&root)?;
        let config = config::load(&root)?;
        Ok(Self { root, config })
    }

    /// A directory of the site.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// Whether a directory is a site.
pub fn is_site(root: &Path) -> bool {
    root.join(config::FILE_NAME).is_file()
}
