//! Address of the server, and search for its password: it is never in a URL, a log, a message or an argument.

use super::tls::{self, Check};
use super::{EngineError, Result};
use postgres::config::SslMode;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A site's configuration of its database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `postgres://user@host:port/name?sslmode=…`; absent for the embedded archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// File of mode 0600 that holds the password and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The login of queries, which has the reader's rights alone; absent when the URL's own login has no other rights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_user: Option<String>,
    /// File, not readable by others than owner and group, that holds its password and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_password_file: Option<PathBuf>,
}

/// A server's database, and the settings to reach it.
#[derive(Clone)]
pub struct Address {
    /// The URL, which holds no password.
    url: String,
    config: postgres::Config,
    security: Security,
}

#[derive(Clone)]
struct Security {
    mode: SslMode,
    check: Check,
    roots: Option<PathBuf>,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.url)
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({})", self.url)
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Interval of keepalives, so that a broken connection is noticed after about a minute.
const KEEPALIVE: Duration = Duration::from_secs(20);

impl Address {
    /// Parses a configuration; the password is taken from `PGPASSWORD`, the file that the configuration names, or the
    /// user's password file (`PGPASSFILE`, `~/.pgpass`), in this order.
    ///
    /// # Errors
    /// [`EngineError::Address`] for an invalid URL or one that holds a password, and for a password file that others
    /// may read.
    pub fn of(database: &Database) -> Result<Self> {
        let mut address = Self::without_password(database)?;
        if let Some(password) = password(database, &address.config)? {
            address.config.password(password);
        }
        Ok(address)
    }

    /// Returns the same database under the login of queries, if the configuration names one. Its password is taken from
    /// the file that the configuration names, or the user's password file.
    ///
    /// # Errors
    /// As [`Address::of`].
    pub fn of_queries(database: &Database) -> Result<Self> {
        let Some(user) = &database.query_user else { return Self::of(database) };
        let mut address = Self::without_password(database)?;
        address.config.user(user);
        let password = match &database.query_password_file {
            Some(path) => Some(password_in(path, MAY_BE_READ_BY_GROUP)?),
            None => of_the_user(&address.config)?,
        };
        if let Some(password) = password {
            address.config.password(password);
        }
        Ok(address)
    }

    /// Returns the name of the login.
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    fn without_password(database: &Database) -> Result<Self> {
        let url = database.url.clone().unwrap_or_default();
        let (plain, mut security) = split(&url)?;
        let mut config: postgres::Config = plain
            .parse()
            .map_err(|e| EngineError::Address(format!("{url:?} is not a database URL: {e}")))?;
        if config.get_dbname().is_none() {
            return Err(EngineError::Address(format!("{url} names no database")));
        }
        if config.get_user().is_none() {
            // As in libpq: the account that the system reports.
            let account = || whoami::username().ok();
            let user = std::env::var("PGUSER").ok().or_else(account);
            config.user(user.as_deref().unwrap_or("postgres"));
        }
        config.application_name("almagest").connect_timeout(CONNECT_TIMEOUT);
        config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(3);
        if matches!(config.get_hosts().first(), Some(postgres::config::Host::Unix(_))) {
            security.mode = SslMode::Disable; // as in libpq: no network is involved
        }
        config.ssl_mode(security.mode);
        Ok(Self { url, config, security })
    }

    /// Opens a connection with the settings of this program.
    pub fn connect(&self) -> Result<postgres::Client> {
        let mut client = if self.security.mode == SslMode::Disable {
            self.config.connect(postgres::NoTls)?
        } else {
            let roots = self.security.roots.as_deref();
            self.config.connect(tls::Connector::new(self.security.check, roots)?)?
        };
        client.batch_execute(
            "SET client_min_messages = warning; SET extra_float_digits = 1; SET timezone = 'UTC';\
             SET client_encoding = 'UTF8'; SET default_transaction_isolation = 'read committed'",
        )?;
        let version: i32 =
            client.query_one("SELECT current_setting('server_version_num')::int", &[])?.get(0);
        if version < MIN_VERSION {
            return Err(EngineError::Address(format!(
                "the server of {self} is PostgreSQL {}; 15 or later is needed",
                version / 10_000
            )));
        }
        Ok(client)
    }

