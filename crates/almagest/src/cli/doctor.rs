//! `almagest doctor`.

use crate::exit::{self, Exit};
use crate::report::{bytes, counted, grouped, say, shown};
use archive::attempts::{Lease, RunningAttempt};
use archive::status::StatusFilter;
use curate::advice;
use curate::log::Writer;
use curate::site::Site;
use model::{Advice, HostName};
use rustix::fs::Access;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {facts: [TEXT], faults: [TEXT]}.")]
pub struct Arguments {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Free space below which a disk is reported.
const LOW_DISK_BYTES: u64 = 5_000_000_000;

/// Reports what is wrong with the site and the machine. Exit code 3 when something is.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut report = Report { faults: site.place.examine(), facts: Vec::new() };
    report.facts.extend([
        format!("almagest {}", env!("CARGO_PKG_VERSION")),
        format!("site {}", site.place.root().display()),
        format!("user {}", curate::site::operator()),
        format!(
            "{}, {} MB each",
            counted(site.config.work.workers() as u64, "worker thread"),
            site.config.work.memory_per_thread_mb
        ),
    ]);
    report.disk(&site);
    report.rights(&site);
    report.permissions(&site);
    report.places(&site);
    report.archive(&site);
    if arguments.json {
        let Report { facts, faults } = &report;
        say!("{}", crate::report::json(&json!({"facts": facts, "faults": faults}))?);
    } else {
        for fact in &report.facts {
            say!("ok    {}", shown(fact));
        }
        for fault in &report.faults {
            let lines: Vec<String> = fault.lines().map(shown).collect();
            say!("FAULT {}", lines.join("\n      "));
        }
    }
    Ok(if report.faults.is_empty() { Exit::Done } else { Exit::Gate })
}

/// The results of the checks.
struct Report {
    facts: Vec<String>,
    faults: Vec<String>,
}

impl Report {
    fn disk(&mut self, site: &Site) {
        match files::free_bytes(site.place.root()) {
            Ok(free) if free < LOW_DISK_BYTES => {
                self.faults.push(format!("only {} are free on the disk of the site", bytes(free)));
            }
            Ok(free) => {
                self.facts.push(format!("{} are free on the disk of the site", bytes(free)));
            }
            Err(error) => {
                self.faults.push(format!("the free space of the disk cannot be queried: {error}"));
            }
        }
    }

    /// Checks that the user of this process may write where work writes.
    fn rights(&mut self, site: &Site) {
        let place = &site.place;
        let mut paths = vec![place.root().to_owned(), place.previews(), place.staging()];
        paths.extend([place.logs(), place.lake().join("detection")]);
        paths.extend(Writer::ALL.map(|writer| place.logs().join(writer.file_name())));
        paths.extend(site.library_roots());
        if place.is_embedded() {
            paths.push(place.database());
            paths.extend(
                ["-wal", "-shm"].map(|suffix| place.root().join(format!("archive.db{suffix}"))),
            );
        }
        let denied: Vec<String> = paths
            .iter()
            .filter(|path| {
                path.try_exists().unwrap_or(true)
                    && rustix::fs::access(*path, Access::WRITE_OK).is_err()
            })
            .map(|path| path.display().to_string())
            .collect();
        match denied.as_slice() {
            [] => self.facts.push("this user may write to the site".to_owned()),
            some => self.faults.push(format!(
                "{} cannot write to {}: commands that change the archive fail for this user",
                curate::site::operator(),
                some.join(", ")
            )),
        }
    }

    /// Adds the permissions of others on files of the site that the configuration forbids.
    fn permissions(&mut self, site: &Site) {
        const EXAMPLES: usize = 3;
        let wide = match site.wide_permissions() {
            Ok(wide) if wide.is_empty() => {
                let fact = "no file of the site is open to more users than [files] umask allows";
                return self.facts.push(fact.to_owned());
            }
            Ok(wide) => wide,
            Err(fault) => return self.faults.push(format!("{fault:#}")),
        };
        let example = |w: &files::Wide| format!("{} ({:04o})", w.path.display(), w.mode);
        let mut examples: Vec<String> = wide.iter().take(EXAMPLES).map(example).collect();
        if wide.len() > EXAMPLES {
            examples.push("…".to_owned());
        }
        self.faults.push(format!(
            "{} of the site open to more users than [files] umask allows: {}; narrowed by:\n{}",
            files_in_words(wide.len()),
            examples.join(", "),
            advice::command(&Advice::VerifyRepair)
        ));
    }

