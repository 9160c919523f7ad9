//! The answer of `explain`: turns facts into sentences and commands. The module is pure.
//!
//! [`Facts`] holds the archive's facts about a name, a night, a number or a position. [`Setting`] holds everything else that
//! decides which command works. Start at [`explain`]. Suggestions about a refusal are in [`crate::explain::help`].

mod ends;
pub(crate) mod facts;
pub(crate) mod found;
pub mod help;
pub mod sheets;

use self::ends::{explain_end, explain_ends, explain_purges};
use self::sheets::{
    CompanionFile, DeliveryFactsheet, Facts, FileFactsheet, ObjectFactsheet, PositionFactsheet,
};
use crate::Timestamp;
use crate::batches::RangeState;
use crate::deliveries::DeliveryState;
use crate::findings::Drift;
use crate::planning::Standing;
use crate::products::kept::KeptProduct;
use crate::refusals::{RefusalRecord, RefusalState, in_full, place_in_words};
use crate::status::{DeliveryStatus, RoundStatus};
use crate::work::ImageWork;
use model::advice::Target;
use model::products;
use model::{Advice, DeliveryName, FileKind, Night, RefusalCode, UnitState, UseCase};
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;

/// Number of lines about similar things that are shown before the rest is counted.
const LINES: usize = 20;

/// The facts about the site that decide which command works.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Products of the site.
    pub products: &'static [UseCase],
    /// Instructions in force.
    pub standing: Vec<Standing>,
    /// True when a data daemon works on the site.
    pub has_scheduler: bool,
    /// True when an ingester works on the site.
    pub has_ingester: bool,
    /// Directories that deliveries were fetched from and that still exist, by delivery.
    pub places: std::collections::HashMap<DeliveryName, String>,
    /// True when the latest plan can be approved.
    pub is_plan_open: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            products: UseCase::ALL,
            standing: Vec::new(),
            has_scheduler: false,
            has_ingester: false,
            places: std::collections::HashMap::new(),
            is_plan_open: false,
        }
    }
}

/// A suggestion to the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suggestion {
    /// The suggestion in words; may be empty when the commands are self-explanatory.
    pub text: String,
    /// The commands, in the order in which they are run.
    pub commands: Vec<Advice>,
}

impl Suggestion {
    /// Makes a suggestion of something to do by hand.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), commands: Vec::new() }
    }

    /// Makes a suggestion of commands, described by `text`.
    pub fn new(text: impl Into<String>, commands: impl IntoIterator<Item = Advice>) -> Self {
        Self { text: text.into(), commands: commands.into_iter().collect() }
    }
}

impl Serialize for Suggestion {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let commands: Vec<String> = self.commands.iter().map(ToString::to_string).collect();
        let kinds: Vec<&str> = self.commands.iter().map(Advice::kind).collect();
        serde_json::json!({ "text": self.text, "commands": commands, "kinds": kinds }).serialize(to)
    }
}

/// The answer of `explain`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The state of affairs, one sentence each.
    pub lines: Vec<String>,
    /// Suggestions to the operator.
    pub suggestions: Vec<Suggestion>,
    /// Unexpected properties of the accepted files of a delivery, most frequent first.
    pub findings: Vec<Drift>,
}

impl Explanation {
    /// Adds the lines about one thing. Lines that repeat each other are merged within the thing, not across things.
    fn part(&mut self, explain: impl FnOnce(&mut Self)) {
        let mut part = Self::default();
        explain(&mut part);
        keep_first(&mut part.lines);
        self.lines.append(&mut part.lines);
        self.suggestions.append(&mut part.suggestions);
        self.findings.append(&mut part.findings);
    }

    /// Adds lines of which only the first are shown; `rest` is the command that lists the others.
    fn lines_of(&mut self, lines: Vec<String>, rest: Option<Advice>) {
        let cut = lines.len().saturating_sub(LINES);
        self.lines.extend(lines.into_iter().take(LINES));
        if cut > 0 {
            self.lines.push(format!("… and {cut} more like these"));
            self.suggestions.extend(rest.map(|rest| Suggestion::new("lists them all", [rest])));
        }
    }
}

