//! A connection to PostgreSQL.

use super::relocation::{self, CLOSED};
use super::{Address, EngineError, Kind, Result, ToSql, Value, ValueRef};
use bytes::{BufMut, BytesMut};
use model::tables::ColumnType;
use postgres::SimpleQueryMessage;
use postgres::error::SqlState;
use postgres::types::{IsNull, Type, to_sql_checked};
use rusqlite::types::ToSqlOutput;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;

/// Number of the advisory lock of the processes that make the tables of an archive: `ALMG`. It is combined with a hash
/// of the schema, so that two sites in one database do not wait for each other. An archive with tables has a lock that
/// readers cannot take.
const MAKERS: i32 = 0x414c_4d47;

/// Begins a read transaction.
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Begins a write transaction, whose statements see everything that was committed before each.
const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '60s'";
/// Makes a transaction the only one that writes. Only logins that may change the table get this lock, and pg_dump does
/// not wait for it.
const LOCK: &str = "LOCK TABLE writer_lock IN SHARE UPDATE EXCLUSIVE MODE";

/// A connection that is opened again when it was lost between two transactions.
pub struct Server {
    address: Address,
    client: RefCell<postgres::Client>,
    statements: RefCell<HashMap<String, postgres::Statement>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.address)
    }
}

impl Server {
    /// Connects.
    pub fn connect(address: &Address) -> Result<Box<Self>> {
        let client = address.connect()?;
        Ok(Box::new(Self {
            address: address.clone(),
            client: RefCell::new(client),
            statements: RefCell::default(),
        }))
    }

    /// Returns its address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Opens another connection of the same kind.
    pub fn another(&self) -> Result<postgres::Client> {
        self.address.connect()
    }

    /// Calls a function with the client itself.
    pub fn with_client<T>(
        &self,
        act: impl FnOnce(&mut postgres::Client) -> std::result::Result<T, postgres::Error>,
    ) -> Result<T> {
        Ok(act(&mut self.client.borrow_mut())?)
    }

    /// Copies rows in the binary form into a table.
    pub fn copy_in(&self, statement: &str, rows: &[u8]) -> Result<u64> {
        let mut client = self.client.borrow_mut();
        let mut writer = client.copy_in(statement)?;
        for chunk in rows.chunks(256 << 10) {
            if writer.write_all(chunk).is_err() {
                break; // faults are reported at the end
            }
        }
        Ok(writer.finish()?)
    }

    /// Returns whether a notification arrived within a time.
    pub fn notified(&self, at_most: std::time::Duration) -> Result<bool> {
        use postgres::fallible_iterator::FallibleIterator;
        self.with_client(|client| {
            let next = client.notifications().timeout_iter(at_most).next()?;
            Ok(next.is_some())
        })
    }

    pub(crate) fn begin(&self, kind: Kind) -> Result<()> {
        if self.client.borrow().is_closed() {
            *self.client.borrow_mut() = self.address.connect()?;
            self.statements.borrow_mut().clear();
        }
        let sql = match kind {
            Kind::Read => format!("{READ}; {CLOSED}"),
            Kind::Write => format!("{WRITE}; {LOCK}; {CLOSED}"),
            Kind::Move => format!("{WRITE}; {LOCK}"),
        };
        match self.with_client(|client| client.simple_query(&sql)) {
            Ok(said) => match said.iter().find_map(closed_by) {
                None => Ok(()),
                Some(fault) => {
                    self.batch("ROLLBACK")?;
                    Err(fault)
                }
            },
            Err(EngineError::Postgres(fault))
                if fault.code() == Some(&SqlState::UNDEFINED_TABLE) =>
            {
                self.begin_without_tables(kind)
            }
            Err(fault) => {
                // The transaction began, and its lock was not granted.
                let _ = self.batch("ROLLBACK");
                Err(fault)
            }
        }
    }

    /// Begins a transaction in a database without the tables of this program's schema.
    fn begin_without_tables(&self, kind: Kind) -> Result<()> {
        self.batch("ROLLBACK")?;
        if kind == Kind::Read {
            return self.batch(READ);
        }
        self.batch(&format!(
            "{WRITE}; SELECT pg_advisory_xact_lock({MAKERS}, hashtext(current_schema()))"
        ))?;
        let are_made = "SELECT to_regclass('writer_lock') IS NOT NULL AND to_regclass('relocation') IS NOT NULL";
        if !self.with_client(|client| Ok(client.query_one(are_made, &[])?.get::<_, bool>(0)))? {
            return Ok(());
        }
        // Another process made the tables in the meantime.
        self.batch("ROLLBACK")?;
        self.begin(kind)
    }

    pub(crate) fn batch(&self, sql: &str) -> Result<()> {
        self.with_client(|client| client.batch_execute(sql))
    }

