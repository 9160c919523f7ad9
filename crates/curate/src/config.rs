//! The site's one configuration file, `almagest.toml`. Unknown keys and impossible values are refused, all faults at once.
//!
//! [`check`] holds what values may be, [`text`] which line holds which key. `init` writes the template with every setting
//! behind `#`, so that a site follows the defaults of its program.

mod check;
pub mod text;

use crate::failure;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the file at the root of a site.
pub const FILE_NAME: &str = "almagest.toml";

/// Every key with its default, and what it does. `init` writes it with the settings behind `#`.
pub const TEMPLATE: &str = "\
# Configuration of this Almagest site. Settings behind # show the defaults: to change one, remove the # and edit the value.
# `almagest config show` prints what holds, and where each value comes from.

[database]
# Where the archive is. Without `url` it is embedded: archive.db and lake/ in this directory. A server's password never
# stands here: it comes from PGPASSWORD, from a file of mode 0600, or from ~/.pgpass.
# url = \"postgres://almagest@localhost:5432/survey?sslmode=verify-full\"
# password_file = \"database.password\"
# The login under which `sql` runs queries; `init --roles` makes it. It must have the reader's rights and no others. Its password
# comes from this file (mode 0640 or less), or from ~/.pgpass.
# query_user = \"survey_query\"
# query_password_file = \"query.password\"

[library]
# How delivered files get into library/: \"copy\", \"link\" (hard links; the provider must never write in
# place) or \"in-place\" (they stay where they are and are only read).
mode = \"copy\"
# Further disks for delivered files, and which is filled first: \"in-order\" (library/, then these) or \"most-free\". So many GB
# stay free on each.
volumes = []
fill = \"in-order\"
keep_free_gb = 0
# `scrub` re-reads the library at so many MB per second at the most; 0 = no limit.
scrub_mb_per_second = 100.0

[files]
# What others may not do with the files of this site, as a umask in octal, e.g. \"007\" where a group works on it, \"022\" where
# everybody may read; \"\" = that of the caller, with 027. Nodes keep to it too. `verify --repair` narrows files that are wider.
umask = \"\"

[work]
# Worker threads; 0 = one per processor.
threads = 0
# Memory in MB per worker thread, for images and tables, and per process, for everything else.
memory_per_thread_mb = 150
memory_per_process_mb = 300
# Detections of a catalogue task at the least, where the night has them.
rows_per_catalogue_task = 100000

[inbox]
# Directories whose subdirectories are deliveries; `daemon` and `daemon transfer` watch them. Relative ones are below the site.
directories = []
# Files come when they did not change for some seconds. A delivery without a marker is complete when nothing of it changed for so
# many seconds.
quiet_seconds = 300
# It is looked for new files this often.
poll_seconds = 5
# Symbolic links that are followed: \"within\" (those that lead into the inbox or one of link_roots), \"anywhere\" or \"skip\".
links = \"within\"
link_roots = []
# Names of unfinished files beside the usual ones (*.partial, *.part, *.tmp, *~ and so on); \"!*.tmp\" takes names out of them.
unfinished = []

