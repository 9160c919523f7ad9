//! Roles of a server's database, and the check that a server is suitable.
//!
//! Three roles without login, to be granted to the users of persons and services: the *owner* may change the schema, the
//! *ingester* may write rows and load detections, the *reader* may read the public tables and views. One login, *query*, has only
//! the reader's rights: `almagest sql` runs queries under it.

use crate::error::{ArchiveError, ArchiveFault};
use crate::metadata::definition::tables;
use crate::site::Site;
use engine::quoted;
use engine::{Address, Connection, Database, Kind, Server};
use lake::LakeTable;

/// Checks that an archive can be created in a database: the database can be reached, its server is new enough, its text is UTF-8,
/// and the login may create tables. Does nothing for an embedded database.
///
/// # Errors
/// [`ArchiveError`] that describes what is wrong.
pub fn check_server(database: &Database) -> Result<(), ArchiveError> {
    if database.url.is_none() {
        return Ok(());
    }
    let run = || -> Result<(), ArchiveFault> {
        let server = Connection::Postgres(Server::connect(&Address::of(database)?)?);
        let (encoding, may_create): (String, bool) = server.query_row(
            "SELECT current_setting('server_encoding'),
                 coalesce(has_schema_privilege(current_schema()::text, 'CREATE'), false)",
            [],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )?;
        if encoding != "UTF8" {
            let message = format!("the database's encoding is {encoding}; it must be UTF8");
            return Err(ArchiveFault::Conflict(message));
        }
        if !may_create {
            let message = "we may not make tables in the database's schema: GRANT CREATE ON SCHEMA, or own it";
            return Err(ArchiveFault::Conflict(message.to_owned()));
        }
        Ok(())
    };
    run().map_err(ArchiveError::during("use the database"))
}

/// Creates the roles of a site's database, or updates their rights, and sets the password of the query login. Returns each with
/// its rights; the login is last.
///
/// # Errors
/// [`ArchiveError`] when the archive is embedded or the login may not create roles.
pub fn make_roles(
    site: &Site,
    query_password: &str,
) -> Result<Vec<(String, &'static str)>, ArchiveError> {
    made(site, query_password, |tx| tx.commit())
}

/// Returns the roles that [`make_roles`] would make, and changes nothing.
///
/// # Errors
/// As [`make_roles`].
pub fn rehearse_roles(site: &Site) -> Result<Vec<(String, &'static str)>, ArchiveError> {
    made(site, "a rehearsal", |_| Ok(()))
}

/// Makes the roles in a transaction; `end` commits it or lets it be rolled back.
fn made(
    site: &Site,
    query_password: &str,
    end: impl FnOnce(engine::Transaction<'_>) -> engine::Result<()>,
) -> Result<Vec<(String, &'static str)>, ArchiveError> {
    let run = || -> Result<Vec<(String, &'static str)>, ArchiveFault> {
        let Some(address) = site.address()? else {
            let message =
                "roles are for an archive on a server, and this archive is embedded in its site";
            return Err(ArchiveFault::Conflict(message.to_owned()));
        };
        let server = Connection::Postgres(Server::connect(&address)?);
        let tx = server.begin(Kind::Write)?;
        let roles = Roles::of(&tx, site.lake_tables())?;
        for role in [&roles.owner, &roles.ingester, &roles.reader] {
            let exists: bool = tx.query_row(
                "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = ?1)",
                [role],
                |r| r.get(0),
            )?;
            if !exists {
                tx.execute_batch(&format!("CREATE ROLE {} NOLOGIN", quoted(role)))?;
            }
        }
        roles.grant(&tx)?;
        roles.make_login(&tx, query_password)?;
        end(tx)?;
        Ok(vec![
            (roles.owner, "owns the tables and may change the schema"),
            (roles.ingester, "may write rows and load detections"),
            (roles.reader, "may read the public tables and views"),
            (roles.query, "logs in for queries, with the reader's rights alone"),
        ])
    };
    run().map_err(ArchiveError::during("create the roles of the database"))
}

/// Updates the rights of the roles after a migration created tables, when the roles exist. Returns the reason why that failed, if
/// it did: the login of the migration may lack the right to grant, and the archive works without.
///
/// # Errors
/// Returns the engine's error.
pub(crate) fn keep_up(
    tx: &Connection,
    lake_tables: &'static [LakeTable],
) -> Result<Option<String>, ArchiveFault> {
    let roles = Roles::of(tx, lake_tables)?;
    let exist: i64 = tx.query_row(
        "SELECT count(*) FROM pg_roles WHERE rolname IN (?1, ?2, ?3)",
        [&roles.owner, &roles.ingester, &roles.reader],
        |r| r.get(0),
    )?;
    if exist < 3 {
        return Ok(None);
    }
    tx.execute_batch("SAVEPOINT rights")?;
    match roles.grant(tx) {
        Ok(()) => {
            tx.execute_batch("RELEASE SAVEPOINT rights")?;
            Ok(None)
        }
        Err(fault) => {
            tx.execute_batch("ROLLBACK TO SAVEPOINT rights")?;
            Ok(Some(model::one_line(&fault)))
        }
    }
}

/// Lists the public tables and views that the reader role cannot read; none when there is no such role.
///
/// # Errors
/// Returns the engine's error.
pub(crate) fn unreadable(
    c: &Connection,
    lake_tables: &'static [LakeTable],
) -> Result<Vec<String>, ArchiveFault> {
    let reader = Roles::of(c, lake_tables)?.reader;
    let mut select = c.prepare(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v')
             AND EXISTS (SELECT FROM pg_roles WHERE rolname = ?1)
             AND NOT CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = ?1) THEN has_table_privilege(?1::name, oid, 'SELECT') END
         ORDER BY relname",
    )?;
    let denied: Vec<String> =
        select.query_map([&reader], |r| r.get(0))?.collect::<engine::Result<_>>()?;
    let public: Vec<String> = public(lake_tables).collect();
    Ok(denied.into_iter().filter(|name| public.contains(name)).collect())
}

