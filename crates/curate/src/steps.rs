//! The steps of a night on this machine: transfer, the three use cases, ingest; in any combination.
//!
//! A [`NightRun`] holds the curator of a site and the outcome of its work until now. [`NightRun::work`] alternates passes and
//! ingest until no work is left. After a kill at any point, the next call finds the finished and the unfinished work.

mod fetching;
pub mod gate;
mod identity;
pub mod reprofile;

pub use fetching::{
    Completeness, Declarations, DeliveryFetch, FetchedDelivery, came_from, profile_of, prospect,
    prospect_in_place,
};
pub use identity::{Identity, own};

use crate::counts::Counts;
use crate::failure;
use crate::ingester::log_pass;
use crate::log::note;
use crate::progress::Progress;
use crate::scheduler::situation::UnitName;
use crate::scheduler::{Curator, Request};
use crate::scope::{Scope, chosen};
use crate::site::{self, Archive, Site};
use archive::history::Cause;
use archive::planning::Held;
use model::{DeliveryName, UnitKey, UseCase};
use register::plan::Wait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Maximum number of passes in a row in which another process opens or approves the same rounds, before that is reported.
const MAX_CONTESTED: u32 = 5;
/// The longest wait between two passes while attempts are under way.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The open archive of a site, and the outcome of the work since it was opened.
pub struct NightRun {
    curator: Curator,
    stop: Arc<AtomicBool>,
    /// Files that wait, each with the reason, as of the last check.
    pub waits: Vec<Wait>,
    /// Tasks on which another process works.
    pub busy_elsewhere: u64,
    /// Units that could not start on this machine, each with the reason.
    pub blocked: BTreeMap<UnitName, String>,
    /// Batches that could not be ingested for a transient reason.
    pub postponed: Vec<(UnitKey, String)>,
    /// Files that could not be fetched for a transient reason.
    pub not_fetched: Vec<(String, String)>,
    /// Requested work that operators stopped, as of the last check.
    pub stopped: Vec<Held>,
    /// The deliveries that were worked on.
    pub deliveries: BTreeSet<DeliveryName>,
    /// True when instructions of operators do not count.
    is_forced: bool,
}

impl NightRun {
    /// Opens a site for work. Reference tables follow the present profiles.
    ///
    /// # Errors
    /// When configuration, profiles or archive are not usable.
    pub fn open(site: Site, why: &str) -> anyhow::Result<Self> {
        let stop = crate::loops::stop_flag()?;
        Self::open_until(site, &site::operator(), why, stop)
    }

    /// Opens a site like [`NightRun::open`], with a stop flag that the caller already has.
    ///
    /// # Errors
    /// As [`NightRun::open`].
    pub fn open_until(
        site: Site,
        who: &str,
        why: &str,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let curator = Curator::on_this_machine(site, who, why)?;
        note!(INFO, "begun", what = why, "{why} begins");
        Ok(Self {
            curator,
            stop,
            waits: Vec::new(),
            busy_elsewhere: 0,
            blocked: BTreeMap::new(),
            postponed: Vec::new(),
            not_fetched: Vec::new(),
            stopped: Vec::new(),
            deliveries: BTreeSet::new(),
            is_forced: false,
        })
    }

    /// Shows the progress of the steps from this point.
    pub fn show(&mut self, progress: Arc<dyn Progress>) {
        self.curator.show(progress);
    }

    /// Returns the site.
    pub fn site(&self) -> &Site {
        &self.curator.site
    }

    /// Returns the archive.
    pub fn archive(&mut self) -> &mut Archive {
        &mut self.curator.archive
    }

    /// Returns true when a signal requested a stop.
    pub fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Records the end of the work in the log, with the exit code of the command.
    pub fn ended(&mut self, exit: i32) {
        let counts: Vec<String> = self
            .counts()
            .iter()
            .map(|(step, c)| format!("{step} {} files in {:.1} s", c.files, c.seconds))
            .collect();
        let (new, what) = (self.new_refusals(), &self.curator.cause.why);
        note!(
            INFO,
            "ended",
            what,
            exit,
            refusals = new,
            "{what} ends with {exit}, {new} new refusals; {}",
            counts.join(", ")
        );
    }

