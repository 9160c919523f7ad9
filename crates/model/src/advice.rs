//! Commands that messages recommend.
//!
//! Every recommendation of a command, in a message, a report or a table, is an [`Advice`], so that all of them can be
//! listed. `crates/almagest/tests/advice/` runs each kind in the situation in which it is recommended, and fails when a
//! kind has no situation. A new recommendation is a new variant with its words, and a situation in that test.

use crate::{DeliveryName, HostName, Night, PlanId, RefusalId, ReportCode, SurveyName, UseCase};
use std::fmt;

/// The part of the work that a command is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// All work.
    All,
    /// A computer.
    Host(HostName),
    /// A use case of every delivery.
    UseCase(UseCase),
    /// An observing night.
    Night(Night),
    /// A delivery.
    Delivery(DeliveryName),
    /// A use case of a delivery.
    Unit(DeliveryName, UseCase),
    /// The units of a rejected plan.
    Plan(PlanId),
}

impl Target {
    /// Returns the option that names the target on the command line.
    pub fn words(&self) -> Vec<String> {
        let option = |name: &str, value: String| vec![format!("--{name}"), value];
        match self {
            Self::All => vec!["--all".to_owned()],
            Self::Host(name) => option("host", name.to_string()),
            Self::UseCase(use_case) => option("use-case", use_case.to_string()),
            Self::Night(night) => option("night", night.to_string()),
            Self::Delivery(name) => option("delivery", name.to_string()),
            Self::Unit(delivery, use_case) => option("unit", format!("{delivery}/{use_case}")),
            Self::Plan(number) => option("plan", number.to_string()),
        }
    }
}

/// Refusals by number, or by code and delivery when there are many.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalChoice {
    /// Their numbers.
    Numbers(Vec<RefusalId>),
    /// All open refusals with a code in a delivery.
    Code {
        /// The code.
        code: ReportCode,
        /// The delivery.
        delivery: DeliveryName,
    },
}

impl RefusalChoice {
    fn words(&self) -> Vec<String> {
        match self {
            Self::Numbers(numbers) => numbers.iter().map(RefusalId::to_string).collect(),
            Self::Code { code, delivery } => {
                ["--code", code, "--delivery", delivery].map(str::to_owned).to_vec()
            }
        }
    }
}

/// Part of a command line: one word, several or none.
trait Part {
    fn add_to(&self, words: &mut Vec<String>);
}

impl<T: Part + ?Sized> Part for &T {
    fn add_to(&self, words: &mut Vec<String>) {
        (**self).add_to(words);
    }
}

impl Part for str {
    fn add_to(&self, words: &mut Vec<String>) {
        words.push(self.to_owned());
    }
}

impl Part for String {
    fn add_to(&self, words: &mut Vec<String>) {
        words.push(self.clone());
    }
}

impl Part for RefusalId {
    fn add_to(&self, words: &mut Vec<String>) {
        words.push(self.to_string());
    }
}

impl Part for u64 {
    fn add_to(&self, words: &mut Vec<String>) {
        words.push(self.to_string());
    }
}

impl Part for UseCase {
    fn add_to(&self, words: &mut Vec<String>) {
        words.push(self.name().to_owned());
    }
}

impl Part for Target {
    fn add_to(&self, words: &mut Vec<String>) {
        words.extend(self.words());
    }
}

impl Part for RefusalChoice {
    fn add_to(&self, words: &mut Vec<String>) {
        words.extend(self.words());
    }
}

impl Part for DeliveryName {
    fn add_to(&self, words: &mut Vec<String>) {
        words.push(self.to_string());
    }
}

impl Part for HostName {
    fn add_to(&self, words: &mut Vec<String>) {
        words.push(self.to_string());
    }
}

/// A unit as one word.
struct Unit<'a>(&'a str, UseCase);

impl Part for Unit<'_> {
    fn add_to(&self, words: &mut Vec<String>) {
        words.push(format!("{}/{}", self.0, self.1));
    }
}

/// An option with its value, if there is one.
struct Given<'a>(&'static str, &'a Option<String>);

