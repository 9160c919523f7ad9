//! `almagest reprofile`: chooses the survey profiles of registered files again.

use super::decision::{Form, OptionalReason, cause};
use crate::exit::{self, Exit};
use crate::report::{Table, counted, say, say_part, shown};
use archive::refusals::Stage;
use curate::advice;
use curate::scope::{Scope, chosen};
use curate::site::Site;
use curate::steps::gate;
use curate::steps::reprofile::{self, Rechosen, Which};
use model::{Advice, DeliveryName};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The profile of a file is chosen when it arrives. After a profile was added, or its [[match]] was
changed, this command chooses again, by the headers of the files in the library. The files keep
their multiframe ids. All products of the images concerned are requested again: the next `run` makes
them, and they replace the earlier ones. Files whose profile stays are left alone; --again redoes
them too, with the present values of their profiles.

With --json: one object {dry_run, act, subject, who, reason, changes: [{file, before, after, why}],
unchanged, redone, undecided: [{file, why}], new_images, new_catalogues, new_refusals}.")]
pub struct Arguments {
    #[command(flatten)]
    about: About,
    /// Redo the images whose profile stays too.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    why: OptionalReason,
    #[command(flatten)]
    form: Form,
}

/// The files whose profiles are chosen again.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct About {
    /// All files of a delivery.
    #[arg(long, value_name = "NAME")]
    delivery: Option<DeliveryName>,
    /// One file, as DELIVERY/FILE.
    #[arg(long, value_name = "FILE", value_parser = file)]
    file: Option<(DeliveryName, String)>,
}

/// Chooses profiles again, and requests what depends on them.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let cause = cause(&arguments.why.reason)?;
    let mut archive = site.write_or_rehearse(arguments.form.dry_run)?;
    let (delivery, files) = match (&arguments.about.delivery, &arguments.about.file) {
        (_, Some((delivery, file))) => (delivery, vec![file.clone()]),
        (Some(delivery), None) => (delivery, Vec::new()),
        (None, None) => return Err(exit::usage("--delivery NAME or --file FILE is missing")),
    };
    chosen(&archive, &Scope { deliveries: vec![delivery.clone()], ..Scope::default() })?;
    let which = Which { delivery, files: &files, is_again: arguments.again };
    let rechosen = reprofile::reprofile(&site, &mut archive, &which, &cause)?;
    let subject = match files.first() {
        Some(file) => format!("{delivery}/{file}"),
        None => delivery.to_string(),
    };
    if rechosen.changes.len() + rechosen.undecided.len() == 0 && rechosen.unchanged == 0 {
        return Err(exit::gate(format!("{subject} is no current file of the archive")));
    }
    let next = gate::redo(&site, &archive, delivery, Stage::Ingest);
    arguments.form.report(("reprofile", &subject), &cause, details(&rechosen), || {
        told(&rechosen, &subject);
        let next = match rechosen.changes.len() as u64 + rechosen.redone {
            0 => vec![Advice::ReprofileAgain { delivery: delivery.clone() }],
            _ => next,
        };
        say!("next: {}", advice::commands(&next));
    })
}

/// Reads a file as DELIVERY/FILE.
fn file(text: &str) -> Result<(DeliveryName, String), String> {
    let wrong = || format!("{text:?} is not a file such as 20071011_v1/w20071011_00100_st.fit");
    let (delivery, file) = text.split_once('/').ok_or_else(wrong)?;
    let delivery = delivery.parse().map_err(|_| wrong())?;
    if file.is_empty() { Err(wrong()) } else { Ok((delivery, file.to_owned())) }
}

fn told(rechosen: &Rechosen, subject: &str) {
    let named = |survey: &Option<model::SurveyName>| {
        survey.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
    };
    if !rechosen.changes.is_empty() {
        let mut table = Table::new(["file", "before", "now", "reason"]);
        for c in &rechosen.changes {
            table.row([c.file.clone(), named(&c.before), c.after.to_string(), c.why.clone()]);
        }
        say_part!("{}", table.text());
    }
    for (file, why) in &rechosen.undecided {
        say!("{} keeps its profile: {}", shown(file), shown(why));
    }
    let changed = rechosen.changes.len() as u64;
    say!(
        "{subject}: {} another profile, {} unchanged",
        match changed {
            1 => "1 file gets".to_owned(),
            n => format!("{} get", counted(n, "file")),
        },
        rechosen.unchanged
    );
    if rechosen.redone > 0 {
        say!("{} with the present values of their profiles", counted(rechosen.redone, "image"));
    }
}

fn details(rechosen: &Rechosen) -> serde_json::Value {
    let changes: Vec<_> = rechosen
        .changes
        .iter()
        .map(|c| json!({"file": c.file, "before": c.before, "after": c.after, "why": c.why}))
        .collect();
    let undecided: Vec<_> =
        rechosen.undecided.iter().map(|(file, why)| json!({"file": file, "why": why})).collect();
    json!({
        "changes": changes,
        "unchanged": rechosen.unchanged,
        "redone": rechosen.redone,
        "undecided": undecided,
        "new_images": rechosen.recorded.images,
        "new_catalogues": rechosen.recorded.catalogues,
        "new_refusals": rechosen.recorded.new_refusals,
    })
}