/// Returns the names of the tables and views that every reader may read.
fn public(lake_tables: &[LakeTable]) -> impl Iterator<Item = String> {
    let defined = tables().flat_map(|t| [t.name.clone(), format!("{}_all", t.name)]);
    let of_lake = lake_tables.iter().flat_map(|table| {
        let interruptions = table.layout().history.as_ref().and_then(|h| h.interruptions.clone());
        let named = [table.name(), table.index()].map(str::to_owned).into_iter();
        named.chain(table.companion()).chain(interruptions)
    });
    defined.chain(of_lake).chain(PUBLIC.map(str::to_owned))
}

/// A granted right on a view, or on a column of it.
pub(crate) struct Right {
    view: String,
    column: Option<String>,
    /// Role that holds the right; `None` for PUBLIC.
    grantee: Option<String>,
    privilege: String,
    is_grantable: bool,
}

/// Reads the rights on views that are held by others than their owners. A migration recreates views, and the new ones have none.
///
/// # Errors
/// Returns the engine's error.
pub(crate) fn rights_on_views(tx: &Connection) -> Result<Vec<Right>, ArchiveFault> {
    let mut select = tx.prepare(
        "SELECT relname::text, NULL::text, CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee)::text END,
             privilege_type, is_grantable
         FROM pg_class AS c, aclexplode(relacl)
         WHERE relnamespace = current_schema()::regnamespace AND relkind = 'v' AND grantee <> relowner
         UNION ALL
         SELECT relname::text, attname::text, CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee)::text END,
             privilege_type, is_grantable
         FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid, aclexplode(attacl)
         WHERE relnamespace = current_schema()::regnamespace AND relkind = 'v' AND grantee <> relowner AND NOT attisdropped",
    )?;
    let rows = select.query_map([], |r| {
        Ok(Right {
            view: r.get(0)?,
            column: r.get(1)?,
            grantee: r.get(2)?,
            privilege: r.get(3)?,
            is_grantable: r.get(4)?,
        })
    })?;
    Ok(rows.collect::<engine::Result<_>>()?)
}

/// Restores lost rights: those on views that were recreated. Rights on columns that no longer exist are left out.
///
/// # Errors
/// Returns the engine's error.
pub(crate) fn restore_rights(tx: &Connection, rights: &[Right]) -> Result<(), ArchiveFault> {
    let kept = rights_on_views(tx)?;
    for right in rights {
        let is_same = |other: &Right| {
            (&other.view, &other.column, &other.grantee, &other.privilege)
                == (&right.view, &right.column, &right.grantee, &right.privilege)
        };
        if kept.iter().any(is_same) || !exists(tx, right)? {
            continue;
        }
        let column = right.column.as_ref().map(|c| format!(" ({})", quoted(c))).unwrap_or_default();
        tx.execute_batch(&format!(
            "GRANT {}{column} ON {} TO {}{}",
            right.privilege,
            quoted(&right.view),
            right.grantee.as_ref().map_or("PUBLIC".to_owned(), |role| quoted(role)),
            if right.is_grantable { " WITH GRANT OPTION" } else { "" }
        ))?;
    }
    Ok(())
}

/// Returns true when the view of a right exists, with its column.
fn exists(tx: &Connection, right: &Right) -> Result<bool, ArchiveFault> {
    Ok(tx.query_row(
        "SELECT EXISTS (SELECT FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid
                        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'v' AND relname = ?1
                            AND attname = coalesce(?2::text, attname::text) AND NOT attisdropped)",
        [Some(&right.view), right.column.as_ref()],
        |r| r.get(0),
    )?)
}