    /// Returns the counts by step: transfer, preview, metadata, catalogue, ingest.
    pub fn counts(&self) -> &BTreeMap<&'static str, Counts> {
        &self.curator.counts
    }

    /// Returns the number of refusals that are new in this call.
    pub fn new_refusals(&self) -> u64 {
        self.counts().values().map(|c| c.refusals).sum()
    }

    fn count(&mut self, step: &'static str) -> &mut Counts {
        self.curator.counts.entry(step).or_default()
    }

    /// Requests all images of the chosen deliveries again, for the next round.
    ///
    /// # Errors
    /// `Kind::Gate` for a delivery or night that the archive does not know.
    pub fn ask_again(&mut self, scope: &Scope, use_case: UseCase) -> anyhow::Result<()> {
        for delivery in self.chosen(scope)? {
            self.curator.archive.request_again(
                &delivery,
                use_case,
                &self.curator.cause,
                site::now(),
            )?;
        }
        Ok(())
    }

    /// Requests the lost and damaged previews of some deliveries again, for the next round, and returns the number of
    /// multiframes.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn ask_for_lost(&mut self, deliveries: &[DeliveryName]) -> anyhow::Result<u64> {
        let cause =
            Cause::new(self.curator.cause.who.clone(), "preview files are missing or damaged");
        let now = site::now();
        Ok(upkeep::verify::request_lost_previews(
            &mut self.curator.archive,
            deliveries,
            &cause,
            now,
        )?)
    }

    /// Does all possible work of some use cases on some deliveries, and ingests staged batches when `ingest` is set.
    ///
    /// # Errors
    /// When the archive or the machine fails. Faults of files become refusals.
    pub fn work(
        &mut self,
        deliveries: &[DeliveryName],
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
            let report = self.curator.accept_results()?;
            // Ingest before rounds are opened: catalogue tasks are cut by the programmes of ingested metadata.
            let ingested = ingest && !stopping && self.ingest(deliveries)?;
            if ingested {
                self.curator.recheck();
            }
            if stopping {
                self.curator.cancel(&|_, _| true, true, "interrupted before it started")?;
            } else {
                self.stopped = self.held(deliveries, use_cases)?;
            }
            let rechecks = self.curator.is_recheck_due();
            let pass = self.curator.open_and_send(report, !stopping)?;
            contested = if pass.contested > 0 { contested + 1 } else { 0 };
            if contested > MAX_CONTESTED {
                let why = "another process opens or approves the same rounds";
                return Err(failure::conflict(format!("{why}, repeatedly: retry later")));
            }
            let is_at_work = self.curator.is_at_work(!stopping)?;
            if stopping && !is_at_work {
                break;
            }
            if is_at_work {
                self.curator.wait(POLL_INTERVAL);
            } else if !ingested && pass.is_idle() {
                if rechecks {
                    break;
                }
                self.curator.recheck();
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

    /// Makes staged rounds of some deliveries visible; all of them when the list is empty. Returns `true` when that changed
    /// anything.
    ///
    /// # Errors
    /// When the archive or the machine fails.
    pub fn ingest(&mut self, deliveries: &[DeliveryName]) -> anyhow::Result<bool> {
        let began = Instant::now();
        let pass =
            ingest::pass(&mut self.curator.archive, deliveries, &self.curator.cause, site::now())?;
        let is_changed = !pass.published.is_empty() || !pass.refused.is_empty();
        // Batches that wait are reported at the end.
        log_pass(&pass, false, |_, _| false);
        self.postponed.clone_from(&pass.postponed);
        if !is_changed {
            return Ok(false);
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

    /// Takes results for which no process waited, and removes the remains of dead attempts.
    fn sweep(&mut self) -> anyhow::Result<()> {
        let keep = self.curator.site.config.staging.keep();
        let report = crate::swept::sweep(&mut self.curator.archive, keep)?;
        if report.new_refusals > 0 {
            self.count("recovery").refusals += report.new_refusals;
        }
        Ok(())
    }

    /// Lists the deliveries of a scope; see [`chosen`].
    ///
    /// # Errors
    /// `Kind::Gate` for a delivery or night that the archive does not know.
    pub fn chosen(&self, scope: &Scope) -> anyhow::Result<Vec<DeliveryName>> {
        chosen(&self.curator.archive, scope)
    }
}
