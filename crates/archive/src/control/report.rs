//! What `status` and `explain` show: values for `--json`, and the pure function from facts to sentences.

use super::records::{DeliveryWork, RefusalRecord};
use model::{Refusal, RowRange};
use serde::Serialize;

/// Everything `status` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Deliveries in the order of their registration.
    pub deliveries: Vec<DeliveryStatus>,
    /// Detections per programme.
    pub programmes: Vec<ProgrammeStatus>,
    /// Number of the latest event, 0 when there is none.
    pub events: i64,
    /// Attempts that run now.
    pub running_attempts: u64,
    /// Refusals that nobody has dealt with, the parked ones not counted.
    pub open_refusals: u64,
    /// Refusals that wait for a file or a programme.
    pub parked_refusals: u64,
    /// Files of the library that the last look at them found rotten or lost.
    pub unsound_files: u64,
}

/// What the tasks of late of a use case and host did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Use case.
    pub use_case: String,
    /// Where.
    pub host: String,
    /// Number of tasks.
    pub tasks: u64,
    /// Bytes that they read.
    pub input_bytes: u64,
    /// Rows that they left, in all tables.
    pub rows: u64,
    /// Wall-clock seconds, summed over the tasks.
    pub seconds: f64,
}

/// One delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryStatus {
    /// Name.
    pub name: String,
    /// Observing night, yyyymmdd.
    pub night: Option<i32>,
    /// `arriving`, `registered` or `complete`.
    pub state: String,
    /// What is known to be still to come.
    pub awaited: Option<String>,
    /// When the latest file came, ISO 8601 UTC.
    pub last_arrival: String,
    /// Current images.
    pub images: u64,
    /// HDUs with pixels of the current images.
    pub detectors: u64,
    /// Current catalogue files.
    pub catalogues: u64,
    /// Current files of other kinds.
    pub others: u64,
    /// Contents that newer ones replaced.
    pub superseded: u64,
    /// Bytes of the current files.
    pub bytes: u64,
    /// Multiframes that the archive shows.
    pub multiframes: u64,
    /// Detections that the archive shows.
    pub detections: u64,
    /// Previews that the archive shows.
    pub previews: u64,
    /// Refusals that nobody has dealt with, the parked ones not counted.
    pub open_refusals: u64,
    /// Refusals that wait for a file or a programme.
    pub parked_refusals: u64,
    /// Kinds of findings: lines that the drift report has of it.
    pub findings: u64,
    /// Rounds, oldest first.
    pub rounds: Vec<RoundStatus>,
}

/// One round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoundStatus {
    /// `preview`, `metadata` or `catalogue`.
    pub use_case: String,
    /// 1, 2 ….
    pub round: u32,
    /// Where it stands.
    pub state: String,
    /// Tasks in all.
    pub tasks: u32,
    /// Tasks done or given up.
    pub tasks_over: u32,
    /// Why it came to its state.
    pub why: String,
    /// Since when, ISO 8601 UTC.
    pub since: String,
}

/// One programme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgrammeStatus {
    /// Identity.
    pub programme_id: i32,
    /// Short name.
    pub name: String,
    /// Detections that the archive shows.
    pub detections: u64,
    /// Last object id given.
    pub last_obj_id: i64,
}

/// One line of the drift report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Delivery.
    pub delivery: String,
    /// Where in the pipeline.
    pub stage: String,
    /// Kind.
    pub code: String,
    /// Keyword or column; empty for none.
    pub subject: String,
    /// In how many files.
    pub files: u64,
    /// How often in all.
    pub occurrences: u64,
    /// One of the files.
    pub example_file: String,
    /// Extension number of the HDU in that file, primary = 1.
    pub example_ext_num: Option<u32>,
    /// One sentence.
    pub message: String,
}

/// Everything that `explain` needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// What was asked for.
    pub asked: String,
    /// The delivery, when the name is one.
    pub delivery: Option<DeliveryFactsheet>,
    /// Files of that name, newest content first, over all deliveries.
    pub files: Vec<FileFactsheet>,
}

