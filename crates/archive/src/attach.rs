//! How DuckDB, and through it Python and R, attaches the archive of a site.

use crate::error::ArchiveError;
use crate::lake;
use crate::site::Site;

/// The statements that attach an archive to DuckDB, read-only. A server's password is none of them: DuckDB finds it as psql
/// does.
///
/// # Errors
/// [`ArchiveError`] when the configuration names no usable database.
pub fn attach_statements(site: &Site) -> Result<String, ArchiveError> {
    let address = site.address().map_err(ArchiveError::during("name the database"))?;
    let Some(address) = address else {
        return Ok(lake::attach_statements(&site.database(), &site.lake()));
    };
    let words =
        [("PGHOST", "host"), ("PGPORT", "port"), ("PGUSER", "user"), ("PGDATABASE", "dbname")];
    let environment = address.environment();
    let parts: Vec<String> = words
        .iter()
        .filter_map(|(variable, word)| {
            let (_, value) = environment.iter().find(|(name, _)| name == variable)?;
            Some(format!("{word}={value}"))
        })
        .collect();
    let parts = parts.join(" ").replace('\'', "''");
    Ok(format!(
        "INSTALL postgres;\nLOAD postgres;\nATTACH '{parts}' AS archive (TYPE postgres, READ_ONLY);\n"
    ))
}
