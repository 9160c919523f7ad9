//! Running programs of the system: a time-out on every call, a defined environment, output of bounded size.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Maximum number of bytes of output that are kept.
const ANSWER_BYTES: u64 = 64 << 20;

/// The output of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Exit code; `None` when a signal ended the program.
    pub code: Option<i32>,
    /// Text that the program wrote on stdout.
    pub out: String,
    /// Text that the program wrote on stderr.
    pub err: String,
}

impl Answer {
    /// Returns true when the program ended with code 0.
    pub fn is_ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Returns the error message of the program, in one line.
    pub fn complaint(&self) -> String {
        let lines: Vec<&str> =
            self.err.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match (lines.is_empty(), self.code) {
            (false, _) => lines.join("; "),
            (true, Some(code)) => format!("exit code {code}"),
            (true, None) => "ended by a signal".to_owned(),
        }
    }
}

/// Reason why there is no output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The program was not started.
    NotStarted(String),
    /// The program did not end in time, and was killed: its effect is not known.
    TimedOut(Duration),
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotStarted(why) => f.write_str(why),
            Self::TimedOut(time) => write!(f, "no response within {} s", time.as_secs()),
        }
    }
}

/// An interface to programs: a trait, so that executors can be tested without a cluster.
pub trait Programs {
    /// Runs a program to completion, with a text as its stdin.
    ///
    /// # Errors
    /// [`NoAnswer`].
    fn run(&self, program: &str, words: &[String], stdin: &str) -> Result<Answer, NoAnswer>;
}

/// Programs of this system.
#[derive(Clone, Debug)]
pub struct System {
    /// The only environment variables that programs see.
    pub environment: Vec<(OsString, OsString)>,
    /// Longest time that a program may take.
    pub timeout: Duration,
}

impl System {
    /// Makes an environment of PATH, HOME, USER and LOGNAME, the named variables with their present values, and the given ones.
    pub fn with(kept: &[&str], given: &[(&str, &str)], timeout: Duration) -> Self {
        let kept = ["PATH", "HOME", "USER", "LOGNAME"].iter().chain(kept);
        let mut environment: Vec<(OsString, OsString)> =
            kept.filter_map(|name| Some(((*name).into(), std::env::var_os(name)?))).collect();
        environment.extend(given.iter().map(|(n, v)| ((*n).into(), (*v).into())));
        Self { environment, timeout }
    }
}

impl Programs for System {
    fn run(&self, program: &str, words: &[String], stdin: &str) -> Result<Answer, NoAnswer> {
        let not_started = |e: std::io::Error| NoAnswer::NotStarted(format!("{program}: {e}"));
        let mut child = Command::new(program)
            .args(words)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(not_started)?;
        let out = child.stdout.take().map(collect);
        let err = child.stderr.take().map(collect);
        if let Some(mut pipe) = child.stdin.take() {
            let text = stdin.to_owned();
            // A program that does not read its stdin must not block this process.
            std::thread::spawn(move || pipe.write_all(text.as_bytes()));
        }
        let Some(code) = ended(&mut child, self.timeout) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(NoAnswer::TimedOut(self.timeout));
        };
        let text = |reader: Option<JoinHandle<Vec<u8>>>| {
            let bytes = reader.and_then(|r| r.join().ok()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Ok(Answer { code, out: text(out), err: text(err) })
    }
}

fn collect(stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.take(ANSWER_BYTES).read_to_end(&mut bytes);
        bytes
    })
}

fn ended(child: &mut Child, timeout: Duration) -> Option<Option<i32>> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status.code());
        }
        if began.elapsed() > timeout {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Returns a word quoted for a POSIX shell.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &str, words: &[&str], stdin: &str) -> Result<Answer, NoAnswer> {
        let system = System::with(&[], &[("LC_ALL", "C")], Duration::from_secs(5));
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        system.run(program, &words, stdin)
    }

    #[test]
    fn programs_return_output_or_a_reason() {
        let output = run("sh", &["-c", "cat; echo no >&2; exit 3"], "yes").unwrap();
        assert_eq!(
            (output.code, output.out.as_str(), output.complaint().as_str()),
            (Some(3), "yes", "no")
        );
        let names = run("env", &[], "").unwrap().out;
        assert!(
            names.lines().all(|l| ["PATH", "HOME", "USER", "LOGNAME", "LC_ALL"]
                .iter()
                .any(|name| l.starts_with(name))),
            "{names}"
        );
        assert!(matches!(run("no-such-program", &[], ""), Err(NoAnswer::NotStarted(_))));
        let hasty = System::with(&[], &[], Duration::from_millis(50));
        let timed_out = hasty.run("sleep", &["5".to_owned()], "");
        assert_eq!(timed_out, Err(NoAnswer::TimedOut(Duration::from_millis(50))));
    }

    #[test]
    fn words_reach_the_shell_as_they_are() {
        for word in ["plain", "", "a b", "it's", "$HOME `x` \"q\" \\", "ü\n;rm"] {
            let output = run("sh", &["-c", &format!("printf %s {}", quoted(word))], "").unwrap();
            assert_eq!(output.out, word);
        }
    }
}
