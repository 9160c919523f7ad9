//! The subject of an instruction: the options that name it.

use crate::exit;
use archive::Reader;
use archive::planning::Subject;
use curate::advice;
use curate::scheduler;
use curate::site::Site;
use model::{Advice, DeliveryName, HostName, Night, UseCase};

/// The subject of an instruction.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(multiple = false)]
pub struct About {
    /// A unit, as DELIVERY/USE_CASE.
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    unit: Option<(DeliveryName, UseCase)>,
    /// A delivery.
    #[arg(long, value_name = "NAME")]
    delivery: Option<DeliveryName>,
    /// An observing night.
    #[arg(long, value_name = "YYYYMMDD")]
    night: Option<Night>,
    /// A use case: preview, metadata or catalogue.
    #[arg(long, value_name = "USE_CASE")]
    use_case: Option<UseCase>,
    /// A host.
    #[arg(long, value_name = "HOST")]
    pub host: Option<HostName>,
    /// Everything.
    #[arg(long)]
    all: bool,
}

impl About {
    fn subject(&self) -> Subject {
        let mut subject = Subject::All;
        if let Some((delivery, use_case)) = &self.unit {
            subject = Subject::Unit(delivery.clone(), *use_case);
        } else if let Some(name) = &self.delivery {
            subject = Subject::Delivery(name.clone());
        } else if let Some(night) = self.night {
            subject = Subject::Night(night);
        } else if let Some(use_case) = self.use_case {
            subject = Subject::UseCase(use_case);
        } else if let Some(name) = &self.host {
            subject = Subject::Host(name.clone());
        }
        subject
    }

    fn is_empty(&self) -> bool {
        self.subject() == Subject::All && !self.all
    }

    /// Returns the subject if it exists. A host with an instruction may be named even after it was removed.
    ///
    /// # Errors
    /// Exit code 2 when the options name no subject, 3 when the subject does not exist.
    pub fn known(&self, site: &Site, archive: &Reader) -> anyhow::Result<Subject> {
        if self.is_empty() {
            return Err(exit::usage(
                "--unit UNIT, --delivery NAME, --night YYYYMMDD, --use-case USE_CASE, --host HOST or --all is missing",
            ));
        }
        let subject = self.subject();
        let is_known = match &subject {
            Subject::Unit(delivery, _) | Subject::Delivery(delivery) => {
                archive.deliveries(None)?.contains(delivery)
            }
            Subject::Night(night) => !archive.deliveries(Some(*night))?.is_empty(),
            Subject::Host(host) => {
                if archive.instructions()?.iter().all(|s| s.subject != subject) {
                    check_host(site, host)?;
                }
                true
            }
            Subject::All | Subject::UseCase(_) => true,
        };
        match is_known {
            true => Ok(subject),
            false => Err(exit::gate(format!(
                "the archive knows no {subject}: {}",
                advice::command(&Advice::Status)
            ))),
        }
    }
}

/// Refuses a host that does not exist.
///
/// # Errors
/// Exit code 3, with the hosts that exist.
pub fn check_host(site: &Site, host: &HostName) -> anyhow::Result<()> {
    let hosts = scheduler::hosts(site)?;
    if hosts.iter().any(|known| known == host) {
        return Ok(());
    }
    let known = if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") };
    Err(exit::gate(format!("there is no host {host:?}; hosts: {known}")))
}

/// Reads a unit.
///
/// # Errors
/// A message when the text is not a unit.
pub fn unit(text: &str) -> Result<(DeliveryName, UseCase), String> {
    let wrong = || format!("{text:?} is not a unit such as 20071011_v1/catalogue");
    let (delivery, use_case) = text.rsplit_once('/').ok_or_else(wrong)?;
    Ok((delivery.parse().map_err(|_| wrong())?, use_case.parse().map_err(|_| wrong())?))
}
