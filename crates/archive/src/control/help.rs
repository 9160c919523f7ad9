//! Suggestions about a refusal: the commands for its code that work in the given situation.

use super::explain::{Explanation, FileFactsheet, Setting, Suggestion, refusal_in_words};
use super::records::RefusalState::{Open, Retried};
use super::records::{RefusalRecord, Stage};
use model::Advice;
use model::advice::{RefusalChoice, Target};

/// Maximum count of refusal numbers in a command; a larger group is selected by code and delivery.
const NUMBERS: usize = 8;
/// Number of lines about refusals that are shown before the rest is counted.
const LINES: usize = 20;

/// Describes the kind of a file in words.
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

/// Adds a line for each refusal, and the suggestions once for each group of similar refusals. Of many refusals, the first are
/// shown and the rest is counted.
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
        out.suggestions.extend(suggestions(record, &numbers, setting));
    }
}

/// Returns the suggestions about a group of similar refusals, from the first of them and the numbers of all.
fn suggestions(record: &RefusalRecord, numbers: &[i64], setting: &Setting) -> Vec<Suggestion> {
    match record.state {
        Retried => {
            let text = format!("tries {} again", record.refusal.code);
            vec![Suggestion::new(text, redo(record, setting))]
        }
        Open => suggestions_for_open(record, numbers, setting),
        _ => Vec::new(),
    }
}

/// Returns the suggestions about a refusal.
pub fn help_for(record: &RefusalRecord, setting: &Setting) -> Vec<Suggestion> {
    suggestions(record, &[record.refusal_id], setting)
}

/// Returns the commands that redo what was refused.
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

/// A group of similar refusals: the first of them, and the numbers of all.
struct Alike<'a> {
    record: &'a RefusalRecord,
    numbers: &'a [i64],
    setting: &'a Setting,
}

impl Alike<'_> {
    fn which(&self) -> RefusalChoice {
        match self.numbers.len() <= NUMBERS {
            true => RefusalChoice::Numbers(self.numbers.to_vec()),
            false => RefusalChoice::Code {
                code: self.record.refusal.code.clone(),
                delivery: self.record.delivery.clone(),
            },
        }
    }

    /// Suggests some commands, a retry of the refusals, and the commands that redo their files.
    fn retry_after(&self, text: &str, first: Vec<Advice>) -> Suggestion {
        let retry = Advice::RefusalsRetry { which: self.which() };
        let redo = redo(self.record, self.setting);
        Suggestion::new(text, first.into_iter().chain([retry]).chain(redo))
    }

    fn retry(&self, text: &str) -> Suggestion {
        self.retry_after(text, Vec::new())
    }

    fn deliver(&self, text: &str) -> Suggestion {
        Suggestion::new(text, redo(self.record, self.setting))
    }

    /// Returns a suggestion and the two decisions that leave the file out.
    fn or_settle(&self, first: Suggestion) -> Vec<Suggestion> {
        let accept = Advice::RefusalsAccept { which: self.which() };
        let dismiss = Advice::RefusalsDismiss { which: self.which() };
        vec![
            first,
            Suggestion::new("confirms the refusal: the data stay out", [accept]),
            Suggestion::new("removes the refusal from the list", [dismiss]),
        ]
    }

    fn task_failed(&self) -> Suggestion {
        let text = "when its cause is repaired";
        let Stage::Task(use_case) = self.record.stage else { return self.retry(text) };
        let target = Target::Unit(self.record.delivery.clone(), use_case);
        let redo = redo(self.record, self.setting);
        Suggestion::new(text, [Advice::Retry { target }].into_iter().chain(redo))
    }

    /// Suggests the image that a catalogue waits for.
    fn explain_image(&self) -> Suggestion {
        let text = "deal with the refusal of its image; its catalogue is then processed";
        let RefusalRecord { delivery, refusal, image, .. } = self.record;
        let name = refusal.subject.as_deref().or(image.as_deref());
        let name = format!("{delivery}/{}", name.unwrap_or(&refusal.file));
        Suggestion::new(text, [Advice::Explain { name }])
    }

    fn unknown_project(&self) -> Suggestion {
        let project = self.record.refusal.subject.clone().unwrap_or_else(|| "PROJECT".to_owned());
        let add = Advice::ProgrammeAdd { name: name_for(&project), project };
        let redo = redo(self.record, self.setting);
        Suggestion::new("a programme for these frames", [add].into_iter().chain(redo))
    }

    fn no_project(&self) -> Suggestion {
        let Some(survey) = self.record.survey.clone() else {
            return self.retry("name the programme of such frames in the survey's profile, then");
        };
        let (name, project) = ("NAME".to_owned(), "PROJECT".to_owned());
        let add = Advice::ProgrammeAdd { name: name.clone(), project };
        let key = "project.unnamed".to_owned();
        let set = Advice::ProfileSet { survey, key, value: name };
        self.retry_after("a programme for frames that name no project", vec![add, set])
    }

    fn no_calibration(&self) -> Suggestion {
        let Some(survey) = self.record.survey.clone() else {
            return self.retry("deliver the file with a zero point and an exposure time, then");
        };
        let key = "catalogue.photometry.missing_zero_point".to_owned();
        let set = Advice::ProfileSet { survey, key, value: "null".to_owned() };
        self.retry_after(
            "deliver the file with a zero point and an exposure time; or for detections without magnitudes",
            vec![set],
        )
    }
}

/// Returns a short name for the programme of a project.
fn name_for(project: &str) -> String {
    const NAME_CHARS: usize = 16;
    let plain = project.chars().filter(char::is_ascii_alphanumeric);
    let name: String = plain.map(|c| c.to_ascii_uppercase()).take(NAME_CHARS).collect();
    if name.is_empty() { "NAME".to_owned() } else { name }
}

fn suggestions_for_open(
    record: &RefusalRecord,
    numbers: &[i64],
    setting: &Setting,
) -> Vec<Suggestion> {
    let alike = Alike { record, numbers, setting };
    let refusal = &record.refusal;
    match refusal.code.as_str() {
        "task_failed" => vec![alike.task_failed()],
        "image_absent" if refusal.subject.is_none() => {
            vec![alike.deliver(
                "deliver the complete image; its catalogue is then processed automatically",
            )]
        }
        "image_absent" | "metadata_refused" | "no_detector" | "no_metadata" | "no_programme" => {
            vec![alike.explain_image()]
        }
        "unknown_project" => vec![alike.unknown_project()],
        "missing_from_delivery" => {
            vec![alike.deliver("deliver the file; it is then processed automatically")]
        }
        "no_project" => vec![alike.no_project()],
        "no_zero_point" | "no_exposure_time" if refusal.parked => vec![alike.no_calibration()],
        "compressed_table" => alike.or_settle(alike.deliver("deliver it unpacked")),
        code if code.starts_with("wrapped_") => {
            alike.or_settle(alike.deliver("deliver it unpacked, or packed with gzip"))
        }
        _ if refusal.parked => vec![alike.retry(
            "deliver a repaired file, or let the survey's profile say what is to be assumed, then",
        )],
        code if code.starts_with("name_") => {
            alike.or_settle(alike.deliver("deliver it under another name"))
        }
        "symbolic_link" => alike.or_settle(alike.deliver("deliver the file itself")),
        "unreadable" => {
            vec![alike.deliver("give the user that runs almagest the right to read it, then")]
        }
        _ => alike.or_settle(alike.retry("deliver a repaired file, then")),
    }
}
