//! `almagest doctor`.

use crate::exit::Exit;
use crate::report::{bytes, say, shown};
use crate::site::Site;
use archive::records::Lease;
use archive::{Inquiry, Queue};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Less free room than this is worth a word.
const LOW_DISK_BYTES: u64 = 5_000_000_000;

/// Says what is amiss with the site and the machine. Exit code 3 when something is.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut faults = site.place.examine();
    let mut facts = vec![
        format!("almagest {}", env!("CARGO_PKG_VERSION")),
        format!("site {}", site.place.root().display()),
        format!(
            "{} worker threads, {} MB each",
            site.config.work.workers(),
            site.config.work.memory_per_thread_mb
        ),
    ];
    match files::free_bytes(site.place.root()) {
        Ok(free) if free < LOW_DISK_BYTES => {
            faults.push(format!("only {} are free on the disk of the site", bytes(free)));
        }
        Ok(free) => facts.push(format!("{} are free on the disk of the site", bytes(free))),
        Err(error) => faults.push(format!("the free room on the disk cannot be told: {error}")),
    }
    match site.profiles() {
        Ok(profiles) => facts.push(format!("{} survey profiles", profiles.len())),
        Err(fault) => faults.push(format!("{fault:#}")),
    }
    match crate::sources::all(&site) {
        Ok(origins) => facts.push(format!("{} sources, asked by almagest sources", origins.len())),
        Err(fault) => faults.push(format!("{fault:#}")),
    }
    match site.read().and_then(|archive| Ok((archive.status()?, archive.running_attempts()?))) {
        Ok((status, running)) => {
            let gone = running.iter().filter(|r| left_alone(&r.lease)).count();
            facts.push(format!("{} deliveries, {} events", status.deliveries.len(), status.events));
            if gone > 0 {
                faults.push(format!(
                    "{gone} attempts were left by processes that are gone: run their steps again"
                ));
            }
        }
        Err(fault) => faults.push(format!("{fault:#}")),
    }
    if let Ok((more, amiss)) = site.read().and_then(|archive| Ok(archive.examine()?)) {
        facts.extend(more);
        faults.extend(amiss);
    }
    if !site.place.is_embedded() {
        match super::sql::session(&site, None) {
            Ok(_) => facts.push("queries have a login that can only read".to_owned()),
            Err(fault) => faults.push(format!("{fault:#}")),
        }
    }
    if arguments.json {
        say!("{}", crate::report::json(&json!({"facts": facts, "faults": faults}))?);
    } else {
        for fact in &facts {
            say!("ok    {}", shown(fact));
        }
        for fault in &faults {
            let lines: Vec<String> = fault.lines().map(shown).collect();
            say!("FAULT {}", lines.join("\n      "));
        }
    }
    Ok(if faults.is_empty() { Exit::Done } else { Exit::Gate })
}

/// Whether the process that holds a lease is known to be gone.
fn left_alone(lease: &Lease) -> bool {
    archive::lease::Process::parse(&lease.holder).is_some_and(|process| process.is_gone())
}
