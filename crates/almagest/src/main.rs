//! The operator's binary: one verb per act of curation.
//!
//! Each `cli/<verb>.rs` holds one verb, [`exit`] the documented exit codes, [`report`] the output on a terminal. The work of the verbs is in [`curate`] and the crates below.

#![warn(clippy::print_stderr, clippy::print_stdout)] // a full disk behind either must not panic: report::say, curate::log

mod cli;
mod exit;
mod report;

use std::process::ExitCode;

fn main() -> ExitCode {
    files::limit_permissions(None);
    let arguments = match cli::arguments() {
        Ok(arguments) => arguments,
        Err(fault) => {
            let usage = fault.use_stderr();
            let _ = fault.print();
            return if usage { exit::Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    curate::log::install(arguments.log.options());
    match cli::run(arguments) {
        Ok(exit) => exit.into(),
        Err(fault) => exit::report(&fault).into(),
    }
}
