//! Identities. They can only be made by the constructor; an unknown one is an `Option`, never a magic value.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! positive_id {
    ($(#[$doc:meta])* $name:ident, $raw:ty, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name($raw);

        impl $name {
            /// Makes the identity; `None` below 1, since old archives use 0 and negatives for "unknown".
            pub fn new(raw: $raw) -> Option<Self> {
                (raw >= 1).then_some(Self(raw))
            }

            /// Returns the number.
            pub fn get(self) -> $raw {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = String;
            fn try_from(raw: i64) -> Result<Self, String> {
                <$raw>::try_from(raw)
                    .ok()
                    .and_then(Self::new)
                    .ok_or_else(|| match raw {
                        ..1 => format!("{raw} is not the number of {}: numbers begin at 1", $noun),
                        _ => format!(
                            "{raw} is not the number of {}: numbers end at {}",
                            $noun,
                            <$raw>::MAX
                        ),
                    })
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                i64::from(id.0)
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                let number: i64 = text.parse().map_err(|fault| format!("{fault}"))?;
                Self::try_from(number)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

positive_id! {
    /// One delivered image file. Assigned on registration, unique in the archive, never reused.
    MultiframeId, i64, "a multiframe"
}
positive_id! {
    /// A survey or project that owns detections.
    ProgrammeId, i32, "a programme"
}
positive_id! {
    /// A survey, as its profile numbers it.
    SurveyId, i32, "a survey"
}
positive_id! {
    /// One act of curation: ingest, supersession, retraction.
    EventId, i64, "an event"
}
positive_id! {
    /// A detection, unique within its programme.
    ObjectId, i64, "a detection"
}
positive_id! {
    /// One content of a registered file: newer content of the same name is another one.
    FileId, i64, "a file"
}
positive_id! {
    /// A plan, as operators name it.
    PlanId, i64, "a plan"
}
positive_id! {
    /// A refusal, as operators name it.
    RefusalId, i64, "a refusal"
}
positive_id! {
    /// A batch: the stored output of one round.
    BatchId, i64, "a batch"
}
positive_id! {
    /// Number of a round: 1 for the initial files of its delivery, 2, 3 … for late, repaired or retried ones.
    RoundNumber, u32, "a round"
}
positive_id! {
    /// Number of a task within its round.
    TaskNumber, u32, "a task"
}
positive_id! {
    /// Number of a start of its task.
    AttemptNumber, u32, "an attempt"
}
positive_id! {
    /// Extension number of the archive: counts HDUs with the primary as 1 (WFCAM detectors are 2-5).
    ExtNum, i16, "an extension"
}

macro_rules! counted_from_first {
    ($($name:ident)*) => {$(
        impl $name {
            /// The first number.
            pub const FIRST: Self = Self(1);
        }
    )*};
}

counted_from_first!(RoundNumber TaskNumber AttemptNumber);

impl ObjectId {
    /// Returns the id of a later row, when the ids have no gap; `None` beyond the largest number.
    pub fn after(self, rows: u64) -> Option<Self> {
        self.0.checked_add_unsigned(rows).map(Self)
    }
}

impl ExtNum {
    /// The primary HDU.
    pub const FIRST: Self = Self(1);
    /// The greatest possible number.
    pub const LAST: Self = Self(i16::MAX);

    /// Returns the extension number of an HDU counted from 0. `None` beyond the largest number that a file can sensibly
    /// have.
    pub fn of_hdu(index: u16) -> Option<Self> {
        i16::try_from(index).ok()?.checked_add(1).and_then(Self::new)
    }

    /// Returns the HDU counted from 0.
    pub fn hdu(self) -> u16 {
        self.0.unsigned_abs() - 1
    }
}

/// Returns the extension number of an HDU counted from 0: tables, lists and messages count the primary HDU as 1. Unlike
/// [`ExtNum`], the number exists for every HDU that a file can have.
pub fn ext_num_of(hdu: u16) -> u32 {
    u32::from(hdu) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_names_nothing_is_reported_in_words() {
        let cases = [
            ("0".parse::<PlanId>().err(), "0 is not the number of a plan: numbers begin at 1"),
            (
                "-3".parse::<RefusalId>().err(),
                "-3 is not the number of a refusal: numbers begin at 1",
            ),
            (
                "4294967296".parse::<RoundNumber>().err(),
                "4294967296 is not the number of a round: numbers end at 4294967295",
            ),
        ];
        for (fault, words) in cases {
            assert_eq!(fault.as_deref(), Some(words));
        }
        assert_eq!("1".parse(), Ok(PlanId(1)));
    }
}