/// Explains why something is in its state, and suggests commands.
pub fn explain(facts: &Facts, setting: &Setting) -> Explanation {
    let mut out = Explanation::default();
    if let Some(delivery) = &facts.delivery {
        out.part(|out| explain_delivery(delivery, setting, out));
    }
    if let Some((night, deliveries)) = &facts.night {
        out.part(|out| explain_night(*night, deliveries, setting, out));
    }
    for file in &facts.files {
        out.part(|out| explain_file(file, setting, out));
    }
    let more = facts.files_in_all.saturating_sub(facts.files.len() as u64);
    if let (Some(last), true) = (facts.files.last(), more > 0) {
        out.lines.push(format!(
            "… and {more} older files of that name; DELIVERY/FILE names one of them, --limit N shows more"
        ));
        let name = format!("{}/{}", last.delivery, last.name);
        out.suggestions.push(Suggestion::new("explains one of them", [Advice::Explain { name }]));
    }
    for object in &facts.objects {
        out.part(|out| explain_object(object, out));
    }
    if let Some(position) = &facts.position {
        out.part(|out| explain_position(position, out));
    }
    keep_first(&mut out.suggestions);
    out
}

/// Formats a time as in all messages.
fn utc(time: Timestamp) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Removes repeated elements, keeping the first of each.
fn keep_first<T: PartialEq + Clone>(all: &mut Vec<T>) {
    let mut known: Vec<T> = Vec::new();
    all.retain(|one| {
        let is_new = !known.contains(one);
        if is_new {
            known.push(one.clone());
        }
        is_new
    });
}

fn explain_delivery(sheet: &DeliveryFactsheet, setting: &Setting, out: &mut Explanation) {
    let s = &sheet.status;
    out.lines.push(format!(
        "delivery {} is {}: {} images with {} detectors, {} catalogues, {} other files; the archive shows {} \
         multiframes, {} detections, {} previews of it",
        s.name, s.state, s.images, s.detectors, s.catalogues, s.others, s.multiframes, s.detections, s.previews
    ));
    explain_pauses(s, setting, out);
    for round in &s.rounds {
        out.lines.push(format!(
            "{} round {} is {} since {} ({}; {} of {} tasks finished)",
            round.use_case,
            round.round,
            round.state,
            utc(round.since),
            round.why,
            round.tasks_over,
            round.tasks
        ));
        explain_round(sheet, round, setting, out);
    }
    explain_purges(&sheet.purged, out);
    out.suggestions.extend(restoration(sheet));
    explain_processings(sheet, out);
    let unpaired = sheet.work.unpaired.iter();
    out.lines_of(
        unpaired.map(|name| format!("catalogue {name} waits for its image")).collect(),
        None,
    );
    explain_redo(sheet, setting, out);
    explain_waiting(sheet, setting, out);
    help::explain_refusals(&sheet.refusals, Some(&s.name), setting, out);
    out.findings.clone_from(&sheet.findings);
    if s.skipped > 0 {
        let (entries, were) = if s.skipped == 1 { ("entry", "was") } else { ("entries", "were") };
        out.lines.push(format!(
            "{} {entries} of the source {were} not fetched: the table skipped has the reason of each",
            s.skipped
        ));
    }
    if s.state == DeliveryState::Arriving {
        explain_arrival(s, setting, out);
    }
}

/// Explains which frames of a delivery are superseded by newer processings of its night, and which older frames stay current
/// despite it.
fn explain_processings(sheet: &DeliveryFactsheet, out: &mut Explanation) {
    for (newer, count) in &sheet.superseded_by {
        let are = if *count == 1 { "is" } else { "are" };
        out.lines
            .push(format!("{count} frames of the delivery {are} superseded by frames of {newer}"));
        let name = newer.to_string();
        out.suggestions
            .push(Suggestion::new("explains the newer delivery", [Advice::Explain { name }]));
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
            "{} frames of earlier processings of the night have no successor in the delivery and stay current: {}{more}",
            sheet.without_successor.len(),
            names.join(", ")
        ));
    }
    if let Some(first) = sheet.kept.first() {
        let products = match sheet.kept.len() {
            1 => "1 product of the delivery stays".to_owned(),
            n => format!("{n} products of the delivery stay"),
        };
        let of_own = sheet.kept.iter().filter(|kept| kept.is_of_own_catalogue()).count();
        let newer_inputs = match of_own {
            0 => "frames",
            n if n == sheet.kept.len() => "catalogues",
            _ => "frames or catalogues",
        };
        out.lines.push(format!("{products} current despite newer {newer_inputs}, e.g. {first}"));
        let name = format!("{}/{}", first.delivery, first.file);
        out.suggestions.push(Suggestion::new("explains one of them", [Advice::Explain { name }]));
    }
}

