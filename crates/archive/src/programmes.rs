//! Programmes: surveys or projects that own detections.

use crate::error::{ArchiveError, ArchiveFault};
use crate::history::{self, Cause};
use crate::metadata::reference::{Cell, ReferenceRows, load_reference};
use crate::refusals::{self, RefusalRecord};
use crate::{Archive, Reader, Timestamp};
use engine::{Connection, Optional};
use model::{ProgrammeId, ProgrammeName, UseCase};

/// A programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programme {
    /// Identity.
    pub programme_id: ProgrammeId,
    /// Short name.
    pub name: ProgrammeName,
    /// PROJECT text that identifies the programme.
    pub project: String,
}

impl Reader {
    /// Lists the current programmes, by id.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn programmes(&self) -> Result<Vec<Programme>, ArchiveError> {
        self.read("list programmes", programmes)
    }
}

impl Archive {
    /// Adds a programme, or finds the one of the same name and PROJECT, and releases the parked refusals for which `releases`
    /// returns true. Returns the programme's id and the number of released refusals.
    ///
    /// # Errors
    /// [`ArchiveError`], a conflict among them when the name belongs to another PROJECT.
    pub fn add_programme(
        &mut self,
        name: &ProgrammeName,
        project: &str,
        releases: &dyn Fn(&RefusalRecord) -> bool,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(ProgrammeId, u64), ArchiveError> {
        let products = self.site.products();
        self.write("programme", format!("add programme {name}"), |tx| {
            add_programme(tx, products, (name, project), releases, cause, now)
        })
    }
}

/// Implements [`crate::Archive::add_programme`].
pub(crate) fn add_programme(
    tx: &Connection,
    products: &[UseCase],
    (name, project): (&ProgrammeName, &str),
    releases: &dyn Fn(&RefusalRecord) -> bool,
    cause: &Cause,
    now: Timestamp,
) -> Result<(ProgrammeId, u64), ArchiveFault> {
    let known: Option<(i32, String)> = tx
        .query_row(
            "SELECT programme_id, project FROM programme WHERE name = ?1",
            [name.as_str()],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .optional()?;
    let number = match known {
        Some((number, known)) if known.eq_ignore_ascii_case(project) => i64::from(number),
        Some((_, known)) => {
            return Err(ArchiveFault::Conflict(format!(
                "programme {name} exists already, with PROJECT {known:?}"
            )));
        }
        None => {
            let number = history::next(tx, "programme")?;
            let rows = ReferenceRows {
                table: "programme".to_owned(),
                columns: ["programme_id", "name", "project"].map(str::to_owned).to_vec(),
                rows: vec![vec![
                    Cell::Integer(number),
                    Cell::Text(name.to_string()),
                    Cell::Text(project.to_owned()),
                ]],
            };
            load_reference(tx, &[rows], cause, now)?;
            number
        }
    };
    let id = i32::try_from(number).ok().and_then(ProgrammeId::new);
    let id = id.ok_or_else(|| ArchiveFault::Damaged(format!("{number} is not a programme id")))?;
    let cause = Cause::new(cause.who.clone(), format!("programme {name} was added"));
    Ok((id, refusals::release(tx, products, releases, &cause, now)?))
}

/// Implements [`crate::Reader::programmes`].
pub(crate) fn programmes(c: &Connection) -> Result<Vec<Programme>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT programme_id, name, project FROM programme ORDER BY programme_id",
    )?;
    let rows = select.query_map([], |r| Ok((r.get::<i32>(0)?, r.name(1)?, r.get(2)?)))?;
    let mut programmes = Vec::new();
    for row in rows {
        let (id, name, project) = row?;
        let programme_id = ProgrammeId::new(id)
            .ok_or_else(|| ArchiveFault::Damaged(format!("{id} is not a programme id")))?;
        programmes.push(Programme { programme_id, name, project });
    }
    Ok(programmes)
}
