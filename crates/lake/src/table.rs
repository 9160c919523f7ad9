//! A lake table: its names, numbers, key and index, from the definition in `model::tables`.

use super::schema::LakeSchema;
use super::{CatalogId, LakeError};
use model::tables::{ColumnType, LakeLayout, SkyColumns, Table};
use model::{BatchId, ProgrammeId};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The column of the owner of a row, which every lake table has.
pub const PROGRAMME_ID: &str = "programme_id";
/// The column of the event that published a row, which every lake table has.
pub const BEGIN_EVENT: &str = "begin_event";
/// The number of a row of a table without ids: in the index, and on a server a column beside those of the definition.
const ROW_NUMBER: &str = "row_number";
/// Number of rows that a batch may have of one programme in a table without ids.
const ROWS_OF_BATCH: i64 = 1 << 32;

/// A lake table, made of a definition that was checked.
#[derive(Clone, Debug)]
pub struct LakeTable {
    definition: Arc<Table>,
    layout: LakeLayout,
    /// Descriptions of the columns of the range key.
    key_comments: Vec<String>,
}

impl PartialEq for LakeTable {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.layout == other.layout
    }
}

impl Eq for LakeTable {}

/// Returns the lake tables that `model::tables` defines, in the order of their definitions.
///
/// # Panics
/// When a definition, which is part of the program, contradicts itself.
pub fn tables() -> &'static [LakeTable] {
    static TABLES: OnceLock<Vec<LakeTable>> = OnceLock::new();
    TABLES.get_or_init(|| {
        let defined = model::tables::tables().iter().filter(|table| table.lake.is_some());
        let tables = defined.map(LakeTable::of).collect::<Result<_, _>>();
        tables.expect("the definitions of the program's own lake tables are sound")
    })
}

/// Returns the table `detection`.
///
/// # Panics
/// When `detection` is not defined as a lake table; the definition is part of the program.
pub fn detection() -> &'static LakeTable {
    let table = tables().iter().find(|table| table.name() == "detection");
    table.expect("detection is defined as a lake table")
}

impl LakeTable {
    /// Makes the lake table of a definition.
    ///
    /// # Errors
    /// [`LakeError::Definition`] when the definition is not that of a lake table, or lacks a column that its layout
    /// names, or has one of another type.
    pub fn of(table: &Table) -> Result<Self, LakeError> {
        let misfit = |reason| LakeError::Definition { table: table.name.clone(), reason };
        let layout = table
            .lake
            .clone()
            .ok_or_else(|| misfit("the definition has no lake layout".to_owned()))?;
        check(table, &layout).map_err(misfit)?;
        let key_columns = layout.range_key.iter().filter_map(|name| table.column(name));
        let key_comments = key_columns
            .map(|c| c.description.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        Ok(Self { definition: Arc::new(table.clone()), layout, key_comments })
    }

    /// Returns the name of the table of current rows.
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// Returns the definition.
    pub fn definition(&self) -> &Table {
        &self.definition
    }

    /// Returns the columns with the types of the lake.
    ///
    /// # Errors
    /// [`LakeError::Definition`] when a column has a type that the lake has not.
    pub fn schema(&self) -> Result<LakeSchema, LakeError> {
        LakeSchema::of(&self.definition)
    }

    /// Returns the name of the companion that shows every row; `None` for a table without history.
    pub fn companion(&self) -> Option<String> {
        self.layout.history.as_ref().map(|_| format!("{}_all", self.name()))
    }

    /// Returns the layout.
    pub fn layout(&self) -> &LakeLayout {
        &self.layout
    }

    /// Returns the name of the ids that ingest assigns, or of the numbers of rows in a table without ids.
    pub fn id(&self) -> &str {
        self.layout.id.as_deref().unwrap_or(ROW_NUMBER)
    }

    /// Returns the column of row numbers that a server has beside those of the definition; `None` for a table with ids.
    pub fn row_number(&self) -> Option<&'static str> {
        self.layout.id.is_none().then_some(ROW_NUMBER)
    }

    /// Returns the number before that of the first row of a batch, in a table without ids; `None` for a table whose ids come from a
    /// counter.
    pub fn base_of(&self, batch: BatchId) -> Option<i64> {
        self.layout.id.is_none().then(|| batch.get().saturating_mul(ROWS_OF_BATCH))
    }

    /// Returns the batch of a file of the table, from its name.
    pub fn batch_of(&self, file_name: &str) -> Option<BatchId> {
        file_name.strip_prefix(&self.layout.file_prefix)?.split('-').next()?.parse().ok()
    }

    /// Returns the name of the index of row ranges.
    pub fn index(&self) -> &str {
        &self.layout.index
    }

    /// Returns the column of the index with the id of a range's first row, e.g. `first_obj_id`.
    pub fn first_id(&self) -> String {
        format!("first_{}", self.id())
    }

    /// Returns the columns of the range key.
    pub fn range_key(&self) -> &[String] {
        &self.layout.range_key
    }