/// Explains what an arriving delivery waits for, and how it becomes complete.
fn explain_arrival(s: &DeliveryStatus, setting: &Setting, out: &mut Explanation) {
    out.lines.push(match &s.awaited {
        Some(awaited) => format!("the delivery is not complete: {awaited}"),
        None => "the delivery is not known to be complete yet".to_owned(),
    });
    let transfer = Advice::Transfer { delivery: s.name.clone() };
    out.suggestions.push(match setting.places.contains_key(&s.name) {
        true => Suggestion::new("fetches the files that have arrived at the source since", [transfer]),
        false => Suggestion::new(
            "the source is unreachable: fetches the rest from a directory to which the delivery was moved",
            [Advice::RunJoin { place: "DELIVERY_DIR".to_owned(), delivery: s.name.clone() }],
        ),
    });
    let complete = Advice::TransferComplete { delivery: s.name.clone() };
    out.suggestions
        .push(Suggestion::new("declares the delivery complete without further files", [complete]));
}

/// Explains the operators' pauses of a delivery, once for each instruction.
fn explain_pauses(s: &DeliveryStatus, setting: &Setting, out: &mut Explanation) {
    let mut plans = Vec::new();
    for standing in &setting.standing {
        let is_of = |u: &UseCase| standing.subject.covers(&s.name, s.night, *u);
        if !standing.is_stop() || !setting.products.iter().any(is_of) {
            continue;
        }
        out.lines.push(standing.to_string());
        let target = match standing.plan_id {
            Some(plan) if plans.contains(&plan) => continue,
            Some(plan) => {
                plans.push(plan);
                let unit = standing.subject.target();
                out.suggestions.push(Suggestion::new("", [Advice::Resume { target: unit }]));
                Target::Plan(plan)
            }
            None => standing.subject.target(),
        };
        out.suggestions.push(Suggestion::new("", [Advice::Resume { target }]));
    }
}

fn explain_round(
    sheet: &DeliveryFactsheet,
    round: &RoundStatus,
    setting: &Setting,
    out: &mut Explanation,
) {
    let delivery = sheet.status.name.clone();
    let Ok(use_case) = round.use_case.parse::<UseCase>() else { return };
    use UnitState::{Approved, Proposed, Ready, Running, Staged, Waiting};
    match round.state {
        // The suggestion is to end the pause.
        _ if round.paused.is_some() => {}
        Proposed if setting.is_plan_open => {
            out.lines.push("a plan with the round waits for a decision".to_owned());
            out.suggestions.push(Suggestion::new("", [Advice::ApproveUnit { delivery, use_case }]));
        }
        Waiting | Ready | Proposed if setting.has_scheduler => {
            out.suggestions
                .push(Suggestion::new("the data daemon proposes the round", [Advice::Plan]));
        }
        Approved | Running if setting.has_scheduler => {}
        Waiting | Ready | Proposed | Approved | Running => {
            out.suggestions.push(Suggestion::new("", [Advice::Step { use_case, delivery }]));
        }
        Staged => match sheet.blocked.iter().find(|b| (b.0, b.1) == (use_case, round.round)) {
            Some((.., why)) => out.lines.push(format!("the batch of the round waits: {why}")),
            None if setting.has_ingester => {}
            None => out.suggestions.push(Suggestion::new("", [Advice::Ingest { delivery }])),
        },
        _ => {}
    }
}

