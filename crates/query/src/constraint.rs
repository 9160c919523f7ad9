//! Conditions that SQLite passes to the detection tables, decided exactly as SQLite would.
//!
//! SQLite does not check these conditions again, so integers are compared with reals without rounding, texts that are
//! numbers count as numbers (the columns have a numeric affinity), other texts and blobs are greater than every number,
//! and a comparison with NULL is never true.

use lake::{ColumnBlock, Values};
use rusqlite::types::ValueRef;
use std::cmp::Ordering;

/// Comparison of a column with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
}

/// Right side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Whole(i64),
    Real(f64),
    /// Text that is not a number, or bytes: greater than every number.
    BeyondNumbers,
}

impl Scalar {
    pub(crate) fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(n) => Self::Whole(n),
            ValueRef::Real(x) if x.is_nan() => Self::Null,
            ValueRef::Real(x) => Self::Real(x),
            ValueRef::Text(text) => Self::of_text(text),
            ValueRef::Blob(_) => Self::BeyondNumbers,
        }
    }

    fn of_text(text: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(text) else { return Self::BeyondNumbers };
        let text = text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
        // Rust would read "inf", "nan" and similar texts, which SQLite does not.
        if !text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) {
            return Self::BeyondNumbers;
        }
        if let Ok(n) = text.parse() {
            return Self::Whole(n);
        }
        text.parse().map_or(Self::BeyondNumbers, Self::Real)
    }
}

/// A set of numbers: the values of a column for which a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wanted {
    /// Only unknown values.
    Unknown,
    /// Any known value.
    Known,
    /// Known values between two bounds.
    Range { low: Bound, high: Bound },
    /// Known values of a list: ascending, without repetition.
    OneOf { whole: Vec<i64>, real: Vec<f64> },
    /// No value.
    Nothing,
}

/// End of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    Open,
    Whole { value: i64, included: bool },
    Real { value: f64, included: bool },
}

impl Wanted {
    /// Returns the values that satisfy `column <comparison> value`.
    pub(crate) fn compared(comparison: Comparison, value: Scalar) -> Self {
        let bound = |included| match value {
            Scalar::Whole(value) => Some(Bound::Whole { value, included }),
            Scalar::Real(value) => Some(Bound::Real { value, included }),
            Scalar::Null | Scalar::BeyondNumbers => None,
        };
        match (comparison, value) {
            (_, Scalar::Null) => Self::Nothing,
            (Comparison::Less | Comparison::LessEqual, Scalar::BeyondNumbers) => Self::Known,
            (_, Scalar::BeyondNumbers) => Self::Nothing,
            (Comparison::Equal, _) => Self::one_of([value].into_iter()),
            (Comparison::Greater, _) => Self::range(bound(false), None),
            (Comparison::GreaterEqual, _) => Self::range(bound(true), None),
            (Comparison::Less, _) => Self::range(None, bound(false)),
            (Comparison::LessEqual, _) => Self::range(None, bound(true)),
        }
    }

    fn range(low: Option<Bound>, high: Option<Bound>) -> Self {
        Self::Range { low: low.unwrap_or(Bound::Open), high: high.unwrap_or(Bound::Open) }
    }

    /// Returns the values that satisfy `column IN (values)`.
    pub(crate) fn one_of(values: impl Iterator<Item = Scalar>) -> Self {
        let (mut whole, mut real) = (Vec::new(), Vec::new());
        for value in values {
            match value {
                Scalar::Whole(n) => whole.push(n),
                Scalar::Real(x) => match exact_whole(x) {
                    Some(n) => whole.push(n),
                    None => real.push(x),
                },
                Scalar::Null | Scalar::BeyondNumbers => {}
            }
        }
        whole.sort_unstable();
        whole.dedup();
        real.sort_unstable_by(f64::total_cmp);
        real.dedup();
        if whole.is_empty() && real.is_empty() {
            return Self::Nothing;
        }
        Self::OneOf { whole, real }
    }

