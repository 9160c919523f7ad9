//! The rights of a login for queries, and the functions that a query may not call on a server.
//!
//! A query runs under a separate login, which can read the public tables and nothing else, in a READ ONLY transaction.
//! So no trick within a query reaches other data. Beyond that, functions that run SQL from text, change settings, take
//! locks or access files are not callable, so that the limits of a query hold and readers do not interfere with ingest.
//! The server's own list of functions determines them: those that it declares volatile, a few others, and those that
//! belong to neither PostgreSQL nor the archive.

use super::SqlError;
use super::server_fault::Fault;
use engine::quoted;
use postgres::Client;
use std::collections::BTreeSet;

/// Query that returns the rights of a login beyond reading; NULL when there are none.
const MORE_THAN_READING: &str = "
    WITH mine AS (SELECT * FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')),
    stored AS (SELECT oid, relname, relkind FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')),
    reader AS (SELECT oid FROM pg_roles WHERE rolname = current_database() || '_reader')
    SELECT coalesce(
        (SELECT format('is or may become %s, which has rights over roles, databases or everything', rolname) FROM mine
         WHERE rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls ORDER BY rolname LIMIT 1),
        (SELECT format('is a member of %s', rolname) FROM mine WHERE rolname LIKE 'pg\\_%' ORDER BY rolname LIMIT 1),
        (SELECT 'may make schemas in the database' WHERE has_database_privilege(current_database(), 'CREATE')),
        (SELECT 'may make tables' WHERE has_schema_privilege(current_schema()::text, 'CREATE')),
        (SELECT format('may change %s', relname) FROM stored
         WHERE has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE') ORDER BY relname LIMIT 1),
        (SELECT format('may read %s', relname) FROM stored, reader
         WHERE has_table_privilege(stored.oid, 'SELECT') AND NOT has_table_privilege(reader.oid, stored.oid, 'SELECT')
         ORDER BY relname LIMIT 1))";

/// Rejects a login that may do more than read the data permitted to a reader.
pub(crate) fn check_login(client: &mut Client, login: &str) -> Result<(), SqlError> {
    let row = client.query_one(MORE_THAN_READING, &[]).map_err(|e| SqlError::Server(e.into()))?;
    match row.get::<_, Option<String>>(0) {
        None => Ok(()),
        Some(why) => Err(SqlError::Rights { login: login.to_owned(), why }),
    }
}

/// Query that returns, of some words, the names of functions that a query may not call. Volatile functions do more than
/// compute; of those that are declared otherwise, the `…_to_xml…` ones run SQL from text. Of functions that are not
/// PostgreSQL's, only the archive's own may be called; a function that an extension adds under a name of PostgreSQL's
/// must not be volatile.
const NOT_CALLABLE: &str = r"
    SELECT DISTINCT lower(p.proname) FROM pg_proc AS p
    WHERE lower(p.proname) = ANY ($1) AND CASE
        WHEN p.pronamespace = 'pg_catalog'::regnamespace THEN
            p.provolatile = 'v' AND p.proname NOT IN ('random', 'clock_timestamp', 'timeofday', 'gen_random_uuid', 'pg_sleep',
                'pg_relation_size', 'pg_table_size', 'pg_indexes_size', 'pg_total_relation_size', 'pg_database_size')
            OR p.proname ~ '(query|table|cursor|schema|database)_to_xml'
        WHEN p.provolatile = 'v' OR p.prokind = 'p' THEN true
        WHEN EXISTS (SELECT FROM pg_proc AS o WHERE o.proname = p.proname AND o.pronamespace = 'pg_catalog'::regnamespace)
            THEN false
        ELSE p.pronamespace <> $2::text::regnamespace
            OR p.proowner IS DISTINCT FROM (SELECT o.proowner FROM pg_proc AS o
                WHERE o.proname = 'almagest_functions' AND o.pronamespace = $2::text::regnamespace)
            OR EXISTS (SELECT FROM pg_depend AS d
                WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
        END
    ORDER BY 1 LIMIT 1";

/// Rejects a query that contains the name of a function that it may not call, in any place. A function whose name is
/// not contained cannot be called, since functions that run SQL from text are not callable.
pub(crate) fn check_functions(client: &mut Client, schema: &str, sql: &str) -> Result<(), Fault> {
    if sql.to_ascii_lowercase().contains("u&\"") {
        return Err(SqlError::Denied("a name with escapes (U&\"…\")".to_owned()).into());
    }
    let words: Vec<String> = words(sql).into_iter().collect();
    match client.query_opt(NOT_CALLABLE, &[&words, &quoted(schema)])? {
        None => Ok(()),
        Some(row) => Err(SqlError::Denied(format!("{}()", row.get::<_, &str>(0))).into()),
    }
}

/// Returns every part of a text that may be a name, in lower case: in and outside of quotes and comments.
fn words(sql: &str) -> BTreeSet<String> {
    sql.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .filter(|word| word.starts_with(|c: char| !c.is_ascii_digit()))
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_every_spelling() {
        let sql = "SELECT Set_Config('a','b',false), \"query_to_xml\"(x) /* lo_import */ FROM t1 WHERE a.b=$$pg_read_file$$";
        let found = words(sql);
        for name in ["set_config", "query_to_xml", "lo_import", "t1", "b"] {
            assert!(found.contains(name), "{name}: {found:?}");
        }
        assert!(!found.contains("1"));
    }
}