/// A delivery as `explain` sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryFactsheet {
    /// Counts and rounds.
    pub status: DeliveryStatus,
    /// What decides what is to be done.
    pub work: DeliveryWork,
    /// Refusals that are open.
    pub refusals: Vec<RefusalRecord>,
    /// Its drift report.
    pub findings: Vec<Drift>,
    /// Frames of earlier processings of its night that stay current, as it has no successor of theirs: delivery and file.
    pub without_successor: Vec<(String, String)>,
}

/// A file as `explain` sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileFactsheet {
    /// Delivery.
    pub delivery: String,
    /// Name within it.
    pub name: String,
    /// `image`, `catalogue`, `other`, or `refused` when it was never registered.
    pub kind: String,
    /// Length.
    pub bytes: u64,
    /// Whether newer content replaced it.
    pub superseded: bool,
    /// Name of an older file of equal content: delivery and file.
    pub same_content_as: Option<(String, String)>,
    /// Identity of the image (for a catalogue: of its image).
    pub multiframe_id: Option<i64>,
    /// For a catalogue: name of its image. For an image: name of its catalogue.
    pub partner: Option<String>,
    /// For a catalogue: name of the one that came after it for the same image, under another name.
    pub replaced_by: Option<String>,
    /// Rounds that covered it, oldest first: use case, round, state, outcome.
    pub rounds: Vec<FileRound>,
    /// Use cases that are to be done again, with the reason.
    pub redo: Vec<(String, String)>,
    /// All its refusals, and for an image those of its catalogue.
    pub refusals: Vec<RefusalRecord>,
    /// Whether the archive shows its metadata.
    pub has_metadata: bool,
    /// Detections that the archive shows.
    pub detections: u64,
    /// Previews that the archive shows.
    pub previews: u64,
}

/// One round of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRound {
    /// Use case.
    pub use_case: String,
    /// Round.
    pub round: u32,
    /// State of the round.
    pub state: String,
    /// Outcome for the file; empty while its task is not done.
    pub outcome: String,
}

/// The answer of `explain`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What is so, one sentence each.
    pub lines: Vec<String>,
    /// What helps: commands or acts, one each.
    pub suggestions: Vec<String>,
    /// What was odd in what was accepted of a delivery, most frequent first.
    pub findings: Vec<Drift>,
}

/// Why a delivery or file is where it is, and what helps.
pub fn explain(facts: &Facts) -> Explanation {
    let mut out = Explanation::default();
    if let Some(delivery) = &facts.delivery {
        explain_delivery(delivery, &mut out);
    }
    for file in &facts.files {
        explain_file(file, &mut out);
    }
    out.suggestions.dedup();
    out
}

fn explain_delivery(sheet: &DeliveryFactsheet, out: &mut Explanation) {
    let s = &sheet.status;
    out.lines.push(format!(
        "delivery {} is {}: {} images with {} detectors, {} catalogues, {} other files; the archive shows {} \
         multiframes, {} detections, {} previews of it",
        s.name, s.state, s.images, s.detectors, s.catalogues, s.others, s.multiframes, s.detections, s.previews
    ));
    for round in &s.rounds {
        out.lines.push(format!(
            "{} round {} is {} since {} ({}; {} of {} tasks over)",
            round.use_case,
            round.round,
            round.state,
            round.since,
            round.why,
            round.tasks_over,
            round.tasks
        ));
        if let Some(help) = help_for_round(&s.name, round) {
            out.suggestions.push(help);
        }
    }
    if !sheet.without_successor.is_empty() {
        const NAMED: usize = 5;
        let names: Vec<String> = sheet
            .without_successor
            .iter()
            .take(NAMED)
            .map(|(d, file)| format!("{d}/{file}"))
            .collect();
        let more = if sheet.without_successor.len() > NAMED { ", …" } else { "" };
        out.lines.push(format!(
            "{} frames of earlier processings of its night have no successor in it and stay current: {}{more}",
            sheet.without_successor.len(),
            names.join(", ")
        ));
    }
    for name in &sheet.work.unpaired {
        out.lines.push(format!("catalogue {name} waits for its image"));
    }
    for image in &sheet.work.images {
        for (use_case, progress) in [
            ("preview", &image.preview),
            ("metadata", &image.metadata),
            ("catalogue", &image.catalogue_progress),
        ] {
            if let Some(why) = &progress.redo {
                out.lines.push(format!("{} is due for {use_case} again: {why}", image.name));
            }
        }
    }
    explain_refusals(&sheet.refusals, out);
    out.findings.clone_from(&sheet.findings);
    if s.state == "arriving" {
        out.lines.push(match &s.awaited {
            Some(awaited) => format!("it is not complete: {awaited}"),
            None => "it is not known yet whether all its files are there".to_owned(),
        });
        out.suggestions
            .push("wait for the rest, then `almagest run` on its directory again".to_owned());
    }
}