    /// Checks the profiles, inboxes, sources, disks and hosts that the configuration names.
    fn places(&mut self, site: &Site) {
        match site.profiles() {
            Ok(profiles) => self.facts.push(counted(profiles.len() as u64, "survey profile")),
            Err(fault) => self.faults.push(format!("{fault:#}")),
        }
        let root = site.place.root();
        for directory in site.config.inbox.directories.iter().map(|dir| root.join(dir)) {
            if let Err(error) = std::fs::read_dir(&directory) {
                let fault = format!("[inbox] directories: {}: {error}", directory.display());
                self.faults.push(fault);
            }
        }
        for volume in site.config.library.volumes.iter().map(|volume| root.join(volume)) {
            if let Err(error) = std::fs::read_dir(&volume) {
                self.faults.push(format!("[library] volumes: {}: {error}", volume.display()));
            }
        }
        match curate::sources::all(site) {
            Ok(origins) => self.facts.push(format!(
                "{}, queried by {}",
                counted(origins.len() as u64, "source"),
                advice::command(&Advice::Sources)
            )),
            Err(fault) => self.faults.push(format!("{fault:#}")),
        }
        match curate::scheduler::hosts(site) {
            Ok(hosts) => {
                self.facts.push(counted(hosts.len() as u64, "host"));
                let unknown = site.config.hosts.keys().filter(|name| !hosts.contains(name));
                let unknown: Vec<&str> = unknown.map(HostName::as_str).collect();
                if !unknown.is_empty() {
                    self.faults.push(format!(
                        "[hosts] names hosts that do not exist: {}; hosts: {}",
                        unknown.join(", "),
                        hosts.join(", ")
                    ));
                }
            }
            Err(fault) => self.faults.push(format!("hosts cannot be listed: {fault:#}")),
        }
        let notify = curate::notify::fault(site);
        self.faults.extend(notify.map(|fault| format!("notifications fail: {fault}")));
    }

    fn archive(&mut self, site: &Site) {
        let examined = || -> anyhow::Result<_> {
            let archive = site.read()?;
            let filter = StatusFilter { at_most: Some(0), ..StatusFilter::default() };
            let (status, running) = (archive.status_of(&filter)?, archive.running_attempts()?);
            Ok((status, running, archive.examine()?))
        };
        match examined() {
            Ok((status, running, (facts, faults))) => {
                let known = status.delivery_states.values().sum();
                self.facts.push(format!(
                    "{}, {}",
                    counted(known, "delivery"),
                    counted(status.events.unsigned_abs(), "event")
                ));
                self.facts.extend(facts);
                self.faults.extend(faults);
                self.left_alone(&running);
            }
            Err(fault) => self.faults.push(format!(
                "the archive cannot be examined: {}",
                exit::in_words(&fault, Some(site.place.root()))
            )),
        }
        if !site.place.is_embedded() {
            match super::sql::session(site, None) {
                Ok(_) => self.facts.push("queries have a login that can only read".to_owned()),
                Err(fault) => self.faults.push(exit::in_words(&fault, Some(site.place.root()))),
            }
        }
    }

    /// Reports attempts whose process has ended; the next start of their step restarts them.
    fn left_alone(&mut self, running: &[RunningAttempt]) {
        let gone: Vec<&RunningAttempt> = running.iter().filter(|r| left_alone(&r.lease)).collect();
        if gone.is_empty() {
            return;
        }
        let unit = |r: &&RunningAttempt| {
            let unit = &r.attempt.task.unit;
            Advice::Step { use_case: unit.use_case, delivery: unit.delivery.clone() }
        };
        let mut steps: Vec<Advice> = gone.iter().map(unit).collect();
        steps.sort();
        steps.dedup();
        let commands: Vec<String> = steps.iter().take(10).map(advice::command).collect();
        self.faults.push(format!(
            "{} left by processes that stopped, restarted by:\n{}",
            counted(gone.len() as u64, "attempt"),
            commands.join("\n")
        ));
    }
}

/// Returns a number of files and directories in words.
fn files_in_words(count: usize) -> String {
    match count {
        1 => "1 file or directory".to_owned(),
        _ => format!("{} files and directories", grouped(count as u64)),
    }
}

/// Returns true when the process that holds a lease is known to have ended.
fn left_alone(lease: &Lease) -> bool {
    archive::attempts::lease::Process::parse(&lease.holder)
        .is_some_and(|process| process.has_stopped())
}
