//! The steps of a night on this machine: transfer, the three use cases, ingest; in any combination.
//!
//! A [`Night`] holds the curator of a site and what it has met so far. [`Night::work`] has it pass, and ingests, in turn until there
//! is nothing more. Killed anywhere, it finds on the next call what was done and what was not.

mod bring;
pub mod gate;
mod identity;

pub use bring::{Brought, Coming, Whole, Word, came_from, profile_of, prospect};
pub use identity::{Identity, own};

use crate::counts::Counts;
use crate::failure;
use crate::progress::Progress;
use crate::scheduler::situation::UnitName;
use crate::scheduler::{Curator, Request};
use crate::scope::{Scope, chosen};
use crate::site::{self, Archive, Site};
use archive::Queue;
use archive::planning::Held;
use archive::records::Cause;
use model::{UnitKey, UseCase};
use register::plan::Wait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Passes in a row in which another process opens or approves the same rounds, before that is reported.
const MAX_CONTESTED: u32 = 5;
/// The longest wait between two passes while attempts are under way.
const PATIENCE: Duration = Duration::from_millis(200);

/// The open archive of a site, and what was done since it was opened.
pub struct Night {
    curator: Curator,
    stop: Arc<AtomicBool>,
    /// What waits, and why, as of the last look.
    pub waits: Vec<Wait>,
    /// Tasks that somebody else is doing.
    pub busy_elsewhere: u64,
    /// Units that could not start on this machine, and why.
    pub blocked: BTreeMap<UnitName, String>,
    /// Batches that could not be ingested for a reason that may pass by itself.
    pub postponed: Vec<(UnitKey, String)>,
    /// Files that could not be brought for such a reason.
    pub not_brought: Vec<(String, String)>,
    /// What operators stopped of the work that was asked for, as of the last look.
    pub stopped: Vec<Held>,
    /// The deliveries that were worked on.
    pub deliveries: BTreeSet<String>,
    /// Instructions of operators do not count.
    is_forced: bool,
}

impl Night {
    /// Opens a site for work. Reference tables follow the profiles as they are now.
    ///
    /// # Errors
    /// When configuration, profiles or archive are not usable.
    pub fn open(site: Site, why: &str) -> anyhow::Result<Self> {
        let stop = crate::loops::stop_flag()?;
        Self::open_until(site, &site::operator(), why, stop)
    }

    /// The same for somebody who has a flag that asks to stop already.
    ///
    /// # Errors
    /// As [`Night::open`].
    pub fn open_until(
        site: Site,
        who: &str,
        why: &str,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let mut curator = Curator::on_this_machine(site, who, why)?;
        curator.journal.note(&format!("{why} begins"));
        Ok(Self {
            curator,
            stop,
            waits: Vec::new(),
            busy_elsewhere: 0,
            blocked: BTreeMap::new(),
            postponed: Vec::new(),
            not_brought: Vec::new(),
            stopped: Vec::new(),
            deliveries: BTreeSet::new(),
            is_forced: false,
        })
    }

    /// Shows how far its steps are from now on.
    pub fn show(&mut self, progress: Arc<dyn Progress>) {
        self.curator.show(progress);
    }

    /// The site.
    pub fn site(&self) -> &Site {
        &self.curator.site
    }

    /// The archive.
    pub fn archive(&mut self) -> &mut Archive {
        &mut self.curator.archive
    }

    /// Whether a signal asked to stop.
    pub fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Writes down how it ended, with the exit code of the command.
    pub fn ended(&mut self, exit: i32) {
        let counts: Vec<String> = self
            .counts()
            .iter()
            .map(|(step, c)| format!("{step} {} files in {:.1} s", c.files, c.seconds))
            .collect();
        let new = self.new_refusals();
        self.curator.journal.note(&format!(
            "{} ends with {}, {new} new refusals; {}",
            self.curator.cause.why,
            exit,
            counts.join(", ")
        ));
    }

