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
use model::{Advice, HostName};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    about: About,
    /// Have it run on this host only; "" = wherever there is room.
    #[arg(long, value_name = "HOST")]
    r#move: Option<String>,
    /// Do it before what has a lower priority; 0 is usual.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// Hold it back until `almagest resume`.
    #[arg(long)]
    hold: bool,
    /// Why, for the history.
    #[arg(long)]
    reason: String,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Changes what the next plan is to be.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write_or_rehearse(arguments.dry_run)?;
    let subject = arguments.about.known(&site, &archive)?;
    if matches!(subject, Subject::Host(_))
        && (arguments.r#move.is_some() || arguments.priority.is_some())
    {
        return Err(exit::usage("a host has no place to move to and no priority"));
    }
    let moved_to = match arguments.r#move.as_deref() {
        None | Some("") => None,
        Some(host) => {
            Some(host.parse::<HostName>().map_err(|fault| exit::usage(fault.to_string()))?)
        }
    };
    if let Some(host) = &moved_to {
        check_host(&site, host)?;
    }
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    if arguments.r#move.is_none() && arguments.priority.is_none() && !arguments.hold {
        return Err(exit::usage("what is to change? --move HOST, --priority N or --hold"));
    }
    tell_dry_run(arguments.dry_run);
    let mut given = Vec::new();
    if arguments.r#move.as_deref() == Some("") {
        archive.withdraw(&subject, "move", &cause, site::now())?;
        say!("{subject}: wherever there is room");
    }
    given.extend(moved_to.map(Instruction::Move));
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