    /// Returns true when an integer is wanted.
    pub(crate) fn holds_whole(&self, n: i64) -> bool {
        match self {
            Self::Unknown | Self::Nothing => false,
            Self::Known => true,
            Self::Range { low, high } => {
                low.admits(|bound, included| at_least(bound.order(n), included))
                    && high.admits(|bound, included| at_most(bound.order(n), included))
            }
            Self::OneOf { whole, .. } => whole.binary_search(&n).is_ok(),
        }
    }

    /// Returns true when a real is wanted.
    pub(crate) fn holds_real(&self, x: f64) -> bool {
        match self {
            Self::Unknown | Self::Nothing => false,
            Self::Known => true,
            Self::Range { low, high } => {
                low.admits(|bound, included| at_least(bound.order(x), included))
                    && high.admits(|bound, included| at_most(bound.order(x), included))
            }
            Self::OneOf { whole, real } => {
                exact_whole(x).is_some_and(|n| whole.binary_search(&n).is_ok())
                    || real.binary_search_by(|r| r.total_cmp(&x)).is_ok()
            }
        }
    }

    /// Returns true when a value between two numbers (both included) may be wanted. Never wrongly false.
    pub(crate) fn may_hold(&self, least: Scalar, greatest: Scalar) -> bool {
        let (Some(least), Some(greatest)) = (Number::of(least), Number::of(greatest)) else {
            return true;
        };
        match self {
            Self::Unknown | Self::Nothing => false,
            Self::Known => true,
            Self::Range { low, high } => {
                low.admits(|bound, included| at_least(bound.order(greatest), included))
                    && high.admits(|bound, included| at_most(bound.order(least), included))
            }
            Self::OneOf { whole, real } => {
                let inside = |n: Number| {
                    least.order(n) != Some(Ordering::Less)
                        && greatest.order(n) != Some(Ordering::Greater)
                };
                whole.iter().any(|&n| inside(Number::Whole(n)))
                    || real.iter().any(|&x| inside(Number::Real(x)))
            }
        }
    }

    /// Returns the integers wanted, when they are a list.
    pub(crate) fn whole_list(&self) -> Option<&[i64]> {
        match self {
            Self::OneOf { whole, .. } => Some(whole),
            Self::Nothing | Self::Unknown => Some(&[]),
            Self::Known | Self::Range { .. } => None,
        }
    }

    /// Returns the first and last of the integers wanted; exact unless it is a list.
    pub(crate) fn whole_range(&self) -> Option<(i64, i64)> {
        match self {
            Self::Unknown | Self::Nothing => None,
            Self::Known => Some((i64::MIN, i64::MAX)),
            Self::OneOf { whole, .. } => Some((*whole.first()?, *whole.last()?)),
            Self::Range { low, high } => {
                let (low, high) = (low.least_whole()?, high.greatest_whole()?);
                (low <= high).then_some((low, high))
            }
        }
    }

    /// Clears the rows of a block that are not wanted.
    pub(crate) fn sift(&self, block: &ColumnBlock, keep: &mut [bool]) {
        match (self, &block.valid) {
            (Self::Unknown, None) | (Self::Nothing, _) => keep.fill(false),
            (Self::Unknown, Some(valid)) => and(keep, valid.iter().map(|v| !v)),
            (Self::Known, None) => {}
            (Self::Known, Some(valid)) => and(keep, valid.iter().copied()),
            _ => {
                if let Some(valid) = &block.valid {
                    and(keep, valid.iter().copied());
                }
                self.sift_values(&block.values, keep);
            }
        }
    }

    fn sift_values(&self, values: &Values, keep: &mut [bool]) {
        match values {
            Values::Bool(v) => and(keep, v.iter().map(|&b| self.holds_whole(i64::from(b)))),
            Values::I32(v) => and(keep, v.iter().map(|&n| self.holds_whole(i64::from(n)))),
            Values::I64(v) => and(keep, v.iter().map(|&n| self.holds_whole(n))),
            Values::F32(v) => and(keep, v.iter().map(|&x| self.holds_real(f64::from(x)))),
            Values::F64(v) => and(keep, v.iter().map(|&x| self.holds_real(x))),
            Values::Bytes(_) => keep.fill(false),
        }
    }
}

fn and(keep: &mut [bool], wanted: impl Iterator<Item = bool>) {
    for (keep, wanted) in keep.iter_mut().zip(wanted) {
        *keep &= wanted;
    }
}

