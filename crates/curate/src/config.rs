//! The site's one configuration file, `almagest.toml`. Unknown keys and impossible values are refused; all faults are reported at
//! once.
//!
//! Each section is a module. [`mod@read`] reads a file, [`check`] defines the allowed values of settings, [`text`] finds the line
//! of a key. `init` writes the template with every setting behind `#`, so that a site follows the defaults of its program.

mod check;
mod database;
mod files;
mod hosts;
mod inbox;
mod ingest;
mod library;
mod log;
mod notify;
mod plan;
mod read;
mod sources;
mod sql;
mod staging;
pub mod text;
mod work;

pub use database::{moved_to, on_server, with_query_login};
pub use files::{Files, Umask};
pub use hosts::{HostConfig, Span};
pub use inbox::{Inbox, Links};
pub use ingest::Ingest;
pub use library::{FillOrder, Library, LibraryMode};
pub use log::{Format, Level, Log};
pub use notify::Notify;
pub use plan::{ExecutorKind, Order, PlanConfig, SlurmConfig, SshConfig};
pub use read::{check_text, load};
pub use sources::{Complete, SourceConfig};
pub use sql::Sql;
pub use staging::Staging;
pub use work::Work;

use model::HostName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the file at the root of a site.
pub const FILE_NAME: &str = "almagest.toml";

/// Every key with its default and its purpose. `init` writes the template with the settings behind `#`.
pub const TEMPLATE: &str = include_str!("config/almagest.toml");

/// The configuration of a site.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The archive's database.
    pub database: archive::Database,
    /// The library.
    pub library: Library,
    /// Permissions.
    pub files: Files,
    /// Resources of steps.
    pub work: Work,
    /// Directories in which deliveries arrive.
    pub inbox: Inbox,
    /// Further sources of deliveries, by name.
    pub sources: BTreeMap<String, SourceConfig>,
    /// Notification of operators about failures.
    pub notify: Notify,
    /// The log files.
    pub log: Log,
    /// The ingester daemon.
    pub ingest: Ingest,
    /// Planning and running tasks.
    pub plan: PlanConfig,
    /// Slurm.
    pub slurm: SlurmConfig,
    /// Hosts reached by ssh.
    pub ssh: SshConfig,
    /// Properties of hosts, by name.
    pub hosts: BTreeMap<HostName, HostConfig>,
    /// Retention of batches.
    pub staging: Staging,
    /// Limits of queries.
    pub sql: Sql,
}

#[cfg(test)]
mod tests {
    use super::read::parse;
    use super::*;
    use std::path::Path;

    #[test]
    fn a_database_is_named_in_its_section_and_nowhere_else() {
        let database = archive::Database {
            url: Some("postgres://me@host/db".to_owned()),
            query_user: Some("db_query".to_owned()),
            ..archive::Database::default()
        };
        let parsed = |text: &str| toml::from_str::<Config>(text).unwrap();
        for text in [
            TEMPLATE,
            "",
            "[work]\nthreads = 1\n",
            "[database] # ours\nurl = \"postgres://a@b/c\"\nquery_user = \"x\"\n\n[sources.far]\n# url = \"y\"\nurl = \"z\"\n",
        ] {
            let there = moved_to(text, &database);
            assert_eq!(parsed(&there).database, database, "{there}");
            assert_eq!(parsed(&there).sources, parsed(text).sources);
            assert_eq!(parsed(&there).work, parsed(text).work);
            let back = moved_to(&there, &archive::Database::default());
            assert_eq!(parsed(&back).database, archive::Database::default(), "{back}");
            let with = parsed(&with_query_login(&there, "other", Path::new("a file"))).database;
            assert_eq!(with.query_user.as_deref(), Some("other"));
            assert_eq!(with.query_password_file.as_deref(), Some(Path::new("a file")));
            assert_eq!(with.url, database.url);
        }
    }