# Where deliveries come from beside the inbox; `daemon` and `daemon transfer` watch all of them. Every key but url may be left out:
# [sources.casu]
# url = \"ssh://wfcam@casu.example.org/data/nights\"   # or a directory, https://…, s3://bucket/prefix
# deliveries = \"*\"                 # which of its directories, by a pattern of * and ?
# complete = \"marker-or-quiet\"     # or \"marker\", \"manifest\", \"count\", \"quiet\"
# count = 0                        # files of a delivery, for \"count\"
# quiet_seconds = 300              # nothing changed for so long, for \"quiet\"
# early = true                     # files come before their delivery is complete, when they did not change for
# settle_seconds = 10              # so long
# poll_seconds = 30                # it is looked at this often
# lines = 8                        # connections at the most; fewer are used where more bring nothing
# mb_per_second = 0.0              # MB per second at the most; 0 = no limit
# windows = []                     # UTC; files come only then, e.g. [\"20:00-06:00\"]; [] = always
# order = \"newest\"               # which night comes first: \"newest\" or \"oldest\"
# stall_seconds = 60               # a connection that brings next to nothing for so long is made anew
# user = \"\"                       # of HTTP; of S3 the access key, else AWS_ACCESS_KEY_ID
# secret_file = \"casu.secret\"      # file of mode 0600 that holds password, token or secret key
# secret_env = \"CASU_SECRET\"       # or the variable that does; of S3 else AWS_SECRET_ACCESS_KEY
# session_file = \"casu.session\"    # file of mode 0600 that holds the session token of S3
# session_env = \"CASU_SESSION\"     # or the variable that does; else AWS_SESSION_TOKEN
# endpoint = \"\"                   # of S3, when it is not Amazon's
# region = \"\"                     # of S3
# authorities = \"\"                # certificates (PEM) to trust for https; \"\" = the system's
# listing = \"\"                    # of HTTP: the list that names the files, e.g. SHA256SUMS; \"\" = the directory's page
# links = \"within\"                 # symbolic links that are followed, of a directory or ssh: those that lead into the source
# link_roots = []                  # or one of these directories; or \"anywhere\", or \"skip\"
# unfinished = []                  # names of unfinished files beside the usual ones, e.g. [\"*.xfer\", \"!*.tmp\"]
# ssh_options = []                 # further options of ssh

[notify]
# Called with a JSON object on stdin for new refusals, older products that are kept, stuck units and deliveries, sources that
# are away, files of the library that rot, failed ingest and low disk; [] and \"\" = nobody. A webhook gets
# the object by POST, through curl.
command = []
webhook = \"\"
# A unit that stands still for so many hours is stuck; a disk with less free GB than this is low.
stuck_hours = 6.0
low_disk_gb = 20

[ingest]
# Where the ingester daemon tells its counts (/metrics, /healthz); \"\" = nowhere. Anybody who reaches an address that is not
# loopback can read them.
listen = \"127.0.0.1:19187\"
# The ingester looks for work at least this often, whether or not it was told of any.
poll_seconds = 10

[plan]
# Where tasks run under `daemon data`: \"local\" (this machine), \"slurm\", \"ssh\" (hosts of a list) or \"print\" (a script per
# computer, for you to run). `run` always works on this machine.
executor = \"local\"
# Which deliveries come first: \"oldest\" or \"newest\" night; and nights that come before all others.
order = \"oldest\"
first_nights = []
# At most so many hosts at a time; 0 = all there are. A host with a load of others above this per core is left alone; 0 = whatever.
hosts_most = 0
load_most = 1.5
# Plans are approved by themselves (also with `daemon data --auto`), unless they would take longer than so many hours; 0 = no limit.
auto = false
auto_hours_most = 24.0
# MB per second at which a host reads a library that is not on a disk of its own; 0 = as fast as if it were.
remote_mb_per_second = 100.0
# `almagest-node` on the hosts; \"\" = beside this program.
node_program = \"\"
# Seconds without a sign of life after which an attempt is given up, and made again elsewhere.
silent_seconds = 180
# While a delivery arrives, work on it begins as soon as so many images of it are there.
early_images = 100
# The data daemon looks at everything at least this often.
poll_seconds = 2

[slurm]
# Partition, account and further options of sbatch; \"\" and [] = the cluster's defaults.
partition = \"\"
account = \"\"
options = []

[ssh]
# Hosts as ssh takes them, and further options of ssh. The keys are yours.
hosts = []
options = []
# Seconds between two reports of a host; 0 = 30.
report_seconds = 0

# What is special about a host; every key may be left out:
# [hosts.pixel1]
# cores = 4                      # that tasks may use
# memory_mb = 16000
# quiet = [\"22:00-06:30\"]      # UTC; nothing of ours runs there then
# library = true                 # the library is on a disk of its own

