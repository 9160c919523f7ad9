//! Names of deliveries, hosts, surveys and programmes. The constructor checks a name where it enters; code that has one need not
//! check it.

use crate::{RefusalCode, is_clean, shown_briefly};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

/// Longest name of a file or delivery, in bytes; it leaves space for suffixes on file systems with a limit of 255.
pub const MAX_NAME_BYTES: usize = 200;

/// Returns the reason why a name of a file or delivery is refused: (code, sentence). `None` when it is accepted.
///
/// Names are used in paths, scripts, pages and tables; a name that would need quoting in one of them is refused.
pub fn name_fault(name: &str) -> Option<(RefusalCode, &'static str)> {
    let has = |set: &[char]| name.contains(set);
    if name.len() > MAX_NAME_BYTES {
        Some((RefusalCode::NAME_TOO_LONG, "the name is longer than 200 bytes"))
    } else if has(&['\n', '\r']) {
        Some((RefusalCode::NAME_NEWLINE, "the name contains a line break"))
    } else if has(&['\u{1b}']) {
        Some((RefusalCode::NAME_ESCAPE, "the name contains an escape character"))
    } else if has(&['/', '\0']) {
        Some((RefusalCode::NAME_SEPARATOR, "the name contains a path separator"))
    } else if name.chars().any(char::is_control) {
        Some((RefusalCode::NAME_CONTROL_CHARACTER, "the name contains a control character"))
    } else if name.contains("..") {
        Some((RefusalCode::NAME_PARENT, "the name contains \"..\""))
    } else if has(&['<', '>']) {
        Some((RefusalCode::NAME_MARKUP, "the name contains markup"))
    } else if has(&['$', '`', '|', '&', ';', '*', '?', '\'', '"', '\\', '!', '{', '}']) {
        Some((
            RefusalCode::NAME_SHELL_CHARACTER,
            "the name contains a character that shells interpret",
        ))
    } else if name.starts_with('-') {
        Some((RefusalCode::NAME_OPTION, "the name begins like an option"))
    } else if name.starts_with('.') {
        Some((
            RefusalCode::NAME_HIDDEN,
            "the name begins with a dot: a file still being written, or not a product",
        ))
    } else if has(&['\u{fffd}']) {
        Some((RefusalCode::NAME_NOT_UTF8, "the name is not UTF-8"))
    } else if !name.is_ascii() {
        Some((RefusalCode::NAME_NOT_ASCII, "the name contains characters outside ASCII"))
    } else {
        None
    }
}

/// A text that is not a name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a name of a {kind}: {reason}")]
pub struct InvalidName {
    /// The text, in short.
    pub name: String,
    /// The kind of name.
    pub kind: NameKind,
    /// The rule that the text breaks.
    pub reason: &'static str,
}

