//! Links between frames: a header names components and calibration frames, which may be ingested before or after, and
//! replaced by newer content.
//!
//! A link is a column that refers to a multiframe (`flat_id`, `component_multiframe_id`) next to one that holds the name
//! from the header (`flat_name`, `component_name`), in any table with history.

use super::definition::versioned;
use crate::deliveries::provider;
use crate::error::ArchiveFault;
use engine::quoted;
use engine::{Connection, RowAddress, ToSql, Value};
use model::EventId;
use model::tables::Table;
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One kind of link.
struct Link {
    table: &'static Table,
    id: &'static str,
    name: String,
}

impl Link {
    fn all(&self) -> String {
        quoted(&format!("{}_all", self.table.name))
    }
}

fn links() -> Vec<Link> {
    let mut links = Vec::new();
    for table in versioned() {
        let ids = table.columns.iter().filter(|c| {
            c.name != "multiframe_id" && c.references.as_deref() == Some("multiframe.multiframe_id")
        });
        for column in ids {
            let id = column.name.as_str();
            let stem = id.strip_suffix("_multiframe_id").or_else(|| id.strip_suffix("_id"));
            let name = format!("{}_name", stem.unwrap_or(id));
            if table.column(&name).is_some() {
                links.push(Link { table, id, name });
            }
        }
    }
    links
}

/// Creates the indexes that find rows whose linked frame has not arrived yet, and those that refer to a frame.
pub(crate) fn ensure_indexes(tx: &Connection) -> Result<(), ArchiveFault> {
    for link in links() {
        let (all, name, id) =
            (format!("{}_all", link.table.name), quoted(&link.name), quoted(link.id));
        let [waiting, linked] =
            ["waiting", "linked"].map(|kind| format!("{}_{}_{kind}", link.table.name, link.id));
        let by_bytes = tx.dialect().byte_order();
        let of = format!("({name}{by_bytes}) WHERE {id} IS NULL AND end_event IS NULL");
        tx.ensure_index(&waiting, (&all, &of))?;
        let of = format!("({id}) WHERE {id} IS NOT NULL AND end_event IS NULL");
        tx.ensure_index(&linked, (&all, &of))?;
    }
    Ok(())
}

/// Updates the links after an event: those of the frames whose metadata it showed or ended, and those to such frames.
///
/// Names are compared as names of frames ([`model::frame_name()`]): `a.fit` in a header means the frame in `a.fits.gz`. A name
/// means the image of that name in the frame's own delivery; else the current image of another night of the same provider: the
/// one of the delivery registered last before the frame's own delivery, else of the first delivery after it. So a link depends
/// only on the contents of the archive, not on the order in which they were ingested or retracted.
pub(crate) fn relink(tx: &Connection, event: EventId) -> Result<(), ArchiveFault> {
    let changed: bool = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT * FROM product WHERE changed_event = ?1 AND use_case = 'metadata')",
        )?
        .query_row([event.get()], |r| r.get(0))?;
    if !changed {
        return Ok(());
    }
    let mut meanings = ResolvedNames::default();
    let (rivals, borrowers) = (rivals(tx, event, &mut meanings.providers)?, borrowing(tx, event)?);
    for link in &links() {
        let linker = Linker { tx, link, event, row: tx.dialect().row_address() };
        let mut stale: BTreeMap<String, Linked> = BTreeMap::new();
        for sql in [linker.of_shown(), linker.waiting(), linker.to_ended(), linker.to_older()] {
            linker.collect(&sql, params![event.get()], &mut stale)?;
        }
        for rival in &rivals {
            linker.collect(&linker.to_frame(), params![rival], &mut stale)?;
        }
        for delivery in &borrowers {
            linker.collect(&linker.borrowed(), params![delivery], &mut stale)?;
        }
        for linked in stale.into_values() {
            let meaning = meanings.of(tx, &linked)?;
            if meaning != linked.other {
                linker.set(&linked.row, meaning)?;
            }
        }
    }
    Ok(())
}

/// A current row with a link.
struct Linked {
    row: Value,
    multiframe: i64,
    /// Delivery of the row's own frame.
    home: i64,
    name: String,
    other: Option<i64>,
}