[staging]
# Days for which the files of a batch stay after its ingest.
keep_days = 7

[sql]
# A query ends after so many seconds, rows, and MB of temporary files. 0 = no limit.
seconds = 600
rows = 0
temporary_mb = 4096
";

/// [`TEMPLATE`] for an archive on a server.
pub fn on_server(database: &archive::Database) -> String {
    moved_to(&text::commented(TEMPLATE), database)
}

/// Keys of the section `database`.
const DATABASE_KEYS: [&str; 4] = ["url", "password_file", "query_user", "query_password_file"];

/// The keys of the section `database` as comments again.
fn without_database(text: &str) -> String {
    let mut section = "";
    let lines = text.lines().map(|line| {
        if line.starts_with('[') {
            section = line.split('#').next().unwrap_or_default().trim();
        }
        let key = line.split_once('=').map_or("", |(key, _)| key.trim());
        if section == "[database]" && DATABASE_KEYS.contains(&key) {
            return format!("# {key} = \n");
        }
        format!("{line}\n")
    });
    lines.collect()
}

/// A configuration for an archive that moved; the rest of it stays as it is.
pub fn moved_to(text: &str, database: &archive::Database) -> String {
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let values = [
        ("url", database.url.clone()),
        ("password_file", database.password_file.as_ref().map(path)),
        ("query_user", database.query_user.clone()),
        ("query_password_file", database.query_password_file.as_ref().map(path)),
    ];
    let values = values.into_iter().filter_map(|(key, value)| Some((key, value?)));
    values.fold(without_database(text), |text, (key, value)| filled(text, key, &value))
}

/// A configuration whose queries run under a login.
pub fn with_query_login(text: &str, login: &str, password_file: &Path) -> String {
    let mut section = "";
    let kept = text.lines().filter(|line| {
        if line.starts_with('[') {
            section = line.split('#').next().unwrap_or_default().trim();
        }
        let key = line.split_once('=').map_or("", |(key, _)| key.trim());
        section != "[database]" || !["query_user", "query_password_file"].contains(&key)
    });
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    let with_login = filled(kept, "query_user", login);
    filled(with_login, "query_password_file", &password_file.to_string_lossy())
}

/// A configuration with a key of the section `database`: in the place of its comment, else at the section's beginning.
fn filled(text: String, key: &str, value: &str) -> String {
    let set = format!("{key} = {}", toml::Value::from(value));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(heading) = lines.iter().position(|line| line.trim_start().starts_with("[database]"))
    else {
        let space = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
        return format!("{text}{space}[database]\n{set}\n");
    };
    let end = lines[heading + 1..].iter().position(|line| line.trim_start().starts_with('['));
    let end = end.map_or(lines.len(), |length| heading + 1 + length);
    let marked = format!("# {key} =");
    match lines[heading..end].iter().position(|line| line.starts_with(&marked)) {
        Some(at) => lines[heading + at] = set,
        None => lines.insert(heading + 1, set),
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

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
    /// The work.
    pub work: Work,
    /// Where deliveries arrive.
    pub inbox: Inbox,
    /// Where they come from beside that, by name.
    pub sources: BTreeMap<String, SourceConfig>,
    /// Whom to tell of trouble.
    pub notify: Notify,
    /// The ingester daemon.
    pub ingest: Ingest,
    /// Planning and running tasks.
    pub plan: PlanConfig,
    /// Slurm.
    pub slurm: SlurmConfig,
    /// Hosts reached by ssh.
    pub ssh: SshConfig,
    /// What is special about hosts, by name.
    pub hosts: BTreeMap<String, HostConfig>,
    /// Batches.
    pub staging: Staging,
    /// Queries.
    pub sql: Sql,
}

/// How files are kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Library {
    /// How they get there.
    pub mode: LibraryMode,
    /// Disks beside `library/`.
    pub volumes: Vec<PathBuf>,
    /// Which is filled first.
    pub fill: FillOrder,
    /// GB that stay free on each.
    pub keep_free_gb: u64,
    /// Speed of `scrub` at the most; 0 = no limit.
    pub scrub_mb_per_second: f64,
}