/// Names of the three roles and of the login.
struct Roles {
    owner: String,
    ingester: String,
    reader: String,
    query: String,
    lake_tables: &'static [LakeTable],
}

/// Tables in addition to those of the definitions that every reader may read.
const PUBLIC: [&str; 21] = [
    "event",
    "interruption",
    "column_description",
    "migration",
    "delivery",
    "file",
    "image",
    "transfer",
    "relocation",
    "finding",
    "refusal",
    "refusal_history",
    "product",
    "product_detector",
    "supersession",
    "hdu_rows",
    "unit",
    "unit_history",
    "skipped",
    "instruction",
    "instruction_history",
];

impl Roles {
    fn of(tx: &Connection, lake_tables: &'static [LakeTable]) -> Result<Self, ArchiveFault> {
        let database: String = tx.query_row("SELECT current_database()::text", [], |r| r.get(0))?;
        let role = |what: &str| format!("{database}_{what}");
        Ok(Self {
            owner: role("owner"),
            ingester: role("ingester"),
            reader: role("reader"),
            query: role("query"),
            lake_tables,
        })
    }

    /// Creates the query login, or sets its password again. The server gets a verifier and never the password.
    fn make_login(&self, tx: &Connection, password: &str) -> Result<(), ArchiveFault> {
        let (login, reader) = (quoted(&self.query), quoted(&self.reader));
        let exists = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = ?1)";
        if !tx.query_row(exists, [&self.query], |r| r.get::<bool>(0))? {
            tx.execute_batch(&format!("CREATE ROLE {login}"))?;
        }
        let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
        let database: String = tx.query_row("SELECT current_database()::text", [], |r| r.get(0))?;
        tx.execute_batch(&format!(
            "ALTER ROLE {login} LOGIN INHERIT PASSWORD {};
             GRANT {reader} TO {login};
             GRANT CONNECT, TEMPORARY ON DATABASE {} TO {login};
             SAVEPOINT temporary_space",
            engine::text(&verifier),
            quoted(&database)
        ))?;
        // Only a superuser may grant the right to set the limit of temporary files; otherwise the server's own limit applies.
        let grant = format!("GRANT SET ON PARAMETER temp_file_limit TO {login}");
        if tx.execute_batch(&grant).is_err() {
            tx.execute_batch("ROLLBACK TO SAVEPOINT temporary_space")?;
        }
        Ok(())
    }

    /// Grants each role its rights. Lake tables belong to the ingester: only the owner of a table may attach partitions to it.
    fn grant(&self, tx: &Connection) -> Result<(), ArchiveFault> {
        let [owner, ingester, reader] =
            [&self.owner, &self.ingester, &self.reader].map(|role| quoted(role));
        let schema: String = tx.query_row("SELECT current_schema()::text", [], |r| r.get(0))?;
        let schema = quoted(&schema);
        tx.execute_batch(&format!(
            "GRANT {ingester}, {reader} TO {owner};
             GRANT USAGE ON SCHEMA {schema} TO {owner}, {ingester}, {reader};
             GRANT CREATE ON SCHEMA {schema} TO {owner}, {ingester}"
        ))?;
        let mut select = tx.prepare(
            "SELECT relname::text, relkind::text FROM pg_class
             WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v') ORDER BY relname",
        )?;
        let objects: Vec<(String, String)> =
            select.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<engine::Result<_>>()?;
        let is_of = |name: &str, table: &LakeTable| {
            let rest = name.strip_prefix(table.name()).and_then(|rest| rest.strip_prefix('_'));
            rest.is_some_and(|rest| rest == "data" || is_partition(rest))
        };
        let is_of_lake = |name: &str| self.lake_tables.iter().any(|table| is_of(name, table));
        for (name, kind) in &objects {
            let what = if kind == "v" { "VIEW" } else { "TABLE" };
            let to = if is_of_lake(name) { &ingester } else { &owner };
            let name = quoted(name);
            tx.execute_batch(&format!(
                "ALTER {what} {name} OWNER TO {to};
                 GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {ingester}"
            ))?;
        }
        // The views read lake tables with their owner's rights.
        for name in public(self.lake_tables) {
            tx.execute_batch(&format!("GRANT SELECT ON {} TO {reader}", quoted(&name)))?;
        }
        tx.execute_batch(&format!(
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {ingester}"
        ))?;
        Ok(())
    }
}

/// Returns true for names such as `b12_p7`, `f1_p7`, `p7`.
fn is_partition(rest: &str) -> bool {
    rest.split('_').all(|part| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| "bfp".contains(c)) && chars.all(|c| c.is_ascii_digit())
    })
}