    /// Requests that the server stop the statement of a connection; if the request fails, the statement continues.
    pub fn cancel(&self, token: &postgres::CancelToken) {
        let roots = self.security.roots.as_deref();
        let connector = (self.security.mode != SslMode::Disable)
            .then(|| tls::Connector::new(self.security.check, roots));
        let _ = match connector {
            Some(Ok(connector)) => token.cancel_query(connector),
            _ => token.cancel_query(postgres::NoTls),
        };
    }

    /// Returns host, port, user and database for libpq's programs.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = Vec::new();
        match self.config.get_hosts().first() {
            Some(postgres::config::Host::Tcp(host)) => variables.push(("PGHOST", host.clone())),
            Some(postgres::config::Host::Unix(dir)) => {
                variables.push(("PGHOST", dir.display().to_string()));
            }
            None => {}
        }
        if let Some(port) = self.config.get_ports().first() {
            variables.push(("PGPORT", port.to_string()));
        }
        variables.extend(self.config.get_user().map(|user| ("PGUSER", user.to_owned())));
        variables.extend(self.config.get_dbname().map(|name| ("PGDATABASE", name.to_owned())));
        if let Some(password) = self.config.get_password() {
            variables.push(("PGPASSWORD", String::from_utf8_lossy(password).into_owned()));
        }
        let mode = match (self.security.mode, self.security.check) {
            (SslMode::Disable, _) => "disable",
            (_, Check::Host) => "verify-full",
            (_, Check::Authority) => "verify-ca",
            (SslMode::Require, Check::Nothing) => "require",
            _ => "prefer",
        };
        variables.push(("PGSSLMODE", mode.to_owned()));
        if let Some(roots) = &self.security.roots {
            variables.push(("PGSSLROOTCERT", roots.display().to_string()));
        }
        variables
    }
}

/// The oldest server whose features are used.
const MIN_VERSION: i32 = 150_000;

/// Splits the URL into one without the parameters of TLS, and those parameters.
fn split(url: &str) -> Result<(String, Security)> {
    let misfit = |why: &str| Err(EngineError::Address(why.to_owned()));
    let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))
    else {
        return misfit("a database is given as a URL: postgres://user@host:port/name");
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
        return misfit(
            "the URL of the database holds a password, which every user can read in `ps`: put the password into PGPASSWORD, a file of mode \
             0600 (password_file), or ~/.pgpass",
        );
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut security = Security { mode: SslMode::Prefer, check: Check::Nothing, roots: None };
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("password", _)) => return misfit("the URL of the database holds a password"),
            Some(("sslmode", mode)) => (security.mode, security.check) = ssl_mode(mode)?,
            Some(("sslrootcert", path)) => security.roots = Some(PathBuf::from(path)),
            _ => kept.push(pair),
        }
    }
    let mark = if kept.is_empty() { "" } else { "?" };
    Ok((format!("{base}{mark}{}", kept.join("&")), security))
}

fn ssl_mode(name: &str) -> Result<(SslMode, Check)> {
    Ok(match name {
        "disable" => (SslMode::Disable, Check::Nothing),
        "allow" | "prefer" => (SslMode::Prefer, Check::Nothing),
        "require" => (SslMode::Require, Check::Nothing),
        "verify-ca" => (SslMode::Require, Check::Authority),
        "verify-full" => (SslMode::Require, Check::Host),
        other => return Err(EngineError::Address(format!("sslmode={other} is unknown"))),
    })
}

fn password(database: &Database, config: &postgres::Config) -> Result<Option<String>> {
    if let Ok(password) = std::env::var("PGPASSWORD")
        && !password.is_empty()
    {
        return Ok(Some(password));
    }
    if let Some(path) = &database.password_file {
        return password_in(path, MAY_BE_READ_BY_OWNER).map(Some);
    }
    of_the_user(config)
}