/// Returns the current frames whose incoming links may move to a frame that an event showed: those of the same name in the
/// nearest earlier delivery and in the first delivery, and each time also in the next delivery of another night, since a
/// processing of the same night is never linked. The result is empty unless later deliveries are in the archive already.
fn rivals(
    tx: &Connection,
    event: EventId,
    providers: &mut Providers,
) -> Result<BTreeSet<i64>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT DISTINCT file.frame_name, file.delivery_id
         FROM product JOIN image USING (multiframe_id) JOIN file USING (file_id)
         WHERE product.changed_event = ?1 AND product.use_case = 'metadata' AND product.state = 'current'
             AND EXISTS (SELECT * FROM unit WHERE unit.delivery_id > file.delivery_id AND unit.use_case = 'metadata'
                             AND unit.state = 'ingested')
             AND EXISTS (SELECT * FROM file AS other WHERE other.frame_name = file.frame_name
                             AND other.delivery_id <> file.delivery_id)",
    )?;
    let rows = select.query_map([event.get()], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let shown: Vec<(String, i64)> = rows.collect::<Result<_, _>>()?;
    let mut select = tx.prepare_cached(
        "SELECT image.multiframe_id, file.delivery_id, delivery.night
         FROM file JOIN delivery USING (delivery_id) JOIN image ON image.file_id = file.file_id
             JOIN product ON product.multiframe_id = image.multiframe_id
         WHERE file.frame_name = ?1 AND product.use_case = 'metadata' AND product.state = 'current'
         ORDER BY file.delivery_id",
    )?;
    let mut found = BTreeSet::new();
    for (name, own) in shown {
        let rows = select.query_map([name], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        let mut frames: Vec<(i64, i64, Option<i64>)> = Vec::new();
        for row in rows {
            let frame: (i64, i64, Option<i64>) = row?;
            if providers.is_same(tx, own, frame.1)? {
                frames.push(frame);
            }
        }
        let others = || frames.iter().filter(|frame| frame.1 != own);
        nearest(others(), &mut found);
        nearest(others().rev().filter(|frame| frame.1 < own), &mut found);
    }
    Ok(found)
}

/// Adds the frames of the first delivery, and those after it up to the first delivery of another night.
fn nearest<'a>(
    frames: impl Iterator<Item = &'a (i64, i64, Option<i64>)>,
    found: &mut BTreeSet<i64>,
) {
    let mut first: Option<(i64, Option<i64>)> = None;
    let mut second: Option<i64> = None;
    for &(multiframe, delivery, night) in frames {
        match (first, second) {
            (None, _) => first = Some((delivery, night)),
            (Some((nearest, _)), _) if nearest == delivery => {}
            (_, Some(of_other_night)) if of_other_night == delivery => {}
            (_, Some(_)) => break,
            (Some((_, of)), None) if of.is_none() || night == of => {
                // A first frame without night can always be linked, so no further frame is needed. A frame of the first frame's
                // night is excluded whenever the first frame is.
                if of.is_none() {
                    break;
                }
                continue;
            }
            (Some(_), None) => second = Some(delivery),
        }
        found.insert(multiframe);
    }
}

/// Returns the deliveries to which an event added frames that have namesakes elsewhere, while other frames of these deliveries
/// were current before.
///
/// The conditions are evaluated per delivery: within one statement, PostgreSQL reads a new night once for each of its frames.
fn borrowing(tx: &Connection, event: EventId) -> Result<Vec<i64>, ArchiveFault> {
    let mut deliveries = tx.prepare_cached(
        "SELECT DISTINCT file.delivery_id FROM product JOIN image USING (multiframe_id) JOIN file USING (file_id)
         WHERE product.changed_event = ?1 AND product.use_case = 'metadata' AND product.state <> 'retracted'
         ORDER BY file.delivery_id",
    )?;
    let mut has_earlier = tx.prepare_cached(
        "SELECT EXISTS (SELECT * FROM file JOIN image USING (file_id) JOIN product USING (multiframe_id)
                        WHERE file.delivery_id = ?1 AND product.use_case = 'metadata' AND product.state = 'current'
                            AND product.changed_event < ?2)",
    )?;
    let mut has_namesake = tx.prepare_cached(
        "SELECT EXISTS (SELECT * FROM product JOIN image USING (multiframe_id) JOIN file AS named USING (file_id)
                            JOIN file AS other ON other.frame_name = named.frame_name
                            JOIN image AS namesake ON namesake.file_id = other.file_id
                        WHERE product.changed_event = ?2 AND product.use_case = 'metadata' AND product.state <> 'retracted'
                            AND named.delivery_id = ?1 AND other.delivery_id <> ?1)",
    )?;
    let rows = deliveries.query_map([event.get()], |r| r.get(0))?;
    let mut found = Vec::new();
    for delivery in rows.collect::<Result<Vec<i64>, _>>()? {
        if has_earlier.query_row([delivery, event.get()], |r| r.get(0))?
            && has_namesake.query_row([delivery, event.get()], |r| r.get(0))?
        {
            found.push(delivery);
        }
    }
    Ok(found)
}

