//! The lines of the log: an event as text or as JSON.

use crate::config::{Format, Level};
use crate::words::{escaped, shown};
use archive::Timestamp;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use tracing::Event;
use tracing::field::{Field, Visit};

/// An event, ready to be written.
#[derive(Clone, Debug)]
pub(super) struct Line {
    time: Timestamp,
    level: Level,
    event: &'static str,
    message: String,
    fields: Map<String, Value>,
    /// True when the text on stderr begins with the name of the program.
    is_named: bool,
}

impl Line {
    /// Returns a line without fields.
    pub(super) fn new(level: Level, event: &'static str, message: String, time: Timestamp) -> Self {
        Self { time, level, event, message, fields: Map::new(), is_named: true }
    }

    /// Returns the line of an event.
    pub(super) fn of(event: &Event<'_>, now: Timestamp) -> Self {
        let metadata = event.metadata();
        let mut line = Self::new(metadata.level().into(), metadata.name(), String::new(), now);
        line.is_named = metadata.target() != super::STATISTICS;
        event.record(&mut line);
        line
    }

    /// Returns the line of a log file, with its end.
    pub(super) fn in_file(&self, format: Format, who: &str) -> String {
        match format {
            Format::Json => self.json(Some(who)),
            Format::Text => {
                let mut text = format!(
                    "{} {} {} {}: {} event={}",
                    self.time.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
                    self.level.name().to_uppercase(),
                    std::process::id(),
                    shown(who),
                    shown(&self.message),
                    self.event
                );
                for (name, value) in &self.fields {
                    // Writing to a String cannot fail.
                    let _ = write!(text, " {name}={}", plain(value));
                }
                text.push('\n');
                text
            }
        }
    }

    /// Returns the line, or lines, of stderr. In text these are the message alone.
    pub(super) fn on_stderr(&self, format: Format) -> String {
        match format {
            Format::Json => self.json(None),
            Format::Text => {
                let lines: Vec<String> = self.message.split('\n').map(shown).collect();
                let program = if self.is_named { "almagest: " } else { "" };
                format!("{program}{}\n", lines.join("\n"))
            }
        }
    }

    fn json(&self, who: Option<&str>) -> String {
        let mut object = json!({
            "time": self.time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "level": self.level.name(),
            "event": self.event,
            "message": self.message,
            "pid": std::process::id(),
        });
        if let Some(who) = who {
            object["user"] = json!(who);
        }
        for (name, value) in &self.fields {
            object[name] = value.clone();
        }
        format!("{}\n", escaped(&object.to_string()))
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => drop(self.fields.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

/// Returns a value as text, quoted when it has blanks or is empty.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '\\']) => shown(text),
        Value::String(text) => shown(&format!("{text:?}")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing::subscriber::Interest;
    use tracing::{Metadata, Subscriber, span};

    /// Keeps the lines of events.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Line>>>);

    impl Subscriber for Kept {
        fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
            Interest::sometimes()
        }
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn event(&self, event: &Event<'_>) {
            let time = "2026-01-02T03:04:05.678Z".parse().unwrap();
            self.0.lock().unwrap().push(Line::of(event, time));
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    fn line_of(act: impl FnOnce()) -> Line {
        let kept = Kept::default();
        tracing::subscriber::with_default(kept.clone(), act);
        let mut lines = kept.0.lock().unwrap();
        assert_eq!(lines.len(), 1, "one event");
        lines.pop().unwrap()
    }

    /// An event, and its line in a file, on stderr and as JSON; without time, pid and user.
    type Case = (fn(), &'static str, &'static str, &'static str);

    #[test]
    fn an_event_is_text_and_json() {
        let cases: [Case; 6] = [
            (
                || {
                    let (unit, rows) = ("20071011_v1", 12_u64);
                    crate::tell!(
                        INFO,
                        "published",
                        delivery = unit,
                        round = 1_u32,
                        rows,
                        seconds = 0.25,
                        "ingested {unit}: {rows} rows"
                    );
                },
                "INFO: ingested 20071011_v1: 12 rows event=published delivery=20071011_v1 round=1 rows=12 seconds=0.25\n",
                "almagest: ingested 20071011_v1: 12 rows\n",
                r#"{"level":"info","event":"published","message":"ingested 20071011_v1: 12 rows","delivery":"20071011_v1","round":1,"rows":12,"seconds":0.25}"#,
            ),
            (
                || crate::note!(WARN, "attempt_failed", host = %"a b", why = "", "lost"),
                "WARN: lost event=attempt_failed host=\"a b\" why=\"\"\n",
                "almagest: lost\n",
                r#"{"level":"warn","event":"attempt_failed","message":"lost","host":"a b","why":""}"#,
            ),
            // A field without a value is left out.
            (
                || crate::note!(DEBUG, "pass", host = None::<&str>, is_idle = true, "passed"),
                "DEBUG: passed event=pass is_idle=true\n",
                "almagest: passed\n",
                r#"{"level":"debug","event":"pass","message":"passed","is_idle":true}"#,
            ),
            // What others wrote cannot act on a terminal or begin a line; JSON keeps its value.
            (
                || crate::tell!(ERROR, "failed", delivery = "a\u{202e}\x1b", "no\x1b[2J\nway"),
                "ERROR: no\\x1b[2J\\x0away event=failed delivery=a\\u{202e}\\x1b\n",
                "almagest: no\\x1b[2J\nway\n",
                r#"{"level":"error","event":"failed","message":"no\u001b[2J\nway","delivery":"a\u202e\u001b"}"#,
            ),
            (
                || crate::tell!(ERROR, "failed", seconds = f64::NAN, "never"),
                "ERROR: never event=failed seconds=null\n",
                "almagest: never\n",
                r#"{"level":"error","event":"failed","message":"never","seconds":null}"#,
            ),
            // Statistics that an operator requested are written without the name of the program.
            (
                || crate::statistics!("query", "3 rows"),
                "INFO: 3 rows event=query\n",
                "3 rows\n",
                r#"{"level":"info","event":"query","message":"3 rows"}"#,
            ),
        ];
        for (act, file, stderr, json) in cases {
            let line = line_of(act);
            let pid = std::process::id();
            let time = "2026-01-02T03:04:05.678Z";
            let text = line.in_file(Format::Text, "me (shared)");
            let (level, rest) = file.split_once(": ").unwrap();
            assert_eq!(text, format!("{time} {level} {pid} me (shared): {rest}"));
            assert_eq!(line.on_stderr(Format::Text), stderr);
            let text = line.in_file(Format::Json, "me");
            assert!(text.ends_with("}\n") && text.trim_end().lines().count() == 1, "{text}");
            let mut object: Value = serde_json::from_str(&text).unwrap();
            let taken = object.as_object_mut().unwrap();
            assert_eq!(taken.shift_remove("time"), Some(json!(time)));
            assert_eq!(taken.shift_remove("pid"), Some(json!(pid)));
            assert_eq!(taken.shift_remove("user"), Some(json!("me")));
            assert_eq!(escaped(&object.to_string()), json);
            assert!(!line.on_stderr(Format::Json).contains("\"user\""));
        }
    }
}
