//! `almagest edit`.

use super::decision::{Form, Reason, cause};
use super::instruction::in_words;
use super::subject::{About, check_host};
use crate::exit::{self, Exit};
use crate::report::say;
use archive::planning::{Instruction, Subject};
use curate::advice;
use curate::site::{self, Site};
use model::{Advice, HostName};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {dry_run, act, subject, who, reason, instructions: [TEXT]}.")]
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
    #[command(flatten)]
    why: Reason,
    #[command(flatten)]
    form: Form,
}

/// Changes the next plan.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let cause = cause(&arguments.why.reason)?;
    let mut archive = site.write_or_rehearse(arguments.form.dry_run)?;
    let subject = arguments.about.known(&site, &archive)?;
    if matches!(subject, Subject::Host(_))
        && (arguments.r#move.is_some() || arguments.priority.is_some())
    {
        return Err(exit::usage("--move and --priority do not apply to a host"));
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
    if arguments.r#move.is_none() && arguments.priority.is_none() && !arguments.hold {
        return Err(exit::usage("nothing to change: give --move HOST, --priority N or --hold"));
    }
    let mut given = Vec::new();
    let mut changes = Vec::new();
    if arguments.r#move.as_deref() == Some("") {
        archive.withdraw(&subject, "move", &cause, site::now())?;
        changes.push("on any host".to_owned());
    }
    given.extend(moved_to.map(Instruction::Move));
    given.extend(arguments.priority.map(Instruction::Priority));
    given.extend(arguments.hold.then_some(Instruction::Pause));
    for instruction in given {
        archive.instruct(&subject, &instruction, &cause, site::now())?;
        changes.push(in_words(&instruction));
    }
    let details = serde_json::json!({"instructions": changes});
    arguments.form.report(("edit", &subject.to_string()), &cause, details, || {
        for change in &changes {
            say!("{subject}: {change}");
        }
        if arguments.hold {
            let target = subject.target();
            say!("nothing new starts until {}", advice::command(&Advice::Resume { target }));
        }
    })
}