/// Pairs of deliveries, each with whether one provider delivered both.
#[derive(Default)]
struct Providers {
    known: HashMap<(i64, i64), bool>,
}

impl Providers {
    fn is_same(&mut self, tx: &Connection, one: i64, other: i64) -> Result<bool, ArchiveFault> {
        let key = (one.min(other), one.max(other));
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let is_same = provider::is_same(tx, key.0, key.1)?;
        self.known.insert(key, is_same);
        Ok(is_same)
    }
}

/// The meanings of frame names, by home delivery.
#[derive(Default)]
struct ResolvedNames {
    found: HashMap<(i64, String), Option<i64>>,
    providers: Providers,
}

impl ResolvedNames {
    fn of(&mut self, tx: &Connection, linked: &Linked) -> Result<Option<i64>, ArchiveFault> {
        let key = (linked.home, model::frame_name(&linked.name).to_owned());
        if let Some(found) = self.found.get(&key) {
            return Ok(found.filter(|id| *id != linked.multiframe));
        }
        // Of its own delivery, a frame may also be linked to a superseded image: the frame was made with that one.
        let mut select = tx.prepare_cached(
            "SELECT image.multiframe_id, delivery.delivery_id
             FROM delivery AS home
                 JOIN file ON file.frame_name = ?2
                 JOIN delivery ON delivery.delivery_id = file.delivery_id
                 JOIN image ON image.file_id = file.file_id
                 JOIN product ON product.multiframe_id = image.multiframe_id AND product.use_case = 'metadata'
             WHERE home.delivery_id = ?1
                 AND (delivery.delivery_id = home.delivery_id AND product.state <> 'retracted'
                      OR product.state = 'current' AND (delivery.night IS NULL OR home.night IS NULL
                                                        OR delivery.night <> home.night))
             ORDER BY delivery.delivery_id = home.delivery_id DESC, delivery.delivery_id < home.delivery_id DESC,
                 abs(delivery.delivery_id - home.delivery_id), product.state = 'current' DESC, file.state = 'current' DESC,
                 image.multiframe_id DESC",
        )?;
        let rows = select.query_map(params![key.0, key.1], |r| Ok((r.get(0)?, r.get(1)?)))?;
        let candidates: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
        let mut found = None;
        for (candidate, delivery) in candidates {
            if self.providers.is_same(tx, linked.home, delivery)? {
                found = Some(candidate);
                break;
            }
        }
        self.found.insert(key, found);
        Ok(found.filter(|id| *id != linked.multiframe))
    }
}

struct Linker<'a> {
    tx: &'a Connection,
    link: &'a Link,
    event: EventId,
    row: RowAddress,
}