impl Default for Library {
    fn default() -> Self {
        Self {
            mode: LibraryMode::Copy,
            volumes: Vec::new(),
            fill: FillOrder::InOrder,
            keep_free_gb: 0,
            scrub_mb_per_second: 100.0,
        }
    }
}

/// Which disk of the library is filled first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FillOrder {
    /// In the order in which they are listed.
    #[default]
    InOrder,
    /// The one with the most room.
    MostFree,
}

/// How delivered files get into the library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LibraryMode {
    /// Copied.
    #[default]
    Copy,
    /// Hard links.
    Link,
    /// Not at all: they stay where they are.
    InPlace,
}

/// Permissions of the site's files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// A umask in octal; empty: the caller's, with 027.
    pub umask: Umask,
}

impl Files {
    /// The permissions that nothing has, where they are configured.
    pub fn mask(&self) -> Option<u32> {
        self.umask.0
    }
}

/// A umask as it is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Umask(Option<u32>);

impl TryFrom<String> for Umask {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        // The owner keeps all permissions: without them nothing works.
        match u32::from_str_radix(&text, 8).ok().filter(|mask| *mask <= 0o077) {
            Some(mask) => Ok(Self(Some(mask))),
            None => Err(format!("{text:?} is no umask between \"000\" and \"077\"")),
        }
    }
}

impl From<Umask> for String {
    fn from(umask: Umask) -> Self {
        umask.0.map_or_else(Self::new, |mask| format!("{mask:03o}"))
    }
}

/// What steps may use.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// Worker threads; 0 = one per processor.
    pub threads: usize,
    /// Memory per worker thread.
    pub memory_per_thread_mb: u64,
    /// Memory per process beside that.
    pub memory_per_process_mb: u64,
    /// Rows of a catalogue task at the least.
    pub rows_per_catalogue_task: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            threads: 0,
            memory_per_thread_mb: 150,
            memory_per_process_mb: 300,
            rows_per_catalogue_task: 100_000,
        }
    }
}

impl Work {
    /// Worker threads, never 0.
    pub fn workers(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}

/// Where deliveries arrive.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inbox {
    /// Directories whose subdirectories are deliveries.
    pub directories: Vec<PathBuf>,
    /// A delivery without a marker is taken after so many quiet seconds.
    pub quiet_seconds: u64,
    /// Seconds between two looks.
    pub poll_seconds: u64,
    /// Symbolic links that are followed.
    pub links: Links,
    /// Trees beside the inbox into which they may lead.
    pub link_roots: Vec<PathBuf>,
    /// Names of unfinished files beside the usual ones.
    pub unfinished: Vec<String>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            directories: Vec::new(),
            quiet_seconds: 300,
            poll_seconds: 5,
            links: Links::Within,
            link_roots: Vec::new(),
            unfinished: Vec::new(),
        }
    }
}

/// Symbolic links that are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Links {
    /// None.
    Skip,
    /// Those that lead into the source's own tree, or one of the named ones.
    #[default]
    Within,
    /// All.
    Anywhere,
}

impl From<Links> for transfer::source::Links {
    fn from(links: Links) -> Self {
        match links {
            Links::Skip => Self::Skip,
            Links::Within => Self::Within,
            Links::Anywhere => Self::Anywhere,
        }
    }
}