/// Returns the commands that show the retracted products of a delivery again, or that redo the purged ones.
pub fn restoration(sheet: &DeliveryFactsheet) -> Option<Suggestion> {
    let is_out = |use_case: &UseCase| {
        let rounds = || sheet.status.rounds.iter().filter(|r| r.use_case == use_case.name());
        rounds().any(|r| r.state == UnitState::Retracted)
            && rounds().all(|r| matches!(r.state, UnitState::Retracted | UnitState::Failed))
    };
    let delivery = sheet.status.name.clone();
    if sheet.can_come_back {
        let undo = Advice::RetractUndo { delivery };
        return Some(Suggestion::new("restores the retracted rows", [undo]));
    }
    let started = sheet.status.rounds.iter().filter_map(|r| r.use_case.parse().ok());
    let started: BTreeSet<UseCase> = started.collect();
    let started: Vec<UseCase> = started.into_iter().collect();
    let purged = products::in_order(&started).into_iter().filter(is_out);
    let again = |use_case| Advice::StepAgain { use_case, delivery: delivery.clone() };
    let mut commands: Vec<Advice> = purged.map(again).collect();
    if commands.is_empty() {
        return None;
    }
    commands.push(Advice::Ingest { delivery });
    Some(Suggestion::new("redoes the purged rounds", commands))
}

/// Explains which images are due again, and suggests the step that processes them.
fn explain_redo(sheet: &DeliveryFactsheet, setting: &Setting, out: &mut Explanation) {
    let mut due: Vec<UseCase> = Vec::new();
    let mut lines = Vec::new();
    for image in &sheet.work.images {
        for (use_case, progress) in &image.products {
            if let Some(why) = &progress.redo {
                lines.push(format!("{} is due for {use_case} again: {why}", image.name));
                due.push(*use_case);
            }
        }
    }
    out.lines_of(lines, None);
    due.sort();
    due.dedup();
    let s = &sheet.status;
    let is_paused = |u: &UseCase| {
        setting.standing.iter().any(|p| p.is_stop() && p.subject.covers(&s.name, s.night, *u))
    };
    for use_case in due.into_iter().filter(|u| !is_paused(u)) {
        out.suggestions.push(step(use_case, &s.name, setting));
    }
}

/// Explains which files of a delivery have arrived and are in no round yet, and suggests what processes them.
fn explain_waiting(sheet: &DeliveryFactsheet, setting: &Setting, out: &mut Explanation) {
    let (work, s) = (&sheet.work, &sheet.status);
    let is_new = |image: &&ImageWork| {
        let mut of = image.products.values();
        of.all(|progress| progress.coverage.is_none() && progress.redo.is_none())
    };
    let new: Vec<&ImageWork> = work.images.iter().filter(is_new).collect();
    let line = |image: &&ImageWork| format!("image {} waits for its round", image.name);
    match new.as_slice() {
        [] => {}
        all if all.len() == work.images.len() => {
            out.lines.push("no round contains the images of the delivery yet".to_owned());
        }
        some => out.lines_of(some.iter().map(line).collect(), None),
    }
    let catalogue = |image: &ImageWork| {
        let catalogue = image.waiting_catalogue()?;
        let is_newer = image.progress(UseCase::Catalogue).coverage.is_some();
        let newer = if is_newer { "newer catalogue" } else { "catalogue" };
        Some(format!("{newer} {} of image {} waits for its round", catalogue.name, image.name))
    };
    out.lines_of(work.images.iter().filter_map(catalogue).collect(), None);
    let due = |image: &&ImageWork| image.waiting_catalogue().is_some() && !image.is_in_hand();
    if !new.is_empty() || work.images.iter().any(|image| due(&image)) {
        let is_paused = |u: &UseCase| {
            setting.standing.iter().any(|p| p.is_stop() && p.subject.covers(&s.name, s.night, *u))
        };
        // The suggestion is to end the pause.
        if !setting.products.iter().any(is_paused) {
            out.suggestions.push(process(&s.name, setting));
        }
    }
}

