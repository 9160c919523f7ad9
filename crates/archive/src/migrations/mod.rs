//! Numbered migrations, forward only, and the tables that follow the definitions.
//!
//! Migration 1 is the baseline: the schema of the first release. Start at [`bring_up`].
//!
//! A released migration is never edited: `migrations/checksums.txt` has a checksum of each, and a test compares them. A new
//! migration gets the next number, in [`MIGRATIONS`], and a test in `migrations/upgrades.rs`, which applies it to a filled archive of
//! the previous schema on both engines.

#[cfg(test)]
mod filled;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upgrades;

use crate::error::ArchiveFault;
use crate::metadata::{definition, links};
use crate::schema::{BASELINE, Change};
use crate::site::Site;
use crate::time::text_of;
use crate::{Timestamp, partitions, roles};
use engine::{Connection, Dialect};
use lake::{self, LakeTable};
use model::UseCase;
use rusqlite::params;

/// A migration of the schema.
#[derive(Clone, Copy)]
struct Migration {
    name: &'static str,
    changes: &'static [Change],
    /// The table of the definitions that the migration changes; the migration is skipped in an archive without that table.
    of_table: Option<&'static str>,
}

impl Migration {
    const fn new(name: &'static str, changes: &'static [Change]) -> Self {
        Self { name, changes, of_table: None }
    }

    /// Returns the statements for an engine and the products of a site.
    fn statements(&self, dialect: Dialect, products: &[UseCase]) -> String {
        self.changes.iter().map(|change| change.statements(dialect, products)).collect()
    }
}

/// The migrations in order; the first has number 1.
const MIGRATIONS: &[Migration] = &[Migration::new("baseline", BASELINE)];

/// The SQLite application id, `ALMG`, by which `file` and `sqlite3` identify the database.
const APPLICATION_ID: i32 = 0x414c_4d47;

/// Upgrades a database to this program's schema, inside the caller's transaction. Safe to repeat. Returns the reason why the
/// rights of a server's roles are not up to date; `None` when they are.
///
/// # Errors
/// [`ArchiveFault::EarlierSchema`], [`ArchiveFault::NewerSchema`], [`ArchiveFault::Definition`], or the engine's error.
pub fn bring_up(
    tx: &Connection,
    site: &Site,
    now: Timestamp,
) -> Result<Option<String>, ArchiveFault> {
    upgrade(tx, MIGRATIONS, site, now)
}

/// Upgrades a database to the schema of a list of migrations, as [`bring_up`] does.
fn upgrade(
    tx: &Connection,
    migrations: &[Migration],
    site: &Site,
    now: Timestamp,
) -> Result<Option<String>, ArchiveFault> {
    let rights = match tx.dialect() {
        Dialect::Sqlite => Vec::new(),
        Dialect::Postgres => roles::rights_on_views(tx)?,
    };
    let is_migrated = apply(tx, migrations, site.products(), now)?;
    for table in definition::tables() {
        definition::bring_up(tx, table)?;
    }
    // Lake tables are described too, wherever their rows are.
    let of_lake = site.lake_tables().iter().map(LakeTable::definition);
    for table in definition::tables().chain(of_lake) {
        definition::describe(tx, table)?;
    }
    definition::ensure_indexes(tx)?;
    links::ensure_indexes(tx)?;
    if let Some(sqlite) = tx.sqlite() {
        for table in site.lake_tables() {
            lake::init(sqlite, &site.lake(), table, &table.schema()?, now)?;
        }
        lake::correct_data_path(sqlite, &site.lake())?;
        return Ok(None);
    }
    for table in site.lake_tables() {
        partitions::bring_up(tx, table, is_migrated)?;
    }
    functions(tx)?;
    roles::restore_rights(tx, &rights)?;
    if is_migrated { roles::keep_up(tx, site.lake_tables()) } else { Ok(None) }
}

/// The functions that `query::FUNCTIONS` describes, for a server.
const SERVER_FUNCTIONS: &str = include_str!("../postgres/functions.sql");

