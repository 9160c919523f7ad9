//! Links between frames: a header names components and calibration frames, which may be ingested before or after, and
//! replaced by newer content.
//!
//! A link is a column that refers to a multiframe (`flat_id`, `component_multiframe_id`) beside one that holds the name
//! from the header (`flat_name`, `component_name`), in any table with history.

use super::definition::{quoted, versioned};
use crate::engine::{Connection, Dialect, Value};
use crate::error::ArchiveFault;
use crate::provider;
use model::EventId;
use model::tables::Table;
use rusqlite::params;
use std::collections::HashMap;

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

/// Makes the indexes that find rows whose other frame has not come yet, and those that refer to a frame.
pub(crate) fn ensure_indexes(tx: &Connection) -> Result<(), ArchiveFault> {
    for link in links() {
        let (all, name, id) = (link.all(), quoted(&link.name), quoted(link.id));
        if tx.dialect() == Dialect::Postgres {
            // Only who owns a table may say IF NOT EXISTS of its indexes.
            let index = format!("{}_{}_linked", link.table.name, link.id);
            let there = "SELECT to_regclass(quote_ident(?1)) IS NOT NULL";
            if tx.query_row(there, [&index], |r| r.get(0))? {
                continue;
            }
        }
        tx.execute_batch(&format!(
            "CREATE INDEX IF NOT EXISTS {} ON {all} ({name}) WHERE {id} IS NULL AND end_event IS NULL;
             CREATE INDEX IF NOT EXISTS {} ON {all} ({id}) WHERE {id} IS NOT NULL AND end_event IS NULL;",
            quoted(&format!("{}_{}_open", link.table.name, link.id)),
            quoted(&format!("{}_{}_linked", link.table.name, link.id)),
        ))?;
    }
    Ok(())
}

/// Links what a metadata batch made linkable: what its own frames name and is there, what named one of its frames and
/// waited, and what referred to older content of one of its frames. Gives the number of links.
pub(crate) fn link(
    tx: &Connection,
    multiframes: &[i64],
    event: EventId,
) -> Result<u64, ArchiveFault> {
    let mut linked = 0;
    for link in &links() {
        let (row, is_row) = match tx.dialect() {
            Dialect::Sqlite => ("rowid", "rowid = ?1"),
            Dialect::Postgres => ("ctid::text", "ctid = ?1::text::tid"),
        };
        let mut linker = Linker {
            tx,
            link,
            event,
            row,
            is_row,
            found: HashMap::new(),
            same_provider: HashMap::new(),
        };
        for &multiframe in multiframes {
            linked += linker.link_from(multiframe)?;
            linked += linker.link_to(multiframe)?;
            linked += linker.move_to(multiframe)?;
        }
    }
    Ok(linked)
}

/// Unlinks what refers to frames of a delivery from outside it; the names stay.
pub(crate) fn unlink(tx: &Connection, delivery: i64, event: EventId) -> Result<(), ArchiveFault> {
    let of =
        "IN (SELECT multiframe_id FROM image JOIN file USING (file_id) WHERE delivery_id = ?1)";
    for link in &links() {
        let (all, id) = (link.all(), quoted(link.id));
        let columns: Vec<String> = link.table.columns.iter().map(|c| quoted(&c.name)).collect();
        let values: Vec<&str> =
            columns.iter().map(|c| if *c == id { "NULL" } else { c.as_str() }).collect();
        tx.execute(
            &format!(
                "UPDATE {all} SET end_event = ?2 WHERE end_event IS NULL AND {id} {of} AND multiframe_id NOT {of}"
            ),
            params![delivery, event.get()],
        )?;
        tx.execute(
            &format!(
                "INSERT INTO {all} ({}, begin_event) SELECT {}, ?2 FROM {all}
                 WHERE end_event = ?2 AND begin_event < ?2 AND {id} {of} AND multiframe_id NOT {of}",
                columns.join(", "),
                values.join(", ")
            ),
            params![delivery, event.get()],
        )?;
    }
    Ok(())
}

struct Linker<'a> {
    tx: &'a Connection,
    link: &'a Link,
    event: EventId,
    /// The engine's own address of a row, and the condition that finds it.
    row: &'static str,
    is_row: &'static str,
    /// What a name means in a delivery.
    found: HashMap<(i64, String), Option<i64>>,
    /// Whether two deliveries come from one provider.
    same_provider: HashMap<(i64, i64), bool>,
}