impl Part for Given<'_> {
    fn add_to(&self, words: &mut Vec<String>) {
        words.extend(self.1.iter().flat_map(|value| [self.0.to_owned(), value.clone()]));
    }
}

/// An option without a value, if it is set.
struct Flag(&'static str, bool);

impl Part for Flag {
    fn add_to(&self, words: &mut Vec<String>) {
        words.extend(self.1.then(|| self.0.to_owned()));
    }
}

/// The placeholder of a reason in commands that require one: it is valid unchanged, and meant to be replaced.
struct Reason;

impl Part for Reason {
    fn add_to(&self, words: &mut Vec<String>) {
        words.extend(["--reason", "WHY"].map(str::to_owned));
    }
}

macro_rules! advice {
    ($($(#[$doc:meta])* $kind:ident $({ $($(#[$field_doc:meta])* $field:ident : $type:ty),* $(,)? })?
        => [$($part:expr),* $(,)?],)*) => {
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

            /// Returns the words after `almagest`.
            pub fn words(&self) -> Vec<String> {
                let mut words = Vec::new();
                match self {
                    $(Self::$kind $({ $($field),* })? => { $($part.add_to(&mut words);)* })*
                }
                words
            }
        }
    };
}

advice! {
    /// Makes a site.
    Init {
        /// Its directory.
        site: String,
    } => ["init", site],
    /// Makes a site whose archive is in a database of a server.
    InitDatabase {
        /// Its directory.
        site: String,
        /// The URL of the database.
        database: String,
        /// The file that holds the password of the database.
        password_file: Option<String>,
    } => ["init", site, "--database", database, Given("--password-file", password_file)],
    /// Makes the roles of a site's database.
    InitRoles {
        /// Its directory.
        site: String,
    } => ["init", site, "--roles"],
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
        /// True when the roles of the database are made too.
        roles: bool,
    } => ["restore", backup, site, Given("--database", database), Given("--password-file", password_file), Flag("--roles", *roles)],
    /// Moves the archive of a site.
    Migrate {
        /// The URL of a database, or `embedded`.
        to: String,
        /// The file that holds the password of the database.
        password_file: Option<String>,
    } => ["migrate", "--to", to, Given("--password-file", password_file)],
    /// Reopens the archive from before a move.
    MigrateReopen {
        /// The URL of its database, or `embedded`.
        to: String,
        /// The file that holds the password of the database.
        password_file: Option<String>,
    } => ["migrate", "--reopen", "--to", to, Given("--password-file", password_file), Reason],
    /// Runs every step on a delivery.
    Run {
        /// Its directory or URL.
        place: String,
    } => ["run", place],
    /// Runs every step on a directory as one more place of a known delivery.
    RunJoin {
        /// Its directory or URL.
        place: String,
        /// The delivery.
        delivery: DeliveryName,
    } => ["run", place, "--join", delivery],
    /// Runs every step on a directory as a separate delivery.
    RunNew {
        /// Its directory or URL.
        place: String,
    } => ["run", place, "--new"],
    /// Fetches the new files at the source of a known delivery.
    Transfer {
        /// The delivery.
        delivery: DeliveryName,
    } => ["transfer", "--delivery", delivery],
    /// Declares a delivery complete, whatever its marker, list or count announces.
    TransferComplete {
        /// The delivery.
        delivery: DeliveryName,
    } => ["transfer", "--complete", delivery],
    /// Fetches a delivery from a directory or URL.
    TransferFrom {
        /// Its directory or URL.
        place: String,
    } => ["transfer", place],
    /// Works on one use case of a delivery.
    Step {
        /// The use case.
        use_case: UseCase,
        /// The delivery.
        delivery: DeliveryName,
    } => [use_case, "--delivery", delivery],
    /// Works on one use case of all deliveries.
    StepAll {
        /// The use case.
        use_case: UseCase,
    } => [use_case],
    /// Repeats a use case of a delivery.
    StepAgain {
        /// The use case.
        use_case: UseCase,
        /// The delivery.
        delivery: DeliveryName,
    } => [use_case, "--again", "--delivery", delivery],
    /// Remakes only the lost previews of a delivery.
    PreviewLost {
        /// The delivery.
        delivery: DeliveryName,
    } => ["preview", "--lost", "--delivery", delivery],
    /// Remakes only the lost previews, of all deliveries.
    PreviewLostAll => ["preview", "--lost"],
    /// Publishes all staged batches.
    IngestAll => ["ingest"],
    /// Publishes the staged batches of a delivery.
    Ingest {
        /// The delivery.
        delivery: DeliveryName,
    } => ["ingest", "--delivery", delivery],
    /// Shows the plan, and proposes new work.
    Plan => ["plan"],
    /// Lists decisions and instructions.
    PlanHistory {
        /// Number of latest entries to list.
        limit: u64,
    } => ["plan", "--history", "--limit", limit],
    /// Approves all of a plan.
    ApproveAll => ["approve", "--all"],
    /// Approves a unit.
    ApproveUnit {
        /// The delivery.
        delivery: DeliveryName,
        /// The use case.
        use_case: UseCase,
    } => ["approve", "--unit", Unit(delivery, *use_case)],
    /// Approves the units planned on a host.
    ApproveHost {
        /// The host.
        host: HostName,
    } => ["approve", "--host", host],
    /// Binds a unit to a host.
    EditMove {
        /// The delivery.
        delivery: DeliveryName,
        /// The use case.
        use_case: UseCase,
        /// The host.
        host: HostName,
    } => ["edit", "--unit", Unit(delivery, *use_case), "--move", host, Reason],
    /// Runs a unit before others.
    EditPriority {
        /// The delivery.
        delivery: DeliveryName,
        /// The use case.
        use_case: UseCase,
    } => ["edit", "--unit", Unit(delivery, *use_case), "--priority", "1", Reason],
    /// Holds a unit.
    EditHold {
        /// The delivery.
        delivery: DeliveryName,
        /// The use case.
        use_case: UseCase,
    } => ["edit", "--unit", Unit(delivery, *use_case), "--hold", Reason],
    /// Lets units that were moved run on any host.
    EditUnbind {
        /// The moved units.
        target: Target,
    } => ["edit", target, "--move", "", Reason],
    /// Rejects a plan.
    Reject => ["reject", Reason],
    /// Ends a pause, a hold, a drain or a rejection.
    Resume {
        /// The paused work.
        target: Target,
    } => ["resume", target],
    /// Retries failed tasks.
    Retry {
        /// The failed work.
        target: Target,
    } => ["retry", target],
    /// Starts the data daemon.
    DaemonData => ["daemon", "data"],
    /// Starts the ingester.
    DaemonIngest => ["daemon", "ingest"],
    /// Starts the transfer daemon.
    DaemonTransfer => ["daemon", "transfer"],
    /// Lists the deliveries.
    Status => ["status"],
    /// Lists all deliveries.
    StatusAll => ["status", "--all"],
    /// Lists refusals.
    Refusals => ["refusals", "list"],
    /// Lists the refusals of a delivery.
    RefusalsOf {
        /// The delivery.
        delivery: DeliveryName,
    } => ["refusals", "list", "--delivery", delivery],
    /// Reports everything about a refusal.
    RefusalsShow {
        /// Its number.
        number: RefusalId,
    } => ["refusals", "show", number],
    /// Admits refused data.
    RefusalsTake {
        /// The number of their refusal.
        number: RefusalId,
    } => ["refusals", "accept", number, "--take", Reason],
    /// Accepts refusals.
    RefusalsAccept {
        /// The refusals.
        which: RefusalChoice,
    } => ["refusals", "accept", which, Reason],
    /// Dismisses refusals.
    RefusalsDismiss {
        /// The refusals.
        which: RefusalChoice,
    } => ["refusals", "dismiss", which, Reason],
    /// Retries refusals.
    RefusalsRetry {
        /// The refusals.
        which: RefusalChoice,
    } => ["refusals", "retry", which, Reason],
    /// Adds a programme.
    ProgrammeAdd {
        /// Its short name.
        name: String,
        /// The PROJECT text of its frames.
        project: String,
    } => ["programme", "add", name, project],
    /// Lists the survey profiles of the site.
    ProfileList => ["profile", "list"],
    /// Sets a value of a survey profile.
    ProfileSet {
        /// The survey.
        survey: SurveyName,
        /// The key.
        key: String,
        /// The value.
        value: String,
    } => ["profile", "set", survey, key, value],
    /// Chooses the survey profiles of a delivery's files again.
    Reprofile {
        /// The delivery.
        delivery: DeliveryName,
    } => ["reprofile", "--delivery", delivery],
    /// Redoes a delivery with the present values of its profiles.
    ReprofileAgain {
        /// The delivery.
        delivery: DeliveryName,
    } => ["reprofile", "--again", "--delivery", delivery],
    /// Ends the validity of older products that are kept despite a delivery.
    Supersede {
        /// The newer delivery.
        delivery: DeliveryName,
    } => ["supersede", delivery, Reason],
    /// Makes such products visible again.
    SupersedeUndo {
        /// The newer delivery.
        delivery: DeliveryName,
    } => ["supersede", delivery, "--undo", Reason],
    /// Lists findings.
    Findings => ["findings"],
    /// Lists the findings of a delivery.
    FindingsOf {
        /// The delivery.
        delivery: DeliveryName,
    } => ["findings", "--delivery", delivery],
    /// Explains one thing.
    Explain {
        /// Its name or number.
        name: String,
    } => ["explain", name],
    /// Writes the page of a delivery's previews.
    ContactSheet {
        /// The delivery.
        delivery: DeliveryName,
    } => ["contact-sheet", "--delivery", delivery],
    /// Undoes a retraction.
    RetractUndo {
        /// The delivery.
        delivery: DeliveryName,
    } => ["retract", delivery, "--undo", Reason],
    /// Compares source, library and archive.
    Reconcile => ["reconcile"],
    /// Moves aside the library files of a delivery that the archive does not know.
    ReconcileStrays {
        /// The delivery.
        delivery: DeliveryName,
    } => ["reconcile", "--right", "archive", "--delivery", delivery],
    /// Moves aside all library files that the archive does not know.
    ReconcileStraysAll => ["reconcile", "--right", "archive"],
    /// Refetches damaged and lost files of the library.
    ReconcileSource => ["reconcile", "--right", "source"],
    /// Refetches one damaged or lost file.
    ReconcileFile {
        /// The delivery.
        delivery: DeliveryName,
        /// The name of the file.
        file: String,
    } => ["reconcile", "--right", "source", "--delivery", delivery, "--file", file],
    /// Refetches the damaged and lost files of a delivery.
    ReconcileDelivery {
        /// The delivery.
        delivery: DeliveryName,
    } => ["reconcile", "--right", "source", "--delivery", delivery],
    /// Checks the archive.
    Verify => ["verify"],
    /// Checks the archive with all contents.
    VerifyChecksums => ["verify", "--checksums"],
    /// Removes everything that no event made.
    VerifyRepair => ["verify", "--repair"],
    /// Queries the contents of the sources.
    Sources => ["sources"],
    /// Ends a product of an older frame that is kept despite the frame of the same name in a newer delivery.
    SupersedeFile {
        /// The newer delivery.
        delivery: DeliveryName,
        /// The name of both frames.
        file: String,
        /// The product.
        use_case: UseCase,
    } => ["supersede", delivery, "--file", file, "--use-case", use_case, Reason],
    /// Undoes such a decision.
    SupersedeFileUndo {
        /// The newer delivery.
        delivery: DeliveryName,
        /// The name of both frames.
        file: String,
        /// The product.
        use_case: UseCase,
    } => ["supersede", delivery, "--file", file, "--use-case", use_case, "--undo", Reason],
}

impl Advice {
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

    /// Returns the command as shell input, for a site that is named by the given words (`--site DIR`), or by none.
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

/// Quotes a word that a shell would split or expand.
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
        let resume =
            Advice::Resume { target: Target::Unit("n_v1".parse().unwrap(), UseCase::Preview) };
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
