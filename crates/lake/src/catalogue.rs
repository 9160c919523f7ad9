//! The DuckLake tables: creating them, keeping their columns in step with ours, and the location of the data.

use super::schema::{LakeColumn, LakeSchema};
use super::{CatalogId, FieldId, LakeError, LakeFileId, LakeTable, SnapshotId};
use chrono::{DateTime, Utc};
use model::EventId;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;

const DUCKLAKE_DDL: &str = include_str!("ducklake.sql");
/// `CREATE TABLE` and indexes of the row ranges of `detection`, for the first migration: what
/// [`LakeTable::index_ddl`] returns for its definition.
pub const DETECTOR_ROWS_DDL: &str = include_str!("detector_rows.sql");
/// The table of checksums of lake files; a migration of the control store.
pub const LAKE_FILE_DDL: &str = include_str!("lake_file.sql");

const SCHEMA_UUID: &str = "a11ace00-0000-4000-8000-000000000000";

/// Makes the lake's catalogue, a table in it, the table's directory and its index of row ranges, where they do not exist. New columns
/// of a table are added in a snapshot of their own. Safe to repeat. To be run in the transaction of the migration, table
/// by table in the order of their definitions.
///
/// # Errors
/// [`LakeError::Sql`], or [`LakeError::Catalogue`] when a stored column has another name or type.
pub fn init(
    tx: &Connection,
    lake_dir: &Path,
    table: &LakeTable,
    schema: &LakeSchema,
    now: DateTime<Utc>,
) -> Result<(), LakeError> {
    tx.execute_batch(DUCKLAKE_DDL)?;
    tx.execute_batch(&table.index_ddl())?;
    let exists: bool =
        tx.query_row("SELECT EXISTS (SELECT * FROM ducklake_snapshot)", [], |r| r.get(0))?;
    if !exists {
        create_catalogue(tx, lake_dir, now)?;
    }
    let stored = stored_columns(tx, table)?;
    if stored.is_empty() {
        let directory = table.directory(lake_dir);
        files::create_dir(&directory).map_err(LakeError::io(&directory))?;
        return create_table(tx, table, schema, now);
    }
    for (column, (id, name, kind)) in schema.columns.iter().zip(&stored) {
        if (column.field_id, column.name.as_str(), column.kind.name())
            != (*id, name.as_str(), kind.as_str())
        {
            return Err(LakeError::Catalogue(format!(
                "column {id} of {} is {name} {kind} in the lake and {} {} in the definition",
                table.name(),
                column.name,
                column.kind.name()
            )));
        }
    }
    match schema.columns.get(stored.len()..) {
        Some([]) => Ok(()),
        Some(new) => add_columns(tx, table, new, now),
        None => Err(LakeError::Catalogue(format!(
            "{} has more columns in the lake than in the definition: a newer program wrote the lake",
            table.name()
        ))),
    }
}