impl Linker<'_> {
    /// Rows of a frame of this batch whose other frame is there already.
    fn link_from(&mut self, multiframe: i64) -> Result<u64, ArchiveFault> {
        let mut select = self.tx.prepare_cached(&format!(
            "SELECT {row}, {name} FROM {all} WHERE multiframe_id = ?1 AND {name} IS NOT NULL AND {id} IS NULL
                 AND end_event IS NULL",
            row = self.row,
            name = quoted(&self.link.name),
            all = self.link.all(),
            id = quoted(self.link.id)
        ))?;
        let rows = select.query_map([multiframe], |r| Ok((r.get(0)?, r.get(1)?)))?;
        let open: Vec<(Value, String)> = rows.collect::<Result<_, _>>()?;
        let mut linked = 0;
        for (row, name) in open {
            if let Some(other) = self.meaning(multiframe, name)? {
                self.set(&row, other)?;
                linked += 1;
            }
        }
        Ok(linked)
    }

    /// Rows that waited for a frame of this batch.
    fn link_to(&mut self, multiframe: i64) -> Result<u64, ArchiveFault> {
        let mut select = self.tx.prepare_cached(&format!(
            "SELECT open.{}, open.multiframe_id, file.name
             FROM image JOIN file USING (file_id) JOIN {} AS open ON open.{} = file.name
             WHERE image.multiframe_id = ?1 AND open.{} IS NULL AND open.end_event IS NULL",
            self.row,
            self.link.all(),
            quoted(&self.link.name),
            quoted(self.link.id)
        ))?;
        let rows = select.query_map([multiframe], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        let waiting: Vec<(Value, i64, String)> = rows.collect::<Result<_, _>>()?;
        let mut linked = 0;
        for (row, product, name) in waiting {
            if self.meaning(product, name)? == Some(multiframe) {
                self.set(&row, multiframe)?;
                linked += 1;
            }
        }
        Ok(linked)
    }

    /// Rows that refer to what a frame of this batch superseded, but for those of frames that are superseded themselves.
    fn move_to(&mut self, multiframe: i64) -> Result<u64, ArchiveFault> {
        let mut select = self.tx.prepare_cached(&format!(
            "SELECT link.{row}, link.multiframe_id, new.name
             FROM image JOIN file AS new USING (file_id)
                 JOIN file AS old ON old.delivery_id = new.delivery_id AND old.name = new.name
                     AND old.state <> 'current'
                 JOIN image AS replaced ON replaced.file_id = old.file_id
                 JOIN {all} AS link ON link.{id} = replaced.multiframe_id
                 JOIN image AS product ON product.multiframe_id = link.multiframe_id
                 JOIN file AS home ON home.file_id = product.file_id AND home.state = 'current'
             WHERE image.multiframe_id = ?1 AND link.{id} IS NOT NULL AND link.end_event IS NULL",
            row = self.row,
            all = self.link.all(),
            id = quoted(self.link.id)
        ))?;
        let rows = select.query_map([multiframe], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        let stale: Vec<(Value, i64, String)> = rows.collect::<Result<_, _>>()?;
        let mut moved = 0;
        for (row, product, name) in stale {
            if self.meaning(product, name)? == Some(multiframe) {
                self.set(&row, multiframe)?;
                moved += 1;
            }
        }
        Ok(moved)
    }

    /// The visible image that a name means for a frame: one of its own delivery, else of the latest delivery of its provider
    /// that is no other processing of the same night.
    fn meaning(&mut self, product: i64, name: String) -> Result<Option<i64>, ArchiveFault> {
        let home: i64 = self
            .tx
            .prepare_cached(
                "SELECT delivery_id FROM image JOIN file USING (file_id) WHERE multiframe_id = ?1",
            )?
            .query_row([product], |r| r.get(0))?;
        if let Some(found) = self.found.get(&(home, name.clone())) {
            return Ok(found.filter(|id| *id != product));
        }
        let mut select = self.tx.prepare_cached(
            "SELECT image.multiframe_id, delivery.delivery_id
             FROM delivery AS home
                 JOIN file ON file.name = ?2 AND file.state = 'current'
                 JOIN delivery ON delivery.delivery_id = file.delivery_id
                 JOIN image ON image.file_id = file.file_id
             WHERE home.delivery_id = ?1
                 AND (delivery.delivery_id = home.delivery_id OR delivery.night IS NULL OR home.night IS NULL
                      OR delivery.night <> home.night)
                 AND EXISTS (SELECT * FROM multiframe_all AS seen
                             WHERE seen.multiframe_id = image.multiframe_id AND seen.end_event IS NULL)
             ORDER BY delivery.delivery_id = home.delivery_id DESC, delivery.delivery_id DESC",
        )?;
        let rows = select.query_map(params![home, name], |r| Ok((r.get(0)?, r.get(1)?)))?;
        let candidates: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
        let mut found = None;
        for (candidate, delivery) in candidates {
            if self.is_same_provider(home, delivery)? {
                found = Some(candidate);
                break;
            }
        }
        self.found.insert((home, name), found);
        Ok(found.filter(|id| *id != product))
    }

    fn is_same_provider(&mut self, home: i64, delivery: i64) -> Result<bool, ArchiveFault> {
        if let Some(known) = self.same_provider.get(&(home, delivery)) {
            return Ok(*known);
        }
        let is_same = provider::is_same(self.tx, home, delivery)?;
        self.same_provider.insert((home, delivery), is_same);
        Ok(is_same)
    }

    /// A row of this event is completed in place; an older one ends and goes on with its link, so that the archive as of
    /// an earlier event stays as it was.
    fn set(&self, row: &Value, other: i64) -> Result<(), ArchiveFault> {
        let (all, id) = (self.link.all(), quoted(self.link.id));
        let is_row = self.is_row;
        let in_place = self
            .tx
            .prepare_cached(&format!(
                "UPDATE {all} SET {id} = ?2 WHERE {is_row} AND begin_event = ?3"
            ))?
            .execute(params![row, other, self.event.get()])?;
        if in_place == 1 {
            return Ok(());
        }
        // Where the engine keeps an updated row is another place than before.
        let row: Value = self
            .tx
            .prepare_cached(&format!(
                "UPDATE {all} SET end_event = ?2 WHERE {is_row} RETURNING {}",
                self.row
            ))?
            .query_row(params![row, self.event.get()], |r| r.get(0))?;
        let columns: Vec<String> =
            self.link.table.columns.iter().map(|c| quoted(&c.name)).collect();
        let values: Vec<&str> =
            columns.iter().map(|c| if *c == id { "?2" } else { c.as_str() }).collect();
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
