//! Named instants at which a kill test lets the process die.

/// Ends the process with SIGKILL when `ALMAGEST_CRASH_AT` names this point (`name`, or `name:n` for its
/// n-th passing). Only in builds with debug assertions; a release build has no such door.
pub fn crash_point(name: &str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Target {
        name: String,
        passing: u64,
    }

    static TARGET: OnceLock<Option<Target>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    fn target() -> Option<&'static Target> {
        TARGET
            .get_or_init(|| {
                let wanted = std::env::var("ALMAGEST_CRASH_AT").ok()?;
                let (name, passing) = match wanted.rsplit_once(':') {
                    Some((name, n)) if n.parse::<u64>().is_ok() => (name, n.parse().ok()?),
                    _ => (wanted.as_str(), 1),
                };
                Some(Target { name: name.to_owned(), passing })
            })
            .as_ref()
    }

    pub(super) fn pass(name: &str) {
        let Some(target) = target() else { return };
        if target.name == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == target.passing {
            eprintln!("crash point {name}: passing {}", target.passing);
            let me = rustix::process::getpid();
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
            std::thread::sleep(std::time::Duration::from_secs(60)); // the signal arrives before this ends
        }
    }
}