fn help_for_round(delivery: &str, round: &RoundStatus) -> Option<String> {
    match round.state.as_str() {
        "waiting" | "ready" | "approved" | "running" => {
            Some(format!("almagest {} --delivery {delivery}", round.use_case))
        }
        "proposed" => Some(format!("almagest approve {delivery}")),
        "staged" => Some(format!("almagest ingest --delivery {delivery}")),
        _ => None,
    }
}

fn explain_file(file: &FileFactsheet, out: &mut Explanation) {
    let mut line = format!("{}/{} is {}", file.delivery, file.name, described(file));
    if let Some(id) = file.multiframe_id {
        line += &match file.kind.as_str() {
            "catalogue" => format!(" of multiframe {id}"),
            _ => format!(", multiframe {id}"),
        };
    }
    if file.superseded {
        line += ", superseded by newer content of the same name";
    }
    out.lines.push(line);
    if let Some((delivery, name)) = &file.same_content_as {
        out.lines.push(format!("its content equals that of {delivery}/{name}"));
    }
    match (file.kind.as_str(), &file.partner) {
        ("catalogue", Some(image)) => out.lines.push(format!("it belongs to image {image}")),
        ("catalogue", None) => out.lines.push("it has no image yet".to_owned()),
        ("image", Some(catalogue)) => out.lines.push(format!("its catalogue is {catalogue}")),
        ("image", None) => out.lines.push("it has no catalogue".to_owned()),
        _ => {}
    }
    if let Some(newer) = &file.replaced_by {
        out.lines.push(format!("{newer} came after it and is the catalogue of that image now"));
    }
    if file.kind == "image" || file.kind == "catalogue" {
        out.lines.push(format!(
            "the archive shows {} metadata, {} detections and {} previews of it",
            if file.has_metadata { "its" } else { "no" },
            file.detections,
            file.previews
        ));
    }
    for round in &file.rounds {
        let outcome = if round.outcome.is_empty() { "not done yet" } else { &round.outcome };
        out.lines
            .push(format!("{} round {} ({}): {outcome}", round.use_case, round.round, round.state));
    }
    for (use_case, why) in &file.redo {
        out.lines.push(format!("it is due for {use_case} again: {why}"));
        out.suggestions.push(format!("almagest {use_case} --delivery {}", file.delivery));
    }
    if file.kind == "image" && !file.superseded && file.rounds.is_empty() {
        out.lines.push("no round has taken it up yet".to_owned());
        out.suggestions.push(format!("almagest metadata --delivery {}", file.delivery));
    }
    explain_refusals(&file.refusals, out);
}

fn described(file: &FileFactsheet) -> &str {
    let unusable = file.refusals.iter().any(|r| r.refusal.hdu.is_none() && !r.refusal.parked);
    match file.kind.as_str() {
        "image" => "an image",
        "catalogue" => "a catalogue",
        "other" if unusable => "in the library and cannot be used",
        "other" => "kept as it is, neither image nor catalogue",
        other => other,
    }
}

