//! Suggestions about a refusal: the commands for its code that work in the given situation.

use crate::explain::sheets::FileFactsheet;
use crate::explain::{Explanation, Setting, Suggestion, refusal_in_words};
use crate::refusals::RefusalState::{Open, Retried};
use crate::refusals::{RefusalRecord, Stage};
use model::advice::{RefusalChoice, Target};
use model::refusal_code::Remedy;
use model::{Advice, DeliveryName, FileKind, RefusalId};

/// Maximum count of refusal numbers in a command; a larger group is selected by code and delivery.
const NUMBERS: usize = 8;
/// Number of lines about refusals that are shown before the rest is counted.
const LINES: usize = 20;

/// Describes the kind of a file in words.
pub(crate) fn described(file: &FileFactsheet) -> &'static str {
    let unusable = file.refusals.iter().any(|r| r.refusal.hdu.is_none() && !r.refusal.parked);
    match file.kind {
        Some(FileKind::Image) => "an image",
        Some(FileKind::Catalogue) => "a catalogue",
        Some(FileKind::Other) if unusable => "in the library, but unusable",
        Some(FileKind::Other) => "kept as it is, neither image nor catalogue",
        None => "not registered",
    }
}

/// Adds a line for each refusal, and the suggestions once for each group of similar refusals. Of many refusals, the first are
/// shown and the rest is counted.
pub(crate) fn explain_refusals(
    records: &[RefusalRecord],
    delivery: Option<&DeliveryName>,
    setting: &Setting,
    out: &mut Explanation,
) {
    let mut alike: Vec<(&RefusalRecord, Vec<RefusalId>)> = Vec::new();
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
        let delivery = delivery.unwrap_or(&first.delivery).clone();
        let list = Advice::RefusalsOf { delivery };
        out.suggestions.push(Suggestion::new("lists them all", [list]));
    }
    for (record, numbers) in alike {
        out.suggestions.extend(suggestions(record, &numbers, setting));
    }
}