fn at_least(order: Option<Ordering>, included: bool) -> bool {
    order == Some(Ordering::Greater) || included && order == Some(Ordering::Equal)
}

fn at_most(order: Option<Ordering>, included: bool) -> bool {
    order == Some(Ordering::Less) || included && order == Some(Ordering::Equal)
}

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

impl Bound {
    /// Returns the least integer that it admits as lower end; `None` when there is none.
    fn least_whole(self) -> Option<i64> {
        match self {
            Self::Open => Some(i64::MIN),
            Self::Whole { value, included } => value.checked_add(i64::from(!included)),
            Self::Real { value, .. } if value < -TWO_TO_63 => Some(i64::MIN),
            Self::Real { value, .. } if value >= TWO_TO_63 => None,
            Self::Real { value, included } => {
                (value.ceil() as i64).checked_add(i64::from(!included && value.fract() == 0.0))
            }
        }
    }

    /// Returns the greatest integer that it admits as upper end; `None` when there is none.
    fn greatest_whole(self) -> Option<i64> {
        match self {
            Self::Open => Some(i64::MAX),
            Self::Whole { value, included } => value.checked_sub(i64::from(!included)),
            Self::Real { value, .. } if value >= TWO_TO_63 => Some(i64::MAX),
            Self::Real { value, .. } if value < -TWO_TO_63 => None,
            Self::Real { value, included } => {
                (value.floor() as i64).checked_sub(i64::from(!included && value.fract() == 0.0))
            }
        }
    }

    /// Returns true when the test holds for the bound; an open one always holds.
    fn admits(self, test: impl Fn(Number, bool) -> bool) -> bool {
        match self {
            Self::Open => true,
            Self::Whole { value, included } => test(Number::Whole(value), included),
            Self::Real { value, included } => test(Number::Real(value), included),
        }
    }
}

/// A number in SQLite's order.
#[derive(Clone, Copy, Debug)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    fn of(scalar: Scalar) -> Option<Self> {
        match scalar {
            Scalar::Whole(n) => Some(Self::Whole(n)),
            Scalar::Real(x) => Some(Self::Real(x)),
            Scalar::Null | Scalar::BeyondNumbers => None,
        }
    }

    /// Returns the order of this number and another; `None` for a NaN.
    fn order(self, other: impl Into<Self>) -> Option<Ordering> {
        match (other.into(), self) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (Self::Real(a), Self::Real(b)) => a.partial_cmp(&b),
            (Self::Whole(a), Self::Real(b)) => whole_to_real(a, b),
            (Self::Real(a), Self::Whole(b)) => whole_to_real(b, a).map(Ordering::reverse),
        }
    }
}

impl From<i64> for Number {
    fn from(n: i64) -> Self {
        Self::Whole(n)
    }
}

impl From<f64> for Number {
    fn from(x: f64) -> Self {
        Self::Real(x)
    }
}

/// Compares an integer and a real without rounding.
fn whole_to_real(n: i64, x: f64) -> Option<Ordering> {
    if x.is_nan() {
        return None;
    }
    if x >= TWO_TO_63 {
        return Some(Ordering::Less);
    }
    if x < -TWO_TO_63 {
        return Some(Ordering::Greater);
    }
    let floor = x.floor();
    Some(n.cmp(&(floor as i64)).then(if x > floor { Ordering::Less } else { Ordering::Equal }))
}

