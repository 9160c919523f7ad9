//! The numbers that DuckLake's catalogue gives to its snapshots, files, tables and columns.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use std::fmt;

macro_rules! catalogue_id {
    ($(#[$doc:meta])* $name:ident, $first:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// The first number.
            pub(crate) const FIRST: Self = Self($first);

            /// Makes the number; `None` below the first one.
            pub fn new(raw: i64) -> Option<Self> {
                (raw >= Self::FIRST.0).then_some(Self(raw))
            }

            /// Returns the number.
            pub fn get(self) -> i64 {
                self.0
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let raw = i64::column_result(value)?;
                Self::new(raw).ok_or(FromSqlError::OutOfRange(raw))
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.0.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

catalogue_id! {
    /// A snapshot of the lake.
    SnapshotId, 0
}
catalogue_id! {
    /// A file of data or of ended rows, as a table of the catalogue lists it: a file that two tables list has two numbers.
    LakeFileId, 0
}
catalogue_id! {
    /// A schema or table of the catalogue: DuckLake counts both together, and the schema is the first.
    CatalogId, 0
}
catalogue_id! {
    /// A column of a table: the field id in its Parquet files.
    FieldId, 1
}

macro_rules! counted {
    ($($name:ident)*) => {$(
        impl $name {
            /// Returns the number after this one.
            pub(crate) fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }
    )*};
}

counted!(SnapshotId LakeFileId CatalogId);

impl CatalogId {
    /// Returns the number of the table of current rows of a lake table, from the number in its definition. The table of its
    /// history has the next number.
    pub(crate) fn of_table(number: u16) -> Self {
        Self(2 * i64::from(number) - 1)
    }
}
