//! Named points at which a test kills the process, or stops it.

/// Ends the process with SIGKILL when `ALMAGEST_CRASH_AT` names this point, and stops it with SIGSTOP when
/// `ALMAGEST_STOP_AT` does, so that the process that started it can examine the site and continue it. A target is
/// `name` for the first passing, `name:n` for the n-th, and `name:*` for every passing. Several targets are separated
/// by commas. Every passing is written as a line to the file that `ALMAGEST_CRASH_LIST` names, so that a campaign can
/// target all of them. Only builds with debug assertions have crash points.
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
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::SeqCst;

    struct Target {
        name: String,
        /// The passing that counts; `None` when every passing does.
        passing: Option<u64>,
        passed: AtomicU64,
        signal: Signal,
    }

    impl Target {
        /// Parses the targets of an environment variable.
        fn all_of(variable: &str, signal: Signal) -> Vec<Self> {
            let wanted = std::env::var(variable).unwrap_or_default();
            let targets = wanted.split(',').filter(|target| !target.is_empty());
            targets.map(|target| Self::of(target, signal)).collect()
        }

        fn of(target: &str, signal: Signal) -> Self {
            let (name, passing) = match target.rsplit_once(':') {
                Some((name, "*")) => (name, None),
                Some((name, n)) if n.parse::<u64>().is_ok() => (name, n.parse().ok()),
                _ => (target, Some(1)),
            };
            Self { name: name.to_owned(), passing, passed: AtomicU64::new(0), signal }
        }

        /// Returns the number of this passing when it is a target.
        fn passing_now(&self, name: &str) -> Option<u64> {
            let passing = (self.name == name).then(|| self.passed.fetch_add(1, SeqCst) + 1)?;
            self.passing.is_none_or(|wanted| wanted == passing).then_some(passing)
        }
    }

    static TARGETS: OnceLock<Vec<Target>> = OnceLock::new();

    /// Appends a line to the list of passed points, in one write.
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
            let mut targets = Target::all_of("ALMAGEST_CRASH_AT", Signal::KILL);
            targets.extend(Target::all_of("ALMAGEST_STOP_AT", Signal::STOP));
            targets
        });
        for target in targets {
            let Some(passing) = target.passing_now(name) else { continue };
            eprintln!("crash point {name}: passing {passing}");
            let _ = rustix::process::kill_process(rustix::process::getpid(), target.signal);
            // The signal arrives before this ends, even when another thread receives it.
            let milliseconds = if target.signal == Signal::KILL { 60_000 } else { 100 };
            std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        }
    }
}
