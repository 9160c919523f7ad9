//! Commands that messages recommend.
//!
//! Every recommendation of a command, in a message, a report or a table, is an [`Advice`], so that all of them can be
//! listed. `crates/almagest/tests/advice/` runs each kind in the situation in which it is recommended, and fails when a
//! kind has no situation. A new recommendation is a new variant, its words in [`Advice::words`], and a situation there.

use crate::UseCase;
use std::fmt;

/// The part of the work that a command is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// All work.
    All,
    /// A computer.
    Host(String),
    /// A use case of every delivery.
    UseCase(UseCase),
    /// An observing night, yyyymmdd.
    Night(i32),
    /// A delivery.
    Delivery(String),
    /// A use case of a delivery.
    Unit(String, UseCase),
    /// The units of a rejected plan.
    Plan(i64),
}

impl Target {
    /// Returns the option that names the target on the command line.
    pub fn words(&self) -> Vec<String> {
        let option = |name: &str, value: String| vec![format!("--{name}"), value];
        match self {
            Self::All => vec!["--all".to_owned()],
            Self::Host(name) => option("host", name.clone()),
            Self::UseCase(use_case) => option("use-case", use_case.to_string()),
            Self::Night(night) => option("night", night.to_string()),
            Self::Delivery(name) => option("delivery", name.clone()),
            Self::Unit(delivery, use_case) => option("unit", format!("{delivery}/{use_case}")),
            Self::Plan(number) => option("plan", number.to_string()),
        }
    }
}

/// Refusals by number, or by code and delivery when they are many.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalChoice {
    /// Their numbers.
    Numbers(Vec<i64>),
    /// All open refusals with a code in a delivery.
    Code {
        /// The code.
        code: String,
        /// The delivery.
        delivery: String,
    },
}

impl RefusalChoice {
    fn words(&self) -> Vec<String> {
        match self {
            Self::Numbers(numbers) => numbers.iter().map(i64::to_string).collect(),
            Self::Code { code, delivery } => {
                ["--code", code, "--delivery", delivery].map(str::to_owned).to_vec()
            }
        }
    }
}

