//! `almagest edit`.

use super::dry_run::tell_dry_run;
use super::instruction::in_words;
use super::subject::{About, check_host};
use crate::exit::{self, Exit};
use crate::report::say;
use archive::history::Cause;
use archive::planning::{Instruction, Subject};
use curate::advice;
use curate::site::{self, Site};
use model::Advice;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    about: About,
    /// Run it on this host only; "" = on any host.
    #[arg(long, value_name = "HOST")]
    r#move: Option<String>,
    /// Run it before work of lower priority; the default priority is 0.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// Hold it until `almagest resume`.
    #[arg(long)]
    hold: bool,
    /// Reason, for the history.
    #[arg(long)]
    reason: String,
    /// Only print what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Changes the next plan.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write_or_rehearse(arguments.dry_run)?;
    let subject = arguments.about.known(&site, &archive)?;
    if matches!(subject, Subject::Host(_))
        && (arguments.r#move.is_some() || arguments.priority.is_some())
    {
        return Err(exit::usage("--move and --priority do not apply to a host"));
    }
    if let Some(host) = arguments.r#move.as_deref().filter(|host| !host.is_empty()) {
        check_host(&site, host)?;
    }
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    if arguments.r#move.is_none() && arguments.priority.is_none() && !arguments.hold {
        return Err(exit::usage("nothing to change: give --move HOST, --priority N or --hold"));
    }
    tell_dry_run(arguments.dry_run);
    let mut given = Vec::new();
    match arguments.r#move.as_deref() {
        Some("") => {
            archive.withdraw(&subject, "move", &cause, site::now())?;
            say!("{subject}: on any host");
        }
        Some(host) => given.push(Instruction::Move(host.to_owned())),
        None => {}
    }
    given.extend(arguments.priority.map(Instruction::Priority));
    given.extend(arguments.hold.then_some(Instruction::Pause));
    for instruction in given {
        archive.instruct(&subject, &instruction, &cause, site::now())?;
        say!("{subject}: {}", in_words(&instruction));
        if instruction == Instruction::Pause {
            let target = subject.target();
            say!("nothing new starts until {}", advice::command(&Advice::Resume { target }));
        }
    }
    Ok(Exit::Done)
}
