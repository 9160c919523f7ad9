//! Named instants at which a test lets the process die, or holds it.

/// Ends the process with SIGKILL when `ALMAGEST_CRASH_AT` names this point (`name`, or `name:n` for its n-th passing),
/// stops it with SIGSTOP when `ALMAGEST_STOP_AT` does: whoever started it looks around and continues it. Every passing is a
/// line of the file that `ALMAGEST_CRASH_LIST` names, so that a campaign can aim at all of them. Only in builds
/// with debug assertions; a release build has no such doors.
pub fn crash_point(name: &str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use rustix::process::Signal;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Target {
        name: String,
        passing: u64,
        passed: AtomicU64,
        signal: Signal,
    }

    impl Target {
        fn of(variable: &str, signal: Signal) -> Option<Self> {
            let wanted = std::env::var(variable).ok()?;
            let (name, passing) = match wanted.rsplit_once(':') {
                Some((name, n)) if n.parse::<u64>().is_ok() => (name, n.parse().ok()?),
                _ => (wanted.as_str(), 1),
            };
            Some(Self { name: name.to_owned(), passing, passed: AtomicU64::new(0), signal })
        }

        fn is_now(&self, name: &str) -> bool {
            self.name == name && self.passed.fetch_add(1, Ordering::SeqCst) + 1 == self.passing
        }
    }

    static TARGETS: OnceLock<[Option<Target>; 2]> = OnceLock::new();

    /// Adds a line to the list of points that were passed, in one piece.
    fn note(name: &str) {
        use std::io::Write;
        static LIST: OnceLock<Option<std::fs::File>> = OnceLock::new();
        let list = LIST.get_or_init(|| {
            let path = std::env::var_os("ALMAGEST_CRASH_LIST")?;
            std::fs::OpenOptions::new().create(true).append(true).open(path).ok()
        });
        if let Some(mut list) = list.as_ref() {
            let _ = list.write_all(format!("{name}\n").as_bytes());
        }
    }

    pub(super) fn pass(name: &str) {
        note(name);
        let targets = TARGETS.get_or_init(|| {
            [
                Target::of("ALMAGEST_CRASH_AT", Signal::KILL),
                Target::of("ALMAGEST_STOP_AT", Signal::STOP),
            ]
        });
        for target in targets.iter().flatten().filter(|target| target.is_now(name)) {
            eprintln!("crash point {name}: passing {}", target.passing);
            let _ = rustix::process::kill_process(rustix::process::getpid(), target.signal);
            // It arrives before this ends, also when another thread takes it.
            let milliseconds = if target.signal == Signal::KILL { 60_000 } else { 100 };
            std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        }
    }
}