/// Returns the integer equal to a real, if there is one.
fn exact_whole(x: f64) -> Option<i64> {
    let inside = (-TWO_TO_63..TWO_TO_63).contains(&x);
    (inside && x.fract() == 0.0).then_some(x as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns SQLite's result of `column op value` for a column of declared type BIGINT or DOUBLE.
    fn sqlite(column: ValueRef<'_>, kind: &str, op: &str, value: ValueRef<'_>) -> bool {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(&format!("CREATE TABLE t (x {kind})")).unwrap();
        connection
            .execute("INSERT INTO t VALUES (?1)", [rusqlite::types::ToSqlOutput::Borrowed(column)])
            .unwrap();
        let select = format!("SELECT count(*) FROM t WHERE x {op} ?1");
        let count: i64 = connection
            .query_row(&select, [rusqlite::types::ToSqlOutput::Borrowed(value)], |r| r.get(0))
            .unwrap();
        count == 1
    }

    #[test]
    fn conditions_hold_exactly_when_sqlite_says_so() {
        let big = 9_007_199_254_740_993i64; // 2^53 + 1: no double
        let values = [
            ValueRef::Null,
            ValueRef::Integer(3),
            ValueRef::Integer(big),
            ValueRef::Integer(i64::MAX),
            ValueRef::Real(2.5),
            ValueRef::Real(3.0),
            ValueRef::Real(9_007_199_254_740_992.0),
            ValueRef::Real(9.3e18),
            ValueRef::Real(f64::NEG_INFINITY),
            ValueRef::Text(b"3"),
            ValueRef::Text(b" 3.0 "),
            ValueRef::Text(b"3x"),
            ValueRef::Text(b"inf"),
            ValueRef::Text(b""),
            ValueRef::Blob(b"3"),
        ];
        let ops = [
            ("=", Comparison::Equal),
            (">", Comparison::Greater),
            (">=", Comparison::GreaterEqual),
            ("<", Comparison::Less),
            ("<=", Comparison::LessEqual),
        ];
        let wholes = [-1, 2, 3, 4, big - 1, big, big + 1, i64::MAX, i64::MIN];
        let reals = [
            -0.0,
            2.5,
            3.0,
            9_007_199_254_740_992.0,
            9_007_199_254_740_994.0,
            1e300,
            f64::INFINITY,
        ];
        for value in values {
            for (op, comparison) in ops {
                let wanted = Wanted::compared(comparison, Scalar::of(value));
                for n in wholes {
                    let sqlite = sqlite(ValueRef::Integer(n), "BIGINT", op, value);
                    assert_eq!(wanted.holds_whole(n), sqlite, "{n} {op} {value:?}");
                    let alone = wanted.may_hold(Scalar::Whole(n), Scalar::Whole(n));
                    assert!(alone || !sqlite, "pruned {n} {op} {value:?}");
                    let inside = wanted.whole_range().is_some_and(|(a, b)| (a..=b).contains(&n));
                    assert_eq!(inside, sqlite, "{n} and the range of {op} {value:?}");
                }
                for x in reals {
                    let sqlite = sqlite(ValueRef::Real(x), "DOUBLE", op, value);
                    assert_eq!(wanted.holds_real(x), sqlite, "{x} {op} {value:?}");
                    let alone = wanted.may_hold(Scalar::Real(x), Scalar::Real(x));
                    assert!(alone || !sqlite, "pruned {x} {op} {value:?}");
                }
            }
        }
    }

    #[test]
    fn lists_hold_their_members() {
        let list = Wanted::one_of(
            [5.0, 2.5, 5.0].map(Scalar::Real).into_iter().chain([Scalar::Null, Scalar::Whole(7)]),
        );
        assert_eq!(list.whole_list(), Some(&[5, 7][..]));
        assert!(list.holds_real(2.5) && list.holds_real(7.0) && list.holds_whole(5));
        assert!(!list.holds_real(2.4) && !list.holds_whole(6));
        assert!(
            list.may_hold(Scalar::Whole(6), Scalar::Whole(9))
                && !list.may_hold(Scalar::Real(5.5), Scalar::Real(6.5))
        );
    }

    #[test]
    fn blocks_are_sifted() {
        let block = ColumnBlock {
            values: Values::F32(vec![1.0, 0.0, 3.0]),
            valid: Some(vec![true, false, true]),
        };
        let cases = [
            (Wanted::Unknown, [false, true, false]),
            (Wanted::Known, [true, false, true]),
            (Wanted::Nothing, [false; 3]),
            (Wanted::compared(Comparison::Less, Scalar::Whole(3)), [true, false, false]),
            (Wanted::compared(Comparison::LessEqual, Scalar::Real(0.0)), [false; 3]),
        ];
        for (wanted, result) in cases {
            let mut keep = [true; 3];
            wanted.sift(&block, &mut keep);
            assert_eq!(keep, result, "{wanted:?}");
        }
    }
}