    /// Returns the columns of the position on the sky, if the table has any.
    pub fn sky(&self) -> Option<&SkyColumns> {
        self.layout.sky.as_ref()
    }

    /// Returns the directory of its files, given the lake's.
    pub fn directory(&self, lake_dir: &Path) -> PathBuf {
        lake_dir.join(self.path())
    }

    /// Returns the directory of its files below the lake's, as DuckLake writes table paths.
    pub fn path(&self) -> String {
        format!("{}/", self.name())
    }

    /// Returns the name of the file of a batch and programme. Batch numbers are never reused, so neither are names; and
    /// no two tables have files of one name.
    pub fn file_name(&self, batch: BatchId, programme_id: ProgrammeId) -> String {
        format!("{}{batch:08}-programme{programme_id}.parquet", self.layout.file_prefix)
    }

    /// Returns the `table_id` of the table of current rows in the lake's catalogue.
    pub fn current_table(&self) -> CatalogId {
        CatalogId::of_table(self.layout.number)
    }

    /// Returns the `table_id` of the companion; `None` for a table without history.
    pub fn all_table(&self) -> Option<CatalogId> {
        self.layout.history.as_ref().map(|_| self.current_table().next())
    }

    /// Returns the `table_id` under which each file has one entry that never ends: the companion's, if there is one.
    pub fn lasting_table(&self) -> CatalogId {
        self.all_table().unwrap_or_else(|| self.current_table())
    }

    /// Returns `table_id`, name and UUID of the tables in the lake's catalogue.
    pub(crate) fn catalogue_tables(&self) -> Vec<(CatalogId, String, String)> {
        let uuid = |id: CatalogId| format!("a11ace00-0001-4000-8000-{:012x}", id.get());
        let current = self.current_table();
        let mut tables = vec![(current, self.name().to_owned(), uuid(current))];
        if let Some((id, name)) = self.all_table().zip(self.companion()) {
            tables.push((id, name, uuid(id)));
        }
        tables
    }

    /// Returns the condition that a row of the index has a range key, whose values are parameters from number `first`.
    pub fn key_condition(&self, first: usize) -> String {
        let columns = self.layout.range_key.iter().enumerate();
        let equal: Vec<String> =
            columns.map(|(i, column)| format!("{column} = ?{}", first + i)).collect();
        equal.join(" AND ")
    }

    /// Returns the condition that a row of the index, under the name or alias `range`, is that of a row of the table, under `row`.
    pub fn row_condition(&self, range: &str, row: &str) -> String {
        let key = self.layout.range_key.iter().map(String::as_str);
        let of_event = [BEGIN_EVENT, PROGRAMME_ID].into_iter();
        let columns = key.chain(of_event).chain(self.layout.version.as_deref());
        let equal: Vec<String> =
            columns.map(|column| format!("{range}.{column} = {row}.{column}")).collect();
        equal.join(" AND ")
    }

    /// Returns the statements that create the index of row ranges, if it does not exist.
    pub fn index_ddl(&self) -> String {
        let (LakeLayout { plural, index, .. }, id) = (&self.layout, self.id());
        let key = self.layout.range_key.join(", ");
        let version = self.layout.version.as_deref();
        let shared = version.map_or_else(|| key.clone(), |version| format!("{key}, {version}"));
        let mut sql = format!(
            "-- Locations of the {plural} of equal {shared}, and whether they are current:\n\
             -- the access path of every search. Written by `lake::Publication` alone.\n\
             CREATE TABLE IF NOT EXISTS {index} (\n    \
             programme_id INTEGER NOT NULL CHECK (programme_id >= 1), -- owner of the rows\n    \
             first_{id} INTEGER NOT NULL CHECK (first_{id} >= 1), -- {id} of the first row; the others follow\n    \
             rows INTEGER NOT NULL CHECK (rows >= 1), -- number of rows\n"
        );
        for (column, comment) in self.layout.range_key.iter().zip(&self.key_comments) {
            let _ =
                writeln!(sql, "    {column} INTEGER NOT NULL CHECK ({column} >= 1), -- {comment}");
        }
        if let Some(column) = version {
            let _ = writeln!(
                sql,
                "    {column} INTEGER NOT NULL CHECK ({column} >= 1), -- version of the input"
            );
        }
        sql += "    file_id INTEGER NOT NULL, -- data_file_id in the lake's catalogue, of the entry that never ends
    file_row INTEGER NOT NULL CHECK (file_row >= 0), -- first row in the file, from 0
    begin_event INTEGER NOT NULL CHECK (begin_event >= 1), -- event that published the rows
    end_event INTEGER CHECK (end_event >= begin_event), -- event that ended them; NULL = current\n";
        let mut constraints = format!("    PRIMARY KEY (programme_id, first_{id})");
        if self.layout.sky.is_some() {
            sql += "    centre_healpix29 INTEGER CHECK (centre_healpix29 >= 0), -- cell of the centre of the circle below
    radius_deg REAL CHECK (radius_deg >= 0), -- radius of a circle that holds every position
    radius_class INTEGER, -- least k >= -12 with radius_deg <= 2^k\n";
            constraints += ",\n    CHECK ((centre_healpix29 IS NULL) = (radius_deg IS NULL) \
                AND (radius_deg IS NULL) = (radius_class IS NULL))";
        }
        let _ =
            writeln!(sql, "{constraints}\n) STRICT; -- with rowid: DuckDB's scanner counts by it");
        let current = "WHERE end_event IS NULL";
        let ended = "WHERE end_event IS NOT NULL";
        let mut add = |kind: &str, name: &str, of: &str| {
            let _ = writeln!(sql, "CREATE {kind} IF NOT EXISTS {index}_{name} ON {index} {of};");
        };
        add("INDEX", "key", &format!("({shared})"));
        add("UNIQUE INDEX", "current", &format!("({key}, programme_id) {current}"));
        add("UNIQUE INDEX", "file", "(file_id, file_row)");
        if self.layout.sky.is_some() {
            add("INDEX", "sky", "(radius_class, centre_healpix29)");
        }
        add("INDEX", "ended", &format!("(file_id, file_row, rows) {ended}"));
        sql
    }
}

