//! Options that identify the delivery of a directory, for `run` and `transfer`.

use crate::exit;
use curate::steps::Identity;
use model::DeliveryName;

/// Which delivery a directory is.
#[derive(Debug, Default, clap::Args)]
pub struct IdentityArguments {
    /// The directory belongs to the delivery of this name, which came from elsewhere; remembered.
    #[arg(long, value_name = "NAME", conflicts_with = "new")]
    join: Option<DeliveryName>,
    /// The directory is a separate delivery, although another one has the same name, files and sizes.
    #[arg(long)]
    new: bool,
}

impl IdentityArguments {
    /// Returns the identity that the options choose.
    pub fn identity(&self) -> Identity {
        match (&self.join, self.new) {
            (Some(name), _) => Identity::Join(name.clone()),
            (None, true) => Identity::New,
            (None, false) => Identity::Unsaid,
        }
    }

    /// Refuses to join several directories to one delivery at once: one of them may be a mistake.
    ///
    /// # Errors
    /// Exit code 2.
    pub fn check(&self, deliveries: usize) -> anyhow::Result<()> {
        match &self.join {
            Some(name) if deliveries != 1 => Err(exit::usage(format!(
                "--join {name} needs exactly one directory or URL, {deliveries} are given"
            ))),
            _ => Ok(()),
        }
    }
}