/// Where deliveries come from.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceConfig {
    /// A directory or URL whose directories are deliveries.
    pub url: String,
    /// Which of them.
    pub deliveries: String,
    /// By what a delivery is known to be complete.
    pub complete: Complete,
    /// Files of a delivery.
    pub count: u64,
    /// Seconds without change.
    pub quiet_seconds: u64,
    /// Files come before their delivery is complete.
    pub early: bool,
    /// When they did not change for so long.
    pub settle_seconds: u64,
    /// Seconds between two looks.
    pub poll_seconds: u64,
    /// Connections at the most.
    pub lines: usize,
    /// Speed at the most; 0 = no limit.
    pub mb_per_second: f64,
    /// Spans of the day, UTC, in which files come; empty = always.
    pub windows: Vec<Span>,
    /// Which night comes first.
    pub order: Order,
    /// After so many seconds with next to nothing a connection is dead.
    pub stall_seconds: u64,
    /// Who asks.
    pub user: String,
    /// File of mode 0600 that holds password, token or secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Variable of the environment that holds it.
    pub secret_env: String,
    /// File of mode 0600 that holds the session token of S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_file: Option<PathBuf>,
    /// Variable of the environment that holds it.
    pub session_env: String,
    /// Where S3 is.
    pub endpoint: String,
    /// Region of S3.
    pub region: String,
    /// Certificates to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// The list that names the files of a delivery.
    pub listing: String,
    /// Symbolic links that are followed.
    pub links: Links,
    /// Trees beside the source's own into which they may lead.
    pub link_roots: Vec<PathBuf>,
    /// Names of unfinished files beside the usual ones.
    pub unfinished: Vec<String>,
    /// Further options of ssh.
    pub ssh_options: Vec<String>,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            deliveries: "*".to_owned(),
            complete: Complete::MarkerOrQuiet,
            count: 0,
            quiet_seconds: 300,
            early: true,
            settle_seconds: 10,
            poll_seconds: 30,
            lines: 8,
            mb_per_second: 0.0,
            windows: Vec::new(),
            order: Order::Newest,
            stall_seconds: 60,
            user: String::new(),
            secret_file: None,
            secret_env: String::new(),
            session_file: None,
            session_env: String::new(),
            endpoint: String::new(),
            region: String::new(),
            authorities: None,
            listing: String::new(),
            links: Links::Within,
            link_roots: Vec::new(),
            unfinished: Vec::new(),
            ssh_options: Vec::new(),
        }
    }
}

impl SourceConfig {
    /// When a connection counts as dead.
    pub fn stall(&self) -> transfer::Stall {
        transfer::Stall { seconds: self.stall_seconds, ..transfer::Stall::default() }
    }

    /// Whether files may come at a time.
    pub fn is_open(&self, now: archive::Timestamp) -> bool {
        use chrono::Timelike;
        let minute = now.hour() * 60 + now.minute();
        self.windows.is_empty() || self.windows.iter().any(|span| span.holds(minute))
    }
}

/// By what a delivery is known to be complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Complete {
    /// Its marker, or no change for a while.
    #[default]
    MarkerOrQuiet,
    /// Its marker.
    Marker,
    /// All files of its list.
    Manifest,
    /// A number of files.
    Count,
    /// No change for a while.
    Quiet,
}

/// Whom to tell of trouble.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// A program with its arguments; empty = none.
    pub command: Vec<String>,
    /// A URL; empty = none.
    pub webhook: String,
    /// Hours after which a unit that stands still is stuck.
    pub stuck_hours: f64,
    /// Free GB below which a disk is low.
    pub low_disk_gb: u64,
}

impl Default for Notify {
    fn default() -> Self {
        Self { command: Vec::new(), webhook: String::new(), stuck_hours: 6.0, low_disk_gb: 20 }
    }
}

/// The ingester daemon.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingest {
    /// Address of its port; empty = none.
    pub listen: String,
    /// Seconds between two passes at the most.
    pub poll_seconds: u64,
}

impl Default for Ingest {
    fn default() -> Self {
        Self { listen: "127.0.0.1:19187".to_owned(), poll_seconds: 10 }
    }
}