/// Checks that the columns of a layout are those of its table.
fn check(table: &Table, layout: &LakeLayout) -> Result<(), String> {
    use ColumnType::{F64, I16, I32, I64};
    let of_type = |name: &str, kinds: &[ColumnType], nullable: bool| match table.column(name) {
        None => Err(format!("column {name} is missing")),
        Some(column) if !kinds.contains(&column.kind) => {
            Err(format!("column {name} has another type than one of {kinds:?}"))
        }
        Some(column) if column.nullable && !nullable => Err(format!("column {name} may be NULL")),
        Some(_) => Ok(()),
    };
    match &layout.id {
        Some(id) => of_type(id, &[I64], false)?,
        None if table.column(ROW_NUMBER).is_some() => {
            return Err(format!("a table without ids has a column {ROW_NUMBER}"));
        }
        None => {}
    }
    of_type(PROGRAMME_ID, &[I32, I64], false)?;
    of_type(BEGIN_EVENT, &[I64], true)?;
    for name in layout.range_key.iter().chain(&layout.version) {
        of_type(name, &[I16, I32, I64], false)?;
    }
    if let Some(sky) = &layout.sky {
        of_type(&sky.ra, &[F64], true)?;
        of_type(&sky.dec, &[F64], true)?;
    }
    let numbers = [I16, I32, I64, ColumnType::F32, F64];
    for name in layout.statistics.iter().chain(&layout.sort) {
        of_type(name, &numbers, true)?;
    }
    for name in &layout.row_key {
        of_type(name, &[I16, I32, I64], true)?;
    }
    for name in layout.id.as_deref().into_iter().chain([PROGRAMME_ID]) {
        if !layout.statistics.iter().any(|column| column == name) {
            return Err(format!("column {name} has no statistics"));
        }
    }
    match layout {
        _ if layout.range_key.is_empty() => Err("the range key has no column".to_owned()),
        LakeLayout { number: 0, .. } => Err("tables are numbered from 1".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_index_of_detections_is_that_of_the_first_schema() {
        assert_eq!(detection().index_ddl(), super::super::DETECTOR_ROWS_DDL);
    }

    #[test]
    fn no_two_tables_share_names_or_numbers() {
        let mut seen = HashSet::new();
        for table in tables() {
            let layout = table.layout();
            for name in
                [layout.number.to_string(), layout.file_prefix.clone(), layout.index.clone()]
            {
                assert!(seen.insert(name.clone()), "{} has {name}, as another table", table.name());
            }
        }
    }

    #[test]
    fn definitions_that_contradict_themselves_are_refused() {
        let good = model::tables::table("detection").unwrap();
        type Change = fn(&mut LakeLayout);
        let cases: [(Change, &str); 7] = [
            (|l| l.id = Some("id".to_owned()), "column id is missing"),
            (|l| l.id = Some("ra".to_owned()), "column ra has another type than one of [I64]"),
            (|l| l.range_key = vec!["filter_id".to_owned()], "column filter_id may be NULL"),
            (|l| l.range_key.clear(), "the range key has no column"),
            (|l| l.sort = vec!["none".to_owned()], "column none is missing"),
            (|l| l.statistics.clear(), "column obj_id has no statistics"),
            (|l| l.number = 0, "tables are numbered from 1"),
        ];
        for (change, wanted) in cases {
            let mut table = good.clone();
            change(table.lake.as_mut().unwrap());
            let fault = LakeTable::of(&table).unwrap_err().to_string();
            assert_eq!(
                fault,
                format!("the definition of the lake table detection is wrong: {wanted}")
            );
        }
        let rows = model::tables::table("multiframe").unwrap();
        assert!(
            LakeTable::of(rows)
                .unwrap_err()
                .to_string()
                .ends_with("the definition has no lake layout")
        );
    }
}
