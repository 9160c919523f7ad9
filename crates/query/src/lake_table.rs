//! Lake tables and their companions as virtual tables of SQLite, e.g. `detection` and `detection_all`.
//!
//! Planning ([`VirtualTable::best_index`]) only reports the conditions that the table takes over, and their cost; the
//! lookup in the index of row ranges happens when values are known ([`TableCursor::filter`]), so joins repeat the lookup
//! for each row of the other table.

use super::access::{Search, look_up};
use super::cone_hint;
use super::constraint::{Comparison, Scalar, Wanted};
use super::plan::{Condition, Plan, Test};
use super::scan::{Cell, Filter, Filters as RowFilters, Scan};
use super::shared::{LakeShare, Role};
use lake::LakeError;
use model::one_line;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::ValueRef;
use rusqlite::vtab::{
    Context, CreateVTab, Filters, IndexConstraintOp, IndexInfo, VTab, VTabConnection, VTabCursor,
    VTabKind, sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, Error, Result};
use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

/// A virtual table. The first field belongs to SQLite.
#[repr(C)]
pub(crate) struct VirtualTable {
    base: sqlite3_vtab,
    db: Rc<Connection>,
    share: Arc<LakeShare>,
    ended_too: bool,
}

/// A cursor over a [`VirtualTable`]. The first field belongs to SQLite.
#[repr(C)]
pub(crate) struct TableCursor {
    base: sqlite3_vtab_cursor,
    db: Rc<Connection>,
    share: Arc<LakeShare>,
    ended_too: bool,
    scan: Option<Scan>,
}

// SAFETY: the struct is `repr(C)` and begins with `sqlite3_vtab`.
unsafe impl VTab<'_> for VirtualTable {
    type Aux = Arc<LakeShare>;
    type Cursor = TableCursor;

    fn connect(
        db: &mut VTabConnection,
        aux: Option<&Self::Aux>,
        _module: &[u8],
        _database: &[u8],
        _table: &[u8],
        args: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        let share = Arc::clone(aux.ok_or_else(|| fault("the module was made without its lake"))?);
        let mut declaration = "CREATE TABLE x(".to_owned();
        for (i, column) in share.columns.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let name = column.name.replace('"', "\"\"");
            let _ = write!(declaration, "{comma}\"{name}\" {}", column.declared);
        }
        declaration.push(')');
        let declaration = CString::new(declaration).map_err(fault)?;
        // SAFETY: SQLite disconnects its virtual tables before it closes the connection, so the handle outlives
        // this table; the new `Connection` does not own it.
        let connection = unsafe { Connection::from_handle(db.handle())? };
        let table = Self {
            base: sqlite3_vtab::default(),
            db: Rc::new(connection),
            share,
            ended_too: args == [b"all".as_slice()],
        };
        Ok((Cow::Owned(declaration), table))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let mut plan = Plan::default();
        let offered: Vec<(usize, c_int, IndexConstraintOp)> = info
            .constraints()
            .enumerate()
            .filter(|(_, c)| c.is_usable())
            .map(|(i, c)| (i, c.column(), c.operator()))
            .collect();
        let mut arguments = 0;
        for (i, column, operator) in offered {
            let Some(column) =
                usize::try_from(column).ok().filter(|&c| c < self.share.columns.len())
            else {
                continue;
            };
            let Some(mut test) = self.test(column, &operator) else { continue };
            if test == Test::Compare(Comparison::Equal) && info.set_in_constraint(i, true)? {
                test = Test::OneOf;
            }
            if test.takes_value() {
                arguments += 1;
                info.constraint_usage(i).set_argv_index(arguments);
            }
            info.constraint_usage(i).set_omit(true);
            plan.conditions.push(Condition { column, test });
        }
        let rows = self.rows().unwrap_or(1e6);
        let estimate = plan.estimate(rows, |column| self.share.roles.of_column(column));
        info.set_estimated_rows(estimate.rows as i64);
        info.set_estimated_cost(estimate.cost);
        info.set_idx_str(&plan.encode());
        Ok(true)
    }

    fn open(&mut self) -> Result<TableCursor> {
        Ok(TableCursor {
            base: sqlite3_vtab_cursor::default(),
            db: Rc::clone(&self.db),
            share: Arc::clone(&self.share),
            ended_too: self.ended_too,
            scan: None,
        })
    }
}

impl CreateVTab<'_> for VirtualTable {
    const KIND: VTabKind = VTabKind::Default;
}

impl VirtualTable {
    /// Returns the test for a condition that the table takes over; `None` leaves it to SQLite.
    fn test(&self, column: usize, operator: &IndexConstraintOp) -> Option<Test> {
        use IndexConstraintOp as Op;
        let is_ra = self.share.roles.sky.is_some_and(|(ra, _)| ra == column);
        let compared = self.share.columns[column].numeric;
        match operator {
            Op::SQLITE_INDEX_CONSTRAINT_ISNULL => Some(Test::Unknown),
            Op::SQLITE_INDEX_CONSTRAINT_ISNOTNULL => Some(Test::Known),
            Op::SQLITE_INDEX_CONSTRAINT_EQ if compared => Some(Test::Compare(Comparison::Equal)),
            Op::SQLITE_INDEX_CONSTRAINT_GT if compared => Some(Test::Compare(Comparison::Greater)),
            Op::SQLITE_INDEX_CONSTRAINT_GE if compared => {
                Some(Test::Compare(Comparison::GreaterEqual))
            }
            Op::SQLITE_INDEX_CONSTRAINT_LT if compared => Some(Test::Compare(Comparison::Less)),
            Op::SQLITE_INDEX_CONSTRAINT_LE if compared => {
                Some(Test::Compare(Comparison::LessEqual))
            }
            Op::SQLITE_INDEX_CONSTRAINT_FUNCTION(cone_hint::OPERATOR) if is_ra => Some(Test::Cone),
            _ => None,
        }
    }

