//! The decision on an attempt under way that has no result yet. Pure.

use archive::attempts::EndCause;
use dispatch::{JobEnd, JobState};
use model::task::{EndCode, TaskEnd};

/// Seconds for which files of a finished attempt may still appear.
const FILES_LATE: f64 = 10.0;
/// Seconds after which an attempt that the executor does not know counts as never begun.
const NEVER_BEGUN: f64 = 60.0;

/// The observations of an attempt. Ages are in seconds, by this machine's clock alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signs {
    /// End note that the attempt wrote.
    pub end: Option<TaskEnd>,
    /// State of the attempt as reported by its executor; `None` when the executor cannot be queried.
    pub standing: Option<JobState>,
    /// True for a thread of this process: it has no heartbeat, and its executor's word is certain.
    pub is_thread: bool,
    /// Since its heartbeat changed; `None` when it has none.
    pub beat_age: Option<f64>,
    /// Time since the attempt was sent.
    pub age: f64,
    /// Time since the executor first reported the attempt as finished.
    pub over_for: f64,
    /// Reason why the host cannot be used; `None` when it can.
    pub host_closed: Option<String>,
    /// Age of a result that exists and cannot be read (yet), and the reason; `None` otherwise.
    pub unreadable: Option<(f64, String)>,
}

/// The action on an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// No action.
    NoAction,
    /// The attempt failed without being lost or cancelled.
    Failed {
        /// Cause in histories.
        cause: EndCause,
        /// Reason in words.
        reason: String,
        /// True when another attempt may succeed.
        transient: bool,
    },
    /// The attempt was lost by its host or its executor, or cancelled; another attempt is made.
    Lost {
        /// Cause in histories.
        cause: EndCause,
        /// Reason in words.
        reason: String,
    },
}

fn lost(cause: EndCause, reason: impl Into<String>) -> Verdict {
    Verdict::Lost { cause, reason: reason.into() }
}

/// Returns the verdict on an attempt. `timeout` is the time without a sign of life after which an attempt is given up;
/// `is_by_hand` is true when operators begin attempts at a time of their choice.
pub fn verdict(signs: &Signs, timeout: f64, is_by_hand: bool) -> Verdict {
    if let Some(end) = &signs.end {
        return of_note(end);
    }
    if let Some((age, why)) = &signs.unreadable {
        return match *age > timeout {
            true => {
                lost(EndCause::Unreadable, format!("the result of the task cannot be read: {why}"))
            }
            false => Verdict::NoAction,
        };
    }
    let is_silent = signs.beat_age.is_some_and(|age| age > timeout);
    match &signs.standing {
        Some(JobState::Ended(over)) => {
            if signs.over_for < FILES_LATE.min(timeout) {
                return Verdict::NoAction;
            }
            of_executor(*over)
        }
        Some(JobState::Waiting(_)) if is_by_hand => match is_silent {
            true => lost(EndCause::Silent, "the heartbeat of the task stopped"),
            false => Verdict::NoAction,
        },
        Some(JobState::Waiting(why)) => match &signs.host_closed {
            Some(closed) => lost(
                EndCause::HostClosed,
                format!("the job was waiting ({why}), and its host is closed: {closed}"),
            ),
            None => Verdict::NoAction,
        },
        Some(JobState::Unknown) if signs.beat_age.is_none() => {
            match signs.age > NEVER_BEGUN.min(timeout) {
                true => lost(
                    EndCause::NeverBegun,
                    "the job never started, and its executor does not know it",
                ),
                false => Verdict::NoAction,
            }
        }
        Some(JobState::Unknown) if !is_silent => Verdict::NoAction,
        Some(JobState::Running) if signs.is_thread => Verdict::NoAction,
        Some(JobState::Running) if !is_silent && signs.beat_age.is_some() => Verdict::NoAction,
        Some(JobState::Running) if signs.beat_age.is_none() && signs.age <= timeout => {
            Verdict::NoAction
        }
        Some(_) => lost(EndCause::Silent, "the task sent no heartbeat"),
        None if is_silent => {
            lost(EndCause::Silent, "the task sent no heartbeat, and its executor cannot be queried")
        }
        None => Verdict::NoAction,
    }
}

fn of_note(end: &TaskEnd) -> Verdict {
    let (cause, reason) = (EndCause::from(end.code), end.reason.clone());
    match end.code {
        EndCode::Memory | EndCode::Failed | EndCode::Crashed => {
            Verdict::Failed { cause, reason, transient: true }
        }
        EndCode::Impossible => Verdict::Failed { cause, reason, transient: false },
        EndCode::Interrupted => lost(cause, reason),
    }
}

