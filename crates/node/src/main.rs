//! `almagest-node`: runs tasks on a computer that has only this program and the files, and reports the computer's
//! state.

use node::host;
use node::supervise::{self, Stopped};
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: almagest-node run TASK.json         do one task
       almagest-node report DIR [SECONDS]  write the state of this host to DIR/HOST.json, once, or at this interval
       almagest-node stop DIR              end the attempt of that directory, if it runs on this host

run reads the files that the task file names. It writes its products and, last, result.json into the
output directory of the task, and meanwhile reports its progress in heartbeat.json. It keeps to the threads
and the memory of the task file. Without a result, end.json has the reason.

Exit codes: 0 done, 1 done with refusals, 2 usage, 3 cannot be done as it is, 4 cannot be done now,
6 needed more memory than it may use, 130 stopped on request.";

fn main() -> ExitCode {
    files::limit_permissions(None);
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    let is = |argument: &OsStr, verb: &str| argument == verb;
    match arguments.as_slice() {
        [verb, path] if is(verb, "run") => run(Path::new(path)),
        // Internal command started by `run`; not for users.
        [verb, path] if is(verb, "work") => ExitCode::from(supervise::work(Path::new(path))),
        [verb, directory] if is(verb, "stop") => stop(Path::new(directory)),
        [verb, directory] if is(verb, "report") => report(Path::new(directory), None),
        [verb, directory, seconds] if is(verb, "report") => {
            match seconds.to_str().and_then(|s| s.parse().ok()).filter(|s| *s > 0) {
                Some(seconds) => report(Path::new(directory), Some(Duration::from_secs(seconds))),
                None => usage(),
            }
        }
        [flag] if is(flag, "--help") || is(flag, "-h") => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        [flag] if is(flag, "--version") => {
            println!("almagest-node {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{USAGE}");
    ExitCode::from(2)
}

/// Returns a flag that SIGTERM and SIGINT set.
fn stop_flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let _ = signal_hook::flag::register(signal, Arc::clone(&stop));
    }
    stop
}

fn complain(fault: &node::NodeFault) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "almagest-node: {}", model::one_line(fault));
    let code = match fault.is_transient() {
        true => supervise::EXIT_FAILED,
        false => supervise::EXIT_IMPOSSIBLE,
    };
    ExitCode::from(code)
}

fn run(task_file: &Path) -> ExitCode {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("almagest-node"));
    match supervise::supervise(task_file, &program, &stop_flag()) {
        Ok(ended) => {
            if let supervise::Ended::Without(end) = &ended {
                let _ = writeln!(std::io::stderr(), "almagest-node: {}", end.reason);
            }
            ExitCode::from(ended.exit_code())
        }
        Err(fault) => complain(&fault),
    }
}

fn stop(directory: &Path) -> ExitCode {
    match supervise::stop(directory) {
        Ok(Stopped::Stopped) => println!("stopped"),
        Ok(Stopped::NotHere) => println!("the attempt does not run on this host"),
        Err(fault) => return complain(&fault),
    }
    ExitCode::SUCCESS
}

fn report(directory: &Path, every: Option<Duration>) -> ExitCode {
    let stop = stop_flag();
    for beat in 1.. {
        let began = Instant::now();
        // A report that cannot be written now may succeed later; a single report is requested for its result.
        if let (Err(fault), None) = (host::report(directory, beat), every) {
            return complain(&fault);
        }
        let Some(every) = every else { break };
        while began.elapsed() < every {
            if stop.load(Ordering::Relaxed) {
                return ExitCode::SUCCESS;
            }
            std::thread::sleep(Duration::from_millis(200).min(every));
        }
    }
    ExitCode::SUCCESS
}