impl Linker<'_> {
    /// Returns the columns of [`Linked`] of a row `link` whose frame is in `home`.
    fn columns(&self) -> String {
        format!(
            "link.{}, link.multiframe_id, home.delivery_id, link.{}, link.{}",
            self.row.value,
            quoted(&self.link.name),
            quoted(self.link.id)
        )
    }

    /// Returns a query for the current rows that a join onto `link` finds, with their frames' files.
    fn select(&self, joined: &str, condition: &str) -> String {
        format!(
            "SELECT {} FROM {joined}
                 JOIN image AS own ON own.multiframe_id = link.multiframe_id JOIN file AS home ON home.file_id = own.file_id
             WHERE {condition} AND link.end_event IS NULL AND link.{} IS NOT NULL",
            self.columns(),
            quoted(&self.link.name)
        )
    }

    /// Returns a query for rows of the frames that the event showed.
    fn of_shown(&self) -> String {
        let joined = format!(
            "product JOIN {} AS link ON link.multiframe_id = product.multiframe_id",
            self.link.all()
        );
        self.select(
            &joined,
            "product.changed_event = ?1 AND product.use_case = 'metadata' AND product.state = 'current'",
        )
    }

    /// Returns a query for rows that wait for a name of the frames that the event showed, and some that wait for similar names:
    /// those that continue the name of the frame with a dot or a lesser character.
    fn waiting(&self) -> String {
        let (name, by_bytes) = (quoted(&self.link.name), self.tx.dialect().byte_order());
        let joined = format!(
            "product JOIN image AS shown ON shown.multiframe_id = product.multiframe_id
                 JOIN file AS named ON named.file_id = shown.file_id
                 JOIN {} AS link ON link.{name} >= named.frame_name{by_bytes}
                     AND link.{name} < (named.frame_name || '/'){by_bytes}",
            self.link.all(),
        );
        let id = quoted(self.link.id);
        self.select(
            &joined,
            &format!(
                "product.changed_event = ?1 AND product.use_case = 'metadata' AND product.state <> 'retracted'
                     AND link.{id} IS NULL"
            ),
        )
    }

    /// Returns a query for rows that refer to the frames that the event ended.
    fn to_ended(&self) -> String {
        let id = quoted(self.link.id);
        let joined = format!(
            "product JOIN {} AS link ON link.{id} = product.multiframe_id",
            self.link.all()
        );
        self.select(
            &joined,
            &format!(
                "product.changed_event = ?1 AND product.use_case = 'metadata' AND product.state <> 'current'
                     AND link.{id} IS NOT NULL"
            ),
        )
    }

    /// Returns a query for rows that refer to other contents of the names in the deliveries of the frames that the event showed.
    fn to_older(&self) -> String {
        let id = quoted(self.link.id);
        let joined = format!(
            "product JOIN image AS shown ON shown.multiframe_id = product.multiframe_id
                 JOIN file AS named ON named.file_id = shown.file_id
                 JOIN file AS older ON older.delivery_id = named.delivery_id AND older.frame_name = named.frame_name
                     AND older.file_id <> named.file_id
                 JOIN image AS replaced ON replaced.file_id = older.file_id
                 JOIN {} AS link ON link.{id} = replaced.multiframe_id",
            self.link.all()
        );
        self.select(
            &joined,
            &format!(
                "product.changed_event = ?1 AND product.use_case = 'metadata' AND product.state <> 'retracted'
                     AND link.{id} IS NOT NULL"
            ),
        )
    }

    /// Returns a query for rows that refer to one frame.
    fn to_frame(&self) -> String {
        let id = quoted(self.link.id);
        self.select(
            &format!("{} AS link", self.link.all()),
            &format!("link.{id} = ?1 AND link.{id} IS NOT NULL"),
        )
    }

    /// Returns a query for rows of a delivery that refer to another delivery's frame. These include rows that began in the event
    /// because another link of them changed.
    fn borrowed(&self) -> String {
        let id = quoted(self.link.id);
        let joined = format!(
            "file AS of JOIN image AS borrower ON borrower.file_id = of.file_id
                 JOIN {} AS link ON link.multiframe_id = borrower.multiframe_id
                 JOIN image AS lent ON lent.multiframe_id = link.{id}
                 JOIN file AS lender ON lender.file_id = lent.file_id",
            self.link.all()
        );
        self.select(&joined, "of.delivery_id = ?1 AND lender.delivery_id <> ?1")
    }

    fn collect(
        &self,
        sql: &str,
        values: &[&dyn ToSql],
        into: &mut BTreeMap<String, Linked>,
    ) -> Result<(), ArchiveFault> {
        let mut select = self.tx.prepare_cached(sql)?;
        let rows = select.query_map(values, |r| {
            Ok(Linked {
                row: r.get(0)?,
                multiframe: r.get(1)?,
                home: r.get(2)?,
                name: r.get(3)?,
                other: r.get(4)?,
            })
        })?;
        for linked in rows {
            let linked = linked?;
            into.insert(format!("{:?}", linked.row), linked);
        }
        Ok(())
    }

    /// Sets the link of a row. A row of this event is completed in place; an older row ends and a copy with the link begins, so
    /// that the archive as of an earlier event is unchanged.
    fn set(&self, row: &Value, other: Option<i64>) -> Result<(), ArchiveFault> {
        let (all, id) = (self.link.all(), quoted(self.link.id));
        let is_row = self.row.condition;
        let in_place = self
            .tx
            .prepare_cached(&format!(
                "UPDATE {all} SET {id} = ?2 WHERE {is_row} AND begin_event = ?3"
            ))?
            .execute(params![row, other, self.event.get()])?;
        if in_place == 1 {
            return Ok(());
        }
        // The update moves the row to another address in the engine.
        let row: Value = self
            .tx
            .prepare_cached(&format!(
                "UPDATE {all} SET end_event = ?2 WHERE {is_row} RETURNING {}",
                self.row.value
            ))?
            .query_row(params![row, self.event.get()], |r| r.get(0))?;
        let columns: Vec<String> =
            self.link.table.columns.iter().map(|c| quoted(&c.name)).collect();
        let values: Vec<&str> = columns
            .iter()
            .map(|c| if *c == id { "CAST(?2 AS BIGINT)" } else { c.as_str() })
            .collect();
        self.tx
            .prepare_cached(&format!(
                "INSERT INTO {all} ({}, begin_event) SELECT {}, ?3 FROM {all} WHERE {is_row}",
                columns.join(", "),
                values.join(", ")
            ))?
            .execute(params![row, other, self.event.get()])?;
        Ok(())
    }
}