macro_rules! advice {
    ($($(#[$doc:meta])* $kind:ident $({ $($(#[$field_doc:meta])* $field:ident : $type:ty),* $(,)? })?,)*) => {
        /// A command that a message recommends.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Advice {
            $($(#[$doc])* $kind $({ $($(#[$field_doc])* $field: $type),* })?,)*
        }

        impl Advice {
            /// Names of all kinds.
            pub const KINDS: &[&str] = &[$(stringify!($kind)),*];

            /// Returns the name of its kind.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind $({ $($field: _),* })? => stringify!($kind),)*
                }
            }
        }
    };
}

advice! {
    /// Makes a site.
    Init {
        /// Its directory.
        site: String,
    },
    /// Makes a site whose archive is in a database of a server.
    InitDatabase {
        /// Its directory.
        site: String,
        /// The URL of the database.
        database: String,
        /// The file that holds the password of the database.
        password_file: Option<String>,
    },
    /// Makes the roles of a site's database.
    InitRoles {
        /// Its directory.
        site: String,
    },
    /// Makes a site of a backup.
    Restore {
        /// The directory of the backup.
        backup: String,
        /// The directory of the site.
        site: String,
        /// The URL of the database, for the backup of an archive on a server.
        database: Option<String>,
        /// The file that holds the password of the database.
        password_file: Option<String>,
        /// The roles of the database are made too.
        roles: bool,
    },
    /// Moves the archive of a site.
    Migrate {
        /// The URL of a database, or `embedded`.
        to: String,
        /// The file that holds the password of the database.
        password_file: Option<String>,
    },
    /// Reopens the archive from before a move.
    MigrateReopen {
        /// The URL of its database, or `embedded`.
        to: String,
        /// The file that holds the password of the database.
        password_file: Option<String>,
    },
    /// Takes a delivery through every step.
    Run {
        /// Its directory or URL.
        place: String,
    },
    /// Takes a directory through every step as one more place of a known delivery.
    RunJoin {
        /// Its directory or URL.
        place: String,
        /// The delivery.
        delivery: String,
    },
    /// Takes a directory through every step as a delivery of its own.
    RunNew {
        /// Its directory or URL.
        place: String,
    },
    /// Fetches what is new at the source of a known delivery.
    Transfer {
        /// The delivery.
        delivery: String,
    },
    /// Declares a delivery complete, whatever its marker, list or count announces.
    TransferComplete {
        /// The delivery.
        delivery: String,
    },
    /// Fetches a delivery from a directory or URL.
    TransferFrom {
        /// Its directory or URL.
        place: String,
    },
    /// Works on one use case of a delivery.
    Step {
        /// The use case.
        use_case: UseCase,
        /// The delivery.
        delivery: String,
    },
    /// Works on one use case of all deliveries.
    StepAll {
        /// The use case.
        use_case: UseCase,
    },
    /// Repeats a use case of a delivery.
    StepAgain {
        /// The use case.
        use_case: UseCase,
        /// The delivery.
        delivery: String,
    },
    /// Makes the lost previews of a delivery again, and no others.
    PreviewLost {
        /// The delivery.
        delivery: String,
    },
    /// Makes all lost previews again, and no others.
    PreviewLostAll,
    /// Publishes all staged batches.
    IngestAll,
    /// Publishes the staged batches of a delivery.
    Ingest {
        /// The delivery.
        delivery: String,
    },
    /// Shows the plan, and proposes what is new.
    Plan,
    /// Lists decisions and instructions.
    PlanHistory {
        /// How many, the latest.
        limit: u64,
    },
    /// Approves all of a plan.
    ApproveAll,
    /// Approves a unit.
    ApproveUnit {
        /// The delivery.
        delivery: String,
        /// The use case.
        use_case: UseCase,
    },
    /// Approves what is planned on a host.
    ApproveHost {
        /// The host.
        host: String,
    },
    /// Binds a unit to a host.
    EditMove {
        /// The delivery.
        delivery: String,
        /// The use case.
        use_case: UseCase,
        /// The host.
        host: String,
    },
    /// Runs a unit before others.
    EditPriority {
        /// The delivery.
        delivery: String,
        /// The use case.
        use_case: UseCase,
    },
    /// Holds a unit.
    EditHold {
        /// The delivery.
        delivery: String,
        /// The use case.
        use_case: UseCase,
    },
    /// Lets units that were moved run on any host.
    EditUnbind {
        /// What was moved.
        target: Target,
    },
    /// Rejects a plan.
    Reject,
    /// Ends a pause, a hold, a drain or a rejection.
    Resume {
        /// What is paused.
        target: Target,
    },
    /// Has failed tasks redone.
    Retry {
        /// What failed.
        target: Target,
    },
    /// Starts the data daemon.
    DaemonData,
    /// Starts the ingester.
    DaemonIngest,
    /// Starts the daemon that watches the sources.
    DaemonTransfer,
    /// Lists the deliveries.
    Status,
    /// Lists all deliveries.
    StatusAll,
    /// Lists refusals.
    Refusals,
    /// Lists the refusals of a delivery.
    RefusalsOf {
        /// The delivery.
        delivery: String,
    },
    /// Reports everything about a refusal.
    RefusalsShow {
        /// Its number.
        number: i64,
    },
    /// Lets refused data in.
    RefusalsTake {
        /// The number of their refusal.
        number: i64,
    },
    /// Accepts refusals.
    RefusalsAccept {
        /// Which.
        which: RefusalChoice,
    },
    /// Dismisses refusals.
    RefusalsDismiss {
        /// Which.
        which: RefusalChoice,
    },
    /// Retries refusals.
    RefusalsRetry {
        /// Which.
        which: RefusalChoice,
    },
    /// Adds a programme.
    ProgrammeAdd {
        /// Its short name.
        name: String,
        /// The PROJECT text of its frames.
        project: String,
    },
    /// Lists the survey profiles of the site.
    ProfileList,
    /// Sets a value of a survey profile.
    ProfileSet {
        /// The survey.
        survey: String,
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// Ends older products that are kept beside a delivery.
    Supersede {
        /// The newer delivery.
        delivery: String,
    },
    /// Shows such products again.
    SupersedeUndo {
        /// The newer delivery.
        delivery: String,
    },
    /// Lists findings.
    Findings,
    /// Lists the findings of a delivery.
    FindingsOf {
        /// The delivery.
        delivery: String,
    },
    /// Explains one thing.
    Explain {
        /// Its name or number.
        name: String,
    },
    /// Writes the page of a delivery's previews.
    ContactSheet {
        /// The delivery.
        delivery: String,
    },
    /// Undoes a retraction.
    RetractUndo {
        /// The delivery.
        delivery: String,
    },
    /// Compares source, library and archive.
    Reconcile,
    /// Moves the files of the library aside that the archive does not know.
    ReconcileStrays {
        /// The delivery.
        delivery: String,
    },
    /// Moves all files of the library aside that the archive does not know.
    ReconcileStraysAll,
    /// Fetches damaged and lost files of the library again.
    ReconcileSource,
    /// Fetches one damaged or lost file again.
    ReconcileFile {
        /// The delivery.
        delivery: String,
        /// The name of the file.
        file: String,
    },
    /// Fetches the damaged and lost files of a delivery again.
    ReconcileDelivery {
        /// The delivery.
        delivery: String,
    },
    /// Checks the archive.
    Verify,
    /// Checks the archive with all contents.
    VerifyChecksums,
    /// Removes what no event made.
    VerifyRepair,
    /// Asks the sources what they have.
    Sources,
    /// Ends a product of an older frame that is kept beside the frame of the same name in a newer delivery.
    SupersedeFile {
        /// The newer delivery.
        delivery: String,
        /// The name of both frames.
        file: String,
        /// The product.
        use_case: UseCase,
    },
    /// Undoes such a decision.
    SupersedeFileUndo {
        /// The newer delivery.
        delivery: String,
        /// The name of both frames.
        file: String,
        /// The product.
        use_case: UseCase,
    },
}

/// The reason in commands that want one: it is valid as it stands, and meant to be replaced.
const WHY: &str = "WHY";

impl Advice {
    /// Returns the words behind `almagest`.
    pub fn words(&self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let with = |head: &[&str], tail: Vec<String>| [words(head), tail].concat();
        let unit = |delivery: &str, use_case: &UseCase| format!("{delivery}/{use_case}");
        let reason = || words(&["--reason", WHY]);
        match self {
            Self::Init { site } => words(&["init", site]),
            Self::InitDatabase { site, database, password_file } => {
                with(&["init", site, "--database", database], password_words(password_file))
            }
            Self::InitRoles { site } => words(&["init", site, "--roles"]),
            Self::Restore { backup, site, database, password_file, roles } => {
                let on_server =
                    database.iter().flat_map(|url| words(&["--database", url])).collect();
                let roles = if *roles { words(&["--roles"]) } else { Vec::new() };
                let head = with(&["restore", backup, site], on_server);
                [head, password_words(password_file), roles].concat()
            }
            Self::Migrate { to, password_file } => {
                with(&["migrate", "--to", to], password_words(password_file))
            }
            Self::MigrateReopen { to, password_file } => {
                let head = ["migrate", "--reopen", "--to", to];
                [with(&head, password_words(password_file)), reason()].concat()
            }
            Self::Run { place } => words(&["run", place]),
            Self::RunJoin { place, delivery } => words(&["run", place, "--join", delivery]),
            Self::RunNew { place } => words(&["run", place, "--new"]),
            Self::Transfer { delivery } => words(&["transfer", "--delivery", delivery]),
            Self::TransferComplete { delivery } => words(&["transfer", "--complete", delivery]),
            Self::TransferFrom { place } => words(&["transfer", place]),
            Self::Step { use_case, delivery } => words(&[use_case.name(), "--delivery", delivery]),
            Self::StepAll { use_case } => words(&[use_case.name()]),
            Self::StepAgain { use_case, delivery } => {
                words(&[use_case.name(), "--again", "--delivery", delivery])
            }
            Self::PreviewLost { delivery } => words(&["preview", "--lost", "--delivery", delivery]),
            Self::PreviewLostAll => words(&["preview", "--lost"]),
            Self::IngestAll => words(&["ingest"]),
            Self::Ingest { delivery } => words(&["ingest", "--delivery", delivery]),
            Self::Plan => words(&["plan"]),
            Self::PlanHistory { limit } => {
                words(&["plan", "--history", "--limit", &limit.to_string()])
            }
            Self::ApproveAll => words(&["approve", "--all"]),
            Self::ApproveUnit { delivery, use_case } => {
                words(&["approve", "--unit", &unit(delivery, use_case)])
            }
            Self::ApproveHost { host } => words(&["approve", "--host", host]),
            Self::EditMove { delivery, use_case, host } => {
                let unit = unit(delivery, use_case);
                with(&["edit", "--unit", &unit, "--move", host], reason())
            }
            Self::EditPriority { delivery, use_case } => {
                let unit = unit(delivery, use_case);
                with(&["edit", "--unit", &unit, "--priority", "1"], reason())
            }
            Self::EditHold { delivery, use_case } => {
                with(&["edit", "--unit", &unit(delivery, use_case), "--hold"], reason())
            }
            Self::EditUnbind { target } => {
                [words(&["edit"]), target.words(), words(&["--move", ""]), reason()].concat()
            }
            Self::Reject => with(&["reject"], reason()),
            Self::Resume { target } => with(&["resume"], target.words()),
            Self::Retry { target } => with(&["retry"], target.words()),
            Self::DaemonData => words(&["daemon", "data"]),
            Self::DaemonIngest => words(&["daemon", "ingest"]),
            Self::DaemonTransfer => words(&["daemon", "transfer"]),
            Self::Status => words(&["status"]),
            Self::StatusAll => words(&["status", "--all"]),
            Self::Refusals => words(&["refusals", "list"]),
            Self::RefusalsOf { delivery } => words(&["refusals", "list", "--delivery", delivery]),
            Self::RefusalsShow { number } => words(&["refusals", "show", &number.to_string()]),
            Self::RefusalsTake { number } => {
                with(&["refusals", "accept", &number.to_string(), "--take"], reason())
            }
            Self::RefusalsAccept { which } => {
                [words(&["refusals", "accept"]), which.words(), reason()].concat()
            }
            Self::RefusalsDismiss { which } => {
                [words(&["refusals", "dismiss"]), which.words(), reason()].concat()
            }
            Self::RefusalsRetry { which } => {
                [words(&["refusals", "retry"]), which.words(), reason()].concat()
            }
            Self::ProgrammeAdd { name, project } => words(&["programme", "add", name, project]),
            Self::ProfileList => words(&["profile", "list"]),
            Self::ProfileSet { survey, key, value } => {
                words(&["profile", "set", survey, key, value])
            }
            Self::Supersede { delivery } => with(&["supersede", delivery], reason()),
            Self::SupersedeUndo { delivery } => with(&["supersede", delivery, "--undo"], reason()),
            Self::Findings => words(&["findings"]),
            Self::FindingsOf { delivery } => words(&["findings", "--delivery", delivery]),
            Self::Explain { name } => words(&["explain", name]),
            Self::ContactSheet { delivery } => words(&["contact-sheet", "--delivery", delivery]),
            Self::RetractUndo { delivery } => with(&["retract", delivery, "--undo"], reason()),
            Self::Reconcile => words(&["reconcile"]),
            Self::ReconcileStrays { delivery } => {
                words(&["reconcile", "--right", "archive", "--delivery", delivery])
            }
            Self::ReconcileStraysAll => words(&["reconcile", "--right", "archive"]),
            Self::ReconcileSource => words(&["reconcile", "--right", "source"]),
            Self::ReconcileFile { delivery, file } => {
                words(&["reconcile", "--right", "source", "--delivery", delivery, "--file", file])
            }
            Self::ReconcileDelivery { delivery } => {
                words(&["reconcile", "--right", "source", "--delivery", delivery])
            }
            Self::Verify => words(&["verify"]),
            Self::VerifyChecksums => words(&["verify", "--checksums"]),
            Self::VerifyRepair => words(&["verify", "--repair"]),
            Self::Sources => words(&["sources"]),
            Self::SupersedeFile { delivery, file, use_case } => with(
                &["supersede", delivery, "--file", file, "--use-case", use_case.name()],
                reason(),
            ),
            Self::SupersedeFileUndo { delivery, file, use_case } => with(
                &["supersede", delivery, "--file", file, "--use-case", use_case.name(), "--undo"],
                reason(),
            ),
        }
    }

    /// Returns true for a command whose own words name the site.
    fn names_its_site(&self) -> bool {
        matches!(
            self,
            Self::Init { .. }
                | Self::InitDatabase { .. }
                | Self::InitRoles { .. }
                | Self::Restore { .. }
        )
    }

    /// Returns the command as a shell takes it, for a site that is named by some words (`--site DIR`), or by none.
    pub fn command(&self, site: &[String]) -> String {
        let site = if self.names_its_site() { &[] } else { site };
        let words = ["almagest".to_owned()].into_iter().chain(site.iter().cloned());
        words.chain(self.words()).map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.command(&[]))
    }
}

/// Returns the option that names the file of a password.
fn password_words(file: &Option<String>) -> Vec<String> {
    file.iter().flat_map(|file| ["--password-file".to_owned(), file.clone()]).collect()
}

/// Quotes a word where a shell would take it apart.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,~".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) && !word.starts_with('~') {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_quoted_for_a_shell() {
        let add =
            Advice::ProgrammeAdd { name: "A".to_owned(), project: "it's a survey".to_owned() };
        assert_eq!(add.to_string(), r"almagest programme add A 'it'\''s a survey'");
        let site = ["--site".to_owned(), "/data/my site".to_owned()];
        let resume = Advice::Resume { target: Target::Unit("n_v1".to_owned(), UseCase::Preview) };
        assert_eq!(
            resume.command(&site),
            "almagest --site '/data/my site' resume --unit n_v1/preview"
        );
        let roles = Advice::InitRoles { site: "my site".to_owned() };
        assert_eq!(roles.command(&site), "almagest init 'my site' --roles");
        let unbind = Advice::EditUnbind { target: Target::All };
        assert_eq!(unbind.to_string(), "almagest edit --all --move '' --reason WHY");
        assert_eq!(unbind.kind(), "EditUnbind");
        assert!(Advice::KINDS.contains(&"EditUnbind"));
    }
}