/// Returns the password in the user's own password file.
fn of_the_user(config: &postgres::Config) -> Result<Option<String>> {
    let own = std::env::var_os("PGPASSFILE").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".pgpass"));
    let Some(path) = own.or_else(home) else { return Ok(None) };
    let Some(text) = private(&path, MAY_BE_READ_BY_OWNER)? else { return Ok(None) };
    Ok(text.lines().find_map(|line| fitting(line, config)))
}

/// Returns the password that a file holds.
fn password_in(path: &Path, others: u32) -> Result<String> {
    let text = private(path, others)?.ok_or_else(|| {
        EngineError::Address(format!("the password file {} does not exist", path.display()))
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Permissions that others must not have on a file with a password.
const MAY_BE_READ_BY_OWNER: u32 = 0o077;
/// The same for the password of queries: everyone who may read the archive may have it.
const MAY_BE_READ_BY_GROUP: u32 = 0o037;

/// Returns the text of a file that others may not read; `None` when there is none.
fn private(path: &Path, others: u32) -> Result<Option<String>> {
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(None) };
    if metadata.permissions().mode() & others != 0 {
        return Err(EngineError::Address(format!(
            "other users may read the password file {}: chmod {:o}",
            path.display(),
            0o677 & !others
        )));
    }
    std::fs::read_to_string(path)
        .map(Some)
        .map_err(|e| EngineError::Address(format!("cannot read {}: {e}", path.display())))
}

/// Returns the password of a line `host:port:database:user:password`, if it fits. `*` fits all; `\` quotes the next
/// character.
fn fitting(line: &str, config: &postgres::Config) -> Option<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(chars.next()),
            c => fields.last_mut()?.push(c),
        }
    }
    let [host, port, database, user, password] = <[String; 5]>::try_from(fields).ok()?;
    let own_host = match config.get_hosts().first() {
        Some(postgres::config::Host::Tcp(host)) => host.clone(),
        _ => "localhost".to_owned(),
    };
    let own_port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let fits = |field: &str, own: &str| field == "*" || field == own;
    let all = fits(&host, &own_host)
        && fits(&port, &own_port)
        && fits(&database, config.get_dbname().unwrap_or_default())
        && fits(&user, config.get_user().unwrap_or_default());
    (all && !line.starts_with('#')).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<Address> {
        Address::of(&Database { url: Some(url.to_owned()), ..Database::default() })
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        for url in [
            "postgres://me:geheim@host/db",
            "postgresql://me:geheim@host:5432/db?sslmode=require",
            "postgres://host/db?password=geheim",
        ] {
            let fault = of(url).unwrap_err().to_string();
            assert!(fault.contains("password") && !fault.contains("geheim"), "{fault}");
        }
    }

    #[test]
    fn a_file_that_is_not_a_database_is_refused() {
        for url in
            ["", "sqlite://x", "host/db", "postgres://me@host", "postgres://me@host/db?sslmode=x"]
        {
            assert!(of(url).is_err(), "{url}");
        }
        of("postgres://me@host:5433/db?sslmode=verify-full&sslrootcert=/ca.pem").unwrap();
    }

    #[test]
    fn lines_of_a_password_file_fit_as_libpq_has_it() {
        let config: postgres::Config = "postgres://me@host:5433/db".parse().unwrap();
        let cases = [
            ("host:5433:db:me:pass", Some("pass")),
            ("*:*:*:*:a:b", Some("a:b")),
            ("*:*:db:me:a\\:b\\\\", Some("a:b\\")),
            ("other:*:*:*:x", None),
            ("#*:*:*:*:x", None),
            ("host:5433", None),
        ];
        for (line, wanted) in cases {
            assert_eq!(fitting(line, &config).as_deref(), wanted, "{line}");
        }
    }
}