/// The kind of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// A [`DeliveryName`].
    Delivery,
    /// A [`HostName`].
    Host,
    /// A [`SurveyName`].
    Survey,
    /// A [`ProgrammeName`].
    Programme,
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivery => "delivery",
            Self::Host => "host",
            Self::Survey => "survey",
            Self::Programme => "programme",
        })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $fault:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Makes the name.
            ///
            /// # Errors
            /// The rule that the text breaks.
            pub fn new(name: &str) -> Result<Self, InvalidName> {
                let fault: fn(&str) -> Option<&'static str> = $fault;
                match fault(name) {
                    None => Ok(Self(name.into())),
                    Some(reason) => {
                        let name = shown_briefly(name, MAX_NAME_BYTES);
                        Err(InvalidName { name, kind: NameKind::$kind, reason })
                    }
                }
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<std::path::Path> for $name {
            fn as_ref(&self) -> &std::path::Path {
                self.0.as_ref().as_ref()
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(name: &str) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(name: String) -> Result<Self, InvalidName> {
                Self::new(&name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl PartialEq<String> for $name {
            fn eq(&self, other: &String) -> bool {
                self.as_str() == other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

name! {
    /// Name of a delivery, e.g. `20071011_v1`: that of its directory, or `DIRECTORY@LABEL` when a directory of the name at
    /// another origin was first. Not empty, ASCII, at most 200 bytes, one component of a path, and needs no quotes.
    DeliveryName, Delivery, |name| match name {
        "" => Some("the name is empty"),
        _ => name_fault(name).map(|(_, why)| why),
    }
}

name! {
    /// Name of a computer, as its executor, its site or the address of a source names it, e.g. `pixel1` or `user@pixel1`: not
    /// empty, at most 200 bytes, without white space and control characters, and never like an option.
    HostName, Host, |name| match name {
        "" => Some("the name is empty"),
        _ if name.len() > MAX_NAME_BYTES => Some("the name is longer than 200 bytes"),
        _ if name.starts_with('-') => Some("the name begins like an option"),
        _ if name.contains(char::is_whitespace) => Some("the name contains white space"),
        _ if !is_clean(name) => Some("the name contains a control character"),
        _ => None,
    }
}

name! {
    /// Name of a survey profile, e.g. `wfcam`: not empty.
    SurveyName, Survey, |name| name.is_empty().then_some("the name is empty")
}

name! {
    /// Short name of a programme, e.g. `LAS`: not empty.
    ProgrammeName, Programme, |name| name.is_empty().then_some("the name is empty")
}

impl HostName {
    /// Makes the name of what a host reports as its name: escaped and truncated when it is not a name, `unknown` when nothing
    /// is left.
    pub fn reported(text: &str) -> Self {
        Self::new(text)
            .or_else(|_| {
                let text = text.replace(char::is_whitespace, "_");
                Self::new(&shown_briefly(text.trim_start_matches('-'), MAX_NAME_BYTES - 3))
            })
            .unwrap_or_default()
    }

    /// Reads a name that a host reports; see [`HostName::reported`].
    ///
    /// # Errors
    /// Those of the format; never for a text.
    pub fn deserialize_reported<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::reported(&text))
    }
}

impl HostName {
    /// Returns the name in lower case.
    #[must_use]
    pub fn to_ascii_lowercase(&self) -> Self {
        Self(self.0.to_ascii_lowercase().into())
    }
}

impl Default for HostName {
    /// Returns `unknown`, the name of a host that is not known.
    fn default() -> Self {
        Self("unknown".into())
    }
}

impl Default for DeliveryName {
    /// Returns `unknown`, the name of a delivery that is not known.
    fn default() -> Self {
        Self("unknown".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_deliveries_need_no_quotes() {
        for name in ["20071011_v1", "20071011_v1@cam2", "20130130_v1.3@data-2", "a b"] {
            let parsed: DeliveryName = name.parse().unwrap();
            assert_eq!(parsed, name);
            assert_eq!(
                (format!("{parsed}"), format!("{parsed:?}")),
                (name.into(), format!("{name:?}"))
            );
            let json = serde_json::to_string(&parsed).unwrap();
            assert_eq!(json, format!("{name:?}"));
            assert_eq!(serde_json::from_str::<DeliveryName>(&json).unwrap(), parsed);
        }
        for name in ["", "a/b", "..", "$(reboot)", "-rf", ".hidden", "a\nb", "\u{3b1}", "<b>"] {
            assert!(DeliveryName::new(name).is_err(), "{name:?}");
        }
        assert!(serde_json::from_str::<DeliveryName>("\"../x\"").is_err());
        assert_eq!(
            DeliveryName::new("a;b").unwrap_err().to_string(),
            "\"a;b\" is not a name of a delivery: the name contains a character that shells interpret"
        );
    }

    #[test]
    fn names_of_hosts_are_arguments_of_ssh() {
        for name in ["pixel1", "me@pixel1", "n-1.example.org", "[::1]:22"] {
            assert_eq!(HostName::new(name).unwrap(), name);
        }
        for name in ["", "-oProxyCommand=x", "a b", "a\tb", "a\0", "a\u{1b}[2J", &"h".repeat(201)] {
            assert!(HostName::new(name).is_err(), "{name:?}");
            assert!(HostName::new(&HostName::reported(name)).is_ok(), "{name:?}");
        }
        assert_eq!(HostName::reported("a\0\u{1b}[2J"), "a\\x00\\x1b[2J");
        assert_eq!(HostName::reported(" "), "_");
        assert_eq!(HostName::reported(""), HostName::default());
    }
}
