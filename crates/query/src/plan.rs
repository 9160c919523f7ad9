//! The plan that the planner of a virtual table passes to its cursor: conditions, as a short text.

use super::constraint::Comparison;
use super::shared::Role;

/// The test of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Compare(Comparison),
    OneOf,
    Unknown,
    Known,
    Cone,
}

impl Test {
    const LETTERS: [(Self, char); 9] = [
        (Self::Compare(Comparison::Equal), '='),
        (Self::Compare(Comparison::Greater), '>'),
        (Self::Compare(Comparison::GreaterEqual), 'g'),
        (Self::Compare(Comparison::Less), '<'),
        (Self::Compare(Comparison::LessEqual), 'l'),
        (Self::OneOf, 'i'),
        (Self::Unknown, 'u'),
        (Self::Known, 'k'),
        (Self::Cone, 'c'),
    ];

    /// Returns true when SQLite passes a value for it.
    pub(crate) fn takes_value(self) -> bool {
        !matches!(self, Self::Unknown | Self::Known)
    }
}

/// A condition that the table takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub column: usize,
    pub test: Test,
}

/// Conditions, in the order of their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub conditions: Vec<Condition>,
}

/// The cost that a plan reports to SQLite's planner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub rows: f64,
    pub cost: f64,
}

impl Plan {
    /// Returns the plan as a text such as `3=,17g,17<`.
    pub(crate) fn encode(&self) -> String {
        let parts: Vec<String> = self
            .conditions
            .iter()
            .map(|c| {
                let letter =
                    Test::LETTERS.iter().find(|(t, _)| *t == c.test).map_or('?', |(_, l)| *l);
                format!("{}{letter}", c.column)
            })
            .collect();
        parts.join(",")
    }

    /// Returns the inverse of [`encode`](Self::encode).
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let conditions = text
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let letter = part.chars().next_back()?;
                let column = part[..part.len() - letter.len_utf8()].parse().ok()?;
                let (test, _) = Test::LETTERS.iter().find(|(_, l)| *l == letter)?;
                Some(Condition { column, test: *test })
            })
            .collect::<Option<_>>()?;
        Some(Self { conditions })
    }

    /// Returns rough numbers. The tables have no statistics, so SQLite assumes that other tables are large; a lake is
    /// therefore assumed to be large as well, or it would be searched where a lookup is intended.
    pub(crate) fn estimate(&self, lake_rows: f64, role: impl Fn(usize) -> Role) -> Estimate {
        const LARGE: f64 = 1e8;
        let lake_rows = lake_rows.max(LARGE);
        let mut found = lake_rows;
        let mut share = 1.0;
        for condition in &self.conditions {
            let equal = condition.test == Test::Compare(Comparison::Equal);
            let several = condition.test == Test::OneOf;
            let most = match (role(condition.column), equal, several) {
                (Role::Id, true, _) => Some(1.0),
                (Role::Id, _, true) => Some(25.0),
                (Role::Key(0), true, _) => Some(1000.0),
                (Role::Key(0), _, true) => Some(25_000.0),
                _ if condition.test == Test::Cone => Some(1000.0),
                _ => None,
            };
            match most {
                Some(rows) => found = f64::min(found, rows),
                None => share *= if equal { 0.1 } else { 0.4 },
            }
        }
        let rows = (found * share).max(1.0);
        let cost = 20.0 + rows + if found < lake_rows { 0.1 * found } else { 2.0 * lake_rows };
        Estimate { rows, cost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_survive_the_way_through_sqlite() {
        let conditions = Test::LETTERS
            .iter()
            .enumerate()
            .map(|(i, (test, _))| Condition { column: i * 20, test: *test });
        let plan = Plan { conditions: conditions.collect() };
        assert_eq!(Plan::decode(&plan.encode()), Some(plan));
        assert_eq!(Plan::decode(""), Some(Plan::default()));
        assert_eq!(Plan::decode("3?"), None);
        assert_eq!(Plan::decode("x="), None);
    }

    #[test]
    fn looking_up_is_cheaper_than_searching() {
        let cost = |conditions: &[(usize, Test)]| {
            let conditions = conditions.iter().map(|&(column, test)| Condition { column, test });
            let plan = Plan { conditions: conditions.collect() };
            plan.estimate(1e8, |c| [Role::Id, Role::Key(0), Role::Key(1), Role::Other][c]).cost
        };
        let equal = Test::Compare(Comparison::Equal);
        let above = Test::Compare(Comparison::Greater);
        assert!(cost(&[(0, equal)]) < cost(&[(1, equal), (2, equal)]));
        assert!(cost(&[(1, equal), (2, equal)]) < cost(&[(1, equal)]));
        assert!(cost(&[(1, equal)]) < cost(&[(3, equal)]));
        assert!(cost(&[(3, equal)]) < cost(&[(3, above)]));
        assert!(cost(&[(3, above)]) < cost(&[]));
    }
}
