//! The reason why an entry that a source lists is not fetched.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// The reason why an entry of a source is not fetched although the delivery has no fault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// A link of a page that leads to another place.
    Elsewhere,
    /// The name of a file that is still being written.
    Unfinished,
    /// A symbolic link that the source's settings do not follow.
    SymbolicLink,
    /// The reason of another version.
    Other(Box<str>),
}

impl SkipReason {
    /// Returns the name in tables and reports.
    pub fn name(&self) -> &str {
        match self {
            Self::Elsewhere => "elsewhere",
            Self::Unfinished => "unfinished",
            Self::SymbolicLink => "symbolic_link",
            Self::Other(name) => name,
        }
    }
}

impl FromStr for SkipReason {
    type Err = Infallible;
    fn from_str(name: &str) -> Result<Self, Infallible> {
        let known = [Self::Elsewhere, Self::Unfinished, Self::SymbolicLink];
        let found = known.into_iter().find(|reason| reason.name() == name);
        Ok(found.unwrap_or_else(|| Self::Other(name.into())))
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_name() {
        for name in ["elsewhere", "unfinished", "symbolic_link", "of_a_newer_version"] {
            let reason: SkipReason = name.parse().unwrap();
            assert_eq!(reason.name(), name);
            assert_eq!(matches!(reason, SkipReason::Other(_)), name == "of_a_newer_version");
        }
    }
}
