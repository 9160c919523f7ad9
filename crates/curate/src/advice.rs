//! Recommended commands as this process prints them: with the site of its command line.

use archive::explain::sheets::DeliveryFactsheet;
use archive::planning::Standing;
use model::Advice;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

static SITE: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Notes the site that the command line named. A site of the environment, or the working directory, needs no option.
pub fn note_site(named: Option<&Path>) {
    let words = named.map(|site| vec!["--site".to_owned(), site.to_string_lossy().into_owned()]);
    *SITE.write().unwrap_or_else(PoisonError::into_inner) = words.unwrap_or_default();
}

/// Returns true when the command line named no site.
pub fn is_site_unnamed() -> bool {
    SITE.read().unwrap_or_else(PoisonError::into_inner).is_empty()
}

/// Returns a recommended command in the form that a shell takes.
pub fn command(advice: &Advice) -> String {
    advice.command(&SITE.read().unwrap_or_else(PoisonError::into_inner))
}

/// Returns the message about a delivery with retracted rounds, with the commands that show or redo them; `None` when none are
/// retracted.
pub fn of_retracted(sheet: &DeliveryFactsheet) -> Option<String> {
    let commands = commands(&archive::explain::restoration(sheet)?.commands);
    let name = &sheet.status.name;
    Some(match sheet.can_come_back {
        true => format!("rounds of {name} are retracted; to show them again: {commands}"),
        false => format!("rounds of {name} were retracted and purged; to redo them: {commands}"),
    })
}

/// Returns recommended commands in the order in which they are run, as one text.
pub fn commands(advice: &[Advice]) -> String {
    advice.iter().map(|one| format!("`{}`", command(one))).collect::<Vec<_>>().join(", then ")
}

/// Returns the command that ends an instruction.
pub fn resume_of(standing: &Standing) -> Advice {
    let target = match standing.plan_id {
        Some(plan) => model::advice::Target::Plan(plan),
        None => standing.subject.target(),
    };
    Advice::Resume { target }
}
