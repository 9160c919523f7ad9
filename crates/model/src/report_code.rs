//! The code of a refusal or finding in a record.

use crate::RefusalCode;
use crate::refusal_code::{self, Entry};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// Code of a stored refusal or finding, or of one in a node's result: a [`RefusalCode`] of this version, or the code of another
/// version, which is kept as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ReportCode(Cow<'static, str>);

impl ReportCode {
    /// Returns the text that is stored and printed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the entry of the register; `None` for a code that this version does not have.
    pub fn entry(&self) -> Option<&'static Entry> {
        refusal_code::entry(self)
    }
}

impl Deref for ReportCode {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<RefusalCode> for ReportCode {
    fn from(code: RefusalCode) -> Self {
        Self(Cow::Borrowed(code.as_str()))
    }
}

impl From<String> for ReportCode {
    fn from(code: String) -> Self {
        Self(Cow::Owned(code))
    }
}

impl From<&str> for ReportCode {
    fn from(code: &str) -> Self {
        Self(Cow::Owned(code.to_owned()))
    }
}

impl FromStr for ReportCode {
    type Err = Infallible;
    fn from_str(code: &str) -> Result<Self, Infallible> {
        Ok(code.into())
    }
}

impl From<ReportCode> for String {
    fn from(code: ReportCode) -> Self {
        code.0.into_owned()
    }
}

impl PartialEq<RefusalCode> for ReportCode {
    fn eq(&self, code: &RefusalCode) -> bool {
        self.as_str() == code.as_str()
    }
}

impl PartialEq<str> for ReportCode {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == text
    }
}

impl PartialEq<&str> for ReportCode {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == *text
    }
}

impl fmt::Display for ReportCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for ReportCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_other_versions_stay_as_they_are() {
        let known = ReportCode::from(RefusalCode::ZERO_ROWS);
        assert_eq!(known, ReportCode::from("zero_rows"));
        assert_eq!(known.entry().unwrap().code, RefusalCode::ZERO_ROWS);
        let other: ReportCode = serde_json::from_str("\"of_a_newer_version\"").unwrap();
        assert!(other.entry().is_none());
        assert_eq!(format!("{other} {other:?}"), "of_a_newer_version \"of_a_newer_version\"");
        assert_eq!(serde_json::to_string(&other).unwrap(), "\"of_a_newer_version\"");
    }
}
