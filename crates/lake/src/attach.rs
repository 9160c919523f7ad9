//! Statements by which other programs attach the archive.

use std::path::Path;

/// Returns the statements that attach an archive to DuckDB, read-only: the lake as `lake`, the other tables as `archive`.
///
/// The path of the lake is always included: a reader may see the site under another path than its curator.
pub fn attach_statements(archive_db: &Path, lake_dir: &Path) -> String {
    let database = quoted(archive_db);
    let lake = quoted(lake_dir);
    format!(
        "INSTALL ducklake;\n\
         INSTALL sqlite_scanner;\n\
         LOAD ducklake;\n\
         LOAD sqlite_scanner;\n\
         ATTACH IF NOT EXISTS 'ducklake:sqlite:{database}' AS lake (READ_ONLY, DATA_PATH '{lake}/', OVERRIDE_DATA_PATH true);\n\
         ATTACH IF NOT EXISTS '{database}' AS archive (TYPE sqlite, READ_ONLY);\n"
    )
}

/// Returns a path quoted for a SQL string.
fn quoted(path: &Path) -> String {
    path.display().to_string().replace('\'', "''")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_in_paths_stay_inside_the_string() {
        let said = attach_statements(Path::new("/o'brien/archive.db"), Path::new("/o'brien/lake"));
        assert!(said.contains("'ducklake:sqlite:/o''brien/archive.db'"), "{said}");
        assert!(said.contains("DATA_PATH '/o''brien/lake/'"), "{said}");
    }
}
