//! `almagest supersede`: ends older products that are kept because the newer frames of their names, or newer catalogues of their
//! frames, lack them.

use super::decision::Form;
use crate::exit::{self, Exit};
use crate::report::{Table, counted, say, say_part};
use archive::history::Cause;
use archive::products::kept::KeptProduct;
use archive::products::supersession::Supersession;
use curate::advice;
use curate::site::{self, Site};
use model::{Advice, DeliveryName, UseCase};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A later processing of a night, or newer content of a file, replaces product by product: detections
of a detector end when the newer detections of that detector are ingested, previews when the newer
preview is. A newer frame without catalogue, or with a refused one, leaves the older detections
current, and so does a catalogue for the detectors whose HDUs it lacks or has refused; `almagest
findings` lists them. This command ends them nevertheless. They become current again with --undo,
and when the newer frames are retracted.

With --json: one object {dry_run, act, subject, who, reason, undo, delivery, event, products:
[{file, use_case, delivery, multiframe_id, newer_delivery, newer_multiframe_id, newer_file,
ext_nums, newer_ext_nums, why}]}; why of a product is the cause for which it is kept.")]
pub struct Arguments {
    /// Name of the newer delivery, e.g. 20071011_v2.
    #[arg(value_name = "DELIVERY")]
    delivery: DeliveryName,
    /// Only this product: preview or catalogue; may be repeated.
    #[arg(long, value_name = "USE_CASE")]
    use_case: Vec<UseCase>,
    /// Only the frame of this file name.
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
    /// Reason, for the history.
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Undo such a decision.
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    form: Form,
}

/// Ends kept products, or undoes such a decision.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if arguments.use_case.iter().any(|u| u.product().describes_images()) {
        return Err(exit::usage(
            "--use-case must be preview or catalogue: metadata follow their products",
        ));
    }
    // A dry run, which keeps no reason, needs none.
    let reason = arguments.reason.as_deref().unwrap_or("dry run");
    let cause = Cause::new(site::operator(), reason.trim());
    if cause.why.is_empty() {
        return Err(exit::usage("--reason is empty"));
    }
    let newer = (arguments.delivery.as_str(), arguments.file.as_deref());
    let mut archive = site.write_or_rehearse(arguments.form.dry_run)?;
    let (act, done) = if arguments.undo {
        let use_cases = &arguments.use_case;
        ("supersede --undo", archive.undo_supersession(newer, use_cases, &cause, site::now())?)
    } else {
        ("supersede", archive.supersede(newer, &arguments.use_case, &cause, site::now())?)
    };
    let subject = arguments.delivery.as_str();
    arguments.form.report((act, subject), &cause, details(&done, arguments), || {
        told(&done, arguments);
    })
}

fn told(done: &Supersession, arguments: &Arguments) {
    let mut table = Table::new(["file", "product", "ext_num", "of", "newer", "reason"]);
    for k in &done.products {
        table.row([
            k.file.clone(),
            k.use_case.name().to_owned(),
            k.detectors(),
            k.delivery.to_string(),
            k.newer_delivery.to_string(),
            k.why.name().to_owned(),
        ]);
    }
    say_part!("{}", table.text());
    let event = done.event.map(|event| event.get()).unwrap_or_default();
    let products = counted(done.products.len() as u64, "older product");
    if arguments.undo {
        say!("{products} current again in event {event}");
    } else {
        say!("{products} ended in event {event}");
        let undo = Advice::SupersedeUndo { delivery: arguments.delivery.clone() };
        say!("undo: {}", advice::command(&undo));
    }
}

fn details(done: &Supersession, arguments: &Arguments) -> serde_json::Value {
    let product = |k: &KeptProduct| {
        serde_json::json!({
            "file": k.file, "use_case": k.use_case.name(), "delivery": k.delivery,
            "multiframe_id": k.multiframe_id, "newer_delivery": k.newer_delivery,
            "newer_multiframe_id": k.newer_multiframe_id, "newer_file": k.newer_file, "ext_nums": k.ext_nums,
            "newer_ext_nums": k.newer_ext_nums, "why": k.why.name(),
        })
    };
    serde_json::json!({
        "undo": arguments.undo,
        "delivery": arguments.delivery,
        "event": done.event.map(|event| event.get()),
        "products": done.products.iter().map(product).collect::<Vec<_>>(),
    })
}