    #[test]
    fn the_template_holds_the_defaults() {
        assert_eq!(parse(TEMPLATE).unwrap(), Config::default());
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn the_source_in_the_template_is_one() {
        let from = TEMPLATE.find("# [sources.casu]").unwrap();
        let lines = TEMPLATE[from..].lines().take_while(|line| line.starts_with('#'));
        let text: String = lines.map(|line| format!("{}\n", &line[2..])).collect();
        let found = parse(&text).unwrap_or_else(|e| panic!("{e}:\n{text}")).sources["casu"].clone();
        let defaults = SourceConfig {
            url: found.url.clone(),
            secret_file: Some("casu.secret".into()),
            secret_env: "CASU_SECRET".to_owned(),
            session_file: Some("casu.session".into()),
            session_env: "CASU_SESSION".to_owned(),
            ca_file: found.ca_file.clone(),
            ..SourceConfig::default()
        };
        assert_eq!(found, defaults, "every key with its default");
    }

    #[test]
    fn hosts_have_quiet_hours() {
        let text = "[hosts.pixel1]\nquiet_hours = [\"22:00-06:30\"]\ncores = 4\n";
        let config = parse(text).unwrap();
        assert_eq!(config.hosts["pixel1"].quiet_hours, [Span { from: 1320, to: 390 }]);
        assert_eq!(String::from(config.hosts["pixel1"].quiet_hours[0]), "22:00-06:30");
        let span = config.hosts["pixel1"].quiet_hours[0];
        let held = [0, 389, 390, 1319, 1320, 1439].map(|minute| span.holds(minute));
        assert_eq!(held, [true, true, false, false, true, true]);
        for wrong in ["22-6", "25:00-06:00", "06:00-06:00", "x:00-06:00", "06:60-07:00"] {
            let text = format!("[hosts.pixel1]\nquiet_hours = [\"{wrong}\"]\n");
            assert!(parse(&text).unwrap_err().contains("not a span of the day"), "{wrong}");
        }
    }

    #[test]
    fn init_writes_no_default() {
        let text = text::commented(TEMPLATE);
        assert_eq!(parse(&text).unwrap(), Config::default());
        let is_setting = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
        assert_eq!(text.lines().find(is_setting), None);
        let on_server = on_server(&archive::Database {
            url: Some("postgres://a@localhost/b".to_owned()),
            ..Default::default()
        });
        let set: Vec<&str> = on_server.lines().filter(is_setting).collect();
        assert_eq!(set, ["url = \"postgres://a@localhost/b\""]);
    }

    #[test]
    fn impossible_values_are_refused_all_at_once() {
        let text = "[work]\nthreads = \"two\"\nmemory_per_thread_mb = 0\n[plan]\nheartbeat_timeout_seconds = 0\nmax_load = nan\n\
                    auto_max_hours = -1.0\npriority_nights = [20071311]\n[ingest]\nlisten = \"nonsense\"\n\
                    [hosts.n1]\ncores = 0\n[sources.a]\nurl = \"ssh://me:secret@host/x\"\nmax_connections = 0\npoll = 3\n\
                    [notify]\nwebhook = \"hooks\"\nstuck_hours = inf\n[staging]\nkeep_days = 4000000000\n\
                    [inbox]\ndirectories = [\"\", \"a\", \"a\"]\npoll_seconds = 0\n";
        let faults = parse(text).unwrap_err();
        for wanted in [
            "line 2: work.threads: invalid type",
            "line 3: work.memory_per_thread_mb: 0 is not from 1 to",
            "line 5: plan.heartbeat_timeout_seconds: 0 is not from 6 to",
            "line 6: plan.max_load: NaN is not a number from 0",
            "line 7: plan.auto_max_hours: -1 is not a number from 0",
            "line 8: plan.priority_nights: 20071311 is not a night",
            "line 10: ingest.listen: \"nonsense\" is not an address and port",
            "line 12: hosts.n1.cores: 0 leaves no cores",
            "line 14: sources.a.url: ",
            "line 15: sources.a.max_connections: 0 is not from 1 to 1024",
            "line 16: sources.a.poll: unknown field `poll`",
            "line 18: notify.webhook: \"hooks\" is not an http",
            "line 19: notify.stuck_hours: inf is not a number",
            "line 21: staging.keep_days: 4000000000 is not from 0 to 36500",
            "line 23: inbox.directories: \"\" is not a directory",
            "line 23: inbox.directories: \"a\" is named twice",
            "line 24: inbox.poll_seconds: 0 is not from 1",
        ] {
            assert!(faults.lines().any(|line| line.starts_with(wanted)), "{wanted}:\n{faults}");
        }
        assert_eq!(faults.lines().count(), 17, "{faults}");
        assert!(!faults.contains("secret@"), "{faults}");
    }

    #[test]
    fn wrong_names_and_nights_are_refused_all_at_once() {
        let text = "[ssh]\nhosts = [\"\", \"-oX\", \"n1\"]\n[hosts.\"a b\"]\ncores = 1\n[hosts.\"-x\"]\n\
                    [plan]\npriority_nights = [20071311, 20071011, 20070230]\nmax_load = -1.0\n";
        let faults = parse(text).unwrap_err();
        let wanted = [
            "line 2: ssh.hosts: \"\" is not a name of a host: the name is empty",
            "line 2: ssh.hosts: \"-oX\" is not a name of a host: the name begins like an option",
            "line 3: hosts.a b: \"a b\" is not a name of a host: the name contains white space",
            "line 5: hosts.-x: \"-x\" is not a name of a host: the name begins like an option",
            "line 7: plan.priority_nights: 20070230 is not a night such as 20071011",
            "line 7: plan.priority_nights: 20071311 is not a night such as 20071011",
            "line 8: plan.max_load: -1 is not a number from 0",
        ];
        assert_eq!(faults.lines().count(), wanted.len(), "{faults}");
        for (line, wanted) in faults.lines().zip(wanted) {
            assert!(line.starts_with(wanted), "{wanted}:\n{faults}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let text = "[work]\nthreads = \"two\"\ntreads = 3\n[sql]\nmax_seconds = 5\nmax_rows = -1\n[lake]\nx = 1\n\
             [sources.a]\nurl = \"a\"\nlines = 8\n[hosts.n1]\nquiet = []\n";
        let faults = parse(text).unwrap_err();
        for wanted in [
            "line 2: work.threads: ",
            "line 3: work.treads: unknown field",
            "line 6: sql.max_rows: ",
            "line 7: lake: unknown field",
            "line 11: sources.a.lines: unknown field `lines`, expected one of",
            "line 13: hosts.n1.quiet: unknown field `quiet`, expected one of",
        ] {
            assert!(faults.lines().any(|line| line.starts_with(wanted)), "{wanted}: {faults}");
        }
        assert_eq!(faults.lines().count(), 6, "{faults}");
        assert!(parse("[work\n").unwrap_err().contains("line 1"));
    }
}