/// Returns id, name and type of the columns of a table in the latest snapshot, in order; none when the lake does not have
/// the table.
pub fn stored_columns(
    tx: &Connection,
    table: &LakeTable,
) -> Result<Vec<(FieldId, String, String)>, LakeError> {
    let mut select = tx.prepare(
        "SELECT column_id, column_name, column_type FROM ducklake_column
         WHERE table_id = ?1 AND end_snapshot IS NULL ORDER BY column_order",
    )?;
    let id = table.current_table();
    let rows = select.query_map([id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn create_catalogue(tx: &Connection, lake_dir: &Path, now: DateTime<Utc>) -> Result<(), LakeError> {
    let metadata = [
        ("version", "1.0".to_owned()),
        ("created_by", concat!("Almagest ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("data_path", data_path(lake_dir)?),
        ("encrypted", "false".to_owned()),
        // A foreign writer, if there is one, must not put rows into the catalogue itself.
        ("data_inlining_row_limit", "0".to_owned()),
    ];
    for (key, value) in metadata {
        tx.execute("INSERT INTO ducklake_metadata (key, value) VALUES (?1, ?2)", [key, &value])?;
    }
    snapshot_row(
        tx,
        Snapshot {
            id: SnapshotId::FIRST,
            schema_version: 0,
            next_catalog_id: CatalogId::FIRST.next(),
            next_file_id: LakeFileId::FIRST,
        },
        now,
    )?;
    change_row(tx, SnapshotId::FIRST, r#"created_schema:"main""#, "the lake's schema", None)?;
    tx.execute(
        "INSERT INTO ducklake_schema VALUES (0, ?1, 0, NULL, 'main', '', 1)",
        [SCHEMA_UUID],
    )?;
    Ok(())
}

/// Returns what DuckLake records about the snapshot that created a table.
pub fn creation(table: &LakeTable) -> String {
    let created = |(_, name, _)| format!(r#"created_table:"main"."{name}""#);
    let created: Vec<String> = table.catalogue_tables().into_iter().map(created).collect();
    created.join(",")
}

/// Returns what DuckLake records about a snapshot that added columns to a table.
pub fn alteration(table: &LakeTable) -> String {
    let altered = |(id, _, _)| format!("altered_table:{id}");
    let altered: Vec<String> = table.catalogue_tables().into_iter().map(altered).collect();
    altered.join(",")
}

fn create_table(
    tx: &Connection,
    table: &LakeTable,
    schema: &LakeSchema,
    now: DateTime<Utc>,
) -> Result<(), LakeError> {
    let tables = table.catalogue_tables();
    let mut snapshot = Snapshot::latest(tx)?;
    snapshot.id = snapshot.id.next();
    snapshot.schema_version += 1;
    if let Some(next) = tables.iter().map(|(id, ..)| id.next()).max() {
        snapshot.next_catalog_id = snapshot.next_catalog_id.max(next);
    }
    snapshot_row(tx, snapshot, now)?;
    let message = format!("the tables of {}", table.layout().plural);
    change_row(tx, snapshot.id, &creation(table), &message, None)?;
    for (id, name, uuid) in tables {
        tx.execute(
            "INSERT INTO ducklake_table VALUES (?1, ?2, ?3, NULL, 0, ?4, ?5, 1)",
            params![id, uuid, snapshot.id, name, table.path()],
        )?;
        schema_version_row(tx, snapshot, id)?;
        tx.execute("INSERT INTO ducklake_table_stats VALUES (?1, 0, 0, 0)", [id])?;
        table_comment(tx, id, snapshot.id, &schema.comment)?;
        for column in &schema.columns {
            column_row(tx, id, snapshot.id, column)?;
        }
    }
    Ok(())
}

fn add_columns(
    tx: &Connection,
    table: &LakeTable,
    new: &[LakeColumn],
    now: DateTime<Utc>,
) -> Result<(), LakeError> {
    let mut snapshot = Snapshot::latest(tx)?;
    snapshot.id = snapshot.id.next();
    snapshot.schema_version += 1;
    snapshot_row(tx, snapshot, now)?;
    let names: Vec<&str> = new.iter().map(|c| c.name.as_str()).collect();
    let message = format!("new columns: {}", names.join(", "));
    change_row(tx, snapshot.id, &alteration(table), &message, None)?;
    for (id, ..) in table.catalogue_tables() {
        schema_version_row(tx, snapshot, id)?;
        for column in new {
            column_row(tx, id, snapshot.id, column)?;
        }
    }
    Ok(())
}

fn schema_version_row(
    tx: &Connection,
    snapshot: Snapshot,
    table: CatalogId,
) -> Result<(), LakeError> {
    tx.execute(
        "INSERT INTO ducklake_schema_versions VALUES (?1, ?2, ?3)",
        params![snapshot.id, snapshot.schema_version, table],
    )?;
    Ok(())
}

fn column_row(
    tx: &Connection,
    table: CatalogId,
    snapshot: SnapshotId,
    column: &LakeColumn,
) -> Result<(), LakeError> {
    tx.execute(
        "INSERT INTO ducklake_column VALUES
         (?1, ?2, NULL, ?3, ?1, ?4, ?5, NULL, 'NULL', ?6, NULL, 'literal', 'duckdb')",
        params![column.field_id, snapshot, table, column.name, column.kind.name(), column.nullable],
    )?;
    if !column.comment.is_empty() {
        tx.execute(
            "INSERT INTO ducklake_column_tag VALUES (?1, ?2, ?3, NULL, 'comment', ?4)",
            params![table, column.field_id, snapshot, column.comment],
        )?;
    }
    Ok(())
}

fn table_comment(
    tx: &Connection,
    table: CatalogId,
    snapshot: SnapshotId,
    text: &str,
) -> Result<(), LakeError> {
    if !text.is_empty() {
        tx.execute(
            "INSERT INTO ducklake_tag VALUES (?1, ?2, NULL, 'comment', ?3)",
            params![table, snapshot, text],
        )?;
    }
    Ok(())
}

/// A row of `ducklake_snapshot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub schema_version: i64,
    pub next_catalog_id: CatalogId,
    pub next_file_id: LakeFileId,
}

impl Snapshot {
    /// Returns the latest snapshot.
    pub fn latest(tx: &Connection) -> Result<Self, LakeError> {
        tx.query_row(
            "SELECT snapshot_id, schema_version, next_catalog_id, next_file_id
             FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1",
            [],
            |r| {
                Ok(Self {
                    id: r.get(0)?,
                    schema_version: r.get(1)?,
                    next_catalog_id: r.get(2)?,
                    next_file_id: r.get(3)?,
                })
            },
        )
        .optional()?
        .ok_or_else(|| LakeError::Catalogue("the catalogue has no snapshot".to_owned()))
    }
}

pub fn snapshot_row(
    tx: &Connection,
    snapshot: Snapshot,
    now: DateTime<Utc>,
) -> Result<(), LakeError> {
    tx.execute(
        "INSERT INTO ducklake_snapshot VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            snapshot.id,
            now.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string(),
            snapshot.schema_version,
            snapshot.next_catalog_id,
            snapshot.next_file_id
        ],
    )?;
    Ok(())
}

/// Writes a row of `ducklake_snapshot_changes`; the event, if any, is in `commit_extra_info`.
pub fn change_row(
    tx: &Connection,
    snapshot: SnapshotId,
    changes: &str,
    message: &str,
    event: Option<EventId>,
) -> Result<(), LakeError> {
    let extra = event.map(|event| serde_json::json!({ "event": event }).to_string());
    tx.execute(
        "INSERT INTO ducklake_snapshot_changes VALUES (?1, ?2, 'almagest', ?3, ?4)",
        params![snapshot, changes, message, extra],
    )?;
    Ok(())
}

/// Stores the present location of the lake, and returns whether it changed. Readers on another mount override it with
/// `DATA_PATH … OVERRIDE_DATA_PATH true`.
///
/// # Errors
/// [`LakeError::Sql`], or [`LakeError::Catalogue`] when the path is not UTF-8.
pub fn correct_data_path(tx: &Connection, lake_dir: &Path) -> Result<bool, LakeError> {
    let path = data_path(lake_dir)?;
    let changed = tx.execute(
        "UPDATE ducklake_metadata SET value = ?1
         WHERE key = 'data_path' AND scope IS NULL AND value <> ?1",
        [&path],
    )?;
    Ok(changed > 0)
}

/// Returns the path as DuckLake stores it: absolute, a slash at the end.
fn data_path(lake_dir: &Path) -> Result<String, LakeError> {
    let absolute = std::path::absolute(lake_dir).map_err(LakeError::io(lake_dir))?;
    let text = absolute.to_str().ok_or_else(|| {
        LakeError::Catalogue(format!("the path {} is not UTF-8", absolute.display()))
    })?;
    Ok(format!("{}/", text.trim_end_matches('/')))
}

/// Keeps `archive.db-wal` and `-shm` when the last connection closes, so that readers of the group, who cannot create
/// them, can attach while no process writes. To be called on every connection that may be the last.
///
/// # Errors
/// Fails when SQLite refuses.
pub fn keep_wal_files(connection: &Connection) -> Result<(), LakeError> {
    use rusqlite::ffi;
    let mut keep: std::os::raw::c_int = 1;
    // SAFETY: the handle lives as long as `connection`, "main" is a C string, and the operation reads one int.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_PERSIST_WAL,
            (&raw mut keep).cast(),
        )
    };
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(LakeError::Sql(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)))
    }
}