/// A line for each, and what helps once for all that are alike.
fn explain_refusals(records: &[RefusalRecord], out: &mut Explanation) {
    use super::records::RefusalState::{Open, Retried};
    let mut alike: Vec<(&RefusalRecord, Vec<i64>)> = Vec::new();
    for record in records {
        out.lines.push(refusal_in_words(record));
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
    for (record, numbers) in alike {
        out.suggestions.push(match record.state {
            Retried => format!(
                "almagest run on the directory of {} tries {} again",
                record.delivery, record.refusal.code
            ),
            _ => help_for_refusals(record, &numbers),
        });
    }
}

fn refusal_in_words(record: &RefusalRecord) -> String {
    let refusal = &record.refusal;
    let place = place_in_words(refusal);
    let name = if place.is_empty() { "the whole round" } else { &place };
    format!(
        "refusal {} ({}{}): {name} {}: {}",
        record.refusal_id,
        record.state.name(),
        if refusal.parked { ", parked" } else { "" },
        refusal.code,
        in_full(refusal)
    )
}

/// File and HDU of a refusal, the HDU by its extension number (primary = 1); empty for a whole round.
pub fn place_in_words(refusal: &Refusal) -> String {
    match refusal.hdu {
        Some(hdu) => format!("{} ext_num {}", refusal.file, u32::from(hdu) + 1),
        None => refusal.file.clone(),
    }
}

/// The message of a refusal, with keyword, column and rows where it does not name them itself.
pub fn in_full(refusal: &Refusal) -> String {
    const RANGES_SHOWN: usize = 3;
    let mut more = Vec::new();
    for (what, name) in [("keyword", &refusal.keyword), ("column", &refusal.column)] {
        let name = name.as_deref().filter(|n| !n.starts_with('#') && !refusal.message.contains(n));
        more.extend(name.map(|name| format!("{what} {name}")));
    }
    if refusal.rows > 0 {
        more.push(format!("{} refused", rows_in_words(refusal, RANGES_SHOWN)));
    }
    if more.is_empty() {
        return refusal.message.clone();
    }
    format!("{} ({})", refusal.message, more.join("; "))
}

/// How many rows, and which as far as they were listed, `most` ranges of them.
pub fn rows_in_words(refusal: &Refusal, most: usize) -> String {
    let in_words = |range: &RowRange| match range.first == range.last {
        true => range.first.to_string(),
        false => format!("{}-{}", range.first, range.last),
    };
    let mut which: Vec<String> = refusal.row_ranges.iter().take(most).map(in_words).collect();
    if refusal.row_ranges.len() > most {
        which.push("…".to_owned());
    }
    let plural = if refusal.rows == 1 { "row" } else { "rows" };
    let which = if which.is_empty() { String::new() } else { format!(" ({})", which.join(", ")) };
    format!("{} {plural}{which}", refusal.rows)
}

fn help_for_refusals(record: &RefusalRecord, numbers: &[i64]) -> String {
    const NUMBERS_SHOWN: usize = 8;
    let refusal = &record.refusal;
    let which = if numbers.len() <= NUMBERS_SHOWN {
        numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" ")
    } else {
        format!("--code {} --delivery {}", refusal.code, record.delivery)
    };
    let decide = |acts: &str| format!("almagest refusals {acts} {which} --reason …");
    match refusal.code.as_str() {
        "image_absent" => {
            "deliver the image, whole; the catalogue is then taken up by itself".to_owned()
        }
        "metadata_refused" | "no_detector" => {
            "deal with the refusal of its image; the catalogue is then taken up by itself"
                .to_owned()
        }
        "unknown_project" => {
            "almagest programme add NAME PROJECT releases what waits for a programme".to_owned()
        }
        "missing_from_delivery" => "deliver the file; it is then taken up by itself".to_owned(),
        "no_project" => format!(
            "name the programme of such frames as `unnamed` under [project] in the survey's profile, then {}",
            decide("retry")
        ),
        "no_zero_point" => format!(
            "deliver it with a zero point, or set `photometry.missing_zero_point = \"null\"` under [catalogue] in \
             the survey's profile for detections without magnitudes, then {}",
            decide("retry")
        ),
        "compressed_table" => format!("deliver it unpacked, or {}", decide("accept|dismiss")),
        code if code.starts_with("wrapped_") => {
            format!("deliver it unpacked, or packed with gzip, or {}", decide("accept|dismiss"))
        }
        _ if refusal.parked => format!(
            "deliver a repaired file, or let the survey's profile say what is to be assumed, then {}",
            decide("retry")
        ),
        code if code.starts_with("name_") => {
            format!("deliver it under another name, or {}", decide("accept|dismiss"))
        }
        "symbolic_link" => format!("deliver the file itself, or {}", decide("accept|dismiss")),
        "unreadable" => {
            "give the user that runs almagest the right to read it, then run again".to_owned()
        }
        _ => format!("deliver a repaired file, or {}", decide("retry|accept|dismiss")),
    }
}
