//! Properties of hosts: the sections `hosts.NAME`.

use serde::{Deserialize, Serialize};

/// The properties of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostConfig {
    /// Cores that tasks may use; all when absent.
    #[serde(skip_serializing_if = "is_zero")]
    pub cores: u32,
    /// Memory that tasks may use; all when absent.
    #[serde(skip_serializing_if = "is_zero")]
    pub memory_mb: u32,
    /// Spans of the day, UTC, in which no tasks run on the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quiet_hours: Vec<Span>,
    /// True when the library is on a disk of the host itself. When no host sets the key, all hosts read at full speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_library: Option<bool>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A span of the day, in minutes after midnight UTC; a span may cross midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    /// First minute of the span.
    pub from: u32,
    /// End of the span, exclusive.
    pub to: u32,
}

impl Span {
    /// Returns true when a minute after midnight is in the span.
    pub fn holds(self, minute: u32) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let minutes = |time: &str| {
            let (hours, minutes) = time.trim().split_once(':')?;
            let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
            (hours <= 24 && minutes < 60 && 60 * hours + minutes <= 1440)
                .then_some(60 * hours + minutes)
        };
        let span = text.split_once('-').and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
        match span {
            Some((from, to)) if from != to => Ok(Self { from, to }),
            _ => Err(format!("{text:?} is not a span of the day such as \"22:00-06:30\"")),
        }
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        let time = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        format!("{}-{}", time(span.from), time(span.to))
    }
}