    /// Returns the number of rows of the table.
    fn rows(&self) -> Result<f64> {
        self.db
            .prepare_cached(
                "SELECT max(record_count) FROM ducklake_table_stats WHERE table_id = ?1",
            )?
            .query_row([self.share.table.lasting_table()], |r| r.get::<_, Option<f64>>(0))
            .map(|n| n.unwrap_or(0.0))
    }
}

// SAFETY: the struct is `repr(C)` and begins with `sqlite3_vtab_cursor`.
unsafe impl VTabCursor for TableCursor {
    fn filter(&mut self, _idx_num: c_int, idx_str: Option<&str>, args: &Filters<'_>) -> Result<()> {
        self.scan = None;
        let plan = Plan::decode(idx_str.unwrap_or_default())
            .ok_or_else(|| fault("the plan of a statement cannot be read"))?;
        let mut search = Search::new(&self.share.table, self.ended_too, self.share.reading.as_of);
        let mut filters: Vec<Filter> = Vec::new();
        let mut cones = Vec::new();
        let mut argument = 0;
        for Condition { column, test } in plan.conditions {
            let wanted = match test {
                Test::Unknown => Wanted::Unknown,
                Test::Known => Wanted::Known,
                Test::Compare(c) => Wanted::compared(c, Scalar::of(value(args, argument)?)),
                Test::OneOf => one_of(args, argument)?,
                Test::Cone => {
                    cones.push(cone_hint::decode(value(args, argument)?));
                    argument += 1;
                    continue;
                }
            };
            argument += usize::from(test.takes_value());
            filters.push(Filter { column, wanted });
        }
        for filter in &filters {
            let column = &self.share.columns[filter.column];
            let wanted = filter.wanted.clone();
            match self.share.roles.of_column(filter.column) {
                Role::Id => search.id.push(wanted.clone()),
                Role::Key(place) => search.key[place].push(wanted.clone()),
                Role::Programme => search.programme_id.push(wanted.clone()),
                Role::Other => {}
            }
            search.by_field.entry(column.field_id).or_default().push(wanted);
        }
        search.cones.clone_from(&cones);
        let access = look_up(&self.db, &search)?;
        filters.retain(|f| match self.share.roles.of_column(f.column) {
            Role::Id => !access.ids_exact,
            Role::Key(_) | Role::Programme => !access.ranges_exact,
            Role::Other => true,
        });
        let filters = RowFilters { columns: filters, cones };
        self.scan = Some(Scan::new(Arc::clone(&self.share), access.segments, filters));
        self.next()
    }

    fn next(&mut self) -> Result<()> {
        if let Some(scan) = &mut self.scan
            && !scan.advance(&self.db).map_err(lake_fault)?
        {
            self.scan = None;
        }
        Ok(())
    }

    fn eof(&self) -> bool {
        self.scan.is_none()
    }

    fn column(&self, ctx: &mut Context, i: c_int) -> Result<()> {
        let (Some(scan), Ok(column)) = (&self.scan, usize::try_from(i)) else { return Ok(()) };
        let is_text = self.share.columns[column].declared == "TEXT";
        scan.with_cell(column, |cell| match cell {
            Cell::Null => ctx.set_result(rusqlite::types::Null),
            Cell::Whole(n) => ctx.set_result(n),
            Cell::Real(x) => ctx.set_result(x),
            Cell::Bytes(bytes) if is_text => ctx.set_result(&*String::from_utf8_lossy(bytes)),
            Cell::Bytes(bytes) => ctx.set_result(bytes),
        })
        .map_err(lake_fault)?
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.scan.as_ref().map_or(0, Scan::row_number))
    }
}

fn value<'a>(args: &'a Filters<'_>, index: usize) -> Result<ValueRef<'a>> {
    args.iter().nth(index).ok_or_else(|| fault("a condition has no value"))
}

fn one_of(args: &Filters<'_>, index: usize) -> Result<Wanted> {
    let mut values = args.in_values(index)?;
    let mut scalars = Vec::new();
    while let Some(value) = values.next()? {
        scalars.push(Scalar::of(value));
    }
    Ok(Wanted::one_of(scalars.into_iter()))
}

fn fault(reason: impl ToString) -> Error {
    Error::ModuleError(reason.to_string())
}

/// Returns the whole chain of causes in one text, since SQLite passes only a text.
fn lake_fault(error: LakeError) -> Error {
    Error::ModuleError(one_line(&error))
}

/// Makes the TEMP tables of a lake table: of its current rows, and of every row under the name of its companion.
pub(crate) fn create(connection: &Connection, share: LakeShare) -> Result<()> {
    let (name, companion) = (share.table.name().to_owned(), share.table.companion());
    let module = super::find_function::module_with_hints::<VirtualTable>();
    let module_name = format!("almagest_{name}");
    connection.create_module(module_name.as_str(), module, Some(Arc::new(share)))?;
    let mut sql = format!("CREATE VIRTUAL TABLE temp.{name} USING {module_name}(current);");
    if let Some(companion) = companion {
        let _ = write!(sql, "CREATE VIRTUAL TABLE temp.{companion} USING {module_name}(all);");
    }
    connection.execute_batch(&sql)
}