/// Where tasks run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorKind {
    /// On this machine.
    #[default]
    Local,
    /// By Slurm.
    Slurm,
    /// On hosts of a list.
    Ssh,
    /// By hand.
    Print,
}

/// Which deliveries come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The oldest night.
    #[default]
    Oldest,
    /// The newest night.
    Newest,
}

/// Planning and running tasks.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanConfig {
    /// Where tasks run.
    pub executor: ExecutorKind,
    /// Which deliveries come first.
    pub order: Order,
    /// Nights that come before all others, yyyymmdd.
    pub first_nights: Vec<i32>,
    /// Most hosts at a time; 0 = all.
    pub hosts_most: usize,
    /// Most load of others per core; 0 = any.
    pub load_most: f64,
    /// Plans are approved by themselves.
    pub auto: bool,
    /// Unless they take longer than this; 0 = any.
    pub auto_hours_most: f64,
    /// Reading a library elsewhere; 0 = as fast as one's own.
    pub remote_mb_per_second: f64,
    /// `almagest-node` on the hosts; empty = beside this program.
    pub node_program: String,
    /// Seconds without a sign of life after which an attempt is given up.
    pub silent_seconds: u64,
    /// Images with which a round of a delivery that is arriving begins.
    pub early_images: usize,
    /// Seconds between two looks.
    pub poll_seconds: u64,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self {
            executor: ExecutorKind::Local,
            order: Order::Oldest,
            first_nights: Vec::new(),
            hosts_most: 0,
            load_most: 1.5,
            auto: false,
            auto_hours_most: 24.0,
            remote_mb_per_second: 100.0,
            node_program: String::new(),
            silent_seconds: 180,
            early_images: 100,
            poll_seconds: 2,
        }
    }
}

/// Slurm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmConfig {
    /// Partition; empty = the cluster's default.
    pub partition: String,
    /// Account; empty = the user's default.
    pub account: String,
    /// Further options of sbatch.
    pub options: Vec<String>,
}

/// Hosts reached by ssh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SshConfig {
    /// Their names.
    pub hosts: Vec<String>,
    /// Further options of ssh.
    pub options: Vec<String>,
    /// Seconds between two reports of a host; 0 = 30.
    pub report_seconds: u64,
}

/// What is special about a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostConfig {
    /// Cores that tasks may use; 0 = all.
    #[serde(skip_serializing_if = "is_zero")]
    pub cores: u32,
    /// Memory that tasks may use; 0 = all.
    #[serde(skip_serializing_if = "is_zero")]
    pub memory_mb: u32,
    /// Spans of the day, UTC, in which nothing of ours runs there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quiet: Vec<Span>,
    /// The library is on a disk of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<bool>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A span of the day, in minutes after midnight UTC; it may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    /// Its begin.
    pub from: u32,
    /// Its end.
    pub to: u32,
}

impl Span {
    /// Whether a minute after midnight is in it.
    pub fn holds(self, minute: u32) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let minutes = |time: &str| {
            let (hours, minutes) = time.trim().split_once(':')?;
            let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
            (hours <= 24 && minutes < 60 && 60 * hours + minutes <= 1440)
                .then_some(60 * hours + minutes)
        };
        let span = text.split_once('-').and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
        match span {
            Some((from, to)) if from != to => Ok(Self { from, to }),
            _ => Err(format!("{text:?} is no span of the day such as \"22:00-06:30\"")),
        }
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        let time = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        format!("{}-{}", time(span.from), time(span.to))
    }
}

/// What becomes of batches.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Staging {
    /// Days that they stay after ingest.
    pub keep_days: u32,
}

impl Default for Staging {
    fn default() -> Self {
        Self { keep_days: 7 }
    }
}

impl Staging {
    /// How long they stay after ingest.
    pub fn keep(&self) -> chrono::TimeDelta {
        chrono::TimeDelta::days(self.keep_days.into())
    }
}