    pub(crate) fn prepare(&self, sql: &str) -> Result<postgres::Statement> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let statement = self.with_client(|client| client.prepare(&numbered(sql)))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(crate) fn execute(
        &self,
        statement: &postgres::Statement,
        params: &[&dyn ToSql],
    ) -> Result<usize> {
        let values = outgoing(params)?;
        let changed = self.with_client(|client| client.execute(statement, &references(&values)))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    pub(crate) fn query(
        &self,
        statement: &postgres::Statement,
        params: &[&dyn ToSql],
    ) -> Result<Vec<postgres::Row>> {
        use postgres::fallible_iterator::FallibleIterator;
        let values = outgoing(params)?;
        self.with_client(|client| client.query_raw(statement, &values)?.collect())
    }
}

/// Returns the fault that a row of [`CLOSED`] denotes.
pub fn closed_by(said: &SimpleQueryMessage) -> Option<EngineError> {
    let SimpleQueryMessage::Row(row) = said else { return None };
    let column = |name| row.try_get(name).ok().flatten();
    Some(relocation::closed(column("state")?, column("move")?, column("place")?.to_owned()))
}

/// Writes `?1` as `$1`, outside of quoted texts.
pub fn numbered(sql: &str) -> String {
    let mut quote = None;
    sql.chars()
        .map(|c| {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(q), c) if q == c => quote = None,
                (None, '?') => return '$',
                _ => {}
            }
            c
        })
        .collect()
}

/// A value to be sent to the server, in the form that the server expects.
#[derive(Debug)]
pub struct Outgoing(pub Value);

fn outgoing(params: &[&dyn ToSql]) -> Result<Vec<Outgoing>> {
    let value = |param: &&dyn ToSql| {
        Ok(Outgoing(match param.to_sql()? {
            ToSqlOutput::Owned(value) => value,
            ToSqlOutput::Borrowed(value) => owned(value)?,
            other => {
                let reason = format!("a parameter of an unknown form: {other:?}");
                return Err(EngineError::Value { column: 0, reason });
            }
        }))
    };
    params.iter().map(value).collect()
}

impl postgres::types::ToSql for Outgoing {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        write_value(ValueRef::from(&self.0), kind, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Returns the server's type of a column.
pub fn server_type(kind: ColumnType) -> Type {
    match kind {
        ColumnType::I16 => Type::INT2,
        ColumnType::I32 => Type::INT4,
        ColumnType::I64 => Type::INT8,
        ColumnType::F32 => Type::FLOAT4,
        ColumnType::F64 => Type::FLOAT8,
        ColumnType::Bool => Type::BOOL,
        ColumnType::Text => Type::TEXT,
        ColumnType::Bytes => Type::BYTEA,
    }
}

fn owned(value: ValueRef<'_>) -> Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Integer(n),
        ValueRef::Real(x) => Value::Real(x),
        ValueRef::Text(text) => Value::Text(
            std::str::from_utf8(text)
                .map_err(|e| EngineError::Value { column: 0, reason: e.to_string() })?
                .to_owned(),
        ),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    })
}

fn references(values: &[Outgoing]) -> Vec<&(dyn postgres::types::ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn postgres::types::ToSql + Sync)).collect()
}

/// Writes a value in the binary form of a type.
pub fn write_value(
    value: ValueRef<'_>,
    kind: &Type,
    out: &mut BytesMut,
) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
    let misfit = || format!("{value:?} is not a {kind}");
    match (value, kind) {
        (ValueRef::Null, _) => return Ok(IsNull::Yes),
        (ValueRef::Integer(n), &Type::BOOL) => out.put_u8(u8::from(n != 0)),
        (ValueRef::Integer(n), &Type::INT2) => out.put_i16(n.try_into()?),
        (ValueRef::Integer(n), &Type::INT4) => out.put_i32(n.try_into()?),
        (ValueRef::Integer(n), &Type::INT8) => out.put_i64(n),
        (ValueRef::Integer(n), &Type::FLOAT8) => out.put_f64(n as f64),
        (ValueRef::Integer(n), &Type::FLOAT4) => out.put_f32(n as f32),
        (ValueRef::Real(x), &Type::FLOAT8) => out.put_f64(x),
        (ValueRef::Real(x), &Type::FLOAT4) => out.put_f32(x as f32),
        (ValueRef::Text(text), &Type::TEXT | &Type::VARCHAR | &Type::UNKNOWN | &Type::NAME) => {
            out.put_slice(text);
        }
        (ValueRef::Integer(n), &Type::TEXT) => out.put_slice(n.to_string().as_bytes()),
        (ValueRef::Blob(bytes), &Type::BYTEA) => out.put_slice(bytes),
        _ => return Err(misfit().into()),
    }
    Ok(IsNull::No)
}

/// Returns a column of a row as a value of this module.
pub(crate) fn value(row: &postgres::Row, column: usize) -> Result<Value> {
    Ok(row.try_get::<_, Incoming>(column)?.0)
}

/// A value from the server.
pub struct Incoming(pub Value);

