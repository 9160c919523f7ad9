//! Checks of a server's configuration for an archive.

use super::fold::{MAX_PARTITIONS, partitions};
use crate::error::ArchiveFault;
use engine::Connection;
use lake::LakeTable;

/// Number of partitions beyond which the server's query planning is too slow.
const TOO_MANY: usize = 300;

/// Returns the facts about the server, and its faults.
///
/// # Errors
/// Returns an error when the server cannot be queried.
pub fn examine(
    c: &Connection,
    tables: &[LakeTable],
) -> Result<(Vec<String>, Vec<String>), ArchiveFault> {
    let setting = |name: &str| -> Result<String, ArchiveFault> {
        Ok(c.query_row("SELECT current_setting(?1)", [name], |r| r.get(0))?)
    };
    let mut facts = vec![format!("PostgreSQL {}", setting("server_version")?)];
    let (mut faults, mut too_many) = (Vec::new(), Vec::new());
    for table in tables {
        let (leaves, plural) = (partitions(c, table)?.len(), &table.layout().plural);
        facts.push(format!("{leaves} partitions of {plural} (folded beyond {MAX_PARTITIONS})"));
        if leaves > TOO_MANY {
            too_many.push(format!(
                "{leaves} partitions of {plural}: readers that stay in a transaction keep them from being folded"
            ));
        }
    }
    for (name, consequence) in [
        ("fsync", "a crash of the server's machine may destroy the archive"),
        ("full_page_writes", "a crash of the server's machine may destroy the archive"),
        ("synchronous_commit", "a crash may lose rows that were reported as ingested"),
    ] {
        if setting(name)? == "off" {
            faults.push(format!("{name} is off on the server: {consequence}"));
        }
    }
    let is_steady: bool = c.query_row(
        "SELECT EXISTS (SELECT FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
             WHERE datname = current_database() AND setrole = 0
                 AND 'default_transaction_isolation=repeatable read' = ANY (setconfig))",
        [],
        |r| r.get(0),
    )?;
    if !is_steady {
        faults.push(
            "queries of others may miss the rows of a batch in the moment it is published: as the database's owner, \
             ALTER DATABASE … SET default_transaction_isolation = 'repeatable read'"
                .to_owned(),
        );
    }
    faults.extend(too_many);
    let number = |text: String| text.parse::<usize>().unwrap_or(0);
    let locks = number(setting("max_locks_per_transaction")?) * number(setting("max_connections")?);
    // A query that cannot prune partitions locks a table and two indexes per partition.
    let readers = locks / (3 * TOO_MANY);
    facts.push(format!("{readers} queries over all partitions have locks at the same time"));
    if readers < 4 {
        faults.push(
            "raise max_locks_per_transaction of the server: queries may run out of locks"
                .to_owned(),
        );
    }
    Ok((facts, faults))
}