/// Returns the suggestions about a group of similar refusals, from the first of them and the numbers of all.
fn suggestions(
    record: &RefusalRecord,
    numbers: &[RefusalId],
    setting: &Setting,
) -> Vec<Suggestion> {
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
    numbers: &'a [RefusalId],
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
        let text = Remedy::TaskCause.text();
        let Stage::Task(use_case) = self.record.stage else { return self.retry(text) };
        let target = Target::Unit(self.record.delivery.clone(), use_case);
        let redo = redo(self.record, self.setting);
        Suggestion::new(text, [Advice::Retry { target }].into_iter().chain(redo))
    }

    /// Suggests the image that a catalogue waits for.
    fn explain_image(&self) -> Suggestion {
        let text = Remedy::ImageRefusal.text();
        let RefusalRecord { delivery, refusal, image, .. } = self.record;
        let name = refusal.subject.as_deref().or(image.as_deref());
        let name = format!("{delivery}/{}", name.unwrap_or(&refusal.file));
        Suggestion::new(text, [Advice::Explain { name }])
    }

    fn unknown_project(&self) -> Suggestion {
        let project = self.record.refusal.subject.clone().unwrap_or_else(|| "PROJECT".to_owned());
        let add = Advice::ProgrammeAdd { name: name_for(&project), project };
        let redo = redo(self.record, self.setting);
        Suggestion::new(Remedy::Programme.text(), [add].into_iter().chain(redo))
    }

    fn no_project(&self) -> Suggestion {
        let Some(survey) = self.record.survey.clone() else {
            return self.retry("name the programme of such frames in the survey's profile, then");
        };
        let (name, project) = ("NAME".to_owned(), "PROJECT".to_owned());
        let add = Advice::ProgrammeAdd { name: name.clone(), project };
        let key = "project.unnamed".to_owned();
        let set = Advice::ProfileSet { survey, key, value: name };
        self.retry_after(Remedy::UnnamedProject.text(), vec![add, set])
    }

    fn no_calibration(&self) -> Suggestion {
        let Some(survey) = self.record.survey.clone() else {
            return self.retry("deliver the file with a zero point and an exposure time, then");
        };
        let key = "catalogue.photometry.missing_zero_point".to_owned();
        let set = Advice::ProfileSet { survey, key, value: "null".to_owned() };
        self.retry_after(Remedy::Calibration.text(), vec![set])
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
    numbers: &[RefusalId],
    setting: &Setting,
) -> Vec<Suggestion> {
    let alike = Alike { record, numbers, setting };
    let refusal = &record.refusal;
    // A code of another version has no entry.
    let remedy = refusal.code.entry().map_or(Remedy::Repaired, |entry| entry.remedy);
    let text = remedy.text();
    match remedy {
        Remedy::TaskCause => vec![alike.task_failed()],
        Remedy::CompleteImage if refusal.subject.is_none() => vec![alike.deliver(text)],
        Remedy::CompleteImage | Remedy::ImageRefusal => vec![alike.explain_image()],
        Remedy::Programme => vec![alike.unknown_project()],
        Remedy::UnnamedProject => vec![alike.no_project()],
        Remedy::Deliver | Remedy::OneCatalogue => vec![alike.deliver(text)],
        Remedy::Calibration if refusal.parked => vec![alike.no_calibration()],
        Remedy::Unpack | Remedy::UnpackOrGzip => alike.or_settle(alike.deliver(text)),
        _ if refusal.parked => vec![alike.retry(Remedy::Profile.text())],
        Remedy::Rename | Remedy::FileItself | Remedy::Refetch => {
            alike.or_settle(alike.deliver(text))
        }
        Remedy::Readable => vec![alike.deliver(text)],
        Remedy::Source
        | Remedy::Settled
        | Remedy::Space
        | Remedy::Limit
        | Remedy::NewProfile
        | Remedy::Disk
        | Remedy::Repaired
        | Remedy::Profile
        | Remedy::Round => alike.or_settle(alike.retry(text)),
        // A zero point is required of a refusal that is not parked; words alone are of findings.
        Remedy::Calibration | Remedy::Words(_) => {
            alike.or_settle(alike.retry(Remedy::Repaired.text()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::refusal_code::{Entry, Kind, REGISTER};
    use model::{Refusal, RefusalCode, RoundNumber, UseCase};

    /// Returns an open refusal as it occurs: one that waits for other files or decisions is parked.
    fn open(code: RefusalCode, remedy: Remedy) -> RefusalRecord {
        let parked = matches!(
            remedy,
            Remedy::CompleteImage
                | Remedy::ImageRefusal
                | Remedy::OneCatalogue
                | Remedy::Programme
                | Remedy::UnnamedProject
                | Remedy::Deliver
                | Remedy::Calibration
        );
        RefusalRecord {
            refusal_id: RefusalId::new(7).unwrap(),
            delivery: "20071011_v1".parse().unwrap(),
            stage: Stage::Task(UseCase::Catalogue),
            round: Some(RoundNumber::FIRST),
            refusal: Refusal { parked, ..Refusal::new(code, "w1_cat.fits", "a message") },
            file_id: None,
            survey: Some("wfcam".parse().unwrap()),
            image: Some("w1.fit".to_owned()),
            state: Open,
            overruled: false,
            occurrences: 1,
            first_seen: crate::Timestamp::default(),
            last_seen: crate::Timestamp::default(),
            history: Vec::new(),
        }
    }

    #[test]
    fn suggestions_have_the_words_and_the_command_of_the_register() {
        let places = [("20071011_v1".parse().unwrap(), "/inbox/20071011_v1".to_owned())];
        let setting = Setting { places: places.into(), ..Setting::default() };
        let entries = REGISTER.iter().flat_map(|section| section.entries);
        let refusals = entries.filter(|e| matches!(e.kind, Kind::Refusal | Kind::Either));
        for Entry { code, remedy, .. } in refusals {
            let first = help_for(&open(*code, *remedy), &setting).remove(0);
            assert_eq!(first.text, remedy.text(), "{code}");
            let verb = format!("almagest {} ", remedy.verb().unwrap());
            let command = format!("{} ", first.commands[0]);
            assert!(command.starts_with(&verb), "{code}: {command} is not {verb}");
        }
    }

    #[test]
    fn a_code_of_another_version_has_the_general_suggestion() {
        let mut record = open(RefusalCode::TRUNCATED, Remedy::Repaired);
        record.refusal.code = "of_a_newer_version".into();
        let suggestions = help_for(&record, &Setting::default());
        assert_eq!(suggestions[0].text, Remedy::Repaired.text());
        record.refusal.parked = true;
        let suggestions = help_for(&record, &Setting::default());
        assert_eq!(suggestions[0].text, Remedy::Profile.text());
    }
}
