//! Tables of the control store as values: columns with type, limits, reference and comment; keys, checks and indexes.

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub(super) name: &'static str,
    pub(super) comment: &'static str,
    pub(super) columns: &'static [Column],
    /// The columns of the primary key, if they are several.
    pub(super) key: Option<&'static str>,
    pub(super) unique: &'static [&'static str],
    pub(super) checks: &'static [&'static str],
    pub(super) foreign_keys: &'static [&'static str],
    pub(super) indexes: &'static [Index],
}

impl Table {
    /// Returns a table with a comment and columns.
    pub const fn new(
        name: &'static str,
        comment: &'static str,
        columns: &'static [Column],
    ) -> Self {
        let none = &[];
        Self {
            name,
            comment,
            columns,
            key: None,
            unique: none,
            checks: none,
            foreign_keys: none,
            indexes: &[],
        }
    }

    /// Sets the columns of a primary key of several columns.
    #[must_use]
    pub const fn key(self, columns: &'static str) -> Self {
        Self { key: Some(columns), ..self }
    }

    /// Sets the groups of columns whose values together are unique.
    #[must_use]
    pub const fn unique(self, groups: &'static [&'static str]) -> Self {
        Self { unique: groups, ..self }
    }

    /// Sets the conditions on several columns of a row.
    #[must_use]
    pub const fn checks(self, conditions: &'static [&'static str]) -> Self {
        Self { checks: conditions, ..self }
    }

    /// Sets the references of several columns, as `(a, b) REFERENCES other (c, d)`.
    #[must_use]
    pub const fn foreign_keys(self, references: &'static [&'static str]) -> Self {
        Self { foreign_keys: references, ..self }
    }

    /// Sets the indexes.
    #[must_use]
    pub const fn indexes(self, indexes: &'static [Index]) -> Self {
        Self { indexes, ..self }
    }
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Real,
    Text,
    /// An integer that is the key, and that the engine assigns where an INSERT gives none.
    Id,
}

/// A limit of a column's values.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    NotEmpty,
    AtLeast(i64),
    /// 0 or 1.
    Flag,
    /// A time in UTC, as ISO 8601 text that ends in Z.
    Time,
    OneOf(&'static [&'static str]),
    /// The name of a use case of the site.
    UseCase,
    /// A stage of the pipeline: before the products, of a product, or after them.
    Stage,
    /// A condition that both engines understand.
    Condition(&'static str),
    /// A condition in the words of SQLite and of PostgreSQL.
    Each(&'static str, &'static str),
}

/// A column. Its values are not NULL unless [`Column::or_null`] allows it.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub(super) name: &'static str,
    pub(super) comment: &'static str,
    pub(super) kind: Kind,
    pub(super) is_nullable: bool,
    pub(super) is_key: bool,
    pub(super) is_unique: bool,
    pub(super) default: Option<&'static str>,
    pub(super) refers: Option<&'static str>,
    pub(super) limit: Option<Limit>,
}

impl Column {
    const fn new(kind: Kind, name: &'static str, comment: &'static str) -> Self {
        Self {
            name,
            comment,
            kind,
            is_nullable: false,
            is_key: false,
            is_unique: false,
            default: None,
            refers: None,
            limit: None,
        }
    }

    /// Allows NULL.
    #[must_use]
    pub const fn or_null(self) -> Self {
        Self { is_nullable: true, ..self }
    }

    /// Makes it the primary key.
    #[must_use]
    pub const fn key(self) -> Self {
        Self { is_key: true, ..self }
    }

    /// Makes each value occur once.
    #[must_use]
    pub const fn unique(self) -> Self {
        Self { is_unique: true, ..self }
    }

    /// Sets the value of rows that give none, as SQL.
    #[must_use]
    pub const fn default(self, value: &'static str) -> Self {
        Self { default: Some(value), ..self }
    }

    /// Makes it refer to a column, given as `table (column)`.
    #[must_use]
    pub const fn refers(self, to: &'static str) -> Self {
        Self { refers: Some(to), ..self }
    }

    /// Excludes the empty text.
    #[must_use]
    pub const fn not_empty(self) -> Self {
        self.limited(Limit::NotEmpty)
    }

    /// Sets the smallest value.
    #[must_use]
    pub const fn at_least(self, least: i64) -> Self {
        self.limited(Limit::AtLeast(least))
    }

    /// Sets the allowed texts.
    #[must_use]
    pub const fn one_of(self, texts: &'static [&'static str]) -> Self {
        self.limited(Limit::OneOf(texts))
    }

    /// Adds a condition that both engines understand.
    #[must_use]
    pub const fn check(self, condition: &'static str) -> Self {
        self.limited(Limit::Condition(condition))
    }

    /// Adds a condition in the words of SQLite and of PostgreSQL.
    #[must_use]
    pub const fn check_each(self, sqlite: &'static str, postgres: &'static str) -> Self {
        self.limited(Limit::Each(sqlite, postgres))
    }

    const fn limited(self, limit: Limit) -> Self {
        assert!(self.limit.is_none(), "a column has one limit");
        Self { limit: Some(limit), ..self }
    }
}

/// Returns a column of integers.
pub const fn integer(name: &'static str, comment: &'static str) -> Column {
    Column::new(Kind::Integer, name, comment)
}

/// Returns a column of numbers in double precision.
pub const fn real(name: &'static str, comment: &'static str) -> Column {
    Column::new(Kind::Real, name, comment)
}

/// Returns a column of texts.
pub const fn text(name: &'static str, comment: &'static str) -> Column {
    Column::new(Kind::Text, name, comment)
}

/// Returns the key of a table whose rows are numbered by the engine.
pub const fn id(name: &'static str, comment: &'static str) -> Column {
    Column::new(Kind::Id, name, comment).key()
}

/// Returns a column of 0 and 1.
pub const fn flag(name: &'static str, comment: &'static str) -> Column {
    Column::new(Kind::Integer, name, comment).limited(Limit::Flag)
}

/// Returns a column of times in UTC, as ISO 8601 texts that end in Z.
pub const fn time(name: &'static str, comment: &'static str) -> Column {
    Column::new(Kind::Text, name, comment).limited(Limit::Time)
}

/// Returns a column of use cases.
pub const fn use_case(name: &'static str, comment: &'static str) -> Column {
    text(name, comment).limited(Limit::UseCase)
}

/// Returns a column of stages of the pipeline.
pub const fn stage(name: &'static str, comment: &'static str) -> Column {
    text(name, comment).limited(Limit::Stage)
}

/// An index of a table.
#[derive(Clone, Copy, Debug)]
pub struct Index {
    pub(super) name: &'static str,
    pub(super) columns: &'static str,
    pub(super) is_unique: bool,
    pub(super) condition: Option<&'static str>,
}

impl Index {
    /// Restricts it to the rows that meet a condition.
    #[must_use]
    pub const fn only(self, condition: &'static str) -> Self {
        Self { condition: Some(condition), ..self }
    }
}

/// Returns an index of columns, or of expressions of columns.
pub const fn index(name: &'static str, columns: &'static str) -> Index {
    Index { name, columns, is_unique: false, condition: None }
}

/// Returns an index whose entries occur once.
pub const fn unique_index(name: &'static str, columns: &'static str) -> Index {
    Index { is_unique: true, ..index(name, columns) }
}
