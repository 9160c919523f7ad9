//! The columns of a lake table and their types, in DuckLake's terms.

use super::{FieldId, LakeError};
use arrow_schema::{DataType, Schema};

/// One column of a lake table as the catalogue has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeColumn {
    /// Parquet field id, which is the lake's `column_id`.
    pub field_id: FieldId,
    /// Name.
    pub name: String,
    /// Type of the values.
    pub kind: LakeType,
    /// True when it may be NULL.
    pub nullable: bool,
    /// Description and unit, shown by DuckDB as the column's comment; may be empty.
    pub comment: String,
}

/// A type of DuckLake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LakeType {
    /// Truth values.
    Boolean,
    /// Integers of 16 bits.
    Int16,
    /// Integers of 32 bits.
    Int32,
    /// Integers of 64 bits.
    Int64,
    /// Floating-point numbers of 32 bits.
    Float32,
    /// Floating-point numbers of 64 bits.
    Float64,
    /// Text.
    Varchar,
    /// Bytes.
    Blob,
}

impl LakeType {
    /// Returns the name in DuckLake's tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Varchar => "varchar",
            Self::Blob => "blob",
        }
    }
}

/// The columns of a lake table, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeSchema {
    /// Description of the table, shown by DuckDB.
    pub comment: String,
    /// The columns.
    pub columns: Vec<LakeColumn>,
}

impl LakeSchema {
    /// Returns the schema of a definition.
    ///
    /// # Errors
    /// [`LakeError::UnknownType`] for a type the lake does not keep.
    pub fn of(table: &model::tables::Table) -> Result<Self, LakeError> {
        let mut schema = Self::from_arrow(&table.arrow_schema())?;
        schema.comment.clone_from(&table.description);
        for (column, defined) in schema.columns.iter_mut().zip(&table.columns) {
            column.comment = if defined.unit.is_empty() {
                defined.description.clone()
            } else {
                format!("{} [{}]", defined.description, defined.unit)
            };
        }
        Ok(schema)
    }

    /// Returns the schema of an Arrow schema whose fields carry `PARQUET:field_id`.
    ///
    /// # Errors
    /// [`LakeError::UnknownType`] for a type the lake does not keep, [`LakeError::Catalogue`] without field id.
    pub fn from_arrow(schema: &Schema) -> Result<Self, LakeError> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                let id = field
                    .metadata()
                    .get("PARQUET:field_id")
                    .and_then(|id| FieldId::new(id.parse().ok()?));
                Ok(LakeColumn {
                    field_id: id.ok_or_else(|| {
                        LakeError::Catalogue(format!("column {} has no field id", field.name()))
                    })?,
                    name: field.name().clone(),
                    kind: ducklake_type(field.name(), field.data_type())?,
                    nullable: field.is_nullable(),
                    comment: String::new(),
                })
            })
            .collect::<Result<_, LakeError>>()?;
        Ok(Self { comment: String::new(), columns })
    }
}

fn ducklake_type(column: &str, kind: &DataType) -> Result<LakeType, LakeError> {
    Ok(match kind {
        DataType::Boolean => LakeType::Boolean,
        DataType::Int16 => LakeType::Int16,
        DataType::Int32 => LakeType::Int32,
        DataType::Int64 => LakeType::Int64,
        DataType::Float32 => LakeType::Float32,
        DataType::Float64 => LakeType::Float64,
        DataType::Utf8 => LakeType::Varchar,
        DataType::Binary => LakeType::Blob,
        other => {
            return Err(LakeError::UnknownType {
                column: column.to_owned(),
                kind: other.to_string(),
            });
        }
    })
}