fn of_executor(over: JobEnd) -> Verdict {
    let failed =
        |cause, reason: &str| Verdict::Failed { cause, reason: reason.to_owned(), transient: true };
    match over {
        JobEnd::Memory => failed(EndCause::Memory, "the task exceeded its memory limit"),
        JobEnd::Time => failed(EndCause::Time, "the task exceeded its time limit"),
        JobEnd::Ended => failed(EndCause::Ended, "the task ended without a result"),
        JobEnd::Failed => failed(EndCause::Failed, "the task ended without a result"),
        JobEnd::HostFailed => lost(EndCause::HostFailed, "the host of the task failed"),
        JobEnd::Cancelled => lost(EndCause::Cancelled, "the job was cancelled outside of almagest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_lost(signs: &Signs) -> Option<&'static str> {
        match verdict(signs, 180.0, false) {
            Verdict::Lost { cause, .. } => Some(cause.name()),
            Verdict::NoAction => None,
            Verdict::Failed { cause, .. } => panic!("{cause}"),
        }
    }

    #[test]
    fn signs_of_life_and_their_absence() {
        let running = |beat_age, age| Signs {
            standing: Some(JobState::Running),
            beat_age,
            age,
            ..Signs::default()
        };
        assert_eq!(is_lost(&running(Some(3.0), 500.0)), None);
        assert_eq!(is_lost(&running(None, 100.0)), None, "it may be slow to begin");
        assert_eq!(is_lost(&running(None, 200.0)), Some("silent"));
        let thread = Signs { is_thread: true, ..running(None, 5000.0) };
        assert_eq!(is_lost(&thread), None, "a thread has no heartbeat, however long it takes");
        let cut_off = running(Some(200.0), 500.0);
        assert_eq!(is_lost(&cut_off), Some("silent"), "whatever the executor believes");
        let unheard = |beat_age, age| Signs {
            standing: Some(JobState::Unknown),
            beat_age,
            age,
            ..Signs::default()
        };
        assert_eq!(is_lost(&unheard(None, 30.0)), None, "a submission may still be heard of");
        assert_eq!(is_lost(&unheard(None, 70.0)), Some("never_begun"));
        assert_eq!(is_lost(&unheard(Some(3.0), 70.0)), None, "it beats");
        assert_eq!(is_lost(&unheard(Some(181.0), 700.0)), Some("silent"));
        let away = |beat_age| Signs { beat_age, age: 900.0, ..Signs::default() };
        assert_eq!(
            is_lost(&away(Some(10.0))),
            None,
            "the controller is unreachable, the job is not"
        );
        assert_eq!(is_lost(&away(None)), None, "and one that waited may wait");
        assert_eq!(is_lost(&away(Some(200.0))), Some("silent"));
    }

    #[test]
    fn waiting_tasks_leave_a_closed_host() {
        let mut signs = Signs {
            standing: Some(JobState::Waiting("Resources".to_owned())),
            age: 9000.0,
            ..Signs::default()
        };
        assert_eq!(is_lost(&signs), None);
        signs.host_closed = Some("Slurm reports the node as down*".to_owned());
        assert_eq!(is_lost(&signs), Some("host_closed"));
        assert_eq!(verdict(&signs, 180.0, true), Verdict::NoAction, "a script waits for users");
    }

    #[test]
    fn a_finished_job_gets_a_moment_for_its_files() {
        let mut signs = Signs {
            standing: Some(JobState::Ended(JobEnd::HostFailed)),
            over_for: 2.0,
            ..Signs::default()
        };
        assert_eq!(is_lost(&signs), None);
        signs.over_for = 20.0;
        assert_eq!(is_lost(&signs), Some("host_failed"));
        signs.standing = Some(JobState::Ended(JobEnd::Time));
        let failed = verdict(&signs, 180.0, false);
        assert!(
            matches!(failed, Verdict::Failed { cause, transient: true, .. } if cause.name() == "time")
        );
        signs.unreadable = Some((1.0, "no such file".to_owned()));
        assert_eq!(verdict(&signs, 180.0, false), Verdict::NoAction);
    }

    #[test]
    fn its_own_report_counts_first() {
        let end = |code| TaskEnd {
            version: 1,
            code,
            reason: "so".to_owned(),
            host: "n1".parse().unwrap(),
            seconds: 1.0,
            peak_memory_bytes: 1,
        };
        let of = |code| {
            let standing = Some(JobState::Running);
            verdict(&Signs { end: Some(end(code)), standing, ..Signs::default() }, 180.0, false)
        };
        assert!(
            matches!(of(EndCode::Memory), Verdict::Failed { cause, transient: true, .. } if cause.name() == "memory")
        );
        assert!(matches!(of(EndCode::Impossible), Verdict::Failed { transient: false, .. }));
        assert!(matches!(of(EndCode::Interrupted), Verdict::Lost { .. }));
    }
}