/// Explains that the catalogue of an image, or a catalogue, is in no round yet, and suggests what processes it.
fn explain_waiting_of(file: &FileFactsheet, setting: &Setting, out: &mut Explanation) {
    let Some(image) = &file.waiting else { return };
    let Some(catalogue) = image.waiting_catalogue() else { return };
    out.lines.push(match (file.kind, &image.progress(UseCase::Catalogue).coverage) {
        (Some(FileKind::Catalogue), _) => {
            "no catalogue round contains the catalogue yet".to_owned()
        }
        (_, Some(_)) => format!("the newer catalogue {} waits for its round", catalogue.name),
        (_, None) => format!("the catalogue {} waits for its round", catalogue.name),
    });
    let products = setting.products.iter().copied();
    let of: Vec<UseCase> = products.filter(|u| u.product().inputs.catalogues).collect();
    let is_paused = |s: &&Standing| {
        s.is_stop() && of.iter().any(|u| s.subject.covers(&file.delivery, None, *u))
    };
    match setting.standing.iter().find(is_paused) {
        Some(pause) => {
            out.lines.push(pause.to_string());
            let target = pause.subject.target();
            out.suggestions.push(Suggestion::new("", [Advice::Resume { target }]));
        }
        None if image.is_in_hand() => {
            let name = file.delivery.to_string();
            let text = "explains the rounds under way";
            out.suggestions.push(Suggestion::new(text, [Advice::Explain { name }]));
        }
        None => out.suggestions.push(process(&file.delivery, setting)),
    }
}

/// Suggests the commands that process everything of a delivery that is due.
fn process(delivery: &DeliveryName, setting: &Setting) -> Suggestion {
    let delivery = delivery.to_owned();
    match setting.places.get(&delivery) {
        _ if setting.has_scheduler => {
            Suggestion::new("the data daemon proposes the round", [Advice::Plan])
        }
        Some(place) => {
            Suggestion::new("processes the new files", [Advice::Run { place: place.clone() }])
        }
        None => {
            let in_order = products::in_order(setting.products);
            let step = |use_case| Advice::Step { use_case, delivery: delivery.clone() };
            let ingest = Advice::Ingest { delivery: delivery.clone() };
            let steps = in_order.into_iter().map(step).chain([ingest]);
            Suggestion::new("processes the new files", steps)
        }
    }
}

/// Suggests the command that processes a use case of a delivery.
fn step(use_case: UseCase, delivery: &DeliveryName, setting: &Setting) -> Suggestion {
    match setting.has_scheduler {
        true => Suggestion::new("the data daemon proposes the round", [Advice::Plan]),
        false => Suggestion::new("", [Advice::Step { use_case, delivery: delivery.to_owned() }]),
    }
}

fn explain_night(
    night: Night,
    deliveries: &[DeliveryStatus],
    setting: &Setting,
    out: &mut Explanation,
) {
    out.lines.push(match deliveries.len() {
        1 => format!("night {night} has one delivery"),
        n => format!("night {night} has {n} deliveries"),
    });
    let lines = deliveries.iter().map(|s| {
        let open: Vec<String> = s
            .rounds
            .iter()
            .filter(|r| r.state != UnitState::Ingested)
            .map(|r| format!("{} {}", r.use_case, r.state))
            .collect();
        let open = if open.is_empty() { String::new() } else { format!("; {}", open.join(", ")) };
        format!(
            "delivery {} is {}: {} multiframes, {} detections, {} previews, {} open refusals, {} parked{open}",
            s.name, s.state, s.multiframes, s.detections, s.previews, s.open_refusals, s.parked_refusals
        )
    });
    out.lines_of(lines.collect(), None);
    for s in deliveries.iter().take(LINES) {
        explain_pauses(s, setting, out);
        let name = s.name.to_string();
        out.suggestions.push(Suggestion::new("", [Advice::Explain { name }]));
    }
}

