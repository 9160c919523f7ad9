//! Spellings of catalogue columns, read from the text of a profile.

use toml::{Table, Value};

/// The columns of `detection` as a profile spells them.
#[derive(Clone, Debug, Default)]
pub(super) struct Spellings {
    own: Table,
}

/// The place of a column's values in a delivered table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// A column, by its TTYPE.
    Column(String),
    /// The number of the row, from 1.
    Row,
}

impl Spellings {
    /// Reads the spellings of a profile.
    pub fn of(text: &str) -> Self {
        let profile = text.parse::<Table>().unwrap_or_default();
        let own = profile.get("catalogue").and_then(|c| c.get("spellings")?.as_table());
        Self { own: own.cloned().unwrap_or_default() }
    }

    /// Returns the spellings that the profile itself has, by column.
    pub fn own(&self) -> impl Iterator<Item = (&str, Vec<Spelling>)> {
        self.own.iter().map(|(column, list)| (column.as_str(), list_of(list)))
    }

    /// Returns the spellings of a column of `detection`: those of the profile, else that of the definition.
    pub fn of_column(&self, column: &str) -> Vec<Spelling> {
        if let Some(list) = self.own.get(column) {
            return list_of(list);
        }
        let defined = model::tables::table("detection").and_then(|t| t.column(column));
        defined.and_then(|c| c.ttype.clone()).map(Spelling::Column).into_iter().collect()
    }
}

fn list_of(list: &Value) -> Vec<Spelling> {
    list.as_array().into_iter().flatten().filter_map(spelling).collect()
}

/// Reads a spelling: a TTYPE, an element `TTYPE[n]` of a vector, or a table with the key `column` or `row`.
fn spelling(value: &Value) -> Option<Spelling> {
    let named = |text: &str| {
        let text = text.trim();
        let element = text.strip_suffix(']').and_then(|t| t.rsplit_once('['));
        let plain = element
            .filter(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
            .map_or(text, |(name, _)| name);
        Spelling::Column(plain.to_owned())
    };
    match value {
        Value::String(text) => Some(named(text)),
        Value::Table(table) => match table.get("column").and_then(Value::as_str) {
            Some(column) => Some(named(column)),
            None => table.get("row")?.as_bool()?.then_some(Spelling::Row),
        },
        _ => None,
    }
}

impl Spelling {
    /// Returns true when a table with these columns has it.
    pub fn is_in(&self, columns: &[fits::Column]) -> bool {
        matches!(self, Self::Row) || self.column_of(columns).is_some()
    }

    /// Returns the column of a table; `None` when it has none of this name.
    pub fn column_of<'c>(&self, columns: &'c [fits::Column]) -> Option<&'c fits::Column> {
        let Self::Column(wanted) = self else { return None };
        let is_it = |c: &&fits::Column| {
            c.name.as_deref().is_some_and(|name| name.trim().eq_ignore_ascii_case(wanted))
        };
        columns.iter().find(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_names_elements_and_tables() {
        let text = "[catalogue.spellings]\nx = [\"XWIN\", \"X[1]\"]\nseq_num = [{ row = true }]\n\
            pa = [{ column = \"THETA\", add = 90.0 }]\n";
        let spellings = Spellings::of(text);
        let column = |name: &str| Spelling::Column(name.to_owned());
        assert_eq!(spellings.of_column("x"), [column("XWIN"), column("X")]);
        assert_eq!(spellings.of_column("seq_num"), [Spelling::Row]);
        assert_eq!(spellings.of_column("pa"), [column("THETA")]);
        assert_eq!(spellings.of_column("ra"), [column("RA")], "that of the definition");
        assert_eq!(spellings.of_column("kron_mag"), [], "computed");
        assert_eq!(spellings.own().count(), 3);
    }
}
