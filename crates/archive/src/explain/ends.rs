//! Why rows are no longer shown: ended by a newer version, a retraction or a decision, or purged. Start at [`explain_end`].

use super::sheets::{Ending, FileFactsheet, SupersessionDecision, UndoneDecision};
use super::{Explanation, Suggestion, utc};
use crate::history::Cause;
use crate::retraction::purge::PurgedRound;
use model::Advice;

/// Explains which rounds were permanently deleted, by whom and why.
pub(super) fn explain_purges(purged: &[PurgedRound], out: &mut Explanation) {
    let line = |purged: &PurgedRound| {
        let PurgedRound { use_case, round, purged, cause } = purged;
        let Cause { who, why } = cause;
        format!("{use_case} round {round} was purged on {} by {who}: {why}", utc(*purged))
    };
    out.lines_of(purged.iter().map(line).collect(), None);
}

/// Explains why rows of a file ended; detections and previews only where they did not end with the metadata.
pub(super) fn explain_ends(file: &FileFactsheet, out: &mut Explanation) {
    if let Some(end) = &file.metadata_end {
        explain_end("the metadata", end, file.can_come_back, out);
    }
    let ends = [("the detections", &file.detections_end), ("the previews", &file.previews_end)];
    let is_explained = |end: &Ending| match (&file.metadata_end, &end.supersession) {
        (Some(metadata), Some(decision)) => metadata.supersession.as_ref() == Some(decision),
        (Some(metadata), None) => metadata == end,
        (None, _) => false,
    };
    for (what, end) in ends {
        if let Some(end) = end.as_ref().filter(|end| !is_explained(end)) {
            explain_end(what, end, file.can_come_back, out);
        }
    }
    if let Some(decision) = &file.superseded_detectors {
        explain_decision(&detections_of(&decision.ext_nums), decision, out);
    }
    for decision in &file.undone_decisions {
        let UndoneDecision { event, undone_event, .. } = decision;
        let (of, when) = (detections_of(&decision.ext_nums), utc(decision.happened));
        let Cause { who, why } = &decision.cause;
        out.lines.push(format!(
            "{of} were ended by decision of {who} in event {event} on {when}: {why}"
        ));
        let (Cause { who, why }, when) = (&decision.undo_cause, utc(decision.undone));
        out.lines.push(format!(
            "the decision of event {event} about {of} was undone by {who} in event {undone_event} on {when}: {why}"
        ));
    }
}

fn detections_of(ext_nums: &[i64]) -> String {
    let numbers: Vec<String> = ext_nums.iter().map(ToString::to_string).collect();
    format!("the detections of ext_num {}", numbers.join(", "))
}

/// Explains why rows are no longer shown.
pub(super) fn explain_end(what: &str, end: &Ending, can_come_back: bool, out: &mut Explanation) {
    if let Some(decision) = &end.supersession {
        return explain_decision(what, decision, out);
    }
    let (event, when) = (end.event, utc(end.happened));
    let newer = end.successor.as_ref().map(|(delivery, file, multiframe)| {
        (format!("{delivery}/{file}"), format!("by {delivery}/{file}, multiframe {multiframe}"))
    });
    let Ending { act, who, why, delivery, .. } = end;
    match &newer {
        _ if end.is_retraction => {
            out.lines
                .push(format!("{what} were retracted in event {event} on {when} by {who}: {why}"));
            if let Some((_, by_newer)) = &newer {
                out.lines.push(format!("{what} are also superseded {by_newer}"));
            }
        }
        Some((_, by_newer)) => {
            out.lines.push(format!("{what} were superseded in event {event} on {when} {by_newer}"));
        }
        None => out.lines.push(format!(
            "{what} ended in event {event} ({act} of {delivery}) on {when} by {who}: {why}"
        )),
    }
    if end.is_retraction && can_come_back {
        let undo = Advice::RetractUndo { delivery: delivery.clone() };
        out.suggestions.push(Suggestion::new("restores the retracted rows", [undo]));
    }
    if let Some((name, _)) = newer {
        out.suggestions.push(Suggestion::new("explains the successor", [Advice::Explain { name }]));
    }
}

/// Explains an operator's decision that ended rows, with the command that undoes the decision.
fn explain_decision(what: &str, decision: &SupersessionDecision, out: &mut Explanation) {
    let SupersessionDecision { file, event, happened, who, why, newer, .. } = decision;
    let newer_input = match decision.ext_nums.as_slice() {
        [] => format!("the newer frame in {newer}"),
        _ => "the newer catalogue of the image".to_owned(),
    };
    let since = if decision.is_replaced { "; a newer frame has replaced them since" } else { "" };
    out.lines.push(format!(
        "{what} were ended by decision of {who} in event {event} on {}, in favour of {newer_input}: {why}{since}",
        utc(*happened)
    ));
    if decision.is_replaced {
        let name = format!("{newer}/{file}");
        out.suggestions.push(Suggestion::new("explains the successor", [Advice::Explain { name }]));
        return;
    }
    let undo = Advice::SupersedeFileUndo {
        delivery: newer.clone(),
        file: file.clone(),
        use_case: decision.use_case,
    };
    out.suggestions.push(match &decision.retracted {
        None => Suggestion::new("makes these products current again", [undo]),
        Some(delivery) => {
            let restore = Advice::RetractUndo { delivery: delivery.clone() };
            Suggestion::new(
                "restores the retracted rows, and makes these products current again",
                [restore, undo],
            )
        }
    });
}
