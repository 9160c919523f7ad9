//! `almagest attach`.

use crate::exit::Exit;
use curate::site::Site;
use std::io::{self, StdoutLock, Write};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Prints the statements that attach the archive to DuckDB.
pub fn run(site: Option<PathBuf>, _: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut out: StdoutLock = io::stdout().lock();
    out.write_all(query::attach_statements(&site.place)?.as_bytes())?;
    Ok(Exit::Done)
}