/// Limits of queries.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sql {
    /// Seconds; 0 = no limit.
    pub seconds: u64,
    /// Rows; 0 = no limit.
    pub rows: u64,
    /// Temporary files.
    pub temporary_mb: u64,
}

impl Default for Sql {
    fn default() -> Self {
        Self { seconds: 600, rows: 0, temporary_mb: 4096 }
    }
}

/// Reads the configuration of the site at `root`.
///
/// # Errors
/// `Kind::Usage`, with line and key of every fault.
pub fn load(root: &Path) -> anyhow::Result<Config> {
    let path = root.join(FILE_NAME);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).map_err(|fault| failure::usage(format!("{}: {fault}", path.display())))
}

/// Reads a configuration.
fn parse(text: &str) -> Result<Config, String> {
    let document: toml::Table = text.parse().map_err(|fault: toml::de::Error| fault.to_string())?;
    let mut faults = faults_of_types(&document);
    // What can be read is checked beside what cannot.
    match without(&document, &faults).try_into::<Config>() {
        Ok(config) => {
            faults.extend(check::check(&config, &document));
            if faults.is_empty() {
                return Ok(config);
            }
        }
        Err(fault) if faults.is_empty() => return Err(fault.to_string()),
        Err(_) => {}
    }
    let lines = text::lines(text);
    let mut told: Vec<(usize, String)> = faults
        .into_iter()
        .map(|(path, why)| {
            let line = line_of(&lines, &path);
            let place = line.map(|n| format!("line {n}: ")).unwrap_or_default();
            (line.unwrap_or(0), format!("{place}{}: {why}", path.join(".")))
        })
        .collect();
    told.sort();
    told.dedup();
    Err(told.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n"))
}

/// The line of a key, or of the table that lacks it.
fn line_of(lines: &text::Lines, path: &[String]) -> Option<usize> {
    (1..=path.len()).rev().find_map(|length| lines.get(&path[..length]).copied())
}

/// All keys that are unknown or hold another type than they may: each is read alone.
fn faults_of_types(document: &toml::Table) -> Vec<check::Fault> {
    let mut faults = Vec::new();
    for (section, content) in document {
        let alone = |path: &[&str], value: toml::Value| {
            let nested = path.iter().rev().fold(value, |inner, key| {
                toml::Table::from_iter([((*key).to_owned(), inner)]).into()
            });
            let one = toml::Table::from_iter([(section.clone(), nested)]);
            one.try_into::<Config>().err().map(|fault| fault.message().to_owned())
        };
        let mut note = |path: &[&str], why: String| {
            let path = [section.as_str()].iter().chain(path).map(|k| (*k).to_owned()).collect();
            faults.push((path, why));
        };
        let is_named = ["sources", "hosts"].contains(&section.as_str());
        let (toml::Value::Table(keys), None) = (content, alone(&[], toml::Table::new().into()))
        else {
            if let Some(why) = alone(&[], content.clone()) {
                note(&[], why);
            }
            continue;
        };
        for (key, value) in keys {
            match value {
                toml::Value::Table(inner) if is_named => {
                    for (name, value) in inner {
                        if let Some(why) = alone(&[key, name], value.clone()) {
                            note(&[key, name], why);
                        }
                    }
                }
                value => {
                    if let Some(why) = alone(&[key], value.clone()) {
                        note(&[key], why);
                    }
                }
            }
        }
    }
    faults
}

/// A document without the keys that are faulty.
fn without(document: &toml::Table, faults: &[check::Fault]) -> toml::Table {
    let mut sound = document.clone();
    for (path, _) in faults {
        let Some((last, parents)) = path.split_last() else { continue };
        let mut table = Some(&mut sound);
        for key in parents {
            table = table.and_then(|t| t.get_mut(key)).and_then(toml::Value::as_table_mut);
        }
        if let Some(table) = table {
            table.remove(last);
        }
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;

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
            authorities: found.authorities.clone(),
            ..SourceConfig::default()
        };
        assert_eq!(found, defaults, "every key with its default");
    }

    #[test]
    fn hosts_have_quiet_hours() {
        let text = "[hosts.pixel1]\nquiet = [\"22:00-06:30\"]\ncores = 4\n";
        let config = parse(text).unwrap();
        assert_eq!(config.hosts["pixel1"].quiet, [Span { from: 1320, to: 390 }]);
        assert_eq!(String::from(config.hosts["pixel1"].quiet[0]), "22:00-06:30");
        let span = config.hosts["pixel1"].quiet[0];
        let held = [0, 389, 390, 1319, 1320, 1439].map(|minute| span.holds(minute));
        assert_eq!(held, [true, true, false, false, true, true]);
        for wrong in ["22-6", "25:00-06:00", "06:00-06:00", "x:00-06:00", "06:60-07:00"] {
            let text = format!("[hosts.pixel1]\nquiet = [\"{wrong}\"]\n");
            assert!(parse(&text).unwrap_err().contains("no span of the day"), "{wrong}");
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
        let text = "[work]\nthreads = \"two\"\nmemory_per_thread_mb = 0\n[plan]\nsilent_seconds = 0\nload_most = nan\n\
                    auto_hours_most = -1.0\nfirst_nights = [20071311]\n[ingest]\nlisten = \"nonsense\"\n\
                    [hosts.n1]\ncores = 0\n[sources.a]\nurl = \"ssh://me:secret@host/x\"\nlines = 0\npoll = 3\n\
                    [notify]\nwebhook = \"hooks\"\nstuck_hours = inf\n[staging]\nkeep_days = 4000000000\n\
                    [inbox]\ndirectories = [\"\", \"a\", \"a\"]\npoll_seconds = 0\n";
        let faults = parse(text).unwrap_err();
        for wanted in [
            "line 2: work.threads: invalid type",
            "line 3: work.memory_per_thread_mb: 0 is not from 1 to",
            "line 5: plan.silent_seconds: 0 is not from 6 to",
            "line 6: plan.load_most: NaN is not a number from 0",
            "line 7: plan.auto_hours_most: -1 is not a number from 0",
            "line 8: plan.first_nights: 20071311 is no night",
            "line 10: ingest.listen: \"nonsense\" is no address and port",
            "line 12: hosts.n1.cores: 0 lets nothing run",
            "line 14: sources.a.url: ",
            "line 15: sources.a.lines: 0 is not from 1 to 1024",
            "line 16: sources.a.poll: unknown field `poll`",
            "line 18: notify.webhook: \"hooks\" is no http",
            "line 19: notify.stuck_hours: inf is not a number",
            "line 21: staging.keep_days: 4000000000 is not from 0 to 36500",
            "line 23: inbox.directories: \"\" is no directory",
            "line 23: inbox.directories: \"a\" is named twice",
            "line 24: inbox.poll_seconds: 0 is not from 1",
        ] {
            assert!(faults.lines().any(|line| line.starts_with(wanted)), "{wanted}:\n{faults}");
        }
        assert_eq!(faults.lines().count(), 17, "{faults}");
        assert!(!faults.contains("secret@"), "{faults}");
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let text =
            "[work]\nthreads = \"two\"\ntreads = 3\n[sql]\nseconds = 5\nrows = -1\n[lake]\nx = 1\n";
        let faults = parse(text).unwrap_err();
        for wanted in [
            "line 2: work.threads: ",
            "line 3: work.treads: unknown field",
            "line 6: sql.rows: ",
            "line 7: lake: unknown field",
        ] {
            assert!(faults.lines().any(|line| line.starts_with(wanted)), "{wanted}: {faults}");
        }
        assert_eq!(faults.lines().count(), 4, "{faults}");
        assert!(parse("[work\n").unwrap_err().contains("line 1"));
    }
}