fn explain_file(file: &FileFactsheet, setting: &Setting, out: &mut Explanation) {
    let mut line = format!("{}/{} is {}", file.delivery, file.name, help::described(file));
    if let Some(id) = file.multiframe_id {
        line += &match file.kind {
            Some(FileKind::Catalogue) => format!(" of multiframe {id}"),
            _ => format!(", multiframe {id}"),
        };
    }
    match file.replaced_by.as_ref().filter(|_| file.kind == Some(FileKind::Image)) {
        Some(newer) => {
            line += &format!(", superseded by {newer}, the same frame under another file name")
        }
        None if file.superseded && file.replaced_by.is_none() => {
            line += ", superseded by newer content of the same name"
        }
        None => {}
    }
    out.lines.push(line);
    if let Some((delivery, name)) = &file.same_content_as {
        out.lines.push(format!("the content of the file equals that of {delivery}/{name}"));
    }
    explain_partner(file, out);
    explain_companions(file, out);
    if let Some(newer) =
        file.replaced_by.as_ref().filter(|_| file.kind == Some(FileKind::Catalogue))
    {
        out.lines.push(format!("{newer} is newer, and is the catalogue of that image now"));
    }
    if matches!(file.kind, Some(FileKind::Image | FileKind::Catalogue)) {
        out.lines.push(format!(
            "the archive shows {} metadata, {} detections and {} previews of the file",
            if file.has_metadata { "the" } else { "no" },
            file.detections,
            file.previews
        ));
    }
    explain_kept(file, out);
    explain_purges(&file.purged, out);
    explain_ends(file, out);
    for round in &file.rounds {
        let outcome = if round.outcome.is_empty() { "not done yet" } else { &round.outcome };
        out.lines
            .push(format!("{} round {} ({}): {outcome}", round.use_case, round.round, round.state));
    }
    for (use_case, why) in &file.redo {
        out.lines.push(format!("{} is due for {use_case} again: {why}", file.name));
        if let Ok(use_case) = use_case.parse() {
            out.suggestions.push(step(use_case, &file.delivery, setting));
        }
    }
    explain_waiting_of(file, setting, out);
    if file.kind == Some(FileKind::Image) && !file.superseded && file.rounds.is_empty() {
        out.lines.push("no round contains the image yet".to_owned());
        let paused = setting
            .standing
            .iter()
            .find(|s| s.is_stop() && s.subject.covers(&file.delivery, None, UseCase::Metadata));
        out.suggestions.push(match paused {
            Some(pause) => {
                out.lines.push(pause.to_string());
                Suggestion::new("", [Advice::Resume { target: pause.subject.target() }])
            }
            None => step(UseCase::Metadata, &file.delivery, setting),
        });
    }
    help::explain_refusals(&file.refusals, None, setting, out);
    help::explain_refusals(&file.refused_partner, None, setting, out);
}

/// Explains the products that the frame of a file keeps despite a newer frame, or that an older frame keeps despite the file's.
fn explain_kept(file: &FileFactsheet, out: &mut Explanation) {
    for kept in &file.kept {
        let KeptProduct { delivery, newer_delivery, newer_file, file: name, .. } = kept;
        let (product, reason) = (kept.part(), kept.reason());
        let (stays, stay) = match kept.use_case.product().is_plural() {
            true => ("stay", "show"),
            false => ("stays", "shows"),
        };
        out.lines.push(match file.multiframe_id == Some(kept.multiframe_id) {
            true if kept.is_of_own_catalogue() => {
                format!("the older {product} of the image {stays} current: {reason}")
            }
            true => format!(
                "the {product} of the image {stays} current despite the newer frame {newer_delivery}/{newer_file}, multiframe {}: {reason}",
                kept.newer_multiframe_id
            ),
            false => format!(
                "the {product} of {delivery}/{name}, multiframe {}, {stay} in place of this image: {reason}",
                kept.multiframe_id
            ),
        });
        let text = format!("ends the older {} nevertheless", kept.product());
        let end = Advice::SupersedeFile {
            delivery: newer_delivery.clone(),
            file: newer_file.clone(),
            use_case: kept.use_case,
        };
        out.suggestions.push(Suggestion::new(text, [end]));
    }
}

fn explain_partner(file: &FileFactsheet, out: &mut Explanation) {
    match (file.kind, &file.partner) {
        (Some(FileKind::Catalogue), Some(image)) => {
            out.lines.push(format!("the catalogue belongs to image {image}"))
        }
        (Some(FileKind::Catalogue), None) => {
            let of_image = file.refusals.iter().find_map(ambiguous_image);
            out.lines.push(match of_image {
                Some(image) => format!("the catalogue is one of several of image {image}"),
                None => "the image of the catalogue has not arrived".to_owned(),
            })
        }
        (Some(FileKind::Image), Some(catalogue)) => {
            let is_same = *catalogue == file.name;
            let catalogue = if is_same { "in the same file" } else { catalogue };
            out.lines.push(match &file.catalogue_refused {
                Some(r) => format!(
                    "the catalogue of the image is {catalogue}, which was refused (refusal {}: {})",
                    r.refusal_id, r.refusal.code
                ),
                None => format!("the catalogue of the image is {catalogue}"),
            });
        }
        (Some(FileKind::Image), None) => out.lines.push(match file.refused_partner.first() {
            Some(r) => format!(
                "the catalogue {} of the image was refused (refusal {}: {})",
                r.refusal.file, r.refusal_id, r.refusal.code
            ),
            None => "the image has no catalogue".to_owned(),
        }),
        _ => {}
    }
}

