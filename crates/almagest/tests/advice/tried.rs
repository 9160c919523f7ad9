//! A site, and commands that are run as they were printed.

pub(crate) use crate::operator::{Daemon, Desk, Said, Small, Spoilt, signal, until};
pub(crate) use model::advice::{RefusalChoice, Target};
pub(crate) use model::{Advice, UseCase};
pub(crate) use std::path::{Path, PathBuf};
pub(crate) use std::process::{Command, Stdio};

pub(crate) const NIGHT: &str = "20071011_v1";

pub(crate) fn night(night: &str) -> Small<'_> {
    Small { night, frames: 6, detections: 10, seed: night.parse().unwrap_or(1), ..Small::default() }
}

/// Commands that were recommended and run.
pub(crate) struct Tried<'d> {
    pub(crate) desk: &'d Desk,
    pub(crate) kinds: Vec<&'static str>,
}

impl<'d> Tried<'d> {
    pub(crate) fn at(desk: &'d Desk) -> Self {
        Self { desk, kinds: Vec::new() }
    }

    /// The command as it must be printed for the desk's site.
    pub(crate) fn printed(&self, advice: &Advice) -> String {
        advice.command(&["--site".to_owned(), self.desk.site.display().to_string()])
    }

    /// Runs a command as it was printed: by a shell.
    #[track_caller]
    pub(crate) fn run(&mut self, said: &Said, advice: &Advice) -> Said {
        self.recommended(said, advice);
        self.pasted(&self.printed(advice))
    }

    /// A message recommends a command.
    #[track_caller]
    pub(crate) fn recommended(&mut self, said: &Said, advice: &Advice) {
        let command = self.printed(advice);
        let lines = said.out.lines().chain(said.err.lines());
        let is_whole = |line: &str| {
            line.match_indices(&command).any(|(at, _)| {
                let after = &line[at + command.len()..];
                after.is_empty() || after.starts_with(['`', ',', ';', ' ', ')'])
            })
        };
        assert!(
            lines.clone().any(is_whole),
            "{command} is not recommended:\nout:\n{}\nerr:\n{}",
            said.out,
            said.err
        );
        self.kinds.push(advice.kind());
    }

    pub(crate) fn pasted(&self, command: &str) -> Said {
        self.shell(command).output().expect("a shell").into()
    }

    pub(crate) fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        let program = Path::new(env!("CARGO_BIN_EXE_almagest"));
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", program.parent().expect("a directory").display());
        shell.args(["-c", command]).env("PATH", path).current_dir(self.desk.dir.path());
        shell.env_remove("ALMAGEST_SITE").stdin(Stdio::null());
        shell
    }

    /// Starts a daemon as it was printed.
    #[track_caller]
    pub(crate) fn daemon(&mut self, said: &Said, advice: &Advice) -> Daemon {
        self.recommended(said, advice);
        let command = format!("exec {}", self.printed(advice));
        Daemon::start_unheard(self.shell(&command))
    }
}

/// The command works, with one of the exit codes that mean that work was done.
#[track_caller]
pub(crate) fn worked(said: Said) -> String {
    assert!(matches!(said.code, Some(0 | 1)), "{said:?}");
    said.out
}

pub(crate) fn archived() -> Desk {
    let desk = Desk::new();
    let delivery = desk.simulate(&night("20071011"));
    desk.run(&delivery).ended(0);
    desk
}

pub(crate) fn detections(desk: &Desk) -> u64 {
    desk.count("SELECT count(*) FROM detection")
}