impl<'a> postgres::types::FromSql<'a> for Incoming {
    fn from_sql(
        kind: &Type,
        raw: &'a [u8],
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(match *kind {
            Type::BOOL => Value::Integer(i64::from(raw.first() == Some(&1))),
            Type::INT2 => Value::Integer(i16::from_be_bytes(raw.try_into()?).into()),
            Type::INT4 => Value::Integer(i32::from_be_bytes(raw.try_into()?).into()),
            Type::OID => Value::Integer(u32::from_be_bytes(raw.try_into()?).into()),
            Type::INT8 => Value::Integer(i64::from_be_bytes(raw.try_into()?)),
            Type::FLOAT4 => Value::Real(f32::from_be_bytes(raw.try_into()?).into()),
            Type::FLOAT8 => Value::Real(f64::from_be_bytes(raw.try_into()?)),
            Type::NUMERIC => numeric(raw).ok_or("a numeric out of range")?,
            Type::BYTEA => Value::Blob(raw.to_vec()),
            _ => Value::Text(std::str::from_utf8(raw)?.to_owned()),
        }))
    }

    fn from_sql_null(
        _: &Type,
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(kind: &Type) -> bool {
        is_readable(kind)
    }
}

/// Returns true when the binary form of a type can be read here.
pub fn is_readable(kind: &Type) -> bool {
    matches!(
        *kind,
        Type::BOOL
            | Type::INT2
            | Type::INT4
            | Type::OID
            | Type::INT8
            | Type::FLOAT4
            | Type::FLOAT8
            | Type::NUMERIC
            | Type::BYTEA
            | Type::TEXT
            | Type::VARCHAR
            | Type::BPCHAR
            | Type::NAME
            | Type::CHAR
            | Type::JSON
            | Type::UNKNOWN
    )
}

/// Decodes a numeric, the type of sums of integers: an integer when it fits 64 bits, else a double. Format:
/// `numeric_send` in PostgreSQL's `utils/adt/numeric.c`: digits to the base 10 000.
fn numeric(raw: &[u8]) -> Option<Value> {
    let word = |at: usize| Some(i16::from_be_bytes([*raw.get(2 * at)?, *raw.get(2 * at + 1)?]));
    let (digits, weight, sign) = (word(0)?, i32::from(word(1)?), word(2)? as u16);
    match sign {
        0xc000 => return Some(Value::Null), // not a number is unknown
        0xd000 => return Some(Value::Real(f64::INFINITY)),
        0xf000 => return Some(Value::Real(f64::NEG_INFINITY)),
        _ => {}
    }
    let is_negative = sign == 0x4000;
    let digits: Option<Vec<i64>> =
        (0..usize::try_from(digits).ok()?).map(|i| word(4 + i).map(i64::from)).collect();
    let digits = digits?;
    let has_fraction = word(3)? > 0;
    let whole = || {
        let mut sum: i64 = 0;
        for place in 0..=weight {
            let digit = usize::try_from(place).ok().and_then(|p| digits.get(p)).copied();
            sum = sum.checked_mul(10_000)?.checked_sub(digit.unwrap_or(0))?;
        }
        if is_negative { Some(sum) } else { sum.checked_neg() }
    };
    if let Some(n) = (!has_fraction).then(whole).flatten() {
        return Some(Value::Integer(n));
    }
    // Converted through its text, which the standard library rounds correctly.
    let mut text: String = if is_negative { "-0" } else { "0" }.to_owned();
    for digit in &digits {
        text += &format!("{digit:04}");
    }
    let exponent = 4 * (weight + 1 - i32::try_from(digits.len()).ok()?);
    format!("{text}e{exponent}").parse().ok().map(Value::Real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_outside_of_texts() {
        let sql = "SELECT '?1', \"a?2\" FROM t WHERE x = ?1 AND y = '''?' || ?2";
        let wanted = "SELECT '?1', \"a?2\" FROM t WHERE x = $1 AND y = '''?' || $2";
        assert_eq!(numbered(sql), wanted);
    }

    #[test]
    fn numerics_become_numbers() {
        let sent = |digits: &[i16], weight: i16, sign: u16, scale: i16| {
            let words = [digits.len() as i16, weight, sign as i16, scale];
            let bytes: Vec<u8> =
                words.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect();
            numeric(&bytes)
        };
        assert_eq!(sent(&[], 0, 0, 0), Some(Value::Integer(0)));
        assert_eq!(sent(&[1, 2345], 1, 0x4000, 0), Some(Value::Integer(-12_345)));
        assert_eq!(sent(&[3], 2, 0, 0), Some(Value::Integer(300_000_000)));
        assert_eq!(
            sent(&[922, 3372, 368, 5477, 5808], 4, 0x4000, 0),
            Some(Value::Integer(i64::MIN))
        );
        assert_eq!(sent(&[922, 3372, 368, 5477, 5808], 4, 0, 0), Some(Value::Real(2f64.powi(63))));
        assert_eq!(sent(&[1, 5000], 0, 0, 1), Some(Value::Real(1.5)));
        assert_eq!(sent(&[25], -1, 0x4000, 4), Some(Value::Real(-0.0025)));
        assert_eq!(sent(&[], 0, 0xc000, 0), Some(Value::Null));
    }
}