/// Explains the files that belong to an image, and the images that a file belongs to.
fn explain_companions(file: &FileFactsheet, out: &mut Explanation) {
    for companion in &file.companions {
        let CompanionFile { role, name, multiframe_id, has_arrived } = companion;
        out.lines.push(match (multiframe_id, has_arrived) {
            (Some(id), _) => format!("the {role} of the image is {name}, multiframe {id}"),
            (None, true) => format!("the {role} of the image is {name}"),
            (None, false) => {
                format!("the {role} of the image would be {name}, which has not arrived")
            }
        });
    }
    for (role, image) in &file.companion_of {
        out.lines.push(format!("the file is the {role} of image {image}"));
    }
}

/// Returns the image of a catalogue that is refused because the image has several.
fn ambiguous_image(record: &RefusalRecord) -> Option<&String> {
    let is_ambiguous = record.refusal.code == RefusalCode::CATALOGUE_AMBIGUOUS
        && record.state != RefusalState::Resolved;
    record.refusal.subject.as_ref().filter(|_| is_ambiguous)
}

fn explain_object(object: &ObjectFactsheet, out: &mut Explanation) {
    let ObjectFactsheet { obj_id, programme, .. } = object;
    let programme = programme.as_deref().unwrap_or_default();
    match &object.detector {
        Some((delivery, file, multiframe, ext_num)) => {
            out.lines.push(format!(
                "object {obj_id} of programme {programme} is a detection of {delivery}/{file}, multiframe {multiframe} \
                 extension {ext_num}"
            ));
            let name = format!("{delivery}/{file}");
            out.suggestions.push(Suggestion::new("explains the frame", [Advice::Explain { name }]));
        }
        None => out.lines.push(match (object.state, &object.why) {
            (RangeState::Abandoned, Some(why)) => format!(
                "object id {obj_id} of programme {programme} was never used: the id was kept for {}, {why}",
                object.round
            ),
            (RangeState::Reserved, _) => format!(
                "object id {obj_id} of programme {programme} is reserved for {}, which is not ingested yet",
                object.round
            ),
            (state, _) => format!(
                "object id {obj_id} of programme {programme} belongs to {}, which is {state}; no row has it",
                object.round
            ),
        }),
    }
    match &object.end {
        Some(end) => explain_end("the rows", end, object.state == RangeState::Retracted, out),
        None if object.detector.is_some() => {
            out.lines.push("the archive shows the object".to_owned())
        }
        None => {
            let name = object.delivery.to_string();
            out.suggestions.push(Suggestion::new("", [Advice::Explain { name }]));
        }
    }
}

fn explain_position(position: &PositionFactsheet, out: &mut Explanation) {
    let PositionFactsheet { ra_deg, dec_deg, current, ended, .. } = position;
    if current + ended == 0 {
        out.lines.push(format!(
            "position {ra_deg} {dec_deg} (ICRS, degrees) is on no detector of this archive"
        ));
        return;
    }
    out.lines.push(format!(
        "position {ra_deg} {dec_deg} (ICRS, degrees) is on {current} detectors that the archive shows, and on {ended} \
         that it no longer shows"
    ));
    for d in &position.detectors {
        let place = format!(
            "{}/{} multiframe {} extension {}",
            d.delivery, d.file, d.multiframe_id, d.ext_num
        );
        match &d.end {
            None => out.lines.push(format!("{place}: {} detections", d.detections)),
            Some(end) => explain_end(&format!("{place}: the rows"), end, true, out),
        }
    }
    let more = (current + ended).saturating_sub(position.detectors.len() as u64);
    if more > 0 {
        out.lines.push(format!("… and {more} older detectors; --limit N shows more"));
    }
    if let Some(d) = position.detectors.first() {
        let name = format!("{}/{}", d.delivery, d.file);
        out.suggestions
            .push(Suggestion::new("explains the latest frame", [Advice::Explain { name }]));
    }
}

/// Formats a refusal as one line.
pub(crate) fn refusal_in_words(record: &RefusalRecord) -> String {
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