/// Creates the functions of the sky, when their text differs from the one in the database.
fn functions(tx: &Connection) -> Result<(), ArchiveFault> {
    let sql = SERVER_FUNCTIONS;
    let mark =
        format!("almagest functions {:016x}", twox_hash::XxHash64::oneshot(0, sql.as_bytes()));
    let stored: Option<String> = tx.query_row(
        "SELECT max(obj_description(oid, 'pg_proc')) FROM pg_proc
         WHERE pronamespace = current_schema()::regnamespace AND proname = 'almagest_functions'",
        [],
        |r| r.get(0),
    )?;
    if stored.as_deref() == Some(mark.as_str()) {
        return Ok(());
    }
    tx.execute_batch(sql)?;
    tx.execute_batch(&format!(
        "CREATE OR REPLACE FUNCTION almagest_functions() RETURNS text IMMUTABLE RETURN '{mark}';
         COMMENT ON FUNCTION almagest_functions() IS '{mark}'"
    ))?;
    Ok(())
}

/// Returns the number of the last migration in the archive, 0 in an empty database. Refuses an archive of another history.
///
/// # Errors
/// [`ArchiveFault::EarlierSchema`], [`ArchiveFault::NewerSchema`], or the engine's error.
pub fn migration_number(connection: &Connection) -> Result<u32, ArchiveFault> {
    check_history(connection, MIGRATIONS)
}

/// Returns the sentence of a dry run about an archive with an earlier migration, which the command itself would upgrade; `None`
/// for an archive of this program's schema.
pub(crate) fn would_upgrade(found: u32) -> Option<String> {
    would_upgrade_to(found, u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX))
}

fn would_upgrade_to(found: u32, known: u32) -> Option<String> {
    (found < known).then(|| {
        format!("the archive has schema {found}, and the command itself would upgrade it to {known} first")
    })
}

/// Refuses an embedded archive of another history, for readers that have a connection of their own.
///
/// # Errors
/// As [`migration_number`].
pub fn check_embedded(connection: &rusqlite::Connection) -> Result<(), ArchiveFault> {
    if !connection.table_exists(None, "migration")? {
        return Ok(());
    }
    let mut select = connection.prepare(APPLIED)?;
    let rows = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
    check_applied(&rows.collect::<Result<Vec<_>, _>>()?)
}

/// Refuses an archive of another history by its migrations, which a backup has without a database.
///
/// # Errors
/// [`ArchiveFault`] for another history.
pub fn check_applied(applied: &[(u32, String)]) -> Result<(), ArchiveFault> {
    number_of_last(applied, MIGRATIONS)?;
    Ok(())
}

/// The query for the migrations that an archive has.
const APPLIED: &str = "SELECT number, name FROM migration ORDER BY number";

fn check_history(connection: &Connection, migrations: &[Migration]) -> Result<u32, ArchiveFault> {
    if !connection.has_table("migration")? {
        return Ok(0);
    }
    let mut select = connection.prepare(APPLIED)?;
    let rows = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
    number_of_last(&rows.collect::<Result<Vec<_>, _>>()?, migrations)
}

/// Returns the number of the last migration that was applied; refuses a history that is not the beginning of the known one.
fn number_of_last(
    applied: &[(u32, String)],
    migrations: &[Migration],
) -> Result<u32, ArchiveFault> {
    let is_other = |(number, name): &(u32, String)| {
        (1..).zip(migrations).any(|(known, migration)| known == *number && migration.name != name)
    };
    if applied.iter().any(is_other) {
        return Err(ArchiveFault::EarlierSchema);
    }
    let found = applied.last().map_or(0, |(number, _)| *number);
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(ArchiveFault::NewerSchema { found, known });
    }
    Ok(found)
}

/// Applies the migrations that the archive does not have; returns `false` when none was due.
fn apply(
    tx: &Connection,
    migrations: &[Migration],
    products: &[UseCase],
    now: Timestamp,
) -> Result<bool, ArchiveFault> {
    let applied = check_history(tx, migrations)? as usize;
    for (number, migration) in (1..).zip(migrations).skip(applied) {
        let is_due = match migration.of_table {
            Some(table) => tx.has_table(table)?,
            None => true,
        };
        if is_due {
            tx.execute_batch(&migration.statements(tx.dialect(), products))?;
        }
        tx.execute(
            "INSERT INTO migration (number, name, applied) VALUES (?1, ?2, ?3)",
            params![number, migration.name, text_of(now)],
        )?;
        if tx.dialect() == Dialect::Sqlite {
            tx.execute_batch(&format!(
                "PRAGMA user_version = {number}; PRAGMA application_id = {APPLICATION_ID};"
            ))?;
        }
    }
    Ok(applied < migrations.len())
}
