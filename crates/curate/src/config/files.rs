//! Permissions of the files of a site: the section `files`.

use serde::{Deserialize, Serialize};

/// Permissions of the site's files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// Umask in octal; empty = the umask of the caller, combined with 027.
    pub umask: Umask,
}

impl Files {
    /// Returns the permissions that no file may have; `None` when none are configured.
    pub fn mask(&self) -> Option<u32> {
        self.umask.0
    }
}

/// A umask as it is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Umask(Option<u32>);

impl TryFrom<String> for Umask {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        // The owner keeps all permissions: without them nothing works.
        match u32::from_str_radix(&text, 8).ok().filter(|mask| *mask <= 0o077) {
            Some(mask) => Ok(Self(Some(mask))),
            None => Err(format!("{text:?} is not a umask between \"000\" and \"077\"")),
        }
    }
}

impl From<Umask> for String {
    fn from(umask: Umask) -> Self {
        umask.0.map_or_else(Self::new, |mask| format!("{mask:03o}"))
    }
}
