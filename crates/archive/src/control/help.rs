//! What helps about a refusal: the commands for its code, which work in the situation at hand.

use super::explain::{Explanation, FileFactsheet, Setting, Suggestion, refusal_in_words};
use super::records::RefusalState::{Open, Retried};
use super::records::{RefusalRecord, Stage};
use model::Advice;
use model::advice::{RefusalChoice, Target};

/// Numbers of refusals in a command; more are chosen by code and delivery.
const NUMBERS: usize = 8;
/// Lines about refusals before the rest is counted.
const LINES: usize = 20;

/// What a file is, in words.
pub(super) fn described(file: &FileFactsheet) -> &str {
    let unusable = file.refusals.iter().any(|r| r.refusal.hdu.is_none() && !r.refusal.parked);
    match file.kind.as_str() {
        "image" => "an image",
        "catalogue" => "a catalogue",
        "other" if unusable => "in the library and cannot be used",
        "other" => "kept as it is, neither image nor catalogue",
        other => other,
    }
}

/// A line for each, and what helps once for all that are alike. Of a delivery with many, the first are shown and the rest is
/// counted.
pub(super) fn explain_refusals(
    records: &[RefusalRecord],
    delivery: Option<&str>,
    setting: &Setting,
    out: &mut Explanation,
) {
    let mut alike: Vec<(&RefusalRecord, Vec<i64>)> = Vec::new();
    for (n, record) in records.iter().enumerate() {
        if n < LINES {
            out.lines.push(refusal_in_words(record));
        }
        if !matches!(record.state, Open | Retried) {
            continue;
        }
        let key = |r: &RefusalRecord| {
            (r.state, r.refusal.parked, r.refusal.code.clone(), r.delivery.clone())
        };
        match alike.iter_mut().find(|(first, _)| key(first) == key(record)) {
            Some((_, numbers)) => numbers.push(record.refusal_id),
            None => alike.push((record, vec![record.refusal_id])),
        }
    }
    if let (Some(first), true) = (records.first(), records.len() > LINES) {
        out.lines.push(format!("… and {} more refusals", records.len() - LINES));
        let delivery = delivery.map_or(first.delivery.clone(), str::to_owned);
        let list = Advice::RefusalsOf { delivery };
        out.suggestions.push(Suggestion::new("lists them all", [list]));
    }
    for (record, numbers) in alike {
        match record.state {
            Retried => out.suggestions.push(Suggestion::new(
                format!("tries {} again", record.refusal.code),
                redo(record, setting),
            )),
            _ => out.suggestions.extend(suggestions(record, &numbers, setting)),
        }
    }
}

/// The commands that redo what was refused.
fn redo(record: &RefusalRecord, setting: &Setting) -> Vec<Advice> {
    let delivery = record.delivery.clone();
    match (record.stage, setting.places.get(&delivery)) {
        (Stage::Task(_) | Stage::Ingest, _) if setting.has_scheduler => vec![Advice::Plan],
        (_, Some(place)) if setting.has_scheduler => {
            vec![Advice::TransferFrom { place: place.clone() }]
        }
        (_, Some(place)) => vec![Advice::Run { place: place.clone() }],
        (Stage::Task(use_case), None) => {
            vec![Advice::Step { use_case, delivery: delivery.clone() }, Advice::Ingest { delivery }]
        }
        (_, None) => Vec::new(),
    }
}

fn suggestions(record: &RefusalRecord, numbers: &[i64], setting: &Setting) -> Vec<Suggestion> {
    let refusal = &record.refusal;
    let which = || match numbers.len() <= NUMBERS {
        true => RefusalChoice::Numbers(numbers.to_vec()),
        false => {
            RefusalChoice::Code { code: refusal.code.clone(), delivery: record.delivery.clone() }
        }
    };
    let again = || redo(record, setting);
    let retry = |text: &str| {
        let retry = Advice::RefusalsRetry { which: which() };
        Suggestion::new(text, [retry].into_iter().chain(again()))
    };
    let settle = || {
        let accept = Advice::RefusalsAccept { which: which() };
        let dismiss = Advice::RefusalsDismiss { which: which() };
        [
            Suggestion::new("it stays out, and that is right", [accept]),
            Suggestion::new("takes it off the list", [dismiss]),
        ]
    };
    let deliver = |text: &str| Suggestion::new(text, again());
    match refusal.code.as_str() {
        "task_failed" => {
            let redo = |use_case| {
                let target = Target::Unit(record.delivery.clone(), use_case);
                [Advice::Retry { target }].into_iter().chain(again())
            };
            match record.stage {
                Stage::Task(use_case) => {
                    vec![Suggestion::new("when its cause is gone", redo(use_case))]
                }
                _ => vec![retry("when its cause is gone")],
            }
        }
        "image_absent" => {
            vec![deliver("deliver the image, whole; the catalogue is then taken up by itself")]
        }
        "metadata_refused" | "no_detector" => vec![Suggestion::text(
            "deal with the refusal of its image; the catalogue is then taken up by itself",
        )],
        "unknown_project" => {
            let project = refusal.message.split('"').nth(1).unwrap_or("PROJECT").to_owned();
            let add = Advice::ProgrammeAdd { name: "NAME".to_owned(), project };
            vec![Suggestion::new("a programme for these frames", [add].into_iter().chain(again()))]
        }
        "missing_from_delivery" => vec![deliver("deliver the file; it is then taken up by itself")],
        "no_project" => vec![retry(
            "name the programme of such frames as `unnamed` under [project] in the survey's profile, then",
        )],
        "no_zero_point" => vec![retry(
            "deliver it with a zero point, or set `photometry.missing_zero_point = \"null\"` under [catalogue] in \
             the survey's profile for detections without magnitudes, then",
        )],
        "compressed_table" => [vec![deliver("deliver it unpacked")], settle().to_vec()].concat(),
        code if code.starts_with("wrapped_") => {
            let text = "deliver it unpacked, or packed with gzip";
            [vec![deliver(text)], settle().to_vec()].concat()
        }
        _ if refusal.parked => vec![retry(
            "deliver a repaired file, or let the survey's profile say what is to be assumed, then",
        )],
        code if code.starts_with("name_") => {
            [vec![deliver("deliver it under another name")], settle().to_vec()].concat()
        }
        "symbolic_link" => [vec![deliver("deliver the file itself")], settle().to_vec()].concat(),
        "unreadable" => {
            vec![deliver("give the user that runs almagest the right to read it, then")]
        }
        _ => [vec![retry("deliver a repaired file, then")], settle().to_vec()].concat(),
    }
}