    /// Returns what was done, by step: transfer, preview, metadata, catalogue, ingest.
    pub fn counts(&self) -> &BTreeMap<&'static str, Counts> {
        &self.curator.counts
    }

    /// Refusals that this call met for the first time.
    pub fn new_refusals(&self) -> u64 {
        self.counts().values().map(|c| c.refusals).sum()
    }

    fn count(&mut self, step: &'static str) -> &mut Counts {
        self.curator.counts.entry(step).or_default()
    }

    /// Has all images of the chosen deliveries done again in the next round.
    ///
    /// # Errors
    /// `Kind::Gate` for a delivery or night that the archive does not know.
    pub fn ask_again(&mut self, scope: &Scope, use_case: UseCase) -> anyhow::Result<()> {
        for delivery in self.chosen(scope)? {
            self.curator.archive.ask_again(
                &delivery,
                use_case,
                &self.curator.cause,
                site::now(),
            )?;
        }
        Ok(())
    }

    /// Has the lost and damaged previews of some deliveries made again in the next round, and returns of how many multiframes.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn ask_for_lost(&mut self, deliveries: &[String]) -> anyhow::Result<u64> {
        let cause = Cause::new(self.curator.cause.who.clone(), "their files are lost or damaged");
        let now = site::now();
        Ok(upkeep::verify::ask_for_lost_previews(
            &mut self.curator.archive,
            deliveries,
            &cause,
            now,
        )?)
    }

    /// Does all that can be done of some use cases on some deliveries, and ingests what is staged when `ingest`
    /// is set.
    ///
    /// # Errors
    /// When the archive or the machine fails. What is wrong with files becomes refusals.
    pub fn work(
        &mut self,
        deliveries: &[String],
        use_cases: &[UseCase],
        ingest: bool,
    ) -> anyhow::Result<()> {
        self.deliveries.extend(deliveries.iter().cloned());
        self.sweep()?;
        self.curator.take_on(Request {
            deliveries: deliveries.to_vec(),
            use_cases: use_cases.to_vec(),
            is_forced: self.is_forced,
        });
        let mut contested = 0;
        loop {
            let stopping = self.interrupted();
            let report = self.curator.take_results()?;
            // Ingest before rounds are opened: catalogue tasks are cut by the programmes of ingested metadata.
            let ingested = ingest && !stopping && self.ingest(deliveries)?;
            if ingested {
                self.curator.look_again();
            }
            if stopping {
                self.curator.cancel(&|_, _| true, true, "interrupted before it began")?;
            } else {
                self.stopped = self.held(deliveries, use_cases)?;
            }
            let has_looked = self.curator.is_to_look();
            let pass = self.curator.go_on(report, !stopping)?;
            contested = if pass.contested > 0 { contested + 1 } else { 0 };
            if contested > MAX_CONTESTED {
                let why = "another process opens or approves the same rounds";
                return Err(failure::conflict(format!("{why}, again and again: try later")));
            }
            let is_at_work = self.curator.is_at_work(!stopping)?;
            if stopping && !is_at_work {
                break;
            }
            if is_at_work {
                self.curator.wait(PATIENCE);
            } else if !ingested && pass.is_idle() {
                if has_looked {
                    break;
                }
                self.curator.look_again();
            }
        }
        self.waits = self.curator.waits();
        self.busy_elsewhere = self.curator.busy_elsewhere()?;
        self.blocked = self.curator.blocked();
        if !self.blocked.is_empty()
            && let Some(standing) = self.curator.host_stopped()?
        {
            let stopped = std::mem::take(&mut self.blocked).into_keys();
            self.stopped.extend(stopped.map(|(delivery, use_case)| Held {
                delivery,
                use_case,
                standing: standing.clone(),
            }));
        }
        self.curator.progress.finish();
        self.sweep()
    }

    /// Makes staged rounds of some deliveries visible; all of them when the list is empty. `true` when that changed
    /// anything.
    ///
    /// # Errors
    /// When the archive or the machine fails.
    pub fn ingest(&mut self, deliveries: &[String]) -> anyhow::Result<bool> {
        let began = Instant::now();
        let pass =
            ingest::pass(&mut self.curator.archive, deliveries, &self.curator.cause, site::now())?;
        let is_changed = !pass.published.is_empty() || !pass.refused.is_empty();
        self.postponed.clone_from(&pass.postponed);
        if !is_changed {
            return Ok(false);
        }
        for batch in &pass.published {
            self.curator.journal.note(&batch.in_words());
        }
        for batch in &pass.refused {
            self.curator
                .journal
                .note(&format!("refused {}: {}: {}", batch.unit, batch.check, batch.message));
        }
        for name in &pass.completed {
            self.curator.journal.note(&format!("{name} is complete"));
        }
        let counts = self.count("ingest");
        counts.seconds += began.elapsed().as_secs_f64();
        counts.files += pass.rows_of("multiframe");
        counts.detectors += pass.rows_of("multiframe_detector");
        counts.detections += pass.rows_of("detection");
        counts.previews += pass.rows_of("preview");
        counts.refusals += pass.new_refusals();
        Ok(true)
    }

    /// Takes results that nobody waited for, and removes what dead attempts left.
    fn sweep(&mut self) -> anyhow::Result<()> {
        let report = ingest::sweep::sweep(
            &mut self.curator.archive,
            self.curator.site.config.staging.keep(),
            site::now(),
        )?;
        if report.new_refusals > 0 {
            self.count("recovery").refusals += report.new_refusals;
        }
        Ok(())
    }

    /// See [`chosen`].
    ///
    /// # Errors
    /// `Kind::Gate` for a delivery or night that the archive does not know.
    pub fn chosen(&self, scope: &Scope) -> anyhow::Result<Vec<String>> {
        chosen(&self.curator.archive, scope)
    }
}
